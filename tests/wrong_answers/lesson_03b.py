"""Wrong answers to lesson 03b's exercises, each with a part of the hint it must get."""

import torch


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


def datum_single():
    return torch.zeros(1, 2), torch.tensor([5.0, 0.0])


def datum_near():
    return torch.tensor([[-1.0, 0.0], [1.0, 0.0]]), torch.zeros(2)


def datum_decided():
    return torch.tensor([[-9.0, 0.0], [9.0, 0.0]]), torch.tensor([3.0, 0.0])


def score_sign(model, noisy, sigma):
    return (noisy - model(noisy)) / sigma**2


def score_undivided(model, noisy, sigma):
    return model(noisy) - noisy


def score_by_sigma(model, noisy, sigma):
    return (model(noisy) - noisy) / sigma


def gain_text():
    return "a lot"


def gain_ratio():
    return 200.0


def down_without_noise(model, start, levels):
    x = start
    for _ in levels:
        x = model(x)
    return x


def down_same_level(model, start, levels):
    x = start
    for level in levels:
        x = model(x) + level * torch.randn_like(x)
    return x


def down_noise_at_end(model, start, levels):
    x = start
    for after in [*levels[1:], levels[-1]]:
        x = model(x) + after * torch.randn_like(x)
    return x


def down_one_short(model, start, levels):
    x = start
    for after in levels[1:]:
        x = model(x) + after * torch.randn_like(x)
    return x


def down_noisy_start(model, start, levels):
    x = start
    for level in levels:
        x = model(x + level * torch.randn_like(x))
    return x


WRONG = {
    "03b.denoising_loss": [
        (loss_of_clean, "sees the clean data"),
        (loss_variance, "sigma squared"),
        (loss_to_noise, "not the noise"),
        (loss_to_noisy, "must cost nothing"),
        (loss_summed, "sum over the entries"),
        (loss_one_noise, "for each entry"),
        (loss_detached, "no gradient"),
    ],
    "03b.no_datum": [
        (datum_single, "at least two"),
        (datum_near, "further apart"),
        (datum_decided, "almost alone"),
    ],
    "03b.score_of": [
        (score_sign, "the sign"),
        (score_undivided, "times the score"),
        (score_by_sigma, "not by σ"),
    ],
    "03b.gain": [(gain_text, "plain number"), (gain_ratio, "between −30 and 30")],
    "03b.denoise_down": [
        (down_without_noise, "no noise is added"),
        (down_same_level, "NEXT level"),
        (down_noise_at_end, "after the last"),
        (down_one_short, "once for each level"),
        (down_noisy_start, "as it is"),
    ],
}
