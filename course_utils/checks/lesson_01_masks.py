"""Checks of lesson 01's exercises that hide pixels: marginalising them, and a loss with holes."""

import math

import torch
import torch.nn.functional as F
from torch.distributions import MultivariateNormal, Normal

from course_utils.checks.machinery import (
    call,
    exercise,
    expect,
    expect_any_device,
    expect_close,
    expect_gradient,
    expect_shape,
)
from course_utils.checks.mistakes import expect_none_of, explained


@exercise(
    "01.marginal",
    verified=(
        "equals the Gaussian of the visible block, and the joint density integrated over a hidden pixel; "
        "hidden values have no influence; a single image; densities too small for exp"
    ),
)
def log_marginal(fn):
    generator = torch.Generator().manual_seed(0)
    d, q, sigma2 = 6, 2, torch.tensor(0.3, dtype=torch.float64)
    mean, x = torch.randn(2, d, generator=generator, dtype=torch.float64)
    x = torch.stack([x, x + 0.5, -x])
    W = torch.randn(d, q, generator=generator, dtype=torch.float64)
    cov = W @ W.T + sigma2 * torch.eye(d, dtype=torch.float64)
    seen = torch.tensor([True, False, True, True, False, True])
    joint = MultivariateNormal(mean, cov)
    out = call(fn, x, torch.ones(d, dtype=torch.bool), mean, W, sigma2)
    expect_shape(out, (3,), "one log-density per image: the sum over pixels is already inside log_prob.")
    _density_hints(out, x, mean, W, sigma2)
    hint = "with every pixel visible this is the ordinary log-density of N(μ, WWᵀ + σ²I)."
    expect_close(out, joint.log_prob(x), hint)
    out = call(fn, x, seen, mean, W, sigma2)
    expect_shape(out, (3,), "one log-density per image, with some pixels hidden too.")
    block = MultivariateNormal(mean[seen], cov[seen][:, seen])
    _marginal_hints(out, joint, block.log_prob(x[:, seen]), x, seen)
    other = torch.where(seen, x, torch.full_like(x, 7.0))
    expect_close(
        call(fn, other, seen, mean, W, sigma2),
        out,
        "changing the hidden pixels changes your answer: it must not look at them. Index with x[:, seen].",
    )
    hint = "the visible pixels are N(μ_v, W_v W_vᵀ + σ²I): drop the hidden rows of μ and of W."
    expect_close(out, block.log_prob(x[:, seen]), hint)
    _integrates(fn, joint, x, mean, W, sigma2)
    expect_close(
        call(fn, x + 50, seen, mean, W, sigma2),
        block.log_prob((x + 50)[:, seen]),
        "far from the mean the density is too small for a number, and its logarithm fails: stay in"
        " log-space, with log_prob, and clamp nothing.",
    )


def _density_hints(out, x, mean, W, sigma2):
    """Name the usual slips that show with every pixel visible."""
    d = len(mean)
    eye = torch.eye(d, dtype=W.dtype)

    def density(variance):
        return MultivariateNormal(mean, W @ W.T + variance * eye).log_prob(x)

    right, cov = density(sigma2), W @ W.T + sigma2 * eye
    half_volume = 0.5 * torch.logdet(cov)
    constant = d / 2 * math.log(2 * math.pi)
    mistakes = {
        "these are densities: return their logarithms.": right.exp(),
        "the sign is turned: this is −log p.": -right,
        "this is divided by the number of pixels: the log-density of the whole image is asked for.": right
        / d,
        "sigma2 is the variance already: do not square it.": density(sigma2**2),
        "sigma2 is the variance: take no root of it.": density(sigma2.sqrt()),
        "the loadings are missing, so the pixels are independent: this is the ordinary log-density of"
        " N(μ, σ²I), and the covariance is WWᵀ + σ²I.": Normal(mean, sigma2.sqrt()).log_prob(x).sum(1),
        "the pixels' variances are right and their covariances missing: the covariance is all of WWᵀ + σ²I.": (
            Normal(mean, cov.diagonal().sqrt()).log_prob(x).sum(1)
        ),
        "the mean is not subtracted.": MultivariateNormal(0 * mean, cov).log_prob(x),
        "the constant −d/2 log 2π is missing.": right + constant,
        "the normaliser is missing, −½ log det(2πΣ).": right + constant + half_volume,
        "the term −½ log det Σ is missing.": right + half_volume,
        "log det Σ enters with the factor ½.": right - half_volume,
        "this is only the squared distance: the factor −½ and the normaliser are missing.": (
            -2 * (right + constant + half_volume)
        ),
    }
    expect_none_of(out, mistakes)


