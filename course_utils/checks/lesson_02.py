"""Checks of lesson 02: ancestral sampling, responsibilities, the M-step, a likelihood broken on purpose, a bet,
KL between Gaussians."""

import torch
from torch.distributions import MultivariateNormal, kl_divergence

from course_utils.checks.machinery import call, exercise, expect, expect_close, expect_shape


def _random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _pair(out, hint):
    """Two results, or the hint that says which two."""
    expect(isinstance(out, (tuple, list)) and len(out) == 2, hint)
    return out


def _generator(seed=0):
    return torch.Generator().manual_seed(seed)


@exercise(
    "02.sample",
    verified=(
        "the causes have the weights; each component's draws have its mean and covariance; the generator decides"
    ),
)
def sample_mixture(fn):
    weights = torch.tensor([0.7, 0.3], dtype=torch.float64)
    means = torch.tensor([[-80.0, 0.0], [80.0, 5.0]], dtype=torch.float64)
    covs = torch.tensor([[[9.0, 3.0], [3.0, 2.0]], [[1.0, -0.8], [-0.8, 4.0]]], dtype=torch.float64)
    x, k = _pair(
        call(fn, weights, means, covs, 20_000, _generator()),
        "return two things: the points x and their causes k.",
    )
    expect_shape(x, (20_000, 2), "n points in d dimensions.")
    expect_shape(k, (20_000,), "one cause a point: k (n,).")
    left = x[:, 0] < 0
    expect(
        ((x[:, 0].abs() - 80).abs() < 45).all(),
        "some points lie between the two far clusters: choose *one* component for each point; do not average"
        " the components.",
    )
    expect(
        bool((left == (torch.as_tensor(k) == 0)).all()),
        "k does not tell which component made the point: use the same k for the mean, and return it.",
    )
    expect_close(
        left.double().mean(), 0.7, "component 0 has weight 0.7: choose k with the weights.", atol=0.02, rtol=0
    )
    _draws_of_each(x, left, means, covs)
    again, _ = call(fn, weights, means, covs, 20_000, _generator())
    expect(
        torch.equal(torch.as_tensor(again), torch.as_tensor(x)),
        "the same generator must give the same draws: pass `generator=generator` to every random function.",
    )
    three, _ = call(
        fn, torch.ones(4).double() / 4, _random(4, 3), torch.eye(3).double().repeat(4, 1, 1), 5, _generator()
    )
    expect_shape(three, (5, 3), "K = 4 components in d = 3 dimensions: is a size or an axis fixed to 2?")


def _draws_of_each(x, left, means, covs):
    """Mean and covariance of the draws of each component."""
    for k, mine in enumerate((left, ~left)):
        own = x[mine]
        expect_close(own.mean(0), means[k], "the draws of a component have its mean μ_k.", atol=0.15, rtol=0)
        L = torch.linalg.cholesky(covs[k])
        found = own.T.cov()
        for wrong, hint in (
            (L.T @ L, "the covariance of your draws is LᵀL instead of LLᵀ: each point is L ε, not ε L."),
            (covs[k] @ covs[k], "you multiply ε by Σ; the factor is its Cholesky factor L, with LLᵀ = Σ."),
            (torch.eye(2).double(), "the draws of a component have covariance I: is the factor L_k missing?"),
        ):
            expect(not torch.allclose(found, wrong, atol=0.35, rtol=0.05), hint)
        expect_close(found, covs[k], "the draws of component k must have covariance Σ_k.", atol=0.35, rtol=0)


