"""Planted faults prove the net: each is found on the pretended device, with its lesson and line.

One small lesson works on both devices; each fault changes one line of it as a student or an author might write it.
"""

import pytest

from course_utils.system import folders
from tests.pretend.device import reason_not_to_pretend
from tests.pretend.lesson_worker import run_lesson

pytestmark = pytest.mark.skipif(bool(reason_not_to_pretend()), reason=str(reason_not_to_pretend()))

LESSON = """
import copy
import io

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import course_utils as cu

device = cu.setup()


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(2, 16), nn.BatchNorm1d(16), nn.SiLU(), nn.Linear(16, 2))
        self.register_buffer("scale", torch.ones(2))

    def forward(self, x):
        return self.layers(x) * self.scale


def loss(model, x):
    eps = torch.randn_like(x)
    weight = torch.linspace(0, 1, len(x), device=x.device)
    t = torch.full((len(x),), 0.5, device=x.device)
    kind = F.one_hot((x[:, 0] > 0).long(), 2)
    out = model(x + t[:, None] * eps)
    error = (weight[:, None] * (out - eps) ** 2).mean()
    return {"loss": error + 0 * kind.sum(), "error": error}


net = cu.prepare(Net())
history = cu.fit(net, loss, cu.Batches(cu.moons(64), 16), steps=4, ema=0.9, log_every=2)
average = history.ema
z = torch.randn(16, 2, generator=torch.Generator().manual_seed(0)).to(device)
with torch.no_grad():
    samples = average(z)
distance = (samples.cpu() - cu.moons(64)[:16]).square().mean()
order = samples[:, 0].argsort()
nearest = cu.moons(64)[order.cpu()]
levels = torch.tensor([0.5, 2.0], device=device)
kept = io.BytesIO()
torch.save(net.state_dict(), kept)
kept.seek(0)
scale = torch.load(kept, map_location="cpu")["scale"] + torch.ones(2)
fig, ax = plt.subplots()
ax.scatter(*samples.cpu().T)
cu.show(fig, "The samples of the network, one dot each.")


def draw(size):
    fig, ax = plt.subplots()
    with torch.no_grad():
        ax.scatter(*(net(z) + size * torch.ones(2, device=device)).cpu().T)
    return fig


cu.explore(draw, "The samples again, shifted by a slider.", size=(0.0, 1.0))
"""

MIXED = "Expected all tensors to be on the same device"
REFUSED = {
    "a mask made on the CPU": (
        "    out = model(x + t[:, None] * eps)", "    out = model(x * (torch.rand(x.shape) < 0.9))", MIXED),
    "a CPU generator for noise on the device": (
        "    eps = torch.randn_like(x)",
        "    eps = torch.randn(x.shape, generator=torch.Generator().manual_seed(0), device=x.device)",
        "device type for generator"),
    "arange without a device in a loss": (
        "    weight = torch.linspace(0, 1, len(x), device=x.device)", "    weight = torch.arange(len(x)) / len(x)",
        MIXED, "    error ="),
    "times without a device": (
        "    t = torch.full((len(x),), 0.5, device=x.device)", "    t = torch.full((len(x),), 0.5)", MIXED,
        "    out = model("),
    "a constant that is no buffer": (
        '        self.register_buffer("scale", torch.ones(2))', "        self.scale = torch.ones(2)", MIXED,
        "        return self.layers"),
    "a copy that was made before the move": (
        "average = history.ema", "average = copy.deepcopy(net).cpu()", MIXED, "        return self.layers"),
    "latents left on the CPU": (
        "z = torch.randn(16, 2, generator=torch.Generator().manual_seed(0)).to(device)", "z = torch.randn(16, 2)",
        MIXED, "        return self.layers"),
    "a metric that mixes": (
        "distance = (samples.cpu() - cu.moons(64)[:16]).square().mean()",
        "distance = (samples - cu.moons(64)[:16]).square().mean()", MIXED),
    "an index on the device into a set on the CPU": (
        "nearest = cu.moons(64)[order.cpu()]", "nearest = cu.moons(64)[order]", "indices should be either on cpu"),
    "NumPy of a tensor on the device": (
        "levels = torch.tensor([0.5, 2.0], device=device)", "levels = samples.numpy().max(0)",
        "device type tensor to numpy"),
    "a plot of a tensor on the device": (
        "ax.scatter(*samples.cpu().T)", "ax.scatter(*samples.T)", "device type tensor to numpy"),
    "bars of tensors, which NumPy will refuse": (
        "ax.scatter(*samples.cpu().T)", "ax.bar(*samples.cpu().T)", "__array_wrap__"),
    "an image that is a tensor, which NumPy will refuse": (
        "ax.scatter(*samples.cpu().T)", "ax.imshow(samples.cpu())", "__array__"),
    "a state that is loaded to where it was saved": (
        'scale = torch.load(kept, map_location="cpu")["scale"] + torch.ones(2)',
        'scale = torch.load(kept)["scale"] + torch.ones(2)', MIXED),
    "a widget that mixes": (
        "        ax.scatter(*(net(z) + size * torch.ones(2, device=device)).cpu().T)",
        "        ax.scatter(*(net(z) + size * torch.ones(2)).cpu().T)", MIXED),
}  # fmt: skip
ON_MPS = {
    "a float64 constant": (
        "levels = torch.tensor([0.5, 2.0], device=device)",
        "levels = torch.tensor([0.5, 2.0], dtype=torch.float64, device=device)", "float64"),
    "a NumPy array, which is float64": (
        "levels = torch.tensor([0.5, 2.0], device=device)",
        "levels = torch.as_tensor(np.array([0.5, 2.0]), device=device)", "float64"),
    "double() in a loss": (
        "    error = (weight[:, None] * (out - eps) ** 2).mean()",
        "    error = (weight[:, None] * (out - eps) ** 2).double().mean()", "float64"),
}  # fmt: skip
ON_CUDA = {
    "a loss of probabilities in half precision": (
        "    error = (weight[:, None] * (out - eps) ** 2).mean()",
        "    error = F.binary_cross_entropy(out.sigmoid(), x.sigmoid())", "unsafe to autocast"),
    "a half-precision result put into a float32 tensor": (
        "    error = (weight[:, None] * (out - eps) ** 2).mean()",
        "    out = x.index_put((kind[:, 0].nonzero()[:, 0],), model.layers[0](x)[:1, :2]); error = out.mean()",
        "dtypes match"),
}  # fmt: skip
WAITS = {
    "item() in a step": (
        "    error = (weight[:, None] * (out - eps) ** 2).mean()",
        "    error = (out - eps).square().mean() * (1 + 0 * x.sum().item())", "read"),
    "a comparison in a step": (
        "    error = (weight[:, None] * (out - eps) ** 2).mean()",
        "    error = (out - eps).square().mean() if out.sum() < 1e9 else out.sum()", "read"),
    "a boolean mask in a step": (
        "    error = (weight[:, None] * (out - eps) ** 2).mean()",
        "    error = (out - eps)[x[:, 0] > 0].square().mean() + out.mean()", "read"),
    "one_hot without the number of classes": (
        "    kind = F.one_hot((x[:, 0] > 0).long(), 2)", "    kind = F.one_hot((x[:, 0] > 0).long())", "read"),
    "a look at the CPU in a step": (
        "    weight = torch.linspace(0, 1, len(x), device=x.device)",
        "    weight = x.cpu()[:, 0].to(x.device, non_blocking=True)", "read"),
    "a number sent to the device in a step": (
        "    t = torch.full((len(x),), 0.5, device=x.device)",
        "    t = torch.tensor([0.5], device=x.device).expand(len(x))", "upload"),
}  # fmt: skip


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    """Own runs go to a folder of the test, and trainings are long enough to have log points."""
    monkeypatch.setattr(folders, "runs_dir", lambda: tmp_path)
    monkeypatch.setenv("COURSE_PROFILE", "quick")
    monkeypatch.delenv("COURSE_FIGURES", raising=False)


