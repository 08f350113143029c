"""The batches of a training call by step: endless, on the device, and the same after a resume."""

import dataclasses
import random
from collections.abc import Mapping

import numpy as np
import torch

from course_utils.data.split import Images, Split
from course_utils.system import randomness, ranks


class Feed:
    """`feed(step)` gives the batch of a step (counted from 0, increasing by 1) as a tuple of arguments.

    `batches` has a method `batch(step)` (as `cu.Batches` has), or can be iterated again and again (a list, a
    DataLoader), once an epoch; the order of an epoch then depends only on (seed, epoch). `start` is the first
    step that will be asked for: the batches before it in its epoch are skipped, so that a resumed training
    sees those of an uninterrupted one. That holds for what draws from the global generators, from the generator
    of the loader or of its sampler (which are seeded anew each epoch), and in worker processes; not for a data
    set that keeps a generator or a position of its own, and not for workers that outlive an epoch
    (`persistent_workers`). Tensors move to `device`, in whatever dicts, lists, tuples and data classes they are;
    images (B, C, H, W) become channels_last if `images_last`. A batch that is a tuple or list becomes several
    arguments. A context manager: at its end worker processes are stopped.

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
        self._iterator = None
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
            if hasattr(batches, "__next__"):  # asking iter() would draw a seed, and start worker processes
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

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._iterator = self._first = None

    def _place(self, part):
        """A batch, or a part of one, with all its tensors on the device."""
        if isinstance(part, torch.Tensor):
            return self._placed(part)
        if isinstance(part, Mapping):
            placed = {key: self._place(value) for key, value in part.items()}
            return placed if type(part) is dict else _like(part, placed)
        if isinstance(part, tuple | list):
            placed = [self._place(value) for value in part]
            return type(part)(*placed) if hasattr(part, "_fields") else type(part)(placed)
        if dataclasses.is_dataclass(part) and not isinstance(part, type):
            fields = [field.name for field in dataclasses.fields(part) if field.init]
            return dataclasses.replace(part, **{name: self._place(getattr(part, name)) for name in fields})
        return part.to(self.device) if callable(getattr(part, "to", None)) else part

    def _placed(self, tensor: torch.Tensor) -> torch.Tensor:
        """A tensor on the device. Only CUDA copies while the host goes on: on MPS such copies come out wrong."""
        ahead = self.device.type == "cuda"
        if self.images_last and tensor.ndim == 4:
            return tensor.to(self.device, non_blocking=ahead, memory_format=torch.channels_last)
        return tensor if tensor.device == self.device else tensor.to(self.device, non_blocking=ahead)

    def _start(self, start: int) -> None:
        """Open the epoch of step `start` and skip to it, leaving the global generators as they are."""
        with randomness.forked():
            self.epoch = 0
            skip = start
            if start and length(self.batches):
                self.epoch, skip = divmod(start, length(self.batches))
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
            for part in _parts(self.batches):
                if isinstance(getattr(part, "generator", None), torch.Generator):
                    part.generator.manual_seed(seed)
                if hasattr(part, "set_epoch"):  # torch.utils.data.DistributedSampler
                    part.set_epoch(self.epoch)
            self._iterator = None  # first stop the old workers: new ones would inherit, and try to stop, them
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
    names = ("batch_size", "seed", "n", "shuffle", "drop_last")
    known = {name: getattr(batches, name) for name in names if hasattr(batches, name)}
    many = "batches" if length(batches) is None else f"{length(batches)} batches an epoch"
    return ", ".join([many, *(f"{name} {value}" for name, value in known.items())])


def length(batches) -> int | None:
    """Return how many batches an epoch has; None where they do not say so (a DataLoader of a stream)."""
    try:
        return len(batches)
    except (TypeError, NotImplementedError):
        return None


def _parts(loader) -> list:
    """A loader and those of its parts that decide the order of an epoch."""
    found = [loader]
    for name in ("sampler", "batch_sampler", "dataset"):
        part = getattr(loader, name, None)
        found += [part, getattr(part, "sampler", None)]
    return [part for part in found if part is not None]


def _like(mapping: Mapping, content: dict):
    """A mapping of the same kind with other content; a plain dict where that kind cannot be made so."""
    try:
        return type(mapping)(content)
    except TypeError:
        return content
