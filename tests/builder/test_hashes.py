"""Hashes by what code does: what counts, what does not, and that every Python agrees."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools.builder import hashes
from tools.builder.source import ROOT

CODE = '''def f(x):
    """Doc."""
    return f"{x:>{3}} {x!r} {x['a']}" + "a"  # why


class A:
    y: int = 1
'''


@pytest.mark.parametrize(
    "same",
    [
        CODE.replace("  # why", ""),
        CODE.replace("Doc.", "Other words."),
        CODE.replace('    """Doc."""\n', ""),
        CODE.replace("return f", "return  f"),
        CODE.replace('"a"', "('a')"),
    ],
)
def test_comments_docstrings_and_formatting_do_not_count(same):
    assert same != CODE and hashes.code_hash(same) == hashes.code_hash(CODE)


@pytest.mark.parametrize(
    ("old", "new"),
    [("y: int = 1", "y: int = 2"), ("(x)", "(z)"), ('"a"', '"b"'), ("y: int = 1", "y: int = 1.0")],
)
def test_whatever_else_changes_counts(old, new):
    assert hashes.code_hash(CODE.replace(old, new)) != hashes.code_hash(CODE)


def test_a_string_that_is_no_docstring_counts():
    assert hashes.code_hash("x = 1\n'a'") != hashes.code_hash("x = 1\n'b'")


def test_cells_that_show_sources_count_letter_by_letter():
    plain, shown = ["x = 1  # one"], ["x = 1  # one", "print(inspect.getsource(f))"]
    assert hashes.cells_hash(plain) == hashes.cells_hash(["x = 1"])
    assert hashes.cells_hash(shown) != hashes.cells_hash(["x = 1", shown[1]])


def _python(version):
    """Return an interpreter of this version that runs, from the path or from pyenv, or None."""
    homes = (Path.home() / ".pyenv" / "versions").glob(f"{version}.*/bin/python")
    for python in (shutil.which(f"python{version}"), *map(str, homes)):
        if python and subprocess.run([python, "-c", ""], capture_output=True).returncode == 0:
            return python
    return None


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13", "3.14"])
def test_every_python_gives_the_same_hash(version):
    python = _python(version)
    files = [str(path) for path in sorted((ROOT / "course_utils").rglob("*.py"))]
    ask = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1])\n"
        "from tools.builder import hashes\n"
        "print(hashes.digest(repr([hashes.file_hash(Path(p)) for p in sys.argv[2:]])))"
    )
    if python is None:
        pytest.skip(f"Python {version} is not installed")
    found = [
        subprocess.run([one, "-c", ask, str(ROOT), *files], capture_output=True, text=True, check=True).stdout
        for one in (python, sys.executable)
    ]
    assert found[0] == found[1]
