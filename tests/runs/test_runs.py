"""Runs: what is saved comes back, and whatever does not fit is named."""

import json
import multiprocessing
import shutil
import warnings

import numpy as np
import pytest
import torch
from torch import nn

import course_utils as cu
from course_utils import runs
from course_utils.runs import card, read, save
from course_utils.system import folders
from course_utils.train.history import History
from tests.train.training import mlp, same, weights


@pytest.fixture(autouse=True)
def place(monkeypatch, tmp_path):
    """The full profile: what is saved is what is shipped, in a folder of the test."""
    monkeypatch.setenv("COURSE_PROFILE", "full")
    monkeypatch.setattr(folders, "runs_dir", lambda: tmp_path / "runs")
    monkeypatch.setattr(folders, "shipped_runs_dir", lambda: tmp_path / "runs")
    return tmp_path


def history():
    record = History("x", seed=7, total=10)
    record.add(5, {"loss": 2.0})
    record.add(10, {"loss": 1.0})
    record.seconds = 1.5
    for step in (0, 10):
        record.add_frame(step, torch.full((3, 1, 28, 28), step / 10))
    return record


def digits(n=6):
    return torch.arange(n * 784, dtype=torch.int64).remainder(256).to(torch.uint8).reshape(n, 1, 28, 28)


def test_a_run_comes_back_as_it_was_saved(place):
    model = mlp()
    for value in model.state_dict().values():
        value.copy_(torch.randn_like(value) if value.is_floating_point() else torch.tensor(70_001))
    run = cu.save_run(
        "00_a", model, figures={"nll": (98.3, 0.5)}, history=history(), samples=digits(), lesson="00_x"
    )
    other = mlp(seed=1).train()
    restored = cu.restore("00_a", other)
    assert restored == run and not other.training
    for key, value in model.state_dict().items():
        kept = other.state_dict()[key]
        assert torch.equal(kept, value.half().float() if value.is_floating_point() else value)
    frames, steps = restored.replay
    assert frames.dtype == np.uint8 and frames.shape == (2, 3, 28, 28) and steps.tolist() == [0, 10]
    assert frames[0].max() == 0 and frames[1].min() == 255
    assert np.array_equal(restored.samples, digits()[:, 0].numpy())
    assert restored.figure("nll") == 98.3
    with pytest.raises(KeyError, match="it has: nll"):
        restored.figure("fid")


def test_the_card_says_what_was_trained_and_how(place):
    run = cu.save_run(
        "00_a", {"net": mlp()}, what="w", figures={"nll": (98.3, 0.5)}, history=history(), lesson="00_x"
    )
    found = json.loads((place / "runs" / "00_a" / "card.json").read_text())
    assert found == run.card
    expected = {
        "format": 1,
        "name": "00_a",
        "lesson": "00_x",
        "what": "w",
        "profile": "full",
        "seed": 7,
        "steps": 10,
    }
    expected |= {"seconds": 1.5, "samples": None, "modules": ["net"], "stopped": None}
    expected |= {"figures": {"nll": {"value": 98.3, "tolerance": 0.5}}}
    expected |= {"command": "COURSE_PROFILE=full python lessons/00_x.py"}
    assert {key: found[key] for key in expected} == expected
    assert found["parameters"] == sum(p.numel() for p in mlp().parameters())
    assert set(found["files"]) == {"weights.safetensors", "replay.npz"}
    assert {"course", "python", "torch", "numpy"} == set(found["versions"]) and found["device"]


def test_the_device_is_named_in_plain_words(monkeypatch):
    monkeypatch.setattr(card.machine, "device", lambda: torch.device("cpu"))
    for threads, name in ((1, "CPU, 1 thread"), (2, "CPU, 2 threads")):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        assert card.device_name() == name


def test_two_cards_are_never_equal():
    """A reader who meets the same run saved again must see that it is another."""
    first = cu.save_run("a", mlp())
    assert cu.save_run("a", mlp()).card != first.card


def test_weights_take_two_bytes_unless_they_need_four():
    model = nn.Linear(100, 100)
    size = len(cu.save_run("small", model).read("weights.safetensors"))
    assert size < 2.2 * 100 * 101
    with torch.no_grad():
        model.bias[0] = 1e6
    cu.save_run("large", model)
    cu.restore("large", other := nn.Linear(100, 100))
    assert other.bias[0] == 1e6 and torch.equal(other.bias, model.bias)
    with torch.no_grad():
        model.bias[0] = float("nan")
    with pytest.raises(ValueError, match="'model/bias'|'bias'"):
        cu.save_run("large", model)
    cu.restore("large", nn.Linear(100, 100))  # the older one is still whole


