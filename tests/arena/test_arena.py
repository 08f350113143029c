"""Models enter the arena by saying how to draw from them; times are measured with care and kept with a
yardstick."""

import json

import pytest
import torch
from torch import nn

import course_utils as cu
from course_utils import arena, runs
from course_utils.arena import clock, entry
from course_utils.runs import read
from course_utils.system import folders, ranks
from tools import arena as tool


@pytest.fixture
def place(monkeypatch, tmp_path):
    """The profile live; shipped and own runs in folders of the test."""
    monkeypatch.setenv("COURSE_PROFILE", "live")
    monkeypatch.setattr(folders, "runs_dir", lambda: tmp_path / "mine")
    monkeypatch.setattr(folders, "shipped_runs_dir", lambda: tmp_path / "shipped")
    monkeypatch.setattr(entry, "CAP", 0.02)
    return tmp_path


class Sampler:
    """A sampler that remembers what it was asked for."""

    def __init__(self, shape=(28, 28), dtype=torch.uint8):
        self.asked = []
        self.shape = shape
        self.dtype = dtype

    def __call__(self, n):
        self.asked.append((n, torch.get_num_threads(), torch.is_grad_enabled()))
        return torch.rand(n, *self.shape).to(self.dtype)


def test_an_entry_comes_back_as_it_was_made(place, capsys):
    draw = Sampler()
    steps = []
    made = cu.enter("08_x", draw, step=lambda: steps.append(1), steps=300, numbers=nn.Linear(4, 3))
    assert arena.entries() == [made] and made.own
    assert (made.name, made.steps, made.numbers) == ("08_x", 300, 15)
    assert min(made.seconds, made.step_seconds, made.yardstick) > 0 and made.fit_seconds == 0
    assert [n for n, *_ in draw.asked][:2] == [1, 10] and len(steps) >= 2
    assert all(threads == 1 and not grad for _, threads, grad in draw.asked)
    assert (place / "mine" / "arena" / "08_x.json").is_file() and not (place / "shipped").exists()
    told = capsys.readouterr().out
    assert told.count("\n") == 1 and "08_x enters the arena" in told and "a training step" in told


@pytest.mark.parametrize("profile", ["quick", "live"])
def test_entering_leaves_random_numbers_and_threads_as_they_were(place, monkeypatch, profile):
    monkeypatch.setenv("COURSE_PROFILE", profile)
    before = torch.get_num_threads()
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    cu.enter("08_x", Sampler())
    assert torch.equal(torch.rand(3), expected) and torch.get_num_threads() == before


def test_in_quick_everything_is_called_once_in_order_and_nothing_timed(place, monkeypatch):
    monkeypatch.setenv("COURSE_PROFILE", "quick")
    calls = []

    def draw(n):
        calls.append(f"draw {n}")
        return torch.zeros(n, 1, 28, 28)

    made = cu.enter(
        "08_x", draw, step=lambda: calls.append("step"), fit=lambda: calls.append("fit"), numbers=7
    )
    assert calls == ["fit", "draw 2", "step"]
    assert made.seconds is None and made.step_seconds is None and made.numbers == 7


@pytest.mark.parametrize("profile", ["quick", "live"])
@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (Sampler(shape=(784,)), r"08_x: draw\(.*it gave \([12], 784\)"),
        (Sampler(shape=(1, 28, 29)), r"draw\("),
        (lambda n: torch.zeros(n + 1, 28, 28), r"draw\("),
        (lambda n: 255 * torch.ones(n, 28, 28), r"use x / 255"),
        (lambda n: torch.full((n, 28, 28), torch.nan), "not finite"),
    ],
)
def test_what_is_no_image_cannot_enter(place, monkeypatch, profile, draw, message):
    monkeypatch.setenv("COURSE_PROFILE", profile)
    with pytest.raises(ValueError, match=message):
        cu.enter("08_x", draw)
    assert arena.entries() == []


def test_where_nothing_is_timed_nothing_is_drawn_or_kept(place, monkeypatch):
    draw = Sampler()
    monkeypatch.setattr(ranks, "world_size", lambda: 2)
    assert cu.enter("08_x", draw) == entry.Entry("08_x")
    monkeypatch.undo()
    monkeypatch.setenv("COURSE_PROFILE", "full")
    assert cu.enter("08_x", draw) == entry.Entry("08_x")
    assert draw.asked == [] and list(place.iterdir()) == []


def test_the_steps_are_those_on_the_card_of_the_shipped_run(place):
    assert cu.enter("04_vae", Sampler()).steps is None
    folder = place / "shipped" / "04_vae"
    folder.mkdir(parents=True)
    card = {"format": 1, "files": {}, "modules": [], "figures": {}, "steps": 48_000}
    (folder / "card.json").write_text(json.dumps(card))
    assert cu.enter("04_vae", Sampler()).steps == 48_000
    assert cu.enter("04_vae", Sampler(), steps=5).steps == 5


def test_a_draw_that_does_a_twentieth_of_the_work_counts_twenty_times(place, monkeypatch):
    monkeypatch.setattr(clock, "per_unit", lambda *args, **kwargs: 0.002)
    assert cu.enter("06_whole", Sampler()).seconds == 2.0
    assert cu.enter("06_part", Sampler(), times=20).seconds == 40.0


def test_a_training_step_trains_a_copy(place):
    model = nn.Linear(3, 1).requires_grad_(False).eval()
    before = model.weight.clone()
    seen = []

    def loss(learner, x):
        seen.append(learner.weight.detach().clone())
        assert learner.training and learner is not model
        return {"loss": learner(x).square().mean()}

    step = arena.training_step(model, loss, torch.randn(8, 3), lr=0.1)
    step()
    step()
    assert torch.equal(seen[0], before) and not torch.equal(seen[1], before)
    assert torch.equal(model.weight, before) and not model.training


