"""Lesson 14b: pairing within a class, log p along a road, consistency; what its cards say."""

import math

import pytest
import torch
from torch import nn

import course_utils as cu
from course_utils import arena, runs
from course_utils.checks.references import ref_14b
from course_utils.lessons import lesson_06, lesson_14
from tests.lessons.lesson_functions import load

NAMES = [
    *(
        "paired_noise",
        "read_in_noise",
        "log_p",
        "plane_u",
        "exact_log_p",
        "signs",
        "odds_ladder",
        "bits_a_pixel",
    ),
    *(
        "normal_end",
        "for_rows",
        "ends_of",
        "step_of",
        "consistent",
        "endless",
        "Told",
        "neighbours",
        "softened",
    ),
]
CHECKED = {
    "checked_within": ref_14b.assigned_within,
    "checked_log_likelihood": ref_14b.log_likelihood,
    "checked_divergence": ref_14b.divergence,
    "checked_gap": ref_14b.consistency_gap,
}
L = load("14b", *NAMES, **CHECKED, device=torch.device("cpu"))


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# --- 1: pairs
# ----------------------------------------------------------------------------------------------------------


def two_classes(n):
    """Points of two classes at −2 and +2."""
    y = torch.arange(n) % 2
    return (4 * y[:, None] - 2) + 0.3 * normal(n, 3, seed=1), y


def test_within_a_class_the_noise_knows_nothing_of_it():
    x, y = two_classes(1_200)
    known = {way: L.read_in_noise(way, x, y, 100, 1_200) for way in ("independent", "transport", "within")}
    assert known["independent"][0] < 0.6 and known["within"][0] < 0.6  # chance: a half
    assert known["transport"][0] > 0.85
    assert known["transport"][1] < known["within"][1] < known["independent"][1]


def test_each_class_keeps_its_noises():
    x, y = two_classes(60)
    torch.manual_seed(3)
    eps = torch.randn_like(x)
    paired = ref_14b.assigned_within(eps, x, y)
    for label in (0, 1):
        rows = y == label
        torch.testing.assert_close(paired[rows].sort(0).values, eps[rows].sort(0).values)


# --- 2: log p
# ----------------------------------------------------------------------------------------------------------


def test_the_exact_trace_gives_the_mixtures_log_p_with_second_order():
    x = lesson_06.draw_mixture(50, 3)
    truth = lesson_06.log_p_and_score(x, torch.tensor(1.0).double())[0]
    off = [(L.exact_log_p(x, lesson_14.even(n)) - truth).abs().max().item() for n in (150, 300)]
    assert math.log2(off[0] / off[1]) == pytest.approx(2, abs=0.35)
    assert off[1] < 2e-3


def test_signs_are_signs_and_their_estimate_is_unbiased():
    x = lesson_06.draw_mixture(30, 4)
    times = lesson_14.even(40)
    probes = [torch.tensor([a, b]).double().expand_as(x) for a in (1.0, -1.0) for b in (1.0, -1.0)]
    mean = torch.stack([L.log_p(L.plane_u, x, times, probe) for probe in probes]).mean(0)
    torch.testing.assert_close(mean, L.exact_log_p(x, times), rtol=0, atol=1e-9)
    assert set(L.signs(torch.zeros(400), 1).tolist()) == {-1.0, 1.0}


@pytest.mark.parametrize("n", [2, 30, 100])
def test_the_ladder_is_even_in_log_odds(n):
    times = L.odds_ladder(n)
    assert len(times) == n + 1 and times[0] == 0.0 and times[-1] == pytest.approx(0.998)
    odds = torch.tensor(times[1:]).double()
    gaps = ((1 - odds) / odds).log().diff()
    torch.testing.assert_close(gaps, gaps.mean().expand_as(gaps), rtol=1e-3, atol=1e-6)


def test_bits_of_a_model_that_is_known():
    """Pixels of N(m, w²), independent: the road's density at t₁, divided by t₁, is normal, too."""
    m, w = 0.1, 0.4
    levels = (128 * (m + w * normal(20, 1, 4, 4, seed=8)) + 128).clamp(0, 255).floor()
    levels = torch.cat([levels] * 49, 3).reshape(20, 1, 28, 28).float()
    times = L.odds_ladder(150)
    found = L.bits_a_pixel(lambda x, t: lesson_14.normal_u(x, t, m, w), levels, times)
    noise = torch.rand(levels.shape, generator=torch.Generator().manual_seed(0))
    x = (levels + noise) / 128 - 1
    width = math.sqrt(w**2 + ((1 - times[-1]) / times[-1]) ** 2)
    log_p = torch.distributions.Normal(m, width).log_prob(x).flatten(1).sum(1)
    torch.testing.assert_close(found, 7 - log_p / (784 * math.log(2)), rtol=0, atol=5e-3)


