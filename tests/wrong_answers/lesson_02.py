"""Wrong answers to the exercises of lesson 02, each with a part of the hint that it must get."""

import torch

from tests.wrong_answers import draws_02 as draws
from tests.wrong_answers import gaussians_02 as gaussians


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


def resp_of_one_maximum(log_weights, log_probs):
    log_joint = log_weights + log_probs
    top = log_joint.max()
    log_px = top + (log_joint - top).exp().sum(1).log()
    return log_joint - log_px[:, None], log_px


def resp_with_a_small_number(log_weights, log_probs):
    log_joint = log_weights + log_probs
    return (log_joint.softmax(1) + 1e-10).log(), log_joint.logsumexp(1)


def resp_log_of_softmax(log_weights, log_probs):
    log_joint = log_weights + log_probs
    return log_joint.softmax(1).log(), log_joint.logsumexp(1)


def resp_clamped(log_weights, log_probs):
    log_joint = (log_weights + log_probs).clamp(min=-700)
    log_px = log_joint.logsumexp(1)
    return log_joint - log_px[:, None], log_px


def resp_largest_for_the_sum(log_weights, log_probs):
    log_joint = log_weights + log_probs
    log_px = log_joint.max(1).values
    return log_joint - log_px[:, None], log_px


def resp_sum_of_logarithms(log_weights, log_probs):
    log_joint = log_weights + log_probs
    return log_joint.log_softmax(1), log_joint.sum(1)


def resp_with_density(log_weights, log_probs):
    log_joint = log_weights + log_probs
    return log_joint.log_softmax(1), log_joint.logsumexp(1).exp()


def resp_unweighted_but_right_density(log_weights, log_probs):
    return log_probs.log_softmax(1), (log_weights + log_probs).logsumexp(1)


def resp_weights_subtracted(log_weights, log_probs):
    log_joint = log_probs - log_weights
    log_px = log_joint.logsumexp(1)
    return log_joint - log_px[:, None], log_px


def resp_added(log_weights, log_probs):
    log_joint = log_weights + log_probs
    log_px = log_joint.logsumexp(1)
    return log_joint + log_px[:, None], log_px


def resp_in_float32(log_weights, log_probs):
    log_joint = (log_weights + log_probs).float()
    log_px = log_joint.logsumexp(1)
    return (log_joint - log_px[:, None]).double(), log_px.double()


def resp_turned_round(log_weights, log_probs):
    log_joint = log_weights + log_probs
    return log_joint.logsumexp(1), log_joint.log_softmax(1)


def resp_squeezed(log_weights, log_probs):
    log_joint = log_weights + log_probs
    return log_joint.log_softmax(1).squeeze(), log_joint.logsumexp(1)


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


def m_step_along_the_wrong_axis(x, resp):
    owned = resp.sum(0)
    sums = resp.T @ x
    return owned / len(x), sums / owned if sums.shape[1] == len(owned) else sums / owned[:, None]


def m_step_sums(x, resp):
    return resp.mean(0), resp.T @ x


def m_step_clamped(x, resp):
    owned = resp.sum(0)
    return owned / len(x), resp.T @ x / owned.clamp(min=1)[:, None]


def m_step_means_first(x, resp):
    owned = resp.sum(0)
    return resp.T @ x / owned[:, None], owned / len(x)


def m_step_squared(x, resp):
    square = resp.square() / resp.square().sum(1, keepdim=True)
    owned = square.sum(0)
    return owned / len(x), square.T @ x / owned[:, None]


def m_step_equal_weights(x, resp):
    owned = resp.sum(0)
    return torch.full_like(owned, 1 / len(owned)), resp.T @ x / owned[:, None]


def m_step_in_float32(x, resp):
    x, resp = x.float(), resp.float()
    owned = resp.sum(0)
    return (owned / len(x)).double(), (resp.T @ x / owned[:, None]).double()


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


def spike_beside_the_point(x):
    return _spiked(x, x[0] + 1e-3, 1e-80, x.T.cov())


def spike_in_float32(x):
    return [part.float() for part in _spiked(x, x[0], 1e-30, x.T.cov())]


def spike_lopsided(x):
    weights, means, covs = _spiked(x, x[0], 1e-80, x.T.cov())
    covs[1, 0, 1] = 0
    return weights, means, covs


def spike_of_weight_two(x):
    weights, means, covs = _spiked(x, x[0], 1e-80, x.T.cov())
    return 2 * weights, means, covs


def spike_without_covariances(x):
    return _spiked(x, x[0], 1e-80, x.T.cov())[:2]


def spike_with_one_weight(x):
    weights, means, covs = _spiked(x, x[0], 1e-80, x.T.cov())
    return torch.tensor([0.0, 1.0], dtype=x.dtype), means, covs


def bet_too_high():
    return 7


def bet_in_words():
    return 2.5


def bet_negative():
    return -1


def bet_yes():
    return True


def bet_as_text():
    return "four"


def resp_of_log_logs(log_weights, log_probs):
    log_joint = log_weights.log() + log_probs
    return log_joint.log_softmax(1), log_joint.logsumexp(1)


def resp_of_products(log_weights, log_probs):
    log_joint = log_weights * log_probs
    return log_joint.log_softmax(1), log_joint.logsumexp(1)


def m_step_softmax(x, resp):
    return m_step_sums_of(x, resp.softmax(1))


