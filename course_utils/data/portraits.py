"""Drawn portraits with known attributes, no person behind them: layers (data/README.md), composed at random.

people = cu.portraits(5_000, seed=1)          # people.x: uint8 (5000, 3, 64, 64)
people.attributes["glasses"]                  # bool (5000,); also skin, hair, clothes, smile, long, …
cu.portraits(8, hair="blond", smile=[True] * 4 + [False] * 4)
cu.portraits(5_000, law=tie)                  # def tie(generator, attributes): … return a dict
"""

import io
from dataclasses import dataclass
from functools import cache
from numbers import Real
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

from course_utils.data.files import read_verified
from course_utils.system import folders
from course_utils.system.numbers import whole

FILES = {
    "toon": ("toon128.npz", "64d740b3fa47bc7e90f2a7b8dc02fabee6b27bd6f619810fd450ed7a4442568f"),
    "pixel": ("pixel16.npz", "9a09b10484ffe8d0fb25e54f95b5040647cd00f18464813d8c5f1a11e06790ff"),
}
SIZES = {"toon": (16, 32, 64, 128), "pixel": (16, 32, 64)}
SKIN = dict(enumerate(("5c3829", "a36b4f", "b98e6a", "c68e7a", "f1c3a5")))  # from dark to light
HAIR = {"black": "2c1b18", "brown": "724133", "red": "a55728", "ginger": "d0692c", "blond": "d6b370"}
CLOTHES = {"black": "151613", "blue": "0b3286", "green": "147f3c", "orange": "f97316", "pink": "ec4899"}
CLOTHES |= {"violet": "731ac3", "red": "b11f1f", "white": "e8e9e6", "yellow": "eab308"}
PALETTES = {"skin": SKIN, "hair": HAIR, "clothes": CLOTHES}
SHARES = {"smile": 1 / 2, "long": 1 / 2, "beard": 1 / 4, "glasses": 1 / 2}
ATTRIBUTES = (*PALETTES, *SHARES, "sky")
SKY, FRAME, IRIS, LIPS = "bfdef5", "1d1d26", "5b7c8b", "c98276"
DRAWS, CHUNK = 20, 64  # uniform numbers a portrait: attributes, then parts; portraits composed at a time


class Layer(NamedTuple):
    """A part of a portrait: its colour (an attribute or a fixed one), and how the names begin of the variants
    it chooses from where the attribute `when` is False and where it is True; () draws nothing."""

    colour: str = FRAME
    when: str = "smile"
    no: tuple[str, ...] = ("",)
    yes: tuple[str, ...] = ("",)


STYLES = {  # part → layer, from the back to the front
    "toon": {
        "rearHair": Layer("hair", "long", no=()),
        "body": Layer("skin"),
        "head": Layer("skin"),
        "clothes": Layer("clothes"),
        "mouth": Layer(no=("sad", "angry"), yes=("smile", "laugh")),
        "beard": Layer("hair", "beard", no=()),
        "eyes": Layer(),
        "eyebrows": Layer("hair", no=("sad", "angry"), yes=("happy", "neutral", "raised")),
        "glasses": Layer(FRAME, "glasses", no=()),
        "hair": Layer("hair"),
    },
    "pixel": {
        "base": Layer("skin"),
        "clothes": Layer("clothes"),
        "eyes": Layer(IRIS),
        "glasses": Layer(FRAME, "glasses", no=()),
        "beard": Layer("hair", "beard", no=()),
        "mouth": Layer(LIPS, no=("sad",), yes=("happy",)),
        "hair": Layer("hair", "long", no=("short",), yes=("long",)),
    },
}


@dataclass(frozen=True, eq=False)
class Portraits:
    """`x` uint8 (n, 3, size, size) in 0..255; `attributes`: name → tensor (n,). See `portraits`."""

    x: torch.Tensor
    attributes: dict[str, torch.Tensor]

    def __len__(self) -> int:
        return len(self.x)

    def __repr__(self) -> str:
        return f"Portraits(x: uint8 {tuple(self.x.shape)}, attributes: {', '.join(self.attributes)})"


