"""What lesson 11 wrote for later ones, generated from lessons/11_energy_based_models.py.

Do not edit: change the lesson and run `python tasks.py lessons`.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

from course_utils.checks.references.ref_11 import annealed_weights as checked_weights
from course_utils.checks.references.ref_11 import copier as checked_copier
from course_utils.checks.references.ref_11 import free_energies as checked_free_energy
from course_utils.checks.references.ref_11 import pcd_step as checked_pcd
from course_utils.checks.references.ref_11 import still_mine as checked_guess


# Section 1 · Temperature and Z

def every_state(n):
    """All 2ⁿ states of n units that are 0 or 1, unit i bit i of the state's number: (2ⁿ, n)."""
    return (torch.arange(2**n)[:, None] >> torch.arange(n) & 1).float()


# Section 4 · Hidden units, and no edges inside a layer

class RBM(nn.Module):
    """E(v, h) = −b·v − c·h − vᵀWh, units 0 or 1: W (D, H), b (D,), c (H,)."""

    def __init__(self, W, b, c):
        super().__init__()
        self.W = nn.Parameter(W)
        self.b = nn.Parameter(b)
        self.c = nn.Parameter(c)

    def free_energy(self, v):
        return checked_free_energy(v, self.W, self.b, self.c)

    def p_h(self, v):
        """P(hidden unit j is on), given v (B, D): (B, H)."""
        return (self.c + v @ self.W).sigmoid()

    def p_v(self, h):
        """P(visible unit i is on), given h (B, H): (B, D)."""
        return (self.b + h @ self.W.T).sigmoid()


@torch.no_grad()
def gibbs(model, v, steps=1):
    """So many steps v → h → v: all hidden units at once, then all visible ones."""
    for _ in range(steps):
        h = torch.bernoulli(model.p_h(v))
        v = torch.bernoulli(model.p_v(h))
    return v


def new_rbm(D, H, rates=None, scale=0.01):
    """An RBM that has learned nothing: small weights; visible units on at these rates (D,)."""
    rates = torch.full((D,), 0.5) if rates is None else rates.clamp(0.001, 0.999)
    return RBM(scale * torch.randn(D, H), rates.logit(), torch.zeros(H))


# Section 6 · An exact Z for digits

@torch.no_grad()
def log_terms(model, size=4_096):
    """The logarithms of the terms of (7), one a state of the hidden units: (2^H,)."""
    turned = RBM(model.W.T, model.c, model.b)
    states = every_state(len(model.c)).to(model.W)
    return torch.cat([-turned.free_energy(part) for part in states.split(size)])


def exact_log_z(model):
    """log Z, from all states of the hidden units: equation (7)."""
    return log_terms(model).logsumexp(0)


@torch.no_grad()
def exact_draws(model, terms, n, seed=0):
    """n exact draws (n, D): h by the share of its term in (7), then v given h."""
    g = torch.Generator().manual_seed(seed)
    rows = torch.multinomial(terms.cpu().softmax(0), n, True, generator=g)
    h = (rows[:, None] >> torch.arange(len(model.c)) & 1).to(model.W)
    return torch.bernoulli(model.p_v(h).cpu(), generator=g).to(model.W)


class Persistent(nn.Module):
    """A model and its chains (n, D), uint8: cu.fit's average copies whole numbers."""

    def __init__(self, rbm, chains):
        super().__init__()
        self.rbm = rbm
        self.register_buffer("chains", chains.to(torch.uint8))


def pcd_loss(model, x):
    """The PCD loss of images x (B, 1, 28, 28) in [0, 1], binarised by chance."""
    v = torch.bernoulli(x).flatten(1)
    loss, chains = checked_pcd(model.rbm, v, model.chains.to(v.dtype))
    model.chains.copy_(chains)
    return loss


# Section 7 · Annealing: an estimate of Z

def between(model, base, share):
    """The RBM on the way from base rates (share 0; base (D,) are logits) to the model (1)."""
    b = (1 - share) * base + share * model.b
    return RBM(share * model.W, b, share * model.c)


def base_log_z(model, base):
    """log Z at share 0: D units with biases `base`, and H hidden ones that are coins."""
    return F.softplus(base).sum() + len(model.c) * math.log(2)


@torch.no_grad()
def ais(model, base, chains=100, temperatures=1_000):
    """log Z of the model as each chain (chains,) estimates it; log_mean joins them."""
    v = torch.bernoulli(base.sigmoid().expand(chains, -1))
    shares = torch.linspace(0, 1, temperatures + 1).tolist()
    log_w = checked_weights(
        lambda v, share: -between(model, base, share).free_energy(v),
        lambda v, share: gibbs(between(model, base, share), v),
        v,
        shares,
    )
    return base_log_z(model, base) + log_w


def log_mean(logs):
    """The logarithm of the mean of numbers given by their logarithms."""
    return logs.logsumexp(0) - math.log(len(logs))


__all__ = [
    "Persistent",
    "RBM",
    "ais",
    "base_log_z",
    "between",
    "checked_copier",
    "checked_free_energy",
    "checked_guess",
    "checked_pcd",
    "checked_weights",
    "every_state",
    "exact_draws",
    "exact_log_z",
    "gibbs",
    "log_mean",
    "log_terms",
    "new_rbm",
    "pcd_loss",
]
