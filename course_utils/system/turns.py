"""Whose turn it is: what a widget does never runs in the middle of a cell.

The generators of torch, NumPy and Python, and pyplot's present figure, belong to the whole process.
JupyterLab (since 4.6) hands the messages of widgets to a thread of their own (a "subshell" of the kernel), so
that a slider may call back while the main thread trains or draws. Such a call is put behind the cell that
runs, which is also what Colab, VS Code and older JupyterLabs do with it.
"""

import asyncio
import sys
import threading
from collections.abc import Callable

_turn = threading.RLock()


def turn() -> threading.RLock:
    """Return the lock that a training and a widget's callback hold in turn: `with turn(): …`."""
    return _turn


def guard_events() -> None:
    """In a notebook, keep what IPython does around each message of a widget in the thread of the cells.

    Matplotlib hangs itself there ("post_execute"): it shows and closes every open figure, and would so take
    those of a cell that is being run. Nothing happens outside a notebook, or at a second call.
    """
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if shell is None or getattr(shell.events.trigger, "of_cells_only", False):
        return
    trigger = shell.events.trigger
    home = threading.get_ident()

    def trigger_at_home(event, *args, **kwargs):
        if threading.get_ident() == home:
            trigger(event, *args, **kwargs)

    trigger_at_home.of_cells_only = True
    shell.events.trigger = trigger_at_home


class Home:
    """The thread that makes this object, and the event loop (if any) that runs the cells of a notebook in it."""

    def __init__(self):
        guard_events()
        self._thread = threading.get_ident()
        try:
            self._loop = asyncio.get_running_loop()
        except RuntimeError:  # a plain script
            self._loop = None

    def call(self, action: Callable[[], None]) -> None:
        """Call `action` here: at once in this thread, from another one after the cell that is running.

        Where no event loop runs, a call from another thread waits for the end of a training and blocks that
        thread meanwhile.
        """
        if self._loop is not None and self._loop.is_running() and threading.get_ident() != self._thread:
            self._loop.call_soon_threadsafe(self._take_turn, action)
        else:
            self._take_turn(action)

    @staticmethod
    def _take_turn(action: Callable[[], None]) -> None:
        with _turn:
            action()
