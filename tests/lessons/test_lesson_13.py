"""Lesson 13: three ways to one distance, its leashes, a round and its losses, growing without a jump, shaken
images, and the shipped runs."""

import copy
import itertools
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn
from torch.nn import functional as F

import course_utils as cu
from course_utils import runs
from course_utils.checks.references import ref_05
from course_utils.lessons import lesson_05
from course_utils.nets.growing import GrowingCritic, with_spread
from course_utils.runs.pictures import pictures
from tests.lessons.lesson_functions import load
from tests.train.training import CountReads

X = load("13", "transport_1d", "gradient_penalty", "fade_in", "sliced_distance")
L = load(
    "13",
    *("two_lines", "assignment", "held", "new_critic", "downhill", "fair_penalty", "critic_step"),
    *("plane_game", "plane_round", "outcome", "careless", "logistic", "wasserstein", "hinge", "a_round"),
    *("falling", "new_game", "latents", "paint", "along", "rank_correlation", "turned", "Grower"),
    *("at_stage", "set_stage", "growing_round", "FACE", "large", "patches"),
    *("patch_distance", "at_seconds", "shaken", "shaken_logistic", "mean_logit"),
    *("trained_with_looks", "spaced_moments", "on_card", "DIGIT_COSTS", "FACE_COSTS", "SHARES", "coarse"),
    *("growing_plan", "clock_of", "moments_at", "RACES", "FEW"),
    checked_transport=X.transport_1d,
    checked_penalty=X.gradient_penalty,
    checked_fade=X.fade_in,
    checked_sliced=X.sliced_distance,
    points=cu.eight_gaussians(500, seed=7),
    centres=cu.points.eight_centres(),
    device=torch.device("cpu"),
)
L05 = load(
    "05",
    *("take_turns", "new_game", "downhill", "latents", "Generator", "Discriminator", "block", "LATENT"),
    checked_loss=ref_05.player_loss,
    checked_r1=ref_05.r1_penalty,
)
WIDTHS = (6, 5, 4, 3)
LEASHES = ("clipping", "spectral norm", "penalty")


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def cloud(n, d=2, seed=0):
    """n normal points (n, d), float64."""
    return torch.randn(n, d, generator=seeded(seed), dtype=torch.double)


def drawn(n=16, side=28, c=1, seed=0):
    """n noise images (n, c, side, side) in [0, 1]."""
    return torch.rand(n, c, side, side, generator=seeded(seed))


def weights(net):
    return [w.detach().clone() for w in net.parameters()]


def same(before, net):
    """For each parameter, whether it is what it was, bit by bit."""
    return [torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True)]


# --- 1, 2: one number in three ways
# --------------------------------------------------------------------------------------------------------


def test_sorting_and_assignment_and_scipy_find_one_distance_on_the_line():
    for seed, n in ((0, 1), (1, 7), (2, 60)):
        x, y = cloud(n, 1, seed), 1 + 2 * cloud(n, 1, seed + 10)
        found = X.transport_1d(x[:, 0], y[:, 0])
        assert found.shape == ()
        assert abs(float(found) - L.assignment(x, y)[0]) < 1e-9
        assert abs(float(found) - stats.wasserstein_distance(x[:, 0], y[:, 0])) < 1e-9


def test_a_distance_is_one_and_columns_do_not_see_each_other():
    a, b, c = (cloud(30, 4, seed) * (seed + 1) for seed in range(3))
    found = X.transport_1d(a, b)
    assert found.shape == (4,)
    for k in range(4):
        torch.testing.assert_close(found[k], X.transport_1d(a[:, k], b[:, k]))
    assert (X.transport_1d(a, a.flip(0)) == 0).all() and (found > 0).all()
    torch.testing.assert_close(X.transport_1d(a, a - 0.7), torch.full((4,), 0.7, dtype=torch.double))
    torch.testing.assert_close(found, X.transport_1d(b, a))
    assert (found <= X.transport_1d(a, c) + X.transport_1d(c, b) + 1e-12).all()
    torch.testing.assert_close(X.transport_1d(3 * a, 3 * b), 3 * found)


@pytest.mark.parametrize("seed", range(4))
def test_no_other_plan_is_shorter_than_the_assignment(seed):
    x, y = cloud(6, 2, seed), 2 * cloud(6, 2, seed + 10).exp()
    length, partner = L.assignment(x, y)
    plans = torch.tensor(list(itertools.permutations(range(6))))
    ways = (x - y[plans]).norm(dim=2).mean(1)
    assert abs(length - float(ways.min())) < 1e-12
    assert plans[ways.argmin()].equal(partner)


def test_the_assignment_of_the_same_points_and_of_shifted_ones():
    x, order = cloud(40), torch.randperm(40, generator=seeded(3))
    length, partner = L.assignment(x, x[order])
    assert length == 0 and order[partner].equal(torch.arange(40))
    step = torch.tensor([0.3, -0.4], dtype=torch.double)
    assert abs(L.assignment(x, x + step)[0] - 0.5) < 1e-12
    y = cloud(40, 2, 5)
    assert abs(L.assignment(x, y)[0] - L.assignment(y, x)[0]) < 1e-12


def test_no_gap_of_a_function_of_slope_1_exceeds_the_assignment():
    x, y = cloud(80), 0.5 * cloud(80, 2, 1) + torch.tensor([1.0, 0.5])
    length, partner = L.assignment(x, y)
    gaps = []
    for a in 3 * cloud(50, 2, 2):
        gaps.append((x - a).norm(dim=1).mean() - (y - a).norm(dim=1).mean())
        gaps.append((x @ (a / a.norm())).mean() - (y @ (a / a.norm())).mean())
    gaps = torch.stack(gaps).abs()
    assert gaps.max() <= length and gaps.max() > 0.5 * length  # not by being far from it
    torch.testing.assert_close((x - y[partner]).norm(dim=1).mean().item(), length)


@pytest.mark.parametrize("theta", [-1.3, -0.1, 0.4, 1.0])
def test_the_two_lines_of_equation_1(theta):
    jsd, length, slope_jsd, slope = L.two_lines(theta)
    high = torch.rand(50, generator=seeded(), dtype=torch.double)
    data, forged = (torch.stack([torch.full_like(high, at), high], 1) for at in (0.0, theta))
    assert abs(length - L.assignment(data, forged.flip(0))[0]) < 1e-12
    assert abs(jsd - math.log(2)) < 1e-12 and slope_jsd == 0
    assert abs(slope - (L.two_lines(theta + 1e-6)[1] - length) / 1e-6) < 1e-6
    assert L.two_lines(0.0)[:2] == (0, 0)


