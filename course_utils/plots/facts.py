"""Named numbers in two columns: what a lesson measured, said without a format string."""

import math
import numbers

import torch

from course_utils.plots.table import format_cell
from course_utils.system import ranks


def facts(*pairs, digits: int = 3) -> None:
    """Print named values in two columns: `cu.facts("gap, nats", gap)` or `cu.facts({"gap, nats": gap, …})`.

    `pairs`: label, value, label, value, …, or one dict; a value is a number, a tensor or array with one element,
    a text, or a pair (mean, spread), printed as mean ± spread. Numbers get `digits` significant digits, whole
    ones thousands separators. Under torchrun only rank 0 prints. Raises ValueError where a label has no value.
    """
    if len(pairs) == 1 and isinstance(pairs[0], dict):
        pairs = [part for pair in pairs[0].items() for part in pair]
    if len(pairs) % 2 or not pairs:
        raise ValueError("facts takes labels and values in turn: cu.facts('gap, nats', gap, 'images', n).")
    labels = [str(label) for label in pairs[::2]]
    values = [_text(value, digits) for value in pairs[1::2]]
    if ranks.rank() == 0:
        wide = max(map(len, labels))
        print("\n".join(f"{label.ljust(wide)}   {value}" for label, value in zip(labels, values)))


def _text(value, digits: int) -> str:
    """One value as text: a pair as mean ± spread, both to the decimal place of the mean's last digit or
    finer."""
    if isinstance(value, tuple) and len(value) == 2:
        mean, spread = (_number(part) for part in value)
        places = max(_decimals(mean, digits), _decimals(spread, 1))
        return f"{_minus(f'{mean:,.{places}f}')} ± {spread:,.{places}f}"
    if isinstance(value, str | bool) or value is None:
        return format_cell(value)
    number = _number(value)
    if isinstance(number, int):
        return _minus(f"{number:,}")
    if not math.isfinite(number):
        return format_cell(number)
    if number and not 1e-4 <= abs(number) < 1e9:
        return _minus(f"{number:.{digits - 1}e}")
    return _minus(f"{number:,.{_decimals(number, digits)}f}")


def _number(value) -> int | float:
    """A Python number; TypeError names what cannot be one."""
    if isinstance(value, torch.Tensor) or hasattr(value, "item"):
        value = value.item()
    if not isinstance(value, numbers.Real):
        raise TypeError(f"facts shows numbers, texts and pairs (mean, spread), not {type(value).__name__}.")
    return int(value) if isinstance(value, numbers.Integral) else float(value)


def _decimals(number: float, digits: int) -> int:
    """How many decimals show `digits` significant digits of a number (0 for large ones)."""
    if not number or not math.isfinite(number):
        return digits - 1
    return max(0, digits - 1 - int(f"{number:e}".split("e")[1]))


def _minus(text: str) -> str:
    return text.replace("-", "−")
