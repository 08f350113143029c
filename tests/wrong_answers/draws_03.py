"""Wrong samplers of a mixture, for lesson 03's fourth exercise."""

import torch


def _draw(which, means, factors):
    noise = torch.randn(len(which), means.shape[1], 1, dtype=means.dtype)
    return means[which] + (factors[which] @ noise)[..., 0]


def transposed(weights, means, covariances, n):
    which = torch.multinomial(weights, n, replacement=True)
    return _draw(which, means, torch.linalg.cholesky(covariances).mT)


def covariance(weights, means, covariances, n):
    which = torch.multinomial(weights, n, replacement=True)
    return _draw(which, means, covariances)


def uniform(weights, means, covariances, n):
    which = torch.randint(len(weights), (n,))
    return _draw(which, means, torch.linalg.cholesky(covariances))


def one(weights, means, covariances, n):
    which = torch.multinomial(weights, 1).expand(n)
    return _draw(which, means, torch.linalg.cholesky(covariances))


def sorted(weights, means, covariances, n):
    which = torch.multinomial(weights, n, replacement=True).sort().values
    return _draw(which, means, torch.linalg.cholesky(covariances))


def averaged(weights, means, covariances, n):
    factor = torch.linalg.cholesky((weights[:, None, None] * covariances).sum(0))
    return weights @ means + torch.randn(n, means.shape[1], dtype=means.dtype) @ factor.T


def first_covariance(weights, means, covariances, n):
    which = torch.multinomial(weights, n, replacement=True)
    factor = torch.linalg.cholesky(covariances[:1]).expand_as(covariances)
    return _draw(which, means, factor)


def _picks(weights, n):
    return torch.multinomial(weights, n, replacement=True)


def seeded(weights, means, covariances, n):
    generator = torch.Generator().manual_seed(0)
    which = torch.multinomial(weights, n, replacement=True, generator=generator)
    noise = torch.randn(n, means.shape[1], 1, dtype=means.dtype, generator=generator)
    return means[which] + (torch.linalg.cholesky(covariances)[which] @ noise)[..., 0]


def in_shares(weights, means, covariances, n):
    which = torch.repeat_interleave(torch.arange(len(weights)), (weights * n).round().long())
    which = torch.cat([which, which.new_zeros(n)])[:n]
    return _draw(which[torch.randperm(n)], means, torch.linalg.cholesky(covariances))


def _draw_from(noise, which, means, covariances):
    return means[which] + torch.einsum("nij,nj->ni", torch.linalg.cholesky(covariances)[which], noise)


def uniform_noise(weights, means, covariances, n):
    noise = torch.rand(n, means.shape[1], dtype=means.dtype)
    return _draw_from(noise, _picks(weights, n), means, covariances)


def flat_noise(weights, means, covariances, n):
    noise = (torch.rand(n, means.shape[1], dtype=means.dtype) - 0.5) * 12**0.5
    return _draw_from(noise, _picks(weights, n), means, covariances)


def one_noise(weights, means, covariances, n):
    noise = torch.randn(n, 1, dtype=means.dtype).expand(n, means.shape[1])
    return _draw_from(noise, _picks(weights, n), means, covariances)


def without_noise(weights, means, covariances, n):
    return means[_picks(weights, n)]


def without_means(weights, means, covariances, n):
    noise = torch.randn(n, means.shape[1], dtype=means.dtype)
    return _draw_from(noise, _picks(weights, n), 0 * means, covariances)


def without_factor(weights, means, covariances, n):
    return means[_picks(weights, n)] + torch.randn(n, means.shape[1], dtype=means.dtype)


def diagonal(weights, means, covariances, n):
    deviations = covariances.diagonal(dim1=1, dim2=2).sqrt()
    which = _picks(weights, n)
    return means[which] + deviations[which] * torch.randn(n, means.shape[1], dtype=means.dtype)


def softmax(weights, means, covariances, n):
    return _draw(_picks(weights.softmax(0), n), means, torch.linalg.cholesky(covariances))


def in_float32(weights, means, covariances, n):
    return _draw(_picks(weights, n), means, torch.linalg.cholesky(covariances)).float()


def dtype_of_weights(weights, means, covariances, n):
    noise = torch.randn(n, means.shape[1], dtype=weights.dtype)
    return _draw_from(noise, _picks(weights, n), means, covariances)


def squeezed(weights, means, covariances, n):
    which = _picks(weights, n)
    return _draw(which, means, torch.linalg.cholesky(covariances)).squeeze()
