"""Right answers to the exercises of lesson 12 in another style than the reference: they must pass."""

import numpy as np
import torch
from torch.distributions import Bernoulli, Normal, kl_divergence


def slant_by_weighted_means(x):
    out = []
    for page in x:
        r, c = torch.meshgrid(
            torch.arange(28, dtype=x.dtype, device=x.device),
            torch.arange(28, dtype=x.dtype, device=x.device),
            indexing="ij",
        )
        share = page / page.sum().clamp(min=1e-9)
        r0, c0 = (share * r).sum(), (share * c).sum()
        high = (share * (r - r0) ** 2).sum()
        lean = (share * (r - r0) * (c - c0)).sum()
        out.append(lean / high.clamp(min=1e-9))
    return torch.stack(out)


def guide_in_one_call(predict, x, t, order, w):
    twice = torch.cat([torch.full_like(order, float("nan")), order])
    free, told = predict(torch.cat([x, x]), t, twice).chunk(2)
    return (1 - w) * free + w * told


def withhold_by_mask(order, u, share):
    return order.clone().masked_fill_(u < share, float("nan"))


def elbo_by_distributions(encode, decode, x, order, noise):
    mean, log_var = encode(x, order)
    q = Normal(mean, log_var.exp().sqrt(), validate_args=False)
    logits = decode(q.loc + q.scale * noise, order)
    log_lik = Bernoulli(logits=logits, validate_args=False).log_prob(x).flatten(1).sum(-1)
    prior = Normal(torch.zeros_like(mean), torch.ones_like(mean), validate_args=False)
    return log_lik - kl_divergence(q, prior).sum(-1)


def projection_by_diagonal(look, judge, embed, x, order):
    h = look(x)
    return torch.einsum("bk,bk->b", embed(order), h) + judge(h)


def coverage_in_loops(real, real_y, made, made_y, k=5):
    shares = []
    for y in sorted(set(real_y.tolist())):
        mine = np.asarray(real[real_y == y].tolist())
        theirs = np.asarray(made[made_y == y].tolist())
        hit = 0
        for point in mine:
            among = np.sort(np.linalg.norm(mine - point, axis=1))
            hit += np.linalg.norm(theirs - point, axis=1).min() < among[k]
        shares.append(hit / len(mine))
    return float(np.mean(shares))


OTHER = {
    "12.slant": [slant_by_weighted_means],
    "12.guide": [guide_in_one_call],
    "12.withhold": [withhold_by_mask],
    "12.elbo": [elbo_by_distributions],
    "12.projection": [projection_by_diagonal],
    "12.coverage": [coverage_in_loops],
}
