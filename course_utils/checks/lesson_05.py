"""Checks of lesson 05: the two losses of the game, the best critic, the rule for covered modes, the critic as
a filter, the slope penalty, four bets, a penalty that overshoots."""

import math
import numbers

import numpy as np
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
from course_utils.checks.mistakes import expect_none_of, explained
from course_utils.checks.modes import CASES_OF_THE_RULE, ring
from course_utils.checks.players import (
    expect_loss_of_d,
    expect_loss_of_g,
    expect_who_learns,
    normal,
    small_critic,
)


def _logits(x):
    """A critic whose logit is the first coordinate of a point: (B, 2) → (B,)."""
    return x[:, 0]


def _points(*first):
    """Points (B, 2) with these first coordinates; the second one is 1."""
    return torch.tensor([[value, 1.0] for value in first])


@exercise(
    "05.losses",
    verified=(
        "both losses agree with the formulas on known logits, at ±200, too; D's loss sends its gradient into"
        " every weight of D, by both terms, and none into the forgeries; G's needs no real points"
    ),
)
def player_loss(fn):
    real, fake = _points(2.0, -1.0, 0.5), _points(-0.5, 2.5)
    expect_loss_of_d(call(fn, "D", _logits, real, fake))
    expect_loss_of_g(call(fn, "G", _logits, real, fake))
    far = (
        call(fn, "D", _logits, _points(-200.0), _points(200.0)),
        call(fn, "G", _logits, real, _points(-200.0)),
    )
    expect(
        all(torch.isfinite(loss).all() for loss in far),
        "at logits of ±200 the loss is infinite: σ(a) underflows before the logarithm is taken. Use"
        " F.logsigmoid.",
    )
    hint = "at logits of ±200 a loss grows linearly: no clamp, no small number added inside the logarithm."
    expect_close(torch.stack(far), torch.tensor([400.0, 200.0]), f"{hint} F.logsigmoid is exact.")
    expect_who_learns(fn)
    with explained("G's turn has no real points: section 4 passes None for them, so do not touch `real`."):
        call(fn, "G", _logits, None, fake)
    for player in "DG":
        expect_like(call(fn, player, _logits, real.double(), fake.double()), real.double())
        expect_any_device(fn, player, _logits, real, fake)


@exercise(
    "05.critic",
    verified=(
        "agrees with p/(p + q), gives ½ where the densities are equal, 0 and 1 where they are e^±3000 apart,"
        " and survives log-densities of ±2,000; vectors and matrices"
    ),
)
def best_critic(fn):
    p = torch.tensor([[0.3, 0.01, 2.0], [0.5, 0.04, 0.7]]).double()
    q = torch.tensor([[0.1, 0.2, 0.5], [0.5, 3.0, 0.6]]).double()
    out = call(fn, p.log(), q.log())
    expect_shape(out, (2, 3), "one probability per point, in the shape of the arguments.")
    logit = (p / q).log()
    expect_none_of(
        out,
        {
            "this is the probability of a forgery: the density of the data belongs into the numerator.": (
                q / (p + q)
            ),
            "this is the logit of D*, log p_data − log p_θ. One step is missing: σ of it is the probability.": (
                logit
            ),
            "this is the ratio p/q, not a probability: divide p by p + q.": p / q,
            "this is log D*; the probability itself is wanted: σ, not log σ.": F.logsigmoid(logit),
            "the arguments are LOG-densities: a quotient of logarithms is no quotient of densities.": (
                p.log() / (p.log() + q.log())
            ),
            "the difference of the LOG-densities is the logit, not that of the densities.": (p - q).sigmoid(),
            "the logit is the difference of the log-densities, not their sum.": (p * q).log().sigmoid(),
            "where is p_θ? D* compares two densities.": p.log().sigmoid(),
            "this is p itself: divide by p + q.": p,
            "the half belongs to the mixture ½(p + q), not to (4): this is p/(½(p + q)).": 2 * p / (p + q),
        },
    )
    expect_close(out, p / (p + q), "it should be p_data/(p_data + p_θ) at every point.", atol=1e-7)
    far = torch.tensor([-2000.0, -1000.0, -1002.0, 2000.0])
    other = torch.tensor([-2001.0, -1000.0, -1000.0, 1999.0])
    out = call(fn, far, other)
    expect(
        torch.isfinite(out).all(),
        "log-densities of −2,000 give 0/0: exp underflows. p/(p + q) is σ(log p − log q), which needs no"
        " exp.",
    )
    expect_close(
        out,
        torch.sigmoid(far - other),
        "only the difference of the log-densities counts: no clamp on them, and nothing added to a density.",
    )
    apart = call(fn, torch.tensor([0.0, -3000.0, 12.0]), torch.tensor([-3000.0, 0.0, 0.0]))
    expect(
        torch.isfinite(apart).all(),
        "log-densities that are 3,000 apart give ∞/∞ or 0/0: torch.sigmoid takes any difference.",
    )
    expect_close(
        apart,
        torch.tensor([1.0, 0.0, 12.0]).sigmoid() * torch.tensor([0.0, 0.0, 1.0])
        + torch.tensor([1.0, 0.0, 0.0]),
        "where one density is e^3000 times the other D* is 1 or 0: no clamp on the difference.",
        atol=1e-6,
        rtol=0,
    )


