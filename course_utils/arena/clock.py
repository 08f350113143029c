"""Seconds of a sampler or of a training step, on one thread, and a yardstick beside them."""

import contextlib
import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F

from course_utils.system import machine


@contextlib.contextmanager
def one_thread():
    """Let PyTorch use one thread only: CPU seconds are then seconds of one core."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def seconds(action: Callable, *args) -> float:
    """Return the seconds that `action(*args)` takes: CPU time of this process, or the clock's where a GPU
    works."""
    where = machine.device().type
    clock = time.process_time if where == "cpu" else time.perf_counter
    _wait(where)
    began = clock()
    action(*args)
    _wait(where)
    return clock() - began


def _wait(where: str) -> None:
    """Wait until the accelerator has done what it was given."""
    if where == "cuda":
        torch.cuda.synchronize()
    elif where == "mps":
        torch.mps.synchronize()


def per_unit(action: Callable[[int], object], most: int, budget: float = 3.0, least: int = 10) -> float:
    """Return seconds a unit of `action(n)`, after a warm-up of one unit, with n grown until it takes about
    `budget` s or is `most`.

    It goes on with `least` units (or `most`), so that a slow sampler is timed on a batch, too; only where one
    unit takes more than half of the budget the warm-up itself is the answer.
    """
    first = seconds(action, 1)
    if first > budget / 2:
        return first
    n = min(least, most)
    while True:
        spent = seconds(action, n)
        if n >= most or spent > budget / 2:
            return spent / n
        grown = 16 * n if spent < 0.01 else int(n * min(16, budget / spent))
        n = min(most, max(n + 1, grown))


def yardstick(repeats: int = 9) -> float:
    """Return the seconds of a fixed small workload (a convolution and a matrix product): what this machine is
    worth at this moment.

    Seconds of another machine or day, divided by its yardstick and multiplied by this one, can stand beside
    seconds measured here.
    """
    where = machine.device()
    kind = {"dtype": torch.float32, "device": where}
    images = torch.ones(64, 32, 28, 28, **kind)
    kernels = torch.ones(32, 32, 3, 3, **kind)
    matrix = torch.ones(768, 768, **kind)

    def work():
        F.conv2d(images, kernels, padding=1)
        matrix @ matrix

    with torch.no_grad():
        work()
        return statistics.median(seconds(work) for _ in range(repeats))
