"""What the checks of every lesson are written with: `exercise`, `call` and the `expect` family.

A check is a function that receives the reader's function and states properties of it in order. The first one
that does not hold ends it, and its hint is what the reader sees. Nothing a reader's function returns or
raises escapes.
"""

import contextlib
import functools
import signal
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from course_utils.system import randomness

EXERCISES: dict[str, "Exercise"] = {}
SECONDS = 20  # an answer that takes longer than this is stopped: exercises take milliseconds


class Wrong(Exception):
    """A property does not hold; the message is the hint."""


class NotAttempted(Exception):
    """The stub was left as it is."""


class TooSlow(BaseException):
    """Raised by the timer; no `except Exception` in a reader's code swallows it."""


@dataclass(frozen=True)
class Exercise:
    """One exercise: its name, the check, and what a pass has verified."""

    name: str
    check: Callable[[Callable], None]
    verified: str


@dataclass(frozen=True)
class Result:
    """`status` is "passed", "failed" or "not attempted"; `message` says what was verified, or the hint."""

    status: str
    message: str


def exercise(name: str, *, verified: str) -> Callable:
    """Register the decorated check under `name` ("04.kl"); `verified` completes the sentence "✓ 04.kl: …"."""

    def register(check: Callable[[Callable], None]) -> Callable:
        EXERCISES[name] = Exercise(name, check, verified)
        return check

    return register


@contextlib.contextmanager
def _time_limit(seconds: int):
    """Stop the block after `seconds`, where the system has alarms and this is the main thread."""
    if not hasattr(signal, "SIGALRM") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(_signum, _frame):
        raise TooSlow

    previous = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds, 0.5)  # again and again, should the code catch even this one
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


@contextlib.contextmanager
def _settings_kept():
    """Put back what a reader's function may have set for the whole notebook: generators, gradients on,
    dtype."""
    dtype, quiet = torch.get_default_dtype(), np.geterr()
    try:
        with randomness.forked(), torch.set_grad_enabled(torch.is_grad_enabled()):
            yield
    finally:
        torch.set_default_dtype(dtype)
        np.seterr(**quiet)


def judge(item: Exercise, fn: Any) -> Result:
    """Run one check against `fn`, whatever `fn` is, with random state and torch's settings put back
    afterwards."""
    if not callable(fn):
        return Result("failed", f"this is a {type(fn).__name__}, not a function; pass the function itself.")
    watched, last = _watched(fn)
    try:
        with _settings_kept(), _time_limit(SECONDS):
            item.check(watched)
    except NotAttempted:
        return Result("not attempted", "not attempted yet")
    except Wrong as wrong:
        return Result("failed", str(wrong))
    except TooSlow:
        return Result("failed", f"it was still running after {SECONDS} s; is there a loop that never ends?")
    except Exception as error:  # the check could make nothing of what came back: say so, break no notebook
        got = last.get("returned")
        given = ", ".join(sorted({_described(value, shape=False) for value in last.get("given", [])}))
        reason = f"{type(error).__name__}: {_short(error)}"
        return Result(
            "failed",
            f"it returns {_described(got)}, which the check cannot use ({reason}); it was given {given}.",
        )
    return Result("passed", item.verified)


def _watched(fn: Callable) -> tuple[Callable, dict]:
    """The function, and a record of what its last call was given and returned: for the words of a failure."""
    last: dict = {}

    @functools.wraps(fn)
    def watched(*args, **kwargs):
        last.clear()
        last["given"] = [*args, *kwargs.values()]
        last["returned"] = fn(*args, **kwargs)
        return last["returned"]

    return watched, last


def _short(error: BaseException) -> str:
    """The first 300 characters of what an error says."""
    text = str(error)
    return text if len(text) <= 300 else text[:300] + " …"