@exercise(
    "02.responsibilities",
    verified=(
        "rows sum to 1; Bayes on three numbers; log p is the weighted sum; fine at log-densities of -5000"
    ),
)
def responsibilities(fn):
    log_w = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64).log()
    log_n = _random(7, 3)
    log_r, log_px = _pair(call(fn, log_w, log_n), "return two things: log r (N, K) and log p(x) (N,).")
    expect_shape(log_r, (7, 3), "one log responsibility for each point and component.")
    expect_shape(
        log_px, (7,), "log p(x): one number a point, the sum over components (dim=1) inside the logarithm."
    )
    far, far_px = call(fn, log_w, log_n - 5000)
    expect(
        torch.isfinite(far).all() and torch.isfinite(far_px).all(),
        "with log-densities near -5000 every exp() is 0 and its logarithm -inf: use torch.logsumexp, no exp()"
        " first.",
    )
    columns = log_r.exp().sum(0)
    expect(
        not torch.allclose(columns, torch.ones_like(columns)),
        "your columns sum to 1: normalise over the components (dim=1), so that each point's row sums to 1.",
    )
    expect(
        not torch.allclose(log_r.sum(1), torch.ones(7, dtype=torch.float64)),
        "return the logarithm of the responsibilities; your rows sum to 1 without exp().",
    )
    expect_close(
        log_r.exp().sum(1), torch.ones(7), "each row of exp(log r) must sum to 1: subtract log p(x)."
    )
    flat, flat_px = call(fn, log_w, torch.zeros(4, 3, dtype=torch.float64))
    expect_close(
        flat.exp(),
        log_w.exp().expand(4, 3),
        "where all components have the same density, the responsibilities are the weights: add log w first.",
    )
    expect_close(
        flat_px,
        torch.zeros(4),
        "log p(x) of equal densities 1 is log Σ w = 0: sum w_k p(x | k), not p(x | k).",
    )
    expect_close(
        log_r + log_px[:, None],
        log_w + log_n,
        "log r + log p(x) must be the log joint, log w + log p(x | k) (equation 3).",
    )


@exercise(
    "02.m_step",
    verified=(
        "hard labels give shares and group means; fractions of points count; components need not be equal"
    ),
)
def weights_and_means(fn):
    x = _random(6, 2, seed=1)
    hard = torch.eye(2, dtype=torch.float64)[torch.tensor([0, 0, 0, 0, 1, 1])]
    weights, means = _pair(call(fn, x, hard), "return two things: the weights (K,) and the means (K, d).")
    expect_shape(weights, (2,), "one weight per component: sum the responsibilities over the points (dim=0).")
    expect_shape(means, (2, 2), "one mean per component: responsibilities (K, N) times points (N, d).")
    expect(
        not torch.allclose(weights.sum(), torch.tensor(6.0, dtype=torch.float64)),
        "your weights sum to N: divide the number of points owned, R_k, by N.",
    )
    expect_close(
        weights, [4 / 6, 2 / 6], "with four points in the first of two groups the weights are 4/6 and 2/6."
    )
    groups = torch.stack([x[:4].mean(0), x[4:].mean(0)])
    expect(
        not torch.allclose(means, hard.T @ x / 6),
        "you divide the means by N; a component's mean is over the points it owns: divide by R_k.",
    )
    expect_close(means, groups, "with hard assignments the means are the means of the groups.")
    soft = _random(50, 3, seed=2).softmax(1)
    points = _random(50, 4, seed=3)
    weights, means = call(fn, points, soft)
    expect_shape(means, (3, 4), "K = 3 components in d = 4 dimensions: is a size or an axis fixed to 2?")
    expect_close(
        weights.sum(), 1.0, "the weights must sum to 1: the share of all points that each component owns."
    )
    expect_close(
        weights,
        soft.mean(0),
        "fractions of points count: add up the responsibilities as they are. Do not turn them into hard"
        " choices.",
    )
    pull = torch.einsum("nk,nkd->kd", soft, points[:, None] - means)
    expect_close(
        pull, torch.zeros(3, 4), "at the maximum Σ_n r_nk (x_n − μ_k) = 0 for every component; it is not."
    )


def _log_px(x, weights, means, covs):
    """log p(x) of a mixture, (N,)."""
    return (MultivariateNormal(means, covs).log_prob(x[:, None]) + weights.log()).logsumexp(1)


@exercise(
    "02.spike",
    verified=(
        "a legal mixture; on three sets of points it beats one Gaussian by more than 100 nats, and fresh points prefer"
        " the Gaussian: maximum likelihood is broken"
    ),
)
def spike(fn):
    for seed in (0, 1, 2):
        x = _random(40, 2, seed=seed) @ torch.tensor([[1.0, 0.4], [0.0, 0.7]], dtype=torch.float64) + seed
        fresh = _random(4_000, 2, seed=seed + 10) @ torch.tensor([[1.0, 0.4], [0.0, 0.7]]).double() + seed
        out = call(fn, x)
        expect(
            isinstance(out, (tuple, list)) and len(out) == 3,
            "return three things: weights, means, covariances.",
        )
        _legal(*out)
        one = MultivariateNormal(x.mean(0), x.T.cov())
        each = _log_px(x, *out)
        gain = float(each.sum() - one.log_prob(x).sum())
        _broken(each, gain, one.log_prob(x))
        expect(
            _log_px(fresh, *out).mean() < one.log_prob(fresh).mean(),
            "fresh points like your mixture better than the single Gaussian: that is a good model, not a broken one.",
        )


