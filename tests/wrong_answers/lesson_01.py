"""Usual mistakes in lesson 01's exercises, each with a piece of the hint it must get."""

import torch
import torch.nn.functional as F
from torch.distributions import LowRankMultivariateNormal


def posterior_not_in_log_space(log_lik, prior):
    joint = log_lik.exp() * prior
    return joint / joint.sum(1, keepdim=True)


def posterior_over_the_wrong_axis(log_lik, prior):
    return (log_lik + prior.log()).softmax(0)


def posterior_without_the_prior(log_lik, prior):
    return log_lik.softmax(1)


def posterior_left_as_logarithm(log_lik, prior):
    return (log_lik + prior.log()).log_softmax(1)


def lda_without_the_inverse(mean0, mean1, cov, prior1):
    w = mean1 - mean0
    return w, -0.5 * (mean1 + mean0) @ w


def lda_with_the_prior_forgotten(mean0, mean1, cov, prior1):
    w = torch.linalg.solve(cov, mean1 - mean0)
    return w, -0.5 * (mean1 + mean0) @ w


def lda_with_the_classes_swapped(mean0, mean1, cov, prior1):
    w = torch.linalg.solve(cov, mean0 - mean1)
    return w, -0.5 * (mean1 + mean0) @ w


def lda_without_the_half(mean0, mean1, cov, prior1):
    w = torch.linalg.solve(cov, mean1 - mean0)
    return w, -(mean1 + mean0) @ w + torch.tensor(prior1 / (1 - prior1)).log()


def _gaussian(mean, W, sigma2):
    return LowRankMultivariateNormal(mean, W, sigma2.expand(len(mean)))


def marginal_by_filling_zeros(x, seen, mean, W, sigma2):
    return _gaussian(mean, W, sigma2).log_prob(torch.where(seen, x, 0.0))


def marginal_by_filling_the_mean(x, seen, mean, W, sigma2):
    return _gaussian(mean, W, sigma2).log_prob(torch.where(seen, x, mean))


def marginal_that_ignores_the_mask(x, seen, mean, W, sigma2):
    return _gaussian(mean, W, sigma2).log_prob(x)


def marginal_without_the_loadings(x, seen, mean, W, sigma2):
    return torch.distributions.Normal(mean[seen], sigma2.sqrt()).log_prob(x[:, seen]).sum(1)


def _draws(n, columns, generator):
    return torch.randn(n, columns, generator=generator, dtype=torch.float64)


def sample_without_noise(mean, W, sigma2, n, generator):
    return mean + _draws(n, W.shape[1], generator) @ W.T


def sample_with_the_variance_as_deviation(mean, W, sigma2, n, generator):
    return mean + _draws(n, W.shape[1], generator) @ W.T + sigma2 * _draws(n, len(mean), generator)


def sample_with_one_latent(mean, W, sigma2, n, generator):
    z = _draws(1, W.shape[1], generator)
    return mean + 1e-6 * (z @ W.T) + sigma2.sqrt() * _draws(n, len(mean), generator)


def sample_without_the_generator(mean, W, sigma2, n, generator):
    return mean + torch.randn(n, W.shape[1]).double() @ W.T + sigma2.sqrt() * torch.randn(n, len(mean))


def sample_with_one_noise_for_all_pixels(mean, W, sigma2, n, generator):
    return mean + _draws(n, W.shape[1], generator) @ W.T + sigma2.sqrt() * _draws(n, 1, generator)


def holes_without_the_mask(model, x, y):
    x = x.flatten(1)
    seen = (torch.rand_like(x) > torch.rand(len(x), 1)).float()
    return F.cross_entropy(model(x * seen), y)


def holes_with_one_share_for_the_batch(model, x, y):
    x = x.flatten(1)
    seen = (torch.rand_like(x) > torch.rand(1)).float()
    return F.cross_entropy(model(torch.cat([x * seen, seen], 1)), y)


def holes_always_at_a_half(model, x, y):
    x = x.flatten(1)
    share = 0.5 + 0.2 * torch.rand(len(x), 1)
    seen = (torch.rand_like(x) > share).float()
    return F.cross_entropy(model(torch.cat([x * seen, seen], 1)), y)


def holes_not_cut(model, x, y):
    x = x.flatten(1)
    seen = (torch.rand_like(x) > torch.rand(len(x), 1)).float()
    return F.cross_entropy(model(torch.cat([x, seen], 1)), y)


