"""Wrong answers to lesson 06's exercises, each with a part of the hint it must get."""

import math

import torch


def q_sample_off_by_one(x0, t, eps, alpha_bar):
    a = alpha_bar[1:].to(x0)[(t - 1).clamp(min=0)].view(-1, *[1] * (x0.dim() - 1))
    return a.sqrt() * x0 + (1 - a).sqrt() * eps


def q_sample_variance_for_deviation(x0, t, eps, alpha_bar):
    a = alpha_bar.to(x0)[t].view(-1, *[1] * (x0.dim() - 1))
    return a.sqrt() * x0 + (1 - a) * eps


def q_sample_signal_without_root(x0, t, eps, alpha_bar):
    a = alpha_bar.to(x0)[t].view(-1, *[1] * (x0.dim() - 1))
    return a * x0 + (1 - a).sqrt() * eps


def q_sample_for_points_only(x0, t, eps, alpha_bar):
    a = alpha_bar.to(x0)[t][:, None]
    return a.sqrt() * x0 + (1 - a).sqrt() * eps


def q_sample_exchanged(x0, t, eps, alpha_bar):
    a = alpha_bar.to(x0)[t].view(-1, *[1] * (x0.dim() - 1))
    return (1 - a).sqrt() * x0 + a.sqrt() * eps


def q_sample_one_time_for_all(x0, t, eps, alpha_bar):
    a = alpha_bar[t[0]]
    return a.sqrt() * x0 + (1 - a).sqrt() * eps


def q_sample_unscaled_noise(x0, t, eps, alpha_bar):
    a = alpha_bar.to(x0)[t].view(-1, *[1] * (x0.dim() - 1))
    return a.sqrt() * x0 + eps


def q_sample_data_do_not_shrink(x0, t, eps, alpha_bar):
    a = alpha_bar.to(x0)[t].view(-1, *[1] * (x0.dim() - 1))
    return x0 + (1 - a).sqrt() * eps


def q_sample_promotes(x0, t, eps, alpha_bar):
    a = alpha_bar[t].view(-1, *[1] * (x0.dim() - 1))
    return a.sqrt() * x0 + (1 - a).sqrt() * eps


def q_sample_looks_up_on_the_cpu(x0, t, eps, alpha_bar):
    a = alpha_bar[t].to(x0).view(-1, *[1] * (x0.dim() - 1))
    return a.sqrt() * x0 + (1 - a).sqrt() * eps


def q_sample_changes_the_noise(x0, t, eps, alpha_bar):
    a = alpha_bar.to(x0)[t].view(-1, *[1] * (x0.dim() - 1))
    eps *= (1 - a).sqrt()
    return a.sqrt() * x0 + eps


def posterior_with_beta(x0, xt, a_t, a_s):
    a = a_t / a_s
    b = 1 - a
    return (a.sqrt() * (1 - a_s) * xt + a_s.sqrt() * b * x0) / (1 - a_t), b


def posterior_deviation(x0, xt, a_t, a_s):
    a = a_t / a_s
    b = 1 - a
    mean = (a.sqrt() * (1 - a_s) * xt + a_s.sqrt() * b * x0) / (1 - a_t)
    return mean, ((1 - a_s) / (1 - a_t) * b).sqrt()


def posterior_exchanged(x0, xt, a_t, a_s):
    a = a_t / a_s
    b = 1 - a
    return (a.sqrt() * (1 - a_s) * x0 + a_s.sqrt() * b * xt) / (1 - a_t), (1 - a_s) / (1 - a_t) * b


def posterior_mean_only(x0, xt, a_t, a_s):
    return (a_t / a_s).sqrt() * (1 - a_s) / (1 - a_t) * xt


def posterior_by_precisions(x0, xt, a_t, a_s):
    a = a_t / a_s
    b = 1 - a
    variance = (1 - a_s) / (1 - a_t) * b
    return variance * (a.sqrt() / b * xt + a_s.sqrt() / (1 - a_s) * x0), variance


def _posterior(x0, xt, a_t, a_s):
    a = a_t / a_s
    b = 1 - a
    return (a.sqrt() * (1 - a_s) * xt + a_s.sqrt() * b * x0) / (1 - a_t), (1 - a_s) / (1 - a_t) * b


