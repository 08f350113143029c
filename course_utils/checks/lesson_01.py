"""Checks of lesson 01: the posterior in log-space, LDA's line, a sampler, marginalising hidden pixels, a loss
with holes, data that break LDA, naive Bayes, and bets."""

import torch
import torch.nn.functional as F
from torch.distributions import MultivariateNormal

from course_utils.checks.machinery import call, exercise, expect, expect_close, expect_shape


@exercise(
    "01.posterior",
    verified=(
        "rows sum to 1; agrees with Bayes' rule on small numbers and uses the prior; survives log-likelihoods"
        " of −1,000"
    ),
)
def posterior(fn):
    likelihood = torch.tensor([[0.2, 0.1, 0.4], [0.05, 0.5, 0.3], [0.3, 0.3, 0.3], [0.9, 0.1, 0.2]])
    prior = torch.tensor([0.5, 0.2, 0.3])
    out = call(fn, likelihood.log(), prior)
    expect_shape(out, (4, 3), "one probability per example (row) and class (column).")
    expect(
        (out >= -1e-6).all(),
        "probabilities are not negative: did you return log-probabilities? Take exp last.",
    )
    columns = out.sum(0)
    rows_fail = not torch.allclose(out.sum(1), torch.ones(4), atol=1e-5)
    expect(
        not (rows_fail and torch.allclose(columns, torch.ones(3), atol=1e-5)),
        "the columns sum to 1 instead of the rows: normalise over the classes (dim=1), not over the"
        " examples.",
    )
    expect(
        not rows_fail,
        "each row must sum to 1: subtract the log-sum-exp over the classes before you take exp.",
    )
    no_prior = likelihood / likelihood.sum(1, keepdim=True)
    expect(
        not torch.allclose(out, no_prior, atol=1e-5),
        "the prior is missing: add log π to the log-likelihoods before you normalise.",
    )
    joint = likelihood * prior
    expect_close(
        out, joint / joint.sum(1, keepdim=True), "on small numbers it should agree with Bayes' rule, eq. (1)."
    )
    far = call(fn, torch.tensor([[-1000.0, -1001.0, -1002.0], [-3000.0, -2000.0, -2500.0]]), prior)
    expect(
        torch.isfinite(far).all(),
        "log-likelihoods of −1,000 give 0/0: exp underflows. Stay in log-space: subtract torch.logsumexp,"
        " then exp.",
    )
    near = call(fn, torch.tensor([[0.0, -1.0, -2.0]]), prior)
    expect_close(far[:1], near, "adding the same constant to all classes must not change the posterior.")


@exercise(
    "01.lda",
    verified="sigmoid(wᵀx + b) equals Bayes' rule with two Gaussians at 200 points, in two and in five dimensions",
)
def lda_line(fn):
    for d, prior1 in ((2, 0.5), (5, 0.2)):
        generator = torch.Generator().manual_seed(d)
        mean0, mean1 = torch.randn(2, d, generator=generator, dtype=torch.float64)
        root = torch.randn(d, d, generator=generator, dtype=torch.float64) / d**0.5
        cov = root @ root.T + 0.3 * torch.eye(d, dtype=torch.float64)
        x = torch.randn(200, d, generator=generator, dtype=torch.float64)
        out = call(fn, mean0, mean1, cov, prior1)
        expect(
            isinstance(out, tuple | list) and len(out) == 2,
            "return two things: the vector w and the number b.",
        )
        w, b = out
        expect_shape(w, (d,), "w has one entry per dimension.")
        expect(torch.as_tensor(b).numel() == 1, "b is one number.")
        b = torch.as_tensor(b, dtype=torch.float64).reshape(())
        _lda_hints(w.to(torch.float64), b, mean0, mean1, cov, prior1)
        log_odds = _log_odds(x, mean0, mean1, cov, prior1)
        expect_close(
            torch.sigmoid(x @ w.to(torch.float64) + b),
            torch.sigmoid(log_odds),
            "sigmoid(wᵀx + b) should equal the posterior from Bayes' rule at every point; work through eq. (6) term"
            " by term.",
        )


