"""Checks of lesson 14b: the divergence of a velocity, estimated with a probe, and log p along a walk.

The two exercises about pairs, of noise and data and of two answers, are in `lesson_14b_pairs.py`.
"""

import math
from itertools import pairwise

import torch

from course_utils.checks.lesson_14b_pairs import called  # which registers its two exercises
from course_utils.checks.machinery import (
    Wrong,
    exercise,
    expect,
    expect_any_device,
    expect_close,
    expect_like,
    expect_shape,
)
from course_utils.checks.mistakes import expect_value, explained, is_number, normal

STUMBLES = (
    (
        "does not require grad",
        "x must require a gradient before u sees it: a fresh leaf, and no torch.no_grad.",
    ),
    (
        "created only for scalar",
        "autograd differentiates one number: sum what the rows give, they do not mix.",
    ),
    ("not have been used", "the slope is taken at the x that u saw: the very same tensor."),
    ("missing 1 required positional", "u takes the place and the time, u(x, t)."),
)


def _at(u, time):
    """u(x, t), which looks whether it is asked at `time`."""

    def asked(x, t):
        expect(is_number(t), "u takes places first, then one number for the time, the same for all rows.")
        expect(
            abs(float(t) - time) < 1e-6, f"u is asked at another time than t: at {float(t):g}, not {time:g}."
        )
        return u(x, t)

    return asked


def _jacobian(u, x, t):
    """∂u/∂x of each row by itself, (B, D, D)."""
    rows = []
    for row in x:

        def alone(flat, row=row):
            return u(flat.view_as(row)[None], t).flatten()

        rows.append(torch.autograd.functional.jacobian(alone, row.flatten()))
    return torch.stack(rows)


def _causes(u, x, t, probe):
    """What usual mistakes come to: pairs (value, hint)."""
    J, z = _jacobian(u, x, t), probe.flatten(1)
    forth = torch.einsum("bij,bj->bi", J, z)
    back = torch.einsum("bji,bj->bi", J, z)
    right, D = (z * forth).sum(1), z.shape[1]
    here, there, behind = (u(x + k * probe, t).flatten(1) for k in (0, 1, -1))
    second = "the second probe is missing: only z from both sides makes an estimate of the trace."
    jump = "u is compared with its value a whole probe away: the slope at x itself is asked for (autograd)."
    lost = "the probe is not used: without it the sum of all entries of ∂u/∂x comes out, not the trace."
    return [
        (right.sum().expand(len(x)), "the whole batch is summed: one number for each row."),
        (right.mean().expand(len(x)), "the whole batch is averaged: one number for each row."),
        (right / D, "the mean over the coordinates: a trace is a sum."),
        (right / z.square().sum(1), "divided by the probe's length: leave the probe as it is."),
        (-right, "the sign is turned."),
        (back.sum(1), second),
        (forth.sum(1), second),
        (J.sum((1, 2)), lost),
        (J.sum((1, 2)) / D, lost),
        (
            J.diagonal(dim1=1, dim2=2).sum(1),
            "this is the exact trace, D times as costly: here with one probe.",
        ),
        ((z.square() * back).sum(1), "the probe counts three times: twice, once on either side."),
        (torch.einsum("bji,bj->b", J, z**2), "both probes stand on one side of ∂u/∂x: one on either side."),
        (torch.einsum("bij,bj->b", J, z**2), "both probes stand on one side of ∂u/∂x: one on either side."),
        (forth.square().sum(1), "this is a squared length: z times what ∂u/∂x makes of z."),
        (back.square().sum(1), "this is a squared length: z times what ∂u/∂x makes of z."),
        (right.abs(), "the sign is lost: a flow may also squeeze."),
        ((z * here).sum(1), "u itself is multiplied by the probe: its slope is asked for."),
        (
            (z * there).sum(1),
            "u is asked at x + z: the probe says a direction, and the slope at x is asked for.",
        ),
        ((z * (there - here)).sum(1), jump),
        ((z * (there - behind)).sum(1) / 2, jump),
    ]


def _linear(A):
    def u(x, t):
        return x @ A.T.to(x)

    return u


def _shifted(x):
    """Points or images with each row's coordinates moved by one."""
    return torch.roll(x, 1, -1) if x.dim() < 3 else torch.roll(x, (1, 1), (-1, -2))


def _bent(x, t):
    """Velocities (B, …) that bend, depend on the time and mix the coordinates of a row."""
    return (1 + t * t) * torch.sin(1.3 * x + 0.6 * _shifted(x)) + x * _shifted(x)


