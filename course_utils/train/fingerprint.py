"""What a training call is: architecture, hyperparameters and the source of its loss, so that a change is
noticed."""

import torch
from torch import nn

from course_utils.train import source


def identify(given: dict, state: dict, **settings) -> dict[str, str]:
    """Return the fingerprint of a training call as a dict from what it is to its value.

    `given`: name → what decides how it trains, `{"step": step}` or `{"loss": loss_fn, "clip": clip}`: the
    source of functions counts, and that of the functions and simple values they use (defaults, closures,
    globals of their own module). `state`: the modules, optimisers, … that are saved. `settings`: further
    values. Comments, docstrings and formatting do not count.
    """
    found = {key: repr(value) for key, value in settings.items()}
    seen: set = set()
    for name, part in state.items():
        _describe_part(name, part, found, seen)
    for name, value in given.items():
        source.describe(name, value, found, seen)
    return found


def differences(old: dict[str, str], new: dict[str, str]) -> list[str]:
    """Return one line for each thing in which two fingerprints differ."""
    lines = []
    for key in sorted({*old, *new}):
        before = old.get(key)
        now = new.get(key)
        if before == now:
            continue
        if key.startswith("code of"):
            lines.append(f"the {key} {_change_of_code(before, now)}")
        else:
            lines.append(f"{key}: {before or 'absent'} → {now or 'absent'}")
    return lines


def _change_of_code(before: str | None, now: str | None) -> str:
    if not now:
        return "is not used any more"
    if not before:
        return "is new"
    if source.COMPILED in before and source.COMPILED in now:
        versions = [value.split(",")[0].removeprefix(source.COMPILED).strip() for value in (before, now)]
        if versions[0] != versions[1]:
            return (
                "cannot be compared: it has no source (was it made by exec?), and it was compiled by Python "
                f"{versions[0]}, now by {versions[1]}. Put it into a file or a cell"
            )
    return "changed"


def _describe_part(name: str, part, found: dict, seen: set) -> None:
    """Add what one saved object is, without what training changes in it."""
    if isinstance(part, nn.Module):
        for key, value in part.state_dict().items():
            found[f"{name}.{key}"] = f"{tuple(value.shape)} {value.dtype}"
        found[f"{name}, its layers"] = source.short(repr(part))
        for kind in dict.fromkeys(type(module) for module in part.modules()):
            source.describe_class(kind, found, seen)
        return
    found[f"{name}, its kind"] = type(part).__name__
    if isinstance(part, torch.optim.Optimizer):
        _describe_optimiser(name, part, found)
    elif isinstance(part, torch.optim.lr_scheduler.LRScheduler):
        for function in getattr(part, "lr_lambdas", []):
            source.describe(f"{name}, its factor", function, found, seen)
    elif hasattr(part, "decay"):
        found[f"{name}, its decay"] = repr(part.decay)


def _describe_optimiser(name: str, optimiser: torch.optim.Optimizer, found: dict) -> None:
    """Add the settings of each group of weights; of the learning rate the one before any schedule."""
    for number, group in enumerate(optimiser.param_groups):
        options = {key: value for key, value in group.items() if key not in ("params", "initial_lr")}
        options["lr"] = group.get("initial_lr", group["lr"])
        for key, value in options.items():
            where = f" of group {number}" if number else ""
            found[f"{name}, {key}{where}"] = str(value)
