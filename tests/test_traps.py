"""Notebooks that fail in ways nbval alone does not see, or sees too late: each must fail a run, soon.

A notebook is written to a temporary folder beside a copy of the real conftest.py and run in a process of its own.
The fence of each run is far below the time limit of the cell it waits for, or the run would not end at all.
"""

import os
import re
import shutil
import subprocess
import sys

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from tools.source import ROOT

FENCE = 90  # seconds for a whole run, start of Python and kernel included


def run_notebook(folder, cells, *options):
    """Run pytest on a notebook with these code cells; return (exit status, output, outcomes by cell number)."""
    shutil.copy(ROOT / "conftest.py", folder)
    notebook = new_notebook(cells=[new_code_cell(source) for source in cells])
    nbformat.write(notebook, folder / "trap.ipynb")
    variables = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    variables |= {"COURSE_PROFILE": "quick", "PYTHONPATH": str(ROOT)}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-c",
        ROOT / "pyproject.toml",
        "--rootdir",
        folder,
        "-vv",
        "-rA",
        "--color=no",
        "-p",
        "no:cacheprovider",
        *options,
        "trap.ipynb",
    ]
    done = subprocess.run(
        list(map(str, command)),
        cwd=folder,
        env=variables,
        timeout=FENCE,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    found = re.findall(r"^(PASSED|FAILED|ERROR|XFAIL|XPASS|SKIPPED) trap\.ipynb::Cell (\d+)", done.stdout, re.MULTILINE)
    return done.returncode, done.stdout, {int(cell): outcome for outcome, cell in found}


def test_a_notebook_without_a_trap_passes(tmp_path):
    status, output, cells = run_notebook(tmp_path, ["x = 1", "assert x == 1"])
    assert status == 0, output
    assert cells == {0: "PASSED", 1: "PASSED"}


def test_a_cell_that_hangs_and_ends_quietly_on_the_interrupt_fails(tmp_path):
    hang = "import time\ntry:\n    time.sleep(10_000)\nexcept KeyboardInterrupt:\n    pass"
    status, output, cells = run_notebook(tmp_path, ["x = 1", hang, "x = 2"], "--nbval-cell-timeout=2")
    assert status == 1 and cells[0] == "PASSED" and cells[1] == "FAILED", output
    assert "swallowed the interrupt" in output
    assert cells[2] != "PASSED"  # it would have met a state that no reader meets


@pytest.mark.parametrize("busy", ["time.sleep(0.5)", "print('still here', flush=True); time.sleep(0.5)"])
def test_a_cell_that_hangs_whatever_interrupts_it_fails(tmp_path, busy):
    hang = f"import time\nwhile True:\n    try:\n        {busy}\n    except KeyboardInterrupt:\n        pass"
    status, output, cells = run_notebook(tmp_path, [hang, "x = 2"], "--nbval-cell-timeout=2")
    assert status == 1 and cells[0] == "FAILED" and cells[1] != "PASSED", output


@pytest.mark.parametrize("death", ["import os; os._exit(1)", "print('last words', flush=True); import os; os._exit(0)"])
def test_a_dead_kernel_fails_at_once_and_not_after_the_time_limit(tmp_path, death):
    status, output, cells = run_notebook(tmp_path, [death, "x = 2"], f"--nbval-cell-timeout={100 * FENCE}")
    assert status == 1 and cells == {0: "FAILED", 1: "FAILED"}, output
    assert "the kernel died" in output


def test_a_widget_callback_that_raises_fails(tmp_path):
    draw = (
        "import course_utils as cu\nimport matplotlib.pyplot as plt\n"
        "def draw(k):\n    fig, ax = plt.subplots()\n    ax.plot([1 / (k - 3)])\n    return fig"
    )
    fine, raises = (f"cu.explore(draw, 'One over k minus three.', k={span})" for span in ((4, 9, 1), (0, 3, 1)))
    status, output, cells = run_notebook(tmp_path, [draw, fine, raises])
    assert status == 1 and cells == {0: "PASSED", 1: "PASSED", 2: "FAILED"}, output
    assert "ZeroDivisionError" in output


def test_the_cells_of_one_notebook_are_never_dealt_out_to_several_workers(tmp_path):
    status, output, _ = run_notebook(tmp_path, ["x = 1", "assert x == 1"], "-n", "2")
    assert status == pytest.ExitCode.USAGE_ERROR, output
    status, output, _ = run_notebook(tmp_path, ["x = 1", "assert x == 1"], "-n", "2", "--dist", "loadfile")
    assert status == 0, output
