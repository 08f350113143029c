"""Checks of lesson 02: ancestral sampling, responsibilities, the M-step, a likelihood broken on purpose, a bet,
KL between Gaussians."""

import torch
from torch.distributions import MultivariateNormal

from course_utils.checks.gaussians import broken, compare_kl, legal, log_px_of
from course_utils.checks.log_space import resp_far_away, resp_values
from course_utils.checks.machinery import call, exercise, expect, expect_close, expect_like, expect_shape
from course_utils.checks.mistakes import expect_double, expect_normal, expect_value, is_whole, normal, pair_of


def _generator(seed=0):
    return torch.Generator().manual_seed(seed)


_TOY = (  # three clusters far from each other, with unequal weights and covariances
    torch.tensor([0.5, 0.2, 0.3], dtype=torch.float64),
    torch.tensor([[-800.0, 0.0], [800.0, 50.0], [100.0, 900.0]], dtype=torch.float64),
    torch.tensor(
        [[[9.0, 3], [3, 2]], [[1.0, -0.8], [-0.8, 4]], [[0.5, 0.3], [0.3, 0.6]]], dtype=torch.float64
    ),
)


@exercise(
    "02.sample",
    verified=(
        "the causes have the weights, in random order; each component's draws have its mean and covariance; the"
        " generator alone decides"
    ),
)
def sample_mixture(fn):
    weights, means, covs = _TOY
    x, k = pair_of(
        call(fn, weights, means, covs, n=10_000, generator=_generator()),
        "return two things: the points x and their causes k.",
    )
    expect_shape(x, (10_000, 2), "n points in d dimensions.")
    expect_shape(k, (10_000,), "one cause a point: k (n,).")
    expect(
        k.dtype == torch.int64,
        f"k holds whole numbers (torch.int64), for use as an index; yours is {k.dtype}.",
    )
    hint = "all points lie around 0: are the means missing? A point is μ_k + L_k ε."
    expect(x.mean(0).abs().max() > 50, hint)
    far = torch.cdist(x.double(), means)
    expect(
        (far.min(1).values < 300).all(),
        "some points lie between the far clusters: choose *one* component for each point; do not"
        " average the components.",
    )
    home = far.argmin(1)
    expect(
        torch.equal(home, k),
        "k does not tell which component made the point: use the same k for the mean, and return it.",
    )
    _causes_drawn(k, weights)
    _draws_of_each(x.double(), home, means, covs)
    _generator_decides(fn)
    _other_mixtures(fn)


def _causes_drawn(k, weights):
    """How often, and in which order, the causes come."""
    counts = torch.bincount(k, minlength=3)
    expect_value(
        counts / len(k),
        weights,
        "the components have the weights 0.5, 0.2 and 0.3: choose k with the weights.",
        (
            (
                torch.ones(3) / 3,
                "every component comes equally often: choose k with the weights, not uniformly.",
            ),
            (weights.softmax(0), "the weights are probabilities already: no softmax."),
            (weights.sqrt() / weights.sqrt().sum(), "the weights are probabilities already: no root."),
            (
                weights.square() / weights.square().sum(),
                "the weights are used twice: only the choice of k has them.",
            ),
        ),
        atol=0.027,
        rtol=0,
    )
    expect_close(
        torch.bincount(k[:5_000], minlength=3) / 5_000,
        weights,
        "the draws are sorted by component: choose k for each point anew, in random order.",
        atol=0.037,
        rtol=0,
    )
    expect(
        not torch.equal(counts, (weights * len(k)).round().long()),
        "every component gets exactly its share of the points: how many it gets is random, too. Roll"
        " the die for each point.",
    )


