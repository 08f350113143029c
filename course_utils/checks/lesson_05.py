"""Checks of lesson 05: the two losses of the game, the best critic, the rule for covered modes, the critic as
a filter, the slope penalty, four bets, a penalty that overshoots."""

import math

import torch
from torch import nn

from course_utils.checks.machinery import call, exercise, expect, expect_close, expect_shape


def _logits(x):
    """A critic whose logit is the first coordinate of a point: (B, 2) → (B,)."""
    return x[:, 0]


def _points(*first):
    """Points (B, 2) with these first coordinates; the second one is 1."""
    return torch.tensor([[value, 1.0] for value in first])


def _softplus(*values):
    """The mean of log(1 + eᵃ) over the given a, in double precision."""
    return sum(max(a, 0.0) + math.log1p(math.exp(-abs(a))) for a in values) / len(values)


@exercise(
    "05.losses",
    verified=(
        "both losses agree with the formulas on known logits, stay finite at logits of ±200, and D's loss"
        " sends its gradient into D but none into the forgeries"
    ),
)
def player_loss(fn):
    real, fake = _points(2.0, -1.0, 0.5), _points(-0.5, 2.5)
    loss_d, loss_g = call(fn, "D", _logits, real, fake), call(fn, "G", _logits, real, fake)
    for name, loss in (("D", loss_d), ("G", loss_g)):
        expect_shape(loss, (), f"the loss of {name} is one number: the mean over the batch.")
    right_d = _softplus(-2.0, 1.0, -0.5) + _softplus(-0.5, 2.5)
    right_g = _softplus(0.5, -2.5)
    swapped = _softplus(2.0, -1.0, 0.5) + _softplus(0.5, -2.5)
    expect(
        abs(loss_d.item() - swapped) > 1e-4,
        "D's labels are swapped: it should give real points a high logit, −log σ(a), and forgeries a low one,"
        " −log σ(−a).",
    )
    expect(
        abs(loss_d.item() + right_d) > 1e-4,
        "D's loss has the wrong sign: D maximises V, and an optimiser goes downhill, so the loss is −V.",
    )
    expect(
        abs(loss_g.item() + _softplus(-0.5, 2.5)) > 1e-4,
        "for G this is log(1 − D), the saturating loss; equation (3) is −log D, that is −log σ(a).",
    )
    expect_close(
        loss_d,
        right_d,
        "D's loss should be −mean log σ(a) over the real batch minus mean log σ(−a) over the forgeries.",
    )
    expect_close(loss_g, right_g, "G's loss should be −mean log σ(a) over the forgeries.")
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
    _gradients(fn)


def _gradients(fn):
    """Who learns from which loss."""
    critic = nn.Sequential(nn.Linear(2, 1), nn.Flatten(0))
    real, source = torch.ones(4, 2), torch.zeros(4, 2, requires_grad=True)
    loss = call(fn, "D", critic, real, source * 2 + 1)
    expect(
        loss.requires_grad,
        "D's loss must depend on D's weights: do not detach the logits, only the forgeries.",
    )
    to_fake, *to_critic = torch.autograd.grad(loss, [source, *critic.parameters()], allow_unused=True)
    expect(
        to_fake is None or not to_fake.any(),
        "D's loss sends a gradient into the forgeries, so D's step would train G as well: use fake.detach()"
        " for D.",
    )
    expect(
        all(g is not None for g in to_critic), "D's loss must reach every weight of D: what did you detach?"
    )
    loss = call(fn, "G", critic, real, source * 2 + 1)
    expect(
        loss.requires_grad,
        "G's loss must depend on the forgeries: do not detach them here, or G learns nothing.",
    )
    (to_fake,) = torch.autograd.grad(loss, [source], allow_unused=True)
    expect(
        to_fake is not None and to_fake.any(),
        "G's loss sends no gradient into the forgeries, so G learns nothing: detach them in D's loss only.",
    )


