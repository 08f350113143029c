"""Decks and handouts: what of a notebook goes into them, and what their commands answer."""

import re
import subprocess
import sys

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from course_utils.system.folders import ROOT
from tools import handout, offline_page, slides

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
SKIP = {"slideshow": {"slide_type": "skip"}}
SLIDE = {"slideshow": {"slide_type": "slide"}}
FOLDED = {"jupyter": {"source_hidden": True}}


def picture(alt="What it shows."):
    return new_output(
        "display_data", {"image/png": PIXEL}, metadata={"image/png": {"alt": alt, "width": 400}}
    )


def said(text):
    return new_output("stream", name="stdout", text=text)


def marked(text):
    return new_output("display_data", {"text/markdown": text, "text/plain": "plain"})


@pytest.fixture
def book(tmp_path):
    """A course with one small lesson, numbered 77."""
    cells = [
        new_markdown_cell(
            "# 77 A lesson\n\n**[▶ Open in Colab](https://x.y)**\n\n**One idea, said once.**\n\nProse."
        ),
        new_code_cell("finding", metadata={"tags": ["find-course"], **SKIP}),
        new_code_cell("import setup_cell", metadata={"tags": ["setup"]}),
        new_markdown_cell("**After this lesson you can** do $a$ · say b.\n\nMore prose."),
        new_markdown_cell(
            "## 1 · First *(core)*\n\nSome words.\nThe rule is\n\n$$y=x^2. \\tag{1}$$\n\n"
            "**Predict:** up or down?\n\n**Exercise 1 (core).**\nWrite it."
        ),
        new_code_cell("def stub(): raise NotImplementedError", metadata={"tags": ["exercise"]}),
        new_markdown_cell(
            "<details><summary>Solution</summary>\n\n```python\nsecret = 1\n```\n\n</details>", metadata=SKIP
        ),
        new_code_cell(
            "# @title Figure: up it goes\nhidden_code()",
            metadata={**SLIDE, **FOLDED},
            outputs=[picture(), marked("**Figure.** *What it shows.*"), said("number   7\n")],
        ),
        new_markdown_cell("It goes up.\n\n*Remember that it goes up.*"),
        new_code_cell("shown_code(1)", metadata=SLIDE, outputs=[said("printed\n")]),
        new_markdown_cell("## 2 · Second *(deeper)*\n\n$$z=1$$"),
        new_code_cell("never_a_slide()", outputs=[said("never shown\n")]),
    ]
    (tmp_path / "notebooks").mkdir()
    nbformat.write(new_notebook(cells=cells), tmp_path / "notebooks" / "77_a_lesson.ipynb")
    return tmp_path


def test_a_deck_has_what_is_tagged_and_what_its_section_writes_on_the_board(book):
    _, lesson = offline_page.notebook(book, "77")
    made = slides.deck(lesson.cells)
    titles = [re.sub("<[^>]*>", "", slide.title) for slide in made]
    assert titles == ["77 A lesson", "After this lesson you can", "1 · First", "Up it goes", "1 · First"]
    first, goals, board, figure, code = (slide.html() for slide in made)
    assert "One idea, said once." in first and "Colab" not in first
    assert goals.count("<li>") == 2
    assert (
        board.index("The rule is")
        < board.index("katex")
        < board.index("up or down?")
        < board.index("Exercise 1")
    )
    assert (
        PIXEL in figure and "number   7" in figure and "hidden_code" not in figure and "@title" not in figure
    )
    assert figure.index("What it shows.</em>") < figure.index("fragment") < figure.index("Remember that")
    assert "shown_code" in code and "printed" in code
    assert [("It goes up." in part, "Some words." in part) for part in (board, figure)] == [
        (False, True),
        (True, False),
    ]
    assert "Prose" not in first, "the prose is in the notes"
    whole = "".join(slide.html() for slide in made)
    assert not [word for word in ("secret", "stub", "setup_cell", "never", "z=1", "finding") if word in whole]


