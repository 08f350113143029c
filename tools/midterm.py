"""Compose a mid-term from the bank in assessment/midterm:

    python tasks.py midterm --seed 3 --minutes 180 --to DIR

writes paper.ipynb and paper.html for the students, solution.ipynb and solution.html for the lecturer. The pages need
no network. The same seed and minutes give the same paper, as long as the bank is the same. `--lessons 00-04 05` takes
questions from these lessons only (a range includes the sequels), `--without 02.4 05.1` leaves questions out.
"""

import argparse
import sys
from pathlib import Path

if not __package__:  # run as a script: the root in place of tools/, which has an `assessment` of its own
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import nbformat

from tools.assessment import paper, sheets
from tools.assessment.bank import BankError, Question, read
from tools.builder.lesson import ROOT

BANK = ROOT / "assessment" / "midterm" / "bank"


def fail(message: str) -> None:
    """End with one line that says what to do."""
    sys.exit(f"tasks.py: {message}")


def asked(arguments: list[str]) -> argparse.Namespace:
    """Read the command line. Ends with one line for what cannot be."""
    parser = argparse.ArgumentParser(prog="tasks.py midterm", description="Compose a mid-term from the bank.")
    parser.add_argument("--seed", type=int, required=True, help="which paper, a whole number from 0")
    parser.add_argument("--minutes", type=int, default=180, help="how long the paper may take (default 180)")
    parser.add_argument("--to", type=Path, required=True, metavar="DIR", help="a new or empty folder")
    parser.add_argument("--lessons", nargs="+", default=[], metavar="NN", help="only these, as in 00-04 05")
    parser.add_argument("--without", nargs="+", default=[], metavar="NN.N", help="leave out these questions")
    found = parser.parse_args(arguments)
    if found.seed < 0:
        fail(f"--seed is a whole number from 0, not {found.seed}.")
    if not paper.LEAST <= found.minutes <= paper.MOST:
        fail(f"--minutes lies between {paper.LEAST} and {paper.MOST}, not {found.minutes}.")
    if found.to.exists() and (not found.to.is_dir() or any(found.to.iterdir())):
        fail(f"{found.to} is {'not empty' if found.to.is_dir() else 'a file'}; name a new folder with --to.")
    return found


def select(bank: list[Question], lessons: list[str], without: list[str]) -> list[Question]:
    """Return the questions of the named lessons (all if none is named), without those left out. Raises BankError."""
    have = sorted({question.lesson for question in bank})
    wanted = set()
    for word in lessons:
        first, dash, last = word.partition("-")
        inside = [name for name in have if first <= name <= f"{last}z"]
        part = inside if dash else [name for name in have if name == word]
        if not part:
            raise BankError(f"the bank has no lesson {word!r}; there are {', '.join(have)}.")
        wanted.update(part)
    names = {question.name for question in bank}
    if unknown := [name for name in without if name not in names]:
        raise BankError(f"the bank has no question {unknown[0]!r}; they are called 02.4, for example.")
    return [q for q in bank if (not lessons or q.lesson in wanted) and q.name not in without]


def write(exam: sheets.MidTerm, folder: Path) -> list[Path]:
    """Write the four files of a mid-term into `folder`, all or none; return their paths."""
    texts = {}
    for name, solution in (("paper", False), ("solution", True)):
        texts[f"{name}.ipynb"] = nbformat.writes(sheets.notebook(exam, solution)) + "\n"
        texts[f"{name}.html"] = sheets.page(exam, solution)
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")
    return [folder / name for name in texts]


def main(arguments: list[str]) -> int:
    """Compose, write, and say what was written."""
    options = asked(arguments)
    from assessment.midterm import figures  # draws: slow to import

    try:
        bank = select(read(BANK), options.lessons, options.without)
        exam = sheets.compose(bank, options.seed, options.minutes, figures.draw)
    except BankError as error:
        fail(str(error))
    made = write(exam, options.to)
    print(f"{exam.title}: {exam.about}.")
    for path in made:
        print(f"  {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
