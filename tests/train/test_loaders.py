"""Loaders of torch as batches: resumed bit by bit, without a length, nested batches, workers, samplers."""

import dataclasses
import subprocess
import sys
from collections import namedtuple

import pytest
import torch
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    DistributedSampler,
    IterableDataset,
    RandomSampler,
    TensorDataset,
    WeightedRandomSampler,
)

import course_utils as cu
from course_utils.system import folders, randomness, ranks
from course_utils.train.feed import Feed, length
from tests.train.training import mlp, same

POINTS = cu.moons(40)


@pytest.fixture(autouse=True)
def live(monkeypatch, tmp_path):
    """The live profile, writing to a folder of the test."""
    monkeypatch.setenv("COURSE_PROFILE", "live")
    monkeypatch.setattr(folders, "runs_dir", lambda: tmp_path)


class Stream(IterableDataset):
    """Points one after the other, with noise from the global generator; it has no length."""

    def __init__(self, x):
        self.x = x

    def __iter__(self):
        for point in self.x:
            yield point + 0.01 * torch.randn(2)


def generator(seed=7):
    return torch.Generator().manual_seed(seed)


LOADERS = {
    "in order": lambda: DataLoader(POINTS, batch_size=8),
    "shuffled": lambda: DataLoader(POINTS, batch_size=8, shuffle=True),
    "own generator": lambda: DataLoader(POINTS, batch_size=8, shuffle=True, generator=generator()),
    "sampler": lambda: DataLoader(POINTS, batch_size=8, sampler=RandomSampler(POINTS, generator=generator())),
    "weighted": lambda: DataLoader(
        POINTS, batch_size=8, sampler=WeightedRandomSampler([1.0] * 40, 40, generator=generator())
    ),
    "batch sampler": lambda: DataLoader(
        POINTS, batch_sampler=BatchSampler(RandomSampler(POINTS, generator=generator()), 8, drop_last=True)
    ),
    "stream": lambda: DataLoader(Stream(POINTS), batch_size=8),
    "a list": lambda: list(POINTS.split(8)),
}


def denoising(model, x):
    return (model(x + 0.1 * torch.randn_like(x)) - x).square().mean()


@pytest.mark.fault(
    fault="A training over a DataLoader (in order, shuffled, with a generator, a sampler, a stream) is resumed",
    sees="“mine: resumed after step 7 of 13.”",
    kept="the weights of an uninterrupted training, bit by bit",
)
@pytest.mark.parametrize("kind", LOADERS)
@pytest.mark.parametrize("stop", [5, 7])  # at the end of an epoch of five batches, and within one
def test_a_resumed_loader_gives_the_weights_of_an_uninterrupted_training(kind, stop):
    make, settings = LOADERS[kind], {"log_every": 1}
    resumed, straight = mlp(seed=4), mlp()
    cu.fit(mlp(), denoising, make(), steps=stop, name="mine", **settings)
    cu.fit(resumed, denoising, make(), steps=13, name="mine", **settings)
    cu.fit(straight, denoising, make(), steps=13, **settings)
    assert same(resumed, straight)


def test_asking_what_a_loader_is_draws_nothing_and_starts_nothing():
    class Counted(DataLoader):
        opened = 0

        def __iter__(self):
            Counted.opened += 1
            return super().__iter__()

    torch.manual_seed(0)
    before = torch.get_rng_state()
    Feed(Counted(POINTS, batch_size=8), torch.device("cpu"))
    assert Counted.opened == 1 and torch.equal(before, torch.get_rng_state())
    with pytest.raises(TypeError, match="only once"):
        Feed(iter([POINTS]), torch.device("cpu"))


@pytest.mark.fault(
    fault="A DataLoader of a stream (IterableDataset), which has no length, in a training with a name",
    sees="nothing: it trains",
    kept="it is resumed like any other",
)
def test_a_stream_without_a_length_trains_under_a_name():
    loader = DataLoader(Stream(POINTS), batch_size=8)
    assert length(loader) is None and length(POINTS.split(8)) == 5
    history = cu.fit(mlp(), denoising, loader, steps=12, name="stream")
    assert history.steps[-1] == 12 and history.stopped is None


Pair = namedtuple("Pair", "x y")


@dataclasses.dataclass
class Record:
    x: torch.Tensor
    label: str = "a"


