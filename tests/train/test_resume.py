"""Resume: a killed and resumed training gives the weights of an uninterrupted one, or says why it cannot."""

import io
import json
import os
import pickle
import random
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import course_utils as cu
from course_utils.system import disk, folders, randomness
from course_utils.train import resume
from tests.train.training import Crash, failing_at, mlp, noisy_loss, points, same, weights


@pytest.fixture(autouse=True)
def live(monkeypatch, tmp_path):
    """The live profile, writing to a folder of the test."""
    monkeypatch.setenv("COURSE_PROFILE", "live")
    monkeypatch.setattr(folders, "runs_dir", lambda: tmp_path)


SETTINGS = {"steps": 40, "ema": 0.9, "clip": 1.0, "schedule": "cosine", "lr": 1e-2, "log_every": 4, "seed": 5}

WORKER = """
import json, os, signal, sys
from pathlib import Path
import torch
import course_utils as cu
from course_utils.system import folders
from course_utils.train import saving
from tests.train.test_resume import SETTINGS
from tests.train.training import mlp, noisy_loss, points

torch.set_num_threads(1)
folders.runs_dir = lambda: Path(sys.argv[1])
saving.SAVE_SECONDS = saving.SAVE_SHARE = 0
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
    preview = lambda step: torch.rand(1, 28, 28)
    history = cu.fit(model, noisy_loss, batches, name=name, preview=preview, **SETTINGS)
    tensors = {**model.state_dict(), **{"ema." + k: v for k, v in history.ema.state_dict().items()}}
    numbers = {k: v.double().flatten().tolist() for k, v in tensors.items()}
    return numbers, history.steps, history["loss"], history.frame_steps, torch.rand(1).item()

print("RESULT", json.dumps([train("mine"), train("more")]))
"""


def run_worker(tmp_path, die_at):
    env = {**os.environ, "COURSE_PROFILE": "live", "PYTHONHASHSEED": str(die_at + 1)}
    command = [sys.executable, "-c", WORKER, str(tmp_path), str(die_at)]
    return subprocess.run(command, capture_output=True, text=True, env=env, cwd=folders.ROOT)


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
    assert resume.forget("mine") is True and resume.forget("mine") is False
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
    "layers": (
        {"model": nn.Sequential(*list(mlp())[:3], nn.Dropout(0.9), nn.Linear(16, 2))},
        "model, its layers",
    ),
}


def fit(model=None, loss_fn=loss_one, batches=None, **kw):
    settings = {"steps": 6, "ema": 0.9, "name": "mine"} | kw
    return cu.fit(model or mlp(), loss_fn, batches or points(), **settings)


