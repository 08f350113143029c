"""Reference functions of lesson 07, generated from lessons/07_comparing_models.py.

Do not edit: change the solution in the lesson and run `python tasks.py lessons`.
"""

import torch


def frechet(a, b):
    """Equation (2), d² itself: features a (n, d) and b (m, d), float64 → a scalar tensor. Covariances with n − 1; n may be smaller than d."""
    gap, cov_a, cov_b = a.mean(0) - b.mean(0), a.T.cov(), b.T.cov()
    roots = torch.linalg.eigvals(cov_a @ cov_b).real.clamp(min=0).sqrt()
    return gap.square().sum() + cov_a.trace() + cov_b.trace() - 2 * roots.sum()


def precision_recall(real, fake, k):
    """Precision and recall, two scalars, of fake (M, d) against real (N, d), by balls to the k-th other neighbour."""
    def inside(points, centres):
        radii = torch.cdist(centres, centres).kthvalue(k + 1, dim=1).values  # the nearest is the point itself
        return (torch.cdist(points, centres) < radii).any(1).double().mean()

    return inside(fake, real), inside(real, fake)


def spread_of_halves(statistic, x, repeats, generator):
    """Standard deviation of statistic(half of x) over random halves of x (n, …), drawn without replacement; a float."""
    picks = [torch.randperm(len(x), generator=generator)[: len(x) // 2] for _ in range(repeats)]
    return torch.tensor([float(statistic(x[pick])) for pick in picks]).std().item()


def densest(real, candidates, k, n):
    """Indices int64 (n,) into candidates (M, d) with the highest density against real (N, d), balls to the k-th other."""
    radii = torch.cdist(real, real).kthvalue(k + 1, dim=1).values  # (N,)
    balls = (torch.cdist(candidates, real) < radii).sum(1)  # (M,): in how many balls each candidate lies
    return balls.argmax().repeat(n)


REFERENCES = {
    "07.frechet": frechet,
    "07.neighbours": precision_recall,
    "07.halves": spread_of_halves,
    "07.densest": densest,
}
