"""JupyterLab in Chromium: lessons run, widgets answer to keyboard and mouse, solutions fold, exercises give
feedback.

One server, one browser and one kernel serve the whole module; one lesson a run, and all of them in the full run
(`python tasks.py test --all`). Screenshots are kept in build/browser.
"""

import inspect
import json
import re

import pytest

from tests.browser.lab import ROOT, Lab, missing
from tests.browser.pages import cut, faint, prose, wide_cells
from tests.rotation import share
from tests.wrong_answers import lesson_00
from tools.builder import exercises
from tools.builder.source import read

pytestmark = pytest.mark.skipif(missing() is not None, reason=str(missing()))
KEY = re.compile(r"^ *(?:\w+ = )?cu\.(explore|plane|scrub|stepper)\(", re.MULTILINE)
KINDS = [
    """import matplotlib.pyplot as plt
import course_utils as cu
def draw(k, mode, which, flag):
    return plt.figtext(0.1, 0.5, f"{k} {mode} {which} {flag}").figure
long = [f"a rather long text, number {i}" for i in range(9)]
cu.explore(draw, "Every kind.", k=(0, 10), mode=["a", "b"], which=long, flag=False, surprise=True, play=True)""",
    """def count(state):
    return plt.figtext(0.1, 0.5, str(state)).figure
cu.stepper(0, {"Step": lambda state: state + 1}, count, "Steps.")
cu.quiz([{"text": "1 + 1?", "options": ["2", "3"], "answer": "2", "why": "Count."}], "One question.")""",
]


FAILING = KINDS[0].replace("    return", "    if k == 9: raise ValueError('too many')\n    return")
SAID = """import sys
cu.table([["a", 1.0], ["b", 2.0], ["c", 3.0]], ["name", "value"], "A table.")
cu.facts("gap, nats", 1.0, "images", 3)
right = cu.check("03b.gain", lambda: 3.0)
wrong = cu.check("03b.gain", lambda: "much")
print("a warning", file=sys.stderr)"""
PROSE = "A [link](#here), `code`, **bold**.\n\n> quoted\n\n<details><summary>Hint</summary>\n\nFolded.\n\n</details>"


def cells_of(path):
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


def source(cell):
    return "".join(cell["source"])


def key_widget(path):
    """Index of the first cell with a widget that draws, or None."""
    cells = enumerate(cells_of(path))
    return next((i for i, cell in cells if cell["cell_type"] == "code" and KEY.search(source(cell))), None)


ALL = sorted((ROOT / "notebooks").glob("*.ipynb"))
LESSONS = [path for path in ALL if key_widget(path) is not None]
GAME = ROOT / "notebooks" / "07_comparing_models.ipynb"


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    with Lab(tmp_path_factory.mktemp("lab")) as lab:
        yield lab


@pytest.fixture(scope="module")
def reading(lab):
    """What two lessons say, and one of each thing that the course itself says below a cell, on one page."""
    wide = [cell for path in share(ALL, 2) for cell in wide_cells(path)]
    lab.write("reading", FAILING, KINDS[1], SAID, above=[*wide, prose(PROSE)])
    return lab.open("reading", unfold=False)


def test_the_browser_has_a_lesson_to_open():
    assert len(LESSONS) >= 5


@pytest.mark.parametrize("path", share(LESSONS), ids=lambda path: path.stem)
def test_the_key_widget_of_a_lesson_answers_to_keyboard_and_mouse(lab, path):
    book, index = lab.open(path.stem), key_widget(path)
    book.run(0, index)
    (view, *_) = book.widgets(index)
    book.select(index)
    reached, tried = [], {"other"}
    for stop in view.tab_stops():
        reached.append(stop)
        if (kind := view.kind(stop)) not in tried and not (kind == "choice" and view.is_chosen(stop)):
            tried.add(kind)
            answers = view.changes(lambda: view.press(stop), seconds=30)
            # a busy machine may still lay out the page under the first key; a second one must do
            answers = answers or view.changes(lambda: view.press(stop))
            assert answers, f"the picture does not answer to a key on its {kind}"
            if kind == "player":
                view.press(stop)  # the same button pauses
    assert reached == list(range(view.controls.count())) != [], "Tab does not reach every control in order"
    if "slider" in tried:
        slider = next(i for i in reached if view.kind(i) == "slider")
        assert view.changes(lambda: view.drag(slider)), "the picture does not answer to dragging its slider"
    assert book.errors() == []
    view.box.scroll_into_view_if_needed()
    book.screenshot()


