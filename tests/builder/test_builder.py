"""The builder, on the stand-in course in tests/fixtures/course: what it makes, what it refuses, what it
repeats."""

import ast
import json
import shutil

import nbformat
import pytest

from tests.builder.course import add, build, built, cell_with, edit, inputs, source
from tools import build_lessons
from tools.builder import exercises, minutes, notebook, stale
from tools.builder.source import LessonError, find, read


def test_an_exercise_becomes_stub_check_and_folded_solution_in_this_order(places):
    book = inputs(places)
    stub = cell_with(book, 'def half_square(x, power=2):\n    """x² / 2')
    assert (
        book.cells[stub].source
        == 'def half_square(x, power=2):\n    """x² / 2, equation (1)."""\n    raise NotImplementedError'
    )
    assert book.cells[stub + 1].source.startswith('checked_half = cu.check("00.half_square", half_square)')
    fold = book.cells[stub + 2]
    assert fold.cell_type == "markdown"
    assert fold.source == (
        "<details><summary>Solution</summary>\n\n```python\ndef half_square(x, power=2):\n"
        "    return math.pow(x, power) / 2\n```\n\n</details>"
    )
    assert not any("math.pow" in cell.source for cell in book.cells[: stub + 2])


HINT = '# %% [markdown] tags=["hint"]\n# Square first, then halve.\n\n'


def test_a_hint_folds_between_the_stub_and_its_check_and_costs_no_reading(places):
    before = minutes.load(read(source(places)))
    edit(places, "# %%\nchecked_half = cu", HINT + "# %%\nchecked_half = cu")
    lesson = read(source(places))
    book = inputs(places)
    stub = cell_with(book, 'def half_square(x, power=2):\n    """x² / 2')
    hint = book.cells[stub + 1].source
    assert hint == "<details><summary>Hint</summary>\n\nSquare first, then halve.\n\n</details>"
    assert book.cells[stub + 2].source.startswith("checked_half = cu.check")
    assert minutes.load(lesson) == before


@pytest.mark.parametrize("kind", ["break it", "predict and measure", "on paper", "open"])
def test_an_exercise_may_be_of_another_kind_and_counts_like_any(places, kind):
    edit(places, "**Exercise 1 (core).**", f"**Exercise 1 (core, {kind}).**")
    assert minutes.load(read(source(places)), core=True).exercises == 1


def test_code_outside_the_markers_is_given_to_the_reader(places):
    edit(places, "    ### BEGIN", "    # Hint: one line.\n    assert x >= 0\n    ### BEGIN")
    found = exercises.find(read(source(places)))[0]
    assert found.stub.endswith("    # Hint: one line.\n    assert x >= 0\n    raise NotImplementedError")
    ast.parse(found.stub)


def test_badge_and_set_up_cell_stand_first_and_carry_address_and_version_of_pyproject(places):
    book = inputs(places)
    lines = book.cells[0].source.split("\n")
    link = "https://colab.research.google.com/github/someone/a-course/blob/2001.2/notebooks/00_tiny.ipynb"
    assert lines[0] == "# 00 A tiny lesson" and link in lines[2]
    assert "find-course" in book.cells[1].metadata.tags and "setup" in book.cells[2].metadata.tags
    assert '"https://github.com/someone/a-course"' in book.cells[1].source
    assert book.cells[1].source.count("\n") < 25  # the limit of every visible cell


def test_the_reference_module_holds_the_solution_and_only_the_imports_it_needs(places):
    lesson = read(source(places))
    text = exercises.reference_module(lesson)
    assert "import math" in text and "sleep" not in text and "SOLUTION" not in text
    space = {}
    exec(text, space)
    assert space["REFERENCES"]["00.half_square"](3.0) == 4.5
    assert space["half_square"].__doc__ == "x² / 2, equation (1)."


def test_a_lesson_without_exercises_leaves_no_module(places):
    build(places, run=False)
    assert places.reference(read(source(places))).is_file() and places.shared(read(source(places))).is_file()
    text = source(places).read_text(encoding="utf-8")
    source(places).write_text(text[: text.index("# %% [markdown]\n# ## 1 · An exercise")], encoding="utf-8")
    build(places, run=False)
    lesson = read(source(places))
    assert not places.reference(lesson).exists() and not places.shared(lesson).exists()


