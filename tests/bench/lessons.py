"""Measure every lesson, and write the table and the picture of the README: `python tasks.py bench`.

Live minutes are those that the builder measured when it executed the notebook; quick seconds are measured
here, as the wall time of the lesson as a plain script in the quick profile, import included.
"""

import base64
import os
import subprocess
import sys
import time

import nbformat

from course_utils import checks
from course_utils.start import describe
from course_utils.system import folders

BEGIN, END = "<!-- lessons:begin -->", "<!-- lessons:end -->"
README = folders.ROOT / "README.md"
PICTURE = "Draws from N(μ, Σ_r)"  # how the caption of the README's picture begins, in lesson 00


def quick_seconds(source) -> float:
    """Run a lesson as a script in the quick profile; return its seconds. Raises CalledProcessError if it
    fails."""
    env = {**os.environ, "COURSE_PROFILE": "quick"}
    start = time.perf_counter()
    subprocess.run([sys.executable, str(source)], env=env, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def row(source) -> str:
    """One line of the table."""
    book = nbformat.read(folders.ROOT / "notebooks" / f"{source.stem}.ipynb", as_version=4)
    number, _, title = book.cells[0].source.splitlines()[0].lstrip("# ").partition(" ")
    live = book.metadata.course.measured.live_seconds / 60
    link = f"[{title}](notebooks/{source.stem}.ipynb)"
    exercises, seconds = len(checks.exercises(number)), quick_seconds(source)
    sheet = f"[run sheet](teaching/{source.stem}.md)"
    return f"| {number} | {link} | {exercises} | {live:.1f} min | {seconds:.0f} s | {sheet} |"


def save_picture() -> None:
    """Copy one figure of lesson 00's notebook to docs/picture.png. Raises StopIteration if no caption
    matches."""
    book = nbformat.read(folders.ROOT / "notebooks" / "00_start_here.ipynb", as_version=4)
    outputs = (output for cell in book.cells if cell.cell_type == "code" for output in cell.outputs)
    pictures = (output.data for output in outputs if "image/png" in output.get("data", {}))
    data = next(data for data in pictures if data["text/plain"].startswith(PICTURE))
    (folders.ROOT / "docs" / "picture.png").write_bytes(base64.b64decode(data["image/png"]))


def main() -> None:
    """Write the table between the two markers of the README, and the picture beside it."""
    save_picture()
    lines = ["| # | lesson | exercises | live | quick | in class |", "|---|---|---|---|---|---|"]
    lines += [row(source) for source in sorted((folders.ROOT / "lessons").glob("*.py"))]
    lines += ["", f"Measured on: {describe()}".replace(" · profile live", "") + "."]
    before, rest = README.read_text().split(BEGIN)
    after = rest.split(END)[1]
    README.write_text(f"{before}{BEGIN}\n" + "\n".join(lines) + f"\n{END}{after}")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
