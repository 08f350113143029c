"""The usual parts of a training step: losses, optimiser, schedule, mixed precision."""

import contextlib
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
    try:
        return kinds[kind](weights, lr=lr, weight_decay=weight_decay, fused=True)
    except RuntimeError:  # this device or dtype has no fused kernel
        return kinds[kind](weights, lr=lr, weight_decay=weight_decay)


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
