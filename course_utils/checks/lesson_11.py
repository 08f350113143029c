"""Checks of lesson 11: free energy, a step of PCD, a machine that copies, weights of annealing, a guess."""

import math

import torch
import torch.nn.functional as F

from course_utils.checks.elsewhere import sent
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


def _states(n):
    """All 2ⁿ states of n units: (2ⁿ, n), float64."""
    return (torch.arange(2**n)[:, None] >> torch.arange(n) & 1).double()


# --- free energy
# -----------------------------------------------------------------------------------------------------------------


def _summed(v, W, b, c):
    """The free energy by a sum over all states of the hidden units: (len(v),)."""
    h = _states(len(c))
    return -((v @ b)[:, None] + h @ c + v @ W @ h.T).logsumexp(1)


@exercise(
    "11.free_energy",
    verified="(5) equals the sum over all 16 hidden states, to nine digits, at large weights, too; gradients",
)
def free_energies(fn):
    v = _states(3)[[1, 6, 3, 7, 4]]
    W, b, c = normal(3, 4, seed=1), normal(3, seed=2), normal(4, seed=3)
    out = call(fn, v, W, b, c)
    expect_shape(out, (5,), "one number a state: sum over the hidden units, axis 1.")
    true = _summed(v, W, b, c)
    a = c + v @ W
    soft, own = F.softplus(a), v @ b
    mistakes = [
        (-true, "the sign is turned: F = −b·v − Σ softplus(…)."),
        (-soft.sum(1), "the visible biases are missing: −b·v."),
        (own - soft.sum(1), "the sign of b·v is turned: −b·v."),
        (-own + soft.sum(1), "the sign of the softplus is turned: − Σ softplus(…)."),
        (-own - soft.mean(1), "this is the mean over the hidden units; (5) has their sum."),
        (-own - F.softplus(v @ W).sum(1), "the hidden biases c are missing."),
        (-own - a.sum(1), "softplus is missing: this is the energy with all hidden units on."),
        (-own - a.sigmoid().sum(1), "sigmoid for softplus: softplus(a) = log(1 + e^a)."),
        (-own - a.relu().sum(1), "relu for softplus: softplus(a) = log(1 + e^a)."),
        (-own - a.exp().sum(1), "the logarithm is missing: softplus(a) = log(1 + e^a)."),
        (-own - a.exp().log1p().prod(1), "the logarithm of a product is the *sum* of the logarithms."),
        (true.exp(), "this is e^F: no exp at the end."),
        ((-true).exp(), "this is e^(−F), what is proportional to p(v); F is asked for."),
        (true.mean().expand(5), "this is the mean over the states; one number a state is asked for."),
    ]
    expect_value(out, true, "F(v) = −b·v − Σ_j softplus(c_j + Σ_i v_i W_ij).", mistakes)
    expect_double(out, true)
    far = call(fn, v, 4_000 * W, b, c)
    expect(torch.isfinite(far).all(), "log(1 + exp(a)) overflows at a = 710: F.softplus(a) does not.")
    held = "at weights in the thousands it is finite and wrong: softplus(a) is a itself there, so no clamp."
    expect_close(far, _summed(v, 4_000 * W, b, c), held, atol=1e-6, rtol=1e-9)
    free = [part.clone().requires_grad_() for part in (W, b, c)]
    expect_gradient(call(fn, v, *free), *free, hint="it is trained: no detach, no .item().")
    single = [part.float() for part in (v, W, b, c)]
    expect_like(call(fn, *single), single[0])
    expect_any_device(fn, *single)


# --- a step of PCD
# -----------------------------------------------------------------------------------------------------------------


class Machine(torch.nn.Module):
    """A small RBM that notes what it is asked."""

    def __init__(self, W, b, c):
        super().__init__()
        self.W, self.b, self.c = (torch.nn.Parameter(part) for part in (W, b, c))

    def free_energy(self, v):
        return -v @ self.b - F.softplus(self.c + v @ self.W).sum(1)

    def p_h(self, v):
        return (self.c + v @ self.W).sigmoid()

    def p_v(self, h):
        return (self.b + h @ self.W.T).sigmoid()


def _machine(scale=1.0, dtype=torch.float64):
    parts = scale * normal(4, 3, seed=4), normal(4, seed=5), normal(3, seed=6)
    return Machine(*(part.to(dtype) for part in parts))


def _machine_elsewhere():
    """A machine on the pretended GPU: its parameters lie there themselves, and so does what is made of them.

    A parameter that counts as being on both has views, such as W.T, that count as being on the CPU.
    """
    model = _machine(dtype=torch.float32)
    for name, part in model.named_parameters():
        model._parameters[name] = sent(part)
    return model


