"""Batches: order, resumption, shards, exact pixels, errors."""

import pytest
import torch

from course_utils import data
from course_utils.data.batches import Batches
from course_utils.system import machine, ranks

ROWS = torch.arange(103)


def as_processes(monkeypatch, world, make):
    """`make()` as each of `world` processes would."""
    shards = []
    for rank in range(world):
        with monkeypatch.context() as patch:
            patch.setattr(ranks, "rank", lambda rank=rank: rank)
            patch.setattr(ranks, "world_size", lambda: world)
            shards.append(make())
    return shards


def epoch(batches):
    return torch.cat(list(batches))


def test_an_epoch_is_a_permutation_of_seed_and_epoch_alone():
    make = lambda b=10, s=0: Batches(ROWS, b, seed=s, drop_last=False, device="cpu")  # noqa: E731
    batches = make()
    first, second = epoch(batches), epoch(batches)
    assert torch.equal(first.sort().values, ROWS) and torch.equal(second.sort().values, ROWS)
    assert not torch.equal(first, second) and not torch.equal(first, ROWS)
    torch.manual_seed(123)
    torch.rand(7)  # neither the global generator nor the batch size has a part in it
    again = make(b=17)
    assert torch.equal(epoch(again), first) and torch.equal(epoch(again), second)
    assert not torch.equal(epoch(make(s=1)), first)
    assert not torch.equal(epoch(make(s=1)), second), "seed 1 must not be seed 0 one epoch later"


def test_global_generator_is_left_alone():
    before = torch.get_rng_state()
    epoch(Batches(ROWS, 10, device="cpu"))
    assert torch.equal(torch.get_rng_state(), before)


def test_batch_is_a_pure_function_of_the_step():
    batches = Batches(ROWS, 10, device="cpu")
    assert len(batches) == 10
    run = [b for _ in range(3) for b in batches]  # three epochs
    assert len(run) == 30
    fresh = Batches(ROWS, 10, device="cpu")
    for step in (29, 0, 13, 10, 9, 13):
        assert torch.equal(fresh.batch(step), run[step])
    with pytest.raises(ValueError, match="0 or more"):
        fresh.batch(-1)


def test_interleaved_epochs_do_not_disturb_each_other():
    batches, same = Batches(ROWS, 10, device="cpu"), Batches(ROWS, 10, device="cpu")
    pairs = list(zip(iter(batches), iter(batches)))
    assert torch.equal(torch.cat([a for a, _ in pairs]), epoch(same))
    assert torch.equal(torch.cat([b for _, b in pairs]), epoch(same))


def test_drop_last():
    full = Batches(ROWS, 10, device="cpu")
    rest = Batches(ROWS, 10, drop_last=False, device="cpu")
    assert [len(b) for b in full] == [10] * 10 and len(full) == 10
    assert [len(b) for b in rest] == [10] * 10 + [3] and len(rest) == 11
    exact = Batches(ROWS[:100], 10, drop_last=False, device="cpu")
    assert len(exact) == len(list(exact)) == 10


def test_without_shuffling_the_order_is_kept():
    batches = Batches(ROWS, 10, shuffle=False, drop_last=False, device="cpu")
    assert torch.equal(epoch(batches), ROWS) and torch.equal(epoch(batches), ROWS)


@pytest.mark.parametrize("world", [2, 3])
@pytest.mark.parametrize("drop_last", [True, False])
def test_shards_join_to_the_batches_of_one_process(monkeypatch, world, drop_last):
    shards = as_processes(monkeypatch, world, lambda: Batches(ROWS, 8, drop_last=drop_last, device="cpu"))
    single = Batches(ROWS, 8 * world, drop_last=drop_last, device="cpu")
    assert {len(s) for s in shards} == {len(single)}
    for step in range(2 * len(single)):
        parts = [s.batch(step) for s in shards]
        assert all(len(p) > 0 for p in parts)
        assert torch.equal(torch.cat(parts), single.batch(step))
        if step % len(single) < len(ROWS) // (8 * world):
            assert [len(p) for p in parts] == [8] * world


