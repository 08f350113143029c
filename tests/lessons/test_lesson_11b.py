"""Lesson 11b: walks against their stationary laws, identities by quadrature, odds against enumeration, the stack."""

import math

import pytest
import torch
from torch.nn import functional as F

import course_utils as cu
from course_utils import runs
from course_utils.lessons import lesson_11 as first
from tests.lessons.lesson_functions import load
from tests.train.training import CountReads

CPU = torch.device("cpu")
exercises = load("11b", "langevin_step", "score_matching_loss", "contrast_logit")
L = load(
    "11b",
    *("walk", "log_proposal", "metropolis_step", "bell_score", "log_bell", "temperature"),
    *("two_factor_walk", "settled", "weights", "flat_covs", "covs", "mixture_parts", "mixture_score"),
    *("shares", "two_bells", "two_rulers", "means", "Energy", "slope_loss", "side", "grid", "log_cell"),
    *("judged", "NoisyScore", "LOW", "HIGH", "denoising_loss", "two_islands", "DBN", "transposed"),
    checked_langevin=exercises.langevin_step,
    checked_sm=exercises.score_matching_loss,
    checked_logit=exercises.contrast_logit,
    device=CPU,
)
contrast = load(
    "11b",
    *("Noise", "Chains"),
    centre=torch.zeros(2),
    spread=torch.eye(2),
    checked_logit=exercises.contrast_logit,
    device=CPU,
)
CENTRE = torch.tensor([0.5, -1.0])
SPREAD = torch.tensor([[2.0, 0.6], [0.6, 0.5]])
uneven = load(
    "11b",
    "Noise",
    centre=CENTRE,
    spread=SPREAD,
    checked_logit=exercises.contrast_logit,
    device=CPU,
)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


# --- walks
# -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("eta", [0.1, 1.0, 3.0])
def test_the_stationary_variance_is_the_derived_one(eta):
    """From a start in the stationary law, one step keeps it; from a point, the variance follows the recursion."""
    v = 1 / (1 - eta / 4)
    x = math.sqrt(v) * torch.randn(200_000, 1, generator=generator(1))
    after = L.walk(x, L.bell_score, eta, 1, generator(2))
    assert float(after.var()) == pytest.approx(v, rel=0.02)
    y, wanted = torch.zeros(200_000, 1), 0.0
    for step in range(4):
        y = L.walk(y, L.bell_score, eta, 1, generator(step))
        wanted = (1 - eta / 2) ** 2 * wanted + eta
        assert float(y.var()) == pytest.approx(wanted, rel=0.02)


def test_at_four_there_is_no_stationary_state():
    x = L.walk(torch.zeros(20_000, 1), L.bell_score, 4.0, 50, generator())
    assert float(x.var()) == pytest.approx(200, rel=0.05)  # every step adds 4


@pytest.mark.parametrize("eta", [1.0, 3.0])
def test_metropolis_keeps_the_law_that_the_plain_step_changes(eta):
    x = torch.randn(200_000, 1, generator=generator(1))
    after, moved = L.metropolis_step(x, L.log_bell, L.bell_score, eta, generator(2))
    assert float(after.var()) == pytest.approx(1, rel=0.02)
    assert float(after.pow(4).mean()) == pytest.approx(3, rel=0.05)
    assert torch.equal(after[~moved], x[~moved]) and 0.3 < float(moved.float().mean()) < 0.99
    plain = L.walk(x, L.bell_score, eta, 1, generator(2))  # one step from variance 1
    assert float(plain.var()) == pytest.approx((1 - eta / 2) ** 2 + eta, rel=0.02)


def test_settled_measures_the_variance_and_who_moved():
    g = generator(3)

    def step(x, eta):
        """Noise of variance eta for about half of the walkers, which forget where they were."""
        new = math.sqrt(eta) * torch.randn(x.shape, generator=g)
        return torch.where(torch.rand(x.shape, generator=g) < 0.5, new, x)

    variance, moved = L.settled(step, 4.0, walkers=20_000, warm=20, steps=20)
    assert variance == pytest.approx(4.0, rel=0.15) and moved == pytest.approx(0.5, abs=0.05)


