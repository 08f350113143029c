"""Plots and what a reader sees below a cell: pixels, captions, alternative text, sizes, colours, tables."""

import base64
import io
import itertools
import sys
import time

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from PIL import Image

from course_utils import data, plots
from course_utils.plots import images, style
from course_utils.plots import picture as pictures
from course_utils.plots.picture import DISPLAY_DPI, DPI, Picture, figure_of
from course_utils.plots.picture import draft as as_it_is
from course_utils.plots.table import format_cell
from course_utils.system import machine

RNG = np.random.default_rng(0)
plots.use_style()
DIGITS = RNG.integers(0, 256, (100, 28, 28), dtype=np.uint8)


@pytest.fixture
def notebook(monkeypatch):
    """Pretend to run in a kernel, with a display system that keeps what is published."""
    InteractiveShell.instance()
    monkeypatch.setattr(machine, "in_notebook", lambda: True)
    monkeypatch.delenv("COURSE_FIGURES", raising=False)
    yield lambda: capture_output(stdout=False, stderr=False)
    InteractiveShell.clear_instance()


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def line():
    fig, ax = plt.subplots()
    ax.plot([0, 1], [1, 0])
    return fig


# Image grids


@pytest.mark.parametrize("layout", [{}, {"rows": 4}, {"cols": 7}, {"rows": 1}])
def test_every_tile_of_a_grid_is_its_image(layout):
    x = DIGITS[:12]
    ax = plots.image_grid(x, **layout)
    (drawn,) = ax.images
    tiled = np.asarray(drawn.get_array())
    cols = (tiled.shape[1] + 1) // 29
    for i, image in enumerate(x):
        top, left = i // cols * 29, i % cols * 29
        assert (tiled[top : top + 28, left : left + 28] == image).all()
    assert (
        layout.get("cols", cols) == cols and layout.get("rows", -(-12 // cols)) == (tiled.shape[0] + 1) // 29
    )
    assert drawn.get_cmap().name == "gray_r" and drawn.get_clim() == (0, 255), (
        "dark ink on white, on a fixed scale"
    )


@pytest.mark.parametrize("form", ["float", "tensor", "channel", "gradient", "bool"])
def test_all_forms_of_images_give_the_same_pixels(form):
    x = (DIGITS[:5] > 127).astype(np.uint8) * 255
    same = {
        "float": x / 255.0,
        "tensor": torch.from_numpy(x),
        "channel": torch.from_numpy(x)[:, None] / 255,
        "gradient": (torch.from_numpy(x) / 255).requires_grad_(),
        "bool": x > 0,
    }[form]
    assert (plots.mosaic(same) == plots.mosaic(x)).all()


def test_colour_images_keep_their_channels():
    x = RNG.integers(0, 256, (4, 3, 8, 8), dtype=np.uint8)
    assert (plots.mosaic(x)[9:17, 9:17] == np.moveaxis(x[3], 0, -1)).all()


@pytest.mark.parametrize(
    ("x", "kw", "says"),
    [
        (np.zeros((3, 784)), {}, "N, H, W"),
        (np.full((2, 4, 4), np.nan), {}, "NaN"),
        (DIGITS[:5], {"rows": 1, "cols": 4}, "do not fit"),
        (DIGITS[:0], {}, "N > 0"),
        (DIGITS[:5], {"titles": ["a", "b"]}, "2 titles"),
    ],
)
def test_a_grid_says_what_is_wrong(x, kw, says):
    with pytest.raises(ValueError, match=says):
        plots.image_grid(x, **kw)


def test_a_grid_of_100_is_one_picture_and_costs_a_fraction_of_100_axes():
    def grid():
        return plots.image_grid(DIGITS).figure

    @plt.rc_context(
        plt.rcParamsDefault | {"backend": "Agg"}
    )  # ours would cost the naive way its layout as well
    def naive():
        fig, axes = plt.subplots(10, 10, figsize=(6, 6))
        for ax, image in zip(axes.flat, DIGITS, strict=True):
            ax.imshow(image, cmap="gray_r")
            ax.axis("off")
        return fig

    def seconds(draw):  # of this thread's processor time, which a busy machine does not stretch
        start = time.thread_time()
        fig = draw()
        fig.savefig(io.BytesIO(), format="png")
        plt.close(fig)
        return time.thread_time() - start

    fig = grid()
    assert len(fig.axes) == 1 and len(fig.axes[0].images) == 1
    pairs = [(seconds(grid), seconds(naive)) for _ in range(3)]
    assert (
        min(ours for ours, _ in pairs) / min(theirs for _, theirs in pairs) <= 0.3
    )  # about 0.1 on an idle machine


def test_a_film_strip_holds_each_frame_and_its_label():
    ax = plots.film_strip(DIGITS[:4], ["a", "b", "c", "d"], gap=3)
    tiled = np.asarray(ax.images[0].get_array())
    assert all((tiled[:, 31 * i : 31 * i + 28] == DIGITS[i]).all() for i in range(4))
    assert [text.get_text() for text in ax.get_xticklabels()] == ["a", "b", "c", "d"]
    stacks = plots.film_strip([DIGITS[:4], DIGITS[4:8]], ["0", "1"], gap=2)
    assert (np.asarray(stacks.images[0].get_array())[:, 59:] == plots.mosaic(DIGITS[4:8])).all()
    with pytest.raises(ValueError, match="labels"):
        plots.film_strip(DIGITS[:4], ["a"])


# The plane and curves


def test_density_draws_the_function_the_right_way_round():
    seen = {}

    def fn(points):
        seen["points"] = points
        return points[:, 0] + 10 * points[:, 1]

    ax = plots.density(fn, (-1, 1, -2, 2), n=5)
    assert seen["points"].shape == (25, 2) and seen["points"].dtype == torch.float32
    assert ax.get_xlim() == (-1, 1) and ax.get_ylim() == (-2, 2)
    assert seen["points"][1].tolist() == [-0.5, -2.0], "x runs fastest"
    lines = plots.density(lambda p: p[:, 1], (-1, 1, -2, 2), filled=False, levels=[1.0], n=9)
    (path,) = lines.collections[0].get_paths()
    assert np.allclose(path.vertices[:, 1], 1.0), "the level line of y = 1 is horizontal"
    with pytest.raises(ValueError, match="one value a point"):
        plots.density(lambda p: p, (-1, 1))


def test_field_draws_one_vector_a_point():
    ax = plots.field(lambda p: torch.stack([-p[:, 1], p[:, 0]], 1), (-1, 1), n=3)
    arrows = ax.collections[0]
    assert np.allclose(arrows.U, -arrows.XY[:, 1]) and np.allclose(arrows.V, arrows.XY[:, 0])
    with pytest.raises(ValueError, match="one vector a point"):
        plots.field(lambda p: p[:, 0], (-1, 1))


def test_the_outline_of_an_ellipse_has_the_same_mahalanobis_distance_everywhere():
    mean, cov = np.array([1.0, -2.0]), np.array([[2.0, 0.8], [0.8, 1.0]])
    patch = plots.ellipse(torch.tensor(mean), torch.tensor(cov), n_std=1.5).patches[0]
    outline = (
        patch.get_patch_transform().transform(np.stack([np.cos(t := np.linspace(0, 6, 40)), np.sin(t)], 1))
        - mean
    )
    distance = np.sqrt(np.einsum("ni,ij,nj->n", outline, np.linalg.inv(cov), outline))
    assert np.allclose(distance, 1.5)
    with pytest.raises(ValueError, match="semi-definite"):
        plots.ellipse([0, 0], [[1, 2], [2, 1]])


def test_band_is_mean_and_one_standard_deviation():
    runs = torch.tensor([[1.0, 2.0], [3.0, 6.0]])
    ax = plots.band([0, 1], runs, label="two runs")
    assert ax.lines[0].get_ydata().tolist() == [2, 4]
    edge = ax.collections[0].get_paths()[0].vertices
    assert np.isclose(edge[:, 1].max(), 4 + np.sqrt(8)) and np.isclose(
        edge[edge[:, 0] == 0, 1].min(), 2 - np.sqrt(2)
    )
    with pytest.raises(ValueError, match="one row a run"):
        plots.band([0, 1, 2], runs)


def test_curves_take_a_history_or_a_dict():
    class History(dict):
        steps = [10, 20, 30]

    for history in (
        History(loss=[3, 2, 1], kl=[1, 1, 2]),
        {"step": [10, 20, 30], "loss": [3, 2, 1], "kl": [1, 1, 2]},
    ):
        ax = plots.curves(history, ["kl", "loss"], logy=True)
        assert [line.get_label() for line in ax.lines] == ["kl", "loss"] and ax.get_yscale() == "log"
        assert ax.lines[1].get_xydata().tolist() == [[10, 3], [20, 2], [30, 1]]
    assert plots.curves({"a": ([5, 7], [1, 2])}).lines[0].get_xdata().tolist() == [5, 7]


def test_scatter_gives_each_class_its_colour():
    ax = plots.scatter(
        torch.zeros(6, 2), torch.tensor([0, 2, 2, 0, 9, 9]), names={0: "zero", 2: "two", 9: "nine"}
    )
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["zero", "two", "nine"]
    colours = [plt.matplotlib.colors.to_hex(points.get_facecolor()[0]).upper() for points in ax.collections]
    assert colours == [plots.CLASS_COLOURS[k].upper() for k in (0, 2, 9)]
    with pytest.raises(ValueError, match=r"\(N, 2\)"):
        plots.scatter(torch.zeros(4, 3))


# Colours

# Machado, Oliveira and Fernandes (2009), severity 1, on linear RGB
BLINDNESS = {
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
    "full colour vision": np.eye(3),
}
# CIELAB units. 2.3 is a just noticeable difference between large fields side by side (Mahy et al. 1994);
# small dots and thin lines apart from each other need several times that. matplotlib's own ten colours come
# as close as 4.6.
APART = 15


def cielab(colours, matrix):
    """CIELAB coordinates (N, 3) of hex colours seen through a colour-blindness matrix (sRGB, D65)."""
    rgb = np.array([plt.matplotlib.colors.to_rgb(colour) for colour in colours])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    linear = np.clip(linear @ np.array(matrix).T, 0, 1)
    to_xyz = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750],
                       [0.0193339, 0.1191920, 0.9503041]])  # fmt: skip
    xyz = linear @ to_xyz.T / to_xyz.sum(1)
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], 1)


