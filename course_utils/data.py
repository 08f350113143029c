"""Data: the image sets of the course, and by re-export `Batches`, the 2-D sets and the reader's own digit.

    data = cu.mnist()                       # Images: data.train, data.val, data.test, data.classes
    data.train.x                            # uint8 (55000, 1, 28, 28), on the CPU
    data.train.only(3, 8).sample(500).flat()  # float32 (500, 784) in [0, 1]
    data = cu.mnist("fashion")              # the same interface: one argument switches a lesson (needs a network)

MNIST ships with the course and is verified on every load (SHA-256). Its 60,000 training images are split in their
original order: the **first 55,000 are `train`, the last 5,000 are `val`**, the 10,000 test images are `test`. Choices
are made on `val`; `test` is read once, for the final figure. Fashion-MNIST is split alike; CIFAR-10 into the first
45,000, the last 5,000 and 10,000. Both are downloaded into data/ when first asked for.

A set is read once per process and then shared: treat its tensors as read-only (`s[...]`, `.only`, `.sample`, `.float`
and `.flat` return copies, which are yours).
"""

import difflib
import io
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch

from course_utils import runtime
from course_utils.batches import Batches
from course_utils.datafiles import DataError, download, parse_idx, read_verified
from course_utils.digit import my_digit
from course_utils.points import POINTS, checkerboard, eight_gaussians, moons, pinwheel, rings, spiral

__all__ = [
    "POINTS", "Batches", "DataError", "Images", "Split", "checkerboard", "cifar10", "eight_gaussians", "mnist", "moons",
    "my_digit", "pinwheel", "rings", "spiral", "to_uint8",
]  # fmt: skip

VALIDATION = 5_000  # the last so many training images
SLACK = 0.05  # to_uint8 tolerates values this far outside [0, 1]

# name: SHA-256 and bytes of the files in data/mnist, as listed in data/README.md
MNIST_FILES = {
    "train-images-idx3-ubyte.gz": ("0b367032e93c5d0cea0925647cfdb18614af8ee15f83e6f2fc2ad904a6835971", 9_719_438),
    "train-labels-idx1-ubyte.gz": ("1787548bbe0bff1ec2ecdc0ef292b02df999e2d1a6002d27500982c652b17203", 28_857),
    "t10k-images-idx3-ubyte.gz": ("1a1a05eab793c14bb050b398624a11b0ffd1a2953baed553b1b9bd079e2a20be", 1_616_508),
    "t10k-labels-idx1-ubyte.gz": ("b91679a0acfe4ba0e50a2437a903084cba1f5f92592b016a25a7dfd00455798b", 4_517),
}
CIFAR10_URL = "https://www.cs.toronto.edu/~kriz/"
CIFAR10_FILES = {"cifar-10-binary.tar.gz": "c32a1d4ab5d03f1284b67883e8d87530"}  # MD5; no pickles inside, unlike -python
CLASSES = {
    "digits": tuple("0123456789"),
    "fashion": (
        "T-shirt", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "trainer", "bag", "ankle boot",
    ),
    "cifar10": ("aeroplane", "car", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "lorry"),
}  # fmt: skip


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
        """Return the chosen examples as a new Split (a copy): a slice, integers (list, array, tensor) or a bool mask.

        A single integer gives a Split of one image. Raises IndexError outside the range.
        """
        if isinstance(index, slice):
            return Split(self.x[index].clone(), self.y[index].clone())
        index = torch.as_tensor(index, device=self.x.device)
        index = index.reshape(1) if index.ndim == 0 else index
        if index.numel() == 0:
            index = index.long()
        return Split(self.x[index], self.y[index])

    def __iter__(self) -> Iterator["Split"]:
        """Iterate over the examples one by one; for minibatches use `cu.Batches`."""
        return (self[i] for i in range(len(self)))

    def float(self) -> torch.Tensor:
        """Return the images as float32 (N, C, H, W) in [0, 1], exactly x / 255, on the same device."""
        # A divisor on the device: with a Python number CUDA multiplies by 1/255, which is off by one unit at times.
        return self.x.to(torch.float32) / torch.full((), 255.0, device=self.x.device)

    def flat(self) -> torch.Tensor:
        """Return the images as rows: float32 (N, C·H·W) in [0, 1]."""
        return self.float().flatten(1)

    def only(self, *labels: int) -> "Split":
        """Return the examples of the given classes, in order. Raises ValueError for a label that does not occur."""
        keep = torch.zeros_like(self.y, dtype=torch.bool)
        for label in labels:
            hit = self.y == label
            if not hit.any():
                raise ValueError(f"No example has the label {label!r}; there are: {self.y.unique().tolist()}.")
            keep |= hit
        return self[keep]

    def sample(self, n: int, seed: int = 0) -> "Split":
        """Return `n` different random examples, the same for the same seed. Raises ValueError if there are fewer."""
        if not 0 <= n <= len(self):
            raise ValueError(f"Cannot draw {n} different examples from {len(self)}; choose n up to {len(self)}.")
        generator = torch.Generator().manual_seed(seed)
        return self[torch.randperm(len(self), generator=generator)[:n]]

    def to(self, device: torch.device | str) -> "Split":
        """Return the split on `device` (itself if it is there already)."""
        return Split(self.x.to(device), self.y.to(device))


