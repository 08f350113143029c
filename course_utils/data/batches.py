"""`Batches`: minibatches from memory, without worker processes, reproducible, and sharded over processes.

    for x in cu.Batches(data.train, 128): ...                   # x: float32 (128, 1, 28, 28) in [0, 1]
    for x, y in cu.Batches(data.train, 128, labels=True): ...   # y: int64 (128,)
    for x in cu.Batches(cu.moons(2_000), 256): ...              # float tensors pass as they are

The whole set stays on the device, images as uint8 (MNIST: 43 MB), and each batch is gathered and normalised
there, so no step waits for the host. The order of an epoch is a permutation that depends on (seed, epoch) and
nothing else, and `batches.batch(step)` is a pure function of (seed, step, rank, number of processes): a
resumed run sees the batches that an uninterrupted one sees. Under torchrun with W processes, rank r takes
rows r·B … (r+1)·B − 1 of each global batch of W·B rows; joined in the order of the ranks these are the
batches of one process with W times the batch size.
"""

import hashlib
from collections.abc import Iterator, Sequence

import torch

from course_utils.system import machine, ranks
from course_utils.system.numbers import whole


class Batches:
    """Minibatches of `data`: a Split, a tensor (N, ...), or a tuple of tensors of equal length N.

    Yields `x`, or `(x, y)` for a Split with `labels=True`, or a tuple for a tuple. uint8 counts as pixels and
    arrives as float32, exactly x / 255; every other type passes as it is. `iter` gives one epoch, the next
    `iter` the next one; `len` is the number of batches in an epoch (per process). `drop_last` leaves an
    incomplete last batch out. `device` defaults to `cu.device()`. Raises ValueError if the data are empty, of
    unequal lengths, fewer than a batch (of all processes together), or if `labels` is asked for where there
    are none; TypeError for other data.
    """

    def __init__(
        self,
        data,
        batch_size: int,
        *,
        labels: bool = False,
        shuffle: bool = True,
        drop_last: bool = True,
        seed: int = 0,
        device: torch.device | str | None = None,
    ):
        for name, flag in (("labels", labels), ("shuffle", shuffle), ("drop_last", drop_last)):
            if flag not in (True, False):
                raise TypeError(f"{name} is True or False, not {flag!r}.")
        tensors, self._bare = _tensors(data, labels)
        self.rank, self.world = ranks.rank(), ranks.world_size()
        self.batch_size, self.seed = whole(batch_size, "batch_size"), whole(seed, "seed")
        self.shuffle, self.drop_last = shuffle, drop_last
        self.device = machine.device() if device is None else torch.device(device)
        self.n = len(tensors[0])
        self._check_sizes()
        self._tensors = tuple(t.to(self.device) for t in tensors)
        self._white = torch.full((), 255.0, dtype=torch.float32, device=self.device)
        self._epoch = 0  # the one that the next iter() gives
        self._order: tuple[int, torch.Tensor] | None = None  # (epoch, its permutation on the device)

    def _check_sizes(self) -> None:
        """Raise ValueError unless every process gets at least one row of every batch."""
        total = self.batch_size * self.world
        if self.batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, not {self.batch_size}.")
        if total > self.n:
            who = (
                f"{self.world} processes × {self.batch_size}"
                if self.world > 1
                else f"batch_size={self.batch_size}"
            )
            raise ValueError(f"{who} is more than the {self.n} examples: use at most {self.n // self.world}.")
        if not self.drop_last and 0 < self.n % total < self.world:
            raise ValueError(
                f"The last batch has {self.n % total} rows for {self.world} processes: use drop_last=True or"
                " another batch_size."
            )

    def finite(self) -> bool:
        """Return whether all the data are finite numbers."""
        return all(bool(t.isfinite().all()) for t in self._tensors if t.is_floating_point())

    def contents(self) -> tuple[torch.Tensor, ...]:
        """Return the tensors that the batches are made of; do not change them."""
        return self._tensors

    def __len__(self) -> int:
        full, rest = divmod(self.n, self.batch_size * self.world)
        return full + (rest > 0 and not self.drop_last)

    def __repr__(self) -> str:
        shapes = ", ".join(f"{str(t.dtype).removeprefix('torch.')} {tuple(t.shape)}" for t in self._tensors)
        return f"Batches({len(self)} × {self.batch_size} of {shapes}, on {self.device}, seed {self.seed})"

    def __iter__(self) -> Iterator:
        first = self._epoch * len(self)
        self._epoch += 1
        return (self.batch(step) for step in range(first, first + len(self)))

    def batch(self, step: int):
        """Return the batch of global step `step`, counted from 0 over all epochs. Raises ValueError below
        0."""
        if step < 0:
            raise ValueError(f"A step is 0 or more, not {step}.")
        epoch, k = divmod(step, len(self))
        total = self.batch_size * self.world
        rows = self._permutation(epoch)[k * total : (k + 1) * total]
        rows = rows.tensor_split(self.world)[self.rank]
        out = tuple(self._pixels(t.index_select(0, rows)) for t in self._tensors)
        return out[0] if self._bare else out

    def _pixels(self, rows: torch.Tensor) -> torch.Tensor:
        # The divisor is a tensor on the device: with a Python number CUDA multiplies by 1/255, which is not
        # exact.
        return rows.to(torch.float32) / self._white if rows.dtype == torch.uint8 else rows

    def _permutation(self, epoch: int) -> torch.Tensor:
        """The order of the rows in `epoch`, int64 (n,) on the device; drawn on the CPU, so alike on every
        machine."""
        if self._order is None or self._order[0] != epoch:
            order = torch.arange(self.n)
            if self.shuffle:
                digest = hashlib.sha256(f"{self.seed}, {epoch}".encode()).digest()
                generator = torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))
                order = torch.randperm(self.n, generator=generator)
            if self.device.type == "cuda":
                order = order.pin_memory()  # only from pinned memory the copy does not wait for the device
            self._order = epoch, order.to(self.device, non_blocking=self.device.type == "cuda")
        return self._order[1]


def _tensors(data, labels: bool) -> tuple[Sequence[torch.Tensor], bool]:
    """The tensors in `data`, and whether a batch is a bare tensor (not a tuple)."""
    if isinstance(data, torch.Tensor):
        tensors, bare = (data,), True
        if labels:
            raise ValueError("labels=True needs a Split or a tuple (x, y): a single tensor has no labels.")
    elif isinstance(data, (tuple, list)) and data and all(isinstance(t, torch.Tensor) for t in data):
        tensors, bare = tuple(data), False
        if labels and len(tensors) < 2:
            raise ValueError(
                "labels=True needs a Split or a tuple (x, y): this tuple holds no second tensor."
            )
    elif hasattr(data, "x") and hasattr(data, "y"):
        tensors, bare = ((data.x, data.y), False) if labels else ((data.x,), True)
    else:
        hint = (
            "choose data.train, data.val or data.test" if hasattr(data, "train") else "convert it to a tensor"
        )
        raise TypeError(
            f"Batches takes a Split, a tensor or a tuple of tensors, not {type(data).__name__}: {hint}."
        )
    lengths = [len(t) if t.ndim else 0 for t in tensors]
    if len(set(lengths)) > 1:
        raise ValueError(f"The tensors must be of equal length, theirs are {lengths}.")
    if lengths[0] == 0:
        raise ValueError("The data are empty: there is nothing to make batches of.")
    return tensors, bare
