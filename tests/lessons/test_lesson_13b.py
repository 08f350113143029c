"""Lesson 13b: slopes and steps back, encoders, directions, styles a layer, glasses and hair, pairs,
players who are told the class."""

import copy
import itertools
import math
from functools import partial

import pytest
import torch
from torch import nn
from torch.distributions import Normal, kl_divergence
from torch.nn import functional as F

import course_utils as cu
from course_utils import runs
from course_utils.checks.references import ref_13b
from course_utils.lessons import lesson_05, lesson_12
from course_utils.lessons.lesson_13 import latents, new_game, paint
from course_utils.nets.growing import with_spread
from course_utils.runs.pictures import pictures
from tests.lessons.lesson_functions import load

NAMES = [
    *("slopes", "settle", "Eye", "by_address", "by_picture", "played", "new_eye", "ready", "change"),
    *("tied", "Styled", "Brush", "Painter", "TRAITS", "Reader", "black_or_blond", "traits_of", "right_share"),
    *("traits", "styled", "portray", "stepped", "now", "mix", "FromStyles", "Pair", "coded", "finish"),
    *("vae_round", "halfway", "vaegan_round", "sharpness", "game_round", "PAIR_ROUNDS"),
    *("Told", "orders", "ToldCritic", "nudged", "told_round", "linear", "BEST_ROUNDS"),
]
CHECKED = {
    "checked_descend": ref_13b.descend,
    "checked_directions": ref_13b.directions,
    "checked_untangled": ref_13b.untangled,
    "checked_truncated": ref_13b.truncated,
}
L = load("13b", *NAMES, **CHECKED, device=torch.device("cpu"), shares=torch.arange(10.0).double())
SCOPE = L.settle.__globals__
LATENT = lesson_05.LATENT
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script`:FutureWarning")  # jvp's, not ours


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


def state(net):
    return {name: part.clone() for name, part in net.state_dict().items()}


def same(before, net):
    """Whether a network, its statistics included, is what it was, bit by bit."""
    return all(torch.equal(part, before[name]) for name, part in net.state_dict().items())


def off(G, z, x):
    """Root mean squared error of the pixels, (n,)."""
    return (paint(G, z) - x).square().flatten(1).mean(1).sqrt()


def psnr(x, reference):
    return float(cu.metrics.psnr(x, reference).mean())


# --- 1: slopes, and steps of equation (3)
# ----------------------------------------------------------------------------------------------------------


def test_slopes_are_the_jacobian_of_each_picture():
    torch.manual_seed(0)
    G = lesson_05.Generator(w=2).double()
    G(normal(30, LATENT))  # statistics that are not 0 and 1
    G.eval()
    z = normal(3, LATENT, seed=1)
    J = L.slopes(G, z)
    assert J.shape == (3, 784, LATENT) and J.dtype == torch.float64
    for one, found in zip(z, J):
        right = torch.autograd.functional.jacobian(lambda z: G(z[None]).flatten(), one)
        torch.testing.assert_close(found, right)
    assert (J[0] - J[1]).abs().max() > 0.01 * J.abs().max(), "each at its own z"


@pytest.mark.parametrize("size", [1.0, 1e-2])
def test_a_linear_generator_is_solved_whatever_its_size_and_the_start(size):
    """At 1e-2 the first damping is larger than WᵀW: it has to fall."""
    W, b, x = size * normal(60, 5), normal(60, seed=1), normal(4, 60, seed=2)
    landed = L.settle(lambda z: z @ W.T + b, x, normal(4, 5, seed=3), steps=20)
    solved = torch.linalg.lstsq(W, (x - b).T).solution.T
    torch.testing.assert_close(landed, solved, atol=1e-9 / size**2, rtol=0)
    rest = x - (landed @ W.T + b)
    assert (rest @ W).abs().max() < 1e-9 / size and rest.norm() > 1, "at right angles to every column"


class Wavy(nn.Module):
    """Latents (n, 3) → pictures (n, 2, 7) that whole steps of Gauss and Newton overshoot."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(3, 14), nn.Linear(14, 14)
        self.double().requires_grad_(False)
        for seed, part in enumerate(self.parameters()):
            part.copy_(normal(*part.shape, seed=40 + seed))

    def forward(self, z):
        return self.last((2 * self.first(z)).sin()).unflatten(1, (2, 7))


def test_no_step_makes_any_picture_worse_and_no_picture_sees_another():
    G, z = Wavy(), normal(6, 3, seed=1)
    x = G(normal(6, 3, seed=2)) + 0.1 * normal(6, 2, 7, seed=3)
    kept = state(G), z.clone(), x.clone()
    ends = [L.settle(G, x, z, steps) for steps in range(25)]
    assert same(kept[0], G) and torch.equal(z, kept[1]) and torch.equal(x, kept[2]) and G.training
    errors = torch.stack([(G(end) - x).square().sum((1, 2)) for end in ends])
    assert torch.equal(ends[0], z) and (errors.diff(dim=0) <= 0).all() and (errors[-1] < errors[0]).all()
    refused = torch.stack([(a == b).all(1) for a, b in itertools.pairwise(ends[:12])])
    assert refused.any() and not refused.all(1).any(), "one waits while others go on"
    moved = torch.stack([(a != b).any(1) for a, b in itertools.pairwise(ends)])
    for i in refused.any(0).nonzero()[:, 0]:
        assert moved[refused[:, i].nonzero()[0, 0] :, i].any(), "a shorter step is taken after one refused"
    for i in range(6):
        torch.testing.assert_close(L.settle(G, x[i : i + 1], z[i : i + 1], 10), ends[10][i : i + 1])


def test_the_first_step_is_equation_3():
    G, z = Wavy(), normal(4, 3, seed=1)
    x = G(z + 0.01 * normal(4, 3, seed=2))
    for one, goal, new in zip(z, x, L.settle(G, x, z, steps=1)):
        J = torch.autograd.functional.jacobian(lambda z: G(z[None]).flatten(), one)
        by = (J.T @ J + 0.01 * torch.eye(3)).inverse() @ J.T @ (G(one[None]) - goal).flatten()
        torch.testing.assert_close(new, one - by)


@pytest.fixture(scope="module")
def G():
    """Lesson 05's generator, as the lesson reads it."""
    G = L.ready(lesson_05.Generator(), "05_gan", "G")
    assert not G.training and not any(part.requires_grad for part in G.parameters())
    return G


def test_near_a_latent_equation_3_lands_on_it_and_descent_only_comes_near(G):
    """Both in as many drawings, a column of J counted as one."""
    true = latents(4, seed=9)
    x, steps = paint(G, true), 8
    start = true + 0.1 * torch.randn(4, LATENT, generator=seeded(1))
    before = state(G)
    landed = L.settle(G, x, start, steps)
    near = ref_13b.descend(G, x, start[None], steps * (LATENT + 1))
    assert same(before, G)
    assert off(G, start, x).min() > 0.01, "not recovered at the start"
    found, other = off(G, landed, x), off(G, near, x)
    assert (found < 0.01).all() and found.median() < 1e-4 and other.median() > 20 * found.median()
    assert ((landed - true).norm(dim=1) / (start - true).norm(dim=1)).median() < 0.1


# --- 2: encoders
# ----------------------------------------------------------------------------------------------------------


def test_the_best_address_by_squared_error_is_a_mean_and_draws_another_picture():
    """G squares, so that z and −z draw one picture: the mean of its addresses is 0."""
    z = torch.randn(4_000, 3, generator=seeded())

    def squared(z):
        return z.square()

    def positive(x):
        return x.sqrt()

    assert float(L.by_address(lambda x: z, squared, z)) == 0
    assert float(L.by_picture(positive, squared, z)) < 1e-10
    assert float(L.by_address(positive, squared, z)) == pytest.approx(2, rel=0.1)
    assert float(L.by_address(torch.zeros_like, squared, z)) == pytest.approx(1, rel=0.1)
    assert float(L.by_picture(torch.zeros_like, squared, z)) == pytest.approx(3, rel=0.15)


def test_an_encoder_learns_from_a_generator_that_stays_as_it_was_shipped(G):
    seen = []

    def noting(E, teacher, z):
        assert E.training and not teacher.training and same(state(G), teacher)
        assert not any(part.requires_grad for part in teacher.parameters())
        seen.append(z)
        return L.by_picture(E, teacher, z)

    E = L.new_eye(noting, 3)
    assert not E.training and len(seen) == 3 and not torch.equal(seen[0], seen[1])
    assert seen[0].shape == (64, LATENT)
    for kind in (nn.Conv2d, nn.Linear):
        assert all(part.weight.grad.abs().max() > 0 for part in E.modules() if isinstance(part, kind))


def test_asked_for_the_picture_an_encoder_is_nearer_in_pixels_and_farther_in_z(G):
    eyes = {name: L.ready(L.Eye(), "13b_eyes", name) for name in ("by_address", "by_picture")}
    z = latents(300, seed=70)
    own, digits = paint(G, z), cu.mnist().val.float()[:300].view(-1, 1, 28, 28)
    for x in (own, digits):
        found = {name: psnr(paint(G, E(x)), x) for name, E in eyes.items()}
        assert found["by_picture"] > found["by_address"] + 2
    far = {name: float((E(own) - z).norm(dim=1).median()) for name, E in eyes.items()}
    strangers = float((z - z.roll(1, 0)).norm(dim=1).median())
    assert far["by_address"] < 0.8 * far["by_picture"] < 0.8 * strangers
    assert far["by_address"] > 0.5 * strangers, "nobody finds the true address"
    length = {name: float(E(own).norm(dim=1).median()) for name, E in eyes.items()}
    assert length["by_address"] < 0.9 * float(z.norm(dim=1).median()), "a mean of many is shorter"


# --- 3: directions
# ----------------------------------------------------------------------------------------------------------


def test_a_planted_attribute_is_found_among_latents_that_hang_together():
    z = normal(2_000, 6) @ normal(6, 6, seed=1) + 5
    planted = normal(6, 2, seed=2)
    a = z @ planted - 40 + 0.01 * normal(2_000, 2, seed=3)
    found = ref_13b.directions(z, a)
    torch.testing.assert_close(found, planted, atol=0.01, rtol=0)
    torch.testing.assert_close(ref_13b.directions(z - 7, a + 3), found)


def test_untangling_costs_the_sine_of_the_angle_and_leaks_nothing():
    """Exercise 1: of all walks of length 1 that leave b alone, none changes a more."""
    u, v = normal(5), normal(5, 2, seed=1)
    pure = ref_13b.untangled(u, v)
    assert (pure @ v).abs().max() < 1e-12
    gain = float(u @ pure / pure.norm())
    alone = ref_13b.untangled(u, v[:, :1])
    cosine = F.cosine_similarity(u, v[:, 0], dim=0)
    assert float(u @ alone / alone.norm()) == pytest.approx(float(u.norm() * (1 - cosine**2).sqrt()))
    for walk in torch.linalg.svd(v.T).Vh[2:]:  # others that leave both alone
        assert abs(float(walk @ u)) <= gain + 1e-12
    torch.testing.assert_close(ref_13b.untangled(pure, v), pure)


@pytest.fixture(scope="module")
def walks(G):
    """Directions of lesson 05's latents by 1,000 of them, and what a step of length 1 does to 400."""
    many = latents(1_400, seed=50)
    drawn = paint(G, many)
    attributes, digit = lesson_12.measured(drawn), lesson_12.read_class(drawn)
    SCOPE.update(G=G, many=many, N_FIT=1_000, attributes=attributes, digit=digit)
    known = torch.cat([attributes, F.one_hot(digit, 10)], 1)
    fitted = ref_13b.directions(many[:1_000], known[:1_000])
    ways = {"slant": fitted[:, 0], "ink": fitted[:, 1]}
    ways["untangled"] = ref_13b.untangled(fitted[:, 1], fitted[:, 2:-1])
    ways["at random"] = torch.randn(LATENT, generator=seeded(3))
    return ways, {name: L.change(d, 1.0) for name, d in ways.items()}, fitted


def test_a_step_along_slant_leans_and_a_step_along_ink_costs_classes(walks):
    ways, effects, fitted = walks
    slant, ink, kept = effects["slant"]
    assert 0.6 < slant < 1.1 and abs(ink) < 0.15 and kept > 0.7
    slant, ink, kept = effects["ink"]
    assert 0.6 < ink < 1.1 and abs(slant) < 0.15
    _, pure_ink, pure_kept = effects["untangled"]
    assert pure_kept > kept + 0.15 and 0.4 < pure_ink < ink - 0.1, "less leakage, less gain"
    assert kept < effects["at random"][2] - 0.03 and abs(effects["at random"][0]) < 0.15
    shadow = ways["untangled"] @ (fitted[:, 2:] / fitted[:, 2:].norm(dim=0))
    assert shadow.abs().max() < 1e-5 * ways["ink"].norm(), "the tenth class, too: the ten sum to 1"


def test_a_step_has_the_length_that_is_asked_for_whatever_that_of_the_direction(walks):
    ways, effects, _ = walks
    torch.testing.assert_close(
        torch.tensor(L.change(5 * ways["slant"], 1.0)), torch.tensor(effects["slant"]), atol=2e-3, rtol=0
    )
    assert L.change(ways["slant"], 0.0) == pytest.approx([0, 0, 1], abs=1e-6)


# --- 4: styles
# ----------------------------------------------------------------------------------------------------------


def random_styled(a=3, b=5):
    torch.manual_seed(0)
    return L.Styled(a, b).double()


@torch.no_grad()
def test_what_a_convolution_adds_or_multiplies_to_its_maps_is_forgotten():
    layer, h, u = random_styled(), normal(4, 3, 8, 8), normal(4, LATENT, seed=1)
    out = layer(h, u)
    factor = torch.linspace(1, 4, 5).double()
    layer.look.weight.mul_(factor[:, None, None, None])
    layer.look.bias.mul_(factor).add_(normal(5, seed=2))
    torch.testing.assert_close(layer(h, u), out, atol=1e-3, rtol=1e-3)  # instance norm's ε


@torch.no_grad()
def test_a_style_scales_and_shifts_standardised_maps_each_picture_by_its_own():
    layer, h, u = random_styled(), 10 * normal(4, 3, 8, 8), normal(4, LATENT, seed=1)
    asked = layer.ask(u)
    out = layer(h, u)
    before = torch.where(out < 0, out / 0.2, out).flatten(2)  # the leaky ReLU undone
    torch.testing.assert_close(before.std(2, correction=0), (1 + asked[:, :5]).abs(), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(before.mean(2), asked[:, 5:], atol=1e-6, rtol=0)
    other = layer(h, torch.cat([u[:1], normal(3, LATENT, seed=9)]))
    torch.testing.assert_close(other[0], out[0])
    assert (other[1:] - out[1:]).abs().amax((1, 2, 3)).min() > 0.1


def heard(brush, call):
    """What each of the layers hears during a call, (B, 6, 64), and how wide its maps are."""
    styles, widths = [], []

    def note(_, inputs):
        styles.append(inputs[1].detach().clone())
        widths.append(inputs[0].shape[-1])

    hooks = [layer.register_forward_pre_hook(note) for layer in brush.layers]
    with torch.no_grad():
        pages = call()
    for hook in hooks:
        hook.remove()
    return torch.stack(styles, 1), widths, pages


def small_painter():
    torch.manual_seed(1)
    return L.Painter().eval()


@torch.no_grad()
def test_every_layer_hears_its_own_style_and_six_equal_ones_are_one():
    painter, u = small_painter(), torch.randn(3, 6, LATENT, generator=seeded())
    told, widths, pages = heard(painter, lambda: painter.draw(u))
    assert torch.equal(told, u) and widths == [4, 4, 8, 8, 16, 16] and pages.shape == (3, 3, 32, 32)
    assert pages.min() >= 0 and pages.max() <= 1
    one = painter.draw(u[:, 0])
    torch.testing.assert_close(one, painter.draw(u[:, :1].expand(-1, 6, -1)))
    torch.testing.assert_close(painter.draw(u[1:2])[0], pages[1])  # alone as in company
    for k in range(6):
        v = u.clone()
        v[1, k] += 1
        differ = (painter.draw(v) - pages).abs().amax((1, 2, 3))
        assert differ[1] > 1e-4 and differ[[0, 2]].max() < 1e-6, k


def test_in_training_late_layers_hear_a_neighbour_and_at_rest_none_does():
    painter, z = small_painter(), torch.randn(300, LATENT, generator=seeded())
    with torch.no_grad():
        own = painter.map(F.normalize(z, dim=1) * LATENT**0.5)
    told, _, _ = heard(painter, lambda: painter(z))
    torch.testing.assert_close(told, own[:, None].expand(-1, 6, -1))
    told, _, _ = heard(painter.train(), lambda: painter(z))
    mine = (told == told[:, :1]).all(2)
    torch.testing.assert_close(told[:, 0], own)
    assert (mine.int().diff(dim=1) <= 0).all(), "from one place on"
    neighbour = own.roll(1, 0)[:, None].expand(-1, 6, -1)
    torch.testing.assert_close(told[~mine], neighbour[~mine])
    counts = mine.sum(1).bincount(minlength=7)
    chance = torch.tensor([0, 1, 1, 1, 1, 1, 6]) / 11
    spread = (300 * chance * (1 - chance)).sqrt()
    assert ((counts - 300 * chance).abs() <= 4 * spread).all(), "a cut for each picture, by lot"


@torch.no_grad()
def test_the_length_of_z_says_nothing():
    painter, z = small_painter(), torch.randn(4, LATENT, generator=seeded())
    pages = painter(z)
    torch.testing.assert_close(painter(z * torch.tensor([[0.1], [1.0], [3.0], [50.0]])), pages)
    assert (painter(-z) - pages).abs().max() > 1e-3


@torch.no_grad()
def test_one_style_or_six_in_a_row_are_searched_by_one_module():
    painter, u = small_painter(), torch.randn(5, 6, LATENT, generator=seeded())
    G = L.FromStyles(painter)
    torch.testing.assert_close(G(u[:, 2]), G(u[:, 2].repeat(1, 6)))
    torch.testing.assert_close(G(u.flatten(1)), painter.draw(u))
    torch.testing.assert_close(G(u[:, 2]), painter.draw(u[:, 2]))


def test_mixed_styles_and_truncated_ones():
    a, b = normal(4, LATENT), normal(4, LATENT, seed=1)
    mixed = L.mix(a, b, 2)
    assert torch.equal(mixed[:, :2], a[:, None].expand(-1, 2, -1)) and mixed.shape == (4, 6, LATENT)
    assert torch.equal(mixed[:, 2:], b[:, None].expand(-1, 4, -1))
    centre = normal(LATENT, seed=2)
    torch.testing.assert_close(ref_13b.truncated(a, centre, 1.0), a)
    torch.testing.assert_close(ref_13b.truncated(a, centre, 0.0), centre.expand(4, -1))
    half = ref_13b.truncated(a, centre, 0.5)
    torch.testing.assert_close((half - centre).norm(dim=1), (a - centre).norm(dim=1) / 2)
    torch.testing.assert_close((half - centre).norm(dim=1), (half - a).norm(dim=1))


# --- 4: the tie, as shipped
# ----------------------------------------------------------------------------------------------------------


def binomial(share, p, n):
    """Whether a share of n is p, within four standard deviations."""
    return abs(float(share) - p) < 4 * math.sqrt(p * (1 - p) / n)


def test_the_law_ties_hair_to_glasses_and_nothing_else():
    n = 3_000
    known = cu.portraits(n, size=32, seed=91, law=L.tied).attributes
    worn, blond = known["glasses"], known["hair"] == 4
    assert set(known["hair"].tolist()) == {0, 4} and binomial(worn.double().mean(), 0.5, n)
    assert binomial(blond[worn].double().mean(), 0.9, int(worn.sum()))
    assert binomial(blond[~worn].double().mean(), 0.1, int((~worn).sum()))
    free = cu.portraits(n, size=32, seed=91, law=L.black_or_blond).attributes
    assert torch.equal(free["glasses"], worn) and set(free["hair"].tolist()) == {0, 4}
    for value in (True, False):
        chosen = free["glasses"] == value
        assert binomial((free["hair"][chosen] == 4).double().mean(), 0.5, int(chosen.sum()))


@pytest.fixture(scope="module")
def studio():
    """The painter, both readers, 1,000 styles, the first reader's steps, and 250 without glasses."""
    painter = L.ready(L.Painter(), "13b_painter", "G")
    readers = [L.ready(L.Reader(), "13b_readers", name) for name in ("first", "second")]
    finder, judge = readers
    SCOPE.update(painter=painter, finder=finder, judge=judge)
    crowd = L.styled(latents(1_000, seed=60))
    faces = L.portray(crowd)
    shows, seen = (L.traits(reader, faces) for reader in readers)
    step = {}
    for k, name in enumerate(L.TRAITS[:2]):
        has = shows[:, k] > 0.5
        step[name] = crowd[has].mean(0) - crowd[~has].mean(0)
    bare = crowd[shows[:, 0] < 0.5][:250]
    SCOPE.update(bare=bare, first=L.traits(judge, L.portray(bare)))
    return crowd, faces, shows, seen, step, readers


def test_both_readers_read_what_portraits_are_known_to_show(studio):
    people = cu.portraits(600, size=32, seed=92, law=L.black_or_blond)
    truth = L.traits_of(people)
    assert truth.shape == (600, 5) and set(truth.unique().tolist()) == {0, 1}
    assert torch.equal(truth[:, 1] == 1, people.attributes["hair"] == 4)
    run = runs.load("13b_readers")
    for word, reader in zip(("first", "second"), studio[5]):
        right = (L.traits(reader, people.x.float() / 255) == truth).double().mean(0)
        assert right.min() >= 0.98
        for name, share, again in zip(L.TRAITS, right, L.right_share(reader)):
            entry = run.card["figures"][f"{word} reader, {name}"]
            assert abs(float(again) - entry["value"]) <= entry["tolerance"]
            assert binomial(share, min(entry["value"], 0.995), 600)


def test_the_painter_draws_what_readers_agree_on_and_keeps_the_tie(studio):
    _, faces, shows, seen, _, _ = studio
    assert faces.shape == (1_000, 3, 32, 32)
    agree = (shows == seen).double().mean(0)
    assert (agree[:2] >= 0.95).all() and agree[3] >= 0.95  # glasses, blond, long
    assert 0.4 < seen[:, 0].mean() < 0.6
    worn = seen[:, 0] > 0.5
    assert seen[worn, 1].mean() > 0.9 and seen[~worn, 1].mean() < 0.1, "more than the law says"


def test_glasses_dye_the_hair_except_in_the_layer_that_draws_them(studio):
    step = studio[4]
    no, yes = (step[name] for name in ("glasses", "blond"))
    assert F.cosine_similarity(no, yes, dim=0) > 0.97
    found = {"all": L.now(L.stepped(step["glasses"]))}
    found |= {k: L.now(L.stepped(step["glasses"], [k])) for k in (2, 3, 5)}
    share = {who: [float(entry) / 100 for entry in line[:2]] for who, line in found.items()}
    worn, dyed = share["all"]
    assert worn > 0.5 and dyed > 0.4 and 2 / 3 < worn / dyed < 3 / 2
    assert share[2][0] > 0.75 and share[2][1] < 0.05
    assert share[3][0] < 0.05 and share[3][1] > 0.4
    assert max(share[5]) < 0.05
    pure = ref_13b.untangled(step["glasses"], step["blond"][:, None])
    worn_now, dyed_now = L.now(L.stepped(pure / pure.norm() * step["glasses"].norm()))[:2]
    assert float(dyed_now) / 100 < dyed / 5 and float(worn_now) / 100 < worn / 2, "the rest is mostly noise"


def test_no_step_changes_nothing_and_a_step_is_heard_where_it_is_told(studio):
    d = studio[4]["glasses"]
    bare = SCOPE["bare"]
    assert L.now(L.stepped(d, length=0.0))[1:] == ["0.0"] * 4
    moved = L.stepped(d, [3], length=0.5) - bare[:, None]
    torch.testing.assert_close(moved[:, 3], (0.5 * d).expand(len(bare), -1), atol=1e-5, rtol=1e-4)
    assert moved[:, [0, 1, 2, 4, 5]].abs().max() == 0
    whole = L.stepped(d) - bare[:, None]
    torch.testing.assert_close(whole, (0.6 * d).expand(len(bare), 6, -1), atol=1e-5, rtol=1e-4)


def test_glasses_follow_the_donor_of_the_third_layer_and_hair_that_of_the_fourth(studio):
    crowd, _, _, seen, _, _ = studio
    takers, has = crowd[:300], seen[:300]
    donors, gives = takers.roll(1, 0), has.roll(1, 0)
    follows = torch.zeros(6, 5)
    for k in (2, 3, 4, 5):
        u = takers[:, None].repeat(1, 6, 1)
        u[:, k] = donors
        after = L.traits(SCOPE["judge"], L.portray(u))
        for trait in range(5):
            differ = has[:, trait] != gives[:, trait]
            follows[k, trait] = (after[differ, trait] == gives[differ, trait]).float().mean()
    assert follows[2, 0] > 0.7 and follows[3, 1] > 0.85
    assert follows[2, 1] < 0.1 and follows[3, 0] < 0.5, "the tie is not in the layers"
    assert follows[4:, [0, 1, 3]].max() < 0.03, "the last two: nothing of glasses, hair, length"


def test_the_kept_pictures_are_the_four_rows_of_the_first_figure(studio):
    frames, _ = pictures(runs.load("13b_painter"))
    assert frames.shape == (4, 8, 3, 32, 32)
    seen = [L.traits(SCOPE["judge"], torch.from_numpy(frame).float() / 255)[:, :2] for frame in frames]
    before, everywhere, third, fourth = seen
    changed = [(row != before).sum(0).tolist() for row in seen]  # glasses, hair
    assert before[:, 0].sum() == 0 and third[:, 0].sum() >= 6 and fourth[:, 0].sum() <= 1
    assert everywhere[:, 0].sum() >= 3 and changed[1][1] >= 3
    assert changed[2][1] <= 1 and changed[3][1] >= 3


def test_six_styles_come_nearer_to_a_portrait_than_one(studio):
    centre = studio[0].mean(0)
    visitors = cu.portraits(4, size=32, seed=93, law=L.tied, glasses=False, beard=False).x.float() / 255
    starts = centre + 0.5 * torch.randn(2, 4, LATENT, generator=seeded(2))
    G = L.FromStyles(SCOPE["painter"])
    one = ref_13b.descend(G, visitors, starts, 40, 0.05)
    six = ref_13b.descend(G, visitors, starts.repeat(1, 1, 6), 40, 0.05)
    with torch.no_grad():
        near = [psnr(G(u), visitors) for u in (starts[0], one, six)]
    assert near[1] > near[0] + 3 and near[2] > near[1] + 1


# --- 7: pairs
# ----------------------------------------------------------------------------------------------------------


def new_pair_game(rate=0.05):
    """A pair and lesson 05's critic, moved by plain descent (Adam would make signs of what is rounded)."""
    torch.manual_seed(0)
    game = new_game(L.Pair(), lesson_05.Discriminator())
    for name in "gd":
        opt = torch.optim.SGD(game[name.upper()].parameters(), rate)
        game |= {f"opt_{name}": opt, f"slow_{name}": torch.optim.lr_scheduler.LambdaLR(opt, lambda t: 1.0)}
    return game


def some_digits(n=8, at=0):
    return cu.mnist().train.float()[at : at + n].view(-1, 1, 28, 28)


def by_hand(pair, x, seed=5):
    """The same draw of z as a round's first, and the KL by torch.distributions, nats an image."""
    torch.manual_seed(seed)
    mean, log_var = pair.E(x).chunk(2, 1)
    law = Normal(mean, (0.5 * log_var).exp())
    z = mean + law.stddev * torch.randn_like(mean)
    return z, kl_divergence(law, Normal(0.0, 1.0)).sum() / len(x)


def told_widely(pair):
    """A pair whose encoder says clearly different things: its last layer ten times as large."""
    with torch.no_grad():
        pair.E.out.weight.mul_(10)


def test_a_code_is_drawn_from_its_law_and_costs_its_divergence():
    pair, x = new_pair_game()["G"].eval(), some_digits(5)
    told_widely(pair)
    with torch.no_grad():
        torch.manual_seed(5)
        z, kl = L.coded(pair, x)
        right, nats = by_hand(pair, x)
        torch.testing.assert_close(z, right)
        torch.testing.assert_close(kl, nats)
        twice = L.coded(pair, x.repeat(2, 1, 1, 1))[1]
        torch.testing.assert_close(twice, kl)  # a mean over images
    assert z.shape == (5, LATENT) and kl.shape == () and kl > 1
    assert pair(z).shape == (5, 1, 28, 28)


@pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler.step")  # D's rate; D never moves
def test_a_vaes_round_goes_down_minus_the_bound_in_all_of_its_weights():
    game, x = new_pair_game(), some_digits()
    old, critic = copy.deepcopy(game["G"]), state(game["D"])
    torch.manual_seed(5)
    report = L.vae_round(x, game)
    z, kl = by_hand(old, x)
    made = old.G(z)
    nats = -(x * made.log() + (1 - x) * (1 - made).log()).sum() / len(x) + kl
    torch.testing.assert_close(report["loss"], nats, rtol=1e-4, atol=0)
    torch.testing.assert_close(report["KL"], kl, rtol=1e-4, atol=1e-5)
    nats.backward()
    largest = max(part.grad.abs().max() for part in old.parameters())
    for (name, ours), right in zip(game["G"].named_parameters(), old.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, right.grad, atol=float(1e-4 * largest), rtol=1e-2, msg=name)
        assert ours.dim() == 1 or ours.grad.abs().max() > 0, name
        torch.testing.assert_close(ours, right - 0.05 * ours.grad)
    assert same(critic, game["D"]), "no critic in it"
    assert game["average"].updates == game["slow_g"].last_epoch == game["slow_d"].last_epoch == 1


def test_half_way_is_a_place_on_ds_own_way():
    D, x = new_pair_game()["D"], some_digits(6)
    seen = L.halfway(D, x)
    assert seen.shape == (6, 64, 7, 7)
    torch.testing.assert_close(D.out(with_spread(D.body[2](seen)).flatten(1)).squeeze(1), D(x))
    torch.testing.assert_close(L.halfway(D, x[2:3]), seen[2:3], atol=1e-5, rtol=1e-4)


def watched(monkeypatch, calls):
    """Let `logistic` note what it is given, and how the critic then is."""
    right = SCOPE["logistic"]

    def noting(player, D, real, fake):
        calls.append((player, real, fake, state(D), [part.requires_grad for part in D.parameters()]))
        return right(player, D, real, fake)

    monkeypatch.setitem(SCOPE, "logistic", noting)


def test_in_a_vaegan_the_critic_moves_once_by_its_own_loss_and_is_given_back(monkeypatch):
    game, calls = new_pair_game(), []
    x, D = some_digits(), game["D"]
    alone, begun = copy.deepcopy(D), state(D)
    watched(monkeypatch, calls)
    L.vaegan_round(x, game)
    (first, *_, at_d, free_d), (second, *_, at_g, free_g) = calls
    assert [first, second] == ["D", "G"] and all(free_d) and not any(free_g)
    assert all(torch.equal(at_d[name], begun[name]) for name in begun)
    assert same(at_g, D), "the step of E and G leaves D as it is"
    assert all(part.requires_grad for part in D.parameters())
    opt = torch.optim.SGD(alone.parameters(), 0.05)
    verdicts = F.softplus(-alone(x)).mean() + F.softplus(alone(calls[0][2])).mean()
    near = x.clone().requires_grad_()  # R1 on eight of them, and there are eight
    (slope,) = torch.autograd.grad(alone(near).sum(), near, create_graph=True)
    (verdicts + 0.05 * 0.5 * slope.square().sum((1, 2, 3)).mean()).backward()
    opt.step()
    for ours, right in zip(D.parameters(), alone.parameters(), strict=True):
        torch.testing.assert_close(ours, right, atol=1e-6, rtol=1e-4)
    moved = [not torch.equal(part, begun[name]) for name, part in D.named_parameters()]
    assert any(moved) and game["average"].updates == game["slow_d"].last_epoch == 1


def test_half_of_the_forgeries_are_digits_again_and_half_are_new(monkeypatch):
    halves = []
    for at in (0, 100):  # other digits, the same noise
        game, calls = new_pair_game(), []
        with monkeypatch.context() as patch:
            watched(patch, calls)
            old, x = copy.deepcopy(game["G"]), some_digits(at=at)
            torch.manual_seed(5)
            L.vaegan_round(x, game)
        (_, real, for_d, *_), (_, _, for_g, *_) = calls
        assert torch.equal(real, x) and not for_d.requires_grad and torch.equal(for_d, for_g)
        assert for_g.shape == x.shape
        with torch.no_grad():
            again = old.G(by_hand(old, x)[0])
        torch.testing.assert_close(for_d[:4], again[::2], atol=1e-5, rtol=1e-4)
        halves.append(for_d)
    same_half = (halves[0] - halves[1]).abs().amax((1, 2, 3))
    assert same_half[:4].min() > 1e-3 and same_half[4:].max() < 1e-6, "new ones do not know x"


def test_in_a_vaegan_e_and_g_hear_the_critics_eye_the_game_and_the_divergence():
    """Gradients by hand, at the critic's new weights; E hears of new digits nothing."""
    game, x = new_pair_game(), some_digits()
    game["slow_g"] = torch.optim.lr_scheduler.LambdaLR(game["opt_g"], lambda t: 0.0)
    old = copy.deepcopy(game["G"])
    torch.manual_seed(5)
    report = L.vaegan_round(x, game)
    assert all(torch.equal(a, b) for a, b in zip(game["G"].parameters(), old.parameters()))
    z, kl = by_hand(old, x)
    again, new = old.G(z), old.G(torch.randn(len(x) // 2, LATENT))
    nothing = torch.autograd.grad(new.sum(), list(old.E.parameters()), allow_unused=True, retain_graph=True)
    assert all(grad is None for grad in nothing)
    D = game["D"]
    shown = [D.body[1](D.body[0](F.pixel_unshuffle(2 * pages - 1, 2))) for pages in (again, x)]
    error = F.mse_loss(*shown)
    fooled = F.softplus(-D(torch.cat([again[::2], new]))).mean()
    loss = fooled + 0.5 * error.log() + 0.02 * kl
    loss.backward()
    torch.testing.assert_close(report["loss"], loss, atol=1e-4, rtol=1e-4)
    for (name, ours), right in zip(game["G"].named_parameters(), old.named_parameters(), strict=True):
        scale = max(float(right[1].grad.abs().max()), 1e-3)
        torch.testing.assert_close(ours.grad, right[1].grad, atol=1e-3 * scale, rtol=1e-2, msg=name)
        assert ours.dim() == 1 or ours.grad.abs().max() > 0, name


def test_in_the_game_the_encoder_learns_nothing():
    game, x = new_pair_game(), some_digits()
    parts = {"E": state(game["G"].E), "G": state(game["G"].G), "D": state(game["D"])}
    L.game_round(x, game)
    assert same(parts["E"], game["G"].E)
    assert not same(parts["G"], game["G"].G) and not same(parts["D"], game["D"])


def test_as_many_rounds_are_played_as_are_asked_for_in_training_mode():
    game = {key: nn.Linear(1, 1).eval() for key in "GD"}
    pages, seen = torch.rand(10, 1, 4, 4), []

    def step(x, mark):
        assert game["G"].training and game["D"].training and mark == 3
        game["G"].eval()
        seen.append(x)

    L.played(game, partial(step, mark=3), cu.Batches(pages, 4), 7)
    assert len(seen) == 7 and all(x.shape[1:] == (1, 4, 4) for x in seen)


def test_sharpness_is_of_strokes_not_of_their_ink():
    x = torch.zeros(1, 1, 6, 6)
    x[..., 2:4] = 1  # a bar two wide: two edges in each row, of five steps
    assert L.sharpness(x) == pytest.approx((2 / 5) / (1 / 3))
    assert L.sharpness(x.mT) == pytest.approx(L.sharpness(x)) == pytest.approx(L.sharpness(0.3 * x))
    digits = some_digits(50)
    assert L.sharpness(F.avg_pool2d(digits, 3, 1, 1)) < 0.8 * L.sharpness(digits)


# --- 7: pairs, as shipped
# ----------------------------------------------------------------------------------------------------------


def test_the_three_pairs_had_ten_minutes_each_and_trade_pixels_for_looks():
    run = runs.load("13b_pairs")
    assert run.card["profile"] == "full"
    for key, (_, rounds, cost) in L.PAIR_ROUNDS.items():
        assert run.figure(f"{key}: rounds") == rounds and run.figure(f"{key}: milliseconds a round") == cost
        assert 550 < rounds * cost / 1_000 < 650, "ten minutes"
        assert run.figure(f"{key}: distance") > 3 * run.figure(f"{key}: spread of the distance") > 0
    assert run.figure("vae: PSNR") > run.figure("vaegan: PSNR") + 1
    assert run.figure("vae: sharpness again") < min(1, run.figure("vaegan: sharpness again"))
    assert run.figure("vaegan: distance") < run.figure("vae: distance")


def test_the_kept_digits_are_those_of_the_card():
    run = runs.load("13b_pairs")
    frames = torch.from_numpy(run.replay[0]).float()[:, :, None] / 255
    assert frames.shape == (4, 20, 1, 28, 28)
    real = frames[0]
    assert torch.equal(real, cu.mnist().val.float()[:20].view(-1, 1, 28, 28))
    for key, page in zip(L.PAIR_ROUNDS, frames[1:]):
        again, new = page[:10], page[10:]  # ten of the two hundred, ten of the five thousand
        assert psnr(again, real[:10]) == pytest.approx(run.figure(f"{key}: PSNR"), abs=2), key
        assert psnr(again, real[:10]) > psnr(new, real[10:]) + 5, "new ones stand beside others' digits"
        found = L.sharpness(again) / L.sharpness(real[:10])
        assert found == pytest.approx(run.figure(f"{key}: sharpness again"), abs=0.05), key


# --- 8: the class, told to both
# ----------------------------------------------------------------------------------------------------------


def with_class(z, digits):
    return torch.cat([z, torch.as_tensor(digits)[:, None].to(z)], 1)


@torch.no_grad()
def test_untold_both_players_are_lesson_05s_and_told_each_hears_its_own_class():
    torch.manual_seed(0)
    G, D = L.Told().eval(), L.ToldCritic().eval()
    z, x = latents(4, seed=1), some_digits(4)
    digits = torch.tensor([7, 0, 3, 3])
    torch.testing.assert_close(G(with_class(z, digits)), G.G(z))
    torch.testing.assert_close(D(x, digits), D.D(x))
    for k, ask in enumerate((*G.shift, D.classes)):
        ask.weight[3].normal_(0, 10)
        pages, verdicts = G(with_class(z, digits)), D(x, digits)
        if k < 4:
            assert (pages - G.G(z)).abs().amax((1, 2, 3))[2:].min() > 1e-3, f"layer {k} hears it"
            torch.testing.assert_close(pages[:2], G.G(z)[:2])
            ask.weight.zero_()
    assert (verdicts - D.D(x)).abs()[2:].min() > 1e-3
    torch.testing.assert_close(verdicts[:2], D.D(x)[:2])
    before = D(x, digits) - D.D(x)
    D.classes.weight.mul_(2)
    torch.testing.assert_close(D(x, digits) - D.D(x), 2 * before, atol=1e-5, rtol=1e-4)


def test_orders_have_the_shares_of_the_classes_and_repeat_by_their_seed():
    found = L.orders(3_000, seed=4)
    assert found.shape == (3_000, LATENT + 1) and torch.equal(found, L.orders(3_000, seed=4))
    counts = found[:, LATENT].long().bincount(minlength=10)
    for digit, count in enumerate(counts):  # shares 0, 1, …, 9 of 45 here
        assert count == 0 if digit == 0 else binomial(count / 3_000, digit / 45, 3_000)
    assert found[:, :LATENT].mean().abs() < 0.02 and abs(found[:, :LATENT].std() - 1) < 0.02
    assert not torch.equal(L.orders(5), L.orders(5))


def test_half_of_the_images_are_moved_by_up_to_two_pixels_and_none_around_the_edge():
    x = torch.zeros(2_000, 1, 28, 28)
    x[:, 0, 13, 14] = 1.0
    torch.manual_seed(0)
    places = L.nudged(x).flatten(1).argmax(1)
    down, across = places // 28 - 13, places % 28 - 14
    for move in (down, across):
        assert set(move.tolist()) == {-2, -1, 0, 1, 2}
    still = ((down == 0) & (across == 0)).double().mean()
    assert (
        binomial(still, 0.5 + 0.5 / 25, 2_000)
        and torch.corrcoef(torch.stack([down, across]))[0, 1].abs() < 0.2
    )
    corner = torch.zeros(2_000, 1, 28, 28)
    corner[:, 0, 0, 27] = 1.0
    page = L.nudged(corner)
    assert page[..., 4:, :].sum() == 0 and page[..., :, :24].sum() == 0 and 1_000 < page.sum() < 2_000
    near = torch.rand(5, 1, 28, 28, requires_grad=True)
    (slope,) = torch.autograd.grad(L.nudged(near).sum(), near)
    assert set(slope.unique().tolist()) <= {0.0, 1.0} and slope.mean() > 0.8, "G learns through it"


def test_a_told_round_moves_each_player_by_its_own_loss_only(monkeypatch):
    torch.manual_seed(0)
    game = new_game(L.Told(w=4), L.ToldCritic(w=4), rate=L.linear)
    for name in "gd":
        opt = torch.optim.SGD(game[name.upper()].parameters(), 0.05)
        game |= {f"opt_{name}": opt, f"slow_{name}": torch.optim.lr_scheduler.LambdaLR(opt, lambda t: 1.0)}
    G, D = game["G"], game["D"]
    x, digit = some_digits(12), cu.mnist().train.y[:12].long()
    monkeypatch.setitem(SCOPE, "nudged", lambda x: x)
    with torch.no_grad():
        D.classes.weight.normal_()
    old_g, old_d = copy.deepcopy(G), copy.deepcopy(D)
    torch.manual_seed(5)
    L.told_round(x, digit, game)
    torch.manual_seed(5)
    order = L.orders(12)
    asked, fake = order[:, LATENT].long(), old_g(order)
    near = x[:8].clone().requires_grad_()
    (slope,) = torch.autograd.grad(old_d(near, digit[:8]).sum(), near, create_graph=True)
    r1 = 0.5 * slope.square().sum((1, 2, 3)).mean()
    verdicts = F.softplus(-old_d(x, digit)).mean() + F.softplus(old_d(fake.detach(), asked)).mean()
    (verdicts + 0.05 * r1).backward()
    for ours, right in zip(D.parameters(), old_d.parameters(), strict=True):
        torch.testing.assert_close(ours, right - 0.05 * right.grad, atol=1e-6, rtol=1e-4)
    assert all(part.requires_grad for part in D.parameters())
    F.softplus(-D(fake, asked)).mean().backward()
    for ours, right in zip(G.parameters(), old_g.parameters(), strict=True):
        torch.testing.assert_close(ours, right - 0.05 * right.grad, atol=1e-6, rtol=1e-3)
    assert all(ask.weight.abs().max() > 0 for ask in G.shift), "every layer begins to listen"
    assert game["average"].updates == game["slow_g"].last_epoch == game["slow_d"].last_epoch == 1


def test_the_rate_goes_up_to_its_top_and_down_to_nothing():
    rates = [L.linear(t) for t in range(0, L.BEST_ROUNDS + 1, 100)]
    top = rates.index(max(rates))
    assert rates[0] < 0.01 < 0.55 < max(rates) < 0.6 and rates[-1] == 0 and 0 < top < 10
    steps = [later - earlier for earlier, later in itertools.pairwise(rates)]
    assert all(step > 0 for step in steps[:top]) and all(step < 0 for step in steps[top:])
    assert max(steps[top:]) == pytest.approx(min(steps[top:])), "in a straight line"


@pytest.mark.turns(3)
def test_the_best_generator_draws_what_it_is_told_and_as_near_as_its_card_says():
    told, G = L.Told(), lesson_05.Generator()
    run = cu.restore("13_best", {"G": told})
    cu.restore("05_gan", {"G": G})
    shares = torch.bincount(cu.mnist().train.y, minlength=10).double()
    digit = torch.multinomial(shares, 5_000, replacement=True, generator=seeded(31))
    z = latents(5_000, seed=32)
    drawn = paint(told, torch.cat([z, digit[:, None].float()], 1))
    assert (lesson_12.read_class(drawn) == digit).double().mean() > 0.97, "the class is heard"
    swapped = paint(told, torch.cat([z[:500], ((digit[:500] + 1) % 10)[:, None].float()], 1))
    assert (lesson_12.read_class(swapped) == (digit[:500] + 1) % 10).double().mean() > 0.97
    distance = {
        name: cu.metrics.score([cu.to_uint8(pages)]).distance
        for name, pages in {"told": drawn, "lesson 05": paint(G, z)}.items()
    }
    assert distance["told"] < 0.8 * distance["lesson 05"]
    for name, found in distance.items():  # one set; the card's are the means of five
        room = 3 * run.figure(f"{name}: spread, test") + 0.05
        assert abs(found - run.figure(f"{name}: test")) < room, name
