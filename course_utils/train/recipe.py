"""The usual parts of a training step: losses, optimiser, schedule, mixed precision."""

import contextlib
import functools
import inspect
import math
from dataclasses import dataclass

import torch
from torch import nn

from course_utils.system import machine
from course_utils.train.ema import EMA


@dataclass(frozen=True)
class Recipe:
    """What `fit` knows of a training call and `loop` could only guess.

    `identity`: name → the functions and values by which a changed call is noticed. `average`: the averaged
    copy, which previews see, or None. `optimiser`: the one that was made for this call alone, so that its
    moments can go when memory runs out; None where the lesson made it.
    """

    identity: dict
    average: EMA | None = None
    optimiser: torch.optim.Optimizer | None = None


def as_losses(out) -> dict:
    """Return what a loss function gave as a dict with the scalar tensor "loss", or say what is wrong with
    it."""
    losses = out if isinstance(out, dict) else {"loss": out}
    loss = losses.get("loss")
    if not isinstance(loss, torch.Tensor):
        keys = f"a dict with {', '.join(map(repr, losses))}" if isinstance(out, dict) else type(out).__name__
        raise TypeError(
            f"loss_fn must return a scalar tensor, or a dict with one under 'loss'; it returned {keys}."
        )
    if loss.numel() != 1:
        raise ValueError(
            f"The loss must be one number, but has shape {tuple(loss.shape)}: average it over the batch."
        )
    if not loss.requires_grad:
        raise ValueError(
            "The loss depends on no weight: is something in it detached, or turned into a number?"
        )
    return losses


def handing_over_step(function):
    """Return call(t, *arguments) for a function, which gets the step t, from 0, if it asks for it.

    It asks with a parameter called `step` that nothing else fills: without a default, or with 0 or None. A
    training that is resumed goes on counting, unlike a counter that the function keeps itself.
    """
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # some functions written in C do not say
        parameters = []
    place = next((number for number, p in enumerate(parameters) if p.name == "step" and _asks(p)), None)
    if place is None:
        return lambda t, *arguments: function(*arguments)
    named = parameters[place].kind is inspect.Parameter.KEYWORD_ONLY

    def call(t, *arguments):
        return function(*arguments, step=t) if named or place >= len(arguments) else function(*arguments)

    return call


def _asks(parameter: inspect.Parameter) -> bool:
    kinds = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    default = parameter.default
    nothing = default is inspect.Parameter.empty or default is None or (type(default) is int and default == 0)
    return parameter.kind in kinds and nothing


def make_optimiser(kind, model: nn.Module, lr: float, weight_decay: float = 0.0) -> torch.optim.Optimizer:
    """Return the optimiser of a model, fused where the device has that; `kind` as in `fit`."""
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    if not weights:
        raise ValueError("The model has no weights to train.")
    kinds = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}
    if callable(kind):
        made = kind(weights)
        if not isinstance(made, torch.optim.Optimizer):
            raise TypeError(
                f"optimiser, called with the weights, returns an optimiser of torch, not {type(made).__name__}."
            )
        return made
    if kind not in kinds:
        raise ValueError(f"optimiser is 'adam', 'adamw', 'sgd' or a function of the weights; not {kind!r}.")
    sparse = any(getattr(part, "sparse", False) for part in model.modules())  # an nn.Embedding
    fused = not sparse and all(
        _has_fused(kinds[kind], *pair) for pair in {(w.device, w.dtype) for w in weights}
    )
    return kinds[kind](weights, lr=lr, weight_decay=weight_decay, **({"fused": True} if fused else {}))


@functools.cache
def _has_fused(kind, device: torch.device, dtype: torch.dtype) -> bool:
    """Whether a kind of optimiser has a fused kernel for weights of a device and type: a step of one number
    tells, since some are refused at their first step only (complex weights)."""
    weight = torch.zeros(1, device=device, dtype=dtype, requires_grad=True)
    weight.grad = torch.zeros_like(weight)
    try:
        kind([weight], lr=1e-3, fused=True).step()
    except (RuntimeError, NotImplementedError):
        return False
    return True


def make_schedule(schedule, opt: torch.optim.Optimizer, total: int):
    """Return a learning-rate schedule over `total` steps, or None; `schedule` as in `fit`."""
    if schedule is None:
        return None
    if schedule == "cosine":
        factor = cosine
    elif callable(schedule):
        factor = schedule
    else:
        raise ValueError(f"schedule is None, 'cosine' or a function of the fraction done; not {schedule!r}.")
    return torch.optim.lr_scheduler.LambdaLR(opt, lambda t: _checked(factor(min(1.0, t / total))))


def _checked(factor: float) -> float:
    """The factor of a schedule, unless it would make the loss climb or the weights NaN."""
    if not (math.isfinite(factor) and factor >= 0):
        raise ValueError(f"schedule must return a finite factor of at least 0; it returned {factor!r}.")
    return factor


def cosine(done: float) -> float:
    """Return the factor (1 + cos(π · done)) / 2 of Loshchilov & Hutter (2017): 1 at the start, 0 at the
    end."""
    return (1 + math.cos(math.pi * done)) / 2


def mixed_precision(device: torch.device):
    """Return a function that opens an autocast block, and a gradient scaler (it acts for float16 only)."""
    dtype = machine.autocast_dtype(device)
    scaler = torch.amp.GradScaler(device.type, enabled=dtype == torch.float16)
    if dtype is None:
        return contextlib.nullcontext, scaler
    return lambda: torch.autocast(device.type, dtype=dtype), scaler
