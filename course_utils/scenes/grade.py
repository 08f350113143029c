"""Reading pictures back to scenes, and grading them field by field.

    read = read_scenes(pictures, classify)        # a list of scenes, or None
    grade(asked, read[0])                         # {"number": True, "kind": False, …, "all": False}

A picture is cut where lines of it are empty. Size, colour and relation of the parts are measured; only the kind
needs a network: `classify` takes crops (m, 1, 16, 16) in [0, 1] and returns numbers of `KINDS` (m,).

Pictures are uint8, or floats in [0, 1]: what is outside is clipped, and what is no number is black. They may be on
any device.
"""

import itertools
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils.data.split import as_tensor
from course_utils.scenes.draw import EXTENT, INKED, RGB
from course_utils.scenes.scene import COLOURS, KINDS, RELATIONS, Scene, Thing

LEAST = 6
"""Parts with fewer pixels are specks."""

LONGEST = 2 * EXTENT["small"]
"""A part of this length, in pixels, is no thing: two small ones, end to end, are as long."""

LONGEST_SMALL = 10
"""Longest side of a small thing in pixels: 9, and one for a soft edge. (A big star has 12.)"""

CROP = 16
"""Side of a crop, in pixels."""

FIELDS = ("number", "kind", "colour", "size", "relation")


def _floats(pictures: Tensor) -> Tensor:
    """Pictures (n, 3, h, w), uint8 or floats, as float32 in [0, 1] on the CPU. ValueError for anything else."""
    pictures = as_tensor(pictures)
    if pictures.ndim != 4 or pictures.shape[1] != 3:
        raise ValueError(f"pictures must be (n, 3, h, w), not {tuple(pictures.shape)}.")
    pictures = pictures.detach().cpu()
    if pictures.dtype == torch.uint8:
        return pictures.float() / 255
    if not pictures.is_floating_point():
        raise ValueError(f"pictures must be uint8, or floats in [0, 1], not {pictures.dtype}.")
    return pictures.float().nan_to_num(0).clamp(0, 1)


def _runs(filled: Tensor) -> list[tuple[int, int]]:
    """The stretches of True in a row of booleans, as (start, end)."""
    padded = F.pad(filled.int(), (1, 1))
    steps = padded.diff()
    starts, ends = (steps == 1).nonzero()[:, 0].tolist(), (steps == -1).nonzero()[:, 0].tolist()
    return list(zip(starts, ends, strict=True))


def parts(picture: Tensor) -> list[tuple[int, int, int, int]]:
    """Return the boxes (top, bottom, left, right), in pixels, of what is separated by empty rows or columns.

    `picture`: (3, h, w), uint8 or floats in [0, 1]. The widest gap is cut first; then each half is looked at in the
    same way. Specks of fewer than 6 pixels are left out. Of two parts, the lower or right one comes first. Raises
    ValueError for another shape or type.
    """
    return _parts(_floats(as_tensor(picture)[None])[0])


def _parts(picture: Tensor) -> list[tuple[int, int, int, int]]:
    ink = picture.amax(0) > INKED
    found, waiting = [], [(0, ink.shape[0], 0, ink.shape[1])]
    while waiting:
        top, bottom, left, right = waiting.pop()
        piece = ink[top:bottom, left:right]
        if piece.sum() < LEAST:
            continue
        rows, columns = _runs(piece.any(1)), _runs(piece.any(0))
        gaps = [
            (after[0] - before[1], axis, before[1])
            for axis, runs in enumerate((rows, columns))
            for before, after in zip(runs[:-1], runs[1:], strict=True)
        ]
        if not gaps:
            found.append((top + rows[0][0], top + rows[0][1], left + columns[0][0], left + columns[0][1]))
            continue
        _, axis, at = max(gaps)
        if axis == 0:
            waiting += [(top, top + at, left, right), (top + at, bottom, left, right)]
        else:
            waiting += [(top, bottom, left, left + at), (top, bottom, left + at, right)]
    return found


