"""Stale means that outputs may differ: what counts, what may only look different, and what does not count."""

import shutil

import pytest

from tests.builder.course import add, build, built, edit, inputs, source
from tools import build_lessons
from tools.builder import carry, stale
from tools.builder.source import read


@pytest.fixture
def course(executed, places):
    """A copy of the executed course that a test may change."""
    shutil.rmtree(places.root)
    shutil.copytree(executed.root, places.root)
    return places


def differ(course, lesson="00"):
    return "; ".join(stale.outputs_may_differ(built(course, lesson), inputs(course, lesson), course))


def write(course, name, text):
    (course.root / name).write_text(text, encoding="utf-8")


RUNS = "course_utils/runs.py"


def test_a_docstring_or_a_comment_of_the_package_does_not_count(course):
    write(course, RUNS, '"""Other words."""\n\n# why\nUSED: set[str] = set()\n')
    assert differ(course) == "" and stale.reasons(read(source(course)), course) == []


def test_the_code_of_the_package_counts(course):
    write(course, RUNS, "USED: set[str] = set()\nMORE = 1\n")
    assert differ(course) == "course_utils/runs.py changed"


def test_what_draws_may_only_look_different(course):
    plots = "course_utils/plots/__init__.py"
    write(
        course,
        plots,
        (course.root / plots).read_text(encoding="utf-8").replace("**Figure.**", "**A Figure.**"),
    )
    assert differ(course) == "" and stale.reasons(read(source(course)), course) == []
    assert stale.may_look_different(built(course), course) == [f"{plots} changed"]
    assert (
        stale.report(source(course), course) == f"00_tiny: up to date (may look different: {plots} changed)"
    )


def test_prose_comments_and_titles_do_not_count_but_the_notebook_is_not_in_step(course):
    edit(course, "With $", "Now with $")
    edit(course, "# @title Figure: a grey", "# @title Figure: one grey")
    assert differ(course) == "" and len(stale.reasons(read(source(course)), course)) == 1


def test_the_code_of_a_cell_counts_but_not_an_authors(course):
    edit(course, "for_the_card = double_half(4.0)", "for_the_card = double_half(5.0)")
    assert differ(course) == ""
    edit(course, 'print("done")', 'print("finished")')
    assert differ(course) == "the code of its cells changed"


def test_a_new_release_is_no_reason_to_execute_again(course):
    write(course, "pyproject.toml", (course.root / "pyproject.toml").read_text().replace("2001.2", "2001.3"))
    assert differ(course) == "" and "version" in stale.reasons(read(source(course)), course)[0]


def test_a_run_counts_by_its_content(course):
    card = "data/runs/00_tiny/card.json"
    write(course, card, (course.root / card).read_text())
    assert differ(course) == ""
    write(course, card, "{}")
    assert differ(course) == "run 00_tiny changed"


def test_what_a_lesson_shares_counts_for_its_sequel(course):
    edit(course, "SCALE = 2.5", "SCALE = 3.5")
    build(course, run=False)
    assert differ(course, "00b") == "course_utils/lessons/lesson_00.py changed"


def test_a_solution_counts_where_the_reference_stood_in(course):
    edit(course, "return math.pow(x, power) / 2", "return math.pow(x, power) / 3")
    build_lessons._write_modules(read(source(course)), course)
    assert "course_utils/checks/references/ref_00.py changed" in differ(course)


def test_outputs_are_carried_over_where_only_comments_changed(course, monkeypatch):
    monkeypatch.setattr(build_lessons, "execute", lambda *rest: pytest.fail("it was executed"))
    before = [cell.get("outputs") for cell in built(course).cells]
    edit(course, "SCALE = 2.5  # of both halves", "SCALE = 2.5  # of the two")
    assert build(course) == []
    assert [cell.get("outputs") for cell in built(course).cells] == before
    assert "of the two" in str(built(course).cells)


def test_copying_outputs_needs_the_same_cells(course):
    old = built(course)
    add(course, "# %%\nx = 1\n")
    assert not carry.only_prose_changed(inputs(course), old, course)
    with pytest.raises(ValueError):
        carry.copy_outputs(inputs(course), old)