@exercise(
    "05.modes",
    verified=(
        "counts modes with 20 samples or more within 3σ, those on the boundary of either rule included, in"
        " one to three dimensions"
    ),
)
def modes_covered(fn):
    centres = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    samples = torch.cat([ring((0.0, 0.0), 40, 0.2), ring((10.0, 0.0), 25, 0.2), ring((0.0, 10.0), 19, 0.2)])
    out = call(fn, samples, centres, 0.5)
    number = isinstance(out, numbers.Real | torch.Tensor | np.ndarray) and not isinstance(out, bool)
    expect(number, f"return one whole number, not a {type(out).__name__}.")
    expect(
        torch.as_tensor(out).numel() == 1,
        "return one whole number: how many modes, not which or how many samples.",
    )
    out = float(out)
    expect(out != 3, "a mode with 19 samples nearby does not count: the rule asks for at least 20.")
    expect(
        out <= 3,
        "this counts samples; count centres: sum over the samples first (dim 0), compare with 20, then"
        " count.",
    )
    expect(abs(out - 2 / 3) > 1e-6, "return how many modes are covered, not their share.")
    expect(
        out == 2,
        f"of these three modes two are covered (40, 25 and 19 samples within σ/2); you count {out:g}.",
    )
    for samples, centres, sigma, right, hint in CASES_OF_THE_RULE:
        out = call(fn, samples, torch.tensor(centres), sigma)
        expect(float(torch.as_tensor(out)) == right, hint)


@exercise(
    "05.r1",
    verified=(
        "½ the mean squared slope, for points, images and a single point; its own gradient in every weight of"
        " the critic is right, and neither the critic nor the points keep a trace"
    ),
)
def r1_penalty(fn):
    x = torch.tensor([[1.0, 2.0], [-0.5, 1.5], [0.3, -1.0]]).double()
    out = call(fn, lambda x: x[:, 0] ** 2 * x[:, 1], x)
    expect_shape(out, (), "the penalty is one number: the mean over the batch.")
    slope = torch.stack([2 * x[:, 0] * x[:, 1], x[:, 0] ** 2], 1)  # (3, 2)
    square = slope.square().sum(1)
    right, norm, D = 0.5 * square.mean(), square.sqrt(), (x[:, 0] ** 2 * x[:, 1]).sigmoid()
    expect_none_of(
        out,
        {
            "the factor ½ of equation (8) is missing.": square.mean(),
            "sum over the coordinates, but take the mean over the batch.": 0.5 * square.sum(),
            "the squared norm is a sum over the coordinates of a point; only over the batch is it a mean.": (
                0.5 * slope.square().mean()
            ),
            "the norm must be squared: no square root.": 0.5 * norm.mean(),
            "square the slope of each point, then average; not the square of the mean norm.": (
                0.5 * norm.mean().square()
            ),
            "differentiate the SUM of the logits: with their mean every slope comes out smaller by the batch"
            " size.": right / 9,
            "square each point's slope before the mean: slopes of different points cancel.": (
                0.5 * slope.mean(0).square().sum()
            ),
            "square each coordinate of the slope before you add them.": 0.5 * slope.sum(1).square().mean(),
            "the slope's coordinates must be squared, not taken without sign.": 0.5
            * slope.abs().sum(1).mean(),
            "R1 asks for slope 0, not for slope 1: that (‖slope‖ − 1)² is another penalty (WGAN-GP's).": (
                (norm - 1).square().mean()
            ),
            "R1 asks for slope 0, not for slope 1: that ½(‖slope‖ − 1)² is another penalty.": (
                0.5 * (norm - 1).square().mean()
            ),
            "this is the slope of σ(a); (8) takes the slope of the logit a.": (
                0.5 * (square * (D * (1 - D)).square()).mean()
            ),
            "this is the slope of log σ(a); (8) takes the slope of the logit a.": (
                0.5 * (square * (1 - D).square()).mean()
            ),
        },
    )
    expect_close(out, right, "for the logit x₁²·x₂ the slope is (2·x₁·x₂, x₁²): half its mean squared norm.")
    expect_like(out, x)
    _slopes_of_images(fn)
    _slope_of_the_penalty(fn)