def _log_odds(x, mean0, mean1, cov, prior1):
    log_ratio = MultivariateNormal(mean1, cov).log_prob(x) - MultivariateNormal(mean0, cov).log_prob(x)
    return log_ratio + torch.tensor(prior1 / (1 - prior1), dtype=x.dtype).log()


def _lda_hints(w, b, mean0, mean1, cov, prior1):
    """Name the usual slips in w and b before the general comparison."""
    right = torch.linalg.solve(cov, mean1 - mean0)
    expect(
        not torch.allclose(w, -right),
        "the sign of w is turned: large wᵀx must speak for class 1, so μ₁ − μ₀.",
    )
    expect(
        not torch.allclose(w, mean1 - mean0, rtol=1e-4),
        "w is only the difference of the means: multiply it by Σ⁻¹ (torch.linalg.solve(cov, mean1 - mean0)).",
    )
    expect(
        not torch.allclose(w, cov @ (mean1 - mean0), rtol=1e-4),
        "w is multiplied by Σ instead of its inverse: torch.linalg.solve(cov, mean1 - mean0).",
    )
    expect_close(w, right, "w should be Σ⁻¹(μ₁ − μ₀), eq. (6).")
    odds = torch.tensor(prior1 / (1 - prior1), dtype=torch.float64).log()
    target = _log_odds(torch.zeros(1, len(w), dtype=w.dtype), mean0, mean1, cov, prior1)[0]
    if prior1 != 0.5:
        expect(
            not torch.allclose(b, target - odds),
            "b ignores the prior: with a rare class 1 the line must move towards it. Add log(π₁/π₀).",
        )
        expect(not torch.allclose(b, target - 2 * odds), "the prior's term has the wrong sign: log(π₁/π₀).")
    expect(not torch.allclose(b - odds, 2 * (target - odds)), "b is missing the factor ½ before μᵀΣ⁻¹μ.")
    expect(
        not torch.allclose(b - odds, odds - target),
        "the two quadratic terms of b have swapped signs: −½ for μ₁.",
    )


@exercise(
    "01.sample",
    verified="20,000 draws have mean μ and covariance WWᵀ + σ²I; the noise comes from the generator",
)
def sample_class(fn):
    generator = torch.Generator().manual_seed(0)
    d, q, n = 5, 2, 20_000
    mean = 3 * torch.randn(d, generator=generator, dtype=torch.float64)
    W = torch.randn(d, q, generator=generator, dtype=torch.float64)
    sigma2 = torch.tensor(0.5, dtype=torch.float64)
    out = call(fn, mean, W, sigma2, n, torch.Generator().manual_seed(1))
    expect_shape(out, (n, d), "one row per draw, one column per pixel.")
    expect(torch.isfinite(out).all(), "some draws are infinite or not a number.")
    again = call(fn, mean, W, sigma2, n, torch.Generator().manual_seed(1))
    expect(
        torch.equal(out, again),
        "the same generator seed must give the same draws: hand `generator` to every torch.randn.",
    )
    expect_close(out.mean(0), mean, "the mean of the draws should be μ.", atol=0.06, rtol=0)
    _sample_hints(torch.cov(out.T), W, sigma2, torch.eye(d, dtype=torch.float64))
    bare = call(fn, mean, W, 0 * sigma2, 500, torch.Generator().manual_seed(2)) - mean
    expect(
        torch.linalg.matrix_rank(bare, atol=1e-3, rtol=0.0) <= q,
        "without noise (σ² = 0) all draws must lie in the plane μ + W z.",
    )


