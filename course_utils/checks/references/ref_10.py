"""Reference functions of lesson 10, generated from lessons/10_normalizing_flows.py.

Do not edit: change the solution in the lesson and run `python tasks.py lessons`.
"""

import math

import torch


def log_density(x, to_noise, slope):
    """Equation (1): log p(x) (N,) of x = f(z), z ~ N(0, 1); x (N,).

    to_noise: the function x → z. slope: the function z → f′(z), of any sign.
    """
    z = to_noise(x)
    return -0.5 * (z**2 + math.log(2 * math.pi)) - slope(z).abs().log()


def couple(x, terms, back=False):
    """Equation (3): (B, C, …) → what the coupling makes of it, and log|det| (B,) of that step.

    terms: a → (s, t), each of the shape of b. back: undo the coupling instead.
    """
    a, b = x.chunk(2, 1)
    s, t = terms(a)
    if back:
        return torch.cat([a, (b - t) * (-s).exp()], 1), -s.flatten(1).sum(1)
    return torch.cat([a, b * s.exp() + t], 1), s.flatten(1).sum(1)


def my_share():
    """Your guess: the share of strays of sixteen couplings, in per cent."""
    return 2.0


def dequantised_bits(log_p, levels, u):
    """Equation (7): bits a pixel (B,) of images of 256 grey levels, with the noise u in [0, 1).

    log_p: x in [0, 1) → (B,), in nats. levels (B, …): 0.0, 1.0, …, 255.0. u: as levels.
    """
    D = levels[0].numel()
    return 8 - log_p((levels + u) / 256) / (D * math.log(2))


def narrow_noise(u, gain):
    """Noise of u's shape, uniform from 0 to the width that gains `gain` bits a pixel.

    u: uniform on [0, 1), float. gain: a number, 0 or more.
    """
    return u / 2**gain


def mix_log_det(weight, height, width):
    """log|det| of multiplying C channels by weight (C, C), at height × width places."""
    return height * width * torch.linalg.slogdet(weight)[1]


REFERENCES = {
    "10.density": log_density,
    "10.couple": couple,
    "10.share": my_share,
    "10.bits": dequantised_bits,
    "10.noise": narrow_noise,
    "10.mix": mix_log_det,
}
