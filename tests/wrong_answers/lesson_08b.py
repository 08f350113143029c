"""Wrong answers to the exercises of lesson 08b, each with a part of the hint that it must get."""

import math

import torch


def _parts(start, moves, e, y, mask):
    picked = e.gather(2, y[:, :, None])[:, :, 0]
    steps = moves[y[:-1], y[1:]]
    return start[y[0]], picked, steps


def crf_right(start, moves, e, y, mask, log_Z):
    first, picked, steps = _parts(start, moves, e, y, mask)
    return first + (picked * mask).sum(0) + (steps * mask[1:]).sum(0) - log_Z


def crf_score_alone(start, moves, e, y, mask, log_Z):
    return crf_right(start, moves, e, y, mask, 0 * log_Z)


def crf_adds_log_Z(start, moves, e, y, mask, log_Z):
    return crf_right(start, moves, e, y, mask, -log_Z)


def crf_counts_padding(start, moves, e, y, mask, log_Z):
    first, picked, steps = _parts(start, moves, e, y, mask)
    return first + picked.sum(0) + steps.sum(0) - log_Z


def crf_padded_words(start, moves, e, y, mask, log_Z):
    first, picked, steps = _parts(start, moves, e, y, mask)
    return first + picked.sum(0) + (steps * mask[1:]).sum(0) - log_Z


def crf_padded_moves(start, moves, e, y, mask, log_Z):
    first, picked, steps = _parts(start, moves, e, y, mask)
    return first + (picked * mask).sum(0) + steps.sum(0) - log_Z


def crf_mask_of_first(start, moves, e, y, mask, log_Z):
    first, picked, steps = _parts(start, moves, e, y, mask)
    return first + (picked * mask).sum(0) + (steps * mask[:-1]).sum(0) - log_Z


def crf_last_move_dropped(start, moves, e, y, mask, log_Z):
    first, picked, steps = _parts(start, moves, e, y, mask)
    return first + (picked * mask).sum(0) + (steps * mask[1:])[:-1].sum(0) - log_Z


def crf_no_moves(start, moves, e, y, mask, log_Z):
    return crf_right(start, 0 * moves, e, y, mask, log_Z)


def crf_no_start(start, moves, e, y, mask, log_Z):
    return crf_right(0 * start, moves, e, y, mask, log_Z)


def crf_no_words(start, moves, e, y, mask, log_Z):
    return crf_right(start, moves, 0 * e, y, mask, log_Z)


def crf_transposed(start, moves, e, y, mask, log_Z):
    return crf_right(start, moves.T, e, y, mask, log_Z)


def crf_Z_of_each_word(start, moves, e, y, mask, log_Z):
    return crf_right(start, moves, e.log_softmax(2), y, mask, 0 * log_Z)


def crf_mean(start, moves, e, y, mask, log_Z):
    return crf_right(start, moves, e, y, mask, log_Z) / mask.sum(0)


def crf_probability(start, moves, e, y, mask, log_Z):
    return crf_right(start, moves, e, y, mask, log_Z).exp()


def crf_loss(start, moves, e, y, mask, log_Z):
    return -crf_right(start, moves, e, y, mask, log_Z)


def crf_sum_of_all(start, moves, e, y, mask, log_Z):
    return crf_right(start, moves, e, y, mask, log_Z).sum()


def crf_detached(start, moves, e, y, mask, log_Z):
    return crf_right(start.detach(), moves.detach(), e.detach(), y, mask, log_Z.detach())


def crossing_in_words():
    return "ten"


def crossing_never():
    return math.inf


def crossing_too_many():
    return 10_000


def _weighting(weigh, clamp=True, draw=None):
    def answer(parents, tables, evidence, n, generator):
        states = torch.zeros(n, len(parents), dtype=torch.long)
        weights = torch.ones(n, dtype=tables[0].dtype)
        for i, (above, table) in enumerate(zip(parents, tables)):
            yes = table[tuple(states[:, j] for j in above)].expand(n)
            drawn = (torch.rand(n, generator=generator) < (draw(yes) if draw else yes)).long()
            if i in evidence:
                states[:, i] = evidence[i] if clamp else drawn
                weights = weigh(weights, yes if evidence[i] else 1 - yes, yes)
            else:
                states[:, i] = drawn
        return states, weights

    return answer


def _product(weights, chance, yes):
    return weights * chance


weighting_evidence_drawn = _weighting(_product, clamp=False)
weighting_last_only = _weighting(lambda weights, chance, yes: chance)
weighting_added = _weighting(lambda weights, chance, yes: weights + chance)
weighting_always_yes = _weighting(lambda weights, chance, yes: weights * yes)
weighting_unweighted = _weighting(lambda weights, chance, yes: weights)
weighting_turned = _weighting(_product, draw=lambda yes: 1 - yes)
weighting_ignores_parents = _weighting(_product, draw=lambda yes: yes.mean().expand(len(yes)))


def weighting_logarithms(parents, tables, evidence, n, generator):
    states, weights = _weighting(_product)(parents, tables, evidence, n, generator)
    return states, weights.log()


def weighting_normalised(parents, tables, evidence, n, generator):
    states, weights = _weighting(_product)(parents, tables, evidence, n, generator)
    return states, weights / weights.sum()


def weighting_all_nodes(parents, tables, evidence, n, generator):
    states, _ = _weighting(_product)(parents, tables, evidence, n, generator)
    weights = torch.ones(n, dtype=tables[0].dtype)
    for i, (above, table) in enumerate(zip(parents, tables)):
        yes = table[tuple(states[:, j] for j in above)].expand(n)
        weights = weights * torch.where(states[:, i] == 1, yes, 1 - yes)
    return states, weights


