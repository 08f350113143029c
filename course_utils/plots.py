"""The course's pictures: image grids, film strips, 2-D densities and fields, curves with error bands.

Every function takes `ax=None` (None makes a new figure) and returns the axes it drew on. Show the result with
`cu.show(ax.figure, caption)`. Importing this module applies the course's style.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.patches import Ellipse
from matplotlib.ticker import MaxNLocator

from course_utils import runtime
from course_utils.display import png, show
from course_utils.images import film_strip, image_grid, mosaic, new_axes, to_numpy
from course_utils.tables import table

__all__ = [
    "CLASS_COLOURS", "PALETTE", "band", "curves", "density", "ellipse", "field", "film_strip", "image_grid", "mosaic",
    "png", "scatter", "show", "table", "use_style",
]  # fmt: skip

PALETTE = ["#0072B2", "#D55E00", "#009E73", "#E69F00", "#56B4E9", "#CC79A7", "#000000", "#F0E442"]
"""Okabe and Ito's eight colours (Color Universal Design, 2008): blue, vermilion, green, orange, sky, purple, black,
yellow. Yellow is last: it is too pale for lines on white."""
CLASS_COLOURS = [*PALETTE, "#8844DD", "#661100"]
"""Ten colours, one a digit class: the palette, violet and brown (both stay apart for colour-blind readers)."""
STYLE = Path(__file__).with_name("style.mplstyle")


def use_style() -> None:
    """Apply the course's plot style; in a plain script also choose the backend that needs no screen."""
    plt.style.use(STYLE)
    if not runtime.in_notebook():
        matplotlib.use("Agg")


use_style()


def _limits(lims) -> tuple[float, float, float, float]:
    """(lo, hi), (x lo, x hi, y lo, y hi) or ((x lo, x hi), (y lo, y hi)) as four floats."""
    flat = [float(v) for v in np.asarray(lims, dtype=float).ravel()]
    if len(flat) not in (2, 4):
        raise ValueError(f"Limits are (lo, hi) for both axes or (x_lo, x_hi, y_lo, y_hi), got {lims}.")
    return tuple(flat * 2 if len(flat) == 2 else flat)


def _plane(ax, xlo, xhi, ylo, yhi):
    """Equal scales and, unless the caller set labels, the names of the two coordinates."""
    ax.set(xlim=(xlo, xhi), ylim=(ylo, yhi), aspect="equal")
    return _name_axes(ax)


def _name_axes(ax):
    ax.set_xlabel(ax.get_xlabel() or "x₁")
    ax.set_ylabel(ax.get_ylabel() or "x₂")
    return ax


def scatter(points, labels=None, ax=None, *, names=None, **kw):
    """Draw 2-D points (N, 2); `labels` (N,) integer classes choose colour and legend entry; returns the axes.

    `names`: text of class k at index (or key) k; other keywords go to `Axes.scatter`.
    """
    x = to_numpy(points)
    if x.ndim != 2 or x.shape[1] != 2:
        raise ValueError(f"Points must be (N, 2), got {x.shape}.")
    ax = new_axes(ax)
    style = {"s": float(np.clip(4000 / max(len(x), 1), 6, 30)), "alpha": 0.75, "linewidths": 0} | kw
    if labels is None:
        colour = {} if {"c", "color"} & set(kw) else {"color": PALETTE[0]}
        ax.scatter(*x.T, **colour | style)
    else:
        labels = to_numpy(labels)
        for k in np.unique(labels):
            name = f"class {int(k)}" if names is None else str(names[int(k)])
            ax.scatter(*x[labels == k].T, color=CLASS_COLOURS[int(k) % 10], label=name, **style)
        beside = {"loc": "center left", "bbox_to_anchor": (1.0, 0.5)} if len(np.unique(labels)) > 4 else {}
        ax.legend(markerscale=1.5, **beside)
    ax.set_aspect("equal")
    return _name_axes(ax)


def _grid(lims, n: int, device):
    """Grid coordinates xs, ys (n,) and the points (n², 2), x fastest."""
    xlo, xhi, ylo, yhi = _limits(lims)
    xs, ys = torch.linspace(xlo, xhi, n), torch.linspace(ylo, yhi, n)
    yy, xx = torch.meshgrid(ys, xs, indexing="ij")
    return xs.numpy(), ys.numpy(), torch.stack([xx.ravel(), yy.ravel()], 1).to(device or "cpu")


