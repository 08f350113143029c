"""Lesson 06's algorithms: the schedule and its ends, the way back with a known score, samplers, guidance, the
runs."""

import math
from types import SimpleNamespace

import pytest
import torch

import course_utils as cu
from course_utils.system import machine
from tests.lessons.lesson_functions import load

BASE = ("cosine_alpha_bar", "q_sample", "posterior", "ancestral", "simple_loss", "too_narrow", "combine")
METHOD = ("way_back", "ddim", "spaced", "recorded", "toy", "MEANS", "log_p_and_score", "draw_mixture")
METHOD += ("exact_eps", "energy", "real_vs_real", "velocity", "eps_from_v", "x0_from_eps", "draw_times")
METHOD += ("abar_on", "diffusion_loss", "predictor", "warm_cosine", "point_loss")


@pytest.fixture(scope="module")
def lesson():
    """The lesson's functions, with the schedule they work on."""
    base = load("06", *BASE, T=1000)
    names = {
        "T": 1000,
        "abar": base.cosine_alpha_bar(1000),
        "checked_q": base.q_sample,
        "checked_posterior": base.posterior,
        "checked_ancestral": base.ancestral,
        "checked_loss": base.simple_loss,
        "checked_combine": base.combine,
        "device": machine.device(),
    }
    return SimpleNamespace(**vars(base), **vars(load("06", *METHOD, **names)), **names, names=names)


def oracle(lesson, x0):
    """The predictor that knows the one x_0 and gives the noise that leads from it to x_t."""
    return lambda x, t: (x - lesson.abar[t].sqrt() * x0) / (1 - lesson.abar[t]).sqrt()


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_the_schedule_has_entry_zero_clean_and_falls_to_noise(lesson):
    assert lesson.abar.shape == (1001,) and lesson.abar[0] == 1
    assert (lesson.abar.diff() < 0).all() and 0 < lesson.abar[-1] < 1e-8
    assert (1 - lesson.abar[1:] / lesson.abar[:-1]).max().item() == pytest.approx(0.999)
    done = torch.arange(1000, dtype=torch.float64) / 1000
    f = torch.cos(math.pi / 2 * (done + 0.008) / 1.008) ** 2
    torch.testing.assert_close(lesson.abar[:1000], f / f[0])


def test_small_steps_and_one_jump_have_the_same_moments(lesson):
    start, n = torch.tensor([1.5, -0.5]).double(), 4_000
    x = start.expand(n, 2)
    torch.manual_seed(0)
    for t in range(1, 1001):
        alpha = lesson.abar[t] / lesson.abar[t - 1]
        x = alpha.sqrt() * x + (1 - alpha).sqrt() * torch.randn(n, 2).double()
        if t in (1, 40, 500, 1000):
            jump = lesson.q_sample(start.expand(n, 2), torch.full((n,), t), normal(n, 2, seed=t), lesson.abar)
            variance = 1 - lesson.abar[t]
            assert ((x.mean(0) - jump.mean(0)).abs() < 5 * (2 * variance / n).sqrt()).all()
            assert ((x.var(0) / jump.var(0) - 1).abs() < 5 * math.sqrt(4 / n)).all()


def test_the_step_back_is_the_conditional_of_simulated_steps(lesson):
    n, t = 400_000, 300
    a_t, a_s, x0 = lesson.abar[t], lesson.abar[t - 50], 0.8
    xs = a_s.sqrt() * x0 + (1 - a_s).sqrt() * normal(n, seed=1)
    xt = (a_t / a_s).sqrt() * xs + (1 - a_t / a_s).sqrt() * normal(n, seed=2)
    slope = ((xt - xt.mean()) * (xs - xs.mean())).mean() / xt.var()
    mean, variance = lesson.posterior(torch.full((n,), x0).double(), xt, a_t, a_s)
    fitted = xs.mean() + slope * (xt - xt.mean())
    assert (mean - fitted).abs().max() < 0.02
    assert (xs - mean).var().item() == pytest.approx(variance.item(), rel=0.02)


