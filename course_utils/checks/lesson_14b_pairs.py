"""Checks of lesson 14b's exercises about pairs: noises assigned within classes, two answers on one path."""

import torch
from scipy.optimize import linear_sum_assignment

from course_utils.checks.elsewhere import MixedDevices, PretendGpu, sent
from course_utils.checks.machinery import (
    Wrong,
    call,
    exercise,
    expect,
    expect_any_device,
    expect_close,
    expect_like,
    expect_shape,
)
from course_utils.checks.mistakes import expect_double, expect_value, normal


def called(fn, *args, known):
    """`call`, with a hint in front of an error that says one of `known`, pairs (part of it, hint)."""
    try:
        return call(fn, *args)
    except Wrong as wrong:
        for part, hint in known:
            if part in str(wrong):
                raise Wrong(f"{hint} ({wrong})") from wrong
        raise


def _squares(x, eps):
    return torch.cdist(x, eps).square()


def _by_least(cost):
    return torch.from_numpy(linear_sum_assignment(cost)[1])


def _by_turns(cost):
    """Row by row the nearest that is left."""
    cost, order = cost.clone(), []
    for row in range(len(cost)):
        order.append(int(cost[row].argmin()))
        cost[:, order[-1]] = torch.inf
    return torch.tensor(order)


def _assigned(eps, x, y, cost=_squares, order=_by_least):
    """The exercise's answer; with another cost or order what mistakes make of it."""
    paired = eps.clone()
    for label in y.unique():
        rows = (y == label).nonzero()[:, 0]
        paired[rows] = eps[rows[order(cost(x[rows], eps[rows]))]]
    return paired


def _ranked(key):
    """An assignment by ranks: rows and noises in the order of `key` (n, D) → (n,)."""

    def order(parts):
        x, eps = parts
        return key(eps).argsort()[key(x).argsort().argsort()]

    return order


def _order_causes(eps, x, y):
    """What usual mistakes make of the noises: pairs (value, hint)."""
    right = _assigned(eps, x, y)
    by_class = torch.cat([(y == label).nonzero()[:, 0] for label in y.unique()])
    line = "whole vectors are assigned, at least cost."
    ranks = (
        (lambda v: v[:, 0], f"both are sorted by their first number: that is right on a line, here {line}"),
        (lambda v: v.sum(1), f"both are sorted by their sums: {line}"),
        (lambda v: v.norm(dim=1), f"both are sorted by their lengths: {line}"),
    )
    loose = eps.clone()
    for label in y.unique():
        rows = y == label
        loose[rows] = eps[_by_least(_squares(x[rows], eps[rows]))]
    back = (
        "each class gets the inverse order: give x first, cdist(x[rows], eps[rows]); then the columns say which "
        "noise each row gets."
    )
    return [
        (eps, "the noises come back in their old order: nothing is assigned, or it is not written back."),
        (
            _assigned(eps, x, torch.zeros_like(y)),
            "assigned over the whole batch: assign each class by itself.",
        ),
        (_assigned(eps, x, y, order=lambda cost: _by_least(cost).argsort()), back),
        (_assigned(eps, x, y, torch.cdist), "this makes the sum of distances least: square them, .square()."),
        (
            _assigned(eps, x, y, lambda a, b: torch.cdist(a, b, p=1)),
            "the cost is a sum of absolute differences: take squares.",
        ),
        (
            _assigned(eps, x, y, lambda a, b: -_squares(a, b)),
            "this makes the sum of squares largest: the least is asked for.",
        ),
        (
            _assigned(eps, x, y, order=_by_turns),
            "row by row takes the nearest noise that is left, and the last rows pay: assign all of a class at once.",
        ),
        (loose, "the order counts within the class, not in the batch: eps[rows[order]], not eps[order]."),
        (right[by_class], "the rows come class by class: each stays at its place, paired[rows] = …"),
        (
            eps[by_class],
            "the noises are ordered by class, and not assigned: each class keeps its rows, in a new order.",
        ),
        *((_assigned(eps, x, y, lambda a, b: (a, b), _ranked(key)), hint) for key, hint in ranks),
    ]


def _gaps(rows, among):
    """How far each row is from each among others: differences, for cdist rounds."""
    return (rows[:, None].double() - among.double()).abs().amax(2)