def _marginal_hints(out, joint, right, x, seen):
    """Recognise by its value an image that was filled in, and other slips with the mask."""
    mean, cov, hidden = joint.mean, joint.covariance_matrix, ~seen
    rest = MultivariateNormal(mean[hidden], cov[hidden][:, hidden]).log_prob(x[:, hidden])
    noise = cov[hidden][:, hidden].diagonal()
    mistakes = {
        "this is the density of an image whose hidden pixels are 0 (white paper). Zero is a value too: it is"
        " evidence. Remove the hidden pixels instead of filling them.": joint.log_prob(x * seen),
        "this is the density of an image whose hidden pixels equal the class mean, so each class scores a"
        " picture of its own making. Integrate them out: remove their rows.": (
            joint.log_prob(torch.where(seen, x, mean))
        ),
        "this is the density of all pixels, the hidden ones too: it must not look at them. Use the mask.": (
            joint.log_prob(x)
        ),
        "this is the density of the *hidden* pixels: the mask is 1 where a pixel is seen.": rest,
        "this is log p(visible | hidden): the hidden pixels are unknown, so integrate them out.": (
            joint.log_prob(x) - rest
        ),
        "the visible part is scaled up to the number of all pixels: do not, it is log p(x_v) itself.": (
            right * len(mean) / int(seen.sum())
        ),
        "the visible pixels are taken as independent: their covariance is all of W_v W_vᵀ + σ²I.": (
            Normal(mean[seen], cov.diagonal()[seen].sqrt()).log_prob(x[:, seen]).sum(1)
        ),
    }
    expect_none_of(out, mistakes)
    extra = out.double() - right  # rows of zeros instead of no rows: each hidden pixel adds the same number
    expect(
        extra.abs().max() < 1e-4 or len(noise) == 0 or (extra - extra.mean()).abs().max() > 1e-6,
        "each image is off by the same number: the hidden pixels still count as pixels of their own."
        " Remove their rows (mean[seen], W[seen], x[:, seen]) instead of putting zeros there.",
    )


def _integrates(fn, joint, x, mean, W, sigma2):
    """One hidden pixel: the marginal density must equal the joint one summed over a fine grid of its
    values."""
    seen = torch.arange(len(mean)) != 1
    grid = torch.linspace(-15, 15, 3001, dtype=torch.float64)
    filled = x[:1].repeat(len(grid), 1)
    filled[:, 1] = grid
    integral = (joint.log_prob(filled).exp() * (grid[1] - grid[0])).sum().log()
    out = call(fn, x[:1], seen, mean, W, sigma2)
    expect_shape(out, (1,), "one image has one log-density: do not squeeze.")
    expect_close(
        out[0], integral, "the marginal is the joint density integrated over the hidden pixel.", atol=1e-4
    )


@exercise(
    "01.hole_loss",
    verified=(
        "the network sees the masked image beside its mask; every image has its own share of holes, uniform"
        " from 0 to 1, at places of its own; the loss is the mean cross-entropy, and its gradient reaches"
        " the network"
    ),
)
def hole_loss(fn):
    generator = torch.Generator().manual_seed(0)
    x = 0.1 + 0.9 * torch.rand(400, 1, 28, 28, generator=generator)  # no pixel is 0
    y = torch.randint(10, (400,), generator=generator)
    logits = torch.randn(400, 10, generator=generator)
    torch.manual_seed(1)  # not that of x, or the holes would follow the ink
    loss, inputs, leaf = _with_recorder(fn, x, y, logits)
    with explained("a batch of another size, 7 images, must work as well."):
        _, later, _ = _with_recorder(fn, x[:7], y[:7], logits[:7])
        _, last, _ = _with_recorder(fn, x[:7], y[:7], logits[:7])
    _mask_hints(inputs[:, :784], inputs[:, 784:], x.flatten(1))
    _share_hints(inputs[:, 784:])
    _chance_hints(inputs[:, 784:], x.flatten(1))
    expect(
        not torch.equal(later, last),
        "the holes are the same in every call: draw new ones, and seed nothing, or the network sees one"
        " mask only.",
    )
    _loss_hints(loss, logits, y)
    expect_close(
        loss, F.cross_entropy(logits, y), "the loss is the cross-entropy of the model's logits and y."
    )
    expect(leaf.grad is None, "do not call backward: the training loop does, with the loss that you return.")
    expect_gradient(loss, leaf, hint="return the loss as it is, or the network learns nothing.")
    expect_any_device(
        fn,
        lambda seen: logits.to(seen.device),
        x,
        y,
        hint="draw where the images are, torch.rand(len(x), 1, device=x.device) and torch.rand_like(x).",
    )


