"""Checks of lesson 10b: where a Gaussian lives, a bet, letters that pass for digits, learned noise, one by one."""

import math

import torch
from torch.nn import functional as F

from course_utils.checks.machinery import (
    Wrong,
    call,
    exercise,
    expect,
    expect_any_device,
    expect_close,
    expect_gradient,
    expect_like,
    expect_shape,
)
from course_utils.checks.mistakes import expect_double, expect_value, is_number, normal, pair_of

SETS = (
    "ones",
    "letters",
    "half contrast",
    "blurred",
    "blank page",
    "full ink",
    "flat grey",
    "inverted",
    "noise",
)


@exercise(
    "10b.shell",
    verified="norm and gap in 1, 9, 100 and 784 dimensions, and against 4,000 draws in 50",
)
def gaussian_shell(fn):
    for d in (784, 100, 9, 1):
        pair = pair_of(call(fn, d), "return two numbers: the typical norm and the gap in nats.")
        norm, gap = (_number(part) for part in pair)
        expect(
            not (math.isclose(norm, d / 2) and math.isclose(gap, math.sqrt(d))) or d in (1, 4),
            "the two are exchanged: return first the norm, then the gap.",
        )
        _norm(norm, d)
        _gap(gap, d)
    z = normal(4_000, 50, seed=1)
    norm, gap = (_number(part) for part in call(fn, 50))
    hint = "4,000 draws in 50 dimensions have another norm, or lie another number of nats below the centre."
    expect(abs(float(z.norm(dim=1).mean()) - norm) < 0.3, hint)
    expect(abs(float(z.square().sum(1).mean()) / 2 - gap) < 0.8, hint)


def _number(value):
    expect(is_number(value), "return two plain numbers, not tensors with axes.")
    return float(value)


def _norm(norm, d):
    mistakes = [
        (float(d), "this is E ‖z‖²: take its root."),
        (math.sqrt(2 * d), "√(2d) is the spread of ‖z‖², not its mean, which is d."),
        (
            math.sqrt(d - 1) if d > 1 else -1.0,
            "where the radius is likeliest; asked for is the root of E ‖z‖².",
        ),
        (1.0 if d > 1 else -1.0, "each number has size 1; d of them together have the norm √d."),
        (0.0, "the centre is the likeliest point, but draws are not there: E ‖z‖² is a sum of d ones."),
        (math.sqrt(d) / 2 if d != 4 else -1.0, "√d, not half of it."),
    ]
    hint = "the typical norm is the root of E ‖z‖², and E ‖z‖² is a sum of d ones."
    expect_value(torch.tensor(norm).double(), math.sqrt(d), hint, mistakes)


def _gap(gap, d):
    half = d / 2
    mistakes = [
        (float(d), "the exponent is −½‖z‖²: half of d."),
        (-half, "the sign is turned: the centre is likelier, so the gap is positive."),
        (half / math.log(2), "these are bits: nats are asked for, no division by log 2."),
        (half * math.log(2 * math.pi), "½ d log 2π stands in both log-densities and cancels."),
        (half * (1 + math.log(2 * math.pi)), "this is the entropy: ½ d log 2π stands in both and cancels."),
        (
            half * math.log(2 * math.pi * math.e),
            "this is the entropy: ½ d log 2π stands in both and cancels.",
        ),
        (math.sqrt(d) / 2, "½‖z‖², with the square: half of d, not of √d."),
        (0.5, "this is the share of one dimension: there are d."),
    ]
    if d < 10:  # a factor of e⁵ and more overflows no float, but e³⁹² is beyond all that is asked for
        mistakes.append((math.exp(half), "this is the factor between the densities: take its logarithm."))
    hint = "log p(0) − E log p(z) = ½ E ‖z‖²; what does not depend on z cancels."
    expect_value(torch.tensor(gap).double(), half, hint, mistakes)