def _draws_of_each(x, home, means, covs):
    """Mean, covariance and shape of each component's draws, seen through L⁻¹: a right draw is ε again."""
    ones = torch.ones(2, 2)
    for k in range(3):
        L = torch.linalg.cholesky(covs[k])
        eps = torch.linalg.solve(L, (x[home == k] - means[k]).T).T
        expect(
            eps.std(0).max() > 1e-6, "the draws of a component are one point: ε is drawn once, or not at all."
        )
        random = (
            (0.5 * torch.ones(2), "ε has the mean 0 and variance 1: torch.randn, not torch.rand."),
            (0.798 * torch.ones(2), "ε is positive and negative: torch.randn as it comes, no abs."),
        )
        hint = "the draws of a component have its mean μ_k."
        errors = 5 * float(eps.std(0).max()) / len(eps) ** 0.5  # five standard errors of a mean
        expect_value(eps.mean(0), torch.zeros(2), hint, random, atol=errors, rtol=0)
        causes = (
            (L.T @ L, "the covariance of your draws is LᵀL instead of LLᵀ: each point is L ε, not ε L."),
            (covs[k] @ covs[k], "you multiply ε by Σ; the factor is its Cholesky factor L, with LLᵀ = Σ."),
            (torch.eye(2), "the draws of a component have covariance I: is the factor L_k missing?"),
            (L @ ones.double() @ L.T, "the coordinates of a point share one random number: ε is (n, d)."),
            (
                covs[k].diag().diag(),
                "the coordinates do not correlate: take the Cholesky factor of the whole Σ.",
            ),
            (torch.linalg.inv(covs[k]), "the draws have the covariance Σ⁻¹: the factor is that of Σ itself."),
            (covs[0], "all components have the covariance of the first: index the factors with k, too."),
        )
        seen = [(torch.linalg.solve(L, torch.linalg.solve(L, C.double()).T), why) for C, why in causes]
        hint = "the draws of component k must have covariance Σ_k."
        expect_value(eps.T.cov(), torch.eye(2), hint, seen, atol=0.17, rtol=0)
        expect_normal(eps, 1.0, "mean and covariance are right, but the draws are not Gaussian: torch.randn.")


def _generator_decides(fn):
    """The same generator, the same draws; another state, other draws."""
    x, _ = call(fn, *_TOY, 50, _generator())
    again, _ = call(fn, *_TOY, 50, _generator())
    expect(
        torch.equal(again, x),
        "the same generator must give the same draws: pass `generator=generator` to every random function.",
    )
    one = _generator()
    first, _ = call(fn, *_TOY, 8, one)
    second, _ = call(fn, *_TOY, 8, one)
    other, _ = call(fn, *_TOY, 8, _generator(1))
    expect(
        not torch.equal(first, other),
        "two different generators give the same draws: use the one you are given, not one of your own.",
    )
    expect(
        not torch.equal(first, second),
        "drawing again from the same generator repeats the draws: use it as it comes; do not seed or copy it.",
    )


def _other_mixtures(fn):
    """Another number of components, another dimension, another dtype."""
    four = (torch.ones(4).double() / 4, normal(4, 3), torch.eye(3).double().repeat(4, 1, 1))
    x, _ = call(fn, *four, 5, _generator())
    expect_shape(x, (5, 3), "K = 4 components in d = 3 dimensions: is a size or an axis fixed to 2?")
    expect_like(x, four[1])
    x, k = call(fn, torch.ones(1).double(), four[1][:1], four[2][:1], 1, _generator())
    expect_shape(x, (1, 3), "one draw from one component is x (1, d): no squeeze().")
    expect_shape(k, (1,), "one draw from one component has k (1,): no squeeze().")


@exercise(
    "02.responsibilities",
    verified=(
        "true values for seven points and three components; fine for points at log-densities of -5000"
        " beside others at 3000, and for components 800 nats behind"
    ),
)
def responsibilities(fn):
    log_w = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64).log()
    log_n = normal(7, 3)
    log_r, log_px = pair_of(call(fn, log_w, log_n), "return two things: log r (N, K) and log p(x) (N,).")
    expect_shape(log_r, (7, 3), "first log r: one log responsibility for each point and component.")
    expect_shape(
        log_px, (7,), "log p(x): one number a point, the sum over components (dim=1) inside the logarithm."
    )
    resp_values(log_w, log_n, log_r, log_px)
    for out, shape in zip(call(fn, log_w, log_n[:1]), ((1, 3), (1,))):
        expect_shape(out, shape, "one point is one row, too: no squeeze().")
    alone, _ = call(fn, torch.zeros(1).double(), log_n[:, :1])
    expect_shape(alone, (7, 1), "one component is one column, too: no squeeze().")
    expect_close(alone, torch.zeros(7, 1), "a single component is the cause of every point: log r = 0.")
    resp_far_away(fn, log_w, log_n, log_r, log_px)


