"""Lessons that train networks, as two processes: `torchrun --nproc-per-node 2 lessons/NN_slug.py`, profile quick, CPU.

Each lesson runs up to its first saved run; to its end with WHOLE_LESSONS=1 in the environment (minutes). A lesson
joins when its source is there. tests/test_distributed.py tests the engine itself, on small models.
"""

import json
import os
import subprocess
import sys

import pytest

from course_utils.runtime import ROOT

LESSONS = [path for number in ("04", "05", "06") for path in sorted((ROOT / "lessons").glob(f"{number}_*.py"))]
SLUGS = [path.stem for path in LESSONS]
WHOLE = bool(os.environ.get("WHOLE_LESSONS"))


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    """Run all lessons in one group of two processes; return what each rank found and what each printed."""
    folder = tmp_path_factory.mktemp("ranks")
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    launch += ["--redirects", "3", "--log-dir", str(folder / "log")]
    env = {**os.environ, "COURSE_PROFILE": "quick", "OMP_NUM_THREADS": "1"}
    env.pop("COURSE_FIGURES", None)
    command = [*launch, "-m", "tests.lesson_worker", str(folder), *map(str, LESSONS)]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=580)
    logs = {name: [next((folder / "log").rglob(f"{rank}/{name}.log")).read_text(encoding="utf-8") for rank in (0, 1)]
            for name in ("stdout", "stderr")}  # fmt: skip
    if done.returncode:
        pytest.fail("".join(text[-1_500:] for text in logs["stderr"]), pytrace=False)
    return [json.loads((folder / f"rank_{rank}.json").read_text()) for rank in (0, 1)], logs


@pytest.mark.parametrize("lesson", SLUGS)
def test_parameters_are_identical_on_all_ranks_after_every_training(ranks, lesson):
    first, second = (found[lesson]["trained"] for found in ranks[0])
    assert first == second and len(first) >= (3 if WHOLE else 1)
    assert all(call["steps"] >= 1 and call["weights"] for call in first)


@pytest.mark.parametrize("lesson", SLUGS)
def test_runs_are_saved_once_and_known_to_all_ranks(ranks, lesson):
    first, second = (found[lesson]["saved"] for found in ranks[0])
    assert first == second and first
    assert ranks[0][0]["left"] == ranks[0][1]["left"] and set(first) <= set(ranks[0][0]["left"])
    assert not [name for name in ranks[0][0]["left"] if name.startswith(".")]


@pytest.mark.parametrize("lesson", SLUGS)
def test_the_output_is_that_of_one_process(ranks, lesson):
    loud, silent = ranks[1]["stdout"]
    assert silent == ""
    text = loud.split(f"LESSON {lesson}\n", 1)[1].split("LESSON ", 1)[0]
    captions = [line for line in text.splitlines() if line.startswith(("[figure]", "[table]", "✓"))]
    assert len(captions) >= 3 and len(set(captions)) == len(captions)
    assert text.count("profile quick · seed 0") == 1


@pytest.mark.parametrize("lesson", SLUGS)
def test_no_step_of_a_lesson_reads_a_number_from_the_device(ranks, lesson):
    """On a graphics card each reading would make the host wait between two log points."""
    assert [found[lesson]["reads"] for found in ranks[0]] == [0, 0]
