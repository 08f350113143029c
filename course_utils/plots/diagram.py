"""Schematics in the house style: boxes, round nodes, arrows, plates and braces, placed by hand in inches.

    d = cu.diagram()
    x = d.node("x", (0, 0), observed=True)
    z = d.node("z", (0, 1.5))
    d.arrow(z, x, "p(x | z)")
    d.plate([x, z], "n = 1 … N")
    cu.show(d.figure, "A latent variable z behind each image x.")

The figure grows to hold what was drawn; one unit is one inch on the page.
"""

from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Circle, Ellipse, FancyArrowPatch, FancyBboxPatch, Patch, Rectangle

from course_utils.plots.style import PALETTE

INK = "#333333"
SHADE = "#d9d9d9"
MARGIN = 0.12
"""Inches of white around a diagram."""


@dataclass(frozen=True, eq=False)
class Shape:
    """Something an arrow can start from: its centre (x, y), its width and height in inches, its patch."""

    x: float
    y: float
    width: float
    height: float
    patch: Patch

    @property
    def left(self) -> tuple[float, float]:
        """The middle of the left side."""
        return self.x - self.width / 2, self.y

    @property
    def right(self) -> tuple[float, float]:
        """The middle of the right side."""
        return self.x + self.width / 2, self.y

    @property
    def top(self) -> tuple[float, float]:
        """The middle of the upper side."""
        return self.x, self.y + self.height / 2

    @property
    def bottom(self) -> tuple[float, float]:
        """The middle of the lower side."""
        return self.x, self.y - self.height / 2


