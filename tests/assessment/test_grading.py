"""The acceptance of the assignments, with nbgrader itself: handed out, collected, autograded, marks printed.

All by the commands of assessment/README.md. Submissions that print without end, end the kernel or change the tests
cost their authors the problem concerned, and nobody else anything.
"""

import os
import re
import shutil
import time
from pathlib import Path

import nbformat
import pytest

from course_utils.system.folders import ROOT
from tests.assessment import grading, submissions, wrong_answers
from tests.assessment.test_assignments import words
from tools.assessment import marks
from tools.assessment.variant import filled

pytest.importorskip("nbgrader", reason='needs the extra `teach`: pip install -e ".[teach]"')
pytestmark = pytest.mark.timeout(1_800)
NAME = "assignment_1"
TESTED = {"1": 3, "2": 5, "3": 5, "4": 16, "5": 4, "6": 8, "7": 4, "8": 10}
"""The points of each problem that tests give; the others are given by hand."""


@pytest.fixture(scope="module")
def handed_out(tmp_path_factory):
    """A class folder with assignment 1 in variant 7, in which figures are not drawn: nothing marks them here."""
    folder = tmp_path_factory.mktemp("term") / "class"
    done = words("assignment", "1", "--variant", "7", "--to", folder)
    assert done.returncode == 0, done.stderr
    with (folder / "nbgrader_config.py").open("a") as config:
        config.write('c.Steady.skip = ["figure", "experiment"]\n')
    return folder


@pytest.fixture
def new_class(handed_out, tmp_path):
    """A copy of it that a test may fill."""
    shutil.copytree(handed_out, tmp_path / "class")
    return tmp_path / "class"


def reference() -> dict[str, str]:
    return grading.answers(grading.read(NAME, 7))


def wrong(part: str) -> dict[str, str]:
    """The reference, but for one wrong answer."""
    found = grading.read(NAME, 7)
    return reference() | {part: filled(wrong_answers.LOST[NAME, part][0], found.v, code=True)}


def graded(folder: Path, *options: str) -> dict[str, dict[str, float]]:
    """Collect and grade what was handed in, by the README's commands: {student: {problem: points}}."""
    for word in (("zip_collect", NAME), ("autograde", NAME, *options)):
        done = words("nbgrader", folder, *word)
        assert done.returncode == 0, done.stdout[-3_000:] + done.stderr[-3_000:]
    heads, rows = marks.sheet(folder, NAME)
    problems = [head.split()[0] for head in heads[1:-2]]
    return {row[0]: dict(zip(problems, row[1:-2])) for row in rows}


# ----------------------------------------------------------------------------------- what is handed out


@pytest.mark.turns(4)
def test_the_students_version_holds_no_answer(handed_out):
    book = submissions.handed_out(handed_out, NAME)
    text = "\n".join(cell.source for cell in book.cells)
    found = grading.read(NAME, 7)
    assert "SOLUTION" not in text and "HIDDEN TESTS" not in text and "⟦" not in text
    for cell in found.cells:
        if cell.role == "written":
            assert cell.source[:80] not in text
        for hidden in grading.HIDDEN.findall(cell.source):
            assert all(line not in text for line in hidden.split("\n")[1:-1] if len(line) > 40)
    for part in found.programming:
        assert "raise NotImplementedError" in submissions.cell(book, f"p{part}_answer").source
    assert submissions.cell(book, "p1a_written").source == "*Your answer.*"
    source = nbformat.read(handed_out / "source" / NAME / f"{NAME}.ipynb", as_version=4)
    assert sum("HIDDEN TESTS" in cell.source for cell in source.cells) > 10


@pytest.mark.turns(8)
def test_nbgrader_validates_the_notebooks(handed_out):
    here = [str(part / NAME / f"{NAME}.ipynb") for part in (handed_out / "source", handed_out / "release")]
    done = words("nbgrader", handed_out, "validate", here[0], "--Execute.timeout=300")
    assert "Success" in done.stdout, done.stdout[-2_000:] + done.stderr[-2_000:]
    done = words("nbgrader", handed_out, "validate", here[1], "--Execute.timeout=300")
    failed = re.search(r"FAILED ON (\d+) CELL", done.stdout)
    assert failed and int(failed[1]) > 10


# ---------------------------------------------------------------------------------------- the whole way


@pytest.mark.turns(4)
def test_from_the_readmes_commands_to_a_mark_sheet(new_class):
    """Five submissions: all right, empty, one wrong answer, one hostile, one with edited tests."""
    hostile = reference() | {"4a": submissions.ENDLESS, "4c": submissions.EXIT_INSIDE}
    edited = submissions.filled(new_class, NAME, wrong("8a") | {"8b": "def elbo(*a):\n    return 0\n"})
    submissions.edit_the_tests(edited)
    handed_in = {
        "ada": submissions.filled(new_class, NAME, reference(), "A proof."),
        "bob": submissions.handed_out(new_class, NAME),
        "eve": submissions.filled(new_class, NAME, wrong("6a")),
        "max": submissions.filled(new_class, NAME, hostile),
        "zoe": edited,
    }
    for student, book in handed_in.items():
        submissions.hand_in(new_class, NAME, student, book)
    got = graded(new_class)
    assert got["ada"] == TESTED
    assert set(got["bob"].values()) == {0}
    assert got["eve"] == TESTED | {"6": 0}
    assert got["max"] == TESTED | {"4": 6}  # 4b is right, and keeps its points
    assert got["zoe"] == TESTED | {"4": 11, "8": 0}  # she has thrown 4a away herself
    done = words("marks", new_class, "1")
    assert done.returncode == 0, done.stderr
    sheet = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines() if line[:3] in got}
    assert sheet["ada"] == ["3", "5", "5", "16", "4", "8", "4", "10", "55", "8"]  # 8 wait for a mark by hand
    assert sheet["bob"] == ["0"] * 10
    rows = (new_class / f"marks_{NAME}.csv").read_text().splitlines()
    assert len(rows) == 6 and rows[0].startswith("student,1 (14),2 (10)")
    assert words("nbgrader", new_class, "export").returncode == 0
    assert (new_class / "grades.csv").read_text().count(NAME) == 5
    by_hand(new_class)
    handed_in_again(new_class)


