"""Lesson 10: ways back, ledgers against autograd, areas, the bound on whole numbers, strays, the shipped runs."""

import math

import pytest
import torch
from torch import nn
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

import course_utils as cu
from course_utils import runs
from course_utils.data.points import EIGHT_SIGMA, eight_centres
from tests.lessons.lesson_functions import load

X = load("10", "log_density", "couple", "dequantised_bits", "narrow_noise", "mix_log_det")
L = load(
    "10",
    *("bend", "unbend", "bend_slope", "two_bumps", "best_map"),
    *(
        "Coupling",
        "Leave",
        "Layers",
        "normal_log_p",
        "Flow",
        "Flip",
        "still_net",
        "plain_flow",
        "gaps",
        "plane_loss",
    ),
    *("area", "islands_log_p", "excess", "carried", "corners", "bin_of", "bent", "SplineCoupling"),
    *("spline_flow", "stretch", "strays", "TURN", "RING", "ring_log_p", "ring_noise"),
    *("ToReals", "Narrow", "cells", "sides", "law", "law_nats"),
    *("Fold", "ActNorm", "Mix", "Convs", "image_flow", "begin", "with_noise", "bits_per_dim"),
    *("flow_loss", "warm_cosine", "all_bits", "draw_flow", "clouds"),
    checked_couple=X.couple,
    checked_bits=X.dequantised_bits,
    checked_log_det=X.mix_log_det,
    device=torch.device("cpu"),
)


def shaken(module, seed=0, by=0.15):
    """The module in float64, weights away from their beginnings."""
    g = torch.Generator().manual_seed(seed)
    for part in module.double().parameters():
        part.data += by * torch.randn(part.shape, generator=g).double()
    return module


def uniform(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.double)


# --- one dimension
# -----------------------------------------------------------------------------------------------------------------


def test_the_bend_goes_back_its_slope_is_its_derivative_and_only_the_ledger_has_area_one():
    z = torch.linspace(-3, 3, 41, dtype=torch.double, requires_grad=True)
    x = L.bend(z, 0.6, 0.8)
    torch.testing.assert_close(L.unbend(x, 0.6, 0.8), z, atol=1e-12, rtol=0)
    (slope,) = torch.autograd.grad(x.sum(), z)
    torch.testing.assert_close(L.bend_slope(z, 0.6, 0.8), slope)
    line = torch.linspace(-60, 60, 60_001, dtype=torch.double)
    p = X.log_density(line, lambda x: L.unbend(x, 0.6, 0.8), lambda z: L.bend_slope(z, 0.6, 0.8)).exp()
    assert abs(float(torch.trapezoid(p, line)) - 1) < 1e-3
    bare = (-0.5 * L.unbend(line, 0.6, 0.8) ** 2).exp() / math.sqrt(2 * math.pi)
    noise = torch.randn(200_000, generator=torch.Generator().manual_seed(0)).double()
    mean_stretch = float(L.bend_slope(noise, 0.6, 0.8).mean())
    assert abs(float(torch.trapezoid(bare, line)) - mean_stretch) < 0.02 and mean_stretch > 1.5


def test_the_best_map_turns_noise_into_the_two_bumps():
    noise = torch.randn(40_000, generator=torch.Generator().manual_seed(0)).double()
    u = L.two_bumps(L.best_map(noise))[1].sort().values
    uniform_law = (torch.arange(len(u)) + 0.5) / len(u)
    assert float((u - uniform_law).abs().max()) < 1.95 / len(u) ** 0.5
    line = torch.linspace(-6, 6, 6_001, dtype=torch.double)
    density, below = L.two_bumps(line)
    slopes = below.diff() / line.diff()
    torch.testing.assert_close(slopes, (density[1:] + density[:-1]) / 2, atol=1e-5, rtol=1e-3)


# --- ways back and ledgers
# -----------------------------------------------------------------------------------------------------------------

LAYERS = {
    "coupling": lambda: L.Coupling(L.Convs(2, 8)),
    "leave": lambda: L.Leave(L.Convs(2, 8)),
    "fold": lambda: L.Fold(),
    "actnorm": lambda: L.ActNorm(4),
    "mix": lambda: L.Mix(4),
    "to reals": lambda: L.ToReals(),
    "to reals, wide": lambda: L.ToReals(0.05),
}


