"""Checks of lesson 09b: attention, cached keys and values, importance weights, and bits per dimension."""

import itertools
import math

import torch
from torch.nn import functional as F

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
from course_utils.checks.mistakes import expect_double, expect_value, is_number, normal, pair_of


def _causal(T):
    return torch.full((T, T), -torch.inf, dtype=torch.float64).triu(1)


def _look(q, k, mask):
    return (q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]) + mask).softmax(-1)


def _look_of_other_shapes(fn, q, k, mask, out):
    """One query to five keys, and arrays without axes before the last two."""
    one = call(fn, q[:, :, 4:], k, mask[:, 4:])
    hint = "one query and five keys: a row of five weights. T and S may differ."
    expect_shape(one, (2, 3, 1, 5), hint)
    expect_close(one, out[:, :, 4:], hint)
    hint = "any number of axes may stand before the last two, as in q (T, d): count axes from the end."
    expect_close(call(fn, q[0, 1], k[0, 1], mask[1]), out[0, 1], hint)


@exercise(
    "09b.look",
    verified="equal to F.scaled_dot_product_attention; rows sum to 1; nothing behind the mask; a gradient",
)
def look(fn):
    q, k = normal(2, 3, 5, 4, seed=1), normal(2, 3, 5, 4, seed=2)
    mask = _causal(5) + 0.7 * normal(3, 5, 5, seed=3)
    out = call(fn, q, k, mask)
    expect_shape(out, (2, 3, 5, 5), "one weight for each query (rows) and key (columns): (…, T, S).")
    hint = "softmax over the keys, the last axis; another axis meets nothing but −∞ in places, and gives nan."
    expect(not bool(torch.isnan(out).any()), hint)
    dots = q @ k.transpose(-1, -2)
    scores = dots / 2
    open_ = torch.isfinite(mask)
    plain = scores.softmax(-1)
    mistakes = [
        (
            (dots + mask).softmax(-1),
            "the scale is missing: divide q·k by √d, the root of the last axis's size.",
        ),
        ((dots / 4 + mask).softmax(-1), "divide by the root of d, not by d."),
        (
            (dots / math.sqrt(5) + mask).softmax(-1),
            "d is the length of a key (the last axis), not the number of keys.",
        ),
        (
            ((dots + mask) / 2).softmax(-1),
            "the mask is added after the scores were divided by √d: it is no part of q·k.",
        ),
        ((scores - mask.nan_to_num(neginf=0)).softmax(-1), "the mask is added, not subtracted."),
        (plain, "the mask is forgotten: add it to the scores before the softmax."),
        (
            plain * open_,
            "masked after the softmax: the rows no longer sum to 1. Add the mask to the scores, before it.",
        ),
        (
            (scores + torch.where(open_, 0.0, -torch.inf).double()).softmax(-1),
            "the mask is more than open and shut: add its finite numbers, too.",
        ),
        ((scores + mask).softmax(-2), "softmax over the keys, the last axis: each query's weights sum to 1."),
        (scores + mask, "these are the scores: take the softmax over the keys."),
        ((scores + mask).log_softmax(-1), "these are logarithms: return the weights themselves."),
        (
            (scores.transpose(-1, -2) + mask).softmax(-1),
            "queries and keys are exchanged: q @ k.transpose(-1, -2) has the queries in its rows.",
        ),
    ]
    hint = "softmax over the last axis of q @ k.transpose(-1, -2) / √d + mask."
    expect_value(out, _look(q, k, mask), hint, mistakes)
    expect_double(out, _look(q, k, mask))
    v = normal(2, 3, 5, 4, seed=4)
    trusted = F.scaled_dot_product_attention(q, k, v, attn_mask=mask.expand(2, 3, 5, 5))
    expect_close(
        out @ v, trusted, "the values so weighted should be F.scaled_dot_product_attention(q, k, v)."
    )
    _look_of_other_shapes(fn, q, k, mask, out)
    learn = [part.clone().requires_grad_() for part in (q, k)]
    expect_gradient(call(fn, *learn, mask)[..., 1], *learn)
    single = [part.float() for part in (q, k, mask)]
    expect_like(call(fn, *single), single[0])
    expect_any_device(fn, *single)


