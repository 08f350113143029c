"""Properties of lesson 06's exercises."""

import math

import torch

from course_utils.checks.machinery import (
    call,
    exercise,
    expect,
    expect_any_device,
    expect_close,
    expect_like,
    expect_shape,
)
from course_utils.checks.mistakes import expect_normal, expect_number, expect_value
from course_utils.checks.walks import Walk, equation_3, near, noise_is_right

TIMES = [20, 17, 11, 6, 4, 1, 0]  # a way back in uneven steps


def _schedule():
    """A schedule ᾱ_0 … ᾱ_20 (21,), float64, from 1 down to about 0.01, in factors that all differ."""
    alpha = 1 - torch.linspace(0.02, 0.4, 20, dtype=torch.float64)
    return torch.cat([alpha.new_ones(1), alpha.cumprod(0)])


def _pair(*shape):
    """Two independent standard normal tensors, float64."""
    return torch.randn(2, *shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def _noised(x0, t, eps, alpha_bar):
    """Equation (2)."""
    a = alpha_bar.to(x0)[t].reshape(-1, *[1] * (x0.dim() - 1))
    return a.sqrt() * x0 + (1 - a).sqrt() * eps


@exercise(
    "06.q_sample",
    verified="each example at its own time, points and images, both ends, float32 and float64",
)
def q_sample(fn):
    schedule = _schedule()
    x0, eps = _pair(4, 2)
    t = torch.tensor([0, 12, 5, 20])
    out = call(fn, x0, t, eps, schedule)
    expect_shape(out, (4, 2), "as many rows as examples; ᾱ needs the shape (B, 1) to multiply rows")
    a = schedule[t][:, None]
    signal, size = a.sqrt(), (1 - a).sqrt()
    causes = [
        (size * x0 + signal * eps, "signal and noise are exchanged: ᾱ_0 = 1 is clean"),
        (signal * x0 + (1 - a) * eps, "the noise is multiplied by the root of 1 − ᾱ: its variance is 1 − ᾱ"),
        (a * x0 + size * eps, "the data are multiplied by the root of ᾱ, not by ᾱ itself"),
        (a * x0 + (1 - a) * eps, "both factors are roots: √ᾱ_t and √(1 − ᾱ_t)"),
        (signal * x0 + eps, "the noise needs a factor, too: √(1 − ᾱ_t)"),
        (x0 + size * eps, "the data must shrink as the noise grows: multiply them by √ᾱ_t"),
        (signal * x0 + (1 - signal) * eps, "the factor of the noise is √(1 − ᾱ_t), not 1 − √ᾱ_t"),
        (signal * x0 - size * eps, "the noise is added, not subtracted"),
    ]
    hint = "the index is off by one: alpha_bar[0] is 1, at t = 0 nothing is noised, x_t must be x_0"
    for shift in (-1, 0):  # alpha_bar[1:] indexed by t − 1, with or without a clamp at 0, and by t
        table = schedule[1:] if shift else torch.cat([schedule[1:], schedule[:1]])
        causes += [(_noised(x0, t + shift, eps, table), hint)]
        causes += [(_noised(x0, (t + shift).clamp(min=0), eps, table), hint)]
    for row in range(4):
        one = _noised(x0, t[[row] * 4], eps, schedule)
        causes += [(one, f"every row has a time of its own; yours all have that of row {row}")]
    right = _noised(x0, t, eps, schedule)
    expect_value(out, right, "x_t = √ᾱ_t x_0 + √(1 − ᾱ_t) ε, with ᾱ of each row's own t", causes)
    t = torch.tensor([3, 12, 5, 20, 0, 9])
    for shape in ((6, 1, 6, 5), (6, 6, 3)):
        x0, eps = _pair(*shape)
        axes = ", ".join(["B"] + ["1"] * (len(shape) - 1))
        hint = f"x_0 of shape {shape} needs ᾱ of shape ({axes}): view it with as many axes as x_0 has"
        out = call(fn, x0, t, eps, schedule)
        expect_shape(out, shape, hint)
        expect_close(out, _noised(x0, t, eps, schedule), hint)
    x0, eps = x0.float(), eps.float()
    hint = "convert the schedule, not the images: alpha_bar.to(x0)"
    expect_like(call(fn, x0, t, eps, schedule), x0, hint)
    hint = "alpha_bar lies on the CPU, x0, t and eps on the GPU: move it first, alpha_bar.to(x0)[t]"
    expect_any_device(lambda x0, t, eps: fn(x0, t, eps, schedule), x0, t, eps, hint=hint)


def _by_bayes(x0, xt, a_t, a_s):
    """Mean and variance of q(x_s | x_t, x_0) for two numbers, from q(x_t | x_s) q(x_s | x_0) on a grid."""
    grid = torch.linspace(-8, 8, 16_001, dtype=torch.float64)  # x_s
    joint = -((xt - (a_t / a_s).sqrt() * grid) ** 2) / (2 * (1 - a_t / a_s))
    joint = joint - (grid - a_s.sqrt() * x0) ** 2 / (2 * (1 - a_s))
    weight = torch.softmax(joint, 0)
    centre = (weight * grid).sum()
    return centre, (weight * (grid - centre) ** 2).sum()


def _variance_causes(a_t, a_s):
    b = 1 - a_t / a_s
    right = (1 - a_s) / (1 - a_t) * b
    step = "β of a jump is 1 − ᾱ_t/ᾱ_s, also over several steps"
    return (
        (b, "that is β_t; x_0 is known as well, which leaves less: (1 − ᾱ_s)/(1 − ᾱ_t) β"),
        (right.sqrt(), "return the variance, not the standard deviation"),
        (right.square(), "that is the square of the variance: return the variance itself"),
        ((1 - a_t) / (1 - a_s) * b, "the quotient of the variance is upside down: (1 − ᾱ_s)/(1 − ᾱ_t)"),
        ((1 - a_s) / (1 - a_t) * (1 - b), f"{step}, not ᾱ_t/ᾱ_s"),
        (1 - a_s, f"{step}, not 1 − ᾱ_t; x_s lies between x_0 and x_t"),
        ((1 - a_s) / (1 - a_t) * (a_s - a_t), f"{step}, not ᾱ_s − ᾱ_t"),
    )


def _mean_causes(x0, xt, a_t, a_s):
    a, left, b = a_t / a_s, 1 - a_s, 1 - a_t / a_s
    mean = equation_3(x0, xt, a_t, a_s)[0]
    return (
        (equation_3(xt, x0, a_t, a_s)[0], "the weights of x_0 and x_t are exchanged"),
        (
            (a * left * xt + a_s.sqrt() * b * x0) / (1 - a_t),
            "x_t has the weight √(ᾱ_t/ᾱ_s) (1 − ᾱ_s)/(1 − ᾱ_t): where is its root?",
        ),
        (
            (a.sqrt() * left * xt + a_s * b * x0) / (1 - a_t),
            "x_0 has the weight √ᾱ_s β/(1 − ᾱ_t): where is its root?",
        ),
        (mean * (1 - a_t), "the mean must be divided by 1 − ᾱ_t"),
        (a.sqrt() * left * xt / (1 - a_t), "that is the mean without x_0: x_0 pulls, too"),
        (a_s.sqrt() * x0, "that is √ᾱ_s x_0, the mean of q(x_s | x_0): x_t says something, too"),
    )


@exercise(
    "06.posterior",
    verified="Bayes' rule on a grid, steps and jumps, the end at s = 0, points and images, float32 and float64",
)
def posterior(fn):
    schedule = _schedule()
    x0, xt = _pair(5, 2)
    for t, s in ((8, 7), (20, 4), (19, 12)):
        a_t, a_s = schedule[t], schedule[s]
        out = call(fn, x0, xt, a_t, a_s)
        expect(isinstance(out, tuple | list) and len(out) == 2, "return two things: mean, variance")
        mean, variance = out
        expect_shape(mean, (5, 2), "one mean for each entry of x_t")
        hint = "the variance depends on the times only; leave it a tensor, the next cells take its .sqrt()"
        expect_shape(variance, (), hint)
        right = equation_3(x0, xt, a_t, a_s)
        hint = "the variance is not that of q(x_t | x_s) q(x_s | x_0): precisions add"
        expect_value(variance, right[1], hint, _variance_causes(a_t, a_s))
        hint = "the mean is not that of q(x_t | x_s) q(x_s | x_0)"
        expect_value(mean, right[0], hint, _mean_causes(x0, xt, a_t, a_s))
        for i in range(2):
            centre, spread = _by_bayes(x0[i, 1], xt[i, 1], a_t, a_s)
            expect_close(mean[i, 1], centre, "the mean disagrees with Bayes' rule on a grid", atol=1e-4)
            expect_close(variance, spread, "the variance disagrees with Bayes' rule on a grid")
    mean, variance = call(fn, x0, xt, schedule[1], schedule[0])
    finite = torch.isfinite(mean).all()
    expect(finite, "you divide by 1 − ᾱ_s, which is 0 at s = 0: multiply out, as (3) does")
    expect_close(mean, x0, "at s = 0 the mean must be x_0 itself")
    expect_close(variance, 0.0, "at s = 0 nothing is left to chance: variance 0", atol=1e-12)
    early = schedule.new_tensor([1 - 9e-5, 1 - 4e-5])  # the first steps of a long schedule
    for found, right in zip(call(fn, x0, xt, *early), equation_3(x0, xt, *early)):
        hint = "near t = 0 digits get lost: compute with ᾱ as it comes, in float64"
        expect_close(found, right, hint, atol=0)
    x0, xt = _pair(3, 1, 4, 5).float()
    mean, _ = call(fn, x0, xt, schedule[8], schedule[7])
    expect_shape(mean, (3, 1, 4, 5), "images: ᾱ is one number, leave its shape ()")
    hint = "leave ᾱ without axes: a tensor of shape () converts nothing, one of shape (1, 1) does"
    expect_like(mean, x0, hint)
    expect_close(mean, equation_3(x0, xt, schedule[8], schedule[7])[0], "images: the mean is off")


def _loss_causes(answer, eps, x0):
    gaps = answer - eps
    return (
        (gaps.square().sum(), "the mean over all numbers, not a sum"),
        (
            gaps.square().flatten(1).sum(1).mean(),
            "within each example you add, and only then average: the mean over all numbers is asked for",
        ),
        (gaps.square().mean().sqrt(), "the mean of squares, without a root"),
        (gaps.abs().mean(), "the mean of squares, not of absolute values"),
        (gaps.square().mean() / 2, "no factor ½: the mean of the squares itself"),
        ((answer - x0).square().mean(), "compare the answer with the noise ε, not with the data"),
        ((answer + eps).square().mean(), "the difference of the answer and ε, not their sum"),
        (gaps.mean().square(), "square each difference before you average"),
        (answer.square().mean(), "the answer itself is no error: subtract the noise ε from it"),
        (-gaps.square().mean(), "the loss is turned: squares are positive, and less is better"),
    )


def _times_are_right(t, last, size):
    """Raise Wrong unless t (size,) are int64, uniform on 1 … last."""
    expect_shape(t, (size,), "each example gets a time of its own: t has the shape (B,)")
    expect(t.dtype == torch.int64, "times are whole numbers, int64: they index alpha_bar; randint draws them")
    hint = "the time 0 came up: nothing is noised there; randint(1, T + 1, …) draws 1 … T"
    expect(t.min() >= 1, hint)
    hint = "the time T never came up: randint's upper end is left out, and len(alpha_bar) is T + 1"
    expect(t.max() == last, hint)
    share = t.bincount(minlength=last + 1)[1:] * last / size  # 1 each, up to √(last / size)
    hint = "all times 1 … T must be equally likely: torch.randint"
    expect((share - 1).abs().max() < 6 * math.sqrt(last / size), hint)


@exercise(
    "06.simple_loss",
    verified="times 1 … T, one an example, drawn anew; the mean of (ε̂ − ε)² and its gradient, points and images",
)
def simple_loss(fn):
    schedule, seen, told = _schedule(), [], []
    weight = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)

    def noise(x0, t, eps, alpha_bar):
        seen.append((x0, t, eps))
        return _noised(x0, t, eps, alpha_bar)

    def model(xt, t):
        told.append((xt, t))
        late = torch.as_tensor(t).to(xt).reshape(-1, *[1] * (xt.dim() - 1))
        return weight.to(xt) * (2 + torch.tanh(xt) + 0.1 * late)

    for x0 in (_pair(20_000, 2)[0] - 1.5, _pair(5_000, 1, 3, 2)[0].float()):
        seen.clear(), told.clear()
        out = call(fn, model, x0, schedule, noise)
        expect(seen and told, "use noise(x0, t, eps, alpha_bar): the model must see x_t, not x_0")
        data, t, eps = seen[-1]
        _times_are_right(t, 20, len(x0))
        expect_shape(eps, tuple(x0.shape), "the noise has the shape of x_0")
        hint = "the noise is N(0, I), a number of its own for each of x_0: randn_like"
        flat = eps.flatten(1).double()
        expect(abs(eps.std().item() - 1) < 0.05 and (flat.mean(0).abs() < 0.1).all(), hint)
        expect(
            abs((flat[:, 0] * flat[:, 1]).mean().item()) < 0.1 and (flat.std(0) - 1).abs().max() < 0.1, hint
        )
        expect_normal(eps.double(), 1.0, hint)
        expect_close(data, x0, "noise the data as they come: noise(x0, …)")
        expect_close(told[-1][1], t, "tell the model the same times t at which you noised")
        expect_close(
            told[-1][0], _noised(x0, t, eps, schedule), "the model must see x_t, what `noise` returns"
        )
        expect_shape(out, (), "one number: the mean over the batch")
        answer = model(_noised(x0, t, eps, schedule), t)
        right = (answer - eps).square().mean()
        hint = "compare the answer with the noise ε: (model − ε)², averaged"
        expect_value(out, right, hint, _loss_causes(answer, eps, x0))
        hint = "the loss carries no gradient to the model: no detach, no no_grad, no new tensor from numbers"
        expect(out.requires_grad, hint)
        grad = torch.autograd.grad(out, weight, retain_graph=True, allow_unused=True)[0]
        expect(grad is not None, hint)
        expect_close(grad, torch.autograd.grad(right, weight)[0], hint)
        expect(
            weight.grad is None, "leave backward() to the training: here it leaves a gradient in the model"
        )
    expect(out.dtype == torch.float32, "float32 data must give a float32 loss: draw the noise like x_0")
    call(fn, model, x0, schedule, noise)
    hint = "times and noise must be drawn anew in each call: no seed and nothing fixed inside"
    expect(not torch.equal(seen[-1][1], t) and not torch.equal(seen[-1][2], eps), hint)
    call(fn, model, x0, schedule[:4], noise)
    _times_are_right(seen[-1][1], 3, len(x0))
    _loss_on_any_device(fn, schedule)


