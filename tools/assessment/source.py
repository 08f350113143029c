"""Read an assignment's source: jupytext's py:percent, with the parts that are graded marked on their cells.

    # %% answer="4a"                         code: the stub, whose solution stands between the usual markers
    # %% tests="4a" points=2                 code: locked; what is hidden stands between ### BEGIN HIDDEN TESTS
                                             and ### END HIDDEN TESTS, nbgrader's own markers
    # %% [markdown] written="4d" points=5    a free answer, marked by hand; its model answer between the markers
    # %% tags=["variant"]                    the first cell: the numbers; in no notebook
    # %% choice="10"                         only where the instructor has chosen lesson 10

A part is announced in the prose by `**4a (programming, 5 points, 25 minutes).**`, a problem by a heading
`## Problem 4 · …`. What is announced must be what the cells give.
"""

import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import jupytext

from tools.assessment.variant import Variant, filled, numbers

KINDS = ("conceptual", "mathematical", "programming")
LABEL = re.compile(
    r"\*\*(?P<part>\d[a-z]) \((?P<kind>\w+), (?P<points>\d+) points?, (?P<minutes>\d+) minutes\)\.\*\*"
)
HEADING = re.compile(r"## Problem (?P<number>\d) · (?P<title>.+)")
ROLES = ("answer", "tests", "written")


class AssignmentError(ValueError):
    """A source that breaks a rule, or a choice that it does not offer; the message says what to do."""


@dataclass
class Cell:
    """One cell, with the variant's numbers in it. `role` is "answer", "tests", "written" or empty, `part` the
    part that it belongs to, `points` what it gives."""

    kind: str
    source: str
    tags: list[str] = field(default_factory=list)
    role: str = ""
    part: str = ""
    points: int = 0


@dataclass
class Part:
    """A part of a problem, as it is announced."""

    name: str
    kind: str
    points: int
    minutes: int


@dataclass
class Assignment:
    """An assignment in one variant: `name` ("assignment_1"), its numbers `v`, `cells`, `parts`, and the titles
    of its problems by number."""

    name: str
    v: Variant
    cells: list[Cell]
    parts: dict[str, Part] = field(default_factory=dict)
    titles: dict[int, str] = field(default_factory=dict)

    def of(self, part: str, role: str = "") -> list[Cell]:
        """Return the cells of a part, those of one role if it is given."""
        return [cell for cell in self.cells if cell.part == part and role in ("", cell.role)]

    @property
    def programming(self) -> list[str]:
        """The parts whose answer is a program."""
        return [name for name, part in self.parts.items() if part.kind == "programming"]


@cache
def _nodes(text: str) -> list:
    """The cells of a source, as jupytext reads them; nobody changes them."""
    return jupytext.reads(text, fmt="py:percent").cells


def choices(path: Path) -> list[str]:
    """Return the lessons among which an instructor chooses for the last problem, in order; often none."""
    nodes = _nodes(path.read_text(encoding="utf-8"))
    return sorted({node.metadata["choice"] for node in nodes if "choice" in node.metadata})


def read(path: Path, variant: int, choice: str | None = None) -> Assignment:
    """Read the source at `path` in a variant. Raises VariantError and AssignmentError."""
    nodes = _nodes(path.read_text(encoding="utf-8"))
    if not nodes or "variant" not in nodes[0].metadata.get("tags", []):
        raise AssignmentError(f'{path.name}: the first cell makes the numbers and has tags=["variant"].')
    v = numbers(nodes[0].source, variant)
    offered = choices(path)
    if offered:
        v.lesson = chosen(path, choice, offered)
    elif choice:
        raise AssignmentError(f"{path.stem} has no problem to choose: leave --lesson out.")
    found = Assignment(path.stem, v, [])
    for node in nodes[1:]:
        if node.metadata.get("choice", getattr(v, "lesson", "")) != getattr(v, "lesson", ""):
            continue
        found.cells.append(_cell(node, v))
    _announced(found)
    _check(found)
    return found


def chosen(path: Path, choice: str | None, offered: list[str]) -> str:
    """Return the lesson chosen for the last problem, by default the middle one."""
    choice = choice or offered[len(offered) // 2]
    if choice not in offered:
        raise AssignmentError(
            f"the last problem of {path.stem} is about lesson {' or '.join(offered)}, not {choice!r}: "
            f"choose with --lesson {offered[0]}."
        )
    return choice


def _cell(node, v: Variant) -> Cell:
    """One cell of the source in a variant."""
    role = next((role for role in ROLES if role in node.metadata), "")
    source = filled(node.source.strip("\n"), v, code=node.cell_type == "code")
    tags = list(node.metadata.get("tags", []))
    part = str(node.metadata.get(role, ""))
    return Cell(node.cell_type, source, tags, role, part, int(node.metadata.get("points", 0)))


def _announced(found: Assignment) -> None:
    """Read headings and labels, and give every cell the part in which it stands."""
    part = ""
    for cell in found.cells:
        if cell.kind == "markdown" and not cell.role:
            for heading in HEADING.finditer(cell.source):
                found.titles[int(heading["number"])] = heading["title"]
                part = ""
            for label in LABEL.finditer(cell.source):
                part = label["part"]
                found.parts[part] = Part(part, label["kind"], int(label["points"]), int(label["minutes"]))
        if not cell.role:
            cell.part = part


def _check(found: Assignment) -> None:
    """Refuse parts whose cells give other points than announced, kinds that do not exist, lost cells."""
    for name, part in found.parts.items():
        cells = [cell for cell in found.cells if cell.part == name]
        given = sum(cell.points for cell in cells if cell.role in ("tests", "written"))
        if given != part.points:
            raise AssignmentError(
                f"{found.name}, part {name}: {part.points} points announced, {given} given."
            )
        if part.kind not in KINDS:
            raise AssignmentError(f"{found.name}, part {name}: {part.kind} is none of {', '.join(KINDS)}.")
    for cell in found.cells:
        if cell.role and cell.part not in found.parts:
            raise AssignmentError(f"{found.name}: no part {cell.part} is announced before its cells.")