@exercise(
    "02.m_step",
    verified=(
        "true weights and means, for hard labels and for fractions; components need not be equal, and"
        " one may own next to nothing"
    ),
)
def weights_and_means(fn):
    x = normal(6, 2, seed=1)
    hard = torch.eye(2, dtype=torch.float64)[torch.tensor([0, 0, 0, 0, 1, 1])]
    soft = hard.softmax(1)
    out = call(fn, x, hard)
    weights, means = pair_of(out, "return two things: the weights (K,) and the means (K, d).")
    expect_shape(
        weights, (2,), "first one weight per component: sum the responsibilities over the points (dim=0)."
    )
    expect_shape(means, (2, 2), "one mean per component: responsibilities (K, N) times points (N, d).")
    expect_value(
        weights,
        [4 / 6, 2 / 6],
        "with four points in the first of two groups the weights are 4/6 and 2/6.",
        (
            ([4, 2], "your weights sum to N: divide the number of points owned, R_k, by N."),
            ([2, 1], "the number of points owned, R_k, is divided by N, the number of points, not by K."),
            (soft.mean(0), "the responsibilities are probabilities already: no softmax."),
            (hard.exp().mean(0), "the responsibilities are probabilities already: no exp()."),
            ([4 / 5, 2 / 5], "divide by N, not by N − 1: the weights sum to 1."),
            ([0.5, 0.5], "the weights are the shares of the points that the components own, not 1/K."),
        ),
    )
    sums = hard.T @ x
    groups = torch.stack([x[:4].mean(0), x[4:].mean(0)])
    expect_value(
        means,
        groups,
        "with hard assignments the means are the means of the groups.",
        (
            (
                sums / 6,
                "you divide the means by N; a component's mean is over the points it owns: divide by R_k.",
            ),
            (groups.T, "the means are rows, (K, d); yours are transposed: (K, N) times (N, d)."),
            (groups / 6, "the means are divided twice: by R_k alone, not by N as well."),
            (
                soft.T @ x / soft.sum(0)[:, None],
                "the responsibilities are probabilities already: no softmax.",
            ),
            (sums, "these are the sums of the points that a component owns: divide by R_k."),
            (
                sums / hard.sum(0),
                "R_k divides along the wrong axis: each *row* of (K, d) is divided by its R_k; make R a"
                " column with [:, None].",
            ),
            (
                x.mean(0).expand(2, 2),
                "both means are that of all points: weight each point by its responsibility.",
            ),
        ),
    )
    _m_step_with_fractions(fn)


def _m_step_with_fractions(fn):
    """Three components in four dimensions, and no responsibility is 0 or 1."""
    soft = normal(50, 3, seed=2).softmax(1)
    points = normal(50, 4, seed=3) + 1
    weights, means = call(fn, points, soft)
    expect_shape(weights, (3,), "K = 3 components: is a size or an axis fixed to 2?")
    expect_shape(means, (3, 4), "K = 3 components in d = 4 dimensions: is a size or an axis fixed to 2?")
    argmax = torch.eye(3).double()[soft.argmax(1)]
    squared = soft.square()
    sharper = soft.softmax(1)
    causes = (
        (
            argmax,
            "fractions of points count: add up the responsibilities as they are. No hard choices (argmax).",
        ),
        (
            squared / squared.sum(1, keepdim=True),
            "the responsibilities are squared; add them up as they are.",
        ),
        (sharper, "the responsibilities are probabilities already: no softmax, no exp."),
    )
    hint = "the weights are the shares of all points that the components own: R_k / N with R_k = Σ_n r_nk."
    expect_value(weights, soft.mean(0), hint, [(wrong.mean(0), why) for wrong, why in causes])
    true = soft.T @ points / soft.sum(0)[:, None]
    expect_value(
        means,
        true,
        "at the maximum Σ_n r_nk (x_n − μ_k) = 0 for every component; it is not: μ_k = Σ_n r_nk x_n / R_k.",
        [(wrong.T @ points / wrong.sum(0)[:, None], why) for wrong, why in causes],
    )
    _m_step_with_little(fn)
    expect_double(means, true)
    expect_double(weights, soft.mean(0))