def test_a_handout_has_everything_but_the_search_for_the_course(book):
    slug, page = handout.handout(book, "77")
    words = (
        "Prose.",
        "More prose.",
        "setup_cell",
        "Some words.",
        "secret",
        "hidden_code",
        PIXEL,
        "never shown",
    )
    assert slug == "77_a_lesson" and not [word for word in words if word not in page]
    assert "finding" not in page and "Open in Colab" not in page and "@title" not in page
    assert re.search(r"<details[^>]*><summary>Code · Figure: up it goes</summary>", page)
    assert page.index('href="#s2"') < page.index('<h2 id="s1">') < page.index('<h2 id="s2">')


def test_what_is_too_tall_for_a_slide_goes_on_with_the_next():
    rows = "\n".join(f"| {i} | x |" for i in range(40))
    table = marked(f"| n | v |\n|---|---|\n{rows}\n\n**Table.** *Forty rows.*")
    cell = new_code_cell(
        "# @title Table: long", metadata=FOLDED, outputs=[table, picture(), picture(), said("a\n" * 60)]
    )
    made = slides.cell_slides(cell, "a section")
    found = [int(n) for slide in made for n in re.findall(r"<td>(\d+)</td>", slide.content)]
    assert found == list(range(40)), "a row is lost or shown twice"
    assert all(slide.content.count("<th>n</th>") == 1 for slide in made if "<table>" in slide.content)
    assert all(slide.content.count("<img") <= 1 for slide in made)
    assert sum(slide.content.count("<img") for slide in made) == 2
    long = [(f"equation{i}", "equation", f"Some words, then\n\n$$x_{{{i}}}=\\frac12$$") for i in range(12)]
    boards = slides.board_slides([(kind, text) for _, kind, text in long], "t")
    assert len(boards) > 1
    assert sum(board.content.count("katex-display") for board in boards) == 12


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("**Bold start.**\nMore of it.", []),
        ("A start.\n**A bold end of a paragraph.**", ["remember"]),
        ("*One sentence alone.*", ["remember"]),
        ("**Is it a question alone?**", ["ask"]),
        ("**Predict: one or two?**", ["ask"]),
        ("**Predict** one.\nIs it two?", ["ask"]),
        ("| a |\n|---|\n\n$$x$$", ["equation"]),
        ("<details><summary>Hint</summary>\n\n$$x$$\n\n</details>", []),
    ],
)
def test_what_a_paragraph_puts_on_the_board(text, expected):
    assert [kind for kind, _ in slides.board(text)] == expected


def test_answers_of_a_quiz_are_not_on_the_slide():
    text = "1. **Q**\n   - A. one\n\n   <details><summary>Answer</summary>A. Because.</details>\n\n2. **R**"
    (part,) = slides.tables(text)
    assert "one" in part and "R" in part and "Because" not in part


def refusal(make, *words):
    with pytest.raises(SystemExit) as raised:
        handout.main(list(words), *make)
    message = str(raised.value)
    assert message.startswith("tasks.py: ") and "\n" not in message
    return message


@pytest.mark.parametrize("make", [(), (slides.make, "slides")], ids=["handout", "slides"])
def test_the_commands_say_what_they_need(make):
    assert "say which lesson, for example `python tasks.py" in refusal(make)
    assert "no lesson '99'; there are: 00, 01" in refusal(make, "99")


def test_nothing_that_a_user_has_made_is_overwritten(tmp_path):
    own = tmp_path / "04b_a_real_number_handout.html"
    own.write_text("mine")
    assert "is there already" in refusal((), "04b", "--to", str(tmp_path)) and own.read_text() == "mine"
    own.unlink()
    done = subprocess.run(
        [sys.executable, "tools/handout.py", "04b", "--to", str(tmp_path)], cwd=ROOT, capture_output=True
    )
    assert done.returncode == 0 and own.stat().st_size > 100_000


def test_a_notebook_without_outputs_is_refused(book):
    path = book / "notebooks" / "77_a_lesson.ipynb"
    lesson = nbformat.read(path, as_version=4)
    for cell in lesson.cells:
        cell.pop("outputs", None)
    nbformat.write(new_notebook(cells=[c for c in lesson.cells if c.cell_type == "markdown"]), path)
    with pytest.raises(SystemExit, match="has no outputs: run it"):
        offline_page.notebook(book, "77")
