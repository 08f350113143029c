"""Reference functions of lesson 13b, generated from lessons/13b_a_generator_run_backwards.py.

Do not edit: change the solution in the lesson and run `python tasks.py lessons`.
"""

import torch


def descend(G, x, z, steps=150, lr=0.1):
    """Adam on (1) from starts z (s, n, d), G not to be changed; the best of s for each
    picture x (n, …): (n, d)."""
    z = z.detach().clone().requires_grad_()
    opt = torch.optim.Adam([z], lr)

    def errors():
        made = G(z.flatten(0, 1)).unflatten(0, z.shape[:2])  # (s, n, …)
        return (made - x).square().flatten(2).sum(2)  # (s, n)

    for _ in range(steps):
        (z.grad,) = torch.autograd.grad(errors().sum(), z)
        opt.step()
    with torch.no_grad():
        best = errors().argmin(0)
        return z[best, torch.arange(len(x), device=best.device)]


def directions(z, a):
    """Least-squares slopes of attributes a (n, k) in latents z (n, d): (d, k)."""
    z = z - z.mean(0)
    a = a - a.mean(0)
    return torch.linalg.lstsq(z, a).solution


def untangled(d, others):
    """The part of d (k,) at right angles to every column of others (k, m): (k,)."""
    shadow = others @ torch.linalg.lstsq(others, d[:, None]).solution
    return d - shadow[:, 0]


def truncated(u, centre, psi):
    """Styles u (n, d) drawn towards the centre (d,): psi = 1 leaves them, 0 is the centre."""
    return centre + psi * (u - centre)


REFERENCES = {
    "13b.descend": descend,
    "13b.directions": directions,
    "13b.untangled": untangled,
    "13b.truncated": truncated,
}
