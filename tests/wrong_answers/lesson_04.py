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


def kl_square_alone_halved(mean, log_var):
    return 0.5 * mean.square() + log_var.exp() - 1 - log_var


def kl_logarithm_added(mean, log_var):
    return 0.5 * (mean.square() + log_var.exp() - 1 + log_var)


def kl_plus_one(mean, log_var):
    return 0.5 * (mean.square() + log_var.exp() + 1 - log_var)


def kl_other_way_round(mean, log_var):
    return 0.5 * ((1 + mean.square()) / log_var.exp() - 1 + log_var)


def kl_mean_not_squared(mean, log_var):
    return 0.5 * (mean + log_var.exp() - 1 - log_var)


def kl_logarithm_of_the_logarithm(mean, log_var):
    return 0.5 * (mean.square() + log_var - 1 - log_var.log())


def kl_log_var_halved(mean, log_var):
    return 0.5 * (mean.square() + log_var.exp() - 1 - 0.5 * log_var)


def kl_without_exponential(mean, log_var):
    return 0.5 * (mean.square() + log_var - 1 - log_var)


def kl_clamped(mean, log_var):
    log_var = log_var.clamp(-10, 10)
    return 0.5 * (mean.square() + log_var.exp() - 1 - log_var)


def kl_with_an_epsilon(mean, log_var):
    var = log_var.exp()
    return 0.5 * (mean.square() + var - 1 - (var + 1e-8).log())


def kl_detached(mean, log_var):
    return (0.5 * (mean.square() + log_var.exp() - 1 - log_var)).detach()


def kl_variance_without_grad(mean, log_var):
    with torch.no_grad():
        var = log_var.exp()
    return 0.5 * (mean.square() + var - 1 - log_var)


def kl_mean_detached(mean, log_var):
    return 0.5 * (mean.detach().square() + log_var.exp() - 1 - log_var)


def kl_in_double(mean, log_var):
    return 0.5 * (mean.double().square() + log_var.double().exp() - 1 - log_var.double())


def kl_tracked(mean, log_var):
    mean.requires_grad_()
    return 0.5 * (mean.square() + log_var.exp() - 1 - log_var)


def kl_with_a_floor(mean, log_var):
    return (0.5 * (mean.square() + log_var.exp() - 1 - log_var)).clamp(min=1e-3)


def kl_without_mean(mean, log_var):
    return 0.5 * (log_var.exp() - 1 - log_var)


def kl_variance_squared(mean, log_var):
    return 0.5 * (mean.square() + log_var.exp() ** 2 - 1 - log_var)


def kl_half_behind_the_square(mean, log_var):
    return mean.square() + 0.5 * (log_var.exp() - 1 - log_var)


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


def draw_reseeded(mean, log_var, eps):
    torch.manual_seed(0)
    return mean + torch.exp(0.5 * log_var) * eps


def draw_noise_of_a_seed(mean, log_var, eps):
    generator = torch.Generator().manual_seed(0)
    return mean + torch.exp(0.5 * log_var) * torch.randn(mean.shape, generator=generator)


def draw_minus(mean, log_var, eps):
    return mean - torch.exp(0.5 * log_var) * eps


def draw_half_outside(mean, log_var, eps):
    return mean + 0.5 * torch.exp(log_var) * eps


def draw_noise_alone(mean, log_var, eps):
    return mean + eps


def draw_noise_times_both(mean, log_var, eps):
    return (mean + torch.exp(0.5 * log_var)) * eps


def draw_noise_inside(mean, log_var, eps):
    return mean + torch.exp(0.5 * log_var * eps)


def draw_without_mean(mean, log_var, eps):
    return torch.exp(0.5 * log_var) * eps


def draw_precision(mean, log_var, eps):
    return mean + torch.exp(-0.5 * log_var) * eps


def draw_detached_mean(mean, log_var, eps):
    return mean.detach() + torch.exp(0.5 * log_var) * eps


def draw_clamped(mean, log_var, eps):
    return mean + torch.exp(0.5 * log_var.clamp(-10, 10)) * eps


def draw_clamped_noise(mean, log_var, eps):
    return mean + torch.exp(0.5 * log_var) * eps.clamp(-2, 2)


def draw_by_softplus(mean, log_var, eps):
    return mean + torch.nn.functional.softplus(log_var) * eps


def draw_in_double(mean, log_var, eps):
    return mean.double() + torch.exp(0.5 * log_var.double()) * eps.double()


def draw_in_place(mean, log_var, eps):
    return eps.mul_(torch.exp(0.5 * log_var)).add_(mean)


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


def elbo_distortion_over_batch(log_lik, kl):
    return kl.sum(1).mean(), -log_lik.sum()


