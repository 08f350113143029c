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


def pixels_exchanged(x, theta):
    return (x * (1 - theta).log() + (1 - x) * theta.log()).sum(1)


def pixels_of_logits(x, theta):
    return Bernoulli(logits=theta).log_prob(x).sum(1)


def pixels_with_a_small_number(x, theta):
    return (torch.where(x > 0.5, theta, 1 - theta).prod(1) + 1e-38).log()


def pixels_clamped(x, theta):
    theta = theta.clamp(1e-4, 1 - 1e-4)
    return (x * theta.log() + (1 - x) * (1 - theta).log()).sum(1)


def pixels_in_bits(x, theta):
    return (x * theta.log2() + (1 - x) * (1 - theta).log2()).sum(1)


def pixels_without_logarithm(x, theta):
    return torch.where(x > 0.5, theta, 1 - theta).prod(1)


def pixels_log_of_a_sum(x, theta):
    return (x * theta + (1 - x) * (1 - theta)).sum(1).log()


def pixels_brackets(x, theta):
    return (x * theta.log() + (1 - x) * (1 - theta.log())).sum(1)


def pixels_subtracted(x, theta):
    return (x * theta.log() - (1 - x) * (1 - theta).log()).sum(1)


def pixels_paper_only(x, theta):
    return ((1 - x) * (1 - theta).log()).sum(1)


def pixels_zero_inside(x, theta):
    return (x * theta).log().sum(1)


def pixels_squeezed(x, theta):
    return (x * theta.log() + (1 - x) * (1 - theta).log()).sum(1).squeeze()


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


def gaussian_reshaped(mean, cov, eps):
    factor = torch.linalg.cholesky(cov)
    return (factor @ eps.reshape(len(mean), -1)).T + mean


def gaussian_without_the_mean(mean, cov, eps):
    return eps @ torch.linalg.cholesky(cov).T


def gaussian_mean_inside(mean, cov, eps):
    return (mean + eps) @ torch.linalg.cholesky(cov).T


def gaussian_root_of_entries(mean, cov, eps):
    return mean + eps @ cov.sqrt()


def gaussian_solved(mean, cov, eps):
    factor = torch.linalg.cholesky(cov)
    return mean + torch.linalg.solve_triangular(factor.T, eps.T, upper=True).T


def gaussian_whitened(mean, cov, eps):
    factor = torch.linalg.cholesky(cov)
    return mean + torch.linalg.solve_triangular(factor, eps.T, upper=False).T


def gaussian_with_jitter(mean, cov, eps):
    return mean + eps @ torch.linalg.cholesky(cov + 1e-2 * torch.eye(len(mean))).T


def gaussian_by_variances(mean, cov, eps):
    return mean + eps * cov.diagonal()


def gaussian_of_two(mean, cov, eps):
    a, b = cov[0, 0].sqrt(), cov[0, 1] / cov[0, 0].sqrt()
    c = (cov[1, 1] - b**2).sqrt()
    factor = torch.stack([torch.stack([a, torch.zeros(())]), torch.stack([b, c])])
    out = mean + eps
    out[:, :2] = mean[:2] + eps[:, :2] @ factor.T
    return out


def gaussian_not_mixed(mean, cov, eps):
    return mean + eps


def blank_in_words():
    return "ten per cent"


def blank_below_zero():
    return -1


def blank_in_a_list():
    return [10.0]


def blank_unknown():
    return float("nan")


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


def coins_clamped_above(ink):
    return ink.mean(0).clamp(max=1 - 1e-4)


def coins_clamped_below(ink):
    return ink.mean(0).clamp(min=1e-4)


def coins_to_three_places(ink):
    return ink.mean(0).round(decimals=3)


def coins_of_paper(ink):
    return 1 - ink.mean(0)


def coins_kept_as_a_row(ink):
    return ink.mean(0, keepdim=True)


def coins_in_per_cent(ink):
    return 100 * ink.mean(0)


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


def _verdict(answers, distance, tol, many=1):
    """The right verdict, from a table (N, M) of distances and more than `many` different answers."""
    if len(answers) == 1:
        return "one answer"
    least, nearest = distance.min(1)
    return "draws" if (least <= tol).all() and len(nearest.unique()) > many else "no draw"


def _differences(answers, outputs):
    return outputs[:, None] - answers[None]  # (N, M, D)


def verdict_by_square(answers, outputs, tol=1e-3):
    return _verdict(answers, _differences(answers, outputs).square().sum(-1), tol)


def verdict_if_all_occur(answers, outputs, tol=1e-3):
    return _verdict(answers, torch.cdist(outputs, answers), tol, len(answers) - 1)


def verdict_in_a_box(answers, outputs, tol=1e-3):
    return _verdict(answers, _differences(answers, outputs).abs().amax(-1), tol)


def verdict_by_city_blocks(answers, outputs, tol=1e-3):
    return _verdict(answers, _differences(answers, outputs).abs().sum(-1), tol)


def verdict_with_its_own_tol(answers, outputs, tol=1e-3):
    return _verdict(answers, torch.cdist(outputs, answers), 0.1)


def verdict_with_another_default(answers, outputs, tol=1e-2):
    return _verdict(answers, torch.cdist(outputs, answers), tol)


