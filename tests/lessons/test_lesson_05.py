"""Lesson 05: the game's identities, who learns from which loss, the update map's eigenvalues, and the shipped
runs."""

import math
from types import SimpleNamespace

import pytest
import torch
from torch.autograd.functional import jacobian
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

import course_utils as cu
from course_utils import runs
from tests.lessons.lesson_functions import load

exercises = load("05", "player_loss", "best_critic", "modes_covered", "r1_penalty")
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
    *("points", "play", "repair", "HASTY", "PACE", "CALM", "SLOPE", "centres", "sigma", "covered_after"),
    *("dirac_round", "LATENT", "Generator", "Discriminator", "take_turns", "slowing", "new_players"),
    *("new_game", "paint", "class_shares", "surrender", "DCGAN", "VARIANTS"),
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
    (saturating,) = torch.autograd.grad(L.surrender("G", lambda x: x, None, a) * 9, a)
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
    G, D, average, step, _ = L.new_game()
    G.train(), D.train()
    before = weights(G), weights(D), weights(average)
    losses = step(batch())
    assert set(losses) == {"loss of D", "loss of G"} and all(torch.isfinite(loss) for loss in losses.values())
    assert all(moved(before[0], G)) and all(moved(before[1], D)) and all(moved(before[2], average))
    assert all(w.requires_grad for w in D.parameters())


def test_each_player_is_moved_by_its_own_optimiser_only():
    for frozen, moving in (("lr_g", "lr_d"), ("lr_d", "lr_g")):
        G, D, _, step, _ = L.new_game(**{frozen: 0.0, moving: 1e-3})
        before = {"lr_g": weights(G), "lr_d": weights(D)}
        step(batch())
        nets = {"lr_g": G, "lr_d": D}
        assert not any(moved(before[frozen], nets[frozen])) and all(moved(before[moving], nets[moving]))


def test_g_gets_the_gradient_of_its_own_loss_after_ds_step_and_nothing_of_ds_loss():
    G, D, _, step, _ = L.new_game(lr_g=0.0, gamma=0.0)
    x = batch()
    torch.manual_seed(5)
    step(x)  # D has moved, G's gradient is kept
    got = [w.grad.clone() for w in G.parameters()]
    torch.manual_seed(5)
    loss = exercises.player_loss("G", D, x, G(torch.randn(len(x), L.LATENT)))
    for mine, right in zip(got, torch.autograd.grad(loss, G.parameters())):
        torch.testing.assert_close(mine, right, atol=1e-6, rtol=1e-3)


class Watch(TorchDispatchMode):
    """Counts the reads of a tensor by the host, which is where a GPU would be waited for."""

    reads = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.reads += func is torch.ops.aten._local_scalar_dense.default
        return func(*args, **(kwargs or {}))


def test_a_step_never_reads_a_number_from_the_device():
    G, D, _, step, _ = L.new_game()
    step(batch())
    with Watch() as watch:
        losses = step(batch(seed=1))
        assert watch.reads == 0
        losses["loss of D"].item()
    assert watch.reads == 1


@pytest.mark.parametrize("key", sorted(L.VARIANTS))
def test_every_variant_can_be_played(key):
    *_, step, _ = L.new_game(**L.VARIANTS[key][1])
    assert all(torch.isfinite(loss) for loss in step(batch()).values())


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
    plain, spread = L.Discriminator(spread=False).eval(), L.Discriminator().eval()
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


def test_play_trains_only_the_players_that_are_named_and_repair_works_in_mid_run():
    game = L.two_players(0)
    for players in ("D", "G"):
        before = {name: weights(game[name]) for name in "GD"}
        L.play(game, players)
        assert {name for name in "GD" if any(moved(before[name], game[name]))} == {players}
    mended = L.repair(L.play(L.two_players(0, **L.HASTY)))
    assert mended["gamma"] == 0.1 and mended["opt_d"].param_groups[0]["betas"] == (0.0, 0.99)
    assert mended["opt_d"].param_groups[0]["lr"] == mended["opt_g"].param_groups[0]["lr"] == 2e-3


@pytest.mark.parametrize("eta, gamma", [(0.1, 0.0), (0.3, 0.0), (0.1, 0.3), (0.2, 0.5)])
def test_eigenvalues_of_the_one_parameter_game(eta, gamma):
    def size(**options):
        update = jacobian(
            lambda s: L.dirac_round(s, eta, gamma, **options), torch.zeros(2, dtype=torch.float64)
        )
        return torch.linalg.eigvals(update).abs()

    together, in_turn = size(alternating=False), size()
    torch.testing.assert_close(together, torch.full_like(together, math.sqrt(1 - eta * gamma + eta**2 / 4)))
    torch.testing.assert_close(in_turn, torch.full_like(in_turn, math.sqrt(1 - eta * gamma)))


def test_orbits_of_the_one_parameter_game():
    def radii(n=2_000, **options):
        state, out = torch.tensor([0.8, 0.8], dtype=torch.float64), []
        for _ in range(n):
            state = L.dirac_round(state, **options)
            out.append(state.norm().item())
        return out

    closed = radii()
    early, late = closed[:200], closed[-200:]
    assert abs(max(early) - max(late)) < 0.02 and abs(min(early) - min(late)) < 0.02
    assert radii(alternating=False)[-1] > 2.5 and radii(gamma=0.2)[-1] < 1e-6


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
    assert abs(cu.metrics.quality(shipped.images).distance - entry["value"]) < entry["tolerance"]
    figures = {key: entry["value"] for key, entry in shipped.run.card["figures"].items()}
    ratio = figures["Fréchet distance"] / cu.metrics.floor(5_000)[0]
    assert figures["n"] == 5_000 and abs(figures["ratio"] / ratio - 1) < 0.01
    assert figures["rarest class, share"] >= 0.05
    assert L.class_shares(shipped.images).min() > 0.03


def test_the_shipped_replay_ends_with_the_shipped_samples_and_the_card_has_its_curve(shipped):
    frames, steps = shipped.run.replay
    assert abs(frames[-1].astype(int) - shipped.run.samples[:36].astype(int)).mean() < 1
    for step in steps[1:]:
        for key in ("ratio", "loss of D", "loss of G"):
            assert f"{key} after {step}" in shipped.run.card["figures"]


def test_the_shipped_failures_fail_and_the_smaller_changes_do_not():
    ratio = {key: runs.load(f"05_{key}").figure("ratio") for key in L.VARIANTS}
    assert all(ratio[key] > 20 * ratio["ours"] for key in ("strong", "fast"))
    assert ratio["dcgan_bare"] > 3 * ratio["dcgan"] > 3 * ratio["ours"]
    assert all(
        ratio[key] < 2 * ratio["ours"] for key in ("no_r1", "no_spread", "no_norm", "momentum", "bare")
    )


def test_a_blank_sheet_and_one_pattern_for_all():
    blank, one = (runs.load(f"05_{key}").replay[0][-1].astype(int) for key in ("dcgan_bare", "fast"))
    assert blank.max() <= 2  # no ink anywhere
    ours = runs.load("05_ours").replay[0][-1].astype(int)
    assert one.std(0).mean() < 0.3 * ours.std(0).mean()
