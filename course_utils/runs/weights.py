"""Weights of modules as one safetensors file: float16 on disk where that is exact enough, checked name by name
before a single one is set."""

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save_file
from torch import nn

EXACT = 1e-3
"""No number that is restored is further from the saved one than this share of it."""
SMALL = 4096
"""A tensor of at most so many numbers, one of which float16 cannot hold, is kept in float32 as a whole."""
APART = "!"
"""Of a larger tensor those numbers stand apart, under its key with "!at" (their places) and "!float32"."""


def name_modules(modules) -> dict[str, nn.Module]:
    """Return a module as {"model": module}, a dict name → module as it is, None as {}; TypeError
    otherwise."""
    if modules is None:
        return {}
    named = modules if isinstance(modules, dict) else {"model": modules}
    for name, module in named.items():
        if module is None:
            raise TypeError(f"{name!r} is None, not a module: was the cell that makes it run?")
        if not isinstance(module, nn.Module):
            raise TypeError(
                f"{name!r} must be a module, not {type(module).__name__}: pass a module or a dict of modules."
            )
        if "/" in name:
            raise ValueError(f"A module's name holds no '/': {name!r}.")
    return named


def write(path: Path, named: dict[str, nn.Module]) -> None:
    """Write the parameters and buffers of modules; keys are NAME/STATE-DICT-KEY.

    Floating-point tensors become float16, and numbers that are too large or too small for it stay float32: a
    schedule in a buffer ends with such. Integer tensors are kept. Raises ValueError if a weight is not finite.
    """
    content = {}
    for name, module in named.items():
        for key, tensor in module.state_dict().items():
            content |= {f"{name}/{key}{end}": part for end, part in _halved(key, tensor).items()}
    save_file(content, path, metadata={"format": "pt"})


def _halved(key: str, tensor: torch.Tensor) -> dict[str, torch.Tensor]:
    """What is written of a tensor: end of its key → a tensor with memory of its own, also for tied weights."""
    tensor = tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
    if not tensor.is_floating_point():
        return {"": tensor}
    if not tensor.isfinite().all():
        raise ValueError(f"Weight {key!r} is infinite or NaN: such a run is not worth saving.")
    places = _inexact(tensor, torch.float16)
    if len(places) == 0:
        return {"": tensor.to(torch.float16)}
    if len(_inexact(tensor, torch.float32)):  # float64 with numbers beyond 1e±38
        return {"": tensor}
    if tensor.numel() <= max(SMALL, 6 * len(places)):  # a number that stands apart takes 12 bytes
        return {"": tensor.to(torch.float32)}
    apart = tensor.flatten()[places].to(torch.float32)
    return {"": tensor.to(torch.float16), f"{APART}at": places, f"{APART}float32": apart}


def _inexact(tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """The places (k,) of the numbers in a flat tensor that another type cannot hold to within EXACT."""
    exact = tensor.flatten().double()
    return ((exact.to(dtype).double() - exact).abs() > EXACT * exact.abs()).nonzero().flatten()


def _joined(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors of a file by key, the numbers that stood apart back in their places."""
    whole = {key: tensor for key, tensor in weights.items() if APART not in key}
    for key in whole:
        if f"{key}{APART}at" in weights:
            places = weights[f"{key}{APART}at"]
            full = whole[key].to(torch.float32)
            full.view(-1)[places] = weights[f"{key}{APART}float32"]
            whole[key] = full
    return whole


def match(run, modules: tuple) -> dict[str, nn.Module]:
    """Return the modules to fill by the names under which the run (its card) keeps them."""
    saved = list(run.card["modules"])
    if len(modules) == 1 and isinstance(modules[0], dict):
        named = name_modules(modules[0])
        unknown = [name for name in named if name not in saved]
        if unknown:
            raise RuntimeError(f"Run {run.name!r} holds {', '.join(saved)}, but not {', '.join(unknown)}.")
        return named
    if len(modules) != len(saved):
        raise RuntimeError(
            f"Run {run.name!r} holds {len(saved)} module(s) ({', '.join(saved)}), {len(modules)} were given: "
            "pass them in this order, or a dict name → module."
        )
    return {name: name_modules({name: module})[name] for name, module in zip(saved, modules)}


def read_into(content: bytes, named: dict[str, nn.Module], source: str) -> None:
    """Load weights, the content of a file, into modules and set these to eval mode.

    Nothing is changed unless everything fits. Names that differ only by what DataParallel ("module.") and
    `torch.compile` ("_orig_mod.") put into them are one. Raises RuntimeError that names `source` and the
    differences: missing and superfluous weights, shapes, numbers that the module's type cannot hold.
    """
    try:
        weights = _joined(load(content))
    except SafetensorError as error:
        raise RuntimeError(
            f"The weights of {source} cannot be read ({error}): restore the file or train again."
        ) from None
    differences = []
    parts = {}
    for name, module in named.items():
        prefix = f"{name}/"
        saved = {key.removeprefix(prefix): t for key, t in weights.items() if key.startswith(prefix)}
        saved = _without_wrappers(saved, module.state_dict())
        differences += [f"{name}: {line}" for line in _differences(saved, module.state_dict())]
        parts[name] = saved
    if differences:
        more = [f"… and {len(differences) - 12} more"] if len(differences) > 12 else []
        listed = "\n".join(f"  - {line}" for line in [*differences[:12], *more])
        raise RuntimeError(f"The weights of {source} do not fit; nothing was changed:\n{listed}")
    for name, module in named.items():
        module.load_state_dict(parts[name])
        module.eval()


def _without_wrappers(saved: dict, wanted: dict) -> dict:
    """The saved weights under the names that the module has, where only a wrapper makes the difference."""
    if saved.keys() == wanted.keys():
        return saved
    names = {_bare(key): key for key in wanted}
    found = {_bare(key): tensor for key, tensor in saved.items()}
    one_each = len(names) == len(wanted) and len(found) == len(saved)
    return (
        {names[key]: tensor for key, tensor in found.items()}
        if one_each and names.keys() == found.keys()
        else saved
    )


def _bare(key: str) -> str:
    """The name of a weight without the parts that wrappers put in."""
    parts = [part for part in key.split(".") if part != "_orig_mod"]
    while parts[0] == "module" and len(parts) > 1:
        parts = parts[1:]
    return ".".join(parts)


def _differences(saved: dict, wanted: dict) -> list[str]:
    """One line for each weight that is missing, superfluous, of another shape or kind, or that would become
    infinite."""
    lines = [
        f"{key} {tuple(t.shape)} is in the module, but not in the run"
        for key, t in wanted.items()
        if key not in saved
    ]
    lines += [
        f"{key} {tuple(t.shape)} is in the run, but not in the module"
        for key, t in saved.items()
        if key not in wanted
    ]
    for key in [key for key in wanted if key in saved]:
        old = saved[key]
        new = wanted[key]
        if old.shape != new.shape:
            lines.append(f"{key} is {tuple(old.shape)} in the run, {tuple(new.shape)} in the module")
        elif old.is_floating_point() != new.is_floating_point():
            lines.append(f"{key} is {old.dtype} in the run, {new.dtype} in the module")
        elif old.is_floating_point() and not old.to(new.dtype).isfinite().all():
            lines.append(f"{key} reaches {old.abs().max():.0e} in the run; {new.dtype} cannot hold that")
    return lines
