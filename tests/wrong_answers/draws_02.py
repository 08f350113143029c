"""Wrong samplers of a mixture, for lesson 02's first exercise."""

import torch


def _draw(weights, means, covs, n, generator, factor=lambda L, eps: torch.einsum("nij,nj->ni", L, eps)):
    k = torch.multinomial(weights, n, replacement=True, generator=generator)
    eps = torch.randn(n, means.shape[1], generator=generator, dtype=means.dtype)
    return means[k] + factor(torch.linalg.cholesky(covs)[k], eps), k


def averaged(weights, means, covs, n, generator):
    eps = torch.randn(n, means.shape[1], generator=generator, dtype=means.dtype)
    k = torch.multinomial(weights, n, replacement=True, generator=generator)
    return sum(
        w * (mean + eps @ torch.linalg.cholesky(cov).T) for w, mean, cov in zip(weights, means, covs)
    ), k


def turned(weights, means, covs, n, generator):
    return _draw(weights, means, covs, n, generator, lambda L, eps: torch.einsum("nji,nj->ni", L, eps))


def with_covariance(weights, means, covs, n, generator):
    return _draw(weights, means, covs, n, generator, lambda L, eps: torch.einsum("nij,nj->ni", L @ L.mT, eps))


def without_factor(weights, means, covs, n, generator):
    return _draw(weights, means, covs, n, generator, lambda L, eps: eps)


def equal_weights(weights, means, covs, n, generator):
    return _draw(torch.ones_like(weights), means, covs, n, generator)


def without_generator(weights, means, covs, n, generator):
    return _draw(weights, means, covs, n, None)


def _draw_with(k, means, factors, eps):
    return means[k] + torch.einsum("nij,nj->ni", factors[k], eps), k


def uniform_noise(weights, means, covs, n, generator):
    k = torch.multinomial(weights, n, replacement=True, generator=generator)
    eps = torch.rand(n, means.shape[1], generator=generator, dtype=means.dtype)
    return _draw_with(k, means, torch.linalg.cholesky(covs), eps)


def uniform_noise_standardised(weights, means, covs, n, generator):
    k = torch.multinomial(weights, n, replacement=True, generator=generator)
    eps = (torch.rand(n, means.shape[1], generator=generator, dtype=means.dtype) - 0.5) * 12**0.5
    return _draw_with(k, means, torch.linalg.cholesky(covs), eps)


def in_shares(weights, means, covs, n, generator):
    counts = (weights * n).round().long()
    k = torch.repeat_interleave(torch.arange(len(weights)), counts)
    k = k[torch.randperm(len(k), generator=generator)]
    k = torch.cat([k, k.new_zeros(n)])[:n]
    eps = torch.randn(n, means.shape[1], generator=generator, dtype=means.dtype)
    return _draw_with(k, means, torch.linalg.cholesky(covs), eps)


def sorted(weights, means, covs, n, generator):
    k = torch.multinomial(weights, n, replacement=True, generator=generator).sort().values
    eps = torch.randn(n, means.shape[1], generator=generator, dtype=means.dtype)
    return _draw_with(k, means, torch.linalg.cholesky(covs), eps)


def with_softmax(weights, means, covs, n, generator):
    return _draw(weights.softmax(0), means, covs, n, generator)


def with_deviations_only(weights, means, covs, n, generator):
    deviations = covs.diagonal(dim1=1, dim2=2).sqrt()
    return _draw_with_factors(weights, means, torch.diag_embed(deviations), n, generator)


def _draw_with_factors(weights, means, factors, n, generator):
    k = torch.multinomial(weights, n, replacement=True, generator=generator)
    eps = torch.randn(n, means.shape[1], generator=generator, dtype=means.dtype)
    return _draw_with(k, means, factors, eps)


def of_first_covariance(weights, means, covs, n, generator):
    first = torch.linalg.cholesky(covs[:1]).expand_as(covs)
    return _draw_with_factors(weights, means, first, n, generator)


def of_one_number(weights, means, covs, n, generator):
    k = torch.multinomial(weights, n, replacement=True, generator=generator)
    eps = torch.randn(n, 1, generator=generator, dtype=means.dtype).expand(n, means.shape[1])
    return _draw_with(k, means, torch.linalg.cholesky(covs), eps)


def of_one_noise(weights, means, covs, n, generator):
    k = torch.multinomial(weights, n, replacement=True, generator=generator)
    eps = torch.randn(means.shape[1], generator=generator, dtype=means.dtype).expand(n, means.shape[1])
    return _draw_with(k, means, torch.linalg.cholesky(covs), eps)


def with_own_generator(weights, means, covs, n, generator):
    return _draw(weights, means, covs, n, torch.Generator().manual_seed(0))


def from_a_copy(weights, means, covs, n, generator):
    copy = torch.Generator()
    copy.set_state(generator.get_state())
    return _draw(weights, means, covs, n, copy)


def with_another_cause(weights, means, covs, n, generator):
    x, _ = _draw(weights, means, covs, n, generator)
    return x, torch.multinomial(weights, n, replacement=True, generator=generator)


def with_decimal_causes(weights, means, covs, n, generator):
    x, k = _draw(weights, means, covs, n, generator)
    return x, k.double()


def in_float32(weights, means, covs, n, generator):
    x, k = _draw(weights, means, covs, n, generator)
    return x.float(), k


def without_causes(weights, means, covs, n, generator):
    return _draw(weights, means, covs, n, generator)[0]


def squeezed(weights, means, covs, n, generator):
    x, k = _draw(weights, means, covs, n, generator)
    return x.squeeze(), k.squeeze()
