"""Assemble a notebook from a lesson: badge, set-up cell, stubs, solutions, cell ids, metadata."""

import hashlib
import json
import os
import tempfile
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from tools import exercises
from tools.source import ROOT, Lesson, project

FIND_COURSE = """\
# @title Find the course (on Colab it is downloaded once) {{ display-mode: "form" }}
import importlib.util, pathlib, shutil, subprocess, sys

if importlib.util.find_spec("course_utils") is None:  # not installed: one folder up, else Colab's copy
    home, address = pathlib.Path.cwd().parent, "{address}"
    if not (home / "course_utils").is_dir():
        try:
            import google.colab
        except ImportError:
            raise ImportError("course_utils was not found. Keep this notebook in the course's folder notebooks/, or "
                              f"get the course first: git clone {{address}}") from None
        home, unfinished = pathlib.Path("course-{version}").resolve(), pathlib.Path("course-unfinished")
        if not home.is_dir():
            shutil.rmtree(unfinished, ignore_errors=True)
            clone = ["git", "clone", "--quiet", "--depth=1", "--branch={version}", address, str(unfinished)]
            if subprocess.run(clone).returncode:
                raise RuntimeError(f"{{address}} could not be downloaded. Check the network and run this cell again.")
            unfinished.rename(home)
    sys.path.insert(0, str(home))"""

FOLD = "<details><summary>Solution</summary>\n\n```python\n{solution}\n```\n\n</details>"


def digest(data: str | bytes) -> str:
    """Return the first 16 hex digits of the SHA-256 of `data` (text as UTF-8)."""
    return hashlib.sha256(data.encode("utf-8") if isinstance(data, str) else data).hexdigest()[:16]


def assemble(lesson: Lesson, root: Path = ROOT) -> nbformat.NotebookNode:
    """Return the notebook of `lesson`, not executed. The same source always gives the same bytes.

    Address and version come from `root`/pyproject.toml. Raises LessonError where an exercise breaks a rule.
    """
    address, version = project(root)
    found = exercises.find(lesson)
    stubs = {id(exercise.cell): exercise for exercise in found}
    checks = {id(exercise.check): exercise for exercise in found}
    cells = []
    for index, cell in enumerate(lesson.cells):
        if "setup" in cell.tags:
            cells.append(
                new_code_cell(
                    FIND_COURSE.format(address=address, version=version),
                    metadata={
                        "cellView": "form",
                        "jupyter": {"source_hidden": True},
                        "slideshow": {"slide_type": "skip"},
                        "tags": ["find-course"],
                    },
                )
            )
        source = cell.source.rstrip()
        if index == 0:
            source = _with_badge(source, lesson, address, version)
        if id(cell) in stubs:
            source = stubs[id(cell)].stub
        new = new_code_cell if cell.kind == "code" else new_markdown_cell
        cells.append(new(source, metadata=cell.metadata))
        if id(cell) in checks:
            fold = FOLD.format(solution=checks[id(cell)].solution)
            cells.append(new_markdown_cell(fold, metadata={"slideshow": {"slide_type": "skip"}, "tags": ["solution"]}))
    _give_ids(lesson, cells)
    course = {"lesson": lesson.slug, "version": version, "source": digest(lesson.text), "inputs": inputs_hash(cells)}
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}, "course": course}
    return new_notebook(cells=cells, metadata=metadata, nbformat_minor=5)


def _with_badge(source: str, lesson: Lesson, address: str, version: str) -> str:
    """Insert the Colab link after the title. It is text, not a picture: a notebook loads nothing from elsewhere."""
    title, _, rest = source.partition("\n")
    path = address.removeprefix("https://github.com/")
    link = f"https://colab.research.google.com/github/{path}/blob/{version}/notebooks/{lesson.slug}.ipynb"
    return f"{title}\n\n**[▶ Open in Colab]({link})**\n{rest}".rstrip()


def _give_ids(lesson: Lesson, cells: list) -> None:
    """Derive each cell's id from the lesson, its content and its occurrence, so that a rebuild changes none."""
    seen = {}
    for cell in cells:
        content = digest(f"{lesson.slug}\n{cell.cell_type}\n{cell.source}")[:12]
        seen[content] = seen.get(content, 0) + 1
        cell["id"] = f"{lesson.key}-{content}-{seen[content]}"


def inputs_hash(cells: list) -> str:
    """Return the hash of what a reader could edit by hand: kind and source of every cell."""
    return digest(json.dumps([[cell["cell_type"], cell["source"]] for cell in cells]))


def identity(notebook: nbformat.NotebookNode) -> str:
    """Return everything a rebuild of an unchanged source must reproduce to the byte, as JSON.

    That is all but outputs, execution counts and metadata.course.measured (times and hashes of the last execution).
    """
    metadata = json.loads(json.dumps(notebook.metadata))
    metadata.get("course", {}).pop("measured", None)
    keep = ("id", "cell_type", "source", "metadata", "attachments")
    cells = [{key: cell[key] for key in keep if key in cell} for cell in notebook.cells]
    form = [notebook.nbformat, notebook.nbformat_minor]
    return json.dumps({"cells": cells, "metadata": metadata, "nbformat": form}, indent=1, sort_keys=True)


def edited_by_hand(path: Path) -> bool:
    """Return whether the notebook at `path` has other inputs than those the builder gave it."""
    notebook = load(path)
    return notebook.metadata.get("course", {}).get("inputs") != inputs_hash(notebook.cells)


def load(path: Path) -> nbformat.NotebookNode:
    """Read the notebook at `path` exactly as it stands: no upgrade, no repair."""
    return nbformat.from_dict(_joined(json.loads(path.read_text(encoding="utf-8"))))


def _joined(notebook: dict) -> dict:
    """On disk a source is a list of lines; in memory it is one string. Outputs likewise."""
    return nbformat.v4.rwbase.rejoin_lines(nbformat.from_dict(notebook))


def dumps(notebook: nbformat.NotebookNode) -> str:
    """Return the notebook as it stands on disk: validated JSON, UTF-8, one final newline."""
    nbformat.validate(notebook)
    return nbformat.writes(notebook, version=nbformat.NO_CONVERT).rstrip("\n") + "\n"


def write_atomically(path: Path, text: str) -> None:
    """Write `text` to `path` as UTF-8 with Unix line ends, all or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
