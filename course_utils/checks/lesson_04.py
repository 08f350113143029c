"""Checks of lesson 04: KL to the prior, reparameterisation, the two terms of the ELBO, the sampler, a loss that
hides its β, relabelling."""

import torch
from torch.distributions import Normal, kl_divergence

from course_utils.checks.coins import expect_coins, expect_generator_alone, expect_prior
from course_utils.checks.kl import mistaken_kl, mistaken_terms
from course_utils.checks.machinery import (
    call,
    exercise,
    expect,
    expect_any_device,
    expect_close,
    expect_gradient,
    expect_like,
    expect_shape,
)
from course_utils.checks.mistakes import expect_none_of, explained


def _random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _gradients(out, *inputs):
    """The gradients of the sum of `out` in each input; zeros where it does not depend on one."""
    found = torch.autograd.grad(out.sum(), inputs, allow_unused=True)
    return [torch.zeros_like(x) if grad is None else grad for x, grad in zip(inputs, found)]


@exercise(
    "04.kl",
    verified=(
        "one value a latent; agrees with torch.distributions to 1e-6, in single precision for log σ² from −80"
        " to 20, too; the gradients reach mean and log_var"
    ),
)
def kl_to_prior(fn):
    mean, log_var = _random(6, 5, seed=1), 0.3 + _random(6, 5, seed=2)
    out = call(fn, mean, log_var)
    if isinstance(out, torch.Tensor) and out.ndim < 2:
        expect(
            False,
            "return one value for each latent, (B, k): the sum over latents and the batch mean come later.",
        )
    expect_shape(out, (6, 5), "one value for each image and latent.")
    expect(
        not out.isnan().any(),
        "some values are not numbers: log_var is already a logarithm, and may be negative; take none of it.",
    )
    expect_none_of(out, mistaken_kl(mean, log_var))
    truth = kl_divergence(Normal(mean, (0.5 * log_var).exp()), Normal(torch.zeros_like(mean), 1.0))
    expect_close(out, truth, "it differs from torch.distributions.", atol=1e-6, rtol=1e-6)
    expect_like(out, mean)
    for extreme, slip in ((20.0, "no clamp."), (-80.0, "no clamp, and nothing added inside a logarithm.")):
        mean, log_var = torch.tensor([[0.5, -1.0]]), torch.tensor([[extreme, 1.0]])
        out, exact = call(fn, mean, log_var), log_var.double()
        expect_close(
            out,
            0.5 * (mean.double().square() + exact.exp() - 1 - exact),
            f"log_var may be any number, and at {extreme:g} yours is wrong: {slip}",
        )
    zero = torch.zeros(2, 3, dtype=torch.float64)
    expect_close(
        call(fn, zero, zero), zero, "at the prior the KL is exactly 0: no clamp, nothing added.", atol=1e-12
    )
    expect_like(out, mean)
    expect_any_device(fn, mean, log_var)
    _kl_gradient(fn)


def _kl_gradient(fn):
    mean, log_var = _random(2, 3, seed=3).requires_grad_(), _random(2, 3, seed=4).requires_grad_()
    out = call(fn, mean, log_var)
    expect_gradient(
        out,
        mean,
        log_var,
        hint="training follows the gradient of the KL in mean and log_var: no detach, no no_grad, no .item().",
    )
    in_mean, in_log_var = _gradients(call(fn, mean, log_var), mean, log_var)
    expect_close(in_mean, mean, "the derivative in the mean is the mean: is a part of it detached?")
    expect_close(
        in_log_var, 0.5 * (log_var.exp() - 1), "the derivative in log σ² is ½(σ² − 1): is a part detached?"
    )


