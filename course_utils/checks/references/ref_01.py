"""Reference functions of lesson 01, generated from lessons/01_discriminative_vs_generative.py.

Do not edit: change the solution in the lesson and run `python tasks.py lessons`.
"""

import torch
from torch.distributions import LowRankMultivariateNormal


def posterior(log_lik, prior):
    """Equation (2): p(y = k | x) as (N, K).

    log_lik (N, K) holds log p(x | y = k); prior is (K,).
    """
    a = log_lik + prior.log()
    return (a - a.logsumexp(dim=1, keepdim=True)).exp()


def lda_line(mean0, mean1, cov, prior1):
    """Equation (6): w (d,) and scalar b.

    Means are (d,), the shared cov (d, d), prior1 = p(y = 1) is a float.
    """
    w = torch.linalg.solve(cov, mean1 - mean0)
    log_odds = torch.tensor(prior1 / (1 - prior1), dtype=w.dtype).log()
    b = -0.5 * (mean1 + mean0) @ w + log_odds
    return w, b


def log_marginal(x, seen, mean, W, sigma2):
    """Equation (9): log p(x_v) as (N,).

    Images x (N, d), mask seen (d,), mean (d,), W (d, q), sigma2 a scalar tensor.
    """
    mean_v = mean[seen]
    W_v = W[seen]
    gaussian = LowRankMultivariateNormal(mean_v, W_v, sigma2.expand(len(mean_v)))
    return gaussian.log_prob(x[:, seen])


def naive_bayes_theta(x, y, alpha, classes):
    """Equation (10): θ as (classes, d).

    Binary images x (N, d) float, labels y (N,), the smoothing alpha ≥ 0.
    """
    counts = torch.stack([x[y == k].sum(0) for k in range(classes)])  # (classes, d)
    n = torch.bincount(y, minlength=classes)[:, None]  # (classes, 1)
    return (counts + alpha) / (n + 2 * alpha)


REFERENCES = {
    "01.posterior": posterior,
    "01.lda": lda_line,
    "01.marginal": log_marginal,
    "01.naive_bayes": naive_bayes_theta,
}
