"""What the checks of every lesson are written with: `exercise`, `call` and the `expect` family.

A check is a function that receives the reader's function and states properties of it in order. The first one
that does not hold ends it, and its hint is what the reader sees. Nothing a reader's function returns or
raises escapes.
"""

import functools
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from course_utils.checks import traces
from course_utils.checks.elsewhere import LABEL, MixedDevices, PretendGpu, left_behind, sent
from course_utils.checks.patience import Endless, TooSlow, within
from course_utils.system import randomness

EXERCISES: dict[str, "Exercise"] = {}
SECONDS = 20  # an answer that takes longer than this is stopped: exercises take milliseconds


class Wrong(Exception):
    """A property does not hold; the message is the hint."""


class NotAttempted(Exception):
    """The stub was left as it is."""


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


def judge(item: Exercise, fn: Any) -> Result:
    """Run one check against `fn`, whatever `fn` is, with generators and settings put back afterwards.

    A setting that `fn` left changed fails it: the reader is told which, for it would strike again.
    """
    if not callable(fn):
        return Result("failed", f"this is a {type(fn).__name__}, not a function; pass the function itself.")
    watched, record = _watched(fn)
    settings = traces.Settings(thorough=True)
    with randomness.forked():
        traces.mark_generators()
        result = _verdict(item, watched, record)
        record.closed = True
        record.note(settings.put_back() + traces.seeded_others())
    left = record.left
    if not left or result.status == "not attempted":
        return result
    if result.status == "passed" or result.message == LEFT:
        return Result("failed", traces.sentence(left))
    return Result("failed", f"{result.message} {traces.sentence(left, 'And your function')}")


def _verdict(item: Exercise, watched: Callable, record: "Record") -> Result:
    """What the check makes of an answer, in the time that answers have."""
    try:
        within(SECONDS, lambda: _with_settings_read(item.check, watched, record))
    except NotAttempted:
        return Result("not attempted", "not attempted yet")
    except Wrong as wrong:
        return Result("failed", str(wrong))
    except Endless as endless:
        return Result("failed", _told_of(endless))
    except Exception as error:  # the check could make nothing of what came back: say so, break no notebook
        given = ", ".join(sorted({_described(value, shape=False) for value in record.given}))
        reason = f"{type(error).__name__}: {_short(error)}"
        return Result(
            "failed",
            f"it returns {_described(record.returned)}, which the check cannot use ({reason}); "
            f"it was given {given}.",
        )
    return Result("passed", item.verified)


def _with_settings_read(check: Callable, watched: Callable, record: "Record") -> None:
    """Run a check and note the settings that it changes: here, for some belong to a thread or a context."""
    settings = traces.Settings(thorough=True)
    try:
        check(watched)
    finally:
        if not record.closed:
            record.note(settings.put_back())


def _told_of(endless: Endless) -> str:
    """The hint for an answer that took too long or was interrupted."""
    where = f" in `{endless.line}`" if endless.line and endless.interrupted else ""
    what = f"it was interrupted{where}" if endless.interrupted else f"it was still running after {SECONDS} s"
    if endless.ended:
        return f"{what}; is there a loop that never ends?"
    return (
        f"{what}, and it cannot be stopped: it waits for something, or a bare `except:` in a loop catches "
        "every interrupt. Catch only the errors that you expect, and restart the kernel: it is still running."
    )


@dataclass
class Record:
    """What the last call of an answer was given and returned, and the traces that its calls left."""

    given: list = field(default_factory=list)
    returned: Any = None
    left: list[str] = field(default_factory=list)
    closed: bool = False  # the check is over: an answer that goes on in the background is no longer heard

    def note(self, left: list[str]) -> None:
        """Add what is new among traces."""
        self.left += [what for what in left if what not in self.left]


LEFT = "your function leaves a trace on the notebook."  # `judge` says which, and all of them


def _watched(fn: Callable) -> tuple[Callable, Record]:
    """The function, and a record of its calls; each call's traces on the process are put back at once."""
    record = Record()

    @functools.wraps(fn)
    def watched(*args, **kwargs):
        settings = traces.Settings(thorough=False)
        traces.mark_torch()
        record.given, record.returned = [*args, *kwargs.values()], None
        try:
            record.returned = fn(*args, **kwargs)
        finally:
            left = [] if record.closed else settings.put_back() + traces.seeded_torch()
            record.note(left)
        if left:
            raise Wrong(LEFT)
        return record.returned

    return watched, record


def _short(error: BaseException) -> str:
    """The first 300 characters of what an error says."""
    text = str(error)
    return text if len(text) <= 300 else text[:300] + " …"


def call(fn: Callable, *args: Any, **kwargs: Any) -> Any:
    """Return `fn(*args, **kwargs)`; turn whatever goes wrong in it into a hint.

    The arguments must come out as they went in: numbers, `.grad`, `requires_grad`, the mode of a network, the
    seed of a generator. Raises Wrong, or NotAttempted if `fn` raises NotImplementedError.
    """
    given = [*args, *kwargs.values()]
    before = [traces.snapshot(value) for value in given]
    try:
        out = fn(*args, **kwargs)
    except (TooSlow, Wrong, MixedDevices):
        raise
    except BaseException as error:  # SystemExit and the reader's Ctrl-C, too: the cells below need a function
        if isinstance(error, NotImplementedError) and not str(error):
            raise NotAttempted from error  # the stub's; an operation that does not exist says which it is
        line = _line_of(error)
        where = f" in `{line}`" if line else ""
        if isinstance(error, KeyboardInterrupt):
            raise Wrong(f"it was interrupted{where}; is there a loop that never ends?") from error
        raise Wrong(f"your function raised {type(error).__name__}{where}: {_short(error)}") from error
    for value, then in zip(given, before):
        if left := traces.trace(value, then):
            traces.undo(value, then)
            raise Wrong(left)
    if out is None:
        raise Wrong("your function returns None; is there a `return` at its end?")
    return out


def _line_of(error: BaseException) -> str:
    """The line of the reader's own code in which an error was raised; empty if it was raised elsewhere."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        here = Path(frame.filename)
        if not (here.parent == Path(__file__).parent or "site-packages" in here.parts):
            return frame.line or ""
    return ""


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


def expect_any_device(fn: Callable, *args: Any, hint: str | None = None, **kwargs: Any) -> None:
    """Raise Wrong if `fn` mixes devices when the tensors in its arguments lie on a (pretended) GPU.

    Caught are operands made on the CPU, CPU tables looked up by indices on the GPU, a CPU generator that draws
    there, and a result left on the CPU. Other errors are let through: values are for other properties.
    """
    cause = hint or "make new tensors where the argument is: device=x.device, or torch.zeros_like(x)."
    networks = [value for value in (*args, *kwargs.values()) if isinstance(value, torch.nn.Module)]
    there = [sent(value) for value in args]
    try:
        with PretendGpu(*networks):
            out = call(fn, *there, **{key: sent(value) for key, value in kwargs.items()})
    except MixedDevices as error:
        raise Wrong(f"your function mixes devices and fails on a GPU: {cause}") from error
    except Wrong:
        call(fn, *args, **kwargs)  # says what is wrong, if it is so on the CPU, too
        return
    if left_behind(out):
        raise Wrong(f"your function leaves its result on the CPU when its arguments are on a GPU: {cause}")


def other_device() -> torch.device:
    """Return the device that arguments name in `expect_any_device`."""
    return LABEL
