"""Lesson 05: the game's identities, who learns from which loss, the update map's eigenvalues, and the shipped
runs."""

import math
from types import SimpleNamespace

import pytest
import torch
from scipy import stats
from torch.autograd.functional import jacobian
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

import course_utils as cu
from course_utils import runs
from tests.lessons.lesson_functions import load

exercises = load(
    "05", "player_loss", "best_critic", "modes_covered", "keep_by_critic", "r1_penalty", "too_much"
)
checked = {
    "checked_loss": exercises.player_loss,
    "checked_critic": exercises.best_critic,
    "checked_modes": exercises.modes_covered,
    "checked_r1": exercises.r1_penalty,
    "device": torch.device("cpu"),
}
L = load(
    "05",
    *(
        "grid",
        "dx",
        "log_bell",
        "log_bumps",
        "value",
        "jsd",
        "p",
        "sides_of_seven",
        "two_players",
        "downhill",
    ),
    *("points", "play", "play_on", "repair", "HASTY", "PACE", "CALM", "SLOPE", "centres", "sigma"),
    *("covered", "covered_after", "saturating", "dirac_round", "orbit", "LATENT", "block", "Generator"),
    *("Discriminator", "take_turns", "new_game", "paint", "class_shares", "one_set", "rank_correlation"),
    *("NO_R1", "BARE_G", "OLD", "VARIANTS"),
    **checked,
)


def batch(n=16, seed=0):
    """A batch of noise images (n, 1, 28, 28)."""
    return torch.rand(n, 1, 28, 28, generator=torch.Generator().manual_seed(seed))


# --- the value of the game
# --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mean, std", [(0.3, 1.4), (-1.5, 0.6), (2.0, 0.3)])
def test_the_best_critic_is_best_and_its_value_is_a_jensen_shannon_divergence(mean, std):
    p, q = L.log_bumps(L.grid).exp(), L.log_bell(L.grid, mean, std).exp()
    logit = L.log_bumps(L.grid) - L.log_bell(L.grid, mean, std)
    best = L.value(F.logsigmoid(logit), F.logsigmoid(-logit), p, q)
    assert abs(best - (2 * L.jsd(p, q) - math.log(4))) < 1e-6
    critic = exercises.best_critic(L.log_bumps(L.grid), L.log_bell(L.grid, mean, std))
    torch.testing.assert_close(logit.sigmoid(), critic)
    for wobble in (0.1 * torch.sin(L.grid), torch.full_like(L.grid, 0.05), 0.2 * logit.tanh()):
        other = logit + wobble
        assert L.value(F.logsigmoid(other), F.logsigmoid(-other), p, q) < best
    assert abs(L.jsd(p, p)) < 1e-9 and L.jsd(p, q) <= math.log(2)


@pytest.mark.parametrize("mean, std", [(0.0, 1.0), (-1.0, 0.7), (1.2, 0.5)])
def test_the_non_saturating_gradient_is_that_of_reverse_kl_minus_two_jsd(mean, std):
    left, right = L.sides_of_seven(mean, std)
    torch.testing.assert_close(left, right, atol=1e-6, rtol=1e-5)
    assert left.abs().max() > 1e-2


def test_the_losses_in_logits_have_the_gradients_of_equation_6():
    a = torch.linspace(-4, 4, 9, requires_grad=True)
    (saturating,) = torch.autograd.grad(L.saturating("G", lambda x: x, None, a) * 9, a)
    (other,) = torch.autograd.grad(exercises.player_loss("G", lambda x: x, None, a) * 9, a)
    torch.testing.assert_close(saturating, -a.sigmoid().detach())
    torch.testing.assert_close(other, -(1 - a.sigmoid()).detach())


# --- who learns from what
# ---------------------------------------------------------------------------------------------


def weights(net):
    return [w.detach().clone() for w in net.parameters()]


def moved(before, net):
    """For each parameter, whether it changed."""
    return [not torch.equal(a, b) for a, b in zip(before, net.parameters())]


