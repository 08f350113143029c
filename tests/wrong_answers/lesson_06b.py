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


def step_without_new_noise(xt, x0, a_t, a_s, eta, z):
    variance, eps = _parts(xt, x0, a_t, a_s, eta)
    return a_s.sqrt() * x0 + (1 - a_s - variance).sqrt() * eps


def step_only_the_old_is_cut(xt, x0, a_t, a_s, eta, z):
    variance = eta**2 * (1 - a_s) / (1 - a_t) * (1 - a_t / a_s)
    eps = (xt - a_t.sqrt() * x0) / (1 - a_t).sqrt()
    return a_s.sqrt() * x0 + (1 - a_s - variance).clamp(min=0).sqrt() * eps + variance.sqrt() * z


def step_upside_down(xt, x0, a_t, a_s, eta, z):
    _, eps = _parts(xt, x0, a_t, a_s, eta)
    variance = torch.minimum(eta**2 * (1 - a_t) / (1 - a_s) * (1 - a_t / a_s), 1 - a_s)
    return a_s.sqrt() * x0 + (1 - a_s - variance).sqrt() * eps + variance.sqrt() * z


def step_beta(xt, x0, a_t, a_s, eta, z):
    _, eps = _parts(xt, x0, a_t, a_s, eta)
    variance = torch.minimum(eta**2 * (1 - a_t / a_s), 1 - a_s)
    return a_s.sqrt() * x0 + (1 - a_s - variance).sqrt() * eps + variance.sqrt() * z


def step_noise_not_scaled(xt, x0, a_t, a_s, eta, z):
    variance, eps = _parts(xt, x0, a_t, a_s, eta)
    return a_s.sqrt() * x0 + (1 - a_s - variance).sqrt() * (xt - a_t.sqrt() * x0) + variance.sqrt() * z


def step_cuts_the_deviation(xt, x0, a_t, a_s, eta, z):
    sigma = eta * ((1 - a_s) / (1 - a_t) * (1 - a_t / a_s)).sqrt()
    sigma = torch.minimum(sigma, 1 - a_s)
    eps = (xt - a_t.sqrt() * x0) / (1 - a_t).sqrt()
    return a_s.sqrt() * x0 + (1 - a_s - sigma**2).sqrt() * eps + sigma * z


def step_divides_by_what_is_left(xt, x0, a_t, a_s, eta, z):
    share = torch.minimum(eta**2 * (1 - a_t / a_s) / (1 - a_t), torch.ones(()))  # of the noise, new
    variance = share * (1 - a_s) ** 2 / (1 - a_s)
    eps = (xt - a_t.sqrt() * x0) / (1 - a_t).sqrt()
    return a_s.sqrt() * x0 + (1 - a_s - variance).sqrt() * eps + variance.sqrt() * z


def step_promotes(xt, x0, a_t, a_s, eta, z):
    axes = [1] * xt.dim()
    variance, eps = _parts(xt, x0, a_t.view(axes), a_s.view(axes), eta)
    return a_s.sqrt() * x0 + (1 - a_s - variance).sqrt() * eps + variance.sqrt() * z


def paste_clean(free, known, mask, a_s, z):
    return torch.where(mask, known, free)


def paste_mask_turned(free, known, mask, a_s, z):
    return torch.where(mask, free, a_s.sqrt() * known + (1 - a_s).sqrt() * z)


def paste_everywhere(free, known, mask, a_s, z):
    return a_s.sqrt() * known + (1 - a_s).sqrt() * z


def paste_without_noise(free, known, mask, a_s, z):
    return torch.where(mask, a_s.sqrt() * known, free)


def paste_not_shrunk(free, known, mask, a_s, z):
    return torch.where(mask, known + (1 - a_s).sqrt() * z, free)


def paste_variance_for_deviation(free, known, mask, a_s, z):
    return torch.where(mask, a_s.sqrt() * known + (1 - a_s) * z, free)


def paste_signal_without_root(free, known, mask, a_s, z):
    return torch.where(mask, a_s * known + (1 - a_s).sqrt() * z, free)


def paste_exchanged(free, known, mask, a_s, z):
    return torch.where(mask, (1 - a_s).sqrt() * known + a_s.sqrt() * z, free)


def paste_noises_all(free, known, mask, a_s, z):
    return a_s.sqrt() * torch.where(mask, known, free) + (1 - a_s).sqrt() * z


def paste_leaves_holes(free, known, mask, a_s, z):
    return mask * (a_s.sqrt() * known + (1 - a_s).sqrt() * z)


