"""Checks of Appendix A, one exercise a card: distances, a gradient step, log-sum-exp, sizes of convolutions.

Gaussians and KL are in `lesson_A_probability.py`, the last card's three, on rulers, in `lesson_A_rulers.py`.
"""

import functools
import itertools
import math
import numbers

import torch
import torch.nn.functional as F

from course_utils.checks import lesson_A_probability, lesson_A_rulers  # noqa: F401  they register theirs
from course_utils.checks.machinery import (
    Wrong,
    call,
    exercise,
    expect,
    expect_close,
    expect_like,
    expect_shape,
)
from course_utils.checks.mistakes import expect_none_of, explained, normal


@exercise(
    "A.pairwise_distances",
    verified=(
        "every entry agrees with a loop, for as many rows in a as in b, for fewer, and for one; a row is"
        " 0 from itself; nothing negative in float32"
    ),
)
def pairwise_distances(fn):
    a, b, c = normal(4, 5), normal(3, 5, seed=1), normal(4, 5, seed=2)
    out = call(fn, a, c)
    each = "One number for each pair: sum over the d coordinates only (the last dimension)."
    expect_shape(out, (4, 4), each)
    _distance_hints(out, a, c)
    hint = (
        "some entries differ from ‖a_i − c_j‖² computed one by one: by (A1) it is ‖a_i‖² + ‖c_j‖² − 2"
        " a_i·c_j, each term a sum over the coordinates."
    )
    expect_close(out, _loop(a, c), hint)
    with explained(
        "fewer rows in b than in a, 4 and 3, must work as well: row i belongs to a, column j to b."
    ):
        out = call(fn, a, b)
        expect_shape(out, (4, 3), each)
        expect_close(out, _loop(a, b), hint)
    single = call(fn, a[:1], b[:1])
    expect_shape(single, (1, 1), "one row in each makes a table of one entry: do not squeeze.")
    far = (normal(50, 3, seed=3) + 1000).float()
    out = call(fn, far, far)
    expect(torch.isfinite(out).all(), "some entries are infinite or not a number.")
    expect((out >= 0).all(), "rounding makes some squared distances negative: clamp(min=0).")
    expect_close(call(fn, a, a).diagonal(), torch.zeros(4), "the distance of a row from itself should be 0.")


def _loop(a, b):
    return torch.stack([torch.stack([(p - q).square().sum() for q in b]) for p in a])


def _distance_hints(out, a, c):
    """Name the usual slips by what they give for as many rows in a as in c."""
    right, product = _loop(a, c), a @ c.T
    norms_a, norms_c = a.square().sum(1), c.square().sum(1)
    column = (
        "make ‖a_i‖² a column (n, 1) and ‖b_j‖² a row (1, m), so that each is stretched over the other axis."
    )
    mistakes = {
        "this is the transpose: row i belongs to a, so a needs the new last axis, a[:, None].": right.T,
        "this is the distance itself; return its square, without the root.": right.sqrt(),
        "every entry is too small by the factor d: sum over the coordinates, do not average.": right / 5,
        "the product a·b enters (A1) with the factor −2, not −1.": right + product,
        "the product a·b enters (A1) with the factor −2, not +2.": right + 4 * product,
        "the product a·b is missing from (A1): −2 a·b.": right + 2 * product,
        "this is only the product a·b of (A1): the squares of the norms are missing.": product,
        "the squares of the norms are missing from (A1).": -2 * product,
        "this is the sum of the absolute differences: square them.": torch.cdist(a, c, p=1),
        "this is the largest difference: sum the squares of all.": torch.cdist(a, c, p=torch.inf),
        "the norms enter (A1) as squares: a.square().sum(1).": (
            norms_a.sqrt()[:, None] + norms_c.sqrt() - 2 * product
        ),
        f"the norms of a and b are exchanged, as the diagonal alone does not show: {column}": (
            norms_a[None] + norms_c[:, None] - 2 * product
        ),
        f"two vectors of norms were added entry by entry and laid along the rows: {column}": (
            norms_a + norms_c - 2 * product
        ),
        f"two vectors of norms were added entry by entry and laid along the columns: {column}": (
            (norms_a + norms_c)[:, None] - 2 * product
        ),
    }
    expect_none_of(out.clamp(min=0), {hint: value.clamp(min=0) for hint, value in mistakes.items()})