def posterior_step_for_jump(x0, xt, a_t, a_s):
    b = 1 - a_t
    mean, _ = _posterior(x0, xt, a_t, a_s)
    return mean, (1 - a_s) / (1 - a_t) * b


def posterior_upside_down(x0, xt, a_t, a_s):
    mean, _ = _posterior(x0, xt, a_t, a_s)
    return mean, (1 - a_t) / (1 - a_s) * (1 - a_t / a_s)


def posterior_without_roots(x0, xt, a_t, a_s):
    a = a_t / a_s
    mean = (a * (1 - a_s) * xt + a_s.sqrt() * (1 - a) * x0) / (1 - a_t)
    return mean, _posterior(x0, xt, a_t, a_s)[1]


def posterior_not_divided(x0, xt, a_t, a_s):
    mean, variance = _posterior(x0, xt, a_t, a_s)
    return mean * (1 - a_t), variance


def posterior_without_xt(x0, xt, a_t, a_s):
    return a_s.sqrt() * x0, _posterior(x0, xt, a_t, a_s)[1]


def posterior_with_a_float(x0, xt, a_t, a_s):
    mean, variance = _posterior(x0, xt, a_t, a_s)
    return mean, variance.item()


def posterior_variance_per_entry(x0, xt, a_t, a_s):
    mean, variance = _posterior(x0, xt, a_t, a_s)
    return mean, variance * torch.ones_like(xt)


def posterior_in_single(x0, xt, a_t, a_s):
    mean, variance = _posterior(x0.float(), xt.float(), a_t.float(), a_s.float())
    return mean.to(xt), variance.to(a_t)


def posterior_promotes(x0, xt, a_t, a_s):
    axes = [1] * xt.dim()
    mean, _ = _posterior(x0, xt, a_t.view(axes), a_s.view(axes))
    return mean, _posterior(x0, xt, a_t, a_s)[1]


def loss_with_zero(model, x0, alpha_bar, noise):
    t = torch.randint(0, len(alpha_bar), (len(x0),))
    eps = torch.randn_like(x0)
    return (model(noise(x0, t, eps, alpha_bar), t) - eps).square().mean()


def loss_without_last(model, x0, alpha_bar, noise):
    t = torch.randint(1, len(alpha_bar) - 1, (len(x0),))
    eps = torch.randn_like(x0)
    return (model(noise(x0, t, eps, alpha_bar), t) - eps).square().mean()


def loss_one_time(model, x0, alpha_bar, noise):
    t = torch.randint(1, len(alpha_bar), (1,))
    eps = torch.randn_like(x0)
    return (model(noise(x0, t, eps, alpha_bar), t) - eps).square().mean()


def loss_summed(model, x0, alpha_bar, noise):
    t = torch.randint(1, len(alpha_bar), (len(x0),))
    eps = torch.randn_like(x0)
    return (model(noise(x0, t, eps, alpha_bar), t) - eps).square().sum()


def loss_of_the_data(model, x0, alpha_bar, noise):
    t = torch.randint(1, len(alpha_bar), (len(x0),))
    eps = torch.randn_like(x0)
    return (model(noise(x0, t, eps, alpha_bar), t) - x0).square().mean()


def _times_and_noise(x0, alpha_bar):
    return torch.randint(1, len(alpha_bar), (len(x0),), device=x0.device), torch.randn_like(x0)


def loss_summed_within(model, x0, alpha_bar, noise):
    t, eps = _times_and_noise(x0, alpha_bar)
    return (model(noise(x0, t, eps, alpha_bar), t) - eps).square().flatten(1).sum(1).mean()


def loss_with_a_root(model, x0, alpha_bar, noise):
    t, eps = _times_and_noise(x0, alpha_bar)
    return (model(noise(x0, t, eps, alpha_bar), t) - eps).square().mean().sqrt()


def loss_absolute(model, x0, alpha_bar, noise):
    t, eps = _times_and_noise(x0, alpha_bar)
    return (model(noise(x0, t, eps, alpha_bar), t) - eps).abs().mean()


def loss_cut_off(model, x0, alpha_bar, noise):
    t, eps = _times_and_noise(x0, alpha_bar)
    with torch.no_grad():
        answer = model(noise(x0, t, eps, alpha_bar), t)
    return (answer - eps).square().mean()


