"""Reference functions of lesson 00, generated from lessons/00_start_here.py.

Do not edit: change the solution in the lesson and run `python tasks.py lessons`.
"""

import torch


def log_lik_pixels(x, theta):
    """Log-likelihood of images under independent pixels, equation (3).

    x: (N, D), each entry 0.0 or 1.0. theta: (D,), probability of ink, strictly between 0 and 1.
    Returns (N,): one number per image, in nats.
    """
    return (x * theta.log() + (1 - x) * (1 - theta).log()).sum(dim=1)


def sample_gaussian(mean, cov, eps):
    """Turn standard normal noise into draws from N(mean, cov) by Cholesky, equation (4).

    mean: (D,). cov: (D, D), positive definite. eps: (N, D), one row of noise per sample.
    Returns (N, D).
    """
    factor = torch.linalg.cholesky(cov)  # (D, D), lower triangular
    return mean + eps @ factor.T


def blank_page_beats():
    """The percentage of test digits, 0 to 100, that you expect a blank page to beat."""
    return 10.0  # a usual guess; the measurement comes in the table below


def overconfident_coins(ink):
    """Coins (D,) under which the training images are likelier than under equation (2).

    ink: (N, D), 0.0 or 1.0. At least one coin must call some image impossible (θ = 0 or 1),
    but no training image may be.
    """
    return ink.mean(0)


def decisive_test(answers, outputs, tol=1e-3):
    """Are there many right answers, and does the system draw one?

    answers: (M, D), all right answers to one input.
    outputs: (N, D), what the system returned in N runs on it.
    Returns "one answer", "draws" or "no draw".
    """
    if len(answers) == 1:
        return "one answer"
    distance, nearest = torch.cdist(outputs, answers).min(dim=1)  # (N,) each
    all_right = bool((distance <= tol).all())
    return "draws" if all_right and len(nearest.unique()) > 1 else "no draw"


REFERENCES = {
    "00.pixels": log_lik_pixels,
    "00.cholesky": sample_gaussian,
    "00.blank": blank_page_beats,
    "00.overconfident": overconfident_coins,
    "00.decisive": decisive_test,
}
