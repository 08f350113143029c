"""Checks of lesson 12: slant, guidance, empty fields, a conditional bound, a projection, class-wise coverage."""

import torch
import torch.nn.functional as F

from course_utils.checks.coverage import coverage_mistakes, covered
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
from course_utils.checks.mistakes import expect_double, expect_value, explained, normal


def _pages():
    """Five images (5, 28, 28), float64: off the centre, leaning to both sides, higher than wide."""
    rows, columns = torch.meshgrid(torch.arange(28.0), torch.arange(28.0), indexing="ij")
    pages = []
    for k, by in enumerate((-0.7, 0.4, 0.1, -0.2, 0.55)):
        line = (columns - 9 - 2 * k - by * (rows - 12)) / (1.5 + 0.4 * k)
        pages.append((-line.square() - ((rows - 15 + k) / (4 + k)).square()).exp())
    return torch.stack(pages).double() * torch.tensor([1.0, 0.4, 0.8, 0.6, 0.9]).double()[:, None, None]


def _moment(x, p, q, about=None):
    """Central moment μ_pq of images, p to the right and q downwards; `about`: another centre (c, r)."""
    rows = torch.arange(28.0).double()[:, None]
    columns = torch.arange(28.0).double()
    mass = x.sum((1, 2))
    c = (x * columns).sum((1, 2)) / mass if about is None else torch.full_like(mass, about)
    r = (x * rows).sum((1, 2)) / mass if about is None else torch.full_like(mass, about)
    return (x * (columns - c[:, None, None]) ** p * (rows - r[:, None, None]) ** q).sum((1, 2))


@exercise(
    "12.slant",
    verified="five slanted blobs off the centre, a push read back, and a blank page",
)
def slant(fn):
    x = _pages()
    out = call(fn, x)
    expect_shape(out, (5,), "one number an image: (n,).")
    true = _moment(x, 1, 1) / _moment(x, 0, 2)
    raw = [_moment(x, p, q, 0.0) for p, q in ((1, 1), (0, 2))]
    middle = [_moment(x, p, q, 13.5) for p, q in ((1, 1), (0, 2))]
    mistakes = [
        (
            _moment(x, 1, 1) / _moment(x, 2, 0),
            "the axes are exchanged: divide by μ02, the spread of the rows.",
        ),
        (raw[0] / raw[1], "these are raw moments: measure columns and rows from the centroid."),
        (middle[0] / middle[1], "measured from the middle of the page: take the centroid of each image."),
        (-true, "the sign is turned: r runs downwards, as the rows of the tensor do."),
        (true.atan(), "this is the angle, in radians: (1) is the ratio itself."),
        (true.atan().rad2deg(), "this is the angle in degrees: (1) is the ratio itself."),
        (_moment(x, 1, 1), "divide μ11 by μ02."),
        (_moment(x, 1, 1) / x.sum((1, 2)), "divide μ11 by μ02, not by the mass."),
        (
            _moment(x, 1, 1) / (_moment(x, 0, 2) * _moment(x, 2, 0)).sqrt(),
            "this is the correlation: divide by μ02 alone.",
        ),
        (true.mean().expand(5), "this is the mean over the images: one number an image."),
    ]
    expect_value(out, true, "slant = μ11 / μ02, both about the centroid.", mistakes)
    expect_double(out, true)
    blank = call(fn, torch.zeros(2, 28, 28).double())
    hint = "a page without ink gives NaN: clamp what you divide by, mass and μ02, at a small number."
    expect(torch.isfinite(torch.as_tensor(blank)).all(), hint)
    expect_close(blank, torch.zeros(2), "a page without ink has slant 0.")
    faint = "a faint page gets another slant: clamp at a number far below its ink, 1e-6."
    expect_close(call(fn, x * 1e-3), true, faint)
    single = call(fn, x[:1])
    expect_value(single, true[:1], "one image alone gets another slant than in a batch.")
    expect_like(call(fn, x.float()), x.float())
    expect_any_device(fn, x.float())


