"""What the builder refuses: each message names the line and the remedy, and all come at once."""

import json

import pytest

from tests.builder.course import add, edit, inputs, source
from tools.builder import old_places
from tools.builder.source import LessonError, Places, find, inspect, parse, read

# name: (what is changed, into what, the line that the message must name: a text in it, words of the message)
CELL = "# %%\nfor percent"  # a visible cell of the stand-in lesson
EXERCISES = {
    "solution markers elsewhere": (
        CELL,
        "# %%\n### BEGIN SOLUTION\nfor percent",
        "### BEGIN",
        "markers in a cell",
    ),
    "no markers": ("    ### BEGIN SOLUTION\n", "", 'tags=["exercise"]', "### BEGIN SOLUTION"),
    "markers around nothing": (
        "    return math.pow(x, power) / 2\n    ### END SOLUTION",
        "    ### END SOLUTION\n    return math.pow(x, power) / 2",
        "### BEGIN",
        "enclose",
    ),
    "markers indented wrongly": ("    ### BEGIN", "  ### BEGIN", "### BEGIN", "indent"),
    "no docstring": ('    """x² / 2, equation (1)."""\n', "", "def half_square", "docstring"),
    "two functions": (
        "    ### END SOLUTION\n",
        "    ### END SOLUTION\n\ndef g():\n    pass\n",
        'tags=["exercise"]',
        "exactly one function",
    ),
    "no check": (
        'checked_half = cu.check("00.half_square", half_square)',
        "checked_half = abs",
        'tags=["exercise"]',
        "hold its check",
    ),
    "check of another lesson": ('"00.half_square"', '"01.half_square"', None, "start with '00.'"),
    "check of another function": (
        '"00.half_square", half_square',
        '"00.half_square", abs',
        'tags=["exercise"]',
        "hold its check",
    ),
    "checked under its own name": ("checked_half = cu", "half_square = cu", None, "another name"),
    "unchecked name used": (
        "half_of_two = checked_half",
        "half_of_two = half_square",
        "half_of_two = half_square",
        "the reader's own attempt",
    ),
    "unchecked name used beside its check": (
        "print(checked_half(3.0))",
        "print(half_square(3.0))",
        "print(half_square(3.0))",
        "the reader's own attempt",
    ),
    "unchecked name used above": (
        "from time import sleep",
        "half_square = None",
        "half_square = None",
        "the reader's own attempt",
    ),
    "stray check": (
        "half_of_two =",
        'again = cu.check("00.half_square", abs)\nhalf_of_two =',
        "again =",
        "stands once",
    ),
    "solution with a global": (
        "math.pow(x, power)",
        "math.pow(x, power) * device",
        "def half_square",
        "uses device",
    ),
    "default that is a global": ("power=2", "power=device", "def half_square", "uses device"),
    "no label": ("# **Exercise 1 (core).**\n", "", 'tags=["exercise"]', "**Exercise 3 (core).**"),
    "wrong number": ("Exercise 1 (core)", "Exercise 2 (core)", "Exercise 2", "number 1"),
}
CELLS = {
    "unknown tag": ('tags=["exercise"]', 'tags=["exercize"]', "exercize", "unknown tag 'exercize'"),
    "raises-exception": (CELL, '# %% tags=["raises-exception"]\nfor percent', "raises-exc", "banned"),
    "tag on Markdown": (
        "# %% [markdown]\n# ## 2",
        '# %% [markdown] tags=["quiet"]\n# ## 2',
        "quiet",
        "only `slide`",
    ),
    "a hint under no stub": (
        "# %% [markdown]\n# ## 2",
        '# %% [markdown] tags=["hint"]\n# Halve.\n\n# %% [markdown]\n# ## 2',
        "hint",
        "follows no stub",
    ),
    "a hint in code": (CELL, '# %% tags=["hint"]\nfor percent', "hint", "a hint is Markdown"),
    "two kinds": ('tags=["author"]', 'tags=["author", "figure"]', '"author", "figure"', "figure and author"),
    "slideshow metadata": (
        CELL,
        '# %% slideshow={"slide_type": "slide"}\nfor percent',
        "slide_type",
        'tag "slide"',
    ),
    "odd metadata": (CELL, "# %% colour=1\nfor percent", "colour=1", "unknown cell metadata"),
    "an empty cell": (CELL, "# %%\n\n# %% \nfor percent", None, "the cell is empty"),
    "no title": ("# # 00 A tiny", "# ## 00 A tiny", None, "title"),
    "another lesson's title": ("# # 00 A tiny", "# # 01 A tiny", None, "# 00 Title"),
    "no set-up cell": (' tags=["setup"]', "", None, "first code cell"),
    "set-up without the package": (
        "import course_utils as cu\n",
        "",
        'tags=["setup"]',
        "import course_utils as cu",
    ),
    "nbval comment": (CELL, "# %%\nx = 1  # NBVAL_SKIP\nfor percent", "NBVAL_SKIP", "NBVAL_"),
    "profile": (
        CELL,
        "# %%\nimport os\nos.environ['COURSE_PROFILE']\nfor percent",
        "COURSE_PROFILE",
        "cu.budget",
    ),
    "raw widgets": (CELL, "# %%\nfrom ipywidgets import interact\nfor percent", None, "ipywidgets"),
    "a magic": (CELL, "# %%\n%time cu.setup()", "%time", "magics"),
    "unformatted": (CELL, "# %%\nx = [1,2]  # fmt: skip\nfor percent", "fmt: skip", "ruff"),
    "a wide line": (CELL, "# %%\n\nx = '" + "x" * 93 + "'\nfor percent", "xxxx", "99 characters"),
    "a tall cell": (CELL, "# %%\n" + "x = 1\n" * 25 + "for percent", None, "visible cell of 30 lines"),
    "a tall figure": (
        "cu.bare_widget()",
        "cu.bare_widget()\n" * 58,
        '"figure", "slide"',
        "figure cell of 61 lines (60 allowed)",
    ),
    "a figure without a title": ("# @title Figure: a", "# Figure: a", '"figure", "slide"', "@title"),
    "a parallel assignment": (CELL, "# %%\n(a, b), c = divmod(7, 2), 3\nfor percent", "divmod", "parallel"),
    "a nested comprehension": (
        CELL,
        "# %%\na = [[i for i in range(j)] for j in range(3)]\nfor percent",
        "a = [[",
        "nested",
    ),
    "two loops in one": (
        CELL,
        "# %%\na = [i * j for i in range(3) for j in range(3)]\nfor percent",
        "a = [",
        "nested",
    ),
    "a walrus": (CELL, "# %%\nif (n := 3) > 2:\n    n = 1\nfor percent", "n := 3", ":="),
    "a named lambda": (CELL, "# %%\nf = lambda x: x\nfor percent", "lambda", "write a def"),
    "drawing in a visible cell": (CELL, '# %%\ncu.show(1, "A.")\nfor percent', "cu.show(1", "figure cell"),
    "a run saved before the reader": (CELL, '# %%\ncu.save_run("x")\nfor percent', "save_run", "cu.ship"),
    "a section inside a cell": ("# **Exercise 1", "# ## 9 · More *(core)*\n# **Exercise 1", "## 9", "middle"),
    "a section without a mark": ("widgets *(core)*", "widgets", "## 2", "*(deeper)*"),
    "two sentences on a line": (
        "# It is read, and not made.",
        "# It is read, and by no means made in the class. Who would want to wait for it?",
        "It is read",
        "one sentence a line",
    ),
    "a name only the author binds": (
        "half_of_two = checked_half(2.0)",
        "half_of_two = checked_half(2.0)\nprint(for_the_card)",
        "print(for_the_card)",
        "'for_the_card' is bound only by the author's cell",
    ),
    "a function that needs the author": (
        "half_of_two = checked_half(2.0)",
        "def later():\n    return for_the_card",
        "return for_the_card",
        "bound only by the author's cell",
    ),
    "a shared cell with a global": ("2 * SCALE", "2 * device", "2 * device", "neither imports nor shares"),
    "a shared cell that computes": (
        "SCALE = 2.5",
        "SCALE = cu.count_visits()",
        "SCALE = cu",
        "only imports, functions, classes and constants",
    ),
    "a shared cell that prints": ("SCALE = 2.5", "print(1)\nSCALE = 2.5", "print(1)", "only imports"),
}
REFUSED = EXERCISES | CELLS


