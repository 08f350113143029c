"""Checks of lesson 14's exercises that train: velocities to learn, and pairs of noise and its draw."""

import torch

from course_utils.checks.machinery import (
    Wrong,
    call,
    exercise,
    expect,
    expect_any_device,
    expect_close,
    expect_like,
    expect_shape,
)
from course_utils.checks.mistakes import expect_double, expect_value, normal, pair_of


def swirl(x, t):
    """Velocities that depend on the place, on a neighbour in the row and on the time."""
    return (1 + t * t) * torch.sin(2 * x + x.flip(-1)) - t * x


def _called(fn, *args, known):
    """`call`, with a hint in front of an error that says one of `known`, pairs (part of it, hint)."""
    try:
        return call(fn, *args)
    except Wrong as wrong:
        for part, hint in known:
            if part in str(wrong):
                raise Wrong(f"{hint} ({wrong})") from wrong
        raise


def _axes(t, x):
    """Times (B,) with as many axes as x."""
    return t.reshape(-1, *[1] * (x.dim() - 1))


def _state_causes(x, eps, t):
    """What usual mistakes make of x_t: pairs (value, hint)."""
    time = _axes(t, x)
    rest, level = 1 - time, (1 - time**2).sqrt()
    causes = [
        (time * eps + rest * x, "time runs the wrong way: noise is at t = 0, data at t = 1."),
        (x, "the model sees the data themselves: it must see a state on the way, x_t."),
        (eps, "the model sees the noise itself: it must see a state on the way, x_t."),
        (time * x + eps, "the noise must fade as the data appear: at t = 1 none of it is left."),
        (x + rest * eps, "the data must appear as the noise fades: at t = 0 nothing of them is there."),
        (time * x - rest * eps, "the noise is subtracted on the way: x_t lies between x and eps."),
        (
            time * x + level * eps,
            "a circle, as in lesson 06: here the way is straight, its weights sum to 1.",
        ),
        (
            time.sqrt() * x + rest.sqrt() * eps,
            "roots, as in lesson 06: here the way is straight, without roots.",
        ),
        (eps - time * (x - eps), "this walks away from the data: from eps towards x."),
        (time * x, "the noise is missing on the way."),
        (rest * eps, "the data are missing on the way."),
        (
            t.mean() * x + (1 - t.mean()) * eps,
            "the mean of all times serves for all: each sample has its own.",
        ),
    ]
    for row in range(len(t)):
        one = t[row] * x + (1 - t[row]) * eps
        causes.append((one, f"each sample has a time of its own; yours all have that of sample {row}."))
    for axis, what in ((-1, "columns"), (-2, "rows")):
        wide = [1] * x.dim()
        wide[axis] = len(t)
        if x.dim() + axis > 0 and x.shape[axis] == len(t):
            across = t.view(wide)
            hint = f"the times (B,) meet the {what} of x, not its samples: give t as many axes as x has."
            causes.append((across * x + (1 - across) * eps, hint))
    return causes


def _flow_causes(answer, x, eps, xt):
    """What usual mistakes make of the loss: pairs (value, hint)."""
    gaps = answer - (x - eps)
    turned = (answer - (eps - x)).square().mean()
    return [
        (turned, "the target points from data to noise: the way to learn leads from noise to data."),
        ((answer - x).square().mean(), "the target is the data: a velocity is a difference of two ends."),
        ((answer - eps).square().mean(), "the target is the noise, as in lesson 06: here it is a velocity."),
        ((answer - xt).square().mean(), "the target is the state itself: a velocity is asked for."),
        (
            (answer - x + xt).square().mean(),
            "the target leads from x_t on: the velocity is that of the whole way.",
        ),
        ((answer - x - eps).square().mean(), "the target adds data and noise: where does the way lead from?"),
        ((answer - eps + xt).square().mean(), "the target leads from x_t to the noise."),
        (answer.square().mean(), "there is no target: what shall the model's answer be compared with?"),
        (gaps.square().sum(), "a sum over everything: the mean is asked for."),
        (
            gaps.square().flatten(1).sum(1).mean(),
            "within a sample you add, only then average: the mean over everything.",
        ),
        (gaps.square().mean().sqrt(), "a root is taken: the mean of squares as it is."),
        (gaps.square().mean() / 2, "halved: the mean of squares as it is."),
        (gaps.abs().mean(), "absolute values are averaged: squares."),
        (gaps.mean().square(), "first averaged, then squared: signs cancel. The other way round."),
        (gaps.mean(), "the differences are averaged without a square: signs cancel."),
        (-gaps.square().mean(), "the sign is turned: less is better."),
    ]


