"""Usual mistakes in lesson 01's exercises, each with a piece of the hint it must get."""

import torch
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
    "01.naive_bayes": [
        (naive_bayes_without_smoothing, "α has no effect"),
        (naive_bayes_with_half_the_total, "two values, ink and paper"),
        (naive_bayes_for_documents, "for words in a document"),
        (naive_bayes_over_all_images, "divide by all images"),
    ],
}
