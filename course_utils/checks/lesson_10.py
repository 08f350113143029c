"""Checks of lesson 10: change of variables, coupling, a guess, bits with noise, noise that cheats, a mixing matrix."""

import math

import torch

from course_utils.checks.machinery import (
    call,
    exercise,
    expect,
    expect_any_device,
    expect_close,
    expect_gradient,
    expect_like,
    expect_shape,
)
from course_utils.checks.mistakes import expect_double, expect_value, explained, is_number, normal, pair_of


def _rising_back(x):
    return torch.asinh((x - 1) / 2)


def _rising_slope(z):
    return 2 * torch.cosh(z)


def _falling_back(x):
    return torch.log(-x)


def _falling_slope(z):
    return -torch.exp(z)


def _gauss(z):
    return -0.5 * (z**2 + math.log(2 * math.pi))


@exercise(
    "10.density",
    verified="a rising map and a falling one, by their values; a gradient passes; float64 stays",
)
def log_density(fn):
    x = 2 * torch.sinh(normal(7, seed=1)) + 1
    out = call(fn, x, _rising_back, _rising_slope)
    expect_shape(out, (7,), "one number a point: (N,).")
    z = _rising_back(x)
    ledger = _rising_slope(z).log()
    true = _gauss(z) - ledger
    elsewhere = _rising_slope(x).log()
    mistakes = [
        (_gauss(z) + ledger, "the ledger has the wrong sign: where f stretches, the density gets lower."),
        (_gauss(z), "the ledger is missing: subtract log|f′(z)|."),
        (_gauss(z) - elsewhere, "the slope is taken at x: f′ is a function of z."),
        (
            _gauss(x) - elsewhere,
            "the inverse is not taken: both the Gaussian and the slope belong to z = to_noise(x).",
        ),
        (_gauss(x) - ledger, "the Gaussian is asked at x: its place is z = to_noise(x)."),
        (_gauss(x) + ledger, "the Gaussian is asked at x, and the ledger has the wrong sign."),
        (true.exp(), "this is p(x): return its logarithm."),
        (_gauss(z) - ledger.exp(), "the stretch itself is subtracted: take its logarithm."),
        (-0.5 * z**2 - ledger, "the constant of the Gaussian is missing: −½ log 2π."),
        (-(z**2) - ledger - 0.5 * math.log(2 * math.pi), "the half before z² is missing."),
        (-0.5 * z**2 - math.log(2 * math.pi) - ledger, "the constant is −½ log 2π, not −log 2π."),
        (true.sum().expand(7), "this is the sum over the points: one number a point is asked for."),
        (true.mean().expand(7), "this is the mean over the points: one number a point is asked for."),
        (-true, "the sign is turned: log p, not −log p."),
    ]
    expect_value(out, true, "log p(x) = log N(z; 0, 1) − log|f′(z)| with z = to_noise(x).", mistakes)
    expect_double(out, true)
    below = -normal(5, seed=2).exp()
    out = call(fn, below, _falling_back, _falling_slope)
    hint = "a falling map has a negative slope: take its absolute value before the logarithm."
    expect(torch.isfinite(torch.as_tensor(out)).all(), hint)
    z = _falling_back(below)
    expect_value(out, _gauss(z) - z, hint)
    free = x.clone().requires_grad_()
    expect_gradient(call(fn, free, _rising_back, _rising_slope), free, hint="no detach, no .item().")
    expect_like(call(fn, x.float(), _rising_back, _rising_slope), x.float())
    expect_any_device(fn, x.float(), _rising_back, _rising_slope)


def _terms(a):
    """Stretch and shift of the check: neither of mean zero, and not the same."""
    return 0.7 * torch.sin(a) + 0.2, torch.cos(2 * a) + 0.5 * a


def _forward_mistakes(a, b, s, t):
    """What usual slips make of (3), of the moved half: pairs (value, hint)."""
    s_b, t_b = _terms(b)
    cat = lambda c: torch.cat([a, c], 1)  # noqa: E731
    return [
        (
            cat(b * s_b.exp() + t_b),
            "s and t come from x_b: ask the half that stays, x_a, or nobody can go back.",
        ),
        (torch.cat([a * s_b.exp() + t_b, b], 1), "the first half moves: it stays, and the second one moves."),
        (
            torch.cat([b * s.exp() + t, a], 1),
            "the halves have changed places: join x_a and the moved half in this order.",
        ),
        (cat(b * s + t), "the exponential is missing: the stretch is e^s."),
        (cat((b + t) * s.exp()), "shifted before stretched: (3) stretches first."),
        (cat((b - t) * (-s).exp()), "this is the way back: there and back are exchanged."),
        (cat(b * s.exp() - t), "the shift is subtracted: + t on the way there."),
        (cat(b * s.exp()), "the shift t is missing."),
        (cat(b + t), "the stretch e^s is missing."),
        (b * s.exp() + t, "only the moved half is returned: join it to x_a."),
    ]


