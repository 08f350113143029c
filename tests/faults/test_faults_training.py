"""An interrupt in every phase of `fit` and `loop`, and a training that moves to another kind of device."""

import signal

import numpy as np
import pytest
import torch

import course_utils as cu
from course_utils.system import folders, machine
from course_utils.train import resume, saving, snapshot
from course_utils.train.progress import Progress
from tests.train.training import mlp, noisy_loss, points, same

PHASES = ["data", "forward", "backward", "optimiser", "log point", "display", "preview", "save"]
SETTINGS = {"steps": 12, "log_every": 3, "name": "mine"}
STRIKE = 7  # in the third stretch between log points: 6 steps are saved
RARE = ("log point", "display", "preview", "save")
"""These phases are interrupted when they come for the third time."""


@pytest.fixture(autouse=True)
def live(monkeypatch, tmp_path):
    """The live profile, writing to a folder of the test at every log point."""
    monkeypatch.setenv("COURSE_PROFILE", "live")
    monkeypatch.setattr(folders, "runs_dir", lambda: tmp_path)
    monkeypatch.setattr(saving, "SAVE_SECONDS", 0)
    monkeypatch.setattr(saving, "SAVE_SHARE", 0)
    return tmp_path


class Press:
    """Presses Ctrl-C once, when it is called for the `at`-th time."""

    def __init__(self, at, how):
        self.left, self.how = at, how

    def __call__(self, *_):
        self.left -= 1
        if self.left == 0:
            self.how()


def signalled():
    signal.raise_signal(signal.SIGINT)


def raised():
    raise KeyboardInterrupt


def steps_done(phase, how):
    """How many steps are done when the training ends: a signal waits for the end of the step, except where
    nothing can be torn; an exception breaks off what is under way."""
    waits = how is signalled
    rare = {"log point": 7 if waits else 6, "display": 9, "preview": 6, "save": 10 if waits else 9}
    return rare.get(phase, 7 if waits else 6)


def train(kind, press=None, phase=None, monkeypatch=None, **changed):
    """Train with `fit` or with a hand-written step in `loop`; `press` is called in `phase`. Returns model,
    history."""
    model, batches, preview = mlp(), points(), None
    settings = SETTINGS | {"preview_at": list(range(12))} | changed
    pressed = {p: (press if p == phase else lambda *_: None) for p in PHASES}

    def loss_fn(model, x):
        pressed["forward"]()
        loss = noisy_loss(model, x)
        if loss["loss"].requires_grad:
            loss["loss"].register_hook(lambda gradient: pressed["backward"]())
        return loss

    if phase == "data":
        batch = lambda b, t: (press(), cu.Batches.batch(b, t))[1]  # noqa: E731
        batches.__class__ = type("Pressed", (cu.Batches,), {"batch": batch})
    if phase == "preview":
        preview = press
    parts = {"log point": (snapshot.Snapshot, "take"), "display": (Progress, "update"), "save": (torch, "save"),
             "optimiser": (torch.optim.Adam, "step")}  # fmt: skip
    if phase in parts:
        owner, name = parts[phase]
        plain = getattr(owner, name)
        monkeypatch.setattr(owner, name, lambda *a, **k: (press(), plain(*a, **k))[1])
    if kind == "fit":
        return model, cu.fit(model, loss_fn, batches, preview=preview, ema=0.9, **settings)
    opt = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(x):
        loss = loss_fn(model, x)
        opt.zero_grad()
        loss["loss"].backward()
        opt.step()
        return loss

    state = {"model": model, "opt": opt}
    return model, cu.loop(step, batches, state=state, preview=preview, **settings)


@pytest.mark.fault(
    fault="■ (Ctrl-C) in every phase of `fit` and `loop`: data, forward, backward, optimiser, log point, display, "
    "preview, save",
    sees="“Stopped: interrupted after N of 12 steps. Run the cell again to go on from step N.”",
    kept="history and weights; run again, the cell ends with the weights of a training that nobody interrupted, bit by "
    "bit",
)
@pytest.mark.parametrize("how", [signalled, raised])
@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("kind", ["fit", "loop"])
def test_an_interrupt_in_any_phase_loses_nothing(kind, phase, how, monkeypatch, capsys):
    reference, _ = train(kind)
    resume.forget("mine")
    capsys.readouterr()
    press = Press(3 if phase in RARE else STRIKE, how)
    with monkeypatch.context() as patch:
        model, history = train(kind, press, phase, patch)
    assert press.left <= 0, "the phase was never reached"
    done = steps_done(phase, how)
    assert history.stopped == f"interrupted after {done} of 12 steps"
    assert history.steps == [*range(3, done, 3), done] and len(history["loss"]) == len(history.steps)
    saved = 3 if phase == "log point" and how is raised else done  # the copy of step 6 was broken off
    assert torch.load(resume.resume_path("mine"), weights_only=True)["step"] == saved
    assert f"Run the cell again to go on from step {saved}" in capsys.readouterr().out
    assert not model.training and (kind == "loop" or history.ema is not None)
    undisturbed, _ = train(kind, name=None, steps=done)
    if how is raised and phase in ("backward", "optimiser"):  # BatchNorm has seen one batch more
        assert same(dict(model.named_parameters()), dict(undisturbed.named_parameters()))
    else:
        assert same(model, undisturbed)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    model, history = train(kind)
    assert history.stopped is None and same(model, reference)
    assert history.steps[-1] == 12 and np.isfinite(history["loss"]).all()


HALF, BRAIN = torch.float16, torch.bfloat16


@pytest.mark.parametrize(("before", "after"), [(None, HALF), (HALF, None), (BRAIN, HALF)])
@pytest.mark.fault(
    fault="A training is resumed on a device with other arithmetic (begun on a CPU, resumed on a T4 in half precision)",
    sees="“mine: resumed after step 4 of 8.”",
    kept="weights, optimiser and history; a gradient scaler that was off before starts afresh",
)
def test_a_training_moves_between_precisions(before, after, monkeypatch, capsys):
    monkeypatch.setattr(machine, "autocast_dtype", lambda where: before)
    cu.fit(mlp(), noisy_loss, points(), steps=4, name="mine")
    monkeypatch.setattr(machine, "autocast_dtype", lambda where: after)
    model = mlp(seed=1)
    history = cu.fit(model, noisy_loss, points(), steps=8, name="mine")
    assert "resumed after step 4 of 8" in capsys.readouterr().out
    assert history.steps[-1] == 8 and history.stopped is None and np.isfinite(history["loss"]).all()
