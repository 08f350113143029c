"""What I Cannot Create: the helper package of the course. Every lesson says `import course_utils as cu`.

It hides what is not the lesson (devices, loops, progress, runs, plots) and never what is: losses, samplers and new
layers stand in the notebooks. Names are resolved on first use, so that importing the package loads neither
torchvision nor scikit-learn nor matplotlib. `dir(cu)` lists them; `help(cu.fit)` explains one.
"""

import importlib

_NAMES = {
    "runtime": "setup device profile budget free_memory seed_everything",
    "data": "mnist cifar10 my_digit to_uint8 Batches POINTS moons rings spiral pinwheel checkerboard eight_gaussians",
    "train": "fit loop prepare",
    "runs": "save_run restore",
    "plots": "show table",
    "widgets": "explore scrub plane stepper quiz",
    "glyphs": "letters",
    "checks": "check",
}
_HOME = {name: module for module, names in _NAMES.items() for name in names.split()}
_MODULES = {*_NAMES, "nets", "metrics", "points"}

__all__ = sorted(_HOME)


def __getattr__(name: str):
    """Import the module that holds `name` the first time it is asked for (PEP 562)."""
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name in _HOME:
        value = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"course_utils has no {name!r}; it has: {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted({*__all__, *_MODULES})
