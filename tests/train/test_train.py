"""`fit` and `loop`: what they compute, what they log, and what they leave alone."""

import inspect
import re

import matplotlib.pyplot as plt
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import course_utils as cu
from course_utils.system import folders, machine
from course_utils.train import history, previews, recipe
from course_utils.train.ema import EMA
from course_utils.train.loop import log_interval
from course_utils.train.recipe import make_optimiser
from tests.train.training import CountReads, mlp, noisy_loss, points, same, watched_steps, weights


@pytest.fixture(autouse=True)
def live(monkeypatch, tmp_path):
    """The live profile, writing to a folder of the test."""
    monkeypatch.setenv("COURSE_PROFILE", "live")
    monkeypatch.setattr(folders, "runs_dir", lambda: tmp_path)


def plain_loss(model, x):
    return (model(x) - x).square().mean()


def test_fit_is_the_loop_that_one_writes_by_hand():
    ours, theirs = mlp(), mlp()
    history = cu.fit(ours, noisy_loss, points(), steps=12, lr=1e-2, log_every=4, seed=3)

    cu.seed_everything(3)
    opt, losses = torch.optim.Adam(theirs.parameters(), lr=1e-2, fused=True), []
    batches = points()
    theirs.train()
    for t in range(12):
        loss = noisy_loss(theirs, batches.batch(t))["loss"]
        opt.zero_grad()
        loss.backward()
        opt.step()
        losses.append(loss.item())
    assert same(ours, theirs)
    assert history.steps == [4, 8, 12]
    assert history["loss"] == pytest.approx([sum(losses[i : i + 4]) / 4 for i in (0, 4, 8)], rel=1e-6)
    assert history.keys() == ["loss", "scale"]
    assert history.stopped is None and history.ema is None and history.seconds > 0


def test_clipping_schedule_and_weight_decay_reach_the_optimiser():
    seen = []

    def note(opt, *_):
        seen.append((opt.param_groups[0]["lr"], norm_of_gradient(opt)))

    def spy(params):
        opt = torch.optim.SGD(params, lr=1.0)
        opt.register_step_pre_hook(note)
        return opt

    cu.fit(mlp(), plain_loss, points(), steps=10, optimiser=spy, clip=1e-3, schedule="cosine")
    rates, norms = zip(*seen)
    assert rates == pytest.approx(
        [(1 + torch.cos(torch.tensor(torch.pi * t / 10)).item()) / 2 for t in range(10)]
    )
    assert max(norms) <= 1e-3 * (1 + 1e-4)
    seen.clear()
    cu.fit(mlp(), plain_loss, points(), steps=4, optimiser=spy, schedule=lambda done: 1 - done)
    assert [rate for rate, _ in seen] == pytest.approx([1, 0.75, 0.5, 0.25])
    assert make_optimiser("adamw", mlp(), 0.1, 0.3).param_groups[0]["weight_decay"] == 0.3
    with pytest.raises(ValueError, match="'adam', 'adamw', 'sgd'"):
        make_optimiser("lion", mlp(), 0.1)
    with pytest.raises(ValueError, match="cosine"):
        cu.fit(mlp(), plain_loss, points(), steps=2, schedule="linear")


def test_ema_follows_its_closed_form_with_buffers_averaged_and_integers_copied():
    model, decay, steps = mlp(), 0.6, 7
    average, path = EMA(model, decay), []
    start = weights(model)
    torch.manual_seed(1)
    for _ in range(steps):
        with torch.no_grad():
            for value in model.state_dict().values():
                value.copy_(
                    torch.randn_like(value)
                    if value.is_floating_point()
                    else torch.randint(0, 99, value.shape)
                )
        path.append(weights(model))
        average.update()
    decays = [min(decay, (1 + t) / (10 + t)) for t in range(steps)]
    assert decays[0] < decays[-1] < decay  # the warm-up; the other side of the minimum has its own test
    for key, first in start.items():
        kept = average.module.state_dict()[key]
        if not first.is_floating_point():
            assert torch.equal(kept, path[-1][key])
            continue
        tails = [torch.tensor(decays[t:], dtype=torch.float64).prod() for t in range(steps + 1)]
        expected = tails[0] * first.double()
        for t in range(steps):
            expected = expected + tails[t + 1] * (1 - decays[t]) * path[t][key].double()
        torch.testing.assert_close(kept.double(), expected, rtol=0, atol=1e-6)
    assert "1.running_mean" in start and not any(p.requires_grad for p in average.module.parameters())
    with pytest.raises(ValueError, match="0.999"):
        EMA(model, 1.0)


