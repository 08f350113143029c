"""Reference functions of lesson 05, generated from lessons/05_generative_adversarial_networks.py.

Do not edit: change the solution in the lesson and run `python tasks.py lessons`.
"""

import torch
from torch.nn import functional as F


def player_loss(player, D, real, fake):
    """(2) for player "D", no gradient into `fake`; (3) for "G". D gives logits (B,)."""
    if player == "D":
        return -F.logsigmoid(D(real)).mean() - F.logsigmoid(-D(fake.detach())).mean()
    return -F.logsigmoid(D(fake)).mean()


def best_critic(log_p_data, log_p_model):
    """Equation (4): D*(x) in [0, 1] from log p_data(x) and log p_θ(x), tensors of one shape."""
    return torch.sigmoid(log_p_data - log_p_model)


def modes_covered(samples, centres, sigma):
    """How many centres (K, d) have at least 20 samples (N, d) within 3σ of them; an int."""
    near = torch.cdist(samples, centres) <= 3 * sigma  # (N, K)
    return int((near.sum(0) >= 20).sum())


def keep_by_critic(logits, u):
    """Which samples to keep, bool (N,): probability e^a / max e^a; u (N,) uniform in [0, 1)."""
    return u < (logits - logits.max()).exp()


def r1_penalty(D, real):
    """Equation (8): half the mean squared slope of D's logits at `real` (B, …)."""
    real = real.detach().requires_grad_(True)
    (slope,) = torch.autograd.grad(D(real).sum(), real, create_graph=True)  # the shape of real
    return 0.5 * slope.square().flatten(1).sum(1).mean()


def my_bets():
    """Four numbers from 0 to 8: pace only, no momentum only, R1 only, pace and no momentum."""
    return 4, 4, 4, 6


def too_much():
    """A positive γ with which R1 makes an eigenvalue of the alternating round less than −1."""
    return 12.0


REFERENCES = {
    "05.losses": player_loss,
    "05.critic": best_critic,
    "05.modes": modes_covered,
    "05.keep": keep_by_critic,
    "05.r1": r1_penalty,
    "05.bets": my_bets,
    "05.too_much": too_much,
}
