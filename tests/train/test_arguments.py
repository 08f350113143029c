"""What makes no sense as an argument of a training is refused in a sentence, before the first step."""

import math

import numpy as np
import pytest
import torch
from torch import nn

import course_utils as cu
from course_utils.train import resume
from tests.train.training import mlp, points, same, weights


def plain_loss(model, x):
    return (model(x) - x).square().mean()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"clip": -1}, "clip is a number above 0, or None for no clipping"),
        ({"clip": 0}, "clip is a number above 0"),
        ({"clip": math.nan}, "clip is a number above 0"),
        ({"weight_decay": 1e30}, "lr · weight_decay below 1"),
        ({"weight_decay": -0.1}, "weight_decay is a number of at least 0"),
        ({"lr": math.inf}, "lr is a finite number"),
        ({"lr": "1e-3"}, "lr is a finite number"),
        ({"schedule": lambda done: -1.0}, "schedule must return a finite factor"),
        ({"schedule": lambda done: math.nan}, "schedule must return a finite factor"),
        ({"minutes": 0}, "minutes is a number above 0, or None for no cap"),
        ({"minutes": -3}, "minutes is a number above 0"),
        ({"preview_at": [math.nan]}, "preview_at must be a whole number of at least 0, not nan"),
        ({"preview_at": [-1]}, "preview_at must be a whole number of at least 0, not -1"),
        ({"log_every": -1}, "log_every must be a whole number of at least 1"),
        ({"log_every": 0}, "log_every must be a whole number of at least 1"),
        ({"log_every": 1.5}, "log_every must be a whole number of at least 1"),
        ({"steps": 2.0}, "not 2.0: write 2"),
        ({"steps": "10"}, "steps must be a whole number of at least 1, not '10'"),
        ({"steps": None}, "steps must be a whole number of at least 1, not None"),
        ({"steps": math.nan}, "steps must be a whole number of at least 1, not nan"),
        ({"steps": True}, "steps must be a whole number of at least 1, not True"),
        ({"full": 0}, "full must be a whole number of at least 1, not 0"),
        ({"optimiser": lambda p: None}, "returns an optimiser of torch, not NoneType"),
    ],
)
def test_nonsense_is_refused_before_the_first_step(change, says):
    model = mlp()
    before = weights(model)
    with pytest.raises((TypeError, ValueError), match=says):
        cu.fit(model, plain_loss, points(), **{"steps": 4} | change)
    assert same(model, before)


def test_sensible_numbers_of_other_types_pass():
    history = cu.fit(
        mlp(), plain_loss, points(), steps=np.int64(4), lr=np.float64(1e-3), clip=np.float32(1),
        preview=lambda step: None, preview_at=[np.int64(0)], log_every=np.int64(2), minutes=np.float64(5),
    )  # fmt: skip
    assert len(history) == 2


def labelled_loss(model, x, y):
    return plain_loss(model, x)


def test_a_loss_with_other_arguments_than_a_batch_has_gets_a_hint():
    with pytest.raises(TypeError, match=r"a batch holds one tensor, x.*labels=True\) gives \(x, y\)"):
        cu.fit(mlp(), labelled_loss, points(), steps=2)
    pairs = cu.Batches((torch.zeros(16, 2), torch.zeros(16)), 4)
    with pytest.raises(TypeError, match="a batch holds 2 parts.*too many positional arguments"):
        cu.fit(mlp(), plain_loss, pairs, steps=2)

    def fails_inside(model, x):
        return plain_loss()

    with pytest.raises(TypeError, match=r"missing 2 required positional arguments: 'model' and 'x'$"):
        cu.fit(mlp(), fails_inside, points(), steps=2)


def test_a_loss_of_another_model_is_noticed():
    other = mlp(seed=1)
    with pytest.raises(ValueError, match="depends on no weight of the model that is trained"):
        cu.fit(mlp(), lambda model, x: plain_loss(other, x), points(), steps=2)


def test_what_was_not_finite_before_is_named(capsys):
    spoiled = cu.moons(64).clone()
    spoiled[3, 0] = math.nan
    for batches in (cu.Batches(spoiled, 16), [spoiled[:16]]):
        history = cu.fit(mlp(), plain_loss, batches, steps=6)
        assert "the data themselves hold NaN" in history.stopped and "smaller lr" not in history.stopped
    model = mlp()
    with torch.no_grad():
        model[0].weight.fill_(math.nan)
    history = cu.fit(model, plain_loss, points(), steps=6)
    assert "were not finite before this training began" in history.stopped
    history = cu.fit(mlp(), lambda model, x: plain_loss(model, x) * math.inf, points(), steps=6)
    assert "smaller lr" in history.stopped


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"batch_size": 2.9}, "batch_size must be a whole number, not 2.9"),
        ({"batch_size": "4"}, "batch_size must be a whole number, not '4'"),
        ({"shuffle": "no"}, "shuffle is True or False, not 'no'"),
        ({"labels": "yes"}, "labels is True or False"),
        ({"drop_last": None}, "drop_last is True or False"),
    ],
)
def test_batches_are_not_guessed(given, says):
    with pytest.raises((TypeError, ValueError), match=says):
        cu.Batches(torch.zeros(8, 2), **{"batch_size": 4} | given)
    with pytest.raises(ValueError, match="this tuple holds no second tensor"):
        cu.Batches((torch.zeros(8, 2),), 4, labels=True)
    assert cu.Batches(torch.zeros(8, 2), np.int64(4)).batch_size == 4


def test_features_that_cannot_be_compared_are_named():
    a = torch.randn(30, 4)
    for bad, says in ((a.clone().fill_(math.nan), "NaN or infinite"), (a[:, :3], "theirs have 4 and 3")):
        with pytest.raises(ValueError, match=says):
            cu.metrics.frechet(a, bad)
    with pytest.raises(ValueError, match="k is the number of neighbours, at least 1, not 0"):
        cu.metrics.precision_recall(a, a, k=0)


@pytest.mark.parametrize("key", ["state", "history", "random", "identity", "step"])
@pytest.mark.parametrize("value", [None, "absent"])
def test_a_saved_training_that_lacks_a_part_is_named_with_a_remedy_that_works(key, value):
    cu.fit(mlp(), plain_loss, points(), steps=4, name="lacks")
    path = resume.resume_path("lacks")
    saved = torch.load(path, weights_only=True)
    saved.pop(key) if value == "absent" else saved.update({key: value})
    torch.save(saved, path)
    with pytest.raises(RuntimeError, match=rf"cannot be read: it lacks {key}.*forget\('lacks'\)"):
        cu.fit(mlp(), plain_loss, points(), steps=4, name="lacks")
    assert cu.train.forget("lacks")
    cu.fit(mlp(), plain_loss, points(), steps=4, name="lacks")
    cu.train.forget("lacks")


def test_a_folder_in_the_place_of_a_saved_training_can_be_forgotten():
    path = resume.resume_path("folder")
    (path / "inside").mkdir(parents=True)
    with pytest.raises(RuntimeError, match=r"forget\('folder'\)"):
        cu.fit(mlp(), plain_loss, points(), steps=4, name="folder")
    assert cu.train.forget("folder") and not path.exists()


def test_a_model_without_weights_is_still_refused():
    with pytest.raises(ValueError, match="no weights to train"):
        cu.fit(nn.Flatten(), plain_loss, points(), steps=3)