def test_one_step_trains_every_weight_of_both_players_and_their_average():
    game = L.new_game()
    game["G"].train(), game["D"].train()
    nets = game["G"], game["D"], game["average"].module
    before = [weights(net) for net in nets]
    losses = L.take_turns(batch(), game)
    assert set(losses) == {"loss of D", "loss of G"} and all(torch.isfinite(loss) for loss in losses.values())
    assert all(all(moved(old, net)) for old, net in zip(before, nets))
    assert all(w.requires_grad for w in game["D"].parameters())


def test_each_player_is_moved_by_its_own_optimiser_only():
    for frozen, moving in (("g", "d"), ("d", "g")):
        game = L.new_game(**{f"lr_{frozen}": 0.0, f"lr_{moving}": 1e-3})
        before = {name: weights(game[name.upper()]) for name in "gd"}
        L.take_turns(batch(), game)
        assert not any(moved(before[frozen], game[frozen.upper()]))
        assert all(moved(before[moving], game[moving.upper()]))


def test_g_gets_the_gradient_of_its_own_loss_after_ds_step_and_nothing_of_ds_loss():
    game = L.new_game(lr_g=0.0)
    x = batch()
    torch.manual_seed(5)
    L.take_turns(x, game, gamma=0.0)  # D has moved, G's gradient is kept
    got = [w.grad.clone() for w in game["G"].parameters()]
    torch.manual_seed(5)
    loss = exercises.player_loss("G", game["D"], x, game["G"](torch.randn(len(x), L.LATENT)))
    for mine, right in zip(got, torch.autograd.grad(loss, game["G"].parameters())):
        torch.testing.assert_close(mine, right, atol=1e-6, rtol=1e-3)


class Watch(TorchDispatchMode):
    """Counts the reads of a tensor by the host, which is where a GPU would be waited for."""

    reads = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.reads += func is torch.ops.aten._local_scalar_dense.default
        return func(*args, **(kwargs or {}))


def test_a_step_never_reads_a_number_from_the_device():
    game = L.new_game()
    L.take_turns(batch(), game)
    with Watch() as watch:
        losses = L.take_turns(batch(seed=1), game)
        assert watch.reads == 0
        losses["loss of D"].item()
    assert watch.reads == 1


@pytest.mark.parametrize("key", sorted(L.VARIANTS))
def test_every_variant_can_be_played(key):
    _, choices, rules = L.VARIANTS[key]
    losses = L.take_turns(batch(), L.new_game(**choices), **rules)
    assert all(torch.isfinite(loss) for loss in losses.values())


# --- the networks
# -----------------------------------------------------------------------------------------------------


def test_shapes_range_and_size():
    G, D = L.Generator(), L.Discriminator()
    x = G(torch.randn(5, L.LATENT))
    assert x.shape == (5, 1, 28, 28) and x.min() >= 0 and x.max() <= 1
    assert D(x).shape == (5,)
    assert cu.nets.count_parameters(G) + cu.nets.count_parameters(D) < 2_000_000


def test_d_judges_an_image_by_itself_but_for_the_spread_of_its_batch():
    torch.manual_seed(0)
    plain, spread = L.Discriminator(batch_std=False).eval(), L.Discriminator().eval()
    x = batch(6)
    torch.testing.assert_close(plain(x)[:1], plain(x[[0, 3]])[:1], atol=1e-5, rtol=1e-4)
    alike, mixed = x[:1].expand(6, -1, -1, -1), torch.cat([x[:1], x[1:]])
    assert abs(plain(alike)[0] - plain(mixed)[0]) < 1e-5 < abs(spread(alike)[0] - spread(mixed)[0])


# --- games in the plane and on the line
# -------------------------------------------------------------------------------


