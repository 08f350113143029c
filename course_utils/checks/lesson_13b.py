"""Checks of lesson 13b: a generator descended, slopes of attributes, directions untangled, styles moved."""

import torch
from torch import nn

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
from course_utils.checks.mistakes import expect_double, expect_value, explained, normal


def _called(fn, *args, known=(), **kwargs):
    """`call`, with a hint in front of an error that says one of `known`, pairs (part of it, hint)."""
    try:
        return call(fn, *args, **kwargs)
    except Wrong as wrong:
        for part, hint in known:
            if part in str(wrong):
                raise Wrong(f"{hint} ({wrong})") from wrong
        raise


FLAT = "G takes latents as rows, (m, d): flatten starts and pictures for it, z.flatten(0, 1)."
MODE = "G is put into training mode, where pictures change each other: leave it as it is."


class Asked(nn.Module):
    """A generator (m, d) → (m, …), float64 and in evaluation mode, that looks how it is asked."""

    def __init__(self, net):
        super().__init__()
        self.net = net.double()
        with torch.no_grad():
            for seed, weight in enumerate(net.parameters()):
                weight.copy_(normal(*weight.shape, seed=50 + seed))
        self.eval()

    def forward(self, z):
        expect(z.dim() == 2, FLAT)
        expect(not self.net.training, MODE)
        return self.net(z)


class Folded(nn.Module):
    """Latents (m, 2) → pictures (m, 3): z₀ and −z₀ nearly agree, so there is a better and a worse end."""

    def forward(self, z):
        return torch.stack([z[:, 0] ** 2, z[:, 0] / 2, z[:, 1] + z[:, 0] / 5], 1)


def _linear():
    """A linear generator of pictures (1, 2, 3), and pictures of which it can draw none."""
    return Asked(nn.Sequential(nn.Linear(2, 6), nn.Unflatten(1, (1, 2, 3)))), normal(5, 1, 2, 3, seed=60)


def _normed():
    """A generator with batch norm, whose running means and variances are not 0 and 1."""
    norm = nn.BatchNorm1d(4)
    G = Asked(nn.Sequential(nn.Linear(2, 4), norm, nn.Tanh(), nn.Linear(4, 6), nn.Unflatten(1, (1, 2, 3))))
    norm.running_mean.copy_(normal(4, seed=61))
    norm.running_var.copy_(normal(4, seed=62).abs() + 0.5)
    return G


def _errors(G, x, z, size=torch.square):
    """One error for each start and picture, (s, n)."""
    return size(G(z.flatten(0, 1)).unflatten(0, z.shape[:2]) - x).flatten(2).sum(2)


def _ends(G, x, z, steps, lr=0.1, *, make=torch.optim.Adam, loss=_errors, fresh=True, anew=False):
    """Where the starts end, (s, n, d); with other arguments what mistakes make of it."""
    z = z.clone().requires_grad_()
    opt, grad = make([z], lr), 0
    for _ in range(steps):
        opt = make([z], lr) if anew else opt
        (slope,) = torch.autograd.grad(loss(G, x, z).sum(), z)
        z.grad = grad = slope if fresh else grad + slope
        opt.step()
    return z.detach()


def _taken(ends, errors):
    """Each picture's end of the least of errors (s, n)."""
    return ends[errors.argmin(0), torch.arange(ends.shape[1])]


@torch.no_grad()
def _best(G, x, ends):
    return _taken(ends, _errors(G, x, ends))