def _case(fn, u, x, t, probe):
    """One call, its shape and that it carries no graph; returns what comes out."""
    out = called(fn, _at(u, t), x, t, probe, known=STUMBLES)
    B = len(x)
    hints = {
        (): "The whole batch is summed: one number for each row.",
        (B, 1): "One axis: no keepdim.",
        tuple(x.shape): "These are the coordinates' parts: sum them within each row.",
        tuple(x.shape[1:]): "The sum runs over the rows: within each row, over its coordinates.",
    }
    shape = tuple(out.shape) if isinstance(out, torch.Tensor) else None
    expect_shape(out, (B,), hints.get(shape, "One number for each row, all coordinates of an image summed."))
    graph = "the result drags a graph along, and over a walk of many steps memory fills: no create_graph."
    expect(not out.requires_grad, graph)
    return out


@exercise(
    "14b.divergence",
    verified="exact for straight fields, bent ones, any t; a trace with signs; points and images, both precisions",
)
def divergence(fn):
    A, x, probe = normal(3, 3, seed=51), normal(5, 3, seed=52), normal(5, 3, seed=53)
    bent = "a field that bends: z times what ∂u/∂x makes of z, at each row's own place."
    straight = "a field u = A x: for each row zᵀAz, with its own probe z."
    for u, t, hint in ((_bent, 0.4, bent), (_linear(A), 0.7, straight), (_bent, 0.0, bent)):
        out = _case(fn, u, x, t, probe)
        again = "a second call gives another value: the probe is given, so draw nothing here."
        expect_close(_case(fn, u, x, t, probe), out, again)
        right = torch.einsum("bi,bij,bj->b", probe, _jacobian(u, x, t), probe)
        expect_value(out, right, hint, _causes(u, x, t, probe))
        digits = (
            "right to a few digits only: a difference of two values of u? autograd is exact, in x's dtype."
        )
        expect_close(out, right, digits, atol=1e-9, rtol=1e-9)
    signs = probe.sign()
    with explained("Probes of signs, ±1, and a field that stretches each coordinate by itself."):
        out = _case(fn, _linear(torch.diag(torch.tensor([0.5, -2.0, 4.0]))), x, 0.3, signs)
        expect_close(out, torch.full((5,), 2.5), "every probe must give the trace itself.")
    one = _case(fn, _bent, x[:1], 0.4, probe[:1])
    expect_close(one, _case(fn, _bent, x, 0.4, probe)[:1], "one row comes out differently alone: no squeeze.")
    images, probes = normal(2, 4, 1, 3, 2, seed=54)
    right = torch.einsum("bi,bij,bj->b", probes.flatten(1), _jacobian(_bent, images, 0.4), probes.flatten(1))
    images, probes = images.float(), probes.float()
    out = _case(fn, _bent, images, 0.4, probes)
    expect_like(out, images)
    digits = (
        "images: all coordinates of a row count, and in float32 as well (no difference of two values of u)."
    )
    expect_close(out, right, digits, atol=1e-4)
    expect_any_device(fn, _bent, images, 0.4, probes)


def _estimate(u, x, t, probe):
    """The divergence as the exercise before has it, (B,)."""
    x = x.detach().requires_grad_()
    (slope,) = torch.autograd.grad((u(x, t) * probe).sum(), x)
    return (slope * probe).flatten(1).sum(1)


def _heun(u, x, t, h):
    first = u(x, t)
    return x + h / 2 * (first + u(x + h * first, t + h))


def _stream(x, t):
    """Velocities as of `_bent`, but bounded: a walk goes nowhere far."""
    shift = _shifted(x)
    return (0.5 + 2 * t * t) * torch.sin(1.3 * x + 0.6 * shift + 2 * t) + 0.4 * t * torch.cos(x - shift)


def _noise(x):
    """log N(0, I) at x, (B,)."""
    flat = x.flatten(1)
    return -flat.square().sum(1) / 2 - flat.shape[1] / 2 * math.log(2 * math.pi)


