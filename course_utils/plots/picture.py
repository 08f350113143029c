"""From a matplotlib figure to a `Picture`: PNG bytes in true colour, with their size and their caption."""

import base64
import io
import os
import struct
import zlib
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from course_utils.system.profile import profile

DPI = 150
"""Resolution of shown figures, dots per inch of the page."""
DRAFT_DPI = 50
"""The same where nobody looks: the profile quick draws every figure, only to notice one that cannot be drawn."""
QUICK = 6
"""zlib's level for a picture on its way to the page: a seventh of the time of level 9, a twentieth larger."""
PAGE = 9.5
"""Inches across the page: a wider figure is shown, and stored, at the width of the page."""
DISPLAY_DPI = 100
"""CSS pixels an inch of a figure takes on the page: a figure 9 inches wide is 900 pixels wide there."""


@dataclass(frozen=True)
class Picture:
    """PNG bytes, the size at which they are meant to be seen (CSS pixels), and the caption."""

    png: bytes
    width: int
    height: int
    caption: str = ""

    @classmethod
    def of(cls, fig, caption: str = "", dpi: float = DPI) -> "Picture":
        """Return the picture of a Figure (or of the figure of some Axes), which stays open.

        A figure wider than the page becomes as wide as the page. The figure may be drawn up to six times: around
        axes of equal aspect the layout settles late. Raises TypeError for something that is no figure.
        In the profile quick it is a draft: as large on the page, of fewer pixels, and drawn once.
        """
        fig = figure_of(fig)
        dpi = min(dpi, DRAFT_DPI) if draft() else dpi
        fitting = min(1.0, PAGE / fig.get_size_inches()[0])
        return cls.from_image(_rendered(fig, fitting * dpi), caption, dpi)

    @classmethod
    def from_image(cls, image: Image.Image, caption: str = "", dpi: float = DISPLAY_DPI) -> "Picture":
        """Return the picture of a Pillow image of which `dpi` pixels are an inch, every pixel as it is."""
        width, height = (round(side * DISPLAY_DPI / dpi) for side in image.size)
        return cls(_encoded(image, dpi), width, height, caption)

    def captioned(self, caption: str) -> "Picture":
        """Return the same picture with another caption."""
        return replace(self, caption=caption)

    @property
    def data(self) -> dict:
        """The display data: {"image/png": base64 text, "text/plain": caption}."""
        return {"image/png": base64.b64encode(self.png).decode("ascii"), "text/plain": self.caption}

    @property
    def metadata(self) -> dict:
        """The display metadata: alternative text, and the width on the page."""
        return {"image/png": {"alt": self.caption, "width": self.width}}


def png(fig, dpi: float = DPI) -> bytes:
    """Return a figure as PNG bytes in true colour; the figure stays open."""
    return Picture.of(fig, dpi=dpi).png


def figure_of(fig):
    """Return the Figure behind a Figure, an Axes or an array of Axes; TypeError for anything else."""
    from matplotlib.figure import Figure

    if isinstance(fig, Figure):
        return fig
    axes = getattr(fig, "flat", [fig])
    owner = getattr(next(iter(axes), None), "figure", None)
    if owner is None:
        raise TypeError(
            f"Expected a matplotlib figure, got {type(fig).__name__}: return `fig`, or pass `ax.figure`."
        )
    return owner


def draft() -> bool:
    """Return whether figures are drawn for nobody's eyes: in the profile quick, unless they are saved."""
    return profile() == "quick" and not os.environ.get("COURSE_FIGURES")


def close(fig) -> None:
    """Forget a figure, so that its memory is freed and no cell shows it twice."""
    import matplotlib.pyplot as plt

    plt.close(fig)


def raster(fig) -> np.ndarray:
    """Return a figure as uint8 (H, W, 3), at the resolution of shown figures; the figure is closed."""
    pixels = np.asarray(_rendered(figure_of(fig), DRAFT_DPI if draft() else DPI).convert("RGB"))
    close(figure_of(fig))
    return pixels


