"""Interleaved timing, paired ratios, and what they say about a target. Knows nothing of what is timed."""

import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Spread:
    """The median of repeated measurements and their quartiles."""

    median: float
    low: float
    high: float
    n: int

    def scaled(self, factor: float) -> "Spread":
        """Return the same in another unit."""
        return Spread(self.median * factor, self.low * factor, self.high * factor, self.n)


def spread(values) -> Spread:
    """Return median and quartiles (linear between order statistics, as NumPy's default). Raises ValueError if
    empty."""
    values = sorted(values)
    if not values:
        raise ValueError("nothing was measured")
    if len(values) == 1:
        return Spread(values[0], values[0], values[0], 1)
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(middle, low, high, len(values))


def ratio(numerators, denominators) -> Spread:
    """Return the spread of the ratios of measurements that were taken in the same round. Raises ValueError if
    unpaired.

    A slow moment of the machine strikes both halves of a pair, so that the ratio hardly moves.
    """
    return spread([a / b for a, b in zip(numerators, denominators, strict=True)])


def verdict(found: Spread, limit: float, *, at_most: bool) -> str:
    """Return "met", "missed", or "undecided" where the limit lies within the quartiles of what was found.

    The median decides between met and the other two: a target that noise alone could have met is not reported
    as met unless the median meets it.
    """
    if found.median <= limit if at_most else found.median >= limit:
        return "met"
    return "undecided" if found.low <= limit <= found.high else "missed"


def turns(n: int, rounds: int) -> list[list[int]]:
    """Return the order of `n` entries in each of `rounds` rounds: each follows each other one equally often.

    That needs n rounds, or 2n for an odd n (Williams 1949); the first n start with another entry each. What
    an entry leaves behind (a full cache, a scattered heap) then meets all the others alike.
    """
    zigzag = [(k + 1) // 2 * (-1) ** (k + 1) for k in range(n)]  # 0, 1, -1, 2, -2: all differences occur once
    orders = []
    for round_ in range(rounds):
        order = [(k + round_) % n for k in zigzag]
        orders.append(order[::-1] if n % 2 and round_ // n % 2 else order)
    return orders


def interleaved(entries: dict[str, Callable], repeats: int) -> dict[str, list]:
    """Call every entry once a round for `repeats` rounds (see `turns`); return what each returned, in
    order."""
    names, found = list(entries), {name: [] for name in entries}
    for order in turns(len(names), repeats):
        for k in order:
            found[names[k]].append(entries[names[k]]())
    return found


def seconds(call: Callable) -> float:
    """Return the wall-clock seconds of one call."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def save(path: Path, content: dict) -> None:
    """Write one part's results."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1), encoding="utf-8")


def load(folder: Path) -> dict[str, dict]:
    """Return the results of all parts in a folder, {part: results}."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))}
