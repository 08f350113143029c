"""Checks of lesson 02b: the latent given seen pixels, painting from it, a prediction in decibels."""

import torch

from course_utils.checks.machinery import call, exercise, expect, expect_close, expect_like, expect_shape
from course_utils.checks.mistakes import expect_double, expect_value, is_number, normal, pair_of


@exercise(
    "02b.conditional",
    verified=(
        "nothing seen gives N(0, I), for 2 and for 3 latent numbers; mean and covariance agree with the"
        " conditional of the joint Gaussian"
    ),
)
def latent_given_seen(fn):
    W, mean, noise = normal(6, 3, seed=4), normal(6, seed=5), torch.tensor(0.3, dtype=torch.float64)
    x = normal(5, 6, seed=6)
    z, cov = pair_of(
        call(fn, x, mean, W, noise), "return two things: the means of z (N, q) and their covariance (q, q)."
    )
    expect_shape(z, (5, 3), "first the means: one mean of z for each row of x.")
    expect_shape(cov, (3, 3), "one covariance for all rows: it does not depend on what was seen.")
    _compare_with_joint(x, mean, W, noise, z, cov)
    for q in (2, 3):
        none, prior = call(fn, x[:, :0], mean[:0], W[:0, :q], noise)
        expect_close(
            prior,
            torch.eye(q),
            "with no pixel seen the posterior is the prior N(0, I): is the identity in I + WᵀW/σ² missing?",
        )
        expect_close(none, torch.zeros(5, q), "with no pixel seen the mean of z is 0 in every row.")
    nobody, _ = call(fn, x[:0], mean, W, noise)
    expect_shape(nobody, (0, 3), "a batch without images has no means: z (0, q).")
    one, _ = call(fn, x[:1], mean, W[:, :1], noise)
    expect_shape(one, (1, 1), "one image and q = 1 give z (1, 1): no squeeze().")
    single = [part.float() for part in (x, mean, W, noise)]
    for out in call(fn, *single):
        expect_like(out, single[0], "the images are float32: torch.eye(…, dtype=W.dtype).")


def _compare_with_joint(x, mean, W, noise, z, cov):
    """The long way round: condition the joint Gaussian of z and x."""
    joint = W @ W.T + noise * torch.eye(6, dtype=W.dtype)  # Cov(x), and Cov(z, x) = Wᵀ
    true_z = torch.linalg.solve(joint, (x - mean).T).T @ W
    true_cov = torch.eye(3) - W.T @ torch.linalg.solve(joint, W)
    eye = torch.eye(3, dtype=torch.float64)
    precision = eye + W.T @ W / noise
    expect_value(
        cov,
        true_cov,
        "C = (I + WᵀW/σ²)⁻¹ should equal I − Wᵀ(WWᵀ + σ²I)⁻¹W, the conditional of the joint.",
        (
            (precision, "you return the precision I + WᵀW/σ²; the covariance is its inverse."),
            (
                torch.linalg.inv(eye + W.T @ W / noise**2),
                "`noise` is the variance σ² already; do not square it again.",
            ),
            (
                torch.linalg.inv(eye + W.T @ W / noise.sqrt()),
                "`noise` is the variance σ²; take no root of it.",
            ),
            (torch.linalg.inv(eye + W.T @ W), "the division of WᵀW by σ² is missing."),
            (torch.linalg.inv(eye + W.T @ W * noise), "WᵀW is divided by σ², not multiplied."),
            (
                torch.linalg.inv(W.T @ W / noise),
                "with no pixel seen the posterior is the prior N(0, I): is the identity in I + WᵀW/σ² missing?",
            ),
            (true_cov / noise, "(σ²I + WᵀW)⁻¹ is C/σ²: multiply by σ², or write (I + WᵀW/σ²)⁻¹."),
            (torch.linalg.cholesky(true_cov), "this is the Cholesky factor; return C itself."),
            (torch.linalg.inv(eye - W.T @ W / noise), "precisions add: I + WᵀW/σ², no minus."),
            (true_cov + noise * eye, "z has no pixel noise: C alone is its covariance."),
            (1 / precision, "the inverse is that of the matrix (torch.linalg.inv), not one over each entry."),
        ),
    )
    right = (x - mean) @ W
    expect_value(
        z,
        true_z,
        "the mean C Wᵀ(x − μ)/σ² differs from the conditional of the joint Gaussian.",
        (
            (x @ W @ true_cov / noise, "an image equal to the mean gives z = 0: subtract the mean from x."),
            (-true_z, "the sign is turned: x − μ, not μ − x."),
            (right @ true_cov, "the mean is C Wᵀ(x − μ)/σ². Is the division by σ² there?"),
            (true_z / noise, "the mean is divided by σ² twice."),
            (
                true_z * noise.sqrt(),
                "the mean is divided by σ; it is divided by σ², which is `noise` itself.",
            ),
            (right @ precision / noise, "the mean is multiplied by the precision; it is multiplied by C."),
            (
                (x - mean) @ torch.linalg.pinv(W).T,
                "this is least squares, which knows no prior: the mean is C Wᵀ(x − μ)/σ².",
            ),
            (right / noise, "the covariance C is missing: the mean is C Wᵀ(x − μ)/σ²."),
        ),
    )
    expect_double(z, true_z)
    expect_double(cov, true_cov)