def _back_mistakes(a, b, s, t):
    cat = lambda c: torch.cat([a, c], 1)  # noqa: E731
    return [
        (cat(b * s.exp() + t), "back=True does the same as without: undo the coupling."),
        (cat((b - t) * s.exp()), "on the way back divide by e^s: multiply by e^(−s)."),
        (cat(b * (-s).exp() - t), "on the way back subtract t first, then shrink."),
        (cat((b - t) / s), "on the way back the exponential is forgotten: divide by e^s, not by s."),
        (cat((b - t) * -s), "on the way back the exponential is forgotten: multiply by e^(−s)."),
        (cat(b - t), "on the way back the stretch is not undone."),
        (cat((b + t) * (-s).exp()), "on the way back t is subtracted."),
    ]


def _line_mistakes(s, t):
    """What usual slips make of the ledger."""
    n = s[0].numel()
    return [
        (-s.flatten(1).sum(1), "the line in the ledger has the wrong sign."),
        (s.flatten(1).mean(1), "the ledger is the sum of s, not the mean."),
        (s.flatten(1).sum(1).exp(), "the ledger holds logarithms: Σ s, no exponential."),
        (s.exp().flatten(1).sum(1), "the determinant is the product of the e^s: its logarithm is Σ s."),
        (t.flatten(1).sum(1), "the ledger sums t: a shift stretches nothing."),
        ((s + t).flatten(1).sum(1), "t is in the ledger: a shift stretches nothing."),
        (2 * s.flatten(1).sum(1), "the ledger counts s twice."),
        (s.sum().expand(len(s)), "the ledger is summed over the batch: one number an image, (B,)."),
        (torch.zeros(len(s)), f"the ledger is empty: it is the sum of the {n} numbers s of each image."),
    ]


@exercise(
    "10.couple",
    verified="there and back, pictures and points of the plane; the ledger of both ways; the gradient of both",
)
def couple(fn):
    hint = "return two things: what the coupling makes of x, and its line in the ledger, (B,)."
    for shape in ((3, 6, 2, 5), (5, 2)):
        x = normal(*shape, seed=3)
        a, b = x.chunk(2, 1)
        s, t = _terms(a)
        y, line = pair_of(call(fn, x, _terms), hint)
        mistakes = _forward_mistakes(a, b, s, t)
        expect_value(y, torch.cat([a, b * s.exp() + t], 1), "y_a = x_a, y_b = x_b · e^s + t.", mistakes)
        if isinstance(line, torch.Tensor) and line.shape != (shape[0],):
            expect(line.dim() > 0, "the ledger is summed over the batch, too: one number an image, (B,).")
            each = "the ledger is summed over all axes but the first: (B,)."
            expect_shape(line, (shape[0],), each)
        ledger = s.flatten(1).sum(1)
        expect_value(line, ledger, "log|det| = Σ s, over all axes but the first.", _line_mistakes(s, t))
        expect_double(y, torch.cat([a, b * s.exp() + t], 1))
        with explained("The ledger."):
            expect_double(line, ledger)
        again, line = pair_of(call(fn, x, _terms, back=True), hint)
        true = torch.cat([a, (b - t) * (-s).exp()], 1)
        expect_value(again, true, "back: x_b = (y_b − t) · e^(−s).", _back_mistakes(a, b, s, t))
        why = "the ledger of the way back is −Σ s: what was stretched is pressed together."
        expect_value(line, -ledger, why)
        with explained("The way back."):
            expect_double(again, true)
        with explained("The ledger of the way back."):
            expect_double(line, -ledger)
    for back in (False, True):
        _couple_learns(fn, normal(2, 4, 3, 2, seed=4), back)
        for name, part in zip(("the result", "the ledger"), call(fn, x.float(), _terms, back=back)):
            with explained(f"Look at {name}, {_way(back)}."):
                expect_like(part, x.float())
        expect_any_device(fn, x.float(), _terms, back=back)


def _way(back):
    return "on the way back" if back else "on the way there"


def _couple_learns(fn, x, back):
    """Whether the slope of a loss made of both results is that of (3) or of its way back."""
    free = x.clone().requires_grad_()
    y, line = call(fn, free, _terms, back=back)
    hint = f"what it makes of x is detached {_way(back)}: no .detach(), no torch.no_grad."
    expect_gradient(y, free, hint=hint)
    expect_gradient(line, free, hint=f"the ledger is detached {_way(back)}: no .item(), no .detach().")
    a, b = free.chunk(2, 1)
    s, t = _terms(a)
    moved, sign = ((b - t) * (-s).exp(), -1) if back else (b * s.exp() + t, 1)
    (true,) = torch.autograd.grad(a.sum() + moved.sum() + sign * s.sum(), free)
    (found,) = torch.autograd.grad(y.sum() + line.sum(), free)
    hint = f"the values are right, the gradient is not, {_way(back)}: a part of it is detached, x_a, s or t."
    expect_close(found, true, hint)


