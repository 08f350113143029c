"""Lesson 04: closed forms against torch.distributions and exact toys, causality, exact chains, the shipped
runs."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.distributions import MultivariateNormal, Normal, kl_divergence

import course_utils as cu
from course_utils import metrics, runs
from tests.lessons.lesson_functions import load

solutions = load(
    "04", "kl_to_prior", "reparameterise", "rate_and_distortion", "every_label", "importance_bound"
)
checked = {
    "checked_kl": solutions.kl_to_prior,
    "checked_sample": solutions.reparameterise,
    "checked_elbo": solutions.rate_and_distortion,
    "checked_labels": solutions.every_label,
    "checked_bound": solutions.importance_bound,
    "device": torch.device("cpu"),
}
NAMES = """
W s2 x_toy eye toy_prior C posterior toy_density log_px toy_elbo share_in_holes two_gradients off_by VectorVAE
gaussian_loss split_of_rate Residual shrink grow VAE vae_loss validate paint encode BETAS add_up family_loss
family HABITS careless_loss log_normal log_bernoulli weigh bounds refine MaskedConv NeighbourVAE FREE_BITS
stubborn_loss pair_loss sweep vae_chain complete mixture_mean HELD_OUT without_loss bumps
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


def test_both_gradient_estimators_are_unbiased_and_differ_in_noise():
    torch.manual_seed(0)
    c = torch.full((50,), 50**-0.5).double()
    through, score = L.two_gradients(lambda z: z.square().sum(1), c, 40_000)
    assert L.off_by(through, 2 * c) < 1.5 and L.off_by(score, 2 * c) < 1.5
    assert through.var(0).mean() == pytest.approx(4, rel=0.05)
    assert score.var(0).mean() == pytest.approx(52 * 54 + 4 * 52 / 50 + 2 * 52 + 1 - 4 / 50, rel=0.05)
    through, score = L.two_gradients(lambda z: torch.sin(8 * z[:, 0]), torch.zeros(1).double(), 40_000)
    assert through.var() > 20 * score.var()


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


def test_the_importance_bound_is_exact_with_the_posterior_and_rises_otherwise():
    torch.manual_seed(0)
    for q, exact in ((L.posterior, True), (MultivariateNormal(L.posterior.mean, 0.5 * L.eye), False)):
        z = q.sample((64_000,))
        joint = Normal(z @ L.W.T, L.s2**0.5).log_prob(L.x_toy).sum(1) + L.toy_prior.log_prob(z)
        found = [
            solutions.importance_bound(joint.view(S, -1), q.log_prob(z).view(S, -1)).mean().item()
            for S in (1, 4, 64)
        ]
        assert found[-1] == pytest.approx(L.log_px, abs=1e-6 if exact else 0.02)
        assert exact or found[0] < found[1] - 0.02 < found[2] - 0.03


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
    joint, q = L.weigh(model, x, 400)
    assert (q - joint).mean().item() == pytest.approx((found["distortion"] + rate).item(), rel=0.01)


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


def test_means_instead_of_sums_are_a_hidden_beta():
    torch.manual_seed(0)
    model, x = moved(16, 8), torch.rand(8, 1, 28, 28)
    for name, factor, beta in (("sums", 1, 1), ("mean over pixels", 784, 784), ("means over both", 784, 49)):
        torch.manual_seed(1)
        careless = L.careless_loss(nn.ModuleDict({name: model}), x)["loss"]
        torch.manual_seed(1)
        torch.testing.assert_close(
            factor * careless, L.vae_loss(model, x, beta=beta)["loss"], rtol=1e-4, atol=1e-3
        )


def test_a_family_starts_alike_and_shares_no_weight():
    models = L.family(["quarter", "ten"], lambda: L.VAE(4, 8))
    first, second = (list(model.parameters()) for model in models.values())
    assert all(torch.equal(a, b) and a is not b for a, b in zip(first, second))
    L.family_loss(models, torch.rand(4, 1, 28, 28))["loss"].backward()
    assert any(not torch.equal(a.grad, b.grad) for a, b in zip(first, second))


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
        values.append(L.stubborn_loss(model, x, free_bits=50.0, beta=beta)["loss"])
    torch.testing.assert_close(values[1] - values[0], torch.tensor(3.0 * 8 * 50), rtol=1e-3, atol=0.1)


def test_each_ignorant_model_never_sees_its_digit():
    seen = {}
    models = nn.ModuleDict({name: nn.Linear(1, 1) for name in L.HELD_OUT})

    def loss(model, x):
        seen[model] = x.flatten().tolist()
        return {"loss": model(x).sum()}

    y = torch.arange(10)
    L.without_loss(models, y.float()[:, None], y, loss)
    assert {name: sorted(set(range(10)) - set(map(int, seen[m]))) for name, m in models.items()} == {
        "without 8": [8],
        "without 1": [1],
    }


# --- chains
# -----------------------------------------------------------------------------------------------------------