# --- 3: consistency
# ----------------------------------------------------------------------------------------------------------


class Normal1D(nn.Module):
    """The exact velocity of N(0.5, 0.2²), with a time for each row."""

    def forward(self, x, t):
        t = t[:, None]
        variance = (0.2 * t) ** 2 + (1 - t) ** 2
        return 0.5 + (0.04 * t - (1 - t)) * (x - 0.5 * t) / variance


class Guess(nn.Module):
    """A network for numbers."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2, 32), nn.SiLU(), nn.Linear(32, 1))

    def forward(self, x, t):
        return self.net(torch.cat([x, t[:, None]], 1))


def test_at_the_end_a_guess_is_the_place_itself():
    x = torch.randn(5, 1, 4, 4)
    ends = L.ends_of(lambda x, t: 100 * torch.ones_like(x))
    assert torch.equal(ends(x, torch.ones(5)), x)


def test_a_step_with_a_time_for_each_row_is_heuns():
    x = normal(6, 1, seed=2)
    step = L.step_of(Normal1D())
    t = torch.full((6,), 0.3).double()
    expected = lesson_14.heun(lesson_14.normal_u, x, [0.3, 0.4])
    torch.testing.assert_close(step(x, t, t + 0.1), expected)
    last = lesson_14.euler(lesson_14.normal_u, x, [0.9, 1.0])
    torch.testing.assert_close(step(x, torch.full_like(t, 0.9), torch.ones_like(t)), last)


def test_the_closed_form_is_consistent():
    x = normal(9, seed=5)
    for t in (0.0, 0.2, 0.7):
        times = [t + (0.9 - t) * i / 4_000 for i in range(4_001)]
        later = lesson_14.heun(lesson_14.normal_u, x, times)
        torch.testing.assert_close(L.normal_end(x, t), L.normal_end(later, 0.9), rtol=0, atol=1e-6)


def test_training_finds_the_closed_form():
    torch.manual_seed(0)
    data = 0.5 + 0.2 * torch.randn(4_096, 1)
    model = Guess()
    eps = torch.randn(1_000, 1)
    start = torch.zeros(1_000)
    exact = L.normal_end(eps, 0.0)
    before = (L.ends_of(model)(eps, start) - exact).square().mean().sqrt()
    ends = L.consistent(Normal1D(), model, data.split(256), 600)
    after = (ends(eps, start) - exact).square().mean().sqrt()
    assert after < before / 2.5


# --- cards
# ----------------------------------------------------------------------------------------------------------


def test_transport_disobeys_with_three_seeds_and_the_repair_does_not():
    trap = runs.load("14b_trap")
    for seed in (0, 1, 2):
        right = {
            way: trap.figure(f"{way}, seed {seed}: right")
            for way in ("independent", "transport", "within the class")
        }
        assert right["transport"] < right["independent"] - 0.1
        assert right["within the class"] > right["independent"] - 0.03
    for batch in (64, 256):
        known = [
            trap.figure(f"pixels, {way}, {batch}: class in the noise") for way in ("independent", "transport")
        ]
        assert known[1] > known[0] + 0.05


def test_the_stated_tolerance_of_the_bits():
    card = runs.load("14b_bits")
    for name in ("lesson 06", "lesson 14"):
        for what in ("150 steps", "other noise", "4 probes"):
            assert abs(card.figure(f"{name}: {what}")) < 0.03
        ends = [card.figure(f"{name}: validation bits, end at {end}") for end in (0.99, 0.998, 0.9995)]
        assert ends[1] == min(ends)
        assert card.figure(f"{name}: test bits") > runs.load("10_flow").figure("test bits per dimension")


def test_ten_evaluations_for_fifty_and_four_within_twice():
    large = runs.load("14b_large")
    for real in ("validation", "test"):
        fifty = large.figure(f"06, DDIM, 50: {real}")
        assert large.figure(f"06, Adams, 10: {real}") <= fifty
        assert large.figure(f"06, Adams, 4: {real}") <= 2 * fifty


def test_one_evaluation_draws_digits():
    one = runs.load("14b_consistent")
    images = torch.from_numpy(one.replay[0]).view(-1, 1, 28, 28)
    read = cu.metrics.classifier()(images.float() / 255).softmax(1).max(1).values
    assert len(images) == 12 and (read > 0.9).float().mean() > 0.7
    assert one.figure("validation, n = 5,000") < 30


def test_fewer_evaluations_are_quicker_in_the_arena():
    entries = {entry.name: entry for entry in arena.entries() if not entry.own}
    ten, four, one = (entries[f"14_{name}"].seconds for name in ("flow", "four", "one"))
    assert 1.5 * one < four and 1.5 * four < ten
    assert entries["14_ten"].seconds < entries["06_ddim"].seconds / 3