def _loss_on_any_device(fn, schedule):
    """Raise Wrong if times or noise are not made where x_0 lies."""
    met = []

    def noise(x0, t, eps, alpha_bar):
        met.append(t.device == x0.device)
        return _noised(x0, t, eps, alpha_bar)

    def loss(x0):
        return fn(lambda xt, t: xt, x0, schedule, noise)

    expect_any_device(loss, torch.zeros(4, 3), hint="make times and noise where x_0 lies")
    expect(all(met), "the times lie on the CPU when x_0 is on a GPU: randint(…, device=x0.device)")


def _oracle(schedule, x0):
    """The predictor that knows the one x_0."""
    return lambda x, t: (x - schedule[t].sqrt() * x0) / (1 - schedule[t]).sqrt()


@exercise(
    "06.ancestral",
    verified=(
        "every step of a way in uneven steps: the guess, its clamp and new noise of the right size; an oracle"
        " reaches x_0; points and images, float32 and float64; the generator is used"
    ),
)
def ancestral(fn):
    schedule = _schedule()
    x0, start = _pair(2_000, 2)
    oracle = _oracle(schedule, x0)
    walk = Walk(fn, oracle, start, TIMES, schedule)
    walk.goes_along(TIMES, schedule)
    walk.guesses(oracle, schedule)
    noise_is_right(walk.noises()[:-1])
    expect_close(walk.out, x0, "an oracle must be led to its x_0: return the last x", atol=1e-6)
    part = Walk(fn, oracle, start, TIMES[:4], schedule)
    part.goes_along(TIMES[:4], schedule)
    expect(not near(part.out, x0), "return the last x, not the guess at x_0: times need not end at 0")
    noise_is_right(part.noises())

    def wild(x, t):
        return 3 * torch.sin(5 * x) + 2

    wide = Walk(fn, wild, start, TIMES, schedule)
    wide.guesses(wild, schedule)
    clipped = Walk(fn, wild, start, TIMES, schedule, 1.5)
    clipped.guesses(wild, schedule, 1.5)
    states = torch.stack([x for _, x in clipped.asked[1:]])
    expect(states.abs().max() > 1.6, "clamp the guess at x_0, not x itself: x carries noise, too")
    _generator_is_used(fn, oracle, start, schedule)
    images = _pair(6, 1, 3, 4)[1].float()
    out = Walk(fn, wild, images, TIMES, schedule, 1.0).out
    expect_like(out, images, "draw the noise with the dtype of x, and leave ᾱ a tensor of shape ()")
    expect_any_device(
        lambda x: fn(lambda x, t: 0 * x, x, TIMES, schedule, equation_3, 1.0, torch.Generator()),
        images,
        hint="the generator draws on the CPU, and x is elsewhere: torch.randn(…, generator=generator).to(x)",
    )


