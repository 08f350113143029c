"""What a reader sees below a cell: figures with captions, and bundles that survive without a kernel.

Every figure of the course goes through `show`. In a notebook it becomes one PNG (with its caption as
alternative text) followed by the visible caption. In a plain script the caption is printed. With
COURSE_FIGURES=DIR in the environment every figure is also written to DIR as 01.png, 02.png, …, its caption in
the file's text chunk "Description": this is how authors look at each figure
(`COURSE_FIGURES=/tmp/f python lessons/02_….py`).
"""

import html
import io
import itertools
import os
import re
from pathlib import Path

from PIL import Image, PngImagePlugin

from course_utils.plots.picture import Picture, close, figure_of
from course_utils.system import machine, ranks
from course_utils.system.profile import profile

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
        picture = Picture.of(fig, caption) if _wanted() else None
    finally:
        close(fig)
    if picture is None:
        _print_caption(caption)
    else:
        show_picture(picture)


def show_picture(picture: Picture) -> None:
    """Show a picture above its caption; a plain script prints the caption."""
    check_caption(picture.caption)
    save_figure(picture)
    if machine.in_notebook():
        publish(picture)
        show_caption(picture.caption)
    else:
        _print_caption(picture.caption)


def _wanted() -> bool:
    """Whether anybody will see a drawn figure; the profile quick draws all, to notice one that cannot be."""
    seen = machine.in_notebook() or os.environ.get("COURSE_FIGURES") or profile() == "quick"
    return bool(seen) and ranks.rank() == 0


def _print_caption(caption: str) -> None:
    if ranks.rank() == 0:
        print(f"[figure] {caption}")


def check_caption(caption: str) -> None:
    """Raise ValueError unless `caption` is text with something in it."""
    if not isinstance(caption, str) or not caption.strip():
        raise ValueError(
            "Every figure needs a caption that says what is seen: cu.show(fig, 'Left: … Right: …')."
        )


def publish(picture: Picture, view: dict | None = None) -> None:
    """Publish one output: a picture and, if `view` is given, the widget that it is the static form of."""
    from IPython.display import display

    display(picture.data | (view or {}), metadata=picture.metadata, raw=True)


def show_caption(caption: str, word: str = "Figure") -> None:
    """Publish the visible caption (notebooks only): "**Figure.** …" in italics, its Markdown escaped."""
    from IPython.display import display

    text = " ".join(caption.split())
    display({"text/markdown": f"**{word}.** *{escape(text)}*", "text/plain": f"{word}. {text}"}, raw=True)


def escape(text: str) -> str:
    """Return `text` such that Markdown (with HTML and $-mathematics) shows exactly these characters."""
    text = re.sub(r"([\\`*_\[\]|~#])", r"\\\1", html.escape(text, quote=False))
    return text.replace("$", "<span>&#36;</span>")


def save_figure(picture: Picture) -> Path | None:
    """Write the picture to the folder that COURSE_FIGURES names (if any) as NN.png; return the path."""
    folder = os.environ.get("COURSE_FIGURES")
    if not folder or ranks.rank() != 0:
        return None
    path = Path(folder) / f"{next(_numbers):02d}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    note = PngImagePlugin.PngInfo()
    note.add_itxt("Description", picture.caption)
    with Image.open(io.BytesIO(picture.png)) as image:
        image.save(path, pnginfo=note, dpi=image.info.get("dpi"))
    return path
