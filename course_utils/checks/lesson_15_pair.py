"""Checks of lesson 15's contrastive loss, and of gradients."""

import math

import torch

from course_utils.checks.lesson_14b_pairs import called
from course_utils.checks.machinery import (
    exercise,
    expect,
    expect_any_device,
    expect_close,
    expect_gradient,
    expect_like,
    expect_shape,
)
from course_utils.checks.mistakes import expect_value, explained, normal


def expect_gradients(out, right, inputs, names):
    """Raise Wrong unless the gradients of a number are those of the right one."""
    for part, name in zip(inputs, names, strict=True):
        expect_gradient(
            out, part, hint=f"it must reach {name}, with no detach, no_grad or float() on the way."
        )
    grads = (torch.autograd.grad(value, inputs, retain_graph=True) for value in (out, right))
    for mine, true, name in zip(*grads, names, strict=True):
        expect_close(mine, true, f"part of the gradient of {name} is lost: is something detached?")


def _unit(v):
    return v / v.norm(dim=1, keepdim=True)


def _choice(scores):
    """Mean of −log softmax, of row i at column i."""
    return (scores.logsumexp(1) - scores.diagonal()).mean()


def _of_vectors(a, b, temperature, more=None):
    """Equation (1) with the vectors as they are."""
    scores = a @ b.T / temperature
    wide = scores if more is None else torch.cat([scores, a @ more.T / temperature], 1)
    return (_choice(wide) + _choice(scores.T)) / 2


def _contrastive(seen, heard, temperature, more=None):
    return _of_vectors(_unit(seen), _unit(heard), temperature, None if more is None else _unit(more))


def _unscaled(seen, heard, temperature, more):
    """What other lengths of the vectors come to: pairs (value, hint)."""
    a, b, m = _unit(seen), _unit(heard), None if more is None else _unit(more)
    every = (seen, heard, more)
    along = [None if v is None else v / v.norm(dim=0) for v in every]
    sums = [None if v is None else v / v.abs().sum(1, keepdim=True) for v in every]
    squares = [None if v is None else v / v.square().sum(1, keepdim=True) for v in every]
    one = "scale each vector to length one (F.normalize)"
    return [
        (_of_vectors(seen, heard, temperature, more), f"the vectors come in any length: {one}."),
        (_of_vectors(a, b, temperature, more), f"the vectors of `more` keep their lengths: {one}, too."),
        (_of_vectors(seen, b, temperature, m), f"the pictures' vectors keep their lengths: {one}."),
        (_of_vectors(a, heard, temperature, m), f"the sentences' vectors keep their lengths: {one}."),
        (
            _of_vectors(*along[:2], temperature, along[2]),
            "scaled along the batch: scale each vector by itself, dim=1.",
        ),
        (_of_vectors(*sums[:2], temperature, sums[2]), "scaled to a sum of one: divide by the length, √Σv²."),
        (_of_vectors(*squares[:2], temperature, squares[2]), "divided by the squared length: take its root."),
        (
            _of_vectors(a, b, 1 / temperature, m),
            "multiplied by the temperature: divide the similarities by it.",
        ),
        (_of_vectors(a, b, 1.0, m), "the temperature is missing: divide the similarities by it."),
        (_of_vectors(a, b, temperature**2, m), "divided by the temperature twice: once is enough."),
    ]


def _extra_causes(seen, heard, temperature, more):
    """What mistakes with further sentences come to: pairs (value, hint)."""
    if more is None:
        return []
    a, b, m = _unit(seen), _unit(heard), _unit(more)
    scores, extra, other = a @ b.T / temperature, a @ m.T / temperature, b @ m.T / temperature
    wide, back = torch.cat([scores, extra], 1), _choice(scores.T)
    causes = [
        (
            (_choice(scores) + back) / 2,
            "`more` is ignored: its similarities are further columns, for the first question.",
        ),
        (
            (_choice(scores) + _choice(torch.cat([scores.T, other], 1))) / 2,
            "`more` went to the second question: give these sentences to the first, as wrong answers for a picture.",
        ),
        (
            (_choice(wide) + _choice(torch.cat([scores.T, other], 1))) / 2,
            "`more` went to both questions: only the first gets further answers, for `more` are sentences.",
        ),
        (
            (_choice(torch.cat([scores, other], 1)) + back) / 2,
            "`more` is compared with sentences: compare it with the pictures, seen @ more.T.",
        ),
        (
            (_choice(torch.cat([scores, extra * temperature], 1)) + back) / 2,
            "the similarities to `more` are not divided by the temperature: all logits are.",
        ),
    ]
    if extra.shape == scores.shape:
        near = torch.cat([scores, extra.diagonal()[:, None]], 1)
        hint = "each picture meets one of `more` only: give all M to each picture."
        causes.append(((_choice(near) + back) / 2, hint))
    return causes