def test_settled_forgets_the_steps_before():
    """Walkers whose variance is the number of their step: the mean is over the steps after the first twenty."""
    base, calls = torch.randn(500, 1, generator=generator(4)), []

    def step(x, eta):
        assert len(x) == 500 and (bool(calls) or not x.any())
        calls.append(len(calls) + 1)
        late = calls[-1] > 20
        return math.sqrt(calls[-1]) * base if late else x  # nobody moves at first

    variance, moved = L.settled(step, 1.0, walkers=500, warm=20, steps=5)
    assert variance == pytest.approx(float(base.var()) * sum(calls[20:]) / len(calls[20:]), rel=1e-4)
    assert len(calls) > 20 and moved == 1


def test_detailed_balance_of_the_metropolis_step():
    """p(x) k(x'|x) a(x→x') is symmetric, by the proposal's density and the acceptance of (3)."""
    eta, x, y = 1.5, torch.tensor([[0.3], [-1.0]]), torch.tensor([[1.1], [0.4]])
    forth = L.log_bell(x) + L.log_proposal(y, x, L.bell_score, eta)
    back = L.log_bell(y) + L.log_proposal(x, y, L.bell_score, eta)
    ratio = back - forth
    torch.testing.assert_close(forth + ratio.clamp(max=0), back + (-ratio).clamp(max=0))
    wanted = torch.distributions.Normal(x - eta / 2 * x, math.sqrt(eta)).log_prob(y)[:, 0]
    gap = L.log_proposal(y, x, L.bell_score, eta) - wanted
    assert (gap - gap[0]).abs().max() < 1e-5  # equal up to a constant


def test_the_mixture_score_is_its_difference_quotient():
    x = torch.randn(6, 2, generator=generator(3))
    found = L.mixture_score(x)
    for i in range(2):
        step = torch.zeros(2)
        step[i] = 1e-2
        quotient = (L.mixture_parts(x + step)[1] - L.mixture_parts(x - step)[1]) / 2e-2
        assert (found[:, i] - quotient).abs().max() < 2e-2


def test_the_temperature_of_two_factors():
    assert L.temperature(10, 0.005) == pytest.approx(1.25e-6)
    assert L.temperature(0.02, 0.2) == pytest.approx(1.0)
    s, sigma = 0.1, 0.3
    x = torch.zeros(100_000, 1)
    for seed in range(100):  # on N(0, 1): σ²/(2s − s²), as exercise 2 says
        x = x - s * x + sigma * torch.randn(x.shape, generator=generator(seed))
    assert float(x.var()) == pytest.approx(L.temperature(s, sigma) / (1 - s / 2), rel=0.02)


def test_cold_walkers_sit_on_tops_and_warm_ones_do_not():
    start = 8 * torch.rand(300, 2, generator=generator(1)) - 4
    s = 0.05
    cold = L.two_factor_walk(start, s, math.sqrt(2 * s * 1.25e-6), 400, generator(2))
    warm = L.two_factor_walk(start, s, math.sqrt(2 * s), 400, generator(2))
    assert float(L.mixture_score(cold).norm(dim=1).quantile(0.9)) < 0.05
    assert float(L.mixture_score(warm).norm(dim=1).median()) > 0.5
    assert float(L.mixture_parts(cold)[1].mean()) > float(L.mixture_parts(warm)[1].mean()) + 0.4


def test_a_step_with_two_factors_clips_the_slope_before_the_factor():
    x = 3 * torch.randn(50, 2, generator=generator(6))
    slope = L.mixture_score(x)
    assert 0.1 < float((slope.abs() > 1).float().mean()) < 0.9
    found = L.two_factor_walk(x, 0.2, 0.0, 1, generator(), clip=1.0)
    torch.testing.assert_close(found, x + 0.2 * slope.clamp(-1, 1))
    noisy = L.two_factor_walk(x, 0.2, 0.3, 1, generator(7))
    torch.testing.assert_close(noisy, x + 0.2 * slope + 0.3 * torch.randn(50, 2, generator=generator(7)))


