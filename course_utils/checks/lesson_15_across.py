"""Checks of lesson 15's cross-attention."""

import math

import torch
from torch import nn

from course_utils.checks.lesson_14b_pairs import called
from course_utils.checks.lesson_15_pair import expect_gradients
from course_utils.checks.machinery import (
    Wrong,
    exercise,
    expect,
    expect_any_device,
    expect_like,
    expect_shape,
)
from course_utils.checks.mistakes import expect_value, normal, pair_of


def _split(t, heads):
    return t.unflatten(-1, (heads, -1)).transpose(1, 2)


def _join(t):
    return t.transpose(1, 2).flatten(2)


def _shut(hidden, scores):
    return torch.zeros_like(scores).bool() if hidden is None else hidden[:, None, None].expand_as(scores)


def _attend(x, memory, query, key, value, heads, hidden=None):
    q, k, v = (_split(t, heads) for t in (query(x), key(memory), value(memory)))
    scores = q @ k.mT / math.sqrt(q.shape[-1])
    weights = scores.masked_fill(_shut(hidden, scores), -torch.inf).softmax(-1)
    return _join(weights @ v), weights


def _hidden_causes(scores, hidden):
    """What mistakes with hidden places make of the weights: pairs (value, hint)."""
    if hidden is None:
        return []
    shut = _shut(hidden, scores)
    return [
        (
            scores.softmax(-1).masked_fill(shut, 0),
            "hidden after the softmax, so the rest no longer sums to one: −∞ in the scores, before it.",
        ),
        (scores.softmax(-1), "hidden is ignored: −∞ in the scores of these places, before the softmax."),
        (
            scores.masked_fill(~shut, -torch.inf).softmax(-1),
            "hidden is inverted: True is where nobody may look.",
        ),
        (
            scores.masked_fill(shut, 0).softmax(-1),
            "hidden scores are set to 0, and e⁰ = 1 is a weight: set them to −∞.",
        ),
        ((scores + shut).softmax(-1), "True adds 1 to the scores of hidden places: set these to −∞."),
    ]


def _weight_causes(x, memory, query, key, value, heads, hidden):
    """What usual mistakes make of the weights: pairs (value, hint)."""
    q, k = query(x), key(memory)

    def soft(q, k, axis=-1, heads=heads, split=_split, root=None, of=torch.softmax):
        q, k = split(q, heads), split(k, heads)
        scores = q @ k.mT / (root or math.sqrt(q.shape[-1]))
        return of(scores.masked_fill(_shut(hidden, scores), -torch.inf), axis)

    width, M = q.shape[-1], memory.shape[1]
    d, right = width // heads, soft(q, k)
    scores = _split(q, heads) @ _split(k, heads).mT / math.sqrt(d)
    causes = _hidden_causes(scores, hidden)
    causes += [
        (soft(q, k, root=1), "the scale is missing: divide q·k by √d."),
        (soft(q, k, root=math.sqrt(width)), "divided by the root of the whole width: d is that of one head."),
        (soft(q, k, root=d), "divided by d: divide by its root, √d."),
        (soft(q, k, root=1 / math.sqrt(d)), "multiplied by √d: divide by it."),
        (soft(q, k, root=math.sqrt(M)), "divided by the root of the number of places: d is a head's width."),
        (
            soft(q, k, axis=-2),
            "softmax over the queries: each query's weights sum to one, over the places, the last axis.",
        ),
        (soft(q, k, axis=1), "softmax over the heads: take it over the places of memory, the last axis."),
        (soft(q, k, of=torch.log_softmax), "these are logarithms: return the weights themselves."),
        (scores, "these are the scores: take the softmax over the places."),
        (
            soft(q, k, split=lambda t, h: t.reshape(len(t), h, -1, d)),
            "words and heads are mixed by a reshape: unflatten to (B, N, heads, d), then transpose.",
        ),
        (
            soft(q, k, split=lambda t, h: t.unflatten(-1, (d, h)).permute(0, 3, 1, 2)),
            "head 0 has the first d numbers: unflatten to (heads, d), not to (d, heads).",
        ),
        (right.mT, "queries and places are exchanged: (B, heads, N, M)."),
    ]
    if x.shape == memory.shape:
        causes += [
            (soft(q, key(x)), "the keys come from x: keys and values come from memory."),
            (soft(query(memory), k), "the queries come from memory: x asks."),
            (soft(query(memory), key(x)), "x and memory are exchanged: x asks, memory answers."),
            (soft(key(x), query(memory)), "the modules of queries and keys are exchanged."),
            (soft(q, value(memory)), "the values answer for the keys: k = key(memory)."),
        ]
    return causes