def _contrastive_causes(seen, heard, temperature, more):
    """What usual mistakes come to: pairs (value, hint)."""
    a, b = _unit(seen), _unit(heard)
    scores = a @ b.T / temperature
    extra = scores[:, :0] if more is None else a @ _unit(more).T / temperature
    wide = torch.cat([scores, extra], 1)
    right, back, B = (_choice(wide) + _choice(scores.T)) / 2, _choice(scores.T), len(seen)
    first, second = wide.softmax(1).diagonal(), scores.softmax(0).diagonal()
    apart = wide.masked_fill(torch.eye(B, wide.shape[1]).bool(), -torch.inf).logsumexp(1)
    apart = apart + scores.masked_fill(torch.eye(B).bool(), -torch.inf).logsumexp(0)
    both = "both questions count, by rows and by columns:"
    causes = [
        (2 * right, "the two questions are added: take their mean, the 2 in 1/2B."),
        (B * right, "summed over the batch: take the mean."),
        (2 * B * right, "the 1/2B is missing: the mean over the batch, and over both questions."),
        (-right, "the sign is turned: a loss is −log of a share."),
        (right / math.log(2), "these are bits: take the natural logarithm."),
        (_choice(wide), f"{both} yours only asks which sentence tells the picture."),
        (back, f"{both} yours only asks which picture a sentence tells."),
        (-scores.diagonal().mean(), "these are bare similarities of pairs: take −log of a softmax."),
        (-(first + second).mean() / 2, "this is a mean of shares: take their logarithms."),
        (
            -(wide.log_softmax(1).mean() + scores.log_softmax(0).mean()) / 2,
            "averaged over all entries: only the diagonal, row i with column i, counts.",
        ),
        (
            scores.logsumexp((0, 1)) - scores.diagonal().mean(),
            "one softmax over the whole table: take one for each row, and one for each column.",
        ),
        (
            (apart / 2 - scores.diagonal()).mean(),
            "the right answer is missing in the denominator: the sum over j has it, too.",
        ),
    ]
    return causes + _extra_causes(seen, heard, temperature, more) + _unscaled(seen, heard, temperature, more)


AMBIGUOUS = (("Boolean value of Tensor", "a tensor is not true or false: ask `more is not None`."),)


def _loss(fn, seen, heard, temperature, *more, hint="equation (1) gives another number."):
    """One call of the exercise, its shape and value."""
    out = called(fn, seen, heard, temperature, *more, known=AMBIGUOUS)
    expect_shape(out, (), "A single number that training can follow back: the mean over the batch.")
    expect(out.isfinite(), "it gives inf or nan: e^(1/τ) is too large a number, so use F.cross_entropy.")
    causes = _contrastive_causes(seen, heard, temperature, more[0] if more else None)
    expect_value(out, _contrastive(seen, heard, temperature, *more), hint, causes)
    expect_like(out, seen)
    return out


@exercise(
    "15.contrastive_loss",
    verified="both questions, any lengths, further sentences for pictures only, a gradient, τ = 0.01, float32",
)
def contrastive_loss(fn):
    seen, heard = normal(6, 4, seed=92), normal(6, 4, seed=93) + 0.5 * normal(6, 4, seed=92)
    scale = torch.tensor([0.5, 3.0, 1.0, 2.0, 0.7, 1.5])[:, None].double()
    seen, heard, more = scale * seen, 2 * heard * scale.flip(0), 1.7 * normal(3, 4, seed=94)
    tau = torch.tensor(0.4).double()
    _loss(fn, seen, heard, tau)
    for some in (more, 0.6 * normal(6, 4, seed=95), more[:1]):
        _loss(fn, seen, heard, tau, some, hint="with `more`, equation (1) gives another number.")
    hint = "the vectors' lengths count: only their directions may."
    _loss(fn, 1000 * seen, 0.01 * heard, tau, 100 * more, hint=hint)
    hint = "one pair alone, B = 1: without `more` nothing is left to choose."
    _loss(fn, seen[:1], heard[:1], tau, hint=hint)
    _loss(fn, seen[:1], heard[:1], tau, more, hint="one pair alone, B = 1, with `more`.")
    learn = [part.clone().requires_grad_() for part in (seen, heard, tau, more)]
    out = _loss(fn, *learn)
    expect_gradients(out, _contrastive(*learn), learn, ("seen", "heard", "the temperature", "more"))
    single = [part.float() for part in (seen, heard, tau, more)]
    _loss(fn, *single)
    with explained("The temperature may be a plain number."):
        _loss(fn, *single[:2], 0.4, single[3])
    _loss(fn, single[0], single[0] + 0.01, torch.tensor(0.01), single[3])
    expect_any_device(fn, *single)
    expect_any_device(fn, *single[:3])
