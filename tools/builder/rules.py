"""The rules of a lesson's source that can be read off one cell, or off the order of cells.

Each rule is a function that yields findings; `check` gathers those of all. What an exercise, an author's cell
or a shared one must be stands in modules of their own.
"""

import ast
import re
from collections.abc import Iterator

from tools.builder import names, prose
from tools.builder.lesson import Cell, Finding, Lesson

TAGS = {"setup", "exercise", "quiet", "figure", "author", "slide", "shared", "hint"}
MARKDOWN_TAGS = ("slide", "hint")
ALONE = ("setup", "exercise", "figure", "author", "shared")  # a cell has at most one of these
WIDTH, VISIBLE_LINES, FOLDED_LINES = 96, 25, 60
TITLE = re.compile(r"# (?P<key>\w+) \S.*")
FIGURE_TITLE = re.compile(r"# @title (Figure|Table|Widget|Quiz): \S")
EXERCISE_KINDS = ("break it", "predict and measure", "on paper", "open")  # no word: write it
LABEL = re.compile(rf"\*\*Exercise (\d+) \((core|deeper)(?:, ({'|'.join(EXERCISE_KINDS)}))?\)\.\*\*")
MAKES_RUNS = {"07", "A"}  # lessons in which saving a run is the subject, or the reader's own business
BANNED_WORDS = {
    "NBVAL_": "nbval heeds such a comment only where it stands alone; the course uses neither form",
    "COURSE_PROFILE": "a lesson never tests for the profile: use cu.budget(live) or the steps of cu.fit",
    "fmt: skip": "delete it and let ruff format the lesson",
    "fmt: off": "delete it and let ruff format the lesson",
}
BELONGS_ELSEWHERE = {
    "cu.show": "keep what computes here and move what draws to a figure cell below",
    "cu.table": 'move the table to a figure cell below ("# @title Table: …")',
    "cu.save_run": "use cu.ship in an author cell",
}
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def check(lesson: Lesson) -> list[Finding]:
    """Return what breaks a rule of this module, in no order. Cells that are not plain Python are skipped."""
    found = list(_opening(lesson))
    for cell in lesson.cells:
        found += _metadata(cell)
        if not cell.source.strip():
            found.append(cell.finding("empty", "the cell is empty", "delete it"))
        elif cell.kind == "markdown":
            found += _prose(cell)
        else:
            found += _size(cell)
            found += _code(cell, lesson.key)
    return found + list(_labels(lesson)) + list(_hints(lesson))


def _opening(lesson: Lesson) -> Iterator[Finding]:
    """A lesson opens with its title, and its first code cell sets up."""
    first = lesson.cells[0]
    title = TITLE.match(first.source)
    if first.kind != "markdown" or not title or title["key"] != lesson.key:
        remedy = f"the first cell is Markdown and begins `# {lesson.key} Title`"
        yield first.finding("title", "a lesson opens with its title", remedy)
    setup = [cell for cell in lesson.code if "setup" in cell.tags]
    if setup != lesson.code[:1]:
        remedy = 'give the first code cell, and no other, tags=["setup"]'
        yield (setup or lesson.cells)[-1].finding(
            "setup", "exactly one cell, the first code cell, sets up", remedy
        )
    elif setup and not any(alias.name == "course_utils" for alias in names.imports(setup[0].tree)):
        yield setup[0].finding(
            "setup", "the set-up cell lacks the package", "add `import course_utils as cu`"
        )


def _metadata(cell: Cell) -> Iterator[Finding]:
    """Tags, and nothing but tags; Markdown knows only `slide` and `hint`."""
    for tag in cell.tags:
        if tag in ("raises-exception", "nbval-raises-exception"):
            what = f"the tag {tag!r} is banned: nbval passes such a cell when nothing raises"
            yield cell.finding("tags", what, "catch the error and print it")
        elif tag not in TAGS:
            yield cell.finding("tags", f"unknown tag {tag!r}", f"known: {', '.join(sorted(TAGS))}")
        elif cell.kind == "markdown" and tag not in MARKDOWN_TAGS:
            remedy = "only `slide` and `hint` may stand there"
            yield cell.finding("tags", f"the tag {tag!r} on a Markdown cell", remedy)
        elif cell.kind == "code" and tag == "hint":
            yield cell.finding("tags", "the tag 'hint' on a code cell", "a hint is Markdown: # %% [markdown]")
    kinds = [tag for tag in ALONE if tag in cell.tags]
    if len(kinds) > 1:
        yield cell.finding("tags", f"one cell is {' and '.join(kinds)}", "split it, or drop a tag")
    if "slideshow" in cell.metadata:
        yield cell.finding("tags", "slideshow metadata", 'write the tag "slide": tags=["slide"]')
    if unknown := sorted(set(cell.metadata) - {"tags", "slideshow"}):
        yield cell.finding("tags", f"unknown cell metadata {', '.join(unknown)}", "a cell carries tags only")


def _prose(cell: Cell) -> Iterator[Finding]:
    """One sentence a line; a section begins with a cell of its own and says how deep it is."""
    for row, line in prose.prose_lines(cell.source):
        if line.startswith("## "):
            if row:
                remedy = "start a Markdown cell here: `# %% [markdown]`"
                yield cell.finding("heading", "a section begins in the middle of a cell", remedy, row)
            if not prose.HEADING.fullmatch(line):
                remedy = "write `## 3 · Title *(core)*` or `*(deeper)*`"
                yield cell.finding("heading", f"the heading {line!r} has another form", remedy, row)
        if prose.several_sentences(line):
            what = f"more than one sentence on the line ({len(line)} characters)"
            yield cell.finding("sentences", what, "one sentence a line; Markdown joins them", row)


