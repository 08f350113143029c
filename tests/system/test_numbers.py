"""Numbers as readers give them: NumPy's integers count as Python's, and either default type of torch will do."""

import numpy as np
import pytest
import torch
from torch import nn

import course_utils as cu
from course_utils import metrics, nets
from course_utils.data.my_digit import SHIPPED
from course_utils.system import folders, machine
from course_utils.system.numbers import whole
from course_utils.widgets import controls


@pytest.fixture(autouse=True)
def live(monkeypatch, tmp_path):
    """The live profile, writing to a folder of the test."""
    monkeypatch.setenv("COURSE_PROFILE", "live")
    monkeypatch.setattr(folders, "runs_dir", lambda: tmp_path)


@pytest.mark.parametrize("kind", [int, np.int64, np.uint8, np.array, torch.tensor])
def test_every_kind_of_integer_is_one(kind):
    assert whole(kind(3), "n") == 3 and type(whole(kind(3), "n")) is int
    with pytest.raises(ValueError, match="n must be a whole number of at least 4, not"):
        whole(kind(3), "n", least=4)


@pytest.mark.parametrize("value", [2.5, "3", None, True, np.True_, np.float64(2), [1], torch.tensor(True)])
def test_what_is_none_is_refused_with_a_sentence(value):
    with pytest.raises(ValueError, match="n must be a whole number, not"):
        whole(value, "n")


def test_numbers_of_numpy_are_taken_wherever_a_count_a_seed_or_a_limit_is(capsys):
    three, hundred = np.int64(3), np.int64(100)
    cu.setup(three)
    first = torch.rand(1)
    cu.setup(3)
    assert torch.equal(first, torch.rand(1)) and "seed 3" in capsys.readouterr().out
    for draw in cu.POINTS.values():
        assert torch.equal(draw(hundred, seed=three), draw(100, seed=3))
    batches = cu.Batches(cu.moons(64), np.int64(16), seed=three)
    assert torch.equal(batches.batch(0), cu.Batches(cu.moons(64), 16, seed=3).batch(0))
    assert cu.budget(hundred) == 100 and type(cu.budget(hundred)) is int
    loss = lambda model, x: model(x).square().mean()  # noqa: E731
    settings = {"log_every": np.int32(2), "seed": three, "minutes": np.float64(5), "preview_at": np.arange(3)}
    history = cu.fit(nn.Linear(2, 2), loss, batches, steps=np.int64(4), full=np.int64(9), **settings)
    assert history.steps == [2, 4]
    cu.save_run("numpy", nn.Linear(2, 2), what="a test", history=history)
    small = cu.mnist().val.sample(np.int64(8), seed=three)
    assert len(small) == 8 and len(small.only(small.y[0].numpy())) >= 1
    slider = controls.make_control("k", (np.int64(1), np.int64(9)))
    assert type(slider).__name__ == "IntSlider" and slider.value == 5


def test_a_count_that_is_no_whole_number_gets_a_sentence():
    loss = lambda model, x: model(x).square().mean()  # noqa: E731
    batches = cu.Batches(cu.moons(64), 16)
    with pytest.raises(ValueError, match=r"steps must be a whole number of at least 1, not 100.0: write 100"):
        cu.fit(nn.Linear(2, 2), loss, batches, steps=1e2)
    with pytest.raises(ValueError, match=r"full must be a whole number"):
        cu.fit(nn.Linear(2, 2), loss, batches, steps=5, full=2.5)
    with pytest.raises(ValueError, match=r"log_every must be a whole number"):
        cu.fit(nn.Linear(2, 2), loss, batches, steps=5, log_every=2.5)
    with pytest.raises(ValueError, match=r"batch_size must be a whole number, not 16.5"):
        cu.Batches(cu.moons(64), 16.5)
    with pytest.raises(ValueError, match=r"seed must be a whole number"):
        cu.setup(0.5)


@pytest.fixture
def float64():
    """The default type of torch is float64 during a test."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


def computed():
    """What the package makes and measures, by name; all of it has a type of its own."""
    digits = cu.mnist().val.sample(40).x
    batches = cu.Batches(digits, 8)
    made = {f"the set {name}": draw(50, seed=1) for name, draw in cu.POINTS.items()}
    made |= {"my digit": cu.my_digit(), "drawn": cu.my_digit(SHIPPED.read_text(encoding="utf-8"))}
    made |= {"a batch": batches.batch(0), "pixels": cu.data.Split(digits, digits[:, 0, 0, 0].long()).float()}
    made |= {"features": metrics.features(digits), "letters": cu.letters()}
    made["time"] = nets.time_features(torch.arange(5), 8)
    score = metrics.score(digits, n=20, reference="validation")
    made["score"] = torch.tensor([score.distance, score.kid, score.kid_spread], dtype=torch.float64)
    made["training"] = torch.tensor(trained(batches), dtype=torch.float64)
    return made


def trained(batches):
    """The losses of a training over float32 images."""
    cu.seed_everything(0)
    net = nn.Linear(784, 1).to(torch.float32)
    loss = lambda net, x: net(x.flatten(1)).square().mean()  # noqa: E731
    return cu.fit(net, loss, batches, steps=4, log_every=2)["loss"]


def test_under_a_default_type_of_float64_everything_is_what_it_was(request):
    expected = computed()
    metrics.classifier.cache_clear()
    request.getfixturevalue("float64")
    found = computed()  # the judge is made under float64
    torch.set_default_dtype(torch.float32)
    again = metrics.features(cu.mnist().val.sample(40).x)
    for name, value in expected.items():
        assert found[name].dtype == value.dtype, name
        if name != "training":  # its first weights are drawn as float64
            torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-5, msg=name)
    assert torch.equal(again, expected["features"])


def test_the_unet_works_in_the_type_it_was_made_in(float64):
    net = nets.UNet(width=8, embedding=16, labels=3)
    out = net(torch.zeros(2, 1, 8, 8), torch.tensor([1, 2]), torch.tensor([0, 3]))
    assert out.dtype == torch.float64 and machine.device().type
