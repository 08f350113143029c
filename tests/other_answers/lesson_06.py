"""Right answers to the exercises of lesson 06, each in another style than the lesson's own."""

import math

import numpy as np
import torch
from torch.nn import functional as F


def q_sample_row_by_row(x0, t, eps, alpha_bar):
    rows = []
    for x, time, noise in zip(x0, t.tolist(), eps):
        a = float(alpha_bar[time])
        rows.append(math.sqrt(a) * x + math.sqrt(1 - a) * noise)
    return torch.stack(rows)


def q_sample_by_einsum(x0, t, eps, alpha_bar):
    a = alpha_bar.to(x0).index_select(0, t)
    return torch.einsum("b,b...->b...", a.sqrt(), x0) + torch.einsum("b,b...->b...", (1 - a).sqrt(), eps)


def q_sample_turned_round(x0, t, eps, alpha_bar):
    a = alpha_bar.to(device=x0.device, dtype=x0.dtype)[t]
    axes = list(range(x0.dim() - 1, -1, -1))
    out = x0.permute(axes) * torch.sqrt(a) + eps.permute(axes) * torch.sqrt(1.0 - a)
    return out.permute(axes)


def q_sample_with_numpy(x0, t, eps, alpha_bar):
    a = alpha_bar.numpy()[t.numpy()].reshape((-1,) + (1,) * (x0.ndim - 1))
    out = np.sqrt(a) * x0.numpy() + np.sqrt(1 - a) * eps.numpy()
    return torch.from_numpy(out).to(x0.dtype)


def posterior_as_a_list(x0, xt, a_t, a_s):
    beta = (a_s - a_t) / a_s
    variance = beta * (1 - a_s) / (1 - a_t)
    mean = torch.sqrt(a_s) * beta / (1 - a_t) * x0 + torch.sqrt(a_t / a_s) * (1 - a_s) / (1 - a_t) * xt
    return [mean, variance]


def posterior_by_the_noise(x0, xt, a_t, a_s):
    variance = (1 - a_s) / (1 - a_t) * (1 - a_t / a_s)
    eps = (xt - a_t.sqrt() * x0) / (1 - a_t).sqrt()
    return a_s.sqrt() * x0 + (1 - a_s - variance).clamp(min=0).sqrt() * eps, variance


def posterior_by_regression(x0, xt, a_t, a_s):
    a = a_t / a_s
    gain = a.sqrt() * (1 - a_s) / (a * (1 - a_s) + (1 - a))  # of x_s on x_t, given x_0
    mean = a_s.sqrt() * x0
    return mean + gain * (xt - a.sqrt() * mean), (1 - a_s) * (1 - gain * a.sqrt())


def ancestral_by_index(predict, x, times, alpha_bar, step, clip=math.inf, generator=None):
    i = 0
    while i + 1 < len(times):
        now, then = alpha_bar[times[i]], alpha_bar[times[i + 1]]
        signal = x - torch.sqrt(1 - now) * predict(x, times[i])
        guess = torch.clamp(signal / torch.sqrt(now), min=-clip, max=clip)
        x, variance = step(guess, x, now, then)
        if times[i + 1] > 0:
            noise = torch.randn(x.shape, generator=generator)
            x = torch.add(x, noise.to(x) * torch.sqrt(variance))
        i += 1
    return x


def ancestral_without_gradients(predict, x, times, alpha_bar, step, clip=math.inf, generator=None):
    with torch.no_grad():
        for k in np.arange(len(times) - 1):
            t, s = np.int64(times[k]), np.int64(times[k + 1])
            guess = alpha_bar[t].rsqrt() * x - (1 / alpha_bar[t] - 1).sqrt() * predict(x, t)
            if clip < math.inf:
                guess = torch.minimum(torch.maximum(guess, guess.new_tensor(-clip)), guess.new_tensor(clip))
            mean, variance = step(x0=guess, xt=x, a_t=alpha_bar[t], a_s=alpha_bar[s])
            noise = torch.empty(x.shape, dtype=x.dtype).normal_(generator=generator)
            x = mean + noise.to(x.device) * variance**0.5
    return x


def loss_by_torch(model, x0, alpha_bar, noise):
    t = torch.randint(low=1, high=alpha_bar.shape[0], size=x0.shape[:1], device=x0.device)
    eps = torch.randn(x0.shape, dtype=x0.dtype, device=x0.device)
    return F.mse_loss(model(noise(x0, t, eps, alpha_bar), t), eps)


def loss_by_a_permuted_view(model, x0, alpha_bar, noise):
    last = alpha_bar.numel() - 1
    t = 1 + (last * torch.rand(x0.size(0), device=x0.device)).floor().long().clamp(max=last - 1)
    eps = torch.empty_like(x0).normal_()
    gap = eps - model(noise(x0=x0, t=t, eps=eps, alpha_bar=alpha_bar), t)
    return (gap * gap).sum() / gap.numel()


def narrow_by_the_variance(predict, x, times, alpha_bar, step):
    for t, s in zip(times[:-1], times[1:]):
        a = alpha_bar[t]
        x, variance = step((x - (1 - a).sqrt() * predict(x, t)) / a.sqrt(), x, a, alpha_bar[s])
        x = x + variance * torch.randn_like(x)  # no root: far too little
    return x


def narrow_by_a_tenth(predict, x, times, alpha_bar, step):
    for k in range(len(times) - 1):
        a = alpha_bar[times[k]]
        guess = (x - (1 - a).sqrt() * predict(x, times[k])) / a.sqrt()
        x, variance = step(guess, x, a, alpha_bar[times[k + 1]])
        x = x + 0.1 * variance.sqrt() * torch.randn(x.shape, dtype=x.dtype)
    return x


def percentage_as_numpy_int():
    return np.int64(30)


def percentage_as_int():
    return 100


def guidance_as_a_mean(eps_free, eps_label, w):
    return (1 - w) * eps_free + w * eps_label


def guidance_by_lerp(eps_free, eps_label, w):
    return torch.lerp(eps_free, eps_label, w)


def guidance_by_einsum(eps_free, eps_label, w):
    weights = torch.tensor([1 - w, w], dtype=eps_free.dtype, device=eps_free.device)
    return torch.einsum("k,k...->...", weights, torch.stack([eps_free, eps_label]))


OTHER = {
    "06.q_sample": [q_sample_row_by_row, q_sample_by_einsum, q_sample_turned_round, q_sample_with_numpy],
    "06.posterior": [posterior_as_a_list, posterior_by_the_noise, posterior_by_regression],
    "06.ancestral": [ancestral_by_index, ancestral_without_gradients],
    "06.simple_loss": [loss_by_torch, loss_by_a_permuted_view],
    "06.too_narrow": [narrow_by_the_variance, narrow_by_a_tenth],
    "06.percentage": [percentage_as_numpy_int, percentage_as_int],
    "06.guidance": [guidance_as_a_mean, guidance_by_lerp, guidance_by_einsum],
}