@pytest.mark.parametrize("decay", [0.05, 0.5])
def test_ema_warm_up_is_a_minimum(decay):
    model = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(model.weight)
    average = EMA(model, decay)
    nn.init.ones_(model.weight)
    average.update()
    assert average.module.weight.item() == pytest.approx(1 - min(decay, 0.1))


def test_fit_returns_the_average_and_leaves_the_raw_weights():
    with_ema, without = mlp(), mlp()
    history = cu.fit(with_ema, noisy_loss, points(), steps=9, ema=0.9)
    cu.fit(without, noisy_loss, points(), steps=9)
    assert same(with_ema, without)
    assert not same(history.ema, with_ema)

    model, batches = mlp(), points()
    average, opt = EMA(model, 0.9), torch.optim.Adam(model.parameters(), fused=True)
    cu.seed_everything(0)
    model.train()
    for t in range(9):
        opt.zero_grad()
        noisy_loss(model, batches.batch(t))["loss"].backward()
        opt.step()
        average.update()
    assert same(history.ema, average.module)
    assert type(history.ema) is type(with_ema) and not history.ema.training


def test_previews_change_neither_history_nor_weights_nor_modes():
    modes = []

    def preview(step):
        torch.randn(3), torch.randperm(5)
        noisy_loss(watched, torch.randn(8, 2))
        modes.append(watched.training)
        return torch.rand(4, 28, 28)

    watched, alone = mlp(), mlp()
    a = cu.fit(watched, noisy_loss, points(), steps=20, log_every=2, preview=preview, ema=0.9)
    b = cu.fit(alone, noisy_loss, points(), steps=20, log_every=2, ema=0.9)
    assert same(watched, alone) and same(a.ema, b.ema)
    assert (a.steps, a["loss"], a["scale"]) == (b.steps, b["loss"], b["scale"])
    assert len(modes) > 5 and not any(modes)
    assert a.frame_steps[0] == 0 and a.frame_steps[-1] == 20 and a.frames[0].shape == (4, 28, 28)
    assert a.frames[0].dtype == "uint8" and not b.frames


def test_previews_see_the_averaged_weights_and_may_not_train():
    model, seen = mlp(), []
    history = cu.fit(
        model, noisy_loss, points(), steps=6, ema=0.9, preview=lambda step: seen.append(weights(model))
    )
    assert same(seen[-1], history.ema) and not same(seen[-1], model)

    def vandal(step):
        model[0].weight.add_(1)

    with pytest.raises(RuntimeError, match="preview changed weights"):
        cu.fit(model, noisy_loss, points(), steps=6, preview=vandal)
    with pytest.raises(ValueError, match=r"preview must return a figure, or images"):
        cu.fit(model, noisy_loss, points(), steps=6, preview=lambda step: torch.zeros(3))


def test_one_place_of_the_package_rounds_to_uint8():
    rounding = re.compile(r"round\(.*uint8|uint8.*round\(")
    package = folders.ROOT / "course_utils"
    found = [path.name for path in package.rglob("*.py") if rounding.search(path.read_text(encoding="utf-8"))]
    assert sorted(set(found) - {"images.py"}) == ["pixels.py"]  # plots/images.py: the grey of a gap


def test_frames_are_rounded_and_a_poor_image_ends_no_training():
    record = history.History()
    images = torch.tensor([[[-0.2, 0.5, 1.4], [float("nan"), 0.0, 1.0]]])
    record.add_frame(3, images)
    assert record.frames[0].tolist() == [[[0, 128, 255], [0, 0, 255]]]
    record.add_frame(4, torch.rand(2, 3, 4, 4))
    assert record.frames[1].shape == (2, 3, 4, 4) and record.frame_steps == [3, 4]


