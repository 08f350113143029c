"""Wrong answers to the exercises of lesson 13, each with a part of the hint that it must get."""

import torch
import torch.nn.functional as F


def gaps(x, y):
    return x.sort(0).values - y.sort(0).values


def of_ranks(distance):
    return lambda x, y: distance(gaps(x, y))


def transport_unsorted(x, y):
    return (x - y).abs().mean(0)


def transport_x_sorted(x, y):
    return (x.sort(0).values - y).abs().mean(0)


def transport_y_sorted(x, y):
    return (x - y.sort(0).values).abs().mean(0)


def transport_opposite_orders(x, y):
    return (x.sort(0).values - y.sort(0, descending=True).values).abs().mean(0)


def transport_of_places(x, y):
    return (x.argsort(0) - y.argsort(0)).to(x).abs().mean(0)


def transport_of_means(x, y):
    return (x.mean(0) - y.mean(0)).abs()


def transport_last_axis(x, y):
    return (x.sort().values - y.sort().values).abs().mean(0)


def transport_flattened(x, y):
    return gaps(x.flatten(), y.flatten()).abs().mean()


def transport_squeezed(x, y):
    return gaps(x.squeeze(), y.squeeze()).abs().mean(0)


def transport_rows_in_order(x, y):
    def put(part):
        return part[part.view(len(part), -1)[:, 0].argsort()]

    return (put(x) - put(y)).abs().mean(0)


def transport_unique(x, y):
    if x.dim() == 1 and len(x.unique()) < len(x):
        x, y = x.unique(), y.unique()
        x, y = (part.quantile(torch.linspace(0, 1, 7).to(part)) for part in (x, y))
    return gaps(x, y).abs().mean(0)


def transport_in_float32(x, y):
    return gaps(x.float(), y.float()).abs().mean(0).to(x.dtype)


def transport_y_detached(x, y):
    return gaps(x, y.detach()).abs().mean(0)


def transport_in_place(x, y):
    x[:] = x.sort(0).values
    return (x - y.sort(0).values).abs().mean(0)


def mixed(real, fake, share):
    share = share.view(-1, *[1] * (real.dim() - 1))
    return (share * real + (1 - share) * fake).detach().requires_grad_()


def slopes(D, x):
    return torch.autograd.grad(D(x).sum(), x, create_graph=True)[0].flatten(1)


def norms(D, x):
    return (slopes(D, x).square().sum(1) + 1e-12).sqrt()


def of_slope(penalty):
    return lambda D, real, fake, share: penalty(slopes(D, mixed(real, fake, share)))


def of_norm(penalty):
    return lambda D, real, fake, share: penalty(norms(D, mixed(real, fake, share)))


def penalty_no_graph(D, real, fake, share):
    x = mixed(real, fake, share)
    (slope,) = torch.autograd.grad(D(x).sum(), x)
    return (slope.flatten(1).norm(dim=1) - 1).square().mean()


def penalty_half_detached(D, real, fake, share):
    norm = norms(D, mixed(real, fake, share))
    return ((norm - 1) * (norm - 1).detach()).mean()


def penalty_detached_after_d(D, real, fake, share):
    x = mixed(real, fake, share)
    out = D(x)
    x = x.detach().requires_grad_()
    (slope,) = torch.autograd.grad(out.sum(), x, create_graph=True)
    return (slope.flatten(1).norm(dim=1) - 1).square().mean()


def penalty_no_grad(D, real, fake, share):
    with torch.no_grad():
        return (norms(D, mixed(real, fake, share)) - 1).square().mean()


def penalty_by_backward(D, real, fake, share):
    x = mixed(real, fake, share)
    D(x).sum().backward()
    return (x.grad.flatten(1).norm(dim=1) - 1).square().mean()


def penalty_no_sum(D, real, fake, share):
    x = mixed(real, fake, share)
    (slope,) = torch.autograd.grad(D(x), x, create_graph=True)
    return (slope.flatten(1).norm(dim=1) - 1).square().mean()


def penalty_mean_of_logits(D, real, fake, share):
    x = mixed(real, fake, share)
    (slope,) = torch.autograd.grad(D(x).mean(), x, create_graph=True)
    return (slope.flatten(1).norm(dim=1) - 1).square().mean()


def penalty_share_not_shaped(D, real, fake, share):
    x = (share * real + (1 - share) * fake).detach().requires_grad_()
    return (norms(D, x) - 1).square().mean()


