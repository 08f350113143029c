"""Reference functions of lesson 11, generated from lessons/11_energy_based_models.py.

Do not edit: change the solution in the lesson and run `python tasks.py lessons`.
"""

import torch
import torch.nn.functional as F


def free_energies(v, W, b, c):
    """Equation (5): v (B, D), W (D, H), b (D,), c (H,) → F(v), one number a state (B,)."""
    return -v @ b - F.softplus(c + v @ W).sum(1)


def pcd_step(model, v, chains):
    """v (B, D) data, chains (n, D) → the loss of (6), and the chains after a Gibbs step.

    model has p_h(v), p_v(h) (4) and free_energy(v) (5). No gradient passes through the draws.
    """
    with torch.no_grad():
        h = torch.bernoulli(model.p_h(chains))
        chains = torch.bernoulli(model.p_v(h))
    loss = model.free_energy(v).mean() - model.free_energy(chains).mean()
    return loss, chains


def copier():
    """W (9, H), b (9,), c (H,): reconstructs every image, and prefers none."""
    W = 20 * torch.eye(9)  # hidden unit i copies pixel i
    return W, torch.full((9,), -10.0), torch.full((9,), -10.0)


def annealed_weights(log_f, move, v, shares):
    """Equation (8): log w of each chain (n,), from states v (n, D) drawn at shares[0].

    log_f(v, share): log f of each state (n,). move(v, share): one Gibbs step. shares: a list.
    """
    log_w = torch.zeros_like(v[:, 0])
    for before, now in zip(shares, shares[1:]):
        log_w = log_w + log_f(v, now) - log_f(v, before)
        v = move(v, now)
    return log_w


def still_mine():
    """Your guess: how many of 100 dreams are still your digit."""
    return 50  # a guess: the next cell measures


REFERENCES = {
    "11.free_energy": free_energies,
    "11.pcd": pcd_step,
    "11.copier": copier,
    "11.annealing": annealed_weights,
    "11.dream": still_mine,
}