def _legal(weights, means, covs):
    expect_shape(weights, (2,), "two weights.")
    expect_shape(means, (2, 2), "two means in the plane.")
    expect_shape(covs, (2, 2, 2), "two covariances, each (2, 2).")
    expect((torch.as_tensor(weights) > 0).all(), "both weights must be positive.")
    expect_close(torch.as_tensor(weights).sum(), 1.0, "the weights must sum to 1.")
    try:
        torch.linalg.cholesky(torch.as_tensor(covs))
        proper = bool((torch.as_tensor(covs).diagonal(dim1=1, dim2=2) > 0).all())
    except torch.linalg.LinAlgError:
        proper = False
    expect(
        proper,
        "a covariance is not positive definite: σ = 0 gives no density. Take a tiny σ² instead, such as 1e-80.",
    )


def _broken(each, gain, single):
    """The named failure: one point gains without limit, all others lose at most a constant."""
    highest = float((each - single).max())
    expect(
        highest > 10,
        "no point gains: the mean of the narrow component must lie *exactly* on one of the points, and its width be"
        " tiny.",
    )
    lost = float((each - single).min())
    expect(
        lost > -30,
        "some points have become all but impossible: the second component must cover all of them.",
    )
    expect(
        gain > 100,
        f"it beats one Gaussian by {gain:.0f} nats only: a spike ten times narrower is worth 2 log 10 = 4.6 nats more.",
    )


@exercise("02.bet", verified="a legal bet; the race below decides")
def my_bet(fn):
    bet = call(fn)
    whole = isinstance(bet, int) and not isinstance(bet, bool)
    expect(whole, "bet on a whole number of starts.")
    expect(0 <= bet <= 6, "there are six starts: between 0 and 6 of them can find all eight bumps.")


@exercise(
    "02.kl_gaussians",
    verified=(
        "zero for equal Gaussians; two cases by hand, in the right order; agrees with torch.distributions"
        " in 4-D"
    ),
)
def kl_gaussians(fn):
    zero, eye = torch.zeros(2, dtype=torch.float64), torch.eye(2, dtype=torch.float64)
    shift = torch.tensor([3.0, 4.0], dtype=torch.float64)
    out = call(fn, zero, eye, shift, eye)
    expect_shape(out, (), "one number for a pair of Gaussians.")
    expect_close(
        call(fn, shift, 2 * eye, shift, 2 * eye),
        0.0,
        "the KL of a Gaussian to itself is 0: is the − d missing?",
    )
    expect(
        not torch.allclose(out, torch.tensor(25.0, dtype=torch.float64)),
        "unit Gaussians 5 apart have KL ½·25 = 12.5, not 25: the factor ½ stands before the whole bracket.",
    )
    expect_close(out, 12.5, "unit Gaussians at distance 5 have KL ½·5² = 12.5: check the term of the means.")
    one = call(fn, zero, 4 * eye, zero, eye)
    other = 0.5 * (0.5 - 2 + 2 * torch.log(torch.tensor(4.0)))
    expect(
        not torch.allclose(one, other.double(), atol=1e-4),
        "you computed KL(b ‖ a): the covariance that is inverted belongs to the second Gaussian.",
    )
    expect(
        not torch.allclose(one, (0.5 * (8 - 2 + torch.log(torch.tensor(16.0)))).double(), atol=1e-4),
        "the sign of the log-determinants is turned: the second Gaussian's has a plus, the first's a minus.",
    )
    expect_close(
        one, 3 - torch.log(torch.tensor(4.0)), "KL(N(0, 4I) ‖ N(0, I)) in 2-D is ½(8 − 2 − log 16) = 1.614."
    )
    _compare_in_four_dimensions(fn)


def _compare_in_four_dimensions(fn):
    """Correlated Gaussians against torch.distributions."""
    a, b = _random(4, 6, seed=7), _random(4, 6, seed=8)
    first = (_random(4, seed=9), a @ a.T / 4)
    second = (_random(4, seed=10), b @ b.T / 4)
    truth = kl_divergence(MultivariateNormal(*first), MultivariateNormal(*second))
    expect_close(
        call(fn, *first, *second), truth, "correlated Gaussians in 4-D: it differs from torch.distributions."
    )