@exercise("10b.likelier", verified="some of the nine sets; the next cell measures all of them")
def my_likelier(fn):
    bet = call(fn)
    hint = 'return a list of names, ["letters"] say, or an empty one.'
    expect(not isinstance(bet, str), f"one word is no list: {hint}")
    expect(isinstance(bet, list | tuple | set | frozenset), hint)
    names = list(bet)
    expect(all(isinstance(name, str) for name in names), f"names are texts: {hint}")
    expect("test digits" not in names, "test digits are what the sets are compared with: leave them out.")
    for name in names:
        near = [known for known in SETS if known.replace(" ", "") == name.lower().replace(" ", "")]
        if name not in SETS and near:
            raise Wrong(f"write {near[0]!r} for {name!r}: names count letter by letter.")
        expect(name in SETS, f"{name!r} is none of the sets: {', '.join(SETS)}.")
    expect(len(set(names)) == len(names), "a name stands there twice.")
    expect(
        len(names) < len(SETS), "all nine? Then nothing could be less likely than a digit: take your pick."
    )


def _letters():
    from course_utils.data import letters

    return letters()[:40].float() / 255  # 40 characters of one face


@exercise(
    "10b.sneak",
    verified="something changed, letters still differ, ink is left; whether they ring, the next cell says",
)
def sneak(fn):
    x = _letters()
    out = call(fn, x)
    expect_shape(out, (40, 1, 28, 28), "as many pictures as came in, 28 × 28 each.")
    expect_like(out, x)
    expect(bool(out.isfinite().all()), "some pixels are not numbers.")
    expect(float(out.min()) >= 0 and float(out.max()) <= 1, "pixels lie between 0 and 1: clamp, or scale.")
    expect(float((out - x).abs().max()) > 0.02, "nothing is changed: the detector would ring as before.")
    ink = out.flatten(1).sum(1) / x.flatten(1).sum(1)
    expect(float(ink.min()) > 1e-3, "a blank page is silent, but nobody can read it.")
    hint = "hardly any ink is left: keep a twentieth of it at least, or nobody can read it."
    expect(float(ink.min()) > 0.05, hint)
    before, after = (_apart(part) for part in (x, out))
    hint = "all letters became the same picture: they must stay readable."
    expect(float(after.max()) > 1e-3, hint)
    hint = "two letters can hardly be told apart any more: keep a tenth of their difference."
    expect(float((after / before).min()) > 0.1, hint)
    again = call(fn, x)
    expect_close(again, out, "twice the same letters, two results: leave chance out.")
    flipped = call(fn, x.flip(0))
    hint = "a letter is changed by its place in the list: treat each one by itself."
    expect_close(flipped.flip(0), out, hint, atol=1e-3)
    hint = "a letter is changed by the letters that came with it: treat each one by itself."
    expect_close(call(fn, x[:7]), out[:7], hint, atol=1e-3)
    expect_any_device(fn, x)


def _apart(x):
    """Sum of absolute differences of each picture to the next one, (n − 1,)."""
    return (x[1:] - x[:-1]).abs().flatten(1).sum(1)


@exercise(
    "10b.noise",
    verified="u and log q in closed form, against a histogram of 200,000 draws, far out, and by autograd",
)
def shaped_noise(fn):
    v = torch.rand(3, 1, 2, 4, generator=torch.Generator().manual_seed(1)).double().clamp(0.01, 0.99)
    s, t = 0.7 * normal(3, 1, 2, 4, seed=2), normal(3, 1, 2, 4, seed=3)
    u, log_q = _noise_of(fn, v, s, t)
    y = s.exp() * v.logit() + t
    _place(u, v, s, t, y)
    expect_shape(log_q, (3,), "log q is one number an image: sum over all axes but the first.")
    _density(log_q, v, s, y)
    expect_double(u, y.sigmoid())
    still_u, still_q = _noise_of(fn, v, 0 * s, 0 * t)
    expect_close(still_u, v, "with s = t = 0 the noise stays where it is.")
    expect_close(still_q, torch.zeros(3), "with s = t = 0 the noise is uniform, and its log-density 0.")
    _histogram(fn)
    for shift in (60.0, -60.0):
        _far_out(fn, v, shift)
    learn = [part.clone().requires_grad_() for part in (s, t)]
    u, log_q = _noise_of(fn, v, *learn)
    expect_gradient(log_q, *learn, hint="log q is detached: the loss is made of it.")
    expect_gradient(u, *learn, hint="u is detached: log p(x + u) is how s and t learn where noise is good.")
    single = [part.float() for part in (v, s, t)]
    for part in _noise_of(fn, *single):
        expect_like(part, single[0])
    expect_any_device(fn, *single)