def planted(folder, old: str, new: str, at: str | None = None):
    """Write the lesson with one line exchanged; return its path, and how a finding begins.

    It is found in that line, or, where a card notices it only later, in the one that begins with `at`.
    """
    lines = LESSON.split("\n")
    line = lines.index(old)
    lines[line] = new
    if at is not None:
        (line,) = [number for number, text in enumerate(lines) if text.startswith(at)]
    path = folder / "98_planted.py"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path, f"lessons/98_planted.py:{line + 1}"


def cases(*groups: dict) -> list:
    """The faults of some groups as parameters of a test."""
    return [pytest.param(fault, id=name) for group in groups for name, fault in group.items()]


@pytest.mark.parametrize("kind", ["cuda", "mps"])
def test_the_lesson_works_as_it_is(kind, tmp_path):
    path = tmp_path / "98_planted.py"
    path.write_text(LESSON, encoding="utf-8")
    found = run_lesson(path, kind)
    assert (found.fault, found.waits, found.trained) == (None, [], [[kind]])
    assert found.reads >= 2, "losses are read at log points, samples at the end"


def is_refused(folder, kind, card, fault):
    old, new, words, *at = fault
    path, beginning = planted(folder, old, new, *at)
    found = run_lesson(path, kind, card)
    assert found.fault is not None, "a card would refuse this"
    assert found.fault.startswith((f"{beginning}: ", f"{beginning} (in ")) and words in found.fault, (
        found.fault
    )


@pytest.mark.parametrize("fault", cases(REFUSED))
def test_a_planted_fault_is_found_in_its_line(fault, tmp_path):
    is_refused(tmp_path, "cuda", "A100", fault)


@pytest.mark.parametrize("fault", cases(ON_MPS))
def test_float64_is_found_on_mps_and_allowed_on_cuda(fault, tmp_path):
    is_refused(tmp_path, "mps", "A100", fault)
    path, _ = planted(tmp_path, *fault[:2])
    assert run_lesson(path, "cuda").fault is None


@pytest.mark.parametrize("fault", cases(ON_CUDA))
def test_a_fault_of_half_precision_is_found(fault, tmp_path):
    is_refused(tmp_path, "cuda", "T4", fault)


@pytest.mark.parametrize("fault", cases(WAITS))
def test_a_wait_in_a_step_is_found_in_its_line(fault, tmp_path):
    old, new, kind = fault
    path, beginning = planted(tmp_path, old, new)
    found = run_lesson(path, "cuda")
    assert found.fault is None
    assert any(wait.startswith(f"{beginning}: {kind} by") for wait in found.waits), found.waits