def _heard(x, t, order):
    """A made-up predictor: what it says depends on x, on t, and on which fields are given."""
    told = (~order.isnan()).to(x)
    numbers = order.nan_to_num().to(x)
    weight = torch.arange(1, order.shape[1] + 1, device=x.device, dtype=x.dtype)
    push = (told * (numbers + 0.5) * weight).sum(1).view(-1, *[1] * (x.dim() - 1))
    return 0.3 * x + torch.sin(push + 0.01 * t) * (1 + 0.2 * x)


@exercise(
    "12.guide",
    verified="points and pictures, w from 0 to 4, forms with an empty field; a gradient passes",
)
def guide(fn):
    g = torch.Generator().manual_seed(3)
    for shape, fields in (((4, 2), 1), ((3, 1, 5, 4), 3)):
        x = torch.randn(shape, generator=g, dtype=torch.double)
        order = torch.randint(1, 10, (shape[0], fields), generator=g).double()
        if fields == 3:
            order[0, 1] = torch.nan  # a form may have an empty field of its own
        free = _heard(x, 40, torch.full_like(order, torch.nan))
        told = _heard(x, 40, order)
        zeros = _heard(x, 40, torch.zeros_like(order))
        for w in (2.5, 1.0, 0.0, 4.0):
            out = call(fn, _heard, x, 40, order, w)
            expect_shape(out, shape, "the noise has the shape of x.")
            mistakes = [
                (
                    free + w * told,
                    "w · told + free counts the free part too often: add w times the *difference*.",
                ),
                (
                    told + w * (told - free),
                    "this starts at the order: start at the empty form (your w is one more).",
                ),
                (w * told, "the empty form is forgotten: free + w · (told − free)."),
                (told + w * (free - told), "the two are exchanged: at w = 1 the order alone must be left."),
                (
                    zeros + w * (told - zeros),
                    "zeros are no empty form: class 0 is a class. Fill it with NaN.",
                ),
                (free + w**2 * (told - free), "w is squared."),
                (free + told * (w - 1), "(w − 1) · told + free: add w times the difference of the two."),
                (0.5 * (free + told), "w is ignored, and the two are averaged."),
                (told, "w is ignored: this is the order alone."),
                (free, "the order is ignored."),
            ]
            expect_value(out, free + w * (told - free), "free + w · (told − free), by (4).", mistakes)
            expect_double(out, free + w * (told - free))
    spoken = x.clone().requires_grad_()
    out = call(fn, _heard, spoken, 40, order, 2.0)
    expect_gradient(out, spoken, hint="no detach, no torch.no_grad.")
    blank = _heard(spoken, 40, torch.full_like(order, torch.nan))
    true = blank + 2.0 * (_heard(spoken, 40, order) - blank)
    slopes = [torch.autograd.grad(part.sum(), spoken)[0] for part in (out, true)]
    expect_close(*slopes, "one of the two predictions is detached: the slope is not that of (4).")
    expect_like(call(fn, _heard, x.float(), 40, order.float(), 2.0), x.float())
    expect_any_device(fn, _heard, x.float(), 40, order.float(), 2.0)


def _empty(out):
    """Where fields are empty, and the orders with −77 there, so that they can be compared."""
    value = torch.as_tensor(out).detach()
    return value.isnan(), torch.where(value.isnan(), torch.full_like(value, -77.0), value)


