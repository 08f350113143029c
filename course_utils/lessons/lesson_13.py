"""What lesson 13 wrote for later ones, generated from lessons/13_better_gans.py.

Do not edit: change the lesson and run `python tasks.py lessons`.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

import course_utils as cu
from course_utils.checks.references.ref_13 import fade_in as checked_fade
from course_utils.checks.references.ref_13 import gradient_penalty as checked_penalty
from course_utils.checks.references.ref_13 import sliced_distance as checked_sliced
from course_utils.checks.references.ref_13 import transport_1d as checked_transport
from course_utils.lessons.lesson_05 import LATENT
from course_utils.lessons.lesson_05 import checked_r1


# Section 2 · Three ways to one number

def downhill(opt, loss):
    """One step of one player."""
    opt.zero_grad(set_to_none=True)
    loss.backward()
    opt.step()


# Section 4 · Digits: a race, and what a loss says

def logistic(player, D, real, fake):
    """Lesson 05: cross-entropy for D, with R1 on 8 images; G's loss does not saturate."""
    if player == "G":
        return F.softplus(-D(fake)).mean()
    verdicts = F.softplus(-D(real)).mean() + F.softplus(D(fake)).mean()
    return verdicts + 0.05 * checked_r1(D, real[:8])


def wasserstein(player, D, real, fake):
    """Equation (5) with λ = 10; G lowers its side of the gap."""
    if player == "G":
        return -D(fake).mean()
    share = torch.rand(len(real), device=real.device)
    gap = D(real).mean() - D(fake).mean()
    return -gap + 10.0 * checked_penalty(D, real, fake, share)


def a_round(x, game, loss, critic_steps=1):
    """D moves on each share of x (B, 1, 28, 28), then G; `loss(player, D, real, fake)`."""
    G = game["G"]
    D = game["D"]
    for real in x.chunk(critic_steps):
        fake = G(torch.randn(len(real), LATENT, device=x.device))
        loss_d = loss("D", D, real, fake.detach())
        downhill(game["opt_d"], loss_d)

    D.requires_grad_(False)
    loss_g = loss("G", D, real, fake)
    downhill(game["opt_g"], loss_g)
    D.requires_grad_(True)

    for slow in ("slow_g", "slow_d"):
        game[slow].step()
    game["average"].update()
    return {"loss of D": loss_d, "loss of G": loss_g}


def falling(t):
    """Lesson 05's rate in round t, as a share of the first."""
    return (1 + t / 4_000) ** -0.5


def new_game(G, D, rate=falling):
    """Players, optimisers, rates, G's average: all that a resumed run needs."""
    G, D = cu.prepare(G, D)
    game = {"G": G, "D": D}
    for name, net in (("g", G), ("d", D)):
        opt = torch.optim.Adam(net.parameters(), 2e-3, (0.0, 0.99), fused=True)
        slow = torch.optim.lr_scheduler.LambdaLR(opt, rate)
        game |= {f"opt_{name}": opt, f"slow_{name}": slow}
    return game | {"average": cu.train.EMA(G, 0.9995)}


def latents(n, seed):
    """n latents (n, 64), the same for every model."""
    return torch.randn(n, LATENT, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def paint(G, z):
    """Images (n, c, s, s) in [0, 1] on the CPU from latents z (n, 64), in evaluation mode."""
    where = next(G.parameters()).device
    G.eval()
    return torch.cat([G(part.to(where)).cpu() for part in z.split(250)])


# Section 5 · Growing

def turned(layer):
    """A layer of the generator, normalised, with its leaky ReLU."""
    return nn.Sequential(layer, nn.BatchNorm2d(layer.out_channels), nn.LeakyReLU(0.2))


class Grower(nn.Module):
    """z (B, 64) → images (B, c, s, s) in [0, 1], s = first · 2^stage."""

    def __init__(self, widths=(64, 48, 24), first=7, c=1):
        super().__init__()
        w = widths[0]
        grid = nn.Unflatten(1, (w, first, first))
        self.start = nn.Sequential(nn.Linear(LATENT, w * first**2), grid, nn.BatchNorm2d(w))
        self.first = nn.Sequential(nn.LeakyReLU(0.2), turned(nn.Conv2d(w, w, 3, 1, 1)))
        steps = pairwise(widths)
        self.rise = nn.ModuleList(turned(nn.ConvTranspose2d(a, b, 4, 2, 1)) for a, b in steps)
        self.ink = nn.ModuleList(nn.Conv2d(w, c, 3, 1, 1) for w in widths)
        self.stage = len(widths) - 1
        self.alpha = 1.0

    def forward(self, z):
        h = self.first(self.start(z))
        for rise in self.rise[: self.stage]:
            before = h
            h = rise(h)
        image = self.ink[self.stage](h)
        if self.stage and self.alpha < 1:
            image = checked_fade(self.ink[self.stage - 1](before), image, self.alpha)
        return image.sigmoid()


def at_stage(t, plan):
    """Stage and alpha in round t; plan: per stage (rounds it fades in, after), first (0, n)."""
    for stage, (fading, after) in enumerate(plan):
        if t < fading + after:
            return stage, min(1.0, (t + 1) / fading) if fading else 1.0
        t -= fading + after
    return len(plan) - 1, 1.0


def set_stage(game, stage, alpha):
    """Tell the networks how far they have grown."""
    for net in (game["G"], game["D"], game["average"].module):
        net.stage = stage
        net.alpha = alpha


def growing_round(x, game, t, plan):
    """One round of lesson 05's losses in round t; x (B, c, s, s) in full size."""
    stage, alpha = at_stage(t, plan)
    set_stage(game, stage, alpha)
    if t and at_stage(t - 1, plan)[0] != stage:
        game["average"].updates = 0  # a new layer: a new average, which forgets fast at first
    x = F.avg_pool2d(x, 2 ** (len(plan) - 1 - stage))
    if alpha < 1:  # real images lose the same detail
        x = checked_fade(F.avg_pool2d(x, 2), x, alpha)
    return a_round(x, game, logistic)


# Section 6 · Five hundred digits

def shaken(x):
    """Images (B, 1, 28, 28), each moved by up to 3 pixels and with a square of 10 cut out."""
    n = len(x)
    pixels = torch.arange(28, device=x.device)
    move = torch.randint(-3, 4, (n, 2), device=x.device)  # across, down
    column = (pixels + 3 + move[:, :1])[:, None, None, :]  # (B, 1, 1, 28), in a padded page
    row = (pixels + 3 + move[:, 1:])[:, None, :, None]
    x = (
        F.pad(x, (3, 3, 3, 3))
        .gather(2, row.expand(n, 1, 28, 34))
        .gather(3, column.expand(n, 1, 28, 28))
    )

    corner = torch.randint(-9, 28, (n, 2, 1), device=x.device)
    away = pixels - corner  # (B, 2, 28)
    inside = (away >= 0) & (away < 10)
    hole = inside[:, 0, :, None] & inside[:, 1, None, :]
    return x.masked_fill(hole[:, None], 0.0)


def shaken_logistic(player, D, real, fake):
    """`logistic`, except that D sees every image shaken."""
    return logistic(player, lambda x: D(shaken(x)), real, fake)


__all__ = [
    "Grower",
    "a_round",
    "at_stage",
    "checked_fade",
    "checked_penalty",
    "checked_sliced",
    "checked_transport",
    "downhill",
    "falling",
    "growing_round",
    "latents",
    "logistic",
    "new_game",
    "paint",
    "set_stage",
    "shaken",
    "shaken_logistic",
    "turned",
    "wasserstein",
]
