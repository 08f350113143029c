"""Wrong answers to lesson 06's exercises, each with a part of the hint it must get."""

import math

import torch


def cosine_without_zero(T, s=0.008):
    done = torch.arange(1, T + 1, dtype=torch.float64) / T
    return torch.cos(math.pi / 2 * (done + s) / (1 + s)) ** 2 / math.cos(math.pi / 2 * s / (1 + s)) ** 2


def cosine_not_divided(T, s=0.008):
    done = torch.arange(T + 1, dtype=torch.float64) / T
    return torch.cos(math.pi / 2 * (done + s) / (1 + s)) ** 2


def cosine_not_squared(T, s=0.008):
    done = torch.arange(T + 1, dtype=torch.float64) / T
    f = torch.cos(math.pi / 2 * (done + s) / (1 + s))
    return f / f[0]


def cosine_in_float32(T, s=0.008):
    done = torch.arange(T + 1) / T
    f = torch.cos(math.pi / 2 * (done + s) / (1 + s)) ** 2
    return f / f[0]


def q_sample_off_by_one(x0, t, eps, alpha_bar):
    a = alpha_bar[1:].to(x0)[(t - 1).clamp(min=0)].view(-1, *[1] * (x0.dim() - 1))
    return a.sqrt() * x0 + (1 - a).sqrt() * eps


def q_sample_variance_for_deviation(x0, t, eps, alpha_bar):
    a = alpha_bar.to(x0)[t].view(-1, *[1] * (x0.dim() - 1))
    return a.sqrt() * x0 + (1 - a) * eps


def q_sample_signal_without_root(x0, t, eps, alpha_bar):
    a = alpha_bar.to(x0)[t].view(-1, *[1] * (x0.dim() - 1))
    return a * x0 + (1 - a).sqrt() * eps


def q_sample_for_points_only(x0, t, eps, alpha_bar):
    a = alpha_bar.to(x0)[t][:, None]
    return a.sqrt() * x0 + (1 - a).sqrt() * eps


def posterior_with_beta(x0, xt, a_t, a_s):
    a = a_t / a_s
    b = 1 - a
    return (a.sqrt() * (1 - a_s) * xt + a_s.sqrt() * b * x0) / (1 - a_t), b


def posterior_deviation(x0, xt, a_t, a_s):
    a = a_t / a_s
    b = 1 - a
    mean = (a.sqrt() * (1 - a_s) * xt + a_s.sqrt() * b * x0) / (1 - a_t)
    return mean, ((1 - a_s) / (1 - a_t) * b).sqrt()


def posterior_exchanged(x0, xt, a_t, a_s):
    a = a_t / a_s
    b = 1 - a
    return (a.sqrt() * (1 - a_s) * x0 + a_s.sqrt() * b * xt) / (1 - a_t), (1 - a_s) / (1 - a_t) * b


def posterior_mean_only(x0, xt, a_t, a_s):
    return (a_t / a_s).sqrt() * (1 - a_s) / (1 - a_t) * xt


def x0_not_divided(xt, eps, a_t):
    return xt - (1 - a_t).sqrt() * eps


def x0_divided_by_alpha(xt, eps, a_t):
    return (xt - (1 - a_t).sqrt() * eps) / a_t


def x0_noise_without_root(xt, eps, a_t):
    return (xt - (1 - a_t) * eps) / a_t.sqrt()


def ddim_guess_only(xt, eps, a_t, a_s):
    return (xt - (1 - a_t).sqrt() * eps) / a_t.sqrt()


def ddim_old_noise_level(xt, eps, a_t, a_s):
    return a_s.sqrt() * (xt - (1 - a_t).sqrt() * eps) / a_t.sqrt() + (1 - a_t).sqrt() * eps


def ddim_fresh_noise(xt, eps, a_t, a_s):
    x0 = (xt - (1 - a_t).sqrt() * eps) / a_t.sqrt()
    return a_s.sqrt() * x0 + (1 - a_s).sqrt() * torch.randn_like(eps)


def ddim_never_shrinks(xt, eps, a_t, a_s):
    return (xt - (1 - a_t).sqrt() * eps) / a_t.sqrt() + (1 - a_s).sqrt() * eps


def guidance_other_convention(eps_free, eps_label, w):
    return (1 + w) * eps_label - w * eps_free


def guidance_exchanged(eps_free, eps_label, w):
    return eps_label + w * (eps_free - eps_label)


def guidance_clipped(eps_free, eps_label, w):
    return eps_free + min(w, 1.0) * (eps_label - eps_free)


def guidance_sum(eps_free, eps_label, w):
    return eps_free + w * eps_label


WRONG = {
    "06.cosine": [
        (cosine_without_zero, "T + 1 entries"),
        (cosine_not_divided, "divide by f(0)"),
        (cosine_not_squared, "squared"),
        (cosine_in_float32, "float64"),
    ],
    "06.q_sample": [
        (q_sample_off_by_one, "off by one"),
        (q_sample_variance_for_deviation, "root of 1 − ᾱ"),
        (q_sample_signal_without_root, "data are multiplied by the root"),
        (q_sample_for_points_only, "raised"),
    ],
    "06.posterior": [
        (posterior_with_beta, "that is β_t"),
        (posterior_deviation, "not the standard deviation"),
        (posterior_exchanged, "exchanged"),
        (posterior_mean_only, "two things"),
    ],
    "06.x0_from_eps": [
        (x0_not_divided, "divide by √ᾱ"),
        (x0_divided_by_alpha, "not by ᾱ"),
        (x0_noise_without_root, "not with 1 − ᾱ"),
    ],
    "06.ddim": [
        (ddim_guess_only, "noise it back"),
        (ddim_old_noise_level, "not of 1 − ᾱ_t"),
        (ddim_fresh_noise, "no new noise"),
        (ddim_never_shrinks, "must land on"),
    ],
    "06.guidance": [
        (guidance_other_convention, "other convention"),
        (guidance_exchanged, "exchanged"),
        (guidance_clipped, "do not clip"),
        (guidance_sum, "w = 1 must give"),
    ],
}
