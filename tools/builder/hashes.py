"""Hashes of what an execution used: code without its comments and docstrings, files, runs.

Equal under every version of Python that the course supports.
"""

import ast
import hashlib
import re
from pathlib import Path

LOOKS = ("plots", "widgets", "__init__.py")
"""Rooms of the package, and its front door, that change how an output looks and not what it says."""
SHOWS_SOURCE = re.compile(r"\bgetsource|__doc__|\bhelp\(")
"""A lesson that prints sources or docstrings sees every letter of the package."""
TEXTS = (".py", ".txt", ".mplstyle", ".json")


def digest(data: str | bytes) -> str:
    """Return the first 16 hex digits of the SHA-256 of `data` (text as UTF-8)."""
    return hashlib.sha256(data.encode("utf-8") if isinstance(data, str) else data).hexdigest()[:16]


def code_hash(*sources: str) -> str:
    """Return one hash of pieces of Python by what they do: comments, docstrings and formatting do not
    count."""
    return digest("\n".join(repr(_plain(ast.parse(source))) for source in sources))


def _plain(node) -> object:
    """Turn a syntax tree into nested tuples, without positions, docstrings and fields that not every Python
    has."""
    if isinstance(node, list):
        return tuple(_plain(part) for part in node)
    if not isinstance(node, ast.AST):
        return type(node).__name__, repr(node)
    fields = []
    for name, value in ast.iter_fields(node):
        if name == "body" and _has_docstring(node):
            value = value[1:]
        if value not in (None, []) and name not in ("kind", "type_comment"):
            fields.append((name, _plain(value)))
    return type(node).__name__, tuple(fields)


def _has_docstring(node: ast.AST) -> bool:
    holders = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return isinstance(node, holders) and ast.get_docstring(node, clean=False) is not None


def file_hash(path: Path, exact: bool = False) -> str:
    """Return the hash of a file: of Python its code, or with `exact` its text; of a text with Unix line
    ends."""
    data = path.read_bytes()
    if path.suffix in TEXTS:
        data = data.replace(b"\r\n", b"\n")
    return code_hash(data.decode("utf-8")) if path.suffix == ".py" and not exact else digest(data)


def package_hashes(files: list[str], exact: bool = False) -> dict[str, dict[str, str]]:
    """Return {"package": …, "looks": …}, each {path from the package's parent: hash}.

    It covers `files` and the package's texts; "looks" are those of the rooms in LOOKS.
    """
    found = {"package": {}, "looks": {}}
    if not files:
        return found
    package = next(parent for parent in Path(files[0]).parents if parent.name == "course_utils")
    texts = [path for path in package.rglob("*") if path.is_file() and path.suffix in (".mplstyle", ".txt")]
    for path in sorted({*map(Path, files), *texts}):
        kind = "looks" if path.relative_to(package).parts[0] in LOOKS and not exact else "package"
        found[kind][path.relative_to(package.parent).as_posix()] = file_hash(path, exact)
    return found


def run_hashes(names: list[str], root: Path) -> dict[str, str]:
    """Return {name: hash} of the shipped runs called `names`; a reader's own runs are not listed."""
    folders = {name: root / "data" / "runs" / name for name in names}
    return {name: run_hash(folder) for name, folder in folders.items() if folder.is_dir()}


def run_hash(folder: Path) -> str:
    """Return one hash over the files of a run."""
    files = sorted(path for path in folder.iterdir() if path.is_file())
    return digest("\n".join(f"{path.name} {file_hash(path)}" for path in files))


def cells_hash(sources: list[str]) -> str:
    """Return the hash of a notebook's code: by what it does, or by its text where a cell shows sources."""
    return digest("\0".join(sources)) if shows_source(sources) else code_hash(*sources)


def shows_source(sources: list[str]) -> bool:
    """Return whether any of these cells prints sources or docstrings."""
    return any(SHOWS_SOURCE.search(source) for source in sources)
