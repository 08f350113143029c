"""Colour pictures beside a run: kept with a checksum, read back, refused and reported when they do not fit."""

import numpy as np
import pytest

import course_utils as cu
from course_utils import runs
from course_utils.runs.pictures import PICTURES, keep_pictures, pictures

FRAMES = np.random.default_rng(0).integers(0, 256, (2, 5, 3, 8, 16), dtype=np.uint8)


def test_pictures_come_back_and_the_run_stays_whole():
    run = cu.save_run("colour", what="a test", figures={"a": (1.0, 0.5)})
    with pytest.raises(RuntimeError, match=r"holds no pictures\.npz"):
        pictures(run)
    kept = keep_pictures(run, FRAMES, [0, 10])
    frames, steps = pictures(runs.load("colour", own=True))
    assert (frames == FRAMES).all() and list(steps) == [0, 10]
    assert kept.card["figures"] == run.card["figures"] and kept.card["what"] == "a test"


def test_pictures_can_be_replaced():
    run = keep_pictures(cu.save_run("colour"), FRAMES, [0, 10])
    frames, steps = pictures(keep_pictures(run, FRAMES[:1], [3]))
    assert frames.shape[0] == 1 and list(steps) == [3]


def test_what_are_no_pictures_is_refused():
    run = cu.save_run("colour")
    for frames, steps in (
        (FRAMES[:, :, :1], [0, 10]),
        (FRAMES, [0]),
        (FRAMES / 255, [0, 10]),
        (FRAMES[0], [0]),
    ):
        with pytest.raises(ValueError, match=r"uint8 \(T, N, 3, H, W\)"):
            keep_pictures(run, frames, steps)
    assert PICTURES not in runs.load("colour", own=True).card["files"]


def test_a_damaged_file_is_reported():
    run = keep_pictures(cu.save_run("colour"), FRAMES, [0, 10])
    path = run.path / PICTURES
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(RuntimeError, match=r"pictures\.npz .* is damaged"):
        pictures(run)