def elbo_kl_detached(log_lik, kl):
    return kl.detach().sum(1).mean(), -log_lik.flatten(1).sum(1).mean()


def elbo_without_grad(log_lik, kl):
    with torch.no_grad():
        return kl.sum(1).mean(), -log_lik.flatten(1).sum(1).mean()


def elbo_numbers(log_lik, kl):
    return kl.sum(1).mean().item(), -log_lik.flatten(1).sum(1).mean().item()


def elbo_absolute(log_lik, kl):
    return kl.sum(1).mean(), log_lik.abs().flatten(1).sum(1).mean()


def elbo_absolute_sum(log_lik, kl):
    return kl.sum(1).mean(), log_lik.flatten(1).sum(1).mean().abs()


def elbo_images_only(log_lik, kl):
    return kl.sum(1).mean(), -log_lik.sum((1, 2, 3)).mean()


def elbo_squeezed(log_lik, kl):
    return kl.squeeze().sum(-1).mean(), -log_lik.flatten(1).sum(1).mean()


def elbo_axes_mixed(log_lik, kl):
    return kl.sum(0).mean(), -log_lik.flatten(1).sum(1).mean()


def elbo_one_axis(log_lik, kl):
    return kl.sum(1).mean(), -log_lik.sum(-1).mean()


def elbo_total(log_lik, kl):
    rate = kl.sum(1).mean()
    return rate, rate - log_lik.flatten(1).sum(1).mean()


def elbo_in_double(log_lik, kl):
    return kl.double().sum(1).mean(), -log_lik.double().flatten(1).sum(1).mean()


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


def labels_from_one(decode, z, n_labels):
    y = torch.arange(1, n_labels + 1).repeat(len(z))
    out = decode(z.repeat_interleave(n_labels, 0), y)
    return out.view(len(z), n_labels, *out.shape[1:])


def labels_ten(decode, z, n_labels):
    y = torch.arange(4).repeat(len(z))
    out = decode(z.repeat_interleave(4, 0), y)
    return out.view(len(z), 4, *out.shape[1:])


def labels_of_digits(decode, z, n_labels):
    y = torch.arange(10, device=z.device).repeat(len(z))
    out = decode(z.repeat_interleave(10, 0), y)
    return out.view(len(z), 10, *out.shape[1:])[:, :n_labels]


def labels_first_axis(decode, z, n_labels):
    y = torch.arange(n_labels).repeat_interleave(len(z))
    out = decode(z.repeat(n_labels, 1), y)
    return out.view(n_labels, len(z), *out.shape[1:])


def labels_with_a_channel(decode, z, n_labels):
    y = torch.arange(n_labels).repeat(len(z))
    out = decode(z.repeat_interleave(n_labels, 0), y)
    return out.view(len(z), n_labels, 1, *out.shape[-2:])


def labels_on_the_cpu(decode, z, n_labels):
    y = torch.arange(n_labels).repeat(len(z))
    out = decode(z.repeat_interleave(n_labels, 0), y)
    return out.view(len(z), n_labels, *out.shape[1:])


def labels_as_floats(decode, z, n_labels):
    y = torch.arange(float(n_labels)).repeat(len(z))
    out = decode(z.repeat_interleave(n_labels, 0), y)
    return out.view(len(z), n_labels, *out.shape[1:])


def labels_backwards(decode, z, n_labels):
    y = torch.arange(n_labels - 1, -1, -1).repeat(len(z))
    out = decode(z.repeat_interleave(n_labels, 0), y)
    return out.view(len(z), n_labels, *out.shape[1:])


def labels_pixels_mixed(decode, z, n_labels):
    y = torch.arange(n_labels).repeat(len(z))
    out = decode(z.repeat_interleave(n_labels, 0), y)
    return out.mT.reshape(len(z), n_labels, *out.shape[1:])


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


def sampler_one_latent_for_all(decode, n, k, generator):
    z = torch.randn(1, k, generator=generator).expand(n, k)
    return z, torch.bernoulli(decode(z).sigmoid(), generator=generator)


def sampler_latents_alike(decode, n, k, generator):
    z = torch.randn(n, 1, generator=generator).expand(n, k)
    return z, torch.bernoulli(decode(z).sigmoid(), generator=generator)


def sampler_reseeded(decode, n, k, generator):
    generator.manual_seed(0)
    z = torch.randn(n, k, generator=generator)
    return z, torch.bernoulli(decode(z).sigmoid(), generator=generator)


def sampler_coins_elsewhere(decode, n, k, generator):
    z = torch.randn(n, k, generator=generator)
    return z, torch.bernoulli(decode(z).sigmoid())


