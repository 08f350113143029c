"""Checks of lesson 08b: the likelihood of a CRF, likelihood weighting, a stuck sampler, weights of a tree."""

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
from course_utils.checks.mistakes import (
    expect_double,
    expect_value,
    is_number,
    is_whole,
    normal,
    pair_of,
)


def _log_Z(start, moves, e, mask):
    """log Z of each sentence by enumeration."""
    T, N, K = e.shape
    out = []
    for n in range(N):
        words = int(mask[:, n].sum())
        paths = torch.tensor(list(itertools.product(range(K), repeat=words)))
        score = start[paths[:, 0]] + e[torch.arange(words), n, paths].sum(1)
        out.append((score + moves[paths[:, :-1], paths[:, 1:]].sum(1)).logsumexp(0))
    return torch.stack(out)


@exercise(
    "08b.crf",
    verified="probabilities of all tag sequences sum to 1; short and long sentences; a gradient passes",
)
def crf_log_likelihood(fn):
    K, T, N = 3, 4, 5
    start, moves, e = normal(K, seed=1), normal(K, K, seed=2), normal(T, N, K, seed=3)
    y = torch.tensor([[0, 2, 1, 1, 0], [2, 2, 0, 1, 1], [1, 0, 2, 0, 2], [1, 2, 0, 2, 1]])
    mask = torch.arange(T)[:, None] < torch.tensor([4, 2, 3, 1, 4])
    log_Z = _log_Z(start, moves, e, mask)
    out = call(fn, start, moves, e, y, mask, log_Z)
    expect_shape(out, (N,), "one number a sentence: sum over the words (axis 0).")
    picked = e.gather(2, y[:, :, None])[:, :, 0]
    steps = moves[y[:-1], y[1:]]
    first, words, moved = start[y[0]], (picked * mask).sum(0), (steps * mask[1:]).sum(0)
    true = first + words + moved - log_Z
    short = steps * mask[1:]
    mistakes = [
        (true + log_Z, "this is the score alone: subtract log Z."),
        (true + 2 * log_Z, "log Z is subtracted; you add it."),
        (true - words + picked.sum(0), "padding is counted: multiply the words' scores by the mask."),
        (true - moved + steps.sum(0), "padding is counted in the moves: multiply them by mask[1:]."),
        (
            first + picked.sum(0) + steps.sum(0) - log_Z,
            "padding is counted: multiply scores and moves by the mask.",
        ),
        (
            true - moved + (steps * mask[:-1]).sum(0),
            "a move exists where its second word exists: mask[1:], not mask[:-1].",
        ),
        (
            true - moved + short[:-1].sum(0),
            "the last move is dropped: T words have T-1 moves, y[:-1] to y[1:].",
        ),
        (true - moved, "the moves are forgotten: add θ of each pair of neighbouring tags."),
        (true - first, "the start is forgotten: add start[y[0]]."),
        (true - words, "the words are forgotten: add e_t(y_t)."),
        (
            true - moved + (moves.T[y[:-1], y[1:]] * mask[1:]).sum(0),
            "θ is transposed: moves[j, k] goes from the tag before, j, to k.",
        ),
        (
            first + (e.log_softmax(2).gather(2, y[:, :, None])[:, :, 0] * mask).sum(0) + moved,
            "you normalise at each word; a CRF has one Z for the whole sentence, which is given.",
        ),
        (true / mask.sum(0), "no mean over the words: log p of a sentence is a sum."),
        (true.exp(), "this is p; return its logarithm."),
        (-true, "the log-likelihood, not the loss: no minus sign."),
    ]
    expect_value(out, true, "score of the given tags minus log Z: compare with (1), term by term.", mistakes)
    expect_double(out, true)
    total = torch.zeros((), dtype=torch.float64)
    for tags in itertools.product(range(K), repeat=2):
        two = torch.tensor(tags)[:, None]
        part = (e[:2, :1], two, torch.ones(2, 1, dtype=torch.bool))
        total = total + call(fn, start, moves, *part, _log_Z(start, moves, part[0], part[2]))[0].exp()
    expect_close(total, 1.0, "the probabilities of all nine tag sequences of two words should sum to 1.")
    learn = [part.clone().requires_grad_() for part in (start, moves, e, log_Z)]
    expect_gradient(
        call(fn, *learn[:3], y, mask, learn[3]), *learn, hint="no detach, no .item(), no .tolist()."
    )
    single = [part.float() for part in (start, moves, e)]
    expect_like(call(fn, *single, y, mask, log_Z.float()), single[0])
    expect_any_device(fn, *single, y, mask, log_Z.float())


