"""Every lesson: its notebook is what its source builds, was executed top to bottom, and is whole for any
reader.

Nothing is executed here; nbval executes the notebooks themselves in the same run.
"""

import re

import pytest

from tools import update
from tools.builder import audit, notebook, old_places, outputs, stale
from tools.builder.source import ROOT, Places, find, project, read

PLACES = Places()
EDITED = {path.stem for path in update.readers_own()}
SOURCES = find(PLACES)
OWN = "notebooks/{0}.ipynb was edited here, so it is not tested; git checkout -- notebooks/{0}.ipynb undoes that"
lesson = pytest.mark.parametrize(
    "path",
    [
        pytest.param(p, id=p.stem, marks=[pytest.mark.skip(OWN.format(p.stem))] if p.stem in EDITED else [])
        for p in SOURCES
    ],
)


def built(path):
    """Return (notebook, its text on disk) of the lesson whose source is `path`."""
    target = PLACES.notebooks / f"{path.stem}.ipynb"
    if not target.is_file():
        pytest.fail(
            f"notebooks/{target.name} has not been built: python tasks.py lessons {path.stem.split('_')[0]}"
        )
    return notebook.load(target), target.read_text(encoding="utf-8")


def test_there_are_lessons_and_nothing_without_a_source():
    assert SOURCES, "lessons/ holds no lesson"
    assert not [line for line in stale.disagreements(PLACES) if "has no lesson" in line]


@lesson
def test_source_notebook_and_generated_modules_agree(path):
    assert stale.disagreements(PLACES, [path.stem]) == []


@lesson
def test_the_notebook_was_executed_top_to_bottom_without_an_error(path):
    book, _ = built(path)
    assert outputs.execution_problems(book) == []
    assert "measured" in book.metadata.course, "it was built with --no-execute"


@lesson
def test_no_cell_is_exempt_from_the_tests(path):
    book, text = built(path)
    tags = {tag for cell in book.cells for tag in cell.metadata.get("tags", [])}
    assert tags <= {"find-course", "solution", *notebook.KEPT_TAGS}
    assert "NBVAL_" not in text


@lesson
def test_the_notebook_is_small(path):
    assert outputs.size_problems(*built(path)) == []


@lesson
def test_the_notebook_is_whole_for_a_reader_without_kernel_or_network(path):
    assert outputs.reader_problems(built(path)[0]) == []


@lesson
def test_every_picture_has_a_caption_and_alternative_text(path):
    assert outputs.caption_problems(built(path)[0]) == []


@lesson
def test_no_picture_is_cut_off(path):
    assert outputs.edge_problems(built(path)[0]) == []


@lesson
def test_it_opens_with_the_colab_link_of_its_release_and_the_set_up_cells(path):
    book, _ = built(path)
    address, version = project(ROOT)
    link = address.replace("https://github.com", "https://colab.research.google.com/github")
    assert f"({link}/blob/{version}/notebooks/{path.stem}.ipynb)" in book.cells[0].source
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    assert [cell.metadata.get("tags") for cell in code[:2]] == [["find-course"], ["setup"]]
    assert not re.search(r"\bpip\b|\binstall\b", code[0].source)


def test_the_set_up_cell_is_the_same_everywhere():
    cells = {
        next(c.source for c in built(path)[0].cells if c.cell_type == "code")
        for path in SOURCES
        if path.stem not in EDITED
    }
    assert len(cells) <= 1


@lesson
def test_nothing_above_a_stub_shows_its_solution(path):
    book, _ = built(path)
    for exercise in read(path).exercises:
        stub = next(i for i, cell in enumerate(book.cells) if cell.source == exercise.stub)
        body = _squeezed(exercise.solution.split(":\n", 1)[1])
        for cell in book.cells[: stub + 2]:
            shown = "\n".join(output.get("text", "") for output in cell.get("outputs", []))
            assert body not in _squeezed(cell.source), (
                f"{exercise.check_id}: the solution stands above its stub"
            )
            assert body not in _squeezed(shown), (
                f"{exercise.check_id}: an output above the stub prints the solution"
            )


def _squeezed(text):
    return re.sub(r"\s+", "", text)


@lesson
def test_the_recorded_hashes_cover_the_package(path):
    measured = stale.measured(built(path)[0])
    assert {"course_utils/start.py", "course_utils/system/folders.py"} <= set(measured["package"])
    looks = {*measured["looks"], *measured["package"]}  # a lesson that prints sources has all in "package"
    assert {"course_utils/__init__.py", "course_utils/plots/style.mplstyle"} <= looks
    hashes = [
        measured["code"],
        *(value for kind in ("package", "looks", "runs") for value in measured[kind].values()),
    ]
    assert all(re.fullmatch(r"[0-9a-f]{16}", value) for value in hashes)


@lesson
def test_the_outputs_are_those_of_todays_code_package_and_runs(path):
    lesson, (book, _) = read(path), built(path)
    why = stale.outputs_may_differ(book, notebook.assemble(lesson), PLACES)
    assert why == [], f"execute it again: python tasks.py lessons {lesson.key}"


@lesson
def test_numbers_in_prose_and_captions_occur_in_an_output(path):
    lesson, (book, _) = read(path), built(path)
    found = audit.check(lesson, book)
    assert [str(finding) for finding in old_places.refused(lesson.key, found)] == []
    assert old_places.too_high(lesson.key, found, ("numbers",)) == []