def test_each_point_counts_for_its_likeliest_component():
    x = draws_of_the_mixture(400, 9)
    bells = torch.distributions.MultivariateNormal(L.means, L.covs)
    joint = L.weights.log() + bells.log_prob(x[:, None])  # (400, 3)
    true = torch.bincount(joint.argmax(1), minlength=3) / 400
    torch.testing.assert_close(L.shares(x), true)
    assert (joint.softmax(1).mean(0) - true).abs().max() > 0.01  # the mean responsibilities are others
    assert L.shares(L.means[:1]).tolist() == [1, 0, 0]


def test_the_printed_recipe_diverges_without_its_clip():
    start = torch.randn(100, 2, generator=generator(1))
    assert not bool(L.two_factor_walk(start, 10, 0.005, 50, generator()).isfinite().any())
    clipped = L.two_factor_walk(start, 10, 0.005, 200, generator(), clip=0.03)
    assert bool(clipped.isfinite().all()) and float(clipped.abs().max()) < 4


# --- slopes
# -----------------------------------------------------------------------------------------------------------------


def test_the_loss_differs_from_the_fisher_divergence_by_a_constant():
    """Two energies: the difference of their losses is that of J, on one mixture, by Monte Carlo of many points."""
    x = draws_of_the_mixture(60_000, 5)
    true = L.mixture_score(x)
    gaps = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        energy = L.Energy(width=8)
        j = 0.5 * (energy.score(x).detach() - true).square().sum(1).mean()
        gaps.append(float(L.slope_loss(energy, x).detach() - j))
    assert gaps[0] == pytest.approx(gaps[1], abs=0.03)
    assert gaps[0] == pytest.approx(-0.5 * float(true.square().sum(1).mean()), rel=0.03)


def test_every_weight_of_an_energy_hears_of_the_loss_but_log_z():
    torch.manual_seed(0)
    energy = L.Energy()
    L.slope_loss(energy, torch.randn(32, 2)).backward()
    heard = {
        name: p.grad is not None and bool(p.grad.abs().sum() > 0) for name, p in energy.named_parameters()
    }
    silent = [name for name, yes in heard.items() if not yes]
    last = f"net.{len(energy.net) - 1}.bias"
    assert sorted(silent) == sorted(["log_z", last])  # a constant changes no slope


def bowl(width=64):
    """An energy without its network: N(0, 9 I), if T is 1."""
    energy = L.Energy(width=width)
    torch.nn.init.zeros_(energy.net[-1].weight)
    torch.nn.init.zeros_(energy.net[-1].bias)
    return energy


def draws_of_the_mixture(n, seed):
    g = generator(seed)
    k = torch.multinomial(L.weights, n, replacement=True, generator=g)
    root = torch.linalg.cholesky(L.covs)[k]
    return L.means[k] + torch.einsum("nij,nj->ni", root, torch.randn(n, 2, generator=g))


@pytest.mark.parametrize("T", [1.0, 2.0])
def test_quadrature_knows_the_bowl(T):
    log_z, kl = L.judged(bowl(), T)
    assert log_z == pytest.approx(math.log(2 * math.pi * 9 * T), abs=1e-3)
    x = draws_of_the_mixture(200_000, 8)
    log_bell = -x.square().sum(1) / (18 * T) - math.log(2 * math.pi * 9 * T)
    assert kl == pytest.approx(float((L.mixture_parts(x)[1] - log_bell).mean()), abs=0.02)


def test_quadrature_sees_an_energy_that_runs_away():
    """A slope of 3 in the energy moves the bowl's centre 27 to the right: still on the grid."""

    class Leaning(torch.nn.Module):
        def forward(self, x):
            return bowl()(x) - 3 * x[:, 0]

    log_z, _ = L.judged(Leaning())
    assert log_z == pytest.approx(math.log(2 * math.pi * 9) + 3**2 * 9 / 2, abs=1e-2)


