"""Checks of lesson 01: the posterior in log-space, LDA's line, a sampler, data that
break LDA, naive Bayes, and bets. What hides pixels is in `lesson_01_masks.py`."""

import numbers

import numpy as np
import torch
from torch.distributions import MultivariateNormal

from course_utils.checks import lesson_01_masks  # noqa: F401  registers 01.marginal and 01.hole_loss
from course_utils.checks.machinery import call, exercise, expect, expect_close, expect_like, expect_shape
from course_utils.checks.mistakes import expect_none_of


@exercise(
    "01.posterior",
    verified=(
        "agrees with Bayes' rule on small numbers and uses the prior; a single example; survives"
        " log-likelihoods of −3,000 and of 800, also side by side"
    ),
)
def posterior(fn):
    likelihood = torch.tensor([[0.2, 0.1, 0.4], [0.05, 0.5, 0.3], [0.3, 0.3, 0.3], [0.9, 0.1, 0.2]])
    prior = torch.tensor([0.5, 0.2, 0.3])
    out = call(fn, likelihood.log(), prior)
    expect_shape(out, (4, 3), "one probability per example (row) and class (column).")
    _posterior_hints(out, likelihood, prior)
    joint = likelihood * prior
    expect_close(
        out, joint / joint.sum(1, keepdim=True), "on small numbers it should agree with Bayes' rule, eq. (1)."
    )
    single = call(fn, torch.tensor([[0.3, -0.2]]), torch.tensor([0.9, 0.1]))
    expect_shape(single, (1, 2), "one example has a row, too: do not squeeze.")
    far = torch.tensor([[-1000.0, -1001.0, -1002.0], [-3000.0, -2000.0, -2000.5], [800.0, 801.0, 799.5]])
    right = (far.double() + prior.double().log()).softmax(1)
    for row, what in ((0, "−1,000 give 0/0: exp underflows"), (2, "800 give ∞/∞: exp overflows")):
        expect(
            torch.isfinite(call(fn, far[row : row + 1], prior)).all(),
            f"log-likelihoods of {what}. Stay in log-space: subtract torch.logsumexp, then exp.",
        )
    out = call(fn, far, prior)
    expect(
        torch.isfinite(out).all(),
        "rows of −1,000, −3,000 and 800 in one table fail, although each alone does not: subtract the"
        " log-sum-exp of each row, not one maximum of the whole table.",
    )
    expect_none_of(
        out[:1],
        {
            "for log-likelihoods of −1,000 a small number in the denominator wins over all classes: add"
            " none, and stay in log-space with torch.logsumexp.": torch.zeros(1, 3),
            "the log-likelihoods are clamped, which makes all classes alike at −1,000: leave them, and subtract"
            " torch.logsumexp.": prior[None],
        },
    )
    expect_close(
        out,
        right,
        "adding the same constant to all classes must not change the posterior, and it does for"
        " log-likelihoods of −1,000 or 800: clamp nothing, and add no small number to the sum.",
    )


def _posterior_hints(out, likelihood, prior):
    """Name the usual slips by what they give on small numbers."""
    joint, log_lik = likelihood * prior, likelihood.log()
    right = joint / joint.sum(1, keepdim=True)
    expect_none_of(
        out,
        {
            "probabilities are not negative: did you return log-probabilities? Take exp last.": right.log(),
            "the columns sum to 1 instead of the rows: normalise over the classes (dim=1), not over the"
            " examples.": joint / joint.sum(0),
            "the whole table sums to 1: each row is one example's posterior, so normalise over dim=1 only.": (
                joint / joint.sum()
            ),
            "each row must sum to 1: subtract the log-sum-exp over the classes before you take exp.": joint,
            "this is the logarithm of π_k p(x | k): normalise over the classes, then exp.": joint.log(),
            "the prior is missing: add log π to the log-likelihoods before you normalise.": log_lik.softmax(
                1
            ),
            "the prior is added to log-likelihoods without its logarithm: log_lik + prior.log().": (
                (log_lik + prior).softmax(1)
            ),
            "the log-likelihoods are multiplied by the prior: in log-space it is a sum, log_lik +"
            " prior.log().": ((log_lik * prior).softmax(1)),
            "the log prior is subtracted: add it, a frequent class is more probable.": (
                (log_lik - prior.log()).softmax(1)
            ),
            "the prior counts twice: add log π once.": (log_lik + 2 * prior.log()).softmax(1),
            "the prior is multiplied in after the normalisation: add log π before it.": log_lik.softmax(1)
            * prior,
            "exp is applied twice: normalise log-likelihoods plus log prior, then take exp once.": (
                joint.softmax(1)
            ),
            "this says 1 for the most probable class and 0 for the others: return the probabilities.": (
                torch.eye(3)[joint.argmax(1)]
            ),
        },
    )
    expect((out >= -1e-6).all(), "probabilities are not negative.")
    expect_close(out.sum(1), torch.ones(4), "each row must sum to 1: normalise over the classes, dim=1.")