class _Walk:
    """A walk from x through `times`, forwards or back, and the divergences on its way."""

    def __init__(self, u, x, times, probe, step=_heun):
        self.u, self.times, self.probe, self.places = u, times, probe, [x]
        for t, other in pairwise(times):
            self.places.append(step(u, self.places[-1], t, other - t))
        ways = [other - t for t, other in pairwise(times)]
        self.ways = torch.tensor(ways, dtype=x.dtype)[:, None]
        self.starts, self.ends = self.at(0, 0), self.at(1, 1)

    def at(self, place, time):
        """Of each step the divergence at its start (0) or end (1): at that place, at that time; (steps, B)."""
        n = len(self.times) - 1
        pairs = zip(self.places[place : place + n], self.times[time : time + n])
        return torch.stack([_estimate(self.u, x, t, self.probe) for x, t in pairs])

    def total(self, starts=None, ends=None):
        """The sum of each step's way, which is negative where it goes back, times a mean of two: (B,)."""
        starts = self.starts if starts is None else starts
        ends = self.ends if ends is None else ends
        return (self.ways * (starts + ends) / 2).sum(0)


def _by_scheme(u, x, times, probe, step=_heun):
    walk = _Walk(u, x, times[::-1], probe, step)
    return _noise(walk.places[-1]) + walk.total()


def _causes_in_the_density(end, x, total):
    """What mistakes about the noise's density, and about sums, come to: pairs (value, hint)."""
    B, D = len(x), x[0].numel()
    half, square = math.log(2 * math.pi) / 2, end.flatten(1).square().sum(1)
    right = _noise(end) + total
    constant = "the constant of the normal is −½ log 2π for each number in a row"
    causes = [
        (total, "the noise's density is missing: log p of N(0, I) where the walk ends."),
        (_noise(end), "the divergences are missing: this is the density of the noise alone."),
        (_noise(x) + total, "the noise's density is taken at x: at the place where the walk ends."),
        (right + D * half, f"{constant}: it is missing."),
        (right + (D - 1) * half, f"{constant}, {D} of them: yours counts once a row."),
        (right - D * half, f"{constant}: the half is forgotten."),
        (right + 2 * D * half, f"{constant}: yours has a plus."),
        (right + (D - B * D) * half, f"{constant}: yours counts all rows of the batch."),
        (right - square / 2, "the half is forgotten: −½ of the sum of squares."),
        (right + square, "a normal's density falls with the distance: −½ of the sum of squares."),
        (right + square / 2 - square.sqrt() / 2, "the length is not squared: −½ of the sum of squares."),
        (-right, "this is −log p: log p is asked for."),
        (right / D, "a mean over the coordinates: log p adds them."),
        (_noise(end) / D + total, "a mean over the coordinates of the noise: log p adds them."),
        (-right / D / math.log(2), "these are bits a coordinate: return log p itself."),
        (right / math.log(2), "this is a binary logarithm: take the natural one."),
        (right.sum().expand(B), "the whole batch is summed: one number for each row."),
        (right.mean().expand(B), "the whole batch is averaged: one number for each row."),
        (_noise(end) + total.sum(), "the divergences of the whole batch are summed: each row has its own."),
        (_noise(end) + total.mean(), "the batch's mean divergence serves for all: each row has its own."),
        (_noise(end) + total / D, "the divergences are means over the coordinates: a trace is a sum."),
        (right.exp(), "this is p: its logarithm is asked for."),
    ]
    for axis in range(1, x.dim()):
        if x.shape[axis] not in (1, D):
            hint = f"{constant}, all axes together: x[0].numel(), here {D}."
            causes.append((right + (D - x.shape[axis]) * half, hint))
    return causes