@exercise(
    "A.sgd_step",
    verified=(
        "the closed form in a bowl, parameters of any shape, float64, repeated calls; the result belongs"
        " to no graph, and theta keeps no trace"
    ),
)
def sgd_step(fn):
    steepness, theta = torch.tensor([1.0, 10.0]), torch.tensor([2.0, -0.07])

    def bowl(t):
        return 0.5 * (steepness * t**2).sum()

    out = call(fn, theta, bowl, 0.05)
    expect_shape(out, (2,), "The new parameters have the shape of the old ones.")
    gradient = steepness * theta
    goal = theta - 0.05 * gradient
    mistakes = {
        "theta did not move: return theta − lr · gradient as a new tensor.": theta,
        "the loss went up: a step goes *against* the gradient, so subtract it.": theta + 0.05 * gradient,
        "the step has the length of the whole gradient: multiply it by lr.": theta - gradient,
        "the step is divided by lr: multiply the gradient by it.": theta - gradient / 0.05,
        "this is the step alone; return theta plus the step.": -0.05 * gradient,
        "this is the gradient; return theta − lr · gradient.": gradient,
        "the step has only the gradient's sign: multiply lr by the gradient itself.": theta
        - 0.05 * gradient.sign(),
        "the gradient is scaled to length 1: take it as it is.": theta - 0.05 * gradient / gradient.norm(),
        "the loss is subtracted: subtract lr times its gradient.": theta - 0.05 * bowl(theta),
        "these are two steps: take one.": theta * (1 - 0.05 * steepness) ** 2,
        "the step is half as long as it should be: lr times the gradient.": theta - 0.025 * gradient,
        "the step is twice as long as it should be: lr times the gradient.": theta - 0.1 * gradient,
        "lr is squared: multiply the gradient by lr once.": theta - 0.05**2 * gradient,
        "every parameter moves by the mean gradient: each has its own.": theta - 0.05 * gradient.mean(),
        "the gradient is clamped: take it as it is.": theta - 0.05 * gradient.clamp(-1, 1),
        "theta is subtracted instead of the gradient of the loss.": theta - 0.05 * theta,
    }
    expect_none_of(out, mistakes)
    expect_close(out, goal, "in ½Σ h θ² one step must give (1 − lr·h)·θ in each coordinate.")
    expect(
        not out.requires_grad and out.grad_fn is None,
        "the result still belongs to a graph, which would grow step by step: end with .detach().",
    )
    longer = call(fn, theta, bowl, 0.3)
    expect_none_of(longer, {"another lr changes nothing: use the argument lr.": goal})
    expect_close(longer, theta - 0.3 * gradient, "with lr = 0.3 the step is not lr times the gradient.")
    leaf = theta.clone().requires_grad_()
    leaf.grad = torch.tensor([7.0, -7.0])  # what an earlier backward may have left
    again = "the result depends on a gradient from before: .grad adds up over calls. Work on"
    again += " theta.detach().requires_grad_(), or use torch.autograd.grad."
    for _ in range(2):
        out = call(fn, leaf, bowl, 0.05)
        expect_close(out, goal, again)
    expect(
        not out.requires_grad and out.grad_fn is None,
        "where theta requires a gradient, the result belongs to a graph: end with .detach().",
    )
    matrix = normal(3, 2)
    with explained("a matrix of parameters must work as well: the gradient is one."):
        out = call(fn, matrix, lambda t: t.exp().sum(), 0.1)
        expect_close(out, matrix - 0.1 * matrix.exp(), "for Σ exp(θ) the step is lr · exp(θ).")
        expect_like(out, matrix, "the path in the next cell is a stack of states of one dtype.")
    with explained("a single parameter without dimensions must work as well."):
        expect_close(call(fn, torch.tensor(3.0), lambda t: t**2, 0.1), 2.4, "3 − 0.1 · 6 = 2.4.")


