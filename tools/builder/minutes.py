"""How long a lesson takes: reading and doing counted in its source, waiting as measured when it was
executed."""

from dataclasses import dataclass

from tools.builder import prose
from tools.builder.lesson import Cell, Lesson
from tools.builder.rules import LABEL

WORDS_A_MINUTE = 110
FORMULA_S, LINE_S = 10, 4  # seconds for a display formula, for a visible line of code
FIGURE_MIN, EXERCISE_MIN = 1, 5
LIMITS = {
    "core words": 3_000,
    "words": 4_500,
    "core lines": 260,
    "lines": 400,
    "predictions": 8,
    "core minutes": 75,
}
PREDICTION = "**Predict"


@dataclass
class Load:
    """What a part of a lesson asks of its reader: counts, and seconds of waiting (None: not measured)."""

    words: int = 0
    formulas: int = 0
    lines: int = 0
    figures: int = 0
    exercises: int = 0
    predictions: int = 0
    waiting: float | None = None

    @property
    def reading(self) -> float:
        """Minutes."""
        seconds = self.formulas * FORMULA_S + self.lines * LINE_S
        return self.words / WORDS_A_MINUTE + seconds / 60 + self.figures * FIGURE_MIN

    @property
    def doing(self) -> float:
        """Minutes."""
        return self.exercises * EXERCISE_MIN

    @property
    def minutes(self) -> float:
        """All of it."""
        return self.reading + self.doing + (self.waiting or 0) / 60

    def __str__(self) -> str:
        parts = [f"{max(1, round(self.reading))} min reading"]
        if self.exercises:
            parts.append(f"{self.doing} min doing")
        if self.waiting is not None:
            short = self.waiting < 30
            parts.append("under 1 min waiting" if short else f"{round(self.waiting / 60) or 1} min waiting")
        return " · ".join(parts)


def load(lesson: Lesson, seconds: list[float] | None = None, core: bool = False) -> Load:
    """Count what `lesson` asks for, of the core sections only if `core`.

    `seconds`: of each code cell of the notebook, which begins with the generated one that finds the course.
    """
    found = Load()
    for cell in lesson.cells:
        if not (core and cell.deeper):
            _add(found, cell, lesson)
    labels = [
        label for cell in lesson.cells if cell.kind == "markdown" for label in LABEL.finditer(cell.source)
    ]
    found.exercises = sum(not core or label[2] == "core" for label in labels)
    if seconds is not None and len(seconds) == len(lesson.built) + 1:
        kept = [value for value, cell in zip(seconds[1:], lesson.built) if not (core and cell.deeper)]
        found.waiting = seconds[0] + sum(kept)
    return found


def _add(found: Load, cell: Cell, lesson: Lesson) -> None:
    """Add one cell. Of an exercise the stub is read; hint and solution are folded."""
    if "hint" in cell.tags:
        return
    if cell.kind == "markdown":
        found.words += prose.words(cell.source)
        found.formulas += prose.formulas(cell.source)
        found.predictions += cell.source.count(PREDICTION)
    elif cell.visible:
        stubs = [exercise.stub for exercise in lesson.exercises if exercise.cell is cell]
        source = stubs[0] if stubs else cell.source
        found.lines += sum(bool(line.strip()) for line in source.split("\n"))
    elif cell.built:
        found.figures += 1


def headline(lesson: Lesson, seconds: list[float] | None = None) -> str:
    """Return the line under the title that says how long the lesson takes."""
    core, whole = load(lesson, seconds, core=True), load(lesson, seconds)
    if core == whole:
        return f"*{whole}.*"
    return f"*Core: {core}. With the deeper sections: {whole}.*"


def warnings(lesson: Lesson, seconds: list[float] | None = None) -> list[str]:
    """Return a line for each limit that the lesson is over."""
    core, whole = load(lesson, seconds, core=True), load(lesson, seconds)
    have = {
        "core words": core.words,
        "words": whole.words,
        "core lines": core.lines,
        "lines": whole.lines,
        "predictions": whole.predictions,
        "core minutes": round(core.minutes),
    }
    names = {"lines": "visible lines of code", "core lines": "visible lines of code in core sections"}
    return [
        f"{have[key]:,} {names.get(key, key)}, over {limit:,}: shorten it, or move a part to a sequel"
        for key, limit in LIMITS.items()
        if have[key] > limit
    ]
