"""Checks of lesson 01's exercises on linear discriminant analysis: its line, and data that break it."""

import numpy as np
import torch
from torch.distributions import MultivariateNormal

from course_utils.checks.machinery import call, exercise, expect, expect_close, expect_like, expect_shape
from course_utils.checks.mistakes import expect_none_of


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
        "w is scaled to length 1: its length says how sure the line is, so leave it.": right / right.norm(),
        "Σ⁻¹ is applied twice: w is Σ⁻¹(μ₁ − μ₀).": torch.linalg.solve(cov, right),
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
        "b lacks the term of μ₀: + ½ μ₀ᵀΣ⁻¹μ₀.": -0.5 * mean1 @ torch.linalg.solve(cov, mean1) + odds,
        "b lacks the term of μ₁: − ½ μ₁ᵀΣ⁻¹μ₁.": 0.5 * mean0 @ torch.linalg.solve(cov, mean0) + odds,
        "b holds the term of one mean only: −½ (μ₁ + μ₀)ᵀ w.": -0.5 * mean1 @ right + odds,
        "b is only the prior's term: the means enter too, −½ (μ₁ + μ₀)ᵀ w.": odds,
    }
    if prior1 != 0.5:
        mistakes |= {
            "b ignores the prior: with a rare class 1 the line must move towards it. Add log(π₁/π₀).": square,
            "the prior's term has the wrong sign: log(π₁/π₀).": square - odds,
            "the prior's term is log π₁: it is log(π₁/π₀), the log-odds.": square + np.log(prior1),
            "the prior's term is −log π₀: it is log(π₁/π₀).": square - np.log(1 - prior1),
            "the prior's term is π₁/π₀: take its logarithm.": square + odds.exp(),
            "the prior's term is π₁: it is log(π₁/π₀).": square + prior1,
            "the prior's term has a logarithm to base 10: take the natural one.": square + odds / np.log(10),
            "the prior's term is halved: only the quadratic terms have the ½.": square + odds / 2,
        }
    expect_none_of(b, mistakes)
    expect_close(b, square + odds, "w is right, b is not: −½ (μ₁ + μ₀)ᵀΣ⁻¹(μ₁ − μ₀) + log(π₁/π₀), eq. (6).")


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
        y.dtype in (torch.int32, torch.int64),
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
