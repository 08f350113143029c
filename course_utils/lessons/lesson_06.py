"""What lesson 06 wrote for later ones, generated from lessons/06_diffusion.py.

Do not edit: change the lesson and run `python tasks.py lessons`.
"""

import functools
import math

import torch

import course_utils as cu
from course_utils.checks.references.ref_06 import ancestral as checked_ancestral
from course_utils.checks.references.ref_06 import combine as checked_combine
from course_utils.checks.references.ref_06 import my_percentage as checked_percentage
from course_utils.checks.references.ref_06 import posterior as checked_posterior
from course_utils.checks.references.ref_06 import q_sample as checked_q
from course_utils.checks.references.ref_06 import simple_loss as checked_loss
from course_utils.checks.references.ref_06 import too_narrow as checked_narrow


# Section 1 · Ink in water

T = 1000


def cosine_alpha_bar(T):
    """ᾱ_0 … ᾱ_T, float64 (T + 1,): f(t) / f(0), f(t) = cos²(π/2 · (t/T + 0.008) / 1.008)."""
    done = torch.arange(T + 1, dtype=torch.float64) / T
    f = torch.cos(math.pi / 2 * (done + 0.008) / 1.008) ** 2
    alpha = (f[1:] / f[:-1]).clamp(min=0.001)  # no β_t = 1 − α_t above 0.999
    return torch.cat([f.new_ones(1), alpha.cumprod(0)])


abar = cosine_alpha_bar(T)  # the schedule of this lesson: abar[0] is 1, abar[T] the noisiest


@functools.cache
def abar_on(device, dtype=torch.float32):
    """The schedule on a device, sent there once: then no step of a training waits for it."""
    return abar.to(device, dtype)


# Section 2 · The way back is the score

MEANS = torch.tensor([[-1.0, 0.0], [1.0, 1.1], [1.0, -1.3]]).double()
toy = (torch.tensor([0.5, 0.3, 0.2]).double(), MEANS, 0.3)  # weights (K,), means (K, 2), width


def log_p_and_score(x, a, mixture=toy):
    """log p_t(x) (n,) and its gradient (n, 2), mixture noised to ᾱ_t = a: x (n, 2) float64."""
    weights, means, width = mixture
    variance = a * width**2 + 1 - a
    away = a**0.5 * means - x[:, None]  # (n, K, 2): mean minus x
    distance = away.square().sum(2) / (2 * variance)
    log_joint = weights.log() - distance  # (n, K), up to a constant
    responsibility = log_joint.softmax(1)
    score = (responsibility[..., None] * away).sum(1) / variance
    return log_joint.logsumexp(1) - torch.log(2 * math.pi * variance), score


def draw_mixture(n, seed, mixture=toy):
    """n draws (n, 2) float64: choose a component, then add noise (lesson 02)."""
    weights, means, width = mixture
    generator = torch.Generator().manual_seed(seed)
    k = torch.multinomial(weights, n, replacement=True, generator=generator)
    return means[k] + width * torch.randn(n, 2, generator=generator, dtype=torch.float64)


def exact_eps(x, t):
    """E[ε | x_t] of the mixture by (4): x (n, 2), one time t for all."""
    return -(1 - abar[t]).sqrt() * log_p_and_score(x, abar[t])[1]


def way_back(predict, x, times, clip=math.inf, generator=None):
    """Ancestral sampling on this lesson's schedule."""
    return checked_ancestral(predict, x, times, abar, checked_posterior, clip, generator)


def spaced(n, start=T):
    """n equal steps from `start` to 0 (at most `start`): whole numbers, both ends included."""
    n = max(1, min(n, start))
    return torch.linspace(start, 0, n + 1, dtype=torch.float64).round().int().tolist()


def recorded(predict, log):
    """The same predictor, which also notes each (t, x_t, ε̂) in a list."""

    def noting(x, t):
        eps = predict(x, t)
        log.append((t, x, eps))
        return eps

    return noting


def energy(x, y):
    """Energy distance between samples x (n, d) and y (m, d)."""
    x = x.float()
    y = y.float()
    across = torch.cdist(x, y).mean()
    return (2 * across - torch.cdist(x, x).mean() - torch.cdist(y, y).mean()).item()


def real_vs_real(draw, n, pairs):
    """95th percentile of `energy` over pairs of genuine sample sets; draw(n, seed) → (n, d)."""
    distances = [energy(draw(n, 1_000 + 2 * i), draw(n, 1_001 + 2 * i)) for i in range(pairs)]
    return torch.tensor(distances).quantile(0.95).item()


# Section 3 · From the bound to the simple loss

def velocity(x0, eps, a_t):
    """v of equation (9): x0, eps (B, …), a_t broadcasts → (B, …)."""
    return a_t.sqrt() * eps - (1 - a_t).sqrt() * x0


def eps_from_v(xt, v, a_t):
    """ε of equation (9)."""
    return (1 - a_t).sqrt() * xt + a_t.sqrt() * v


