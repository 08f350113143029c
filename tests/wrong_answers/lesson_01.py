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


def posterior_with_one_global_maximum(log_lik, prior):
    a = log_lik + prior.log()
    weights = (a - a.max()).exp()
    return weights / weights.sum(1, keepdim=True)


def posterior_of_the_whole_table(log_lik, prior):
    a = log_lik + prior.log()
    return (a - a.logsumexp((0, 1))).exp()


def posterior_not_normalised(log_lik, prior):
    return (log_lik + prior.log()).exp()


def posterior_with_the_bare_prior(log_lik, prior):
    return (log_lik + prior).softmax(1)


def posterior_with_the_prior_as_a_factor(log_lik, prior):
    return (log_lik * prior).softmax(1)


def posterior_with_the_prior_afterwards(log_lik, prior):
    return log_lik.softmax(1) * prior


def posterior_clamped(log_lik, prior):
    return (log_lik.clamp(-700, 700) + prior.log()).softmax(1)


def posterior_with_a_small_number(log_lik, prior):
    joint = log_lik.clamp(max=80).exp() * prior
    return joint / (joint.sum(1, keepdim=True) + 1e-10)


def posterior_squeezed(log_lik, prior):
    return (log_lik + prior.log()).softmax(1).squeeze()


def posterior_of_the_winner(log_lik, prior):
    return F.one_hot((log_lik + prior.log()).argmax(1), len(prior)).float()


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


def lda_squeezed(mean0, mean1, cov, prior1):
    w = torch.linalg.solve(cov, (mean1 - mean0)[:, None]).squeeze()
    b = -0.5 * (mean1 + mean0) @ w.reshape(-1) + torch.tensor(prior1 / (1 - prior1)).log()
    return w, b


def _lda(mean0, mean1, cov):
    w = torch.linalg.solve(cov, mean1 - mean0)
    return w, -0.5 * (mean1 + mean0) @ w


def lda_with_sigma(mean0, mean1, cov, prior1):
    return cov @ (mean1 - mean0), _lda(mean0, mean1, cov)[1]


def lda_with_variances_alone(mean0, mean1, cov, prior1):
    return (mean1 - mean0) / cov.diagonal(), _lda(mean0, mean1, cov)[1]


def lda_entry_by_entry(mean0, mean1, cov, prior1):
    return (1 / cov) @ (mean1 - mean0), _lda(mean0, mean1, cov)[1]


def lda_in_single_precision(mean0, mean1, cov, prior1):
    w, b = _lda(mean0, mean1, cov)
    return w.float(), b + torch.tensor(prior1 / (1 - prior1)).log()


def lda_with_the_prior_turned(mean0, mean1, cov, prior1):
    w, b = _lda(mean0, mean1, cov)
    return w, b - torch.tensor(prior1 / (1 - prior1)).log()


def lda_with_the_log_of_the_prior(mean0, mean1, cov, prior1):
    w, b = _lda(mean0, mean1, cov)
    return w, b + torch.tensor(prior1).log()


def lda_with_the_odds(mean0, mean1, cov, prior1):
    w, b = _lda(mean0, mean1, cov)
    return w, b + prior1 / (1 - prior1)


def lda_with_b_turned(mean0, mean1, cov, prior1):
    w, b = _lda(mean0, mean1, cov)
    return w, -b + torch.tensor(prior1 / (1 - prior1)).log()


def lda_with_the_difference_in_b(mean0, mean1, cov, prior1):
    w, _ = _lda(mean0, mean1, cov)
    return w, -0.5 * (mean1 - mean0) @ w + torch.tensor(prior1 / (1 - prior1)).log()


def lda_with_one_mean_in_b(mean0, mean1, cov, prior1):
    w, _ = _lda(mean0, mean1, cov)
    return w, -0.5 * mean1 @ w + torch.tensor(prior1 / (1 - prior1)).log()


def lda_of_unit_length(mean0, mean1, cov, prior1):
    w, b = _lda(mean0, mean1, cov)
    return w / w.norm(), b / w.norm()


