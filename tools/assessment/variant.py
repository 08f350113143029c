"""The numbers of one variant of an assignment: reproducible, and no two variants share one.

The first cell of an assignment's source makes them; everywhere else they stand as `v.name` in code and as
⟦name⟧ or ⟦name:.3f⟧ in texts, docstrings and comments. What a student gets holds the numbers themselves.
"""

import hashlib
import itertools
import os
import re

VARIANTS = 60
"""Variants are numbered 0 to 59."""
NUMBER = "COURSE_VARIANT"  # the environment variable that says which variant a source is run in
IN_CODE = re.compile(r"\bv\.([A-Za-z]\w*)\b")
IN_TEXT = re.compile(r"⟦(\w+)(?::([^⟧]+))?⟧")


class VariantError(ValueError):
    """A variant that does not exist, or a name without a number; the message says what to do."""


class Variant:
    """The numbers of an assignment in one variant, as attributes. `number` is 0 to 59."""

    def __init__(self, assignment: str):
        self.assignment = assignment
        self.number = checked(os.environ.get(NUMBER, "0"))

    def place(self, name: str) -> int:
        """Return the variant's place, 0 to 59, in an order of its own for `name`: no two variants have the
        same."""

        def key(number: int) -> str:
            return hashlib.sha256(f"{self.assignment}/{name}/{number}".encode()).hexdigest()

        return sorted(range(VARIANTS), key=key).index(self.number)

    def grid(self, name: str, start: float, step: float) -> float:
        """Return one of sixty numbers start, start + step, … ; each variant has another."""
        return round(start + step * self.place(name), 10)

    def choose(self, name: str, options: list, n: int) -> list:
        """Return `n` of the options in an order of this variant's own; other variants may share some."""

        def key(place: int) -> str:
            return hashlib.sha256(f"{self.assignment}/{name}/{self.number}/{place}".encode()).hexdigest()

        return [options[place] for place in sorted(range(len(options)), key=key)[:n]]

    def claims(self, bank: list[tuple[str, bool, str]]) -> list[tuple[str, bool, str]]:
        """Return five of the claims (text, truth, reason), two or three of them true.

        Which of the five are true differs between any two variants whose numbers differ by less than 20.
        """
        patterns = [p for p in itertools.product((True, False), repeat=5) if sum(p) in (2, 3)]
        left = {
            truth: self.choose(f"{truth}", [c for c in bank if c[1] is truth], 3) for truth in (True, False)
        }
        return [left[truth].pop() for truth in patterns[self.number % len(patterns)]]


def checked(number) -> int:
    """Return a variant's number as an int. Raises VariantError for what is none."""
    try:
        value = int(number)
    except ValueError:
        value = -1
    if not 0 <= value < VARIANTS:
        raise VariantError(f"variants are numbered 0 to {VARIANTS - 1}, not {number!r}: choose one of them.")
    return value


def numbers(cell: str, number: int) -> Variant:
    """Run the first cell of a source in variant `number`, and return its `v`."""
    before = os.environ.get(NUMBER)
    os.environ[NUMBER] = str(checked(number))
    scope = {}
    try:
        exec(compile(cell, "<the variant's numbers>", "exec"), scope)
    finally:
        if before is None:
            del os.environ[NUMBER]
        else:
            os.environ[NUMBER] = before
    return scope["v"]


def filled(text: str, v: Variant, code: bool) -> str:
    """Return `text` with the variant's numbers in place of ⟦name⟧, and in code in place of `v.name`, too.

    Raises VariantError for a name that the first cell does not define.
    """

    def value(name: str):
        if name not in vars(v):
            raise VariantError(f"⟦{name}⟧ has no value: set v.{name} in the first cell.")
        return getattr(v, name)

    def said(match: re.Match) -> str:
        name, form = match.groups()
        return format(value(name), form) if form else _plain(value(name))

    text = IN_TEXT.sub(said, text)
    return IN_CODE.sub(lambda match: _plain(value(match[1]), quote=True), text) if code else text


def _plain(value, quote: bool = False) -> str:
    """A value as it is written: floats with at most ten digits, texts with quotes in code alone."""
    if isinstance(value, float):
        return f"{value:.10g}" if value != int(value) else f"{value:.1f}"
    if isinstance(value, list | tuple):
        inside = ", ".join(_plain(part, quote=True) for part in value)
        return f"[{inside}]" if isinstance(value, list) else f"({inside})"
    return repr(value) if quote or not isinstance(value, str) else value
