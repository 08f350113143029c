"""Wrong answers to the exercises of lesson 07, each with a part of the hint that it must get."""

import torch


def _parts(a, b):
    return (a.mean(0) - b.mean(0)).square().sum(), a.T.cov(), b.T.cov()


def frechet_root(a, b):
    gap, s, t = _parts(a, b)
    cross = torch.linalg.eigvals(s @ t).real.clamp(min=0).sqrt().sum()
    return (gap + s.trace() + t.trace() - 2 * cross).clamp(min=0).sqrt()


def frechet_no_two(a, b):
    gap, s, t = _parts(a, b)
    return gap + s.trace() + t.trace() - torch.linalg.eigvals(s @ t).real.clamp(min=0).sqrt().sum()


def frechet_means_only(a, b):
    return (a.mean(0) - b.mean(0)).square().sum()


def frechet_mean_of_squares(a, b):
    gap, s, t = _parts(a, b)
    return (
        gap / a.shape[1]
        + s.trace()
        + t.trace()
        - 2 * torch.linalg.eigvals(s @ t).real.clamp(min=0).sqrt().sum()
    )


def frechet_diagonal(a, b):
    gap, s, t = _parts(a, b)
    return gap + (s.diagonal().sqrt() - t.diagonal().sqrt()).square().sum()


def frechet_no_clamp(a, b):
    gap, s, t = _parts(a, b)
    return gap + s.trace() + t.trace() - 2 * torch.linalg.eigvals(s @ t).real.sqrt().sum()


def frechet_means_forgotten(a, b):
    _, s, t = _parts(a, b)
    return s.trace() + t.trace() - 2 * torch.linalg.eigvals(s @ t).real.clamp(min=0).sqrt().sum()


def frechet_norm_not_squared(a, b):
    _, s, t = _parts(a, b)
    roots = torch.linalg.eigvals(s @ t).real.clamp(min=0).sqrt().sum()
    return (a.mean(0) - b.mean(0)).norm() + s.trace() + t.trace() - 2 * roots


def frechet_no_root(a, b):
    gap, s, t = _parts(a, b)
    return gap + s.trace() + t.trace() - 2 * torch.linalg.eigvals(s @ t).real.clamp(min=0).sum()


def frechet_root_of_the_sum(a, b):
    gap, s, t = _parts(a, b)
    return gap + s.trace() + t.trace() - 2 * torch.linalg.eigvals(s @ t).real.sum().sqrt()


def frechet_root_of_entries(a, b):
    gap, s, t = _parts(a, b)
    return gap + (s + t - 2 * (s @ t).clamp(min=0).sqrt()).trace()


def frechet_as_if_symmetric(a, b):
    gap, s, t = _parts(a, b)
    return gap + s.trace() + t.trace() - 2 * torch.linalg.eigvalsh(s @ t).clamp(min=0).sqrt().sum()


def frechet_singular_values(a, b):
    gap, s, t = _parts(a, b)
    return gap + s.trace() + t.trace() - 2 * torch.linalg.svdvals(s @ t).sqrt().sum()


def frechet_divides_by_n(a, b):
    s, t = a.T.cov(correction=0), b.T.cov(correction=0)
    return _parts(a, b)[0] + (s.trace() + t.trace() - 2 * torch.linalg.eigvals(s @ t).real.sqrt().sum())


def frechet_covariance_of_rows(a, b):
    s, t = a.cov(), b.cov()
    roots = torch.linalg.eigvals(s @ t).real.clamp(min=0).sqrt().sum()
    return _parts(a, b)[0] + s.trace() + t.trace() - 2 * roots


def frechet_added(a, b):
    gap, s, t = _parts(a, b)
    return gap + s.trace() + t.trace() + 2 * torch.linalg.eigvals(s @ t).real.clamp(min=0).sqrt().sum()


def frechet_complex(a, b):
    gap, s, t = _parts(a, b)
    return gap + s.trace() + t.trace() - 2 * torch.linalg.eigvals(s @ t).sqrt().sum()


def frechet_of_one_size(a, b):
    n = len(a)
    gap, s, t = _parts(a, b)
    t = (b - b.mean(0)).T @ (b - b.mean(0)) / (n - 1)
    return gap + s.trace() + t.trace() - 2 * torch.linalg.eigvals(s @ t).real.clamp(min=0).sqrt().sum()


def _inside(points, centres, k):
    return (torch.cdist(points, centres) < torch.cdist(centres, centres).kthvalue(k, dim=1).values).any(1)


def neighbours_self(real, fake, k):
    return _inside(fake, real, k).double().mean(), _inside(real, fake, k).double().mean()


def neighbours_turned(real, fake, k):
    return _inside(real, fake, k + 1).double().mean(), _inside(fake, real, k + 1).double().mean()


def neighbours_counts(real, fake, k):
    return _inside(fake, real, k + 1).double().sum(), _inside(real, fake, k + 1).double().sum()


