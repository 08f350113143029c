"""Lesson 11: the magnet, Boltzmann gradients, RBMs and annealing against enumeration; the shipped runs."""

import math

import pytest
import torch
import torch.nn.functional as F

import course_utils as cu
from course_utils import checks, runs
from tests.lessons.lesson_functions import load
from tests.wrong_answers.lesson_11 import anneal_pops

X = load("11", "free_energies", "pcd_step", "copier", "annealed_weights", "still_mine")
L = load(
    "11",
    *("every_state", "magnet_energy", "dark", "sweep", "changes_of_sign"),
    *("boltzmann_energy", "settle"),
    *("RBM", "gibbs", "new_rbm", "exact_kl", "reconstruction_error", "one_loss", "follow"),
    *("log_terms", "exact_log_z", "exact_draws", "Persistent", "pcd_loss"),
    *("between", "base_log_z", "ais", "log_mean", "reverse_ais", "dream"),
    checked_free_energy=X.free_energies,
    checked_pcd=X.pcd_step,
    checked_weights=X.annealed_weights,
)
NINE = L.every_state(9).double()
PAGE = NINE.view(-1, 3, 3)
BARS = (PAGE[:, :1] == PAGE).flatten(1).all(1)
STRIPES = (PAGE[:, :, :1] == PAGE).flatten(1).all(1)
PATTERNS = NINE[BARS | STRIPES]


def machine(D, H, scale=1.0, seed=0):
    g = torch.Generator().manual_seed(seed)
    parts = (scale * torch.randn(D, H, generator=g), *(torch.randn(n, generator=g) for n in (D, H)))
    return L.RBM(*(part.double() for part in parts))


def joint_energy(model, v, h):
    """E (len(v), len(h)) by (3), term by term."""
    return -(v @ model.b)[:, None] - h @ model.c - torch.einsum("vi,ij,hj->vh", v, model.W, h)


# --- the magnet
# -----------------------------------------------------------------------------------------------------------------


def test_states_are_all_different_and_the_magnet_has_its_32_pairs():
    assert len(L.every_state(9).unique(dim=0)) == 512
    worlds = 2 * L.every_state(16).view(-1, 4, 4) - 1
    E = L.magnet_energy(worlds)
    assert E.min() == -32 and (E == -32).sum() == 2 and E.max() == 32 and (E == 32).sum() == 2
    x, slow = worlds[12345], 0.0
    for r in range(4):
        for c in range(4):
            slow -= float(x[r, c] * x[(r + 1) % 4, c] + x[r, c] * x[r, (c + 1) % 4])
    assert slow == float(E[12345])


def test_z_of_the_magnet_is_the_transfer_matrix():
    """Z by 65,536 states equals the trace of the fourth power of the matrix from row to row."""
    worlds = 2 * L.every_state(16).double().view(-1, 4, 4) - 1
    row = 2 * L.every_state(4).double() - 1
    for T in (1.0, 2.27, 4.0):
        inside = (row * row.roll(1, 1)).sum(1)
        M = ((inside[:, None] + inside) / (2 * T) + row @ row.T / T).exp()
        by_rows = torch.linalg.matrix_power(M, 4).trace().log()
        assert abs(float((-L.magnet_energy(worlds) / T).logsumexp(0) - by_rows)) < 1e-10


def test_a_sweep_leaves_the_magnets_distribution_as_it_is():
    worlds = 2 * L.every_state(16).double().view(-1, 4, 4) - 1
    T = 3.0
    p = (-L.magnet_energy(worlds) / T).softmax(0)
    torch.manual_seed(0)
    x = worlds[torch.multinomial(p, 40_000, True)]
    after = L.sweep(x, torch.full((40_000, 1, 1), T).double())
    exact = float((p * L.magnet_energy(worlds)).sum())
    spread = float((p * L.magnet_energy(worlds).square()).sum() - exact**2) ** 0.5
    for states in (x, after):
        assert abs(float(L.magnet_energy(states).mean()) - exact) < 5 * spread / 200
    cold = L.sweep(worlds[:1].expand(200, -1, -1), torch.full((200, 1, 1), 0.5).double())
    assert float(cold.mean()) < -0.95  # all cells down, and cold: it stays


