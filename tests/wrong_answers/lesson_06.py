"""Wrong answers to lesson 06's exercises, each with a part of the hint it must get."""

import math

import torch


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


def posterior_by_precisions(x0, xt, a_t, a_s):
    a = a_t / a_s
    b = 1 - a
    variance = (1 - a_s) / (1 - a_t) * b
    return variance * (a.sqrt() / b * xt + a_s.sqrt() / (1 - a_s) * x0), variance


def loss_with_zero(model, x0, alpha_bar, noise):
    t = torch.randint(0, len(alpha_bar), (len(x0),))
    eps = torch.randn_like(x0)
    return (model(noise(x0, t, eps, alpha_bar), t) - eps).square().mean()


def loss_without_last(model, x0, alpha_bar, noise):
    t = torch.randint(1, len(alpha_bar) - 1, (len(x0),))
    eps = torch.randn_like(x0)
    return (model(noise(x0, t, eps, alpha_bar), t) - eps).square().mean()


def loss_one_time(model, x0, alpha_bar, noise):
    t = torch.randint(1, len(alpha_bar), (1,))
    eps = torch.randn_like(x0)
    return (model(noise(x0, t, eps, alpha_bar), t) - eps).square().mean()


def loss_summed(model, x0, alpha_bar, noise):
    t = torch.randint(1, len(alpha_bar), (len(x0),))
    eps = torch.randn_like(x0)
    return (model(noise(x0, t, eps, alpha_bar), t) - eps).square().sum()


def loss_of_the_data(model, x0, alpha_bar, noise):
    t = torch.randint(1, len(alpha_bar), (len(x0),))
    eps = torch.randn_like(x0)
    return (model(noise(x0, t, eps, alpha_bar), t) - x0).square().mean()


def _walk(predict, x, times, alpha_bar, step, clip=math.inf, generator=None, size=torch.sqrt, clamp=True):
    for t, s in zip(times, times[1:]):
        a = alpha_bar[t]
        x0 = (x - (1 - a).sqrt() * predict(x, t)) / a.sqrt()
        x0 = x0.clamp(-clip, clip) if clamp else x0
        mean, variance = step(x0, x, a, alpha_bar[s])
        x = mean + size(variance) * torch.randn(x.shape, generator=generator, dtype=x.dtype)
    return x


def ancestral_variance_for_deviation(predict, x, times, alpha_bar, step, clip=math.inf, generator=None):
    return _walk(predict, x, times, alpha_bar, step, clip, generator, size=lambda v: v)


def ancestral_without_noise(predict, x, times, alpha_bar, step, clip=math.inf, generator=None):
    return _walk(predict, x, times, alpha_bar, step, clip, generator, size=lambda v: 0 * v)


def ancestral_without_clip(predict, x, times, alpha_bar, step, clip=math.inf, generator=None):
    return _walk(predict, x, times, alpha_bar, step, clip, generator, clamp=False)


def ancestral_own_noise(predict, x, times, alpha_bar, step, clip=math.inf, generator=None):
    return _walk(predict, x, times, alpha_bar, step, clip)


def ancestral_noise_for_guess(predict, x, times, alpha_bar, step, clip=math.inf, generator=None):
    for t, s in zip(times, times[1:]):
        mean, variance = step(predict(x, t).clamp(-clip, clip), x, alpha_bar[t], alpha_bar[s])
        x = mean + variance.sqrt() * torch.randn(x.shape, generator=generator, dtype=x.dtype)
    return x


def narrow_not_broken(predict, x, times, alpha_bar, step):
    return _walk(predict, x, times, alpha_bar, step)


def narrow_to_nothing(predict, x, times, alpha_bar, step):
    return 0 * x


def narrow_but_wide(predict, x, times, alpha_bar, step):
    return _walk(predict, x, times, alpha_bar, step, size=lambda v: 2 * v.sqrt())


def percentage_as_text():
    return "60 %"


def percentage_too_large():
    return 600


def guidance_other_convention(eps_free, eps_label, w):
    return (1 + w) * eps_label - w * eps_free


def guidance_exchanged(eps_free, eps_label, w):
    return eps_label + w * (eps_free - eps_label)


def guidance_clipped(eps_free, eps_label, w):
    return eps_free + min(w, 1.0) * (eps_label - eps_free)


def guidance_sum(eps_free, eps_label, w):
    return eps_free + w * eps_label


WRONG = {
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
        (posterior_by_precisions, "you divide by 1 − ᾱ_s"),
    ],
    "06.simple_loss": [
        (loss_with_zero, "time 0 came up"),
        (loss_without_last, "T never came up"),
        (loss_one_time, "time of its own"),
        (loss_summed, "not a sum"),
        (loss_of_the_data, "compare the answer with the noise"),
    ],
    "06.ancestral": [
        (ancestral_variance_for_deviation, "the standard deviation is the root of the variance"),
        (ancestral_without_noise, "too little noise"),
        (ancestral_without_clip, "clamp the guess"),
        (ancestral_own_noise, "same generator"),
        (ancestral_noise_for_guess, "guess x_0 from"),
    ],
    "06.too_narrow": [
        (narrow_not_broken, "nothing is broken"),
        (narrow_to_nothing, "still be led to its x_0"),
        (narrow_but_wide, "has grown"),
    ],
    "06.percentage": [
        (percentage_as_text, "return a number"),
        (percentage_too_large, "between 0 and 100"),
    ],
    "06.guidance": [
        (guidance_other_convention, "other convention"),
        (guidance_exchanged, "exchanged"),
        (guidance_clipped, "do not clip"),
        (guidance_sum, "w = 1 must give"),
    ],
}