def test_batches_of_any_nesting_move_to_the_device():
    x = torch.zeros(2, 3)
    nested = {"x": x, "more": [x, (x, {"deep": x})], "pair": Pair(x, 3), "record": Record(x), "name": "text"}
    nested["images"] = torch.zeros(2, 3, 4, 4)
    (moved,) = Feed([nested], torch.device("meta"), images_last=True)(0)
    tensors = [moved["x"], moved["more"][0], moved["more"][1][0], moved["more"][1][1]["deep"]]
    tensors += [moved["pair"].x, moved["record"].x, moved["images"]]
    assert all(tensor.device.type == "meta" for tensor in tensors)
    assert moved["name"] == "text" and moved["pair"].y == 3 and moved["record"].label == "a"
    assert moved["images"].is_contiguous(memory_format=torch.channels_last)
    several = Feed([(x, {"y": x})], torch.device("meta"))(0)
    assert len(several) == 2 and several[1]["y"].device.type == "meta"


def test_batches_that_are_dicts_train():
    loader = DataLoader([{"x": point} for point in POINTS], batch_size=8)
    step = lambda batch: {"loss": batch["x"].square().mean()}  # noqa: E731
    assert cu.loop(step, loader, state={}, steps=6).steps[-1] == 6


WORKERS = """
import torch
from torch.utils.data import DataLoader
import course_utils as cu
if __name__ == "__main__":
    torch.set_num_threads(1)
    loader = DataLoader(cu.moons(32), batch_size=8, shuffle=True, num_workers=2)
    for _ in range(2):
        cu.fit(torch.nn.Linear(2, 2), lambda model, x: model(x).square().mean(), loader, steps=10)
"""


def test_worker_processes_end_without_a_word(tmp_path):
    script = tmp_path / "workers.py"
    script.write_text(WORKERS)
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, cwd=folders.ROOT)
    assert done.returncode == 0 and done.stderr == ""


def test_the_old_workers_are_gone_before_new_ones_start():
    class Watched(DataLoader):
        alive = []

        def __iter__(self):
            self.alive.append(feed is not None and feed._iterator is not None)
            return super().__iter__()

    feed = None
    feed = Feed(Watched(POINTS, batch_size=20), torch.device("cpu"))
    with feed:
        for step in range(6):
            feed(step)
    assert Watched.alive == [False] * 3 and feed._iterator is None


def test_a_distributed_sampler_has_another_order_each_epoch():
    sampler = DistributedSampler(range(32), num_replicas=1, rank=0, shuffle=True)
    feed = Feed(DataLoader(torch.arange(32), batch_size=32, sampler=sampler), torch.device("cpu"))
    orders = [tuple(feed(step)[0].tolist()) for step in range(3)]
    assert len(set(orders)) == 3
    again = Feed(DataLoader(torch.arange(32), batch_size=32, sampler=sampler), torch.device("cpu"), start=2)
    assert tuple(again(2)[0].tolist()) == orders[2]


class Noting(torch.Tensor):
    """A tensor that notes how it is asked to move."""

    asked = []

    def to(self, *where, **how):
        Noting.asked.append(how)
        return self


@pytest.mark.parametrize("kind", ["cuda", "mps"])
def test_only_cuda_copies_ahead_and_mps_has_no_channels_last(kind):
    where = torch.device(kind)
    Noting.asked.clear()
    images = torch.zeros(2, 1, 4, 4).as_subclass(Noting)
    with randomness.forked():
        Feed([images], where, images_last=ranks.images_last(where))(0)
    assert Noting.asked[0]["non_blocking"] is (kind == "cuda")
    assert ("memory_format" in Noting.asked[0]) is (kind == "cuda")
    net = torch.nn.Conv2d(1, 1, 3)
    net.to = lambda *where, **how: Noting.asked.append(how)
    ranks.prepare(net, device=where)
    assert ("memory_format" in Noting.asked[-1]) is (kind == "cuda")


def test_a_data_set_of_tensors_counts_with_its_content(capsys):
    def fit(x):
        cu.fit(
            mlp(),
            denoising,
            DataLoader(TensorDataset(x), batch_size=8, collate_fn=stack),
            steps=4,
            name="set",
        )

    def stack(rows):
        return torch.stack([row[0] for row in rows])

    fit(POINTS)
    fit(POINTS.clone())
    assert "trained before" in capsys.readouterr().out
    with pytest.raises(RuntimeError, match=r"data\.tensors"):
        fit(cu.rings(40))
