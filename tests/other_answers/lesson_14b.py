"""Right answers to the exercises of lesson 14b in another style than the reference: they must pass."""

import math
from itertools import pairwise

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment


def divergence_forwards(u, x, t, probe):
    """A Jacobian–vector product, in the direction of the probe."""
    _, along = torch.func.jvp(lambda x: u(x, t), (x,), (probe,))
    return torch.einsum("bi,bi->b", along.flatten(1), probe.flatten(1))


def divergence_by_vjp(u, x, t, probe):
    _, pull = torch.func.vjp(lambda x: u(x, t), x)
    return torch.sum(pull(probe)[0] * probe, dim=tuple(range(1, x.dim())))


def divergence_row_by_row(u, x, t, probe):
    found = []
    for place, z in zip(x, probe):
        J = torch.autograd.functional.jacobian(
            lambda flat, p=place: u(flat.view_as(p)[None], t)[0], place.flatten()
        )
        z = z.flatten()
        found.append(z @ J.flatten(0, -2) @ z)
    return torch.stack(found)


def divergence_weighted(u, x, t, probe):
    """The output's own gradient is the probe; without a sum."""
    with torch.enable_grad():
        at = torch.nn.Parameter(x.clone())
        slope = torch.autograd.grad(u(at, t), at, grad_outputs=probe)[0]
    return (slope * probe).reshape(len(x), -1).sum(-1)


def heun(u, x, t, h):
    first = u(x, t)
    return x + h * (first + u(x + h * first, t + h)) / 2


def log_p_with_divergences_kept(u, x, times, probe):
    """Each divergence is asked for once: the end of a step is the beginning of the next."""
    here, total = divergence_weighted(u, x, times[-1], probe), torch.zeros(len(x)).to(x)
    for k in range(len(times) - 1, 0, -1):
        h = times[k] - times[k - 1]
        x = heun(u, x, times[k], -h)
        before, here = here, divergence_weighted(u, x, times[k - 1], probe)
        total -= h * (before + here) / 2
    return torch.distributions.Normal(0.0, 1.0).log_prob(x).flatten(1).sum(1) + total


def log_p_in_one_system(u, x, times, probe):
    """Heun's step for place and log p together: the second divergence at Euler's end."""
    gained = 0
    for t, earlier in pairwise(reversed(times)):
        h = earlier - t
        slope, spread = u(x, t), divergence_by_vjp(u, x, t, probe)
        ahead = x + h * slope
        x = x + h / 2 * (slope + u(ahead, earlier))
        gained = gained + h / 2 * (spread + divergence_by_vjp(u, ahead, earlier, probe))
    squares = torch.linalg.vector_norm(x.flatten(1), dim=1) ** 2
    return gained - 0.5 * (squares + math.prod(x.shape[1:]) * math.log(2 * math.pi))


def log_p_by_trapezium(u, x, times, probe):
    """First the whole walk, then the sum over its places."""
    clock = torch.tensor(times, dtype=torch.float64)
    places = [x]
    for later, t in zip(clock.flip(0), clock.flip(0)[1:]):
        places.insert(0, heun(u, places[0], later, t - later))
    spread = torch.stack([divergence_forwards(u, place, t, probe) for place, t in zip(places, clock)])
    flat = places[0].reshape(len(x), -1)
    normal = torch.distributions.MultivariateNormal(
        torch.zeros_like(flat[0]), torch.eye(flat.shape[1]).to(flat)
    )
    return (normal.log_prob(flat) - torch.trapezoid(spread, clock.to(spread), dim=0)).detach()


def log_p_recursive(u, x, times, probe):
    """log p at the last time is that at the time before, less what one step takes."""
    if len(times) == 1:
        return (-(x**2) / 2 - np.log(2 * np.pi) / 2).flatten(1).sum(1)
    *rest, t, later = times
    before = heun(u, x, later, t - later)
    mean = (divergence_by_vjp(u, x, later, probe) + divergence_by_vjp(u, before, t, probe)) / 2
    return log_p_recursive(u, before, [*rest, t], probe) - (later - t) * mean


def log_p_more_exactly(u, x, times, probe):
    """Two Heun steps of half the length for each: of second order, too, and nearer."""
    finer = [first + (last - first) * k / 2 for first, last in pairwise(times) for k in (0, 1)]
    return log_p_with_divergences_kept(u, x, [*finer, times[-1]], probe)


