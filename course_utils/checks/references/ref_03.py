"""Reference functions of lesson 03, generated from lessons/03_autoencoders.py.

Do not edit: change the solution in the lesson and run `python tasks.py lessons`.
"""

import torch


def pca(x, k):
    """The k leading principal components of x (n, d), after centring.

    Returns the mean (d,), directions (k, d) as rows of length 1, and variances (k,),
    those of the data along the directions (divide by n, not n − 1).
    """
    mean = x.mean(0)
    _, s, vt = torch.linalg.svd(x - mean, full_matrices=False)
    return mean, vt[:k], s[:k] ** 2 / len(x)


def interpolate(a, b, n):
    """n points on the straight line from a (k,) to b (k,), both ends included: (n, k)."""
    weight = torch.linspace(0, 1, n).to(a)[:, None]  # (n, 1)
    return (1 - weight) * a + weight * b


def psnr(x_hat, x):
    """Peak signal-to-noise ratio in dB of each image: x_hat and x (n, d) in [0, 1] → (n,)."""
    return -10 * (x_hat - x).square().mean(1).log10()


def masked_loss(x_hat, x, hidden):
    """Mean squared error over the hidden pixels alone.

    x_hat, x (B, d), hidden (B, d) bool → scalar.
    """
    return ((x_hat - x).square() * hidden).sum() / hidden.sum()


REFERENCES = {
    "03.pca": pca,
    "03.interpolate": interpolate,
    "03.psnr": psnr,
    "03.masked_loss": masked_loss,
}
