"""What lessons' checks share: mistakes known by their value, bets, inputs with a mistake of their own."""

import numpy as np
import pytest
import torch

from course_utils.checks.machinery import Wrong
from course_utils.checks.mistakes import expect_none_of, expect_number, explained, normal


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
