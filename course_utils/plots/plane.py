"""Drawings of the plane: points, densities, vector fields, ellipses."""

from collections.abc import Callable

import numpy as np
import torch
from matplotlib.patches import Ellipse
from matplotlib.ticker import MaxNLocator

from course_utils.data.pixels import to_numpy
from course_utils.plots.style import CLASS_COLOURS, PALETTE, new_axes


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
    xs, ys = (torch.linspace(lo, hi, n, dtype=torch.float32) for lo, hi in ((xlo, xhi), (ylo, yhi)))
    yy, xx = torch.meshgrid(ys, xs, indexing="ij")
    return xs.numpy(), ys.numpy(), torch.stack([xx.ravel(), yy.ravel()], 1).to(device or "cpu")


def density(fn: Callable, lims, ax=None, n=120, levels=16, *, filled=True, label=None, device=None, **kw):
    """Draw a function of the plane, filled in viridis (or, `filled=False`, as contour lines); returns the
    axes.

    `fn`: float32 points (M, 2) on `device` (CPU unless given) → values (M,). `lims`: (lo, hi) for both axes
    or (x_lo, x_hi, y_lo, y_hi). `n`: points a side. `levels`: number of levels or their values. `label` adds
    a colour bar named so. Other keywords go to `contourf` or `contour`. Raises ValueError for a wrong shape.
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
    """Draw the `n_std` standard-deviation ellipse of a 2-D Gaussian, mean (2,), covariance (2, 2); returns
    the axes."""
    values, vectors = np.linalg.eigh(to_numpy(cov).astype(float))
    if values[0] < 0:
        raise ValueError(
            f"The covariance is not positive semi-definite: its smallest eigenvalue is {values[0]:.2g}."
        )
    angle = np.degrees(np.arctan2(vectors[1, 1], vectors[0, 1]))
    width, height = 2 * n_std * np.sqrt(values[::-1])
    style = {"fill": False, "edgecolor": PALETTE[1], "linewidth": 2.2} | kw
    ax = new_axes(ax)
    ax.add_patch(Ellipse(to_numpy(mean).astype(float), width, height, angle=angle, **style))
    ax.autoscale_view()
    return ax