def _flow_case(fn, x, eps, t, weight):
    """One call of the loss; returns it."""
    axes = "t has one number for each sample, (B,): give it as many axes as x has."
    known = tuple(
        (part, axes) for part in ("must match the size", "not be broadcast", "invalid for input of size")
    )
    told = []

    def model(xt, time):
        turned = not isinstance(xt, torch.Tensor) or (xt is t and x.shape != t.shape)
        expect(not turned, "the model takes states first, then their times.")
        if xt.shape != x.shape:
            wide = f"x_t has the shape {tuple(xt.shape)}, where x has {tuple(x.shape)}: times (B,) meet other axes"
            raise Wrong(f"{wide} than samples. Give t as many axes as x has.")
        hint = f"the model takes the times as they came, one for each sample, ({len(t)},)."
        expect(isinstance(time, torch.Tensor) and time.shape == t.shape, hint)
        told.append((xt, time))
        return weight.to(xt) * (torch.tanh(xt) + 0.3 - _axes(time, xt))

    out, again = (_called(fn, model, x, eps, t, known=known) for _ in range(2))
    expect(told, "the model is never asked.")
    expect(len(told) == 2, f"the model is asked {len(told) // 2} times: once is enough, and costs less.")
    xt, time = told[0]
    hint = "two calls with the same x, eps and t differ: all three are given, so draw nothing here."
    expect(torch.equal(xt, told[1][0]) and torch.equal(time, told[1][1]), hint)
    hint = "the model must be told the times t as they are: those of its states."
    causes = [
        (1 - t, "the model is told 1 − t: noise is at t = 0, data at t = 1, and that is what it is told."),
        (t[:1].expand_as(t), "the model is told the first time for all: each sample has its own."),
        (1_000 * t, "the model is told times up to 1000: here they run from 0 to 1."),
    ]
    expect_value(time, t, hint, causes)
    right = _axes(t, x) * x + (1 - _axes(t, x)) * eps
    hint = "x_t lies on the straight line from eps (t = 0) to x (t = 1), each sample at its own t."
    expect_value(xt, right, hint, _state_causes(x, eps, t))
    hints = {
        (len(x),): "One number for each sample: the mean over all.",
        tuple(x.shape): "The mean is missing.",
    }
    shape = tuple(out.shape) if isinstance(out, torch.Tensor) else ()
    expect_shape(out, (), hints.get(shape, "One number, the mean over everything, with its gradient."))
    answer = model(right, t)
    wanted = (answer - (x - eps)).square().mean()
    hint = "compare the model's answer with the velocity of the way; squares, and their mean."
    expect_value(out, wanted, hint, _flow_causes(answer, x, eps, right))
    _flow_gradient(out, wanted, weight)
    expect_close(again, out, "a second call gives another loss: draw nothing here.")
    return out


def _flow_gradient(out, wanted, weight):
    hint = "the loss carries no gradient to the model: no detach, no no_grad, no new tensor from numbers."
    expect(out.requires_grad, hint)
    (grad,) = torch.autograd.grad(out, weight, allow_unused=True)
    expect(grad is not None, hint)
    expect_close(
        grad, torch.autograd.grad(wanted, weight)[0], "part of the gradient is lost: is something detached?"
    )
    expect(weight.grad is None, "leave backward() to the training: here it leaves a gradient in the model.")


@exercise(
    "14.flow_loss",
    verified="each sample at its own time, both ends; the mean square and its gradient; points and images",
)
def flow_loss(fn):
    weight = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    times = torch.tensor([0.3, 0.9, 0.05, 0.6, 0.75]).double()
    for shape in ((5, 2), (3, 3), (4, 1), (4, 1, 4, 5), (4, 1, 5, 4), (3, 1, 6, 2)):
        x, eps = normal(2, *shape, seed=21)
        out = _flow_case(fn, x + 0.5, eps, times[: shape[0]], weight)
    ends = torch.tensor([0.0, 1.0, 0.5]).double()
    out = _flow_case(fn, x, eps, ends, weight)
    expect(
        out.dtype == torch.float64,
        "float64 goes in and another dtype comes out: compute in that of the arguments.",
    )
    x, eps, ends = x.float(), eps.float(), ends.float()
    out = _flow_case(fn, x, eps, ends, weight)
    expect_like(out, x)
    expect_any_device(lambda *given: fn(lambda xt, t: 2 * xt, *given), x, eps, ends)


def _euler(u, x, times):
    for t, later in zip(times, times[1:]):
        x = x + (later - t) * u(x, t)
    return x


def _adams(u, x, times):
    """A solver that remembers the last slope: its steps are not Euler's."""
    before = None
    for t, later in zip(times, times[1:]):
        slope = u(x, t)
        x = x + (later - t) * (slope if before is None else 1.5 * slope - 0.5 * before)
        before = slope
    return x


def _near(a, b):
    """Whether two tensors have one shape and agree in four digits, whatever their dtypes."""
    return a.shape == b.shape and torch.allclose(a.double(), b.double(), atol=1e-5, rtol=1e-4)


def _found_again(rows, among):
    """Whether all rows are some of `among`, in any order."""
    gaps = torch.cdist(rows.flatten(1).double(), among.flatten(1).double())
    return bool((gaps.amin(1) < 1e-5).all())


