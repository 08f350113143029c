"""The image sets: MNIST, which ships with the course, and Fashion-MNIST by the same interface.

    data = cu.mnist()                       # Images: data.train, data.val, data.test, data.classes
    data.train.x                            # uint8 (55000, 1, 28, 28), on the CPU
    data.train.only(3, 8).sample(500).flat()  # float32 (500, 784) in [0, 1]
    data = cu.mnist("fashion")              # the same interface (needs a network the first time)

MNIST is verified on every load (SHA-256). Its 60,000 training images are split in their original order: the
**first 55,000 are `train`, the last 5,000 are `val`**, the 10,000 test images are `test`. Choices are made on
`val`; `test` is read once, for the final figure. Fashion-MNIST is split alike, and downloaded into data/ when
first asked for.

A set is read once per process and then shared: treat its tensors as read-only (`s[...]`, `.only`, `.sample`,
`.float` and `.flat` return copies, which are yours).
"""

import difflib
from functools import cache
from pathlib import Path

import torch

from course_utils.data.files import DataError, download, parse_idx, read_verified
from course_utils.data.split import Images, Split
from course_utils.system import folders

VALIDATION = 5_000  # the last so many training images
# name: SHA-256 and bytes of the files in data/mnist, as listed in data/README.md
MNIST_FILES = {
    "train-images-idx3-ubyte.gz": (
        "0b367032e93c5d0cea0925647cfdb18614af8ee15f83e6f2fc2ad904a6835971",
        9_719_438,
    ),
    "train-labels-idx1-ubyte.gz": (
        "1787548bbe0bff1ec2ecdc0ef292b02df999e2d1a6002d27500982c652b17203",
        28_857,
    ),
    "t10k-images-idx3-ubyte.gz": (
        "1a1a05eab793c14bb050b398624a11b0ffd1a2953baed553b1b9bd079e2a20be",
        1_616_508,
    ),
    "t10k-labels-idx1-ubyte.gz": ("b91679a0acfe4ba0e50a2437a903084cba1f5f92592b016a25a7dfd00455798b", 4_517),
}
CLASSES = {
    "digits": tuple("0123456789"),
    "fashion": (
        "T-shirt",
        "trousers",
        "pullover",
        "dress",
        "coat",
        "sandal",
        "shirt",
        "trainer",
        "bag",
        "ankle boot",
    ),
}


def mnist(name: str = "digits", root: str | Path | None = None) -> Images:
    """Return MNIST ("digits", shipped) or Fashion-MNIST ("fashion"), split 55,000 / 5,000 / 10,000.

    Validation is the last 5,000 of the 60,000 training images. Each split holds x uint8 (N, 1, 28, 28), 0
    paper and 255 ink, and y int64 (N,). `root`: another data folder, whose subfolder `mnist` or `fashion`
    holds the four files. Raises ValueError for another name, DataError (with the remedy) for a missing,
    damaged or unreachable file. Sources: Y. LeCun, C. Cortes, C. Burges, The MNIST Database; Xiao, Rasul,
    Vollgraf, Fashion-MNIST, 2017.
    """
    if name not in ("digits", "fashion"):
        near = difflib.get_close_matches(str(name).lower(), ["digits", "fashion"], n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}? There" if near else "there"
        raise ValueError(f"mnist has no set {name!r}; {hint} are 'digits' and 'fashion'.")
    return _mnist(name, _folder(root, {"digits": "mnist"}.get(name, name)))


def _folder(root: str | Path | None, name: str) -> Path:
    return (folders.data_dir() if root is None else Path(root).expanduser().resolve()) / name


def _images(
    name: str, train: tuple[torch.Tensor, torch.Tensor], test: tuple[torch.Tensor, torch.Tensor]
) -> Images:
    """Cut the validation set off the end of the training set."""
    x, y = train
    cut = len(x) - VALIDATION
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
            raise DataError(
                f"{folder / f} holds an array of shape {tuple(tensor.shape)}, not {shape}. {remedy}"
            )
    x_train, y_train, x_test, y_test = tensors
    return _images(name, (x_train[:, None], y_train.long()), (x_test[:, None], y_test.long()))
