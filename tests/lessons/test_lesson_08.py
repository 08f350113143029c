"""Lesson 08: chains by enumeration, gradients, a plain recursion; EM; the rows of digits; the shipped runs."""

import itertools

import pytest
import torch

import course_utils as cu
from course_utils import runs
from course_utils.data.text import course_text
from tests.lessons.lesson_functions import load

exercises = load("08", "forward", "plain_forward", "viterbi", "new_moves")
L = load(
    "08",
    *(
        "play",
        "score_paths",
        "backward",
        "log_evidence",
        "em_on_text",
        "emissions",
        "begin_text",
        "bigram_bits",
        "in_bits",
    ),
    *("RowChain", "log_rows", "log_digits", "em_on_rows", "begin_rows", "pick", "draw_rows"),
    *("complete_rows", "mean_rows", "upper_half"),
    checked_moves=exercises.new_moves,
)


def a_chain(T, K, seed=0):
    """log π, log A, log b of a random chain, float64."""
    g = torch.Generator().manual_seed(seed)
    log_pi = torch.randn(K, generator=g).double().log_softmax(0)
    log_A = torch.randn(K, K, generator=g).double().log_softmax(1)
    return log_pi, log_A, torch.randn(T, K, generator=g).double() - 1


def paths_of(T, K):
    return torch.tensor(list(itertools.product(range(K), repeat=T)))


# --- the chain
# -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("T", "K"), [(1, 2), (12, 2), (6, 3)])
def test_forward_is_the_sum_over_all_paths(T, K):
    chain = a_chain(T, K, seed=T)
    one_by_one = L.score_paths(paths_of(T, K), *chain).logsumexp(0)
    assert abs(exercises.forward(*chain)[-1].logsumexp(0) - one_by_one) < 1e-10
    plain = exercises.plain_forward(*(part.exp() for part in chain))
    assert abs(plain[-1].sum().log() - one_by_one) < 1e-10


def test_backward_is_the_gradient():
    log_pi, log_A, log_b = a_chain(40, 3, seed=3)
    free = [part.clone().requires_grad_() for part in (log_A, log_b)]
    log_alpha = exercises.forward(log_pi, *free)
    log_px = log_alpha[-1].logsumexp(0)
    moves, gamma = torch.autograd.grad(log_px, free)
    log_alpha, log_omega = log_alpha.detach(), L.backward(log_A, log_b)
    assert (gamma - (log_alpha + log_omega).softmax(1)).abs().max() < 1e-10
    xi = (log_alpha[:-1, :, None] + log_A + (log_b + log_omega)[1:, None] - log_px.detach()).exp()
    assert (moves - xi.sum(0)).abs().max() < 1e-10
    assert abs(float(moves.sum()) - 39) < 1e-9


def test_posterior_and_counts_are_those_of_all_paths():
    log_pi, log_A, log_b = a_chain(5, 3, seed=4)
    paths = paths_of(5, 3)
    weight = L.score_paths(paths, log_pi, log_A, log_b).softmax(0)
    free = log_b.clone().requires_grad_()
    gamma = torch.autograd.grad(exercises.forward(log_pi, log_A, free)[-1].logsumexp(0), free)[0]
    for t, k in itertools.product(range(5), range(3)):
        assert abs(float(gamma[t, k] - weight[paths[:, t] == k].sum())) < 1e-10


def test_the_rescaled_pass_is_the_forward_pass_also_in_a_batch_with_moves_of_their_own():
    chains = [a_chain(30, 4, seed) for seed in range(3)]
    log_b = torch.stack([chain[2] for chain in chains], 1)  # (T, N, K)
    log_pi, log_A, _ = chains[0]
    quick = L.log_evidence(log_pi[None], log_A.expand(29, 4, 4), log_b)
    for n in range(3):
        slow = exercises.forward(log_pi, log_A, log_b[:, n])[-1].logsumexp(0)
        assert abs(float(quick[n] - slow)) < 1e-10
    own = torch.stack([chain[1] for chain in chains])  # another table at each of three steps
    quick = L.log_evidence(log_pi[None], own, log_b[:4])
    alpha = log_pi + log_b[0, 0]
    for t in range(3):
        alpha = log_b[t + 1, 0] + (alpha[:, None] + own[t]).logsumexp(0)
    assert abs(float(quick[0] - alpha.logsumexp(0))) < 1e-10