def _generator_is_used(fn, predict, start, schedule):
    """Raise Wrong unless draws are those of the generator given, or else of torch's own."""

    def draw(generator):
        return Walk(fn, predict, start, TIMES[:4], schedule, math.inf, generator).out

    first = torch.Generator().manual_seed(3)
    once = draw(first)
    hint = "the same generator must give the same draws: torch.randn(…, generator=generator)"
    expect_close(draw(torch.Generator().manual_seed(3)), once, hint)
    other = draw(torch.Generator().manual_seed(4))
    expect(
        not near(other, once), "another generator must give other draws: no seed and none of your own inside"
    )
    hint = "the same generator, used again, must give new draws: draw from it and do not start it again"
    expect(not near(draw(first), once), hint)
    hint = "without a generator each call must draw anew: no seed and no generator of your own inside"
    expect(not near(draw(None), draw(None)), hint)


@exercise(
    "06.too_narrow",
    verified="it walks all the times, the oracle still arrives, and the spread of N(0, 1) is lost",
)
def too_narrow(fn):
    schedule = torch.logspace(0, -4, 401, dtype=torch.float64)  # steps so small that Algorithm 2 is exact
    times = [t for t in range(400, -1, -1) if t % 3 != 1]  # gaps of 1 and 2 by turns
    x0, start = _pair(2_000, 1)
    walk = Walk(fn, _oracle(schedule, x0), start, times, schedule)
    hint = (
        "ask the model at every one of `times` but the last, in their order: change only how the noise enters"
    )
    expect([t for t, _ in walk.asked] == times[:-1], hint)
    expect(torch.isfinite(walk.out).all(), "it gives inf or nan; is there a root of a negative number?")
    hint = "an oracle must still be led to its x_0: change only how the noise enters"
    expect_close(walk.out, x0, hint, atol=1e-6)
    out = Walk(fn, lambda x, t: (1 - schedule[t]).sqrt() * x, start, times, schedule).out
    variance = out.var().item()
    expect(variance < 1.5, "the spread has grown: that is another failure")
    expect(variance < 0.75, "the draws of N(0, 1) still have about its variance: nothing is broken yet")
    expect(variance < 0.5, "the variance has shrunk, but not to less than half")


