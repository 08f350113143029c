"""The 2-D sets: shape, scale, reproducibility, and the geometry that each docstring promises."""

import math

import pytest
import torch

from course_utils.data import points
from course_utils.data.points import POINTS

N = 20_000


@pytest.mark.parametrize("name", POINTS)
def test_shape_scale_and_labels(name):
    x, y = POINTS[name](N, seed=5, labels=True)
    assert x.shape == (N, 2) and x.dtype == torch.float32 and y.shape == (N,) and y.dtype == torch.int64
    assert torch.equal(POINTS[name](N, seed=5), x)
    assert x.abs().max() <= 4
    assert x.mean(0).abs().max() < 0.06
    assert x.std(0).min() > 0.7 and x.std(0).max() < 1.6
    counts = torch.bincount(y).float()  # all parts equally likely: within five standard deviations
    assert (counts - N / len(counts)).abs().max() < 5 * math.sqrt(N / len(counts))
    assert len(counts) == {"moons": 2, "rings": 3, "spiral": 2, "pinwheel": 5}.get(name, 8)


@pytest.mark.parametrize("name", POINTS)
def test_reproducible_and_global_generator_untouched(name):
    before = torch.get_rng_state()
    a, b, c = POINTS[name](50, seed=1), POINTS[name](50, seed=1), POINTS[name](50, seed=2)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(a, b) and not torch.equal(a, c)


@pytest.mark.parametrize("name", POINTS)
@pytest.mark.parametrize("n", [0, -1, 2.5, 10.0, True, "ten"])
def test_wrong_number_of_points(name, n):
    with pytest.raises(ValueError, match="whole number of at least 1"):
        POINTS[name](n)


@pytest.mark.parametrize("name", POINTS)
def test_one_point(name):
    assert POINTS[name](1).shape == (1, 2)


def test_points_are_in_random_order():
    for draw in POINTS.values():
        _, y = draw(N, labels=True)
        parts = y.max().item() + 1
        repeats = (y[1:] == y[:-1]).float().mean().item()
        assert abs(repeats - 1 / parts) < 0.02


def test_eight_gaussians_have_their_modes_and_sigma():
    x, y = points.eight_gaussians(N, labels=True)
    centres = points.eight_centres()
    assert torch.allclose(centres.norm(dim=1), torch.full((8,), 2.0)) and torch.allclose(
        centres[2], torch.tensor([0.0, 2.0]), atol=1e-6
    )
    angles = torch.atan2(centres[:, 1], centres[:, 0]) % (2 * math.pi)
    assert torch.allclose(angles, torch.arange(8) * math.pi / 4, atol=1e-6)
    for mode in range(8):
        offset = x[y == mode] - centres[mode]
        assert offset.mean(0).abs().max() < 5 * points.EIGHT_SIGMA / math.sqrt(len(offset))
        covariance = offset.T.cov()
        assert torch.allclose(
            covariance, points.EIGHT_SIGMA**2 * torch.eye(2), atol=0.1 * points.EIGHT_SIGMA**2
        )
    assert torch.equal(torch.cdist(x, centres).argmin(1), y), (
        "13 sigma apart: the nearest centre is the label"
    )


def test_checkerboard_lies_on_black_squares_only_and_fills_them():
    x, y = points.checkerboard(N, labels=True)
    cell = x.floor().long()
    assert (cell.sum(1) % 2 == 0).all() and cell.min() == -2 and cell.max() == 1
    assert len(cell.unique(dim=0)) == 8
    for square in range(8):
        assert len(cell[y == square].unique(dim=0)) == 1
    inside = x - x.floor()  # uniform within the squares: mean 1/2, variance 1/12, no correlation
    assert (inside.mean(0) - 0.5).abs().max() < 0.01
    assert torch.allclose(inside.T.cov(), torch.eye(2) / 12, atol=0.002)


def test_rings_have_their_radii():
    x, y = points.rings(N, labels=True)
    radius = x.norm(dim=1)
    for ring, expected in enumerate((0.8, 1.6, 2.4)):
        assert abs(radius[y == ring].mean().item() - expected) < 0.01
        assert abs(radius[y == ring].std().item() / points.RING_NOISE - 1) < 0.05
    angle = torch.atan2(x[:, 1], x[:, 0])
    sectors = torch.histc(angle, 12, -math.pi, math.pi)
    assert (sectors - N / 12).abs().max() < 5 * math.sqrt(N / 12)


def test_moons_are_half_circles_and_mirror_each_other():
    x, y = points.moons(N, labels=True)
    r = points.MOON_RADIUS
    for moon, side in ((0, 1.0), (1, -1.0)):
        offset = side * x[y == moon] + r * torch.tensor(
            [0.5, 0.25]
        )  # the upper unit half circle, scaled by r
        assert abs(offset.norm(dim=1).mean().item() - r) < 0.02
        # the standard deviation of a radius under isotropic noise is that of the noise
        assert abs(offset.norm(dim=1).std().item() / points.MOON_NOISE - 1) < 0.05
        assert offset[:, 1].min() > -6 * points.MOON_NOISE
        angle = math.pi / 2 + torch.atan2(
            -offset[:, 0], offset[:, 1]
        )  # in (-π/2, 3π/2): no jump at either tip
        assert abs(angle.mean().item() - math.pi / 2) < 0.05
        assert abs(angle.std().item() - math.pi / math.sqrt(12)) < 0.05


def test_spiral_arms_follow_their_equation():
    x, y = points.spiral(4_000, labels=True)
    turn = torch.linspace(0, points.SPIRAL_TURNS, 4_000)
    for arm in (0, 1):
        angle = 2 * math.pi * turn + math.pi * arm
        curve = points.SPIRAL_PITCH * turn[:, None] * torch.stack([angle.cos(), angle.sin()], 1)
        distance, nearest = torch.cdist(x[y == arm], curve).min(1)
        # across a curve only one of the two components of the noise counts
        assert abs(distance.square().mean().sqrt().item() / points.SPIRAL_NOISE - 1) < 0.06
        assert distance.max() < 6 * points.SPIRAL_NOISE
        u = (turn[nearest] / points.SPIRAL_TURNS) ** 2  # uniform on [0, 1]
        assert abs(u.mean().item() - 1 / 2) < 0.03 and abs(u.var().item() - 1 / 12) < 0.01


def test_pinwheel_arms_untwist_into_gaussians():
    x, y = points.pinwheel(N, labels=True)
    x = x / points.PINWHEEL_RADIUS
    # undo the rotation: the twist depends on `along` alone, found by a few fixed-point steps
    along = x.norm(dim=1)
    for _ in range(200):
        angle = 2 * math.pi * y / 5 + points.PINWHEEL_TWIST * along.exp()
        along = 0.5 * along + 0.5 * (x[:, 0] * angle.cos() + x[:, 1] * angle.sin())
    across = -x[:, 0] * angle.sin() + x[:, 1] * angle.cos()
    assert abs(along.mean().item() - 1) < 0.02 and abs(along.std().item() / 0.3 - 1) < 0.05
    assert abs(across.mean().item()) < 0.01 and abs(across.std().item() / 0.1 - 1) < 0.05