def break_at(step, value):
    """A loss that becomes `value` times itself at a step."""
    calls = []

    def loss_fn(model, x):
        calls.append(1)
        out = noisy_loss(model, x)
        return {**out, "loss": out["loss"] * (value if len(calls) == step else 1.0)}

    return loss_fn


@pytest.mark.fault(
    fault="A loss that becomes NaN or infinite",
    sees="“Stopped: loss is nan between steps N and M; the weights are again those of step N. Usual remedies: a "
    "smaller lr, clip=1.0 …”",
    kept="the weights of the last log point, which are finite",
)
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("step", [1, 8, 10])
def test_a_loss_that_is_not_finite_restores_the_weights_of_the_last_log_point(step, value, capsys):
    broken, good = mlp(), mlp()
    history = cu.fit(broken, break_at(step, value), points(), steps=20, log_every=5, ema=0.9)
    last = (step - 1) // 5 * 5
    assert history.steps == list(range(5, last + 1, 5))
    assert f"those of step {last}" in history.stopped and "lr" in history.stopped
    assert history.stopped in capsys.readouterr().out
    if last:
        reference = cu.fit(good, break_at(0, value), points(), steps=last, log_every=5, ema=0.9)
        assert same(history.ema, reference.ema)
    assert same(broken, good)


@pytest.mark.fault(
    fault="Weights that become NaN although the loss is still finite",
    sees="“weights became infinite or NaN …”",
    kept="the weights of the last log point",
)
def test_weights_that_are_not_finite_are_noticed_although_the_loss_still_is():
    model, counter = mlp(), []
    opt = torch.optim.SGD(model.parameters(), lr=0.1)

    def step(x):
        loss = noisy_loss(model, x)["loss"]
        opt.zero_grad()
        loss.backward()
        opt.step()
        counter.append(1)
        if len(counter) == 8:
            model[0].weight.data[0, 0] = float("nan")
        return {"loss": loss if len(counter) < 8 else torch.zeros(())}

    history = cu.loop(step, points(), state={"model": model, "opt": opt}, steps=12, log_every=4)
    assert history.steps == [4] and "weights became" in history.stopped
    assert all(value.isfinite().all() for value in model.state_dict().values())


def test_nothing_is_read_from_the_device_between_log_points():
    def count(steps):
        with CountReads() as counter:
            cu.fit(
                mlp(),
                plain_loss,
                points(),
                steps=steps,
                log_every=steps,
                clip=1.0,
                ema=0.9,
                schedule="cosine",
            )
        return counter.reads

    within = CountReads()
    with watched_steps(within.__enter__, lambda: within.__exit__(None, None, None)):
        few = count(steps=10)
        assert (
            count(steps=60) == few + 50
        )  # fifty steps more: the loss of each, which lies on the CPU, and no more
    assert within.reads == 0
    with CountReads() as control:
        torch.ones(1).item()
    assert control.reads == 1


def test_values_on_a_device_are_kept_unread_and_those_on_the_cpu_as_numbers():
    pending = history.Pending()
    pending.add(
        {"loss": torch.tensor(0.5, device="meta"), "other": torch.tensor(0.25, requires_grad=True), "n": 3}
    )
    assert pending._values["loss"][0].is_meta  # to read it would raise
    assert pending._values["other"] == [0.25] and pending._values["n"] == [3]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_the_mean_of_numbers_is_that_of_their_tensors(dtype):
    values = (torch.linspace(0, 1, 143) ** 3).to(dtype)
    pending = history.Pending()
    for value in values:
        pending.add({"loss": value})
    names, means = pending.means(torch.device("cpu"))
    assert names == ["loss"] and torch.equal(means, values.float().mean().reshape(1))
    pending.add({"loss": torch.tensor(float("nan"))})
    pending.add({"loss": torch.tensor(1.0)})
    assert pending.means(torch.device("cpu"))[1].isnan().all()


