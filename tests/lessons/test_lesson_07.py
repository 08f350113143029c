"""Lesson 07: metrics against trusted implementations, the blind spots, the theorem, the error bars, the
board."""

import math

import numpy as np
import pytest
import torch

import course_utils as cu
from course_utils import metrics, runs
from tests.lessons.lesson_functions import load

solutions = load("07", "frechet", "precision_recall", "spread_of_halves", "densest")
lesson = load("07", "Mixture", "pareto_front")
GENERATOR = torch.Generator().manual_seed(0)


def cloud(n, d, seed=0, scale=1.0):
    return scale * torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# --- the metrics
# ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "d"), [(300, 6), (40, 30), (10, 25)])
def test_the_distance_agrees_with_the_package_and_with_scipy(n, d):
    from scipy.linalg import sqrtm

    a, b = cloud(n, d, 1) @ cloud(d, d, 2), cloud(2 * n, d, 3) + 0.5
    ours = solutions.frechet(a, b).item()
    assert ours == pytest.approx(metrics.frechet(a, b), rel=1e-5)
    if n > d:
        cross = np.trace(sqrtm((a.T.cov() @ b.T.cov()).numpy()).real)
        by_hand = (a.mean(0) - b.mean(0)).square().sum() + a.T.cov().trace() + b.T.cov().trace() - 2 * cross
        assert ours == pytest.approx(by_hand.item(), rel=1e-6)


def test_the_distance_is_symmetric_and_does_not_turn():
    a, b = cloud(200, 5, 4), 1.5 * cloud(150, 5, 5) + 1
    turn = torch.linalg.qr(cloud(5, 5, 6))[0]
    assert solutions.frechet(a, b).item() == pytest.approx(solutions.frechet(b, a).item(), rel=1e-9)
    assert solutions.frechet(a @ turn, b @ turn).item() == pytest.approx(
        solutions.frechet(a, b).item(), rel=1e-9
    )


def test_the_floor_falls_like_one_over_n():
    a = cloud(20_000, 8, 7)
    b = cloud(20_000, 8, 8)
    few, many = (np.mean([solutions.frechet(x, b).item() for x in a[: 20 * n].split(n)]) for n in (50, 400))
    assert few / many == pytest.approx(8, rel=0.25)


@pytest.mark.parametrize("k", [1, 3, 5])
def test_precision_and_recall_agree_with_scikit_learn(k):
    from sklearn.neighbors import NearestNeighbors

    real, fake = cloud(120, 4, 9), cloud(90, 4, 10, 0.7) + 0.4

    def inside(points, centres):
        radii = NearestNeighbors(n_neighbors=k + 1).fit(centres).kneighbors(centres)[0][:, -1]
        distance = np.linalg.norm(points[:, None] - centres[None], axis=2)
        return (distance < radii).any(1).mean()

    ours = [value.item() for value in solutions.precision_recall(real, fake, k)]
    assert ours == pytest.approx([inside(fake.numpy(), real.numpy()), inside(real.numpy(), fake.numpy())])
    packaged = metrics.precision_recall(real, fake, k)
    assert ours == pytest.approx([packaged["precision"], packaged["recall"]])


def test_recall_can_be_bought_with_rubbish_in_many_dimensions():
    real = cloud(300, 60, 11)
    sphere = cloud(300, 60, 12)
    sphere = 60 * sphere / sphere.norm(dim=1, keepdim=True)  # far outside the data
    precision, recall = solutions.precision_recall(real, sphere, 5)
    assert precision == 0 and recall == 1


# --- the theorem
# ------------------------------------------------------------------------------------------------------


def test_garbage_costs_at_most_minus_log_of_what_is_left():
    model = lesson.Mixture()
    cu.restore("02_mixture", model)
    x = (cu.mnist().test.x[:300].flatten(1) + torch.rand(300, 784, generator=GENERATOR)) / 256
    log_p = model.log_prob(x)
    for share in (0.01, 0.5, 0.99):
        log_g = 2_000 * torch.randn(300, generator=GENERATOR).double()  # any garbage density whatever
        mixed = torch.logaddexp(log_p + math.log1p(-share), log_g + math.log(share))
        assert (log_p - mixed <= -math.log1p(-share) + 1e-9).all()
    nothing = torch.full_like(log_p, -1e9)
    worst = log_p - torch.logaddexp(log_p + math.log(0.5), nothing + math.log(0.5))
    torch.testing.assert_close(worst, torch.full_like(log_p, math.log(2)))  # the bound is reached


def test_the_mixture_of_lesson_02_has_the_density_that_lesson_02_gives_it():
    of_02 = load("02", "PPCAMixture").PPCAMixture(K=40, r=13)
    here = lesson.Mixture()
    cu.restore("02_mixture", of_02)
    cu.restore("02_mixture", here)
    x = (cu.mnist().test.x[:130].flatten(1) + torch.rand(130, 784, generator=GENERATOR)) / 256
    theirs = of_02.log_joint(x).logsumexp(1).double()
    torch.testing.assert_close(here.log_prob(x), theirs, rtol=1e-4, atol=0.05)  # nats, of hundreds


