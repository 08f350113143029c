"""Training: `loop` repeats a step that the lesson writes, `fit` writes the usual step for one model and one loss."""

import contextlib
import math
from collections.abc import Callable

import torch
from torch import nn

from course_utils import runtime
from course_utils.distributed import prepare
from course_utils.ema import EMA
from course_utils.history import History
from course_utils.session import OutOfMemory, Session

__all__ = ["EMA", "History", "OutOfMemory", "fit", "loop", "prepare"]

QUICK_STEPS = 8
"""A training call of the quick profile takes at most this many steps."""


def fit(
    model: nn.Module, loss_fn: Callable, batches, *, steps: int, full: int | None = None, lr: float = 1e-3,
    ema: float | None = None, clip: float | None = None, optimiser="adam", weight_decay: float = 0.0, schedule=None,
    name: str | None = None, preview=None, preview_at: list[int] | None = None, minutes: float | None = None,
    log_every: int | None = None, seed: int = 0,
) -> History:  # fmt: skip
    """Train a model with one loss and one optimiser; returns the history.

    `loss_fn(model, *batch)` returns a scalar, or a dict of scalars with the key "loss" (the others are logged too).
    `ema`: decay of an averaged copy, returned as `history.ema`. `clip`: largest norm of the gradient. `optimiser`:
    "adam", "adamw", "sgd", or a function of the parameters. `schedule`: "cosine", or a function of the fraction done
    (0 … 1) that returns a factor for `lr`. The rest is as in `loop`. Previews see averaged weights if there are any.
    """
    prepare(model)
    opt = make_optimiser(optimiser, model, lr, weight_decay)
    schedule = make_schedule(schedule, opt, planned(steps, full))
    average = EMA(model, ema) if ema else None
    autocast, scaler = mixed_precision(next(model.parameters()).device)

    def step(*batch):
        with autocast():
            losses = as_losses(loss_fn(model, *batch))
        opt.zero_grad(set_to_none=True)
        scaler.scale(losses["loss"]).backward()
        if clip:
            scaler.unscale_(opt)
            nn.utils.clip_grad_norm_(model.parameters(), clip)
        scaler.step(opt)
        scaler.update()
        if schedule:
            schedule.step()
        if average:
            average.update()
        return losses

    return loop(
        step, batches, state={"model": model, "optimiser": opt, "scaler": scaler, "schedule": schedule, "ema": average},
        steps=steps, full=full, name=name, preview=average.seen_by(preview) if average else preview,
        preview_at=preview_at, minutes=minutes, log_every=log_every, seed=seed,
    )  # fmt: skip


def loop(
    step: Callable, batches, *, state: dict, steps: int, full: int | None = None, name: str | None = None,
    preview=None, preview_at: list[int] | None = None, minutes: float | None = None, log_every: int | None = None,
    seed: int = 0,
) -> History:  # fmt: skip
    """Call `step(*batch)` for `steps` batches (`full` in profile full, at most 8 in quick); returns the history.

    `step` returns a dict of scalars; a graphics card is asked for them every `log_every` steps only. `state` names
    what is trained: modules, optimisers, schedules, an `EMA` (it becomes `history.ema`). `batches`: `cu.Batches`, a
    DataLoader or a list of batches. `seed` seeds the generators. A `name` makes the call resumable (see
    `cu.runs.forget`). `preview(step)` returns a figure or images, drawn a dozen times, or at the first log points from
    each step in `preview_at` on; `minutes` caps the time. Ctrl-C ends training after the present step; a loss that is
    not finite restores the weights of the last log point: `history.stopped` says so. Modules are moved to the device,
    trained in train mode and left in eval mode. Raises OutOfMemory, and RuntimeError where a resume does not fit.
    """
    total = planned(steps, full)
    every = log_every or log_interval(total)
    session = Session(step, batches, state, total, name=name, preview=preview, preview_at=preview_at, minutes=minutes,
                      seed=seed)  # fmt: skip
    feed, pending = session.feed, session.pending
    with session:
        session.begin()
        for t in range(session.start, total):
            pending.add(step(*feed(t)))
            if ((t + 1) % every == 0 or t + 1 == total or session.asked_to_stop()) and not session.log_point(t + 1):
                break
    return session.result()


def planned(steps: int, full: int | None = None) -> int:
    """Return how many steps a training call takes in this profile. Raises ValueError below 1."""
    if steps < 1 or (full is not None and full < 1):
        raise ValueError(f"steps and full must be at least 1; got steps={steps}, full={full}.")
    return runtime.budget(live=steps, quick=min(steps, QUICK_STEPS), full=full)


def log_interval(total: int) -> int:
    """Return the steps between log points, which cost something: 50 of them, but 20 to 100 steps apart if enough."""
    return min(100, max(1, total // 50, min(20, total // 10)))


def as_losses(out) -> dict:
    """Return what a loss function gave as a dict with the scalar tensor "loss", or say what is wrong with it."""
    losses = out if isinstance(out, dict) else {"loss": out}
    loss = losses.get("loss")
    if not isinstance(loss, torch.Tensor):
        keys = f"a dict with {', '.join(map(repr, losses))}" if isinstance(out, dict) else type(out).__name__
        raise TypeError(f"loss_fn must return a scalar tensor, or a dict with one under 'loss'; it returned {keys}.")
    if loss.numel() != 1:
        raise ValueError(f"The loss must be one number, but has shape {tuple(loss.shape)}: average it over the batch.")
    if not loss.requires_grad:
        raise ValueError("The loss depends on no weight: is something in it detached, or turned into a number?")
    return losses


def make_optimiser(kind, model: nn.Module, lr: float, weight_decay: float = 0.0) -> torch.optim.Optimizer:
    """Return the optimiser of a model, fused where the device has that; `kind` as in `fit`."""
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    if not weights:
        raise ValueError("The model has no weights to train.")
    kinds = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}
    if callable(kind):
        opt = kind(weights)
    elif kind not in kinds:
        raise ValueError(f"optimiser is 'adam', 'adamw', 'sgd' or a function of the weights; not {kind!r}.")
    else:
        try:
            opt = kinds[kind](weights, lr=lr, weight_decay=weight_decay, fused=True)
        except RuntimeError:  # this device or dtype has no fused kernel
            opt = kinds[kind](weights, lr=lr, weight_decay=weight_decay)
    opt.made_by_fit = True
    return opt


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
    return torch.optim.lr_scheduler.LambdaLR(opt, lambda t: factor(min(1.0, t / total)))


def cosine(done: float) -> float:
    """Return the factor (1 + cos(π · done)) / 2 of Loshchilov & Hutter (2017): 1 at the start, 0 at the end."""
    return (1 + math.cos(math.pi * done)) / 2


def mixed_precision(device: torch.device):
    """Return a function that opens an autocast block, and a gradient scaler (it acts for float16 only)."""
    dtype = runtime.autocast_dtype(device)
    scaler = torch.amp.GradScaler(device.type, enabled=dtype == torch.float16)
    if dtype is None:
        return contextlib.nullcontext, scaler
    return lambda: torch.autocast(device.type, dtype=dtype), scaler