def _slopes_of_images(fn):
    x = torch.randn(5, 2, 4, 3, generator=torch.Generator().manual_seed(0))
    right = 0.5 * (3 * x**2).square().flatten(1).sum(1)
    with explained("for images the norm runs over all pixels: flatten from dimension 1 on."):
        out = call(fn, lambda image: (image**3).flatten(1).sum(1), x)
        expect_shape(out, (), "images (B, C, H, W).")
        expect_close(out, right.mean(), "the wrong number for images (5, 2, 4, 3).", rtol=1e-3)
    with explained("it must work for a single image, too: no squeeze."):
        out = call(fn, lambda image: (image**3).flatten(1).sum(1), x[:1])
        expect_close(out, right[0], "the wrong number for one image.", rtol=1e-3)


def _slope_of_the_penalty(fn):
    """Expect the gradient of the penalty in the weights of D."""
    critic, x = small_critic(), normal(7, 2, seed=50)
    weights = list(critic.parameters())[:3]  # the last bias moves no slope
    penalty = call(fn, critic, x)
    expect(
        penalty.requires_grad,
        "the penalty must be differentiable in D's weights: pass create_graph=True to torch.autograd.grad.",
    )
    expect_gradient(
        penalty, *weights, hint="the penalty's gradient must reach D's weights: create_graph=True."
    )
    leaf = x.clone().requires_grad_()
    (slope,) = torch.autograd.grad(critic(leaf).sum(), leaf, create_graph=True)
    right = torch.autograd.grad(0.5 * slope.square().sum(1).mean(), weights)
    for ours, theirs in zip(torch.autograd.grad(penalty, weights), right):
        expect_close(
            ours, theirs, "the penalty's gradient in D's weights is wrong: is a part of it detached?"
        )


@exercise(
    "05.keep",
    verified=(
        "keeps where u lies below e^a / max e^a, sample by sample; the highest logit always, at logits of ±900,"
        " too"
    ),
)
def keep_by_critic(fn):
    u = (torch.arange(1000) * 7 % 1000 + 0.5) / 1000
    logits = torch.tensor([2.0, 1.0]).repeat_interleave(1000)
    out = call(fn, logits, u.repeat(2))
    expect_shape(out, (2000,), "one answer for each sample.")
    expect(out.dtype == torch.bool, f"return a mask of True and False, not {out.dtype}.")
    best, other = (part.double().mean().item() for part in out.split(1000))
    e, both = math.e, 1000 * (1 + 1 / math.e)
    expect(
        abs(best - 1 / (1 + e**-2)) > 0.01,
        "this keeps with probability σ(a), which is D, the chance of being real. The ratio of the densities"
        " is e^a.",
    )
    expect(
        best > 0 or other == 0,
        "this keeps what should be thrown out: keep where u lies BELOW the probability.",
    )
    expect(
        abs(best - 1 / both) > 0.002 or abs(other - 1 / both / e) > 0.002,
        "this divides by the SUM of all e^a (a softmax), so hardly any is kept: divide by the largest.",
    )
    expect(
        not (best == 1 and other == 1),
        "here all are kept: e^a is larger than 1. Divide by the largest e^a, so that ratios survive.",
    )
    expect(
        best == 1 or abs(best - 0.5) > 0.01,
        "this keeps with σ(a − max a), which is ½ for the best sample; the ratio of the densities is e^a.",
    )
    expect(best == 1, f"the sample with the highest logit is always kept; here it is in {best:.0%} of cases.")
    expect(
        abs(other - 0.5) > 0.01,
        "this divides the logits by the largest; divide e^a by the largest e^a, that is, subtract.",
    )
    expect(
        abs(other - (1 + e**-2) / (1 + 1 / e)) > 0.01,
        "this divides D by the largest D; the ratio of the densities is e^a = D/(1 − D), not D.",
    )
    again = call(fn, logits.flip(0), u.repeat(2).flip(0))
    expect(
        torch.equal(out, again.flip(0)),
        "the same samples in another order get other answers: compare each logit with ITS u, and draw no numbers"
        " of your own.",
    )
    expect(
        abs(other - math.exp(-1)) < 0.01,
        f"a logit lower by 1 is kept e times less often, in 37 % of cases; here in {other:.0%}. The exponent is"
        " a − max a.",
    )
    expect(
        torch.equal(out, u.repeat(2) < (logits - 2).exp()),
        "the share is right and the samples are not: keep those whose u lies below e^(a − max a).",
    )
    _keep_far_logits(fn)


