"""Checks of lesson 04b: the importance bound, free bits, a bound that underflows, a committed guess, the
acceptance of Metropolis."""

import math
import numbers

import torch

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
from course_utils.checks.mistakes import expect_none_of


def _random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _weights():
    """log p(x, z) and log q(z | x) of 7 draws for 4 images; the images' weights lie near e⁻², e⁰, e¹, e³."""
    shift = torch.tensor([-2.0, 0.0, 1.0, 3.0], dtype=torch.float64)
    return 2 * _random(7, 4, seed=12) + shift, _random(7, 4, seed=13)


def _mistaken_means(joint, q):
    """Hint → what a usual mistake makes of the log-weights; both exercises on the bound share them."""
    w, S, B = joint - q, joint.shape[0], joint.shape[1]
    return {
        "divide by q: in logarithms subtract log q from log p(x, z).": (joint + q).logsumexp(0) - math.log(S),
        "this is minus the bound: the weight is p(x, z) / q, not q / p(x, z).": (
            (-w).logsumexp(0) - math.log(S)
        ),
        "the sign of the whole result is turned: the bound is log of a mean, without a minus.": (
            math.log(S) - w.logsumexp(0)
        ),
        "where is q? The weight is p(x, z) / q(z | x).": joint.logsumexp(0) - math.log(S),
        "the weights are the quotients p / q of each draw: take the mean of quotients, not a quotient of two"
        " means.": joint.logsumexp(0) - q.logsumexp(0),
        "divide by the number of draws S, not by the number of images.": w.logsumexp(0) - math.log(B),
        "log S is subtracted, not added: a mean is a sum divided by S.": w.logsumexp(0) + math.log(S),
        "divide by S inside the logarithm: a mean is a sum divided by S, so subtract log S.": (
            w.logsumexp(0) / S
        ),
        "subtract log S, not S.": w.logsumexp(0) - S,
        "natural logarithms, please: nats, not bits.": (w.logsumexp(0) - math.log(S)) / math.log(2),
        "natural logarithms, please: not those of base 10.": (w.logsumexp(0) - math.log(S)) / math.log(10),
        "log S is the natural logarithm, math.log: not math.log2.": w.logsumexp(0) - math.log2(S),
        "log S is the natural logarithm, math.log: not math.log10.": w.logsumexp(0) - math.log10(S),
        "the average runs over the draws; this is the best draw alone.": w.max(0).values,
        "take the logarithm at the end: this is the mean of the weights itself.": w.exp().mean(0),
    }


@exercise(
    "04b.importance",
    verified=(
        "the log of a mean of weights, not the ELBO; one draw gives the ELBO; right for weights of e^-2000 and"
        " e^2000, beside others in the same batch"
    ),
)
def importance_bound(fn):
    joint, q = _weights()
    w = joint - q
    out = call(fn, joint, q)
    expect_shape(out, (4,), "one value for each image: average over the draws, dim 0.")
    expect_none_of(
        out,
        {
            "this is the ELBO, the mean of logarithms; the importance bound is the logarithm of the mean.": (
                w.mean(0)
            ),
            "equal weights must average to one of them: subtract log S.": w.logsumexp(0),
            **_mistaken_means(joint, q),
        },
    )
    expect_close(out, w.exp().mean(0).log(), "log of the mean of the weights p / q, over dim 0.")
    expect_close(call(fn, joint[:1], q[:1]), w[0], "with one draw the bound is log p(x, z) − log q(z | x).")
    for shift, power in ((-2000.0, "are 0"), (2000.0, "are infinite")):
        far = call(fn, joint + shift, q)
        expect(
            far.isfinite().all(),
            f"weights near e^{shift:.0f} {power} in floating point: stay in logarithms with torch.logsumexp.",
        )
        expect_close(
            far,
            w.exp().mean(0).log() + shift,
            f"all weights e^{shift:.0f} times as large must move the bound by {shift:.0f}: no clamp, and"
            " nothing is added inside the logarithm.",
        )
    apart = torch.tensor([0.0, -2000.0, -90.0, 300.0], dtype=torch.float64)
    expect_close(
        call(fn, joint + apart, q),
        w.exp().mean(0).log() + apart,
        "images with weights near 1 and near e^-2000 in one batch: subtract the largest of EACH image, or use"
        " torch.logsumexp(…, 0).",
    )
    spread = torch.tensor([[-2000.0], [0.0], [-900.0], [-1500.0], [-2000.0], [-3.0], [-40.0]]).double()
    expect_close(
        call(fn, joint + spread, q),
        (w + spread).logsumexp(0) - math.log(7),
        "draws of one image may be e^2000 apart: subtract the LARGEST of them, not the first, the mean or the"
        " smallest.",
    )
    joint, q = joint.float() - 90, q.float()
    expect_close(
        call(fn, joint, q),
        (joint - q).double().exp().mean(0).log(),
        "weights near e^-90 in single precision: stay in logarithms.",
    )