def _end_causes(u, eps, times, solve, right):
    """What usual mistakes make of the draws: pairs (value, hint)."""
    first, last, n = times[0], times[-1], len(times) - 1
    even = [first + (last - first) * i / n for i in range(n + 1)]
    own = "walk with `solve`, as it is given: no method of your own."
    return [
        (eps, "both of the pair are the noise: nothing has walked."),
        (right - eps, "this is the way, draw less noise: the draw itself, for the pair has two ends."),
        (eps + right, "the noise is added to its own draw."),
        (u(eps, first), "these are velocities, those at the start: the pair holds the place at the end."),
        (u(right, last), "these are velocities, those at the end: the pair holds the place."),
        (solve(u, eps, times[::-1]), "times run backwards: from noise, times[0], to data, times[-1]."),
        (solve(u, eps, [first, last]), "one step from the first time to the last: all of times."),
        (solve(u, eps, times[:-1]), "the last step is missing."),
        (solve(u, eps, times[1:]), "the first step is missing."),
        (solve(u, eps, even), "steps of equal length: times are not evenly spaced."),
        (solve(lambda x, t: -u(x, t), eps, times), "against the velocities: along them."),
        (right.clamp(-1, 1), "the draws are clamped: pairs hold them as they come."),
        (_euler(u, eps, times), own),
        (_adams(u, eps, times), own),
    ]


ASIDE = (
    "the noise in the pair is not the noise that made the draw. Such pairs are random, as those of a first "
    "training are: nothing gets straighter, and no error says so."
)


def _pair(fn, u, eps, times, kind):
    """One call: its pair (noise, draws), after the noise has been looked at."""
    walks, start = [], eps.clone()

    def solve(u, x, times):
        walks.append((x.detach().clone(), [float(t) for t in times]))
        return kind(u, x, times)

    def watched(u, eps, times, solve):
        out = fn(u, eps, times, solve)
        changed = (
            "the walk changes eps itself (x += …), so that the pair holds its end twice: a new tensor a step."
        )
        expect(torch.equal(eps, start), changed)
        return out

    out = call(watched, u, eps, times, solve)
    noise, end = pair_of(out, "return two things: the noise, and the draw that it made.")
    for part in (noise, end):
        expect_shape(part, tuple(eps.shape), "Noise and draws, each as many as eps.")
    with torch.no_grad():
        right = kind(u, eps, times)
        _noise_is_its_own(noise, end, eps, right, walks)
        if not _near(end, right):
            _walk_is_right(walks, eps, times)
            shuffled = "the draws stand in another order than their noises: each beside its own."
            expect(not _found_again(end, right), shuffled)
        hint = "the second of the pair is not where `solve` leads from eps along u, through all of times."
        expect_value(end, right, hint, _end_causes(u, eps, times, kind, right))
    return noise, end


def _walk_is_right(walks, eps, times):
    """Raise Wrong with a hint if the calls of `solve`, pairs (start, times), explain a wrong draw."""
    if not walks:
        return
    seen, walked = walks[0]
    hint = "the draw comes from other noise than the pair holds: walk from eps."
    expect(_near(seen, eps), hint)
    hint = (
        f"`solve` is called {len(walks)} times: once, with all of times, for it may remember its last slope."
    )
    expect(len(walks) == 1, hint)
    expect(walked != times[::-1], "times run backwards: from noise, times[0], to data, times[-1].")


def _noise_is_its_own(noise, end, eps, right, walks):
    """Raise Wrong unless the first of the pair is eps."""
    if _near(noise, eps):
        return
    expect(not (_near(noise, right) and _near(end, eps)), "the order is turned: noise first, then its draw.")
    expect(not _near(noise, right), "both of the pair are draws: the first is the noise.")
    shuffled = "the noises stand in another order than their draws: each beside its own."
    expect(not (_found_again(noise, eps) and _near(end, right)), shuffled)
    own = bool(walks) and _near(noise, walks[0][0])
    expect(not own, "the pair belongs together, but its noise is not eps: it is given, so draw nothing here.")
    raise Wrong(ASIDE)


@exercise(
    "14.reflow_pairs",
    verified="the noise beside the draw that it made, any solver and uneven times, points and images; no graph",
)
def reflow_pairs(fn):
    weight = torch.tensor(0.8, dtype=torch.float64, requires_grad=True)

    def u(x, t):
        return weight.to(x) * swirl(x, t)

    eps, times = normal(6, 2, seed=41), [0.0, 0.15, 0.4, 0.9, 1.0]
    for kind in (_euler, _adams):
        noise, end = _pair(fn, u, eps, times, kind)
        graph = "the pairs drag the graph of the whole walk along, and are data for a training: no gradients here."
        expect(not (end.requires_grad or noise.requires_grad), graph)
        hint = "tensors made in inference_mode cannot be trained on later: torch.no_grad."
        expect(not (end.is_inference() or noise.is_inference()), hint)
        expect_double(end, kind(u, eps, times))
    images = normal(3, 1, 4, 5, seed=42).float()
    for part in _pair(fn, u, images, times, _euler):
        expect_like(part, images)
    expect_any_device(lambda eps: fn(u, eps, times, _euler), images)
