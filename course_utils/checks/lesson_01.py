"""Checks of lesson 01: the posterior in log-space, LDA's line, marginalising hidden pixels, naive Bayes."""

import torch
from torch.distributions import MultivariateNormal

from course_utils.checks.machinery import call, exercise, expect, expect_close, expect_shape


@exercise(
    "01.posterior",
    verified=(
        "rows sum to 1; agrees with Bayes' rule on small numbers and uses the prior; survives log-likelihoods"
        " of −1,000"
    ),
)
def posterior(fn):
    likelihood = torch.tensor([[0.2, 0.1, 0.4], [0.05, 0.5, 0.3], [0.3, 0.3, 0.3], [0.9, 0.1, 0.2]])
    prior = torch.tensor([0.5, 0.2, 0.3])
    out = call(fn, likelihood.log(), prior)
    expect_shape(out, (4, 3), "one probability per example (row) and class (column).")
    expect(
        (out >= -1e-6).all(),
        "probabilities are not negative: did you return log-probabilities? Take exp last.",
    )
    columns = out.sum(0)
    rows_fail = not torch.allclose(out.sum(1), torch.ones(4), atol=1e-5)
    expect(
        not (rows_fail and torch.allclose(columns, torch.ones(3), atol=1e-5)),
        "the columns sum to 1 instead of the rows: normalise over the classes (dim=1), not over the"
        " examples.",
    )
    expect(
        not rows_fail,
        "each row must sum to 1: subtract the log-sum-exp over the classes before you take exp.",
    )
    no_prior = likelihood / likelihood.sum(1, keepdim=True)
    expect(
        not torch.allclose(out, no_prior, atol=1e-5),
        "the prior is missing: add log π to the log-likelihoods before you normalise.",
    )
    joint = likelihood * prior
    expect_close(
        out, joint / joint.sum(1, keepdim=True), "on small numbers it should agree with Bayes' rule, eq. (1)."
    )
    far = call(fn, torch.tensor([[-1000.0, -1001.0, -1002.0], [-3000.0, -2000.0, -2500.0]]), prior)
    expect(
        torch.isfinite(far).all(),
        "log-likelihoods of −1,000 give 0/0: exp underflows. Stay in log-space: subtract torch.logsumexp,"
        " then exp.",
    )
    near = call(fn, torch.tensor([[0.0, -1.0, -2.0]]), prior)
    expect_close(far[:1], near, "adding the same constant to all classes must not change the posterior.")


@exercise(
    "01.lda",
    verified="σ(wᵀx + b) equals Bayes' rule with two Gaussians at 200 points, in two and in five dimensions",
)
def lda_line(fn):
    for d, prior1 in ((2, 0.5), (5, 0.2)):
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
        expect_shape(w, (d,), "w has one entry per dimension.")
        expect(torch.as_tensor(b).numel() == 1, "b is one number.")
        b = torch.as_tensor(b, dtype=torch.float64).reshape(())
        _lda_hints(w.to(torch.float64), b, mean0, mean1, cov, prior1)
        log_odds = _log_odds(x, mean0, mean1, cov, prior1)
        expect_close(
            torch.sigmoid(x @ w.to(torch.float64) + b),
            torch.sigmoid(log_odds),
            "σ(wᵀx + b) should equal the posterior from Bayes' rule at every point; work through eq. (6) term"
            " by term.",
        )


def _log_odds(x, mean0, mean1, cov, prior1):
    log_ratio = MultivariateNormal(mean1, cov).log_prob(x) - MultivariateNormal(mean0, cov).log_prob(x)
    return log_ratio + torch.tensor(prior1 / (1 - prior1), dtype=x.dtype).log()


def _lda_hints(w, b, mean0, mean1, cov, prior1):
    """Name the usual slips in w and b before the general comparison."""
    right = torch.linalg.solve(cov, mean1 - mean0)
    expect(
        not torch.allclose(w, -right),
        "the sign of w is turned: large wᵀx must speak for class 1, so μ₁ − μ₀.",
    )
    expect(
        not torch.allclose(w, mean1 - mean0, rtol=1e-4),
        "w is only the difference of the means: multiply it by Σ⁻¹ (torch.linalg.solve(cov, mean1 - mean0)).",
    )
    expect(
        not torch.allclose(w, cov @ (mean1 - mean0), rtol=1e-4),
        "w is multiplied by Σ instead of its inverse: torch.linalg.solve(cov, mean1 - mean0).",
    )
    expect_close(w, right, "w should be Σ⁻¹(μ₁ − μ₀), eq. (6).")
    odds = torch.tensor(prior1 / (1 - prior1), dtype=torch.float64).log()
    target = _log_odds(torch.zeros(1, len(w), dtype=w.dtype), mean0, mean1, cov, prior1)[0]
    if prior1 != 0.5:
        expect(
            not torch.allclose(b, target - odds),
            "b ignores the prior: with a rare class 1 the line must move towards it. Add log(π₁/π₀).",
        )
        expect(not torch.allclose(b, target - 2 * odds), "the prior's term has the wrong sign: log(π₁/π₀).")
    expect(not torch.allclose(b - odds, 2 * (target - odds)), "b is missing the factor ½ before μᵀΣ⁻¹μ.")
    expect(
        not torch.allclose(b - odds, odds - target),
        "the two quadratic terms of b have swapped signs: −½ for μ₁.",
    )