class Diagram:
    """A blank sheet with equal scales and no axes; `.figure` is the figure, `.ax` its axes.

    `fontsize`: points of all text that does not say otherwise.
    """

    def __init__(self, fontsize: float = 13):
        self.fontsize = fontsize
        self._figure, self.ax = plt.subplots(figsize=(4, 4), layout="none")
        self.ax.set_position([0, 0, 1, 1])
        self.ax.set_axis_off()
        self.ax.set_aspect("equal")
        self.ax.set(xlim=(0, 4), ylim=(0, 4))  # one unit is one inch while text is measured

    def box(
        self, text: str, at, width=None, height: float = 0.6, *, colour=PALETTE[0], note: str = ""
    ) -> Shape:
        """Draw a rounded box with `text` in it, its centre at `at` = (x, y); returns the Shape.

        `width` defaults to what the text needs. `colour` is that of the border; the box is filled with a
        tint of it. `note` stands below in small type, for instance the shape of what comes out.
        """
        x, y = at
        if width is None:
            width = max(0.6, self._size(text, self.fontsize)[0] + 0.3)
        patch = FancyBboxPatch(
            (x - width / 2, y - height / 2),
            width,
            height,
            boxstyle="round,pad=0,rounding_size=0.08",
            facecolor=_tint(colour),
            edgecolor=colour,
            linewidth=1.8,
        )
        self.ax.add_patch(patch)
        self.text(text, at)
        if note:
            self.text(note, (x, y - height / 2 - 0.15), fontsize=self.fontsize - 2, colour="#555555")
        return Shape(x, y, width, height, patch)

    def node(self, text: str, at, radius: float = 0.32, *, observed: bool = False) -> Shape:
        """Draw a random variable as a circle, shaded if it is observed; returns the Shape."""
        x, y = at
        patch = Circle(at, radius, facecolor=SHADE if observed else "white", edgecolor=INK, linewidth=1.8)
        self.ax.add_patch(patch)
        self.text(text, at, fontsize=self.fontsize + 2)
        return Shape(x, y, 2 * radius, 2 * radius, patch)

    def dot(self, text: str, at, *, side: str = "left") -> Shape:
        """Draw a parameter as a dot with its name beside it (`side`: left, right, above or below)."""
        x, y = at
        patch = Ellipse(at, 0.12, 0.12, color=INK)
        self.ax.add_patch(patch)
        away = {"left": (-0.22, 0), "right": (0.22, 0), "above": (0, 0.22), "below": (0, -0.22)}
        if side not in away:
            raise ValueError(f"side is left, right, above or below, not {side!r}.")
        dx, dy = away[side]
        self.text(text, (x + dx, y + dy))
        return Shape(x, y, 0.12, 0.12, patch)

    def image(self, pixels, at, side: float = 0.9) -> Shape:
        """Draw an image (H, W), dark ink on white, `side` inches wide; returns the Shape."""
        from course_utils.data.pixels import as_images

        x, y = at
        grey = as_images(np.asarray(pixels)[None])[0]
        height = side * grey.shape[0] / grey.shape[1]
        extent = (x - side / 2, x + side / 2, y - height / 2, y + height / 2)
        self.ax.imshow(
            grey, cmap="gray_r", vmin=0, vmax=255, extent=extent, interpolation="nearest", zorder=2
        )
        patch = Rectangle(
            (extent[0], extent[2]), side, height, fill=False, edgecolor="#999999", linewidth=1, zorder=3
        )
        self.ax.add_patch(patch)
        return Shape(x, y, side, height, patch)

    def arrow(
        self, start, end, label: str = "", *, bend: float = 0.0, dashed: bool = False, colour=INK
    ) -> None:
        """Draw an arrow from border to border of two Shapes (or between points (x, y)).

        `label` stands beside its middle. `bend` curves it to the left of its way (to the right if negative);
        `dashed` for what is only inferred, or for noise.
        """
        begin, begin_patch = _end_of(start)
        finish, finish_patch = _end_of(end)
        patch = FancyArrowPatch(
            begin,
            finish,
            patchA=begin_patch,
            patchB=finish_patch,
            arrowstyle="-|>",
            mutation_scale=16,
            connectionstyle=f"arc3,rad={-bend}",
            linestyle=(0, (4, 2.5)) if dashed else "-",
            linewidth=1.8,
            color=colour,
            shrinkA=2,
            shrinkB=2,
        )
        self.ax.add_patch(patch)
        if label:
            ends = (begin, finish) if bend else (_border(start, finish), _border(end, begin))
            self._beside(label, *(np.asarray(point, float) for point in ends), bend, colour)

    def line(self, start, end, *, colour=INK) -> None:
        """Draw a plain line between two Shapes or points: an edge without a direction."""
        begin, begin_patch = _end_of(start)
        finish, finish_patch = _end_of(end)
        self.ax.add_patch(
            FancyArrowPatch(
                begin,
                finish,
                patchA=begin_patch,
                patchB=finish_patch,
                arrowstyle="-",
                linewidth=1.8,
                color=colour,
                shrinkA=0,
                shrinkB=0,
                zorder=0,
            )
        )

    def plate(self, shapes, label: str, pad: float = 0.25) -> Shape:
        """Draw a rounded frame around Shapes, `label` in its lower right corner: they are repeated."""
        left = min(s.x - s.width / 2 for s in shapes) - pad
        right = max(s.x + s.width / 2 for s in shapes) + pad
        bottom = min(s.y - s.height / 2 for s in shapes) - pad - 0.22
        top = max(s.y + s.height / 2 for s in shapes) + pad
        right = max(right, left + self._size(label, self.fontsize - 1)[0] + 0.2)
        patch = FancyBboxPatch(
            (left, bottom),
            right - left,
            top - bottom,
            boxstyle="round,pad=0,rounding_size=0.12",
            fill=False,
            edgecolor="#777777",
            linewidth=1.4,
            zorder=0,
        )
        self.ax.add_patch(patch)
        self.text(label, (right - 0.1, bottom + 0.16), fontsize=self.fontsize - 1, align="right")
        return Shape((left + right) / 2, (bottom + top) / 2, right - left, top - bottom, patch)

    def brace(self, start, end, label: str, depth: float = 0.18) -> None:
        """Draw a curly brace from point to point with `label` at its tip, on the left of the way."""
        begin, finish = (np.asarray(point, float) for point in (start, end))
        along = finish - begin
        length = np.linalg.norm(along)
        if length == 0:
            raise ValueError("A brace needs two different points.")
        normal = np.array([-along[1], along[0]]) / length
        share = np.linspace(0, 1, 200)
        height = depth * _brace_profile(share, depth / length)
        curve = begin + share[:, None] * along + height[:, None] * normal
        self.ax.plot(*curve.T, color=INK, linewidth=1.6, solid_capstyle="round")
        self._outside(label, begin + along / 2 + (depth + 0.06) * normal, normal)

    def text(
        self, text: str, at, *, fontsize=None, colour=INK, align: str = "center", weight: str = "normal"
    ) -> None:
        """Write text with its centre (or, by `align`, its left or right end) at a point."""
        self.ax.text(
            *at,
            text,
            ha=align,
            va="center",
            fontsize=fontsize or self.fontsize,
            color=colour,
            weight=weight,
            zorder=4,
        )

    @property
    def figure(self):
        """The figure, as large as what was drawn."""
        self._figure.set_size_inches(4, 4)
        self.ax.set(xlim=(0, 4), ylim=(0, 4))
        self._figure.canvas.draw()
        box = self._drawn()
        left, bottom = box.x0 - MARGIN, box.y0 - MARGIN
        width, height = box.width + 2 * MARGIN, box.height + 2 * MARGIN
        self._figure.set_size_inches(width, height)
        self.ax.set(xlim=(left, left + width), ylim=(bottom, bottom + height))
        return self._figure

    def _drawn(self):
        """The box, in units of the sheet, around everything on it."""
        from matplotlib.transforms import Bbox

        renderer = self._figure.canvas.get_renderer()
        artists = [*self.ax.patches, *self.ax.texts, *self.ax.lines, *self.ax.images]
        if not artists:
            raise ValueError("The diagram is empty.")
        boxes = [artist.get_window_extent(renderer) for artist in artists]
        return Bbox.union(boxes).transformed(self.ax.transData.inverted())

    def _size(self, text: str, fontsize: float) -> tuple[float, float]:
        """Inches that a text takes."""
        probe = self.ax.text(0, 0, text, fontsize=fontsize)
        box = probe.get_window_extent(self._figure.canvas.get_renderer())
        probe.remove()
        return box.width / self._figure.dpi, box.height / self._figure.dpi

    def _beside(self, label: str, begin, finish, bend: float, colour) -> None:
        """Write the label of an arrow beside its middle, on the side to which it bends."""
        along = finish - begin
        length = max(np.linalg.norm(along), 1e-9)
        normal = np.array([-along[1], along[0]]) / length
        if bend == 0 and (normal[1] < 0 or (normal[1] == 0 and normal[0] < 0)):
            normal = -normal  # a straight arrow has its label above it, or to its right
        side = -1.0 if bend < 0 else 1.0
        middle = (begin + finish) / 2 + normal * (abs(bend) * length / 2 if bend else 0) * side
        self._outside(label, middle + 0.08 * side * normal, side * normal, colour)

    def _outside(self, label: str, point, normal, colour=INK) -> None:
        """Write a label so that it touches `point` and lies on the side to which `normal` points."""
        width, height = self._size(label, self.fontsize - 1)
        away = np.array([normal[0] * width / 2, normal[1] * height / 2])
        self.text(label, point + away, fontsize=self.fontsize - 1, colour=colour)


