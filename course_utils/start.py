"""What the first cell of a lesson does: `cu.setup`."""

import atexit
import os
import platform
import sys

import torch

from course_utils.plots import style
from course_utils.system import turns
from course_utils.system.folders import scratch
from course_utils.system.machine import autocast_dtype, device
from course_utils.system.numbers import whole
from course_utils.system.profile import profile
from course_utils.system.randomness import seed_everything
from course_utils.system.ranks import rank


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
        threads = torch.get_num_threads()
        machine = f"{kind}, {threads} thread{'s' * (threads > 1)}, {_memory_gb():.0f} GB memory"
    python = platform.python_version()
    return f"{machine} · Python {python} · torch {torch.__version__.split('+')[0]} · profile {profile()}"


def _join_process_group() -> None:
    """Start torch's process group when torchrun started us, and let only rank 0 print; a no-op otherwise."""
    if int(os.environ.get("WORLD_SIZE", 1)) > 1 and not torch.distributed.is_initialized():
        if torch.cuda.is_available():
            torch.cuda.set_device(device())
        torch.distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
        atexit.register(torch.distributed.destroy_process_group)
        scratch(os.getpid())  # all processes are here: the moment to agree on one
        if rank() > 0:
            sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - for the rest of the process


def _print_any_sign() -> None:
    """Let an output that is not UTF-8 (a redirected one on Windows, say) replace the signs it does not have."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure") and not str(stream.encoding).lower().startswith("utf"):
            stream.reconfigure(errors="replace")


def setup(seed: int = 0) -> torch.device:
    """Prepare a lesson: pick the device, seed every generator, set the plot style, print one honest line.

    Under torchrun it also joins the process group, and only rank 0 prints. Returns the device.
    Raises ValueError if COURSE_PROFILE holds an unknown word or the seed is no whole number.
    """
    seed = whole(seed, "seed")
    _print_any_sign()
    line = describe()
    _join_process_group()
    seed_everything(seed)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    style.use_style()
    turns.guard_events()
    if rank() == 0:
        print(f"{line} · seed {seed}")
    return device()