def test_the_noised_mixture_and_its_score_are_exact(lesson):
    weights, means, width = lesson.toy
    covs = width**2 * torch.eye(2).double().expand(3, 2, 2)
    x = (2 * normal(300, 2)).requires_grad_()
    for t in (0, 1, 250, 1000):
        a = lesson.abar[t]
        log_p, score = lesson.log_p_and_score(x, a)
        reference = torch.distributions.MixtureSameFamily(
            torch.distributions.Categorical(weights),
            torch.distributions.MultivariateNormal(a.sqrt() * means, a * covs + (1 - a) * torch.eye(2)),
        )
        torch.testing.assert_close(log_p, reference.log_prob(x))
        torch.testing.assert_close(score, torch.autograd.grad(log_p.sum(), x)[0])
    xt = normal(5, 2, seed=3)
    x0, a = lesson.draw_mixture(200_000, 0), lesson.abar[500]
    eps = (xt[:, None] - a.sqrt() * x0) / (1 - a).sqrt()  # (5, n, 2)
    guess = (torch.softmax(-eps.square().sum(2) / 2, 1)[..., None] * eps).sum(1)
    torch.testing.assert_close(lesson.exact_eps(xt, 500), guess, rtol=0, atol=0.02)


def test_noise_becomes_the_mixture_under_the_exact_score_and_not_under_a_wrong_one(lesson):
    n = 2_000  # fixed in the storyboard, as is the 95th percentile
    noise, real = normal(n, 2), lesson.draw_mixture(n, 0)
    limit = lesson.real_vs_real(lesson.draw_mixture, n, 60)
    made = lesson.way_back(
        lesson.exact_eps, noise, lesson.spaced(1000), generator=torch.Generator().manual_seed(1)
    )
    assert lesson.energy(made, real) < limit
    late = lesson.way_back(
        lambda x, t: lesson.exact_eps(x, min(t + 60, 1000)),
        noise,
        lesson.spaced(200),
        generator=torch.Generator().manual_seed(1),
    )
    assert lesson.energy(late, real) > limit
    assert lesson.energy(noise, real) > 10 * limit


def test_energy_is_zero_for_the_same_points_and_known_for_two_points(lesson):
    x = normal(50, 2)
    assert lesson.energy(x, x) == pytest.approx(0, abs=1e-6)
    a, b = torch.zeros(1, 2), torch.tensor([[3.0, 4.0]])
    assert lesson.energy(a, b) == pytest.approx(10.0)


@pytest.mark.parametrize("steps", [1, 7, 50, 1000])
def test_an_oracle_leads_every_start_to_the_data(lesson, steps):
    x0 = torch.tensor([[1.0, -2.0]]).double()
    for sampler in (lesson.way_back, lesson.ddim):
        log = []
        predict = lesson.recorded(oracle(lesson, x0), log)
        out = sampler(predict, 3 * normal(20, 2), lesson.spaced(steps))
        torch.testing.assert_close(out, x0.expand(20, 2), rtol=0, atol=1e-8)
        assert [t for t, _, _ in log] == lesson.spaced(steps)[:-1] and len(log) == steps
        assert log[0][0] == 1000 and log[-1][0] >= 1


def test_samplers_clip_the_guess_and_only_one_of_them_draws_noise(lesson):
    wild = oracle(lesson, torch.tensor(5.0).double())
    x = normal(30, 2)
    assert lesson.way_back(wild, x, lesson.spaced(20), clip=1.0).abs().max() <= 1 + 1e-9
    assert lesson.ddim(wild, x, lesson.spaced(20), clip=1.0).abs().max() <= 1 + 1e-9
    half = lesson.spaced(10)[:6]
    a, b = (
        lesson.way_back(lesson.exact_eps, x, half, generator=torch.Generator().manual_seed(s)) for s in (0, 1)
    )
    assert (a - b).abs().max() > 0.1
    torch.testing.assert_close(lesson.ddim(lesson.exact_eps, x, half), lesson.ddim(lesson.exact_eps, x, half))


def test_deterministic_sampling_too_gives_the_mixture(lesson):
    made = lesson.ddim(lesson.exact_eps, normal(2_000, 2), lesson.spaced(250))
    assert lesson.energy(made, lesson.draw_mixture(2_000, 0)) < 2 * lesson.real_vs_real(
        lesson.draw_mixture, 2_000, 20
    )


