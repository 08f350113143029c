"""Wrong answers to the exercises of lesson 00, each with a part of the hint that it must get."""

import torch
from torch.distributions import Bernoulli


def pixels_over_images(x, theta):
    return (x * theta.log() + (1 - x) * (1 - theta).log()).sum(0)


def pixels_negated(x, theta):
    return torch.nn.functional.binary_cross_entropy(theta.expand_as(x), x, reduction="none").sum(1)


def pixels_averaged(x, theta):
    return Bernoulli(theta).log_prob(x).mean(1)


def pixels_ink_only(x, theta):
    return (x * theta.log()).sum(1)


def pixels_log_of_product(x, theta):
    return torch.where(x > 0.5, theta, 1 - theta).prod(1).log()


def gaussian_own_noise(mean, cov, eps):
    return mean + torch.randn_like(eps) @ torch.linalg.cholesky(cov).T


def gaussian_by_covariance(mean, cov, eps):
    return mean + eps @ cov.T


def gaussian_by_deviations(mean, cov, eps):
    return mean + eps * cov.diagonal().sqrt()


def gaussian_not_transposed(mean, cov, eps):
    return mean + eps @ torch.linalg.cholesky(cov)


def gaussian_columns(mean, cov, eps):
    return mean[:, None] + torch.linalg.cholesky(cov) @ eps.T


def blank_in_words():
    return "ten per cent"


def blank_below_zero():
    return -1


def coins_of_laplace(ink):
    return (ink.sum(0) + 1) / (len(ink) + 2)


def coins_rounded(ink):
    return (ink.mean(0) > 0.5).float()


def coins_of_images(ink):
    return ink.mean(1)


def coins_counted(ink):
    return ink.sum(0)


def coins_fair_in_between(ink):
    sure = ink.mean(0)
    return torch.where((sure == 0) | (sure == 1), sure, 0.05)


def verdict_by_variation(answers, outputs, tol=1e-3):
    if len(answers) == 1:
        return "one answer"
    return "draws" if outputs.std(0).max() > tol else "no draw"


def verdict_by_right_answers(answers, outputs, tol=1e-3):
    if len(answers) == 1:
        return "one answer"
    return "draws" if (torch.cdist(outputs, answers).min(1).values <= tol).all() else "no draw"


def verdict_by_equality(answers, outputs, tol=1e-3):
    if len(answers) == 1:
        return "one answer"
    hits = {tuple(row) for row in outputs.tolist()} & {tuple(row) for row in answers.tolist()}
    return "draws" if len(hits) > 1 else "no draw"


def verdict_by_counting(answers, outputs, tol=1e-3):
    return "one answer" if len(answers) == 1 else "draws"


WRONG = {
    "00.pixels": [
        (pixels_over_images, "not over the images"),
        (pixels_negated, "do not turn its sign"),
        (pixels_averaged, "summed, not averaged"),
        (pixels_ink_only, "White pixels count too"),
        (pixels_log_of_product, "underflows"),
    ],
    "00.cholesky": [
        (gaussian_columns, "one sample per row"),
        (gaussian_own_noise, "use the noise eps"),
        (gaussian_by_covariance, "Σ Σᵀ"),
        (gaussian_by_deviations, "no covariances"),
        (gaussian_not_transposed, "eps @ L.T"),
    ],
    "00.blank": [
        (blank_in_words, "return one number"),
        (blank_below_zero, "between 0 and 100"),
    ],
    "00.overconfident": [
        (coins_of_laplace, "nothing is broken yet"),
        (coins_rounded, "do reveal it"),
        (coins_of_images, "average over the images"),
        (coins_counted, "between 0 and 1"),
        (coins_fair_in_between, "less likely than under (2)"),
    ],
    "00.decisive": [
        (verdict_by_counting, "the average of the right answers is none of them"),
        (verdict_by_right_answers, "the same right answer in every run"),
        (verdict_by_equality, "do not compare for equality"),
        (verdict_by_variation, "every output must be near one"),
    ],
}
