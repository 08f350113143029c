"""Right answers to the exercises of lesson 02, each in another style than the lesson's own."""

import numpy as np
import torch
from scipy.special import logsumexp
from torch.distributions import MultivariateNormal, kl_divergence


def draws_one_by_one(weights, means, covs, n, generator):
    points = torch.empty(n, means.shape[1], dtype=means.dtype)
    causes = torch.empty(n, dtype=torch.int64)
    factors = torch.linalg.cholesky(covs)
    dice = torch.rand(n, dtype=torch.float64, generator=generator)
    upper = weights.cumsum(0)
    for i in range(n):
        k = min(int(torch.searchsorted(upper, dice[i])), len(weights) - 1)
        eps = torch.randn(means.shape[1], dtype=means.dtype, generator=generator)
        points[i] = means[k] + factors[k] @ eps
        causes[i] = k
    return points, causes


def draws_component_by_component(weights, means, covs, n, generator):
    causes = torch.multinomial(weights, n, True, generator=generator)
    points = torch.zeros(n, means.shape[1], dtype=means.dtype)
    for k, (mean, cov) in enumerate(zip(means, covs)):
        values, vectors = torch.linalg.eigh(cov)
        mine = causes == k
        eps = torch.randn(int(mine.sum()), len(mean), dtype=means.dtype, generator=generator)
        points[mine] = mean + eps @ (vectors * values.sqrt()).T  # any root of Σ will do
    return [points, causes]


def draws_by_matmul(weights, means, covs, n, generator):
    eps = torch.randn(n, means.shape[1], 1, generator=generator, dtype=torch.float64)
    causes = torch.rand(n, generator=generator, dtype=torch.float64).unsqueeze(1) > weights.cumsum(0)[:-1]
    causes = causes.sum(1)
    return means[causes] + (torch.linalg.cholesky(covs)[causes] @ eps).squeeze(2), causes


def draws_with_numpy(weights, means, covs, n, generator):
    dice = np.random.default_rng(int(torch.randint(2**31, (1,), generator=generator)))
    causes = dice.choice(len(weights), size=n, p=weights.numpy())
    eps = dice.standard_normal((n, means.shape[1]))
    factors = np.linalg.cholesky(covs.numpy())[causes]
    points = means.numpy()[causes] + np.einsum("nij,nj->ni", factors, eps)
    return torch.from_numpy(points), torch.from_numpy(causes)


def responsibilities_by_log_softmax(log_weights, log_probs):
    log_joint = log_probs + log_weights[None, :]
    return [torch.log_softmax(log_joint, dim=-1), torch.logsumexp(log_joint, dim=-1)]


def responsibilities_by_hand(log_weights, log_probs):
    log_joint = log_weights + log_probs
    top = log_joint.amax(dim=1, keepdim=True)
    log_px = top + (log_joint - top).exp().sum(dim=1, keepdim=True).log()
    return log_joint - log_px, log_px.squeeze(1)


def responsibilities_by_scipy(log_weights, log_probs):
    log_joint = log_weights.numpy() + log_probs.numpy()
    log_px = logsumexp(log_joint, axis=1)
    return torch.from_numpy(log_joint - log_px[:, None]), torch.from_numpy(log_px)


def responsibilities_row_by_row(log_weights, log_probs):
    rows, totals = [], []
    for row in log_probs:
        total = (log_weights + row).logsumexp(0)
        rows.append(log_weights + row - total)
        totals.append(total)
    return torch.stack(rows), torch.stack(totals)


def m_step_by_einsum(x, resp):
    owned = torch.einsum("nk->k", resp)
    return owned / resp.shape[0], torch.einsum("nk,nd->kd", resp, x) / owned.unsqueeze(1)


def m_step_by_a_loop(x, resp):
    weights, means = [], []
    for k in range(resp.shape[1]):
        r = resp[:, k]
        weights.append(r.mean())
        means.append((r[:, None] * x).sum(0) / r.sum())
    return torch.stack(weights), torch.stack(means)


