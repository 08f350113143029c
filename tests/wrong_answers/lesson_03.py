"""Wrong answers to lesson 03's exercises, each with a part of the hint it must get."""

import torch

from tests.wrong_answers import draws_03 as draws


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


def loss_for_784(model, x):
    x = x.reshape(-1, 784)
    return (model(x) - x).square().sum(1).mean()


def loss_mean_times_784(model, x):
    x = x.flatten(1)
    return 784 * (model(x) - x).square().mean()


def loss_cross_entropy(model, x):
    x = x.flatten(1)
    made = model(x).clamp(1e-6, 1 - 1e-6)
    return torch.nn.functional.binary_cross_entropy(made, x.clamp(0, 1), reduction="none").sum(1).mean()


def pca_centred_rows(x, k):
    mean, s, _ = _svd(x)
    return mean, torch.linalg.svd(x - x.mean(1, keepdim=True)).Vh[:k], s[:k] ** 2 / len(x)


def loss_largest(model, x):
    x = x.flatten(1)
    return (model(x) - x).square().sum(1).max()


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
        (loss_for_784, "RuntimeError"),
        (loss_mean_times_784, "no 784 in the function"),
        (loss_largest, "not the largest"),
        (loss_cross_entropy, "not the cross-entropy"),
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
        (pca_scaled_directions, "do not scale them"),
        (pca_in_float32, "float32"),
        (pca_centred_rows, "mean of each row"),
        (pca_mean_over_coordinates, "the mean of each coordinate"),
    ],
    "03.guess": [
        (guess_one, "two numbers"),
        (guess_too_much, "between 0 and 100"),
        (guess_fractions, "not fractions"),
        (guess_words, "plain numbers"),
    ],
    "03.sample_mixture": [
        (draws.transposed, "LᵀL instead of LLᵀ"),
        (draws.covariance, "multiplied by the covariance"),
        (draws.uniform, "follow the weights"),
        (draws.one, "from one component"),
        (draws.sorted, "sorted by component"),
        (draws.averaged, "not averaged"),
        (draws.first_covariance, "its own covariance"),
        (draws.seeded, "fix no seed"),
        (draws.in_shares, "exactly its share"),
        (draws.uniform_noise, "not torch.rand"),
        (draws.flat_noise, "not Gaussian"),
        (draws.one_noise, "share one random number"),
        (draws.without_noise, "the same point"),
        (draws.without_means, "add the mean"),
        (draws.without_factor, "is the factor L missing"),
        (draws.diagonal, "do not correlate"),
        (draws.softmax, "no softmax"),
        (draws.in_float32, "float32 comes out"),
        (draws.dtype_of_weights, "RuntimeError"),
        (draws.squeezed, "no squeeze"),
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