def portraits(n: int, size: int = 64, seed: int = 0, style: str = "toon", law=None, **fixed) -> Portraits:
    """Draw `n` portraits with their attributes, which are independent of one another unless `law` ties them.

    `style` "toon" comes in 16, 32, 64 or 128 pixels, "pixel" in 16, 32 or 64. The attributes: int64 skin (0
    dark … 4 light), hair (0 … 4: black, brown, red, ginger, blond) and clothes (0 … 8, see `CLOTHES`); bool
    smile (the mouth; in toon heads the eyebrows, too), long (hair), beard and glasses, with the `SHARES` 1/2,
    1/2, 1/4, 1/2; float32 sky, the brightness of the background, in [0.6, 1]. Forms (of hair, eyes, …) vary.

    `fixed`: attributes held at one value for all (`smile=True`, `hair="blond"` or `hair=4`), or at a sequence
    or tensor of n values. `law(generator, attributes)` gets a torch.Generator and all attributes, fixed ones
    among them, and returns a dict with those that it changes; fixed ones hold whatever it says.

    Portrait i depends on (seed, i), not on n (under a law: as its own draws do). Each attribute and part has a
    random number of its own: the same seed in another style or size has the same attributes, and portraits
    with `glasses=True` differ from those with `glasses=False` in the glasses alone.
    Raises ValueError for a wrong argument, DataError if the layers are missing or damaged.
    """
    n, seed, size = whole(n, "n, the number of portraits,", least=1), whole(seed, "seed"), whole(size, "size")
    if size not in SIZES.get(style, ()):
        raise ValueError(f"Choose a style and a size that there are, {SIZES}, not {style!r} with {size}.")
    held = {name: _checked(name, value, n) for name, value in fixed.items()}
    g = torch.Generator().manual_seed(seed)
    law_g = torch.Generator().manual_seed(int(torch.randint(2**62, (), generator=g)))
    u = torch.rand(n, DRAWS, generator=g, dtype=torch.float32)  # row by row, so that n does not matter
    column = dict(zip(ATTRIBUTES, u.T))
    known = {name: (column[name] * len(palette)).long() for name, palette in PALETTES.items()}
    known |= {name: column[name] < share for name, share in SHARES.items()}
    known |= {"sky": 0.6 + 0.4 * column["sky"]} | held
    if law is not None:
        changed = law(law_g, {name: values.clone() for name, values in known.items()})
        if not isinstance(changed, dict):
            raise ValueError(f"law must return a dict of attributes, not {changed!r}.")
        known |= {name: _checked(name, values, n) for name, values in changed.items()} | held
    variants = _variants(known, u[:, len(ATTRIBUTES) :], style, size)
    chunks = torch.arange(n).split(CHUNK)
    return Portraits(torch.cat([_composed(known, variants, style, size, rows) for rows in chunks]), known)


def _checked(name: str, value, n: int) -> torch.Tensor:
    """`value`, one or n of them, as the tensor (n,) of an attribute."""
    if name not in ATTRIBUTES:
        raise ValueError(f"{name!r} is no attribute of a portrait; these are: {', '.join(ATTRIBUTES)}.")
    value = value.tolist() if isinstance(value, torch.Tensor | np.ndarray | np.generic) else value
    values = value if isinstance(value, list | tuple | range) else [value] * n
    if len(values) != n:
        raise ValueError(f"{name} needs one value, or one for each of {n:,} portraits, not {len(values):,}.")
    dtype = torch.int64 if name in PALETTES else torch.bool if name in SHARES else torch.float32
    keys = list(PALETTES.get(name, (False, True)))
    numbers = [keys.index(one) if isinstance(one, str) and one in keys else one for one in values]
    for one in numbers:
        right = isinstance(one, Real) and 0 <= one <= len(keys) - 1 and (name == "sky" or one % 1 == 0)
        if not right or (name in PALETTES and isinstance(one, bool)):
            what = "from 0 to 1" if name == "sky" else f"one of {', '.join(map(str, keys))} or its number"
            raise ValueError(f"{name} must be {what}, not {one!r}.")
    return torch.tensor(numbers, dtype=dtype)


