"""Reference functions of lesson 06, generated from lessons/06_diffusion.py.

Do not edit: change the solution in the lesson and run `python tasks.py lessons`.
"""

import math

import torch


def cosine_alpha_bar(T, s=0.008):
    """ᾱ_0, ᾱ_1, …, ᾱ_T of the cosine schedule: float64 (T + 1,).

    ᾱ_t = f(t) / f(0) with f(t) = cos²(π/2 · (t/T + s) / (1 + s)).
    """
    done = torch.arange(T + 1, dtype=torch.float64) / T
    f = torch.cos(math.pi / 2 * (done + s) / (1 + s)) ** 2
    return f / f[0]


def q_sample(x0, t, eps, alpha_bar):
    """Equation (2): x0, eps (B, …), t int64 (B,) in 0 … T, alpha_bar (T + 1,) → x_t (B, …)."""
    a = alpha_bar.to(x0)[t].view(-1, *[1] * (x0.dim() - 1))  # (B, 1, …)
    return a.sqrt() * x0 + (1 - a).sqrt() * eps


def posterior(x0, xt, a_t, a_s):
    """Equation (3): mean (same shape as xt) and variance (a number) of q(x_s | x_t, x_0).

    a_t = ᾱ_t and a_s = ᾱ_s are tensors ().
    """
    a = a_t / a_s
    b = 1 - a
    mean = (a.sqrt() * (1 - a_s) * xt + a_s.sqrt() * b * x0) / (1 - a_t)
    return mean, (1 - a_s) / (1 - a_t) * b


def x0_from_eps(xt, eps, a_t):
    """The x_0 that x_t came from by (2) if the noise was eps: xt, eps (B, …) → (B, …).

    a_t = ᾱ_t is a tensor ().
    """
    return (xt - (1 - a_t).sqrt() * eps) / a_t.sqrt()


def ddim_step(xt, eps, a_t, a_s):
    """Equation (10): from x_t to x_s without new noise: xt, eps (B, …) → (B, …).

    a_t = ᾱ_t and a_s = ᾱ_s are tensors ().
    """
    x0 = (xt - (1 - a_t).sqrt() * eps) / a_t.sqrt()
    return a_s.sqrt() * x0 + (1 - a_s).sqrt() * eps


def combine(eps_free, eps_label, w):
    """Equation (11): noise predicted without and with the label (B, …), scale w → (B, …)."""
    return eps_free + w * (eps_label - eps_free)


REFERENCES = {
    "06.cosine": cosine_alpha_bar,
    "06.q_sample": q_sample,
    "06.posterior": posterior,
    "06.x0_from_eps": x0_from_eps,
    "06.ddim": ddim_step,
    "06.guidance": combine,
}
