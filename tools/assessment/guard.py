"""Grading that a submission cannot stop: nbgrader's preprocessor `Steady`, for nbgrader_config.py.

nbgrader runs a notebook in one kernel. An answer that ends the kernel, prints without end or catches every
interrupt would cost its author all points, and a test that never ran would count as passed, for nbgrader
looks for errors and finds none. `Steady` starts a new kernel after such a cell, runs again what stood above it,
and marks that cell alone as failed.

`python tasks.py assignment` copies this file into the class folder; it needs nothing of the course.
"""

import ast
import builtins
import secrets
import subprocess
import time
from queue import Empty

import nbformat
from handed_in import note
from jupyter_client.manager import start_new_kernel
from nbgrader.preprocessors import NbGraderPreprocessor
from nbgrader.utils import is_grade
from traitlets import Float, Integer, List

SHOWS = {"figure", "experiment"}
"""Tags of cells that show what answers do: no test needs them, so a new kernel does without."""
CONTROL = """
def control(token):
    import sys, torch
    one, two = torch.tensor([1.0]), torch.tensor([2.0])
    fair = abs(-2) == 2 and max(1, 2) == 2 and not all([True, False]) and any([False, True])
    fair = fair and torch.allclose(one, one) and not torch.allclose(one, two) and not torch.equal(one, two)
    try:
        torch.testing.assert_close(one, two)
    except AssertionError:
        pass
    else:
        fair = False
    try:
        assert fair is None
    except AssertionError:
        if fair:
            raise AssertionError(token)
__import__("builtins").exec("control({token!r})", {{"control": control}})
"""
"""Fails with the token if comparisons compare, assertions assert and errors are shown."""


