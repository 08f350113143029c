"""Lesson 04b: the importance bound on an exact toy, causality, free bits, exact chains, the shipped runs."""

import math

import pytest
import torch
from torch import nn
from torch.distributions import MultivariateNormal, Normal

import course_utils as cu
from course_utils import runs
from course_utils.lessons import lesson_04
from tests.lessons.lesson_functions import load

EXERCISES = "importance_bound naive_bound charged_rate amortised_share log_acceptance"
solutions = load("04b", *EXERCISES.split())
checked = {
    "checked_bound": solutions.importance_bound,
    "checked_charge": solutions.charged_rate,
    "checked_acceptance": solutions.log_acceptance,
    "device": torch.device("cpu"),
}
NAMES = """
log_normal log_bernoulli weigh bounds refine MaskedConv NeighbourVAE FREE stubborn_loss pair_loss start_loss sweep
bad_encoder toy_log_joint toy_draw vae_chain complete mixture_mean HELD_OUT without_loss auroc
"""
L = load("04b", *NAMES.split(), **checked, mean_image=torch.full((1, 28, 28), 0.1))


@pytest.fixture(scope="module")
def vae():
    model = lesson_04.VAE(latent=32)
    runs.restore("04_vae", model)
    return model.requires_grad_(False)


@pytest.fixture(scope="module")
def binary():
    return torch.bernoulli(cu.mnist().test[:1000].float(), generator=torch.Generator().manual_seed(4))


# --- the bound
# ---------------------------------------------------------------------------------------------------------


def test_the_importance_bound_is_exact_with_the_posterior_and_rises_otherwise():
    torch.manual_seed(0)
    for q, exact in (
        (lesson_04.posterior, True),
        (MultivariateNormal(lesson_04.posterior.mean, 0.5 * lesson_04.eye), False),
    ):
        z = q.sample((64_000,))
        joint = Normal(z @ lesson_04.W.T, lesson_04.tau2**0.5).log_prob(lesson_04.x_toy).sum(
            1
        ) + lesson_04.toy_prior.log_prob(z)
        found = [
            solutions.importance_bound(joint.view(S, -1), q.log_prob(z).view(S, -1)).mean().item()
            for S in (1, 4, 64)
        ]
        assert found[-1] == pytest.approx(lesson_04.log_px, abs=1e-6 if exact else 0.02)
        assert exact or found[0] < found[1] - 0.02 < found[2] - 0.03


def test_the_bounds_from_one_set_of_draws_are_means_over_its_groups():
    torch.manual_seed(0)
    joint, q = torch.randn(2, 12, 5)
    found = L.bounds(joint, q, (1, 4, 12))
    torch.testing.assert_close(found[1], (joint - q).mean(0))
    torch.testing.assert_close(found[12], (joint - q).logsumexp(0) - math.log(12))
    groups = [(joint - q)[i : i + 4].logsumexp(0) - math.log(4) for i in (0, 4, 8)]
    torch.testing.assert_close(found[4], sum(groups) / 3)


def test_the_shipped_vae_has_the_bounds_of_its_card(vae, binary):
    run = runs.load("04_vae")
    torch.manual_seed(0)
    found = L.bounds(*L.weigh(vae, binary[:150], 50), (1, 50))
    for S in (1, 50):
        figure = run.card["figures"][f"IW-{S}, 150 test images"]
        assert -found[S].mean().item() == pytest.approx(figure["value"], abs=figure["tolerance"])


def test_the_naive_formula_underflows_where_the_other_does_not(vae, binary):
    torch.manual_seed(0)
    joint, q = L.weigh(vae, binary[:10], 20)
    assert torch.isfinite(solutions.importance_bound(joint, q)).all()
    weights = (joint - q).double()
    torch.testing.assert_close(
        solutions.naive_bound(weights, torch.zeros_like(weights)),
        solutions.importance_bound(weights, 0 * weights),
    )
    assert solutions.naive_bound(joint.float() - 1_000, q.float()).isinf().all()


def test_refining_a_cloud_never_hurts_on_average(vae, binary):
    torch.manual_seed(0)
    x = binary[:6]
    better = L.refine(vae, x, 40)
    before, after = ((lambda j, q: (j - q).mean())(*L.weigh(vae, x, 150, q)) for q in (None, better))
    assert after > before


# --- collapse
# ----------------------------------------------------------------------------------------------------------


def test_masked_convolutions_see_only_pixels_before():
    torch.manual_seed(0)
    model = L.NeighbourVAE()
    x = torch.rand(1, 1, 28, 28, requires_grad=True)
    for row, column in ((5, 7), (20, 0), (13, 27)):
        (seen,) = torch.autograd.grad(model.neighbours(x)[0, 0, row, column], x)
        before = torch.arange(784).view(28, 28) < row * 28 + column
        assert seen[0, 0][before].any() and not seen[0, 0][~before].any()


def test_free_bits_charge_nothing_below_the_limit():
    torch.manual_seed(0)
    model, x = L.NeighbourVAE(), torch.rand(6, 1, 28, 28).round()
    values = []
    for beta in (0.0, 3.0):
        torch.manual_seed(1)
        values.append(L.stubborn_loss(model, x, free=50.0, beta=beta)["loss"])
    torch.testing.assert_close(values[1] - values[0], torch.tensor(3.0 * 8 * 50), rtol=1e-3, atol=0.1)