@exercise(
    "05.critic",
    verified=(
        "agrees with p/(p + q) where that can be computed, gives ½ where the densities are equal, and"
        " survives log-densities of −2,000"
    ),
)
def best_critic(fn):
    p, q = torch.tensor([0.3, 0.01, 2.0, 0.5]), torch.tensor([0.1, 0.2, 0.5, 0.5])
    out = call(fn, p.log(), q.log())
    expect_shape(out, (4,), "one probability per point.")
    expect(
        not torch.allclose(out, q / (p + q), atol=1e-5),
        "this is the probability of a forgery: the density of the data belongs into the numerator.",
    )
    expect(
        not torch.allclose(out, (p / q).log(), atol=1e-5),
        "this is the logit of D*, log p_data − log p_θ. One step is missing: σ of it is the probability.",
    )
    expect(
        not torch.allclose(out, p / q, rtol=1e-4),
        "this is the ratio p/q, not a probability: divide p by p + q.",
    )
    far = call(fn, torch.tensor([-2000.0, -1000.0]), torch.tensor([-2001.0, -1000.0]))
    expect(
        torch.isfinite(far).all(),
        "log-densities of −2,000 give 0/0: exp underflows. p/(p + q) is σ(log p − log q), which needs no"
        " exp.",
    )
    expect_close(out, p / (p + q), "it should be p_data/(p_data + p_θ) at every point.")
    expect_close(
        far,
        torch.sigmoid(torch.tensor([1.0, 0.0])),
        "only the difference of the log-densities counts, no constants.",
    )


@exercise(
    "05.modes",
    verified=(
        "counts modes with 20 samples or more within 3σ, those on the boundary of the rule included, in two"
        " and three dimensions"
    ),
)
def modes_covered(fn):
    centres, sigma = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]]), 0.5

    def around(centre, n, radius):
        angle = torch.arange(n) * 2 * math.pi / n
        return centre + radius * torch.stack([angle.cos(), angle.sin()], 1)

    samples = torch.cat(
        [around(centres[0], 40, 1.2), around(centres[1], 20, 0.4), around(centres[2], 19, 0.4)]
    )
    out = call(fn, samples, centres, sigma)
    expect(
        isinstance(out, int | float | torch.Tensor), f"return one whole number, not a {type(out).__name__}."
    )
    expect(
        torch.as_tensor(out).numel() == 1,
        "return one whole number: how many modes, not which or how many samples.",
    )
    out = int(out)
    expect(out != 3, "a mode with 19 samples nearby does not count: the rule asks for at least 20.")
    expect(
        out != 79 and out <= 3,
        "this counts samples; count centres: sum over the samples first (dim 0), compare with 20, then"
        " count.",
    )
    expect(
        out != 1,
        "one mode is missed. Exactly 20 samples are enough (≥, not >), and the distance limit is 3σ, not σ.",
    )
    expect(
        out == 2, f"of these three modes two are covered (40, 20 and 19 samples within 3σ); you count {out}."
    )
    corner = centres[0] + torch.tensor([[1.4, 1.4]]).expand(25, 2)
    expect(
        int(call(fn, corner, centres, sigma)) == 0,
        "“within 3σ” is a distance in the plane, a disc; comparing each coordinate with 3σ makes it a"
        " square.",
    )
    bumps = torch.eye(3) * 5
    expect(int(call(fn, bumps.repeat(20, 1), bumps, 0.1)) == 3, "it should work in any number of dimensions.")


