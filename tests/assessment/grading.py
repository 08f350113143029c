"""Grade answers without a kernel, in seconds: what nbgrader does with a notebook, without its experiments."""

import contextlib
import io
import re
import sys
from functools import cache
from pathlib import Path

from course_utils.system.folders import ROOT
from tools.assessment import source

HIDDEN = re.compile(r"### BEGIN HIDDEN TESTS\n.*?### END HIDDEN TESTS", re.S)
SOLUTION = re.compile(r"(?P<indent>[ \t]*)### BEGIN SOLUTION\n.*?### END SOLUTION", re.S)
UNUSED = {"figure", "experiment"}
"""Tags of cells that no test needs: they show what the answers do."""


@cache
def read(name: str, variant: int, choice: str | None = None) -> source.Assignment:
    """An assignment in a variant."""
    return source.read(ROOT / "assessment" / f"{name}.py", variant, choice)


def stub(text: str) -> str:
    """What a student is handed instead of a solution."""
    return SOLUTION.sub(lambda match: f"{match['indent']}raise NotImplementedError", text)


def answers(assignment: source.Assignment) -> dict[str, str]:
    """The reference answers: {part: code}."""
    return {cell.part: cell.source for cell in assignment.cells if cell.role == "answer"}


def points(assignment: source.Assignment, given: dict[str, str]) -> dict[str, int]:
    """Points of each part that tests grade, for the answers `given`, {part: code}; a part without one is
    empty."""
    scope, found = {"__name__": "__graded__"}, {}
    for cell in assignment.cells:
        if cell.kind != "code" or UNUSED & set(cell.tags):
            continue
        code = cell.source
        if cell.role == "answer":
            code = given.get(cell.part, stub(code))
        passed = runs(code, scope)
        if cell.role == "tests":
            found[cell.part] = found.get(cell.part, 0) + cell.points * passed
    return found


def runs(code: str, scope: dict) -> bool:
    """Whether a piece of code runs without an error."""
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(code, "<cell>", "exec"), scope)
    except Exception:
        return False
    return True


def most(assignment: source.Assignment) -> dict[str, int]:
    """The points that tests can give, by part."""
    found = {}
    for cell in assignment.cells:
        if cell.role == "tests":
            found[cell.part] = found.get(cell.part, 0) + cell.points
    return found


def nbgrader(folder: Path, *words: str):
    """Run nbgrader in a class folder through the course's own word; returns the finished process."""
    import subprocess

    command = [sys.executable, str(ROOT / "tools" / "assignment.py"), "nbgrader", str(folder), *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
