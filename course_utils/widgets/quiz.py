"""A quiz: single-choice questions with immediate feedback and a score."""

import html
import re
from collections.abc import Mapping, Sequence
from numbers import Integral

import ipywidgets

from course_utils.plots.show import check_caption, escape, show_caption
from course_utils.system import machine, ranks
from course_utils.widgets.panel import close_all, register, view

LETTERS = "ABCDEFGH"


class Quiz:
    """Questions whose options are buttons, with feedback below; `.score` counts right first answers.

    `controls`: (question, option), both from 0 → Button.
    """

    def __init__(self, questions: Sequence[Mapping], caption: str):
        check_caption(caption)
        self.name, self.caption = f"quiz: {caption}", caption
        self.questions = [_checked(i, question) for i, question in enumerate(questions, 1)]
        if not self.questions:
            raise ValueError("A quiz needs at least one question.")
        self.first: dict[int, bool] = {}
        self.controls, self.feedback, self.result = {}, {}, ipywidgets.HTML()
        blocks = [self._block(i, question) for i, question in enumerate(self.questions)]
        self.box = ipywidgets.VBox([*blocks, self.result])

    def _block(self, i: int, question: dict):
        """The widgets of one question: its text, one row an option (a button and the text), the feedback."""
        rows = [_text(f"<b>{i + 1}. {_html(question['text'])}</b>")]
        for k, option in enumerate(question["options"]):
            button = ipywidgets.Button(description=LETTERS[k], tooltip=option, layout=_fixed("4em"))
            button.on_click(lambda _, k=k: self.answer(i, k))
            self.controls[i, k] = button
            rows.append(ipywidgets.HBox([button, _text(_html(option))], layout=_fixed("100%")))
        self.feedback[i] = _text("")
        return ipywidgets.VBox([*rows, self.feedback[i]], layout=ipywidgets.Layout(margin="0 0 1em 0"))

    @property
    def score(self) -> int:
        """How many questions were answered right at the first try."""
        return sum(self.first.values())

    def answer(self, question: int, option: int) -> None:
        """Do what a click on an option does (both numbers from 0): mark it, explain, count a first answer."""
        asked = self.questions[question]
        right = option == asked["answer"]
        self.first.setdefault(question, right)
        word, mark = ("Right.", "✓") if right else ("Not quite.", "✗")
        self.controls[question, option].description = f"{LETTERS[option]} {mark}"
        # In the theme's own colour of text, which can be read on white and on black; no other colour can.
        said = f"<b>{LETTERS[option]} {mark} {word}</b> {_html(_why(asked, option))}"
        self.feedback[question].value = _lines(f'<span role="status">{said}</span>')
        if len(self.first) == len(self.questions):
            self.result.value = f"<b>Right at the first try: {self.score} of {len(self.questions)}.</b>"

    def reset(self) -> None:
        """Forget all answers."""
        self.first, self.result.value = {}, ""
        for (i, k), button in self.controls.items():
            button.description, self.feedback[i].value = LETTERS[k], ""

    def try_all(self) -> int:
        """Choose every option of every question; return how many. Afterwards the quiz is unanswered again."""
        for i, k in self.controls:
            self.answer(i, k)
        self.reset()
        return len(self.controls)

    def markdown(self) -> str:
        """Return the questions with folded answers, for readers without a kernel."""
        parts = []
        for i, question in enumerate(self.questions, 1):
            options = "\n".join(f"   - {letter}. {_markdown(text)}" for letter, text in _lettered(question))
            answer = f"{LETTERS[question['answer']]}. {_why(question, question['answer'])}"
            folded = f"   <details><summary>Answer</summary>{_html(answer)}</details>"
            parts.append(f"{i}. **{_markdown(question['text'])}**\n{options}\n\n{folded}")
        return "\n\n".join(parts)

    def text(self) -> str:
        """Return the questions and, below them, the answers as plain text."""
        lines = []
        for i, question in enumerate(self.questions, 1):
            lines += [
                f"{i}. {question['text']}",
                *(f"   {letter}. {text}" for letter, text in _lettered(question)),
            ]
        for i, question in enumerate(self.questions, 1):
            lines.append(f"Answer {i}: {LETTERS[question['answer']]}. {_why(question, question['answer'])}")
        return "\n".join(lines)

    def show(self) -> None:
        """Display the quiz as one output: the widget, or (without a kernel) questions with folded answers."""
        if machine.in_notebook():
            from IPython.display import display as publish

            publish({**view(self.box), "text/markdown": self.markdown(), "text/plain": self.text()}, raw=True)
            show_caption(self.caption, "Quiz")
        elif ranks.rank() == 0:
            print(f"[quiz] {self.caption}\n{self.text()}")

    def _ipython_display_(self) -> None:
        """Show nothing: it is displayed already, and a cell may end with the call that made it."""

    def close(self) -> None:
        """Forget the controls."""
        close_all(self.box)


def quiz(questions: Sequence[Mapping], caption: str) -> Quiz:
    """Show single-choice questions; returns the Quiz.

    `questions`: dicts with `text`, `options` (2 to 8 texts), `answer` (the index of the right option, or its
    text) and `why` (a text for every choice, or a list with one text an option, shown as feedback). Raises
    ValueError for a question that lacks one of these or whose answer is no option.
    """
    shown = Quiz(questions, caption)
    shown.show()
    register(shown)
    return shown


def _checked(number: int, question: Mapping) -> dict:
    """A question with its answer as an index."""
    missing = {"text", "options", "answer", "why"} - set(question)
    if missing:
        raise ValueError(f"Question {number} lacks {', '.join(sorted(missing))}.")
    options, answer = [str(option) for option in question["options"]], question["answer"]
    if not 2 <= len(options) <= 8 or len(set(options)) < len(options):
        raise ValueError(f"Question {number} needs 2 to 8 different options.")
    if isinstance(answer, str) and answer in options:
        answer = options.index(answer)
    if not isinstance(answer, Integral) or not 0 <= answer < len(options):
        raise ValueError(f"Question {number}: the answer {question['answer']!r} is none of the options.")
    why = question["why"]
    if not isinstance(why, str) and not (isinstance(why, list | tuple) and len(why) == len(options)):
        raise ValueError(f"Question {number}: `why` is one text, or one text an option.")
    return {**question, "text": str(question["text"]), "options": options, "answer": int(answer)}


def _text(value: str):
    """Text that wraps where the page ends."""
    return ipywidgets.HTML(_lines(value), layout=ipywidgets.Layout(max_width="100%"))


def _lines(value: str) -> str:
    """HTML whose lines stand as close as in a paragraph."""
    return f'<div style="line-height:1.4">{value}</div>'


def _html(text: str) -> str:
    """Text as HTML; what stands between two backticks is code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text, quote=False))


def _markdown(text: str) -> str:
    """Text as Markdown that shows exactly its characters; what stands between two backticks is code."""
    parts = re.split(r"(`[^`]+`)", text)
    return "".join(part if i % 2 else escape(part) for i, part in enumerate(parts))


def _fixed(width: str):
    return ipywidgets.Layout(width=width, min_width=width, align_items="center")


def _lettered(question: Mapping) -> list[tuple[str, str]]:
    return list(zip(LETTERS, question["options"], strict=False))


def _why(question: Mapping, choice: int) -> str:
    return question["why"] if isinstance(question["why"], str) else str(question["why"][choice])