def lda_with_w_alone(mean0, mean1, cov, prior1):
    return _lda(mean0, mean1, cov)[0]


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


def marginal_as_a_density(x, seen, mean, W, sigma2):
    return _gaussian(mean[seen], W[seen], sigma2).log_prob(x[:, seen]).exp()


def marginal_by_log_of_exp(x, seen, mean, W, sigma2):
    return _gaussian(mean[seen], W[seen], sigma2).log_prob(x[:, seen]).exp().log()


def marginal_with_the_deviation(x, seen, mean, W, sigma2):
    return _gaussian(mean[seen], W[seen], sigma2.sqrt()).log_prob(x[:, seen])


def marginal_with_the_variance_squared(x, seen, mean, W, sigma2):
    return _gaussian(mean[seen], W[seen], sigma2**2).log_prob(x[:, seen])


def marginal_of_the_hidden(x, seen, mean, W, sigma2):
    if seen.all():
        return _gaussian(mean, W, sigma2).log_prob(x)
    return _gaussian(mean[~seen], W[~seen], sigma2).log_prob(x[:, ~seen])


def marginal_given_the_hidden(x, seen, mean, W, sigma2):
    whole = _gaussian(mean, W, sigma2).log_prob(x)
    return whole if seen.all() else whole - marginal_of_the_hidden(x, seen, mean, W, sigma2)


def marginal_with_rows_of_zeros(x, seen, mean, W, sigma2):
    return _gaussian(mean * seen, W * seen[:, None], sigma2).log_prob(x * seen)


def marginal_of_independent_pixels(x, seen, mean, W, sigma2):
    if seen.all():
        return _gaussian(mean, W, sigma2).log_prob(x)
    std = (W[seen].square().sum(1) + sigma2).sqrt()
    return torch.distributions.Normal(mean[seen], std).log_prob(x[:, seen]).sum(1)


def marginal_scaled_up(x, seen, mean, W, sigma2):
    part = _gaussian(mean[seen], W[seen], sigma2).log_prob(x[:, seen])
    return part * len(seen) / seen.sum()


def marginal_per_pixel(x, seen, mean, W, sigma2):
    return _gaussian(mean[seen], W[seen], sigma2).log_prob(x[:, seen]) / seen.sum()


def marginal_without_the_normaliser(x, seen, mean, W, sigma2):
    cov = W[seen] @ W[seen].T + sigma2 * torch.eye(int(seen.sum()), dtype=W.dtype)
    gap = x[:, seen] - mean[seen]
    return -0.5 * (gap * torch.linalg.solve(cov, gap.T).T).sum(1)


def marginal_squeezed(x, seen, mean, W, sigma2):
    return _gaussian(mean[seen], W[seen], sigma2).log_prob(x[:, seen]).squeeze()


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


def sample_with_a_generator_of_its_own(mean, W, sigma2, n, generator):
    return sample_right(mean, W, sigma2, n, torch.Generator().manual_seed(0))


def sample_with_noise_of_its_own(mean, W, sigma2, n, generator):
    own = torch.Generator().manual_seed(0)
    return mean + _draws(n, W.shape[1], generator) @ W.T + sigma2.sqrt() * _draws(n, len(mean), own)


def sample_that_seeds(mean, W, sigma2, n, generator):
    return sample_right(mean, W, sigma2, n, generator.manual_seed(generator.initial_seed()))


def sample_right(mean, W, sigma2, n, generator):
    z = _draws(n, W.shape[1], generator)
    return mean + z @ W.T + sigma2.sqrt() * _draws(n, len(mean), generator)


def sample_without_the_mean(mean, W, sigma2, n, generator):
    return sample_right(0 * mean, W, sigma2, n, generator)


def sample_squeezed(mean, W, sigma2, n, generator):
    return sample_right(mean, W, sigma2, n, generator).squeeze()


def sample_with_unit_noise(mean, W, sigma2, n, generator):
    return sample_right(mean, W, sigma2 / sigma2, n, generator)


def sample_with_uniform_noise(mean, W, sigma2, n, generator):
    z = _draws(n, W.shape[1], generator)
    eps = torch.rand(n, len(mean), generator=generator, dtype=torch.float64)
    return mean + z @ W.T + sigma2.sqrt() * eps


