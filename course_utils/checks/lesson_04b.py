"""Checks of lesson 04b: the importance bound, free bits, a bound that underflows, a committed guess, the
acceptance of Metropolis."""

import math

import torch

from course_utils.checks.machinery import call, exercise, expect, expect_close, expect_shape


def _random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _ones(*shape):
    return torch.ones(shape, dtype=torch.float64)


@exercise(
    "04b.importance",
    verified=(
        "one draw gives the ELBO; exact where q is the posterior; survives weights of e^-2000; a mean, not"
        " a sum"
    ),
)
def importance_bound(fn):
    joint, q = _random(1, 4, seed=8) - 90, _random(1, 4, seed=9)
    out = call(fn, joint, q)
    expect_shape(out, (4,), "one value for each image: average over the draws, dim 0.")
    expect(
        not torch.allclose(out, (joint + q)[0]),
        "divide by q: in logarithms subtract log q from log p(x, z).",
    )
    expect(
        not torch.allclose(out, (q - joint)[0]),
        "this is minus the bound: the weight is p(x, z) / q, not q / p(x, z).",
    )
    expect_close(out, (joint - q)[0], "with one draw the bound is log p(x, z) − log q(z | x).")
    far = call(fn, _random(5, 3, seed=10) - 2000, _random(5, 3, seed=11))
    expect(
        torch.isfinite(far).all(),
        "weights near e^-2000 are 0 in floating point: stay in logarithms with torch.logsumexp.",
    )
    same = call(fn, _ones(8, 2) * -50, _ones(8, 2) * 3)
    expect(
        not torch.allclose(same, _ones(2) * (-53 + math.log(8))),
        "eight equal weights must average to one of them: subtract log S.",
    )
    expect_close(same, _ones(2) * -53, "eight equal weights: their mean is one of them.")
    joint, q = 3 * _random(50, 4, seed=12), _random(50, 4, seed=13)
    expect(
        not torch.allclose(call(fn, joint, q), (joint - q).mean(0)),
        "this is the ELBO, the mean of logarithms; the importance bound is the logarithm of the mean.",
    )
    expect_close(
        call(fn, joint, q), (joint - q).exp().mean(0).log(), "log of the mean of the weights, over dim 0."
    )


@exercise(
    "04b.naive",
    verified="right for weights near 1, and minus infinity for weights of e^-2000: it underflows",
)
def naive_bound(fn):
    joint, q = _random(50, 4, seed=12), _random(50, 4, seed=13)
    out = call(fn, joint, q)
    expect_shape(out, (4,), "one value for each image: average over the draws, dim 0.")
    expect(
        not torch.allclose(out, (joint - q).mean(0)),
        "this is the ELBO, which cannot underflow; write the logarithm of the mean of the weights.",
    )
    expect_close(
        out, (joint - q).exp().mean(0).log(), "for weights near 1 it should still be right: log mean p / q."
    )
    far = call(fn, _random(5, 3, seed=10) - 2000, _random(5, 3, seed=11))
    expect(
        not torch.isfinite(far).all(),
        "it survives weights of e^-2000, and should not: leave log-space, as the formula seems to say.",
    )
    expect(
        bool((far == -math.inf).all()),
        "it should fail as minus infinity, the logarithm of 0: the mean of weights that are 0, then log.",
    )


