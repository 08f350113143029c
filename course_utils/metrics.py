"""How good are samples? Distances in the features of the shipped digit classifier, always beside those of
real digits.

Images are uint8 (N, 1, 28, 28) or (N, 28, 28) (`cu.to_uint8` makes them). Features are float64 (N, 128).
Nothing here is compared across different n: a Fréchet distance is biased upward by an amount that depends on
n.
"""

import json
import math
import zipfile
from dataclasses import asdict, dataclass
from functools import cache
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from course_utils.data.split import as_tensor
from course_utils.system import folders, machine

HALVINGS = 20


@cache
def classifier():
    """Return the shipped metric classifier, in evaluation mode on the device. Raises if its run is
    missing."""
    from course_utils import nets, runs

    model = nets.DigitClassifier()
    runs.restore("classifier", model)
    return model.eval().to(machine.device(), torch.float32)


@torch.no_grad()
def features(images: Tensor, batch_size: int | None = None) -> Tensor:
    """Return the classifier's last hidden layer for uint8 images: float64 (N, 128) on the CPU.

    `batch_size`: by default 1,000 images at a time on an accelerator and 100 on a CPU, whose cache holds no
    more. Raises TypeError for images that are not uint8 (call `cu.to_uint8` first) and ValueError for another
    shape.
    """
    images = as_tensor(images)
    if images.dtype != torch.uint8:
        raise TypeError(f"Metrics take uint8 images, got {images.dtype}; use cu.to_uint8(x) for x in [0, 1].")
    if images.shape[-2:] != (28, 28) or images.dim() not in (3, 4):
        raise ValueError(f"Expected images (N, 28, 28) or (N, 1, 28, 28), got {tuple(images.shape)}.")
    images = images.reshape(-1, 1, 28, 28)
    model = classifier()
    where = machine.device()
    batch_size = batch_size or (100 if where.type == "cpu" else 1000)
    white = torch.full(
        (), 255.0, dtype=torch.float32, device=where
    )  # a divisor on the device: exact on CUDA, too
    parts = [model.features(part.to(where).float() / white) for part in images.split(batch_size)]
    return torch.cat(parts).cpu().double()


def _exact(x: Tensor) -> Tensor:
    """As float64 on the CPU: features may come from any device, and Apple's has no float64."""
    return as_tensor(x).cpu().double()


def moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean (D,) and covariance (D, D), both float64, of features (N, D). Raises ValueError for N <
    2."""
    if len(x) < 2:
        raise ValueError(f"A covariance needs at least two samples, got {len(x)}.")
    x = _exact(x)
    if x.ndim != 2 or not x.isfinite().all():
        wrong = f"have shape {tuple(x.shape)}" if x.ndim != 2 else "hold NaN or infinite numbers"
        raise ValueError(f"Features are finite numbers (N, D); these {wrong}.")
    return x.mean(0), torch.cov(x.T)


def gaussian_frechet(mean_a: Tensor, cov_a: Tensor, mean_b: Tensor, cov_b: Tensor) -> float:
    """Return the squared Fréchet (2-Wasserstein) distance of two Gaussians, means (D,), covariances (D, D).

    ‖μ_a − μ_b‖² + tr(Σ_a + Σ_b − 2 (Σ_a^½ Σ_b Σ_a^½)^½) (Dowson and Landau, 1982). The symmetric form needs
    only eigenvalues of symmetric matrices, so singular covariances (fewer samples than features) do no harm.
    """
    if mean_a.shape != mean_b.shape:
        raise ValueError(
            f"Both sets must have features of one dimension; theirs have {len(mean_a)} and {len(mean_b)}."
        )
    mean_a, cov_a, mean_b, cov_b = map(_exact, (mean_a, cov_a, mean_b, cov_b))
    values, vectors = torch.linalg.eigh(cov_a)
    root_a = vectors * values.clamp_min(0).sqrt() @ vectors.T
    cross = torch.linalg.eigvalsh(root_a @ cov_b @ root_a).clamp_min(0).sqrt().sum()
    distance = (mean_a - mean_b).square().sum() + cov_a.trace() + cov_b.trace() - 2 * cross
    return max(distance.item(), 0.0)


def frechet(a: Tensor, b: Tensor) -> float:
    """Return the Fréchet distance between two sets of features (N, D) and (M, D) (Heusel et al., 2017)."""
    return gaussian_frechet(*moments(a), *moments(b))


def _halves(n_total: int, seed: int):
    """HALVINGS random splits of range(n_total) into two halves."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(HALVINGS):
        order = torch.randperm(n_total, generator=generator)
        yield order[: n_total // 2], order[n_total // 2 :]


@cache
def test_features() -> Tensor:
    """Return the features of the 10,000 MNIST test images, float64 (10000, 128).

    They ship beside the classifier (rounded to float16, which moves a distance by less than its fourth digit)
    and are computed afresh where the classifier is not the one they belong to.
    """
    return _real_features("test")


@cache
def validation_features() -> Tensor:
    """Return the features of the 5,000 validation images, float64 (5000, 128); shipped like those of test."""
    return _real_features("validation")


def _real_features(split: str) -> Tensor:
    """The shipped features of a split; computed where they belong to other weights or cannot be read."""
    try:
        with np.load(_judge_file(f"{split}_features.npz"), allow_pickle=False) as kept:
            if str(kept["weights"]) == judge_checksum():
                return torch.from_numpy(kept["features"]).double()
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        pass
    return features(_images(split))


def _images(split: str) -> Tensor:
    from course_utils import data

    digits = data.mnist()
    return {"test": digits.test, "validation": digits.val, "training": digits.train}[split].x


def _judge_file(name: str):
    return folders.data_dir() / "judge" / name


@cache
def _shipped_real() -> dict:
    """The shipped scores of real digits, or nothing if they belong to other weights or cannot be read."""
    try:
        kept = json.loads(_judge_file("real_scores.json").read_text(encoding="utf-8"))
        return kept["scores"] if kept["weights"] == judge_checksum() else {}
    except (OSError, KeyError, ValueError, TypeError):
        return {}


def judge_checksum() -> str:
    """Return the SHA-256 of the classifier's weights, as its card has it."""
    from course_utils import runs

    return runs.load("classifier").card["files"]["weights.safetensors"]


def save_judge() -> None:
    """Write data/judge/ anew, features and scores of real digits; whoever trains another classifier calls
    it."""
    weights = judge_checksum()
    _judge_file("").mkdir(exist_ok=True)
    for split in ("test", "validation"):
        values = features(_images(split)).to(torch.float16).numpy()
        np.savez_compressed(_judge_file(f"{split}_features.npz"), features=values, weights=np.array(weights))
    for kept in (test_features, validation_features, _reference):
        kept.cache_clear()
    scores = {
        f"{reference}, n = {n}": {name: asdict(row) for name, row in _measure_real(n, reference).items()}
        for reference in REFERENCES
        for n in USUAL_N
    }
    text = json.dumps({"weights": weights, "scores": scores}, indent=1)
    _judge_file("real_scores.json").write_text(text + "\n", encoding="utf-8")


SETS = 5
"""Independent sample sets behind an error bar, where there are enough samples."""
REFERENCES = ("test", "validation")
_CHUNK = 100
USUAL_N = (200, 250, 500, 1000, 2000, 5000)
"""The n whose real rows ship."""


@dataclass(frozen=True)
class Score:
    """How near samples are to a reference of real digits: the mean over independent sets of `n` samples each.

    `distance` is the Fréchet distance, `kid` the kernel distance; `…_spread` is the standard deviation over
    the `sets`, of a single set of n, and NaN where there was one set only. That is what "±" means in this
    course, and nothing else.
    """

    n: int
    sets: int
    reference: str
    distance: float
    distance_spread: float
    kid: float
    kid_spread: float

    COLUMNS: ClassVar[tuple[str, str, str]] = ("Fréchet distance", "KID", "sets")

    def row(self, digits: int = 2) -> list[str]:
        """Return the cells of a table row under `COLUMNS`."""
        return [
            _with_spread(self.distance, self.distance_spread, digits),
            _with_spread(self.kid, self.kid_spread, digits + 1),
            str(self.sets),
        ]

    def __str__(self) -> str:
        distance, kid, _ = self.row()
        sets = "one set" if self.sets == 1 else f"{self.sets} sets"
        return (
            f"Fréchet distance {distance}, KID {kid} ({sets} of n = {self.n:,} against {self.reference}"
            " digits)"
        )

    def figures(self) -> dict[str, float]:
        """Return all numbers by name, for a card."""
        return asdict(self)


def _with_spread(value: float, spread: float, digits: int) -> str:
    """value ± spread, or the value alone where one set gave none."""
    text = f"{value:,.{digits}f}"
    return text if math.isnan(spread) else f"{text} ± {spread:,.{digits}f}"


@dataclass(frozen=True)
class _Reference:
    """Real digits that samples are compared with: features for the kernel, moments for the Fréchet distance."""

    features: Tensor  # (N, D)
    moments: list[tuple[Tensor, Tensor]]  # of sets of 5,000; a distance is the mean over them
    self_kernel: float  # mean kernel over all pairs of different images


@cache
def _reference(name: str) -> _Reference:
    """The reference "test" (20 random halves of the test digits) or "validation" (all 5,000)."""
    if name not in REFERENCES:
        raise ValueError(f"reference is {' or '.join(map(repr, REFERENCES))}, not {name!r}.")
    if name == "test":
        real = test_features()
        sets = [real[half] for half, _ in _halves(len(real), seed=0)]
    else:
        real = validation_features()
        sets = [real]
    return _Reference(real, [moments(x) for x in sets], _mean_kernel(real))


def _kernel_sum(a: Tensor, b: Tensor) -> float:
    """Sum of (x·y / D + 1)³ over all pairs of rows of a (N, D) and b (M, D), a hundred rows at a time."""
    total = 0.0
    across = b.T / a.shape[1]
    for part in a.split(_CHUNK):
        kernel = (part @ across).add_(1).flatten()
        total += torch.dot(kernel * kernel, kernel).item()
    return total


def _mean_kernel(x: Tensor) -> float:
    """Mean of the kernel over all pairs of different rows of x (N, D)."""
    own = (x.square().sum(1) / x.shape[1] + 1).pow(3).sum().item()
    return (_kernel_sum(x, x) - own) / (len(x) * (len(x) - 1))


def _split(samples, n: int | None) -> list[Tensor]:
    """Disjoint sets of n features each, from uint8 images (N, …) or from a list of such tensors, one a set."""
    if not isinstance(samples, torch.Tensor | np.ndarray):
        sets = [features(one) for one in samples]
        if n is None:
            n = min(len(one) for one in sets)
        sets = [one[:n] for one in sets]
    else:
        n = min(len(samples), 1000) if n is None else n
        sets = list(features(samples[: max(1, len(samples) // n) * n]).split(n))
    if not sets or any(len(one) < n for one in sets):
        counts = ", ".join(str(len(one)) for one in sets) or "none"
        raise ValueError(f"Asked for sets of n = {n} samples, but there are only {counts}.")
    return sets


def score(samples, n: int | None = None, reference: str = "test") -> Score:
    """Measure how near uint8 samples are to real digits, with an error bar from independent sets.

    `samples`: one tensor (N, 1, 28, 28), cut into N // n disjoint sets of `n` (default min(N, 1000)), or a
    list of tensors, one a set. `reference`: "validation" for every choice, "test" for a last table only.
    Compare only at equal n: a Fréchet distance is biased upward by an amount that depends on n. Raises
    ValueError for fewer than n samples.
    """
    real = _reference(reference)
    distances, kernels = [], []
    for fake in _split(samples, n):
        mine = moments(fake)
        distances.append(float(np.mean([gaussian_frechet(*mine, *other) for other in real.moments])))
        across = _kernel_sum(fake, real.features) / (len(fake) * len(real.features))
        kernels.append(_mean_kernel(fake) + real.self_kernel - 2 * across)
    spreads = [float(np.std(x, ddof=1)) if len(x) > 1 else math.nan for x in (distances, kernels)]
    return Score(
        len(fake), len(distances), reference,
        float(np.mean(distances)), spreads[0], float(np.mean(kernels)), spreads[1],
    )  # fmt: skip


def real(n: int, reference: str = "test") -> dict[str, Score]:
    """Return the scores of real digits, the rows without which no score can be read: name → Score.

    "training digits": five random sets of n of the 55,000. "validation digits", beside the test digits only:
    as many sets of n as the 5,000 hold, at most five. They are from other writers than the test digits, which
    makes them a harder yardstick. Shipped for the usual n, computed for others.
    """
    if reference not in REFERENCES:
        raise ValueError(f"reference is {' or '.join(map(repr, REFERENCES))}, not {reference!r}.")
    shipped = _shipped_real().get(f"{reference}, n = {n}")
    if shipped is not None:
        return {name: Score(**figures) for name, figures in shipped.items()}
    return _measure_real(n, reference)


def _measure_real(n: int, reference: str) -> dict[str, Score]:
    rows = {}
    for split in ("training", "validation")[: 2 if reference == "test" else 1]:
        images = _images(split)
        generator = torch.Generator().manual_seed(0)
        order = torch.randperm(len(images), generator=generator)
        sets = min(SETS, len(images) // n)
        rows[f"{split} digits"] = score(images[order[: sets * n]], n, reference)
    return rows


def scoreboard(models: dict, n: int, reference: str = "test") -> dict[str, Score]:
    """Return the scores of several models with those of real digits in front: name → Score.

    `models`: name → samples as `score` takes them, or a Score at the same n and reference. Raises ValueError
    where a Score at another n or reference is mixed in.
    """
    rows = dict(real(n, reference))
    for name, samples in models.items():
        found = samples if isinstance(samples, Score) else score(samples, n, reference)
        if (found.n, found.reference) != (n, reference):
            raise ValueError(
                f"{name} was measured at n = {found.n} against {found.reference} digits; this table is n = {n}"
                f" against {reference} digits, and the two cannot be compared."
            )
        rows[name] = found
    return rows


def kid(a: Tensor, b: Tensor) -> float:
    """Return the kernel distance of features (N, D), (M, D): unbiased MMD² with the kernel (x·y / D + 1)³.

    Unlike the Fréchet distance its expectation does not depend on n; it can be negative (Bińkowski et al.,
    2018). Raises ValueError for fewer than two features in either set: it compares pairs within each.
    """
    a, b = _exact(a), _exact(b)
    if min(len(a), len(b)) < 2:
        raise ValueError(
            f"KID compares pairs within each set: give at least two samples in each, not {len(a)} and {len(b)}."
        )

    def kernel(x, y):
        return (x @ y.T / x.shape[1] + 1) ** 3

    def off_diagonal_mean(k):
        return (k.sum() - k.trace()) / (len(k) * (len(k) - 1))

    same = off_diagonal_mean(kernel(a, a)) + off_diagonal_mean(kernel(b, b))
    return (same - 2 * kernel(a, b).mean()).item()


def _radii(x: Tensor, k: int) -> Tensor:
    """Distance of each row to its k-th nearest other row: (N,)."""
    return torch.cdist(x, x).kthvalue(k + 1, dim=1).values  # the nearest is the row itself


def precision_recall(real: Tensor, fake: Tensor, k: int = 5) -> dict[str, float]:
    """Return precision, recall, density and coverage of fake features (M, D) against real ones (N, D).

    Precision and recall by k-NN balls (Kynkäänniemi et al., 2019); density and coverage (Naeem et al., 2020).
    Raises ValueError if either set has no more than k points.
    """
    real, fake = _exact(real), _exact(fake)
    if k < 1:
        raise ValueError(f"k is the number of neighbours, at least 1, not {k}.")
    if min(len(real), len(fake)) <= k:
        raise ValueError(
            f"k = {k} neighbours need more than {k} points, got {len(real)} real and {len(fake)} fake."
        )
    real_radii, fake_radii, distance = _radii(real, k), _radii(fake, k), torch.cdist(real, fake)  # (N, M)
    inside = distance < real_radii[:, None]
    return {
        "precision": inside.any(0).double().mean().item(),
        "recall": (distance < fake_radii).any(1).double().mean().item(),
        "density": inside.double().sum(0).mean().item() / k,
        "coverage": (distance.min(1).values < real_radii).double().mean().item(),
    }


def importance_bound(log_weights: Tensor) -> Tensor:
    """Return log (1/S) Σ_s w_s for log weights log p(x, z_s) − log q(z_s | x), (S, B) → (B,), in nats.

    Its expectation is a lower bound on log p(x) that rises with S (Burda, Grosse and Salakhutdinov, 2016).
    """
    return torch.logsumexp(log_weights, 0) - math.log(len(log_weights))


def bits_per_dimension(nats: float, dimensions: int, levels: int = 256) -> float:
    """Return bits per dimension from −log p(x) in nats, for x dequantised from `levels` greys and scaled to
    [0, 1]."""
    return nats / (dimensions * math.log(2)) + math.log2(levels)


def psnr(x: Tensor, reference: Tensor) -> Tensor:
    """Return the peak signal-to-noise ratio in dB of each image (B, …) in [0, 1]: −10 log₁₀ of its squared
    error."""
    return -10 * (x - reference).square().flatten(1).mean(1).clamp_min(1e-12).log10()


def ssim(x: Tensor, reference: Tensor, window: int = 7) -> Tensor:
    """Return the structural similarity of each image pair (B, 1, H, W) in [0, 1], over a uniform window.

    Wang et al. (2004), with scikit-image's defaults: sample covariances, only windows that lie fully inside.
    """
    pool = torch.nn.functional.avg_pool2d
    unbias = window**2 / (window**2 - 1)
    mean_x, mean_y = pool(x, window, 1), pool(reference, window, 1)
    var_x = unbias * (pool(x * x, window, 1) - mean_x**2)
    var_y = unbias * (pool(reference * reference, window, 1) - mean_y**2)
    covariance = unbias * (pool(x * reference, window, 1) - mean_x * mean_y)
    c1, c2 = 0.01**2, 0.03**2
    similarity = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    return (similarity / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))).flatten(1).mean(1)