@exercise("08b.crossing", verified="a number of sentences; the curves below decide")
def my_crossing(fn):
    n = call(fn)
    expect(is_number(n), "return one number: how many training sentences.")
    expect(math.isfinite(n), "a finite number; 4,274 says: never, as far as can be seen here.")
    expect(1 <= n <= 4274, "between 1 and 4,274 sentences, which are all there are.")


PARENTS = [(), (), (0,), (0, 1), (3, 2)]
TABLES = [
    torch.tensor(0.3).double(),
    torch.tensor(0.8).double(),
    torch.tensor([0.9, 0.2]).double(),
    torch.tensor([[0.1, 0.6], [0.75, 0.95]]).double(),
    torch.tensor([[0.05, 0.5], [0.35, 0.9]]).double(),
]
EVIDENCE = {2: 0, 4: 1}


def _yes(i, states):
    return TABLES[i][tuple(states[:, j] for j in PARENTS[i])].expand(len(states))


def _exact(states, nodes):
    """The product over some nodes of p(value | parents), for states (n, 5)."""
    total = torch.ones(len(states)).double()
    for i in nodes:
        yes = _yes(i, states)
        total = total * torch.where(states[:, i] == 1, yes, 1 - yes)
    return total


@exercise(
    "08b.weighting",
    verified="evidence is clamped; each weight is the product of p(evidence | parents); exact on average",
)
def likelihood_weighting(fn):
    generator = torch.Generator().manual_seed(0)
    n = 20_000
    shape = "return two things: states (n, nodes) and weights (n,)."
    states, weights = pair_of(call(fn, PARENTS, TABLES, EVIDENCE, n, generator), shape)
    expect_shape(states, (n, 5), "first the states: one row a draw, one column a node.")
    expect_shape(weights, (n,), "one weight a draw.")
    expect(bool(((states == 0) | (states == 1)).all()), "a state is 0 or 1 for every node.")
    expect(
        not states.is_floating_point() and states.dtype != torch.bool, "states as whole numbers: dtype long."
    )
    hint = "evidence is set, never drawn: states[:, i] = evidence[i]."
    expect(bool((states[:, 2] == 0).all()) and bool((states[:, 4] == 1).all()), hint)
    _weights(states, weights)
    free = [0, 1, 3]
    _free_nodes(states, free)
    states, weights = call(fn, PARENTS, TABLES, {}, 50, generator)
    expect_close(weights, torch.ones(50), "without evidence every draw has the weight 1.")
    expect_like(
        weights, TABLES[0], "weights have the dtype of the tables: torch.ones(n, dtype=tables[0].dtype)."
    )
    one = pair_of(call(fn, PARENTS, TABLES, EVIDENCE, 1, generator), shape)
    expect_shape(one[0], (1, 5), "one draw is a table with one row.")
    twice = [call(fn, PARENTS, TABLES, EVIDENCE, 40, torch.Generator().manual_seed(s))[0] for s in (1, 1, 2)]
    expect(
        torch.equal(twice[0], twice[1]), "the same generator gives other draws: draw from `generator` alone."
    )
    hint = "another seed gives the same draws: draw from `generator`, and make none of your own."
    expect(not torch.equal(twice[0], twice[2]), hint)


