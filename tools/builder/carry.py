"""Carry outputs over from one notebook to another with the same code."""

from tools.builder.outputs import clean
from tools.builder.stale import outputs_may_differ


def only_prose_changed(wanted, old, places) -> bool:
    """Return whether the `old` notebook was executed with the code that `wanted` has, and with the package
    and the runs as they are now: prose, comments, docstrings and ids may differ."""
    return not outputs_may_differ(old, wanted, places)


def copy_outputs(wanted, old) -> None:
    """Give the code cells of `wanted` the outputs and execution counts of those of `old`, in order."""
    pairs = [[cell for cell in book.cells if cell.cell_type == "code"] for book in (wanted, old)]
    for cell, before in zip(*pairs, strict=True):
        cell.execution_count = before.execution_count
        cell.outputs = clean(before.outputs, "quiet" in cell.metadata.get("tags", ()))
