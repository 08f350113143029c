"""Wrong answers to the exercises of lesson 02b, each with a part of the hint that it must get."""

import torch


def latent_without_prior(x, mean, W, noise):
    cov = torch.linalg.pinv(W.T @ W / noise)
    return (x - mean) @ W @ cov / noise, cov


def latent_not_centred(x, mean, W, noise):
    cov = torch.linalg.inv(torch.eye(W.shape[1], dtype=W.dtype) + W.T @ W / noise)
    return x @ W @ cov / noise, cov


def latent_precision(x, mean, W, noise):
    precision = torch.eye(W.shape[1], dtype=W.dtype) + W.T @ W / noise
    return torch.linalg.solve(precision, ((x - mean) @ W / noise).T).T, precision


def latent_noise_squared(x, mean, W, noise):
    cov = torch.linalg.inv(torch.eye(W.shape[1], dtype=W.dtype) + W.T @ W / noise**2)
    return (x - mean) @ W @ cov / noise**2, cov


def latent_mean_not_divided(x, mean, W, noise):
    cov = torch.linalg.inv(torch.eye(W.shape[1], dtype=W.dtype) + W.T @ W / noise)
    return (x - mean) @ W @ cov, cov


def _paint(eps, m, C, mean, W, factor):
    return mean + (m + eps @ factor) @ W.T


def paint_turned(eps, m, C, mean, W):
    return _paint(eps, m, C, mean, W, torch.linalg.cholesky(C))


def paint_with_covariance(eps, m, C, mean, W):
    return _paint(eps, m, C, mean, W, C)


def paint_from_the_prior(eps, m, C, mean, W):
    return mean + (m + eps) @ W.T


def paint_without_mean_image(eps, m, C, mean, W):
    return (m + eps @ torch.linalg.cholesky(C).T) @ W.T


def paint_without_mean_of_z(eps, m, C, mean, W):
    return mean + eps @ torch.linalg.cholesky(C).T @ W.T


def decibels_one_number():
    return 3.0


def decibels_in_words():
    return "3 dB", "less"


def decibels_in_percent():
    return 100.0, 50.0


WRONG = {
    "02b.conditional": [
        (latent_without_prior, "is the identity"),
        (latent_not_centred, "subtract the mean"),
        (latent_precision, "is its inverse"),
        (latent_noise_squared, "do not square it"),
        (latent_mean_not_divided, "Is the division by σ² there?"),
    ],
    "02b.paint": [
        (paint_turned, "LᵀL instead of C"),
        (paint_with_covariance, "its Cholesky factor L"),
        (paint_from_the_prior, "the draws ignore C"),
        (paint_without_mean_image, "the mean image is missing"),
        (paint_without_mean_of_z, "the painted mean of z"),
    ],
    "02b.decibels": [
        (decibels_one_number, "return two numbers"),
        (decibels_in_words, "predict numbers"),
        (decibels_in_percent, "not percent"),
    ],
}
