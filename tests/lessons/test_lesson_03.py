"""Lesson 03's algorithms: PCA against scikit-learn, equation (2), Tweedie, the masks, and the shipped
runs."""

import io
import lzma
import math

import numpy as np
import pytest
import torch

import course_utils as cu
from course_utils.system import machine
from tests.lessons.lesson_functions import load


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


def train_linear(sigma, k, iterations):
    """The decoder (d, k) and the loss that L-BFGS reaches on equation (2), from the lesson's start."""
    linear_loss = load("03", "linear_loss", sigma=sigma).linear_loss
    torch.manual_seed(0)
    E = (0.1 * torch.randn(k, len(sigma), dtype=torch.float64)).requires_grad_()
    D = (0.1 * torch.randn(len(sigma), k, dtype=torch.float64)).requires_grad_()
    newton = torch.optim.LBFGS(
        [E, D], max_iter=iterations, history_size=30, tolerance_change=0, line_search_fn="strong_wolfe"
    )

    def closure():
        newton.zero_grad()
        loss = linear_loss(E, D)
        loss.backward()
        return loss

    newton.step(closure)
    return D.detach(), linear_loss(E, D).item()


def test_the_optimum_of_a_linear_autoencoder_is_the_principal_subspace(cloud):
    lesson = load("03", "pca", "largest_angle", "covariance")
    _, sigma = lesson.covariance(cloud)
    D, loss = train_linear(sigma, 3, 500)
    _, directions, variances = lesson.pca(cloud, 12)
    assert lesson.largest_angle(D, directions[:3]) < 0.1
    assert lesson.largest_angle(D, directions[3:6]) > 80
    assert loss == pytest.approx(variances[3:].sum().item(), rel=1e-6)


def test_on_digits_six_linear_codes_come_within_two_degrees_of_pca():
    lesson = load("03", "largest_angle", "covariance")
    x = cu.mnist().train.flat()[:5_000]
    mean, sigma = lesson.covariance(x)
    torch.testing.assert_close(sigma, torch.cov(x.double().T, correction=0))
    torch.testing.assert_close(mean, x.double().mean(0))
    values, vectors = torch.linalg.eigh(sigma)
    D, loss = train_linear(sigma, 6, 200)
    assert lesson.largest_angle(D, vectors.flip(1).T[:6]) < 2
    assert loss == pytest.approx(values[:-6].sum().item(), rel=1e-3)


def test_the_planted_factors_can_be_read_off_held_out_codes():
    from sklearn.linear_model import LinearRegression
    from sklearn.metrics import r2_score
    from sklearn.neighbors import KNeighborsRegressor

    lesson = load("03", "Autoencoder", "reconstruction_loss", "bumps")
    (train, factors), (test, truth) = lesson.bumps(4_000, 0), lesson.bumps(1_000, 1)
    torch.manual_seed(0)
    model = lesson.Autoencoder(2, d=64, hidden=(128, 64))
    optimiser = torch.optim.Adam(model.parameters(), 2e-3)
    for _ in range(1_200):
        optimiser.zero_grad()
        lesson.reconstruction_loss(model, train[torch.randint(4_000, (128,))]).backward()
        optimiser.step()
    with torch.no_grad():
        code, new = model.encode(train), model.encode(test)
    by_neighbours, by_line = (
        r2_score(truth, reader.fit(code, factors).predict(new), multioutput="raw_values")
        for reader in (KNeighborsRegressor(10), LinearRegression())
    )
    assert by_neighbours.min() >= 0.95
    assert by_line.min() < by_neighbours.min()


def test_bumps_have_the_mean_and_the_width_that_were_planted():
    x, factors = load("03", "bumps").bumps(50, 3)
    u = torch.linspace(0, 1, 64)
    assert ((u[x.argmax(1)] - factors[:, 0]).abs() <= 0.5 / 63 + 1e-6).all()
    peak_area = factors[:, 1] * math.sqrt(2 * math.pi)
    inside = (factors[:, 0] - 0.5).abs() + 3 * factors[:, 1] < 0.5  # not cut off at the ends
    torch.testing.assert_close(x.sum(1)[inside] / 63, peak_area[inside], rtol=5e-3, atol=0)


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
    val = cu.mnist().val.flat().to(machine.device())
    with torch.no_grad():
        error = lesson.reconstruction_loss(model.to(val.device), val).item()
    assert error == pytest.approx(figure["value"], abs=figure["tolerance"])
    assert sum(p.numel() for p in model.parameters()) == run.card["parameters"]