def x0_from_eps(xt, eps, a_t):
    """Equation (2), solved for x_0."""
    return (xt - (1 - a_t).sqrt() * eps) / a_t.sqrt()


# Section 5 · Digits

def draw_times(n, device=None):
    """n times in 1 … T, one in each n-th of the range: int64 (n,)."""
    place = torch.arange(n, device=device) + torch.rand(n, device=device)
    return (place / n * T).long().clamp(max=T - 1) + 1


def diffusion_loss(model, x, y=None):
    """Algorithm 1 for v: images x (B, 1, 28, 28) in [0, 1], with labels y (B,) or None."""
    x0 = 2 * x - 1
    t = draw_times(len(x), x.device)
    eps = torch.randn_like(x0)
    xt = checked_q(x0, t, eps, abar_on(x.device, x.dtype))
    a_t = abar_on(x.device, x.dtype)[t].view(-1, 1, 1, 1)
    return (model(xt, t, y) - velocity(x0, eps, a_t)).square().mean()


def warm_cosine(done):
    """Learning-rate factor: a warm-up over the first fiftieth, then half a cosine down to 0."""
    return min(1.0, 50 * done) * (1 + math.cos(math.pi * done)) / 2


def predictor(net, y=None):
    """An image network as `predict(x, t)` → ε̂ for the samplers; labels y (B,) or None."""

    @torch.no_grad()
    def predict(x, t):
        v = net(x, torch.full((len(x),), t, device=x.device), y)
        return eps_from_v(x, v, abar[t])

    return predict


def generate(predict, n, times, sampler=way_back, seed=0):
    """n images, uint8 (n, 1, 28, 28) on the CPU, 250 at a time; predict(x, t) → ε̂."""
    generator = torch.Generator().manual_seed(seed)
    images = []
    for i in range(0, n, 250):
        x = torch.randn(min(250, n - i), 1, 28, 28, generator=generator)
        x = x.to(cu.system.machine.device(), memory_format=torch.channels_last)
        images.append(sampler(predict, x, times, clip=1.0, generator=generator).cpu())
    return cu.to_uint8((torch.cat(images).contiguous() / 2 + 0.5).clamp(0, 1))


@torch.no_grad()
def classes(images):
    """What the course's classifier reads in images (n, …) in [0, 1]: int64 (n,)."""
    net = cu.metrics.classifier()
    device = next(net.parameters()).device
    return net(images.reshape(-1, 1, 28, 28).to(device)).argmax(1).cpu()


def pictures(x):
    """States x (n, 1, 28, 28) in [−1, 1] as images in [0, 1] on the CPU."""
    return (x.cpu() / 2 + 0.5).clamp(0, 1)


# Section 6 · With and without new noise

def ddim(predict, x, times, clip=math.inf, generator=None):
    """Sampling by (10), without new noise; interface as `way_back`."""
    for t, s in zip(times, times[1:]):
        x0 = x0_from_eps(x, predict(x, t), abar[t]).clamp(-clip, clip)
        eps = (x - abar[t].sqrt() * x0) / (1 - abar[t]).sqrt()  # belongs to the clipped guess
        x = abar[s].sqrt() * x0 + (1 - abar[s]).sqrt() * eps
    return x


# Section 7 · Condition and guide

def conditional_loss(model, x, y):
    """The loss with labels y (B,), half of them withheld (10 stands for "not told")."""
    withheld = torch.rand(len(y), device=y.device) < 0.5
    return diffusion_loss(model, x, torch.where(withheld, 10, y))


def guided(net, y, w):
    """`predict(x, t)` with labels y (B,) at guidance scale w; both predictions in one batch."""

    def predict(x, t):
        told = y[: len(x)].to(x.device)
        if w in (0, 1):  # one of the two is all there is
            return predictor(net, told if w else None)(x, t)
        not_told = torch.full_like(told, net.labels)
        both = predictor(net, torch.cat([not_told, told]))(torch.cat([x, x]), t)
        return checked_combine(both[: len(x)], both[len(x) :], w)

    return predict


SCALES = (0.0, 1.0, 1.5, 2.0, 3.0, 5.0, 8.0)


__all__ = [
    "MEANS",
    "SCALES",
    "T",
    "abar",
    "abar_on",
    "checked_ancestral",
    "checked_combine",
    "checked_loss",
    "checked_narrow",
    "checked_percentage",
    "checked_posterior",
    "checked_q",
    "classes",
    "conditional_loss",
    "cosine_alpha_bar",
    "ddim",
    "diffusion_loss",
    "draw_mixture",
    "draw_times",
    "energy",
    "eps_from_v",
    "exact_eps",
    "generate",
    "guided",
    "log_p_and_score",
    "pictures",
    "predictor",
    "real_vs_real",
    "recorded",
    "spaced",
    "toy",
    "velocity",
    "warm_cosine",
    "way_back",
    "x0_from_eps",
]