def _snapshot(value: Any) -> Any:
    """A copy to compare with later; tensors that belong to a graph cannot be deep-copied, their numbers
    can."""
    if isinstance(value, torch.Tensor):
        return value.detach().clone()
    return value.copy() if isinstance(value, np.ndarray) else value


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor | np.ndarray):
        return a.shape == b.shape and a.dtype == b.dtype and bool(((a == b) | ((a != a) & (b != b))).all())
    return True


def call(fn: Callable, *args: Any, **kwargs: Any) -> Any:
    """Return `fn(*args, **kwargs)`; turn whatever goes wrong in it into a hint.

    Tensor and array arguments must come out unchanged: an in-place change of the caller's data is a mistake
    of its own. Raises Wrong, or NotAttempted if `fn` raises NotImplementedError.
    """
    given = [*args, *kwargs.values()]
    before = [_snapshot(value) for value in given]
    try:
        out = fn(*args, **kwargs)
    except TooSlow:
        raise
    except BaseException as error:  # SystemExit and the reader's Ctrl-C, too: the cells below need a function
        if isinstance(error, NotImplementedError) and not str(error):
            raise NotAttempted from error  # the stub's; an operation that does not exist says which it is
        line = traceback.extract_tb(error.__traceback__, limit=-1)[-1].line or ""
        where = f" in `{line}`" if line else ""
        if isinstance(error, KeyboardInterrupt):
            raise Wrong(f"it was interrupted{where}; is there a loop that never ends?") from error
        raise Wrong(f"your function raised {type(error).__name__}{where}: {_short(error)}") from error
    if not all(_same(now, then) for now, then in zip(given, before)):
        raise Wrong("your function changes its argument in place (+=, mul_, …); make a new tensor instead.")
    if out is None:
        raise Wrong("your function returns None; is there a `return` at its end?")
    return out


def _described(value: Any, shape: bool = True) -> str:
    """What a value is, in words: "a float32 tensor of shape (3, 2)"."""
    if isinstance(value, tuple | list) and 0 < len(value) < 5:
        return f"a {type(value).__name__} of " + " and ".join(_described(part, shape) for part in value)
    if not isinstance(value, torch.Tensor | np.ndarray):
        return f"a {type(value).__name__}"
    kind = "tensor" if isinstance(value, torch.Tensor) else "NumPy array"
    where = f" on the device {value.device}" if kind == "tensor" and value.device.type != "cpu" else ""
    sparse = "sparse " if kind == "tensor" and value.layout != torch.strided else ""
    size = f" of shape {tuple(value.shape)}" if shape else ""
    return f"a {sparse}{str(value.dtype).removeprefix('torch.')} {kind}{size}{where}"


def expect(condition: Any, hint: str) -> None:
    """Raise Wrong with `hint` unless `condition` (a bool or a one-element tensor) holds."""
    if not bool(condition):
        raise Wrong(hint)


def expect_shape(out: Any, shape: tuple[int, ...], hint: str = "") -> None:
    """Raise Wrong unless `out` is a torch tensor (not a list, number or array) of this shape."""
    if not isinstance(out, torch.Tensor):
        raise Wrong(
            f"return a torch tensor of shape {tuple(shape)}; this is a {type(out).__name__}. {hint}".strip()
        )
    if tuple(out.shape) != tuple(shape):
        raise Wrong(f"the shape should be {tuple(shape)}, not {tuple(out.shape)}. {hint}".strip())


def expect_close(out: Any, target: Any, hint: str, *, atol: float = 1e-5, rtol: float = 1e-4) -> None:
    """Raise Wrong with `hint` unless `out` is numeric, of the target's shape, and close to it everywhere."""
    try:
        value = torch.as_tensor(out).detach().to("cpu", torch.float64)
    except (TypeError, ValueError, RuntimeError):
        raise Wrong(f"return numbers, not a {type(out).__name__}. {hint}") from None
    goal = torch.as_tensor(target).detach().to("cpu", torch.float64)
    if value.shape != goal.shape:
        raise Wrong(f"the shape should be {tuple(goal.shape)}, not {tuple(value.shape)}. {hint}")
    if not torch.allclose(value, goal, atol=atol, rtol=rtol, equal_nan=False):
        raise Wrong(hint)


