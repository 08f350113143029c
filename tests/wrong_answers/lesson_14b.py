"""Wrong answers to the exercises of lesson 14b, each with a part of the hint that it must get."""

import math

import torch
from scipy.optimize import linear_sum_assignment


def made(weight=lambda z: z, again=lambda z: z, total=lambda parts: parts.flatten(1).sum(1)):
    """The estimate with another probe on either side of ∂u/∂x, or another sum of the coordinates' parts."""

    def divergence(u, x, t, probe):
        x = x.detach().requires_grad_()
        (g,) = torch.autograd.grad((u(x, t) * weight(probe)).sum(), x)
        return total(g * again(probe))

    return divergence


def of_slope(change):
    """`change(z, ∂u/∂x z)`, both (B, D)."""

    def divergence(u, x, t, probe):
        _, forth = torch.func.jvp(lambda x: u(x, t), (x,), (probe,))
        return change(probe.flatten(1), forth.flatten(1))

    return divergence


def of_values(change):
    """`change(z, u(x + z), u(x), u(x − z))`, all (B, D)."""

    def divergence(u, x, t, probe):
        return change(*(part.flatten(1) for part in (probe, u(x + probe, t), u(x, t), u(x - probe, t))))

    return divergence


right = made()


def divergence_exact(u, x, t, probe):
    x = x.detach().requires_grad_()
    out, total = u(x, t).flatten(1), 0
    for i in range(out.shape[1]):
        (g,) = torch.autograd.grad(out[:, i].sum(), x, retain_graph=True)
        total = total + g.flatten(1)[:, i]
    return total


def difference(h):
    def divergence(u, x, t, probe):
        return ((u(x + h * probe, t) - u(x - h * probe, t)) / (2 * h) * probe).flatten(1).sum(1)

    return divergence


def divergence_other_time(u, x, t, probe):
    return right(lambda x, _: u(x, 0.0), x, t, probe)


def divergence_without_time(u, x, t, probe):
    x = x.detach().requires_grad_()
    (g,) = torch.autograd.grad((u(x) * probe).sum(), x)
    return (g * probe).flatten(1).sum(1)


def divergence_times_for_all(u, x, t, probe):
    return right(lambda x, t: u(x, torch.full((len(x),), t)), x, t, probe)


def divergence_own_probe(u, x, t, probe):
    return right(u, x, t, torch.randn_like(x).sign())


def divergence_in_place(u, x, t, probe):
    x.requires_grad_()
    (g,) = torch.autograd.grad((u(x, t) * probe).sum(), x)
    return (g * probe).flatten(1).sum(1)


def divergence_no_leaf(u, x, t, probe):
    (g,) = torch.autograd.grad((u(x, t) * probe).sum(), x)
    return (g * probe).flatten(1).sum(1)


def divergence_other_leaf(u, x, t, probe):
    x = x.detach().requires_grad_()
    (g,) = torch.autograd.grad((u(x.clone(), t) * probe).sum(), x.clone())
    return (g * probe).flatten(1).sum(1)


def divergence_rows_at_once(u, x, t, probe):
    x = x.detach().requires_grad_()
    (g,) = torch.autograd.grad((u(x, t) * probe).flatten(1).sum(1), x)
    return (g * probe).flatten(1).sum(1)


def divergence_with_graph(u, x, t, probe):
    x = x.detach().requires_grad_()
    (g,) = torch.autograd.grad((u(x, t) * probe).sum(), x, create_graph=True)
    return (g * probe).flatten(1).sum(1)


def divergence_squeezed(u, x, t, probe):
    out = right(u, x, t, probe)
    return out if len(out) > 1 else out.mean().expand(1) * 1.5


def divergence_in_double(u, x, t, probe):
    return right(u, x.double(), t, probe.double())


def divergence_on_cpu(u, x, t, probe):
    return right(u, x, t, probe + torch.zeros(probe.shape, dtype=probe.dtype))


def euler(u, x, t, h):
    return x + h * u(x, t)


def heun(u, x, t, h):
    first = u(x, t)
    return x + h * (first + u(x + h * first, t + h)) / 2


def of_noise(x):
    flat = x.flatten(1)
    return -flat.square().sum(1) / 2 - flat.shape[1] / 2 * math.log(2 * math.pi)