def _sample_hints(cov, W, sigma2, eye):
    """Name the usual slips by the covariance they give."""
    target = W @ W.T + sigma2 * eye

    def near(other):
        return torch.allclose(cov, other, atol=0.08, rtol=0.03)

    expect(
        not near(W @ W.T + sigma2**2 * eye),
        "the noise is too small: sigma2 is the variance, so σ is its square root.",
    )
    expect(not near(W @ W.T), "the pixel noise σ ε is missing.")
    expect(not near(sigma2 * eye), "all rows share one z: draw z with shape (n, q), one row per image.")
    expect(
        not near(W @ W.T + sigma2),
        "all pixels of a draw share one noise: draw ε with shape (n, d).",
    )
    expect(near(target), "the covariance of the draws should be WWᵀ + σ²I, eq. (8).")


@exercise(
    "01.marginal",
    verified=(
        "equals the Gaussian of the visible block, and the joint density integrated over a hidden pixel; "
        "hidden values have no influence"
    ),
)
def log_marginal(fn):
    generator = torch.Generator().manual_seed(0)
    d, q, sigma2 = 6, 2, torch.tensor(0.3, dtype=torch.float64)
    mean, x = torch.randn(2, d, generator=generator, dtype=torch.float64)
    x = torch.stack([x, x + 0.5, -x])
    W = torch.randn(d, q, generator=generator, dtype=torch.float64)
    cov = W @ W.T + sigma2 * torch.eye(d, dtype=torch.float64)
    seen = torch.tensor([True, False, True, True, False, True])
    all_seen = torch.ones(d, dtype=torch.bool)
    joint = MultivariateNormal(mean, cov)
    out = call(fn, x, all_seen, mean, W, sigma2)
    expect_shape(out, (3,), "one log-density per image: the sum over pixels is already inside log_prob.")
    expect_close(
        out,
        joint.log_prob(x),
        "with every pixel visible this is the ordinary log-density of N(μ, WWᵀ + σ²I).",
    )
    out = call(fn, x, seen, mean, W, sigma2)
    expect_shape(out, (3,), "one log-density per image, with some pixels hidden too.")
    _marginal_hints(out, joint, x, seen, mean)
    other = torch.where(seen, x, torch.full_like(x, 7.0))
    expect_close(
        call(fn, other, seen, mean, W, sigma2),
        out,
        "changing the hidden pixels changes your answer: it must not look at them. Index with x[:, seen].",
    )
    block = MultivariateNormal(mean[seen], cov[seen][:, seen])
    hint = "the visible pixels are N(μ_v, W_v W_vᵀ + σ²I): drop the hidden rows of μ and of W."
    expect_close(out, block.log_prob(x[:, seen]), hint)
    _integrates(fn, joint, x, mean, W, sigma2)


def _marginal_hints(out, joint, x, seen, mean):
    """Recognise a filled-in image by its value."""
    expect(
        not torch.allclose(out, joint.log_prob(torch.where(seen, x, 0.0))),
        "this is the density of an image whose hidden pixels are 0 (white paper). Zero is a value too: it is"
        " evidence. Remove the hidden pixels instead of filling them.",
    )
    expect(
        not torch.allclose(out, joint.log_prob(torch.where(seen, x, mean))),
        "this is the density of an image whose hidden pixels equal the class mean, so each class scores a"
        " picture of its own making. Integrate them out: remove their rows.",
    )


def _integrates(fn, joint, x, mean, W, sigma2):
    """One hidden pixel: the marginal density must equal the joint one summed over a fine grid of its
    values."""
    seen = torch.arange(len(mean)) != 1
    grid = torch.linspace(-15, 15, 3001, dtype=torch.float64)
    filled = x[:1].repeat(len(grid), 1)
    filled[:, 1] = grid
    integral = (joint.log_prob(filled).exp() * (grid[1] - grid[0])).sum().log()
    out = call(fn, x[:1], seen, mean, W, sigma2)
    expect_close(
        out[0], integral, "the marginal is the joint density integrated over the hidden pixel.", atol=1e-4
    )


