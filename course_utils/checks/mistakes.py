"""What several lessons' checks share: usual mistakes recognised by their values, and bets."""

import contextlib
import math
import numbers
from collections.abc import Iterator
from typing import Any

import torch

from course_utils.checks.machinery import Wrong, expect


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
    """Raise Wrong unless `bet` is one finite real number, Python's or NumPy's; `what` is expected ("the"
    " factor")."""
    number = isinstance(bet, numbers.Real) and not isinstance(bet, bool)
    expect(number, f"return one number, {what} you expect; yours is a {type(bet).__name__}.")
    expect(math.isfinite(bet), f"return a finite number, {what} you expect; yours is {bet}.")


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    """Return standard normal float64 numbers of this shape, drawn by a generator of their own."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
