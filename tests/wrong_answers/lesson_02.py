"""Wrong answers to the exercises of lesson 02, each with a part of the hint that it must get."""

import torch


def _draw(weights, means, covs, n, generator, factor=lambda L, eps: torch.einsum("nij,nj->ni", L, eps)):
    k = torch.multinomial(weights, n, replacement=True, generator=generator)
    eps = torch.randn(n, means.shape[1], generator=generator, dtype=means.dtype)
    return means[k] + factor(torch.linalg.cholesky(covs)[k], eps), k


def draws_averaged(weights, means, covs, n, generator):
    eps = torch.randn(n, means.shape[1], generator=generator, dtype=means.dtype)
    k = torch.multinomial(weights, n, replacement=True, generator=generator)
    return sum(
        w * (mean + eps @ torch.linalg.cholesky(cov).T) for w, mean, cov in zip(weights, means, covs)
    ), k


def draws_turned(weights, means, covs, n, generator):
    return _draw(weights, means, covs, n, generator, lambda L, eps: torch.einsum("nji,nj->ni", L, eps))


def draws_with_covariance(weights, means, covs, n, generator):
    return _draw(weights, means, covs, n, generator, lambda L, eps: torch.einsum("nij,nj->ni", L @ L.mT, eps))


def draws_without_factor(weights, means, covs, n, generator):
    return _draw(weights, means, covs, n, generator, lambda L, eps: eps)


def draws_equal_weights(weights, means, covs, n, generator):
    return _draw(torch.ones_like(weights), means, covs, n, generator)


def draws_without_generator(weights, means, covs, n, generator):
    return _draw(weights, means, covs, n, None)


def resp_over_points(log_weights, log_probs):
    log_joint = log_weights + log_probs
    return log_joint - log_joint.logsumexp(0), log_joint.logsumexp(1)


def resp_without_weights(log_weights, log_probs):
    log_px = log_probs.logsumexp(1)
    return log_probs - log_px[:, None], log_px


def resp_outside_log_space(log_weights, log_probs):
    joint = log_weights.exp() * log_probs.exp()
    return (joint / joint.sum(1, keepdim=True)).log(), joint.sum(1).log()


def resp_not_logarithms(log_weights, log_probs):
    log_joint = log_weights + log_probs
    return log_joint.softmax(1), log_joint.logsumexp(1)


def resp_not_normalised(log_weights, log_probs):
    log_joint = log_weights + log_probs
    return log_joint, log_joint.logsumexp(1)


def m_step_counts(x, resp):
    owned = resp.sum(0)
    return owned, resp.T @ x / owned[:, None]


def m_step_means_over_all(x, resp):
    return resp.mean(0), resp.T @ x / len(x)


def m_step_hard(x, resp):
    hard = torch.nn.functional.one_hot(resp.argmax(1), resp.shape[1]).to(x.dtype)
    owned = hard.sum(0)
    return owned / len(x), hard.T @ x / owned[:, None]


def m_step_over_components(x, resp):
    return resp.mean(1), resp.T @ x / resp.sum(0)[:, None]


def _kl(mean_a, cov_a, mean_b, cov_b, dimensions=1.0, factor=0.5, log_sign=1.0):
    gap, d = mean_b - mean_a, len(mean_a)
    inside = torch.linalg.solve(cov_b, cov_a).trace() + gap @ torch.linalg.solve(cov_b, gap) - dimensions * d
    return factor * (inside + log_sign * (cov_b.logdet() - cov_a.logdet()))


def kl_turned(mean_a, cov_a, mean_b, cov_b):
    return _kl(mean_b, cov_b, mean_a, cov_a)


def kl_without_d(mean_a, cov_a, mean_b, cov_b):
    return _kl(mean_a, cov_a, mean_b, cov_b, dimensions=0.0)


def kl_without_half(mean_a, cov_a, mean_b, cov_b):
    return _kl(mean_a, cov_a, mean_b, cov_b, factor=1.0)


def kl_determinants_turned(mean_a, cov_a, mean_b, cov_b):
    return _kl(mean_a, cov_a, mean_b, cov_b, log_sign=-1.0)


def spike_of_an_honest_fit(x):
    half = torch.full((2,), 0.5, dtype=x.dtype)
    order = x[:, 0] > x[:, 0].median()
    groups = (x[order], x[~order])
    return half, torch.stack([g.mean(0) for g in groups]), torch.stack([g.T.cov() for g in groups])


def _spiked(x, place, variance, rest):
    half = torch.full((2,), 0.5, dtype=x.dtype)
    narrow = variance * torch.eye(2, dtype=x.dtype)
    return half, torch.stack([place, x.mean(0)]), torch.stack([narrow, rest])


def spike_of_width_zero(x):
    return _spiked(x, x[0], 0.0, x.T.cov())


def spike_alone(x):
    return _spiked(x, x[0], 1e-80, 1e-3 * torch.eye(2, dtype=x.dtype))


def spike_too_wide(x):
    return _spiked(x, x[0], 1e-9, x.T.cov())


def bet_too_high():
    return 7


def bet_in_words():
    return 2.5


WRONG = {
    "02.sample": [
        (draws_averaged, "choose *one* component"),
        (draws_turned, "LᵀL instead of LLᵀ"),
        (draws_with_covariance, "its Cholesky factor L"),
        (draws_without_factor, "is the factor L_k missing"),
        (draws_equal_weights, "choose k with the weights"),
        (draws_without_generator, "the same generator"),
    ],
    "02.responsibilities": [
        (resp_over_points, "your columns sum to 1"),
        (resp_without_weights, "the responsibilities are the weights"),
        (resp_outside_log_space, "use torch.logsumexp"),
        (resp_not_logarithms, "return the logarithm"),
        (resp_not_normalised, "subtract log p(x)"),
    ],
    "02.m_step": [
        (m_step_counts, "your weights sum to N"),
        (m_step_means_over_all, "divide by R_k"),
        (m_step_hard, "fractions of points count"),
        (m_step_over_components, "over the points (dim=0)"),
    ],
    "02.spike": [
        (spike_of_an_honest_fit, "no point gains"),
        (spike_of_width_zero, "not positive definite"),
        (spike_alone, "must cover all of them"),
        (spike_too_wide, "nats only"),
    ],
    "02.bet": [
        (bet_too_high, "between 0 and 6"),
        (bet_in_words, "a whole number"),
    ],
    "02.kl_gaussians": [
        (kl_turned, "belongs to the second Gaussian"),
        (kl_without_d, "is the − d missing"),
        (kl_without_half, "the factor ½"),
        (kl_determinants_turned, "sign of the log-determinants"),
    ],
}