def _size(cell: Cell) -> Iterator[Finding]:
    """Width and height of code, and the title of a folded cell."""
    for row, line in enumerate(cell.lines):
        if len(line) > WIDTH:
            what = f"a line of {len(line)} characters ({WIDTH} allowed)"
            yield cell.finding("width", what, "name a part of it on a line of its own", row)
    kind = "visible" if cell.visible else "figure" if "figure" in cell.tags else "author"
    limit = VISIBLE_LINES if cell.visible else FOLDED_LINES
    if len(cell.lines) > limit:
        remedy = "split it, or move a helper function to a cell of its own"
        yield cell.finding("height", f"a {kind} cell of {len(cell.lines)} lines ({limit} allowed)", remedy)
    if kind == "figure" and not FIGURE_TITLE.match(cell.lines[0]):
        remedy = "begin it with `# @title Figure: what it shows` (or Table:, Widget:, Quiz:)"
        yield cell.finding("figure title", "a figure cell without a title", remedy)


def _code(cell: Cell, key: str) -> Iterator[Finding]:
    """What must not stand in code: words and imports anywhere, crammed statements in visible cells."""
    for word, why in BANNED_WORDS.items():
        for row, line in enumerate(cell.lines):
            if word in line:
                yield cell.finding("banned", f"{word} in code", why, row)
    if any(alias.name.split(".")[0] == "ipywidgets" for alias in names.imports(cell.tree)):
        remedy = (
            "use cu.explore, cu.scrub, cu.plane, cu.stepper or cu.quiz, or add what is missing to "
            "course_utils/widgets: a callback given to ipywidgets directly is never run by the tests"
        )
        yield cell.finding("banned", "ipywidgets in a lesson", remedy)
    if not cell.visible:
        return
    for node in ast.walk(cell.tree):
        for rule, what, remedy in _crammed(node, key):
            yield cell.finding(rule, what, remedy, node.lineno - 1)


def _crammed(node: ast.AST, key: str) -> Iterator[tuple[str, str, str]]:
    """Yield (rule, what, remedy) of a node that does several things in one statement, or does not teach."""
    if isinstance(node, ast.Assign) and _is_parallel(node):
        yield "parallel", f"parallel assignment: {ast.unparse(node)[:70]}", "one statement for each name"
    if isinstance(node, COMPREHENSIONS) and _is_nested(node):
        yield "nested", "a nested comprehension", "write a loop, or name the inner part"
    if isinstance(node, ast.NamedExpr):
        yield "walrus", "an assignment within an expression (:=)", "assign on a line of its own"
    if isinstance(node, (ast.Assign, ast.AnnAssign)) and isinstance(node.value, ast.Lambda):
        yield "lambda", "a lambda bound to a name", "write a def"
    if isinstance(node, ast.Call):
        called = ast.unparse(node.func)
        if called in BELONGS_ELSEWHERE and not (called == "cu.save_run" and key in MAKES_RUNS):
            yield "drawing", f"{called} in a visible cell", BELONGS_ELSEWHERE[called]


def _is_parallel(node: ast.Assign) -> bool:
    """Whether several things are assigned at once; a swap (the same things on both sides) is fine."""
    target = node.targets[0]
    if not (isinstance(target, (ast.Tuple, ast.List)) and isinstance(node.value, (ast.Tuple, ast.List))):
        return False
    left = sorted(ast.unparse(part) for part in target.elts)
    return left != sorted(ast.unparse(part) for part in node.value.elts)


def _is_nested(node: ast.AST) -> bool:
    """Whether a comprehension has two loops or holds another one."""
    inner = [part for part in ast.walk(node) if isinstance(part, COMPREHENSIONS) and part is not node]
    return len(node.generators) > 1 or bool(inner)


def _labels(lesson: Lesson) -> Iterator[Finding]:
    """Exercises are labelled in the prose before their stub and numbered through the lesson."""
    number, labelled = 0, False
    for cell in lesson.cells:
        if cell.kind == "markdown":
            for row, line in enumerate(cell.lines):
                for label in LABEL.finditer(line):
                    number += 1
                    labelled = True
                    if int(label[1]) != number:
                        remedy = f"it is number {number} of the lesson"
                        yield cell.finding("label", f"exercise {label[1]} is misnumbered", remedy, row)
        elif "exercise" in cell.tags:
            if not labelled:
                remedy = "write `**Exercise 3 (core).**` or `(deeper, break it)` in the prose before it"
                yield cell.finding("label", "an exercise without its label", remedy)
            labelled = False


def _hints(lesson: Lesson) -> Iterator[Finding]:
    """A hint stands between a stub and its check; where a lesson has one, every stub has."""
    hinted = [cell for cell in lesson.cells if "hint" in cell.tags]
    remedy = '`# %% [markdown] tags=["hint"]` between the stub and its check'
    for before, cell in zip([None, *lesson.cells], lesson.cells):
        if cell in hinted and (before is None or "exercise" not in before.tags):
            yield cell.finding("hint", "a hint that follows no stub", remedy)
    if hinted:
        for cell, after in zip(lesson.cells, lesson.cells[1:]):
            if "exercise" in cell.tags and "hint" not in after.tags:
                yield cell.finding("hint", "an exercise without a hint", remedy)
