"""What lesson 05 wrote for later ones, generated from lessons/05_generative_adversarial_networks.py.

Do not edit: change the lesson and run `python tasks.py lessons`.
"""

import torch
from torch import nn
from torch.nn import functional as F

from course_utils.checks.references.ref_05 import best_critic as checked_critic
from course_utils.checks.references.ref_05 import keep_by_critic as checked_keep
from course_utils.checks.references.ref_05 import modes_covered as checked_modes
from course_utils.checks.references.ref_05 import my_bets as checked_bets
from course_utils.checks.references.ref_05 import player_loss as checked_loss
from course_utils.checks.references.ref_05 import r1_penalty as checked_r1
from course_utils.checks.references.ref_05 import too_much as checked_gamma


# Section 7 · Digits

LATENT = 64


def block(layer, norm):
    """A layer, its normalisation, a leaky ReLU."""
    return nn.Sequential(layer, norm(layer.out_channels), nn.LeakyReLU(0.2))


class Generator(nn.Module):
    """z (B, 64) → images (B, 1, 28, 28) in [0, 1]; two up-samplings, 7 → 14 → 28."""

    def __init__(self, norm=nn.BatchNorm2d, w=32):
        super().__init__()
        self.body = nn.Sequential(
            block(nn.Conv2d(2 * w, 2 * w, 3, 1, 1), norm),
            block(nn.ConvTranspose2d(2 * w, w, 4, 2, 1), norm),  # 7 → 14 wide
            block(nn.Conv2d(w, w, 3, 1, 1), norm),
        )
        first = [nn.Linear(LATENT, 98 * w), nn.Unflatten(1, (2 * w, 7, 7)), norm(2 * w)]
        self.start = nn.Sequential(*first, nn.LeakyReLU(0.2))
        self.ink = nn.Sequential(nn.Conv2d(w, 4, 3, 1, 1), nn.PixelShuffle(2), nn.Sigmoid())

    def forward(self, z):
        return self.ink(self.body(self.start(z)))


class Discriminator(nn.Module):
    """Images (B, 1, 28, 28) in [0, 1] → logits (B,); it also sees how a batch varies."""

    def __init__(self, norm=nn.Identity, batch_std=True, w=32):
        super().__init__()
        self.batch_std = batch_std
        self.body = nn.Sequential(
            block(nn.Conv2d(4, w, 3, 1, 1), nn.Identity),  # 14 wide; never a norm here
            block(nn.Conv2d(w, 2 * w, 4, 2, 1), norm),  # 7 wide
            block(nn.Conv2d(2 * w, 4 * w, 3, 2, 1), norm),  # 4 wide
        )
        self.out = nn.Linear((4 * w + 1) * 16, 1)

    def forward(self, x):
        h = self.body(F.pixel_unshuffle(2 * x - 1, 2))  # (B, 4, 14, 14) → (B, 4w, 4, 4)
        spread = h.var(0, correction=min(1, len(h) - 1))  # 0 for an image alone
        std = self.batch_std * (spread + 1e-8).sqrt().mean().expand(len(h), 1, 4, 4)
        return self.out(torch.cat([h, std], 1).flatten(1)).squeeze(1)


__all__ = [
    "Discriminator",
    "Generator",
    "LATENT",
    "block",
    "checked_bets",
    "checked_critic",
    "checked_gamma",
    "checked_keep",
    "checked_loss",
    "checked_modes",
    "checked_r1",
]