@exercise(
    "01.lda",
    verified=(
        "w and b as in (6) in one, two and five dimensions; sigmoid(wᵀx + b) equals Bayes' rule with two"
        " Gaussians at 200 points"
    ),
)
def lda_line(fn):
    for d, prior1 in ((2, 0.3), (5, 0.8), (1, 0.5)):
        generator = torch.Generator().manual_seed(d)
        mean0, mean1 = torch.randn(2, d, generator=generator, dtype=torch.float64)
        root = torch.randn(d, d, generator=generator, dtype=torch.float64) / d**0.5
        cov = root @ root.T + 0.3 * torch.eye(d, dtype=torch.float64)
        x = torch.randn(200, d, generator=generator, dtype=torch.float64)
        out = call(fn, mean0, mean1, cov, prior1)
        expect(
            isinstance(out, tuple | list) and len(out) == 2,
            "return two things: the vector w and the number b.",
        )
        w, b = out
        expect_shape(w, (d,), "w has one entry per dimension, also in one dimension: do not squeeze.")
        expect_like(w, mean0, "keep the precision of the means, or x @ w fails.")
        expect(torch.as_tensor(b).numel() == 1, "b is one number.")
        b = torch.as_tensor(b, dtype=torch.float64).reshape(())
        _lda_hints(w, b, mean0, mean1, cov, prior1)
        expect_close(
            torch.sigmoid(x @ w + b),
            torch.sigmoid(_log_odds(x, mean0, mean1, cov, prior1)),
            "sigmoid(wᵀx + b) should equal the posterior from Bayes' rule at every point; work through"
            " eq. (6) term by term.",
        )


def _log_odds(x, mean0, mean1, cov, prior1):
    log_ratio = MultivariateNormal(mean1, cov).log_prob(x) - MultivariateNormal(mean0, cov).log_prob(x)
    return log_ratio + torch.tensor(prior1 / (1 - prior1), dtype=x.dtype).log()


def _lda_hints(w, b, mean0, mean1, cov, prior1):
    """Name the usual slips in w and b before the general comparison."""
    gap, total = mean1 - mean0, mean1 + mean0
    right = torch.linalg.solve(cov, gap)
    mistakes = {
        "the sign of w is turned: large wᵀx must speak for class 1, so μ₁ − μ₀.": -right,
        "w is only the difference of the means: multiply it by Σ⁻¹ (torch.linalg.solve(cov, mean1 -"
        " mean0)).": gap,
        "w is multiplied by Σ instead of its inverse: torch.linalg.solve(cov, mean1 - mean0).": cov @ gap,
        "w holds the sum of the means: it needs their difference, Σ⁻¹(μ₁ − μ₀).": torch.linalg.solve(
            cov, total
        ),
        "w is only half of Σ⁻¹(μ₁ − μ₀): the two quadratic forms give xᵀΣ⁻¹μ twice, so the ½ goes.": right
        / 2,
        "w is twice Σ⁻¹(μ₁ − μ₀).": 2 * right,
    }
    if len(w) > 1:
        mistakes[
            "w is divided by the variances alone: Σ⁻¹ is the inverse of the whole matrix, torch.linalg.solve."
        ] = gap / cov.diagonal()
        mistakes[
            "w is made with 1/Σ, entry by entry: Σ⁻¹ is the inverse matrix, torch.linalg.solve(cov, …)."
        ] = (1 / cov) @ gap
        mistakes["w is made with L⁻¹, the inverse of the Cholesky factor: Σ⁻¹ is L⁻ᵀL⁻¹."] = (
            torch.linalg.solve(torch.linalg.cholesky(cov), gap)
        )
    expect_none_of(w, mistakes)
    expect_close(w, right, "w should be Σ⁻¹(μ₁ − μ₀), eq. (6).")
    odds = torch.tensor(prior1 / (1 - prior1), dtype=torch.float64).log()
    square = -0.5 * total @ right  # what b is without the prior's term
    mistakes = {
        "b is missing the factor ½ before μᵀΣ⁻¹μ.": 2 * square + odds,
        "the two quadratic terms of b have swapped signs: −½ for μ₁.": odds - square,
        "b holds the difference of the means times w: (μ₁ − μ₀)ᵀΣ⁻¹(μ₁ + μ₀) has one sum and one difference.": (
            -0.5 * gap @ right + odds
        ),
        "the quadratic terms of b lack Σ⁻¹: −½ (μ₁ + μ₀)ᵀ w.": -0.5 * total @ gap + odds,
        "b is only the prior's term: the means enter too, −½ (μ₁ + μ₀)ᵀ w.": odds,
    }
    if prior1 != 0.5:
        mistakes |= {
            "b ignores the prior: with a rare class 1 the line must move towards it. Add log(π₁/π₀).": square,
            "the prior's term has the wrong sign: log(π₁/π₀).": square - odds,
            "the prior's term is log π₁: it is log(π₁/π₀), the log-odds.": square + np.log(prior1),
            "the prior's term is π₁/π₀: take its logarithm.": square + odds.exp(),
            "the prior's term is π₁: it is log(π₁/π₀).": square + prior1,
            "the prior's term has a logarithm to base 10: take the natural one.": square + odds / np.log(10),
            "the prior's term is halved: only the quadratic terms have the ½.": square + odds / 2,
        }
    expect_none_of(b, mistakes)
    expect_close(b, square + odds, "w is right, b is not: −½ (μ₁ + μ₀)ᵀΣ⁻¹(μ₁ − μ₀) + log(π₁/π₀), eq. (6).")


