"""Each lesson's run sheet is whole: a timetable that fills the class, answers, polls, questions, a last resort."""

import re

import pytest

from course_utils.system.folders import ROOT

LESSONS = sorted(path.stem for path in (ROOT / "lessons").glob("[0-9]*.py"))
PARTS = (
    "By minute",
    "Answers to the predictions",
    "Polls",
    "Discuss",
    "provokes",
    "xam question",
    "If a machine fails",
)


def parts(sheet: str) -> dict[str, str]:
    """The sections of a run sheet: heading → text."""
    pieces = re.split(r"^## (.+)$", sheet, flags=re.M)
    return dict(zip(pieces[1::2], pieces[2::2]))


def gaps(sheet: str) -> list[str]:
    """What a run sheet lacks, in words."""
    found = parts(sheet)
    lacking = [f"no section '… {part} …'" for part in PARTS if not any(part in name for name in found)]
    open_rows = [
        line for line in sheet.splitlines() if line.startswith("|") and not line.rstrip().endswith("|")
    ]
    lacking += [f"a row without its end: {line[:40]}" for line in open_rows]
    times = [
        tuple(map(int, row)) for row in re.findall(r"^\| (\d+)–(\d+) \|", found.get("By minute", ""), re.M)
    ]
    ends = [0, *(end for _, end in times)]
    lacking += [
        f"minute {ends[i]} is followed by {begin}" for i, (begin, _) in enumerate(times) if begin != ends[i]
    ]
    if not 55 <= ends[-1] <= 90:
        lacking.append(f"the timetable ends at minute {ends[-1]}")
    answers = {"Answers to the predictions": r"^(\d+\.|-|\|) ?\S", "Polls": r"^- (\*\*)?[A-D]\. "}
    for part, pattern in answers.items():
        if not re.search(pattern, found.get(part, ""), re.M):
            lacking.append(f"'{part}' is empty")
    return lacking


@pytest.mark.parametrize("lesson", LESSONS)
def test_a_run_sheet_is_whole(lesson):
    assert gaps((ROOT / "teaching" / f"{lesson}.md").read_text(encoding="utf-8")) == []


def test_a_sheet_that_breaks_off_is_found():
    whole = (ROOT / "teaching" / "10b_likelihood_is_not_quality.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \d+–\d+ \|.*\n", whole, re.M)
    broken = whole.replace("".join(rows[5:8]), "").replace("## Polls\n\n", "")
    assert any("no section '… Polls …'" in gap for gap in gaps(broken)) and len(gaps(broken)) >= 2
    assert gaps(whole.replace(rows[3], "")) and gaps(whole.replace(rows[2], rows[2].rstrip()[:-1] + "\n"))
