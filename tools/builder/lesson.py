"""What the builder works on: places, a lesson and its cells, and findings that say where, what and what to
do."""

import ast
import tomllib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tools.builder.exercises import Exercise

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Places:
    """Where lessons are read and what is built from them is written; tests point these at other folders."""

    root: Path = ROOT

    @property
    def lessons(self) -> Path:
        """The sources."""
        return self.root / "lessons"

    @property
    def notebooks(self) -> Path:
        """What readers open."""
        return self.root / "notebooks"

    @property
    def references(self) -> Path:
        """The generated modules with the reference functions of exercises."""
        return self.root / "course_utils" / "checks" / "references"

    @property
    def taught(self) -> Path:
        """The generated modules with what lessons share with later ones."""
        return self.root / "course_utils" / "lessons"

    def notebook(self, lesson: "Lesson") -> Path:
        """Return the path of the notebook that `lesson` is built into."""
        return self.notebooks / f"{lesson.slug}.ipynb"

    def reference(self, lesson: "Lesson") -> Path:
        """Return the path of the module that holds the reference functions of `lesson`."""
        return self.references / f"ref_{lesson.key}.py"

    def shared(self, lesson: "Lesson") -> Path:
        """Return the path of the module that holds what `lesson` shares."""
        return self.taught / f"lesson_{lesson.key}.py"


@dataclass(frozen=True, order=True)
class Finding:
    """One broken rule: the lesson's slug, the line in its source, the rule's name, what is wrong, the
    remedy."""

    slug: str
    line: int
    rule: str
    what: str
    remedy: str = ""

    def __str__(self) -> str:
        remedy = f" – {self.remedy}" if self.remedy else ""
        return f"lessons/{self.slug}.py:{self.line}: {self.what}{remedy}"


class LessonError(Exception):
    """A lesson breaks rules: `findings` lists all of them, the message is one line for each."""

    def __init__(self, problem: "str | list[Finding]"):
        self.findings = [] if isinstance(problem, str) else sorted(problem)
        super().__init__(problem if isinstance(problem, str) else "\n".join(map(str, self.findings)))


@dataclass
class Cell:
    """One cell of a source: `kind` is "markdown" or "code"; `head` and `first` are the lines of its marker
    and of the first line of `source` in the file (from 1)."""

    kind: str
    source: str
    metadata: dict
    slug: str
    head: int
    first: int
    deeper: bool = False  # stands in a section whose heading says *(deeper)*
    section: str = ""  # the heading of that section, without signs

    @property
    def tags(self) -> list[str]:
        return self.metadata.get("tags", [])

    @property
    def visible(self) -> bool:
        """Whether readers see the code of this cell unfolded."""
        return self.kind == "code" and not {"figure", "author"} & set(self.tags)

    @property
    def built(self) -> bool:
        """Whether this cell goes into the notebook."""
        return "author" not in self.tags

    @property
    def lines(self) -> list[str]:
        return self.source.rstrip().split("\n")

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax tree of a code cell. Raises LessonError if it is not plain Python."""
        try:
            return ast.parse(self.source)
        except SyntaxError as error:
            remedy = "lessons are scripts without magics: no % or ! lines"
            what = f"this is not plain Python ({error.msg})"
            raise LessonError([self.finding("python", what, remedy, (error.lineno or 1) - 1)]) from None

    def finding(self, rule: str, what: str, remedy: str = "", row: int | None = None) -> Finding:
        """Return a finding at row `row` (from 0) of this cell's source, by default at its marker."""
        line = self.head if row is None else self.first + row
        return Finding(self.slug, line, rule, what, remedy)


@dataclass
class Lesson:
    """A parsed source: `slug` 01_name, `key` 01 (a sequel's: 01b), its text, its cells and its exercises."""

    slug: str
    text: str
    cells: list[Cell] = field(default_factory=list)
    exercises: "list[Exercise]" = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)  # what old_places.json lets pass for now

    @property
    def key(self) -> str:
        return self.slug.split("_")[0]

    @property
    def code(self) -> list[Cell]:
        """Every code cell of the source."""
        return [cell for cell in self.cells if cell.kind == "code"]

    @property
    def built(self) -> list[Cell]:
        """The code cells of the notebook, without the author's."""
        return [cell for cell in self.code if cell.built]


def project(root: Path = ROOT) -> tuple[str, str]:
    """Return (repository address, version) from pyproject.toml, where each stands once."""
    table = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return table["urls"]["Repository"].removesuffix(".git").rstrip("/"), table["version"]
