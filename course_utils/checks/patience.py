"""Running an answer that may never end, in a thread that is given up where it cannot be ended."""

import contextvars
import ctypes
import linecache
import sys
import threading
import time
from collections.abc import Callable

SLICE = 0.1  # seconds: Ctrl-C is heard between two waits, on Windows too
UNWIND = (
    0.2  # seconds in which an answer can end by the first interrupt; a second would strike its clearing up
)
STORM = 1.0  # seconds in which an answer that catches the first interrupt gets one after the other,
GUST = 0.01  # so many seconds apart


class TooSlow(BaseException):
    """Raised in the thread when its time is over; no `except Exception` in a reader's code swallows it."""


class Endless(Exception):
    """The time is over. `ended` says whether the thread is gone; `line` is where it was."""

    def __init__(self, ended: bool, interrupted: bool, line: str):
        super().__init__(line)
        self.ended, self.interrupted, self.line = ended, interrupted, line


def within(seconds: float, task: Callable[[], None]) -> None:
    """Run `task()` in a thread of its own and raise what it raises.

    Raises Endless where it takes longer than `seconds`, or at Ctrl-C, after it has been ended by exceptions
    raised inside it. One that catches them all, or waits in C, is left behind: Python cannot kill a thread.
    """
    raised: list[BaseException] = []

    def work():
        try:
            try:
                task()
            except BaseException as error:  # handed over below
                raised.append(error)
        except TooSlow:  # a last one, late
            pass

    thread = threading.Thread(target=contextvars.copy_context().run, args=(work,), daemon=True)
    interrupted = False
    try:
        thread.start()
        until = time.monotonic() + seconds
        while thread.is_alive() and time.monotonic() < until:
            thread.join(SLICE)
    except KeyboardInterrupt:
        interrupted = True
    if thread.is_alive() or interrupted:
        line = _line_of(thread)
        raise Endless(_ended(thread), interrupted, line)
    if raised:
        raise raised[0]


def _line_of(thread: threading.Thread) -> str:
    """The source line at which a thread is, empty if it is gone or has no source."""
    frame = sys._current_frames().get(thread.ident)
    return linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip() if frame else ""


def _ended(thread: threading.Thread) -> bool:
    """Raise TooSlow inside the thread until it ends; return whether it did."""
    until = time.monotonic() + STORM
    pause = UNWIND
    while thread.is_alive() and time.monotonic() < until:
        # It strikes between two bytecodes: outside the `try` sooner or later, where there is an outside.
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(TooSlow))
        thread.join(pause)
        pause = GUST
    return not thread.is_alive()
