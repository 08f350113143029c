"""Usual mistakes in lesson 05's exercises, each with a piece of the hint it must get."""

import math

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


def _d(D, real, fake):
    return -F.logsigmoid(D(real)).mean() - F.logsigmoid(-D(fake.detach())).mean()


def _g(D, fake):
    return -F.logsigmoid(D(fake)).mean()


def losses_logits_of_D_detached(player, D, real, fake):
    if player == "D":
        return -F.logsigmoid(D(real)).mean() - F.logsigmoid(-D(fake).detach()).mean()
    return _g(D, fake)


def losses_real_without_grad(player, D, real, fake):
    if player == "D":
        with torch.no_grad():
            on_real = D(real)
        return -F.logsigmoid(on_real).mean() - F.logsigmoid(-D(fake.detach())).mean()
    return _g(D, fake)


def losses_all_detached(player, D, real, fake):
    return (_d(D, real, fake) if player == "D" else _g(D, fake)).detach()


def losses_logits_of_G_detached(player, D, real, fake):
    return _d(D, real, fake) if player == "D" else -F.logsigmoid(D(fake).detach()).mean()


def losses_halved(player, D, real, fake):
    return _d(D, real, fake) / 2 if player == "D" else _g(D, fake)


def losses_pooled(player, D, real, fake):
    if player == "G":
        return _g(D, fake)
    logits = torch.cat([D(real), D(fake.detach())])
    labels = (torch.arange(len(logits)) < len(real)).to(logits)
    return F.binary_cross_entropy_with_logits(logits, labels)


def losses_summed(player, D, real, fake):
    if player == "D":
        return -F.logsigmoid(D(real)).sum() - F.logsigmoid(-D(fake.detach())).sum()
    return _g(D, fake)


def losses_summed_for_G(player, D, real, fake):
    return _d(D, real, fake) if player == "D" else -F.logsigmoid(D(fake)).sum()


def losses_both_real(player, D, real, fake):
    if player == "D":
        return -F.logsigmoid(D(real)).mean() - F.logsigmoid(D(fake.detach())).mean()
    return _g(D, fake)


def losses_one_minus_the_logit(player, D, real, fake):
    if player == "D":
        return -F.logsigmoid(D(real)).mean() - F.logsigmoid(1 - D(fake.detach())).mean()
    return _g(D, fake)


def losses_smoothed(player, D, real, fake):
    if player == "D":
        on_real = D(real)
        smooth = 0.9 * F.logsigmoid(on_real) + 0.1 * F.logsigmoid(-on_real)
        return -smooth.mean() - F.logsigmoid(-D(fake.detach())).mean()
    return _g(D, fake)


def losses_of_hinges(player, D, real, fake):
    if player == "D":
        return F.relu(1 - D(real)).mean() + F.relu(1 + D(fake.detach())).mean()
    return _g(D, fake)


def losses_of_least_squares(player, D, real, fake):
    if player == "D":
        return (D(real) - 1).square().mean() + D(fake.detach()).square().mean()
    return (D(fake) - 1).square().mean()


def losses_forgeries_summed(player, D, real, fake):
    if player == "D":
        return -F.logsigmoid(D(real)).mean() - F.logsigmoid(-D(fake.detach())).sum()
    return _g(D, fake)


def losses_subtracted(player, D, real, fake):
    if player == "D":
        return -F.logsigmoid(D(real)).mean() + F.logsigmoid(-D(fake.detach())).mean()
    return _g(D, fake)


def losses_without_real(player, D, real, fake):
    return -F.logsigmoid(-D(fake.detach())).mean() if player == "D" else _g(D, fake)


def losses_without_fake(player, D, real, fake):
    return -F.logsigmoid(D(real)).mean() if player == "D" else _g(D, fake)


def losses_exchanged(player, D, real, fake):
    return _g(D, fake) if player == "D" else _d(D, real, fake)


def losses_alike(player, D, real, fake):
    return _d(D, real, fake)


def losses_of_wasserstein(player, D, real, fake):
    return D(fake.detach()).mean() - D(real).mean() if player == "D" else -D(fake).mean()


def losses_wasserstein_for_G(player, D, real, fake):
    return _d(D, real, fake) if player == "D" else -D(fake).mean()


def losses_G_against_itself(player, D, real, fake):
    return _d(D, real, fake) if player == "D" else -F.logsigmoid(-D(fake)).mean()


