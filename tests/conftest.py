"""Marks of the tests: `fault` describes one row of docs/reliability.md, `gpu` needs CUDA or MPS."""

MARKS = {
    "fault(fault, sees, kept)": "a fault the course survives: a row of docs/reliability.md (tools/reliability.py)",
    "gpu": "runs where CUDA or MPS exists, skipped with the reason elsewhere",
}


def pytest_configure(config):
    """Make the marks known."""
    for mark, meaning in MARKS.items():
        config.addinivalue_line("markers", f"{mark}: {meaning}")
