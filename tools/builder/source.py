"""Read a lesson's source (jupytext py:percent) into cells, and refuse what the course does not allow."""

import re
from pathlib import Path

import jupytext

from tools.builder import authors, exercises, old_places, prose, rules, shared
from tools.builder.lesson import ROOT, Cell, Finding, Lesson, LessonError, Places, project

__all__ = ["ROOT", "Cell", "Finding", "Lesson", "LessonError", "Places", "find", "project", "read"]

SLUG = re.compile(r"(?P<key>\d\d[a-z]?|[A-Z])_[a-z0-9_]+")
MARKER = re.compile(r"# %%(?!\S)")


def find(places: Places, names: list[str] | None = None) -> list[Path]:
    """Return the sources of the lessons called `names` ("01", "01b", "01_slug" or a path), by default all, in
    order.

    Raises LessonError for a name that no source, or more than one, answers to.
    """
    every = sorted(path for path in places.lessons.glob("*.py") if SLUG.fullmatch(path.stem))
    if not names:
        return every
    found = []
    for name in names:
        stem = Path(name).stem
        hits = [path for path in every if stem in (path.stem, path.stem.split("_")[0])]
        if len(hits) != 1:
            have = ", ".join(path.stem for path in every) or "none"
            raise LessonError(f"No single lesson is called {name!r}. Lessons: {have}.")
        found += hits
    return found


def read(path: Path) -> Lesson:
    """Parse the source at `path` with its exercises. Raises LessonError with every rule that it breaks.

    What old_places.json excuses is kept in the lesson's `findings`.
    """
    lesson = parse(path)
    lesson.findings = inspect(lesson)
    if refused := old_places.refused(lesson.key, lesson.findings):
        raise LessonError(refused)
    return lesson


def inspect(lesson: Lesson) -> list[Finding]:
    """Find the exercises of a parsed lesson, and return every rule that it breaks."""
    broken = []
    for cell in lesson.code:
        try:
            _ = cell.tree
        except LessonError as error:
            broken += error.findings
    if broken:  # the other rules could not be read off these cells
        return broken
    lesson.exercises, findings = exercises.collect(lesson)
    return [*findings, *rules.check(lesson), *authors.check(lesson), *shared.check(lesson)]


def parse(path: Path) -> Lesson:
    """Parse the source at `path` into cells, each with its place in the file, and check nothing else.

    Raises LessonError for a file name or a text that is no lesson.
    """
    text = path.read_text(encoding="utf-8").replace("\r\n", "\n")
    if not SLUG.fullmatch(path.stem):
        what = f"{path.name}: a lesson is called NN_slug.py, a sequel NNb_slug.py, an appendix A_slug.py"
        raise LessonError(f"{what}, in lower case.")
    lesson = Lesson(path.stem, text)
    heads = [number for number, line in enumerate(text.split("\n"), 1) if MARKER.match(line)]
    nodes = jupytext.reads(text, fmt="py:percent").cells
    if len(heads) != len(nodes) or not nodes:
        remedy = "begin the file with `# %% [markdown]`, and let no string hold such a line"
        what = f"{len(heads)} lines `# %%`, but {len(nodes)} cells"
        raise LessonError([Finding(lesson.slug, 1, "cells", what, remedy)])
    for head, node in zip(heads, nodes, strict=True):
        if node.cell_type not in ("markdown", "code"):
            what = f"a {node.cell_type} cell"
            raise LessonError([Finding(lesson.slug, head, "cells", what, "use Markdown and code cells only")])
        metadata = {key: value for key, value in node.metadata.items() if key != "lines_to_next_cell"}
        source = node.source.lstrip("\n")
        first = head + 1 + len(node.source) - len(source)
        lesson.cells.append(Cell(node.cell_type, source, metadata, lesson.slug, head, first))
    _mark_sections(lesson)
    return lesson


def _mark_sections(lesson: Lesson) -> None:
    """Tell each cell the section it stands in, and whether that is a deeper one."""
    title, deeper = "", False
    for cell in lesson.cells:
        if cell.kind == "markdown":
            for _, line in prose.prose_lines(cell.source):
                if heading := prose.HEADING.fullmatch(line):
                    number = f"Section {heading['number']} · " if heading["number"] else ""
                    title, deeper = number + heading["title"], heading["mark"] == "deeper"
        cell.section, cell.deeper = title, deeper
