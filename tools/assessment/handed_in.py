"""What students hand in, collected and made gradable: nbgrader's `Collector` and `Restore`, for nbgrader_config.py.

`Collector` takes a file under whatever name it came, reads the student's name from it, and passes over what is no
notebook. `Restore` puts every locked cell and test back in its place, and brings written answers that stand in a
cell of the student's own to the cell that is marked. Both say in notes/ what they did; the mark sheet shows it.

`python tasks.py assignment` copies this file into the class folder; it needs nothing of the course.
"""

import itertools
import re
from datetime import UTC, datetime
from pathlib import Path

import nbformat
from nbgrader.plugins import FileNameCollectorPlugin
from nbgrader.preprocessors import NbGraderPreprocessor, OverwriteCells

CLASS = Path(__file__).resolve().parent
STUB = "*Your answer.*"
"""What stands in the cell of a written answer when it is handed out."""
FOLDERS = {"", "notebooks", "release"}
"""Folders in a student's zip that are nobody's name."""
MARK = re.compile(r"[\W_]*(?:\d+_assignsubmission_\w+|assignment_\d).*", re.IGNORECASE)


def is_hidden(inside: Path) -> bool:
    """Whether a file is one that nobody handed in on purpose: checkpoints of Jupyter, shadows of macOS."""
    return any(part.startswith(".") or part == "__MACOSX" for part in inside.parts)


def student_of(inside: Path) -> str:
    """Return the student's name in a file's path below the archive, or "".

    It is what stands before `assignment_1` (or before a learning platform's number): of the file if anything does,
    else of the nearest folder.
    """
    for part in (inside.stem, *(parent.name for parent in inside.parents)):
        name = MARK.sub("", part).strip()
        if name.lower() not in FOLDERS:
            return name
    return ""


def readable(path: Path) -> bool:
    """Whether a file is a notebook."""
    try:
        nbformat.validate(nbformat.read(path, as_version=4))
    except Exception:  # whatever it is, it cannot be graded
        return False
    return True


def note(names: dict, text: str, new: bool = False) -> None:
    """Write down what happened to a student's notebook; `new` forgets what was noted before."""
    path = CLASS / "notes" / names["assignment"] / f"{names['student']}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w" if new else "a", encoding="utf-8") as file:
        file.write(text + "\n" if text else "")


class Collector(FileNameCollectorPlugin):
    """Take every notebook below the archive as its student's, with the time of the file; the newest counts."""

    def collect(self, submitted_file: str) -> dict | None:
        """Return student, notebook and time of a collected file, or None for one that is passed over."""
        path = Path(submitted_file)
        parts = path.parts
        at = len(parts) - 1 - parts[::-1].index("extracted")
        inside, assignment = Path(*parts[at + 1 :]), parts[at - 1]
        student = student_of(inside)
        if path.suffix != ".ipynb" or not student or is_hidden(inside):
            return None
        if not readable(path):
            self.log.error("%s is no notebook: ask %s for it again.", inside, student)
            return None
        sent = Path(*parts[:at], "archive", inside)  # the file as it came; in a zip, the zip
        while not sent.exists() and not sent.with_name(f"{sent.name}.zip").exists():
            sent = sent.parent
        sent = sent if sent.exists() else sent.with_name(f"{sent.name}.zip")
        when = datetime.fromtimestamp(sent.stat().st_mtime, UTC).replace(tzinfo=None, microsecond=0)
        return {"student_id": student, "file_id": assignment, "timestamp": when}


class Restore(NbGraderPreprocessor):
    """Put the cells that were handed out back in their order: locked ones as they were, answers as they are.

    Cells that a student has added stay where they are. A second cell of the same name becomes an ordinary one.
    """

    def preprocess(self, nb, resources):
        """Return the notebook with all cells of the release in place."""
        names = resources["nbgrader"]
        note(names, "", new=True)
        release = CLASS / "release" / names["assignment"] / f"{names['notebook']}.ipynb"
        if not release.is_file():
            return nb, resources
        handed_out = nbformat.read(release, as_version=4).cells
        prose = {cell.source.strip() for cell in handed_out if not _name(cell)}
        wanted = [cell for cell in handed_out if _name(cell)]
        groups = self._groups(nb, {_name(cell): cell.cell_type for cell in wanted})
        above = cells = groups.pop("", [])
        put_back = []
        for original in wanted:
            own = groups.get(_name(original))
            locked = original.metadata.nbgrader.locked
            if own is None or (locked and own[0].source != original.source):
                put_back.append(_name(original))
            cell = original if own is None or locked else own[0]
            cell.metadata["nbgrader"] = original.metadata.nbgrader
            below = [] if own is None else own[1:]
            if original.metadata.nbgrader.grade and not locked and cell.source.strip() in (STUB, ""):
                near = [*_own(_after(above, _lead(handed_out, original)), prose), *_own(below, prose)]
                if near:
                    _bring(cell, near)
                    note(
                        names, f"{_name(cell)}: answered in a cell of the student's own, copied into this one"
                    )
            cells = [*cells, cell, *below]
            above = below
        if put_back:
            note(names, f"put back as handed out: {', '.join(put_back)}")
        nb.cells = cells
        return nb, resources

    @staticmethod
    def _groups(nb, kinds: dict) -> dict:
        """{name of a cell handed out: that cell and the student's own below it}; "" for those above all."""
        groups, current = {"": []}, ""
        for cell in nb.cells:
            name = _name(cell)
            if name in kinds and name not in groups and cell.cell_type == kinds[name]:
                current = name
                groups[current] = []
            else:
                cell.metadata.pop("nbgrader", None)
            groups[current].append(cell)
        return groups


class Overwrite(OverwriteCells):
    """nbgrader's own, without a warning for what is true of every honest notebook: tests get their hidden half."""

    def report_change(self, name, attr, old, new):
        """Say what has changed, unless it is the text of a test: `Restore` has put that back."""
        if attr != "checksum":
            super().report_change(name, attr, old, new)


def _lead(handed_out: list, original) -> str:
    """The text that asks for an answer: the last one before its cell."""
    at = next(i for i, cell in enumerate(handed_out) if cell is original)
    return next((c.source.strip() for c in reversed(handed_out[:at]) if not _name(c)), "")


def _after(cells: list, text: str) -> list:
    """The cells after the one with this text; none if it is not there."""
    found = [i for i, cell in enumerate(cells) if cell.source.strip() == text]
    return cells[found[-1] + 1 :] if found else []


def _own(cells: list, prose: set) -> list:
    """The student's own cells, up to the first text of the assignment: beyond it another answer begins."""
    mine = itertools.takewhile(lambda cell: cell.source.strip() not in prose, cells)
    return [cell for cell in mine if cell.source.strip() not in ("", STUB)]


def _bring(cell, near: list) -> None:
    """Copy what stands in a student's own cells into the cell that is marked: texts, pictures, code as code."""
    parts = [f"```python\n{c.source}\n```" if c.cell_type == "code" else c.source for c in near]
    cell.source = "\n\n".join(parts)
    pictures = {}
    for c in near:
        pictures |= c.get("attachments", {})
    if pictures:
        cell["attachments"] = pictures


def _name(cell) -> str:
    """The name by which nbgrader knows a cell, or ""."""
    found = cell.metadata.get("nbgrader", {})
    name = found.get("grade_id", "") if isinstance(found, dict) else ""
    return name if isinstance(name, str) and re.fullmatch(r"[\w-]+", name) else ""
