"""Lesson 04: closed forms against torch.distributions and an exact toy, the networks, the shipped runs."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch.distributions import MultivariateNormal, Normal, kl_divergence

import course_utils as cu
from course_utils import metrics, runs
from tests.lessons.lesson_functions import load

EXERCISES = "kl_to_prior reparameterise rate_and_distortion ancestral careless_loss every_label"
solutions = load("04", *EXERCISES.split())
checked = {
    "checked_kl": solutions.kl_to_prior,
    "checked_sample": solutions.reparameterise,
    "checked_elbo": solutions.rate_and_distortion,
    "checked_careless": solutions.careless_loss,
    "device": torch.device("cpu"),
}
NAMES = """
W tau2 x_toy eye toy_prior C posterior toy_density log_px toy_elbo two_gradients VectorVAE gaussian_loss
split_of_rate Residual shrink grow VAE vae_terms vae_loss validate paint encode BETAS family_loss family
pair_loss CARDS from_card five_sets sure
"""
L = load("04", *NAMES.split(), **checked)


@pytest.fixture(scope="module")
def vae():
    model = L.VAE(latent=32)
    runs.restore("04_vae", model)
    return model.requires_grad_(False)


@pytest.fixture(scope="module")
def binary():
    return torch.bernoulli(cu.mnist().test[:1000].float(), generator=torch.Generator().manual_seed(4))


def moved(*shape, scale=1.0):
    """A small VAE whose every weight is random, so that no part of it is silent."""
    model = L.VAE(*shape)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(scale * 0.05 * torch.randn_like(weight))
    return model


# --- bounds, gradients, information
# -----------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_the_gap_of_the_gaussian_toy_is_the_kl_to_the_posterior(seed):
    torch.manual_seed(seed)
    A = torch.randn(2, 2).double()
    q = MultivariateNormal(torch.randn(2).double(), A @ A.T + 0.1 * L.eye)
    assert L.log_px - L.toy_elbo(q) == pytest.approx(kl_divergence(q, L.posterior).item(), abs=1e-8)
    assert L.toy_elbo(L.posterior) == pytest.approx(L.log_px, abs=1e-6)


def test_kl_agrees_with_torch_distributions_and_with_monte_carlo():
    torch.manual_seed(0)
    mean, log_var = torch.randn(2, 100, 6).double()
    q = Normal(mean, (0.5 * log_var).exp())
    kl = solutions.kl_to_prior(mean, log_var)
    torch.testing.assert_close(kl, kl_divergence(q, Normal(torch.zeros_like(mean), 1.0)), atol=1e-6, rtol=0)
    z = q.sample((5_000,))
    ratio = q.log_prob(z) - Normal(0.0, 1.0).log_prob(z)
    errors = (ratio.mean(0) - kl) / (ratio.std(0) / 5_000**0.5)
    assert errors.square().mean().sqrt() == pytest.approx(1, abs=0.15)


def off_by(estimates, truth):
    """How many standard errors the mean of estimates (n, d) is off the truth (d,): RMS."""
    standard_error = estimates.std(0) / len(estimates) ** 0.5
    return ((estimates.mean(0) - truth) / standard_error).square().mean().sqrt().item()


def test_both_gradient_estimators_are_unbiased_and_differ_in_noise():
    torch.manual_seed(0)
    c = torch.full((50,), 50**-0.5).double()
    through, score = L.two_gradients(lambda z: z.square().sum(1), c, 40_000)
    assert off_by(through, 2 * c) < 1.5 and off_by(score, 2 * c) < 1.5
    assert through.var(0).mean() == pytest.approx(4, rel=0.05)
    assert score.var(0).mean() == pytest.approx(52 * 54 + 4 * 52 / 50 + 2 * 52 + 1 - 4 / 50, rel=0.05)
    through, score = L.two_gradients(lambda z: torch.sin(8 * z[:, 0]), torch.zeros(1).double(), 40_000)
    assert through.var() > 20 * score.var()


def test_the_best_axis_parallel_cloud_loses_what_the_derivation_says():
    P = torch.linalg.inv(L.C)
    best = MultivariateNormal(L.posterior.mean, torch.diag(1 / P.diagonal()))
    lost = L.log_px - L.toy_elbo(best)
    assert lost == pytest.approx(0.5 * (P.diagonal().prod() / torch.det(P)).log().item(), abs=1e-6)
    for factor in (0.9, 1.1):
        other = MultivariateNormal(L.posterior.mean, factor * torch.diag(1 / P.diagonal()))
        assert L.log_px - L.toy_elbo(other) > lost


def test_rate_splits_into_information_and_mismatch():
    torch.manual_seed(0)
    mean, log_var = 3 * torch.randn(400, 2), -4 + torch.randn(400, 2)
    rate, information, mismatch = L.split_of_rate(mean, log_var)
    torch.testing.assert_close(rate, information + mismatch)
    closed = solutions.kl_to_prior(mean, log_var).sum(1).double()
    assert abs((rate - closed).mean()) < 4 * (rate - closed).std() / 20
    same = L.split_of_rate(torch.ones(400, 2), torch.zeros(400, 2))[1]
    assert same.abs().max() < 1e-9  # clouds that are all alike say nothing
    apart = L.split_of_rate(torch.arange(400.0)[:, None].expand(400, 2), torch.full((400, 2), -6.0))[1]
    assert apart.mean() == pytest.approx(math.log(400), abs=1e-6)  # clouds that never touch say everything


def test_the_best_tau_is_the_root_mean_squared_residual():
    torch.manual_seed(0)
    points = cu.pinwheel(500)
    model = L.VectorVAE(2, 2).requires_grad_(False)
    mean, log_var = model.encode(points)
    draws = [solutions.reparameterise(mean, log_var, torch.randn_like(mean)) for _ in range(40)]
    residual = torch.stack([(model.decode(z) - points).square().mean() for z in draws]).mean().sqrt()
    found = {}
    for factor in (0.7, 1.0, 1.4):
        model.log_tau.copy_((factor * residual).log())
        found[factor] = L.validate(model, L.gaussian_loss, points)["loss"]
    assert found[1.0] < min(found[0.7], found[1.4])


# --- the networks
# -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("labels", [0, 10])
def test_the_loss_reaches_every_weight(labels):
    torch.manual_seed(0)
    model = moved(4, 8, labels)
    x, y = torch.rand(6, 1, 28, 28), torch.arange(6) if labels else None
    L.vae_loss(model, x, y)["loss"].backward()
    assert not [
        name for name, weight in model.named_parameters() if weight.grad is None or not weight.grad.any()
    ]


def test_the_loss_is_minus_the_elbo_in_nats():
    torch.manual_seed(0)
    model, x = moved(4, 8), torch.rand(16, 1, 28, 28).round()  # binary: bernoulli leaves it as it is
    found = L.vae_loss(model, x, beta=2.0)
    mean, log_var = model.encode(x)
    rate = (
        kl_divergence(Normal(mean, (0.5 * log_var).exp()), Normal(torch.zeros_like(mean), 1.0)).sum(1).mean()
    )
    torch.testing.assert_close(found["rate"], rate)
    torch.testing.assert_close(found["loss"], found["distortion"] + 2 * rate)
    q = Normal(mean, (0.5 * log_var).exp())
    bills = []
    with torch.no_grad():
        for _ in range(400):
            z = q.sample()
            bce = F.binary_cross_entropy_with_logits(model.decode(z), x, reduction="none").flatten(1).sum(1)
            bills.append(bce + q.log_prob(z).sum(1) - Normal(0.0, 1.0).log_prob(z).sum(1))
    minus_elbo = torch.stack(bills).mean().item()
    assert minus_elbo == pytest.approx((found["distortion"] + rate).item(), rel=0.01)


def test_eight_images_can_be_learned_by_heart():
    torch.manual_seed(0)
    x = cu.mnist().train[:8].float().round()
    model = L.VAE(8, 8)
    opt = torch.optim.Adam(model.parameters(), 3e-3)
    losses = []
    for _ in range(150):
        opt.zero_grad()
        losses.append(L.vae_loss(model, x)["loss"])
        losses[-1].backward()
        opt.step()
    assert losses[-1] < 0.2 * losses[0]


def test_a_mean_over_pixels_is_a_hidden_beta_of_784():
    torch.manual_seed(0)
    model, x = moved(16, 8), torch.rand(8, 1, 28, 28)
    torch.manual_seed(1)
    careless = solutions.careless_loss(*L.vae_terms(model, x))
    torch.manual_seed(1)
    honest = L.vae_loss(model, x, beta=784)["loss"]
    torch.testing.assert_close(784 * careless, honest, rtol=1e-4, atol=1e-3)


def test_a_family_starts_alike_and_shares_no_weight():
    models = L.family(L.BETAS, lambda: L.VAE(4, 8))
    first, second = (list(models[name].parameters()) for name in ("quarter", "ten"))
    assert all(torch.equal(a, b) and a is not b for a, b in zip(first, second))
    L.family_loss(models, torch.rand(4, 1, 28, 28)).backward()
    assert any(not torch.equal(a.grad, b.grad) for a, b in zip(first, second))


def test_the_sampler_draws_from_the_model(vae):
    z, x = solutions.ancestral(vae.decode, 300, 32, torch.Generator().manual_seed(0))
    means = L.paint(vae, z)
    assert set(x.unique().tolist()) == {0.0, 1.0}
    spread = (means * (1 - means)).sum().sqrt()
    assert abs((x[:, 0] - means).sum()) < 5 * spread
    assert F.mse_loss(x[:, 0], means) == pytest.approx((means * (1 - means)).mean().item(), rel=0.02)


# --- the shipped runs
# -------------------------------------------------------------------------------------------------


def test_the_shipped_vae_matches_its_card(vae):
    run = runs.load("04_vae")
    found = L.validate(vae, L.vae_loss, cu.mnist().val.float())["loss"]
    figure = run.card["figures"]["minus ELBO, validation"]
    assert found == pytest.approx(figure["value"], abs=figure["tolerance"])
    assert run.figure("IW-500, 10,000 test images") <= 83.96
    path = [run.figure(f"IW-{S}, 10,000 test images") for S in (1, 5, 50, 500)]
    assert path == sorted(path, reverse=True)


def test_the_arena_holds_draws_and_means_of_the_same_latents():
    draws, means = runs.load("04_vae"), runs.load("04_vae_means")
    assert draws.card["samples"] == {"kind": "draws", "n": 1_000}
    assert means.card["samples"] == {"kind": "decoder means", "n": 1_000}
    ink, mean = torch.from_numpy(draws.samples).float() / 255, torch.from_numpy(means.samples).float() / 255
    assert set(draws.samples.ravel().tolist()) == {0, 255}
    spread = (mean * (1 - mean)).sum().sqrt()
    assert abs((ink - mean).sum()) < 5 * spread  # each pixel a coin with the mean's chance
    assert (F.mse_loss(ink, mean) / (mean * (1 - mean)).mean()).item() == pytest.approx(1, abs=0.05)
    frames, steps = draws.replay
    assert frames.shape[1:] == (25, 28, 28) and len(frames) == len(steps) >= 10


@pytest.mark.parametrize(
    "name, part",
    [("04_vae", "draws"), ("04_vae_means", "means"), ("04_vae_mixture", "mixture, means")],
)
def test_the_shipped_samples_score_as_their_card_says(name, part):
    run = runs.load(name)
    samples = torch.from_numpy(run.samples)
    assert len(samples) == 1_000
    figure = run.card["figures"]["Fréchet distance"]
    features = metrics.features(samples)  # once, for both references
    of_features = metrics.moments(features)
    distance = metrics.gaussian_frechet(*of_features, *metrics.moments(metrics.test_features()[:5_000]))
    assert distance == pytest.approx(figure["value"], abs=figure["tolerance"])
    card = L.from_card(run, part)
    assert card.sets == 5 and card.reference == "validation"
    found = metrics.gaussian_frechet(*of_features, *metrics.moments(metrics.validation_features()))
    assert abs(found - card.distance) < 5 * card.distance_spread


def test_a_mixture_on_the_codes_beats_the_prior_by_the_cards():
    found = {name: L.from_card(runs.load(run), part) for name, (run, part) in L.CARDS.items()}
    prior, mixture = found["VAE, N(0, I), means"], found["VAE, mixture, means"]
    assert mixture.distance + 5 * mixture.distance_spread < prior.distance - 5 * prior.distance_spread
    assert mixture.kid < prior.kid


def test_the_mixtures_samples_come_from_the_vae(vae):
    """Each of them is a decoder mean: refined from its own code the decoder paints it again."""
    target = torch.from_numpy(runs.load("04_vae_mixture").samples[:4]).float()[:, None] / 255
    z = vae.encode(target)[0].clone().requires_grad_()
    opt = torch.optim.Adam([z], lr=0.05)
    for _ in range(120):
        opt.zero_grad()
        error = (vae.decode(z).sigmoid() - target).square().flatten(1).sum(1)
        error.sum().backward()
        opt.step()
    stranger = torch.from_numpy(runs.load("04_vae").samples[:4]).float()[:, None] / 255
    far = (vae.decode(vae.encode(stranger)[0]).sigmoid() - stranger).square().flatten(1).sum(1)
    assert error.max() < 0.2 * far.min()


def test_the_four_prices_match_their_card():
    val = cu.mnist().val[:2_000].float()
    by_beta = L.family(L.BETAS, lambda: L.VAE(latent=16, width=8))
    card = runs.restore("04_beta", by_beta)
    rates = []
    for name, model in by_beta.items():
        found = L.validate(model, L.vae_loss, val)
        rates.append(found["rate"])
        for term in ("rate", "distortion"):
            assert found[term] == pytest.approx(card.figure(f"{term}, {name}"), abs=2.0)
    assert rates == sorted(rates, reverse=True)


def test_the_conditional_model_obeys_and_its_size_is_small():
    model = L.VAE(latent=16, labels=10)
    runs.restore("04_conditional", model)
    torch.manual_seed(0)
    with torch.no_grad():
        images = solutions.every_label(lambda z, y: model.decode(z, y).sigmoid(), torch.randn(40, 16), 10)
    said = metrics.classifier()(images.flatten(0, 1).to(cu.device())).argmax(1).cpu().view(40, 10)
    assert (said == torch.arange(10)).float().mean() > 0.8
    weights = [run.path / "weights.safetensors" for run in runs.available() if run.name.startswith("04_")]
    assert sum(path.stat().st_size for path in weights if path.is_file()) <= 4e6
