"""Runs one lesson on a pretended device: -m tests.pretend.lesson_worker KIND CARD LESSON OUT

The lesson runs as a script in the profile `quick`, to its end, every control of its widgets moved once and every
button pressed. Left out is what takes long and touches no tensor: turning figures into pixels, and two of the
three values that `try_all` gives a control.
"""

import contextlib
import dataclasses
import json
import runpy
import sys
import traceback
import warnings
from pathlib import Path
from unittest import mock

from PIL import Image

from course_utils.plots import picture
from course_utils.system import folders
from course_utils.train import session
from course_utils.widgets import panel
from tests.pretend.device import pretending
from tests.train.training import watched_steps


@dataclasses.dataclass
class Found:
    """What a lesson did on the pretended device.

    `fault`: None, or "lessons/NN_slug.py:LINE: …", what a card would have refused. `waits`: the same for what
    made the host wait for the device within a step of a training call, from its third on (the first ones may
    set things up, as in tests/test_gpu.py). `trained`: for each training call
    the kinds of device on which its weights and their averages lay at its end. `reads`: how often the host read
    anything in the whole lesson.
    """

    fault: str | None = None
    waits: list[str] = dataclasses.field(default_factory=list)
    trained: list[list[str]] = dataclasses.field(default_factory=list)
    reads: int = 0


def place(frames: list[tuple[str, int]], lesson: Path) -> str:
    """The innermost line of the lesson among (file, line), outermost first, and the line of the package below
    it."""
    package = str(folders.ROOT / "course_utils")
    found, below = "?", ""
    for file, line in frames:
        if file == str(lesson):
            found, below = str(line), ""
        elif file.startswith(package):
            below = f" (in {Path(file).relative_to(folders.ROOT).as_posix()}:{line})"
    return f"lessons/{lesson.name}:{found}{below}"


def here() -> list[tuple[str, int]]:
    """Where this process is, as (file, line), outermost first."""
    frames, frame = [], sys._getframe(1)
    while frame is not None:
        frames.append((frame.f_code.co_filename, frame.f_lineno))
        frame = frame.f_back
    return frames[::-1]


@contextlib.contextmanager
def observed(found: Found, host, lesson: Path):
    """Within the block note in `found` each training call, and each wait within one of its steps."""
    result = session.Session.result
    steps = 0

    def ended(self):
        nonlocal steps
        steps = 0
        history = result(self)
        modules = [*self.modules, history.ema] if history.ema else self.modules
        tensors = [t for module in modules for t in (*module.parameters(), *module.buffers())]
        found.trained.append(sorted({tensor.device.type for tensor in tensors}))
        return history

    def wait(kind, name):
        if kind == "upload" and any(file.endswith("data/batches.py") for file, _ in here()):
            return  # the order of an epoch, once an epoch: on Apple's GPU the host waits for copies
        line = f"{place(here(), lesson)}: {kind} by {name}"
        if line not in found.waits:
            found.waits.append(line)

    def on():
        nonlocal steps
        steps += 1
        host.told = wait if steps > 2 else None

    def off():
        host.told = None

    once = panel.extremes
    with (
        watched_steps(on, off),
        mock.patch.object(session.Session, "result", ended),
        mock.patch.object(picture, "_rendered", lambda fig, dpi: Image.new("L", (100, 100))),
        mock.patch.object(panel, "extremes", lambda control: once(control)[-1:]),
    ):
        try:
            yield
        finally:
            off()


def run_lesson(lesson: Path, kind: str, card: str = "A100") -> Found:
    """Run a lesson (its path) to its end, or to the first thing that a card would refuse."""
    found = Found()
    with warnings.catch_warnings(), pretending(kind, card) as host, observed(found, host, lesson):
        # What NumPy will refuse one day: a tensor that Matplotlib is given in place of an array.
        warnings.filterwarnings("error", message="__array", category=DeprecationWarning)
        try:
            runpy.run_path(str(lesson), run_name="__main__")
        except Exception as error:
            frames = [(f.filename, f.lineno) for f in traceback.extract_tb(error.__traceback__)]
            found.fault = f"{place(frames, lesson)}: {type(error).__name__}: {error}"
            if "--trace" in sys.argv:
                traceback.print_exc()
        found.reads = host.reads
    return found


if __name__ == "__main__":
    kind, card, lesson, out = sys.argv[1:5]
    Path(out).write_text(json.dumps(dataclasses.asdict(run_lesson(Path(lesson), kind, card))))
