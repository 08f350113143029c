"""Hand out an assignment, grade it with nbgrader, and print the marks.

    python tasks.py assignment 1 --variant 7 --to DIR     source/ and release/ in DIR, an nbgrader class folder
    python tasks.py nbgrader DIR WORD …                   nbgrader's own words in DIR; `lab` opens JupyterLab there
    python tasks.py marks DIR 1                           the mark sheet, printed and written to DIR

DIR is new or empty for the first assignment; the second one goes into the same folder, with the same gradebook.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

if not __package__:  # run as a script: make `tools` and `course_utils` importable
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools.assessment import book, marks, source
from tools.assessment.variant import VARIANTS, VariantError
from tools.builder.lesson import ROOT

SOURCES = ROOT / "assessment"
CONFIG = "nbgrader_config.py"
COPIED = {CONFIG: "nbgrader_config.py", "steady.py": "guard.py", "handed_in.py": "handed_in.py"}
"""Files of a class folder, and what they are copied from in tools/assessment/."""


class Refused(Exception):
    """What cannot be done, and what to do instead."""


def sources() -> list[Path]:
    """The sources of the assignments, in order."""
    return sorted(SOURCES.glob("assignment_[0-9].py"))


def source_of(number: str) -> Path:
    """Return the source of assignment `number`. Raises Refused if there is none."""
    found = [path for path in sources() if path.stem == f"assignment_{number}"]
    if not found:
        numbers = " and ".join(path.stem.removeprefix("assignment_") for path in sources())
        raise Refused(f"there is no assignment {number!r}; there are {numbers}.")
    return found[0]


def need_nbgrader() -> None:
    """Raise Refused where nbgrader is not installed; let it find the programs that it calls by name (alembic),
    also where the environment is not activated."""
    if find_spec("nbgrader") is None:
        raise Refused('nbgrader is missing: install the extra `teach`, pip install -e ".[teach]".')
    beside = str(Path(sys.executable).parent)
    path = os.environ.get("PATH", "").split(os.pathsep)
    if beside not in path:
        os.environ["PATH"] = os.pathsep.join([beside, *path])


def check_folder(folder: Path, name: str) -> None:
    """Raise Refused unless `folder` is new, empty, or a class folder without this assignment."""
    if folder.exists() and not folder.is_dir():
        raise Refused(f"{folder} is a file; name a folder with --to.")
    if not folder.is_dir() or not any(folder.iterdir()):
        return
    if not all((folder / copied).is_file() for copied in COPIED):
        raise Refused(f"{folder} is not empty and no class folder; name a new folder with --to.")
    kept = [part for part in ("source", "release", "submitted") if (folder / part / name).exists()]
    if kept:
        raise Refused(f"{folder / kept[0] / name} exists; move it away, or name another folder with --to.")


def hand_out(number: str, variant: int, folder: Path, lesson: str | None) -> Path:
    """Write the instructor's version to `folder`/source and the student's to `folder`/release.

    Returns the student's folder. Raises Refused, VariantError and AssignmentError, and leaves nothing half done.
    """
    path = source_of(number)
    need_nbgrader()
    check_folder(folder, path.stem)
    assignment = source.read(path, variant, lesson)
    new = [part for part in (folder / "source", folder / "release", folder) if not part.exists()]
    inside = folder / "source" / path.stem
    try:
        inside.mkdir(parents=True)
        for name, file in COPIED.items():
            if not (folder / name).exists():
                shutil.copyfile(Path(__file__).parent / "assessment" / file, folder / name)
        (folder / f"{path.stem}.txt").write_text(about(assignment), encoding="utf-8")
        text = book.nbformat.writes(book.assemble(assignment, ROOT)) + "\n"
        (inside / f"{path.stem}.ipynb").write_text(text, encoding="utf-8")
        if hasattr(assignment.v, "families"):
            from tools.assessment import sets  # here: it loads torch, which most of this does without

            sets.write(assignment.v, inside)
        release(folder, path.stem)
    except BaseException:
        for part in (inside, folder / "release" / path.stem, *new):
            shutil.rmtree(part, ignore_errors=True)
        (folder / f"{path.stem}.txt").unlink(missing_ok=True)
        raise
    return folder / "release" / path.stem


def about(assignment: source.Assignment) -> str:
    """What the class folder remembers and the students are not told: which variant this is."""
    lesson = getattr(assignment.v, "lesson", "")
    return f"variant {assignment.v.number}" + (f", lesson {lesson}" if lesson else "") + "\n"


def release(folder: Path, name: str) -> None:
    """Let nbgrader make the student's version and enter the assignment into the gradebook."""
    command = [sys.executable, "-m", "nbgrader", "generate_assignment", name]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise Refused(
            f"nbgrader could not make the student's version:\n{(done.stdout + done.stderr)[-2_000:]}"
        )