def test_a_silent_code_pays_only_where_the_variance_exceeds_the_noise():
    """Section 5: the slope of minus the log-likelihood in a² at a = 0 is (1 − v / τ²) / 2τ²."""
    for v, tau2 in ((1.0, 0.5), (1.0, 1.0), (1.0, 2.0)):
        squared = torch.tensor(0.0, dtype=torch.float64, requires_grad=True)
        minus = 0.5 * (squared + tau2).log() + v / (2 * (squared + tau2))
        (slope,) = torch.autograd.grad(minus, squared)
        assert slope.item() == pytest.approx((1 - v / tau2) / (2 * tau2))


def test_each_ignorant_model_never_sees_its_digit():
    seen = {}
    models = nn.ModuleDict({name: nn.Linear(1, 1) for name in L.HELD_OUT})

    def loss(model, x):
        seen[model] = x.flatten().tolist()
        return {"loss": model(x).sum()}

    y = torch.arange(10)
    L_without = load("04b", "without_loss", HELD_OUT=L.HELD_OUT).without_loss
    L_without.__globals__["vae_loss"] = loss
    L_without(models, y.float()[:, None], y)
    assert {name: sorted(set(range(10)) - set(map(int, seen[m]))) for name, m in models.items()} == {
        "without 8": [8],
        "without 1": [1],
    }


# --- chains
# -----------------------------------------------------------------------------------------------------------


def test_metropolis_makes_the_chain_exact_and_pseudo_gibbs_is_not():
    W, s2 = lesson_04.W, lesson_04.tau2
    chain = {"encoder": L.bad_encoder, "log_joint": L.toy_log_joint, "draw": L.toy_draw}
    joint = W @ W.T + s2 * torch.eye(3).double()
    gain = torch.linalg.solve(joint[:2, :2], joint[:2, 2])
    mean, std = gain @ lesson_04.x_toy[:2], (joint[2, 2] - gain @ joint[:2, 2]).sqrt()
    found = {}
    for exact in (False, True):
        torch.manual_seed(0)
        x, z = lesson_04.x_toy.repeat(8_000, 1), torch.zeros(8_000, 2).double()
        for _ in range(80):
            x, z, _ = L.sweep(x, z, torch.tensor([False, False, True]), **chain, exact=exact)
        assert torch.equal(x[:, :2], lesson_04.x_toy[:2].expand(8_000, 2))
        found[exact] = x[:, 2].mean(), x[:, 2].std()
    assert abs(found[True][0] - mean) < 0.05 and abs(found[True][1] - std) < 0.05
    assert abs(found[False][0] - mean) > 0.2


def test_lesson_02bs_conditional_mean_is_that_of_lesson_02b():
    other = load(
        "02b",
        *("PPCAMixture", "Completion", "complete"),
        checked_latent=load("02b", "latent_given_seen").latent_given_seen,
        checked_paint=load("02b", "paint").paint,
    )
    model = other.PPCAMixture(40, 13)
    runs.restore("02_mixture", model)
    x, seen = cu.mnist().test[:6].flat(), torch.arange(784) % 28 >= 14
    theirs = other.complete(model, x, seen, torch.Generator().manual_seed(0), 0.1).mean
    torch.testing.assert_close(
        L.mixture_mean(x, seen).flatten(1)[:, ~seen], theirs[:, ~seen], atol=2e-3, rtol=1e-2
    )


def test_completion_keeps_what_is_seen(vae, binary):
    hidden = (torch.arange(28) < 14).expand(1, 1, 28, 28)
    torch.manual_seed(0)
    decoded, drawn, accepted = L.complete(vae, binary[:4], hidden, 12, True, warm=6, copies=2)
    assert decoded.shape == (6, 8, 1, 28, 28)
    assert torch.equal(drawn[..., 14:], binary[:4, ..., 14:].repeat(2, 1, 1, 1)) and 0 <= accepted <= 1
    assert set(drawn.unique().tolist()) <= {0.0, 1.0}


# --- the shipped runs
# --------------------------------------------------------------------------------------------------


def test_one_model_has_collapsed_and_the_other_has_not():
    val = cu.mnist().val[:1000].float()
    pair = lesson_04.family(L.FREE, L.NeighbourVAE)
    card = runs.restore("04_collapse", pair)
    torch.manual_seed(0)
    active = []
    for name, model in pair.items():
        mean, log_var = lesson_04.encode(model, torch.bernoulli(val))
        active.append(int((lesson_04.checked_kl(mean, log_var).mean(0) > 0.01).sum()))
        found = lesson_04.validate(model, L.stubborn_loss, val)
        assert found["rate"] == pytest.approx(card.figure(f"rate, {name}"), abs=0.5)
        assert found["distortion"] == pytest.approx(card.figure(f"distortion, {name}"), abs=3.0)
    assert active == [0, 8]


def test_the_ignorant_models_match_their_card():
    digits = cu.mnist().val
    models = lesson_04.family(L.HELD_OUT, lambda: lesson_04.VAE(latent=16, width=8))
    card = runs.restore("04_without", models)
    for name, digit in L.HELD_OUT.items():
        known = digits.float()[digits.y != digit][:1500]
        found = lesson_04.validate(models[name], lesson_04.vae_loss, known)["loss"]
        assert found == pytest.approx(card.figure(f"minus ELBO, validation {name}"), abs=3.0)
