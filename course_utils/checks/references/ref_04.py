"""Reference functions of lesson 04, generated from lessons/04_variational_autoencoders.py.

Do not edit: change the solution in the lesson and run `python tasks.py lessons`.
"""

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
    """The two terms of equation (7) in nats, R first, then D: two scalars.

    log_lik (B, …) = log p(x_i | z), kl (B, k).
    """
    return kl.flatten(1).sum(1).mean(), -log_lik.flatten(1).sum(1).mean()


def ancestral(decode, n, k, generator):
    """n images from the model, and the latents behind them.

    Draws z ~ N(0, I), (n, k), then each pixel with the chance that the logits decode(z) say.
    Returns z and the pixels, 0.0 or 1.0, in the shape of decode(z).
    """
    z = torch.randn(n, k, generator=generator)
    return z, torch.bernoulli(decode(z).sigmoid(), generator=generator)


def careless_loss(log_lik, kl):
    """A loss that looks like minus the ELBO, and hides β = number of pixels: one scalar.

    log_lik (B, …) = log p(x_i | z), kl (B, k), as in rate_and_distortion.
    """
    return kl.flatten(1).sum(1).mean() - log_lik.mean()


def every_label(decode, z, n_labels):
    """Decode each latent z (B, k) with every label: (B, n_labels, …).

    decode takes (M, k) and labels (M,) int64, on the device of z.
    """
    y = torch.arange(n_labels, device=z.device).repeat(len(z))  # 0 1 2 … 0 1 2 …
    out = decode(z.repeat_interleave(n_labels, 0), y)  # z₀ z₀ z₀ … z₁ z₁ z₁ …
    return out.view(len(z), n_labels, *out.shape[1:])


REFERENCES = {
    "04.kl": kl_to_prior,
    "04.reparameterise": reparameterise,
    "04.elbo": rate_and_distortion,
    "04.ancestral": ancestral,
    "04.careless": careless_loss,
    "04.relabel": every_label,
}