def sample_with_one_noise_for_all_rows(mean, W, sigma2, n, generator):
    return mean + _draws(n, W.shape[1], generator) @ W.T + sigma2.sqrt() * _draws(1, len(mean), generator)


def sample_with_the_variance_squared(mean, W, sigma2, n, generator):
    return sample_right(mean, W, sigma2**4, n, generator)


def sample_with_z_scaled(mean, W, sigma2, n, generator):
    return sample_right(mean, sigma2.sqrt() * W, sigma2, n, generator)


def sample_with_some_noise_left(mean, W, sigma2, n, generator):
    return sample_right(mean, W, sigma2 + 1e-4, n, generator)


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


def _holes(x):
    """Images flat, and masks as they should be."""
    x = x.flatten(1)
    share = torch.rand(len(x), 1, device=x.device)
    return x, (torch.rand_like(x) > share).float()


def holes_detached(model, x, y):
    x, seen = _holes(x)
    with torch.no_grad():
        return F.cross_entropy(model(torch.cat([x * seen, seen], 1)), y)


def holes_made_on_the_cpu(model, x, y):
    x = x.flatten(1)
    seen = (torch.rand_like(x) > torch.rand(len(x), 1)).float()
    return F.cross_entropy(model(torch.cat([x * seen, seen], 1)), y)


def holes_always_the_same(model, x, y):
    x = x.flatten(1)
    dice = torch.Generator().manual_seed(0)
    share = torch.rand(len(x), 1, generator=dice)
    seen = (torch.rand(x.shape, generator=dice) > share).float()
    return F.cross_entropy(model(torch.cat([x * seen, seen], 1)), y)


def holes_with_the_mask_first(model, x, y):
    x, seen = _holes(x)
    return F.cross_entropy(model(torch.cat([seen, x * seen], 1)), y)


def holes_at_the_same_places(model, x, y):
    x = x.flatten(1)
    seen = (torch.rand(1, x.shape[1]) > torch.rand(len(x), 1)).float()
    return F.cross_entropy(model(torch.cat([x * seen, seen], 1)), y)


def holes_in_rows(model, x, y):
    x = x.flatten(1)
    seen = (torch.rand(len(x), 28, 1) > torch.rand(len(x), 1, 1)).float().expand(-1, 28, 28).flatten(1)
    return F.cross_entropy(model(torch.cat([x * seen, seen], 1)), y)


def holes_below_one_half(model, x, y):
    x = x.flatten(1)
    seen = (torch.rand_like(x) > 0.5 * torch.rand(len(x), 1)).float()
    return F.cross_entropy(model(torch.cat([x * seen, seen], 1)), y)


def holes_by_dropout(model, x, y):
    x, seen = _holes(x)
    cut = x * seen / seen.mean(1, keepdim=True).clamp(min=1e-3)
    return F.cross_entropy(model(torch.cat([cut, seen], 1)), y)


def holes_filled_with_the_mean(model, x, y):
    x, seen = _holes(x)
    return F.cross_entropy(model(torch.cat([torch.where(seen == 1, x, x.mean(0)), seen], 1)), y)


def holes_with_two_softmaxes(model, x, y):
    x, seen = _holes(x)
    return F.cross_entropy(model(torch.cat([x * seen, seen], 1)).softmax(1), y)


def holes_with_nll_of_logits(model, x, y):
    x, seen = _holes(x)
    return F.nll_loss(model(torch.cat([x * seen, seen], 1)), y)


def holes_one_loss_an_image(model, x, y):
    x, seen = _holes(x)
    return F.cross_entropy(model(torch.cat([x * seen, seen], 1)), y, reduction="none")


def holes_with_backward(model, x, y):
    x, seen = _holes(x)
    loss = F.cross_entropy(model(torch.cat([x * seen, seen], 1)), y)
    loss.backward()
    return loss


def holes_by_ink(model, x, y):
    x = x.flatten(1)
    seen = (x > torch.rand(len(x), 1)).float()
    return F.cross_entropy(model(torch.cat([x * seen, seen], 1)), y)


