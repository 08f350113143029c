"""Checks of lesson 14: DDIM as a step of Euler's, a better step, the score that a velocity hides.

The two exercises that train, on velocities and on pairs, are in `lesson_14_flow.py`.
"""

import math

import torch

from course_utils.checks.lesson_14_flow import swirl  # which registers its two exercises
from course_utils.checks.machinery import (
    call,
    exercise,
    expect,
    expect_any_device,
    expect_close,
    expect_like,
    expect_shape,
)
from course_utils.checks.mistakes import expect_double, expect_value, is_number, normal


def _levels(*values):
    """Signal levels ᾱ, tensors (), float64."""
    return [torch.tensor(value, dtype=torch.float64) for value in values]


def _by_guess(y, eps, a_k, a_s):
    """DDIM as lesson 06 has it: the guess at the data, noised anew."""
    guess = (y - (1 - a_k).sqrt() * eps) / a_k.sqrt()
    return a_s.sqrt() * guess + (1 - a_s).sqrt() * eps


def _ddim_causes(y, eps, a_k, a_s):
    """What usual mistakes come to: pairs (value, hint)."""
    alpha_k, alpha_s = a_k.sqrt(), a_s.sqrt()
    sigma_k, sigma_s = (1 - a_k).sqrt(), (1 - a_s).sqrt()
    old, step = y / alpha_k, sigma_s / alpha_s - sigma_k / alpha_k
    new, guess = old + step * eps, old - sigma_k / alpha_k * eps

    def with_clock(change):
        return alpha_s * (old + change * eps)

    def with_levels(sigma):
        return a_s * (y / a_k + (sigma(a_s) / a_s - sigma(a_k) / a_k) * eps)

    clock = "the clock of (1) is σ/α, noise in units of the signal"
    root = "ᾱ stands where α belongs: a_k and a_s are ᾱ, and α is its root"
    return [
        (with_clock(sigma_s - sigma_k), f"the step is measured in σ: {clock}."),
        (with_clock(alpha_s / sigma_s - alpha_k / sigma_k), f"the quotient is upside down: {clock}."),
        (
            with_clock(sigma_s / sigma_k),
            f"the step is a quotient of two σ: {clock}, and a step is a difference.",
        ),
        (with_clock(alpha_s - alpha_k), f"the step is measured in α: {clock}."),
        (with_clock(a_s - a_k), f"the step is measured in ᾱ: {clock}."),
        (with_clock(sigma_s / alpha_s), "the step is not the new time but new less old."),
        (with_clock(-step), "the step has the wrong sign: new time less old time, here a negative number."),
        (
            with_clock((1 - a_s) / alpha_s - (1 - a_k) / alpha_k),
            "σ² stands where σ belongs: the root of 1 − ᾱ.",
        ),
        (
            with_clock((1 - alpha_s) / alpha_s - (1 - alpha_k) / alpha_k),
            "σ is not 1 − α: its square is 1 − ᾱ.",
        ),
        (with_clock((1 - a_s).sqrt() / a_s - (1 - a_k).sqrt() / a_k), f"{root}, in the step as well."),
        (with_levels(lambda a: (1 - a).sqrt()), f"{root}."),
        (with_levels(lambda a: (1 - a**2).sqrt()), f"{root}, and σ follows from ᾱ."),
        (with_levels(lambda a: 1 - a), "both roots are missing: α is the root of ᾱ, σ that of 1 − ᾱ."),
        (alpha_s * (y / a_k + step * eps), f"{root}; y is divided by the wrong one."),
        (a_s * new, f"{root}; at the end y comes back by the wrong one."),
        (new, "this is the new place of y/α: y itself is asked for, so take the division back."),
        (alpha_k * new, "the division is taken back with the old α: it is the new place, so the new α."),
        (new / alpha_s, "divided by the new α once more: the division must be taken back."),
        (alpha_s * (y + step * eps), "y is not divided by its α before the step: (1) is about y/α."),
        (alpha_s * (y * alpha_k + step * eps), "y is multiplied by its α before the step: (1) divides."),
        (alpha_s * old + step * eps, "only the old place comes back to y: the step, too (parentheses)."),
        (old + alpha_s * step * eps, "only the step comes back to y: the old place, too (parentheses)."),
        (alpha_s * step * eps, "the old place is missing: new place = old place + step × slope."),
        (alpha_s * (old + step * y), "the slope is ε̂, not y."),
        (alpha_s * (old + step * guess), "the slope is ε̂, not the guess at the data."),
        (alpha_s * guess, "all noise is gone, not only some: the step ends at the σ/α of s, not at 0."),
        (guess, "this is the guess x̂, where the walk would end; the step goes only to s."),
        (new * alpha_s / (alpha_s + sigma_s), "this is x_t of the next page: here y is asked for."),
        (_by_guess(y, eps, a_s, a_k), "the two levels are exchanged: y comes from a_k and goes to a_s."),
        (y, "nothing moved."),
    ]