@exercise(
    "02b.paint",
    verified="no noise gives μ + W m; the noise enters with covariance W C Wᵀ; each image has its own m and ε",
)
def paint(fn):
    W, mean, m = normal(6, 3, seed=4), normal(6, seed=5), normal(4, 3, seed=7)
    factor = torch.tensor([[1.4, 0.0, 0.0], [0.6, 0.5, 0.0], [-0.3, 0.8, 0.9]], dtype=torch.float64)
    C = factor @ factor.T
    nothing = torch.zeros(4, 3, dtype=torch.float64)
    still = call(fn, nothing, m, C, mean, W)
    expect_shape(still, (4, 6), "one image a row: (N, d).")
    again = call(fn, nothing, m, C, mean, W)
    expect(
        torch.equal(torch.as_tensor(again), still),
        "the same arguments give different images: the noise is `eps`, as given; draw none of your own.",
    )
    target = mean + m @ W.T
    expect_value(
        still,
        target,
        "with ε = 0 the image is μ + W m, the painted mean of z.",
        (
            (m @ W.T, "without noise the image is μ + W m: the mean image is missing."),
            (
                mean + m @ torch.linalg.cholesky(C).T @ W.T,
                "the factor L stands before the noise alone: z = m + L ε, not L (m + ε).",
            ),
            (mean.expand(4, 6), "with ε = 0 the image is μ + W m, the painted mean of z: is m missing?"),
            (mean + m[:1] @ W.T + 0 * target, "every image gets the first image's m: use all rows."),
            (mean + m.mean(0) @ W.T + 0 * target, "every image gets the average of m: use each row's own."),
            (target - 2 * mean, "the mean image is subtracted; it is added."),
            (target.clamp(0, 1), "paint without clamp: what leaves [0, 1] is cut where it is shown."),
            (target.sigmoid(), "paint without sigmoid: this decoder is linear."),
        ),
    )
    expect_double(still, target)
    # the noise (1, 0, 0), (0, 1, 0), (0, 0, 1) shows the factor that the answer uses, column by column
    ways = call(fn, torch.eye(3, dtype=torch.float64), m[:1].expand(3, 3), C, mean, W) - target[0]
    _noise_enters(ways, W, C)
    eps = normal(4, 3, seed=9)
    hint = "each image has noise of its own: row n is μ + W (m_n + L ε_n)."
    expect_close(call(fn, eps, m, C, mean, W), target + eps @ ways, hint)
    none = call(fn, eps[:0], m[:0], C, mean, W)
    expect_shape(none, (0, 6), "no noise and no means make no images (0, d), not an error.")
    one = call(fn, eps[:1, :1], m[:1, :1], C[:1, :1], mean, W[:, :1])
    expect_shape(one, (1, 6), "one image with q = 1 is (1, d): no squeeze().")
    single = [part.float() for part in (eps, m, C, mean, W)]
    expect_like(call(fn, *single), single[0])


def _noise_enters(ways, W, C):
    """ways (q, d): what each coordinate of ε adds to the image; their outer products sum to W C Wᵀ."""
    L = torch.linalg.cholesky(C)
    diagonal = C.diagonal()
    causes = (
        (L.T @ L, "z has covariance LᵀL instead of C = LLᵀ. The noise is a row here: L ε is `eps @ L.T`."),
        (C @ C, "you multiply ε by C itself; the factor is its Cholesky factor L, with LLᵀ = C."),
        (torch.eye(3).double(), "the draws ignore C: z | x_s has covariance C, not I."),
        (0 * C, "the draws do not depend on eps: z = m + L ε."),
        (
            diagonal.diag(),
            "the coordinates of z correlate: take the Cholesky factor of all of C, not of its diagonal.",
        ),
        (torch.linalg.inv(C), "z | x_s has covariance C, not its inverse."),
        (4 * C, "the noise is counted twice: the draw is m + L ε."),
    )
    hint = "the painted draws must have covariance W C Wᵀ."
    made = ways.T @ ways
    expect_value(made, W @ C @ W.T, hint, [(W @ wrong @ W.T, why) for wrong, why in causes], atol=1e-4)
    expect_double(made, W @ C @ W.T)


@exercise("02b.decibels", verified="two legal predictions; the table below decides")
def my_decibels(fn):
    own, test = pair_of(call(fn), "return two numbers: for the model's own images, and for test digits.")
    expect(is_number(own) and is_number(test), "predict numbers, in decibels.")
    expect(
        all(-30 <= value <= 30 for value in (own, test)),
        "a difference of more than 30 dB is a factor of 1,000 in squared error: decibels, not percent.",
    )
