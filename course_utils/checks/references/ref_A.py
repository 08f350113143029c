"""Reference functions of lesson A, generated from lessons/A_toolbox.py.

Do not edit: change the solution in the lesson and run `python tasks.py lessons`.
"""

import math

import torch


def pairwise_distances(a, b):
    """Squared distances (n, m) between the rows of a (n, d) and of b (m, d): equation (A1).

    No loop. Rounding can leave a tiny negative number where a row meets itself: clamp it to 0.
    """
    norms_a = a.square().sum(1)[:, None]  # (n, 1)
    norms_b = b.square().sum(1)[None]  # (1, m)
    return (norms_a + norms_b - 2 * a @ b.T).clamp(min=0)  # (n, m)


def sgd_step(theta, loss_fn, lr):
    """One gradient step of size lr, equation (A2): theta (any shape), loss_fn(theta) → scalar.

    Leave the argument as it is, and return the new theta as a tensor that belongs to no graph.
    """
    theta = theta.detach().requires_grad_()  # same numbers, fresh record
    (gradient,) = torch.autograd.grad(loss_fn(theta), theta)
    return (theta - lr * gradient).detach()


def log_sum_exp(a, dim):
    """log Σ exp(a) over dimension dim, which disappears: equation (A3).

    Each slice has its own maximum. A slice of only −inf gives −inf (a probability of zero),
    one with +inf gives +inf.
    """
    top = a.amax(dim, keepdim=True)  # one maximum a slice, not one for the whole tensor
    top = torch.where(top.isfinite(), top, 0.0)  # −inf − (−inf) would be nan
    return (a - top).exp().sum(dim).log() + top.squeeze(dim)


def conditional_gaussian(mean, cov, seen, value):
    """Mean and covariance of the unseen coordinates given the seen ones: equation (A5).

    mean (d,), cov (d, d), seen (d,) bool, value (number of seen,) → mean (u,), cov (u, u)
    with u unseen coordinates.
    """
    cov_us = cov[~seen][:, seen]
    cov_ss = cov[seen][:, seen]
    gain = torch.linalg.solve(cov_ss, cov_us.T).T  # G (u, s), without an inverse
    half_mean = mean[~seen] + gain @ (value - mean[seen])
    return half_mean, cov[~seen][:, ~seen] - gain @ cov_us.T


def kl(p, q):
    """KL(p ‖ q) in nats over the last dimension: equation (A6).

    p, q (..., K), rows sum to 1 → (...). Where p = 0 the term is 0 (even if q = 0 too);
    where q = 0 < p the result is +inf. torch.xlogy may help.
    """
    return (torch.xlogy(p, p) - torch.xlogy(p, q)).sum(-1)  # xlogy(0, anything) = 0


def output_size(n, kernel, stride=1, padding=0, transposed=False):
    """Cells per side, an int, that a convolution (A8) or a transposed one (A9) makes of n."""
    if transposed:
        return (n - 1) * stride + kernel - 2 * padding
    return (n + 2 * padding - kernel) // stride + 1


def frechet_gaussians(mean_a, cov_a, mean_b, cov_b):
    """Squared Fréchet distance of two Gaussians, equation (A10).

    Means (d,), covariances (d, d) → scalar tensor.
    torch.linalg.eigh gives eigenvalues and eigenvectors (columns) of a symmetric matrix;
    rounding can make one that should be 0 slightly negative, so clamp before the root.
    """
    values, vectors = torch.linalg.eigh(cov_a)
    root = (vectors * values.clamp(min=0).sqrt()) @ vectors.T  # symmetric square root of cov_a
    cross = torch.linalg.eigvalsh(root @ cov_b @ root).clamp(min=0).sqrt().sum()
    return (mean_a - mean_b).square().sum() + cov_a.trace() + cov_b.trace() - 2 * cross


def expected_fall():
    """How many times smaller the distance of real digits is at n = 1,000 than at n = 100."""
    return (1 / 100 + 1 / 5_000) / (1 / 1_000 + 1 / 5_000)  # of the first factors of (A11)


def fool_the_ruler(x):
    """A set (2d, d) with the mean and covariance of the rows x (n, d), n > 2d, both unbiased.

    One way: the mean, plus and minus a multiple of each column of L, L Lᵀ = covariance.
    """
    mean = x.mean(0)
    values, vectors = torch.linalg.eigh(x.T.cov())
    columns = (vectors * values.clamp(min=0).sqrt()).T  # (d, d): row i is column i of L
    steps = math.sqrt((2 * x.shape[1] - 1) / 2) * columns  # x.T.cov() divides by 2d − 1
    return torch.cat([mean + steps, mean - steps])


REFERENCES = {
    "A.pairwise_distances": pairwise_distances,
    "A.sgd_step": sgd_step,
    "A.log_sum_exp": log_sum_exp,
    "A.conditional_gaussian": conditional_gaussian,
    "A.kl": kl,
    "A.output_size": output_size,
    "A.frechet": frechet_gaussians,
    "A.fall": expected_fall,
    "A.fool": fool_the_ruler,
}