@pytest.mark.fault(
    fault="A loss function that returns no scalar, or one that depends on no weight",
    sees="what it returned, and what to change (“average it over the batch”)",
    kept="the model as it was",
)
def test_losses_of_the_wrong_kind_are_explained():
    def run(loss_fn):
        cu.fit(mlp(), loss_fn, points(), steps=3)

    with pytest.raises(ValueError, match=r"has shape \(16, 2\): average"):
        run(lambda m, x: (m(x) - x).square())
    with pytest.raises(ValueError, match="detached"):
        run(lambda m, x: plain_loss(m, x).detach())
    with pytest.raises(TypeError, match="'loss'; it returned a dict with 'nll'"):
        run(lambda m, x: {"nll": plain_loss(m, x)})
    with pytest.raises(TypeError, match="it returned float"):
        run(lambda m, x: plain_loss(m, x).item())
    with pytest.raises(ValueError, match=r"'each' has shape \(16,\)"):
        run(lambda m, x: {"loss": plain_loss(m, x), "each": x[:, 0]})
    with pytest.raises(ValueError, match="no weights"):
        cu.fit(nn.Flatten(), plain_loss, points(), steps=3)
    with pytest.raises(TypeError, match="dict of scalars"):
        cu.loop(lambda x: x.mean(), points(), state={}, steps=3)
    with pytest.raises(TypeError, match=r"state\['G'\] is a int"):
        cu.loop(lambda x: {}, points(), state={"G": 3}, steps=3)
    with pytest.raises(ValueError, match="at least 1"):
        cu.fit(mlp(), plain_loss, points(), steps=0)


@pytest.mark.fault(
    fault="Batches that are empty, used up after one epoch, or no batches at all",
    sees="what is wrong and what to pass instead",
    kept="the model as it was",
)
def test_batches_of_the_wrong_kind_are_explained():
    def run(batches):
        cu.fit(mlp(), plain_loss, batches, steps=3)

    data = TensorDataset(cu.moons(8))
    with pytest.raises(ValueError, match="There are no batches"):
        run([])
    with pytest.raises(ValueError, match="There are no batches"):
        run(DataLoader(data, batch_size=16, drop_last=True))
    with pytest.raises(TypeError, match="cu.Batches"):
        run(cu.moons(8))
    with pytest.raises(TypeError, match="only once"):
        run(x for x in [cu.moons(8)])
    with pytest.raises(TypeError, match="not int"):
        run(3)


def test_any_loader_is_cycled_in_an_order_that_depends_on_seed_and_epoch_only():
    def orders(seed, waste):
        seen = []
        torch.manual_seed(waste)
        loader = DataLoader(
            TensorDataset(torch.arange(8.0)[:, None].expand(8, 2)), batch_size=4, shuffle=True
        )

        def step(x):
            torch.rand(waste)
            seen.append(x[:, 0].tolist())
            return {}

        cu.loop(step, loader, state={"model": mlp()}, steps=6, seed=seed)
        return seen

    first = orders(0, 1)
    assert first == orders(0, 5) and first != orders(1, 1)
    assert sorted(first[0] + first[1]) == list(range(8)) and first[:2] != first[2:4]
    seen = []
    cu.loop(
        lambda x, y: seen.append(y) or {}, [(torch.zeros(1), "a"), (torch.zeros(1), "b")], state={}, steps=5
    )
    assert seen == list("ababa")


def test_profiles_decide_the_number_of_steps(monkeypatch, tmp_path):
    monkeypatch.setattr(folders, "ROOT", tmp_path)  # where the profile full keeps the state of a training

    def steps(profile):
        monkeypatch.setenv("COURSE_PROFILE", profile)
        return cu.fit(mlp(), plain_loss, points(), steps=20, full=30).steps[-1]

    assert [steps(profile) for profile in ("live", "quick", "full")] == [20, 8, 30]