def assignment(arguments: list[str]) -> int:
    """`tasks.py assignment`: hand out."""
    parser = argparse.ArgumentParser(prog="tasks.py assignment", description=__doc__.splitlines()[0])
    parser.add_argument("number", help="1 or 2")
    parser.add_argument("--variant", required=True, help=f"0 to {VARIANTS - 1}; another one each year")
    parser.add_argument("--to", required=True, type=Path, metavar="DIR", help="the class folder")
    parser.add_argument("--lesson", help="assignment 2: the lesson that its last problem is about")
    given = parser.parse_args(arguments)
    student = hand_out(given.number, given.variant, given.to, given.lesson)
    name = student.name
    print(f"For students:  {student}\nFor you:       {given.to / 'source' / name}")
    print(f"Put the notebooks that they send into  {given.to / 'downloaded' / name / 'archive'}")
    print(f"then  python tasks.py nbgrader {given.to} zip_collect {name}")
    print(f"      python tasks.py nbgrader {given.to} autograde {name}")
    print(f"      python tasks.py marks {given.to} {given.number}")
    return 0


def nbgrader(arguments: list[str]) -> int:
    """`tasks.py nbgrader`: nbgrader's own words, in the class folder, with the course's Python."""
    if len(arguments) < 2:
        raise Refused(
            "say where and what, for example `python tasks.py nbgrader DIR autograde assignment_1`."
        )
    folder, word, *rest = arguments
    if not (Path(folder) / CONFIG).is_file():
        raise Refused(
            f"{folder} is no class folder: `python tasks.py assignment 1 --variant 7 --to DIR` makes one."
        )
    need_nbgrader()
    word = ["jupyterlab", *as_root(), *rest] if word == "lab" else ["nbgrader", word, *rest]
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    variables = {**os.environ, "PYTHONPATH": path}
    return subprocess.run([sys.executable, "-m", *word], cwd=folder, env=variables).returncode


def as_root() -> list[str]:
    """What JupyterLab wants to be told where the user is root, as in a container."""
    return ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []


def show_marks(arguments: list[str]) -> int:
    """`tasks.py marks`: print the mark sheet, and write it beside the gradebook."""
    if len(arguments) != 2 or not re.fullmatch(r"\d", arguments[1]):
        raise Refused("say where and which, for example `python tasks.py marks DIR 1`.")
    folder, name = Path(arguments[0]), f"assignment_{arguments[1]}"
    need_nbgrader()
    heads, rows = marks.sheet(folder, name)
    print(marks.text(heads, rows))
    if any(row[heads.index("by hand")] for row in rows):
        print(
            "by hand: answers that wait for a mark, and count 0 so far; `python tasks.py nbgrader DIR lab`, menu "
            "Nbgrader, Formgrader."
        )
    if remarks := marks.remarks(folder, name):
        print("\nTo know:\n" + "\n".join(f"  {line}" for line in remarks))
    marks.write(folder / f"marks_{name}.csv", heads, rows)
    return 0


WORDS = {"assignment": assignment, "nbgrader": nbgrader, "marks": show_marks}


def main(argv: list[str]) -> int:
    """Dispatch on the first word; bad input ends with one line that says what to do."""
    if not argv or argv[0] not in WORDS:
        print(__doc__)
        return 2
    try:
        return WORDS[argv[0]](argv[1:])
    except (Refused, VariantError, source.AssignmentError, LookupError) as error:
        print(f"tasks.py {argv[0]}: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
