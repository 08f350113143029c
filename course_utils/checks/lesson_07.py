"""Checks of lesson 07: Fréchet distance of features, precision and recall, a committed guess, paired
differences, the densest image."""

import contextlib
import math

import torch

from course_utils.checks.machinery import call, exercise, expect, expect_close, expect_shape
from course_utils.checks.mistakes import expect_number, expect_value, explained, pair_of


def _cloud(n, d, seed, scale=1.0):
    return scale * torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _distance(a, b):
    """Equation (2) with singular values in place of eigenvalues; right for n < d, too."""
    gap, x, y = a.mean(0) - b.mean(0), a - a.mean(0), b - b.mean(0)
    x, y = x / math.sqrt(len(a) - 1), y / math.sqrt(len(b) - 1)
    return gap.square().sum() + x.square().sum() + y.square().sum() - 2 * torch.linalg.svdvals(x @ y.T).sum()


def _frechet_causes(a, b):
    """What usual mistakes make of equation (2): pairs (value, hint)."""
    gap, s, t = a.mean(0) - b.mean(0), a.T.cov(), b.T.cov()
    rows = (a.cov(), b.cov()) if len(a) == len(b) else (s, t)  # of images, not of features
    tilted = torch.linalg.eigvals(rows[0] @ rows[1]).real.clamp(min=0).sqrt().sum()
    one, both = gap.square().sum(), s.trace() + t.trace()
    right = _distance(a, b)
    roots = (one + both - right) / 2  # tr (Σ_a Σ_b)^½
    entries = (s @ t).clamp(min=0).sqrt().trace()
    lower = torch.linalg.eigvalsh(s @ t).clamp(min=0).sqrt().sum()
    singular = torch.linalg.svdvals(s @ t).sqrt().sum()
    p, q = (x.T.cov(correction=0) for x in (a, b))
    shrunk = one + p.trace() + q.trace()
    shrunk = shrunk - 2 * torch.linalg.eigvals(p @ q).real.clamp(min=0).sqrt().sum()
    apart = (s.diagonal().sqrt() - t.diagonal().sqrt()).square().sum()
    return (
        (right.sqrt(), "this is the root of the distance; equation (2) is the square"),
        (one + both - roots, "− 2 times the trace of the root: where is the 2?"),
        (one + both + 2 * roots, "the trace of the root is subtracted, not added"),
        (one + both, "the trace of the root is missing: − 2 tr (Σ_a Σ_b)^½"),
        (one, "that is the part of the means only; the covariances differ, too"),
        (right - one, "the part of the means is missing: ‖μ_a − μ_b‖²"),
        (right - one + gap.norm(), "the part of the means is ‖μ_a − μ_b‖², squared"),
        (right - one + one / len(gap), "the squares of the difference of means are summed, not averaged"),
        (one + both - 2 * (s @ t).trace(), "take the root of each eigenvalue of Σ_a Σ_b before the sum"),
        (
            one + both - 2 * (s @ t).trace().sqrt(),
            "the sum of the roots, not the root of the sum of eigenvalues",
        ),
        (
            one + both - 2 * entries,
            "the root of a matrix is not the root of each entry: take its eigenvalues",
        ),
        (one + both - 2 * lower, "Σ_a Σ_b is not symmetric: eigvals, not eigvalsh, which sees one half only"),
        (one + both - 2 * singular, "eigenvalues of Σ_a Σ_b, not its singular values"),
        (one + apart, "the variances are not all: the root is that of the whole product Σ_a Σ_b"),
        (shrunk, "divide by n − 1 for the covariance (x.T.cov() does)"),
        (one + s.trace() - 2 * roots, "the trace of Σ_b is missing"),
        (one + t.trace() - 2 * roots, "the trace of Σ_a is missing"),
        (
            one + rows[0].trace() + rows[1].trace() - 2 * tilted,
            "Σ is the covariance of the features, and cov() takes ROWS for variables: a.T.cov()",
        ),
        (one + (s - t).square().sum(), "the squared difference of the covariances is another distance"),
    )


