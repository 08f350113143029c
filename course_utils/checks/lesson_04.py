"""Checks of lesson 04: KL to the prior, reparameterisation, the two terms of the ELBO, the sampler, a loss that
hides its β, relabelling."""

import math

import torch
from torch.distributions import Normal, kl_divergence

from course_utils.checks.machinery import call, exercise, expect, expect_close, expect_shape


def _random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _ones(*shape):
    return torch.ones(*shape, dtype=torch.float64)


@exercise(
    "04.kl",
    verified=(
        "zero at the prior and positive elsewhere; one value a latent; agrees with torch.distributions to"
        " 1e-6"
    ),
)
def kl_to_prior(fn):
    zero = torch.zeros(4, 3, dtype=torch.float64)
    out = call(fn, zero, zero)
    if isinstance(out, torch.Tensor) and out.shape in ((), (4,)):
        expect(
            False,
            "return one value for each latent, (B, k): the sum over latents and the batch mean come later.",
        )
    expect_shape(out, (4, 3), "one value for each image and latent.")
    expect_close(
        out, zero, "at mean 0 and log σ² = 0 the cloud is the prior and its KL is 0: is the − 1 there?"
    )
    moved = call(fn, zero + 2, zero)
    expect(
        not torch.allclose(moved, zero + 4) and not torch.allclose(moved, zero - 4),
        "a centre at 2 with σ = 1 costs ½·2² = 2 nats, not 4: the factor ½ stands before the whole bracket.",
    )
    expect(
        not torch.allclose(moved, zero - 2),
        "your KL is negative where it should be positive: the sign of the whole expression is turned.",
    )
    expect_close(moved, zero + 2, "a centre at 2 with σ = 1 costs ½·2² = 2 nats.")
    wide = call(fn, zero, zero + math.log(4.0))
    linear, half = 0.5 * (2 - 1 - math.log(4.0)), 0.5 * (4 - 1 - math.log(2.0))
    expect(
        not torch.allclose(wide, zero + linear) and not torch.allclose(wide, zero + half),
        "log_var is log σ², the logarithm of the variance: exp(log_var) is σ², and log σ² is log_var itself.",
    )
    as_sigma = 0.5 * (16 - 1 - 2 * math.log(4.0))
    expect(
        not torch.allclose(wide, zero + as_sigma),
        "you treat log_var as log σ; it is log σ², so do not double it.",
    )
    expect_close(
        wide, zero + 0.5 * (3 - math.log(4.0)), "mean 0, σ² = 4 costs ½(4 − 1 − log 4) = 0.807 nats."
    )
    mean, log_var = _random(6, 5, seed=1), _random(6, 5, seed=2)
    truth = kl_divergence(Normal(mean, (0.5 * log_var).exp()), Normal(torch.zeros_like(mean), 1.0))
    expect_close(call(fn, mean, log_var), truth, "it differs from torch.distributions.", atol=1e-6, rtol=1e-6)


@exercise(
    "04.reparameterise",
    verified=(
        "no noise gives the mean; draws have the right mean and variance; gradients reach mean and log_var"
    ),
)
def reparameterise(fn):
    mean, log_var = _random(5, 3, seed=3), _random(5, 3, seed=4)
    still = call(fn, mean, log_var, torch.zeros(5, 3, dtype=torch.float64))
    expect_shape(still, (5, 3), "one draw for each row and latent.")
    expect_close(
        still,
        mean,
        "with ε = 0 the draw is the mean; if it changes from call to call, use eps, not noise of your own.",
    )
    one, zero = _ones(5, 3), torch.zeros(5, 3, dtype=torch.float64)
    out = call(fn, zero, zero + math.log(9.0), one)
    expect(
        not torch.allclose(out, one * 9),
        "with σ² = 9, ε = 1 must move z by σ = 3, not by σ² = 9: σ = exp(½ log σ²).",
    )
    expect(not torch.allclose(out, one * math.log(9.0)), "log_var must be exponentiated: σ = exp(½ log σ²).")
    expect(not torch.allclose(out, one * math.log(3.0)), "½ log σ² is log σ: exponentiate it.")
    expect_close(out, one * 3, "mean 0, σ² = 9 and ε = 1 give z = 3.")
    mu, lv = mean.clone().requires_grad_(), log_var.clone().requires_grad_()
    eps = _random(5, 3, seed=5)
    z = call(fn, mu, lv, eps)
    expect(
        isinstance(z, torch.Tensor) and z.requires_grad,
        "no gradient passes through your sample: no detach, no torch.no_grad, no Normal(...).sample().",
    )
    grads = torch.autograd.grad(z.sum(), (mu, lv), allow_unused=True)
    expect(grads[0] is not None, "no gradient reaches the mean: do not detach it.")
    expect(grads[1] is not None, "no gradient reaches log_var: do not detach σ.")
    expect_close(grads[0], one, "∂z/∂μ is 1.")
    expect_close(grads[1], 0.5 * (0.5 * log_var).exp() * eps, "∂z/∂(log σ²) is ½ σ ε.")


