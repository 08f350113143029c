"""Properties of lesson 06b's exercises."""

import torch

from course_utils.checks.machinery import call, exercise, expect, expect_close, expect_shape


def _schedule():
    """A schedule ᾱ_0 … ᾱ_20 (21,), float64, from 1 down to 0.01, in equal factors."""
    return torch.logspace(0, -2, 21, dtype=torch.float64)


def _three(*shape):
    """Three independent standard normal tensors, float64."""
    return torch.randn(3, *shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@exercise(
    "06b.eta_step", verified="η = 0 keeps the noise, η = 1 is Algorithm 2, the variance is right for every η"
)
def eta_step(fn):
    schedule = _schedule()
    x0, eps, z = _three(400, 1, 4, 4)
    a_t, a_s = schedule[15], schedule[6]
    xt = a_t.sqrt() * x0 + (1 - a_t).sqrt() * eps
    kept = a_s.sqrt() * x0 + (1 - a_s).sqrt() * eps
    out = call(fn, xt, x0, a_t, a_s, 0.0, z)
    expect_shape(out, (400, 1, 4, 4), "as many numbers as x_t has")
    expect_close(out, kept, "η = 0 must be DDIM: √ᾱ_s x̂_0 + √(1 − ᾱ_s) ε̂, and no z")
    out = call(fn, xt, x0, a_t, a_s, 1.0, z)
    variance = (1 - a_s) / (1 - a_t) * (1 - a_t / a_s)
    right = a_s.sqrt() * x0 + (1 - a_s - variance).sqrt() * eps + variance.sqrt() * z
    added = (out - kept).var()
    expect(added > 1e-8, "η = 1 gives the same as η = 0: where is the new noise z?")
    uncut = a_s.sqrt() * x0 + (1 - a_s).sqrt() * eps + variance.sqrt() * z
    hint = "new noise is added and the old is not reduced: its coefficient is √(1 − ᾱ_s − σ²)"
    expect(not torch.allclose(out, uncut), hint)
    squared = a_s.sqrt() * x0 + (1 - a_s - variance).sqrt() * eps + variance * z
    expect(not torch.allclose(out, squared), "z is multiplied by σ, the root of (2)")
    expect_close(out, right, "η = 1 must be Algorithm 2: σ² = (1 − ᾱ_s)/(1 − ᾱ_t) · (1 − ᾱ_t/ᾱ_s)")
    half = call(fn, xt, x0, a_t, a_s, 0.5, z)
    share = ((half - a_s.sqrt() * x0) * z).mean() / z.square().mean()
    hint = "σ is η times that of Algorithm 2, so σ² has η squared"
    expect(abs(share.item() - 0.5 * variance.sqrt().item()) < 0.05, hint)
    much = call(fn, xt, x0, a_t, a_s, 5.0, z)
    expect(torch.isfinite(much).all(), "for a large η a root of a negative number: cut σ² at 1 − ᾱ_s")
    expect_close(much, a_s.sqrt() * x0 + (1 - a_s).sqrt() * z, "cut σ² at 1 − ᾱ_s: then all noise is new")
    expect_close(call(fn, xt, x0, a_t, schedule[0], 1.0, z), x0, "at s = 0 it must land on x_0")


@exercise("06b.paste", verified="known pixels at the right noise level, the others untouched")
def paste(fn):
    free, known, z = _three(3, 1, 6, 6)
    a = torch.tensor(0.3, dtype=torch.float64)
    mask = torch.zeros(3, 1, 6, 6, dtype=torch.bool)
    mask[:, :, :3] = True
    out = call(fn, free, known, mask, a, z)
    expect_shape(out, (3, 1, 6, 6), "an image each")
    turned = torch.allclose(out[mask], free[mask])
    expect(not turned, "mask is True where pixels are *known*: there stands the noised known image")
    hint = "paste the known pixels *noised to level s*, not clean: the network expects one noise level everywhere"
    expect(not torch.allclose(out[mask], known[mask]), hint)
    expect_close(out[~mask], free[~mask], "where pixels are hidden the sampler's x_s stays as it is")
    expect_close(out[mask], (a.sqrt() * known + (1 - a).sqrt() * z)[mask], "√ᾱ_s known + √(1 − ᾱ_s) z")
    clean = call(fn, free, known, mask, torch.tensor(1.0, dtype=torch.float64), z)
    expect_close(clean[mask], known[mask], "at s = 0 the known pixels are clean")


@exercise("06b.best_guess", verified="one image, two images, a tie, and far away without underflow")
def best_guess(fn):
    a = torch.tensor(0.5, dtype=torch.float64)
    data = torch.tensor([[1.0, 0.0], [-1.0, 0.0]], dtype=torch.float64)
    xt = torch.tensor([[0.0, 0.7], [0.6, 0.0], [-0.2, 3.0]], dtype=torch.float64)
    out = call(fn, xt, data, a)
    expect_shape(out, (3, 2), "one guess a row of xt")
    expect_close(call(fn, xt, data[:1], a), data[:1].expand(3, 2), "with one image there is one answer: it")
    expect_close(
        out[0], torch.zeros(2), "half-way between two images the guess is their mean: weights sum to 1"
    )
    expect(out[1, 0] > 0, "the nearer image has the larger weight: mind the minus sign in the exponent")
    unshrunk = (-torch.cdist(xt, data).square() / (2 * (1 - a))).softmax(1) @ data
    expect(not torch.allclose(out, unshrunk), "the images are shrunk by √ᾱ_t before the distance is taken")
    rooted = (-torch.cdist(xt, a.sqrt() * data) / (2 * (1 - a))).softmax(1) @ data
    expect(not torch.allclose(out, rooted), "the exponent has the *squared* distance")
    right = (-torch.cdist(xt, a.sqrt() * data).square() / (2 * (1 - a))).softmax(1) @ data
    expect_close(out, right, "softmax of −‖x_t − √ᾱ_t x_i‖² / (2 (1 − ᾱ_t)), over the images")
    far = call(fn, 100 * xt, data, torch.tensor(0.999, dtype=torch.float64))
    expect(torch.isfinite(far).all(), "exp underflows far from all images: use softmax, which shifts first")