def holes_with_the_mask_turned_round(model, x, y):
    x = x.flatten(1)
    holes = (torch.rand_like(x) < torch.rand(len(x), 1)).float()
    return F.cross_entropy(model(torch.cat([x * (1 - holes), holes], 1)), y)


def holes_summed(model, x, y):
    x = x.flatten(1)
    seen = (torch.rand_like(x) > torch.rand(len(x), 1)).float()
    return F.cross_entropy(model(torch.cat([x * seen, seen], 1)), y, reduction="sum")


def _two_groups(distance):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(200, 2, generator=generator, dtype=torch.float64)
    y = torch.arange(200) // 100
    x[y == 1, 0] += distance
    return x, y


def break_lda_with_overlapping_classes():
    return _two_groups(1.0)


def break_lda_with_easy_classes():
    return _two_groups(20.0)


def break_lda_with_a_rare_class():
    x, y = _two_groups(20.0)
    return x[:110], y[:110]


def bets_in_percent():
    return [90, 80, 100, 60, 100]


def bets_for_four():
    return [0.9, 0.8, 1.0, 0.6]


def bets_below_zero():
    return [0.9, -0.8, 1.0, 0.6, 0.1]


def naive_bayes_without_smoothing(x, y, alpha, classes):
    return torch.stack([x[y == k].mean(0) for k in range(classes)])


def naive_bayes_with_half_the_total(x, y, alpha, classes):
    return torch.stack([(x[y == k].sum(0) + alpha) / ((y == k).sum() + alpha) for k in range(classes)])


def naive_bayes_for_documents(x, y, alpha, classes):
    return torch.stack(
        [(x[y == k].sum(0) + alpha) / ((y == k).sum() + alpha * x.shape[1]) for k in range(classes)]
    )


def naive_bayes_over_all_images(x, y, alpha, classes):
    return torch.stack([(x[y == k].sum(0) + alpha) / (len(x) + 2 * alpha) for k in range(classes)])


WRONG = {
    "01.posterior": [
        (posterior_not_in_log_space, "Stay in log-space"),
        (posterior_over_the_wrong_axis, "columns sum to 1"),
        (posterior_without_the_prior, "the prior is missing"),
        (posterior_left_as_logarithm, "did you return log-probabilities"),
    ],
    "01.lda": [
        (lda_without_the_inverse, "only the difference of the means"),
        (lda_with_the_prior_forgotten, "ignores the prior"),
        (lda_with_the_classes_swapped, "sign of w is turned"),
        (lda_without_the_half, "missing the factor ½"),
    ],
    "01.marginal": [
        (marginal_by_filling_zeros, "hidden pixels are 0"),
        (marginal_by_filling_the_mean, "equal the class mean"),
        (marginal_that_ignores_the_mask, "it must not look at them"),
        (marginal_without_the_loadings, "ordinary log-density"),
    ],
    "01.sample": [
        (sample_without_noise, "noise σ ε is missing"),
        (sample_with_the_variance_as_deviation, "sigma2 is the variance"),
        (sample_with_one_latent, "share one z"),
        (sample_without_the_generator, "same generator seed"),
        (sample_with_one_noise_for_all_pixels, "share one noise"),
    ],
    "01.hole_loss": [
        (holes_without_the_mask, "put the mask beside it"),
        (holes_with_one_share_for_the_batch, "no image differs"),
        (holes_always_at_a_half, "about the same share"),
        (holes_not_cut, "holes are not cut"),
        (holes_with_the_mask_turned_round, "turned round"),
        (holes_summed, "sum over the batch"),
    ],
    "01.break_lda": [
        (break_lda_with_overlapping_classes, "no line separates"),
        (break_lda_with_easy_classes, "correctly"),
        (break_lda_with_a_rare_class, "a quarter of the points"),
    ],
    "01.bets": [
        (bets_in_percent, "percentages"),
        (bets_for_four, "five bets"),
        (bets_below_zero, "a probability"),
    ],
    "01.naive_bayes": [
        (naive_bayes_without_smoothing, "α has no effect"),
        (naive_bayes_with_half_the_total, "two values, ink and paper"),
        (naive_bayes_for_documents, "for words in a document"),
        (naive_bayes_over_all_images, "divide by all images"),
    ],
}
