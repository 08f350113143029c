"""Wrong answers to the exercises of lesson 12, each with a part of the hint that it must get."""

import torch
import torch.nn.functional as F


def moments(x, about=None):
    rows = torch.arange(x.shape[1], dtype=x.dtype, device=x.device)[:, None]
    columns = torch.arange(x.shape[2], dtype=x.dtype, device=x.device)
    mass = x.sum((1, 2)).clamp(min=1e-6)
    c = (x * columns).sum((1, 2)) / mass if about is None else torch.full_like(mass, about)
    r = (x * rows).sum((1, 2)) / mass if about is None else torch.full_like(mass, about)
    across, down = columns - c[:, None, None], rows - r[:, None, None]
    both, wide, high = (x * across * down), (x * across**2), (x * down**2)
    return [part.sum((1, 2)) for part in (both, wide.clamp(min=1e-12), high.clamp(min=1e-12))]


def slant_faint_pages(x):
    rows, columns = torch.meshgrid(torch.arange(28.0), torch.arange(28.0), indexing="ij")
    rows, columns = rows.to(x), columns.to(x)
    mass = x.sum((1, 2)).clamp(min=1)
    across = columns - ((x * columns).sum((1, 2)) / mass)[:, None, None]
    down = rows - ((x * rows).sum((1, 2)) / mass)[:, None, None]
    return (x * across * down).sum((1, 2)) / (x * down**2).sum((1, 2)).clamp(min=1)


def slant_axes_exchanged(x):
    both, wide, _ = moments(x)
    return both / wide


def slant_raw_moments(x):
    both, _, high = moments(x, 0.0)
    return both / high


def slant_about_the_middle(x):
    both, _, high = moments(x, 13.5)
    return both / high


def slant_in_degrees(x):
    both, _, high = moments(x)
    return (both / high).atan().rad2deg()


def slant_in_radians(x):
    both, _, high = moments(x)
    return (both / high).atan()


def slant_upside_down(x):
    both, _, high = moments(x)
    return -both / high


def slant_correlation(x):
    both, wide, high = moments(x)
    return both / (wide * high).sqrt()


def slant_not_divided(x):
    return moments(x)[0]


def slant_blank_is_nan(x):
    rows = torch.arange(28, dtype=x.dtype, device=x.device)[:, None]
    columns = torch.arange(28, dtype=x.dtype, device=x.device)
    mass = x.sum((1, 2))
    across = columns - ((x * columns).sum((1, 2)) / mass)[:, None, None]
    down = rows - ((x * rows).sum((1, 2)) / mass)[:, None, None]
    return (x * across * down).sum((1, 2)) / (x * down**2).sum((1, 2))


def slant_in_float32(x):
    both, _, high = moments(x.float())
    return (both / high.clamp(min=1e-6)).to(x.dtype)


def pair(predict, x, t, order):
    return predict(x, t, torch.full_like(order, torch.nan)), predict(x, t, order)


def guide_half_detached(predict, x, t, order, w):
    free, told = pair(predict, x, t, order)
    return free.detach() + w * (told - free.detach())


def guide_no_difference(predict, x, t, order, w):
    free, told = pair(predict, x, t, order)
    return free + w * told


def guide_from_the_order(predict, x, t, order, w):
    free, told = pair(predict, x, t, order)
    return told + w * (told - free)


def guide_exchanged(predict, x, t, order, w):
    free, told = pair(predict, x, t, order)
    return told + w * (free - told)


def guide_zeros_for_empty(predict, x, t, order, w):
    free = predict(x, t, torch.zeros_like(order))
    return free + w * (predict(x, t, order) - free)


def guide_no_free_part(predict, x, t, order, w):
    return w * predict(x, t, order)


def guide_order_alone(predict, x, t, order, w):
    return predict(x, t, order)


def guide_detached(predict, x, t, order, w):
    free, told = pair(predict, x, t, order)
    return (free + w * (told - free)).detach()


def withhold_wrong_side(order, u, share):
    return torch.where(u > share, torch.nan, order)


def withhold_whole_orders(order, u, share):
    return torch.where(u[:, :1] < share, torch.nan, order)


def withhold_all_or_none(order, u, share):
    return torch.where((u < share).any(1, keepdim=True), torch.nan, order)


def withhold_same_for_the_batch(order, u, share):
    return torch.where(u[:1] < share, torch.nan, order)


def withhold_zeros(order, u, share):
    return torch.where(u < share, 0.0, order)


def withhold_minus_one(order, u, share):
    return torch.where(u < share, -1.0, order)


