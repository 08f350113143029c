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
    finite = torch.isfinite(mean).all()
    expect(finite, "you divide by 1 − ᾱ_s, which is 0 at s = 0: multiply out, as (3) does")
    expect_close(mean, x0, "at s = 0 the mean must be x_0 itself")
    expect_close(variance, 0.0, "at s = 0 nothing is left to chance: variance 0")


def _step(x0, xt, a_t, a_s):
    """Equation (3): mean and variance."""
    a = a_t / a_s
    mean = (a.sqrt() * (1 - a_s) * xt + a_s.sqrt() * (1 - a) * x0) / (1 - a_t)
    return mean, (1 - a_s) / (1 - a_t) * (1 - a)


def _oracle(schedule, x0):
    """The predictor that knows the one x_0."""
    return lambda x, t: (x - schedule[t].sqrt() * x0) / (1 - schedule[t]).sqrt()


@exercise("06.simple_loss", verified="times 1 … T, one an example; noise of variance 1; a mean of squares")
def simple_loss(fn):
    schedule, seen = _schedule(), []
    x0 = _pair(20_000, 2)[0] * 0 + torch.tensor([0.5, -1.0], dtype=torch.float64)

    def noise(x0, t, eps, alpha_bar):
        seen.append((t, eps))
        a = alpha_bar[t][:, None]
        return a.sqrt() * x0 + (1 - a).sqrt() * eps

    def silent(xt, t):
        expect(
            seen and torch.is_tensor(t) and torch.equal(t, seen[-1][0]),
            "tell the model the same times t at which you noised",
        )
        return torch.zeros_like(xt)

    out = call(fn, silent, x0, schedule, noise)
    expect(bool(seen), "use noise(x0, t, eps, alpha_bar): the model must see x_t, not x_0")
    expect_shape(out, (), "one number: the mean over the batch")
    t, eps = seen[-1]
    expect_shape(t, (20_000,), "each example gets a time of its own: t has the shape (B,)")
    hint = "the time 0 came up: nothing is noised there; randint(1, T + 1, …) draws 1 … T"
    expect(t.min() >= 1, hint)
    hint = "the time T never came up: randint's upper end is left out, and len(alpha_bar) is T + 1"
    expect(t.max() == 20, hint)
    expect_shape(eps, (20_000, 2), "the noise has the shape of x_0")
    expect(abs(eps.std().item() - 1) < 0.05 and abs(eps.mean().item()) < 0.05, "the noise is N(0, I): randn")
    hint = "with a model that answers 0 the loss must be the mean of ε², which is 1: a mean, not a sum"
    expect(out.item() < 2, hint)
    expect_close(out, eps.square().mean(), "compare the answer with the noise ε: (model − ε)², averaged")
    right = call(fn, lambda xt, t: (xt - schedule[t][:, None].sqrt() * x0) / (1 - schedule[t][:, None]).sqrt(),
                 x0, schedule, noise)  # fmt: skip
    expect_close(right, 0.0, "a model that knows the noise must have the loss 0", atol=1e-12)


@exercise(
    "06.ancestral", verified="an oracle reaches x_0; the right spread on the way; clip and generator used"
)
def ancestral(fn):
    schedule = _schedule()
    times = list(range(20, -1, -1))
    x0, start = _pair(400, 2)
    out = call(fn, _oracle(schedule, x0), start, times, schedule, _step)
    expect_shape(out, (400, 2), "as many points as at the start")
    expect(
        torch.isfinite(out).all(), "it gives inf or nan: is the noise multiplied by the root of the variance?"
    )
    hint = "an oracle must be led to its x_0: guess x_0 from ε̂ first, then draw from step(x0, x, a_t, a_s)"
    expect_close(out, x0, hint, atol=1e-6)
    part = call(fn, _oracle(schedule, x0), start, times[:12], schedule, _step)
    a = schedule[times[11]]
    left = part - a.sqrt() * x0
    expect(
        left.std() > 0.5 * (1 - a).sqrt(),
        "on the way too little noise is left: add √variance times new noise in each step",
    )
    hint = "the noise on the way has the wrong size: the standard deviation is the root of the variance"
    expect(abs(left.std().item() - (1 - a).sqrt().item()) < 0.1 * (1 - a).sqrt(), hint)
    asked = []

    def wild(x, t):
        asked.append(t)
        return -100 * torch.ones_like(x)

    clipped = call(fn, wild, start, times, schedule, _step, 1.5)
    expect(asked[0] == 20 and asked[-1] == 1, "ask the model at t = times[0] first, and never at 0")
    expect_close(clipped, torch.full_like(start, 1.5), "clamp the guess at x_0 to ±clip before `step`")
    twice = [
        call(fn, _oracle(schedule, 0 * x0), start, times[:5], schedule, _step, math.inf,
             torch.Generator().manual_seed(3)) for _ in range(2)
    ]  # fmt: skip
    expect_close(*twice, "the same generator must give the same draws: torch.randn(…, generator=generator)")


@exercise("06.too_narrow", verified="the oracle still arrives, and the spread of N(0, 1) is lost")
def too_narrow(fn):
    schedule = torch.logspace(0, -4, 201, dtype=torch.float64)  # steps so small that Algorithm 2 is exact
    times = list(range(200, -1, -1))
    x0, start = _pair(2_000, 1)
    out = call(fn, _oracle(schedule, x0), start, times, schedule, _step)
    expect_shape(out, (2_000, 1), "as many points as at the start")
    expect_close(
        out, x0, "an oracle must still be led to its x_0: change only how the noise enters", atol=1e-6
    )
    out = call(fn, lambda x, t: (1 - schedule[t]).sqrt() * x, start, times, schedule, _step)
    variance = out.var().item()
    expect(variance < 1.5, "the spread has grown: that is another failure")
    expect(variance < 0.75, "the draws of N(0, 1) still have about its variance: nothing is broken yet")
    expect(variance < 0.5, "the variance has shrunk, but not to less than half")


@exercise("06.percentage", verified="your number is on record")
def percentage(fn):
    out = call(fn)
    number = isinstance(out, int | float) and not isinstance(out, bool)
    expect(number, "return a number, for instance 50")
    expect(0 <= out <= 100, "a percentage lies between 0 and 100")


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
