"""Wrong answers to the exercises of lesson 12b, each with a part of the hint that it must get."""

import math

import torch


def compose_without_differences(free, told, scales):
    return free + sum(w * part for w, part in zip(scales, told))


def compose_nothing_to_start_from(free, told, scales):
    return torch.zeros_like(free) + sum(w * (part - free) for w, part in zip(scales, told))


def compose_free_once(free, told, scales):
    return sum(w * part for w, part in zip(scales, told)) - free


def compose_mean(free, told, scales):
    steps = [w * (part - free) for w, part in zip(scales, told)]
    return free + sum(steps) / max(1, len(steps))


def compose_scales_exchanged(free, told, scales):
    return free + sum(w * (part - free) for w, part in zip(scales[::-1], told))


def compose_one_scale(free, told, scales):
    return free + sum(scales[0] * (part - free) for part in told)


def compose_first_only(free, told, scales):
    return free + scales[0] * (told[0] - free)


def compose_chained(free, told, scales):
    out = free
    for part, w in zip(told, scales):
        out = out + w * (part - out)
    return out


def compose_one_plus_w(free, told, scales):
    return free + sum((1 + w) * (part - free) for w, part in zip(scales, told))


def compose_turned(free, told, scales):
    return free - sum(w * (part - free) for w, part in zip(scales, told))


def compose_scales_forgotten(free, told, scales):
    return free + sum(part - free for part in told)


def compose_in_place(free, told, scales):
    for part, w in zip(told, scales):
        free += w * (part - free)
    return free


def compose_free_detached(free, told, scales):
    return free + sum(w * (part - free.detach()) for w, part in zip(scales, told))


def compose_no_free(free, told, scales):
    return sum(w * part for w, part in zip(scales, told))


def bet_percent():
    return [30, 20, 40, 70, 80]


def bet_four():
    return [0.3, 0.2, 0.4, 0.7]


def bet_words():
    return "diffusion"


def bet_one_number():
    return 0.5


def bet_nan():
    return [0.3, 0.2, float("nan"), 0.7, 0.8]


def bet_negative():
    return [0.3, -0.2, 0.4, 0.7, 0.8]


def bet_names():
    return ["VAE", "GAN", "flow", "PixelCNN", "diffusion"]


def bet_by_name():
    return {"VAE": 0.3, "GAN": 0.2, "flow": 0.4, "PixelCNN": 0.7, "diffusion": 0.8}


def _guess_of(x, eps, a):
    return (x - (1 - a).sqrt() * eps) / a.sqrt()


def noise_jump(predict, x, times, abar):
    eps = predict(x, times[0])
    last = abar[times[-1]]
    if len(times) == 1:
        return x
    return last.sqrt() * _guess_of(x, eps, abar[times[0]]) + (1 - last).sqrt() * eps


def noise_levels_exchanged(predict, x, times, abar):
    for t, s in zip(times, times[1:]):
        eps = predict(x, t)
        x = abar[t].sqrt() * _guess_of(x, eps, abar[s]) + (1 - abar[t]).sqrt() * eps
    return x


def noise_asked_at_the_end(predict, x, times, abar):
    for t, s in zip(times, times[1:]):
        eps = predict(x, s)
        x = abar[s].sqrt() * _guess_of(x, eps, abar[t]) + (1 - abar[s]).sqrt() * eps
    return x


def noise_no_root(predict, x, times, abar):
    for t, s in zip(times, times[1:]):
        eps = predict(x, t)
        x = abar[s].sqrt() * (x - (1 - abar[t]) * eps) / abar[t].sqrt() + (1 - abar[s]) * eps
    return x


def noise_clipped(predict, x, times, abar):
    for t, s in zip(times, times[1:]):
        eps = predict(x, t)
        x = abar[s].sqrt() * _guess_of(x, eps, abar[t]).clamp(-1, 1) + (1 - abar[s]).sqrt() * eps
    return x


def noise_new(predict, x, times, abar):
    for t, s in zip(times, times[1:]):
        eps = predict(x, t)
        x = abar[s].sqrt() * _guess_of(x, eps, abar[t]) + (1 - abar[s]).sqrt() * torch.randn_like(x)
    return x


def noise_only_shrunk(predict, x, times, abar):
    for t, s in zip(times, times[1:]):
        x = abar[s].sqrt() * _guess_of(x, predict(x, t), abar[t])
    return x


def noise_only_guessed(predict, x, times, abar):
    for t in times[:-1]:
        x = _guess_of(x, predict(x, t), abar[t])
    return x


