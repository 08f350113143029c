"""Reference functions of lesson 04, generated from lessons/04_variational_autoencoders.py.

Do not edit: change the solution in the lesson and run `python tasks.py lessons`.
"""

import math

import torch


def kl_to_prior(mean, log_var):
    """Equation (4): KL(N(mean, σ²) ‖ N(0, 1)) with log_var = log σ², for each latent.

    (B, k), (B, k) → (B, k).
    """
    return 0.5 * (mean.square() + log_var.exp() - 1 - log_var)


def reparameterise(mean, log_var, eps):
    """Equation (5): a draw from N(mean, σ²), log_var = log σ², made of the noise eps ~ N(0, I).

    All (B, k).
    """
    return mean + torch.exp(0.5 * log_var) * eps


def rate_and_distortion(log_lik, kl):
    """The two terms of equation (7), R and D in nats: two scalars.

    log_lik (B, …) = log p(x_i | z), kl (B, k).
    """
    return kl.flatten(1).sum(1).mean(), -log_lik.flatten(1).sum(1).mean()


def every_label(decode, z, n_labels):
    """Decode each latent z (B, k) with every label: (B, n_labels, …).

    decode takes (M, k) and labels (M,) int64.
    """
    y = torch.arange(n_labels, device=z.device).repeat(len(z))  # 0 1 2 … 0 1 2 …
    out = decode(z.repeat_interleave(n_labels, 0), y)  # z₀ z₀ z₀ … z₁ z₁ z₁ …
    return out.view(len(z), n_labels, *out.shape[1:])


def importance_bound(log_joint, log_q):
    """log (1/S) Σ_s p(x, z_s) / q(z_s | x), equation (9), for each image: (B,).

    log_joint = log p(x, z) and log_q = log q(z | x), both (S, B).
    """
    return (log_joint - log_q).logsumexp(0) - math.log(len(log_q))


REFERENCES = {
    "04.kl": kl_to_prior,
    "04.reparameterise": reparameterise,
    "04.elbo": rate_and_distortion,
    "04.relabel": every_label,
    "04.importance": importance_bound,
}
