"""Lesson 03's algorithms: PCA against scikit-learn, equation (2), Tweedie, the masks, and the shipped runs."""

import math

import pytest
import torch

import course_utils as cu
from course_utils import runtime
from tests.lesson_functions import load


@pytest.fixture
def cloud():
    """Centred points (300, 12) with distinct variances, float64."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(300, 12, generator=generator, dtype=torch.float64) * torch.linspace(3, 0.2, 12) + 1
    return x @ torch.linalg.qr(torch.randn(12, 12, generator=generator, dtype=torch.float64)).Q


def test_pca_agrees_with_scikit_learn(cloud):
    from sklearn.decomposition import PCA

    other = PCA(4).fit(cloud.numpy())
    mean, directions, variances = load("03", "pca").pca(cloud, 4)
    torch.testing.assert_close(mean, torch.from_numpy(other.mean_))
    torch.testing.assert_close(variances * 300 / 299, torch.from_numpy(other.explained_variance_))
    overlap = (directions * torch.from_numpy(other.components_)).sum(1).abs()
    torch.testing.assert_close(overlap, torch.ones(4, dtype=torch.float64))


def test_the_covariance_form_of_the_loss_is_the_loss(cloud):
    x = cloud - cloud.mean(0)
    linear_loss = load("03", "linear_loss", sigma=x.T @ x / len(x)).linear_loss
    E, D = torch.randn(3, 12, dtype=torch.float64), torch.randn(12, 3, dtype=torch.float64)
    torch.testing.assert_close(linear_loss(E, D), (x @ E.T @ D.T - x).square().sum(1).mean())


def test_the_optimum_of_a_linear_autoencoder_is_the_principal_subspace(cloud):
    lesson = load("03", "pca", "largest_angle")
    x = cloud - cloud.mean(0)
    sigma = x.T @ x / len(x)
    linear_loss = load("03", "linear_loss", sigma=sigma).linear_loss
    torch.manual_seed(0)
    E = (0.1 * torch.randn(3, 12, dtype=torch.float64)).requires_grad_()
    D = (0.1 * torch.randn(12, 3, dtype=torch.float64)).requires_grad_()
    newton = torch.optim.LBFGS([E, D], max_iter=500, line_search_fn="strong_wolfe", tolerance_change=1e-14)

    def closure():
        newton.zero_grad()
        loss = linear_loss(E, D)
        loss.backward()
        return loss

    newton.step(closure)
    _, directions, variances = lesson.pca(cloud, 12)
    assert lesson.largest_angle(D.detach(), directions[:3]) < 0.1
    assert lesson.largest_angle(D.detach(), directions[3:6]) > 80
    assert linear_loss(E, D).item() == pytest.approx(variances[3:].sum().item(), rel=1e-6)


def test_tweedie_and_the_posterior_mean_agree_with_simulation():
    centres = cu.points.eight_centres().double()
    names = {"centres": centres, "spread": 0.2, "level": 0.5}
    lesson = load("03", "log_density", "posterior_mean", **names)
    x = (2 * torch.randn(50, 2, dtype=torch.float64)).requires_grad_()
    variance = 0.2**2 + 0.5**2
    (score,) = torch.autograd.grad(lesson.log_density(x, variance).sum(), x)
    torch.testing.assert_close(lesson.posterior_mean(x) - x, 0.25 * score)
    mixture = torch.distributions.MixtureSameFamily(
        torch.distributions.Categorical(torch.ones(8, dtype=torch.float64)),
        torch.distributions.MultivariateNormal(centres, variance * torch.eye(2, dtype=torch.float64)),
    )
    torch.testing.assert_close(lesson.log_density(x, variance), mixture.log_prob(x))
    generator = torch.Generator().manual_seed(0)
    clean = centres[torch.randint(8, (200_000,), generator=generator)]
    clean = clean + 0.2 * torch.randn(clean.shape, generator=generator, dtype=torch.float64)
    here = centres[:1] * 0.9
    weight = torch.softmax(-(here - clean).square().sum(1) / (2 * 0.25), 0)
    torch.testing.assert_close(lesson.posterior_mean(here)[0], weight @ clean, atol=0.02, rtol=0)


def test_the_masked_loss_ignores_what_is_seen_and_blocks_are_blocks():
    lesson = load("03", "hide_blocks", "masked_loss")
    torch.manual_seed(0)
    hidden = lesson.hide_blocks(torch.zeros(400, 784))
    assert hidden.float().mean().item() == pytest.approx(0.6, abs=4 * math.sqrt(0.24 / (400 * 49)))
    blocks = hidden.view(400, 7, 4, 7, 4).float().mean((2, 4))
    assert ((blocks == 0) | (blocks == 1)).all()


def test_an_autoencoder_learns_eight_images_by_heart():
    lesson = load("03", "Autoencoder", "reconstruction_loss")
    x = cu.mnist().train.x[:8].float() / 255
    torch.manual_seed(0)
    model = lesson.Autoencoder(4)
    before = lesson.reconstruction_loss(model, x).item()
    optimiser = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(400):
        optimiser.zero_grad()
        loss = lesson.reconstruction_loss(model, x)
        loss.backward()
        optimiser.step()
    assert loss.item() < before / 20


@pytest.mark.parametrize("k", [2, 8, 32])
def test_a_shipped_autoencoder_is_what_its_card_says(k):
    lesson = load("03", "Autoencoder", "reconstruction_loss")
    model = lesson.Autoencoder(k)
    run = cu.restore(f"03_ae_{k}", model)
    figure = run.card["figures"]["squared error, validation"]
    val = cu.mnist().val.flat().to(runtime.device())
    with torch.no_grad():
        error = lesson.reconstruction_loss(model.to(val.device), val).item()
    assert error == pytest.approx(figure["value"], abs=figure["tolerance"])
    assert sum(p.numel() for p in model.parameters()) == run.card["parameters"]
