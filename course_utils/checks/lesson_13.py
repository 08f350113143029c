"""Checks of lesson 13: transport on a line, a slope of one, a resolution faded in, transport in directions."""

import torch
import torch.nn.functional as F

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
from course_utils.checks.mistakes import expect_double, expect_value, explained, normal
from course_utils.checks.players import small_critic


def _called(fn, *args, known):
    """`call`, with a hint in front of an error that says one of `known`, pairs (part of it, hint)."""
    try:
        return call(fn, *args)
    except Wrong as wrong:
        for part, hint in known:
            if part in str(wrong):
                raise Wrong(f"{hint} ({wrong})") from wrong
        raise


def _expect_slopes(out, right, inputs, hint):
    """The gradient of `out` in each input must be that of `right`, which has the same value."""
    goals = torch.autograd.grad(right.sum(), inputs)
    for ours, goal in zip(torch.autograd.grad(out.sum(), inputs), goals):
        expect_close(ours, goal, hint)


DETACHED = "the value is right, its slope is not: something in it is detached."


def _transport(x, y):
    return (x.sort(0).values - y.sort(0).values).abs().mean(0)


def _transport_mistakes(x, y):
    """What usual mistakes make of samples (n, …), axis by axis, and their hints."""
    a, b = x.sort(0).values, y.sort(0).values
    gap = a - b
    places = (x.argsort(0) - y.argsort(0)).double()
    return [
        ((x - y).abs().mean(0), "nothing is sorted: the pairs are those of equal rank, in both samples."),
        ((a - y).abs().mean(0), "only x is sorted: sort y, too."),
        ((x - b).abs().mean(0), "only y is sorted: sort x, too."),
        ((a - b.flip(0)).abs().mean(0), "one sample is sorted upwards and the other downwards."),
        (places.abs().mean(0), "these are places (argsort): compare the sorted values."),
        (gap.mean(0), "the absolute value is missing: steps to both sides cancel."),
        (gap.mean(0).abs(), "this is the distance of the means: take the absolute value before the mean."),
        (-gap.abs().mean(0), "the sign is turned: a distance is not negative."),
        (gap.square().mean(0), "the gaps are squared: (3) takes their absolute value."),
        (gap.square().mean(0).sqrt(), "this is W₂, the root of the mean square: (3) is W₁."),
        (gap.abs().median(0).values, "this is the median of the gaps: take their mean."),
        (gap.abs().sum(0), "this is the sum of the gaps: take their mean."),
        (gap.abs().amax(0), "this is the largest gap: take the mean."),
    ]


def _columns(fn):
    """Samples (n, k): each column is a sample of its own."""
    x, y = normal(5, 3, seed=3), 0.6 * normal(5, 3, seed=4) + torch.tensor([0.2, -0.1, 0.1])
    gaps = (x.sort(0).values - y.sort(0).values).abs()
    across = (x.sort(1).values - y.sort(1).values).abs()
    rows = (x[x[:, 0].argsort()] - y[y[:, 0].argsort()]).abs()
    mistakes = [
        (across.mean(0), "rows are sorted instead of columns: .sort(0), for .sort() takes the last axis."),
        (across.mean(1), "sorted and averaged along the rows: (n, k) is k samples of n, so axis 0."),
        (across.mean(), "sorted along the rows, and one mean over all: axis 0 for both."),
        (gaps.mean(1), "averaged over the columns: .mean(0), one number a column."),
        (gaps.mean(), "one mean over everything: .mean(0), one number a column, (k,)."),
        (_transport(x.flatten(), y.flatten()), "all columns are sorted as one sample: .sort(0)."),
        (rows.mean(0), "whole rows are put in order by their first entry: sort each column by itself."),
        *_transport_mistakes(x, y),
    ]
    with explained("Five by three numbers."):
        out = call(fn, x, y)
        hint = "samples (n, k) give (k,): each column is sorted and averaged by itself."
        expect_value(out, _transport(x, y), hint, mistakes)
        single = "samples (n, 1) give (1,): no squeeze."
        expect_value(call(fn, x[:, :1], y[:, :1]), _transport(x, y)[:1], single)


