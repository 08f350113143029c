"""The wall and the sheet: every frame and every key redraws, late frames are left out, and any text is a drawing."""

import asyncio
import gc
import threading
import time
import weakref
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from IPython.utils.capture import capture_output

import course_utils as cu
from course_utils import widgets
from course_utils.data.my_digit import SHIPPED, _parse, _render
from course_utils.plots import images
from course_utils.plots.picture import Picture
from course_utils.system import folders
from course_utils.widgets import live
from tests.widgets.opened import count_open

DOTS = "." * 14
SHIPPED_TEXT = SHIPPED.read_text(encoding="utf-8").strip("\n")


@pytest.fixture(autouse=True)
def _no_runs(monkeypatch, tmp_path):
    """An empty folder of runs: no digit of the reader's."""
    monkeypatch.setattr(folders, "runs_dir", lambda: tmp_path / "runs")


@pytest.fixture
def clock(monkeypatch):
    """Replace the clock of the line below the picture; `clock[0]` is the time in seconds."""
    now = [100.0]
    monkeypatch.setattr(live, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    return now


def frame_of(frame, **_):
    """Four images whose grey says which frame it is."""
    return torch.full((4, 8, 8), min(frame, 255), dtype=torch.uint8)


# The wall


def test_the_player_shows_the_pixels_of_each_frame_in_a_loop():
    shown = live.wall(frame_of, "A wall.", frames=9, rate=25)
    player = shown.controls["frame"]
    assert isinstance(shown, widgets.Panel) and [shown] == widgets.REGISTRY
    assert (player.min, player.max, player.step, player.interval) == (0, 8, 1, 40)
    assert player.repeat if player.has_trait("repeat") else player._repeat  # ipywidgets 8, and 7
    assert shown.image.value == images.enlarged(frame_of(0)).png
    player.value = 7
    assert shown.image.value == images.enlarged(frame_of(7)).png != images.enlarged(frame_of(0)).png


@pytest.mark.parametrize(
    "stack",
    [
        torch.rand(4, 1, 8, 8, requires_grad=True),
        np.random.default_rng(0).random((4, 8, 8)),
        np.random.default_rng(0).integers(0, 256, (3, 1, 8, 8), dtype=np.uint8),
    ],
)
def test_tensors_and_arrays_are_shown_as_a_grid(stack):
    assert live.wall(lambda frame: stack, "A wall.").image.value == images.enlarged(stack).png


def test_a_figure_or_a_picture_is_shown_as_it_is():
    picture = images.enlarged(frame_of(3), width=900)
    assert live.wall(lambda frame: picture, "A picture.").image.value == picture.png
    shown = live.wall(lambda frame: plt.figtext(0.1, 0.5, str(frame)).figure, "A figure.")
    before = shown.image.value
    shown.controls["frame"].value = 1
    assert shown.image.value != before and not plt.get_fignums()
    shown = live.wall(lambda frame: plt.subplots(1, 2, figsize=(3, 1))[1], "Axes, as for cu.explore.")
    assert bytes(shown.image.value).startswith(b"\x89PNG") and not plt.get_fignums()


def test_controls_arrive_as_keywords_beside_the_frame():
    seen = []
    shown = live.wall(
        lambda *a, **k: (seen.append((a, k)), frame_of(0))[1], "A wall.", k=(0, 4), mode=["a", "b"]
    )
    shown.controls["mode"].value = "b"
    shown.controls["frame"].value = 5
    shown.controls["k"].value = 4
    assert seen == [
        ((0,), {"k": 2, "mode": "a"}),
        ((0,), {"k": 2, "mode": "b"}),
        ((5,), {"k": 2, "mode": "b"}),
        ((5,), {"k": 4, "mode": "b"}),
    ]
    with pytest.raises(ValueError, match="gives 'frame' itself"):
        live.wall(frame_of, "A wall.", frame=(0, 4))


@pytest.mark.parametrize(
    ("frames", "rate"), [(1, 20), (2.5, 20), (9, 0), (9, float("inf")), (9, float("nan"))]
)
def test_numbers_that_make_no_film_are_refused(frames, rate):
    with pytest.raises(ValueError, match="A film needs"):
        live.wall(frame_of, "A wall.", frames=frames, rate=rate)


def test_the_line_tells_the_frames_a_second(clock):
    cost = [0.05]

    def draw(frame):
        clock[0] += cost[0]
        return frame_of(frame)

    shown = live.wall(draw, "A wall.", rate=20)
    player, told = shown.controls["frame"], []

    def play(n):
        for _ in range(n):
            player.value += 1
        told.append(shown.line.value)

    play(1)  # one redraw is no rate
    play(30)
    cost[0] = 0.1
    play(5)  # some of the last two seconds at 20, some at 10
    play(30)
    clock[0] += 60
    play(1)  # it stood still
    cost[0] = 3.0
    play(9)
    assert told[0] == told[4] == ""
    assert [told[i] for i in (1, 3, 5)] == [f"{n} frames a second" for n in ("20", "10", "0.3")]
    assert 10 < int(told[2].split()[0]) < 20


def test_frames_that_come_while_one_is_drawn_are_left_out():
    """As in JupyterLab, where a thread of its own hears the player."""
    drawn, sent = [], threading.Event()

    def draw(frame):
        drawn.append(frame)
        if frame:
            sent.wait(10)
        return frame_of(frame)

    async def play():
        player = live.wall(draw, "A slow wall.").controls["frame"]

        def hear():
            for frame in range(1, 41):
                player.value = frame
            sent.set()

        await asyncio.to_thread(hear)
        await asyncio.sleep(0)

    asyncio.run(play())
    assert drawn[0] == 0 and drawn[-1] == 40 and len(drawn) <= 3


def test_the_static_picture_is_the_first_frame_or_the_one_asked_for():
    first, seventh = (images.enlarged(frame_of(i)).png for i in (0, 7))
    assert live.wall(frame_of, "A wall.").static.png == first
    shown = live.wall(frame_of, "Another wall.", static=lambda: frame_of(7))
    assert (shown.static.png, shown.image.value) == (seventh, first)
    shown = live.wall(frame_of, "A figure.", static=lambda: plt.figtext(0.1, 0.5, "static").figure)
    assert isinstance(shown.static, Picture) and shown.static.caption == "A figure." and not plt.get_fignums()


def test_playing_leaves_the_random_state_alone_and_has_the_same_noise_in_every_frame():
    torch.manual_seed(3)
    expected = torch.rand(1).item()
    torch.manual_seed(3)
    shown = live.wall(lambda frame: torch.rand(4, 8, 8), "Noise.")
    before = shown.image.value
    shown.controls["frame"].value = 2
    assert shown.image.value == before and torch.rand(1).item() == expected


def test_quick_tries_all_frames_and_lets_errors_through(monkeypatch):
    monkeypatch.setenv("COURSE_PROFILE", "quick")
    seen = []
    shown = live.wall(
        lambda frame, k: (seen.append(frame), frame_of(frame))[1], "A wall.", frames=9, k=(0, 2)
    )
    assert {0, 4, 8} <= set(seen) and shown.controls["frame"].value == 0
    assert shown.line.value == "" and shown.image.value == shown.static.png
    with pytest.raises(ZeroDivisionError):
        live.wall(lambda frame: frame_of(frame) / (8 - frame) * 0 + 1 // (8 - frame), "Ends badly.", frames=9)


# The sheet


def seen_by(**options):
    """A sheet, and the list of the images that its drawing function has got."""
    seen = []
    return live.sheet(lambda image: (seen.append(image), image)[1], "A sheet.", **options), seen


def my_digit_of(text):
    return _render(_parse(text))


def same(image, other):
    return image.dtype == torch.uint8 and image.shape == (1, 28, 28) and torch.equal(image, other)


def test_every_key_changes_the_image_which_is_that_of_my_digit():
    shown, seen = seen_by()
    area = shown.controls["image"]
    text = area.value
    assert text == SHIPPED_TEXT and same(seen[0], my_digit_of(text))
    for line, column in ((0, 0), (5, 3), (5, 4)):
        lines = text.split("\n")
        lines[line] = lines[line][:column] + "#" + lines[line][column + 1 :]
        area.value = text = "\n".join(lines)
        assert same(seen[-1], my_digit_of(text)) and not torch.equal(seen[-1], seen[-2])
        assert shown.image.value == images.enlarged(seen[-1]).png
    assert len(seen) == 4


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("#", ["#" + "." * 13] + [DOTS] * 13),
        ("..##\n\n ..####", ["..##" + "." * 10, DOTS, "...####" + "." * 7] + [DOTS] * 11),
        ("\n".join([DOTS + "####"] * 13 + ["...#..........#", "#" * 14]), [DOTS] * 13 + ["...#" + "." * 10]),
        ("x.\t.Ω\r\n.0", ["#...#" + "." * 9, ".#" + "." * 12] + [DOTS] * 12),
    ],
    ids=["one sign", "short lines", "too much", "other signs"],
)
def test_any_text_is_a_drawing(typed, meant):
    shown, seen = seen_by()
    shown.controls["image"].value = typed
    assert shown.error is None and same(seen[-1], my_digit_of("\n".join(meant)))
    assert shown.controls["image"].value == typed, "what is typed is left to the reader"


