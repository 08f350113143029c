"""Curves: what training logged, and repeated runs with their spread."""

from collections.abc import Mapping, Sequence

import numpy as np

from course_utils.data.pixels import to_numpy
from course_utils.plots.style import new_axes


def curves(history, keys: Sequence[str] | None = None, ax=None, logy: bool = False, **kw):
    """Draw the logged quantities of a training run against the step; returns the axes.

    `history`: what `cu.fit` returns, or a dict name → values (N,) or (xs, ys); its key "step" or "steps", if
    any, holds the x values. `keys` chooses and orders; keywords go to `Axes.plot`.
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
        ax.plot(
            np.arange(1, len(y) + 1) if x is None else to_numpy(x)[: len(y)], y, **{"label": str(key)} | kw
        )
    if logy:
        ax.set_yscale("log")
    ax.set_xlabel(ax.get_xlabel() or "training step")
    ax.set_ylabel(ax.get_ylabel() or (str(keys[0]) if len(keys) == 1 else "value"))
    if len(keys) > 1 or len(ax.lines) > len(keys):
        ax.legend()
    return ax


def band(x, runs, ax=None, label: str | None = None, **kw):
    """Draw the mean of repeated runs (R, len(x)) as a line in a band of ± one standard deviation; returns the
    axes."""
    x, runs = to_numpy(x), to_numpy(runs)
    if runs.ndim != 2 or runs.shape[1] != len(x):
        raise ValueError(
            f"Runs must be (R, {len(x)}): one row a run, one column an x value; got {runs.shape}."
        )
    ax = new_axes(ax, (7.0, 4.0))
    mean, spread = runs.mean(0), runs.std(0, ddof=1) if len(runs) > 1 else np.zeros(len(x))
    (line,) = ax.plot(x, mean, label=label, **kw)
    ax.fill_between(x, mean - spread, mean + spread, color=line.get_color(), alpha=0.2, linewidth=0)
    if label:
        ax.legend()
    return ax
