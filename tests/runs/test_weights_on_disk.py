"""Weights on disk: no number is lost for being small, wrappers' names are taken, and folders may refuse chmod."""

import math
import os

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import course_utils as cu
from course_utils.runs.weights import EXACT, SMALL
from course_utils.system import disk, folders


@pytest.fixture(autouse=True)
def place(monkeypatch, tmp_path):
    """The live profile, writing to a folder of the test."""
    monkeypatch.setenv("COURSE_PROFILE", "live")
    monkeypatch.setattr(folders, "runs_dir", lambda: tmp_path)
    return tmp_path


class Held(nn.Module):
    """A module with one tensor, in a buffer or as a weight."""

    def __init__(self, tensor, as_weight=False):
        super().__init__()
        if as_weight:
            self.kept = nn.Parameter(tensor.clone())
        else:
            self.register_buffer("kept", tensor.clone())


def cosine_schedule(steps=1000):
    """ᾱ of the cosine schedule, unclipped: it ends at about 2.4e-9."""
    done = torch.arange(steps + 1, dtype=torch.float64) / steps
    return (torch.cos(math.pi / 2 * (done + 0.008) / 1.00803) ** 2).float()


def large(*few):
    """More numbers than are kept whole for the sake of one, of ordinary size, and a few others among them."""
    torch.manual_seed(0)
    weights = torch.randn(2 * SMALL) + 3
    weights[: len(few)] = torch.tensor(few)
    return weights.reshape(2, -1)


TENSORS = {
    "a schedule": cosine_schedule(),
    "all small": torch.full((10, 10), 3e-9),
    "few small ones among many": large(2.4e-9, -1e-12, 0.0, 3e-5),
    "a large one among many": large(1e6),
    "many small ones": 1e-7 * large(),
    "float64": torch.tensor([1e-30, 1.0], dtype=torch.float64),
    "beyond float32": torch.tensor([1e-60, 1.0, 1e60], dtype=torch.float64),
    "one beyond float32 among many": torch.cat(
        [large().double().flatten(), torch.tensor([1e300], dtype=torch.float64)]
    ),
    "zeros": torch.zeros(3),
    "nothing": torch.zeros(0),
}


@pytest.mark.fault(
    fault="A run whose module holds numbers that float16 loses: the end of a noise schedule, 2.4e-9",
    sees="nothing: those numbers are kept in float32",
    kept="every number, to within a thousandth of it",
)
@pytest.mark.parametrize("as_weight", [False, True])
@pytest.mark.parametrize("kind", TENSORS)
def test_no_number_is_lost_for_being_small(kind, as_weight):
    tensor = TENSORS[kind]
    cu.save_run("held", Held(tensor, as_weight), what="a test")
    back = Held(torch.ones_like(tensor), as_weight)
    cu.restore("held", back, own=True)
    assert ((back.kept - tensor).abs() <= EXACT * tensor.abs()).all() and back.kept.dtype == tensor.dtype


@pytest.mark.parametrize(("number", "kind"), [(1e300, torch.float32), (1e6, torch.float16)])
def test_no_number_becomes_infinite_in_a_module_of_a_smaller_type(number, kind):
    tensor = torch.tensor([1.0, number], dtype=torch.float64)
    cu.save_run("held", Held(tensor, as_weight=True), what="a test")
    small = Held(torch.ones(2, dtype=kind), as_weight=True)
    with pytest.raises(RuntimeError, match=f"kept reaches {number:.0e}".replace("+", r"\+")):
        cu.restore("held", small, own=True)
    assert (small.kept == 1).all()


def test_a_few_small_numbers_do_not_double_the_file(place):
    cu.save_run("held", Held(large(2.4e-9), as_weight=True), what="a test")
    file = place / "held" / "weights.safetensors"
    assert load_file(file)["model/kept"].dtype == torch.float16
    assert file.stat().st_size < 1.2 * 2 * (2 * SMALL)


def net():
    return nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))


class Wrapped(nn.Module):
    def __init__(self, name, module):
        super().__init__()
        self.add_module(name, module)


WRAPPERS = {
    "DataParallel": lambda: nn.DataParallel(net()),
    "compiled": lambda: Wrapped("_orig_mod", net()),
    "both": lambda: Wrapped("module", Wrapped("_orig_mod", net())),
}


@pytest.mark.parametrize("kind", WRAPPERS)
def test_the_names_of_wrappers_are_taken_off_and_put_on(kind):
    torch.manual_seed(0)
    wrapped, plain = WRAPPERS[kind](), net()
    cu.save_run("wrapped", wrapped, what="a test")
    cu.restore("wrapped", plain, own=True)
    for a, b in zip(wrapped.state_dict().values(), plain.state_dict().values(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=0)
    again = WRAPPERS[kind]()
    cu.save_run("plain", plain, what="a test")
    cu.restore("plain", again, own=True)
    for a, b in zip(again.state_dict().values(), plain.state_dict().values(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=0)


def test_a_part_that_is_called_module_is_no_wrapper():
    with pytest.raises(RuntimeError, match="do not fit"):
        cu.save_run("other", Wrapped("net", net()), what="a test")
        cu.restore("other", net(), own=True)


@pytest.mark.fault(
    fault="A folder that can be written but refuses chmod (network drives, shared folders, some mounts)",
    sees="nothing",
    kept="runs, trainings and the digit are saved as elsewhere",
)
def test_a_folder_that_refuses_chmod_is_written_all_the_same(place, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "chmod", refuse)
    model = net()
    cu.save_run("mine", model, what="a test")
    assert cu.restore("mine", net(), own=True).name == "mine"
    with disk.atomic(place / "file") as path:
        path.write_text("whole")
    assert (place / "file").read_text() == "whole"
    history = cu.fit(
        model, lambda m, x: m(x).square().mean(), cu.Batches(cu.moons(8), 4), steps=2, name="kept"
    )
    assert history.stopped is None and (place / "resume" / "kept.live.pt").exists()


@pytest.mark.parametrize(
    "name", ["aux", "CON", "nul", "Prn", "com1", "LPT9", "nul.txt", "aux.v2", "run.", "a..", "COM0"]
)
def test_names_that_windows_cannot_keep_are_refused_everywhere_with_the_reason(name):
    batches = cu.Batches(cu.moons(8), 4)
    for call in (
        lambda: cu.save_run(name, net(), what="a test"),
        lambda: cu.restore(name, net()),
        lambda: cu.fit(net(), lambda m, x: m(x).square().mean(), batches, steps=2, name=name),
        lambda: cu.train.forget(name),
    ):
        with pytest.raises(ValueError, match="Windows"):
            call()


def test_names_that_differ_in_case_only_are_refused(place):
    cu.save_run("Mine", net(), what="a test")
    cu.save_run("Mine", net(), what="once more")
    with pytest.raises(ValueError, match="'mine' cannot name a run: there is 'Mine' already"):
        cu.save_run("mine", net(), what="a test")
    train = {"batches": cu.Batches(cu.moons(8), 4), "steps": 2}
    loss = lambda m, x: m(x).square().mean()  # noqa: E731
    cu.fit(net(), loss, name="Mine", **train)
    cu.fit(net(), loss, name="Mine", **train)
    with pytest.raises(ValueError, match="which is the same file on Windows and macOS"):
        cu.fit(net(), loss, name="MINE", **train)
    assert [folders.check_run_name(name) for name in ("console", "aux_1", "common", "a.b", "lpt")] == [
        None
    ] * 5
