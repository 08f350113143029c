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


def loss_norm(model, x):
    x = x.flatten(1)
    return (model(x) - x).norm(dim=1).mean()


def loss_root(model, x):
    x = x.flatten(1)
    return (model(x) - x).square().sum(1).mean().sqrt()


def loss_half(model, x):
    x = x.flatten(1)
    return 0.5 * (model(x) - x).square().sum(1).mean()


def loss_square_of_sum(model, x):
    x = x.flatten(1)
    return (model(x) - x).sum(1).square().mean()


def loss_axes_turned(model, x):
    x = x.flatten(1)
    return (model(x) - x).square().sum(0).mean()


def loss_not_squared(model, x):
    x = x.flatten(1)
    return (model(x) - x).sum(1).mean()


def loss_clamped(model, x):
    x = x.flatten(1)
    return (model(x).clamp(0, 1) - x).square().sum(1).mean()


def loss_for_five(model, x):
    x = x.flatten(1)
    return (model(x) - x).square().sum() / 5


def loss_squeezed(model, x):
    x = x.flatten(1)
    return (model(x) - x).squeeze().square().sum(-1).sum() / len(x.squeeze())


def loss_in_double(model, x):
    x = x.flatten(1)
    return (model(x) - x).double().square().sum(1).mean()


def loss_with_backward(model, x):
    x = x.flatten(1)
    loss = (model(x) - x).square().sum(1).mean()
    if loss.requires_grad:
        loss.backward(retain_graph=True)
    return loss


def loss_as_number(model, x):
    x = x.flatten(1)
    return (model(x) - x).square().sum(1).mean().item()


def loss_from_the_cpu(model, x):
    x = x.flatten(1)
    total = torch.zeros(len(x))
    return (total + (model(x) - x).square().sum(1)).mean()


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


def _svd(x):
    mean = x.mean(0)
    _, s, vt = torch.linalg.svd(x - mean, full_matrices=False)
    return mean, s, vt


def pca_standardised(x, k):
    mean = x.mean(0)
    _, s, vt = torch.linalg.svd((x - mean) / x.std(0), full_matrices=False)
    return mean, vt[:k], s[:k] ** 2 / len(x)


def pca_ascending(x, k):
    mean, s, vt = _svd(x)
    return mean, vt.flip(0)[:k], s.flip(0)[:k] ** 2 / len(x)


def pca_rows_of_v(x, k):
    mean, s, vt = _svd(x)
    return mean, vt.T[:k], s[:k] ** 2 / len(x)


def pca_turned_order(x, k):
    mean, s, vt = _svd(x)
    return mean, vt[:k].flip(0), s[:k].flip(0) ** 2 / len(x)


def pca_of_two(x, k):
    mean, s, vt = _svd(x)
    return mean, vt[:2], s[:2] ** 2 / len(x)


def pca_of_three(x, k):
    mean, s, vt = _svd(x)
    return mean, vt[:3], s[:3] ** 2 / len(x)


def pca_unbiased(x, k):
    mean, s, vt = _svd(x)
    return mean, vt[:k], s[:k] ** 2 / (len(x) - 1)


def pca_sums(x, k):
    mean, s, vt = _svd(x)
    return mean, vt[:k], s[:k] ** 2


def pca_deviations(x, k):
    mean, s, vt = _svd(x)
    return mean, vt[:k], s[:k] / len(x) ** 0.5


def pca_shares(x, k):
    mean, s, vt = _svd(x)
    return mean, vt[:k], s[:k] ** 2 / (s**2).sum()


def pca_scaled_directions(x, k):
    mean, s, vt = _svd(x)
    return mean, vt[:k] * s[:k, None], s[:k] ** 2 / len(x)


def pca_in_float32(x, k):
    mean, s, vt = _svd(x.float())
    return mean.double(), vt[:k].double(), s[:k].double() ** 2 / len(x)


def pca_mean_over_coordinates(x, k):
    mean, s, vt = _svd(x)
    return x.mean(1), vt[:k], s[:k] ** 2 / len(x)


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


def _picks(weights, n):
    return torch.multinomial(weights, n, replacement=True)


def sample_seeded(weights, means, covariances, n):
    generator = torch.Generator().manual_seed(0)
    which = torch.multinomial(weights, n, replacement=True, generator=generator)
    noise = torch.randn(n, means.shape[1], 1, dtype=means.dtype, generator=generator)
    return means[which] + (torch.linalg.cholesky(covariances)[which] @ noise)[..., 0]


def sample_in_shares(weights, means, covariances, n):
    which = torch.repeat_interleave(torch.arange(len(weights)), (weights * n).round().long())
    which = torch.cat([which, which.new_zeros(n)])[:n]
    return _draw(which[torch.randperm(n)], means, torch.linalg.cholesky(covariances))


def _draw_from(noise, which, means, covariances):
    return means[which] + torch.einsum("nij,nj->ni", torch.linalg.cholesky(covariances)[which], noise)


def sample_uniform_noise(weights, means, covariances, n):
    noise = torch.rand(n, means.shape[1], dtype=means.dtype)
    return _draw_from(noise, _picks(weights, n), means, covariances)


def sample_flat_noise(weights, means, covariances, n):
    noise = (torch.rand(n, means.shape[1], dtype=means.dtype) - 0.5) * 12**0.5
    return _draw_from(noise, _picks(weights, n), means, covariances)


