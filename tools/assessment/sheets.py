"""Write a composed mid-term as notebooks and as pages of one file: the paper, and its solution."""

import base64
import hashlib
import html
import re
from dataclasses import dataclass

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from tools import offline_page
from tools.assessment import paper as papers
from tools.assessment.bank import FIGURE, PROGRAM, Question

SHEET = """
header p { margin: 4px 0; }
.ask { border-top: 2px solid #d5e3ec; margin-top: 34px; }
.ask h2 { border-top: 0; margin: 14px 0 2px; }
.about { color: #555; font-size: 15px; margin: 0 0 12px; }
.line { display: inline-block; min-width: 15em; border-bottom: 1px solid #555; margin-right: 2em; }
.model { border-left: 4px solid #009E73; padding-left: 16px; margin: 16px 0; }
.model h3 { margin-top: 0; }
.marks td:first-child, .list td { font-variant-numeric: tabular-nums; }
.list td, .list th { border: 1px solid #999; text-align: center; min-width: 2.9em; padding: 4px 6px; }
.list th { text-align: left; }
@media print { pre { font-size: 8.5pt; } p { orphans: 3; widows: 3; }
  .ask h2, .about { break-after: avoid; } .ask ul, .ask ol, .marks { break-inside: avoid; } }
"""
READING = 20
"""One minute in so many is for reading the questions."""
RULES = (
    "Write on sheets of your own, or in the notebook. Show your steps: every one counts. Give numbers to three "
    "digits. You may use the course's notebooks and a computer, and run the programs in this paper; say what you "
    "used."
)


@dataclass(frozen=True)
class MidTerm:
    """A composed paper: its questions, their points, and the figures it needs, by name."""

    questions: list[Question]
    points: list[int]
    figures: dict
    seed: int
    minutes: int

    @property
    def title(self) -> str:
        """The title of the paper."""
        return "Mid-term: What I Cannot Create"

    @property
    def about(self) -> str:
        """One line about time and points."""
        planned = sum(question.minutes for question in self.questions)
        spare = f"{self.minutes} minutes, {self.minutes - planned} of them to read"
        return f"{len(self.questions)} questions · 100 points · {spare}"


def compose(bank: list[Question], seed: int, minutes: int, draw) -> MidTerm:
    """Choose a paper and draw its figures with `draw(name, caption)`, which returns a picture with `.png`."""
    chosen = papers.choose(bank, seed, minutes - minutes // READING)
    figures = {}
    for number, question in enumerate(chosen, 1):
        for name, caption in question.figures:
            figures[name] = draw(name, f"Figure to question {number}: {caption}")
    return MidTerm(chosen, papers.points(chosen), figures, seed, minutes)


# Notebooks


def notebook(exam: MidTerm, solution: bool) -> nbformat.NotebookNode:
    """Return the paper, or its solution, as a notebook; the same paper gives the same bytes."""
    cells = [_markdown(_front(exam, solution))]
    for number, (question, worth) in enumerate(zip(exam.questions, exam.points), 1):
        head = f"## Question {number} · {question.title}\n\n{_about(question, worth, solution)}\n\n"
        before, code, after = _around_program(question.text)
        cells.append(_markdown(head + before, exam.figures))
        if code:
            cells += [new_code_cell(code.rstrip()), *([_markdown(after)] if after.strip() else [])]
        cells += _answers(question, worth) if solution else _room(question, number)
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    about = {"midterm": {"minutes": exam.minutes, "solution": solution}}
    if solution:  # the paper does not say how to make its solution
        about["midterm"]["seed"] = exam.seed
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}, "course": about}
    book = new_notebook(cells=cells, metadata=metadata, nbformat_minor=5)
    for place, cell in enumerate(book.cells):
        cell["id"] = (
            "m-" + hashlib.sha256(f"{place} {cell.cell_type} {cell.source}".encode()).hexdigest()[:14]
        )
    nbformat.validate(book)
    return book


def _for_you(exam: MidTerm) -> str:
    """What stands on the solution alone."""
    return f"With model answers and marking schemes: not for students. Seed {exam.seed}."


def _front(exam: MidTerm, solution: bool) -> str:
    """The first cell: title, time, rules, and the table of questions."""
    rows = [f"| {number} | {worth} | {question.minutes} |" for number, question, worth in _numbered(exam)]
    table = "\n".join(["| question | points | about, minutes |", "|---|---|---|", *rows])
    name = "Name:\n\nNumber:" if not solution else _for_you(exam)
    return f"# {exam.title}{', solution' if solution else ''}\n\n{exam.about}\n\n{name}\n\n{RULES}\n\n{table}"


def _numbered(exam: MidTerm):
    """Number, question and points of each question."""
    return [(i, q, worth) for i, (q, worth) in enumerate(zip(exam.questions, exam.points), 1)]


def _about(question: Question, worth: int, solution: bool) -> str:
    """The line below a question's title; the solution also says where it comes from."""
    said = f"{worth} points · about {question.minutes} minutes"
    more = f" · {question.kind} · difficulty {question.difficulty} · {question.where} · bank {question.name}"
    return f"*{said}{more if solution else ''}*"


