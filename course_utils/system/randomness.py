"""The global random generators of a process (torch, its device, NumPy, Python) as one thing to keep and give
back."""

import contextlib
import functools
import random

import numpy as np
import torch

from course_utils.system import machine
from course_utils.system.numbers import whole
from course_utils.system.ranks import rank


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and torch (all devices). Under torchrun each process adds its rank, so noise
    differs. Raises ValueError unless it is a whole number."""
    seed = whole(seed, "seed")
    random.seed(seed + rank())
    np.random.seed((seed + rank()) % 2**32)
    torch.manual_seed(seed + rank())


def states() -> tuple:
    """Return the states of all global generators: torch, its device, Python, NumPy.

    They are tensors and plain tuples, which `torch.load(weights_only=True)` reads again.
    """
    kind, keys, *rest = np.random.get_state()
    return torch.get_rng_state(), _device_state(), random.getstate(), (kind, keys.tolist(), *rest)


def restore(kept: tuple) -> None:
    """Set all global generators to what `states` returned."""
    on_cpu, on_device, of_python, of_numpy = kept
    torch.set_rng_state(on_cpu)
    if len(on_device) and _accelerator():
        _accelerator().set_rng_state(on_device)
    random.setstate(of_python)
    np.random.set_state(of_numpy)


@functools.cache  # asking for the devices takes longer than reading all states
def _accelerator():
    """The module that holds the generator of this machine's accelerator, or None."""
    return {"cuda": torch.cuda, "mps": torch.mps}.get(machine.device().type)


def _device_state() -> torch.Tensor:
    return _accelerator().get_rng_state() if _accelerator() else torch.zeros(0, dtype=torch.uint8)


@contextlib.contextmanager
def forked():
    """Give all global generators their states back after the block."""
    kept = states()
    try:
        yield
    finally:
        restore(kept)
