"""Read the mid-term's bank: assessment/midterm/bank/NN.md, one file a lesson, into questions.

A question is a section of such a file:

    ## 02.4 · Title

    *kind · difficulty 1 · 7 minutes · lesson 02, section 4 · not with 02.5*

    What is asked. A program stands in one ```python fence, a figure in a line *Figure `name`: caption.*

    ### Answer

    The model answer; for a program the repair in a ```diff fence.

    ### Marking

    - 2 · what two points are for
"""

import re
from dataclasses import dataclass
from pathlib import Path

KINDS = ("concept", "derivation", "reading a figure", "debugging code")
HEAD = re.compile(
    r"\*(?P<kind>[a-z ]+) · difficulty (?P<difficulty>[123]) · (?P<minutes>\d+) minutes"
    r" · (?P<where>lessons? [^·*\n]+?)(?: · not with (?P<apart>[\w., ]+))?\*"
)
TITLE = re.compile(r"(?P<name>(?P<lesson>\d\d[a-z]?)\.\d) · (?P<title>\S.*)")
STEP = re.compile(r"- (\d) · (\S.*)")
PROGRAM = re.compile(r"^```python\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
REPAIR = re.compile(r"^```diff\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
HUNK = re.compile(r"((?:^-.*\n)+)((?:^\+.*\n)+)", re.MULTILINE)
FIGURE = re.compile(r"^\*Figure `(?P<name>\w+)`: (?P<caption>.+)\*$", re.MULTILINE)


class BankError(ValueError):
    """A question that the bank does not allow; the message names file and question and says what to do."""


@dataclass(frozen=True)
class Question:
    """One question with its model answer and its marking scheme, as Markdown."""

    name: str
    lesson: str
    title: str
    kind: str
    difficulty: int
    minutes: int
    where: str
    text: str
    answer: str
    marks: tuple[tuple[int, str], ...]
    apart: tuple[str, ...] = ()

    @property
    def program(self) -> str:
        """The program in the question, or nothing."""
        found = PROGRAM.search(self.text)
        return found[1] if found else ""

    @property
    def repaired(self) -> str:
        """The program after the repair of the model answer. Raises BankError if the repair does not fit."""
        code = self.program
        for old, new in HUNK.findall("".join(REPAIR.findall(self.answer))):
            before = re.sub(r"^-", "", old, flags=re.MULTILINE)
            if code.count(before) != 1:
                raise BankError(f"{self.name}: this part of the repair is not in the program once:\n{old}")
            code = code.replace(before, re.sub(r"^\+", "", new, flags=re.MULTILINE))
        return code

    @property
    def figures(self) -> list[tuple[str, str]]:
        """The figures in the question: (name, caption)."""
        return [(found["name"], found["caption"]) for found in FIGURE.finditer(self.text)]


def read(folder: Path) -> list[Question]:
    """Return all questions of the bank in `folder`, in the order of the lessons. Raises BankError."""
    questions = [question for path in sorted(folder.glob("*.md")) for question in _file(path)]
    if not questions:
        raise BankError(f"{folder} has no questions.")
    names = [question.name for question in questions]
    for question in questions:
        unknown = [name for name in question.apart if name not in names]
        if names.count(question.name) > 1 or unknown:
            what = f"is kept apart from {unknown[0]}, which does not exist" if unknown else "is there twice"
            raise BankError(f"{question.name} {what}.")
    return questions


def _file(path: Path) -> list[Question]:
    """The questions of one file."""
    _, *sections = re.split(r"^## ", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return [_question(section, path) for section in sections]


def _question(section: str, path: Path) -> Question:
    """Take one section apart."""
    title, _, rest = section.partition("\n")
    named = TITLE.fullmatch(title.strip())
    if not named or named["lesson"] != path.stem:
        raise BankError(f"{path.name}: a title reads “## {path.stem}.4 · Title”, not “## {title}”.")
    head, _, rest = rest.strip().partition("\n")
    found = HEAD.fullmatch(head.strip())
    if not found or found["kind"] not in KINDS:
        form = "*kind · difficulty 1 · 7 minutes · lesson 02, section 4*"
        raise BankError(
            f"{path.name}: below the title of {named['name']} stands {form}, not {head.strip()!r}."
        )
    text, answer, marking = _three(rest, named["name"])
    steps = tuple((int(points), what) for points, what in STEP.findall(marking))
    if not steps or len(steps) != marking.strip().count("\n") + 1 or 0 in (points for points, _ in steps):
        raise BankError(
            f"{named['name']}: each line of the marking scheme reads “- 2 · what the points are for”."
        )
    return Question(
        name=named["name"],
        lesson=named["lesson"],
        title=named["title"],
        kind=found["kind"],
        difficulty=int(found["difficulty"]),
        minutes=int(found["minutes"]),
        where=found["where"],
        text=text.strip() + "\n",
        answer=answer.strip() + "\n",
        marks=steps,
        apart=tuple((found["apart"] or "").replace(",", " ").split()),
    )


def _three(rest: str, name: str) -> list[str]:
    """Text, answer and marking scheme."""
    parts = re.split(r"^### (?:Answer|Marking)$", rest, flags=re.MULTILINE)
    order = re.findall(r"^### .*$", rest, flags=re.MULTILINE)
    if order != ["### Answer", "### Marking"]:
        raise BankError(f"{name} has the headings {order}; it needs ### Answer and then ### Marking.")
    return parts
