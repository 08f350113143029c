"""What a reader sees below a cell: figures with captions, and bundles that survive without a kernel.

Every figure of the course goes through `show`. In a notebook it becomes one PNG (with its caption as alternative
text) followed by the visible caption. In a plain script the caption is printed. With COURSE_FIGURES=DIR in the
environment every figure is also written to DIR as 01.png, 02.png, …, its caption in the file's text chunk
"Description": this is how authors look at each figure (`COURSE_FIGURES=/tmp/f python lessons/02_….py`).
"""

import base64
import html
import io
import itertools
import os
import re
from pathlib import Path

from PIL import Image, PngImagePlugin

from course_utils import runtime

DPI = 104
"""Resolution of shown figures, dots per inch; they are displayed at 100. A long lesson shows 25 of them and must
stay under 600 KB, which decides this number, the number of colours and LIMIT_KB."""
DISPLAY_DPI = 100
LIMIT_KB = 36
"""A picture above this many KB is drawn again with fewer pixels and colours."""
_numbers = itertools.count(1)


def show(fig, caption: str) -> None:
    """Show a figure with its caption, which is visible and is the alternative text; then close the figure.

    `fig` is a matplotlib Figure (or an Axes: its figure is shown); `caption` plain text, Unicode mathematics
    welcome, one or two sentences that say what is seen. Raises ValueError for an empty caption, TypeError for
    something that is no figure.
    """
    fig = figure_of(fig)
    check_caption(caption)
    try:
        wanted = runtime.in_notebook() or os.environ.get("COURSE_FIGURES") or runtime.profile() == "quick"
        picture = png(fig) if wanted and runtime.rank() == 0 else b""
    finally:
        close(fig)
    show_png(picture, caption)


def show_png(picture: bytes, caption: str) -> None:
    """Show PNG bytes with a caption, like `show`; empty bytes print the caption only (plain scripts)."""
    check_caption(caption)
    save_figure(picture, caption)
    if runtime.in_notebook():
        publish(picture, caption)
        show_caption(caption)
    elif runtime.rank() == 0:
        print(f"[figure] {caption}")


def check_caption(caption: str) -> None:
    """Raise ValueError unless `caption` is text with something in it."""
    if not isinstance(caption, str) or not caption.strip():
        raise ValueError("Every figure needs a caption that says what is seen: cu.show(fig, 'Left: … Right: …').")


def figure_of(fig):
    """Return the Figure behind a Figure, an Axes or an array of Axes; TypeError for anything else."""
    from matplotlib.figure import Figure

    if isinstance(fig, Figure):
        return fig
    axes = getattr(fig, "flat", [fig])
    owner = getattr(next(iter(axes), None), "figure", None)
    if owner is None:
        raise TypeError(f"Expected a matplotlib figure, got {type(fig).__name__}: return `fig`, or pass `ax.figure`.")
    return owner


def close(fig) -> None:
    """Forget a figure, so that its memory is freed and no cell shows it twice."""
    import matplotlib.pyplot as plt

    plt.close(fig)


def png(fig, dpi: int = DPI) -> bytes:
    """Return a figure as small PNG bytes (a palette of at most 48 colours or greys); the figure stays open.

    Width and height in pixels are the figure's inches times `dpi`, unless the file would exceed LIMIT_KB: then it is
    drawn again at DISPLAY_DPI and with fewer colours.
    """
    for attempt, colours in ((dpi, 48), (DISPLAY_DPI, 24), (DISPLAY_DPI, 16)):
        picture = palette_png(_rendered(figure_of(fig), attempt), colours, attempt)
        if len(picture) <= LIMIT_KB * 1024:
            break
    return picture


