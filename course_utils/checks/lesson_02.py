"""Checks of lesson 02: responsibilities, the M-step, the latent given seen pixels, KL between Gaussians."""

import torch
from torch.distributions import MultivariateNormal, kl_divergence

from course_utils.checks.machinery import call, exercise, expect, expect_close, expect_shape


def _random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _pair(out, hint):
    """Two results, or the hint that says which two."""
    expect(isinstance(out, (tuple, list)) and len(out) == 2, hint)
    return out


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
        flat_px, torch.zeros(4), "log p(x) of equal densities 1 is log Σ w = 0: sum w_k N_k, not N_k."
    )
    expect_close(
        log_r + log_px[:, None],
        log_w + log_n,
        "log r + log p(x) must be the log joint, log w + log N (equation 3).",
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
        "your weights sum to N: divide the number of points owned, N_k, by N.",
    )
    expect_close(
        weights, [4 / 6, 2 / 6], "with four points in the first of two groups the weights are 4/6 and 2/6."
    )
    groups = torch.stack([x[:4].mean(0), x[4:].mean(0)])
    expect(
        not torch.allclose(means, hard.T @ x / 6),
        "you divide the means by N; a component's mean is over the points it owns: divide by N_k.",
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


@exercise(
    "02.conditional",
    verified=(
        "nothing seen gives N(0, I), the mean image z = 0; agrees with the conditional of the joint Gaussian"
    ),
)
def latent_given_seen(fn):
    W, mean, noise = _random(6, 2, seed=4), _random(6, seed=5), torch.tensor(0.3, dtype=torch.float64)
    x = _random(5, 6, seed=6)
    z, cov = _pair(
        call(fn, x, mean, W, noise), "return two things: the means of z (N, r) and their covariance (r, r)."
    )
    expect_shape(z, (5, 2), "one mean of z for each row of x.")
    expect_shape(cov, (2, 2), "one covariance for all rows: it does not depend on what was seen.")
    none = call(fn, x[:, :0], mean[:0], W[:0], noise)
    expect_close(
        none[1],
        torch.eye(2),
        "with no pixel seen the posterior is the prior N(0, I): is the identity in I + WᵀW/σ² missing?",
    )
    centre, _ = call(fn, mean.expand(1, 6), mean, W, noise)
    expect_close(
        centre, torch.zeros(1, 2), "an image equal to the mean gives z = 0: subtract the mean from x."
    )
    _compare_with_joint(fn, x, mean, W, noise, z, cov)


def _compare_with_joint(fn, x, mean, W, noise, z, cov):
    """The long way round: condition the joint Gaussian of z and x."""
    joint = W @ W.T + noise * torch.eye(6)  # Cov(x), and Cov(z, x) = Wᵀ
    true_z = torch.linalg.solve(joint, (x - mean).T).T @ W
    true_cov = torch.eye(2) - W.T @ torch.linalg.solve(joint, W)
    precision = torch.eye(2) + W.T @ W / noise
    expect(
        not torch.allclose(cov, precision),
        "you return the precision I + WᵀW/σ²; the covariance is its inverse.",
    )
    wrong_noise = torch.linalg.inv(torch.eye(2) + W.T @ W / noise**2)
    expect(
        not torch.allclose(cov, wrong_noise), "`noise` is the variance σ² already; do not square it again."
    )
    expect_close(
        cov, true_cov, "C = (I + WᵀW/σ²)⁻¹ should equal I − Wᵀ(WWᵀ + σ²I)⁻¹W, the conditional of the joint."
    )
    expect_close(
        z,
        true_z,
        "the mean C Wᵀ(x − μ)/σ² differs from the conditional of the joint Gaussian. Is the division by σ²"
        " there?",
    )
    rotated = call(fn, x, mean, W @ torch.tensor([[0.0, -1.0], [1.0, 0.0]], dtype=torch.float64), noise)[0]
    expect_close(
        rotated.square().sum(1), z.square().sum(1), "turning the factors W must turn z and change no length."
    )


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