def test_the_shipped_denoiser_is_what_its_card_says_and_beats_a_blur():
    from scipy import ndimage

    lesson = load("03", "Denoiser", "psnr")
    model = lesson.Denoiser()
    figure = cu.restore("03_denoiser", model).card["figures"]["PSNR at σ = 0.5, validation"]
    clean = cu.mnist().val.float()[:500]
    noisy = clean + 0.5 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    where = machine.device()
    with torch.no_grad():
        restored = model.to(where)(noisy.to(where)).cpu().clamp(0, 1)
    quality = lesson.psnr(restored.flatten(1), clean.flatten(1)).mean().item()
    assert quality == pytest.approx(figure["value"], abs=figure["tolerance"])
    blurred = torch.from_numpy(ndimage.gaussian_filter(noisy.numpy(), (0, 0, 0.8, 0.8))).clamp(0, 1)
    assert quality > lesson.psnr(blurred.flatten(1), clean.flatten(1)).mean() + 2


def test_the_shipped_samples_are_what_their_card_says_and_beat_a_normal_by_far():
    run = cu.runs.load("03_ae_mixture")
    assert run.card["samples"] == {"kind": "decoder means", "n": 1000}
    distance = cu.metrics.quality(torch.from_numpy(run.samples)).distance
    figure = run.card["figures"]["Fréchet distance of the shipped samples"]
    assert distance == pytest.approx(figure["value"], abs=figure["tolerance"])
    assert run.replay[0].shape == (2, 16, 28, 28)
    model = load("03", "Autoencoder").Autoencoder(8)
    cu.restore("03_ae_8", model)
    torch.manual_seed(0)
    with torch.no_grad():
        garbage = cu.to_uint8(model.decode(torch.randn(1000, 8)).view(-1, 28, 28))
    assert cu.metrics.quality(garbage).distance > 10 * distance


def test_rounded_codes_cost_the_bytes_that_are_written_and_fine_steps_cost_more():
    names = {"n": 50, "originals": cu.mnist().test.flat()[:50], "mean": torch.zeros(784, dtype=torch.float64)}
    names |= {
        "directions": torch.eye(784, dtype=torch.float64),
        "deep": None,
        "checked_psnr": load("03", "psnr").psnr,
    }
    by_codes = load("03", "by_codes", **names).by_codes
    coarse, fine = by_codes(784, "PCA", 1.0), by_codes(784, "PCA", 0.1)
    assert coarse[0] < fine[0] and coarse[1] < fine[1]
    z = names["originals"]
    symbols = (z / z.std()).round().clamp(-127, 127).to(torch.int8)
    written = len(lzma.compress(symbols.T.contiguous().numpy().tobytes(), preset=9))
    assert coarse[0] == pytest.approx(8 * written / z.numel())


def test_a_file_is_measured_by_its_length_and_read_back_in_order():
    from PIL import Image

    originals = cu.mnist().test.flat()[:100]
    tiled = np.zeros((56, 1400), np.uint8)
    for i, digit in enumerate(cu.to_uint8(originals).view(-1, 28, 28).numpy()):
        row, column = divmod(i, 50)
        tiled[28 * row : 28 * row + 28, 28 * column : 28 * column + 28] = digit
    names = {"n": 100, "originals": originals, "sheet": Image.fromarray(tiled)}
    by_file = load("03", "by_file", checked_psnr=load("03", "psnr").psnr, **names).by_file
    buffer = io.BytesIO()
    names["sheet"].save(buffer, "JPEG", quality=95)
    bits, quality = by_file("JPEG", quality=95)
    assert bits == pytest.approx(8 * buffer.tell() / originals.numel())
    assert quality > 30  # shuffled digits would have about 10 dB


def test_the_best_quality_within_a_budget_never_falls_with_the_budget():
    rates = {"a": [(0.2, 15.0), (0.1, 10.0), (0.4, 14.0)]}
    within = load("03", "within", rates=rates).within
    assert math.isnan(within("a", 0.05))
    assert within("a", 0.1) == 10 and within("a", 0.15) == pytest.approx(12.5)
    assert within("a", 0.3) == within("a", 0.4) == within("a", 3.0) == 15