def loss_other_times(model, x0, alpha_bar, noise):
    t, eps = _times_and_noise(x0, alpha_bar)
    return (model(noise(x0, t, eps, alpha_bar), t.flip(0)) - eps).square().mean()


def loss_shows_the_data(model, x0, alpha_bar, noise):
    t, eps = _times_and_noise(x0, alpha_bar)
    noise(x0, t, eps, alpha_bar)
    return (model(x0, t) - eps).square().mean()


def loss_uniform_noise(model, x0, alpha_bar, noise):
    t, _ = _times_and_noise(x0, alpha_bar)
    eps = torch.rand_like(x0)
    return (model(noise(x0, t, eps, alpha_bar), t) - eps).square().mean()


def loss_early_times(model, x0, alpha_bar, noise):
    _, eps = _times_and_noise(x0, alpha_bar)
    t = 1 + (torch.rand(len(x0)).square() * (len(alpha_bar) - 1)).long()
    return (model(noise(x0, t, eps, alpha_bar), t) - eps).square().mean()


def loss_fixed_draws(model, x0, alpha_bar, noise):
    generator = torch.Generator().manual_seed(0)
    t = torch.randint(1, len(alpha_bar), (len(x0),), generator=generator)
    eps = torch.randn(x0.shape, generator=generator, dtype=x0.dtype)
    return (model(noise(x0, t, eps, alpha_bar), t) - eps).square().mean()


def loss_times_on_the_cpu(model, x0, alpha_bar, noise):
    t = torch.randint(1, len(alpha_bar), (len(x0),))
    eps = torch.randn_like(x0)
    return (model(noise(x0, t, eps, alpha_bar), t) - eps).square().mean()


def loss_already_backward(model, x0, alpha_bar, noise):
    t, eps = _times_and_noise(x0, alpha_bar)
    loss = (model(noise(x0, t, eps, alpha_bar), t) - eps).square().mean()
    loss.backward(retain_graph=True)
    return loss


def _walk(predict, x, times, alpha_bar, step, clip=math.inf, generator=None, size=torch.sqrt, clamp=True):
    for t, s in zip(times, times[1:]):
        a = alpha_bar[t]
        x0 = (x - (1 - a).sqrt() * predict(x, t)) / a.sqrt()
        x0 = x0.clamp(-clip, clip) if clamp else x0
        mean, variance = step(x0, x, a, alpha_bar[s])
        x = mean + size(variance) * torch.randn(x.shape, generator=generator, dtype=x.dtype)
    return x


def ancestral_variance_for_deviation(predict, x, times, alpha_bar, step, clip=math.inf, generator=None):
    return _walk(predict, x, times, alpha_bar, step, clip, generator, size=lambda v: v)


def ancestral_without_noise(predict, x, times, alpha_bar, step, clip=math.inf, generator=None):
    return _walk(predict, x, times, alpha_bar, step, clip, generator, size=lambda v: 0 * v)


def ancestral_without_clip(predict, x, times, alpha_bar, step, clip=math.inf, generator=None):
    return _walk(predict, x, times, alpha_bar, step, clip, generator, clamp=False)


def ancestral_own_noise(predict, x, times, alpha_bar, step, clip=math.inf, generator=None):
    return _walk(predict, x, times, alpha_bar, step, clip)


def ancestral_noise_for_guess(predict, x, times, alpha_bar, step, clip=math.inf, generator=None):
    for t, s in zip(times, times[1:]):
        mean, variance = step(predict(x, t).clamp(-clip, clip), x, alpha_bar[t], alpha_bar[s])
        x = mean + variance.sqrt() * torch.randn(x.shape, generator=generator, dtype=x.dtype)
    return x


def ancestral_unit_steps(predict, x, times, alpha_bar, step, clip=math.inf, generator=None):
    return _walk(predict, x, range(times[0], times[-1] - 1, -1), alpha_bar, step, clip, generator)


def ancestral_asks_at_s(predict, x, times, alpha_bar, step, clip=math.inf, generator=None):
    for t, s in zip(times, times[1:]):
        x0 = (x - (1 - alpha_bar[t]).sqrt() * predict(x, s)) / alpha_bar[t].sqrt()
        mean, variance = step(x0.clamp(-clip, clip), x, alpha_bar[t], alpha_bar[s])
        x = mean + variance.sqrt() * torch.randn(x.shape, generator=generator, dtype=x.dtype)
    return x


