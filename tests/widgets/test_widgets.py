"""Widgets: one output each, callbacks that redraw, errors that show, quizzes that score, and nothing that
leaks."""

import base64
import gc
import re
import time
import weakref
from types import SimpleNamespace

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

import course_utils as cu
from course_utils import widgets
from course_utils.plots import images
from course_utils.widgets import controls, panel
from tests.widgets.opened import count_open

VIEW = "application/vnd.jupyter.widget-view+json"
QUESTIONS = [
    {"text": "Which is joint?", "options": ["p(y|x)", "p(x, y)", "p(x)"], "answer": 1, "why": "It has both."},
    {"text": "1 + 1 < 3?", "options": ["yes", "no"], "answer": "yes", "why": ["Indeed: 2.", "Count again."]},
]


def bar(height=1.0, **_):
    fig, ax = plt.subplots(figsize=(2, 2))
    ax.bar([0], [height])
    ax.set_ylim(0, 10)
    return fig


# One output


def test_a_widget_is_one_output_with_view_picture_and_text_and_a_visible_caption(notebook):
    with notebook() as captured:
        shown = cu.explore(bar, "A bar.", height=(0, 10))
    bundle, caption = captured.outputs
    assert set(bundle.data) == {VIEW, "image/png", "text/plain"}
    assert bundle.data[VIEW] == {"version_major": 2, "version_minor": 0, "model_id": shown.box.model_id}
    assert base64.b64decode(bundle.data["image/png"]) == shown.static.png == shown.image.value
    assert bundle.metadata["image/png"]["alt"] == bundle.data["text/plain"] == "A bar."
    assert caption.data["text/markdown"] == "**Figure.** *A bar.*"


def test_a_script_shows_the_static_picture(capsys):
    cu.explore(bar, "A bar.", height=(0, 10))
    cu.quiz(QUESTIONS, "Two questions.")
    out = capsys.readouterr().out
    assert out.startswith("[figure] A bar.\n[quiz] Two questions.\n1. Which is joint?\n   A. p(y|x)")
    assert "Answer 2: A. Indeed: 2." in out


def test_the_static_picture_can_be_chosen():
    shown = cu.explore(bar, "A bar.", height=(0, 10), static=lambda: bar(9))
    assert shown.static.png != shown.image.value
    shown.controls["height"].value = 9
    assert shown.static.png == shown.image.value


def test_a_caption_is_required():
    for make in (lambda: cu.explore(bar, "", height=(0, 1)), lambda: cu.quiz(QUESTIONS, " ")):
        with pytest.raises(ValueError, match="caption"):
            make()


# Controls


@pytest.mark.parametrize(
    ("spec", "kind", "value", "tries"),
    [
        ((0, 10), ipywidgets.IntSlider, 5, [0, 5, 10]),
        ((1, 4), ipywidgets.IntSlider, 2, [1, 2, 4]),
        ((0.0, 1.0), ipywidgets.FloatSlider, 0.5, [0, 0.5, 1]),
        ((0, 1, 0.25), ipywidgets.FloatSlider, 0.5, [0, 0.5, 1]),
        ({"min": 0, "max": 9, "step": 3, "value": 6}, ipywidgets.IntSlider, 6, [0, 3, 9]),
        ([1, 10, 100], ipywidgets.SelectionSlider, 1, [1, 10, 100]),
        (["a", "b"], ipywidgets.ToggleButtons, "a", ["a", "b"]),
        (
            [f"a rather long option {i}" for i in range(7)],
            ipywidgets.ToggleButtons,
            "a rather long option 0",
            None,
        ),
        ({"options": ["a", "b", "c"], "value": "b"}, ipywidgets.ToggleButtons, "b", ["a", "b", "c"]),
        (False, ipywidgets.Checkbox, False, [False, True]),
    ],
)
def test_a_specification_becomes_a_control(spec, kind, value, tries):
    control = controls.make_control("guidance_scale", spec)
    assert type(control) is kind and control.value == value and control.description == "guidance scale"
    assert tries is None or controls.extremes(control) == tries
    assert set(map(str, controls.extremes(control))) <= set(map(str, controls.all_values(control)))