class Steady(NbGraderPreprocessor):
    """Execute a notebook to its end, whatever its cells do."""

    cell_seconds = Float(60, help="a cell that takes longer is interrupted").tag(config=True)
    first_seconds = Float(300, help="the same for what is given, not answered").tag(config=True)
    all_seconds = Float(900, help="after so long the rest of a notebook is not run").tag(config=True)
    skip = List([], help="tags of cells that are not run: figure, experiment").tag(config=True)
    most_output = Integer(200_000, help="characters that one cell may print").tag(config=True)

    def preprocess(self, nb, resources):
        """Return the notebook with the outputs of its code cells."""
        self.folder = resources.get("metadata", {}).get("path") or "."
        self.until = time.monotonic() + self.all_seconds
        self.names = resources["nbgrader"]
        self.replay, self.sound, self.answered, self.hung = [], 0, False, False
        self.manager, self.client = None, None
        try:
            for cell in nb.cells:
                if cell.cell_type == "code":
                    self._one(cell)
        finally:
            self._stop()
        return nb, resources

    def _one(self, cell) -> None:
        """Run one cell and judge whether its outputs can be trusted."""
        cell.outputs, cell.execution_count = [], None
        tags = set(cell.metadata.get("tags", []))
        if not cell.source.strip() or tags & set(self.skip):
            return
        if cell.metadata.get("nbgrader", {}).get("solution"):
            self.answered = True
        if time.monotonic() > self.until:
            self._fail(cell, f"not run: this notebook took more than {self.all_seconds:g} s")
            return
        if self.client is None and not self._start():
            self._fail(cell, "not run: no kernel could be brought to this place")
            return
        if is_grade(cell):
            self._run(_clean(cell.source), 10)
        patient = not self.answered or (tags & SHOWS and not self.hung)
        cell.outputs, trouble = self._run(cell.source, self.first_seconds if patient else self.cell_seconds)
        if trouble:
            self.hung = True  # from here on experiments, too, get no more than a minute
            self._fail(cell, trouble)
            if self.client is not None and not self._answers():
                self._stop()
        if is_grade(cell):
            self._judge(cell)
        elif not trouble and not tags & SHOWS:
            self.replay.append(cell.source)
            if not self.answered:  # above the first answer nobody has changed anything
                self.sound = len(self.replay)

    def _judge(self, cell) -> None:
        """Leave of a test's outputs what says that it failed; make sure that it could have failed.

        Where it could not, a new kernel goes on without the cells since the last test that could.
        """
        cell.outputs = [output for output in cell.outputs if output.output_type == "error"]
        if self.client is None:
            return
        token = secrets.token_hex(8)
        found, _ = self._run(CONTROL.format(token=token), 30)
        if [output.get("evalue") for output in found if output.output_type == "error"] == [token]:
            self.sound = len(self.replay)
            return
        self._fail(cell, "tests can no longer fail: an answer above changes what they are made of")
        del self.replay[self.sound :]
        self._stop()

    def _fail(self, cell, text: str) -> None:
        """Let a cell count as failed, and write down why for the mark sheet."""
        cell.outputs.append(_error(text))
        name = cell.metadata.get("nbgrader", {}).get("grade_id") or cell.source.split("\n")[0]
        note(self.names, f"{name}: {text}")

    def _start(self) -> bool:
        """Start a kernel and run again what the notebook had run; return whether that worked."""
        self.manager, self.client = start_new_kernel(
            startup_timeout=120, cwd=self.folder, stderr=subprocess.DEVNULL
        )
        for source in self.replay:
            _, trouble = self._run(source, self.first_seconds)
            if trouble or self.client is None:
                self._stop()
                return False
        return True

    def _stop(self) -> None:
        if self.client is not None:
            self.client.stop_channels()
            self.manager.shutdown_kernel(now=True)
        self.client = None

    def _answers(self) -> bool:
        """Whether the kernel still does what it is told."""
        return not self._run("pass", 5, interrupt=False)[1]

    def _run(self, source: str, seconds: float, interrupt: bool = True) -> tuple[list, str]:
        """Run a piece of code; return its outputs, and what went wrong with the kernel, or "".

        A kernel that died is gone afterwards: `self.client` is None.
        """
        if self.client is None:
            return [], "there is no kernel"
        asked = self.client.execute(source, allow_stdin=False, stop_on_error=False)
        outputs, printed, trouble, until = [], 0, "", time.monotonic() + seconds
        while True:
            try:
                message = self.client.get_iopub_msg(timeout=0.5)
            except Empty:
                if not self.manager.is_alive():
                    self._stop()
                    return outputs, "the kernel ended in this cell"
                message = None
            if time.monotonic() > until:
                if trouble or not interrupt:
                    self._stop()
                    return outputs, trouble or "the kernel does not answer"
                trouble, until = f"stopped after {seconds:g} s", time.monotonic() + 5
                self.manager.interrupt_kernel()
            if message is None or message["parent_header"].get("msg_id") != asked:
                continue
            kind, content = message["msg_type"], message["content"]
            if kind == "status" and content["execution_state"] == "idle":
                return outputs, trouble
            printed += len(str(content)) if kind in ("stream", "display_data", "execute_result") else 0
            if printed > self.most_output:
                if not trouble:
                    trouble, until = "stopped: it prints too much", time.monotonic() + 5
                    self.manager.interrupt_kernel()
            else:
                _keep(outputs, message)


def _keep(outputs: list, message: dict) -> None:
    """Add what a message shows to the outputs of a cell; texts of one stream become one."""
    kind = message["msg_type"]
    if kind not in ("stream", "display_data", "execute_result", "error"):
        return
    output = nbformat.v4.output_from_msg(message)
    if kind == "stream" and outputs and outputs[-1].get("name") == output.name:
        outputs[-1]["text"] += output.text
    else:
        outputs.append(output)


def _clean(source: str) -> str:
    """Code that gives back to the names which a test uses what they mean in Python: `sum`, `max`, `torch`."""
    used = {node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)}
    modules = [name for name in ("math", "torch") if name in used]
    shadowed = sorted(used & set(dir(builtins)))
    return "\n".join(
        [*(f"globals().pop({name!r}, None)" for name in shadowed), *(f"import {m}" for m in modules)]
    )


def _error(text: str) -> nbformat.NotebookNode:
    """An output by which nbgrader knows that a test failed."""
    return nbformat.v4.new_output("error", ename="NotPassed", evalue=text, traceback=[f"NotPassed: {text}"])