@exercise("10.share", verified="a share in per cent; the table after the next figure compares it")
def my_share(fn):
    share = call(fn)
    expect(not isinstance(share, str | bytes), "return a number, not a text: return 2.0.")
    expect(is_number(share), "return one number, the share in per cent.")
    expect(math.isfinite(float(share)), "return a finite number from 0 to 100.")
    expect(float(share) >= 0, "no share is negative: a number from 0 to 100.")
    expect(float(share) <= 100, "no share is above 100 per cent.")


class _Page:
    """A log-density with a weight that can be trained, on pages that are not square."""

    def __init__(self, weight):
        self.weight = weight

    def __call__(self, x):
        return (self.weight * (x - 0.3).square() + x).flatten(1).sum(1)


@exercise(
    "10.bits",
    verified="bits of two shapes of images; the noise fills its cell; a gradient reaches the model",
)
def dequantised_bits(fn):
    weight = torch.tensor(-7.0, dtype=torch.double)
    log_p = _Page(weight)
    for shape in ((4, 1, 3, 5), (1, 8)):
        g = torch.Generator().manual_seed(4)
        levels = torch.randint(0, 256, shape, generator=g).double()
        u = torch.rand(shape, generator=g, dtype=torch.double)
        D = levels[0].numel()
        out = call(fn, log_p, levels, u)
        expect_shape(out, (shape[0],), "one number an image: (B,).")
        nats = log_p((levels + u) / 256)

        def bits(x, plus=8.0, sign=-1.0, dims=D):
            return plus + sign * log_p(x) / (dims * math.log(2))

        x = (levels + u) / 256
        mistakes = [
            (bits((levels + u) / 255), "255 for 256: with noise the levels fill 256 cells."),
            (bits((levels + u) / 255, math.log2(255)), "255 for 256: with noise the levels fill 256 cells."),
            (bits(x, math.log2(255)), "log₂ 255 for 8: there are 256 cells."),
            (bits(x, 0.0), "the 8 is forgotten: the density on [0, 1) is denser by 256 a pixel."),
            (bits(x, -8.0), "the 8 is subtracted: squeezing into [0, 1) made the density larger; add it."),
            (bits(x, 8.0, 1.0), "the sign is turned: a high log p means few bits."),
            (8 - nats / D, "these are nats: divide by log 2."),
            (8 - nats / math.log(2), "these are bits an image: divide by its number of pixels."),
            (8 * D - nats / math.log(2), "these are bits an image: divide by its number of pixels."),
            (bits(x, 8.0, -1.0, 784), "D = 784 is written down: take the number of pixels of these images."),
            (bits(x, 8.0, -1.0, shape[-1]), "D is the number of all pixels of an image, not of one axis."),
            (bits(levels / 256), "the noise is missing: these are the bare whole numbers."),
            (bits(levels / 255), "the noise is missing: these are the bare whole numbers."),
            (bits((levels + u / 2) / 256), "the noise fills half of the cell: u from 0 to 1 is needed."),
            (
                bits((levels + u - 0.5) / 256),
                "the noise is centred: the cell of a level begins at it, u is not shifted.",
            ),
            (bits(levels / 256 + u), "the noise is not scaled: add it before you divide by 256."),
            (bits(levels + u), "divide by 256: log_p takes numbers in [0, 1)."),
            (bits(x).mean().expand(shape[0]), "this is the mean over the images: one number an image."),
        ]
        expect_value(out, bits(x), "8 − log p((x + u)/256) / (D log 2).", mistakes)
        expect_double(out, bits(x))
    trained = _Page(weight.clone().requires_grad_())
    value = call(fn, trained, levels, u)
    expect_gradient(value, trained.weight, hint="the loss is made of it: no detach, no torch.no_grad.")
    small = _Page(torch.tensor(-7.0))
    expect_like(call(fn, small, levels.float(), u.float()), levels.float())
    expect_any_device(fn, lambda x: (x - 0.3).flatten(1).sum(1), levels.float(), u.float())


def _spread_evenly(noise, width):
    """Whether the values follow the uniform law on [0, width): Kolmogorov and Smirnov."""
    values = noise.flatten().sort().values
    law = (torch.arange(len(values)) + 0.5) / len(values)
    return float((values / width - law).abs().max()) < 1.95 / len(values) ** 0.5


