"""Resume: a killed and resumed training gives the weights of an uninterrupted one, or says why it cannot."""

import json
import os
import pickle
import random
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import course_utils as cu
from course_utils import checkpoint, disk, fingerprint, randomness, runs, runtime
from tests.training import Crash, failing_at, mlp, noisy_loss, points, same, weights


@pytest.fixture(autouse=True)
def live(monkeypatch, tmp_path):
    """The live profile, writing to a folder of the test."""
    monkeypatch.setenv("COURSE_PROFILE", "live")
    monkeypatch.setattr(runtime, "runs_dir", lambda: tmp_path)


SETTINGS = {"steps": 40, "ema": 0.9, "clip": 1.0, "schedule": "cosine", "lr": 1e-2, "log_every": 4, "seed": 5}

WORKER = """
import json, os, signal, sys
from pathlib import Path
import torch
import course_utils as cu
from course_utils import runtime, session
from tests.test_resume import SETTINGS
from tests.training import mlp, noisy_loss, points

torch.set_num_threads(1)
runtime.runs_dir = lambda: Path(sys.argv[1])
session.SAVE_SECONDS = session.SAVE_SHARE = 0
die_at = int(sys.argv[2])

class Deadly(type(points())):
    def batch(self, step):
        if step == die_at:
            os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
        return super().batch(step)

batches = points()
batches.__class__ = Deadly
def train(name):
    model = mlp(seed=len(name or ""))
    history = cu.fit(model, noisy_loss, batches, name=name, preview=lambda step: torch.rand(1, 28, 28), **SETTINGS)
    tensors = {**model.state_dict(), **{"ema." + k: v for k, v in history.ema.state_dict().items()}}
    numbers = {k: v.double().flatten().tolist() for k, v in tensors.items()}
    return numbers, history.steps, history["loss"], history.frame_steps, torch.rand(1).item()

print("RESULT", json.dumps([train("mine"), train("more")]))
"""


def run_worker(tmp_path, die_at):
    env = {**os.environ, "COURSE_PROFILE": "live", "PYTHONHASHSEED": str(die_at + 1)}
    command = [sys.executable, "-c", WORKER, str(tmp_path), str(die_at)]
    return subprocess.run(command, capture_output=True, text=True, env=env, cwd=runtime.ROOT)


@pytest.mark.fault(
    fault="kill -9 in the middle of a training",
    sees="“mine: resumed after step 20 of 40.”",
    kept="the resumed training ends with the weights of an uninterrupted one, bit by bit",
)
def test_a_killed_and_resumed_training_equals_an_uninterrupted_one_bit_by_bit(tmp_path):
    killed = run_worker(tmp_path, die_at=23)
    assert killed.returncode == -getattr(signal, "SIGKILL", signal.SIGTERM) or os.name == "nt", killed.stderr
    assert "RESULT" not in killed.stdout
    state = torch.load(tmp_path / "resume" / "mine.live.pt", weights_only=True)
    assert state["step"] == 20
    resumed = run_worker(tmp_path, die_at=-1)
    assert "mine: resumed after step 20 of 40" in resumed.stdout, resumed.stderr
    mine, more = json.loads(resumed.stdout.split("RESULT", 1)[1])
    assert mine == more  # weights, average, log points, losses, preview steps and the next random number
    assert mine[1] == list(range(4, 41, 4))


def crash_and_resume(batches, at, **kw):
    """Train with a crash before step `at`, resume; return the model and the history."""
    with pytest.raises(Crash):
        cu.fit(mlp(), noisy_loss, failing_at(at, batches, Crash()), name="mine", **kw)
    model = mlp(seed=9)
    return model, cu.fit(model, noisy_loss, batches, name="mine", **kw)


@pytest.mark.parametrize("at", [3, 4, 17, 39])
def test_resume_at_any_step_equals_no_interruption(at):
    model, history = crash_and_resume(points(), at, **SETTINGS)
    reference = mlp()
    expected = cu.fit(reference, noisy_loss, points(), **SETTINGS)
    assert same(model, reference) and same(history.ema, expected.ema)
    assert history["loss"] == expected["loss"] and history.steps == expected.steps


def test_resume_of_a_loader_sees_the_same_batches():
    class Loader(DataLoader):
        limit = 10**9

        def __iter__(self):
            for batch in super().__iter__():
                Loader.limit -= 1
                if Loader.limit < 0:
                    raise Crash
                yield batch[0] + 0.01 * torch.randn(2)  # an augmentation that draws

    loader = Loader(TensorDataset(cu.moons(40)), batch_size=16, shuffle=True)
    settings = {"steps": 11, "log_every": 2}
    Loader.limit = 8
    with pytest.raises(Crash):
        cu.fit(mlp(), noisy_loss, loader, name="loader", **settings)
    Loader.limit = 10**9
    resumed, reference = mlp(seed=4), mlp()
    cu.fit(resumed, noisy_loss, loader, name="loader", **settings)
    cu.fit(reference, noisy_loss, loader, **settings)
    assert same(resumed, reference)