def _after_a_step(model, state):
    """The exact distribution over the 16 visible states after one Gibbs step from `state` (4,)."""
    h, v = _states(3), _states(4)
    p_h, p_v = model.p_h(state), model.p_v(h)  # (3,), (8, 4)
    of_h = (h * p_h + (1 - h) * (1 - p_h)).prod(1)
    of_v = (v[:, None] * p_v + (1 - v[:, None]) * (1 - p_v)).prod(2)  # (16, 8)
    return (of_v @ of_h).detach()


def _counts(v):
    """The shares of the 16 states among v (n, 4)."""
    number = (v.double() @ torch.tensor([1.0, 2.0, 4.0, 8.0]).double()).long()
    return torch.bincount(number, minlength=16).double() / len(v)


def _far(shares, truth):
    """Total variation distance."""
    return float((shares - truth).abs().sum() / 2)


def _expect_a_gibbs_step(model, start, data, moved):
    """The new chains are draws of the right distribution, given all chains at `start` (4,)."""
    hint = "the new chains are probabilities: toss a coin for each of them, torch.bernoulli(model.p_v(h))."
    expect(bool(((moved == 0) | (moved == 1)).all()), hint)
    shares, truth = _counts(moved), _after_a_step(model, start)
    if _far(shares, truth) < 0.025:
        return
    with torch.no_grad():
        mean_field = model.p_v(model.p_h(start[None]))[0]  # the hidden units passed on as probabilities
    v = _states(4)
    passed_on = (v * mean_field + (1 - v) * (1 - mean_field)).prod(1)
    two = torch.stack([_after_a_step(model, state) for state in v]).T @ truth
    causes = [
        (_counts(start[None]), "the chains stand still: return them after the step."),
        (
            _after_a_step(model, data),
            "the chain is restarted at the data: that is CD-1; PCD goes on from the chains.",
        ),
        (
            passed_on,
            "probabilities of h are passed on: toss the coins of the hidden units, torch.bernoulli(model.p_h(chains)).",
        ),
        (two, "two Gibbs steps; one is asked for."),
    ]
    for wrong, why in causes:
        expect(_far(shares, wrong) > 0.025, why)
    expect(False, "the new chains are no Gibbs step from the old ones: h given the chains, then v given h.")


@exercise(
    "11.pcd",
    verified="the chains make one Gibbs step (20,000 of them, distribution added up); the gradient is (6), exactly",
)
def pcd_step(fn):
    model = _machine()
    start, data = _states(4)[6], _states(4)[9]
    both = "return the loss and the new chains, in this order."
    loss, moved = pair_of(call(fn, model, data.expand(3, 4), start.expand(20_000, 4)), both)
    if isinstance(loss, torch.Tensor) and tuple(loss.shape) == (20_000, 4):
        expect(False, f"the two are exchanged: {both}")
    expect_shape(moved, (20_000, 4), "the new chains, as many as the old ones.")
    expect_shape(loss, (), "the loss is one number: means over the data and over the chains.")
    expect(not moved.requires_grad, "no gradient passes through the draws: torch.no_grad() around them.")
    _expect_a_gibbs_step(model, start, data, moved)

    v, chains = _states(4)[[3, 9, 14]], _states(4)[[0, 5, 6, 7, 12]]
    loss, moved = pair_of(call(fn, model, v, chains), both)
    F_v, F_new, F_old = (model.free_energy(x).mean() for x in (v, moved, chains))
    sums = model.free_energy(v).sum() - model.free_energy(moved).sum()
    mistakes = [
        (F_new - F_v, "the sign is turned: the energy of the data goes down, that of the chains up."),
        (F_v - F_old, "the loss takes the old chains; the model is what they are after the step."),
        (F_old - F_v, "the sign is turned, and the chains are the old ones."),
        (F_v, "the chains are missing: without them every energy just falls."),
        (F_v + F_new, "a difference: minus the mean of F at the chains."),
        (sums, "sums in place of means: three data and five chains do not weigh the same."),
    ]
    expect_value(loss, F_v - F_new, "mean of F at the data minus mean of F at the new chains.", mistakes)
    expect_gradient(loss, *model.parameters(), hint="free_energy(v) must keep its gradient.")
    grads = torch.autograd.grad(loss, model.parameters())
    p_v, p_new = model.p_h(v).detach(), model.p_h(moved).detach()
    true = moved.T @ p_new / len(moved) - v.T @ p_v / len(v)
    expect_value(grads[0], true, "the gradient for W is ⟨v h⟩ at the chains minus ⟨v h⟩ at the data.")
    single = _machine(dtype=torch.float32)
    loss, moved = pair_of(call(fn, single, v.float(), chains.float()), both)
    expect_like(moved, v.float())
    expect_any_device(fn, _machine_elsewhere(), v.float(), chains.float())