@exercise(
    "04b.naive",
    verified="right for weights near 1, and minus infinity for weights of e^-2000: it underflows",
)
def naive_bound(fn):
    joint, q = _weights()
    w = joint - q
    out = call(fn, joint, q)
    expect_shape(out, (4,), "one value for each image: average over the draws, dim 0.")
    expect_none_of(
        out,
        {
            "this is the ELBO, which cannot underflow; write the logarithm of the mean of the weights.": (
                w.mean(0)
            ),
            "this is the logarithm of the SUM of the weights; write log mean p / q.": w.logsumexp(0),
            **_mistaken_means(joint, q),
        },
    )
    expect_close(out, w.exp().mean(0).log(), "for weights near 1 it should still be right: log mean p / q.")
    far = call(fn, joint - 2000, q)
    expect(
        not far.isfinite().all() or (far > -1000).any(),
        "it survives weights of e^-2000, and should not: leave log-space, as the formula seems to say.",
    )
    expect(
        not far.isfinite().any(),
        "something keeps the weights away from 0 (a clamp, a small number added): the formula has nothing of"
        " the kind.",
    )
    expect(
        bool((far == -math.inf).all()),
        "it should fail as minus infinity, the logarithm of 0: the mean of weights that are 0, then log.",
    )
    beside = torch.tensor([0.0, -2000.0, 0.0, 0.0], dtype=torch.float64)
    right = w.exp().mean(0).log() + torch.tensor([0.0, -math.inf, 0.0, 0.0], dtype=torch.float64)
    out = call(fn, joint + beside, q)
    expect(
        torch.equal(out.isinf(), right.isinf()),
        "an image whose weights vanish must not change the others: average over the draws of each image.",
    )
    single = call(fn, joint.float() - 200, q.float())
    expect(
        bool((single == -math.inf).all()),
        "in single precision weights of e^-200 are 0; yours survive, so you compute in double: keep the dtype.",
    )
    expect_like(single, q.float())


@exercise(
    "04b.free_bits",
    verified=(
        "any limit, none included; a latent below the limit costs the limit and has no gradient, one above it"
        " the gradient 1 / B; the batch mean is taken before the limit"
    ),
)
def charged_rate(fn):
    kl = torch.tensor([[0.0, 4.0, 0.1], [0.8, 2.5, 0.6], [0.7, 1.0, 0.2], [0.1, 2.5, 0.3]]).double()
    means = torch.tensor([0.4, 2.5, 0.3]).double()  # over the batch of 4
    out = call(fn, kl, 0.0)
    expect_shape(out, (), "the charge is one number: a sum over latents.")
    expect_none_of(
        out,
        {
            "average over the batch: a charge that grows with the batch changes the learning rate.": 12.8,
            "sum over the latents: the mean over them is a hidden β of 1/k.": 3.2 / 3,
            "average over the batch and sum over the latents, not the other way round.": 12.8 / 3,
        },
    )
    much = call(fn, kl, 4.0)
    expect(
        abs(float(much) - out.item()) > 1e-6 or abs(out.item() - 3.2) < 1e-6,
        "the charge is the same whatever `free` is: use the argument, not a number of your own.",
    )
    expect(
        abs(float(much) - 4.0) > 1e-6,
        "the limit is for each latent, not for their sum: with 4 nats free and three latents the charge is 12.",
    )
    expect_close(out, 3.2, "without free nats the charge is the rate.")
    out = call(fn, kl, 0.5)
    expect_none_of(
        out,
        {
            (
                "the charge is the same with and without free nats: where is the limit?"
                if abs(float(much) - 3.2) < 1e-6
                else "the limit is for each latent, not for all together: those below 0.5 are charged 0.5 each."
            ): 3.2,
            "free nats are not a rebate: a latent with 2.5 nats pays 2.5, not 2; max(λ, KL), not"
            " max(0, KL − λ).": 2.0,
            "free nats are not a rebate for all latents together: each pays max(λ, KL).": 1.7,
            "take the mean over the batch BEFORE the limit: 0, 0.8, 0.7 and 0.1 have the mean 0.4, which is"
            " below 0.5.": kl.clamp(min=0.5).mean(0).sum(),
            "apply the limit to each latent of the batch mean, not to each image's sum.": (
                kl.sum(1).clamp(min=0.5).mean()
            ),
            "you took the smaller of limit and KL: using more must cost more.": means.clamp(max=0.5).sum(),
            "a latent below the limit still pays the limit: it is charged 0.5, not 0.": 2.5,
            "max(λ, KL), not λ + KL: the limit is not added.": 4.7,
        },
    )
    for free, right in ((0.5, 3.5), (0.35, 3.25), (0.2, 3.2), (1, 4.5)):
        expect_close(
            call(fn, kl, free),
            right,
            f"with `free` = {free} and batch means 0.4, 2.5 and 0.3 the charge is {right}: the limit is for each"
            " latent, one that uses less is charged the limit.",
        )
    _free_gradients(fn, kl)
    expect_like(call(fn, kl.float(), 0.5), kl.float())
    expect_any_device(fn, kl, 0.5)


