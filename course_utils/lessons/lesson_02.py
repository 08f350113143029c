"""What lesson 02 wrote for later ones, generated from lessons/02_gaussian_mixtures.py.

Do not edit: change the lesson and run `python tasks.py lessons`.
"""

import math

import torch

from course_utils.checks.references.ref_02 import kl_gaussians as checked_kl
from course_utils.checks.references.ref_02 import my_bet as checked_bet
from course_utils.checks.references.ref_02 import responsibilities as checked_resp
from course_utils.checks.references.ref_02 import sample_mixture as checked_sampler
from course_utils.checks.references.ref_02 import spike as checked_spike
from course_utils.checks.references.ref_02 import weights_and_means as checked_wm


# Section 2 · The hidden cause

def log_gaussians(x, means, covs):
    """log N(x_n; μ_k, Σ_k), (N, K): x (N, d), means (K, d), covs (K, d, d)."""
    L = torch.linalg.cholesky(covs)  # (K, d, d); fails if a Σ_k is singular
    centred = (x[None] - means[:, None]).mT  # (K, d, N)
    u = torch.linalg.solve_triangular(L, centred, upper=False)  # (K, d, N)
    log_det = L.diagonal(dim1=1, dim2=2).log().sum(1)  # (K,): half of log|Σ_k|
    constant = 0.5 * x.shape[1] * math.log(2 * math.pi)
    return (-0.5 * u.square().sum(1) - log_det[:, None] - constant).T


# Section 4 · EM

def e_step(x, params):
    """Equation (3): log responsibilities (N, K) and log p(x) (N,); params = (w, μ, Σ)."""
    weights, means, covs = params
    return checked_resp(weights.log(), log_gaussians(x, means, covs))


def m_step(x, resp, floor=0.0):
    """Equation (6) → (w, μ, Σ); `floor` is added to the variances (0: maximum likelihood)."""
    weights, means = checked_wm(x, resp)
    centred = x[:, None] - means  # (N, K, d)
    owned = resp.sum(0)[:, None, None]  # (K, 1, 1)
    covs = torch.einsum("nk,nki,nkj->kij", resp, centred, centred) / owned
    return weights, means, covs + floor * torch.eye(x.shape[1], dtype=x.dtype)


def start(x, K, seed):
    """Equal weights, K random data points as means, the covariance of all data for everyone."""
    pick = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))[:K]
    return torch.full((K,), 1 / K, dtype=x.dtype), x[pick], x.T.cov().repeat(K, 1, 1)


def em(x, params, steps, floor=0.0):
    """Run EM: the params after 0, 1, …, `steps` steps, and the mean log-likelihood of each."""
    path = []
    values = []
    for _ in range(steps + 1):
        try:
            log_r, log_px = e_step(x, params)
        except torch.linalg.LinAlgError:  # a covariance has become singular: see section 5
            break
        path.append(params)
        values.append(float(log_px.mean()))
        params = m_step(x, log_r.exp(), floor)
    return path, values


# Section 7 · k-means is the limit

def kmeans_step(x, centres):
    """One step of k-means: the nearest centre of each x (N,), and the moved centres (K, d)."""
    # ‖x − c‖² without its constant ‖x‖²
    nearest = (x @ centres.T - 0.5 * centres.square().sum(1)).argmax(1)
    counts = torch.bincount(nearest, minlength=len(centres)).clamp(min=1)[:, None]
    sums = torch.zeros_like(centres).index_add_(0, nearest, x)
    return nearest, sums / counts


__all__ = [
    "checked_bet",
    "checked_kl",
    "checked_resp",
    "checked_sampler",
    "checked_spike",
    "checked_wm",
    "e_step",
    "em",
    "kmeans_step",
    "log_gaussians",
    "m_step",
    "start",
]
