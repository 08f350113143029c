"""*Your digit*: a digit drawn with `#` in a block of 14 lines becomes an image like those of MNIST.

    cu.my_digit('''
    ..............
    ......##......          14 lines of 14 characters: '#' is ink, '.' or a space is paper
    ...
    ''')
    x = cu.my_digit()       # later lessons: the saved digit, or the one that ships; uint8 (1, 28, 28)

The drawing is smoothed (a pen instead of square cells), scaled so that its longer side is 20 pixels, and
placed with its centre of mass on pixel (14, 14), where MNIST's digits have theirs (on average; standard
deviation 0.3). It is kept as text in my_digit.txt among the reader's runs, readable and editable; in the
`full` profile nothing is saved.
"""

import textwrap
from pathlib import Path

import torch
import torch.nn.functional as F

from course_utils.data.files import DataError, write_atomically
from course_utils.data.pixels import to_uint8
from course_utils.system import folders, ranks
from course_utils.system.profile import profile

CELLS = 14  # lines and columns of a drawing
INK, PAPER = "#", ". "
BOX, CANVAS, CENTRE = 20, 28, 14.0  # pixels; CENTRE: index of the pixel that gets the centre of mass
FINE = 8  # fine pixels per pixel while drawing
PEN = 0.6  # standard deviation of the pen, in cells
PRESSURE = 2.4  # contrast after the pen: a line one cell wide becomes black
_FOLDER = "{} is a folder, where your digit is to be saved: remove or rename it, and run the cell again."
SHIPPED = Path(__file__).with_name("my_digit.txt")


def my_digit(block: str | None = None) -> torch.Tensor:
    """Return the reader's digit as uint8 (1, 28, 28), 0 paper to 255 ink.

    With `block` (14 lines of 14 characters, '#' ink, '.' or space paper; one empty line before and after is
    ignored) the drawing is saved and returned. Without it the saved drawing is returned, or the shipped one
    if there is none. Raises ValueError, naming the line, if the block has another size, other characters or
    no ink; DataError if the saved file is damaged (it is left as it is) or cannot be written.
    """
    saved = folders.runs_dir() / "my_digit.txt"
    if block is not None:
        ink = _parse(block)
        if saved.is_dir():
            raise DataError(_FOLDER.format(saved))
        if ranks.rank() == 0 and profile() != "full":  # shipped runs are made with the shipped digit
            write_atomically(saved, "".join("".join(".#"[c] for c in row) + "\n" for row in ink.tolist()))
        return _render(ink)
    try:
        return _render(_parse(saved.read_text(encoding="utf-8-sig")))  # Notepad puts a mark in front
    except FileNotFoundError:
        return _render(_parse(SHIPPED.read_text(encoding="utf-8")))
    except IsADirectoryError:
        raise DataError(_FOLDER.format(saved)) from None
    except (OSError, ValueError) as error:
        raise DataError(
            f"Your saved digit, {saved}, cannot be used: {str(error).rstrip('.')}. The file was left as it is:"
            " repair it in a text editor, or draw a new digit in lesson 00 with cu.my_digit(block)."
        ) from None


def _parse(block: str) -> torch.Tensor:
    """Return the ink of a drawing as int64 (14, 14) of 0 and 1; ValueError says which line is wrong."""
    if not isinstance(block, str):
        raise ValueError(f"The drawing must be a text of {CELLS} lines, not {type(block).__name__}.")
    lines = block.splitlines()
    if len(lines) > CELLS and not lines[0].strip():
        lines = lines[1:]  # the line break after the opening quotes
    if len(lines) > CELLS and not lines[-1].strip():
        lines = lines[:-1]
    if len(lines) > 0 and all(len(line) > CELLS for line in lines):
        lines = textwrap.dedent("\n".join(lines)).split("\n")  # a block indented with the code around it
    if len(lines) != CELLS:
        raise ValueError(f"The drawing has {len(lines)} lines; it needs {CELLS} lines of {CELLS} characters.")
    for number, line in enumerate(lines, 1):
        wrong = next((c for c in line if c not in INK + PAPER), None)
        if wrong is not None:
            raise ValueError(
                f"Line {number} of the drawing holds {wrong!r}; use '#' for ink, '.' or space for paper."
            )
        if len(line) != CELLS:
            raise ValueError(
                f"Line {number} of the drawing has {len(line)} characters; it needs {CELLS}: {line!r}."
            )
    ink = torch.tensor([[int(c == INK) for c in line] for line in lines])
    if not ink.any():
        raise ValueError("The drawing is empty: put some '#' into it.")
    return ink


def _render(ink: torch.Tensor) -> torch.Tensor:
    """Draw (14, 14) cells of ink with a round pen, scale to the 20 × 20 box, centre by mass: uint8 (1, 28,
    28)."""
    strokes = _pen(ink)
    rows, columns = (strokes > 0.1).any(1).nonzero(), (strokes > 0.1).any(0).nonzero()
    strokes = strokes[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    scale = BOX * FINE / max(strokes.shape)
    size = [max(1, round(side * scale)) for side in strokes.shape]
    strokes = F.interpolate(strokes[None, None], size=size, mode="bilinear", antialias=True)[0, 0].clamp(0, 1)
    canvas = torch.zeros(CANVAS * FINE, CANVAS * FINE, dtype=torch.float32)
    top, left = (_start(strokes.sum(1 - axis)) for axis in (0, 1))
    canvas[top : top + size[0], left : left + size[1]] = strokes
    return to_uint8(F.avg_pool2d(canvas[None], FINE))


def _pen(ink: torch.Tensor) -> torch.Tensor:
    """Replace the square cells by smooth strokes: float32 in [0, 1], 16 fine pixels per cell, with a
    margin."""
    per_cell, margin = 16, 2
    fine = F.pad(ink.float(), [margin] * 4).repeat_interleave(per_cell, 0).repeat_interleave(per_cell, 1)
    reach = 2 * per_cell
    kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1, dtype=torch.float32) / (PEN * per_cell)) ** 2)
    kernel = kernel / kernel.sum()
    blurred = F.conv2d(fine[None, None], kernel.view(1, 1, -1, 1), padding=(reach, 0))
    blurred = F.conv2d(blurred, kernel.view(1, 1, 1, -1), padding=(0, reach))[0, 0]
    return (PRESSURE * blurred).clamp(0, 1) ** 1.5


def _start(mass: torch.Tensor) -> int:
    """Where a profile of ink begins on the canvas (fine pixels): its mean on CENTRE, all of it on the
    canvas."""
    mean = ((torch.arange(len(mass), dtype=torch.float32) + 0.5) * mass).sum() / mass.sum()
    start = int((CENTRE + 0.5) * FINE - float(mean))
    return min(max(start, 0), CANVAS * FINE - len(mass))
