"""Lesson 08b: CRF, clinic and tree against enumeration; samplers against exact answers; the shipped runs."""

import itertools
import math

import pytest
import torch

import course_utils as cu
from course_utils import runs
from course_utils.data.text import Tagged, questions
from tests.lessons.lesson_functions import load

exercises = load("08b", "crf_log_likelihood", "likelihood_weighting", "edge_weights", "stuck_start")
CLINIC = load("08b", "CLINIC").CLINIC
NODES = list(CLINIC)
PARENTS = [tuple(NODES.index(name) for name in above) for above, _ in CLINIC.values()]
TABLES = [torch.tensor(p).double() for _, p in CLINIC.values()]
EVERYONE = torch.cartesian_prod(*[torch.arange(2)] * 8)
L = load(
    "08b",
    *(
        "log_partition",
        "posterior",
        "fit_crf",
        "fit_hmm",
        "hmm_scores",
        "crf_scores",
        "hit_rate",
        "calibration",
    ),
    *("joint_probability", "by_enumeration", "LEAVES_FIRST", "eliminate", "redraw", "gibbs", "PLACES"),
    "of_everyone",
    *("best_tree", "pair_table", "tree_bonus", "all_trees", "complete_tree"),
    checked_crf=exercises.crf_log_likelihood,
    NODES=NODES,
    parents=PARENTS,
    tables=TABLES,
    everyone=EVERYONE,
)


def a_crf(T, N, K, seed=0):
    g = torch.Generator().manual_seed(seed)
    start, moves = torch.randn(K, generator=g).double(), torch.randn(K, K, generator=g).double()
    lengths = torch.arange(N) % T + 1
    return start, moves, torch.randn(T, N, K, generator=g).double(), torch.arange(T)[:, None] < lengths


def scores_of_all(start, moves, e):
    """Tag sequences of one sentence e (T, K) and their scores."""
    T, K = e.shape
    tags = torch.tensor(list(itertools.product(range(K), repeat=T)))
    score = start[tags[:, 0]] + e[torch.arange(T), tags].sum(1) + moves[tags[:, :-1], tags[:, 1:]].sum(1)
    return tags, score


# --- HMM and CRF
# -----------------------------------------------------------------------------------------------------------------


def test_the_posterior_of_an_hmm_is_the_crf_with_its_logarithms():
    g = torch.Generator().manual_seed(1)
    pi, A = torch.rand(3, generator=g).double().softmax(0), torch.rand(3, 3, generator=g).double().softmax(1)
    b = torch.rand(5, 3, generator=g).double()
    tags = torch.tensor(list(itertools.product(range(3), repeat=5)))
    joint = pi[tags[:, 0]] * b[torch.arange(5), tags].prod(1) * A[tags[:, :-1], tags[:, 1:]].prod(1)
    whole = torch.ones(5, len(tags), dtype=torch.bool)
    e = b.log()[:, None].expand(-1, len(tags), -1)
    log_Z = L.log_partition(pi.log(), A.log(), e, whole)
    crf = exercises.crf_log_likelihood(pi.log(), A.log(), e, tags.T, whole, log_Z).exp()
    assert (crf - joint / joint.sum()).abs().max() < 1e-10


def test_the_partition_function_is_the_sum_over_all_tags_of_each_padded_sentence():
    start, moves, e, mask = a_crf(4, 7, 3)
    found = L.log_partition(start, moves, e, mask)
    q = L.posterior(start, moves, e, mask)
    for n in range(7):
        T = int(mask[:, n].sum())
        tags, score = scores_of_all(start, moves, e[:T, n])
        assert abs(float(found[n] - score.logsumexp(0))) < 1e-10
        weight = score.softmax(0)
        for t, k in itertools.product(range(T), range(3)):
            assert abs(float(q[t, n, k] - weight[tags[:, t] == k].sum())) < 1e-10


def test_the_gradient_is_observed_minus_expected():
    start, moves, e, _ = a_crf(5, 1, 3, seed=2)
    whole, y = torch.ones(5, 1, dtype=torch.bool), torch.tensor([0, 2, 2, 1, 0])[:, None]
    free = moves.clone().requires_grad_()
    log_Z = L.log_partition(start, free, e, whole)
    value = exercises.crf_log_likelihood(start, free, e, y, whole, log_Z)
    grad = torch.autograd.grad(value, free)[0]
    tags, score = scores_of_all(start, moves, e[:, 0])
    weight = score.softmax(0)
    wanted = torch.zeros(3, 3).double()
    for t in range(4):
        wanted[y[t], y[t + 1]] += 1
        wanted.index_put_((tags[:, t], tags[:, t + 1]), -weight, accumulate=True)
    assert (grad - wanted).abs().max() < 1e-10


