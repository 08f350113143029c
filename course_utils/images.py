"""Images as pictures: the mosaic of many images, and the film strip. `course_utils.plots` re-exports them."""

import io
from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch
from PIL import Image

from course_utils import display

GAP = 0.12
"""Ink (0 white … 1 black) of the line between two images of a grid."""


def new_axes(ax, size=(5.0, 4.2)):
    """Return `ax`, or the axes of a new figure of `size` inches."""
    return plt.subplots(figsize=size)[1] if ax is None else ax


def to_numpy(x) -> np.ndarray:
    """Return a tensor (any device, with or without gradient), list or array as a NumPy array."""
    if isinstance(x, torch.Tensor):
        return x.detach().float().cpu().numpy() if x.is_floating_point() else x.detach().cpu().numpy()
    return np.asarray(x)


def as_images(images) -> np.ndarray:
    """Return images as uint8 (N, H, W) or (N, H, W, 3).

    Takes (N, H, W), (N, 1, H, W) or (N, 3, H, W), uint8 or float in [0, 1] (values a little outside are clipped for
    display only). Raises ValueError for other shapes and for NaN.
    """
    x = to_numpy(images)
    if x.ndim == 4 and x.shape[1] in (1, 3):
        x = x[:, 0] if x.shape[1] == 1 else np.moveaxis(x, 1, -1)
    if x.ndim not in (3, 4) or len(x) == 0 or (x.ndim == 4 and x.shape[-1] != 3):
        raise ValueError(f"Images must be (N, H, W), (N, 1, H, W) or (N, 3, H, W) with N > 0, got {x.shape}.")
    if x.dtype == bool:
        return x.astype(np.uint8) * 255
    if x.dtype.kind == "f":
        if not np.isfinite(x).all():
            raise ValueError("Images hold NaN or infinite values.")
        return (np.clip(x, 0, 1) * 255).round().astype(np.uint8)
    return np.clip(x, 0, 255).astype(np.uint8)


def mosaic(images, *, rows: int | None = None, cols: int | None = None, gap: int = 1) -> np.ndarray:
    """Tile images (as for `image_grid`) into one uint8 array, row by row, `gap` pixels between neighbours.

    Image i is at row i // cols, column i % cols, starting at pixel (row * (H + gap), column * (W + gap)).
    """
    x = as_images(images)
    rows, cols = _layout(len(x), rows, cols)
    height, width = x.shape[1] + gap, x.shape[2] + gap
    tiles = np.full((rows * cols, height, width, *x.shape[3:]), 255 if x.ndim == 4 else round(255 * GAP), np.uint8)
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


def image_grid(images, *, rows=None, cols=None, titles=None, ax=None, row_titles=None, gap=None, note=True):
    """Draw images as one mosaic (one `imshow`, however many there are), dark ink on white; returns the axes.

    `images`: (N, H, W), (N, 1, H, W) or colour (N, 3, H, W), uint8 or float in [0, 1]. `titles`: one text an image,
    or one a column; `row_titles`: one a row. `note` writes below how many there are and at what size.
    """
    x = as_images(images)
    rows, cols = _layout(len(x), rows, cols)
    titles = [str(title) for title in titles] if titles is not None else []
    each = rows > 1 and len(titles) == len(x)
    if titles and not each and len(titles) != cols:
        raise ValueError(f"{len(titles)} titles for {len(x)} images in {cols} columns: give one an image or a column.")
    gap = gap if gap is not None else max(1, round(x.shape[1] * 0.5)) if each else 1
    tiled = mosaic(x, rows=rows, cols=cols, gap=gap)
    if gap > 1:
        tiled = _white_gaps(tiled, x.shape[1:3], gap)
    ax = _imshow(new_axes(ax, _size(tiled.shape, cols)), tiled)
    height, width = x.shape[1] + gap, x.shape[2] + gap
    for i, title in enumerate(titles):
        at = (i % cols * width + x.shape[2] / 2 - 0.5, i // cols * height - 1.0)
        ax.text(*at, title, ha="center", va="bottom", fontsize=11)
    if row_titles is not None:
        ax.set_yticks([r * height + x.shape[1] / 2 - 0.5 for r in range(rows)], list(map(str, row_titles)))
        ax.tick_params(length=0)
    if note:
        plural = "s" if len(x) > 1 else ""
        ax.set_xlabel(f"{len(x):,} image{plural}, {x.shape[1]} × {x.shape[2]} pixels", fontsize=10, color="#666666")
    return ax


def _size(shape, cols: int) -> tuple[float, float]:
    """Inches of a figure that shows a mosaic of `shape` pixels in `cols` columns, at most 9.6 × 9.6."""
    width = min(9.0, 0.62 * cols) if cols > 3 else 1.1 * cols
    height = width * shape[0] / shape[1]
    factor = min(1.0, 9.0 / height)
    return max(2.2, width * factor + 0.2), height * factor + 0.5


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
        ax.add_patch(plt.Rectangle((i * (width + gap) - 0.5, -0.5), width, height, fill=False, ec="#bbbbbb", lw=0.8,
                                   clip_on=False))  # fmt: skip
    return ax


def _tile(frame) -> np.ndarray:
    """One frame of a film strip as uint8 (H, W) or (H, W, 3)."""
    x = to_numpy(frame)
    if x.ndim == 2:
        return as_images(x[None])[0]
    if x.ndim == 3 and x.shape[-1] == 3 and x.shape[0] not in (1, 3):
        return as_images(np.moveaxis(x, -1, 0)[None])[0]
    return as_images(x[None])[0] if x.ndim == 3 and x.shape[0] == 1 else mosaic(x)


def enlarged_png(frame, width: int = 480) -> bytes:
    """Return an image or a stack (as one frame of `film_strip`) as PNG bytes, dark ink on white, without matplotlib.

    Whole pixels are repeated so that the picture is about `width` (at most 2 * `width`) pixels wide. This is what a
    replay is scrubbed with: about a hundred times quicker than drawing a figure.
    """
    tile = _tile(frame)
    factor = max(1, round((width if tile.shape[1] > 60 else width / 2) / tile.shape[1]))
    tile = 255 - tile if tile.ndim == 2 else tile
    return display.palette_png(Image.fromarray(tile.repeat(factor, 0).repeat(factor, 1)), dpi=display.DISPLAY_DPI)


def raster(fig) -> np.ndarray:
    """Return a figure as uint8 (H, W, 3), at the resolution of shown figures; the figure is closed."""
    with Image.open(io.BytesIO(display.png(fig))) as image:
        pixels = np.asarray(image.convert("RGB"))
    display.close(display.figure_of(fig))
    return pixels
