"""The speed comparison: its arithmetic, that all competitors do the same work, what the page may not hide."""

import gzip
import itertools
from collections import Counter

import pytest
import torch

import course_utils as cu
import tasks
from tests.bench import loops, page, parts, speed, timing, workloads
from tests.lessons.lesson_functions import load
from tests.train.training import same

STEPS = 5


@pytest.fixture(scope="module")
def works():
    return workloads.workloads()


def spread(median, low, high):
    return timing.Spread(median, low, high, 5)


# ---- arithmetic


def test_quartiles_agree_with_numpy():
    import numpy as np

    values = [3.0, 1.0, 4.0, 1.5, 9.0, 2.6]
    found = timing.spread(values)
    assert (found.low, found.median, found.high) == pytest.approx(
        tuple(np.quantile(values, [0.25, 0.5, 0.75]))
    )
    assert found.scaled(1e3).median == pytest.approx(1e3 * found.median)
    with pytest.raises(ValueError, match="nothing"):
        timing.spread([])


def test_a_ratio_is_taken_within_a_round():
    # The machine is three times slower in the second round: the ratio does not see it.
    found = timing.ratio([2.0, 6.0, 2.2], [1.0, 3.0, 1.0])
    assert found.median == 2.0 and found.high == pytest.approx(2.1)
    with pytest.raises(ValueError):
        timing.ratio([1.0, 2.0], [1.0])


@pytest.mark.parametrize(
    ("found", "limit", "at_most", "verdict"),
    [
        (spread(1.02, 1.01, 1.05), 1.03, True, "met"),
        (spread(1.03, 1.03, 1.03), 1.03, True, "met"),
        (spread(1.04, 1.02, 1.06), 1.03, True, "undecided"),
        (spread(1.05, 1.04, 1.06), 1.03, True, "missed"),
        (spread(3.2, 2.5, 4.0), 3.0, False, "met"),
        (spread(0.99, 0.97, 1.01), 1.0, False, "undecided"),
        (spread(0.9, 0.8, 0.95), 1.0, False, "missed"),
    ],
)
def test_a_verdict_never_loosens_a_limit(found, limit, at_most, verdict):
    assert timing.verdict(found, limit, at_most=at_most) == verdict


@pytest.mark.parametrize("n", range(2, 10))
def test_each_competitor_follows_each_other_one_equally_often(n):
    orders = timing.turns(n, n if n % 2 == 0 else 2 * n)
    assert all(sorted(order) == list(range(n)) for order in orders)
    follows = Counter(pair for order in orders for pair in itertools.pairwise(order))
    assert len(follows) == n * (n - 1) and len(set(follows.values())) == 1
    assert {order[0] for order in orders[:n]} == set(range(n))


def test_competitors_take_turns_and_none_is_always_first():
    calls = []
    entries = {name: lambda name=name: calls.append(name) or float(len(calls)) for name in "abc"}
    found = timing.interleaved(entries, 4)
    assert "".join(calls) == "abcbcacabcba"
    assert found == {"a": [1.0, 6.0, 8.0, 12.0], "b": [2.0, 4.0, 9.0, 11.0], "c": [3.0, 5.0, 7.0, 10.0]}


# ---- the same work


@pytest.mark.parametrize("name", ["points", "vae", "gan", "unet"])
def test_the_hand_written_loop_and_ours_end_at_the_same_weights(works, name):
    work, device = works[name], cu.device()
    data = work.data()
    x = (data[: 4 * work.batch].float() if work.images else data[: 4 * work.batch]).to(device)
    batches, steps = (
        cu.Batches(x, work.batch),
        STEPS if name != "unet" else 2,
    )  # the fifth step opens a second epoch
    start = work.model().to(device)
    by_hand, by_us = loops.hand(work, steps, x, device), loops.ours(work, steps, batches)
    assert same(by_hand, by_us)
    assert not same(by_hand, start)


def test_the_order_of_the_hand_written_loop_is_that_of_batches():
    x = torch.arange(40.0)
    rows = torch.cat([cu.Batches(x, 8, seed=3).batch(t) for t in range(5, 10)])
    assert torch.equal(rows, x[loops.order(40, 3, 1)])