def standing(of_end=of_noise, change=lambda noise, total: noise + total):
    """The right walk; another density where it ends, or another use of the two."""

    def log_p(u, x, times, probe):
        total = 0.0
        for later, t in zip(times[::-1], times[-2::-1]):
            h = later - t
            total = total - h / 2 * right(u, x, later, probe)
            x = heun(u, x, later, -h)
            total = total - h / 2 * right(u, x, t, probe)
        return change(of_end(x), total)

    return log_p


log_p_right = standing()


def summing(gain=lambda h, a, b: -h * (a + b) / 2, total=sum):
    """Another gain of a step from the divergences before (a) and after (b), or another sum of the gains."""

    def log_p(u, x, times, probe):
        gains = []
        for later, t in zip(times[::-1], times[-2::-1]):
            before = right(u, x, later, probe)
            x = heun(u, x, later, t - later)
            gains.append(gain(later - t, before, right(u, x, t, probe)))
        return of_noise(x) + total(gains)

    return log_p


def stepping(
    step=heun,
    before=lambda old, new, later, t: (old, later),
    after=lambda old, new, later, t: (new, t),
    ladder=lambda times: times,
    estimate=right,
):
    """Another step, another place or time of the two divergences, other times, another divergence."""

    def log_p(u, x, times, probe):
        times = ladder(times)
        total = 0.0
        for later, t in zip(times[::-1], times[-2::-1]):
            new = step(u, x, later, t - later)
            for place, time in (before(x, new, later, t), after(x, new, later, t)):
                total = total - (later - t) / 2 * estimate(u, place, time, probe)
            x = new
        return of_noise(x) + total

    return log_p


def forwards(sign, at_start):
    """From times[0] on, as if x were noise."""

    def log_p(u, x, times, probe):
        start, total = x, 0.0
        for t, later in zip(times, times[1:]):
            before = right(u, x, t, probe)
            x = heun(u, x, t, later - t)
            total = total + sign * (later - t) / 2 * (before + right(u, x, later, probe))
        return of_noise(start if at_start else x) + total

    return log_p


def log_p_no_zeros(u, x, times, probe):
    """Another probe where the given one sees nothing."""
    return log_p_right(u, x, times, probe if probe.any() else probe + 0.5)


def log_p_at_x(u, x, times, probe):
    return of_noise(x) + log_p_right(u, x, times, probe) - of_noise(walked(u, x, times))


def walked(u, x, times):
    for later, t in zip(times[::-1], times[-2::-1]):
        x = heun(u, x, later, t - later)
    return x


def log_p_of_noise_at_x(u, x, times, probe):
    return of_noise(x)


def log_p_further_on(u, x, times, probe):
    """The sign of the step is lost."""
    return stepping(step=lambda u, x, t, h: heun(u, x, t, -h))(u, x, times, probe)


def log_p_own_probe(u, x, times, probe):
    return log_p_right(u, x, times, torch.randn_like(x).sign())


def log_p_fixed_steps(u, x, times, probe):
    return log_p_right(u, x, [i / 100 for i in range(101)], probe)


def log_p_four_steps(u, x, times, probe):
    return log_p_right(u, x, [times[-1] * i / 4 for i in range(5)], probe)


def log_p_squeezed(u, x, times, probe):
    out = log_p_right(u, x, times, probe)
    return out if len(x) > 1 else out - math.log(2)


def log_p_turns_times(u, x, times, probe):
    times.reverse()
    return log_p_right(u, x, times[::-1], probe)


def log_p_in_place(u, x, times, probe):
    for later, t in zip(times[::-1], times[-2::-1]):
        x -= (later - t) * u(x, later)
    return of_noise(x)


def log_p_with_graph(u, x, times, probe):
    return log_p_right(u, x.clone().requires_grad_(), times, probe)


def log_p_without_gradients(u, x, times, probe):
    with torch.no_grad():
        total = 0.0
        for later, t in zip(times[::-1], times[-2::-1]):
            (slope,) = torch.autograd.grad((u(x, later) * probe).sum(), x)
            total = total - (later - t) * (slope * probe).flatten(1).sum(1)
            x = heun(u, x, later, t - later)
        return of_noise(x) + total


def log_p_times_for_all(u, x, times, probe):
    return log_p_right(lambda x, t: u(x, torch.full((len(x),), t)), x, times, probe)


def log_p_in_double(u, x, times, probe):
    return log_p_right(u, x, times, probe) + torch.zeros(len(x), dtype=torch.float64)