def test_metropolis_makes_the_chain_exact_and_pseudo_gibbs_is_not():
    W, s2, C = L.W, L.s2, L.C
    chain = {
        "encoder": lambda x: (0.7 * x @ (C @ W.T / s2).T, (2 * C.diagonal()).log().expand(len(x), 2)),
        "log_joint": lambda x, z: (
            L.log_normal(z) + L.log_normal(x, z @ W.T, torch.full((3,), s2).double().log())
        ),
        "draw": lambda z: z @ W.T + s2**0.5 * torch.randn(len(z), 3).double(),
    }
    joint = W @ W.T + s2 * torch.eye(3).double()
    gain = torch.linalg.solve(joint[:2, :2], joint[:2, 2])
    mean, std = gain @ L.x_toy[:2], (joint[2, 2] - gain @ joint[:2, 2]).sqrt()
    found = {}
    for exact in (False, True):
        torch.manual_seed(0)
        x, z = L.x_toy.repeat(8_000, 1), torch.zeros(8_000, 2).double()
        for _ in range(80):
            x, z, _ = L.sweep(x, z, torch.tensor([False, False, True]), **chain, exact=exact)
        assert torch.equal(x[:, :2], L.x_toy[:2].expand(8_000, 2))
        found[exact] = x[:, 2].mean(), x[:, 2].std()
    assert abs(found[True][0] - mean) < 0.05 and abs(found[True][1] - std) < 0.05
    assert abs(found[False][0] - mean) > 0.2


def test_lesson_02s_conditional_mean_is_that_of_lesson_02():
    other = load(
        "02",
        *("PPCAMixture", "Completion", "complete"),
        checked_latent=load("02", "latent_given_seen").latent_given_seen,
    )
    model = other.PPCAMixture(40, 13)
    runs.restore("02_mixture", model)
    x, seen = cu.mnist().test[:6].flat(), torch.arange(784) % 28 >= 14
    theirs = other.complete(model, x, seen, torch.Generator().manual_seed(0), 0.1).mean
    torch.testing.assert_close(L.mixture_mean(x, seen)[:, ~seen], theirs[:, ~seen], atol=2e-3, rtol=1e-2)


def test_completion_keeps_what_is_seen(vae, binary):
    hidden = (torch.arange(28) < 14).expand(1, 1, 28, 28)
    complete = load(
        "04", "complete", **checked, **vars(L) | {"complete": None}, mean_image=torch.full((1, 28, 28), 0.1)
    ).complete
    _, _, drawn, accepted = complete(vae, binary[:4], hidden, 12, True, warm=6)
    assert torch.equal(drawn[..., 14:], binary[:4, ..., 14:]) and 0 <= accepted <= 1
    assert set(drawn.unique().tolist()) <= {0.0, 1.0}


# --- the shipped runs
# -------------------------------------------------------------------------------------------------


def test_the_shipped_vae_matches_its_card(vae, binary):
    run = runs.load("04_vae")
    torch.manual_seed(0)
    found = L.bounds(vae, binary[:150], (1, 50))
    for S in (1, 50):
        figure = run.card["figures"][f"IW-{S}, 150 test images"]
        assert -found[S].mean().item() == pytest.approx(figure["value"], abs=figure["tolerance"])
    assert run.figure("IW-500, 10,000 test images") <= 87.0
    path = [run.figure(f"IW-{S}, 10,000 test images") for S in (1, 5, 50, 500)]
    assert path == sorted(path, reverse=True)


def test_refining_a_cloud_never_hurts_on_average(vae, binary):
    torch.manual_seed(0)
    x = binary[:6]
    better = L.refine(vae, x, 40)
    before, after = ((lambda j, q: (j - q).mean())(*L.weigh(vae, x, 150, q)) for q in (None, better))
    assert after > before


def test_the_arena_holds_draws_and_means_of_the_same_latents():
    draws, means = runs.load("04_vae"), runs.load("04_vae_means")
    assert draws.card["samples"] == {"kind": "draws", "n": 1_000}
    assert means.card["samples"] == {"kind": "decoder means", "n": 1_000}
    ink, mean = torch.from_numpy(draws.samples).float() / 255, torch.from_numpy(means.samples).float() / 255
    assert set(draws.samples.ravel().tolist()) == {0, 255}
    spread = (mean * (1 - mean)).sum().sqrt()
    assert abs((ink - mean).sum()) < 5 * spread  # each pixel a coin with the mean's chance
    assert (F.mse_loss(ink, mean) / (mean * (1 - mean)).mean()).item() == pytest.approx(1, abs=0.05)
    for run in (draws, means):
        figure = run.card["figures"]["Fréchet distance"]
        found = metrics.quality(torch.from_numpy(run.samples)).distance
        assert found == pytest.approx(figure["value"], abs=figure["tolerance"])
    frames, steps = draws.replay
    assert frames.shape[1:] == (25, 28, 28) and len(frames) == len(steps) >= 10


def test_the_other_runs_match_their_cards():
    val = cu.mnist().val.float()
    by_beta = L.family(L.BETAS, lambda: L.VAE(latent=16, width=8))
    card = runs.restore("04_beta", by_beta)
    found = L.validate(by_beta, L.family_loss, val)
    for key, figure in card.card["figures"].items():
        assert found[key] == pytest.approx(figure["value"], abs=figure["tolerance"])
    rates = [found[f"rate, {name}"] for name in L.BETAS]
    assert rates == sorted(rates, reverse=True)
    pair = L.family(["collapsed", "repaired"], L.NeighbourVAE)
    runs.restore("04_collapse", pair)
    torch.manual_seed(0)
    active = [
        int((L.encode(model, torch.bernoulli(val[:1000]))[0].var(0) > 0.01).sum()) for model in pair.values()
    ]
    assert active[0] == 0 and active[1] == 8


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
