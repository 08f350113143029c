"""The card of a run: what was trained, how, where, and what came out."""

import math
import platform
import re

import numpy as np
import torch

from course_utils import runtime
from course_utils.checkpoint import FORMAT


def make_card(name: str, *, what: str, figures: dict, history, modules: dict, lesson: str | None) -> dict:
    """Return the card as a dict for JSON; `save_run` adds the kind of samples and the checksums of the files.

    Raises ValueError for a figure that is not finite or has no tolerance.
    """
    lesson = lesson or lesson_of(name)
    weights = {w for module in modules.values() for w in module.parameters()}
    return {
        "format": FORMAT,
        "name": name,
        "lesson": lesson,
        "what": what,
        "command": command(lesson),
        "profile": runtime.profile(),
        "seed": getattr(history, "seed", None),
        "device": device_name(),
        "versions": {"course": course_version(), "python": platform.python_version(), **_versions()},
        "modules": list(modules),
        "parameters": sum(w.numel() for w in weights),
        "steps": history.steps[-1] if history is not None and history.steps else None,
        "seconds": None if history is None else round(history.seconds, 2),
        "stopped": getattr(history, "stopped", None),
        "figures": {key: _figure(key, value) for key, value in figures.items()},
    }


def _figure(key: str, entry) -> dict:
    try:
        value, tolerance = map(float, entry)
    except (TypeError, ValueError):
        raise ValueError(f"Figure {key!r} must be (value, tolerance), got {entry!r}.") from None
    if not (math.isfinite(value) and math.isfinite(tolerance) and tolerance >= 0):
        raise ValueError(f"Figure {key!r} needs a finite value and a tolerance ≥ 0, got {value} ± {tolerance}.")
    return {"value": value, "tolerance": tolerance}


def lesson_of(name: str) -> str | None:
    """Return the slug of the lesson that a run's name begins with ("06_diffusion_2d" → "06_diffusion"), or None."""
    number = re.match(r"(\d\d|[A-Z])_", name)
    found = sorted((runtime.ROOT / "lessons").glob(f"{number[1]}_*.py")) if number else []
    return found[0].stem if found else None


def command(lesson: str | None) -> str | None:
    """Return the command line that makes the runs of a lesson in this profile and number of processes."""
    if lesson is None:
        return None
    world = runtime.world_size()
    start = f"torchrun --nproc-per-node {world}" if world > 1 else "python"
    return f"COURSE_PROFILE={runtime.profile()} {start} lessons/{lesson}.py"


def device_name() -> str:
    """Return the kind of device: "CPU, 2 threads", "MPS" or the graphics card's name."""
    where = runtime.device()
    if where.type == "cuda":
        return torch.cuda.get_device_name(where)
    return "MPS" if where.type == "mps" else f"CPU, {torch.get_num_threads()} threads"


def course_version() -> str | None:
    """Return the version of the course from pyproject.toml, its only place, or None where that is absent."""
    path = runtime.ROOT / "pyproject.toml"
    found = re.search(r'^version = "([^"]+)"', path.read_text(encoding="utf-8"), re.M) if path.is_file() else None
    return found and found[1]


def _versions() -> dict[str, str]:
    return {"torch": torch.__version__.split("+")[0], "numpy": np.__version__}