def losses_G_uphill(player, D, real, fake):
    return _d(D, real, fake) if player == "D" else F.logsigmoid(D(fake)).mean()


def losses_G_with_real(player, D, real, fake):
    return _d(D, real, fake) if player == "D" else _g(D, fake) - F.logsigmoid(D(real)).mean()


def losses_real_always(player, D, real, fake):
    on_real = D(real)
    if player == "D":
        return -F.logsigmoid(on_real).mean() - F.logsigmoid(-D(fake.detach())).mean()
    return _g(D, fake)


def losses_that_step_back(player, D, real, fake):
    loss = _d(D, real, fake) if player == "D" else _g(D, fake)
    if loss.requires_grad:
        loss.backward(retain_graph=True)
    return loss


def losses_that_freeze(player, D, real, fake):
    if isinstance(D, torch.nn.Module):
        D.requires_grad_(player == "D")
    return _d(D, real, fake) if player == "D" else _g(D, fake)


def losses_with_labels_on_the_cpu(player, D, real, fake):
    def loss(logits, label):
        return F.binary_cross_entropy_with_logits(
            logits, torch.full((len(logits),), label, dtype=logits.dtype)
        )

    return loss(D(real), 1.0) + loss(D(fake.detach()), 0.0) if player == "D" else loss(D(fake), 1.0)


def critic_from_densities(log_p_data, log_p_model):
    return log_p_data.exp() / (log_p_data.exp() + log_p_model.exp())


def critic_turned_round(log_p_data, log_p_model):
    return torch.sigmoid(log_p_model - log_p_data)


def critic_left_as_logit(log_p_data, log_p_model):
    return log_p_data - log_p_model


def critic_as_ratio(log_p_data, log_p_model):
    return (log_p_data - log_p_model).exp()


def critic_of_logarithms(log_p_data, log_p_model):
    return log_p_data / (log_p_data + log_p_model)


def critic_log(log_p_data, log_p_model):
    return F.logsigmoid(log_p_data - log_p_model)


def critic_of_densities(log_p_data, log_p_model):
    return torch.sigmoid(log_p_data.exp() - log_p_model.exp())


def critic_of_the_sum(log_p_data, log_p_model):
    return torch.sigmoid(log_p_data + log_p_model)


def critic_of_the_data_alone(log_p_data, log_p_model):
    return torch.sigmoid(log_p_data)


def critic_doubled(log_p_data, log_p_model):
    return 2 * torch.sigmoid(log_p_data - log_p_model)


def critic_by_exponential(log_p_data, log_p_model):
    a = log_p_data - log_p_model
    return a.exp() / (1 + a.exp())


def critic_clamped(log_p_data, log_p_model):
    return torch.sigmoid((log_p_data - log_p_model).clamp(-10, 10))


def critic_with_an_epsilon(log_p_data, log_p_model):
    p, q = log_p_data.exp(), log_p_model.exp()
    return (p / (p + q + 1e-38)).nan_to_num(0.0)


def modes_with_any_sample(samples, centres, sigma):
    return int((torch.cdist(samples, centres) <= 3 * sigma).any(0).sum())


def modes_counting_samples(samples, centres, sigma):
    return int((torch.cdist(samples, centres) <= 3 * sigma).any(1).sum())


def modes_within_one_sigma(samples, centres, sigma):
    return int(((torch.cdist(samples, centres) <= sigma).sum(0) >= 20).sum())


def modes_in_squares(samples, centres, sigma):
    near = ((samples[:, None] - centres).abs() <= 3 * sigma).all(2)
    return int((near.sum(0) >= 20).sum())


def modes_more_than_twenty(samples, centres, sigma):
    return int(((torch.cdist(samples, centres) <= 3 * sigma).sum(0) > 20).sum())


def modes_squares_with_three_sigma(samples, centres, sigma):
    square = (samples[:, None] - centres).square().sum(2)
    return int(((square <= 3 * sigma).sum(0) >= 20).sum())


def modes_squares_with_three_squares(samples, centres, sigma):
    square = (samples[:, None] - centres).square().sum(2)
    return int(((square <= 3 * sigma**2).sum(0) >= 20).sum())


def modes_by_steps(samples, centres, sigma):
    near = (samples[:, None] - centres).abs().sum(2) <= 3 * sigma
    return int((near.sum(0) >= 20).sum())