@pytest.mark.parametrize("name", LAYERS)
def test_every_layer_goes_back_and_its_ledger_is_the_jacobians(name):
    torch.manual_seed(1)
    layer = shaken(LAYERS[name]())
    x = uniform(3, 4, 4, 4)
    inverse, ledger = L.gaps(L.Flow([layer]), x)
    assert inverse < 1e-10 and ledger < 1e-10
    y, line = layer(x)
    assert torch.as_tensor(line).shape in ((), (3,))
    trivial = torch.equal(y.flatten().sort().values, x.flatten().sort().values)
    assert trivial == (name == "fold")


@pytest.mark.parametrize(
    "build", [lambda: L.plain_flow(5), lambda: L.spline_flow(4), lambda: L.plain_flow(3, 8)]
)
def test_flows_on_vectors_go_back_and_their_ledger_is_the_jacobians(build):
    torch.manual_seed(0)
    flow = shaken(build())
    D = 8 if flow.layers[0].net[0].in_features == 4 else 2
    inverse, ledger = L.gaps(flow, 3 * uniform(12, D) - 1.5)
    assert inverse < 1e-10 and ledger < 1e-10


def test_the_whole_image_flow_on_one_small_image():
    torch.manual_seed(0)
    flow = shaken(L.image_flow((2, 2, 2), 12), by=0.05)
    inverse, ledger = L.gaps(flow, uniform(1, 1, 8, 8))
    assert inverse < 1e-9 and ledger < 1e-9
    arrived, _ = flow(uniform(2, 1, 28, 28))
    assert [tuple(z.shape) for z in arrived] == [(2, 8, 7, 7), (2, 8, 7, 7)]


def test_the_checks_find_a_coupling_whose_ledger_lies_and_one_that_cannot_go_back():
    torch.manual_seed(0)

    class Peeking(nn.Module):
        """Its stretch depends on the half that it stretches: no Σ s is its determinant."""

        def forward(self, x):
            a, b = x.chunk(2, 1)
            return torch.cat([a, b * b.tanh().exp()], 1), b.tanh().flatten(1).sum(1)

        def back(self, y):
            return y

    inverse, ledger = L.gaps(L.Flow([Peeking()]), uniform(4, 2))
    assert inverse > 0.05 and ledger > 0.05


def test_the_spline_increases_is_the_identity_outside_and_its_slope_is_its_derivative_there_and_back():
    torch.manual_seed(0)
    layer = shaken(L.SplineCoupling(cu.nets.mlp(1, 64, 64, 23)), by=0.6)
    xs, ys, slopes = layer.tables(torch.tensor([[0.3]]).double())
    for edges in (xs, ys):
        ends = edges.detach()[0, 0, [0, -1]]
        assert (edges.diff() > 0).all() and (ends.abs() - 4).abs().max() < 1e-9 and ends[0] < 0
    v = torch.linspace(-5, 5, 2_001, dtype=torch.double)[:, None].requires_grad_()
    tables = [part.expand(len(v), -1, -1) for part in (xs, ys, slopes)]
    out, log_slope = L.bent(v, *tables)
    assert (out.diff(dim=0) > 0).all()
    outside = (v.abs() > 4).detach()
    assert torch.equal(out[outside], v[outside]) and (log_slope[outside] == 0).all()
    (slope,) = torch.autograd.grad(out.sum(), v)
    torch.testing.assert_close(slope.log(), log_slope, atol=1e-9, rtol=0)
    back, back_slope = L.bent(out.detach(), *tables, back=True)
    torch.testing.assert_close(back, v, atol=1e-9, rtol=0)
    torch.testing.assert_close(back_slope, log_slope, atol=1e-8, rtol=0)
    knots, _ = L.bent(xs[0, 0, :, None].detach(), *[part.expand(9, -1, -1) for part in (xs, ys, slopes)])
    torch.testing.assert_close(knots[:, 0], ys[0, 0])