@pytest.mark.fault(
    fault="A training resumed after the model, the loss or a setting was changed",
    sees="which thing changed, “To start over: cu.train.forget('mine')”",
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
    assert message in str(caught.value) and "cu.train.forget('mine')" in str(caught.value)
    assert same(before, model)
    resume.forget("mine")
    assert fit(**({"model": model} | changed)).steps[-1] == 6


def test_what_a_loss_uses_belongs_to_its_fingerprint(monkeypatch):
    fit(loss_fn=loss_with(1.0))
    with pytest.raises(RuntimeError, match=r"scale: 1.0 → 2.0"):
        fit(loss_fn=loss_with(2.0))
    resume.forget("mine")
    fit()

    def distance_2(a, b):
        return (a - b).abs().mean()

    distance_2.__qualname__ = "distance"
    monkeypatch.setitem(globals(), "distance", distance_2)
    with pytest.raises(RuntimeError, match="the code of `distance` changed"):
        fit()


@pytest.mark.fault(
    fault="The saved state of a training cut short, or replaced by a malicious file",
    sees="“… cannot be read … To start over: cu.train.forget('mine')”",
    kept="the model as it was; nothing is unpickled",
)
def test_a_damaged_resume_state_is_explained_and_never_unpickled():
    path = resume.resume_path("mine")
    fit()
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(RuntimeError, match=r"cannot be read.*cu.train.forget\('mine'\)"):
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
    assert (
        path.read_text() == "new" and path.stat().st_ino != inode
    )  # another file in its place, not the same refilled


def test_states_of_the_full_profile_stay_out_of_the_shipped_runs(monkeypatch):
    monkeypatch.setenv("COURSE_PROFILE", "full")
    assert folders.shipped_runs_dir() not in resume.resume_path("mine").parents
    with pytest.raises(ValueError, match="cannot name a run"):
        fit(name="../mine")


LESSON = """
import json, os, signal, sys
from pathlib import Path
import torch
import course_utils as cu
from course_utils.system import folders
from course_utils.train import saving
from tests.train.training import mlp, noisy_loss, points

torch.set_num_threads(1)
folders.ROOT = Path(sys.argv[1])
saving.SAVE_SECONDS = saving.SAVE_SHARE = 0
die_at, scale = sys.argv[2], float(sys.argv[3])

class Deadly(type(points())):
    def batch(self, step):
        if die_at == f"step {step}":
            os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
        return super().batch(step)

def scaled_loss(model, x):
    return scale * noisy_loss(model, x)["loss"]

cu.seed_everything(0)
kept = {"steps": 3, "full": 12, "log_every": 3}
first, twin = mlp(), mlp()
cu.fit(first, noisy_loss, points(), **kept)
cu.fit(twin, noisy_loss, points(), **kept)  # the same call once more: it has a state of its own
short = cu.fit(mlp(), noisy_loss, points(), steps=3)  # it is not given full: never kept
second = torch.nn.Linear(2, 2)  # drawn from the generators as the first trainings left them
if die_at == "between":
    os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
batches = points(seed=1)
batches.__class__ = Deadly
history = cu.fit(second, scaled_loss, batches, **kept)
numbers = [weight.double().flatten().tolist() for net in (first, twin, second) for weight in net.parameters()]
print("RESULT", json.dumps([numbers, history["loss"], torch.rand(1).item()]))
"""


def run_lesson(folder, die_at="never", scale=1.0):
    """Run a lesson in the profile full; return its process."""
    folder.mkdir(exist_ok=True)
    script = folder / "98_twins.py"
    script.write_text(LESSON)
    env = {**os.environ, "COURSE_PROFILE": "full", "PYTHONPATH": str(folders.ROOT)}
    command = [sys.executable, str(script), str(folder), die_at, str(scale)]
    return subprocess.run(command, capture_output=True, text=True, env=env, cwd=folders.ROOT)


def result(done):
    assert "RESULT" in done.stdout, done.stderr
    return done.stdout.split("RESULT", 1)[1]


@pytest.mark.turns(2)
@pytest.mark.fault(
    fault="kill -9 of a long run (profile full) between two trainings, or in one of them",
    sees="“It had been trained before: nothing to do” and “98_twins-1f0c52aa-1: resumed after step 6 of 12.”",
    kept="every finished training; the script ends with the weights of a run that nobody killed, bit by bit",
)
def test_a_long_run_goes_on_where_it_was_killed_although_its_trainings_have_no_name(tmp_path):
    straight = run_lesson(tmp_path / "straight")
    assert "trained before" not in straight.stdout
    for die_at, kept in (("between", 2), ("step 8", 3)):
        folder = tmp_path / die_at
        killed = run_lesson(folder, die_at)
        states = sorted(path.name for path in (folder / "runs" / "resume").iterdir())
        assert "RESULT" not in killed.stdout and len(states) == kept, killed.stderr
        assert all(re.fullmatch(r"98_twins-[0-9a-f]{8}-[12]\.full\.pt", name) for name in states)
        again = run_lesson(folder)
        assert again.stdout.count("trained before") == 2
        assert again.stdout.count("resumed after step 6 of 12") == (kept == 3)
        assert result(again) == result(straight)
    assert run_lesson(folder).stdout.count("trained before") == 3


@pytest.mark.turns(2)
def test_in_a_long_run_a_changed_loss_is_another_training(tmp_path):
    first = run_lesson(tmp_path / "lesson")
    changed = run_lesson(tmp_path / "lesson", scale=2.0)
    assert changed.stdout.count("trained before") == 2 and result(changed) != result(first)
    assert len(list((tmp_path / "lesson" / "runs" / "resume").iterdir())) == 4
    assert result(run_lesson(tmp_path / "lesson")) == result(first)  # the older state was not overwritten


@pytest.fixture
def full(monkeypatch, tmp_path):
    """The profile full, whose states go to a folder of the test."""
    monkeypatch.setenv("COURSE_PROFILE", "full")
    monkeypatch.setattr(folders, "ROOT", tmp_path)
    monkeypatch.setattr(resume, "_calls", type(resume._calls)())
    return tmp_path / "runs" / "resume"


def test_only_calls_that_are_given_full_are_kept_without_a_name_and_only_in_that_profile(full, monkeypatch):
    cu.fit(mlp(), noisy_loss, points(), steps=3)
    assert not full.exists()
    monkeypatch.setenv("COURSE_PROFILE", "live")
    cu.fit(mlp(), noisy_loss, points(), steps=3, full=5)
    assert not full.exists()
    monkeypatch.setenv("COURSE_PROFILE", "full")
    assert cu.fit(mlp(), noisy_loss, points(), steps=3, full=5).name is None
    cu.fit(mlp(), noisy_loss, points(), steps=3, full=5, name="mine")
    names = sorted(path.name for path in full.iterdir())
    assert len(names) == 2 and names.count("mine.full.pt") == 1


@pytest.mark.parametrize("change", ["weights", "data", "seed", "clip"])
def test_what_a_training_begins_with_belongs_to_a_state_without_a_name(full, monkeypatch, change):
    def files(model=None, batches=None, **kw):
        resume._calls.clear()  # as in a process of its own
        cu.fit(model or mlp(), noisy_loss, batches or points(), steps=3, full=5, **kw)
        return set(full.iterdir())

    first = files()
    assert files() == first
    changed = {
        "weights": {"model": mlp(seed=1)},
        "data": {"batches": cu.Batches(2 * cu.moons(64) - 1, 16)},
        "seed": {"seed": 1},
        "clip": {"clip": 0.5},
    }
    assert len(files(**changed[change])) == 2


def test_forget_says_what_it_forgets_and_takes_the_name_of_a_script_for_all_its_trainings(full, capsys):
    script = getattr(sys.modules["__main__"], "__file__", sys.argv[0])  # a worker of xdist has none
    stem = re.sub(r"\W", "_", Path(script).stem).strip("_")
    for _ in range(2):
        cu.fit(mlp(), noisy_loss, points(), steps=3, full=5)
    cu.fit(mlp(), noisy_loss, points(), steps=3, full=5, name=f"{stem}-other")
    kept = sorted(path.name.removesuffix(".full.pt") for path in full.iterdir())
    assert len(kept) == 3
    capsys.readouterr()
    assert cu.train.forget(stem) is True
    said = capsys.readouterr().out
    assert [path.name for path in full.iterdir()] == [f"{stem}-other.full.pt"]
    assert all(
        f"{name}: the state of this training is forgotten" in said for name in kept if name[-1].isdigit()
    )
    assert cu.train.forget(stem) is False
    assert "nothing was kept" in capsys.readouterr().out
    with pytest.raises(ValueError, match="cannot name a run"):
        cu.train.forget("../mine")


def test_random_states_come_back_whole():
    random.gauss(0, 1), np.random.randn(), torch.randn(1)  # one cached value each
    with randomness.forked():
        first = random.gauss(0, 1), np.random.randn(), torch.randn(3).tolist(), random.random()
        random.seed(1), np.random.seed(1), torch.manual_seed(1)
    file = io.BytesIO()
    torch.save(randomness.states(), file)
    file.seek(0)
    second = random.gauss(0, 1), np.random.randn(), torch.randn(3).tolist(), random.random()
    randomness.restore(torch.load(file, weights_only=True))
    third = random.gauss(0, 1), np.random.randn(), torch.randn(3).tolist(), random.random()
    assert first == second == third