@exercise(
    "07.frechet",
    verified=(
        "true values for two clouds of different sizes, means and covariances; 0 for a set with itself,"
        " ‖shift‖² for a moved set; fewer images than features on either side"
    ),
)
def frechet(fn):
    a, b = _cloud(30, 5, 1) @ _cloud(5, 5, 2), _cloud(30, 5, 3) @ _cloud(5, 5, 4) + torch.arange(5.0) / 2
    hint = "d² = ‖μ_a − μ_b‖² + tr Σ_a + tr Σ_b − 2 tr (Σ_a Σ_b)^½"
    for x, y in ((a, b), (a[:20], b), (a, b[:12])):
        with explained("the two sets may differ in size") if len(x) != len(y) else contextlib.nullcontext():
            out = call(fn, x, y)
            off = f"with {len(x)} rows in a and {len(y)} in b it is off: {hint}"
        expect_shape(out, (), "one number for the two sets")
        real = not torch.is_complex(out)
        expect(real, "the distance is a real number: take the real part of the eigenvalues (.real)")
        expect_value(out, _distance(x, y), off, _frechet_causes(x, y))
    expect_close(call(fn, a, a), 0.0, "a set has distance 0 from itself", atol=1e-6)
    shift = torch.arange(5, dtype=torch.float64)
    hint = "a set moved by s has distance ‖s‖²"
    expect_close(call(fn, a, a + shift), shift.square().sum(), hint)
    few, more = _cloud(6, 20, 5), 2 * _cloud(50, 20, 6) + 0.3
    for x, y in ((few, more), (more, few), (few, more[:7])):
        thin = call(fn, x, y)
        hint = (
            "with fewer images than features Σ is singular, and rounding makes eigenvalues slightly negative or"
            " complex: take the real part and clamp at 0 before the root"
        )
        expect(torch.isfinite(thin).all() and not torch.is_complex(thin), hint)
        expect_close(thin, _distance(x, y), "with fewer images than features (n < d) it is off", atol=1e-4)


def _radii(centres, k):
    return torch.cdist(centres, centres).kthvalue(k + 1, dim=1).values


def _share(points, centres, radii):
    """Share of points (n, d) within at least one ball: centres (m, d), radii (m,) or ()."""
    return (torch.cdist(points, centres) < radii).any(1).double().mean()


def _share_causes(points, centres, k, what):
    """Mistakes in the share of points inside balls round centres; `what` names it: pairs (value, hint)."""
    gaps = torch.cdist(points, centres)
    radii, right = _radii(centres, k), _share(points, centres, _radii(centres, k))
    nearest = gaps.argmin(1)
    crossed = gaps.T.kthvalue(k, dim=1).values
    return (
        (right * len(points), f"{what}: return shares, not counts"),
        (100 * right, f"{what}: return a share between 0 and 1, not per cent"),
        (1 - right, f"{what}: the share INSIDE, not outside"),
        (
            _share(points, centres, _radii(centres, k - 1)),
            f"{what}: your radius is the distance to the (k − 1)-th other point: each point is its own nearest"
            " neighbour, so look for place k + 1",
        ),
        (
            _share(points, centres, _radii(centres, k + 1)),
            f"{what}: your radius reaches to the (k + 1)-th other point, one too far",
        ),
        (
            (gaps < radii).double().mean(),
            f"{what}: one ball is enough: any ball, not the average over balls",
        ),
        ((gaps < radii).all(1).double().mean(), f"{what}: one ball is enough: any, not all"),
        (
            (gaps < radii).any(0).double().mean(),
            f"{what}: that is the share of balls that hold a point; count the POINTS that lie in a ball",
        ),
        (
            (gaps.min(1).values < radii[nearest]).double().mean(),
            f"{what}: the ball of the nearest centre may be small: any ball counts, also one from further off",
        ),
        (_share(points, centres, radii.mean()), f"{what}: every ball has a radius of its own, no common one"),
        (_share(points, centres, radii.square()), f"{what}: the radius is the distance, not its square"),
        (
            _share(points, centres, crossed),
            f"{what}: a ball reaches to the k-th other point of its OWN set, whatever lies there of the other",
        ),
        (
            _share(points, points, _radii(points, k)),
            f"{what}: the balls are round the points of the OTHER set",
        ),
    )