def ancestral_step_turned(predict, x, times, alpha_bar, step, clip=math.inf, generator=None):
    return _walk(predict, x, times, alpha_bar, lambda x0, x, t, s: step(x0, x, s, t), clip, generator)


def ancestral_guess_exchanged(predict, x, times, alpha_bar, step, clip=math.inf, generator=None):
    return _walk(predict, x, times, alpha_bar, lambda x0, x, t, s: step(x, x0, t, s), clip, generator)


def _walk_with(draw, predict, x, times, alpha_bar, step, clip):
    for t, s in zip(times, times[1:]):
        a = alpha_bar[t]
        x0 = ((x - (1 - a).sqrt() * predict(x, t)) / a.sqrt()).clamp(-clip, clip)
        mean, variance = step(x0, x, a, alpha_bar[s])
        x = mean + variance.sqrt() * draw(x)
    return x


def ancestral_one_noise_a_row(predict, x, times, alpha_bar, step, clip=math.inf, generator=None):
    def draw(x):
        return torch.randn(len(x), *[1] * (x.dim() - 1), generator=generator, dtype=x.dtype)

    return _walk_with(draw, predict, x, times, alpha_bar, step, clip)


def ancestral_one_noise_for_all_steps(predict, x, times, alpha_bar, step, clip=math.inf, generator=None):
    eps = torch.randn(x.shape, generator=generator, dtype=x.dtype)
    return _walk_with(lambda x: eps, predict, x, times, alpha_bar, step, clip)


def ancestral_uniform(predict, x, times, alpha_bar, step, clip=math.inf, generator=None):
    def draw(x):
        return torch.rand(x.shape, generator=generator, dtype=x.dtype)

    return _walk_with(draw, predict, x, times, alpha_bar, step, clip)


def ancestral_returns_the_guess(predict, x, times, alpha_bar, step, clip=math.inf, generator=None):
    for t, s in zip(times, times[1:]):
        a = alpha_bar[t]
        x0 = ((x - (1 - a).sqrt() * predict(x, t)) / a.sqrt()).clamp(-clip, clip)
        mean, variance = step(x0, x, a, alpha_bar[s])
        x = mean + variance.sqrt() * torch.randn(x.shape, generator=generator, dtype=x.dtype)
    return x0


def ancestral_last_step_silent(predict, x, times, alpha_bar, step, clip=math.inf, generator=None):
    for t, s in zip(times, times[1:]):
        a = alpha_bar[t]
        x0 = ((x - (1 - a).sqrt() * predict(x, t)) / a.sqrt()).clamp(-clip, clip)
        x, variance = step(x0, x, a, alpha_bar[s])
        if s != times[-1]:
            x = x + variance.sqrt() * torch.randn(x.shape, generator=generator, dtype=x.dtype)
    return x


def ancestral_clamps_the_noise(predict, x, times, alpha_bar, step, clip=math.inf, generator=None):
    def clamped(x, t):
        return predict(x, t).clamp(-clip, clip)

    return _walk(clamped, x, times, alpha_bar, step, math.inf, generator)


def ancestral_one_generator_for_all(predict, x, times, alpha_bar, step, clip=math.inf, generator=None):
    generator = torch.Generator().manual_seed(0)
    return _walk(predict, x, times, alpha_bar, step, clip, generator)


def ancestral_starts_the_generator_again(predict, x, times, alpha_bar, step, clip=math.inf, generator=None):
    if generator is not None:
        generator = torch.Generator().manual_seed(generator.initial_seed())
    return _walk(predict, x, times, alpha_bar, step, clip, generator)


def ancestral_in_double(predict, x, times, alpha_bar, step, clip=math.inf, generator=None):
    def draw(x):
        return torch.randn(x.shape, generator=generator, dtype=torch.float64)

    return _walk_with(draw, predict, x, times, alpha_bar, step, clip)


def ancestral_generator_elsewhere(predict, x, times, alpha_bar, step, clip=math.inf, generator=None):
    def draw(x):
        return torch.randn(x.shape, generator=generator, dtype=x.dtype, device=x.device)

    return _walk_with(draw, predict, x, times, alpha_bar, step, clip)


