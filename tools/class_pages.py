"""Keep the lecturer's pages in step with the course: `python tasks.py pages`.

    python tasks.py pages                       gather the questions of every run sheet in teaching/README.md,
                                                and link lessons that are no longer to come there and in the plans
                                                of assessment/README.md
    python tasks.py pages papers --to DIR       write the students' list of papers, without the gaps

Nothing is written twice: the questions stand in the run sheets, the gaps in assessment/papers.md. The tests
fail where a page has fallen behind, and name the command.
"""

import argparse
import re
import sys
from dataclasses import dataclass
from pathlib import Path

if not __package__:  # run as a script: make `tools` importable
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

ROOT = Path(__file__).resolve().parents[1]
SHEETS, PLANS = Path("teaching", "README.md"), Path("assessment", "README.md")
PAPERS = Path("assessment", "papers.md")
BEGIN, END = "<!-- questions:begin -->", "<!-- questions:end -->"

TITLE = re.compile(r"# Run sheet: (?:\d+b? )?(.+)")
QUESTION = re.compile(r"\d+\. \*[\"“](.+?)[\"”]\*")
POLL = re.compile(r"^\*\*Poll (\w+)\*\* \([^)]*\)\. (.+)$", re.MULTILINE)
TO_COME = re.compile(r"\*\*(\w+)\*\* ([^()|]+?) \(to come; until then (?:[^()|]|\([^()|]*\))+\)")
PLANNED = re.compile(r"lesson (\d+b?) \(to come\)")
GAP = re.compile(r"^- \*\*The gap\.\*\*.*\n", re.MULTILINE)
FOR_LECTURERS = re.compile(r"^\*\*For the lecturer\.\*\*.*?\n\n", re.MULTILINE | re.DOTALL)
LINKED_NUMBERS = re.compile(r" A number that links to a card or to a notebook was measured there\.")
LINK = re.compile(r"\[([^\]]+)\]\([^)]*\)")


@dataclass(frozen=True)
class Sheet:
    """What a run sheet asks: its number and title, questions to discuss, and the stems of its polls."""

    path: Path
    number: str
    title: str
    questions: tuple[str, ...]
    polls: tuple[tuple[str, str], ...]  # (name, stem)


def read_sheet(path: Path) -> Sheet:
    """Return what the run sheet at `path` asks. Raises ValueError if it has no title of a run sheet."""
    text = path.read_text(encoding="utf-8")
    title = TITLE.match(text)
    if not title:
        raise ValueError(f"{path.name}:1: begin with `# Run sheet: NN Title`, as the other run sheets do.")
    sections = dict(re.findall(r"^## (.+)\n([\s\S]*?)(?=^## |\Z)", text, re.MULTILINE))
    questions = QUESTION.findall(sections.get("Discuss", ""))
    number = path.stem.split("_")[0]
    return Sheet(path, number, title[1].strip(), tuple(questions), tuple(POLL.findall(text)))


def sheets(root: Path = ROOT) -> list[Sheet]:
    """Return every run sheet in the order of the lessons."""
    paths = sorted((root / SHEETS).parent.glob("*.md"))
    return [read_sheet(path) for path in paths if path.name != SHEETS.name]


def questions_page(found: list[Sheet]) -> str:
    """Return the Markdown between the two marks of teaching/README.md."""
    lines = []
    for sheet in found:
        lines += [f"### {sheet.number} · [{sheet.title}]({sheet.path.name})", ""]
        lines += [f"- {question}" for question in sheet.questions]
        lines += [f"- *Poll {name}.* {stem}" for name, stem in sheet.polls]
        lines += ["" if sheet.questions or sheet.polls else "This sheet asks nothing.\n"]
    return "\n".join(lines)


def between_marks(page: str, text: str) -> str:
    """Return `page` with `text` between the two marks. Raises ValueError if they are not there once each."""
    if page.count(BEGIN) != 1 or page.count(END) != 1:
        raise ValueError(
            f"{SHEETS}: keep the lines {BEGIN} and {END}, once each; the questions stand between."
        )
    before, rest = page.split(BEGIN)
    return f"{before}{BEGIN}\n{text}{END}{rest.split(END)[1]}"


def with_lessons_that_came(page: str, found: list[Sheet]) -> str:
    """Return the page with a link to the run sheet where it calls a lesson `to come` that exists."""
    names = {sheet.number: sheet.path.name for sheet in found}

    def named(match: re.Match) -> str:
        return f"[lesson {match[1]}](../teaching/{names[match[1]]})" if match[1] in names else match[0]

    def linked(match: re.Match) -> str:
        number, title = match.groups()
        return f"[{number}](../teaching/{names[number]}) {title}" if number in names else match[0]

    return PLANNED.sub(named, TO_COME.sub(linked, page))


def pages(root: Path = ROOT) -> dict[Path, str]:
    """Return the pages as they should be: path → text."""
    found = sheets(root)
    teaching, plans = (root / name for name in (SHEETS, PLANS))
    gathered = between_marks(teaching.read_text(encoding="utf-8"), questions_page(found))
    wanted = {teaching: gathered, plans: plans.read_text(encoding="utf-8")}
    return {path: with_lessons_that_came(text, found) for path, text in wanted.items()}


def students_list(text: str) -> str:
    """Return assessment/papers.md without the gaps, the note for lecturers, and links that lead out of DIR."""
    text = LINK.sub(r"\1", LINKED_NUMBERS.sub("", FOR_LECTURERS.sub("", GAP.sub("", text))))
    text = text.replace(", and the gap that a sharp\nreader should find", "")
    return text.replace("two questions to begin with, what", "two questions to begin with, and what")


def write_papers(folder: Path) -> Path:
    """Write papers.md and papers.html for students into `folder`; return the page. Ends with one line if one of
    them is there already."""
    source, page = folder / "papers.md", folder / "papers.html"
    for target in (source, page):
        if target.exists():
            sys.exit(f"class_pages.py: {target} is there already; name another folder, or move it away.")
    from tools import offline_page  # here: bringing the pages up to date does without

    text = students_list((ROOT / PAPERS).read_text(encoding="utf-8"))
    folder.mkdir(parents=True, exist_ok=True)
    source.write_text(text, encoding="utf-8")
    page.write_text(offline_page.page("Thirty papers", offline_page.markdown(text)), encoding="utf-8")
    return page


def main(arguments: list[str] | None = None) -> None:
    """Bring the pages up to date, or write the students' list of papers."""
    parser = argparse.ArgumentParser(prog="python tasks.py pages")
    parser.add_argument("what", nargs="?", choices=["papers"], help="write the students' list of papers")
    parser.add_argument("--to", type=Path, metavar="DIR", help="where the list goes")
    options = parser.parse_args(arguments)
    if (options.what is None) != (options.to is None):
        sys.exit("class_pages.py: the list of papers needs a folder: python tasks.py pages papers --to DIR")
    if options.what:
        print(f"Wrote {write_papers(options.to)}")
        return
    try:
        wanted = pages()
    except ValueError as error:
        sys.exit(f"class_pages.py: {error}")
    for path, text in wanted.items():
        name = path.relative_to(ROOT)
        if path.read_text(encoding="utf-8") == text:
            print(f"{name} is up to date")
        else:
            path.write_text(text, encoding="utf-8")
            print(f"{name} brought up to date")


if __name__ == "__main__":
    main()