@exercise(
    "04.elbo",
    verified=(
        "sums over pixels and latents, means over the batch; twice the pixels cost twice; −(R + D) is the"
        " ELBO"
    ),
)
def rate_and_distortion(fn):
    log_lik, kl = -_random(6, 1, 4, 5, seed=6).abs(), _random(6, 3, seed=7).abs()
    pair = call(fn, log_lik, kl)
    expect(
        isinstance(pair, (tuple, list)) and len(pair) == 2,
        "return two scalars: the rate R, then the distortion D.",
    )
    rate, distortion = pair
    expect_shape(rate, (), "the rate is one number: a sum over latents, then a mean over the batch.")
    expect_shape(
        distortion, (), "the distortion is one number: a sum over pixels, then a mean over the batch."
    )
    true_rate, true_distortion = kl.sum(1).mean(), -log_lik.flatten(1).sum(1).mean()
    expect(
        not torch.allclose(rate, true_distortion),
        "the two are in the wrong order: first the rate (the KL), then the distortion.",
    )
    expect(
        not torch.allclose(distortion, -true_distortion),
        "the distortion is MINUS the log-likelihood: it should be positive here.",
    )
    expect(
        not torch.allclose(distortion, true_distortion / 20),
        "you average over the pixels too: that is a hidden β of 784. Sum over pixels, average over the"
        " batch.",
    )
    expect(
        not torch.allclose(rate, true_rate / 3),
        "you average the KL over the latents too; sum over latents, average over the batch.",
    )
    expect(
        not torch.allclose(rate, true_rate * 6) and not torch.allclose(distortion, true_distortion * 6),
        "you sum over the batch too: then loss and learning rate depend on the batch size. Take its mean.",
    )
    expect_close(rate, true_rate, "R = mean over the batch of the sum over latents.")
    expect_close(distortion, true_distortion, "D = mean over the batch of minus the sum over all pixels.")
    vectors = call(fn, log_lik.flatten(1), kl)
    expect_close(
        vectors[1], true_distortion, "vectors (B, d) must work like images (B, 1, H, W): flatten first."
    )


@exercise(
    "04.relabel",
    verified="row b, column y is the picture of z_b with label y; decoded in one go; any number of labels",
)
def every_label(fn):
    z = torch.arange(3.0)[:, None] * 10 + torch.tensor([[0.0, 0.5]])  # (3, 2): each row a number of its own
    sizes = []

    def decode(codes, labels):
        """A decoder whose picture says which code and label it got."""
        if labels.dtype != torch.int64 or labels.shape != codes.shape[:1]:
            raise ValueError(
                f"decode got {len(codes)} codes and labels {tuple(labels.shape)} of {labels.dtype}"
            )
        sizes.append(len(codes))
        return (codes[:, :1] + 100 * labels[:, None]).expand(-1, 4).reshape(-1, 1, 2, 2)

    out = call(fn, decode, z, 4)
    if isinstance(out, torch.Tensor) and out.shape == (12, 1, 2, 2):
        expect(False, "give the pictures their own axis for the label: view the 12 pictures as (3, 4, …).")
    expect_shape(out, (3, 4, 1, 2, 2), "(B, n_labels, …): one picture for each latent and label.")
    truth = torch.arange(3.0)[:, None] * 10 + 100 * torch.arange(4.0)
    expect(
        not torch.allclose(out[..., 0, 0, 0], torch.arange(3.0)[:, None].expand(3, 4) * 10 + 0),
        "every picture has label 0: go through all labels 0 … n_labels − 1.",
    )
    got_code, got_label = out[..., 0, 0, 0] % 100, out[..., 0, 0, 0] // 100
    expect(
        torch.equal(got_label, torch.arange(4.0).expand(3, 4)),
        "column y must hold label y: labels 0 1 2 3 0 1 2 3 … go with z₀ z₀ z₀ z₀ z₁ …; repeat and "
        "repeat_interleave are mixed up, or the reshape is.",
    )
    expect(
        torch.equal(got_code, torch.arange(3.0)[:, None].expand(3, 4) * 10),
        "each row must keep ONE latent: repeat_interleave z, repeat the labels.",
    )
    expect_close(out[..., 0, 0, 0], truth, "row b, column y must be the picture of z_b with label y.")
    expect_shape(call(fn, decode, z, 7), (3, 7, 1, 2, 2), "is a number of labels fixed to 10?")


