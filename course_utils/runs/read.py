"""Reading runs: by name, with every file's checksum.

    run = cu.restore("06_diffusion", model)          # the shipped weights; own=True: those of this reader

A run is a folder `NAME/` with `card.json`, and where there is something to put into them
`weights.safetensors` (float16), `replay.npz` (arrays `frames` uint8 (T, N, 28, 28) and `steps` (T,)) and
`samples.npz` (array `samples`, uint8 (N, 28, 28)). The card holds the checksum of each file. Shipped runs are
in data/runs, a reader's own where `cu.system.runs_dir()` says.
"""

import hashlib
import io
import json
import time
import warnings
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from torch import nn

from course_utils.runs import weights
from course_utils.runs.card import FORMAT
from course_utils.system import folders

CARD = "card.json"
WEIGHTS = "weights.safetensors"
REPLAY = "replay.npz"
SAMPLES = "samples.npz"

USED: set[str] = set()
"""Names of the folders in data/runs that this process has read: the notebook builder records them to know
what is stale."""


@dataclass(frozen=True)
class Run:
    """A saved run: `name`, `path` (its folder), `card` (dict), `own` (a reader's, not a shipped one)."""

    name: str
    path: Path = field(repr=False)
    card: dict = field(repr=False)

    @property
    def own(self) -> bool:
        """Whether it is a reader's run; in the profile `full` one's own runs are those that ship."""
        return self.path.parent != folders.shipped_runs_dir()

    @property
    def replay(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Sample grids over training: frames uint8 (T, N, 28, 28) and the steps (T,) they belong to; None if
        absent."""
        found = self._arrays(REPLAY, "frames", "steps")
        return None if found is None else (found["frames"], found["steps"])

    @property
    def samples(self) -> np.ndarray | None:
        """Samples, uint8 (N, 28, 28), or None; `card["samples"]["kind"]` says whether draws or decoder
        means."""
        found = self._arrays(SAMPLES, "samples")
        return None if found is None else found["samples"]

    def figure(self, name: str) -> float:
        """Return a figure on the card. Raises KeyError that names those there are."""
        figures = self.card["figures"]
        if name not in figures:
            raise KeyError(
                f"run {self.name!r} has no figure {name!r}; it has: {', '.join(figures) or 'none'}"
            )
        return figures[name]["value"]

    def read(self, name: str) -> bytes:
        """Return the content of one of the run's files after verifying its checksum; RuntimeError if it
        differs."""
        files = self.card["files"]
        if name not in files:
            raise RuntimeError(
                f"Run {self.name!r} holds no {name}; it holds: {', '.join(files) or 'nothing'}."
            )
        for _ in range(2):  # a second look, in case another kernel was just moving its run into this place
            content = _content(self.path / name)
            if content is not None and hashlib.sha256(content).hexdigest() == files[name]:
                return content
            if _read(self.path).card != self.card:
                raise RuntimeError(
                    f"Run {self.name!r} was saved anew since it was loaded here: load it once more."
                )
        what = "is missing" if content is None else "is damaged (its checksum differs from the card's)"
        raise RuntimeError(f"{name} of run {self.name!r} {what}: {self._cure()}.")

    def _arrays(self, name: str, *keys: str) -> dict | None:
        if name not in self.card["files"]:
            return None
        content = self.read(name)
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                return {key: arrays[key] for key in keys}
        except (AttributeError, EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
            raise RuntimeError(
                f"{name} of run {self.name!r} does not hold {' and '.join(keys)} ({error!r}): {self._cure()}."
            ) from None

    def _cure(self) -> str:
        """How to get back a file of this run."""
        return "train it again" if self.own else f"get it back with `git checkout -- data/runs/{self.name}`"


def restore(name: str, *modules, own: bool = False) -> Run:
    """Load the weights of a run into modules, which go to eval mode; returns the run.

    `modules`: those that were saved, in the same order, or a dict name → module (then some may be left out).
    All is verified before the first weight is set. `own`: take the reader's run in place of the shipped one.
    Raises RuntimeError if there is no such run, if a file is damaged, and if the weights do not fit: it names
    each missing or superfluous weight and each shape that differs.
    """
    check_order(name, "cu.restore('06_diffusion', model)")
    run = load(name, own=own)
    if not modules:
        raise ValueError(f"restore needs the modules to fill: cu.restore({name!r}, model).")
    weights.read_into(run.read(WEIGHTS), weights.match(run, modules), f"run {name!r}")
    return run


def check_order(name, example: str) -> None:
    """Raise TypeError if a module stands where the name of the run is expected."""
    if isinstance(name, nn.Module):
        raise TypeError(f"The name of the run comes first, then the modules: {example}.")


def load(name: str, own: bool = False) -> Run:
    """Return a run by name; `own` as in `restore`. Raises RuntimeError that names what there is instead."""
    folders.check_run_name(name)
    return _used(_read(_folder(own) / name))


def available(*names: str, samples: bool = False, own: bool = False) -> list[Run]:
    """Return the shipped runs by name, followed by the reader's if `own`; with `samples` only those that have
    any.

    With `names` only those of them that exist, which may be none: for a lesson that shows a result it makes
    itself. A folder whose card cannot be read is left out with a warning.
    """
    runs = _runs_in(_folder(own=False))
    if own and _folder(own=True) != _folder(own=False):
        runs += _runs_in(_folder(own=True))
    if names:
        runs = [run for run in runs if run.name in names]
    if samples:
        runs = [run for run in runs if run.card.get("samples")]
    return [_used(run) for run in runs]


def _read(path: Path) -> Run:
    """The run in a folder. Raises RuntimeError if there is none or its card cannot be read."""
    content = None
    for pause in (0, 0.05, 0.3):  # another kernel may be moving its run into this place at this very moment
        time.sleep(pause)
        content = _content(path / CARD)
        if content is not None:
            break
    else:
        raise RuntimeError(_no_such_run(path))
    try:
        card = json.loads(content)
        if card["format"] != FORMAT:
            raise ValueError(f"it has format {card['format']}, this version of the course reads {FORMAT}")
        for key, kind in (("files", dict), ("modules", list), ("figures", dict)):
            if not isinstance(card[key], kind):
                raise ValueError(f"{key!r} is {card[key]!r}, not a {kind.__name__}")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise RuntimeError(
            f"The card of run {path.name!r} cannot be read ({error!r}): restore the file or train again."
        ) from None
    return Run(path.name, path, card)


def _content(path: Path) -> bytes | None:
    """The content of a file, or None where there is none. RuntimeError if it cannot be read."""
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:  # a folder in its place, or no permission
        raise RuntimeError(
            f"{path} cannot be read: {error.strerror or error}. Remove it, or restore the run."
        ) from None


def _no_such_run(path: Path) -> str:
    """What to say where a folder holds no run: which there are, and how to make this one."""
    shipped = path.parent == folders.shipped_runs_dir()
    there = ", ".join(run.name for run in _runs_in(path.parent)) or "none yet"
    script = folders.ROOT / "lessons" / f"{path.name}.py"
    lesson = f"lessons/{script.name}" if script.is_file() else "its lesson"
    kind = "shipped run" if shipped else "run of yours"
    profile = "COURSE_PROFILE=full " if shipped else ""
    return f"There is no {kind} {path.name!r} (there are: {there}). Make it: {profile}python {lesson}."


def _used(run: Run) -> Run:
    if not run.own:
        USED.add(run.name)
    return run


def _folder(own: bool) -> Path:
    return folders.runs_dir() if own else folders.shipped_runs_dir()


def _runs_in(folder: Path) -> list[Run]:
    runs = []
    for path in sorted(folder.glob("[!.]*/" + CARD)):
        try:
            runs.append(_read(path.parent))
        except (RuntimeError, ValueError) as error:
            warnings.warn(str(error), stacklevel=3)
    return runs