def closest(colours, matrix):
    lab = cielab(colours, matrix)
    return min(np.linalg.norm(a - b) for a, b in itertools.combinations(lab, 2))


@pytest.mark.parametrize("vision", BLINDNESS)
def test_colours_stay_apart_for_colour_blind_readers(vision):
    assert np.allclose(cielab(["#ffffff", "#000000"], np.eye(3)), [[100, 0, 0], [0, 0, 0]], atol=0.01)
    assert len(plots.CLASS_COLOURS) == 10 and plots.CLASS_COLOURS[:8] == plots.PALETTE
    assert closest(plots.CLASS_COLOURS, BLINDNESS[vision]) > APART
    lines = cielab([*plots.PALETTE[:7], "#ffffff"], BLINDNESS[vision])
    assert np.linalg.norm(lines[:-1] - lines[-1], axis=1).min() > 2 * APART, (
        "a line colour is too pale on white"
    )


def test_the_colour_test_can_fail():
    usual = [plt.matplotlib.colors.to_hex(colour) for colour in plt.get_cmap("tab10").colors]
    assert closest(usual, BLINDNESS["protanopia"]) < APART / 2


def test_the_style_uses_the_palette_and_fonts_one_can_read():
    assert [f"#{entry['color'].lstrip('#')}" for entry in plt.rcParams["axes.prop_cycle"]] == plots.PALETTE
    assert (
        min(plt.rcParams[k] for k in ("font.size", "axes.labelsize", "xtick.labelsize", "legend.fontsize"))
        >= 12
    )