def test_a_rest_smaller_than_the_processes_is_refused(monkeypatch):
    make = lambda: Batches(torch.arange(17), 4, drop_last=False, device="cpu")  # noqa: E731
    with pytest.raises(ValueError, match="last batch has 1 rows for 2 processes"):
        as_processes(monkeypatch, 2, make)
    assert len(make()) == 5  # one process has no such trouble


def test_pixels_are_exact_and_stay_on_the_device():
    x = torch.arange(256, dtype=torch.uint8).view(256, 1, 1, 1)
    batches = Batches(data.Split(x, torch.arange(256)), 256, labels=True)
    rows, y = next(iter(batches))
    exact = (torch.arange(256, dtype=torch.float64) / 255).to(torch.float32)
    assert torch.equal(rows.flatten().cpu(), exact[y.cpu()]) and rows.dtype == torch.float32
    assert rows.device.type == y.device.type == machine.device().type
    assert batches._tensors[0].dtype == torch.uint8, "kept as uint8 on the device, normalised batch by batch"
    assert Batches(x, 16, device="meta").batch(0).device.type == "meta"


def test_kinds_of_data():
    split = data.mnist().val
    x = next(iter(Batches(split, 32)))
    assert x.shape == (32, 1, 28, 28) and x.min() >= 0 and x.max() == 1
    x, y = next(iter(Batches(split, 32, labels=True)))
    assert x.shape == (32, 1, 28, 28) and y.shape == (32,) and y.dtype == torch.int64
    points, part = data.moons(100, labels=True)
    a, b = next(iter(Batches((points, part), 100, shuffle=False)))
    assert torch.equal(a.cpu(), points) and torch.equal(b.cpu(), part)
    assert len(next(iter(Batches((points, part, points), 10)))) == 3
    assert torch.equal(
        next(iter(Batches(points.double(), 100, shuffle=False, device="cpu"))), points.double()
    )


def test_x_and_y_stay_together():
    x = torch.arange(200, dtype=torch.uint8).view(200, 1, 1, 1)
    for rows, y in Batches(data.Split(x, torch.arange(200)), 16, labels=True, device="cpu"):
        assert torch.equal((rows.flatten() * 255).round().long(), y)


@pytest.mark.fault(
    fault="An empty data set, a batch larger than the data, tensors of unequal length",
    sees="“The data are empty: there is nothing to make batches of.” · “batch_size=104 is more than the 103 "
    "examples: use at most 103.”",
    kept="the error comes before any training",
)
@pytest.mark.parametrize(
    "args, kwargs, error, says",
    [
        ((torch.empty(0, 2), 1), {}, ValueError, "empty"),
        ((ROWS, 104), {}, ValueError, "batch_size=104 is more than the 103 examples: use at most 103"),
        ((ROWS, 104), {"drop_last": False}, ValueError, "more than the 103"),
        ((ROWS, 0), {}, ValueError, "at least 1, not 0"),
        (((ROWS, ROWS[:5]), 2), {}, ValueError, r"equal length, theirs are \[103, 5\]"),
        ((ROWS, 2), {"labels": True}, ValueError, "labels=True needs a Split"),
        (([1, 2, 3], 2), {}, TypeError, "not list: convert it"),
        ((torch.tensor(3.0), 1), {}, ValueError, "empty"),
    ],
)
def test_errors(args, kwargs, error, says):
    with pytest.raises(error, match=says):
        Batches(*args, device="cpu", **kwargs)


def test_images_instead_of_a_split():
    with pytest.raises(TypeError, match="choose data.train"):
        Batches(data.mnist(), 8)


def test_too_large_for_all_processes(monkeypatch):
    with pytest.raises(ValueError, match=r"2 processes × 60 is more than the 103 examples: use at most 51"):
        as_processes(monkeypatch, 2, lambda: Batches(ROWS, 60, device="cpu"))