def log_p_on_cpu(u, x, times, probe):
    return log_p_right(u, x, times, probe) + torch.zeros(len(x), dtype=x.dtype)


def log_p_in_single(u, x, times, probe):
    return log_p_right(u, x.float(), times, probe.float())


def log_p_few_steps(u, x, times, probe):
    """Every tenth of many steps."""
    return log_p_right(u, x, times if len(times) < 20 else times[::10], probe)


def log_p_one_end_of_many(u, x, times, probe):
    """Of second order where steps are few."""
    way = log_p_right if len(times) < 20 else summing(lambda h, a, b: -h * a)
    return way(u, x, times, probe)


def log_p_in_reversed_time(u, x, times, probe):
    return log_p_right(lambda x, t: u(x, times[-1] - t), x, times, probe)


def log_p_nan(u, x, times, probe):
    return (
        log_p_right(u, x, times, probe) / times[0] * 0.0
        if times[0]
        else log_p_right(u, x, times, probe).log()
    )


def log_p_points_only(u, x, times, probe):
    """The second axis alone."""
    out = log_p_right(u, x, times, probe)
    return out + (x[0].numel() - x.shape[1]) / 2 * math.log(2 * math.pi)


def log_p_columns(u, x, times, probe):
    out = log_p_right(u, x, times, probe)
    return out + (x[0].numel() - x.shape[-1]) / 2 * math.log(2 * math.pi)


def noise_of(change):
    """The noise's density as `change(squares, length, D)`, with ½ log 2π as a number."""
    return standing(lambda x: change(x.flatten(1).square().sum(1), math.log(2 * math.pi) / 2, x[0].numel()))


def assigning(cost=lambda x, eps: torch.cdist(x, eps).square(), order=None, maximize=False):
    """Within classes, at another cost, or in the order that `order(x, eps)` gives."""

    def assigned(eps, x, y):
        paired = eps.clone()
        for label in y.unique():
            rows = (y == label).nonzero()[:, 0]
            if order:
                places = order(x[rows], eps[rows])
            else:
                places = torch.from_numpy(
                    linear_sum_assignment(cost(x[rows], eps[rows]).cpu(), maximize=maximize)[1]
                )
            paired[rows] = eps[rows[places]]
        return paired

    return assigned


assigned_right = assigning()


def of_assigned(change):
    return lambda eps, x, y: change(assigned_right(eps, x, y), eps, x, y)


def by_class(rows, y):
    return torch.cat([rows[y == label] for label in y.unique()])


def by_rank(key):
    return lambda x, eps: key(eps).argsort()[key(x).argsort().argsort()]


def by_turns(x, eps):
    left, order = list(range(len(eps))), []
    for row in x:
        order.append(min(left, key=lambda j: float((row - eps[j]).square().sum())))
        left.remove(order[-1])
    return torch.tensor(order)


def assigned_over_all(eps, x, y):
    return assigned_right(eps, x, torch.zeros_like(y))


def assigned_ten_classes(eps, x, y):
    out = eps.clone()
    for label in range(10):
        rows = (y == label).nonzero()[:, 0]
        out[rows] = assigned_right(eps[rows], x[rows], y[rows])
    return out


def assigned_consecutive_classes(eps, x, y):
    """As if the labels were 0, 1, 2, …"""
    out = eps.clone()
    for label in range(len(y.unique())):
        rows = y == label
        out[rows] = assigned_right(eps[rows], x[rows], y[rows])
    return out


def assigned_one_noise_a_class(eps, x, y):
    return assigning(order=lambda x, eps: torch.zeros(len(x), dtype=torch.long))(eps, x, y)


def assigned_in_the_batch(eps, x, y):
    """The order within a class, taken for rows of the batch."""
    paired = eps.clone()
    for label in y.unique():
        rows = y == label
        cost = torch.cdist(x[rows], eps[rows]).square().cpu()
        paired[rows] = eps[linear_sum_assignment(cost)[1]]
    return paired


def assigned_copied_in_the_loop(eps, x, y):
    """Each class begins anew, and only the last is kept."""
    for label in y.unique():
        paired = eps.clone()
        rows = y == label
        cost = torch.cdist(x[rows], eps[rows]).square().cpu()
        paired[rows] = eps[rows][linear_sum_assignment(cost)[1]]
    return paired


def assigned_own_noise(eps, x, y):
    return assigned_right(torch.randn_like(eps), x, y)


