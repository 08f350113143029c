"""What each process of test_lessons_on_ranks.py does: -m tests.lessons.lesson_worker DIR LESSON

A lesson runs as a script, as `torchrun lessons/NN_slug.py` runs it, up to the first run it ships after a
training (to its end in the full run of the suite). Runs are shipped as in the profile `full`, but into a
temporary folder. Left out is what takes long and is tested on the notebook: drawing figures, trying every
widget.
"""

import contextlib
import hashlib
import json
import runpy
import sys
from pathlib import Path

from PIL import Image

from course_utils import runs
from course_utils.plots import picture
from course_utils.system import folders, ranks
from course_utils.train import session
from course_utils.widgets import panel
from tests.rotation import ALL
from tests.train.training import CountReads, watched_steps

saving = sys.modules["course_utils.runs.save"]


class Enough(Exception):
    """The lesson has trained and shipped a run."""


def digest(module) -> str:
    """A hash of the parameters of a module, bit by bit."""
    parts = [weight.detach().cpu().contiguous().numpy().tobytes() for weight in module.parameters()]
    return hashlib.sha256(b"".join(parts)).hexdigest()[:16]


def follow(trained: list, saved: list) -> None:
    """Make every training call leave an entry in `trained`, every saved run its name in `saved`."""
    result = session.Session.result
    save_run = saving.save_run

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
        if trained and not ALL:
            raise Enough
        return run

    session.Session.result = recorded
    saving.save_run = runs.save_run = save
    saving.profile = lambda: "full"  # `ship` does its work; folders and steps stay those of quick
    panel.Panel.try_all = lambda self: 0
    picture._rendered = lambda fig, dpi: Image.new("L", (100, 100))


def main(folder: Path, lesson: Path) -> None:
    """Run the lesson; leave in `folder` what this rank has trained and saved."""
    trained, saved = [], []
    reads = CountReads()
    follow(trained, saved)
    with (
        watched_steps(reads.__enter__, lambda: reads.__exit__(None, None, None)),
        contextlib.suppress(Enough),
    ):
        runpy.run_path(str(lesson), run_name="__main__")
    left = sorted(path.name for path in folders.runs_dir().iterdir())
    found = {"trained": trained, "saved": saved, "reads": reads.reads, "left": left}
    (folder / f"rank_{ranks.rank()}.json").write_text(json.dumps(found))
    ranks.wait_for_all()  # the temporary folder of runs goes with rank 0


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