def test_viterbi_is_the_best_path_and_the_puzzle_has_no_path_of_best_states():
    for seed in range(10):
        chain = a_chain(7, 3, seed)
        paths = paths_of(7, 3)
        best = paths[L.score_paths(paths, *chain).argmax()]
        assert torch.equal(exercises.viterbi(*chain), best)
    pi = torch.tensor([0.4, 0.3, 0.3]).double()
    A = torch.tensor([[0, 0.5, 0.5], [1, 0, 0], [1, 0, 0]]).double()
    assert pi.argmax() == (pi @ A).argmax() == 0 and A[0, 0] == 0
    path = exercises.viterbi(pi.log(), A.log(), torch.zeros(2, 3).double())
    assert abs(float(pi[path[0]] * A[path[0], path[1]]) - 0.3) < 1e-6  # the numbers above are float32


def test_the_casino_plays_with_the_shares_it_states():
    A = torch.tensor([[0.95, 0.05], [0.10, 0.90]]).double()
    pi = torch.tensor([2 / 3, 1 / 3]).double()
    faces = torch.tensor([[1 / 6] * 6, [0.1] * 5 + [0.5]]).double()
    play = load("08", "play", A=A, pi=pi, faces=faces).play
    z, x = play(6_000, torch.Generator().manual_seed(1))
    assert abs(float((z == 1).double().mean()) - 1 / 3) < 0.05
    assert abs(float((x[z == 1] == 5).double().mean()) - 0.5) < 0.04
    assert abs(float((z[1:][z[:-1] == 0] == 1).double().mean()) - 0.05) < 0.015


# --- EM on text
# -----------------------------------------------------------------------------------------------------------------


def some_text(T=12, N=60, V=27):
    codes = torch.randint(0, V, (T, N), generator=torch.Generator().manual_seed(2)) ** 2 % V
    return torch.nn.functional.one_hot(codes, V).double()


def test_em_never_falls_and_one_state_is_the_unigram():
    x = some_text()
    params = L.begin_text(3, [0, 1], len(x))
    values = []
    for _ in range(40):
        params, log_px = L.em_on_text(params, x)
        values.append(log_px / x.sum())
    assert torch.stack(values).diff(dim=0).min() > -1e-9
    single = L.begin_text(1, [0], len(x))
    for _ in range(2):
        single, log_px = L.em_on_text(single, x)
    share = x.mean((0, 1))
    entropy = -torch.xlogy(share, share).sum()
    assert abs(float(log_px / x.sum() + entropy)) < 1e-9


def test_the_m_step_divides_expected_counts():
    """Against an E-step by enumeration of all paths of short lines."""
    x = some_text(T=4, N=5)
    params = L.begin_text(2, [3], 4)
    new, _ = L.em_on_text(params, x)
    log_pi, log_A, log_B = (part[0] if i != 1 else part[:, 0] for i, part in enumerate(params))
    paths = paths_of(4, 2)
    starts, moves, letters = torch.zeros(2), torch.zeros(2, 2), torch.zeros(27, 2)
    for n in range(5):
        log_b = x[:, n] @ log_B
        weight = L.score_paths(paths, log_pi[0], log_A[0], log_b).softmax(0).float()
        for path, w in zip(paths, weight):
            starts[path[0]] += w
            for t in range(4):
                letters[x[t, n].argmax(), path[t]] += w
                if t:
                    moves[path[t - 1], path[t]] += w
    torch.testing.assert_close(new[0][0, 0].exp().float(), starts / 5)
    torch.testing.assert_close(new[1][0, 0].exp().float(), moves / moves.sum(1, keepdim=True))
    torch.testing.assert_close(new[2][0].exp().float(), letters / letters.sum(0), atol=1e-6, rtol=1e-4)


