"""The generated set-up cell, run by an interpreter that has no course_utils."""

import os
import shutil
import subprocess
import sys

import pytest

from tools.builder import notebook
from tools.builder.source import ROOT, read

FIXTURE = ROOT / "tests" / "fixtures" / "course"


@pytest.fixture
def upstream(tmp_path):
    """A local repository with the release tag, which git takes for the course's address; returns the
    environment."""
    repository = tmp_path / "upstream"
    (repository / "course_utils").mkdir(parents=True)
    (repository / "course_utils" / "__init__.py").write_text("WHERE = __file__\n")
    quiet = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "x"], ["tag", "2001.2"]):
        subprocess.run([*quiet, *words], cwd=repository, check=True)
    (tmp_path / "stand_in" / "google" / "colab").mkdir(parents=True)
    (tmp_path / "stand_in" / "google" / "colab" / "__init__.py").touch()
    return {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{repository.as_uri()}.insteadOf",
        "GIT_CONFIG_VALUE_0": "https://github.com/someone/a-course",
    }


def run_set_up(folder, variables, path=""):
    code = notebook.assemble(read(FIXTURE / "lessons" / "00_tiny.py"), FIXTURE).cells[1].source
    return subprocess.run(
        [sys.executable, "-S", "-c", code + "\nimport course_utils; print(course_utils.__file__)"],
        cwd=folder,
        env={**os.environ, **variables, "PYTHONPATH": str(path)},
        text=True,
        capture_output=True,
    )


def test_set_up_finds_the_package_one_folder_up(tmp_path):
    shutil.copytree(FIXTURE / "course_utils", tmp_path / "course_utils")
    (tmp_path / "notebooks").mkdir()
    done = run_set_up(tmp_path / "notebooks", {})
    assert str(tmp_path / "course_utils") in done.stdout, done.stderr


def test_set_up_clones_once_on_colab_and_removes_a_half_finished_clone(tmp_path, upstream):
    content = tmp_path / "content"
    (content / "course-unfinished" / "course_utils").mkdir(parents=True)
    for attempt in range(2):
        done = run_set_up(content, upstream if attempt == 0 else {}, tmp_path / "stand_in")
        assert str(content / "course-2001.2" / "course_utils") in done.stdout, done.stderr
    assert sorted(path.name for path in content.iterdir()) == ["course-2001.2"]


def test_set_up_says_what_to_do_where_nothing_can_be_found(tmp_path, upstream):
    folder = tmp_path / "elsewhere" / "notebooks"
    folder.mkdir(parents=True)
    assert "git clone https://github.com/someone/a-course" in run_set_up(folder, {}).stderr
    gone = {**upstream, "GIT_CONFIG_KEY_0": f"url.{(tmp_path / 'nowhere').as_uri()}.insteadOf"}
    assert (
        "Check the network and run this cell again" in run_set_up(folder, gone, tmp_path / "stand_in").stderr
    )
    assert not (folder / "course-2001.2").exists()


def test_a_kernel_without_the_packages_is_named_with_the_remedy(tmp_path):
    """The real package in an interpreter that has none of the packages it needs."""
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "course_utils").symlink_to(ROOT / "course_utils")
    done = run_set_up(tmp_path / "notebooks", {})
    last = done.stderr.splitlines()[-1]
    assert last.startswith("ImportError: This kernel") and "torch" in last and "matplotlib" in last
    assert "python tasks.py lab" in last and "Change Kernel" in last
