"""Wrong answers to lesson 03b's exercises, each with a part of the hint it must get."""

import torch

from tests.wrong_answers import walks_03b as walks


def loss_of_clean(model, x, sigma):
    return (model(x) - x).square().mean()


def loss_variance(model, x, sigma):
    return (model(x + sigma**2 * torch.randn_like(x)) - x).square().mean()


def loss_to_noise(model, x, sigma):
    noise = sigma * torch.randn_like(x)
    return (model(x + noise) - noise).square().mean()


def loss_to_noisy(model, x, sigma):
    noisy = x + sigma * torch.randn_like(x)
    return (model(noisy) - noisy).square().mean()


def loss_summed(model, x, sigma):
    noisy = x + sigma * torch.randn_like(x)
    return (model(noisy) - x).square().flatten(1).sum(1).mean()


def loss_one_noise(model, x, sigma):
    noisy = x + sigma * torch.randn(len(x), 1)
    return (model(noisy) - x).square().mean()


def loss_detached(model, x, sigma):
    noisy = x + sigma * torch.randn_like(x)
    return (model(noisy).detach() - x).square().mean()


def _loss(model, x, sigma, noise):
    return (model(x + sigma * noise) - x).square().mean()


def loss_root_of_sigma(model, x, sigma):
    return _loss(model, x, sigma**0.5, torch.randn_like(x))


def loss_without_sigma(model, x, sigma):
    return _loss(model, x, 1.0, torch.randn_like(x))


def loss_uniform_noise(model, x, sigma):
    return _loss(model, x, sigma, torch.rand_like(x))


def loss_flat_noise(model, x, sigma):
    return _loss(model, x, sigma, (torch.rand_like(x) - 0.5) * 12**0.5)


def loss_noise_for_all_rows(model, x, sigma):
    return _loss(model, x, sigma, torch.randn_like(x[:1]).expand_as(x))


def loss_seeded(model, x, sigma):
    generator = torch.Generator().manual_seed(0)
    return _loss(model, x, sigma, torch.randn(x.shape, generator=generator).to(x))


def loss_absolute(model, x, sigma):
    return (model(x + sigma * torch.randn_like(x)) - x).abs().mean()


def loss_root(model, x, sigma):
    return _loss(model, x, sigma, torch.randn_like(x)).sqrt()


def loss_half(model, x, sigma):
    return _loss(model, x, sigma, torch.randn_like(x)) / 2


def loss_mean_squared(model, x, sigma):
    return (model(x + sigma * torch.randn_like(x)) - x).mean().square()


def loss_over_variance(model, x, sigma):
    return ((model(x + sigma * torch.randn_like(x)) - x) / sigma).square().mean()


def loss_of_rows(model, x, sigma):
    return (model(x + sigma * torch.randn_like(x)) - x).flatten(1).square().mean(1)


def loss_of_mean_level(model, x, sigma):
    return _loss(model, x, torch.as_tensor(sigma).mean(), torch.randn_like(x))


def loss_on_the_cpu(model, x, sigma):
    return _loss(model, x, sigma, torch.randn(x.shape))


def loss_in_double(model, x, sigma):
    return _loss(model, x, sigma, torch.randn_like(x)).double()


def loss_with_backward(model, x, sigma):
    loss = _loss(model, x, sigma, torch.randn_like(x))
    if loss.requires_grad:
        loss.backward(retain_graph=True)
    return loss


def loss_of_clean_answer(model, x, sigma):
    return (model(x) - (x + sigma * torch.randn_like(x))).square().mean()


def loss_of_clamped_noise(model, x, sigma):
    return (model((x + sigma * torch.randn_like(x)).clamp(0, 1)) - x).square().mean()


def loss_of_clamped_answer(model, x, sigma):
    return (model(x + sigma * torch.randn_like(x)).clamp(0, 1) - x).square().mean()


def datum_single():
    return torch.zeros(1, 2), torch.tensor([5.0, 0.0])


def datum_near():
    return torch.tensor([[-1.0, 0.0], [1.0, 0.0]]), torch.zeros(2)


def datum_decided():
    return torch.tensor([[-9.0, 0.0], [9.0, 0.0]]), torch.tensor([3.0, 0.0])


def datum_of_integers():
    return torch.tensor([[-3, 0], [3, 0]]), torch.tensor([0, 0])


def datum_of_two_dtypes():
    return torch.tensor([[-3.0, 0.0], [3.0, 0.0]]).double(), torch.zeros(2)


def datum_at_infinity():
    return torch.tensor([[-float("inf"), 0.0], [3.0, 0.0]]), torch.zeros(2)


def datum_in_a_row():
    return torch.tensor([[-3.0, 0.0], [3.0, 0.0]]), torch.zeros(1, 2)


def datum_alone():
    return torch.tensor([[-3.0, 0.0], [3.0, 0.0]])


def datum_as_columns():
    return torch.tensor([[-3.0, 3.0, 0.0], [0.0, 0.0, 9.0]]), torch.zeros(2)


def datum_at_the_mean():
    return torch.tensor([[-2.2, 0.0], [0.0, 1.5], [2.2, 0.0]]), torch.zeros(2)


