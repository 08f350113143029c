"""Two processes under torchrun are one process with the doubled batch, and show and save like one."""

import json
import os
import subprocess
import sys

import pytest
import torch

from course_utils.system.folders import ROOT

pytestmark = pytest.mark.turns(3)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Run the worker alone and as two processes; return their folder and the output of the two."""
    folder = tmp_path_factory.mktemp("ranks")
    alone = [sys.executable, "-m", "tests.system.distributed_worker", str(folder)]
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "COURSE_PROFILE": "live"}
    output = []
    for command in (alone, [*launch, "-m", *alone[2:]]):
        done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
        output.append(done.stdout)
    return folder, output


def load(results, world, rank):
    folder, _ = results
    found = json.loads((folder / f"found_{world}_{rank}.json").read_text())
    return torch.load(folder / f"weights_{world}_{rank}.pt", weights_only=True), found


@pytest.mark.parametrize("kind", ["averaged", "players"])
def test_two_processes_equal_one_with_the_doubled_batch(results, kind):
    (one, _), (two, _) = load(results, 1, 0), load(results, 2, 0)
    assert one[kind].keys() == two[kind].keys()
    for key, weight in one[kind].items():
        torch.testing.assert_close(two[kind][key], weight, rtol=0, atol=1e-5)


def test_it_would_be_noticed_if_gradients_were_not_averaged(results):
    one = load(results, 1, 0)[0]["averaged"]
    assert (
        one["decoder.weight"] - one["ema.decoder.weight"]
    ).abs().max() > 1e-3  # the weights do move, much further


@pytest.mark.parametrize("kind", ["averaged", "players"])
def test_weights_are_identical_on_all_ranks(results, kind):
    (first, _), (second, _) = load(results, 2, 0), load(results, 2, 1)
    assert all(torch.equal(first[kind][key], second[kind][key]) for key in first[kind])


def test_logged_losses_are_those_of_the_whole_batch(results):
    (_, one), (_, first), (_, second) = load(results, 1, 0), load(results, 2, 0), load(results, 2, 1)
    assert first["losses"] == second["losses"]
    assert first["losses"] == pytest.approx(one["losses"], abs=1e-5)


def test_each_rank_draws_its_own_noise(results):
    (_, one), (_, first), (_, second) = load(results, 1, 0), load(results, 2, 0), load(results, 2, 1)
    assert first["noise"] == one["noise"] and not set(first["noise"]) & set(second["noise"])


def test_resume_gives_every_rank_its_own_random_state_back(results):
    for rank in (0, 1):
        saved, equal, _ = load(results, 2, rank)[1]["resumed"]
        assert saved == 6 and equal


def test_stops_are_decided_on_rank_0(results):
    for rank in (0, 1):
        assert load(results, 2, rank)[1]["stopped"] == [[4, True], [40, False]]


def test_rank_0_alone_prints_and_saves(results):
    folder, (alone, both) = results
    assert "seed 0" in alone
    for line in (
        "profile live",
        "mine: resumed after step 6",
        "minutes=1e-09 struck after 4",
        "training: 40 steps",
    ):
        assert both.count(line) == 1, line
    assert load(results, 2, 0)[1]["resumed"][2] > 0 and load(results, 2, 1)[1]["resumed"][2] == 0
    name, command, files = load(results, 2, 0)[1]["run"]
    assert load(results, 2, 1)[1]["run"][0] == name and files == ["card.json", "weights.safetensors"]
    assert not [path.name for path in folder.iterdir() if path.name.endswith((".tmp", ".old"))]
