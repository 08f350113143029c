"""Right answers to the exercises of lesson 04, each in another style than the lesson's own."""

import math

import torch
from torch.distributions import Normal, kl_divergence
from torch.nn import functional as F


def kl_of_distributions(mean, log_var):
    return kl_divergence(Normal(mean, torch.exp(log_var / 2)), Normal(0.0, 1.0))


def kl_as_in_the_paper(mean, log_var):
    return -(1 + log_var - mean**2 - torch.exp(log_var)) / 2


def kl_by_expm1(mean, log_var):
    return 0.5 * (torch.expm1(log_var) - log_var) + torch.pow(mean, 2) / 2


def kl_by_a_loop(mean, log_var):
    rows = []
    for centres, log_variances in zip(mean, log_var):
        pairs = zip(centres, log_variances)
        rows.append(torch.stack([(m * m + math.e**v - 1.0 - v) / 2 for m, v in pairs]))
    return torch.stack(rows)


def kl_by_vmap(mean, log_var):
    return torch.vmap(torch.vmap(lambda m, v: (m * m + v.exp() - 1 - v) / 2))(mean, log_var)


def draw_by_scale(mean, log_var, eps):
    return torch.addcmul(mean, log_var.div(2).exp(), eps)


def draw_by_root(mean, log_var, eps):
    return torch.sqrt(torch.exp(log_var)) * eps + mean


def draw_by_matrices(mean, log_var, eps):
    return mean + torch.einsum("bij,bj->bi", torch.diag_embed(log_var.exp().sqrt()), eps)


def draw_one_by_one(mean, log_var, eps):
    return torch.stack([m + e * (v / 2).exp() for m, v, e in zip(mean, log_var, eps)])


def terms_in_a_list(log_lik, kl):
    batch = kl.shape[0]
    return [torch.sum(kl) / batch, torch.sum(-log_lik) / batch]


def terms_stacked(log_lik, kl):
    return torch.stack([kl.mean() * kl.shape[1], -log_lik.mean() * log_lik[0].numel()])


def terms_by_a_loop(log_lik, kl):
    rate = sum(row.sum() for row in kl) / len(kl)
    distortion = -sum(image.sum() for image in log_lik) / len(log_lik)
    return rate, distortion


def terms_by_einsum(log_lik, kl):
    rows = log_lik.reshape(len(log_lik), -1)
    return torch.einsum("bk->", kl) / len(kl), torch.einsum("bd->b", rows).neg().mean()


def every_label_by_a_loop(decode, z, n_labels):
    columns = []
    for label in range(n_labels):
        columns.append(decode(z, torch.full((len(z),), label, dtype=torch.int64, device=z.device)))
    return torch.stack(columns, 1)


def every_label_by_rows(decode, z, n_labels):
    y = torch.arange(n_labels, device=z.device)
    return torch.stack([decode(code.expand(n_labels, -1), y) for code in z])


def every_label_label_first(decode, z, n_labels):
    y = torch.arange(n_labels, device=z.device).repeat_interleave(len(z))
    out = decode(z.repeat(n_labels, 1), y)
    return out.unflatten(0, (n_labels, len(z))).transpose(0, 1)


def every_label_by_expansion(decode, z, n_labels):
    codes = z[:, None, :].expand(-1, n_labels, -1)
    y = torch.arange(n_labels).to(z.device).expand(len(z), -1)
    return decode(codes.flatten(0, 1), y.flatten()).unflatten(0, (len(z), n_labels))


def sampler_by_comparison(decode, n, k, generator):
    z = torch.empty(n, k).normal_(generator=generator)
    chance = 1 / (1 + torch.exp(-decode(z)))
    return [z, (torch.rand(chance.shape, generator=generator) < chance).float()]


def sampler_in_place(decode, n, k, generator):
    z = torch.normal(0.0, 1.0, (n, k), generator=generator)
    chance = torch.sigmoid(decode(z))
    return z, torch.empty_like(chance).bernoulli_(chance, generator=generator)


def sampler_by_gumbel(decode, n, k, generator):
    z = torch.randn((n, k), generator=generator)
    logits = decode(z)
    u = torch.rand(logits.shape, generator=generator)
    return z, (logits + torch.logit(u) > 0).to(logits.dtype)


def careless_by_reduction(log_lik, kl):
    return F.l1_loss(kl, torch.zeros_like(kl), reduction="sum") / len(kl) + torch.mean(-log_lik)


def careless_by_images(log_lik, kl):
    return torch.stack([a.sum() - b.mean() for a, b in zip(kl, log_lik)]).mean()


def careless_by_numel(log_lik, kl):
    return kl.mean() * kl.shape[1] - log_lik.sum() / log_lik.numel()


OTHER = {
    "04.kl": [kl_of_distributions, kl_as_in_the_paper, kl_by_expm1, kl_by_a_loop, kl_by_vmap],
    "04.reparameterise": [draw_by_scale, draw_by_root, draw_by_matrices, draw_one_by_one],
    "04.elbo": [terms_in_a_list, terms_stacked, terms_by_a_loop, terms_by_einsum],
    "04.relabel": [
        every_label_by_a_loop,
        every_label_by_rows,
        every_label_label_first,
        every_label_by_expansion,
    ],
    "04.ancestral": [sampler_by_comparison, sampler_in_place, sampler_by_gumbel],
    "04.careless": [careless_by_reduction, careless_by_images, careless_by_numel],
}