def paste_adds(free, known, mask, a_s, z):
    return free + mask * (a_s.sqrt() * known + (1 - a_s).sqrt() * z)


def paste_in_place(free, known, mask, a_s, z):
    free[mask] = (a_s.sqrt() * known + (1 - a_s).sqrt() * z)[mask]
    return free


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


def guess_without_two(xt, data, a_t):
    return (-torch.cdist(xt, a_t.sqrt() * data).square() / (1 - a_t)).softmax(1) @ data


def guess_without_variance(xt, data, a_t):
    return (-torch.cdist(xt, a_t.sqrt() * data).square() / 2).softmax(1) @ data


def guess_by_deviation(xt, data, a_t):
    return (-torch.cdist(xt, a_t.sqrt() * data).square() / (2 * (1 - a_t).sqrt())).softmax(1) @ data


def guess_nearest(xt, data, a_t):
    return data[torch.cdist(xt, a_t.sqrt() * data).argmin(1)]


def guess_of_shrunk_images(xt, data, a_t):
    shrunk = a_t.sqrt() * data
    return (-torch.cdist(xt, shrunk).square() / (2 * (1 - a_t))).softmax(1) @ shrunk


def guess_mean_of_squares(xt, data, a_t):
    squares = torch.cdist(xt, a_t.sqrt() * data).square() / data.shape[1]
    return (-squares / (2 * (1 - a_t))).softmax(1) @ data


def guess_one_shift_for_all(xt, data, a_t):
    logits = -torch.cdist(xt, a_t.sqrt() * data).square() / (2 * (1 - a_t))
    weights = (logits - logits.max()).exp()
    return weights / (weights.sum(1, keepdim=True) + 1e-300) @ data


def guess_in_double(xt, data, a_t):
    squares = torch.cdist(xt.double(), a_t.sqrt() * data.double()).square()
    return (-squares / (2 * (1 - a_t))).softmax(1) @ data.double()


def guess_by_all_differences(xt, data, a_t):
    squares = (xt[:, None] - a_t.sqrt() * data).square().sum(2)
    return (-squares / (2 * (1 - a_t))).softmax(1) @ data


WRONG = {
    "06b.eta_step": [
        (step_without_noise, "where is the new noise"),
        (step_old_noise_not_reduced, "the old is not reduced"),
        (step_variance_for_deviation, "multiplied by σ"),
        (step_eta_not_squared, "η squared"),
        (step_not_cut, "for a large η"),
        (step_without_new_noise, "no new noise comes in its place"),
        (step_only_the_old_is_cut, "z gets the cut one"),
        (step_upside_down, "the quotient is (1 − ᾱ_s)/(1 − ᾱ_t)"),
        (step_beta, "that is β for σ²"),
        (step_noise_not_scaled, "divide by the size of the noise"),
        (step_cuts_the_deviation, "not σ, that is cut"),
        (step_divides_by_what_is_left, "do not divide by 1 − ᾱ_s"),
        (step_promotes, "float64 comes out"),
    ],
    "06b.paste": [
        (paste_clean, "noised to level s"),
        (paste_mask_turned, "True where pixels are"),
        (paste_everywhere, "stays as it is"),
        (paste_without_noise, "need noise, too"),
        (paste_not_shrunk, "must shrink"),
        (paste_variance_for_deviation, "ROOT of 1 − ᾱ_s"),
        (paste_signal_without_root, "ROOT of ᾱ_s"),
        (paste_exchanged, "exchanged"),
        (paste_noises_all, "has its noise already"),
        (paste_leaves_holes, "hidden pixels are empty"),
        (paste_adds, "do not add"),
        (paste_in_place, "in place"),
    ],
    "06b.best_guess": [
        (guess_nearest_farthest, "minus sign"),
        (guess_not_shrunk, "before the distance is taken"),
        (guess_distance_not_squared, "squared"),
        (guess_exp_by_hand, "underflows"),
        (guess_over_points, "softmax(dim=1)"),
        (guess_without_two, "where is the 2"),
        (guess_without_variance, "variance of the noise is missing"),
        (guess_by_deviation, "not by its root"),
        (guess_nearest, "that is the nearest image"),
        (guess_of_shrunk_images, "images themselves"),
        (guess_mean_of_squares, "not a mean"),
        (guess_one_shift_for_all, "each row by its OWN maximum"),
        (guess_in_double, "float64 comes out"),
        (guess_by_all_differences, "all differences"),
    ],
}
