"""Where things lie: the course, its data, the shipped runs, a reader's own runs."""

import atexit
import os
import re
import shutil
import tempfile
import warnings
from functools import cache
from pathlib import Path

import torch

from course_utils.system.profile import profile
from course_utils.system.ranks import rank, world_size

ROOT = Path(__file__).resolve().parents[2]


def data_dir() -> Path:
    """Return the folder that holds the data sets which ship with the course."""
    return ROOT / "data"


def shipped_runs_dir() -> Path:
    """Return the folder of the runs that ship with the course."""
    return ROOT / "data" / "runs"


@cache
def scratch(pid: int) -> Path:
    """A folder that vanishes with this process (`pid` keeps a forked child from sharing its parent's).

    Under torchrun it is that of rank 0 for all.
    """
    folder = Path(tempfile.mkdtemp(prefix="course-")) if rank() == 0 else None
    if folder:
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    if world_size() > 1:
        shared = [folder]
        torch.distributed.broadcast_object_list(shared)
        folder = shared[0]
    return folder


@cache
def _own_runs(root: Path) -> Path:
    """The folder runs/ of the course or, where nothing can be written there, a temporary one, with a
    warning."""
    folder = root / "runs"
    if os.access(folder if folder.exists() else root, os.W_OK):
        return folder
    warnings.warn(
        f"{folder} cannot be written. Your runs, trainings and digit are kept only until this kernel ends; to"
        " keep them for good, copy the course to a folder of your own and open it there.",
        stacklevel=4,
    )
    return scratch(os.getpid())


def runs_dir() -> Path:
    """Return the folder where own runs are written: runs/, data/runs/ in `full`, a temporary one in `quick`.

    A read-only course gets a temporary one in `live`, too.
    """
    kind = profile()
    return (
        shipped_runs_dir() if kind == "full" else _own_runs(ROOT) if kind == "live" else scratch(os.getpid())
    )


DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))}
"""What Windows takes for a device, with any ending: a run of such a name could not be copied there."""


def check_run_name(name: str, beside: Path | None = None, ending: str = "") -> None:
    """Raise ValueError for a name that cannot be a file's on every system, and say why.

    `beside`: the folder where it is to be kept, with this `ending`: a name there that differs in upper and
    lower case only is the same file on Windows and macOS.
    """
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9][\w.-]*", name):
        raise ValueError(
            f"{name!r} cannot name a run: use letters, digits, '_', '-' and '.', and no sign in front."
        )
    why = None
    if name.split(".")[0].lower() in DEVICES:
        why = f"Windows takes {name.split('.')[0]!r} for a device"
    elif name.endswith("."):
        why = "Windows drops the dot at its end"
    elif beside is not None and beside.is_dir():
        there = [path.name.removesuffix(ending) for path in beside.iterdir() if path.name.endswith(ending)]
        twin = next((old for old in there if old != name and old.lower() == name.lower()), None)
        if twin is not None and name not in there:
            why = f"there is {twin!r} already, which is the same file on Windows and macOS"
    if why:
        raise ValueError(f"{name!r} cannot name a run: {why}. Choose another name.")