def test_half_of_the_channels_leaves_and_comes_back_in_the_right_place():
    torch.manual_seed(0)
    flow = shaken(L.Flow([L.Leave(L.Convs(4, 6)), L.Fold(), L.Leave(L.Convs(8, 6)), L.Mix(8)]))
    x = uniform(2, 8, 4, 4)
    arrived, _ = flow(x)
    assert [z.shape[1:].numel() for z in arrived] == [64, 32, 32]
    torch.testing.assert_close(flow.back(arrived), x)
    exchanged = [arrived[0], arrived[2], arrived[1]]
    assert arrived[1].shape == arrived[2].shape and (flow.back(exchanged) - x).abs().max() > 0.1


# --- densities of the plane
# -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["affine", "spline", "islands"])
def test_densities_of_the_plane_have_area_one(kind):
    torch.manual_seed(0)
    build = {"affine": L.plain_flow, "spline": L.spline_flow, "islands": L.plain_flow}[kind]
    flow = build(4, base=L.ring_log_p) if kind == "islands" else build(4)
    flow = shaken(flow, by=0.1).float()
    assert abs(L.area(flow.log_p, reach=9.0, n=700) - 1) < 0.01
    with_mistake = L.area(lambda x: flow.log_p(x) + 0.05, reach=9.0, n=700)
    assert abs(with_mistake - 1) > 0.03


def test_the_exact_density_is_that_of_torch_and_the_kl_of_the_truth_is_zero():
    truth = MixtureSameFamily(
        Categorical(torch.ones(8)), Independent(Normal(eight_centres(), torch.full((8, 2), EIGHT_SIGMA)), 1)
    )
    x = cu.eight_gaussians(500, seed=4)
    torch.testing.assert_close(
        L.islands_log_p(x, eight_centres(), EIGHT_SIGMA), truth.log_prob(x), atol=1e-4, rtol=1e-4
    )

    class Shifted:
        def __init__(self, by):
            self.by = by

        def log_p(self, x):
            return L.islands_log_p(x - self.by, eight_centres(), EIGHT_SIGMA)

    mean, error = L.excess(Shifted(0.0), 2_000)
    assert mean == 0 and error == 0
    by = 0.03
    mean, error = L.excess(Shifted(by), 40_000)
    assert abs(mean - 2 * by**2 / (2 * EIGHT_SIGMA**2)) < 5 * error + 1e-3


def test_the_stretch_is_the_greatest_singular_value_and_strays_are_beyond_five_deviations():
    torch.manual_seed(0)
    flow = shaken(L.plain_flow(4), by=0.4)
    z = uniform(5, 2) * 2 - 1
    for one, value in zip(z, L.stretch(flow, z)):
        jac = torch.autograd.functional.jacobian(lambda v: flow.back([v[None]])[0], one)
        assert abs(float(torch.linalg.svdvals(jac)[0] - value)) < 1e-9
    probe = eight_centres()[2] + torch.tensor([[0.0, 4.9 * EIGHT_SIGMA], [0.0, 5.1 * EIGHT_SIGMA]])
    assert L.strays(probe).tolist() == [False, True]
    assert L.strays(probe, within=4).all() and not L.strays(probe, within=5.2).any()
    assert float(L.strays(cu.eight_gaussians(50_000, seed=3)).float().mean()) < 2e-4
    assert L.strays(L.RING).all()  # the islands of noise are not those of the data


def test_the_film_carries_noise_with_its_ledger():
    torch.manual_seed(0)
    flow = shaken(L.plain_flow(3), by=0.3).float()
    z = torch.randn(6, 2, generator=torch.Generator().manual_seed(1))
    x, ledger = L.carried(flow, z, len(flow.layers))
    torch.testing.assert_close(x, flow.back([z]).detach())
    torch.testing.assert_close(ledger, -flow(x)[1].detach(), atol=1e-4, rtol=1e-4)
    assert torch.equal(L.carried(flow, z, 0)[0], z)