def m_step_sums_of(x, resp):
    return resp.mean(0), resp.T @ x / resp.sum(0)[:, None]


def m_step_transposed(x, resp):
    weights, means = m_step_sums_of(x, resp)
    return weights, means.T


def m_step_with_a_small_number(x, resp):
    return resp.mean(0), resp.T @ x / (resp.sum(0)[:, None] + 1e-8)


WRONG = {
    "02.sample": [
        (draws.averaged, "choose *one* component"),
        (draws.turned, "LᵀL instead of LLᵀ"),
        (draws.with_covariance, "its Cholesky factor L"),
        (draws.without_factor, "is the factor L_k missing"),
        (draws.equal_weights, "not uniformly"),
        (draws.without_generator, "the same generator"),
        (draws.uniform_noise, "not torch.rand"),
        (draws.uniform_noise_standardised, "not Gaussian"),
        (draws.in_shares, "exactly its share"),
        (draws.sorted, "sorted by component"),
        (draws.with_softmax, "no softmax"),
        (draws.with_deviations_only, "do not correlate"),
        (draws.of_first_covariance, "covariance of the first"),
        (draws.of_one_number, "share one random number"),
        (draws.of_one_noise, "ε is drawn once"),
        (draws.with_own_generator, "not one of your own"),
        (draws.from_a_copy, "do not seed or copy it"),
        (draws.with_another_cause, "which component made the point"),
        (draws.with_decimal_causes, "whole numbers"),
        (draws.in_float32, "float32 comes out"),
        (draws.without_causes, "return two things"),
        (draws.squeezed, "no squeeze"),
    ],
    "02.responsibilities": [
        (resp_over_points, "your columns sum to 1"),
        (resp_without_weights, "sum w_k p(x | k), not p(x | k)"),
        (resp_outside_log_space, "use torch.logsumexp"),
        (resp_not_logarithms, "return the logarithm"),
        (resp_not_normalised, "subtract log p(x)"),
        (resp_of_one_maximum, "one maximum of the whole table"),
        (resp_with_a_small_number, "no small number inside"),
        (resp_log_of_softmax, "the logarithm of a softmax"),
        (resp_clamped, "no clamp"),
        (resp_largest_for_the_sum, "the largest term"),
        (resp_sum_of_logarithms, "you add the logarithms"),
        (resp_with_density, "return its logarithm"),
        (resp_unweighted_but_right_density, "leave the weights out"),
        (resp_weights_subtracted, "are subtracted"),
        (resp_added, "you add it"),
        (resp_in_float32, "float32"),
        (resp_turned_round, "first log r"),
        (resp_of_log_logs, "logarithms already"),
        (resp_of_products, "no product"),
        (resp_squeezed, "one point is one row"),
    ],
    "02.m_step": [
        (m_step_counts, "your weights sum to N"),
        (m_step_means_over_all, "divide by R_k"),
        (m_step_hard, "fractions of points count"),
        (m_step_over_components, "over the points (dim=0)"),
        (m_step_along_the_wrong_axis, "along the wrong axis"),
        (m_step_sums, "these are the sums"),
        (m_step_clamped, "is clamped"),
        (m_step_softmax, "no softmax"),
        (m_step_transposed, "yours are transposed"),
        (m_step_with_a_small_number, "no small number"),
        (m_step_means_first, "first one weight"),
        (m_step_squared, "are squared"),
        (m_step_equal_weights, "not 1/K"),
        (m_step_in_float32, "float32"),
    ],
    "02.spike": [
        (spike_of_an_honest_fit, "no point gains"),
        (spike_of_width_zero, "not positive definite"),
        (spike_alone, "must cover all of them"),
        (spike_too_wide, "nats only"),
        (spike_beside_the_point, "beside the points"),
        (spike_in_float32, "dtype=x.dtype"),
        (spike_lopsided, "is symmetric"),
        (spike_of_weight_two, "sum to 1"),
        (spike_without_covariances, "three things"),
        (spike_with_one_weight, "must be positive"),
    ],
    "02.bet": [
        (bet_too_high, "between 0 and 6"),
        (bet_in_words, "a whole number"),
    ],
    "02.kl_gaussians": [
        (gaussians.turned, "you computed KL(b ‖ a)"),
        (gaussians.without_d, "is the − d missing"),
        (gaussians.without_half, "not 25"),
        (gaussians.determinants_turned, "sign of the log-determinants"),
        (gaussians.determinants_missing, "log-determinants are missing"),
        (gaussians.means_missing, "term of the means is missing"),
        (gaussians.means_by_the_first, "in the term of the means, the covariance"),
        (gaussians.means_not_halved, "term of the means is not halved"),
        (gaussians.quotient, "no quotient"),
        (gaussians.without_logarithm, "counts by its logarithm"),
        (gaussians.in_two_dimensions, "not − 2"),
        (gaussians.in_bits, "natural logarithm"),
        (gaussians.of_one_dimension, "not − 1"),
        (gaussians.in_a_matrix, "one number for a pair"),
        (gaussians.negative, "sign of the whole"),
        (gaussians.of_both_directions, "both directions"),
        (gaussians.means_not_inverted, "yours is not inverted"),
        (gaussians.in_float32, "float32"),
        (gaussians.of_diagonals, "product of its diagonal"),
        (gaussians.of_sums, "not all entries"),
    ],
}
