"""Pictures with words below them."""

import math

import matplotlib.pyplot as plt
from torch import Tensor


def folded(sentence: str, width: int = 24) -> str:
    """Return a sentence in lines of at most `width` letters (a longer word stands alone)."""
    lines = [""]
    for word in sentence.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > width:
            lines.append("")
        lines[-1] += f" {word}" if lines[-1] else word
    return "\n".join(lines)


def draw_told(pictures: Tensor, lines: list[str], columns: int = 4, colours: list[str] | None = None):
    """Return a figure of pictures (n, 3, h, w; uint8, or floats in [0, 1]), each with its text below.

    `colours`: one for each text; black by default. Raises ValueError for no pictures, or another number of texts.
    """
    texts = (lines, colours or lines)
    if not len(pictures) or any(len(text) != len(pictures) for text in texts):
        raise ValueError(
            f"{len(pictures)} pictures need a line each (and a colour, if any), and at least one."
        )
    rows = math.ceil(len(pictures) / columns)
    fig, axes = plt.subplots(
        rows, columns, figsize=(3 * columns, 3.7 * rows), layout="constrained", squeeze=False
    )
    for ax in axes.flat:
        ax.axis("off")
    for i, (ax, picture) in enumerate(zip(axes.flat, pictures, strict=False)):
        picture = picture.cpu()
        if picture.dtype.is_floating_point:
            picture = picture.clamp(0, 1)
        ax.imshow(picture.permute(1, 2, 0).numpy(), interpolation="nearest")
        ink = colours[i] if colours else "black"
        ax.set_title(lines[i], loc="left", fontsize=12, y=-0.03, va="top", color=ink)
    return fig
