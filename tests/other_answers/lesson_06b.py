"""Right answers to the exercises of lesson 06b, each in another style than the lesson's own."""

import math

import torch
from torch.distributions import Categorical


def step_in_floats(xt, x0, a_t, a_s, eta, z):
    t, s = float(a_t), float(a_s)
    sigma2 = min(eta * eta * (1 - s) / (1 - t) * (1 - t / s), 1 - s)
    noise = (xt - math.sqrt(t) * x0) / math.sqrt(1 - t)
    return math.sqrt(s) * x0 + math.sqrt(1 - s - sigma2) * noise + math.sqrt(sigma2) * z


def step_by_the_mean(xt, x0, a_t, a_s, eta, z):
    sigma = eta * torch.sqrt((1 - a_s) * (a_s - a_t) / (a_s * (1 - a_t)))
    sigma = sigma.clamp(max=float((1 - a_s).sqrt()))
    slope = ((1 - a_s - sigma.square()).clamp(min=0) / (1 - a_t)).sqrt()
    return torch.addcmul(slope * xt + (a_s.sqrt() - slope * a_t.sqrt()) * x0, sigma.to(z), z)


def step_by_einsum(xt, x0, a_t, a_s, eta, z):
    variance = (eta**2 * (1 - a_s) / (1 - a_t) * (1 - a_t / a_s)).clamp(max=1 - a_s)
    eps = (xt - a_t.sqrt() * x0) * (1 - a_t).rsqrt()
    weights = torch.stack([a_s, 1 - a_s - variance, variance]).sqrt().to(xt)
    return torch.einsum("k,k...->...", weights, torch.stack([x0, eps, z]))


def paste_by_a_sum(free, known, mask, a_s, z):
    noised = a_s**0.5 * known + (1 - a_s) ** 0.5 * z
    return noised * mask + free * ~mask


def paste_into_a_copy(free, known, mask, a_s, z):
    out = free.clone()
    out[mask] = a_s.sqrt() * known[mask] + (1 - a_s).sqrt() * z[mask]
    return out


def paste_by_masked_scatter(free, known, mask, a_s, z):
    noised = math.sqrt(a_s) * known + math.sqrt(1 - a_s) * z
    return free.masked_scatter(mask, noised[mask])


def guess_row_by_row(xt, data, a_t):
    guesses = []
    for x in xt:
        logits = -(x - a_t.sqrt() * data).square().sum(1) / (2 * (1 - a_t))
        guesses.append(torch.softmax(logits.to(data), 0) @ data)
    return torch.stack(guesses)


def guess_by_expanded_squares(xt, data, a_t):
    a = a_t.to(xt)
    logits = (a.sqrt() * xt @ data.T - a * data.square().sum(1) / 2) / (1 - a)  # ‖x_t‖² cancels
    weights = (logits - logits.max(1, keepdim=True).values).exp()
    return torch.einsum("bn,nd->bd", weights / weights.sum(1, keepdim=True), data)


def guess_by_log_sum_exp(xt, data, a_t):
    logits = torch.cdist(xt / a_t.sqrt(), data).pow(2).mul(-0.5 * a_t / (1 - a_t))
    return (logits - logits.logsumexp(1, keepdim=True)).exp().matmul(data)


def guess_by_distribution(xt, data, a_t):
    logits = torch.cdist(xt, a_t.sqrt() * data).square() / (-2 * (1 - a_t))
    return Categorical(logits=logits).probs @ data


OTHER = {
    "06b.eta_step": [step_in_floats, step_by_the_mean, step_by_einsum],
    "06b.paste": [paste_by_a_sum, paste_into_a_copy, paste_by_masked_scatter],
    "06b.best_guess": [
        guess_row_by_row,
        guess_by_expanded_squares,
        guess_by_log_sum_exp,
        guess_by_distribution,
    ],
}
