"""Checks of lesson 09: masks of a MADE, a leak, nats of a word of letters, masks of a convolution, the drawing loop."""

import torch

from course_utils.checks.machinery import (
    call,
    exercise,
    expect,
    expect_any_device,
    expect_gradient,
    expect_like,
    expect_shape,
)
from course_utils.checks.mistakes import expect_double, expect_value, is_number, normal

RANK = torch.tensor(
    [3, 1, 5, 2, 4]
)  # the place of each of five pixels in the order: not the order of the page
DEGREES = torch.tensor([1, 4, 2, 2, 3, 1, 4])


def _three_masks(fn, rank, degrees):
    """Three tables of zeros and ones, as float64."""
    hint = "return three masks: in (H, D), out (D, H) and direct (D, D)."
    masks = call(fn, rank, degrees)
    expect(isinstance(masks, tuple | list) and len(masks) == 3, hint)
    H, D = len(degrees), len(rank)
    into, out, direct = masks
    if isinstance(into, torch.Tensor) and isinstance(out, torch.Tensor):
        turned = (tuple(into.shape), tuple(out.shape)) == ((D, H), (H, D))
        expect(not turned, f"two masks are exchanged or transposed: {hint}")
    for mask, shape in zip(masks, ((H, D), (D, H), (D, D))):
        expect_shape(mask, shape, hint)
        values = "a mask holds zeros and ones (or False and True), nothing else."
        expect(bool(((mask == 0) | (mask == 1)).all()), values)
    return [mask.to("cpu", torch.float64) for mask in masks]


def _masks_anywhere(fn):
    """Masks that multiply weights on the device of the arguments."""

    def all_of_them(rank, degrees):
        return torch.cat([1.0 * mask.flatten() for mask in fn(rank, degrees)])

    expect_any_device(all_of_them, RANK, DEGREES)


@exercise(
    "09.masks",
    verified="(2) for an order that is not the page's; no path to a logit from its own or a later pixel",
)
def made_masks(fn):
    into, out, direct = _three_masks(fn, RANK, DEGREES)
    r, m, page = RANK, DEGREES, torch.arange(1, 6)
    true_in, true_out, true_direct = m[:, None] >= r, r[:, None] > m, r[:, None] > r
    pairs = [
        (
            true_in,
            r[:, None] >= m,
            "≥ out of the units, too: a logit sees its own pixel. There the sign is >.",
        ),
        (
            m[:, None] > r,
            true_out,
            "> into the units, too: the last pixel but one is seen by nobody. There it is ≥.",
        ),
        (m[:, None] > r, r[:, None] >= m, "the signs are exchanged: ≥ into the units, > out of them."),
        (m[:, None] >= r - 1, true_out, "you count the places from 0; r(d) runs from 1 to D."),
        (true_in, r[:, None] - 1 > m, "you count the places from 0; r(d) runs from 1 to D."),
        (m[:, None] >= r - 1, r[:, None] - 1 > m, "you count the places from 0; r(d) runs from 1 to D."),
        (m[:, None] <= r, r[:, None] < m, "turned round: a unit of degree m sees places 1 to m."),
        (true_in, r[:, None] < m, "out is turned round: units of *lower* degree speak to a logit."),
        (m[:, None] <= r, true_out, "in is turned round: a unit of degree m sees places 1 to m."),
        (
            m[:, None] >= page,
            page[:, None] > m,
            "pixels are taken in the order of the page; rank says the place of each in the order.",
        ),
        (torch.ones(7, 5), torch.ones(5, 7), "nothing is masked."),
    ]
    right = torch.equal(into, true_in.double()) and torch.equal(out, true_out.double())
    if not right:
        for wrong_in, wrong_out, why in pairs:
            same = torch.equal(into, wrong_in.double()) and torch.equal(out, wrong_out.double())
            expect(not same, why)
        expect(torch.equal(into, true_in.double()), "in is 1 where m(k) ≥ r(j), and 0 elsewhere.")
        expect(False, "out is 1 where r(d) > m(k), and 0 elsewhere.")
    mistakes = [
        (r[:, None] >= r, "direct lets a pixel speak to its own logit: > for ≥."),
        (r[:, None] < r, "direct is transposed: rows are logits, columns are pixels."),
        (r[:, None] <= r, "direct is transposed, and lets a pixel speak to its own logit."),
        (torch.ones(5, 5).tril(-1), "direct is in the order of the page; rank says the place of each pixel."),
    ]
    expect_value(direct, true_direct.double(), "direct is 1 where r(d) > r(j), and 0 elsewhere.", mistakes)
    _three_masks(fn, torch.arange(1, 4), torch.tensor([1, 2]))
    _masks_anywhere(fn)