@exercise(
    "A.log_sum_exp",
    verified=(
        "any dimension of vectors, matrices and 3-D tensors, logits of ±1000, slices of very different"
        " size, −inf and +inf; keeps float32"
    ),
)
def log_sum_exp(fn):
    a = normal(4, 3)
    out = call(fn, a, 1)
    expect_shape(
        out, (4,), "With dim=1 the columns are summed and that dimension disappears (no keepdim at the end)."
    )
    total, top = a.exp().sum(1), a.amax(1)
    mistakes = {
        "this is the sum of the exponentials; the logarithm of it is asked for.": total,
        "the maximum that was pulled out must be added again: m + log Σ exp(a − m).": total.log() - top,
        "the maximum is subtracted at the end: m + log Σ exp(a − m), added.": total.log() - 2 * top,
        "the maximum is added although none was subtracted inside: m + log Σ exp(a − m).": total.log() + top,
        "the maximum is multiplied in: outside the logarithm it is added, m + log Σ exp(a − m).": top
        * (total.log() - top),
        "this is the maximum alone: m + log Σ exp(a − m).": top,
        "this is the logarithm of the mean: sum, do not average.": total.log() - math.log(3),
        "the logarithm has the base 2: take the natural one.": total.log() / math.log(2),
        "the logarithm has the base 10: take the natural one.": total.log() / math.log(10),
        "this is log(1 + Σ exp(a)): take log, not log1p.": total.log1p(),
        "this is the sum of the logits: take exp first.": a.sum(1),
        "the sign is turned.": -total.log(),
    }
    expect_none_of(out, mistakes)
    expect_close(out, total.log(), "for small logits it must equal log(sum(exp(a))) over dimension dim.")
    with explained("dim=0 gives a wrong answer: use the argument dim everywhere."):
        expect_close(call(fn, a, 0), a.exp().sum(0).log(), "It must be log Σ exp down the columns.")
    _every_rank(fn)
    _extreme(fn)
    leaf = torch.tensor([[0.3, -1.2, 2.0], [0.1, 0.2, -0.5]], requires_grad=True)
    with explained("the next cell hands in logits that require a gradient."):
        out = call(fn, leaf, 1)
        expect_close(out, leaf.exp().sum(1).log(), "It must be log Σ exp(a) for them, too.")
    expect_like(out, leaf, "the cross-entropy in the next cell has the dtype of its logits.")
    if out.requires_grad:
        (found,) = torch.autograd.grad(out.sum(), leaf)
        hint = "its gradient is not the softmax: is the maximum cut out of the graph in one place only?"
        expect_close(found, leaf.softmax(1), hint)


def _every_rank(fn):
    """Vectors and 3-D tensors, and dimensions counted from the end."""
    vector, box = normal(5, seed=1), normal(2, 3, 4, seed=2)
    with explained("a vector, with dim=0, must work as well: turn no axes (a.T), use dim."):
        expect_close(call(fn, vector, 0), vector.exp().sum().log(), "One number is left.")
    with explained("a tensor with three dimensions must work as well: use dim, whatever the rank."):
        for dim in (1, 0, 2):
            expect_close(call(fn, box, dim), box.exp().sum(dim).log(), f"With dim={dim} it is wrong.")
    with explained("dim may be negative, counted from the end: −1 is the last dimension."):
        for dim in (-1, -2):
            expect_close(call(fn, box, dim), box.exp().sum(dim).log(), f"With dim={dim} it is wrong.")


def _extreme(fn):
    """Logits whose exponentials overflow or underflow, and infinite ones."""
    large, inf = torch.tensor([[1000.0, 1000.0], [-1000.0, -1001.0]]), torch.inf
    goal = large.amax(1) + torch.tensor([2.0, 1 + math.exp(-1)]).log()
    for row, what in enumerate(("1000 overflow", "−1000 underflow")):
        out = call(fn, large[row : row + 1], 1)
        expect(out.isfinite().all(), f"logits of {what}: subtract the maximum before exp, (A3).")
        expect_close(
            out,
            goal[row : row + 1],
            f"logits of {what.split()[0]} give {float(out[0]):.2f} instead of {float(goal[row]):.2f}: a"
            " clamp or a small number only hides that exp fails. Subtract the maximum before exp, (A3).",
            atol=1e-3,
            rtol=0,
        )
    expect_close(
        call(fn, large, 1),
        goal,
        "with slices of 1000 and −1000 in one tensor a slice fails: subtract the maximum of each slice,"
        " amax(dim, keepdim=True), not that of the whole tensor.",
        atol=1e-3,
        rtol=0,
    )
    expect_close(
        call(fn, torch.tensor([[400.0, -700.0]]), 1),
        [400.0],
        "logits of 400 and −700 in one slice fail: subtract the largest of the slice, not the smallest or the mean.",
    )
    out = call(fn, torch.tensor([[-inf, -inf], [0.5, 0.0]]), 1)
    expect(
        not out.isnan().any(),
        "a slice of only −inf gives nan, as −inf − (−inf) is nan: where the maximum is infinite subtract 0"
        " instead.",
    )
    expect(
        out[0] == -inf, "a slice of only −inf is a sum of zeros: its logarithm is −inf, not a finite number."
    )
    expect_close(out[1], math.log(1 + math.exp(0.5)), "a slice beside one of −inf is wrong.")
    for slice_ in ([inf, 0.0], [inf, -inf], [inf, inf]):
        expect(call(fn, torch.tensor([slice_]), 1)[0] == inf, "a slice that holds +inf must give +inf.")
    expect_close(
        call(fn, torch.tensor([[-inf, 2.0]]), 1),
        [2.0],
        "a −inf beside a logit of 2 adds zero: the result is 2.",
    )