def _found_causes(x, memory, key, value, heads, weights):
    """What usual mistakes make of what is found, where the weights are right: pairs (value, hint)."""
    v = value(memory)
    B, d = len(x), v.shape[-1] // heads
    parts = weights @ _split(v, heads)
    causes = [
        (
            parts.reshape(B, -1, heads * d),
            "the heads are joined by a reshape alone: first transpose(1, 2), then flatten(2).",
        ),
        (
            parts.permute(0, 2, 3, 1).flatten(2),
            "the heads' numbers alternate: first all d of head 0, transpose(1, 2).flatten(2).",
        ),
        (
            _join(weights @ v.reshape(B, heads, -1, d)),
            "the values' heads are split by a reshape: unflatten, then transpose, as for the keys.",
        ),
        (
            _join(weights @ v.unflatten(-1, (d, heads)).permute(0, 3, 1, 2)),
            "the values' head 0 has the first d numbers: unflatten(-1, (heads, d)).",
        ),
        (
            _join(weights @ _split(key(memory), heads)),
            "the keys are averaged: the weights belong to the values.",
        ),
        (
            _join(weights.mean(1, keepdim=True) @ _split(v, heads)),
            "the heads' weights are averaged: each head has its own.",
        ),
        (
            _join(parts) / weights.shape[-1],
            "divided by the number of places: the weights sum to one already.",
        ),
    ]
    of_x, itself = (
        "the values come from x: keys and values come from memory.",
        "memory itself is averaged: average value(memory).",
    )
    if x.shape == memory.shape:
        causes.append((_join(weights @ _split(value(x), heads)), of_x))
    if v.shape[-1] == x.shape[-1]:
        causes.append((x + _join(parts), "x is added: return what was found alone."))
    if v.shape[-1] == memory.shape[-1]:
        causes.append((_join(weights @ _split(memory, heads)), itself))
    return causes


CROSSED = (
    (
        "is invalid for input of size",
        "sizes do not fit: take the width from what query(x) returns, not from x.",
    ),
    (
        "shapes cannot be multiplied",
        "query takes x, key and value take memory, and heads meet as q @ k.mT and weights @ v.",
    ),
    (
        "has no attribute",
        "query, key and value are any modules: call them, and take sizes from what they return.",
    ),
    (
        "must match the size",
        "sizes do not fit: scores are (B, heads, N, M), and hidden[:, None, None] fits them.",
    ),
)


def _expect_shapes(found, weights, B, N, M, heads, width):
    """Raise Wrong unless what was found is (B, N, width), and the weights are (B, heads, N, M)."""
    shape = tuple(getattr(found, "shape", ()))
    turned = shape == (B, heads, N, M) != (B, N, width)
    expect(not turned, "the two are exchanged: first what was found, then the weights.")
    d = width // heads
    hints = {
        (B, heads, N, d): "The heads are still apart: transpose(1, 2).flatten(2) joins them.",
        (B, N, heads, d): "The heads are still apart: flatten(2) joins them.",
        (B, N, d): "Only d numbers: join the heads, do not average them.",
        (B, N, N): "These are weights, not what was found.",
    }
    expect_shape(found, (B, N, width), hints.get(shape, "As many rows as x has, width numbers in each."))
    hints = {
        (B, heads, N, N): "The keys come from x: keys and values come from memory.",
        (B, heads, M, M): "The queries come from memory: x asks.",
        (B, heads, M, N): "Queries and places are exchanged: q @ k.mT has the queries in its rows.",
        (B, N, M): "One row for each head and each query: do not average the heads.",
        (B, heads, M): "One row for each query.",
        (B * heads, N, M): "Batch and heads have an axis each.",
        (B, N, heads, heads): "The heads look at each other: transpose(1, 2) after unflatten.",
    }
    shape = tuple(getattr(weights, "shape", ()))
    expect_shape(weights, (B, heads, N, M), hints.get(shape, "One weight for each head, query and place."))


