"""Marks of the tests (`fault` describes one row of docs/reliability.md, `gpu` needs CUDA or MPS), their order,
and Ctrl-C in tests that run in the background."""

import os
import signal

import pytest

from tests.order import LongestFirst, durations
from tests.rotation import leave_to_other_turns

MARKS = {
    "fault(fault, sees, kept)": "a fault the course survives, a row of docs/reliability.md",
    "turns(n)": "too slow for every run of the whole suite: has its turn in one of n, and in the full run",
    "gpu": "runs where CUDA or MPS exists, skipped with the reason elsewhere",
}


def pytest_configure(config):
    """Make the marks known; let the longest file begin."""
    config.pluginmanager.register(LongestFirst(durations(), bool(os.environ.get("COURSE_TEST_RECORD"))))
    for mark, meaning in MARKS.items():
        config.addinivalue_line("markers", f"{mark}: {meaning}")


def pytest_collection_modifyitems(config, items):
    """Skip what has its turn in another run."""
    leave_to_other_turns(items, config.args)


@pytest.fixture(autouse=True, scope="session")
def ctrl_c_is_heard():
    """Let SIGINT interrupt, as it does in a terminal, in these tests and in the processes that they start.

    A suite that was started in the background (nohup, a batch queue, `&` in a script) has it ignored, and so
    would each child: what is ignored is inherited.
    """
    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    if before is signal.SIG_IGN:
        signal.signal(signal.SIGINT, before)
