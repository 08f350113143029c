"""Properties of lesson 03's exercises."""

import torch

from course_utils.checks.machinery import Wrong, call, exercise, expect, expect_close, expect_shape


def _cloud():
    """Points (200, 4) off the origin, longest along a slanted axis."""
    generator = torch.Generator().manual_seed(0)
    turn = torch.linalg.qr(torch.randn(4, 4, generator=generator, dtype=torch.float64)).Q
    scales = torch.tensor([3.0, 2.0, 0.5, 0.1], dtype=torch.float64)
    return torch.randn(200, 4, generator=generator, dtype=torch.float64) * scales @ turn.T + 5


@exercise("03.pca", verified="centred, orthonormal, and no other plane keeps more of the variance")
def pca(fn):
    x = _cloud()
    out = call(fn, x, 2)
    if not isinstance(out, tuple) or len(out) != 3:
        raise Wrong("return three things: mean, directions, variances.")
    mean, directions, variances = out
    expect_shape(mean, (4,), "the mean of each coordinate")
    expect_close(mean, x.mean(0), "the mean is over the rows: x.mean(0)")
    expect_shape(directions, (2, 4), "directions are rows; svd returns V transposed already, so take vt[:k]")
    gram = directions @ directions.T
    expect_close(gram, torch.eye(2), "directions must be orthonormal rows: take rows of vt, not columns")
    centred = x - x.mean(0)
    best = torch.linalg.eigvalsh(centred.T @ centred / len(x)).flip(0)
    along = (centred @ directions.T).square().mean(0)
    expect_close(
        along, best[:2], "these are not the directions of largest variance; was the data centred first?"
    )
    expect_shape(variances, (2,), "one variance a direction")
    expect_close(variances, best[:2], "variances are squared singular values divided by n")


@exercise("03.interpolate", verified="both ends, equal steps, on the straight line")
def interpolate(fn):
    a, b = torch.tensor([1.0, -2.0, 0.0]), torch.tensor([3.0, 2.0, 5.0])
    out = call(fn, a, b, 5)
    expect_shape(out, (5, 3), "n points of k numbers: weights (n, 1) times a (k,) broadcast")
    expect_close(out[0], a, "the first point must be a")
    expect_close(out[-1], b, "the last point must be b: both ends are included")
    steps = out[1:] - out[:-1]
    expect_close(steps, ((b - a) / 4).expand(4, 3), "the steps must be equal: n points make n − 1 steps")
    wide = call(fn, torch.zeros(784), torch.ones(784), 9)
    expect_shape(wide, (9, 784), "it must work for images as well as for codes")


@exercise("03.psnr", verified="known errors, one number an image, 6 dB for half the error")
def psnr(fn):
    x = torch.rand(6, 50, generator=torch.Generator().manual_seed(0))
    out = call(fn, x + 0.1, x)
    expect_shape(out, (6,), "one number an image: average over pixels (dim=1), not over the batch")
    expect(torch.isfinite(out).all(), "some values are not finite")
    expect(
        not torch.allclose(out, torch.full((6,), -20.0), atol=1e-2), "the sign: a small error is a large PSNR"
    )
    expect(
        not torch.allclose(out, torch.full((6,), 10.0), atol=1e-2),
        "the error is squared before it is averaged",
    )
    natural = torch.full((6,), 46.0517)
    expect(not torch.allclose(out, natural, atol=1e-2), "decibels use log10, not the natural logarithm")
    hint = "an error of 0.1 at every pixel is 20 dB: the mean, not the sum, of squares"
    expect_close(out, torch.full((6,), 20.0), hint, atol=1e-2)
    halved = call(fn, x + 0.05, x)
    expect_close(halved - out, torch.full((6,), 6.0206), "half the error is 6.02 dB more", atol=1e-2)


@exercise(
    "03.masked_loss",
    verified="visible pixels cost nothing, hidden ones count equally, only they get gradients",
)
def masked_loss(fn):
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(4, 20, generator=generator)
    hidden = torch.rand(4, 20, generator=generator) < 0.4
    wrong_where_visible = x + (~hidden).float()
    out = call(fn, wrong_where_visible, x, hidden)
    expect_shape(torch.as_tensor(out), (), "a single number")
    expect_close(
        out, 0.0, "an error at visible pixels must cost nothing: multiply by hidden, not by its complement"
    )
    hint = "divide by the number of hidden pixels, not of all pixels: an error of 0.5 at each costs 0.25"
    expect_close(call(fn, x + 0.5 * hidden, x, hidden), 0.25, hint)
    guess = x.clone().requires_grad_()
    shifted = guess + 0.5
    (gradient,) = torch.autograd.grad(torch.as_tensor(call(fn, shifted, x, hidden)), guess)
    nothing = torch.zeros(int((~hidden).sum()))
    expect_close(gradient[~hidden], nothing, "visible pixels must receive no gradient")
    expect((gradient[hidden] > 0).all(), "every hidden pixel must receive a gradient")
