"""Checks of lesson 11b: a Langevin step, the loss of score matching, a blind pair, noise contrast, a guess."""

import math

import torch

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
from course_utils.checks.mistakes import expect_double, expect_value, explained, is_number, normal


def _bent(x):
    """A score that is no gradient of a Gaussian: each entry depends on all coordinates of its row."""
    return torch.cos(2 * x) - x * x.square().sum(1, keepdim=True) / 5


@exercise(
    "11b.langevin",
    verified="half of η times the slope, its root times the noise, at η from 0 to 3; float64 and devices",
)
def langevin_step(fn):
    x, xi = normal(5, 3, seed=1), normal(5, 3, seed=2)
    for eta in (0.3, 3.0, 0.0):
        out = call(fn, x, _bent, eta, xi)
        expect_shape(out, (5, 3), "one new place for each walker: (N, d), as x.")
        slope, root = _bent(x), math.sqrt(eta)
        true = x + eta / 2 * slope + root * xi
        mistakes = [
            (x + eta * slope + root * xi, "½ is forgotten: the slope gets half of η."),
            (x + eta / 2 * slope + eta * xi, "the noise gets the root of η: its *variance* is η."),
            (
                x + eta / 2 * slope + math.sqrt(eta / 2) * xi,
                "½ belongs to the slope alone, not to the noise.",
            ),
            (x - eta / 2 * slope + root * xi, "downhill in log p: the score points uphill, add it."),
            (x + eta / 2 * slope - root * xi, "the noise given is added; take xi with its own sign."),
            (x + eta / 2 * slope, "the noise is missing: this is gradient ascent, and ends on a mode."),
            (x + root * xi, "the slope is missing: this is a random walk."),
            (eta / 2 * slope + root * xi, "this is the step: add it to x."),
            (x + root * slope / 2 + root * xi, "the root belongs to the noise alone: the slope gets η/2."),
            (
                x + eta / 2 * slope + math.sqrt(2 * eta) * xi,
                "√(2η) belongs to a slope times η; here it is η/2.",
            ),
            (
                x + root * xi + eta / 2 * _bent(x + root * xi),
                "the slope is taken after the noise: take it at x.",
            ),
        ]
        expect_value(out, true, f"η = {eta}: x + η/2 · score(x) + √η · xi.", mistakes)
        expect_double(out, true)
    expect_like(call(fn, x.float(), _bent, 0.3, xi.float()), x.float())
    expect_any_device(fn, x.float(), _bent, 0.3, xi.float())


class _Curl(torch.nn.Module):
    """A field in d dimensions with parameters and a Jacobian that is not symmetric: score(x) = tanh(x A) B."""

    def __init__(self, d=3):
        super().__init__()
        self.A = torch.nn.Parameter(normal(d, 4, seed=3))
        self.B = torch.nn.Parameter(normal(4, d, seed=4))

    def forward(self, x):
        return torch.tanh(x @ self.A) @ self.B

    def trace_parts(self, x):
        """∂ψ_i/∂x_i (N, d), by hand."""
        slope = 1 - torch.tanh(x @ self.A).square()  # (N, 4)
        return slope @ (self.A.T * self.B)

    def all_parts(self, x):
        """Σ over i and j of ∂ψ_i/∂x_j (N,), by hand."""
        slope = 1 - torch.tanh(x @ self.A).square()
        return torch.einsum("nh,jh,hi->n", slope, self.A, self.B)


def _differentiated(fn, field, x):
    """Call the answer; where autograd complains, say what the usual cause is."""
    try:
        return call(fn, field, x)
    except Wrong as wrong:
        told = str(wrong)
        if "require grad" in told or "not have been used" in told:
            early = (
                "Usual cause: x must ask for gradients *before* score(x): x = x.detach().requires_grad_()."
            )
            raise Wrong(f"{told.rstrip('.')}. {early}") from None
        if "second time" in told:
            kept = "Usual cause: each autograd.grad needs create_graph=True, or the graph is gone after the first."
            raise Wrong(f"{told.rstrip('.')}. {kept}") from None
        raise


def _losses(field, x):
    """The pieces of (7): half squares (N,), diagonal derivatives (N, d), all derivatives (N,)."""
    half = 0.5 * field(x).square().sum(1)
    return half.detach(), field.trace_parts(x).detach(), field.all_parts(x).detach()


