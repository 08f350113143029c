"""Checks of Appendix A's cards on Gaussians and on the KL divergence."""

import math

import torch

from course_utils.checks.machinery import call, exercise, expect, expect_close, expect_like, expect_shape
from course_utils.checks.mistakes import expect_none_of, explained, normal


def _covariance(d: int, seed: int) -> torch.Tensor:
    """A well-conditioned random covariance (d, d)."""
    root = normal(d, d, seed=seed)
    return root @ root.T + 0.5 * torch.eye(d, dtype=torch.float64)


@exercise(
    "A.conditional_gaussian",
    verified=(
        "the 2-D formula; mean and covariance agree with those from the inverse of Σ in five dimensions,"
        " one, three or four of them seen"
    ),
)
def conditional_gaussian(fn):
    mean = torch.tensor([1.0, -2.0])
    cov = torch.tensor([[4.0, 1.2], [1.2, 2.25]])  # standard deviations 2 and 1.5, ρ = 0.4
    found, spread = _two_parts(call(fn, mean, cov, torch.tensor([True, False]), torch.tensor([3.0])), 1)
    mistakes = {
        "the mean of the seen part was not subtracted: the gain multiplies v − μ_s.": -1.1,
        "the unconditional mean μ_u is missing: add it to G (v − μ_s).": 0.6,
        "the gain has the wrong sign: μ_u + G (v − μ_s).": -2.6,
        "the mean did not move: add G (v − μ_s).": -2.0,
        "the gain is Σ_us without Σ_ss⁻¹.": 0.4,
        "the gain is multiplied by Σ_ss instead of its inverse.": 7.6,
        "the gain is Σ_us divided by the root of Σ_ss: it is Σ_us Σ_ss⁻¹.": -0.8,
        "the gain is Σ_us Σ_uu⁻¹: the inverse is that of the seen block, Σ_us Σ_ss⁻¹.": -2 + 2.4 / 2.25,
        "the gain is the correlation: it is Σ_us Σ_ss⁻¹, ρ σ₂/σ₁.": -1.2,
        "this is the value that was seen: return the *unseen* coordinates.": 3.0,
    }
    expect_none_of(found[0], mistakes)
    expect_close(found, [-1.4], "in 2-D the mean should be μ₂ + ρ σ₂/σ₁ (v − μ₁): here −2 + 0.3 · 2 = −1.4.")
    mistakes = {
        "the variance did not shrink: subtract G Σ_su from Σ_uu. Seeing removes uncertainty.": 2.25,
        "G Σ_su is added: subtract it from Σ_uu. Seeing removes uncertainty.": 2.61,
        "this is G Σ_su alone: subtract it from Σ_uu.": 0.36,
        "this is the standard deviation: return the covariance.": 1.89**0.5,
        "this is the variance of the seen coordinate: return that of the unseen one.": 4.0,
        "this is Σ_uu − Σ_us Σ_su, without Σ_ss⁻¹ in between.": 0.81,
        "this is Σ_uu − G, the gain alone: subtract G Σ_su.": 1.95,
        "this is Σ_uu − G Gᵀ: subtract G Σ_su.": 2.16,
        "this is Σ_uu (1 − ρ): it is Σ_uu (1 − ρ²).": 1.35,
        "this is the inverse, the precision: return the covariance.": 1 / 1.89,
    }
    expect_none_of(spread[0, 0], mistakes)
    expect_close(spread, [[1.89]], "in 2-D the variance should be σ₂²(1 − ρ²): here 1.89.")
    for part in (found, spread):
        expect_like(part, mean, "the next cell adds float32 noise to them.")
    mean, cov, x = normal(5, seed=1), _covariance(5, 2), normal(5, seed=3)
    for places in ([0, 2, 4], [1], [0, 1, 2, 4]):
        seen = torch.zeros(5, dtype=torch.bool)
        seen[places] = True
        _five(fn, mean, cov, seen, x)


def _two_parts(out, unseen):
    expect(
        isinstance(out, tuple | list) and len(out) == 2, "return two tensors: the mean and the covariance."
    )
    number = f"{unseen} coordinate{'s are' if unseen > 1 else ' is'} not seen."
    expect_shape(out[0], (unseen,), f"The mean has one entry for each unseen coordinate: {number}")
    expect_shape(out[1], (unseen, unseen), f"The covariance has a row and a column for each: {number}")
    return out


def _five(fn, mean, cov, seen, x):
    """Five dimensions: Σ_u|s is the inverse of the block Λ_uu of Λ = Σ⁻¹, and the gain is −Λ_uu⁻¹ Λ_us."""
    found, spread = _two_parts(call(fn, mean, cov, seen, x[seen]), int((~seen).sum()))
    inverse = torch.linalg.inv(cov)
    inner = torch.linalg.inv(inverse[~seen][:, ~seen])
    shift = x[seen] - mean[seen]
    gain = -inner @ inverse[~seen][:, seen]
    if seen.sum() > 1:
        across, block = cov[~seen][:, seen], cov[seen][:, seen]
        diagonal, entries = across / block.diagonal(), across @ (1 / block)
        slips = {
            "in 5-D the gain needs the inverse of the whole block Σ_ss (torch.linalg.solve), not of its"
            " diagonal.": mean[~seen] + diagonal @ shift,
            "in 5-D 1/Σ_ss is taken entry by entry: Σ_ss⁻¹ is the inverse matrix, torch.linalg.solve.": (
                mean[~seen] + entries @ shift
            ),
        }
        expect_none_of(found, slips)
    expect_close(
        found,
        mean[~seen] + gain @ shift,
        f"with {int(seen.sum())} of 5 coordinates seen the mean is wrong: μ_u + Σ_us Σ_ss⁻¹ (v − μ_s), in"
        " the order of the coordinates.",
    )
    expect_close(
        spread,
        inner,
        f"with {int(seen.sum())} of 5 coordinates seen the mean is right and the covariance is not: Σ_uu"
        " − Σ_us Σ_ss⁻¹ Σ_su, the whole matrix, with nothing added.",
    )