def test_the_bigram_table_is_counted_by_hand():
    codes = torch.tensor([[0, 1], [1, 1], [0, 2]])  # T = 3, two lines
    x = torch.nn.functional.one_hot(codes, 27).double()
    unigram, bigram = L.bigram_bits(x, x)
    counts, pairs = torch.ones(27), torch.ones(27, 27)
    for line in codes.T.tolist():
        for letter in line:
            counts[letter] += 1
        for before, after in zip(line, line[1:]):
            pairs[before, after] += 1
    single, double = counts / counts.sum(), pairs / pairs.sum(1, keepdim=True)
    bits = -sum(float(single[letter].log2()) for line in codes.T.tolist() for letter in line) / 6
    assert float(unigram) == pytest.approx(bits, abs=1e-5)
    total = 0.0
    for line in codes.T.tolist():
        total -= float(single[line[0]].log2())
        total -= sum(float(double[a, b].log2()) for a, b in zip(line, line[1:]))
    assert float(bigram) == pytest.approx(total / 6, abs=1e-5)


def test_the_courses_letters_are_the_frozen_ones():
    text = course_text()
    assert len(text) == 221_921 and set(text) == set(" abcdefghijklmnopqrstuvwxyz") and "  " not in text


# --- digits as chains of rows
# -----------------------------------------------------------------------------------------------------------------


def a_row_chain(K=3, seed=0):
    g = torch.Generator().manual_seed(seed)
    chain = L.RowChain(K).double()
    for part in (chain.start, chain.moves, chain.ink):
        part.copy_(torch.randn(part.shape, generator=g))
    return chain


def test_the_likelihood_of_a_digit_is_that_of_the_plain_forward_pass():
    chain = a_row_chain()
    x = torch.bernoulli(torch.full((2, 28, 28), 0.4), generator=torch.Generator().manual_seed(1)).double()
    log_pi, log_A, log_on, log_off = chain.logs()
    found = L.log_digits(x, *chain.logs())
    for n in range(2):
        log_b = torch.zeros(28, 3).double()
        for r, k in itertools.product(range(28), range(3)):
            on, off = log_on[r, :, k], log_off[r, :, k]
            log_b[r, k] = (x[n, r] * on + (1 - x[n, r]) * off).sum()
        alpha = log_pi[0] + log_b[0]
        for r in range(1, 28):
            alpha = log_b[r] + (alpha[:, None] + log_A[r - 1]).logsumexp(0)
        assert abs(float(found[n] - alpha.logsumexp(0))) < 1e-8


def test_em_on_rows_climbs_and_finds_two_planted_pictures():
    """Black and white pictures, without grey: nothing is left to chance, and EM must not fall."""
    g = torch.Generator().manual_seed(3)
    pictures = torch.bernoulli(torch.full((2, 28, 28), 0.3), generator=g)
    images = pictures[torch.randint(2, (60,), generator=g)]
    chain = L.begin_rows(2, torch.cat([images, pictures])).double()
    values = [L.em_on_rows(chain, images.double(), seed, prior=1e-6) for seed in range(15)]
    assert min(after - before for before, after in zip(values, values[1:])) > -1e-2
    assert values[-1] > -1.0  # log 2, up to the two shares, is all that is left


def test_hidden_rows_are_summed_out_and_drawn_exactly():
    """Against enumeration: three rows matter, the others have one certain state's worth of ink."""
    chain = a_row_chain(K=2, seed=5)
    x = torch.bernoulli(torch.full((1, 28, 28), 0.5), generator=torch.Generator().manual_seed(2)).double()
    seen = torch.ones(28, dtype=torch.bool)
    seen[[0, 13, 14, 27]] = False
    n = 4_000
    u = torch.rand(28, n, 1, generator=torch.Generator().manual_seed(1)).double()
    made = L.complete_rows(chain, x.expand(n, -1, -1), seen, u)
    mean = L.mean_rows(chain, x, seen)
    assert torch.equal(made[:, seen], x[:, seen].expand(n, -1, -1)) and torch.equal(mean[:, seen], x[:, seen])
    assert (made.mean(0) - mean[0]).abs().max() < 0.05
    ink = chain.logs()[2].exp()[13]  # (28, K): each drawn row is one state's
    distance = (made[:, 13, :, None] - ink).abs().amax(1).min(1).values
    assert distance.max() < 1e-9
    log_pi, log_A, log_on, log_off = chain.logs()
    log_b = L.log_rows(x, log_on, log_off)[:, 0]
    log_b[~seen] = 0
    rows = [log_pi[0] + log_b[0]]
    for r in range(1, 28):
        rows.append(log_b[r] + (rows[-1][:, None] + log_A[r - 1]).logsumexp(0))
    omega = torch.zeros(2).double()
    for r in range(27, 13, -1):
        omega = (log_A[r - 1] + log_b[r] + omega).logsumexp(1)
    gamma = (rows[13] + omega).softmax(0)
    torch.testing.assert_close(mean[0, 13], ink @ gamma)