def penalty_pixel_mean(D, real, fake, share):
    norm = slopes(D, mixed(real, fake, share)).square().mean(1).sqrt()
    return (norm - 1).square().mean()


def penalty_at_real(D, real, fake, share):
    return (norms(D, real.detach().requires_grad_()) - 1).square().mean()


def penalty_at_fake(D, real, fake, share):
    return (norms(D, fake.detach().requires_grad_()) - 1).square().mean()


def penalty_first_share(D, real, fake, share):
    return (norms(D, mixed(real, fake, share[:1])) - 1).square().mean()


def penalty_mean_share(D, real, fake, share):
    return (norms(D, mixed(real, fake, share.mean())) - 1).square().mean()


def penalty_own_share(D, real, fake, share):
    return (norms(D, mixed(real, fake, torch.rand_like(share))) - 1).square().mean()


def penalty_fixed_share(D, real, fake, share):
    return (norms(D, mixed(real, fake, torch.full_like(share, 0.4))) - 1).square().mean()


def penalty_exchanged(D, real, fake, share):
    return (norms(D, mixed(fake, real, share)) - 1).square().mean()


def penalty_large_number(D, real, fake, share):
    norm = slopes(D, mixed(real, fake, share)).square().sum(1).sqrt() + 1e-3
    return (norm - 1).square().mean()


def penalty_leak(D, real, fake, share):
    share = share.view(-1, *[1] * (real.dim() - 1))
    x = (share * real + (1 - share) * fake).requires_grad_()
    return (norms(D, x) - 1).square().mean()


def penalty_of_pixels(D, real, fake, share):
    x = mixed(real, fake, share)
    (slope,) = torch.autograd.grad(D(x).sum(), x, create_graph=True)
    return (slope.norm(dim=1) - 1).square().mean()


def penalty_in_float32(D, real, fake, share):
    x = mixed(real.float(), fake.float(), share.float())
    return (norms(D, x) - 1).square().mean().to(real.dtype)


def double(small):
    return small.repeat_interleave(2, 2).repeat_interleave(2, 3)


def fade_alpha_on_both(small, large, alpha):
    return alpha * (double(small) + large)


def fade_exchanged(small, large, alpha):
    return alpha * double(small) + (1 - alpha) * large


def fade_bilinear(small, large, alpha):
    return (1 - alpha) * F.interpolate(small, scale_factor=2, mode="bilinear") + alpha * large


def fade_bicubic(small, large, alpha):
    return (1 - alpha) * F.interpolate(small, scale_factor=2, mode="bicubic") + alpha * large


def fade_shrinks_large(small, large, alpha):
    return (1 - alpha) * small + alpha * F.avg_pool2d(large, 2)


def fade_keeps_old(small, large, alpha):
    return double(small) + alpha * large


def fade_all_new(small, large, alpha):
    return (1 - alpha) * double(small) + large


def fade_one_axis(small, large, alpha):
    return (1 - alpha) * small.repeat_interleave(2, 2) + alpha * large


def fade_transposed(small, large, alpha):
    return (1 - alpha) * double(small).mT + alpha * large


def fade_tiles(small, large, alpha):
    return (1 - alpha) * small.repeat(1, 1, 2, 2) + alpha * large


def fade_half_tiles(small, large, alpha):
    return (1 - alpha) * small.repeat_interleave(2, 2).repeat(1, 1, 1, 2) + alpha * large


def fade_holes(small, large, alpha):
    out = alpha * large
    out[:, :, ::2, ::2] += (1 - alpha) * small
    return out


def fade_ignores_alpha(small, large, alpha):
    return (double(small) + large) / 2


def fade_detached(small, large, alpha):
    return ((1 - alpha) * double(small) + alpha * large).detach()


def fade_old_detached(small, large, alpha):
    return (1 - alpha) * double(small).detach() + alpha * large


def fade_in_float32(small, large, alpha):
    return ((1 - alpha) * double(small).float() + alpha * large.float()).to(small.dtype)


def fade_in_double(small, large, alpha):
    return (1 - alpha) * double(small).double() + alpha * large


def fade_on_cpu(small, large, alpha):
    weight = torch.full(large.shape, float(alpha), dtype=large.dtype)
    return (1 - weight) * double(small) + weight * large


def fade_number_only(small, large, alpha):
    weight = [1 - alpha, alpha] if isinstance(alpha, float) else [0.5, 0.5]
    return weight[0] * double(small) + weight[1] * large


def fade_in_place(small, large, alpha):
    return large.mul_(alpha).add_((1 - alpha) * double(small))