@dataclass(frozen=True, eq=False)
class Images:
    """An image set: three `Split`s, its `name`, and `classes`, the ten class names in the order of the labels."""

    train: Split
    val: Split
    test: Split
    name: str
    classes: tuple[str, ...]


def mnist(name: str = "digits", root: str | Path | None = None) -> Images:
    """Return MNIST ("digits", shipped) or Fashion-MNIST ("fashion", downloaded), split 55,000 / 5,000 / 10,000.

    Validation is the last 5,000 of the 60,000 training images. Each split holds x uint8 (N, 1, 28, 28), 0 paper and
    255 ink, and y int64 (N,). `root`: another data folder, whose subfolder `mnist` or `fashion` holds the four files.
    Raises ValueError for another name, DataError (with the remedy) for a missing, damaged or unreachable file.
    Sources: Y. LeCun, C. Cortes, C. Burges, The MNIST Database; Xiao, Rasul, Vollgraf, Fashion-MNIST, 2017.
    """
    if name not in ("digits", "fashion"):
        near = difflib.get_close_matches(str(name).lower(), ["digits", "fashion"], n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}? There" if near else "there"
        more = " CIFAR-10 is cu.cifar10()." if "cifar" in str(name).lower() else ""
        raise ValueError(f"mnist has no set {name!r}; {hint} are 'digits' and 'fashion'.{more}")
    return _mnist(name, _folder(root, {"digits": "mnist"}.get(name, name)))


def cifar10(root: str | Path | None = None) -> Images:
    """Return CIFAR-10: x uint8 (N, 3, 32, 32), split 45,000 / 5,000 (the last of the training images) / 10,000.

    The first call downloads 162 MB into data/cifar10 (or `root`/cifar10). The archive is the binary one, read in
    place: the usual one holds pickles. Raises DataError with the remedy. Source: A. Krizhevsky, 2009.
    """
    return _cifar10(_folder(root, "cifar10"))


