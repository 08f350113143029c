"""Right answers to the exercises of lesson 13b in another style than the reference: they must pass."""

import numpy as np
import torch
from torch.nn import functional as F


def descend_start_by_start(G, x, z, steps=150, lr=0.1):
    """One start after the other, each with an Adam of its own; the best so far is kept."""
    found, least = z[0].clone(), torch.full_like(z[0, :, 0], torch.inf)
    for start in z:
        here = torch.nn.Parameter(start.clone())
        opt = torch.optim.Adam([here], lr=lr)
        for _ in range(steps):
            opt.zero_grad()
            F.mse_loss(G(here), x).backward(inputs=[here])
            opt.step()
        with torch.no_grad():
            off = ((G(here) - x) ** 2).reshape(len(x), -1).mean(1)
            found[off < least] = here[off < least]
            least = torch.minimum(off, least)
    return found


def descend_by_hand(G, x, z, steps=150, lr=0.1):
    """Adam written out, and the pictures repeated as often as there are starts."""
    s, n, d = z.shape
    flat, goal = z.reshape(s * n, d).clone(), x.repeat(s, *[1] * (x.dim() - 1))
    mean = square = torch.zeros_like(flat)
    for k in range(1, steps + 1):
        at = flat.detach().requires_grad_(True)
        (slope,) = torch.autograd.grad(torch.sum((G(at) - goal) ** 2), [at])
        mean, square = 0.9 * mean + 0.1 * slope, 0.999 * square + 0.001 * slope**2
        flat = flat - lr * (mean / (1 - 0.9**k)) / ((square / (1 - 0.999**k)).sqrt() + 1e-8)
    with torch.no_grad():
        off = (G(flat) - goal).reshape(s * n, -1)
        best = torch.einsum("mp,mp->m", off, off).reshape(s, n).min(dim=0).indices
    return flat.reshape(s, n, d).gather(0, best[None, :, None].expand(1, n, d))[0]


def descend_frozen_for_a_while(G, x, z, steps=150, lr=0.1):
    weights = [weight for weight in G.parameters() if weight.requires_grad]
    for weight in weights:
        weight.requires_grad = False
    z = z.clone().requires_grad_()
    opt = torch.optim.Adam([z], lr)
    for _ in range(steps):
        opt.zero_grad()
        sum((G(one) - x).square().sum() for one in z).backward()
        opt.step()
    z = z.detach()
    errors = torch.stack([(G(one) - x).square().flatten(1).sum(1) for one in z])
    for weight in weights:
        weight.requires_grad = True
    return torch.stack([z[k, i] for i, k in enumerate(errors.argmin(0).tolist())])


def directions_with_ones(z, a):
    ones = torch.ones_like(z[:, :1])
    return (torch.linalg.pinv(torch.cat([ones, z], 1)) @ a)[1:]


def directions_normal_equations(z, a):
    """a keeps its mean: the centred latents do not see it."""
    z = z - z.mean(0)
    return torch.linalg.solve(torch.einsum("ni,nj->ij", z, z), torch.einsum("ni,nk->ik", z, a))


def directions_in_numpy(z, a):
    both = np.cov(z.numpy(), a.numpy(), rowvar=False)
    d = z.shape[1]
    return torch.from_numpy(np.linalg.solve(both[:d, :d], both[:d, d:])).to(z.dtype)


def directions_attribute_by_attribute(z, a):
    full = torch.hstack([z, torch.ones_like(z[:, :1])])
    return torch.stack([torch.linalg.lstsq(full, column).solution[:-1] for column in a.T], 1)


def untangled_by_qr(d, others):
    q, _ = torch.linalg.qr(others)
    return d - q @ (q.T @ d)


def untangled_in_a_loop(d, others):
    """Gram and Schmidt: each column is first cleared of those before it."""
    done = []
    for column in others.T:
        for before in done:
            column = column - before * (column @ before) / (before @ before)
        done.append(column)
    for column in done:
        d = d - column * (d @ column) / (column @ column)
    return d


def untangled_in_numpy(d, others):
    d, others = d.numpy(), others.numpy()
    best, *_ = np.linalg.lstsq(others, d, rcond=None)
    return torch.from_numpy(d - others @ best)


def untangled_by_a_projector(d, others):
    return (torch.eye(len(d), dtype=d.dtype, device=d.device) - others @ torch.linalg.pinv(others)) @ d


def truncated_by_lerp(u, centre, psi):
    return torch.lerp(centre.expand_as(u), u, psi)


def truncated_in_a_loop(u, centre, psi):
    return torch.stack([psi * style + (1 - psi) * centre for style in u])


def truncated_from_the_style(u, centre, psi):
    return u + torch.einsum("nd,->nd", centre - u, torch.as_tensor(1 - psi, dtype=u.dtype))


OTHER = {
    "13b.descend": [descend_start_by_start, descend_by_hand, descend_frozen_for_a_while],
    "13b.directions": [
        directions_with_ones,
        directions_normal_equations,
        directions_in_numpy,
        directions_attribute_by_attribute,
    ],
    "13b.untangled": [
        untangled_by_qr,
        untangled_in_a_loop,
        untangled_in_numpy,
        untangled_by_a_projector,
    ],
    "13b.truncated": [truncated_by_lerp, truncated_in_a_loop, truncated_from_the_style],
}
