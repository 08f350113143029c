"""Checks of lesson 00: log-likelihood under independent pixels, sampling a Gaussian, a bet, broken coins, the
decisive test."""

import itertools
import math

import torch
from torch.distributions import Bernoulli

from course_utils.checks.machinery import call, exercise, expect, expect_close, expect_shape
from course_utils.checks.mistakes import expect_none_of, expect_number, explained


def _bernoulli(x, theta):
    """What equation (3) gives, (N,), computed in float64."""
    x, theta = x.double(), theta.double()
    return (x * theta.log() + (1 - x) * (1 - theta).log()).sum(1)


@exercise(
    "00.pixels",
    verified=(
        "right for each of the 16 images of four pixels, whose probabilities add up to 1; a single image; coins"
        " near 0 and 1; 784 pixels without underflow"
    ),
)
def log_lik_pixels(fn):
    theta = torch.tensor([0.1, 0.35, 0.6, 0.8])
    every = torch.tensor(list(itertools.product([0.0, 1.0], repeat=4)))  # (16, 4): every image of four pixels
    out = call(fn, every, theta)
    expect_shape(out, (16,), "one number per image: sum over its pixels (dim=1), not over the images.")
    _pixel_hints(out, every, theta)
    expect_close(
        out,
        _bernoulli(every, theta),
        "a pixel with ink (x = 1) contributes log θ, one without (x = 0) log(1 − θ), and the"
        " contributions of an image are added: equation (3).",
    )
    expect_close(out.exp().sum(), 1.0, "the probabilities of all 16 images should add up to 1.")
    single = call(fn, every[5:6], theta)
    expect_shape(single, (1,), "a batch of one image has one number too: do not squeeze the batch away.")
    edge, both = torch.tensor([1e-6, 1 - 1e-6, 0.3]), torch.tensor([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    expect_close(
        call(fn, both, edge),
        _bernoulli(both, edge),
        "coins near 0 and 1 come out differently: θ lies strictly between 0 and 1, so do not clamp it and"
        " add no small number.",
    )
    generator = torch.Generator().manual_seed(0)
    coins = 0.005 + 0.06 * torch.rand(784, generator=generator)
    images = (torch.rand(20, 784, generator=generator) < 0.7).float()  # much ink where little is expected
    big = call(fn, images, coins)
    expect(
        torch.isfinite(big).all(),
        "for 784 pixels the product of the probabilities underflows to 0 and its logarithm to −∞: take the"
        " logarithm of each pixel first, then add.",
    )
    expect(
        (big < -110).all(),  # the smallest positive float32 has the logarithm −103.3
        "for 784 pixels the product of the probabilities underflows, and a small number added to it or a"
        " clamp only hides that: take the logarithm of each pixel first, then add.",
    )
    expect_close(big, _bernoulli(images, coins), "for 784 pixels the sum is wrong; is a size fixed?")


def _pixel_hints(out, x, theta):
    """Name the usual slips by what they give for the 16 images."""
    right, ink, paper = _bernoulli(x, theta), theta.log(), (1 - theta).log()
    chosen = torch.where(x > 0.5, theta, 1 - theta)
    mistakes = {
        "a probability is at most 1, so its logarithm is at most 0: take the logarithm, and do not turn its"
        " sign.": -right,
        "these are the probabilities: take the logarithm of each pixel's, and add.": right.exp(),
        "an image's log-likelihood is a quarter of what it should be: the logarithms of independent pixels are"
        " summed, not averaged.": right / 4,
        "this is in bits: nats are asked for, the natural logarithm.": right / math.log(2),
        "this is a logarithm to base 10: nats are asked for, the natural logarithm.": right / math.log(10),
        "ink and paper are exchanged: log θ belongs to x = 1, log(1 − θ) to x = 0.": _bernoulli(1 - x, theta),
        "only the ink is counted. White pixels count too: a pixel with x = 0 contributes log(1 − θ).": x
        @ ink,
        "only the paper is counted: a pixel with ink, x = 1, contributes log θ.": (1 - x) @ paper,
        "the two terms are subtracted: both log θ and log(1 − θ) are added.": x @ ink - (1 - x) @ paper,
        "θ is taken for a logit, to which a sigmoid is applied: it is a probability already,"
        " Bernoulli(probs=θ).": (Bernoulli(logits=theta).log_prob(x).sum(1)),
        "a white pixel contributes log(1 − θ), not 1 − log θ: mind the brackets.": (
            x @ ink + (1 - x) @ (1 - ink)
        ),
        "this is the logarithm of a sum of probabilities: take the logarithm of each pixel's, then the sum.": (
            chosen.sum(1).log()
        ),
    }
    expect_none_of(out, mistakes)
    expect(
        torch.isfinite(out).all(),
        "some log-likelihoods are infinite or not a number: where x = 0 the factor is 1 − θ, not x · θ ="
        " 0, whose logarithm is −∞.",
    )


@exercise(
    "00.cholesky",
    verified=(
        "no noise gives the mean; the samples' covariance is Σ exactly, in one, two and five dimensions; each"
        " sample comes from its own row of the noise"
    ),
)
def sample_gaussian(fn):
    mean, cov = torch.tensor([1.0, -2.0]), torch.tensor([[2.0, 1.2], [1.2, 1.0]])
    out = call(fn, mean, cov, torch.zeros(3, 2))
    expect_shape(out, (3, 2), "one sample per row of the noise.")
    expect_none_of(
        out,
        {
            "the mean is not added: without noise the sample is μ, not 0.": torch.zeros(3, 2),
            "the mean is multiplied by the factor too: add it after the multiplication, μ + L ε.": (
                (mean @ torch.linalg.cholesky(cov).T).expand(3, 2)
            ),
        },
    )
    expect_close(
        out,
        mean.expand(3, 2),
        "where the noise is zero the sample should be the mean: use the noise eps that is passed in, and add"
        " the mean.",
    )
    root = (call(fn, mean, cov, torch.eye(2)) - mean).double()  # row i is what unit noise i becomes
    found = root.T @ root
    _cholesky_hints(found, cov.double())
    expect_close(found, cov, "the covariance of mean + L ε should be L Lᵀ = Σ; it is not.", atol=1e-4)
    for d in (5, 1):
        _own_row(fn, d)


def _cholesky_hints(found, cov):
    """Name the usual slips by the covariance that they give."""
    factor = torch.linalg.cholesky(cov)
    inverse = torch.linalg.inv(cov)
    mistakes = {
        "the covariance of your samples is Σ Σᵀ: multiply by the factor L with L Lᵀ = Σ, not by Σ itself.": cov
        @ cov,
        "your samples have the right variances but no covariances: scaling each coordinate is not enough; mix"
        " them by the Cholesky factor.": cov.diagonal().diag(),
        "each coordinate is multiplied by its variance: mix the coordinates by the Cholesky factor.": (
            cov.diagonal().square().diag()
        ),
        "the covariance of your samples is LᵀL instead of LLᵀ. The noise is a row here, so L ε is written eps"
        " @ L.T.": factor.T @ factor,
        "this is the root of each entry of Σ: a factor with L Lᵀ = Σ is meant, torch.linalg.cholesky.": (
            cov.sqrt() @ cov.sqrt()
        ),
        "the covariance of your samples is the identity: the noise is not mixed by the factor L.": torch.eye(
            2
        ),
        "the covariance of your samples is Σ⁻¹: multiply by L, do not solve with it.": inverse,
        "the covariance of your samples is (LLᵀ)⁻¹ with the order turned: multiply by L, do not solve"
        " with it.": (torch.linalg.inv(factor.T @ factor)),
    }
    expect_none_of(found, mistakes, atol=1e-3)
    extra = found - cov
    expect(
        extra[0, 0] < 5e-4 or not torch.allclose(extra, extra[0, 0] * torch.eye(2).double(), atol=1e-4),
        "all variances are too large by the same amount: Σ is positive definite, add nothing to its diagonal.",
    )


def _own_row(fn, d):
    """In d dimensions: the covariance, and sample i made from row i of the noise alone."""
    generator = torch.Generator().manual_seed(d)
    wide, mean = torch.randn(d, 9, generator=generator), torch.randn(d, generator=generator)
    cov, eps = wide @ wide.T / 9, torch.randn(7, d, generator=generator)
    root = (call(fn, mean, cov, torch.eye(d)) - mean).double()
    words = {1: "one dimension", 5: "five dimensions"}[d]
    expect_close(root.T @ root, cov, f"in {words} the covariance is not Σ; is a size fixed to 2?", atol=1e-4)
    out = call(fn, mean, cov, eps)
    expect_shape(out, (7, d), "one sample per row of the noise.")
    expect_close(
        out,
        mean + eps.double() @ root,
        "with noise in all entries the samples are not μ + L ε: sample i must come from row i of eps, so write"
        " eps @ L.T; a reshape is no transpose.",
    )


@exercise(
    "00.blank", verified="a percentage between 0 and 100; whether it is right, the table below will show"
)
def blank_page_beats(fn):
    bet = call(fn)
    expect_number(bet, "the percentage")
    expect(0 <= bet <= 100, "a percentage lies between 0 and 100.")


@exercise(
    "00.overconfident",
    verified=(
        "in three sets of images: every coin is a probability, the training images are likelier than"
        " under (2) and still possible, some image is not"
    ),
)
def overconfident_coins(fn):
    ink = torch.tensor([[0, 1, 1, 0], [0, 1, 0, 0], [0, 1, 1, 1], [0, 1, 0, 1], [0, 1, 1, 1.0]])
    _broken(fn, ink)
    paper_only = torch.tensor([[0, 1, 0], [0, 0, 1], [0, 0, 1], [0, 0, 1], [0, 0, 0], [0, 0, 1], [0, 1, 1.0]])
    _broken(fn, paper_only, "where all images agree on paper, and nowhere on ink, ")
    _broken(fn, 1 - paper_only, "where all images agree on ink, and nowhere on paper, ")
    many = (torch.arange(3_000)[:, None] % torch.tensor([2, 3, 3_000]) == 0).float()  # the last one is rare
    with explained("in a large set, where a pixel may have ink in one image only, it fails:"):
        _broken(fn, torch.cat([many, 1 - many, torch.zeros(3_000, 1)], 1))


def _broken(fn, ink, where=""):
    theta = call(fn, ink)
    expect_shape(theta, (ink.shape[1],), "one coin for each pixel: average over the images, dim=0.")
    expect(
        not torch.allclose(theta.double(), ink.sum(0).double()),
        "these are counts, and a coin is a probability, between 0 and 1: divide by the number of images.",
    )
    expect(((theta >= 0) & (theta <= 1)).all(), "a coin is a probability, between 0 and 1.")
    free, mean = theta.double(), ink.double().mean(0)
    expect(
        not torch.allclose(free, 1 - mean, atol=1e-3),
        "these are the shares of paper: a coin is the probability of ink.",
    )
    own = _of_coins(ink, free)
    expect(
        torch.isfinite(own),
        "your coins call one of the training images impossible, so the training data do reveal it: a coin may"
        " be 0 or 1 only where all training images agree; do not round it.",
    )
    laplace = (ink.sum(0) + 1) / (len(ink) + 2)
    expect(
        not torch.allclose(free, laplace.double(), atol=1e-5),
        "nothing is broken yet: every image still has a positive probability. Leave out the two pretended"
        " images of (2).",
    )
    expect(
        ((theta == 0) | (theta == 1)).any(),
        f"{where}no coin is exactly 0 or 1, so every image still has a positive probability: do not clamp"
        " the fractions, and add no small number.",
    )
    expect(
        own > _of_coins(ink, laplace),
        "the training images are less likely than under (2): where the images disagree, the best coin is the"
        " fraction with ink.",
    )


def _of_coins(ink, theta):
    """Log-likelihood of all images under coins that may be 0 or 1."""
    return (torch.xlogy(ink, theta) + torch.xlogy(1 - ink, 1 - theta)).sum()


@exercise(
    "00.decisive",
    verified=(
        "one right answer, draws among several (not all need occur), their average, one answer repeated,"
        " and wrong answers told apart; a ball of radius tol around each right answer, tol = 0.001"
        " unless given"
    ),
)
def decisive_test(fn):
    fork = torch.tensor([[-1.0, 0.0], [1.0, 0.0], [0.0, 2.0]])
    picks = fork[torch.tensor([0, 1, 1, 2, 0])]
    some = torch.cat([picks, torch.tensor([[9.0, 9.0]])])
    cases = [
        (
            "one answer",
            fork[:1],
            fork[:1].expand(4, 2),
            "with a single right answer (M = 1) there is nothing to draw, so the verdict is 'one answer'.",
        ),
        ("draws", fork, picks, "five runs gave right answers, and different ones: that is 'draws'."),
        (
            "draws",
            fork,
            picks + torch.tensor([0.01, -0.01]),
            "an output within tol of a right answer counts as that answer; do not compare for equality.",
        ),
        (
            "no draw",
            fork,
            fork.mean(0).expand(5, 2),
            "the average of the right answers is none of them: measure the distance of each output to"
            " its nearest right answer.",
        ),
        (
            "no draw",
            fork,
            fork[1].expand(5, 2),
            "the same right answer in every run is no draw: at least two different right answers must occur.",
        ),
        ("no draw", fork, some, "one of the outputs is no right answer: every output must be near one."),
        (
            "draws",
            fork,
            picks[:3],
            "two of the three right answers occur, and that is enough for 'draws': not every right answer"
            " need occur.",
        ),
        (
            "no draw",
            fork,
            fork[1] + torch.tensor([[0.0, 0.0], [0.02, 0.0], [0.0, 0.03]]),
            "the outputs differ a little but all are the same right answer: count the different right"
            " answers, not the different outputs.",
        ),
        (
            "no draw",
            fork,
            picks + torch.tensor([[0.0, 0.0], [0.0, 0.0], [0.35, 0.0], [0.0, 0.0], [0.0, 0.0]]),
            "one output is 0.35 away from its nearest right answer: each must be within tol, not their mean.",
        ),
        ("no draw", fork, fork[2:], "a single run shows one right answer only: that is no draw."),
    ]
    for verdict, answers, outputs, hint in cases:
        expect_verdict(fn, answers, outputs, verdict, hint, 0.1)
    _ball(fn)


def _ball(fn):
    """The neighbourhood of a right answer: a ball of radius tol, also in more dimensions and by default."""
    answers = torch.tensor([[0.0, 0.0, 0.0], [3.0, 0.0, 1.0], [0.0, 2.0, 0.0], [0.0, 0.0, -4.0]])
    picks = answers[torch.tensor([3, 0, 3, 1, 0])]
    cases = [
        (
            "draws",
            0.06,
            0.1,
            "outputs at a distance of 0.085, below tol = 0.1, count as right: the distance is the root of"
            " the sum of squares, not the sum of the differences.",
        ),
        (
            "no draw",
            0.2,
            0.1,
            "outputs at a distance of 0.28 are no right answers for tol = 0.1: compare the distance with"
            " tol, not its square.",
        ),
        (
            "no draw",
            0.08,
            0.1,
            "outputs at a distance of 0.113 are no right answers for tol = 0.1, although no coordinate is"
            " off by more than 0.08: take the distance, not the largest or the mean difference.",
        ),
        (
            "draws",
            0.3,
            0.5,
            "with tol = 0.5 outputs at a distance of 0.42 count as right: use the argument tol.",
        ),
        ("draws", 6e-4, None, "without a third argument tol is 0.001: outputs 0.00085 away count as right."),
        ("no draw", 9e-4, None, "without a third argument tol is 0.001: outputs 0.0013 away are wrong."),
    ]
    for verdict, shift, tol, hint in cases:
        expect_verdict(fn, answers, picks + torch.tensor([shift, -shift, 0.0]), verdict, hint, tol)


def expect_verdict(fn, answers, outputs, verdict, hint, tol):
    """Call the reader's test (with its own tol for None) and compare its verdict, a word."""
    word = call(fn, answers, outputs) if tol is None else call(fn, answers, outputs, tol)
    expect(isinstance(word, str), f"return one of the three verdicts as text, not a {type(word).__name__}.")
    expect(
        word in ("one answer", "draws", "no draw"),
        f"the verdict is 'one answer', 'draws' or 'no draw', spelled like that, not {word!r}.",
    )
    expect(word == verdict, f"{hint} (Yours says {word!r}.)")
