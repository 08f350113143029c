"""What a training call is: architecture, hyperparameters, data and the source of its loss, so that a change
is noticed."""

import torch
from torch import nn

from course_utils.train import source

VARIES = "changes while it trains"
"""Stands in a saved fingerprint for a value that the training itself changed, a counter of the loss say."""
OF_SCHEDULES = ("optimizer", "lr_lambdas", "last_epoch", "base_lrs")
"""Attributes of a learning-rate schedule that are no settings; nor are those that begin with an underscore."""


def identify(given: dict, state: dict, data=None, **settings) -> dict[str, str]:
    """Return the fingerprint of a training call as a dict from what it is to its value.

    `given`: name → what decides how it trains, `{"step": step}` or `{"loss": loss_fn, "clip": clip}`: the
    source of functions counts, and that of the functions and values they use (defaults, closures, globals of
    their own module; containers and objects are taken apart). `state`: the modules, optimisers, … that are
    saved. `data`: the batches, of which the data count. `settings`: further values.
    Comments, docstrings and formatting do not count.
    """
    found = {key: repr(value) for key, value in settings.items()}
    seen: set = set()
    for name, part in state.items():
        _describe_part(name, part, found, seen)
    for name, value in given.items():
        source.describe(name, value, found, seen)
    if data is not None:
        _describe_batches(data, found, seen)
    return found


def _describe_batches(batches, found: dict, seen: set) -> None:
    """Add what batches are made of: tensors, and the attributes of data sets, samplers and other objects."""
    if hasattr(batches, "contents"):  # cu.Batches
        held = [(f"data[{number}]", tensor) for number, tensor in enumerate(batches.contents())]
    elif isinstance(batches, list | tuple):
        held = [("data", batches)]
    elif hasattr(batches, "dataset"):  # a DataLoader
        sampler = getattr(batches, "sampler", None)
        held = [("data", batches.dataset), ("collate_fn", getattr(batches, "collate_fn", None))]
        found["sampler, its kind"] = type(sampler).__name__
        held += source.attributes("sampler", sampler, ("data_source", "dataset", "generator", "epoch"))
    else:
        held = source.attributes("data", batches)
    for name, value in held:
        _describe_data(name, value, found, seen)


def _describe_data(name: str, value, found: dict, seen: set) -> None:
    """Add a value; of a data set, also one of a library, its attributes."""
    if _is_set(value):
        if ("set", id(value)) not in seen:
            seen.add(("set", id(value)))
            found[f"{name}, its kind"] = type(value).__name__
            source.describe_class(type(value), found, seen)
            for key, part in source.attributes(name, value):
                _describe_data(key, part, found, seen)
        return
    if isinstance(value, list | tuple) and any(map(_is_set, value)):
        for number, part in enumerate(value):
            _describe_data(f"{name}[{number}]", part, found, seen)
        return
    entries = len(found)
    source.describe(name, value, found, seen)
    if len(found) == entries and value is not None and " at 0x" not in repr(value):
        found[name] = repr(value)[:200]  # a transformation of a library


def _is_set(value) -> bool:
    """Whether a value is a data set, whose class may be a library's."""
    plain = isinstance(value, str | bytes | dict | list | tuple | set | frozenset | range | type)
    return (
        not plain
        and not hasattr(value, "dtype")
        and any(hasattr(value, how) for how in ("__getitem__", "__iter__"))
    )


def steady(before: dict[str, str], now: dict[str, str]) -> dict[str, str]:
    """Return the fingerprint `before` a training with the mark VARIES where it differs from that of `now`."""
    return {key: now.get(key) if before.get(key) == now.get(key) else VARIES for key in {**before, **now}}


def varying(identity: dict[str, str], kept: list[str]) -> list[str]:
    """Return the names of the values that the training itself changed, those of the parts in `kept` excepted."""
    saved = tuple(f"{name}{sign}" for name in kept for sign in ".,[")
    return sorted(key for key, value in identity.items() if value == VARIES and not key.startswith(saved))


def differences(old: dict[str, str], new: dict[str, str]) -> list[str]:
    """Return one line for each thing in which two fingerprints differ."""
    lines = []
    for key in sorted({*old, *new}):
        before = old.get(key)
        now = new.get(key)
        if before == now or VARIES in (before, now):
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
    versions = [
        value.split(",")[0].removeprefix(source.COMPILED).strip() if source.COMPILED in value else None
        for value in (before, now)
    ]
    if versions[0] == versions[1]:
        return "changed"
    if None in versions:
        when, version = ("was", versions[0]) if versions[0] else ("is", versions[1])
        return (
            f"cannot be compared: it {when} without source (typed at the prompt, or made by exec) under Python "
            f"{version}. Put it into a file or a cell"
        )
    return (
        "cannot be compared: it has no source (was it made by exec?), and it was compiled by Python "
        f"{versions[0]}, now by {versions[1]}. Put it into a file or a cell"
    )


def _describe_part(name: str, part, found: dict, seen: set) -> None:
    """Add what one saved object is, without what training changes in it."""
    if isinstance(part, nn.Module):
        for key, value in part.state_dict().items():
            found[f"{name}.{key}"] = f"{tuple(value.shape)} {value.dtype}"
        found[f"{name}, its layers"] = source.short(repr(part))
        for kind in dict.fromkeys(type(module) for module in part.modules()):
            source.describe_class(kind, found, seen)
        for path, module in part.named_modules(prefix=name):
            _describe_attributes(path, module, found, seen)
        return
    found[f"{name}, its kind"] = type(part).__name__
    if isinstance(part, torch.optim.Optimizer):
        _describe_optimiser(name, part, found)
    elif isinstance(part, torch.optim.lr_scheduler.LRScheduler):
        for function in getattr(part, "lr_lambdas", []):
            source.describe(f"{name}, its factor", function, found, seen)
        for key, value in source.attributes(name, part, OF_SCHEDULES):
            if not key.removeprefix(f"{name}.").startswith("_"):
                source.describe(key, value, found, seen)
    elif hasattr(part, "decay"):
        found[f"{name}, its decay"] = repr(part.decay)
    else:
        source.describe(name, part, found, seen)


def _describe_attributes(name: str, module: nn.Module, found: dict, seen: set) -> None:
    """Add the values that a module of the reader's keeps as plain attributes: a weight of its loss, say."""
    if source.is_library(type(module).__module__):
        return
    for key, value in vars(module).items():
        if key != "training" and key not in vars(nn.Module()):
            source.describe(f"{name}.{key}", value, found, seen)


def _describe_optimiser(name: str, optimiser: torch.optim.Optimizer, found: dict) -> None:
    """Add the settings of each group of weights; of the learning rate the one before any schedule."""
    for number, group in enumerate(optimiser.param_groups):
        options = {key: value for key, value in group.items() if key not in ("params", "initial_lr")}
        options["number of weights"] = len(group["params"])
        options["lr"] = group.get("initial_lr", group["lr"])
        for key, value in options.items():
            where = f" of group {number}" if number else ""
            found[f"{name}, {key}{where}"] = str(value)
