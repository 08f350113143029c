"""Reference functions of lesson 03, generated from lessons/03_autoencoders.py.

Do not edit: change the solution in the lesson and run `python tasks.py lessons`.
"""

import torch


def reconstruction_loss(model, x):
    """Equation (1): squared error summed over pixels, averaged over the batch.

    model: (B, d) → (B, d), encoder and decoder. x: (B, 1, 28, 28), or rows (B, d), d any.
    Returns a scalar.
    """
    x = x.flatten(1)
    return (model(x) - x).square().sum(1).mean()


def pca(x, k):
    """The k leading principal components of x (n, 784), after centring.

    Returns the mean (784,), directions (k, 784) as rows of length 1, and variances (k,),
    those of the data along the directions (divide by n, not n − 1).
    """
    mean = x.mean(0)
    _, s, vt = torch.linalg.svd(x - mean, full_matrices=False)
    return mean, vt[:k], s[:k] ** 2 / len(x)


def my_guess():
    """Your guess: two numbers between 0 and 100, in per cent.

    The share of draws from N(0, I) that fall into holes: (with 2 numbers, with 8 numbers).
    """
    return 50.0, 50.0


def sample_mixture(weights, means, covariances, n):
    """n draws (n, k) from a mixture of K Gaussians, in random order.

    weights: (K,), sum 1. means: (K, k). covariances: (K, k, k).
    """
    which = torch.multinomial(weights, n, replacement=True)  # (n,)
    noise = torch.randn(n, means.shape[1], 1, dtype=means.dtype)  # (n, k, 1)
    chol = torch.linalg.cholesky(covariances)  # (K, k, k)
    return means[which] + (chol[which] @ noise)[..., 0]


def hard_to_sample(n):
    """n different codes (n, 2), random, that one Gaussian describes as badly as you can."""
    angle = 2 * torch.pi * torch.rand(n)
    radius = 1 + 0.02 * torch.randn(n)
    return radius[:, None] * torch.stack([angle.cos(), angle.sin()], 1)


REFERENCES = {
    "03.reconstruction_loss": reconstruction_loss,
    "03.pca": pca,
    "03.guess": my_guess,
    "03.sample_mixture": sample_mixture,
    "03.hard_to_sample": hard_to_sample,
}
