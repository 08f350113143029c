"""Reading pictures back: as many parts as things, every field exact, and a grade that blames the right field."""

import itertools
from dataclasses import replace

import pytest
import torch

import course_utils as cu
from course_utils import scenes
from course_utils.scenes import COLOURS, CROP, FIELDS, KINDS, RGB, SIZES, Glyphs, Scene, Thing
from tests.pretend.device import pretending, reason_not_to_pretend

CIRCLE, SQUARE = Thing("big", "red", "circle"), Thing("small", "blue", "square")


def dice(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def glyphs():
    """300 digits of the validation set."""
    return Glyphs(cu.mnist().val, 300)


@pytest.fixture(scope="module")
def drawn(glyphs):
    """500 scenes and their pictures."""
    generator = dice(0)
    some = scenes.draw_scenes(500, generator)
    return some, scenes.render(some, glyphs, generator)


def oracle(some):
    """A classifier that knows the scenes; of two parts the lower or right one comes first."""
    kinds = [KINDS.index(thing.kind) for scene in some for thing in reversed(scene.things)]
    return lambda crops: torch.tensor(kinds[: len(crops)])


def zeros(crops):
    return torch.zeros(len(crops), dtype=torch.int64)


def blocks(*boxes, colour=(1, 1, 1), side=32):
    """A picture of full rectangles (top, bottom, left, right)."""
    picture = torch.zeros(3, side, side)
    for top, bottom, left, right in boxes:
        picture[:, top:bottom, left:right] = torch.tensor(colour, dtype=torch.float32)[:, None, None]
    return picture


def wrong(marks):
    return {field for field, mark in marks.items() if not mark}


def test_every_picture_falls_into_as_many_parts_as_there_are_things(drawn):
    some, pictures = drawn
    cut, boxes = scenes.crops(pictures)
    assert [len(its) for its in boxes] == [len(scene.things) for scene in some]
    assert cut.shape == (sum(map(len, boxes)), 1, CROP, CROP) and cut.dtype == torch.float32
    assert cut.min() >= 0 and cut.max() == 1 and cut.amax((1, 2, 3)).min() > 0.75
    assert boxes == [scenes.parts(picture) for picture in pictures]


def test_boxes_hold_all_the_ink_and_no_empty_margin(drawn):
    _, pictures = drawn
    for picture in pictures[:200]:
        ink = picture.amax(0) / 255 > 0.3
        for top, bottom, left, right in scenes.parts(picture):
            piece = ink[top:bottom, left:right]
            assert piece[0].any() and piece[-1].any() and piece[:, 0].any() and piece[:, -1].any()
            ink[top:bottom, left:right] = False
        assert not ink.any()


def test_what_was_drawn_is_read_back_exactly(drawn):
    some, pictures = drawn[0][:300], drawn[1][:300]
    assert scenes.read_scenes(pictures, oracle(some)) == some
    assert all(scenes.grade(scene, scene)["all"] for scene in some)


def test_bytes_and_floats_are_read_alike_and_pictures_are_left_as_they_are(drawn):
    some, pictures = drawn[0][:40], drawn[1][:40]
    before = pictures.clone()
    floats = pictures.float() / 255
    for given in (pictures, floats, floats.double(), floats.clone().requires_grad_(), pictures.numpy()):
        assert scenes.read_scenes(given, oracle(some)) == some
    assert scenes.read_scenes(floats * 1.2 - 0.05, oracle(some)) == some, (
        "what is outside of [0, 1] is clipped"
    )
    assert torch.equal(pictures, before)
    assert scenes.parts(pictures[0]) == scenes.parts(floats[0])
    assert scenes.parts(torch.full((3, 32, 32), 70, dtype=torch.uint8)) == [], "a byte of 70 is no ink"
    crops = scenes.crops(floats.clone().requires_grad_())[0]
    assert torch.equal(crops, scenes.crops(pictures)[0]) and not crops.requires_grad


@pytest.mark.skipif(bool(reason_not_to_pretend()), reason=str(reason_not_to_pretend()))
@pytest.mark.parametrize("kind", ["cuda", "mps"])
def test_pictures_numbers_and_digits_may_be_on_a_device(drawn, kind):
    some, pictures = drawn[0][:10], drawn[1][:10]
    truth = oracle(some)
    split = cu.mnist().val[:50]
    rows = [rows.tolist() for rows in Glyphs(split).rows]
    with pretending(kind):
        there = torch.device(kind, 0)
        moved = pictures.to(there)
        assert scenes.read_scenes(moved, lambda crops: truth(crops).to(there)) == some
        assert scenes.parts(moved[0]) == scenes.parts(pictures[0])
        assert scenes.crops(moved)[0].device.type == "cpu"
        assert [rows.tolist() for rows in Glyphs(split.to(there)).rows] == rows
        said = [scenes.say(scene) for scene in some]
        assert scenes.decode(scenes.encode(said).to(there)) == said


def test_labelled_crops_know_what_they_show(drawn):
    some, pictures = drawn
    cut, labels = scenes.labelled_crops(some, pictures)
    assert torch.equal(cut, scenes.crops(pictures)[0]) and labels.dtype == torch.int64
    assert torch.equal(labels, oracle(some)(cut))
    with pytest.raises(ValueError, match="500 scenes need as many pictures, not 499"):
        scenes.labelled_crops(some, pictures[1:])
    with pytest.raises(ValueError, match="a picture of 1 things falls into 0 parts"):
        scenes.labelled_crops([Scene((CIRCLE,))], torch.zeros(1, 3, 32, 32))
    assert [len(x) for x in scenes.labelled_crops([], pictures[:0])] == [0, 0]


def test_no_pictures_are_no_scenes_and_the_classifier_is_not_asked():
    def never(crops):
        raise AssertionError("nothing to classify")

    assert scenes.read_scenes(torch.zeros(0, 3, 32, 32), never) == []
    assert scenes.read_scenes(torch.zeros(2, 3, 32, 32, dtype=torch.uint8), never) == [None, None]
    cut, boxes = scenes.crops(torch.zeros(0, 3, 32, 32))
    assert cut.shape == (0, 1, CROP, CROP) and boxes == []


def test_the_classifier_sees_crops_that_fill_the_longer_side():
    tall, wide = blocks((2, 16, 3, 10)), blocks((3, 8, 20, 30), colour=(0, 0.5, 0.5))
    seen = []

    def classify(crops):
        seen.append(crops)
        return zeros(crops)

    scenes.read_scenes(torch.stack([tall, wide]), classify)
    (crops,) = seen  # asked once, for all
    assert torch.equal(crops[0, 0], blocks((0, 16, 4, 12), side=16)[0])
    assert torch.equal(crops[1, 0], blocks((4, 12, 0, 16), side=16)[0]), "grey, and as bright as can be"


def test_a_crop_is_as_bright_as_the_brightest_channel_and_what_is_outside_is_clipped():
    picture = blocks((8, 24, 8, 24), colour=(1, 0, 0))
    picture[1:, :, 16:] = picture[0, :, 16:]  # half red, half white
    picture[:, 10, 10] = 5
    picture[2, 12, 12] = -5
    ((crop,), boxes) = scenes.crops(picture[None])
    assert boxes == [[(8, 24, 8, 24)]] and torch.equal(crop, torch.ones(1, CROP, CROP))


@pytest.mark.parametrize(
    ("boxes", "found"),
    [
        ([], []),
        ([(5, 6, 5, 6)], []),  # a speck of one pixel
        ([(5, 6, 5, 10)], []),  # and one of five
        ([(5, 7, 5, 8)], [(5, 7, 5, 8)]),  # six are a part
        ([(0, 9, 0, 9)], [(0, 9, 0, 9)]),
        ([(23, 32, 23, 32)], [(23, 32, 23, 32)]),
        ([(0, 32, 0, 32)], [(0, 32, 0, 32)]),
        ([(0, 9, 0, 9), (23, 32, 23, 32)], [(23, 32, 23, 32), (0, 9, 0, 9)]),
        ([(0, 9, 0, 9), (10, 19, 0, 9)], [(10, 19, 0, 9), (0, 9, 0, 9)]),  # one empty line will do
        ([(0, 9, 0, 9), (0, 9, 12, 21)], [(0, 9, 12, 21), (0, 9, 0, 9)]),
        ([(0, 9, 0, 9), (9, 18, 0, 9)], [(0, 18, 0, 9)]),  # they touch
        (  # the widest gap, between rows, is cut first
            [(0, 9, 0, 9), (0, 9, 14, 23), (20, 29, 0, 9)],
            [(20, 29, 0, 9), (0, 9, 14, 23), (0, 9, 0, 9)],
        ),
        ([(3, 12, 3, 12), (20, 21, 25, 26)], [(3, 12, 3, 12)]),  # a speck beside a thing
        ([(3, 12, 3, 12), (14, 15, 3, 4), (1, 2, 1, 2)], [(3, 12, 3, 12)]),
    ],
)
def test_parts_are_what_empty_lines_separate(boxes, found):
    assert scenes.parts(blocks(*boxes)) == found


def test_three_things_are_found_and_make_no_scene():
    three = blocks((0, 9, 0, 9), (0, 9, 20, 29), (14, 23, 8, 17))
    assert sorted(scenes.parts(three)) == [(0, 9, 0, 9), (0, 9, 20, 29), (14, 23, 8, 17)]
    assert scenes.read_scenes(three[None], zeros) == [None]


def test_the_numbers_of_kinds_keep_their_pictures_past_those_that_make_no_scene():
    three = blocks((0, 9, 0, 9), (0, 9, 20, 29), (14, 23, 8, 17))
    pictures = torch.stack([three, blocks((0, 9, 0, 9)), blocks(), blocks((0, 9, 0, 9), (20, 29, 0, 9))])
    read = scenes.read_scenes(pictures, lambda crops: torch.arange(len(crops)))
    kinds = [scene and [thing.kind for thing in scene.things] for scene in read]
    assert kinds == [None, ["3"], None, ["5", "4"]]


def test_noise_and_things_that_run_together_make_no_scene():
    noise = torch.rand(4, 3, 32, 32, generator=dice(1))
    grey = torch.rand(4, 1, 32, 32, generator=dice(2)).expand(-1, 3, -1, -1)
    for pictures in (noise, grey, torch.ones(2, 3, 32, 32), torch.full((2, 3, 32, 32), torch.inf)):
        assert set(scenes.read_scenes(pictures, zeros)) == {None}
    assert scenes.read_scenes(blocks((0, 18, 0, 9))[None], zeros) == [None]
    assert scenes.read_scenes(blocks((0, 17, 0, 9))[None], zeros) == [Scene((Thing("big", "white", "0"),))]


def test_what_is_no_number_is_black():
    assert scenes.read_scenes(torch.full((2, 3, 32, 32), torch.nan), zeros) == [None, None]
    picture = blocks((4, 13, 4, 13), colour=(1, 0, 0))
    picture[:, 8, 8] = torch.nan
    picture[1, 20, 20] = torch.nan
    seen = []
    read = scenes.read_scenes(picture[None], lambda crops: seen.append(crops) or zeros(crops))
    assert read == [Scene((Thing("small", "red", "0"),))] and seen[0].isfinite().all()


@pytest.mark.parametrize("colour", COLOURS)
def test_the_colour_is_the_nearest_however_dark_or_stained(colour):
    rgb = torch.tensor(RGB[colour], dtype=torch.float32)
    noise = 0.3 * torch.rand(3, 10, 10, generator=dice(3))
    for light in (0.45, 1.0):
        picture = torch.zeros(3, 32, 32)
        picture[:, 5:15, 5:15] = (rgb[:, None, None] * (1 - noise) + (1 - rgb)[:, None, None] * noise) * light
        (scene,) = scenes.read_scenes(picture[None], zeros)
        assert scene.things[0].colour == colour


def test_size_is_that_of_the_longer_side():
    for extents, size in (((9, 9), "small"), ((10, 3), "small"), ((11, 3), "big"), ((3, 14), "big")):
        (scene,) = scenes.read_scenes(blocks((2, 2 + extents[0], 2, 2 + extents[1]))[None], zeros)
        assert scene.things[0].size == size


def test_the_relation_is_that_of_the_middles():
    boxes = (2, 11, 10, 19), (20, 29, 13, 22)
    for first, second in (boxes, boxes[::-1]):
        two = torch.maximum(blocks(first, colour=RGB["red"]), blocks(second, colour=RGB["blue"]))
        (above,) = scenes.read_scenes(two[None], zeros)
        (left,) = scenes.read_scenes(two.mT[None], zeros)
        assert (above.relation, left.relation) == ("above", "left of") and above.things == left.things
        colours = [thing.colour for thing in above.things]
        assert colours == (["red", "blue"] if first == boxes[0] else ["blue", "red"])


@pytest.mark.parametrize(
    ("pictures", "says"),
    [
        (torch.zeros(3, 32, 32), r"must be \(n, 3, h, w\), not \(3, 32, 32\)"),
        (torch.zeros(2, 1, 32, 32), r"not \(2, 1, 32, 32\)"),
        (torch.zeros(2, 32, 32, 3), r"not \(2, 32, 32, 3\)"),
        (torch.zeros(2, 3, 32, 32, dtype=torch.int64), r"uint8, or floats in \[0, 1\], not torch.int64"),
        (torch.zeros(2, 3, 32, 32, dtype=torch.bool), "not torch.bool"),
    ],
)
def test_what_are_no_pictures_is_refused(pictures, says):
    for use in (scenes.crops, lambda x: scenes.read_scenes(x, zeros)):
        with pytest.raises(ValueError, match=says):
            use(pictures)
    with pytest.raises(ValueError, match="pictures must be"):
        scenes.parts(pictures[0])


def test_a_split_in_place_of_pictures_is_named():
    with pytest.raises(TypeError, match=r"This is a Split.*pass its images, \.x"):
        scenes.crops(cu.mnist().val[:3])


@pytest.mark.parametrize(
    ("classify", "says"),
    [
        (lambda crops: torch.zeros(len(crops), len(KINDS)), r"argmax\(1\)"),
        (lambda crops: zeros(crops)[1:], r"a whole number for each crop, \(2,\), not torch.int64 \(1,\)"),
        (lambda crops: zeros(crops).float(), "not torch.float32"),
        (lambda crops: zeros(crops) - 1, "numbers from 0 to 13"),
        (lambda crops: zeros(crops) + 14, "numbers from 0 to 13"),
    ],
)
def test_a_classifier_that_gives_no_numbers_of_kinds_is_refused(classify, says):
    pictures = torch.stack([blocks((0, 9, 0, 9)), blocks((5, 9, 0, 9))])
    with pytest.raises(ValueError, match=says):
        scenes.read_scenes(pictures, classify)


def test_what_is_right_is_right_in_every_field():
    one, two = Scene((CIRCLE,)), Scene((CIRCLE, SQUARE), "above")
    assert scenes.grade(two, two) == dict.fromkeys((*FIELDS, "all"), True)
    assert scenes.grade(one, one) == dict.fromkeys((*FIELDS[:-1], "all"), True), "alone, no relation"
    assert FIELDS[-1] == "relation"


def test_one_wrong_field_is_marked_there_and_nowhere_else():
    known = {"size": SIZES, "colour": COLOURS, "kind": KINDS}
    checked = 0
    for scene in scenes.draw_scenes(150, dice(4)):
        for i, field in itertools.product(range(len(scene.things)), known):
            for value in known[field]:
                things = list(scene.things)
                if value == getattr(things[i], field):
                    continue
                things[i] = replace(things[i], **{field: value})
                marks = scenes.grade(scene, Scene(things, scene.relation))
                assert wrong(marks) == {field, "all"}, (scene, things)
                checked += 1
    assert checked > 3_000


def test_one_wrong_field_of_two_things_that_are_nearly_the_same_is_marked_there_and_nowhere_else():
    things = [Thing(*fields) for fields in itertools.product(SIZES, ("red", "blue"), ("3", "star"))]
    for first, second, read in itertools.product(things, repeat=3):
        fields = [f for f in ("size", "colour", "kind") if getattr(read, f) != getattr(second, f)]
        if len(fields) == 1:
            for asked, found in (((first, second), (first, read)), ((second, first), (read, first))):
                marks = scenes.grade(Scene(asked, "left of"), Scene(found, "left of"))
                assert wrong(marks) == {*fields, "all"}, (asked, found)


def test_order_and_relation_are_marked_as_relation_only():
    for scene in scenes.draw_scenes(500, dice(5), things=2):
        other = "above" if scene.relation == "left of" else "left of"
        assert wrong(scenes.grade(scene, Scene(scene.things, other))) == {"relation", "all"}
        if scene.things[0] != scene.things[1]:
            swapped = Scene(scene.things[::-1], scene.relation)
            assert wrong(scenes.grade(scene, swapped)) == {"relation", "all"}


@pytest.mark.parametrize("field", ["colour", "size"])
def test_colours_or_sizes_that_changed_places_are_marked_as_such_only(field):
    checked = alike = 0
    for scene in [s for n in range(4) for s in scenes.draw_scenes(1_000, dice(n), things=2)]:
        first, second = scene.things
        here, there = getattr(first, field), getattr(second, field)
        same = first.kind == second.kind
        read = Scene((replace(first, **{field: there}), replace(second, **{field: here})), scene.relation)
        if here == there or read.things == scene.things[::-1]:  # the same things in the other order
            continue
        assert wrong(scenes.grade(scene, read)) == {field, "all"}, (scene, read)
        checked += 1
        alike += same
    assert checked > 1_000 and alike > 30


def test_of_a_wrong_number_of_things_all_is_wrong():
    one, two = Scene((CIRCLE,)), Scene((CIRCLE, SQUARE), "above")
    for read in (None, one):
        assert scenes.grade(two, read) == dict.fromkeys((*FIELDS, "all"), False)
    for read in (None, two):
        assert scenes.grade(one, read) == dict.fromkeys((*FIELDS[:-1], "all"), False)


def test_several_wrong_fields_are_all_marked():
    asked = Scene((CIRCLE, SQUARE), "above")
    read = Scene((replace(SQUARE, colour="green"), replace(CIRCLE, size="small")), "above")
    assert wrong(scenes.grade(asked, read)) == {"colour", "size", "relation", "all"}
    assert wrong(scenes.grade(Scene((CIRCLE,)), Scene((SQUARE,)))) == {"kind", "colour", "size", "all"}