# --- a machine that copies
# -----------------------------------------------------------------------------------------------------------------


def _bars_and_stripes():
    page = _states(9).view(-1, 3, 3)
    bars = (page == page[:, :1]).flatten(1).all(1)
    stripes = (page == page[:, :, :1]).flatten(1).all(1)
    return _states(9)[bars | stripes]


@exercise(
    "11.copier",
    verified="reconstruction error below 0.01, KL above 3 nats, no pixel preferred, added up over 512 states",
)
def copier(fn):
    out = call(fn)
    three = "return W (9, H), b (9,) and c (H,), in this order."
    expect(isinstance(out, tuple | list) and len(out) == 3, three)
    expect(all(isinstance(part, torch.Tensor) for part in out), f"three tensors: {three}")
    whole = (
        "whole numbers cannot be trained, and the next cell makes parameters of them: write -10.0, not -10."
    )
    expect(all(part.is_floating_point() for part in out), whole)
    W, b, c = (part.detach().double() for part in out)
    expect(W.dim() == 2 and len(W) == 9, f"W has nine rows, one a pixel: {three}")
    expect_shape(b, (9,), three)
    expect_shape(c, (W.shape[1],), three)
    expect(all(bool(part.isfinite().all()) for part in (W, b, c)), "finite numbers: e^F must exist.")
    expect(W.shape[1] <= 64, "at most 64 hidden units; nine are enough.")
    model, patterns = Machine(W, b, c), _bars_and_stripes()
    with torch.no_grad():
        p = model.p_h(patterns)
        g = torch.Generator().manual_seed(0)
        drawn = [(torch.rand(p.shape, generator=g) < p).double() for _ in range(50)]
        error = torch.stack([(patterns - model.p_v(h)).square().mean() for h in drawn]).mean()
        log_z = (-model.free_energy(_states(9))).logsumexp(0)
        kl = model.free_energy(patterns).mean() + log_z - math.log(14)
    blank = float((p.max(0).values - p.min(0).values).max()) < 1e-3
    expect(
        not (blank and error > 0.01),
        "the hidden units do not look at the image: each needs a weight to a pixel.",
    )
    found = f"its reconstruction error is {error:.3f}:"
    small = f"{found} the hidden units are not sure of their pixels; larger weights."
    expect(error < 0.01 or float(W.abs().max()) > 8, small)
    unsure = f"{found} a hidden unit should be as sure of a pixel that is off as of one that is on; choose the biases."
    expect(error < 0.01, unsure)
    even = "Let on and off cost the same, in every pixel: biases of minus half the weights."
    expect(kl > 3, f"its KL is only {kl:.2f}: it knows something. {even}")
    _expect_no_preference(model, even)


def _expect_no_preference(model, even):
    """F is the same whether a pixel is on or off, for each pixel and whatever the others are."""
    with torch.no_grad():
        F_all = model.free_energy(_states(9))
    number = torch.arange(512)
    on_for_off = [(F_all - F_all[number ^ (1 << i)])[(number >> i) % 2 == 1] for i in range(9)]
    dearer = torch.stack(on_for_off)  # (9, 256)
    pixel, others = divmod(int(dearer.abs().argmax()), 256)
    worst = float(dearer[pixel, others])
    preferred = "off" if worst > 0 else "on"
    found = f"it prefers pixel {pixel} {preferred}: F differs by {abs(worst):.2f}, and it should prefer none."
    expect(abs(worst) < 0.02, f"{found} {even}")


# --- weights of annealing
# -----------------------------------------------------------------------------------------------------------------

SHARES = (0.0, 0.1, 0.4, 1.0)  # each call gets a list of its own: an answer may empty it


def _toy():
    """An energy of three numbers, and a step without chance: both depend on the share."""
    a, b = normal(3, seed=7), normal(3, seed=8)

    def log_f(v, share):
        a_here, b_here = a.to(v), b.to(v)
        return (v * a_here).sum(1) + share * (v.square() * b_here).sum(1) + share**2

    def move(v, share):
        return 0.7 * v.roll(1, 1) + share

    return log_f, move


