"""Usual mistakes in lesson 05's exercises, each with a piece of the hint it must get."""

import torch
import torch.nn.functional as F


def losses_by_sigmoid_then_log(player, D, real, fake):
    if player == "D":
        return -D(real).sigmoid().log().mean() - (1 - D(fake.detach()).sigmoid()).log().mean()
    return -D(fake).sigmoid().log().mean()


def losses_with_an_epsilon(player, D, real, fake):
    if player == "D":
        return -(D(real).sigmoid() + 1e-7).log().mean() - (1 - D(fake.detach()).sigmoid() + 1e-7).log().mean()
    return -(D(fake).sigmoid() + 1e-7).log().mean()


def losses_with_swapped_labels(player, D, real, fake):
    if player == "D":
        return -F.logsigmoid(-D(real)).mean() - F.logsigmoid(D(fake.detach())).mean()
    return -F.logsigmoid(D(fake)).mean()


def losses_with_the_sign_of_V(player, D, real, fake):
    if player == "D":
        return F.logsigmoid(D(real)).mean() + F.logsigmoid(-D(fake.detach())).mean()
    return -F.logsigmoid(D(fake)).mean()


def losses_not_detached(player, D, real, fake):
    if player == "D":
        return -F.logsigmoid(D(real)).mean() - F.logsigmoid(-D(fake)).mean()
    return -F.logsigmoid(D(fake)).mean()


def losses_detached_for_both(player, D, real, fake):
    fake = fake.detach()
    if player == "D":
        return -F.logsigmoid(D(real)).mean() - F.logsigmoid(-D(fake)).mean()
    return -F.logsigmoid(D(fake)).mean()


def losses_saturating(player, D, real, fake):
    if player == "D":
        return -F.logsigmoid(D(real)).mean() - F.logsigmoid(-D(fake.detach())).mean()
    return F.logsigmoid(-D(fake)).mean()


def critic_from_densities(log_p_data, log_p_model):
    return log_p_data.exp() / (log_p_data.exp() + log_p_model.exp())


def critic_turned_round(log_p_data, log_p_model):
    return torch.sigmoid(log_p_model - log_p_data)


def critic_left_as_logit(log_p_data, log_p_model):
    return log_p_data - log_p_model


def critic_as_ratio(log_p_data, log_p_model):
    return (log_p_data - log_p_model).exp()


def modes_with_any_sample(samples, centres, sigma):
    return int((torch.cdist(samples, centres) <= 3 * sigma).any(0).sum())


def modes_counting_samples(samples, centres, sigma):
    return int((torch.cdist(samples, centres) <= 3 * sigma).any(1).sum())


def modes_within_one_sigma(samples, centres, sigma):
    return int(((torch.cdist(samples, centres) <= sigma).sum(0) >= 20).sum())


def modes_in_squares(samples, centres, sigma):
    near = ((samples[:, None] - centres).abs() <= 3 * sigma).all(2)
    return int((near.sum(0) >= 20).sum())


def _slope(D, real, create_graph=True):
    real = real.detach().requires_grad_(True)
    return torch.autograd.grad(D(real).sum(), real, create_graph=create_graph)[0]


def r1_without_the_half(D, real):
    return _slope(D, real).square().flatten(1).sum(1).mean()


def r1_without_the_square(D, real):
    return 0.5 * _slope(D, real).square().flatten(1).sum(1).sqrt().mean()


def r1_mean_over_coordinates(D, real):
    return 0.5 * _slope(D, real).square().mean()


def r1_summed_over_the_batch(D, real):
    return 0.5 * _slope(D, real).square().sum()


def r1_of_the_mean_logit(D, real):
    real = real.detach().requires_grad_(True)
    (slope,) = torch.autograd.grad(D(real).mean(), real, create_graph=True)
    return 0.5 * slope.square().flatten(1).sum(1).mean()


def r1_without_create_graph(D, real):
    return 0.5 * _slope(D, real, create_graph=False).square().flatten(1).sum(1).mean()


def keep_by_probability(logits, u):
    return u < torch.sigmoid(logits)


def keep_turned_round(logits, u):
    return u > (logits - logits.max()).exp()


def keep_without_the_largest(logits, u):
    return u < logits.exp()


def keep_overflowing(logits, u):
    return u < logits.exp() / logits.exp().max()


def keep_by_rank(logits, u):
    return logits >= logits.max()


def bets_three():
    return 1, 2, 3


def bets_in_words():
    return "one", "none", "none", "all"


def bets_beyond_eight():
    return 4, 4, 4, 9


def gamma_gentle():
    return 0.2


def gamma_negative():
    return -5.0


def gamma_that_jumps_nearer():
    return 7.0


def gamma_in_words():
    return "12"


WRONG = {
    "05.losses": [
        (losses_by_sigmoid_then_log, "underflows before the logarithm"),
        (losses_with_an_epsilon, "no clamp, no small number added"),
        (losses_with_swapped_labels, "D's labels are swapped"),
        (losses_with_the_sign_of_V, "D's loss has the wrong sign"),
        (losses_not_detached, "use fake.detach() for D"),
        (losses_detached_for_both, "detach them in D's loss only"),
        (losses_saturating, "the saturating loss"),
    ],
    "05.critic": [
        (critic_from_densities, "log-densities of −2,000 give 0/0"),
        (critic_turned_round, "the probability of a forgery"),
        (critic_left_as_logit, "this is the logit of D*"),
        (critic_as_ratio, "the ratio p/q, not a probability"),
    ],
    "05.modes": [
        (modes_with_any_sample, "at least 20"),
        (modes_counting_samples, "this counts samples"),
        (modes_within_one_sigma, "the distance limit is 3σ"),
        (modes_in_squares, "makes it a square"),
    ],
    "05.r1": [
        (r1_without_the_half, "the factor ½"),
        (r1_without_the_square, "the norm must be squared"),
        (r1_mean_over_coordinates, "only over the batch is it a mean"),
        (r1_summed_over_the_batch, "take the mean over the batch"),
        (r1_of_the_mean_logit, "differentiate the SUM of the logits"),
        (r1_without_create_graph, "create_graph=True"),
    ],
    "05.keep": [
        (keep_by_probability, "σ(a), which is D"),
        (keep_turned_round, "keep where u lies BELOW"),
        (keep_without_the_largest, "Divide by the largest"),
        (keep_overflowing, "the exponential overflows"),
        (keep_by_rank, "kept e times less often"),
    ],
    "05.bets": [
        (bets_three, "return four numbers"),
        (bets_in_words, "each bet is a number"),
        (bets_beyond_eight, "between 0 and 8"),
    ],
    "05.too_much": [
        (gamma_gentle, "does not jump over 0 and away"),
        (gamma_negative, "γ must be positive"),
        (gamma_that_jumps_nearer, "lands nearer to it each time"),
        (gamma_in_words, "one number, the weight γ"),
    ],
}
