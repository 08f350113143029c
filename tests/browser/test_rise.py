"""A lesson as live slides: jupyterlab-rise, which is in the extra `teach`, shows the cells that the lesson tags."""

import importlib.util
import shutil

import pytest

from tests.browser.lab import ROOT, TOKEN, Lab, missing

WHY = missing() or (
    None if importlib.util.find_spec("jupyterlab_rise") else "jupyterlab-rise is not installed"
)
pytestmark = [pytest.mark.skipif(WHY is not None, reason=str(WHY)), pytest.mark.turns(6)]
LESSON = "04b_a_real_number"
LOOK = """() => {
    const slide = [...document.querySelectorAll('.reveal .slides section.present')].pop();
    const title = slide.querySelector('.jp-PlaceholderText'), picture = slide.querySelector('img');
    return [title.innerText, parseFloat(getComputedStyle(title).fontSize), picture.naturalWidth]}"""


def test_live_slides_show_what_is_tagged(tmp_path):
    with Lab(tmp_path) as lab:
        shutil.copy(ROOT / "notebooks" / "rise.css", tmp_path / "notebooks")
        page = lab.browser.new_page(viewport={"width": 1280, "height": 720})
        page.set_default_timeout(150_000)
        page.goto(f"{lab.address}/rise/notebooks/{LESSON}.ipynb?token={TOKEN}")
        page.wait_for_selector(".reveal .slides section.present h1")
        page.wait_for_selector(".reveal .controls .enabled", state="attached")  # reveal.js hears keys
        page.keyboard.press("Space")
        page.wait_for_selector(".reveal .slides section.present img")
        title, size, width = page.evaluate(LOOK)
        assert title.startswith("# @title Figure: where the logarithm stands")
        assert size < 20, "notebooks/rise.css is not read"
        assert width > 300
