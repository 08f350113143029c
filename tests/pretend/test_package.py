"""What a reader hands to the package from a device, it takes: plots, metrics, data, runs, widgets, the arena."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from torch import nn

import course_utils as cu
from course_utils import metrics
from course_utils.arena import clock
from course_utils.nets import DigitClassifier
from course_utils.system import folders, machine
from tests.pretend.device import pretending, reason_not_to_pretend

pytestmark = pytest.mark.skipif(bool(reason_not_to_pretend()), reason=str(reason_not_to_pretend()))


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    """Own runs go to a folder of the test."""
    monkeypatch.setattr(folders, "runs_dir", lambda: tmp_path)
    monkeypatch.setenv("COURSE_PROFILE", "live")
    for kept in (metrics.classifier,):
        kept.cache_clear()
    yield tmp_path
    metrics.classifier.cache_clear()
    plt.close("all")


@pytest.fixture(params=["cuda", "mps"])
def there(request):
    """The pretended device, of each kind."""
    with pretending(request.param):
        yield torch.device(request.param, 0)


def numbers(n, *shape):
    """n × shape values in [0, 1), the same each time."""
    return torch.rand(n, *shape, generator=torch.Generator().manual_seed(0))


def weighted(x, y):
    """Pairs of features that differ."""
    return x, 0.9 * y + 0.05


METRICS = {
    "frechet": lambda x, y: metrics.frechet(*weighted(x, y)),
    "moments": lambda x, y: metrics.moments(x)[1].sum().item(),
    "gaussian_frechet": lambda x, y: metrics.gaussian_frechet(
        x.mean(0), torch.cov(x.T), y.mean(0), torch.cov(y.T)
    ),
    "kid": lambda x, y: metrics.kid(*weighted(x, y)),
    "precision_recall": lambda x, y: tuple(metrics.precision_recall(*weighted(x, y)).values()),
    "importance_bound": lambda x, y: metrics.importance_bound(x).sum().item(),
    "psnr": lambda x, y: metrics.psnr(x, 0.9 * y).mean().item(),
    "ssim": lambda x, y: metrics.ssim(
        x.reshape(-1, 1, 8, 8), 0.9 * y.reshape(-1, 1, 8, 8)
    ).mean().item(),
}  # fmt: skip


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_takes_tensors_of_the_device(name, there):
    x = numbers(16, 64)
    assert METRICS[name](x.to(there), x.to(there)) == pytest.approx(METRICS[name](x, x), rel=1e-4)


@pytest.mark.parametrize("name", ["frechet", "kid", "precision_recall"])
def test_features_of_the_device_are_compared_with_shipped_ones(name, there):
    """`cu.metrics.test_features()` lies on the CPU, what a reader computed may lie on the device."""
    x = numbers(16, 64)
    assert METRICS[name](x.to(there), x) == METRICS[name](x, x.to(there)) == METRICS[name](x, x)


def test_samples_of_the_device_are_judged(there):
    images = cu.mnist().val.x[:40]
    expected = metrics.features(images)
    found = metrics.features(images.to(there))
    assert found.dtype == torch.float64 and found.device.type == "cpu"
    assert torch.allclose(found, expected) and metrics.score(images.to(there), 20, "validation").sets == 2


PLOTS = {
    "image_grid": lambda x: cu.plots.image_grid(x.reshape(-1, 8, 8)),
    "film_strip": lambda x: cu.plots.film_strip(x[:4].reshape(2, 2, 8, 8), ["a", "b"]),
    "mosaic": lambda x: cu.plots.mosaic(x.reshape(-1, 1, 8, 8)),
    "scatter": lambda x: cu.plots.scatter(x[:, :2], x[:, 2].mul(3).long()),
    "density": lambda x: cu.plots.density(lambda p: -((p - x[0, :2].to(p)) ** 2).sum(1), (-1, 1, -1, 1), n=8),
    "density there": lambda x: cu.plots.density(
        lambda p: -((p - x[0, :2]) ** 2).sum(1), (-1, 1, -1, 1), n=8, device=x.device),
    "field there": lambda x: cu.plots.field(lambda p: p * x[0, :2], (-1, 1, -1, 1), n=4, device=x.device),
    "ellipse": lambda x: cu.plots.ellipse(x[0, :2], torch.eye(2, device=x.device)),
    "band": lambda x: cu.plots.band(x[0], x),
    "curves": lambda x: cu.plots.curves({"loss": x[0], "other": list(x[1])}),
    "table": lambda x: cu.table([["a", x[0, 0]], ["b", x[1].mean()]], ["name", "value"]),
    "facts": lambda x: cu.facts("mean", x.mean(), "spread", (x.mean(), x.std())),
}  # fmt: skip


@pytest.mark.parametrize("name", PLOTS)
def test_a_picture_of_tensors_of_the_device(name, there):
    PLOTS[name](numbers(9, 64).to(there))


def test_data_of_the_device_become_batches_and_splits(there):
    x, y = numbers(32, 2), torch.arange(32)
    for batch, labels in cu.Batches((x.to(there), y.to(there)), 8):
        assert batch.device == labels.device == there
    split = cu.mnist().val.to(there)
    few = split.sample(5)
    assert few.x.device == split.only(3, 4).y.device == few.float().device == there
    assert cu.to_uint8(few.float()).device == there


def test_a_model_of_the_device_is_shipped_restored_and_timed(there):
    model = cu.prepare(nn.Linear(4, 4))
    samples = cu.to_uint8(numbers(10, 28, 28).to(there))
    run = cu.save_run("mine", model, samples=samples)
    other = cu.prepare(nn.Linear(4, 4))
    cu.restore("mine", other, own=True)
    assert other.weight.device == there
    assert torch.allclose(other.weight.cpu(), model.weight.cpu(), atol=1e-3)
    assert np.array_equal(run.samples, samples.cpu().numpy())
    assert clock.yardstick(repeats=1) > 0
    assert machine.device() == there


def test_the_judge_is_trained_on_the_device_without_a_wait(there):
    """Its random crops index images by rows and columns that are drawn on the device."""
    history = cu.fit(
        DigitClassifier(),
        lambda model, x, y: nn.functional.cross_entropy(model(x), y),
        cu.Batches(cu.mnist().val, 16, labels=True), steps=2,
    )  # fmt: skip
    assert history.steps[-1] == 2


@pytest.mark.parametrize(("kind", "last"), [("cuda", True), ("mps", False)])
def test_apples_gpu_gets_images_in_plain_layout_and_copies_that_the_host_waits_for(kind, last, monkeypatch):
    """BatchNorm of channels_last, and copies while the host goes on, come out wrong on MPS, without a word."""
    asked = []
    to = torch.Tensor.to
    monkeypatch.setattr(torch.Tensor, "to", lambda x, *a, **kw: asked.append((a, kw)) or to(x, *a, **kw))
    laid_out = []

    def loss(model, x):
        laid_out.append(x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous())
        return model(x).square().mean()

    with pretending(kind):
        net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        loader = torch.utils.data.DataLoader(numbers(16, 3, 6, 6), batch_size=8)
        cu.fit(net, loss, loader, steps=3)
        assert net[0].weight.is_contiguous() is not last
    assert laid_out == [last] * 3
    ahead = {kw["non_blocking"] for _, kw in asked if "non_blocking" in kw}
    assert ahead == {last}