def density(fn: Callable, lims, ax=None, n=120, levels=16, *, filled=True, label=None, device=None, **kw):
    """Draw a function of the plane, filled in viridis (or, `filled=False`, as contour lines); returns the axes.

    `fn`: float32 points (M, 2) on `device` (CPU unless given) → values (M,). `lims`: (lo, hi) for both axes or
    (x_lo, x_hi, y_lo, y_hi). `n`: points a side. `levels`: number of levels or their values. `label` adds a colour
    bar named so. Other keywords go to `contourf` or `contour`. Raises ValueError for a wrong shape.
    """
    xs, ys, points = _grid(lims, n, device)
    values = to_numpy(fn(points))
    if values.size != n * n:
        raise ValueError(f"The function must return one value a point: ({n * n},), got {values.shape}.")
    ax = new_axes(ax)
    draw = ax.contourf if filled else ax.contour
    colour = {} if "colors" in kw else {"cmap": "viridis"}
    drawn = draw(xs, ys, values.reshape(n, n), levels=levels, **colour | kw)
    ax.grid(False)
    if label:
        ax.figure.colorbar(drawn, ax=ax, label=label, ticks=MaxNLocator(5))
    return _plane(ax, *_limits(lims))


def field(fn: Callable, lims, ax=None, n=20, *, device=None, **kw):
    """Draw a vector field as arrows; returns the axes.

    `fn`: float32 points (M, 2) on `device` (CPU unless given) → vectors (M, 2). Keywords go to `Axes.quiver`.
    """
    xs, ys, points = _grid(lims, n, device)
    vectors = to_numpy(fn(points))
    if vectors.shape != (n * n, 2):
        raise ValueError(f"The function must return one vector a point: ({n * n}, 2), got {vectors.shape}.")
    ax = new_axes(ax)
    ax.quiver(*to_numpy(points).T, *vectors.T, **{"color": "#333333", "width": 0.004, "pivot": "mid"} | kw)
    ax.grid(False)
    return _plane(ax, *_limits(lims))


def ellipse(mean, cov, ax=None, n_std: float = 2, **kw):
    """Draw the `n_std` standard-deviation ellipse of a 2-D Gaussian, mean (2,), covariance (2, 2); returns the axes."""
    values, vectors = np.linalg.eigh(to_numpy(cov).astype(float))
    if values[0] < 0:
        raise ValueError(f"The covariance is not positive semi-definite: its smallest eigenvalue is {values[0]:.2g}.")
    angle = np.degrees(np.arctan2(vectors[1, 1], vectors[0, 1]))
    width, height = 2 * n_std * np.sqrt(values[::-1])
    style = {"fill": False, "edgecolor": PALETTE[1], "linewidth": 2.2} | kw
    ax = new_axes(ax)
    ax.add_patch(Ellipse(to_numpy(mean).astype(float), width, height, angle=angle, **style))
    ax.autoscale_view()
    return ax


def curves(history, keys: Sequence[str] | None = None, ax=None, logy: bool = False, **kw):
    """Draw the logged quantities of a training run against the step; returns the axes.

    `history`: what `cu.fit` returns, or a dict name → values (N,) or (xs, ys); its key "step" or "steps", if any,
    holds the x values. `keys` chooses and orders; keywords go to `Axes.plot`.
    """
    steps = getattr(history, "steps", None)
    if isinstance(history, Mapping):
        steps = next((history[name] for name in ("steps", "step") if name in history), steps)
    keys = [k for k in history.keys() if k not in ("step", "steps")] if keys is None else list(keys)  # noqa: SIM118
    ax = new_axes(ax, (7.0, 4.0))
    for key in keys:
        values = history[key]
        x, y = values if isinstance(values, tuple) and len(values) == 2 else (steps, values)
        y = to_numpy(y)
        ax.plot(np.arange(1, len(y) + 1) if x is None else to_numpy(x)[: len(y)], y, **{"label": str(key)} | kw)
    if logy:
        ax.set_yscale("log")
    ax.set_xlabel(ax.get_xlabel() or "training step")
    ax.set_ylabel(ax.get_ylabel() or (str(keys[0]) if len(keys) == 1 else "value"))
    if len(keys) > 1 or len(ax.lines) > len(keys):
        ax.legend()
    return ax


def band(x, runs, ax=None, label: str | None = None, **kw):
    """Draw the mean of repeated runs (R, len(x)) as a line in a band of ± one standard deviation; returns the axes."""
    x, runs = to_numpy(x), to_numpy(runs)
    if runs.ndim != 2 or runs.shape[1] != len(x):
        raise ValueError(f"Runs must be (R, {len(x)}): one row a run, one column an x value; got {runs.shape}.")
    ax = new_axes(ax, (7.0, 4.0))
    mean, spread = runs.mean(0), runs.std(0, ddof=1) if len(runs) > 1 else np.zeros(len(x))
    (line,) = ax.plot(x, mean, label=label, **kw)
    ax.fill_between(x, mean - spread, mean + spread, color=line.get_color(), alpha=0.2, linewidth=0)
    if label:
        ax.legend()
    return ax
