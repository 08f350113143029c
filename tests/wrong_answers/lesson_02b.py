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


def _latent(x, mean, W, noise, cov):
    return (x - mean) @ W @ cov / noise, cov


def _covariance(W, noise):
    return torch.linalg.inv(torch.eye(W.shape[1], dtype=W.dtype) + W.T @ W / noise)


def latent_of_two_numbers(x, mean, W, noise):
    padding = max(W.shape[1] - 2, 0)
    eye = torch.diag(torch.cat([torch.ones(2), torch.zeros(padding)])[: W.shape[1]]).to(W.dtype)
    return _latent(x, mean, W, noise, torch.linalg.pinv(eye + W.T @ W / noise))


def latent_with_eye_two(x, mean, W, noise):
    return _latent(x, mean, W, noise, torch.linalg.inv(torch.eye(2, dtype=W.dtype) + W.T @ W / noise))


def latent_root_of_noise(x, mean, W, noise):
    return _latent(x, mean, W, noise, _covariance(W, noise**0.5))


def latent_without_division(x, mean, W, noise):
    return _latent(x, mean, W, noise, torch.linalg.inv(torch.eye(W.shape[1], dtype=W.dtype) + W.T @ W))


def latent_ppca(x, mean, W, noise):
    cov = torch.linalg.inv(noise * torch.eye(W.shape[1], dtype=W.dtype) + W.T @ W)
    return (x - mean) @ W @ cov, cov


def latent_entries_inverted(x, mean, W, noise):
    return _latent(x, mean, W, noise, 1 / (torch.eye(W.shape[1], dtype=W.dtype) + W.T @ W / noise))


def latent_turned_sign(x, mean, W, noise):
    return _latent(mean, x, W, noise, _covariance(W, noise))


def latent_mean_by_precision(x, mean, W, noise):
    cov = _covariance(W, noise)
    return (x - mean) @ W @ torch.linalg.inv(cov) / noise, cov


def latent_mean_without_covariance(x, mean, W, noise):
    return (x - mean) @ W / noise, _covariance(W, noise)


def latent_mean_by_deviation(x, mean, W, noise):
    cov = _covariance(W, noise)
    return (x - mean) @ W @ cov / noise**0.5, cov


def latent_covariance_first(x, mean, W, noise):
    return _latent(x, mean, W, noise, _covariance(W, noise))[::-1]


def latent_in_double(x, mean, W, noise):
    x, mean, W, noise = x.double(), mean.double(), W.double(), noise.double()
    return _latent(x, mean, W, noise, _covariance(W, noise))


def latent_in_float32(x, mean, W, noise):
    x, mean, W, noise = x.float(), mean.float(), W.float(), noise.float()
    return [part.double() for part in _latent(x, mean, W, noise, _covariance(W, noise))]


def latent_squeezed(x, mean, W, noise):
    z, cov = _latent(x, mean, W, noise, _covariance(W, noise))
    return z.squeeze(), cov


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


def paint_with_own_noise(eps, m, C, mean, W):
    return _paint(torch.randn_like(eps), m, C, mean, W, torch.linalg.cholesky(C).T)


def paint_diagonal(eps, m, C, mean, W):
    return _paint(eps, m, C, mean, W, C.diagonal().sqrt().diag())


def paint_the_inverse(eps, m, C, mean, W):
    return _paint(eps, m, C, mean, W, torch.linalg.cholesky(torch.linalg.inv(C)).T)


def paint_without_noise(eps, m, C, mean, W):
    return mean + m @ W.T


def paint_from_first_mean(eps, m, C, mean, W):
    return _paint(eps, m[:1], C, mean, W, torch.linalg.cholesky(C).T)


def paint_one_noise(eps, m, C, mean, W):
    L = torch.linalg.cholesky(C)
    return mean + m @ W.T + (L @ eps if eps.shape[0] == eps.shape[1] else (L @ eps[:1].T)).T @ W.T


def paint_subtracting_the_mean(eps, m, C, mean, W):
    return _paint(eps, m, C, -mean, W, torch.linalg.cholesky(C).T)


def paint_in_double(eps, m, C, mean, W):
    return paint_right(*(part.double() for part in (eps, m, C, mean, W)))


def paint_right(eps, m, C, mean, W):
    return _paint(eps, m, C, mean, W, torch.linalg.cholesky(C).T)


def paint_in_float32(eps, m, C, mean, W):
    return paint_right(*(part.float() for part in (eps, m, C, mean, W))).to(eps.dtype)


def paint_squeezed(eps, m, C, mean, W):
    return paint_right(eps, m, C, mean, W).squeeze()


def decibels_one_number():
    return 3.0


def decibels_in_words():
    return "3 dB", "less"


def decibels_in_percent():
    return 100.0, 50.0


def paint_clamped(eps, m, C, mean, W):
    return paint_right(eps, m, C, mean, W).clamp(0, 1)


def paint_sigmoid(eps, m, C, mean, W):
    return paint_right(eps, m, C, mean, W).sigmoid()


WRONG = {
    "02b.conditional": [
        (latent_without_prior, "is the identity"),
        (latent_not_centred, "subtract the mean"),
        (latent_precision, "is its inverse"),
        (latent_noise_squared, "do not square it"),
        (latent_mean_not_divided, "Is the division by σ² there?"),
        (latent_with_eye_two, "RuntimeError"),
        (latent_of_two_numbers, "should equal I − Wᵀ"),
        (latent_root_of_noise, "take no root"),
        (latent_without_division, "by σ² is missing"),
        (latent_ppca, "is C/σ²"),
        (latent_entries_inverted, "not one over each entry"),
        (latent_turned_sign, "sign is turned"),
        (latent_mean_by_precision, "by the precision"),
        (latent_mean_without_covariance, "covariance C is missing"),
        (latent_mean_by_deviation, "divided by σ;"),
        (latent_covariance_first, "first the means"),
        (latent_in_double, "float64 comes out"),
        (latent_in_float32, "passes through float32"),
        (latent_squeezed, "no squeeze"),
    ],
    "02b.paint": [
        (paint_turned, "LᵀL instead of C"),
        (paint_with_covariance, "its Cholesky factor L"),
        (paint_from_the_prior, "the draws ignore C"),
        (paint_without_mean_image, "the mean image is missing"),
        (paint_without_mean_of_z, "is m missing"),
        (paint_with_own_noise, "draw none of your own"),
        (paint_diagonal, "not of its diagonal"),
        (paint_the_inverse, "not its inverse"),
        (paint_without_noise, "do not depend on eps"),
        (paint_from_first_mean, "first image's m"),
        (paint_one_noise, "noise of its own"),
        (paint_subtracting_the_mean, "it is added"),
        (paint_in_double, "float64 comes out"),
        (paint_in_float32, "passes through float32"),
        (paint_squeezed, "no squeeze"),
        (paint_clamped, "without clamp"),
        (paint_sigmoid, "without sigmoid"),
    ],
    "02b.decibels": [
        (decibels_one_number, "return two numbers"),
        (decibels_in_words, "predict numbers"),
        (decibels_in_percent, "not percent"),
    ],
}
