"""Lesson 07: metrics against trusted implementations, the blind spots, the theorem, the error bars, the
board."""

import math

import nbformat
import numpy as np
import pytest
import torch

import course_utils as cu
from course_utils import metrics, runs
from course_utils.system.folders import ROOT
from tests.lessons.lesson_functions import load

solutions = load("07", "frechet", "precision_recall", "paired_difference", "densest")
lesson = load("07", "Mixture", "pareto_front", "blurred", "told_apart", "sharpness", "classifier_score")
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


def test_the_mixture_of_lesson_02b_has_the_density_that_lesson_02b_gives_it():
    of_02b = load("02b", "PPCAMixture").PPCAMixture(K=40, q=13)
    here = lesson.Mixture()
    cu.restore("02_mixture", of_02b)
    cu.restore("02_mixture", here)
    x = (cu.mnist().test.x[:130].flatten(1) + torch.rand(130, 784, generator=GENERATOR)) / 256
    theirs = of_02b.log_joint(x).logsumexp(1).double()
    torch.testing.assert_close(here.log_prob(x), theirs, rtol=1e-4, atol=0.05)  # nats, of hundreds


# --- error bars
# -------------------------------------------------------------------------------------------------------


def test_a_bootstrap_of_a_distance_is_biased_near_the_floor_by_about_the_trace_over_n():
    judge, dice = cloud(4_000, 10, 14), torch.Generator().manual_seed(5)
    for seed in range(200, 204):
        x = cloud(300, 10, seed)
        ours = solutions.frechet(x, judge).item()
        picks = [torch.randint(300, (300,), generator=dice) for _ in range(40)]
        again = np.mean([solutions.frechet(x[pick], judge).item() for pick in picks])
        assert again > 1.2 * ours
        first_term = np.mean([(x[pick].mean(0) - judge.mean(0)).square().sum().item() for pick in picks])
        paid_once = (x.mean(0) - judge.mean(0)).square().sum().item()
        assert first_term - paid_once == pytest.approx(x.T.cov().trace().item() / 300, rel=0.5)


def test_paired_differences_agree_with_scipy_and_lose_what_both_share():
    from scipy.stats import ttest_rel

    a, b = cloud(8, 1, 30)[:, 0] + 1, cloud(8, 1, 31)[:, 0]
    mean, error = solutions.paired_difference(a, b)
    assert mean / error == pytest.approx(ttest_rel(a.numpy(), b.numpy()).statistic)
    shared = 100 * cloud(8, 1, 32)[:, 0]
    assert solutions.paired_difference(a + shared, b + shared) == pytest.approx((mean, error), rel=1e-6)


# --- the other judges
# -------------------------------------------------------------------------------------------------


def test_a_two_sample_test_is_at_chance_for_one_law_and_sees_a_shift():
    a, b = cloud(800, 12, 40), cloud(800, 12, 41)
    assert abs(lesson.told_apart(a, b) - 0.5) < 4 * 0.5 / 800**0.5
    assert lesson.told_apart(a, b + 0.5) > 0.75


def test_the_classifier_score_runs_from_one_to_the_number_of_classes():
    sure = torch.eye(10).double().clamp(min=1e-12)
    assert lesson.classifier_score(sure) == pytest.approx(10, rel=1e-6)
    assert lesson.classifier_score(sure[:1].repeat(10, 1)) == pytest.approx(1)
    assert lesson.classifier_score(torch.full((10, 10), 0.1).double()) == pytest.approx(1)


def test_blur_lowers_sharpness_and_keeps_the_ink():
    x = cu.mnist().test.x[:200, 0]
    soft = lesson.blurred(x)
    assert lesson.sharpness(soft) < 0.8 * lesson.sharpness(x)
    assert soft.double().mean() == pytest.approx(x.double().mean().item(), rel=0.02)
    assert lesson.sharpness(x // 2) == pytest.approx(lesson.sharpness(x), rel=0.03)


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


def tables():
    """Every table in the executed notebook: its first row, and the others by their first cell."""
    book = nbformat.read(ROOT / "notebooks" / "07_comparing_models.ipynb", as_version=4)
    outputs = [output for cell in book.cells if cell.cell_type == "code" for output in cell.outputs]
    for output in outputs:
        text = output.get("data", {}).get("text/markdown", "")
        lines = [line for line in text.splitlines() if line.startswith("| ")]
        head, *rows = [[part.strip(" *`") for part in line.strip("|").split("|")] for line in lines] or [[]]
        yield head[1:], {row[0]: row[1:] for row in rows}


def test_the_places_that_the_prose_names_are_those_of_the_tables():
    """A new entry in the arena moves the others, and the audit of numbers does not see words."""
    prose = (ROOT / "lessons" / "07_comparing_models.py").read_text(encoding="utf-8")
    eyes = next(rows for head, rows in tables() if head == ["classifier", "encoder", "components", "random"])
    distance = {name: [float(value) for value in row] for name, row in eyes.items()}
    limit = distance.pop("validation digits")
    distance.pop("training digits")

    def place(name, eye):
        return 1 + sum(row[eye] < distance[name][eye] for row in distance.values())

    assert (place("04_vae_means", 1), place("04_vae_means", 0)) == (2, 18)
    assert "come second among the models, from eighteenth place by the classifier" in prose
    assert sum(row[2] < limit[2] for row in distance.values()) == 11
    assert "Through principal components eleven models come out" in prose
    assert [place("06_ancestral", eye) for eye in (2, 3, 0)] == [1, 1, 8]
    assert "`06_ancestral` wins, eighth by the classifier" in prose
    arena = next(rows for head, rows in tables() if "KID" in head and "s per 1,000" in head)
    leaders = [name for name in arena if name in distance][:4]
    assert leaders == ["13_best", "12_cgan", "05_gan", "12_guided"]
    assert "Of the models three GANs come first" in prose and "then two diffusion models" in prose
