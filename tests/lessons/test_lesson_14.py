"""Lesson 14: DDIM as Euler, better solvers, flow matching in closed form, smudges, crookedness, the student."""

import math

import pytest
import torch
from torch import nn

import course_utils as cu
from course_utils import runs
from course_utils.checks.references import ref_14
from course_utils.lessons import lesson_06
from course_utils.nets import UNet
from tests.lessons.lesson_functions import load

NAMES = [
    *("COSINE", "lesson_06_time", "flow_of", "euler", "even", "exact_u", "crowd", "heun", "adams"),
    *("normal_u", "ladder_of", "draw", "stored_u", "Flow", "spread_times", "digit_loss", "velocity", "Field"),
    *("assigned", "walked", "crookedness", "pair_loss", "short_loss"),
]
CHECKED = {"checked_heun": ref_14.heun_step, "checked_loss": ref_14.flow_loss}
L = load("14", *NAMES, **CHECKED, device=torch.device("cpu"))
ABAR = lesson_06.abar
SCALE = ABAR.sqrt() + (1 - ABAR).sqrt()
CLOCK = ABAR.sqrt() / SCALE


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


# --- 1: the clock, and DDIM in three units
# ----------------------------------------------------------------------------------------------------------


def test_the_two_clocks_are_each_others_inverse():
    for k in range(1, 1_000):
        assert L.lesson_06_time(CLOCK[k].item()) == pytest.approx(k, abs=1e-4)
    assert L.lesson_06_time(0.0) == pytest.approx(1_000, abs=1e-6)
    assert L.lesson_06_time(1.0) == 1.0  # the least noise that was trained


@pytest.mark.parametrize("steps", [1, 7, 50])
def test_euler_in_both_units_is_lesson_06s_ddim(steps):
    ladder = lesson_06.spaced(steps)
    noise = normal(60, 2)
    expected = lesson_06.ddim(lesson_06.exact_eps, noise, ladder)
    y = noise
    for k, s in zip(ladder, ladder[1:]):
        y = ref_14.ddim_by_euler(y, lesson_06.exact_eps(y, k), ABAR[k], ABAR[s])
    torch.testing.assert_close(y, expected, rtol=0, atol=1e-6)
    x = L.euler(L.exact_u, noise / SCALE[ladder[0]], CLOCK[ladder].tolist())
    torch.testing.assert_close(x, expected, rtol=0, atol=1e-6)


def test_lesson_06s_network_as_a_flow_draws_what_its_ddim_draws():
    torch.manual_seed(0)
    net = UNet(width=8, embedding=32).eval()
    for weight in net.parameters():  # the last layer starts at zero
        nn.init.normal_(weight, std=0.05)
    noise = torch.randn(3, 1, 28, 28, generator=seeded())
    ladder = lesson_06.spaced(5)
    expected = lesson_06.ddim(lesson_06.predictor(net), noise, ladder)
    x = L.euler(L.flow_of(net), noise / SCALE[1_000].float(), CLOCK[ladder].tolist())
    torch.testing.assert_close(x, expected, rtol=1e-3, atol=1e-3)


def test_the_exact_velocity_is_the_mean_direction():
    """Self-normalised importance sampling over data: E[x − ε | x_t] of the mixture."""
    t = 0.6
    data = lesson_06.draw_mixture(400_000, 3)
    for at in (torch.tensor([0.3, 0.2]), torch.tensor([-0.8, 0.4])):
        at = at.double()
        noise = (at - t * data) / (1 - t)
        weight = (-noise.square().sum(1) / 2).softmax(0)
        mean = (weight[:, None] * (data - noise)).sum(0)
        torch.testing.assert_close(L.exact_u(at[None], t)[0], mean, rtol=0, atol=0.02)


def test_the_ode_keeps_the_crowds_of_the_noising():
    n = 1_500
    x = normal(n, 2, seed=5) / SCALE[1_000]
    previous = 1_000
    for k in (800, 400, 0):
        ladder = [k + i for i in lesson_06.spaced(60, start=previous - k)]
        x = L.euler(L.exact_u, x, CLOCK[ladder].tolist())
        t = CLOCK[k].item()
        limit = lesson_06.real_vs_real(lambda m, seed, t=t: L.crowd(t, seed, m), n, 20)
        assert lesson_06.energy(x, L.crowd(t, 0, n)) < 1.5 * limit
        previous = k


