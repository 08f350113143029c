"""Measure the course against what a reader would use instead: `python tasks.py bench speed`, docs/speed.md.

    python tasks.py bench speed                        everything: minutes; let nothing else run meanwhile
    python tasks.py bench speed --only loops data      these parts; the others are kept from the last run
    python tasks.py bench speed --only                 write the page again, measure nothing
    python tasks.py bench speed --tiny --page FILE     one round of a few steps, to try the program itself

The competitors (Lightning, Accelerate) live in .venv-bench, which is made on the first run.
"""

import argparse
import datetime
import os
import subprocess
import sys
import time
from pathlib import Path

from tests.bench import environment

ROOT = environment.ROOT
CACHE = ROOT / "build" / "bench"
PARTS = ("loops", "data", "start", "pictures", "tests")
MARK = "COURSE_BENCH"


def arguments(words: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--only", nargs="*", choices=PARTS, metavar="PART", help=f"any of: {', '.join(PARTS)}"
    )
    parser.add_argument("--repeats", type=int, help="rounds (default 14 for the loops, 5 for other parts)")
    parser.add_argument("--tiny", action="store_true", help="a few steps, results beside those of real runs")
    parser.add_argument(
        "--page", type=Path, default=ROOT / "docs" / "speed.md", help="where to write the page"
    )
    chosen = parser.parse_args(words)
    if chosen.tiny and chosen.page == ROOT / "docs" / "speed.md":
        parser.error("--tiny measures nothing worth keeping: give --page FILE as well.")
    return chosen


def measure(part: str, chosen: argparse.Namespace) -> dict:
    """Measure one part; return its results."""
    from tests.bench import parts, workloads

    works = workloads.workloads()
    folder = CACHE / "torchvision"
    repeats = 1 if chosen.tiny else chosen.repeats or (14 if part == "loops" else 5)
    steps = 3 if chosen.tiny else None
    if part == "loops":  # seven competitors: see timing.turns
        return parts.loops_part(works, folder, repeats, steps)
    if part == "data":
        return parts.data_part(works["vae"], folder, repeats, steps)
    if part == "start":
        return parts.start_part(repeats)
    if part == "pictures":
        return parts.pictures_part(repeats)
    return parts.tests_part()


def run(chosen: argparse.Namespace) -> None:
    """Measure what was asked for, keep it, and write the page."""
    import course_utils as cu
    from course_utils.start import describe
    from tests.bench import page, timing

    cu.setup()
    home = CACHE / ("tiny" if chosen.tiny else "results") / cu.device().type
    for part in PARTS if chosen.only is None else chosen.only:
        began = time.perf_counter()
        print(f"{part} …", flush=True)
        found = measure(part, chosen)
        found["machine"] = describe().replace(" · profile live", "")
        found["date"] = datetime.date.today().isoformat()
        timing.save(home / f"{part}.json", found)
        print(f"{part}: {time.perf_counter() - began:.0f} s", flush=True)
    page.write(timing.load(home), chosen.page)


def main() -> int:
    """Go into the environment of the competitors, then measure there."""
    chosen = arguments(sys.argv[1:])
    if not os.environ.get(MARK):
        python = environment.ensure()
        variables = {**os.environ, MARK: "1", "COURSE_PROFILE": "live"}
        command = [str(python), "-m", "tests.bench.speed", *sys.argv[1:]]
        return subprocess.run(command, cwd=ROOT, env=variables).returncode
    run(chosen)
    return 0


if __name__ == "__main__":
    sys.exit(main())