def ancestral_asks_with_a_level(predict, x, times, alpha_bar, step, clip=math.inf, generator=None):
    return _walk(lambda x, t: predict(x, alpha_bar[t]), x, times, alpha_bar, step, clip, generator)


def ancestral_steps_by_times(predict, x, times, alpha_bar, step, clip=math.inf, generator=None):
    for t, s in zip(times, times[1:]):
        a = alpha_bar[t]
        x0 = ((x - (1 - a).sqrt() * predict(x, t)) / a.sqrt()).clamp(-clip, clip)
        mean, variance = step(x0, x, t, s)
        x = mean + variance.sqrt() * torch.randn(x.shape, generator=generator, dtype=x.dtype)
    return x


def ancestral_clamps_the_states(predict, x, times, alpha_bar, step, clip=math.inf, generator=None):
    def clamped(x0, xt, a_t, a_s):
        mean, variance = step(x0, xt, a_t, a_s)
        return mean.clamp(-clip, clip), variance

    for t, s in zip(times, times[1:]):
        x = _walk(predict, x, [t, s], alpha_bar, clamped, clip, generator).clamp(-clip, clip)
    return x


def ancestral_clamps_to_one(predict, x, times, alpha_bar, step, clip=math.inf, generator=None):
    return _walk(predict, x, times, alpha_bar, step, 1.0, generator)


def narrow_not_broken(predict, x, times, alpha_bar, step):
    return _walk(predict, x, times, alpha_bar, step)


def narrow_to_nothing(predict, x, times, alpha_bar, step):
    return 0 * x


def narrow_but_wide(predict, x, times, alpha_bar, step):
    return _walk(predict, x, times, alpha_bar, step, size=lambda v: 2 * v.sqrt())


def narrow_a_little(predict, x, times, alpha_bar, step):
    return _walk(predict, x, times, alpha_bar, step, size=lambda v: 0.85 * v.sqrt())


def narrow_by_one_leap(predict, x, times, alpha_bar, step):
    a = alpha_bar[times[0]]
    return (x - (1 - a).sqrt() * predict(x, times[0])) / a.sqrt()


def narrow_by_a_clamp(predict, x, times, alpha_bar, step):
    return _walk(predict, x, times, alpha_bar, step, clip=0.5)


def narrow_by_overflow(predict, x, times, alpha_bar, step):
    return _walk(predict, x, times, alpha_bar, step, size=lambda v: (v - 1e-6).sqrt())


def percentage_as_text():
    return "60 %"


def percentage_too_large():
    return 600


def percentage_yes():
    return True


def percentage_below_zero():
    return -1.0


def percentage_no_number():
    return float("nan")


def guidance_other_convention(eps_free, eps_label, w):
    return (1 + w) * eps_label - w * eps_free


def guidance_exchanged(eps_free, eps_label, w):
    return eps_label + w * (eps_free - eps_label)


def guidance_clipped(eps_free, eps_label, w):
    return eps_free + min(w, 1.0) * (eps_label - eps_free)


def guidance_sum(eps_free, eps_label, w):
    return eps_free + w * eps_label


def guidance_turned(eps_free, eps_label, w):
    return eps_free + w * (eps_free - eps_label)


def guidance_only_the_difference(eps_free, eps_label, w):
    return w * (eps_label - eps_free)


def guidance_squared(eps_free, eps_label, w):
    return eps_free + w**2 * (eps_label - eps_free)


def guidance_in_double(eps_free, eps_label, w):
    return eps_free.double() + w * (eps_label.double() - eps_free.double())


def guidance_in_place(eps_free, eps_label, w):
    eps_free += w * (eps_label - eps_free)
    return eps_free


