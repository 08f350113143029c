"""Right answers to the exercises of lesson 07, each in another style than the lesson's own."""

import math
import statistics

import numpy as np
import torch


def frechet_by_a_symmetric_root(a, b):
    values, vectors = torch.linalg.eigh(a.T.cov())
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T
    inner = torch.linalg.eigvalsh(root @ b.T.cov() @ root).clamp(min=0).sqrt().sum()
    return torch.dist(a.mean(0), b.mean(0)) ** 2 + (a.T.cov() + b.T.cov()).trace() - 2 * inner


def frechet_with_numpy(a, b):
    a, b = a.numpy(), b.numpy()
    s, t = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    roots = np.sqrt(np.clip(np.linalg.eigvals(s @ t).real, 0, None)).sum()
    gap = a.mean(axis=0) - b.mean(axis=0)
    return torch.tensor(gap @ gap + np.trace(s) + np.trace(t) - 2 * roots)


def frechet_by_moments(a, b):
    def gaussian(x):
        mean = torch.einsum("nd->d", x) / len(x)
        cov = (torch.einsum("ni,nj->ij", x, x) - len(x) * torch.outer(mean, mean)) / (len(x) - 1)
        return mean, cov

    (m, s), (p, t) = gaussian(a), gaussian(b)
    values = torch.linalg.eigvals(t @ s)
    roots = values.sqrt().real.clamp(min=0)  # the complex root of a slightly negative number is imaginary
    return torch.dot(m - p, m - p) + torch.trace(s + t) - 2 * roots.sum()


def neighbours_by_loops(real, fake, k):
    def share(points, centres):
        radii = [sorted(math.dist(c, other) for other in centres)[k] for c in centres]
        inside = [any(math.dist(p, c) <= r for c, r in zip(centres, radii)) for p in points]
        return sum(inside) / len(inside)

    real, fake = real.tolist(), fake.tolist()
    return [torch.tensor(share(fake, real)), torch.tensor(share(real, fake))]


def neighbours_by_topk(real, fake, k):
    shares = []
    for points, centres in ((fake, real), (real, fake)):
        gaps = (centres[:, None] - centres).norm(dim=2).fill_diagonal_(math.inf)
        radii = gaps.topk(k, largest=False).values[:, -1]
        shares.append(((points[:, None] - centres).norm(dim=2) - radii).amin(1).lt(0).float().mean())
    return torch.stack(shares)


def neighbours_with_numpy(real, fake, k):
    def share(points, centres):
        own = np.sort(np.linalg.norm(centres[:, None] - centres, axis=-1), axis=1)[:, k]
        return np.mean((np.linalg.norm(points[:, None] - centres, axis=-1) < own).any(axis=1))

    real, fake = real.numpy(), fake.numpy()
    return share(fake, real), share(real, fake)


def difference_with_numpy(a, b):
    gaps = a.numpy() - b.numpy()
    return gaps.mean(), gaps.std(ddof=1) / np.sqrt(np.size(gaps))


def difference_by_statistics(a, b):
    gaps = [x - y for x, y in zip(a.tolist(), b.tolist())]
    return [statistics.mean(gaps), statistics.stdev(gaps) / math.sqrt(len(gaps))]


def difference_by_covariance(a, b):
    variance = a.var() + b.var() - 2 * torch.stack([a, b]).cov()[0, 1]
    return a.mean() - b.mean(), (variance / a.numel()).sqrt()


def luck_as_numpy():
    return np.float32(12.5)


def luck_as_int():
    return 0


def densest_by_loops(real, candidates, k, n):
    points = real.tolist()
    radii = [sorted(math.dist(p, q) for q in points)[k] for p in points]
    counts = [
        sum(math.dist(c, p) < r for p, r in zip(points, radii, strict=True)) for c in candidates.tolist()
    ]
    return torch.tensor([counts.index(max(counts))] * n)


def densest_by_all_of_the_best(real, candidates, k, n):
    radii = torch.cdist(real, real).topk(k + 1, largest=False).values[:, -1]
    balls = torch.cdist(candidates, real).lt(radii).sum(dim=1)
    best = (balls == balls.max()).nonzero()[:, 0]
    return best[torch.arange(n) % len(best)]


def densest_with_numpy(real, candidates, k, n):
    radii = np.partition(torch.cdist(real, real).numpy(), k, axis=1)[:, k]
    balls = (torch.cdist(candidates, real).numpy() < radii).sum(axis=1)
    return torch.full((n,), np.argmax(balls))


OTHER = {
    "07.frechet": [frechet_by_a_symmetric_root, frechet_with_numpy, frechet_by_moments],
    "07.neighbours": [neighbours_by_loops, neighbours_by_topk, neighbours_with_numpy],
    "07.luck": [luck_as_numpy, luck_as_int],
    "07.difference": [difference_with_numpy, difference_by_statistics, difference_by_covariance],
    "07.densest": [densest_by_loops, densest_by_all_of_the_best, densest_with_numpy],
}
