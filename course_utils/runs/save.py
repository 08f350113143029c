"""Saving a run: weights, samples, replay, and last the card with their checksums."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np

from course_utils.data import pixels
from course_utils.runs import weights
from course_utils.runs.card import make_card
from course_utils.runs.read import CARD, REPLAY, SAMPLES, WEIGHTS, Run, check_order, load
from course_utils.system import disk, folders, ranks
from course_utils.system.profile import profile

MOST_SAMPLES = 5_000
KINDS = ("draws", "decoder means")


def save_run(
    name: str,
    modules=None,
    *,
    what: str = "",
    figures: dict | None = None,
    history=None,
    samples=None,
    sample_kind: str = "draws",
    replay=None,
    lesson: str | None = None,
) -> Run:
    """Save a run, replacing an older one of this name at once; returns it. Under torchrun rank 0 saves.

    `modules`: a module or a dict name → module. `what`: one sentence. `figures`: name → (value, tolerance).
    `history`: what training returned (steps, seconds and seed go to the card, preview images become the
    replay unless `replay` gives (frames, steps)). `samples`: uint8 (N, 28, 28) or (N, 1, 28, 28), N ≤ 5,000;
    "draws" or "decoder means". `lesson`: the lesson's slug, by default the one that `name` begins with.
    Raises ValueError for what does not fit, disk.CannotWrite if the disk is full or the folder read-only; an
    older run stays whole then.
    """
    check_order(name, "cu.save_run('mine', model)")
    folders.check_run_name(name, folders.runs_dir())
    if history is not None and not hasattr(history, "frames"):
        raise TypeError(f"history is what cu.fit or cu.loop returns, not a {type(history).__name__}.")
    named = weights.name_modules(modules)
    card = make_card(name, what=what, figures=figures or {}, history=history, modules=named, lesson=lesson)
    arrays = {}
    if samples is not None:
        arrays[SAMPLES] = _checked_samples(samples, sample_kind)
    if replay is None:
        replay = _replay_of(history)
    if replay is not None:
        arrays[REPLAY] = _checked_replay(replay)
    card["samples"] = None if samples is None else {"kind": sample_kind, "n": len(arrays[SAMPLES]["samples"])}
    target = folders.runs_dir() / name
    if ranks.rank() == 0:
        kept = "The weights are in the model still, and an older run stays as it is."
        with disk.explained(target, kept):
            _put(target, card, named, arrays)
    ranks.wait_for_all()
    return load(name, own=True) if ranks.rank() else Run(name, target, card)


def ship(
    name: str,
    modules=None,
    history=None,
    *,
    what: str,
    figures=None,
    samples=None,
    sample_kind: str = "draws",
    replay=None,
    lesson: str | None = None,
) -> Run | None:
    """Save a shipped run in the profile `full`; do nothing in any other. A lesson says it in an `author`
    cell.

    Arguments as in `save_run`. `figures`, `samples` and `replay` may be functions without arguments, which
    are called in `full` only: readers never wait for what a card needs. Returns the run, or None where
    nothing was saved.
    """
    if profile() != "full":
        return None
    return save_run(
        name,
        modules,
        what=what,
        figures=_now(figures),
        history=history,
        samples=_now(samples),
        sample_kind=sample_kind,
        replay=_now(replay),
        lesson=lesson,
    )


def _now(given):
    """The value of what may be given as a function without arguments."""
    return given() if callable(given) else given


def _put(target: Path, card: dict, named: dict, arrays: dict) -> None:
    """Write a run beside its place and move it there when it is whole."""
    disk.sweep(target.parent)
    new = disk.temporary_folder(target)
    try:
        _write(new, card, named, arrays)
        disk.replace_folder(new, target)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _write(folder: Path, card: dict, named: dict, arrays: dict) -> None:
    """Fill the folder of a run; the card comes last, with the checksums of the other files."""
    disk.opened_to_others(folder)
    if named:
        with disk.atomic(folder / WEIGHTS) as path:
            weights.write(path, named)
    for name, content in arrays.items():
        with disk.atomic(folder / name) as path, open(path, "wb") as file:
            np.savez_compressed(file, **content)
    card["files"] = {path.name: checksum(path) for path in sorted(folder.iterdir())}
    text = json.dumps(card, indent=1, allow_nan=False, ensure_ascii=False)
    with disk.atomic(folder / CARD) as path:
        path.write_text(text + "\n", encoding="utf-8")


def checksum(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _replay_of(history) -> tuple[np.ndarray, np.ndarray] | None:
    """The preview images of a training as (frames, steps), or None if there are none of digits' size."""
    frames = [] if history is None else history.frames
    shapes = {frame.shape for frame in frames}
    if len(shapes) != 1 or frames[0].shape[1:] != (28, 28):
        return None
    return np.stack(frames), np.array(history.frame_steps)


def _checked_samples(samples, kind: str) -> dict[str, np.ndarray]:
    if kind not in KINDS:
        raise ValueError(
            f"sample_kind is 'draws' or 'decoder means', not {kind!r}: they are judged differently."
        )
    x = pixels.to_numpy(samples)
    if x.ndim == 4 and x.shape[1] == 1:
        x = x[:, 0]
    if x.ndim != 3 or x.shape[1:] != (28, 28) or x.dtype != np.uint8 or not 0 < len(x) <= MOST_SAMPLES:
        raise ValueError(
            f"samples must be uint8 (N, 28, 28), N up to {MOST_SAMPLES:,} (use cu.to_uint8); "
            f"got {x.dtype} {x.shape}."
        )
    return {"samples": x}


def _checked_replay(replay) -> dict[str, np.ndarray]:
    frames, steps = map(pixels.to_numpy, replay)
    fits = frames.ndim == 4 and frames.shape[2:] == (28, 28) and steps.shape == frames.shape[:1]
    if not fits or frames.dtype != np.uint8:
        raise ValueError(
            "replay must be (frames, steps): uint8 (T, N, 28, 28) and (T,); "
            f"got {frames.dtype} {frames.shape} and {steps.shape}."
        )
    return {"frames": frames, "steps": steps}