def neighbours_average(real, fake, k):
    radii = torch.cdist(real, real).kthvalue(k + 1, dim=1).values
    return (torch.cdist(fake, real) < radii).double().mean(), _inside(real, fake, k + 1).double().mean()


def neighbours_twice_precision(real, fake, k):
    return _inside(fake, real, k + 1).double().mean(), _inside(fake, real, k + 1).double().mean()


def neighbours_one(real, fake, k):
    return _inside(fake, real, k + 1).double().mean()


def _both(inside, real, fake):
    return inside(fake, real), inside(real, fake)


def neighbours_one_too_far(real, fake, k):
    return _both(lambda p, c: _inside(p, c, k + 2).double().mean(), real, fake)


def neighbours_nearest_ball_only(real, fake, k):
    def inside(points, centres):
        radii = torch.cdist(centres, centres).kthvalue(k + 1, dim=1).values
        nearest = torch.cdist(points, centres).min(1)
        return (nearest.values < radii[nearest.indices]).double().mean()

    return _both(inside, real, fake)


def neighbours_mean_radius(real, fake, k):
    def inside(points, centres):
        radius = torch.cdist(centres, centres).kthvalue(k + 1, dim=1).values.mean()
        return (torch.cdist(points, centres) < radius).any(1).double().mean()

    return _both(inside, real, fake)


def neighbours_crossed(real, fake, k):
    def inside(points, centres):
        gaps = torch.cdist(points, centres)
        return (gaps < gaps.T.kthvalue(k, dim=1).values).any(1).double().mean()

    return _both(inside, real, fake)


def neighbours_share_of_balls(real, fake, k):
    def inside(points, centres):
        radii = torch.cdist(centres, centres).kthvalue(k + 1, dim=1).values
        return (torch.cdist(points, centres) < radii).any(0).double().mean()

    return _both(inside, real, fake)


def neighbours_squared_radius(real, fake, k):
    def inside(points, centres):
        radii = torch.cdist(centres, centres).square().kthvalue(k + 1, dim=1).values
        return (torch.cdist(points, centres) < radii).any(1).double().mean()

    return _both(inside, real, fake)


def neighbours_k_of_three(real, fake, k):
    return _both(lambda p, c: _inside(p, c, 4).double().mean(), real, fake)


def neighbours_as_floats(real, fake, k):
    return _both(lambda p, c: _inside(p, c, k + 1).double().mean().item(), real, fake)


def luck_in_words():
    return "ten per cent"


def luck_negative():
    return -12.0


def luck_too_much():
    return 250


def luck_no_number():
    return float("nan")


def difference_unpaired(a, b):
    return (a.mean() - b.mean()).item(), (a.var() / len(a) + b.var() / len(b)).sqrt().item()


def difference_turned(a, b):
    return (b - a).mean().item(), ((b - a).std() / len(a) ** 0.5).item()


def difference_spread(a, b):
    return (a - b).mean().item(), (a - b).std().item()


def difference_population(a, b):
    return (a - b).mean().item(), ((a - b).std(unbiased=False) / len(a) ** 0.5).item()


def difference_no_root(a, b):
    return (a - b).mean().item(), ((a - b).std() / len(a)).item()


def difference_alone(a, b):
    return (a - b).mean().item()


def difference_variance(a, b):
    return (a - b).mean().item(), ((a - b).var() / len(a)).item()


def difference_of_spreads(a, b):
    return (a - b).mean().item(), ((a.std() - b.std()) / len(a) ** 0.5).item()


def difference_t(a, b):
    gaps = a - b
    return gaps.mean().item(), (gaps.mean() / gaps.std() * len(a) ** 0.5).item()


def difference_absolute(a, b):
    gaps = (a - b).abs()
    return gaps.mean().item(), (gaps.std() / len(a) ** 0.5).item()


def difference_sum(a, b):
    return (a - b).sum().item(), ((a - b).std() / len(a) ** 0.5).item()


def difference_exchanged(a, b):
    return ((a - b).std() / len(a) ** 0.5).item(), (a - b).mean().item()


def difference_of_five(a, b):
    return (a - b).mean().item(), ((a - b).std() / 5**0.5).item()


def difference_root_of_one_less(a, b):
    return (a - b).mean().item(), ((a - b).std() / (len(a) - 1) ** 0.5).item()


def _balls(candidates, real, k):
    return (torch.cdist(candidates, real) < torch.cdist(real, real).kthvalue(k + 1, dim=1).values).sum(1)


def densest_top(real, candidates, k, n):
    return _balls(candidates, real, k).topk(n).indices


def densest_own_balls(real, candidates, k, n):
    return _balls(candidates, candidates, k).argmax().repeat(n)


def densest_fewest(real, candidates, k, n):
    return _balls(candidates, real, k).argmin().repeat(n)


