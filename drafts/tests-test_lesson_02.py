"""Lesson 02: mixtures against scikit-learn, torch.distributions and brute force; identities; the shipped run."""

import math

import pytest
import torch
from sklearn.mixture import GaussianMixture
from torch.distributions import Categorical, LowRankMultivariateNormal, MixtureSameFamily, MultivariateNormal

import course_utils as cu
from course_utils import runs
from tests.lesson_functions import load

exercises = load("02", "responsibilities", "weights_and_means", "latent_given_seen", "kl_gaussians")
checked = {
    "checked_resp": exercises.responsibilities,
    "checked_wm": exercises.weights_and_means,
    "checked_latent": exercises.latent_given_seen,
}
L = load(
    "02",
    *("bell", "grid", "step", "kl_on_grid", "closest_gaussians", "sample_mixture", "log_gaussians", "e_step", "m_step"),
    *("start", "em", "em_until_it_breaks", "kmeans_step", "climb", "PPCAMixture", "Completion", "complete"),
    *("dequantised", "kmeans_start", "em_on_images", "sample_images", "as_images", "psnr"),
    **checked,
)


def random_mixture(K, r, d, seed=0):
    """A mixture of K PPCAs with random parameters, in double precision."""
    g = torch.Generator().manual_seed(seed)
    model = L.PPCAMixture(K, r, d).double()
    model.weights.copy_(torch.rand(K, generator=g).add(0.2))
    model.weights.div_(model.weights.sum())
    model.means.copy_(torch.randn(K, d, generator=g))
    model.factors.copy_(torch.randn(K, d, r, generator=g))
    model.noise.copy_(torch.rand(K, generator=g).add(0.1))
    return model


def dense(model):
    """Covariances (K, d, d) written out."""
    d = model.means.shape[1]
    return model.factors @ model.factors.mT + model.noise[:, None, None] * torch.eye(d, dtype=model.noise.dtype)


# --- EM in two dimensions ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name, K, seed", [("pinwheel", 5, 0), ("pinwheel", 5, 4), ("spiral", 8, 1), ("moons", 3, 2)])
def test_em_without_a_floor_never_falls(name, K, seed):
    x = cu.POINTS[name](600).double()
    _, values = L.em(x, L.start(x, K, seed), steps=60)
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
    model = random_mixture(3, 2, 2)
    params = (model.weights.data, model.means.data, dense(model).data)
    x, k = L.sample_mixture(*params, n=40_000, generator=torch.Generator().manual_seed(0))
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
    for q in (torch.full_like(log_r, 1 / 3), torch.softmax(joint * 0.3, 1), log_r.exp()):
        elbo, kl = (q * (joint - q.log())).sum(1), (q * (q.log() - log_r)).sum(1)
        torch.testing.assert_close(elbo + kl, log_px)
        assert (kl.mean() < 1e-12) == torch.equal(q, log_r.exp())


def test_m_step_is_a_maximum_of_the_expected_log_joint():
    x = cu.pinwheel(300).double()
    resp = torch.randn(300, 3, generator=torch.Generator().manual_seed(0)).double().softmax(1)
    params = [t.requires_grad_() for t in L.m_step(x, resp)]
    expected = (resp * (params[0].log() + L.log_gaussians(x, *params[1:]))).sum()
    gradients = torch.autograd.grad(expected, params)
    assert gradients[0].std() < 1e-8 * gradients[0].mean()  # equal for all weights: the Lagrange multiplier
    assert gradients[1].abs().max() < 1e-8 and gradients[2].abs().max() < 1e-8


def test_collapse_needs_no_floor_and_is_cured_by_one():
    x = cu.pinwheel(60).double()
    _, values, widths = L.em_until_it_breaks(x, L.start(x, 6, seed=10), 40, 0.0)
    assert len(values) < 40 and widths[-1] < 1e-4 * widths[0] and values[-1] - values[-2] > values[-2] - values[-3]
    _, values, widths = L.em_until_it_breaks(x, L.start(x, 6, seed=10), 40, 0.01)
    assert len(values) == 40 and min(widths) >= 0.1


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


# --- the mixture of probabilistic PCAs --------------------------------------------------------------------------------


def test_log_density_agrees_with_low_rank_normal_also_for_marginals():
    model = random_mixture(4, 3, 20)
    x = torch.randn(30, 20, generator=torch.Generator().manual_seed(1)).double()
    seen = torch.arange(20) % 3 > 0
    for pixels in (torch.ones(20, dtype=torch.bool), seen):
        normal = LowRankMultivariateNormal(
            model.means[:, pixels], model.factors[:, pixels], model.noise[:, None].expand(4, int(pixels.sum()))
        )
        expected = model.weights.log() + normal.log_prob(x[:, None, pixels])
        torch.testing.assert_close(model.log_joint(x[:, pixels], pixels), expected)
    nothing = torch.zeros(20, dtype=torch.bool)
    torch.testing.assert_close(model.log_joint(x[:, nothing], nothing), model.weights.log().expand(30, 4))


