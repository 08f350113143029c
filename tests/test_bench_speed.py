"""The speed comparison: its arithmetic, that all competitors do the same work, and what the page may not hide."""

import gzip
import itertools
import os
from collections import Counter

import nbformat
import pytest
import torch

import course_utils as cu
import tasks
from tests.bench import loops, notebooks, page, parts, profiles, quality, speed, targets, timing, workloads
from tests.lesson_functions import load
from tests.training import same

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
    assert (found.low, found.median, found.high) == pytest.approx(tuple(np.quantile(values, [0.25, 0.5, 0.75])))
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


def test_rounds_are_sorted_by_how_far_apart_the_cores_were():
    hops = {"a": [1.0, 1.2, 3.0, None, 3.0], "b": [1.1, 3.0, 3.0, 1.0, 2.0]}
    assert timing.near_and_far(hops, "a", "b") == ([0], [2, 4])
    assert timing.near_and_far(hops, "a") == ([0, 1], [2, 4])
    assert timing.near_and_far({"a": [1.0, 1.2], "b": [1.1, None]}, "a") == ([], [])  # all alike: nothing to tell apart


@pytest.mark.skipif(not hasattr(os, "fork") or (os.cpu_count() or 1) < 2, reason="needs fork and two cores")
def test_the_way_from_core_to_core_is_measured_and_given_up():
    found = timing.hop(2_000)
    assert found is None or 0 < found < 0.1  # None: the machine was too busy
    assert timing.hop(10**9, patience=1) is None  # nobody waits for long


def test_the_load_of_others_is_a_share():
    with timing.Machine() as machine:
        sum(range(200_000))
    assert machine.others is None or 0 <= machine.others <= 1


# ---- the same work


@pytest.mark.parametrize("name", ["points", "vae", "gan", "unet"])
def test_the_hand_written_loop_and_ours_end_at_the_same_weights(works, name):
    work, device = works[name], cu.runtime.device()
    data = work.data()
    x = (data[: 4 * work.batch].float() if work.images else data[: 4 * work.batch]).to(device)
    batches, steps = cu.Batches(x, work.batch), STEPS if name != "unet" else 2  # the fifth step opens a second epoch
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
    assert {entry["steps"] for entry in found.values()} == {3} and {"hand", "ours", "tutorial, 0 workers"} <= set(found)
    assert found["hand"]["difference"] == 0 < found["tutorial, 0 workers"]["difference"]


def test_the_tutorial_reads_the_same_digits(tmp_path, works):
    packed = cu.runtime.data_dir() / "mnist" / "t10k-images-idx3-ubyte.gz"
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


# ---- profiles


def test_operations_are_counted_and_sorted_into_kinds():
    a, b = torch.rand(8, 16), torch.rand(16, 4)
    assert profiles.flops(lambda: a @ b) == 2 * 8 * 16 * 4
    kinds = ("aten::addmm", "aten::mkldnn_convolution", "aten::copy_", "aten::add", "autograd::engine", "aten::mm")
    expected = ["matrix products", "convolutions", "memory traffic", "elementwise", profiles.PYTHON, "matrix products"]
    assert [profiles.kind_of(kind) for kind in kinds] == expected
    found = profiles.kernels(lambda: torch.rand(400, 400) @ torch.rand(400, 400), 20)
    assert sum(found.values()) == pytest.approx(1, abs=0.1) and found["matrix products"] > 0.1


def test_the_profile_tells_one_thread_from_more(works):
    step = profiles.one_step(works["points"])
    before = torch.get_num_threads()
    with profiles.threads(1):
        assert torch.get_num_threads() == 1
        found = profiles.microseconds(step, 3)
    assert torch.get_num_threads() == before
    assert {"matrix products", "optimiser", profiles.PYTHON} <= set(found) and min(found.values()) >= 0