def test_two_bells_against_torch_distributions():
    x = torch.linspace(-5, 5, 50, dtype=torch.float64)
    mix = torch.distributions.Categorical(torch.tensor([0.2, 0.8]).double())
    bells = torch.distributions.Normal(torch.tensor([-1.5, 1.5]).double(), 0.5)
    trusted = torch.distributions.MixtureSameFamily(mix, bells).log_prob(x)
    log_p, slope = L.two_bells(x, 0.2, 3.0)
    torch.testing.assert_close(log_p, trusted)
    quotient = (L.two_bells(x + 1e-5, 0.2, 3.0)[0] - L.two_bells(x - 1e-5, 0.2, 3.0)[0]) / 2e-5
    torch.testing.assert_close(slope, quotient, atol=1e-5, rtol=1e-5)


def test_the_blind_spot_of_slopes():
    kl, j = L.two_rulers(8.0)
    assert kl == pytest.approx(0.2 * math.log(0.4) + 0.8 * math.log(1.6), abs=1e-6)
    assert j < 1e-10
    assert L.two_rulers(1.0)[1] > 0.1  # near ones it sees
    kl, _ = L.two_rulers(8.0, 0.25, 0.9, 0.1)
    assert kl == pytest.approx(0.9 * math.log(9) + 0.1 * math.log(1 / 9), abs=1e-6)
    assert L.two_rulers(2.0, 0.25, 0.3, 0.3) == (0, 0)


@pytest.mark.parametrize("gap", [2.0, 5.0])
def test_all_noise_levels_together_are_kl(gap):
    levels = torch.cat([torch.zeros(1), torch.logspace(-4, 4, 600)]).double()
    seen = torch.tensor([L.two_rulers(gap, 0.25 + t)[1] for t in levels.tolist()]).double()
    assert float(torch.trapezoid(seen, levels)) == pytest.approx(L.two_rulers(gap)[0], abs=2e-3)


def test_a_fifth_of_the_islands_points_lies_on_the_left():
    x = L.two_islands(40_000, 3)
    left = x < 0
    assert x.shape == (40_000, 1)
    assert float(left.float().mean()) == pytest.approx(0.2, abs=5 * 0.4 / 200)
    for side, centre in ((left, -4), (~left, 4)):
        assert float(x[side].mean()) == pytest.approx(centre, abs=0.03)
        assert float(x[side].std()) == pytest.approx(0.5, abs=0.02)


def test_the_noisy_score_has_the_scale_of_its_noise():
    """What the network says is divided by σ, and it sees x at the scale that noisy data have."""

    class First(torch.nn.Module):
        def forward(self, seen):
            return seen[:, :1] + 10 * seen[:, 1:]

    net = L.NoisyScore(spread=4.0)
    net.net = First()
    x, sigma = torch.tensor([[3.0], [-8.0], [2.0]]), torch.tensor([[0.2], [1.0], [10.0]])
    true = (x / (16 + sigma**2).sqrt() + 10 * sigma.log()) / sigma
    torch.testing.assert_close(net(x, sigma.log()), true)
    torch.testing.assert_close(net.at(math.log(0.2))(x[:1]), true[:1])


def test_the_best_guess_of_noise_has_the_least_denoising_loss():
    """The exact score of the noisy islands beats perturbed ones under the loss, as Vincent's result says."""

    class Exact(torch.nn.Module):
        def __init__(self, factor):
            super().__init__()
            self.factor = factor

        def forward(self, x, log_sigma):
            variance = 0.25 + log_sigma.exp().square()
            away = torch.tensor([-4.0, 4.0]) - x  # (N, 2)
            joint = torch.tensor([0.2, 0.8]).log() - away.square() / (2 * variance)
            return self.factor * (joint.softmax(1) * away).sum(1, keepdim=True) / variance

    x = L.two_islands(100_000, 0)
    losses = []
    for factor in (1.0, 0.9, 1.1):
        torch.manual_seed(0)
        losses.append(float(L.denoising_loss(Exact(factor), x)))
    assert losses[0] < min(losses[1:]) - 1e-3


# --- noise contrast, and walkers that train
# -----------------------------------------------------------------------------------------------------------------


