"""Lesson 10b: mixtures, shells, detectors, weighted bounds, learned noise and autoregressive flows, exactly."""

import math

import pytest
import torch

import course_utils as cu
from course_utils import runs
from course_utils.lessons import lesson_10 as first
from tests.lessons.lesson_functions import load

CPU = torch.device("cpu")
exercises = load("10b", "gaussian_shell", "shaped_noise", "in_turn", "sneak")
L = load(
    "10b",
    *("log_p_of", "diluted", "auroc", "strangers", "spoilt", "spoilt_loss", "png_nats", "by_weights"),
    *("WithNoise", "learned_loss", "MAF", "Swapped", "z_of", "from_noise"),
    checked_noise=exercises.shaped_noise,
    checked_turn=exercises.in_turn,
    device=CPU,
)


def small_flow(seed=0):
    """A small flow that is no identity: its last convolutions are not zero."""
    torch.manual_seed(seed)
    flow = first.image_flow((1, 1, 1), 8)
    first.begin(flow, first.with_noise(cu.mnist().train.float()[:64]))
    with torch.no_grad():
        for layer in flow.layers:
            if isinstance(layer, first.Coupling):
                layer.net.say.weight.normal_(std=0.05)
    return flow


# --- the mixture
# -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [1.0, 0.5, 0.01])
def test_a_diluted_density_is_the_sum_of_both_and_loses_at_most_the_log_of_the_share(share):
    log_p = torch.tensor([-900.0, -3.0, 0.0, 2.0, 4_000.0]).double()
    mixed = L.diluted(log_p, share)
    assert (mixed >= log_p + math.log(share) - 1e-12).all()
    small = log_p[1:4]
    expected = (share * small.exp() + (1 - share)).log()
    torch.testing.assert_close(mixed[1:4], expected, atol=1e-12, rtol=1e-12)
    assert abs(float(mixed[-1] - log_p[-1]) - math.log(share)) < 1e-9  # the noise adds nothing there


def test_a_diluted_law_on_a_small_grid_still_sums_to_one():
    p = torch.rand(512, generator=torch.Generator().manual_seed(0)).double()
    p = p / p.mean()  # a density on [0, 1) in 512 cells
    assert abs(float(L.diluted(p.log(), 0.01).exp().mean()) - 1) < 1e-12


def test_a_hundredth_costs_less_than_a_hundredth_of_a_bit_per_dimension():
    log_p = torch.full((3,), 4_000.0).double()
    bits = [float(first.bits_per_dim(L.diluted(log_p, share)).mean()) for share in (1.0, 0.01)]
    assert bits[1] - bits[0] == pytest.approx(math.log(100) / (784 * math.log(2)), abs=1e-9)
    assert 0.0084 < bits[1] - bits[0] < 0.0086


# --- the shell
# -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("d", [100, 784])
def test_gaussian_norms_are_the_root_of_d_give_or_take_seven_tenths(d):
    norm, gap = exercises.gaussian_shell(d)
    z = torch.randn(10_000, d, generator=torch.Generator().manual_seed(d))
    norms = z.norm(dim=1)
    assert abs(float(norms.mean()) - norm) < 0.05 and abs(float(norms.std()) - 0.5**0.5) < 0.03
    normal = torch.distributions.Normal(0.0, 1.0)
    measured = normal.log_prob(torch.zeros(d)).sum() - normal.log_prob(z).sum(1).mean()
    assert abs(float(measured) - gap) < 0.01 * gap
    assert norms.min() > norm - 4  # nobody comes near the centre


def test_the_norm_of_z_is_what_the_flow_s_density_says():
    flow = small_flow()
    x = first.with_noise(cu.mnist().val.float()[:4])
    norms = L.z_of(flow, x).norm(dim=1)
    with torch.no_grad():
        ledger = flow(x)[1]
        expected = ledger - 0.5 * norms.square() - 392 * math.log(2 * math.pi)
        torch.testing.assert_close(flow.log_p(x), expected, atol=0.05, rtol=1e-5)
        back = L.from_noise(flow, flow(x)[0])
    levels = (256 * x).floor()
    assert (255 * back - levels).abs().max() < 1e-3  # every grey level returns


# --- detectors
# -----------------------------------------------------------------------------------------------------------------


