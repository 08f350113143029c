"""Right answers to the exercises of lesson 02b, each in another style than the lesson's own."""

import numpy as np
import torch


def latent_by_solve(x, mean, W, noise):
    precision = torch.diag(torch.ones(W.shape[1]).to(W)) + torch.einsum("sq,sr->qr", W, W) / noise
    cov = torch.cholesky_inverse(torch.linalg.cholesky(precision))
    return [torch.linalg.solve(precision, W.T @ (x - mean).T / noise).T, cov]


def latent_by_the_joint(x, mean, W, noise):
    joint = W @ W.T + noise * torch.eye(len(W), dtype=W.dtype)
    gain = torch.linalg.solve(joint, W)  # (s, q)
    return (x - mean) @ gain, torch.eye(W.shape[1], dtype=W.dtype) - W.T @ gain


def latent_image_by_image(x, mean, W, noise):
    eye = torch.zeros(W.shape[1], W.shape[1], dtype=W.dtype).fill_diagonal_(1)
    cov = (eye + W.mT.matmul(W).div(noise)).inverse()
    z = torch.empty(len(x), W.shape[1], dtype=W.dtype)
    for n, image in enumerate(x):
        z[n] = cov @ W.T @ (image - mean) / noise
    return z, cov


def latent_with_numpy(x, mean, W, noise):
    factors = W.numpy().astype(np.float64)
    cov = np.linalg.inv(np.eye(factors.shape[1]) + factors.T @ factors / float(noise))
    z = (x.numpy() - mean.numpy()) @ factors @ cov / float(noise)
    return torch.from_numpy(z).to(W.dtype), torch.from_numpy(cov).to(W.dtype)


def paint_by_einsum(eps, m, C, mean, W):
    z = m + torch.einsum("ij,nj->ni", torch.linalg.cholesky(C), eps)
    return mean[None] + torch.einsum("dq,nq->nd", W, z)


def paint_by_symmetric_root(eps, m, C, mean, W):
    values, vectors = torch.linalg.eigh(C)
    return torch.nn.functional.linear(m + eps @ (vectors * values.sqrt() @ vectors.T), W, mean)


def paint_image_by_image(eps, m, C, mean, W):
    L = torch.linalg.cholesky(C)
    images = torch.zeros(len(eps), len(mean), dtype=W.dtype)
    for n in range(len(eps)):
        images[n] = mean + W @ (m[n] + L @ eps[n])
    return images


def decibels_in_a_list():
    return [np.float32(3.5), 2]


def decibels_in_an_array():
    return np.array([3.0, -1.5])


OTHER = {
    "02b.conditional": [latent_by_solve, latent_by_the_joint, latent_image_by_image, latent_with_numpy],
    "02b.paint": [paint_by_einsum, paint_by_symmetric_root, paint_image_by_image],
    "02b.decibels": [decibels_in_a_list, decibels_in_an_array],
}
