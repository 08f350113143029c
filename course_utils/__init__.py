"""What I Cannot Create: the helper package of the course. Every lesson says `import course_utils as cu`.

It hides what is not the lesson (devices, loops, progress, runs, plots) and never what is: losses, samplers
and new layers stand in the notebooks. **The public name is the folder**: `cu.plots.image_grid` is in
`plots/`, `cu.fit` in `train/`. Names are resolved on first use, so that importing the package loads neither
torchvision nor scikit-learn nor matplotlib. `dir(cu)` lists them; `help(cu.fit)` explains one.
"""

import importlib


def _look_for_packages() -> None:
    """Raise ImportError that says which kernel to choose, where this one has not what the course needs."""
    import sys
    from importlib.util import find_spec

    missing = [name for name in ("torch", "numpy", "matplotlib") if find_spec(name) is None]
    if missing:
        raise ImportError(
            f"This kernel ({sys.executable}) has no {', '.join(missing)}. Choose that of the course, .venv: menu "
            "Kernel, Change Kernel (in VS Code: Select Kernel), or open the notebook from `python tasks.py lab`."
        )


_look_for_packages()

_NAMES = {
    "start": "setup",
    "system": "budget device free_memory prepare profile seed_everything",
    "data": "Batches POINTS letters mnist my_digit to_uint8 "
    "checkerboard eight_gaussians moons pinwheel rings spiral",
    "plots": "diagram facts show table",
    "runs": "restore save_run ship",
    "widgets": "explore plane quiz scrub stepper",
    "train": "each fit loop",
    "arena": "enter",
    "checks": "check",
}
_ROOM = {name: room for room, names in _NAMES.items() for name in names.split()}
_ROOM["portraits"] = "data.portraits"  # by itself: other lessons need not load, nor follow changes of, it
_ROOMS = {*_NAMES, "metrics", "nets"} - {"start"}
_ALIASES = {"points": "data.points", "runtime": "system"}
"""Older names of rooms, which stay."""

__all__ = sorted(_ROOM)


def __getattr__(name: str):
    """Import the room that holds `name` the first time it is asked for (PEP 562)."""
    if name in _ROOMS or name in _ALIASES:
        return importlib.import_module(f"{__name__}.{_ALIASES.get(name, name)}")
    if name in _ROOM:
        value = getattr(importlib.import_module(f"{__name__}.{_ROOM[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"course_utils has no {name!r}; it has: {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted({*__all__, *_ROOMS})