def test_auroc_agrees_with_scikit_learn_with_and_without_ties():
    from sklearn.metrics import roc_auc_score

    g = torch.Generator().manual_seed(0)
    for round_ in (False, True):
        usual = torch.randn(80, generator=g)
        other = torch.randn(50, generator=g) + 0.7
        if round_:
            usual, other = usual.round(), other.round()
        labels = [0] * 80 + [1] * 50
        trusted = roc_auc_score(labels, torch.cat([usual, other]).numpy())
        assert L.auroc(usual, other) == pytest.approx(trusted, abs=1e-9)
    assert L.auroc(usual, usual) == pytest.approx(0.5)


def test_strangers_are_pictures_and_what_their_names_say():
    x = cu.mnist().val.float()[:20]
    sets = L.strangers(x)
    names = "letters", "half contrast", "blurred", "blank page", "full ink", "flat grey", "inverted", "noise"
    assert tuple(sets) == names
    for pictures in sets.values():
        assert pictures.shape == x.shape and pictures.min() >= 0 and pictures.max() <= 1
    assert sets["blank page"].sum() == 0 and (sets["full ink"] == 1).all()
    assert (255 * sets["flat grey"]).round().unique().tolist() == [128]
    torch.testing.assert_close(sets["inverted"] + x, torch.ones_like(x))
    torch.testing.assert_close(sets["blurred"].sum(), x.sum(), rtol=0.02, atol=0)
    assert abs(float(sets["noise"].mean()) - 0.5) < 0.02
    assert len({tuple(letter.flatten().tolist()) for letter in sets["letters"]}) > 15


def test_a_png_grows_with_what_there_is_to_say():
    x = cu.mnist().val.float()[:5]
    blank, digit, noise = (L.png_nats(p).mean() for p in (0 * x, x, torch.rand_like(x)))
    assert blank < digit < noise
    assert (L.png_nats(x) / (8 * math.log(2))).frac().abs().max() < 1e-3  # whole bytes


def test_a_fifth_of_the_pixels_is_spoilt_and_the_others_are_not():
    torch.manual_seed(0)
    x = torch.full((50, 1, 28, 28), 0.4)
    out = L.spoilt(x)
    changed = out != x
    assert abs(float(changed.float().mean()) - 0.2) < 0.01
    assert abs(float(out[changed].mean()) - 0.5) < 0.02
    assert (255 * out[changed] - (255 * out[changed]).round()).abs().max() < 1e-3  # grey levels


def test_the_sneaking_letters_stay_letters():
    x = cu.data.letters()[:40].float() / 255
    out = exercises.sneak(x)
    assert out.shape == x.shape and out.min() >= 0 and out.max() <= 1
    assert out.sum() < x.sum()


def test_the_sneaking_letters_ring_no_more_than_one_in_twenty_where_most_letters_ring():
    flow = first.image_flow()
    runs.restore("10_flow", flow)
    torch.manual_seed(0)
    letters = L.strangers(cu.mnist().test.float()[:200])["letters"]
    limit = L.log_p_of(flow, cu.mnist().val.float()[:200]).quantile(0.05)
    ring = [float((L.log_p_of(flow, x) < limit).double().mean()) for x in (letters, exercises.sneak(letters))]
    assert ring[0] > 0.5 and ring[1] <= 0.05


# --- the bound
# -----------------------------------------------------------------------------------------------------------------


def falling_log_w(n, d, seed=0, rate=30.0, width=1 / 8):
    """Log-weights (64, n) of cell 0 under p ∝ exp(−rate · v) on [0, 1)^d, and the exact log P."""
    top = math.log(rate / (1 - math.exp(-rate)))
    u = torch.rand(64, n, d, generator=torch.Generator().manual_seed(seed)).double()
    exact = math.log((1 - math.exp(-rate * width)) / (1 - math.exp(-rate)))
    return (top - rate * width * u + math.log(width)).sum(2), d * exact


