"""Checks of lesson 08: the forward pass in log-space and outside of it, Viterbi, the M-step of the moves."""

import itertools
import math

import torch

from course_utils.checks.machinery import (
    call,
    exercise,
    expect,
    expect_any_device,
    expect_close,
    expect_gradient,
    expect_like,
    expect_shape,
)
from course_utils.checks.mistakes import expect_double, expect_value, is_whole, normal


def a_chain(T: int, K: int, seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """log π (K,), log A (K, K), log b (T, K) of a random chain, float64; A is not symmetric."""
    log_pi = normal(K, seed=seed).log_softmax(0)
    log_A = (1.5 * normal(K, K, seed=seed + 1)).log_softmax(1)
    return log_pi, log_A, normal(T, K, seed=seed + 2) - 1.0


def every_path(log_pi, log_A, log_b):
    """All paths (K^T, T) and log p(x, z) of each."""
    T, K = log_b.shape
    paths = torch.tensor(list(itertools.product(range(K), repeat=T)))
    score = log_pi[paths[:, 0]] + log_b[0, paths[:, 0]]
    for t in range(1, T):
        score = score + log_A[paths[:, t - 1], paths[:, t]] + log_b[t, paths[:, t]]
    return paths, score


@exercise("08.marks", verified="a list of stretches within the 300 rolls; the figure below compares them")
def my_marks(fn):
    marks = call(fn)
    shape = "return a list of pairs, such as [(41, 60), (130, 155)]."
    expect(not isinstance(marks, str | bytes | dict | set), shape)
    try:
        pairs = [tuple(pair) for pair in marks]
    except TypeError:
        expect(False, shape)
    expect(pairs, "28 % sixes say that the loaded die was in play: mark one stretch at least.")
    expect(all(len(pair) == 2 for pair in pairs), shape)
    expect(
        all(is_whole(end) for pair in pairs for end in pair),
        "rolls are counted: whole numbers from 1 to 300.",
    )
    hint = "rolls are numbered from 1 to 300: a stretch lies outside."
    expect(all(1 <= int(end) <= 300 for pair in pairs for end in pair), hint)
    hint = "a pair is (first roll, last roll): one of yours ends before it begins."
    expect(all(int(first) <= int(last) for first, last in pairs), hint)


@exercise(
    "08.forward",
    verified="the sum of all 81 paths of four steps by enumeration; 600 steps without underflow; a gradient passes",
)
def forward(fn):
    log_pi, log_A, log_b = a_chain(4, 3, seed=1)
    out = call(fn, log_pi, log_A, log_b)
    expect_shape(out, (4, 3), "one row a time, one column a state: log α (T, K).")
    _forward_values(out, log_pi, log_A, log_b)
    short = call(fn, log_pi, log_A, log_b[:1])
    expect_shape(
        short, (1, 3), "one observation makes one row: begin with log π + log b and add a row a step."
    )
    expect_close(short, (log_pi + log_b[0])[None], "log α_1 is log π + log b_k(x_1).")
    many = log_b.repeat(150, 1) - 5
    long = call(fn, log_pi, log_A, many)
    hint = "600 steps end in -inf or nan: stay in log-space (torch.logsumexp), no exp() first."
    expect(torch.isfinite(long).all(), hint)
    hint = "an α depends on the one before it alone; after some hundred steps yours has drifted."
    step = many[-1] + (long[-2][:, None] + log_A).logsumexp(0)
    expect_close(long[-1], step, hint)
    barred = log_A.clone()
    barred[0, 1] = -math.inf
    out = call(fn, log_pi, barred, log_b)
    _, score = every_path(log_pi, barred, log_b)
    hint = "where a move is impossible, log A = -inf; the sum over the other paths stays finite."
    expect_close(out[-1].logsumexp(0), score.logsumexp(0), hint)
    learn = [part.clone().requires_grad_() for part in (log_pi, log_A, log_b)]
    hint = (
        "the next section needs it: collect the rows in a list and torch.stack them; no .item(), no detach."
    )
    expect_gradient(call(fn, *learn)[-1].logsumexp(0), *learn, hint=hint)
    single = [part.float() for part in (log_pi, log_A, log_b)]
    expect_like(call(fn, *single), single[0])
    expect_any_device(fn, *single)


def _forward_values(out, log_pi, log_A, log_b):
    """True α, and what the usual mistakes give instead."""

    def run(first, step):
        rows = [first]
        for t in range(1, len(log_b)):
            rows.append(step(rows[-1], t))
        return torch.stack(rows)

    begin = log_pi + log_b[0]
    true = run(begin, lambda a, t: log_b[t] + (a[:, None] + log_A).logsumexp(0))
    mistakes = [
        (
            run(begin, lambda a, t: log_b[t] + (a + log_A).logsumexp(1)),
            "A is transposed: A[j, k] goes from j to k, so the old α belongs to the rows: α[:, None] + log A, "
            "summed over axis 0.",
        ),
        (
            run(begin, lambda a, t: log_b[t] + (a + log_A).logsumexp(0)),
            "the old α stands with the new state's column: write α[:, None] + log A before you sum over axis 0.",
        ),
        (
            run(begin, lambda a, t: log_b[t] + (a[:, None] + log_A).logsumexp(1)),
            "summed over the new state k; (3) sums over the old one j, axis 0.",
        ),
        (
            run(begin, lambda a, t: log_b[t] + (a[:, None] + log_A).amax(0)),
            "a maximum for the sum: that is Viterbi, the best path alone. Use logsumexp.",
        ),
        (
            run(begin, lambda a, t: log_b[t] + (a[:, None] + log_A).sum(0)),
            "you add logarithms: that multiplies the paths. Use logsumexp for the sum over j.",
        ),
        (
            run(log_pi, lambda a, t: log_b[t] + (a[:, None] + log_A).logsumexp(0)),
            "the first observation is forgotten: log α_1 = log π + log b_k(x_1).",
        ),
        (
            run(log_b[0], lambda a, t: log_b[t] + (a[:, None] + log_A).logsumexp(0)),
            "the start is forgotten: log α_1 = log π + log b_k(x_1).",
        ),
        (
            run(begin, lambda a, t: (a[:, None] + log_A).logsumexp(0)),
            "only the first observation counts: add log b_k(x_t) at every step.",
        ),
        (
            run(begin, lambda a, t: log_b[t - 1] + (a[:, None] + log_A).logsumexp(0)),
            "the observation of the step before: α_t takes b_k(x_t), the same t.",
        ),
        (true.exp(), "this is α; return its logarithm."),
        (
            true - true.logsumexp(1, keepdim=True),
            "each row is normalised, so that p(x) is lost: return the sums as they are.",
        ),
    ]
    hint = "the sum over all paths that end in each state, found by enumeration, is another one: see (3)."
    expect_value(out, true, hint, mistakes)
    expect_double(out, true)


@exercise(
    "08.plain",
    verified="four steps by enumeration, in plain probabilities; 0 after 300 steps in float32, as it must be",
)
def plain_forward(fn):
    log_pi, log_A, log_b = a_chain(4, 3, seed=5)
    pi, A, b = log_pi.exp(), log_A.exp(), log_b.exp()
    out = call(fn, pi, A, b)
    expect_shape(out, (4, 3), "one row a time, one column a state: α (T, K).")

    def run(first, step):
        rows = [first]
        for t in range(1, len(b)):
            rows.append(step(rows[-1], t))
        return torch.stack(rows)

    true = run(pi * b[0], lambda a, t: b[t] * (a @ A))
    normal_rows = true / true.sum(1, keepdim=True)
    mistakes = [
        (run(pi * b[0], lambda a, t: b[t] * (A @ a)), "A @ α sums over the new state: write α @ A."),
        (run(pi, lambda a, t: b[t] * (a @ A)), "the first observation is forgotten: α_1 = π_k b_k(x_1)."),
        (run(b[0], lambda a, t: b[t] * (a @ A)), "the start is forgotten: α_1 = π_k b_k(x_1)."),
        (run(pi * b[0], lambda a, t: a @ A), "only the first observation counts: multiply by b_k(x_t)."),
        (
            run(pi * b[0], lambda a, t: b[t] * (a[:, None] * A).amax(0)),
            "a maximum for the sum: add up what arrives from all j.",
        ),
        (run(pi * b[0], lambda a, t: b[t - 1] * (a @ A)), "α_t takes b_k(x_t), the same t."),
        (true.log(), "this is log α; here α itself is wanted, without logarithms."),
        (
            normal_rows,
            "each row is divided by its sum: then nothing underflows, and p(x) is lost. Write (2) as it stands.",
        ),
    ]
    expect_value(
        out, true, "the sum over all paths that end in each state is another one: see (2).", mistakes
    )
    expect_double(out, true)
    single = [part.float() for part in (pi, A, b.repeat(75, 1))]
    gone = call(fn, *single)
    hint = "300 small factors are 0 in float32; yours are not. No logarithm, no rescaling, no float64 here."
    expect(bool((torch.as_tensor(gone)[-1] == 0).all()), hint)
    expect_like(gone, single[0])


@exercise(
    "08.viterbi",
    verified="the best of all paths by enumeration, for twelve chains; impossible moves; 600 steps",
)
def viterbi(fn):
    for seed in (927, *range(40, 73, 3)):  # in the first one every usual mistake finds another path
        chain = a_chain(5, 3, seed)
        _best_path(call(fn, *chain), *chain)
    pi, A = (
        torch.tensor([0.4, 0.3, 0.3]).double(),
        torch.tensor([[0.0, 0.5, 0.5], [1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]),
    )
    log_b = torch.tensor([[0.0, 0.0, -0.1], [0.0, 0.0, -0.1]]).double()
    out = call(fn, pi.log(), A.double().log(), log_b)
    _whole_path(out, 2, 3)
    hint = "you take the likeliest state at each time by itself, and the path that they make is impossible."
    expect(out.tolist() != [0, 0], hint)
    chain = a_chain(4, 2, seed=7)
    one = call(fn, chain[0], chain[1], chain[2][:1])
    _whole_path(one, 1, 2)
    expect(
        int(one[0]) == int((chain[0] + chain[2][0]).argmax()), "one observation: the best of log π + log b."
    )
    log_pi, log_A, log_b = a_chain(600, 3, seed=9)
    long = call(fn, log_pi, log_A, log_b)
    _whole_path(long, 600, 3)
    expect_close(
        _score(long, log_pi, log_A, log_b),
        _score(_true_path(log_pi, log_A, log_b), log_pi, log_A, log_b),
        "600 steps: the path is no longer the best; stay in log-space, as the arguments are.",
    )
    expect_any_device(fn, *[part.float() for part in a_chain(4, 2, seed=7)])


def _whole_path(out, T, K):
    """A tensor (T,) of whole numbers below K."""
    expect_shape(out, (T,), "one state a time; torch.stack makes a tensor of a list of them.")
    hint = "states are whole numbers (dtype long): return indices, not their scores."
    expect(not out.is_floating_point() and out.dtype != torch.bool, hint)
    expect(bool(((out >= 0) & (out < K)).all()), "states are numbered from 0 to K-1.")


def _score(path, log_pi, log_A, log_b):
    score = log_pi[path[0]] + log_b[torch.arange(len(path)), path].sum()
    return score + log_A[path[:-1], path[1:]].sum()


def _steps(log_pi, log_A, log_b):
    """δ of every time, and the notes."""
    delta, notes = [log_pi + log_b[0]], []
    for t in range(1, len(log_b)):
        best = (delta[-1][:, None] + log_A).max(0)
        notes.append(best.indices)
        delta.append(best.values + log_b[t])
    return delta, notes


def _true_path(log_pi, log_A, log_b):
    delta, notes = _steps(log_pi, log_A, log_b)
    path = [delta[-1].argmax()]
    for note in reversed(notes):
        path.insert(0, note[path[0]])
    return torch.stack(path)


def _mistaken_paths(log_pi, log_A, log_b):
    """Paths that the usual mistakes find, each with its hint."""
    delta, notes = _steps(log_pi, log_A, log_b)
    greedy = [(log_pi + log_b[0]).argmax()]
    for t in range(1, len(log_b)):
        greedy.append((log_A[greedy[-1]] + log_b[t]).argmax())
    paths, score = every_path(log_pi, log_A, log_b)
    weight = score.softmax(0)
    states = [weight @ (paths == k).double() for k in range(log_b.shape[1])]
    shifted = [delta[-1].argmax()]
    for note in reversed(notes[:-1]):
        shifted.insert(0, note[shifted[0]])
    shifted.insert(0, shifted[0])
    return [
        (
            torch.stack(greedy),
            "a greedy choice: the best next state at each step. A poor step may lead to a better path; keep the "
            "best path *into every state* and choose at the end.",
        ),
        (
            torch.stack(states).argmax(0),
            "the likeliest state at each time by itself: their path is another one.",
        ),
        (
            torch.stack([row.argmax() for row in delta]),
            "the best δ at each time by itself: only the last one is chosen so; the others are read off the notes.",
        ),
        (torch.stack(shifted), "the notes are read one step late: from_t(k) is the state at t-1."),
        (_true_path(log_pi, log_A, log_b) + 1, "states are numbered from 0 to K-1; yours begin at 1."),
        (_true_path(log_pi, log_A, log_b).flip(0), "the path comes out backwards: turn it round."),
        (log_b.argmax(1), "only the observations are used: (5) adds log π and log A."),
        (_true_path(log_pi, log_A.T, log_b), "A is transposed: A[j, k] goes from j to k."),
        (
            _true_path(torch.zeros_like(log_pi), log_A, log_b),
            "the start is forgotten: begin with log π + log b.",
        ),
        (_true_path(log_pi - log_b[0], log_A, log_b), "the first observation is forgotten: log π + log b."),
        (_true_path(log_pi, 0 * log_A, log_b), "the moves are forgotten: add log A before the maximum."),
    ]


def _best_path(out, log_pi, log_A, log_b):
    _whole_path(out, *log_b.shape)
    if (
        _score(out, log_pi, log_A, log_b)
        > _score(_true_path(log_pi, log_A, log_b), log_pi, log_A, log_b) - 1e-9
    ):
        return
    for path, why in _mistaken_paths(log_pi, log_A, log_b):
        expect(not torch.equal(path, out.cpu()), why)
    expect(False, "another path is more probable: compare with all paths of five steps.")


@exercise("08.moves", verified="expected counts by hand, rows sum to 1; a batch of chains; float32 stays")
def new_moves(fn):
    xi = normal(5, 3, 3, seed=3).exp()
    xi = xi / xi.sum((1, 2), keepdim=True)
    out = call(fn, xi)
    expect_shape(out, (3, 3), "one table for all times: sum over the first axis.")
    counts = xi.sum(0)
    true = counts / counts.sum(1, keepdim=True)
    gamma = xi.sum(2)  # (T-1, K)
    arrive = xi.sum(1)
    alone = (gamma[:, :, None] * arrive[:, None, :]).sum(0)
    mistakes = [
        (counts, "these are expected counts: divide each row by its sum."),
        (counts / counts.sum(0), "the columns sum to 1: divide each *row* by its sum (axis -1)."),
        (
            counts / counts.sum(),
            "the whole table sums to 1: that is p(j, k). Divide each row by its own sum.",
        ),
        (true.T, "transposed: rows are the old state j."),
        (counts / counts.sum(1), "the row sums lie along the wrong axis: keepdim=True."),
        (
            alone / alone.sum(1, keepdim=True),
            "made from the states' probabilities alone, as if z_t and z_{t+1} were independent: use ξ itself.",
        ),
        (
            (xi / xi.sum(2, keepdim=True)).mean(0),
            "you normalise at each time and then average: a time in which j is improbable counts as much as one "
            "in which it is certain. Sum first, divide once.",
        ),
        (counts.softmax(1), "no softmax: counts are no logarithms. Divide by the sum."),
    ]
    expect_value(out, true, "A_jk = Σ_t ξ_t(j, k) / Σ_t Σ_l ξ_t(j, l).", mistakes)
    expect_double(out, true)
    batch = normal(4, 2, 3, 3, seed=4).exp()
    many = call(fn, batch)
    expect_shape(
        many, (2, 3, 3), "a batch of chains, (T-1, S, K, K): sum over axis 0, normalise over axis -1."
    )
    expect_close(
        many, torch.stack([call(fn, batch[:, s]) for s in range(2)]), "each chain has its own table."
    )
    expect_like(call(fn, xi.float()), xi.float())
    expect_any_device(fn, xi.float())