def test_shares_are_said_greatest_first():
    found = profiles.shares({"a": 1.0, "b": 6.0, "c": 3.0, "d": 0.001})
    assert list(found) == ["b", "c", "a"] and profiles.sentence(found, 2) == "60 % b, 30 % c"


def test_our_own_overhead_is_found(works):
    work = works["points"]
    batches = cu.Batches(work.data(), work.batch)
    found = profiles.overhead(lambda: loops.ours(work, 4, batches), 4)
    assert all(found[piece] > 0 for piece in ("batches", "values kept", "log points", "set-up", "end"))


def test_the_slowest_cells_of_all_lessons():
    lessons = [{"lesson": name, "cells": [{"seconds": s, "section": "", "line": ""} for s in seconds]}
               for name, seconds in {"01": [1.0, 5.0], "02": [3.0]}.items()]  # fmt: skip
    assert [(c["lesson"], c["index"]) for c in notebooks.slowest(lessons, 2)] == [("01", 1), ("02", 0)]


def test_a_cell_is_known_by_its_section_and_first_line():
    new = nbformat.v4
    book = new.new_notebook(cells=[new.new_markdown_cell("## 3 · Fields *(core)*\ntext"),
                                   new.new_code_cell("# a comment\nimport torch\n\nx = 1")])  # fmt: skip
    assert notebooks.described(book) == [{"section": "3 · Fields", "line": "x = 1"}]


def test_cells_are_timed_and_profiled_in_a_kernel(tmp_path):
    new = nbformat.v4
    sources = ["import time\ntime.sleep(0.3)", "import torch\nfor _ in range(60):\n    torch.rand(300, 300).inverse()"]
    book = new.new_notebook(cells=[new.new_code_cell(source) for source in sources])
    nbformat.write(book, tmp_path / "book.ipynb")
    found = notebooks.quick(tmp_path / "book.ipynb", profiled=True)
    slept, inverted = found["cells"]
    assert slept["seconds"] >= 0.3 and slept["line"] == "time.sleep(0.3)"
    assert slept["shares"] != inverted["shares"] and "torch" in next(iter(inverted["shares"]))


# ---- the page


def results(ours=1.0):
    """Results of two parts; `ours` ÷ hand-written is the number given."""
    seconds = {"hand": [1.0, 1.0, 1.0], "ours": [ours] * 3, "Accelerate": [1.5 * ours] * 3}
    work = {"title": "MLP VAE, lesson 00 (batch 128)", "steps": 10, "seconds": seconds,
            "check": {who: {"difference": 0.0} for who in seconds}, "overhead": {"batches": 12.0}}  # fmt: skip
    stamp = {"machine": "CPU, 2 threads", "date": "2026-01-01", "others": 0.01}
    start = {"torch": [2.0], "import course_utils": [0.1], "setup()": [0.3], "mnist()": [0.2]}
    return {
        "loops": stamp | {"workloads": {"vae": work}, "versions": {"torch": "2"}},
        "start": stamp | {"seconds": start, "imports": {"matplotlib": 0.2}},
    }


def test_the_page_holds_every_target_and_names_what_was_not_measured(tmp_path):
    path = tmp_path / "speed.md"
    page.write(results(), path)
    text = path.read_text(encoding="utf-8")
    assert "| ours ÷ hand-written loop, MLP VAE | ≤ 1.03 | 1.000 (1.000–1.000) | met |" in text
    assert "| Accelerate ÷ ours, MLP VAE | ≥ 1 | 1.500 (1.500–1.500) | met |" in text
    assert "| import, setup() and mnist() ÷ import torch | ≤ 1 | 0.300 | met |" in text
    assert "3 of 3 met" in text and "Not measured yet: data path" in text and "no GPU" in text


def test_a_missed_target_stands_with_its_reason(tmp_path):
    path = tmp_path / "speed.md"
    page.write(results(ours=1.2), path)
    text = path.read_text(encoding="utf-8")
    assert "| **missed** |" in text and "2 of 3 met" in text
    assert "ours ÷ hand-written loop, MLP VAE (missed): of 100,000 µs a step: batches 12 µs" in text


