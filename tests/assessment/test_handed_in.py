"""What comes back from students: names of files, answers in the wrong cell, late and broken files, the mark sheet."""

import logging
import os
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell

from course_utils.system.folders import ROOT
from tests.assessment import grading, submissions
from tools import assignment as tool
from tools.assessment import book, marks
from tools.assessment import variant as variants

pytest.importorskip("nbgrader", reason='needs the extra `teach`: pip install -e ".[teach]"')
from nbgrader.api import Gradebook
from nbgrader.preprocessors import ClearSolutions

from tools.assessment import handed_in

NAME = "assignment_1"


@pytest.mark.parametrize(
    "path, student",
    [
        ("ada_assignment_1.ipynb", "ada"),
        ("anna_maria_assignment_1.ipynb", "anna_maria"),
        ("Carl_Assignment_1.ipynb", "Carl"),
        ("Müller, Jörg assignment_1.ipynb", "Müller, Jörg"),
        ("bob_assignment_1 (1).ipynb", "bob"),
        ("eve.ipynb", "eve"),
        ("Anna Maria_12345_assignsubmission_file_assignment_1.ipynb", "Anna Maria"),
        ("Anna Maria_12345_assignsubmission_file/assignment_1.ipynb", "Anna Maria"),
        ("zoe_assignment_1/notebooks/assignment_1.ipynb", "zoe"),
        ("all of them/max_assignment_1.ipynb", "max"),
        ("assignment_1.ipynb", ""),
        ("notebooks/assignment_1.ipynb", ""),
    ],
)
def test_the_students_name_is_read_from_any_name_of_a_file(path, student):
    assert handed_in.student_of(Path(path)) == student


def test_the_numbers_of_a_variant_are_in_the_students_notebook_but_not_its_number():
    found = grading.read(NAME, 41)
    assert found.v.number == 41 and variants.VARIANTS > 41
    made = book.assemble(found, ROOT)
    assert "variant" not in made.metadata.course and "ariant 41" not in made.cells[0].source
    two = book.assemble(grading.read("assignment_2", 41, "10"), ROOT)
    assert "variant" not in two.metadata.course and "ariant 41" not in two.cells[0].source


# ---------------------------------------------------------------------------------- answers in the wrong cell


@pytest.fixture
def restored(tmp_path, monkeypatch):
    """A function that puts a student's notebook in order, and returns it with the notes about it."""
    monkeypatch.setattr(handed_in, "CLASS", tmp_path)
    made = book.assemble(grading.read(NAME, 7), ROOT)
    clear = ClearSolutions()
    clear.text_stub = handed_in.STUB
    made, _ = clear.preprocess(made, {})
    path = tmp_path / "release" / NAME / f"{NAME}.ipynb"
    path.parent.mkdir(parents=True)
    nbformat.write(made, path)
    names = {"assignment": NAME, "notebook": NAME, "student": "ada"}

    def restore(change):
        nb = nbformat.read(path, as_version=4)
        change(nb)
        nb, _ = handed_in.Restore().preprocess(nb, {"nbgrader": names})
        return nb, (tmp_path / "notes" / NAME / "ada.txt").read_text()

    return restore


def place(nb, name: str) -> int:
    """Where a graded cell stands."""
    return next(i for i, c in enumerate(nb.cells) if c.metadata.get("nbgrader", {}).get("grade_id") == name)


@pytest.mark.parametrize("where", [0, 1], ids=["above", "below"])
def test_an_answer_in_an_own_cell_reaches_the_cell_that_is_marked(restored, where):
    own = new_markdown_cell("Because $p(x)$ is a sum.")
    own["attachments"] = {"page.png": {"image/png": "aGk="}}
    nb, notes = restored(lambda nb: nb.cells.insert(place(nb, "p3a_written") + where, own))
    found = submissions.cell(nb, "p3a_written")
    assert found.source == own.source and found.attachments == own.attachments
    assert notes.count("\n") == 1 and notes.startswith("p3a_written: ")
    empty = submissions.cell(nb, "p1a_written")
    assert empty.source == handed_in.STUB, "no other answer is touched"