# --- error bars
# -------------------------------------------------------------------------------------------------------


def test_halves_give_the_error_of_a_mean_and_repeat():
    x = cloud(400, 1, 13)[:, 0]
    found = [
        solutions.spread_of_halves(torch.mean, x, 600, torch.Generator().manual_seed(3)) for _ in range(2)
    ]
    assert found[0] == found[1] == pytest.approx(x.std().item() / 20, rel=0.1)


def test_halves_match_independent_sets_away_from_the_floor_and_a_bootstrap_is_biased_near_it():
    judge, dice = cloud(4_000, 10, 14), torch.Generator().manual_seed(5)

    def distance(x):
        return solutions.frechet(x, judge).item()

    far = [1.3 * cloud(300, 10, seed) + 1 for seed in range(100, 130)]
    truth = np.std([distance(x) for x in far], ddof=1)
    by_halves = np.mean([solutions.spread_of_halves(distance, x, 30, dice) for x in far[:6]])
    assert by_halves == pytest.approx(truth, rel=0.35)
    near = [cloud(300, 10, seed) for seed in range(200, 206)]
    excess = [
        np.mean([distance(x[torch.randint(300, (300,), generator=dice)]) for _ in range(15)]) / distance(x)
        for x in near
    ]
    assert min(excess) > 1.2 and np.mean(excess) > 1.5


# --- the cheat
# --------------------------------------------------------------------------------------------------------


def test_the_densest_image_cannot_be_beaten_and_is_useless():
    real, candidates = (
        torch.cat([cloud(150, 8, 15), 0.2 * cloud(50, 8, 16) + 3]),
        torch.cat([cloud(100, 8, 17), 0.2 * cloud(20, 8, 18) + 3]),
    )
    picks = solutions.densest(real, candidates, 5, 200)
    scores = metrics.precision_recall(real, candidates[picks])
    best = max(
        metrics.precision_recall(real, candidates[[i] * 200])["density"] for i in range(len(candidates))
    )
    assert scores["density"] == pytest.approx(best) and scores["density"] > 1.5
    assert scores["precision"] == 1 and scores["recall"] < 0.05 and len(picks.unique()) == 1


# --- the shipped run and the pathologies
# ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real():
    return metrics.features(
        cu.mnist().test.sample(1_200, seed=2).x
    )  # shuffled: neighbours in the file share a writer


def test_the_copier_passes_the_distance_and_fails_by_nearness(real):
    train = cu.mnist().train.x[:, 0]
    copies = train[torch.randperm(len(train), generator=GENERATOR)[:400]]
    vae = metrics.features(torch.from_numpy(runs.load("04_vae").samples[:400]))
    honest, copied, drawn = (
        metrics.frechet(f, real[:800]) for f in (real[800:], metrics.features(copies), vae)
    )
    assert copied < 0.2 * drawn and copied < 5 * honest
    archive = train[:20_000].flatten(1).float()
    nearest = torch.cdist(copies[:60].flatten(1).float(), archive).min(1).values
    unseen = torch.cdist(cu.mnist().test.x[:60].flatten(1).float(), archive).min(1).values
    assert (nearest == 0).float().mean() > 0.15 and unseen.min() > 0


def test_ten_stamps_have_perfect_precision_and_no_recall(real):
    digits = cu.mnist().train
    stamps = torch.stack([(digits.y == digit).nonzero()[3, 0] for digit in range(10)])
    f = metrics.features(digits.x[stamps]).repeat(40, 1)
    precision, recall = solutions.precision_recall(real[:800], f, 5)
    assert precision == 1 and recall < 0.05
    vae = metrics.features(torch.from_numpy(runs.load("04_vae").samples[:400]))
    assert metrics.frechet(f, real[:800]) < metrics.frechet(vae, real[:800])


# --- the board
# ---------------------------------------------------------------------------------------------------------


def test_nobody_beats_the_front_and_the_front_beats_all_others():
    dice = np.random.default_rng(0)
    placed = {f"m{i}": tuple(dice.random(2).round(1)) for i in range(60)}
    placed["twin"] = min(placed.values())  # two in one place do not beat each other
    front = lesson.pareto_front(placed)

    def beats(a, b):
        return a != b and a[0] <= b[0] and a[1] <= b[1]

    for name, point in placed.items():
        assert (name in front) == (not any(beats(other, point) for other in placed.values()))
    assert [placed[name][0] for name in front] == sorted(placed[name][0] for name in front)


def test_every_model_on_the_board_has_entered():
    entered = {entry.name for entry in cu.arena.entries()}
    assert {run.name for run in runs.available(samples=True)} <= entered
