"""The wall and the sheet in JupyterLab: the film plays, and the picture follows what is typed.

How many frames a second arrive is printed (`pytest -s`), not asserted: it is the machine's affair. Screenshots
are kept in build/browser.
"""

import re

import pytest

from tests.browser.lab import Lab, missing

pytestmark = [pytest.mark.skipif(missing() is not None, reason=str(missing())), pytest.mark.turns(2)]
SECONDS = 3
WALL = """import torch
from course_utils.widgets import live
x, y = torch.meshgrid(torch.linspace(-3, 3, 28), torch.linspace(-3, 3, 28), indexing="ij")
angle = torch.linspace(0, 6, 16)[:, None, None]
def waves(frame, k):
    return 0.5 + 0.5 * torch.sin(k * (x * torch.cos(angle) + y * torch.sin(angle)) + 0.3 * frame)
wall = live.wall(waves, "Sixteen waves.", k=(1, 5))"""
SHEET = """def both(image, invert):
    pair = torch.cat([image, image.flip(2)])
    return 255 - pair if invert else pair
sheet = live.sheet(both, "A drawing and its mirror image.", invert=False)"""
COUNT = """image => {
    window.changes = [];
    const note = () => window.changes.push(performance.now());
    new MutationObserver(note).observe(image, {attributes: true, attributeFilter: ['src']}) }"""
AREA = """e => ({
    font: getComputedStyle(e).fontFamily, rows: e.rows,
    fits: e.scrollHeight <= e.clientHeight && e.scrollWidth <= e.clientWidth })"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    with Lab(tmp_path_factory.mktemp("lab")) as lab:
        yield lab


@pytest.fixture(scope="module")
def book(lab):
    """The notebook with both, run."""
    lab.write("live", WALL, SHEET, "print(sheet.controls['image'].value, '|', wall.line.value)")
    book = lab.open("live")
    book.run(0, 1)
    return book


def test_the_wall_plays(lab, book):
    (wall,) = book.widgets(0)
    wall.box.locator("img.widget-image").evaluate(COUNT)
    player = wall.box.locator(".widget-play button").first
    player.click()
    lab.page.wait_for_timeout(1000 * SECONDS)
    changes = lab.page.evaluate("window.changes")
    told = wall.box.get_by_text("frames a second").inner_text()
    book.screenshot("live_wall")
    print(f"\nin the browser {len(changes) / SECONDS:.1f} pictures a second; the line tells: {told}")
    assert len(changes) >= 6 and re.fullmatch(r"\d+(\.\d)? frames a second", told)
    player.click()
    lab.page.wait_for_timeout(500)
    stopped = len(lab.page.evaluate("window.changes"))
    lab.page.wait_for_timeout(500)
    assert len(lab.page.evaluate("window.changes")) == stopped, "it plays on, or frames were queued"
    assert book.errors() == []


def test_the_sheet_follows_every_key(lab, book):
    (sheet,) = book.widgets(1)
    area = sheet.box.locator("textarea")
    seen = area.evaluate(AREA)
    assert "monospace" in seen["font"] and seen["rows"] == 14 and seen["fits"]
    start = area.input_value()
    assert [len(line) for line in start.split("\n")] == [14] * 14
    area.click()
    lab.page.keyboard.press("ControlOrMeta+Home")
    assert sheet.changes(lambda: lab.page.keyboard.type("#")), "the picture does not follow a key"
    lab.page.keyboard.type("## ##", delay=20)  # quicker than answers on a busy machine
    sheet.box.get_by_text("a second").wait_for()
    assert area.input_value() == "### ##" + start, "what is typed is not left as it is"
    sheet.box.scroll_into_view_if_needed()
    book.screenshot("live_sheet")
    book.run(2, 2)
    assert book.output(2).startswith("### ##" + start.split("\n")[0])
    for button in ("Clear", "Back to the start"):
        assert sheet.changes(sheet.box.get_by_role("button", name=button).click), button
    assert area.input_value() == start and book.errors() == []
