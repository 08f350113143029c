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
    """M-step of weights and means, equation (6): x (N, d), responsibilities (N, K) → w (K,), μ (K, d)."""
    owned = resp.sum(0)  # (K,): N_k
    return owned / len(x), resp.T @ x / owned[:, None]


def latent_given_seen(x, mean, W, noise):
    """p(z | x), equation (9), one component: x (N, s), mean (s,), W (s, r), noise σ² → m (N, r), C (r, r).

    s is the number of seen pixels; it may be 0.
    """
    precision = torch.eye(W.shape[1], dtype=W.dtype) + W.T @ W / noise
    cov = torch.linalg.inv(precision)
    return (x - mean) @ W @ cov / noise, cov  # cov is symmetric, so C Wᵀ e as a row is eᵀ W C


def kl_gaussians(mean_a, cov_a, mean_b, cov_b):
    """KL(N(mean_a, cov_a) ‖ N(mean_b, cov_b)) in nats, equation (12): means (d,), covariances (d, d) → scalar."""
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
