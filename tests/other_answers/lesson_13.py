"""Right answers to the exercises of lesson 13 in another style than the reference: they must pass."""

import torch
import torch.nn.functional as F


def transport_by_distribution_functions(x, y):
    """The area between the two distribution functions."""
    both = torch.cat([x, y]).sort(0).values
    columns = both.view(len(both), -1)
    areas = []
    for k, column in enumerate(columns.unbind(1)):
        first, second = x.view(len(x), -1)[:, k], y.view(len(y), -1)[:, k]
        below = [(part[None, :] <= column[:-1, None]).to(x).mean(1) for part in (first, second)]
        areas.append(((below[0] - below[1]).abs() * column.diff()).sum())
    return torch.stack(areas).reshape(x.shape[1:])


def transport_by_topk(x, y):
    ranked = [part.topk(len(part), dim=0).values for part in (x, y)]
    return F.l1_loss(*ranked, reduction="none").sum(0) / len(x)


def penalty_one_by_one(D, real, fake, share):
    terms = []
    for r, f, s in zip(real, fake, share):
        point = torch.lerp(f.detach(), r.detach(), s)[None].requires_grad_(True)
        out = D(point)
        slope = torch.autograd.grad(out, point, torch.ones_like(out), create_graph=True)[0]
        terms.append((torch.linalg.vector_norm(slope) - 1) ** 2)
    return sum(terms) / len(terms)


def penalty_by_clamped_root(D, real, fake, share):
    shape = (len(real),) + (1,) * (real.ndim - 1)
    with torch.no_grad():
        point = fake + share.reshape(shape) * (real - fake)
    point.requires_grad = True
    (slope,) = torch.autograd.grad(D(point).sum(), [point], create_graph=True)
    square = torch.einsum("nd,nd->n", slope.flatten(1), slope.flatten(1))
    return F.mse_loss((square + 1e-8) ** 0.5, torch.ones_like(square))


def fade_by_lerp(small, large, alpha):
    return torch.lerp(F.interpolate(small, scale_factor=2, mode="nearest"), large, alpha)


def fade_by_expanding(small, large, alpha):
    b, c, s, _ = small.shape
    old = small[:, :, :, None, :, None].expand(b, c, s, 2, s, 2).reshape(b, c, 2 * s, 2 * s)
    return old + alpha * (large - old)


def sliced_in_a_loop(x, y, directions):
    total = 0.0
    for u in F.normalize(directions, dim=0).T:
        first, second = torch.sort(x @ u)[0], torch.sort(y @ u)[0]
        total = total + F.l1_loss(first, second)
    return total / directions.shape[1]


def sliced_divided_afterwards(x, y, directions):
    along = [torch.einsum("nd,dk->kn", part, directions).sort().values for part in (x, y)]
    return ((along[0] - along[1]).abs() / directions.square().sum(0).sqrt()[:, None]).mean()


OTHER = {
    "13.transport": [transport_by_distribution_functions, transport_by_topk],
    "13.penalty": [penalty_one_by_one, penalty_by_clamped_root],
    "13.fade": [fade_by_lerp, fade_by_expanding],
    "13.sliced": [sliced_in_a_loop, sliced_divided_afterwards],
}
