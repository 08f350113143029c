"""Pictures of scenes: each thing in its colour and size, where the sentence says, the same for the same dice."""

import math

import pytest
import torch

import course_utils as cu
from course_utils import scenes
from course_utils.data import Split
from course_utils.scenes import COLOURS, EXTENT, GAP, OFFSET, RGB, SHAPES, SIDE, SIZES, Glyphs, Scene, Thing
from course_utils.scenes.draw import INKED


@pytest.fixture(scope="module")
def glyphs():
    """300 digits of the validation set."""
    return Glyphs(cu.mnist().val, 300)


@pytest.fixture(scope="module")
def drawn(glyphs):
    """400 scenes, their pictures and their boxes."""
    generator = dice(0)
    some = scenes.draw_scenes(400, generator)
    return some, *scenes.render(some, glyphs, generator, boxes=True)


def dice(seed=0):
    return torch.Generator().manual_seed(seed)


def written(*images):
    """A split of white bars on black: (label, boxes (top, bottom, left, right)) each."""
    x = torch.zeros(len(images), 1, 28, 28, dtype=torch.uint8)
    for image, (_, boxes) in zip(x, images, strict=True):
        for top, bottom, left, right in boxes:
            image[0, top:bottom, left:right] = 255
    return Split(x, torch.tensor([label for label, _ in images]))


def stands(box_of, thing):
    """The middle (row, column) of a thing whose corner is `box_of`."""
    half = EXTENT[thing.size] / 2
    return box_of[0] + half, box_of[1] + half


def test_the_colours_are_the_corners_of_the_cube_that_are_not_black():
    assert tuple(RGB) == COLOURS and len(set(RGB.values())) == 7
    assert all(set(rgb) <= {0, 1} and any(rgb) for rgb in RGB.values())
    assert RGB["yellow"] == (1, 1, 0) and RGB["purple"] == (1, 0, 1) and RGB["cyan"] == (0, 1, 1)


def test_pictures_are_bytes_of_their_size(drawn):
    some, pictures, boxes = drawn
    assert pictures.shape == (400, 3, SIDE, SIDE) and pictures.dtype == torch.uint8
    assert boxes.shape == (400, 1, SIDE, SIDE) and set(boxes.unique().tolist()) == {0, 255}
    assert (pictures.amax(1, keepdim=True)[boxes == 0] == 0).all(), "no ink outside the boxes"
    areas = [sum(EXTENT[thing.size] ** 2 for thing in scene.things) for scene in some]
    assert (boxes == 255).sum((1, 2, 3)).tolist() == areas, "boxes do not overlap, or leave the picture"


def test_a_single_thing_lights_exactly_the_channels_of_its_colour(glyphs):
    for colour, rgb in RGB.items():
        some = [Scene((Thing("big", colour, kind),)) for kind in scenes.KINDS]
        pictures = scenes.render(some, glyphs, dice(1))
        lit = [c for c in range(3) if rgb[c]]
        grey = pictures.amax(1)
        assert all(torch.equal(pictures[:, c], grey) for c in lit)
        assert all((pictures[:, c] == 0).all() for c in range(3) if c not in lit)
        assert (grey.amax((1, 2)) == 255).all(), "the brightest pixel is full"