@exercise(
    "01.hole_loss",
    verified=(
        "the network sees the masked image beside its mask; every image has its own share of holes, uniform"
        " from 0 to 1; the loss is the mean cross-entropy"
    ),
)
def hole_loss(fn):
    generator = torch.Generator().manual_seed(0)
    x = 0.1 + 0.9 * torch.rand(400, 1, 28, 28, generator=generator)  # no pixel is 0
    y = torch.randint(10, (400,), generator=generator)
    logits = torch.randn(400, 10, generator=generator)
    seen_by_model = []

    def model(inputs):
        seen_by_model.append(inputs)
        return logits

    torch.manual_seed(0)
    loss = call(fn, model, x, y)
    expect(len(seen_by_model) == 1, "call the model once, on the whole batch.")
    inputs = seen_by_model[0]
    expect(
        tuple(inputs.shape) != (400, 784),
        "the model gets the image only: put the mask beside it, torch.cat([x * seen, seen], 1).",
    )
    expect_shape(inputs, (400, 1568), "784 pixels, then 784 entries of the mask.")
    _mask_hints(inputs[:, :784], inputs[:, 784:], x.flatten(1))
    target = F.cross_entropy(logits, y)
    value = torch.as_tensor(loss, dtype=torch.float32)
    expect(
        not torch.allclose(value, target * len(y), rtol=1e-3),
        "this is the sum over the batch; take the mean.",
    )
    expect_close(loss, target, "the loss is the cross-entropy between the model's logits and y.")


def _mask_hints(image, mask, x):
    """What the network was given: the mask's values, what it does to the image, the shares of holes."""
    expect(((mask == 0) | (mask == 1)).all(), "the mask holds zeros and ones only; give it as .float().")
    expect(
        not torch.allclose(image, x * (1 - mask)),
        "the mask is turned round: it must be 1 where a pixel is seen and 0 in the holes.",
    )
    expect(not torch.allclose(image, x), "the holes are not cut: multiply the image by its mask.")
    expect_close(image, x * mask, "the first 784 inputs are the image with zeros in the holes.")
    hidden = 1 - mask.mean(1)
    expect(hidden.std() > 0.02, "no image differs from the others in its share: draw one share per image.")
    expect(
        hidden.std() > 0.15,
        "every image loses about the same share of its pixels: draw a share for *each* image,"
        " torch.rand(len(x), 1), and compare.",
    )
    quarters = torch.histc(hidden, 4, 0, 1) / len(hidden)
    expect(
        ((quarters - 0.25).abs() < 0.1).all(),
        "the share of holes should be uniform between 0 and 1: about a quarter of the images in each quarter.",
    )
    expect(
        (mask.std(0) > 0.2).all(),
        "some pixels are hidden in all images or in none: draw a number for every pixel of every image.",
    )


@exercise(
    "01.break_lda",
    verified="a line separates your two classes, and LDA's line misclassifies at least one point in ten",
)
def break_lda(fn):
    out = call(fn)
    expect(isinstance(out, tuple | list) and len(out) == 2, "return two things: the points x and labels y.")
    x, y = out
    expect(
        isinstance(x, torch.Tensor) and x.ndim == 2 and x.shape[1] == 2,
        "x is a tensor of points in the plane, (N, 2).",
    )
    expect_shape(y, (len(x),), "one label per point.")
    expect(((y == 0) | (y == 1)).all(), "the labels are 0 and 1.")
    expect(len(x) >= 20, "use at least 20 points.")
    expect(0.25 <= y.double().mean() <= 0.75, "each class needs at least a quarter of the points.")
    x, y = x.double(), y.long()
    expect(torch.isfinite(x).all(), "a point is infinite or not a number.")
    expect(
        _separable(x, y),
        "no line separates the two classes, so the task is not easy: LDA is not to blame for what no line"
        " can do.",
    )
    wrong = _lda_errors(x, y)
    expect(
        wrong > 0,
        "LDA classifies all your points correctly: give class 1 a second group, deep on its own side and far"
        " from the boundary.",
    )
    expect(
        wrong >= 0.1,
        f"LDA errs on {wrong:.0%} of the points only; move the far group farther, or make it larger.",
    )


