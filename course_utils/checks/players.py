"""What the check of lesson 05's two losses expects: their values on known logits, and who learns from which."""

import math

import torch
from torch import nn
from torch.nn import functional as F

from course_utils.checks.machinery import call, expect, expect_close, expect_shape
from course_utils.checks.mistakes import expect_none_of


def normal(*shape, seed=0):
    """Standard normal numbers of this shape, float64, the same for the same seed."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _softplus(*values):
    """The mean of log(1 + eᵃ) over the given a, in double precision."""
    return sum(max(a, 0.0) + math.log1p(math.exp(-abs(a))) for a in values) / len(values)


def small_critic():
    """A small critic in double precision, (B, 2) → (B,), always with the same weights."""
    net = nn.Sequential(nn.Linear(2, 3), nn.SiLU(), nn.Linear(3, 1), nn.Flatten(0)).double()
    with torch.no_grad():
        for seed, weight in enumerate(net.parameters()):
            weight.copy_(normal(*weight.shape, seed=30 + seed))
    return net


def expect_loss_of_d(loss):
    """Expect D's loss on the logits 2, −1, ½ of real points and −½, 2½ of forgeries."""
    expect_shape(loss, (), "the loss of D is one number: the mean over the batch.")
    on_real, on_fake = _softplus(-2.0, 1.0, -0.5), _softplus(-0.5, 2.5)
    right = on_real + on_fake
    expect_none_of(
        loss,
        {
            "D's labels are swapped: it should give real points a high logit, −log σ(a), and forgeries a low"
            " one, −log σ(−a).": _softplus(2.0, -1.0, 0.5) + _softplus(0.5, -2.5),
            "D's loss has the wrong sign: D maximises V, and an optimiser goes downhill, so the loss is −V.": (
                -right
            ),
            "D's loss is the sum of two means, not their average: there is no factor ½ in (2).": right / 2,
            "D's loss takes the mean over each batch, not the sum: the learning rate must not depend on the"
            " batch size.": 3 * on_real + 2 * on_fake,
            "D's loss is a mean over the real batch plus one over the forgeries, not one over both together.": (
                (3 * on_real + 2 * on_fake) / 5
            ),
            "D's loss has no term for the forgeries.": on_real,
            "D's loss has no term for the real points.": on_fake,
            "D's loss asks for a high logit at forgeries, too: log(1 − σ(a)) is log σ(−a), with a minus.": (
                on_real + _softplus(0.5, -2.5)
            ),
            "D's loss asks for a low logit at real points, too: their term is −log σ(a), without a minus.": (
                _softplus(2.0, -1.0, 0.5) + on_fake
            ),
            "log(1 − σ(a)) is log σ(−a), not log σ(1 − a).": on_real + _softplus(-1.5, 1.5),
            "D's loss takes the mean over the forgeries, too, not their sum.": on_real + 2 * on_fake,
            "D's labels are 1 and 0 in (2), without smoothing.": (
                0.9 * on_real + 0.1 * _softplus(2.0, -1.0, 0.5) + on_fake
            ),
            "this is the hinge loss; (2) has log σ.": 2.5 / 3 + 4.0 / 2,
            "this is the loss of least squares; (2) has log σ.": 5.25 / 3 + 6.5 / 2,
            "the two terms of D's loss must be added: both are costs.": on_real - on_fake,
            "the players are exchanged: this is G's loss.": _softplus(0.5, -2.5),
            "D's loss takes the logits themselves (Wasserstein's critic): log σ is missing.": 1.0 - 0.5,
        },
    )
    expect_close(
        loss,
        right,
        "D's loss should be −mean log σ(a) over the real batch minus mean log σ(−a) over the forgeries.",
    )


def expect_loss_of_g(loss):
    """Expect G's loss on the logits −½, 2½ of forgeries."""
    expect_shape(loss, (), "the loss of G is one number: the mean over the batch.")
    right, on_real = _softplus(0.5, -2.5), _softplus(-2.0, 1.0, -0.5)
    expect_none_of(
        loss,
        {
            "for G this is log(1 − D), the saturating loss; equation (3) is −log D, that is −log σ(a).": (
                -_softplus(-0.5, 2.5)
            ),
            "for G this is −log(1 − D), D's own term: it would push the forgeries to LOW logits.": (
                _softplus(-0.5, 2.5)
            ),
            "G's loss has the wrong sign: (3) is MINUS the mean of log σ(a), and an optimiser goes downhill.": (
                -right
            ),
            "G's loss takes the mean over the batch, not the sum.": 2 * right,
            "this is G's loss of least squares; (3) has log σ.": 2.25,
            "G's loss has a factor ½ that (3) does not have.": right / 2,
            "G's loss has a term for the real points, which G cannot change: leave it out.": right + on_real,
            "G gets D's loss: `player` must make a difference.": on_real + _softplus(-0.5, 2.5),
            "G's loss takes the logits themselves (Wasserstein's game): log σ is missing.": -1.0,
        },
    )
    expect_close(loss, right, "G's loss should be −mean log σ(a) over the forgeries.")


def expect_who_learns(fn):
    """Expect the gradients of both losses, in D's weights and in the forgeries, to be those of (2) and (3)."""
    critic, real, source = small_critic(), normal(4, 2, seed=40), normal(3, 2, seed=41).requires_grad_()
    weights = list(critic.parameters())
    loss = call(fn, "D", critic, real, source * 2 + 1)
    expect(
        loss.requires_grad,
        "D's loss must depend on D's weights: do not detach the logits, only the forgeries.",
    )
    to_fake, *to_critic = torch.autograd.grad(loss, [source, *weights], allow_unused=True)
    expect(
        to_fake is None or not to_fake.any(),
        "D's loss sends a gradient into the forgeries, so D's step would train G as well: use fake.detach()"
        " for D.",
    )
    expect(
        all(g is not None for g in to_critic), "D's loss must reach every weight of D: what did you detach?"
    )
    got, by_real, by_fake = (
        torch.cat([part.flatten() for part in parts])
        for parts in (
            to_critic,
            torch.autograd.grad(-F.logsigmoid(critic(real)).mean(), weights),
            torch.autograd.grad(-F.logsigmoid(-critic((source * 2 + 1).detach())).mean(), weights),
        )
    )
    expect_none_of(
        got,
        {
            "the forgeries teach D nothing: detach `fake`, not D(fake), and no torch.no_grad around it.": by_real,
            "the real points teach D nothing: do not detach D(real).": by_fake,
        },
    )
    expect_close(got, by_real + by_fake, "the gradient of D's loss in D's weights is not that of (2).")
    loss = call(fn, "G", critic, real, source * 2 + 1)
    expect(
        loss.requires_grad,
        "G's loss must depend on the forgeries: do not detach D(fake), or G learns nothing.",
    )
    (to_fake,) = torch.autograd.grad(loss, [source], allow_unused=True)
    expect(
        to_fake is not None and to_fake.any(),
        "G's loss sends no gradient into the forgeries, so G learns nothing: detach them in D's loss only.",
    )
    (right,) = torch.autograd.grad(-F.logsigmoid(critic(source * 2 + 1)).mean(), source)
    expect_close(to_fake, right, "the gradient of G's loss in the forgeries is not that of (3).")