def test_a_few_steps_bring_a_flow_nearer_to_the_moons():
    torch.manual_seed(0)
    flow, points = L.plain_flow(4), cu.moons(2_000, seed=1)
    adam = torch.optim.Adam(flow.parameters(), 5e-3)
    losses = []
    for _ in range(120):
        loss = L.plane_loss(flow, points[:500])
        adam.zero_grad()
        loss.backward()
        adam.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0] - 0.5
    assert float(L.plane_loss(flow, points[1_000:]).detach()) < losses[0] - 0.4


# --- whole numbers
# -----------------------------------------------------------------------------------------------------------------


def some_law_flow(seed, by=0.06):
    torch.manual_seed(seed)
    return shaken(L.plain_flow(4, first=[L.ToReals()]), seed, by)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_bound_is_never_below_the_truth_nor_the_truth_below_the_entropy(seed):
    flow = some_law_flow(seed)
    law, cells = L.law.double() / L.law.sum(), L.cells.double()
    edge = (torch.arange(120).double() + 0.5) / 120
    u = torch.cartesian_prod(edge, edge)
    with torch.no_grad():
        nats = torch.stack([L.law_nats(flow, cell + 0 * u, u) for cell in cells])  # (8, n²)
    masses = (-nats).exp().mean(1)
    entropy = float(-(law * law.log()).sum())
    bound, truth = float((law * nats.mean(1)).sum()), float(-(law * masses.log()).sum())
    assert abs(float(masses.sum()) - 1) < 0.02
    assert bound > truth > entropy
    best = float((law * nats.min(1).values).sum())  # the best single point of each cell is no bound
    assert best < truth


def test_a_uniform_density_costs_eight_bits_and_the_truth_on_cells_costs_the_entropy():
    levels = torch.randint(0, 256, (5, 1, 8, 8), generator=torch.Generator().manual_seed(0)).double()
    u = uniform(5, 1, 8, 8)
    flat = lambda x: torch.zeros(len(x)).double()  # noqa: E731
    assert torch.equal(X.dequantised_bits(flat, levels, u), torch.full((5,), 8.0).double())
    # p = ½ on the dark half of the levels: one bit less where it puts its mass
    dark = lambda x: math.log(2) * torch.where(x < 0.5, 1.0, -math.inf).double().flatten(1).sum(1)  # noqa: E731
    bits = X.dequantised_bits(dark, (levels / 2).floor(), u)
    torch.testing.assert_close(bits, torch.full((5,), 7.0).double())


@pytest.mark.parametrize("gain", [1, 2, 6])
def test_noise_on_a_part_of_the_cell_buys_exactly_its_bits_and_the_ledger_of_that_part_is_right(gain):
    torch.manual_seed(0)
    flow = shaken(L.plain_flow(3, 64, [L.ToReals()]), by=0.05)
    levels = torch.randint(0, 256, (4, 64), generator=torch.Generator().manual_seed(1)).double()
    u = uniform(4, 64, seed=2)
    cheat = L.Flow([L.Narrow(gain), *flow.layers])
    honest = X.dequantised_bits(flow.log_p, levels, u)
    with_cheat = X.dequantised_bits(cheat.log_p, levels, X.narrow_noise(u, gain))
    torch.testing.assert_close(honest - with_cheat, torch.full((4,), float(gain)).double(), atol=1e-6, rtol=0)
    nats = (honest - with_cheat) * 64 * math.log(2)
    if gain == 1:
        torch.testing.assert_close(nats, torch.full((4,), 64 * math.log(2)).double(), atol=1e-4, rtol=0)
        assert abs(float(nats[0]) - 44.36) < 0.01
    x = (levels[:1, :6] + X.narrow_noise(u[:1, :6], gain)) / 256
    layer = L.Narrow(gain)
    jac = torch.autograd.functional.jacobian(lambda v: layer(v[None])[0][0], x[0])
    assert abs(float(torch.linalg.slogdet(jac)[1]) - layer(x)[1]) < 1e-9


def test_the_area_finds_the_layer_that_cheats():
    torch.manual_seed(0)
    flow = shaken(L.plain_flow(3), by=0.1).float()
    assert abs(L.area(flow.log_p, reach=9.0, n=700) - 1) < 0.01
    for gain in (0, 1, 2):
        cheat = L.Flow([L.Narrow(gain), *flow.layers])
        assert abs(L.area(cheat.log_p, reach=9.0, n=700) / 4**gain - 1) < 0.03  # two dimensions


