"""What is seen while a model trains: a live picture in a notebook, a few lines of text in a script."""

import time

import numpy as np

from course_utils import runtime

LINES = 10
"""How many lines of text a training call prints in a script."""
SECONDS = 1.0
"""A live picture is redrawn at most this often."""
SHARE = 30
"""… and only after this many times the duration of the last drawing: drawing takes at most 1/30 of the time."""
MOST_IMAGES = 36
"""So many images of a preview stand beside the curves: more would be too small to be seen. The history keeps all."""


class Progress:
    """The display of one training call; only rank 0 shows anything.

    In a notebook the curves (and the last preview) replace each other in one persistent image; at the end a static
    PNG stays in its place. In a script, and in the quick profile until the end, there is text only.
    """

    def __init__(self, history, start: int = 0):
        self.history, self.start = history, start
        self.title = history.name or "training"
        self.began = self.drawn = time.perf_counter()
        self.pause, self.printed, self.preview, self.image, self.handle = 0.0, 0, None, None, None
        self.loud = runtime.rank() == 0
        self.pictures = self.loud and runtime.in_notebook()
        self.live = self.pictures and runtime.profile() != "quick"

    def update(self, step: int) -> None:
        """Show a log point, unless the last one was shown too short a time ago."""
        if self.live:
            now = time.perf_counter()
            if now - self.drawn >= max(SECONDS, self.pause):
                self._draw_live(step)
                self.drawn = time.perf_counter()
                self.pause = SHARE * (self.drawn - now)
        elif self.loud and not self.pictures and step * LINES // max(self.history.total, 1) > self.printed:
            self.printed = step * LINES // self.history.total
            if step < self.history.total:
                print(self.line(step), flush=True)

    def line(self, step: int) -> str:
        """Return one line of text: name, steps, seconds, the last logged values."""
        total, seconds = self.history.total, self.history.seconds
        done = f"{step:,} of {total:,} steps" if step < total else f"{total:,} steps"
        values = [f"{key} {self.history[key][-1]:.4g}" for key in self.history.keys()[:5] if self.history[key]]
        rate = (step - self.start) / max(time.perf_counter() - self.began, 1e-9)
        speed = f", {rate:,.0f} steps/s" if rate >= 10 else f", {rate:.2g} steps/s" if rate > 0 else ""
        return " · ".join([f"{self.title}: {done}", f"{seconds:.1f} s{speed}", *values])

    def finish(self, step: int, note: str | None = None) -> None:
        """Leave a static picture (notebooks) and one line of text, with `note` below it."""
        if not self.loud:
            return
        if self.pictures and len(self.history) > 1:
            self._show(self._picture(small=not self.live), step)
        print(self.line(step), flush=True)
        if note:
            print(note, flush=True)

    def _draw_live(self, step: int) -> None:
        """Replace the bytes of the one widget; a front end without widgets gets a picture that is updated."""
        picture = self._picture()
        if self.image is not None:
            self.image.value = picture
            return
        try:
            import ipywidgets
        except ImportError:
            self._show(picture, step)
            return
        from IPython.display import display

        from course_utils.display import metadata

        width = metadata(picture, self.title)["image/png"]["width"]
        self.image = ipywidgets.Image(value=picture, format="png", width=width)
        self.handle = display(self.image, display_id=True)

    def _show(self, picture: bytes, step: int) -> None:
        """Put a static PNG where the live one is, or display it."""
        from IPython.display import display

        from course_utils.display import bundle, metadata

        caption = f"Logged values of {self.line(step)}"
        data, notes = bundle(picture, caption), metadata(picture, caption)
        if self.handle is None:
            self.handle = display(data, metadata=notes, raw=True, display_id=True)
        else:
            self.handle.update(data, metadata=notes, raw=True)
        if self.image is not None:
            self.image.close()
            self.image = None

    def _picture(self, small: bool = False) -> bytes:
        """The curves, and the last preview beside them, as PNG bytes."""
        from matplotlib.figure import Figure

        from course_utils import plots

        wide = self.preview is not None
        fig = Figure(figsize=(4.0, 2.2) if small else (9.0, 3.0) if wide else (7.0, 3.0), layout="constrained")
        axes = fig.subplots(1, 2, width_ratios=(2, 1)) if wide else [fig.subplots()]
        keys = [k for k in self.history.keys() if np.isfinite(self.history[k]).any()]  # noqa: SIM118
        plots.curves(self.history, keys, ax=axes[0])
        done, total = self.history.steps[-1], self.history.total
        axes[0].set_title(f"{self.title}: {done:,} {'steps' if done == total else f'of {total:,} steps'}")
        if wide:
            axes[1].imshow(self.preview, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
            axes[1].set_axis_off()
        return plots.png(fig)


def as_picture(shown) -> np.ndarray | None:
    """Return what a preview gave, a figure or its first images, as one array (H, W) or (H, W, 4); None for None."""
    if shown is None:
        return None
    from course_utils import display, plots

    if hasattr(shown, "savefig"):
        shown.canvas.draw() if hasattr(shown.canvas, "buffer_rgba") else _on_agg(shown)
        pixels = np.asarray(shown.canvas.buffer_rgba()).copy()
        display.close(shown)
        return pixels
    tiled = plots.mosaic(shown[:MOST_IMAGES])
    return 255 - tiled if tiled.ndim == 2 else tiled  # grey images are ink on white paper


def _on_agg(figure) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure).draw()
