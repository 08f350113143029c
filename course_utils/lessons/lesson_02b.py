"""What lesson 02b wrote for later ones, generated from lessons/02b_mixtures_on_images.py.

Do not edit: change the lesson and run `python tasks.py lessons`.
"""

import math
from collections import namedtuple

import torch
from torch import nn

from course_utils.checks.references.ref_02b import latent_given_seen as checked_latent
from course_utils.checks.references.ref_02b import my_decibels as checked_decibels
from course_utils.checks.references.ref_02b import paint as checked_paint


# Section 1 · Lesson 01's Gaussian, forty times

class PPCAMixture(nn.Module):
    """K Gaussians N(μ_k, W_k W_kᵀ + σ_k² I) with weights w_k, equation (1)."""

    def __init__(self, K, q, d=784):
        super().__init__()
        self.weights = nn.Parameter(torch.full((K,), 1 / K), requires_grad=False)
        self.means = nn.Parameter(torch.zeros(K, d), requires_grad=False)
        self.factors = nn.Parameter(torch.zeros(K, d, q), requires_grad=False)
        self.noise = nn.Parameter(torch.ones(K), requires_grad=False)  # σ_k²

    def log_joint(self, x, seen=slice(None), doubt=0.0):
        """log w_k + log p(x | k) by (2), (N, K), of seen pixels x (N, s); doubt: section 6."""
        mean = self.means[:, seen]  # (K, s): hidden rows deleted
        W = self.factors[:, seen]  # (K, s, q)
        noise = self.noise + doubt
        M = torch.eye(W.shape[2], dtype=W.dtype) + W.mT @ W / noise[:, None, None]
        L = torch.linalg.cholesky(M)  # (K, q, q)
        We = torch.einsum("ksq,ns->kqn", W, x) - W.mT @ mean[:, :, None]  # (K, q, N): Wᵀe
        u = torch.linalg.solve_triangular(L, We, upper=False)  # |u|² = (Wᵀe)ᵀ M⁻¹ (Wᵀe)
        e2 = x.square().sum(1, keepdim=True) - 2 * x @ mean.T + mean.square().sum(1)  # |e|²
        quadratic = (e2 - u.square().sum(1).T / noise) / noise  # (N, K)
        log_det = 2 * L.diagonal(dim1=1, dim2=2).log().sum(1)  # (K,)
        log_det += W.shape[1] * (2 * math.pi * noise).log()
        return self.weights.log() - 0.5 * (quadratic + log_det)


# Section 2 · What half an image says

Completion = namedtuple("Completion", "draw smooth mean weights component")


def complete(model, x, seen, generator, doubt=0.0):
    """One exact completion of each row of x (N, d) from its pixels seen (d,) bool.

    `smooth` is the draw before pixel noise, `weights` (N, K) are p(k | seen).
    """
    weights = model.log_joint(x[:, seen], seen, doubt).softmax(1)
    component = torch.multinomial(weights, 1, generator=generator)[:, 0]  # (N,)
    smooth = torch.zeros_like(x)
    mean = torch.zeros_like(x)
    for k, (mu, W, noise) in enumerate(zip(model.means, model.factors, model.noise)):
        m, C = checked_latent(x[:, seen], mu[seen], W[seen], noise + doubt)  # (N, q), (q, q)
        mean += weights[:, k, None] * (mu + m @ W.T)
        mine = component == k
        eps = torch.randn(int(mine.sum()), W.shape[1], generator=generator, dtype=x.dtype)
        smooth[mine] = checked_paint(eps, m[mine], C, mu, W)
    eps = torch.randn(x.shape, generator=generator, dtype=x.dtype)
    draw = smooth + model.noise[component].sqrt()[:, None] * eps
    pictures = [torch.where(seen, x, picture) for picture in (draw, smooth, mean)]
    return Completion(*pictures, weights, component)


def sample_images(model, n, seed=0):
    """n images drawn from the model: nothing seen, everything completed."""
    nothing = torch.zeros(784, dtype=torch.bool)
    return complete(model, torch.zeros(n, 784), nothing, torch.Generator().manual_seed(seed))


__all__ = [
    "Completion",
    "PPCAMixture",
    "checked_decibels",
    "checked_latent",
    "checked_paint",
    "complete",
    "sample_images",
]
