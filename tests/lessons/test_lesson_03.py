"""Lesson 03's algorithms: PCA and the linear autoencoder, the sampler, holes, coders, and the shipped runs."""

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


def trained_linear(x, k):
    """The lesson's linear autoencoder of x (n, 784), double precision, at the optimum that L-BFGS finds."""
    lesson = load("03", "LinearAutoencoder", "reconstruction_loss")
    torch.manual_seed(0)
    model = lesson.LinearAutoencoder(x.mean(0), k).double()
    model.mean = x.mean(0)
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.1)
    newton = torch.optim.LBFGS(
        model.parameters(), max_iter=300, history_size=30, tolerance_change=0, line_search_fn="strong_wolfe"
    )

    def closure():
        newton.zero_grad()
        loss = lesson.reconstruction_loss(model, x)
        loss.backward()
        return loss

    newton.step(closure)
    return model.decode.weight.detach(), lesson.reconstruction_loss(model, x).item()


def test_the_optimum_of_a_linear_autoencoder_is_the_principal_subspace():
    lesson = load("03", "largest_angle", "covariance")
    x = cu.mnist().train.flat()[:300].double()
    mean, sigma = lesson.covariance(x)
    torch.testing.assert_close(sigma, torch.cov(x.T, correction=0))
    torch.testing.assert_close(mean, x.mean(0))
    values, vectors = torch.linalg.eigh(sigma)
    columns, loss = trained_linear(x, 3)
    assert lesson.largest_angle(columns, vectors.flip(1).T[:3]) < 2
    assert lesson.largest_angle(columns, vectors.flip(1).T[3:6]) > 80
    assert loss == pytest.approx(values[:-3].sum().item(), rel=1e-3)


def test_the_largest_angle_of_two_planes_is_the_one_by_which_one_was_turned():
    largest_angle = load("03", "largest_angle").largest_angle
    turn = math.radians(30)
    columns = torch.zeros(5, 2, dtype=torch.float64)
    columns[0, 0] = 2.0
    columns[1, 1], columns[2, 1] = math.cos(turn), math.sin(turn)
    mixed = columns @ torch.tensor([[1.0, 0.3], [-2.0, 1.0]], dtype=torch.float64)  # another basis
    assert largest_angle(mixed, torch.eye(5, dtype=torch.float64)[:2]) == pytest.approx(30, abs=1e-4)


def test_the_sampler_draws_from_the_mixture_that_was_fitted():
    from sklearn.mixture import GaussianMixture

    lesson = load("03", "fitted_mixture", "sample_mixture")
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(2_000, 3, generator=generator) * torch.tensor([1.0, 0.2, 3.0])
    z[700:] += torch.tensor([6.0, 0.0, -5.0])
    density = lesson.fitted_mixture(z, 4)
    torch.manual_seed(0)
    drawn = lesson.sample_mixture(*density, 6_000)
    judge = GaussianMixture(4, random_state=0, reg_covar=1e-4).fit(z.double().numpy())
    theirs, _ = judge.sample(6_000)
    mine = judge.score_samples(drawn.numpy())
    others = judge.score_samples(theirs)
    assert mine.mean() == pytest.approx(others.mean(), abs=5 * others.std() / math.sqrt(6_000))
    assert np.abs(drawn.numpy().mean(0) - theirs.mean(0)).max() < 0.3


def test_the_distance_to_the_nearest_code_is_that_of_all_pairs():
    to_nearest = load("03", "to_nearest").to_nearest
    z, home = torch.randn(1_203, 3), torch.randn(400, 3)
    torch.testing.assert_close(to_nearest(z, home), torch.cdist(z, home).min(1).values)
    torch.testing.assert_close(to_nearest(home, home), torch.zeros(400), atol=0.01, rtol=0)


def test_the_planted_factors_can_be_read_off_held_out_codes():
    from sklearn.linear_model import LinearRegression
    from sklearn.metrics import r2_score
    from sklearn.neighbors import KNeighborsRegressor

    lesson = load("03", "Autoencoder", "reconstruction_loss", "bumps")
    (train, factors), (test, truth) = lesson.bumps(4_000, 0), lesson.bumps(1_000, 1)
    torch.manual_seed(0)
    model = lesson.Autoencoder(2, pixels=64, hidden=(128, 64))
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


def test_the_shipped_samples_are_what_their_card_says_and_beat_a_normal_by_far():
    run = cu.runs.load("03_ae_mixture")
    assert run.card["samples"] == {"kind": "decoder means", "n": 1000}
    mine = cu.metrics.score(torch.from_numpy(run.samples), 1_000, "test")
    for name, value in (("Fréchet distance", mine.distance), ("KID", mine.kid)):
        figure = run.card["figures"][f"{name} of the shipped samples"]
        assert value == pytest.approx(figure["value"], abs=figure["tolerance"])
    assert run.replay[0].shape == (2, 16, 28, 28)
    lesson = load("03", "Autoencoder", "decode", "sample_mixture")
    model = lesson.Autoencoder(8)
    cu.restore("03_ae_8", model)
    torch.manual_seed(0)
    standard = (torch.ones(1), torch.zeros(1, 8), torch.eye(8)[None])
    garbage = cu.to_uint8(lesson.decode(model, lesson.sample_mixture(*standard, 1_000)))
    assert cu.metrics.score(garbage, 1_000, "test").distance > 10 * mine.distance


def coders(originals):
    """What the lesson's coders read, with the identity in the place of the principal directions."""
    names = {"n": len(originals), "originals": originals, "mean": torch.zeros(784, dtype=torch.float64)}
    names |= {"directions": torch.eye(784, dtype=torch.float64), "deep": None}
    return names | {"quality": load("03", "quality", originals=originals).quality}


def test_rounded_codes_cost_the_bytes_that_are_written_and_fine_steps_cost_more():
    z = cu.mnist().test.flat()[:50]
    by_codes = load("03", "by_codes", **coders(z)).by_codes
    coarse, fine = by_codes(784, "PCA", 1.0), by_codes(784, "PCA", 0.1)
    assert coarse[0] < fine[0] and coarse[1] < fine[1]
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
    sheet = Image.fromarray(tiled)
    by_file = load("03", "by_file", sheet=sheet, **coders(originals)).by_file
    buffer = io.BytesIO()
    sheet.save(buffer, "JPEG", quality=95)
    bits, quality = by_file("JPEG", quality=95)
    assert bits == pytest.approx(8 * buffer.tell() / originals.numel())
    assert quality > 30  # shuffled digits would have about 10 dB


def test_the_best_quality_within_a_budget_never_falls_with_the_budget():
    rates = {"a": [(0.2, 15.0), (0.1, 10.0), (0.4, 14.0)]}
    within = load("03", "within", rates=rates).within
    assert math.isnan(within("a", 0.05))
    assert within("a", 0.1) == 10 and within("a", 0.15) == pytest.approx(12.5)
    assert within("a", 0.3) == within("a", 0.4) == within("a", 3.0) == 15