def _crop(picture: Tensor, box: tuple[int, int, int, int]) -> Tensor:
    """A part in grey, its longer side 16, in the middle of (1, 16, 16)."""
    top, bottom, left, right = box
    grey = picture[:, top:bottom, left:right].amax(0)
    grey = grey / grey.max()
    scale = CROP / max(grey.shape)
    size = [max(1, round(side * scale)) for side in grey.shape]
    grey = F.interpolate(grey[None, None], size, mode="bilinear", align_corners=False)[0, 0]
    out = torch.zeros(1, CROP, CROP)
    top, left = ((CROP - side) // 2 for side in size)
    out[0, top : top + size[0], left : left + size[1]] = grey
    return out


def _colour(picture: Tensor, box: tuple[int, int, int, int]) -> str:
    """The nearest of the seven colours to the mean of a part, scaled so that its brightest channel is 1."""
    top, bottom, left, right = box
    piece = picture[:, top:bottom, left:right]
    weight = piece.amax(0) > INKED
    mean = piece[:, weight].mean(1)
    mean = mean / mean.max()
    corners = torch.tensor([RGB[name] for name in COLOURS], dtype=mean.dtype)
    return COLOURS[int((corners - mean).square().sum(1).argmin())]


def crops(pictures: Tensor) -> tuple[Tensor, list[list[tuple[int, int, int, int]]]]:
    """Return all parts of pictures (n, 3, h, w; uint8, or floats in [0, 1]) as grey crops, float32 (m, 1, 16, 16) in
    [0, 1] on the CPU, picture by picture, and the boxes of each picture in the same order.

    Raises ValueError for pictures of another shape or type.
    """
    return _crops(_floats(pictures))


def _crops(pictures: Tensor) -> tuple[Tensor, list[list[tuple[int, int, int, int]]]]:
    boxes = [_parts(picture) for picture in pictures]
    cut = [_crop(picture, box) for picture, its in zip(pictures, boxes, strict=True) for box in its]
    return (torch.stack(cut) if cut else torch.zeros(0, 1, CROP, CROP)), boxes


def _kinds(cut: Tensor, classify: Callable[[Tensor], Tensor]) -> list[str]:
    """The kinds of crops (m, 1, 16, 16). ValueError for numbers that are none of kinds."""
    if not len(cut):
        return []
    numbers = as_tensor(classify(cut))
    if numbers.shape != (len(cut),) or numbers.is_floating_point():
        raise ValueError(
            f"classify must return a whole number for each crop, ({len(cut)},), "
            f"not {numbers.dtype} {tuple(numbers.shape)}; of logits, that is argmax(1)."
        )
    if not 0 <= numbers.min() <= numbers.max() < len(KINDS):
        raise ValueError(f"classify must return numbers from 0 to {len(KINDS) - 1}, those of KINDS.")
    return [KINDS[number] for number in numbers.tolist()]


def read_scenes(pictures: Tensor, classify: Callable[[Tensor], Tensor]) -> list[Scene | None]:
    """Return what pictures show: scenes, or None where there is nothing, more than two things, or one too long.

    `pictures`: (n, 3, 32, 32), uint8 or floats in [0, 1]; `classify`: crops, float32 (m, 1, 16, 16) → numbers of
    kinds, (m,), called once for all pictures, and not at all if they are empty. A side of 18 pixels is too long for
    a thing: two have run together there, or it is noise. Raises ValueError for pictures or numbers of another shape
    or type.
    """
    pictures = _floats(pictures)
    cut, boxes = _crops(pictures)
    kinds = iter(_kinds(cut, classify))
    scenes = []
    for picture, its in zip(pictures, boxes, strict=True):
        names = list(itertools.islice(kinds, len(its)))
        too_long = any(max(bottom - top, right - left) >= LONGEST for top, bottom, left, right in its)
        if len(its) not in (1, 2) or too_long:
            scenes.append(None)
            continue
        things = []
        for (top, bottom, left, right), kind in zip(its, names, strict=True):
            size = "big" if max(bottom - top, right - left) > LONGEST_SMALL else "small"
            things.append(Thing(size, _colour(picture, (top, bottom, left, right)), kind))
        if len(its) == 1:
            scenes.append(Scene(tuple(things)))
            continue
        (t0, b0, l0, r0), (t1, b1, l1, r1) = its
        down, across = (t1 + b1 - t0 - b0), (l1 + r1 - l0 - r0)
        relation = RELATIONS[0] if abs(down) >= abs(across) else RELATIONS[1]
        if (down if relation == "above" else across) < 0:
            things.reverse()
        scenes.append(Scene(tuple(things), relation))
    return scenes


def labelled_crops(scenes: list[Scene], pictures: Tensor) -> tuple[Tensor, Tensor]:
    """Return the things in pictures of known scenes, cut out, and what they are: (m, 1, 16, 16) and numbers of
    kinds, int64 (m,).

    Raises ValueError where a picture does not fall into as many parts as its scene has things, and for another
    number of pictures than scenes.
    """
    if len(scenes) != len(pictures):
        raise ValueError(f"{len(scenes)} scenes need as many pictures, not {len(pictures)}.")
    cut, boxes = crops(pictures)
    labels = []
    for scene, its in zip(scenes, boxes, strict=True):
        if len(its) != len(scene.things):
            raise ValueError(f"a picture of {len(scene.things)} things falls into {len(its)} parts.")
        kinds = [KINDS.index(thing.kind) for thing in scene.things]
        first = 0 if scene.relation == "above" else 2  # the tops, or the left sides, tell the first
        if len(its) == 2 and its[0][first] > its[1][first]:
            kinds.reverse()
        labels += kinds
    return cut, torch.tensor(labels, dtype=torch.int64)


def _same(asked: tuple[Thing, ...], read: tuple[Thing, ...], field: str) -> int:
    return sum(getattr(a, field) == getattr(b, field) for a, b in zip(asked, read, strict=True))


def grade(asked: Scene, read: Scene | None) -> dict[str, bool]:
    """Return which fields of `read` are as asked: number, kind, colour, size, relation, and all of them.

    Things are matched so that as many of their properties as possible are right, and as they stand where that
    leaves a choice: with both things there in the wrong order only the relation is wrong, with their colours
    exchanged only the colour. A field is right if it is so for each thing. Of one thing the relation is left out;
    of a wrong number of things (or None) all fields are wrong.
    """
    fields = FIELDS if len(asked.things) == 2 else FIELDS[:-1]
    if read is None or len(read.things) != len(asked.things):
        return dict.fromkeys((*fields, "all"), False)
    n = len(asked.things)
    orders = [read.things, read.things[::-1]][:n]
    scores = [tuple(_same(asked.things, order, f) for f in ("kind", "colour", "size")) for order in orders]
    best = max(range(n), key=lambda i: (sum(scores[i]), -i))
    kind, colour, size = (score == n for score in scores[best])
    marks = {"number": True, "kind": kind, "colour": colour, "size": size}
    if n == 2:
        marks["relation"] = best == 0 and read.relation == asked.relation
    marks["all"] = all(marks.values())
    return marks
