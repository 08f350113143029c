"""Wrong answers to the exercises of lesson 04, each with a part of the hint that it must get."""

import torch


def kl_summed(mean, log_var):
    return 0.5 * (mean.square() + log_var.exp() - 1 - log_var).sum(1)


def kl_without_one(mean, log_var):
    return 0.5 * (mean.square() + log_var.exp() - log_var)


def kl_without_half(mean, log_var):
    return mean.square() + log_var.exp() - 1 - log_var


def kl_sign_turned(mean, log_var):
    return -0.5 * (mean.square() + log_var.exp() - 1 - log_var)


def kl_log_sigma(mean, log_var):
    return 0.5 * (mean.square() + (2 * log_var).exp() - 1 - 2 * log_var)


def kl_standard_deviation(mean, log_var):
    return 0.5 * (mean.square() + (0.5 * log_var).exp() - 1 - log_var)


def draw_with_variance(mean, log_var, eps):
    return mean + log_var.exp() * eps


def draw_without_exp(mean, log_var, eps):
    return mean + 0.5 * log_var * eps


def draw_log_var_itself(mean, log_var, eps):
    return mean + log_var * eps


def draw_own_noise(mean, log_var, eps):
    return mean + torch.exp(0.5 * log_var) * torch.randn_like(mean)


def draw_by_sample(mean, log_var, eps):
    with torch.no_grad():
        return mean + torch.exp(0.5 * log_var) * eps


def draw_detached_scale(mean, log_var, eps):
    return mean + torch.exp(0.5 * log_var).detach() * eps


def elbo_mean_over_pixels(log_lik, kl):
    return kl.sum(1).mean(), -log_lik.mean()


def elbo_mean_over_latents(log_lik, kl):
    return kl.mean(), -log_lik.flatten(1).sum(1).mean()


def elbo_sum_over_batch(log_lik, kl):
    return kl.sum(), -log_lik.sum()


def elbo_sign(log_lik, kl):
    return kl.sum(1).mean(), log_lik.flatten(1).sum(1).mean()


def elbo_turned_round(log_lik, kl):
    return -log_lik.flatten(1).sum(1).mean(), kl.sum(1).mean()


def elbo_one_number(log_lik, kl):
    return kl.sum(1).mean() - log_lik.flatten(1).sum(1).mean()


def labels_repeat_twice(decode, z, n_labels):
    y = torch.arange(n_labels).repeat(len(z))
    out = decode(z.repeat(n_labels, 1), y)
    return out.view(len(z), n_labels, *out.shape[1:])


def labels_interleaved_too(decode, z, n_labels):
    y = torch.arange(n_labels).repeat_interleave(len(z))
    out = decode(z.repeat_interleave(n_labels, 0), y)
    return out.view(len(z), n_labels, *out.shape[1:])


def labels_flat(decode, z, n_labels):
    return decode(z.repeat_interleave(n_labels, 0), torch.arange(n_labels).repeat(len(z)))


def labels_only_zero(decode, z, n_labels):
    out = decode(z.repeat_interleave(n_labels, 0), torch.zeros(len(z) * n_labels, dtype=torch.int64))
    return out.view(len(z), n_labels, *out.shape[1:])


def sampler_uniform(decode, n, k, generator):
    z = torch.rand(n, k, generator=generator)
    return z, torch.bernoulli(decode(z).sigmoid(), generator=generator)


def sampler_means(decode, n, k, generator):
    z = torch.randn(n, k, generator=generator)
    return z, decode(z).sigmoid()


def sampler_threshold(decode, n, k, generator):
    z = torch.randn(n, k, generator=generator)
    return z, (decode(z) > 0).to(z)


def sampler_other_latents(decode, n, k, generator):
    z = torch.randn(n, k, generator=generator)
    other = torch.randn(n, k, generator=generator)
    return z, torch.bernoulli(decode(other).sigmoid(), generator=generator)


def sampler_one_coin(decode, n, k, generator):
    z = torch.randn(n, k, generator=generator)
    chance = decode(z).sigmoid()
    return z, (torch.rand(n, 1, 1, 1, generator=generator) < chance).to(z)


def sampler_own_noise(decode, n, k, generator):
    z = torch.randn(n, k)
    return z, torch.bernoulli(decode(z).sigmoid())


def sampler_pixels_only(decode, n, k, generator):
    return torch.bernoulli(decode(torch.randn(n, k, generator=generator)).sigmoid(), generator=generator)


def careless_honest(log_lik, kl):
    return kl.sum(1).mean() - log_lik.flatten(1).sum(1).mean()


def careless_factor(log_lik, kl):
    return 784 * kl.sum(1).mean() - log_lik.flatten(1).sum(1).mean()


def careless_both(log_lik, kl):
    return kl.mean() - log_lik.mean()


def careless_latents(log_lik, kl):
    return kl.mean() - log_lik.flatten(1).sum(1).mean()


def careless_sign(log_lik, kl):
    return kl.sum(1).mean() + log_lik.mean()


def careless_no_kl(log_lik, kl):
    return -log_lik.mean()


def careless_batch(log_lik, kl):
    return kl.sum() - log_lik.mean()


WRONG = {
    "04.kl": [
        (kl_summed, "the sum over latents and the batch mean come later"),
        (kl_without_one, "is the − 1 there"),
        (kl_without_half, "the factor ½"),
        (kl_sign_turned, "your KL is negative"),
        (kl_log_sigma, "you treat log_var as log σ"),
        (kl_standard_deviation, "the logarithm of the variance"),
    ],
    "04.reparameterise": [
        (draw_with_variance, "not by σ² = 9"),
        (draw_without_exp, "½ log σ² is log σ"),
        (draw_log_var_itself, "log_var must be exponentiated"),
        (draw_own_noise, "not noise of your own"),
        (draw_by_sample, "no gradient passes"),
        (draw_detached_scale, "do not detach σ"),
    ],
    "04.elbo": [
        (elbo_mean_over_pixels, "a hidden β of 784"),
        (elbo_mean_over_latents, "you average the KL over the latents"),
        (elbo_sum_over_batch, "depend on the batch size"),
        (elbo_sign, "MINUS the log-likelihood"),
        (elbo_turned_round, "wrong order"),
        (elbo_one_number, "return two scalars"),
    ],
    "04.relabel": [
        (labels_repeat_twice, "each row must keep ONE latent"),
        (labels_interleaved_too, "column y must hold label y"),
        (labels_flat, "their own axis for the label"),
        (labels_only_zero, "go through all labels"),
    ],
    "04.ancestral": [
        (sampler_uniform, "torch.randn, not rand"),
        (sampler_means, "chances or logits, not pixels"),
        (sampler_threshold, "not a threshold"),
        (sampler_other_latents, "decode THE SAME z"),
        (sampler_one_coin, "a coin of its own"),
        (sampler_own_noise, "the same generator"),
        (sampler_pixels_only, "two things"),
    ],
    "04.careless": [
        (careless_honest, "the honest loss"),
        (careless_factor, "a factor that everyone can see"),
        (careless_both, "the latents too"),
        (careless_latents, "makes codes cheaper"),
        (careless_sign, "check the signs"),
        (careless_no_kl, "both terms belong"),
        (careless_batch, "the hidden β should be 20"),
    ],
}
