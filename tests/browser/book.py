"""A notebook in JupyterLab and the widgets below its cells, used as a reader would: by keyboard and mouse."""

import base64
import time
from pathlib import Path

SCREENSHOTS = Path(__file__).resolve().parent.parent.parent / "build" / "browser"
PANEL = ".jp-NotebookPanel:not(.lm-mod-hidden)"
ERRORS = """panel => [...panel.querySelectorAll('[data-mime-type="application/vnd.jupyter.error"],' +
    '[data-mime-type="application/vnd.jupyter.stderr"], [role=alert]')].map(e => e.innerText)"""
BYTES = """async image => {
    const bytes = new Uint8Array(await (await fetch(image.src)).arrayBuffer());
    return btoa(Array.from(bytes, b => String.fromCharCode(b)).join(''))}"""


class Book:
    """The notebook in front, with the reader's hands on it."""

    def __init__(self, lab, name: str):
        self.lab, self.page, self.name = lab, lab.page, name
        self.panel = self.page.locator(PANEL)
        self.cells = self.panel.locator(".jp-Cell")

    def select(self, index: int) -> None:
        """Select a cell as with the mouse, at its left edge (a click on text could follow a link)."""
        self.page.evaluate("document.activeElement.blur()")  # a control in the same cell would keep the focus
        self.cells.nth(index).locator(".jp-InputArea-prompt").first.click()

    def run(self, first: int, last: int) -> None:
        """Run the cells `first` to `last`, from the top by menu, else by Shift and Enter; wait for the
        kernel."""
        prompt = self.cells.nth(last).locator(".jp-InputPrompt")
        before = prompt.inner_text()
        if first == 0 and last > 5:
            self.select(last)
            self.page.locator(".lm-MenuBar-itemLabel", has_text="Run").click()
            self.page.locator(".lm-Menu-itemLabel", has_text="Run All Above Selected Cell").click()
            first = last
        self.select(first)
        for index in range(first, last + 1):  # a key that comes before the selection has moved on is lost
            active = "e => e.classList.contains('jp-mod-active')"
            self.page.wait_for_function(active, arg=self.cells.nth(index).element_handle())
            self.page.keyboard.press("Shift+Enter")
        self.page.wait_for_function(
            r"([e, before]) => /\d/.test(e.innerText) && e.innerText != before",
            arg=[prompt.element_handle(), before],
            timeout=240_000,  # the cells above may train for a moment, on a machine that does other things
        )

    def output(self, index: int) -> str:
        """Return the text below a cell."""
        return self.cells.nth(index).locator(".jp-OutputArea").inner_text()

    def errors(self) -> list[str]:
        """Return every error a reader sees in this notebook."""
        return self.panel.evaluate(ERRORS)

    def write(self, index: int, source: str) -> None:
        """Replace the source of a cell by typing over it, and run it."""
        self.cells.nth(index).locator(".cm-content").click()
        self.page.keyboard.press("ControlOrMeta+a")
        self.page.keyboard.insert_text(source)
        self.page.keyboard.press("Shift+Enter")

    def widgets(self, index: int) -> list["View"]:
        """Wait for the widgets below a cell and return them."""
        boxes = self.cells.nth(index).locator(".jp-OutputArea-output > .widget-vbox")
        boxes.first.wait_for()
        return [View(self, boxes.nth(i)) for i in range(boxes.count())]

    def screenshot(self, name: str = "") -> Path:
        """Keep what the reader sees as build/browser/NAME.png."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        path = SCREENSHOTS / f"{name or self.name}.png"
        self.page.screenshot(path=path)
        return path


class View:
    """One widget on the page: its picture and its controls."""

    KINDS = {
        "slider": ".noUi-handle",
        "player": ".widget-play button",
        "choice": ".widget-toggle-button",
        "button": ".widget-button",
        "tick": "input[type=checkbox]",
        "other": "select, textarea, input:not([type=checkbox])",
    }

    def __init__(self, book: Book, box):
        self.book, self.page, self.box = book, book.page, box
        self.controls = box.locator(", ".join(self.KINDS.values()))

    def kind(self, index: int) -> str:
        """Return what the control number `index` is: a key of KINDS."""
        ask = "(e, kinds) => Object.keys(kinds).find(kind => e.matches(kinds[kind]))"
        return self.controls.nth(index).evaluate(ask, self.KINDS)

    def picture(self) -> bytes:
        """Return the bytes of the picture."""
        image = self.box.locator("img.widget-image")
        return base64.b64decode(image.evaluate(BYTES))

    def changes(self, act, seconds: float = 60) -> bool:
        """Do `act()` and return whether the picture's bytes become others."""
        before, end = self.picture(), time.monotonic() + seconds
        act()
        while time.monotonic() < end:
            if self.picture() != before:
                return True
            self.page.wait_for_timeout(50)
        return False

    def tab_stops(self):
        """Press Tab from the widget's cell on and yield the number of each control of this widget that gets
        the focus.

        Ends where the focus has been in the widget and leaves it.
        """
        reached, seen = "(e, all) => [...e.querySelectorAll(all)].indexOf(document.activeElement)", False
        for _ in range(200):
            self.page.keyboard.press("Tab")
            index = self.box.evaluate(reached, ", ".join(self.KINDS.values()))
            inside = self.box.evaluate("e => e.contains(document.activeElement)")
            if seen and not inside:
                return
            seen = seen or inside
            if index >= 0:
                yield index

    def press(self, index: int) -> None:
        """Use the control with the focus by the key that its kind asks for."""
        control = self.controls.nth(index)
        if self.kind(index) == "slider":
            now, most = (float(control.get_attribute(f"aria-value{name}")) for name in ("now", "max"))
            self.page.keyboard.press("ArrowLeft" if now >= most else "ArrowRight")
        else:
            self.page.keyboard.press("Space" if self.kind(index) == "tick" else "Enter")

    def is_chosen(self, index: int) -> bool:
        """Return whether a button of a choice is the one that is down."""
        return "mod-active" in (self.controls.nth(index).get_attribute("class") or "")

    def drag(self, index: int) -> None:
        """Drag a slider's handle with the mouse to its far half."""
        handle = self.controls.nth(index)
        handle.scroll_into_view_if_needed()
        rail = handle.locator("xpath=ancestor::*[contains(@class,'noUi-target')]").bounding_box()
        knob = handle.bounding_box()
        x, y = knob["x"] + knob["width"] / 2, knob["y"] + knob["height"] / 2
        left = x < rail["x"] + rail["width"] / 2
        self.page.mouse.move(x, y)
        self.page.mouse.down()
        self.page.mouse.move(rail["x"] + rail["width"] * (0.85 if left else 0.15), y, steps=4)
        self.page.mouse.up()
