"""Right answers to the exercises of lesson 14 in another style than the reference: they must pass."""

import math

import numpy as np
import torch
from torch.nn import functional as F


def ddim_by_the_guess(y, eps, a_k, a_s):
    guess = (y - torch.sqrt(1 - a_k) * eps) / torch.sqrt(a_k)
    return torch.sqrt(a_s) * guess + torch.sqrt(1 - a_s) * eps


def ddim_by_ratios(y, eps, a_k, a_s):
    """σ/α is the root of 1/ᾱ − 1."""
    now, then = (1 / a_k - 1) ** 0.5, (1 / a_s - 1) ** 0.5
    return (y * a_k.rsqrt() + eps * (then - now)) / a_s.rsqrt()


def ddim_in_numbers(y, eps, a_k, a_s):
    ratio = math.sqrt(a_s / a_k)
    return ratio * y + (math.sqrt(1 - a_s) - ratio * math.sqrt(1 - a_k)) * eps


def ddim_by_angles(y, eps, a_k, a_s):
    """α and σ are the cosine and the sine of one angle, and σ/α its tangent."""
    now, then = (torch.arccos(a.sqrt()) for a in (a_k, a_s))
    return torch.cos(then) / torch.cos(now) * y + torch.sin(then - now) / torch.cos(now) * eps


def heun_corrected(u, x, t, h):
    """Euler's step first, then corrected by half the difference of the slopes."""
    slope = u(x, t)
    ahead = x + h * slope
    return ahead + 0.5 * h * (u(ahead, t + h) - slope)


def heun_by_stack(u, x, t, h):
    slopes = [u(x, t)]
    slopes.append(u(torch.add(x, slopes[0], alpha=h), t + h))
    return x + h * torch.stack(slopes).mean(0)


def heun_in_a_loop(u, x, t, h):
    out, place = x.clone(), x
    for time in (t, torch.tensor(t + h, dtype=torch.float64)):
        slope = u(place, time)
        place = place + h * slope
        out += h / 2 * slope
    return out


def loss_by_lerp(model, x, eps, t):
    xt = torch.lerp(eps, x, t.reshape(len(t), *(1 for _ in x.shape[1:])))
    return F.mse_loss(model(xt, t), x - eps)


def loss_by_einsum(model, x, eps, t):
    xt = torch.einsum("b,b...->b...", t, x) + torch.einsum("b,b...->b...", 1 - t, eps)
    gap = (eps - x) + model(xt, t)
    return torch.sum(gap**2) / gap.numel()


def loss_turned_round(model, x, eps, t):
    """Samples on the last axis, where times of the shape (B,) meet them."""
    way = x - eps
    xt = (eps.movedim(0, -1) + t * way.movedim(0, -1)).movedim(-1, 0)
    return torch.mean(torch.pow(way - model(xt, t.clone()), 2))


def loss_sample_by_sample(model, x, eps, t):
    xt = torch.stack([time * one + (1 - time) * noise for time, one, noise in zip(t, x, eps)])
    answers = model(xt, t)
    parts = [((answer - one + noise) ** 2).mean() for answer, one, noise in zip(answers, x, eps)]
    return sum(parts) / len(parts)


def score_by_the_noise(u, x, t):
    guess = x + (1 - t) * u
    noise = guess - u
    return -noise / (1 - t)


def score_by_odds(u, x, t):
    return t / (1 - t) * u - x / (1 - t)


def score_in_numpy(u, x, t):
    out = (t * u.numpy() - x.numpy()) / (1 - t)
    return torch.from_numpy(np.asarray(out)).to(x.dtype)


@torch.no_grad()
def pairs_decorated(u, eps, times, solve):
    return eps.clone(), solve(u, eps, times)


def pairs_detached(u, eps, times, solve):
    end = solve(u, eps.clone(), list(times)).detach()
    return [eps, end]


def pairs_slopes_detached(u, eps, times, solve):
    draws = solve(lambda x, t: u(x, t).detach(), eps, tuple(times))
    return eps.detach(), draws


def pairs_in_portions(u, eps, times, solve):
    """A few noises at a time: less memory."""
    with torch.no_grad():
        return eps, torch.cat([solve(u, portion, times) for portion in eps.split(4)])


OTHER = {
    "14.ddim_by_euler": [ddim_by_the_guess, ddim_by_ratios, ddim_in_numbers, ddim_by_angles],
    "14.heun_step": [heun_corrected, heun_by_stack, heun_in_a_loop],
    "14.flow_loss": [loss_by_lerp, loss_by_einsum, loss_turned_round, loss_sample_by_sample],
    "14.score_from_velocity": [score_by_the_noise, score_by_odds, score_in_numpy],
    "14.reflow_pairs": [pairs_decorated, pairs_detached, pairs_slopes_detached, pairs_in_portions],
}
