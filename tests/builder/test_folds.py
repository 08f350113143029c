"""Folded figures and folded sections, in JupyterLab itself: what a reader meets, and what one click opens."""

import shutil

import pytest

from tests.browser.lab import Lab, missing
from tests.builder.course import built, cell_with

pytestmark = [pytest.mark.turns(3), pytest.mark.skipif(missing() is not None, reason=str(missing()))]


def test_figures_and_deeper_sections_open_folded_and_one_click_unfolds_them(executed, tmp_path):
    book = built(executed)
    figure, heading = cell_with(book, "@title Figure: a grey pixel"), cell_with(book, "## 3 · A run")
    with Lab(tmp_path) as lab:
        shutil.copy(executed.notebooks / "00_tiny.ipynb", tmp_path / "notebooks" / "00_tiny.ipynb")
        page = lab.open("00_tiny", unfold=False)
        assert not page.cells.nth(figure).locator(".cm-content").is_visible()
        assert page.cells.nth(figure).locator("img").first.is_visible(), "its output stays"
        page.cells.nth(figure).locator(".jp-InputPlaceholder, .jp-Placeholder").first.click()
        page.cells.nth(figure).locator(".cm-content").wait_for()
        assert page.cells.nth(heading).is_visible()
        below = [page.cells.nth(index) for index in range(heading + 1, len(book.cells))]
        assert len(below) == 2 and not any(cell.is_visible() for cell in below)
        assert page.cells.nth(cell_with(book, "## 2 · Figures")).is_visible()
        page.screenshot("folds")
        page.cells.nth(heading).locator(".jp-showHiddenCellsButton").click()
        below[-1].wait_for()
        assert all(cell.is_visible() for cell in below)
