"""Wrong answers to lesson 03's exercises, each with a part of the hint it must get."""

import torch


def loss_mean(model, x):
    x = x.flatten(1)
    return (model(x) - x).square().mean()


def loss_sum(model, x):
    x = x.flatten(1)
    return (model(x) - x).square().sum()


def loss_each(model, x):
    x = x.flatten(1)
    return (model(x) - x).square().sum(1)


def loss_absolute(model, x):
    x = x.flatten(1)
    return (model(x) - x).abs().sum(1).mean()


def loss_unflattened(model, x):
    return (model(x) - x).square().sum(1).mean()


def loss_detached(model, x):
    x = x.flatten(1)
    return (model(x).detach() - x).square().sum(1).mean()


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


def guess_one():
    return 50


def guess_too_much():
    return 50, 250


def guess_fractions():
    return 0.3, 0.9


def guess_words():
    return "half", "all"


def _draw(which, means, factors):
    noise = torch.randn(len(which), means.shape[1], 1, dtype=means.dtype)
    return means[which] + (factors[which] @ noise)[..., 0]


def sample_transposed(weights, means, covariances, n):
    which = torch.multinomial(weights, n, replacement=True)
    return _draw(which, means, torch.linalg.cholesky(covariances).mT)


def sample_covariance(weights, means, covariances, n):
    which = torch.multinomial(weights, n, replacement=True)
    return _draw(which, means, covariances)


def sample_uniform(weights, means, covariances, n):
    which = torch.randint(len(weights), (n,))
    return _draw(which, means, torch.linalg.cholesky(covariances))


def sample_one(weights, means, covariances, n):
    which = torch.multinomial(weights, 1).expand(n)
    return _draw(which, means, torch.linalg.cholesky(covariances))


def sample_sorted(weights, means, covariances, n):
    which = torch.multinomial(weights, n, replacement=True).sort().values
    return _draw(which, means, torch.linalg.cholesky(covariances))


def sample_averaged(weights, means, covariances, n):
    factor = torch.linalg.cholesky((weights[:, None, None] * covariances).sum(0))
    return weights @ means + torch.randn(n, means.shape[1], dtype=means.dtype) @ factor.T


def sample_first_covariance(weights, means, covariances, n):
    which = torch.multinomial(weights, n, replacement=True)
    factor = torch.linalg.cholesky(covariances[:1]).expand_as(covariances)
    return _draw(which, means, factor)


def cloud_gaussian(n):
    return 100 + torch.randn(n, 2) * torch.tensor([5.0, 0.1])


def cloud_two_points(n):
    return torch.tensor([[0.0, 0.0], [5.0, 5.0]]).repeat(n // 2, 1)


def cloud_line(n):
    return torch.rand(n, 1).repeat(1, 2)


WRONG = {
    "03.reconstruction_loss": [
        (loss_mean, "mean over the pixels"),
        (loss_sum, "sum over the batch"),
        (loss_each, "one number an image"),
        (loss_absolute, "squared"),
        (loss_unflattened, "flatten(1) first"),
        (loss_detached, "no gradient"),
    ],
    "03.pca": [
        (pca_not_centred, "centred first"),
        (pca_columns, "take vt[:k]"),
        (pca_singular_values, "squared singular values"),
    ],
    "03.guess": [
        (guess_one, "two numbers"),
        (guess_too_much, "between 0 and 100"),
        (guess_fractions, "not fractions"),
        (guess_words, "plain numbers"),
    ],
    "03.sample_mixture": [
        (sample_transposed, "LᵀL instead of LLᵀ"),
        (sample_covariance, "multiplied by the covariance"),
        (sample_uniform, "follow the weights"),
        (sample_one, "from one component"),
        (sample_sorted, "sorted by component"),
        (sample_averaged, "not averaged"),
        (sample_first_covariance, "its own covariance"),
    ],
    "03.hard_to_sample": [
        (cloud_gaussian, "does not fail"),
        (cloud_two_points, "codes differ"),
        (cloud_line, "straight line"),
    ],
}