def refused(places):
    with pytest.raises(LessonError) as error:
        inputs(places)
    return error.value


@pytest.mark.parametrize(("old", "new", "line", "message"), REFUSED.values(), ids=REFUSED)
def test_what_the_course_does_not_allow_is_refused_with_line_and_remedy(places, old, new, line, message):
    edit(places, old, new)
    lines = str(refused(places)).split("\n")
    (hit, *_) = [text for text in lines if message in text] or [lines]
    assert message in hit, lines
    place, number, _ = hit.split(":", 2)
    assert place == "lessons/00_tiny.py" and " – " in hit
    if line is not None:
        assert line in source(places).read_text(encoding="utf-8").split("\n")[int(number) - 1], hit


@pytest.mark.parametrize(
    "code",
    [
        "a, b = divmod(7, 2)",
        "a = b = 1\na, b = b, a",
        "a = [i for i in range(3)]",
        "print(sorted([2, 1], key=lambda x: -x))",
        "x = '" + "x" * 90 + "'",
    ],
)
def test_what_reads_well_is_allowed(places, code):
    add(places, f"# %%\n{code}\n")
    inputs(places)


def test_an_author_may_cram_and_names_that_readers_bind_too_are_fine(places):
    edit(places, "for_the_card = ", "(a, b), half_of_two = divmod(7, 2), 3\nfor_the_card = ")
    add(places, "# %%\nprint(half_of_two)\n")
    inputs(places)