@exercise(
    "04.reparameterise",
    verified=(
        "no noise gives the mean, noise μ + σε, for log σ² from −40 to 30, too; the gradients in mean and log_var"
        " are 1 and ½σε"
    ),
)
def reparameterise(fn):
    mean, log_var, eps = _random(5, 3, seed=3), _random(5, 3, seed=4), 2 * _random(5, 3, seed=5)
    still = call(fn, mean, log_var, torch.zeros_like(eps))
    expect_shape(still, (5, 3), "one draw for each row and latent.")
    expect(
        torch.equal(still, call(fn, mean, log_var, torch.zeros_like(eps))),
        "with ε = 0 the draw changes from call to call: use eps, not noise of your own.",
    )
    out, sigma = call(fn, mean, log_var, eps), (0.5 * log_var).exp()
    expect(not torch.equal(out, still), "the draw has the same noise whatever eps is: use eps.")
    nine = "with σ² = 9, ε = 1 must move z by σ = 3, not by"
    expect_none_of(
        out,
        {
            f"{nine} σ² = 9: σ = exp(½ log σ²).": mean + log_var.exp() * eps,
            "log_var must be exponentiated: σ = exp(½ log σ²).": mean + log_var * eps,
            "½ log σ² is log σ: exponentiate it.": mean + 0.5 * log_var * eps,
            f"{nine} ½·9: ½ belongs inside the exponential, exp(½ log σ²).": mean + 0.5 * log_var.exp() * eps,
            f"{nine} 1: eps must be multiplied by σ.": mean + eps,
            f"{nine} 1/3: σ is exp(+½ log σ²).": mean + eps / sigma,
            f"{nine} 81: log_var is log σ² already, do not double it.": mean + sigma**4 * eps,
            "the noise enters with a plus, as in (5): its sign matters as soon as you look at one draw.": (
                mean - sigma * eps
            ),
            "σ is exp(½ log σ²); softplus is another way to make a number positive.": (
                mean + torch.nn.functional.softplus(log_var) * eps
            ),
            "the noise multiplies σ only, not the mean: μ + σε.": (mean + sigma) * eps,
            "eps belongs outside of the exponential: exp(½ log σ²) · eps.": mean
            + (0.5 * log_var * eps).exp(),
            "where is the mean? (5) is μ + σε.": sigma * eps,
            "the mean comes without a change; only eps is multiplied by σ.": sigma * (mean + eps),
        },
    )
    expect_close(still, mean, "with ε = 0 the draw is the mean.")
    expect_close(out, mean + sigma * eps, "it should be μ + σε with σ = exp(½ log σ²).")
    far, zero = torch.tensor([[-40.0, 30.0]], dtype=torch.float64), torch.zeros(1, 2, dtype=torch.float64)
    expect_close(
        call(fn, zero, far, zero + 1),
        (0.5 * far).exp(),
        "log_var may be any number, and σ is exp(½ log σ²) at −40 and 30, too: no clamp, nothing added.",
        atol=1e-12,
    )
    expect_like(out, mean)
    expect_like(call(fn, mean.float(), log_var.float(), eps.float()), mean.float())
    expect_any_device(fn, mean, log_var, eps)
    mean.requires_grad_()
    log_var.requires_grad_()
    z = call(fn, mean, log_var, eps)
    expect(
        isinstance(z, torch.Tensor) and z.requires_grad,
        "no gradient passes through your sample: no detach, no torch.no_grad, no Normal(...).sample().",
    )
    grads = torch.autograd.grad(z.sum(), (mean, log_var), allow_unused=True)
    expect(grads[0] is not None, "no gradient reaches the mean: do not detach it.")
    expect(grads[1] is not None, "no gradient reaches log_var: do not detach σ.")
    expect_close(grads[0], torch.ones_like(mean), "∂z/∂μ is 1.")
    expect_close(grads[1], 0.5 * sigma * eps, "∂z/∂(log σ²) is ½ σ ε.")


@exercise(
    "04.elbo",
    verified=(
        "sums over pixels and latents, means over the batch, for images and vectors; −(R + D) is the ELBO;"
        " the gradients reach both"
    ),
)
def rate_and_distortion(fn):
    log_lik, kl = _random(6, 1, 4, 5, seed=6) - 0.4, _random(6, 3, seed=7).abs()
    rate, distortion = _two_scalars(call(fn, log_lik, kl))
    true_rate, true_distortion = kl.sum(1).mean(), -log_lik.flatten(1).sum(1).mean()
    of_rate, of_distortion = mistaken_terms(log_lik, kl)
    expect_none_of(rate, of_rate)
    expect_none_of(distortion, of_distortion)
    expect_close(rate, true_rate, "R = mean over the batch of the sum over latents.")
    expect_close(distortion, true_distortion, "D = mean over the batch of minus the sum over all pixels.")
    with explained("vectors (B, d) must work like images (B, 1, H, W): flatten first."):
        vectors = _two_scalars(call(fn, log_lik.flatten(1), kl))
        expect_close(vectors[1], true_distortion, "D of vectors.")
    dense = _two_scalars(call(fn, -log_lik, kl))
    expect_close(
        dense[1],
        -true_distortion,
        "where log-densities are positive D is negative: no absolute value, no limit at 0.",
    )
    with explained("a batch of one, and one latent, must work, too: no squeeze."):
        narrow = _two_scalars(call(fn, log_lik, kl[:, :1]))
        expect_close(narrow[0], kl[:, 0].mean(), "R with one latent.")
        one = _two_scalars(call(fn, log_lik[:1], kl[:1, :1]))
        expect_close(
            torch.stack(list(one)), torch.stack([kl[0, 0], -log_lik[0].sum()]), "R and D of one image."
        )
    for part, given in zip(call(fn, log_lik.float(), kl.float()), (kl.float(), log_lik.float())):
        expect_like(part, given)
    expect_any_device(fn, log_lik, kl)
    _elbo_gradients(fn, log_lik, kl)