# Showing


def test_show_publishes_one_picture_with_alternative_text_and_the_visible_caption(notebook):
    caption = "A line *falls* from 1 to 0_x_, at $1 a piece & <b>fast</b>."
    fig = line()
    with notebook() as captured:
        plots.show(fig, caption)
    picture, text = captured.outputs
    assert set(picture.data) == {"image/png", "text/plain"} and picture.data["text/plain"] == caption
    assert picture.metadata["image/png"] == {"alt": caption, "width": 750}
    image = Image.open(io.BytesIO(base64.b64decode(picture.data["image/png"])))
    assert image.mode == "RGB" and image.width == 750 * DPI // DISPLAY_DPI
    shown = text.data["text/markdown"]
    assert shown.startswith("**Figure.** *A line \\*falls\\* from 1 to 0\\_x\\_") and "<b>" not in shown
    assert not plt.get_fignums(), "the figure must be closed"


@pytest.mark.parametrize("caption", ["", "  ", None])
def test_a_figure_without_a_caption_is_refused(caption):
    with pytest.raises(ValueError, match="caption"):
        plots.show(line(), caption)


def test_show_refuses_what_is_no_figure():
    with pytest.raises(TypeError, match="figure"):
        plots.show([1, 2], "Nothing.")
    fig, axes = plt.subplots(1, 2)
    assert figure_of(axes) is fig and figure_of(axes[0]) is fig