@exercise(
    "10.noise",
    verified="for gains of 0, 1, 2.5 and 4 bits: uniform from 0 to exactly 2^−gain",
)
def narrow_noise(fn):
    g = torch.Generator().manual_seed(5)
    u = torch.rand(8_000, 3, generator=g, dtype=torch.double)
    for gain in (2.5, 1, 4, 0):
        out = call(fn, u, gain)
        expect_shape(out, (8_000, 3), "noise of u's shape.")
        part = 2.0**-gain
        mistakes = [
            (u * 2**gain, "multiplied: the part must get smaller as the gain grows."),
            (u**gain, "a power of u is not uniform."),
            (u / 10**gain, "ten for two: a bit is a factor of 2."),
            (u / math.e**gain, "e for two: a nat is a factor of e, a bit a factor of 2."),
            (u - gain, "shifted: this leaves the cell, and its width is the same."),
            (u * (1 - part), "this leaves out a part of width 2^−gain; on such a part the noise must lie."),
            (torch.full_like(u, part), "no noise at all: every entry is the same."),
        ]
        if gain not in (0, 1):
            each = "each *bit* halves the part, so 2 to the power of gain."
            mistakes += [(u / gain, f"u/gain: {each}"), (u / (2 * gain), f"u/(2·gain): {each}")]
        low, high = float(out.detach().min()), float(out.detach().max())
        fits = 0 <= low < 0.01 * part and abs(high / part - 1) < 0.01
        if not (fits and _spread_evenly(out.detach().cpu().double(), part)):
            hint = f"for a gain of {gain} the noise should be uniform from 0 to 2^−gain."
            for mistaken, why in mistakes:
                if gain:
                    expect(not torch.allclose(out.double(), mistaken), why)
            expect(high > low, "no noise at all: every entry is the same.")
            expect(low >= 0 and high < 1, f"this leaves the cell [0, 1). {hint}")
            elsewhere = abs((high - low) / part - 1) < 0.01 and low >= 0.01 * part
            expect(
                not elsewhere, "the width is right, but the part must begin at 0, the lower end of the cell."
            )
            expect(False, hint)
        alike = torch.corrcoef(out.detach().cpu().double().T) - torch.eye(3)
        hint = "entries of a row share their noise: each entry needs noise of its own, so take all of u."
        expect(float(alike.abs().max()) < 0.1, hint)
    expect_like(call(fn, u.float(), 1), u.float())
    expect_any_device(fn, u.float(), 1)


@exercise(
    "10.mix",
    verified="places that are not square, a negative determinant, one too small for float32; a gradient passes",
)
def mix_log_det(fn):
    weight = normal(3, 3, seed=6)
    if torch.linalg.det(weight) > 0:
        weight = weight[[1, 0, 2]]
    out = torch.as_tensor(call(fn, weight, 2, 5))
    expect_shape(out, (), "one number: the same for every image.")
    det = torch.linalg.det(weight)
    one = det.abs().log()
    hint = "the determinant is negative here: take its absolute value before the logarithm."
    expect(torch.isfinite(out).all(), hint)
    mistakes = [
        (one, "H·W is missing: W acts at every place."),
        (2 * one, "only one side of the page is counted: height times width."),
        (5 * one, "only one side of the page is counted: height times width."),
        (7 * one, "height plus width: it is height *times* width."),
        (30 * one, "the channels are counted, too: the determinant of W already has them."),
        (10 * det.abs(), "the logarithm is missing."),
        (10 * det, "the logarithm is missing."),
        (det.abs() ** 10, "this is the determinant of the whole map: take its logarithm."),
        (-10 * one, "the sign is turned: log|det|, not its negative."),
        (10 * one / math.log(2), "these are bits: the ledger is kept in nats."),
        (
            10 * weight.diagonal().abs().log().sum(),
            "the diagonal alone is no determinant: W is not triangular.",
        ),
        (10 * weight.abs().log().sum(), "the sum over all entries is no determinant."),
        (10 * weight.diagonal().sum(), "this is the trace: the determinant is asked for."),
    ]
    expect_value(out, 10 * one, "H · W · log|det W|.", mistakes)
    expect_double(out, 10 * one)
    small = 0.01 * torch.linalg.qr(normal(64, 64, seed=7))[0]
    true = 3 * 4 * 64 * math.log(0.01)
    hint = "the determinant of a large matrix underflows: torch.linalg.slogdet stays with logarithms."
    expect_value(call(fn, small.float(), 3, 4), true, hint)
    free = weight.clone().requires_grad_()
    expect_gradient(call(fn, free, 2, 5), free, hint="W is learned: no detach, no .item().")
    expect_like(call(fn, weight.float(), 2, 5), weight.float())
    expect_any_device(fn, weight.float(), 2, 5)