def test_a_change_of_sign_through_zero_counts_once():
    seen = torch.tensor(
        [[1.0, 1, 1, 0, 1], [0, 0, 0, 1, -1], [-1, 1, 0, -1, 1], [-1, 1, -1, -1, -1]]
    ).double()
    assert L.changes_of_sign(seen).tolist() == [1, 0, 1, 1, 3]


# --- gradients
# -----------------------------------------------------------------------------------------------------------------


def test_the_boltzmann_gradient_is_that_of_log_z():
    G = load("11", "boltzmann_energy", "boltzmann_gradient", nine=NINE)
    u = torch.randn(9, 9, generator=torch.Generator().manual_seed(3)).double().requires_grad_()
    log_z = (-G.boltzmann_energy(NINE, u)).logsumexp(0)
    log_p = (-G.boltzmann_energy(PATTERNS, u)).mean() - log_z
    (true,) = torch.autograd.grad(log_p, u)
    assert (true - G.boltzmann_gradient(u.detach(), PATTERNS)).abs().max() < 1e-10
    even = NINE[NINE.sum(1) % 2 == 0]
    assert G.boltzmann_gradient(torch.zeros(9, 9).double(), even).abs().max() < 1e-12  # pairs know nothing
    assert abs(float(log_z) - math.log(sum(math.exp(-float(e)) for e in G.boltzmann_energy(NINE, u)))) < 1e-10


def test_free_energy_and_both_conditionals_against_all_states():
    model = machine(6, 8)
    v, h = L.every_state(6).double(), L.every_state(8).double()
    E = joint_energy(model, v, h)
    assert (model.free_energy(v) + (-E).logsumexp(1)).abs().max() < 1e-10
    assert (model.p_h(v) - (-E).softmax(1) @ h).abs().max() < 1e-10
    assert (model.p_v(h) - (-E.T).softmax(1) @ v).abs().max() < 1e-10


def test_z_over_hidden_states_is_z_over_visible_ones():
    model = machine(7, 5)
    v = L.every_state(7).double()
    assert abs(float(L.exact_log_z(model) - (-model.free_energy(v)).logsumexp(0))) < 1e-10
    assert abs(float(L.log_terms(model, 3).logsumexp(0) - L.exact_log_z(model))) < 1e-10


def test_the_gradient_of_pcd_with_exact_draws_is_the_exact_gradient():
    """With chains in balance, and many of them, the PCD loss has the gradient of −log p."""
    G = load(
        "11",
        *("exact_kl", "one_loss", "gibbs"),
        checked_pcd=X.pcd_step,
        nine=NINE,
        patterns=PATTERNS,
    )
    torch.manual_seed(0)
    model = machine(9, 4, scale=0.5)
    p = (-model.free_energy(NINE)).softmax(0).detach()
    chains = NINE[torch.multinomial(p, 100_000, True)]
    grads = []
    for kind in ("exact", "PCD"):
        loss, _ = G.one_loss(kind, model, chains)
        grads.append(torch.autograd.grad(loss, model.W)[0])
    assert (grads[0] - grads[1]).abs().max() < 0.01 and grads[0].abs().max() > 0.05
    kl, loss = G.exact_kl(model), G.one_loss("exact", model, chains)[0]
    assert abs(float(kl + math.log(14) - loss.detach())) < 1e-10
    of_cd = torch.autograd.grad(G.one_loss("CD-1", model, chains)[0], model.W)[0]
    assert (of_cd - grads[0]).abs().max() > 0.01  # CD-1 is biased


def test_pcd_with_ten_moves_makes_ten_gibbs_steps_and_cd_begins_at_the_data():
    """Nine by `gibbs`, one in the step itself; CD-1 and the exact gradient move no chain before it."""
    steps, starts = [], []

    def counted(model, v, steps_now=1):
        steps.append(steps_now)
        return v

    def step(model, v, chains):
        starts.append(chains)
        return X.pcd_step(model, v, chains)

    G = load("11", "one_loss", gibbs=counted, checked_pcd=step, nine=NINE, patterns=PATTERNS)
    model, chains = machine(9, 4), torch.ones(28, 9).double()
    _, moved = G.one_loss("PCD", model, chains, moves=10)
    assert steps == [9] and starts[0] is chains and moved.shape == (28, 9)
    _, moved = G.one_loss("CD-1", model, chains)
    assert steps == [9] and starts[1] is PATTERNS and moved.shape == PATTERNS.shape
    assert G.one_loss("exact", model, chains)[1] is chains and len(starts) == 2