def test_weighted_bounds_rise_with_the_weights_and_stay_below_the_exact_law():
    for d in (1, 10):
        log_w, exact = falling_log_w(4_000, d)
        found = list(L.by_weights(log_w).values())
        error = 4 * float(log_w.std()) / math.sqrt(4_000)
        assert found == sorted(found) and found[-1] < exact + error
        assert found[0] < found[-1] - 0.1
    log_w, exact = falling_log_w(4_000, 1)
    assert abs(L.by_weights(log_w)[64] - exact) < 0.02  # one pixel: nothing is missing any more


def test_one_weight_misses_what_the_integral_says():
    log_w, exact = falling_log_w(20_000, 1)
    c = 30 / 8
    gap = math.log((1 - math.exp(-c)) / c) + c / 2
    assert exact - L.by_weights(log_w)[1] == pytest.approx(gap, abs=0.01)


def test_groups_of_weights_use_every_draw_once():
    log_w = torch.arange(64 * 3).double().view(64, 3) / 7
    found = L.by_weights(log_w, (1, 64))
    assert found[1] == pytest.approx(float(log_w.mean()))
    whole = log_w.logsumexp(0) - math.log(64)
    assert found[64] == pytest.approx(float(whole.mean()))
    four = log_w.view(16, 4, 3).logsumexp(1) - math.log(4)
    assert L.by_weights(log_w, (4,))[4] == pytest.approx(float(four.mean()))


def test_gaussian_log_weights_miss_half_their_variance():
    log_w = 0.5 * torch.randn(64, 20_000, generator=torch.Generator().manual_seed(0)).double()
    found = L.by_weights(log_w)
    assert found[64] - found[1] == pytest.approx(0.125, abs=0.01)  # σ²/2, all of which 64 weights find


def test_the_rule_of_half_the_variance_is_near_on_the_known_law():
    log_w, exact = falling_log_w(2_000, 100)
    gap = exact - L.by_weights(log_w)[1]
    assert gap == pytest.approx(53, abs=1) and float(log_w.var(0).mean()) / 2 == pytest.approx(58, abs=2)


def noise_model(seed=0):
    torch.manual_seed(seed)
    model = L.WithNoise(small_flow(), width=8)
    with torch.no_grad():
        model.shape.net.say.weight.normal_(std=0.3)
        model.shape.net.say.bias.normal_(std=0.5)
    return model


def test_learned_noise_begins_uniform():
    torch.manual_seed(0)
    model = L.WithNoise(small_flow())
    x = cu.mnist().val.float()[:8]
    with torch.no_grad():
        u, log_q = model.draw(x)
    assert log_q.abs().max() < 1e-2
    assert abs(float(u.mean()) - 0.5) < 0.01 and abs(float(u.std()) - 12**-0.5) < 0.01


def test_shaped_noise_integrates_to_one_and_its_logit_is_a_bell():
    v = (torch.arange(100_000).double()[:, None] + 0.5) / 100_000
    s, t = torch.full_like(v, -0.3), torch.full_like(v, -2.0)
    u, log_q = exercises.shaped_noise(v, s, t)
    widths = u[1:, 0] - u[:-1, 0]
    middle = (log_q[1:].exp() + log_q[:-1].exp()) / 2
    assert float((widths * middle).sum()) == pytest.approx(1, abs=1e-3)
    line = u.logit()[:, 0]
    assert float(line.mean()) == pytest.approx(-2, abs=1e-3)  # a logistic law around t, of width e^s
    assert float(line.std()) == pytest.approx(math.exp(-0.3) * math.pi / 3**0.5, rel=1e-3)


def test_learned_noise_has_the_density_it_says():
    """log q against the Jacobian of the map from uniform noise, by autograd, for one picture."""
    model = noise_model().double()
    x = cu.mnist().val.float()[:1].double()
    s, t = model.shape.terms(model.fold(x)[0])
    torch.manual_seed(3)
    u, log_q = model.draw(x)
    torch.manual_seed(3)
    v = torch.rand_like(x).clamp(1e-5, 1 - 1e-5).requires_grad_()
    again = (model.fold.back(s).exp() * v.logit() + model.fold.back(t)).sigmoid()
    torch.testing.assert_close(u, again.detach().clamp(1e-6, 1 - 1e-6))
    slopes = torch.autograd.grad(again.sum(), v)[0]  # each u depends on its own v only
    torch.testing.assert_close(log_q[0], -slopes.log().sum(), atol=1e-6, rtol=1e-8)


