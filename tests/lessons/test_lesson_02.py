"""Lesson 02: mixtures in the plane against scikit-learn, torch.distributions and brute force; identities."""

import math

import pytest
import torch
from sklearn.mixture import GaussianMixture
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal

import course_utils as cu
from tests.lessons.lesson_functions import load

exercises = load(
    "02", "sample_mixture", "responsibilities", "weights_and_means", "spike", "my_bet", "kl_gaussians"
)
L = load(
    "02",
    *("bell", "grid", "step", "kl_on_grid", "closest_gaussians", "log_gaussians", "e_step", "m_step"),
    *("start", "em", "bound", "narrowest", "kmeans_step", "climb"),
    checked_resp=exercises.responsibilities,
    checked_wm=exercises.weights_and_means,
)


def random_mixture(K, d, seed=0):
    """Weights, means and covariances of a random mixture, in double precision."""
    g = torch.Generator().manual_seed(seed)
    weights = torch.rand(K, generator=g).add(0.2).double()
    root = torch.randn(K, d, d, generator=g).double()
    covs = root @ root.mT + 0.1 * torch.eye(d).double()
    return weights / weights.sum(), torch.randn(K, d, generator=g).double(), covs


# --- EM in two dimensions
# ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, K, seed", [("pinwheel", 5, 0), ("pinwheel", 5, 4), ("spiral", 8, 1), ("moons", 3, 2)]
)
def test_em_without_a_floor_never_falls(name, K, seed):
    x = cu.POINTS[name](600).double()
    path, values = L.em(x, L.start(x, K, seed), steps=60)
    assert x.dtype == torch.float64 and len(path) == len(values) == 61
    assert min(after - before for before, after in zip(values, values[1:])) >= -1e-9
    assert values[-1] > values[0] + 0.1


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_em_agrees_with_scikit_learn_from_the_same_start(seed):
    x = cu.pinwheel(500, seed=3).double()
    weights, means, covs = L.start(x, 4, seed)
    path, values = L.em(x, (weights, means, covs), steps=25)
    other = GaussianMixture(
        4,
        weights_init=weights.numpy(),
        means_init=means.numpy(),
        precisions_init=torch.linalg.inv(covs).numpy(),
        reg_covar=0.0,
        tol=0.0,
        max_iter=25,
    )
    with pytest.warns(UserWarning, match="converge"):
        other.fit(x.numpy())
    assert abs(values[-1] - other.score(x.numpy())) < 1e-4
    assert (path[-1][1] - torch.from_numpy(other.means_)).abs().max() < 1e-5


def test_densities_and_draws_agree_with_torch_distributions():
    params = random_mixture(3, 2)
    x, k = exercises.sample_mixture(*params, n=40_000, generator=torch.Generator().manual_seed(0))
    truth = MixtureSameFamily(Categorical(params[0]), MultivariateNormal(*params[1:]))
    torch.testing.assert_close(L.e_step(x[:500], params)[1], truth.log_prob(x[:500]))
    assert (x.mean(0) - truth.mean).abs().max() < 0.05
    assert (k.bincount() / len(k) - params[0]).abs().max() < 0.01
    torch.testing.assert_close(x.var(0), truth.variance, rtol=0.05, atol=0.05)


def test_the_bound_touches_log_p_exactly_at_the_posterior():
    x = cu.moons(200).double()
    params = L.start(x, 3, 0)
    joint = params[0].log() + L.log_gaussians(x, *params[1:])
    log_r, log_px = L.e_step(x, params)
    for log_q in (torch.full_like(log_r, -math.log(3)), torch.log_softmax(joint * 0.3, 1), log_r):
        log_p, elbo, kl = L.bound(x, params, log_q)  # it asserts elbo + kl = log p point by point
        assert log_p == pytest.approx(float(log_px.mean())) and elbo <= log_p + 1e-12
        assert (kl < 1e-12) == torch.equal(log_q, log_r)


def test_m_step_is_a_maximum_of_the_expected_log_joint():
    x = cu.pinwheel(300).double()
    resp = torch.randn(300, 3, generator=torch.Generator().manual_seed(0)).double().softmax(1)
    params = [t.requires_grad_() for t in L.m_step(x, resp)]
    expected = (resp * (params[0].log() + L.log_gaussians(x, *params[1:]))).sum()
    gradients = torch.autograd.grad(expected, params)
    assert gradients[0].std() < 1e-8 * gradients[0].mean()  # equal for all weights: the Lagrange multiplier
    assert gradients[1].abs().max() < 1e-8 and gradients[2].abs().max() < 1e-8


def test_the_likelihood_has_no_maximum():
    x = cu.pinwheel(60).double()
    means, eye = torch.stack([x[0], x.mean(0)]), torch.eye(2, dtype=torch.float64)

    def total(width):
        covs = torch.stack([width**2 * eye, x.T.cov()])
        return float(L.e_step(x, (torch.full((2,), 0.5).double(), means, covs))[1].sum())

    values = [total(10.0**-power) for power in range(3, 12)]
    gains = [after - before for before, after in zip(values, values[1:])]
    assert gains == pytest.approx(
        [2 * math.log(10)] * 8, rel=1e-3
    )  # σ ten times smaller: d · log 10 nats, for ever