def _variants(known: dict, u: torch.Tensor, style: str, size: int) -> dict[str, torch.Tensor]:
    """The variant that each portrait has of each part: int64 (n,), numbers in the bank."""
    chosen = {}
    for (part, layer), share in zip(STYLES[style].items(), u.T):
        names = _bank(style, size)[part][0]
        no, yes = ([i for i, name in enumerate(names) if name.startswith(s)] for s in (layer.no, layer.yes))
        pick = [torch.tensor(i or [len(names)])[(share * max(1, len(i))).long()] for i in (no, yes)]
        chosen[part] = torch.where(known[layer.when], pick[1], pick[0])
    return chosen


def _composed(known: dict, variants: dict, style: str, size: int, rows: torch.Tensor) -> torch.Tensor:
    """The portraits `rows` as uint8 (B, 3, size, size): each part over what is behind it, premultiplied."""
    x = (_rgb(SKY) * known["sky"][rows, None])[:, :, None, None].repeat(1, 1, size, size)
    for part, layer in STYLES[style].items():
        _, through, own, mask = _bank(style, size)[part]
        v, palette = variants[part][rows], PALETTES.get(layer.colour)
        colour = _rgb(*palette.values())[known[layer.colour][rows]] if palette else _rgb(layer.colour)
        x.mul_(through[v]).add_(own[v]).addcmul_(mask[v], colour[:, :, None, None])
    return x.mul_(255).round_().clamp_(0, 255).to(torch.uint8)


@cache
def _bank(style: str, size: int) -> dict[str, tuple]:
    """Part → the names of its V variants, and for each what shines through (V + 1, 1, size, size), its own
    colours (V + 1, 3, …) and where the colour of the layer goes (V + 1, 1, …); the last one is empty."""
    path = folders.data_dir() / "faces" / FILES[style][0]
    content = read_verified(path, FILES[style][1], "Bring it back with: git checkout -- data/faces")
    with np.load(io.BytesIO(content)) as file:
        stored = {key: np.atleast_3d(file[key]).transpose(2, 0, 1) / np.float32(255) for key in file.files}
    stored |= {"glasses.round.glasses": _glasses()} if style == "toon" else {}
    bank = {}
    for part in STYLES[style]:
        keys = [key.split(".") for key in stored if key.startswith(part + ".")]
        names, side = sorted({variant for _, variant, _ in keys}), stored[".".join(keys[0])].shape[-1]
        a = torch.zeros(len(names) + 1, 5, side, side, dtype=torch.float32)  # red, green, blue, opacity, mask
        for _, variant, what in keys:
            channels = slice(0, 4) if what == "base" else slice(4, 5)
            a[names.index(variant), channels] = torch.from_numpy(stored[f"{part}.{variant}.{what}"])
        # No opacity came with the pixel beards and our glasses: it is at least the strength of the colours.
        a[:, 3] = a[:, 3].maximum(a[:, :3].amax(1) + a[:, 4]).clamp(max=1)
        a = F.adaptive_avg_pool2d(a, size)  # means over boxes, or repeats
        bank[part] = (names, 1 - a[:, 3:4], a[:, :3].contiguous(), a[:, 4:].contiguous())
    return bank


def _glasses() -> np.ndarray:
    """Round glasses for the toon heads, float32 (1, 128, 128) in 0..1: rings, bridge and temples, 3 pixels wide."""
    y, x = np.mgrid[:128, :128].astype(np.float32) + 0.5
    rings = [abs(np.hypot(x - centre, y - 75.5) - 12) for centre in (48.5, 79.5)]
    lines = [np.hypot(x - x.clip(*ends), y - 73) for ends in ((29.5, 37), (60.5, 67.5), (91, 98.5))]
    return (2 - np.minimum.reduce(rings + lines)).clip(0, 1)[None]  # from the distance to the nearest stroke


def _rgb(*codes: str) -> torch.Tensor:
    return torch.tensor([list(bytes.fromhex(code)) for code in codes], dtype=torch.float32) / 255