@exercise(
    "11b.score_matching",
    verified="½‖ψ‖² and the trace by hand, in three and two dimensions; gradients of the parameters by a formula",
)
def score_matching_loss(fn):
    field, x = _Curl(), normal(6, 3, seed=5)
    out = _differentiated(fn, field, x)
    one = isinstance(out, torch.Tensor) and out.numel() == 1 and out.ndim <= 1
    expect(one, "one number: the mean over the batch.")
    half, parts, everything = _losses(field, x)
    trace = parts.sum(1)
    true = (half + trace).mean()
    mistakes = [
        ((2 * half + trace).mean(), "½ is missing before the square."),
        (
            (half + everything).mean(),
            "a trace of the sum: column i of the gradient of ψ_i only, no mixed ones.",
        ),
        ((half + parts.mean(1)).mean(), "sum over the dimensions, do not average: the trace is a sum."),
        ((half / 3 + parts.mean(1)).mean(), "sum over the dimensions, do not average."),
        ((half + parts[:, 0]).mean(), "only the first coordinate is differentiated: sum over all."),
        (
            (half + parts[:, :2].sum(1)).mean(),
            "only two coordinates are differentiated; here x has three: range(x.shape[1]), not range(2).",
        ),
        ((half + parts[:, -1]).mean(), "only the last coordinate is kept: add up all of them."),
        ((half - trace).mean(), "the trace is added: integrating by parts has turned the sign already."),
        (half.mean(), "the trace is missing: small slopes everywhere would win."),
        (trace.mean(), "the square is missing."),
        ((half + trace).sum(), "the mean over the batch, not the sum."),
        ((half + 0.5 * trace).mean(), "½ stands before the square only."),
        (-true, "the sign is turned: this is to be made small."),
    ]
    expect_value(out.reshape(()), true, "mean of ½‖ψ‖² + Σ_i ∂ψ_i/∂x_i.", mistakes)
    expect_double(out.reshape(()), true)
    _in_the_plane(fn)
    _gradients_of_parameters(fn, field, x)
    expect_any_device(fn, _Curl().float(), x.float())


def _in_the_plane(fn):
    """Two dimensions, as in the next cells: the loop must end where x does."""
    flat, x = _Curl(2), normal(7, 2, seed=6)
    half, parts, _ = _losses(flat, x)
    with explained("right in three dimensions, not in two: loop over range(x.shape[1])."):
        out = call(fn, flat, x)
        expect_value(out, (half + parts.sum(1)).mean().expand(out.shape), "another value is wanted.")


def _gradients_of_parameters(fn, field, x):
    """The trace must reach the parameters, too."""
    hint = "the gradient must reach the score's parameters: create_graph=True, no detach of ψ."
    out = call(fn, field, x)
    expect_gradient(out, field.A, field.B, hint=hint)
    found = torch.autograd.grad(out, (field.A, field.B))
    half = 0.5 * field(x).square().sum(1)
    wanted = torch.autograd.grad((half + field.trace_parts(x).sum(1)).mean(), (field.A, field.B))
    squares = 0.5 * field(x).square().sum(1)
    alone = torch.autograd.grad(squares.mean(), (field.A, field.B))
    for part, goal, square in zip(found, wanted, alone):
        lost = "the gradient of the trace does not reach the parameters: create_graph=True in each autograd.grad."
        expect(not torch.allclose(part, square, atol=1e-8), lost)
        expect_close(part, goal, hint)


def _bells(x, share, gap, variance=0.25):
    """log density and score of two Gaussians at ±gap/2, `share` on the left."""
    away = torch.tensor([-gap / 2, gap / 2]).double() - x[:, None]
    log_joint = torch.tensor([share, 1 - share]).double().log() - away.square() / (2 * variance)
    score = (log_joint.softmax(1) * away).sum(1) / variance
    return log_joint.logsumexp(1) - 0.5 * math.log(2 * math.pi * variance), score