def test_ladders_have_both_ends_and_fall(lesson):
    for n in (4, 50, 100, 1000):
        times = lesson.spaced(n)
        assert len(times) == n + 1 and times[0] == 1000 and times[-1] == 0
        assert all(a > b for a, b in zip(times, times[1:], strict=False))


def test_without_its_noise_the_way_back_collapses_and_ddim_does_not(lesson):
    x = normal(2_000, 2)
    gaussian = lambda x, t: (1 - lesson.abar[t]).sqrt() * x  # noqa: E731 (the data are N(0, I))
    narrow = lesson.too_narrow(gaussian, x, lesson.spaced(100), lesson.abar, lesson.posterior)
    assert narrow.var() < 1e-3
    assert lesson.ddim(gaussian, x, lesson.spaced(100)).var().item() == pytest.approx(1, abs=0.1)


def test_the_losses_visit_both_ends_and_vanish_for_an_oracle(lesson):
    seen = []

    def net(x, t, y=None):
        seen.append(t)
        a = lesson.abar.to(x)[t].view(-1, *[1] * (x.dim() - 1))
        eps = (x - a.sqrt() * net.x0) / (1 - a).sqrt()
        return eps if net.target == "eps" else a.sqrt() * eps - (1 - a).sqrt() * net.x0

    net.x0, net.target = torch.tensor([0.3, -0.4]).double(), "eps"
    assert lesson.point_loss(net, net.x0.expand(100_000, 2)) < 1e-12
    assert seen[-1].min() == 1 and seen[-1].max() == 1000
    images = torch.rand(64, 1, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    net.x0, net.target = 2 * images - 1, "v"
    assert lesson.diffusion_loss(net, images) < 1e-12
    net.target = "eps"
    assert lesson.diffusion_loss(net, images) > 1e-2


def test_conversions_hold_to_single_precision_and_v_has_unit_weight(lesson):
    x0, eps = (normal(16, 1, 8, 8, seed=s).float() for s in (0, 1))
    for t in (1, 10, 500, 940):
        a = lesson.abar[t].float()
        xt = lesson.q_sample(x0, torch.full((16,), t), eps, lesson.abar)
        v = lesson.velocity(x0, eps, a)
        torch.testing.assert_close(lesson.eps_from_v(xt, v, a), eps, rtol=0, atol=1e-5)
        torch.testing.assert_close(a.sqrt() * xt - (1 - a).sqrt() * v, x0, rtol=0, atol=1e-5)
        predict = lesson.predictor(lambda x, times, y, v=v: v)
        torch.testing.assert_close(predict(xt, t), eps, rtol=0, atol=1e-5)
    for t in (2, 400, 1000):
        a = lesson.abar[t]
        wrong, right = lesson.velocity(x0.double(), eps.double(), a), None
        guess = (lesson.abar[t].sqrt() * x0.double() + (1 - a).sqrt() * eps.double()) * 0.5  # any other v
        right = (wrong - guess).square().sum()
        xt = a.sqrt() * x0.double() + (1 - a).sqrt() * eps.double()
        other = lesson.eps_from_v(xt, guess, a)
        assert ((other - eps.double()).square().sum() / a / right).item() == pytest.approx(1, rel=1e-6)


def test_the_learning_rate_warms_up_and_ends_at_zero(lesson):
    assert lesson.warm_cosine(0) == 0 and lesson.warm_cosine(1) == pytest.approx(0)
    assert lesson.warm_cosine(0.02) == pytest.approx(1, abs=2e-3)
    assert lesson.warm_cosine(0.01) == pytest.approx(0.5, abs=2e-3)


def test_a_small_network_learns_the_score_of_the_mixture(lesson):
    names = lesson.names
    PointNet = load("06", "PointNet", **names).PointNet
    torch.manual_seed(0)
    net, data = PointNet(), lesson.draw_mixture(20_000, 0).float()
    optimiser = torch.optim.Adam(net.parameters(), 2e-3)
    for _ in range(600):
        optimiser.zero_grad()
        lesson.point_loss(net, data[torch.randint(20_000, (256,))]).backward()
        optimiser.step()
    xt = lesson.q_sample(data[:2_000], torch.full((2_000,), 400), torch.randn(2_000, 2), lesson.abar)
    with torch.no_grad():
        guess = net(xt, torch.full((2_000,), 400))
    cosine = torch.cosine_similarity(guess.double(), lesson.exact_eps(xt.double(), 400)).mean()
    assert cosine > 0.85


def test_guidance_asks_both_questions_in_one_batch(lesson):
    guided = load("06", "guided", **lesson.names, predictor=lesson.predictor).guided
    y, x = torch.tensor([3, 7]), normal(2, 1, 4, 4).float()

    def net(x, t, y):
        y = torch.full(t.shape, 10) if y is None else y  # as UNet reads it
        return x * (1 + y.view(-1, 1, 1, 1)) / 10 + t.view(-1, 1, 1, 1) / 1000

    net.labels = 10
    free = lesson.predictor(net, torch.tensor([10, 10]))(x, 400)
    told = lesson.predictor(net, y)(x, 400)
    for w in (0.0, 1.0, 3.0):
        torch.testing.assert_close(guided(net, y, w)(x, 400), free + w * (told - free))


def test_every_second_label_is_withheld(lesson):
    seen = []

    def net(x, t, y):
        seen.append(y)
        return torch.zeros_like(x)

    names = lesson.names | {"diffusion_loss": lesson.diffusion_loss}
    torch.manual_seed(0)
    load("06", "conditional_loss", **names).conditional_loss(
        net, torch.rand(5_000, 1, 2, 2), torch.arange(5_000) % 10
    )
    (y,) = seen
    assert (y == 10).float().mean().item() == pytest.approx(0.5, abs=0.02)
    kept = y != 10
    assert (y[kept] == (torch.arange(5_000) % 10)[kept]).all()


def test_exact_guidance_is_the_component_at_one_and_not_the_sharpened_density_beyond(lesson):
    weights, means, width = lesson.toy
    names = lesson.names | {
        name: getattr(lesson, name) for name in ("toy", "log_p_and_score", "draw_mixture")
    }
    names |= {"label": 2, "W": 4.0} | vars(load("06", "wide", "alone", toy=lesson.toy, label=2))
    found = load("06", "log_label", **names)
    found = load("06", "sharpened", "guided_exact", **names, log_label=found.log_label)
    wide, alone = names["wide"], names["alone"]
    assert wide[2] > width and torch.equal(alone[1], means[2:3])
    x = normal(10, 2)
    one = -(1 - lesson.abar[300]).sqrt() * lesson.log_p_and_score(x, lesson.abar[300], alone)[1]
    torch.testing.assert_close(found.guided_exact(x, 300, w=1.0), one)
    sharp = found.sharpened(2_000, 0)
    assert len(sharp) == 2_000
    grid = torch.cartesian_prod(*[torch.linspace(-5, 5, 201, dtype=torch.float64)] * 2)
    log_p = lesson.log_p_and_score(grid, lesson.abar[0], wide)[0]
    log_alone = lesson.log_p_and_score(grid, lesson.abar[0], alone)[0]
    weight = torch.softmax(log_p + 4 * (log_alone - log_p), 0)  # p(x) p(y | x)^4 up to its constant
    mean = weight @ grid
    assert ((sharp.mean(0) - mean).abs() < 5 * (weight @ (grid - mean).square() / 2_000).sqrt()).all()
    made = lesson.way_back(
        found.guided_exact, normal(2_000, 2), lesson.spaced(250), generator=torch.Generator().manual_seed(0)
    )
    assert lesson.energy(made, sharp) > 5 * lesson.real_vs_real(found.sharpened, 2_000, 10)


def test_a_curve_of_quality_is_written_and_read_on(tmp_path, lesson, monkeypatch):
    drawn = []

    def generate(predict, n, times, sampler=None, seed=0):
        drawn.append(n)
        return torch.zeros(n, 1, 28, 28, dtype=torch.uint8)

    def draw(step):
        return generate(None, 36, [])

    names = lesson.names | {"generate": generate, "spaced": lesson.spaced, "predictor": lesson.predictor}
    Watch = load("06", "Watch", **names).Watch
    score = SimpleNamespace(distance=1.0)
    monkeypatch.setattr(cu.metrics, "score", lambda images, n, reference: score)
    path = tmp_path / "curves" / "curve.jsonl"
    for steps in ((0, 10), (20,)):  # the second call is a training that was resumed
        watch = Watch(draw, None, path, 50)
        for step in steps:
            assert watch(step).shape == (36, 1, 28, 28)
    assert [line["step"] for line in watch.lines()] == [10, 20]
    assert watch.lines()[1]["hours"] >= watch.lines()[0]["hours"] >= 0
    Watch(draw, None, path, 0)(0)
    assert len(watch.lines()) == 2  # a short training leaves the long one's curve alone
    Watch(draw, None, path, 50)(0)
    assert not path.exists()  # a fresh start begins a fresh curve


def shipped(name):
    """A shipped run; the test is skipped while the run has not been made yet."""
    found = cu.runs.available(name)
    if not found:
        pytest.skip(f"run {name} is not made yet: COURSE_PROFILE=full python lessons/06_diffusion.py")
    return found[0]


def figures(run):
    return {name: entry["value"] for name, entry in run.card["figures"].items()}


@pytest.mark.turns(2)
def test_the_shipped_model_is_what_its_card_says(lesson):
    from course_utils.nets.unet import UNet

    run = shipped("06_diffusion")
    net = UNet()
    cu.restore("06_diffusion", net)
    found = figures(run)
    size = load("06", "size").size(net)
    assert size == pytest.approx(
        found["sum of absolute weights"], abs=run.card["figures"]["sum of absolute weights"]["tolerance"]
    )
    assert run.card["parameters"] == sum(weight.numel() for weight in net.parameters()) < 2_000_000
    assert run.samples.shape == (5_000, 28, 28)
    samples = torch.from_numpy(run.samples)
    for n, reference in ((1_000, "validation"), (5_000, "test")):
        distance = cu.metrics.score(samples, n, reference).distance
        name = f"Fréchet distance to {reference} digits, n = {n}"
        assert distance == pytest.approx(found[name], rel=0.02)
    assert len([name for name in found if "CPU hours" in name]) >= 4  # the curve
    cu.prepare(net)
    names = lesson.names | {"way_back": lesson.way_back}
    generate = load("06", "generate", **names).generate
    made = generate(lesson.predictor(net.eval()), 100, lesson.spaced(20), seed=3)
    near = cu.metrics.score(samples[:100], 100).distance
    assert cu.metrics.score(made, 100).distance < 3 * near


def test_measurements_of_guidance_belong_to_the_shipped_weights(name="06_guidance"):
    from course_utils.nets.unet import UNet

    run = shipped(name)
    labels = {"06_steps": 0, "06_guidance": 10}[name]
    net = UNet(labels=labels)
    cu.restore("06_conditional" if labels else "06_diffusion", net)
    assert load("06", "size").size(net) == pytest.approx(figures(run)["sum of absolute weights"], abs=1.0)


def test_more_guidance_costs_recall_and_buys_obedience():
    run = shipped("06_guidance")
    found = figures(run)
    assert len([name for name in found if name.endswith("recall")]) >= 5
    assert found["w = 8: recall"] < found["w = 1: recall"]
    assert found["w = 8: label read back"] > found["w = 0: label read back"]
    assert run.replay[0].shape[1:] == (100, 28, 28)


def test_stratified_times_are_one_in_each_part_and_uniform_over_all(lesson, monkeypatch):
    torch.manual_seed(0)
    draws = torch.stack([lesson.draw_times(50) for _ in range(2_000)])  # (2000, 50)
    assert draws.min() == 1 and draws.max() == 1000
    assert ((draws - 1) // 20 == torch.arange(50)).all()
    counts = torch.bincount(draws.flatten(), minlength=1001)[1:].float()
    assert (counts - 100).abs().max() < 6 * 10
    for n in (3, 64, 250):
        monkeypatch.setattr(torch, "rand", lambda *size, **_: torch.full(size, 1 - 2**-24))
        assert lesson.draw_times(n).max() <= 1000
        monkeypatch.undo()


@pytest.mark.parametrize("start", [1, 3, 20, 1000])
@pytest.mark.parametrize("n", [0, 1, 7, 50, 1000])
def test_a_ladder_of_times_has_no_step_twice(lesson, n, start):
    times = lesson.spaced(n, start=start)
    assert times[0] == start and times[-1] == 0 and times == sorted(set(times), reverse=True)
    assert len(times) == max(1, min(n, start)) + 1