def palette_png(image: Image.Image, colours: int = 256, dpi: float = DPI) -> bytes:
    """Return a Pillow image as PNG bytes with a palette, meant to be shown at `dpi` of its pixels an inch.

    "Maximum coverage" keeps rare colours (a thin line, a few points) within a few of 255 units of what was drawn;
    median cut, Pillow's default, is up to 75 units off. A quarter of the palette is even greys: left to itself it would
    give digits, axes and grey fields beside colours a tint.
    """
    if image.mode == "L" and colours < 256:
        steps = colours - 1
        image = image.point([round(v * steps / 255) for v in range(256)])
        image.putpalette([round(255 * k / steps) for k in range(colours) for _ in range(3)])
    elif image.mode != "L":
        image, greys = image.convert("RGB"), colours // 4
        chosen = image.quantize(colours - greys, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
        found = chosen.getpalette()[: 3 * (colours - greys)]
        entries = [c for c in zip(found[::3], found[1::3], found[2::3]) if max(c) - min(c) > 8]
        entries += [(round(255 * k / (greys - 1)),) * 3 for k in range(greys)]
        palette = Image.new("P", (1, 1))
        palette.putpalette([v for entry in entries + [(255, 255, 255)] * (256 - len(entries)) for v in entry])
        image = image.quantize(palette=palette, dither=Image.Dither.NONE)
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", compress_level=6, dpi=(dpi, dpi))
    return buffer.getvalue()


def _rendered(fig, dpi: float) -> Image.Image:
    """A figure as an image: grey ("L", exact and quick to write) where it has no colour, otherwise RGB."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    dpi_before, canvas_before = fig.dpi, fig.canvas
    try:
        fig.dpi = dpi
        canvas = FigureCanvasAgg(fig)
        canvas.draw()
        for _ in range(5):  # around axes of equal aspect the layout finds its place at a later draw only
            if not _sticks_out(fig, canvas):
                break
            canvas.draw()
        # The renderer itself says how many pixels it drew: rounding the figure's inches can be off by one.
        renderer = canvas.get_renderer()
        pixels, size = renderer.buffer_rgba(), (int(renderer.width), int(renderer.height))
    finally:
        fig.set_canvas(canvas_before)
        fig.dpi = dpi_before
    image = Image.frombuffer("RGBA", size, pixels, "raw", "RGBA", 0, 1).convert("RGB")
    red, green, blue = image.split()
    return red if red.tobytes() == green.tobytes() == blue.tobytes() else image


def _sticks_out(fig, canvas) -> bool:
    """Whether something that was drawn, such as a title, comes within two points of the edges of the figure."""
    box, (width, height) = fig.get_tightbbox(canvas.get_renderer()), fig.get_size_inches()
    return min(box.x0, box.y0, width - box.x1, height - box.y1) < 2 / 72


def metadata(picture: bytes, caption: str) -> dict:
    """Return the display metadata of PNG bytes: alternative text, and the width in CSS pixels."""
    with Image.open(io.BytesIO(picture)) as image:
        dpi = image.info.get("dpi", (DISPLAY_DPI,))[0]
        width = round(image.width * DISPLAY_DPI / dpi)
    return {"image/png": {"alt": caption, "width": width}}


def bundle(picture: bytes, caption: str) -> dict:
    """Return the display data of PNG bytes: {"image/png": base64 text, "text/plain": caption}."""
    return {"image/png": base64.b64encode(picture).decode("ascii"), "text/plain": caption}


def publish(picture: bytes, caption: str, view: dict | None = None) -> None:
    """Publish one output: a picture and, if `view` is given, the widget that it is the static form of."""
    from IPython.display import display

    display(bundle(picture, caption) | (view or {}), metadata=metadata(picture, caption), raw=True)


def show_caption(caption: str, word: str = "Figure") -> None:
    """Publish the visible caption (notebooks only): "**Figure.** …" in italics, all Markdown in it escaped."""
    from IPython.display import display

    text = " ".join(caption.split())
    display({"text/markdown": f"**{word}.** *{escape(text)}*", "text/plain": f"{word}. {text}"}, raw=True)


def escape(text: str) -> str:
    """Return `text` such that Markdown (with HTML and $-mathematics) shows exactly these characters."""
    text = re.sub(r"([\\`*_\[\]|~#])", r"\\\1", html.escape(text, quote=False))
    return text.replace("$", "<span>&#36;</span>")


def save_figure(picture: bytes, caption: str) -> Path | None:
    """Write the picture to the folder that COURSE_FIGURES names (if any) as NN.png; return the path."""
    folder = os.environ.get("COURSE_FIGURES")
    if not folder or not picture or runtime.rank() != 0:
        return None
    path = Path(folder) / f"{next(_numbers):02d}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    note = PngImagePlugin.PngInfo()
    note.add_itxt("Description", caption)
    with Image.open(io.BytesIO(picture)) as image:
        image.save(path, pnginfo=note, optimize=True, dpi=image.info.get("dpi"))
    return path
