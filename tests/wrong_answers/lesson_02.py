"""Wrong answers to the exercises of lesson 02, each with a part of the hint that it must get."""

import torch


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


def latent_without_prior(x, mean, W, noise):
    cov = torch.linalg.pinv(W.T @ W / noise)
    return (x - mean) @ W @ cov / noise, cov


def latent_not_centred(x, mean, W, noise):
    cov = torch.linalg.inv(torch.eye(W.shape[1], dtype=W.dtype) + W.T @ W / noise)
    return x @ W @ cov / noise, cov


def latent_precision(x, mean, W, noise):
    precision = torch.eye(W.shape[1], dtype=W.dtype) + W.T @ W / noise
    return torch.linalg.solve(precision, ((x - mean) @ W / noise).T).T, precision


def latent_noise_squared(x, mean, W, noise):
    cov = torch.linalg.inv(torch.eye(W.shape[1], dtype=W.dtype) + W.T @ W / noise**2)
    return (x - mean) @ W @ cov / noise**2, cov


def latent_mean_not_divided(x, mean, W, noise):
    cov = torch.linalg.inv(torch.eye(W.shape[1], dtype=W.dtype) + W.T @ W / noise)
    return (x - mean) @ W @ cov, cov


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


WRONG = {
    "02.responsibilities": [
        (resp_over_points, "your columns sum to 1"),
        (resp_without_weights, "the responsibilities are the weights"),
        (resp_outside_log_space, "use torch.logsumexp"),
        (resp_not_logarithms, "return the logarithm"),
        (resp_not_normalised, "subtract log p(x)"),
    ],
    "02.m_step": [
        (m_step_counts, "your weights sum to N"),
        (m_step_means_over_all, "divide by N_k"),
        (m_step_hard, "fractions of points count"),
        (m_step_over_components, "over the points (dim=0)"),
    ],
    "02.conditional": [
        (latent_without_prior, "is the identity"),
        (latent_not_centred, "subtract the mean"),
        (latent_precision, "is its inverse"),
        (latent_noise_squared, "do not square it"),
        (latent_mean_not_divided, "Is the division by σ² there?"),
    ],
    "02.kl_gaussians": [
        (kl_turned, "belongs to the second Gaussian"),
        (kl_without_d, "is the − d missing"),
        (kl_without_half, "the factor ½"),
        (kl_determinants_turned, "sign of the log-determinants"),
    ],
}