@exercise(
    "12.withhold",
    verified="field by field, for a common share and one of each order; the orders given stay as they were",
)
def withhold(fn):
    g = torch.Generator().manual_seed(5)
    order = torch.randn(40, 3, generator=g, dtype=torch.double)
    order[:, 0] = torch.arange(40) % 10
    u = torch.rand(40, 3, generator=g, dtype=torch.double)
    each = torch.rand(40, 1, generator=g, dtype=torch.double)
    for share in (0.3, each, 0.0):
        out = call(fn, order, u, share)
        expect_shape(out, (40, 3), "orders as they came, (B, 3).")
        true = torch.where(u < share, -77.0, order)

        def kept(away, filler=-77.0):
            return torch.where(away.expand(40, 3), filler, order)

        some = share if isinstance(share, float) else each
        mistakes = [
            (kept(u >= some), "the wrong side: a field is empty where u < share."),
            (kept(u[:, :1] < some), "whole orders are left blank: each field has a number u of its own."),
            (
                kept(u[:, :1] < some).where(torch.tensor([True, False, False]), order),
                "all three fields can be empty.",
            ),
            (kept((u < some).all(1, keepdim=True)), "a field is empty whatever the others are: no all()."),
            (kept((u < some).any(1, keepdim=True)), "a field is empty whatever the others are: no any()."),
            (kept(u[:1] < some), "the same fields are empty in the whole batch: use each order's own u."),
            (kept(u < some, 0.0), "0 is an order: class 0, average slant. An empty field is NaN."),
            (kept(u < some, -1.0), "−1 is an order: an empty field is NaN."),
            (kept(u < some, 10.0), "10 is an order of slant or ink: an empty field is NaN."),
            (order, "nothing is left empty."),
        ]
        gone, value = _empty(out)
        if share is each:
            hint = "a share of each order's own, (B, 1): compare u with it row by row."
        else:
            hint = "empty, NaN, where u < share, and everywhere else the order as it was."
        expect_value(value, true, hint, mistakes)
        expect(bool((gone == (u < share)).all()), hint)
    expect_like(call(fn, order.float(), u.float(), 0.3), order.float())
    expect_any_device(fn, order.float(), u.float(), 0.3)


class _Coder:
    """A made-up encoder and decoder with a weight each; they remember whether they were told."""

    def __init__(self, dtype=torch.double):
        self.first = torch.tensor(0.3, dtype=dtype)
        self.second = torch.tensor(0.7, dtype=dtype)

    def encode(self, x, order=None):
        h = x.flatten(1).sum(1, keepdim=True) / 10
        said = torch.zeros_like(h) if order is None else order.nan_to_num().sum(1, keepdim=True).to(h) / 5
        steps = torch.arange(1, 4, dtype=x.dtype, device=x.device)
        return torch.sin(self.first * (h + said) * steps), torch.cos(h - said * steps) - 0.5

    def decode(self, z, order=None):
        said = 0.0 if order is None else order.nan_to_num().sum(1, keepdim=True).to(z) / 3
        page = (self.second * z.sum(1, keepdim=True) + said).view(-1, 1, 1, 1)
        ramp = torch.arange(20, dtype=z.dtype, device=z.device).view(1, 1, 4, 5) / 7
        return page - ramp


def _bound(encode, decode, x, noise, rate=1.0, miss=1.0, power=0.5):
    mean, log_var = encode(x)
    z = mean + (power * log_var).exp() * noise
    loss = F.binary_cross_entropy_with_logits(decode(z), x, reduction="none").flatten(1).sum(1)
    kl = 0.5 * (mean.square() + log_var.exp() - 1 - log_var).sum(1)
    return -miss * loss - rate * kl, loss, kl