def test_a_gibbs_step_leaves_the_models_distribution_as_it_is():
    model = machine(4, 3)
    states = L.every_state(4).double()
    p = (-model.free_energy(states)).softmax(0).detach()
    torch.manual_seed(1)
    moved = L.gibbs(model, states[torch.multinomial(p, 50_000, True)], 2)
    shares = torch.bincount((moved @ torch.tensor([1.0, 2, 4, 8]).double()).long(), minlength=16) / 50_000
    assert (shares - p).abs().sum() < 0.03
    started = L.gibbs(model, states[:1].expand(50_000, -1), 30)
    shares = torch.bincount((started @ torch.tensor([1.0, 2, 4, 8]).double()).long(), minlength=16) / 50_000
    assert (shares - p).abs().sum() < 0.05
    assert torch.equal(L.gibbs(model, states, 0), states)


def test_the_copier_copies_and_is_uniform():
    model = L.RBM(*X.copier()).double()
    assert float(L.reconstruction_error(model, PATTERNS)) < 0.01
    F_all = model.free_energy(NINE)
    assert float(F_all.max() - F_all.min()) < 1e-4


def test_the_reconstruction_error_is_the_mean_over_draws_of_h():
    """Against a sum over all hidden states: mean square, not sum or distance, and h tossed, not its mean."""
    model = machine(4, 3, scale=2.0)
    v, h = L.every_state(4).double()[[3, 5, 14]], L.every_state(3).double()
    with torch.no_grad():
        on = model.p_h(v)[:, None]  # (3, 1, 3)
        p = (h * on + (1 - h) * (1 - on)).prod(2)  # (3, 8)
        errors = (v[:, None] - model.p_v(h)).square().mean(2)
        exact = float((p * errors).sum(1).mean())
        passed_on = float((v - model.p_v(model.p_h(v))).square().mean())
    torch.manual_seed(0)
    found = float(L.reconstruction_error(model, v.repeat(20_000, 1)))
    assert abs(found - exact) < 0.003 < abs(passed_on - exact) / 5


def test_a_new_machine_has_the_rates_that_it_is_given():
    rates = torch.tensor([0.1, 0.5, 0.9, 0.3])
    torch.manual_seed(0)
    for model, true in ((L.new_rbm(4, 3, rates), rates), (L.new_rbm(4, 3), torch.full((4,), 0.5))):
        with torch.no_grad():
            assert 0 < float(model.W.abs().max()) < 0.1
            model.W.zero_()
            assert (model.p_v(torch.ones(2, 3)) - true).abs().max() < 1e-6
            assert (model.p_h(torch.ones(2, 4)) == 0.5).all()
    never = L.new_rbm(2, 1, torch.tensor([0.0, 1.0])).b
    assert bool(never.isfinite().all())


def test_the_running_average_begins_as_a_mean_and_goes_on_slowly():
    models = [machine(3, 2, seed=s) for s in range(4)]
    mean = machine(3, 2, seed=9)
    for t, model in enumerate(models):
        L.follow(mean, model, t)
    true = torch.stack([model.W for model in models]).mean(0)
    assert (mean.W - true).abs().max() < 1e-12
    L.follow(mean, models[0], 5_000)
    assert (mean.W - (0.999 * true + 0.001 * models[0].W)).abs().max() < 1e-12


# --- annealing
# -----------------------------------------------------------------------------------------------------------------


def test_between_begins_at_base_rates_and_ends_at_the_model():
    model, base = machine(6, 4), torch.randn(6, generator=torch.Generator().manual_seed(2)).double()
    assert abs(float(L.exact_log_z(L.between(model, base, 0.0)) - L.base_log_z(model, base))) < 1e-10
    for mine, theirs in zip(L.between(model, base, 1.0).parameters(), model.parameters()):
        assert torch.equal(mine, theirs)