def sampler_ink_and_paper(decode, n, k, generator):
    z = torch.randn(n, k, generator=generator)
    return z, torch.bernoulli((-decode(z)).sigmoid(), generator=generator)


def sampler_bools(decode, n, k, generator):
    z = torch.randn(n, k, generator=generator)
    chance = decode(z).sigmoid()
    return z, torch.rand(chance.shape, generator=generator) < chance


def sampler_wide(decode, n, k, generator):
    z = 2 * torch.randn(n, k, generator=generator)
    return z, torch.bernoulli(decode(z).sigmoid(), generator=generator)


def sampler_uniform_of_variance_one(decode, n, k, generator):
    z = 12**0.5 * (torch.rand(n, k, generator=generator) - 0.5)
    return z, torch.bernoulli(decode(z).sigmoid(), generator=generator)


def sampler_turned_round(decode, n, k, generator):
    z = torch.randn(n, k, generator=generator)
    return torch.bernoulli(decode(z).sigmoid(), generator=generator), z


def sampler_fixed_sizes(decode, n, k, generator):
    z = torch.randn(n, 3, generator=generator)
    return z, torch.bernoulli(decode(z).sigmoid(), generator=generator)


def sampler_standardised(decode, n, k, generator):
    z = torch.randn(n, k, generator=generator)
    z = (z - z.mean(0)) / z.std(0)
    return z, torch.bernoulli(decode(z).sigmoid(), generator=generator)


def sampler_sharpened(decode, n, k, generator):
    z = torch.randn(n, k, generator=generator)
    return z, torch.bernoulli((1.1 * decode(z)).sigmoid(), generator=generator)


def sampler_in_double(decode, n, k, generator):
    z = torch.randn(n, k, generator=generator, dtype=torch.float64)
    return z, torch.bernoulli(decode(z).sigmoid(), generator=generator)


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


def careless_visible(log_lik, kl):
    return log_lik[0].numel() * kl.sum(1).mean() - log_lik.flatten(1).sum(1).mean()


def careless_summed(log_lik, kl):
    return kl.sum() - log_lik.flatten(1).mean(1).sum()


def careless_pixels_summed_over_batch(log_lik, kl):
    return kl.sum(1).mean() - log_lik.flatten(1).mean(1).sum()


def careless_one_pixel(log_lik, kl):
    return kl.sum(1).mean() - log_lik[..., 0].mean()


def careless_absolute(log_lik, kl):
    return kl.sum(1).mean() + log_lik.abs().mean()


def careless_number(log_lik, kl):
    return kl.sum(1).mean().item() - log_lik.mean().item()


def careless_detached(log_lik, kl):
    return (kl.sum(1).mean() - log_lik.mean()).detach()