@exercise(
    "12.elbo",
    verified="the bound of six pages, order heard on both sides; the gradient of encoder and decoder",
)
def conditional_elbo(fn):
    coder = _Coder()
    g = torch.Generator().manual_seed(7)
    x = (torch.rand(6, 1, 4, 5, generator=g) < 0.4).double()
    order = torch.randn(6, 3, generator=g).double()
    noise = torch.randn(6, 3, generator=g).double()
    out = call(fn, coder.encode, coder.decode, x, order, noise)
    expect_shape(out, (6,), "one number an image: (B,).")

    def told(part, given=order):
        return lambda value: part(value, given)

    encode, decode = told(coder.encode), told(coder.decode)
    true, loss, kl = _bound(encode, decode, x, noise)
    other = order.flip(0)
    mistakes = [
        (
            _bound(told(coder.encode, None), decode, x, noise)[0],
            "the encoder is not told: it needs the order, too, or z has to carry what the order says.",
        ),
        (_bound(encode, told(coder.decode, None), x, noise)[0], "the decoder is not told the order."),
        (
            _bound(told(coder.encode, None), told(coder.decode, None), x, noise)[0],
            "nobody is told the order.",
        ),
        (
            _bound(told(coder.encode, other), decode, x, noise)[0],
            "the encoder is told another image's order.",
        ),
        (
            _bound(encode, told(coder.decode, other), x, noise)[0],
            "the decoder is told another image's order.",
        ),
        (-true, "the sign is turned: (5) is a bound on log p, not a loss."),
        (-loss + kl, "the KL is added: it is subtracted from the log-likelihood."),
        (-loss, "the KL is missing."),
        (-kl, "the log-likelihood is missing."),
        (-loss - 2 * kl, "the half before the KL is missing."),
        (-loss / 20 - kl, "the pixels are averaged: sum them, or β changes silently."),
        (-loss - kl / 3, "the KL is averaged over the latents: sum it."),
        (_bound(encode, decode, x, 0 * noise)[0], "z is the mean: add e^(ℓ/2) times the noise."),
        (_bound(encode, decode, x, noise, power=1.0)[0], "e^ℓ is the variance: the deviation is e^(ℓ/2)."),
        (true.mean().expand(6), "this is the mean over the batch: one number an image."),
    ]
    expect_value(
        out, true, "log p(x | z, y) summed over the pixels, minus the KL summed over the latents.", mistakes
    )
    expect_double(out, true)
    _slopes_of_the_bound(fn, coder, encode, decode, x, order, noise)
    far = call(fn, coder.encode, lambda z, order: 400 * coder.decode(z, order), x, order, noise)
    sure = _bound(encode, lambda z: 400 * decode(z), x, noise)[0]
    logs = "at large logits the log of a sigmoid is −∞: F.binary_cross_entropy_with_logits is safe."
    expect(bool(torch.as_tensor(far).isfinite().all()), logs)
    expect_close(far, sure, "another value at large logits: do not clamp them.")
    with explained("In float32."):
        small = _Coder(torch.float32)
        parts = [part.float() for part in (x, order, noise)]
        expect_like(call(fn, small.encode, small.decode, *parts), parts[0])
    expect_any_device(fn, _encode_there, _decode_there, *parts)


def _slopes_of_the_bound(fn, coder, encode, decode, x, order, noise):
    """Both networks must learn from both terms of the bound."""
    coder.first.requires_grad_()
    coder.second.requires_grad_()
    both = (coder.first, coder.second)
    value = call(fn, coder.encode, coder.decode, x, order, noise)
    expect_gradient(value, *both, hint="encoder and decoder learn from it: no detach, no torch.no_grad.")
    found = torch.autograd.grad(value.sum(), both)
    _, loss, kl = _bound(encode, decode, x, noise)
    wanted = torch.autograd.grad((-loss - kl).sum(), both, retain_graph=True)
    rate = torch.autograd.grad(-kl.sum(), both[0], retain_graph=True)[0]
    if torch.allclose(found[0], rate):
        expect(False, "the encoder does not learn from the decoder: z = m + e^(ℓ/2) · noise, not detached.")
    if torch.allclose(found[0], wanted[0] - rate):
        expect(False, "the encoder does not learn from the KL: it is detached.")
    for part, goal in zip(found, wanted):
        expect_close(part, goal, "a part of the bound is detached: its slope is not that of (5).")


def _encode_there(x, order):
    h = x.flatten(1).mean(1, keepdim=True) + order[:, :1]
    return torch.cat([h, -h, 2 * h], 1), torch.cat([h, h, h], 1) / 4


def _decode_there(z, order):
    return (z.sum(1) + order[:, 1]).view(-1, 1, 1, 1).expand(-1, 1, 4, 5)


def _look(x):
    """Features (B, 4) of pages, not all of one sign."""
    h = x.flatten(1)
    return torch.stack([h.mean(1), h.std(1), h[:, 0] - h[:, 1], h.sum(1).sin()], 1)


def _verdict(h):
    return 2 * h[:, 0] - h[:, 3] + 0.5


def _place(order):
    """Orders (B, 3) → vectors (B, 4)."""
    return torch.cat([order, order[:, :1] * order[:, 1:2]], 1)


