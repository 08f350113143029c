"""What is noticed when a training with a name is called again: other data, any other setting, named."""

import argparse
import dataclasses
import enum
import functools
import types

import numpy as np
import pytest
import torch
from torch import nn

import course_utils as cu
from course_utils.system import folders
from course_utils.train import fingerprint, resume, saving, source
from tests.train.training import mlp, points


@pytest.fixture(autouse=True)
def live(monkeypatch, tmp_path):
    """The live profile, writing to a folder of the test."""
    monkeypatch.setenv("COURSE_PROFILE", "live")
    monkeypatch.setattr(folders, "runs_dir", lambda: tmp_path)


def plain_loss(model, x):
    return (model(x) - x).square().mean()


def fit(loss=plain_loss, batches=None, model=None, steps=4):
    return cu.fit(model or mlp(), loss, batches or points(), steps=steps, name="mine")


def digits(shift):
    """Five images of another kind, float32 (5, 2)."""
    return torch.arange(10.0).reshape(5, 2) + shift


class Points(torch.utils.data.Dataset):
    """A map-style data set of the reader's own."""

    def __init__(self, x, scale=1.0):
        self.x, self.scale = x, scale

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        return self.scale * self.x[i]


def loader(data, **kw):
    return torch.utils.data.DataLoader(data, batch_size=8, **kw)


MOONS, RINGS = cu.moons(64), cu.rings(64)
ONE_ELSE = MOONS.clone()
ONE_ELSE[17, 1] += 1e-6
DATA = {
    "points": (lambda x: cu.Batches(x, 16), MOONS, RINGS),
    "one number": (lambda x: cu.Batches(x, 16), MOONS, ONE_ELSE),
    "a list": (lambda x: list(x.split(16)), MOONS, RINGS),
    "a loader": (loader, MOONS, RINGS),
    "an own data set": (lambda x: loader(Points(x)), MOONS, RINGS),
    "NumPy": (lambda x: loader(x.numpy()), MOONS, RINGS),
    "a part": (lambda x: loader(torch.utils.data.Subset(x, range(32))), MOONS, RINGS),
    "which part": (lambda k: loader(torch.utils.data.Subset(MOONS, range(k, k + 32))), 0, 8),
    "a transformation": (lambda k: loader(Points(MOONS, scale=k)), 1.0, 2.0),
    "the weights of a sampler": (
        lambda k: loader(MOONS, sampler=torch.utils.data.WeightedRandomSampler([1.0] * 63 + [k], 64)), 1.0, 9.0
    ),
    "the order": (lambda k: cu.Batches(MOONS, 16, shuffle=k), True, False),
    "the last batch": (lambda k: loader(MOONS[:60], drop_last=k), True, False),
}  # fmt: skip


@pytest.mark.fault(
    fault="A training resumed with other data of the same size, or with another setting (in a dict, an object, "
    "an attribute of the model, …)",
    sees="“… cannot be resumed, for this changed: - data[0]: (64, 2) float32, 1b3e… → (64, 2) float32, 90aa…”, and "
    "the remedy",
    kept="the old state; never old weights taken for new ones",
)
@pytest.mark.parametrize("kind", DATA)
def test_other_data_are_noticed_and_named(kind, capsys):
    make, old, new = DATA[kind]
    fit(batches=make(old))
    fit(batches=make(old))
    assert "trained before" in capsys.readouterr().out
    with pytest.raises(RuntimeError, match=r"- (data|sampler|batches)"):
        fit(batches=make(new))


@dataclasses.dataclass
class Config:
    beta: float
    names: tuple = ()


@dataclasses.dataclass(slots=True)
class Slots:
    beta: float


class Schedule:
    """An object of the reader's own, with a constant of the class and a tensor."""

    floor = 0.0

    def __init__(self, beta):
        self.beta = beta
        self.table = torch.linspace(0, beta, 100)

    def at(self, t):
        return max(self.floor, self.beta * t)


class Kind(enum.Enum):
    ONE = 1.0
    FOUR = 4.0


def through(setting):
    """A loss that uses a setting from its closure."""
    return lambda model, x: plain_loss(model, x) + 0 * len(str(setting))


def as_default(setting):
    def loss(model, x, *, how=setting):
        return plain_loss(model, x)

    return loss


SETTINGS = {
    "a dict": lambda v: through({"beta": v, "other": 1}),
    "a dict in a dict": lambda v: through({"kl": {"beta": v}}),
    "a list in a dict": lambda v: through({"betas": [0.9, [v]]}),
    "a long list": lambda v: through([1.0] * 100 + [v]),
    "a long list of lists": lambda v: through([[1.0]] * 100 + [[v]]),
    "a set": lambda v: through({v, 2.0}),
    "a data class": lambda v: through(Config(v)),
    "a data class with slots": lambda v: through(Slots(v)),
    "a namespace": lambda v: through(types.SimpleNamespace(beta=v)),
    "arguments": lambda v: through(argparse.Namespace(beta=v)),
    "an own object": lambda v: through(Schedule(v)),
    "an enum": lambda v: through(Kind(v)),
    "a tensor": lambda v: through(torch.tensor(v)),
    "a large tensor": lambda v: through(torch.full((50, 50), v)),
    "a NumPy number": lambda v: through(np.float32(v)),
    "a NumPy array": lambda v: through(np.full((50, 50), v)),
    "functions in a dict": lambda v: through({"weight": functools.partial(max, v), "f": lambda x: x}),
    "the default of a keyword": lambda v: as_default({"beta": v}),
    "a partial function": lambda v: functools.partial(as_default(None), how={"beta": v}),
    "a bound method": lambda v: types.MethodType(lambda self, model, x: plain_loss(model, x), Config(v)),
    "a callable object": lambda v: Weighted(v),
}


