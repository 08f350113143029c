"""Lesson 02b: mixtures of low-rank Gaussians against torch.distributions and brute force; identities; the
shipped run."""

import math

import pytest
import torch
from torch.distributions import Categorical, LowRankMultivariateNormal, MixtureSameFamily, MultivariateNormal

import course_utils as cu
from course_utils import runs
from tests.lessons.lesson_functions import load

exercises = load("02b", "latent_given_seen", "paint", "my_decibels")
L = load(
    "02b",
    *(
        "PPCAMixture",
        "Completion",
        "complete",
        "dequantised",
        "kmeans_start",
        "em_on_images",
        "sample_images",
    ),
    *("as_images", "psnr", "honesty", "class_joint", "in_ink", "PALE"),
    checked_latent=exercises.latent_given_seen,
    checked_paint=exercises.paint,
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


def test_doubt_and_honesty_agree_with_a_model_that_has_the_noise_it_claims():
    model, seen = random_mixture(3, 2, 12, seed=7), torch.arange(12) < 6
    g, nothing = torch.Generator().manual_seed(1), torch.zeros(12, dtype=torch.bool)
    images = L.complete(model, torch.zeros(20_000, 12).double(), nothing, g).draw
    mean, draw, apart, claimed, right = L.honesty(model, images, seen)
    assert apart == mean - draw == pytest.approx(10 * math.log10(2), abs=0.1)
    assert float(claimed.rstrip("%")) == pytest.approx(float(right.rstrip("%")), abs=3)
    assert (
        L.honesty(model, images, seen, doubt=1.0)[0] < mean
    )  # the model is right: doubting it can only cost


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


def test_what_the_mixture_leaves_over_is_correlated_in_real_digits_only(shipped):
    _, model = shipped
    left_over = load("02b", "left_over", model=model, checked_latent=exercises.latent_given_seen).left_over
    made = L.sample_images(model, 500, seed=1).draw
    for x, low, high in ((made, -0.05, 0.05), (L.dequantised(cu.mnist().test[:500]), 0.3, 0.7)):
        rest = left_over(x)
        assert low < float((rest[:, :, :-1] * rest[:, :, 1:]).mean() / rest.square().mean()) < high


@pytest.mark.turns(2)
def test_draws_of_the_shipped_mixture_have_the_distance_on_its_card(shipped):
    run, model = shipped
    whole = L.sample_images(model, 5_000, seed=5)
    for name, x in {
        "Fréchet distance": whole.draw,
        "Fréchet distance before pixel noise": whole.smooth,
    }.items():
        row = cu.metrics.score(L.as_images(x), 5_000)
        assert close_to_card(run, name, row.distance)
        assert close_to_card(run, name.replace("Fréchet distance", "KID"), row.kid)
    kept = torch.from_numpy(run.samples)
    assert run.card["samples"] == {"kind": "draws", "n": len(kept)} and len(kept) == 1_000
    assert (L.as_images(whole.draw).float().mean(0) - kept.float().mean(0)).abs().max() < 25  # of 255
    frames, steps = run.replay
    assert frames.shape == (1, 9, 28, 28) and steps.tolist() == [run.figure("EM steps")] == [60]
    assert sum(file.stat().st_size for file in run.path.iterdir()) <= 1.5e6
    assert run.card["lesson"] == "02b_mixtures_on_images"


def test_hidden_pixels_are_neither_ink_nor_paper():
    seen = torch.arange(784) % 28 >= 14
    picture = L.in_ink(torch.zeros(1, 784), seen)[0].flatten(1)  # (3, 784)
    assert (picture[:, seen] == 1).all()
    torch.testing.assert_close(picture[:, ~seen], L.PALE[:, None].expand(3, 392))


def test_what_lesson_02b_shares_completes_like_the_lesson():
    from course_utils.lessons import lesson_02b as shared

    model, seen = random_mixture(3, 2, 8), torch.arange(8) < 5
    x = torch.randn(4, 8, generator=torch.Generator().manual_seed(0)).double()
    ours = L.complete(model, x, seen, torch.Generator().manual_seed(1))
    theirs = shared.complete(model, x, seen, torch.Generator().manual_seed(1))
    for mine, other in zip(ours, theirs):
        torch.testing.assert_close(mine, other)
    assert shared.PPCAMixture(40, 13).state_dict().keys() == L.PPCAMixture(40, 13).state_dict().keys()
