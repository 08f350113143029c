"""Pages of a lesson as they are read: its prose, tables and equations, without its code, and what is measured
on them.

A notebook of these parts alone opens in seconds; a lesson with its editors takes ten times as long.
"""

import json
import re
from pathlib import Path

from tests.browser.book import PANEL

WIDE = re.compile(r"\$\$|^\|.*\|$|<table|```", re.MULTILINE)
"""What may be wider than the page: an equation of its own line, a table, code. Pictures shrink with it."""
VIEWS = ((1280, True), (800, False))
"""Widths of the window in CSS pixels, and whether the list of files is open: it takes 250 of them."""
CUT = r"""panel => {
    const root = document.querySelector(panel), found = [];
    const start = e => [...e.innerText.replace(/\s+/g, ' ')].slice(0, 80).join('');
    root.querySelectorAll('details').forEach(folded => { folded.open = true; });
    // what a screen reader hears is laid out unseen, and often wider than the formula that is seen
    root.querySelectorAll('mjx-assistive-mml').forEach(heard => {
        heard.style.setProperty('display', 'none', 'important');
    });
    for (const box of root.querySelectorAll('.jp-RenderedHTMLCommon, .jp-RenderedHTMLCommon *')) {
        if (!box.clientWidth || box.matches('mjx-container *')) continue;
        if (getComputedStyle(box).overflowX == 'visible' || box.scrollWidth <= box.clientWidth + 1) continue;
        const edge = box.getBoundingClientRect().left + box.clientWidth;
        const wide = [...box.querySelectorAll('mjx-container, table, pre')]
            .filter(e => e.getBoundingClientRect().right > edge + 1);
        found.push(`${box.scrollWidth} px in ${box.clientWidth}: ` + (wide.map(start).join(' | ') || start(box)));
    }
    return found}"""


def prose(text: str) -> dict:
    """Return a Markdown cell."""
    return {"cell_type": "markdown", "metadata": {}, "source": text}


def wide_cells(path: Path) -> list[dict]:
    """Return the cells of a notebook that hold something wide: prose, and outputs in Markdown without the
    code."""
    found = []
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "markdown" and WIDE.search("".join(cell["source"])):
            found.append(prose(cell["source"]))
        shown = [o for o in cell.get("outputs", []) if "text/markdown" in o.get("data", {})]
        if shown := [output for output in shown if WIDE.search("".join(output["data"]["text/markdown"]))]:
            found.append({**cell, "source": "", "metadata": {}, "outputs": shown})
    return found


def cut(lab) -> dict[str, list[str]]:
    """Return what is cut, or must be scrolled sideways, in the notebook in front, by the width of the
    window."""
    before, found = lab.page.viewport_size, {}
    typeset = "panel => !document.querySelector(panel).innerText.includes('$$')"
    lab.page.wait_for_function(typeset, arg=PANEL)
    for width, files in VIEWS:
        if not files:
            lab.page.keyboard.press("ControlOrMeta+b")
        lab.page.set_viewport_size({"width": width, "height": before["height"]})
        lab.page.wait_for_timeout(300)  # JupyterLab lays out its panels after the window has changed
        found[f"{width} pixels"] = lab.page.evaluate(CUT, PANEL)
        if not files:
            lab.page.keyboard.press("ControlOrMeta+b")
    lab.page.set_viewport_size(before)
    return {width: parts for width, parts in found.items() if parts}


THEMES = ("JupyterLab Dark", "JupyterLab Light")
FAINT = r"""([panel, least]) => {
    const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
    function rgba(colour) {  // of any notation of CSS
        canvas.clearRect(0, 0, 1, 1);
        canvas.fillStyle = colour;
        canvas.fillRect(0, 0, 1, 1);
        const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
        return [r, g, b, a / 255];
    }
    const over = ([r, g, b, a], below) => [r, g, b].map((c, i) => a * c + (1 - a) * below[i]);
    function paper(element) {
        if (!element) return [255, 255, 255];
        const own = rgba(getComputedStyle(element).backgroundColor);
        return own[3] == 1 ? own.slice(0, 3) : over(own, paper(element.parentElement));
    }
    const light = colour => colour.map(c => c / 255).map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
        .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
    const root = document.querySelector(panel), found = [], seen = {};
    root.querySelectorAll('details').forEach(folded => { folded.open = true; });
    const walk = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
    for (let node = walk.nextNode(); node; node = walk.nextNode()) {
        const element = node.parentElement;
        if (!element.closest('.jp-OutputArea-output, .jp-MarkdownOutput') || !node.data.trim()) continue;
        if (element.matches('pre code *')) continue;  // JupyterLab colours code; its comments have 4.15 : 1
        if (!element.checkVisibility({visibilityProperty: true}) || element.closest('mjx-assistive-mml')) continue;
        const below = paper(element), drawn = rgba(getComputedStyle(element).color);
        for (let e = element; e; e = e.parentElement) drawn[3] *= getComputedStyle(e).opacity;
        const [a, b] = [light(over(drawn, below)), light(below)].sort((x, y) => y - x);
        const ratio = (a + 0.05) / (b + 0.05), place = element.tagName.toLowerCase();
        seen[place] = Math.min(ratio, seen[place] ?? 99);
        const said = [...node.data.trim()].slice(0, 60).join('');
        if (ratio < least) found.push(`${ratio.toFixed(2)} : 1, ${place}: ${said}`);
    }
    return [found, seen]}"""


def faint(lab, least: float = 4.5) -> dict[str, list[str]]:
    """Return the text of outputs and prose in the notebook in front whose contrast is below `least`, by theme.

    Contrast as in WCAG 2.2: (L₁ + 0.05) / (L₂ + 0.05) of the relative luminances of text and paper as computed
    by the browser; what is transparent lets through what is below it. Afterwards the theme is the light one.
    """
    found = {}
    for theme in THEMES:
        lab.page.locator(".lm-MenuBar-itemLabel", has_text="Settings").click()
        lab.page.locator(".lm-Menu-itemLabel", has_text=re.compile("^Theme$")).click()
        lab.page.locator(".lm-Menu-itemLabel", has_text=re.compile(f"^{theme}$")).click()
        lab.page.wait_for_selector(f'body[data-jp-theme-name="{theme}"]', state="attached")
        lab.page.wait_for_timeout(300)  # colours fade from one theme to the next
        found[theme], seen = lab.page.evaluate(FAINT, [PANEL, least])
        assert seen, "nothing was measured"
    return {theme: parts for theme, parts in found.items() if parts}
