"""Named numbers in two columns: rounding, kinds of values, and what is refused."""

import math

import numpy as np
import pytest
import torch

import course_utils as cu


def printed(capsys, *pairs, **options):
    cu.facts(*pairs, **options)
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.123456, "0.123"),
        (-0.5, "−0.500"),
        (97.2468, "97.2"),
        (123456.7, "123,457"),
        (12345, "12,345"),
        (-1.234e-8, "−1.23e−08"),
        (0.0, "0.00"),
        (torch.tensor(2.0), "2.00"),
        (torch.tensor([[7]]), "7"),
        (np.float32(0.25), "0.250"),
        (np.int64(3), "3"),
        (True, "yes"),
        ("as it is 3.14159", "as it is 3.14159"),
        (None, "–"),
        (math.nan, "–"),
        (math.inf, "∞"),
        ((0.8132, 0.0212), "0.813 ± 0.021"),
        ((97.24, 0.012), "97.24 ± 0.01"),
        ((-1.5, 0.25), "−1.50 ± 0.25"),
    ],
)
def test_a_value_is_rounded_as_one_would_say_it(capsys, value, text):
    assert printed(capsys, "it", value) == [f"it   {text}"]


def test_values_stand_below_each_other(capsys):
    first, second = printed(capsys, "gap, nats", 0.1, "n", 5_000)
    assert first.index("0.100") == second.index("5,000") == len("gap, nats") + 3
    assert printed(capsys, {"gap, nats": 0.1, "n": 5_000}) == [first, second]


def test_more_digits_on_request(capsys):
    assert printed(capsys, "it", 1.23456, digits=5) == ["it   1.2346"]


def test_what_is_no_pair_and_no_number_is_refused():
    with pytest.raises(ValueError, match="labels and values in turn"):
        cu.facts("gap")
    with pytest.raises(ValueError, match="labels and values in turn"):
        cu.facts()
    with pytest.raises(TypeError, match="not list"):
        cu.facts("gap", [1, 2])
    with pytest.raises((ValueError, RuntimeError)):
        cu.facts("gap", torch.ones(2))
