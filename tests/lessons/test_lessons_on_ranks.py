"""Lessons that train and ship, as two processes: `torchrun --nproc-per-node 2 lessons/NN_slug.py`, on CPU.

One lesson a run of the suite, by turns, up to the first run it ships after a training; all of them, to
their ends, in the full run (`python tasks.py test --all`). A lesson joins when its source is there.
tests/system/test_distributed.py tests the engine itself, on small models.
"""

import json
import os
import subprocess
import sys

import pytest

from course_utils.system.folders import ROOT
from tests.rotation import ALL, share

SOURCES = {path: path.read_text(encoding="utf-8") for path in sorted((ROOT / "lessons").glob("*.py"))}
TRAINED = [
    path for path, text in SOURCES.items() if "cu.ship(" in text and ("cu.fit(" in text or "cu.loop(" in text)
]


def run_on_two_ranks(lesson, folder):
    """Run a lesson in a group of two processes; return what each rank found and what each printed."""
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    launch += ["--redirects", "3", "--log-dir", str(folder / "log")]
    env = {**os.environ, "COURSE_PROFILE": "quick", "OMP_NUM_THREADS": "1"}
    env.pop("COURSE_FIGURES", None)
    command = [*launch, "-m", "tests.lessons.lesson_worker", str(folder), str(lesson)]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=580)

    def log(rank, name):
        return next((folder / "log").rglob(f"{rank}/{name}.log")).read_text(encoding="utf-8")

    if done.returncode:
        pytest.fail("".join(log(rank, "stderr")[-1_500:] for rank in (0, 1)), pytrace=False)
    found = [json.loads((folder / f"rank_{rank}.json").read_text()) for rank in (0, 1)]
    return found, [log(rank, "stdout") for rank in (0, 1)]


@pytest.mark.parametrize("lesson", share(TRAINED), ids=lambda path: path.stem)
def test_two_ranks_train_and_ship_as_one(lesson, tmp_path):
    (first, second), (loud, silent) = run_on_two_ranks(lesson, tmp_path)
    assert first["trained"] == second["trained"] and first["trained"], "weights are equal bit by bit"
    assert all(call["steps"] >= 1 and call["weights"] for call in first["trained"])
    assert first["saved"] == second["saved"]
    source = lesson.read_text(encoding="utf-8")
    ships = any(line.startswith("cu.ship(") for line in source.splitlines())
    assert first["saved"] or not ships, "what a lesson ships outside of `full` loops is shipped here, too"
    assert first["left"] == second["left"] and set(first["saved"]) <= set(first["left"])
    assert not [name for name in first["left"] if name.startswith(".")], "no half-written run"
    waits = lesson.stem.startswith("14b")  # its training steps go through the classes for SciPy
    assert [first["reads"], second["reads"]] == [0, 0] or waits, "no step waits for a number"
    assert silent == "" and loud.count("profile quick · seed 0") == 1
    shown = [line for line in loud.splitlines() if line.startswith(("[figure]", "[table]", "✓"))]
    assert len(set(shown)) == len(shown), "nothing is shown twice"


def test_every_trained_lesson_has_its_turn():
    assert len(TRAINED) >= 4
    assert ALL or len(share(TRAINED)) == 1
