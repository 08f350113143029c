"""Lesson 00: the algorithms that a reader sees do what their equations say."""

import itertools

import pytest
import torch
from torch.distributions import MultivariateNormal
from torch.nn.functional import avg_pool2d

import course_utils as cu
from course_utils.system.folders import ROOT
from tests.lessons.lesson_functions import load

model = load(
    "00",
    *("covariance_of_rank", "invert_gaussian", "sample_gaussian", "log_lik_pixels", "decisive_test"),
    *("overconfident_coins", "complete", "HERE", "SHORT"),
)
PIXELS = 196
LESSONS = list((ROOT / "lessons").glob("*.py"))


@pytest.fixture(scope="module")
def digits():
    """Mean, floored covariance and images (N, 196) of 3,000 digits at half the resolution, in float64."""
    x = avg_pool2d(cu.mnist().train[:3_000].float(), 2).flatten(1).double()
    return x.mean(0), torch.cov(x.T) + 1e-4 * torch.eye(PIXELS, dtype=torch.float64), x


def test_rank_0_is_the_diagonal_and_full_rank_the_covariance(digits):
    _, cov, _ = digits
    assert torch.allclose(model.covariance_of_rank(cov, 0), torch.diag(cov.diagonal()))
    assert torch.allclose(model.covariance_of_rank(cov, PIXELS), cov, atol=1e-10)


@pytest.mark.parametrize("rank", [1, 20])
def test_every_rank_keeps_the_variances_and_the_leading_components(digits, rank):
    _, cov, _ = digits
    between = model.covariance_of_rank(cov, rank)
    assert torch.allclose(between.diagonal(), cov.diagonal())
    assert torch.linalg.eigvalsh(between).min() > 0
    values, vectors = torch.linalg.eigh(cov)
    low_rank = vectors[:, -rank:] * values[-rank:] @ vectors[:, -rank:].T
    off_diagonal = ~torch.eye(PIXELS, dtype=torch.bool)
    assert torch.allclose(between[off_diagonal], low_rank[off_diagonal])
    assert not torch.allclose(between[off_diagonal], cov[off_diagonal], atol=1e-3)


def test_dependence_never_lowers_the_training_likelihood(digits):
    mean, cov, x = digits
    covs = [model.covariance_of_rank(cov, r) for r in (0, 5, 50, PIXELS)]
    scores = [model.invert_gaussian(x, mean, between)[1].mean() for between in covs]
    assert all(after > before for before, after in itertools.pairwise(scores))