def test_every_kind_of_control_answers_to_keyboard_and_mouse(lab):
    lab.write("every_kind", *KINDS)
    book = lab.open("every_kind")
    book.run(0, 1)
    explore, (stepper, quiz) = book.widgets(0)[0], book.widgets(1)
    book.select(0)
    pressed = []
    for stop in explore.tab_stops():
        kind = explore.kind(stop)
        pressed.append(kind)
        if kind != "player" and not (kind == "choice" and explore.is_chosen(stop)):
            assert explore.changes(lambda: explore.press(stop)), (kind, stop)
    assert pressed == ["player"] * 3 + ["slider"] + ["choice"] * 11 + ["tick", "button"]
    book.select(1)
    stops = stepper.tab_stops()
    assert next(stops) == 0 and stepper.changes(lambda: stepper.press(0))
    assert next(stops) == 1 and stepper.changes(lambda: stepper.press(1)), "Reset"
    assert stepper.changes(stepper.controls.first.click), "a click on Step"
    quiz.controls.first.click()
    quiz.box.get_by_role("status").wait_for()
    assert "Right." in quiz.box.inner_text()
    assert book.errors() == []
    book.screenshot()


def test_nothing_is_cut_in_a_wide_window_and_in_a_narrow_one(lab, reading):
    assert cut(lab) == {}


def test_text_can_be_read_in_the_dark_theme_and_in_the_light_one(lab, reading):
    first = reading.cells.count() - 3
    reading.run(first, first + 2)
    explore, (_, quiz) = reading.widgets(first)[0], reading.widgets(first + 1)
    for option in (0, 1):
        quiz.controls.nth(option).click()
        quiz.box.get_by_role("status").filter(has_text=("Right.", "Not quite.")[option]).wait_for()
    explore.controls.nth(3).focus()
    lab.page.keyboard.press("End")
    lab.page.keyboard.press("ArrowLeft")
    explore.box.get_by_role("alert").wait_for()
    assert faint(lab) == {}
    reading.screenshot()


def test_a_picture_that_does_not_depend_on_its_slider_is_caught(lab):
    """What the tests above ask, with the answer no: the control moves, and the same picture is drawn
    again."""
    drawn = "import matplotlib.pyplot as plt\nimport course_utils as cu\ndrawn = []\n"
    drawn += "def deaf(k):\n    drawn.append(k)\n    return plt.figtext(0.1, 0.5, 'always the same').figure\n"
    lab.write(
        "deaf", drawn + "cu.explore(deaf, 'Deaf.', k=(0, 10))", "print('drawn for', sorted(set(drawn)))"
    )
    book = lab.open("deaf")
    book.run(0, 0)
    (view, *_) = book.widgets(0)
    book.select(0)
    next(view.tab_stops())
    assert not view.changes(lambda: view.press(0), seconds=3)
    book.run(1, 1)
    assert len(re.findall(r"\d+", book.output(1))) >= 2, "the slider did not move at all"


def test_an_error_in_a_callback_is_seen_below_the_widget(lab):
    """What the tests above would see, had a lesson such an error: the last value but one of this slider is
    refused."""
    lab.write(
        "an_error", KINDS[0].replace("    return", "    if k == 9: raise ValueError('too many')\n    return")
    )
    book = lab.open("an_error")
    book.run(0, 0)
    (view,) = book.widgets(0)
    view.controls.nth(3).focus()
    lab.page.keyboard.press("End")
    lab.page.keyboard.press("ArrowLeft")
    view.box.get_by_role("alert").wait_for()
    assert book.errors() == ["ValueError: too many"]
    lab.page.keyboard.press("ArrowLeft")
    view.box.get_by_role("alert").wait_for(state="detached")
    assert book.errors() == []


@pytest.mark.turns(2)
def test_an_answer_gets_its_feedback_and_the_solution_folds(lab):
    (exercise, *_) = exercises.find(read(ROOT / "lessons" / "00_start_here.py"))
    cells = cells_of(ROOT / "notebooks" / "00_start_here.ipynb")
    index = next(i for i, cell in enumerate(cells) if source(cell) == exercise.stub)
    check = next(i for i in range(index + 1, len(cells)) if cells[i]["cell_type"] == "code")
    assert cells[check + 1]["metadata"]["tags"] == ["solution"]
    book = lab.open("00_start_here")
    book.run(0, 2)
    book.run(index, check)
    assert "○ 00.pixels: not attempted yet" in book.output(check)

    wrong, hint = lesson_00.WRONG[exercise.check_id][0]
    book.write(index, re.sub(r"^def \w+", f"def {exercise.name}", inspect.getsource(wrong)))
    book.run(check, check)
    assert "✗ 00.pixels" in book.output(check) and hint in book.output(check)
    book.screenshot("wrong_answer")

    advice = book.cells.nth(index + 1).locator("details")
    assert "Hint" in advice.inner_text() and not advice.locator("p").first.is_visible()
    advice.locator("summary").click()
    assert advice.locator("p").first.is_visible()

    fold = book.cells.nth(check + 1).locator("details")
    answer = fold.locator("pre")
    assert not answer.is_visible()
    fold.locator("summary").click()
    assert answer.is_visible()
    solution = answer.inner_text()
    lab.page.keyboard.press("Enter")  # the summary has the focus
    assert not answer.is_visible(), "the solution does not fold by keyboard"

    book.write(index, solution)
    book.run(check, check)
    assert "✓ 00.pixels" in book.output(check)
    assert book.errors() == []
    book.screenshot("right_answer")