class Weighted:
    """A loss that is an object."""

    def __init__(self, beta):
        self.beta = beta

    def __call__(self, model, x):
        return self.beta * plain_loss(model, x)


@pytest.mark.parametrize("kind", SETTINGS)
def test_every_setting_of_a_loss_is_noticed_and_named(kind, capsys):
    make = SETTINGS[kind]
    fit(make(1.0))
    fit(make(1.0))
    assert "trained before" in capsys.readouterr().out
    with pytest.raises(RuntimeError, match="this changed") as caught:
        fit(make(4.0))
    assert " → " in str(caught.value)


HYPER: dict = {}


def test_a_global_setting_in_a_dict_is_named_by_its_key(monkeypatch):
    def loss(model, x):
        return HYPER["kl"]["beta"] * plain_loss(model, x)

    monkeypatch.setitem(globals(), "HYPER", {"kl": {"beta": 1.0}, "n": 3})
    fit(loss)
    HYPER["kl"]["beta"] = 4.0
    with pytest.raises(RuntimeError, match=r"- HYPER\['kl'\]\['beta'\]: 1.0 → 4.0"):
        fit(loss)


class Model(nn.Module):
    """A model with a setting that stands neither in its weights nor in its text."""

    width = 2

    def __init__(self, beta):
        super().__init__()
        self.beta = beta
        self.layer = nn.Linear(2, 2)

    def forward(self, x):
        return self.layer(x)


def test_attributes_of_a_model_and_of_a_schedule_are_settings(monkeypatch):
    fit(model=Model(1.0))
    with pytest.raises(RuntimeError, match=r"- model\.beta: 1.0 → 4.0"):
        fit(model=Model(4.0))
    fit(model=Model(1.0))
    monkeypatch.setattr(Model, "width", 3)
    with pytest.raises(RuntimeError, match=r"- Model\.width: 2 → 3"):
        fit(model=Model(1.0))

    def train(gamma):
        net = nn.Linear(2, 2)
        opt = torch.optim.SGD(net.parameters(), lr=0.1)
        state = {"net": net, "opt": opt, "slower": torch.optim.lr_scheduler.StepLR(opt, 2, gamma)}
        step = lambda x: (opt.step(), state["slower"].step(), {"loss": x.mean()})[2]  # noqa: E731
        return cu.loop(step, points(), state=state, steps=4, name="stepped")

    train(0.5)
    train(0.5)
    with pytest.raises(RuntimeError, match=r"- slower\.gamma: 0.5 → 0.9"):
        train(0.9)


def test_freezing_a_part_is_a_setting_and_numbers_of_numpy_are_as_good_as_pythons():
    frozen = mlp()
    frozen[0].requires_grad_(False)
    fit()
    with pytest.raises(RuntimeError, match="number of weights: 6 → 4"):
        fit(model=frozen)
    plain, numpy = (source.describe("k", v, found := {}, set()) or found for v in (0.5, np.float64(0.5)))
    assert plain == numpy == {"k": "0.5"}


def test_what_the_training_itself_changes_refuses_nothing_and_is_named_at_the_resume(monkeypatch, capsys):
    kept, log = {"t": 0}, []

    def loss(model, x):
        kept["t"] += 1
        log.append(kept["t"])
        return min(1.0, kept["t"] / 100) * plain_loss(model, x)

    fit(loss, steps=4)
    fit(loss, steps=8)
    said = capsys.readouterr().out
    assert "resumed after step 4 of 8" in said
    assert (
        "Not saved, and as this process has it: kept['t'], log" in said and "a parameter named `step`" in said
    )


def test_a_state_of_an_older_version_is_said_to_be_one(monkeypatch):
    fit()
    monkeypatch.setattr(resume, "FORMAT", resume.FORMAT + 1)
    with pytest.raises(RuntimeError, match="saved by another version of the course"):
        fit()


def test_saving_again_and_again_keeps_the_identity(monkeypatch):
    monkeypatch.setattr(saving, "SAVE_SECONDS", 0)
    monkeypatch.setattr(saving, "SAVE_SHARE", 0)
    cu.fit(
        mlp(), plain_loss, points(), steps=9, log_every=3, name="mine", ema=0.9, schedule="cosine", clip=1.0
    )
    identity = resume.torch.load(resume.resume_path("mine"), weights_only=True)["identity"]
    assert fingerprint.VARIES not in identity.values()


def test_code_that_had_no_source_under_one_python_is_not_called_changed():
    typed = {"code of `loss`": f"{source.COMPILED} 3.11, 0123456789abcdef"}
    (change,) = fingerprint.differences(typed, {"code of `loss`": "fedcba9876543210"})
    assert "cannot be compared: it was without source" in change and "3.11" in change