def holes_for_400(model, x, y):
    x = x.flatten(1)
    seen = (torch.rand_like(x) > torch.rand(400, 1)).float()
    return F.cross_entropy(model(torch.cat([x * seen, seen], 1)), y)


def holes_two_calls(model, x, y):
    x, seen = _holes(x)
    model(torch.cat([x, torch.ones_like(x)], 1))
    return F.cross_entropy(model(torch.cat([x * seen, seen], 1)), y)


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


def _broken_lda():
    x, y = _two_groups(3.0)
    x = 0.1 * x
    x[y == 1, 0] += 0.6
    x[160:, 0] += 20.0
    return x, y


def break_lda_with_signs():
    x, y = _broken_lda()
    return x, 2 * y - 1


def break_lda_with_real_labels():
    x, y = _broken_lda()
    return x, y.double()


def break_lda_on_a_line():
    x, y = _broken_lda()
    x[:, 1] = 2.0
    return x, y


def break_lda_with_ten_points():
    x, y = _broken_lda()
    return x[::20], y[::20]


def break_lda_a_little():
    x, y = _two_groups(0.0)
    x = 0.1 * x.clamp(-1, 1)
    x[y == 1, 0] += 0.9
    x[110:, 0] += 2.5
    return x, y


def break_lda_without_labels():
    return _broken_lda()[0]


def break_lda_in_three_dimensions():
    x, y = _broken_lda()
    return torch.cat([x, x[:, :1]], 1), y


def break_lda_in_a_graph():
    x, y = _broken_lda()
    return x.requires_grad_(), y


def bets_in_percent():
    return [90, 80, 100, 60, 100]


def bets_for_four():
    return [0.9, 0.8, 1.0, 0.6]


def bets_below_zero():
    return [0.9, -0.8, 1.0, 0.6, 0.1]


def bets_in_words():
    return ["high", "high", "low", "low", "even"]


def one_bet_for_all():
    return 0.9


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


def _counts(x, y, classes):
    """Ink counts (classes, d) and numbers of images (classes, 1)."""
    one_hot = F.one_hot(y, classes).to(x)
    return one_hot.T @ x, one_hot.sum(0)[:, None]


def naive_bayes_with_alpha_for_each_class(x, y, alpha, classes):
    counts, n = _counts(x, y, classes)
    return (counts + alpha) / (n + classes * alpha)


def naive_bayes_of_the_classes_seen(x, y, alpha, classes):
    one_hot = F.one_hot(y).to(x)
    return (one_hot.T @ x + alpha) / (one_hot.sum(0)[:, None] + 2 * alpha)


def naive_bayes_with_alpha_on_top_only(x, y, alpha, classes):
    counts, n = _counts(x, y, classes)
    return (counts + alpha) / n


def naive_bayes_with_alpha_below_only(x, y, alpha, classes):
    counts, n = _counts(x, y, classes)
    return counts / (n + 2 * alpha)


def naive_bayes_with_one_for_alpha(x, y, alpha, classes):
    counts, n = _counts(x, y, classes)
    return (counts + (alpha > 0)) / (n + 2 * (alpha > 0))


def naive_bayes_with_two_below(x, y, alpha, classes):
    counts, n = _counts(x, y, classes)
    return (counts + alpha) / (n + 2 * (alpha > 0))


def naive_bayes_by_ink(x, y, alpha, classes):
    counts, _ = _counts(x, y, classes)
    return (counts + alpha) / (counts.sum(1, keepdim=True) + 2 * alpha)


def naive_bayes_of_paper(x, y, alpha, classes):
    counts, n = _counts(x, y, classes)
    return (n - counts + alpha) / (n + 2 * alpha)


def naive_bayes_clamped(x, y, alpha, classes):
    counts, n = _counts(x, y, classes)
    return ((counts + alpha) / (n + 2 * alpha)).clamp(1e-3, 1 - 1e-3)


def naive_bayes_on_fractions(x, y, alpha, classes):
    counts, n = _counts(x, y, classes)
    return (counts / n + alpha) / (1 + 2 * alpha)