def assigned_by_columns(eps, x, y):
    """Noises are the rows of the cost, and each is sent to its column."""
    paired = torch.empty_like(eps)
    for label in set(y.tolist()):
        (rows,) = torch.where(y == label)
        cost = ((eps[rows, None] - x[rows]) ** 2).sum(-1)
        sent, to = linear_sum_assignment(cost.cpu().numpy())
        paired[rows[to]] = eps[rows[sent]]
    return paired


def assigned_by_products(eps, x, y):
    """The squares of the lengths are the same for every order: only products differ."""
    paired = eps.clone()
    for label in range(int(y.max()) + 1):
        mine = y == label
        _, columns = linear_sum_assignment((x[mine] @ eps[mine].T).cpu(), maximize=True)
        paired[mine] = eps[mine][columns]
    return paired


def assigned_at_once(eps, x, y):
    """One assignment of the whole batch, in which another class costs too much."""
    cost = torch.cdist(x, eps) ** 2
    cost = cost + (y[:, None] != y) * (len(y) * cost.max() + 1)
    return eps[torch.as_tensor(linear_sum_assignment(cost.cpu())[1], device=eps.device)]


def assigned_in_numpy(eps, x, y):
    noise, data, labels = (part.cpu().numpy() for part in (eps, x, y))
    places = np.arange(len(labels))
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        cost = np.square(data[rows][:, None] - noise[rows][None]).sum(2)
        places[rows] = rows[linear_sum_assignment(cost)[1]]
    return eps[torch.from_numpy(places).to(eps.device)]


def assigned_by_sorted_classes(eps, x, y):
    """Classes one after the other, and back to their places at the end."""
    order = y.argsort(stable=True)
    found = []
    for rows in order.split(y.unique(return_counts=True)[1].tolist()):
        cost = torch.cdist(x[rows], eps[rows], compute_mode="donot_use_mm_for_euclid_dist").pow(2)
        found.append(eps[rows][linear_sum_assignment(cost.cpu())[1]])
    return torch.cat(found)[order.argsort()]


def assigned_in_a_list(eps, x, y):
    """Row by row: where does this row's noise come from?"""
    taken = list(range(len(y)))
    members = {}
    for row, label in enumerate(y.tolist()):
        members.setdefault(label, []).append(row)
    for rows in members.values():
        cost = [[float((x[i] - eps[j]).square().sum()) for j in rows] for i in rows]
        for i, j in zip(*linear_sum_assignment(cost)):
            taken[rows[i]] = rows[j]
    return torch.stack([eps[row] for row in taken])


def gap_detached(ends, average, step, x, t, later):
    """No no_grad: the target is cut off when it is there."""
    return ends(x, t) - average(step(x, t, later), later).detach()


def gap_decorated(ends, average, step, x, t, later):
    @torch.no_grad()
    def target():
        place = step(x, t, later)
        return average(place, later)

    return torch.sub(ends(x, t), target())


def gap_half_by_half(ends, average, step, x, t, later):
    """The learner first; the step and the answer are cut off by themselves."""
    mine = ends(x, t)
    place = step(x.detach(), t.clone(), later.clone()).detach()
    with torch.set_grad_enabled(False):
        return_to = average(place, later)
    with torch.enable_grad():
        return -(return_to - mine)


def gap_by_add(ends, average, step, x, t, later):
    with torch.no_grad():
        target = average(step(x, t, later), later)
    return torch.add(ends(x, t), target, alpha=-1)


def gap_of_copied_numbers(ends, average, step, x, t, later):
    answer = average(step(x, t, later), later)
    return ends(x, t).sub(answer.data)


def _given_a_divergence(answer):
    """`answer`, which has a divergence of its own, as the exercise is called: with one."""

    def log_p(u, x, times, probe, divergence):
        return answer(u, x, times, probe)

    return log_p


OTHER = {
    "14b.divergence": [divergence_forwards, divergence_by_vjp, divergence_row_by_row, divergence_weighted],
    "14b.log_likelihood": [
        log_p_with_divergences_kept,
        log_p_in_one_system,
        log_p_by_trapezium,
        log_p_recursive,
        log_p_more_exactly,
    ],
    "14b.assigned_within": [
        assigned_by_columns,
        assigned_by_products,
        assigned_at_once,
        assigned_in_numpy,
        assigned_by_sorted_classes,
        assigned_in_a_list,
    ],
    "14b.consistency_gap": [
        gap_detached,
        gap_decorated,
        gap_half_by_half,
        gap_by_add,
        gap_of_copied_numbers,
    ],
}
OTHER["14b.log_likelihood"] = [_given_a_divergence(answer) for answer in OTHER["14b.log_likelihood"]]