@exercise(
    "01.sample",
    verified=(
        "20,000 draws have mean μ and covariance WWᵀ + σ²I; a single draw; the noise comes from the"
        " generator, which goes on"
    ),
)
def sample_class(fn):
    generator = torch.Generator().manual_seed(0)
    d, q, n = 5, 2, 20_000
    mean = 3 * torch.randn(d, generator=generator, dtype=torch.float64)
    W = torch.randn(d, q, generator=generator, dtype=torch.float64)
    sigma2 = torch.tensor(2.0, dtype=torch.float64)
    out = call(fn, mean, W, sigma2, n, torch.Generator().manual_seed(1))
    expect_shape(out, (n, d), "one row per draw, one column per pixel.")
    expect(torch.isfinite(out).all(), "some draws are infinite or not a number.")
    going_on = torch.Generator().manual_seed(1)
    again, next_one, other = (
        call(fn, mean, W, sigma2, n, dice) for dice in (going_on, going_on, torch.Generator().manual_seed(2))
    )
    expect(
        torch.equal(out, again),
        "the same generator seed must give the same draws: hand `generator` to every torch.randn.",
    )
    expect(
        not torch.equal(out, other),
        "another generator gives the same draws: use the generator that is passed in, not one of your own.",
    )
    expect(
        not torch.equal(again, next_one),
        "a second call with the same generator gives the same draws: do not seed it, it goes on by itself.",
    )
    _sample_hints(out.double(), mean, W, sigma2)
    single = call(fn, mean, W, sigma2, 1, torch.Generator().manual_seed(4))
    expect_shape(single, (1, d), "n = 1 gives one row: do not squeeze.")
    bare = call(fn, mean, W, 0 * sigma2, 500, torch.Generator().manual_seed(2)) - mean
    expect(torch.isfinite(bare).all(), "without noise (σ² = 0) some draws are infinite or not a number.")
    expect(
        torch.linalg.matrix_rank(bare.double(), atol=1e-3, rtol=0.0) <= q,
        "without noise (σ² = 0) all draws must lie in the plane μ + W z.",
    )


