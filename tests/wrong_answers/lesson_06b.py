"""Wrong answers to lesson 06b's exercises, each with a part of the hint it must get."""

import torch


def _parts(xt, x0, a_t, a_s, eta):
    variance = eta**2 * (1 - a_s) / (1 - a_t) * (1 - a_t / a_s)
    return torch.minimum(variance, 1 - a_s), (xt - a_t.sqrt() * x0) / (1 - a_t).sqrt()


def step_without_noise(xt, x0, a_t, a_s, eta, z):
    _, eps = _parts(xt, x0, a_t, a_s, eta)
    return a_s.sqrt() * x0 + (1 - a_s).sqrt() * eps


def step_old_noise_not_reduced(xt, x0, a_t, a_s, eta, z):
    variance, eps = _parts(xt, x0, a_t, a_s, eta)
    return a_s.sqrt() * x0 + (1 - a_s).sqrt() * eps + variance.sqrt() * z


def step_variance_for_deviation(xt, x0, a_t, a_s, eta, z):
    variance, eps = _parts(xt, x0, a_t, a_s, eta)
    return a_s.sqrt() * x0 + (1 - a_s - variance).sqrt() * eps + variance * z


def step_eta_not_squared(xt, x0, a_t, a_s, eta, z):
    variance, eps = _parts(xt, x0, a_t, a_s, eta**0.5)
    return a_s.sqrt() * x0 + (1 - a_s - variance).sqrt() * eps + variance.sqrt() * z


def step_not_cut(xt, x0, a_t, a_s, eta, z):
    variance = eta**2 * (1 - a_s) / (1 - a_t) * (1 - a_t / a_s)
    eps = (xt - a_t.sqrt() * x0) / (1 - a_t).sqrt()
    return a_s.sqrt() * x0 + (1 - a_s - variance).sqrt() * eps + variance.sqrt() * z


def paste_clean(free, known, mask, a_s, z):
    return torch.where(mask, known, free)


def paste_mask_turned(free, known, mask, a_s, z):
    return torch.where(mask, free, a_s.sqrt() * known + (1 - a_s).sqrt() * z)


def paste_everywhere(free, known, mask, a_s, z):
    return a_s.sqrt() * known + (1 - a_s).sqrt() * z


def guess_nearest_farthest(xt, data, a_t):
    return (torch.cdist(xt, a_t.sqrt() * data).square() / (2 * (1 - a_t))).softmax(1) @ data


def guess_not_shrunk(xt, data, a_t):
    return (-torch.cdist(xt, data).square() / (2 * (1 - a_t))).softmax(1) @ data


def guess_distance_not_squared(xt, data, a_t):
    return (-torch.cdist(xt, a_t.sqrt() * data) / (2 * (1 - a_t))).softmax(1) @ data


def guess_exp_by_hand(xt, data, a_t):
    weights = (-torch.cdist(xt, a_t.sqrt() * data).square() / (2 * (1 - a_t))).exp()
    return weights / weights.sum(1, keepdim=True) @ data


def guess_over_points(xt, data, a_t):
    return (-torch.cdist(xt, a_t.sqrt() * data).square() / (2 * (1 - a_t))).softmax(0) @ data


WRONG = {
    "06b.eta_step": [
        (step_without_noise, "where is the new noise"),
        (step_old_noise_not_reduced, "the old is not reduced"),
        (step_variance_for_deviation, "multiplied by σ"),
        (step_eta_not_squared, "η squared"),
        (step_not_cut, "cut σ²"),
    ],
    "06b.paste": [
        (paste_clean, "noised to level s"),
        (paste_mask_turned, "True where pixels are"),
        (paste_everywhere, "stays as it is"),
    ],
    "06b.best_guess": [
        (guess_nearest_farthest, "minus sign"),
        (guess_not_shrunk, "shrunk"),
        (guess_distance_not_squared, "squared"),
        (guess_exp_by_hand, "underflows"),
        (guess_over_points, "there is one answer"),
    ],
}
