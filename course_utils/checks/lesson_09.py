"""Checks of lesson 09: masks of a MADE, masks of a convolution, nats of a word of letters, the drawing loop."""

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
from course_utils.checks.mistakes import expect_double, expect_value, normal


@exercise(
    "09.nats",
    verified="three words letter by letter, on a page that is not square; a gradient passes; float64 stays",
)
def letter_nats(fn):
    logits = 2 * normal(3, 5, 2, 4, seed=1)
    letters = torch.randint(0, 5, (3, 2, 4), generator=torch.Generator().manual_seed(2))
    out = call(fn, logits, letters)
    hint = "one number an image: pick the logarithm of the probability at every place, and sum over the places."
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
    expect_value(out, true, "−log p(x) = −Σ over the places of log p(the letter that stands there).", mistakes)
    expect_double(out, true)
    far = call(fn, 400 * logits, letters)
    hint = "a letter of probability 1e-300 gives inf: log_softmax, not the logarithm of a softmax."
    expect(torch.isfinite(far).all(), hint)
    free = logits.clone().requires_grad_()
    expect_gradient(call(fn, free, letters), free, hint="the loss is made of it: no detach, no .item().")
    expect_like(call(fn, logits.float(), letters), logits.float())
    expect_any_device(fn, logits.float(), letters)
