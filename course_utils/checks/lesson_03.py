"""Properties of lesson 03's exercises."""

import numbers

import torch

from course_utils.checks.machinery import Wrong, call, exercise, expect, expect_close, expect_shape


@exercise(
    "03.reconstruction_loss",
    verified="a sum over pixels, a mean over the batch, for both shapes of x; the model gets its gradient",
)
def reconstruction_loss(fn):
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(5, 1, 28, 28, generator=generator)

    def brighter(images):
        expect(
            isinstance(images, torch.Tensor) and images.dim() == 2,
            "the model takes rows of 784 pixels: x.flatten(1) first.",
        )
        return images + 0.5

    out = torch.as_tensor(call(fn, brighter, x))
    expect(out.shape != (5,), "this is one number an image: take the mean over the batch, too (.mean()).")
    expect_shape(out, (), "a single number.")
    expect(
        abs(out.item() - 0.25) > 1e-3,
        "this is the mean over the pixels: sum over them (dim=1), and average over the images only.",
    )
    expect(
        abs(out.item() - 5 * 196) > 1e-1, "this is the sum over the batch: average over the images (.mean())."
    )
    expect(abs(out.item() - 392) > 1e-2, "the errors are squared, not taken by size.")
    expect_close(
        out, 196.0, "an error of 0.5 at each of 784 pixels costs 784 · 0.25 = 196 an image.", rtol=1e-3
    )
    expect_close(call(fn, brighter, x.flatten(1)), 196.0, "rows (B, 784) must work as well.", rtol=1e-3)
    bias = torch.full((784,), 0.1, requires_grad=True)
    loss = torch.as_tensor(call(fn, lambda images: images + bias, x))
    expect(loss.requires_grad, "no gradient reaches the model: no .item(), .detach() or no_grad here.")
    (gradient,) = torch.autograd.grad(loss, bias)
    expect_close(gradient, torch.full((784,), 0.2), "the gradient of the loss is 2 (x̂ − x), averaged.")


def _cloud():
    """Points (200, 4) off the origin, longest along a slanted axis."""
    generator = torch.Generator().manual_seed(0)
    turn = torch.linalg.qr(torch.randn(4, 4, generator=generator, dtype=torch.float64)).Q
    scales = torch.tensor([3.0, 2.0, 0.5, 0.1], dtype=torch.float64)
    return torch.randn(200, 4, generator=generator, dtype=torch.float64) * scales @ turn.T + 5


@exercise("03.pca", verified="centred, orthonormal, and no other plane keeps more of the variance")
def pca(fn):
    x = _cloud()
    out = call(fn, x, 2)
    if not isinstance(out, tuple) or len(out) != 3:
        raise Wrong("return three things: mean, directions, variances.")
    mean, directions, variances = out
    expect_shape(mean, (4,), "the mean of each coordinate")
    expect_close(mean, x.mean(0), "the mean is over the rows: x.mean(0)")
    expect_shape(directions, (2, 4), "directions are rows; svd returns V transposed already, so take vt[:k]")
    gram = directions @ directions.T
    expect_close(gram, torch.eye(2), "directions must be orthonormal rows: take rows of vt, not columns")
    centred = x - x.mean(0)
    best = torch.linalg.eigvalsh(centred.T @ centred / len(x)).flip(0)
    along = (centred @ directions.T).square().mean(0)
    expect_close(
        along, best[:2], "these are not the directions of largest variance; was the data centred first?"
    )
    expect_shape(variances, (2,), "one variance a direction")
    expect_close(variances, best[:2], "variances are squared singular values divided by n")


@exercise("03.guess", verified="two shares in per cent; what they are worth is printed below the samples")
def guess(fn):
    out = call(fn)
    if not isinstance(out, tuple | list) or len(out) != 2:
        raise Wrong("return two numbers, the guess for 2 code numbers and the one for 8: return 10, 90, say.")
    if not all(isinstance(value, numbers.Real) and not isinstance(value, bool) for value in out):
        raise Wrong("both guesses are plain numbers, such as 10 or 90.0.")
    expect(all(0 <= value <= 100 for value in out), "a share lies between 0 and 100 per cent.")
    expect(
        not any(0 < value < 1 for value in out),
        "give per cent, not fractions: one half is 50. Less than one per cent is 0.",
    )