@exercise(
    "04.ancestral",
    verified=(
        "the latents are N(0, I); each pixel is a coin of its own with the decoder's chance; the same"
        " generator, the same images"
    ),
)
def ancestral(fn):
    def decode(z):
        """Logits of (n, 1, 2, 2) pixels: 0 and 2 everywhere, −∞ and ∞, and the sign of the first latent."""
        fixed = torch.tensor([0.0, 2.0, -60.0]).expand(len(z), 3)
        return torch.cat([fixed, 60 * z[:, :1].sign()], 1).view(-1, 1, 2, 2)

    def run(seed=0, n=4_000):
        return call(fn, decode, n, 3, torch.Generator().manual_seed(seed))

    pair = run()
    expect(
        isinstance(pair, (tuple, list)) and len(pair) == 2,
        "return two things: the latents z, then the pixels.",
    )
    z, x = pair
    expect_shape(z, (4_000, 3), "n latents of k numbers each come first.")
    expect_shape(x, (4_000, 1, 2, 2), "the pixels have the shape of decode(z).")
    centre, width = z.mean().item(), z.std().item()
    expect(
        abs(centre) < 0.1,
        f"the latents have mean {centre:.2f}; p(z) is N(0, I), so draw them with torch.randn, not rand.",
    )
    expect(abs(width - 1) < 0.05, f"the latents have standard deviation {width:.2f}; p(z) is N(0, I).")
    expect(
        bool(((x == 0) | (x == 1)).all()),
        "these are chances or logits, not pixels: toss a coin for each with torch.bernoulli.",
    )
    share = x.double().mean(0).flatten()
    expect(
        0.4 < share[0] < 0.6,
        f"a pixel with logit 0 should be inked in half of the images, yours is in {share[0]:.0%}: a coin, not"
        " a threshold, and sigmoid of the logit, not the logit.",
    )
    chance = torch.tensor(2.0).sigmoid().item()
    expect(
        abs(share[1] - chance) < 0.03,
        f"a pixel with logit 2 has the chance sigmoid(2) = {chance:.2f}, yours is inked in {share[1]:.2f}.",
    )
    expect(
        torch.equal(x[:, 0, 1, 1] > 0, z[:, 0] > 0),
        "the pixels must come from the latents that you return: decode THE SAME z.",
    )
    both = (x[:, 0, 0, 0] * x[:, 0, 0, 1]).double().mean().item()
    expect(
        abs(both - 0.5 * chance) < 0.04,
        "two pixels of one image rise and fall together: given z each pixel has a coin of its own.",
    )
    expect(
        torch.equal(run()[0], z) and torch.equal(run()[1], x),
        "the same generator must give the same images: pass generator=generator to both draws.",
    )


@exercise(
    "04.careless",
    verified="the loss falls with both arrays, and hides a β as large as the number of pixels: the code dies",
)
def careless_loss(fn):
    def price(pixels, latents, batch=6):
        """What one nat of rate costs, in nats of distortion, by the gradients of the loss."""
        log_lik = -_random(batch, 1, pixels // 4, 4, seed=16).abs()
        kl = _random(batch, latents, seed=17).abs()
        log_lik.requires_grad_()
        kl.requires_grad_()
        out = call(fn, log_lik, kl)
        expect_shape(out, (), "the loss is one number.")
        expect(out.requires_grad, "no gradient passes through your loss: no detach, no .item().")
        grads = torch.autograd.grad(out, (log_lik, kl), allow_unused=True)
        expect(
            all(grad is not None and grad.abs().sum() > 0 for grad in grads),
            "both terms belong into the loss: the pixels' and the KL.",
        )
        expect(
            grads[0].mean() < 0 and grads[1].mean() > 0,
            "a better picture must lower the loss and a dearer code raise it: check the signs.",
        )
        return (grads[1].mean() / -grads[0].mean()).item()

    first, second = price(20, 3), price(40, 3)
    expect(
        abs(first - 1) > 1e-6,
        "this is the honest loss, β = 1: nothing dies. Average over the pixels, too.",
    )
    expect(
        abs(first - second) > 1e-6 or first <= 1,
        f"your β is {first:g} whatever the number of pixels: a factor that everyone can see. The slip is an"
        " average.",
    )
    expect(
        first > 1,
        f"your β is {first:.2g}: it makes codes cheaper, and nothing dies. Average the pixels, not the KL.",
    )
    expect(
        abs(first - 20 / 3) > 1e-4,
        "you averaged over the latents too: β is pixels / latents. Leave the KL as it was.",
    )
    expect(
        abs(first - 20) < 1e-4 and abs(second - 40) < 1e-4,
        f"with 20 pixels the hidden β should be 20, yours is {first:.3g}.",
    )