@exercise("11b.blind", verified="KL above 1 nat and J below a millionth, by quadrature")
def blind_pair(fn):
    out = call(fn)
    three = isinstance(out, tuple | list) and len(out) == 3 and all(is_number(value) for value in out)
    expect(three, "return three numbers: (share_p, share_r, gap).")
    share_p, share_r, gap = (float(value) for value in out)
    inside = all(0.001 <= share <= 0.999 for share in (share_p, share_r))
    expect(inside, "both shares are weights between 0.001 and 0.999.")
    expect(math.isfinite(gap) and 0 < gap <= 100, "the gap is a distance: positive, and at most 100.")
    x = torch.linspace(-gap / 2 - 8, gap / 2 + 8, 40_001, dtype=torch.float64)
    (p, p_score), (r, r_score) = _bells(x, share_p, gap), _bells(x, share_r, gap)
    mass = p.exp() * (x[1] - x[0])
    kl = float((mass * (p - r)).sum())
    j = float((mass * (p_score - r_score).square()).sum()) / 2
    expect(share_p != share_r, "p and r are the same: choose two different weights.")
    hint = f"J sees them: it is {j:.2g}. Move the centres farther apart."
    expect(j < 1e-6, hint)
    swapped = f"KL is only {kl:.2f} nats. Make r's weight small where p's is large."
    expect(kl > 1, swapped)


@exercise(
    "11b.contrast",
    verified="log p − log q − log ν for three ratios; Bayes' rule; far points; gradients of energy and log Z",
)
def contrast_logit(fn):
    energy, log_q = 2 * normal(6, seed=6), normal(6, seed=7) - 2
    log_z = torch.tensor(0.7).double()
    for nu in (3, 1, 0.25):
        out = call(fn, energy, log_z, log_q, nu)
        expect_shape(out, (6,), "one number a point: (N,).")
        log_p = -energy - log_z
        true = log_p - log_q - math.log(nu)
        mistakes = [
            (
                log_p - log_q,
                "the ratio ν of noise to data is forgotten: with ν noise points for one data point subtract log ν.",
            ),
            (log_p - log_q + math.log(nu), "more noise makes data *less* likely: subtract log ν."),
            (log_p - log_q - nu, "log ν, not ν itself."),
            (
                log_p.exp() - log_q.exp() * nu,
                "densities for logarithms: the log-odds is a difference of logarithms.",
            ),
            (log_p.exp() / (nu * log_q.exp()), "this is the ratio itself: take its logarithm."),
            (
                true.sigmoid(),
                "this is the probability of data: return the log-odds; the loss takes the sigmoid.",
            ),
            (energy - log_z - log_q - math.log(nu), "log p is *minus* the energy, minus log Z."),
            (-energy + log_z - log_q - math.log(nu), "log Z is subtracted: p = e^(−E)/Z."),
            (-energy - log_q - math.log(nu), "log Z is missing: it is the number that is to be learned."),
            (log_p - math.log(nu), "log q is missing: a place is suspicious if *noise* is frequent there."),
            (-true, "upside down: positive means data."),
            (log_p + log_q - math.log(nu), "log q is subtracted: odds are a quotient."),
            (log_p - log_q.exp() - math.log(nu), "log_q is a logarithm already: subtract it as it is."),
            (
                -energy - log_z.exp() - log_q - math.log(nu),
                "log_z is a logarithm already: subtract it as it is.",
            ),
        ]
        expect_value(out, true, f"ν = {nu}: −E − log Z − log q − log ν.", mistakes)
        expect_double(out, true)
    far = call(fn, energy + 2_000, log_z, log_q - 3_000, 2)
    expect_close(
        far, -energy - 2_000 - log_z - log_q + 3_000 - math.log(2), "stay in log-space: e to the −3,000 is 0."
    )
    free = [energy.clone().requires_grad_(), log_z.clone().requires_grad_()]
    expect_gradient(
        call(fn, *free, log_q, 2), *free, hint="energy and log Z are both trained: no .item(), no float()."
    )
    expect_like(call(fn, energy.float(), log_z.float(), log_q.float(), 2), energy.float())
    expect_any_device(fn, energy.float(), log_z.float(), log_q.float(), 2)


@exercise("11b.width", verified="one of the seven widths; the shipped trainings decide")
def my_width(fn):
    width = call(fn)
    expect(not isinstance(width, str | bytes), "return a number, not a text: return 4.")
    expect(not isinstance(width, list | tuple | set | dict), "one width only: which is the best?")
    expect(is_number(width), "return one number, the width of the noise.")
    width = float(width)
    expect(math.isfinite(width), "return a finite number: one of 0.25, 0.5, 1, 2, 4, 8, 16.")
    expect(width > 0, "a width is positive: one of 0.25, 0.5, 1, 2, 4, 8, 16.")
    among = any(abs(width - other) < 1e-9 for other in (0.25, 0.5, 1, 2, 4, 8, 16))
    expect(among, "only these were tried: 0.25, 0.5, 1, 2, 4, 8 or 16.")
