"""What `tasks.py test-colab` relies on (tools/colab.py): its versions, and stand-ins that notice an
install."""

import os
import re
import subprocess
import sys
import tomllib

import pytest

from tools import colab
from tools.builder import notebook
from tools.builder.source import ROOT, read

FIXTURE = ROOT / "tests" / "fixtures" / "course"


def normal(name):
    return name.lower().replace("_", "-")


def test_it_installs_the_lower_bounds_of_the_dependencies():
    pins = dict(line.split("==") for line in colab.REQUIREMENTS.read_text().splitlines() if "==" in line)
    pins = {normal(name): version for name, version in pins.items()}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for name, bound in (re.fullmatch(r"([\w-]+)>=([\d.]+)", d).groups() for d in project["dependencies"]):
        if name != "jupyterlab":  # Colab has a front end of its own
            assert f"{pins[normal(name)]}.".startswith(f"{bound}."), (
                f"{name}: {pins[normal(name)]} is not {bound}"
            )


@pytest.fixture
def colab_runtime(tmp_path):
    """An empty folder, and the variables that make a Python behave as in Colab there."""
    inside = subprocess.run(["git", "rev-parse", "--git-dir"], cwd=FIXTURE, capture_output=True)
    if inside.returncode:
        pytest.skip("this is no git checkout")
    variables = {
        **os.environ,
        **colab.publish(tmp_path / "upstream", FIXTURE),
        **colab.stand_in(tmp_path / "stand_in"),
    }
    (tmp_path / "content").mkdir()
    return tmp_path, variables


def run(runtime, code):
    folder, variables = runtime
    return subprocess.run(
        [sys.executable, "-S", "-c", code],
        cwd=folder / "content",
        env=variables,
        text=True,
        capture_output=True,
    )


def test_the_set_up_cell_clones_the_course_and_calls_no_installer(colab_runtime):
    set_up = notebook.assemble(read(FIXTURE / "lessons" / "00_tiny.py"), FIXTURE).cells[1].source
    done = run(colab_runtime, set_up + "\nimport course_utils; print(course_utils.__file__)")
    clone = colab_runtime[0] / "content" / "course-2001.2"
    assert str(clone / "course_utils") in done.stdout, done.stderr
    assert (clone / "lessons" / "00_tiny.py").is_file()
    assert colab.called_installers(colab_runtime[0] / "stand_in") == []


@pytest.mark.skipif(os.name == "nt", reason="the stand-ins for programs are shell scripts")
def test_every_way_to_an_installer_is_barred_and_logged(colab_runtime):
    code = """import subprocess, sys
python = [sys.executable, "-S", "-m", "pip", "install", "a"]
for words in (python, ["pip", "install", "b"], ["uv", "pip", "install", "c"]):
    assert subprocess.run(words).returncode, words
try:
    import pip
except ImportError:
    print("barred")"""
    assert "barred" in run(colab_runtime, code).stdout
    calls = colab.called_installers(colab_runtime[0] / "stand_in")
    assert len(calls) == 4 and [" install b" in call for call in calls].count(True) == 1


def test_what_changes_in_site_packages_is_named(tmp_path):
    for name in ("kept", "gone", "upgraded", "__pycache__/cached"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("1")
    before = colab.installed(tmp_path)
    assert colab.changes(before, colab.installed(tmp_path)) == []
    (tmp_path / "gone").unlink()
    (tmp_path / "upgraded").write_text("22")
    (tmp_path / "new").touch()
    (tmp_path / "__pycache__" / "more").touch()
    assert colab.changes(before, colab.installed(tmp_path)) == [
        "removed: gone",
        "added: new",
        "changed: upgraded",
    ]


def test_the_outcome_is_the_exit_status(capsys):
    assert colab.report({"00": [], "installers": []}) == 0
    assert colab.report({"00": [], "installers": ["pip install x"]}) == 1
    assert "FAILED  installers: pip install x" in capsys.readouterr().out


def test_an_unknown_notebook_is_named_before_anything_is_installed(monkeypatch):
    def refuse(*args, **options):
        raise AssertionError("something would have been installed")

    monkeypatch.setattr(colab, "ensure_environment", refuse)
    monkeypatch.setattr(colab.subprocess, "run", refuse)
    with pytest.raises(SystemExit, match="00_start_here"):
        colab.main(["no_such_lesson"])
