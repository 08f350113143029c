"""What a reader sees while a model trains, in a real kernel: a picture that ends static, an interrupt that
works."""

import base64
import io
import time

import numpy as np
import pytest
from jupyter_client.manager import start_new_kernel
from matplotlib.figure import Figure
from PIL import Image

from course_utils.train import previews, progress
from course_utils.train.history import History

PREPARE = """
import os, time, torch
os.environ["COURSE_PROFILE"] = {profile!r}
import course_utils as cu
from course_utils.system import folders
from course_utils.train import progress
from tests.train.training import mlp, noisy_loss, points
folders.runs_dir = lambda: __import__("pathlib").Path({folder!r})
progress.SECONDS = progress.SHARE = 0
"""
TRAIN = """
history = cu.fit(mlp(), noisy_loss, points(), steps=20, log_every=5, name="seen",
                 preview=lambda step: torch.rand(4, 28, 28))
"""
ENDLESS = """
history = cu.fit(mlp(), noisy_loss, points(), steps=10**9, log_every=10**9, name="endless",
                 preview=lambda step: print("BEGUN", flush=True))
print("AFTER", history.stopped)
"""


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    """Run code in one kernel; returns its messages. `interrupt_at`: send Ctrl-C once this was
    printed."""
    manager, client = start_new_kernel(cwd=".")
    folder = str(tmp_path_factory.mktemp("runs"))

    def run(code, interrupt_at=None):
        sent, messages = client.execute(code), []
        while True:
            message = client.get_iopub_msg(timeout=120)
            if message["parent_header"].get("msg_id") != sent:
                continue
            messages.append(message)
            if interrupt_at and interrupt_at in message["content"].get("text", ""):
                interrupt_at = None
                time.sleep(0.3)
                manager.interrupt_kernel()
            if message["content"].get("execution_state") == "idle":
                reply = client.get_shell_msg(timeout=60)["content"]
                assert reply["status"] == "ok", reply
                return messages

    run.folder = folder
    yield run
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def displayed(messages):
    """What stands below the cell in the end: the last content of each display, and the text."""
    places, text = {}, ""
    for message in messages:
        if message["msg_type"] in ("display_data", "update_display_data"):
            places[message["content"]["transient"]["display_id"]] = message["content"]
        elif message["msg_type"] == "stream":
            text += message["content"]["text"]
    return list(places.values()), text


def picture(content):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(content["data"]["image/png"]))).convert("L"))


def test_a_live_picture_ends_as_one_static_picture_and_one_line(kernel):
    kernel(PREPARE.format(profile="live", folder=kernel.folder))
    messages = kernel(TRAIN)
    kinds = [m["msg_type"] for m in messages]
    (shown,), text = displayed(messages)
    first = next(m for m in messages if m["msg_type"] == "display_data")["content"]["data"]
    assert (
        "application/vnd.jupyter.widget-view+json" in first and "comm_msg" in kinds
    )  # live: bytes of one widget
    assert kinds.count("display_data") == 1
    assert set(shown["data"]) == {"image/png", "text/plain"} and shown["metadata"]["image/png"]["alt"]
    assert len(shown["data"]["image/png"]) < 150_000 and picture(shown).std() > 5
    assert text.count("\n") == 1 and text.startswith("seen: 20 steps")


def test_an_interrupt_of_the_kernel_returns_the_history(kernel):
    kernel(PREPARE.format(profile="live", folder=kernel.folder))
    messages = kernel(ENDLESS, interrupt_at="BEGUN")
    text = displayed(messages)[1]
    assert "AFTER interrupted after" in text and "Run the cell again to go on" in text


def test_the_quick_profile_shows_one_small_picture(kernel):
    kernel(PREPARE.format(profile="quick", folder=kernel.folder))
    messages = kernel(TRAIN)
    (shown,), text = displayed(messages)
    assert [m["msg_type"] for m in messages].count("comm_open") == 0
    assert len(shown["data"]["image/png"]) < 40_000 and text.startswith("seen: 8 steps")


def test_a_preview_may_be_a_figure_or_images():
    fig = Figure(figsize=(2, 1), dpi=50)
    fig.subplots().plot([1, 2])
    assert previews.as_picture(fig).shape == (50, 100, 4)
    images = np.zeros((4, 5, 5), np.uint8)
    images[:, 2, 2] = 255
    tiled = previews.as_picture(images)
    assert tiled.ndim == 2 and tiled[2, 2] == 0 and tiled[0, 0] == 255  # ink on white paper
    assert previews.as_picture(None) is None
    few, many = (previews.as_picture(np.zeros((n, 28, 28), np.uint8)) for n in (36, 1_000))
    assert many.shape == few.shape  # a thousand would be specks


def test_drawing_takes_a_small_share_of_the_time(monkeypatch):
    monkeypatch.setattr(progress.machine, "in_notebook", lambda: True)
    monkeypatch.setenv("COURSE_PROFILE", "live")
    clock = [0.0]
    monkeypatch.setattr(progress.time, "perf_counter", lambda: clock[0])
    record = History("x", total=10_000)
    display, drawn = progress.Progress(record), []

    def draw(step):
        drawn.append(clock[0])
        clock[0] += 0.2

    monkeypatch.setattr(display, "_draw_live", draw)
    for step in range(10_000):
        clock[0] += 0.01
        display.update(step)
    assert len(drawn) > 5 and 0.2 * len(drawn) / clock[0] < 1 / progress.SHARE + 0.01
    assert min(b - a for a, b in zip(drawn, drawn[1:])) >= 1


@pytest.fixture
def live(monkeypatch):
    """A display in a pretended notebook, whose clock the test moves, and the moments at which it drew."""
    monkeypatch.setattr(progress.machine, "in_notebook", lambda: True)
    monkeypatch.setenv("COURSE_PROFILE", "live")
    clock, drawn = [0.0], []
    monkeypatch.setattr(progress.time, "perf_counter", lambda: clock[0])
    display = progress.Progress(History("x", total=1_000))

    def draw(step):
        drawn.append(clock[0])
        clock[0] += 0.3 if len(drawn) == 1 else 0.01

    monkeypatch.setattr(display, "_draw_live", draw)
    return display, clock, drawn


def test_the_second_picture_does_not_wait_for_the_slow_first_one(live):
    display, clock, drawn = live
    for step in range(60):
        clock[0] += 0.1
        display.update(step)
    assert drawn[1] - drawn[0] < 2 * progress.SECONDS
    assert len(drawn) >= 4


def test_one_log_point_can_be_seen():
    record = History("x", total=100)
    record.add(10, {"loss": 1.0})
    display = progress.Progress(record)

    def ink():
        picture = Image.open(io.BytesIO(display._picture().png)).convert("RGB")
        r, g, b = np.asarray(picture).astype(int).transpose(2, 0, 1)
        return int(((b - r) > 60).sum())  # of the first colour of the palette, blue

    assert ink() > 20