def _free_gradients(fn, kl):
    kl = kl.clone().requires_grad_()
    out = call(fn, kl, 0.35)
    expect_gradient(out, kl, hint="this charge trains a model: no .item(), no detach, no no_grad.")
    (grad,) = torch.autograd.grad(call(fn, kl, 0.35), kl)
    expect_close(
        grad,
        torch.tensor([0.25, 0.25, 0.0]).expand(4, 3),
        "below the limit the gradient is 0 (nothing is saved by using less), above it 1 / B.",
    )


@exercise(
    "04b.guess",
    verified="a share between 0 and 1 is committed; the next output shows the measurement beside it",
)
def amortised_share(fn):
    guess = call(fn)
    expect(
        isinstance(guess, numbers.Real) and not isinstance(guess, bool),
        f"return a number, for instance 0.5; yours is a {type(guess).__name__}.",
    )
    expect(math.isfinite(guess), f"return a finite number; yours is {guess}.")
    expect(
        not 1 < guess <= 100,
        "a share, please: between 0 (none of the gap) and 1 (all of it), not in per cent.",
    )
    expect(0 <= guess <= 1, "a share of the gap lies between 0 and 1.")


@exercise(
    "04b.accept",
    verified=(
        "the ratio is w(z′) / w(z), in logarithms, never above 0; right for log-densities of −2,000 and for"
        " ratios of e^±3000"
    ),
)
def log_acceptance(fn):
    joint_new, q_new, joint_old, q_old = (_random(40, seed=20 + i) - 3 for i in range(4))
    out = call(fn, joint_new, q_new, joint_old, q_old)
    expect_shape(out, (40,), "one value for each chain.")
    gain = (joint_new - q_new) - (joint_old - q_old)
    expect_none_of(out, _mistaken_chances(joint_new, q_new, joint_old, q_old))
    expect_close(out, gain.clamp(max=0), "log of min(1, w(z′) / w(z)).")
    expect_close(
        call(fn, joint_new - 2000, q_new, joint_old - 2000, q_old),
        gain.clamp(max=0),
        "log-densities of −2,000 are usual, and their exponentials are 0: subtract logarithms instead.",
    )
    far = torch.tensor([-3000.0, 3000.0], dtype=torch.float64)
    zero = torch.zeros_like(far)
    expect_close(
        call(fn, far, zero, zero, zero),
        far.clamp(max=0),
        "a ratio of e^-3000 has the logarithm −3000, one of e^3000 is certain: take no exponential on the way, and"
        " clamp at 0 only.",
    )
    single = call(fn, *(part.float() for part in (joint_new, q_new, joint_old, q_old)))
    expect_close(single, gain.clamp(max=0), "it should work in single precision.", atol=1e-4)
    expect_any_device(fn, joint_new, q_new, joint_old, q_old)


def _mistaken_chances(joint_new, q_new, joint_old, q_old):
    """Hint → what a usual mistake makes of (2)."""
    gain = (joint_new - q_new) - (joint_old - q_old)
    gone = "the densities of the proposal are missing: w is p(x, z) / q(z | x), so q must be divided out."
    return {
        "a chance is at most 1, its logarithm at most 0: take the smaller of 0 and the difference.": gain,
        "return the logarithm of the chance, not the chance: log 1 = 0.": gain.exp().clamp(max=1),
        "return the logarithm of the chance, not the ratio of the weights.": gain.exp(),
        "upside down: the NEW weight stands in the numerator, or better proposals are refused.": (
            (-gain).clamp(max=0)
        ),
        gone: (joint_new - joint_old).clamp(max=0),
        "a sign is turned: log w is log p(x, z) − log q(z | x).": (
            (joint_new - joint_old + q_new - q_old).clamp(max=0)
        ),
        "the sign of q's part alone is lost: subtract log q(z | x) of the old z inside its bracket.": (
            (joint_new - q_new - joint_old - q_old).clamp(max=0)
        ),
        "take the smaller of 0 and the difference, not the larger: better proposals are always accepted.": (
            gain.clamp(min=0)
        ),
        "a better proposal is accepted for sure, so its logarithm is 0: min(1, …), not the sign turned.": (
            -gain.abs()
        ),
        "limit the LOGARITHM by 0; in logarithms the minimum with 1 is a minimum with 0.": (
            gain.clamp(max=1)
        ),
        "this is w(z′) / (w(z′) + w(z)), another rule (Barker's); Metropolis takes min(1, w(z′) / w(z)).": (
            -torch.nn.functional.softplus(-gain)
        ),
        "a quotient of densities is a difference of logarithms, not their quotient.": (
            ((joint_new - q_new) / (joint_old - q_old)).clamp(max=0)
        ),
        "the new weight alone is no ratio: divide by the weight of the old z.": (
            (joint_new - q_new).clamp(max=0)
        ),
        "only the ratio of the proposals is here: where is p(x, z)?": (q_old - q_new).clamp(max=0),
        "the minimum with 0 comes after new minus old: the weights themselves may be above 1.": (
            (joint_new - q_new).clamp(max=0) - (joint_old - q_old).clamp(max=0)
        ),
    }
