"""Assemble the instructor's notebook of an assignment, with nbgrader's metadata."""

import hashlib
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from tools.assessment.source import KINDS, Assignment, Cell
from tools.builder.lesson import project
from tools.builder.notebook import FIND_COURSE, FOLDED

SCHEMA = 3  # of nbgrader's metadata
PROBLEMS = "⟪problems⟫"  # where the table of problems goes


def assemble(assignment: Assignment, root: Path) -> nbformat.NotebookNode:
    """Return the instructor's notebook: solutions and hidden tests inside, nothing executed.

    The same arguments give the same bytes. What a student gets is made of it by nbgrader.
    """
    address, version = project(root)
    cells, seen = [], {}
    for cell in assignment.cells:
        if "setup" in cell.tags:
            finder = Cell("code", FIND_COURSE.format(address=address, version=version), ["fold"])
            cells.append(_node(finder, assignment, seen))
        cells.append(_node(cell, assignment, seen))
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    course = {"assignment": assignment.name, "version": version}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}, "course": course}
    book = new_notebook(cells=cells, metadata=metadata, nbformat_minor=5)
    nbformat.validate(book)
    return book


def _node(cell: Cell, assignment: Assignment, seen: dict) -> nbformat.NotebookNode:
    """One cell of the notebook, with an id derived from its content and occurrence."""
    source = cell.source
    if PROBLEMS in source:
        source = source.replace(PROBLEMS, table(assignment))
    metadata = dict(FOLDED) if {"figure", "fold"} & set(cell.tags) else {}
    if kept := [tag for tag in cell.tags if tag in ("figure", "experiment")]:
        metadata["tags"] = kept  # steady.py reads them
    if graded := _nbgrader(cell, seen):
        metadata["nbgrader"] = graded
    make = new_code_cell if cell.kind == "code" else new_markdown_cell
    node = make(source, metadata=metadata)
    content = hashlib.sha256(f"{assignment.name}\n{cell.kind}\n{source}".encode()).hexdigest()[:12]
    seen[content] = seen.get(content, 0) + 1
    node["id"] = f"a-{content}-{seen[content]}"
    return node


def _nbgrader(cell: Cell, seen: dict) -> dict | None:
    """nbgrader's metadata: answers may be edited, tests and all other code are locked, prose is free."""
    if cell.kind == "markdown" and not cell.role:
        return None
    role = cell.role or "given"
    stem = f"p{cell.part}_{role}" if cell.part else role
    seen[stem] = seen.get(stem, 0) + 1
    found = {
        "schema_version": SCHEMA,
        "grade_id": f"{stem}_{seen[stem]}" if role in ("tests", "given") else stem,
        "grade": role in ("tests", "written"),
        "solution": role in ("answer", "written"),
        "locked": role in ("tests", "given"),
        "task": False,
        "cell_type": cell.kind,
    }
    return found | {"points": cell.points} if found["grade"] else found


def table(assignment: Assignment) -> str:
    """The table of problems: what each asks for, its points and its minutes."""
    rows = ["| problem | asks for | points | minutes |", "|---|---|---|---|"]
    for number, title in sorted(assignment.titles.items()):
        parts = [part for part in assignment.parts.values() if part.name[0] == str(number)]
        asked = ", ".join(kind for kind in KINDS if any(part.kind == kind for part in parts))
        points, minutes = (sum(getattr(part, what) for part in parts) for what in ("points", "minutes"))
        rows.append(f"| {number} · {title} | {asked} | {points} | {minutes} |")
    every = list(assignment.parts.values())
    minutes = sum(part.minutes for part in every)
    rows.append(f"| | | **{sum(part.points for part in every)}** | **{minutes / 60:.1f} hours** |")
    return "\n".join(rows)