def test_several_modules_by_order_or_by_name():
    G, D = nn.Linear(2, 3), nn.Linear(3, 1)
    cu.save_run("gan", {"G": G, "D": D})
    a, b, c = nn.Linear(2, 3), nn.Linear(3, 1), nn.Linear(2, 3)
    cu.restore("gan", a, b)
    cu.restore("gan", {"G": c})
    assert torch.equal(a.weight, c.weight) and torch.equal(a.weight, G.weight.half().float())
    assert torch.equal(b.weight, D.weight.half().float())
    with pytest.raises(RuntimeError, match=r"holds 2 module\(s\) \(G, D\), 1 were given"):
        cu.restore("gan", a)
    with pytest.raises(RuntimeError, match="holds G, D, but not E"):
        cu.restore("gan", {"E": a})
    with pytest.raises(ValueError, match="needs the modules"):
        cu.restore("gan")


def test_tied_weights_and_channels_last_survive():
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3), nn.Conv2d(2, 3, 2))
    model[1].weight = model[0].weight
    cu.prepare(model)
    cu.save_run("tied", model)
    other = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3), nn.Conv2d(2, 3, 2))
    other[1].weight = other[0].weight
    cu.restore("tied", other)
    assert all(torch.equal(v.half().float(), other.state_dict()[k]) for k, v in model.state_dict().items())


WRONG = {
    "a missing layer": (
        lambda: nn.Sequential(nn.Linear(2, 16)),
        r"4.weight \(2, 16\) is in the run, but not in the module",
    ),
    "an extra layer": (
        lambda: nn.Sequential(*mlp(), nn.Linear(2, 2)),
        r"5.weight \(2, 2\) is in the module, but not in the run",
    ),
    "another width": (lambda: mlp(width=8), r"0.weight is \(16, 2\) in the run, \(8, 2\) in the module"),
    "another model": (lambda: nn.Conv2d(1, 1, 1), r"and \d+ more|weight \(1, 1, 1, 1\) is in the module"),
}


@pytest.mark.fault(
    fault="A run restored into another architecture",
    sees="each missing or superfluous weight and each shape that differs",
    kept="the model as it was",
)
@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_architecture_is_named_and_nothing_is_changed(case):
    cu.save_run("right", mlp())
    make, message = WRONG[case]
    model = make()
    before = weights(model)
    with pytest.raises(RuntimeError, match=message) as caught:
        cu.restore("right", model)
    assert "run 'right'" in str(caught.value) and same(before, model)


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut(path):
    path.write_bytes(path.read_bytes()[:-10])


@pytest.mark.fault(
    fault="Weights, samples, replay or card of a run with flipped bytes, cut short or deleted",
    sees="the file and the remedy: “weights.safetensors of run 'right' is damaged (its checksum differs from the "
    "card's): get it back with `git checkout …`” (own runs: “train it again”)",
    kept="the model as it was: no weight is set",
)
@pytest.mark.parametrize("damage", [flip, cut, lambda path: path.unlink()])
@pytest.mark.parametrize("name", ["weights.safetensors", "samples.npz", "replay.npz", "card.json"])
def test_a_damaged_file_is_named(damage, name):
    run = cu.save_run("right", mlp(), samples=digits(), history=history())
    path = run.path / name
    if name == "card.json" and damage is flip:
        path.write_text(path.read_text().replace('"format": 1', '"format": 99'))
    else:
        damage(path)
    message = name if name != "card.json" else "The card of run 'right'|no shipped run 'right'"
    model = mlp(seed=1)
    before = weights(model)
    with pytest.raises(RuntimeError, match=message):
        run = cu.restore("right", model)
        assert run.samples is None or run.replay is None
    assert name != "weights.safetensors" or same(before, model)


def test_a_card_whose_checksum_was_changed_too_still_fails_on_the_content():
    run = cu.save_run("right", mlp())
    path = run.path / "weights.safetensors"
    cut(path)
    changed = run.card | {"files": {path.name: save.checksum(path)}}
    (run.path / "card.json").write_text(json.dumps(changed))
    with pytest.raises(RuntimeError, match="cannot be read"):
        cu.restore("right", mlp())


