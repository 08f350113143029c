"""Images as pictures: the mosaic of many images, and the film strip. `course_utils.plots` re-exports them."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

from course_utils.data.pixels import as_images, to_numpy
from course_utils.plots.picture import Picture
from course_utils.plots.style import new_axes

GAP = 0.12
"""Ink (0 white … 1 black) of the line between two images of a grid."""


def mosaic(images, *, rows: int | None = None, cols: int | None = None, gap: int = 1) -> np.ndarray:
    """Tile images (as for `image_grid`) into one uint8 array, row by row, `gap` pixels between neighbours.

    Image i is at row i // cols, column i % cols, starting at pixel (row * (H + gap), column * (W + gap)).
    """
    x = as_images(images)
    rows, cols = _layout(len(x), rows, cols)
    height, width = x.shape[1] + gap, x.shape[2] + gap
    tiles = np.full(
        (rows * cols, height, width, *x.shape[3:]), 255 if x.ndim == 4 else round(255 * GAP), np.uint8
    )
    tiles[len(x) :] = 255 if x.ndim == 4 else 0
    tiles[: len(x), : x.shape[1], : x.shape[2]] = x
    tiles = tiles.reshape(rows, cols, height, width, *x.shape[3:])
    joined = tiles.swapaxes(1, 2).reshape(rows * height, cols * width, *x.shape[3:])
    return joined[: rows * height - gap, : cols * width - gap]


def _layout(n: int, rows: int | None, cols: int | None) -> tuple[int, int]:
    """Rows and columns for n images; nearly square and rather wide than tall unless told."""
    if cols is None:
        cols = -(-n // rows) if rows else int(np.ceil(np.sqrt(n)))
    rows = rows or -(-n // cols)
    if rows * cols < n:
        raise ValueError(f"{n} images do not fit into {rows} rows of {cols}.")
    return rows, cols


def _imshow(ax, tiled: np.ndarray):
    """Draw a mosaic: dark ink on white, no axes."""
    smooth = tiled.ndim == 3 and tiled.shape[1] > 400  # a drawn figure, not a photograph in few pixels
    ink = {"cmap": "gray_r", "vmin": 0, "vmax": 255} if tiled.ndim == 2 else {}
    ax.imshow(tiled, interpolation="antialiased" if smooth else "nearest", **ink)
    ax.grid(False)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set_visible(False)
    return ax


def image_grid(images, *, rows=None, cols=None, titles=None, ax=None, row_titles=None, gap=None, note=False):
    """Draw images as one mosaic (one `imshow`, however many there are), dark ink on white; returns the axes.

    `images`: (N, H, W), (N, 1, H, W) or colour (N, 3, H, W), uint8 or float in [0, 1]. `titles`: one text an
    image, or one a column; `row_titles`: one a row. `note` writes below how many there are and at what size.
    """
    x = as_images(images)
    rows, cols = _layout(len(x), rows, cols)
    titles = [str(title) for title in titles] if titles is not None else []
    each = rows > 1 and len(titles) == len(x)
    if titles and not each and len(titles) != cols:
        raise ValueError(
            f"{len(titles)} titles for {len(x)} images in {cols} columns: give one an image or a column."
        )
    gap = gap if gap is not None else max(1, round(x.shape[1] * 0.5)) if each else 1
    tiled = mosaic(x, rows=rows, cols=cols, gap=gap)
    if gap > 1:
        tiled = _white_gaps(tiled, x.shape[1:3], gap)
    ax = _imshow(new_axes(ax, _size(tiled.shape, cols, row_titles)), tiled)
    height, width = x.shape[1] + gap, x.shape[2] + gap
    for i, title in enumerate(titles):
        at = (i % cols * width + x.shape[2] / 2 - 0.5, i // cols * height - 1.0)
        ax.text(*at, title, ha="center", va="bottom", fontsize=11)
    if row_titles is not None:
        ax.set_yticks([r * height + x.shape[1] / 2 - 0.5 for r in range(rows)], list(map(str, row_titles)))
        ax.tick_params(length=0)
    if note:
        plural = "s" if len(x) > 1 else ""
        ax.set_xlabel(
            f"{len(x):,} image{plural}, {x.shape[1]} × {x.shape[2]} pixels", fontsize=10, color="#666666"
        )
    return ax


def _size(shape, cols: int, row_titles=None) -> tuple[float, float]:
    """Inches of a figure that shows a mosaic of `shape` pixels: the width of the page, 9.4 (940 pixels
    there), with the row titles in it.

    Fewer than five columns are at most 2 inches wide each; a tall mosaic is at most 11 inches high.
    """
    lines = [line for title in row_titles or () for line in str(title).split("\n")]
    side = 0.1 * max(map(len, lines), default=0)  # an average letter of 12 points
    width = min(9.2 - side, 2.0 * cols)
    height = width * shape[0] / shape[1]
    factor = min(1.0, 11.0 / height)
    return max(2.2, width * factor + side + 0.2), height * factor + 0.5


def _white_gaps(tiled: np.ndarray, size, gap: int) -> np.ndarray:
    """Make the lines between tiles white, so that titles can stand there."""
    tiled = tiled.copy()
    blank = 255 if tiled.ndim == 3 else 0
    for axis, side in enumerate(size):
        between = np.arange(tiled.shape[axis]) % (side + gap) >= side
        tiled[(slice(None),) * axis + (between,)] = blank
    return tiled


def film_strip(frames, labels: Sequence[str], ax=None, gap: int | None = None):
    """Draw frames in one row, each with its label below; returns the axes.

    `frames`: equally large images (H, W), (1, H, W), (H, W, 3), or stacks (N, H, W) that become a grid each.
    Raises ValueError unless there is one label a frame.
    """
    tiles = [_tile(frame) for frame in frames]
    labels = [str(label) for label in labels]
    if len(tiles) != len(labels) or not tiles:
        raise ValueError(f"{len(tiles)} frames but {len(labels)} labels.")
    if len({tile.shape for tile in tiles}) > 1:
        raise ValueError(f"Frames must be equally large, got {sorted({tile.shape for tile in tiles})}.")
    height, width = tiles[0].shape[:2]
    gap = max(3, width // 20) if gap is None else gap
    blank = np.full((height, gap, *tiles[0].shape[2:]), 255 if tiles[0].ndim == 3 else 0, np.uint8)
    strip = np.concatenate([part for tile in tiles for part in (tile, blank)][:-1], axis=1)
    inch = min(2.6 if width <= 400 else 5.2, max(0.75, 10.4 / len(tiles)))
    _imshow(ax := new_axes(ax, (inch * len(tiles), inch * height / width + 0.45)), strip)
    ax.set_xticks([i * (width + gap) + width / 2 - 0.5 for i in range(len(tiles))], labels)
    ax.tick_params(length=0)
    for i in range(len(tiles)):
        ax.add_patch(
            plt.Rectangle(
                (i * (width + gap) - 0.5, -0.5),
                width,
                height,
                fill=False,
                ec="#bbbbbb",
                lw=0.8,
                clip_on=False,
            )
        )
    return ax


def _tile(frame) -> np.ndarray:
    """One frame of a film strip as uint8 (H, W) or (H, W, 3)."""
    x = to_numpy(frame)
    if x.ndim == 2:
        return as_images(x[None])[0]
    if x.ndim == 3 and x.shape[-1] == 3 and x.shape[0] not in (1, 3):
        return as_images(np.moveaxis(x, -1, 0)[None])[0]
    return as_images(x[None])[0] if x.ndim == 3 and x.shape[0] == 1 else mosaic(x)


def enlarged(frame, width: int = 480) -> Picture:
    """Return an image or a stack (as one frame of `film_strip`) as a picture, dark ink on white, without
    matplotlib.

    Whole pixels are repeated so that the picture is about `width` (at most 2 * `width`) pixels wide. This is
    what a replay is scrubbed with: about a hundred times quicker than drawing a figure.
    """
    tile = _tile(frame)
    factor = max(1, round((width if tile.shape[1] > 60 else width / 2) / tile.shape[1]))
    tile = 255 - tile if tile.ndim == 2 else tile
    return Picture.from_image(Image.fromarray(tile.repeat(factor, 0).repeat(factor, 1)))