def test_equal_cells_get_different_ids_and_the_schema_accepts_them(places):
    add(places, "# %%\nx = 1\n\n# %%\nx = 1\n")
    book = inputs(places)
    ids = [cell["id"] for cell in book.cells]
    assert len(set(ids)) == len(ids)
    nbformat.validate(book)


def test_changing_one_cell_changes_one_id(places):
    before = {cell["id"] for cell in inputs(places).cells}
    edit(places, 'print("done")', 'print("finished")')
    after = {cell["id"] for cell in inputs(places).cells}
    assert len(after - before) == len(before - after) == 1


def test_a_recursive_solution_with_inner_names_is_allowed(places):
    edit(
        places,
        "return math.pow(x, power) / 2",
        "parts = [half_square(y, power) for y in []]\n    return sum(parts) + math.pow(x, power) / 2",
    )
    assert "parts" in exercises.find(read(source(places)))[0].solution


def test_an_unknown_lesson_is_named(places):
    with pytest.raises(LessonError, match="00_tiny"):
        find(places, ["77"])
    tiny, sequel = find(places)
    assert find(places, ["00"]) == find(places, ["lessons/00_tiny.py"]) == find(places, ["00_tiny"]) == [tiny]
    assert find(places, ["00b"]) == [sequel]


def test_the_executed_notebook_is_clean_and_complete(executed):
    book = built(executed)
    nbformat.validate(book)
    shown = [output for cell in book.cells for output in cell.get("outputs", [])]
    streams = [output["text"] for output in shown if output["output_type"] == "stream"]
    assert "profile live\n" in streams
    assert "training 100 %\ndone\n" in streams  # one stream; the progress bar left its last state
    assert not any("IntSlider" in str(output) for output in shown)  # a view with nothing beside it vanished
    assert sum("image/png" in output.get("data", {}) for output in shown) == 2  # the widget left its picture
    results = [output for output in shown if output["output_type"] == "execute_result"]
    assert results == [] and any("4.5" in text for text in streams)  # the reference stood in for the stub


def test_a_build_is_a_first_visit_and_leaves_nothing_behind(executed, places):
    (places.root / "runs").mkdir()
    (places.root / "runs" / "visits.txt").write_text("7")
    build(places)
    last = built(places).cells[-1].outputs
    assert last[-1]["text"] == "visits: 1\n" and not (executed.root / "runs").exists()
    assert (places.root / "runs" / "visits.txt").read_text() == "7"


def test_metadata_says_what_was_used(executed):
    measured = built(executed).metadata.course.measured
    assert set(measured.package) >= {"course_utils/runs.py", "course_utils/system/folders.py"}
    assert set(measured.looks) == {"course_utils/__init__.py", "course_utils/plots/__init__.py"}
    assert set(measured.runs) == {"00_tiny"}
    assert len(measured.cell_seconds) == 8 and measured.live_seconds >= 0


def test_a_rebuild_leaves_inputs_ids_and_metadata_identical_to_the_byte(executed, places):
    assert build(places) == []
    first = (places.notebooks / "00_tiny.ipynb").read_bytes()
    assert notebook.identity(built(places)) == notebook.identity(built(executed))
    assert build(places, afresh=True) == []
    second = (places.notebooks / "00_tiny.ipynb").read_bytes()
    first, second = json.loads(first), json.loads(second)
    for book in (first, second):
        del book["metadata"]["course"]["measured"]
    assert first == second  # and this lesson, which draws nothing at random, has the same outputs


def test_inputs_only_keeps_the_outputs_of_an_identical_notebook_and_drops_those_of_another(executed, places):
    shutil.copytree(executed.notebooks, places.notebooks)
    build(places, run=False)
    assert (places.notebooks / "00_tiny.ipynb").read_bytes() == (
        executed.notebooks / "00_tiny.ipynb"
    ).read_bytes()
    edit(places, 'print("done")', 'print("finished")')
    build(places, run=False)
    assert not any(cell.get("outputs") for cell in built(places).cells)