def test_every_competitor_takes_as_many_steps(works, tmp_path):
    found = parts.check(works["points"], tmp_path, steps=3)
    assert {entry["steps"] for entry in found.values()} == {3} and {
        "hand",
        "ours",
        "tutorial, 0 workers",
    } <= set(found)
    assert found["hand"]["difference"] == 0 < found["tutorial, 0 workers"]["difference"]


def test_the_tutorial_reads_the_same_digits(tmp_path, works):
    packed = cu.system.data_dir() / "mnist" / "t10k-images-idx3-ubyte.gz"
    data = workloads.tutorial_set(works["vae"], tmp_path)
    assert (tmp_path / "MNIST" / "raw" / packed.stem).read_bytes() == gzip.decompress(packed.read_bytes())
    train = cu.mnist().train
    for i in (0, 17, 54_999):
        image, label = data[i]
        assert label == train.y[i] and torch.equal(image, train[i].float()[0])


def test_the_game_is_the_lessons_game(works):
    lesson = load("05", "player_loss")
    work, x = works["gan"], cu.Batches(cu.mnist().train, 64).batch(0)
    G, D = (model := cu.prepare(work.model()))["G"], model["D"]
    torch.manual_seed(5)
    fake = G(torch.randn(len(x), 64))
    expected = lesson.player_loss("D", D, x, fake).item()
    torch.manual_seed(5)
    found = work.step(model, work.optimisers(model), x, torch.Tensor.backward)
    assert found["loss of D"].item() == pytest.approx(expected, rel=1e-5)


# ---- the page


def results(ours=1.0):
    """Results of two parts; `ours` ÷ hand-written is the number given."""
    ms = {"hand": [1.0, 1.0, 1.0], "ours": [ours] * 3, "Accelerate": [1.5 * ours] * 3}
    work = {"title": "MLP VAE", "ms": ms, "check": {who: {"difference": 0.0} for who in ms}}
    stamp = {"machine": "CPU, 2 threads", "date": "2026-01-01"}
    start = {"import torch": [2.0], "import course_utils": [0.1], "setup()": [0.3], "mnist()": [0.2]}
    return {"loops": stamp | {"workloads": {"vae": work}}, "start": stamp | {"s": start}}


@pytest.mark.parametrize(("ours", "verdict"), [(1.0, "met"), (1.2, "missed")])
def test_the_page_holds_every_target_with_its_verdict(tmp_path, ours, verdict):
    path = tmp_path / "speed.md"
    page.write(results(ours), path)
    text = path.read_text(encoding="utf-8")
    assert (
        f"| ours ÷ hand-written loop, MLP VAE | ≤ 1.03 | {ours:.3g} ({ours:.3g}–{ours:.3g}) | {verdict} |"
        in text
    )
    assert "| Accelerate ÷ ours, MLP VAE | ≥ 1 | 1.5 (1.5–1.5) | met |" in text
    assert "| import, setup() and mnist() ÷ import torch | ≤ 1 | 0.3 | met |" in text
    assert "CPU, 2 threads, 2026-01-01" in text


def test_a_loop_that_ends_at_other_weights_is_named(tmp_path):
    found = results()
    found["loops"]["workloads"]["vae"]["check"]["Accelerate"]["difference"] = 0.1
    page.write(found, tmp_path / "speed.md")
    assert "**differ**" in (tmp_path / "speed.md").read_text(encoding="utf-8")


def test_a_failing_test_command_meets_no_target():
    assert page.targets({"tests": {"minutes": 1.0, "status": 1}}) == []
    assert page.targets({"tests": {"minutes": 1.0, "status": 0}})[0][3].median == 1.0


def test_the_words_of_the_command_line(monkeypatch, capsys):
    ran = []
    monkeypatch.setattr(tasks, "ensure_environment", lambda: "python")
    monkeypatch.setattr(tasks, "run", lambda command, **_: ran.append(command) or 0)
    assert tasks.bench([]) == 0 and [command[-1] for command in ran] == [
        "tests/bench/lessons.py",
        "tests.bench.speed",
    ]
    ran.clear()
    tasks.bench(["speed", "--only", "start"])
    assert ran == [["python", "-m", "tests.bench.speed", "--only", "start"]]
    with pytest.raises(SystemExit):
        tasks.bench(["sped"])
    with pytest.raises(SystemExit):
        speed.arguments(["--tiny"])
    assert "measures nothing worth keeping" in capsys.readouterr().err