def test_a_weight_is_log_p_minus_log_q_and_its_loss_has_gradients_everywhere():
    model = noise_model()
    x = cu.mnist().train.float()[:4]
    torch.manual_seed(5)
    weight = model.log_w(x)
    torch.manual_seed(5)
    u, log_q = model.draw(x)
    torch.testing.assert_close(weight, model.flow.log_p(((255 * x).round() + u) / 256) - log_q)
    L.learned_loss(model, x).backward()
    for name, p in model.named_parameters():
        assert p.grad is not None and p.grad.isfinite().all() and p.grad.abs().sum() > 0, name


def test_with_its_flow_frozen_only_the_noise_learns():
    model = noise_model()
    model.flow.requires_grad_(False)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    cu.fit(model, L.learned_loss, cu.Batches(cu.mnist().train, 8), steps=2, lr=1e-3, ema=0.9)
    for name, p in model.named_parameters():
        assert torch.equal(p.detach().cpu(), before[name]) == name.startswith("flow."), name


# --- one number after another
# -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("D", [2, 9, 30])
def test_an_autoregressive_flow_against_autograd_both_ways(D):
    torch.manual_seed(D)
    maf = L.MAF(D, 40).double()
    x = torch.randn(5, D).double()
    with torch.no_grad():
        z, ledger = maf(x)
        assert (maf.back(z) - x).abs().max() < 1e-10
        mean, width = maf.terms(x)
    torch.testing.assert_close(z * width + mean, x)
    assert width.log().abs().max() < 1  # a tanh keeps it so
    J = torch.autograd.functional.jacobian(lambda v: maf(v[None])[0][0], x[0])
    assert J.triu(1).abs().max() == 0 and J.tril(-1).abs().max() > 0
    assert abs(float(torch.linalg.slogdet(J)[1] - ledger[0])) < 1e-10
    swapped = L.Swapped(maf)
    with torch.no_grad():
        y, other = swapped(x)
        assert (swapped.back(y) - x).abs().max() < 1e-10
        back = maf(y)[1]
    torch.testing.assert_close(other, -back)


def test_a_maf_in_the_plane_integrates_to_one():
    torch.manual_seed(0)
    maf = L.MAF(2, 30).double()
    side = torch.linspace(-14, 14, 561).double()
    grid = torch.cartesian_prod(side, side)
    with torch.no_grad():
        z, ledger = maf(grid)
        total = (first.normal_log_p(z) + ledger).exp().sum() * (side[1] - side[0]) ** 2
    assert abs(float(total) - 1) < 0.01


def test_a_linear_maf_is_a_gaussian_with_full_covariance():
    torch.manual_seed(0)
    maf = L.MAF(4, 8).double()
    with torch.no_grad():
        for part in (maf.mean, maf.log_width):
            for p in part.parameters():
                p.zero_()
        maf.mean.direct.normal_()
        A = torch.eye(4).double() - maf.mean.direct.tril(-1)  # z = A x
        x = torch.randn(6, 4).double()
        z, ledger = maf(x)
        found = first.normal_log_p(z) + ledger
    gauss = torch.distributions.MultivariateNormal(torch.zeros(4).double(), precision_matrix=A.T @ A)
    torch.testing.assert_close(found, gauss.log_prob(x))


# --- the shipped runs
# -----------------------------------------------------------------------------------------------------------------


def val_bits(model, loss, x):
    """As the lesson's own for the cards: 1,000 images, the same noise."""
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(2)
        return float(sum(loss(model, part) for part in x[:1_000].split(250)) / 4)


NINE = (0, 2, 3, 4, 5, 6, 7, 8, 9)


@pytest.mark.parametrize("name", ["10b_no_ones", "10b_noisy", "10b_noisy_no_ones"])
def test_the_shipped_small_flows_have_their_bits(name):
    model = first.image_flow((4, 4, 2), 16)
    run = runs.restore(name, model)
    val = cu.mnist().val.only(*NINE) if "no_ones" in name else cu.mnist().val
    loss = L.spoilt_loss if "noisy" in name else first.flow_loss
    assert abs(val_bits(model, loss, val.float()) - run.figure("validation bits")) < 0.002


