"""The number audit: numbers in prose and captions that no output of the same notebook shows any more.

A sentence that quotes a measurement becomes false in silence when the lesson is executed again. So each
number with two or more significant digits that stands in Markdown, or is written by hand into a caption, must
occur in an output: printed, in a table, in a computed caption (words drawn into a picture are no text).
Numbers that the notebook's code sets (5,000 steps, 28 pixels) need no output.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from tools.builder import prose
from tools.builder.lesson import Cell, Finding, Lesson
from tools.builder.outputs import CAPTION

SHOWS = {f"cu.{name}" for name in ("show", "scrub", "explore", "plane", "stepper")}
SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
NUMBER = re.compile(
    r"(?<![\w.,/^_{\\])[−-]?(?P<digits>\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)"
    r"(?:[eE](?P<e>[−-]?\d+)|\s?[·×]\s?10(?P<power>[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+))?(?![\w^_])(?P<percent>\s?%)?"
)
IN_OUTPUT = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?(?:[eE][−+-]?\d+)?|\d*\.?\d+(?:[eE][−+-]?\d+)?")
POWER_IN_OUTPUT = re.compile(r"\s?[·×]\s?10([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)")
# What stands before a number that names a place or a version, and after one that is a year of a paper.
NAMES = re.compile(
    r"(?:lessons?|sections?|cards?|chapters?|ch\.|exercises?|figures?|fig\.|tables?|equations?|eq\.|algorithms?|"
    r"alg\.|lines?|pages?|p\.|pp\.|vol\.|theorems?|appendix|python|version|arxiv:?|poll|part|step|seeds?)"
    r"[\s*]*(?:[\d.]+\s*(?:,|and|to|or|–|-)\s*)*$",
    re.IGNORECASE,
)
YEAR = re.compile(r"(?:1[6-9]|20)\d\d")
REFERENCES = re.compile(r"^#+ .*\b(references|further reading|read on)\b", re.IGNORECASE)
A_REFERENCE = re.compile(r"arxiv|doi\.org|\((?:1[6-9]|20)\d\d[a-z]?\)", re.IGNORECASE)
NOT_PROSE = (
    re.compile(r"```.*?```", re.DOTALL),
    re.compile(r"`[^`\n]*`"),
    prose.DISPLAY,
    prose.INLINE,
    re.compile(r"\]\([^)]*\)"),  # the address of a link
    re.compile(r"<[^>]*>"),
    re.compile(r"^#+ .*$", re.MULTILINE),
    re.compile(r"\(\d+[a-z]?\)"),  # equation (12)
    re.compile(r"\d+ ?[×x] ?\d+"),  # 28 × 28
)


@dataclass
class Evidence:
    """Numbers that a notebook shows (`values`; `percents` those with a % behind them)."""

    values: list[float] = field(default_factory=list)
    percents: list[float] = field(default_factory=list)

    def holds(self, value: float, tolerance: float, percent: bool) -> bool:
        """Return whether a number is among them, up to rounding; 92 % is also 0.92, and the reverse."""
        near = [self._near(self.values, value, tolerance)]
        if percent:
            near.append(self._near(self.values, value / 100, tolerance / 100))
        if value < 1:
            near.append(self._near(self.percents, 100 * value, 100 * tolerance))
        return any(near)

    @staticmethod
    def _near(values: list[float], value: float, tolerance: float) -> bool:
        return any(abs(one - value) <= 1.01 * tolerance + 1e-12 for one in values)


def check(lesson: Lesson, book) -> list[Finding]:
    """Return the numbers in the prose and the captions of `lesson` that its executed notebook does not
    show."""
    captions = [(cell, row, text) for cell in lesson.built for row, text in _captions(cell)]
    by_hand = {value for _, _, text in captions for value, *_ in numbers(text)}
    evidence = _evidence(book, by_hand)
    evidence.values += [value for cell in lesson.built for value in _constants(cell)]
    findings = []
    for cell in lesson.cells:
        if cell.kind == "markdown" and not REFERENCES.search(cell.lines[0]):
            findings += _missing(cell, 0, cell.source, evidence)
    for cell, row, text in captions:
        findings += _missing(cell, row, text, evidence)
    return findings


def _missing(cell: Cell, first_row: int, text: str, evidence: Evidence) -> Iterator[Finding]:
    """Yield a finding for each number of `text` that there is no evidence of."""
    for value, tolerance, percent, written, row in numbers(text):
        if not evidence.holds(value, tolerance, percent):
            remedy = "print it, or correct the sentence"
            yield cell.finding("numbers", f"{written} occurs in no output", remedy, first_row + row)


def numbers(text: str) -> list[tuple[float, float, bool, str, int]]:
    """Return (value, half a unit of its last digit, is it a percentage, as written, row) of what `text`
    claims."""
    written = text.split("\n")
    for pattern in NOT_PROSE:
        text = pattern.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), text)
    found = []
    for match in NUMBER.finditer(text):
        digits = match["digits"]
        row = text.count("\n", 0, match.start())
        before = text[text.rfind("\n", 0, match.start()) + 1 : match.start()]
        skip = NAMES.search(before) or A_REFERENCE.search(written[row]) or YEAR.fullmatch(digits)
        if skip or _significant(digits) < 2:
            continue
        power = int((match["power"] or "0").translate(SUPERSCRIPTS))
        power += int((match["e"] or "0").replace("−", "-"))
        value = float(digits.replace(",", "")) * 10.0**power
        half_unit = _unit(digits) * 10.0**power / 2
        found.append((value, half_unit, bool(match["percent"]), match[0].strip(), row))
    return found


def _significant(digits: str) -> int:
    """How many digits of a number say something: leading zeros and the last zeros of a whole one do not."""
    plain = digits.replace(",", "")
    return len(plain.replace(".", "").lstrip("0")) if "." in plain else len(plain.strip("0"))


def _unit(digits: str) -> float:
    """The unit of the last digit that says something: 0.01 of 3.10, 100 of 1,300."""
    plain = digits.replace(",", "")
    if "." in plain:
        return 10.0 ** -len(plain.split(".")[1])
    return 10.0 ** (len(plain) - len(plain.rstrip("0")))


def _evidence(book, by_hand: set[float]) -> Evidence:
    """Gather the numbers in the textual outputs of a notebook, but not those written by hand into
    captions."""
    found = Evidence()
    for cell in book["cells"]:
        for output in cell.get("outputs", []):
            for text in _texts(output):
                plain = POWER_IN_OUTPUT.sub(lambda m: "e" + m[1].translate(SUPERSCRIPTS), text)
                for match in IN_OUTPUT.finditer(plain):
                    value = float(match[0].replace(",", "").replace("−", "-"))
                    if not (CAPTION in text and value in by_hand):
                        found.values.append(value)
                        if plain[match.end() :].lstrip().startswith("%"):
                            found.percents.append(value)
    return found


def _texts(output) -> Iterator[str]:
    """What a reader reads in an output; a caption's plain form repeats it and a picture's alternative
    text."""
    if "text" in output:
        yield output["text"]
    data = output.get("data", {})
    if "text/html" in data:
        yield re.sub(r"<style.*?</style>|<[^>]*>", " ", data["text/html"], flags=re.DOTALL)
    elif "text/markdown" in data:
        yield data["text/markdown"]
    elif "text/plain" in data and not any(mime.startswith("image/") for mime in data):
        yield data["text/plain"]


def _captions(cell: Cell) -> Iterator[tuple[int, str]]:
    """Yield (row, text) of what a cell writes by hand into captions: the strings in calls of cu.show and
    others."""
    for node in ast.walk(cell.tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in SHOWS:
            arguments = [*node.args[1:], *(word.value for word in node.keywords if word.arg == "caption")]
            for part in (part for argument in arguments for part in ast.walk(argument)):
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    yield part.lineno - 1, part.value


def _constants(cell: Cell) -> Iterator[float]:
    """Yield the numbers that the code of a cell sets."""
    for node in ast.walk(cell.tree):
        if isinstance(node, ast.Constant) and type(node.value) in (int, float):
            yield float(node.value)
