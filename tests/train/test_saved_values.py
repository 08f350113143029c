"""What a saved state may hold, and what a loss is told, so that a resumed training goes on as it was."""

import re

import numpy as np
import pytest
import torch
from torch import nn

import course_utils as cu
from course_utils.system import folders
from course_utils.train import messages, plain, resume, saving
from course_utils.train.recipe import handing_over_step
from tests.train.training import Crash, failing_at, mlp, noisy_loss, points, same


@pytest.fixture(autouse=True)
def live(monkeypatch, tmp_path):
    """The live profile, writing to a folder of the test at every log point."""
    monkeypatch.setenv("COURSE_PROFILE", "live")
    monkeypatch.setattr(folders, "runs_dir", lambda: tmp_path)
    monkeypatch.setattr(saving, "SAVE_SECONDS", 0)
    monkeypatch.setattr(saving, "SAVE_SHARE", 0)


RATE = np.geomspace(1e-4, 1e-2, 3)[1]


@pytest.mark.fault(
    fault="NumPy numbers and arrays among the settings of a training, or in the state of one of its parts",
    sees="nothing: they are saved as plain numbers and as tensors",
    kept="the training, which is resumed bit by bit",
)
def test_a_training_with_numbers_of_numpy_is_resumed():
    settings = {"lr": RATE, "weight_decay": np.float64(0.1), "ema": np.float64(0.9), "clip": np.float64(1.0)}
    settings |= {
        "schedule": lambda done: np.float64(1 - done / 2),
        "seed": np.int64(3),
        "log_every": np.int32(4),
    }
    resumed, straight = mlp(seed=4), mlp()
    with pytest.raises(Crash):
        broken = failing_at(9, points(), Crash())
        cu.fit(mlp(), noisy_loss, broken, steps=np.int64(20), name="x", **settings)
    cu.fit(resumed, noisy_loss, points(), steps=20, name="x", **settings)
    cu.fit(straight, noisy_loss, points(), steps=20, **settings)
    assert same(resumed, straight)


class Keeps:
    """A part of a training that keeps what it is given."""

    def __init__(self, value):
        self.value = value

    def state_dict(self):
        return {"value": self.value}

    def load_state_dict(self, state):
        self.value = state["value"]


VALUES = {
    "a float": np.float64(0.25),
    "a small float": np.float16(0.25),
    "an integer": np.int64(3),
    "a truth value": np.bool_(True),
    "a text": np.str_("text"),
    "an array": np.arange(6.0).reshape(2, 3),
    "integers": np.arange(6, dtype=np.int32)[::-2],
    "the other byte order": np.arange(3, dtype=">f8"),
    "without dimensions": np.array(2.5),
    "empty": np.zeros((0, 2)),
    "deep inside": [{"a": (np.float32(1.5), {np.int64(3): np.ones(2)})}],
    "a generator": np.random.default_rng(3).bit_generator.state,
}


@pytest.mark.parametrize("kind", VALUES)
def test_any_value_of_numpy_in_a_state_is_saved_and_comes_back(kind):
    value = VALUES[kind]
    step = lambda x: {"loss": x.mean()}  # noqa: E731
    cu.loop(step, points(), state={"kept": Keeps(value)}, steps=4, name="kept")
    again = Keeps(None)
    cu.loop(step, points(), state={"kept": again}, steps=4, name="kept")
    np.testing.assert_equal(again.value, value)


@pytest.mark.parametrize(
    "value", [object(), np.array(["a"]), {"deep": [np.datetime64("2026-01-01")]}, range(3)]
)
def test_what_could_not_be_read_again_is_refused_before_the_training(value):
    calls = []
    step = lambda x: calls.append(x) or {"loss": x.mean()}  # noqa: E731
    with pytest.raises(TypeError, match=r"the state of 'kept'\['value'\].* could not be read again"):
        cu.loop(step, points(), state={"kept": Keeps(value)}, steps=4, name="kept")
    assert not calls
    assert cu.loop(step, points(), state={"kept": Keeps(value)}, steps=4).steps[-1] == 4  # nothing is saved


def test_what_becomes_unreadable_later_ends_no_training():
    kept = Keeps(1.0)

    def step(x):
        kept.value = object()
        return {"loss": x.mean()}

    with pytest.warns(
        UserWarning, match=r"cannot be kept. The state\['kept'\]\['value'\] is a builtins.object"
    ):
        history = cu.loop(step, points(), state={"kept": kept}, steps=4, name="kept")
    assert history.steps[-1] == 4 and not resume.resume_path("kept").exists()