@pytest.mark.turns(2)
def test_three_rounds_of_the_game(lab):
    index = next(i for i, cell in enumerate(cells_of(GAME)) if "game.play(" in source(cell))
    book = lab.open(GAME.stem)
    book.run(0, index)
    (game, *_) = book.widgets(index)
    for choice in ("A", "B", "A"):
        button = game.box.get_by_role("button", name=re.compile(rf"^{choice}\b"))
        assert game.changes(button.click), f"no new pair after {choice}"
    assert book.errors() == []
    book.screenshot("game")


@pytest.mark.turns(2)
def test_a_slider_dragged_while_a_cell_runs_changes_nothing_in_it(lab):
    """In JupyterLab, a training and a drawing; tests/widgets/test_turns.py has the ways of other front ends."""
    widget = KINDS[0].split("long =")[0].replace("def draw(k, mode, which, flag)", "def draw(k)")
    widget = widget.replace("{k} {mode} {which} {flag}", "{k} {torch.rand(1).item():.3f}")
    widget = "import torch\n" + widget + 'cu.explore(draw, "A slider above.", k=(0, 1000))'
    cell = f"""import sys, time
sys.path.insert(0, {str(ROOT)!r})
import torch
from tests.train.training import mlp, noisy_loss, points
model, opened = mlp(), []
optimiser = torch.optim.SGD(model.parameters(), 0.1)
for step in range(150):
    time.sleep(0.02)
    optimiser.zero_grad()
    noisy_loss(model, points().batch(step))["loss"].backward()
    optimiser.step()
    fig, ax = plt.subplots()
    plt.plot([step])
    opened.append(len(ax.lines))
    plt.close(fig)
history = cu.fit(model, noisy_loss, points(), steps=8)
print(repr(sum(w.double().sum().item() for w in model.parameters())), set(opened))"""
    seeds = "import random\nimport numpy as np\nrandom.seed(1); np.random.seed(1)\ntorch.manual_seed(1)\n"
    lab.write("dragged", widget, seeds + cell)
    book = lab.open("dragged")
    book.run(0, 1)
    alone = book.output(1).split()[-2:]
    (view,) = book.widgets(0)
    before = view.picture()
    book.select(1)
    lab.page.keyboard.press("Shift+Enter")
    prompt = book.cells.nth(1).locator(".jp-InputPrompt")
    handle = view.controls.nth(0)
    handle.focus()
    moves = 0
    while "*" in prompt.inner_text() and moves < 200:
        lab.page.keyboard.press("ArrowRight" if moves % 3 else "PageUp")
        lab.page.wait_for_timeout(100)
        moves += 1
    assert moves >= 3
    assert book.output(1).split()[-2:] == alone and alone[1] == "{1}"
    assert view.changes(lambda: None, seconds=20) or view.picture() != before, "the picture has not followed"
    assert book.errors() == []


@pytest.mark.turns(2)
def test_a_widget_keeps_its_picture_after_a_save_and_a_restart(lab):
    lab.write("kept", KINDS[0])
    book = lab.open("kept")
    book.run(0, 0)
    (view,) = book.widgets(0)
    before = view.picture()
    lab.page.keyboard.press("ControlOrMeta+s")
    path = lab.folder / "notebooks" / "kept.ipynb"
    lab.page.wait_for_function("() => !document.querySelector('.jp-NotebookPanel .jp-mod-dirty')")
    lab.page.wait_for_timeout(1000)
    assert "widgets" in json.loads(path.read_text(encoding="utf-8"))["metadata"]
    lab.ask(f"/api/kernels/{lab.kernel}/restart", {})
    lab.page.reload()
    lab.page.wait_for_selector(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Cell")
    (view,) = book.widgets(0)
    view.box.locator("img.widget-image").wait_for()
    assert view.picture() == before
    assert "Error displaying widget" not in book.output(0)


def test_nothing_came_from_another_address(lab):
    """Runs last: of all that the notebooks, their outputs and JupyterLab asked for."""
    asked = {url for url in lab.requests if not url.startswith((lab.address, "data:", "blob:"))}
    assert len(lab.requests) > 20 and not asked


def test_an_equation_wider_than_a_narrow_window_is_found(lab):
    lab.write("too_wide", SAID, above=[prose("$$" + "x+" * 40 + "x$$")])
    lab.open("too_wide", unfold=False)
    found = cut(lab)
    assert len(found["800 pixels"]) == 1, found
