"""Reference functions of lesson 02, generated from lessons/02_gaussian_mixtures.py.

Do not edit: change the solution in the lesson and run `python tasks.py lessons`.
"""

import torch


def sample_mixture(weights, means, covs, n, generator):
    """n draws by ancestral sampling: the points x (n, d) and their causes k (n,).

    weights (K,), means (K, d), covs (K, d, d). All random numbers come from `generator`.
    """
    k = torch.multinomial(weights, n, replacement=True, generator=generator)
    eps = torch.randn(n, means.shape[1], generator=generator, dtype=means.dtype)
    L = torch.linalg.cholesky(covs)[k]  # (n, d, d): each point has the factor of its cause
    return means[k] + torch.einsum("nij,nj->ni", L, eps), k


def responsibilities(log_weights, log_probs):
    """Equation (3): log w (K,) and log p(x_n | k) (N, K) → log r (N, K) and log p(x) (N,)."""
    log_joint = log_weights + log_probs  # (N, K): log p(x_n, k)
    log_px = log_joint.logsumexp(1)  # (N,)
    return log_joint - log_px[:, None], log_px


def weights_and_means(x, resp):
    """M-step, equation (6): x (N, d), responsibilities (N, K) → w (K,), μ (K, d)."""
    owned = resp.sum(0)  # (K,): R_k
    return owned / len(x), resp.T @ x / owned[:, None]


def spike(x):
    """A mixture (w (2,), μ (2, 2), Σ (2, 2, 2)) that overfits the points x (N, 2)."""
    half = torch.full((2,), 0.5, dtype=x.dtype)
    means = torch.stack([x[0], x.mean(0)])
    narrow = 1e-80 * torch.eye(2, dtype=x.dtype)
    return half, means, torch.stack([narrow, x.T.cov()])


def my_bet():
    """How many of six starts find all eight bumps: a whole number from 0 to 6."""
    return 4  # any whole number from 0 to 6 is an answer


def kl_gaussians(mean_a, cov_a, mean_b, cov_b):
    """KL(N(mean_a, cov_a) ‖ N(mean_b, cov_b)) in nats: (d,), (d, d), (d,), (d, d) → scalar."""
    gap = mean_b - mean_a
    spread = torch.linalg.solve(cov_b, cov_a).trace()  # tr(Σ_b⁻¹ Σ_a), without an inverse
    distance = gap @ torch.linalg.solve(cov_b, gap)
    return 0.5 * (spread + distance - len(gap) + cov_b.logdet() - cov_a.logdet())


REFERENCES = {
    "02.sample": sample_mixture,
    "02.responsibilities": responsibilities,
    "02.m_step": weights_and_means,
    "02.spike": spike,
    "02.bet": my_bet,
    "02.kl_gaussians": kl_gaussians,
}