def test_a_loader_that_a_step_outweighs_is_explained_by_both_and_by_the_threads(tmp_path):
    found, path = results(), tmp_path / "speed.md"
    compared = found["loops"]["workloads"]["vae"]
    compared["seconds"]["tutorial, 0 workers"] = [2.0, 2.0, 2.0]
    compared["check"]["tutorial, 0 workers"] = {"difference": 1.0}
    compared["seconds"]["hand"], compared["seconds"]["ours"] = [0.5, 1.0, 1.0], [0.5, 1.0, 1.0]
    compared["hops"] = {who: [1e-7, 2e-7, 2e-7] for who in compared["seconds"]}
    stamp = {key: found["start"][key] for key in ("machine", "date", "others")}
    found["data"] = stamp | {"seconds": {"ours": [1.0], "tutorial, 0 workers": [60.0]}, "batches": 10, "why": {},
                             "why tutorial": {}}  # fmt: skip
    one, two = {"matrix products": 2_000.0, "optimiser": 200.0}, {"matrix products": 1_000.0, "optimiser": 800.0}
    work = {"title": "MLP VAE, lesson 00", "shares": {"matrix products": 0.6}, "flops": 1, "seconds": [1.0],
            "alone": one, "together": two, "hop": 2e-7}  # fmt: skip
    found["profile"] = stamp | {"workloads": {"vae": work}, "peak": [1e9, 1e9, 1e9], "threads": 2}
    page.write(found, path)
    text = path.read_text(encoding="utf-8")
    assert "both do a step of 100.0 ms (60 % matrix products), and the loader's work for a batch, alone, takes" in text
    assert (
        "takes 6000.0 ms. 2 threads take 0.82 times as long for a step as one: matrix products 0.5, optimiser 4" in text
    )
    assert "| MLP VAE | 2,200 → 1,800 |  | 2,000 → 1,000 |  |  |  | 200 → 800 |" in text
    assert (
        "From core to core a byte took 200 ns (100–200); near in 1 of 3 rounds, with 50.0 ms a step by hand; far"
        in text
    )
    assert "With near cores (1 of the rounds) the ratio was 4.00, with far ones (2) 2.00." in text


def test_a_missed_target_without_a_reason_is_refused():
    missed = targets.Target("a ÷ b", 1.0, True, spread(2.0, 1.9, 2.1), "")
    with pytest.raises(ValueError, match="no profile says why"):
        page.verdicts([missed])


def test_a_gpu_has_its_own_limit():
    gpu = results(ours=1.04)
    found = [target for target in targets.targets(results(), gpu) if "GPU" in target.what]
    assert [(target.limit, target.verdict) for target in found] == [(1.05, "met")]


def test_cards_give_seconds_of_steps_and_of_hours():
    card = {"steps": 2_000, "seconds": 100.0}
    assert quality.at("ratio after 500", 3.0, card) == (25.0, 3.0)
    assert quality.at("Fréchet ratio after 0.50 CPU hours", 2.0, card) == (1_800.0, 2.0)


def test_the_words_of_the_command_line(monkeypatch, capsys):
    ran = []
    monkeypatch.setattr(tasks, "ensure_environment", lambda: "python")
    monkeypatch.setattr(tasks, "run", lambda command, **_: ran.append(command) or 0)
    assert tasks.bench([]) == 0 and [command[-1] for command in ran] == ["tests/bench/lessons.py", "tests.bench.speed"]
    ran.clear()
    tasks.bench(["speed", "--only", "start"])
    assert ran == [["python", "-m", "tests.bench.speed", "--only", "start"]]
    with pytest.raises(SystemExit):
        tasks.bench(["sped"])
    with pytest.raises(SystemExit):
        speed.arguments(["--tiny"])
    assert "measures nothing worth keeping" in capsys.readouterr().err
