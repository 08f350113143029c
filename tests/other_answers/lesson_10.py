"""Right answers to the exercises of lesson 10, each in another style than the lesson's own."""

import math

import torch
from torch.distributions import Normal


def density_by_distribution(x, to_noise, slope):
    z = to_noise(x)
    zero = torch.zeros((), dtype=x.dtype, device=x.device)
    return Normal(zero, zero + 1).log_prob(z) - torch.log(torch.abs(slope(z)))


def density_one_by_one(x, to_noise, slope):
    found = []
    for one in x:
        z = to_noise(one)
        p = torch.exp(-z * z / 2) / math.sqrt(2 * math.pi) / torch.abs(slope(z))
        found.append(torch.log(p))
    return torch.stack(found)


def couple_with_slices(x, terms, back=False):
    half = x.shape[1] // 2
    stay, move = x[:, :half], x[:, half:]
    s, t = terms(stay)
    move = (move - t) / torch.exp(s) if back else torch.exp(s) * move + t
    line = s.reshape(len(x), -1).sum(1)
    return [torch.cat((stay, move), dim=1), -line if back else line]


def couple_by_einsum(x, terms, back=False):
    a, b = torch.split(x, x.shape[1] // 2, 1)
    s, t = terms(a)
    sign = -1 if back else 1
    moved = (b - t) * torch.exp(-s) if back else torch.addcmul(t, b, s.exp())
    return torch.concat([a, moved], 1), sign * torch.einsum("b...->b", s)


def share_as_tensor():
    return torch.tensor(1.5)


def share_whole():
    return 3


def bits_by_steps(log_p, levels, u):
    pixels = math.prod(levels.shape[1:])
    nats = -log_p(levels / 256 + u / 256)
    whole = nats + pixels * math.log(256)  # of the density on levels, not on [0, 1)
    return whole / pixels / math.log(2)


def bits_by_log2(log_p, levels, u):
    x = torch.div(torch.add(levels, u), 256.0)
    return 8.0 - log_p(x) * math.log2(math.e) / x.flatten(1).shape[1]


def noise_by_nats(u, gain):
    return u * math.exp(-gain * math.log(2))


def noise_by_halving(u, gain):
    return torch.exp2(torch.full_like(u, -float(gain))) * u


def mix_by_singular_values(weight, height, width):
    return torch.linalg.svdvals(weight).log().sum() * (height * width)


def mix_by_lu(weight, height, width):
    upper = torch.linalg.lu_factor(weight)[0].triu()
    return height * (width * upper.diagonal().abs().log().sum())


OTHER = {
    "10.density": [density_by_distribution, density_one_by_one],
    "10.couple": [couple_with_slices, couple_by_einsum],
    "10.share": [share_as_tensor, share_whole],
    "10.bits": [bits_by_steps, bits_by_log2],
    "10.noise": [noise_by_nats, noise_by_halving],
    "10.mix": [mix_by_singular_values, mix_by_lu],
}
