"""Checks of Appendix A: one exercise a card."""

import functools
import itertools

import torch
import torch.nn.functional as F
from torch.distributions import MultivariateNormal

from course_utils.checks.machinery import call, exercise, expect, expect_close, expect_shape


def _normal(*shape: int, seed: int = 0) -> torch.Tensor:
    """Standard normal float64 numbers of their own generator."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _covariance(d: int, seed: int) -> torch.Tensor:
    """A well-conditioned random covariance (d, d)."""
    root = _normal(d, d, seed=seed)
    return root @ root.T + 0.5 * torch.eye(d, dtype=torch.float64)


def _not(out: torch.Tensor, usual_mistake: torch.Tensor, hint: str) -> None:
    """Give the hint if `out` is what a usual mistake gives."""
    expect(not torch.allclose(out.detach(), usual_mistake.to(out.dtype), atol=1e-5), hint)


@exercise(
    "A.pairwise_distances",
    verified="every entry agrees with a loop; as many rows in a as in b; nothing negative in float32",
)
def pairwise_distances(fn):
    a, b = _normal(4, 5), _normal(3, 5, seed=1)
    out = call(fn, a, b)
    transposed = isinstance(out, torch.Tensor) and out.shape == (3, 4)
    expect(
        not transposed, "this is the transpose: row i belongs to a, so a needs the new last axis, a[:, None]."
    )
    expect_shape(
        out, (4, 3), "One number for each pair: sum over the d coordinates only (the last dimension)."
    )
    loop = torch.stack([torch.stack([(p - q).square().sum() for q in b]) for p in a])
    _not(out, loop.sqrt(), "this is the distance itself; return its square, without the root.")
    _not(out, loop / 5, "every entry is too small by the factor d: sum over the coordinates, do not average.")
    _not(out, (loop + a @ b.T).clamp(min=0), "the product a·b enters (A1) with the factor −2, not −1.")
    expect_close(
        out,
        loop,
        "some entries differ from ‖a_i − b_j‖² computed one by one: make ‖a_i‖² a column (n, 1) and ‖b_j‖² "
        "a row (1, m), so that each is stretched over the other axis.",
    )
    c = _normal(4, 5, seed=2)
    expect_close(
        call(fn, a, c),
        (a[:, None] - c[None]).square().sum(-1),
        "with as many rows in a as in b the result is wrong: "
        "two vectors of norms were added entry by entry. Make one a column: [:, None].",
    )
    far = (_normal(50, 3, seed=3) + 1000).float()
    expect((call(fn, far, far) >= 0).all(), "rounding makes some squared distances negative: clamp(min=0).")


@exercise(
    "A.sgd_step",
    verified="the closed form in a bowl, a matrix of parameters, repeated calls, no graph left behind",
)
def sgd_step(fn):
    steepness, theta = torch.tensor([1.0, 10.0]), torch.tensor([2.0, -3.0])

    def bowl(t):
        return 0.5 * (steepness * t**2).sum()

    out = call(fn, theta, bowl, 0.05)
    expect_shape(out, (2,), "The new parameters have the shape of the old ones.")
    gradient = steepness * theta
    goal = theta - 0.05 * gradient
    _not(out, theta, "theta did not move: return theta − lr · gradient as a new tensor.")
    _not(
        out, theta + 0.05 * gradient, "the loss went up: a step goes *against* the gradient, so subtract it."
    )
    _not(out, theta - gradient, "the step has the length of the whole gradient: multiply it by lr.")
    _not(out, -0.05 * gradient, "this is the step alone; return theta plus the step.")
    expect_close(out, goal, "in ½Σ h θ² one step must give (1 − lr·h)·θ in each coordinate.")
    expect(
        not out.requires_grad,
        "the result still belongs to a graph, which would grow step by step: end with .detach().",
    )
    leaf = theta.clone().requires_grad_()
    call(fn, leaf, bowl, 0.05)
    expect_close(
        call(fn, leaf, bowl, 0.05),
        goal,
        "the second call with the same theta gives another answer: .grad adds up "
        "over calls. Work on theta.detach().requires_grad_(), or use torch.autograd.grad.",
    )
    matrix = _normal(3, 2)
    out = call(fn, matrix, lambda t: t.exp().sum(), 0.1)
    expect_close(
        out, matrix - 0.1 * matrix.exp(), "a matrix of parameters must work as well: the gradient is one."
    )


@exercise(
    "A.log_sum_exp",
    verified="both dimensions, logits of ±1000, slices of very different size, −inf and +inf",
)
def log_sum_exp(fn):
    a, inf = _normal(4, 3), torch.inf
    out = call(fn, a, 1)
    expect_shape(
        out, (4,), "With dim=1 the columns are summed and that dimension disappears (no keepdim at the end)."
    )
    total = a.exp().sum(1)
    _not(out, total, "this is the sum of the exponentials; the logarithm of it is asked for.")
    _not(
        out,
        total.log() - a.amax(1),
        "the maximum that was pulled out must be added again: m + log Σ exp(a − m).",
    )
    expect_close(out, total.log(), "for small logits it must equal log(sum(exp(a))) over dimension dim.")
    expect_close(
        call(fn, a, 0), a.exp().sum(0).log(), "dim=0 gives a wrong answer: use the argument dim everywhere."
    )
    large = torch.tensor([[1000.0, 1000.0], [-1000.0, -1001.0]])
    goal = large.amax(1) + torch.tensor([2.0, 1 + torch.e**-1]).log()
    expect(
        call(fn, large[:1], 1).isfinite().all(),
        "logits of 1000 overflow: subtract the maximum before exp, (A3).",
    )
    expect_close(
        call(fn, large, 1),
        goal,
        "with slices of 1000 and −1000 in one tensor a slice fails: subtract the maximum "
        "of each slice, amax(dim, keepdim=True), not that of the whole tensor.",
        atol=1e-3,
        rtol=0,
    )
    out = call(fn, torch.tensor([[-inf, -inf], [0.0, 0.0]]), 1)
    expect(
        not out.isnan().any(),
        "a slice of only −inf gives nan, as −inf − (−inf) is nan: where the maximum is infinite subtract 0"
        " instead.",
    )
    expect(
        out[0] == -inf, "a slice of only −inf is a sum of zeros: its logarithm is −inf, not a finite number."
    )
    expect(call(fn, torch.tensor([[inf, 0.0]]), 1)[0] == inf, "a slice that holds +inf must give +inf.")
    expect_close(
        call(fn, torch.tensor([[-inf, 2.0]]), 1),
        [2.0],
        "a −inf beside a logit of 2 adds zero: the result is 2.",
    )


def _split_is_exact(fn, mean, cov, seen, x):
    """log p(x) = log p(seen) + log p(unseen | seen): the rule of which (A5) is the Gaussian case."""
    unseen_mean, unseen_cov = call(fn, mean, cov, seen, x[seen])
    unseen = int((~seen).sum())
    expect_shape(unseen_mean, (unseen,), "One entry for each coordinate that is not seen.")
    expect_shape(unseen_cov, (unseen, unseen), "One row and column for each coordinate that is not seen.")
    positive = (
        torch.allclose(unseen_cov, unseen_cov.T, atol=1e-8) and (torch.linalg.eigvalsh(unseen_cov) > 0).all()
    )
    expect(
        positive,
        "in 5-D the result is no covariance (symmetric, positive eigenvalues): check Σ_us Σ_ss⁻¹ Σ_su.",
    )
    marginal = MultivariateNormal(mean[seen], cov[seen][:, seen]).log_prob(x[seen])
    rest = MultivariateNormal(unseen_mean, unseen_cov).log_prob(x[~seen])
    expect_close(
        marginal + rest,
        MultivariateNormal(mean, cov).log_prob(x),
        "in 5-D log p(seen) + log p(unseen | seen) differs from log p(x): the gain needs the inverse of the"
        " whole block Σ_ss (torch.linalg.solve), not of its diagonal.",
        atol=1e-6,
    )


@exercise(
    "A.conditional_gaussian",
    verified="the 2-D formula; log p(x) = log p(seen) + log p(unseen | seen) in five dimensions",
)
def conditional_gaussian(fn):
    mean, cov = (
        torch.tensor([1.0, -2.0]),
        torch.tensor([[4.0, 1.6], [1.6, 1.0]]),
    )  # standard deviations 2, 1; ρ = 0.8
    out = call(fn, mean, cov, torch.tensor([True, False]), torch.tensor([3.0]))
    expect(
        isinstance(out, tuple | list) and len(out) == 2, "return two tensors: the mean and the covariance."
    )
    expect_shape(out[0], (1,), "The mean of the one unseen coordinate.")
    expect_shape(out[1], (1, 1), "The covariance of the one unseen coordinate.")
    found, variance = float(out[0]), float(out[1])
    expect(
        abs(found + 0.8) > 1e-4, "the mean of the seen part was not subtracted: the gain multiplies v − μ_s."
    )
    expect(abs(found - 0.8) > 1e-4, "the unconditional mean μ_u is missing: add it to G (v − μ_s).")
    expect_close(out[0], [-1.2], "in 2-D the mean should be μ₂ + ρ σ₂/σ₁ (v − μ₁): here −2 + 0.4 · 2 = −1.2.")
    expect(
        variance < 1 - 1e-6,
        "the variance did not shrink: subtract G Σ_su from Σ_uu. Seeing removes uncertainty.",
    )
    expect_close(out[1], [[0.36]], "in 2-D the variance should be σ₂²(1 − ρ²): here 0.36.")
    mean, cov, x = _normal(5, seed=1), _covariance(5, 2), _normal(5, seed=3)
    for seen in ([True, False, True, False, True], [False, True, False, False, False]):
        _split_is_exact(fn, mean, cov, torch.tensor(seen), x)


@exercise(
    "A.kl",
    verified=(
        "0 for equal distributions, a coin by hand, a batch, additive for independent parts, both limits at 0"
    ),
)
def kl(fn):
    p = torch.tensor([[0.5, 0.25, 0.25], [0.7, 0.2, 0.1]], dtype=torch.float64)
    q = torch.tensor([[0.25, 0.25, 0.5], [0.1, 0.6, 0.3]], dtype=torch.float64)
    out = call(fn, p, q)
    expect_shape(out, (2,), "One number for each row: sum over the last dimension.")
    forward, reverse = ((a * (a / b).log()).sum(-1) for a, b in ((p, q), (q, p)))
    _not(out, -forward, "the sign is turned: KL is never negative; it is log(p/q), not log(q/p).")
    _not(out, reverse, "this is KL(q ‖ p): the average is taken under p, the first argument.")
    _not(out, forward / torch.tensor(2.0).log(), "this is in bits: use the natural logarithm.")
    _not(out, forward / 3, "this is a third of it: sum over the outcomes, do not average.")
    _not(out, -(p * q.log()).sum(-1), "this is the cross-entropy H(p, q): subtract the entropy H(p).")
    expect_close(out, forward, "for p without zeros it should be Σ p log(p/q).")
    expect_close(call(fn, p, p), torch.zeros(2), "KL(p ‖ p) must be 0.", atol=1e-7)
    pair, other = (
        (a[0][:, None] * a[1]).flatten() for a in (p, q)
    )  # both rows as one distribution of 9 outcomes
    expect_close(call(fn, pair, other), forward.sum(), "for independent parts the divergences must add up.")
    certain, fair = torch.tensor([1.0, 0.0]), torch.tensor([0.5, 0.5])
    found = call(fn, certain, fair)
    expect(
        found.isfinite(), "p = 0 gives nan or infinity: 0 · log 0 counts as 0. torch.xlogy(p, p) knows that."
    )
    expect_close(
        found, torch.tensor(2.0).log(), "a certain outcome against a fair coin costs log 2 = 0.693 nats."
    )
    impossible = call(fn, fair, certain)
    expect(
        impossible == torch.inf,
        "where q = 0 < p it is infinite: do not clamp q, and add no small number to it.",
    )
    expect_close(call(fn, certain, certain), 0.0, "where p and q are both 0 the term is 0, not nan.")


@functools.cache  # the truth never changes
def _actual_size(n: int, kernel: int, stride: int, padding: int, transposed: bool) -> int:
    """What PyTorch makes of n cells."""
    convolve, weight = F.conv_transpose2d if transposed else F.conv2d, torch.zeros(1, 1, kernel, kernel)
    return convolve(torch.zeros(1, 1, n, n), weight, stride=stride, padding=padding).shape[-1]


@exercise("A.output_size", verified="agrees with what F.conv2d and F.conv_transpose2d return in 210 cases")
def output_size(fn):
    first = call(fn, 28, 3, 1, 1)
    whole = isinstance(first, int) and not isinstance(first, bool)
    expect(whole, "return a whole number (int): divide with //, which rounds down.")
    plain = call(fn, 28, 5)
    expect(
        plain != 23, "a 5 × 5 kernel has 28 − 5 + 1 places on 28 cells: the first place counts too, add 1."
    )
    expect(plain == 24, f"a 5 × 5 kernel without padding has 28 − 5 + 1 = 24 places to stand, not {plain}.")
    expect(
        first == 28,
        f"a 3 × 3 kernel with padding 1 keeps 28 cells, not {first}: zeros come on both sides, 2p.",
    )
    expect(call(fn, 28, 4, 2, 1) == 14, "kernel 4, stride 2, padding 1 must halve 28 to 14.")
    rounded = call(fn, 28, 3, 2, 1)
    expect(
        rounded == 14,
        "places that do not fit are left out: round (28 + 2 − 3)/2 = 13.5 down to 13, then add 1.",
    )
    doubled = call(fn, 14, 4, 2, 1, True)
    expect(doubled != 7, "transposed=True must use (A9): it makes the output larger, not smaller.")
    expect(doubled == 28, "transposed: kernel 4, stride 2, padding 1 doubles 14 to 28, (n − 1)s + k − 2p.")
    for transposed, n, k, s, p in itertools.product(
        (False, True), (7, 8, 14, 15, 28), (2, 3, 4, 5), (1, 2, 3), (0, 1)
    ):
        if 2 * p < k:
            goal, found = _actual_size(n, k, s, p, transposed), call(fn, n, k, s, p, transposed)
            kind = "transposed convolution" if transposed else "convolution"
            expect(
                found == goal,
                f"a {kind} with n={n}, kernel={k}, stride={s}, padding={p} gives {goal}, not {found}.",
            )


@exercise(
    "A.frechet",
    verified=(
        "0 for equal Gaussians, one dimension by hand, symmetric, unchanged by a rotation, singular"
        " covariances"
    ),
)
def frechet(fn):
    zero, same = torch.zeros(3, dtype=torch.float64), _covariance(3, 1)
    found = call(fn, zero, same, zero, same)
    expect_shape(found, (), "The distance is one number.")
    expect(
        found < 0.9 * same.trace(),
        "equal Gaussians come out far apart: the cross term must be subtracted twice.",
    )
    one, origin = torch.ones(1, 1), torch.zeros(1)
    apart = call(fn, origin, one, torch.tensor([3.0]), one)
    expect_close(
        apart, 9.0, "unit Gaussians around 0 and 3 are 9 apart: square the shift, take no root.", atol=1e-4
    )
    wide = call(fn, origin, one, origin, 4 * one)
    expect_close(
        wide, 1.0, "deviations 1 and 2 are (2 − 1)² = 1 apart: take the roots of the eigenvalues.", atol=1e-4
    )
    (mean_a, a), (mean_b, b) = ((_normal(4, seed=s + 2), _covariance(4, s)) for s in (2, 3))
    out, turn = call(fn, mean_a, a, mean_b, b), torch.linalg.qr(_normal(4, 4, seed=6)).Q
    turned = call(fn, turn @ mean_a, turn @ a @ turn.T, turn @ mean_b, turn @ b @ turn.T)
    expect_close(
        turned,
        out,
        "rotating both Gaussians changes the result: the root of a matrix is not the root of "
        "each entry; keep its eigenvectors and take the roots of its eigenvalues.",
        atol=1e-6,
    )
    root_a, root_b = (v * w.sqrt() @ v.T for w, v in map(torch.linalg.eigh, (a, b)))
    shift = (mean_a - mean_b).square().sum()
    _not(
        out,
        shift + (root_a - root_b).square().sum(),
        "this is the distance of the square roots: right only if the "
        "covariances commute. Take the eigenvalues of Σ₁^½ Σ₂ Σ₁^½.",
    )
    expect_close(
        call(fn, mean_b, b, mean_a, a), out, "exchanging the two Gaussians changes the distance.", atol=1e-6
    )
    cross = torch.linalg.eigvals(a @ b).real.clamp(min=0).sqrt().sum()
    goal = shift + a.trace() + b.trace() - 2 * cross
    expect_close(
        out,
        goal,
        "for covariances that do not commute the value is wrong: "
        "the λ are the eigenvalues of Σ₁^½ Σ₂ Σ₁^½ (the same as those of Σ₁Σ₂).",
        atol=1e-6,
    )
    flat, origin = torch.diag(torch.tensor([1.0, 0.0, 1e-9])), torch.zeros(3)
    expect_close(
        call(fn, origin, flat, origin, flat), 0.0, "an eigenvalue of 0 breaks it: clamp it first.", atol=1e-3
    )


@exercise("A.fall", verified="a factor of at least 1; whether it is right, the next cell shows")
def expected_fall(fn):
    bet = call(fn)
    number = isinstance(bet, int | float) and not isinstance(bet, bool)
    expect(number, f"return one number, the factor you expect; yours is a {type(bet).__name__}.")
    expect(
        bet >= 1, "a fall by a factor is a number of at least 1: distance at n = 100 over that at n = 1,000."
    )


@exercise(
    "A.fool",
    verified="2d points with exactly the mean and the covariance of the data, in three and in six dimensions",
)
def fool_the_ruler(fn):
    for d in (3, 6):
        x = _normal(40, d, seed=d) @ _normal(d, d, seed=d + 1) + 2
        made = call(fn, x)
        expect_shape(made, (2 * d, d), "a pair of points for each of the d columns of L.")
        made = made.double()
        expect_close(
            made.mean(0),
            x.mean(0),
            "the mean is off, so the ruler sees it: the points come in pairs, mean + step and mean − step.",
            atol=1e-6,
        )
        found, goal = made.T.cov(), x.T.cov()
        share = float(found.trace() / goal.trace())
        expect(
            abs(share - 2 / (2 * d - 1)) > 1e-6,
            "the covariance has the right shape but is too small: the 2d squares add up to 2c² Σ, which is divided"
            " by 2d − 1, so c² = (2d − 1)/2.",
        )
        expect(
            abs(share - 2 * d / (2 * d - 1)) > 1e-6,
            "almost: c = √d is right if the covariance is divided by 2d; x.T.cov() divides by 2d − 1.",
        )
        expect_close(
            found,
            goal,
            "the covariance differs, so the ruler is not fooled: the steps must be multiples of the columns of a"
            " factor L with L Lᵀ = Σ.",
            atol=1e-6,
        )
