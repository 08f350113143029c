"""Reference functions of lesson 14, generated from lessons/14_fast_diffusion.py.

Do not edit: change the solution in the lesson and run `python tasks.py lessons`.
"""

import torch


def ddim_by_euler(y, eps, a_k, a_s):
    """Equation (1): from y (B, …) at ᾱ_k = a_k, with the guess eps (B, …), to y at ᾱ_s = a_s.

    a_k and a_s are tensors (). Take an Euler step of y / α in σ / α, then multiply by α_s.
    """
    alpha_k = a_k.sqrt()
    alpha_s = a_s.sqrt()
    step = (1 - a_s).sqrt() / alpha_s - (1 - a_k).sqrt() / alpha_k
    return alpha_s * (y / alpha_k + step * eps)


def heun_step(u, x, t, h):
    """Equation (4): x (B, …) at time t → x at t + h, numbers; u(x, t) gives velocities."""
    first = u(x, t)
    second = u(x + h * first, t + h)
    return x + h * (first + second) / 2


def flow_loss(model, x, eps, t):
    """Equation (5): data x, noise eps (B, …), times t (B,) → a scalar, the mean of all entries.

    model(x_t, t) → velocities (B, …), with t as (B,).
    """
    time = t.view(-1, *[1] * (x.dim() - 1))  # (B, 1, …)
    state = time * x + (1 - time) * eps
    return (model(state, t) - (x - eps)).square().mean()


def score_from_velocity(u, x, t):
    """Equation (6): velocities u (B, …) at x (B, …) and one time 0 ≤ t < 1 → scores (B, …)."""
    return (t * u - x) / (1 - t)


def reflow_pairs(u, eps, times, solve):
    """Pairs (noise, draw) of a model: noise eps (B, …), u(x, t), ladder `times` from 0 to 1.

    solve(u, x, times) walks from x along u. Returns (eps, draws), without gradients.
    """
    with torch.no_grad():
        return eps, solve(u, eps, times)


REFERENCES = {
    "14.ddim_by_euler": ddim_by_euler,
    "14.heun_step": heun_step,
    "14.flow_loss": flow_loss,
    "14.score_from_velocity": score_from_velocity,
    "14.reflow_pairs": reflow_pairs,
}
