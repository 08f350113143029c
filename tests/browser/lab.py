"""JupyterLab as `tasks.py lab` starts it, and a Chromium that uses it as a reader would: by keyboard and
mouse.

The server works on a copy of the notebooks, because JupyterLab saves what it shows. All notebooks share one
kernel. The one setting that differs from a reader's: cells are drawn at once, not when the machine has time
for it.
"""

import importlib.util
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from tests.browser.book import PANEL, Book

ROOT = Path(__file__).resolve().parent.parent.parent
TOKEN = "only-for-this-test"
# `tasks.py lab` with this interpreter instead of the one of a .venv that it would first bring up to date. It
# ends with its standard input, that is, with the tests, however those end.
START = """import os, pathlib, signal, sys, threading, tasks
threading.Thread(target=lambda: (sys.stdin.read(), os.killpg(0, signal.SIGTERM)), daemon=True).start()
tasks.VENV, tasks.ensure_environment = pathlib.Path(sys.prefix), lambda: sys.executable
sys.exit(tasks.lab(sys.argv[1:]))"""


def chromium() -> str | None:
    """Return the path of a Chromium (or of what the variable COURSE_CHROMIUM names), or None."""
    names = [os.environ.get("COURSE_CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome", "chrome"]
    return next((path for name in names if name and (path := shutil.which(name))), None)


def missing() -> str | None:
    """Return why the browser tests cannot run here, or None."""
    if os.name == "nt":
        return "the browser tests run on Linux and macOS"
    if importlib.util.find_spec("playwright") is None:
        return "playwright is not installed (python tasks.py setup installs it)"
    if chromium() is None:
        return "no Chromium was found (apt-get install chromium; elsewhere set COURSE_CHROMIUM to its path)"
    return None


class Lab:
    """A running server (`with Lab(folder) as lab`), one page on it, and what a reader does there."""

    def __init__(self, folder: Path):
        self.folder, self.kernel, self.requests = folder, None, []
        (folder / "notebooks").mkdir()
        # The copies keep their outputs, but a number before a cell is to say that it ran here.
        for path in (ROOT / "notebooks").glob("*.ipynb"):
            text = re.sub(
                r'"execution_count": \d+', '"execution_count": null', path.read_text(encoding="utf-8")
            )
            (folder / "notebooks" / path.name).write_text(text, encoding="utf-8")

    def __enter__(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"http://127.0.0.1:{free.getsockname()[1]}"
        places = {
            f"{name}_DIR": str(self.folder / "jupyter" / name)
            for name in ("JUPYTER_CONFIG", "JUPYTER_DATA", "JUPYTER_RUNTIME", "JUPYTERLAB_WORKSPACES",
                         "JUPYTERLAB_SETTINGS")
        }  # fmt: skip
        words = [
            "--no-browser",
            "--ServerApp.ip=127.0.0.1",
            f"--ServerApp.port={self.address.rsplit(':', 1)[1]}",
        ]
        words += ["--ServerApp.port_retries=0", f"--ServerApp.root_dir={self.folder}"]
        words += [f"--IdentityProvider.token={TOKEN}"]
        settings = self.folder / "jupyter" / "JUPYTERLAB_SETTINGS" / "@jupyterlab" / "notebook-extension"
        settings.mkdir(parents=True)
        (settings / "tracker.jupyterlab-settings").write_text('{"windowingMode": "none"}')
        self.log = open(self.folder / "server.log", "w")
        self.server = subprocess.Popen(
            [sys.executable, "-c", START, *words],
            cwd=ROOT,
            env={
                **os.environ,
                **places,
                "IPYTHONDIR": str(self.folder / "ipython"),
                "COURSE_PROFILE": "quick",
            },
            stdin=subprocess.PIPE,
            stdout=self.log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            self._wait_for_server()
            self._start_browser()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _wait_for_server(self) -> None:
        while self.server.poll() is None:
            try:
                return self.ask("/api/status")
            except urllib.error.URLError:
                time.sleep(0.1)
        raise RuntimeError("JupyterLab did not start:\n" + (self.folder / "server.log").read_text()[-3000:])

    def _start_browser(self) -> None:
        from playwright.sync_api import sync_playwright

        self.playwright = sync_playwright().start()
        words = ["--no-sandbox", "--disable-gpu"]
        self.browser = self.playwright.chromium.launch(executable_path=chromium(), args=words)
        self.page = self.browser.new_page(viewport={"width": 1300, "height": 1100})
        self.page.set_default_timeout(60_000)
        self.page.on("request", lambda request: self.requests.append(request.url))

    def __exit__(self, *_) -> None:
        for name, stop in (("browser", "close"), ("playwright", "stop")):
            if hasattr(self, name):
                getattr(getattr(self, name), stop)()
        self.server.stdin.close()
        try:
            self.server.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(self.server.pid, signal.SIGKILL)
        self.log.close()

    def ask(self, path: str, body: dict | None = None) -> dict:
        """Call the server's own interface; return its answer."""
        headers = {"Authorization": f"token {TOKEN}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(
            urllib.request.Request(self.address + path, data, headers), timeout=60
        ) as answer:
            return json.load(answer)

    def write(self, name: str, *sources: str, above=()) -> None:
        """Put a notebook beside the lessons: the cells `above`, then code cells with these sources."""
        cells = [cell | {"id": f"above{i}"} for i, cell in enumerate(above)]
        cells += [
            {
                "cell_type": "code",
                "id": f"c{i}",
                "source": s,
                "metadata": {},
                "outputs": [],
                "execution_count": None,
            }
            for i, s in enumerate(sources)
        ]
        kernel = {"name": "python3", "display_name": "Python 3 (ipykernel)"}
        book = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
        (self.folder / "notebooks" / f"{name}.ipynb").write_text(json.dumps(book))

    def open(self, name: str, *, unfold: bool = True) -> Book:
        """Open a notebook from the list of files, on the kernel of all; unfold its code."""
        kernel = {"id": self.kernel} if self.kernel else {"name": "python3"}
        path = f"notebooks/{name}.ipynb"
        session = self.ask(
            "/api/sessions", {"path": path, "name": name, "type": "notebook", "kernel": kernel}
        )
        if self.kernel is None:  # the printed address itself leads to lesson 00
            self.page.goto(f"{self.address}/?token={TOKEN}")
            self.page.wait_for_selector(f"{PANEL} .jp-Cell")
        elif self.page.locator(PANEL).count():
            self._close()
        self.kernel = session["kernel"]["id"]
        self.page.locator(".jp-DirListing-item", has_text=f"{name}.ipynb").dblclick()
        self.page.wait_for_selector(f'.lm-TabBar-tab.jp-mod-current:has-text("{name}.ipynb")')
        cells = len(json.loads((self.folder / path).read_text(encoding="utf-8"))["cells"])
        ready = "([panel, n]) => document.querySelectorAll(panel + ' .jp-Cell').length == n"
        self.page.wait_for_function(ready, arg=[PANEL, cells])
        # Not the toolbar's indicator: it says "idle" before there is a kernel, and a cell run then starts
        # another one.
        connected = """panel => ['.jp-NotebookPanel-toolbar', '#jp-main-statusbar'].every((place, k) => document
            .querySelector(k ? place : panel + ' ' + place).innerText.includes(k ? '| Idle' : 'ipykernel'))"""
        self.page.wait_for_function(connected, arg=PANEL)
        if unfold:
            self._unfold()
        return Book(self, name)

    def _unfold(self) -> None:
        """Unfold sections by their buttons and code by the menu (test_folds.py looks at them folded)."""
        folded = self.page.locator(f"{PANEL} .jp-showHiddenCellsButton:visible")
        for _ in range(folded.count()):
            folded.first.click()
        self.page.locator(".lm-MenuBar-itemLabel", has_text="View").click()
        self.page.locator(".lm-Menu-itemLabel", has_text="Expand All Code").click()
        folded = "panel => document.querySelectorAll(panel + ' .jp-InputPlaceholder').length == 0"
        self.page.wait_for_function(folded, arg=PANEL)

    def _close(self) -> None:
        """Close the notebook in front without saving; it would go on drawing whatever the kernel of all
        sends."""
        front = self.page.query_selector(PANEL)
        self.page.locator(".lm-TabBar-tab.jp-mod-current .lm-TabBar-tabCloseIcon").click()
        self.page.wait_for_function("e => !e.isConnected || document.querySelector('.jp-Dialog')", arg=front)
        discard = self.page.locator(".jp-Dialog button.jp-mod-warn")
        if discard.count():
            discard.first.click()
        self.page.wait_for_function("e => !e.isConnected", arg=front)