def _causes_on_the_way(u, x, times, probe):
    """What mistakes in the walk and in the sum of divergences come to: pairs (value, hint)."""
    walk, forth = _Walk(u, x, times[::-1], probe), _Walk(u, x, times, probe)
    noise, ways, starts, ends = _noise(walk.places[-1]), walk.ways, walk.starts, walk.ends
    n = len(times) - 1
    even = [times[0] + (times[-1] - times[0]) * i / n for i in range(n + 1)]
    both = "the mean of both ends, before and after the step"
    first, last = (ways * (starts + ends) / 2)[[0, -1]]
    axes = torch.eye(x[0].numel()).to(x).view(-1, 1, *x.shape[1:])
    exact = sum(_Walk(u, x, times[::-1], axis.expand_as(x)).total() for axis in axes)
    onwards = "this walks from times[0] on: x stands at times[-1], and the walk leads back to noise."
    causes = [
        (
            noise - walk.total(),
            "the sign of the sum is turned: where a flow spreads, density falls, so subtract.",
        ),
        (noise + last, "only the last step's divergences are kept: add up those of all steps."),
        (noise + first, "only the first step's divergences are kept: add up those of all steps."),
        (noise + 2 * walk.total(), "the divergences of both ends are added: take their mean."),
        (noise + walk.total() / 2, "the divergences are halved twice: h / 2 times both."),
        (noise - (starts + ends).sum(0) / 2, "the divergences are not multiplied by the step's length h."),
        (noise - (starts + ends).sum(0), "the divergences are not multiplied by h / 2."),
        (
            noise - (starts + ends).mean(0) / 2,
            "the divergences' mean: each times the length of its own step.",
        ),
        (noise + walk.total(ends=starts), f"only the divergence before each step is taken: {both}."),
        (noise + walk.total(starts=ends), f"only the divergence after each step is taken: {both}."),
        (noise + walk.total(ends=walk.at(0, 1)), f"x has not moved before the second divergence: {both}."),
        (noise + walk.total(starts=walk.at(1, 0)), f"x has moved before the first divergence: {both}."),
        (
            noise + walk.total(ends=walk.at(1, 0)),
            "the second divergence is taken at the old time: the step ends at t.",
        ),
        (
            noise + walk.total(starts=walk.at(0, 1)),
            "the first divergence is taken at the new time: the step begins at later.",
        ),
        (_noise(forth.places[-1]) - forth.total(), onwards),
        (_noise(forth.places[-1]) + forth.total(), onwards),
        (_noise(x) - forth.total(), f"{onwards} x is no noise, either."),
        (_by_scheme(u, x, times, torch.ones_like(x)), "the probe is not used: each divergence needs it."),
        (_by_scheme(u, x, times, probe.sign()), "the probe's signs alone are used: the probe as it is."),
        (noise + exact, "this takes the exact divergences, D times as costly: here with one probe."),
        (
            _by_scheme(u, x, times, probe, lambda u, x, t, h: x + h * u(x, t)),
            "the walk is Euler's: take Heun's step, of second order.",
        ),
        (_by_scheme(u, x, even, probe), "the steps are of equal length: times are not evenly spaced."),
        (_by_scheme(u, x, times, probe, lambda u, x, t, h: x), "x never moves: walk back by Heun's step."),
    ]
    if n > 1:
        causes += [
            (_by_scheme(u, x, [times[0], times[-1]], probe), "one step back to 0: through all of times."),
            (_by_scheme(u, x, times[:-1], probe), "the first step back, from times[-1], is missing."),
            (_by_scheme(u, x, times[1:], probe), "the last step back, to times[0] = 0, is missing."),
        ]
    return causes + _causes_in_the_density(walk.places[-1], x, walk.total())


class _Asked:
    """u(x, t), which looks how it is asked and notes the times."""

    def __init__(self, u, times):
        self.u, self.among, self.times = u, times, []

    def __call__(self, x, t):
        hint = "u takes places first, then one number for the time, the same for all rows."
        expect(isinstance(x, torch.Tensor) and x.dim() > 0 and is_number(t), hint)
        first, last = min(self.among), max(self.among)
        outside = (
            f"u is asked at t = {float(t):.3g}, outside of times, which run from 0 to {last:g} here: walk from "
            "times[-1] back to times[0], each step by −h."
        )
        expect(first - 1e-6 < float(t) < last + 1e-6, outside)
        self.times.append(float(t))
        return self.u(x, t)

    def strange(self):
        """The first time asked for that is none of times; None if there is none."""
        return next((t for t in self.times if min(abs(t - s) for s in self.among) > 1e-6), None)


def _log_p(fn, u, x, times, probe):
    """One call, its shape and that it carries no graph; returns u as it was asked, and what comes out."""
    asked, B = _Asked(u, times), len(x)
    axes = "Sum over all axes of an image, not only the second: .flatten(1).sum(1)."
    out = called(fn, asked, x, times, probe, known=(*STUMBLES, ("must match the size", axes)))
    hints = {
        (): "The whole batch is summed: one number for each row.",
        (B, 1): "One axis: no keepdim.",
        tuple(x.shape): "Sum over the coordinates of each row, of the noise's density, too.",
        (B, *x.shape[2:]): axes,
    }
    shape = tuple(out.shape) if isinstance(out, torch.Tensor) else None
    expect_shape(out, (B,), hints.get(shape, "One number for each row."))
    expect(asked.times, "u is never asked.")
    expect(
        not out.requires_grad, "the result drags the graph of the whole walk along: no create_graph, detach."
    )
    expect(out.isfinite().all(), "it gives inf or nan.")
    expect_like(out, x, "start the sum at 0.0, or with torch.zeros(len(x)).to(x).")
    return asked, out