def test_an_interrupted_training_goes_on_where_it_stopped(capsys):
    def interrupt(step):
        if step >= 10:
            raise KeyboardInterrupt

    stopped = cu.fit(mlp(), noisy_loss, points(), name="mine", preview=interrupt, **SETTINGS)
    assert "interrupted" in stopped.stopped
    model, reference = mlp(seed=2), mlp()
    assert cu.fit(model, noisy_loss, points(), name="mine", **SETTINGS).stopped is None
    cu.fit(reference, noisy_loss, points(), **SETTINGS)
    assert same(model, reference)


def test_a_finished_training_is_loaded_not_repeated_until_forgotten(capsys):
    first = mlp()
    history = cu.fit(first, noisy_loss, points(), name="mine", **SETTINGS)
    again, calls = mlp(seed=3), []
    batches = points()
    batches.batch = lambda step: calls.append(step)
    second = cu.fit(again, noisy_loss, batches, name="mine", **SETTINGS)
    assert not calls and same(first, again) and same(history.ema, second.ema)
    assert second["loss"] == history["loss"] and "trained before" in capsys.readouterr().out
    assert runs.forget("mine") is True and runs.forget("mine") is False
    fresh = mlp(seed=3)
    cu.fit(fresh, noisy_loss, points(), name="mine", **SETTINGS)
    assert not same(fresh, first)


def test_more_steps_go_on_unless_the_schedule_depends_on_their_number():
    longer, reference = mlp(), mlp()
    plain = {"log_every": 5}
    cu.fit(longer, noisy_loss, points(), name="plain", steps=10, **plain)
    cu.fit(longer, noisy_loss, points(), name="plain", steps=20, **plain)
    cu.fit(reference, noisy_loss, points(), steps=20, **plain)
    assert same(longer, reference)
    cu.fit(mlp(), noisy_loss, points(), name="cosine", steps=10, schedule="cosine")
    with pytest.raises(RuntimeError, match="total: 10 → 20"):
        cu.fit(mlp(), noisy_loss, points(), name="cosine", steps=20, schedule="cosine")


def distance(a, b):
    return (a - b).square().mean()


def loss_one(model, x):
    return distance(model(x), x)


def loss_with(scale):
    return lambda model, x: scale * distance(model(x), x)


CHANGES = {
    "loss": ({"loss_fn": lambda model, x: (model(x) - x).abs().mean()}, "the code of `<lambda>` is new"),
    "lr": ({"lr": 2e-3}, "optimiser, lr: 0.001 → 0.002"),
    "ema": ({"ema": 0.99}, "ema, its decay: 0.9 → 0.99"),
    "clip": ({"clip": 0.5}, "clip: absent → 0.5"),
    "optimiser": ({"optimiser": "sgd"}, "optimiser, its kind: Adam → SGD"),
    "schedule": ({"schedule": "cosine"}, "schedule, its kind: absent → LambdaLR"),
    "seed": ({"seed": 1}, "seed: 0 → 1"),
    "batches": ({"batches": points(batch_size=32)}, "batch_size 16"),
    "width": ({"model": mlp(width=8)}, "model.0.weight: (16, 2) torch.float32 → (8, 2) torch.float32"),
    "layers": ({"model": nn.Sequential(*list(mlp())[:3], nn.Dropout(0.9), nn.Linear(16, 2))}, "model, its layers"),
}


def fit(model=None, loss_fn=loss_one, batches=None, **kw):
    settings = {"steps": 6, "ema": 0.9, "name": "mine"} | kw
    return cu.fit(model or mlp(), loss_fn, batches or points(), **settings)


@pytest.mark.fault(
    fault="A training resumed after the model, the loss or a setting was changed",
    sees="which thing changed, “To start over: cu.runs.forget('mine')”",
    kept="the model as it was, and the old state",
)
@pytest.mark.parametrize("change", CHANGES)
def test_resume_is_refused_after_a_change_and_says_which(change):
    fit()
    changed, message = CHANGES[change]
    model = changed.get("model", mlp())
    before = weights(model)
    with pytest.raises(RuntimeError) as caught:
        fit(**({"model": model} | changed))
    assert message in str(caught.value) and "cu.runs.forget('mine')" in str(caught.value)
    assert same(before, model)
    runs.forget("mine")
    assert fit(**({"model": model} | changed)).steps[-1] == 6


def test_what_a_loss_uses_belongs_to_its_fingerprint(monkeypatch):
    fit(loss_fn=loss_with(1.0))
    with pytest.raises(RuntimeError, match=r"scale: 1.0 → 2.0"):
        fit(loss_fn=loss_with(2.0))
    runs.forget("mine")
    fit()

    def distance_2(a, b):
        return (a - b).abs().mean()

    distance_2.__qualname__ = "distance"
    monkeypatch.setitem(globals(), "distance", distance_2)
    with pytest.raises(RuntimeError, match="the code of `distance` changed"):
        fit()


def compiled(source):
    space = {"__name__": "lesson"}
    exec(source, space)
    return space["f"]


