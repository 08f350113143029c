"""The mark sheet of an assignment: one row a student, one column a problem, read from nbgrader's gradebook.

What came late stands in `late.csv` of the class folder, a line each: `assignment_1,ada,2` for two days begun.
"""

import csv
import re
from datetime import UTC, datetime
from pathlib import Path

PROBLEM = re.compile(r"p(\d)[a-z]_")
LATE = "late.csv"
PER_DAY, MOST_DAYS = 0.1, 3
"""What a day begun costs, as a share of the points, and how many days there are."""


def sheet(folder: Path, name: str) -> tuple[list[str], list[list]]:
    """Return the heads and rows of the mark sheet of assignment `name` in a class folder.

    A column a problem with its most points, the sum, and how many answers still wait to be marked by hand; with a
    `late.csv` the days late and the mark after them. Raises LookupError that says what to do if nothing has been
    graded, or if `late.csv` names nobody.
    """
    database = folder / "gradebook.db"
    if not database.is_file():
        raise LookupError(
            f"{folder} holds no gradebook.db: is it a class folder? `tasks.py assignment` makes one."
        )
    from nbgrader.api import Gradebook, MissingEntry

    with Gradebook(f"sqlite:///{database}") as book:
        try:
            assignment = book.find_assignment(name)
        except MissingEntry:
            raise LookupError(f"{name} is not in this class: `python tasks.py assignment` adds it.") from None
        most = {}
        for notebook in assignment.notebooks:
            for cell in notebook.grade_cells:
                problem = _problem(cell.name)
                most[problem] = most.get(problem, 0) + cell.max_score
        graded = [
            sent for sent in assignment.submissions if _notebook(folder, name, sent.student.id).is_file()
        ]
        rows = [_row(submission, sorted(most)) for submission in graded]
    if not rows:
        raise LookupError(f"nothing of {name} has been graded yet: run `nbgrader autograde {name}` first.")
    heads = ["student", *(f"{problem} ({most[problem]:g})" for problem in sorted(most))]
    heads += [f"sum ({sum(most.values()):g})", "by hand"]
    if days := late(folder, name, [row[0] for row in rows]):
        heads += ["days late", "mark"]
        for row in rows:
            n = days.get(row[0], 0)
            row += [n, row[-2] * (1 - PER_DAY * n)]
    return heads, sorted(rows, key=lambda row: str(row[0]))


def late(folder: Path, name: str, students: list[str]) -> dict[str, int]:
    """Return {student: days late} of an assignment. Raises LookupError for a line that cannot be meant."""
    path, found = folder / LATE, {}
    if not path.is_file():
        return found
    with path.open(newline="", encoding="utf-8-sig") as file:
        for line in filter(None, csv.reader(file)):
            if line[0].strip() != name:
                continue
            _, student, days = (part.strip() for part in (*line, "", "")[:3])
            if student not in students or not days.isdigit() or int(days) > MOST_DAYS:
                raise LookupError(
                    f"{path}: the line {','.join(line)!r} should read {name},STUDENT,DAYS with a student of the "
                    f"sheet ({', '.join(students[:3])}, …) and 0 to {MOST_DAYS} days."
                )
            found[student] = int(days)
    return found


def _notebook(folder: Path, name: str, student: str) -> Path:
    """The graded notebook of a student; where it is missing, nothing was graded."""
    return folder / "autograded" / student / name / f"{name}.ipynb"


def remarks(folder: Path, name: str) -> list[str]:
    """Return what a lecturer should know beside the marks, a line each: what is not collected or not graded, what
    came again, and what happened to single notebooks."""
    lines, sent = [], _sent(folder / "downloaded" / name)
    for student in sorted(
        {*sent, *(p.name for p in (folder / "submitted").glob("*") if (p / name).is_dir())}
    ):
        where = _notebook(folder, name, student)
        if not where.is_file():
            lines.append(f"{student or 'a file without a name'}: handed in, not graded")
        elif (
            max(sent.get(student, 0.0), _when(folder / "submitted" / student / name))
            > _when(where.parent) + 1
        ):
            lines.append(f"{student}: handed in again, not graded again")
    for path in sorted((folder / "notes" / name).glob("*.txt")):
        lines += [f"{path.stem}: {line}" for line in path.read_text(encoding="utf-8").splitlines()]
    return lines


def _sent(folder: Path) -> dict[str, float]:
    """{student: time of the newest file}, 0 for what came in a zip, whose files have the time of their copying."""
    from tools.assessment.handed_in import is_hidden, student_of

    found = {}
    for part in ("archive", "extracted"):
        for path in (folder / part).rglob("*"):
            inside = path.relative_to(folder / part)
            if path.is_file() and path.suffix != ".zip" and not is_hidden(inside):
                time = path.stat().st_mtime if part == "archive" else 0.0
                found[student_of(inside)] = max(found.get(student_of(inside), 0.0), time)
    return found


def _when(folder: Path) -> float:
    """The time of what was handed in, as nbgrader keeps it beside a notebook; 0 if it keeps none."""
    path = folder / "timestamp.txt"
    if not path.is_file():
        return 0.0
    return datetime.fromisoformat(path.read_text().strip()).replace(tzinfo=UTC).timestamp()


def _problem(cell: str) -> str:
    """The number of the problem to which a graded cell belongs."""
    found = PROBLEM.match(cell)
    return found[1] if found else "other"


def _row(submission, problems: list[str]) -> list:
    """One student's row."""
    points, waiting = dict.fromkeys(problems, 0.0), 0
    for notebook in submission.notebooks:
        for grade in notebook.grades:
            points[_problem(grade.name)] += grade.score or 0.0
            waiting += bool(grade.needs_manual_grade)
    return [submission.student.id, *points.values(), sum(points.values()), waiting]


def text(heads: list[str], rows: list[list]) -> str:
    """The sheet as aligned text, with the means below."""
    name = "mean so far" if any(row[heads.index("by hand")] for row in rows) else "mean"
    means = [name, *(sum(row[i] for row in rows) / len(rows) for i in range(1, len(heads)))]
    lines = [heads, *([_said(value) for value in row] for row in [*rows, means])]
    widths = [max(len(line[i]) for line in lines) for i in range(len(heads))]
    lines = ["  ".join(part.rjust(w) if i else part.ljust(w) for i, (part, w) in enumerate(zip(line, widths)))
             for line in lines]  # fmt: skip
    rule = "-" * len(lines[0])
    return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1]])


def _said(value) -> str:
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)


def write(path: Path, heads: list[str], rows: list[list]) -> None:
    """Write the sheet as CSV."""
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([heads, *rows])