def test_the_repair_separates_the_two_configurations():
    hasty, _ = L.covered_after(0, 500, **L.HASTY)
    repaired, share = L.covered_after(0, 500, **(L.HASTY | L.PACE | L.CALM | L.SLOPE))
    assert hasty <= 3 < 7 <= repaired and share > 0.5


def test_the_saturating_loss_works_with_adam_and_fails_with_sgd():
    found = {}
    for name in ("Adam", "SGD"):
        game = L.two_players(0) | {"goal": L.saturating}
        if name == "SGD":
            game["opt_g"] = torch.optim.SGD(game["G"].parameters(), 0.02)
        L.play_on(game, 200, "D")
        L.play_on(game, 500)
        found[name] = L.covered(game)[0]
    assert found["Adam"] >= 6 and found["SGD"] == 0


def test_a_perfect_critic_turns_samples_of_the_model_into_samples_of_the_data():
    generator = torch.Generator().manual_seed(0)
    x = 0.3 + 1.4 * torch.randn(200_000, generator=generator, dtype=torch.float64)
    ratio = L.log_bumps(x) - L.log_bell(x, 0.3, 1.4)
    kept = x[exercises.keep_by_critic(ratio, torch.rand(len(x), generator=generator, dtype=torch.float64))]
    assert len(kept) > 10_000
    assert abs(kept.mean() - (0.6 * -1.5 + 0.4 * 1.5)) < 0.05
    assert abs((kept < 0).double().mean() - 0.6) < 0.02


def test_rank_correlation_is_spearmans():
    a, b = torch.randn(2, 30, generator=torch.Generator().manual_seed(0))
    assert abs(L.rank_correlation(a, b) - stats.spearmanr(a, b).statistic) < 1e-9
    assert abs(L.rank_correlation(a, a.exp()) - 1) < 1e-9 > abs(L.rank_correlation(a, -a) + 1)


def test_play_trains_only_the_players_that_are_named_and_repair_works_in_mid_run():
    game = L.two_players(0)
    for players in ("D", "G"):
        before = {name: weights(game[name]) for name in "GD"}
        L.play(game, players)
        assert {name for name in "GD" if any(moved(before[name], game[name]))} == {players}
    mended = L.repair(L.play(L.two_players(0, **L.HASTY)))
    assert mended["gamma"] == 0.1 and mended["opt_d"].param_groups[0]["betas"] == (0.0, 0.99)
    assert mended["opt_d"].param_groups[0]["lr"] == mended["opt_g"].param_groups[0]["lr"] == 2e-3


def size(**options):
    """The largest |λ| of one round at the origin."""
    origin = torch.zeros(4, dtype=torch.float64)
    return torch.linalg.eigvals(jacobian(lambda s: L.dirac_round(s, **options), origin)).abs().max().item()


@pytest.mark.parametrize("eta, gamma", [(0.1, 0.0), (0.3, 0.0), (0.1, 0.3), (0.2, 0.5)])
def test_eigenvalues_of_the_one_parameter_game(eta, gamma):
    together, in_turn = size(eta=eta, gamma=gamma, alternating=False), size(eta=eta, gamma=gamma)
    assert abs(together - math.sqrt(1 - eta * gamma + eta**2 / 4)) < 1e-9
    assert abs(in_turn - math.sqrt(1 - eta * gamma)) < 1e-9


@pytest.mark.parametrize("momentum", [-0.5, -0.2, 0.0, 0.3, 0.6])
def test_momentum_pushes_outward_by_the_second_order_formula(momentum):
    eta = 0.01
    s = eta / (2 * (1 - momentum))
    growth = momentum / (1 - momentum) * s**2  # equation (10)
    assert abs(size(eta=eta, momentum=momentum) - 1 - growth) < 0.05 * abs(growth) + 1e-9


def test_too_much_of_the_penalty_throws_the_players_out():
    assert size(gamma=exercises.too_much()) > 1 > size(gamma=0.2)


