"""What class-wise coverage is worth, and what usual slips make of it: for the check of lesson 12."""

import torch


def covered(real, made, k, pool=None, extra=1):
    """Which real points have a made one within their k-th neighbour among `pool`."""
    pool = real if pool is None else pool
    radius = torch.cdist(real, pool).kthvalue(k + extra, 1).values
    return torch.cdist(real, made).amin(1) < radius


def coverage_mistakes(real, real_y, made, made_y, k):
    """What usual slips make of (7): pairs (value, hint)."""
    classes = real_y.unique().tolist()

    def mean_of(share):
        return torch.stack(
            [share(real[real_y == y], made[made_y == y]).double().mean() for y in classes]
        ).mean()

    pooled = torch.cat([covered(real[real_y == y], made[made_y == y], k) for y in classes]).double().mean()

    def fakes_radius(mine, theirs):
        radius = torch.cdist(theirs, theirs).kthvalue(k + 1, 1).values
        return (torch.cdist(mine, theirs) < radius).any(1)

    def precision(mine, theirs):
        radius = torch.cdist(mine, mine).kthvalue(k + 1, 1).values
        return (torch.cdist(theirs, mine) < radius).any(1)

    def density(mine, theirs):
        radius = torch.cdist(mine, mine).kthvalue(k + 1, 1).values
        return (torch.cdist(mine, theirs) < radius[:, None]).sum(0) / k

    return [
        (
            mean_of(lambda mine, theirs: covered(mine, theirs, k, real)),
            "the k-th neighbour is sought across classes: among real digits of the same class only.",
        ),
        (
            mean_of(lambda mine, theirs: covered(mine, made, k)),
            "draws ordered as another class count, too: only those ordered as this class.",
        ),
        (covered(real, made, k).double().mean(), "the classes are not kept apart."),
        (mean_of(fakes_radius), "the radius comes from the draws: it is that of the real digits."),
        (
            mean_of(precision),
            "this is the share of draws among the real: of the real among the draws is asked.",
        ),
        (mean_of(density), "this is density: coverage asks of each real digit whether it has a draw at all."),
        (
            mean_of(lambda mine, theirs: covered(mine, theirs, k, extra=0)),
            "each point is its own nearest neighbour, at distance 0: take entry k + 1.",
        ),
        (pooled, "averaged over all digits: (7) averages over the classes, each counting the same."),
        (
            1 - mean_of(lambda mine, theirs: covered(mine, theirs, k)),
            "this is the share that is *not* covered.",
        ),
    ]