def test_an_answer_that_empties_its_list_of_shares_spoils_no_later_check():
    """The list of the check is not the list of the answer: what one answer empties, the next one gets in full."""
    for _ in range(2):
        assert checks.evaluate("11.annealing", anneal_pops).status == "failed"
        right = checks.evaluate("11.annealing", checks.reference("11.annealing"))
        assert right.status == "passed", right.message


def test_the_mean_of_logarithms_is_the_logarithm_of_the_mean():
    double = {"dtype": torch.float64}
    logs = torch.tensor([[0.0, 700.0], [math.log(3), 700.0], [math.log(8), 702.0]], **double)
    true = torch.tensor([math.log(4), 700 + math.log((2 + math.exp(2)) / 3)], **double)
    assert (L.log_mean(logs) - true).abs().max() < 1e-12


def test_the_mean_weight_is_the_ratio_of_both_z_even_with_three_temperatures():
    """From uneven base rates: chains that began at fair coins would not have Z / Z₀ as their mean weight."""
    model = machine(6, 4, scale=0.6)
    base = torch.tensor([1.5, -1.0, 0.5, -1.5, 1.0, -0.5]).double()
    truth = L.exact_log_z(model)
    torch.manual_seed(0)
    ratio = (L.ais(model, base, 100_000, 3) - truth).exp()
    assert abs(float(ratio.mean()) - 1) < 5 * float(ratio.std()) / 100_000**0.5
    few = (L.ais(model, base, 20_000, 3) - truth).view(-1, 10)
    assert float(few.logsumexp(1).mean()) - math.log(10) < 0  # E log Ẑ ≤ log Z


def test_annealing_is_within_a_tenth_of_a_nat_and_brackets_the_truth():
    torch.manual_seed(0)
    model = machine(40, 8, scale=0.8)
    truth, base = L.exact_log_z(model), torch.zeros(40).double()
    below = L.ais(model, base, 100, 1_000)
    assert abs(float(L.log_mean(below) - truth)) < 0.1
    start = L_draws(model, 100)
    above = L.reverse_ais(model, base, start, 1_000)
    assert abs(float(-L.log_mean(-above) - truth)) < 0.1
    low = L.ais(model, base, 2_000, 10).mean() - truth
    high = L.reverse_ais(model, base, L_draws(model, 2_000), 10).mean() - truth
    assert float(low) < -0.05 and float(high) > 0.05


def test_nats_by_annealing_are_those_of_the_exact_z():
    torch.manual_seed(0)
    model, base = machine(40, 8, scale=0.8), torch.zeros(40).double()
    G = load("11", "nats_by_ais", ais=L.ais, log_mean=L.log_mean, base=base)
    v = L_draws(model, 50)
    with torch.no_grad():
        exact = model.free_energy(v) + L.exact_log_z(model)
    nats, spread = G.nats_by_ais(model, v)
    assert nats.shape == (50,) and (nats - exact).abs().max() < 0.1
    assert 0 < float(spread) < 1


def L_draws(model, n):
    """Exact draws by hand: h from its terms, then v."""
    terms = L.log_terms(model)
    h = L.every_state(len(model.c)).to(terms)[torch.multinomial(terms.softmax(0), n, True)]
    return torch.bernoulli(model.p_v(h)).detach()


def test_exact_draws_have_the_models_means():
    torch.manual_seed(0)
    model = L.RBM(0.3 * torch.randn(784, 6), -2 + torch.randn(784), torch.randn(6))
    terms = L.log_terms(model)
    h = L.every_state(6)
    true = (terms.softmax(0)[:, None] * model.p_v(h)).sum(0).detach()
    drawn = L.exact_draws(model, terms, 4_000, seed=1)
    assert (drawn.mean(0) - true).abs().max() < 5 * 0.5 / 4_000**0.5
    assert set(drawn.unique().tolist()) == {0.0, 1.0}


# --- the rest
# -----------------------------------------------------------------------------------------------------------------


def test_pcd_on_images_moves_the_chains_and_reaches_every_parameter():
    torch.manual_seed(0)
    model = L.Persistent(L.new_rbm(784, 10), torch.zeros(20, 784))
    x = torch.rand(8, 1, 28, 28)
    loss = L.pcd_loss(model, x)
    loss.backward()
    assert all(part.grad is not None and part.grad.abs().sum() > 0 for part in model.parameters())
    assert model.chains.dtype == torch.uint8 and 0 < model.chains.float().mean() < 1