def expect_like(out: Any, given: torch.Tensor, hint: str | None = None) -> None:
    """Raise Wrong unless `out` is a tensor with the dtype and on the device of `given` (any shape).

    `hint` adds the cause, e.g. "a float64 table promotes the images: convert what you look up".
    """
    if not isinstance(out, torch.Tensor):
        raise Wrong(f"return a torch tensor; this is a {type(out).__name__}. {hint or ''}".strip())
    cause = hint or "make constants like the argument: torch.zeros_like(x), dtype=x.dtype, device=x.device."
    if out.dtype != given.dtype:
        now, then = (str(t.dtype).removeprefix("torch.") for t in (out, given))
        raise Wrong(f"{then} goes in and {now} comes out; the next cells need the same dtype: {cause}")
    if out.device != given.device:
        raise Wrong(f"the result is on {out.device}, the argument on {given.device}: {cause}")


def expect_gradient(value: Any, *inputs: torch.Tensor, hint: str = "") -> None:
    """Raise Wrong unless the sum of `value` has a gradient in each input, finite and not zero everywhere.

    `value` is a tensor or a tuple, list or dict of them; each input must have `requires_grad`. Leaves no
    `.grad` behind, and the graph stays for another look.
    """
    parts = list(value.values()) if isinstance(value, dict) else value
    parts = parts if isinstance(parts, tuple | list) else [parts]
    alive = [part.sum() for part in parts if isinstance(part, torch.Tensor) and part.requires_grad]
    if not alive:
        cause = hint or "no detach, no torch.no_grad, no .item(), no NumPy on the way."
        raise Wrong(f"no gradient passes through your function: {cause}")
    grads = torch.autograd.grad(sum(alive), inputs, allow_unused=True, retain_graph=True)
    for number, grad in enumerate(grads, 1):
        which = f" in its {_ordinal(number)} input" if len(inputs) > 1 else ""
        if grad is None or not bool(grad.abs().sum() != 0):
            raise Wrong(f"your function has no gradient{which}: {hint or 'is something detached?'}")
        if not bool(grad.isfinite().all()):
            raise Wrong(f"the gradient{which} is not finite: {hint or 'is something divided by zero?'}")


def _ordinal(number: int) -> str:
    return ("first", "second", "third", "fourth", "fifth", "sixth")[number - 1]


def other_device() -> torch.device:
    """Return a device other than the CPU that every machine has: torch's `meta`, shapes without numbers."""
    return torch.device("meta")


def expect_any_device(fn: Callable, *args: Any, hint: str | None = None, **kwargs: Any) -> None:
    """Raise Wrong if `fn` mixes devices when its tensor arguments lie on another one than the CPU.

    Caught are operands made on the CPU and a result that is there. Numbers do not exist on the other device:
    an answer that must read one (a mask, `.item()`, NumPy) is let through, silently.
    """
    there = other_device()

    def moved(value):
        if isinstance(value, torch.Tensor):
            return value.detach().to(there)
        return type(value)(moved(part) for part in value) if isinstance(value, tuple | list) else value

    cause = hint or "make new tensors where the argument is: device=x.device, or torch.zeros_like(x)."
    try:
        out = fn(*[moved(value) for value in args], **{key: moved(value) for key, value in kwargs.items()})
    except Wrong:
        raise
    except Exception as error:
        if isinstance(error, RuntimeError) and "expected device" in str(error):
            raise Wrong(f"your function mixes devices and fails on a GPU: {cause}") from error
        return
    parts = list(out.values()) if isinstance(out, dict) else out
    for part in parts if isinstance(parts, tuple | list) else [parts]:
        if isinstance(part, torch.Tensor) and part.device.type != there.type:
            raise Wrong(
                f"your function leaves its result on the CPU when its arguments are on a GPU: {cause}"
            )
