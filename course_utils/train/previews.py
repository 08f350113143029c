"""Previews: when they are due, how they are called, and what becomes of what they return."""

import contextlib

import numpy as np
import torch

from course_utils.plots import images
from course_utils.plots.picture import close
from course_utils.system import machine, randomness, ranks
from course_utils.system.profile import budget
from course_utils.train.interrupts import evaluation

PREVIEWS = 12
"""So many previews a training call shows if the lesson does not say when."""
MOST_IMAGES = 36
"""So many images of a preview stand beside the curves: more would be too small to be seen. The history keeps
all."""


class Previews:
    """The reader's `preview` of one training call; it is called on rank 0, in eval mode, and leaves no trace.

    `steps_due`: after which steps, in order. `modules`: those in training. `average`: an `EMA` whose weights
    they carry while `preview` looks at them, or None.
    """

    def __init__(self, preview, steps_due: list[int], modules: list, average=None):
        self.preview = preview
        self.steps_due = steps_due
        self.modules = modules
        self.average = average

    def show(self, step: int, history, progress, interrupts) -> None:
        """Call the preview if one is due; keep its images in the history, show them beside the curves.

        Raises RuntimeError if the preview changed what it was to look at.
        """
        if self.preview is None or not self.steps_due or step < self.steps_due[0]:
            return
        self.steps_due = [due for due in self.steps_due if due > step]
        if ranks.rank() != 0:
            return
        tensors = [t for m in self.modules for t in (*m.parameters(), *m.buffers())]
        versions = [t._version for t in tensors]
        with self._eyes_only(), interrupts.allowed():
            shown = self.preview(step)
            if shown is not None and not hasattr(shown, "savefig"):
                history.add_frame(step, shown)
            if progress.shows_pictures:
                progress.preview = as_picture(shown)
        if versions != [t._version for t in tensors]:
            raise RuntimeError(
                "preview changed weights or buffers of the model it was to look at. Inside preview, train "
                "nothing and leave the modules in eval mode (the loop sets it)."
            )

    @contextlib.contextmanager
    def _eyes_only(self):
        """Within the block nothing learns, and the generators are as before it afterwards."""
        averaged = self.average.applied() if self.average else contextlib.nullcontext()
        with averaged, randomness.forked(), evaluation(self.modules), torch.no_grad(), _figures_closed():
            yield


@contextlib.contextmanager
def _figures_closed():
    """Close the figures that are opened within the block; in a notebook those stay that a preview wants seen."""
    import matplotlib.pyplot as plt

    before = set(plt.get_fignums())
    try:
        yield
    finally:
        if not machine.in_notebook():
            for number in set(plt.get_fignums()) - before:
                plt.close(number)


def preview_steps(total: int, start: int = 0, wanted=None) -> list[int]:
    """Return after which steps a preview is due: those `wanted`, or a dozen, close to each other at first."""
    n = budget(live=PREVIEWS, quick=2)
    due = set(wanted) if wanted is not None else {round(total * (k / (n - 1)) ** 2) for k in range(n)}
    return sorted(step for step in due if step > start or start == 0)


def as_picture(shown) -> np.ndarray | None:
    """Return what a preview gave, a figure or its first images, as one array (H, W) or (H, W, 4); None for
    None."""
    if shown is None:
        return None
    if hasattr(shown, "savefig"):
        shown.canvas.draw() if hasattr(shown.canvas, "buffer_rgba") else _on_agg(shown)
        pixels = np.asarray(shown.canvas.buffer_rgba()).copy()
        close(shown)
        return pixels
    tiled = images.mosaic(shown[:MOST_IMAGES])
    return 255 - tiled if tiled.ndim == 2 else tiled  # grey images are ink on white paper


def _on_agg(figure) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure).draw()
