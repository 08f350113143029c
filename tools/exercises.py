"""Exercises: from one cell with its solution to the stub, the folded solution and the reference function."""

import ast
import builtins
import re
import symtable
import sys
from dataclasses import dataclass

from tools.source import Cell, Lesson

BEGIN = re.compile(r"(?P<indent>\s*)### BEGIN SOLUTION\s*")
END = re.compile(r"\s*### END SOLUTION\s*")


@dataclass
class Exercise:
    """One exercise: its function, the id and the name given by its check, and the two cells that hold them."""

    name: str
    check_id: str
    cell: Cell
    check: Cell
    stub: str  # what the reader gets: signature, docstring, raise NotImplementedError
    reference: str  # the whole function, without the markers
    solution: str  # the function without its docstring, for the fold


def find(lesson: Lesson) -> list[Exercise]:
    """Return the exercises of `lesson` in order.

    Raises LessonError where an exercise lacks markers, docstring or check, where its solution uses anything but its
    arguments and the lesson's imports, or where another cell uses its name instead of the checked one.
    """
    code = lesson.code
    found = []
    for index, cell in enumerate(code):
        if "exercise" not in cell.tags:
            if any(BEGIN.fullmatch(line) or END.fullmatch(line) for line in cell.source.split("\n")):
                cell.fail('solution markers in a cell that is no exercise: add tags=["exercise"].')
            continue
        if index + 1 == len(code):
            cell.fail("no code cell follows; the next one must hold the exercise's cu.check.")
        found.append(_extract(lesson, cell, code[index + 1]))
    _check_names(lesson, found)
    return found


def _extract(lesson: Lesson, cell: Cell, check: Cell) -> Exercise:
    """Cut the exercise in `cell`, checked in `check`, into its parts."""
    body = cell.tree.body
    if len(body) != 1 or not isinstance(body[0], ast.FunctionDef):
        cell.fail("an exercise cell defines exactly one function and nothing else.")
    function = body[0]
    if ast.get_docstring(function) is None:
        cell.fail("the function needs a docstring: the reader sees it and nothing else.")
    begin, end = _markers(cell, function)
    lines = cell.source.rstrip().split("\n")
    indent = BEGIN.fullmatch(lines[begin])["indent"]
    doc = function.body[0]
    stub = "\n".join([*lines[:begin], f"{indent}raise NotImplementedError", *lines[end + 1 :]])
    kept = [line for row, line in enumerate(lines) if row not in (begin, end)]
    short = [
        line for row, line in enumerate(lines) if row not in (begin, end) and not doc.lineno - 1 <= row < doc.end_lineno
    ]
    _check_free_names(lesson, cell)
    check_id, checked = _checked(cell, check, function.name)
    if not check_id.startswith(f"{lesson.key}."):
        check.fail(f"the check's id {check_id!r} must start with {lesson.key + '.'!r}.")
    if checked == function.name:
        check.fail(f"give the checked function another name than {function.name!r}, so that one sees which is used.")
    return Exercise(function.name, check_id, cell, check, stub, "\n".join(kept), "\n".join(short))


def _markers(cell: Cell, function: ast.FunctionDef) -> tuple[int, int]:
    """Return the rows (0-based) of BEGIN SOLUTION and END SOLUTION."""
    lines = cell.source.split("\n")
    begins = [row for row, line in enumerate(lines) if BEGIN.fullmatch(line)]
    ends = [row for row, line in enumerate(lines) if END.fullmatch(line)]
    if len(begins) != 1 or len(ends) != 1:
        cell.fail("an exercise has one `### BEGIN SOLUTION` and one `### END SOLUTION`, each on its own line.")
    begin, end = begins[0], ends[0]
    inside = [node for node in function.body[1:] if begin < node.lineno - 1 and node.end_lineno - 1 < end]
    if not begin >= function.body[0].end_lineno or not inside:
        cell.fail("the solution markers must enclose statements of the body, after the docstring.")
    if len(BEGIN.fullmatch(lines[begin])["indent"]) != function.body[0].col_offset:
        cell.fail("indent the solution markers like the docstring.")
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
    cell.fail(f'the next code cell must hold its check: checked_{name} = cu.check("NN.id", {name}).')


def _is_check(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func) == "cu.check"


