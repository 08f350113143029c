"""Lesson 06b's algorithms: one family of samplers, the bound, inpainting, the empirical score, the runs."""

import math
from types import SimpleNamespace

import pytest
import torch

import course_utils as cu
from course_utils.lessons import lesson_06
from tests.lessons.lesson_functions import load


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture(scope="module")
def lesson():
    """The sequel's functions, with what lesson 06 shares."""
    step = load("06b", "eta_step").eta_step
    found = load("06b", "sample", "sampler", checked_step=step)
    found.sampler.__globals__["sample"] = found.sample
    return SimpleNamespace(**vars(lesson_06), **vars(found), eta_step=step)


def oracle(lesson, x0):
    """The predictor that knows the one x_0 and gives the noise that leads from it to x_t."""
    return lambda x, t: (x - lesson.abar[t].sqrt() * x0) / (1 - lesson.abar[t]).sqrt()


def test_every_member_of_the_family_keeps_the_marginals(lesson):
    n, t, s = 200_000, 600, 300
    x0 = torch.tensor([0.7, -0.2]).double()
    xt = lesson.checked_q(x0.expand(n, 2), torch.full((n,), t), normal(n, 2), lesson.abar)
    kept = None
    for eta in (0.0, 0.5, 1.0, 1.5, 9.0):
        generator = torch.Generator().manual_seed(1)
        xs = lesson.sample(oracle(lesson, x0), xt, [t, s], eta, generator=generator)
        assert (xs.mean(0) - lesson.abar[s].sqrt() * x0).abs().max() < 5 * ((1 - lesson.abar[s]) / n).sqrt()
        assert (xs.var(0) / (1 - lesson.abar[s]) - 1).abs().max() < 5 * math.sqrt(2 / n)
        kept = xs if eta == 0 else kept
        a_t, a_s = lesson.abar[t], lesson.abar[s]
        new = min(1.0, (eta**2 * (1 - a_t / a_s) / (1 - a_t)).item())  # share of new noise
        shared = torch.corrcoef(torch.stack([xs[:, 0], kept[:, 0]]))[0, 1]
        assert shared.item() == pytest.approx(math.sqrt(1 - new), abs=0.01)


def test_the_ends_of_the_family_are_lesson_06s_two_samplers(lesson):
    x = normal(40, 2)
    for eta, other in ((0.0, lesson.ddim), (1.0, lesson.way_back)):
        ours, theirs = (
            way(lesson.exact_eps, x, lesson.spaced(30), generator=torch.Generator().manual_seed(2))
            for way in (lesson.sampler(eta), other)
        )
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.5])
def test_each_member_gives_the_mixture_under_the_exact_score(lesson, eta):
    generator = torch.Generator().manual_seed(0)
    made = lesson.sample(lesson.exact_eps, normal(2_000, 2), lesson.spaced(400), eta, generator=generator)
    limit = lesson.real_vs_real(lesson.draw_mixture, 2_000, 20)
    assert lesson.energy(made, lesson.draw_mixture(2_000, 0)) < 2 * limit


def test_the_bound_lies_above_the_surprise_and_a_wrong_score_lies_higher(lesson):
    names = vars(lesson_06) | {"snr": lesson.abar / (1 - lesson.abar)}
    points = lesson.draw_mixture(300, 3)
    surprise = -lesson.log_p_and_score(points, lesson.abar[0])[0].mean()
    torch.manual_seed(0)
    exact = load("06b", "bound_terms", **names).bound_terms
    assert 0 < exact(points).sum() - surprise < 1.5
    real = exact.__globals__["exact_eps"]
    exact.__globals__["exact_eps"] = lambda x, t: 0.9 * real(x, t)
    assert exact(points).sum() - surprise > 2


def shipped(name):
    """A shipped run; the test is skipped while the run has not been made yet."""
    found = cu.runs.available(name)
    if not found:
        pytest.skip(
            f"run {name} is not made yet: COURSE_PROFILE=full python lessons/06b_diffusion_in_depth.py"
        )
    return found[0]


def figures(run):
    return {name: entry["value"] for name, entry in run.card["figures"].items()}


