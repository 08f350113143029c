"""A Split where a tensor is needed: whoever forgets `.x` is told so, and no index ends the process."""

import subprocess
import sys

import numpy as np
import pytest
import torch

import course_utils as cu
from course_utils import data

DEEP = """
import torch
from course_utils.data import Split
split = Split(torch.zeros(40, 1, 28, 28, dtype=torch.uint8), torch.arange(40))
table = torch.zeros(5, 5)
for index in (split[0], split[:4], split, (split[0], 1), (0, split), [split[0]], split[3:4]):
    for use in (lambda: table[index], lambda: table.__setitem__(index, 1)):
        try:
            use()
        except (TypeError, IndexError, ValueError) as error:
            print(type(error).__name__, "pass its images, .x" in str(error))
print("ALIVE")
"""


def split(n=6):
    return data.Split(torch.zeros(n, 1, 28, 28, dtype=torch.uint8), torch.arange(n) % 3)


@pytest.mark.fault(
    fault="A tensor indexed by an example or by a Split, `.x` or `.y` forgotten",
    sees="“This is a Split, images with their labels, where a tensor or array is needed: pass its images, .x …”",
    kept="the kernel (torch would look for numbers in it until its stack is full)",
)
def test_no_index_ends_the_process():
    done = subprocess.run([sys.executable, "-c", DEEP], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-500:]
    lines = done.stdout.splitlines()
    assert lines[-1] == "ALIVE" and len(lines) == 15
    assert sum(line == "TypeError True" for line in lines) >= 12


@pytest.mark.parametrize("some", [lambda: split(), lambda: split()[0]], ids=["split", "example"])
@pytest.mark.parametrize(
    "use",
    [
        np.asarray,
        np.mean,
        cu.to_uint8,
        cu.plots.image_grid,
        lambda x: cu.scrub(x, list("abcdef")[: len(x)], "Digits."),
        lambda x: cu.save_run("x", samples=x),
        cu.metrics.features,
        lambda x: cu.metrics.kid(x, x),
        lambda x: torch.nn.Linear(784, 1)(x),
        lambda x: torch.cat([x, x]),
        lambda x: split()[x],
    ],
)
def test_a_split_in_place_of_a_tensor_is_named(use, some):
    with pytest.raises(TypeError, match=r"This is a Split.*pass its images, \.x"):
        use(some())


@pytest.mark.parametrize(
    ("batches", "says"),
    [
        (split, r"cu\.Batches\(data, batch_size\)"),
        (lambda: cu.mnist(), r"cu\.Batches\(data\.train, batch_size\)"),
    ],
)
def test_a_split_is_no_set_of_batches(batches, says):
    with pytest.raises(TypeError, match=says):
        cu.fit(torch.nn.Linear(1, 1), lambda model, x: model(x).mean(), batches(), steps=1)


def test_a_set_of_images_in_place_of_a_part_is_named():
    for use in (np.asarray, cu.to_uint8, lambda x: torch.cat([x])):
        with pytest.raises(TypeError, match=r"choose \.train, \.val or \.test"):
            use(cu.mnist())


def test_an_example_is_a_split_of_one_but_has_no_elements():
    one = split()[4]
    assert isinstance(one, data.Split) and len(one) == 1 and one.y.tolist() == [1]
    assert one.flat().shape == (1, 784) and len(one[:1]) == len(one.only(1)) == len(one.sample(1)) == 1
    with pytest.raises(TypeError, match="one example, which has no element 0"):
        one[0]


@pytest.mark.parametrize("label", ["3", [3, 8], 1.0, None])
def test_a_label_that_is_no_whole_number_is_refused(label):
    with pytest.raises(TypeError, match=r"whole numbers, as in \.only\(3, 8\)"):
        split().only(label)
    assert len(split().only(np.int64(1), torch.tensor(2))) == 4
