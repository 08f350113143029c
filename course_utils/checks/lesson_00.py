"""Checks of lesson 00: log-likelihood under independent pixels, sampling a Gaussian, a bet, broken coins, the
decisive test."""

import itertools

import torch

from course_utils.checks.machinery import call, exercise, expect, expect_close, expect_shape


@exercise(
    "00.pixels",
    verified=(
        "one number per image; probabilities of all 16 images of four pixels add up to 1; finite for 784"
        " pixels"
    ),
)
def log_lik_pixels(fn):
    theta = torch.tensor([0.1, 0.35, 0.6, 0.8])
    every = torch.tensor(list(itertools.product([0.0, 1.0], repeat=4)))  # (16, 4): every image of four pixels
    out = call(fn, every, theta)
    expect_shape(out, (16,), "one number per image: sum over its pixels (dim=1), not over the images.")
    expect(
        (out <= 0).all(),
        "a probability is at most 1, so its logarithm is at most 0: take the logarithm, and do not turn its"
        " sign.",
    )
    twice = call(fn, torch.cat([every, every], 1), torch.cat([theta, theta]))
    expect_close(
        twice,
        2 * out,
        "an image beside a copy of itself must have twice the log-likelihood: the logarithms of independent"
        " pixels are summed, not averaged.",
    )
    expect_close(
        out.exp().sum(),
        1.0,
        "the probabilities of all 16 images of four pixels should add up to 1. White pixels count too: a"
        " pixel with x = 0 contributes log(1 − θ).",
    )
    big = call(fn, torch.ones(2, 784), torch.full((784,), 0.05))
    expect(
        torch.isfinite(big).all(),
        "for 784 pixels the product of the probabilities underflows to 0 and its logarithm to −∞: take the"
        " logarithm of each pixel first, then add.",
    )


@exercise(
    "00.cholesky",
    verified="no noise gives the mean; the samples' covariance is Σ exactly, in two and in five dimensions",
)
def sample_gaussian(fn):
    mean, cov = torch.tensor([1.0, -2.0]), torch.tensor([[2.0, 1.2], [1.2, 1.0]])
    out = call(fn, mean, cov, torch.zeros(3, 2))
    expect_shape(out, (3, 2), "one sample per row of the noise.")
    expect_close(
        out,
        mean.expand(3, 2),
        "where the noise is zero the sample should be the mean: use the noise eps that is passed in, and add"
        " the mean.",
    )
    root = call(fn, mean, cov, torch.eye(2)) - mean  # row i is what unit noise i becomes
    found = root.T @ root
    expect(
        not torch.allclose(found, cov @ cov, atol=1e-3),
        "the covariance of your samples is Σ Σᵀ: multiply by the factor L with L Lᵀ = Σ, not by Σ itself.",
    )
    expect(
        not torch.allclose(found, torch.diag(cov.diagonal()), atol=1e-3),
        "your samples have the right variances but no covariances: scaling each coordinate is not enough; mix"
        " them by the Cholesky factor.",
    )
    factor = torch.linalg.cholesky(cov)
    expect(
        not torch.allclose(found, factor.T @ factor, atol=1e-3),
        "the covariance of your samples is LᵀL instead of LLᵀ. The noise is a row here, so L ε is written eps"
        " @ L.T.",
    )
    expect_close(found, cov, "the covariance of mean + L ε should be L Lᵀ = Σ; it is not.", atol=1e-4)
    wide = torch.randn(5, 9, generator=torch.Generator().manual_seed(0))
    cov = wide @ wide.T / 9
    root = call(fn, torch.zeros(5), cov, torch.eye(5))
    expect_close(
        root.T @ root, cov, "in five dimensions the covariance is not Σ; is a size fixed to 2?", atol=1e-4
    )


@exercise(
    "00.blank", verified="a percentage between 0 and 100; whether it is right, the table below will show"
)
def blank_page_beats(fn):
    bet = call(fn)
    number = isinstance(bet, int | float) and not isinstance(bet, bool)
    expect(number, f"return one number, the percentage you expect; yours is a {type(bet).__name__}.")
    expect(0 <= bet <= 100, "a percentage lies between 0 and 100.")


@exercise(
    "00.overconfident",
    verified=(
        "every coin is a probability; the training images are likelier than under (2) and still possible; some"
        " image is not"
    ),
)
def overconfident_coins(fn):
    ink = torch.tensor([[0, 1, 1, 0], [0, 1, 0, 0], [0, 1, 1, 1], [0, 1, 0, 1], [0, 1, 1, 1.0]])
    theta = call(fn, ink)
    expect_shape(theta, (4,), "one coin for each pixel: average over the images, dim=0.")
    expect(((theta >= 0) & (theta <= 1)).all(), "a coin is a probability, between 0 and 1.")
    own = (torch.xlogy(ink, theta) + torch.xlogy(1 - ink, 1 - theta)).sum()
    expect(
        torch.isfinite(own),
        "your coins call one of the training images impossible, so the training data do reveal it: a coin may"
        " be 0 or 1 only where all training images agree.",
    )
    expect(
        ((theta == 0) | (theta == 1)).any(),
        "nothing is broken yet: every image still has a positive probability. Leave out the two pretended"
        " images of (2).",
    )
    laplace = (ink.sum(0) + 1) / (len(ink) + 2)
    smoothed = (torch.xlogy(ink, laplace) + torch.xlogy(1 - ink, 1 - laplace)).sum()
    expect(
        own > smoothed,
        "the training images are less likely than under (2): where the images disagree, the best coin is the"
        " fraction with ink.",
    )


@exercise(
    "00.decisive",
    verified=(
        "one right answer, draws among several, their average, one answer repeated, and wrong answers told"
        " apart"
    ),
)
def decisive_test(fn):
    fork = torch.tensor([[-1.0, 0.0], [1.0, 0.0], [0.0, 2.0]])
    picks = fork[torch.tensor([0, 1, 1, 2, 0])]
    expect_verdict(
        fn,
        fork[:1],
        fork[:1].expand(4, 2),
        "one answer",
        "with a single right answer (M = 1) there is nothing to draw, so the verdict is 'one answer'.",
    )
    expect_verdict(
        fn, fork, picks, "draws", "five runs gave right answers, and different ones: that is 'draws'."
    )
    noisy = picks + torch.tensor([0.01, -0.01])
    expect_verdict(
        fn,
        fork,
        noisy,
        "draws",
        "an output within tol of a right answer counts as that answer; do not compare for equality.",
    )
    expect_verdict(
        fn,
        fork,
        fork.mean(0).expand(5, 2),
        "no draw",
        "the average of the right answers is none of them: "
        "measure the distance of each output to its nearest right answer.",
    )
    expect_verdict(
        fn,
        fork,
        fork[1].expand(5, 2),
        "no draw",
        "the same right answer in every run is no draw: at least two different right answers must occur.",
    )
    some = torch.cat([picks, torch.tensor([[9.0, 9.0]])])
    expect_verdict(
        fn, fork, some, "no draw", "one of the outputs is no right answer: every output must be near one."
    )


def expect_verdict(fn, answers, outputs, verdict, hint):
    """Call the reader's test and compare its verdict, a word."""
    word = call(fn, answers, outputs, 0.1)
    expect(isinstance(word, str), f"return one of the three verdicts as text, not a {type(word).__name__}.")
    expect(word == verdict, f"{hint} (Yours says {word!r}.)")