def _sample_hints(out, mean, W, sigma2):
    """Name the usual slips by the covariance and the mean that they give."""
    cov, centre, eye = torch.cov(out.T), out.mean(0), torch.eye(len(mean), dtype=torch.float64)
    loadings, noise = W @ W.T, sigma2 * eye
    shared = (centre - mean).abs().max() > 0.1
    mistakes = {
        "the noise is too small: sigma2 is the variance, so σ is its square root.": loadings
        + sigma2**2 * eye,
        "the noise is too large: its standard deviation is σ, the root of sigma2, once.": loadings
        + sigma2**0.5 * eye,
        "the pixel noise is not scaled: multiply ε by σ, the root of sigma2.": loadings + eye,
        "all rows share one z: draw z with shape (n, q), one row per image.": noise,
        "all rows share one noise: draw ε with shape (n, d)."
        if shared
        else "the pixel noise σ ε is missing.": loadings,
        "all pixels of a draw share one noise: draw ε with shape (n, d).": loadings + sigma2,
        "z is uniform (torch.rand): it is normal, torch.randn.": loadings / 12 + noise,
        "z and ε are uniform (torch.rand): they are normal, torch.randn.": (loadings + noise) / 12,
        "ε is uniform (torch.rand): it is normal, torch.randn.": loadings + noise / 12,
        "z is scaled by σ too: only ε is.": sigma2 * loadings + noise,
    }
    expect_none_of(cov, mistakes, atol=0.08, rtol=0.03)
    target = loadings + noise
    close = torch.allclose(cov, target, atol=0.08, rtol=0.03)
    expect(close, "the covariance of the draws should be WWᵀ + σ²I, eq. (8).")
    expect_none_of(
        centre,
        {
            "the mean μ is missing: add it to W z + σ ε.": 0 * mean,
            "the mean is subtracted: μ + W z + σ ε.": -mean,
        },
        atol=0.06,
        rtol=0,
    )
    expect_close(centre, mean, "the mean of the draws should be μ.", atol=0.06, rtol=0)


@exercise(
    "01.break_lda",
    verified="a line separates your two classes, and LDA's line misclassifies at least one point in ten",
)
def break_lda(fn):
    for _ in range(2):  # the next cell calls it once more, and what it draws then must do as well
        _breaks(call(fn))


def _breaks(out):
    expect(isinstance(out, tuple | list) and len(out) == 2, "return two things: the points x and labels y.")
    x, y = out
    expect(
        isinstance(x, torch.Tensor) and x.ndim == 2 and x.shape[1] == 2,
        "x is a tensor of points in the plane, (N, 2).",
    )
    expect(x.dtype in (torch.float32, torch.float64), f"x holds float64 numbers, not {x.dtype}.")
    expect(not x.requires_grad, "x belongs to a graph, and scikit-learn cannot read it: end with .detach().")
    expect_shape(y, (len(x),), "one label per point.")
    expect(((y == 0) | (y == 1)).all(), "the labels are 0 and 1.")
    expect(
        not y.is_floating_point() and y.dtype != torch.bool,
        f"the labels are used as indices: make them whole numbers with y.long(), not {y.dtype}.",
    )
    expect(len(x) >= 20, "use at least 20 points.")
    expect(0.25 <= y.double().mean() <= 0.75, "each class needs at least a quarter of the points.")
    x, y = x.double(), y.long()
    expect(torch.isfinite(x).all(), "a point is infinite or not a number.")
    expect(
        _separable(x, y),
        "no line separates the two classes, so the task is not easy: LDA is not to blame for what no line"
        " can do.",
    )
    expect(
        torch.linalg.cholesky_ex(_pooled(x, y)).info == 0,
        "within the classes the points lie on a line, and a covariance like that has no inverse: scatter"
        " them in both coordinates.",
    )
    wrong = _lda_errors(x, y)
    expect(
        wrong > 0,
        "LDA classifies all your points correctly: give class 1 a second group, deep on its own side and far"
        " from the boundary.",
    )
    expect(
        wrong >= 0.1,
        f"LDA errs on {wrong:.0%} of the points only; move the far group farther, or make it larger.",
    )


def _separable(x, y):
    """Whether some line separates the classes without an error: a linear program with a margin of 1."""
    from scipy.optimize import linprog

    sign = (2 * y - 1).double()
    middle = x.mean(0)
    scale = (x - middle).abs().max()
    features = torch.cat([(x - middle) / scale, torch.ones(len(x), 1, dtype=x.dtype)], 1)
    found = linprog(
        [0.0] * 3, A_ub=(-sign[:, None] * features).numpy(), b_ub=[-1.0] * len(x), bounds=[(None, None)] * 3
    )
    return found.status == 0


def _pooled(x, y):
    """The covariance that the classes share, as the lesson estimates it."""
    means = torch.stack([x[y == k].mean(0) for k in (0, 1)])
    return torch.cov((x - means[y]).T)


def _lda_errors(x, y):
    """The share of points on the wrong side of LDA's line."""
    mean0, mean1 = (x[y == k].mean(0) for k in (0, 1))
    log_odds = _log_odds(x, mean0, mean1, _pooled(x, y), y.double().mean().item())
    return ((log_odds > 0).long() != y).double().mean().item()