def test_an_answer_whose_cell_was_deleted_is_found(restored):
    def change(nb):
        at = place(nb, "p2b_written")
        nb.cells[at] = new_code_cell("print('A is true')")

    nb, notes = restored(change)
    assert "print('A is true')" in submissions.cell(nb, "p2b_written").source
    assert "p2b_written: " in notes and "put back as handed out: p2b_written" in notes


def test_an_honest_notebook_is_left_alone_without_a_note(restored):
    def change(nb):
        submissions.cell(nb, "p3a_written").source = "A proof."
        submissions.cell(nb, "p1b_answer").source = "def in_country_b():\n    return [1, 0, 0]"
        nb.cells.insert(place(nb, "p3a_written") + 1, new_markdown_cell("My notes."))

    nb, notes = restored(change)
    assert notes == "" and submissions.cell(nb, "p3a_written").source == "A proof."


def test_an_empty_notebook_stays_empty(restored):
    nb, notes = restored(lambda nb: None)
    written = [c for c in nb.cells if c.metadata.get("nbgrader", {}).get("grade_id", "").endswith("_written")]
    assert len(written) == 8 and {c.source for c in written} == {handed_in.STUB} and notes == ""


def test_changed_tests_are_put_back_and_named(restored):
    nb, notes = restored(submissions.edit_the_tests)
    assert "put back as handed out: " in notes
    for name in ("p4a_answer", "p6a_tests_1", "p6a_tests_2", "p7b_tests_1", "p8a_tests_1", "p8a_tests_2"):
        assert name in notes
    assert submissions.cell(nb, "p8a_tests_1").source != "pass"


# ------------------------------------------------------------------------------------ files, collected


def collector(folder: Path):
    """A function that collects one file of an archive, as zip_collect does after it has copied it."""
    made = handed_in.Collector()
    made.log = logging.getLogger("collector")

    def collect(inside: str, content: str = "", when: float = 1_000_000.0):
        sent = folder / "downloaded" / NAME / "archive" / inside.partition(">")[0]
        copied = folder / "downloaded" / NAME / "extracted" / inside.replace(".zip>", "/")
        for path in (sent, copied):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content or nbformat.writes(nbformat.v4.new_notebook()))
        os.utime(sent, (when, when))
        return made.collect(str(copied))

    return collect


def test_a_file_is_collected_with_its_name_and_time(tmp_path):
    collect = collector(tmp_path)
    found = collect("Carl_Assignment_1.ipynb")
    assert (found["student_id"], found["file_id"]) == ("Carl", NAME)
    assert found["timestamp"].isoformat(" ") == "1970-01-12 13:46:40"
    later = collect("eve.zip>notebooks/assignment_1.ipynb", when=1_000_060.0)
    assert later["student_id"] == "eve" and (later["timestamp"] - found["timestamp"]).seconds == 60


@pytest.mark.parametrize(
    "inside",
    [
        "eve.zip>notebooks/.ipynb_checkpoints/assignment_1-checkpoint.ipynb",
        "eve.zip>__MACOSX/._eve_assignment_1.ipynb",
        ".ipynb_checkpoints/eve_assignment_1-checkpoint.ipynb",
    ],
)
def test_checkpoints_and_shadows_are_nobodys_notebook(tmp_path, caplog, inside):
    assert collector(tmp_path)(inside) is None
    assert not caplog.text and marks._sent(tmp_path / "downloaded" / NAME) == {}


def test_what_is_no_notebook_is_passed_over_and_named(tmp_path, caplog):
    collect = collector(tmp_path)
    assert collect("sets_assignment_1.npz") is None and collect("assignment_1.ipynb") is None
    assert collect("max_assignment_1.ipynb", '{"cells": [') is None
    assert "ask max for it again" in caplog.text


# ------------------------------------------------------------------------------------------ mark sheet