def test_a_script_prints_the_caption_and_keeps_pictures_where_it_is_told(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("COURSE_FIGURES", str(tmp_path / "figures"))
    monkeypatch.setattr(sys.modules["course_utils.plots.show"], "_numbers", itertools.count(1))
    plots.show(line(), "First: α.")
    plots.show(plots.image_grid(DIGITS[:4]), "Second.")
    assert capsys.readouterr().out == "[figure] First: α.\n[figure] Second.\n"
    files = sorted((tmp_path / "figures").iterdir())
    assert [file.name for file in files] == ["01.png", "02.png"]
    assert Image.open(files[0]).info["Description"] == "First: α."
    monkeypatch.delenv("COURSE_FIGURES")
    plots.show(line(), "Third.")
    assert len(list((tmp_path / "figures").iterdir())) == 2 and not plt.get_fignums()


def drawn_pixels(fig) -> np.ndarray:
    """What matplotlib itself draws at the course's resolution, uint8 (H, W, 3)."""
    for buffer in (io.BytesIO(), io.BytesIO()):  # the layout settles with the first drawing
        fig.savefig(buffer, format="png", dpi=DPI)
    return np.asarray(Image.open(buffer).convert("RGB"))


def kept_pixels(fig) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(plots.png(fig))).convert("RGB"))


def test_pictures_have_every_colour_that_was_drawn():
    ax = plots.density(lambda p: torch.exp(-(p**2).sum(1)), (-3, 3), levels=60)
    ax.plot([1, 2], [1, 2], color=plots.PALETTE[1])
    drawn = drawn_pixels(ax.figure)
    assert len(np.unique(drawn.reshape(-1, 3), axis=0)) > 256, "the case must need more than a palette holds"
    assert (kept_pixels(ax.figure) == drawn).all()


@pytest.mark.parametrize("colours", [1, 2, 255, 256, 257])
def test_a_palette_is_used_only_where_it_loses_nothing(colours):
    pixels = np.zeros((20, 20, 3), np.uint8)
    flat = pixels.reshape(-1, 3)
    flat[:colours, 0] = np.arange(colours) % 256
    flat[:colours, 1] = np.arange(colours) // 256
    flat[colours:] = flat[0]
    image = Image.open(io.BytesIO(Picture.from_image(Image.fromarray(pixels)).png))
    assert image.mode == ("P" if colours <= 256 else "RGB")
    assert (np.asarray(image.convert("RGB")) == pixels).all()


