"""Checks of the last card of Appendix A: the Fréchet distance, a bet on its bias, and a set that fools it."""

import torch

from course_utils.checks.machinery import call, exercise, expect, expect_close, expect_shape
from course_utils.checks.mistakes import expect_none_of, expect_number, explained, normal


def _root(matrix: torch.Tensor) -> torch.Tensor:
    """The symmetric root of a positive definite matrix."""
    values, vectors = torch.linalg.eigh(matrix)
    return vectors * values.sqrt() @ vectors.T


@exercise(
    "A.frechet",
    verified=(
        "0 for equal Gaussians, one dimension by hand, covariances that do not commute, both orders,"
        " float64 moments of fewer points than dimensions"
    ),
)
def frechet(fn):
    mean_a, mean_b = normal(4, seed=4), normal(4, seed=5)
    a, b = (normal(9, 4, seed=s).T.cov() + 0.1 * torch.eye(4).double() for s in (2, 3))
    out = call(fn, mean_a, a, mean_b, b)
    expect_shape(out, (), "The distance is one number, a tensor without dimensions.")
    expect(
        not out.is_complex(), "the result is a complex number: take the .real part of the eigenvalues first."
    )
    root = _root(a)
    cross = torch.linalg.eigvalsh(root @ b @ root).sqrt().sum()
    goal = (mean_a - mean_b).square().sum() + a.trace() + b.trace() - 2 * cross
    _frechet_hints(out, mean_a, a, mean_b, b, cross)
    expect_close(
        out,
        goal,
        "for covariances that do not commute the value is wrong: the λ are the eigenvalues of Σ₁^½ Σ₂"
        " Σ₁^½ (the same as those of Σ₁Σ₂), and their roots are added.",
        atol=1e-6,
    )
    expect_close(
        call(fn, mean_b, b, mean_a, a), goal, "exchanging the two Gaussians changes the distance.", atol=1e-6
    )
    expect_close(call(fn, mean_a, a, mean_a, a), 0.0, "equal Gaussians have a distance of 0.", atol=1e-5)
    one, origin = torch.ones(1, 1), torch.zeros(1)
    apart = call(fn, origin, one, torch.tensor([3.0]), one)
    expect_close(apart, 9.0, "in one dimension unit Gaussians around 0 and 3 are 9 apart.", atol=1e-4)
    wide = call(fn, origin, one, origin, 4 * one)
    expect_close(wide, 1.0, "in one dimension deviations 1 and 2 are (2 − 1)² = 1 apart.", atol=1e-4)
    _few_points(fn)