def _expect_reordered(out, eps, x, y):
    """Raise Wrong unless the rows of `out` are those of eps, each once and each in its class."""
    same = _gaps(out, eps) < 1e-5
    own = "these are rows of x: it is the noises that come back, in a new order."
    expect(same.any(1).all() or not (_gaps(out, x) < 1e-5).any(1).all(), own)
    expect(same.any(1).all(), "some rows are none of eps: no new noise, and nothing mixed, only a new order.")
    one = all(bool((out[y == label] == out[y == label][:1]).all()) for label in y.unique())
    hint = "each class has one noise for all its rows: each row gets its own, and none is left over."
    expect(not one or same.any(0).all(), hint)
    once = "a noise stands at several rows, and others are lost: each noise goes to one row (an assignment)."
    expect(same.any(0).all(), once)
    change = "noises go to another class: each class keeps the noises of its own rows."
    expect((y[same.double().argmax(1)] == y).all(), change)


def _expect_every_class(out, right, eps, y):
    """Raise Wrong if some classes are right and others as they were."""
    left = []
    for label in y.unique():
        rows = y == label
        if not torch.allclose(out[rows], right[rows]) and torch.allclose(out[rows], eps[rows]):
            left.append(int(label))
    if 0 < len(left) < len(y.unique()):
        which = "go through y.unique(), for labels may be missing or large"
        raise Wrong(f"class {left[0]} keeps its old order: {which}. Copy eps once, before the loop.")


FLAT = (
    ("expected a matrix", "scipy wants the whole matrix of costs, rows by columns: torch.cdist."),
    ("X1 must have at least two", "one axis is lost: x[rows] is (n, D), also where a class has one row."),
    ("at least 2D", "one axis is lost: x[rows] is (n, D), also where a class has one row."),
    ("shape mismatch", "what is written back has other rows than those of the class: paired[rows] = …"),
)


def _case(fn, eps, x, y, hint):
    """One call, looked at from all sides."""
    out = called(fn, eps, x, y, known=FLAT)
    B, D = eps.shape
    hints = {
        (B,): "These are places: the noises themselves, eps[…].",
        (B, B): "This is one number for each pair: the noises themselves.",
    }
    shape = tuple(out.shape) if isinstance(out, torch.Tensor) else None
    expect_shape(out, (B, D), hints.get(shape, "As many noises as came in, and nothing beside them."))
    right = _assigned(eps, x, y)
    if not torch.allclose(out.double(), right.double(), atol=1e-5, rtol=1e-4):
        for mistaken, why in _order_causes(eps, x, y):
            expect(not torch.allclose(out.double(), mistaken.double(), atol=1e-5, rtol=1e-4), why)
        _expect_reordered(out, eps, x, y)
        _expect_every_class(out, right, eps, y)
        paid, least = ((x - rows).square().sum() for rows in (out, right))
        raise Wrong(f"{hint} Squared distances add up to {paid:.1f}, and at least to {least:.1f}.")
    expect_like(out, eps)
    return out


def _expect_cpu_for_scipy(fn, *args):
    """Raise Wrong if a tensor on the (pretended) GPU goes to NumPy or SciPy as it is."""
    try:
        with PretendGpu():
            call(fn, *(sent(value) for value in args))
    except Wrong as wrong:
        hint = "on a GPU scipy cannot see the cost: .cpu() before linear_sum_assignment."
        expect("can't convert" not in str(wrong), hint)
    except MixedDevices:
        return  # `expect_any_device` says so


@exercise(
    "14b.assigned_within",
    verified="least squares within classes; any labels, one class, classes of one; rows in place; float32, GPU",
)
def assigned_within(fn):
    y = torch.tensor([3, 7, 3, 12, 7, 3, 0, 12, 3, 7, 12, 3, 7, 7, 12, 3, 12])
    eps, x = normal(17, 3, seed=71), normal(17, 3, seed=72) * torch.tensor([2.0, 0.5, 1.0]) + 0.3
    hint = "within a class the noises are not assigned at least cost."
    out = _case(fn, eps, x, y, hint)
    expect_double(out, _assigned(eps, x, y))
    again = "a second call gives another order: the noises are given, so draw and shuffle nothing."
    expect_close(call(fn, eps, x, y), out, again)
    _case(fn, eps[:7], x[:7], torch.full((7,), 4), f"All of one class: {hint}")
    apart = "Each row has a class of its own, so each keeps its noise."
    _case(fn, eps[:4], x[:4], torch.tensor([2, 9, 5, 0]), apart)
    _case(fn, eps[:1], x[:1], y[:1], "One row keeps its noise.")
    _case(fn, eps[:, :1], x[:, :1], y, f"Vectors of one number: {hint}")
    digits = torch.arange(40) * 7 % 30 % 4
    many = normal(2, 40, 11, seed=73).float()
    _case(fn, *many, digits, f"In float32, classes of ten: {hint}")
    _expect_cpu_for_scipy(fn, *many, digits)
    expect_any_device(fn, *many, digits)


