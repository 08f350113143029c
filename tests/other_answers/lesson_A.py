"""Right answers to the exercises of Appendix A, each in another style than the appendix's own."""

import math

import numpy as np
import torch
from scipy import linalg, special


def distances_by_differences(a, b):
    return (a.unsqueeze(1) - b.unsqueeze(0)).pow(2).sum(dim=-1)


def distances_by_cdist(a, b):
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist") ** 2


def distances_by_einsum(a, b):
    own = torch.einsum("nd,nd->n", a, a).view(-1, 1)
    other = torch.einsum("md,md->m", b, b).view(1, -1)
    return torch.relu(own + other - 2 * torch.einsum("nd,md->nm", a, b))


def distances_with_numpy(a, b):
    gap = a.numpy()[:, None] - b.numpy()[None]
    return torch.from_numpy(np.square(gap).sum(-1))


def step_by_backward(theta, loss_fn, lr):
    fresh = theta.detach().clone().requires_grad_(True)
    loss_fn(fresh).backward()
    with torch.no_grad():
        return fresh.sub(fresh.grad, alpha=lr)


def step_by_func(theta, loss_fn, lr):
    return theta.detach() - lr * torch.func.grad(loss_fn)(theta.detach())


def step_by_optimiser(theta, loss_fn, lr):
    parameter = torch.nn.Parameter(theta.detach().clone())
    optimiser = torch.optim.SGD([parameter], lr=np.float64(lr))
    loss_fn(parameter).backward()
    optimiser.step()
    return parameter.data


def lse_by_torch(a, dim):
    return torch.logsumexp(a, dim)


def lse_by_pairs(a, dim):
    parts = a.unbind(dim)
    total = parts[0]
    for part in parts[1:]:
        total = torch.logaddexp(total, part)
    return total


def lse_with_scipy(a, dim):
    return torch.as_tensor(special.logsumexp(a.detach().numpy(), axis=dim), dtype=a.dtype)


def lse_with_its_maximum_detached(a, dim):
    top = a.detach().max(dim, keepdim=True).values
    top = top.masked_fill(top.isinf(), 0)
    return ((a - top).exp().sum(dim, keepdim=True).log() + top).squeeze(dim)


def conditional_by_precision(mean, cov, seen, value):
    precision = torch.linalg.inv(cov.double())
    inner = torch.linalg.inv(precision[~seen][:, ~seen])
    shift = inner @ precision[~seen][:, seen] @ (value - mean[seen]).double()
    return [(mean[~seen] - shift).to(mean.dtype), inner.to(cov.dtype)]


def conditional_by_indices(mean, cov, seen, value):
    s, u = seen.nonzero()[:, 0], (~seen).nonzero()[:, 0]
    factor = torch.linalg.cholesky(cov[s[:, None], s])
    gain = torch.cholesky_solve(cov[s[:, None], u], factor).T
    return mean[u] + gain.matmul(value - mean[s]), cov[u[:, None], u] - gain @ cov[s[:, None], u]


def conditional_with_numpy(mean, cov, seen, value):
    m, c, s = mean.numpy(), cov.numpy(), seen.numpy()
    gain = np.linalg.solve(c[np.ix_(s, s)], c[np.ix_(s, ~s)]).T
    spread = c[np.ix_(~s, ~s)] - gain @ c[np.ix_(s, ~s)]
    return torch.from_numpy(m[~s] + gain @ (value.numpy() - m[s])), torch.from_numpy(spread)


def kl_by_where(p, q):
    return torch.where(p > 0, p * (p.log() - q.log()), torch.zeros_like(p)).sum(dim=-1)


def kl_with_scipy(p, q):
    return torch.as_tensor(special.rel_entr(p.numpy(), q.numpy()).sum(-1))


def kl_by_entropies(p, q):
    return torch.special.entr(p).sum(-1).neg() - torch.special.xlogy(p, q).sum(-1)


def kl_by_loops(p, q):
    if p.ndim > 1:
        return torch.stack([kl_by_loops(a, b) for a, b in zip(p, q)])
    total = torch.zeros(())
    for a, b in zip(p.tolist(), q.tolist()):
        if a > 0:
            total = total + (a * (math.log(a) - math.log(b)) if b > 0 else math.inf)
    return total


