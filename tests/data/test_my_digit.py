"""Your digit: like an MNIST image, kept as text, with an error that names the line."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from course_utils import data
from course_utils.data.my_digit import CENTRE, SHIPPED, _parse, _render, my_digit
from course_utils.system import folders, ranks

SEVEN = """
..............
..##########..
..........##..
.........##...
.........#....
........##....
........#.....
.......##.....
.......#......
......##......
......#.......
.....##.......
.....#........
..............
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty folder of runs."""
    monkeypatch.setattr(folders, "runs_dir", lambda: tmp_path / "runs")
    monkeypatch.setenv("COURSE_PROFILE", "live")
    return tmp_path / "runs"


def centre_of_mass(image):
    x = image[0].double()
    index = torch.arange(28, dtype=torch.float64)
    return (x.sum(1) @ index / x.sum()).item(), (x.sum(0) @ index / x.sum()).item()


def extent(image, level=25):
    rows, columns = (image[0] > level).any(1).nonzero(), (image[0] > level).any(0).nonzero()
    return (rows.max() - rows.min() + 1).item(), (columns.max() - columns.min() + 1).item()


def block(ink):
    return "\n".join("".join("#" if cell else "." for cell in row) for row in ink)


def assert_like_mnist(image):
    assert image.shape == (1, 28, 28) and image.dtype == torch.uint8
    assert all(abs(c - 14) <= 0.75 for c in centre_of_mass(image))
    assert 18 <= max(extent(image)) <= 21, "the longer side fills the 20 pixel box"
    assert image.max() >= 250


@pytest.mark.parametrize(
    "drawing", [None, SEVEN, block([[c == 6 for c in range(14)]] * 14), block([[1] * 14] * 14)]
)
def test_looks_like_mnist(drawing):
    assert_like_mnist(my_digit(drawing))


def test_the_target_of_the_centre_is_that_of_mnist():
    images = data.mnist().train.sample(2_000).x
    centres = torch.tensor([centre_of_mass(image) for image in images])
    assert (centres.mean(0) - CENTRE).abs().max() < 0.05


def test_the_shipped_digit_is_a_plausible_three():
    image = my_digit()
    threes = data.mnist().train.only(3)
    share = (threes.flat().mean(1) < image.float().mean() / 255).float().mean()
    assert 0.05 < share < 0.95, "as much ink as a three has"
    # its nearest neighbours among all training digits are threes
    train = data.mnist().train.sample(10_000)
    distance = (train.flat() - image.flatten() / 255).norm(dim=1)
    nearest = train.y[distance.topk(10, largest=False).indices]
    assert (nearest == 3).float().mean() >= 0.8


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(st.booleans(), min_size=14, max_size=14), min_size=14, max_size=14).filter(
        lambda d: any(map(any, d))
    )
)
def test_any_drawing_stays_on_the_canvas(ink):
    image = _render(_parse(block(ink)))
    assert image.shape == (1, 28, 28) and image.max() > 100
    # centred by mass unless an edge of the ink would leave the canvas
    touches = [(image[0, 0].any() or image[0, -1].any()), (image[0, :, 0].any() or image[0, :, -1].any())]
    for centre, touching in zip(centre_of_mass(image), touches):
        assert touching or abs(centre - 14) <= 0.75


def test_position_in_the_block_does_not_matter():
    """A drawing moved by a few cells is the same digit (it is centred and scaled)."""
    corner = [[r < 6 and c < 4 and not (2 <= r < 4 and c < 2) for c in range(14)] for r in range(14)]
    moved = [[r >= 8 and c >= 10 and corner[r - 8][c - 10] for c in range(14)] for r in range(14)]
    assert torch.equal(my_digit(block(corner)), my_digit(block(moved)))


def test_upright_and_not_mirrored():
    image = my_digit(SEVEN)[0].float()
    rows = image.any(1).nonzero()
    top = image[rows.min() + 1 : rows.min() + 3].sum()
    bottom = image[rows.max() - 2 : rows.max()].sum()
    assert top > 2 * bottom, "a seven has its bar on top"
    weights = torch.arange(28.0)
    low = image[rows.max() - 4 : rows.max()].sum(0)
    assert (low @ weights) / low.sum() < 13, "and its foot on the left"


# ---------------------------------------------------------------- keeping it


def test_saved_and_used_later(folder):
    default = my_digit()
    assert not folder.exists(), "reading alone writes nothing"
    drawn = my_digit(SEVEN)
    assert not torch.equal(drawn, default) and torch.equal(my_digit(), drawn)
    assert (folder / "my_digit.txt").read_text() == SEVEN.lstrip("\n")
    assert [p.name for p in folder.iterdir()] == ["my_digit.txt"]
    my_digit(SHIPPED.read_text())
    assert torch.equal(my_digit(), default), "a new drawing replaces the old one"


def test_spaces_indentation_and_windows_lines_mean_the_same():
    expected = my_digit(SEVEN)
    assert torch.equal(my_digit(SEVEN.replace(".", " ")), expected)
    assert torch.equal(my_digit(SEVEN.replace("\n", "\r\n")), expected)
    assert torch.equal(my_digit(SEVEN.strip("\n")), expected)
    indented = SEVEN.replace("\n", "\n        ")
    assert torch.equal(my_digit(indented), expected)


def test_in_full_nothing_is_saved(folder, monkeypatch):
    monkeypatch.setenv("COURSE_PROFILE", "full")
    default = my_digit()
    assert not torch.equal(my_digit(SEVEN), default)
    assert not folder.exists() and torch.equal(my_digit(), default)


def test_only_the_first_process_saves(folder, monkeypatch):
    monkeypatch.setattr(ranks, "rank", lambda: 1)
    my_digit(SEVEN)
    assert not folder.exists()


def change_line(number, line):
    lines = SEVEN.strip("\n").split("\n")
    lines[number - 1] = line
    return "\n".join(lines)


@pytest.mark.parametrize(
    "drawing, says",
    [
        ("", "0 lines; it needs 14"),
        ("\n".join(SEVEN.strip("\n").split("\n")[:-1]), "13 lines; it needs 14"),
        (SEVEN.strip("\n") + "\n..............", "15 lines; it needs 14"),
        (change_line(3, "..........##..."), "Line 3 .* has 15 characters; it needs 14"),
        (change_line(12, "....##......."), "Line 12 .* has 13 characters"),
        (change_line(7, ""), "Line 7 .* has 0 characters"),
        (change_line(5, ".........X...."), "Line 5 .* holds 'X'"),
        (change_line(5, "\t......#......"), r"Line 5 .* holds '\\t'"),
        ("\n".join(["." * 14] * 14), "empty: put some '#'"),
        (7, "not int"),
    ],
)
def test_errors_name_the_line_and_keep_the_saved_digit(folder, drawing, says):
    kept = my_digit(SEVEN)
    with pytest.raises(ValueError, match=says):
        my_digit(drawing)
    assert torch.equal(my_digit(), kept)


@pytest.mark.fault(
    fault="The reader's digit, damaged on the disk",
    sees="what is wrong with the file, and that lesson 00 draws it anew",
    kept="the file is left as it is",
)
@pytest.mark.parametrize("content", [b"", b"hello", b"\xff\xfe\x00", SEVEN.encode()[:100], b"." * 14])
def test_a_damaged_saved_file_is_reported_and_kept(folder, content):
    folder.mkdir()
    path = folder / "my_digit.txt"
    path.write_bytes(content)
    with pytest.raises(data.DataError, match=r"my_digit\.txt, cannot be used.*left as it is.*lesson 00"):
        my_digit()
    assert path.read_bytes() == content
    my_digit(SEVEN)  # drawing again repairs it
    assert_like_mnist(my_digit())


def test_a_folder_that_cannot_be_written(folder, monkeypatch):
    kept = my_digit(SEVEN)

    def refuse(*args, **kwargs):
        raise OSError(30, "Read-only file system")

    with monkeypatch.context() as patch:
        patch.setattr("os.replace", refuse)
        with pytest.raises(data.DataError, match=r"Cannot write .*my_digit\.txt \(Read-only file system\)"):
            my_digit(block([[1] * 14] * 14))
    assert torch.equal(my_digit(), kept) and [p.name for p in folder.iterdir()] == ["my_digit.txt"]


def test_a_file_where_the_folder_should_be(folder):
    folder.write_text("I am a file")
    with pytest.raises(data.DataError, match="Cannot write"):
        my_digit(SEVEN)


def test_a_file_saved_by_notepad_is_read(folder):
    drawn = data.my_digit(block(torch.eye(14)))
    saved = next(folder.rglob("my_digit.txt"))
    saved.write_text("\ufeff" + saved.read_text().replace("\n", "\r\n"), encoding="utf-8", newline="")
    assert torch.equal(data.my_digit(), drawn)


def test_a_folder_in_the_place_of_the_file_gets_advice_that_helps(folder):
    (folders.runs_dir() / "my_digit.txt").mkdir(parents=True)
    for use in (data.my_digit, lambda: data.my_digit(block(torch.eye(14)))):
        with pytest.raises(data.DataError, match="my_digit.txt is a folder.*remove or rename it"):
            use()
