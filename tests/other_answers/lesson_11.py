"""Right answers to the exercises of lesson 11, each in another style than the lesson's own."""

import torch


def energy_with_logaddexp(v, W, b, c):
    a = v @ W + c
    return -(v * b).sum(dim=1) - torch.logaddexp(a, torch.zeros_like(a)).sum(dim=1)


def energy_unit_by_unit(v, W, b, c):
    F = -torch.mv(v, b)
    for j in range(len(c)):
        a = torch.mv(v, W[:, j]) + c[j]
        F = F - (a.clamp(min=0) + torch.log1p(torch.exp(-a.abs())))
    return F


def pcd_with_uniform_numbers(model, v, chains):
    with torch.no_grad():
        p_h = model.p_h(chains)
        h = (torch.rand_like(p_h) < p_h).to(p_h.dtype)
        p_v = model.p_v(h)
        new = (torch.rand_like(p_v) < p_v).to(p_v.dtype)
    both = model.free_energy(torch.cat([v, new]))
    return both[: len(v)].mean() - both[len(v) :].mean(), new


def pcd_detached_in_the_end(model, v, chains):
    h = torch.bernoulli(model.p_h(chains).detach())
    chains = torch.bernoulli(model.p_v(h).detach())
    return [(model.free_energy(v).sum() / len(v)) - torch.mean(model.free_energy(chains)), chains]


def pcd_from_the_weights(model, v, chains):
    with torch.no_grad():
        h = torch.bernoulli((chains @ model.W + model.c).sigmoid())
        moved = torch.bernoulli(torch.sigmoid(h @ model.W.T + model.b))
    return model.free_energy(v).mean() - model.free_energy(moved).mean(), moved


def copier_with_pairs():
    W = torch.zeros(9, 18)
    for i in range(9):
        W[i, 2 * i] = 15.0
        W[i, 2 * i + 1] = 15.0
    return W, torch.full((9,), -15.0), torch.full((18,), -7.5)


def copier_by_contrast():
    W = -24 * torch.eye(9, dtype=torch.float64)  # hidden units are on where pixels are off
    return [W, torch.full((9,), 12.0), torch.full((9,), 12.0)]


def anneal_by_index(log_f, move, v, shares):
    total = log_f(v, shares[1]) - log_f(v, shares[0])
    for k in range(2, len(shares)):
        v = move(v, shares[k - 1])
        total = total + (log_f(v, shares[k]) - log_f(v, shares[k - 1]))
    return total


def anneal_stacked(log_f, move, v, shares):
    terms = []
    for k in range(1, len(shares)):
        terms.append(log_f(v, shares[k]) - log_f(v, shares[k - 1]))
        v = move(v, shares[k])
    return torch.stack(terms).sum(0)


def anneal_from_a_copy(log_f, move, v, shares):
    left = list(shares)
    before = left.pop(0)
    log_w = v.new_zeros(len(v))
    while left:
        now = left.pop(0)
        log_w += log_f(v, now) - log_f(v, before)
        before, v = now, move(v, now)
    return log_w


def guess_in_floats():
    return 61.5


def guess_as_tensor():
    return torch.tensor(20)


OTHER = {
    "11.free_energy": [energy_with_logaddexp, energy_unit_by_unit],
    "11.pcd": [pcd_with_uniform_numbers, pcd_detached_in_the_end, pcd_from_the_weights],
    "11.copier": [copier_with_pairs, copier_by_contrast],
    "11.annealing": [anneal_by_index, anneal_stacked, anneal_from_a_copy],
    "11.dream": [guess_in_floats, guess_as_tensor],
}
