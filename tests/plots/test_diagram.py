"""Schematics: arrows end at borders, plates hold what they are given, nothing is cut."""

import io

import numpy as np
import pytest
from PIL import Image

import course_utils as cu
from course_utils.plots.diagram import _border, _brace_profile


@pytest.fixture
def sheet():
    d = cu.diagram()
    a = d.box("a rather long text", (0, 0))
    b = d.box("b", (4, 0), width=1)
    return d, a, b


def extent(d, artist):
    box = artist.get_window_extent(d._figure.canvas.get_renderer())
    return box.transformed(d.ax.transData.inverted())


def test_a_box_is_as_wide_as_its_text(sheet):
    d, a, b = sheet
    assert a.width > 1.4 and b.width == 1
    text = extent(d, next(t for t in d.ax.texts if t.get_text() == "a rather long text"))
    assert a.left[0] < text.x0 and text.x1 < a.right[0]
    assert a.top == (0, a.height / 2) and b.left == (3.5, 0) and a.bottom == (0, -a.height / 2)


def test_an_arrow_goes_from_border_to_border(sheet):
    d, a, b = sheet
    d.arrow(a, b)
    _ = d.figure
    xs = d.ax.patches[-1].get_path().vertices[:, 0]
    assert a.right[0] <= xs[0] < a.right[0] + 0.06
    assert b.left[0] - 0.1 < xs.max() <= b.left[0] + 0.02


def test_the_label_of_an_arrow_stands_between_what_it_joins(sheet):
    d, a, b = sheet
    d.arrow(a, b, "q(z | x)")
    label = extent(d, d.ax.texts[-1])
    assert a.right[0] < label.x0 and label.x1 < b.left[0] and label.y0 > 0
    assert (label.x0 + label.x1) / 2 == pytest.approx((a.right[0] + b.left[0]) / 2, abs=0.02)


@pytest.mark.parametrize(("bend", "above"), [(0.5, True), (-0.5, False)])
def test_a_bent_arrow_has_its_label_on_the_outer_side(sheet, bend, above):
    d, a, b = sheet
    d.arrow(a, b, "way", bend=bend)
    _ = d.figure
    vertices = d.ax.patches[-1].get_path().vertices[:, 1]
    label = extent(d, d.ax.texts[-1])
    assert (label.y0 > 0) == above and (abs(vertices.max()) > abs(vertices.min())) == above


def test_a_plate_holds_its_shapes_and_its_label():
    d = cu.diagram()
    x, z = d.node("x", (0, 0), observed=True), d.node("z", (0, 1.5))
    plate = d.plate([x, z], "a label that is wider than the nodes")
    for shape in (x, z):
        assert plate.left[0] < shape.left[0] and shape.right[0] < plate.right[0]
        assert plate.bottom[1] < shape.bottom[1] and shape.top[1] < plate.top[1]
    label = extent(d, d.ax.texts[-1])
    assert plate.left[0] < label.x0 and label.x1 < plate.right[0] and label.y1 < x.bottom[1]


def test_the_figure_holds_everything_with_white_around_it(sheet):
    d, a, b = sheet
    d.arrow(b, a, "back", bend=0.4, dashed=True)
    d.brace((0, 1), (4, 1), "both")
    d.dot("θ", (5.5, 0), side="right")
    d.image(np.eye(28), (7, 0))
    d.line(a, (0, -1))
    pixels = np.asarray(Image.open(io.BytesIO(cu.plots.png(d.figure))).convert("L"))
    edges = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    assert edges.min() == 255 and pixels.min() < 60
    ink = np.argwhere(pixels < 200)
    margins = [*ink.min(0), *(np.array(pixels.shape) - 1 - ink.max(0))]
    assert max(margins) <= 0.3 * 150, "the figure is no larger than what it holds"


def test_the_figure_can_be_asked_for_twice(sheet):
    d, *_ = sheet
    first = tuple(d.figure.get_size_inches())
    assert tuple(d.figure.get_size_inches()) == pytest.approx(first, abs=0.02)


def test_a_brace_begins_and_ends_low_and_has_one_tip():
    height = _brace_profile(np.linspace(0, 1, 401), 0.05)
    assert height[0] == height[-1] == 0 and height.argmax() == 200 and height[200] == pytest.approx(1)
    assert height[100] == pytest.approx(0.5) and (np.diff(height[:201]) >= -1e-9).all()


def test_where_a_way_leaves_a_frame(sheet):
    _, a, b = sheet
    assert _border(a, (9, 0)) == pytest.approx(a.right) and _border(a, (0, 9)) == pytest.approx(a.top)
    assert _border((1, 2), (5, 5)) == pytest.approx((1, 2))


def test_what_makes_no_sense_is_refused(sheet):
    d, *_ = sheet
    with pytest.raises(ValueError, match="left, right, above or below"):
        d.dot("θ", (0, 0), side="top")
    with pytest.raises(ValueError, match="two different points"):
        d.brace((1, 1), (1, 1), "x")
    with pytest.raises(ValueError, match="empty"):
        _ = cu.diagram().figure
