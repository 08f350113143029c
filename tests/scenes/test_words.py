"""Sentences of scenes: four ways to say each, one parser that reads all, and words as numbers."""

import pytest
import torch

from course_utils import scenes
from course_utils.scenes import END, LENGTH, PAD, START, WORDS, Scene, Thing

RED, STAR = Thing("big", "red", "3"), Thing("small", "blue", "star")
ABOVE, LEFT = Scene((RED, STAR), "above"), Scene((RED, STAR), "left of")
SPECIAL = {"<pad>", "<start>", "<end>"}


def some_scenes(n, seed=0):
    return scenes.draw_scenes(n, torch.Generator().manual_seed(seed))


def all_sentences(some):
    return [scenes.say(scene, pattern) for scene in some for pattern in range(scenes.PATTERNS)]


def test_the_four_patterns_read_as_they_should():
    assert [scenes.say(ABOVE, pattern) for pattern in range(4)] == [
        "a big red 3 above a small blue star",
        "there is a small blue star below a big red 3",
        "a big red 3 with a small blue star below it",
        "above a small blue star there is a big red 3",
    ]
    assert [scenes.say(LEFT, pattern) for pattern in range(4)] == [
        "a big red 3 left of a small blue star",
        "there is a small blue star right of a big red 3",
        "a big red 3 with a small blue star right of it",
        "left of a small blue star there is a big red 3",
    ]
    assert [scenes.say(Scene((RED,)), pattern) for pattern in range(4)] == [
        "a big red 3",
        "there is a big red 3",
        "a big red 3 alone",
        "there is a big red 3 alone",
    ]
    assert scenes.say(ABOVE) == scenes.say(ABOVE, 0)


def test_the_parser_reads_back_whatever_is_said():
    for scene in some_scenes(2_000):
        said = [scenes.say(scene, pattern) for pattern in range(scenes.PATTERNS)]
        assert len(set(said)) == 4, "four different sentences"
        assert all(scenes.parse(sentence) == scene for sentence in said)


def test_different_scenes_are_never_said_alike():
    some = set(some_scenes(5_000, seed=1))
    assert len(set(all_sentences(some))) == 4 * len(some)


def test_a_relation_told_from_the_other_thing_is_the_same_scene():
    for relation, turned in scenes.TURNED.items():
        assert scenes.TURNED[turned] == relation
        told = scenes.parse(f"a big red 3 {relation} a small blue star")
        assert told == scenes.parse(f"a small blue star {turned} a big red 3")
        assert told == scenes.parse(f"{relation} a small blue star there is a big red 3")
        assert told == scenes.parse(f"a big red 3 with a small blue star {turned} it")
    assert scenes.parse("a big red 3 below a small blue star") == Scene((STAR, RED), "above") != ABOVE


def test_capitals_spaces_and_a_full_stop_do_not_matter():
    for sentence in ("A big red 3 Above a small blue STAR.", "  a big  red 3\tabove a small blue star . \n"):
        assert scenes.parse(sentence) == ABOVE
        assert torch.equal(scenes.encode([sentence]), scenes.encode([scenes.say(ABOVE)]))


@pytest.mark.parametrize(
    ("sentence", "says"),
    [
        ("a big pink 3", "'pink' is no word of this world: a, small, big"),
        ("the big red 3", "'the' is no word"),
        ("a big red 3 <end>", "'<end>' is no word"),
        ("a big. red 3", "'big.' is no word"),
        ("a red big 3", "'red' is no size"),
        ("a big 3 red", "'3' is no colour"),
        ("a big red blue", "'blue' is no kind"),
        ("a big red", "is no sentence of this world; say"),
        ("a big red 3 above", "is no sentence"),
        ("a big red 3 a small blue star", "is no sentence"),
        ("a big red 3 left a small blue star", "is no sentence"),
        ("a big red 3 above a small blue star alone", "is no sentence"),
        ("a big red 3 above a small blue star above a big red 3", "is no sentence"),
        ("above a big red 3", "is no sentence"),
        ("", "is no sentence"),
        (".", "is no sentence"),
    ],
)
def test_what_the_parser_does_not_understand_it_names(sentence, says):
    with pytest.raises(ValueError, match=says):
        scenes.parse(sentence)