def _with_recorder(fn, x, y, logits):
    """The reader's loss, what its model was given, and the logits that the model returned, a leaf."""
    given, leaf = [], logits.clone().requires_grad_()

    def model(inputs):
        given.append(inputs)
        return leaf

    loss = call(fn, model, x, y)
    expect(len(given) == 1, "call the model once, on the whole batch.")
    inputs = given[0]
    expect(
        tuple(inputs.shape) != (len(x), 784),
        "the model gets the image only: put the mask beside it, torch.cat([x * seen, seen], 1).",
    )
    expect_shape(inputs, (len(x), 1568), "784 pixels, then 784 entries of the mask.")
    expect(
        inputs.dtype == x.dtype,
        f"the model gets {inputs.dtype} numbers and the images are {x.dtype}: make the mask .float().",
    )
    return loss, inputs.detach(), leaf


def _mask_hints(image, mask, x):
    """What the network was given: the order, the mask's values, what it does to the image."""
    expect(
        not (((image == 0) | (image == 1)).all() and not ((mask == 0) | (mask == 1)).all()),
        "the mask comes first: the image belongs before its mask, torch.cat([x * seen, seen], 1).",
    )
    expect(((mask == 0) | (mask == 1)).all(), "the mask holds zeros and ones only; give it as .float().")
    expect(
        not torch.allclose(image, x * (1 - mask)),
        "the mask is turned round: it must be 1 where a pixel is seen and 0 in the holes.",
    )
    expect(not torch.allclose(image, x), "the holes are not cut: multiply the image by its mask.")
    expect(
        torch.allclose(image * mask, x * mask),
        "the pixels that are seen have other values than in the image: leave them as they are (dropout"
        " would scale them).",
    )
    expect_close(
        image, x * mask, "the first 784 inputs are the image with zeros in the holes, no other filling."
    )


def _share_hints(mask):
    """The shares of holes, and where they are: one number per pixel and image decides."""
    hidden = 1 - mask.mean(1)
    expect(hidden.std() > 0.02, "no image differs from the others in its share: draw one share per image.")
    expect(
        hidden.std() > 0.1,
        "every image loses about the same share of its pixels: draw a share for *each* image,"
        " torch.rand(len(x), 1), and compare.",
    )
    quarters = torch.histc(hidden, 4, 0, 1) / len(hidden)
    expect(
        ((quarters - 0.25).abs() < 0.1).all(),
        "the share of holes should be uniform between 0 and 1: about a quarter of the images in each quarter.",
    )


def _chance_hints(mask, x):
    """Whether chance alone decides where the holes are: not the ink, not another image, not a neighbour."""
    seen = mask.mean(1, keepdim=True)
    expect(
        ((mask - seen) * x).mean().abs() < 0.01,
        "the holes depend on the ink: compare the share with a random number for each pixel,"
        " torch.rand_like(x), not with the image.",
    )
    together = mask @ mask.T / mask.shape[1] - seen @ seen.T  # 0 where two images have independent holes
    together.fill_diagonal_(0)
    expect(
        (mask.std(0) > 0.2).all() and together.mean().abs() < 0.02,
        "the holes of different images are at the same places: draw a number for every pixel of every image.",
    )
    expect(
        _neighbours(mask, 1) < 0.02 and _neighbours(mask, 28) < 0.02,
        "the holes of an image come in rows, columns or blocks: draw a number for every pixel of every image.",
    )


def _neighbours(mask, step):
    """How much more often two pixels `step` places apart are both seen than if they were independent."""
    both = (mask[:, step:] * mask[:, :-step]).mean(1)
    return float((both - mask.mean(1).square()).mean().abs())


def _loss_hints(loss, logits, y):
    """Name the usual slips by the loss that they give."""
    rows = F.cross_entropy(logits, y, reduction="none")
    expect_shape(loss, (), "the loss is one number, the mean over the batch.")
    chosen = logits[torch.arange(len(y)), y]
    mistakes = {
        "this is the sum over the batch; take the mean.": rows.sum(),
        "this is divided by the number of classes too: take the mean over the batch only.": rows.mean() / 10,
        "the sign is turned: the loss is −log of the probability of the right class.": -rows.mean(),
        "softmax is applied twice: F.cross_entropy takes logits, not probabilities.": (
            F.cross_entropy(logits.softmax(1), y)
        ),
        "this is the squared error of the logits: use F.cross_entropy.": (
            F.mse_loss(logits, F.one_hot(y, 10).float())
        ),
        "F.nll_loss takes log-probabilities: give the logits to F.cross_entropy instead.": -chosen.mean(),
        "this is the mean probability, not its logarithm: F.cross_entropy(logits, y).": -rows.neg()
        .exp()
        .mean(),
    }
    expect_none_of(loss, mistakes)