def _crossed(
    fn, x, memory, modules, heads, hidden=None, *, hint="softmax(q kᵀ / √d) v, head by head", usual=True
):
    """One call of the exercise, looked at from all sides; returns what comes out."""
    more = () if hidden is None else (hidden,)
    out = called(fn, x, memory, *modules, heads, *more, known=CROSSED)
    two = "return two things: what was found, and the weights."
    expect(not isinstance(out, torch.Tensor), two)
    found, weights = pair_of(out, two)
    _expect_shapes(found, weights, len(x), x.shape[1], memory.shape[1], heads, modules[0](x).shape[-1])
    along = hidden is not None and x.shape[1] == memory.shape[1]
    along = along and torch.equal(weights.isnan(), hidden[:, None, :, None].expand_as(weights))
    expect(not along, "hidden lies along the queries: along the places, hidden[:, None, None].")
    nan = "the weights are nan: only hidden places have scores of −∞, by masked_fill, for 0 · ∞ is no number."
    large = "the weights are nan: e to a large score overflows, so let softmax do it."
    expect(weights.isfinite().all(), large if hidden is None else nan)
    right, share = _attend(x, memory, *modules, heads, hidden)
    digits = 1e-5 if x.dtype == torch.float64 else 1e-4
    causes = _weight_causes(x, memory, *modules, heads, hidden) if usual else ()
    try:
        expect_value(weights, share, f"the weights are wrong: {hint}.", causes, atol=digits)
    except Wrong as wrong:
        if hidden is None or str(wrong) != f"the weights are wrong: {hint}.":
            raise
        seen = weights.masked_select(_shut(hidden, weights)).abs().max().item()
        expect(
            seen < 1e-5,
            f"hidden places get a weight of {seen:.2g}: their scores must be −∞ before the softmax ({hint}).",
        )
        raise
    causes = _found_causes(x, memory, *modules[1:], heads, share)
    expect_value(found, right, f"the weights are right, but not what is found: {hint}.", causes, atol=digits)
    for part in (found, weights):
        expect_like(part, x)
    return found, weights


def _linear(inputs, width, seed):
    """A layer (inputs → width) with fixed float64 weights."""
    layer = nn.Linear(inputs, width, dtype=torch.float64)
    for number, part in enumerate(layer.parameters()):
        part.data = 0.7 * normal(*part.shape, seed=seed + number)
    return layer


def _three(told, width, inputs, seed):
    return [_linear(inputs, width, seed), _linear(told, width, seed + 2), _linear(told, width, seed + 4)]


@exercise(
    "15.cross_attention",
    verified="found and weights by heads, N ≠ M, one head, hidden places at any score, a gradient, float32",
)
def cross_attention(fn):
    x, memory = normal(3, 4, 6, seed=101), normal(3, 4, 6, seed=102)
    modules = _three(6, 6, 6, 103)
    hidden = torch.tensor(
        [[False, False, True, False], [False, True, False, False], [True, False, True, True]]
    )
    _crossed(fn, x, memory, modules, 2)
    _crossed(fn, x, memory, modules, 2, hidden)
    x, memory, modules = normal(2, 5, 4, seed=111), normal(2, 7, 8, seed=112), _three(8, 6, 4, 113)
    hidden = torch.arange(7) >= torch.tensor([[7], [4]])
    for heads in (3, 1, 6):
        shape = f"N = 5, M = 7, {heads} heads"
        _crossed(fn, x, memory, modules, heads, hint=shape)
        _crossed(fn, x, memory, modules, heads, hidden, hint=f"{shape}, hidden (B, M)")
    _crossed(fn, x[:1, :1], memory[:1], modules, 3, hidden[1:], hint="one word alone, B = N = 1")
    _crossed(fn, x, memory[:, :1], modules, 3, hint="a memory of one place, M = 1")
    _expect_hidden_at_any_score(fn)
    learn = [x.clone().requires_grad_(), memory.clone().requires_grad_()]
    found, _ = _crossed(fn, *learn, modules, 3, hidden)
    right, factors = _attend(*learn, *modules, 3, hidden)[0], normal(2, 5, 6, seed=119)
    inputs = learn + [module.weight for module in modules]
    names = ("x", "memory", "query", "key", "value")
    expect_gradients((found * factors).sum(), (right * factors).sum(), inputs, names)
    single = [part.float() for part in (x, memory)]
    modules = [module.float() for module in modules]
    _crossed(fn, *single, modules, 3, hidden, hint="in float32")
    for more in ((), (hidden,)):
        expect_any_device(fn, *single, *modules, 3, *more)


def _expect_hidden_at_any_score(fn):
    """Scores beyond ±1,000: hidden places stay hidden, and no exponential overflows."""
    x = torch.full((1, 2, 4), 30.0).double()
    memory = torch.tensor([-30.0, 30.0, -30.01, 29.99, 30.02]).double()[None, :, None].expand(1, 5, 4)
    same = [nn.Identity()] * 3
    _crossed(fn, x, memory, same, 2, hint="large scores, modules that change nothing", usual=False)
    hidden = torch.tensor([[False, True, False, True, True]])
    _crossed(fn, x, memory, same, 2, hidden, hint="low scores beside hidden high ones", usual=False)