def test_a_grey_picture_is_kept_in_greys_exactly():
    fig = plots.image_grid(data.mnist().test.x[:12, 0].numpy()).figure
    drawn = pictures._rendered(fig, DPI)
    kept = Image.open(io.BytesIO(Picture.from_image(drawn).png))
    assert drawn.mode == kept.mode == "L" and drawn.tobytes() == kept.tobytes()
    assert len(np.unique(kept)) > 100, "digits keep their greys"


@pytest.mark.parametrize("mode", ["L", "P", "RGB"])
def test_both_ways_of_packing_a_picture_hold_the_same_pixels(mode):
    pixels = RNG.integers(0, 200, (37, 53, 3), dtype=np.uint8)
    image = Image.fromarray(pixels).convert(mode)
    packed = Image.open(io.BytesIO(pictures._unfiltered(image, 150)))
    packed.load()  # checks the sums of all chunks
    assert packed.mode == mode and packed.size == (53, 37)
    assert (np.asarray(packed.convert("RGB")) == np.asarray(image.convert("RGB"))).all()
    assert packed.info["dpi"] == pytest.approx((150, 150), abs=0.02)


@pytest.mark.parametrize(("inches", "pixels"), [(4, 600), (9.5, 1425), (13, 1425), (30, 1425)])
def test_no_picture_is_wider_than_the_page(inches, pixels):
    fig = plt.figure(figsize=(inches, 2))
    picture = Picture.of(fig)
    assert (
        Image.open(io.BytesIO(picture.png)).width == pixels and picture.width == pixels * DISPLAY_DPI // DPI
    )
    assert tuple(fig.get_size_inches()) == (inches, 2) and fig.dpi == plt.rcParams["figure.dpi"]


def test_what_is_kept_is_packed_the_smaller_way_and_stays_the_same_picture():
    picture = Picture.of(line(), "A line.")
    kept = pictures.packed(picture.png)
    with Image.open(io.BytesIO(picture.png)) as shown, Image.open(io.BytesIO(kept)) as packed:
        assert packed.mode == shown.mode and packed.size == shown.size
        assert packed.convert("RGB").tobytes() == shown.convert("RGB").tobytes()
        assert packed.info["dpi"] == pytest.approx(shown.info["dpi"])
        buffer = io.BytesIO()
        shown.save(buffer, format="PNG", compress_level=9)
    assert len(kept) < len(buffer.getvalue()) < len(picture.png)
    assert pictures.packed(kept) == kept, "packing once is enough"


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_a_transparent_picture_is_packed_as_it_is(mode):
    buffer = io.BytesIO()
    Image.new(mode, (9, 9)).save(buffer, format="PNG")
    assert pictures.packed(buffer.getvalue()) == buffer.getvalue()


def test_a_picture_knows_its_size_and_caption():
    picture = Picture.of(plt.figure(figsize=(4, 2)), "Nothing.")
    assert (picture.width, picture.height) == (4 * DISPLAY_DPI, 2 * DISPLAY_DPI)
    assert Image.open(io.BytesIO(picture.png)).size == (4 * DPI, 2 * DPI)
    assert picture.metadata == {"image/png": {"alt": "Nothing.", "width": 400}}
    assert base64.b64decode(picture.data["image/png"]) == picture.png
    other = picture.captioned("Something.")
    assert other.png == picture.png and other.metadata["image/png"]["alt"] == "Something."


def test_enlarged_repeats_pixels_as_dark_ink_on_white():
    image = Image.open(io.BytesIO(images.enlarged(DIGITS[0]).png))
    factor = image.width // 28
    assert factor > 1 and (np.asarray(image)[::factor, ::factor] == 255 - DIGITS[0]).all()


# Tables


def test_a_script_table_is_aligned(capsys):
    rows = [["LDA", 0.85714, 12], ["logistic | regression", float("nan"), 60_000], ["none", None, 1]]
    plots.table(rows, ["model", "accuracy", "n"], "Who wins.")
    out = capsys.readouterr().out.splitlines()
    assert len({len(row) for row in out[:5]}) == 1, "right-aligned numbers end all lines at the same column"
    assert out[2].split()[-2:] == ["0.857", "12"] and out[3].split()[-2:] == ["–", "60,000"]
    assert out[-1] == "[table] Who wins."