def test_entries_lists_shipped_ones_first_and_leaves_out_what_cannot_be_read(place, monkeypatch):
    monkeypatch.setattr(read, "USED", set())
    for own, name in ((False, "05_b"), (True, "05_a"), (False, "04_z")):
        entry.keep(entry.Entry(name, seconds=1.0, own=own))
    assert [(e.name, e.own) for e in arena.entries()] == [("04_z", False), ("05_b", False), ("05_a", True)]
    assert {"arena"} == read.USED  # a notebook that shows entries is stale when they change
    for content in ("{", '{"name": "x", "years": 3}'):
        (place / "mine" / "arena" / "broken.json").write_text(content)
        with pytest.warns(UserWarning, match=r"broken\.json cannot be read"):
            assert len(arena.entries()) == 3


def test_seconds_of_another_machine_are_scaled_by_the_yardsticks():
    fast = entry.Entry("x", seconds=10.0, yardstick=0.02)
    assert fast.scale(0.03) == pytest.approx(1.5)
    assert entry.Entry("x", seconds=10.0).scale(0.03) is None


def test_the_yardstick_is_a_fixed_workload():
    with clock.one_thread():
        found = sorted(clock.yardstick() for _ in range(3))
    assert found[0] > 0 and found[2] / found[0] < 5


def test_every_shipped_run_with_samples_has_entered():
    entered = {found.name: found for found in arena.entries() if not found.own}
    for run in runs.available(samples=True):
        found = entered[run.name]
        assert min(found.seconds, found.step_seconds, found.steps, found.numbers) > 0, run.name
    assert entered["04_vae"].steps == runs.load("04_vae").card["steps"]
    assert entered["04_vae"].seconds > 2 * entered["00_pixels"].seconds


# --- the clock


def test_time_a_unit_does_not_depend_on_how_many_are_timed():
    def work(n):
        for _ in range(n):
            torch.randn(300, 300) @ torch.randn(300, 300)

    with clock.one_thread():
        assert torch.get_num_threads() == 1
        once, often = (sorted(clock.per_unit(work, most, 0.2) for _ in range(3))[1] for most in (40, 160))
    assert 0.3 < once / often < 3


def test_a_counter_sees_every_unit_and_the_warm_up():
    calls = []
    clock.per_unit(calls.append, 50)
    assert calls[0] == 1 and calls[-1] == 50


def test_a_unit_that_costs_the_whole_budget_is_not_repeated(monkeypatch):
    calls = []
    monkeypatch.setattr(clock, "seconds", lambda action, n: action(n) or 2.0 * n)
    assert clock.per_unit(calls.append, 50, budget=3.0) == 2.0 and calls == [1]
    calls.clear()
    assert clock.per_unit(calls.append, 50, budget=5.0, least=1) == 2.0 and calls == [1, 1, 2]


# --- tools/arena.py


LESSON = """
import torch
import course_utils as cu

cu.enter("08_x", lambda n: torch.rand(n, 28, 28), steps=4)
"""


def test_the_tool_times_for_the_course_and_keeps_what_was_known_of_sets(place, monkeypatch):
    monkeypatch.setattr(entry, "SHIPPED_CAP", 0.02)
    monkeypatch.setattr(entry, "SHIPPING", False)
    monkeypatch.setattr(cu, "enter", cu.enter)  # both are put back after the test
    sets = {"n": 5, "mean": 3.0, "spread": 0.1}
    entry.keep(entry.Entry("08_x", seconds=1.0, sets=sets))
    source = place / "08_toy.py"
    source.write_text(LESSON)
    tool.time_lesson(source, sets=False)
    (found,) = arena.entries()
    assert not found.own and found.steps == 4 and found.yardstick > 0 and found.sets == sets
    assert not (place / "mine").exists()


def test_the_tool_finds_the_lessons_that_enter(tmp_path):
    (tmp_path / "08_toy.py").write_text(LESSON)
    (tmp_path / "09_other.py").write_text("import course_utils as cu\n")
    (tmp_path / "10_toy.py").write_text(LESSON)
    assert [path.stem for path in tool.entering([], tmp_path)] == ["08_toy", "10_toy"]
    assert [path.stem for path in tool.entering(["10", "09"], tmp_path)] == ["10_toy"]


def test_the_tool_says_so_where_nothing_enters(capsys):
    assert tool.main(["99"]) == 1
    assert "No such lesson makes an entry" in capsys.readouterr().out


def test_sets_that_would_take_too_long_are_not_drawn():
    assert tool.scatter_of_sets(None, seconds=1_900.0) is None


def test_the_scatter_of_sets_is_that_of_the_score(monkeypatch):
    monkeypatch.setattr(tool, "IMAGES", 60)
    kept = []

    class Remembers(Sampler):
        def __call__(self, n):
            kept.append(super().__call__(n))
            return kept[-1]

    found = tool.scatter_of_sets(Remembers(dtype=torch.float32), seconds=0.1)
    again = cu.metrics.score([cu.to_uint8(images) for images in kept])
    assert len(kept) == 5 and again.distance_spread > 0
    assert (found["n"], found["mean"], found["kid"]) == (5, round(again.distance, 2), round(again.kid, 3))
    assert found["spread"] == round(again.distance_spread, 2)
    assert found["kid_spread"] == round(again.kid_spread, 3)