def test_the_shipped_flow_without_ones_prefers_ones():
    model = first.image_flow((4, 4, 2), 16)
    runs.restore("10b_no_ones", model)
    usual = L.log_p_of(model, cu.mnist().test.only(*NINE).float()[:100])
    ones = L.log_p_of(model, cu.mnist().test.only(1).float()[:100])
    assert L.auroc(-usual, -ones) < 0.5


def test_the_shipped_learned_noise_has_its_bits_and_weights_help():
    model = L.WithNoise(first.image_flow())
    run = runs.restore("10b_learned", model)
    steps = sorted(int(key.split()[-1]) for key in run.card["figures"] if key.startswith("validation bits"))
    bits = [run.figure(f"validation bits, step {step}") for step in steps]
    assert abs(val_bits(model, L.learned_loss, cu.mnist().val.float()) - bits[-1]) < 0.002
    assert steps[0] == 0 and bits[-1] < bits[0] - 0.02
    assert run.figure("test bits per dimension") < runs.load("10_flow").figure("test bits per dimension")
    for kind in ("uniform", "learned"):
        one, many = (run.figure(f"{kind}, S = {S}, 100 test digits") for S in (1, 64))
        assert many < one


def test_the_shipped_comparison_of_noises():
    run = runs.load("10b_small")
    kinds = ("uniform", "frozen", "learned")
    bits = {kind: [run.figure(f"{kind}, seed {seed}") for seed in range(3)] for kind in kinds}
    for better, worse in (("frozen", "uniform"), ("learned", "frozen")):
        assert all(a < b for a, b in zip(bits[better], bits[worse]))
    for kind in kinds:
        for seed in range(3):
            values = [run.figure(f"{kind}, seed {seed}, S = {S}") for S in (1, 4, 16, 64)]
            assert values == sorted(values, reverse=True)
    flow = first.image_flow((4, 4, 2), 16)
    numbers = [sum(p.numel() for p in net.parameters()) for net in (L.WithNoise(flow), flow)]
    assert run.figure("weights of the noise") == numbers[0] - numbers[1] == 4_072


def test_the_shipped_scatter_falls_in_bits_over_the_training():
    run = runs.load("10b_scatter")
    steps = [k.split()[-1] for k in run.card["figures"] if k.startswith("bits, step")]
    steps = sorted(int(step) for step in steps if step != "end")
    bits = [run.figure(f"bits, step {step}") for step in steps]
    assert bits == sorted(bits, reverse=True) and len(steps) >= 5
    flow = first.image_flow()
    runs.restore("10_flow", flow)
    torch.manual_seed(0)
    part = cu.mnist().test.float()[::10]
    end = float(first.bits_per_dim(L.log_p_of(flow, part)).mean())
    assert abs(end - run.figure("bits, step end")) < 0.02


def test_the_gaussian_of_the_scatter_has_its_bits():
    torch.manual_seed(0)
    rows = first.with_noise(cu.mnist().test.float()[::10]).flatten(1).double()
    train = first.with_noise(cu.mnist().train.float()).flatten(1)
    cov = torch.cov(train.T).double() + 1e-4 * torch.eye(784).double()
    gauss = torch.distributions.MultivariateNormal(train.double().mean(0), cov)
    bits = float(first.bits_per_dim(gauss.log_prob(rows)).mean())
    assert abs(bits - runs.load("10b_scatter").figure("Gaussian, bits")) < 0.005


def test_the_shipped_flow_drowns_in_noise_and_its_bits_do_not():
    flow = first.image_flow()
    run = runs.restore("10_flow", flow)
    x = first.with_noise(cu.mnist().test.float()[:100].double())
    with torch.no_grad():
        log_p = flow.double().log_p(x)
    alone, drowned = (float(first.bits_per_dim(p).mean()) for p in (log_p, L.diluted(log_p, 0.01)))
    assert 0 < drowned - alone <= math.log2(100) / 784 + 1e-6
    made = torch.as_tensor(run.samples)[:500]
    g = torch.Generator().manual_seed(0)
    noise = torch.randint(256, made.shape, generator=g, dtype=torch.uint8)
    noise[:5] = made[:5]
    before, after = (cu.metrics.score(x, 500).distance for x in (made, noise))
    assert after > 3 * before