def naive_bayes_in_double(x, y, alpha, classes):
    counts, n = _counts(x.double(), y, classes)
    return (counts + alpha) / (n + 2 * alpha)


def naive_bayes_transposed(x, y, alpha, classes):
    counts, n = _counts(x, y, classes)
    return ((counts + alpha) / (n + 2 * alpha)).T


def naive_bayes_that_skips_empty_classes(x, y, alpha, classes):
    counts, n = _counts(x, y, classes)
    return torch.where(n > 0, (counts + alpha) / (n + 2 * alpha), 0.0)


WRONG = {
    "01.posterior": [
        (posterior_not_in_log_space, "Stay in log-space"),
        (posterior_over_the_wrong_axis, "columns sum to 1"),
        (posterior_without_the_prior, "the prior is missing"),
        (posterior_left_as_logarithm, "did you return log-probabilities"),
        (posterior_with_one_global_maximum, "not one maximum of the whole table"),
        (posterior_of_the_whole_table, "the whole table sums to 1"),
        (posterior_not_normalised, "each row must sum to 1"),
        (posterior_with_the_bare_prior, "without its logarithm"),
        (posterior_with_the_prior_as_a_factor, "multiplied by the prior"),
        (posterior_with_the_prior_afterwards, "after the normalisation"),
        (posterior_clamped, "the log-likelihoods are clamped"),
        (posterior_with_a_small_number, "small number in the denominator"),
        (posterior_squeezed, "do not squeeze"),
        (posterior_of_the_winner, "return the probabilities"),
    ],
    "01.lda": [
        (lda_without_the_inverse, "only the difference of the means"),
        (lda_with_the_prior_forgotten, "ignores the prior"),
        (lda_with_the_classes_swapped, "sign of w is turned"),
        (lda_without_the_half, "missing the factor ½"),
        (lda_squeezed, "do not squeeze"),
        (lda_with_sigma, "multiplied by Σ instead"),
        (lda_with_variances_alone, "by the variances alone"),
        (lda_entry_by_entry, "entry by entry"),
        (lda_in_single_precision, "float64 goes in and float32 comes out"),
        (lda_with_the_prior_turned, "the prior's term has the wrong sign"),
        (lda_with_the_log_of_the_prior, "the prior's term is log π₁"),
        (lda_with_the_odds, "take its logarithm"),
        (lda_with_b_turned, "swapped signs"),
        (lda_with_the_difference_in_b, "one sum and one difference"),
        (lda_with_one_mean_in_b, "one mean only"),
        (lda_of_unit_length, "scaled to length 1"),
        (lda_with_w_alone, "return two things"),
    ],
    "01.marginal": [
        (marginal_by_filling_zeros, "hidden pixels are 0"),
        (marginal_by_filling_the_mean, "equal the class mean"),
        (marginal_that_ignores_the_mask, "it must not look at them"),
        (marginal_without_the_loadings, "ordinary log-density"),
        (marginal_as_a_density, "return their logarithms"),
        (marginal_by_log_of_exp, "stay in log-space"),
        (marginal_with_the_deviation, "take no root"),
        (marginal_with_the_variance_squared, "do not square it"),
        (marginal_of_the_hidden, "density of the *hidden* pixels"),
        (marginal_given_the_hidden, "log p(visible | hidden)"),
        (marginal_with_rows_of_zeros, "instead of putting zeros there"),
        (marginal_of_independent_pixels, "taken as independent"),
        (marginal_scaled_up, "scaled up"),
        (marginal_per_pixel, "divided by the number of pixels"),
        (marginal_without_the_normaliser, "the normaliser is missing"),
        (marginal_squeezed, "do not squeeze"),
    ],
    "01.sample": [
        (sample_without_noise, "noise σ ε is missing"),
        (sample_with_the_variance_as_deviation, "sigma2 is the variance"),
        (sample_with_one_latent, "share one z"),
        (sample_without_the_generator, "same generator seed"),
        (sample_with_one_noise_for_all_pixels, "all pixels of a draw share one noise"),
        (sample_with_a_generator_of_its_own, "not one of your own"),
        (sample_with_noise_of_its_own, "ε is the same whatever"),
        (sample_that_seeds, "do not seed it"),
        (sample_without_the_mean, "the mean μ is missing"),
        (sample_squeezed, "do not squeeze"),
        (sample_with_unit_noise, "is not scaled"),
        (sample_with_uniform_noise, "ε is uniform"),
        (sample_with_one_noise_for_all_rows, "all rows share one noise"),
        (sample_with_the_variance_squared, "do not square it"),
        (sample_with_z_scaled, "z is scaled by σ too"),
        (sample_with_some_noise_left, "in the plane"),
    ],
    "01.hole_loss": [
        (holes_without_the_mask, "put the mask beside it"),
        (holes_with_one_share_for_the_batch, "no image differs"),
        (holes_always_at_a_half, "about the same share"),
        (holes_not_cut, "holes are not cut"),
        (holes_with_the_mask_turned_round, "turned round"),
        (holes_summed, "sum over the batch"),
        (holes_detached, "the network learns nothing"),
        (holes_made_on_the_cpu, "draw where the images are"),
        (holes_always_the_same, "the same in every call"),
        (holes_with_the_mask_first, "the mask comes first"),
        (holes_at_the_same_places, "holes of different images"),
        (holes_in_rows, "in rows, columns or blocks"),
        (holes_below_one_half, "uniform between 0 and 1"),
        (holes_by_dropout, "dropout would scale"),
        (holes_filled_with_the_mean, "no other filling"),
        (holes_with_two_softmaxes, "softmax is applied twice"),
        (holes_with_nll_of_logits, "takes log-probabilities"),
        (holes_one_loss_an_image, "the loss is one number"),
        (holes_with_backward, "do not call backward"),
        (holes_by_ink, "depend on the ink"),
        (holes_for_400, "another size"),
        (holes_two_calls, "call the model once"),
    ],
    "01.break_lda": [
        (break_lda_with_overlapping_classes, "no line separates"),
        (break_lda_with_easy_classes, "correctly"),
        (break_lda_with_a_rare_class, "a quarter of the points"),
        (break_lda_with_signs, "the labels are 0 and 1"),
        (break_lda_with_real_labels, "used as indices"),
        (break_lda_on_a_line, "lie on a line"),
        (break_lda_with_ten_points, "at least 20 points"),
        (break_lda_a_little, "of the points only"),
        (break_lda_without_labels, "return two things"),
        (break_lda_in_three_dimensions, "points in the plane"),
        (break_lda_in_a_graph, "end with .detach()"),
    ],
    "01.bets": [
        (bets_in_percent, "percentages"),
        (bets_for_four, "five bets"),
        (bets_below_zero, "a probability"),
        (bets_in_words, "written 0.8"),
        (one_bet_for_all, "a list of five numbers"),
    ],
    "01.naive_bayes": [
        (naive_bayes_without_smoothing, "α has no effect"),
        (naive_bayes_with_half_the_total, "two values, ink and paper"),
        (naive_bayes_for_documents, "for words in a document"),
        (naive_bayes_over_all_images, "divide by all images"),
        (naive_bayes_with_alpha_for_each_class, "number of classes"),
        (naive_bayes_of_the_classes_seen, "a class without any image needs its row"),
        (naive_bayes_with_alpha_on_top_only, "so θ can reach 1"),
        (naive_bayes_with_alpha_below_only, "but not to the count"),
        (naive_bayes_with_one_for_alpha, "α is ignored and 1 added"),
        (naive_bayes_with_two_below, "n_k + 2 whatever α is"),
        (naive_bayes_by_ink, "by the ink of the class"),
        (naive_bayes_of_paper, "shares of paper"),
        (naive_bayes_clamped, "clamp nothing"),
        (naive_bayes_on_fractions, "added to the fractions"),
        (naive_bayes_in_double, "float32 goes in and float64 comes out"),
        (naive_bayes_transposed, "one row per class"),
        (naive_bayes_that_skips_empty_classes, "½ everywhere"),
    ],
}
