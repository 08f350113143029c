"""Properties of lesson 03's exercises."""

import torch
from torch.nn import functional as F

from course_utils.checks.machinery import (
    Wrong,
    call,
    exercise,
    expect,
    expect_any_device,
    expect_close,
    expect_like,
    expect_shape,
)
from course_utils.checks.mistakes import (
    expect_double,
    expect_normal,
    expect_value,
    explained,
    is_number,
    normal,
    pair_of,
)


@exercise(
    "03.reconstruction_loss",
    verified="a sum over pixels, a mean over the batch, for both shapes of x; the model gets its gradient",
)
def reconstruction_loss(fn):
    brightness = torch.tensor([0.1, 0.3, 0.5, 1.0, 1.0]).view(5, 1, 1, 1)
    x = brightness * torch.rand(5, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    bias = 0.02 + 0.25 * torch.rand(784, generator=torch.Generator().manual_seed(1))  # outputs within [0, 1]

    def model(images):
        expect(
            isinstance(images, torch.Tensor) and images.dim() == 2,
            "the model takes rows of 784 pixels: x.flatten(1) first.",
        )
        return 0.7 * images + bias.to(images)

    out = torch.as_tensor(call(fn, model, x))
    expect(out.shape != (5,), "this is one number an image: take the mean over the batch, too (.mean()).")
    expect_shape(out, (), "a single number.")
    rows = x.flatten(1)
    each = _loss_value(out, rows, made=0.7 * rows + bias)
    hint = "rows (B, 784) must work as well, with the same value."
    expect_close(call(fn, model, rows), each.mean(), hint)
    large = (0.9 * rows - 0.3).square().sum(1).mean()
    clamped = ((1.9 * rows - 0.3).clamp(0, 1) - rows).square().sum(1).mean()
    why = "compare the model's output as it is, not clamped."
    hint = "a model whose output leaves [0, 1] has larger errors; square and sum them as they are."
    expect_value(call(fn, lambda images: 1.9 * images - 0.3, rows), large, hint, ((clamped, why),))
    hint = "one image alone is a batch, too: keep the axis of the images (no squeeze, dim=1 for the pixels)."
    expect_close(call(fn, model, x[:1]), each[0], hint)
    expect_like(torch.as_tensor(call(fn, model, x)), x)
    small = normal(6, 64, seed=2).float()
    hint = (
        "curves of 64 points, in section 7, are rows as well: no 784 in the function (flatten(1) needs none)."
    )
    each_small = small.square().sum(1) / 4
    with explained(hint):
        out = call(fn, lambda rows: 0.5 * rows, small)
    expect_value(out, each_small.mean(), hint)
    _loss_trains(fn, x)


def _loss_value(out, rows, made):
    """The true value, or what a usual mistake gives instead; returns the loss of each image (B,)."""
    error = made - rows
    each = error.square().sum(1)
    expect_value(
        out,
        each.mean(),
        "the loss is the squared error, summed over the 784 pixels and averaged over the images.",
        (
            (
                error.square().mean(),
                "this is the mean over the pixels: sum over them (dim=1), and average over the images only.",
            ),
            (each.sum(), "this is the sum over the batch: average over the images (.mean())."),
            (error.abs().sum(1).mean(), "the errors are squared, not taken by size."),
            (error.abs().mean(), "the errors are squared, and summed over the pixels."),
            (each.sqrt().mean(), "the sum of the squares is the loss; no root (no norm)."),
            (each.mean().sqrt(), "the mean of the squared errors is the loss; no root."),
            (each.mean() / 2, "the loss (1) has no factor ½."),
            (error.sum(1).square().mean(), "you square the sum of the errors: square first, then sum."),
            (error.mean(1).square().mean(), "you square the mean of the errors: square first, then sum."),
            (
                each.sum() / 784,
                "sum over the pixels (dim=1) and average over the images (dim=0): yours is turned.",
            ),
            (error.sum(1).mean(), "the errors are not squared, so that they cancel."),
            (
                F.binary_cross_entropy(made, rows, reduction="none").sum(1).mean(),
                "the loss (1) is the squared error, not the cross-entropy.",
            ),
            (
                F.binary_cross_entropy(made, rows),
                "the loss (1) is the squared error, not the cross-entropy, and summed over the pixels.",
            ),
            (-each.mean(), "the loss is the error itself, not its negative."),
            (each.max(), "the average over the images is their mean, not the largest."),
            (each.median(), "the average over the images is their mean, not the median."),
        ),
    )
    return each


def _loss_trains(fn, x):
    """The gradient that training needs, in full, and nothing left behind."""
    bias = torch.full((784,), 0.1, requires_grad=True)
    loss = torch.as_tensor(call(fn, lambda images: images + bias, x))
    expect(bias.grad is None, "return the loss and leave .backward() to the training loop.")
    expect(loss.requires_grad, "no gradient reaches the model: no .item(), .detach() or no_grad here.")
    (gradient,) = torch.autograd.grad(loss, bias)
    expect_close(gradient, torch.full((784,), 0.2), "the gradient of the loss is 2 (x̂ − x), averaged.")
    expect_any_device(lambda images: fn(lambda rows: 0.5 * rows, images), x)


def _cloud():
    """Points (60, 5) off the origin, with unequal axes, longest along a slanted one."""
    turn = torch.linalg.qr(normal(5, 5, seed=1)).Q
    scales = torch.tensor([3.0, 2.0, 1.2, 0.5, 0.1], dtype=torch.float64)
    far = torch.tensor([5.0, -3.0, 0.0, 8.0, 1.0], dtype=torch.float64)
    return normal(60, 5) * scales @ turn.T + far


@exercise(
    "03.pca",
    verified="centred; the k leading directions and their variances, in this order, for k = 3 and k = 1",
)
def pca(fn):
    x = _cloud()
    out = call(fn, x, 3)
    if not isinstance(out, tuple | list) or len(out) != 3:
        raise Wrong("return three things: mean, directions, variances.")
    mean, directions, variances = out
    expect_shape(mean, (5,), "the mean of each coordinate, x.mean(0)")
    expect_value(
        mean,
        x.mean(0),
        "the mean is over the rows: x.mean(0)",
        ((torch.zeros(5), "return the mean of the data as they came; yours is that of the centred ones."),),
    )
    expect_shape(directions, (3, 5), "directions are rows; svd returns V transposed already, so take vt[:k]")
    _directions(x, directions)
    expect_shape(variances, (3,), "one variance a direction")
    _variances(x, variances)
    for wanted in (1, 4):
        _, directions, variances = call(fn, x, wanted)
        hint = f"k = {wanted} asks for {wanted} direction{'s' * (wanted > 1)}, as rows: is a size fixed?"
        expect_shape(directions, (wanted, 5), hint)
        expect_shape(variances, (wanted,), hint)


def _directions(x, directions):
    """Rows up to their sign."""
    gram = directions @ directions.T
    lengths = directions.norm(dim=1)
    angles = (directions / lengths[:, None]) @ (directions / lengths[:, None]).T
    scaled = not torch.allclose(lengths, torch.ones_like(lengths), atol=1e-4)
    hint = "the directions have the length 1: do not scale them by the singular values."
    expect(not (scaled and torch.allclose(angles, torch.eye(3).to(angles), atol=1e-4)), hint)
    hint = "directions must be orthonormal rows: take rows of vt, not columns"
    expect_close(gram, torch.eye(3), hint)
    centred = x - x.mean(0)
    true = torch.linalg.svd(centred, full_matrices=False).Vh
    causes = (
        (
            torch.linalg.svd(x - x.mean(1, keepdim=True)).Vh[:3],
            "you subtract the mean of each row; subtract that of each column, x.mean(0).",
        ),
        (
            torch.linalg.svd(x).Vh[:3],
            "these are the directions of the data before centring: subtract the mean first.",
        ),
        (
            true.flip(0)[:3],
            "these are the directions of *least* variance: eigh sorts upwards, so begin at its end.",
        ),
        (
            true[:3].flip(0),
            "the right directions in the wrong order: the one of largest variance comes first.",
        ),
        (
            true.T[:3],
            "these are rows of V; the directions are its columns, the rows of Vᵀ, which svd returns.",
        ),
        (
            torch.linalg.svd(centred / centred.std(0)).Vh[:3],
            "the data are standardised: only the mean is subtracted, each coordinate keeps its scale.",
        ),
        (true[1:4], "the first direction is left out: take vt[:k]."),
    )
    along = (directions.double() @ true.T).abs()
    hint = "these are not the directions of largest variance of the centred data."
    if not torch.allclose(along, torch.eye(5).to(along)[:3], atol=1e-5):
        signless = [(wrong.abs(), why) for wrong, why in causes]  # each direction may come with either sign
        expect_value(directions.abs(), true[:3].abs(), hint, signless)
        raise Wrong(hint)
    expect_double(along, torch.eye(5)[:3])


def _variances(x, variances):
    n, centred = len(x), x - x.mean(0)
    s = torch.linalg.svd(centred, full_matrices=False).S
    true = (s**2 / n)[:3]
    causes = (
        (s[:3], "variances are squared singular values divided by n; these are the singular values."),
        (s[:3] ** 2, "the squared singular values are sums over the points: divide by n."),
        ((s**2 / (n - 1))[:3], "divide by n, not by n − 1: the variance of the data as they are."),
        (true.sqrt(), "these are standard deviations: variances are their squares."),
        (s[:3] / n, "variances are *squared* singular values divided by n."),
        (true / (s**2 / n).sum(), "these are shares of the total variance: return the variances themselves."),
        (true.flip(0), "the variances come in the order of the directions, the largest first."),
        (
            (torch.linalg.svd(x).S ** 2 / n)[:3],
            "these come from the data before centring: subtract the mean first.",
        ),
        (s[:3] ** 2 / 5, "divide by n, the number of points, not by that of the coordinates."),
    )
    expect_value(variances, true, "variances are squared singular values divided by n", causes)
    expect_double(variances, true)


@exercise("03.guess", verified="two shares in per cent; what they are worth is printed below the samples")
def guess(fn):
    hint = "return two numbers, the guess for 2 code numbers and the one for 8: return 10, 90, say."
    out = pair_of(call(fn), hint)
    expect(all(is_number(value) for value in out), "both guesses are plain numbers, such as 10 or 90.0.")
    expect(all(0 <= value <= 100 for value in out), "a share lies between 0 and 100 per cent.")
    expect(
        not any(0 < value < 1 for value in out),
        "give per cent, not fractions: one half is 50. Less than one per cent is 0.",
    )


_CHOL = torch.tensor([[1.0, 0.0], [1.5, 0.5]], dtype=torch.float64)


@exercise(
    "03.sample_mixture",
    verified=(
        "weights, means and covariances of 8,000 draws, which are Gaussian, in random order and new each time"
    ),
)
def sample_mixture(fn):
    n = 8_000
    torch.manual_seed(0)
    mean = torch.tensor([[3.0, -2.0]], dtype=torch.float64)
    alone = (mean, (_CHOL @ _CHOL.T)[None])
    out = call(fn, torch.ones(1).double(), *alone, n)
    expect_shape(out, (n, 2), "n draws of k numbers.")
    expect_like(out, mean, "draw in the dtype of the means: torch.randn(…, dtype=means.dtype).")
    _one_component(out.double(), mean[0])

    weights = torch.tensor([0.6, 0.15, 0.25], dtype=torch.float64)
    means = torch.tensor([[0.0, 0.0], [50.0, 0.0], [0.0, 70.0]], dtype=torch.float64)
    eye = torch.eye(2, dtype=torch.float64)
    covariances = torch.stack([_CHOL @ _CHOL.T, eye, 4 * _CHOL.T @ _CHOL])
    out = call(fn, weights, means, covariances, n)
    expect_shape(out, (n, 2), "n draws of k numbers.")
    _components(out.double(), weights, means, covariances)
    few, again = [call(fn, weights, means, covariances, 50) for _ in range(2)]
    expect(
        not torch.equal(again, few),
        "two calls give the same draws: fix no seed inside, and draw anew each time.",
    )
    wide = call(fn, torch.ones(4).double() / 4, normal(4, 3), torch.eye(3).double().repeat(4, 1, 1), 5)
    expect_shape(wide, (5, 3), "K = 4 components of k = 3 numbers: is a size or an axis fixed to 2?")
    one = call(fn, torch.ones(1).double(), means[:1, :1], eye[None, :1, :1], 1)
    expect_shape(one, (1, 1), "one draw of one number is (1, 1): no squeeze().")
    mixed = call(fn, torch.ones(1), *alone, 5)  # weights in float32, as in the cell below
    expect_like(mixed, mean, "the weights may be float32: draw in the dtype of the means.")


def _one_component(out, mean):
    """Mean, covariance and shape of the draws of a single Gaussian, seen through L⁻¹."""
    eps = torch.linalg.solve(_CHOL, (out - mean).T).T
    expect(eps.std(0).max() > 1e-6, "all draws are the same point: each has noise of its own.")
    causes = (
        (torch.linalg.solve(_CHOL, -mean), "the draws lie around 0: add the mean of the component."),
        (0.5 * torch.ones(2), "the noise has not the mean 0: torch.randn, not torch.rand."),
    )
    errors = 5 * float(eps.std(0).max()) / len(eps) ** 0.5  # five standard errors of a mean
    expect_value(
        eps.mean(0), torch.zeros(2), "the draws of one component have not its mean.", causes, atol=errors
    )
    covariance = _CHOL @ _CHOL.T
    ones = torch.ones(2, 2, dtype=torch.float64)
    causes = (
        (
            _CHOL.T @ _CHOL,
            "the covariance is LᵀL instead of LLᵀ: a draw is L ε with ε a column, or ε @ L.T with ε a row.",
        ),
        (
            covariance @ covariance,
            "the noise was multiplied by the covariance: multiply by its Cholesky factor L (LLᵀ = Σ).",
        ),
        (torch.eye(2), "the draws of a component have covariance I: is the factor L missing?"),
        (
            covariance.diag().square().diag(),
            "the noise is multiplied by the variances: multiply by the Cholesky factor L (LLᵀ = Σ).",
        ),
        (covariance.diag().diag(), "the coordinates do not correlate: take the factor of the whole Σ."),
        (_CHOL @ ones @ _CHOL.T, "the coordinates of a draw share one random number: the noise is (n, k)."),
    )
    seen = [(torch.linalg.solve(_CHOL, torch.linalg.solve(_CHOL, C.double()).T), why) for C, why in causes]
    hint = "the covariance of the draws is not that of the component: mean + L ε with LLᵀ = Σ."
    expect_value(eps.T.cov(), torch.eye(2), hint, seen, atol=0.09, rtol=0.03)
    expect_normal(eps, 1.0, "mean and covariance are right, but the draws are not Gaussian: torch.randn.")


def _components(out, weights, means, covariances):
    """How often and in which order the components come, and that each has its own covariance."""
    n = len(out)
    far = torch.cdist(out, means)
    home, near = far.argmin(1), far.min(1).values
    hint = "draws lie between the components: each draw picks ONE component, their means are not averaged."
    expect(near.quantile(0.99) < 15, hint)
    counts = torch.bincount(home, minlength=3)
    share = counts / n
    expect(
        share.max() < 0.99, "all draws come from one component: pick one for each draw (a vector of n picks)."
    )
    causes = (
        (
            torch.ones(3) / 3,
            "every component is picked equally often: picks must follow the weights (torch.multinomial).",
        ),
        (weights.softmax(0), "the weights are probabilities already: no softmax."),
    )
    hint = "how often a component is picked must follow the weights (torch.multinomial)."
    expect_value(share, weights, hint, causes, atol=0.03, rtol=0)
    half = torch.bincount(home[: n // 2], minlength=3) / (n // 2)
    hint = "the draws are sorted by component: the order must be random, or the first ten are no sample."
    expect_close(half, weights, hint, atol=0.04, rtol=0)
    expect(
        not torch.equal(counts, (weights * n).round().long()),
        "every component gets exactly its share of the draws: how many it gets is random, too.",
    )
    hint = "each component has its own covariance: index the Cholesky factors with the picks, too."
    for k in range(3):
        L = torch.linalg.cholesky(covariances[k])
        eps = torch.linalg.solve(L, (out[home == k] - means[k]).T)
        expect_close(eps.cov(), torch.eye(2), hint, atol=0.21, rtol=0)


@exercise(
    "03.hard_to_sample",
    verified="more than half of the draws of the fitted Gaussian land in holes: it fails, as it should",
)
def hard_to_sample(fn):
    torch.manual_seed(0)
    n = 1_000
    out = call(fn, n)
    expect_shape(out, (n, 2), "n codes of two numbers.")
    expect(out.is_floating_point(), "codes are decimal numbers (float32), not whole ones.")
    z = out.detach().double()
    expect(torch.isfinite(z).all(), "some codes are not finite.")
    distinct = len(torch.unique(z, dim=0))
    expect(distinct == n, f"only {distinct} of the {n} codes differ: different digits have different codes.")
    expect_shape(call(fn, 700), (700, 2), "asked for 700 codes, it returns another number: use n.")
    spread = torch.linalg.eigvalsh(z.T.cov())
    expect(
        spread[0] > 1e-8 * spread[1],
        "all codes lie on a straight line: the Gaussian lies on it, too, and does not fail.",
    )
    draws = z.mean(0) + torch.randn(n, 2, dtype=z.dtype) @ torch.linalg.cholesky(z.T.cov()).T
    share = _share_in_holes(z[torch.randperm(n)], draws)
    if share <= 0.5:
        raise Wrong(
            f"the fitted Gaussian does not fail: {share:.0%} of its draws land in holes, and it must be more "
            "than half. Shift and stretch do not matter to it; the shape does."
        )
    in_order = _share_in_holes(z, draws)
    expect(
        in_order > 0.5,
        f"the codes come in an order, so that their first half does not stand for all of them (with it only "
        f"{in_order:.0%} count as holes): draw the angle, or whatever you vary, at random.",
    )


def _share_in_holes(z, draws):
    """The share of the draws farther from the first half of z than 95 per cent of the second half are."""
    half = len(z) // 2
    spacing = torch.cdist(z[half:], z[:half]).min(1).values.quantile(0.95)
    return (torch.cdist(draws, z[:half]).min(1).values > spacing).double().mean().item()
