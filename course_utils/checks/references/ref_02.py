"""Reference functions of lesson 02, generated from lessons/02_gaussian_mixtures.py.

Do not edit: change the solution in the lesson and run `python tasks.py lessons`.
"""

import torch


def responsibilities(log_weights, log_probs):
    """Equation (3) in log-space: log w (K,), log N (N, K) → log r (N, K) and log p(x) (N,)."""
    log_joint = log_weights + log_probs  # (N, K): log p(x_n, k)
    log_px = log_joint.logsumexp(1)  # (N,)
    return log_joint - log_px[:, None], log_px


def weights_and_means(x, resp):
    """M-step, equation (6): x (N, d), responsibilities (N, K) → w (K,), μ (K, d)."""
    owned = resp.sum(0)  # (K,): N_k
    return owned / len(x), resp.T @ x / owned[:, None]


def latent_given_seen(x, mean, W, noise):
    """p(z | x) of one component, equation (9): its means m (N, r) and covariance C (r, r).

    x (N, s) holds the s seen pixels (s may be 0), mean (s,), W (s, r), noise σ².
    """
    precision = torch.eye(W.shape[1], dtype=W.dtype) + W.T @ W / noise
    cov = torch.linalg.inv(precision)
    return (x - mean) @ W @ cov / noise, cov  # cov is symmetric: C Wᵀ e as a row is eᵀ W C


def kl_gaussians(mean_a, cov_a, mean_b, cov_b):
    """KL(N(mean_a, cov_a) ‖ N(mean_b, cov_b)) in nats, (12): (d,), (d, d), … → scalar."""
    gap = mean_b - mean_a
    spread = torch.linalg.solve(cov_b, cov_a).trace()  # tr(Σ_b⁻¹ Σ_a), without an inverse
    distance = gap @ torch.linalg.solve(cov_b, gap)
    return 0.5 * (spread + distance - len(gap) + cov_b.logdet() - cov_a.logdet())


REFERENCES = {
    "02.responsibilities": responsibilities,
    "02.m_step": weights_and_means,
    "02.conditional": latent_given_seen,
    "02.kl_gaussians": kl_gaussians,
}