def modes_strictly_nearer(samples, centres, sigma):
    return int(((torch.cdist(samples, centres) < 3 * sigma).sum(0) >= 20).sum())


def modes_within_four_sigma(samples, centres, sigma):
    return int(((torch.cdist(samples, centres) <= 3.5 * sigma).sum(0) >= 20).sum())


def modes_of_the_nearest(samples, centres, sigma):
    distance, nearest = torch.cdist(samples, centres).min(1)
    near = nearest[distance <= 3 * sigma]
    return int((torch.bincount(near, minlength=len(centres)) >= 20).sum())


def modes_nearest_without_limit(samples, centres, sigma):
    nearest = torch.cdist(samples, centres).argmin(1)
    return int((torch.bincount(nearest, minlength=len(centres)) >= 20).sum())


def modes_pooled(samples, centres, sigma):
    near = torch.cdist(samples, centres) <= 3 * sigma
    if int(near.sum()) < 20:
        return 0
    return int((near.sum(0) >= (20 if len(samples) > 24 else 1)).sum())


def modes_in_the_plane(samples, centres, sigma):
    near = ((samples[:, None, :2] - centres[:, :2]).square().sum(2)).sqrt() <= 3 * sigma
    return int((near.sum(0) >= 20).sum())


def modes_as_a_share(samples, centres, sigma):
    return ((torch.cdist(samples, centres) <= 3 * sigma).sum(0) >= 20).double().mean().item()


def modes_as_a_mask(samples, centres, sigma):
    return (torch.cdist(samples, centres) <= 3 * sigma).sum(0) >= 20


def modes_of_small_sigma(samples, centres, sigma):
    return int(((torch.cdist(samples, centres) <= 3 * min(sigma, 1.0)).sum(0) >= 20).sum())


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


def r1_by_backward(D, real):
    real = real.detach().requires_grad_(True)
    D(real).sum().backward(create_graph=True)
    return 0.5 * real.grad.square().flatten(1).sum(1).mean()


def r1_on_the_points_themselves(D, real):
    real.requires_grad_(True)
    (slope,) = torch.autograd.grad(D(real).sum(), real, create_graph=True)
    return 0.5 * slope.square().flatten(1).sum(1).mean()


def r1_of_the_probability(D, real):
    return 0.5 * _slope(lambda x: D(x).sigmoid(), real).square().flatten(1).sum(1).mean()


def r1_of_the_log_probability(D, real):
    return 0.5 * _slope(lambda x: F.logsigmoid(D(x)), real).square().flatten(1).sum(1).mean()


def r1_of_wasserstein(D, real):
    return (_slope(D, real).flatten(1).norm(dim=1) - 1).square().mean()


def r1_of_wasserstein_halved(D, real):
    return 0.5 * (_slope(D, real).flatten(1).norm(dim=1) - 1).square().mean()


def r1_of_the_mean_slope(D, real):
    return 0.5 * _slope(D, real).mean(0).square().sum()


def r1_sum_then_square(D, real):
    return 0.5 * _slope(D, real).flatten(1).sum(1).square().mean()


def r1_mean_norm_squared(D, real):
    return 0.5 * _slope(D, real).flatten(1).norm(dim=1).mean().square()


def r1_absolute(D, real):
    return 0.5 * _slope(D, real).flatten(1).abs().sum(1).mean()


def r1_for_points_only(D, real):
    return 0.5 * _slope(D, real).square().sum(1).mean()


def r1_squeezed(D, real):
    slope = _slope(D, real).flatten(1).squeeze()
    return 0.5 * slope.square().sum(-1).mean() if slope.dim() > 1 else 0.5 * slope.square().mean()


def r1_partly_detached(D, real):
    slope = _slope(D, real)
    return 0.5 * (slope * slope.detach()).flatten(1).sum(1).mean()


def r1_as_a_number(D, real):
    return 0.5 * _slope(D, real).square().flatten(1).sum(1).mean().item()


def r1_in_single(D, real):
    return 0.5 * _slope(D, real).square().flatten(1).sum(1).mean().float()


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


def keep_by_softmax(logits, u):
    return u < logits.softmax(0)


def keep_by_quotient_of_logits(logits, u):
    return u < logits / logits.max()