def noise_like_new(predict, x, times, abar):
    for t, s in zip(times, times[1:]):
        step = abar[s] / abar[t]
        x = step.sqrt() * x + (1 - step).sqrt() * predict(x, t)
    return x


def noise_downwards(predict, x, times, abar):
    down = times[::-1]
    for t, s in zip(down, down[1:]):
        eps = predict(x, t)
        x = abar[s].sqrt() * _guess_of(x, eps, abar[t]) + (1 - abar[s]).sqrt() * eps
    return x


def bayes_no_prior(log_terms, log_prior):
    joint = log_terms.sum(2)
    return joint.log_softmax(1), joint.logsumexp(1) - math.log(len(log_prior))


def bayes_nats_a_pixel(log_terms, log_prior):
    joint = log_terms.mean(2) + log_prior
    return joint.log_softmax(1), joint.logsumexp(1)


def bayes_joint(log_terms, log_prior):
    joint = log_terms.sum(2) + log_prior
    return joint, joint.logsumexp(1)


def bayes_probabilities(log_terms, log_prior):
    joint = log_terms.sum(2) + log_prior
    return joint.softmax(1), joint.logsumexp(1)


def bayes_over_pictures(log_terms, log_prior):
    joint = log_terms.sum(2) + log_prior
    return joint.log_softmax(0), joint.logsumexp(1)


def bayes_prior_no_log(log_terms, log_prior):
    joint = log_terms.sum(2) + log_prior.exp()
    return joint.log_softmax(1), joint.logsumexp(1)


def bayes_underflow(log_terms, log_prior):
    joint = (log_terms.sum(2) + log_prior).exp()
    px = joint.sum(1)
    return (joint / px[:, None]).log(), px.log()


def bayes_largest(log_terms, log_prior):
    joint = log_terms.sum(2) + log_prior
    return joint.log_softmax(1), joint.amax(1)


def bayes_px_no_prior(log_terms, log_prior):
    joint = log_terms.sum(2) + log_prior
    return joint.log_softmax(1), log_terms.sum(2).logsumexp(1)


def bayes_sum_of_logs(log_terms, log_prior):
    joint = log_terms.sum(2) + log_prior
    return joint.log_softmax(1), joint.sum(1)


def bayes_posterior_only(log_terms, log_prior):
    return (log_terms.sum(2) + log_prior).log_softmax(1)


WRONG = {
    "12b.compose": [
        (compose_without_differences, "not w · told"),
        (compose_nothing_to_start_from, "a place to start from"),
        (compose_free_once, "once for all"),
        (compose_mean, "not a mean"),
        (compose_scales_exchanged, "scales are exchanged"),
        (compose_one_scale, "its own scale"),
        (compose_first_only, "only the first wish"),
        (compose_chained, "not to the result so far"),
        (compose_one_plus_w, "1 + w"),
        (compose_turned, "the sign is turned"),
        (compose_scales_forgotten, "the scales are forgotten"),
        (compose_in_place, "changes"),
        (compose_free_detached, "part of the gradient is lost"),
        (compose_no_free, "the free prediction is missing"),
    ],
    "12b.bet": [
        (bet_percent, "30 per cent is 0.3"),
        (bet_four, "there are five families"),
        (bet_words, "words are no numbers"),
        (bet_one_number, "return five numbers in a list"),
        (bet_nan, "finite numbers only"),
        (bet_negative, "not below 0"),
        (bet_names, "is no number"),
        (bet_by_name, "only the numbers"),
    ],
    "12b.to_noise": [
        (noise_jump, "one jump"),
        (noise_levels_exchanged, "the two levels are exchanged"),
        (noise_asked_at_the_end, "where x stands"),
        (noise_no_root, "the ROOT of 1"),
        (noise_clipped, "clipped"),
        (noise_new, "from t to the next time s"),
        (noise_only_shrunk, "only shrinks"),
        (noise_only_guessed, "this is x̂_0"),
        (noise_like_new, "like new noise"),
        (noise_downwards, "this goes down"),
    ],
    "12b.bayes": [
        (bayes_no_prior, "the prior is forgotten"),
        (bayes_nats_a_pixel, "nats a pixel"),
        (bayes_joint, "this is log p(x, y)"),
        (bayes_probabilities, "these are probabilities"),
        (bayes_over_pictures, "over the pictures"),
        (bayes_prior_no_log, "as a logarithm already"),
        (bayes_underflow, "stay with logarithms"),
        (bayes_largest, "the largest class only"),
        (bayes_px_no_prior, "log p(x) without the prior"),
        (bayes_sum_of_logs, "not their logarithms"),
        (bayes_posterior_only, "return two"),
    ],
}