def densest_features(real, candidates, k, n):
    return candidates[_balls(candidates, real, k).argmax()].repeat(n, 1)


def densest_near_the_mean(real, candidates, k, n):
    return (candidates - real.mean(0)).norm(dim=1).argmin().repeat(n)


def densest_mean_radius(real, candidates, k, n):
    radius = torch.cdist(real, real).kthvalue(k + 1, dim=1).values.mean()
    return (torch.cdist(candidates, real) < radius).sum(1).argmax().repeat(n)


def densest_point_itself(real, candidates, k, n):
    return _balls(candidates, real, k - 1).argmax().repeat(n)


def densest_nearest_to_one(real, candidates, k, n):
    return torch.cdist(candidates, real).min(1).values.argmin().repeat(n)


def densest_smallest_own_ball(real, candidates, k, n):
    return torch.cdist(candidates, real).kthvalue(k, dim=1).values.argmin().repeat(n)


def densest_of_the_real(real, candidates, k, n):
    return _balls(real, real, k).argmax().repeat(n)


def densest_k_of_three(real, candidates, k, n):
    return _balls(candidates, real, 3).argmax().repeat(n)


def densest_once(real, candidates, k, n):
    return _balls(candidates, real, k).argmax()


def densest_as_float(real, candidates, k, n):
    return torch.full((n,), float(_balls(candidates, real, k).argmax()))


WRONG = {
    "07.frechet": [
        (frechet_root, "this is the root of the distance"),
        (frechet_no_two, "where is the 2"),
        (frechet_means_only, "of the means only"),
        (frechet_mean_of_squares, "are summed, not averaged"),
        (frechet_diagonal, "the variances are not all"),
        (frechet_no_clamp, "clamp at 0 before the root"),
        (frechet_means_forgotten, "the part of the means is missing"),
        (frechet_norm_not_squared, "‖μ_a − μ_b‖², squared"),
        (frechet_no_root, "take the root of each eigenvalue"),
        (frechet_root_of_the_sum, "not the root of the sum"),
        (frechet_root_of_entries, "not the root of each entry"),
        (frechet_as_if_symmetric, "not eigvalsh"),
        (frechet_singular_values, "not its singular values"),
        (frechet_divides_by_n, "divide by n − 1"),
        (frechet_covariance_of_rows, "a.T.cov()"),
        (frechet_added, "subtracted, not added"),
        (frechet_complex, "take the real part of the eigenvalues"),
        (frechet_of_one_size, "with 20 rows in a and 30 in b"),
    ],
    "07.neighbours": [
        (neighbours_self, "its own nearest neighbour"),
        (neighbours_turned, "wrong order"),
        (neighbours_counts, "return shares"),
        (neighbours_average, "not the average over balls"),
        (neighbours_twice_precision, "turn the roles round"),
        (neighbours_one, "return two numbers"),
        (neighbours_one_too_far, "one too far"),
        (neighbours_nearest_ball_only, "the nearest centre may be small"),
        (neighbours_mean_radius, "no common one"),
        (neighbours_crossed, "its OWN set"),
        (neighbours_share_of_balls, "count the POINTS"),
        (neighbours_squared_radius, "not its square"),
        (neighbours_k_of_three, "for k = 6"),
        (neighbours_as_floats, ".item()"),
    ],
    "07.luck": [
        (luck_in_words, "return one number"),
        (luck_negative, "never above the average"),
        (luck_too_much, "more than 100 per cent"),
        (luck_no_number, "finite"),
    ],
    "07.difference": [
        (difference_unpaired, "not paired"),
        (difference_turned, "the sign is turned"),
        (difference_spread, "smaller by the root of S"),
        (difference_population, "by S − 1 within"),
        (difference_no_root, "the ROOT of S"),
        (difference_alone, "return two numbers"),
        (difference_variance, "the square of the error"),
        (difference_of_spreads, "not the difference of the spreads"),
        (difference_t, "return the standard error"),
        (difference_absolute, "keep their signs"),
        (difference_sum, "not the sum"),
        (difference_exchanged, "wrong order"),
        (difference_of_five, "with 8 pairs it is off"),
        (difference_root_of_one_less, "the last root is of S"),
    ],
    "07.densest": [
        (densest_top, "Nothing forbids repetition"),
        (densest_own_balls, "not of the candidates"),
        (densest_fewest, "FEWEST"),
        (densest_features, "n indices"),
        (densest_near_the_mean, "nearest to the mean"),
        (densest_mean_radius, "no mean radius"),
        (densest_point_itself, "its own nearest neighbour"),
        (densest_nearest_to_one, "nearest to one real point"),
        (densest_smallest_own_ball, "the smallest ball of its own"),
        (densest_of_the_real, "an index into `real`"),
        (densest_k_of_three, "not always 3"),
        (densest_once, "one index for each of the n images"),
        (densest_as_float, "int64"),
    ],
}
