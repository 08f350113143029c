"""On a graphics card (CUDA) or an Apple GPU (MPS): first trainings of the lessons, precision, memory, resume.

The tests marked `gpu` are skipped, with the reason, where there is no such device. What can be tested without
one stands at the end: how the precision is chosen, and that a state from a card is read without one. That a
training moves between precisions is in tests/test_faults_training.py.
"""

import io
import runpy
import sys

import pytest
import torch
from torch import nn

import course_utils as cu
from course_utils.system import folders, machine, randomness
from course_utils.train import feed, resume, session
from course_utils.train.interrupts import OutOfMemory
from tests.train.training import mlp, noisy_loss, points, same, watched_steps

DEVICE = machine.device()
CPU = torch.device("cpu")
GPU = [pytest.mark.gpu, pytest.mark.skipif(DEVICE.type == "cpu", reason="no CUDA and no MPS on this machine")]
CUDA = [pytest.mark.gpu, pytest.mark.skipif(DEVICE.type != "cuda", reason="no CUDA on this machine")]
SOURCES = {path: path.read_text(encoding="utf-8") for path in sorted((folders.ROOT / "lessons").glob("*.py"))}
LESSONS = [path for path, source in SOURCES.items() if "cu.fit(" in source or "cu.loop(" in source]


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    """Own runs go to a folder of the test."""
    monkeypatch.setattr(folders, "runs_dir", lambda: tmp_path)
    yield tmp_path
    randomness._accelerator.cache_clear()


class Trained(Exception):
    """The first training call of a lesson has returned."""


def marked(marks):
    """Apply several marks."""

    def decorate(test):
        for mark in reversed(marks):
            test = mark(test)
        return test

    return decorate


def first_training(lesson, monkeypatch):
    """Run a lesson until its first training call returns; return the training's session and history."""
    result, found = session.Session.result, []

    def stop(self):
        found.extend((self, result(self)))
        raise Trained

    monkeypatch.setattr(session.Session, "result", stop)
    monkeypatch.setenv("COURSE_PROFILE", "quick")
    with pytest.raises(Trained):
        runpy.run_path(str(lesson), run_name="__main__")
    return found


class Strict:
    """Between log points, from the third step on, any wait of the host for a CUDA device is an error."""

    def __init__(self):
        self.steps = 0

    def on(self):
        self.steps += 1
        if self.steps > 2:  # the first steps set up optimiser states and kernels
            torch.cuda.set_sync_debug_mode("error")

    def off(self):
        torch.cuda.set_sync_debug_mode("default")


@marked(GPU)
@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
def test_the_first_training_of_a_lesson_runs_on_the_device_without_waiting_for_it(lesson, monkeypatch):
    """Each lesson's first training call runs on the device; the host never waits for it between log
    points."""
    strict = Strict()
    on, off = (strict.on, strict.off) if DEVICE.type == "cuda" else (lambda: None, lambda: None)
    with watched_steps(on, off):
        trained, history = first_training(lesson, monkeypatch)
    assert trained.feed.device.type == DEVICE.type and history.steps[-1] >= 1 and history.stopped is None
    weights = [weight for module in trained.modules for weight in module.parameters()]
    assert all(weight.device.type == DEVICE.type and weight.isfinite().all() for weight in weights)


@marked(CUDA)
def test_a_wait_between_log_points_would_be_noticed(monkeypatch):
    """The guard of the test above does its work: a loss that reads a number fails under it."""
    strict = Strict()
    monkeypatch.setenv("COURSE_PROFILE", "live")
    loss = lambda model, x: model(x).square().mean() * (1 + 0 * x.sum().item())  # noqa: E731
    with pytest.raises(RuntimeError, match="synchroniz"), watched_steps(strict.on, strict.off):
        cu.fit(mlp(), loss, points(), steps=6, log_every=6)
    strict.off()


@marked(CUDA)
def test_the_arithmetic_is_what_the_hardware_has():
    """bfloat16 where the hardware has it, float16 with a gradient scaler where it would be emulated."""
    real = torch.cuda.is_bf16_supported(including_emulation=False)
    seen = []

    def loss(model, x):
        seen.append(torch.nn.functional.linear(x, torch.ones(2, 2, device=x.device)).dtype)
        return noisy_loss(model, x)

    cu.fit(mlp(), loss, points(), steps=2)
    assert set(seen) == {torch.bfloat16 if real else torch.float16}