def size_in_numpy(n, kernel, stride=1, padding=0, transposed=False):
    if not transposed:
        return np.int64(np.floor((n + 2 * padding - kernel) / stride)) + 1
    return np.int64((n - 1) * stride - 2 * padding + kernel)


def size_by_counting(n, kernel, stride=1, padding=0, transposed=False):
    if transposed:
        return stride * n - stride + kernel - padding - padding
    return len(range(-padding, n + padding - kernel + 1, stride))


def size_by_divmod(n, kernel, stride=1, padding=0, transposed=False):
    if transposed:
        return int((n - 1) * stride + kernel - 2 * padding)
    return math.floor((n - kernel + 2 * padding + stride) / stride)


def frechet_by_product(mean_a, cov_a, mean_b, cov_b):
    values = torch.linalg.eigvals(cov_a @ cov_b)
    gap = mean_a - mean_b
    return gap @ gap + (cov_a + cov_b).trace() - 2 * values.real.clamp(min=0).sqrt().sum()


def frechet_by_complex_roots(mean_a, cov_a, mean_b, cov_b):
    cross = torch.linalg.eigvals(cov_b @ cov_a).sqrt().real.sum()
    return torch.dist(mean_a, mean_b) ** 2 + torch.trace(cov_a + cov_b) - 2 * cross


def frechet_with_scipy(mean_a, cov_a, mean_b, cov_b):
    values = linalg.eigvals(cov_a.double().numpy() @ cov_b.double().numpy())
    cross = np.sqrt(np.maximum(values.real, 0)).sum()
    total = np.square((mean_a - mean_b).numpy()).sum() + np.trace(cov_a.numpy()) + np.trace(cov_b.numpy())
    return torch.tensor(total - 2 * cross)


def frechet_by_singular_values(mean_a, cov_a, mean_b, cov_b):
    roots = []
    for cov in (cov_a, cov_b):
        values, vectors = torch.linalg.eigh(cov)
        roots.append(vectors * values.clamp(min=0).sqrt())
    cross = torch.linalg.matrix_norm(roots[0].T @ roots[1], ord="nuc")
    return (mean_a - mean_b).square().sum() + cov_a.trace() + cov_b.trace() - 2 * cross


def fall_as_numpy():
    return np.int64(9)


def fall_as_numpy_float():
    return np.float32(8.5)


def fool_by_cholesky(x):
    d = x.shape[1]
    steps = (d - 0.5) ** 0.5 * torch.linalg.cholesky(torch.cov(x.T)).T
    return torch.stack([x.mean(0) + steps, x.mean(0) - steps], 1).flatten(0, 1)


def fool_by_whitening(x):
    """Any 2d points, whitened and given the covariance of x."""
    d = x.shape[1]
    points = torch.randn(2 * d, d, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    points = points - points.mean(0)
    factor, goal = (torch.linalg.cholesky(part.T.cov()) for part in (points, x))
    return x.mean(0) + points @ torch.linalg.inv(factor).T @ goal.T


def fool_with_numpy(x):
    data = x.numpy()
    values, vectors = np.linalg.eigh(np.cov(data, rowvar=False))
    steps = [np.sqrt((2 * len(values) - 1) / 2 * v) * w for v, w in zip(values, vectors.T)]
    centre = data.mean(0)
    return torch.tensor(np.array([centre + s for s in steps] + [centre - s for s in steps]))


OTHER = {
    "A.pairwise_distances": [
        distances_by_differences,
        distances_by_cdist,
        distances_by_einsum,
        distances_with_numpy,
    ],
    "A.sgd_step": [step_by_backward, step_by_func, step_by_optimiser],
    "A.log_sum_exp": [lse_by_torch, lse_by_pairs, lse_with_scipy, lse_with_its_maximum_detached],
    "A.conditional_gaussian": [conditional_by_precision, conditional_by_indices, conditional_with_numpy],
    "A.kl": [kl_by_where, kl_with_scipy, kl_by_entropies, kl_by_loops],
    "A.output_size": [size_in_numpy, size_by_counting, size_by_divmod],
    "A.frechet": [
        frechet_by_product,
        frechet_by_complex_roots,
        frechet_with_scipy,
        frechet_by_singular_values,
    ],
    "A.fall": [fall_as_numpy, fall_as_numpy_float],
    "A.fool": [fool_by_cholesky, fool_by_whitening, fool_with_numpy],
}