def test_the_best_classifier_has_the_true_log_z():
    """An energy that is the data's up to a constant: cross-entropy over log Z alone is least at the true one."""
    g = generator(7)
    data = torch.randn(200_000, generator=g)
    noise = 2 * torch.randn(400_000, generator=g)
    bell = torch.distributions.Normal(0.0, 2.0)
    true = 0.5 * math.log(2 * math.pi) - 0.7
    losses = {}
    for shift in (-0.2, 0.0, 0.2):
        log_z = torch.tensor(true + shift)
        odds = [exercises.contrast_logit(x**2 / 2 + 0.7, log_z, bell.log_prob(x), 2) for x in (data, noise)]
        losses[shift] = float(F.softplus(-odds[0]).mean() + 2 * F.softplus(odds[1]).mean())
    assert losses[0.0] < min(losses[-0.2], losses[0.2])


def test_odds_are_bayes_rule_on_a_small_table():
    p, q, nu = torch.tensor([0.1, 0.6, 0.3]), torch.tensor([0.5, 0.25, 0.25]), 3
    energy = -(5 * p).log()  # Z = 5
    odds = exercises.contrast_logit(energy, torch.tensor(5.0).log(), q.log(), nu)
    torch.testing.assert_close(odds.sigmoid(), p / (p + nu * q))


class Known(torch.nn.Module):
    """The energy of N(0, I) in the plane, and a log Z to be learned."""

    def __init__(self, off):
        super().__init__()
        self.log_z = torch.nn.Parameter(torch.tensor(math.log(2 * math.pi) + off))

    def forward(self, x):
        return 0.5 * x.square().sum(1)


@pytest.mark.parametrize("nu", [1, 3])
def test_the_loss_of_the_lesson_is_at_rest_at_the_true_log_z(nu):
    x = torch.randn(100_000, 2, generator=generator(1))
    slopes = {}
    for off in (-0.3, 0.0, 0.3):
        torch.manual_seed(2)
        energy = Known(off)
        contrast.Noise(scale=2.0).loss(energy, x, nu)["loss"].backward()
        slopes[off] = float(energy.log_z.grad)
    assert abs(slopes[0.0]) < 0.01
    assert slopes[-0.3] < -0.03 and slopes[0.3] > 0.03


def test_the_noise_has_the_mean_and_the_covariance_that_are_asked_for():
    law = uneven.Noise(shift=3.0, scale=2.0).law
    torch.testing.assert_close(law.mean, CENTRE + torch.tensor([3.0, 0.0]))
    torch.testing.assert_close(law.covariance_matrix, 4 * SPREAD)  # twice as wide
    torch.testing.assert_close(uneven.Noise().law.covariance_matrix, SPREAD)


def test_the_loss_of_noise_contrast_waits_for_no_device():
    noise, energy, x = uneven.Noise(scale=2.0), Known(0.0), torch.randn(64, 2, generator=generator(1))
    with CountReads() as counted:
        noise.loss(energy, x, nu=3)["loss"].backward()
    assert counted.reads == 0


def test_right_counts_data_and_noise_alike():
    """Who calls everything data is right for all data and for no noise: one half; and so the other way round."""
    noise, x = contrast.Noise(scale=2.0), torch.randn(500, 2, generator=generator(1))
    for off, data, other in ((-50.0, 1, 0), (50.0, 0, 1)):
        torch.manual_seed(0)
        assert float(noise.loss(Known(off), x, nu=3)["right"]) == pytest.approx((data + other) / 2)
    torch.manual_seed(0)
    sample = noise.law.sample((500,))
    torch.manual_seed(0)
    found = float(noise.loss(Known(1.5), x)["right"])  # calls most of it noise
    bell = torch.distributions.MultivariateNormal(torch.zeros(2), 4 * torch.eye(2))
    odds = [-Known(1.5)(y) - Known(1.5).log_z - bell.log_prob(y) for y in (x, sample)]
    shares = [float((odds[0] > 0).float().mean()), float((odds[1] < 0).float().mean())]
    assert abs(shares[0] - shares[1]) > 0.2 and found == pytest.approx(sum(shares) / 2)


