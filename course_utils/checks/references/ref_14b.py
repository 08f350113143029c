"""Reference functions of lesson 14b, generated from lessons/14b_what_a_road_knows.py.

Do not edit: change the solution in the lesson and run `python tasks.py lessons`.
"""

import math

import torch
from scipy.optimize import linear_sum_assignment

from course_utils.lessons.lesson_14 import checked_heun


def assigned_within(eps, x, y):
    """Noises eps (B, D) in a new order: row i goes with x (B, D), of class y (B,), any int64.

    Each class keeps the noises of its own rows, assigned at least sum of squared distances
    (linear_sum_assignment(cost) → rows, columns; cost on the CPU).
    """
    paired = eps.clone()
    for label in y.unique():
        rows = (y == label).nonzero()[:, 0]
        cost = torch.cdist(x[rows], eps[rows]).square().cpu()
        order = torch.from_numpy(linear_sum_assignment(cost)[1]).to(rows.device)
        paired[rows] = eps[rows[order]]
    return paired


def divergence(u, x, t, probe):
    """zᵀJz of each row: u(x, t) gives velocities, x and probe z (B, …), one time t → (B,).

    Inside, x must require gradients; what is returned must not.
    """
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        (slope,) = torch.autograd.grad((u(x, t) * probe).sum(), x)
    return (slope * probe).flatten(1).sum(1)


def log_likelihood(u, x, times, probe, trace):
    """log p of x (B, …) at times[-1], walked back to the noise N(0, I) at times[0] = 0: (B,).

    u(x, t) gives velocities; times is a list, uneven maybe; trace(u, x, t, probe) is (2),
    with a probe (B, …) to be used as it is. `checked_heun` is at hand; with a negative h it
    walks back. The result carries no graph, if u's answers carry none.
    """
    total = 0.0
    for later, t in zip(times[::-1], times[-2::-1]):
        h = later - t
        total = total - h / 2 * trace(u, x, later, probe)
        x = checked_heun(u, x, later, -h)
        total = total - h / 2 * trace(u, x, t, probe)
    D = x[0].numel()
    noise = -x.flatten(1).square().sum(1) / 2 - D / 2 * math.log(2 * math.pi)
    return noise + total


def consistency_gap(ends, average, step, x, t, later):
    """ends(x, t) minus the answer of `average` one step later: (B, …).

    x (B, …) at times t (B,); step(x, t, later) walks to times later (B,) along the road; ends
    and average take (x, times) and give ends of roads. Each is asked once, for the whole
    batch. Only `ends` may learn from the gap.
    """
    with torch.no_grad():
        target = average(step(x, t, later), later)
    return ends(x, t) - target


REFERENCES = {
    "14b.assigned_within": assigned_within,
    "14b.divergence": divergence,
    "14b.log_likelihood": log_likelihood,
    "14b.consistency_gap": consistency_gap,
}