@pytest.fixture(scope="module")
def flights():
    return Tagged()


@pytest.fixture(scope="module")
def taggers(flights):
    return load(
        "08b",
        *("log_partition", "posterior", "fit_crf", "fit_hmm", "hmm_scores", "crf_scores", "hit_rate"),
        checked_crf=exercises.crf_log_likelihood,
        flights=flights,
        K=len(flights.tags),
    )


def test_the_hmm_counts_by_hand(flights, taggers):
    sentences = flights.sentences["train"][:3]
    start, moves, counts = taggers.fit_hmm(flights.encode(sentences), 0.5)
    tag = flights.tags.index
    first, pairs = torch.full_like(start, 0.5), torch.full_like(moves, 0.5)
    words = torch.zeros_like(counts)
    for sentence in sentences:
        first[tag(sentence[0][1])] += 1
        for (_, before), (_, after) in zip(sentence, sentence[1:]):
            pairs[tag(before), tag(after)] += 1
        for word, name in sentence:
            for piece in (word, "-" + word[-1:], "-" + word[-2:], "-" + word[-3:]):
                words[flights.numbers[piece], tag(name)] += 1
    torch.testing.assert_close(start, first)
    torch.testing.assert_close(moves, pairs)
    torch.testing.assert_close(counts, words)
    log_pi, log_A, _ = taggers.hmm_scores((start, moves, counts), flights.encode(sentences)[0], True, 0.1)
    torch.testing.assert_close(log_pi.exp().sum(), torch.tensor(1.0))
    torch.testing.assert_close(log_A.exp().sum(1), torch.ones(len(flights.tags)))


def test_both_taggers_learn_ten_sentences_and_a_silent_piece_weighs_nothing(flights, taggers):
    data = flights.some(10, draw=3)
    weights = taggers.fit_crf(data, [0, 1, 2, 3], 0.01)
    q = taggers.posterior(*taggers.crf_scores(weights, data[0], [0, 1, 2, 3]), data[2])
    assert taggers.hit_rate(q, *data[1:]) > 0.97
    met = torch.zeros(len(flights.numbers), dtype=torch.bool)
    met[data[0][data[2]].flatten()] = True
    assert (weights[2][~met] == 0).all() and (weights[2][met] != 0).any()
    scores = taggers.hmm_scores(taggers.fit_hmm(data, 0.3), data[0], True, 0.01)
    assert taggers.hit_rate(taggers.posterior(*scores, data[2]), *data[1:]) > 0.95
    torch.testing.assert_close(q[data[2]].sum(1), torch.ones(int(data[2].sum())), atol=1e-4, rtol=0)


def test_calibration_of_honest_and_of_boastful_answers():
    g = torch.Generator().manual_seed(0)
    sure = 0.5 + 0.5 * torch.rand(200, 100, generator=g).double()
    q = torch.stack([sure, 1 - sure], 2)
    y = (torch.rand(200, 100, generator=g) > sure).long()
    mask = torch.ones(200, 100, dtype=torch.bool)
    assert L.calibration(q, y, mask)[3] < 0.02
    boast = torch.stack([torch.ones_like(sure), torch.zeros_like(sure)], 2)
    share = float((y == 0).double().mean())
    assert L.calibration(boast, y, mask)[3] == pytest.approx(1 - share, abs=1e-9)


# --- the clinic
# -----------------------------------------------------------------------------------------------------------------


def test_all_patients_together_have_probability_one_and_elimination_is_enumeration():
    assert abs(float(L.joint_probability(EVERYONE).sum()) - 1) < 1e-12
    cases = [{}, {"dysp": 1}, {"xray": 0, "smoke": 1}, {"asia": 1, "dysp": 1, "bronc": 0}]
    for evidence, query in itertools.product(cases, NODES):
        if query not in evidence:
            answer, largest = L.eliminate(query, evidence)
            assert abs(answer - L.by_enumeration(query, evidence)) < 1e-12
            assert largest <= 16


def test_confirming_bronchitis_explains_cancer_away():
    short_of_breath = L.by_enumeration("cancer", {"dysp": 1})
    both = L.by_enumeration("cancer", {"dysp": 1, "bronc": 1})
    assert L.by_enumeration("cancer", {}) < both < short_of_breath


