"""Checks of lesson 07: Fréchet distance of features, precision and recall, a committed guess, paired
differences, the densest image."""

import math

import torch

from course_utils.checks.machinery import call, exercise, expect, expect_close, expect_shape


def _cloud(n, d, seed, scale=1.0):
    return scale * torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _distance(a, b):
    """Equation (2) the symmetric way, with singular values in place of eigenvalues."""
    gap, x, y = a.mean(0) - b.mean(0), a - a.mean(0), b - b.mean(0)
    x, y = x / math.sqrt(len(a) - 1), y / math.sqrt(len(b) - 1)
    return gap.square().sum() + x.square().sum() + y.square().sum() - 2 * torch.linalg.svdvals(x @ y.T).sum()


@exercise(
    "07.frechet",
    verified=(
        "0 for a set with itself, ‖shift‖² for a moved set, (s − 1)² tr Σ for a scaled one; works for n < d"
    ),
)
def frechet(fn):
    a = _cloud(60, 5, 1) @ _cloud(5, 5, 2)
    zero = call(fn, a, a)
    expect_shape(zero, (), "one number for the two sets.")
    expect_close(
        zero, 0.0, "a set has distance 0 from itself: is it − 2 times the trace of the root?", atol=1e-6
    )
    shift = torch.arange(5, dtype=torch.float64)
    moved = call(fn, a, a + shift)
    root = shift.norm()
    expect(
        not torch.allclose(moved, root, rtol=1e-4),
        "this is the root of the distance; equation (2) is the square.",
    )
    expect_close(
        moved, root**2, "a set moved by s has distance ‖s‖²: squares of the difference of means, summed."
    )
    trace = a.T.cov().trace()
    wide = call(fn, a, 3 * (a - a.mean(0)) + a.mean(0))
    expect(
        not torch.allclose(wide, 4 * trace * (len(a) - 1) / len(a), rtol=1e-6),
        "divide by n − 1 for the covariance (x.T.cov() does).",
    )
    expect_close(
        wide,
        4 * trace,
        "three times as wide about the same mean is (3 − 1)² tr Σ: take the root of each eigenvalue of Σ_a"
        " Σ_b, then the sum.",
    )
    b = _cloud(40, 5, 3) @ _cloud(5, 5, 4) + 1
    expect_close(
        call(fn, a, b), _distance(a, b), "two different covariances: the root is that of the product Σ_a Σ_b."
    )
    few, more = _cloud(6, 20, 5), _cloud(50, 20, 6)
    thin = call(fn, few, more)
    expect(
        torch.isfinite(thin).all() and not torch.is_complex(thin),
        "with fewer images than features Σ is singular, and rounding makes an eigenvalue slightly negative or"
        " complex: take the real part and clamp at 0 before the root.",
    )
    expect_close(thin, _distance(few, more), "with fewer images than features (n < d) it is off.", atol=1e-4)


def _inside(points, centres, k):
    radii = torch.cdist(centres, centres).kthvalue(k + 1, dim=1).values
    return (torch.cdist(points, centres) < radii).any(1).double().mean()


@exercise(
    "07.neighbours",
    verified=(
        "precision and recall in this order; the point itself is no neighbour; agrees with a brute-force"
        " count"
    ),
)
def precision_recall(fn):
    real, fake = _cloud(80, 3, 7), torch.cat([_cloud(30, 3, 8, 0.3), _cloud(20, 3, 9) + 9])
    pair = call(fn, real, fake, 3)
    expect(isinstance(pair, (tuple, list)) and len(pair) == 2, "return two numbers: precision, then recall.")
    p, r = (torch.as_tensor(value, dtype=torch.float64) for value in pair)
    expect_shape(p, (), "precision is one number.")
    expect_shape(r, (), "recall is one number.")
    precision, recall = _inside(fake, real, 3), _inside(real, fake, 3)
    expect(
        not torch.allclose(p, recall) or not torch.allclose(r, precision), "the two are in the wrong order."
    )
    expect(
        not torch.allclose(p, _inside(fake, real, 2)),
        "your radius is the distance to the (k − 1)-th other point: each point is its own nearest neighbour,"
        " so look for place k + 1.",
    )
    expect(not torch.allclose(p, precision * len(fake)), "return shares, not counts.")
    expect(
        not torch.allclose(p, recall) and not torch.allclose(p, _inside(fake, fake, 3)),
        "precision: balls around the REAL points, share of FAKES inside.",
    )
    everyone = torch.cdist(fake, real) < torch.cdist(real, real).kthvalue(4, dim=1).values
    expect(
        not torch.allclose(p, everyone.double().mean()),
        "one ball is enough: any ball of a real point, not the average over balls.",
    )
    expect_close(p, precision, "precision differs from a count by hand.")
    expect(not torch.allclose(r, precision), "recall: turn the roles round, balls around the fakes.")
    expect_close(r, recall, "recall differs from a count by hand.")


