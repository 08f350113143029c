"""Lesson 02: mixtures against scikit-learn, torch.distributions and brute force; identities; the shipped
run."""

import math

import pytest
import torch
from sklearn.mixture import GaussianMixture
from torch.distributions import Categorical, LowRankMultivariateNormal, MixtureSameFamily, MultivariateNormal

import course_utils as cu
from course_utils import runs
from tests.lessons.lesson_functions import load

exercises = load("02", "responsibilities", "weights_and_means", "latent_given_seen", "kl_gaussians")
checked = {
    "checked_resp": exercises.responsibilities,
    "checked_wm": exercises.weights_and_means,
    "checked_latent": exercises.latent_given_seen,
}
L = load(
    "02",
    *(
        "bell",
        "grid",
        "step",
        "kl_on_grid",
        "closest_gaussians",
        "sample_mixture",
        "log_gaussians",
        "e_step",
        "m_step",
    ),
    *("start", "em", "narrowest", "kmeans_step", "climb", "PPCAMixture", "Completion", "complete"),
    *(
        "dequantised",
        "kmeans_start",
        "em_on_images",
        "sample_images",
        "as_images",
        "psnr",
        "score",
        "class_joint",
    ),
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
    return model.factors @ model.factors.mT + model.noise[:, None, None] * torch.eye(
        d, dtype=model.noise.dtype
    )


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


# --- the mixture of probabilistic PCAs
# --------------------------------------------------------------------------------


def test_log_density_agrees_with_low_rank_normal_also_for_marginals():
    model = random_mixture(4, 3, 20)
    x = torch.randn(30, 20, generator=torch.Generator().manual_seed(1)).double()
    seen = torch.arange(20) % 3 > 0
    for pixels in (torch.ones(20, dtype=torch.bool), seen):
        normal = LowRankMultivariateNormal(
            model.means[:, pixels],
            model.factors[:, pixels],
            model.noise[:, None].expand(4, int(pixels.sum())),
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
    torch.testing.assert_close(
        model.log_joint(x[:, seen], seen, doubt=0.7), doubtful.log_joint(x[:, seen], seen)
    )


def test_doubt_and_score_agree_with_a_model_that_has_the_noise_it_claims():
    model, seen = random_mixture(3, 2, 12, seed=7), torch.arange(12) < 6
    g, nothing = torch.Generator().manual_seed(1), torch.zeros(12, dtype=torch.bool)
    images = L.complete(model, torch.zeros(20_000, 12).double(), nothing, g).draw
    mean, draw, apart, claimed, right = L.score(model, images, seen)
    assert apart == mean - draw == pytest.approx(10 * math.log10(2), abs=0.1)
    assert float(claimed.rstrip("%")) == pytest.approx(float(right.rstrip("%")), abs=3)
    assert L.score(model, images, seen, doubt=1.0)[0] < mean  # the model is right: doubting it can only cost


def test_class_mixtures_give_the_posterior_of_bayes():
    models = [random_mixture(2, 2, 6, seed) for seed in (0, 1, 2)]
    log_prior = torch.tensor([0.2, 0.3, 0.5]).double().log()
    x = torch.randn(50, 6, generator=torch.Generator().manual_seed(0)).double()
    joint = L.class_joint(models, log_prior, x)
    for y, model in enumerate(models):
        truth = MixtureSameFamily(Categorical(model.weights), MultivariateNormal(model.means, dense(model)))
        torch.testing.assert_close(joint[:, y], log_prior[y] + truth.log_prob(x))


# --- the shipped run
# --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shipped():
    model = L.PPCAMixture(40, 13)
    return runs.restore("02_mixture", model), model


def close_to_card(run, name, value):
    figure = run.card["figures"][name]
    return abs(value - figure["value"]) <= figure["tolerance"]


def test_the_shipped_mixture_has_the_density_on_its_card(shipped):
    run, model = shipped
    val = L.dequantised(cu.mnist().val)
    assert close_to_card(run, "validation nats", float(model.log_joint(val).logsumexp(1).mean()))
    assert abs(float(model.weights.sum()) - 1) < 1e-3 and model.noise.min() > 0
    before = float(model.log_joint(val[:1000]).logsumexp(1).mean())
    for weight in (model.means, model.factors):
        weight.data = weight.data.flip(0)  # another component's: the density must notice
        assert float(model.log_joint(val[:1000]).logsumexp(1).mean()) < before - 100
        weight.data = weight.data.flip(0)


def test_draws_of_the_shipped_mixture_have_the_distance_on_its_card(shipped):
    run, model = shipped
    whole = L.sample_images(model, 5_000, seed=5)
    for name, x in {
        "Fréchet distance": whole.draw,
        "Fréchet distance before pixel noise": whole.smooth,
    }.items():
        assert close_to_card(run, name, cu.metrics.quality(L.as_images(x)).distance)
    kept = torch.from_numpy(run.samples)
    assert run.card["samples"] == {"kind": "draws", "n": len(kept)} and len(kept) == 1_000
    assert (L.as_images(whole.draw).float().mean(0) - kept.float().mean(0)).abs().max() < 25  # of 255
    frames, steps = run.replay
    assert frames.shape == (1, 9, 28, 28) and steps.tolist() == [run.figure("EM steps")] == [60]
    assert sum(file.stat().st_size for file in run.path.iterdir()) <= 1.5e6