def test_noise_fills_the_cells_of_256_levels_and_the_loss_is_the_bits():
    x = cu.mnist().train.float()[:50]
    torch.manual_seed(0)
    noisy = L.with_noise(x)
    assert torch.equal((256 * noisy).floor(), (255 * x).round())
    rest = 256 * noisy - (256 * noisy).floor()
    assert abs(float(rest.mean()) - 0.5) < 0.01 and float(rest.max()) > 0.99
    torch.manual_seed(1)
    flow = L.image_flow((1, 1, 1), 8)
    L.begin(flow, noisy)
    torch.manual_seed(2)
    loss = L.flow_loss(flow, x)
    torch.manual_seed(2)
    torch.testing.assert_close(loss, L.bits_per_dim(flow.log_p(L.with_noise(x))).mean(), atol=1e-4, rtol=1e-4)


# --- the image flow
# -----------------------------------------------------------------------------------------------------------------


def test_begin_standardises_every_actnorm_and_gradients_reach_every_number():
    torch.manual_seed(0)
    flow, x = L.image_flow((1, 1, 1), 8), L.with_noise(cu.mnist().train.float()[:64])
    L.begin(flow, x)
    seen = x
    for layer in flow.layers:
        seen, _ = layer(seen)
        if isinstance(layer, L.ActNorm):
            torch.testing.assert_close(seen.mean((0, 2, 3)), torch.zeros(seen.shape[1]), atol=1e-4, rtol=0)
            torch.testing.assert_close(seen.std((0, 2, 3)), torch.ones(seen.shape[1]), atol=1e-3, rtol=0)
        if isinstance(layer, L.Leave):
            seen, _ = seen.chunk(2, 1)
    for part in flow.parameters():
        part.data += 0.01 * torch.randn_like(part)
    L.flow_loss(flow, cu.mnist().train.float()[:8]).backward()
    for name, part in flow.named_parameters():
        assert part.grad is not None and float(part.grad.abs().sum()) > 0, name


def test_mix_agrees_with_the_matrix_at_each_place_and_fold_with_its_blocks():
    torch.manual_seed(0)
    mix, x = L.Mix(5), torch.randn(2, 5, 3, 4)
    torch.testing.assert_close(mix(x)[0], torch.einsum("ij,bjhw->bihw", mix.weight, x))
    assert abs(float(mix(x)[1].detach())) < 1e-4  # it begins as a rotation
    page = torch.arange(16.0).view(1, 1, 4, 4)
    folded, line = L.Fold()(page)
    assert line == 0 and folded[0, :, 0, 1].tolist() == [2.0, 3.0, 6.0, 7.0]


def test_learning_rate_warms_up_and_ends_at_zero():
    assert L.warm_cosine(0.0) == 0 and abs(L.warm_cosine(1.0)) < 1e-12
    assert L.warm_cosine(0.02) > 0.99 and abs(L.warm_cosine(0.5) - 0.5) < 1e-9


def test_draws_are_grey_levels_and_carry_their_noise():
    torch.manual_seed(0)
    flow = L.image_flow((1, 1, 1), 8)
    L.begin(flow, L.with_noise(cu.mnist().train.float()[:64]))
    for layer in flow.layers:
        if isinstance(layer, L.Coupling):
            layer.net.say.weight.data += 0.02 * torch.randn_like(layer.net.say.weight)
    z = L.clouds(6, 3, 0.7)
    assert z.shape == (6, 2, 8, 7, 7) and torch.equal(z, 0.7 * L.clouds(6, 3))
    arrived, _ = flow(flow.back([*z.unbind(1)]).clamp(0, 1))
    assert ((torch.stack(arrived, 1) - z).abs().median()) < 1e-2
    drawn = L.draw_flow(flow, z)
    assert drawn.shape == (6, 1, 28, 28)
    cells = (256 * flow.back([*z.unbind(1)])).floor().clamp(0, 255)
    assert torch.equal((255 * drawn).round(), cells) and torch.equal((255 * drawn).round() / 255, drawn)
    assert torch.equal(drawn, L.draw_flow(flow, z)) and not torch.equal(
        drawn, L.draw_flow(flow, L.clouds(6, 4))
    )