@exercise(
    "13.transport",
    verified="single samples and columns, ties, one point, float64; the gradient to both samples",
)
def transport(fn):
    x, y = normal(7, seed=1) - 0.2, 0.8 * normal(7, seed=4)  # neither lies above the other
    out = call(fn, x, y)
    hint = "(3): sort both samples, and take the mean of |x − y| over the pairs."
    expect_value(out, _transport(x, y), hint, _transport_mistakes(x, y))
    expect_shape(out, (), "samples (n,) give one number without axes.")
    expect_double(out, _transport(x, y))
    _columns(fn)
    one = call(fn, x[:1], y[:1])
    expect_value(one, (x[0] - y[0]).abs(), "samples of one point: the distance of the two points.")
    tied = torch.tensor([[1.0, 1.0, 2.0, 2.0, 2.0], [2.0, 1.0, 1.0, 1.0, 4.0]]).double()
    hint = "a value that occurs several times counts as often (no unique, no set)."
    expect_value(call(fn, *tied), _transport(*tied), hint)
    swapped = "a sample and itself in another order are at distance 0."
    expect_value(call(fn, x, x.flip(0)), 0.0, swapped)
    _slopes_of_transport(fn)
    expect_like(call(fn, x.float(), y.float()), x.float())
    expect_any_device(fn, x.float(), y.float())


def _slopes_of_transport(fn):
    pair = [normal(7, 2, seed=seed).requires_grad_() for seed in (5, 6)]
    out = call(fn, *pair)
    expect_gradient(out, *pair, hint="no detach, no .item(), no NumPy: both samples can be learned.")
    _expect_slopes(out, _transport(*pair), pair, DETACHED)
    same = normal(4, seed=7).requires_grad_()
    (slope,) = torch.autograd.grad(call(fn, same, same.detach()), same)
    roots = "where two values agree the slope is NaN: take .abs(), not the root of a square."
    expect(slope.isfinite().all(), roots)


def _wave(x):
    """A critic without weights, (n, …) → (n,): its slope differs from place to place, around length 1."""
    h = x.flatten(1)
    ramp = torch.arange(1, h.shape[1] + 1, device=x.device, dtype=x.dtype) / h.shape[1]
    waves = torch.sin(h * ramp - ramp).sum(1)
    return 2 / h.shape[1] ** 0.25 * waves + 0.3 * h[:, 0] * h[:, 1] - 0.2 * h[:, 1]


def _between(real, fake, share):
    share = share.view(-1, *[1] * (real.dim() - 1))
    return (share * real + (1 - share) * fake).detach()


def _slopes(D, x):
    """The slopes (n, d) of D at x (n, …)."""
    x = x.detach().requires_grad_()
    (slope,) = torch.autograd.grad(D(x).sum(), x, create_graph=True)
    return slope.flatten(1)


def _penalty(D, x):
    return (_slopes(D, x).norm(dim=1) - 1).square().mean()


def _penalty_mistakes(slope):
    """What usual mistakes make of the right slopes (n, d), and their hints."""
    n, square, norm = len(slope), slope.square().sum(1), slope.norm(dim=1)
    right, rms = (norm - 1).square(), slope.square().mean(1).sqrt()
    pixels = "each pixel's slope is compared with 1: it is the norm of them all, .flatten(1), that shall be."
    return [
        ((slope.norm() - 1).square(), "one norm over the whole batch: each image has its own, .sum(1)."),
        ((square - 1).square().mean(), "the root is missing: (5) has ‖slope‖ − 1, not ‖slope‖² − 1."),
        ((square - 1).mean(), "this is the mean of ‖slope‖² − 1: (5) is the mean of (‖slope‖ − 1)²."),
        ((slope.abs().sum(1) - 1).square().mean(), "the sum of absolute values: a norm has squares."),
        ((slope.abs() - 1).square().mean(), pixels),
        ((slope - 1).square().mean(), pixels),
        ((norm - 1).clamp(min=0).square().mean(), "one-sided: (5) punishes slopes below 1, too."),
        ((rms - 1).square().mean(), "the norm is the root of a sum over the pixels, not of their mean."),
        (square.mean(), "the −1 is missing: this pulls the slope to 0, as R1 does."),
        (square.mean() / 2, "this is R1, ½ · mean ‖slope‖²: (5) pulls the norm to 1."),
        (norm.mean(), "this is the mean norm: (5) is the mean of (norm − 1)²."),
        ((norm.mean() - 1).square(), "the mean comes too early: square each image's norm − 1, then average."),
        ((norm - 1).abs().mean(), "the square of norm − 1 is missing."),
        (right.sum(), "summed over the batch: take the mean."),
        (right.mean() / 2, "halved: (5) has no factor ½."),
        (10 * right.mean(), "λ is already in: return the mean alone, the training multiplies."),
        (-right.mean(), "the sign is turned: it is added to D's loss."),
        ((norm / n - 1).square().mean(), "differentiate the logits' sum: their mean divides slopes by n."),
    ]