def _axes(t, x):
    """Times (B,) with as many axes as x."""
    return t.reshape(-1, *[1] * (x.dim() - 1))


def _ends(weight, x, t):
    return weight.to(x) * torch.tanh(x) + 0.3 * x.flip(-1) - _axes(t, x)


def _average(weight, x, t):
    return torch.sin(x + weight.to(x)) + _axes(t, x).square() * x


def _stepped(weight, x, t, later):
    t, later = _axes(t, x), _axes(later, x)
    return x + (later - t) * (weight.to(x) * torch.cos(x) + t)


def _near(a, b):
    return a.shape == b.shape and torch.allclose(
        a.detach().double(), b.detach().double(), atol=1e-5, rtol=1e-4
    )


TAKE = "`ends` and `average` take (x, times), and `step` takes (x, t, later)."
ASKED = (("missing 1 required positional", TAKE), ("positional arguments but", TAKE))


class _Heard:
    """The three functions of one call, and with what each was asked."""

    def __init__(self, x, t, weights):
        self.x, self.t = x, t
        self.asked = {"ends": [], "average": [], "step": []}
        self.weights = dict(zip(self.asked, weights))

    def _note(self, name, x, *times):
        first = f"`{name}` takes places first, then their times."
        expect(isinstance(x, torch.Tensor) and (x.shape == self.x.shape or x.shape != self.t.shape), first)
        shape = f"`{name}` is asked about places of another shape than that of x, {tuple(self.x.shape)}."
        expect(x.shape == self.x.shape, shape)
        for time in times:
            right = isinstance(time, torch.Tensor) and time.shape == self.t.shape
            expect(right, f"`{name}` takes times as they came, one for each row, ({len(self.t)},).")
        self.asked[name].append((x, *times))

    def ends(self, x, t):
        self._note("ends", x, t)
        return _ends(self.weights["ends"], x, t)

    def average(self, x, t):
        self._note("average", x, t)
        return _average(self.weights["average"], x, t)

    def step(self, x, t, later):
        self._note("step", x, t, later)
        return _stepped(self.weights["step"], x, t, later)


def _expect_asked_rightly(asked, x, t, later, place):
    """Raise Wrong unless each function was asked once, and about the right thing; place: one step later."""
    for name, what in (
        ("step", "nothing walks: the target stands one step later, at step(x, t, later)."),
        ("average", "the target is the answer of `average`, and of no other."),
        ("ends", "it is the one that learns."),
    ):
        expect(asked[name], f"`{name}` is never asked: {what}")
        hint = f"`{name}` is asked {len(asked[name])} times: once is enough, and each time costs."
        expect(len(asked[name]) == 1, hint)
    (ends,), (average,), (step,) = asked["ends"], asked["average"], asked["step"]
    turned = _near(step[1], later) and _near(step[2], t)
    expect(not turned, "`step` walks from t to later, in this order: step(x, t, later).")
    expect(_near(step[0], x), "`step` begins at x, not where a network's answer lies.")
    expect(
        _near(step[1], t) and _near(step[2], later), "`step` is told other times: it walks from t to later."
    )
    turned = _near(ends[0], place) and _near(average[0], x)
    expect(not turned, "`ends` and `average` are exchanged: ends(x, t) learns, average(…, later) knows more.")
    hints = {
        True: "`ends` is asked at the place one step later: ask it at x.",
        False: "`ends` is asked at another place: ask it at x.",
    }
    expect(_near(ends[0], x), hints[_near(ends[0], place)])
    expect(_near(ends[1], t), "`ends` is told other times: x stands at the times t.")
    hints = {
        True: "`average` is asked at x: ask it one step later, at step(x, t, later).",
        False: "`average` is asked at another place: ask it where `step` leads.",
    }
    expect(_near(average[0], place), hints[_near(average[0], x)])
    hints = {
        True: "`average` is told the times t: its place belongs to the times later.",
        False: "`average` is told other times: the place after the step stands at the times later.",
    }
    expect(_near(average[1], later), hints[_near(average[1], t)])