@exercise("06.percentage", verified="your number is on record")
def percentage(fn):
    out = call(fn)
    expect_number(out, "the percentage")
    expect(0 <= out <= 100, "a percentage lies between 0 and 100")


@exercise(
    "06.guidance",
    verified="w = 0 ignores the label, w = 1 obeys it, and on both sides the line goes on; float32 stays",
)
def guidance(fn):
    free, told = _pair(4, 1, 3, 5)
    more = told - free
    for w in (3.0, 0.0, 1.0, 0.3, -0.5):
        out = call(fn, free, told, w)
        expect_shape(out, (4, 1, 3, 5), "as many numbers as a prediction has")
        causes = (
            (told - w * more, "the two predictions are exchanged: w = 0 must ignore the label"),
            (
                told + w * more,
                "that is (1 + w) ε_y − w ε, the other convention: here w = 1 is the plain conditional model",
            ),
            (
                free - w * more,
                "the difference is turned: from the prediction without label TO the one with it",
            ),
            (
                free + w * told,
                "w scales the difference of the two: w = 1 must give the prediction with label",
            ),
            (
                free + min(max(w, 0.0), 1.0) * more,
                "w above 1 must go beyond the conditional prediction: do not clip w",
            ),
            (free + w**2 * more, "w itself scales the difference, not its square"),
            (w * more, "that is only the difference: add it to the prediction without label"),
        )
        hint = "(11): start at the prediction without label, go w times the way to the other"
        expect_value(out, free + w * more, hint, causes)
    for shape in ((7, 2), (3,)):
        free, told = _pair(*shape).float()
        out = call(fn, free, told, 2.0)
        expect_like(out, free, "nothing here needs another dtype than that of the predictions")
        expect_close(out, 2 * told - free, "(11) holds for predictions of any shape")