def by_hand(folder: Path) -> None:
    """A lecturer's mark for a written answer reaches the sheet."""
    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{folder / 'gradebook.db'}") as book:
        grade = book.find_grade("p3a_written", NAME, NAME, "ada")
        grade.manual_score, grade.needs_manual_grade = 5, False
        book.db.commit()
    heads, rows = marks.sheet(folder, NAME)
    (ada,) = (row for row in rows if row[0] == "ada")
    assert ada[3] == 10 and ada[-2] == 60 and ada[-1] == 7


def handed_in_again(folder: Path) -> None:
    """Two days late come a better notebook, one whose proof stands in a cell of its own, and a file that is none."""
    submissions.hand_in(folder, NAME, "bob", submissions.filled(folder, NAME, reference()))
    own = submissions.handed_out(folder, NAME)
    at = own.cells.index(submissions.cell(own, "p3a_written"))
    own.cells.insert(at + 1, nbformat.v4.new_markdown_cell("A proof."))
    submissions.hand_in(folder, NAME, "kim lee", own)
    archive = folder / "downloaded" / NAME / "archive"
    (archive / f"ivy_{NAME}.ipynb").write_text('{"cells": ')
    os.utime(archive / f"bob_{NAME}.ipynb", 2 * (time.time() + 60,))
    told = words("marks", folder, "1").stdout
    for line in ("bob: handed in again", "ivy: handed in, not graded", "kim lee: handed in, not graded"):
        assert line in told
    got = graded(folder)
    assert got["bob"] == TESTED and set(got["kim lee"].values()) == {0} and "ivy" not in got
    (folder / "late.csv").write_text(f"{NAME},bob,2\n")
    told = words("marks", folder, "1").stdout
    sheet = {
        line.split()[0]: line.split()[1:] for line in told.splitlines() if line[:3] in ("ada", "bob", "kim")
    }
    assert sheet["ada"][8:] == ["60", "7", "0", "60"]  # her mark by hand is kept
    assert sheet["bob"][8:] == ["55", "0", "2", "44"] and sheet["kim"][-3:] == ["1", "0", "0"]
    assert "bob" not in told.split("To know:")[1] and "kim lee: p3a_written: answered in a cell" in told
    assert "max: p4a_tests_1: stopped" in told and "ivy: handed in, not graded" in told
    assert "zoe: put back as handed out: p4a_answer" in told


@pytest.mark.turns(8)
def test_answers_that_attack_the_grading_itself_are_contained(new_class):
    """Each costs its own problem; the answers above and below keep their points."""
    attacks = {
        "stubborn": {"4b": submissions.STUBBORN},  # swallows every interrupt
        "exit": {"5b": submissions.EXIT_ABOVE},  # ends the kernel when its cell is run
        "forgiving": {"6a": submissions.FORGIVING},  # makes every comparison of tensors succeed
        "silent": {"1b": submissions.SILENT},  # takes the assertions out of all cells below
    }
    for student, answer in attacks.items():
        submissions.hand_in(
            new_class, NAME, student, submissions.filled(new_class, NAME, reference() | answer)
        )
    got = graded(new_class, "--Steady.cell_seconds=20")
    assert got["stubborn"] == TESTED | {"4": 10}
    assert got["exit"] == TESTED | {"5": 0}
    assert got["forgiving"] == TESTED | {"6": 0}
    assert got["silent"] == TESTED | {"1": 0}


@pytest.mark.turns(8)
@pytest.mark.parametrize("lesson", ["09", "10", "11"])
def test_assignment_2_goes_the_whole_way(tmp_path, lesson):
    name = "assignment_2"
    done = words("assignment", "2", "--variant", "7", "--lesson", lesson, "--to", tmp_path / "class")
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "class"
    assert (folder / "release" / name / "sets.npz").is_file()
    answers = grading.answers(grading.read(name, 7, lesson))
    submissions.hand_in(folder, name, "ada", submissions.filled(folder, name, answers))
    for word in ("zip_collect", "autograde"):
        done = words("nbgrader", folder, word, name)
        assert done.returncode == 0, done.stdout[-3_000:] + done.stderr[-3_000:]
    heads, rows = marks.sheet(folder, name)
    assert rows == [["ada", 6, 4, 8, 4, 10, 5, 8, 12, 57, 0]]
    assert marks.remarks(folder, name) == []
    book = nbformat.read(folder / "autograded" / "ada" / name / f"{name}.ipynb", as_version=4)
    errors = [o for c in book.cells for o in c.get("outputs", []) if o.output_type == "error"]
    assert not errors, "the experiments run, too"


def test_the_words_are_in_the_task_runner():
    import tasks

    assert {"assignment", "nbgrader", "marks"} <= set(tasks.COMMANDS)
    readme = ROOT / "assessment" / "README.md"
    if readme.is_file():  # every command of the page is one that this file has tried
        text = readme.read_text(encoding="utf-8")
        tried = ("zip_collect", "autograde", "lab", "generate_feedback", "export")
        for word in re.findall(r"tasks\.py nbgrader \S+ (\w+)", text):
            assert word in tried, word
