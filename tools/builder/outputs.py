"""Outputs: clean them after execution, and list what the course does not allow in a built notebook."""

import base64
import io
import json
import re

import numpy as np
from nbconvert.preprocessors.coalescestreams import CoalesceStreamsPreprocessor
from nbformat import from_dict
from PIL import Image

from course_utils.plots.picture import packed

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
MAX_CELL_KB = 400
MAX_NOTEBOOK_KB = 1500
# Whatever a browser would fetch without being asked: pictures, scripts, frames, styles. Plain links are fine.
EXTERNAL = re.compile(
    r"""!\[[^\]]*\]\(\s*<?(?:https?:)?//"""
    r"""|<(?:img|script|iframe|link|video|audio|source|object|embed)\b[^>]*(?:src|href|data)\s*=\s*["']?(?:https?:)?//"""
    r"""|@import\b|url\(\s*["']?(?:https?:)?//""",
    re.IGNORECASE,
)
MACHINE_PATH = re.compile(r"/tmp/|/root\b|/home/\w|/Users/\w|site-packages|[A-Z]:\\+Users")
CAPTION = "**Figure.**"
# the alternative text of a training call's curves; its line of text stands below them
TRAINING = "Logged values of "
INK = 140  # of 255: darker is text or a line; axes reach the edge of no picture
LONELY = re.compile(TRAINING + r"[^·]+·[^·]+· loss [^·]+", re.DOTALL)
ADDRESS = re.compile(r" at 0x[0-9a-f]{6,}")


def clean(outputs: list, quiet: bool = False) -> list:
    """Return `outputs` as a reader without a kernel should see them.

    Widget views are stripped (an output that was nothing else vanishes), consecutive pieces of one stream are
    merged, and of a line that was rewritten (a progress bar) the last state stays. The curve of a training
    call that logged nothing but its loss is dropped: the line below it says where the loss ended. `quiet` (a
    cell's tag) drops all curves of training calls: a figure that the lesson does not read is deleted. PNG
    pictures are packed as small as they go, pixel by pixel the same.
    """
    kept = []
    for output in outputs:
        caption = "".join(output.get("data", {}).get("text/plain", ""))
        if LONELY.fullmatch(caption) or (quiet and caption.startswith(TRAINING)):
            continue
        if WIDGET_VIEW in output.get("data", {}):
            del output["data"][WIDGET_VIEW]
            output.get("metadata", {}).pop(WIDGET_VIEW, None)
            if set(output["data"]) <= {"text/plain"}:
                continue
        if picture := output.get("data", {}).get("image/png"):
            output["data"]["image/png"] = _packed(picture)
        kept.append(output)
    cell, _ = CoalesceStreamsPreprocessor().preprocess_cell(from_dict({"outputs": kept}), {}, 0)
    return [output for output in cell.outputs if output.output_type != "stream" or output.text]


def _packed(picture: str) -> str:
    """The same PNG as base64 text, packed as small as it goes; line breaks in it are dropped."""
    return base64.b64encode(packed(base64.b64decode(picture))).decode("ascii")


def texts(notebook) -> list[tuple[str, str]]:
    """Return (place, text) of every Markdown cell and every textual output."""
    found = []
    for index, cell in enumerate(notebook["cells"]):
        if cell["cell_type"] == "markdown":
            found.append((f"cell {index}", cell["source"]))
        for output in cell.get("outputs", []):
            parts = [output["text"]] if "text" in output else list(output.get("data", {}).items())
            for part in parts:
                mime, text = part if isinstance(part, tuple) else ("text/plain", part)
                if isinstance(text, str) and (mime.startswith("text/") or "svg" in mime):
                    found.append((f"output of cell {index}", text))
    return found