@pytest.mark.parametrize(
    "spec",
    [
        *[
            (1,),
            (2, 1),
            {"min": 0},
            [],
            "abc",
            (0, float("inf")),
            (float("nan"), 1.0),
            ("a", "b"),
            (0, 1, -0.1),
        ],
        *[
            (0, 1, 0),
            (0.0, 1.0, 1e-7),
            (0, 10**12),
            (0, "b"),
            (0, 5, "1"),
            {"min": 0, "max": 5, "value": "x"},
        ],
    ],
)
def test_a_specification_that_makes_no_sense_is_refused(spec):
    with pytest.raises(ValueError, match="'k'"):
        controls.make_control("k", spec)
    with pytest.raises(ValueError, match="needs a control"):
        cu.explore(bar, "No control.")


def test_moving_a_control_replaces_the_bytes_of_the_same_image():
    shown = cu.explore(bar, "A bar.", height=(0, 10), colour=["blue", "red"])
    image, first = shown.image, shown.image.value
    shown.controls["height"].value = 9
    assert shown.image is image and image.value != first and bytes(image.value).startswith(b"\x89PNG")
    shown.controls["height"].value = 5
    assert image.value == first and not plt.get_fignums()


def test_slow_drawings_wait_for_the_slider_to_be_let_go(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(panel, "time", SimpleNamespace(perf_counter=lambda: now[0]))

    def takes(seconds):
        def drawing(height):
            now[0] += seconds
            return bar(height)

        return cu.explore(drawing, "A bar.", height=(0, 10)).controls["height"].continuous_update

    assert takes(1.01 * panel.SLOW) is False
    assert takes(0.99 * panel.SLOW) is True


def test_surprise_me_draws_values_of_the_controls():
    seen = []
    shown = cu.plane(lambda x, y: (seen.append((x, y)), bar(abs(x)))[1], "A plane.", x=(-2, 2), y=(0, 1, 0.5))
    for _ in range(5):
        shown.press("Surprise me")
    assert len(seen) == 6, "one redraw a click"
    assert len(set(seen)) > 3 and all(-2 <= x <= 2 and y in (0, 0.5, 1) for x, y in seen)


def test_play_and_slider_follow_each_other():
    shown = cu.explore(bar, "A bar.", height=(0.0, 10.0, 2.5), play=True)
    play, slider = shown.controls["play"], shown.controls["height"]
    before = shown.image.value
    play.value = 4
    assert slider.value == 10 and shown.image.value != before
    slider.value = 2.5
    assert play.value == 1
    slider.value = 2.6  # a front end may send what lies between two steps
    assert play.value == 1 and slider.value == 2.6
    assert play.interval >= 300


# Errors


def broken(height):
    if height == 10:
        raise RuntimeError("too <high>")
    return bar(height)


def test_an_error_shows_in_the_widget_and_goes_away():
    shown = cu.explore(broken, "Breaks at 10.", height=(0, 10))
    before = shown.image.value
    shown.controls["height"].value = 10
    assert "RuntimeError: too &lt;high&gt;" in shown.message.value and 'role="alert"' in shown.message.value
    assert shown.image.value == before and isinstance(shown.error, RuntimeError) and not plt.get_fignums()
    shown.controls["height"].value = 9
    assert shown.message.value == "" and shown.error is None and shown.image.value != before


def test_a_figure_of_a_drawing_that_fails_half_way_is_closed():
    def half(height):
        plt.subplots()
        return bar(height) if height == 5 else None

    shown = cu.explore(half, "Half.", height=(0, 10))
    shown.controls["height"].value = 6
    assert "TypeError" in shown.message.value and not plt.get_fignums()


@pytest.mark.parametrize("where", [0, 5, 10])
def test_quick_calls_every_callback_and_lets_errors_through(monkeypatch, where):
    def draw(height, flip):
        if height == where and (flip or where != 5):
            raise RuntimeError(f"at {where}")
        return bar(height)

    cu.explore(draw, "Live.", height=(0, 10), flip=False)
    monkeypatch.setenv("COURSE_PROFILE", "quick")
    with pytest.raises(RuntimeError, match=f"at {where}") as caught:
        cu.explore(draw, "Quick.", height=(0, 10), flip=False)
    assert "in the widget 'explore: Quick.'" in caught.value.__notes__[0]


def test_quick_also_presses_buttons(monkeypatch):
    monkeypatch.setenv("COURSE_PROFILE", "quick")
    with pytest.raises(ZeroDivisionError):
        cu.stepper(0, {"Step": lambda state: 1 / state}, lambda state: bar(), "Divides by zero.")


def test_exercising_leaves_no_trace():
    shown = cu.explore(bar, "A bar.", height=(0, 10), flip=[1, 2, 3], play=True, surprise=True)
    before, values = shown.image.value, {name: control.value for name, control in shown.controls.items()}
    assert shown.try_all() == 3 + 3 + 3 + 1
    assert shown.image.value == before and shown.error is None
    assert {name: control.value for name, control in shown.controls.items()} == values


# Registry and randomness


def test_the_registry_holds_each_widget_once():
    first = cu.explore(bar, "A bar.", height=(0, 10))
    cu.quiz(QUESTIONS, "Two questions.")
    again = cu.explore(bar, "A bar.", height=(0, 10))
    assert [entry.name for entry in widgets.REGISTRY] == ["quiz: Two questions.", "explore: A bar."]
    assert widgets.REGISTRY[1] is again and first.image.comm is None, (
        "a cell that runs again frees its old widget"
    )
    assert all(entry.try_all() > 0 and entry.controls for entry in widgets.REGISTRY)


def test_widgets_leave_the_random_state_of_the_lesson_alone_and_reuse_their_noise():
    torch.manual_seed(3)
    np.random.seed(3)
    expected = (torch.rand(1).item(), np.random.rand())
    torch.manual_seed(3)
    np.random.seed(3)
    shown = cu.explore(lambda k: bar(10 * torch.rand(1).item() + 0 * np.random.rand()), "Noise.", k=(0, 2))
    before = shown.image.value
    shown.controls["k"].value = 2
    assert shown.image.value == before, "moving a slider does not change the noise"
    assert (torch.rand(1).item(), np.random.rand()) == expected


# Scrub and step


def test_scrub_shows_the_pixels_of_each_frame_and_leaves_a_film_strip():
    frames = np.random.default_rng(0).integers(0, 256, (5, 9, 28, 28), dtype=np.uint8)
    shown = cu.scrub(frames, [f"step {i}" for i in range(5)], "A replay.")
    assert shown.image.value == images.enlarged(frames[0]).png and shown.static.png != shown.image.value
    shown.controls["frame"].value = 3
    assert shown.image.value == images.enlarged(frames[3]).png
    shown.controls["play"].value = 4
    assert shown.image.value == images.enlarged(frames[4]).png and shown.controls["frame"].label == "step 4"


def test_scrub_takes_drawing_functions():
    shown = cu.scrub([lambda i=i: bar(i) for i in range(3)], "abc", "Bars.")
    before = shown.image.value
    shown.controls["frame"].value = 2
    assert shown.image.value != before and not plt.get_fignums()
    with pytest.raises(ValueError, match="labels"):
        cu.scrub([bar], [], "Nothing.")


def test_scrubbing_costs_a_fraction_of_drawing_axes():
    frames = np.random.default_rng(0).random((3, 100, 28, 28))
    shown = cu.scrub(frames, "abc", "A replay.")

    @plt.rc_context(
        plt.rcParamsDefault | {"backend": "Agg"}
    )  # ours would cost the naive way its layout as well
    def naive():
        fig, axes = plt.subplots(10, 10, figsize=(6, 6))
        for ax, image in zip(axes.flat, frames[0], strict=True):
            ax.imshow(image, cmap="gray_r")
            ax.axis("off")
        panel.rendered(lambda: fig)
        plt.close(fig)

    def seconds(call):  # of this thread's processor time, which a busy machine does not stretch
        start = time.thread_time()
        call()
        return time.thread_time() - start

    ours = [seconds(lambda i=i: setattr(shown.controls["frame"], "value", i)) for i in (1, 2, 0)]
    assert min(ours) <= 0.3 * min(seconds(naive) for _ in range(2))  # below 0.1 on an idle machine


def test_a_stepper_repeats_resets_and_keeps_the_first_state():
    state, drawn = {"n": 0, "noise": []}, []

    def step(state):
        state["n"] += 1  # in place, as a training step would
        state["noise"].append(torch.rand(1).item())
        return state

    def draw(state):
        drawn.append((state["n"], list(state["noise"])))
        return bar(state["n"])

    shown = cu.stepper(state, {"Step": step}, draw, "Steps.")
    shown.press("Step")
    shown.controls["times"].value = 10
    shown.buttons["Step"].click()
    assert [n for n, _ in drawn] == [0, 1, 11] and state["n"] == 0
    noise = drawn[-1][1]
    assert len(set(noise)) == 11, "each step has its own noise"
    shown.press("Reset")
    assert drawn[-1] == (0, [])
    shown.press("Step")
    assert drawn[-1] == (10, noise[:10]), "a reset run repeats itself"


# Quiz


def test_a_quiz_counts_first_answers_and_explains():
    quiz = cu.quiz(QUESTIONS, "Two questions.")
    quiz.controls[0, 0].click()
    assert "Not quite" in quiz.feedback[0].value and "It has both." in quiz.feedback[0].value
    quiz.answer(0, 1)
    assert "Right" in quiz.feedback[0].value and quiz.score == 0, "a second try does not count"
    assert quiz.controls[0, 0].description == "A ✗" and quiz.controls[0, 1].description == "B ✓"
    assert quiz.result.value == ""
    quiz.answer(1, 0)
    assert "Indeed: 2." in quiz.feedback[1].value and quiz.score == 1
    assert "1 of 2" in quiz.result.value
    quiz.answer(1, 1)
    assert "Count again." in quiz.feedback[1].value and quiz.score == 1
    assert quiz.try_all() == 5 and quiz.first == {} and quiz.controls[0, 0].description == "A"


def test_what_stands_between_backticks_is_code():
    asked = {"text": "What is `x * y`?", "options": ["`a < b`", "2"], "answer": 1, "why": "See `z`."}
    quiz = cu.quiz([asked | {"text": 5}, asked], "Two questions.")
    quiz.answer(1, 1)
    texts = [w.value for w in _all_widgets(quiz.box) if isinstance(w, ipywidgets.HTML)]
    assert "`" not in "".join(texts)
    shown = [*texts, quiz.markdown()]
    assert any("What is <code>x * y</code>?" in text for text in texts)
    assert any("<code>a &lt; b</code>" in text for text in texts)
    assert "<code>z</code>" in quiz.feedback[1].value and "**What is `x * y`?**" in shown[-1]
    assert "line-height" in quiz.feedback[1].value, "feedback is set like the question"


def _all_widgets(box):
    return [box, *(w for child in getattr(box, "children", ()) for w in _all_widgets(child))]


def test_no_text_has_a_colour_of_its_own():
    """No one colour reaches a contrast of 4.5 : 1 on white and on the black of the dark theme."""
    quiz = cu.quiz(QUESTIONS, "Two questions.")
    quiz.answer(0, 0)
    quiz.answer(1, 0)
    shown = cu.explore(broken, "Breaks at 10.", height=(0, 10))
    shown.controls["height"].value = 10
    for said in (quiz.feedback[0].value, quiz.feedback[1].value, shown.message.value):
        assert said and not re.search(r"(?<![-\w])(color|background)", said)


def test_a_quiz_without_a_kernel_folds_its_answers(notebook):
    with notebook() as captured:
        quiz = cu.quiz(QUESTIONS, "Two questions.")
    bundle, caption = captured.outputs
    assert set(bundle.data) == {VIEW, "text/markdown", "text/plain"}
    text = bundle.data["text/markdown"]
    assert text == quiz.markdown() and text.count("<details>") == text.count("</details>") == 2
    assert text.index("p(x, y)") < text.index("<details>") < text.index("It has both.")
    assert "1 + 1 &lt; 3?" in text and "p(y\\|x)" in text
    assert caption.data["text/markdown"].startswith("**Quiz.**")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"answer": 3}, "none of the options"),
        ({"answer": "maybe"}, "none of the options"),
        ({"options": ["a"]}, "2 to 8"),
        ({"options": ["a", "a"]}, "different"),
        ({"why": ["one"]}, "one text an option"),
        ({"why": None}, "one text an option"),
        ({"why": 5}, "one text an option"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(change, says):
    with pytest.raises(ValueError, match=says):
        cu.quiz([QUESTIONS[0] | change], "One question.")
    with pytest.raises(ValueError, match="lacks why"):
        cu.quiz([{k: v for k, v in QUESTIONS[0].items() if k != "why"}], "One question.")
    with pytest.raises(ValueError, match="at least one"):
        cu.quiz([], "None.")


# Accessibility and versions


def test_every_control_is_labelled_and_of_the_core():
    cu.explore(bar, "A bar.", height=(0, 10), mode=["a", "b"], flag=True, play=True, surprise=True)
    cu.stepper(0, {"Step": lambda s: s + 1}, lambda s: bar(s), "Steps.")
    for entry in widgets.REGISTRY:
        for control in [*entry.controls.values(), *entry.buttons.values(), entry.image, entry.message]:
            assert type(control).__module__.startswith("ipywidgets.widgets.")
            described = getattr(control, "description", "-") or isinstance(
                control, ipywidgets.Play | ipywidgets.HTML
            )
            assert described, control
            assert getattr(control, "disabled", False) is False
        assert getattr(entry.image, "tooltip", None) is None, (
            "a tooltip breaks the view of an Image in ipywidgets 8"
        )


# What a cell that is run again leaves behind


class Heavy:
    """What a lesson's drawing function holds: something large."""

    def __init__(self):
        self.ballast = np.zeros(1_000)


def cell_with(kind):
    """Run the cell of a widget; return its panel and a weak reference to what its functions hold."""
    heavy = Heavy()

    def draw(*_, **__):
        assert heavy is not None
        return bar()

    made = {
        "explore": lambda: cu.explore(draw, "A bar.", k=(0, 3), surprise=True, play=True, static=draw),
        "plane": lambda: cu.plane(draw, "A plane."),
        "scrub": lambda: cu.scrub([draw, draw], ["a", "b"], "Frames."),
        "stepper": lambda: cu.stepper(0, {"Step": lambda s: (heavy, s)[1] + 1}, draw, "Steps."),
    }[kind]()
    return made, weakref.ref(heavy)


@pytest.mark.parametrize("kind", ["explore", "plane", "scrub", "stepper"])
def test_of_a_cell_that_is_run_six_times_one_widget_stays_alive(kind, notebook):
    shown, alive, open_widgets = [], [], []
    with notebook():
        for _ in range(6):
            made, held = cell_with(kind)
            shown.append(made)  # as IPython keeps what a cell ends with
            alive.append(held)
            open_widgets.append(count_open())
    gc.collect()
    assert [held() is not None for held in alive] == [False] * 5 + [True]
    assert len(set(open_widgets)) == 1
    shown[-1].try_all()
    assert shown[-1].error is None


def test_a_quiz_that_is_run_again_leaves_nothing_open(notebook):
    with notebook():
        cu.quiz(QUESTIONS, "Two questions.")
        first = count_open()
        cu.quiz(QUESTIONS, "Two questions.")
    assert count_open() == first
