"""Reference functions of lesson 01, generated from lessons/01_discriminative_vs_generative.py.

Do not edit: change the solution in the lesson and run `python tasks.py lessons`.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch.distributions import LowRankMultivariateNormal


def posterior(log_lik, prior):
    """Equation (2): p(y = k | x) as (N, K).

    log_lik (N, K) holds log p(x | y = k); prior is (K,).
    """
    a = log_lik + prior.log()
    return (a - a.logsumexp(dim=1, keepdim=True)).exp()


def lda_line(mean0, mean1, cov, prior1):
    """Equation (6): w (d,) and scalar b.

    Means are (d,), the shared cov (d, d), prior1 = p(y = 1) is a float; np.log takes a float.
    """
    w = torch.linalg.solve(cov, mean1 - mean0)
    b = -0.5 * (mean1 + mean0) @ w + np.log(prior1 / (1 - prior1))
    return w, b


def sample_class(mean, W, sigma2, n, generator):
    """n draws (n, d) from equation (8).

    mean (d,), W (d, q), sigma2 a scalar tensor (the variance).
    Draw with torch.randn(…, generator=generator).
    """
    d, q = W.shape
    z = torch.randn(n, q, generator=generator, dtype=W.dtype)
    eps = torch.randn(n, d, generator=generator, dtype=W.dtype)
    return mean + z @ W.T + sigma2.sqrt() * eps


def log_marginal(x, seen, mean, W, sigma2):
    """Equation (9): log p(x_v) as (N,).

    Images x (N, d), mask seen (d,), mean (d,), W (d, q), sigma2 a scalar tensor.
    """
    mean_v = mean[seen]
    W_v = W[seen]
    gaussian = LowRankMultivariateNormal(mean_v, W_v, sigma2.expand(len(mean_v)))
    return gaussian.log_prob(x[:, seen])


def hole_loss(model, x, y):
    """Cross-entropy when each image of the batch loses its own random share of pixels.

    x (B, 1, 28, 28) in [0, 1], labels y (B,). `model` takes (B, 1568): the image with zeros in
    the holes, then the mask (1 where a pixel is seen); it returns logits (B, 10).
    """
    x = x.flatten(1)  # (B, 784)
    share = torch.rand(len(x), 1, device=x.device)
    seen = (torch.rand_like(x) > share).float()
    return F.cross_entropy(model(torch.cat([x * seen, seen], 1)), y)


def break_lda():
    """x (N, 2) float64 and y (N,) with labels 0 and 1: separable, yet LDA errs on 10 % or more.

    At least 20 points, at least a quarter of them in each class.
    """
    generator = torch.Generator().manual_seed(0)
    x = 0.1 * torch.randn(200, 2, generator=generator, dtype=torch.float64)
    y = torch.arange(200) // 100
    x[:100, 0] -= 0.6
    x[100:160, 0] += 0.6
    x[160:, 0] += 20.0
    return x, y


def naive_bayes_theta(x, y, alpha, classes):
    """Equation (10): θ as (classes, d).

    Binary images x (N, d) float, labels y (N,), the smoothing alpha ≥ 0.
    """
    counts = torch.stack([x[y == k].sum(0) for k in range(classes)])  # (classes, d)
    n = torch.bincount(y, minlength=classes)[:, None]  # (classes, 1)
    return (counts + alpha) / (n + 2 * alpha)


def my_bets():
    """AUROCs of log p(x), from 0 to 1, for letters, upside down, noise, blurred, blank."""
    return [0.9, 0.9, 1.0, 0.8, 1.0]


REFERENCES = {
    "01.posterior": posterior,
    "01.lda": lda_line,
    "01.sample": sample_class,
    "01.marginal": log_marginal,
    "01.hole_loss": hole_loss,
    "01.break_lda": break_lda,
    "01.naive_bayes": naive_bayes_theta,
    "01.bets": my_bets,
}
