"""A second image set, the 26 capital letters, made from the fonts that come with matplotlib.

from course_utils.data.font_letters import font_letters

data = font_letters(seed=0)             # like cu.mnist(): data.train, data.val, data.test, data.classes
"""

import math
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F

from course_utils.data.pixels import to_uint8
from course_utils.data.split import Images, Split
from course_utils.system.numbers import whole

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
DEJAVU = [
    (f"DejaVu {family}", weight, style)
    for family in ("Sans", "Serif", "Sans Mono")
    for weight in ("normal", "bold")
    for style in ("normal", "italic")
]
STIX = [("STIXGeneral", weight, style) for weight in ("normal", "bold") for style in ("normal", "italic")]
COMPUTER_MODERN = [(family, "normal", "normal") for family in ("cmr10", "cmss10", "cmtt10")]
FACES = [*DEJAVU, *STIX, *COMPUTER_MODERN]
"""(family, weight, style) of the 19 faces, all of which come with matplotlib."""

SIDE = 56  # a glyph is drawn twice as large as the image that is made of it
INK = 42  # pixels of its longest side there


def _glyph(letter: str, font) -> np.ndarray:
    """One letter as float32 (SIDE, SIDE) in [0, 1]: longest side INK pixels, the box in the middle."""
    from PIL import Image, ImageDraw

    sheet = Image.new("L", (240, 240))
    ImageDraw.Draw(sheet).text((60, 40), letter, fill=255, font=font)
    ink = sheet.crop(sheet.getbbox())
    scale = INK / max(ink.size)
    size = [max(1, round(side * scale)) for side in ink.size]
    page = Image.new("L", (SIDE, SIDE))
    page.paste(ink.resize(size, Image.Resampling.LANCZOS), [(SIDE - side) // 2 for side in size])
    return np.asarray(page, np.float32) / 255


@cache
def _glyphs() -> torch.Tensor:
    """All letters in all faces, float32 (26, 19, SIDE, SIDE)."""
    from matplotlib import font_manager
    from PIL import ImageFont

    fonts = []
    for family, weight, style in FACES:
        face = font_manager.FontProperties(family=family, weight=weight, style=style)
        fonts.append(ImageFont.truetype(font_manager.findfont(face, fallback_to_default=False), 100))
    return torch.from_numpy(np.stack([[_glyph(letter, font) for font in fonts] for letter in LETTERS]))


def _placements(n: int, generator: torch.Generator) -> torch.Tensor:
    """n random placements (n, 2, 3) for `affine_grid`: turned up to 12°, slanted, 0.8 to 1.1 as large, moved
    up to 2 of 28 pixels."""
    u = 2 * torch.rand(n, 6, generator=generator) - 1
    angle, slant = u[:, 0] * math.radians(12), 0.25 * u[:, 1]
    wide, high = 1 / (0.95 + 0.15 * u[:, 2]), 1 / (0.95 + 0.15 * u[:, 3])
    cos, sin = angle.cos(), angle.sin()
    rows = [
        wide * cos,
        wide * (slant * cos - sin),
        u[:, 4] / 7,
        high * sin,
        high * (slant * sin + cos),
        u[:, 5] / 7,
    ]
    return torch.stack(rows, 1).view(n, 2, 3)


def _written(per_letter: int, generator: torch.Generator) -> Split:
    """`per_letter` images of each letter, in random order, each in a random face and placement."""
    y = torch.arange(26).repeat(per_letter)[torch.randperm(26 * per_letter, generator=generator)]
    face = torch.randint(len(FACES), y.shape, generator=generator)
    glyphs = _glyphs()[y, face][:, None]  # (n, 1, SIDE, SIDE)
    bold = torch.rand(len(y), generator=generator) < 0.3
    glyphs = torch.where(bold[:, None, None, None], F.max_pool2d(glyphs, 3, 1, 1), glyphs)
    grid = F.affine_grid(_placements(len(y), generator), glyphs.shape, align_corners=False)
    images = F.avg_pool2d(F.grid_sample(glyphs, grid, align_corners=False), 2)  # (n, 1, 28, 28)
    return Split(to_uint8(images.clamp(0, 1)), y)


@cache
def font_letters(seed: int = 0, per_letter: int = 200) -> Images:
    """Return the capital letters A to Z in 19 faces as an image set like `cu.mnist()`: uint8 (N, 1, 28, 28).

    Each image is a letter in a random face, turned, slanted, scaled, moved and in three of ten thickened at
    random. The training split has `per_letter` images of each letter (at least 5), the others a fifth of that.
    The same arguments give the same images under one version of matplotlib and Pillow; do not change them in
    place. Raises ValueError for too few.
    """
    per_letter = whole(per_letter, "per_letter, the number of training images of each letter,")
    if per_letter < 5:
        raise ValueError(f"font_letters needs at least 5 images of each letter, not {per_letter}.")
    generator = torch.Generator().manual_seed(whole(seed, "seed"))
    parts = [_written(n, generator) for n in (per_letter, per_letter // 5, per_letter // 5)]
    return Images(*parts, name="font letters", classes=tuple(LETTERS))