@torch.no_grad()
def _choices(G, x, z):
    """What wrong ways of choosing make of starts that have done no step: pairs (value, hint)."""
    errors, signed = _errors(G, x, z), _errors(G, x, z, lambda gap: gap)
    s, n = errors.shape
    made = G(z.flatten(0, 1))
    across = (made - x.repeat_interleave(s, 0)).square().flatten(1).sum(1).unflatten(0, (s, n))
    turned = (made.unflatten(0, (n, s)) - x[:, None]).square().flatten(2).sum(2).T
    everyone = (made[:, None] - x).square().flatten(1).sum(1).unflatten(0, (s, n))
    pairs = "starts and pictures are paired wrongly: z.flatten(0, 1) has all pictures, start by start,"
    return [
        (z[0], "always the first start: choose each picture's best, by its error."),
        (z[-1], "always the last start: choose each picture's best, by its error."),
        (z.mean(0), "the mean of the starts is no address: choose each picture's best."),
        (z[errors.sum(1).argmin()], "one start for the whole batch: each picture has its own best."),
        (_taken(z, -errors), "this is the worst start of each picture: argmin, not argmax."),
        (_taken(z, across), f"{pairs} so repeat x as a whole (no repeat_interleave)."),
        (_taken(z, turned), f"{pairs} so take apart with .unflatten(0, (s, n)), not (n, s)."),
        (_taken(z, everyone), "each start is compared with all pictures: only with its own."),
        (_taken(z, signed), "the square is missing: errors of both signs cancel."),
        (_taken(z, signed.abs()), "the square comes after the sum: square each pixel's error first."),
        (_taken(z, _errors(G, x, z, torch.abs)), "chosen by absolute errors: (1) has squared ones."),
    ]


def _early(G, x, z, steps, lr):
    hint = "chosen (or descended) by the error at the start: the error after the last step counts."
    return _taken(_ends(G, x, z, steps, lr), _errors(G, x, z)), hint


def _steps_of_mistake(G, x, z, steps, lr):
    """What mistakes make of a few steps: pairs (end, hint)."""
    many = [
        ({"fresh": False}, "the slopes of all steps add up: zero the gradient before each step."),
        ({"anew": True}, "Adam is made anew in each step: make it once, before the loop."),
        ({"make": torch.optim.SGD}, "plain gradient descent: Adam's steps are lr long, steep or not."),
        ({"make": torch.optim.AdamW}, "AdamW draws z towards 0, too: take Adam."),
        ({"loss": lambda *a: -_errors(*a)}, "uphill: the error grows. Go down its slope."),
        ({"loss": lambda *a: _errors(*a).sqrt()}, "this descends the root of each error: (1) has no root."),
        ({"loss": lambda *a: _errors(*a).sum().sqrt()}, "the root of the sum goes downhill: (1) has none."),
        ({"loss": lambda *a: _errors(*a, torch.abs)}, "this descends absolute errors: (1) has squared ones."),
        ({"lr": 0.1}, "lr is ignored: Adam gets it as its second argument."),
        ({"lr": 1e-3}, "lr is ignored: Adam gets it as its second argument."),
    ]
    yield _best(G, x, z), "no step is done: after `steps` steps the best end is asked for."
    for kind, hint in many:
        yield _best(G, x, _ends(G, x, z, **{"steps": steps, "lr": lr} | kind)), hint
    for off in (-1, 1):
        hint = "a step too few or too many: `steps` steps, then the errors once more."
        yield _best(G, x, _ends(G, x, z, steps + off, lr)), hint
    yield _early(G, x, z, steps, lr)


STUMBLES = (
    ("non-leaf", "Adam takes leaves only: z.detach().clone().requires_grad_()."),
    ("does not require grad", "z needs requires_grad_() before G sees it, and no torch.no_grad in the loop."),
    ("not have been used", "the error must be computed from the z that Adam got: the very same tensor."),
    ("created only for scalar", "differentiate one number, the sum of all errors."),
    ("must match the size", "G gives (s · n, …): .unflatten(0, (s, n)) before x."),
    ("not associated with a value", "errors come after the loop: with steps = 0 there are none in it."),
)


def _found(fn, G, x, z, *args, **kwargs):
    """The latents (n, d) that an answer finds; G and z must come out as they went in."""
    before, start, (s, n, d) = {k: v.clone() for k, v in G.state_dict().items()}, z.clone(), z.shape

    def watched(*given, **more):
        out = fn(*given, **more)
        same = all(torch.equal(part, before[name]) for name, part in G.state_dict().items())
        expect(same, "G comes out changed, its weights or running means: Adam gets [z] alone, G stays.")
        left = "gradients are left in G's weights (.backward()): take torch.autograd.grad(…, z), for z alone."
        expect(all(part.grad is None for part in G.parameters()), left)
        frozen = "G's weights come out with requires_grad off: G stays as it is."
        expect(all(part.requires_grad for part in G.parameters()), frozen)
        shared = "the caller's z has moved: z.detach() shares its numbers, so .clone() it before Adam steps."
        expect(torch.equal(z, start), shared)
        return out

    out = _called(watched, G, x, z, *args, known=STUMBLES, **kwargs)
    hints = {
        (s, n, d): "all starts come back: of each picture's, only the best.",
        (d,): "one latent for the whole batch: each picture has its own best start, argmin over axis 0.",
        (s, d): "the best picture of each start: the best start of each picture is asked for, axis 0.",
        (n,): "this is one number a picture, not the latent.",
    }
    shape = tuple(out.shape) if isinstance(out, torch.Tensor) else ()
    single = "one latent for each picture, (n, d): no squeeze."
    expect_shape(out, (n, d), hints.get(shape, single) if n > 1 else single)
    expect(not out.requires_grad, "the latents found still ask for a gradient: .detach() what you return.")
    return out