def _places_of_mistake(D, real, fake, share):
    """The mean of (5) at the wrong points, and the hints."""
    w = share.view(-1, *[1] * (real.dim() - 1))
    places = [
        (w * fake + (1 - w) * real, "share and 1 − share are exchanged: share · real."),
        (real, "only real points: (5) looks between real and fake ones."),
        (fake, "only fakes: (5) looks between real and fake ones."),
        (w[0] * real + (1 - w[0]) * fake, "the first share serves the whole batch: one an image."),
        (w.mean() * real + (1 - w.mean()) * fake, "the mean share serves the whole batch: one an image."),
        (w.flip(0) * real + (1 - w.flip(0)) * fake, "another image's share: each has its own."),
        ((real + fake) / 2, "always halfway: share says where between the two."),
        (w * real, "(1 − share) · fake is missing."),
        (w * real + fake, "fake is weighed by 1 − share, not by 1."),
    ]
    return [(_penalty(D, x), hint) for x, hint in places]


STUMBLES = (
    ("must match the size", "share (n,) needs an axis of length 1 for each further axis of the images."),
    ("does not require grad", "the points between need requires_grad_() before D sees them, no no_grad."),
    ("not have been used", "D has not seen the tensor you differentiate by: detach before D, not after."),
    ("created only for scalar", "differentiate one number, the sum of D's logits: D(between).sum()."),
)
SHARE = torch.tensor([0.2, 0.9, 0.6, 0.35, 0.05, 0.75]).double()


@exercise(
    "13.penalty",
    verified="points, images, a slope of 0; its gradient in D's weights is right, and none reaches the fakes",
)
def penalty(fn):
    for shape in ((6, 2), (3, 1, 5, 4), (1, 2, 5, 4)):
        real, fake = normal(*shape, seed=11), 1.5 * normal(*shape, seed=12) - 0.4
        _at_points(fn, real, fake, SHARE[: shape[0]])
    ends = normal(6, 2, seed=11), normal(6, 2, seed=12)
    steep = call(fn, lambda x: 3 * x[:, 0] + 4 * x[:, 1], *ends, SHARE)
    expect_close(steep, 16.0, "a critic of slope (3, 4) everywhere: (5 − 1)² = 16.")
    _weights_of_d(fn)
    _flat_place(fn)
    _no_leak(fn)
    single = [part[:3].float() for part in (*ends, SHARE)]
    expect_like(call(fn, _wave, *single), single[0])
    expect_any_device(fn, _wave, *single)


def _at_points(fn, real, fake, share):
    """The value at points or images whose D has no weights."""
    seen = []

    def watched(x):
        seen.append(x.dtype)
        return _wave(x)

    out, again = (_called(fn, watched, real, fake, share, known=STUMBLES) for _ in range(2))
    expect_shape(out, (), "the penalty is one number: the mean over the batch.")
    expect(out.isfinite(), "the penalty is not finite: is something divided by 0?")
    expect_close(again, out, "two calls with the same arguments differ: use the share given, draw none.")
    typed = "D is asked in another dtype than that of real and fake."
    expect(all(dtype == real.dtype for dtype in seen), typed)
    points = _between(real, fake, share)
    other = call(fn, _wave, real, fake, (share + 0.31) % 1)
    mistakes = [
        *_penalty_mistakes(_slopes(_wave, points)),
        *_places_of_mistake(_wave, real, fake, share),
        (other, "the result is the same for other shares: share is ignored."),
    ]
    hint = f"the mean of (‖slope of D‖ − 1)² at share · real + (1 − share) · fake; here {tuple(real.shape)}."
    expect_value(out, _penalty(_wave, points), hint, mistakes, atol=1e-6, rtol=1e-6)
    expect_like(out, real)