def _weights(states, weights):
    """Each weight by the formula, from the states themselves."""
    no, yes = 1 - _yes(2, states), _yes(4, states)
    mistakes = {
        "only the last evidence counts: multiply the weights, weights = weights * …": yes,
        "only the first evidence counts: multiply the weights of both.": no,
        "the weights are added; chances that must both happen multiply.": no + yes,
        "the weight of evidence 0 is 1 − p(yes | parents).": _yes(2, states) * yes,
        "the weight has to be p(value | parents): evidence 1 counts p(yes), evidence 0 counts 1 − p(yes).": no
        * (1 - yes),
        "all weights are 1: multiply by p(evidence | parents).": torch.ones_like(no),
        "nodes that were drawn do not weigh: only evidence does.": _exact(states, range(5)),
        "these are logarithms: return the weights themselves.": (no * yes).log(),
        "do not divide by the sum: the mean weight is p(evidence).": no * yes / (no * yes).sum(),
    }
    hint = "the weight of a draw is the product of p(evidence | its parents) over the evidence nodes."
    expect_value(weights, no * yes, hint, [(value, why) for why, value in mistakes.items()])
    expect_double(weights, no * yes)


def _free_nodes(states, free):
    """The drawn nodes have the right shares, given their parents."""
    for i in free:
        wanted = _yes(i, states)
        gap = float((states[:, i].double() - wanted).mean())
        width = 5 * float((wanted * (1 - wanted)).mean() / len(states)) ** 0.5
        turned = float((states[:, i].double() - (1 - wanted)).mean())
        hint = "yes and no are exchanged: rand < p(yes) draws a yes."
        expect(abs(gap) < width or abs(turned) > width, hint)
        expect(abs(gap) < width, "the nodes without evidence are not drawn with p(yes | parents).")
        for value in (0, 1):
            for j in PARENTS[i]:
                rows = states[:, j] == value
                part = float((states[rows, i].double() - wanted[rows]).mean())
                limit = 5 * float((wanted[rows] * (1 - wanted[rows])).mean() / rows.sum()) ** 0.5
                hint = "a drawn node ignores its parents: look its probability up in table[parents' values]."
                expect(abs(part) < limit, hint)
    both = torch.stack([states[:, 0], states[:, 1]]).double().corrcoef()[0, 1]
    expect(abs(float(both)) < 0.05, "one random number serves several nodes: draw a new one for each node.")


NODES = ("asia", "smoke", "tub", "cancer", "bronc", "either", "xray", "dysp")


@exercise(
    "08b.stuck", verified="a possible state with a positive X-ray, from which no single move leads to cancer"
)
def stuck_start(fn):
    start = call(fn)
    expect(isinstance(start, dict), "return a dict: node name → 0 or 1.")
    missing = [name for name in NODES if name not in start]
    expect(not missing, f"a state has all eight nodes; missing: {', '.join(missing)}.")
    strange = [str(name) for name in start if name not in NODES]
    expect(not strange, f"no such node: {', '.join(strange)}.")
    hint = "each node is 0 (no) or 1 (yes)."
    expect(all(is_whole(value) and int(value) in (0, 1) for value in start.values()), hint)
    state = {name: int(value) for name, value in start.items()}
    expect(state["xray"] == 1, "the X-ray is positive: it is the evidence.")
    hint = '"either" is a plain OR of tub and cancer: this patient cannot exist, and no chain starts there.'
    expect(state["either"] == int(state["tub"] or state["cancer"]), hint)
    expect(state["cancer"] == 0, "this patient has cancer already: the chain would say yes at once.")
    hint = (
        '"either" is on, so cancer can be switched on, one move from here: both may cause it. Find a state from '
        "which it cannot."
    )
    expect(state["either"] == 0, hint)


