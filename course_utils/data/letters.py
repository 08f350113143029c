"""Letters in MNIST's manner, drawn with the fonts that come with matplotlib: "something else" for anomaly
detectors."""

from functools import cache

import numpy as np
import torch

ALPHABET = "ACDEFGHJKLMNPQRTUVWXYacdefhijkmnprtuvwxy"
"""Letters that no hand writes like a digit: B, b, g, I, l, O, o, q, S, s, Z and z are left out."""


def _glyph(character: str, font) -> np.ndarray:
    """One character as uint8 (28, 28): longest side 20 pixels, centre of mass in the middle, like MNIST."""
    from PIL import Image, ImageDraw

    sheet = Image.new("L", (200, 200))
    ImageDraw.Draw(sheet).text((50, 30), character, fill=255, font=font)
    ink = sheet.crop(sheet.getbbox())
    scale = 20 / max(ink.size)
    ink = np.asarray(ink.resize([max(1, round(side * scale)) for side in ink.size], Image.Resampling.LANCZOS))
    image = np.zeros((28, 28), np.uint8)
    weight = ink.astype(float)
    centre = [(weight.sum(1 - axis) * np.arange(ink.shape[axis])).sum() / weight.sum() for axis in (0, 1)]
    top, left = (int(np.clip(round(13.5 - c), 0, 28 - size)) for c, size in zip(centre, ink.shape))
    image[top : top + ink.shape[0], left : left + ink.shape[1]] = ink
    return image


@cache
def letters() -> torch.Tensor:
    """Return 480 letters, uint8 (480, 1, 28, 28): 40 characters in 12 faces of DejaVu, scaled and centred
    like MNIST.

    The same tensor each time; do not change it in place.
    """
    from matplotlib import font_manager
    from PIL import ImageFont

    images = []
    for family in ("Sans", "Serif", "Sans Mono"):
        for weight in ("normal", "bold"):
            for style in ("normal", "italic"):
                face = font_manager.FontProperties(family=f"DejaVu {family}", weight=weight, style=style)
                font = ImageFont.truetype(font_manager.findfont(face), 80)
                images += [_glyph(character, font) for character in ALPHABET]
    return torch.from_numpy(np.stack(images))[:, None]