def test_comments_docstrings_and_layout_do_not_count_but_constants_do():
    def identity(source):
        return fingerprint.identify(compiled(source), {})

    plain = 'def f(x):\n    "old"\n    return [y + 1 for y in x if y in {"a", "b"}]\n'
    first = identity(plain)
    assert first == identity(plain.replace("old", "new").replace("return", "# why\n\n    return"))
    assert fingerprint.differences(first, identity(plain.replace("y + 1", "y + 2")))
    assert fingerprint.differences(identity("def f(x, k=1): return k"), identity("def f(x, k=2): return k"))
    assert fingerprint.differences(identity("k = 1\ndef f(x): return k"), identity("k = 2\ndef f(x): return k"))


def test_a_docstring_added_does_not_count():
    bare, told = (compiled(f"def f(x):\n    {doc}return x + 1 if x else 2") for doc in ("", '"why"\n    '))
    assert fingerprint.identify(bare, {}) == fingerprint.identify(told, {})


def test_a_notebook_and_its_script_have_one_fingerprint():
    loop = "    for i in range(n):\n        x = m.exp(x) if i else m.log(x, 2)\n"
    cells = ["import math as m", f"def f(x, n):\n{loop}    return [m.sin(y) for y in x]"]
    whole, apart = {"__name__": "lesson"}, {"__name__": "lesson"}
    exec("\n".join(cells), whole)
    for cell in cells:
        exec(cell, apart)
    assert fingerprint.identify(whole["f"], {}) == fingerprint.identify(apart["f"], {})


def test_an_attribute_is_not_mistaken_for_a_global_of_its_name():
    def identity(value):
        return fingerprint.identify(compiled(f"mean = {value}\ndef f(x): return x.mean()"), {})

    assert identity(1) == identity(2)
    assert fingerprint.differences(identity(1), fingerprint.identify(compiled("def f(x): return x.sum()"), {}))


def test_a_changed_way_through_the_same_steps_counts():
    source = "def f(x):\n    while x:\n        x -= 1\n        if x > 3: WORD\n        x -= 2\n    return x"
    ways = [fingerprint.identify(compiled(source.replace("WORD", word)), {}) for word in ("break", "continue")]
    assert fingerprint.differences(*ways)


def test_a_changed_forward_counts_although_the_weights_are_alike():
    def model(sign):
        space = {"nn": nn, "__name__": "lesson"}
        exec(f"class Net(nn.Linear):\n    def forward(self, x):\n        return {sign}x @ self.weight", space)
        return space["Net"](2, 2)

    fit(model=model("+"))
    with pytest.raises(RuntimeError, match="the code of Net changed"):
        fit(model=model("-"))


@pytest.mark.fault(
    fault="The saved state of a training cut short, or replaced by a malicious file",
    sees="“… cannot be read … To start over: cu.runs.forget('mine')”",
    kept="the model as it was; nothing is unpickled",
)
def test_a_damaged_resume_state_is_explained_and_never_unpickled():
    path = checkpoint.resume_path("mine")
    fit()
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(RuntimeError, match=r"cannot be read.*cu.runs.forget\('mine'\)"):
        fit()

    class Evil:
        def __reduce__(self):
            return (os.mkdir, (str(path.parent / "evil"),))

    for dump in (torch.save, lambda content, path: path.write_bytes(pickle.dumps(content, protocol=2))):
        dump({"format": 1, "step": Evil()}, path)
        with pytest.raises(RuntimeError, match="cannot be read"):
            fit()
    assert not (path.parent / "evil").exists()


def test_files_are_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "deep" / "file"
    with disk.atomic(path) as temporary:
        temporary.write_text("old")
    with pytest.raises(Crash), disk.atomic(path) as temporary:
        temporary.write_text("half")
        assert path.read_text() == "old"
        raise Crash
    assert path.read_text() == "old" and [p.name for p in path.parent.iterdir()] == ["file"]
    inode = path.stat().st_ino
    with disk.atomic(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new" and path.stat().st_ino != inode  # another file in its place, not the same refilled


def test_states_of_the_full_profile_stay_out_of_the_shipped_runs(monkeypatch):
    monkeypatch.setenv("COURSE_PROFILE", "full")
    assert runtime.shipped_runs_dir() not in checkpoint.resume_path("mine").parents
    with pytest.raises(ValueError, match="cannot name a run"):
        fit(name="../mine")


def test_random_states_come_back_whole():
    random.gauss(0, 1), np.random.randn(), torch.randn(1)  # one cached value each
    with randomness.forked():
        first = random.gauss(0, 1), np.random.randn(), torch.randn(3).tolist(), random.random()
        random.seed(1), np.random.seed(1), torch.manual_seed(1)
    packed = randomness.to_tensors(randomness.states())
    second = random.gauss(0, 1), np.random.randn(), torch.randn(3).tolist(), random.random()
    randomness.restore(randomness.from_tensors(packed))
    third = random.gauss(0, 1), np.random.randn(), torch.randn(3).tolist(), random.random()
    assert first == second == third