def test_a_notebook_table_is_markdown_with_numbers_to_the_right(notebook):
    with notebook() as captured:
        plots.table(
            [{"model": "a|b", "nats": torch.tensor(97.25)}, {"model": "c", "nats": np.float32(1e-6)}],
            digits=2,
        )
    (shown,) = captured.outputs
    assert shown.data["text/markdown"].splitlines() == [
        "| model | nats |", "|:---|---:|", "| a\\|b | 97.25 |", "| c | 1.0e−06 |"]  # fmt: skip
    assert "97.25" in shown.data["text/plain"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.5, "0.500"), (-0.5, "−0.500"), (0.0, "0.000"), (1234.5, "1,234.500"), (7, "7"), (10_000, "10,000"),
     (True, "yes"), (float("inf"), "∞"), (float("nan"), "–"), (None, "–"), (2e9, "2.00e+09"), ("x", "x")],
)  # fmt: skip
def test_cells(value, text):
    assert format_cell(value) == text


def test_tables_say_what_is_wrong():
    with pytest.raises(ValueError, match="no rows"):
        plots.table([], ["a"])
    with pytest.raises(ValueError, match="2 cells but there are 1 columns"):
        plots.table([[1, 2]], ["a"])


@pytest.mark.parametrize("width", [8.87, 8.869999, 5.003, 7.0, 3.335])
def test_a_figure_of_any_size_is_not_sheared(width):
    """A vertical line stays in one column of pixels, whatever the rounding of the figure's size."""
    import matplotlib.pyplot as plt

    fig = plt.figure(figsize=(width, 2.117))
    fig.add_artist(plt.Line2D([0.5, 0.5], [0, 1], color="black", linewidth=3))
    for dpi in (100, 160):
        pixels = np.asarray(Image.open(io.BytesIO(plots.png(fig, dpi))).convert("L"))
        dark = np.argwhere(pixels < 100)
        assert np.ptp(dark[:, 1]) <= 8, "the line wanders across columns"
        assert np.ptp(dark[:, 0]) > 0.9 * len(pixels)
    plt.close(fig)


def test_titles_above_axes_of_equal_aspect_are_not_cut_off(monkeypatch):
    def darkest_above():
        fig, axes = plt.subplots(1, 6, figsize=(13, 2.7), sharex=True, sharey=True)
        for ax in axes:
            plots.scatter(torch.zeros(1, 2), ax=ax)
            ax.set(xlim=(-4, 4), ylim=(-4, 4), title="t = 1000", ylabel="" if ax is not axes[0] else "x₂")
        with Image.open(io.BytesIO(plots.png(fig))) as image:
            return np.asarray(image.convert("L"))[0].min()

    with plt.style.context(style.STYLE):
        assert darkest_above() == 255
        monkeypatch.setattr(pictures, "_sticks_out", lambda fig, canvas: False)
        assert darkest_above() < 255  # the layout's first answer


def test_a_draft_is_as_large_on_the_page_with_a_ninth_of_the_pixels(monkeypatch):
    fig = plt.figure(figsize=(4, 2))
    whole = Picture.of(fig, "Nothing.")
    monkeypatch.setattr(pictures, "draft", lambda: True)
    draft = Picture.of(fig, "Nothing.")
    assert (draft.width, draft.height) == (whole.width, whole.height)
    assert 9 * np.prod(Image.open(io.BytesIO(draft.png)).size) == np.prod(
        Image.open(io.BytesIO(whole.png)).size
    )


@pytest.mark.parametrize(
    "profile, folder, expected", [("quick", "", True), ("quick", "figures", False), ("live", "", False)]
)
def test_only_what_nobody_looks_at_is_a_draft(monkeypatch, profile, folder, expected):
    monkeypatch.setenv("COURSE_PROFILE", profile)
    monkeypatch.setenv("COURSE_FIGURES", folder)
    assert as_it_is() == expected
