"""A sequel goes on with what its lesson shared: its own notebook and key, and the code of the page."""

import subprocess
import sys

from tests.builder.course import add, build, built, edit, inputs, source
from tools.builder import shared, stale
from tools.builder.source import find, read


def module(places):
    return shared.module(read(source(places)))


def test_the_sequel_runs_on_the_shared_code(executed):
    book = built(executed, "00b")
    text = "".join(output.get("text", "") for cell in book.cells for output in cell.get("outputs", []))
    assert "twice half of a square: 22.5\n" in text  # 2 · 2.5 · 3² / 2, with the reference of the exercise
    assert "course_utils/lessons/lesson_00.py" in book.metadata.course.measured.package
    assert (executed.taught / "lesson_00.py").is_file() and not (executed.taught / "lesson_00b.py").exists()


def test_a_sequel_has_its_own_name_badge_and_place_after_its_lesson(places):
    assert [path.stem for path in find(places)] == ["00_tiny", "00b_sequel"]
    book = inputs(places, "00b")
    assert (
        "# 00b A tiny sequel" in book.cells[0].source and "notebooks/00b_sequel.ipynb" in book.cells[0].source
    )
    assert all(cell.id.startswith("00b-") for cell in book.cells)


def test_the_module_holds_the_code_of_the_page_and_says_where_it_stood(places):
    text = module(places)
    assert "# Section 1 · An exercise\n\nSCALE = 2.5  # of both halves" in text
    assert "from course_utils.checks.references.ref_00 import half_square as checked_half" in text
    assert "math" not in text  # nothing shared needs it
    assert text.endswith('__all__ = [\n    "SCALE",\n    "checked_half",\n    "double_half",\n]\n')
    compile(text, "lesson_00.py", "exec")


def test_it_takes_the_imports_it_needs_and_decorated_classes_whole(places):
    add(
        places,
        '# %% tags=["shared"]\nfrom dataclasses import dataclass\n\n\n# A pair.\n@dataclass\nclass Pair:\n'
        "    angle: float = math.pi\n",
    )
    text = module(places)
    assert "import math\nfrom dataclasses import dataclass\n" in text
    assert "# Section 3 · A run\n\n# A pair.\n@dataclass\nclass Pair:" in text


def test_a_lesson_that_shares_nothing_has_no_module(places):
    assert module(places) is not None
    edit(places, '# %% tags=["shared"]', "# %%")
    assert module(places) is None


def test_agreement_covers_the_module(executed, places):
    build(places, run=False)
    build(places, "00b", run=False)
    assert stale.disagreements(places) == []
    edit(places, "2.5  # of both", "3.5  # of both")
    assert "lesson_00.py is not what lessons/00_tiny.py builds." in stale.disagreements(places)
    (places.taught / "lesson_07.py").write_text("")
    assert "lesson_07.py has no lesson: delete it." in stale.disagreements(places)


def test_the_package_tells_readers_what_this_is():
    ask = "import course_utils.lessons as l, sys; print(l.__doc__); assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True)
    assert "the cells that its lesson tags `shared`" in " ".join(done.stdout.split()), done.stderr