def _weights_of_d(fn):
    """The gradient of the penalty in the weights of D is that of double backpropagation."""
    critic, real, fake = small_critic(), normal(6, 2, seed=13), normal(6, 2, seed=14)
    weights = list(critic.parameters())[:3]  # the last bias moves no slope
    out = _called(fn, critic, real, fake, SHARE, known=STUMBLES)
    graph = "create_graph=True in torch.autograd.grad, and no detach after it: else D learns nothing from it."
    expect(out.requires_grad, f"the penalty has no gradient: {graph}")
    right = _penalty(critic, _between(real, fake, SHARE))
    expect_close(out, right, "another value for a D that is a network: is its mode or its weights changed?")
    expect_gradient(out, *weights, hint=graph)
    _expect_slopes(out, right, weights, f"the penalty is right, its gradient in D's weights is not: {graph}")


def _flat_place(fn):
    """Where D has slope 0 the root has none: the loss and its gradient must stay finite."""
    weight = torch.tensor([0.4, 0.9], dtype=torch.double, requires_grad=True)
    real = torch.tensor([[0.5, -2.0], [1.0, 0.5], [-0.3, 0.8]]).double()
    fake = torch.tensor([[-0.5, 2.0], [0.2, 0.7], [1.1, 0.4]]).double()
    share = torch.tensor([0.5, 0.3, 0.6]).double()  # the first point between is 0

    def bowl(x):
        return (weight * x.square()).sum(1)

    out = call(fn, bowl, real, fake, share)
    expect(out.isfinite().all(), "where D has slope 0 the penalty is not finite: is something divided by it?")
    right = _penalty(bowl, _between(real, fake, share))
    expect_close(out, right, "a point of slope 0 counts (0 − 1)² = 1.", atol=1e-3)
    (slope,) = torch.autograd.grad(out, weight, retain_graph=True)
    hint = "where D has slope 0 its weights get NaN: add a small number, 1e-12, under the root."
    expect(slope.isfinite().all(), hint)
    _expect_slopes(out, right, [weight], "near slope 0 the gradient is wrong: is something cut off?")


def _no_leak(fn):
    """D's penalty must not move G, even if the fakes come with their graph."""
    real, z = normal(6, 2, seed=15).requires_grad_(), normal(6, 2, seed=16)
    g = torch.tensor([0.8, 1.3], dtype=torch.double, requires_grad=True)
    fake = (g * z).tanh()
    out = call(fn, _wave, real, fake, SHARE)
    right = _penalty(_wave, _between(real, fake, SHARE))
    expect_close(out, right, "another value where the fakes come with the graph of G.")
    slope = torch.autograd.grad(out, g, allow_unused=True)[0] if out.requires_grad else None
    hint = "a gradient leaks into the fakes, and so into G: detach the points between before D sees them."
    expect(slope is None or not slope.any(), hint)


def _doubled(small):
    return small.repeat_interleave(2, 2).repeat_interleave(2, 3)


def _fade_mistakes(small, large, alpha):
    """What usual mistakes make of the two pictures, and their hints."""
    doubled = _doubled(small)

    def with_(old):
        return (1 - alpha) * old + alpha * large

    smooth = [F.interpolate(small, scale_factor=2, mode="bilinear", align_corners=c) for c in (False, True)]
    cubic = F.interpolate(small, scale_factor=2, mode="bicubic")
    holes = torch.zeros_like(doubled)
    holes[:, :, ::2, ::2] = small
    nearest = "nearest neighbour: each pixel becomes four equal ones, and the old picture stays the same."
    tiles = "the picture is laid side by side (repeat): repeat each pixel (repeat_interleave)."
    lanes = small.repeat_interleave(2, 2).repeat(1, 1, 1, 2)
    rows = small.repeat(1, 1, 2, 1).repeat_interleave(2, 3)
    return [
        (alpha * doubled + (1 - alpha) * large, "alpha and 1 − alpha are exchanged: at 0 all is old."),
        (alpha * (doubled + large), "alpha weighs both: the old picture gets 1 − alpha."),
        ((1 - alpha) * (doubled + large), "1 − alpha weighs both: the new picture gets alpha."),
        (doubled + alpha * large, "the old picture must fade out: it gets 1 − alpha."),
        ((1 - alpha) * doubled + large, "the new picture gets alpha, not 1."),
        (doubled + large, "alpha is ignored: the two are added."),
        ((doubled + large) / 2, "alpha is ignored: the two are averaged."),
        ((1 - alpha) * doubled - alpha * large, "the new picture is subtracted: (7) adds it."),
        (doubled, "the new picture is missing."),
        (large, "the old picture is missing."),
        (alpha * large, "the old picture is missing."),
        (with_(smooth[0]), f"this doubling is bilinear; {nearest}"),
        (with_(smooth[1]), f"this doubling is bilinear; {nearest}"),
        (with_(cubic), f"this doubling is bicubic; {nearest}"),
        (with_(small.repeat(1, 1, 2, 2)), tiles),
        (with_(lanes), f"along the rows {tiles}"),
        (with_(rows), f"along the columns {tiles}"),
        (with_(doubled.mT), "rows and columns of the old picture are exchanged."),
        (with_(holes), f"zeros stand between the old pixels; {nearest}"),
    ]