def test_what_is_no_sentence_at_all_is_of_the_wrong_type():
    for wrong in (None, ["a big red 3"], 3):
        with pytest.raises(TypeError, match="a sentence must be a str"):
            scenes.parse(wrong)
    with pytest.raises(TypeError, match="must be a str, not Scene"):
        scenes.encode([ABOVE])


@pytest.mark.parametrize("pattern", [-1, 4, 1.5, None, "0"])
def test_there_is_no_fifth_pattern(pattern):
    with pytest.raises(ValueError, match="there are 0 to 3"):
        scenes.say(ABOVE, pattern)


def test_patterns_may_be_numbers_of_a_tensor():
    assert scenes.say(ABOVE, torch.tensor(2)) == scenes.say(ABOVE, 2)
    assert scenes.HELD_PATTERN in range(scenes.PATTERNS)


def test_numbers_are_read_back_to_the_same_sentences():
    sentences = all_sentences(some_scenes(500))
    numbers = scenes.encode(sentences)
    assert numbers.shape == (2_000, LENGTH) and numbers.dtype == torch.int64
    assert scenes.decode(numbers) == sentences
    assert scenes.decode(numbers[:, 1:]) == sentences, "with or without START"


def test_a_row_is_start_words_end_and_padding():
    (row,) = scenes.encode(["a big red 3"]).tolist()
    assert [WORDS[number] for number in row[1:5]] == ["a", "big", "red", "3"]
    assert row[0] == START and row[5] == END and row[6:] == [PAD] * (LENGTH - 6)
    assert (PAD, START, END) == (0, 1, 2) and set(WORDS[:3]) == SPECIAL


def test_the_longest_sentence_fits_and_a_longer_one_is_refused():
    lengths = [len(sentence.split()) for sentence in all_sentences(some_scenes(300))]
    assert max(lengths) == 12 <= LENGTH - 2
    scenes.encode(["a " * (LENGTH - 2)])
    with pytest.raises(ValueError, match="has 15 words; at most 14 fit"):
        scenes.encode(["a " * (LENGTH - 1)])


def test_every_word_is_used_except_the_special_ones():
    used = {word for sentence in all_sentences(some_scenes(1_000)) for word in sentence.split()}
    assert used == set(WORDS) - SPECIAL and len(WORDS) == len(set(WORDS)) == 37


def test_no_sentences_are_no_rows():
    assert scenes.encode([]).shape == (0, LENGTH) and scenes.encode([]).dtype == torch.int64
    assert scenes.decode(scenes.encode([])) == [] and scenes.decode(scenes.encode([""])) == [""]


@pytest.mark.parametrize("word", ["pink", "<pad>", "<end>", "3,"])
def test_a_word_without_a_number_is_named(word):
    with pytest.raises(ValueError, match=f"'{word}' is no word of this world"):
        scenes.encode(["a big red 3", f"a big {word} 3"])


def test_one_sentence_in_place_of_a_list_is_refused():
    with pytest.raises(TypeError, match=r"encode\(\['a big red 3'\]\)"):
        scenes.encode("a big red 3")


def test_decoding_stops_at_the_first_end_and_needs_none():
    a, big = WORDS.index("a"), WORDS.index("big")
    assert scenes.decode(torch.tensor([[START, a, END, big, END]])) == ["a"]
    assert scenes.decode(torch.tensor([[START, a, PAD, big]])) == ["a big"]
    assert scenes.decode(torch.tensor([[END, a, 999]])) == [""], "what comes after END does not matter"


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (torch.tensor([START, END]), r"whole numbers \(n, T\), not torch.int64 \(2,\)"),
        (torch.zeros(1, 4), "not torch.float32"),
        (torch.tensor([[START, -1]]), "-1 is the number of no word"),
        (torch.tensor([[START, len(WORDS)]]), "there are 0 to 36"),
    ],
)
def test_numbers_of_no_word_are_refused(rows, says):
    with pytest.raises(ValueError, match=says):
        scenes.decode(rows)


def test_sentences_that_are_not_understood_are_none():
    found = scenes.parse_all(["a big red 3", "a big red elephant", ""])
    assert found == [scenes.parse("a big red 3"), None, None]