def withhold_in_place(order, u, share):
    order[u < share] = torch.nan
    return order


def withhold_nothing(order, u, share):
    return order.clone()


def elbo(encode, decode, x, order, noise, rate=1.0, half=0.5, told=(True, True)):
    mean, log_var = encode(x, order) if told[0] else encode(x)
    z = mean + (half * log_var).exp() * noise
    logits = decode(z, order) if told[1] else decode(z)
    miss = F.binary_cross_entropy_with_logits(logits, x, reduction="none").flatten(1)
    return miss, rate * 0.5 * (mean.square() + log_var.exp() - 1 - log_var)


def elbo_encoder_not_told(encode, decode, x, order, noise):
    miss, kl = elbo(encode, decode, x, order, noise, told=(False, True))
    return -miss.sum(1) - kl.sum(1)


def elbo_decoder_not_told(encode, decode, x, order, noise):
    miss, kl = elbo(encode, decode, x, order, noise, told=(True, False))
    return -miss.sum(1) - kl.sum(1)


def elbo_as_a_loss(encode, decode, x, order, noise):
    miss, kl = elbo(encode, decode, x, order, noise)
    return miss.sum(1) + kl.sum(1)


def elbo_kl_added(encode, decode, x, order, noise):
    miss, kl = elbo(encode, decode, x, order, noise)
    return kl.sum(1) - miss.sum(1)


def elbo_without_kl(encode, decode, x, order, noise):
    miss, _ = elbo(encode, decode, x, order, noise)
    return -miss.sum(1)


def elbo_pixels_averaged(encode, decode, x, order, noise):
    miss, kl = elbo(encode, decode, x, order, noise)
    return -miss.mean(1) - kl.sum(1)


def elbo_no_noise(encode, decode, x, order, noise):
    miss, kl = elbo(encode, decode, x, order, 0 * noise)
    return -miss.sum(1) - kl.sum(1)


def elbo_variance_for_deviation(encode, decode, x, order, noise):
    miss, kl = elbo(encode, decode, x, order, noise, half=1.0)
    return -miss.sum(1) - kl.sum(1)


def elbo_z_detached(encode, decode, x, order, noise):
    mean, log_var = encode(x, order)
    z = (mean + (log_var / 2).exp() * noise).detach()
    miss = F.binary_cross_entropy_with_logits(decode(z, order), x, reduction="none").flatten(1)
    return -miss.sum(1) - 0.5 * (mean.square() + log_var.exp() - 1 - log_var).sum(1)


def elbo_kl_detached(encode, decode, x, order, noise):
    miss, kl = elbo(encode, decode, x, order, noise)
    return -miss.sum(1) - kl.sum(1).detach()


def elbo_log_of_sigmoid(encode, decode, x, order, noise):
    mean, log_var = encode(x, order)
    p = decode(mean + (log_var / 2).exp() * noise, order).sigmoid()
    hit = x * p.log() + (1 - x) * (1 - p).log()
    return hit.flatten(1).sum(1) - 0.5 * (mean.square() + log_var.exp() - 1 - log_var).sum(1)


def projection_no_judge(look, judge, embed, x, order):
    return (look(x) * embed(order)).sum(1)


def projection_deaf(look, judge, embed, x, order):
    return judge(look(x))


def projection_mean(look, judge, embed, x, order):
    h = look(x)
    return judge(h) + (h * embed(order)).mean(1)


def projection_wrong_label(look, judge, embed, x, order):
    h = look(x)
    return judge(h) + (h * embed(order.roll(1, 0))).sum(1)


def projection_every_pair(look, judge, embed, x, order):
    h = look(x)
    return judge(h) + h @ embed(order).T


def projection_added(look, judge, embed, x, order):
    return judge(look(x) + embed(order))


def projection_cosine(look, judge, embed, x, order):
    h = look(x)
    return judge(h) + F.cosine_similarity(h, embed(order))


def projection_half_detached(look, judge, embed, x, order):
    h = look(x)
    return judge(h) + (h.detach() * embed(order)).sum(1)


def by_class(real_y, share):
    return torch.stack([share(y).double().mean() for y in real_y.unique()]).mean()


def coverage_radius_across_classes(real, real_y, made, made_y, k=5):
    radius = torch.cdist(real, real).kthvalue(k + 1, 1).values
    return by_class(
        real_y,
        lambda y: torch.cdist(real[real_y == y], made[made_y == y]).amin(1) < radius[real_y == y],
    )


def radius_of(x, k):
    return torch.cdist(x, x).kthvalue(k, 1).values


