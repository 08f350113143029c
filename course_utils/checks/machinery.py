"""What the checks of every lesson are written with: `exercise`, `call` and the `expect` family.

A check is a function that receives the reader's function and states properties of it in order. The first one that
does not hold ends it, and its hint is what the reader sees. Nothing a reader's function returns or raises escapes.
"""

import contextlib
import signal
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

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


def judge(item: Exercise, fn: Any) -> Result:
    """Run one check against `fn`, whatever `fn` is, with the random state put back afterwards."""
    if not callable(fn):
        return Result("failed", f"this is a {type(fn).__name__}, not a function; pass the function itself.")
    try:
        with torch.random.fork_rng(devices=[]), _time_limit(SECONDS):
            item.check(fn)
    except NotAttempted:
        return Result("not attempted", "not attempted yet")
    except Wrong as wrong:
        return Result("failed", str(wrong))
    except TooSlow:
        return Result("failed", f"it was still running after {SECONDS} s; is there a loop that never ends?")
    except Exception as error:  # the check could make nothing of what came back: say so, do not break the notebook
        return Result("failed", f"what your function returns cannot be used ({type(error).__name__}: {error}).")
    return Result("passed", item.verified)


def _snapshot(value: Any) -> Any:
    """A copy to compare with later; tensors that belong to a graph cannot be deep-copied, their numbers can."""
    if isinstance(value, torch.Tensor):
        return value.detach().clone()
    return value.copy() if isinstance(value, np.ndarray) else value


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor):
        return a.shape == b.shape and torch.equal(torch.nan_to_num(a), torch.nan_to_num(b))
    if isinstance(a, np.ndarray):
        return a.shape == b.shape and np.array_equal(a, b)
    return True


def call(fn: Callable, *args: Any, **kwargs: Any) -> Any:
    """Return `fn(*args, **kwargs)`; turn whatever goes wrong in it into a hint.

    Tensor and array arguments must come out unchanged: an in-place change of the caller's data is a mistake of its
    own. Raises Wrong, or NotAttempted if `fn` raises NotImplementedError.
    """
    given = [*args, *kwargs.values()]
    before = [_snapshot(value) for value in given]
    try:
        out = fn(*args, **kwargs)
    except NotImplementedError as error:
        raise NotAttempted from error
    except (Exception, SystemExit, KeyboardInterrupt) as error:
        line = traceback.extract_tb(error.__traceback__)[-1].line or ""
        where = f" in `{line}`" if line else ""
        raise Wrong(f"your function raised {type(error).__name__}{where}: {error}") from error
    if not all(_same(now, then) for now, then in zip(given, before)):
        raise Wrong("your function changes its argument in place (+=, mul_, …); make a new tensor instead.")
    if out is None:
        raise Wrong("your function returns None; is there a `return` at its end?")
    return out


def expect(condition: Any, hint: str) -> None:
    """Raise Wrong with `hint` unless `condition` (a bool or a one-element tensor) holds."""
    if not bool(condition):
        raise Wrong(hint)


def expect_shape(out: Any, shape: tuple[int, ...], hint: str = "") -> None:
    """Raise Wrong unless `out` is a torch tensor (not a list, number or array) of this shape."""
    if not isinstance(out, torch.Tensor):
        raise Wrong(f"return a torch tensor of shape {tuple(shape)}; this is a {type(out).__name__}. {hint}".strip())
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