def test_how_often_the_classifier_is_right():
    torch.manual_seed(0)
    x = torch.randn(20_000, 2, generator=generator(1))
    far = contrast.Noise(shift=10.0).loss(Known(0.0), x)["right"]
    same = contrast.Noise().loss(Known(0.0), x)["loss"]
    assert float(far) > 0.99 and float(same.detach()) == pytest.approx(2 * math.log(2), abs=1e-3)


@pytest.mark.parametrize("T", [1.0, 0.25])
def test_persistent_walkers_draw_at_their_temperature(T):
    energy, chains = bowl(width=4), contrast.Chains(T, walkers=4_000)
    for _ in range(600):
        loss = chains.loss(energy, torch.zeros(8, 2))
    assert float(chains.x.var()) == pytest.approx(9 * T, rel=0.06)
    assert float(loss.detach()) == pytest.approx(-T, rel=0.06)  # the data at 0, where E is 0


def test_the_seed_of_the_walkers_is_theirs():
    starts = [contrast.Chains(1.0, seed).x for seed in (0, 0, 1)]
    assert torch.equal(starts[0], starts[1]) and not torch.equal(starts[0], starts[2])


# --- the stack
# -----------------------------------------------------------------------------------------------------------------


def a_stack(seed=0, D=7, H=5, change=0.0):
    torch.manual_seed(seed)
    rbm = first.new_rbm(D, H, scale=1.0).double()
    with torch.no_grad():
        rbm.b.normal_()
        rbm.c.normal_()
    top = L.transposed(rbm)
    with torch.no_grad():
        for part in top.parameters():
            part += change * torch.randn_like(part)
    return L.DBN(rbm, top)


def exact_log_p(net, v):
    """log p(v) of a stack, by enumeration of both layers' states."""
    h = first.every_state(len(net.first.c)).double()
    with torch.no_grad():
        log_h = -net.top.free_energy(h)
        log_h = log_h - log_h.logsumexp(0)
        p = net.first.p_v(h)[:, None]
        given = (v * p.log() + (1 - v) * (1 - p).log()).sum(2)
    return (log_h[:, None] + given).logsumexp(0)


def test_a_transposed_top_is_the_first_machine():
    net = a_stack()
    v = first.every_state(7).double()
    with torch.no_grad():
        log_p = -net.first.free_energy(v)
    log_p = log_p - log_p.logsumexp(0)
    assert (exact_log_p(net, v) - log_p).abs().max() < 1e-10


def bound_by_enumeration(net, v):
    """(10) with the expectation over all states of h, not over draws."""
    h = first.every_state(len(net.first.c)).double()
    with torch.no_grad():
        q = net.first.p_h(v)[:, None]  # (B, 1, H)
        log_q = (h * q.log() + (1 - h) * (1 - q).log()).sum(2)  # (B, 2^H)
        log_h = -net.top.free_energy(h)
        log_z = log_h.logsumexp(0)
        p = net.first.p_v(h)
        log_v = (v[:, None] * p.log() + (1 - v[:, None]) * (1 - p).log()).sum(2)
        return (log_q.exp() * (log_h - log_z + log_v - log_q)).sum(1), log_z


def test_the_bound_is_tight_at_the_start_and_a_bound_afterwards():
    v = first.every_state(7).double()
    tight, _ = bound_by_enumeration(a_stack(), v)
    assert (tight - exact_log_p(a_stack(), v)).abs().max() < 1e-10
    moved = a_stack(change=0.5)
    below, _ = bound_by_enumeration(moved, v)
    gap = exact_log_p(moved, v) - below
    assert float(gap.min()) > -1e-10 and float(gap.max()) > 1e-3


def test_the_lesson_s_terms_average_to_the_bound():
    net = a_stack(change=0.5)
    v = first.every_state(7).double()[::9]
    wanted, log_z = bound_by_enumeration(net, v)
    torch.manual_seed(0)
    found = net.terms(v.repeat(4_000, 1)).view(4_000, -1).mean(0) - log_z
    assert (found - wanted).abs().max() < 0.1
    assert net.terms(v).shape == (len(v),)


