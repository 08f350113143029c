"""Runs: a trained model, and what came of it, as one folder with one card.

    cu.save_run("06_diffusion", model, what="…", figures={"nll": (98.3, 0.5)}, history=history, samples=x)
    run = cu.restore("06_diffusion", model)          # the shipped weights; own=True: those of this reader

A run is a folder `NAME/` with `card.json`, and where there is something to put into them `weights.safetensors`
(float16), `replay.npz` (arrays `frames` uint8 (T, N, 28, 28) and `steps` (T,)) and `samples.npz` (array `samples`,
uint8 (N, 28, 28)). The card holds the checksum of each file. Shipped runs are in data/runs, a reader's own where
`runtime.runs_dir()` says.
"""

import contextlib
import hashlib
import io
import json
import shutil
import tempfile
import time
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from course_utils import checkpoint, disk, distributed, runtime, weights
from course_utils.card import make_card
from course_utils.guards import check

WEIGHTS, REPLAY, SAMPLES, CARD = "weights.safetensors", "replay.npz", "samples.npz", "card.json"
MOST_SAMPLES = 5_000
KINDS = ("draws", "decoder means")
PAUSES = (0, 0.02, 0.1, 0.3)
"""Seconds before each attempt to read a run: another kernel may be replacing it at this very moment."""
USED: set[str] = set()
"""Names of the shipped runs that this process has read: the notebook builder records them to know what is stale."""


