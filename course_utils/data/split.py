"""Images and their labels: `Split`, and the three splits of a set, `Images`."""

import operator
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from course_utils.system.numbers import whole

NO_TENSOR = (
    "This is a Split, images with their labels, where a tensor or array is needed: pass its images, .x (uint8) "
    "or .float() (in [0, 1]), or its labels, .y."
)


def as_tensor(x) -> torch.Tensor:
    """Return a tensor, array or list as a tensor. TypeError says what to pass in place of a Split."""
    if isinstance(x, Split | Images):
        x.__array__()
    return torch.as_tensor(x)


@dataclass(frozen=True, eq=False, repr=False)
class Split:
    """Images and their labels: `x` uint8 (N, C, H, W) in 0..255, `y` int64 (N,), on one device.

    Raises ValueError if the two disagree in length or are of another type or shape.
    """

    x: torch.Tensor
    y: torch.Tensor

    def __post_init__(self):
        if self.x.dtype != torch.uint8 or self.x.ndim != 4:
            raise ValueError(
                f"Split needs x as uint8 (N, C, H, W), not {self.x.dtype} {tuple(self.x.shape)}; "
                "cu.to_uint8 converts floats in [0, 1]."
            )
        if self.y.dtype != torch.int64 or self.y.shape != self.x.shape[:1]:
            raise ValueError(
                f"Split needs one int64 label per image: x has {len(self.x)} images, "
                f"y is {self.y.dtype} {tuple(self.y.shape)}."
            )

    def __len__(self) -> int:
        return len(self.x)

    def __repr__(self) -> str:
        return f"Split(x: uint8 {tuple(self.x.shape)}, y: int64 {tuple(self.y.shape)}, on {self.x.device})"

    def __getitem__(self, index) -> "Split":
        """Return the chosen examples as a new Split (a copy): a slice, integers (list, array, tensor) or a
        bool mask.

        A single integer gives a Split of one image. Raises IndexError outside the range.
        """
        if isinstance(index, slice):
            return Split(self.x[index].clone(), self.y[index].clone())
        index = as_tensor(index).to(self.x.device)
        if index.ndim == 0:
            return Example(self.x[index.reshape(1)], self.y[index.reshape(1)])
        if index.numel() == 0:
            index = index.long()
        return Split(self.x[index], self.y[index])

    def __array__(self, *_, **__):
        raise TypeError(NO_TENSOR)

    @classmethod
    def __torch_function__(cls, *_):
        raise TypeError(NO_TENSOR)

    def __iter__(self) -> Iterator["Split"]:
        """Iterate over the examples one by one; for minibatches use `cu.Batches`."""
        return (self[i] for i in range(len(self)))

    def float(self) -> torch.Tensor:
        """Return the images as float32 (N, C, H, W) in [0, 1], exactly x / 255, on the same device."""
        # A divisor on the device: with a Python number CUDA multiplies by 1/255, which is off by one unit at
        # times.
        return self.x.to(torch.float32) / torch.full((), 255.0, dtype=torch.float32, device=self.x.device)

    def flat(self) -> torch.Tensor:
        """Return the images as rows: float32 (N, C·H·W) in [0, 1]."""
        return self.float().flatten(1)

    def only(self, *labels: int) -> "Split":
        """Return the examples of the given classes, in order. Raises ValueError for a label that does not
        occur, TypeError for one that is no whole number."""
        keep = torch.zeros_like(self.y, dtype=torch.bool)
        for label in labels:
            try:
                hit = self.y == operator.index(label)
            except TypeError:
                raise TypeError(f"Labels are whole numbers, as in .only(3, 8); got {label!r}.") from None
            if not hit.any():
                raise ValueError(
                    f"No example has the label {label!r}; there are: {self.y.unique().tolist()}."
                )
            keep |= hit
        return self[keep]

    def sample(self, n: int, seed: int = 0) -> "Split":
        """Return `n` different random examples, the same for the same seed. Raises ValueError if there are
        fewer."""
        n = whole(n, "n, the number of examples,")
        if not 0 <= n <= len(self):
            raise ValueError(
                f"Cannot draw {n} different examples from {len(self)}; choose n up to {len(self)}."
            )
        generator = torch.Generator().manual_seed(whole(seed, "seed"))
        return self[torch.randperm(len(self), generator=generator)[:n]]

    def to(self, device: torch.device | str) -> "Split":
        """Return the split on `device` (itself if it is there already)."""
        return Split(self.x.to(device), self.y.to(device))


class Example(Split):
    """A Split of one image, taken by its number. It has no further element.

    Were its first element another Split of one, whoever looks for numbers in it, as torch does in an index,
    would look for ever, and end the process when its stack is full.
    """

    def __getitem__(self, index) -> Split:
        if isinstance(index, int) and not isinstance(index, bool):
            raise TypeError(f"{NO_TENSOR} (It holds one example, which has no element {index}.)")
        return super().__getitem__(index)


@dataclass(frozen=True, eq=False)
class Images:
    """An image set: three `Split`s, its `name`, and `classes`, the ten class names in the order of the
    labels."""

    train: Split
    val: Split
    test: Split
    name: str
    classes: tuple[str, ...]

    def __array__(self, *_, **__):
        raise TypeError(
            "This is a set of images with three parts: choose .train, .val or .test, and of that .x or "
            ".float()."
        )

    @classmethod
    def __torch_function__(cls, *_):
        cls.__array__(cls)