def _walked(v, factor):
    """Σ over the steps of factor(v before, v after, share before, share now), and the steps."""
    log_f, move = _toy()
    parts = []
    for before, now in zip(SHARES, SHARES[1:]):
        after = move(v, now)
        parts.append(factor(log_f, v, after, before, now))
        v = after
    return torch.stack(parts)


def _annealing_mistakes(v):
    """What the usual mistakes give in place of the true log w, each with its hint."""
    log_f, move = _toy()
    right = _walked(v, lambda f, v, after, s, t: f(v, t) - f(v, s))
    true = right.sum(0)
    late = _walked(v, lambda f, v, after, s, t: f(after, t) - f(after, s)).sum(0)
    both_now = _walked(v, lambda f, v, after, s, t: f(after, t) - f(v, t)).sum(0)
    plain = _walked(v, lambda f, v, after, s, t: f(after, t) - f(v, s)).sum(0)
    alone = _walked(v, lambda f, v, after, s, t: f(v, t)).sum(0)
    old_share = torch.zeros(4).double()
    at = v
    for s, t in zip(SHARES, SHARES[1:]):
        old_share = old_share + log_f(at, t) - log_f(at, s)
        at = move(at, s)
    still = sum(log_f(v, t) - log_f(v, s) for s, t in zip(SHARES, SHARES[1:]))
    return [
        (-true, "the sign is turned: log f at the new share minus log f at the old one."),
        (late, "weighed after the move: (8) takes both at the state *before* it moves."),
        (
            both_now,
            "both at the same share: the weight is f at the new one over f at the old one, same state.",
        ),
        (plain, "old state at the old share, new state at the new one: both belong to the same state."),
        (alone, "divide by f at the share before: subtract log f(v, before)."),
        (still, "the chains stand still: v = move(v, now) after weighing."),
        (old_share, "moved at the old share: after weighing for λ_k the Gibbs step is one at λ_k."),
        (right.mean(0), "this is a mean over the steps; logarithms of a product are summed."),
        (right[:-1].sum(0), "the last step, to share 1, is missing."),
        (right[1:].sum(0), "the first step is missing."),
        (right[-1], "only the last step is left: add to log w, do not replace it."),
        (true.exp(), "this is w; its logarithm is asked for."),
        (right.exp().sum(0), "logarithms are summed, not the factors."),
        (true.mean().expand(4), "this is the mean over the chains: one log w a chain."),
    ]


@exercise(
    "11.annealing",
    verified="log w of four chains on an uneven ladder, forwards and backwards: weigh, then move; w above e^2000",
)
def annealed_weights(fn):
    log_f, move = _toy()
    v = normal(4, 3, seed=9)
    out = call(fn, log_f, move, v, list(SHARES))
    expect_shape(out, (4,), "one log w a chain.")
    true = _walked(v, lambda f, v, after, s, t: f(v, t) - f(v, s)).sum(0)
    hint = "Σ over the steps of log f(v, now) − log f(v, before), then v moves."
    expect_value(out, true, hint, _annealing_mistakes(v))
    expect_double(out, true)
    back = call(fn, log_f, move, v, list(SHARES[::-1]))
    goal = torch.zeros(4).double()
    at = v
    for s, t in zip(SHARES[::-1], SHARES[-2::-1]):
        goal = goal + log_f(at, t) - log_f(at, s)
        at = move(at, t)
    expect_value(back, goal, "with the shares in reverse order it goes wrong: take them as they come.")
    far = call(fn, lambda v, share: log_f(v, share) + 2_000 * share, move, v, list(SHARES))
    inside = "stay in log-space: w is e to the 2,000 here, and exp() overflows at 710; add up the logarithms."
    expect_close(far, true + 2_000, inside, atol=1e-6, rtol=1e-9)
    expect_like(call(fn, log_f, move, v.float(), list(SHARES)), v.float())
    expect_any_device(fn, log_f, move, v.float(), list(SHARES))


# --- a guess
# -----------------------------------------------------------------------------------------------------------------


@exercise("11.dream", verified="a number of dreams; the next cell counts them")
def still_mine(fn):
    guess = call(fn)
    expect(not isinstance(guess, str | bytes), "return a number, not a text: return 30.")
    expect(not isinstance(guess, bool), "return a number, not True or False: return 30.")
    expect(is_number(guess), "return one number, how many of 100.")
    expect(float(guess) == float(guess), "return a number, not nan.")
    share = f"is {float(guess):g} a share? How many of 100: {100 * float(guess):g}, say."
    expect(not 0 < float(guess) < 1, share)
    expect(float(guess) >= 0, "less than none is not possible: a number from 0 to 100.")
    expect(float(guess) <= 100, "there are 100 dreams: a number from 0 to 100.")