WRONG = {
    "06.q_sample": [
        (q_sample_off_by_one, "off by one"),
        (q_sample_variance_for_deviation, "root of 1 − ᾱ"),
        (q_sample_signal_without_root, "data are multiplied by the root"),
        (q_sample_for_points_only, "ᾱ of shape (B, 1, 1, 1)"),
        (q_sample_exchanged, "signal and noise are exchanged"),
        (q_sample_one_time_for_all, "a time of its own"),
        (q_sample_unscaled_noise, "the noise needs a factor"),
        (q_sample_data_do_not_shrink, "the data must shrink"),
        (q_sample_promotes, "convert the schedule, not the images"),
        (q_sample_looks_up_on_the_cpu, "alpha_bar lies on the CPU"),
        (q_sample_changes_the_noise, "in place"),
    ],
    "06.posterior": [
        (posterior_with_beta, "that is β_t"),
        (posterior_deviation, "not the standard deviation"),
        (posterior_exchanged, "exchanged"),
        (posterior_mean_only, "two things"),
        (posterior_by_precisions, "you divide by 1 − ᾱ_s"),
        (posterior_step_for_jump, "not 1 − ᾱ_t"),
        (posterior_upside_down, "upside down"),
        (posterior_without_roots, "where is its root"),
        (posterior_not_divided, "divided by 1 − ᾱ_t"),
        (posterior_without_xt, "x_t says something"),
        (posterior_with_a_float, "leave it a tensor"),
        (posterior_variance_per_entry, "depends on the times only"),
        (posterior_in_single, "digits get lost"),
        (posterior_promotes, "leave ᾱ without axes"),
    ],
    "06.simple_loss": [
        (loss_with_zero, "time 0 came up"),
        (loss_without_last, "T never came up"),
        (loss_one_time, "time of its own"),
        (loss_summed, "not a sum"),
        (loss_of_the_data, "not with the data"),
        (loss_summed_within, "within each example you add"),
        (loss_with_a_root, "without a root"),
        (loss_absolute, "not of absolute values"),
        (loss_cut_off, "no gradient to the model"),
        (loss_other_times, "the same times t"),
        (loss_shows_the_data, "the model must see x_t"),
        (loss_uniform_noise, "the noise is N(0, I)"),
        (loss_early_times, "equally likely"),
        (loss_fixed_draws, "drawn anew in each call"),
        (loss_already_backward, "leave backward() to the training"),
        (loss_times_on_the_cpu, "device=x0.device"),
    ],
    "06.ancestral": [
        (ancestral_variance_for_deviation, "the ROOT of the variance"),
        (ancestral_without_noise, "no new noise is added"),
        (ancestral_without_clip, "clamp the guess"),
        (ancestral_own_noise, "same generator"),
        (ancestral_noise_for_guess, "guess x_0 from ε̂ first"),
        (ancestral_unit_steps, "need not be neighbours"),
        (ancestral_asks_at_s, "ask the model at t"),
        (ancestral_step_turned, "then ᾱ_s"),
        (ancestral_guess_exchanged, "the guess at x_0 first"),
        (ancestral_one_noise_a_row, "noise of its own"),
        (ancestral_one_noise_for_all_steps, "in EACH step"),
        (ancestral_uniform, "not torch.rand"),
        (ancestral_returns_the_guess, "not the guess"),
        (ancestral_last_step_silent, "and the last one, too"),
        (ancestral_clamps_the_noise, "clip works on ε̂"),
        (ancestral_one_generator_for_all, "another generator must give other draws"),
        (ancestral_starts_the_generator_again, "do not start it again"),
        (ancestral_in_double, "the dtype of x"),
        (ancestral_asks_with_a_level, "one whole number out of `times`"),
        (ancestral_steps_by_times, "not times and not floats"),
        (ancestral_clamps_the_states, "not x itself"),
        (ancestral_clamps_to_one, "not to ±1"),
        (ancestral_generator_elsewhere, "the generator draws on the CPU"),
    ],
    "06.too_narrow": [
        (narrow_not_broken, "nothing is broken"),
        (narrow_to_nothing, "at every one of `times`"),
        (narrow_but_wide, "has grown"),
        (narrow_a_little, "not to less than half"),
        (narrow_by_a_clamp, "still be led to its x_0"),
        (narrow_by_overflow, "inf or nan"),
    ],
    "06.percentage": [
        (percentage_as_text, "return one number"),
        (percentage_too_large, "between 0 and 100"),
        (percentage_yes, "yours is a bool"),
        (percentage_no_number, "a finite number"),
    ],
    "06.guidance": [
        (guidance_other_convention, "other convention"),
        (guidance_exchanged, "exchanged"),
        (guidance_clipped, "do not clip"),
        (guidance_sum, "w scales the difference"),
        (guidance_turned, "the difference is turned"),
        (guidance_only_the_difference, "only the difference"),
        (guidance_squared, "not its square"),
        (guidance_in_double, "float64 comes out"),
        (guidance_in_place, "in place"),
    ],
}