def _m_step_with_little(fn):
    """A component that owns a millionth of a point has a mean all the same."""
    soft = normal(8, 2, seed=4).softmax(1) * torch.tensor([1.0, 1e-6]).double()
    soft[:, 0] = 1 - soft[:, 1]
    points = normal(8, 3, seed=5) + 2
    single, centre = call(fn, points[:, :1], soft[:, :1])
    expect_shape(single, (1,), "one component has one weight, in a tensor (1,): no squeeze().")
    expect_shape(centre, (1, 1), "one component in one dimension has a mean (1, 1): no squeeze().")
    _, means = call(fn, points, soft)
    owned = soft.sum(0)[:, None]
    hint = "a component that owns a millionth of a point has a mean, too: add no small number to R_k."
    causes = (
        (soft.T @ points / owned.clamp(min=1), "R_k is clamped; a component may own less than one point."),
    )
    expect_value(means, soft.T @ points / owned, hint, causes, rtol=1e-6)


@exercise(
    "02.spike",
    verified=(
        "a legal mixture; on three sets of points it beats one Gaussian by more than 100 nats, and"
        " fresh points prefer the Gaussian: maximum likelihood is broken"
    ),
)
def spike(fn):
    stretch = torch.tensor([[1.0, 0.4], [0.0, 0.7]], dtype=torch.float64)
    for seed, size in enumerate((40, 25, 60)):
        x = normal(size, 2, seed=seed) @ stretch + seed
        fresh = normal(4_000, 2, seed=seed + 10) @ stretch + seed
        out = call(fn, x)
        expect(
            isinstance(out, (tuple, list)) and len(out) == 3,
            "return three things: weights, means, covariances.",
        )
        legal(*out, x)
        one = MultivariateNormal(x.mean(0), x.T.cov())
        each = log_px_of(x, *out)
        gain = float(each.sum() - one.log_prob(x).sum())
        broken(each, gain, one.log_prob(x), out, x)
        expect(
            log_px_of(fresh, *out).mean() < one.log_prob(fresh).mean(),
            "fresh points like your mixture better than the single Gaussian: that is a good model, not"
            " a broken one.",
        )


@exercise("02.bet", verified="a legal bet; the race below decides")
def my_bet(fn):
    bet = call(fn)
    expect(is_whole(bet), "bet on a whole number of starts: return 3, say.")
    expect(0 <= bet <= 6, "there are six starts: between 0 and 6 of them can find all eight bumps.")


@exercise(
    "02.kl_gaussians",
    verified=(
        "zero for equal Gaussians; a case by hand; agrees with torch.distributions for correlated"
        " Gaussians in 3-D and 4-D, in the right order"
    ),
)
def kl_gaussians(fn):
    zero, eye = torch.zeros(2, dtype=torch.float64), torch.eye(2, dtype=torch.float64)
    shift = torch.tensor([3.0, 4.0], dtype=torch.float64)
    out = torch.as_tensor(call(fn, zero, eye, shift, eye))
    expect_shape(out, (), "one number for a pair of Gaussians.")
    for d in (3, 4):
        compare_kl(fn, d)
    expect_close(
        call(fn, shift, 2 * eye, shift, 2 * eye),
        0.0,
        "the KL of a Gaussian to itself is 0: is the − d missing?",
    )
    expect_close(out, 12.5, "unit Gaussians at distance 5 have KL ½·5² = 12.5: check the term of the means.")