@exercise(
    "05.r1",
    verified=(
        "½ the squared slope of a linear critic, for points and images; agrees with the formula for a curved"
        " one; its own gradient reaches the critic's weights"
    ),
)
def r1_penalty(fn):
    weight = torch.tensor([3.0, -4.0])
    out = call(fn, lambda x: x @ weight, torch.randn(6, 2))
    expect_shape(out, (), "the penalty is one number: the mean over the batch.")
    expect(abs(out.item() - 25.0) > 1e-3, "the factor ½ of equation (8) is missing.")
    expect(abs(out.item() - 75.0) > 1e-3, "sum over the coordinates, but take the mean over the batch.")
    expect(
        abs(out.item() - 6.25) > 1e-3,
        "the squared norm is a sum over the coordinates of a point; only over the batch is it a mean.",
    )
    expect(abs(out.item() - 2.5) > 1e-3, "the norm must be squared: no square root.")
    expect(
        abs(out.item() - 12.5 / 36) > 1e-3,
        "differentiate the SUM of the logits: with their mean every slope comes out smaller by the batch"
        " size.",
    )
    expect_close(out, 12.5, "for the logit 3·x₁ − 4·x₂ the slope is (3, −4): the penalty is 25/2.", rtol=1e-3)
    x = torch.randn(5, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    out = call(fn, lambda image: (image**3).flatten(1).sum(1), x)
    right = 0.5 * (3 * x**2).square().flatten(1).sum(1).mean()
    expect_close(
        out, right, "for images the norm runs over all pixels: flatten from dimension 1 on.", rtol=1e-3
    )
    critic = nn.Sequential(nn.Linear(2, 8), nn.SiLU(), nn.Linear(8, 1), nn.Flatten(0))
    penalty = call(fn, critic, torch.randn(7, 2))
    expect(
        penalty.requires_grad,
        "the penalty must be differentiable in D's weights: pass create_graph=True to torch.autograd.grad.",
    )
    slopes = torch.autograd.grad(penalty, critic[0].weight, allow_unused=True)
    expect(slopes[0] is not None and slopes[0].any(), "the penalty's gradient must reach D's first layer.")


@exercise(
    "05.keep",
    verified=(
        "the sample with the highest logit is always kept, one with a logit lower by 1 in a share of 1/e, and"
        " logits of 900 do no harm"
    ),
)
def keep_by_critic(fn):
    u = (torch.arange(1000) + 0.5) / 1000
    logits = torch.tensor([2.0, 1.0]).repeat_interleave(1000)
    out = call(fn, logits, u.repeat(2))
    expect_shape(out, (2000,), "one answer for each sample.")
    expect(out.dtype == torch.bool, f"return a mask of True and False, not {out.dtype}.")
    best, other = (part.double().mean().item() for part in out.split(1000))
    expect(
        abs(best - torch.sigmoid(torch.tensor(2.0)).item()) > 0.01,
        "this keeps with probability σ(a), which is D, the chance of being real. The ratio of the densities"
        " is e^a.",
    )
    expect(best > 0, "this keeps what should be thrown out: keep where u lies BELOW the probability.")
    expect(
        not (best == 1 and other == 1),
        "here all are kept: e^a is larger than 1. Divide by the largest e^a, so that ratios survive.",
    )
    expect(best == 1, f"the sample with the highest logit is always kept; here it is in {best:.0%} of cases.")
    expect(
        abs(other - math.exp(-1)) < 0.01,
        f"a logit lower by 1 is kept e times less often, in 37 % of cases; here in {other:.0%}.",
    )
    far = call(fn, torch.tensor([900.0, 899.0, 100.0]), torch.tensor([0.5, 0.3, 0.5]))
    expect(
        far.tolist() == [True, True, False],
        "at logits of 900 the exponential overflows: subtract the largest logit before you take it.",
    )


@exercise(
    "05.bets",
    verified="four numbers between 0 and 8. Whether they are right, the next cell measures",
)
def my_bets(fn):
    bets = call(fn)
    expect(
        isinstance(bets, tuple | list) and len(bets) == 4,
        "return four numbers: pace only, no momentum only, R1 only, pace and no momentum.",
    )
    expect(
        all(isinstance(bet, int | float) and not isinstance(bet, bool) for bet in bets),
        "each bet is a number, for instance 4 or 2.5.",
    )
    expect(all(0 <= bet <= 8 for bet in bets), "there are eight modes: each bet lies between 0 and 8.")


@exercise(
    "05.too_much",
    verified="an eigenvalue of the alternating round at η = 0.2 is less than −1: R1 throws the players out",
)
def too_much(fn):
    gamma, eta = call(fn), 0.2
    expect(
        isinstance(gamma, int | float) and not isinstance(gamma, bool) and math.isfinite(gamma),
        "return one number, the weight γ.",
    )
    expect(
        gamma > 0,
        "this pays D for its slopes, and the players run off without overshooting. γ must be positive.",
    )
    kept = 1 - eta * gamma
    round_ = torch.tensor([[1 - eta**2 / 4, eta / 2 * kept], [-eta / 2, kept]], dtype=torch.float64)
    values = torch.linalg.eigvals(round_)
    size = values.abs().max().item()
    expect(
        kept > -1e-9 or size >= 1 or kept < -1,
        f"D jumps over 0 (1 − ηγ = {kept:.2f}) but lands nearer to it each time. A larger γ is needed.",
    )
    expect(
        size > 1 and values.real.min() < -1,
        f"D's step on R1 does not jump over 0 and away: 1 − ηγ = {kept:.2f}, largest |λ| = {size:.2f}.",
    )
