"""Portraits show the attributes that they say, one pixel agrees with arithmetic by hand, and laws are obeyed."""

import hashlib
import importlib
import math

import numpy as np
import pytest
import torch

import course_utils as cu
from course_utils.data.files import DataError

drawn = importlib.import_module("course_utils.data.portraits")  # the package has a function of that name
SCALE = {("toon", 128): 1, ("toon", 32): 4, ("pixel", 16): 1, ("pixel", 64): 0.25}


def by_hand(stored, people, i, row, column, style, size):
    """One pixel of portrait i, layer over layer, from the stored bytes: (3,) in 0..255."""
    k = SCALE[style, size]
    if k < 1:
        block = [(int(row * k), int(column * k))]
    else:
        block = [(row * k + a, column * k + b) for a in range(k) for b in range(k)]

    def at(key):
        return [stored[key][place] / 255 for place in block]

    held = {name: values[i : i + 1] for name, values in people.attributes.items()}
    sky = [int(drawn.SKY[j : j + 2], 16) / 255 for j in (0, 2, 4)]
    pixel = [channel * held["sky"].item() for channel in sky]
    for part, layer in drawn.STYLES[style].items():
        names = drawn._bank(style, size)[part][0]
        number = people.variants[part][i].item()
        if number == len(names):
            continue
        base = at(f"{part}.{names[number]}.base")
        slot = [key for key in stored if key.startswith(f"{part}.{names[number]}.") and key[-5:] != ".base"]
        mask = at(slot[0]) if slot else [0.0] * len(block)
        code = layer.colour
        if code in drawn.PALETTES:
            code = list(drawn.PALETTES[code].values())[held[code].item()]
        colour = [int(code[j : j + 2], 16) / 255 for j in (0, 2, 4)]
        opacity = [max(b[3], *(b[:3] + m)) for b, m in zip(base, mask)]  # beards come without
        alpha = sum(opacity) / len(block)
        for c in range(3):
            light = sum(b[c] + m * colour[c] for b, m in zip(base, mask)) / len(block)
            pixel[c] = light + (1 - alpha) * pixel[c]
    return [255 * channel for channel in pixel]


@pytest.mark.parametrize(("style", "size"), SCALE)
def test_pixels_agree_with_arithmetic_by_hand(style, size, monkeypatch):
    choose = drawn._variants
    seen = {}
    monkeypatch.setattr(drawn, "_variants", lambda *given: seen.setdefault("v", choose(*given)))
    people = cu.portraits(12, size, seed=3, style=style, beard=[True, False] * 6, glasses=style == "pixel")
    object.__setattr__(people, "variants", seen["v"])
    with np.load(drawn.folders.data_dir() / "faces" / drawn.FILES[style][0]) as file:
        stored = dict(file)
    random = np.random.default_rng(0)
    for i in range(12):
        for row, column in random.integers(0, size, (12, 2)):
            expected = by_hand(stored, people, i, int(row), int(column), style, size)
            got = people.x[i, :, row, column].tolist()
            assert np.abs(np.subtract(got, expected)).max() < 0.51, (i, row, column, got, expected)


@pytest.mark.parametrize("style", drawn.STYLES)
def test_a_portrait_depends_on_its_seed_and_number_alone(style):
    before = torch.get_rng_state()
    many = cu.portraits(150, 16, seed=4, style=style)
    few = cu.portraits(3, 16, seed=4, style=style)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(many.x[:3], few.x) and len(many) == 150 and many.x.dtype == torch.uint8
    assert all(torch.equal(many.attributes[name][:3], few.attributes[name]) for name in drawn.ATTRIBUTES)
    assert not torch.equal(cu.portraits(3, 16, seed=5, style=style).x, few.x)
    assert len(many.x.flatten(1).unique(dim=0)) == 150
    other = cu.portraits(150, 32, seed=4, style="pixel" if style == "toon" else "toon")
    assert all(torch.equal(many.attributes[name], other.attributes[name]) for name in drawn.ATTRIBUTES)


