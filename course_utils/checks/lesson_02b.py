"""Checks of lesson 02b: the latent given seen pixels, painting from it, a prediction in decibels."""

import torch

from course_utils.checks.machinery import call, exercise, expect, expect_close, expect_shape


def _random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _pair(out, hint):
    """Two results, or the hint that says which two."""
    expect(isinstance(out, (tuple, list)) and len(out) == 2, hint)
    return out


@exercise(
    "02b.conditional",
    verified=(
        "nothing seen gives N(0, I), the mean image z = 0; agrees with the conditional of the joint Gaussian"
    ),
)
def latent_given_seen(fn):
    W, mean, noise = _random(6, 2, seed=4), _random(6, seed=5), torch.tensor(0.3, dtype=torch.float64)
    x = _random(5, 6, seed=6)
    z, cov = _pair(
        call(fn, x, mean, W, noise), "return two things: the means of z (N, q) and their covariance (q, q)."
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
    "02b.paint",
    verified="no noise gives the mean image; the draws have mean μ + W m and covariance W C Wᵀ; each image has its own",
)
def paint(fn):
    W, mean = _random(6, 2, seed=4), _random(6, seed=5)
    m = _random(3, 2, seed=7)
    C = torch.tensor([[2.0, 0.9], [0.9, 0.6]], dtype=torch.float64)
    still = call(fn, torch.zeros(3, 2, dtype=torch.float64), m, C, mean, W)
    expect_shape(still, (3, 6), "one image a row: (N, d).")
    expect(
        not torch.allclose(torch.as_tensor(still), m @ W.T),
        "without noise the image is μ + W m: the mean image is missing.",
    )
    expect_close(still, mean + m @ W.T, "with ε = 0 the image is μ + W m, the painted mean of z.")
    eps = _random(40_000, 2, seed=8)
    many = m[:1].expand(40_000, 2)
    made = call(fn, eps, many, C, mean, W)
    found = (torch.as_tensor(made) - mean - m[0] @ W.T).T.cov()
    L = torch.linalg.cholesky(C)
    for wrong, hint in (
        (
            W @ L.T @ L @ W.T,
            "z has covariance LᵀL instead of C = LLᵀ. The noise is a row here: L ε is `eps @ L.T`.",
        ),
        (W @ C @ C @ W.T, "you multiply ε by C itself; the factor is its Cholesky factor L, with LLᵀ = C."),
        (W @ W.T, "the draws ignore C: z | x_s has covariance C, not I."),
    ):
        expect(not torch.allclose(found, wrong, rtol=0.05, atol=0.05), hint)
    expect_close(found, W @ C @ W.T, "the painted draws must have covariance W C Wᵀ.", rtol=0.05, atol=0.05)


@exercise("02b.decibels", verified="two legal predictions; the table below decides")
def my_decibels(fn):
    own, test = _pair(call(fn), "return two numbers: for the model's own images, and for test digits.")
    numbers = [isinstance(value, (int, float)) and not isinstance(value, bool) for value in (own, test)]
    expect(all(numbers), "predict numbers, in decibels.")
    expect(
        all(-30 <= value <= 30 for value in (own, test)),
        "a difference of more than 30 dB is a factor of 1,000 in squared error: decibels, not percent.",
    )
