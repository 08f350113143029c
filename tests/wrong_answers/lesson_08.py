"""Wrong answers to the exercises of lesson 08, each with a part of the hint that it must get."""

import torch


def marks_not_pairs():
    return [3, 40]


def marks_none():
    return []


def marks_from_zero():
    return [(0, 20)]


def marks_turned():
    return [(60, 41)]


def marks_in_fractions():
    return [(1.5, 20.0)]


def _forward(first, step):
    def answer(log_pi, log_A, log_b):
        rows = [first(log_pi, log_b)]
        for t in range(1, len(log_b)):
            rows.append(step(rows[-1], log_A, log_b, t))
        return torch.stack(rows)

    return answer


def _begin(log_pi, log_b):
    return log_pi + log_b[0]


def _right(a, log_A, log_b, t):
    return log_b[t] + (a[:, None] + log_A).logsumexp(0)


forward_right = _forward(_begin, _right)
forward_transposed = _forward(_begin, lambda a, A, b, t: b[t] + (a + A).logsumexp(1))
forward_on_columns = _forward(_begin, lambda a, A, b, t: b[t] + (a + A).logsumexp(0))
forward_over_new = _forward(_begin, lambda a, A, b, t: b[t] + (a[:, None] + A).logsumexp(1))
forward_maximum = _forward(_begin, lambda a, A, b, t: b[t] + (a[:, None] + A).amax(0))
forward_product = _forward(_begin, lambda a, A, b, t: b[t] + (a[:, None] + A).sum(0))
forward_no_first = _forward(lambda log_pi, log_b: log_pi, _right)
forward_no_start = _forward(lambda log_pi, log_b: log_b[0], _right)
forward_first_only = _forward(_begin, lambda a, A, b, t: (a[:, None] + A).logsumexp(0))
forward_one_late = _forward(_begin, lambda a, A, b, t: b[t - 1] + (a[:, None] + A).logsumexp(0))


def forward_exponential(log_pi, log_A, log_b):
    return forward_right(log_pi, log_A, log_b).exp()


def forward_normalised(log_pi, log_A, log_b):
    return forward_right(log_pi, log_A, log_b).log_softmax(1)


def forward_last_only(log_pi, log_A, log_b):
    return forward_right(log_pi, log_A, log_b)[-1]


def forward_outside_log_space(log_pi, log_A, log_b):
    return plain_right(log_pi.exp(), log_A.exp(), log_b.exp()).log()


def forward_detached(log_pi, log_A, log_b):
    return forward_right(log_pi.detach(), log_A.detach(), log_b.detach())


def forward_in_float32(log_pi, log_A, log_b):
    return forward_right(log_pi.float(), log_A.float(), log_b.float()).to(log_b.dtype)


def _plain(first, step):
    def answer(pi, A, b):
        rows = [first(pi, b)]
        for t in range(1, len(b)):
            rows.append(step(rows[-1], A, b, t))
        return torch.stack(rows)

    return answer


plain_right = _plain(lambda pi, b: pi * b[0], lambda a, A, b, t: b[t] * (a @ A))
plain_transposed = _plain(lambda pi, b: pi * b[0], lambda a, A, b, t: b[t] * (A @ a))
plain_no_first = _plain(lambda pi, b: pi, lambda a, A, b, t: b[t] * (a @ A))
plain_no_start = _plain(lambda pi, b: b[0], lambda a, A, b, t: b[t] * (a @ A))
plain_first_only = _plain(lambda pi, b: pi * b[0], lambda a, A, b, t: a @ A)
plain_maximum = _plain(lambda pi, b: pi * b[0], lambda a, A, b, t: b[t] * (a[:, None] * A).amax(0))
plain_one_late = _plain(lambda pi, b: pi * b[0], lambda a, A, b, t: b[t - 1] * (a @ A))


def plain_logarithm(pi, A, b):
    return plain_right(pi, A, b).log()


def plain_rescaled(pi, A, b):
    alpha = plain_right(pi, A, b)
    return alpha / alpha.sum(1, keepdim=True)


def plain_in_double(pi, A, b):
    return plain_right(pi.double(), A.double(), b.double())


def _delta(log_pi, log_A, log_b):
    delta, notes = [log_pi + log_b[0]], []
    for t in range(1, len(log_b)):
        best = (delta[-1][:, None] + log_A).max(0)
        notes.append(best.indices)
        delta.append(best.values + log_b[t])
    return delta, notes


def viterbi_right(log_pi, log_A, log_b):
    delta, notes = _delta(log_pi, log_A, log_b)
    path = [delta[-1].argmax()]
    for note in reversed(notes):
        path.insert(0, note[path[0]])
    return torch.stack(path)


def viterbi_greedy(log_pi, log_A, log_b):
    path = [(log_pi + log_b[0]).argmax()]
    for t in range(1, len(log_b)):
        path.append((log_A[path[-1]] + log_b[t]).argmax())
    return torch.stack(path)


def viterbi_states(log_pi, log_A, log_b):
    alpha = forward_right(log_pi, log_A, log_b)
    omega = [torch.zeros_like(log_b[0])]
    for t in range(len(log_b) - 1, 0, -1):
        omega.insert(0, (log_A + log_b[t] + omega[0]).logsumexp(1))
    return (alpha + torch.stack(omega)).argmax(1)


