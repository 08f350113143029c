"""Decks and handouts in a Chromium whose network is off: nothing missing, no raw TeX, nothing wider than 1280 pixels
or taller than its slide.

One lesson a run, all of them in the full run (`python tasks.py test --all`).
"""

import json
import re

import pytest

from tests.browser.lab import ROOT, missing
from tests.browser.offline import Offline
from tests.rotation import share
from tools import handout, offline_page, slides

pytestmark = pytest.mark.skipif(missing() is not None, reason=str(missing()))
LESSONS = sorted((ROOT / "notebooks").glob("*.ipynb"))
NOW = share(LESSONS)
PIXEL = "data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw=="


def pictures(path, tagged: bool) -> int:
    """Count the pictures that a notebook shows, in all cells or in those tagged `slide`."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    if tagged:
        cells = [c for c in cells if c["metadata"].get("slideshow", {}).get("slide_type") == "slide"]
    return sum("image/png" in output.get("data", {}) for cell in cells for output in cell.get("outputs", []))


@pytest.fixture(scope="module")
def browser():
    with Offline() as browser:
        yield browser


@pytest.mark.parametrize("path", NOW, ids=lambda path: path.stem)
def test_a_deck_shows_each_slide_whole(browser, path, tmp_path):
    _, text = slides.make(ROOT, path.stem)
    (tmp_path / "deck.html").write_text(text, encoding="utf-8")
    found = list(browser.slides(tmp_path / "deck.html"))
    assert [fault for faults in found for fault in faults] == []
    assert browser.page.locator("section img").count() == pictures(path, tagged=True) > 0
    assert len(found) > 8


@pytest.mark.parametrize("path", NOW, ids=lambda path: path.stem)
def test_a_handout_shows_the_lesson_whole(browser, path, tmp_path):
    _, text = handout.handout(ROOT, path.stem)
    (tmp_path / "page.html").write_text(text, encoding="utf-8")
    assert browser.faults(tmp_path / "page.html") == []
    assert browser.page.locator("img").count() == pictures(path, tagged=False) > 0


def test_the_speakers_notes_hold_the_prose(browser, tmp_path):
    _, text = slides.make(ROOT, "04b")
    (tmp_path / "deck.html").write_text(text, encoding="utf-8")
    browser.open(tmp_path / "deck.html")
    browser.page.wait_for_function("Reveal.isReady()")
    with_notes = "Reveal.getSlides().findIndex(s => s.querySelector('aside.notes').innerText.trim())"
    browser.page.evaluate(f"Reveal.slide({with_notes})")
    notes = browser.page.evaluate("Reveal.getCurrentSlide().querySelector('aside.notes').innerText")
    with browser.context.expect_page() as opened:
        browser.page.keyboard.press("s")
    speaker = opened.value
    speaker.wait_for_function("document.body && document.body.innerText.includes('Notes')")
    shown = speaker.locator(".speaker-controls-notes .value")
    shown.wait_for()
    assert len(notes) > 40
    assert notes.partition(".")[0] in re.sub(r"\s+", " ", shown.inner_text())
    speaker.close()


BAD = {
    "raw TeX": "<p>Here is $x^2$ unset.</p>",
    "raw TeX: \\frac": "<p>a \\frac12 b</p>",
    "a figure is missing": '<img src="data:image/png;base64,AAAA" alt="broken">',
    "a figure is missing, or its text": f'<img src="{PIXEL}">',
    "asks the network for http": '<img src="http://example.invalid/x.png" alt="x">',
    "asks for another file": '<img src="neighbour.png" alt="x">',
    "the page is": '<div style="width: 2000px">wide</div>',
    "too wide": '<pre style="width: 300px; overflow-x: auto; white-space: pre">' + "x" * 200 + "</pre>",
    "an equation is too wide": '<div style="width: 300px">{equation}</div>',
    "an error in a script": "<script>nothing.there()</script>",
}


@pytest.mark.parametrize("fault", BAD)
def test_each_fault_of_a_page_is_found(browser, fault, tmp_path):
    equation = offline_page.markdown("$$" + "+".join(["x_{12}"] * 30) + "\\tag{1}$$")
    page = offline_page.page("bad", BAD[fault].replace("{equation}", equation))
    (tmp_path / "bad.html").write_text(page, encoding="utf-8")
    assert any(found.startswith(fault.split(": ")[0]) for found in browser.faults(tmp_path / "bad.html"))


def test_a_good_page_has_no_fault(browser, tmp_path):
    body = f'<p>It costs $5.</p><img src="{PIXEL}" alt="x">' + offline_page.markdown("$x^2$\n\n$$y$$")
    (tmp_path / "good.html").write_text(offline_page.page("good", body), encoding="utf-8")
    assert browser.faults(tmp_path / "good.html") == []


TALL = {
    "px in": "<pre>" + "line\n" * 60 + "</pre>",
    "outside": '<div style="position: absolute; top: 900px">far below</div>',
    "px: tiny": '<p style="font-size: 9px">tiny</p>',
    "small": f'<p>Beside</p><img src="{PIXEL}" alt="x" style="width: 80px; height: 40px">',
    "empty": "<p></p>",
}


@pytest.mark.parametrize("fault", TALL)
def test_each_fault_of_a_slide_is_found(browser, fault, tmp_path):
    made = [slides.Slide("First", "<p>Good.</p>"), slides.Slide("Bad", TALL[fault])]
    (tmp_path / "deck.html").write_text(slides.page("t", made), encoding="utf-8")
    good, bad = browser.slides(tmp_path / "deck.html")
    assert good == [] and any(fault in found for found in bad), bad