def _check_names(lesson: Lesson, found: list[Exercise]) -> None:
    """Refuse uses of an exercise's own name, stray checks and ids used twice."""
    for exercise in found:
        for cell in lesson.code:
            uses = sum(_binds_or_uses(node, exercise.name) for node in ast.walk(cell.tree))
            if uses > (cell is exercise.check or cell is exercise.cell) + _inner_uses(cell, exercise):
                cell.fail(
                    f"this cell uses {exercise.name!r}, the reader's own attempt: use the checked function "
                    f'(the result of cu.check("{exercise.check_id}", …)), or rename a local of that name.'
                )
    for cell in lesson.code:
        checks = sum(_is_check(node) for node in ast.walk(cell.tree))
        if checks != sum(exercise.check is cell for exercise in found):
            cell.fail("cu.check stands once, at the top level of the code cell after its exercise.")
    ids = [exercise.check_id for exercise in found]
    if twice := {name for name in ids if ids.count(name) > 1}:
        found[0].cell.fail(f"check ids are used twice: {sorted(twice)}.")


def _binds_or_uses(node: ast.AST, name: str) -> bool:
    """Return whether `node` mentions `name` as a variable or defines it."""
    own = getattr(node, "id", None) if isinstance(node, ast.Name) else None
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        own = node.name
    return own == name


def _inner_uses(cell: Cell, exercise: Exercise) -> int:
    """A recursive solution may call itself inside its own cell."""
    if cell is not exercise.cell:
        return 0
    return sum(_binds_or_uses(node, exercise.name) for node in ast.walk(cell.tree)) - 1


def _check_free_names(lesson: Lesson, cell: Cell) -> None:
    """Refuse a solution that needs the notebook's globals: its reference must stand alone."""
    known = set(dir(builtins)) | set(_imported(lesson)) | {cell.tree.body[0].name}
    if missing := sorted(free_names(cell.source) - known):
        cell.fail(
            f"the solution uses {', '.join(missing)}, which is neither an argument nor imported at the top of "
            "the lesson. Pass it as an argument."
        )


def free_names(source: str) -> set[str]:
    """Return the global names that `source` refers to, in function bodies, decorators, defaults and annotations."""
    names = set()

    def visit(table: symtable.SymbolTable) -> None:
        for symbol in table.get_symbols():
            if symbol.is_referenced() and (symbol.is_global() or table.get_type() == "module"):
                names.add(symbol.get_name())
        for child in table.get_children():
            visit(child)

    visit(symtable.symtable(source, "<exercise>", "exec"))
    return names


def _imported(lesson: Lesson) -> dict[str, str]:
    """Return {name: import statement} of everything the lesson's cells import at top level."""
    found = {}
    for cell in lesson.code:
        for node in cell.tree.body:
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                for alias in node.names:
                    one = type(node)(**{**{f: getattr(node, f) for f in node._fields}, "names": [alias]})
                    found[alias.asname or alias.name.split(".")[0]] = ast.unparse(one)
    return found


def reference_module(lesson: Lesson, exercises: list[Exercise]) -> str | None:
    """Return the source of the module with the reference functions of `lesson`, or None without exercises.

    It holds the imports its functions need, each function in full, and `REFERENCES = {check id: function}`.
    """
    if not exercises:
        return None
    known = _imported(lesson)
    needed = {known[name] for exercise in exercises for name in free_names(exercise.reference) if name in known}
    head = (
        f'"""Reference functions of lesson {lesson.key}, generated from lessons/{lesson.slug}.py.\n\n'
        'Do not edit: change the solution in the lesson and run `python tasks.py lessons`.\n"""\n'
    )
    parts = [head + "".join(f"\n{block}\n" for block in _sorted_imports(needed))]
    parts += [exercise.reference + "\n" for exercise in exercises]
    rows = "".join(f'    "{exercise.check_id}": {exercise.name},\n' for exercise in exercises)
    parts.append(f"REFERENCES = {{\n{rows}}}\n")
    return "\n\n".join(parts)


def _sorted_imports(statements: set[str]) -> list[str]:
    """Group import statements as ruff wants them: standard library, others, this project."""

    def group(statement: str) -> int:
        top = statement.split()[1].split(".")[0]
        return 0 if top in sys.stdlib_module_names else 2 if top == "course_utils" else 1

    def order(statement: str) -> tuple:
        return statement.startswith("from"), statement.split()[1].lower(), statement

    groups = [sorted((s for s in statements if group(s) == kind), key=order) for kind in range(3)]
    return ["\n".join(block) for block in groups if block]
