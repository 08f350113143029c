"""Pictures that move: a wall of images that plays like a film, and a sheet whose picture follows every key.

    from course_utils.widgets import live
    live.wall(lambda frame: decoder(path[frame]), "A walk through the latent space.", frames=len(path))
    live.sheet(lambda image: nearest(image, n=16), "What you draw, and the digits that look like it.")

Both say below the picture how quickly they answer.
"""

import textwrap
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress

import ipywidgets
import torch

from course_utils.data.my_digit import CANVAS, CELLS, INK, PAPER, SHIPPED, _render
from course_utils.plots import images
from course_utils.system import folders
from course_utils.widgets.controls import make_control
from course_utils.widgets.panel import Panel, close_all, register

WINDOW = 2.0
"""Seconds over which frames are counted."""
BLANK = "\n".join([PAPER[0] * CELLS] * CELLS)
"""An empty sheet."""
_SHEET = ".jupyter-widgets.widget-textarea.course-sheet"
# Cells nearly square, and a shade beyond the last column. ipywidgets has no font for an area of text.
_STYLE = f"""<style>
{_SHEET} label {{ text-align: left; width: auto }}
{_SHEET} textarea {{
  --cell: calc(1ch + 8px); box-sizing: content-box; width: calc({CELLS + 3} * var(--cell)); flex: none;
  font: 16px/18px monospace; letter-spacing: 8px; padding: 4px; white-space: pre; resize: none;
  overflow: auto; scrollbar-width: none;
  background-image: linear-gradient(to right, transparent calc(4px + {CELLS} * var(--cell)), #8882 0) }}
</style>"""


def wall(
    draw: Callable, caption: str, *, frames: int = 600, rate: float = 20, static=None, **controls
) -> Panel:
    """Play images like a film, in a loop, at `rate` frames a second; returns the widget's Panel.

    `draw(frame, **values)`, with `frame` from 0 to `frames` - 1, returns images (N, H, W) or (N, 1, H, W), uint8
    or float in [0, 1], shown as a grid; or a Picture; or a Figure, which is slow. `controls` and `static`: as for
    `explore`, except that none is needed and `static` may return what `draw` may. Frames that the kernel or the
    browser is too slow for are left out; the line below the picture says how many a second were drawn. Random
    numbers are the same in every frame: seed a generator with `frame` for others. Raises ValueError for numbers
    that make no film or a control that cannot be understood, and whatever the first drawing raises.
    """
    if int(frames) != frames or frames < 2 or not 0 < rate <= 1000:
        raise ValueError(f"A film needs 2 frames or more and a rate up to 1000, got {frames} and {rate}.")
    player = ipywidgets.Play(min=0, max=int(frames) - 1, value=0, interval=max(1, round(1000 / rate)))
    for name in ("repeat", "_repeat"):  # ipywidgets 8 and 7
        if player.has_trait(name):
            setattr(player, name, True)
    panel = _Live("wall", draw, caption, {"frame": player}, controls, tell=_Rate(1 / rate), static=static)
    panel.show(list(panel.inputs.values()))
    register(panel)
    return panel


def sheet(draw: Callable, caption: str, *, start: str | None = None, static=None, **controls) -> Panel:
    """Let the reader draw with `#` on 14 lines of 14 characters and redraw at every key; returns the Panel.

    `draw(image, **values)` gets the drawing as `cu.my_digit` makes it, uint8 (1, 28, 28), or zeros from an empty
    sheet, and returns what the `draw` of `wall` may. '.' and blanks are paper, all else is ink; what is missing
    is paper, and what is too much is cut. `start`: the first drawing (default: the reader's saved digit, or the
    one that ships). `controls` and `static`: as for `wall`. Nothing is saved. Raises ValueError for a control
    that cannot be understood, and whatever the first drawing raises.
    """
    first = _block(_ink(textwrap.dedent((_saved() if start is None else start).strip("\n"))))
    area = ipywidgets.Textarea(
        value=first,
        rows=CELLS,
        description=f"{INK} is ink, {PAPER[0]} is paper",
        style={"description_width": "initial"},
        layout=ipywidgets.Layout(width="auto", height="auto", flex_flow="column", align_items="flex-start"),
    )
    area.add_class("course-sheet")
    area._options_values = [BLANK, first, INK]  # what a trial of all controls writes
    buttons = {
        "Clear": lambda: panel.reset_control(area, BLANK),
        "Back to the start": lambda: panel.reset_control(area, first),
    }
    given = {"image": area}
    panel = _Live(
        "sheet", draw, caption, given, controls, tell=_answer, static=static, buttons=buttons, read=_image
    )
    area.continuous_update = True  # however long an answer takes: what is typed meanwhile has one redraw

    def left():
        style = ipywidgets.HTML(_STYLE, layout=ipywidgets.Layout(display="none"))
        return ipywidgets.VBox([area, ipywidgets.HBox(list(panel.buttons.values())), style])

    panel.show([control for control in panel.inputs.values() if control is not area], left=left)
    register(panel)
    return panel


