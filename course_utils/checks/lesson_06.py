"""Properties of lesson 06's exercises."""

import math

import torch

from course_utils.checks.machinery import Wrong, call, exercise, expect, expect_close, expect_shape


def _schedule():
    """A schedule ᾱ_0 … ᾱ_20 (21,), float64, from 1 down to 0.01, in equal factors."""
    return torch.logspace(0, -2, 21, dtype=torch.float64)


def _pair(*shape):
    """Two independent standard normal tensors, float64."""
    return torch.randn(2, *shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@exercise("06.cosine", verified="both ends, T + 1 entries, always falling, and f as printed at every t")
def cosine(fn):
    out = call(fn, 1000)
    expect(
        not isinstance(out, torch.Tensor) or len(out) != 1000,
        "the array has T + 1 entries: t = 0 is one of them",
    )
    expect_shape(out, (1001,), "one entry for each t from 0 to T")
    expect(
        out.dtype == torch.float64,
        "make it float64: near t = 0 the entries are 1 minus a few 1e-5, and float32 keeps three digits of"
        " that",
    )
    start = math.cos(math.pi / 2 * 0.008 / 1.008) ** 2
    expect(
        not math.isclose(float(out[0]), start, rel_tol=0, abs_tol=1e-9),
        "divide by f(0): ᾱ_0 must be exactly 1",
    )
    expect_close(out[0], 1.0, "ᾱ_0 must be 1: at t = 0 nothing has happened yet", atol=1e-12)
    expect_close(out[-1], 0.0, "ᾱ_T must be 0: at t = T the cosine's angle is π/2", atol=1e-9)
    expect((out[1:] < out[:-1]).all(), "ᾱ must fall with every step")
    f = [math.cos(math.pi / 2 * (t / 1000 + 0.008) / 1.008) ** 2 for t in range(1001)]
    expect(
        not torch.allclose(out, torch.tensor(f, dtype=torch.float64).sqrt() / math.sqrt(f[0]), atol=1e-6),
        "the cosine is squared",
    )
    hint = "ᾱ_t = f(t) / f(0) with f(t) = cos²(π/2 · (t/T + s) / (1 + s))"
    expect_close(out, torch.tensor(f, dtype=torch.float64) / f[0], hint, atol=1e-6)
    short = call(fn, 10, 0.1)
    expect_shape(short, (11,), "it must work for every T")
    wanted = math.cos(math.pi / 2 * (0.5 + 0.1) / 1.1) ** 2 / math.cos(math.pi / 2 * 0.1 / 1.1) ** 2
    expect_close(short[5], wanted, "use the argument s, not 0.008")


@exercise("06.q_sample", verified="each example at its own time, points and images, both ends")
def q_sample(fn):
    schedule = _schedule()
    x0, eps = _pair(4, 2)
    t = torch.tensor([0, 5, 12, 20])
    out = call(fn, x0, t, eps, schedule)
    expect_shape(out, (4, 2), "as many rows as examples; ᾱ needs the shape (B, 1) to multiply rows")
    expect_close(out[0], x0[0], "at t = 0 nothing is noised: x_t must be x_0; is the index off by one?")
    a = schedule[t][:, None]
    expect(
        not torch.allclose(out, a.sqrt() * x0 + (1 - a) * eps),
        "the noise is multiplied by the root of 1 − ᾱ: its variance is 1 − ᾱ",
    )
    expect(not torch.allclose(out, a * x0 + (1 - a).sqrt() * eps), "the data are multiplied by the root of ᾱ")
    exchanged = (1 - a).sqrt() * x0 + a.sqrt() * eps
    expect(not torch.allclose(out, exchanged), "signal and noise are exchanged: ᾱ_0 = 1 is clean")
    expect_close(
        out, a.sqrt() * x0 + (1 - a).sqrt() * eps, "x_t = √ᾱ_t x_0 + √(1 − ᾱ_t) ε, with ᾱ of each row's own t"
    )
    x0, eps = _pair(4, 1, 6, 6)
    out = call(fn, x0, t, eps, schedule)
    expect_shape(
        out, (4, 1, 6, 6), "images need ᾱ of shape (B, 1, 1, 1): view it with as many axes as x_0 has"
    )
    a = schedule[t].view(4, 1, 1, 1)
    expect_close(out, a.sqrt() * x0 + (1 - a).sqrt() * eps, "images: each must get ᾱ of its own t")
    single = call(fn, x0.float(), t, eps.float(), schedule)
    expect(
        single.dtype == torch.float32,
        "float32 images must stay float32: convert the schedule, not the images",
    )


@exercise(
    "06.posterior", verified="Bayes' rule on a grid, a jump of several steps, no variance in the last step"
)
def posterior(fn):
    schedule = _schedule()
    x0, xt = _pair(5, 2)
    out = call(fn, x0, xt, schedule[8], schedule[7])
    if not isinstance(out, tuple) or len(out) != 2:
        raise Wrong("return two things: mean, variance.")
    mean, variance = out
    expect_shape(mean, (5, 2), "one mean for each entry of x_t")
    expect_shape(torch.as_tensor(variance), (), "the variance is one number: it depends on the times only")
    variance = float(variance)
    a_t, a_s = float(schedule[8]), float(schedule[7])
    b = 1 - a_t / a_s
    expect(
        not math.isclose(variance, b),
        "that is β_t; x_0 is known as well, which leaves less: (1 − ᾱ_s)/(1 − ᾱ_t) β",
    )
    expect(
        not math.isclose(variance, math.sqrt((1 - a_s) / (1 - a_t) * b)),
        "return the variance, not the standard deviation",
    )
    grid = torch.linspace(-12, 12, 48_001, dtype=torch.float64)  # x_s
    for i in range(2):
        joint = -((xt[i, 0] - math.sqrt(a_t / a_s) * grid) ** 2) / (2 * b)
        joint = joint - (grid - math.sqrt(a_s) * x0[i, 0]) ** 2 / (2 * (1 - a_s))
        weight = torch.softmax(joint, 0)
        centre = (weight * grid).sum()
        hint = "the mean is not that of q(x_t | x_s) q(x_s | x_0); are the weights of x_0 and x_t exchanged?"
        expect_close(mean[i, 0], centre, hint, atol=1e-4)
        hint = "the variance is not that of the product: precisions add"
        expect_close(variance, (weight * (grid - centre) ** 2).sum(), hint, atol=1e-5)
    far, _ = call(fn, x0, xt, schedule[20], schedule[4])
    a, s = float(schedule[20]), float(schedule[4])
    wanted = (math.sqrt(a / s) * (1 - s) * xt + math.sqrt(s) * (1 - a / s) * x0) / (1 - a)
    expect_close(far, wanted, "it must work for jumps of several steps: β is 1 − ᾱ_t/ᾱ_s")
    mean, variance = call(fn, x0, xt, schedule[1], schedule[0])
    expect_close(mean, x0, "at s = 0 the mean must be x_0 itself")
    expect_close(variance, 0.0, "at s = 0 nothing is left to chance: variance 0")


@exercise("06.x0_from_eps", verified="undoes the noising at every level, on points and images")
def x0_from_eps(fn):
    schedule = _schedule()
    for shape in ((6, 2), (3, 1, 5, 5)):
        x0, eps = _pair(*shape)
        for t in (0, 3, 19):
            a = schedule[t]
            xt = a.sqrt() * x0 + (1 - a).sqrt() * eps
            out = call(fn, xt, eps, a)
            expect_shape(out, shape, "as many numbers as x_t has")
            if t:
                expect(
                    not torch.allclose(out, xt - (1 - a).sqrt() * eps),
                    "that is √ᾱ x_0: the signal was shrunk, divide by √ᾱ",
                )
                hint = "divide by the root of ᾱ, not by ᾱ"
                expect(not torch.allclose(out, (xt - (1 - a).sqrt() * eps) / a), hint)
                hint = "the noise enters with √(1 − ᾱ), not with 1 − ᾱ"
                expect(not torch.allclose(out, (xt - (1 - a) * eps) / a.sqrt()), hint)
            expect_close(out, x0, "solve x_t = √ᾱ_t x_0 + √(1 − ᾱ_t) ε for x_0")


@exercise("06.ddim", verified="with the true noise it lands on x_s, and at s = 0 on x_0; nothing is random")
def ddim(fn):
    schedule = _schedule()
    x0, eps = _pair(3, 1, 4, 4)

    def noised(t):
        return schedule[t].sqrt() * x0 + (1 - schedule[t]).sqrt() * eps

    out = call(fn, noised(15), eps, schedule[15], schedule[6])
    expect_shape(out, (3, 1, 4, 4), "as many numbers as x_t has")
    again = call(fn, noised(15), eps, schedule[15], schedule[6])
    expect_close(again, out, "the same input twice gave two answers: draw no new noise here")
    expect(not torch.allclose(out, x0), "that is the guess at x_0; noise it back to level s with the same ε")
    wrong = schedule[6].sqrt() * x0 + (1 - schedule[15]).sqrt() * eps
    expect(not torch.allclose(out, wrong), "noise to level s: the root of 1 − ᾱ_s, not of 1 − ᾱ_t")
    expect_close(out, noised(6), "with the true ε it must land on √ᾱ_s x_0 + √(1 − ᾱ_s) ε")
    expect_close(call(fn, out, eps, schedule[6], schedule[0]), x0, "at s = 0 it must land on x_0")
    same = call(fn, noised(9), eps, schedule[9], schedule[9])
    expect_close(same, noised(9), "from t to t nothing changes")


@exercise("06.guidance", verified="w = 0 ignores the label, w = 1 obeys it, and beyond 1 the line goes on")
def guidance(fn):
    free, told = _pair(4, 1, 3, 3)
    at_zero, at_one = call(fn, free, told, 0.0), call(fn, free, told, 1.0)
    expect_shape(at_zero, (4, 1, 3, 3), "as many numbers as a prediction has")
    exchanged = torch.allclose(at_zero, told) and torch.allclose(at_one, free)
    expect(not exchanged, "the two predictions are exchanged: w = 0 must ignore the label")
    shifted = torch.allclose(at_zero, told)
    expect(
        not shifted,
        "that is (1 + w) ε_y − w ε, the other convention: here w = 1 is the plain conditional model",
    )
    expect_close(at_zero, free, "w = 0 must give the prediction without label")
    expect_close(at_one, told, "w = 1 must give the prediction with label")
    out = call(fn, free, told, 4.0)
    expect(
        not torch.allclose(out, told), "w above 1 must go beyond the conditional prediction: do not clip w"
    )
    expect_close(out - free, 4 * (told - free), "w scales the difference of the two predictions")