@exercise(
    "04b.free_bits",
    verified=(
        "no limit, no change; a latent below the limit costs the limit and has no gradient; the batch mean"
        " is taken before the limit"
    ),
)
def charged_rate(fn):
    kl = _random(6, 3, seed=14).abs()
    out = call(fn, kl, 0.0)
    expect_shape(out, (), "the charge is one number: a sum over latents.")
    expect(
        not torch.allclose(out, kl.mean(0).sum() * 6),
        "average over the batch: a charge that grows with the batch changes the learning rate.",
    )
    expect(
        not torch.allclose(out, kl.mean()), "sum over the latents: the mean over them is a hidden β of 1/k."
    )
    expect_close(out, kl.mean(0).sum(), "without free nats the charge is the rate.")
    kl = torch.tensor([[0.0, 4.0], [0.8, 2.0]], dtype=torch.float64)  # batch means 0.4 and 3.0
    out = call(fn, kl, 0.5)
    expect(
        not torch.allclose(out, _ones() * 2.5),
        "free nats are not a rebate: a latent with 3 nats pays 3, not 2.5; max(λ, KL), not max(0, KL − λ).",
    )
    expect(
        not torch.allclose(out, _ones() * 3.65),
        "take the mean over the batch BEFORE the limit: 0 and 0.8 have the mean 0.4, which is below 0.5.",
    )
    expect(
        not torch.allclose(out, _ones() * 3.4),
        "the limit is for each latent: one that uses 0.4 is charged 0.5, though the other uses 3.",
    )
    expect(
        not torch.allclose(out, _ones() * 0.9) and not torch.allclose(out, _ones()),
        "you took the smaller of limit and KL: using more must cost more.",
    )
    expect_close(out, _ones() * 3.5, "max(0.5, 0.4) + max(0.5, 3.0) = 3.5.")
    free = kl.clone().requires_grad_()
    out = call(fn, free, 0.5)
    expect(isinstance(out, torch.Tensor) and out.requires_grad, "no gradient passes through it: no .item().")
    (grad,) = torch.autograd.grad(out, free)
    expect_close(
        grad,
        torch.tensor([[0.0, 0.5], [0.0, 0.5]], dtype=torch.float64),
        "below the limit the gradient is 0 (nothing is saved by using less), above it 1 / B.",
    )


@exercise(
    "04b.guess",
    verified="a share between 0 and 1 is committed; the next output shows the measurement beside it",
)
def amortised_share(fn):
    guess = call(fn)
    expect(
        isinstance(guess, (int, float)) and not isinstance(guess, bool),
        "return a number, for instance 0.5.",
    )
    expect(
        not 1 < guess <= 100,
        "a share, please: between 0 (none of the gap) and 1 (all of it), not in per cent.",
    )
    expect(0 <= guess <= 1, "a share of the gap lies between 0 and 1.")


@exercise(
    "04b.accept",
    verified="equal weights are always accepted; the ratio is w(z′) / w(z), in logarithms, never above 0",
)
def log_acceptance(fn):
    zero = torch.zeros(5, dtype=torch.float64)
    out = call(fn, zero - 90, zero + 2, zero - 90, zero + 2)
    expect_shape(out, (5,), "one value for each chain.")
    expect(
        not torch.allclose(out, zero + 1), "return the logarithm of the chance, not the chance: log 1 = 0."
    )
    expect_close(out, zero, "a proposal as good as the old z is accepted for sure: log 1 = 0.")
    joint_new, q_new, joint_old, q_old = (_random(200, seed=20 + i) - 90 for i in range(4))
    out = call(fn, joint_new, q_new, joint_old, q_old)
    gain = (joint_new - q_new) - (joint_old - q_old)
    expect(
        not torch.allclose(out, gain),
        "a chance is at most 1, its logarithm at most 0: take the smaller of 0 and the difference.",
    )
    expect(
        not torch.allclose(out, gain.exp().clamp(max=1)),
        "return the logarithm of the chance, not the chance.",
    )
    expect(
        not torch.allclose(out, (-gain).clamp(max=0)),
        "upside down: the NEW weight stands in the numerator, or better proposals are refused.",
    )
    expect(
        not torch.allclose(out, (joint_new - joint_old).clamp(max=0)),
        "the densities of the proposal are missing: w is p(x, z) / q(z | x), so q must be divided out.",
    )
    expect(
        not torch.allclose(out, (joint_new - joint_old + q_new - q_old).clamp(max=0)),
        "a sign is turned: log w is log p(x, z) − log q(z | x).",
    )
    expect_close(out, gain.clamp(max=0), "log of min(1, w(z′) / w(z)).")
