"""A world small enough to know every right answer: one or two things, each of a kind, a colour and a size.

    Thing("big", "red", "3")
    Scene((Thing("big", "red", "3"), Thing("small", "blue", "star")), "above")
    draw_scenes(5, generator)          # half of them with one thing, half with two

There are 14 kinds, 7 colours and 2 sizes, so 196 things; a scene holds one thing, or two of which the first is
above, or left of, the second: 196 + 2 · 196² = 77,028 scenes. "Below" and "right of" are the same scenes told
from the other thing.
"""

import dataclasses
import math

import torch

from course_utils.system.numbers import whole

SHAPES = ("circle", "square", "triangle", "star")
KINDS = (*"0123456789", *SHAPES)
COLOURS = ("red", "green", "blue", "yellow", "purple", "cyan", "white")
SIZES = ("small", "big")
RELATIONS = ("above", "left of")

SINGLES = len(KINDS) * len(COLOURS) * len(SIZES)
PAIRS = SINGLES**2 * len(RELATIONS)


@dataclasses.dataclass(frozen=True, order=True)
class Thing:
    """One thing; raises ValueError for a size, colour or kind that the world does not have."""

    size: str
    colour: str
    kind: str

    def __post_init__(self):
        for value, known, name in (
            (self.size, SIZES, "size"),
            (self.colour, COLOURS, "colour"),
            (self.kind, KINDS, "kind"),
        ):
            if value not in known:
                raise ValueError(f"{value!r} is no {name} of this world: {', '.join(known)}.")


@dataclasses.dataclass(frozen=True)
class Scene:
    """One thing, or two and a relation: the first is `relation` ("above" or "left of") the second.

    Raises ValueError for another number of things, or for a relation that is missing or unknown; TypeError for
    things that are no tuple (or list) of `Thing`.
    """

    things: tuple[Thing, ...]
    relation: str | None = None

    def __post_init__(self):
        sort = isinstance(self.things, tuple | list)
        if not sort or not all(isinstance(thing, Thing) for thing in self.things):
            raise TypeError(
                f'things must be a tuple, as in (Thing("big", "red", "3"),), not {self.things!r}.'
            )
        object.__setattr__(self, "things", tuple(self.things))  # a list would make equal scenes differ
        if len(self.things) not in (1, 2):
            raise ValueError(f"a scene has one thing or two, not {len(self.things)}.")
        if len(self.things) == 2 and self.relation not in RELATIONS:
            raise ValueError(f"{self.relation!r} is no relation of this world: {', '.join(RELATIONS)}.")
        if len(self.things) == 1 and self.relation is not None:
            raise ValueError("one thing alone stands in no relation.")


def entropy(held: bool | None = None) -> float:
    """Return the entropy of `draw_scenes` in nats, 8.96: ln 2 for the number of things, and the mean of
    ln 196 and ln 76,832 for what they are.

    `held=False`: of the scenes that training sees, 8.94. Raises ValueError for held=True, of which nothing is
    trained.
    """
    if held:
        raise ValueError(
            "the entropy is that of all scenes (held=None), or of those that training sees (False)."
        )
    singles, pairs = SINGLES, PAIRS
    if held is False:
        # without green 7s of either size, and without stars (all sizes and colours) above circles
        singles -= len(SIZES)
        pairs = singles**2 * len(RELATIONS) - (len(SIZES) * len(COLOURS)) ** 2
    probability = 2 * [0.5]
    if held is False:  # what is left out is drawn again
        kept = singles / SINGLES, pairs / PAIRS
        probability = [k / sum(kept) for k in kept]
    return sum(p * (math.log(n) - math.log(p)) for p, n in zip(probability, (singles, pairs), strict=True))


def _thing(number: int) -> Thing:
    number, kind = divmod(number, len(KINDS))
    size, colour = divmod(number, len(COLOURS))
    return Thing(SIZES[size], COLOURS[colour], KINDS[kind])


def held_out(scene: Scene) -> bool:
    """Return whether training leaves this scene out: it has a green 7, or a star above a circle."""
    first, *rest = scene.things
    if any(thing.colour == "green" and thing.kind == "7" for thing in scene.things):
        return True
    return bool(rest) and (first.kind, scene.relation, rest[0].kind) == ("star", "above", "circle")


def draw_scenes(
    n: int, generator: torch.Generator | None = None, held: bool | None = None, things: int | None = None
) -> list[Scene]:
    """Return n scenes: half have one thing, half two, every such scene equally likely.

    `things`: 1 or 2, if all shall have as many; `held`: only scenes that training leaves out (True), or none of
    them (False); `generator`: one on the CPU, by default torch's own. Raises ValueError for another number of
    things, another `held`, or an n that is no whole number of at least 0.
    """
    n = whole(n, "n, the number of scenes,", 0)
    if things not in (None, 1, 2):
        raise ValueError(f"things={things!r}: a scene has one thing or two.")
    if held not in (None, True, False):
        raise ValueError(f"held={held!r}: choose True, False, or None for both.")
    found = []
    while len(found) < n:
        numbers = torch.randint(SINGLES, (2 * n + 64, 2), generator=generator).tolist()
        coins = torch.randint(2, (2 * n + 64, 2), generator=generator).tolist()
        for (first, second), (alone, relation) in zip(numbers, coins, strict=True):
            one = alone if things is None else things == 1
            scene = (
                Scene((_thing(first),))
                if one
                else Scene((_thing(first), _thing(second)), RELATIONS[relation])
            )
            if held is None or held_out(scene) == held:
                found.append(scene)
            if len(found) == n:
                break
    return found
