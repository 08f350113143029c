"""A reader who has run notebooks: the course can be updated, and the tests leave those notebooks out."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from tools import update

ROOT = update.ROOT
NOTEBOOK = "notebooks/00_start_here.ipynb"


def git(folder, *words):
    quiet = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main"]
    return subprocess.run(
        ["git", *quiet, *words], cwd=folder, check=True, capture_output=True, text=True
    ).stdout


def book(text, **language):
    cell = {
        "cell_type": "code",
        "id": "a",
        "metadata": {},
        "outputs": [],
        "execution_count": 1,
        "source": text,
    }
    metadata = {"language_info": {"name": "python", **language}}
    return json.dumps({"cells": [cell], "metadata": metadata, "nbformat": 4, "nbformat_minor": 5})


@pytest.fixture
def course(tmp_path):
    """(the published course, a reader's clone of it), each with one notebook."""
    upstream, mine = tmp_path / "upstream", tmp_path / "my course ü"
    (upstream / "notebooks").mkdir(parents=True)
    (upstream / ".gitignore").write_text("/runs/\n")
    (upstream / NOTEBOOK).write_text(book("1"))
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "one"]):
        git(upstream, *words)
    git(tmp_path, "clone", "-q", str(upstream), str(mine))
    (upstream / NOTEBOOK).write_text(book("2"))
    git(upstream, "commit", "-q", "-a", "-m", "two")
    return upstream, mine


def test_a_notebook_that_was_run_does_not_stand_in_the_way_of_an_update(course, capsys):
    _, mine = course
    ran = book("my answer", version="3.11.7")
    (mine / NOTEBOOK).write_text(ran)
    assert update.changed(mine) == update.readers_own(mine) == [mine / NOTEBOOK]
    assert subprocess.run(["git", "pull", "--ff-only"], cwd=mine, capture_output=True).returncode, (
        "no conflict"
    )
    assert update.main(mine) == 0
    assert (mine / NOTEBOOK).read_text() == book("2"), "the new version"
    (kept,) = (mine / update.COPIES).glob("*/00_start_here.ipynb")
    assert kept.read_text() == ran
    assert git(mine, "status", "--porcelain") == ""
    assert "Your notebooks are in runs" in capsys.readouterr().out
    assert update.main(mine) == 0 and len(list((mine / update.COPIES).iterdir())) == 1, "nothing new to keep"


def test_a_pull_that_fails_loses_nothing(course, capsys):
    upstream, mine = course
    (mine / NOTEBOOK).write_text(book("my answer", version="3.11.7"))
    shutil.rmtree(upstream)
    assert update.main(mine) != 0
    assert list((mine / update.COPIES).glob("*/00_start_here.ipynb"))


def test_a_rebuilt_notebook_is_no_readers_own(course):
    _, mine = course
    (mine / NOTEBOOK).write_text(book("rebuilt"))
    assert update.changed(mine) == [mine / NOTEBOOK] and update.readers_own(mine) == []


def test_a_solved_and_saved_exercise_is_named_and_fails_nothing(tmp_path):
    """The tests of notebook 00, and its cells, in a clone where a stub was filled in and saved."""
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", "--shared", "--no-checkout", str(ROOT), str(clone))
    git(clone, "checkout", "-q", "HEAD", "--", ".")
    for name in ("conftest.py", "tests/builder/test_notebooks.py", "tools/update.py"):
        shutil.copy2(ROOT / name, clone / name)
    solved = json.loads((clone / NOTEBOOK).read_text(encoding="utf-8"))
    stub = next(cell for cell in solved["cells"] if "exercise" in cell["metadata"].get("tags", []))
    stub["source"] = ["1 / 0  # my answer"]
    solved["metadata"]["language_info"] = {"name": "python", "version": "3.11.7"}
    (clone / NOTEBOOK).write_text(json.dumps(solved), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-rs", "-q", "-p", "no:cacheprovider", "-k", "00_start_here"]
    done = subprocess.run(
        [*command, "tests/builder/test_notebooks.py", "notebooks/00_start_here.ipynb"],
        cwd=clone, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(clone)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:]
    assert "passed" not in done.stdout and "SKIPPED" in done.stdout
    assert "git checkout -- notebooks/00_start_here.ipynb" in done.stdout