@pytest.fixture
def marked(tmp_path, monkeypatch):
    """A class folder whose gradebook holds two students: ada with 6 and 4 of 10 points, bob with 2 and one open."""
    monkeypatch.setenv("PATH", os.environ["PATH"])
    tool.need_nbgrader()
    with Gradebook(f"sqlite:///{tmp_path / 'gradebook.db'}") as gradebook:
        gradebook.add_assignment(NAME)
        gradebook.add_notebook(NAME, NAME)
        for cell, most in (("p1a_tests_1", 10), ("p2a_written", 10)):
            gradebook.add_grade_cell(cell, NAME, NAME, max_score=most, cell_type="code")
        for student, points in (("ada", (6, 4)), ("bob", (2, None))):
            gradebook.add_student(student)
            gradebook.add_submission(NAME, student)
            for cell, score in zip(("p1a_tests_1", "p2a_written"), points):
                grade = gradebook.find_grade(cell, NAME, NAME, student)
                grade.auto_score, grade.needs_manual_grade = score, score is None
            made = tmp_path / "autograded" / student / NAME
            made.mkdir(parents=True)
            (made / f"{NAME}.ipynb").write_text("{}")
        gradebook.db.commit()
    return tmp_path


def test_days_late_cost_a_tenth_each(marked):
    heads, rows = marks.sheet(marked, NAME)
    assert heads == ["student", "1 (10)", "2 (10)", "sum (20)", "by hand"]
    assert rows == [["ada", 6, 4, 10, 0], ["bob", 2, 0, 2, 1]]
    (marked / marks.LATE).write_text(f"{NAME},ada,2\nassignment_2,bob,1\n")
    heads, rows = marks.sheet(marked, NAME)
    assert heads[-2:] == ["days late", "mark"]
    assert rows == [["ada", 6, 4, 10, 0, 2, 8], ["bob", 2, 0, 2, 1, 0, 2]]
    assert "mean so far" in marks.text(heads, rows)
    heads, rows = heads, [rows[0]]
    assert "mean so far" not in marks.text(heads, rows) and "mean" in marks.text(heads, rows)


@pytest.mark.parametrize("line", [f"{NAME},max,1", f"{NAME},ada,4", f"{NAME},ada", f"{NAME},ada,-1"])
def test_a_late_line_that_cannot_be_meant_is_refused(marked, line):
    (marked / marks.LATE).write_text(line + "\n")
    with pytest.raises(LookupError, match=f"{NAME},STUDENT,DAYS"):
        marks.sheet(marked, NAME)


def test_a_student_whose_file_could_not_be_graded_gets_no_zero(marked):
    (marked / "autograded" / "bob" / NAME / f"{NAME}.ipynb").unlink()
    _, rows = marks.sheet(marked, NAME)
    assert [row[0] for row in rows] == ["ada"]
    (marked / "submitted" / "bob" / NAME).mkdir(parents=True)
    assert marks.remarks(marked, NAME) == ["bob: handed in, not graded"]


def test_the_sheet_tells_of_files_that_came_again_or_were_not_taken(marked):
    for student in ("ada", "bob"):
        (marked / "autograded" / student / NAME / "timestamp.txt").write_text("2026-11-01 10:00:00")
    archive = marked / "downloaded" / NAME / "archive"
    archive.mkdir(parents=True)
    for name, days in (("ada", 0), ("bob", 1), ("max", 0)):
        path = archive / f"{name}_{NAME}.ipynb"
        path.write_text("{}")
        os.utime(path, 2 * (1_793_527_200 + 86_400 * days,))  # 2026-11-01 10:00 UTC, and a day later
    (marked / "notes" / NAME).mkdir(parents=True)
    (marked / "notes" / NAME / "ada.txt").write_text("p4b_answer: stopped after 60 s\n")
    broken = archive.parent / "extracted" / "all" / "ivy_assignment_1.ipynb"
    broken.parent.mkdir(parents=True)
    broken.write_text("{")
    assert marks.remarks(marked, NAME) == [
        "bob: handed in again, not graded again",
        "ivy: handed in, not graded",  # she was in a zip, and no notebook
        "max: handed in, not graded",
        "ada: p4b_answer: stopped after 60 s",
    ]


def test_the_log_leaves_out_what_is_said_of_every_honest_notebook(caplog):
    overwrite = handed_in.Overwrite()
    overwrite.log = logging.getLogger("overwrite")
    overwrite.report_change("p1b_tests_1", "checksum", "a", "b")
    assert not caplog.text
    overwrite.report_change("p1b_tests_1", "points", 1, 100)
    assert "points" in caplog.text