def _separable(x, y):
    """Whether some line separates the classes without an error: a linear program with a margin of 1."""
    from scipy.optimize import linprog

    sign = (2 * y - 1).double()
    middle = x.mean(0)
    scale = (x - middle).abs().max()
    features = torch.cat([(x - middle) / scale, torch.ones(len(x), 1, dtype=x.dtype)], 1)
    found = linprog(
        [0.0] * 3, A_ub=(-sign[:, None] * features).numpy(), b_ub=[-1.0] * len(x), bounds=[(None, None)] * 3
    )
    return found.status == 0


def _lda_errors(x, y):
    """The share of points on the wrong side of LDA's line."""
    means = torch.stack([x[y == k].mean(0) for k in (0, 1)])
    cov = torch.cov((x - means[y]).T) + 1e-9 * torch.eye(2, dtype=x.dtype)
    prior = y.double().mean().item()
    log_odds = _log_odds(x, means[0], means[1], cov, prior)
    return ((log_odds > 0).long() != y).double().mean().item()


@exercise(
    "01.naive_bayes",
    verified=(
        "equals hand counts on six images; α = 0 gives frequencies; no ink in any class still leaves 0 <"
        " θ < 1"
    ),
)
def naive_bayes_theta(fn):
    x = torch.tensor([[1, 0, 1], [1, 0, 0], [0, 0, 1], [1, 0, 1], [1, 1, 0], [0, 1, 0]], dtype=torch.float32)
    y = torch.tensor([0, 0, 0, 0, 1, 1])
    out = call(fn, x, y, 1.0, 2)
    expect_shape(out, (2, 3), "one row per class, one column per pixel.")
    counts, n = torch.tensor([[3.0, 0.0, 3.0], [1.0, 2.0, 0.0]]), torch.tensor([[4.0], [2.0]])
    raw = call(fn, x, y, 0.0, 2)
    expect(
        not torch.allclose(raw, counts / len(x)),
        "you divide by all images: divide by the number of images of that class, n_k.",
    )
    expect_close(
        raw, counts / n, "with α = 0 each entry is the fraction of the class's images with ink there."
    )
    expect(
        not torch.allclose(out, counts / n),
        "α has no effect: without smoothing a pixel that was never inked gets θ = 0, and one stray dot rules"
        " out a class.",
    )
    expect(
        not torch.allclose(out, (counts + 1) / n),
        "α is added to the count but not to the total, so θ can reach 1: divide by n_k + 2α.",
    )
    expect(
        not torch.allclose(out, (counts + 1) / (n + 1)),
        "divide by n_k + 2α: a pixel has two values, ink and paper, and α imaginary images of each.",
    )
    expect(
        not torch.allclose(out, (counts + 1) / (n + 3)),
        "the denominator holds α × (number of pixels): that is for words in a document. A pixel has two"
        " values, so n_k + 2α.",
    )
    expect_close(out, (counts + 1) / (n + 2), "eq. (10): (ink counts + α) / (n_k + 2α).")
    empty = call(fn, torch.zeros(2, 3), torch.tensor([0, 2]), 0.5, 3)
    expect_shape(empty, (3, 3), "a class without any image needs its row too: use the argument `classes`.")
    expect(
        ((empty > 0) & (empty < 1)).all(), "with α > 0 every entry lies between 0 and 1, even without data."
    )


@exercise("01.bets", verified="five bets are in; the table below sets them beside the measurement")
def my_bets(fn):
    out = call(fn)
    expect(isinstance(out, list | tuple), "return a list of five numbers.")
    expect(len(out) == 5, "five bets, please: letters, upside down, noise, blurred, blank sheet.")
    for bet in out:
        expect(
            isinstance(bet, int | float) and not isinstance(bet, bool),
            "each bet is a number, written 0.8 for instance.",
        )
    expect(
        not (max(out) > 1 and max(out) <= 100 and min(out) >= 0),
        "these look like percentages: an AUROC runs from 0 to 1.",
    )
    expect(all(0 <= bet <= 1 for bet in out), "an AUROC is a probability, from 0 to 1.")