def _noise_of(fn, v, s, t):
    pair = pair_of(call(fn, v, s, t), "return two results: u, and log q of each image.")
    for part in pair:
        expect(isinstance(part, torch.Tensor), "return two tensors: u, and log q of each image.")
    return pair


def _place(u, v, s, t, y):
    """Whether u is what (5) says."""
    expect_shape(u, tuple(v.shape), "u has the shape of v: one noise a pixel.")
    mistakes = [
        (y, "this is the noise on the real line: bring it back by the sigmoid."),
        ((s.exp() * v + t).sigmoid(), "v is stretched in (0, 1): take its logit first."),
        ((s * v.logit() + t).sigmoid(), "s is the logarithm of the stretch: multiply by e^s."),
        ((s.exp() * (v.logit() + t)).sigmoid(), "stretch first, then shift: e^s · logit v + t."),
        (((v.logit() - t) * (-s).exp()).sigmoid(), "this is the way back: multiply by e^s, then add t."),
        (((-s).exp() * v.logit() + t).sigmoid(), "the sign of s is turned: multiply by e^s."),
    ]
    expect_value(u, y.sigmoid(), "u is the sigmoid of e^s · logit v + t.", mistakes)


def _density(log_q, v, s, y):
    """Whether log q is minus the logarithms of the slopes, summed."""
    sigmoid, logit = y.sigmoid().log() + (-y).sigmoid().log(), -(v * (1 - v)).log()
    slope = s + sigmoid + logit
    true = -slope.flatten(1).sum(1)
    mistakes = [
        (
            -true,
            "the sign is turned: where the map stretches, the noise gets thinner, so minus the slope's log.",
        ),
        (-(s + logit).flatten(1).sum(1), "the slope of the sigmoid, sigmoid(y) · sigmoid(−y), is forgotten."),
        (-(s + sigmoid).flatten(1).sum(1), "the slope of the logit, 1 / (v (1 − v)), is forgotten."),
        (-s.flatten(1).sum(1), "s is the stretch on the real line only: logit and sigmoid stretch, too."),
        (-(sigmoid + logit).flatten(1).sum(1), "the stretch e^s is forgotten: its logarithm is s."),
        (
            -(s + sigmoid - logit).flatten(1).sum(1),
            "the logit's slope is 1 / (v (1 − v)): minus its logarithms.",
        ),
        (-(s.exp() + sigmoid + logit).flatten(1).sum(1), "the logarithm of the stretch e^s is s."),
        (-slope.flatten(1).mean(1), "pixels are independent given x: their log-densities add up, no mean."),
    ]
    hint = "log q = − Σ log du/dv: minus the sum of the three logarithms of slopes."
    expect_value(log_q, true, hint, mistakes)
    expect_double(log_q, true)


def _far_out(fn, v, shift):
    """Whether log q is right where the sigmoid is 0 or 1 to all digits."""
    log_q = _noise_of(fn, v, torch.zeros_like(v), torch.full_like(v, shift))[1]
    hint = (
        "at t = 60 the sigmoid is 1 to all digits and log(1 − u) is −∞: F.logsigmoid(y) and F.logsigmoid(−y)."
    )
    expect(bool(log_q.isfinite().all()), hint)
    y = v.logit() + shift
    slope = F.logsigmoid(y) + F.logsigmoid(-y) - (v * (1 - v)).log()
    hint = (
        f"at t = {shift:g} log q is finite and wrong: is a logarithm cut off, by a clamp or an added ε? "
        "The bits look better than they are; F.logsigmoid(y) and F.logsigmoid(−y) need neither."
    )
    expect_value(log_q, -slope.flatten(1).sum(1), hint)


