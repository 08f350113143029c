"""Execute an assembled notebook in the `live` profile with this interpreter's kernel, and record what it
used."""

import ast
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

import ipykernel.kernelspec
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from nbclient import NotebookClient

from tools.builder import hashes
from tools.builder.lesson import ROOT
from tools.builder.outputs import clean

CELL_TIMEOUT = 600
# Run silently before the first cell: a build starts like a reader's first visit. It neither reads the
# maintainer's own digit and half-finished training in runs/ nor leaves its own there.
FIRST_VISIT = """exec('''
import pathlib
from course_utils.system import folders
folders._own_runs = lambda root: pathlib.Path({folder!r})
''', {{}})"""
# Asked of the kernel after the last cell: the package's files it loaded, and the runs it restored.
QUESTION = """__import__("json").dumps({
    "files": sorted(module.__file__ for name, module in list(__import__("sys").modules.items())
                    if name.split(".")[0] == "course_utils" and getattr(module, "__file__", None)),
    "runs": sorted(getattr(__import__("sys").modules.get("course_utils.runs"), "USED", ()))})"""


class ThisPython(KernelSpecManager):
    """Knows one kernel: the interpreter that runs the builder, whatever kernels the machine has
    registered."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        """Return the specification of this interpreter's kernel."""
        return KernelSpec(
            resource_dir=ipykernel.kernelspec.RESOURCES, **ipykernel.kernelspec.get_kernel_dict()
        )


def execute(notebook, cwd: Path, root: Path = ROOT, env: dict | None = None) -> dict:
    """Execute `notebook` in place in the folder `cwd`, clean its outputs and return what was measured.

    `env` adds environment variables. Returns {"live_seconds", "cell_seconds": [...], "code": hash, "package":
    {file: hash}, "looks": {file: hash}, "runs": {name: hash}}. Raises nbclient's CellExecutionError (a cell
    failed), CellTimeoutError (over ten minutes) or DeadKernelError.
    """
    cwd.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="course-build-") as scratch:
        variables = {**os.environ, "COURSE_PROFILE": "live", "IPYTHONDIR": scratch, **(env or {})}
        client = NotebookClient(
            notebook,
            km=AsyncKernelManager(kernel_spec_manager=ThisPython()),
            timeout=CELL_TIMEOUT,
            record_timing=False,
            raise_on_iopub_timeout=True,
            iopub_timeout=30,
        )
        client.owns_km = True  # so that the kernel is shut down on every way out
        seconds = []
        with client.setup_kernel(cwd=str(cwd), env=variables, stderr=subprocess.DEVNULL):
            started = time.perf_counter()
            _ask(client, FIRST_VISIT.format(folder=str(Path(scratch, "runs"))))
            imports = time.perf_counter() - started  # of torch, as in a reader's set-up cell
            for index, cell in enumerate(notebook.cells):
                if cell.cell_type == "code":
                    started = time.perf_counter()
                    client.execute_cell(cell, index, execution_count=len(seconds) + 1)
                    seconds.append(time.perf_counter() - started)
            used = json.loads(ast.literal_eval(_ask(client, QUESTION)))
    _clean(notebook)
    sources = code_of(notebook)
    return {
        "live_seconds": round(imports + sum(seconds), 1),
        "cell_seconds": [round(value, 1) for value in seconds],
        "code": hashes.cells_hash(sources),
        **hashes.package_hashes(used["files"], exact=hashes.shows_source(sources)),
        "runs": hashes.run_hashes(used["runs"], root),
    }


def _clean(notebook) -> None:
    """Make the outputs what a reader without a kernel should see."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = clean(cell.outputs, "quiet" in cell.metadata.get("tags", ()))


def code_of(notebook) -> list[str]:
    """Return the sources of a notebook's code cells, without the generated one that names the release."""
    cells = (cell for cell in notebook.cells if cell.cell_type == "code")
    return [cell.source for cell in cells if "find-course" not in cell.metadata.get("tags", ())]


def _ask(client: NotebookClient, expression: str) -> str:
    """Evaluate a Python expression in the kernel without leaving a trace; return the representation of its
    value."""
    message = client.kc.execute("", silent=True, store_history=False, user_expressions={"value": expression})
    answer = client.wait_for_reply(message)["content"]["user_expressions"]["value"]
    if answer["status"] != "ok":
        raise RuntimeError(
            f"The kernel could not answer the builder: {answer.get('ename')}: {answer.get('evalue')}."
        )
    return answer["data"]["text/plain"]
