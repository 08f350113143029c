"""A loop that the lesson writes itself, with a sign of life and an end at ■ that keeps what was done."""

import sys
import time
from collections.abc import Iterator, Sequence

from course_utils.system import machine, ranks
from course_utils.train.interrupts import Interrupts

PATIENCE = 2.0
"""Seconds after which a loop says how far it is, and says it again."""

_under_way = False


def each(items: Sequence, what: str = "rounds") -> Iterator:
    """Yield the items of a sequence one by one, as `for` does, for loops that may take long.

    After two seconds a line says how many of them are done (`what` they are, in the plural), and is renewed while
    the loop goes on. At ■ (Ctrl-C) the loop ends after the present item, so that what it has collected is kept; a
    second time interrupts at once. Within another such loop it is a plain `for`.
    """
    global _under_way
    if _under_way:
        yield from items
        return
    _under_way = True
    line = _Line(what, len(items))
    try:
        with Interrupts() as interrupts:
            for done, item in enumerate(items):
                if interrupts.asked:
                    line.end(f"Stopped after {done:,} of {len(items):,} {what}; what was done is kept.")
                    return
                yield item
                line.show(done + 1)
            line.end()
    finally:
        _under_way = False


class _Line:
    """One line of text that is rewritten; none before it is due."""

    def __init__(self, what: str, total: int):
        self.what = what
        self.total = total
        self.began = self.shown = time.monotonic()
        self.text = ""
        self.visible = ranks.rank() == 0 and (machine.in_notebook() or sys.stdout.isatty())

    def show(self, done: int) -> None:
        now = time.monotonic()
        if self.visible and now - self.shown >= PATIENCE:
            self.shown = now
            self._write(f"{done:,} of {self.total:,} {self.what} · {now - self.began:.0f} s")

    def end(self, text: str = "") -> None:
        """Leave `text` in its place, or else the number of items if anything was shown."""
        if text:
            self._write(text)
        elif self.text:
            self._write(f"{self.total:,} {self.what} · {time.monotonic() - self.began:.0f} s")
        if self.text:
            print(flush=True)

    def _write(self, text: str) -> None:
        print("\r" + text.ljust(len(self.text)), end="", flush=True)
        self.text = text