def coverage_any_draw(real, real_y, made, made_y, k=5):
    return by_class(
        real_y,
        lambda y: torch.cdist(real[real_y == y], made).amin(1) < radius_of(real[real_y == y], k + 1),
    )


def coverage_radius_of_fakes(real, real_y, made, made_y, k=5):
    def share(y):
        mine, theirs = real[real_y == y], made[made_y == y]
        return (torch.cdist(mine, theirs) < radius_of(theirs, k + 1)).any(1)

    return by_class(real_y, share)


def coverage_itself_counted(real, real_y, made, made_y, k=5):
    return by_class(
        real_y,
        lambda y: torch.cdist(real[real_y == y], made[made_y == y]).amin(1) < radius_of(real[real_y == y], k),
    )


def coverage_is_precision(real, real_y, made, made_y, k=5):
    def share(y):
        mine, theirs = real[real_y == y], made[made_y == y]
        return (torch.cdist(theirs, mine) < radius_of(mine, k + 1)).any(1)

    return by_class(real_y, share)


def coverage_all_together(real, real_y, made, made_y, k=5):
    return (torch.cdist(real, made).amin(1) < radius_of(real, k + 1)).double().mean()


def coverage_over_digits(real, real_y, made, made_y, k=5):
    shares = []
    for y in real_y.unique():
        mine, theirs = real[real_y == y], made[made_y == y]
        shares.append(torch.cdist(mine, theirs).amin(1) < radius_of(mine, k + 1))
    return torch.cat(shares).double().mean()


WRONG = {
    "12.slant": [
        (slant_faint_pages, "faint page"),
        (slant_axes_exchanged, "axes are exchanged"),
        (slant_raw_moments, "raw moments"),
        (slant_about_the_middle, "middle of the page"),
        (slant_in_degrees, "in degrees"),
        (slant_in_radians, "in radians"),
        (slant_upside_down, "sign is turned"),
        (slant_correlation, "correlation"),
        (slant_not_divided, "divide μ11 by μ02"),
        (slant_blank_is_nan, "without ink gives NaN"),
        (slant_in_float32, "float32"),
    ],
    "12.guide": [
        (guide_half_detached, "detached"),
        (guide_no_difference, "times the *difference*"),
        (guide_from_the_order, "starts at the order"),
        (guide_exchanged, "exchanged"),
        (guide_zeros_for_empty, "zeros are no empty form"),
        (guide_no_free_part, "empty form is forgotten"),
        (guide_order_alone, "w is ignored"),
        (guide_detached, "no detach"),
    ],
    "12.withhold": [
        (withhold_wrong_side, "wrong side"),
        (withhold_whole_orders, "whole orders"),
        (withhold_all_or_none, "no any()"),
        (withhold_same_for_the_batch, "whole batch"),
        (withhold_zeros, "0 is an order"),
        (withhold_minus_one, "−1 is an order"),
        (withhold_in_place, "changes its"),
        (withhold_nothing, "nothing is left empty"),
    ],
    "12.elbo": [
        (elbo_encoder_not_told, "encoder is not told"),
        (elbo_decoder_not_told, "decoder is not told"),
        (elbo_as_a_loss, "sign is turned"),
        (elbo_kl_added, "KL is added"),
        (elbo_without_kl, "KL is missing"),
        (elbo_pixels_averaged, "pixels are averaged"),
        (elbo_no_noise, "z is the mean"),
        (elbo_variance_for_deviation, "e^ℓ is the variance"),
        (elbo_z_detached, "does not learn from the decoder"),
        (elbo_kl_detached, "does not learn from the KL"),
        (elbo_log_of_sigmoid, "log of a sigmoid"),
    ],
    "12.projection": [
        (projection_no_judge, "ψ, is missing"),
        (projection_deaf, "order is not heard"),
        (projection_mean, "not a mean"),
        (projection_wrong_label, "wrong order"),
        (projection_every_pair, "every image with every order"),
        (projection_added, "added to the features"),
        (projection_cosine, "cosine"),
        (projection_half_detached, "slope is not"),
    ],
    "12.coverage": [
        (coverage_radius_across_classes, "sought across classes"),
        (coverage_any_draw, "ordered as another class"),
        (coverage_radius_of_fakes, "radius comes from the draws"),
        (coverage_itself_counted, "its own nearest neighbour"),
        (coverage_is_precision, "share of draws among the real"),
        (coverage_all_together, "not kept apart"),
        (coverage_over_digits, "averaged over all digits"),
    ],
}
