"""What lesson 06b wrote for later ones, generated from lessons/06b_diffusion_in_depth.py.

Do not edit: change the lesson and run `python tasks.py lessons`.
"""

import math

import torch

from course_utils.checks.references.ref_06b import best_guess as checked_guess
from course_utils.checks.references.ref_06b import eta_step as checked_step
from course_utils.checks.references.ref_06b import paste as checked_paste
from course_utils.lessons.lesson_06 import abar
from course_utils.lessons.lesson_06 import x0_from_eps


# Section 1 · One family of samplers

def sample(predict, x, times, eta=0.0, clip=math.inf, generator=None):
    """Sampling by (1) and (2) from x at times[0] down to times[-1]; predict(x, t) → ε̂."""
    for t, s in zip(times, times[1:]):
        x0 = x0_from_eps(x, predict(x, t), abar[t]).clamp(-clip, clip)
        z = torch.randn(x.shape, generator=generator, dtype=x.dtype).to(x)
        x = checked_step(x, x0, abar[t], abar[s], eta, z)
    return x


def sampler(eta):
    """`sample` with a fixed η, for `generate`."""

    def fixed(predict, x, times, clip=math.inf, generator=None):
        return sample(predict, x, times, eta, clip, generator)

    return fixed


__all__ = [
    "checked_guess",
    "checked_paste",
    "checked_step",
    "sample",
    "sampler",
]