def test_where_only_prose_changed_the_outputs_are_kept(executed, places, monkeypatch):
    shutil.rmtree(places.root)
    shutil.copytree(executed.root, places.root)
    runs = []
    monkeypatch.setattr(build_lessons, "execute", lambda *rest: runs.append(rest) or executed_measure)
    executed_measure = built(executed).metadata.course.measured
    edit(places, "With $", "Now with $")
    assert build(places) == [] and not runs
    assert built(places).cells[cell_with(built(places), "Now with $")].cell_type == "markdown"
    assert [c.get("outputs") for c in built(places).cells] == [
        c.get("outputs") for c in built(executed).cells
    ]
    assert stale.reasons(read(source(places)), places) == []
    (places.root / "course_utils" / "runs.py").write_text("USED = {1}\n", encoding="utf-8")
    build(places)
    assert len(runs) == 1, "the package changed: execute again"
    shutil.copytree(executed.root, places.root, dirs_exist_ok=True)
    edit(places, 'print("done")', 'print("finished")')
    build(places)
    assert len(runs) == 2, "a code cell changed: execute again"


def test_a_cell_that_raises_leaves_the_old_notebook(executed, places):
    shutil.copytree(executed.notebooks, places.notebooks)
    edit(places, 'print("done")', 'raise ValueError("not this time")')
    with pytest.raises(Exception, match="not this time"):
        build(places)
    assert (places.notebooks / "00_tiny.ipynb").read_bytes() == (
        executed.notebooks / "00_tiny.ipynb"
    ).read_bytes()


def test_a_notebook_edited_by_hand_is_overwritten_only_with_force(executed, places):
    shutil.copytree(executed.notebooks, places.notebooks)
    book = built(places)
    book.cells[3].source += "\nA better sentence."
    notebook.write_atomically(places.notebooks / "00_tiny.ipynb", notebook.dumps(book))
    with pytest.raises(LessonError, match="edited by hand"):
        build(places, run=False)
    assert "A better sentence." in built(places).cells[3].source
    build(places, run=False, force=True)
    assert "A better sentence." not in built(places).cells[3].source


def test_nothing_is_stale_right_after_a_build(executed):
    assert stale.reasons(read(source(executed)), executed) == []
    assert stale.disagreements(executed) == []


def test_staleness_names_its_reason(executed, places):
    shutil.rmtree(places.root)
    shutil.copytree(executed.root, places.root)

    def why():
        return "; ".join(stale.reasons(read(source(places)), places))

    def changed(path, text, reason):
        old = path.read_text(encoding="utf-8")
        path.write_text(text, encoding="utf-8")
        assert reason in why()
        path.write_text(old, encoding="utf-8")
        assert why() == ""

    package = places.root / "course_utils"
    changed(package / "runs.py", "USED = {1}\n", "course_utils/runs.py changed")
    changed(places.root / "data" / "runs" / "00_tiny" / "card.json", "{}", "run 00_tiny changed")
    lesson = source(places).read_text(encoding="utf-8")
    changed(source(places), lesson + "\n# %%\nx = 1\n", "the code of its cells changed")
    changed(source(places), lesson.replace("With $", "Now with $"), "lessons/00_tiny.py")
    project = places.root / "pyproject.toml"
    changed(project, project.read_text().replace("2001.2", "2001.3"), "version")
    (package / "runs.py").rename(package / "other.py")
    assert "course_utils/runs.py is gone" in why()
    build(places, run=False)
    edit(places, 'print("done")', 'print("finished")')
    build(places, run=False)
    assert "not executed" in why()
    (places.notebooks / "00_tiny.ipynb").unlink()
    assert why() == "it has not been built yet"


def test_disagreements_are_found_without_executing(executed, places):
    shutil.rmtree(places.root)
    shutil.copytree(executed.root, places.root)
    reference = places.reference(read(source(places)))
    reference.write_text(reference.read_text(encoding="utf-8") + "# more\n", encoding="utf-8")
    places.shared(read(source(places))).unlink()
    (places.notebooks / "77_orphan.ipynb").write_text("{}")
    found = stale.disagreements(places)
    assert (
        len(found) == 3
        and "ref_00.py is not what" in found[0]
        and "lesson_00.py is not what" in found[1]
        and "77_orphan.ipynb has no lesson" in found[2]
    )
    edit(places, 'print("done")', 'print("finished")')
    assert "00_tiny.ipynb is not what lessons/00_tiny.py builds" in " ".join(stale.disagreements(places))
