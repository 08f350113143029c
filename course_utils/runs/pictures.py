"""Colour pictures that were made along a training: kept beside the other files of a run.

    keep_pictures(run, frames, steps)             # in the author's cell, after cu.ship
    frames, steps = pictures(cu.runs.load("13_grown"))

A replay (`Run.replay`) holds digits; this holds colour, at any size, in `pictures.npz` of the run's folder.
"""

import io
import json

import numpy as np

from course_utils.data.pixels import to_numpy
from course_utils.runs.read import CARD, Run, load
from course_utils.runs.save import checksum
from course_utils.system import disk

PICTURES = "pictures.npz"


def keep_pictures(run: Run, frames, steps) -> Run:
    """Add pictures to a saved run, and their checksum to its card; returns the run as it then is.

    `frames`: uint8 (T, N, 3, H, W); `steps`: the T steps they belong to. Raises ValueError for anything else,
    disk.CannotWrite where the folder cannot be written.
    """
    x, at = to_numpy(frames), to_numpy(steps)
    if x.ndim != 5 or x.shape[2] != 3 or x.dtype != np.uint8 or at.shape != x.shape[:1]:
        raise ValueError(
            f"pictures are uint8 (T, N, 3, H, W) with T steps; got {x.dtype} {x.shape} and {at.shape}."
        )
    with disk.explained(run.path, "The run itself stays as it is."):
        with disk.atomic(run.path / PICTURES) as path, open(path, "wb") as file:
            np.savez_compressed(file, frames=x, steps=at)
        card = run.card | {"files": run.card["files"] | {PICTURES: checksum(run.path / PICTURES)}}
        with disk.atomic(run.path / CARD) as path:
            text = json.dumps(card, indent=1, allow_nan=False, ensure_ascii=False)
            path.write_text(text + "\n", encoding="utf-8")
    return load(run.name, own=run.own)


def pictures(run: Run) -> tuple[np.ndarray, np.ndarray]:
    """Return frames uint8 (T, N, 3, H, W) and their steps (T,). Raises RuntimeError if the run holds none, or a
    damaged file."""
    with np.load(io.BytesIO(run.read(PICTURES)), allow_pickle=False) as arrays:
        return arrays["frames"], arrays["steps"]