@exercise(
    "A.kl",
    verified=(
        "true values for two rows, a vector and a 3-D batch, a coin by hand, additive for independent"
        " parts, q of 1e-200, both limits at 0, also beside rows without zeros"
    ),
)
def kl(fn):
    p = torch.tensor([[0.5, 0.25, 0.25], [0.7, 0.2, 0.1]], dtype=torch.float64)
    q = torch.tensor([[0.25, 0.25, 0.5], [0.1, 0.6, 0.3]], dtype=torch.float64)
    out = call(fn, p, q)
    expect_shape(out, (2,), "One number for each row: sum over the last dimension.")
    forward = _kl_hints(out, p, q)
    expect_close(out, forward, "for p without zeros it should be Σ p log(p/q).")
    expect_close(call(fn, p, p), torch.zeros(2), "KL(p ‖ p) must be 0.", atol=1e-7)
    pair, other = (
        (a[0][:, None] * a[1]).flatten() for a in (p, q)
    )  # both rows as one distribution of 9 outcomes
    with explained(
        "a vector is one distribution, and gives one number: sum over the last dimension, dim=-1."
    ):
        expect_close(
            call(fn, pair, other), forward.sum(), "For independent parts the divergences must add up."
        )
    with explained("any number of leading dimensions must work: sum over the last one, dim=-1."):
        out = call(fn, p[:, None].expand(2, 4, 3), q[:, None].expand(2, 4, 3))
        expect_close(out, forward[:, None].expand(2, 4), "The shape (2, 4, 3) gives (2, 4).")
    rare = torch.tensor([1e-200, 1.0], dtype=torch.float64)
    expect_close(
        call(fn, torch.tensor([0.5, 0.5], dtype=torch.float64), rare),
        math.log(0.5) + 100 * math.log(10),
        "for q = 1e-200 it is not Σ p log(p/q): add no small number to q, and clamp nothing.",
    )
    _limits(fn)


def _kl_hints(out, p, q):
    """Name the usual slips by value; return the right one."""
    forward, reverse = ((a * (a / b).log()).sum(-1) for a, b in ((p, q), (q, p)))
    middle = (p + q) / 2
    shannon = 0.5 * ((p * (p / middle).log()).sum(-1) + (q * (q / middle).log()).sum(-1))
    mistakes = {
        "the sign is turned: KL is never negative; it is log(p/q), not log(q/p).": -forward,
        "this is KL(q ‖ p): the average is taken under p, the first argument.": reverse,
        "this is −KL(q ‖ p): the average is taken under p, the first argument.": -reverse,
        "this is in bits: use the natural logarithm.": forward / math.log(2),
        "the logarithm has the base 10: use the natural one.": forward / math.log(10),
        "this is a third of it: sum over the outcomes, do not average.": forward / 3,
        "this is the cross-entropy H(p, q): subtract the entropy H(p).": -(p * q.log()).sum(-1),
        "this is the entropy H(p): KL is the cross-entropy H(p, q) minus it.": -(p * p.log()).sum(-1),
        "this is −H(p): the term −Σ p log q is missing.": (p * p.log()).sum(-1),
        "this is the mean of KL(p ‖ q) and KL(q ‖ p): only the first is asked for.": (forward + reverse) / 2,
        "this is KL(p ‖ q) + KL(q ‖ p): only the first is asked for.": forward + reverse,
        "this is the Jensen–Shannon divergence: compare p with q, not with their mean.": shannon,
        "the logarithms are not weighted: the average is taken under p, Σ p log(p/q).": (p / q).log().sum(-1),
        "the terms are made positive one by one: add them with their signs.": (p * (p / q).log())
        .abs()
        .sum(-1),
        "p and q are probabilities already: apply no softmax.": (
            p.softmax(-1) * (p.log_softmax(-1) - q.log_softmax(-1))
        ).sum(-1),
        "this is the root of it: return KL itself.": forward.sqrt(),
        "this is Σ p·(p/q): take the logarithm of p/q.": (p * p / q).sum(-1),
        "this is Σ p·(p − q): it is the difference of the logarithms.": (p * (p - q)).sum(-1),
    }
    expect_none_of(out, mistakes)
    return forward


def _limits(fn):
    """Where p or q is 0."""
    certain, fair = torch.tensor([1.0, 0.0]), torch.tensor([0.5, 0.5])
    found = call(fn, certain, fair)
    expect(
        found.isfinite(), "p = 0 gives nan or infinity: 0 · log 0 counts as 0. torch.xlogy(p, p) knows that."
    )
    expect_close(found, math.log(2), "a certain outcome against a fair coin costs log 2 = 0.693 nats.")
    impossible = call(fn, fair, certain)
    expect(
        impossible == torch.inf,
        "where q = 0 < p it is infinite: do not clamp q, and add no small number to it.",
    )
    expect_close(
        call(fn, certain, certain), 0.0, "where p and q are both 0 the term is 0, not nan or infinity."
    )
    found = call(
        fn, torch.stack([fair, certain, fair]), torch.stack([certain, certain, certain.flip(0) * 0.4 + 0.3])
    )
    hint = "one row with q = 0 < p changes the others: each row is a distribution of its own."
    expect(found[0] == torch.inf, hint)
    expect_close(found[1:], [0.0, 0.5 * math.log(0.25 / 0.21)], hint)
