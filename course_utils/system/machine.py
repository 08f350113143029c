"""The machine: device, precision, seeds, profile, folders. Nothing here knows about a lesson."""

import contextlib
import gc
import os
import sys

import torch

named: torch.device | None = None
"""A device that a test names; None stands for the best of this machine."""


def device() -> torch.device:
    """Return the best device of this machine: CUDA (this process's card under torchrun), then MPS, then
    CPU."""
    if named is not None:
        return named
    if torch.cuda.is_available():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)) % torch.cuda.device_count())
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def autocast_dtype(where: torch.device) -> torch.dtype | None:
    """Return the half precision that pays on `where`, or None for float32.

    bfloat16 only where the hardware has it (a T4 emulates it, slowly), otherwise float16 on CUDA; float32 on
    CPU (bfloat16 is slower there without AMX) and on MPS.
    """
    if where.type != "cuda":
        return None
    return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16


def free_memory() -> None:
    """Give unused memory back: drop a kept traceback (IPython holds one alive), collect, empty the device's
    cache."""
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