def test_packing_keeps_the_structure_and_the_meaning():
    tree = {"a": [1, (np.float64(2), None)], "t": torch.ones(2), "size": torch.Size([1])}
    packed = plain.packed(tree)
    assert type(packed["a"][1]) is tuple and type(packed["a"][1][0]) is float and packed["t"] is tree["t"]
    assert plain.unreadable(packed, "it") is None and plain.unpacked(packed) == tree


def test_an_error_of_torch_is_told_without_the_colours_of_a_terminal():
    error = RuntimeError("\x1b[1mWeights only load failed\x1b[0m\nmore")
    assert (
        "\x1b" not in (said := messages.cannot_be_read("x", "x.pt", error))
        and "Weights only load failed" in said
    )


def warming_up(model, x, *, step):
    """A loss whose weight grows with the step."""
    return min(1.0, (step + 1) / 20) * noisy_loss(model, x)["loss"]


@pytest.mark.fault(
    fault="A loss that depends on time (a warm-up) is resumed",
    sees="nothing, where the loss asks for the step; otherwise “Not saved, and as this process has it: kept['t']. …”",
    kept="the weights of an uninterrupted training, bit by bit",
)
def test_a_warm_up_that_asks_for_the_step_goes_on_after_a_resume():
    resumed, straight = mlp(seed=4), mlp()
    cu.fit(mlp(), warming_up, points(), steps=10, name="mine")
    cu.fit(resumed, warming_up, points(), steps=20, name="mine")
    cu.fit(straight, warming_up, points(), steps=20)
    assert same(resumed, straight)


def test_a_step_of_a_loop_may_ask_for_its_number_too():
    seen = []
    step = lambda x, step: seen.append(step) or {"loss": x.mean()}  # noqa: E731
    cu.loop(step, points(), state={}, steps=5)
    assert seen == [0, 1, 2, 3, 4]


def test_only_a_parameter_that_nothing_else_fills_asks_for_the_step():
    told = lambda function, *arguments: handing_over_step(function)(7, *arguments)  # noqa: E731
    assert told(lambda m, x, step: step, "m", "x") == 7
    assert told(lambda m, x, *, step=0: step, "m", "x") == 7
    assert told(lambda m, x, step=None: step, "m", "x") == 7
    assert told(lambda m, step: step, "m", "x") == "x"  # a batch of that name
    assert told(lambda m, x, step=0.1: step, "m", "x") == 0.1  # the step of a finite difference
    assert told(max, 1, 2) == 2


def test_the_docstring_of_fit_says_what_is_saved():
    text = re.sub(r"\s+", " ", cu.fit.__doc__)
    assert "optimiser, schedule, average, history and random states are saved" in text
    assert "a counter in a dict say, is not" in text and "a parameter `step`" in text


class Frozen(nn.Module):
    """A trained head behind a frozen part with statistics of its own."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.BatchNorm1d(4, affine=False))
        self.head = nn.Sequential(nn.BatchNorm1d(4), nn.Dropout(0.1), nn.Linear(4, 2))

    def forward(self, x):
        return self.head(self.body(x))


def test_a_frozen_part_in_eval_mode_stays_as_it_is_and_the_rest_trains():
    model = Frozen()
    model.body.requires_grad_(False).eval()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    for _ in range(2):  # the second call finds the whole model in eval mode
        modes = []

        def loss(model, x):
            modes.append((model.body[1].training, model.body[2].training, model.head[0].training))
            return (model(x) - x).square().mean()

        cu.fit(model, loss, points(), steps=4)
        assert set(modes) == {(False, False, True)}
    after = model.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before if key.startswith("body"))
    assert not torch.equal(before["head.0.running_mean"], after["head.0.running_mean"])


def test_a_module_that_is_frozen_as_a_whole_is_trained_in_train_mode():
    critic, opt = mlp(), None
    for _ in range(2):
        opt = opt or torch.optim.SGD(critic.parameters(), lr=0.1)
        modes = []

        def step(x):
            modes.append(critic.training)
            critic.requires_grad_(True)
            loss = critic(x).square().mean()
            opt.zero_grad()
            loss.backward()
            opt.step()
            critic.requires_grad_(False)  # for the turn of its opponent
            return {"loss": loss}

        cu.loop(step, points(), state={"D": critic, "opt": opt}, steps=3)
        assert modes == [True] * 3
