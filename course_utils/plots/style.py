"""The one look of the course: colours, fonts, sizes."""

from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt

from course_utils.system import machine


def new_axes(ax, size=(5.0, 4.2)):
    """Return `ax`, or the axes of a new figure of `size` inches."""
    return plt.subplots(figsize=size)[1] if ax is None else ax


PALETTE = ["#0072B2", "#D55E00", "#009E73", "#E69F00", "#56B4E9", "#CC79A7", "#000000", "#F0E442"]
"""Okabe and Ito's eight colours (Color Universal Design, 2008): blue, vermilion, green, orange, sky, purple,
black, yellow. Yellow is last: it is too pale for lines on white."""
CLASS_COLOURS = [*PALETTE, "#8844DD", "#661100"]
"""Ten colours, one a digit class: the palette, violet and brown (both stay apart for colour-blind
readers)."""
STYLE = Path(__file__).with_name("style.mplstyle")


def use_style() -> None:
    """Apply the course's plot style; in a plain script also choose the backend that needs no screen."""
    plt.style.use(STYLE)
    if not machine.in_notebook():
        matplotlib.use("Agg")
