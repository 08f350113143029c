"""Reference functions of lesson 02b, generated from lessons/02b_mixtures_on_images.py.

Do not edit: change the solution in the lesson and run `python tasks.py lessons`.
"""

import torch


def latent_given_seen(x, mean, W, noise):
    """p(z | x) of one component, equation (3): its means m (N, q) and covariance C (q, q).

    x (N, s) holds the s seen pixels (s may be 0), mean (s,), W (s, q), noise σ².
    """
    precision = torch.eye(W.shape[1], dtype=W.dtype) + W.T @ W / noise
    cov = torch.linalg.inv(precision)
    return (x - mean) @ W @ cov / noise, cov  # cov is symmetric: C Wᵀ e as a row is eᵀ W C


def paint(eps, m, C, mean, W):
    """Images (N, d) without pixel noise: z = m + L ε, then μ + W z.

    Noise eps (N, q), means of z m (N, q), their covariance C (q, q), mean (d,), W (d, q).
    """
    z = m + eps @ torch.linalg.cholesky(C).T  # (N, q)
    return mean + z @ W.T


def my_decibels():
    """Two predictions of PSNR(mean) − PSNR(draw) in dB: own images, test digits."""
    return 3.0, 3.0  # two numbers in dB; these say: the model is right about everything


REFERENCES = {
    "02b.conditional": latent_given_seen,
    "02b.paint": paint,
    "02b.decibels": my_decibels,
}