@exercise(
    "09b.cache",
    verified="five steps one by one are one masked pass; the cache grows at its end; old entries stay",
)
def attend_next(fn):
    q, k, v = (normal(3, 2, 5, 4, seed=s) for s in (5, 6, 7))
    bias = 0.5 * normal(2, 5, 5, seed=8)
    whole = _look(q, k, bias + _causal(5)) @ v
    shape = "return two things: what was found, and the cache (keys, values)."
    _third_step(fn, q, k, v, bias, shape)
    cache = None
    for t in range(5):
        step = [part[:, :, t : t + 1] for part in (q, k, v)]
        row = bias[:, t : t + 1, : t + 1]
        found, cache = pair_of(call(fn, *step, cache, row, _look), shape)
        cache = tuple(pair_of(cache, "the cache is a pair: keys and values."))
        expect_shape(cache[0], (3, 2, t + 1, 4), "after each step the cache is one key longer.")
        expect_close(
            cache[0], k[:, :, : t + 1], "the keys in the order in which they came, the new one last."
        )
        expect_close(
            cache[1], v[:, :, : t + 1], "the values in the order in which they came, the new one last."
        )
        hint = "step by step must give what one masked pass gives; at the first step the cache is None."
        expect_close(found, whole[:, :, t : t + 1], hint)
    expect_double(found, whole[:, :, 4:])
    single = [part[:, :, :1].float() for part in (q, k, v)]
    found, _ = call(fn, *single, None, bias[:, :1, :1].float(), _look)
    expect_like(found, single[0])


def _third_step(fn, q, k, v, bias, shape):
    """The step from three cached places to four, where the usual mistakes show."""
    old = (k[:, :, :3], v[:, :, :3])
    step = [part[:, :, 3:4] for part in (q, k, v)]
    row = bias[:, 3:4, :4]
    found, cache = pair_of(call(fn, *step, old, row, _look), shape)
    keys, values = pair_of(cache, "the cache is a pair: keys and values.")
    expect_shape(found, (3, 2, 1, 4), "one vector a head for the new place: (n, heads, 1, d).")
    for name, part, new, kept in (("keys", keys, step[1], old[0]), ("values", values, step[2], old[1])):
        size = tuple(getattr(part, "shape", ()))
        hint = f"the cache is overwritten: the new {name} come behind the old ones (torch.cat along axis 2)."
        expect(size != (3, 2, 1, 4), hint)
        hint = f"the {name} of this place are not kept: the next step will miss them."
        expect(size != (3, 2, 3, 4) or not torch.equal(part, kept), hint)
        hint = f"the oldest {name} were dropped: the cache holds every place."
        expect(size != (3, 2, 3, 4), hint)
        expect_shape(part, (3, 2, 4, 4), f"three {name} cached and a new one are four, along axis 2.")
        hint = f"the new {name} stand in front: position off. They come last, torch.cat([old, new], 2)."
        expect(not torch.equal(part, torch.cat([new, kept], 2)), hint)
    hint = "keys and values are exchanged in the cache: return (keys, values)."
    expect(not torch.equal(keys, torch.cat([old[1], step[2]], 2)), hint)
    K, V = torch.cat([old[0], step[1]], 2), torch.cat([old[1], step[2]], 2)
    true = _look(step[0], K, row) @ V
    mistakes = [
        (
            _look(step[0], old[0], row[..., :3]) @ old[1],
            "the new place is not looked at: position off by one. It may look at its own token, too.",
        ),
        (
            _look(step[0], old[0], row[..., 1:]) @ old[1],
            "the new place is not looked at: position off by one. It may look at its own token, too.",
        ),
        (step[2], "only the new place is looked at: look at the whole cache."),
        (_look(step[0], K, 0) @ V, "the bias is forgotten: it goes into weigh as the mask."),
        (_look(step[1], K, row) @ V, "the new key asks instead of the new query."),
        (_look(step[0], K, row) @ K, "the keys are averaged: the weights belong to the values."),
        (
            (step[0] @ K.transpose(-1, -2) + row).softmax(-1) @ V,
            "the scale √d is missing: let weigh do it.",
        ),
    ]
    expect_value(
        found, true, "weights of the new query over all keys so far, times all values so far.", mistakes
    )


def _toy():
    """p of two letters (3 × 4 values) in the order of writing; the second is given."""
    first = torch.tensor([0.5, 0.3, 0.2]).double()
    second = normal(3, 4, seed=9).softmax(1)
    return first, second


