"""What lesson 10 wrote for later ones, generated from lessons/10_normalizing_flows.py.

Do not edit: change the lesson and run `python tasks.py lessons`.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

import course_utils as cu
from course_utils.checks.references.ref_10 import couple as checked_couple
from course_utils.checks.references.ref_10 import dequantised_bits as checked_bits
from course_utils.checks.references.ref_10 import log_density as checked_density
from course_utils.checks.references.ref_10 import mix_log_det as checked_log_det
from course_utils.checks.references.ref_10 import my_share as checked_share
from course_utils.checks.references.ref_10 import narrow_noise as checked_noise


# Section 2 · One half decides for the other

class Coupling(nn.Module):
    """Half of the channels are stretched and moved by what the other half says."""

    def __init__(self, net):
        super().__init__()
        self.net = net  # (B, C/2, …) → (B, C, …): log-stretch s and shift t

    def terms(self, a):
        s, t = self.net(a).chunk(2, 1)
        return 2 * torch.tanh(s / 2), t  # |s| < 2: no exponent runs away

    def forward(self, x):
        """x (B, C, …) → y, of its shape, and the ledger (B,)."""
        return checked_couple(x, self.terms)

    def back(self, z):
        """The x (B, C, …) of which `forward` makes z; without a ledger."""
        return checked_couple(z, self.terms, back=True)[0]


class Leave(Coupling):
    """A coupling after which the second half of the channels leaves (section 7)."""


class Layers(nn.Module):
    """From data to noise: `flow(x)` → what arrives, a list, and the ledger (B,)."""

    def __init__(self, layers):
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, x):
        arrived = []
        ledger = torch.zeros(len(x), dtype=x.dtype, device=x.device)
        for layer in self.layers:
            x, log_det = layer(x)
            ledger = ledger + log_det
            if isinstance(layer, Leave):
                x, z = x.chunk(2, 1)
                arrived.append(z)
        return [*arrived, x], ledger


def normal_log_p(z):
    """log N(z; 0, I), summed over all but the batch: (B, …) → (B,)."""
    return -0.5 * (z.square() + math.log(2 * math.pi)).flatten(1).sum(1)


class Flow(Layers):
    """Layers with the way to the data, and the density of what arrives (the base)."""

    def __init__(self, layers, base=normal_log_p):
        super().__init__(layers)
        self.base = base

    def back(self, arrived):
        """What arrived, a list as of `forward` (first what left first) → x (B, …)."""
        *left, x = arrived
        for layer in reversed(self.layers):
            if isinstance(layer, Leave):
                x = torch.cat([x, left.pop()], 1)
            x = layer.back(x)
        return x

    def log_p(self, x):
        """Equation (2): what the base says of where x arrives, plus the ledger (B,)."""
        arrived, ledger = self(x)
        return ledger + sum(self.base(z) for z in arrived)


class Flip(nn.Module):
    """The coordinates in reverse order: the halves change places."""

    def forward(self, x):
        return x.flip(1), 0.0

    def back(self, z):
        return z.flip(1)


def still_net(inputs, outputs):
    """A small network that begins at zero: a coupling begins as the identity."""
    net = cu.nets.mlp(inputs, 64, 64, outputs)
    for part in net[-1].parameters():
        nn.init.zeros_(part)
    return net


def plain_flow(depth, D=2, first=(), base=normal_log_p):
    """Couplings on vectors (B, D), the halves changing places after each."""
    layers = [*first]
    for _ in range(depth):
        layers += [Coupling(still_net(D // 2, D)), Flip()]
    return Flow(layers, base)


def islands_log_p(x, centres, sigma):
    """log-density (B,) of equally likely round Gaussians: x (B, 2), centres (K, 2)."""
    far = (x[:, None] - centres.to(x)).square().sum(2)
    constant = math.log(len(centres) * 2 * math.pi * sigma**2)
    return (-far / (2 * sigma**2)).logsumexp(1) - constant


# Section 5 · Pixels are whole numbers

class ToReals(nn.Module):
    """[0, 1] to the real line: logit of a + (1 − 2a)x."""

    def __init__(self, a=1e-5):
        super().__init__()
        self.a = a

    def forward(self, x):
        v = self.a + (1 - 2 * self.a) * x
        ledger = math.log(1 - 2 * self.a) - v.log() - (1 - v).log()
        return v.logit(), ledger.flatten(1).sum(1)

    def back(self, z):
        return (z.sigmoid() - self.a) / (1 - 2 * self.a)


# Section 7 · A flow for images

class Fold(nn.Module):
    """2 × 2 pixels become four channels: (B, C, H, W) → (B, 4C, H/2, W/2)."""

    def forward(self, x):
        return F.pixel_unshuffle(x, 2), 0.0

    def back(self, z):
        return F.pixel_shuffle(z, 2)


class ActNorm(nn.Module):
    """Each channel shifted and scaled; `begin` makes a first batch standard."""

    def __init__(self, channels):
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(channels, 1, 1))
        self.log_scale = nn.Parameter(torch.zeros(channels, 1, 1))

    @torch.no_grad()
    def begin(self, x):
        self.shift.copy_(-x.mean((0, 2, 3))[:, None, None])
        self.log_scale.copy_(-x.std((0, 2, 3)).log()[:, None, None])

    def forward(self, x):
        log_det = self.log_scale.sum() * x[0, 0].numel()
        return (x + self.shift) * self.log_scale.exp(), log_det

    def back(self, z):
        return z * (-self.log_scale).exp() - self.shift


class Mix(nn.Module):
    """An invertible 1 × 1 convolution: one matrix W for the channels of every place."""

    def __init__(self, channels):
        super().__init__()
        self.weight = nn.Parameter(torch.linalg.qr(torch.randn(channels, channels))[0])

    def forward(self, x):
        log_det = checked_log_det(self.weight, *x.shape[2:])
        return F.conv2d(x, self.weight[:, :, None, None]), log_det

    def back(self, z):
        return F.conv2d(z, torch.linalg.inv(self.weight)[:, :, None, None])


class Convs(nn.Module):
    """Three convolutions, (B, C, H, W) → (B, 2C, H, W); the last one begins at zero."""

    def __init__(self, channels, width):
        super().__init__()
        self.look = nn.Conv2d(channels, width, 3, padding=1)
        self.think = nn.Conv2d(width, width, 3, padding=1)
        self.say = nn.Conv2d(width, 2 * channels, 3, padding=1)
        nn.init.zeros_(self.say.weight)
        nn.init.zeros_(self.say.bias)

    def forward(self, x):
        h = self.look(x)
        h = h + self.think(F.silu(h))
        return self.say(F.silu(h))


def image_flow(steps=(8, 8, 6), width=32):
    """28 × 28 → 4 × 14 × 14 → 16 × 7 × 7, of which half leave → 8 × 7 × 7."""

    def stage(n, channels):
        layers = []
        for _ in range(n):
            layers += [ActNorm(channels), Mix(channels)]
            layers += [Coupling(Convs(channels // 2, width))]
        return layers

    first, second, third = steps
    layers = [ToReals(), Fold(), *stage(first, 4), Fold(), *stage(second, 16)]
    layers += [Leave(Convs(8, width)), *stage(third, 8)]
    return Flow(layers)


@torch.no_grad()
def begin(flow, x):
    """Let every actnorm make x (B, 1, 28, 28), images with noise, standard where it stands."""
    for layer in flow.layers:
        if isinstance(layer, ActNorm):
            layer.begin(x)
        x, _ = layer(x)
        if isinstance(layer, Leave):
            x, _ = x.chunk(2, 1)


def with_noise(x):
    """Images (B, 1, 28, 28) of 256 grey levels, in [0, 1] → cells of width 1/256."""
    return ((255 * x).round() + torch.rand_like(x)) / 256


def bits_per_dim(log_p, D=784):
    """−log p(x) in nats, x in [0, 1), as bits a pixel of 256 levels."""
    return 8 - log_p / (D * math.log(2))


def flow_loss(model, x):
    """Bits per dimension with one draw of noise; x (B, 1, 28, 28) in [0, 1]."""
    levels = (255 * x).round()
    return checked_bits(model.log_p, levels, torch.rand_like(x)).mean()


def warm_cosine(done):
    """Learning-rate factor: a warm-up over the first fiftieth, then half a cosine down to 0."""
    return min(1.0, 50 * done) * (1 + math.cos(math.pi * done)) / 2


# Section 8 · Drawing, and which latents hold what

@torch.no_grad()
def draw_flow(flow, z):
    """Grey levels in [0, 1], (n, 1, 28, 28), from the noise z (n, 2, 8, 7, 7), one pass."""
    x = flow.back([*z.to(flow.layers[2].shift).unbind(1)])  # on the flow's device
    return (256 * x).floor().clamp(0, 255) / 255


def clouds(n, seed, temperature=1.0):
    """n clouds of noise: what leaves early, z[:, 0], and late, z[:, 1]; section 10 cools."""
    g = torch.Generator().manual_seed(seed)
    return temperature * torch.randn(n, 2, 8, 7, 7, generator=g)


__all__ = [
    "ActNorm",
    "Convs",
    "Coupling",
    "Flip",
    "Flow",
    "Fold",
    "Layers",
    "Leave",
    "Mix",
    "ToReals",
    "begin",
    "bits_per_dim",
    "checked_bits",
    "checked_couple",
    "checked_density",
    "checked_log_det",
    "checked_noise",
    "checked_share",
    "clouds",
    "draw_flow",
    "flow_loss",
    "image_flow",
    "islands_log_p",
    "normal_log_p",
    "plain_flow",
    "still_net",
    "warm_cosine",
    "with_noise",
]