@dataclass(frozen=True)
class Run:
    """A saved run: `name`, `path` (its folder), `card` (dict), `own` (a reader's, not a shipped one)."""

    name: str
    path: Path = field(repr=False)
    card: dict = field(repr=False)
    own: bool = False

    @property
    def replay(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Sample grids over training: frames uint8 (T, N, 28, 28) and the steps (T,) they belong to; None if absent."""
        found = self._arrays(REPLAY)
        return found and (found["frames"], found["steps"])

    @property
    def samples(self) -> np.ndarray | None:
        """Samples, uint8 (N, 28, 28), or None; `card["samples"]["kind"]` says whether draws or decoder means."""
        found = self._arrays(SAMPLES)
        return found and found["samples"]

    def figure(self, name: str) -> float:
        """Return a figure on the card. Raises KeyError that names those there are."""
        if name not in self.card["figures"]:
            raise KeyError(
                f"run {self.name!r} has no figure {name!r}; it has: {', '.join(self.card['figures']) or 'none'}"
            )
        return self.card["figures"][name]["value"]

    def read(self, name: str) -> bytes:
        """Return the content of one of the run's files after verifying its checksum; RuntimeError if it differs."""
        path = self.path / name
        wanted = self.card["files"].get(name)
        if wanted is None:
            raise RuntimeError(
                f"Run {self.name!r} holds no {name}; it holds: {', '.join(self.card['files']) or 'nothing'}."
            )
        for pause in PAUSES:
            time.sleep(pause)
            content = None
            with contextlib.suppress(FileNotFoundError):  # another kernel may move the folder away between two lines
                content = path.read_bytes()
            if content is not None and hashlib.sha256(content).hexdigest() == wanted:
                return content
            # Asked after each attempt: once at the end, two kernels that save in turn would look like damage.
            if _read(self.name, self.own).card["files"] != self.card["files"]:
                raise RuntimeError(f"Run {self.name!r} was saved anew since it was loaded here: load it once more.")
        what = "is missing" if content is None else "is damaged (its checksum differs from the card's)"
        cure = "train it again" if self.own else f"get it back with `git checkout -- data/runs/{self.name}`"
        raise RuntimeError(f"{name} of run {self.name!r} {what}: {cure}.")

    def _arrays(self, name: str) -> dict | None:
        if name not in self.card["files"]:
            return None
        with np.load(io.BytesIO(self.read(name)), allow_pickle=False) as arrays:
            return {key: arrays[key] for key in arrays.files}


def save_run(
    name: str, modules=None, *, what: str = "", figures: dict | None = None, history=None, samples=None,
    sample_kind: str = "draws", replay=None, lesson: str | None = None,
) -> Run:  # fmt: skip
    """Save a run, replacing an older one of this name at once; returns it. Under torchrun rank 0 saves.

    `modules`: a module or a dict name → module. `what`: one sentence. `figures`: name → (value, tolerance). `history`:
    what training returned (steps, seconds and seed go to the card, preview images become the replay unless `replay`
    gives (frames, steps)). `samples`: uint8 (N, 28, 28) or (N, 1, 28, 28), N ≤ 5,000; "draws" or "decoder means".
    `lesson`: the lesson's slug, by default the one that `name` begins with. Raises ValueError for what does not fit,
    disk.CannotWrite if the disk is full or the folder read-only; an older run stays whole then.
    """
    check(name, {})
    named = weights.name_modules(modules)
    if replay is None and history is not None and _is_replay(history.frames):
        replay = np.stack(history.frames), np.array(history.frame_steps)
    arrays = {SAMPLES: _check_samples(samples, sample_kind), REPLAY: _check_replay(replay)}
    card = make_card(name, what=what, figures=figures or {}, history=history, modules=named, lesson=lesson)
    card["samples"] = None if samples is None else {"kind": sample_kind, "n": len(arrays[SAMPLES]["samples"])}
    folder = runtime.runs_dir()
    if runtime.rank() == 0:
        with disk.explained(folder / name, "The weights are in the model still, and an older run stays as it is."):
            _put(folder / name, card, named, {key: value for key, value in arrays.items() if value is not None})
    distributed.wait_for_all()
    if runtime.rank() != 0:
        return load(name, own=True)
    return Run(name, folder / name, card, own=folder != _folder(False))


def _put(target: Path, card: dict, named: dict, arrays: dict) -> None:
    """Write a run beside its place and put it there when it is whole."""
    target.parent.mkdir(parents=True, exist_ok=True)
    disk.sweep(target.parent)
    temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent))
    try:
        _write(temporary, card, named, arrays)
        disk.swap(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write(folder: Path, card: dict, named: dict, arrays: dict) -> None:
    """Fill the folder of a run; the card comes last, with the checksums of the other files."""
    folder.chmod(0o755)
    if named:
        with disk.atomic(folder / WEIGHTS) as path:
            weights.write(path, named)
    for name, content in arrays.items():
        with disk.atomic(folder / name) as path, open(path, "wb") as file:
            np.savez_compressed(file, **content)
    card["files"] = {path.name: _sha256(path) for path in sorted(folder.iterdir())}
    with disk.atomic(folder / CARD) as path:
        path.write_text(json.dumps(card, indent=1, allow_nan=False, ensure_ascii=False) + "\n", encoding="utf-8")


def restore(name: str, *modules, own: bool = False) -> Run:
    """Load the weights of a run into modules, which go to eval mode; returns the run.

    `modules`: those that were saved, in the same order, or a dict name → module (then some may be left out). All is
    verified before the first weight is set. `own`: take the reader's run in place of the shipped one.
    Raises RuntimeError if there is no such run, if a file is damaged, and if the weights do not fit: it names each
    missing or superfluous weight and each shape that differs.
    """
    run = load(name, own=own)
    if not modules:
        raise ValueError(f"restore needs the modules to fill: cu.restore({name!r}, model).")
    weights.read_into(run.read(WEIGHTS), weights.match(run, modules), f"run {name!r}")
    return run


def load(name: str, own: bool = False) -> Run:
    """Return a run by name; `own` as in `restore`. Raises RuntimeError that names what there is instead."""
    check(name, {})
    return _used(_read(name, own))


def _read(name: str, own: bool) -> Run:
    folder = _folder(own)
    path, content = folder / name, _card_bytes(folder / name / CARD)
    if content is None:
        there = ", ".join(run.name for run in _runs_in(folder, own)) or "none yet"
        kind = "run of yours" if own else "shipped run"
        lesson = f"lessons/{name}.py" if (runtime.ROOT / "lessons" / f"{name}.py").is_file() else "its lesson"
        profile = "" if own else "COURSE_PROFILE=full "
        raise RuntimeError(f"There is no {kind} {name!r} (there are: {there}). Make it: {profile}python {lesson}.")
    try:
        card = json.loads(content)
        if card["format"] != checkpoint.FORMAT or not isinstance(card["files"], dict):
            raise ValueError(f"it has format {card['format']}, this version of the course reads {checkpoint.FORMAT}")
    except (ValueError, KeyError, TypeError) as error:
        raise RuntimeError(
            f"The card of run {name!r} cannot be read ({error!r}): restore the file or train again."
        ) from None
    return Run(name, path, card, own and folder != _folder(False))  # in `full` one's own runs are those that ship


def _card_bytes(path: Path) -> bytes | None:
    """The content of a card, or None where there is no run; what a killed process moved aside is put back first."""
    for pause in PAUSES:
        time.sleep(pause)
        with contextlib.suppress(FileNotFoundError):
            return path.read_bytes()
        disk.rescue(path.parent.parent)
    return None


def _used(run: Run) -> Run:
    if not run.own:
        USED.add(run.name)
    return run


def available(*names: str, samples: bool = False, own: bool = False) -> list[Run]:
    """Return the shipped runs by name, followed by the reader's if `own`; with `samples` only those that have any.

    With `names` only those of them that exist, which may be none: for a lesson that shows a result it makes itself.
    A folder whose card cannot be read is left out with a warning.
    """
    runs = _runs_in(_folder(False), False)
    if own and _folder(True) != _folder(False):
        runs += _runs_in(_folder(True), True)
    wanted = [run for run in runs if (not names or run.name in names) and (not samples or run.card.get("samples"))]
    return [_used(run) for run in wanted]


def forget(name: str) -> bool:
    """Delete the resume state of a training call, so that it starts over; return whether there was one."""
    check(name, {})
    path = checkpoint.resume_path(name)
    there = path.exists()
    if runtime.rank() == 0:
        path.unlink(missing_ok=True)
        print(f"{name}: " + ("forgotten, training starts over." if there else "nothing was kept, nothing to forget."))
    distributed.wait_for_all()
    return there


def _folder(own: bool) -> Path:
    return runtime.runs_dir() if own else runtime.shipped_runs_dir()


def _runs_in(folder: Path, own: bool) -> list[Run]:
    runs = []
    for path in sorted(folder.glob("[!.]*/" + CARD)):
        try:
            runs.append(_read(path.parent.name, own))
        except (RuntimeError, ValueError) as error:
            warnings.warn(str(error), stacklevel=3)
    return runs


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_replay(frames: list) -> bool:
    return bool(frames) and len({frame.shape for frame in frames}) == 1 and frames[0].shape[1:] == (28, 28)


def _array(x) -> np.ndarray:
    return x.detach().cpu().numpy() if isinstance(x, torch.Tensor) else np.asarray(x)


def _check_samples(samples, kind: str) -> dict | None:
    if samples is None:
        return None
    if kind not in KINDS:
        raise ValueError(f"sample_kind is 'draws' or 'decoder means', not {kind!r}: they are judged differently.")
    x = _array(samples)
    x = x[:, 0] if x.ndim == 4 and x.shape[1] == 1 else x
    if x.ndim != 3 or x.shape[1:] != (28, 28) or x.dtype != np.uint8 or not 0 < len(x) <= MOST_SAMPLES:
        raise ValueError(
            f"samples must be uint8 (N, 28, 28), N up to {MOST_SAMPLES:,} (use cu.to_uint8); got {x.dtype} {x.shape}."
        )
    return {"samples": x}


def _check_replay(replay) -> dict | None:
    if replay is None:
        return None
    frames, steps = map(_array, replay)
    if frames.ndim != 4 or frames.shape[2:] != (28, 28) or frames.dtype != np.uint8 or steps.shape != frames.shape[:1]:
        raise ValueError(
            "replay must be (frames, steps): uint8 (T, N, 28, 28) and (T,); "
            f"got {frames.dtype} {frames.shape} and {steps.shape}."
        )
    return {"frames": frames, "steps": steps}