def _frechet_hints(out, mean_a, a, mean_b, b, cross):
    """Name the usual slips by what they give for two Gaussians in four dimensions."""
    gap, traces = mean_a - mean_b, a.trace() + b.trace()
    shift = gap.square().sum()
    rest, root_a, root_b = traces - 2 * cross, _root(a), _root(b)
    values = torch.linalg.eigvals(a @ b).real
    lower, upper = (torch.linalg.eigvalsh(a @ b, UPLO=side).clamp(min=0).sqrt().sum() for side in "LU")
    entries = (a @ b).clamp(min=0).sqrt().trace()
    of_matrix = "the root of a matrix is not the root of each entry: take the roots of its eigenvalues"
    symmetric = "eigvalsh needs a symmetric matrix, and Σ₁Σ₂ is none: take the eigenvalues of Σ₁^½ Σ₂ Σ₁^½"
    mistakes = {
        "the shift of the means enters squared: square the shift, take no root.": gap.norm() + rest,
        "the shift of the means is averaged over the dimensions: add up its squares.": shift / 4 + rest,
        "the shift of the means is missing: ‖μ₁ − μ₂‖².": rest,
        "the covariances are missing: this is ‖μ₁ − μ₂‖² alone.": shift,
        "the cross term must be subtracted twice: − 2 Σ √λ.": shift + traces - cross,
        "the cross term is missing: − 2 Σ √λ.": shift + traces,
        "the cross term is added: subtract it, − 2 Σ √λ.": shift + traces + 2 * cross,
        "the traces are missing: tr Σ₁ + tr Σ₂.": shift - 2 * cross,
        "this is the root of the distance: the *squared* Fréchet distance is asked for.": (
            shift + rest
        ).sqrt(),
        "the eigenvalues are added as they are: take the roots of the eigenvalues, then add.": (
            shift + traces - 2 * values.sum()
        ),
        "the singular values of Σ₁Σ₂ are taken: it is not symmetric, so its eigenvalues are others.": (
            shift + traces - 2 * torch.linalg.svdvals(a @ b).sqrt().sum()
        ),
        "the eigenvalues of Σ₁ and of Σ₂ are multiplied one by one: take those of Σ₁^½ Σ₂ Σ₁^½.": (
            shift + traces - 2 * (torch.linalg.eigvalsh(a).sqrt() @ torch.linalg.eigvalsh(b).sqrt())
        ),
        "the roots of the eigenvalues are averaged: add them.": shift + traces - cross / 2,
        "the distance is divided by the number of dimensions: it is a sum.": (shift + rest) / 4,
        "the root is taken of the sum: take the root of each eigenvalue, then add.": (
            shift + traces - 2 * values.sum().sqrt()
        ),
        f"{of_matrix} (here of Σ₁Σ₂).": shift + traces - 2 * entries,
        f"{of_matrix} (here of Σ₁ and of Σ₂).": (
            shift + traces - 2 * (a.clamp(min=0).sqrt() @ b.clamp(min=0).sqrt()).trace()
        ),
        f"{symmetric}.": shift + traces - 2 * lower,
        f"{symmetric}, not of one triangle.": shift + traces - 2 * upper,
        "this is the distance of the square roots: right only if the covariances commute. Take the"
        " eigenvalues of Σ₁^½ Σ₂ Σ₁^½.": shift + (root_a - root_b).square().sum(),
        "only the variances are compared: the covariances enter, too, by the eigenvalues of Σ₁^½ Σ₂ Σ₁^½.": (
            shift + (a.diagonal().sqrt() - b.diagonal().sqrt()).square().sum()
        ),
        "the root of Σ₁ stands on one side only: the matrix is Σ₁^½ Σ₂ Σ₁^½.": (
            shift + traces - 2 * torch.linalg.eigvals(root_a @ b).real.clamp(min=0).sqrt().sum()
        ),
        "this is ‖Σ₁ − Σ₂‖² of the covariances, not of their roots: use tr Σ₁ + tr Σ₂ − 2 Σ √λ.": (
            shift + (a - b).square().sum()
        ),
    }
    expect_none_of(out, mistakes)
    expect(torch.isfinite(out), f"the result is infinite or not a number; {of_matrix}.")


def _few_points(fn):
    """Covariances of 4 points in 8 dimensions: most eigenvalues are 0, and rounding makes some negative."""
    for seed in range(6):
        x, y = normal(4, 8, seed=seed), 2 * normal(4, 8, seed=seed + 10)
        cross = torch.linalg.svdvals(
            (x - x.mean(0)) @ (y - y.mean(0)).T / 3
        ).sum()  # the same Σ √λ, from the points
        goal = (x.mean(0) - y.mean(0)).square().sum() + x.T.cov().trace() + y.T.cov().trace() - 2 * cross
        with explained(
            "with fewer points than dimensions the covariances are singular: use eigh, which works."
        ):
            out = call(fn, x.mean(0), x.T.cov(), y.mean(0), y.T.cov())
        expect(
            torch.isfinite(out),
            "with fewer points than dimensions eigenvalues are 0, rounding makes some negative, and their"
            " root is not a number: clamp(min=0) first, both times.",
        )
        expect_close(
            out,
            goal,
            "with fewer points than dimensions the value is wrong: an eigenvalue of 0 breaks it. Clamp at"
            " 0, and add nothing.",
            rtol=2e-3,
        )


