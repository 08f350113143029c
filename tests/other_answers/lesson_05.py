"""Right answers to the exercises of lesson 05, each in another style than the lesson's own."""

from fractions import Fraction

import numpy as np
import torch
from torch.nn import functional as F


def losses_by_cross_entropy(player, D, real, fake):
    def cost(logits, label):
        return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, label))

    return cost(D(fake), 1.0) if player == "G" else cost(D(real), 1.0) + cost(D(fake.detach()), 0.0)


def losses_by_softplus(player, D, real, fake):
    if player == "D":
        with torch.no_grad():
            forgeries = fake.clone()
        return F.softplus(-D(real)).sum() / len(real) + F.softplus(D(forgeries)).sum() / len(fake)
    return torch.mean(F.softplus(-D(fake)))


def losses_in_one_batch(player, D, real, fake):
    if player == "G":
        return torch.logaddexp(-D(fake), torch.zeros(len(fake), dtype=fake.dtype, device=fake.device)).mean()
    on_real, on_fake = D(torch.cat([real, fake.detach()])).split([len(real), len(fake)])
    zero = on_real.new_zeros(())
    return torch.logaddexp(zero, -on_real).mean() + torch.logaddexp(zero, on_fake).mean()


def losses_by_two_classes(player, D, real, fake):
    def cost(logits, right):
        both = torch.stack([torch.zeros_like(logits), logits], 1)
        return -both.log_softmax(1)[:, right].mean()

    return cost(D(real), 1) + cost(D(fake.detach()), 0) if player == "D" else cost(D(fake), 1)


def critic_by_softmax(log_p_data, log_p_model):
    return torch.softmax(torch.stack([log_p_data, log_p_model]), 0)[0]


def critic_by_logaddexp(log_p_data, log_p_model):
    return (log_p_data - torch.logaddexp(log_p_data, log_p_model)).exp()


def critic_by_tanh(log_p_data, log_p_model):
    return 0.5 + 0.5 * torch.tanh((log_p_data - log_p_model) / 2)


def critic_in_double(log_p_data, log_p_model):
    return 1 / (1 + torch.exp(log_p_model.double() - log_p_data.double()))


def modes_by_bincount(samples, centres, sigma):
    near = np.linalg.norm(samples.numpy()[:, None] - centres.numpy()[None], axis=-1) <= 3 * sigma
    return np.count_nonzero(near.sum(axis=0) >= 20)


def modes_of_numpy(samples, centres, sigma):
    square = ((samples[:, None] - centres) ** 2).sum(-1).numpy()
    return (np.sum(square <= 9 * sigma**2, axis=0) > 19).sum()  # np.int64


def modes_by_a_loop(samples, centres, sigma):
    covered = 0
    for centre in centres:
        distances = (samples - centre).norm(dim=1)
        covered += sum(distance.item() <= 3 * sigma for distance in distances) >= 20
    return covered


def modes_as_a_tensor(samples, centres, sigma):
    near = (samples[:, None, :] - centres[None]).pow(2).sum(-1).sqrt().le(3 * sigma)
    return near.count_nonzero(0).ge(20).sum()


def keep_by_logarithms(logits, u):
    return u.log() < logits - logits.max()


def keep_by_exponential_race(logits, u):
    return torch.gt(torch.exp(logits - torch.amax(logits)), u)


def keep_one_by_one(logits, u):
    best = max(logits.tolist())
    return torch.tensor(
        [uniform < np.exp(logit - best) for logit, uniform in zip(logits.tolist(), u.tolist())]
    )


def r1_by_vmap(D, real):
    slope = torch.func.vmap(torch.func.grad(lambda x: D(x[None])[0]))(real)
    return slope.flatten(1).pow(2).sum(1).mean() / 2


def r1_by_einsum(D, real):
    points = real.clone().requires_grad_()
    logits = D(points)
    slope = torch.autograd.grad(logits, points, torch.ones_like(logits), create_graph=True)[0]
    return torch.einsum("bi,bi->", slope.flatten(1), slope.flatten(1)) / (2 * len(real))


def r1_by_norm(D, real):
    points = real.detach().clone().requires_grad_(True)
    slope = torch.autograd.grad([D(points).sum()], [points], create_graph=True)[0]
    return 0.5 * slope.reshape(len(real), -1).norm(dim=1).pow(2).mean()


def r1_point_by_point(D, real):
    points = real.detach().requires_grad_()
    total = 0.0
    for n, logit in enumerate(D(points)):
        (slope,) = torch.autograd.grad(logit, points, create_graph=True)
        total = total + slope[n].square().sum()
    return total / (2 * len(real))


def bets_in_a_list():
    return [1, 2.5, np.float32(0.5), np.int64(8)]


def bets_in_an_array():
    return np.array([0.0, 8.0, 3.5, 1.0])


def gamma_of_numpy():
    return np.float64(20)


def gamma_as_a_fraction():
    return Fraction(10)


OTHER = {
    "05.losses": [
        losses_by_cross_entropy,
        losses_by_softplus,
        losses_in_one_batch,
        losses_by_two_classes,
    ],
    "05.critic": [critic_by_softmax, critic_by_logaddexp, critic_by_tanh, critic_in_double],
    "05.modes": [modes_by_bincount, modes_of_numpy, modes_by_a_loop, modes_as_a_tensor],
    "05.keep": [keep_by_logarithms, keep_by_exponential_race, keep_one_by_one],
    "05.r1": [r1_by_vmap, r1_by_einsum, r1_by_norm, r1_point_by_point],
    "05.bets": [bets_in_a_list, bets_in_an_array],
    "05.too_much": [gamma_of_numpy, gamma_as_a_fraction],
}