def m_step_with_numpy(x, resp):
    r, points = resp.numpy(), x.numpy()
    means = [np.average(points, axis=0, weights=r[:, k]) for k in range(r.shape[1])]
    return [torch.from_numpy(r.mean(0)), torch.from_numpy(np.stack(means))]


def m_step_by_normalised_columns(x, resp):
    return resp.sum(0) / resp.sum(), (resp / resp.sum(0)).T @ x


def spike_second(x):
    weights = torch.tensor([0.9, 0.1], dtype=x.dtype)
    means = torch.stack([x.mean(0), x[7]])
    covs = torch.stack([x.T.cov(), torch.eye(2, dtype=x.dtype) * 1e-100])
    return weights, means, covs


def spike_with_numpy(x):
    points = x.numpy()
    n = len(points)
    weights = np.array([1 / n, 1 - 1 / n])
    means = np.stack([points[-1], points.mean(0)])
    covs = np.stack([np.diag([1e-90, 1e-90]), np.cov(points.T)])
    return [torch.from_numpy(part) for part in (weights, means, covs)]


def spike_long_and_thin(x):
    narrow = torch.tensor([[1e-150, 0.0], [0.0, 1e-12]], dtype=x.dtype)
    means = torch.stack([x[3], x.mean(0)])
    return torch.tensor([0.3, 0.7]).to(x), means, torch.stack([narrow, 2 * x.T.cov()])


def bet_as_numpy():
    return np.int64(1)


def bet_as_tensor():
    return torch.tensor(0)


def kl_by_distributions(mean_a, cov_a, mean_b, cov_b):
    return kl_divergence(MultivariateNormal(mean_a, cov_a), MultivariateNormal(mean_b, cov_b))


def kl_by_inverse(mean_a, cov_a, mean_b, cov_b):
    precision = torch.linalg.inv(cov_b)
    gap = (mean_a - mean_b)[:, None]
    log_ratio = torch.log(torch.linalg.det(cov_b) / torch.linalg.det(cov_a))
    bracket = (precision * cov_a).sum() + (gap.T @ precision @ gap).squeeze() - cov_a.shape[0] + log_ratio
    return bracket / 2


def kl_by_cholesky(mean_a, cov_a, mean_b, cov_b):
    a, b = torch.linalg.cholesky(cov_a), torch.linalg.cholesky(cov_b)
    mixed = torch.linalg.solve_triangular(b, a, upper=False)
    gap = torch.linalg.solve_triangular(b, (mean_b - mean_a)[:, None], upper=False)
    log_det = (b.diagonal().log() - a.diagonal().log()).sum()
    return 0.5 * (mixed.square().sum() + gap.square().sum() - len(mean_a)) + log_det


def kl_with_numpy(mean_a, cov_a, mean_b, cov_b):
    m0, s0, m1, s1 = (part.numpy() for part in (mean_a, cov_a, mean_b, cov_b))
    inverse = np.linalg.inv(s1)
    bracket = np.trace(inverse @ s0) + (m1 - m0) @ inverse @ (m1 - m0) - len(m0)
    return 0.5 * (bracket + np.linalg.slogdet(s1)[1] - np.linalg.slogdet(s0)[1])  # np.float64


def kl_as_float(mean_a, cov_a, mean_b, cov_b):
    return float(kl_by_cholesky(mean_a, cov_a, mean_b, cov_b))


OTHER = {
    "02.sample": [draws_one_by_one, draws_with_numpy, draws_component_by_component, draws_by_matmul],
    "02.responsibilities": [
        responsibilities_by_log_softmax,
        responsibilities_by_hand,
        responsibilities_by_scipy,
        responsibilities_row_by_row,
    ],
    "02.m_step": [m_step_by_einsum, m_step_by_a_loop, m_step_with_numpy, m_step_by_normalised_columns],
    "02.spike": [spike_second, spike_with_numpy, spike_long_and_thin],
    "02.bet": [bet_as_numpy, bet_as_tensor],
    "02.kl_gaussians": [kl_by_distributions, kl_by_inverse, kl_by_cholesky, kl_with_numpy, kl_as_float],
}