def score_sign(model, noisy, sigma):
    return (noisy - model(noisy)) / sigma**2


def score_undivided(model, noisy, sigma):
    return model(noisy) - noisy


def score_by_sigma(model, noisy, sigma):
    return (model(noisy) - noisy) / sigma


def score_multiplied(model, noisy, sigma):
    return (model(noisy) - noisy) * sigma**2


def score_halved(model, noisy, sigma):
    return (model(noisy) - noisy) / (2 * sigma**2)


def score_of_the_answer(model, noisy, sigma):
    return model(noisy) / sigma**2


def score_without_brackets(model, noisy, sigma):
    return model(noisy) - noisy / sigma**2


def score_one_plus(model, noisy, sigma):
    return (model(noisy) - noisy) / (1 + sigma**2)


def score_of_the_noise(model, noisy, sigma):
    return -noisy / sigma**2


def score_twice(model, noisy, sigma):
    answer = model(noisy)
    return (model(answer) - answer) / sigma**2


def score_in_float32(model, noisy, sigma):
    return ((model(noisy) - noisy).float() / sigma**2).to(noisy)


def score_of_rows(model, noisy, sigma):
    return (model(noisy) - noisy).flatten(1) / sigma**2


def score_summed(model, noisy, sigma):
    return (model(noisy) - noisy).sum(1) / sigma**2


def score_in_double(model, noisy, sigma):
    return (model(noisy) - noisy).double() / sigma**2


def gain_text():
    return "a lot"


def gain_ratio():
    return 200.0


WRONG = {
    "03b.denoising_loss": [
        (loss_of_clean, "sees the clean data"),
        (loss_variance, "sigma squared"),
        (loss_to_noise, "not the noise"),
        (loss_to_noisy, "must cost nothing"),
        (loss_summed, "sum over the entries"),
        (loss_one_noise, "entries of a row"),
        (loss_detached, "no gradient"),
        (loss_root_of_sigma, "root of sigma"),
        (loss_without_sigma, "whatever sigma is"),
        (loss_uniform_noise, "mean 0"),
        (loss_flat_noise, "not Gaussian"),
        (loss_noise_for_all_rows, "all rows get"),
        (loss_seeded, "fix no seed"),
        (loss_absolute, "not taken by size"),
        (loss_root, "no root."),
        (loss_half, "no factor ½"),
        (loss_mean_squared, "before the square"),
        (loss_over_variance, "not divided by σ²"),
        (loss_of_rows, "a single number"),
        (loss_of_mean_level, "between the rows"),
        (loss_on_the_cpu, "mixes devices"),
        (loss_in_double, "float64 comes out"),
        (loss_with_backward, "leave .backward()"),
        (loss_of_clamped_noise, "cut to [0, 1]"),
        (loss_of_clamped_answer, "not clamped"),
    ],
    "03b.no_datum": [
        (datum_single, "at least two"),
        (datum_near, "further apart"),
        (datum_decided, "almost alone"),
        (datum_of_integers, "decimal numbers"),
        (datum_of_two_dtypes, "same dtype"),
        (datum_at_infinity, "must be finite"),
        (datum_in_a_row, "one noisy point"),
        (datum_as_columns, "one point a row"),
        (datum_at_the_mean, "where the mean will be"),
    ],
    "03b.score_of": [
        (score_sign, "the sign"),
        (score_undivided, "times the score"),
        (score_by_sigma, "not by σ."),
        (score_multiplied, "you multiply by it"),
        (score_halved, "not by 2σ²"),
        (score_of_the_answer, "*correction*"),
        (score_without_brackets, "brackets"),
        (score_one_plus, "not by 1 + σ²"),
        (score_of_the_noise, "answer is missing"),
        (score_twice, "called twice"),
        (score_in_float32, "float32"),
        (score_of_rows, "images"),
        (score_summed, "one number for each entry"),
        (score_in_double, "float64 comes out"),
    ],
    "03b.gain": [(gain_text, "plain number"), (gain_ratio, "between −30 and 30")],
    "03b.denoise_down": [
        (walks.without_noise, "no noise is added"),
        (walks.same_level, "NEXT level"),
        (walks.noise_at_end, "after the last"),
        (walks.one_short, "once for each level"),
        (walks.noisy_start, "as it is"),
        (walks.squared, "not its square"),
        (walks.difference, "no difference of squares"),
        (walks.unit_noise, "level 1 throughout"),
        (walks.last_level, "noise of the last level"),
        (walks.upwards, "taken from their end"),
        (walks.same_noise, "draw fresh noise"),
        (walks.uniform, "mean 0"),
        (walks.flat, "not Gaussian"),
        (walks.noise_of_rows, "the same noise"),
        (walks.seeded, "two calls add"),
        (walks.without_the_answer, "answer is not used"),
        (walks.always_from_start, "again and again"),
        (walks.for_three, "for 5 levels"),
        (walks.popping, "changes the list"),
        (walks.on_the_cpu, "mixes devices"),
        (walks.clamped, "cut to [0, 1]"),
        (walks.in_default_dtype, "float32 comes out"),
    ],
}
