"""The batches of a training call by step: endless, on the device, and the same after a resume."""

import random

import numpy as np
import torch

from course_utils.data.split import Images, Split
from course_utils.system import randomness, ranks


class Feed:
    """`feed(step)` gives the batch of a step (counted from 0, increasing by 1) as a tuple of arguments.

    `batches` has a method `batch(step)` (as `cu.Batches` has), or can be iterated again and again (a list, a
    DataLoader), once an epoch; the order of an epoch then depends only on (seed, epoch). `start` is the first
    step that will be asked for: the batches before it in its epoch are skipped. Tensors move to `device`;
    images (B, C, H, W) become channels_last if `images_last`. A batch that is a tuple or list becomes several
    arguments.

    Raises TypeError for a tensor, for an iterator that can be used only once, and for what cannot be
    iterated; ValueError if there are no batches.
    """

    def __init__(
        self, batches, device: torch.device, *, seed: int = 0, start: int = 0, images_last: bool = False
    ):
        self.device = device
        self._last: tuple = ()  # the present batch
        self.images_last = images_last
        self.seed = seed
        if isinstance(batches, torch.Tensor):
            raise TypeError("A tensor is no set of batches: pass cu.Batches(tensor, batch_size).")
        if isinstance(batches, Split | Images):
            kind, part = ("set of images", "data.train") if isinstance(batches, Images) else ("Split", "data")
            raise TypeError(
                f"A {kind} is no set of batches: pass cu.Batches({part}, batch_size), with "
                "labels=True if the loss needs them."
            )
        self.batches = batches
        self._get = getattr(batches, "batch", None)
        if self._get is None:
            self._get = self._next
            if not hasattr(batches, "__iter__"):
                raise TypeError(
                    f"batches must be cu.Batches, a DataLoader or a list, not {type(batches).__name__}."
                )
            if iter(batches) is batches:
                raise TypeError(
                    "batches can be iterated only once (a generator or an open iterator), but training needs "
                    "many epochs: pass cu.Batches, a DataLoader or a list."
                )
            self._start(start)

    def __call__(self, step: int) -> tuple:
        batch = self._get(step)
        parts = batch if isinstance(batch, tuple | list) else (batch,)
        self._last = tuple([self._place(part) for part in parts])
        return self._last

    def finite(self) -> bool:
        """Return whether the data are finite: all if `batches` can say so, else those of the last batch."""
        if hasattr(self.batches, "finite"):
            return self.batches.finite()
        floats = [part for part in self._last if isinstance(part, torch.Tensor) and part.is_floating_point()]
        return all(bool(part.isfinite().all()) for part in floats)

    def _place(self, part):
        if not isinstance(part, torch.Tensor):
            return part
        if self.images_last and part.ndim == 4:
            return part.to(self.device, non_blocking=True, memory_format=torch.channels_last)
        return part if part.device == self.device else part.to(self.device, non_blocking=True)

    def _start(self, start: int) -> None:
        """Open the epoch of step `start` and skip to it, leaving the global generators as they are."""
        with randomness.forked():
            self.epoch = 0
            skip = start
            if start and hasattr(self.batches, "__len__") and len(self.batches):
                self.epoch, skip = divmod(start, len(self.batches))
            self._first = self._open()
            for _ in range(skip):
                self._next(None)

    def _open(self):
        """Begin an epoch and return its first batch; a sampler draws the order from a seed of (seed,
        epoch)."""
        with randomness.forked():
            seed = (self.seed * 1_000_003 + self.epoch) * 1_009 + ranks.rank()
            random.seed(seed)
            np.random.seed(seed % 2**32)
            torch.manual_seed(seed)
            self._iterator = iter(self.batches)
            try:
                return next(self._iterator)
            except StopIteration:
                raise ValueError(
                    "There are no batches: the data are empty, or fewer than one batch while the last one is "
                    "dropped."
                ) from None

    def _next(self, _step):
        if self._first is not None:
            batch = self._first
            self._first = None
            return batch
        try:
            return next(self._iterator)
        except StopIteration:
            self.epoch += 1
            return self._open()


def summary(batches) -> str:
    """Return what a fingerprint keeps of the batches: how many an epoch, their size and seed where they say
    so."""
    known = {name: getattr(batches, name) for name in ("batch_size", "seed", "n") if hasattr(batches, name)}
    length = f"{len(batches)} batches an epoch" if hasattr(batches, "__len__") else "batches"
    return ", ".join([length, *(f"{name} {value}" for name, value in known.items())])
