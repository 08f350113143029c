"""Reference functions of lesson 06b, generated from lessons/06b_diffusion_in_depth.py.

Do not edit: change the solution in the lesson and run `python tasks.py lessons`.
"""

import torch


def eta_step(xt, x0, a_t, a_s, eta, z):
    """Equations (1) and (2): from x_t (B, …) with the guess x0 (B, …) to x_s (B, …).

    a_t = ᾱ_t and a_s = ᾱ_s are tensors (). σ² is at most 1 − ᾱ_s. z (B, …) is the new noise.
    """
    variance = eta**2 * (1 - a_s) / (1 - a_t) * (1 - a_t / a_s)
    variance = torch.minimum(variance, 1 - a_s)
    eps = (xt - a_t.sqrt() * x0) / (1 - a_t).sqrt()
    return a_s.sqrt() * x0 + (1 - a_s - variance).sqrt() * eps + variance.sqrt() * z


def paste(free, known, mask, a_s, z):
    """Known pixels, noised to level s with the noise z, over the sampler's x_s `free`.

    free, known, z (B, 1, H, W); mask, as large, is True where pixels are known; a_s = ᾱ_s.
    """
    return torch.where(mask, a_s.sqrt() * known + (1 - a_s).sqrt() * z, free)


def best_guess(xt, data, a_t):
    """Equation (4): xt (B, D), data (N, D), a_t = ᾱ_t a tensor () → E[x_0 | x_t] (B, D)."""
    squares = torch.cdist(xt, a_t.sqrt().to(xt) * data).square()  # (B, N)
    weights = (-squares / (2 * (1 - a_t)).to(xt)).softmax(1)
    return weights @ data


REFERENCES = {
    "06b.eta_step": eta_step,
    "06b.paste": paste,
    "06b.best_guess": best_guess,
}
