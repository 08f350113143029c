"""Training that ends early: a second Ctrl-C, the cap on minutes, memory that runs out, crashes.

Ctrl-C in every phase of a training is in tests/faults/test_faults_training.py.
"""

import gc
import os
import signal
import subprocess
import sys
import threading
import traceback
import weakref
from pathlib import Path

import pytest
import torch

import course_utils as cu
from course_utils.system import folders
from course_utils.train import interrupts, resume, snapshot
from course_utils.train.interrupts import OutOfMemory
from tests.train.training import Crash, failing_at, mlp, noisy_loss, points


@pytest.fixture(autouse=True)
def live(monkeypatch, tmp_path):
    """The live profile, writing to a folder of the test."""
    monkeypatch.setenv("COURSE_PROFILE", "live")
    monkeypatch.setattr(folders, "runs_dir", lambda: tmp_path)


def send_signal():
    signal.raise_signal(signal.SIGINT)


def test_training_in_the_background_does_not_hear_ctrl_c():
    """Where SIGINT is ignored (nohup, a batch queue) it was meant for something else."""

    def disturbed(model, x):
        send_signal()
        return noisy_loss(model, x)

    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        history = cu.fit(mlp(), disturbed, points(), steps=5)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
    assert history.stopped is None and history.steps[-1] == 5


@pytest.mark.turns(2)
@pytest.mark.skipif(os.name == "nt", reason="no process inherits ignored signals on Windows")
def test_the_tests_pass_in_the_background():
    """A suite that is started with SIGINT ignored has it back for its tests."""
    name = f"{Path(__file__).relative_to(folders.ROOT)}::test_a_second_ctrl_c_acts_at_once"
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        f"{name}_and_the_handler_is_put_back",
    ]
    ignore = lambda: signal.signal(signal.SIGINT, signal.SIG_IGN)  # noqa: E731
    done = subprocess.run(command, preexec_fn=ignore, cwd=folders.ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


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
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory."),
        RuntimeError("[enforce fail] can't allocate memory: 9 GB"),
    ],
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
    # `caught` keeps the traceback and with it every frame alive, as IPython does; nothing big may hang on
    # them.
    assert "batch_size=16 → 8" in str(caught.value) and "after 3 steps" in str(caught.value)
    assert caught.value.__cause__ is None and caught.value.__context__ is None
    gc.collect()
    assert alive[0]() is None
    assert all(p.grad is None for p in model.parameters()) and not optimisers[0].state
    assert not [s for s in gc.get_objects() if type(s) is snapshot.Snapshot and s.copy]
    resumed = cu.fit(model, noisy_loss, points(), steps=3)
    assert resumed.stopped is None


def test_other_errors_are_not_taken_for_lack_of_memory():
    assert interrupts.is_out_of_memory(MemoryError()) and not interrupts.is_out_of_memory(
        ValueError("out of memory")
    )
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
    assert torch.load(resume.resume_path("crashed"), weights_only=True)["step"] == 6
