"""The pretended device itself: what a card refuses it refuses, what a card computes it computes."""

import copy
import io
from unittest import mock

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import course_utils as cu
from course_utils.runs import weights as weights_of_runs
from course_utils.system import folders, machine, randomness
from course_utils.train import session
from tests.pretend.device import pretending, reason_not_to_pretend
from tests.pretend.tensor import OnDevice
from tests.train.training import mlp, noisy_loss, points, same

pytestmark = pytest.mark.skipif(bool(reason_not_to_pretend()), reason=str(reason_not_to_pretend()))
KINDS = ["cuda", "mps"]


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    """Own runs go to a folder of the test; a training call takes all its steps."""
    monkeypatch.setattr(folders, "runs_dir", lambda: tmp_path)
    monkeypatch.setenv("COURSE_PROFILE", "live")
    return tmp_path


@pytest.fixture(params=KINDS)
def there(request):
    """The pretended device, of each kind."""
    with pretending(request.param):
        yield torch.device(request.param, 0)


def small(seed=0):
    """A network with convolutions, batch norm and a linear layer."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.SiLU(), nn.Flatten(), nn.Linear(4 * 64, 3)
    )


def test_the_course_finds_the_device_and_loses_it_again():
    before = machine.device()
    for kind in KINDS:
        with pretending(kind):
            assert cu.device() == machine.device() == torch.device(kind, 0)
            assert torch.ones(2, device=cu.device()).device.type == kind
    assert machine.device() == before and machine.named is None
    assert not torch.cuda.is_available() and type(torch.ones(2)) is torch.Tensor
    assert type(torch.Generator()) is torch.Generator and randomness._accelerator() is None


REFUSED = {
    "sum": (RuntimeError, lambda x, d: x + torch.ones(3)),
    "in place": (RuntimeError, lambda x, d: torch.ones(2, 3).add_(x)),
    "in place on a scalar": (RuntimeError, lambda x, d: torch.zeros(()).add_(x.sum())),
    "cat": (RuntimeError, lambda x, d: torch.cat([x, torch.ones(1, 3)])),
    "matmul": (RuntimeError, lambda x, d: x @ torch.ones(3, 2)),
    "linear": (RuntimeError, lambda x, d: nn.Linear(3, 2)(x)),
    "cross entropy": (RuntimeError, lambda x, d: F.cross_entropy(x, torch.tensor([0, 1]))),
    "where": (RuntimeError, lambda x, d: torch.where(torch.ones(2, 3).bool(), x, x)),
    "gather": (RuntimeError, lambda x, d: x.gather(1, torch.zeros(2, 1).long())),
    "index_select": (RuntimeError, lambda x, d: x.index_select(0, torch.tensor([0]))),
    "CPU set by device indices": (RuntimeError, lambda x, d: torch.ones(9)[x.long()]),
    "put CPU values": (RuntimeError, lambda x, d: x.__setitem__(torch.tensor([0]), torch.ones(1, 3))),
    "CPU generator": (RuntimeError, lambda x, d: torch.randn(3, generator=torch.Generator(), device=d)),
    "CPU generator in place": (RuntimeError, lambda x, d: x.normal_(generator=torch.Generator())),
    "device generator": (RuntimeError, lambda x, d: torch.randn(3, generator=torch.Generator(d))),
    "data of another device": (RuntimeError, lambda x, d: setattr(x, "data", torch.ones(2, 3))),
    "numpy": (TypeError, lambda x, d: x.numpy()),
    "asarray": (TypeError, lambda x, d: np.asarray(x)),
    "np.mean of a list": (TypeError, lambda x, d: np.mean([x, x])),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_a_card_refuses(name, there):
    error, action = REFUSED[name]
    with pytest.raises(error, match="device"):
        action(torch.rand(2, 3).to(there), there)


ALLOWED = {
    "CPU scalar": lambda x, d: x * torch.tensor(2.0),
    "where with a CPU scalar": lambda x, d: torch.where(x > 0.5, x, torch.tensor(0.0)),
    "CPU indices": lambda x, d: x[torch.tensor([1, 0])],
    "CPU mask": lambda x, d: x[torch.tensor([True, False])],
    "copy_ to": lambda x, d: torch.empty(2, 3, device=d).copy_(x.cpu()),
    "set from the CPU by a slice": lambda x, d: _set(x.clone(), torch.ones(3)),
    "like": lambda x, d: torch.zeros_like(x) + x.new_zeros(3) + x.new_tensor([1.0]) + x,
    "to and from": lambda x, d: x.cpu().to(d) + torch.ones(3).to(x),
    "device generator": lambda x, d: x + torch.rand(3, generator=torch.Generator(d).manual_seed(1), device=d),
    "attention": lambda x, d: F.scaled_dot_product_attention(x[None], x[None], x[None]),
    "one hot": lambda x, d: F.one_hot((x > 0.5).long(), 2).float(),
    "normal distribution": lambda x, d: torch.distributions.Normal(x, 1.0).log_prob(x),
    "multivariate normal": lambda x, d: torch.distributions.MultivariateNormal(x[0], torch.eye(3, device=d))
    .log_prob(x),
    "resized out": lambda x, d: torch.stack([x, x], out=torch.empty(0, device=d)),
    "sorted": lambda x, d: x.sort(1, descending=True).values + x.topk(1).values,
    "channels last": lambda x, d: x[None, None].to(memory_format=torch.channels_last).contiguous(),
}  # fmt: skip


def _set(x, value):
    x[0] = value
    return x


@pytest.mark.parametrize("name", ALLOWED)
def test_what_a_card_allows_has_the_numbers_and_strides_of_the_cpu(name, there):
    x = torch.rand(2, 3)
    made = ALLOWED[name](x.to(there), there)
    assert type(made) is OnDevice and made.device == there
    if "generator" not in name:
        expected = ALLOWED[name](x.clone(), torch.device("cpu"))
        assert torch.equal(made.cpu(), expected) and made.stride() == expected.stride()


def test_float64_is_refused_by_mps_alone():
    makes = [
        lambda d: torch.ones(2, dtype=torch.float64, device=d), lambda d: torch.ones(2).double().to(d),
        lambda d: torch.as_tensor(np.ones(2), device=d), lambda d: torch.ones(2, device=d).double(),
        lambda d: nn.Linear(2, 2).double().to(d), lambda d: torch.ones(2, device=d).to(torch.float64),
    ]  # fmt: skip
    for make in makes:
        with pretending("mps"), pytest.raises(TypeError, match="doesn't support float64"):
            make(torch.device("mps", 0))
        with pretending("cuda"):
            make(torch.device("cuda", 0))
    with pretending("mps"):
        x = torch.ones(2, device="mps")
        assert x.cpu().double().dtype is torch.float64
        for action in (lambda: x.to("cpu", torch.float64), lambda: torch.zeros(2).double().copy_(x)):
            with pytest.raises(TypeError, match="doesn't support float64"):
                action()  # MPS converts before it copies
        assert torch.ones(2).double().to("mps", torch.float32).device.type == "mps"


@pytest.mark.parametrize(
    ("read", "times"),
    [
        (lambda x: x.sum().item(), 1), (lambda x: float(x[0, 0]), 1), (lambda x: bool(x.sum() > 0), 1),
        (lambda x: x.tolist(), 1), (lambda x: x.cpu(), 1), (lambda x: x[x > 0], 1), (lambda x: x.nonzero(), 1),
        (lambda x: F.one_hot(x.long()), 2), (lambda x: x.unique(), 1), (lambda x: f"{x.mean():.2f}", 1),
        (lambda x: torch.equal(x, x), 1), (lambda x: str(x), 1), (lambda x: x.masked_select(x > 0), 1),
        (lambda x: F.one_hot(x.long(), 2), 0), (lambda x: torch.where(x > 0, x, 0), 0), (lambda x: x.shape, 0),
        (lambda x: x.masked_fill(x > 0, 1.0), 0), (lambda x: x[:, None] - x, 0), (lambda x: len(x), 0),
    ],
)  # fmt: skip
def test_reads_by_the_host_are_counted(read, times):
    with pretending("cuda") as host:
        x = torch.rand(2, 3, device="cuda")
        before = host.reads
        read(x)
        assert host.reads - before >= 1 if times else host.reads == before


def test_uploads_are_counted_unless_nobody_waits_for_them():
    with pretending("cuda") as host:
        torch.ones(2).to("cuda")
        torch.tensor([1.0], device="cuda")
        torch.zeros(2, device="cuda")[torch.tensor([0])]
        assert host.uploads == 3
        torch.ones(2).pin_memory().to("cuda", non_blocking=True)
        torch.ones(2, device="cuda") * 3
        assert host.uploads == 3 and host.reads == 0


def test_a_training_step_computes_what_the_cpu_computes(there):
    """Forward, backward, clipping and three optimisers: bit by bit as on the CPU."""
    images, labels = torch.rand(6, 1, 8, 8), torch.randint(0, 3, (6,))
    models = [small(), small().to(there)]
    for kind in (torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW):
        for model in models:
            where = next(model.parameters()).device
            opt = kind(model.parameters(), lr=0.1, fused=True)
            for _ in range(2):
                opt.zero_grad()
                F.cross_entropy(model(images.to(where)), labels.to(where)).backward()
                nn.utils.clip_grad_norm_(model.parameters(), 0.1)
                opt.step()
    assert all(weight.device == there for weight in models[1].parameters())
    assert same(models[0], models[1].cpu())


def test_gradients_pass_views_changes_in_place_and_the_way_to_the_host(there):
    """The gradient through an in-place change of a transposed view, where a device without strides errs."""
    x, factors = torch.rand(3, 4), torch.rand(4, 3)

    def gradient(x, factors):
        x = x.clone().requires_grad_()
        base = x * 1
        base.t().mul_(factors)
        (base.to("cpu") ** 2).sum().backward()
        return x.grad

    assert torch.equal(gradient(x.to(there), factors.to(there)).cpu(), gradient(x, factors))


def test_weights_stay_the_same_objects_when_they_move(there):
    model = small()
    weights = list(model.parameters())
    opt = torch.optim.SGD(weights, lr=0.1)
    cu.prepare(model)
    assert all(a is b for a, b in zip(weights, model.parameters()))
    assert all(isinstance(weight, nn.Parameter) and weight.device == there for weight in weights)
    model(torch.rand(2, 1, 8, 8, device=there)).sum().backward()
    before = weights[-1].detach().clone()
    opt.step()
    assert not torch.equal(weights[-1], before)
    copied = copy.deepcopy(model)
    assert same(copied, model) and copied[0].weight.requires_grad
    assert copied[0].weight.held.data_ptr() != model[0].weight.held.data_ptr()


def test_a_saved_state_lands_where_it_is_asked_to(there, tmp_path):
    model = cu.prepare(small())
    saved = io.BytesIO()
    torch.save(model.state_dict(), saved)
    for asked, expected in ((None, there), ("cpu", torch.device("cpu")), (there, there)):
        saved.seek(0)
        state = torch.load(saved, map_location=asked, weights_only=True)
        assert {value.device for value in state.values()} == {expected}
    other = cu.prepare(small(1))
    other.load_state_dict(state)
    assert same(other, model)
    weights_of_runs.write(tmp_path / "w.safetensors", {"model": model})
    weights_of_runs.read_into((tmp_path / "w.safetensors").read_bytes(), {"model": other}, "w")
    assert all(weight.device == there for weight in other.parameters())


def test_the_device_has_random_numbers_of_its_own(there):
    torch.manual_seed(0)
    first = torch.rand(3, device=there).cpu()
    on_cpu = torch.rand(3)
    torch.manual_seed(0)
    assert torch.equal(torch.rand(3), on_cpu) and not torch.equal(first, on_cpu)
    assert torch.equal(torch.rand(3, device=there).cpu(), first)
    with randomness.forked():
        inside = torch.rand(3, device=there).cpu()
    assert torch.equal(torch.rand(3, device=there).cpu(), inside)


@pytest.mark.parametrize(("card", "half"), [("T4", torch.float16), ("A100", torch.bfloat16)])
def test_fit_takes_the_precision_of_the_card(card, half, monkeypatch):
    """A T4 computes in float16 with a gradient scaler, an A100 in bfloat16 without one."""
    seen, sessions = set(), []
    result = session.Session.result
    monkeypatch.setattr(session.Session, "result", lambda self: sessions.append(self) or result(self))

    def loss(model, x):
        out = model(x)
        seen.add((out.dtype, out.exp().dtype, out.square().mean().dtype))
        return (out - x).square().mean()

    with pretending("cuda", card):
        history = cu.fit(mlp(), loss, points(), steps=3, log_every=1)
    assert seen == {(half, torch.float32, half)} and history.steps == [1, 2, 3]
    scaler = sessions[0].saving.snapshot.state["scaler"]
    assert scaler.is_enabled() == (half is torch.float16)


def test_fit_computes_in_float32_on_mps():
    seen = set()
    with pretending("mps"):
        cu.fit(mlp(), lambda m, x: seen.add(m(x).dtype) or noisy_loss(m, x), points(), steps=2)
    assert seen == {torch.float32}


@pytest.mark.parametrize("way", ["to it", "from it", "on it"])
def test_a_training_is_resumed_across_devices(way, there, capsys):
    cpu = torch.device("cpu")
    ways = {"to it": (cpu, there), "from it": (there, cpu), "on it": (there, there)}
    for device, steps in zip(ways[way], (4, 8)):
        with mock.patch.object(machine, "named", device):
            randomness._accelerator.cache_clear()
            model = mlp(seed=steps)
            history = cu.fit(model, noisy_loss, points(), steps=steps, name="mine", log_every=2, ema=0.9)
        assert next(model.parameters()).device.type == device.type
        assert next(history.ema.parameters()).device.type == device.type
    assert "mine: resumed after step 4 of 8" in capsys.readouterr().out and history.steps == [2, 4, 6, 8]


def test_memory_is_given_back(there):
    import gc
    import weakref

    held = weakref.ref(torch.rand(9).to(there).held)
    model = cu.prepare(small())
    model(torch.rand(2, 1, 8, 8, device=there)).sum().backward()
    gone = weakref.ref(model[0].weight.held)
    del model
    gc.collect()
    assert held() is None and gone() is None
