"""Reference functions of lesson 08b, generated from lessons/08b_graphs.py.

Do not edit: change the solution in the lesson and run `python tasks.py lessons`.
"""

import torch


def crf_log_likelihood(start, moves, e, y, mask, log_Z):
    """log p(y | x), equation (1), of N padded sentences: (N,).

    start (K,): added to the score of the first tag; moves (K, K): θ; e (T, N, K);
    tags y (T, N); mask (T, N): True where there is a word; log_Z (N,).
    """
    picked = e.gather(2, y[:, :, None])[:, :, 0]  # (T, N)
    steps = moves[y[:-1], y[1:]]  # (T-1, N)
    score = start[y[0]] + (picked * mask).sum(0) + (steps * mask[1:]).sum(0)
    return score - log_Z


def my_crossing():
    """Your guess: the number of training sentences from which on the CRF is ahead."""
    return 20


def likelihood_weighting(parents, tables, evidence, n, generator):
    """n weighted draws: states (n, nodes) of 0 and 1, and weights (n,).

    parents: for each node a tuple of earlier nodes; tables: p(yes | parents), one axis a
    parent, float64; evidence {node: 0 or 1}. All random numbers come from `generator`.
    """
    states = torch.zeros(n, len(parents), dtype=torch.long)
    weights = torch.ones(n, dtype=tables[0].dtype)
    for i, (above, table) in enumerate(zip(parents, tables)):
        yes = table[tuple(states[:, j] for j in above)].expand(n)  # (n,)
        if i in evidence:
            states[:, i] = evidence[i]
            weights = weights * (yes if evidence[i] else 1 - yes)
        else:
            states[:, i] = (torch.rand(n, generator=generator) < yes).long()
    return states, weights


def stuck_start():
    """A possible state {node name: 0 or 1} with xray = 1 from which cancer is never reached."""
    names = ("asia", "smoke", "tub", "cancer", "bronc", "either", "xray", "dysp")
    return {name: int(name == "xray") for name in names}


def edge_weights(single, both):
    """Mutual informations (D, D) in nats, from p(x_i = 1) (D,) and p(x_i = x_j = 1) (D, D)."""
    on = single[:, None]
    other = single[None]
    cells = (  # p(a, b), p(a) p(b)
        (both, on * other),
        (on - both, on * (1 - other)),
        (other - both, (1 - on) * other),
        (1 - on - other + both, (1 - on) * (1 - other)),
    )
    total = torch.zeros_like(both)
    for p, independent in cells:  # rounding may leave a p of −1e-17
        total = total + torch.where(p > 0, torch.xlogy(p, p) - torch.xlogy(p, independent), 0.0)
    return total


REFERENCES = {
    "08b.crf": crf_log_likelihood,
    "08b.crossing": my_crossing,
    "08b.weighting": likelihood_weighting,
    "08b.stuck": stuck_start,
    "08b.weights": edge_weights,
}