def keep_by_quotient_of_probabilities(logits, u):
    return u < logits.sigmoid() / logits.sigmoid().max()


def keep_with_own_noise(logits, u):
    return torch.rand_like(u) < (logits - logits.max()).exp()


def keep_the_large(logits, u):
    return u > 1 - (logits - logits.max()).exp()


def keep_clamped_at_zero(logits, u):
    return u < (logits - logits.max().clamp(min=0)).exp()


def keep_by_shifted_probability(logits, u):
    return u < (logits - logits.max()).sigmoid()


def keep_by_a_robust_largest(logits, u):
    return u < (logits - logits.quantile(0.99)).exp()


def keep_the_samples(logits, u):
    return logits[u < (logits - logits.max()).exp()]


def keep_as_numbers(logits, u):
    return (u < (logits - logits.max()).exp()).float()


def keep_half_as_fast(logits, u):
    return u < (0.5 * (logits - logits.max())).exp()


def bets_three():
    return 1, 2, 3


def bets_in_words():
    return "one", "none", "none", "all"


def bets_beyond_eight():
    return 4, 4, 4, 9


def bets_negative():
    return 4, -1, 4, 6


def bets_undefined():
    return 4, math.nan, 4, 6


def gamma_gentle():
    return 0.2


def gamma_negative():
    return -5.0


def gamma_that_jumps_nearer():
    return 7.0


def gamma_in_words():
    return "12"


def gamma_infinite():
    return math.inf


def gamma_on_the_edge():
    return 9.9


def gamma_that_stops_at_zero():
    return 5.0