def weighting_states_only(parents, tables, evidence, n, generator):
    return _weighting(_product)(parents, tables, evidence, n, generator)[0]


def weighting_own_generator(parents, tables, evidence, n, generator):
    return _weighting(_product)(parents, tables, evidence, n, torch.Generator().manual_seed(0))


def _state(**on):
    names = ("asia", "smoke", "tub", "cancer", "bronc", "either", "xray", "dysp")
    return {name: int(on.get(name, 0)) for name in names}


def stuck_no_xray():
    return _state()


def stuck_impossible():
    return _state(xray=1, tub=1)


def stuck_with_cancer():
    return _state(xray=1, cancer=1, either=1)


def stuck_one_move_away():
    return _state(xray=1, tub=1, either=1)


def stuck_half_a_state():
    return {"xray": 1, "either": 0}


def stuck_list():
    return [0, 0, 0, 0, 0, 0, 1, 0]


def stuck_in_words():
    return dict.fromkeys(_state(), "no") | {"xray": "yes"}


def _cells(single, both):
    on, other = single[:, None], single[None]
    return [
        (both, on * other),
        (on - both, on * (1 - other)),
        (other - both, (1 - on) * other),
        (1 - on - other + both, (1 - on) * (1 - other)),
    ]


def _sum(cells):
    total = 0.0
    for p, independent in cells:
        p = p.clamp(min=0)
        total = total + torch.where(p > 0, torch.xlogy(p, p) - torch.xlogy(p, independent), 0.0)
    return total


def weights_right(single, both):
    return _sum(_cells(single, both))


def weights_in_bits(single, both):
    return weights_right(single, both) / math.log(2)


def weights_negative(single, both):
    return -weights_right(single, both)


def _correlation(single, both):
    deviation = (single * (1 - single)).sqrt()
    return (both - torch.outer(single, single)) / torch.outer(deviation, deviation)


def weights_correlation(single, both):
    return _correlation(single, both)


def weights_squared_correlation(single, both):
    return _correlation(single, both).square()


def weights_covariance(single, both):
    return both - torch.outer(single, single)


def weights_one_cell(single, both):
    return _sum(_cells(single, both)[:1])


def weights_agreeing_cells(single, both):
    cells = _cells(single, both)
    return _sum([cells[0], cells[3]])


def weights_zero_log_zero(single, both):
    return sum(p * (p / independent).log() for p, independent in _cells(single, both))


def weights_joint_entropy(single, both):
    entropy = -torch.xlogy(single, single) - torch.xlogy(1 - single, 1 - single)
    return entropy[:, None] + entropy[None] - weights_right(single, both)


def weights_averaged(single, both):
    return weights_right(single, both) / 4


def weights_in_float32(single, both):
    return weights_right(single.float(), both.float()).to(single.dtype)


WRONG = {
    "08b.crf": [
        (crf_score_alone, "subtract log Z"),
        (crf_adds_log_Z, "you add it"),
        (crf_counts_padding, "multiply scores and moves"),
        (crf_padded_words, "multiply the words' scores"),
        (crf_padded_moves, "counted in the moves"),
        (crf_mask_of_first, "its second word exists"),
        (crf_last_move_dropped, "the last move is dropped"),
        (crf_no_moves, "the moves are forgotten"),
        (crf_no_start, "the start is forgotten"),
        (crf_no_words, "the words are forgotten"),
        (crf_transposed, "θ is transposed"),
        (crf_Z_of_each_word, "normalise at each word"),
        (crf_mean, "no mean over the words"),
        (crf_probability, "return its logarithm"),
        (crf_loss, "no minus sign"),
        (crf_sum_of_all, "one number a sentence"),
        (crf_detached, "no gradient passes"),
    ],
    "08b.crossing": [
        (crossing_in_words, "return one number"),
        (crossing_never, "a finite number"),
        (crossing_too_many, "between 1 and 4,274"),
    ],
    "08b.weighting": [
        (weighting_evidence_drawn, "evidence is set"),
        (weighting_last_only, "only the last evidence counts"),
        (weighting_added, "product of p(evidence"),
        (weighting_always_yes, "evidence 0 is 1 − p(yes"),
        (weighting_unweighted, "all weights are 1"),
        (weighting_turned, "yes and no are exchanged"),
        (weighting_ignores_parents, "ignores its parents"),
        (weighting_logarithms, "the weights themselves"),
        (weighting_normalised, "do not divide by the sum"),
        (weighting_all_nodes, "only evidence does"),
        (weighting_states_only, "two things"),
        (weighting_own_generator, "make none of your own"),
    ],
    "08b.stuck": [
        (stuck_no_xray, "X-ray is positive"),
        (stuck_impossible, "plain OR"),
        (stuck_with_cancer, "has cancer already"),
        (stuck_one_move_away, "one move from here"),
        (stuck_half_a_state, "all eight nodes"),
        (stuck_list, "return a dict"),
        (stuck_in_words, "0 (no) or 1 (yes)"),
    ],
    "08b.weights": [
        (weights_in_bits, "natural logarithm"),
        (weights_negative, "at least 0"),
        (weights_correlation, "this is the correlation"),
        (weights_squared_correlation, "squared correlation"),
        (weights_covariance, "this is the covariance"),
        (weights_one_cell, "only the cell 1, 1"),
        (weights_agreeing_cells, "pixels agree"),
        (weights_zero_log_zero, "counts 0"),
        (weights_joint_entropy, "joint entropy"),
        (weights_averaged, "not averaged"),
        (weights_in_float32, "passes through float32"),
    ],
}