def diagram(fontsize: float = 13) -> Diagram:
    """Return a blank sheet for boxes, nodes, arrows, plates and braces (see `course_utils.plots.diagram`)."""
    return Diagram(fontsize)


def _end_of(thing) -> tuple:
    """The point that an arrow aims at, and the patch at whose border it stops (None for a bare point)."""
    return ((thing.x, thing.y), thing.patch) if isinstance(thing, Shape) else (tuple(thing), None)


def _border(thing, towards) -> np.ndarray:
    """Where the straight way from a Shape's centre to a point leaves its frame (a bare point: itself)."""
    if not isinstance(thing, Shape):
        return np.asarray(thing, float)
    centre = np.array([thing.x, thing.y])
    way = np.asarray(towards, float) - centre
    half = np.array([thing.width, thing.height]) / 2
    steps = half / np.maximum(np.abs(way), 1e-9)
    return centre + min(1.0, steps.min()) * way


def _tint(colour) -> tuple[float, ...]:
    """A pale version of a colour."""
    from matplotlib.colors import to_rgb

    return tuple(1 - 0.15 * (1 - channel) for channel in to_rgb(colour))


def _brace_profile(share: np.ndarray, ratio: float) -> np.ndarray:
    """Height, 0 … 1, of a curly brace along its length; `ratio`: depth over length."""
    corner = min(0.25, ratio)
    folded = np.minimum(share, 1 - share)  # 0 at the ends, 0.5 at the tip
    rise = 0.5 * np.sqrt(np.clip(1 - (1 - np.clip(folded / corner, 0, 1)) ** 2, 0, 1))
    tip = 0.5 * (1 - np.sqrt(np.clip(1 - (1 - np.clip((0.5 - folded) / corner, 0, 1)) ** 2, 0, 1)))
    return rise + np.where(folded > 0.25, tip, 0)