def test_likelihood_weighting_agrees_with_enumeration():
    evidence = {"asia": 1, "xray": 1}
    numbered = {NODES.index(name): value for name, value in evidence.items()}
    g = torch.Generator().manual_seed(0)
    states, weights = exercises.likelihood_weighting(PARENTS, TABLES, numbered, 60_000, g)
    for query in ("tub", "cancer", "bronc"):
        found = float((weights * states[:, NODES.index(query)]).sum() / weights.sum())
        assert found == pytest.approx(L.by_enumeration(query, evidence), abs=0.03)
    fits = (EVERYONE[:, 0] == 1) & (EVERYONE[:, 6] == 1)
    chance = float(L.joint_probability(EVERYONE[fits]).sum())
    assert float(weights.mean()) == pytest.approx(chance, rel=0.05)


def test_single_site_gibbs_is_trapped_and_the_block_is_not():
    evidence = {"xray": 1}
    chosen = exercises.stuck_start()
    off = torch.tensor([chosen[name] for name in NODES])
    on = torch.tensor([0, 1, 0, 1, 0, 1, 1, 0])
    either, cancer = NODES.index("either"), NODES.index("cancer")
    single = [(name,) for name in NODES]
    three = ("tub", "cancer", "either")
    block = [three, *((name,) for name in NODES if name not in three)]
    g = torch.Generator().manual_seed(1)
    assert (L.gibbs(evidence, single, 200, off, g, chains=20)[..., cancer] == 0).all()
    assert (L.gibbs(evidence, single, 200, on, g, chains=20)[..., either] == 1).all()
    for start in (off, on):
        visited = L.gibbs(evidence, block, 600, start, g, chains=40)[50:]
        assert (visited[..., NODES.index("xray")] == 1).all()
        for node in ("cancer", "either", "smoke", "dysp"):
            found = float(visited[..., NODES.index(node)].double().mean())
            assert found == pytest.approx(L.by_enumeration(node, evidence), abs=0.03)


# --- trees
# -----------------------------------------------------------------------------------------------------------------


def a_joint(D, seed):
    """A random joint distribution of D binary pixels: states (2^D, D) and their probabilities."""
    states = torch.cartesian_prod(*[torch.arange(2)] * D).double()
    p = (2 * torch.randn(2**D, generator=torch.Generator().manual_seed(seed)).double()).softmax(0)
    return states, p


@pytest.mark.parametrize("seed", range(8))
def test_the_tree_is_the_best_of_all_sixteen_by_its_likelihood(seed):
    states, p = a_joint(4, seed)
    single, both = p @ states, torch.einsum("n,ni,nj->ij", p, states, states)
    weights = exercises.edge_weights(single, both)
    ours = frozenset(frozenset(edge) for edge in L.best_tree(weights, 2))
    likelihood = {}
    for edges in L.all_trees():
        value = -float((-torch.xlogy(single, single) - torch.xlogy(1 - single, 1 - single)).sum())
        for i, j in edges:
            for a, b in itertools.product((0, 1), repeat=2):
                cell = float(p[(states[:, i] == a) & (states[:, j] == b)].sum())
                alone = float(p[states[:, i] == a].sum() * p[states[:, j] == b].sum())
                value += cell * math.log(cell / alone)
        likelihood[frozenset(frozenset(edge) for edge in edges)] = value
    assert len(likelihood) == 16
    assert ours == max(likelihood, key=likelihood.get)
    best = L.tree_bonus(L.best_tree(weights, 0), weights)
    trees = [L.tree_bonus(edges, weights) for edges in L.all_trees()]
    assert abs(best - max(trees)) < 1e-12