@exercise(
    "09.leak",
    verified="every logit of five hears of its own pixel and of the earlier ones, of none that is later",
)
def leaking_masks(fn):
    into, out, direct = _three_masks(fn, RANK, DEGREES)
    order = RANK.argsort()
    paths = (out @ into + direct)[order][:, order]  # (logit, pixel), both in their order
    expect(not bool((paths > 0).all()), "nothing is masked: every logit sees every pixel.")
    hint = "a logit sees a *later* pixel: only its own is to leak; ≥ for >, no more."
    expect(not paths.triu(1).any(), hint)
    expect(paths.diagonal().any(), "nothing leaks: no path leads from a pixel to its own logit.")
    hint = "only some logits see their own pixel: a unit of that very degree is needed, or the diagonal of direct."
    expect(paths.diagonal().all(), hint)
    hint = "earlier pixels are cut off: keep them, and let the own pixel in, too."
    expect((paths.tril(-1) > 0).sum() == 10, hint)
    _masks_anywhere(fn)


@exercise(
    "09.nats",
    verified="three words letter by letter, on a page that is not square; a gradient passes; float64 stays",
)
def letter_nats(fn):
    logits = 2 * normal(3, 5, 2, 4, seed=1)
    letters = torch.randint(0, 5, (3, 2, 4), generator=torch.Generator().manual_seed(2))
    out = call(fn, logits, letters)
    hint = (
        "one number an image: pick the logarithm of the probability at every place, and sum over the places."
    )
    expect_shape(out, (3,), hint)
    log_p = logits.log_softmax(1)
    picked = log_p.gather(1, letters[:, None])[:, 0]  # (3, 2, 4)
    true = -picked.sum((1, 2))
    raw = logits.gather(1, letters[:, None])[:, 0]
    mistakes = [
        (-true, "the sign is turned: −log p of a discrete word is at least 0."),
        (true / 8, "this is the mean over the places; log p of the whole word is their sum."),
        (true / torch.log(torch.tensor(2.0)), "these are bits; in nats the logarithm is the natural one."),
        (
            -logits.log_softmax(3).gather(1, letters[:, None])[:, 0].sum((1, 2)),
            "softmax over the columns: the 16 letters lie on axis 1.",
        ),
        (
            -logits.log_softmax(2).gather(1, letters[:, None])[:, 0].sum((1, 2)),
            "softmax over the rows: the 16 letters lie on axis 1.",
        ),
        (
            -logits.log_softmax(0).gather(1, letters[:, None])[:, 0].sum((1, 2)),
            "softmax over the images: the 16 letters lie on axis 1.",
        ),
        (-raw.sum((1, 2)), "these are the raw logits: log_softmax over axis 1 first."),
        (-picked.exp().log1p().sum((1, 2)), "one logarithm too many."),
        (-picked.exp().sum((1, 2)), "these are probabilities: take their logarithms before you sum."),
        (true.mean().expand(3), "this is the mean over the images: one number an image is asked for."),
        (true.exp(), "this is 1/p(x): take its logarithm."),
        (-log_p.sum((1, 2, 3)), "all letters are summed; only the one that stands there counts."),
    ]
    expect_value(
        out, true, "−log p(x) = −Σ over the places of log p(the letter that stands there).", mistakes
    )
    expect_double(out, true)
    far = call(fn, 400 * logits, letters)
    hint = "a letter of probability 1e-300 gives inf: log_softmax, not the logarithm of a softmax."
    expect(torch.isfinite(far).all(), hint)
    free = logits.clone().requires_grad_()
    expect_gradient(call(fn, free, letters), free, hint="the loss is made of it: no detach, no .item().")
    expect_like(call(fn, logits.float(), letters), logits.float())
    expect_any_device(fn, logits.float(), letters)


@exercise(
    "09.conv",
    verified="A and B for sizes 1, 3, 5 and 7: what comes first in reading order; the centre in B alone",
)
def conv_mask(fn):
    pair = [call(fn, kind, 3) for kind in "AB"]
    sums = [float(mask.sum()) for mask in pair if isinstance(mask, torch.Tensor)]
    expect(sums != [5.0, 4.0], "A and B are exchanged: the first layer, A, keeps the centre closed.")
    for size in (3, 5, 1, 7):
        place = torch.arange(size * size).view(size, size)
        centre, middle = size * size // 2, size // 2
        row, column = place // size, place % size
        for kind in "AB":
            out = call(fn, kind, size)
            expect_shape(out, (size, size), "one square mask: (size, size).")
            true = (place < centre + (kind == "B")).double()
            with_centre = (place <= centre).double()
            left = ((row <= middle) & (column < middle)).double()
            mistakes = [
                (
                    with_centre,
                    "the centre is open in A: the first layer would see the letter that it guesses.",
                ),
                (
                    (place < centre).double(),
                    "the centre is closed in B: later layers may see what A has made of it.",
                ),
                ((place >= centre).double(), "turned round: open is what comes *before* the centre."),
                ((place > centre).double(), "turned round: open is what comes *before* the centre."),
                (1 - true, "turned round: open is what comes *before* the centre."),
                (
                    (row <= middle).double(),
                    "the whole row of the centre is open: its right half comes later.",
                ),
                (
                    (row < middle).double(),
                    "the rows above are open, but left of the centre something is missing.",
                ),
                (left, "only columns left of the centre: in the rows above *every* column comes before."),
                (((row == middle) & (column < middle)).double(), "the rows above come before, too."),
                (
                    ((column < middle) | ((column == middle) & (row < middle))).double(),
                    "you go down the columns: reading order goes along the rows.",
                ),
                (
                    ((column < middle) | ((column == middle) & (row <= middle))).double(),
                    "you go down the columns: reading order goes along the rows.",
                ),
                (
                    (row <= middle + 1).double() * ((row <= middle) | (column < middle)),
                    "the row below is open: it comes later.",
                ),
                ((place < centre + size).double(), "the row below is open: it comes later."),
                (torch.ones(size, size), "nothing is masked."),
            ]
            hint = f"mask {kind} of size {size}: 1 before the centre in reading order, 0 after it."
            expect_value(out, true, hint, mistakes)
    out = call(fn, "B", 3)
    expect(
        out.is_floating_point() or out.dtype == torch.bool,
        "a mask multiplies weights: floats, or True and False.",
    )