@functools.cache  # the truth never changes
def _actual_size(n: int, kernel: int, stride: int, padding: int, transposed: bool) -> int:
    """What PyTorch makes of n cells."""
    convolve, weight = F.conv_transpose2d if transposed else F.conv2d, torch.zeros(1, 1, kernel, kernel)
    return convolve(torch.zeros(1, 1, n, n), weight, stride=stride, padding=padding).shape[-1]


def _size(fn, *args, **kwargs):
    """What the reader's function makes of n cells, which must be a whole number."""
    size = call(fn, *args, **kwargs)
    whole = isinstance(size, numbers.Integral) and not isinstance(size, bool)
    expect(
        whole, f"return a whole number (int), not a {type(size).__name__}: divide with //, which rounds down."
    )
    return size


@exercise(
    "A.output_size",
    verified="agrees with what F.conv2d and F.conv_transpose2d return in 72 cases; takes keywords",
)
def output_size(fn):
    _named_sizes(fn)
    with explained("stride, padding and transposed may be given by name."):
        expect(_size(fn, 28, kernel=4, stride=2, padding=1) == 14, "It should be 14.")
        expect(_size(fn, 14, kernel=4, stride=2, padding=1, transposed=True) == 28, "It should be 28.")
    for transposed, n, k, s, p in itertools.product((False, True), (7, 30), (2, 3, 5), (1, 2, 3), (0, 1, 2)):
        if 2 * p < k:
            goal, found = _actual_size(n, k, s, p, transposed), _size(fn, n, k, s, p, transposed)
            kind = "transposed convolution" if transposed else "convolution"
            expect(
                found == goal,
                f"a {kind} with n={n}, kernel={k}, stride={s}, padding={p} gives {goal}, not {found}.",
            )


def _named_sizes(fn):
    """A few sizes whose wrong values show the slip."""
    cases = [
        (
            (28, 5),
            24,
            {23: "a 5 × 5 kernel has 28 − 5 + 1 places on 28 cells: the first place counts too, add 1."},
            "a 5 × 5 kernel without padding has 28 − 5 + 1 = 24 places to stand.",
        ),
        (
            (28, 3, 1, 1),
            28,
            {
                27: "a 3 × 3 kernel with padding 1 keeps 28 cells, not 27: zeros come on both sides, 2p.",
                26: "the padding has no effect: zeros come on both sides, n + 2p.",
                24: "the padding makes the image smaller: it is added, n + 2p.",
            },
            "a 3 × 3 kernel with padding 1 keeps 28 cells.",
        ),
        (
            (28, 4, 2, 1),
            14,
            {
                27: "the stride has no effect: divide by it.",
                13: "kernel 4, stride 2, padding 1: the 1 is added after the division, not before it.",
                54: "the stride multiplies: divide by it.",
                53: "the stride multiplies: divide by it, then add 1.",
            },
            "kernel 4, stride 2, padding 1 must halve 28 to 14.",
        ),
        (
            (28, 3, 2, 1),
            14,
            {15: "places that do not fit are left out: round (28 + 2 − 3)/2 = 13.5 down to 13, then add 1."},
            "28 cells, kernel 3, stride 2, padding 1: places that do not fit are left out, 13 + 1.",
        ),
        (
            (14, 4, 2, 1, True),
            28,
            {
                7: "transposed=True must use (A9): it makes the output larger, not smaller.",
                30: "transposed: the first patch stands at 0, so (n − 1)s + k − 2p, with n − 1 steps.",
                32: "transposed: the padding is cut off, − 2p, not added.",
                29: "transposed: the padding is cut off on both sides, − 2p.",
                24: "transposed: the last patch has k cells, + k.",
                27: "transposed: no 1 is taken off in (A9): (n − 1)s + k − 2p.",
            },
            "transposed: kernel 4, stride 2, padding 1 doubles 14 to 28, (n − 1)s + k − 2p.",
        ),
    ]
    for given, right, slips, hint in cases:
        found = _size(fn, *given)
        if found in slips:
            raise Wrong(slips[found])
        expect(found == right, f"{hint} (Yours gives {found}.)")