@exercise(
    "12.projection",
    verified="judge plus inner product, for each image with its own order; a gradient to pages and orders",
)
def projection_logit(fn):
    x = normal(5, 1, 3, 4, seed=6)
    order = normal(5, 3, seed=7)
    out = call(fn, _look, _verdict, _place, x, order)
    h, v = _look(x), _place(order)
    if isinstance(out, torch.Tensor) and out.shape == (5, 5):
        expect(False, "every image with every order, (B, B): each image has its own order only.")
    expect_shape(out, (5,), "one logit an image: (B,).")
    inner = (h * v).sum(1)
    true = _verdict(h) + inner
    mistakes = [
        (inner, "what judges the features alone, ψ, is missing."),
        (_verdict(h), "the order is not heard: add the inner product of features and embedding."),
        (_verdict(h) + inner / 4, "an inner product is a sum, not a mean."),
        (_verdict(h) + inner / 2, "divided by √k, as in attention: (6) has the plain inner product."),
        (_verdict(h) - inner, "the inner product is subtracted."),
        (_verdict(h) * inner, "the two are multiplied: add them."),
        (_verdict(h + v), "the embedding is added to the features: (6) multiplies them."),
        (_verdict(h * v), "ψ judges the features alone, not their product with the embedding."),
        (_verdict(h) + (h * v.flip(0)).sum(1), "the embedding of a wrong order: each image with its own."),
        (_verdict(h) + (h * v.roll(1, 0)).sum(1), "the embedding of a wrong order: each image with its own."),
        (
            _verdict(h) + F.cosine_similarity(h, v),
            "this is the cosine: (6) has the inner product, without dividing by lengths.",
        ),
        (true.sigmoid(), "this is a probability: return the logit."),
    ]
    expect_value(out, true, "ψ(h) + Σ h · V told(y), for each image.", mistakes)
    expect_double(out, true)
    page, form = x.clone().requires_grad_(), order.clone().requires_grad_()
    value = call(fn, _look, _verdict, _place, page, form)
    expect_gradient(value, page, form, hint="G learns through both: no detach, no torch.no_grad.")
    (slope,) = torch.autograd.grad(value.sum(), page)
    again = x.clone().requires_grad_()
    features = _look(again)
    (goal,) = torch.autograd.grad((_verdict(features) + (features * v).sum(1)).sum(), again)
    expect_close(slope, goal, "the logits are right, their slope is not: something in it is detached.")
    expect_like(call(fn, _look, _verdict, _place, x.float(), order.float()), x.float())
    expect_any_device(fn, _look, _verdict, _place, x.float(), order.float())


def _one_number(out):
    """What the student's function returned, as a tensor without axes."""
    value = torch.as_tensor(out)
    expect(value.dim() == 0, "one number, without axes: the mean over the classes.")
    return value


@exercise(
    "12.coverage",
    verified="three classes of unequal size, two values of k; copies cover all, far draws nothing",
)
def class_coverage(fn):
    g = torch.Generator().manual_seed(8)
    real_y = torch.tensor([7] * 30 + [2] * 14 + [5] * 20)
    made_y = torch.tensor([2] * 9 + [5] * 12 + [7] * 10)
    centre = {2: 0.0, 5: 1.6, 7: 0.7}
    real = (
        torch.randn(64, 2, generator=g).double() + torch.tensor([centre[y] for y in real_y.tolist()])[:, None]
    )
    made = (
        torch.randn(31, 2, generator=g).double() + torch.tensor([centre[y] for y in made_y.tolist()])[:, None]
    )
    for k in (2, 4):
        out = call(fn, real, real_y, made, made_y, k)
        shares = [
            covered(real[real_y == y], made[made_y == y], k).double().mean() for y in real_y.unique().tolist()
        ]
        true = torch.stack(shares).mean()
        mistakes = coverage_mistakes(real, real_y, made, made_y, k)
        expect_value(
            _one_number(out),
            true,
            "for each class the share of real digits covered, then their mean.",
            mistakes,
        )
    full = call(fn, real, real_y, real, real_y, 3)
    expect_close(_one_number(full), torch.tensor(1.0), "copies of the real digits cover all of them.")
    nothing = call(fn, real, real_y, made + 100, made_y, 3)
    expect_close(_one_number(nothing), torch.tensor(0.0), "draws far away cover nothing.")
    by_default = call(fn, real, real_y, made, made_y)
    again = call(fn, real, real_y, made, made_y, 5)
    expect_close(torch.as_tensor(by_default), torch.as_tensor(again), "k is 5 where nothing else is said.")
    expect_any_device(fn, real.float(), real_y, made.float(), made_y, 3)
