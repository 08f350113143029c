"""Pictures of scenes: 32 × 32 pixels, coloured things on black.

    glyphs = Glyphs(mnist.train)
    pictures = render(scenes, glyphs, generator)     # uint8 (n, 3, 32, 32)

A digit is a handwritten one of MNIST, cut out and scaled; a shape is drawn. A colour is one of the seven corners
of the colour cube that are not black. Where a thing stands is left to chance as far as the scene permits.
"""

import dataclasses
import math
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.data.pixels import to_uint8
from course_utils.data.split import Split
from course_utils.scenes.scene import COLOURS, SHAPES, Scene, Thing
from course_utils.system.numbers import whole

SIDE = 32
"""Side of a picture, in pixels."""

EXTENT = {"small": 9, "big": 14}
"""Longest side of a thing, in pixels."""

INKED = 0.3
"""A pixel of [0, 1] belongs to a thing if its brightest channel is above."""

GAP = 2
"""Empty lines, at least, between two things."""

OFFSET = 4
"""How far, at most, the middles of two things are out of line."""

RGB = dict(
    zip(
        COLOURS,
        [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (1, 0, 1), (0, 1, 1), (1, 1, 1)],
        strict=True,
    )
)


def _shape(kind: str, extent: int, fine: int = 8) -> Tensor:
    """A shape as float32 (extent, extent): the share of each pixel that it covers."""
    at = (torch.arange(extent * fine) + 0.5) / (extent * fine) * 2 - 1
    y, x = torch.meshgrid(at, at, indexing="ij")
    if kind == "circle":
        inside = x.square() + y.square() <= 1
    elif kind == "square":
        inside = torch.maximum(x.abs(), y.abs()) <= 1
    elif kind == "triangle":
        inside = x.abs() <= (y + 1) / 2
    else:  # a star of five points: between its inner and its outer radius, by the angle
        angle = torch.remainder(torch.atan2(x, -y), 2 * math.pi / 5)
        angle = torch.minimum(angle, 2 * math.pi / 5 - angle)
        outer, inner = 1.05, 0.42
        a, b = (outer, 0.0), (inner * math.cos(math.pi / 5), inner * math.sin(math.pi / 5))
        radius = (x.square() + y.square()).sqrt()
        p, q = radius * angle.cos(), radius * angle.sin()
        inside = (b[0] - a[0]) * (q - a[1]) - (b[1] - a[1]) * (p - a[0]) >= 0
    return F.avg_pool2d(inside.float()[None, None], fine)[0, 0]


