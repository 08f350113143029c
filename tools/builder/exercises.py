"""Exercises: from one cell with its solution to the stub, the folded solution and the reference function."""

import ast
import builtins
import re
import sys
from dataclasses import dataclass

from tools.builder.lesson import Cell, Finding, Lesson, LessonError
from tools.builder.names import free_names, import_statements

BEGIN = re.compile(r"(?P<indent>\s*)### BEGIN SOLUTION\s*")
END = re.compile(r"\s*### END SOLUTION\s*")


@dataclass
class Exercise:
    """One exercise: its function, the id and the name given by its check, and the two cells that hold
    them."""

    name: str
    check_id: str
    checked: str  # the name that the check gives to a function that works
    cell: Cell
    check: Cell
    stub: str  # what the reader gets: signature, docstring, raise NotImplementedError
    reference: str  # the whole function, without the markers
    solution: str  # the function without its docstring, for the fold


def collect(lesson: Lesson) -> tuple[list[Exercise], list[Finding]]:
    """Return the exercises of `lesson` in order, and what is wrong with them.

    Wrong is: markers, docstring or check missing; a solution that uses anything but its arguments and the
    lesson's imports; another cell that uses an exercise's own name instead of the checked one.
    """
    code = lesson.code
    found, findings = [], []
    for index, cell in enumerate(code):
        if "exercise" not in cell.tags:
            rows = [
                row for row, line in enumerate(cell.lines) if BEGIN.fullmatch(line) or END.fullmatch(line)
            ]
            if rows:
                what = "solution markers in a cell that is no exercise"
                findings.append(cell.finding("exercise", what, 'add tags=["exercise"]', rows[0]))
            continue
        try:
            found.append(_extract(lesson, cell, code[index + 1 : index + 2]))
        except LessonError as error:
            findings += error.findings
    return found, findings + _check_names(lesson, found)


def find(lesson: Lesson) -> list[Exercise]:
    """Return the exercises that `read` found in `lesson`."""
    return lesson.exercises


def _refuse(cell: Cell, what: str, remedy: str = "", row: int | None = None):
    raise LessonError([cell.finding("exercise", what, remedy, row)])


def _extract(lesson: Lesson, cell: Cell, following: list[Cell]) -> Exercise:
    """Cut the exercise in `cell`, checked in the cell that follows, into its parts."""
    if not following:
        _refuse(cell, "no code cell follows", "the next one must hold the exercise's cu.check")
    (check,) = following
    body = cell.tree.body
    if len(body) != 1 or not isinstance(body[0], ast.FunctionDef):
        _refuse(cell, "an exercise cell defines exactly one function and nothing else", "split it")
    function = body[0]
    if ast.get_docstring(function) is None:
        remedy = "give it one: the reader sees it and nothing else"
        _refuse(cell, "the function needs a docstring", remedy, function.lineno - 1)
    begin, end = _markers(cell, function)
    lines = cell.lines
    indent = BEGIN.fullmatch(lines[begin])["indent"]
    doc = function.body[0]
    stub = "\n".join([*lines[:begin], f"{indent}raise NotImplementedError", *lines[end + 1 :]])
    kept = [row for row in range(len(lines)) if row not in (begin, end)]
    short = [row for row in kept if not doc.lineno - 1 <= row < doc.end_lineno]
    _check_free_names(lesson, cell)
    check_id, checked = _checked(cell, check, function.name)
    if not check_id.startswith(f"{lesson.key}."):
        _refuse(check, f"the check's id {check_id!r} is another lesson's", f"start with {lesson.key + '.'!r}")
    if checked == function.name:
        remedy = f"give it another name than {function.name!r}, so that one sees which is used"
        _refuse(check, "the checked function has the name of the reader's own", remedy)
    reference, solution = ("\n".join(lines[row] for row in rows) for rows in (kept, short))
    return Exercise(function.name, check_id, checked, cell, check, stub, reference, solution)


def _markers(cell: Cell, function: ast.FunctionDef) -> tuple[int, int]:
    """Return the rows (0-based) of BEGIN SOLUTION and END SOLUTION."""
    lines = cell.lines
    begins = [row for row, line in enumerate(lines) if BEGIN.fullmatch(line)]
    ends = [row for row, line in enumerate(lines) if END.fullmatch(line)]
    if len(begins) != 1 or len(ends) != 1:
        what = "an exercise has one `### BEGIN SOLUTION` and one `### END SOLUTION`"
        _refuse(cell, what, "put each on a line of its own")
    begin, end = begins[0], ends[0]
    inside = [node for node in function.body[1:] if begin < node.lineno - 1 and node.end_lineno - 1 < end]
    if not begin >= function.body[0].end_lineno or not inside:
        remedy = "they must enclose statements of the body, after the docstring"
        _refuse(cell, "the solution markers stand in the wrong place", remedy, begin)
    if len(BEGIN.fullmatch(lines[begin])["indent"]) != function.body[0].col_offset:
        _refuse(cell, "a marker stands too far left or right", "indent it like the docstring", begin)
    return begin, end