@exercise(
    "01.marginal",
    verified=(
        "equals the Gaussian of the visible block, and the joint density integrated over a hidden pixel; "
        "hidden values have no influence"
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
    all_seen = torch.ones(d, dtype=torch.bool)
    joint = MultivariateNormal(mean, cov)
    out = call(fn, x, all_seen, mean, W, sigma2)
    expect_shape(out, (3,), "one log-density per image: the sum over pixels is already inside log_prob.")
    expect_close(
        out,
        joint.log_prob(x),
        "with every pixel visible this is the ordinary log-density of N(μ, WWᵀ + σ²I).",
    )
    out = call(fn, x, seen, mean, W, sigma2)
    expect_shape(out, (3,), "one log-density per image, with some pixels hidden too.")
    _marginal_hints(out, joint, x, seen, mean)
    other = torch.where(seen, x, torch.full_like(x, 7.0))
    expect_close(
        call(fn, other, seen, mean, W, sigma2),
        out,
        "changing the hidden pixels changes your answer: it must not look at them. Index with x[:, seen].",
    )
    block = MultivariateNormal(mean[seen], cov[seen][:, seen])
    hint = "the visible pixels are N(μ_v, W_v W_vᵀ + σ²I): drop the hidden rows of μ and of W."
    expect_close(out, block.log_prob(x[:, seen]), hint)
    _integrates(fn, joint, x, mean, W, sigma2)


def _marginal_hints(out, joint, x, seen, mean):
    """Recognise a filled-in image by its value."""
    expect(
        not torch.allclose(out, joint.log_prob(torch.where(seen, x, 0.0))),
        "this is the density of an image whose hidden pixels are 0 (white paper). Zero is a value too: it is"
        " evidence. Remove the hidden pixels instead of filling them.",
    )
    expect(
        not torch.allclose(out, joint.log_prob(torch.where(seen, x, mean))),
        "this is the density of an image whose hidden pixels equal the class mean, so each class scores a"
        " picture of its own making. Integrate them out: remove their rows.",
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
    expect_close(
        out[0], integral, "the marginal is the joint density integrated over the hidden pixel.", atol=1e-4
    )


@exercise(
    "01.naive_bayes",
    verified=(
        "equals hand counts on six images; α = 0 gives frequencies; no ink in any class still leaves 0 <"
        " θ < 1"
    ),
)
def naive_bayes_theta(fn):
    x = torch.tensor([[1, 0, 1], [1, 0, 0], [0, 0, 1], [1, 0, 1], [1, 1, 0], [0, 1, 0]], dtype=torch.float32)
    y = torch.tensor([0, 0, 0, 0, 1, 1])
    out = call(fn, x, y, 1.0, 2)
    expect_shape(out, (2, 3), "one row per class, one column per pixel.")
    counts, n = torch.tensor([[3.0, 0.0, 3.0], [1.0, 2.0, 0.0]]), torch.tensor([[4.0], [2.0]])
    raw = call(fn, x, y, 0.0, 2)
    expect(
        not torch.allclose(raw, counts / len(x)),
        "you divide by all images: divide by the number of images of that class, n_k.",
    )
    expect_close(
        raw, counts / n, "with α = 0 each entry is the fraction of the class's images with ink there."
    )
    expect(
        not torch.allclose(out, counts / n),
        "α has no effect: without smoothing a pixel that was never inked gets θ = 0, and one stray dot rules"
        " out a class.",
    )
    expect(
        not torch.allclose(out, (counts + 1) / n),
        "α is added to the count but not to the total, so θ can reach 1: divide by n_k + 2α.",
    )
    expect(
        not torch.allclose(out, (counts + 1) / (n + 1)),
        "divide by n_k + 2α: a pixel has two values, ink and paper, and α imaginary images of each.",
    )
    expect(
        not torch.allclose(out, (counts + 1) / (n + 3)),
        "the denominator holds α × (number of pixels): that is for words in a document. A pixel has two"
        " values, so n_k + 2α.",
    )
    expect_close(out, (counts + 1) / (n + 2), "eq. (10): (ink counts + α) / (n_k + 2α).")
    empty = call(fn, torch.zeros(2, 3), torch.tensor([0, 2]), 0.5, 3)
    expect_shape(empty, (3, 3), "a class without any image needs its row too: use the argument `classes`.")
    expect(
        ((empty > 0) & (empty < 1)).all(), "with α > 0 every entry lies between 0 and 1, even without data."
    )
