"""`fit` writes the usual step for one model and one loss, and lets `loop` repeat it."""

from collections.abc import Callable

from torch import nn

from course_utils.system.ranks import prepare
from course_utils.train.arguments import Watched, check_rates
from course_utils.train.ema import EMA
from course_utils.train.history import History
from course_utils.train.loop import loop, planned
from course_utils.train.recipe import (
    Recipe,
    as_losses,
    make_optimiser,
    make_schedule,
    mixed_precision,
)


def fit(
    model: nn.Module, loss_fn: Callable, batches, *, steps: int, full: int | None = None, lr: float = 1e-3,
    ema: float | None = None, clip: float | None = None, optimiser="adam", weight_decay: float = 0.0,
    schedule=None, name: str | None = None, preview=None, preview_at: list[int] | None = None,
    minutes: float | None = None, log_every: int | None = None, seed: int = 0,
) -> History:  # fmt: skip
    """Train a model with one loss and one optimiser; returns the history.

    `loss_fn(model, *batch)` returns a scalar, or a dict of scalars with the key "loss"; all are logged. `ema`: decay
    of an averaged copy, `history.ema`, which previews see. `clip`: largest norm of the gradient. `optimiser`: "adam",
    "adamw", "sgd", or a function of the parameters. `schedule`: "cosine", or a function of the fraction done that
    returns a factor for `lr`. A loss with a parameter `step` is told the number of the step, from 0, also after a
    resume. With a `name` weights, optimiser, schedule, average, history and random states are saved; what the loss
    itself keeps, a counter in a dict say, is not. Frozen parts in eval mode stay so. Rest: `loop`.
    """
    check_rates(lr, clip, weight_decay)
    prepare(model)
    opt = make_optimiser(optimiser, model, lr, weight_decay)
    schedule = make_schedule(schedule, opt, planned(steps, full))
    average = EMA(model, ema) if ema else None
    autocast, scaler = mixed_precision(next(model.parameters()).device)
    loss = Watched(loss_fn, model)

    def one_step(*batch, step):
        with autocast():
            losses = as_losses(loss(step, *batch))
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

    state = {"model": model, "optimiser": opt, "scaler": scaler, "schedule": schedule, "ema": average}
    return loop(
        one_step, batches, state=state, steps=steps, full=full, name=name, preview=preview, preview_at=preview_at,
        minutes=minutes, log_every=log_every, seed=seed,
        recipe=Recipe(identity={"loss": loss_fn, "clip": clip}, average=average, optimiser=opt),
    )  # fmt: skip