@exercise("13b.descend", verified="no step, one and many; each picture's best end; G and starts unchanged")
def descend(fn):
    (G, x), z = _linear(), 1.5 * normal(4, 5, 2, seed=102)
    out = _found(fn, G, x, z, 0)
    hint = "steps = 0: each picture's best start comes back, as it is."
    expect_value(out, _best(G, x, z), hint, _choices(G, x, z))
    expect_double(out, _best(G, x, z))
    for steps, lr in ((1, 0.02), (12, 0.15)):
        out = _found(fn, G, x, z, steps, lr)
        hint = f"Adam on the squared errors, {steps} steps with lr = {lr}; then each picture's best end."
        right = _best(G, x, _ends(G, x, z, steps, lr))
        expect_value(out, right, hint, _steps_of_mistake(G, x, z, steps, lr), atol=2e-5)
    _two_ends(fn)
    _solved(fn, G, x, z)
    _with_norms(fn, x, z)
    single = [part[:2].float() for part in (x, z[:2, :2])]
    expect_like(call(fn, G.float(), *single, 2), single[0])
    expect_any_device(fn, G, *single, 2)


def _two_ends(fn):
    """Pictures with a better and a worse end; the start that is better at first leads to the worse."""
    truth = torch.tensor([[1.0, 0.3], [-1.0, 0.1], [1.0, -0.4], [-1.0, 0.2], [1.0, 0.0]]).double()
    far, near = truth * 1.9, truth * torch.tensor([-0.85, 1.0])
    z = torch.stack([near, far, near * 1.1])
    z[:, 3:] = z[:, 3:].roll(1, 0)
    G = Asked(Folded())
    x = G(truth)
    hint = "pictures that have a good end and a bad one: not each picture gets the end of least error."
    expect_value(_found(fn, G, x, z, 180), truth, hint, [_early(G, x, z, 180, 0.1)], atol=0.05, rtol=0)


def _solved(fn, G, x, z):
    """A linear G ends at the solution of least squares; and what steps and lr are without being told."""
    weight, bias = G.net[0].weight.detach(), G.net[0].bias.detach()
    right = torch.linalg.solve(weight.T @ weight, weight.T @ (x.flatten(1) - bias).T).T
    out = _found(fn, G, x, z, 200)
    expect_close(out, right, "200 steps on a linear G must end at the solution of least squares.", atol=0.02)
    right = _best(G, x, _ends(G, x, z, 3))
    expect_close(_found(fn, G, x, z, 3), right, "lr is 0.1 where none is given.")
    far = z[:1] + 4
    right = _best(G, x, _ends(G, x, far, 150, 0.004))
    hint = "150 steps where no number is given; here from one start a picture."
    expect_close(_found(fn, G, x, far, lr=0.004), right, hint)
    one = _found(fn, G, x[:1], z[:1, :1], 3)
    expect_close(one, _ends(G, x[:1], z[:1, :1], 3)[0], "one picture and one start: no squeeze.")


def _with_norms(fn, x, z):
    """A network with batch norm in evaluation mode: no picture or start enters the end of another."""
    G = _normed()
    right = _best(G, x, _ends(G, x, z, 5))
    hint = "a G with batch norm in evaluation mode comes to another end: is its mode changed?"
    expect_close(_found(fn, G, x, z, 5), right, hint)
    alone = _found(fn, G, x[:2], z[:, :2], 5)
    expect_close(alone, right[:2], "two pictures end elsewhere without the others: each is on its own.")


def _centred(t):
    return t - t.mean(0)


