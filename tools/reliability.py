"""docs/reliability.md: the faults that the course survives, from the tests that prove it and a run of them.

    python tools/reliability.py        runs the tests marked `fault` or `gpu` and writes the page (minutes)

A test marked `fault(fault=…, sees=…, kept=…)` is a row; the docstring of a test marked `gpu` is one, too. A
run that fails writes nothing. tests/tools/test_reliability.py says whether the page is current.
"""

import ast
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools.builder.source import ROOT

PAGE = ROOT / "docs" / "reliability.md"
HEAD = """# Reliability

What goes wrong on real machines, what you see then, and what you do not lose. `python tools/reliability.py` generates
this page from the tests marked `fault` and from a run of them; the last column says how that run went.

| Fault | What you see | What is kept | Test | Outcome |
|---|---|---|---|---|
"""
GPU = """
## On a graphics card

These tests run wherever CUDA or MPS exists (`python tasks.py test tests/test_gpu.py`) and are skipped elsewhere.
Without a card are tested: that emulated bfloat16 is not taken for the real thing, that a state saved on a card is
read without one, that a training moves between float32, bfloat16 and float16 (`tests/test_gpu.py`,
`tests/faults/test_faults_training.py`), and what the next section says.

| What is tested | Test | Outcome |
|---|---|---|
"""
PRETENDED = """
## On a pretended card

`tests/pretend/` gives torch a device that computes on the CPU and refuses what a card refuses: tensors on two
devices in one operation, NumPy of a tensor on the device, a generator of the other device; as MPS also float64. The
numbers are real. On pretended CUDA and pretended MPS are tested:

- **Every lesson from top to bottom** in the profile quick, each control of its widgets moved and each button pressed:
  nothing is refused, weights and averages end on the device, the host does not wait for it between two log points.
  CUDA is a T4: float16 with a gradient scaler. Three of these runs in each run of the tests, by turns; all of them in
  `python tasks.py test --all` (`tests/pretend/test_lessons.py`).
- **The package**: metrics, plots, batches, runs and the judge take tensors of the device, also beside shipped ones
  (`tests/pretend/test_package.py`).
- **Precision**: `fit` computes in float16 with a scaler on a T4, in bfloat16 without one on an A100, in float32 on
  MPS. Autocast is torch's own for the CPU, with CUDA's list of what stays in float32
  (`tests/pretend/test_device.py`).
- **The device itself**: a training step is that of the CPU, bit by bit; a training moves between the CPU and the
  device; a saved state lands where it is asked to (`tests/pretend/test_device.py`).
- **The net**: two dozen planted faults are each found, with lesson and line (`tests/pretend/test_faults.py`).

What a pretended card cannot show: memory and its limits, speed, operations that a card lacks (some of MPS), the
rounding of its own kernels, several cards. Only `tests/test_gpu.py` on a real one can. These tests are left out on a
machine that has one.
"""
LIMITS = """
## What has limits

- **A loop that never ends** in an answer to an exercise is ended by exceptions from outside. Python cannot end one that
  waits in C, or whose `except:` catches all of them: it goes on in the background until the kernel is restarted, and
  the check says so.
- **What a killed process leaves half-written** is removed when something is saved in that folder a day later.
- **Two kernels that train under one name** each keep a whole state; the one that saves last is what is resumed.
- **Loaders that cannot be resumed bit by bit**: those whose data set keeps a generator or a position of its own, and
  those whose workers outlive an epoch (`persistent_workers`). They are resumed with the right number of steps.
- **What is compared when a training is resumed**: tensors, arrays and settings in full; of data read from files only
  their names. What the loss itself changes (a counter in a dict) is not saved, and named at the resume.
"""


@dataclass(frozen=True)
class Row:
    """One marked test: its `path` (tests/…), function `name`, and the cells of its row."""

    path: str
    name: str
    kind: str
    cells: tuple[str, ...]


def rows(folder: Path = ROOT / "tests") -> list[Row]:
    """Return the rows of all marked tests, by file and place in the file. Raises ValueError for an empty
    cell."""
    found = []
    for path in sorted(folder.rglob("test_*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef):
                found += _rows_of(node, f"tests/{path.relative_to(folder).as_posix()}")
    for row in found:
        if not all(row.cells):
            raise ValueError(f"{row.path}: {row.name} has an empty cell for docs/reliability.md.")
    return found


def _rows_of(test: ast.FunctionDef, path: str) -> list[Row]:
    """The row of one test, if it is marked."""
    for decorator in test.decorator_list:
        text = ast.unparse(decorator)
        if text.startswith("pytest.mark.fault("):
            values = {word.arg: ast.literal_eval(word.value) for word in decorator.keywords}
            return [Row(path, test.name, "fault", tuple(values[key] for key in ("fault", "sees", "kept")))]
        if text in ("marked(GPU)", "marked(CUDA)"):
            return [Row(path, test.name, "gpu", (ast.get_docstring(test) or "",))]
    return []


def outcomes(listed: list[Row]) -> dict[tuple[str, str], str]:
    """Run the tests; return (path, name) → "passed" or why it was skipped. Ends the program if one fails."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-n",
            "0",
            "-m",
            "fault or gpu",
            f"--junitxml={report}",
        ]
        if subprocess.run([*command, *sorted({row.path for row in listed})], cwd=ROOT).returncode:
            sys.exit("A test failed, so the page was not written.")
        return read_report(report)


def read_report(report: Path) -> dict[tuple[str, str], str]:
    """Return the outcome of each test function in a JUnit report, all its cases together."""
    cases = defaultdict(list)
    for case in ET.parse(report).iter("testcase"):
        path = case.get("classname").replace(".", "/") + ".py"
        skipped = case.find("skipped")
        cases[path, case.get("name").split("[")[0]].append("" if skipped is None else skipped.get("message"))
    return {key: _outcome(reasons) for key, reasons in cases.items()}


def _outcome(reasons: list[str]) -> str:
    """One word or sentence for the cases of a test: "" stands for one that passed."""
    why = "; ".join(sorted({reason for reason in reasons if reason}))
    return "passed" if not why else f"skipped: {why}" if all(reasons) else f"passed, in part skipped: {why}"


def page(listed: list[Row], results: dict[tuple[str, str], str]) -> str:
    """Return the page. Raises KeyError for a test without an outcome."""
    lines = {"fault": [], "gpu": []}
    for row in listed:
        test = f"[{row.name.removeprefix('test_').replace('_', ' ')}](../{row.path})"
        cells = [" ".join(cell.split()).replace("|", "\\|") for cell in row.cells]
        lines[row.kind].append("| " + " | ".join([*cells, test, results[row.path, row.name]]) + " |\n")
    return HEAD + "".join(lines["fault"]) + GPU + "".join(lines["gpu"]) + PRETENDED + LIMITS


def results_on(text: str) -> dict[tuple[str, str], str]:
    """Return the outcomes that stand on a page, by test."""
    found = {}
    for line in text.splitlines():
        if line.startswith("| ") and "](../tests/" in line:
            *_, test, outcome = line.removesuffix(" |").split(" | ")
            name, path = test.removeprefix("[").removesuffix(")").split("](../")
            found[path, "test_" + name.replace(" ", "_")] = outcome
    return found


def main() -> int:
    """Run the tests and write the page."""
    listed = rows()
    PAGE.write_text(page(listed, outcomes(listed)), encoding="utf-8")
    print(f"{PAGE.relative_to(ROOT)}: {len(listed)} rows")
    return 0


if __name__ == "__main__":
    sys.exit(main())
