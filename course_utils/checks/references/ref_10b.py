"""Reference functions of lesson 10b, generated from lessons/10b_likelihood_is_not_quality.py.

Do not edit: change the solution in the lesson and run `python tasks.py lessons`.
"""

import math

import torch
import torch.nn.functional as F


def gaussian_shell(d):
    """For z ~ N(0, I) in d dimensions: (typical norm, log p(0) − E log p(z) in nats).

    The typical norm is the root of E ‖z‖². Returns two numbers.
    """
    return math.sqrt(d), d / 2


def my_likelier():
    """Your bet, a list of some of "ones", "letters", "half contrast", "blurred", "blank page",
    "full ink", "flat grey", "inverted", "noise": those with fewer bits than test digits."""
    return ["ones", "blank page"]


def sneak(x):
    """Letters (n, 1, 28, 28) in [0, 1], changed so that the detector keeps silent.

    Same shape, in [0, 1], and still readable: two letters must stay different.
    """
    small = F.interpolate(x, size=(16, 16), mode="area")
    return F.pad(small, (6, 6, 6, 6))


def shaped_noise(v, s, t):
    """Equation (5): u, of the shape of v (B, …), and log q(u | x) (B,).

    v: uniform on (0, 1). s, t: log-stretch and shift of each pixel, of the shape of v.
    """
    y = s.exp() * v.logit() + t
    slope = s + F.logsigmoid(y) + F.logsigmoid(-y) - F.logsigmoid(v.logit()) - (1 - v).log()
    return y.sigmoid(), -slope.flatten(1).sum(1)


def in_turn(z, terms):
    """The x (B, D) to which (7) gives z (B, D), one number after another.

    terms: x → mean and width, (B, D) each; those of x_i depend on the numbers before it only.
    """
    x = torch.zeros_like(z)
    for i in range(z.shape[1]):
        mean, width = terms(x)
        x[:, i] = mean[:, i] + width[:, i] * z[:, i]
    return x


REFERENCES = {
    "10b.shell": gaussian_shell,
    "10b.likelier": my_likelier,
    "10b.sneak": sneak,
    "10b.noise": shaped_noise,
    "10b.turn": in_turn,
}
