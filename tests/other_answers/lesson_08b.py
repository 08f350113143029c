"""Right answers to the exercises of lesson 08b, each in another style than the lesson's own."""

import numpy as np
import torch


def crf_sentence_by_sentence(start, moves, e, y, mask, log_Z):
    out = []
    for n in range(e.shape[1]):
        tags = y[mask[:, n], n].tolist()
        score = start[tags[0]]
        for t, tag in enumerate(tags):
            score = score + e[t, n, tag]
            if t:
                score = score + moves[tags[t - 1], tag]
        out.append(score - log_Z[n])
    return torch.stack(out)


def crf_by_one_hot(start, moves, e, y, mask, log_Z):
    hot = torch.nn.functional.one_hot(y, len(start)).to(e.dtype) * mask[:, :, None]
    words = (e * hot).sum((0, 2))
    return hot[0] @ start + words + torch.einsum("tnj,jk,tnk->n", hot[:-1], moves, hot[1:]) - log_Z


def crossing_as_float():
    return np.float64(17.5)


def crossing_as_integer():
    return np.int64(300)


def weighting_draw_by_draw(parents, tables, evidence, n, generator):
    states = torch.zeros(n, len(parents), dtype=torch.long)
    weights = torch.ones(n, dtype=torch.float64)
    u = torch.rand(n, len(parents), generator=generator, dtype=torch.float64)
    for row in range(n):
        for i, above in enumerate(parents):
            yes = float(tables[i][tuple(int(states[row, j]) for j in above)])
            if i in evidence:
                states[row, i] = evidence[i]
                weights[row] *= yes if evidence[i] == 1 else 1 - yes
            else:
                states[row, i] = int(u[row, i] < yes)
    return states, weights


def weighting_in_log_space(parents, tables, evidence, n, generator):
    columns = []
    log_weights = torch.zeros(n, dtype=tables[0].dtype)
    for i, table in enumerate(tables):
        yes = table[tuple(columns[j] for j in parents[i])] * torch.ones(n, dtype=table.dtype)
        if i in evidence:
            columns.append(torch.full((n,), evidence[i]))
            log_weights += torch.where(columns[-1] == 1, yes, 1 - yes).log()
        else:
            columns.append(torch.bernoulli(yes, generator=generator).long())
    return [torch.stack(columns, 1), log_weights.exp()]


def stuck_smoker():
    return {"asia": 1, "smoke": 1, "tub": 0, "cancer": 0, "bronc": 1, "either": 0, "xray": 1, "dysp": 1}


def stuck_in_numpy():
    names = ["asia", "smoke", "tub", "cancer", "bronc", "either", "xray", "dysp"]
    return dict(zip(names, np.array([0, 1, 0, 0, 0, 0, 1, 0])))


def weights_from_entropies(single, both):
    def part(p):
        return -torch.xlogy(p, p.clamp(min=1e-300 if p.dtype == torch.float64 else 1e-30))

    on, other = single[:, None].expand_as(both), single[None].expand_as(both)
    cells = (both, on - both, other - both, 1 - on - other + both)
    joint = sum(part(p.clamp(min=0)) for p in cells)
    alone = part(single) + part(1 - single)
    return alone[:, None] + alone[None] - joint


def weights_pair_by_pair(single, both):
    D = len(single)
    out = torch.zeros_like(both)
    for i in range(D):
        for j in range(D):
            p11 = both[i, j]
            table = torch.stack([p11, single[i] - p11, single[j] - p11, 1 - single[i] - single[j] + p11])
            a, b = single[i], single[j]
            alone = torch.stack([a * b, a * (1 - b), (1 - a) * b, (1 - a) * (1 - b)])
            some = table > 1e-12
            out[i, j] = (table[some] * (table[some] / alone[some]).log()).sum()
    return out


OTHER = {
    "08b.crf": [crf_sentence_by_sentence, crf_by_one_hot],
    "08b.crossing": [crossing_as_float, crossing_as_integer],
    "08b.weighting": [weighting_draw_by_draw, weighting_in_log_space],
    "08b.stuck": [stuck_smoker, stuck_in_numpy],
    "08b.weights": [weights_from_entropies, weights_pair_by_pair],
}