# --- 2: leashes
# --------------------------------------------------------------------------------------------------------


def penalised(D, n=8, shape=(3,), share=None):
    """The penalty of a critic, float64, with its inputs, which all ask for a gradient."""
    real, fake = (cloud(n, math.prod(shape), s).view(n, *shape).requires_grad_() for s in (1, 2))
    share = torch.rand(n, generator=seeded(3), dtype=torch.double) if share is None else share
    return X.gradient_penalty(D, real, fake, share), real, fake, share


@pytest.mark.parametrize("shape", [(3,), (2, 4, 5)])
def test_the_penalty_of_a_linear_critic_is_its_slope_minus_one_squared(shape):
    w = cloud(1, math.prod(shape), 7).squeeze(0)
    for length in (0.2, 1.0, 3.0):
        tilted = length * w / w.norm()
        value = penalised(lambda x, tilted=tilted: x.flatten(1) @ tilted, shape=shape)[0]
        assert abs(value.item() - (length - 1) ** 2) < 1e-9


def test_every_image_has_its_own_share_and_its_own_slope():
    value, real, fake, share = penalised(lambda x: 0.5 * x.square().flatten(1).sum(1), 20, (1, 2, 3))
    between = [s * x + (1 - s) * y for s, x, y in zip(share, real, fake)]
    by_hand = sum((point.norm() - 1) ** 2 for point in between) / 20
    torch.testing.assert_close(value, by_hand)
    alone = X.gradient_penalty(lambda x: x.square().sum((1, 2, 3)), real[:1], fake[:1], share[:1])
    torch.testing.assert_close(alone, (2 * between[0].norm() - 1) ** 2)


def test_the_penalty_teaches_the_weights_by_its_true_gradient_and_no_point():
    torch.manual_seed(0)
    D = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 1), nn.Flatten(0))
    D.double()
    value, real, fake, share = penalised(D)
    value.backward()
    assert real.grad is None and fake.grad is None and share.grad is None
    for w in D.parameters():
        assert w.dim() == 1 or w.grad.abs().max() > 0
        if w.grad is None:  # the last bias
            continue
        way, ends = torch.randn_like(w), []
        for step in (1e-5, -1e-5):
            w.data += step * way
            ends.append(penalised(D, share=share)[0].item())
            w.data -= step * way
        assert abs((ends[0] - ends[1]) / 2e-5 - float((w.grad * way).sum())) < 1e-7


def test_a_flat_critic_has_a_penalty_of_one_and_a_finite_gradient():
    flat = nn.Linear(3, 1).double()
    nn.init.zeros_(flat.weight)
    value = penalised(nn.Sequential(flat, nn.Flatten(0)))[0]
    value.backward()
    assert abs(value.item() - 1) < 1e-5 and torch.isfinite(flat.weight.grad).all()


def test_shares_are_drawn_anew_and_each_mistake_is_that_mistake(monkeypatch):
    seen = []

    def listening(D, real, fake, share):
        seen.append(share)
        return X.gradient_penalty(D, real, fake, share)

    monkeypatch.setitem(L.fair_penalty.__globals__, "checked_penalty", listening)
    D, real, fake = L.new_critic("penalty"), torch.randn(400, 2), torch.randn(400, 2)
    torch.manual_seed(1)
    values = [L.fair_penalty(D, real, fake) for _ in range(2)]
    first, second = seen
    assert first.shape == (400,) and not torch.equal(first, second) and values[0] != values[1]
    for share in (first, second):
        assert share.min() >= 0 and share.max() < 1 and abs(share.mean() - 0.5) < 0.1
    found = {
        kind: L.careless(kind)(D, real, fake)
        for kind in ("no graph", "one share for all", "share from N(0, 1)")
    }
    _, one, normal = seen[2:]
    assert [value.requires_grad for value in found.values()] == [False, True, True]
    assert one.shape == (400,) and (one == one[0]).all() and 0 <= one[0] < 1
    outside = ((normal < 0) | (normal > 1)).double().mean()
    assert abs(outside - (1 - 0.5 * math.erf(1 / math.sqrt(2)))) < 0.1


@pytest.mark.parametrize("leash", LEASHES)
def test_critics_of_the_plane_give_one_number_a_point(leash):
    D = L.new_critic(leash)
    assert D(torch.randn(7, 2)).shape == (7,)
    layers = [part for part in D.modules() if isinstance(part, nn.Linear)]
    assert len(layers) == 3
    assert all(nn.utils.parametrize.is_parametrized(part) == (leash == "spectral norm") for part in layers)


@torch.no_grad()
def test_a_held_critic_stretches_nothing():
    torch.manual_seed(0)
    D = L.new_critic("spectral norm")
    for part in D.modules():
        if isinstance(part, nn.Linear):
            part.parametrizations.weight.original.mul_(5)  # as if it had been trained
    for _ in range(150):
        D(torch.zeros(1, 2))
    for part in D.modules():
        if isinstance(part, nn.Linear):
            assert abs(float(torch.linalg.matrix_norm(part.weight, 2)) - 1) < 0.02
    x, y = 3 * cloud(2_000).float(), 3 * cloud(2_000, seed=1).float()
    slope = ((D(x) - D(y)).abs() / (x - y).norm(dim=1)).max()
    assert 0.01 < slope < 1.02


@torch.no_grad()
def test_every_layer_of_lesson_05s_critic_is_held():
    torch.manual_seed(0)
    D = L.held(lesson_05.Discriminator(w=4))
    for _ in range(100):
        D(drawn(1))
    layers = [part for part in D.modules() if isinstance(part, nn.Conv2d | nn.Linear)]
    assert len(layers) == 4
    for part in layers:
        assert abs(float(torch.linalg.matrix_norm(part.weight.flatten(1), 2)) - 1) < 0.02


@pytest.mark.parametrize("leash", LEASHES)
def test_a_step_of_the_critic_goes_down_equation_5(leash):
    torch.manual_seed(0)
    D = L.new_critic(leash)
    net = copy.deepcopy(D)
    opt = torch.optim.SGD(D.parameters(), 0.5)
    real, fake = torch.randn(20, 2) + 1, torch.randn(20, 2)

    def certain(D, real, fake):
        assert leash == "penalty"
        return X.gradient_penalty(D, real, fake, torch.full((len(real),), 0.3))

    L.critic_step(D, opt, real, fake, leash, 3.0, certain)
    loss = net(fake).mean() - net(real).mean()
    if leash == "penalty":
        loss = loss + 3 * certain(net, real, fake)
    loss.backward()
    for ours, before in zip(D.parameters(), net.parameters(), strict=True):
        slope = torch.zeros_like(before) if before.grad is None else before.grad
        goal = before.detach() - 0.5 * slope
        torch.testing.assert_close(ours, goal.clamp(-0.01, 0.01) if leash == "clipping" else goal)
    assert (largest(D) <= 0.01 + 1e-7) == (leash == "clipping")
    opt.param_groups[0]["lr"] = 1e3  # so that all arrive at the new limit
    L.critic_step(D, opt, real, fake, leash, 3.0, certain, clip=0.03)
    assert (largest(D) <= 0.03 + 1e-7) == (leash == "clipping") and largest(D) > 0.03 - 1e-7


