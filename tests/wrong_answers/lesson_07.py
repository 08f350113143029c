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


def halves_bootstrap(statistic, x, repeats, generator):
    picks = [torch.randint(len(x), (len(x),), generator=generator) for _ in range(repeats)]
    return torch.tensor([float(statistic(x[pick])) for pick in picks]).std().item()


def halves_quarter(statistic, x, repeats, generator):
    picks = [torch.randperm(len(x), generator=generator)[: len(x) // 4] for _ in range(repeats)]
    return torch.tensor([float(statistic(x[pick])) for pick in picks]).std().item()


def halves_frozen(statistic, x, repeats, generator):
    pick = torch.randperm(len(x), generator=generator)[: len(x) // 2]
    return torch.tensor([float(statistic(x[pick])) for _ in range(repeats)]).std().item()


def halves_variance(statistic, x, repeats, generator):
    picks = [torch.randperm(len(x), generator=generator)[: len(x) // 2] for _ in range(repeats)]
    return torch.tensor([float(statistic(x[pick])) for pick in picks]).var().item()


def halves_standard_error(statistic, x, repeats, generator):
    picks = [torch.randperm(len(x), generator=generator)[: len(x) // 2] for _ in range(repeats)]
    return torch.tensor([float(statistic(x[pick])) for pick in picks]).std().item() / repeats**0.5


def halves_root_two(statistic, x, repeats, generator):
    picks = [torch.randperm(len(x), generator=generator)[: len(x) // 2] for _ in range(repeats)]
    return torch.tensor([float(statistic(x[pick])) for pick in picks]).std().item() / 2**0.5


def halves_own_dice(statistic, x, repeats, generator):
    picks = [torch.randperm(len(x))[: len(x) // 2] for _ in range(repeats)]
    return torch.tensor([float(statistic(x[pick])) for pick in picks]).std().item()


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
    "07.halves": [
        (halves_bootstrap, "without replacement"),
        (halves_quarter, "a half of 100 images has 50"),
        (halves_frozen, "every half is the same"),
        (halves_variance, "this is the variance"),
        (halves_standard_error, "root of the repeats"),
        (halves_root_two, "no factor √2"),
        (halves_own_dice, "pass it to torch.randperm"),
    ],
    "07.densest": [
        (densest_top, "Nothing forbids repetition"),
        (densest_own_balls, "not of the candidates"),
        (densest_fewest, "FEWEST"),
        (densest_features, "n indices"),
        (densest_near_the_mean, "another candidate lies in more balls"),
    ],
}