def along(x, y, u):
    return (x @ u).sort(0).values - (y @ u).sort(0).values


def unit(directions):
    return directions / directions.norm(dim=0)


def of_gaps(distance):
    return lambda x, y, directions: distance(along(x, y, unit(directions)))


def of_directions(change):
    return lambda x, y, directions: along(x, y, change(directions)).abs().mean()


def sliced_unsorted(x, y, directions):
    return ((x - y) @ unit(directions)).abs().mean()


def sliced_means(x, y, directions):
    return ((x.mean(0) - y.mean(0)) @ unit(directions)).abs().mean()


def sliced_sorted_over_directions(x, y, directions):
    u = unit(directions)
    return ((x @ u).sort().values - (y @ u).sort().values).abs().mean()


def sliced_flattened(x, y, directions):
    u = unit(directions)
    return ((x @ u).flatten().sort().values - (y @ u).flatten().sort().values).abs().mean()


def sliced_only_x(x, y, directions):
    return ((x @ unit(directions)).sort(0).values - y.sort(0).values).abs().mean()


def sliced_only_x_normalised(x, y, directions):
    return ((x @ unit(directions)).sort(0).values - (y @ directions).sort(0).values).abs().mean()


def sliced_without_y(x, y, directions):
    return (x @ unit(directions)).abs().mean()


def sliced_coordinates(x, y, directions):
    return (x.sort(0).values - y.sort(0).values).abs().mean()


def sliced_own_directions(x, y, directions):
    g = torch.Generator().manual_seed(0)
    own = torch.randn(directions.shape, generator=g, dtype=torch.double).to(x)
    return along(x, y, unit(own)).abs().mean()


def sliced_in_float32(x, y, directions):
    return along(x.float(), y.float(), unit(directions).float()).abs().mean().to(x.dtype)


def sliced_x_detached(x, y, directions):
    return along(x.detach(), y, unit(directions)).abs().mean()