def _gap_causes(mine, target, x, place, t, later):
    """What usual mistakes make of the two answers: pairs (value, hint)."""
    gap, far = mine - target, _axes(later - t, x)
    return [
        (-gap, "the sign is turned: what `ends` says minus what `average` says."),
        (mine + target, "the two answers are added: return their difference."),
        (mine, "this is the answer of `ends` alone: subtract the target."),
        (target, "this is the target alone: subtract it from what `ends` says."),
        (mine - x, "the target is x itself: it is the answer of `average`."),
        (mine - place, "the target is the place one step later: ask `average` where that path ends."),
        (mine - target + x, "x is subtracted from the target: the answer of `average` as it is."),
        (gap.square(), "the gap is squared: return it as it is, for the loss is made of it later."),
        (gap.square() / 2, "the gap is squared: return it as it is, for the loss is made of it later."),
        (gap.abs(), "the gap has lost its sign: return it as it is."),
        (gap / 2, "the gap is halved: return it as it is."),
        (gap / far, "the gap is divided by the step: return it as it is."),
        (gap * far, "the gap is multiplied by the step: return it as it is."),
    ]


def _expect_only_ends_learn(out, mine, weights):
    """Raise Wrong unless the gradient of the gap reaches `ends`, as it should, and nothing else."""
    lost = "`ends` gets no gradient, so nothing would be learned: only the target stands in torch.no_grad."
    expect(out.requires_grad, lost)
    factors = normal(*out.shape, seed=84).to(out)
    grads = torch.autograd.grad((out * factors).sum(), weights, allow_unused=True)
    wanted = torch.autograd.grad((mine * factors).sum(), weights[0])[0]
    leak = "a gradient flows through the target into `{}`: make the target in torch.no_grad."
    for name, grad in (("average", grads[1]), ("step", grads[2])):
        expect(grad is None or not grad.any(), leak.format(name))
    expect(grads[0] is not None and grads[0].any(), lost)
    expect_close(grads[0], wanted, "part of the gradient of `ends` is lost or added: is something detached?")
    for weight in weights:
        expect(
            weight.grad is None, "leave backward() to the training: here it leaves gradients in the models."
        )


def _gap(fn, x, t, later, weights):
    """One call of the exercise, looked at from all sides; returns what comes out."""
    heard = _Heard(x, t, weights)
    out = called(fn, heard.ends, heard.average, heard.step, x, t, later, known=ASKED)
    place = _stepped(weights[2], x, t, later)
    _expect_asked_rightly(heard.asked, x, t, later, place)
    mine = _ends(weights[0], x, t)
    target = _average(weights[1], place, later).detach()
    hints = {
        (): "A number for each coordinate: no mean, no sum; the loss is made of it later.",
        (len(x),): "A number for each coordinate, not for each row: no mean, no sum.",
    }
    shape = tuple(out.shape) if isinstance(out, torch.Tensor) else None
    expect_shape(out, tuple(x.shape), hints.get(shape, "The gap alone, as many numbers as x has."))
    hint = "it is not ends(x, t) minus average(step(x, t, later), later)."
    expect_value(out, mine - target, hint, _gap_causes(mine, target, x, place, t, later))
    expect_like(out, x)
    _expect_only_ends_learn(out, mine, weights)
    return out


@exercise(
    "14b.consistency_gap",
    verified="each asked once, at its place and time; only `ends` learns; points and images, both precisions",
)
def consistency_gap(fn):
    weights = [torch.tensor(w, dtype=torch.float64, requires_grad=True) for w in (0.7, 0.4, 0.9)]
    t = torch.tensor([0.3, 0.0, 0.55, 0.8, 0.1]).double()
    later = torch.tensor([0.45, 0.2, 0.6, 1.0, 0.15]).double()
    for shape in ((5, 2), (4, 3, 2), (4, 1, 4, 5), (1, 6)):
        x, B = normal(*shape, seed=81), shape[0]
        out = _gap(fn, x, t[:B], later[:B], weights)
        again = "a second call gives another gap: x and the times are given, so draw nothing here."
        expect_close(_gap(fn, x, t[:B], later[:B], weights), out, again)
    images, t, later = normal(5, 1, 2, 3, seed=82).float(), t.float(), later.float()
    _gap(fn, images, t, later, weights)
    heard = _Heard(images, t, weights)
    expect_any_device(lambda *given: fn(heard.ends, heard.average, heard.step, *given), images, t, later)