def test_a_shape_is_drawn_in_its_box_pixel_by_pixel(glyphs):
    for size in SIZES:
        for shape in SHAPES:
            scene = Scene((Thing(size, "purple", shape),))
            picture, where = (x[0] for x in scenes.render([scene], glyphs, dice(2), boxes=True))
            rows, columns = (where[0].amax(axis).nonzero()[:, 0] for axis in (1, 0))
            piece = picture[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            assert piece.shape[1:] == (EXTENT[size], EXTENT[size])
            mask = (glyphs.shapes[size, shape] * 255).round().to(torch.uint8)
            assert torch.equal(piece[0], mask) and torch.equal(piece[2], mask) and not piece[1].any()


@pytest.mark.parametrize("size", SIZES)
def test_shapes_cover_the_area_of_their_formula_and_are_alike_left_and_right(glyphs, size):
    star = 5 * 1.05 * 0.42 * math.sin(math.pi / 5) / 4  # its tips end a little outside the box
    for shape, share in {"circle": math.pi / 4, "square": 1, "triangle": 0.5, "star": star}.items():
        mask = glyphs.shapes[size, shape]
        assert mask.shape == (EXTENT[size], EXTENT[size]) and mask.min() >= 0 and mask.max() == 1
        assert mask.mean().item() == pytest.approx(share, abs=0.006)
        assert torch.allclose(mask, mask.flip(1), atol=2 / 64)
    triangle, star = (glyphs.shapes[size, shape] > 0 for shape in ("triangle", "star"))
    assert (triangle.sum(1).diff() >= 0).all(), "a triangle stands on its side"
    assert star[0].sum() <= 2 < star.sum(1).max(), "a star points up"


def test_things_are_as_long_as_their_size_says(glyphs):
    middle = sum(EXTENT.values()) / 2
    for size, extent in EXTENT.items():
        masks = [glyphs.shapes[size, shape] for shape in SHAPES]
        masks += [glyphs.cut[size][row] for rows in glyphs.rows for row in rows]
        for mask in masks:
            inked = (mask > INKED).nonzero()
            longest = (inked.max(0).values - inked.min(0).values + 1).max().item()
            assert longest <= extent and (longest > middle) == (size == "big")
        assert EXTENT["small"] < middle < EXTENT["big"]


def test_two_things_stand_as_they_should_wherever_the_dice_put_them():
    some = scenes.draw_scenes(3_000, dice(3), things=2)
    chances = torch.rand(3_000, 4, generator=dice(4))
    corners = (torch.arange(16)[:, None] >> torch.arange(4) & 1) * (1 - 2**-24)  # every extreme of the dice
    chances[: 16 * 100] = corners.repeat(100, 1)
    gaps, offsets = set(), set()
    for scene, chance in zip(some, chances.tolist(), strict=True):
        places = scenes.place(scene, chance)
        extents = [EXTENT[thing.size] for thing in scene.things]
        for (top, left), extent in zip(places, extents, strict=True):
            assert 0 <= top <= SIDE - extent and 0 <= left <= SIDE - extent
        along, across = (0, 1) if scene.relation == "above" else (1, 0)
        gap = places[1][along] - places[0][along] - extents[0]
        assert gap >= GAP
        first, second = (stands(p, thing) for p, thing in zip(places, scene.things, strict=True))
        assert second[along] - first[along] > abs(second[across] - first[across])
        assert abs(second[across] - first[across]) <= OFFSET
        gaps.add(gap)
        offsets.add(second[across] - first[across])
    assert min(gaps) == GAP and max(gaps) == SIDE - 2 * EXTENT["small"]
    assert min(offsets) == -OFFSET and max(offsets) == OFFSET


def test_one_thing_stands_anywhere_in_the_picture():
    for size, extent in EXTENT.items():
        scene = Scene((Thing(size, "red", "3"),))
        last = SIDE - extent
        assert scenes.place(scene, [0.0, 0.0, 0.0, 0.0]) == [(0, 0)]
        assert scenes.place(scene, [1 - 2**-24, 0.5, 0.0, 0.0]) == [(last, (last + 1) // 2)]
        tops = [scenes.place(scene, [(i + 0.5) / (last + 1), 0.0])[0][0] for i in range(last + 1)]
        assert tops == list(range(last + 1)), "each place is equally likely"


def test_the_dice_put_things_where_they_always_did():
    big, small = Thing("big", "red", "3"), Thing("small", "blue", "star")
    chances = [0.6, 0.3, 0.8, 0.1]
    assert scenes.place(Scene((big,)), chances) == [(11, 5)]
    assert scenes.place(Scene((big, small), "above"), chances) == [(1, 15), (21, 14)]
    assert scenes.place(Scene((small, big), "left of"), chances) == [(19, 1), (13, 16)]


def test_empty_lines_separate_two_things_in_every_picture(drawn):
    some, pictures, boxes = drawn
    for scene, picture, where in zip(some, pictures, boxes, strict=True):
        if len(scene.things) == 1:
            continue
        axis = 1 if scene.relation == "above" else 0
        lines = where[0].amax(axis).bool()  # which rows, or columns, hold a box
        start, end = lines.nonzero()[[0, -1], 0].tolist()
        empty = (~lines[start : end + 1]).nonzero()[:, 0] + start
        assert len(empty) >= GAP and len(empty) == empty[-1] - empty[0] + 1
        assert not picture.amax(0).amax(axis)[empty].any()
        first, second = scene.things
        before = picture[:, : empty[0]] if axis == 1 else picture[:, :, : empty[0]]
        after = picture[:, empty[-1] :] if axis == 1 else picture[:, :, empty[-1] :]
        for half, thing in ((before, first), (after, second)):
            assert tuple((half.amax((1, 2)) > 0).int().tolist()) == RGB[thing.colour]


def test_pictures_depend_on_the_generator_alone(glyphs):
    some = scenes.draw_scenes(40, dice(5))
    before = torch.get_rng_state()
    first = scenes.render(some, glyphs, dice(6))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(scenes.render(some, glyphs, dice(6)), first)
    assert torch.equal(scenes.render(some, Glyphs(cu.mnist().val, 300), dice(6), boxes=True)[0], first)
    assert not torch.equal(scenes.render(some, glyphs, dice(7)), first)
    assert torch.equal(scenes.render(some[:7], glyphs, dice(6)), first[:7]), "whatever comes after"
    torch.manual_seed(6)
    assert torch.equal(scenes.render(some, glyphs), first), "without a generator, torch's own"


def test_of_six_numbers_four_place_the_things_and_two_pick_the_handwriting(glyphs):
    some = scenes.draw_scenes(30, dice(9))
    pictures = scenes.render(some, glyphs, dice(10))
    for scene, picture, chance in zip(
        some, pictures, torch.rand(30, 6, generator=dice(10)).tolist(), strict=True
    ):
        by_hand = torch.zeros(3, SIDE, SIDE, dtype=torch.uint8)
        places = scenes.place(scene, chance[:4])
        for i, (thing, (top, left)) in enumerate(zip(scene.things, places, strict=True)):
            mask = (glyphs.mask(thing, chance[4 + i]) * 255).round().to(torch.uint8)
            for c in range(3):
                area = by_hand[c, top : top + EXTENT[thing.size], left : left + EXTENT[thing.size]]
                area += mask * RGB[thing.colour][c]
        assert torch.equal(picture, by_hand)
    three = Thing("big", "red", "3")
    last = len(glyphs.rows[3]) - 1
    for chance, row in ((0.0, 0), (0.5, (last + 1) // 2), (1 - 2**-24, last)):
        assert torch.equal(glyphs.mask(three, chance), glyphs.cut["big"][glyphs.rows[3][row]])


def test_the_same_scene_is_written_by_many_hands(glyphs):
    pictures, where = scenes.render([Scene((Thing("big", "red", "5"),))] * 60, glyphs, dice(8), boxes=True)
    cut = [p[0][w[0] > 0].reshape(14, 14) for p, w in zip(pictures, where, strict=True)]
    assert 10 < len(torch.stack(cut).flatten(1).unique(dim=0)) <= len(glyphs.rows[5])


def test_no_scenes_are_no_pictures(glyphs):
    assert scenes.render([], glyphs).shape == (0, 3, SIDE, SIDE)
    pictures, boxes = scenes.render([], glyphs, dice(), boxes=True)
    assert pictures.dtype == boxes.dtype == torch.uint8 and boxes.shape == (0, 1, SIDE, SIDE)


def test_a_digit_is_cut_to_its_ink_and_stands_in_the_middle():
    split = written((1, [(2, 22, 5, 15)]), (1, [(3, 8, 1, 21)]))
    tall, wide = scenes.cut_out(split.x, 14)
    assert torch.equal((tall > 0.5).nonzero().aminmax(dim=0).min, torch.tensor([0, 3]))
    assert torch.equal((tall > 0.5).nonzero().aminmax(dim=0).max, torch.tensor([13, 9]))
    assert torch.allclose(tall[:, 3:10], torch.ones(14, 7)) and not tall[:, :3].any()
    assert torch.allclose(wide[5:9], torch.ones(4, 14)) and not wide[9:].any(), "5 / 20 of 14, rounded"
    assert scenes.cut_out(split.x[:0], 9).shape == (0, 9, 9)
    faint = split.x // 3  # brightened to full again
    assert torch.allclose(scenes.cut_out(faint, 14), torch.stack([tall, wide]))


@pytest.mark.parametrize(
    ("images", "says"),
    [
        (torch.full((1, 1, 28, 28), 60, dtype=torch.uint8), "without ink"),
        (torch.ones(1, 1, 28, 28), "uint8.*not torch.float32"),
        (torch.full((1, 28, 28), 255, dtype=torch.uint8), r"\(n, 1, h, w\), not torch.uint8 \(1, 28, 28\)"),
        (torch.full((1, 3, 28, 28), 255, dtype=torch.uint8), r"\(1, 3, 28, 28\)"),
    ],
)
def test_what_cannot_be_cut_out_is_refused(images, says):
    with pytest.raises(ValueError, match=says):
        scenes.cut_out(images, 9)


def test_a_digit_in_two_pieces_is_never_drawn():
    pen = (4, 24, 10, 18)
    broken = [(4, 12, 10, 18), (16, 24, 10, 18)]
    beside = [(4, 24, 4, 10), (4, 24, 16, 22)]
    glyphs = Glyphs(written((3, broken), (3, [pen]), (8, beside), (5, [pen])))
    assert [rows.tolist() for rows in glyphs.rows] == [[], [], [], [1], [], [3], [], [], [], []]
    pictures = scenes.render([Scene((Thing("big", "red", "3"),))] * 20, glyphs, dice())
    assert all(len(scenes.parts(picture)) == 1 for picture in pictures)
    with pytest.raises(ValueError, match="show no 8 in one piece: choose a larger n"):
        scenes.render([Scene((Thing("big", "red", "8"),))], glyphs, dice())


def test_shapes_need_no_digit():
    one = Glyphs(cu.mnist().val, 1)
    assert scenes.render([Scene((Thing("small", "cyan", "star"),))], one, dice()).any()


def test_glyphs_are_made_of_a_split_and_a_number():
    with pytest.raises(TypeError, match=r"Glyphs\(mnist.train\), not Images"):
        Glyphs(cu.mnist())
    for n in (0, -5, 2.5):
        with pytest.raises(ValueError, match="whole number of at least 1"):
            Glyphs(cu.mnist().val, n)
    few = Glyphs(cu.mnist().val[:20], 300)
    assert all(len(cut) == 20 for cut in few.cut.values()), "all, where there are fewer"