def test_a_run_that_does_not_exist_names_those_that_do():
    with pytest.raises(
        RuntimeError, match=r"no shipped run 'b' \(there are: none yet\).*COURSE_PROFILE=full python"
    ):
        cu.restore("b", mlp())
    cu.save_run("a", mlp())
    with pytest.raises(RuntimeError, match=r"there are: a\)"):
        cu.restore("b", mlp())
    with pytest.raises(ValueError, match="cannot name a run"):
        cu.restore("../a", mlp())


def test_own_runs_are_told_from_shipped_ones(monkeypatch, place):
    shipped = mlp(seed=1)
    cu.save_run("a", shipped)
    monkeypatch.setenv("COURSE_PROFILE", "live")
    monkeypatch.setattr(folders, "runs_dir", lambda: place / "mine")
    mine = mlp(seed=2)
    cu.save_run("a", mine, samples=digits())
    model = mlp()
    assert not cu.restore("a", model).own and torch.equal(model[0].weight, shipped[0].weight.half().float())
    assert cu.restore("a", model, own=True).own and torch.equal(
        model[0].weight, mine[0].weight.half().float()
    )
    assert [run.own for run in runs.available()] == [False]
    assert [run.own for run in runs.available(own=True)] == [False, True]
    assert [run.own for run in runs.available(samples=True, own=True)] == [True]
    assert [run.name for run in runs.available("a", "not there")] == ["a"] and not runs.available("not there")
    (place / "runs" / "broken").mkdir()
    (place / "runs" / "broken" / "card.json").write_text("{")
    with pytest.warns(UserWarning, match="card of run 'broken'"):
        assert [run.name for run in runs.available()] == ["a"]
    with pytest.raises(RuntimeError, match="no run of yours 'b'"):
        runs.load("b", own=True)


def test_the_quick_profile_writes_outside_the_repository(monkeypatch):
    monkeypatch.undo()
    monkeypatch.setenv("COURSE_PROFILE", "quick")
    run = cu.save_run("quick_one", nn.Linear(1, 1))
    assert folders.ROOT not in run.path.parents and run.own
    shutil.rmtree(run.path)


def test_what_cannot_be_a_run_is_refused():
    def save(**kw):
        cu.save_run("x", **kw)

    with pytest.raises(ValueError, match=r"uint8 \(N, 28, 28\).*float32"):
        save(samples=torch.rand(3, 28, 28))
    with pytest.raises(ValueError, match="N up to 5,000"):
        save(samples=torch.zeros(5_001, 28, 28, dtype=torch.uint8))
    with pytest.raises(ValueError, match="'draws' or 'decoder means'"):
        save(samples=digits(), sample_kind="means")
    with pytest.raises(ValueError, match=r"'nll' must be \(value, tolerance\)"):
        save(figures={"nll": 98.3})
    with pytest.raises(ValueError, match="finite value"):
        save(figures={"nll": (float("nan"), 1)})
    with pytest.raises(ValueError, match="replay must be"):
        save(replay=(np.zeros((2, 3, 8, 8), np.uint8), [0, 1]))
    with pytest.raises(TypeError, match="'opt' must be a module, not int"):
        save(modules={"opt": 3})
    assert not runs.available()


def save_many(folder, value, rounds):
    folders.runs_dir = folders.shipped_runs_dir = lambda: folder
    model = nn.Linear(50, 50)
    nn.init.constant_(model.weight, value), nn.init.constant_(model.bias, value)
    for _ in range(rounds):
        cu.save_run(
            "shared", model, what=str(value), samples=torch.full((9, 28, 28), value, dtype=torch.uint8)
        )