@marked(CUDA)
def test_memory_is_freed_after_it_ran_out(monkeypatch):
    """After a provoked out-of-memory error the memory of the call is free again, and the next training
    runs."""
    monkeypatch.setenv("COURSE_PROFILE", "live")
    model = cu.prepare(nn.Linear(2, 2))
    before = torch.cuda.memory_allocated()

    def hungry(model, x):
        held = [torch.empty(2**28, device=x.device) for _ in range(10**6)]
        return model(x).mean() + held[0][0]

    with pytest.raises(OutOfMemory, match="batch_size=16 → 8"):
        cu.fit(model, hungry, points(), steps=4)
    assert torch.cuda.memory_allocated() < before + 2**20
    assert torch.cuda.memory_reserved() < before + 2**26
    assert cu.fit(model, lambda m, x: (m(x) - x).square().mean(), points(), steps=4).steps[-1] == 4


def on_device(device, monkeypatch):
    """From now on the course uses this device."""
    monkeypatch.setattr(machine, "device", lambda: device)
    randomness._accelerator.cache_clear()


@marked(GPU)
@pytest.mark.parametrize(
    "way", [(CPU, DEVICE), (DEVICE, CPU), (DEVICE, DEVICE)], ids=["to it", "from it", "on it"]
)
def test_a_training_is_resumed_across_devices(way, monkeypatch, capsys):
    """A training begun on the CPU is resumed on the device and the other way round, from the same weights."""
    monkeypatch.setenv("COURSE_PROFILE", "live")
    for device, steps in zip(way, (4, 8)):
        on_device(device, monkeypatch)
        model = mlp(seed=steps)
        history = cu.fit(model, noisy_loss, points(), steps=steps, name="mine", log_every=2)
        assert next(model.parameters()).device.type == device.type and history.steps[-1] == steps
    assert "mine: resumed after step 4 of 8" in capsys.readouterr().out and history.steps == [2, 4, 6, 8]


# Without a device


@pytest.mark.parametrize(("hardware", "half"), [(True, torch.bfloat16), (False, torch.float16)])
def test_emulated_bfloat16_is_not_taken_for_the_real_one(hardware, half, monkeypatch):
    """A T4 says that it supports bfloat16 unless one asks without emulation."""
    asked = lambda including_emulation=True: hardware or including_emulation  # noqa: E731
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", asked)
    assert machine.autocast_dtype(torch.device("cuda", 0)) is half
    assert machine.autocast_dtype(CPU) is None and machine.autocast_dtype(torch.device("mps")) is None


def test_a_state_that_was_saved_on_a_graphics_card_is_read_without_one(monkeypatch):
    """Every tensor of the file says that it lay on cuda:0, and the state of that device's generator is in
    it."""
    monkeypatch.setenv("COURSE_PROFILE", "live")
    reference = mlp()
    on_device(CPU, monkeypatch)
    cu.fit(reference, noisy_loss, points(), steps=8, name="straight")
    with monkeypatch.context() as patch:
        patch.setattr(torch.serialization, "location_tag", lambda storage: "cuda:0")
        patch.setattr(randomness, "_device_state", lambda: torch.zeros(16, dtype=torch.uint8))
        cu.fit(mlp(), noisy_loss, points(), steps=4, name="mine")
    content = resume.resume_path("mine").read_bytes()
    if not torch.cuda.is_available():
        with pytest.raises(RuntimeError, match="CUDA"):
            torch.load(io.BytesIO(content), weights_only=True)  # the file does claim to come from a card
    model = mlp(seed=1)
    assert cu.fit(model, noisy_loss, points(), steps=8, name="mine").steps[-1] == 8
    assert same(model, reference)


def test_watching_the_steps_reaches_every_step_and_nothing_else(monkeypatch):
    monkeypatch.setenv("COURSE_PROFILE", "live")
    seen = []
    plain = feed.Feed.__call__
    with watched_steps(lambda: seen.append("on"), lambda: seen.append("off")):
        cu.fit(mlp(), lambda m, x: seen.append("step") or noisy_loss(m, x), points(), steps=3,
               preview=lambda step: seen.append("preview"), preview_at=[2])  # fmt: skip
    assert seen == ["on", "step", "off"] * 2 + ["preview"] + ["on", "step", "off"]
    assert feed.Feed.__call__ is plain


def test_the_first_training_of_a_lesson_is_found(monkeypatch, tmp_path):
    lesson = tmp_path / "lesson.py"
    lesson.write_text(
        "import course_utils as cu\nfrom tests.train.training import *\n"
        "cu.fit(mlp(), noisy_loss, points(), steps=3)\nraise RuntimeError('too far')\n"
    )
    monkeypatch.setattr(sys, "path", [str(folders.ROOT), *sys.path])
    trained, history = first_training(lesson, monkeypatch)
    assert history.steps[-1] == 3 and trained.feed.device == machine.device()
    assert [path.stem[:2] for path in LESSONS][:2] == ["00", "01"]
