"""Properties of lesson 06b's exercises."""

import torch
from torch.overrides import TorchFunctionMode

from course_utils.checks.machinery import (
    call,
    exercise,
    expect,
    expect_any_device,
    expect_close,
    expect_like,
    expect_shape,
)
from course_utils.checks.mistakes import expect_value


def _levels(*values):
    """Noise levels ᾱ, tensors (), float64."""
    return [torch.tensor(value, dtype=torch.float64) for value in values]


def _draws(count, *shape):
    """Independent standard normal tensors, float64."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(count, *shape, generator=generator, dtype=torch.float64)


def _sum(x0, eps, z, a_s, kept, new):
    """Equation (1) with √ᾱ_s x̂_0 and any two factors of the kept and the new noise."""
    return a_s.sqrt() * x0 + kept * eps + new * z


def _parts(a_t, a_s, eta):
    """σ² of Algorithm 2, η² times that (both uncut), and the cut one."""
    one = (1 - a_s) / (1 - a_t) * (1 - a_t / a_s)
    return one, eta**2 * one, torch.minimum(eta**2 * one, 1 - a_s)


def _step_causes(xt, x0, a_t, a_s, eta, z):
    """What usual mistakes come to: pairs (x_s, hint)."""
    eps = (xt - a_t.sqrt() * x0) / (1 - a_t).sqrt()
    one, uncut, cut = _parts(a_t, a_s, eta)
    left, sigma = 1 - a_s, cut.sqrt()
    kept = (left - cut).sqrt()
    linear = torch.minimum(eta * one, left)
    deviation = torch.minimum(uncut.sqrt(), left)
    other = torch.minimum(eta**2 * (1 - a_t) / (1 - a_s) * (1 - a_t / a_s), left)
    beta = torch.minimum(eta**2 * (1 - a_t / a_s), left)

    def step(kept, new, guess=x0, noise=eps):
        return _sum(guess, noise, z, a_s, kept, new)

    return (
        (step(left.sqrt(), 0), "η makes no difference: where is the new noise z?"),
        (step(left.sqrt(), sigma), "new noise is added and the old is not reduced: it keeps √(1 − ᾱ_s − σ²)"),
        (step(kept, cut), "z is multiplied by σ, the root of (2)"),
        (step(kept, 0), "the old noise is reduced and no new noise comes in its place: where is σ z?"),
        (step(left - cut, sigma), "the old noise keeps the ROOT of 1 − ᾱ_s − σ²"),
        (
            step((left - cut).abs().sqrt(), uncut.sqrt()),
            "σ² itself must be cut at 1 − ᾱ_s, z gets the cut one",
        ),
        (
            step((left - linear).sqrt(), linear.sqrt()),
            "σ is η times that of Algorithm 2, so σ² has η squared",
        ),
        (step((left - deviation**2).sqrt(), deviation), "it is σ², not σ, that is cut at 1 − ᾱ_s"),
        (step(kept, uncut.sqrt()), "σ² itself must be cut at 1 − ᾱ_s, and z gets the root of the cut one"),
        (step((left - other).sqrt(), other.sqrt()), "in (2) the quotient is (1 − ᾱ_s)/(1 − ᾱ_t)"),
        (step((left - beta).sqrt(), beta.sqrt()), "that is β for σ²; (2) has the factor (1 − ᾱ_s)/(1 − ᾱ_t)"),
        (
            step(kept, sigma, noise=xt - a_t.sqrt() * x0),
            "ε̂ = (x_t − √ᾱ_t x̂_0)/√(1 − ᾱ_t): divide by the size of the noise",
        ),
        (step(kept, sigma, noise=xt), "the old noise is ε̂ = (x_t − √ᾱ_t x̂_0)/√(1 − ᾱ_t), not x_t"),
        (step(kept, sigma, guess=a_s.sqrt() * x0), "the guess x̂_0 is multiplied by the ROOT of ᾱ_s"),
        (step(kept, sigma, guess=x0 / a_s.sqrt()), "the guess x̂_0 must be multiplied by √ᾱ_s"),
        (step(sigma, kept), "the two noises are exchanged: η = 0 keeps the old one"),
    )


@exercise(
    "06b.eta_step",
    verified=(
        "true values for η = 0, ½, 1 and one that must be cut, in a step and a jump; x̂_0 at s = 0; points and"
        " images, float32 and float64"
    ),
)
def eta_step(fn):
    x0, xt, z = _draws(3, 7, 2)
    for a_t, a_s in (_levels(0.3, 0.55), _levels(0.05, 0.9)):
        eps = (xt - a_t.sqrt() * x0) / (1 - a_t).sqrt()
        for eta in (0.0, 0.5, 1.0, 5.0):
            out = call(fn, xt, x0, a_t, a_s, eta, z)
            expect_shape(out, (7, 2), "as many numbers as x_t has")
            hint = "for a large η a root of a negative number: cut σ² at 1 − ᾱ_s"
            expect(torch.isfinite(out).all(), hint if eta > 1 else f"η = {eta:g} gives inf or nan")
            cut = _parts(a_t, a_s, eta)[2]
            hints = {
                0.0: "η = 0 must be DDIM: √ᾱ_s x̂_0 + √(1 − ᾱ_s) ε̂, and no z",
                1.0: "η = 1 must be Algorithm 2: σ² = (1 − ᾱ_s)/(1 − ᾱ_t) · (1 − ᾱ_t/ᾱ_s)",
                0.5: "(1) is off for an η between 0 and 1: σ² is η² times that of Algorithm 2",
                5.0: "cut σ² at 1 − ᾱ_s: then all noise is new, √ᾱ_s x̂_0 + √(1 − ᾱ_s) z",
            }
            right = _sum(x0, eps, z, a_s, (1 - a_s - cut).sqrt(), cut.sqrt())
            causes = _step_causes(xt, x0, a_t, a_s, eta, z)
            expect_value(out, right, hints[eta], causes)
    last = call(fn, xt, x0, *_levels(0.9, 1.0), 1.0, z)
    expect(torch.isfinite(last).all(), "at s = 0 (ᾱ_s = 1) it gives inf or nan: do not divide by 1 − ᾱ_s")
    expect_close(last, x0, "at s = 0 it must land on x_0")
    x0, xt, z = _draws(3, 3, 1, 4, 5).float()
    a_t, a_s = _levels(0.3, 0.55)
    out = call(fn, xt, x0, a_t, a_s, 1.0, z)
    expect_like(out, xt, "leave ᾱ a tensor of shape (): that converts nothing")
    wanted = call(fn, xt.double(), x0.double(), a_t, a_s, 1.0, z.double())
    expect_close(out, wanted, "images come out differently from points")
    expect_any_device(lambda xt, x0, z: fn(xt, x0, a_t, a_s, 1.0, z), xt, x0, z)


@exercise(
    "06b.paste",
    verified="known pixels at the right noise level, the others untouched; clean at s = 0; float32 and float64",
)
def paste(fn):
    free, known, z = _draws(3, 3, 1, 4, 5)
    mask = torch.arange(60).view(3, 1, 4, 5) % 7 < 3  # another one for each image
    (a,) = _levels(0.3)
    out = call(fn, free, known, mask, a, z)
    expect_shape(out, (3, 1, 4, 5), "an image each")
    noised = a.sqrt() * known + (1 - a).sqrt() * z
    clean = "paste the known pixels *noised to level s*, not clean: the network expects one noise level everywhere"
    causes = (
        (
            torch.where(mask, free, noised),
            "mask is True where pixels are *known*: there stands the noised image",
        ),
        (torch.where(mask, known, free), clean),
        (noised, "where pixels are hidden the sampler's x_s stays as it is"),
        (torch.where(mask, a.sqrt() * known, free), "the known pixels need noise, too: + √(1 − ᾱ_s) z"),
        (torch.where(mask, known + (1 - a).sqrt() * z, free), "the known image must shrink: √ᾱ_s known"),
        (
            torch.where(mask, a.sqrt() * known + (1 - a) * z, free),
            "the noise has the ROOT of 1 − ᾱ_s as its factor",
        ),
        (torch.where(mask, a * known + (1 - a).sqrt() * z, free), "the known image has the ROOT of ᾱ_s"),
        (
            torch.where(mask, (1 - a).sqrt() * known + a.sqrt() * z, free),
            "signal and noise are exchanged: √ᾱ_s belongs to the known image",
        ),
        (
            torch.where(mask, noised, a.sqrt() * free + (1 - a).sqrt() * z),
            "the sampler's x_s has its noise already: only the known pixels are noised",
        ),
        (
            torch.where(mask, noised, torch.zeros(())),
            "hidden pixels are empty: there stands the sampler's x_s",
        ),
        (noised * mask + free, "where pixels are known the sampler's x_s must go: paste, do not add"),
    )
    expect_value(out, torch.where(mask, noised, free), "√ᾱ_s known + √(1 − ᾱ_s) z over x_s", causes)
    out = call(fn, free, known, mask, *_levels(1.0), z)
    expect_close(out, torch.where(mask, known, free), "at s = 0 the known pixels are clean")
    free, known, z = free.float(), known.float(), z.float()
    expect_like(
        call(fn, free, known, mask, a, z), free, "leave ᾱ a tensor of shape (): that converts nothing"
    )
    expect_any_device(lambda free, known, mask, z: fn(free, known, mask, a, z), free, known, mask, z)


class _Largest(TorchFunctionMode):
    """Notes the number of entries of the largest tensor that an operation returns."""

    entries = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if isinstance(out, torch.Tensor):
            self.entries = max(self.entries, out.numel())
        return out


def _guess(xt, data, a, shrink=None, power=2, scale=2.0):
    """Equation (4); `shrink`, `power` and `scale` for what mistakes make of it."""
    shrink = a.sqrt() if shrink is None else shrink
    gaps = xt[:, None] - shrink * data
    return (-(gaps.norm(dim=2) ** power) / (scale * (1 - a))).softmax(1) @ data


def _guess_causes(xt, data, a):
    squares = (xt[:, None] - a.sqrt() * data).square()
    logits = -squares.sum(2) / (2 * (1 - a))
    return (
        (logits.neg().softmax(1) @ data, "the nearer image has the larger weight: mind the minus sign"),
        (_guess(xt, data, a, shrink=1), "the images are shrunk by √ᾱ_t before the distance is taken"),
        (_guess(xt, data, a, shrink=a), "the images are shrunk by the ROOT of ᾱ_t"),
        (_guess(xt, data, a, power=1), "the exponent has the *squared* distance"),
        (_guess(xt, data, a, scale=1.0), "the exponent is divided by 2 (1 − ᾱ_t): where is the 2?"),
        (
            (logits * (1 - a)).softmax(1) @ data,
            "the exponent is divided by 2 (1 − ᾱ_t): the variance of the noise is missing",
        ),
        ((logits * (1 - a).sqrt()).softmax(1) @ data, "divide by the variance 1 − ᾱ_t, not by its root"),
        (logits.softmax(0) @ data, "for each x_t the weights sum to 1 over the images: softmax(dim=1)"),
        (logits.exp() @ data, "the weights must sum to 1: softmax"),
        (data[logits.argmax(1)], "that is the nearest image; (4) is a weighted mean of all"),
        (
            a.sqrt() * (logits.softmax(1) @ data),
            "the guess is a mean of the images themselves, not of √ᾱ_t times",
        ),
        (data.mean(0).expand_as(xt), "all images get the same weight: the nearer, the larger it must be"),
        (
            (-squares.mean(2) / (2 * (1 - a))).softmax(1) @ data,
            "the squared distance is a sum over the pixels, not a mean",
        ),
    )


@exercise(
    "06b.best_guess",
    verified=(
        "true values at four noise levels; one image; far away without underflow, near and far together;"
        " float32 and float64; no table of all differences"
    ),
)
def best_guess(fn):
    xt, data = _draws(2, 9, 3)
    xt = xt[:5]
    hint = "softmax of −‖x_t − √ᾱ_t x_i‖² / (2 (1 − ᾱ_t)), over the images"
    for a in _levels(0.99, 0.5, 0.2, 0.8):
        out = call(fn, xt, data, a)
        expect_shape(out, (5, 3), "one guess a row of xt")
        expect_value(out, _guess(xt, data, a), hint, _guess_causes(xt, data, a))
    one = data[:1].expand(5, 3)
    expect_close(call(fn, xt, data[:1], a), one, "with one image there is one answer: it")
    far, flat = xt.clone(), data.clone()
    far[:, 2] *= 20.0 ** torch.arange(5, dtype=torch.float64)  # rows at all distances …
    flat[:, 2] = 0  # … from which the images differ little
    (late,) = _levels(0.9)
    out = call(fn, far, flat, late)
    hint = "exp underflows far from all images: use softmax, which shifts before it takes exp"
    expect(torch.isfinite(out).all(), hint)
    hint = (
        "rows far from all images come out wrong: softmax shifts each row by its OWN maximum and adds nothing"
    )
    expect_close(out, _guess(far, flat, late), hint)
    single = call(fn, xt.float(), data.float(), a)
    expect_like(single, xt.float(), "leave ᾱ a tensor of shape (), or convert it: a_t.to(xt)")
    expect_close(single, _guess(xt, data, a), "float32 comes out differently", atol=1e-4)
    expect_any_device(lambda xt, data: fn(xt, data, a), xt, data)
    wide, many = _draws(2, 40, 50)
    with _Largest() as largest:
        call(fn, wide, many[:30], a)
    hint = (
        "on the way there is a table of all differences, (B, N, D): for 300 digits and all training images"
        " that is 50 GB; torch.cdist goes straight to the distances (B, N)"
    )
    expect(largest.entries < 40 * 30 * 50, hint)
