"""Hooks around pytest and nbval, which executes the notebooks. Each closes a hole through which a failure
would slip.

tests/builder/test_traps.py proves every one of them on a notebook that falls into it.
"""

import os
import time
from pathlib import Path
from queue import Empty

import pytest

# Before anything imports course_utils: a test must never write a reader's runs/ or train for minutes.
os.environ.setdefault("COURSE_PROFILE", "quick")

GRACE = 8  # seconds after the time limit of a cell in which its kernel must obey the interrupt of nbval


def pytest_configure(config):
    """Refuse to deal the cells of one notebook out to several workers: they need one kernel."""
    workers = getattr(config.option, "numprocesses", None)
    nbval = getattr(config.option, "nbval", False) or getattr(config.option, "nbval_lax", False)
    if workers and nbval and config.getoption("dist", "no") != "loadfile":
        raise pytest.UsageError(
            "Several workers need --dist loadfile: the cells of a notebook share one kernel."
        )


def pytest_collection_modifyitems(items):
    """Leave out the notebooks that a reader has edited: whether an own answer runs is no test of the course."""
    notebooks = {item for item in items if type(item).__name__ == "IPyNbCell"}
    if not notebooks or not (Path(__file__).parent / "tools" / "update.py").is_file():
        return  # this file also serves notebooks elsewhere, without the course around them
    from tools import update

    edited = set(update.readers_own())
    for item in notebooks:
        if Path(item.path) in edited:
            name = f"notebooks/{Path(item.path).name}"
            item.add_marker(pytest.mark.skip(f"{name} was edited here; git checkout -- {name} undoes that"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    """Make a notebook cell fail when it ran out of time, even if its code swallowed nbval's interrupt."""
    if type(item).__name__ != "IPyNbCell":
        return (yield)
    notebook = item.parent
    before = notebook.timed_out
    limit = item.config.option.nbval_cell_timeout
    if notebook.kernel.is_alive():
        _guard(notebook.kernel, time.monotonic() + limit + GRACE)
    try:
        result = yield
    finally:
        if notebook.timed_out and not before and notebook.kernel.is_alive():
            notebook.kernel.stop()  # the cells below would meet a state that no reader meets
    if notebook.timed_out and not before:
        pytest.fail(
            f"The cell ran longer than {limit:g} s and swallowed the interrupt:\n{item.cell.source}", False
        )
    return result


def _guard(kernel, deadline):
    """Make each wait for a message of `kernel` end within a second of the kernel's death, and by `deadline`.

    nbval alone waits for a dead kernel until the cell's time is over, and for one that keeps printing for
    ever.
    """
    plain = type(kernel).get_message

    def get_message(stream, timeout=None):
        give_up = deadline if timeout is None else min(deadline, time.monotonic() + timeout)
        while True:
            alive = kernel.is_alive()
            if time.monotonic() > deadline:
                kernel.stop()
                raise RuntimeError(
                    "the cell neither ended in time nor obeyed the interrupt; its kernel was stopped."
                )
            try:
                return plain(kernel, stream, timeout=min(1.0, max(0.01, give_up - time.monotonic())))
            except Empty:
                if not alive:  # it was dead before this wait, so nothing more will come
                    raise RuntimeError("the kernel died while it executed this cell.") from None
                if time.monotonic() >= give_up:
                    raise

    kernel.get_message = get_message