# --- 2: orders and spacing
# ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("solver", "order"), [("euler", 1), ("heun", 2), ("adams", 2)])
def test_orders_of_convergence(solver, order):
    line = torch.linspace(-2, 2, 21, dtype=torch.float64)
    solve = getattr(L, solver)
    errors = [(solve(L.normal_u, line, L.even(n)) - (0.5 + 0.2 * line)).abs().max() for n in (200, 400)]
    assert math.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.12)


def test_a_walk_down_and_up_again_returns():
    line = torch.linspace(-2, 2, 21, dtype=torch.float64)
    for solver, far in ((L.euler, 0.2), (L.heun, 1e-2), (L.adams, 1e-2)):
        down = solver(L.normal_u, line, L.even(100)[::-1])
        assert (solver(L.normal_u, down, L.even(100)) - line).abs().max() < far


def test_adams_takes_steps_of_unequal_length():
    """Exact for a slope that is linear in time, whatever the ladder (after its first step, Euler's)."""
    times = [0.0, 1e-9, 0.1, 0.35, 0.4, 0.9, 1.0]
    end = L.adams(lambda x, t: torch.full_like(x, 2 * t), torch.zeros(3, dtype=torch.float64), times)
    assert (end - 1).abs().max() < 1e-8


@pytest.mark.parametrize("n", [1, 2, 4, 10, 50])
def test_a_ladder_has_n_steps_from_noise_to_data(n):
    times = L.ladder_of(n)
    assert len(times) == n + 1 and times[0] == 0.0 and times[-1] == 1.0
    assert all(a < b for a, b in zip(times, times[1:]))
    if n == 50:  # more of them near the noise
        assert sum(t < 0.5 for t in times) > 35


def test_solvers_ask_as_often_as_they_are_said_to():
    asked = []

    def u(x, t):
        asked.append(t)
        return -x

    for solver, times, calls in (
        (L.euler, L.even(10), 10), (L.adams, L.ladder_of(10), 10), (L.heun, L.even(5), 9)
    ):  # fmt: skip
        asked.clear()
        solver(u, torch.ones(2), times)
        assert len(asked) == calls and max(asked) < 1


# --- 3 and 4: flow matching in closed form
# ----------------------------------------------------------------------------------------------------------


def test_counting_gives_the_formula():
    n = 2_000_000
    noise = torch.randn(n, generator=seeded(1))
    data = 0.5 + 0.2 * torch.randn(n, generator=seeded(2))
    state = 0.6 * data + 0.4 * noise
    for at in (0.0, 0.3, 0.6):
        inside = (state - at).abs() < 0.01
        exact = L.normal_u(torch.tensor(at), 0.6).item()
        assert (data - noise)[inside].mean().item() == pytest.approx(exact, abs=1e-2)


def test_the_velocity_of_stored_images_is_that_of_their_mixture():
    data = normal(5, 1, 2, 2)
    x = normal(3, 1, 2, 2, seed=1)
    t = 0.4
    joint = (-(x[:, None] - t * data).flatten(2).square().sum(2) / (2 * 0.6**2)).requires_grad_()
    guess = torch.einsum("bn,nchw->bchw", joint.softmax(1), data)
    torch.testing.assert_close(L.stored_u(x, t, data), (guess - x) / 0.6)
    assert (L.euler(lambda x, t: L.stored_u(x, t, data), x, L.even(1)) - data.mean(0)).abs().max() < 1e-12
    ends = L.euler(lambda x, t: L.stored_u(x, t, data), x, L.even(400))
    assert torch.cdist(ends.flatten(1), data.flatten(1)).min(1).values.max() < 0.02  # it copies


def test_score_from_velocity_is_the_gradient_of_log_p():
    x = L.crowd(0.7, 2, 200).requires_grad_()
    size = math.hypot(0.7, 0.3)
    log_p = lesson_06.log_p_and_score(x / size, torch.tensor((0.7 / size) ** 2).double())[0]
    (score,) = torch.autograd.grad(log_p.sum(), x)
    found = ref_14.score_from_velocity(L.exact_u(x.detach(), 0.7), x.detach(), 0.7)
    torch.testing.assert_close(found, score, rtol=0, atol=1e-5)


def test_the_loss_is_least_at_the_conditional_mean():
    x = 0.5 + 0.2 * normal(200_000, 1)
    eps = normal(200_000, 1, seed=1)
    t = torch.rand(200_000, generator=seeded(2), dtype=torch.float64) * 0.9

    def model(off):
        return lambda x, t: L.normal_u(x, t[:, None]) + off

    losses = [float(ref_14.flow_loss(model(off), x, eps, t)) for off in (-0.1, 0.0, 0.1)]
    assert losses[0] == pytest.approx(losses[1] + 0.01, abs=2e-3)
    assert losses[2] == pytest.approx(losses[1] + 0.01, abs=2e-3)


