"""Wrong answers to lesson 03's exercises, each with a part of the hint it must get."""

import torch


def pca_not_centred(x, k):
    _, s, vt = torch.linalg.svd(x, full_matrices=False)
    return x.mean(0), vt[:k], s[:k] ** 2 / len(x)


def pca_columns(x, k):
    mean = x.mean(0)
    _, s, vt = torch.linalg.svd(x - mean, full_matrices=False)
    return mean, vt[:, :k], s[:k] ** 2 / len(x)


def pca_singular_values(x, k):
    mean = x.mean(0)
    _, s, vt = torch.linalg.svd(x - mean, full_matrices=False)
    return mean, vt[:k], s[:k]


def line_without_end(a, b, n):
    weight = torch.arange(n)[:, None] / n
    return (1 - weight) * a + weight * b


def line_reversed(a, b, n):
    weight = torch.linspace(0, 1, n)[:, None]
    return weight * a + (1 - weight) * b


def line_no_broadcast(a, b, n):
    return torch.stack([a, b])


def psnr_batch(x_hat, x):
    return -10 * (x_hat - x).square().mean().log10()


def psnr_sign(x_hat, x):
    return 10 * (x_hat - x).square().mean(1).log10()


def psnr_absolute(x_hat, x):
    return -10 * (x_hat - x).abs().mean(1).log10()


def psnr_natural(x_hat, x):
    return -10 * (x_hat - x).square().mean(1).log()


def masked_all(x_hat, x, hidden):
    return ((x_hat - x).square() * hidden).mean()


def masked_visible(x_hat, x, hidden):
    return ((x_hat - x).square() * ~hidden).sum() / (~hidden).sum()


WRONG = {
    "03.pca": [
        (pca_not_centred, "centred first"),
        (pca_columns, "take vt[:k]"),
        (pca_singular_values, "squared singular values"),
    ],
    "03.interpolate": [
        (line_without_end, "both ends"),
        (line_reversed, "first point must be a"),
        (line_no_broadcast, "broadcast"),
    ],
    "03.psnr": [
        (psnr_batch, "one number an image"),
        (psnr_sign, "the sign"),
        (psnr_absolute, "squared before"),
        (psnr_natural, "log10"),
    ],
    "03.masked_loss": [(masked_all, "number of hidden pixels"), (masked_visible, "cost nothing")],
}