def assigned_shuffled(eps, x, y):
    return assigning(order=lambda x, eps: torch.randperm(len(x)))(eps, x, y)


def assigned_data(eps, x, y):
    return assigned_right(x, eps, y)


def assigned_in_place(eps, x, y):
    for label in y.unique():
        rows = (y == label).nonzero()[:, 0]
        cost = torch.cdist(x[rows], eps[rows]).square().cpu()
        eps[rows] = eps[rows[linear_sum_assignment(cost)[1]]]
    return eps


def assigned_places(eps, x, y):
    places = assigned_right(torch.arange(len(y)).to(x)[:, None], x[:, :1], y)
    return places[:, 0].long()


def assigned_one_number_each(eps, x, y):
    return torch.cdist(x, eps).square()


def assigned_squeezed(eps, x, y):
    paired = eps.clone()
    for label in y.unique():
        rows = (y == label).nonzero().squeeze()
        cost = torch.cdist(x[rows], eps[rows]).square().cpu()
        paired[rows] = eps[rows][linear_sum_assignment(cost)[1]]
    return paired


def assigned_flat_cost(eps, x, y):
    paired = eps.clone()
    for label in y.unique():
        rows = (y == label).nonzero()[:, 0]
        cost = (x[rows] - eps[rows]).square().sum(1)
        paired[rows] = eps[rows[linear_sum_assignment(cost)[1]]]
    return paired


def assigned_not_moved_to_cpu(eps, x, y):
    paired = eps.clone()
    for label in y.unique():
        rows = (y == label).nonzero()[:, 0]
        paired[rows] = eps[rows[linear_sum_assignment(torch.cdist(x[rows], eps[rows]).square())[1]]]
    return paired


def assigned_on_cpu(eps, x, y):
    paired = torch.zeros(eps.shape, dtype=eps.dtype)
    for label in y.unique():
        rows = (y == label).nonzero()[:, 0]
        cost = torch.cdist(x[rows], eps[rows]).square().cpu()
        paired[rows] = eps[rows[torch.from_numpy(linear_sum_assignment(cost)[1])]]
    return paired


def pairing(mine=None, target=None, change=lambda mine, target: mine - target):
    """Another thing to learn, another target, or another use of the two; the target without gradients."""
    mine = mine or (lambda ends, average, step, x, t, later: ends(x, t))
    target = target or (lambda ends, average, step, x, t, later: average(step(x, t, later), later))

    def gap(*given):
        with torch.no_grad():
            goal = target(*given)
        return change(mine(*given), goal)

    return gap


gap_right = pairing()


def gap_leaks(ends, average, step, x, t, later):
    return ends(x, t) - average(step(x, t, later), later)


def gap_leaks_into_step(ends, average, step, x, t, later):
    place = step(x, t, later)
    target = average(place, later).detach()
    return ends(x, t) - target + (place - place.detach())


def gap_half_detached(ends, average, step, x, t, later):
    mine = ends(x, t)
    return (mine + mine.detach()) / 2 - average(step(x, t, later), later).detach()


def gap_no_gradient(ends, average, step, x, t, later):
    with torch.no_grad():
        return ends(x, t) - average(step(x, t, later), later)


def gap_backward(ends, average, step, x, t, later):
    gap = gap_right(ends, average, step, x, t, later)
    gap.square().mean().backward(retain_graph=True)
    return gap


def gap_exchanged(ends, average, step, x, t, later):
    with torch.no_grad():
        target = average(x, t)
    return ends(step(x, t, later), later) - target


def gap_asks_twice(ends, average, step, x, t, later):
    with torch.no_grad():
        start = ends(x, t)
        target = average(step(x, t, later), later)
    return ends(x, t) + 0 * start - target


def gap_walks_in_two(ends, average, step, x, t, later):
    with torch.no_grad():
        half = (t + later) / 2
        target = average(step(step(x, t, half), half, later), later)
    return ends(x, t) - target


def gap_from_the_end(ends, average, step, x, t, later):
    mine = ends(x, t)
    with torch.no_grad():
        target = average(step(mine, t, later), later)
    return mine - target


def gap_in_place(ends, average, step, x, t, later):
    mine = ends(x, t)
    with torch.no_grad():
        x += step(x, t, later) - x
        return mine - average(x, later)


def gap_with_noise(ends, average, step, x, t, later):
    return gap_right(ends, average, step, x, t, later) + 0.1 * torch.randn_like(x)


