"""Lesson 06's algorithms: the schedule and its ends, the way back with a known score, samplers, guidance, the
runs."""

import math
from types import SimpleNamespace

import pytest
import torch

import course_utils as cu
from course_utils.system import machine
from tests.lessons.lesson_functions import load

BASE = (
    "cosine_alpha_bar",
    "linear_alpha_bar",
    "step_sizes",
    "q_sample",
    "posterior",
    "x0_from_eps",
    "ddim_step",
)
METHOD = (
    "ancestral",
    "ddim",
    "spaced",
    "simple_loss",
    "toy",
    "log_p_and_score",
    "draw_mixture",
    "exact_eps",
    "energy",
)
METHOD += (
    "real_vs_real",
    "velocity",
    "eps_from_v",
    "draw_times",
    "diffusion_loss",
    "predictor",
    "warm_cosine",
    "walk",
)


@pytest.fixture(scope="module")
def lesson():
    """The lesson's functions, with the schedule they work on."""
    base = load("06", *BASE, "combine", T=1000)
    beta = base.step_sizes(base.cosine_alpha_bar(1000))
    names = {
        "T": 1000,
        "beta": beta,
        "abar": (1 - beta).cumprod(0),
        "checked_q": base.q_sample,
        "device": machine.device(),
    }
    names |= {
        "checked_posterior": base.posterior,
        "checked_x0": base.x0_from_eps,
        "checked_ddim": base.ddim_step,
    }
    names |= {"checked_combine": base.combine}
    return SimpleNamespace(**vars(base), **vars(load("06", *METHOD, **names)), **names, names=names)


def oracle(lesson, x0):
    """The predictor that knows the one x_0 and gives the noise that leads from it to x_t."""
    return lambda x, t: (x - lesson.abar[t].sqrt() * x0) / (1 - lesson.abar[t]).sqrt()


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_both_schedules_have_entry_zero_clean_and_fall_to_noise(lesson):
    for alpha_bar in (lesson.abar, lesson.linear_alpha_bar(1000)):
        assert alpha_bar.shape == (1001,) and alpha_bar[0] == 1
        assert (alpha_bar.diff() < 0).all() and 0 < alpha_bar[-1] < 1e-4
    beta = 1 - lesson.linear_alpha_bar(1000)[1:] / lesson.linear_alpha_bar(1000)[:-1]
    torch.testing.assert_close(
        beta, torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64), rtol=1e-8, atol=1e-10
    )
    assert lesson.beta[0] == 0 and lesson.beta.max() == 0.999
    torch.testing.assert_close(lesson.abar[:1000], lesson.cosine_alpha_bar(1000)[:1000])