def verdict_too_strict_by_default(answers, outputs, tol=1e-6):
    return _verdict(answers, torch.cdist(outputs, answers), tol)


def verdict_by_different_outputs(answers, outputs, tol=1e-3):
    if len(answers) == 1:
        return "one answer"
    right = (torch.cdist(outputs, answers).amin(1) <= tol).all()
    return "draws" if right and len(outputs.unique(dim=0)) > 1 else "no draw"


def verdict_without_one_answer(answers, outputs, tol=1e-3):
    least, nearest = torch.cdist(outputs, answers).min(1)
    return "draws" if (least <= tol).all() and len(nearest.unique()) > 1 else "no draw"


def verdict_in_other_words(answers, outputs, tol=1e-3):
    return _verdict(answers, torch.cdist(outputs, answers), tol).upper()


def verdict_as_a_truth(answers, outputs, tol=1e-3):
    return _verdict(answers, torch.cdist(outputs, answers), tol) == "draws"


def verdict_by_mean_distance(answers, outputs, tol=1e-3):
    if len(answers) == 1:
        return "one answer"
    least, nearest = torch.cdist(outputs, answers).min(1)
    return "draws" if least.mean() <= tol and len(nearest.unique()) > 1 else "no draw"


def verdict_by_a_single_run(answers, outputs, tol=1e-3):
    if len(outputs) == 1:
        return "draws"
    return _verdict(answers, torch.cdist(outputs, answers), tol)


WRONG = {
    "00.pixels": [
        (pixels_over_images, "not over the images"),
        (pixels_negated, "do not turn its sign"),
        (pixels_averaged, "summed, not averaged"),
        (pixels_ink_only, "White pixels count too"),
        (pixels_log_of_product, "its logarithm to −∞"),
        (pixels_exchanged, "ink and paper are exchanged"),
        (pixels_of_logits, "taken for a logit"),
        (pixels_with_a_small_number, "only hides that"),
        (pixels_clamped, "do not clamp it"),
        (pixels_in_bits, "in bits"),
        (pixels_without_logarithm, "these are the probabilities"),
        (pixels_log_of_a_sum, "logarithm of a sum"),
        (pixels_brackets, "mind the brackets"),
        (pixels_subtracted, "are subtracted"),
        (pixels_paper_only, "only the paper"),
        (pixels_zero_inside, "infinite or not a number"),
        (pixels_squeezed, "do not squeeze"),
    ],
    "00.cholesky": [
        (gaussian_columns, "one sample per row"),
        (gaussian_own_noise, "use the noise eps"),
        (gaussian_by_covariance, "Σ Σᵀ"),
        (gaussian_by_deviations, "no covariances"),
        (gaussian_not_transposed, "LᵀL instead of LLᵀ"),
        (gaussian_reshaped, "a reshape is no transpose"),
        (gaussian_without_the_mean, "the mean is not added"),
        (gaussian_mean_inside, "add it after the multiplication"),
        (gaussian_root_of_entries, "root of each entry"),
        (gaussian_solved, "is Σ⁻¹"),
        (gaussian_whitened, "with the order turned"),
        (gaussian_with_jitter, "add nothing to its diagonal"),
        (gaussian_by_variances, "multiplied by its variance"),
        (gaussian_of_two, "is a size fixed to 2"),
        (gaussian_not_mixed, "is the identity"),
    ],
    "00.blank": [
        (blank_in_words, "return one number"),
        (blank_below_zero, "between 0 and 100"),
        (blank_in_a_list, "yours is a list"),
        (blank_unknown, "a finite number"),
    ],
    "00.overconfident": [
        (coins_of_laplace, "nothing is broken yet"),
        (coins_rounded, "do reveal it"),
        (coins_of_images, "average over the images"),
        (coins_counted, "these are counts"),
        (coins_fair_in_between, "less likely than under (2)"),
        (coins_clamped_below, "agree on paper, and nowhere on ink"),
        (coins_clamped_above, "agree on ink, and nowhere on paper"),
        (coins_to_three_places, "in a large set"),
        (coins_of_paper, "shares of paper"),
        (coins_kept_as_a_row, "the shape should be (4,), not (1, 4)"),
        (coins_in_per_cent, "between 0 and 1."),
    ],
    "00.decisive": [
        (verdict_by_counting, "the average of the right answers is none of them"),
        (verdict_by_right_answers, "the same right answer in every run"),
        (verdict_by_equality, "do not compare for equality"),
        (verdict_by_variation, "every output must be near one"),
        (verdict_by_square, "not its square"),
        (verdict_if_all_occur, "not every right answer need occur"),
        (verdict_in_a_box, "not the largest or the mean difference"),
        (verdict_by_city_blocks, "not the sum of the differences"),
        (verdict_with_its_own_tol, "use the argument tol"),
        (verdict_with_another_default, "0.0013 away are wrong"),
        (verdict_too_strict_by_default, "0.00085 away count as right"),
        (verdict_by_different_outputs, "not the different outputs"),
        (verdict_without_one_answer, "the verdict is 'one answer'"),
        (verdict_in_other_words, "spelled like that"),
        (verdict_as_a_truth, "as text, not a bool"),
        (verdict_by_mean_distance, "not their mean"),
        (verdict_by_a_single_run, "a single run"),
    ],
}
