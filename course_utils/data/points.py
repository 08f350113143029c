"""The 2-D playground: six sets of points, one shared scale, drawn at random and reproducibly.

    x = cu.moons(2_000)                     # float32 (2000, 2)
    x, y = cu.rings(500, seed=3, labels=True)  # y: int64 (500,), which ring
    for name, draw in cu.POINTS.items(): ...

Each function draws `n` independent points from a distribution that is centred at (about) the origin, has a
standard deviation of 0.7 to 1.6 per axis and lies in [-4, 4]². A point first draws its part (moon, ring, arm,
square, mode: the label, all equally likely), then its place. The same (n, seed) gives the same points
everywhere; torch's global generator is left alone. All raise ValueError if `n` is not a whole number of at
least 1. The constants below are the exact parameters of the densities.
"""

import math
from collections.abc import Callable

import torch

from course_utils.system.numbers import whole

MOON_RADIUS, MOON_NOISE = 1.5, 0.1
RING_RADII, RING_NOISE = (0.8, 1.6, 2.4), 0.08
SPIRAL_TURNS, SPIRAL_PITCH, SPIRAL_NOISE = 1.5, 2.0, 0.06  # turns; radius gained per turn
PINWHEEL_ARMS, PINWHEEL_RADIUS, PINWHEEL_TWIST = 5, 1.5, 0.25
SQUARE = 1.0  # side of a square of the checkerboard, which has 4 × 4
EIGHT_RADIUS, EIGHT_SIGMA = 2.0, 0.15
Points = torch.Tensor | tuple[torch.Tensor, torch.Tensor]


def moons(n: int, seed: int = 0, labels: bool = False) -> Points:
    """Two interleaved half circles of radius 1.5 with isotropic Gaussian noise of standard deviation 0.1.

    Returns float32 (n, 2), with `labels` also int64 (n,): 0 the upper moon, 1 the lower one.
    """
    n, g, y = _start(n, seed, 2)
    angle = math.pi * _uniform(n, g)
    side = 1.0 - 2.0 * y.float()  # +1 for the upper moon, -1 for the lower one
    # the lower moon is the upper one turned by 180° about the origin
    x = torch.stack([side * (angle.cos() - 0.5), side * (angle.sin() - 0.25)], 1)
    return _finish(MOON_RADIUS * x + MOON_NOISE * _normal((n, 2), g), y, labels)


def rings(n: int, seed: int = 0, labels: bool = False) -> Points:
    """Three concentric circles of radius 0.8, 1.6 and 2.4, equally likely; Gaussian noise 0.08 on the radius.

    Returns float32 (n, 2), with `labels` also int64 (n,): 0 the inner ring, 2 the outer one.
    """
    n, g, y = _start(n, seed, len(RING_RADII))
    radius = _float32(RING_RADII)[y] + RING_NOISE * _normal(n, g)
    return _finish(_polar(radius, 2 * math.pi * _uniform(n, g)), y, labels)


def spiral(n: int, seed: int = 0, labels: bool = False) -> Points:
    """Two Archimedean arms of 1.5 turns, radius 2 per turn, half a turn apart; isotropic Gaussian noise 0.06.

    The turn is 1.5 √u with u uniform, so that a point is about equally likely anywhere along an arm.
    Returns float32 (n, 2), with `labels` also int64 (n,): the arm, 0 or 1.
    """
    n, g, y = _start(n, seed, 2)
    turn = SPIRAL_TURNS * _uniform(n, g).sqrt()
    x = _polar(SPIRAL_PITCH * turn, 2 * math.pi * turn + math.pi * y.float())
    return _finish(x + SPIRAL_NOISE * _normal((n, 2), g), y, labels)


def pinwheel(n: int, seed: int = 0, labels: bool = False) -> Points:
    """Five arms, each a Gaussian (radius 1.5 ± 0.45, across ± 0.15) twisted by 0.25 exp(radius / 1.5)
    radians.

    Returns float32 (n, 2), with `labels` also int64 (n,): the arm, 0 to 4.
    Source: Johnson et al., Composing graphical models with neural networks, 2016 (scaled by 1.5).
    """
    n, g, y = _start(n, seed, PINWHEEL_ARMS)
    along, across = (_normal((n, 2), g) * _float32((0.3, 0.1)) + _float32((1.0, 0.0))).T
    angle = 2 * math.pi * y.float() / PINWHEEL_ARMS + PINWHEEL_TWIST * along.exp()
    x = torch.stack(
        [along * angle.cos() - across * angle.sin(), along * angle.sin() + across * angle.cos()], 1
    )
    return _finish(PINWHEEL_RADIUS * x, y, labels)


def checkerboard(n: int, seed: int = 0, labels: bool = False) -> Points:
    """Uniform on the eight black squares of a 4 × 4 board over [-2, 2)²: those with floor(x) + floor(y) even.

    Returns float32 (n, 2), with `labels` also int64 (n,): the square, 0 to 7, row by row from below.
    """
    n, g, y = _start(n, seed, 8)
    row = y // 2
    column = 2 * (y % 2) + row % 2  # row 0 has its black squares in columns 0 and 2, row 1 in 1 and 3
    corner = torch.stack([column, row], 1).float() - 2.0
    # 21-bit uniforms in [0, 1), exact in float32, so that adding the corner cannot round up onto the next
    # square
    inside = torch.randint(2**21, (n, 2), generator=g).float() / 2**21
    return _finish(SQUARE * (corner + inside), y, labels)


def eight_centres() -> torch.Tensor:
    """Return the means of `eight_gaussians`: float32 (8, 2), on a circle of radius 2, the first at (2, 0)."""
    return _polar(_float32([EIGHT_RADIUS] * 8), _float32(range(8)) * math.pi / 4)


def eight_gaussians(n: int, seed: int = 0, labels: bool = False) -> Points:
    """Eight equally likely isotropic Gaussians of standard deviation 0.15 with means on a circle of radius 2.

    Returns float32 (n, 2), with `labels` also int64 (n,): the mode, anticlockwise from (2, 0); see
    `eight_centres`.
    """
    n, g, y = _start(n, seed, 8)
    return _finish(eight_centres()[y] + EIGHT_SIGMA * _normal((n, 2), g), y, labels)


POINTS: dict[str, Callable[..., Points]] = {
    draw.__name__: draw for draw in (moons, rings, spiral, pinwheel, checkerboard, eight_gaussians)
}


def _start(n: int, seed: int, parts: int) -> tuple[int, torch.Generator, torch.Tensor]:
    """The number of points, a generator of its own, and the part that each point belongs to."""
    n = whole(n, "n, the number of points,", least=1)
    g = torch.Generator().manual_seed(whole(seed, "seed"))
    return n, g, torch.randint(parts, (n,), generator=g)


def _float32(values) -> torch.Tensor:
    """Numbers as float32, whatever the default type is."""
    return torch.tensor(list(values), dtype=torch.float32)


def _normal(shape, generator: torch.Generator) -> torch.Tensor:
    return torch.randn(shape, generator=generator, dtype=torch.float32)


def _uniform(shape, generator: torch.Generator) -> torch.Tensor:
    return torch.rand(shape, generator=generator, dtype=torch.float32)


def _finish(x: torch.Tensor, y: torch.Tensor, labels: bool) -> Points:
    return (x, y) if labels else x


def _polar(radius: torch.Tensor, angle: torch.Tensor) -> torch.Tensor:
    return torch.stack([radius * angle.cos(), radius * angle.sin()], 1)