def test_times_are_spread_and_the_network_hears_noise_at_1000():
    torch.manual_seed(0)
    t = L.spread_times(64)
    assert t.min() >= 0 and t.max() < 1 and ((t * 64).floor() == torch.arange(64)).all()
    heard = []
    flow = L.Flow()
    flow.unet.forward = lambda x, k: heard.append(k) or x
    flow(torch.zeros(2, 1, 28, 28), torch.tensor([0.0, 0.75]))
    assert heard[0].tolist() == [1_000.0, 250.0]
    assert torch.isfinite(L.digit_loss(flow, torch.rand(4, 1, 28, 28)))


# --- 5 and 6: crookedness, pairs, the student
# ----------------------------------------------------------------------------------------------------------


def test_crookedness_is_zero_for_straight_paths_only():
    eps = normal(500, 2)
    bend, way = L.crookedness(lambda x, t: torch.ones_like(x), eps)
    assert bend < 1e-12 and way == pytest.approx(2)
    bend, way = L.crookedness(lambda x, t: 2 * t * torch.ones_like(x), eps)  # straight, but uneven
    assert bend == pytest.approx(2 / 3, rel=0.02)  # 2 · ∫(2t − 1)² dt
    assert L.crookedness(L.normal_u, eps[:, :1])[0] > 0.02  # paths of independent pairs bend


def test_assignment_lowers_the_cost_and_loses_nobody():
    eps = normal(256, 2)
    x = lesson_06.draw_mixture(256, 1)
    costs = [(eps - x).square().sum()]
    for size in (16, 64, 256):
        matched = L.assigned(eps, x, size)
        costs.append((eps - matched).square().sum())
        torch.testing.assert_close(matched.sort(0).values, x.sort(0).values)
        for part, whole in zip(matched.split(size), x.split(size)):
            torch.testing.assert_close(part.sort(0).values, whole.sort(0).values)
    assert costs == sorted(costs, reverse=True)


def test_reflow_of_an_exact_gaussian_flow_is_straight():
    """The pairs of a perfect model for N(m, s²) are ε and m + s ε: their lines never cross, so the velocity at
    each point is one direction, and one step of the second model would be exact."""
    eps = normal(300)
    first, ends = ref_14.reflow_pairs(L.normal_u, eps, L.even(2_000), L.euler)
    assert first is eps or torch.equal(first, eps)
    assert (ends - (0.5 + 0.2 * eps)).abs().max() < 2e-3
    order = eps.argsort()
    for t in (0.2, 0.5, 0.9):
        assert ((t * ends + (1 - t) * eps)[order].diff() > 0).all()


def test_every_second_time_of_the_last_training_is_0():
    heard = []

    def model(x, t):
        heard.append(t)
        return torch.zeros_like(x)

    torch.manual_seed(0)
    eps, x = torch.randn(8, 1, 4, 4), torch.rand(8, 1, 4, 4)
    loss = L.short_loss(model, eps, x)
    assert (heard[0][::2] == 0).all() and (heard[0][1::2] > 0).all()
    assert loss.item() == pytest.approx((2 * x - 1 - eps).square().mean().item(), rel=1e-6)
    L.pair_loss(model, eps, x)
    assert (heard[1] > 0).sum() >= 7


def test_the_shipped_student_draws_digits_in_one_step():
    student = L.Flow()
    cu.restore("14_student", {"flow": student})
    cu.prepare(student).eval()
    drawn = L.draw(L.velocity(student), 200, L.even(1), L.euler, seed=100)
    assert drawn.shape == (200, 1, 28, 28) and drawn.dtype == torch.uint8
    distance = cu.metrics.score(drawn, 200, "validation").distance
    smudges = L.draw(lambda x, t: -x, 200, L.even(1), L.euler, seed=100)
    assert distance < 0.1 * cu.metrics.score(smudges, 200, "validation").distance


def test_the_cards_say_what_the_prose_says():
    steps = runs.load("14_steps")
    assert steps.figure("06, Adams, 10: validation") <= steps.figure("06, DDIM, 50: validation")
    assert steps.figure("06, Adams, 4: validation") <= 2 * steps.figure("06, DDIM, 50: validation")
    assert steps.figure("student, 1: validation") < steps.figure("straightened, 1: validation")
    assert steps.figure("straightened, 1: validation") < 0.05 * steps.figure("flow, Adams, 1: validation")
    for run in ("14_flow", "14_student"):
        assert runs.load(run).card["parameters"] < 650_000