def largest(net):
    return max(float(w.detach().abs().max()) for w in net.parameters())


def test_a_round_in_the_plane_is_five_steps_of_d_and_one_of_g():
    for leash in ("clipping", "penalty"):
        game = L.plane_game(leash, 1)
        before = weights(game["G"])
        L.plane_round(game, n=16)
        steps = [{int(part["step"]) for part in game[opt].state.values()} for opt in ("opt_d", "opt_g")]
        assert steps == [{5}, {1}] and not any(same(before, game["G"]))
        modes, share, made = L.outcome(game)
        assert made.shape == (2_500, 2) and 0 <= modes <= 8 and 0 <= share <= 1
    z = torch.randn(500, 2, generator=seeded())
    before = game["D"](game["G"](z)).mean(), weights(game["D"])
    game["opt_g"] = torch.optim.SGD(game["G"].parameters(), 1.0)
    L.plane_round(game, critic_steps=0)
    assert game["D"](game["G"](z)).mean() > before[0] and all(same(before[1], game["D"]))
    one, other = (L.plane_game(leash, 0) for leash in ("clipping", "penalty"))
    assert all(same(weights(one["G"]), other["G"])) and all(same(weights(one["D"]), other["D"]))


# --- 4: losses, and a round
# --------------------------------------------------------------------------------------------------------


def identity(x):
    """A critic whose verdicts are its inputs (B,)."""
    return x


def bent(x):
    """A critic (B, …) → (B,) whose slope at x is x."""
    return 0.5 * x.flatten(1).square().sum(1)


def test_losses_are_their_formulas_on_known_logits():
    a, b = torch.tensor([-2.0, 0.5, 3.0]).double(), torch.tensor([1.5, -0.2, -4.0]).double()
    for loss in (L.wasserstein, L.hinge):
        torch.testing.assert_close(loss("G", identity, a, b), -b.mean())
    torch.testing.assert_close(L.logistic("G", identity, a, b), (1 + (-b).exp()).log().mean())
    margin = (3 + 0.5 + 0) / 3 + (2.5 + 0.8 + 0) / 3
    torch.testing.assert_close(L.hinge("D", identity, a, b).item(), margin)


def test_the_logistic_loss_has_r1_on_eight_real_images():
    real, fake = cloud(12, 6, 1).view(12, 1, 2, 3), cloud(12, 6, 2).view(12, 1, 2, 3)
    verdicts = (1 + (-bent(real)).exp()).log().mean() + (1 + bent(fake).exp()).log().mean()
    r1 = 0.5 * real[:8].square().sum((1, 2, 3)).mean()
    torch.testing.assert_close(L.logistic("D", bent, real, fake), verdicts + 0.05 * r1)


def test_the_wasserstein_loss_is_the_gap_and_ten_times_the_penalty():
    real, fake = cloud(12, 6, 1).view(12, 1, 2, 3), cloud(12, 6, 2).view(12, 1, 2, 3)
    torch.manual_seed(4)
    found = L.wasserstein("D", bent, real, fake)
    torch.manual_seed(4)
    penalty = X.gradient_penalty(bent, real, fake, torch.rand(12))
    torch.testing.assert_close(found, bent(fake).mean() - bent(real).mean() + 10 * penalty)


def small_game(critic=None, w=4):
    torch.manual_seed(0)
    G, D = lesson_05.Generator(w=w), lesson_05.Discriminator(w=w)
    return L.new_game(G, D if critic is None else critic(D))


def test_with_one_turn_and_the_logistic_loss_a_round_is_lesson_05s():
    games = [small_game(), small_game()]
    for game in games:  # Adam would make signs of what is rounded
        for name in "gd":
            opt = torch.optim.SGD(game[name.upper()].parameters(), 0.2)
            slow = torch.optim.lr_scheduler.LambdaLR(opt, L.falling)
            game |= {f"opt_{name}": opt, f"slow_{name}": slow}
    before = {key: weights(games[0][key]) for key in "GD"}
    for k in range(3):
        torch.manual_seed(10 + k)
        ours = L.a_round(drawn(12, seed=k), games[0], L.logistic)
        torch.manual_seed(10 + k)
        theirs = L05.take_turns(drawn(12, seed=k), games[1])
    assert list(ours) == list(theirs)
    torch.testing.assert_close(ours["loss of G"], theirs["loss of G"], atol=1e-5, rtol=1e-4)
    for key in ("G", "D"):
        mine, right = (game[key].state_dict() for game in games)
        for part in mine:
            torch.testing.assert_close(mine[part], right[part], atol=1e-5, rtol=1e-4)
        now = games[0][key]  # what stands in front of a normalisation needs no bias
        stayed = same(before[key], now)
        assert not any(still for still, w in zip(stayed, now.parameters()) if w.dim() > 1)
    mine, right = (game["average"].module.state_dict() for game in games)
    for part in mine:
        torch.testing.assert_close(mine[part], right[part], atol=1e-5, rtol=1e-4)


def test_a_new_game_has_lesson_05s_optimisers_and_rates_and_another_rate_if_asked():
    ours, theirs = L.new_game(lesson_05.Generator(), lesson_05.Discriminator()), L05.new_game()
    assert set(ours) == set(theirs) and ours["average"].decay == theirs["average"].decay
    for name in ("g", "d"):
        mine, right = (
            {key: value for key, value in game[f"opt_{name}"].param_groups[0].items() if key != "params"}
            for game in (ours, theirs)
        )
        assert mine == right
        lambdas = [game[f"slow_{name}"].lr_lambdas[0] for game in (ours, theirs)]
        assert [lambdas[0](t) for t in (0, 10, 4_000, 25_000)] == [
            lambdas[1](t) for t in (0, 10, 4_000, 25_000)
        ]
    halved = L.new_game(lesson_05.Generator(w=2), lesson_05.Discriminator(w=2), rate=lambda t: 0.5)
    assert halved["opt_d"].param_groups[0]["lr"] == halved["opt_g"].param_groups[0]["lr"] == 1e-3
    torch.testing.assert_close(L.latents(7, seed=3), L05.latents(7, seed=3))


