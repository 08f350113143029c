"""Reference functions of lesson 13, generated from lessons/13_better_gans.py.

Do not edit: change the solution in the lesson and run `python tasks.py lessons`.
"""

import torch


def transport_1d(x, y):
    """Equation (3): W₁ of samples x and y (n,), or column by column of (n, k): () or (k,)."""
    return (x.sort(0).values - y.sort(0).values).abs().mean(0)


def gradient_penalty(D, real, fake, share):
    """The mean in (5): real and fake (n, …), one share (n,) each; D gives (n,)."""
    share = share.view(-1, *[1] * (real.dim() - 1))
    between = (share * real + (1 - share) * fake).detach().requires_grad_()
    (slope,) = torch.autograd.grad(D(between).sum(), between, create_graph=True)
    norm = (slope.flatten(1).square().sum(1) + 1e-12).sqrt()
    return (norm - 1).square().mean()


def fade_in(small, large, alpha):
    """Equation (7): small (B, c, s, s), doubled, and large (B, c, 2s, 2s), mixed by alpha."""
    doubled = small.repeat_interleave(2, 2).repeat_interleave(2, 3)
    return (1 - alpha) * doubled + alpha * large


def sliced_distance(x, y, directions):
    """Mean W₁ along directions (d, k), of any length, of points x and y (n, d)."""
    unit = directions / directions.norm(dim=0)
    apart = (x @ unit).sort(0).values - (y @ unit).sort(0).values
    return apart.abs().mean()


REFERENCES = {
    "13.transport": transport_1d,
    "13.penalty": gradient_penalty,
    "13.fade": fade_in,
    "13.sliced": sliced_distance,
}