@exercise(
    "13.fade",
    verified="alpha from 0 to 1, a number or a tensor; nearest doubling; the gradient to both pictures",
)
def fade(fn):
    small, large = normal(2, 4, 3, 3, seed=21), normal(2, 4, 6, 6, seed=22)
    doubled = _doubled(small)
    axes = (("must match the size", "double small along both axes, rows and columns, to the size of large."),)
    for alpha in (0.3, 0.0, 1.0, 0.85):
        out = _called(fn, small, large, alpha, known=axes)
        if isinstance(out, torch.Tensor) and out.shape == small.shape:
            expect(False, "the result is small: double the old picture, do not shrink the new one.")
        expect_shape(out, (2, 4, 6, 6), "the mixture has the size of large.")
        true = (1 - alpha) * doubled + alpha * large
        hint = f"(1 − alpha) · doubled + alpha · large, by (7): not so at alpha = {alpha:g}."
        expect_value(out, true, hint, _fade_mistakes(small, large, alpha) if alpha == 0.3 else ())
        expect_double(out, true)
    pixel, four = small[:1, :1, :1, :1], large[:1, :1, :2, :2]
    single = "one pixel and four: (1, 1, 1, 1) and (1, 1, 2, 2)."
    expect_value(call(fn, pixel, four, 0.25), 0.75 * pixel + 0.25 * four, single)
    with explained("alpha as a tensor without axes."):
        out = call(fn, small, large, torch.tensor(0.3).double())
        expect_close(out, 0.7 * doubled + 0.3 * large, "another value than for the same number.")
    pair = [small.clone().requires_grad_(), large.clone().requires_grad_()]
    out = call(fn, *pair, 0.3)
    expect_gradient(out, *pair, hint="G learns at both sizes: no detach, no torch.no_grad, no NumPy.")
    weight = normal(2, 4, 6, 6, seed=23)
    _expect_slopes(weight * out, weight * (0.7 * _doubled(pair[0]) + 0.3 * pair[1]), pair, DETACHED)
    expect_like(call(fn, small.float(), large.float(), 0.3), small.float())
    expect_any_device(fn, small.float(), large.float(), 0.3)


def _sliced(x, y, directions):
    unit = directions / directions.norm(dim=0)
    return _transport(x @ unit, y @ unit).mean()