@pytest.mark.parametrize("typed", ["", "\n\n", DOTS, " " * 300, "\n".join([DOTS + "#"] * 14)])
def test_an_empty_sheet_is_all_zeros(typed):
    shown, seen = seen_by()
    shown.controls["image"].value = typed
    assert shown.error is None and same(seen[-1], torch.zeros(1, 28, 28, dtype=torch.uint8))


def test_clear_gives_zeros_and_the_other_button_the_start():
    start = "\n   ##\n  #  #\n   ##\n"
    shown, seen = seen_by(start=start)
    area, first = shown.controls["image"], shown.controls["image"].value
    assert first.split("\n")[:2] == [".##" + "." * 11, "#..#" + "." * 10] and len(first) == 14 * 15 - 1
    shown.buttons["Clear"].click()
    assert area.value == "\n".join([DOTS] * 14) and not seen[-1].any()
    shown.buttons["Back to the start"].click()
    assert area.value == first and same(seen[-1], my_digit_of(first)) and torch.equal(seen[-1], seen[0])
    assert len(seen) == 3, "one redraw a click"


def test_it_starts_with_the_readers_own_digit_if_there_is_one():
    own = "." + SHIPPED_TEXT[1:].replace(".", "#", 1)
    cu.my_digit(own)
    shown, seen = seen_by()
    assert shown.controls["image"].value == own and same(seen[0], cu.my_digit())
    saved = folders.runs_dir() / "my_digit.txt"
    saved.write_text(own, encoding="utf-8-sig")  # as Notepad writes it
    assert seen_by()[0].controls["image"].value == own
    saved.write_bytes(b"\xff\xfe#\n")
    assert seen_by()[0].controls["image"].value == SHIPPED_TEXT