def test_inpainting_keeps_what_is_known(lesson):
    paste = load("06b", "paste").paste
    inpaint = load("06b", "inpaint", checked_paste=paste).inpaint
    known = normal(2, 1, 8, 8).clamp(-1, 1)
    mask = torch.zeros(2, 1, 8, 8, dtype=torch.bool)
    mask[:, :, :4] = True
    seen = []

    def predict(x, t):  # the oracle of a standard normal: E[ε | x_t] = √(1 − ᾱ_t) x_t
        seen.append((t, x))
        return (1 - lesson.abar[t]).sqrt() * x

    out = inpaint(predict, known, mask, lesson.spaced(10), 3, torch.Generator().manual_seed(0))
    assert out.shape == known.shape and len(seen) == 9 * 3 + 1
    last = seen[-1][1]
    torch.testing.assert_close(
        last[mask],
        lesson.abar[100].sqrt() * known[mask],
        rtol=0,
        atol=5 * (1 - lesson.abar[100]).sqrt().item(),
    )
    assert torch.corrcoef(torch.stack([last[mask], known[mask]]))[0, 1] > 0.9
    exact = inpaint(
        oracle(lesson, known), known, mask, lesson.spaced(10), 2, torch.Generator().manual_seed(0)
    )
    torch.testing.assert_close(exact, known, rtol=0, atol=1e-8)


def test_the_empirical_score_is_a_softmax_over_the_data_and_copies_it(lesson):
    best = load("06b", "best_guess").best_guess
    found = load("06b", "empirical", "nearest", checked_guess=best)
    data = normal(40, 12)
    predict, xt = found.empirical(data), normal(6, 12, seed=1)
    for t in (5, 300, 1000):
        a = lesson.abar[t]
        weight = torch.softmax(-torch.cdist(xt, a.sqrt() * data).square() / (2 * (1 - a)), 1)
        torch.testing.assert_close(
            lesson.x0_from_eps(xt, predict(xt, t), a), weight @ data, rtol=1e-4, atol=1e-4
        )
    copies = lesson.way_back(
        predict, normal(20, 12, seed=2), lesson.spaced(200), generator=torch.Generator().manual_seed(0)
    )
    gap, which = found.nearest(copies, data)
    assert gap.max() < 1e-3 and len(which.unique()) > 5


def test_noise_between_two_noises_has_their_length():
    between = load("06b", "between").between
    a, b = (normal(1, 1, 28, 28, seed=s) for s in (0, 1))
    path = between(a, b, 5)
    torch.testing.assert_close(path[:1], a)
    torch.testing.assert_close(path[-1:], b)
    lengths = path.flatten(1).norm(dim=1)
    assert lengths.min() > 0.95 * min(lengths[0], lengths[-1])


def test_a_stroke_is_ink_along_its_corners():
    stroke = load("06b", "stroke").stroke((4, 4), (20, 4), (20, 20))
    assert stroke.shape == (1, 1, 28, 28) and stroke.min() == -1 and stroke.max() == 1
    assert (
        (stroke[0, 0, 4, 5:20] == 1).all()
        and (stroke[0, 0, 5:20, 20] == 1).all()
        and stroke[0, 0, 12, 10] == -1
    )


def test_a_hundred_images_are_learned_by_heart():
    frames, steps = shipped("06_hundred").replay
    hundred = cu.mnist().train.sample(100, seed=0).flat()
    nearest = load("06b", "nearest").nearest
    gaps = [
        nearest(torch.from_numpy(frame).flatten(1).float() / 255, hundred)[0].median().item()
        for frame in frames
    ]
    fresh = nearest(cu.mnist().test.flat()[:1_000], hundred)[0].median().item()
    assert steps[-1] > steps[0] and gaps[-1] < 0.5 * fresh


@pytest.mark.turns(2)
@pytest.mark.parametrize(("name", "n"), [("06_ancestral", 1_000), ("06_ddim", 5_000)])
def test_the_entries_of_other_samplers_are_what_their_cards_say(name, n):
    run = shipped(name)
    assert run.card["samples"] == {"kind": "draws", "n": n}
    distance = cu.metrics.score(torch.from_numpy(run.samples), 1_000).distance
    assert distance == pytest.approx(figures(run)["Fréchet distance to test digits, n = 1000"], rel=0.02)


@pytest.mark.turns(2)
def test_the_table_of_samplers_belongs_to_the_shipped_weights():
    from course_utils.nets.unet import UNet

    run = shipped("06_steps")
    net = UNet()
    cu.restore("06_diffusion", net)
    size = load("06b", "size").size(net)
    assert size == pytest.approx(figures(run)["sum of absolute weights"], abs=1.0)
    ddim = cu.metrics.score(torch.from_numpy(shipped("06_ddim").samples), 1_000, "validation")
    assert ddim.distance == pytest.approx(figures(run)["η = 0, 50 steps: distance"], rel=0.02)