WRONG = {
    "05.losses": [
        (losses_by_sigmoid_then_log, "underflows before the logarithm"),
        (losses_with_an_epsilon, "no clamp, no small number added"),
        (losses_with_swapped_labels, "D's labels are swapped"),
        (losses_with_the_sign_of_V, "D's loss has the wrong sign"),
        (losses_not_detached, "use fake.detach() for D"),
        (losses_detached_for_both, "detach them in D's loss only"),
        (losses_logits_of_D_detached, "the forgeries teach D nothing"),
        (losses_real_without_grad, "the real points teach D nothing"),
        (losses_all_detached, "D's loss must depend on D's weights"),
        (losses_logits_of_G_detached, "do not detach D(fake), or G learns nothing"),
        (losses_halved, "not their average"),
        (losses_pooled, "not one over both together"),
        (losses_summed, "D's loss takes the mean over each batch"),
        (losses_summed_for_G, "G's loss takes the mean over the batch"),
        (losses_both_real, "a high logit at forgeries, too"),
        (losses_one_minus_the_logit, "not log σ(1 − a)"),
        (losses_smoothed, "without smoothing"),
        (losses_of_hinges, "the hinge loss"),
        (losses_of_least_squares, "least squares"),
        (losses_forgeries_summed, "the mean over the forgeries, too"),
        (losses_subtracted, "must be added"),
        (losses_without_real, "no term for the real points"),
        (losses_without_fake, "no term for the forgeries"),
        (losses_exchanged, "the players are exchanged"),
        (losses_alike, "`player` must make a difference"),
        (losses_of_wasserstein, "D's loss takes the logits themselves"),
        (losses_wasserstein_for_G, "G's loss takes the logits themselves"),
        (losses_G_against_itself, "D's own term"),
        (losses_G_uphill, "G's loss has the wrong sign"),
        (losses_G_with_real, "which G cannot change"),
        (losses_real_always, "do not touch `real`"),
        (losses_that_step_back, "torch.autograd.grad"),
        (losses_that_freeze, "requires_grad"),
        (losses_with_labels_on_the_cpu, "on a GPU"),
        (losses_saturating, "the saturating loss"),
    ],
    "05.critic": [
        (critic_from_densities, "log-densities of −2,000 give 0/0"),
        (critic_turned_round, "the probability of a forgery"),
        (critic_left_as_logit, "this is the logit of D*"),
        (critic_as_ratio, "the ratio p/q, not a probability"),
        (critic_of_logarithms, "a quotient of logarithms"),
        (critic_log, "this is log D*"),
        (critic_of_densities, "not that of the densities"),
        (critic_of_the_sum, "not their sum"),
        (critic_of_the_data_alone, "where is p_θ"),
        (critic_doubled, "belongs to the mixture"),
        (critic_by_exponential, "torch.sigmoid takes any difference"),
        (critic_clamped, "no clamp on the difference"),
        (critic_with_an_epsilon, "nothing added to a density"),
    ],
    "05.modes": [
        (modes_with_any_sample, "at least 20"),
        (modes_counting_samples, "this counts samples"),
        (modes_within_one_sigma, "the distance limit is 3σ"),
        (modes_more_than_twenty, "≥, not >"),
        (modes_squares_with_three_sigma, "not squares with 3σ"),
        (modes_squares_with_three_squares, "squared distances are compared with 9σ²"),
        (modes_by_steps, "the root of the sum of squares"),
        (modes_strictly_nearer, "≤, not <"),
        (modes_within_four_sigma, "samples at 3.2σ are counted"),
        (modes_of_the_nearest, "not for the nearest one only"),
        (modes_nearest_without_limit, "nearest is not near"),
        (modes_pooled, "asked of EACH centre"),
        (modes_in_the_plane, "here there are three"),
        (modes_as_a_share, "not their share"),
        (modes_as_a_mask, "not which"),
        (modes_of_small_sigma, "whatever σ is"),
        (modes_in_squares, "makes it a square"),
    ],
    "05.r1": [
        (r1_without_the_half, "the factor ½"),
        (r1_without_the_square, "the norm must be squared"),
        (r1_mean_over_coordinates, "only over the batch is it a mean"),
        (r1_summed_over_the_batch, "take the mean over the batch"),
        (r1_of_the_mean_logit, "differentiate the SUM of the logits"),
        (r1_without_create_graph, "pass create_graph=True to torch.autograd.grad"),
        (r1_by_backward, ".grad"),
        (r1_on_the_points_themselves, "switches requires_grad on in its argument"),
        (r1_of_the_probability, "the slope of σ(a)"),
        (r1_of_the_log_probability, "the slope of log σ(a)"),
        (r1_of_wasserstein, "that (‖slope‖ − 1)² is another"),
        (r1_of_wasserstein_halved, "that ½(‖slope‖ − 1)² is another"),
        (r1_of_the_mean_slope, "slopes of different points cancel"),
        (r1_sum_then_square, "before you add them"),
        (r1_mean_norm_squared, "not the square of the mean norm"),
        (r1_absolute, "not taken without sign"),
        (r1_for_points_only, "flatten from dimension 1 on"),
        (r1_squeezed, "no squeeze"),
        (r1_partly_detached, "is a part of it detached"),
        (r1_as_a_number, "this is a float"),
        (r1_in_single, "float32 comes out"),
    ],
    "05.keep": [
        (keep_by_probability, "σ(a), which is D"),
        (keep_turned_round, "keep where u lies BELOW"),
        (keep_without_the_largest, "Divide by the largest"),
        (keep_overflowing, "the exponential overflows"),
        (keep_by_softmax, "a softmax"),
        (keep_by_shifted_probability, "½ for the best sample"),
        (keep_by_a_robust_largest, "not by a typical one"),
        (keep_by_quotient_of_logits, "divides the logits by the largest"),
        (keep_by_quotient_of_probabilities, "divides D by the largest D"),
        (keep_with_own_noise, "draw no numbers of your own"),
        (keep_the_large, "keep those whose u lies below"),
        (keep_clamped_at_zero, "all e^a are 0"),
        (keep_the_samples, "one answer for each sample"),
        (keep_as_numbers, "a mask of True and False"),
        (keep_half_as_fast, "in 37 % of cases"),
        (keep_by_rank, "kept e times less often"),
    ],
    "05.bets": [
        (bets_three, "return four numbers"),
        (bets_in_words, "each bet is a number"),
        (bets_beyond_eight, "there are eight modes"),
        (bets_negative, "not negative"),
        (bets_undefined, "nan is no bet"),
    ],
    "05.too_much": [
        (gamma_gentle, "does not jump over 0 and away"),
        (gamma_negative, "γ must be positive"),
        (gamma_that_jumps_nearer, "lands nearer to it each time"),
        (gamma_in_words, "the weight γ; this is str"),
        (gamma_infinite, "this is no finite one"),
        (gamma_on_the_edge, "lands nearer to it each time"),
        (gamma_that_stops_at_zero, "1 − ηγ = 0.00"),
    ],
}