def _keep_far_logits(fn):
    for shift in (900.0, -900.0):
        logits = torch.tensor([-1.0, 0.0, -800.0, -0.5]) + shift
        out = call(fn, logits, torch.tensor([0.3, 0.999, 0.5, 0.7]))
        why = "at logits of 900 the exponential overflows" if shift > 0 else "at logits of −900 all e^a are 0"
        expect(
            out.tolist() == [True, True, False, False],
            f"{why}: subtract the largest logit before you take it.",
        )
    logits = torch.ones(300).index_fill(0, torch.tensor(17), 3.0)
    expect(
        call(fn, logits, torch.full((300,), 0.3)).sum() == 1,
        "one sample with a much higher logit sets the scale for all: divide by the LARGEST e^a, not by a typical"
        " one.",
    )
    logits = torch.tensor([-3.0, -2.0, -5.0], dtype=torch.float64)
    expect(
        call(fn, logits, torch.tensor([0.3, 0.9, 0.2], dtype=torch.float64)).tolist() == [True, True, False],
        "where all logits are negative the highest is still kept for sure: subtract it there, too.",
    )


def _real(value):
    """Whether this is one number, Python's or NumPy's, and no bool."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


@exercise(
    "05.bets",
    verified="four numbers between 0 and 8. Whether they are right, the next cell measures",
)
def my_bets(fn):
    bets = call(fn)
    expect(
        isinstance(bets, tuple | list | np.ndarray) and len(bets) == 4,
        "return four numbers: pace only, no momentum only, R1 only, pace and no momentum.",
    )
    expect(all(_real(bet) for bet in bets), "each bet is a number, for instance 4 or 2.5.")
    expect(not any(math.isnan(bet) for bet in bets), "nan is no bet: four numbers, please.")
    expect(all(bet >= 0 for bet in bets), "a number of modes is not negative: each bet lies between 0 and 8.")
    expect(all(bet <= 8 for bet in bets), "there are eight modes: each bet lies between 0 and 8.")


@exercise(
    "05.too_much",
    verified="an eigenvalue of the alternating round at η = 0.2 is less than −1: R1 throws the players out",
)
def too_much(fn):
    gamma, eta = call(fn), 0.2
    expect(
        _real(gamma) and math.isfinite(gamma),
        f"return one number, the weight γ; this is {'no finite one' if _real(gamma) else type(gamma).__name__}.",
    )
    gamma = float(gamma)
    expect(
        gamma > 0,
        "this pays D for its slopes, and the players run off without overshooting. γ must be positive.",
    )
    kept = 1 - eta * gamma
    # the eigenvalues of [[1 − η²/4, η/2·kept], [−η/2, kept]]: their sum is 1 − η²/4 + kept, their product kept
    half = (1 - eta**2 / 4 + kept) / 2
    root = max(half * half - kept, 0.0) ** 0.5
    smallest = half - root
    expect(
        kept >= 0 or smallest < -1,
        f"D jumps over 0 (1 − ηγ = {kept:.2f}) but lands nearer to it each time. A larger γ is needed.",
    )
    expect(
        smallest < -1,
        f"D's step on R1 does not jump over 0 and away: 1 − ηγ = {kept:.2f}, smallest λ = {smallest:.2f}.",
    )
