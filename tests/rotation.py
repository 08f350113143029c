"""What every run of the suite does in part and the weekly run in full: `python tasks.py test --all`.

The part depends on the commit alone, so that a failure can be repeated: the same commit has the same turn.
"""

import hashlib
import os
import subprocess
from functools import cache

import pytest

from course_utils.system.folders import ROOT

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

    Whoever names a file or a test gets all of it.
    """
    if ALL or any(".py" in argument for argument in arguments):
        return
    places: dict[str, int] = {}
    for item in items:
        mark = item.get_closest_marker("turns")
        if mark is None:
            continue
        (turns,) = mark.args
        function = (
            f"{item.path}::{item.originalname}"  # the cases of one test stay together: they share fixtures
        )
        place = places.setdefault(function, sum(key.startswith(f"{item.path}::") for key in places))
        if not has_its_turn(place, turns):
            item.add_marker(
                pytest.mark.skip(reason="has its turn in another run; all: python tasks.py test --all")
            )


def share(things: list, n: int = 1) -> list:
    """Return `n` neighbours of `things`, chosen by the turn; all of them in the full run."""
    if ALL or len(things) <= n:
        return things
    start = turn() % len(things)
    return [(things + things)[start + k] for k in range(n)]
