"""The machine: device, precision, seeds, profile, folders. Nothing here knows about a lesson."""

import atexit
import contextlib
import gc
import os
import platform
import random
import shutil
import sys
import tempfile
import warnings
from functools import cache
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).resolve().parent.parent
PROFILES = ("quick", "live", "full")


def profile() -> str:
    """Return the profile, "quick" (CI), "live" (readers, the default) or "full" (maintainers' long runs).

    It is read from the environment variable COURSE_PROFILE, here and nowhere else.
    Raises ValueError for any other word.
    """
    name = os.environ.get("COURSE_PROFILE", "live") or "live"
    if name not in PROFILES:
        raise ValueError(f"COURSE_PROFILE is {name!r}; it must be one of {', '.join(PROFILES)}, or unset for live.")
    return name


def budget(live, quick, full=None):
    """Return `live`, `quick` or `full` (default: `live`) by the profile: for everything that costs time.

    Example: `n_samples = cu.budget(live=5_000, quick=100)`.
    """
    return {"live": live, "quick": quick, "full": live if full is None else full}[profile()]


def data_dir() -> Path:
    """Return the folder that holds the data sets which ship with the course."""
    return ROOT / "data"


def shipped_runs_dir() -> Path:
    """Return the folder of the runs that ship with the course."""
    return ROOT / "data" / "runs"


@cache
def _scratch(pid: int) -> Path:
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
    """The folder runs/ of the course or, where nothing can be written there, a temporary one, with a warning."""
    folder = root / "runs"
    if os.access(folder if folder.exists() else root, os.W_OK):
        return folder
    warnings.warn(
        f"{folder} cannot be written. Your runs, trainings and digit are kept only until this kernel ends; to keep "
        "them for good, copy the course to a folder of your own and open it there.",
        stacklevel=4,
    )
    return _scratch(os.getpid())


def runs_dir() -> Path:
    """Return the folder where own runs are written: runs/, data/runs/ in `full`, a temporary one in `quick`.

    A read-only course gets a temporary one in `live`, too.
    """
    kind = profile()
    return shipped_runs_dir() if kind == "full" else _own_runs(ROOT) if kind == "live" else _scratch(os.getpid())


def device() -> torch.device:
    """Return the best device of this machine: CUDA (this process's card under torchrun), then MPS, then CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)) % torch.cuda.device_count())
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def rank() -> int:
    """Return the number of this process under torchrun, 0 otherwise."""
    return torch.distributed.get_rank() if torch.distributed.is_initialized() else 0


def world_size() -> int:
    """Return how many processes train together under torchrun, 1 otherwise."""
    return torch.distributed.get_world_size() if torch.distributed.is_initialized() else 1


def autocast_dtype(where: torch.device) -> torch.dtype | None:
    """Return the half precision that pays on `where`, or None for float32.

    bfloat16 only where the hardware has it (a T4 emulates it, slowly), otherwise float16 on CUDA; float32 on CPU
    (bfloat16 is slower there without AMX) and on MPS.
    """
    if where.type != "cuda":
        return None
    return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and torch (all devices). Under torchrun each process adds its rank, so noise differs."""
    random.seed(seed + rank())
    np.random.seed((seed + rank()) % 2**32)
    torch.manual_seed(seed + rank())


def free_memory() -> None:
    """Give unused memory back: drop a kept traceback (IPython holds one alive), collect, empty the device's cache."""
    for name in ("last_traceback", "last_value", "last_type", "last_exc"):
        with contextlib.suppress(AttributeError):
            delattr(sys, name)
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    elif torch.backends.mps.is_available():
        torch.mps.empty_cache()


def in_notebook() -> bool:
    """Return whether this code runs in a Jupyter or Colab kernel, that is, whether displays are shown."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return shell is not None and hasattr(shell, "kernel")


def _memory_gb() -> float:
    """Physical memory in GiB, NaN where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    except (AttributeError, ValueError, OSError):
        return float("nan")


def describe() -> str:
    """Return one line about this machine: device, memory, versions, profile."""
    where = device()
    if where.type == "cuda":
        card = torch.cuda.get_device_properties(where)
        half = {torch.bfloat16: "bf16", torch.float16: "fp16"}[autocast_dtype(where)]
        machine = f"{card.name}, {card.total_memory / 2**30:.0f} GB, {half}"
    else:
        kind = "Apple GPU (MPS)" if where.type == "mps" else "CPU"
        machine = f"{kind}, {torch.get_num_threads()} threads, {_memory_gb():.0f} GB memory"
    python = platform.python_version()
    return f"{machine} · Python {python} · torch {torch.__version__.split('+')[0]} · profile {profile()}"


def _join_process_group() -> None:
    """Start torch's process group when torchrun started us, and let only rank 0 print; a no-op otherwise."""
    if int(os.environ.get("WORLD_SIZE", 1)) > 1 and not torch.distributed.is_initialized():
        if torch.cuda.is_available():
            torch.cuda.set_device(device())
        torch.distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
        atexit.register(torch.distributed.destroy_process_group)
        _scratch(os.getpid())  # all processes are here: the moment to agree on one
        if rank() > 0:
            sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - for the rest of the process


def setup(seed: int = 0) -> torch.device:
    """Prepare a lesson: pick the device, seed every generator, set the plot style, print one honest line.

    Under torchrun it also joins the process group, and only rank 0 prints. Returns the device.
    Raises ValueError if COURSE_PROFILE holds an unknown word.
    """
    line = describe()
    _join_process_group()
    seed_everything(seed)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    from course_utils import plots

    plots.use_style()
    if rank() == 0:
        print(f"{line} · seed {seed}")
    return device()