def _around_program(text: str) -> tuple[str, str, str]:
    """What stands before the program of a question, the program, and what stands after it."""
    found = PROGRAM.search(text)
    return (text[: found.start()], found[1], text[found.end() :]) if found else (text, "", "")


def _markdown(text: str, figures: dict | None = None):
    """A Markdown cell; its figures go with it as attachments."""
    attached = {}

    def attach(found):
        name, picture = f"{found['name']}.png", figures[found["name"]]
        attached[name] = {"image/png": base64.b64encode(picture.png).decode()}
        return f"![{picture.caption}](attachment:{name})\n\n*{picture.caption}*"

    cell = new_markdown_cell(FIGURE.sub(attach, text).strip() if figures else text.strip())
    if attached:
        cell["attachments"] = attached
    return cell


def _room(question: Question, number: int) -> list:
    """The cells for a student's answer."""
    cells = [new_markdown_cell(f"**Your answer to question {number}**\n\n…")]
    return (
        [*cells, new_code_cell("# Your repaired program, and what it prints\n")]
        if question.program
        else cells
    )


def _answers(question: Question, worth: int) -> list:
    """Model answer, marking scheme, and the repaired program, ready to run."""
    rows = [f"| {_half(value)} | {what} |" for value, what in papers.steps(question, worth)]
    table = "\n".join(["| points | for |", "|---|---|", *rows])
    cells = [_markdown(f"**Model answer**\n\n{question.answer}"), _markdown(f"**Marking**\n\n{table}")]
    return [*cells, new_code_cell(question.repaired.rstrip())] if question.program else cells


def _half(value: float) -> str:
    """Half points as they are written: 2, 2½, ½."""
    whole = int(value)
    return f"{whole or ''}½" if value != whole else str(whole)


# Pages


def page(exam: MidTerm, solution: bool) -> str:
    """Return the paper, or its solution, as HTML of one file that needs no network."""
    body = [_header(exam, solution)]
    for number, question, worth in _numbered(exam):
        about = html.escape(_about(question, worth, solution).strip("*"))
        ask = offline_page.markdown(
            FIGURE.sub(lambda found: _figure(exam.figures[found["name"]]), question.text)
        )
        title = f"<h2>Question {number} · {html.escape(question.title)}</h2>"
        answer = _model(question, worth) if solution else ""
        body.append(
            f'<section class="ask">\n{title}\n<p class="about">{about}</p>\n{ask}\n{answer}</section>'
        )
    title = exam.title + (", solution" if solution else "")
    return offline_page.page(title, "\n".join(body), SHEET)


def _header(exam: MidTerm, solution: bool) -> str:
    """Title, lines for name and number, rules, and the table of points with room for the marks."""
    tables = "".join(_list(part) for part in _in_rows(_numbered(exam)))
    lines = '<p>Name <span class="line">&nbsp;</span> Number <span class="line">&nbsp;</span></p>'
    whose = f"<p>{_for_you(exam)}</p>" if solution else lines
    title = html.escape(exam.title) + (", solution" if solution else "")
    return f"<header>\n<h1>{title}</h1>\n<p>{exam.about}</p>\n{whose}\n<p>{RULES}</p>\n{tables}\n</header>"


def _in_rows(numbered: list, longest: int = 14) -> list[list]:
    """The questions in parts that fit side by side, as equally long as possible."""
    rows = -(-len(numbered) // longest)
    size = -(-len(numbered) // rows)
    return [numbered[start : start + size] for start in range(0, len(numbered), size)]


def _list(part: list) -> str:
    """A table with a column for each question: its points, its minutes, and room for the marks."""
    lines = {
        "question": [i for i, _, _ in part],
        "points": [worth for _, _, worth in part],
        "minutes": [question.minutes for _, question, _ in part],
        "marks": ["&nbsp;" for _ in part],
    }
    rows = "".join(
        f"<tr><th>{name}</th>{''.join(f'<td>{value}</td>' for value in values)}</tr>"
        for name, values in lines.items()
    )
    return f'<table class="list"><tbody>{rows}</tbody></table>'


def _figure(picture) -> str:
    """A figure with its caption, as HTML inside Markdown."""
    data = base64.b64encode(picture.png).decode()
    text = html.escape(picture.caption, quote=True)
    image = f'<img src="data:image/png;base64,{data}" alt="{text}" width="{picture.width}">'
    return f"<figure>{image}<figcaption>{text}</figcaption></figure>"


def _model(question: Question, worth: int) -> str:
    """Model answer and marking scheme."""
    rows = [f"| {_half(value)} | {what} |" for value, what in papers.steps(question, worth)]
    table = offline_page.markdown("\n".join(["| points | for |", "|---|---|", *rows]))
    answer = offline_page.markdown(question.answer)
    marked = re.sub("<table>", '<table class="marks">', table)
    return f'<div class="model">\n<h3>Model answer</h3>\n{answer}\n<h3>Marking</h3>\n{marked}\n</div>\n'
