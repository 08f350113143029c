"""The world of lesson 15: what exists, how often it is drawn, and what training leaves out."""

import itertools
import math
from collections import Counter

import pytest
import torch

from course_utils import scenes
from course_utils.scenes import COLOURS, KINDS, RELATIONS, SIZES, Scene, Thing

RED, STAR = Thing("big", "red", "3"), Thing("small", "blue", "star")

TOLD = ["a small purple 4", "a big white 7 above a small cyan 2", "a small green 1"]
NEXT = 638319
"""Three scenes of seed 0, and the number that its generator gives after them."""


def dice(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def world():
    """Every scene there is, by the constructors alone."""
    things = [Thing(*fields) for fields in itertools.product(SIZES, COLOURS, KINDS)]
    pairs = [Scene(pair, relation) for relation in RELATIONS for pair in itertools.product(things, things)]
    return [Scene((thing,)) for thing in things] + pairs


def test_the_world_has_as_many_scenes_as_its_page_says(world):
    assert len(world) == len(set(world)) == 77_028 == scenes.SINGLES + scenes.PAIRS
    assert (scenes.SINGLES, scenes.PAIRS) == (196, 76_832)
    assert sum(len(scene.things) == 1 for scene in world) == scenes.SINGLES


def test_training_leaves_out_green_sevens_and_stars_above_circles_and_nothing_else(world):
    left_out = [scene for scene in world if scenes.held_out(scene)]
    green = [scene for scene in left_out if any((t.colour, t.kind) == ("green", "7") for t in scene.things)]
    assert len(green) == 2 + 2 * (196**2 - 194**2)
    others = set(left_out) - set(green)
    assert len(others) == 14 * 14 and {s.relation for s in others} == {"above"}
    assert {tuple(thing.kind for thing in scene.things) for scene in others} == {("star", "circle")}
    circle = Thing("big", "red", "circle")
    assert scenes.held_out(Scene((STAR, circle), "above"))
    assert not scenes.held_out(Scene((circle, STAR), "above"))
    assert not scenes.held_out(Scene((STAR, circle), "left of")) and not scenes.held_out(Scene((STAR,)))


def test_entropy_is_that_of_the_number_and_of_what_things_are():
    assert scenes.entropy() == pytest.approx(math.log(2) + (math.log(196) + math.log(76_832)) / 2, abs=1e-12)
    assert scenes.entropy() == pytest.approx(8.96, abs=0.005)


def test_entropy_agrees_with_a_sum_over_every_scene(world):
    chances = {1: 0.5 / scenes.SINGLES, 2: 0.5 / scenes.PAIRS}
    for held, some in ((None, world), (False, [scene for scene in world if not scenes.held_out(scene)])):
        p = torch.tensor([chances[len(scene.things)] for scene in some], dtype=torch.float64)
        p /= p.sum()
        assert scenes.entropy(held) == pytest.approx(-(p * p.log()).sum().item(), abs=1e-9)
    with pytest.raises(ValueError, match="held=None"):
        scenes.entropy(held=True)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        (("large", "red", "3"), "'large' is no size of this world: small, big"),
        (("big", "pink", "3"), "'pink' is no colour of this world: red, green"),
        (("big", "red", "moon"), "'moon' is no kind of this world: 0, 1"),
        (("big", "red", 3), "3 is no kind"),
        (("red", "big", "3"), "'red' is no size"),
    ],
)
def test_a_thing_that_the_world_lacks_is_named(fields, says):
    with pytest.raises(ValueError, match=says):
        Thing(*fields)