def size_problems(notebook, text: str) -> list[str]:
    """Return what is too large: a notebook (as `text` on disk) over 1.5 MB, a cell's outputs over 400 KB."""
    found = []
    sizes = {
        index: len(json.dumps(cell.get("outputs", []))) / 1e3 for index, cell in enumerate(notebook["cells"])
    }
    found += [
        f"cell {index}: {size:.0f} KB of outputs, over {MAX_CELL_KB} KB. Fewer or smaller pictures."
        for index, size in sizes.items()
        if size > MAX_CELL_KB
    ]
    whole = len(text.encode("utf-8")) / 1e3
    if whole > MAX_NOTEBOOK_KB:
        largest = ", ".join(
            f"cell {i} {sizes[i]:.0f} KB" for i in sorted(sizes, key=sizes.get, reverse=True)[:4]
        )
        found.append(f"the notebook has {whole:.0f} KB, over {MAX_NOTEBOOK_KB} KB. Largest: {largest}.")
    return found


def execution_problems(notebook) -> list[str]:
    """Return what shows that the notebook was not executed top to bottom without an error."""
    found = []
    code = [(index, cell) for index, cell in enumerate(notebook["cells"]) if cell["cell_type"] == "code"]
    for count, (index, cell) in enumerate(code, start=1):
        if cell["execution_count"] != count:
            found.append(f"cell {index}: execution count {cell['execution_count']}, expected {count}.")
        if any(output["output_type"] == "error" for output in cell["outputs"]):
            found.append(f"cell {index}: an error output.")
    return found


def reader_problems(notebook) -> list[str]:
    """Return what a reader elsewhere would see broken: widget views, external loads, machine paths, raw
    objects, the value of a cell's last line."""
    found = []
    if "widgets" in notebook["metadata"]:
        found.append("metadata.widgets was left in.")
    for index, cell in enumerate(notebook["cells"]):
        if any(WIDGET_VIEW in output.get("data", {}) for output in cell.get("outputs", [])):
            found.append(f"cell {index}: a widget view was left in.")
        if "execution" in cell["metadata"]:
            found.append(f"cell {index}: execution times were left in.")
        for output in cell.get("outputs", []):
            if output["output_type"] == "execute_result":
                value = output["data"].get("text/plain", "")[:60]
                found.append(
                    f"cell {index}: ends with a bare value, {value!r}; assign it, or show it with cu.facts."
                )
    for place, text in texts(notebook):
        if hit := EXTERNAL.search(text):
            found.append(f"{place}: loads something from an external address: {hit[0]!r}.")
        if place.startswith("output"):
            if hit := MACHINE_PATH.search(text):
                start = max(0, hit.start() - 40)
                found.append(f"{place}: shows a path of this machine: {text[start : hit.end() + 60]!r}.")
            if hit := ADDRESS.search(text):
                found.append(
                    f"{place}: shows an object's address; end the cell with `;` or assign the value."
                )
    return found


def picture_problems(notebook) -> list[str]:
    """Return what is wrong with the pictures: `caption_problems` and `edge_problems`."""
    return caption_problems(notebook) + edge_problems(notebook)


def edge_problems(notebook) -> list[str]:
    """Return the pictures with ink on their outermost pixels: a title or a label that is cut off."""
    found = []
    for index, cell in enumerate(notebook["cells"]):
        for output in cell.get("outputs", []):
            if picture := output.get("data", {}).get("image/png"):
                grey = np.asarray(Image.open(io.BytesIO(base64.b64decode(picture))).convert("L"))
                edges = {"upper": grey[0], "lower": grey[-1], "left": grey[:, 0], "right": grey[:, -1]}
                cut = [
                    side for side, line in edges.items() if 0 < (line < INK).mean() < 1
                ]  # all dark: a dark image
                if cut:
                    found.append(f"cell {index}: a picture is cut off at its {' and '.join(cut)} edge.")
    return found


def caption_problems(notebook) -> list[str]:
    """Return the pictures without alternative text, or without a visible caption right below them."""
    found = []
    for index, cell in enumerate(notebook["cells"]):
        outputs = cell.get("outputs", [])
        for output, below in zip(outputs, [*outputs[1:], {}]):
            if not any(mime.startswith("image/") for mime in output.get("data", {})):
                continue
            alt = output["metadata"].get("image/png", {}).get("alt", "").strip()
            captioned = below.get("data", {}).get("text/markdown", "").startswith(CAPTION)
            trained = alt.startswith(TRAINING) and below.get("text", "").strip()
            if not alt or not (captioned or trained):
                found.append(
                    f"cell {index}: a picture without a caption: show it with cu.show(fig, caption)."
                )
    return found