def test_completion_agrees_with_brute_force():
    model, n = random_mixture(3, 2, 5, seed=2), 60_000
    seen = torch.tensor([True, False, True, False, False])
    x = torch.randn(1, 5, generator=torch.Generator().manual_seed(3)).double()
    covs = dense(model).data
    done = L.complete(model, x.expand(n, -1), seen, torch.Generator().manual_seed(0))
    gain = torch.linalg.solve(covs[:, seen][:, :, seen], covs[:, seen][:, :, ~seen]).mT  # (K, 3, 2)
    means = model.means[:, ~seen] + (gain @ (x[:, seen] - model.means[:, seen])[:, :, None])[:, :, 0]
    inner = covs[:, ~seen][:, :, ~seen] - gain @ covs[:, seen][:, :, ~seen]
    marginal = MultivariateNormal(model.means[:, seen], covs[:, seen][:, :, seen]).log_prob(x[:, seen])
    weights = (model.weights.log() + marginal).softmax(0)
    torch.testing.assert_close(done.weights[0], weights.data)
    mean = (weights[:, None] * means).sum(0)
    torch.testing.assert_close(done.mean[0, ~seen], mean.data)
    centred = means - mean
    cov = (weights[:, None, None] * (inner + centred[:, :, None] * centred[:, None])).sum(0)
    found = done.draw[:, ~seen]
    assert (found.mean(0) - mean).abs().max() < 0.03 * cov.diagonal().max().sqrt() + 0.01
    assert (found.T.cov() - cov).abs().max() < 0.05 * cov.abs().max()
    assert torch.equal(done.draw[:, seen], x.expand(n, -1)[:, seen])


def test_em_on_images_never_falls_and_finds_a_planted_mixture():
    planted = random_mixture(2, 2, 12, seed=5)
    nothing = torch.zeros(12, dtype=torch.bool)
    x = L.complete(planted, torch.zeros(4_000, 12).double(), nothing, torch.Generator().manual_seed(0)).draw
    model = L.PPCAMixture(2, 2, 12).double()
    torch.manual_seed(0)
    L.kmeans_start(model, x)
    values = [L.em_on_images(model, x) for _ in range(80)]
    assert min(after - before for before, after in zip(values, values[1:])) >= -1e-9
    truth = float(planted.log_joint(x).logsumexp(1).mean())
    assert abs(values[-1] - truth) < 0.02
    assert abs(float(model.weights.sum()) - 1) < 1e-6


def test_a_perfect_draw_is_three_decibels_below_the_mean():
    model = random_mixture(3, 2, 12, seed=6)
    seen, nothing = torch.arange(12) < 6, torch.zeros(12, dtype=torch.bool)
    g = torch.Generator().manual_seed(0)
    images = L.complete(model, torch.zeros(20_000, 12).double(), nothing, g).draw
    done = L.complete(model, images, seen, g)
    gap = L.psnr(done.mean, images, ~seen) - L.psnr(done.draw, images, ~seen)
    assert gap == pytest.approx(10 * math.log10(2), abs=0.1)


def test_doubt_is_extra_noise_on_the_seen_pixels():
    model, doubtful = random_mixture(3, 2, 8), random_mixture(3, 2, 8)
    doubtful.noise.add_(0.7)
    x, seen = torch.randn(5, 8, generator=torch.Generator().manual_seed(0)).double(), torch.arange(8) < 5
    torch.testing.assert_close(model.log_joint(x[:, seen], seen, doubt=0.7), doubtful.log_joint(x[:, seen], seen))


# --- the shipped run --------------------------------------------------------------------------------------------------


def test_the_shipped_mixture_matches_its_card():
    model = L.PPCAMixture(40, 13)
    run = runs.restore("02_mixture", model)
    val = L.dequantised(cu.mnist().val)
    card = run.card["figures"]["validation nats"]
    assert abs(float(model.log_joint(val).logsumexp(1).mean()) - card["value"]) <= card["tolerance"]
    assert abs(float(model.weights.sum()) - 1) < 1e-3 and model.noise.min() > 0
    pixels = L.as_images(L.sample_images(model, 1_000).draw).float().mean(0)
    assert (pixels - torch.from_numpy(run.samples).float().mean(0)).abs().max() < 25  # of 255: the same mean image
    assert run.card["samples"] == {"kind": "draws", "n": 1_000}
    assert sum(file.stat().st_size for file in run.path.iterdir()) <= 1.55e6