@exercise("A.fall", verified="a factor of at least 1; whether it is right, the next cell shows")
def expected_fall(fn):
    bet = call(fn)
    expect_number(bet, "the factor")
    expect(
        bet >= 1, "a fall by a factor is a number of at least 1: distance at n = 100 over that at n = 1,000."
    )


@exercise(
    "A.fool",
    verified="2d points with exactly the mean and the covariance of the data, in three and in six dimensions",
)
def fool_the_ruler(fn):
    for d in (3, 6):
        x = normal(40, d, seed=d) @ normal(d, d, seed=d + 1) + torch.arange(1.0, d + 1)
        made = call(fn, x)
        expect_shape(made, (2 * d, d), "a pair of points for each of the d columns of L.")
        expect(
            torch.isfinite(made).all(),
            "some points are not numbers: the factor L is not the root of each entry.",
        )
        made = made.double()
        expect_none_of(
            made.mean(0),
            {"the mean of the data is missing: mean + step and mean − step.": torch.zeros(d)},
        )
        expect_close(
            made.mean(0),
            x.mean(0),
            "the mean is off, so the ruler sees it: the points come in pairs, mean + step and mean − step.",
            atol=1e-6,
        )
        _fool_hints(made.T.cov(), x)
        expect_close(
            made.T.cov(),
            x.T.cov(),
            "the covariance differs, so the ruler is not fooled: the steps must be multiples of the"
            " columns of a factor L with L Lᵀ = Σ.",
            atol=1e-6,
        )


def _fool_hints(found, x):
    """Name the usual slips by the covariance that they give: factors of Σ, and wrong factors L."""
    d, goal = x.shape[1], x.T.cov()
    factor = torch.linalg.cholesky(goal)
    scale = 2 / (2 * d - 1)  # what x.T.cov() makes of steps of length 1
    small = "the covariance has the right shape but is too small"
    large = "the covariance has the right shape but is too large"
    mistakes = {
        f"{small}: the 2d squares add up to 2c² Σ, which is divided by 2d − 1, so c² = (2d − 1)/2.": scale
        * goal,
        "almost: c = √d is right if the covariance is divided by 2d; x.T.cov() divides by 2d − 1.": scale
        * d
        * goal,
        f"{large}: the squares of both points of a pair count, so c² is (2d − 1)/2, not 2d − 1.": 2 * goal,
        f"{large}: c is the root of (2d − 1)/2, you multiply by (2d − 1)/2.": goal / scale,
        f"{large}: each pair has two points, c² = (2d − 1)/2 and not 2d.": scale * 2 * d * goal,
        f"{small}: c² = (2d − 1)/2 belongs to 2d points, yours is that of d points.": scale
        * (d - 1)
        / 2
        * goal,
        "the steps are the rows of L: they are its columns, so that the squares add up to L Lᵀ.": factor.T
        @ factor,
        "the steps are rows of the factor: they are its columns, so that the squares add up to L Lᵀ.": (
            torch.linalg.eigvalsh(goal).diag()
        ),
        "all points are the mean: add and subtract multiples of the columns of L.": 0 * goal,
        "the eigenvectors have length 1: multiply each by the root of its eigenvalue.": torch.eye(d),
        "the steps are those of the correlations: L Lᵀ is the covariance, x.T.cov().": x.T.corrcoef(),
        "the steps are the columns of Σ: they are those of its factor L.": goal @ goal,
        "only the variances are right: the steps are the columns of L, which mix the coordinates.": (
            goal.diagonal().diag()
        ),
    }
    expect_none_of(found, mistakes, atol=1e-6)
    biased = (x - x.mean(0)).T @ (x - x.mean(0)) / len(x)
    hint = "the covariance of the data is the unbiased one, x.T.cov(), which divides by n − 1."
    expect_none_of(found, {hint: biased}, atol=1e-6)
