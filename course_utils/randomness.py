"""The global random generators of a process (torch, its device, NumPy, Python) as one thing to keep and give back."""

import contextlib
import functools
import random

import numpy as np
import torch

from course_utils import distributed, runtime


def states() -> tuple:
    """Return the states of all global generators; cheap, and opaque but for `restore` and `to_tensors`."""
    return torch.get_rng_state(), _device_state(), random.getstate(), np.random.get_state()


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
    return {"cuda": torch.cuda, "mps": torch.mps}.get(runtime.device().type)


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


def to_tensors(kept: tuple) -> dict[str, torch.Tensor]:
    """Return what `states` returned as a dict of tensors, which a file may hold."""
    on_cpu, on_device, (version, words, gauss), (_, keys, position, has_gauss, cached) = kept
    return {
        "torch": on_cpu,
        "device": on_device,
        "python": torch.tensor([version, *words], dtype=torch.int64),
        "python_gauss": torch.tensor([float("nan") if gauss is None else gauss], dtype=torch.float64),
        "numpy": torch.tensor([*keys.tolist(), position, has_gauss], dtype=torch.int64),
        "numpy_gauss": torch.tensor([cached], dtype=torch.float64),
    }


def from_tensors(tensors: dict[str, torch.Tensor]) -> tuple:
    """Return the inverse of `to_tensors`."""
    version, *words = tensors["python"].tolist()
    gauss = tensors["python_gauss"].item()
    *keys, position, has_gauss = tensors["numpy"].tolist()
    of_numpy = ("MT19937", np.array(keys, dtype=np.uint32), position, has_gauss, tensors["numpy_gauss"].item())
    of_python = (version, tuple(words), None if gauss != gauss else gauss)
    return tensors["torch"], tensors["device"], of_python, of_numpy


def of_all_ranks(kept: tuple) -> list[dict[str, torch.Tensor]]:
    """Return `to_tensors(kept)` of every rank, in order (a collective: all ranks must call it)."""
    mine = to_tensors(kept)
    rows = distributed.gather(torch.cat([part.view(torch.uint8) for part in mine.values()]))
    sizes = [part.nbytes for part in mine.values()]
    return [{k: p.clone().view(v.dtype) for (k, v), p in zip(mine.items(), row.split(sizes))} for row in rows]
