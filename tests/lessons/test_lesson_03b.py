"""Lesson 03b's algorithms: Tweedie's formula, the denoiser, the sampler, the masks, and the shipped run."""

import math

import pytest
import torch

import course_utils as cu
from course_utils.system import machine
from tests.lessons.lesson_functions import load


@pytest.fixture
def eight():
    """The lesson's mixture of eight Gaussians with noise of level 0.5."""
    names = {"centres": cu.points.eight_centres().double(), "spread": 0.2, "level": 0.5}
    names["variance"] = 0.2**2 + 0.5**2
    return load("03b", "log_density", "posterior_mean", "score_of", **names), names


def test_tweedie_and_the_posterior_mean_agree_with_simulation(eight):
    lesson, names = eight
    centres, variance = names["centres"], names["variance"]
    x = (2 * torch.randn(50, 2, dtype=torch.float64)).requires_grad_()
    (score,) = torch.autograd.grad(lesson.log_density(x).sum(), x)
    torch.testing.assert_close(lesson.score_of(lesson.posterior_mean, x, 0.5), score)
    mixture = torch.distributions.MixtureSameFamily(
        torch.distributions.Categorical(torch.ones(8, dtype=torch.float64)),
        torch.distributions.MultivariateNormal(centres, variance * torch.eye(2, dtype=torch.float64)),
    )
    torch.testing.assert_close(lesson.log_density(x), mixture.log_prob(x))
    generator = torch.Generator().manual_seed(0)
    clean = centres[torch.randint(8, (200_000,), generator=generator)]
    clean = clean + 0.2 * torch.randn(clean.shape, generator=generator, dtype=torch.float64)
    here = centres[:1] * 0.9
    best_answer = load("03b", "best_answer").best_answer
    torch.testing.assert_close(lesson.posterior_mean(here), best_answer(clean, here, 0.5), atol=0.02, rtol=0)


def test_no_answer_costs_less_than_the_mean_of_the_possible_data():
    lesson = load("03b", "best_answer", "denoising_loss")
    clean = torch.tensor([[-1.0, 0.0], [1.0, 0.5], [0.5, -1.0]])
    x = clean[torch.randint(3, (40_000,), generator=torch.Generator().manual_seed(0))]

    def cost(model):
        torch.manual_seed(1)
        return lesson.denoising_loss(model, x, 0.7).item()

    best = cost(lambda noisy: lesson.best_answer(clean, noisy, 0.7))
    assert best < cost(lambda noisy: lesson.best_answer(clean, noisy, 0.5))
    assert best < cost(lambda noisy: lesson.best_answer(clean, noisy, 1.0))
    assert best < cost(lambda noisy: clean[torch.cdist(noisy, clean).argmin(1)])


def test_with_the_perfect_denoiser_and_all_levels_the_sampler_reaches_every_datum():
    lesson = load("03b", "denoise_down", "best_answer")
    clean = cu.points.eight_centres().float()
    levels = torch.linspace(8.0, 0.05, 60).tolist()
    torch.manual_seed(0)
    sigma = iter(levels)
    made = lesson.denoise_down(
        lambda noisy: lesson.best_answer(clean, noisy, next(sigma)), 8.0 * torch.randn(2_000, 2), levels
    )
    distance, which = torch.cdist(made, clean).min(1)
    assert distance.quantile(0.95) < 0.1
    assert torch.bincount(which, minlength=8).min() > 100


def test_the_masked_loss_ignores_what_is_seen_and_blocks_are_blocks():
    hide_blocks = load("03b", "hide_blocks").hide_blocks
    torch.manual_seed(0)
    hidden = hide_blocks(torch.zeros(400, 784))
    assert hidden.float().mean().item() == pytest.approx(0.6, abs=4 * math.sqrt(0.24 / (400 * 49)))
    blocks = hidden.view(400, 7, 4, 7, 4).float().mean((2, 4))
    assert ((blocks == 0) | (blocks == 1)).all()
    half = torch.zeros(2, 784, dtype=torch.bool)
    half[:, :392] = True
    masked_loss = load("03b", "masked_loss", hide_blocks=lambda x: half).masked_loss
    x = torch.rand(2, 784)
    wrong_where_seen = x + 3.0 * ~half
    assert masked_loss(lambda seen: wrong_where_seen, x).item() == pytest.approx(0, abs=1e-6)
    assert masked_loss(lambda seen: wrong_where_seen + 0.5, x).item() == pytest.approx(0.25, rel=1e-4)
    seen = []
    masked_loss(lambda shown: seen.append(shown) or shown, x)
    assert (seen[0][half] == 0.5).all() and (seen[0][~half] == x[~half]).all()


def test_the_shipped_denoiser_is_what_its_card_says_and_beats_a_blur():
    lesson = load("03b", "Denoiser", "blur")
    model = lesson.Denoiser()
    figure = cu.restore("03_denoiser", model).card["figures"]["PSNR at σ = 0.5, validation"]
    clean = cu.mnist().val.float()[:500]
    noisy = clean + 0.5 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    where = machine.device()
    with torch.no_grad():
        restored = model.to(where)(noisy.to(where)).cpu().clamp(0, 1)
    quality = cu.metrics.psnr(restored, clean).mean().item()
    assert quality == pytest.approx(figure["value"], abs=figure["tolerance"])
    assert quality > cu.metrics.psnr(lesson.blur(noisy, 0.8).clamp(0, 1), clean).mean() + 2


def test_filters_leave_an_image_alone_at_their_smallest_and_smooth_within_it_alone():
    lesson = load("03b", "blur", "median")
    x = torch.rand(3, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(lesson.median(x, 1), x)
    torch.testing.assert_close(lesson.blur(x, 0.01), x)
    one_white = torch.zeros(2, 1, 28, 28)
    one_white[0] = 1.0
    torch.testing.assert_close(lesson.blur(one_white, 1.3), one_white)  # nothing leaks between images
    torch.testing.assert_close(lesson.median(one_white, 5), one_white)