def test_at_the_start_every_draw_gives_the_likelihood():
    net, v = a_stack(seed=2), first.every_state(7).double()
    _, log_z = bound_by_enumeration(net, v)
    torch.manual_seed(0)
    assert (net.terms(v.repeat(5, 1)).view(5, -1) - log_z - exact_log_p(net, v)).abs().max() < 1e-10


class FewImages:
    """Stands in for cu.mnist(): training images of 1 × 7 pixels at given rates."""

    def __init__(self, rates, n=2_000):
        self.train = self
        self.images = rates.expand(n, 1, 1, 7)

    def float(self):
        return self.images


def ladder_of(net, kept, images):
    """The lesson's functions about the ladder between two machines, on a small stack."""
    names = ("transposed", "with_silent_units", "hidden_states", "gained")
    shared = {name: getattr(first, name) for name in ("RBM", "gibbs", "log_mean", "checked_weights")}
    return load("11b", *names, first=net.first, kept=kept, mnist=FewImages(images), **shared)


@pytest.mark.parametrize("kept", [torch.arange(7), torch.tensor([0, 2, 3, 5, 6])])
def test_the_gain_of_the_lesson_is_that_of_enumeration(kept):
    """Forwards and backwards the ladder between two machines gives the difference of (10), without either Z."""
    net, v = a_stack(change=0.3), first.every_state(7).double()
    net.top = first.RBM(net.top.W[:, kept].detach(), net.top.b.detach(), net.top.c[kept].detach())
    lesson = ladder_of(net, kept, torch.full((7,), 0.5, dtype=torch.float64))
    old, new = lesson.transposed(net.first), lesson.with_silent_units(net.top)
    with torch.no_grad():  # silent units change the free energy by a constant
        apart = new.free_energy(first.every_state(5).double()) - net.top.free_energy(
            first.every_state(5).double()
        )
    assert float(apart.std()) < 1e-10
    after, _ = bound_by_enumeration(net, v)
    wanted = float((after - exact_log_p(L.DBN(net.first, old), v)).mean())
    torch.manual_seed(0)
    many = v.repeat(100, 1)
    forwards, log_w = lesson.gained(old, new, many, 2_000, 200)
    backwards, _ = lesson.gained(new, old, many, 2_000, 200)
    assert log_w.shape == (2_000,)
    assert float(forwards) == pytest.approx(wanted, abs=0.05)
    assert -float(backwards) == pytest.approx(wanted, abs=0.05)


def test_pixels_that_are_dropped_leave_their_mean_effect():
    """Of rarely inked pixels with small weights the top keeps the slope: the free energy changes by a constant."""
    net = a_stack(D=7, H=5)
    rare, kept = torch.tensor([1, 4]), torch.tensor([0, 2, 3, 5, 6])
    with torch.no_grad():
        net.first.W[rare] *= 1e-3
    rates = net.first.b.detach().sigmoid()
    lesson = load("11b", "transposed", "start_of_top", rates=rates, rare=rare, kept=kept)
    h = first.every_state(5).double()
    with torch.no_grad():
        change = lesson.start_of_top(net.first).free_energy(h) - L.transposed(net.first).free_energy(h)
        effect = (h @ net.first.W[rare].T).sum(1)
    assert float(change.std()) < 0.01 * float(effect.std())


def test_drawing_from_a_stack_has_its_shares():
    net = a_stack(seed=3, change=0.5)
    torch.manual_seed(1)
    start = torch.zeros(20_000, 5).double()
    drawn = net.draw(start, 60)
    v = first.every_state(7).double()
    wanted = (exact_log_p(net, v).exp()[:, None] * v).sum(0)
    assert (drawn.mean(0) - wanted).abs().max() < 0.03


# --- the shipped runs
# -----------------------------------------------------------------------------------------------------------------


