"""What lesson 14 wrote for later ones, generated from lessons/14_fast_diffusion.py.

Do not edit: change the lesson and run `python tasks.py lessons`.
"""

import math

import torch
from torch import nn

import course_utils as cu
from course_utils.checks.references.ref_14 import ddim_by_euler as checked_ddim
from course_utils.checks.references.ref_14 import flow_loss as checked_loss
from course_utils.checks.references.ref_14 import heun_step as checked_heun
from course_utils.checks.references.ref_14 import reflow_pairs as checked_pairs
from course_utils.checks.references.ref_14 import score_from_velocity as checked_score
from course_utils.lessons.lesson_06 import log_p_and_score
from course_utils.lessons.lesson_06 import pictures
from course_utils.nets import UNet


# Section 1 · DDIM was Euler all along

COSINE = math.cos(math.pi / 2 * 0.008 / 1.008)  # lesson 06's schedule; below it is solved for k


def lesson_06_time(t):
    """The k in 1 … 1000, with a fraction, at which α/(α+σ) is t."""
    alpha = t / math.hypot(t, 1 - t)
    return max(1.0, 1_000 * (2 / math.pi * 1.008 * math.acos(alpha * COSINE) - 0.008))


def flow_of(net):
    """Lesson 06's network as u(x, t): images (B, 1, 28, 28) and one time → velocities."""

    @torch.no_grad()
    def u(x, t):
        size = math.hypot(t, 1 - t)  # 1 / (α + σ), since α² + σ² = 1
        alpha = t / size
        sigma = (1 - t) / size
        y = x / size
        v = net(y, torch.full((len(y),), lesson_06_time(t), device=y.device))
        guess = alpha * y - sigma * v  # lesson 06, section 3
        eps = sigma * y + alpha * v
        return guess - eps

    return u


def euler(u, x, times):
    """Equation (3) from times[0] to times[-1]; u(x, t) takes one time for all."""
    for t, later in zip(times, times[1:]):
        x = x + (later - t) * u(x, t)
    return x


def even(n):
    """n equal steps from 0 to 1."""
    return [i / n for i in range(n + 1)]


def exact_u(x, t):
    """u of lesson 06's mixture by its exact score: points (n, 2) float64, a time in (0, 1)."""
    size = math.hypot(t, 1 - t)
    a = torch.tensor((t / size) ** 2, dtype=torch.float64)
    eps = -(1 - a).sqrt() * log_p_and_score(x / size, a)[1]  # lesson 06, equation (4)
    guess = (x / size - (1 - a).sqrt() * eps) / a.sqrt()
    return guess - eps


# Section 2 · Better than Euler

def heun(u, x, times):
    """Equation (4) from times[0] to times[-1]; a step into t = 1 is Euler's."""
    for t, later in zip(times, times[1:]):
        x = checked_heun(u, x, t, later - t) if later < 1 else euler(u, x, [t, later])
    return x


def adams(u, x, times):
    """Two-step Adams–Bashforth: one evaluation a step, and the slope before."""
    bend = 0.0  # change of the slope in a unit of time
    before = None
    for t, later in zip(times, times[1:]):
        slope = u(x, t)
        if before is not None:
            bend = (slope - before[1]) / (t - before[0])
        before = (t, slope)
        h = later - t
        x = x + h * (slope + h / 2 * bend)
    return x


def normal_u(x, t, m=0.5, w=0.2):
    """Exact velocity for data N(m, w²): the solution above, differentiated by t."""
    variance = (t * w) ** 2 + (1 - t) ** 2
    return m + (t * w**2 - (1 - t)) * (x - t * m) / variance


def ladder_of(n, power=3, most=80.0, least=0.02):
    """n steps from 0 to 1, even in the cube root of (1 − t)/t from `most` to `least`."""
    ratio = torch.linspace(most ** (1 / power), least ** (1 / power), n + 1).double() ** power
    return [0.0, *(1 / (1 + ratio))[1:-1].tolist(), 1.0]


def draw(u, n, times, solver=adams, seed=0):
    """n images, uint8 (n, 1, 28, 28) on the CPU, 250 at a time, from the noises of a seed."""
    device = cu.system.machine.device()
    generator = torch.Generator().manual_seed(seed)
    images = []
    for i in range(0, n, 250):
        noise = torch.randn(min(250, n - i), 1, 28, 28, generator=generator)
        noise = noise.to(device, memory_format=torch.channels_last)
        images.append(pictures(solver(u, noise, times)).contiguous())
    return cu.to_uint8(torch.cat(images))


# Section 3 · Flow matching in one line

class Flow(nn.Module):
    """Images (B, 1, 28, 28) in [−1, 1] and times t (B,) → velocities, by a small U-Net."""

    def __init__(self):
        super().__init__()
        self.unet = UNet(width=32, embedding=128)

    def forward(self, x, t):
        return self.unet(x, 1_000 * (1 - t))  # its clocks read noise at 1000, as in lesson 06


def spread_times(n, device=None):
    """n times in 0 … 1, one in each n-th of the range: (n,)."""
    return (torch.arange(n, device=device) + torch.rand(n, device=device)) / n


def digit_loss(model, x):
    """Equation (5) for images x (B, 1, 28, 28) in [0, 1]."""
    return checked_loss(model, 2 * x - 1, torch.randn_like(x), spread_times(len(x), x.device))


def velocity(model):
    """A model as u(x, t) with one time t for all."""

    @torch.no_grad()
    def u(x, t):
        return model(x, torch.full((len(x),), t, dtype=x.dtype, device=x.device))

    return u


# Section 5 · Crooked, measured

class Field(nn.Module):
    """Points (B, 2) and times (B,) → velocities (B, 2)."""

    def __init__(self, width=128):
        super().__init__()
        sizes = [2 + 16, width, width, width]
        layers = []
        for a, b in zip(sizes, sizes[1:]):
            layers += [nn.Linear(a, b), nn.SiLU()]
        self.net = nn.Sequential(*layers, nn.Linear(width, 2))

    def forward(self, x, t):
        angle = t[:, None] * math.pi * torch.arange(1, 9, device=t.device)
        return self.net(torch.cat([x, angle.sin(), angle.cos()], 1))


__all__ = [
    "COSINE",
    "Field",
    "Flow",
    "adams",
    "checked_ddim",
    "checked_heun",
    "checked_loss",
    "checked_pairs",
    "checked_score",
    "digit_loss",
    "draw",
    "euler",
    "even",
    "exact_u",
    "flow_of",
    "heun",
    "ladder_of",
    "lesson_06_time",
    "normal_u",
    "spread_times",
    "velocity",
]