def test_training_happens_in_train_mode_and_ends_in_eval_mode():
    model, modes = mlp().eval(), []
    cu.fit(model, lambda m, x: modes.append(m.training) or plain_loss(m, x), points(), steps=3)
    assert modes == [True] * 3 and not model.training


def test_convolutions_become_channels_last_and_so_do_their_inputs():
    seen = []

    def loss(model, x):
        seen.append(x.is_contiguous(memory_format=torch.channels_last))
        return model(x).square().mean()

    conv = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3))
    keys, kind = list(conv.state_dict()), type(conv)
    cu.fit(conv, loss, [torch.rand(2, 3, 8, 8)], steps=2)
    assert all(seen) and conv[0].weight.is_contiguous(memory_format=torch.channels_last)
    assert list(conv.state_dict()) == keys and type(conv) is kind
    flat = nn.Linear(3, 2)
    assert cu.prepare(flat) is flat and flat.weight.is_contiguous()
    assert cu.prepare(flat, conv) == (flat, conv)
    with pytest.raises(TypeError, match="modules, got Adam"):
        cu.prepare(torch.optim.Adam(flat.parameters()))


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_half_precision_computes_in_half_and_keeps_float32_weights(monkeypatch, half):
    monkeypatch.setattr(machine, "autocast_dtype", lambda device: half)
    seen = []

    def loss(model, x):
        out = model(x)
        seen.append(out.dtype)
        return (out.float() - x).square().mean()

    model = nn.Linear(2, 2)
    start = weights(model)
    history = cu.fit(model, loss, points(), steps=10, lr=1e-2, clip=1.0)
    assert set(seen) == {half} and model.weight.dtype == torch.float32
    assert history.stopped is None and not same(start, model)


def test_a_scaled_gradient_is_clipped_at_its_true_length(monkeypatch):
    """In float16 the gradient is that of the loss times 65,536 until it is unscaled: then it is clipped."""
    monkeypatch.setattr(machine, "autocast_dtype", lambda device: torch.float16)
    norms = []

    def spy(params):
        opt = torch.optim.SGD(params, lr=0.1)
        opt.register_step_pre_hook(lambda opt, *_: norms.append(norm_of_gradient(opt)))
        return opt

    cu.fit(mlp(), plain_loss, points(), steps=6, optimiser=spy)
    clip = 0.1 * min(norms)
    norms.clear()
    cu.fit(mlp(), plain_loss, points(), steps=6, optimiser=spy, clip=clip)
    assert norms and norms == pytest.approx([clip] * len(norms), rel=1e-3)


def norm_of_gradient(opt):
    (group,) = opt.param_groups
    return torch.stack([weight.grad.norm() for weight in group["params"]]).norm().item()


def test_no_two_epochs_have_one_order():
    def orders(batches, steps):
        """The rows in the order in which `loop` meets them, one tuple an epoch."""
        rows = []
        cu.loop(lambda x: rows.extend(x.flatten().tolist()) or {}, batches, state={}, steps=steps)
        return [tuple(rows[i : i + 16]) for i in range(0, len(rows), 16)]

    data = torch.arange(16.0)[:, None]
    loader = DataLoader(TensorDataset(data), batch_size=8, shuffle=True)
    for batches in (cu.Batches(data, 8), loader):
        found = orders(batches, steps=2 * 24)
        assert len(found) == len(set(found)) == 24
        assert all(sorted(order) == list(range(16)) for order in found)


def test_loop_alternates_two_players():
    torch.manual_seed(0)
    G, D = nn.Linear(2, 2), nn.Linear(2, 1)
    opt_g, opt_d = torch.optim.Adam(G.parameters(), 1e-2), torch.optim.Adam(D.parameters(), 1e-2)
    before = weights(G), weights(D)

    def gan_step(x):
        fake = G(torch.randn_like(x))
        loss_d = nn.functional.softplus(-D(x)).mean() + nn.functional.softplus(D(fake.detach())).mean()
        opt_d.zero_grad()
        loss_d.backward()
        opt_d.step()
        loss_g = nn.functional.softplus(-D(fake)).mean()
        opt_g.zero_grad()
        loss_g.backward()
        opt_g.step()
        return {"loss_d": loss_d, "loss_g": loss_g}

    history = cu.loop(
        gan_step, points(), state={"G": G, "D": D, "opt_g": opt_g, "opt_d": opt_d}, steps=6, log_every=3
    )
    assert not same(before[0], G) and not same(before[1], D)
    assert history.keys() == ["loss_d", "loss_g"] and len(history["loss_g"]) == 2
    with pytest.raises(KeyError, match="loss_d, loss_g"):
        history["loss"]


