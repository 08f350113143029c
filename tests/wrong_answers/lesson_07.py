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


WRONG = {
    "07.frechet": [
        (frechet_root, "this is the root of the distance"),
        (frechet_no_two, "− 2 times the trace"),
        (frechet_means_only, "the root of each eigenvalue"),
        (frechet_mean_of_squares, "of the difference of means, summed"),
        (frechet_diagonal, "that of the product"),
        (frechet_no_clamp, "clamp at 0 before the root"),
    ],
    "07.neighbours": [
        (neighbours_self, "its own nearest neighbour"),
        (neighbours_turned, "wrong order"),
        (neighbours_counts, "return shares"),
        (neighbours_average, "one ball is enough"),
        (neighbours_twice_precision, "turn the roles round"),
        (neighbours_one, "return two numbers"),
    ],
    "07.luck": [
        (luck_in_words, "commit one number"),
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
    ],
    "07.densest": [
        (densest_top, "Nothing forbids repetition"),
        (densest_own_balls, "not of the candidates"),
        (densest_fewest, "FEWEST"),
        (densest_features, "n indices"),
        (densest_near_the_mean, "another candidate lies in more balls"),
    ],
}