WRONG = {
    "04.kl": [
        (kl_summed, "the sum over latents and the batch mean come later"),
        (kl_without_one, "is the − 1 there"),
        (kl_plus_one, "1 is subtracted"),
        (kl_without_half, "the factor ½ is missing"),
        (kl_square_alone_halved, "before the whole bracket"),
        (kl_sign_turned, "your KL is negative"),
        (kl_log_sigma, "you treat log_var as log σ"),
        (kl_standard_deviation, "exp(½ log_var) is σ, not σ²"),
        (kl_log_var_halved, "so nothing is halved"),
        (kl_without_exponential, "the exponential is missing"),
        (kl_logarithm_added, "the logarithm is subtracted"),
        (kl_logarithm_of_the_logarithm, "log_var is already a logarithm"),
        (kl_other_way_round, "the other way round"),
        (kl_mean_not_squared, "the mean enters as its square μ²"),
        (kl_with_a_floor, "exactly 0"),
        (kl_without_mean, "where is the mean"),
        (kl_variance_squared, "do not square it"),
        (kl_half_behind_the_square, "the square of the mean included"),
        (kl_clamped, "no clamp"),
        (kl_with_an_epsilon, "nothing added inside a logarithm"),
        (kl_detached, "no detach"),
        (kl_variance_without_grad, "the derivative in log σ²"),
        (kl_mean_detached, "in its first input"),
        (kl_in_double, "float64 comes out"),
        (kl_tracked, "requires_grad"),
    ],
    "04.reparameterise": [
        (draw_with_variance, "not by σ² = 9"),
        (draw_without_exp, "½ log σ² is log σ"),
        (draw_log_var_itself, "log_var must be exponentiated"),
        (draw_own_noise, "not noise of your own"),
        (draw_by_sample, "no gradient passes"),
        (draw_detached_scale, "do not detach σ"),
        (draw_detached_mean, "no gradient reaches the mean"),
        (draw_reseeded, "seed"),
        (draw_noise_of_a_seed, "the same noise whatever eps is"),
        (draw_minus, "the noise enters with a plus"),
        (draw_half_outside, "½ belongs inside the exponential"),
        (draw_noise_alone, "eps must be multiplied by σ"),
        (draw_precision, "σ is exp(+½ log σ²)"),
        (draw_noise_times_both, "multiplies σ only"),
        (draw_noise_inside, "outside of the exponential"),
        (draw_without_mean, "where is the mean"),
        (draw_clamped, "no clamp"),
        (draw_clamped_noise, "it should be μ + σε"),
        (draw_by_softplus, "softplus is another way"),
        (draw_in_double, "float64 comes out"),
        (draw_in_place, "in place"),
    ],
    "04.elbo": [
        (elbo_mean_over_pixels, "a hidden β of 784"),
        (elbo_mean_over_latents, "you average the KL over the latents"),
        (elbo_sum_over_batch, "you sum the rate over the batch"),
        (elbo_distortion_over_batch, "you sum the distortion over the batch"),
        (elbo_sign, "MINUS the log-likelihood: turn"),
        (elbo_turned_round, "wrong order"),
        (elbo_one_number, "return two scalars"),
        (elbo_kl_detached, "the rate carries no gradient"),
        (elbo_without_grad, "the distortion carries no gradient"),
        (elbo_numbers, "this is a float"),
        (elbo_absolute, "take no absolute value"),
        (elbo_absolute_sum, "where log-densities are positive"),
        (elbo_images_only, "vectors (B, d) must work like images"),
        (elbo_squeezed, "no squeeze"),
        (elbo_axes_mixed, "it is the other way round"),
        (elbo_one_axis, "sum over ALL pixels"),
        (elbo_total, "the distortion alone"),
        (elbo_in_double, "float64 comes out"),
    ],
    "04.relabel": [
        (labels_repeat_twice, "each row must keep ONE latent"),
        (labels_interleaved_too, "column y must hold label y: labels 0 1 2 3"),
        (labels_flat, "their own axis for the label"),
        (labels_only_zero, "go through all labels"),
        (labels_from_one, "labels start at 0"),
        (labels_ten, "is a number of labels fixed"),
        (labels_of_digits, "(3, 10, 1, 2, 3)"),
        (labels_first_axis, "the label's axis comes second"),
        (labels_with_a_channel, "keep whatever follows M"),
        (labels_on_the_cpu, "device=z.device"),
        (labels_as_floats, "int64"),
        (labels_backwards, "run backwards"),
        (labels_pixels_mixed, "the pixels of each picture"),
    ],
    "04.ancestral": [
        (sampler_uniform, "torch.randn, not rand"),
        (sampler_means, "chances or logits, not pixels"),
        (sampler_threshold, "not a threshold"),
        (sampler_other_latents, "decode THE SAME z"),
        (sampler_one_coin, "a coin of its own"),
        (sampler_own_noise, "the same generator must give the same latents"),
        (sampler_coins_elsewhere, "the same generator must give the same pixels"),
        (sampler_pixels_only, "two things"),
        (sampler_turned_round, "the latents come first, then"),
        (sampler_one_latent_for_all, "not one for all"),
        (sampler_latents_alike, "the k latents of one image rise and fall together"),
        (sampler_reseeded, "seeds the generator"),
        (sampler_ink_and_paper, "ink and paper are exchanged"),
        (sampler_bools, "turn them into floats"),
        (sampler_wide, "standard deviation 2.0"),
        (sampler_uniform_of_variance_one, "neither uniform nor cut off"),
        (sampler_fixed_sizes, "other numbers of latents"),
        (sampler_standardised, "must work, too. (your function raised RuntimeError"),
        (sampler_sharpened, "has the chance sigmoid(2)"),
        (sampler_in_double, "a network's weights are float32"),
    ],
    "04.careless": [
        (careless_honest, "the honest loss"),
        (careless_factor, "a factor that everyone can see"),
        (careless_visible, "but as a factor of the KL"),
        (careless_both, "the latents too"),
        (careless_latents, "makes codes cheaper"),
        (careless_sign, "check the signs"),
        (careless_no_kl, "both terms belong"),
        (careless_batch, "the hidden β should be 20"),
        (careless_summed, "both terms are summed over the batch"),
        (careless_pixels_summed_over_batch, "log_lik is summed over the batch"),
        (careless_one_pixel, "all pixels averaged"),
        (careless_absolute, "take no absolute value"),
        (careless_number, "this is a float"),
        (careless_detached, "no gradient passes"),
    ],
}