def test_a_name_bound_for_readers_only_further_down_is_refused(places):
    edit(places, 'cu.restore("00_tiny")', 'cu.restore("00_tiny")\nprint(for_the_card)')
    add(places, "# %%\nfor_the_card = 1\n")
    assert "bound only by the author's cell" in str(refused(places))


def test_all_that_is_wrong_is_said_at_once_in_the_order_of_the_file(places):
    edit(places, "# **It has one", "# ## More\n# **It has one")
    edit(places, "# @title Figure: a", "# Figure: a")
    edit(places, "half_of_two = checked_half(2.0)", "half_of_two = half_square(2.0)\n(a, b), c = (1, 2), 3")
    found = refused(places).findings
    assert [finding.rule for finding in found] == [
        "heading",
        "heading",
        "figure title",
        "exercise",
        "parallel",
    ]
    assert [finding.line for finding in found] == sorted(finding.line for finding in found)


def test_every_cell_of_every_lesson_knows_its_lines():
    for path in find(Places()):
        text = path.read_text(encoding="utf-8").split("\n")
        for cell in parse(path).cells:
            assert text[cell.head - 1].startswith("# %%")
            for row, line in enumerate(cell.lines):
                written = text[cell.first + row - 1]
                assert written == line or written.removeprefix("#").removeprefix(" ") == line.rstrip(), path


@pytest.fixture
def listed(monkeypatch):
    """Make a list of old places for the stand-in lesson."""
    return lambda **counts: monkeypatch.setattr(old_places, "allowed", lambda: {"00": counts})


def test_an_old_place_is_excused_and_a_new_one_is_not(places, listed):
    edit(places, CELL, "# %%\na, b = 1, 2\nfor percent")
    listed(parallel=1)
    assert [finding.rule for finding in read(source(places)).findings] == ["parallel"]
    add(places, "# %%\nc, d = 1, 2\n")
    assert [finding.rule for finding in refused(places).findings] == ["parallel", "parallel"]


def test_a_list_that_is_too_long_must_be_shortened(places, listed):
    edit(places, CELL, "# %%\na, b = 1, 2\nfor percent")
    listed(parallel=2)
    (line,) = old_places.too_high("00", read(source(places)).findings, old_places.RULES)
    assert (
        "has 1 old places of the rule 'parallel', not 2: lower the number in tools/builder/old_places.json"
        in line
    )


def test_only_rules_of_style_may_have_old_places(places, listed):
    edit(places, CELL, "# %%\nx = '" + "x" * 93 + "'\nfor percent")
    listed(width=1)
    assert "99 characters" in str(refused(places))


def test_the_list_names_lessons_and_rules_that_exist_and_is_no_longer_than_needed():
    table = json.loads(old_places.FILE.read_text(encoding="utf-8"))
    lessons = {path.stem.split("_")[0]: path for path in find(Places())}
    assert set(table) <= set(lessons) and {rule for row in table.values() for rule in row} <= set(
        old_places.RULES
    )
    read_off_the_source = tuple(rule for rule in old_places.RULES if rule != "numbers")
    assert [
        line
        for key in table
        for line in old_places.too_high(key, inspect(parse(lessons[key])), read_off_the_source)
    ] == []
