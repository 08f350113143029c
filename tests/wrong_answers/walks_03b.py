"""Wrong ways down from noise, for lesson 03b's last exercise."""

import torch


def without_noise(model, start, levels):
    x = start
    for _ in levels:
        x = model(x)
    return x


def same_level(model, start, levels):
    x = start
    for level in levels:
        x = model(x) + level * torch.randn_like(x)
    return x


def noise_at_end(model, start, levels):
    x = start
    for after in [*levels[1:], levels[-1]]:
        x = model(x) + after * torch.randn_like(x)
    return x


def one_short(model, start, levels):
    x = start
    for after in levels[1:]:
        x = model(x) + after * torch.randn_like(x)
    return x


def noisy_start(model, start, levels):
    x = start
    for level in levels:
        x = model(x + level * torch.randn_like(x))
    return x


def _pairs(levels):
    return [*levels[1:], 0.0]


def squared(model, start, levels):
    x = start
    for after in _pairs(levels):
        x = model(x) + after**2 * torch.randn_like(x)
    return x


def difference(model, start, levels):
    x = start
    for before, after in zip(levels, levels[1:]):
        x = model(x) + (before**2 - after**2) ** 0.5 * torch.randn_like(x)
    return model(x)


def unit_noise(model, start, levels):
    x = start
    for after in _pairs(levels):
        x = model(x) + (after > 0) * torch.randn_like(x)
    return x


def last_level(model, start, levels):
    x = start
    for i in range(len(levels)):
        x = model(x) + (i < len(levels) - 1) * levels[-1] * torch.randn_like(x)
    return x


def upwards(model, start, levels):
    x = start
    for after in [*reversed(levels[1:]), 0.0]:
        x = model(x) + after * torch.randn_like(x)
    return x


def same_noise(model, start, levels):
    x, eps = start, torch.randn_like(start)
    for after in _pairs(levels):
        x = model(x) + after * eps
    return x


def uniform(model, start, levels):
    x = start
    for after in _pairs(levels):
        x = model(x) + after * torch.rand_like(x)
    return x


def flat(model, start, levels):
    x = start
    for after in _pairs(levels):
        x = model(x) + after * (torch.rand_like(x) - 0.5) * 12**0.5
    return x


def noise_of_rows(model, start, levels):
    x = start
    for after in _pairs(levels):
        x = model(x) + after * torch.randn_like(x.flatten(1)[:, :1]).view(-1, *[1] * (x.dim() - 1))
    return x


def seeded(model, start, levels):
    x, generator = start, torch.Generator().manual_seed(0)
    for after in _pairs(levels):
        x = model(x) + after * torch.randn(x.shape, generator=generator).to(x)
    return x


def always_from_start(model, start, levels):
    x = start
    for after in _pairs(levels):
        x = model(start) + after * torch.randn_like(x)
    return x


def without_the_answer(model, start, levels):
    x = start
    for after in _pairs(levels):
        model(x)
        x = x + after * torch.randn_like(x)
    return x


def for_three(model, start, levels):
    x = model(start)
    for after in levels[1:3]:
        x = model(x + after * torch.randn_like(x))
    return x


def popping(model, start, levels):
    x, _ = start, levels.pop(0)
    while levels:
        x = model(x) + levels.pop(0) * torch.randn_like(x)
    return model(x)


def on_the_cpu(model, start, levels):
    x = start
    for after in _pairs(levels):
        x = model(x) + after * torch.randn(x.shape, dtype=x.dtype)
    return x


def in_default_dtype(model, start, levels):
    x = start.float()
    for after in _pairs(levels):
        x = model(x) + after * torch.randn_like(x)
    return x


def clamped(model, start, levels):
    x = start
    for after in _pairs(levels):
        x = (model(x) + after * torch.randn_like(x)).clamp(0, 1)
    return x
