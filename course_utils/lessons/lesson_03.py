"""What lesson 03 wrote for later ones, generated from lessons/03_autoencoders.py.

Do not edit: change the lesson and run `python tasks.py lessons`.
"""

import torch
from torch import nn

import course_utils as cu
from course_utils.checks.references.ref_03 import hard_to_sample as checked_cloud
from course_utils.checks.references.ref_03 import my_guess as checked_guess
from course_utils.checks.references.ref_03 import pca as checked_pca
from course_utils.checks.references.ref_03 import reconstruction_loss as checked_loss
from course_utils.checks.references.ref_03 import sample_mixture as checked_sampler


# Section 2 · The deep autoencoder

class Autoencoder(nn.Module):
    """784 → 160 → 80 → k → 80 → 160 → 784, SiLU between layers, a sigmoid at the end."""

    def __init__(self, k, pixels=784, hidden=(160, 80)):
        super().__init__()
        self.encode = cu.nets.mlp(pixels, *hidden, k)  # (B, 784) → (B, k)
        back = cu.nets.mlp(k, *hidden[::-1], pixels)
        self.decode = nn.Sequential(back, nn.Sigmoid())  # (B, k) → (B, 784)

    def forward(self, x):
        return self.decode(self.encode(x))


# Section 4 · The map

@torch.no_grad()
def codes(model, x):
    """Codes (n, k) on the CPU of images x (n, 784)."""
    where = next(model.parameters()).device
    return model.encode(x.to(where)).cpu()


@torch.no_grad()
def decode(model, z):
    """Images (n, 28, 28) on the CPU from codes z (n, k)."""
    where = next(model.parameters()).device
    return model.decode(z.to(where)).cpu().view(-1, 28, 28)


def to_nearest(z, home):
    """Distance (n,) from codes z (n, k) to the nearest of the codes home (N, k)."""
    return torch.cat([torch.cdist(part, home).min(1).values for part in z.split(500)])


__all__ = [
    "Autoencoder",
    "checked_cloud",
    "checked_guess",
    "checked_loss",
    "checked_pca",
    "checked_sampler",
    "codes",
    "decode",
    "to_nearest",
]