def test_collapse_needs_no_floor_and_is_cured_by_one():
    x, collapsed = cu.pinwheel(60).double(), []
    for seed in range(20):
        path, values = L.em(x, L.start(x, 6, seed), 150)
        if len(values) <= 150:  # the next covariance was singular
            collapsed.append(seed)
            after = L.m_step(x, L.e_step(x, path[-1])[0].exp())
            assert L.narrowest(after) < 1e-6 and min(b - a for a, b in zip(values, values[1:])) >= -1e-9
    assert len(collapsed) >= 3
    for seed in collapsed:
        path, values = L.em(x, L.start(x, 6, seed), 150, floor=0.01)
        assert len(values) == 151 and min(map(L.narrowest, path)) >= 0.1 - 1e-9


def test_narrow_spheres_make_k_means():
    x = cu.eight_gaussians(400).double()
    centres = L.start(x, 6, 0)[1]
    nearest, hard = L.kmeans_step(x, centres)
    assert torch.equal(nearest, torch.cdist(x, centres).argmin(1))
    covs = (1e-4 * torch.eye(2).double()).repeat(6, 1, 1)
    log_r, _ = L.e_step(x, (torch.full((6,), 1 / 6).double(), centres, covs))
    assert (L.m_step(x, log_r.exp())[1] - hard).abs().max() < 0.05


def test_gradient_ascent_climbs_the_same_hill():
    x = cu.moons(300).double()
    begin = L.start(x, 2, 0)
    values = L.climb(x, begin, 300, 0.05)
    assert abs(values[0] - L.em(x, begin, 1)[1][0]) < 1e-9
    assert abs(values[-1] - L.em(x, begin, 300)[1][-1]) < 0.02


def test_forward_kl_matches_moments_reverse_picks_a_bump():
    p = 0.6 * L.bell(L.grid, -3, 0.7) + 0.4 * L.bell(L.grid, 3, 0.7)
    best = L.closest_gaussians(p)
    assert abs(best["forward KL(p ‖ q)"][1] + 0.6) < 0.11 and abs(best["forward KL(p ‖ q)"][2] - 3.02) < 0.11
    reverse = best["reverse KL(q ‖ p)"]
    assert abs(reverse[1] + 3) < 0.11 and reverse[3] == pytest.approx(0.511, abs=0.02)
    assert all(value[3] >= 0 for value in best.values()) and best["Jensen–Shannon"][3] <= math.log(2)


# --- what the exercises drive
# ---------------------------------------------------------------------------------------------


def test_the_e_step_on_paper():
    x = torch.tensor([[0.0], [1.0], [3.0]]).double()
    params = (
        torch.tensor([0.5, 0.5]).double(),
        torch.tensor([[0.0], [2.0]]).double(),
        torch.ones(2, 1, 1).double(),
    )
    resp = L.e_step(x, params)[0].exp()
    by_hand = torch.tensor([1 / (1 + math.exp(2 * a - 2)) for a in (0, 1, 3)]).double()
    torch.testing.assert_close(resp[:, 0], by_hand)
    weights, means, _ = L.m_step(x, resp)
    assert [round(float(v), 3) for v in (weights[0], means[0, 0], means[1, 0])] == [0.466, 0.396, 2.152]


def test_the_spike_grows_with_no_limit_and_em_does_not_remove_it():
    x = cu.pinwheel(60).double()
    params = exercises.spike(x)
    log_px = L.e_step(x, params)[1]
    one = MultivariateNormal(x.mean(0), x.T.cov()).log_prob(x)
    assert int((log_px > one).sum()) == 1  # a single point gains
    assert float((one - log_px).max()) < math.log(2) + 1e-9  # the others lose at most log 2
    path, values = L.em(x, params, 1)
    assert len(values) == 1 or values[1] > values[0] - 1e-9


def test_one_start_of_six_finds_all_eight_bumps():
    bumps = cu.eight_gaussians(600).double()
    found = []
    for seed in range(6):
        path, values = L.em(bumps, L.start(bumps, 8, seed), 100, floor=1e-4)
        owners = L.e_step(bumps, path[-1])[0].argmax(1).bincount(minlength=8)
        found.append(int(owners.min()) > 45 and float(path[-1][0].std()) < 0.02)
    assert sum(found) == 1
    assert 0 <= exercises.my_bet() <= 6


def test_what_lesson_02_shares_is_what_it_teaches():
    from course_utils.lessons import lesson_02 as shared

    x = cu.moons(50).double()
    params = shared.start(x, 3, 0)
    ours, theirs = L.em(x, params, 3)[1], shared.em(x, params, 3)[1]
    assert ours == pytest.approx(theirs)
    assert {"checked_resp", "checked_sampler", "checked_wm", "kmeans_step"} <= set(shared.__all__)