def _solve(z, a, ridge=0.0):
    """(zᵀz + ridge)⁻¹ zᵀa, the closed form of least squares."""
    return torch.linalg.solve(z.T @ z + ridge * torch.eye(z.shape[1], dtype=z.dtype), z.T @ a)


def _slope_mistakes(z, a):
    """What usual mistakes make of latents (n, d) and attributes (n, k): pairs (value, hint)."""
    n, one = len(z), torch.ones(len(z), 1, dtype=z.dtype)
    zc, ac = _centred(z), _centred(a)
    right, back = _solve(zc, ac), _solve(ac, zc)
    cov, z_var, a_var = zc.T @ ac, zc.square().sum(0), ac.square().sum(0)
    row = "the intercept is returned, too: the slopes alone, (d, k)."
    regress = "regression divides by the latents' covariance, (zᵀz)⁻¹."
    first = "only the first attribute: all k of them, a column each."
    mistakes = [
        (_solve(z, a), "the intercept is missing: subtract both means, or add a column of ones."),
        (_solve(z, ac), "only a is centred: z's mean must go, too, or its mean is taken for slope."),
        (right.T, "transposed: a column for each attribute, (d, k)."),
        (back, "the roles are exchanged: this predicts z from a; a from z, (d, k)."),
        (back.T, "the roles are exchanged: this predicts z from a, and is transposed."),
        (right / right.norm(dim=0), "the columns are divided by their length: the slopes as they are."),
        (right / right.norm(), "divided by the norm of the whole: the slopes as they are."),
        (right / right.norm(dim=1, keepdim=True), "the rows are divided by their lengths."),
        (cov / n, f"these are covariances: {regress}"),
        (cov / (n - 1), f"these are covariances: {regress}"),
        (z.T @ a / n, f"these are means of products: subtract the means, and {regress}"),
        (cov / (z_var[:, None] * a_var).sqrt(), f"these are correlations, not slopes: {regress}"),
        (cov / z_var[:, None], "one latent at a time: fit all at once, for they hang together."),
        (right * (z_var[:, None] / n).sqrt(), "slopes in standardised latents: leave z's widths."),
        (right * (z_var[:, None] / a_var).sqrt(), "slopes of standardised z and a: leave their widths."),
        (_solve(torch.cat([z, one], 1), a), row),
        (_solve(torch.cat([one, z], 1), a), row),
        (right[:, 0], first),
        (right[:, :1], first),
        (right[:, :1].expand_as(right), first),
        (right.mean(1), "the mean of the attributes' slopes: a column each, (d, k)."),
        (zc @ right, "these are the attributes as predicted, (n, k): the slopes are asked for."),
        (-right, "the sign is turned: a rises along d."),
    ]
    damped = "damped (ridge): least squares has no λ."
    strengths = [factor * 10.0**power for power in range(-3, 2) for factor in (1, n)]
    return mistakes + [(_solve(zc, ac, strength), damped) for strength in strengths]


@exercise("13b.directions", verified="slopes with an intercept, one attribute and many, an exact plane")
def directions(fn):
    rows = "latents and attributes come as rows: both have n."
    known = (("should match", rows), ("must match", rows), ("cannot be multiplied", rows))
    mixing = torch.tensor([[1.3, 0.4, 0.0], [-0.6, 0.7, 0.5], [0.2, 0.9, -1.8]]).double()
    z = normal(11, 3, seed=71) @ mixing + torch.tensor([0.8, -1.5, 0.4])
    a = torch.tanh(z @ normal(3, 2, seed=72)) + 0.3 * normal(11, 2, seed=73) + torch.tensor([3.0, -2.0])
    right = _solve(_centred(z), _centred(a))
    out = _called(fn, z, a, known=known)
    hint = "least squares of a on z and a constant; the slopes, a column for each attribute, (d, k)."
    expect_value(out, right, hint, _slope_mistakes(z, a))
    expect_shape(out, (3, 2), "a column for each attribute.")
    expect_double(out, right)
    expect_close(call(fn, z, a[:, :1]), right[:, :1], "one attribute (n, 1): slopes (d, 1), no squeeze.")
    expect_close(call(fn, z[:, :1], a), _solve(_centred(z[:, :1]), _centred(a)), "one latent: slopes (1, k).")
    plane = normal(3, 4, seed=74)
    out = call(fn, z, z @ plane + torch.arange(4.0))
    expect_close(out, plane, "attributes that are linear in z: their slopes exactly.", atol=1e-8)
    with explained("As many attributes as latents."):
        out = call(fn, z[:, :2], a)
        pair = z[:, :2], a
        hint = "the slopes of a in z are not found."
        expect_value(out, _solve(*map(_centred, pair)), hint, _slope_mistakes(*pair))
    out = call(fn, z + 7, 2 * a - 5)
    expect_close(out, 2 * right, "a shift of z or a leaves the slopes, and 2 a has twice as large ones.")
    expect_like(call(fn, z.float(), a.float()), z.float())
    expect_any_device(fn, z.float(), a.float())


