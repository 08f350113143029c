"""A slider that is moved while a cell runs changes nothing in that cell: not a weight, not a figure."""

import re
import threading

import matplotlib.pyplot as plt
import pytest
import torch

import course_utils as cu
from course_utils import widgets
from tests.train.training import mlp, noisy_loss, points
from tests.widgets.subshell import Kernel

PREPARE = """
import os, threading
os.environ["COURSE_PROFILE"] = "live"
import matplotlib.pyplot as plt
import numpy as np
import torch
import course_utils as cu
from course_utils.train import loop, progress
from tests.train.training import mlp, noisy_loss, points
moved, drawn = [], []
def draw(k):
    drawn.append(k)
    fig, ax = plt.subplots(figsize=(2, 2))
    ax.plot(torch.randn(5).cumsum(0), lw=1 + np.random.rand())
    return fig
panel = cu.explore(draw, "A slider above.", k=(0, 1000))
slider = panel.controls["k"]
slider.observe(lambda change: moved.append(threading.current_thread() is threading.main_thread()), "value")
# ipykernel 7.0 to 7.3 leave the choice of the thread to the front end; later ones send to where the comm spoke last
vars(slider.comm).pop("_reply_subshell_id", None)
print("COMM", slider.comm.comm_id)
"""
TRAIN = """
model = mlp()
history = cu.fit(model, noisy_loss, points(), steps=600, preview=lambda step: print("BEGUN", flush=True))
print("WEIGHTS", [w.double().sum().item() for w in model.parameters()], history["loss"])
"""
DRAW = """
print("BEGUN", flush=True)
drawings = []
for i in range(40):
    fig, ax = plt.subplots(figsize=(2, 2))
    plt.plot(np.random.rand(20))
    fig.canvas.draw()
    drawings.append([len(a.lines) for a in fig.axes])
    plt.close(fig)
print("FIGURES", drawings == [[1]] * 40, "NOISE", torch.randn(1).item(), np.random.rand())
"""
AFTER = "print('MOVED', len(moved), any(moved), 'LAST', drawn[-1] == slider.value, 'DRAWN', len(drawn))"


def told(text, word):
    return re.search(rf"^{word} (.*)$", text, re.M)[1]


@pytest.fixture(scope="module")
def kernel():
    with Kernel() as kernel:
        if not kernel.has_subshells:
            pytest.skip("this ipykernel has no subshells")
        yield kernel


@pytest.mark.fault(
    fault="A slider is moved while a cell trains or draws (JupyterLab calls back in another thread)",
    sees="the slider moves; its picture follows when the cell has ended",
    kept="every number and figure of the cell, bit by bit",
)
@pytest.mark.parametrize("subshell", [True, False], ids=["JupyterLab", "Colab and VS Code"])
@pytest.mark.parametrize(("cell", "word"), [(TRAIN, "WEIGHTS"), (DRAW, "FIGURES")], ids=["train", "draw"])
def test_a_slider_moved_while_a_cell_runs_changes_nothing_in_it(kernel, cell, word, subshell):
    comm = told(kernel.run(PREPARE), "COMM")
    seed = "torch.manual_seed(5), np.random.seed(5)\n"
    alone = told(kernel.run(seed + cell), word)
    value = iter(range(1000))
    kernel.run("moved.clear()")
    disturbed = kernel.run(seed + cell, "BEGUN", lambda: kernel.move(comm, next(value), subshell))
    assert told(disturbed, word) == alone and "False" not in alone
    count, in_main_thread, last_drawn, drawn = re.search(
        r"MOVED (\d+) (\w+) LAST (\w+) DRAWN (\d+)", kernel.run("\n") + kernel.run(AFTER)
    ).groups()
    assert int(count) >= 2, "the slider was not moved at all"
    assert in_main_thread == str(not subshell)
    assert last_drawn == "True", "the picture has not followed"
    assert not subshell or int(drawn) <= 4, "redraws that wait are done one by one"


def test_without_an_event_loop_a_callback_waits_for_the_end_of_a_training():
    """As in a plain Python prompt: the thread that calls back waits."""
    widgets.REGISTRY.clear()
    drawn = []

    def draw(k):
        drawn.append(torch.rand(1).item())
        return plt.figtext(0.1, 0.5, str(k)).figure

    shown = cu.explore(draw, "Waits.", k=(0, 1000))

    def train(preview=None):
        model = mlp()
        cu.fit(model, noisy_loss, points(), steps=8, preview=preview, preview_at=[0, 1])
        return [w.tolist() for w in model.parameters()]

    alone = train()
    during = len(drawn)
    threads = []

    def disturb(step):
        threads.append(threading.Thread(target=lambda: setattr(shown.controls["k"], "value", step + 1)))
        threads[-1].start()
        threads[-1].join(0.3)
        assert len(drawn) == during, "drawn in the middle of a training"

    assert train(disturb) == alone
    for thread in threads:
        thread.join(20)
    assert len(drawn) > during