@exercise(
    "03.sample_mixture",
    verified="weights, means and covariances of 20,000 draws, in random order",
)
def sample_mixture(fn):
    chol = torch.tensor([[1.0, 0.0], [1.5, 0.5]], dtype=torch.float64)
    covariance = chol @ chol.T
    n = 20_000
    torch.manual_seed(0)
    one = torch.ones(1, dtype=torch.float64)
    mean = torch.tensor([[3.0, -2.0]], dtype=torch.float64)
    out = call(fn, one, mean, covariance[None], n)
    expect_shape(out, (n, 2), "n draws of k numbers.")
    expect_close(out.mean(0), mean[0], "the draws of one component have not its mean.", atol=0.1, rtol=0)
    found = out.T.cov()
    turned = chol.T @ chol
    expect(
        not torch.allclose(found.double(), turned, atol=0.15),
        "the covariance is LᵀL instead of LLᵀ: a draw is L ε with ε a column, or ε @ L.T with ε a row.",
    )
    expect(
        not torch.allclose(found.double(), covariance @ covariance, atol=1.0)
        or torch.allclose(found.double(), covariance, atol=0.15),
        "the noise was multiplied by the covariance: multiply by its Cholesky factor L (LLᵀ = Σ).",
    )
    hint = "the covariance of the draws is not that of the component: mean + L ε with LLᵀ = Σ."
    expect_close(found, covariance, hint, atol=0.15, rtol=0)

    weights = torch.tensor([0.7, 0.1, 0.2], dtype=torch.float64)
    means = torch.tensor([[0.0, 0.0], [50.0, 0.0], [0.0, 50.0]], dtype=torch.float64)
    covariances = torch.stack([covariance, torch.eye(2, dtype=torch.float64), 4 * covariance])
    out = call(fn, weights, means, covariances, n)
    expect_shape(out, (n, 2), "n draws of k numbers.")
    home = torch.cdist(out.double(), means).argmin(1)
    near = torch.cdist(out.double(), means).min(1).values
    hint = "draws lie between the components: each draw picks ONE component, their means are not averaged."
    expect(near.quantile(0.99) < 15, hint)
    share = torch.bincount(home, minlength=3) / n
    expect(
        share.max() < 0.99, "all draws come from one component: pick one for each draw (a vector of n picks)."
    )
    hint = "how often a component is picked must follow the weights (torch.multinomial), not be uniform."
    expect_close(share, weights, hint, atol=0.02, rtol=0)
    third = torch.bincount(home[: n // 2], minlength=3) / (n // 2)
    hint = "the draws are sorted by component: the order must be random, or the first ten are no sample."
    expect_close(third, weights, hint, atol=0.03, rtol=0)
    for k in range(3):
        own = out[home == k]
        hint = "each component has its own covariance: index the Cholesky factors with the picks, too."
        expect_close(own.T.cov(), covariances[k], hint, atol=0.15 * covariances[k].max().item() + 0.1, rtol=0)


@exercise(
    "03.hard_to_sample",
    verified="more than half of the draws of the fitted Gaussian land in holes: it fails, as it should",
)
def hard_to_sample(fn):
    torch.manual_seed(0)
    n = 1_500
    out = call(fn, n)
    expect_shape(out, (n, 2), "n codes of two numbers.")
    z = out.detach().double()
    expect(torch.isfinite(z).all(), "some codes are not finite.")
    distinct = len(torch.unique(z, dim=0))
    expect(distinct == n, f"only {distinct} of the {n} codes differ: different digits have different codes.")
    spread = torch.linalg.eigvalsh(z.T.cov())
    expect(
        spread[0] > 1e-8 * spread[1],
        "all codes lie on a straight line: the Gaussian lies on it, too, and does not fail.",
    )
    order = torch.randperm(n)
    half = z[order[: n // 2]]
    spacing = torch.cdist(z[order[n // 2 :]], half).min(1).values.quantile(0.95)
    draws = z.mean(0) + torch.randn(n, 2, dtype=z.dtype) @ torch.linalg.cholesky(z.T.cov()).T
    share = (torch.cdist(draws, half).min(1).values > spacing).double().mean().item()
    if share <= 0.5:
        raise Wrong(
            f"the fitted Gaussian does not fail: {share:.0%} of its draws land in holes, and it must be more "
            "than half. Shift and stretch do not matter to it; the shape does."
        )
