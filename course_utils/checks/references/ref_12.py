"""Reference functions of lesson 12, generated from lessons/12_conditional_generation.py.

Do not edit: change the solution in the lesson and run `python tasks.py lessons`.
"""

import torch
import torch.nn.functional as F


def slant(x):
    """Equation (1): how far images x (n, 28, 28) lean, (n,); 0 for one without ink."""
    rows = torch.arange(x.shape[1], dtype=x.dtype, device=x.device)[:, None]
    columns = torch.arange(x.shape[2], dtype=x.dtype, device=x.device)
    mass = x.sum((1, 2)).clamp(min=1e-6)
    across = columns - ((x * columns).sum((1, 2)) / mass)[:, None, None]
    down = rows - ((x * rows).sum((1, 2)) / mass)[:, None, None]
    return (x * across * down).sum((1, 2)) / (x * down**2).sum((1, 2)).clamp(min=1e-6)


def guide(predict, x, t, order, w):
    """Equation (4): noise as x (B, …), with the orders (B, k) taken w times.

    predict(x, t, orders) → the noise in x; a form of NaN only is empty.
    """
    free = predict(x, t, torch.full_like(order, torch.nan))
    return free + w * (predict(x, t, order) - free)


def withhold(order, u, share):
    """Orders (B, 3), of which each field is left empty (NaN) with probability `share`.

    u (B, 3): uniform in [0, 1). share: a number, or one an order, (B, 1).
    """
    return torch.where(u < share, torch.nan, order)


def conditional_elbo(encode, decode, x, order, noise):
    """The bound (5) of each image, (B,): x (B, 1, 28, 28) in {0, 1}, noise (B, k).

    encode(x, order) → mean, log-variance (B, k); decode(z, order) → logits as x.
    """
    mean, log_var = encode(x, order)
    z = mean + (log_var / 2).exp() * noise
    miss = F.binary_cross_entropy_with_logits(decode(z, order), x, reduction="none")
    rate = (mean.square() + log_var.exp() - 1 - log_var).sum(1) / 2
    return -miss.flatten(1).sum(1) - rate


def projection_logit(look, judge, embed, x, order):
    """Equation (6): logits (B,) of images x, given orders (B, 3).

    look: x → features (B, k). judge: features → (B,). embed: orders → (B, k).
    """
    features = look(x)
    return judge(features) + (features * embed(order)).sum(1)


def class_coverage(real, real_y, made, made_y, k=5):
    """Equation (7): real (N, D) of classes real_y (N,), made (M, D) ordered as made_y (M,)."""
    shares = []
    for y in real_y.unique():
        mine = real[real_y == y]
        radius = torch.cdist(mine, mine).kthvalue(k + 1, dim=1).values  # the nearest is itself
        nearest = torch.cdist(mine, made[made_y == y]).amin(1)
        shares.append((nearest < radius).double().mean())
    return torch.stack(shares).mean()


REFERENCES = {
    "12.slant": slant,
    "12.guide": guide,
    "12.withhold": withhold,
    "12.elbo": conditional_elbo,
    "12.projection": projection_logit,
    "12.coverage": class_coverage,
}