def test_the_shipped_comparisons_hold_what_the_lesson_says():
    crowds = torch.nn.Embedding(1_000, 6)
    card = runs.restore("11b_ways", crowds)
    data, warm, cold = crowds.weight.detach().split(2, 1)
    assert (
        float(L.mixture_score(cold).norm(dim=1).max())
        < 0.1
        < float(L.mixture_score(warm).norm(dim=1).median())
    )
    assert (data.mean(0) - warm.mean(0)).abs().max() < 0.3
    honest = ("score matching", "noise contrast", "walkers, T = 1")
    for seed in range(3):
        kl = {name: card.figure(f"{name}, KL, seed {seed}") for name in honest}
        assert max(kl.values()) < 0.1 < card.figure(f"walkers, T of a millionth, KL, seed {seed}") / 3
        for nu in (1, 5):
            assert abs(card.figure(f"log Z gap, nu {nu}, seed {seed}")) < 0.05
        assert abs(card.figure(f"islands, levels, seed {seed}") - 0.2) < 0.03
        assert abs(card.figure(f"islands, slope, walkers, seed {seed}") - 0.5) < 0.1
        for noise in ("scale 0.25", "scale 0.5", "shift 8", "shift 8, 4,000 steps"):
            assert abs(card.figure(f"{noise}, log Z error, seed {seed}")) > 1
        assert card.figure(f"shift 8, right, seed {seed}") > 0.99


@pytest.mark.turns(2)
def test_a_training_that_is_made_again_has_the_figures_of_the_card(monkeypatch):
    """The noise of the data's own width, 400 steps, as the lesson's own functions train and judge it."""
    monkeypatch.setenv("COURSE_PROFILE", "full")
    names = ("weights", "means", "flat_covs", "covs", "mixture", "mixture_parts", "exact_draws", "Energy")
    made = load(
        "11b",
        *(*names, "side", "grid", "log_cell", "judged", "learn", "fresh", "centre", "spread", "Noise"),
        *("WIDTHS", "SHIFTS", "NOISES", "noise_figures", "tolerance"),
        checked_logit=exercises.contrast_logit,
        device=CPU,
    )
    figures = runs.load("11b_ways").card["figures"]
    for key, value in made.noise_figures("scale 1", 0).items():
        entry = figures[key]
        assert entry["tolerance"] == pytest.approx(made.tolerance(key, entry["value"]))
        assert entry["tolerance"] < 0.2 * abs(entry["value"]) + 0.002  # it says something
        assert value == pytest.approx(entry["value"], abs=entry["tolerance"]), key


def binarised_test(n):
    coins = torch.Generator().manual_seed(4)
    return torch.bernoulli(cu.mnist().test.float(), generator=coins).flatten(1)[:n]


@pytest.mark.turns(2)
def test_the_shipped_top_gains_what_its_card_says():
    """On 1,000 digits, with half the chains: off the card by at most four standard errors of the mean over digits."""
    rbm, top = first.new_rbm(784, 500), first.new_rbm(500, 550)
    runs.restore("11_rbm", rbm)
    card = runs.restore("11_dbn", top)
    rates = cu.mnist().train.float().mean(0).flatten()
    kept = rates.argsort(descending=True)[:550].sort().values
    names = ("transposed", "with_silent_units", "hidden_states", "gained")
    shared = {name: getattr(first, name) for name in ("RBM", "gibbs", "log_mean", "checked_weights")}
    lesson = load("11b", *names, first=rbm, kept=kept, mnist=cu.mnist(), **shared)
    old, new = lesson.transposed(rbm), lesson.with_silent_units(top)
    v = binarised_test(1_000)
    torch.manual_seed(0)
    found, log_w = lesson.gained(old, new, v, 100, 100)
    with torch.no_grad():
        h = torch.bernoulli(rbm.p_h(v))
        each = old.free_energy(h) - new.free_energy(h)
    error = 4 * math.hypot(float(each.std()) / 1_000**0.5, float(log_w.std()) / 10)
    gain = card.figure("top: gained, nats, forwards")
    assert error < 1 and abs(float(found) - gain) < error
    back = card.figure("top: gained, nats, backwards")
    scatter = math.hypot(
        *(card.figure(f"top: gained, nats, {way}: spread of five runs") for way in ("forwards", "backwards"))
    )
    assert back < gain + 3 * scatter  # backwards the ladder errs towards less gain, forwards towards more
    assert gain > card.figure("start: gained, nats, forwards")
