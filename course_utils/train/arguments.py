"""What a training call is given, looked at before the first step: each refusal says what to write instead."""

import inspect
import math
import numbers
from collections.abc import Callable

from torch import nn

from course_utils.system.numbers import whole
from course_utils.train.recipe import handing_over_step


def positive(name: str, value, without: str = "") -> None:
    """Raise unless `value` is None or a finite number above 0; `without`: what None means."""
    if value is not None and not (_is_finite(value) and value > 0):
        hint = f", or None for {without}" if without else ""
        raise ValueError(f"{name} is a number above 0{hint}; got {name}={value!r}.")


def check_limits(preview_at, minutes, log_every) -> None:
    """Raise for what `loop` cannot mean."""
    positive("minutes", minutes, "no cap")
    if log_every is not None:
        whole(log_every, "log_every", least=1)
    for step in () if preview_at is None else preview_at:
        whole(step, "preview_at", least=0)


def check_rates(lr, clip, weight_decay) -> None:
    """Raise for what `fit` cannot mean."""
    if not (_is_finite(lr) and lr >= 0):
        raise ValueError(f"lr is a finite number of at least 0, such as 1e-3; got lr={lr!r}.")
    positive("clip", clip, "no clipping")
    if not (_is_finite(weight_decay) and weight_decay >= 0 and lr * weight_decay < 1):
        raise ValueError(
            "weight_decay is a number of at least 0, with lr · weight_decay below 1 (a step would turn the "
            f"weights round); got lr={lr!r}, weight_decay={weight_decay!r}."
        )


def _is_finite(value) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)


class Watched:
    """A loss that is looked at in its first two calls: whether a batch fits its arguments, and whether its
    gradient reached the model."""

    def __init__(self, loss_fn: Callable, model: nn.Module):
        self.loss_fn = loss_fn
        self.call = handing_over_step(loss_fn)
        self.model = model
        self.calls = 0

    def __call__(self, step: int, *batch):
        """Return `loss_fn(model, *batch)`, which is told the step if it asks for it. TypeError or ValueError if
        one of the two does not hold."""
        if self.calls == 0:
            _check_arguments(self.loss_fn, self.model, batch)
        elif self.calls == 1:  # the gradients of the first step are still there
            _check_reached(self.model)
        self.calls += 1
        return self.call(step, self.model, *batch)


def _check_arguments(loss_fn: Callable, model: nn.Module, batch: tuple) -> None:
    """Raise TypeError that says what a batch holds, if `loss_fn(model, *batch)` does not fit its signature."""
    try:
        signature = inspect.signature(loss_fn)
    except (TypeError, ValueError):  # not written in Python
        return
    try:
        told = "step" in signature.parameters and not _binds(signature, model, *batch)
        signature.bind(model, *batch, **({"step": 0} if told else {}))
    except TypeError as error:
        parts = "one tensor, x" if len(batch) == 1 else f"{len(batch)} parts"
        raise TypeError(
            f"The loss is called as loss_fn(model, *batch) and a batch holds {parts}, which does not fit "
            f"loss_fn{signature} ({error}). cu.Batches(split, size, labels=True) gives (x, y), and without "
            "labels it gives x."
        ) from None


def _binds(signature: inspect.Signature, *arguments) -> bool:
    try:
        signature.bind(*arguments)
    except TypeError:
        return False
    return True


def _check_reached(model: nn.Module) -> None:
    """Raise ValueError if the gradient of the loss has reached no weight of the model."""
    if all(weight.grad is None for weight in model.parameters()):
        raise ValueError(
            "The loss depends on no weight of the model that is trained: does it use another model than the "
            "one it is given, loss_fn(model, …)?"
        )
