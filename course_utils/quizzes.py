"""A quiz: single-choice questions with immediate feedback and a score. `course_utils.widgets` re-exports it."""

import html
from collections.abc import Mapping, Sequence

import ipywidgets

from course_utils import display, runtime
from course_utils.panel import register, view

_WIDE = ipywidgets.Layout(width="auto")


class Quiz:
    """Questions, each with radio buttons, a "Check" button and feedback; `.score` counts right first answers.

    `controls`: question number → RadioButtons (value None until chosen, otherwise the option's index).
    """

    def __init__(self, questions: Sequence[Mapping], caption: str):
        display.check_caption(caption)
        self.name, self.caption = f"quiz: {caption}", caption
        self.questions = [_checked(i, question) for i, question in enumerate(questions, 1)]
        if not self.questions:
            raise ValueError("A quiz needs at least one question.")
        self.first: dict[int, bool] = {}
        self.controls = {i: _radio(question) for i, question in enumerate(self.questions)}
        self.feedback = {i: ipywidgets.HTML() for i in self.controls}
        self.buttons = {i: ipywidgets.Button(description="Check", layout=_WIDE) for i in self.controls}
        self.result = ipywidgets.HTML()
        for i, button in self.buttons.items():
            button.on_click(lambda _, i=i: self.check(i))
        self.box = ipywidgets.VBox([*(self._block(i) for i in self.controls), self.result])

    def _block(self, i: int):
        """The widgets of one question."""
        title = ipywidgets.HTML(f"<b>{i + 1}. {html.escape(self.questions[i]['text'])}</b>")
        layout = ipywidgets.Layout(margin="0 0 1em 0")
        return ipywidgets.VBox([title, self.controls[i], self.buttons[i], self.feedback[i]], layout=layout)

    @property
    def score(self) -> int:
        """How many questions were answered right at the first try."""
        return sum(self.first.values())

    def check(self, i: int) -> None:
        """Do what a click on "Check" of question `i` (from 0) does: give feedback, count a first answer."""
        question, choice = self.questions[i], self.controls[i].value
        if choice is None:
            self.feedback[i].value = "Choose an answer first."
            return
        right = choice == question["answer"]
        self.first.setdefault(i, right)
        mark, colour = ("✓ Right.", "#00664d") if right else ("✗ Not quite.", "#a33f00")
        why = html.escape(_why(question, choice))
        self.feedback[i].value = f'<span role="status"><b style="color:{colour}">{mark}</b> {why}</span>'
        if len(self.first) == len(self.questions):
            self.result.value = f"<b>Right at the first try: {self.score} of {len(self.questions)}.</b>"

    def reset(self) -> None:
        """Forget all answers."""
        self.first, self.result.value = {}, ""
        for i, control in self.controls.items():
            control.value, self.feedback[i].value = None, ""

    def exercise(self) -> int:
        """Check every option of every question; return how many. Afterwards the quiz is unanswered again."""
        calls = 0
        for i, control in self.controls.items():
            self.check(i)
            for k in range(len(self.questions[i]["options"])):
                control.value = k
                self.check(i)
                calls += 1
        self.reset()
        return calls

    def markdown(self) -> str:
        """Return the questions with folded answers, for readers without a kernel."""
        parts = []
        for i, question in enumerate(self.questions, 1):
            options = "\n".join(f"   - {letter}. {display.escape(text)}" for letter, text in _lettered(question))
            answer = f"{'ABCDEFGH'[question['answer']]}. {_why(question, question['answer'])}"
            folded = f"   <details><summary>Answer</summary>{html.escape(answer, quote=False)}</details>"
            parts.append(f"{i}. **{display.escape(question['text'])}**\n{options}\n\n{folded}")
        return "\n\n".join(parts)

    def text(self) -> str:
        """Return the questions and, below them, the answers as plain text."""
        lines = []
        for i, question in enumerate(self.questions, 1):
            lines += [f"{i}. {question['text']}", *(f"   {letter}. {text}" for letter, text in _lettered(question))]
        for i, question in enumerate(self.questions, 1):
            lines.append(f"Answer {i}: {'ABCDEFGH'[question['answer']]}. {_why(question, question['answer'])}")
        return "\n".join(lines)

    def show(self) -> None:
        """Display the quiz as one output: the widget, or where no kernel runs the questions with folded answers."""
        if runtime.in_notebook():
            from IPython.display import display as publish

            publish({**view(self.box), "text/markdown": self.markdown(), "text/plain": self.text()}, raw=True)
            display.show_caption(self.caption, "Quiz")
        elif runtime.rank() == 0:
            print(f"[quiz] {self.caption}\n{self.text()}")

    def _ipython_display_(self) -> None:
        """Show nothing: it is displayed already, and a cell may end with the call that made it."""

    def close(self) -> None:
        """Forget the controls."""
        for widget in [*self.controls.values(), *self.buttons.values(), *self.feedback.values(), self.box]:
            widget.close()


def quiz(questions: Sequence[Mapping], caption: str) -> Quiz:
    """Show single-choice questions; returns the Quiz.

    `questions`: dicts with `text`, `options` (2 to 8 texts), `answer` (the index of the right option, or its text)
    and `why` (a text for every choice, or a list with one text an option, shown as feedback).
    Raises ValueError for a question that lacks one of these or whose answer is no option.
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
    if not isinstance(answer, int) or not 0 <= answer < len(options):
        raise ValueError(f"Question {number}: the answer {question['answer']!r} is none of the options.")
    if not isinstance(question["why"], str) and len(question["why"]) != len(options):
        raise ValueError(f"Question {number}: `why` is one text, or one text an option.")
    return {**question, "options": options, "answer": answer}


def _radio(question: Mapping):
    """Radio buttons without a choice; option texts take the room they need."""
    options = [(f"{letter}. {text}", i) for i, (letter, text) in enumerate(_lettered(question))]
    layout = ipywidgets.Layout(width="auto", max_width="100%")
    return ipywidgets.RadioButtons(options=options, value=None, description="", layout=layout)


def _lettered(question: Mapping) -> list[tuple[str, str]]:
    return list(zip("ABCDEFGH", question["options"], strict=False))


def _why(question: Mapping, choice: int) -> str:
    return question["why"] if isinstance(question["why"], str) else str(question["why"][choice])
