"""What several lessons' checks share: usual mistakes recognised by their values, bets, and seeded numbers.

A check compares with the true value first. Only an answer that misses it is compared with the values of the
usual mistakes, so that no right answer is ever taken for one of them.
"""

import contextlib
import math
import numbers
import operator
from collections.abc import Iterable, Iterator
from typing import Any

import torch

from course_utils.checks.machinery import Wrong, expect, expect_close


def _like(out: torch.Tensor, value: Any, atol: float, rtol: float) -> bool:
    goal = torch.as_tensor(value).detach().to("cpu", torch.float64)
    return out.shape == goal.shape and torch.allclose(out, goal, atol=atol, rtol=rtol)


def expect_value(
    out: Any,
    target: Any,
    hint: str,
    causes: Iterable[tuple[Any, str]] = (),
    *,
    atol: float = 1e-5,
    rtol: float = 1e-4,
) -> None:
    """Raise Wrong unless `out` is the target; with the hint of the first of `causes` that it is instead.

    causes: pairs (what the mistake comes to, its hint). An answer that is none of them gets `hint`.
    """
    try:
        expect_close(out, target, hint, atol=atol, rtol=rtol)
    except Wrong:
        try:
            value = torch.as_tensor(out).detach().to("cpu", torch.float64)
        except (TypeError, ValueError, RuntimeError):
            value = None
        for mistaken, why in causes if value is not None else ():
            if _like(value, mistaken, atol, rtol):
                raise Wrong(why) from None
        raise


def expect_double(out: Any, target: Any) -> None:
    """Raise Wrong if `out`, of the right value, has only the digits of float32 where float64 was given.

    target: float64, at least one entry. The limit is 1e-9 of the target's largest entry (float32 has 1e-7).
    """
    if not isinstance(out, torch.Tensor):
        out = torch.as_tensor(out, dtype=torch.float64)  # a Python float has all its digits
    goal = torch.as_tensor(target).detach()
    atol = 1e-9 * max(1.0, float(goal.abs().max()))
    why = (
        "right to some seven digits only: on the way it passes through float32, or a small number is added."
        " Compute in the dtype of the arguments, here float64 (no .float(), dtype=… where you make a tensor)."
    )
    expect_close(out, goal, why, atol=atol, rtol=1e-9)


def expect_normal(noise: torch.Tensor, scale: float, hint: str) -> None:
    """Raise Wrong unless the shape of the noise (thousands of entries, mean 0) is the bell's of this deviation.

    4.6 per cent of a Gaussian lie beyond two standard deviations; of a uniform or a two-valued variable none.
    """
    beyond = float((noise.abs() > 2 * scale).double().mean())
    width = 5 * (0.0455 * 0.9545 / noise.numel()) ** 0.5  # five standard errors of a share
    expect(abs(beyond - 0.0455) < width, hint)


def pair_of(out: Any, hint: str) -> tuple[Any, Any]:
    """Two results, in a tuple, a list or anything else with an order of two; otherwise Wrong with `hint`."""
    if isinstance(out, set | frozenset | dict | str | bytes):  # which of the two comes first?
        raise Wrong(hint)
    try:
        first, second = out
    except (TypeError, ValueError):
        raise Wrong(hint) from None
    return first, second


def is_number(value: Any) -> bool:
    """Whether a guess is one plain number: Python's, NumPy's or a tensor without axes, and no bool."""
    if isinstance(value, torch.Tensor):
        return value.dim() == 0 and value.dtype != torch.bool and not value.is_complex()
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def is_whole(value: Any) -> bool:
    """Whether a guess is one whole number, Python's, NumPy's or a tensor's, and no bool."""
    try:
        operator.index(value)
    except (TypeError, ValueError, RuntimeError):
        return False
    return is_number(value)


def expect_none_of(out: Any, mistakes: dict[str, Any], *, atol: float = 1e-5, rtol: float = 1e-4) -> None:
    """Raise Wrong with a hint if `out` is, everywhere, what a usual mistake gives.

    `out` is a tensor or a number, `mistakes` maps each hint to the value that it belongs to; values of
    another shape than that of `out` are passed over.
    """
    value = torch.as_tensor(out).detach().to("cpu", torch.float64)
    for hint, mistake in mistakes.items():
        other = torch.as_tensor(mistake).detach().to("cpu", torch.float64)
        if other.shape == value.shape and torch.allclose(value, other, atol=atol, rtol=rtol):
            raise Wrong(hint)


@contextlib.contextmanager
def explained(hint: str) -> Iterator[None]:
    """Put `hint` in front of what goes wrong in the block: for an input that has a mistake of its own."""
    try:
        yield
    except Wrong as wrong:
        raise Wrong(f"{hint} ({wrong})") from wrong


def expect_number(bet: Any, what: str) -> None:
    """Raise Wrong unless `bet` is one finite real number, Python's or NumPy's.

    what: what is expected, for the hint, such as "the factor".
    """
    number = isinstance(bet, numbers.Real) and not isinstance(bet, bool)
    expect(number, f"return one number, {what} you expect; yours is a {type(bet).__name__}.")
    expect(math.isfinite(bet), f"return a finite number, {what} you expect; yours is {bet}.")


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    """Return standard normal float64 numbers of this shape, drawn by a generator of their own."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