@exercise(
    "14.ddim_by_euler",
    verified="steps and jumps, both ways, lesson 06's DDIM; x̂ at ᾱ = 1; points and images, both precisions",
)
def ddim_by_euler(fn):
    y, eps = normal(2, 7, 2, seed=1)
    for a_k, a_s in (_levels(0.3, 0.55), _levels(0.05, 0.9), _levels(0.55, 0.3)):
        out = call(fn, y, eps, a_k, a_s)
        expect_shape(out, (7, 2), "as many numbers as y has.")
        right = _by_guess(y, eps, a_k, a_s)
        less = "less" if a_s > a_k else "more"
        hint = f"from ᾱ = {a_k:.2f} to {a_s:.2f}, {less} noise: (1) holds for y/α, and y is asked for."
        expect_value(out, right, hint, _ddim_causes(y, eps, a_k, a_s))
        expect_double(out, right)
    for a_k in _levels(0.3, 2.5e-9):
        last = call(fn, y, eps, a_k, *_levels(1.0))
        expect(torch.isfinite(last).all(), "at ᾱ_s = 1 it gives inf or nan: is something divided by σ_s = 0?")
        hint = "at ᾱ_s = 1 no noise is left, so it must land on the guess x̂ itself"
        hint += "." if a_k > 0.1 else ", from far out, too: no clamp and no small number."
        expect_close(last, _by_guess(y, eps, a_k, *_levels(1.0)), hint)
    a_k, a_s = _levels(0.3, 0.55)
    y, eps = normal(2, 3, 1, 4, 5, seed=2).float()
    out = call(fn, y, eps, a_k, a_s)
    expect_like(out, y, "leave ᾱ a tensor of shape (): that converts nothing.")
    expect_close(out, _by_guess(y, eps, a_k, a_s), "images come out differently from points.", atol=1e-4)
    expect_any_device(lambda y, eps: fn(y, eps, a_k, a_s), y, eps)


def _noted(u, times):
    """u(x, t), which looks how it is asked and notes the times."""

    def noting(x, t):
        hint = "u takes places first, then one number for the time, the same for all."
        expect(isinstance(x, torch.Tensor) and x.dim() > 0 and is_number(t), hint)
        times.append(float(t))
        return u(x, t)

    return noting


def _heun(u, x, t, h):
    first = u(x, t)
    return x + h / 2 * (first + u(x + h * first, t + h))


def _runge_kutta(u, x, t, h):
    a = u(x, t)
    b = u(x + h / 2 * a, t + h / 2)
    c = u(x + h / 2 * b, t + h / 2)
    return x + h / 6 * (a + 2 * b + 2 * c + u(x + h * c, t + h))


def _heun_causes(u, x, t, h):
    """What usual mistakes, and other methods, come to: pairs (value, hint)."""
    first = u(x, t)
    ahead = x + h * first
    second = u(ahead, t + h)
    mean = (first + second) / 2
    half, far = u(x + h / 2 * first, t + h / 2), u(x + 2 / 3 * h * first, t + 2 / 3 * h)
    kind = "It is of second order, too, and good; here the slopes at both ends of the step are asked for."

    def walked(place, time):
        return x + h * (first + u(place, time)) / 2

    lost = [
        (x + abs(h) * mean, "h may be negative, back towards noise: its sign is lost in the walk."),
        (_heun(u, x, t, abs(h)), "h may be negative, back towards noise: its sign is lost."),
    ]
    return [
        *(lost if h < 0 else []),
        (ahead, "this is Euler's step: where is the slope at its end?"),
        (
            walked(x, t + h),
            "the second slope is asked for at the old place: go to the end of the step first.",
        ),
        (walked(ahead, t), "the second slope is asked for at the old time: the clock moves on, too."),
        (walked(ahead, h), "the second slope is asked for at the time h: that is the step, not its end."),
        (walked(x + first, t + h), "the way to the second place has length 1: an Euler step is h long."),
        (walked(x - h * first, t + h), "the second place lies behind x, not ahead."),
        (walked(h * first, t + h), "the second place is counted from 0: it lies one Euler step from x."),
        (x + h * half, f"this is the midpoint method, with the slope half-way. {kind}"),
        (x + h * (first + 3 * far) / 4, f"this is Ralston's method, with a slope at two thirds. {kind}"),
        (_runge_kutta(u, x, t, h), "this is Runge and Kutta's method: fourth order, and four evaluations."),
        (x + h * second, "only the second slope is walked along: the mean of the two."),
        (x + h * u(x, t + h), "only a second slope is walked along, and it is asked for at the old place."),
        (x + h * (first + second), "the sum of both slopes goes twice as far: their mean."),
        (x + h * (first + second / 2), "only the second slope is halved: both (parentheses)."),
        (x + h * (first / 2 + second), "only the first slope is halved: both (parentheses)."),
        (x + h * (second - first) / 2, "the slopes are subtracted: add them."),
        (ahead + h * mean, "the mean slope is walked along from the end of Euler's step: it starts at x."),
        (x - h * mean, "the sign is turned: with the slopes, not against them."),
        (x + mean, "the step has length 1: it is h long."),
        (h * mean, "this is the way alone: where does it lead from x?"),
        (mean, "this is the mean slope: walk along it, from x."),
        (walked(x + h * mean, t + h), "the end is improved twice, with a third evaluation: once."),
        (x, "nothing moved."),
    ]


