"""What is seen while a model trains: a live picture in a notebook, a few lines of text in a script."""

import enum
import time

import numpy as np

from course_utils.plots.curves import curves
from course_utils.plots.picture import Picture
from course_utils.system import machine, ranks
from course_utils.system.profile import profile

LINES = 10
"""How many lines of text a training call prints in a script."""
SECONDS = 1.0
"""A live picture is redrawn at most this often."""
SHARE = 30
"""… and only after this many times the duration of the last drawing: drawing takes at most 1/30 of the
time."""


class Display(enum.Enum):
    """How a training call shows itself."""

    NOT_AT_ALL = "another process of torchrun does it"
    AS_TEXT = "a few lines"
    AT_THE_END = "a small picture when it has ended"
    LIVE = "a picture that follows it, and stays"


def display_here() -> Display:
    """Return how a training call shows itself in this process: text in a script, pictures in a notebook."""
    if ranks.rank() != 0:
        return Display.NOT_AT_ALL
    if not machine.in_notebook():
        return Display.AS_TEXT
    return Display.AT_THE_END if profile() == "quick" else Display.LIVE


class Progress:
    """The display of one training call; only rank 0 shows anything.

    In a notebook the curves (and the last preview) replace each other in one persistent image; at the end a
    static PNG stays in its place. In a script, and in the quick profile until the end, there is text only.
    """

    def __init__(self, history, start: int = 0):
        self.history = history
        self.start = start
        self.title = history.name or "training"
        self.display = display_here()
        self.began = time.perf_counter()
        self.preview: np.ndarray | None = None  # the picture beside the curves
        self._drawn = self.began
        self._pause = 0.0
        self._lines = 0
        self._image = None  # the widget of the live picture
        self._handle = None  # of the place in the notebook where the picture is

    @property
    def shows_pictures(self) -> bool:
        """Whether a picture is drawn, live or at the end."""
        return self.display in (Display.AT_THE_END, Display.LIVE)

    def update(self, step: int) -> None:
        """Show a log point, unless the last one was shown too short a time ago."""
        if self.display is Display.LIVE:
            now = time.perf_counter()
            if now - self._drawn >= max(SECONDS, self._pause):
                first = self._drawn == self.began
                self._draw_live(step)
                self._drawn = time.perf_counter()
                # The first drawing, which also loads fonts, is the slowest and says nothing about the next.
                self._pause = 0.0 if first else SHARE * (self._drawn - now)
        elif self.display is Display.AS_TEXT and step < self.history.total:
            lines = step * LINES // self.history.total
            if lines > self._lines:
                self._lines = lines
                print(self.line(step), flush=True)

    def line(self, step: int) -> str:
        """Return one line of text: name, steps, seconds, the last logged values."""
        total = self.history.total
        done = f"{step:,} of {total:,} steps" if step < total else f"{total:,} steps"
        values = [
            f"{key} {self.history[key][-1]:.4g}" for key in self.history.keys()[:5] if self.history[key]
        ]
        rate = (step - self.start) / max(time.perf_counter() - self.began, 1e-9)
        speed = f", {rate:,.0f} steps/s" if rate >= 10 else f", {rate:.2g} steps/s" if rate > 0 else ""
        return " · ".join([f"{self.title}: {done}", f"{self.history.seconds:.1f} s{speed}", *values])

    def finish(self, step: int, note: str | None = None) -> None:
        """Leave a static picture (notebooks) and one line of text, with `note` below it."""
        if self.display is Display.NOT_AT_ALL:
            return
        if self.shows_pictures and len(self.history) > 1:
            self._show(self._picture(small=self.display is Display.AT_THE_END), step)
        print(self.line(step), flush=True)
        if note:
            print(note, flush=True)

    def _draw_live(self, step: int) -> None:
        """Replace the bytes of the one widget; a front end without widgets gets a picture that is updated."""
        picture = self._picture()
        if self._image is not None:
            self._image.value = picture.png
            return
        try:
            import ipywidgets
        except ImportError:
            self._show(picture, step)
            return
        from IPython.display import display

        self._image = ipywidgets.Image(value=picture.png, format="png", width=picture.width)
        self._handle = display(self._image, display_id=True)

    def _show(self, picture: Picture, step: int) -> None:
        """Put a static PNG where the live one is, or display it."""
        from IPython.display import display

        picture = picture.captioned(f"Logged values of {self.line(step)}")
        if self._handle is None:
            self._handle = display(picture.data, metadata=picture.metadata, raw=True, display_id=True)
        else:
            self._handle.update(picture.data, metadata=picture.metadata, raw=True)
        if self._image is not None:
            self._image.close()
            self._image = None

    def _picture(self, small: bool = False) -> Picture:
        """The curves, and the last preview beside them."""
        from matplotlib.figure import Figure

        wide = self.preview is not None
        full_size = (9.0, 3.0) if wide else (7.0, 3.0)
        fig = Figure(figsize=(4.0, 2.2) if small else full_size, layout="constrained")
        axes = fig.subplots(1, 2, width_ratios=(2, 1)) if wide else [fig.subplots()]
        keys = [k for k in self.history.keys() if np.isfinite(self.history[k]).any()]  # noqa: SIM118
        alone = {"marker": "o"} if len(self.history) == 1 else {}  # a line through one point is invisible
        curves(self.history, keys, ax=axes[0], **alone)
        done = self.history.steps[-1]
        total = self.history.total
        axes[0].set_title(f"{self.title}: {done:,} {'steps' if done == total else f'of {total:,} steps'}")
        if wide:
            axes[1].imshow(self.preview, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
            axes[1].set_axis_off()
        return Picture.of(fig)
