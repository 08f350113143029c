"""The card of a run: what was trained, how, where, and what came out."""

import datetime
import math
import platform
import re

import numpy as np
import torch

from course_utils.system import folders, machine, ranks
from course_utils.system.profile import profile

FORMAT = 1
"""The version of the cards that this version of the course writes and reads."""


def make_card(name: str, *, what: str, figures: dict, history, modules: dict, lesson: str | None) -> dict:
    """Return the card as a dict for JSON; `save_run` adds the kind of samples and the checksums of the files.

    `saved` is the moment, to the microsecond: no two cards are equal. Raises ValueError for a figure that is
    not finite or has no tolerance.
    """
    lesson = lesson or lesson_of(name)
    weights = {weight for module in modules.values() for weight in module.parameters()}
    return {
        "format": FORMAT,
        "name": name,
        "lesson": lesson,
        "what": what,
        "command": command(lesson),
        "profile": profile(),
        "saved": datetime.datetime.now(datetime.UTC).isoformat(timespec="microseconds"),
        "seed": getattr(history, "seed", None),
        "device": device_name(),
        "versions": versions(),
        "modules": list(modules),
        "parameters": sum(weight.numel() for weight in weights),
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
        raise ValueError(
            f"Figure {key!r} needs a finite value and a tolerance ≥ 0, got {value} ± {tolerance}."
        )
    return {"value": value, "tolerance": tolerance}


def lesson_of(name: str) -> str | None:
    """Return the slug of the lesson that a run's name begins with ("06_steps" → "06_diffusion"), or None."""
    number = re.match(r"(\d\d[a-z]?|[A-Z])_", name)
    if number is None:
        return None
    found = sorted((folders.ROOT / "lessons").glob(f"{number[1]}_*.py"))
    return found[0].stem if found else None


def command(lesson: str | None) -> str | None:
    """Return the command line that makes the runs of a lesson in this profile and number of processes."""
    if lesson is None:
        return None
    world = ranks.world_size()
    start = f"torchrun --nproc-per-node {world}" if world > 1 else "python"
    return f"COURSE_PROFILE={profile()} {start} lessons/{lesson}.py"


def device_name() -> str:
    """Return the kind of device: "CPU, 1 thread", "CPU, 2 threads", "MPS" or the graphics card's name."""
    where = machine.device()
    if where.type == "cuda":
        return torch.cuda.get_device_name(where)
    if where.type == "mps":
        return "MPS"
    threads = torch.get_num_threads()
    return f"CPU, {threads} thread{'' if threads == 1 else 's'}"


def course_version() -> str | None:
    """Return the version of the course from pyproject.toml, its only place, or None where that is absent."""
    path = folders.ROOT / "pyproject.toml"
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    found = re.search(r'^version = "([^"]+)"', text, re.M)
    return found[1] if found else None


def versions() -> dict[str, str | None]:
    """Return the versions of the course, Python, torch and NumPy."""
    return {
        "course": course_version(),
        "python": platform.python_version(),
        "torch": torch.__version__.split("+")[0],
        "numpy": np.__version__,
    }
