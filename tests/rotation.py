"""What every run of the suite does in part and the weekly run in full: `python tasks.py test --all`.

The part depends on the commit alone, so that a failure can be repeated: the same commit has the same turn.
"""

import hashlib
import os
import subprocess
import zlib
from functools import cache
from pathlib import Path

import pytest

from course_utils.system.folders import ROOT

RECORD = bool(os.environ.get("COURSE_TEST_RECORD"))
"""Whether each file is timed: set by `python tasks.py test --record`. Then the slow tests run, too."""
OTHER_TURN = "has its turn in another run; all of them: python tasks.py test --all"
ALL = bool(os.environ.get("COURSE_TEST_ALL"))
"""Whether nothing is left out: set by `python tasks.py test --all`."""


@cache
def commit() -> str:
    """Return the hash of the commit that is checked out."""
    done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    return done.stdout.strip()


def turn() -> int:
    """Return this commit's number, by which a test chooses its part (COURSE_TEST_TURN=N chooses another)."""
    if "COURSE_TEST_TURN" in os.environ:
        return int(os.environ["COURSE_TEST_TURN"])
    return int(hashlib.sha256(commit().encode()).hexdigest()[:8], 16)


def has_its_turn(place: int, turns: int) -> bool:
    """Return whether the test at this place of its file runs now, of a file that takes so many turns."""
    return ALL or place % turns == turn() % turns


def leave_to_other_turns(items: list, arguments: list[str]) -> None:
    """Skip what is marked `turns(n)` and has none now: each such test runs in one of n runs of the suite.

    A file that is marked as a whole (`pytestmark`) has its tests at one turn; otherwise the cases of one test
    stay together. Whoever names a file or a test gets all of it.
    """
    if ALL or RECORD or any(".py" in argument for argument in arguments):
        return
    places: dict[str, dict[str, int]] = {}  # of each file its tests, of the suite its files
    for item in items:
        for node, mark in item.iter_markers_with_node("turns"):
            whole = not hasattr(node, "originalname")
            among, name = ("", str(item.path)) if whole else (str(item.path), item.originalname)
            numbers = places.setdefault(among, {})
            place = numbers.setdefault(name, len(numbers))
            # Files begin at different turns, or those with one slow test would all have it at the same.
            if not has_its_turn(place + zlib.crc32(Path(among).name.encode()), *mark.args):
                item.add_marker(pytest.mark.skip(reason=OTHER_TURN))
            break


def share(things: list, n: int = 1) -> list:
    """Return `n` neighbours of `things`, chosen by the turn; all of them in the full run."""
    if ALL or len(things) <= n:
        return things
    start = turn() % len(things)
    return [(things + things)[start + k] for k in range(n)]
