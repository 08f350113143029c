"""What a lesson shares with later ones: cells tagged `shared` become the module
course_utils/lessons/lesson_NN.py.

A sequel, or a lesson that compares models, then says where a piece was written:

    from course_utils.lessons.lesson_04 import VAE, vae_loss  # written in lesson 04, section 3
"""

import ast
import builtins

from tools.builder import names
from tools.builder.exercises import import_blocks
from tools.builder.lesson import Cell, Finding, Lesson

PIECES = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef, ast.Assign, ast.AnnAssign)


def cells(lesson: Lesson) -> list[Cell]:
    """Return the shared cells of `lesson`."""
    return [cell for cell in lesson.code if "shared" in cell.tags]


def check(lesson: Lesson) -> list[Finding]:
    """Return what in a shared cell would not stand alone in a module."""
    if not cells(lesson):
        return []
    known = set(dir(builtins)) | set(_imported(lesson))
    known |= {exercise.checked for exercise in lesson.exercises}
    shared = set().union(*(names.bound(cell.source) for cell in cells(lesson)))
    so_far: set[str] = set()
    findings = []
    for cell in cells(lesson):
        findings += _pieces(cell)
        own = names.bound(cell.source)
        missing = names.read_at_once(cell.source) - known - so_far - own
        missing |= names.read_later(cell.source) - known - shared
        for name in sorted(missing):
            what = f"the shared cell uses {name!r}, which this lesson neither imports nor shares"
            remedy = "pass it as an argument, or tag the cell that makes it shared, too"
            findings.append(cell.finding("shared", what, remedy, names.row_of(cell.tree, name)))
        so_far |= own
    return findings


def _pieces(cell: Cell) -> list[Finding]:
    """A module is imported in a moment: it defines, and computes nothing with the package."""
    findings = []
    for node in cell.tree.body:
        value = getattr(node, "value", None)
        calls = [part for part in ast.walk(value) if isinstance(part, ast.Call)] if value else []
        computes = any(ast.unparse(call.func).startswith("cu.") for call in calls)
        if not isinstance(node, PIECES) or computes:
            what = f"a shared cell holds `{ast.unparse(node).splitlines()[0][:50]}`"
            remedy = "only imports, functions, classes and constants may stand there: split the cell"
            findings.append(cell.finding("shared", what, remedy, node.lineno - 1))
    return findings


def _imported(lesson: Lesson) -> dict[str, str]:
    return names.import_statements([cell.tree for cell in lesson.code])


def module(lesson: Lesson) -> str | None:
    """Return the source of the module with what `lesson` shares, or None where it shares nothing.

    The functions of its exercises are there under their checked names: always the course's references,
    because a module cannot know what a reader has written in a notebook.
    """
    if not cells(lesson):
        return None
    imported = _imported(lesson)
    used = set().union(*(names.free_names(cell.source) for cell in cells(lesson)))
    statements = {imported[name] for name in used if name in imported}
    place = f"course_utils.checks.references.ref_{lesson.key}"
    statements |= {f"from {place} import {e.name} as {e.checked}" for e in lesson.exercises}
    head = (
        f'"""What lesson {lesson.key} wrote for later ones, generated from lessons/{lesson.slug}.py.\n\n'
        'Do not edit: change the lesson and run `python tasks.py lessons`.\n"""\n'
    )
    offered = {exercise.checked for exercise in lesson.exercises}
    parts, section = [head + import_blocks(statements)], None
    for cell in cells(lesson):
        own = [node for node in cell.tree.body if not isinstance(node, (ast.Import, ast.ImportFrom))]
        offered |= {name for name in names.bound(cell.source) if name not in imported}
        first = min((_first_row(cell, node) for node in own), default=len(cell.lines))
        text = "\n".join(cell.lines[first:])
        if text and cell.section != section:
            text = f"# {cell.section or 'At the top'}\n\n{text}"
            section = cell.section
        parts += [text + "\n"] if text else []
    listed = "".join(f'    "{name}",\n' for name in sorted(offered))
    return "\n\n".join([*parts, f"__all__ = [\n{listed}]\n"])


def _first_row(cell: Cell, node: ast.stmt) -> int:
    """Return the row where a statement begins: its decorators and the comment right above belong to it."""
    row = min([node.lineno, *(part.lineno for part in getattr(node, "decorator_list", []))]) - 1
    while row and cell.lines[row - 1].startswith("#"):
        row -= 1
    return row