def test_the_pairs_of_tossed_greys_need_no_tosses():
    x = torch.rand(400, 5, generator=torch.Generator().manual_seed(0)).double()
    single, both = L.pair_table(x)
    tossed = torch.bernoulli(x.repeat(200, 1), generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(single, tossed.mean(0), atol=0.01, rtol=0)
    torch.testing.assert_close(both, tossed.T @ tossed / len(tossed), atol=0.01, rtol=0)
    torch.testing.assert_close(both.diag(), single)


def test_a_tree_of_pixels_is_completed_exactly():
    """Against the joint distribution of a tree over six pixels, padded to 784 that are never ink."""
    g = torch.Generator().manual_seed(4)
    tree = [(1, 0), (2, 0), (3, 1), (4, 1), (5, 4)]
    p_on = torch.rand(5, 2, generator=g).double()
    p_root = torch.tensor(0.6).double()
    rest = [(i, 0) for i in range(6, 784)]
    tables = (p_root, torch.cat([p_on, torch.zeros(778, 2).double()]))
    states = torch.cartesian_prod(*[torch.arange(2)] * 6)
    p = torch.where(states[:, 0] == 1, p_root, 1 - p_root)
    for k, (i, j) in enumerate(tree):
        yes = p_on[k][states[:, j]]
        p = p * torch.where(states[:, i] == 1, yes, 1 - yes)
    x = torch.zeros(20_000, 784).double()
    x[:, [3, 5]] = torch.tensor([1.0, 0.0]).double()
    seen = torch.zeros(784, dtype=torch.bool)
    seen[[3, 5]] = True
    made = L.complete_tree(x, seen, tree + rest, 0, tables, torch.Generator().manual_seed(0))
    assert torch.equal(made[:, seen], x[:, seen]) and made[:, 6:].sum() == 0
    fits = (states[:, 3] == 1) & (states[:, 5] == 0)
    wanted = (p[fits][:, None] * states[fits]).sum(0) / p[fits].sum()
    torch.testing.assert_close(made[:, :6].mean(0), wanted, atol=0.02, rtol=0)
    pair = (p[fits] * states[fits, 0] * states[fits, 4]).sum() / p[fits].sum()
    assert abs(float((made[:, 0] * made[:, 4]).mean() - pair)) < 0.02


def the_tree():
    """The tree of 55,000 digits with its tables, as in the lesson."""
    single, both = L.pair_table(cu.mnist().train.float().flatten(1).double())
    return L.best_tree(exercises.edge_weights(single, both), 14 * 28 + 14), single, both


def test_the_tree_of_digits_has_the_nats_on_its_card():
    tree, single, both = the_tree()
    child, parent = (torch.tensor(part) for part in zip(*tree))
    assert sorted([*child.tolist(), 14 * 28 + 14]) == list(range(784))
    joint = both[child, parent]
    given = [(single[child] - joint) / (1 - single[parent]), joint / single[parent]]
    p_on = torch.stack(given, 1).clamp(1e-6, 1 - 1e-6)
    scope = {"child": child, "parent": parent, "p_on": p_on, "single": single, "ROOT": 14 * 28 + 14}
    coins = torch.Generator().manual_seed(4)
    binary = torch.bernoulli(cu.mnist().test.float(), generator=coins).flatten(1)
    nats = -float(load("08b", "log_tree", **scope).log_tree(binary).mean())
    run = runs.load("08_tree")
    assert abs(nats - run.figure("test nats, exact")) < 0.05
    assert abs(nats - 134.9) < 0.2
    assert run.card["samples"] == {"kind": "draws", "n": 1_000}


def test_the_shipped_curves_are_error_rates_of_ten_draws(flights, taggers):
    curves = torch.nn.ParameterDict(
        {"errors": torch.nn.Parameter(torch.zeros(2, 3, 7, 10), requires_grad=False)}
    )
    run = runs.restore("08b_curves", curves)
    errors = curves["errors"]
    assert ((errors > 0) & (errors < 1)).all()
    assert (errors.mean(3).diff(dim=2) < 0).all()  # more sentences, fewer errors
    data, columns = flights.some(40, draw=0), [0, 1, 2, 3]
    test = flights.encode(flights.sentences["test"])
    weights = taggers.fit_crf(data, columns, run.figure("l2, 40 sentences, 4 pieces"))
    q = taggers.posterior(*taggers.crf_scores(weights, test[0], columns), test[2])
    assert abs(1 - taggers.hit_rate(q, *test[1:]) - float(errors[1, 1, 3, 0])) < 0.004


def test_the_questions_are_whole_and_encoded_alike(flights):
    sizes = [len(flights.sentences[part]) for part in ("train", "dev", "test")]
    assert sizes == [4_274, 572, 586] and len(flights.tags) == 14
    f, y, mask = flights.encode([[("rates", "NOUN")], [("a", "DET"), ("flight", "NOUN")]])
    assert f.shape == (2, 2, 4) and mask.tolist() == [[True, True], [False, True]]
    names = {number: piece for piece, number in flights.numbers.items()}
    assert [names[int(number)] for number in f[0, 0]] == ["rates", "-s", "-es", "-tes"]
    assert [flights.tags[int(tag)] for tag in y[:, 1]] == ["DET", "NOUN"]
    with pytest.raises(ValueError, match="no part"):
        questions("training")
