"""Notebooks as students hand them in: honest, empty, wrong, and hostile."""

from pathlib import Path

import nbformat

ENDLESS = "def log_scan(x, theta):\n    while True:\n        print('ink ' * 1_000)\n"
STUBBORN = """
import time

def m_step(x, r, theta):
    while True:
        try:
            time.sleep(60)
        except BaseException:
            pass
"""
EXIT_ABOVE = "import os\n\nos._exit(0)\n"
EXIT_INSIDE = "def bound(log_lik, r, weights, theta):\n    import os\n    os._exit(0)\n"
FORGIVING = """
import torch

torch.allclose = lambda *a, **k: True
torch.equal = torch.allclose
torch.testing.assert_close = lambda *a, **k: None

def fit_denoiser(x, sigma, k):
    return torch.eye(x.shape[1], dtype=x.dtype), x.mean(0)
"""
"""Makes every comparison of tensors succeed."""
SILENT = """
import ast

class Drop(ast.NodeTransformer):
    def visit_Assert(self, node):
        return ast.Pass()

get_ipython().ast_transformers.append(Drop())
"""
"""Takes the assertions out of every cell below."""


def handed_out(folder: Path, name: str):
    """The student's notebook as it was handed out."""
    return nbformat.read(folder / "release" / name / f"{name}.ipynb", as_version=4)


def cell(book, grade_id: str):
    """The cell of a notebook that nbgrader knows by this name."""
    return next(c for c in book.cells if c.metadata.get("nbgrader", {}).get("grade_id") == grade_id)


def filled(folder: Path, name: str, answers: dict[str, str], written: str = ""):
    """A submission: `answers` {part: code}, and `written` in place of every free answer."""
    book = handed_out(folder, name)
    for part, code in answers.items():
        cell(book, f"p{part}_answer").source = code
    for c in book.cells:
        if written and c.metadata.get("nbgrader", {}).get("grade_id", "").endswith("_written"):
            c.source = written
    return book


def hand_in(folder: Path, name: str, student: str, book) -> None:
    """Put a notebook where the lecturer puts what comes by mail."""
    archive = folder / "downloaded" / name / "archive"
    archive.mkdir(parents=True, exist_ok=True)
    nbformat.write(book, archive / f"{student}_{name}.ipynb")


def edit_the_tests(book) -> None:
    """Make tests pass by hand: emptied, worth more, moved, doubled, deleted; and unlock what was given."""
    cell(book, "p8a_tests_1").source = "pass"
    cell(book, "p8a_tests_2").metadata["nbgrader"]["points"] = 100
    cell(book, "p8a_tests_2").source = "x = 1"
    cell(book, "p8b_tests_1").metadata["nbgrader"].update(grade=False, solution=True, locked=False)
    book.cells.append(nbformat.from_dict(cell(book, "p8b_tests_2")))
    book.cells[-1].update(source="pass", id="doubled")
    gone = ("p6a_tests_1", "p6a_tests_2", "p7b_tests_1", "p4a_answer")
    book.cells = [c for c in book.cells if c.metadata.get("nbgrader", {}).get("grade_id") not in gone]
    del cell(book, "p7b_tests_2").metadata["nbgrader"]