def _checked(cell: Cell, check: Cell, name: str) -> tuple[str, str]:
    """Return (id, checked name) of the one `checked = cu.check("NN.id", name)` in the check cell."""
    for node in check.tree.body:
        if (
            isinstance(node, ast.Assign)
            and len(node.targets) == 1
            and isinstance(node.targets[0], ast.Name)
            and _is_check(node.value)
            and len(node.value.args) == 2
            and isinstance(node.value.args[0], ast.Constant)
            and isinstance(node.value.args[1], ast.Name)
            and node.value.args[1].id == name
        ):
            return node.value.args[0].value, node.targets[0].id
    remedy = f'the next code cell must hold its check: checked_{name} = cu.check("NN.id", {name})'
    _refuse(cell, "the exercise is not checked", remedy)


def _is_check(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func) == "cu.check"


def _check_names(lesson: Lesson, found: list[Exercise]) -> list[Finding]:
    """Find uses of an exercise's own name, stray checks and ids used twice."""
    findings = []
    for exercise in found:
        for cell in lesson.code:
            rows = [node.lineno - 1 for node in ast.walk(cell.tree) if _mentions(node, exercise.name)]
            if cell is exercise.cell:  # a recursive solution may call itself
                continue
            if len(rows) > (cell is exercise.check):
                remedy = (
                    f'use the checked function (the result of cu.check("{exercise.check_id}", …)), or rename '
                    "a local of that name"
                )
                what = f"this cell uses {exercise.name!r}, the reader's own attempt"
                findings.append(cell.finding("exercise", what, remedy, rows[-1]))
    for cell in lesson.code:
        rows = [node.lineno - 1 for node in ast.walk(cell.tree) if _is_check(node)]
        if len(rows) > sum(exercise.check is cell for exercise in found) and len(found) == _stubs(lesson):
            remedy = "it stands once, at the top level of the code cell after its exercise"
            findings.append(cell.finding("exercise", "a stray cu.check", remedy, rows[-1]))
    ids = [exercise.check_id for exercise in found]
    for exercise in found:
        if ids.count(exercise.check_id) > 1:
            what = f"the check id {exercise.check_id!r} is used twice"
            findings.append(exercise.check.finding("exercise", what, "give each exercise its own"))
    return findings


def _stubs(lesson: Lesson) -> int:
    """How many exercises there should be: where one was refused, its check is not also a stray one."""
    return sum("exercise" in cell.tags for cell in lesson.code)


def _mentions(node: ast.AST, name: str) -> bool:
    """Return whether `node` mentions `name` as a variable or defines it."""
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return node.name == name
    return isinstance(node, ast.Name) and node.id == name


def _check_free_names(lesson: Lesson, cell: Cell) -> None:
    """Refuse a solution that needs the notebook's globals: its reference must stand alone."""
    imported = import_statements([cell.tree for cell in lesson.code])
    known = set(dir(builtins)) | set(imported) | {cell.tree.body[0].name}
    if missing := sorted(free_names(cell.source) - known):
        what = f"the solution uses {', '.join(missing)}, which is neither an argument nor imported"
        _refuse(cell, what, "pass it as an argument", 0)


def reference_module(lesson: Lesson) -> str | None:
    """Return the source of the module with the reference functions of `lesson`, or None without exercises.

    It holds the imports its functions need, each function in full, and `REFERENCES = {check id: function}`.
    """
    if not lesson.exercises:
        return None
    known = import_statements([cell.tree for cell in lesson.code])
    used = set().union(*(free_names(exercise.reference) for exercise in lesson.exercises))
    head = (
        f'"""Reference functions of lesson {lesson.key}, generated from lessons/{lesson.slug}.py.\n\n'
        'Do not edit: change the solution in the lesson and run `python tasks.py lessons`.\n"""\n'
    )
    parts = [head + import_blocks({known[name] for name in used if name in known})]
    parts += [exercise.reference + "\n" for exercise in lesson.exercises]
    rows = "".join(f'    "{exercise.check_id}": {exercise.name},\n' for exercise in lesson.exercises)
    parts.append(f"REFERENCES = {{\n{rows}}}\n")
    return "\n\n".join(parts)


def import_blocks(statements: set[str]) -> str:
    """Return import statements grouped as ruff wants them: standard library, others, this project."""

    def group(statement: str) -> int:
        top = statement.split()[1].split(".")[0]
        return 0 if top in sys.stdlib_module_names else 2 if top == "course_utils" else 1

    def order(statement: str) -> tuple:
        return statement.startswith("from"), statement.split()[1].lower(), statement

    groups = [sorted((s for s in statements if group(s) == kind), key=order) for kind in range(3)]
    return "".join("\n" + "\n".join(block) + "\n" for block in groups if block)