@pytest.mark.parametrize("turns", [1, 5])
def test_each_turn_moves_its_player_only_and_d_has_as_many_as_it_is_given(turns):
    game, x, calls = small_game(), drawn(20), []
    G, D = game["G"], game["D"]

    def watched(player, critic, real, fake):
        calls.append((player, real, weights(G), weights(D)))
        assert critic is D
        if player == "D":
            assert not fake.requires_grad and all(w.grad is None for w in G.parameters())
            assert all(w.requires_grad for w in D.parameters())
        else:
            assert fake.requires_grad and all(w.grad is None for w in G.parameters())
            assert not any(w.requires_grad for w in D.parameters())
        return L.wasserstein(player, critic, real, fake)

    losses = L.a_round(x, game, watched, turns)
    assert [call[0] for call in calls] == ["D"] * turns + ["G"]
    assert torch.cat([call[1] for call in calls[:turns]]).equal(x)  # each share once
    for (*_, earlier), (*_, later) in itertools.pairwise(calls):
        assert not any(torch.equal(a, b) for a, b in zip(earlier[:-1], later[:-1]))
    assert all(all(torch.equal(a, b) for a, b in zip(calls[0][2], call[2])) for call in calls)
    assert all(same(calls[-1][3], D)), "G's turn leaves D as it is"
    assert all(w.requires_grad for w in D.parameters())
    steps = [{int(part["step"]) for part in game[opt].state.values()} for opt in ("opt_d", "opt_g")]
    assert steps == [{turns}, {1}] and not any(same(calls[0][2], G))
    assert game["average"].updates == game["slow_g"].last_epoch == game["slow_d"].last_epoch == 1
    assert all(torch.isfinite(part).all() for part in G.state_dict().values())
    counts = [
        int(part.num_batches_tracked)
        for part in G.modules()
        if isinstance(part, nn.modules.batchnorm._BatchNorm)
    ]
    assert counts and set(counts) == {turns}
    assert set(losses) == {"loss of D", "loss of G"}


def test_gs_gradient_is_that_of_its_own_loss_at_ds_new_weights():
    game, x = small_game(), drawn(10)
    game["opt_g"].param_groups[0]["lr"] = 0.0
    old = copy.deepcopy(game["G"])
    torch.manual_seed(5)
    L.a_round(x, game, L.hinge)
    torch.manual_seed(5)
    loss = -game["D"](old(torch.randn(10, lesson_05.LATENT))).mean()
    loss.backward()
    for ours, right in zip(game["G"].parameters(), old.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, right.grad, atol=1e-6, rtol=1e-3)


@pytest.mark.parametrize("recipe", [*L.RACES, *(f"few {name}" for name in L.FEW)])
def test_every_recipe_can_be_played_and_reads_no_number_from_the_device(recipe):
    loss, turns, _, options = L.RACES.get(recipe) or L.FEW[recipe.removeprefix("few ")]
    torch.manual_seed(0)
    D = lesson_05.Discriminator(w=4, **options)
    game = L.new_game(lesson_05.Generator(w=4), L.held(D) if loss is L.hinge else D)
    before = weights(game["D"])
    L.a_round(drawn(10), game, loss, turns)
    with CountReads() as reads:
        losses = L.a_round(drawn(10, seed=1), game, loss, turns)
    assert reads.reads == 0
    assert all(torch.isfinite(loss) for loss in losses.values())
    assert not any(unmoved for unmoved, w in zip(same(before, game["D"]), before) if w.dim() > 1)


def test_paint_is_in_evaluation_mode_and_whatever_the_number():
    torch.manual_seed(0)
    G = lesson_05.Generator(w=2)
    G(torch.randn(20, lesson_05.LATENT))
    z = L.latents(260, seed=1)
    pages = L.paint(G, z)
    assert pages.shape == (260, 1, 28, 28) and not pages.requires_grad and not G.training
    torch.testing.assert_close(pages[[3, 255]], L.paint(G, z[[3, 255]]))


def test_rank_correlation_is_spearmans():
    a, b = cloud(2, 30, 0)
    assert abs(L.rank_correlation(a, b) - stats.spearmanr(a, b).statistic) < 1e-9
    assert abs(L.rank_correlation(a, a.exp()) - 1) < 1e-9 > abs(L.rank_correlation(a, -a) + 1)


# --- 5: growing
# --------------------------------------------------------------------------------------------------------


def doubled(x):
    return torch.stack([torch.stack([x, x], -1).flatten(-2)] * 2, -2).flatten(-3, -2)


