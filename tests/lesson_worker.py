"""What each process of tests/test_lessons_on_ranks.py does under torchrun: -m tests.lesson_worker DIR LESSON.py …

A lesson runs as a script, as `torchrun lessons/NN_slug.py` runs it, up to its first saved run (to its end with
WHOLE_LESSONS=1). Left out is what takes long and is tested on the notebook: drawing figures, clicking every widget.
"""

import contextlib
import hashlib
import json
import os
import runpy
import sys
from pathlib import Path

from PIL import Image

from course_utils import display, panel, runs, runtime, session
from tests.training import CountReads, watched_steps

WHOLE = bool(os.environ.get("WHOLE_LESSONS"))


class Enough(Exception):
    """The lesson has saved its first run."""


def digest(module) -> str:
    """A hash of the parameters of a module, bit by bit."""
    parts = [weight.detach().cpu().contiguous().numpy().tobytes() for weight in module.parameters()]
    return hashlib.sha256(b"".join(parts)).hexdigest()[:16]


def follow(trained: list, saved: list) -> None:
    """Make every training call leave an entry in `trained`, every saved run its name in `saved`."""
    result, save_run = session.Session.result, runs.save_run

    def recorded(self):
        history = result(self)
        modules = [*self.modules, history.ema] if history.ema else self.modules
        trained.append({"steps": history.steps[-1], "weights": [digest(module) for module in modules]})
        return history

    def save(*args, **kwargs):
        run = save_run(*args, **kwargs)
        saved.append(run.name)
        for name in run.card["files"]:
            run.read(name)  # verifies it
        if not WHOLE:
            raise Enough
        return run

    session.Session.result, runs.save_run = recorded, save
    panel.Panel.exercise = lambda self: 0
    display._rendered = lambda fig, dpi: Image.new("L", (100, 100))


def main(folder: Path, lessons: list[Path]) -> None:
    """Run the lessons one after the other; leave in `folder` what this rank has trained and saved in each."""
    trained, saved, found, reads = [], [], {}, CountReads()
    follow(trained, saved)
    for lesson in lessons:
        trained.clear(), saved.clear()
        reads.reads = 0
        if os.environ.get("RANK", "0") == "0":
            print("LESSON", lesson.stem)  # the first one comes before the lesson silences the other ranks
        with watched_steps(reads.__enter__, lambda: reads.__exit__(None, None, None)), contextlib.suppress(Enough):
            runpy.run_path(str(lesson), run_name="__main__")
        found[lesson.stem] = {"trained": [*trained], "saved": [*saved], "reads": reads.reads}
    found["left"] = sorted(path.name for path in runtime.runs_dir().iterdir())
    (folder / f"rank_{runtime.rank()}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]])