def test_images_are_binarised_by_chance_and_the_chains_come_back():
    """Grey of 0.3 is inked in three of ten pixels, by a toss for each of them anew."""
    seen = []

    def step(model, v, chains):
        seen.append((v, chains))
        return v.sum(), 1 - chains

    G = load("11", "pcd_loss", checked_pcd=step)
    model = L.Persistent(L.new_rbm(784, 10), torch.zeros(20, 784))
    grey = torch.cat([torch.full((50, 1, 28, 28), 0.3), torch.zeros(50, 1, 28, 28)])
    torch.manual_seed(0)
    for _ in range(2):
        G.pcd_loss(model, grey)
    v = seen[0][0]
    assert v.shape == (100, 784) and set(v.unique().tolist()) == {0.0, 1.0}
    assert abs(float(v[:50].mean()) - 0.3) < 0.015 and not v[50:].any()
    assert not torch.equal(v, seen[1][0])
    assert not seen[0][1].any() and seen[1][1].all() and not model.chains.any()


def test_a_hopfield_net_falls_and_remembers():
    g = torch.Generator().manual_seed(0)
    stored = 2 * (torch.rand(2, 60, generator=g) > 0.5).float() - 1
    U = stored.T @ stored
    U.fill_diagonal_(0)
    s = stored[0].clone()
    s[:8] *= -1
    end, energies = L.settle(s, U)
    assert torch.equal(end, stored[0])
    assert all(after <= before for before, after in zip(energies, energies[1:]))


def test_a_dream_keeps_what_is_given():
    torch.manual_seed(0)
    model = L.RBM(0.1 * torch.randn(784, 5), torch.zeros(784), torch.zeros(5))
    known = torch.arange(784) < 392
    start = (torch.rand(1, 784) > 0.5).float()
    v = L.dream(model, start, known, torch.zeros(3, 784), 2)
    assert torch.equal(v[:, known], start[:, known].expand(3, -1)) and v[:, ~known].std() > 0.4


def test_a_dream_draws_from_the_conditional_of_the_rest():
    """Two of four pixels are held; after many steps the other two have the model's p(rest | held), added up."""
    model = machine(4, 3, scale=1.5)
    known = torch.tensor([True, False, True, False])
    start = torch.tensor([[1.0, 0, 0, 0]]).double()
    rest = L.every_state(2).double()
    whole = start.repeat(4, 1)
    whole[:, ~known] = rest
    true = (-model.free_energy(whole)).softmax(0).detach()
    assert float(true.max()) > 0.5  # far from coins
    torch.manual_seed(0)
    coins = torch.bernoulli(torch.full((40_000, 4), 0.5).double())
    for begun in (coins, torch.ones(40_000, 4).double()):
        v = L.dream(model, start, known, begun, 30)
        number = (v[:, ~known] @ torch.tensor([1.0, 2.0]).double()).long()
        shares = torch.bincount(number, minlength=4).double() / 40_000
        assert (shares - true).abs().max() < 0.015


# --- the shipped runs
# -----------------------------------------------------------------------------------------------------------------


def binarised_test(n=10_000):
    g = torch.Generator().manual_seed(4)
    return torch.bernoulli(cu.mnist().test.float(), generator=g)[:n].flatten(1)


def restored(name, H):
    model = L.new_rbm(784, H)
    return cu.restore(name, model), model


@pytest.mark.turns(2)
def test_the_small_shipped_rbm_has_the_nats_of_its_card_exactly():
    run, model = restored("11_rbm20", 20)
    log_z = L.exact_log_z(model)
    assert abs(float(log_z) - run.figure("log Z, exact")) < 0.02
    with torch.no_grad():
        nats = float((model.free_energy(binarised_test()) + log_z).mean())
    assert abs(nats - run.figure("test nats, exact")) < 0.05 and nats < 150


