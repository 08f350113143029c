"""How a model enters the arena: a lesson says how to draw from it, and what that costs is measured and kept.

    cu.enter("05_gan", draw, step=step, numbers=G)     # in the lesson that made the model
    for entry in cu.arena.entries(): ...               # in lesson 07: what entered, shipped and one's own

An entry is a small file, NAME.json, in data/runs/arena (shipped: `python tasks.py arena` times all of them
one after the other) or in runs/arena (a reader's own).
"""

import contextlib
import copy
import dataclasses
import functools
import json
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from course_utils.arena import clock
from course_utils.data import pixels
from course_utils.runs import read
from course_utils.runs.card import device_name
from course_utils.system import disk, folders, machine, randomness, ranks
from course_utils.system.profile import profile

FOLDER = "arena"
CAP = 1.0
"""Seconds for timing the drawing, and as many for the step: a reader waits about two."""

SHIPPED_CAP = 20.0
"""The same where shipped entries are timed."""

SHIPPING = False
"""Whether entries are written for the course; only tools/arena.py changes this."""


@dataclasses.dataclass(frozen=True)
class Entry:
    """What a model costs. Seconds are CPU seconds of one thread, or the clock's where a GPU works.

    `seconds`: for drawing 1,000 images; `step_seconds`: for a training step; `fit_seconds`: for what is done
    once before drawing; `steps`: how many the shipped run took; `numbers`: how many must be stored to draw;
    `yardstick`: seconds of `clock.yardstick` at that moment; `device`: where; `sets`: how independent sets of
    1,000 images scatter ("n": how many sets; "mean", "spread": mean and standard deviation of their Fréchet
    distances; "kid", "kid_spread": the same of KID); `own`: entered by this reader. None: not known.
    """

    name: str
    seconds: float | None = None
    step_seconds: float | None = None
    fit_seconds: float = 0.0
    steps: int | None = None
    numbers: int | None = None
    yardstick: float | None = None
    device: str | None = None
    sets: dict | None = None
    own: bool = False

    def scale(self, yardstick: float) -> float | None:
        """Return the factor from this entry's seconds to those of a machine with `yardstick`, None if this
        entry has none."""
        return None if self.yardstick is None else yardstick / self.yardstick

    def _ipython_display_(self) -> None:
        """Show nothing below a cell that ends in `cu.enter(…)`: it has printed its line."""


def enter(
    name: str,
    draw: Callable[[int], Tensor],
    *,
    step: Callable[[], object] | None = None,
    steps: int | None = None,
    numbers: nn.Module | int | None = None,
    fit: Callable[[], object] | None = None,
    times: int = 1,
) -> Entry:
    """Enter a model into the arena of lesson 07: time it on one thread, keep the entry, print one line.

    `draw(n)` → n images (n, 28, 28) or (n, 1, 28, 28), in [0, 1] or uint8; `step()`: one training step, on
    a copy (`cu.arena.training_step` makes one); `steps`: how many the shipped run took, by default what its
    card says; `numbers`: how many must be stored to draw, a module or a number; `fit()`: what has to be done
    once before drawing; `times`: how often the seconds of `draw` count, 20 where it takes a twentieth of the
    passes of a slow sampler. Global random generators are left as they were. In `quick` everything is called
    once and nothing timed; in `full` and under torchrun nothing is done: `tasks.py arena` does the timing.

    Returns the entry. Raises ValueError if `draw` gives something else than images.
    """
    folders.check_run_name(name)
    if profile() == "full" or ranks.world_size() > 1:
        return Entry(name)
    images = functools.partial(_images, name, draw)
    with randomness.forked(), clock.one_thread():
        if profile() == "quick":
            entry = Entry(name)
            _try_once(images, step, fit)
        else:
            entry = _timed(name, images, step, fit, SHIPPED_CAP if SHIPPING else CAP)
    entry = dataclasses.replace(
        entry,
        seconds=entry.seconds and _rounded(times * entry.seconds),
        steps=_steps_of(name) if steps is None else steps,
        numbers=_count(numbers),
        device=device_name() if machine.device().type != "cpu" else "CPU, 1 thread",
        own=not SHIPPING,
    )
    keep(entry)
    print(_line(entry))
    return entry