def cut_out(images: Tensor, extent: int) -> Tensor:
    """Return digits cut to their ink and scaled to `extent` pixels on the longer side, in the middle of a square.

    `images`: uint8 (n, 1, h, w); returns float32 (n, extent, extent) in [0, 1], on the CPU. Raises ValueError for
    an image without ink, and for images of another type or shape.
    """
    if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 1:
        raise ValueError(f"digits must be uint8 (n, 1, h, w), not {images.dtype} {tuple(images.shape)}.")
    images = images.cpu()  # one by one is slow elsewhere
    out = torch.zeros(len(images), extent, extent)
    for row, image in zip(out, images[:, 0], strict=True):
        inked = (image > 60).nonzero()
        if not len(inked):
            raise ValueError("an image without ink has nothing to cut out.")
        (top, left), (bottom, right) = inked.min(0).values.tolist(), (inked.max(0).values + 1).tolist()
        cut = image[None, None, top:bottom, left:right].float() / 255
        scale = extent / max(cut.shape[-2:])
        size = [max(1, round(side * scale)) for side in cut.shape[-2:]]
        small = F.interpolate(cut, size, mode="bilinear", antialias=True, align_corners=False)[0, 0]
        small = (small / small.max()).clamp(0, 1)
        top, left = ((extent - side) // 2 for side in size)
        row[top : top + size[0], left : left + size[1]] = small
    return out


def _in_one_piece(masks: Tensor) -> Tensor:
    """Whether the ink of each mask (n, h, w) has no empty row or column inside: booleans (n,)."""
    ink = masks > INKED
    whole = torch.ones(len(masks), dtype=torch.bool)
    for axis in (1, 2):
        line = F.pad(ink.any(axis).int(), (1, 1))
        whole &= (line.diff() == 1).sum(1) == 1  # ink begins once
    return whole


@dataclasses.dataclass
class Glyphs:
    """The digits that pictures are made of: a split of MNIST (`x` uint8 (n, 1, 28, 28), `y` (n,)), of which the
    first `n` (or all, if there are fewer) are cut out once, at both sizes.

    Raises TypeError for what is no split, ValueError for an `n` below 1.
    """

    split: Split
    n: int = 10_000

    def __post_init__(self):
        if not hasattr(self.split, "x"):
            raise TypeError(
                f"Glyphs takes a split, as in Glyphs(mnist.train), not {type(self.split).__name__}."
            )
        self.n = whole(self.n, "n, the number of digits,", 1)

    @cached_property
    def cut(self) -> dict[str, Tensor]:
        """Size → float32 (n, extent, extent) in [0, 1]."""
        images = self.split.x[: self.n]
        return {size: cut_out(images, extent) for size, extent in EXTENT.items()}

    @cached_property
    def rows(self) -> list[Tensor]:
        """For each digit 0 to 9 the rows of `cut` that show it in one piece: no empty line cuts it at either size."""
        labels = self.split.y[: self.n].cpu()
        whole = torch.stack([_in_one_piece(cut) for cut in self.cut.values()]).all(0)
        return [((labels == digit) & whole).nonzero()[:, 0] for digit in range(10)]

    @cached_property
    def shapes(self) -> dict[tuple[str, str], Tensor]:
        """(size, shape) → float32 (extent, extent)."""
        return {(size, kind): _shape(kind, e) for size, e in EXTENT.items() for kind in SHAPES}

    def mask(self, thing: Thing, chance: float) -> Tensor:
        """Return how a thing covers its box, float32 (extent, extent); `chance` in [0, 1) picks the handwriting.

        Raises ValueError for a digit that is not among the `n`.
        """
        if thing.kind in SHAPES:
            return self.shapes[thing.size, thing.kind]
        rows = self.rows[int(thing.kind)]
        if not len(rows):
            raise ValueError(
                f"the first {self.n} digits show no {thing.kind} in one piece: choose a larger n."
            )
        return self.cut[thing.size][rows[int(chance * len(rows))]]


def _between(chance: float, least: int, most: int) -> int:
    return least + int(chance * (most - least + 1))


def place(scene: Scene, chances: list[float]) -> list[tuple[int, int]]:
    """Return the upper left corner (top, left), in pixels, of each thing's box, a square of side EXTENT.

    `chances`: four numbers in [0, 1), of which one thing alone needs two.
    """
    first, *rest = (EXTENT[thing.size] for thing in scene.things)
    if not rest:
        return [(_between(chances[0], 0, SIDE - first), _between(chances[1], 0, SIDE - first))]
    (second,) = rest
    gap = _between(chances[0], GAP, SIDE - first - second)
    start = _between(chances[1], 0, SIDE - first - second - gap)
    across = _between(chances[2], 0, SIDE - first)
    middle = across + first / 2 - second / 2
    least = max(0, math.ceil(middle - OFFSET))
    other = _between(chances[3], least, min(SIDE - second, math.floor(middle + OFFSET)))
    along = start + first + gap
    if scene.relation == "above":
        return [(start, across), (along, other)]
    return [(across, start), (other, along)]


def render(
    scenes: list[Scene], glyphs: Glyphs, generator: torch.Generator | None = None, boxes: bool = False
) -> Tensor | tuple[Tensor, Tensor]:
    """Return pictures of scenes, uint8 (n, 3, 32, 32), on the CPU.

    With `boxes` also where things stand: uint8 (n, 1, 32, 32), 255 in the box of a thing. `generator`: one on the
    CPU, by default torch's own; a scene takes six numbers of it, so a picture depends on those before it only by
    their number. Raises ValueError for a digit that `glyphs` does not have.
    """
    pictures = torch.zeros(len(scenes), 3, SIDE, SIDE)
    maps = torch.zeros(len(scenes), 1, SIDE, SIDE, dtype=torch.uint8)
    chances = torch.rand(len(scenes), 6, generator=generator).tolist()
    for picture, where, scene, chance in zip(pictures, maps, scenes, chances, strict=True):
        for thing, (top, left), pick in zip(scene.things, place(scene, chance), chance[4:], strict=False):
            mask = glyphs.mask(thing, pick)
            e = len(mask)
            colour = torch.tensor(RGB[thing.colour], dtype=torch.float32)[:, None, None]
            picture[:, top : top + e, left : left + e] = colour * mask
            where[:, top : top + e, left : left + e] = 255
    pictures = to_uint8(pictures)
    return (pictures, maps) if boxes else pictures
