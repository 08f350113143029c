"""Rebuilt entrants draw what their runs shipped, train as their lessons do, and times are measured with care."""

import pytest
import torch

import course_utils as cu
from course_utils import arena, metrics, runs
from course_utils.lessoncode import Source

HERE = [name for name in arena.BUILDERS if runs.available(name)]
DRAWN = [name for name in HERE if name != "06_ancestral"]  # a thousand passes an image are too many for a test


def test_every_shipped_run_with_samples_can_be_rebuilt_and_timed():
    assert {run.name for run in runs.available(samples=True)} <= set(arena.BUILDERS)


def test_a_source_gives_a_name_with_all_that_it_needs():
    lesson = Source("04")
    assert lesson.checked_kl is lesson.kl_to_prior
    model = lesson.VAE(latent=4, width=4)
    assert lesson.vae_loss(model, torch.rand(2, 1, 28, 28))["loss"].isfinite()
    assert Source("05").LATENT == 64
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = lesson.no_such_name
    with pytest.raises(LookupError, match="no lesson 99"):
        Source("99")


def test_a_source_runs_only_what_was_asked_for(capsys):
    _ = Source("04").VAE
    assert capsys.readouterr().out == ""


def test_an_unknown_or_missing_entrant_is_none():
    assert arena.rebuild("no_such_run") is None


@pytest.mark.parametrize("name", DRAWN)
def test_rebuilt_samples_come_from_the_shipped_model(name):
    torch.manual_seed(0)
    entrant, shipped = arena.rebuild(name), torch.from_numpy(runs.load(name).samples)
    assert entrant is not None
    if entrant.fit:
        entrant.fit()
    n = 40 if name.startswith("06") else 250
    drawn = entrant.sample(n)
    assert drawn.shape == (n, 28, 28) and drawn.dtype == torch.uint8
    assert not torch.equal(drawn, entrant.sample(n))  # independent sets need independent draws
    reference = metrics.features(cu.mnist().test.x[:500])
    ours, theirs = (metrics.frechet(metrics.features(x[:n]), reference) for x in (drawn, shipped))
    assert 0.6 < ours / theirs < 1.6
    assert entrant.parameters > 0 and entrant.steps > 0


@pytest.mark.parametrize("name", [name for name in DRAWN if name[:2] in ("04", "05")])
def test_training_steps_really_train(name):
    entrant = arena.rebuild(name)
    entrant.train(1)


def test_time_a_unit_does_not_depend_on_how_many_are_timed():
    def work(n):
        for _ in range(n):
            torch.randn(300, 300) @ torch.randn(300, 300)

    with arena.one_thread():
        assert torch.get_num_threads() == 1
        once, often = (sorted(arena.per_unit(work, most, 0.2) for _ in range(3))[1] for most in (40, 160))
    assert 0.3 < once / often < 3


def test_a_counter_sees_every_unit_and_the_warm_up():
    calls = []
    arena.per_unit(lambda n: calls.append(n), 50)
    assert calls[0] == 1 and calls[-1] == 50


def test_the_mystery_is_found_in_the_training_set():
    images, train = arena.mystery(5), cu.mnist().train.x[:, 0]
    assert all((image == train).flatten(1).all(1).any() for image in images)