def test_orbits_of_the_one_parameter_game():
    closed = L.orbit(2_000).norm(dim=1)
    early, late = closed[:200], closed[-200:]
    assert abs(early.max() - late.max()) < 0.02 and abs(early.min() - late.min()) < 0.02
    assert L.orbit(2_000, alternating=False)[-1].norm() > 2.5
    assert L.orbit(2_000, gamma=0.2)[-1].norm() < 1e-6
    assert L.orbit(2_000, momentum=-0.5)[-1].norm() < 0.2 < 2.5 < L.orbit(100, momentum=0.9).norm(dim=1).max()


# --- the shipped runs
# -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shipped():
    G, D = L.Generator(), L.Discriminator()
    run = cu.restore("05_gan", {"G": G, "D": D})
    latents = torch.randn(5_000, L.LATENT, generator=torch.Generator().manual_seed(1))[:1_000]
    return SimpleNamespace(run=run, G=G, D=D, images=cu.to_uint8(L.paint(G, latents)))


def test_the_shipped_generator_makes_the_shipped_samples(shipped):
    difference = (shipped.images[:, 0].int() - torch.from_numpy(shipped.run.samples).int()).abs().double()
    assert difference.mean() < 1 and shipped.run.card["samples"]["kind"] == "draws"


def test_the_shipped_generator_has_the_quality_on_its_card(shipped):
    entry = shipped.run.card["figures"]["Fréchet distance, first 1,000"]
    assert abs(L.one_set(shipped.images) - entry["value"]) < entry["tolerance"]
    figures = {key: entry["value"] for key, entry in shipped.run.card["figures"].items()}
    assert figures["n"] == 5_000 and not any("ratio" in key for key in figures)
    five_sets = figures["Fréchet distance, test, n = 5,000"]
    spread = figures["spread of the distance, test, n = 5,000"]
    assert abs(figures["Fréchet distance after 25770"] - five_sets) < 4 * spread  # another set of the same
    assert five_sets < figures["Fréchet distance, validation, n = 5,000"]
    assert figures["rarest class, share"] >= 0.05
    assert L.class_shares(shipped.images).min() > 0.03


def test_the_shipped_replay_ends_with_the_shipped_samples_and_the_card_has_its_curve(shipped):
    frames, steps = shipped.run.replay
    assert abs(frames[-1].astype(int) - shipped.run.samples[:36].astype(int)).mean() < 1
    for step in steps[1:]:
        for key in ("Fréchet distance", "loss of D", "loss of G"):
            assert f"{key} after {step}" in shipped.run.card["figures"]


def test_the_shipped_failures_fail_and_the_smaller_changes_do_not():
    distance = {key: runs.load(f"05_{key}").figure("Fréchet distance") for key in L.VARIANTS}
    assert all(distance[key] > 20 * distance["ours"] for key in ("strong", "fast"))
    assert distance["dcgan_bare"] > 3 * distance["dcgan"] > 3 * distance["ours"]
    assert all(
        distance[key] < 2 * distance["ours"] for key in ("no_r1", "no_spread", "no_norm", "momentum", "bare")
    )


def test_a_blank_sheet_and_one_pattern_for_all():
    blank, one = (runs.load(f"05_{key}").replay[0][-1].astype(int) for key in ("dcgan_bare", "fast"))
    assert blank.max() <= 2  # no ink anywhere
    ours = runs.load("05_ours").replay[0][-1].astype(int)
    assert one.std(0).mean() < 0.3 * ours.std(0).mean()


def test_the_critic_judges_a_batch_of_one():
    critic = L.Discriminator().eval()
    x = torch.rand(4, 1, 28, 28)
    assert critic(x[:1]).isfinite().all()
    h = critic.body(F.pixel_unshuffle(2 * x - 1, 2))
    expected = (h.var(0) + 1e-8).sqrt().mean().expand(4, 1, 4, 4)
    torch.testing.assert_close(critic(x), critic.out(torch.cat([h, expected], 1).flatten(1)).squeeze(1))