def test_text_is_short_and_ends_with_a_summary(capsys):
    cu.fit(mlp(), plain_loss, points(), steps=300, name="a_name")
    lines = capsys.readouterr().out.splitlines()
    assert 3 <= len(lines) <= 12
    assert lines[-1].startswith("a_name: 300 steps") and "loss" in lines[-1]


def test_fit_can_be_read_in_two_minutes():
    source = inspect.getsource(cu.fit)
    assert len(source.splitlines()) <= 45 and ".backward()" in source and "zero_grad" in source


def test_preview_steps_are_few_dense_at_first_and_end_at_the_end():
    due = previews.preview_steps(2_000)
    gaps = [b - a for a, b in zip(due, due[1:])]
    assert due[0] == 0 and due[-1] == 2_000 and len(due) <= 12 and gaps == sorted(gaps)
    assert previews.preview_steps(2_000, start=500)[0] > 500
    assert previews.preview_steps(2_000, start=500, wanted=[0, 500, 900]) == [900]


@pytest.mark.parametrize("total", [1, 7, 8, 60, 200, 2_000, 60_000])
def test_log_points_are_neither_rare_nor_costly(total):
    every = log_interval(total)
    assert 1 <= every <= total and min(total, 8) <= total // every
    assert every >= 20 or total < 200


class Complex(nn.Module):
    """A model with complex weights, for which fused optimisers have no kernel."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2, dtype=torch.complex64))

    def forward(self, x):
        return (self.weight * x).abs()


class Looked(nn.Module):
    """An embedding with sparse gradients, which no fused optimiser takes."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(2, 2, sparse=True)

    def forward(self, x):
        return self.table((x[:, 0] > 0).long())


@pytest.mark.parametrize("kind", ["adam", "adamw", "sgd"])
def test_weights_without_a_fused_kernel_train_without_it(kind):
    opt = make_optimiser(kind, Complex(), 0.1)
    assert not opt.param_groups[0].get("fused")
    assert cu.fit(Complex(), plain_loss, points(), steps=3, optimiser=kind).steps[-1] == 3
    assert make_optimiser(kind, mlp(), 0.1).param_groups[0]["fused"]


def test_sparse_gradients_train_without_a_fused_kernel():
    assert cu.fit(Looked(), plain_loss, points(), steps=3, optimiser="sgd").steps[-1] == 3


def test_a_kernel_that_fails_at_its_first_step_only_is_not_used(monkeypatch):
    plain = torch.optim.Adam.step

    def refusing(self, *args, **kwargs):
        if self.param_groups[0]["fused"]:
            raise RuntimeError("this device has no such kernel")
        return plain(self, *args, **kwargs)

    monkeypatch.setattr(torch.optim.Adam, "step", refusing)
    recipe._has_fused.cache_clear()
    assert cu.fit(mlp(), plain_loss, points(), steps=3).steps[-1] == 3
    recipe._has_fused.cache_clear()


@pytest.mark.parametrize("returned", ["figure", "images", "nothing"])
def test_previews_leave_no_figure_open(returned):
    def preview(step):
        figure, ax = plt.subplots()
        return {"figure": figure, "images": torch.zeros(1, 28, 28), "nothing": None}[returned]

    plt.close("all")
    mine = plt.figure()
    for _ in range(2):
        cu.fit(
            mlp(), plain_loss, points(), steps=12, preview=preview, preview_at=list(range(12)), log_every=1
        )
    assert plt.get_fignums() == [mine.number]
    plt.close("all")