def _two_scalars(pair):
    """The rate and the distortion, if `pair` is two numbers in torch."""
    several = isinstance(pair, tuple | list) or (isinstance(pair, torch.Tensor) and pair.ndim > 0)
    expect(several and len(pair) == 2, "return two scalars: the rate R, then the distortion D.")
    rate, distortion = pair
    expect_shape(rate, (), "the rate is one number: a sum over latents, then a mean over the batch.")
    expect_shape(
        distortion, (), "the distortion is one number: a sum over pixels, then a mean over the batch."
    )
    return rate, distortion


def _elbo_gradients(fn, log_lik, kl):
    for which, x in (("log_lik", log_lik), ("kl", kl)):
        x = x.clone().requires_grad_()
        rate, distortion = call(fn, x, kl) if which == "log_lik" else call(fn, log_lik, x)
        hint = (
            "the distortion carries no gradient into log_lik, so the decoder would learn nothing"
            if which == "log_lik"
            else "the rate carries no gradient into kl, so nothing would hold the encoder near the prior"
        )
        expect_gradient(
            distortion if which == "log_lik" else rate, x, hint=f"{hint}: no detach, no no_grad, no .item()."
        )


@exercise(
    "04.relabel",
    verified="row b, column y is the picture of z_b with label y; any number of labels, any shape of picture",
)
def every_label(fn):
    z = torch.arange(3.0)[:, None] * 10 + torch.tensor([[0.0, 0.5]])  # (3, 2): each row a number of its own

    def decode(codes, labels):
        """A decoder whose picture (1, 2, 3) says which code and label it got, and which pixel it is."""
        if labels.dtype != torch.int64 or labels.shape != codes.shape[:1] or codes.shape[1:] != (2,):
            raise ValueError(
                f"decode got codes {tuple(codes.shape)} and labels {tuple(labels.shape)} of {labels.dtype}; it"
                " takes codes (M, k) and labels (M,) int64"
            )
        number = codes[:, 0] + 100 * labels + 1000 * (codes[:, 1] - codes[:, 0])
        return number[:, None, None, None] + torch.arange(6.0).view(1, 2, 3)

    out = call(fn, decode, z, 4)
    if isinstance(out, torch.Tensor) and out.shape == (12, 1, 2, 3):
        expect(False, "give the pictures their own axis for the label: view the 12 pictures as (3, 4, …).")
    if isinstance(out, torch.Tensor) and out.shape == (4, 3, 1, 2, 3):
        expect(False, "the label's axis comes second: (B, n_labels, …), not (n_labels, B, …).")
    expect_shape(out, (3, 4, 1, 2, 3), "(B, n_labels, …): one picture for each latent and label.")
    truth = _every_picture(3, 4)
    first, true_first = out[..., 0, 0, 0], truth[..., 0, 0, 0]
    expect(
        not torch.equal(first, true_first[:, :1].expand(3, 4)),
        "every picture has label 0: go through all labels 0 … n_labels − 1.",
    )
    expect(
        not torch.equal(first, true_first + 100),
        "labels start at 0: 0 … n_labels − 1, not 1 … n_labels.",
    )
    expect(
        not torch.equal(first, true_first.flip(1)), "the labels run backwards: column y must hold label y."
    )
    got_code, got_label = (first - 500) % 100, (first - 500) // 100
    expect(
        torch.equal(got_label, torch.arange(4.0).expand(3, 4)),
        "column y must hold label y: labels 0 1 2 3 0 1 2 3 … go with z₀ z₀ z₀ z₀ z₁ …; repeat and "
        "repeat_interleave are mixed up, or the reshape is.",
    )
    expect(
        torch.equal(got_code, torch.arange(3.0)[:, None].expand(3, 4) * 10),
        "each row must keep ONE latent: repeat_interleave z, repeat the labels.",
    )
    expect_close(out, truth, "the pixels of each picture must stay in their order.")
    with explained("is a number of labels fixed?"):
        expect_close(call(fn, decode, z, 12), _every_picture(3, 12), "twelve labels.")
        expect_close(call(fn, decode, z[:1], 1), _every_picture(1, 1), "one latent and one label.")
    with explained("a decoder may return pictures without a channel, (M, H, W): keep whatever follows M."):
        flat = call(fn, lambda codes, labels: decode(codes, labels)[:, 0], z, 4)
        expect_close(flat, truth[:, :, 0], "pictures (2, 3).")
    expect_any_device(
        fn,
        lambda codes, labels: codes + labels[:, None],
        z,
        4,
        hint="with z on a GPU the labels would stay on the CPU; say torch.arange(…, device=z.device).",
    )