# --- the shipped runs
# -----------------------------------------------------------------------------------------------------------------


class Boast(nn.Module):
    """A layer that changes nothing, and claims so many nats of stretch."""

    def __init__(self, nats):
        super().__init__()
        self.nats = nats

    def forward(self, x):
        return x, self.nats


def test_the_shipped_flow_has_the_bits_on_its_card():
    flow = L.image_flow()
    run = runs.restore("10_flow", flow)
    bits = float(L.all_bits(flow, cu.mnist().test.float()[:1_000]).mean())
    assert abs(bits - run.figure("first 1,000 test digits")) < 0.005
    assert run.card["lesson"] == "10_normalizing_flows" and run.figure("standard error") < 0.02
    steps = sorted(
        int(key.split()[-1]) for key in run.card["figures"] if key.startswith("validation bits, step")
    )
    curve = [run.figure(f"validation bits, step {step}") for step in steps]
    assert len(curve) >= 5 and all(after < before + 0.01 for before, after in zip(curve, curve[1:]))
    few = cu.mnist().test.float()[:200]
    before = float(L.all_bits(flow, few).mean())
    flow.layers[2].log_scale.data += 0.1  # each of its 784 numbers 1.1 times as large: 0.087 bits
    assert float(L.all_bits(flow, few).mean()) > before + 0.05
    runs.restore("10_flow", flow)
    flow.layers.append(Boast(0.1 * 784))  # 0.1 nats a pixel in the ledger, and nothing else
    assert abs(float(L.all_bits(flow, few).mean()) - before + 0.1 / math.log(2)) < 1e-4
    assert sum(file.stat().st_size for file in run.path.iterdir()) <= 2.5e6


def test_the_shipped_draws_have_the_distance_on_the_card_and_the_replay_is_forty_clouds():
    run = runs.load("10_flow")
    kept = torch.from_numpy(run.samples)
    assert run.card["samples"] == {"kind": "draws", "n": 1_000} and kept.shape == (1_000, 28, 28)
    score = cu.metrics.score([kept], 1_000)
    spread = run.figure("Fréchet distance, spread of sets")
    assert abs(score.distance - run.figure("Fréchet distance")) < 4 * spread + 1
    frames, steps = run.replay
    assert frames.shape[1:] == (40, 28, 28) and len(frames) == len(steps) and (steps[1:] > steps[:-1]).all()


def test_the_card_of_the_plane_says_that_splines_are_near_and_that_islands_of_noise_leave_hardly_a_bridge():
    run = runs.load("10_plane")

    def three(kind, what):
        return [run.figure(f"{kind}: {what}, seed {seed}") for seed in range(3)]

    assert max(three("spline, 8 layers", "KL")) < 0.05 < min(three("affine, 8 layers", "KL"))
    assert max(three("spline, 8 layers", "KL, standard error")) < 0.005
    for within in (4, 5):
        what = f"strays beyond {within} σ"
        means = [sum(three(f"affine, {depth} layers", what)) / 3 for depth in (2, 4, 8, 16)]
        assert all(after < before for before, after in zip(means, means[1:])) and means[-1] > 1e-3
        islands = three("eight islands as base, 8 layers", what)
        assert max(islands) < min(three("affine, 8 layers", what)) / 10
    assert max(three("eight islands as base, 8 layers", "stretch")) < min(
        three("affine, 16 layers", "stretch")
    )


def test_what_lesson_10_shares_is_the_lessons_own():
    from course_utils.lessons import lesson_10 as shared

    torch.manual_seed(0)
    flow = shared.image_flow((1, 1, 1), 8)
    mine = L.image_flow((1, 1, 1), 8)
    mine.load_state_dict(flow.state_dict())
    x = L.with_noise(cu.mnist().train.float()[:4])
    torch.testing.assert_close(flow.log_p(x), mine.log_p(x))
    assert torch.equal(shared.draw_flow(flow, shared.clouds(2, 0)), L.draw_flow(mine, L.clouds(2, 0)))