@pytest.mark.turns(2)
def test_the_ladder_brackets_log_z_and_flatters_the_better_machine():
    card = runs.load("11_ladder")
    for name in ("early", "shipped"):
        for side, sign in (("forward", 1), ("reverse", -1)):
            for n in (1, 10, 100):
                found = [card.figure(f"{name}: {side}: {steps}: {n}") for steps in ("10", "100", "1,000")]
                scatter = [
                    card.figure(f"error of {name}: {side}: {steps}: {n}") for steps in ("10", "100", "1,000")
                ]
                for value, error in zip(found, scatter):  # never significantly on the other side
                    assert sign * value < 3 * error
                for few, more, error in zip(found, found[1:], scatter):
                    assert abs(more) < abs(few) + 3 * error
    early, shipped = (card.figure(f"{name}: forward: 1,000: 100") for name in ("early", "shipped"))
    assert abs(early) < 0.1 and shipped < -10 * card.figure("error of shipped: forward: 1,000: 100")
    assert card.figure("early: test nats, exact") > card.figure("shipped: test nats, exact") + 10
    _, model = restored("11_rbm20", 20)  # the figure itself, anew, with one tenth of the chains
    base = cu.mnist().train.float().flatten(1).mean(0).clamp(0.001, 0.999).logit()
    torch.manual_seed(3)
    errors = L.ais(model, base, 500, 100) - L.exact_log_z(model)
    groups = errors.view(-1, 10).logsumexp(1) - math.log(10)
    error = float(groups.std()) / len(groups) ** 0.5
    assert abs(float(groups.mean()) - card.figure("shipped: forward: 100: 10")) < 4 * error
    assert abs(float(errors.std()) - card.figure("shipped: 100: spread of log w")) < 0.3


@pytest.mark.turns(2)
def test_the_shipped_rbm_is_as_good_as_its_card_says():
    run, model = restored("11_rbm", 500)
    rates = cu.mnist().train.float()[::10].flatten(1).mean(0)
    torch.manual_seed(0)
    estimates = L.ais(model, rates.clamp(0.001, 0.999).logit(), 100, 1_000)
    with torch.no_grad():
        nats = float(model.free_energy(binarised_test()).mean() + L.log_mean(estimates))
    assert abs(nats - run.figure("test nats, AIS")) < 1.0
    below, above = run.figure("test nats, AIS"), run.figure("test nats, annealed backwards")
    assert below <= above <= 88 and above - below < 1
    kept = torch.from_numpy(run.samples)
    assert len(kept) == 1_000 and set(kept.unique().tolist()) == {0, 255}
    frames, steps = run.replay
    assert frames.shape[1:] == (8, 28, 28) and steps[-1] == 1_000
    assert (frames[:, :, :14] == frames[:1, :1, :14]).all()  # what is held stays
    assert sum(file.stat().st_size for file in run.path.iterdir()) < 1.5e6


def test_ten_seeds_tell_what_the_reconstruction_error_hides():
    run = runs.load("11_bars")

    def ten(name, what):
        return torch.tensor([run.figure(f"{name}: {what}, seed {seed}") for seed in range(10)])

    for name in ("exact", "CD-1", "PCD, 28 chains"):
        assert ten(name, "reconstruction error").max() < 0.05
    raw, mean = ten("PCD, 28 chains", "KL"), ten("PCD, 28 chains", "averaged KL")
    assert raw.quantile(0.5) > 5 * mean.quantile(0.5) and raw.quantile(0.5) > ten("CD-1", "KL").quantile(0.5)
    exact, many = ten("exact", "KL").quantile(0.5), ten("PCD, 500 chains", "averaged KL").quantile(0.5)
    assert exact < mean.quantile(0.5) < ten("CD-1", "KL").quantile(0.5)  # the average is the second best
    assert exact < 0.1 and abs(many - exact) < 0.03


def test_what_lesson_11_shares_is_the_lessons_own():
    from course_utils.lessons import lesson_11 as shared

    mine, theirs = machine(5, 3), machine(5, 3)
    theirs = shared.RBM(theirs.W.detach(), theirs.b.detach(), theirs.c.detach())
    v = L.every_state(5).double()
    torch.testing.assert_close(mine.free_energy(v), theirs.free_energy(v))
    terms = L.log_terms(mine)
    assert torch.equal(shared.exact_draws(theirs, terms, 20), L.exact_draws(mine, terms, 20))
    assert abs(float(shared.exact_log_z(theirs) - L.exact_log_z(mine))) < 1e-12
    assert float(F.softplus(torch.zeros(5)).sum()) == pytest.approx(5 * math.log(2))
