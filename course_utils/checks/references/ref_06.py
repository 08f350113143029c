"""Reference functions of lesson 06, generated from lessons/06_diffusion.py.

Do not edit: change the solution in the lesson and run `python tasks.py lessons`.
"""

import math

import torch


def q_sample(x0, t, eps, alpha_bar):
    """Equation (2): x0, eps (B, …), t int64 (B,) in 0 … T, alpha_bar (T + 1,) → x_t (B, …)."""
    a = alpha_bar.to(x0)[t].view(-1, *[1] * (x0.dim() - 1))  # (B, 1, …)
    return a.sqrt() * x0 + (1 - a).sqrt() * eps


def posterior(x0, xt, a_t, a_s):
    """Equation (3): mean (same shape as xt) and variance (a tensor ()) of q(x_s | x_t, x_0).

    a_t = ᾱ_t and a_s = ᾱ_s are tensors ().
    """
    a = a_t / a_s
    b = 1 - a
    mean = (a.sqrt() * (1 - a_s) * xt + a_s.sqrt() * b * x0) / (1 - a_t)
    return mean, (1 - a_s) / (1 - a_t) * b


def ancestral(predict, x, times, alpha_bar, step, clip=math.inf, generator=None):
    """Algorithm 2: from x (n, …) at times[0] down to times[-1]; returns x (n, …).

    predict(x, t) → ε̂. step(x0, xt, a_t, a_s) → mean and variance of equation (3).
    Clamp the guess at x_0 to ±clip. Draw noise as torch.randn(x.shape, generator=generator).
    """
    for t, s in zip(times, times[1:]):
        a_t = alpha_bar[t]
        x0 = (x - (1 - a_t).sqrt() * predict(x, t)) / a_t.sqrt()  # (2), solved for x_0
        mean, variance = step(x0.clamp(-clip, clip), x, a_t, alpha_bar[s])
        eps = torch.randn(x.shape, generator=generator, dtype=x.dtype).to(x)
        x = mean + variance.sqrt() * eps  # the variance is 0 at s = 0
    return x


def simple_loss(model, x0, alpha_bar, noise):
    """Algorithm 1: mean squared error of the predicted noise: x0 (B, …) → ().

    model(x_t, t) → ε̂. alpha_bar (T + 1,). noise(x0, t, eps, alpha_bar) → x_t is equation (2).
    """
    t = torch.randint(1, len(alpha_bar), (len(x0),), device=x0.device)  # 1 … T
    eps = torch.randn_like(x0)
    return (model(noise(x0, t, eps, alpha_bar), t) - eps).square().mean()


def too_narrow(predict, x, times, alpha_bar, step):
    """Algorithm 2, broken: interface as `ancestral`, without clip and generator."""
    for t, s in zip(times, times[1:]):
        a_t = alpha_bar[t]
        x0 = (x - (1 - a_t).sqrt() * predict(x, t)) / a_t.sqrt()
        x, _ = step(x0, x, a_t, alpha_bar[s])  # the mean of (3), and no noise
    return x


def my_percentage():
    """Your prediction: a number between 0 and 100."""
    return 60.0


def combine(eps_free, eps_label, w):
    """Equation (11): noise predicted without and with the label (B, …), scale w → (B, …)."""
    return eps_free + w * (eps_label - eps_free)


REFERENCES = {
    "06.q_sample": q_sample,
    "06.posterior": posterior,
    "06.ancestral": ancestral,
    "06.simple_loss": simple_loss,
    "06.too_narrow": too_narrow,
    "06.percentage": my_percentage,
    "06.guidance": combine,
}