@exercise(
    "09b.weights",
    verified="weights sum to 1; given letters count, drawn ones cancel; log p of −1,000 nats; exact on a toy",
)
def completion_weights(fn):
    log_p = -2 * normal(5, 3, 4, seed=10).square()
    given = torch.tensor([[1, 1, 0, 0], [1, 1, 0, 0], [1, 0, 0, 0]]).bool()
    out = call(fn, log_p, given)
    expect_shape(out, (5,), "one weight a draw: sum over its places first.")
    seen = (log_p * given).sum((1, 2))
    hidden = (log_p * ~given).sum((1, 2))
    true = seen.softmax(0)
    mistakes = [
        (seen.exp(), "normalise: the weights of all draws sum to 1 (a softmax of the log-weights)."),
        (seen, "these are log-weights: return the weights, which sum to 1."),
        (seen.log_softmax(0), "these are logarithms: return the weights themselves."),
        (
            hidden.softmax(0),
            "the drawn letters are counted: they were drawn with just this probability, and it cancels. "
            "Count the given ones.",
        ),
        (
            (seen + hidden).softmax(0),
            "all letters are counted: those that were drawn cancel, only the given ones remain.",
        ),
        ((-seen).softmax(0), "upside down: a draw is worth more if it makes the given letters likelier."),
        (
            (seen - hidden).softmax(0),
            "the drawn letters are divided out twice: they have cancelled. Count the given ones.",
        ),
        (
            (seen / given.sum()).softmax(0),
            "a mean over the places: probabilities multiply, so their logarithms add up.",
        ),
        (
            (log_p.exp() * given).sum((1, 2)) / (log_p.exp() * given).sum(),
            "probabilities of places multiply; here they are added. Sum the logarithms.",
        ),
        (torch.full((5,), 0.2).double(), "all weights are equal: this is clamped drawing itself."),
    ]
    hint = "softmax over the draws of the sum of log_p over the given places."
    expect_value(out, true, hint, mistakes)
    expect_double(out, true)
    far = log_p - 200
    deep = call(fn, far, given)
    hint = (
        "e to the power of −1,000 is 0 on a computer: subtract the largest log-weight first (softmax does)."
    )
    expect(bool(torch.isfinite(torch.as_tensor(deep)).all()), hint)
    expect_close(deep, true, hint)
    first, second = _toy()
    value = 2
    log_toy = torch.stack([first.log(), second[:, value].log()], 1)[:, None]  # (3, 1, 2)
    weights = call(fn, log_toy, torch.tensor([[False, True]]))
    exact = first * second[:, value] / (first * second[:, value]).sum()
    hint = "on two letters, drawn shares times weights should be Bayes' posterior."
    expect_close(first * weights / (first * weights).sum(), exact, hint)
    expect_like(call(fn, log_p.float(), given), log_p.float())
    expect_any_device(fn, log_p.float(), given)


@exercise("09b.bits", verified="the way back from cu.metrics.bits_per_dimension; 256 greys, 8 bits for noise")
def density_nats(fn):
    cases = [(0.9, 784), (8.0, 784), (1.5, 12), (3.25, 1)]
    for (bits, D), number in zip(cases, itertools.count()):
        out = call(fn, bits, D)
        expect(is_number(out), "return one number, in nats.")
        true = D * (bits - 8) * math.log(2)
        mistakes = [
            (
                D * (bits - math.log2(255)) * math.log(2),
                "0 … 255 are 256 values: each grey has a cell of width 1/256.",
            ),
            (D * (bits - math.log(256)) * math.log(2), "log for log₂: 256 greys are 8 bits, not 5.55."),
            (D * (bits - 8), "these are bits: a nat is 1/ln 2 bits, so multiply by ln 2."),
            (D * (bits - 8) / math.log(2), "multiply by ln 2 on the way from bits to nats; you divide."),
            (D * bits * math.log(2), "this is −log p of the greys: for the density take 8 bits a pixel off."),
            (
                D * (bits + 8) * math.log(2),
                "8 bits a pixel come off: a density over [0, 1] has 256 cells a unit.",
            ),
            ((bits - 8) * math.log(2), "this is a pixel's share: multiply by the number of dimensions."),
            (
                (bits - 8) * math.log(2) / D,
                "bits are per dimension: multiply by their number, do not divide.",
            ),
            (-true, "the sign is turned: −log of a density above 1 is negative."),
            (D * bits * math.log(2) - 8 * math.log(2), "8 bits come off at every pixel, D times, not once."),
        ]
        hint = "solve bits = nats / (D ln 2) + log₂ 256 for the nats."
        expect_value(
            torch.tensor(float(out)).double(), true, f"at {bits} bits, {D} dimensions: {hint}", mistakes
        )
        expect(number < len(cases), hint)


@exercise("09b.order", verified="one of the four orders; the shipped trainings decide")
def my_order(fn):
    order = call(fn)
    hint = "one order only: which of the four is learned best?"
    expect(not isinstance(order, list | tuple | set | dict), hint)
    expect(isinstance(order, str), 'return a word: "rows", "columns", "spiral" or "random".')
    word = order.strip().lower()
    expect(word, "the word is empty: name one of the four orders.")
    hint = 'in the plural, as the orders are called above: "rows", "columns".'
    expect(word not in ("row", "column"), hint)
    hint = "that would be a fifth one: backwards is not among the four trainings."
    expect("back" not in word and "reverse" not in word, hint)
    expect(word in ("rows", "columns", "spiral", "random"), 'one of "rows", "columns", "spiral", "random".')
