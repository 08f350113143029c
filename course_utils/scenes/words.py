"""Sentences of the world of scenes, and back: a grammar, its parser, and words as numbers.

    say(scene, 0)                        # "a big red 3 above a small blue star"
    parse("a small blue star below a big red 3")    # the same scene
    numbers = encode(["a big red 3"])    # int64 (1, 16)

Each scene has four sentences, so a scene can be told in other words; the last pattern is kept from training.
"""

import re

import torch
from torch import Tensor

from course_utils.scenes.scene import COLOURS, KINDS, RELATIONS, SIZES, Scene, Thing

TURNED = {"above": "below", "left of": "right of", "below": "above", "right of": "left of"}
PATTERNS = 4
HELD_PATTERN = 3
"""The way of telling that training leaves out."""

LENGTH = 16
"""Numbers of a sentence: START, its words (the longest has 12), END, and PAD up to here."""

PAD, START, END = 0, 1, 2
WORDS = (
    *("<pad>", "<start>", "<end>", "a", *SIZES, *COLOURS, *KINDS),
    *("above", "below", "left", "right", "of", "with", "it", "there", "is", "alone"),
)
_NUMBER = {word: number for number, word in enumerate(WORDS)}


def _named(thing: Thing) -> str:
    return f"a {thing.size} {thing.colour} {thing.kind}"


def say(scene: Scene, pattern: int = 0) -> str:
    """Return the sentence of a scene in pattern 0, 1, 2 or 3. Raises ValueError for another pattern."""
    if pattern not in range(PATTERNS):
        raise ValueError(f"pattern {pattern!r}: there are 0 to {PATTERNS - 1}.")
    first, *rest = map(_named, scene.things)
    if not rest:
        return (first, f"there is {first}", f"{first} alone", f"there is {first} alone")[int(pattern)]
    second, relation, turned = rest[0], scene.relation, TURNED[scene.relation]
    return (
        f"{first} {relation} {second}",
        f"there is {second} {turned} {first}",
        f"{first} with {second} {turned} it",
        f"{relation} {second} there is {first}",
    )[int(pattern)]


def _words(sentence: str) -> list[str]:
    """The words of a sentence, in small letters and without its full stop.

    Raises ValueError for an unknown word, TypeError for what is no str.
    """
    if not isinstance(sentence, str):
        raise TypeError(f"a sentence must be a str, not {type(sentence).__name__}.")
    words = sentence.lower().strip().removesuffix(".").split()
    for word in words:
        if word not in _NUMBER or word in WORDS[:3]:
            raise ValueError(f"{word!r} is no word of this world: {', '.join(WORDS[3:])}.")
    return words


_THING = r"a (\S+) (\S+) (\S+)"
_RELATION = r"(above|below|left of|right of)"
_SINGLE = re.compile(rf"(?:there is )?{_THING}(?: alone)?")
_PAIRS = (
    (re.compile(rf"(?:there is )?{_THING} {_RELATION} {_THING}"), lambda m: (m[0:3], m[3], m[4:7])),
    (re.compile(rf"(?:there is )?{_THING} with {_THING} {_RELATION} it"), lambda m: (m[3:6], m[6], m[0:3])),
    (re.compile(rf"{_RELATION} {_THING} there is {_THING}"), lambda m: (m[4:7], m[0], m[1:4])),
)


def parse(sentence: str) -> Scene:
    """Return the scene that a sentence tells; capitals and a full stop do not matter.

    Raises ValueError, with the word or the form that is not understood, for another sentence; TypeError for what is
    no str.
    """
    text = " ".join(_words(sentence))
    if found := _SINGLE.fullmatch(text):
        return Scene((Thing(*found.groups()),))
    for form, order in _PAIRS:
        if found := form.fullmatch(text):
            first, relation, second = order(found.groups())
            first, second = Thing(*first), Thing(*second)
            if relation in RELATIONS:
                return Scene((first, second), relation)
            return Scene((second, first), TURNED[relation])
    raise ValueError(
        f"{sentence!r} is no sentence of this world; say “a big red 3” or “a big red 3 above a small blue star”."
    )


def parse_all(sentences: list[str]) -> list[Scene | None]:
    """Return the scenes that sentences tell, None for each that `parse` does not understand."""
    found = []
    for sentence in sentences:
        try:
            found.append(parse(sentence))
        except ValueError:
            found.append(None)
    return found


def encode(sentences: list[str]) -> Tensor:
    """Return sentences as numbers, int64 (n, 16): START, words, END, PAD … Capitals and a full stop do not matter.

    Any words of this world will do, in any order. Raises ValueError for a word that is unknown, or for a sentence
    of more than 14 words; TypeError for one sentence in place of a list.
    """
    if isinstance(sentences, str):
        raise TypeError(f"encode takes a list of sentences: encode([{sentences!r}]).")
    rows = []
    for sentence in sentences:
        words = _words(sentence)
        if len(words) > LENGTH - 2:
            raise ValueError(f"{sentence!r} has {len(words)} words; at most {LENGTH - 2} fit.")
        numbers = [START, *(_NUMBER[word] for word in words), END]
        rows.append(numbers + [PAD] * (LENGTH - len(numbers)))
    return torch.tensor(rows, dtype=torch.int64).reshape(-1, LENGTH)


def decode(rows: Tensor) -> list[str]:
    """Return the sentences of whole numbers (n, T): what stands before the first END, without START and PAD.

    Raises ValueError for another shape, for floats, and for a number that belongs to no word.
    """
    if rows.ndim != 2 or rows.is_floating_point():
        raise ValueError(f"decode takes whole numbers (n, T), not {rows.dtype} {tuple(rows.shape)}.")
    sentences = []
    for row in rows.tolist():
        words = row[: row.index(END)] if END in row else row
        for number in words:
            if not 0 <= number < len(WORDS):
                raise ValueError(f"{number} is the number of no word: there are 0 to {len(WORDS) - 1}.")
        sentences.append(" ".join(WORDS[number] for number in words if number not in (PAD, START)))
    return sentences