@pytest.mark.parametrize(
    ("error", "given", "says"),
    [
        (ValueError, ((),), "one thing or two, not 0"),
        (ValueError, ((RED, RED, RED), "above"), "one thing or two, not 3"),
        (ValueError, ((RED, STAR),), "None is no relation"),
        (ValueError, ((RED, STAR), "below"), "'below' is no relation of this world: above, left of"),
        (ValueError, ((RED,), "above"), "stands in no relation"),
        (TypeError, (RED,), "must be a tuple"),
        (TypeError, ("ab", "above"), "must be a tuple"),
        (TypeError, ((RED, "a small blue star"), "above"), "must be a tuple"),
        (TypeError, (None,), "must be a tuple"),
    ],
)
def test_what_is_no_scene_is_refused(error, given, says):
    with pytest.raises(error, match=says):
        Scene(*given)


def test_equal_scenes_are_equal_however_they_were_made():
    assert Scene([RED, STAR], "above") == Scene((RED, STAR), "above")
    assert hash(Scene([RED])) == hash(Scene((RED,))) and isinstance(Scene([RED]).things, tuple)
    different = [Scene((RED, STAR), "above"), Scene((STAR, RED), "above"), Scene((RED, STAR), "left of")]
    assert len(set(different)) == 3


def test_half_of_the_scenes_have_one_thing_and_all_are_equally_likely():
    some = scenes.draw_scenes(20_000, dice(1))
    assert len(some) == 20_000
    pairs = [scene for scene in some if len(scene.things) == 2]
    assert len(pairs) / 20_000 == pytest.approx(0.5, abs=5 * 0.5 / math.sqrt(20_000))
    relations = Counter(scene.relation for scene in pairs)
    assert relations["above"] / len(pairs) == pytest.approx(0.5, abs=5 * 0.5 / math.sqrt(len(pairs)))
    alone = [scene.things[0] for scene in some if len(scene.things) == 1]
    for things in (alone, [s.things[0] for s in pairs], [s.things[1] for s in pairs]):
        counts = Counter(things)
        expected = len(things) / scenes.SINGLES
        chi2 = sum((n - expected) ** 2 / expected for n in counts.values())
        assert len(counts) == scenes.SINGLES and chi2 < 195 + 5 * math.sqrt(2 * 195)


def test_a_generator_makes_scenes_reproducible_and_leaves_the_global_one_alone():
    before = torch.get_rng_state()
    first = scenes.draw_scenes(50, dice(3))
    assert torch.equal(torch.get_rng_state(), before)
    assert first == scenes.draw_scenes(50, dice(3)) != scenes.draw_scenes(50, dice(4))
    torch.manual_seed(3)
    assert scenes.draw_scenes(50) == first, "without a generator, torch's own"


def test_the_scenes_of_a_seed_are_those_that_shipped_runs_were_trained_on():
    told = [scenes.say(scene) for scene in scenes.draw_scenes(3, dice(0))]
    assert told == TOLD
    generator = dice(0)
    scenes.draw_scenes(3, generator)
    assert torch.randint(1_000_000, (1,), generator=generator).item() == NEXT, "the stream goes on from here"


@pytest.mark.parametrize("things", [None, 1, 2])
def test_held_out_scenes_are_drawn_when_asked_for_and_never_otherwise(things):
    for held in (True, False):
        some = scenes.draw_scenes(400, dice(5), held=held, things=things)
        assert len(some) == 400 and {scenes.held_out(scene) for scene in some} == {held}
        assert {len(scene.things) for scene in some} == ({1, 2} if things is None else {things})
    both = [scenes.held_out(scene) for scene in scenes.draw_scenes(3_000, dice(5), things=things)]
    assert any(both) and not all(both)


def test_no_scenes_are_an_empty_list():
    assert scenes.draw_scenes(0, dice()) == []


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"n": -1}, "whole number of at least 0"),
        ({"n": 2.5}, "whole number of at least 0"),
        ({"n": 5, "things": 3}, "things=3: a scene has one thing or two"),
        ({"n": 5, "things": 0}, "things=0"),
        ({"n": 5, "held": "yes"}, "held='yes'"),
    ],
)
def test_scenes_that_cannot_be_drawn_are_refused(given, says):
    with pytest.raises(ValueError, match=says):
        scenes.draw_scenes(**given)
