"""Reference functions of lesson 07, generated from lessons/07_comparing_models.py.

Do not edit: change the solution in the lesson and run `python tasks.py lessons`.
"""

import torch


def frechet(a, b):
    """Equation (2), d² itself: features a (n, d) and b (m, d), float64 → a scalar tensor.

    Covariances with n − 1; n may be smaller than d.
    """
    gap = a.mean(0) - b.mean(0)
    cov_a = a.T.cov()
    cov_b = b.T.cov()
    roots = torch.linalg.eigvals(cov_a @ cov_b).real.clamp(min=0).sqrt()
    return gap.square().sum() + cov_a.trace() + cov_b.trace() - 2 * roots.sum()


def precision_recall(real, fake, k):
    """Precision and recall, two scalar tensors, of fake (M, d) against real (N, d).

    Balls reach to the k-th other neighbour.
    """

    def inside(points, centres):
        gaps = torch.cdist(centres, centres)  # the nearest is the point itself
        radii = gaps.kthvalue(k + 1, dim=1).values
        return (torch.cdist(points, centres) < radii).any(1).double().mean()

    return inside(fake, real), inside(real, fake)


def paired_difference(a, b):
    """Equation (5): mean of a − b and its standard error, floats, of distances a and b (S,)."""
    gaps = a - b
    return gaps.mean().item(), (gaps.std() / len(gaps) ** 0.5).item()


def luck_of_the_best():
    """Your guess, in per cent: how far the best of 25 equal models lies below their average."""
    return 100 * 2 * 0.33 / 1.55  # two spreads of a set, in % of its mean


def densest(real, candidates, k, n):
    """Indices int64 (n,) into candidates (M, d) with the highest density against real (N, d).

    Balls reach to the k-th other real point.
    """
    radii = torch.cdist(real, real).kthvalue(k + 1, dim=1).values  # (N,)
    balls = (torch.cdist(candidates, real) < radii).sum(1)  # (M,): how many hold the candidate
    return balls.argmax().repeat(n)


REFERENCES = {
    "07.frechet": frechet,
    "07.neighbours": precision_recall,
    "07.difference": paired_difference,
    "07.luck": luck_of_the_best,
    "07.densest": densest,
}