def _histogram(fn):
    """Whether draws are as frequent as log q says."""
    v = torch.rand(200_000, 1, generator=torch.Generator().manual_seed(4)).double().clamp(1e-6, 1 - 1e-6)
    u, log_q = _noise_of(fn, v, torch.full_like(v, -0.4), torch.full_like(v, -1.0))
    near = ((u - 0.25).abs() < 0.02)[:, 0]
    share = float(near.double().mean())
    hint = "draws near u = 0.25 are more or less frequent than your log q says."
    expect(abs(share - 0.04 * float(log_q[near].detach().exp().mean())) < 0.004, hint)


@exercise(
    "10b.turn",
    verified="(7) is undone for 1, 2 and 7 numbers; at most D + 1 passes",
)
def in_turn(fn):
    for D in (7, 2, 1):
        terms, calls = _terms(D)
        z = normal(5, D, seed=D)
        x = call(fn, z, terms)
        passes = calls[0]
        expect_shape(x, (5, D), "one x for each z, (B, D).")
        mean, width = terms(x)
        _undone(x, z, terms, (x - mean) / width)
        hint = f"{passes} passes for {D} numbers: one for each number is enough."
        expect(passes <= D + 1, hint)
    expect_double(x, terms(x)[0] + terms(x)[1] * z)
    terms, _ = _terms(3)
    single = normal(4, 3, seed=9).float()
    expect_like(call(fn, single, terms), single)
    expect_any_device(fn, single, terms)


def _terms(D):
    """Mean and width that depend on the numbers before, and a list that counts the calls."""
    A, B = (normal(D, D, seed=seed).tril(-1) for seed in (11, 12))
    calls = [0]

    def terms(x):
        calls[0] += 1
        a, b = (part.to(x.device, x.dtype) for part in (A, B))
        return 0.3 + torch.tanh(x @ a.T), torch.exp(0.5 * torch.tanh(x @ b.T) + 0.2)

    return terms, calls


def _undone(x, z, terms, again):
    """Whether x goes to z; with the usual mistakes."""
    zeros = torch.zeros_like(z)
    mistakes = [
        (
            terms(zeros)[0] + terms(zeros)[1] * z,
            "right for the first number only: all later ones need those before them in place, first to last.",
        ),
        (
            terms(z)[0] + terms(z)[1] * z,
            "mean and width are asked for at x, as far as it is known, not at z.",
        ),
        ((z - terms(z)[0]) / terms(z)[1], "this is the way there, x → z; the way back multiplies and adds."),
        (_wrong_way(z, terms, "no mean"), "the mean is forgotten: x_i = mean + width · z_i."),
        (_wrong_way(z, terms, "no width"), "the width is forgotten: x_i = mean + width · z_i."),
        (
            _wrong_way(z, terms, "divide"),
            "divided by the width: (7) divides on the way there, so multiply here.",
        ),
        (_wrong_way(z, terms, "too few"), "the last number is missing: all D are needed."),
    ]
    hint = (
        "by (7) your x does not go to z: x_i = mean_i + width_i · z_i, with all numbers before it in place."
    )
    target = _wrong_way(z, terms, "")
    expect_value(x, target, hint, mistakes)
    expect_close(again, z, hint)


def _wrong_way(z, terms, how):
    """What a mistake in the loop gives; "" is the right way."""
    x = torch.zeros_like(z)
    for i in range(z.shape[1] - (how == "too few")):
        mean, width = terms(x)
        mean = torch.zeros_like(mean) if how == "no mean" else mean
        width = torch.ones_like(width) if how == "no width" else 1 / width if how == "divide" else width
        x[:, i] = mean[:, i] + width[:, i] * z[:, i]
    return x