def test_nothing_seen_is_drawing():
    chain = a_row_chain(K=3, seed=6)
    n = 6_000
    u = torch.rand(28, n, 1, generator=torch.Generator().manual_seed(0)).double()
    nothing = torch.zeros(28, dtype=torch.bool)
    by_completion = L.complete_rows(chain, torch.zeros(n, 28, 28).double(), nothing, u)
    drawn = L.draw_rows(chain, u)
    assert (by_completion.mean(0) - drawn.mean(0)).abs().max() < 0.05


def test_pick_takes_the_first_index_beyond_u():
    p = torch.tensor([[0.2, 0.5, 0.3], [0.0, 0.0, 2.0]])
    for u, wanted in ((0.1, [0, 2]), (0.3, [1, 2]), (0.699, [1, 2]), (0.71, [2, 2])):
        assert L.pick(p, torch.full((2, 1), u)).tolist() == wanted


# --- the shipped runs
# -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("K", [2, 8, 32, 128])
def test_the_shipped_chains_have_the_exact_nats_on_their_cards(K):
    name = "08_hmm" if K == 128 else f"08_rows_{K}"
    chain = L.RowChain(K)
    run = runs.restore(name, chain)
    coins = torch.Generator().manual_seed(4)
    test = torch.bernoulli(cu.mnist().test.float()[:, 0], generator=coins)
    nats = -float(L.log_digits(test, *chain.logs()).mean())
    assert abs(nats - run.figure("test nats, exact")) < 0.1
    assert run.card["lesson"] == "08_hidden_chains"
    if K == 128:
        assert nats < 100.5
        chain.moves.data = chain.moves.data.flip(0)
        assert -float(L.log_digits(test[:1000], *chain.logs()).mean()) > nats + 10


def test_the_shipped_draws_are_binary_and_have_the_distance_on_the_card():
    chain = L.RowChain(128)
    run = runs.restore("08_hmm", chain)
    tossed = load("08", "tossed", draw_rows=L.draw_rows).tossed
    score = cu.metrics.score([tossed(chain, seed=9)], 1_000)
    assert (
        abs(score.distance - run.figure("Fréchet distance"))
        < 4 * run.figure("Fréchet distance, spread of sets") + 1
    )
    kept = torch.from_numpy(run.samples)
    assert run.card["samples"] == {"kind": "draws", "n": len(kept)} and len(kept) == 1_000
    assert set(kept.unique().tolist()) == {0, 255}
    frames, _ = run.replay
    assert frames.shape == (2, 9, 28, 28)
    assert sum(file.stat().st_size for file in run.path.iterdir()) <= 1.5e6


def test_what_lesson_08_shares_is_the_lessons_own():
    from course_utils.lessons import lesson_08 as shared

    chain = a_row_chain(K=3, seed=7).float()
    x = torch.bernoulli(torch.full((3, 28, 28), 0.4), generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(L.log_digits(x, *chain.logs()), shared.log_digits(x, *chain.logs()))
    u = torch.rand(28, 3, 1, generator=torch.Generator().manual_seed(0))
    made = [source.complete_rows(chain, x, L.upper_half, u) for source in (L, shared)]
    torch.testing.assert_close(*made)
    assert shared.checked_forward(*a_chain(5, 2)).shape == (5, 2)