def test_the_likelihood_agrees_with_torch_and_the_noise_with_the_sample():
    wide = torch.randn(6, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    mean, cov = wide[:, 0], wide @ wide.T / 8
    eps = torch.randn(50, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    x = model.sample_gaussian(mean, cov, eps)
    back, log_lik = model.invert_gaussian(x, mean, cov)
    assert torch.allclose(back, eps)
    assert torch.allclose(log_lik, MultivariateNormal(mean, cov).log_prob(x))


def test_the_noise_of_a_pixel_depends_on_earlier_pixels_only(digits):
    mean, cov, x = digits
    changed = x[:5].clone()
    changed[:, 100:] = 0.7
    before, after = (model.invert_gaussian(images, mean, cov)[0] for images in (x[:5], changed))
    assert torch.allclose(before[:, :100], after[:, :100])
    assert not torch.allclose(before[:, 100:], after[:, 100:])


def test_samples_have_the_covariance():
    cov = torch.tensor([[2.0, -0.8, 0.3], [-0.8, 1.0, 0.2], [0.3, 0.2, 0.5]])
    eps = torch.randn(200_000, 3, generator=torch.Generator().manual_seed(0))
    x = model.sample_gaussian(torch.tensor([1.0, 2.0, 3.0]), cov, eps)
    assert torch.allclose(torch.cov(x.T), cov, atol=0.02)
    assert torch.allclose(x.mean(0), torch.tensor([1.0, 2.0, 3.0]), atol=0.02)


def test_fitted_coins_score_data_and_own_draws_alike():
    ink = (cu.mnist().train[:5_000].flat() > 0.5).float()
    theta = (ink.sum(0) + 1) / (len(ink) + 2)
    ghosts = (torch.rand(20_000, 784, generator=torch.Generator().manual_seed(0)) < theta).float()
    of_data, of_ghosts = (model.log_lik_pixels(images, theta) for images in (ink, ghosts))
    error = of_ghosts.std() / len(ghosts) ** 0.5
    assert abs(of_data.mean() - of_ghosts.mean()) < 5 * error + 0.3  # 0.3: the two images that smoothing adds
    assert of_data.mean() > 784 * torch.tensor(0.5).log()


def test_the_mean_of_the_answers_is_no_draw_and_has_half_the_error():
    answers = torch.randn(400, 3, generator=torch.Generator().manual_seed(0))
    picks = torch.randint(400, (2, 50_000), generator=torch.Generator().manual_seed(1))
    truth, draw = answers[picks[0]], answers[picks[1]]
    ratio = (answers.mean(0) - truth).square().sum(1).mean() / (draw - truth).square().sum(1).mean()
    assert abs(ratio - 0.5) < 0.02
    assert model.decisive_test(answers, draw[:20]) == "draws"
    assert model.decisive_test(answers, answers.mean(0).expand(20, 3)) == "no draw"


@pytest.mark.parametrize("name", ["00_pixels", "00_gaussian"])
def test_the_arena_entries_of_this_lesson_measure_what_their_cards_say(name):
    """The shipped thousand is the first of the five sets behind the card: within three spreads of their mean."""
    run = cu.runs.load(name)
    assert run.samples.shape == (1_000, 28, 28) and run.card["samples"]["kind"] == "draws"
    figures = {key: entry["value"] for key, entry in run.card["figures"].items()}
    assert (figures["n"], figures["sets"]) == (1_000, 5)
    found = cu.metrics.score(torch.from_numpy(run.samples), 1_000)
    for key, value in (("Fréchet distance", found.distance), ("KID", found.kid)):
        assert abs(value - figures[key]) < run.card["figures"][key]["tolerance"]
    assert figures["Fréchet distance"] > 100 * cu.metrics.real(1_000)["training digits"].distance


def test_a_model_of_lesson_00_makes_its_arena_entry_again():
    """Independent pixels: the ink of the shipped samples is that of the training images, pixel by pixel."""
    ink = torch.from_numpy(cu.runs.load("00_pixels").samples > 127).float().mean(0)
    theta = (cu.mnist().train.float()[:, 0] > 0.5).float().mean(0)
    assert (ink - theta).abs().max() < 5 * (0.25 / 1_000) ** 0.5


def test_the_shipped_replay():
    images, steps = cu.runs.load("00_replay").replay
    assert images.shape == (9, 36, 28, 28) and steps.tolist() == [0, 1, 2, 5, 10, 20, 50, 100, 200]
    ink = images.astype(float).std(axis=(1, 2, 3))
    assert ink[-1] > 3 * ink[0]  # from an even grey to black on white


def test_the_shipped_network_makes_the_last_frame_of_its_replay():
    network = load("00", "SmallVAE").SmallVAE()
    run = cu.restore("00_replay", network)
    codes = torch.randn(36, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        decoded = network.decoder(codes).sigmoid().view(36, 28, 28)
    last = torch.from_numpy(run.replay[0][-1]).float() / 255
    assert (decoded - last).abs().max() < 0.03  # weights are shipped in half precision


def test_the_map_shows_the_lessons_that_are_here():
    """A lesson that is added must turn blue on the map, and stand in section 6."""
    assert sorted(model.HERE) == sorted({path.name[:2].rstrip("_") for path in LESSONS})


def test_every_run_of_the_key_to_the_rows_ships():
    assert set(model.SHORT) <= {run.name for run in cu.runs.available()}


def test_coins_without_pretended_images_call_a_test_digit_impossible():
    digits = cu.mnist()
    sure = model.overconfident_coins((digits.train.flat() > 0.5).float())
    ink = digits.test.flat() > 0.5
    never = ink[:, sure == 0].any(1)
    assert 0 < never.sum() < 20
    smoothed = (sure * len(digits.train) + 1) / (len(digits.train) + 2)
    assert torch.isfinite(model.log_lik_pixels(ink[never].float(), smoothed)).all()


def test_draws_lie_in_a_shell_that_the_mean_is_not_in(digits):
    mean, cov, _ = digits
    eps = torch.randn(500, PIXELS, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    x = model.sample_gaussian(mean, cov, eps)
    back, log_lik = model.invert_gaussian(x, mean, cov)
    size = back.square().mean(1).sqrt()
    assert size.min() > 0.8 and size.max() < 1.2
    assert model.invert_gaussian(mean[None], mean, cov)[1] > log_lik.max()


def test_a_completion_keeps_the_given_half_and_is_in_no_order():
    x = cu.mnist().train[:300].flat()
    given = torch.arange(784) % 28 < 14
    completing = load("00", "complete", x=x, given=given)
    found = completing.complete(x[:5], k=20)  # each image is its own nearest neighbour
    assert (found[:, :, given] == x[:5, None][:, :, given]).all()
    itself = (found == x[:5, None]).all(2).int().argmax(1)
    assert (itself != 0).all()