def _shadow(d, others):
    return others @ _solve(others, d)


def _tangled_mistakes(d, others):
    """What usual mistakes make of d (k,) and others (k, m): pairs (value, hint)."""
    square, along = others.square().sum(0), others.T @ d
    pure, apart = d - _shadow(d, others), "they are not at right angles to each other"
    by_turns = d
    for column in others.T:
        by_turns = by_turns - column * (column @ by_turns) / (column @ column)
    each = others * along / square
    size = "divide by the length squared (vᵀd / vᵀv · v): the columns are not of length 1"
    return [
        (d - each.sum(1), f"the projections on the columns are subtracted one by one from d, but {apart}."),
        (by_turns, f"the projections are taken off by turns, but {apart}: the first comes back."),
        (d - others @ along, f"the division is missing; {size}."),
        (d - (others * along / square.sqrt()).sum(1), f"divided by the length once; {size}."),
        (pure / pure.norm(), "the result is divided by its length: the part of d as it is."),
        (pure / pure.norm() * d.norm(), "stretched to the length of d: the part of d as it is."),
        (d - pure, "this is the shadow of d on the others: subtract it from d."),
        (pure - d, "the sign is turned: this is minus the shadow, where d less the shadow is asked for."),
        (-pure, "the sign is turned: d less its shadow."),
        (2 * pure - d, "the shadow is subtracted twice: once."),
        (2 * d - pure, "the shadow is added: subtract it."),
        (d - each[:, 0], "only the first column is avoided: all of them."),
        (d - each.mean(1), "their mean is subtracted: the shadow is their best combination."),
        (d - _shadow(d, others.sum(1, True)), "only the sum of the columns is avoided: each of them."),
        (others - d[:, None] * along / (d @ d), "the roles are exchanged: the others are cleared of d."),
        (pure[:, None], "a column (k, 1): the direction has one axis, (k,)."),
        (pure[None], "a row (1, k): the direction has one axis, (k,)."),
        (d[:, None] - each, "one direction for each column to be avoided: one for all, (k,)."),
        (d, "d comes back unchanged: the shadow is missing."),
        (_solve(others, d), "these are the coefficients (m,): the shadow is others @ them, and d less it."),
    ]


@exercise("13b.untangled", verified="one direction to avoid and many; what is left is at right angles")
def untangled(fn):
    rows = "directions to avoid are the columns of others, (k, m): no rows."
    known = tuple((part, rows) for part in ("should match", "cannot be multiplied", "size mismatch"))
    long, lengths = normal(5, seed=81), torch.tensor([0.4, 2.0, 1.3]).double()
    three = (normal(5, 3, seed=82) + 0.6 * normal(5, 1, seed=83)) * lengths
    square = normal(3, 3, seed=86)[:, :2] @ torch.tensor([[1.0, 0.4], [0.7, -1.1]]).double()
    for d, others in ((long, three), (normal(3, seed=84), square), (long, three[:, :1])):
        k, m = others.shape
        right = d - _shadow(d, others)
        out = _called(fn, d, others, known=known)
        hint = f"d less its shadow on the columns, least squares again; here ({k},) and ({k}, {m})."
        expect_value(out, right, hint, _tangled_mistakes(d, others))
        expect_shape(out, (k,), "one direction, (k,).")
        expect_double(out, right)
        _at_right_angles(fn, d, others, out)
    plane = torch.tensor([[1.0, 1.0, 0.0], [0.0, 1.0, 1.0], [0.0, 0.0, 2.0]]).double()
    none = call(fn, normal(3, seed=85), plane)
    expect_close(none, torch.zeros(3), "three columns fill the three dimensions: nothing of d is left.")
    expect_like(call(fn, d.float(), others.float()), d.float())
    expect_any_device(fn, d.float(), others.float())