@exercise(
    "14.heun_step",
    verified="slopes at both ends, forwards and backwards, points and images; two evaluations; float32 and float64",
)
def heun_step(fn):
    x, times = normal(6, 2, seed=11), []
    for t, h in ((0.2, 0.3), (0.7, -0.4)):
        times.clear()
        out = call(fn, _noted(swirl, times), x, t, h)
        expect_shape(out, (6, 2), "as many places as x has.")
        right = _heun(swirl, x, t, h)
        hint = f"half a step along each of two slopes, at both ends: not so from t = {t} by h = {h}."
        expect_value(out, right, hint, _heun_causes(swirl, x, t, h))
        expect_double(out, right)
        many = (
            f"the place is right, but u is asked {len(times)} times where twice is enough: give the first slope "
            "a name and keep it. Evaluations are what drawing costs."
        )
        expect(len(times) <= 2, many)
    images = normal(2, 1, 3, 4, seed=12).float()
    out = call(fn, swirl, images, 0.2, 0.3)
    expect_like(out, images)
    right = _heun(swirl, images.double(), 0.2, 0.3)
    expect_close(out, right, "images come out differently from points.", atol=1e-4)
    expect_any_device(fn, swirl, images, 0.2, 0.3)


def _score_causes(u, x, t):
    """What usual mistakes come to: pairs (value, hint)."""
    rest = 1 - t
    noise = x - t * u
    if t == 0:
        return []
    return [
        (noise / rest, "the sign is turned: the score points towards more density, away from the noise."),
        (-noise, "the division is missing: the score is the larger, the less noise is left."),
        (noise, "this is the guess ε̂ at the noise: the score is made of it."),
        (-noise / rest**2, "divided by the variance: ε̂ has size 1 already, so one (1 − t) is enough."),
        (-noise / math.sqrt(rest), "divided by a root: the noise in x_t has the size 1 − t itself."),
        (x + rest * u, "this is the guess x̂ at the data: the score is made of the noise."),
        ((t * u + x) / rest, "both come with the same sign: x is drawn back, u draws on."),
        ((u - x) / rest, "the velocity has a weight of its own in the guess at the noise: which?"),
        ((rest * u - x) / rest, "the weight of the velocity is not 1 − t: solve for ε̂ again."),
        ((t * x - u) / rest, "u and x are exchanged: t goes with the velocity."),
        (t * (u - x) / rest, "t multiplies both: parentheses."),
        (t * u - x / rest, "only x is divided: both (parentheses)."),
        (-x / rest**2, "the velocity has no say: this is the score if all data lay at 0."),
        (u, "u comes back unchanged: the slope of a path is not the slope of log p."),
        (-noise / t, "divided by t: the size of the noise at time t is not t."),
        ((rest * u - x) / t, "t and 1 − t are exchanged: noise is at t = 0."),
    ]


@exercise(
    "14.score_from_velocity",
    verified="the exact score of a Gaussian at five times; −x at t = 0; points and images, both precisions",
)
def score_from_velocity(fn):
    x, u = normal(2, 7, 2, seed=31)
    m, s = 0.5, 0.4
    for t in (0.3, 0.8, 0.5, 0.95, 0.0):
        variance = (t * s) ** 2 + (1 - t) ** 2
        exact = m + (t * s**2 - (1 - t)) * (x - t * m) / variance
        out = call(fn, exact, x, t)
        expect_shape(out, (7, 2), "as many numbers as x has.")
        expect(torch.isfinite(out).all(), f"at t = {t:g} it gives inf or nan: is something divided by t?")
        right = -(x - t * m) / variance
        hint = "at t = 0 there is nothing but noise, N(0, I), whose score is −x."
        if t > 0:
            hint = f"the exact velocity for data N(m, s²) does not give the exact score at t = {t}."
        expect_value(out, right, hint, _score_causes(exact, x, t))
        expect_double(out, right)
    for t in (0.3, 0.7):
        right = -(x - t * u) / (1 - t)
        hint = "any velocities: what do x and u say of the noise in x? The score is made of it."
        expect_value(call(fn, u, x, t), right, hint, _score_causes(u, x, t))
    x, u = normal(2, 3, 1, 4, 5, seed=32).float()
    out = call(fn, u, x, 0.7)
    expect_like(out, x)
    right = -(x - 0.7 * u) / 0.3
    expect_close(out, right, "images come out differently from points.", atol=1e-4)
    expect_any_device(fn, u, x, 0.7)
