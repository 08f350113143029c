"""Longest file first: two workers then end at about the same time.

Seconds a file come from tests/durations.json, which `python tasks.py test --record` writes. A file that is
not listed comes first: it may be long.
"""

import json
from collections import defaultdict
from pathlib import Path

FILE = Path(__file__).with_name("durations.json")


class LongestFirst:
    """A pytest plugin that orders files by what they took, and on request measures that anew."""

    def __init__(self, known: dict[str, float], record: bool = False):
        self.known = known
        self.record = record
        self.spent: dict[str, float] = defaultdict(float)

    def pytest_collection_modifyitems(self, items):
        """Sort the files, and nothing within a file."""
        items.sort(key=lambda item: -self.known.get(file_of(item.nodeid), float("inf")))

    def pytest_runtest_logreport(self, report):
        """Add up what each file takes, set-up included."""
        self.spent[file_of(report.nodeid)] += report.duration

    def pytest_sessionfinish(self, session):
        """Write the durations, where this process has seen all files (it is no worker)."""
        if self.record and not hasattr(session.config, "workerinput"):
            rounded = {name: round(seconds, 1) for name, seconds in sorted(self.spent.items())}
            FILE.write_text(json.dumps(rounded, indent=1) + "\n", encoding="utf-8")


def file_of(nodeid: str) -> str:
    """Return the file that a test belongs to."""
    return nodeid.split("::", 1)[0]


def durations() -> dict[str, float]:
    """Return seconds by file, empty where nothing was recorded."""
    return json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}