def training_step(model: nn.Module, loss: Callable, batch: Tensor, lr: float = 1e-5) -> Callable[[], None]:
    """Return a function that takes one training step with Adam on a copy of `model`, as `cu.fit` takes them.

    `loss(model, batch)` → a scalar, or a dict with one under "loss".
    """
    learner = copy.deepcopy(model).requires_grad_(True).train()
    optimiser = torch.optim.Adam(learner.parameters(), lr, fused=True)

    def step() -> None:
        optimiser.zero_grad()
        value = loss(learner, batch)
        if isinstance(value, dict):
            value = value["loss"]
        value.backward()
        optimiser.step()

    return step


def entries() -> list[Entry]:
    """Return what entered: the shipped entries by name, then the reader's own. A file that cannot be read is
    left out with a warning."""
    read.USED.add(FOLDER)
    shipped = folders.shipped_runs_dir()
    own = folders.runs_dir()
    found = _entries_in(shipped, own=False)
    return found if own == shipped else found + _entries_in(own, own=True)


def keep(entry: Entry) -> Path:
    """Write an entry to its place: the reader's, or that of the shipped ones. Raises disk.CannotWrite."""
    folder = folders.runs_dir() if entry.own else folders.shipped_runs_dir()
    path = folder / FOLDER / f"{entry.name}.json"
    content = dataclasses.asdict(entry)
    del content["own"]
    with disk.explained(path, "Only the entry is lost."), disk.atomic(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return path


def _entries_in(folder: Path, own: bool) -> list[Entry]:
    found = []
    for path in sorted((folder / FOLDER).glob("[!.]*.json")):
        try:
            found.append(Entry(**json.loads(path.read_text(encoding="utf-8")), own=own))
        except (ValueError, TypeError) as error:
            warnings.warn(f"The entry {path} cannot be read ({error}): enter once more.", stacklevel=3)
    return found


def _try_once(images: Callable, step: Callable | None, fit: Callable | None) -> None:
    """Prove that everything works: one call each."""
    if fit:
        fit()
    images(2)
    if step:
        step()


def _timed(name: str, images: Callable, step: Callable | None, fit: Callable | None, cap: float) -> Entry:
    """The entry with what was measured. `cap`: seconds for the drawing, and as many for the step."""

    def some_steps(n: int) -> None:
        for _ in range(n):
            step()

    fit_seconds = clock.seconds(fit) if fit else 0.0
    drawing = clock.per_unit(images, 2_000, cap)
    stepping = clock.per_unit(some_steps, 100, cap, least=1) if step else None
    return Entry(
        name,
        seconds=_rounded(1_000 * drawing),
        step_seconds=_rounded(stepping),
        fit_seconds=_rounded(fit_seconds),
        yardstick=_rounded(clock.yardstick()),
    )


def _rounded(value: float | None) -> float | None:
    """Four significant digits: more are noise."""
    return None if value is None else float(f"{value:.4g}")


def _images(name: str, draw: Callable[[int], Tensor], n: int) -> Tensor:
    """n images of `draw` as uint8 (n, 28, 28) on the CPU; ValueError if they are none."""
    with torch.no_grad():
        x = pixels.to_uint8(draw(n)).cpu()
    if x.shape == (n, 1, 28, 28):
        x = x[:, 0]
    if x.shape != (n, 28, 28):
        raise ValueError(
            f"{name}: draw({n}) must give images ({n}, 28, 28) or ({n}, 1, 28, 28), it gave {tuple(x.shape)}."
        )
    return x


def _steps_of(name: str) -> int | None:
    """How many steps the card of the shipped run says, None if there is no such run."""
    with contextlib.suppress(RuntimeError):
        return read.load(name).card["steps"]
    return None


def _count(numbers: nn.Module | int | None) -> int | None:
    if isinstance(numbers, nn.Module):
        return sum(weight.numel() for weight in numbers.parameters())
    return numbers


def _line(entry: Entry) -> str:
    """What the reader is told."""
    if entry.seconds is None:
        return f"{entry.name} enters the arena (nothing is timed in the profile quick)."
    step = f", {_time(entry.step_seconds)} a training step" if entry.step_seconds else ""
    where = "" if machine.device().type != "cpu" else ", on one thread"
    return f"{entry.name} enters the arena: {_time(entry.seconds)} per 1,000 images{step}{where}."


def _time(seconds: float) -> str:
    """Seconds as text with two significant digits: 1,900 s, 0.19 s, 73 ms."""
    if seconds >= 0.1:
        digits = float(f"{seconds:.2g}")
        return f"{digits:,.0f} s" if digits >= 10 else f"{digits:g} s"
    return f"{float(f'{1_000 * seconds:.2g}'):g} ms"