@exercise(
    "01.naive_bayes",
    verified=(
        "equals hand counts for three classes and four pixels, with three values of α; a class without"
        " images and pixels without ink get 0 < θ < 1"
    ),
)
def naive_bayes_theta(fn):
    x = torch.tensor(
        [[1, 0, 1, 1], [1, 0, 0, 1], [0, 0, 1, 1], [1, 0, 1, 1], [1, 1, 0, 0], [0, 1, 0, 0], [0, 0, 1.0, 0]]
    )
    y = torch.tensor([0, 0, 0, 0, 2, 2, 1])
    counts, n = torch.tensor([[3.0, 0, 3, 4], [0, 0, 1, 0], [1, 2, 0, 0]]), torch.tensor([[4.0], [1], [2]])
    raw = call(fn, x, y, 0.0, 3)
    expect_shape(raw, (3, 4), "one row per class, one column per pixel.")
    expect_none_of(
        raw,
        {
            "you divide by all images: divide by the number of images of that class, n_k.": counts / len(x),
            "you divide by the ink of the class: divide by the number of its images, n_k.": (
                counts / counts.sum(1, keepdim=True)
            ),
            "you divide by the ink of each pixel in all classes: divide by the images of the class, n_k.": (
                counts / counts.sum(0)
            ),
            "these are counts: divide by the number of images of the class, n_k.": counts,
            "these are the shares of paper: θ is the probability of ink.": 1 - counts / n,
        },
    )
    hint = "with α = 0 each entry is the fraction of the class's images with ink there."
    expect_close(raw, counts / n, hint)
    for alpha in (1.5, 1.0):
        out = call(fn, x, y, alpha, 3)
        _smoothing_hints(out, counts, n, alpha)
        expect_close(out, (counts + alpha) / (n + 2 * alpha), "eq. (10): (ink counts + α) / (n_k + 2α).")
    expect_like(out, x, "θ multiplies images in the next cell.")
    x, y = torch.tensor([[0.0, 1, 0], [0, 0, 0]]), torch.tensor([0, 2])
    out = call(fn, x, y, 0.5, 5)
    hint = "a class without any image needs its row too: use the argument `classes` (minlength, num_classes)."
    expect_shape(out, (5, 3), hint)
    right = torch.full((5, 3), 0.5)
    right[0], right[2] = torch.tensor([0.25, 0.75, 0.25]), 0.25
    expect_close(out, right, "a class without images has θ = α / 2α = ½ everywhere, by eq. (10).")


def _smoothing_hints(out, counts, n, alpha):
    """Name the usual slips with α, for three classes and four pixels."""
    top = counts + alpha
    mistakes = {
        "α has no effect: without smoothing a pixel that was never inked gets θ = 0, and one stray dot rules"
        " out a class.": counts / n,
        "α is added to the count but not to the total, so θ can reach 1: divide by n_k + 2α.": top / n,
        "α is added to the total but not to the count: the numerator is the ink count + α.": (
            counts / (n + 2 * alpha)
        ),
        "divide by n_k + 2α: a pixel has two values, ink and paper, and α imaginary images of each.": (
            top / (n + alpha)
        ),
        "the denominator holds α × (number of pixels): that is for words in a document. A pixel has two"
        " values, so n_k + 2α.": top / (n + 4 * alpha),
        "the denominator holds α × (number of classes): a pixel has two values in any class, so n_k + 2α.": (
            top / (n + 3 * alpha)
        ),
        "you divide by all images: divide by the number of images of that class, n_k + 2α.": (
            top / (n.sum() + 2 * alpha)
        ),
        "2α is added to the count too: α there, 2α below.": (counts + 2 * alpha) / (n + 2 * alpha),
    }
    if alpha != 1:
        mistakes |= {
            "α is ignored and 1 added: use the argument alpha.": (counts + 1) / (n + 2),
            "the denominator is n_k + 2 whatever α is: n_k + 2α.": top / (n + 2),
        }
    expect_none_of(out, mistakes)


@exercise("01.bets", verified="five bets are in; the table below sets them beside the measurement")
def my_bets(fn):
    out = call(fn)
    out = out.tolist() if isinstance(out, torch.Tensor | np.ndarray) else out
    expect(isinstance(out, list | tuple), "return a list of five numbers.")
    expect(len(out) == 5, "five bets, please: letters, upside down, noise, blurred, blank sheet.")
    for bet in out:
        expect(
            isinstance(bet, numbers.Real) and not isinstance(bet, bool),
            "each bet is a number, written 0.8 for instance.",
        )
    expect(
        not (max(out) > 1 and max(out) <= 100 and min(out) >= 0),
        "these look like percentages: an AUROC runs from 0 to 1.",
    )
    expect(all(0 <= bet <= 1 for bet in out), "an AUROC is a probability, from 0 to 1.")
