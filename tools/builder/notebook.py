"""Assemble a notebook from a lesson: badge, set-up cell, stubs, solutions, cell ids, metadata."""

import json
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from tools.builder import prose
from tools.builder.hashes import digest
from tools.builder.lesson import ROOT, Cell, Lesson, project
from tools.builder.minutes import headline

COLLAPSED = "jp-MarkdownHeadingCollapsed"  # JupyterLab's key: the heading is built folded
BADGE = "**[▶ Open in Colab]({link})**"
BADGE_END = ")**"

FIND_COURSE = """\
# @title Find the course (on Colab it is downloaded once) {{ display-mode: "form" }}
import importlib.util, pathlib, shutil, subprocess, sys

if importlib.util.find_spec("course_utils") is None:  # not installed: one folder up, else Colab's copy
    home, address = pathlib.Path.cwd().parent, "{address}"
    if not (home / "course_utils").is_dir():
        try:
            import google.colab
        except ImportError:
            raise ImportError(
                "course_utils was not found. Keep this notebook in the course's folder notebooks/, "
                f"or get the course first: git clone {{address}}") from None
        home, unfinished = pathlib.Path("course-{version}").resolve(), pathlib.Path("course-unfinished")
        if not home.is_dir():
            shutil.rmtree(unfinished, ignore_errors=True)
            clone = ["git", "clone", "--quiet", "--depth=1", "--branch={version}", address, str(unfinished)]
            if subprocess.run(clone).returncode:
                raise RuntimeError(
                    f"{{address}} could not be downloaded. Check the network and run this cell again.")
            unfinished.rename(home)
    sys.path.insert(0, str(home))
import course_utils  # it says which kernel to choose where its packages are missing"""

FOLD = "<details><summary>Solution</summary>\n\n```python\n{solution}\n```\n\n</details>"
HINT = "<details><summary>Hint</summary>\n\n{hint}\n\n</details>"
FOLDED = {"cellView": "form", "jupyter": {"source_hidden": True}}  # Colab's key, and JupyterLab's
KEPT_TAGS = ("setup", "exercise", "quiet")  # what the tests and the clean-up of outputs read in a notebook


def assemble(lesson: Lesson, root: Path = ROOT, measured: dict | None = None) -> nbformat.NotebookNode:
    """Return the notebook of `lesson` without outputs. The same arguments always give the same bytes.

    Address and version come from `root`/pyproject.toml; `measured` is what an earlier execution measured.
    """
    address, version = project(root)
    cells = []
    for cell in lesson.cells:
        if "setup" in cell.tags:
            cells.append(_find_course(address, version))
        cells += _cells(cell, lesson)
    cells[0].source = _with_badge(cells[0].source, lesson, address, version)
    _give_ids(lesson, cells)
    seconds = (measured or {}).get("cell_seconds")
    cells[0].source = cells[0].source.replace(BADGE_END, f"{BADGE_END}\n\n{headline(lesson, seconds)}", 1)
    course = {"lesson": lesson.slug, "version": version, "inputs": inputs_hash(cells)}
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}, "course": course}
    if folded := [cell.metadata["id"] for cell in cells if COLLAPSED in cell.metadata]:
        metadata["colab"] = {"collapsed_sections": folded}
    book = new_notebook(cells=cells, metadata=metadata, nbformat_minor=5)
    if measured:
        book.metadata.course["measured"] = measured
    return book


def _find_course(address: str, version: str) -> nbformat.NotebookNode:
    """The generated cell above the set-up cell."""
    source = FIND_COURSE.format(address=address, version=version)
    skip = {"slideshow": {"slide_type": "skip"}, "tags": ["find-course"]}
    return new_code_cell(source, metadata={**FOLDED, **skip})


def _cells(cell: Cell, lesson: Lesson) -> list[nbformat.NotebookNode]:
    """Return the cells of the notebook that one cell of the source becomes: none, one or two."""
    source, metadata = cell.source.rstrip(), _metadata(cell)
    if not cell.built:
        return []
    if "hint" in cell.tags:
        return [new_markdown_cell(HINT.format(hint=source), metadata={"slideshow": {"slide_type": "skip"}})]
    if cell.kind == "markdown":
        heading, _, below = source.partition("\n")
        if not (cell.deeper and prose.HEADING.fullmatch(heading)):
            return [new_markdown_cell(source, metadata=metadata)]
        top = new_markdown_cell(heading, metadata={**metadata, COLLAPSED: True})
        return [top, new_markdown_cell(below.strip("\n"))] if below.strip() else [top]
    for exercise in lesson.exercises:
        if exercise.cell is cell:
            return [new_code_cell(exercise.stub, metadata=metadata)]
        if exercise.check is cell:
            skip = {"slideshow": {"slide_type": "skip"}, "tags": ["solution"]}
            fold = new_markdown_cell(FOLD.format(solution=exercise.solution), metadata=skip)
            return [new_code_cell(source, metadata=metadata), fold]
    return [new_code_cell(source, metadata=metadata)]


def _metadata(cell: Cell) -> dict:
    """Translate the tags of a source into what JupyterLab, Colab and slides understand."""
    found = dict(FOLDED) if "figure" in cell.tags else {}
    if "slide" in cell.tags:
        found["slideshow"] = {"slide_type": "slide"}
    if kept := [tag for tag in cell.tags if tag in KEPT_TAGS]:
        found["tags"] = kept
    return found


def _with_badge(source: str, lesson: Lesson, address: str, version: str) -> str:
    """Insert the Colab link after the title. It is text, not a picture: a notebook loads nothing from
    elsewhere."""
    title, _, rest = source.partition("\n")
    path = address.removeprefix("https://github.com/")
    link = f"https://colab.research.google.com/github/{path}/blob/{version}/notebooks/{lesson.slug}.ipynb"
    return f"{title}\n\n{BADGE.format(link=link)}\n{rest}".rstrip()


def _give_ids(lesson: Lesson, cells: list) -> None:
    """Derive each cell's id from the lesson, its content and its occurrence, so that a rebuild changes
    none."""
    seen = {}
    for cell in cells:
        content = digest(f"{lesson.slug}\n{cell.cell_type}\n{cell.source}")[:12]
        seen[content] = seen.get(content, 0) + 1
        cell["id"] = f"{lesson.key}-{content}-{seen[content]}"
        if COLLAPSED in cell.metadata:
            cell.metadata["id"] = cell["id"]  # the name by which Colab's list of folded sections knows it


def inputs_hash(cells: list) -> str:
    """Return the hash of what a reader could edit by hand: kind and source of every cell."""
    return digest(json.dumps([[cell["cell_type"], cell["source"]] for cell in cells]))


def identity(notebook: nbformat.NotebookNode) -> str:
    """Return everything a rebuild of an unchanged source must reproduce to the byte, as JSON.

    That is all but outputs, execution counts and metadata.course.measured (times and hashes of the last
    execution).
    """
    metadata = json.loads(json.dumps(notebook.metadata))
    metadata.get("course", {}).pop("measured", None)
    keep = ("id", "cell_type", "source", "metadata", "attachments")
    cells = [{key: cell[key] for key in keep if key in cell} for cell in notebook.cells]
    form = [notebook.nbformat, notebook.nbformat_minor]
    return json.dumps({"cells": cells, "metadata": metadata, "nbformat": form}, indent=1, sort_keys=True)


def edited_by_hand(notebook: nbformat.NotebookNode) -> bool:
    """Return whether a built notebook has other inputs than those the builder gave it."""
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
    from course_utils.system import disk  # here: it loads torch, which nothing else of the builder needs

    with disk.atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")