def viterbi_best_delta(log_pi, log_A, log_b):
    return torch.stack([row.argmax() for row in _delta(log_pi, log_A, log_b)[0]])


def viterbi_shifted(log_pi, log_A, log_b):
    delta, notes = _delta(log_pi, log_A, log_b)
    path = [delta[-1].argmax()]
    for note in reversed(notes[:-1]):
        path.insert(0, note[path[0]])
    if len(log_b) > 1:
        path.insert(0, path[0])
    return torch.stack(path)


def viterbi_backwards(log_pi, log_A, log_b):
    return viterbi_right(log_pi, log_A, log_b).flip(0)


def viterbi_transposed(log_pi, log_A, log_b):
    return viterbi_right(log_pi, log_A.T, log_b)


def viterbi_no_start(log_pi, log_A, log_b):
    return viterbi_right(torch.zeros_like(log_pi), log_A, log_b)


def viterbi_observations_only(log_pi, log_A, log_b):
    return log_b.argmax(1)


def viterbi_no_moves(log_pi, log_A, log_b):
    return viterbi_right(log_pi, torch.zeros_like(log_A), log_b)


def viterbi_scores(log_pi, log_A, log_b):
    return torch.stack([row.max() for row in _delta(log_pi, log_A, log_b)[0]])


def viterbi_from_one(log_pi, log_A, log_b):
    return viterbi_right(log_pi, log_A, log_b) + 1


def viterbi_list(log_pi, log_A, log_b):
    return viterbi_right(log_pi, log_A, log_b).tolist()


def moves_counts(xi):
    return xi.sum(0)


def moves_columns(xi):
    counts = xi.sum(0)
    return counts / counts.sum(-2, keepdim=True)


def moves_whole(xi):
    counts = xi.sum(0)
    return counts / counts.sum((-2, -1), keepdim=True)


def moves_transposed(xi):
    counts = xi.sum(0)
    return (counts / counts.sum(-1, keepdim=True)).mT


def moves_without_keepdim(xi):
    counts = xi.sum(0)
    return counts / counts.sum(-1)


def moves_from_states(xi):
    counts = (xi.sum(-1)[..., :, None] * xi.sum(-2)[..., None, :]).sum(0)
    return counts / counts.sum(-1, keepdim=True)


def moves_averaged(xi):
    return (xi / xi.sum(-1, keepdim=True)).mean(0)


def moves_softmax(xi):
    return xi.sum(0).softmax(-1)


def moves_each_time(xi):
    return xi / xi.sum(-1, keepdim=True)


WRONG = {
    "08.marks": [
        (marks_not_pairs, "a list of pairs"),
        (marks_none, "one stretch at least"),
        (marks_from_zero, "from 1 to 300"),
        (marks_turned, "ends before it begins"),
        (marks_in_fractions, "whole numbers"),
    ],
    "08.forward": [
        (forward_transposed, "A is transposed"),
        (forward_on_columns, "new state's column"),
        (forward_over_new, "over the new state"),
        (forward_maximum, "that is Viterbi"),
        (forward_product, "multiplies the paths"),
        (forward_no_first, "first observation is forgotten"),
        (forward_no_start, "the start is forgotten"),
        (forward_first_only, "only the first observation"),
        (forward_one_late, "of the step before"),
        (forward_exponential, "return its logarithm"),
        (forward_normalised, "p(x) is lost"),
        (forward_last_only, "one row a time"),
        (forward_outside_log_space, "stay in log-space"),
        (forward_detached, "no gradient passes"),
        (forward_in_float32, "passes through float32"),
    ],
    "08.plain": [
        (plain_transposed, "write α @ A"),
        (plain_no_first, "first observation is forgotten"),
        (plain_no_start, "the start is forgotten"),
        (plain_first_only, "only the first observation"),
        (plain_maximum, "a maximum for the sum"),
        (plain_one_late, "the same t"),
        (plain_logarithm, "without logarithms"),
        (plain_rescaled, "divided by its sum"),
        (plain_in_double, "no float64 here"),
    ],
    "08.viterbi": [
        (viterbi_greedy, "a greedy choice"),
        (viterbi_states, "likeliest state at each time"),
        (viterbi_best_delta, "best δ at each time"),
        (viterbi_shifted, "one step late"),
        (viterbi_backwards, "comes out backwards"),
        (viterbi_transposed, "A is transposed"),
        (viterbi_no_start, "the start is forgotten"),
        (viterbi_observations_only, "adds log π and log A"),
        (viterbi_no_moves, "the moves are forgotten"),
        (viterbi_scores, "return indices"),
        (viterbi_from_one, "from 0 to K-1"),
        (viterbi_list, "this is a list"),
    ],
    "08.moves": [
        (moves_counts, "divide each row by its sum"),
        (moves_columns, "the columns sum to 1"),
        (moves_whole, "the whole table sums to 1"),
        (moves_transposed, "transposed"),
        (moves_without_keepdim, "keepdim=True"),
        (moves_from_states, "states' probabilities alone"),
        (moves_averaged, "Sum first, divide once"),
        (moves_softmax, "no softmax"),
        (moves_each_time, "one table for all times"),
    ],
}
