"""Reading, doing and waiting: the arithmetic, on lessons small enough to count by hand."""

import pytest

from tests.builder.course import add, edit, source
from tools.builder import minutes, prose
from tools.builder.source import Places, find, read


def test_the_minutes_of_a_small_lesson_are_those_counted_by_hand(places):
    path = places.lessons / "01_counted.py"
    words = "word " * 220  # two minutes at 110 words a minute
    path.write_text(
        "# %% [markdown]\n# # 01 Counted\n\n"
        '# %% tags=["setup"]\nimport course_utils as cu\n\n'
        f"# %% [markdown]\n# ## 1 · First *(core)*\n#\n# {words}\n#\n# $$a = b$$\n\n"
        + "# %%\n"
        + "x = 1\n\n" * 12  # twelve lines that are not empty: 48 seconds
        + '\n# %% tags=["figure"]\n# @title Figure: nothing\nx\n'
        + "\n# %% [markdown]\n# ## 2 · Second *(deeper)*\n#\n# **Exercise 1 (deeper).**\n# On paper.\n"
        + "\n# %%\ny = 1\n",
        encoding="utf-8",
    )
    lesson = read(path)
    core, whole = (
        minutes.load(lesson, [0.5, 10, 20, 30, 40], core=True),
        minutes.load(lesson, [0.5, 10, 20, 30, 40]),
    )
    titles = 2 + 3  # "01 Counted", "1 First (core)": the signs between them are no words
    assert (core.words, core.formulas, core.lines, core.figures, core.exercises) == (
        220 + titles,
        1,
        13,
        1,
        0,
    )
    assert core.reading == pytest.approx((220 + titles) / 110 + (10 + 13 * 4) / 60 + 1)
    assert (core.waiting, whole.waiting) == (60.5, 100.5)
    assert (whole.doing, whole.lines) == (5, 14)
    assert minutes.headline(lesson, [0.5, 10, 20, 30, 40]) == (
        "*Core: 4 min reading · 1 min waiting. "
        "With the deeper sections: 4 min reading · 5 min doing · 2 min waiting.*"
    )


def test_waiting_is_left_out_where_it_was_not_measured_or_of_other_cells(places):
    lesson = read(source(places))
    assert minutes.load(lesson).waiting is None
    assert minutes.load(lesson, [1.0] * 3).waiting is None
    assert minutes.load(lesson, [1.0] * 8).waiting == 8.0
    assert minutes.load(lesson, [1.0] * 8, core=True).waiting == 7.0


def test_a_solution_and_an_authors_cell_are_not_read(places):
    before = minutes.load(read(source(places)))
    edit(places, "    return math.pow", "    half = 2\n    half += 0\n    return math.pow")
    edit(places, "for_the_card = double_half(4.0)", "for_the_card = double_half(4.0)\nprint(for_the_card)")
    assert minutes.load(read(source(places))) == before
    add(places, "# %%\nx = 1\n")
    assert minutes.load(read(source(places))).lines == before.lines + 1


def test_what_is_a_word_and_what_is_a_formula():
    text = "A [link of](https://x.y/z) *four* words and $x = 1$.\n\n$$a\n= b$$\n\n| a | b |\n|---|---|\n"
    text += "\n```\ncode here\n```"
    assert prose.words(text) == 9 and prose.formulas(text) == 1


def test_limits_are_said_as_warnings(places):
    add(places, "# %% [markdown]\n# " + "word " * 3_200 + "\n\n# %%\n" + "x = 1\n" * 20)
    edit(places, "*(deeper)*", "*(core)*")
    found = minutes.warnings(read(source(places)))
    assert len(found) == 1 and "core words, over 3,000" in found[0] and "sequel" in found[0]
    add(places, "# %% [markdown]\n# ## 4 · More *(deeper)*\n#\n# " + "word " * 1_300 + "\n")
    assert [line.split(",")[0] for line in minutes.warnings(read(source(places)))] == ["3", "4"]
    for _ in range(30):
        add(places, "# %%\n" + "x = 1\n" * 25)
    assert len(minutes.warnings(read(source(places)))) == 3
    assert len(minutes.warnings(read(source(places)), [3_000.0] + [0.0] * 39)) >= 3
    before = len(minutes.warnings(read(source(places))))
    add(places, "# %% [markdown]\n" + "# **Predict:** up or down?\n" * 9)
    found = minutes.warnings(read(source(places)))
    assert len(found) == before + 1 and any("9 predictions, over 8" in line for line in found)


@pytest.mark.parametrize("path", find(Places()), ids=lambda path: path.stem)
def test_every_lesson_keeps_its_limits(path):
    """Without the minutes of waiting, which differ from machine to machine: the builder warns of those."""
    assert minutes.warnings(read(path)) == []