@exercise(
    "07.neighbours",
    verified=(
        "precision and recall in this order, for three values of k; the point itself is no neighbour; agrees"
        " with a brute-force count"
    ),
)
def precision_recall(fn):
    real = torch.cat([_cloud(90, 3, 375), _cloud(45, 3, 376, 0.2) + 2])
    fake = torch.cat([_cloud(50, 3, 377, 1.5) + 0.5, _cloud(30, 3, 378, 0.5) + 2])
    for k in (3, 6, 1):
        p, r = pair_of(call(fn, real, fake, k), "return two numbers: precision, then recall")
        hint = "return scalar tensors (or NumPy's): the next cells take their .item()"
        expect(hasattr(p, "item") and hasattr(r, "item"), hint)
        p, r = torch.as_tensor(p), torch.as_tensor(r)
        expect_shape(p, (), "precision is one number")
        expect_shape(r, (), "recall is one number")
        precision, recall = _share(fake, real, _radii(real, k)), _share(real, fake, _radii(fake, k))
        turned = torch.allclose(p.double(), recall) and torch.allclose(r.double(), precision)
        expect(not turned, "the two are in the wrong order: precision, then recall")
        causes = [(recall, "precision: balls around the REAL points, share of FAKES inside")]
        causes += _share_causes(fake, real, k, "precision")
        expect_value(p, precision, f"precision differs from a count by hand for k = {k}", causes)
        causes = [(precision, "recall: turn the roles round, balls around the fakes")]
        causes += _share_causes(real, fake, k, "recall")
        expect_value(r, recall, f"recall differs from a count by hand for k = {k}", causes)


@exercise("07.luck", verified="a number of per cent from 0 to 100 is committed; the next lines measure it")
def luck_of_the_best(fn):
    value = call(fn)
    expect_number(value, "the per cent")
    expect(value >= 0, "the best is never above the average: a number from 0 to 100")
    expect(value <= 100, "a distance cannot fall by more than 100 per cent")


def _difference_causes(a, b):
    """Mistakes in the standard error: pairs (value, hint)."""
    gaps, size = a - b, len(a)
    sd = gaps.std()
    shrunk = gaps.std(correction=0)
    return (
        (
            (a.var() / size + b.var() / size).sqrt(),
            "this is the error for sets that are not paired: take the differences first, then their spread",
        ),
        (sd, "this is the spread of the differences; the error of their mean is smaller by the root of S"),
        (
            shrunk / size**0.5,
            "divide the squares by S − 1 within the standard deviation (torch.std does), and by the root of S"
            " after",
        ),
        (sd / (size - 1) ** 0.5, "divide sd by the root of S after S − 1 within: the last root is of S"),
        (sd / size, "divide sd by the ROOT of S, once"),
        (gaps.var() / size, "that is the square of the error: take the root"),
        (gaps.var() / size**0.5, "the standard deviation, not the variance, is divided by √S"),
        ((a.std() - b.std()) / size**0.5, "the spread of the differences, not the difference of the spreads"),
        (gaps.abs().std() / size**0.5, "the differences keep their signs, no absolute values"),
        (gaps.mean() / (sd / size**0.5), "that is t already: return the standard error"),
        (2 * sd / size**0.5, "one standard error, not two"),
    )


@exercise(
    "07.difference",
    verified=(
        "the mean of the differences, with its sign, and sd / √S with S − 1, for S = 5, 8 and 2; what both share"
        " cancels"
    ),
)
def paired_difference(fn):
    shared = 10 * _cloud(8, 1, 20)[:, 0]
    a, b = shared + _cloud(8, 1, 21)[:, 0] + 0.4, shared + 2 * _cloud(8, 1, 22)[:, 0]
    for size in (5, 8, 2):
        pair = call(fn, a[:size], b[:size])
        mean, error = pair_of(pair, "return two numbers: the mean difference and its standard error")
        gaps = a[:size] - b[:size]
        causes = (
            (-gaps.mean(), "the sign is turned: a − b, so that a larger a gives more"),
            (gaps.abs().mean(), "differences keep their signs: no absolute values"),
            (gaps.sum(), "the first number is the MEAN of a − b, not the sum"),
            (gaps.median(), "the first number is the mean of a − b, not the median"),
            (gaps.sum() / (size - 1), "the mean is the sum divided by S; S − 1 belongs into the spread"),
            (gaps.mean() / gaps.std() * size**0.5, "that is t already: return the mean difference itself"),
            (gaps.std() / size**0.5, "the two are in the wrong order: the mean, then its error"),
        )
        expect_value(mean, gaps.mean(), "the first number is the mean of a − b", causes)
        hint = f"the second number is sd(a − b)/√S; with {size} pairs it is off"
        expect_value(error, gaps.std() / size**0.5, hint, _difference_causes(a[:size], b[:size]))


