"""The ruler: closed forms, agreement with trusted implementations, and scores of real digits."""

import math
import zipfile

import numpy as np
import pytest
import torch

from course_utils import data, metrics, runs
from course_utils.system import machine


def spd(d, seed):
    """A random covariance (d, d)."""
    a = torch.randn(d, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return a @ a.T / d + 0.1 * torch.eye(d)


def points(n, d, seed, shift=0.0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + shift


def test_frechet_of_commuting_gaussians_is_the_closed_form():
    mean_a, mean_b = torch.tensor([0.0, 1.0]), torch.tensor([3.0, -1.0])
    a, b = torch.tensor([4.0, 9.0]), torch.tensor([1.0, 16.0])
    expected = (9 + 4) + ((2 - 1) ** 2 + (3 - 4) ** 2)
    got = metrics.gaussian_frechet(mean_a, a.diag(), mean_b, b.diag())
    assert got == pytest.approx(expected, rel=1e-10)


def test_frechet_agrees_with_a_general_matrix_square_root():
    from scipy.linalg import sqrtm

    a, b = spd(6, 0), spd(6, 1)
    expected = (a.trace() + b.trace() - 2 * np.trace(sqrtm((a @ b).numpy()).real)).item()
    zero = torch.zeros(6)
    assert metrics.gaussian_frechet(zero, a, zero, b) == pytest.approx(expected, rel=1e-8)
    assert metrics.gaussian_frechet(zero, a, zero, a) == pytest.approx(0, abs=1e-10)


def test_frechet_takes_singular_covariances():
    x = points(5, 8, 0)
    assert metrics.frechet(x, x) == pytest.approx(0, abs=1e-6)
    assert metrics.frechet(x, x + 1) == pytest.approx(8, rel=1e-4)


def test_frechet_agrees_with_torchmetrics():
    fid = pytest.importorskip("torchmetrics.image.fid")

    class Pixels(torch.nn.Module):
        """A stand-in feature extractor: the first eight pixels of the middle row."""

        num_features = 8

        def forward(self, x):
            return x[:, 0, 14, 8:16].double()

    digits = data.mnist().test
    real, fake = digits.x[:600], (digits.x[600:1200] // 2)
    other = fid.FrechetInceptionDistance(feature=Pixels(), input_img_size=(3, 28, 28)).set_dtype(
        torch.float64
    )
    for images, is_real in ((real, True), (fake, False)):
        other.update(images.repeat(1, 3, 1, 1), real=is_real)
    ours = metrics.frechet(Pixels()(real), Pixels()(fake))
    assert ours == pytest.approx(other.compute().item(), rel=1e-3)


@pytest.mark.parametrize("shift", [0.0, 0.7])
def test_precision_recall_density_coverage_agree_with_prdc(shift):
    prdc = pytest.importorskip("prdc")
    real, fake = points(300, 5, 0), points(250, 5, 1, shift)
    expected = prdc.compute_prdc(real.numpy(), fake.numpy(), nearest_k=5)
    assert metrics.precision_recall(real, fake) == pytest.approx(expected, abs=1e-9)


def test_ssim_and_psnr_agree_with_scikit_image():
    compare = pytest.importorskip("skimage.metrics")
    x = data.mnist().test.x[:3].float() / 255
    noisy = (x + 0.2 * points(3, 784, 0).float().view_as(x)).clamp(0, 1)
    ssim, psnr = metrics.ssim(noisy, x), metrics.psnr(noisy, x)
    for i in range(3):
        a, b = x[i, 0].numpy(), noisy[i, 0].numpy()
        assert ssim[i].item() == pytest.approx(compare.structural_similarity(a, b, data_range=1), abs=1e-4)
        assert psnr[i].item() == pytest.approx(compare.peak_signal_noise_ratio(a, b, data_range=1), abs=1e-3)


def test_kid_is_unbiased_and_sees_a_shift():
    same = [metrics.kid(points(100, 4, 2 * s), points(100, 4, 2 * s + 1)) for s in range(30)]
    standard_error = np.std(same) / math.sqrt(len(same))
    assert abs(np.mean(same)) < 3 * standard_error
    assert metrics.kid(points(100, 4, 0), points(100, 4, 1, 1.0)) > max(same)


def test_importance_bound_is_a_log_mean_and_does_not_underflow():
    weights = torch.tensor([[1.0, 2.0], [3.0, 6.0]])
    assert torch.allclose(metrics.importance_bound(weights.log()), torch.tensor([2.0, 4.0]).log())
    assert torch.isfinite(metrics.importance_bound(torch.full((5, 1), -1e4))).all()


def test_a_uniform_density_on_256_levels_costs_eight_bits():
    assert metrics.bits_per_dimension(0.0, 784) == pytest.approx(8)
    assert metrics.bits_per_dimension(-784 * math.log(256), 784) == pytest.approx(0)


def test_bad_input_is_named():
    with pytest.raises(TypeError, match="to_uint8"):
        metrics.features(torch.rand(2, 1, 28, 28))
    with pytest.raises(ValueError, match="28, 28"):
        metrics.features(torch.zeros(2, 3, 32, 32, dtype=torch.uint8))
    with pytest.raises(ValueError, match="need more than 5"):
        metrics.precision_recall(points(5, 2, 0), points(9, 2, 1))
    with pytest.raises(ValueError, match="two samples"):
        metrics.moments(points(1, 3, 0))


RULER = "ca7c793488690dedbec7b4f8cd331a91c17671438e70b8a83ee9f15359e190d9"


def test_the_ruler_is_the_one_that_every_published_figure_was_measured_with():
    """If this fails, every Fréchet distance on every card must be measured again: that is why it is
    pinned."""
    assert runs.load("classifier").card["files"]["weights.safetensors"] == RULER


def test_the_classifier_classifies_as_its_card_says():
    digits, model = data.mnist(), metrics.classifier()
    with torch.no_grad():
        part = digits.val[:2000]
        right = (model(part.float().to(machine.device())).argmax(1).cpu() == part.y).double().mean().item()
    card = runs.load("classifier").figure("validation accuracy")
    assert card >= 0.992
    assert abs(right - card) < 4 * math.sqrt(card * (1 - card) / 2000)


def test_noise_is_far_from_every_reference_and_digits_are_near():
    noise = torch.randint(0, 256, (300, 1, 28, 28), dtype=torch.uint8)
    for reference in metrics.REFERENCES:
        real = metrics.real(200, reference)["training digits"].distance
        assert metrics.score(noise, n=200, reference=reference).distance > 20 * real > 0


def test_the_shipped_features_of_the_test_images_are_the_judges(monkeypatch):
    shipped = metrics.test_features()
    assert shipped.shape == (10_000, 128) and shipped.dtype == torch.float64
    few = slice(4_000, 4_200)
    fresh = metrics.features(data.mnist().test.x[few])
    assert torch.allclose(shipped[few], fresh, rtol=2**-10, atol=1e-4), "as near as float16 allows"
    rounded = metrics.frechet(shipped[few], fresh)
    assert rounded < 1e-4


@pytest.mark.fault(
    fault="The shipped features of the test images are missing, damaged, or another classifier's",
    sees="nothing; the first distance takes seconds longer",
    kept="the same figures, from features computed afresh",
)
def test_features_that_do_not_belong_to_the_judge_are_computed_afresh(monkeypatch, tmp_path):
    computed = []
    monkeypatch.setattr(metrics, "features", lambda images: computed.append(len(images)))
    uncached = metrics._real_features
    uncached("test")
    assert computed == []
    with monkeypatch.context() as patch:
        patch.setattr(metrics, "judge_checksum", lambda: "of another classifier")
        uncached("test")
    assert computed == [10_000]
    monkeypatch.setattr(metrics.folders, "data_dir", lambda: tmp_path)
    monkeypatch.setattr(metrics, "judge_checksum", lambda: "whoever")
    monkeypatch.setattr(metrics, "_images", lambda split: [split])
    uncached("validation")
    (tmp_path / "judge").mkdir()
    (tmp_path / "judge" / "validation_features.npz").write_bytes(b"PK\x03\x04 damaged")
    with pytest.raises(zipfile.BadZipFile):
        np.load(tmp_path / "judge" / "validation_features.npz")
    uncached("validation")
    assert computed == [10_000, 1, 1]


def images(split: str, start: int, n: int) -> torch.Tensor:
    return metrics._images(split)[start : start + n]


def test_a_score_is_the_mean_and_the_spread_over_independent_sets():
    sets = [images("training", start, 200) for start in (0, 200, 400)]
    real = metrics._reference("validation")
    by_hand = [metrics.frechet(metrics.features(one), real.features) for one in sets]
    found = metrics.score(sets, reference="validation")
    assert (found.n, found.sets, found.reference) == (200, 3, "validation")
    assert found.distance == pytest.approx(np.mean(by_hand), rel=1e-6)
    assert found.distance_spread == pytest.approx(np.std(by_hand, ddof=1), rel=1e-5)
    assert found == metrics.score(torch.cat(sets), n=200, reference="validation"), "cut into the same sets"
    kernels = [metrics.kid(metrics.features(one), real.features) for one in sets]
    assert found.kid == pytest.approx(np.mean(kernels), rel=1e-6)
    assert found.kid_spread == pytest.approx(np.std(kernels, ddof=1), rel=1e-5)


def test_one_set_has_no_spread_and_says_none():
    found = metrics.score(images("training", 0, 300), n=300, reference="validation")
    assert found.sets == 1 and np.isnan(found.distance_spread) and np.isnan(found.kid_spread)
    assert "±" not in str(found) and "one set of n = 300 against validation digits" in str(found)


def test_the_test_reference_is_the_mean_over_halves_as_it_always_was():
    some = metrics.features(images("validation", 0, 400))
    real = metrics.test_features()
    by_hand = np.mean([metrics.frechet(some, real[half]) for half, _ in metrics._halves(len(real), seed=0)])
    found = metrics.score(images("validation", 0, 400), n=400)
    assert found.distance == pytest.approx(by_hand, rel=1e-6)


def test_the_shipped_scores_of_real_digits_are_what_the_judge_says(monkeypatch):
    for reference, rows in (("test", 2), ("validation", 1)):
        shipped = metrics.real(200, reference)
        assert len(shipped) == rows
        computed = metrics._measure_real(200, reference)
        for name, row in computed.items():
            assert shipped[name].distance == pytest.approx(row.distance, rel=1e-3)
            assert shipped[name].distance_spread == pytest.approx(row.distance_spread, rel=1e-2)
    monkeypatch.setattr(metrics, "_shipped_real", dict)
    assert metrics.real(200, "validation")["training digits"].sets == 5


def test_a_scoreboard_has_real_digits_in_front_and_refuses_other_n():
    garbage = torch.randint(0, 256, (400, 1, 28, 28), dtype=torch.uint8)
    board = metrics.scoreboard({"noise": garbage}, 200, "validation")
    assert list(board) == ["training digits", "noise"]
    assert board["noise"].sets == 2
    assert board["noise"].distance > 20 * board["training digits"].distance
    other = metrics.score(garbage, n=400, reference="validation")
    with pytest.raises(ValueError, match="n = 400 against validation digits; this table is n = 200"):
        metrics.scoreboard({"noise": other}, 200, "validation")
    with pytest.raises(ValueError, match="only 400"):
        metrics.score(garbage, n=401)
    with pytest.raises(ValueError, match="reference is 'test' or 'validation'"):
        metrics.real(200, "train")


@pytest.mark.parametrize("sizes", [(1, 5), (5, 1), (0, 5), (1, 1)])
def test_kid_of_one_sample_is_an_error_that_says_what_to_do(sizes):
    with pytest.raises(ValueError, match="give at least two samples in each, not"):
        metrics.kid(*(torch.randn(n, 4) for n in sizes))
    assert math.isfinite(metrics.kid(torch.randn(2, 4), torch.randn(2, 4)))
