"""What lesson 04 wrote for later ones, generated from lessons/04_variational_autoencoders.py.

Do not edit: change the lesson and run `python tasks.py lessons`.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn
from torch.distributions import MultivariateNormal
from torch.distributions import Normal

import course_utils as cu
from course_utils.checks.references.ref_04 import ancestral as checked_ancestral
from course_utils.checks.references.ref_04 import careless_loss as checked_careless
from course_utils.checks.references.ref_04 import every_label as checked_labels
from course_utils.checks.references.ref_04 import kl_to_prior as checked_kl
from course_utils.checks.references.ref_04 import rate_and_distortion as checked_elbo
from course_utils.checks.references.ref_04 import reparameterise as checked_sample


# Section 3 · What the bound loses

W = torch.tensor([[1.2, 0.2], [0.8, 0.9], [0.1, 1.1]]).double()  # x = W z + τ ε
tau2 = 0.3  # τ²
x_toy = torch.tensor([1.0, 2.0, 0.5]).double()
eye = torch.eye(2).double()
toy_prior = MultivariateNormal(torch.zeros(2).double(), eye)
toy_density = MultivariateNormal(
    torch.zeros(3).double(), W @ W.T + torch.eye(3).double() * tau2
)
log_px = toy_density.log_prob(x_toy).item()
C = torch.linalg.inv(eye + W.T @ W / tau2)  # the posterior's covariance
posterior = MultivariateNormal(C @ W.T @ x_toy / tau2, C)


# Section 7 · A VAE one can see

class VectorVAE(nn.Module):
    """Encoder (B, d) → mean and log-variance (B, latent); decoder N(decode(z), τ² I)."""

    def __init__(self, d, latent, hidden=(64, 64), tau=0.3):
        super().__init__()
        self.encoder = cu.nets.mlp(d, *hidden, 2 * latent)
        self.decode = cu.nets.mlp(latent, *hidden[::-1], d)
        self.log_tau = nn.Parameter(torch.tensor(math.log(tau)))  # one τ, learned

    def encode(self, x):
        return self.encoder(x).chunk(2, dim=1)


def gaussian_loss(model, x, beta=1.0):
    """Distortion + β · rate of a batch of vectors x (B, d), equation (7)."""
    mean, log_var = model.encode(x)
    z = checked_sample(mean, log_var, torch.randn_like(mean))
    density = Normal(model.decode(z), model.log_tau.exp(), validate_args=False)
    rate, distortion = checked_elbo(density.log_prob(x), checked_kl(mean, log_var))
    return {"loss": distortion + beta * rate, "distortion": distortion, "rate": rate}


# Section 8 · Digits

class Residual(nn.Module):
    """x + correction(x), two 3×3 convolutions; the last starts at zero: nearly x at first."""

    def __init__(self, channels):
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.last = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.last.weight)

    def forward(self, x):
        return x + self.last(F.silu(self.first(F.silu(x))))


def shrink(w):
    """The encoder's body: (B, 1, 28, 28) → (B, w, 14, 14) → (B, 2w · 49)."""
    body = [
        nn.Conv2d(1, w, 4, 2, 1),
        Residual(w),
        nn.Conv2d(w, 2 * w, 4, 2, 1),
        Residual(2 * w),
    ]
    return nn.Sequential(*body, nn.SiLU(), nn.Flatten())


def grow(inputs, w):
    """The decoder: (B, inputs) → (B, 2w, 7, 7) → logits (B, 1, 28, 28)."""
    start = [nn.Linear(inputs, 98 * w), nn.Unflatten(1, (2 * w, 7, 7)), Residual(2 * w)]
    middle = [nn.ConvTranspose2d(2 * w, w, 4, 2, 1), Residual(w), nn.SiLU()]
    return nn.Sequential(*start, *middle, nn.ConvTranspose2d(w, 1, 4, 2, 1))


class VAE(nn.Module):
    """Encoder (B, 1, 28, 28) → mean, log-variance (B, latent); decoder → logits of pixels."""

    def __init__(self, latent, width=16, labels=0):
        super().__init__()
        self.labels = labels
        self.body = shrink(width)
        self.head = nn.Linear(98 * width + labels, 2 * latent)
        self.paint = grow(latent + labels, width)

    def with_label(self, h, y):
        """Append the one-hot label, if any (section 14): (B, n) → (B, n + labels)."""
        if not self.labels:
            return h
        one_hot = y[:, None] == torch.arange(self.labels, device=y.device)
        return torch.cat([h, one_hot.to(h)], 1)

    def encode(self, x, y=None):
        return self.head(self.with_label(self.body(x), y)).chunk(2, dim=1)

    def decode(self, z, y=None):
        return self.paint(self.with_label(z, y))


def vae_terms(model, x, y=None):
    """log p(x_i | z) and KL_j of grey images: binarise by chance, encode, draw z, decode."""
    x = torch.bernoulli(x)
    mean, log_var = model.encode(x, y)
    z = checked_sample(mean, log_var, torch.randn_like(mean))
    log_lik = -F.binary_cross_entropy_with_logits(model.decode(z, y), x, reduction="none")
    return log_lik, checked_kl(mean, log_var)


def vae_loss(model, x, y=None, beta=1.0):
    """Minus the ELBO (7) at β = 1; otherwise distortion + β · rate."""
    rate, distortion = checked_elbo(*vae_terms(model, x, y))
    return {"loss": distortion + beta * rate, "distortion": distortion, "rate": rate}


def validate(model, loss, *data):
    """What a loss reports on data (images, perhaps labels), always with the same noise."""
    where = next(model.parameters()).device
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        report = loss(model, *(part.to(where) for part in data))
    return {key: value.item() for key, value in report.items()}


@torch.no_grad()
def paint(model, z, y=None):
    """The decoder's means, (n, 28, 28) on the CPU, for latents z (n, k)."""
    where = next(model.parameters()).device
    return model.decode(z.to(where), y).sigmoid()[:, 0].cpu()


@torch.no_grad()
def encode(model, x, *labels):
    """Mean and log-variance (n, k) on the CPU of images x (n, 1, 28, 28) in {0, 1}."""
    where = next(model.parameters()).device
    return [part.cpu() for part in model.encode(x.to(where), *labels)]


# Section 11 · Rate against distortion

BETAS = {"quarter": 0.25, "one": 1.0, "four": 4.0, "ten": 10.0}


def family(names, make):
    """One model a name, all with the same initial weights."""
    models = nn.ModuleDict()
    for name in names:
        torch.manual_seed(0)
        models[name] = make()
    return models


__all__ = [
    "BETAS",
    "C",
    "Residual",
    "VAE",
    "VectorVAE",
    "W",
    "checked_ancestral",
    "checked_careless",
    "checked_elbo",
    "checked_kl",
    "checked_labels",
    "checked_sample",
    "encode",
    "eye",
    "family",
    "gaussian_loss",
    "grow",
    "log_px",
    "paint",
    "posterior",
    "shrink",
    "tau2",
    "toy_density",
    "toy_prior",
    "vae_loss",
    "vae_terms",
    "validate",
    "x_toy",
]