class _Live(Panel):
    """A Panel whose first control gives the drawing's first argument, with a line below the picture.

    `first`: {name: control}; `read` makes the argument of its value. `tell`: start and end of a redraw → text.
    """

    def __init__(
        self, kind, draw, caption, first, specs, *, tell, static, buttons=(), read=lambda value: value
    ):
        ((name, lead),) = first.items()
        if name in specs:
            raise ValueError(f"{kind} gives {name!r} itself: give the control another name.")
        others = {name: make_control(name, spec) for name, spec in specs.items()}

        def redraw():
            return _picture(draw(read(lead.value), **{name: part.value for name, part in others.items()}))

        shown = None if static is None else lambda: _picture(static())
        super().__init__(kind, redraw, caption, first | others, dict(buttons), static=shown)
        self.tell = tell
        self.line = ipywidgets.HTML(layout=ipywidgets.Layout(min_height="2em"))

    def attempt(self, action: Callable) -> None:
        start = time.perf_counter()
        super().attempt(action)
        if self.error is None:
            self.line.value = self.tell(start, time.perf_counter())

    def try_all(self) -> int:
        try:
            return super().try_all()
        finally:
            self.line.value = ""

    def show(self, *rows, left=None) -> None:
        """Show, with the line below the picture; `left` makes what stands beside them."""
        super().show(*rows)
        if self.box is None:
            return
        *above, image, message = self.box.children
        seen = ipywidgets.VBox([image, self.line])
        if left is not None:
            wrap = ipywidgets.Layout(flex_flow="row wrap", align_items="flex-start", grid_gap="0 24px")
            seen = ipywidgets.HBox([left(), seen], layout=wrap)
        self.box.children = (*above, seen, message)

    def close(self) -> None:
        super().close()
        close_all(self.line)


class _Rate:
    """Counts the redraws of the last seconds; `wanted`: seconds from one to the next."""

    def __init__(self, wanted: float):
        self.wanted, self.ends = wanted, deque()

    def __call__(self, start: float, end: float) -> str:
        if self.ends and start - self.ends[-1] > 1 + 2 * self.wanted:
            self.ends.clear()  # the film stood still
        self.ends.append(end)
        while len(self.ends) > 2 and self.ends[0] < end - WINDOW:
            self.ends.popleft()
        if len(self.ends) < 2:
            return ""
        frames = (len(self.ends) - 1) / max(end - self.ends[0], 1e-6)
        return f"{_number(frames)} frames a second"


def _answer(start: float, end: float) -> str:
    """How long a redraw took."""
    seconds = max(end - start, 1e-6)
    return f"{_number(1000 * seconds)} milliseconds for this answer: {_number(1 / seconds)} a second"


def _number(value: float) -> str:
    return f"{value:.1f}" if value < 9.95 else f"{value:.0f}"


def _picture(drawn):
    """Return a drawing as what a Panel shows: images become a grid, anything else is left as it is."""
    is_array = isinstance(drawn, torch.Tensor) or (hasattr(drawn, "dtype") and drawn.dtype != object)
    return images.enlarged(drawn) if is_array else drawn


def _image(text: str) -> torch.Tensor:
    """Return what is written on a sheet as an image, uint8 (1, 28, 28)."""
    ink = _ink(text)
    if not ink.any():
        return torch.zeros(1, CANVAS, CANVAS, dtype=torch.uint8)
    before = torch.backends.mkldnn.enabled
    torch.backends.mkldnn.enabled = False  # it takes 50 ms for the pen's one channel, PyTorch itself 2
    try:
        return _render(ink)
    finally:
        torch.backends.mkldnn.enabled = before


def _ink(text: str) -> torch.Tensor:
    """Return the ink of any text as int64 (14, 14) of 0 and 1; no text is refused."""
    lines = (text.splitlines() + [""] * CELLS)[:CELLS]
    cells = [line[:CELLS].ljust(CELLS) for line in lines]
    return torch.tensor([[int(c not in PAPER and not c.isspace()) for c in line] for line in cells])


def _block(ink: torch.Tensor) -> str:
    """Return the text of a drawing: 14 lines of 14 characters."""
    return "\n".join("".join((PAPER[0], INK)[cell] for cell in line) for line in ink.tolist())


def _saved() -> str:
    """Return the text of the reader's digit, or of the one that ships."""
    for path in (folders.runs_dir() / "my_digit.txt", SHIPPED):
        with suppress(OSError, UnicodeError):
            return path.read_text(encoding="utf-8-sig")
    return BLANK
