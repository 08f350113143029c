"""Wrong KL divergences between Gaussians, for lesson 02's last exercise."""

import torch


def _kl(mean_a, cov_a, mean_b, cov_b, dimensions=1.0, factor=0.5, log_sign=1.0):
    gap, d = mean_b - mean_a, len(mean_a)
    inside = torch.linalg.solve(cov_b, cov_a).trace() + gap @ torch.linalg.solve(cov_b, gap) - dimensions * d
    return factor * (inside + log_sign * (cov_b.logdet() - cov_a.logdet()))


def turned(mean_a, cov_a, mean_b, cov_b):
    return _kl(mean_b, cov_b, mean_a, cov_a)


def without_d(mean_a, cov_a, mean_b, cov_b):
    return _kl(mean_a, cov_a, mean_b, cov_b, dimensions=0.0)


def without_half(mean_a, cov_a, mean_b, cov_b):
    return _kl(mean_a, cov_a, mean_b, cov_b, factor=1.0)


def determinants_turned(mean_a, cov_a, mean_b, cov_b):
    return _kl(mean_a, cov_a, mean_b, cov_b, log_sign=-1.0)


def determinants_missing(mean_a, cov_a, mean_b, cov_b):
    return _kl(mean_a, cov_a, mean_b, cov_b, log_sign=0.0)


def means_missing(mean_a, cov_a, mean_b, cov_b):
    return _kl(mean_a, cov_a, mean_a, cov_b)


def means_by_the_first(mean_a, cov_a, mean_b, cov_b):
    gap = mean_b - mean_a
    return _kl(mean_a, cov_a, mean_a, cov_b) + gap @ torch.linalg.solve(cov_a, gap) / 2


def means_not_halved(mean_a, cov_a, mean_b, cov_b):
    gap = mean_b - mean_a
    return _kl(mean_a, cov_a, mean_b, cov_b) + gap @ torch.linalg.solve(cov_b, gap) / 2


def quotient(mean_a, cov_a, mean_b, cov_b):
    wrong = (cov_a / cov_b).trace() - torch.linalg.solve(cov_b, cov_a).trace()
    return _kl(mean_a, cov_a, mean_b, cov_b) + wrong / 2


def without_logarithm(mean_a, cov_a, mean_b, cov_b):
    ratio = cov_b.det() / cov_a.det()
    return _kl(mean_a, cov_a, mean_b, cov_b, log_sign=0.0) + ratio / 2


def in_two_dimensions(mean_a, cov_a, mean_b, cov_b):
    return _kl(mean_a, cov_a, mean_b, cov_b, dimensions=2 / len(mean_a))


def in_bits(mean_a, cov_a, mean_b, cov_b):
    return _kl(mean_a, cov_a, mean_b, cov_b) / torch.tensor(2.0).log()


def of_one_dimension(mean_a, cov_a, mean_b, cov_b):
    return _kl(mean_a, cov_a, mean_b, cov_b, dimensions=1 / len(mean_a))


def in_a_matrix(mean_a, cov_a, mean_b, cov_b):
    return _kl(mean_a, cov_a, mean_b, cov_b).view(1, 1)


def in_float32(mean_a, cov_a, mean_b, cov_b):
    return _kl(mean_a.float(), cov_a.float(), mean_b.float(), cov_b.float()).double()


def of_diagonals(mean_a, cov_a, mean_b, cov_b):
    gap = mean_b - mean_a
    inside = torch.linalg.solve(cov_b, cov_a).trace() + gap @ torch.linalg.solve(cov_b, gap) - len(gap)
    return 0.5 * (inside + cov_b.diagonal().log().sum() - cov_a.diagonal().log().sum())


def of_sums(mean_a, cov_a, mean_b, cov_b):
    product = torch.linalg.solve(cov_b, cov_a)
    return _kl(mean_a, cov_a, mean_b, cov_b) + (product.sum() - product.trace()) / 2


def negative(mean_a, cov_a, mean_b, cov_b):
    return -_kl(mean_a, cov_a, mean_b, cov_b)


def of_both_directions(mean_a, cov_a, mean_b, cov_b):
    return (_kl(mean_a, cov_a, mean_b, cov_b) + _kl(mean_b, cov_b, mean_a, cov_a)) / 2


def means_not_inverted(mean_a, cov_a, mean_b, cov_b):
    gap = mean_b - mean_a
    return _kl(mean_a, cov_a, mean_a, cov_b) + gap @ cov_b @ gap / 2
