"""Mistakes known by their values, that no right answer is taken for one, and bets."""

import numpy as np
import pytest
import torch

from course_utils.checks.machinery import Wrong
from course_utils.checks.mistakes import (
    expect_double,
    expect_none_of,
    expect_normal,
    expect_number,
    expect_value,
    explained,
    is_number,
    is_whole,
    normal,
    pair_of,
)

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


def test_a_mistake_is_recognised_by_its_value_whatever_the_dtype():
    with pytest.raises(Wrong, match="twice"):
        expect_none_of(torch.tensor([2.0, 4.0]), {"half": [0.5, 1.0], "twice": np.array([2.0, 4.0])})


@pytest.mark.parametrize("value", [[1.0, 2.0], [[2.0], [4.0]], [float("nan")] * 2, [2.0, 4.1]])
def test_another_value_or_shape_is_no_mistake(value):
    expect_none_of(torch.tensor(value), {"twice": torch.tensor([2.0, 4.0])})


@pytest.mark.parametrize("bet", [3, 0.5, np.int64(3), np.float32(0.5)])
def test_a_number_of_python_or_numpy_is_a_bet(bet):
    expect_number(bet, "the factor")


@pytest.mark.parametrize(
    "bet, words",
    [(True, "a bool"), ("3", "a str"), ([3], "a list"), (float("nan"), "finite"), (1j, "a complex")],
)
def test_nothing_else_is(bet, words):
    with pytest.raises(Wrong, match=words):
        expect_number(bet, "the factor")


def test_an_input_with_a_mistake_of_its_own_is_named_before_what_went_wrong():
    with pytest.raises(Wrong, match=r"^vectors must work \(no axis 1\)$"), explained("vectors must work"):
        raise Wrong("no axis 1")
    with pytest.raises(KeyError), explained("vectors must work"):
        raise KeyError


def test_the_numbers_are_the_same_in_every_call():
    assert normal(2, 3).dtype == torch.float64
    assert torch.equal(normal(2, 3, seed=4), normal(2, 3, seed=4))
    assert not torch.equal(normal(2, 3, seed=4), normal(2, 3, seed=5))
