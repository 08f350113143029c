"""The quick run of all notebooks, cell by cell, the reasons of the slowest cells, and the whole test command."""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import nbformat

from course_utils.runtime import ROOT
from tests.bench import profiles, timing
from tools import execute

SLOWEST = 10
WATCH = """
import sys
sys.path.insert(0, HERE)
def _watch():
    import cProfile
    from IPython import get_ipython
    from tests.bench import profiles
    shell, kept = get_ipython(), {"now": None, "found": []}
    def start(_):
        kept["now"] = cProfile.Profile()
        kept["now"].enable()
    def stop(_):
        if kept["now"] is not None:
            kept["now"].disable()
            kept["found"].append(profiles.places(kept["now"]))
            kept["now"] = None
    shell.events.register("pre_run_cell", start)
    shell.events.register("post_run_cell", stop)
    return kept
_watched = _watch()
"""
"""Executed before the first cell: a Python profile of each cell that follows."""
TELL = 'import json\nprint("PROFILES " + json.dumps(_watched["found"]))'


def quick(path: Path, *, profiled: bool = False) -> dict:
    """Execute a notebook in the quick profile; return its seconds, its cells, and (`profiled`) each cell's shares.

    The cells are those with code, in order: heading of their section, first line, seconds.
    """
    book = nbformat.read(path, as_version=4)
    cells = described(book)
    if profiled:
        book.cells.insert(0, nbformat.v4.new_code_cell(WATCH.replace("HERE", repr(str(ROOT)))))
        book.cells.append(nbformat.v4.new_code_cell(TELL))
    with tempfile.TemporaryDirectory(prefix="course-bench-") as folder:
        measured = execute.execute(book, Path(folder), env={"COURSE_PROFILE": "quick", "PYTHONPATH": str(ROOT)})
    seconds = measured["cell_seconds"][1:-1] if profiled else measured["cell_seconds"]
    for cell, value in zip(cells, seconds, strict=True):
        cell["seconds"] = value
    if profiled:
        text = "".join(output.get("text", "") for output in book.cells[-1].outputs)
        found = json.loads(text.split("PROFILES ", 1)[1])
        for cell, shares in zip(cells, found, strict=False):
            cell["shares"] = shares
    return {"lesson": path.stem, "seconds": measured["live_seconds"], "cells": cells}


def described(book: nbformat.NotebookNode) -> list[dict]:
    """Return for each code cell its section and the first line that says something."""
    found, heading = [], ""
    for cell in book.cells:
        if cell.cell_type == "markdown":
            heads = re.findall(r"^##+ (.+)$", cell.source, re.M)
            heading = re.sub(r"\s*\*\((core|deeper)\)\*", "", heads[-1]) if heads else heading
        else:
            lines = [line for line in cell.source.splitlines() if line.strip() and not line.startswith(("#", "import"))]
            found.append({"section": heading, "line": (lines or [""])[0].strip()})
    return found


def slowest(lessons: list[dict], n: int = SLOWEST) -> list[dict]:
    """Return the n slowest cells of all lessons, slowest first, each with its lesson's name and its index there."""
    cells = [cell | {"lesson": lesson["lesson"], "index": i}
             for lesson in lessons for i, cell in enumerate(lesson["cells"])]  # fmt: skip
    return sorted(cells, key=lambda cell: -cell["seconds"])[:n]


def notebooks_part(only: list[str] | None = None) -> dict:
    """Execute every notebook (or those named) in the quick profile."""
    found = []
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        if not only or path.stem in only:
            found.append(quick(path))
            print(f"  {path.stem}: {found[-1]['seconds']:.1f} s", flush=True)
    return {"lessons": found}


def reasons_part(lessons: list[dict]) -> dict:
    """Profile the lessons that hold the slowest cells; return {"lesson/index": shares by place}."""
    wanted = slowest(lessons)
    cells = {}
    for name in sorted({cell["lesson"] for cell in wanted}):
        cells[name] = quick(ROOT / "notebooks" / f"{name}.ipynb", profiled=True)["cells"]
        print(f"  profiled {name}", flush=True)
    return {f"{c['lesson']}/{c['index']}": cells[c["lesson"]][c["index"]].get("shares", {}) for c in wanted}


def tests_part() -> dict:
    """Run the whole test command; return its seconds, its exit status and its last line."""
    command, said = [sys.executable, str(ROOT / "tasks.py"), "test"], {}

    def call():
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        said.update(status=done.returncode, last=(done.stdout.strip().splitlines() or [""])[-1].strip("= "))

    seconds = timing.seconds(call)
    return {"seconds": seconds} | said


def reason(shares: dict[str, float]) -> str:
    """Return a cell's reason in words."""
    return profiles.sentence(shares) if shares else "not profiled"