def test_small_steps_and_one_jump_have_the_same_moments(lesson):
    start, n = torch.tensor([1.5, -0.5]), 4_000
    torch.manual_seed(0)
    for t, x in lesson.walk(start, n, (1, 40, 500, 1000)).items():
        jump = lesson.q_sample(
            start.double().expand(n, 2), torch.full((n,), t), normal(n, 2, seed=t), lesson.abar
        )
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
    weights, means, covs = lesson.toy
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
    made = lesson.ancestral(
        lesson.exact_eps, noise, lesson.spaced(1000), generator=torch.Generator().manual_seed(1)
    )
    assert lesson.energy(made, real) < limit
    late = lesson.ancestral(
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
    for sampler in (lesson.ancestral, lesson.ddim):
        log = []
        out = sampler(oracle(lesson, x0), 3 * normal(20, 2), lesson.spaced(steps), log=log)
        torch.testing.assert_close(out, x0.expand(20, 2), rtol=0, atol=1e-8)
        assert [t for t, _, _ in log] == lesson.spaced(steps)[:-1] and len(log) == steps
        assert log[0][0] == 1000 and log[-1][0] >= 1


def test_samplers_clip_the_guess_and_only_one_of_them_draws_noise(lesson):
    wild = oracle(lesson, torch.tensor(5.0).double())
    x = normal(30, 2)
    assert lesson.ancestral(wild, x, lesson.spaced(20), clip=1.0).abs().max() <= 1 + 1e-9
    assert lesson.ddim(wild, x, lesson.spaced(20), clip=1.0).abs().max() <= 1 + 1e-9
    half = lesson.spaced(10)[:6]
    a, b = (
        lesson.ancestral(lesson.exact_eps, x, half, generator=torch.Generator().manual_seed(s))
        for s in (0, 1)
    )
    assert (a - b).abs().max() > 0.1
    torch.testing.assert_close(lesson.ddim(lesson.exact_eps, x, half), lesson.ddim(lesson.exact_eps, x, half))


def test_deterministic_sampling_too_gives_the_mixture(lesson):
    made = lesson.ddim(lesson.exact_eps, normal(2_000, 2), lesson.spaced(250))
    assert lesson.energy(made, lesson.draw_mixture(2_000, 0)) < 2 * lesson.real_vs_real(
        lesson.draw_mixture, 2_000, 20
    )


def test_noise_drawn_anew_keeps_the_marginals_and_the_mixture(lesson):
    n, t, s = 200_000, 600, 300
    x0 = torch.tensor([0.7, -0.2]).double()
    xt = lesson.q_sample(x0.expand(n, 2), torch.full((n,), t), normal(n, 2), lesson.abar)
    kept = None
    for fresh in (0.0, 0.25, 1.0):
        xs = lesson.ddim(
            oracle(lesson, x0), xt, [t, s], fresh=fresh, generator=torch.Generator().manual_seed(1)
        )
        assert (xs.mean(0) - lesson.abar[s].sqrt() * x0).abs().max() < 5 * ((1 - lesson.abar[s]) / n).sqrt()
        assert (xs.var(0) / (1 - lesson.abar[s]) - 1).abs().max() < 5 * math.sqrt(2 / n)
        kept = xs if fresh == 0 else kept
        shared = torch.corrcoef(torch.stack([xs[:, 0], kept[:, 0]]))[0, 1]
        assert shared.item() == pytest.approx(math.sqrt(1 - fresh), abs=0.01)
    a_t, a_s = lesson.abar[t], lesson.abar[s]
    own_share = 1 - (a_t / (1 - a_t)) / (
        a_s / (1 - a_s)
    )  # Algorithm 2 is the member of the family with this share
    guess = lambda x, time: 0.3 * x  # noqa: E731
    ours = lesson.ddim(guess, xt, [t, s], fresh=own_share.item(), generator=torch.Generator().manual_seed(2))
    theirs = lesson.ancestral(guess, xt, [t, s], generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)
    end = lesson.ddim(oracle(lesson, x0), xt[:9], lesson.spaced(20, start=t), fresh=0.25)
    torch.testing.assert_close(end, x0.expand(9, 2), rtol=0, atol=1e-8)
    made = lesson.ddim(
        lesson.exact_eps,
        normal(2_000, 2),
        lesson.spaced(500, bend=0.6),
        fresh=0.02,
        generator=torch.Generator().manual_seed(0),
    )
    assert lesson.energy(made, lesson.draw_mixture(2_000, 0)) < 2 * lesson.real_vs_real(
        lesson.draw_mixture, 2_000, 20
    )


def test_ladders_have_both_ends_and_fall(lesson):
    for n, bend in ((4, 1.0), (50, 0.6), (100, 0.6), (1000, 1.0)):
        times = lesson.spaced(n, bend=bend)
        assert len(times) == n + 1 and times[0] == 1000 and times[-1] == 0
        assert all(a > b for a, b in zip(times, times[1:], strict=False))
    gaps = [a - b for a, b in zip(lesson.spaced(50, bend=0.6), lesson.spaced(50, bend=0.6)[1:], strict=False)]
    assert gaps[0] < 20 < gaps[-1]  # short steps at the noisy end, a long one at the end


def test_the_losses_visit_both_ends_and_vanish_for_an_oracle(lesson):
    seen = []

    def net(x, t, y=None):
        seen.append(t)
        a = lesson.abar.to(x)[t].view(-1, *[1] * (x.dim() - 1))
        eps = (x - a.sqrt() * net.x0) / (1 - a).sqrt()
        return eps if net.target == "eps" else a.sqrt() * eps - (1 - a).sqrt() * net.x0

    net.x0, net.target = torch.tensor([0.3, -0.4]).double(), "eps"
    assert lesson.simple_loss(net, net.x0.expand(100_000, 2)) < 1e-12
    assert seen[-1].min() == 1 and seen[-1].max() == 1000
    images = torch.rand(64, 1, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    net.x0 = 2 * images - 1
    for net.target in ("eps", "v"):
        assert lesson.diffusion_loss(net, images, target=net.target) < 1e-12
        assert lesson.diffusion_loss(net, images, target=net.target, stratified=False) < 1e-12
    net.target = "eps"
    assert lesson.diffusion_loss(net, images, target="v") > 1e-2


def test_stratified_times_are_one_in_each_part_and_uniform_over_all(lesson, monkeypatch):
    torch.manual_seed(0)
    draws = torch.stack([lesson.draw_times(50) for _ in range(2_000)])  # (2000, 50)
    assert draws.min() == 1 and draws.max() == 1000
    assert ((draws - 1) // 20 == torch.arange(50)).all()
    counts = torch.bincount(draws.flatten(), minlength=1001)[1:].float()
    assert (counts - 100).abs().max() < 6 * 10
    for n in (3, 64, 250):
        monkeypatch.setattr(torch, "rand", lambda *size: torch.full(size, 1 - 2**-24))
        assert lesson.draw_times(n).max() <= 1000
        monkeypatch.undo()


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


def test_the_weight_that_the_simple_loss_drops(lesson):
    snr = lesson.abar[1:] / (1 - lesson.abar[1:])
    x0, other, xt = normal(3, 7)
    for t in (2, 37, 500, 1000):
        (m1, variance), (m2, _) = (
            lesson.posterior(x, xt, lesson.abar[t], lesson.abar[t - 1]) for x in (x0, other)
        )
        kl = (m1 - m2).square().sum() / (2 * variance)
        expected = 0.5 * (snr[t - 2] - snr[t - 1]) * (x0 - other).square().sum()
        assert kl.item() == pytest.approx(expected.item(), rel=1e-6)


def test_the_learning_rate_warms_up_and_ends_at_zero(lesson):
    assert lesson.warm_cosine(0) == 0 and lesson.warm_cosine(1) == pytest.approx(0)
    assert lesson.warm_cosine(0.02) == pytest.approx(1, abs=2e-3)
    assert lesson.warm_cosine(0.01) == pytest.approx(0.5, abs=2e-3)


def test_a_small_network_learns_the_score_of_the_mixture(lesson):
    names = lesson.names | {"checked_q": lesson.q_sample}
    PointNet = load("06", "PointNet", **names).PointNet
    torch.manual_seed(0)
    net, data = PointNet(), lesson.draw_mixture(20_000, 0).float()
    optimiser = torch.optim.Adam(net.parameters(), 2e-3)
    for _ in range(600):
        optimiser.zero_grad()
        lesson.simple_loss(net, data[torch.randint(20_000, (256,))]).backward()
        optimiser.step()
    xt = lesson.q_sample(data[:2_000], torch.full((2_000,), 400), torch.randn(2_000, 2), lesson.abar)
    with torch.no_grad():
        guess = net(xt, torch.full((2_000,), 400))
    cosine = torch.cosine_similarity(guess.double(), lesson.exact_eps(xt.double(), 400)).mean()
    assert cosine > 0.9


def test_guidance_asks_both_questions_in_one_batch(lesson):
    guided = load("06", "guided", **lesson.names, predictor=lesson.predictor).guided
    y, x = torch.tensor([3, 7]), normal(2, 1, 4, 4).float()

    def net(x, t, y):
        return x * (1 + y.view(-1, 1, 1, 1)) / 10 + t.view(-1, 1, 1, 1) / 1000

    net.labels = 10
    free = lesson.predictor(net, torch.tensor([10, 10]))(x, 400)
    told = lesson.predictor(net, y)(x, 400)
    for w in (0.0, 1.0, 3.0):
        torch.testing.assert_close(guided(net, y, w)(x, 400), free + w * (told - free))


def test_withheld_labels_are_one_in_ten(lesson):
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
    assert (y == 10).float().mean().item() == pytest.approx(0.1, abs=0.02)
    kept = y != 10
    assert (y[kept] == (torch.arange(5_000) % 10)[kept]).all()


def test_exact_guidance_is_the_component_at_one_and_not_the_sharpened_density_beyond(lesson):
    names = lesson.names | {
        name: getattr(lesson, name) for name in ("toy", "log_p_and_score", "draw_mixture", "exact_eps")
    }
    alone = (torch.ones(1).double(), *(part[2:3] for part in lesson.toy[1:]))
    names |= {"label": 2, "alone": alone, "W": 4.0}
    found = load("06", "log_label", **names)
    found = load("06", "sharpened", "guided_exact", **names, log_label=found.log_label)
    x = normal(10, 2)
    one = -(1 - lesson.abar[300]).sqrt() * lesson.log_p_and_score(x, lesson.abar[300], alone)[1]
    torch.testing.assert_close(found.guided_exact(x, 300, w=1.0), one)
    sharp = found.sharpened(2_000, 0)
    grid = torch.cartesian_prod(*[torch.linspace(-5, 5, 201, dtype=torch.float64)] * 2)
    log_p, log_alone = (
        lesson.log_p_and_score(grid, lesson.abar[0])[0],
        lesson.log_p_and_score(grid, lesson.abar[0], alone)[0],
    )
    weight = torch.softmax(log_p + 4 * (log_alone - log_p), 0)  # p(x) p(y | x)^4 up to its constant
    mean = weight @ grid
    assert ((sharp.mean(0) - mean).abs() < 5 * (weight @ (grid - mean).square() / 2_000).sqrt()).all()
    made = lesson.ancestral(
        found.guided_exact, normal(2_000, 2), lesson.spaced(250), generator=torch.Generator().manual_seed(0)
    )
    assert lesson.energy(made, sharp) > 5 * lesson.real_vs_real(found.sharpened, 2_000, 10)


def test_inpainting_keeps_what_is_known(lesson):
    inpaint = load("06", "inpaint", **lesson.names, ancestral=lesson.ancestral).inpaint
    known = normal(2, 1, 8, 8).clamp(-1, 1)
    mask = torch.zeros(2, 1, 8, 8, dtype=torch.bool)
    mask[:, :, :4] = True
    seen = []

    def predict(x, t):  # the oracle of a standard normal: E[ε | x_t] = √(1 − ᾱ_t) x_t
        seen.append((t, x))
        return (1 - lesson.abar[t]).sqrt() * x

    out = inpaint(predict, known, mask, lesson.spaced(10), 3, torch.Generator().manual_seed(0))
    assert out.shape == known.shape and len(seen) == 9 * 3 + 1
    last = seen[-1][1]
    torch.testing.assert_close(
        last[mask],
        lesson.abar[100].sqrt() * known[mask],
        rtol=0,
        atol=5 * (1 - lesson.abar[100]).sqrt().item(),
    )
    assert torch.corrcoef(torch.stack([last[mask], known[mask]]))[0, 1] > 0.9
    exact = inpaint(
        oracle(lesson, known), known, mask, lesson.spaced(10), 2, torch.Generator().manual_seed(0)
    )
    torch.testing.assert_close(exact, known, rtol=0, atol=1e-8)


def test_the_empirical_score_is_a_softmax_over_the_data_and_copies_it(lesson):
    found = load("06", "empirical", "nearest", **lesson.names)
    data = normal(40, 12)
    predict, xt = found.empirical(data), normal(6, 12, seed=1)
    for t in (5, 300, 1000):
        a = lesson.abar[t]
        weight = torch.softmax(-torch.cdist(xt, a.sqrt() * data).square() / (2 * (1 - a)), 1)
        torch.testing.assert_close(
            lesson.x0_from_eps(xt, predict(xt, t), a), weight @ data, rtol=1e-4, atol=1e-4
        )
    copies = lesson.ancestral(
        predict, normal(20, 12, seed=2), lesson.spaced(200), generator=torch.Generator().manual_seed(0)
    )
    gap, which = found.nearest(copies, data)
    assert gap.max() < 1e-3 and len(which.unique()) > 5


def test_noise_between_two_noises_has_their_length():
    between = load("06", "between").between
    a, b = (normal(1, 1, 28, 28, seed=s) for s in (0, 1))
    path = between(a, b, 5)
    torch.testing.assert_close(path[:1], a)
    torch.testing.assert_close(path[-1:], b)
    lengths = path.flatten(1).norm(dim=1)
    assert lengths.min() > 0.95 * min(lengths[0], lengths[-1])


def test_a_stroke_is_ink_along_its_corners():
    stroke = load("06", "stroke").stroke((4, 4), (20, 4), (20, 20))
    assert stroke.shape == (1, 1, 28, 28) and stroke.min() == -1 and stroke.max() == 1
    assert (
        (stroke[0, 0, 4, 5:20] == 1).all()
        and (stroke[0, 0, 5:20, 20] == 1).all()
        and stroke[0, 0, 12, 10] == -1
    )


def test_a_curve_of_quality_is_written_and_read_on(tmp_path, lesson, monkeypatch):
    drawn = []

    def generate(net, n, times, sampler=None, seed=0):
        drawn.append(n)
        return torch.zeros(n, 1, 28, 28, dtype=torch.uint8)

    def draw(step):
        return generate(None, 36, [])

    names = lesson.names | {"generate": generate, "spaced": lesson.spaced, "ddim": lesson.ddim}
    Watch = load("06", "Watch", **names).Watch
    monkeypatch.setattr(cu.metrics, "quality", lambda images: SimpleNamespace(ratio=2.0, distance=1.0))
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
    ratio = cu.metrics.quality(torch.from_numpy(run.samples)).ratio
    assert ratio == pytest.approx(found["Fréchet ratio, EMA weights, n = 5000"], rel=0.02)
    assert len([name for name in found if "CPU hours" in name]) >= 5  # the curve
    names = lesson.names | {
        "predictor": lesson.predictor,
        "device": machine.device(),
        "refreshed": None,
        "guided": None,
    }
    cu.prepare(net)
    made = load("06", "generate", **names).generate(net.eval(), 100, lesson.spaced(20), lesson.ddim, seed=3)
    assert (
        cu.metrics.quality(made).ratio
        < 3 * cu.metrics.quality(torch.from_numpy(run.samples), n=100).ratio + 1
    )


@pytest.mark.parametrize("name", ["06_steps", "06_guidance"])
def test_measurements_belong_to_the_shipped_weights(name):
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


def test_a_hundred_images_are_learned_by_heart():
    frames, steps = shipped("06_hundred").replay
    hundred = cu.mnist().train.sample(100, seed=0).flat()
    nearest = load("06", "nearest").nearest
    gaps = [
        nearest(torch.from_numpy(frame).flatten(1).float() / 255, hundred)[0].median().item()
        for frame in frames
    ]
    fresh = nearest(cu.mnist().test.flat()[:1_000], hundred)[0].median().item()
    assert steps[-1] > steps[0] and gaps[-1] < 0.5 * fresh


@pytest.mark.parametrize(("name", "n"), [("06_ancestral", 1_000), ("06_ddim", 5_000)])
def test_the_entries_of_other_samplers_are_what_their_cards_say(name, n):
    run = shipped(name)
    assert run.card["samples"] == {"kind": "draws", "n": n}
    ratio = cu.metrics.quality(torch.from_numpy(run.samples)).ratio
    assert ratio == pytest.approx(figures(run)["Fréchet ratio"], rel=0.02)
