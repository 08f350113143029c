"""Right answers to the exercises of lesson 03b, each in another style than the lesson's own."""

import numpy as np
import torch
from torch.nn import functional as F


def loss_by_mse(model, x, sigma):
    noise = torch.randn(x.shape, dtype=x.dtype, device=x.device)
    return F.mse_loss(model(torch.add(x, noise * sigma)), x)


def loss_by_normal(model, x, sigma):
    sigma = torch.as_tensor(sigma, dtype=x.dtype, device=x.device)
    noisy = torch.normal(x, sigma.expand_as(x))
    gap = (x - model(noisy)).flatten()
    return gap @ gap / gap.numel()


def loss_row_by_row(model, x, sigma):
    noisy = x + torch.empty_like(x).normal_() * sigma
    return torch.stack([(a - b).pow(2).mean() for a, b in zip(model(noisy), x)]).mean()


def datum_triangle():
    clean = torch.tensor([[4.0, 0.0], [-2.0, 3.4], [-2.0, -3.4]], dtype=torch.float64)
    return [clean, clean.mean(0)]


def datum_from_numpy():
    clean = np.array([[10.0, 1.0], [10.0, 9.0]], dtype=np.float32)
    return torch.from_numpy(clean), torch.from_numpy(clean.mean(axis=0))


def datum_on_a_ring():
    angle = torch.arange(5) * 2 * torch.pi / 5
    return 7 * torch.stack([angle.cos(), angle.sin()], 1), torch.zeros(2)


def score_by_pieces(model, noisy, sigma):
    precision = sigma**-2
    return precision * model(noisy) - precision * noisy


def score_by_steps(model, noisy, sigma):
    return torch.div(torch.sub(model(noisy), noisy), sigma * sigma)


def score_row_by_row(model, noisy, sigma):
    return torch.stack([(model(row[None])[0] - row) / sigma / sigma for row in noisy])


def gain_as_numpy():
    return np.float32(-2.5)


def gain_as_tensor():
    return torch.tensor(4)


def down_by_recursion(model, start, levels):
    restored = model(start)
    if len(levels) == 1:
        return restored
    rest = levels[1:]
    return down_by_recursion(model, restored + rest[0] * torch.randn_like(restored), rest)


def down_by_index(model, start, levels):
    x = start
    for i in range(len(levels)):
        if i > 0:
            x = x + torch.empty_like(x).normal_(0, levels[i])
        x = model(x)
    return x


def down_by_normal(model, start, levels):
    levels = torch.tensor(levels)
    x = model(start)
    for level in levels[1:]:
        x = model(torch.randn(x.shape, dtype=x.dtype, device=x.device) * level + x)
    return x


OTHER = {
    "03b.denoising_loss": [loss_by_mse, loss_by_normal, loss_row_by_row],
    "03b.no_datum": [datum_triangle, datum_from_numpy, datum_on_a_ring],
    "03b.score_of": [score_by_pieces, score_by_steps, score_row_by_row],
    "03b.gain": [gain_as_numpy, gain_as_tensor],
    "03b.denoise_down": [down_by_recursion, down_by_index, down_by_normal],
}
