"""Checks of lesson 01: the posterior in log-space, a sampler, naive Bayes, and bets.

LDA's two exercises are in `lesson_01_lda.py`, the two that hide pixels in `lesson_01_masks.py`.
"""

import numbers

import numpy as np
import torch

from course_utils.checks import lesson_01_lda, lesson_01_masks  # noqa: F401  they register theirs
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
    for part, loadings, noise in (("z", W, 0 * sigma2), ("ε", 0 * W, sigma2)):
        one, two = (call(fn, mean, loadings, noise, 7, torch.Generator().manual_seed(s)) for s in (5, 6))
        expect(
            not torch.equal(one, two),
            f"{part} is the same whatever the generator is: hand `generator` to both torch.randn.",
        )
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
        "the noise is added to z: it is added to each pixel, after W z.": (1 + sigma2) * loadings,
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
    hint = "the noise is far too large: sigma2 is the variance, so take its root, do not square it."
    expect_none_of(cov, {hint: loadings + sigma2**4 * eye}, atol=0.7)
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
            "these are logarithms: return θ itself.": (counts / n).log(),
            "the rows are in another order: row k belongs to class k.": (counts / n).flip(0),
        },
    )
    inner = (counts > 0) & (counts < n)
    hint = "with α = 0 each entry is the fraction of the class's images with ink there."
    expect_close(raw[inner], (counts / n)[inner], hint)
    hint = "with α = 0 an entry is 0 or 1 where the class agrees: clamp nothing; the smoothing is all in α."
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
        "α is added to the fractions: add it to the counts.": (counts / n + alpha) / (1 + 2 * alpha),
        "α is doubled: α above, 2α below.": (counts + 2 * alpha) / (n + 4 * alpha),
        "α is halved: α above, 2α below.": (counts + alpha / 2) / (n + alpha),
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
