"""What lesson 02's checks know about Gaussians: a broken mixture, and the KL with its usual mistakes."""

import torch
from torch.distributions import MultivariateNormal, kl_divergence

from course_utils.checks.machinery import call, expect, expect_close, expect_shape
from course_utils.checks.mistakes import expect_double, expect_value, normal


def log_px_of(x, weights, means, covs):
    """log p(x) of a mixture, (N,)."""
    return (MultivariateNormal(means, covs).log_prob(x[:, None]) + weights.log()).logsumexp(1)


def legal(weights, means, covs, x):
    """Raise Wrong unless these are the parameters of a mixture of two Gaussians in the plane."""
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
    distance = gap @ torch.linalg.solve(cov_b, gap)
    dets = cov_b.logdet() - cov_a.logdet()
    diagonals = cov_b.diagonal().log().sum() - cov_a.diagonal().log().sum()
    half = "the factor ½ stands before the whole bracket"
    itself = "the KL of a Gaussian to itself is 0"
    return (
        (turned, "you computed KL(b ‖ a): the covariance that is inverted belongs to the second Gaussian."),
        ((truth + turned) / 2, "this is the mean of both directions: KL(a ‖ b) alone, please."),
        (-truth, "the sign of the whole is turned: a KL is never negative."),
        (truth / torch.tensor(2.0).log(), "nats, please: the natural logarithm."),
        (truth + d / 2, f"{itself}: is the − d missing?"),
        (truth + d, f"d is added; it is subtracted: {itself}."),
        (truth + (d - 1) / 2, "d is the number of dimensions: − d, not − 1."),
        (truth + (d - 2) / 2, "d is the number of dimensions: − d, not − 2."),
        (2 * truth, f"unit Gaussians 5 apart have KL ½·25 = 12.5, not 25: {half}."),
        (truth + dets / 2, f"{half}: the log-determinants are not halved."),
        (truth + distance / 2, f"{half}: the term of the means is not halved."),
        (truth - dets, "the sign of the log-determinants is turned: the second Gaussian's has a plus."),
        (truth + cov_a.logdet(), "the log-determinants are added; the first Gaussian's has a minus."),
        (dets / 2, "this is the term of the determinants alone: the trace and the means are missing."),
        (truth - dets / 2, "the log-determinants are missing: ½ log(|Σ_b| / |Σ_a|)."),
        (truth + (dets.exp() - dets) / 2, "the ratio of the determinants counts by its logarithm."),
        (
            truth + (diagonals - dets) / 2,
            "the determinant of a full matrix is not the product of its diagonal: .logdet().",
        ),
        *_mistakes_with_the_inverse(gap, cov_a, cov_b, truth),
    )


def _mistakes_with_the_inverse(gap, cov_a, cov_b, truth):
    """The same for the two terms with Σ_b⁻¹: the trace, and the distance of the means."""
    product = torch.linalg.solve(cov_b, cov_a)
    distance = gap @ torch.linalg.solve(cov_b, gap)
    mixed = "the covariance that is inverted belongs to the second Gaussian"
    in_trace, in_means = f"in the trace, {mixed}", f"in the term of the means, {mixed}"
    traces = [
        (torch.linalg.solve(cov_a, cov_b).trace(), f"{in_trace}."),
        ((cov_b @ cov_a).trace(), f"{in_trace}; yours is not inverted."),
        ((cov_a / cov_b).trace(), "Σ_b⁻¹ Σ_a is a product of matrices, no quotient."),
        (product.sum(), "the trace sums the diagonal, not all entries."),
    ]
    means = [
        (0, "the term of the means is missing: ½ (μ_b − μ_a)ᵀ Σ_b⁻¹ (μ_b − μ_a)."),
        (gap @ torch.linalg.solve(cov_a, gap), f"{in_means}."),
        (gap @ cov_b @ gap, f"{in_means}; yours is not inverted."),
        (gap @ gap, "distances are measured by Σ_b⁻¹: (μ_b − μ_a)ᵀ Σ_b⁻¹ (μ_b − μ_a)."),
        (distance.sqrt(), "the distance of the means counts by its square: no root."),
        (
            gap.square() @ (1 / cov_b.diagonal()),
            "in the term of the means, Σ_b⁻¹ is the inverse of the whole matrix, not of its diagonal.",
        ),
    ]
    neither = traces[1][0] - product.trace() + means[2][0] - distance
    return (
        *((truth + (wrong - product.trace()) / 2, why) for wrong, why in traces),
        *((truth + (wrong - distance) / 2, why) for wrong, why in means),
        (truth + neither / 2, "Σ_b is inverted in the trace and in the term of the means; yours is not."),
    )
