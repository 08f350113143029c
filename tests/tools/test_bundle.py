"""`tasks.py bundle` on a course of one file and one dependency: real pip, real environment, no index
anywhere.

`tasks.py test-bundle` does the same with the course itself.
"""

import subprocess
import sys
import zipfile

import pytest

import tasks
from tools import bundle
from tools.builder.source import ROOT

pytestmark = pytest.mark.turns(3)

PYPROJECT = """[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[project]
name = "tiny"
version = "1"
dependencies = ["tinydep"]
"""
BACKEND = """import pathlib, zipfile

def build_editable(folder, config_settings=None, metadata_directory=None):
    info = {"METADATA": "Metadata-Version: 2.1\\nName: tiny\\nVersion: 1\\n"
                        "Requires-Dist: tinydep\\nProvides-Extra: dev\\n",
            "WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n", "RECORD": ""}
    with zipfile.ZipFile(pathlib.Path(folder, "tiny-1-py3-none-any.whl"), "w") as wheel:
        wheel.writestr("tiny.pth", str(pathlib.Path.cwd()))
        for name, text in info.items():
            wheel.writestr(f"tiny-1.dist-info/{name}", text)
    return "tiny-1-py3-none-any.whl"
"""
LESSON = "import course_utils, pathlib; pathlib.Path('ran').write_text(course_utils.tinydep.VERSION)\n"


def make_wheel(folder, version):
    info = f"tinydep-{version}.dist-info"
    with zipfile.ZipFile(folder / f"tinydep-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tinydep.py", f"VERSION = {version!r}\n")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: tinydep\nVersion: {version}\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A committed course; the only index pip can see holds two versions of its one dependency."""
    root, index = tmp_path / "course", tmp_path / "index"
    index.mkdir()
    for version in ("1.0", "2.0"):
        make_wheel(index, version)
    files = {
        "pyproject.toml": PYPROJECT, "backend.py": BACKEND, "constraints.txt": "tinydep==1.0\n",
        "course_utils/__init__.py": "import tinydep\n", "lessons/A_tiny.py": LESSON,
        "tasks.py": (ROOT / "tasks.py").read_text(encoding="utf-8").replace("NEEDED_GB = 9", "NEEDED_GB = 0"),
    }  # fmt: skip
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "x"]):
        subprocess.run([*git, *words], cwd=root, check=True)
    (root / "untracked.txt").touch()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    return root


def test_a_bundle_installs_with_no_index_and_runs(course, tmp_path, capfd):
    room = tmp_path / "room"
    assert bundle.gather(room, course) == 1
    wheel = room / "wheels" / "tinydep-1.0-py3-none-any.whl"
    assert wheel.is_file(), "the constraints decide the version"
    assert not (room / "untracked.txt").exists() and not (room / ".git").exists()
    assert (
        "python tasks.py lab" in (room / "INSTALL.txt").read_text() and "1 changes" in capfd.readouterr().out
    )

    hidden = wheel.rename(tmp_path / wheel.name)  # it is the bundle that the install reads, and nothing else
    assert bundle.install_from(room) != 0
    assert "pip failed" in capfd.readouterr().err
    hidden.rename(wheel)
    assert bundle.install_from(room) == 0
    assert (room / "ran").read_text() == "1.0"

    assert bundle.gather(room, course) == 1, "the same command again adds to a bundle"


def test_a_bundle_never_spills_into_another_folder(course, tmp_path):
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(SystemExit, match="not empty"):
        bundle.gather(tmp_path, course)
    with pytest.raises(SystemExit, match="no git checkout"):
        bundle.copy_course(tmp_path / "room", tmp_path)


def test_the_students_copy_holds_no_solutions(tmp_path):
    course = tmp_path / "course"
    for name in (
        "assessment/assignment_1.py",
        "tests/assessment/answers.py",
        "tests/test_a.py",
        "lessons/00.py",
    ):
        (course / name).parent.mkdir(parents=True, exist_ok=True)
        (course / name).write_text("1\n")
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q"], ["add", "-A"], [*identity, "commit", "-qm", "All"]):
        subprocess.run(["git", *words], cwd=course, check=True)
    bundle.copy_course(tmp_path / "room", course)
    found = {path.name for path in (tmp_path / "room").rglob("*.py")}
    assert found == {"test_a.py", "00.py"} and not (tmp_path / "room" / "assessment").exists()


def test_everything_that_an_install_asks_for_is_gathered():
    wanted = bundle.requirements()
    assert all(
        any(r.startswith(name) for r in wanted)
        for name in ("torch>", "jupyterlab>", "pytest>", "nbgrader>", "setuptools")
    )


@pytest.mark.parametrize("bundled", [True, False])
def test_only_a_bundle_installs_from_its_wheels(bundled, tmp_path, monkeypatch):
    calls = []

    def run(command, **_):
        calls.append(list(map(str, command)))
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(tasks, "WHEELS", tmp_path / "wheels")
    monkeypatch.setattr(tasks, "VENV", tmp_path)
    monkeypatch.setattr(tasks, "STAMP", tmp_path / "stamp")
    monkeypatch.setattr(tasks.subprocess, "run", run)
    if bundled:
        (tmp_path / "wheels").mkdir()
    tasks.install()
    assert ("--no-index" in calls[-1]) == (str(tmp_path / "wheels") in calls[-1]) == bundled


@pytest.mark.parametrize("words", [["bundle"], ["unbundle"]])
def test_the_command_says_what_it_needs(words):
    done = subprocess.run(
        [sys.executable, "tools/bundle.py", *words], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode and ("say where" in done.stderr or "invalid choice" in done.stderr)