def sample_one_noise(weights, means, covariances, n):
    noise = torch.randn(n, 1, dtype=means.dtype).expand(n, means.shape[1])
    return _draw_from(noise, _picks(weights, n), means, covariances)


def sample_without_noise(weights, means, covariances, n):
    return means[_picks(weights, n)]


def sample_without_means(weights, means, covariances, n):
    noise = torch.randn(n, means.shape[1], dtype=means.dtype)
    return _draw_from(noise, _picks(weights, n), 0 * means, covariances)


def sample_without_factor(weights, means, covariances, n):
    return means[_picks(weights, n)] + torch.randn(n, means.shape[1], dtype=means.dtype)


def sample_diagonal(weights, means, covariances, n):
    deviations = covariances.diagonal(dim1=1, dim2=2).sqrt()
    which = _picks(weights, n)
    return means[which] + deviations[which] * torch.randn(n, means.shape[1], dtype=means.dtype)


def sample_softmax(weights, means, covariances, n):
    return _draw(_picks(weights.softmax(0), n), means, torch.linalg.cholesky(covariances))


def sample_in_float32(weights, means, covariances, n):
    return _draw(_picks(weights, n), means, torch.linalg.cholesky(covariances)).float()


def sample_dtype_of_weights(weights, means, covariances, n):
    noise = torch.randn(n, means.shape[1], dtype=weights.dtype)
    return _draw_from(noise, _picks(weights, n), means, covariances)


def sample_squeezed(weights, means, covariances, n):
    which = _picks(weights, n)
    return _draw(which, means, torch.linalg.cholesky(covariances)).squeeze()


def cloud_gaussian(n):
    return 100 + torch.randn(n, 2) * torch.tensor([5.0, 0.1])


def cloud_two_points(n):
    return torch.tensor([[0.0, 0.0], [5.0, 5.0]]).repeat(n // 2, 1)


def cloud_line(n):
    return torch.rand(n, 1).repeat(1, 2)


def cloud_ring_in_order(n):
    angle = torch.linspace(0, 2 * torch.pi, n + 1)[:-1]
    return torch.stack([angle.cos(), angle.sin()], 1)


def cloud_undefined(n):
    angle = 2 * torch.pi * torch.rand(n)
    return torch.stack([angle.cos() / 0.0, angle.sin()], 1)


def cloud_of_whole_numbers(n):
    return torch.randint(-1000, 1000, (n, 2))


def cloud_of_fixed_size(n):
    angle = 2 * torch.pi * torch.rand(1_000)
    return torch.stack([angle.cos(), angle.sin()], 1)


def cloud_turned(n):
    angle = 2 * torch.pi * torch.rand(n)
    return torch.stack([angle.cos(), angle.sin()])


def cloud_square(n):
    return torch.rand(n, 2) * torch.tensor([3.0, 1.0]) - 7


WRONG = {
    "03.reconstruction_loss": [
        (loss_mean, "mean over the pixels"),
        (loss_sum, "sum over the batch"),
        (loss_each, "one number an image"),
        (loss_absolute, "not taken by size"),
        (loss_unflattened, "flatten(1) first"),
        (loss_detached, "no gradient"),
        (loss_norm, "no norm"),
        (loss_root, "no root."),
        (loss_half, "no factor ½"),
        (loss_square_of_sum, "square the sum of the errors"),
        (loss_axes_turned, "yours is turned"),
        (loss_not_squared, "they cancel"),
        (loss_clamped, "not clamped"),
        (loss_for_five, "one image alone"),
        (loss_in_double, "float64 comes out"),
        (loss_with_backward, "leave .backward()"),
        (loss_from_the_cpu, "mixes devices"),
    ],
    "03.pca": [
        (pca_not_centred, "before centring"),
        (pca_columns, "take vt[:k]"),
        (pca_singular_values, "these are the singular values"),
        (pca_standardised, "standardised"),
        (pca_ascending, "least"),
        (pca_rows_of_v, "rows of V"),
        (pca_turned_order, "wrong order"),
        (pca_of_two, "not (2, 5)"),
        (pca_of_three, "k = 1"),
        (pca_unbiased, "not by n − 1"),
        (pca_sums, "sums over the points"),
        (pca_deviations, "standard deviations"),
        (pca_shares, "shares of the total"),
        (pca_scaled_directions, "orthonormal"),
        (pca_in_float32, "float32"),
        (pca_mean_over_coordinates, "the mean of each coordinate"),
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
        (sample_seeded, "fix no seed"),
        (sample_in_shares, "exactly its share"),
        (sample_uniform_noise, "not torch.rand"),
        (sample_flat_noise, "not Gaussian"),
        (sample_one_noise, "share one random number"),
        (sample_without_noise, "the same point"),
        (sample_without_means, "add the mean"),
        (sample_without_factor, "is the factor L missing"),
        (sample_diagonal, "do not correlate"),
        (sample_softmax, "no softmax"),
        (sample_in_float32, "float32 comes out"),
        (sample_dtype_of_weights, "RuntimeError"),
        (sample_squeezed, "no squeeze"),
    ],
    "03.hard_to_sample": [
        (cloud_gaussian, "does not fail"),
        (cloud_two_points, "codes differ"),
        (cloud_line, "straight line"),
        (cloud_ring_in_order, "come in an order"),
        (cloud_undefined, "not finite"),
        (cloud_of_whole_numbers, "decimal numbers"),
        (cloud_of_fixed_size, "asked for 700"),
        (cloud_turned, "two numbers"),
        (cloud_square, "than half"),
    ],
}
