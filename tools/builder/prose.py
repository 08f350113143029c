"""Markdown as the builder reads it: lines of prose, sentences, headings, words, formulas."""

import re

HEADING = re.compile(r"## (?:(?P<number>\w+) · )?(?P<title>.*\S) *\*\((?P<mark>core|deeper)\)\*")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
DISPLAY = re.compile(r"\$\$.*?\$\$", re.DOTALL)
INLINE = re.compile(r"\$[^$\n]*\$")
HIDDEN_IN_A_SENTENCE = re.compile(r'\$[^$]*\$|`[^`]*`|\([^)]*\)|“[^”]*”|"[^"]*"|\[[^\]]*\]')
ABBREVIATIONS = ("[Ff]ig", "vs", r"e\.g", r"i\.e", "al", "pp", "vol", "sec", "cf")
SENTENCE_END = re.compile(
    r"(?<![A-Z0-9.])"
    + "".join(rf"(?<!\b{word})" for word in ABBREVIATIONS)
    + r"[.?!][*_)]{0,3} +(?=[*_(]{0,3}[A-Z])"
)
SHORT = 60  # characters: two short sentences may share a line


def prose_lines(source: str) -> list[tuple[int, str]]:
    """Return (row, line) of what is running text: no fenced code, no table, no HTML."""
    found, fenced = [], False
    for row, line in enumerate(source.split("\n")):
        if line.startswith("```"):
            fenced = not fenced
        if not fenced and not line.startswith("```") and not line.lstrip().startswith(("|", "<")):
            found.append((row, line))
    return found


def several_sentences(line: str) -> bool:
    """Return whether a line of prose holds more than one sentence (list items of references excepted)."""
    if len(line) <= SHORT or line.lstrip().startswith(("- [", "1. [")):
        return False
    return bool(SENTENCE_END.search(HIDDEN_IN_A_SENTENCE.sub("x", line)))


def words(source: str) -> int:
    """Return how many words a reader reads: an inline formula is one word, displays and code are none."""
    text = DISPLAY.sub(" ", FENCE.sub(" ", source))
    text = re.sub(r"\]\([^)]*\)", "]", INLINE.sub(" x ", text))
    text = re.sub(r"<[^>]*>", " ", text)
    return sum(bool(re.search(r"\w", word)) for word in re.split(r"[\s|]+", text))


def formulas(source: str) -> int:
    """Return how many display formulas a Markdown cell holds."""
    return len(DISPLAY.findall(FENCE.sub(" ", source)))