def _every_picture(n, n_labels):
    """What the decoder of the check makes of latent b and label y: (n, n_labels, 1, 2, 3)."""
    numbers = 500 + 10 * torch.arange(float(n))[:, None] + 100 * torch.arange(float(n_labels))
    return numbers[..., None, None, None] + torch.arange(6.0).view(1, 2, 3)


@exercise(
    "04.ancestral",
    verified=(
        "the latents are N(0, I); each pixel is a coin of its own with the decoder's chance; all draws come"
        " from the generator"
    ),
)
def ancestral(fn):
    n = 20_000

    def decode(z):
        """Logits of (n, 1, 2, 3) pixels: 0, 2 and −60 everywhere, and the signs of the three latents."""
        fixed = torch.tensor([0.0, 2.0, -60.0]).expand(len(z), 3)
        return torch.cat([fixed, 60 * z.sign()], 1).view(-1, 1, 2, 3)

    pair = call(fn, decode, n, 3, torch.Generator().manual_seed(0))
    expect(
        isinstance(pair, (tuple, list)) and len(pair) == 2,
        "return two things: the latents z, then the pixels.",
    )
    z, x = pair
    if isinstance(z, torch.Tensor) and z.shape == (n, 1, 2, 3):
        expect(False, "the latents come first, then the pixels.")
    expect_shape(z, (n, 3), "n latents of k numbers each come first.")
    expect_shape(x, (n, 1, 2, 3), "the pixels have the shape of decode(z).")
    expect(z.dtype == torch.float32, f"the latents are {z.dtype}; a network's weights are float32.")
    expect_prior(z)
    expect_coins(z, x)
    expect_generator_alone(fn, decode)
    with explained("other numbers of latents and other shapes of decode(z) must work, too."):
        for n, k in ((5, 7), (1, 2)):
            z, x = call(fn, lambda z: z[:, :2] + 60, n, k, torch.Generator().manual_seed(1))
            expect_shape(z, (n, k), "n latents of k numbers each.")
            expect_close(x, torch.ones(n, 2), "a pixel with logit 60 is inked.")


@exercise(
    "04.careless",
    verified="R + D / (number of pixels): the loss falls with both arrays, and its β is the number of pixels",
)
def careless_loss(fn):
    log_lik, kl = _random(6, 1, 5, 4, seed=16) - 0.3, _random(6, 3, seed=17).abs()
    expect_none_of(
        call(fn, log_lik, kl),
        {
            "log p is averaged without its sign: subtract the mean, take no absolute value.": (
                kl.sum(1).mean() + log_lik.abs().mean()
            ),
        },
    )
    first, second = _price(fn, log_lik, kl), _price(fn, torch.cat([log_lik, log_lik - 1], 2), kl)
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
        abs(first - 20 / 6) > 1e-4,
        "log_lik is summed over the batch; keep the mean over the batch, and average over the pixels as well.",
    )
    expect(
        abs(first - 20) < 1e-4 and abs(second - 40) < 1e-4,
        f"with 20 pixels the hidden β should be 20, yours is {first:.3g}: average over all pixels and the batch.",
    )
    out, rate, distortion = call(fn, log_lik, kl), kl.sum(1).mean(), -log_lik.flatten(1).sum(1).mean()
    expect_none_of(
        out,
        {
            "β = number of pixels is right, but as a factor of the KL; the slip is an average over the pixels.": (
                20 * rate + distortion
            ),
            "both terms are summed over the batch: the mean over the batch is no slip, keep it.": (
                6 * rate + 6 * distortion / 20
            ),
        },
    )
    expect_close(
        out,
        rate + distortion / 20,
        "its β is right and its value is not: the KL as in (7), and all pixels averaged.",
    )
    expect_like(call(fn, log_lik.float(), kl.float()), kl.float())
    expect_any_device(fn, log_lik, kl)


def _price(fn, log_lik, kl):
    """What one nat of rate costs, in nats of distortion, by the gradients of the loss."""
    log_lik, kl = log_lik.clone().requires_grad_(), kl.clone().requires_grad_()
    out = call(fn, log_lik, kl)
    expect_shape(out, (), "the loss is one number.")
    expect(out.requires_grad, "no gradient passes through your loss: no detach, no .item().")
    grads = _gradients(out, log_lik, kl)
    expect(
        all(grad.abs().sum() > 0 for grad in grads),
        "both terms belong into the loss: the pixels' and the KL.",
    )
    expect(
        grads[0].mean() < 0 and grads[1].mean() > 0,
        "a better picture must lower the loss and a dearer code raise it: check the signs.",
    )
    return (grads[1].mean() / -grads[0].mean()).item()