def test_the_area_answers_while_it_is_typed_in_however_slow_the_drawing_is():
    def slow(image, k):
        time.sleep(1.1 * widgets.panel.SLOW)
        return image

    shown = live.sheet(slow, "Slow.", k=(0, 4))
    area = shown.controls["image"]
    assert area.continuous_update is True and shown.controls["k"].continuous_update is False
    assert area.rows == 14 and "course-sheet" in area._dom_classes and "monospace" in live._STYLE


def test_the_line_tells_how_long_an_answer_took(clock):
    def draw(image, k):
        clock[0] += 0.012 if k < 4 else 0.002
        return image

    shown = live.sheet(draw, "A sheet.", k=(0, 4))
    shown.controls["image"].value = "##"
    assert shown.line.value == "12 milliseconds for this answer: 83 a second"
    shown.controls["k"].value = 4
    assert shown.line.value == "2.0 milliseconds for this answer: 500 a second"


def test_an_error_shows_and_goes_away():
    def draw(image):
        if not image.any():
            raise RuntimeError("an empty <sheet>")
        return image

    shown = live.sheet(draw, "A sheet.")
    before, line = shown.image.value, shown.line.value
    shown.press("Clear")
    assert "RuntimeError: an empty &lt;sheet&gt;" in shown.message.value
    assert (shown.image.value, shown.line.value) == (before, line), "what failed is no answer"
    shown.controls["image"].value = "#"
    assert shown.message.value == "" and shown.error is None and shown.image.value != before


def test_quick_tries_an_empty_sheet_and_the_buttons(monkeypatch):
    monkeypatch.setenv("COURSE_PROFILE", "quick")
    shown, seen = seen_by()
    assert len(seen) == 1 + 3 + 2 and sum(not image.any() for image in seen) == 2
    assert shown.controls["image"].value == SHIPPED_TEXT and shown.line.value == ""
    with pytest.raises(ZeroDivisionError):
        live.sheet(lambda image: (1 // int(image.max()), image)[1], "Fails on an empty sheet.")


# Both


class Heavy:
    """What a lesson's drawing function holds."""


@pytest.mark.parametrize("make", [live.wall, live.sheet])
@pytest.mark.parametrize("where", ["notebook", "script"])
def test_a_cell_that_is_run_again_closes_its_first_widget(make, where, request):
    def cell():
        heavy = Heavy()
        return make(lambda _, k: (heavy, frame_of(9))[1], "Again.", k=(0, 4)), weakref.ref(heavy)

    shown = request.getfixturevalue("notebook") if where == "notebook" else capture_output
    with shown():
        first, held = cell()
        opened = count_open()
        again, alive = cell()
    gc.collect()
    assert count_open() == opened and [again] == widgets.REGISTRY
    assert first.line.comm is None and first.image.comm is None and held() is None and alive() is not None


@pytest.mark.parametrize("make", [live.wall, live.sheet])
def test_it_is_one_output_with_the_line_right_below_the_picture(make, notebook):
    with notebook() as captured:
        shown = make(lambda _, k: frame_of(9), "One output.", k=(0, 4))
    bundle, caption = captured.outputs
    assert set(bundle.data) == {"application/vnd.jupyter.widget-view+json", "image/png", "text/plain"}
    assert caption.data["text/markdown"] == "**Figure.** *One output.*"

    def boxes(box):
        inner = [part for child in getattr(box, "children", ()) for part in boxes(child)]
        return [box, *inner]

    inside = boxes(shown.box)
    assert all(part in inside for part in [*shown.controls.values(), *shown.buttons.values(), shown.message])
    assert any(getattr(part, "children", None) == (shown.image, shown.line) for part in inside)