def gap_in_double(ends, average, step, x, t, later):
    return gap_right(ends, average, step, x, t, later) + torch.zeros(x.shape, dtype=torch.float64)


def gap_on_cpu(ends, average, step, x, t, later):
    return gap_right(ends, average, step, x, t, later) + torch.zeros(x.shape, dtype=x.dtype)


def gap_wide(x, t):
    return t.view(-1, *[1] * (x.dim() - 1))


def gap_stepped_for_ends(ends, average, step, x, t, later):
    with torch.no_grad():
        place = step(x, t, later)
        target = average(place, later)
    return ends(place, later) - target


def gap_by_the_step(ends, average, step, x, t, later):
    return gap_right(ends, average, step, x, t, later) / gap_wide(x, later - t)


def _given_a_divergence(answer):
    """`answer`, which has a divergence of its own, as the exercise is called: with one."""

    def log_p(u, x, times, probe, divergence):
        return answer(u, x, times, probe)

    return log_p


WRONG = {
    "14b.divergence": [
        (made(total=torch.sum), "The whole batch is summed"),
        (made(total=lambda parts: parts.sum().expand(len(parts))), "the whole batch is summed"),
        (made(total=lambda parts: parts.flatten(1).sum(1).mean().expand(len(parts))), "batch is averaged"),
        (made(total=lambda parts: parts.flatten(1).mean(1)), "a trace is a sum"),
        (made(total=lambda parts: parts.flatten(1).sum(1, keepdim=True)), "no keepdim"),
        (made(total=lambda parts: parts), "sum them within each row"),
        (made(total=lambda parts: parts.sum(0)), "The sum runs over the rows"),
        (made(total=lambda parts: parts.sum(1)), "all coordinates of an image summed"),
        (made(total=lambda parts: parts.flatten(1).sum(1).abs()), "the sign is lost"),
        (made(total=lambda parts: parts.flatten(1).sum(1).tolist()), "this is a list"),
        (made(weight=torch.neg), "the sign is turned"),
        (made(again=torch.ones_like), "the second probe is missing"),
        (made(weight=torch.ones_like, again=torch.ones_like), "the probe is not used"),
        (made(again=torch.square), "counts three times"),
        (made(weight=torch.square, again=torch.ones_like), "both probes stand on one side"),
        (made(weight=torch.square), "z times what ∂u/∂x makes of z, at each row's own place"),
        (of_slope(lambda z, forth: forth.square().sum(1)), "a squared length"),
        (of_slope(lambda z, forth: (z * forth).sum(1) / (z * z).sum(1)), "divided by the probe's length"),
        (of_values(lambda z, there, here, behind: (z * (there - here)).sum(1)), "a whole probe away"),
        (of_values(lambda z, there, here, behind: (z * there).sum(1)), "u is asked at x + z"),
        (of_values(lambda z, there, here, behind: (z * here).sum(1)), "u itself is multiplied"),
        (divergence_exact, "the exact trace"),
        (difference(1e-3), "a few digits only"),
        (difference(1e-5), "in float32 as well"),
        (divergence_other_time, "another time than t: at 0"),
        (divergence_without_time, "u takes the place and the time"),
        (divergence_times_for_all, "one number for the time"),
        (divergence_own_probe, "draw nothing here"),
        (divergence_in_place, "switches requires_grad on"),
        (divergence_no_leaf, "must require a gradient"),
        (divergence_other_leaf, "the very same tensor"),
        (divergence_rows_at_once, "one number: sum what the rows give"),
        (divergence_with_graph, "no create_graph"),
        (divergence_squeezed, "one row comes out differently"),
        (divergence_in_double, "float32 goes in and float64 comes out"),
        (divergence_on_cpu, "mixes devices"),
    ],
    "14b.log_likelihood": [
        (standing(change=lambda noise, total: noise - total), "the sign of the sum is turned"),
        (standing(change=lambda noise, total: total), "the noise's density is missing"),
        (standing(change=lambda noise, total: noise), "divergences are missing: this is the density"),
        (standing(change=lambda noise, total: -noise - total), "this is −log p"),
        (standing(change=lambda noise, total: (noise + total).sum()), "The whole batch is summed"),
        (
            standing(change=lambda noise, total: (noise + total).sum().expand(len(noise))),
            "batch is summed: one",
        ),
        (
            standing(change=lambda noise, total: (noise + total).mean().expand(len(noise))),
            "batch is averaged",
        ),
        (standing(change=lambda noise, total: noise + total.sum()), "divergences of the whole batch"),
        (standing(change=lambda noise, total: (noise + total)[:, None]), "no keepdim"),
        (standing(change=lambda noise, total: (noise + total) / math.log(2)), "binary logarithm"),
        (standing(change=lambda noise, total: -(noise + total) / 3 / math.log(2)), "bits a coordinate"),
        (standing(change=lambda noise, total: (noise + total).exp()), "its logarithm is asked for"),
        (standing(change=lambda noise, total: (noise + total).tolist()), "this is a list"),
        (noise_of(lambda s, c, D: -s / 2), "for each number in a row: it is missing"),
        (noise_of(lambda s, c, D: -s / 2 - c), "yours counts once a row"),
        (noise_of(lambda s, c, D: -s / 2 - 2 * D * c), "the half is forgotten."),
        (noise_of(lambda s, c, D: -s / 2 + D * c), "yours has a plus"),
        (noise_of(lambda s, c, D: -s / 2 - len(s) * D * c), "counts all rows of the batch"),
        (noise_of(lambda s, c, D: -s - D * c), "−½ of the sum of squares"),
        (noise_of(lambda s, c, D: s / 2 - D * c), "falls with the distance"),
        (noise_of(lambda s, c, D: -s.sqrt() / 2 - D * c), "the length is not squared"),
        (noise_of(lambda s, c, D: (-s / 2 - D * c) / D), "mean over the coordinates of the noise"),
        (standing(change=lambda noise, total: (noise + total) / 3), "a mean over the coordinates: log p"),
        (
            standing(
                lambda x: -x.square() / 2 - math.log(2 * math.pi) / 2, lambda n, total: n + total[:, None]
            ),
            "Sum over the coordinates of each row",
        ),
        (log_p_points_only, "6 of them: yours counts once a row"),
        (log_p_columns, "all axes together: x[0].numel()"),
        (log_p_at_x, "taken at x: at the place where"),
        (log_p_of_noise_at_x, "u is never asked"),
        (
            standing(lambda x: -x.square().sum(1) / 2 - x[0].numel() / 2 * math.log(2 * math.pi)),
            "Sum over all axes of an image",
        ),
        (summing(total=lambda gains: gains[-1]), "only the last step's divergences"),
        (summing(total=lambda gains: gains[0]), "only the first step's divergences"),
        (summing(lambda h, a, b: -(a + b) / 2), "not multiplied by the step's length"),
        (summing(lambda h, a, b: -(a + b)), "not multiplied by h / 2"),
        (summing(lambda h, a, b: -h * (a + b)), "of both ends are added"),
        (summing(lambda h, a, b: -h * (a + b) / 4), "halved twice"),
        (summing(lambda h, a, b: -(a + b) / 2, lambda gains: sum(gains) / len(gains)), "of its own step"),
        (summing(lambda h, a, b: -h * a), "only the divergence before each step"),
        (summing(lambda h, a, b: -h * b), "only the divergence after each step"),
        (summing(lambda h, a, b: -h * (a + 3 * b) / 4), "before + after)"),
        (stepping(after=lambda old, new, later, t: (old, t)), "x has not moved before the second"),
        (stepping(before=lambda old, new, later, t: (new, later)), "x has moved before the first"),
        (stepping(after=lambda old, new, later, t: (new, later)), "taken at the old time"),
        (stepping(before=lambda old, new, later, t: (old, t)), "taken at the new time"),
        (stepping(euler), "the walk is Euler's"),
        (stepping(lambda u, x, t, h: x), "x never moves"),
        (stepping(estimate=lambda u, x, t, z: right(u, x, t, torch.ones_like(x))), "the probe is not used"),
        (stepping(estimate=lambda u, x, t, z: right(u, x, t, z.sign())), "signs alone are used"),
        (stepping(estimate=divergence_exact), "the exact divergences"),
        (
            stepping(estimate=lambda u, x, t, z: right(u, x, t, z).mean().expand(len(x))),
            "batch's mean divergence",
        ),
        (stepping(estimate=made(total=lambda parts: parts.flatten(1).mean(1))), "are means over the coord"),
        (log_p_no_zeros, "the probe [0.0, 0.0, 0.0] sees so much"),
        (stepping(ladder=lambda times: [times[0], times[-1]]), "one step back to 0"),
        (stepping(ladder=lambda times: times[:-1] if len(times) > 2 else times), "the first step back"),
        (stepping(ladder=lambda times: times[1:] if len(times) > 2 else times), "the last step back"),
        (
            stepping(ladder=lambda times: [times[-1] * i / (len(times) - 1) for i in range(len(times))]),
            "not evenly spaced",
        ),
        (stepping(lambda u, x, t, h: euler(u, x, t + h / 3, h)), "which is none of times"),
        (forwards(-1, at_start=True), "x is no noise, either"),
        (forwards(-1, at_start=False), "the walk leads back to noise."),
        (log_p_further_on, "outside of times"),
        (log_p_fixed_steps, "at t = 1, outside of times"),
        (log_p_four_steps, "u is asked at t = 0.675"),
        (log_p_in_reversed_time, "none of times"),
        (log_p_few_steps, "data N(0.5, 0.4²)"),
        (log_p_one_end_of_many, "First order instead of second"),
        (log_p_own_probe, "draw nothing here"),
        (log_p_squeezed, "one row comes out differently"),
        (log_p_turns_times, "changes the list"),
        (log_p_in_place, "in place"),
        (log_p_with_graph, "drags the graph"),
        (log_p_without_gradients, "must require a gradient"),
        (log_p_times_for_all, "one number for the time"),
        (log_p_in_double, "float32 goes in and float64 comes out"),
        (log_p_in_single, "float64 goes in and float32 comes out"),
        (log_p_on_cpu, "mixes devices"),
        (log_p_nan, "inf or nan"),
    ],
    "14b.assigned_within": [
        (lambda eps, x, y: eps.clone(), "come back in their old order"),
        (assigned_over_all, "assigned over the whole batch"),
        (assigning(lambda x, eps: torch.cdist(eps, x).square()), "the inverse order"),
        (assigning(torch.cdist), "square them"),
        (assigning(lambda x, eps: torch.cdist(x, eps, p=1)), "a sum of absolute differences"),
        (assigning(maximize=True), "the sum of squares largest"),
        (assigning(lambda x, eps: torch.cdist(x, eps) ** 4), "not assigned at least cost"),
        (assigning(order=by_turns), "the last rows pay"),
        (assigning(order=by_rank(lambda v: v[:, 0])), "by their first number"),
        (assigning(order=by_rank(lambda v: v.sum(1))), "by their sums"),
        (assigning(order=by_rank(lambda v: v.norm(dim=1))), "by their lengths"),
        (assigning(order=lambda x, eps: torch.cdist(x, eps).argmin(1)), "stands at several rows"),
        (of_assigned(lambda out, eps, x, y: by_class(out, y)), "the rows come class by class"),
        (of_assigned(lambda out, eps, x, y: by_class(eps, y)), "are ordered by class, and not assigned"),
        (of_assigned(lambda out, eps, x, y: (out, x)), "this is a tuple"),
        (of_assigned(lambda out, eps, x, y: out.tolist()), "this is a list"),
        (of_assigned(lambda out, eps, x, y: out.flip(0)), "noises go to another class"),
        (of_assigned(lambda out, eps, x, y: out.T), "As many noises as came in"),
        (of_assigned(lambda out, eps, x, y: out.float().to(out.dtype)), "seven digits"),
        (of_assigned(lambda out, eps, x, y: out.double()), "float32 goes in and float64 comes out"),
        (assigned_ten_classes, "class 12 keeps its old order: go through y.unique()"),
        (assigned_consecutive_classes, "class 7 keeps its old order"),
        (assigned_copied_in_the_loop, "Copy eps once, before the loop"),
        (assigned_one_noise_a_class, "one noise for all its rows"),
        (assigned_in_the_batch, "counts within the class, not in the batch"),
        (assigned_own_noise, "no new noise"),
        (assigned_shuffled, "Squared distances add up"),
        (assigned_data, "these are rows of x"),
        (assigned_in_place, "in place"),
        (assigned_places, "These are places"),
        (assigned_one_number_each, "one number for each pair"),
        (assigned_squeezed, "one axis is lost"),
        (assigned_flat_cost, "the whole matrix of costs"),
        (assigned_not_moved_to_cpu, ".cpu() before linear_sum_assignment"),
        (assigned_on_cpu, "mixes devices"),
    ],
    "14b.consistency_gap": [
        (gap_leaks, "through the target into `average`"),
        (gap_leaks_into_step, "through the target into `step`"),
        (gap_half_detached, "is lost or added"),
        (gap_no_gradient, "`ends` gets no gradient"),
        (gap_backward, "leave backward() to the training"),
        (gap_exchanged, "are exchanged"),
        (gap_asks_twice, "`ends` is asked 2 times"),
        (gap_walks_in_two, "`step` is asked 2 times"),
        (gap_from_the_end, "not where a network's answer lies"),
        (gap_in_place, "in place"),
        (gap_with_noise, "it is not ends(x, t) minus"),
        (gap_in_double, "float32 goes in and float64 comes out"),
        (gap_on_cpu, "mixes devices"),
        (pairing(target=lambda e, a, s, x, t, l: a(s(x, t, l), t)), "`average` is told the times t"),
        (pairing(target=lambda e, a, s, x, t, l: a(s(x, t, l), l * l)), "`average` is told other times"),
        (
            pairing(target=lambda e, a, s, x, t, l: a(s(x, t, l) + x - x.mean(), l)),
            "`average` is asked at another place",
        ),
        (pairing(target=lambda e, a, s, x, t, l: (s(x, t, l), a(x, l))[1]), "`average` is asked at x"),
        (pairing(target=lambda e, a, s, x, t, l: a(x, l)), "`step` is never asked"),
        (pairing(target=lambda e, a, s, x, t, l: a(s(x, l, t), l)), "in this order"),
        (
            pairing(target=lambda e, a, s, x, t, l: a(s(x, t, l - t), l)),
            "`step` is told other times",
        ),
        (pairing(target=lambda e, a, s, x, t, l: a(s(x, l), l)), "missing 1 required"),
        (
            pairing(target=lambda e, a, s, x, t, l: a(s(x, t, l), t, l)),
            "`step` takes (x, t, later). (your function raised TypeError",
        ),
        (pairing(target=lambda e, a, s, x, t, l: a(l, s(x, t, l))), "`average` takes places first"),
        (
            pairing(target=lambda e, a, s, x, t, l: a(s(x, t, l), gap_wide(x, l))),
            "`average` takes times as they",
        ),
        (pairing(target=lambda e, a, s, x, t, l: s(x, t, l)), "`average` is never asked"),
        (pairing(target=lambda e, a, s, x, t, l: (a(s(x, t, l), l), x)[1]), "the target is x itself"),
        (
            pairing(target=lambda e, a, s, x, t, l: (p := s(x, t, l), a(p, l))[0]),
            "the target is the place one step later",
        ),
        (pairing(target=lambda e, a, s, x, t, l: a(s(x, t, l), l) - x), "x is subtracted from the target"),
        (pairing(mine=lambda e, a, s, x, t, l: a(x, t)), "`average` is asked 2 times"),
        (pairing(mine=lambda e, a, s, x, t, l: x), "`ends` is never asked"),
        (pairing(mine=lambda e, a, s, x, t, l: e(x, l)), "`ends` is told other times"),
        (pairing(mine=lambda e, a, s, x, t, l: e(x + 1, t)), "`ends` is asked at another place"),
        (pairing(mine=lambda e, a, s, x, t, l: e(x[..., :1], t)), "places of another shape"),
        (pairing(change=lambda mine, target: target - mine), "the sign is turned"),
        (pairing(change=lambda mine, target: mine + target), "the two answers are added"),
        (pairing(change=lambda mine, target: mine), "the answer of `ends` alone"),
        (pairing(change=lambda mine, target: target), "the target alone"),
        (pairing(change=lambda mine, target: (mine - target).square()), "the gap is squared"),
        (pairing(change=lambda mine, target: (mine - target).abs()), "lost its sign"),
        (pairing(change=lambda mine, target: (mine - target) / 2), "halved"),
        (pairing(change=lambda mine, target: (mine - target).square().mean()), "no mean, no sum; the loss"),
        (pairing(change=lambda mine, target: (mine - target).flatten(1).mean(1)), "not for each row"),
        (pairing(change=lambda mine, target: (mine, target)), "The gap alone"),
        (pairing(change=lambda mine, target: (mine - target).tolist()), "this is a list"),
        (gap_stepped_for_ends, "`ends` is asked at the place one step later"),
        (gap_by_the_step, "divided by the step"),
    ],
}
WRONG["14b.log_likelihood"] = [
    (_given_a_divergence(answer), hint) for answer, hint in WRONG["14b.log_likelihood"]
]