def toy(letters):
    """A causal model of five letters: logits (n, 5, rows, columns) that depend on all letters before."""
    n, rows, columns = letters.shape
    flat = letters.flatten(1)
    places = torch.arange(rows * columns, device=letters.device)
    weight = torch.where(places[None] < places[:, None], 1 + (3 * places[None] + places[:, None]) % 5, 0)
    state = (flat[:, None] * weight).sum(2)  # (n, places): a mixture of what came before
    alphabet = torch.arange(5, device=letters.device)
    logits = 1.5 * torch.cos(1.0 + 2.1 * alphabet + 1.3 * state[..., None] + 0.4 * places[:, None])
    return logits.view(n, rows, columns, 5).movedim(3, 1)


def _write(u, choose, fed=lambda letters: letters):
    rows, columns, n, _ = u.shape
    letters = torch.zeros(n, rows, columns, dtype=torch.long)
    for r in range(rows):
        for c in range(columns):
            letters[:, r, c] = choose(toy(fed(letters))[:, :, r, c], u[r, c])
    return letters


def _chosen(logits, u):
    p = logits.softmax(1)
    return (p.cumsum(1) < u * p.sum(1, keepdim=True)).sum(1).clamp(max=p.shape[1] - 1)


@exercise(
    "09.draw",
    verified="the same letters as place by place, for a model of five letters on a page that is not square",
)
def draw_slowly(fn):
    u = torch.rand(3, 4, 6, 1, generator=torch.Generator().manual_seed(3))
    out = call(fn, toy, u)
    expect_shape(out, (6, 3, 4), "n pages of letters: (n, rows, columns), and u is (rows, columns, n, 1).")
    expect(not out.is_floating_point(), "letters are whole numbers (dtype long).")
    true = _write(u, _chosen)
    blank = torch.zeros(6, 3, 4, dtype=torch.long)
    once = torch.stack(
        [torch.stack([_chosen(toy(blank)[:, :, r, c], u[r, c]) for c in range(4)], 1) for r in range(3)], 1
    )
    column_wise = torch.zeros_like(blank)
    for c in range(4):
        for r in range(3):
            column_wise[:, r, c] = _chosen(toy(column_wise)[:, :, r, c], u[r, c])
    mistakes = [
        (_write(u, lambda a, _: a.argmax(1)), "the likeliest letter each time: draw with pick(p, u[r, c])."),
        (
            once,
            "the letters are not fed back: all come from the empty page. Write each one down before the next pass.",
        ),
        (
            column_wise,
            "you go down the columns; (1) goes along the rows, and the model looks at nothing else.",
        ),
        (
            _write(u, lambda a, v: _chosen(a, u[0, 0])),
            "the same uniform numbers at every place: u[r, c] belongs to (r, c).",
        ),
        (
            _write(u, lambda a, v: _chosen(a.softmax(1), v)),
            "softmax twice, or logits of probabilities: once is right.",
        ),
        (_write(1 - u, _chosen), "1 − u for u: pick takes the uniform numbers as they are."),
    ]
    expect_value(
        out,
        true,
        "place by place: logits at (r, c) of the page as it stands, softmax, pick, write.",
        mistakes,
    )
    expect_any_device(fn, toy, u)


@exercise("09.bits", verified="a number of bits; the next cell compares it with the file")
def my_bits(fn):
    bits = call(fn)
    expect(not isinstance(bits, str | bytes), "return a number, not a text: return 100.")
    expect(is_number(bits), "return one number, the size of the file in bits.")
    expect(float(bits) == float(bits), "return a number, not nan.")
    expect(float(bits) >= 0, "no file is smaller than nothing: a number from 1 to 784.")
    expect(float(bits) > 0, "a file of your digit has at least one bit: a number from 1 to 784.")
    expect(float(bits) <= 784, "raw it takes 784 bits: a number from 1 to 784.")
