"""Notebooks that fail in ways nbval alone does not see, or sees too late: each must fail a run, soon.

The notebooks of all traps are written to one folder beside a copy of the real conftest.py. Two processes run
them: one with a limit of two seconds a cell, for those that hang, and one with a limit far beyond the fence of
the process itself, for those that must fail at once.
"""

import os
import re
import shutil
import subprocess
import sys

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from tools.builder.source import ROOT

pytestmark = pytest.mark.turns(3)

FENCE = 180  # seconds for a whole run, start of Python and kernels included
PASSES = ["x = 1", "assert x == 1"]
STUBBORN = "import time\nwhile True:\n    try:\n        {busy}\n    except KeyboardInterrupt:\n        pass"
HANG = {
    "quiet": [
        "x = 1",
        "import time\ntry:\n    time.sleep(10_000)\nexcept KeyboardInterrupt:\n    pass",
        "x = 2",
    ],
    "stubborn": [STUBBORN.format(busy="time.sleep(0.5)"), "x = 2"],
    "printing": [STUBBORN.format(busy="print('still here', flush=True); time.sleep(0.5)"), "x = 2"],
}
DRAW = (
    "import course_utils as cu\nimport matplotlib.pyplot as plt\n"
    "def draw(k):\n    fig, ax = plt.subplots()\n    ax.plot([1 / (k - 3)])\n    return fig"
)
AT_ONCE = {
    "passes": PASSES,
    "dies": ["import os; os._exit(1)", "x = 2"],
    "prints and dies": ["print('last words', flush=True); import os; os._exit(0)", "x = 2"],
    "raises in a callback": [
        DRAW,
        "cu.explore(draw, 'One over k minus three.', k=(4, 9, 1))",
        "cu.explore(draw, 'One over k minus three.', k=(0, 3, 1))",
    ],
}


def run_notebooks(folder, notebooks, *options):
    """Run pytest on {name: code cells}; return (exit status, output, {name: {number of the cell: outcome}})."""
    shutil.copy(ROOT / "conftest.py", folder)
    for name, cells in notebooks.items():
        book = new_notebook(cells=[new_code_cell(source) for source in cells])
        nbformat.write(book, folder / f"{name.replace(' ', '_')}.ipynb")
    variables = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    variables |= {"COURSE_PROFILE": "quick", "PYTHONPATH": str(ROOT)}
    words = ["-c", ROOT / "pyproject.toml", "--rootdir", folder, "-vv", "-rA", "--color=no"]
    command = [sys.executable, "-m", "pytest", *words, "-p", "no:cacheprovider", *options, "."]
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
    outcomes = r"^(PASSED|FAILED|ERROR|XFAIL|XPASS|SKIPPED) (\w+)\.ipynb::Cell (\d+)"
    found = {name: {} for name in notebooks}
    for outcome, stem, cell in re.findall(outcomes, done.stdout, re.MULTILINE):
        found[stem.replace("_", " ")][int(cell)] = outcome
    return done.returncode, done.stdout, found


@pytest.fixture(scope="module")
def hanging(tmp_path_factory):
    """The traps that hang, run with two seconds a cell."""
    return run_notebooks(tmp_path_factory.mktemp("hanging"), HANG, "--nbval-cell-timeout=2")


@pytest.fixture(scope="module")
def at_once(tmp_path_factory):
    """The other traps, run with a limit that would break the fence."""
    return run_notebooks(tmp_path_factory.mktemp("at_once"), AT_ONCE, f"--nbval-cell-timeout={100 * FENCE}")


def test_a_notebook_without_a_trap_passes(at_once):
    _, output, cells = at_once
    assert cells["passes"] == {0: "PASSED", 1: "PASSED"}, output


def test_a_cell_that_hangs_and_ends_quietly_on_the_interrupt_fails(hanging):
    status, output, cells = hanging
    assert status == 1 and cells["quiet"][0] == "PASSED" and cells["quiet"][1] == "FAILED", output
    assert "swallowed the interrupt" in output
    assert cells["quiet"][2] != "PASSED"  # it would have met a state that no reader meets


@pytest.mark.parametrize("name", ["stubborn", "printing"])
def test_a_cell_that_hangs_whatever_interrupts_it_fails(hanging, name):
    _, output, cells = hanging
    assert cells[name][0] == "FAILED" and cells[name][1] != "PASSED", output


@pytest.mark.parametrize("name", ["dies", "prints and dies"])
def test_a_dead_kernel_fails_at_once_and_not_after_the_time_limit(at_once, name):
    status, output, cells = at_once
    assert status == 1 and cells[name] == {0: "FAILED", 1: "FAILED"}, output
    assert "the kernel died" in output


def test_a_widget_callback_that_raises_fails(at_once):
    _, output, cells = at_once
    assert cells["raises in a callback"] == {0: "PASSED", 1: "PASSED", 2: "FAILED"}, output
    assert "ZeroDivisionError" in output


def test_the_cells_of_one_notebook_are_never_dealt_out_to_several_workers(tmp_path):
    status, output, _ = run_notebooks(tmp_path, {"passes": PASSES}, "-n", "2")
    assert status == pytest.ExitCode.USAGE_ERROR, output
    status, output, _ = run_notebooks(tmp_path, {"passes": PASSES}, "-n", "2", "--dist", "loadfile")
    assert status == 0, output
