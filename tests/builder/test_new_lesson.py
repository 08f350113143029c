"""`tasks.py new` writes a lesson that builds and passes its tests; and every lesson has all its parts."""

import os
import shutil
import subprocess
import sys

import pytest

from tools import new_lesson
from tools.builder.source import ROOT, Places, find

pytestmark = pytest.mark.turns(3)

COPIED = (
    "pyproject.toml",
    "conftest.py",
    "course_utils",
    "tools",
    "lessons/ruff.toml",
    "tests/__init__.py",
    "tests/conftest.py",
    "tests/order.py",
    "tests/rotation.py",
    "tests/lessons/__init__.py",
    "tests/lessons/lesson_functions.py",
    "tests/checks/__init__.py",
    "tests/checks/test_exercises.py",
    "tests/wrong_answers/__init__.py",
    "tests/other_answers/__init__.py",
)


@pytest.mark.parametrize("path", find(Places()), ids=lambda path: path.stem)
def test_no_part_of_a_lesson_is_missing(path):
    assert new_lesson.missing(path.stem) == []


@pytest.fixture
def course(tmp_path):
    """A course with no lesson: the package, the tools and the tests that every lesson gets."""
    skip = shutil.ignore_patterns("__pycache__", "ref_*.py", "lesson_*.py")
    for name in COPIED:
        target = tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, target, ignore=skip)
        elif (ROOT / name).is_file():
            shutil.copy(ROOT / name, target)
    (tmp_path / "data").symlink_to(ROOT / "data")
    (tmp_path / "README.md").write_text("<!-- lessons:begin -->\n<!-- lessons:end -->\n")
    return tmp_path


def run(course, *words):
    variables = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    variables |= {"PYTHONPATH": str(course), "COURSE_PROFILE": "quick"}
    done = subprocess.run(
        [sys.executable, "-m", *words], cwd=course, env=variables, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def test_a_new_lesson_builds_and_passes_its_tests(course):
    written = new_lesson.write("08", "hidden_chains", root=course)
    assert "# # 08 Hidden chains" in written[0].read_text(encoding="utf-8")
    run(course, "ruff", "check", *map(str, written[:5]))
    run(course, "ruff", "format", "--check", *map(str, written[:5]))
    built = run(course, "tools.build_lessons", "08")
    assert "08_hidden_chains" in built and "✗" not in built and "!" not in built, built
    tests = ("tests/checks/test_exercises.py", "tests/lessons/test_lesson_08.py")
    passed = run(course, "pytest", "-p", "no:cacheprovider", "-c", "pyproject.toml", *tests, "-vv")
    assert "test_each_wrong_answer_fails_with_its_own_hint[08.log_coin]" in passed and "skipped" not in passed
    assert new_lesson.missing("08_hidden_chains", course) == [
        "08_hidden_chains has no row in README's table (python tasks.py bench lessons)"
    ]


def test_what_is_missing_is_named_with_what_makes_it(course):
    new_lesson.write("08", "hidden_chains", root=course)
    (course / "tests" / "wrong_answers" / "lesson_08.py").unlink()
    (course / "teaching" / "08_hidden_chains.md").unlink()
    found = new_lesson.missing("08_hidden_chains", course)
    assert [line.split(":")[0] for line in found[:3]] == [
        "08_hidden_chains has no wrong answers",
        "08_hidden_chains has no run sheet",
        "08_hidden_chains has no notebook",
    ]
    assert "python tasks.py lessons 08" in found[2] and len(found) == 4


@pytest.mark.parametrize(
    ("key", "slug", "why"),
    [
        ("8", "chains", "no lesson's name"),
        ("08", "Chains", "no lesson's name"),
        ("04b", "flows", "there is no lesson 04"),
        ("07", "another", "lesson 07 is there already"),
        ("09", "written", "tests/wrong_answers/lesson_09.py is there already"),
    ],
)
def test_it_refuses_and_writes_nothing(tmp_path, key, slug, why):
    (tmp_path / "lessons").mkdir()
    (tmp_path / "lessons" / "07_comparing.py").touch()
    (tmp_path / "tests" / "wrong_answers").mkdir(parents=True)
    (tmp_path / "tests" / "wrong_answers" / "lesson_09.py").touch()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ValueError, match=why):
        new_lesson.write(key, slug, root=tmp_path)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_sequel_is_begun_beside_its_lesson(tmp_path):
    new_lesson.write("04", "first", root=tmp_path)
    written = new_lesson.write("04b", "second", "More of it", root=tmp_path)
    assert [path.name for path in written[:2]] == ["04b_second.py", "lesson_04b.py"]
    assert "# # 04b More of it" in written[0].read_text(encoding="utf-8")


def test_the_command_says_what_is_wrong(capsys):
    assert new_lesson.main(["00", "again"]) == 1
    assert "lesson 00 is there already: lessons/00_start_here.py." in capsys.readouterr().err
