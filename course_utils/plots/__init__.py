"""The course's pictures: image grids, film strips, 2-D densities and fields, curves with error bands, tables,
facts.

Every drawing function takes `ax=None` (None makes a new figure) and returns the axes it drew on. Show the
result with `cu.show(ax.figure, caption)`.
"""

from course_utils.plots.curves import band, curves
from course_utils.plots.diagram import Diagram, diagram
from course_utils.plots.facts import facts
from course_utils.plots.images import film_strip, image_grid, mosaic
from course_utils.plots.picture import Picture, png
from course_utils.plots.plane import density, ellipse, field, scatter
from course_utils.plots.show import show
from course_utils.plots.style import CLASS_COLOURS, PALETTE, use_style
from course_utils.plots.table import table

__all__ = [
    "CLASS_COLOURS",
    "Diagram",
    "PALETTE",
    "Picture",
    "band",
    "curves",
    "density",
    "diagram",
    "ellipse",
    "facts",
    "field",
    "film_strip",
    "image_grid",
    "mosaic",
    "png",
    "scatter",
    "show",
    "table",
    "use_style",
]
