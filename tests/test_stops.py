"""Training that ends early: Ctrl-C in every phase, the cap on minutes, memory that runs out, crashes."""

import gc
import signal
import threading
import traceback
import weakref

import pytest
import torch

import course_utils as cu
from course_utils import checkpoint, guards, runtime
from course_utils.progress import Progress
from course_utils.train import OutOfMemory
from tests.training import Crash, failing_at, mlp, noisy_loss, points, same


@pytest.fixture(autouse=True)
def live(monkeypatch, tmp_path):
    """The live profile, writing to a folder of the test."""
    monkeypatch.setenv("COURSE_PROFILE", "live")
    monkeypatch.setattr(runtime, "runs_dir", lambda: tmp_path)


def press_ctrl_c_in(phase, monkeypatch, how):
    """A call of fit (20 steps, log points every 5) that is interrupted in `phase` when 12 steps (log: 10) are done."""
    model, batches, preview, calls = mlp(), points(), None, []

    def loss_fn(model, x):
        calls.append(1)
        if phase == "loss" and len(calls) == 13:
            how()
        return noisy_loss(model, x)

    if phase == "batch":
        batches = failing_at(12, batches, KeyboardInterrupt())
    if phase == "preview":
        preview = lambda step: how() if step >= 10 else None  # noqa: E731
    if phase == "display":
        monkeypatch.setattr(Progress, "update", lambda self, step: how() if step == 10 else None)
    if phase == "optimiser":
        step = torch.optim.Adam.step
        monkeypatch.setattr(torch.optim.Adam, "step", lambda *a, **k: (how() if len(calls) == 13 else 0, step(*a, **k)))
    history = cu.fit(model, loss_fn, batches, steps=20, log_every=5, name="pressed", preview=preview, ema=0.9)
    monkeypatch.undo()
    return model, history


def raise_interrupt():
    raise KeyboardInterrupt


def send_signal():
    signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("phase", ["loss", "batch", "preview", "display", "optimiser"])
@pytest.mark.parametrize("how", [raise_interrupt, send_signal])
def test_ctrl_c_in_any_phase_returns_the_history_and_saves(phase, how, monkeypatch, capsys, tmp_path):
    model, history = press_ctrl_c_in(phase, monkeypatch, how)
    deferred = how is send_signal and phase in ("loss", "optimiser")  # a signal waits for the end of the step
    done = 13 if deferred else 10 if phase in ("preview", "display") else 12
    assert history.stopped == f"interrupted after {done} of 20 steps"
    assert history.steps[:2] == [5, 10] and len(history["loss"]) == len(history.steps)
    assert not model.training and history.ema is not None
    out = capsys.readouterr().out
    assert history.stopped in out and "Run the cell again to go on" in out

    monkeypatch.setenv("COURSE_PROFILE", "live")
    monkeypatch.setattr(runtime, "runs_dir", lambda: tmp_path)
    reference = mlp()
    cu.fit(reference, noisy_loss, points(), steps=done, log_every=5)
    torn = how is raise_interrupt and phase == "optimiser"  # the second Ctrl-C: BatchNorm has seen one batch more
    kept, expected = (dict(m.named_parameters()) if torn else m for m in (model, reference))
    assert same(kept, expected)  # the weights are those of the steps that were done
    saved = torch.load(checkpoint.resume_path("pressed"), weights_only=True)
    assert saved["step"] == (13 if deferred else 10)


def test_a_second_ctrl_c_acts_at_once_and_the_handler_is_put_back():
    before = signal.getsignal(signal.SIGINT)

    def impatient(model, x):
        send_signal()
        send_signal()
        pytest.fail("the second signal must not wait for the end of the step")

    history = cu.fit(mlp(), impatient, points(), steps=5)
    assert "interrupted after 0" in history.stopped
    assert signal.getsignal(signal.SIGINT) is before
    with pytest.raises(Crash):
        cu.fit(mlp(), noisy_loss, failing_at(1, points(), Crash()), steps=5)
    assert signal.getsignal(signal.SIGINT) is before


def test_training_works_outside_the_main_thread():
    found = []
    thread = threading.Thread(target=lambda: found.append(cu.fit(mlp(), noisy_loss, points(), steps=3)))
    thread.start()
    thread.join()
    assert found[0].steps[-1] == 3


def test_the_cap_on_minutes_announces_itself(capsys):
    history = cu.fit(mlp(), noisy_loss, points(), steps=1_000_000, minutes=1e-3, log_every=1_000_000)
    assert 0 < history.steps[-1] < 1_000_000
    assert history.stopped == f"the cap minutes=0.001 struck after {history.steps[-1]:,} of 1,000,000 steps"
    assert history.stopped in capsys.readouterr().out
    assert cu.fit(mlp(), noisy_loss, points(), steps=3, minutes=10).stopped is None


@pytest.mark.fault(
    fault="Memory runs out in a training",
    sees="“Out of memory … Lower batch_size=16 → 8 first …”",
    kept="the weights; gradients, snapshot and optimiser are freed, so the next cell has the memory",
)
@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory."), RuntimeError("[enforce fail] can't allocate memory: 9 GB")]
)
def test_lack_of_memory_says_what_to_lower_and_frees_everything(error):
    model, alive, optimisers, calls = mlp(), [], [], []

    def hungry(model, x):
        calls.append(1)
        big = torch.zeros(1000)
        if len(calls) == 4:
            alive.append(weakref.ref(big))
            raise error.with_traceback(None)
        return noisy_loss(model, x)["loss"] + 0 * big.sum()

    def kind(params):
        optimisers.append(torch.optim.Adam(params))
        return optimisers[0]

    with pytest.raises(OutOfMemory) as caught:
        cu.fit(model, hungry, points(batch_size=16), steps=10, log_every=1, optimiser=kind, name="hungry")
    # `caught` keeps the traceback and with it every frame alive, as IPython does; nothing big may hang on them.
    assert "batch_size=16 → 8" in str(caught.value) and "after 3 steps" in str(caught.value)
    assert caught.value.__cause__ is None and caught.value.__context__ is None
    gc.collect()
    assert alive[0]() is None
    assert all(p.grad is None for p in model.parameters()) and not optimisers[0].state
    assert not [s for s in gc.get_objects() if type(s) is checkpoint.Snapshot and s.copy]
    resumed = cu.fit(model, noisy_loss, points(), steps=3)
    assert resumed.stopped is None


def test_other_errors_are_not_taken_for_lack_of_memory():
    assert guards.is_out_of_memory(MemoryError()) and not guards.is_out_of_memory(ValueError("out of memory"))
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied") as caught:
        cu.fit(mlp(), lambda m, x: m(x[:, :1]).mean(), points(), steps=3)
    assert any(frame.name == "fit" for frame in traceback.extract_tb(caught.tb))


@pytest.mark.fault(
    fault="Any other error in the middle of a training",
    sees="the error itself",
    kept="the state of the last log point, from which the mended cell goes on",
)
def test_a_crash_still_saves_the_last_log_point():
    model = mlp()
    with pytest.raises(Crash):
        cu.fit(model, noisy_loss, failing_at(8, points(), Crash()), steps=20, log_every=3, name="crashed")
    assert torch.load(checkpoint.resume_path("crashed"), weights_only=True)["step"] == 6