def packed(png: bytes) -> bytes:
    """Return PNG bytes with the same pixels and resolution, as small as two ways of packing make them.

    For a picture that is kept, such as the output of a built notebook: it takes several times as long as
    showing one does. A picture with transparency is returned as it is.
    """
    with Image.open(io.BytesIO(png)) as image:
        if image.mode not in ("L", "P", "RGB") or "transparency" in image.info:
            return png
        dpi = image.info.get("dpi", (DISPLAY_DPI,))[0]
        image = _plain(image)
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", compress_level=9, dpi=(dpi, dpi))
    return min(buffer.getvalue(), _unfiltered(image, dpi), png, key=len)


def _encoded(image: Image.Image, dpi: float) -> bytes:
    """An image as PNG bytes, quickly: somebody waits for it, perhaps with a hand on a slider."""
    buffer = io.BytesIO()
    _plain(image).save(buffer, format="PNG", compress_level=1 if draft() else QUICK, dpi=(dpi, dpi))
    return buffer.getvalue()


def _plain(image: Image.Image) -> Image.Image:
    """The same pixels, grey as they are, with a palette only where they hold at most 256 colours."""
    if image.mode == "L":
        return image.copy()
    image = image.convert("RGB")
    colours = image.getcolors(256)
    return _indexed(image, [colour for _, colour in colours]) if colours else image


def _unfiltered(image: Image.Image, dpi: float) -> bytes:
    """The same image as PNG bytes without Pillow's row filters: a sixth smaller for most drawings.

    Pillow filters every row as suits photographs and cannot be told otherwise. PNG: ISO/IEC 15948.
    """
    pixels = np.asarray(image)
    rows = pixels.reshape(len(pixels), -1)
    no_filter = np.zeros((len(rows), 1), np.uint8)
    packer = zlib.compressobj(9, memLevel=9)
    packed = packer.compress(np.hstack([no_filter, rows]).tobytes()) + packer.flush()
    kind = {"L": 0, "RGB": 2, "P": 3}[image.mode]
    metre = round(dpi / 0.0254)
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", image.width, image.height, 8, kind, 0, 0, 0)),
        (b"pHYs", struct.pack(">IIB", metre, metre, 1)),
        *([(b"PLTE", bytes(image.getpalette()))] if image.mode == "P" else []),
        (b"IDAT", packed),
        (b"IEND", b""),
    ]
    body = [
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


def _indexed(image: Image.Image, colours: list[tuple[int, int, int]]) -> Image.Image:
    """The same pixels as indices into a palette of exactly these colours."""
    pixels = np.asarray(image).astype(np.uint32)
    keys = (pixels[..., 0] << 16) | (pixels[..., 1] << 8) | pixels[..., 2]
    palette = np.array(sorted(colours), dtype=np.uint32)
    palette_keys = (palette[:, 0] << 16) | (palette[:, 1] << 8) | palette[:, 2]
    indices = np.searchsorted(palette_keys, keys).astype(np.uint8)
    indexed = Image.fromarray(indices, mode="P")
    indexed.putpalette(palette.astype(np.uint8).tobytes())
    return indexed


def _rendered(fig, dpi: float) -> Image.Image:
    """A figure as an image: grey ("L") where it has no colour, otherwise RGB."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    dpi_before, canvas_before = fig.dpi, fig.canvas
    try:
        fig.dpi = dpi
        canvas = FigureCanvasAgg(fig)
        canvas.draw()
        for _ in range(5):  # around axes of equal aspect the layout finds its place at a later draw only
            if draft() or not _sticks_out(fig, canvas):
                break
            canvas.draw()
        # The renderer itself says how many pixels it drew: rounding the figure's inches can be off by one.
        renderer = canvas.get_renderer()
        size = (int(renderer.width), int(renderer.height))
        pixels = renderer.buffer_rgba()
    finally:
        fig.set_canvas(canvas_before)
        fig.dpi = dpi_before
    image = Image.frombuffer("RGBA", size, pixels, "raw", "RGBA", 0, 1).convert("RGB")
    red, green, blue = image.split()
    return red if red.tobytes() == green.tobytes() == blue.tobytes() else image


def _sticks_out(fig, canvas) -> bool:
    """Whether something that was drawn, such as a title, comes within two points of the figure's edges."""
    box = fig.get_tightbbox(canvas.get_renderer())
    width, height = fig.get_size_inches()
    return min(box.x0, box.y0, width - box.x1, height - box.y1) < 2 / 72