def to_uint8(x: torch.Tensor | np.ndarray) -> torch.Tensor:
    """Return images in [0, 1] as uint8 of the same shape and device: round(255 · x), clipped; uint8 passes as it is.

    Excess up to 0.05 is clipped (samplers overshoot a little). Raises ValueError, saying which scale it suspects, if
    values lie further outside, are not finite, or are integers of another type.
    """
    x = torch.as_tensor(x)
    if x.dtype == torch.uint8:
        return x
    if not (x.is_floating_point() or x.dtype == torch.bool):
        raise ValueError(f"to_uint8 takes floats in [0, 1] or uint8, not {x.dtype}; for 0..255 use x.to(torch.uint8).")
    x = x.detach().to(torch.float32)
    low, high = (v.item() for v in x.aminmax()) if x.numel() else (0.0, 1.0)
    if not (np.isfinite(low) and np.isfinite(high)):  # aminmax hands a NaN on
        raise ValueError("to_uint8: the values are not finite (NaN or infinity); look at what made them.")
    if low < -SLACK or high > 1 + SLACK:
        hint = "use x / 255" if low >= 0 and high > 2 else "values in [-1, 1]? use (x + 1) / 2"
        raise ValueError(
            f"to_uint8 needs values in [0, 1], these lie in [{low:.3g}, {high:.3g}]: {hint}, "
            "or .clamp(0, 1) if an overshoot is meant."
        )
    return (x * 255).round().clamp(0, 255).to(torch.uint8)


def _folder(root: str | Path | None, name: str) -> Path:
    return (runtime.data_dir() if root is None else Path(root).expanduser().resolve()) / name


def _images(name: str, train: tuple[torch.Tensor, torch.Tensor], test: tuple[torch.Tensor, torch.Tensor]) -> Images:
    """Cut the validation set off the end of the training set."""
    (x, y), cut = train, len(train[0]) - VALIDATION
    return Images(Split(x[:cut], y[:cut]), Split(x[cut:], y[cut:]), Split(*test), name, CLASSES[name])


@cache
def _mnist(name: str, folder: Path) -> Images:
    if name == "digits":
        remedy = "Bring it back with `git checkout -- data/mnist`, or download the course again."
        files = [read_verified(folder / f, digest, remedy, size) for f, (digest, size) in MNIST_FILES.items()]
    else:
        from torchvision.datasets import FashionMNIST

        download(FashionMNIST.mirrors[0], dict(FashionMNIST.resources), folder, "Fashion-MNIST")
        remedy = "Delete it and run the cell again while online: it is downloaded anew."
        files = [read_verified(folder / f, digest, remedy) for f, digest in FashionMNIST.resources]
    tensors = [parse_idx(packed, f"{folder / f}") for f, packed in zip(MNIST_FILES, files)]
    for f, tensor, shape in zip(
        MNIST_FILES, tensors, [(60_000, 28, 28), (60_000,), (10_000, 28, 28), (10_000,)], strict=True
    ):
        if tensor.shape != shape:
            raise DataError(f"{folder / f} holds an array of shape {tuple(tensor.shape)}, not {shape}. {remedy}")
    x_train, y_train, x_test, y_test = tensors
    return _images(name, (x_train[:, None], y_train.long()), (x_test[:, None], y_test.long()))


@cache
def _cifar10(folder: Path) -> Images:
    download(CIFAR10_URL, CIFAR10_FILES, folder, "CIFAR-10")
    ((name, digest),) = CIFAR10_FILES.items()
    remedy = "Delete it and run the cell again while online: it is downloaded anew."
    packed = read_verified(folder / name, digest, remedy)
    parts = [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]
    try:
        with tarfile.open(fileobj=io.BytesIO(packed), mode="r:gz") as archive:
            raw = [archive.extractfile(f"cifar-10-batches-bin/{part}.bin").read() for part in parts]
        # one record: a label, then 1,024 red, 1,024 green and 1,024 blue bytes
        rows = torch.frombuffer(bytearray(b"".join(raw)), dtype=torch.uint8).view(60_000, 3_073)
    except (tarfile.TarError, KeyError, EOFError, RuntimeError) as error:
        raise DataError(f"{folder / name} is not the archive expected ({error}). {remedy}") from None
    x, y = rows[:, 1:].reshape(-1, 3, 32, 32), rows[:, 0].long()
    return _images("cifar10", (x[:50_000], y[:50_000]), (x[50_000:], y[50_000:]))
