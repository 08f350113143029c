"""What every run of the suite does in part and the weekly run in full: `python tasks.py test --all`.

The part depends on the commit alone, so that a failure can be repeated: the same commit has the same turn.
"""

import hashlib
import os
import subprocess

from course_utils.system.folders import ROOT

ALL = bool(os.environ.get("COURSE_TEST_ALL"))
"""Whether nothing is left out: set by `python tasks.py test --all`."""


def turn() -> int:
    """Return this commit's number, by which a test chooses its part (COURSE_TEST_TURN=N chooses another)."""
    if "COURSE_TEST_TURN" in os.environ:
        return int(os.environ["COURSE_TEST_TURN"])
    done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    return int(hashlib.sha256(done.stdout.strip().encode()).hexdigest()[:8], 16)


def share(things: list, n: int = 1) -> list:
    """Return `n` neighbours of `things`, chosen by the turn; all of them in the full run."""
    if ALL or len(things) <= n:
        return things
    start = turn() % len(things)
    return [(things + things)[start + k] for k in range(n)]