def _split(times, n):
    """times with each step in n equal ones."""
    return [a + (b - a) * i / n for a, b in pairwise(times) for i in range(n)] + times[-1:]


def _is_as_near(fn, u, x, times, probe):
    """Whether log p comes as near to its limit as by Heun's walk, in steps as they are and in smaller ones."""
    limit = _by_scheme(u, x, _split(times, 40), probe)
    for ladder in (times, _split(times, 8)):
        off = (_log_p(fn, u, x, ladder, probe)[1] - limit).abs().max()
        if off > 2.5 * (_by_scheme(u, x, ladder, probe) - limit).abs().max() + 1e-5:
            return False
    return True


def _expect_scheme(fn, u, x, times, probe, hint, atol=1e-6):
    """Raise Wrong unless log p is that of the walk, or of another one of second order; returns it."""
    asked, out = _log_p(fn, u, x, times, probe)
    again = "a second call gives another value: the probe is given, so draw nothing here."
    expect_close(_log_p(fn, u, x, times, probe)[1], out, again)
    right = _by_scheme(u, x, times, probe)
    try:
        expect_value(out, right, hint, _causes_on_the_way(u, x, times, probe), atol=atol, rtol=atol)
    except Wrong as wrong:
        if str(wrong) != hint:
            raise
        if not _is_as_near(fn, u, x, times, probe):
            strange = asked.strange()
            none = f"u is asked at t = {strange or 0:.3g}, which is none of times; "
            raise Wrong(hint if strange is None else none + hint) from None
    return out


def _normal_u(m, w):
    """The velocity whose flow carries N(0, 1) to N(m, w²), of each number by itself."""

    def u(x, t):
        variance = (t * w) ** 2 + (1 - t) ** 2
        return m + (t * w**2 - (1 - t)) * (x - t * m) / variance

    return u


@exercise(
    "14b.log_likelihood",
    verified="Heun's walk, both divergences, uneven times; log p of N(m, w²) by many steps; points and images",
)
def log_likelihood(given):
    def fn(u, x, times, probe):
        return given(u, x, times, probe, _estimate)

    x, probe = normal(2, 5, 3, seed=61)
    ladders = ([0.0, 0.05, 0.15, 0.4, 0.55, 0.75, 0.9], [0.0, 0.1, 0.35, 0.6], [0.0, 0.45])
    for times in ladders:
        hint = f"wrong with times {times}: each step back subtracts h / 2 · (divergence before + after)."
        out = _expect_scheme(fn, _stream, x, times, probe, hint)
    for part in (*torch.eye(3), torch.zeros(3)):
        hint = f"the probe {part.tolist()} sees so much of the divergence, and no more: use it as it is."
        _expect_scheme(fn, _stream, x, ladders[1], part.to(x).repeat(5, 1), hint)
    one = _log_p(fn, _stream, x[:1], times, probe[:1])[1]
    expect_close(one, out[:1], "one row comes out differently alone: no squeeze.")
    _expect_normal(fn)
    images, probes = normal(2, 4, 1, 3, 2, seed=64)
    hint = "wrong for images: all coordinates of a row count, along every axis."
    _expect_scheme(fn, _stream, images, ladders[1], probes, hint)
    images, probes = images.float(), probes.float()
    _expect_scheme(fn, _stream, images, ladders[1], probes, f"{hint} In float32.", atol=1e-4)
    expect_any_device(fn, _stream, images, ladders[1], probes)


def _expect_normal(fn):
    """Many steps must lead to the exact log p, where there is one."""
    signs, n = normal(5, 3, seed=66).sign(), 100
    for m, w, power in ((0.5, 0.4, 1.0), (-0.3, 1.5, 1.5)):
        x = m + w * normal(5, 3, seed=65)
        times = [1 - (1 - i / n) ** power for i in range(n + 1)]
        exact = _noise((x - m) / w) - 3 * math.log(w)
        out = _log_p(fn, _normal_u(m, w), x, times, signs)[1]
        off = float((out - exact).abs().max())
        hint = (
            f"the flow of data N({m}, {w}²): in {n} steps log p comes to that of this normal, to 0.002; yours is "
            f"off by {off:.2g}. First order instead of second?"
        )
        expect_close(out, exact, hint, atol=2e-3, rtol=0)
