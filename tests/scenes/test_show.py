"""Pictures with their sentences below."""

import pytest
import torch

from course_utils import scenes


def test_a_sentence_is_folded_between_words_and_loses_none():
    sentence = "a big red 3 above a small blue star"
    lines = scenes.folded(sentence, 12).split("\n")
    assert " ".join(lines) == sentence and max(map(len, lines)) <= 12
    assert scenes.folded("extraordinarily long", 5) == "extraordinarily\nlong"


def test_each_picture_has_its_line_and_empty_places_show_nothing():
    fig = scenes.draw_told(torch.rand(5, 3, 8, 8) * 3 - 1, list("abcde"), columns=3)
    assert [ax.get_title("left") for ax in fig.axes] == ["a", "b", "c", "d", "e", ""]
    assert [len(ax.images) for ax in fig.axes] == [1, 1, 1, 1, 1, 0]


@pytest.mark.parametrize("n, lines", [(0, []), (2, ["a"]), (1, ["a", "b"])])
def test_pictures_without_a_line_of_their_own_are_refused(n, lines):
    with pytest.raises(ValueError, match="need a line each"):
        scenes.draw_told(torch.zeros(n, 3, 8, 8), lines)