@exercise("07.luck", verified="a number of per cent from 0 to 100 is committed; the next lines measure it")
def luck_of_the_best(fn):
    value = call(fn)
    expect(
        isinstance(value, (int, float)) and not isinstance(value, bool),
        "commit one number of per cent, such as 12.5.",
    )
    expect(math.isfinite(value), "commit a finite number.")
    expect(value >= 0, "the best is never above the average: a number from 0 to 100.")
    expect(value <= 100, "a distance cannot fall by more than 100 per cent.")


@exercise(
    "07.difference",
    verified=(
        "the mean of the differences, with its sign, and sd / √S with S − 1; what both share cancels; S = 2 works"
    ),
)
def paired_difference(fn):
    shared = 10 * _cloud(5, 1, 20)[:, 0]
    a, b = shared + _cloud(5, 1, 21)[:, 0] + 3, shared + _cloud(5, 1, 22)[:, 0]
    pair = call(fn, a, b)
    expect(
        isinstance(pair, (tuple, list)) and len(pair) == 2,
        "return two numbers: the mean difference and its standard error.",
    )
    mean, error = (float(value) for value in pair)
    gaps = a - b
    expect(abs(mean + gaps.mean().item()) > 1e-6, "the sign is turned: a − b, so that a larger a gives more.")
    expect_close(mean, gaps.mean(), "the first number is the mean of a − b.")
    apart = (a.var() / 5 + b.var() / 5).sqrt().item()
    expect(
        abs(error - apart) > 1e-3 * apart,
        "this is the error for sets that are not paired: take the differences first, then their spread.",
    )
    sd = gaps.std().item()
    expect(
        abs(error - sd) > 1e-3 * sd,
        "this is the spread of the differences; the error of their mean is smaller by the root of S.",
    )
    expect(
        abs(error - 0.4 * sd) > 1e-3 * sd,  # √(4/5) / √5
        "divide the squares by S − 1 within the standard deviation (torch.std does), and by the root of S after.",
    )
    expect(
        abs(error - sd / 5) > 1e-3 * sd and abs(error - sd**2 / 5) > 1e-3 * sd,
        "divide sd by the ROOT of S, once.",
    )
    expect_close(error, sd / 5**0.5, "the second number is sd(a − b) / √S.")
    expect_close(call(fn, a[:2], b[:2])[1], gaps[:2].std() / 2**0.5, "with two pairs it is off: S is len(a).")


def _balls(candidates, real, k):
    return (torch.cdist(candidates, real) < torch.cdist(real, real).kthvalue(k + 1, dim=1).values).sum(1)


@exercise(
    "07.densest",
    verified="indices of the right kind; no other choice of candidates has a higher density, on three clouds",
)
def densest(fn):
    for seed in (11, 14, 17):
        wide, tight = _cloud(60, 4, seed, 2.0), _cloud(25, 4, seed + 1, 0.3) + 6
        real, candidates = (
            torch.cat([wide, tight]),
            torch.cat([_cloud(50, 4, seed + 2, 2.0), tight[:12] + 0.3]),
        )
        picks = call(fn, real, candidates, 3, 20)
        expect_shape(picks, (20,), "n indices.")
        expect(picks.dtype == torch.int64, "return indices into candidates (int64), not images or features.")
        expect(bool(((picks >= 0) & (picks < len(candidates))).all()), "an index is out of range.")
        balls = _balls(candidates, real, 3)
        own = _balls(candidates, candidates, 3)
        worst = bool((balls[picks] == balls.min()).all())
        expect(not worst, "you picked the candidate that lies in the FEWEST balls.")
        expect(
            bool((balls[picks] == balls[picks[0]]).all()) or len(picks.unique()) < 20,
            "twenty different images: the second best lies in fewer balls than the best. Nothing forbids"
            " repetition.",
        )
        expect(
            balls[picks].double().mean() >= balls.max() or not bool((own[picks] == own.max()).all()),
            "the balls are those of the REAL points, not of the candidates.",
        )
        expect(
            balls[picks].double().mean() >= balls.max(),
            "another candidate lies in more balls of real points: nearness to the mean, or to one point, is"
            " not it.",
        )