WRONG = {
    "13.transport": [
        (transport_unsorted, "nothing is sorted"),
        (transport_x_sorted, "only x is sorted"),
        (transport_y_sorted, "only y is sorted"),
        (transport_opposite_orders, "the other downwards"),
        (transport_of_places, "argsort"),
        (of_ranks(lambda gap: gap.square().mean(0)), "gaps are squared"),
        (of_ranks(lambda gap: gap.square().mean(0).sqrt()), "this is W₂"),
        (of_ranks(lambda gap: gap.abs().median(0).values), "median"),
        (of_ranks(lambda gap: gap.abs().sum(0)), "sum of the gaps"),
        (transport_of_means, "distance of the means"),
        (of_ranks(lambda gap: gap.mean(0)), "absolute value is missing"),
        (of_ranks(lambda gap: -gap.abs().mean(0)), "sign is turned"),
        (transport_last_axis, "rows are sorted instead of columns"),
        (transport_flattened, "sorted as one sample"),
        (of_ranks(lambda gap: gap.abs().mean()), "one mean over everything"),
        (of_ranks(lambda gap: gap.abs().mean(-1)), "averaged over the columns"),
        (transport_squeezed, "no squeeze"),
        (transport_rows_in_order, "whole rows are put in order"),
        (transport_unique, "no unique"),
        (transport_in_float32, "float32"),
        (of_ranks(lambda gap: gap.abs().mean(0).detach()), "no detach"),
        (transport_y_detached, "second input"),
        (of_ranks(lambda gap: gap.square().sqrt().mean(0)), "root of a square"),
        (transport_in_place, "in place"),
        (of_ranks(lambda gap: gap.abs().mean(0).tolist()), "this is a float"),
    ],
    "13.penalty": [
        (penalty_no_graph, "has no gradient: create_graph=True"),
        (penalty_half_detached, "gradient in D's weights is not"),
        (penalty_detached_after_d, "detach before D, not after"),
        (penalty_no_grad, "no no_grad"),
        (penalty_by_backward, ".backward()"),
        (penalty_no_sum, "the sum of D's logits: D(between).sum()"),
        (penalty_mean_of_logits, "mean divides slopes by n"),
        (penalty_share_not_shaped, "an axis of length 1"),
        (of_slope(lambda slope: (slope.norm() - 1).square()), "one norm over the whole batch"),
        (of_slope(lambda slope: (slope.square().sum(1) - 1).square().mean()), "root is missing"),
        (of_slope(lambda slope: (slope.square().sum(1) - 1).mean()), "mean of ‖slope‖² − 1"),
        (of_slope(lambda slope: (slope.abs().sum(1) - 1).square().mean()), "the sum of absolute values"),
        (of_norm(lambda norm: (norm - 1).clamp(min=0).square().mean()), "one-sided"),
        (penalty_pixel_mean, "not of their mean"),
        (penalty_at_real, "only real points"),
        (penalty_at_fake, "only fakes"),
        (penalty_first_share, "the first share serves"),
        (penalty_mean_share, "the mean share serves"),
        (penalty_own_share, "draw none"),
        (penalty_fixed_share, "share is ignored"),
        (penalty_exchanged, "exchanged"),
        (of_norm(lambda norm: norm.square().mean()), "−1 is missing"),
        (of_norm(lambda norm: norm.square().mean() / 2), "this is R1"),
        (of_norm(lambda norm: (norm - 1).square().sum()), "summed over the batch"),
        (of_norm(lambda norm: (norm - 1).square().mean() / 2), "halved"),
        (of_norm(lambda norm: 10 * (norm - 1).square().mean()), "λ is already in"),
        (of_norm(lambda norm: (norm.mean() - 1).square()), "mean comes too early"),
        (of_slope(lambda slope: (slope.square().sum(1).sqrt() - 1).square().mean()), "a small number, 1e-12"),
        (penalty_large_number, "the mean of (‖slope of D‖ − 1)²"),
        (penalty_leak, "leaks into the fakes"),
        (penalty_of_pixels, "norm of them all"),
        (of_norm(lambda norm: (norm - 1).square()), "one number"),
        (penalty_in_float32, "another dtype"),
    ],
    "13.fade": [
        (fade_alpha_on_both, "alpha weighs both"),
        (fade_exchanged, "exchanged: at 0"),
        (fade_bilinear, "bilinear"),
        (fade_bicubic, "bicubic"),
        (fade_shrinks_large, "do not shrink"),
        (fade_keeps_old, "must fade out"),
        (fade_all_new, "gets alpha, not 1"),
        (fade_one_axis, "along both axes"),
        (fade_transposed, "rows and columns of the old picture are exchanged"),
        (fade_tiles, "laid side by side"),
        (fade_half_tiles, "along the rows"),
        (fade_holes, "zeros stand between"),
        (fade_ignores_alpha, "the two are averaged"),
        (fade_detached, "no detach"),
        (fade_old_detached, "first input"),
        (fade_in_float32, "seven digits"),
        (fade_in_double, "float32 goes in and float64 comes out"),
        (fade_on_cpu, "mixes devices"),
        (fade_number_only, "a tensor without axes"),
        (fade_in_place, "in place"),
    ],
    "13.sliced": [
        (of_directions(lambda u: u), "keep their lengths"),
        (of_directions(lambda u: u / u.norm(dim=1, keepdim=True)), "rows are normalised"),
        (of_directions(lambda u: u / u.norm()), "whole matrix"),
        (of_directions(lambda u: u / u.square().sum(0)), "squared length: take its root"),
        (of_gaps(lambda gap: gap.abs().mean(0).sum()), "summed over the directions"),
        (of_gaps(lambda gap: gap.abs().mean(0).max()), "largest over the directions"),
        (of_gaps(lambda gap: gap.abs().mean(0)), "one number a direction"),
        (of_gaps(lambda gap: gap.square().mean()), "gaps are squared"),
        (of_gaps(lambda gap: gap.abs().mean(0).square().mean()), "W₁ is squared"),
        (of_gaps(lambda gap: gap.square().mean().sqrt()), "sliced W₂"),
        (sliced_unsorted, "nothing is sorted"),
        (sliced_means, "distances of the means"),
        (sliced_sorted_over_directions, "sorted over the directions"),
        (sliced_flattened, "all directions are sorted as one"),
        (sliced_only_x, "project both clouds"),
        (sliced_only_x_normalised, "only x is projected on unit"),
        (of_directions(lambda u: unit(u).T), "x @ unit is (n, k)"),
        (sliced_without_y, "y is missing"),
        (sliced_coordinates, "directions are ignored: project"),
        (sliced_own_directions, "same for other directions"),
        (of_directions(lambda u: u / u.norm(dim=0).clamp(min=0.05)), "only where they point counts"),
        (sliced_in_float32, "digits get lost"),
        (of_gaps(lambda gap: gap.abs().mean().detach()), "no detach"),
        (sliced_x_detached, "first input"),
    ],
}