def test_two_processes_that_save_the_same_run_do_not_mix(place):
    start = multiprocessing.get_context("spawn")
    workers = [start.Process(target=save_many, args=(place / "runs", value, 25)) for value in (1, 2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert [worker.exitcode for worker in workers] == [0, 0]
    model = nn.Linear(50, 50)
    run = cu.restore("shared", model)
    assert {model.weight.unique().item(), run.samples.min(), run.samples.max()} == {float(run.card["what"])}
    assert [path.name for path in (place / "runs").iterdir()] == ["shared"]


@pytest.mark.fault(
    fault="■ (Ctrl-C) while a run is being saved",
    sees="KeyboardInterrupt, as asked",
    kept="the older run, whole; nothing half-written",
)
def test_a_failed_save_leaves_the_older_run_and_no_litter(monkeypatch, place):
    cu.save_run("a", mlp(), what="old")
    monkeypatch.setattr(save.np, "savez_compressed", lambda *a, **k: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        cu.save_run("a", mlp(), what="new", samples=digits())
    assert runs.load("a").card["what"] == "old"
    assert [path.name for path in (place / "runs").iterdir()] == ["a"]


def test_every_shipped_run_is_whole(monkeypatch):
    monkeypatch.undo()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for run in runs.available():
            for name in run.card["files"]:
                run.read(name)
            assert run.card["name"] == run.name and run.card["profile"] == "full"
            assert set(run.card["files"]) == {path.name for path in run.path.iterdir()} - {"card.json"}


def test_only_runs_that_were_handed_out_count_as_used(place, monkeypatch):
    """A notebook is stale when a run it shows has changed, and not when some other run has."""
    used = set()
    monkeypatch.setattr(read, "USED", used)
    cu.save_run("a", mlp(), samples=digits())
    cu.save_run("b", mlp())
    assert runs.available("a") and used == {"a"}
    used.clear()
    assert runs.available(samples=True) and used == {"a"}
    with pytest.raises(RuntimeError, match="there are: a, b"):
        runs.load("c")
    assert used == {"a"} and runs.load("b") and used == {"a", "b"}


def replaced_by_a_folder(path):
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (replaced_by_a_folder, "cannot be read: Is a directory"),
        (lambda path: path.write_text("[" * 100_000), "RecursionError|cannot be read"),
        (
            lambda path: path.write_text(
                path.read_text().replace('"modules": [\n  "model"\n ]', '"modules": 5')
            ),
            "'modules' is 5",
        ),
        (lambda path: path.write_text("[]"), "cannot be read"),
    ],
)
def test_a_card_that_is_no_card_is_left_out_with_a_warning(place, damage, says):
    cu.save_run("good", mlp())
    cu.save_run("strange", mlp())
    damage(place / "runs" / "strange" / "card.json")
    with pytest.warns(UserWarning, match=says):
        assert [run.name for run in runs.available()] == ["good"]
    with pytest.raises(RuntimeError, match=says):
        cu.restore("strange", mlp())


def test_weights_replaced_by_a_folder_are_named(place):
    cu.save_run("mine", mlp())
    replaced_by_a_folder(place / "runs" / "mine" / "weights.safetensors")
    with pytest.raises(RuntimeError, match="weights.safetensors cannot be read"):
        cu.restore("mine", mlp())


@pytest.mark.parametrize("content", ["other keys", "no zip", "empty", "pickle"])
def test_arrays_with_the_right_checksum_and_another_content_are_named(place, content):
    cu.save_run("mine", mlp(), samples=digits())
    folder = place / "runs" / "mine"
    if content == "other keys":
        np.savez(folder / "samples.npz", other=np.zeros(3))
    elif content == "pickle":
        np.savez(folder / "samples.npz", samples=np.array([{}], dtype=object))
    else:
        (folder / "samples.npz").write_bytes(b"PK\x03\x04 no archive" if content == "no zip" else b"")
    known = json.loads((folder / "card.json").read_text())
    known["files"]["samples.npz"] = save.checksum(folder / "samples.npz")
    (folder / "card.json").write_text(json.dumps(known))
    with pytest.raises(RuntimeError, match="samples.npz of run 'mine' does not hold samples"):
        runs.load("mine").samples


def test_arguments_in_the_wrong_order_or_of_the_wrong_kind_are_named():
    cu.save_run("mine", mlp())
    for swapped in (lambda: cu.restore(mlp(), "mine"), lambda: cu.save_run(mlp(), "mine")):
        with pytest.raises(TypeError, match="name of the run comes first"):
            swapped()
    with pytest.raises(TypeError, match="'model' is None, not a module"):
        cu.restore("mine", None)
    with pytest.raises(TypeError, match="history is what cu.fit or cu.loop returns, not a dict"):
        cu.save_run("mine", mlp(), history={"loss": [1.0]})