def test_sizes_show_the_same_people():
    large = cu.portraits(20, 128, seed=6).x.float()
    for size in (64, 32, 16):
        mean = torch.nn.functional.avg_pool2d(large, 128 // size)
        # averages of layers, composed, are averages of the composition but where edges of two layers meet
        assert (cu.portraits(20, size, seed=6).x - mean).abs().mean() < 2
    small = cu.portraits(20, 16, seed=6, style="pixel").x
    repeated = small.repeat_interleave(4, -1).repeat_interleave(4, -2)
    assert torch.equal(cu.portraits(20, 64, seed=6, style="pixel").x, repeated)


def test_shares_ranges_and_types():
    n = 20_000
    a = cu.portraits(n, 16, seed=7, style="pixel").attributes
    assert tuple(a) == drawn.ATTRIBUTES
    for name, share in {"smile": 0.5, "long": 0.5, "beard": 0.25, "glasses": 0.5}.items():
        assert a[name].dtype == torch.bool
        assert abs(a[name].float().mean() - share) < 5 * math.sqrt(share * (1 - share) / n)
    for name, number in {"skin": 5, "hair": 5, "clothes": 9}.items():
        assert a[name].dtype == torch.int64
        counts = torch.bincount(a[name], minlength=number).float()
        assert len(counts) == number and (counts - n / number).abs().max() < 5 * math.sqrt(n / number)
    assert a["sky"].dtype == torch.float32 and a["sky"].min() >= 0.6 and a["sky"].max() <= 1
    assert abs(a["sky"].mean() - 0.8) < 5 * 0.4 / math.sqrt(12 * n)
    together = torch.stack([values.double() for values in a.values()]).corrcoef() - torch.eye(len(a))
    assert together.abs().max() < 5 / math.sqrt(n), "the attributes are independent"


@pytest.mark.parametrize("style", drawn.STYLES)
def test_forms_are_independent_of_attributes_and_of_each_other(style, monkeypatch):
    choose = drawn._variants
    seen = {}
    monkeypatch.setattr(drawn, "_variants", lambda *given: seen.setdefault("v", choose(*given)))
    n = 5_000
    a = cu.portraits(n, 16, seed=10, style=style).attributes
    forms = [v for v in seen["v"].values() if (v == v[0]).sum() < n]
    table = torch.stack([values.double() for values in (*forms, *a.values())]).corrcoef()
    related = (table.tril(-1).abs() > 5 / math.sqrt(n)).sum()
    assert related == 4, "a smile and its mouth; long hair, a beard and glasses, and their parts"


def test_every_form_is_drawn():
    for style in drawn.STYLES:
        seen = {part: set() for part in drawn.STYLES[style]}
        u = torch.rand(5_000, len(seen), generator=torch.Generator().manual_seed(0))
        known = cu.portraits(5_000, 16, style=style).attributes
        for part, numbers in drawn._variants(known, u, style, 16).items():
            names = [*drawn._bank(style, 16)[part][0], None]
            seen[part] = {names[number] for number in numbers.tolist()}
        assert {part: len(forms - {None}) for part, forms in seen.items()} == (
            {"rearHair": 4, "body": 1, "head": 1, "clothes": 5, "mouth": 4, "beard": 5}
            | {"eyes": 5, "eyebrows": 5, "glasses": 1, "hair": 4}
            if style == "toon"
            else {"base": 1, "clothes": 23, "eyes": 12, "glasses": 14, "beard": 8, "mouth": 23, "hair": 45}
        )
        assert {part for part, forms in seen.items() if None in forms} == (
            {"rearHair", "beard", "glasses"} if style == "toon" else {"beard", "glasses"}
        )


@pytest.mark.parametrize("style", drawn.STYLES)
def test_one_attribute_changes_its_region_and_nothing_else(style):
    rows = {  # of 64, from the top
        "glasses": (30, 46) if style == "toon" else (16, 36),
        "beard": (36, 64) if style == "toon" else (24, 56),
        "smile": (26, 51) if style == "toon" else (36, 48),
        "long": (36, 64) if style == "toon" else (0, 64),
    }
    for name, (first, last) in rows.items():
        without, with_it = (cu.portraits(200, seed=8, style=style, **{name: flag}) for flag in (False, True))
        assert not without.attributes[name].any() and with_it.attributes[name].all()
        for key in set(drawn.ATTRIBUTES) - {name}:
            assert torch.equal(without.attributes[key], with_it.attributes[key])
        difference = without.x.float() - with_it.x.float()
        changed = difference.abs().sum((0, 1, 3)).nonzero()
        assert changed.min() >= first and changed.max() < last, name
        strongest = difference.abs().amax((1, 2, 3))
        assert strongest.min() > 5 and strongest.median() > 50, f"{name} is seen on everyone"
        if (
            name == "glasses"
        ):  # all toon frames darken; light glasses of the other style may brighten dark skin
            darker = difference.mean((1, 2, 3)) > 0
            assert darker.float().mean() > (0.99 if style == "toon" else 0.9)
            before = without.x[:, :, first:last].float().mean()
            assert difference[:, :, first:last].mean() > 0.05 * before


@pytest.mark.parametrize("style", drawn.STYLES)
@pytest.mark.parametrize("name", ["hair", "skin", "clothes"])
def test_the_colour_shows(style, name):
    """Most pixels that change with a colour have exactly that colour, or one that it was mixed with evenly."""
    size = 128 if style == "toon" else 16
    palette = list(drawn.PALETTES[name].values())
    people = [cu.portraits(30, size, seed=9, style=style, **{name: k}).x for k in range(len(palette))]
    where = (people[0] != people[-1]).any(1, keepdim=True)
    for code, x in zip(palette, people):
        colour = torch.tensor(list(bytes.fromhex(code)))[:, None, None]
        colour = colour + 25.5 - colour / 10 if (style, name) == ("pixel", "skin") else colour  # lightened
        near = (x - colour).abs().amax(1, keepdim=True) < 2
        assert near[where].float().mean() > 0.45, (code, near[where].float().mean())
    named = list(drawn.PALETTES[name])[-1]
    assert torch.equal(cu.portraits(30, size, seed=9, style=style, **{name: named}).x, people[-1])


@pytest.mark.parametrize("style", drawn.STYLES)
def test_beards_have_the_colour_of_the_hair(style):
    size = 128 if style == "toon" else 16
    for k, code in enumerate(drawn.HAIR.values()):
        with_it, without = (
            cu.portraits(60, size, seed=9, style=style, hair=k, beard=b).x for b in (True, False)
        )
        changed = (with_it != without).any(1)
        colour = torch.tensor(list(bytes.fromhex(code)))[:, None, None]
        distance = (with_it - colour.float()).abs().amax(1)[changed]
        assert distance.median() < 20, (code, distance.median())  # a tenth of the skin shines through


def test_the_sky_is_as_bright_as_it_says():
    people = cu.portraits(50, 64, seed=1)
    corner = people.x[:, :, 2, 2].float()
    expected = people.attributes["sky"][:, None] * torch.tensor([191.0, 222.0, 245.0])
    assert (corner - expected).abs().max() <= 0.51


def test_values_may_be_given_for_each():
    smile, hair = [True, False, True], torch.tensor([4, 0, 2])
    a = cu.portraits(
        3, 16, smile=smile, hair=hair, clothes=("red", 0, "white"), sky=np.array([0.5, 0.6, 1])
    ).attributes
    assert a["smile"].tolist() == smile and a["smile"].dtype == torch.bool
    assert a["hair"].tolist() == [4, 0, 2] and a["clothes"].tolist() == [6, 0, 7]
    assert a["sky"].tolist() == pytest.approx([0.5, 0.6, 1])


def tie(g, a):
    """Dark hair with glasses and other hair without, 90 in 100 times."""
    agrees = torch.rand(len(a["hair"]), generator=g) < 0.9
    return {"glasses": (a["hair"] < 2) == agrees}


def test_a_law_ties_attributes_and_the_pictures_follow():
    n = 10_000
    people = cu.portraits(n, 16, seed=2, style="pixel", law=tie)
    a = people.attributes
    agree = ((a["hair"] < 2) == a["glasses"]).float()
    for dark in (True, False):
        of = agree[(a["hair"] < 2) == dark]
        assert abs(of.mean() - 0.9) < 5 * math.sqrt(0.09 / len(of))
    free = cu.portraits(n, 16, seed=2, style="pixel")
    assert abs(((free.attributes["hair"] < 2) == free.attributes["glasses"]).float().mean() - 0.5) < 0.03
    given = cu.portraits(n, 16, seed=2, style="pixel", glasses=a["glasses"])
    assert torch.equal(given.x, people.x), "the law's glasses are those in the pictures"
    assert all(torch.equal(free.attributes[k], a[k]) for k in drawn.ATTRIBUTES if k != "glasses")


def test_a_law_draws_other_numbers_than_the_attributes():
    drawn_by_law = []

    def law(g, a):
        drawn_by_law.append(torch.rand(20_000, generator=g))
        return {}

    sky = cu.portraits(500, 16, law=law).attributes["sky"]
    nearest = (drawn_by_law[0] - ((sky - 0.6) / 0.4)[:, None]).abs().amin(1)
    assert (nearest < 1e-6).float().mean() < 0.3  # by chance 4 in 100


def test_what_is_fixed_holds_and_a_law_sees_it():
    a = cu.portraits(500, 16, law=tie, hair="black").attributes
    assert (a["hair"] == 0).all() and 0.8 < a["glasses"].float().mean() < 0.97
    assert not cu.portraits(500, 16, law=tie, glasses=False).attributes["glasses"].any()

    def meddle(g, a):
        a["skin"].zero_()
        return {"smile": a["beard"].float()}  # numbers 0 and 1 will do

    changed, free = cu.portraits(50, 16, law=meddle).attributes, cu.portraits(50, 16).attributes
    assert torch.equal(changed["smile"], free["beard"]) and torch.equal(changed["skin"], free["skin"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n": 0}, "n, the number of portraits, must be a whole number of at least 1"),
        ({"n": 2.0}, "write 2"),
        ({"seed": 0.5}, "seed must be a whole number"),
        ({"size": 48}, "size that there are"),
        ({"size": "64"}, "size must be a whole number"),
        ({"style": "pixel", "size": 128}, "'pixel' with 128"),
        ({"style": "oil"}, "'oil'"),
        ({"hat": True}, "'hat' is no attribute of a portrait; these are: skin, hair"),
        (
            {"hair": "green"},
            "hair must be one of black, brown, red, ginger, blond or its number, not 'green'",
        ),
        ({"hair": 5}, "hair must be .* not 5"),
        ({"hair": -1}, "hair must be .* not -1"),
        ({"hair": 1.5}, "hair must be"),
        ({"hair": True}, "hair must be"),
        ({"skin": "dark"}, "skin must be one of 0, 1, 2, 3, 4"),
        ({"clothes": [0, 9, 1]}, "clothes must be .* not 9"),
        ({"smile": "yes"}, "smile must be one of False, True"),
        ({"smile": 0.5}, "smile must be"),
        ({"sky": 1.5}, "sky must be from 0 to 1"),
        ({"sky": float("nan")}, "sky must be from 0 to 1"),
        ({"smile": [True, False]}, "smile needs one value, or one for each of 3 portraits, not 2"),
        ({"law": lambda g, a: None}, "law must return a dict"),
        ({"law": lambda g, a: {"hats": 1}}, "'hats' is no attribute"),
        ({"law": lambda g, a: {"hair": a["hair"] + 5}}, "hair must be"),
        ({"law": lambda g, a: {"hair": a["hair"][:2]}}, "not 2"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        cu.portraits(**{"n": 3, "size": 16, **arguments})


@pytest.mark.parametrize("style", drawn.STYLES)
def test_a_damaged_or_missing_file_is_refused_with_the_remedy(style, tmp_path, monkeypatch):
    name, digest = drawn.FILES[style]
    content = bytearray((drawn.folders.data_dir() / "faces" / name).read_bytes())
    assert hashlib.sha256(content).hexdigest() == digest
    assert digest in (drawn.folders.data_dir() / "README.md").read_text(encoding="utf-8")
    (tmp_path / "faces").mkdir()
    monkeypatch.setattr(drawn.folders, "data_dir", lambda: tmp_path)
    drawn._bank.cache_clear()
    try:
        with pytest.raises(DataError, match=f"{name} is missing.*git checkout -- data/faces"):
            cu.portraits(2, style=style)
        content[len(content) // 2] ^= 1
        (tmp_path / "faces" / name).write_bytes(content)
        with pytest.raises(DataError, match=f"{name} is damaged.*git checkout -- data/faces"):
            cu.portraits(2, style=style)
    finally:
        drawn._bank.cache_clear()
