"""From a wrong number to its cause, and that no right answer is taken for a mistake."""

import numpy as np
import pytest
import torch

from course_utils.checks.causes import (
    expect_double,
    expect_normal,
    expect_value,
    is_number,
    is_whole,
    pair_of,
)
from course_utils.checks.machinery import Wrong
from course_utils.checks.mistakes import normal

CAUSES = [(3.0, "one too many"), ([1.0, 2.0], "one a row"), (1.0, "one too few")]


@pytest.mark.parametrize(
    ("out", "hint"), [(3.0, "one too many"), (torch.tensor(1.0), "one too few"), (7.0, "it is 2")]
)
def test_a_wrong_value_gets_the_hint_of_its_cause(out, hint):
    with pytest.raises(Wrong, match=hint):
        expect_value(out, 2.0, "it is 2", CAUSES)


def test_the_right_value_is_never_taken_for_a_mistake_of_the_same_value():
    expect_value(2.0, 2.0, "it is 2", [(2.0, "a mistake that happens to give 2 here")])


@pytest.mark.parametrize("out", ["two", object(), [1.0, 2.0], float("nan")])
def test_what_is_no_number_of_this_shape_is_wrong_in_words(out):
    with pytest.raises(Wrong):
        expect_value(out, 2.0, "it is 2", CAUSES[2:])


def test_the_digits_of_float32_are_not_those_of_float64():
    exact = normal(40, seed=3)
    expect_double(exact + 1e-13, exact)
    with pytest.raises(Wrong, match="float32"):
        expect_double(exact.float().double(), exact)


def test_the_bell_is_told_from_a_box_and_from_a_coin():
    bell = 0.3 * normal(20_000)
    expect_normal(bell, 0.3, "not a bell")
    box = (torch.rand(20_000, generator=torch.Generator().manual_seed(0)) - 0.5) * 12**0.5 * 0.3
    for flat in (box, 0.3 * bell.sign()):
        with pytest.raises(Wrong, match="not a bell"):
            expect_normal(flat, 0.3, "not a bell")


@pytest.mark.parametrize("out", [(1, 2), [1, 2], np.array([1, 2]), torch.tensor([1, 2])])
def test_two_results_may_come_in_anything_that_unpacks(out):
    first, second = pair_of(out, "two, please")
    assert (int(first), int(second)) == (1, 2)


@pytest.mark.parametrize("out", [1, (1,), (1, 2, 3), None, torch.tensor(1.0), {1, 2}, {1: 2, 3: 4}, "12"])
def test_what_is_no_pair_gets_the_hint(out):
    with pytest.raises(Wrong, match="two, please"):
        pair_of(out, "two, please")


def test_guesses_may_be_of_any_library():
    assert all(is_number(value) for value in (3, 2.5, np.int64(3), np.float32(2.5), torch.tensor(2.5)))
    assert not any(is_number(value) for value in (True, "3", None, 1j, torch.ones(1), torch.tensor(True)))
    assert all(is_whole(value) for value in (3, np.int64(3), torch.tensor(3)))
    assert not any(is_whole(value) for value in (3.0, True, "3", torch.tensor(3.0), torch.tensor(True)))
