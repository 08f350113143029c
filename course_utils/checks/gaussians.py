"""What lesson 02's checks know about Gaussians: a broken mixture, and the KL with its usual mistakes."""

import torch
from torch.distributions import MultivariateNormal, kl_divergence

from course_utils.checks.causes import expect_double, expect_value
from course_utils.checks.machinery import call, expect, expect_close, expect_shape
from course_utils.checks.mistakes import normal


def log_px_of(x, weights, means, covs):
    """log p(x) of a mixture, (N,)."""
    return (MultivariateNormal(means, covs).log_prob(x[:, None]) + weights.log()).logsumexp(1)


def legal(weights, means, covs, x):
    expect_shape(weights, (2,), "two weights.")
    expect_shape(means, (2, 2), "two means in the plane.")
    expect_shape(covs, (2, 2, 2), "two covariances, each (2, 2).")
    expect((weights > 0).all(), "both weights must be positive.")
    expect_close(weights.sum(), 1.0, "the weights must sum to 1.")
    for part, name in ((weights, "weights"), (means, "means"), (covs, "covariances")):
        expect(
            part.dtype == x.dtype,
            f"the {name} are {part.dtype}, the points {x.dtype}: make every tensor with dtype=x.dtype."
            " In float32 a variance of 1e-80 is 0.",
        )
    expect(torch.equal(covs, covs.mT), "a covariance is symmetric: Σ_ij = Σ_ji.")
    try:
        torch.linalg.cholesky(covs)
        proper = bool((covs.diagonal(dim1=1, dim2=2) > 0).all())
    except torch.linalg.LinAlgError:
        proper = False
    expect(
        proper,
        "a covariance is not positive definite: σ = 0 gives no density. Take a tiny σ² instead, such as 1e-80.",
    )


def broken(each, gain, single, mixture, x):
    """The named failure: one point gains without limit, all others lose at most a constant."""
    highest = float((each - single).max())
    narrow = int(mixture[2].det().argmin())
    beside = float((mixture[1][narrow] - x).norm(dim=1).min())
    expect(
        highest > 10 or beside == 0 or mixture[2][narrow].diagonal().max() > 1e-3,
        f"the narrow component lies beside the points, {beside:.1g} from the nearest: its mean must *be*"
        " one of them.",
    )
    expect(
        highest > 10,
        "no point gains: the mean of the narrow component must lie *exactly* on one of the points, and"
        " its width be tiny.",
    )
    lost = float((each - single).min())
    expect(
        lost > -30,
        "some points have become all but impossible: the second component must cover all of them.",
    )
    expect(
        gain > 100,
        f"it beats one Gaussian by {gain:.0f} nats only: a spike ten times narrower is worth 2 log 10 ="
        " 4.6 nats more.",
    )


def compare_kl(fn, d):
    """Correlated Gaussians against torch.distributions, and against what the usual mistakes give."""
    a, b = normal(d, d + 2, seed=7), normal(d, d + 2, seed=8)
    mean_a, cov_a = normal(d, seed=9), a @ a.T / 4
    mean_b, cov_b = normal(d, seed=10), b @ b.T / 4
    one, two = MultivariateNormal(mean_a, cov_a), MultivariateNormal(mean_b, cov_b)
    truth = kl_divergence(one, two)
    causes = _kl_mistakes(mean_b - mean_a, cov_a, cov_b, truth, kl_divergence(two, one))
    out = call(fn, mean_a, cov_a, mean_b, cov_b)
    hint = (
        f"correlated Gaussians in {d}-D: it differs from torch.distributions. Compare term by term with (7)."
    )
    expect_value(out, truth, hint, causes)
    expect_double(out, truth)


def _kl_mistakes(gap, cov_a, cov_b, truth, turned):
    """Pairs of what a mistake comes to and its hint; `turned` is KL(b ‖ a)."""
    d = len(gap)
    product = torch.linalg.solve(cov_b, cov_a)
    spread = product.trace()
    spread_by_a = torch.linalg.solve(cov_a, cov_b).trace()
    distance = gap @ torch.linalg.solve(cov_b, gap)
    by_a = gap @ torch.linalg.solve(cov_a, gap)
    dets = cov_b.logdet() - cov_a.logdet()
    mixed = "the covariance that is inverted belongs to the second Gaussian"
    half = "the factor ½ stands before the whole bracket"
    return (
        (turned, f"you computed KL(b ‖ a): {mixed}."),
        (truth + d / 2, "the KL of a Gaussian to itself is 0: is the − d missing?"),
        (truth + d, "d is added; it is subtracted: the KL of a Gaussian to itself is 0."),
        (truth + (d - 1) / 2, "d is the number of dimensions: − d, not − 1."),
        (truth + (d - 2) / 2, "d is the number of dimensions: − d, not − 2."),
        (2 * truth, f"unit Gaussians 5 apart have KL ½·25 = 12.5, not 25: {half}."),
        (truth + dets / 2, f"{half}: the log-determinants are not halved."),
        (spread / 2 + distance - d / 2 + dets / 2, f"{half}: the term of the means is not halved."),
        (truth - dets, "the sign of the log-determinants is turned: the second Gaussian's has a plus."),
        (truth - dets / 2, "the log-determinants are missing: ½ log(|Σ_b| / |Σ_a|)."),
        (truth + (dets.exp() - dets) / 2, "the ratio of the determinants counts by its logarithm."),
        (truth + (by_a - distance) / 2, f"in the term of the means, {mixed}."),
        (truth + (spread_by_a - spread) / 2, f"in the trace, {mixed}."),
        (truth - distance / 2, "the term of the means is missing: ½ (μ_b − μ_a)ᵀ Σ_b⁻¹ (μ_b − μ_a)."),
        (
            truth + (gap @ gap - distance) / 2,
            "distances are measured by Σ_b⁻¹: (μ_b − μ_a)ᵀ Σ_b⁻¹ (μ_b − μ_a).",
        ),
        (
            truth + (distance.sqrt() - distance) / 2,
            "the distance of the means counts by its square: no root.",
        ),
        (truth + ((cov_a / cov_b).trace() - spread) / 2, "Σ_b⁻¹ Σ_a is a product of matrices, no quotient."),
        (
            truth + (torch.linalg.solve(cov_b, cov_a).sum() - spread) / 2,
            "the trace sums the diagonal, not all entries.",
        ),
        (
            truth + (cov_b.diagonal().log().sum() - cov_a.diagonal().log().sum() - dets) / 2,
            "the determinant of a full matrix is not the product of its diagonal: .logdet().",
        ),
        (
            truth + (gap.square() @ (1 / cov_b.diagonal()) - distance) / 2,
            "in the term of the means, Σ_b⁻¹ is the inverse of the whole matrix, not of its diagonal.",
        ),
        (truth / torch.tensor(2.0).log(), "nats, please: the natural logarithm."),
    )