def test_fading_begins_with_the_old_picture_doubled_and_ends_with_the_new_one():
    small, new = torch.randn(2, 3, 2, 5), torch.randn(2, 3, 4, 10)
    old = X.fade_in(small, new, 0.0)
    assert torch.equal(old, doubled(small)) and torch.equal(X.fade_in(small, new, 1.0), new)
    for r, c in itertools.product(range(4), range(10)):
        assert torch.equal(old[:, :, r, c], small[:, :, r // 2, c // 2])
    torch.testing.assert_close(X.fade_in(small, new, 0.3), 0.7 * old + 0.3 * new)
    torch.testing.assert_close(F.avg_pool2d(old, 2), small)


def grown(kind, stages, first, c):
    """A small generator or critic whose weights and statistics are away from where they begin."""
    torch.manual_seed(stages)
    net = kind(WIDTHS[:stages], first, c)
    for part in net.parameters():
        part.data += 0.1 * torch.randn_like(part)
    if kind is L.Grower:
        with torch.no_grad():
            net(torch.randn(16, lesson_05.LATENT))
    return net.eval()


SIZES = [(3, 7, 1), (3, 7, 3), (4, 2, 1), (4, 2, 3)]


@torch.no_grad()
@pytest.mark.parametrize("stages, first, c", SIZES)
def test_a_grown_generator_begins_with_the_old_picture_and_fades_linearly(stages, first, c):
    G, z = grown(L.Grower, stages, first, c), L.latents(5, seed=0)
    assert G.stage == stages - 1 and G.alpha == 1
    pages = []
    for stage in range(stages):
        G.stage, G.alpha = stage, 1.0
        pages.append(G(z))
        side = first * 2**stage
        assert pages[-1].shape == (5, c, side, side) and pages[-1].min() >= 0 and pages[-1].max() <= 1
        if stage:
            G.alpha = 0.0
            torch.testing.assert_close(G(z), doubled(pages[-2]))
            assert (pages[-1] - doubled(pages[-2])).abs().max() > 0.01
            G.alpha = 0.3
            mixed = 0.7 * doubled(pages[-2]).logit() + 0.3 * pages[-1].logit()
            torch.testing.assert_close(G(z).logit(), mixed, atol=1e-4, rtol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("stages, first, c", SIZES)
def test_a_grown_critic_begins_with_the_old_verdict_and_fades_linearly(stages, first, c):
    D = grown(GrowingCritic, stages, first, c)
    seen = []
    assert D.stage == stages - 1 and D.alpha == 1
    for stage in range(1, stages):
        x = drawn(5, first * 2**stage, c, seed=stage)
        D.stage, D.alpha = stage - 1, 1.0
        old = D(F.avg_pool2d(x, 2))
        D.stage, D.alpha = stage, 0.0
        torch.testing.assert_close(D(x), old, atol=1e-5, rtol=1e-4)
        assert old.shape == (5,)
        behind = D.last if stage == 1 else D.sink[stage - 2]  # what hears the mixture
        listening = behind.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
        for alpha in (0.0, 1.0, 0.3):
            D.alpha = alpha
            verdict = D(x)
        listening.remove()
        before, after, mixed = seen[-3:]
        torch.testing.assert_close(mixed, 0.7 * before + 0.3 * after, atol=1e-5, rtol=1e-4)
        assert (before - after).abs().max() > 0.01 and (verdict - old).abs().max() > 1e-4


def test_the_critic_reads_pixels_from_minus_one_to_one():
    D, seen = GrowingCritic(WIDTHS[:2], 7, 1), []
    D.alpha = 0.5
    for read in D.read:
        read.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    x = drawn(3, 14)
    D(x)
    torch.testing.assert_close(seen[0], 2 * x - 1)
    torch.testing.assert_close(seen[1], 2 * F.avg_pool2d(x, 2) - 1)


def idle(net):
    """The parameters that the last backward pass did not reach, and those where it brought only zeros."""
    grads = {name: w.grad for name, w in net.named_parameters()}
    return {name for name, g in grads.items() if g is None or g.abs().sum() == 0}


def layer(name, *numbers, within=""):
    return {f"{name}.{k}{within}.{part}" for k in numbers for part in ("weight", "bias")}


def test_only_inks_and_readings_of_earlier_stages_lie_idle():
    G, D = L.Grower(WIDTHS, 2, 3).train(), GrowingCritic(WIDTHS, 2, 3).train()
    for alpha, unused in ((1.0, (0, 1, 2)), (0.5, (0, 1))):
        G.alpha = D.alpha = alpha
        G.zero_grad(set_to_none=True), D.zero_grad(set_to_none=True)
        torch.manual_seed(0)
        page = G(torch.randn(8, lesson_05.LATENT))
        (page * torch.randn_like(page)).sum().backward()
        D(drawn(8, 16, 3)).square().sum().backward()
        assert idle(G) - dead_biases(G) == layer("ink", *unused)
        assert idle(D) == layer("read", *unused, within=".0")
    for net in (G, D):
        net.stage, net.alpha = 1, 1.0
        net.zero_grad(set_to_none=True)
    page = G(torch.randn(8, lesson_05.LATENT))
    (page * torch.randn_like(page)).sum().backward()
    D(drawn(8, 4, 3)).square().sum().backward()
    rise = {name for name, _ in G.named_parameters() if name.startswith(("rise.1", "rise.2"))}
    sink = {name for name, _ in D.named_parameters() if name.startswith(("sink.1", "sink.2"))}
    assert idle(G) - dead_biases(G) == layer("ink", 0, 2, 3) | rise
    assert idle(D) == layer("read", 0, 2, 3, within=".0") | sink


def dead_biases(net):
    """Biases in front of a normalisation that do receive a gradient, which may come out as 0."""
    return {
        name
        for name, w in net.named_parameters()
        if w.grad is not None and name.endswith("bias") and not name.startswith("ink")
    }


def test_the_critic_sees_how_a_batch_varies():
    h = torch.randn(6, 3, 4, 5)
    out = with_spread(h)
    std = h.var(0).sqrt().mean()
    assert out.shape == (6, 4, 4, 5) and torch.equal(out[:, :3], h)
    torch.testing.assert_close(out[:, 3], std.expand(6, 4, 5), atol=1e-4, rtol=1e-4)
    alone = with_spread(h[:1])
    assert torch.isfinite(alone).all() and alone[:, 3].abs().max() < 1e-3


def test_a_plan_is_kept_round_by_round():
    plan = [(0, 2), (3, 1), (0, 0), (2, 2)]
    by_hand = [(0, 1.0)] * 2 + [(1, 1 / 3), (1, 2 / 3), (1, 1.0), (1, 1.0)]
    by_hand += [(3, 0.5), (3, 1.0), (3, 1.0), (3, 1.0)]
    found = [L.at_stage(t, plan) for t in range(13)]
    assert [stage for stage, _ in found[:10]] == [stage for stage, _ in by_hand]
    assert [alpha for _, alpha in found[:10]] == pytest.approx([alpha for _, alpha in by_hand])
    assert found[10:] == [(3, 1.0)] * 3  # after its end
    assert max(alpha for _, alpha in found) == 1


def test_a_stage_tells_all_three_networks_and_the_average_starts_anew():
    torch.manual_seed(0)
    game = L.new_game(L.Grower(WIDTHS[:3]), GrowingCritic(WIDTHS[:3]))
    nets = game["G"], game["D"], game["average"].module
    plan, x, updates = [(0, 2), (2, 1), (1, 1)], drawn(6), []
    for t in range(7):
        losses = L.growing_round(x, game, t, plan)
        assert {(net.stage, net.alpha) for net in nets} == {L.at_stage(t, plan)}
        assert all(torch.isfinite(loss) for loss in losses.values())
        updates.append(game["average"].updates)
    assert updates == [1, 2, 1, 2, 3, 1, 2]
    L.set_stage(game, 1, 0.5)
    assert {(net.stage, net.alpha) for net in nets} == {(1, 0.5)}


def test_a_training_that_is_taken_up_in_a_stage_keeps_its_average():
    game = L.new_game(L.Grower(WIDTHS[:3]), GrowingCritic(WIDTHS[:3]))  # networks begin fully grown
    game["average"].updates = 50  # as read from a file
    L.growing_round(drawn(6), game, 3, [(0, 2), (2, 1), (1, 1)])
    assert game["average"].updates == 51


def test_real_images_have_the_size_of_the_stage_and_fade_as_the_forged_ones_do(monkeypatch):
    seen = []

    def watched(x, game, loss):
        assert loss is L.logistic
        seen.append(x)

    def ignored(*_):
        return None

    monkeypatch.setitem(L.growing_round.__globals__, "a_round", watched)
    monkeypatch.setitem(L.growing_round.__globals__, "set_stage", ignored)
    plan, x = [(0, 1), (2, 0), (4, 0), (0, 1)], drawn(3, 64, 3)
    for t in range(8):
        L.growing_round(x, {"average": SimpleNamespace(updates=0)}, t, plan)
    assert [page.shape[-1] for page in seen] == [8, 16, 16, 32, 32, 32, 32, 64]
    assert torch.equal(seen[-1], x)
    pooled = [F.avg_pool2d(x, 2**k) for k in range(4)]
    torch.testing.assert_close(seen[0], pooled[3])
    torch.testing.assert_close(seen[1], 0.5 * doubled(pooled[3]) + 0.5 * pooled[2])
    torch.testing.assert_close(seen[2], pooled[2])
    torch.testing.assert_close(seen[3], 0.75 * doubled(pooled[2]) + 0.25 * pooled[1])


def test_large_repeats_pixels_and_gives_bytes():
    x = drawn(2, 16, 3)
    page = L.large(x)
    assert page.shape == (2, 3, 64, 64) and page.dtype == torch.uint8
    assert torch.equal(page, doubled(doubled(cu.to_uint8(x))))
    assert torch.equal(L.large(page.numpy()), page)
    assert torch.equal(L.large(x, 32), doubled(cu.to_uint8(x)))


# --- 5: distances of pictures
# --------------------------------------------------------------------------------------------------------


def test_the_sliced_distance_along_the_axes_is_the_mean_of_the_columns():
    x, y = cloud(40, 3, 0), 2 * cloud(40, 3, 1) + 0.5
    eye = torch.eye(3, dtype=torch.double)
    torch.testing.assert_close(X.sliced_distance(x, y, eye), X.transport_1d(x, y).mean())
    for k in range(3):
        torch.testing.assert_close(X.sliced_distance(x, y, eye[:, [k]]), X.transport_1d(x[:, k], y[:, k]))
    directions = cloud(3, 5, 2)
    found = X.sliced_distance(x, y, directions)
    torch.testing.assert_close(X.sliced_distance(x, y, directions * torch.tensor([1, 7, 0.1, -2, 3])), found)
    one_by_one = [X.sliced_distance(x, y, directions[:, [k]]) for k in range(5)]
    torch.testing.assert_close(found, torch.stack(one_by_one).mean())
    assert X.sliced_distance(x, x.flip(0), directions) < 1e-12
    assert found <= L.assignment(x, y)[0], "a projection makes no way longer"


def test_patches_are_cut_from_the_images_at_all_places():
    n, images = 3_000, torch.randint(0, 256, (4, 3, 11, 11), generator=seeded(), dtype=torch.uint8)
    found = L.patches(images, 8, n, seeded(1))
    assert found.shape == (n, 192) and found.dtype == torch.float32
    g = seeded(1)
    which = torch.randint(4, (n,), generator=g)
    row, column = torch.randint(4, (2, n), generator=g)
    for k in range(40):
        window = images[which[k], :, row[k] : row[k] + 8, column[k] : column[k] + 8]
        assert torch.equal((255 * found[k]).round().to(torch.uint8), window.flatten())
    whole = {
        tuple((images[i, :, r : r + 8, c : c + 8].flatten().float() / 255).tolist())
        for i, r, c in itertools.product(range(4), range(4), range(4))
    }
    assert {tuple(patch.tolist()) for patch in found} == whole


def test_the_patch_distance_sees_texture_and_always_takes_the_same_patches(monkeypatch):
    people = cu.portraits(60, seed=5).x
    own = L.patch_distance(people, people, 2_000)
    assert own == L.patch_distance(people, people, 2_000)
    small = F.avg_pool2d(people.float(), 4).round().to(torch.uint8)
    assert L.patch_distance(people, doubled(doubled(small)), 2_000) > 1.5 * own

    def given(x, y):
        return x, y

    monkeypatch.setitem(L.coarse.__globals__, "patch_distance", given)
    first, second = L.coarse(people, doubled(doubled(small)))  # what both are at 16 pixels
    assert first.dtype == torch.uint8 and torch.equal(first, small) and torch.equal(second, small)


# --- 6: shaken
# --------------------------------------------------------------------------------------------------------


def holes_and_moves(n=300):
    """n shaken pages that hold their own pixels' numbers, so that it can be read where each came from."""
    number = 1 + torch.arange(784.0).view(1, 1, 28, 28).expand(n, -1, -1, -1)
    torch.manual_seed(2)
    return L.shaken(number / 1_000) * 1_000 - 1


def test_shaken_moves_by_whole_pixels_and_cuts_a_square():
    rows, columns = torch.meshgrid(torch.arange(28), torch.arange(28), indexing="ij")
    moves, corners = [], []
    for page in holes_and_moves()[:, 0]:
        left = page > -0.5
        value = page[left]
        assert (value - value.round()).abs().max() < 0.05, "between two pixels"
        came = value.round().long()
        down, right = rows[left] - came // 28, columns[left] - came % 28
        assert (down == down[0]).all() and (right == right[0]).all()
        move = (int(down[0]), int(right[0]))
        assert max(map(abs, move)) <= 3
        # what is gone: a frame where nothing came in, and the hole
        inside = (rows - move[0]).clamp(0, 27) == rows - move[0]
        inside &= (columns - move[1]).clamp(0, 27) == columns - move[1]
        hole = inside & ~left
        moves.append(move)
        if hole.any():
            r, c = rows[hole], columns[hole]
            height, width = int(r.max() - r.min()) + 1, int(c.max() - c.min()) + 1
            assert height <= 10 and width <= 10 and int(hole.sum()) == height * width
            corners.append((int(r.min()), int(c.min()), height, width))
    for axis in (0, 1):  # every move on its own, and of each page
        assert {move[axis] for move in moves} == set(range(-3, 4))
    assert len(set(moves)) > 40 and len(set(corners)) > 150
    assert (10, 10) in {corner[2:] for corner in corners} and min(c[2] for c in corners) < 5


def test_shaken_keeps_shape_and_range_and_invents_nothing():
    torch.manual_seed(0)
    x = torch.zeros(200, 1, 28, 28)
    x[:, :, 14, 9] = 1
    for memory in (torch.contiguous_format, torch.channels_last):
        page = L.shaken(x.to(memory_format=memory))
        assert page.shape == x.shape and page.min() >= 0 and page.max() <= 1 + 1e-5
        ink = (page > 0.01).sum((1, 2, 3))
        assert ink.max() == 1 and ink.min() == 0, "one pixel stays one pixel or vanishes"
        assert 0.6 < ink.double().mean() < 0.99
    noise = L.shaken(drawn(100))
    assert noise.min() >= 0 and noise.max() <= 1 + 1e-5
    torch.manual_seed(3)
    one = L.shaken(drawn(5))
    torch.manual_seed(3)
    mixed = drawn(5)
    mixed[1:] = 0
    assert torch.equal(L.shaken(mixed)[:1], one[:1])  # no image sees another


def test_the_gradient_passes_through_the_shaking():
    x = drawn(6).requires_grad_()
    torch.manual_seed(1)
    page = L.shaken(x)
    page.sum().backward()
    assert all(part.abs().sum() > 300 for part in x.grad)
    torch.testing.assert_close(x.grad.round(), x.grad, atol=1e-3, rtol=0)  # each pixel once or never
    torch.testing.assert_close((x.grad * x.detach()).sum(), page.detach().sum(), atol=1e-2, rtol=1e-4)


def test_shaken_logistic_shakes_whatever_d_sees(monkeypatch):
    calls = []

    def inverted(x):
        calls.append(len(x))
        return 1 - x**2

    def mild(x):
        return bent(x) / 300

    monkeypatch.setitem(L.shaken_logistic.__globals__, "shaken", inverted)
    real, fake = drawn(10), drawn(10, seed=1).requires_grad_()
    for player in ("D", "G"):
        found = L.shaken_logistic(player, mild, real, fake)
        torch.testing.assert_close(found, L.logistic(player, lambda x: mild(1 - x**2), real, fake))
    assert sorted(calls) == [8, 10, 10, 10]
    found.backward()
    assert fake.grad.abs().sum() > 0


# --- 6, 7: the author's helpers, and the rate
# --------------------------------------------------------------------------------------------------------


def test_a_plan_fills_its_seconds():
    for costs, seconds in ((L.DIGIT_COSTS, 150), (L.FACE_COSTS, 420), (L.FACE_COSTS, 60)):
        assert abs(sum(L.SHARES[len(costs)]) - 1) < 1e-12
        for grows in (True, False):
            plan = L.growing_plan(costs, seconds, grows)
            clock = L.clock_of(plan, costs)
            assert len(plan) == len(costs) and len(clock) == sum(map(sum, plan))
            assert 0 <= seconds - float(clock[-1]) < sum(costs) / 1_000
            steps = clock.diff(prepend=torch.zeros(1, dtype=torch.double))
            stages = [L.at_stage(t, plan)[0] for t in range(len(clock))]
            expected = torch.tensor([costs[stage] / 1_000 for stage in stages], dtype=torch.double)
            torch.testing.assert_close(steps, expected, atol=1e-9, rtol=0)
            if grows:
                assert plan[0][0] == 0 and all(plan[0]) is False and plan[0][1] > 0
                for (fading, after), cost, share in zip(plan, costs, L.SHARES[len(costs)]):
                    assert 0 <= share * seconds - (fading + after) * cost / 1_000 < cost / 1_000 + 1e-9
                assert all(fading == (fading + after) // 3 for fading, after in plan[1:])
            else:
                assert plan[:-1] == [(0, 0)] * (len(costs) - 1) and plan[-1][0] == 0


def test_a_look_is_at_the_first_round_after_its_moment():
    clock = L.clock_of([(0, 4), (1, 3)], (500, 2_000))
    assert clock.tolist() == [0.5, 1.0, 1.5, 2.0, 4.0, 6.0, 8.0, 10.0]
    found = L.moments_at(clock, (0.1, 1.0, 2.1, 7.0))
    assert found == {1: 0.5, 2: 1.0, 5: 4.0, 7: 8.0, 8: 10.0}
    assert L.moments_at(clock, (20.0,)) == {8: 10.0}


def test_spaced_moments_end_at_the_last_round_and_are_closer_at_the_beginning():
    found = L.spaced_moments(1_724)
    assert len(found) == 8 and found[-1] == 1_724 and found[0] >= 1
    gaps = np.diff([0, *found])
    assert (np.diff(gaps) > 0).all()
    assert L.spaced_moments(2) == [1, 2] and L.spaced_moments(1) == [1]


def test_a_training_with_looks_has_its_rounds_and_means_of_the_last_losses():
    game = {"G": nn.Identity(), "D": nn.Identity()}
    rounds, modes = [], []

    def step(x, t):
        assert x.shape == (4, 1, 6, 6)
        rounds.append(t)
        modes.append(game["G"].training and game["D"].training)
        return {"loss of D": torch.tensor(float(t)), "loss of G": torch.tensor(-2.0 * t)}

    def look():
        game["G"].eval(), game["D"].eval()
        torch.rand(3)
        return {"seen": len(rounds)}

    found = L.trained_with_looks(game, step, drawn(10, 6), 4, 30, 0, look, (1, 30))
    state = torch.get_rng_state()
    assert rounds == list(range(30)) and all(modes)
    assert found == {
        1: {"seen": 1, "loss of D": 0.0, "loss of G": 0.0},
        30: {"seen": 30, "loss of D": 19.5, "loss of G": -39.0},
    }
    L.trained_with_looks(game, step, drawn(10, 6), 4, 30, 0, look, (1, 7, 12, 30))
    assert torch.equal(torch.get_rng_state(), state), "looking does not change the training"


def test_what_was_seen_can_be_read_from_the_card():
    seen = {20: {"distance": 8.0, "distance of the last G": 9.0}, 3: {"distance": 0.1}}
    figures = L.on_card(seen, "seed 1, ", {20: 2.0, 3: 0.34})
    assert figures["seed 1, 2.0 s: distance"] == (8.0, pytest.approx(2.4))
    assert figures["seed 1, 0.3 s: distance"] == (0.1, 0.3)
    figures |= L.on_card({1: {"distance": 5.0}}, "seed 2, ", {1: 1.0})
    figures |= {"seed 1: distance, five sets": (7.0, 1.0), "rounds": (20, 0)}
    card = SimpleNamespace(card={"figures": {key: {"value": value} for key, (value, _) in figures.items()}})
    seconds, values = L.along(card, 1, "distance")
    torch.testing.assert_close(seconds, torch.tensor([0.3, 2.0]))
    torch.testing.assert_close(values, torch.tensor([0.1, 8.0]))
    seconds, values = L.along(card, 1, "distance of the last G")
    assert seconds.tolist() == [2.0] and values.tolist() == [9.0]
    figures = L.on_card(seen, "", {20: 102.0, 3: 9.0})
    card.card["figures"] = {key: {"value": value} for key, (value, _) in figures.items()}
    seconds, values = L.at_seconds(card, "distance")
    assert seconds.tolist() == [9.0, 102.0]
    torch.testing.assert_close(values, torch.tensor([0.1, 8.0]))


def test_the_mean_logit_is_that_of_all_images():
    D = nn.Sequential(nn.Flatten(), nn.Linear(784, 1), nn.Flatten(0))
    x = drawn(120)
    assert L.mean_logit(D, x) == pytest.approx(float(D(x).mean().detach()), abs=1e-5)


def test_what_lesson_13_shares_is_the_lessons_own():
    from course_utils.lessons import lesson_13 as shared

    assert {"Grower", "growing_round", "a_round", "shaken_logistic"} <= set(shared.__all__)
    mine, z = grown(L.Grower, 3, 7, 1), L.latents(3, seed=0)
    theirs = shared.Grower(WIDTHS[:3], 7, 1).eval()
    theirs.load_state_dict(mine.state_dict())
    assert torch.equal(L.paint(mine, z), shared.paint(theirs, z))
    plan = [(0, 2), (3, 1), (2, 2)]
    assert [L.at_stage(t, plan) for t in range(12)] == [shared.at_stage(t, plan) for t in range(12)]


# --- the shipped runs
# --------------------------------------------------------------------------------------------------------

RACE_CARDS = {f"13_race_{name}": (recipe, 150) for name, recipe in L.RACES.items()}
RACE_CARDS |= {f"13_few_{name}": (recipe, 120) for name, recipe in L.FEW.items()}


def shipped(name):
    """A shipped run of this lesson."""
    run = runs.load(name)
    assert run.card["lesson"] == "13_better_gans" and run.card["profile"] == "full"
    return run


@pytest.mark.parametrize("name", RACE_CARDS)
def test_a_race_has_three_seeds_and_fills_its_time(name):
    (_, _, cost, _), seconds = RACE_CARDS[name]
    run = shipped(name)
    spent = run.figure("rounds") * run.figure("milliseconds a round") / 1_000
    assert run.figure("milliseconds a round") == cost and 0 <= seconds - spent < cost / 1_000
    keys = ["distance", "distance of the last G", "loss of D", "loss of G"]
    keys += [f"logit, {whom}" for whom in ("known", "unseen", "forged") if "few" in name]
    when = [t * cost / 1_000 for t in L.spaced_moments(int(run.figure("rounds")))]
    ends = []
    for seed, key in itertools.product(range(3), keys):
        moments, values = L.along(run, seed, key)
        assert moments.tolist() == pytest.approx(when, abs=0.051) and torch.isfinite(values).all(), key
        assert not key.startswith("distance") or (values > 0).all()
    for seed in range(3):
        ends.append(run.figure(f"seed {seed}: distance, five sets"))
        last = float(L.along(run, seed, "distance")[1][-1])
        assert abs(last - ends[-1]) < 0.3 * ends[-1] + 1  # other latents of the same average
    assert len(set(ends)) == 3 and 0 < run.figure("real training digits") < min(ends)


@pytest.mark.parametrize("kind", ["grown", "whole"])
def test_a_growing_of_digits_has_three_seeds_and_the_rounds_of_its_plan(kind):
    run = shipped(f"13_digits_{kind}")
    plan = L.growing_plan(L.DIGIT_COSTS, 150, kind == "grown")
    assert run.figure("rounds") == sum(map(sum, plan))
    for seed in range(3):
        found = {}
        for key, entry in run.card["figures"].items():
            if key.startswith(f"seed {seed}, ") and key.endswith(" s: distance"):
                found[float(key.split(", ")[1].split(" s")[0])] = entry["value"]
        assert len(found) >= 8
        for moment in (45, 105, 150):
            value = run.figure(f"seed {seed}: distance after {moment} s")
            assert value > 0 and any(abs(at - moment) < 3 and value == found[at] for at in found), moment
        assert abs(max(found) - 150) < 1


@pytest.mark.parametrize("kind", ["grown", "whole"])
def test_portraits_have_the_rounds_of_their_plan_and_their_pictures(kind):
    run = shipped(f"13_{kind}")
    plan = L.growing_plan(L.FACE_COSTS, 420, kind == "grown")
    rounds = sum(map(sum, plan))
    frames, steps = pictures(run)
    assert run.figure("rounds") == steps[-1] == rounds
    assert frames.dtype == np.uint8 and frames.shape == (len(steps), 16, 3, 64, 64)
    assert (np.diff(steps) > 0).all() and frames[-1].std() > 20
    for key in ("patches at 64", "patches at 16", "loss of D", "loss of G"):
        seconds, values = L.at_seconds(run, key)
        assert abs(float(seconds[-1]) - float(L.clock_of(plan, L.FACE_COSTS)[-1])) < 0.051
        assert torch.isfinite(values).all() and len(seconds) >= len(steps)
    for key in ("patches at 64", "patches at 16"):
        assert 0 < run.figure(f"real, {key}") < float(L.at_seconds(run, key)[1].min())
    for frame, step in zip(frames, steps):  # the size of each stage: its pixels are blocks
        stage, alpha = L.at_stage(int(step) - 1, plan)
        block = 8 // 2**stage
        if alpha == 1 and block > 1:
            small = torch.as_tensor(frame[:, :, ::block, ::block])
            assert torch.equal(L.large(small), torch.as_tensor(frame))


def test_the_shipped_grower_draws_its_pictures_at_the_distance_of_its_card():
    run = shipped("13_grown")
    G = L.Grower(widths=(64, 48, 32, 16), first=8, c=3)
    assert L.FACE == {"widths": (64, 48, 32, 16), "first": 8, "c": 3}
    runs.restore("13_grown", {"G": G})
    page = L.paint(G, L.latents(1_000, seed=1))
    assert page.shape == (1_000, 3, 64, 64)
    frames, _ = pictures(run)
    kept = L.large(page)
    assert (kept[:16].int() - torch.as_tensor(frames[-1]).int()).abs().float().mean() < 1.5  # 64 shades
    seconds, values = L.at_seconds(run, "patches at 64")
    entry = run.card["figures"][f"{float(seconds[-1]):.1f} s: patches at 64"]
    found = L.patch_distance(kept, cu.portraits(1_000, seed=2).x)
    assert abs(found - float(values[-1])) < min(entry["tolerance"], 0.05 * float(values[-1]))
    assert (run.path / "weights.safetensors").stat().st_size < 2e6
