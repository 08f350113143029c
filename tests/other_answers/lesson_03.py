"""Right answers to the exercises of lesson 03, each in another style than the lesson's own."""

import numpy as np
import torch
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal
from torch.nn import functional as F


def loss_by_mse(model, x):
    rows = x.reshape(len(x), -1)
    return F.mse_loss(model(rows), rows, reduction="sum") / len(rows)


def loss_by_norm(model, x):
    rows = torch.flatten(x, start_dim=1)
    return torch.linalg.vector_norm(model(rows) - rows, dim=-1).pow(2).mean()


def loss_image_by_image(model, x):
    rows = x.view(x.shape[0], -1)
    made = model(rows)
    total = 0.0
    for row, copy in zip(rows, made):
        gap = copy - row
        total = total + gap @ gap
    return total / len(rows)


def loss_by_einsum(model, x):
    rows = x.flatten(1)
    gap = rows - model(rows)
    return torch.einsum("bd,bd->b", gap, gap).mean()


def pca_by_eigh(x, k):
    mean = x.mean(dim=0)
    centred = x - mean
    values, vectors = torch.linalg.eigh(centred.T @ centred / len(x))
    return [mean, vectors.flip(1)[:, :k].T, values.flip(0)[:k]]


def pca_with_numpy(x, k):
    points = x.numpy()
    mean = points.mean(axis=0)
    values, vectors = np.linalg.eigh(np.cov(points.T, bias=True))
    order = np.argsort(values)[::-1][:k]
    directions, variances = vectors[:, order].T, values[order]
    return tuple(torch.from_numpy(part.copy()) for part in (mean, directions, variances))


def pca_turned_signs(x, k):
    mean = x.mean(0, keepdim=True)
    vt = torch.linalg.svd(x - mean).Vh[:k]
    return mean[0], -vt, ((x - mean) @ vt.T).var(0, correction=0)


def guess_in_a_list():
    return [np.float32(12.5), np.int64(90)]


def guess_in_an_array():
    return np.array([20, 80])


def guess_nothing():
    return 0, 100.0


def mixture_by_distributions(weights, means, covariances, n):
    parts = MultivariateNormal(means, covariances)
    return MixtureSameFamily(Categorical(weights.to(means)), parts).sample((n,))


def mixture_of_picked_gaussians(weights, means, covariances, n):
    which = Categorical(probs=weights).sample((n,))
    return MultivariateNormal(means[which], covariances[which]).sample()


def mixture_with_numpy(weights, means, covariances, n):
    dice = np.random.default_rng()
    p = weights.double().numpy()
    which = dice.choice(len(p), size=n, p=p / p.sum())
    draws = np.empty((n, means.shape[1]))
    for k in range(len(p)):
        mine = which == k
        draws[mine] = dice.multivariate_normal(means[k].numpy(), covariances[k].numpy(), size=mine.sum())
    return torch.from_numpy(draws)


def mixture_shuffled(weights, means, covariances, n):
    which = torch.bincount(torch.multinomial(weights, n, replacement=True), minlength=len(weights))
    parts = []
    for k, many in enumerate(which.tolist()):
        values, vectors = torch.linalg.eigh(covariances[k])
        noise = torch.randn(many, means.shape[1], dtype=means.dtype)
        parts.append(means[k] + (noise * values.sqrt()) @ vectors.T)
    return torch.cat(parts)[torch.randperm(n)]


def cloud_of_two_clusters(n):
    place = torch.where(torch.rand(n) < 0.5, -10.0, 10.0)
    return 0.01 * torch.randn(n, 2) + torch.stack([place, place.abs() / 2], 1)


def cloud_with_numpy(n):
    dice = np.random.default_rng(3)
    angle = dice.uniform(0, 2 * np.pi, n)
    return torch.from_numpy(np.stack([5 * np.cos(angle) + 1, np.sin(angle)], axis=1))


def cloud_of_four_corners(n):
    corner = torch.randint(0, 2, (n, 2)) * 2.0 - 1
    return corner + 0.02 * torch.rand(n, 2)


OTHER = {
    "03.reconstruction_loss": [loss_by_mse, loss_by_norm, loss_image_by_image, loss_by_einsum],
    "03.pca": [pca_by_eigh, pca_with_numpy, pca_turned_signs],
    "03.guess": [guess_in_a_list, guess_in_an_array, guess_nothing],
    "03.sample_mixture": [
        mixture_by_distributions,
        mixture_of_picked_gaussians,
        mixture_with_numpy,
        mixture_shuffled,
    ],
    "03.hard_to_sample": [cloud_of_two_clusters, cloud_with_numpy, cloud_of_four_corners],
}
