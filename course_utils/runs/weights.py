"""Weights of modules as one safetensors file: float16 on disk, checked name by name before a single one is
set."""

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save_file
from torch import nn

HALF_MAX = torch.finfo(torch.float16).max


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

    Floating-point tensors become float16, unless a value is too large for it: then float32. Integer ones are
    kept. Raises ValueError if a weight is not finite.
    """
    content = {}
    for name, module in named.items():
        for key, tensor in module.state_dict().items():
            content[f"{name}/{key}"] = _halved(key, tensor)
    save_file(content, path, metadata={"format": "pt"})


def _halved(key: str, tensor: torch.Tensor) -> torch.Tensor:
    tensor = tensor.detach().cpu()
    if tensor.is_floating_point():
        if not tensor.isfinite().all():
            raise ValueError(f"Weight {key!r} is infinite or NaN: such a run is not worth saving.")
        fits = tensor.numel() == 0 or tensor.abs().max() <= HALF_MAX
        tensor = tensor.to(torch.float16 if fits else torch.float32)
    return tensor.clone(memory_format=torch.contiguous_format)  # own memory also for tied weights


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

    Nothing is changed unless everything fits.

    Raises RuntimeError that names `source` and the differences: missing and superfluous weights, shapes.
    """
    try:
        weights = load(content)
    except SafetensorError as error:
        raise RuntimeError(
            f"The weights of {source} cannot be read ({error}): restore the file or train again."
        ) from None
    differences = []
    parts = {}
    for name, module in named.items():
        prefix = f"{name}/"
        saved = {key.removeprefix(prefix): t for key, t in weights.items() if key.startswith(prefix)}
        differences += [f"{name}: {line}" for line in _differences(saved, module.state_dict())]
        parts[name] = saved
    if differences:
        more = [f"… and {len(differences) - 12} more"] if len(differences) > 12 else []
        listed = "\n".join(f"  - {line}" for line in [*differences[:12], *more])
        raise RuntimeError(f"The weights of {source} do not fit; nothing was changed:\n{listed}")
    for name, module in named.items():
        module.load_state_dict(parts[name])
        module.eval()


def _differences(saved: dict, wanted: dict) -> list[str]:
    """One line for each weight that is missing, superfluous, or of another shape or kind."""
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
    return lines