def _at_right_angles(fn, d, others, out):
    """What makes it the part of d at right angles, whatever the way to it."""
    angles = "the result is not at right angles to every column."
    expect_close(others.T @ out, torch.zeros(others.shape[1]), angles, atol=1e-8)
    again = "done twice it must be as if done once: what is at right angles stays."
    expect_close(call(fn, out, others), out, again, atol=1e-8)
    inside = "a combination of the columns has no part at right angles: 0."
    expect_close(call(fn, others.sum(1), others), torch.zeros_like(d), inside, atol=1e-8)
    long = "columns to avoid a thousand times as long, or turned round, are the same to avoid."
    expect_close(call(fn, d, -1e3 * others), out, long, atol=1e-8)


def _drawn_mistakes(u, centre, psi):
    """What usual mistakes make of styles u (n, d): pairs (value, hint)."""
    off = u - centre
    length = off.norm(dim=1, keepdim=True)
    right, scaled = centre + psi * off, "scale it, psi · (u − centre)."
    mistakes = [
        (psi * u, "scaled about 0: the styles shall be drawn to the centre."),
        (u.clamp(-psi, psi), f"each number is cut off at ±psi: no clamp, {scaled}"),
        (centre + off.clamp(-psi, psi), f"the way from the centre is cut off at ±psi: {scaled}"),
        (centre + off * (psi / length).clamp(max=1), f"the distance is limited to psi: {scaled}"),
        (centre + off * psi / length, f"all come to the distance psi: {scaled}"),
        (centre + (1 - psi) * off, "psi and 1 − psi are exchanged: psi = 1 leaves u."),
        (right + centre, "the centre is added twice."),
        (centre + psi * u, "subtract the centre before scaling: psi · (u − centre)."),
        (psi * off, "the centre is missing: add it after scaling."),
        (u + psi * off, "this drives away from the centre: begin at the centre, not at u."),
        (centre - psi * off, "the sign is turned: u − centre, not centre − u."),
        (psi * (u + centre), "psi weighs both: the centre gets 1 − psi."),
        (u, "psi is ignored: nothing moved."),
        (centre.expand_as(u), "psi is ignored: all is the centre."),
        ((u + centre) / 2, "always halfway: psi says how far."),
        (centre + psi**2 * off, "psi counts twice: once."),
        (right / right.norm(dim=1, keepdim=True), "the styles are divided by their lengths: leave them."),
    ]
    for axis, what in ((0, "the mean of these styles"), (1, "each style's own mean")):
        mean = u.mean(axis, keepdim=True)
        mistakes.append((mean + psi * (u - mean), f"drawn to {what}: to the centre that is given."))
    if len(u) == len(centre):
        column = centre[:, None]
        mistakes.append((column + psi * (u - column), "the centre is a row: no axis after it."))
    return mistakes


@exercise("13b.truncated", verified="psi from 0 to 1, a number or a tensor; one style and many")
def truncated(fn):
    centre = torch.tensor([0.9, -1.4, 0.5]).double()
    for n in (3, 5, 1):
        u = 1.5 * normal(n, 3, seed=91) + torch.tensor([0.3, 0.6, -0.8])
        u[0] = centre + 0.1 * (u[0] - centre)  # near it
        for psi in (0.7, 0.35, 0.0, 1.0):
            out = call(fn, u, centre, psi)
            right = psi * u + (1 - psi) * centre
            hint = f"the centre and psi times the way from it to each style: not so for psi = {psi:g}."
            mistakes = _drawn_mistakes(u, centre, psi) if 0 < psi < 1 else ()
            expect_shape(out, (n, 3), "as many styles as came in, (n, d).")
            expect_value(out, right, hint, mistakes)
            expect_double(out, right)
    with explained("psi as a tensor without axes."):
        out = call(fn, u, centre, torch.tensor(0.7).double())
        expect_close(out, 0.7 * u + 0.3 * centre, "another value than for the same number.")
    expect_like(call(fn, u.float(), centre.float(), 0.7), u.float())
    expect_any_device(fn, u.float(), centre.float(), 0.7)
