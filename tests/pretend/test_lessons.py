"""Every lesson from top to bottom on a pretended device, CUDA (a T4: float16) and MPS, widgets' callbacks included.

A few of these runs in each run of the suite, by turns; all of them in the full run (`python tasks.py test
--all`). A lesson joins when its source is there.
"""

import ast
import json
import os
import re
import subprocess
import sys

import pytest

from course_utils.system.folders import ROOT
from tests.pretend.device import reason_not_to_pretend
from tests.rotation import ALL, share

LESSONS = sorted((ROOT / "lessons").glob("*.py"))
RUNS = [(lesson, kind) for lesson in LESSONS for kind in ("cuda", "mps")]
AT_ONCE = 2
"""Runs in each run of the suite: two neighbours, most often a lesson on both devices. A run takes some 20 CPU s."""
pytestmark = pytest.mark.skipif(bool(reason_not_to_pretend()), reason=str(reason_not_to_pretend()))


def run_in_a_process(lesson, kind, folder) -> dict:
    """Run a lesson on a pretended device in a process of its own; return what was found."""
    env = {**os.environ, "COURSE_PROFILE": "quick", "OMP_NUM_THREADS": "1"}
    env.pop("COURSE_FIGURES", None)
    out = folder / "found.json"
    command = [sys.executable, "-m", "tests.pretend.lesson_worker", kind, "T4", str(lesson), str(out)]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=580)
    if done.returncode:
        pytest.fail(done.stderr[-3_000:], pytrace=False)
    return json.loads(out.read_text(encoding="utf-8"))


def assigning(source: str) -> set[int]:
    """Lines of functions that call SciPy's assignment, which is done on the CPU and has to wait."""
    lines = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef):
            names = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
            if "linear_sum_assignment" in names:
                lines |= set(range(node.lineno, node.end_lineno + 1))
    return lines


@pytest.mark.parametrize(
    ("lesson", "kind"), [pytest.param(*run, id=f"{run[0].stem}-{run[1]}") for run in share(RUNS, AT_ONCE)]
)
def test_a_lesson_runs_whole_on_the_device_and_no_step_waits_for_it(lesson, kind, tmp_path):
    found = run_in_a_process(lesson, kind, tmp_path)
    assert found["fault"] is None, found["fault"]
    source = lesson.read_text(encoding="utf-8")
    meant = assigning(source)
    waits = [wait for wait in found["waits"] if int(re.search(r"\.py:(\d+)", wait)[1]) not in meant]
    assert waits == [], "\n".join(waits)
    assert all(where == [kind] for where in found["trained"]), (
        "weights, buffers and averages are on the device"
    )
    if "cu.fit(" in source or "cu.loop(" in source:
        assert found["trained"] and found["reads"] >= len(found["trained"]), "losses are read at log points"


def test_every_run_has_its_turn():
    assert len(RUNS) == 2 * len(LESSONS) >= 26
    assert ALL or len(share(RUNS, AT_ONCE)) == AT_ONCE