def _balls(candidates, real, radii):
    return (torch.cdist(candidates, real) < radii).sum(1)


def _pick_causes(real, candidates, k):
    """What else is maximised by mistake: pairs (score of each candidate (M,), hint)."""
    radii = _radii(real, k)
    balls = _balls(candidates, real, radii)
    return (
        (
            _balls(candidates, real, _radii(real, k - 1)),
            "each real point is its own nearest neighbour: the radius is at place k + 1 of the sorted distances",
        ),
        (_balls(candidates, real, _radii(real, k + 1)), "your radius reaches to the (k + 1)-th other point"),
        (
            -(candidates - real.mean(0)).norm(dim=1),
            "you picked the candidate nearest to the mean of the real points; count balls",
        ),
        (
            -torch.cdist(candidates, real).min(1).values,
            "you picked the candidate nearest to one real point; count balls",
        ),
        (
            -torch.cdist(candidates, real).mean(1),
            "you picked the candidate nearest to all real points on average; count balls",
        ),
        (
            -torch.cdist(candidates, real).kthvalue(k, dim=1).values,
            "you picked the candidate with the smallest ball of its own; count the balls of the real points",
        ),
        (
            _balls(candidates, candidates, _radii(candidates, k)),
            "the balls are those of the REAL points, not of the candidates",
        ),
        (
            -torch.cdist(candidates, candidates).kthvalue(k + 1, dim=1).values,
            "you picked the candidate where candidates are densest; count the balls of the real points",
        ),
        (
            _balls(candidates, real, radii.mean()),
            "every ball has a radius of its own: no mean radius for all",
        ),
        (_balls(candidates, real, radii.median()), "every ball has a radius of its own: no median for all"),
        (_balls(candidates, real, radii.max()), "every ball has a radius of its own, not the largest of all"),
        (_balls(candidates, real, _radii(real, 3)), "k is an argument, not always 3"),
        (-balls, "you picked the candidate that lies in the FEWEST balls"),
    )


def _picks_are_right(picks, real, candidates, k, n):
    expect_shape(picks, (n,), "n indices: one index for each of the n images to hand in")
    expect(picks.dtype == torch.int64, "return indices into candidates (int64), not images or features")
    hint = "an index is out of range: the indices are into `candidates`"
    expect(bool(((picks >= 0) & (picks < len(candidates))).all()), hint)
    balls = _balls(candidates, real, _radii(real, k))
    if bool((balls[picks] == balls.max()).all()):
        return
    repeated = "the second best lies in fewer balls than the best. Nothing forbids repetition"
    expect(not bool((balls[picks] == balls.max()).any()), f"different images: {repeated}")
    own = _balls(real, real, _radii(real, k)).argmax()
    expect(not bool((picks == own).all()), "that is an index into `real`: the indices are into `candidates`")
    for score, hint in _pick_causes(real, candidates, k):
        expect(not bool((score[picks] == score.max()).all()), hint)
    expect(False, "another candidate lies in more balls of real points: nearness to a point is not it")


@exercise(
    "07.densest",
    verified=(
        "indices of the right kind, also more than there are candidates; no other choice has a higher density, on"
        " three clouds with three values of k"
    ),
)
def densest(fn):
    for seed, k, n in ((622, 3, 20), (14, 6, 7), (121, 2, 80)):
        real = torch.cat([_cloud(60, 4, seed, 2.0), _cloud(25, 4, seed + 1, 0.3) + 6])
        candidates = torch.cat([_cloud(50, 4, seed + 2, 2.0), _cloud(12, 4, seed + 3, 0.6) + 6.2])
        _picks_are_right(call(fn, real, candidates, k, n), real, candidates, k, n)