def _sliced_mistakes(x, y, directions):
    """What usual mistakes make of clouds (n, d) and directions (d, k), and their hints."""
    unit = directions / directions.norm(dim=0)
    a, b = x @ unit, y @ unit
    gap = a.sort(0).values - b.sort(0).values
    each = gap.abs().mean(0)
    across = a.sort(1).values - b.sort(1).values
    columns = "each column of directions is one, and has its length: .norm(dim=0)."

    def along(u):
        return _transport(x @ u, y @ u).mean()

    return [
        (along(directions), "the directions keep their lengths: divide each by its norm."),
        (along(directions / directions.norm(dim=1, keepdim=True)), f"rows are normalised: {columns}"),
        (along(directions / directions.norm()), f"divided by the norm of the whole matrix: {columns}"),
        (along(directions / directions.abs().sum(0)), "divided by the sum of |entries|: take the length."),
        (along(directions / directions.square().sum(0)), "divided by the squared length: take its root."),
        (each, "one number a direction, (k,): take their mean."),
        (each.sum(), "summed over the directions: take the mean."),
        (each.amax(), "this is the largest over the directions (max-sliced): take the mean."),
        (each.median(), "this is the median over the directions: take the mean."),
        (each.square().mean(), "W₁ is squared: take its mean as it is."),
        (gap.square().mean(), "the gaps are squared: W₁ takes their absolute value."),
        (gap.square().mean().sqrt(), "this is sliced W₂, with squares and a root: take W₁."),
        (gap.square().mean(0).sqrt().mean(), "this is W₂ along each direction: take W₁."),
        ((a - b).abs().mean(), "nothing is sorted: along each direction pair points of equal rank."),
        ((a.mean(0) - b.mean(0)).abs().mean(), "these are distances of the means: sort the projections."),
        (across.abs().mean(), "sorted over the directions: sort over the points, axis 0."),
        (_transport(a.flatten(), b.flatten()), "all directions are sorted as one sample: each by itself."),
        (_transport(a, y @ directions).mean(), "only x is projected on unit directions: y, too."),
        (_transport(x @ directions, b).mean(), "only y is projected on unit directions: x, too."),
        (a.abs().mean(), "y is missing: compare the projections of x with those of y."),
        (b.abs().mean(), "x is missing: compare the projections of y with those of x."),
        (_transport(x, y).mean(), "the directions are ignored: project x and y on them."),
        (-each.mean(), "the sign is turned: a distance is not negative."),
    ]


@exercise(
    "13.sliced",
    verified="one direction and many, of any length, coordinate axes, a shift; the gradient to both clouds",
)
def sliced(fn):
    shapes = (
        ("shapes cannot be multiplied", "points are rows and directions columns: x @ unit is (n, k)."),
        ("must match the size", "project both clouds on the unit directions, (n, d) @ (d, k)."),
    )
    lengths = torch.tensor([0.4, 2.0, 1.3, 3.0, 0.7]).double()
    for n, d, k in ((7, 3, 5), (6, 2, 1), (4, 3, 3)):
        x, y = normal(n, d, seed=31), 0.6 * normal(n, d, seed=32) + torch.tensor([0.5, -0.2, 0.1])[:d]
        directions = normal(d, k, seed=40) * lengths[:k]
        out = _called(fn, x, y, directions, known=shapes)
        mistakes = _sliced_mistakes(x, y, directions)
        other = call(fn, x, y, directions.flip(0) + 0.3)
        mistakes.append((other, "the same for other directions: they are ignored."))
        hint = f"the mean over unit directions of W₁ along each, for ({n}, {d}) and ({d}, {k})."
        expect_value(out, _sliced(x, y, directions), hint, mistakes)
        expect_shape(out, (), "one number without axes.")
    axes = call(fn, x, y, torch.diag(lengths[:3]))
    expect_value(axes, _transport(x, y).mean(), "along the axes: the mean of W₁ coordinate by coordinate.")
    v = torch.tensor([0.7, -1.1, 0.4]).double()
    unit = directions / directions.norm(dim=0)
    moved = call(fn, x, x.flip(0) + v, directions)
    expect_value(moved, (v @ unit).abs().mean(), "a cloud moved by v: the mean of |v · u|.")
    for scale in (1e-3, -2.0, 1e3):
        hint = f"directions {scale:g} times as long give another distance: only where they point counts."
        expect_value(call(fn, x, y, scale * directions), _sliced(x, y, directions), hint)
    far = call(fn, x + 1e6, y + 1e6, directions)
    hint = "far from 0 digits get lost: compute in the dtype of the arguments, here float64."
    expect_close(far, _sliced(x, y, directions), hint)
    pair = [x.clone().requires_grad_(), y.clone().requires_grad_()]
    out = call(fn, *pair, directions)
    expect_gradient(out, *pair, hint="points can be moved by it: no detach, no torch.no_grad, no NumPy.")
    _expect_slopes(out, _sliced(*pair, directions), pair, DETACHED)
    expect_like(call(fn, x.float(), y.float(), directions.float()), x.float())
    expect_any_device(fn, x.float(), y.float(), directions.float())