@exercise(
    "08b.weights",
    verified="copies and opposites share the whole entropy, independent coins nothing; 0·log 0 is 0; nats",
)
def edge_weights(fn):
    single = torch.tensor([0.3, 0.6, 0.5, 0.2, 0.9]).double()
    both = torch.outer(single, single)
    both[0, 1] = both[1, 0] = 0.25
    both[2, 3] = both[3, 2] = 0.04
    both[1, 4] = both[4, 1] = 0.57
    both.fill_diagonal_(0).add_(single.diag())
    out = call(fn, single, both)
    expect_shape(out, (5, 5), "one number a pair of pixels: (D, D).")
    true = _information(single, both)
    off = ~torch.eye(5, dtype=torch.bool)
    hint = "some entries are not a number: where a cell has probability 0, 0·log 0 counts 0 (torch.xlogy)."
    expect(not bool(torch.isnan(out[off]).any()), hint)
    on, other = single[:, None], single[None]
    deviation = (single * (1 - single)).sqrt()
    covariance = both - on * other
    correlation = covariance / torch.outer(deviation, deviation)
    one_cell = torch.xlogy(both, both / (on * other))
    two = one_cell + torch.xlogy(1 - on - other + both, (1 - on - other + both) / ((1 - on) * (1 - other)))
    mistakes = [
        (true / math.log(2), "these are bits: use the natural logarithm."),
        (-true, "the sign is turned: a mutual information is at least 0."),
        (correlation, "this is the correlation; the mutual information is wanted."),
        (correlation.square(), "this is the squared correlation; the mutual information is wanted."),
        (correlation.abs(), "this is the correlation; the mutual information is wanted."),
        (covariance, "this is the covariance; the mutual information is wanted."),
        (one_cell, "only the cell 1, 1 is there: sum over all four cells."),
        (two, "only the cells where the pixels agree: sum over all four."),
        (true + _entropy(single)[:, None] + _entropy(single)[None], "H_i + H_j is to be left out."),
        (
            _entropy(single)[:, None] + _entropy(single)[None] - true,
            "this is the joint entropy; I = H_i + H_j − H_ij.",
        ),
        (true.exp(), "no exponential: nats."),
        (true / 4, "the four cells are summed, not averaged."),
    ]
    expect_value(
        out[off],
        true[off],
        "Σ over four cells of p(a, b) log [p(a, b) / (p(a) p(b))].",
        [(value[off], why) for value, why in mistakes],
    )
    expect_double(out[off], true[off])
    single = torch.tensor([0.3, 0.3, 0.7]).double()  # a pixel, its copy and its opposite
    both = torch.tensor([[0.3, 0.3, 0.0], [0.3, 0.3, 0.0], [0.0, 0.0, 0.7]]).double()
    out = call(fn, single, both)
    hint = "a pixel and its copy, or its opposite, share the whole entropy; a cell with 0 counts 0 (torch.xlogy)."
    expect(bool(torch.isfinite(torch.as_tensor(out)).all()), hint)
    expect_close(out[0, 1:], _entropy(single)[0].expand(2), hint)
    parts = torch.tensor([0.9, 0.1], dtype=torch.float64)  # 1 − 0.9 − 0.1 is −3e-17
    whole = call(fn, parts, parts.diag())
    hint = "rounding may leave a cell at -1e-17, whose logarithm is no number: count it as 0."
    expect(bool(torch.isfinite(torch.as_tensor(whole)).all()), hint)
    expect_close(whole[0, 1], _entropy(torch.tensor(0.1).double()), hint)
    blank = call(fn, torch.tensor([0.0, 0.4]).double(), torch.tensor([[0.0, 0.0], [0.0, 0.4]]).double())
    hint = "a pixel that is never ink shares nothing: 0, not nan."
    expect(bool(torch.isfinite(torch.as_tensor(blank)).all()), hint)
    expect_close(blank[0, 1], 0.0, hint)
    expect_like(call(fn, single.float(), both.float()), single.float())
    expect_any_device(fn, single.float(), both.float())


def _entropy(single):
    return -torch.xlogy(single, single) - torch.xlogy(1 - single, 1 - single)


def _information(single, both):
    on, other = single[:, None], single[None]
    cells = (
        (both, on * other),
        (on - both, on * (1 - other)),
        (other - both, (1 - on) * other),
        (1 - on - other + both, (1 - on) * (1 - other)),
    )
    total = torch.zeros_like(both)
    for p, independent in cells:
        total += torch.where(p > 0, torch.xlogy(p, p) - torch.xlogy(p, independent), 0.0)
    return total
