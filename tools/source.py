"""Read a lesson's source (jupytext py:percent) into cells, and refuse what the course does not allow."""

import ast
import re
import tomllib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import jupytext

ROOT = Path(__file__).resolve().parent.parent
KNOWN_TAGS = {"setup", "exercise", "quiet"}
KNOWN_METADATA = {"tags", "slideshow"}
MAX_CODE_LINES = 40
TITLE = re.compile(r"# (?P<key>\w+) \S.*")
SLUG = re.compile(r"(?P<key>\d\d|[A-Z])_[a-z0-9_]+")
BANNED_WORDS = {
    "NBVAL_": "nbval heeds such a comment only when it stands alone on its line; the course uses neither form",
    "COURSE_PROFILE": "a lesson never tests for the profile: use cu.budget(live, quick) or the steps of cu.fit",
}


class LessonError(Exception):
    """A lesson's source breaks a rule; the message says where, why, and what to do."""


@dataclass(frozen=True)
class Places:
    """Where lessons are read and what is built from them is written; tests point these at other folders."""

    root: Path = ROOT
    lessons: Path = ROOT / "lessons"
    notebooks: Path = ROOT / "notebooks"
    references: Path = ROOT / "course_utils" / "checks" / "references"

    def notebook(self, lesson: "Lesson") -> Path:
        """Return the path of the notebook that `lesson` is built into."""
        return self.notebooks / f"{lesson.slug}.ipynb"

    def reference(self, lesson: "Lesson") -> Path:
        """Return the path of the module that holds the reference functions of `lesson`."""
        return self.references / f"ref_{lesson.key}.py"


@dataclass
class Cell:
    """One cell of a source: `kind` is "markdown" or "code", `where` names it in error messages."""

    kind: str
    source: str
    metadata: dict
    where: str

    @property
    def tags(self) -> list[str]:
        return self.metadata.get("tags", [])

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax tree of a code cell. Raises LessonError if it is not plain Python."""
        try:
            return ast.parse(self.source)
        except SyntaxError as error:
            raise LessonError(
                f"{self.where}: this is not plain Python ({error}). Lessons are scripts without "
                "magics: no % or ! lines."
            ) from None

    def fail(self, why: str):
        """Raise LessonError(`why`) with this cell's place in front."""
        raise LessonError(f"{self.where}: {why}")


@dataclass
class Lesson:
    """A parsed source: `slug` 01_name, `key` 01, the text it came from and its cells."""

    slug: str
    text: str
    cells: list[Cell] = field(default_factory=list)

    @property
    def key(self) -> str:
        return self.slug.split("_")[0]

    @property
    def code(self) -> list[Cell]:
        return [cell for cell in self.cells if cell.kind == "code"]


def project(root: Path = ROOT) -> tuple[str, str]:
    """Return (repository address, version) from pyproject.toml, where each stands once."""
    table = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return table["urls"]["Repository"].removesuffix(".git").rstrip("/"), table["version"]


def find(places: Places, names: list[str] | None = None) -> list[Path]:
    """Return the sources of the lessons called `names` ("01", "01_slug" or a path), by default all, in order.

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
    """Parse the source at `path` and check the rules that concern one cell or the order of cells.

    Raises LessonError with the place and the remedy at the first rule that is broken.
    """
    text = path.read_text(encoding="utf-8").replace("\r\n", "\n")
    if not SLUG.fullmatch(path.stem):
        raise LessonError(f"{path.name}: a lesson is called NN_slug.py (or A_slug.py), in lower case.")
    lesson = Lesson(path.stem, text)
    counts = {"markdown": 0, "code": 0}
    for node in jupytext.reads(text, fmt="py:percent").cells:
        if node.cell_type not in counts:
            raise LessonError(f"{path.name}: a {node.cell_type} cell; lessons hold markdown and code cells only.")
        counts[node.cell_type] += 1
        first = node.source.strip().split("\n")[0][:60]
        where = f"lessons/{path.name}, {node.cell_type} cell {counts[node.cell_type]} ({first!r})"
        metadata = {key: value for key, value in node.metadata.items() if key != "lines_to_next_cell"}
        lesson.cells.append(Cell(node.cell_type, node.source, metadata, where))
    _check(lesson)
    return lesson


def _check(lesson: Lesson) -> None:
    """Raise LessonError at the first cell that breaks a rule."""
    if not lesson.cells or lesson.cells[0].kind != "markdown":
        raise LessonError(f"lessons/{lesson.slug}.py: the first cell must be Markdown and hold the title.")
    title = TITLE.match(lesson.cells[0].source)
    if not title or title["key"] != lesson.key:
        lesson.cells[0].fail(f"a lesson opens with its title: `# {lesson.key} Title`.")
    for cell in lesson.cells:
        _check_metadata(cell)
        if not cell.source.strip():
            cell.fail("the cell is empty.")
        if cell.kind == "code":
            _check_code(cell)
    setup = [cell for cell in lesson.code if "setup" in cell.tags]
    if setup != lesson.code[:1]:
        raise LessonError(f'lessons/{lesson.slug}.py: exactly one cell, the first code cell, has tags=["setup"].')
    if not any(alias.name == "course_utils" for alias in imports(setup[0].tree)):
        setup[0].fail("the set-up cell must hold `import course_utils as cu`.")


def _check_metadata(cell: Cell) -> None:
    for tag in cell.tags:
        if tag in ("raises-exception", "nbval-raises-exception"):
            cell.fail(
                f"the tag {tag!r} is banned: nbval passes such a cell when nothing raises. "
                "Catch the error and print it."
            )
        if tag not in KNOWN_TAGS:
            cell.fail(f"unknown tag {tag!r}; known: {', '.join(sorted(KNOWN_TAGS))}.")
    if unknown := set(cell.metadata) - KNOWN_METADATA:
        cell.fail(f"unknown cell metadata {sorted(unknown)}; known: {sorted(KNOWN_METADATA)}.")
    if cell.tags and cell.kind != "code":
        cell.fail("only code cells carry tags.")


def _check_code(cell: Cell) -> None:
    lines = cell.source.count("\n") + 1
    if lines > MAX_CODE_LINES:
        cell.fail(f"{lines} lines; a code cell has at most {MAX_CODE_LINES}. Split it.")
    for word, why in BANNED_WORDS.items():
        if word in cell.source:
            cell.fail(f"{word} in code: {why}.")
    if any(alias.name.split(".")[0] == "ipywidgets" for alias in imports(cell.tree)):
        cell.fail(
            "a callback given to ipywidgets directly is never run by the tests: use cu.explore, cu.scrub, "
            "cu.plane, cu.stepper or cu.quiz, or add what is missing to course_utils/widgets.py."
        )


def imports(tree: ast.Module) -> list[ast.alias]:
    """Return everything `tree` imports, as aliases whose name is the full dotted name ("torch.nn.functional")."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += node.names
        elif isinstance(node, ast.ImportFrom):
            found += [ast.alias(f"{node.module}.{alias.name}", alias.asname) for alias in node.names]
    return found
