"""Measure the course against what a reader would use instead, and write docs/speed.md: `python tasks.py bench speed`.

    python tasks.py bench speed                        everything: minutes; let nothing else run meanwhile
    python tasks.py bench speed --only loops data      these parts; the rest of the page is kept from the last run
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
PARTS = ("loops", "data", "start", "pictures", "profile", "quality", "notebooks", "reasons", "tests")
MARK = "COURSE_BENCH"


def arguments(words: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", choices=PARTS, metavar="PART", help=f"any of: {', '.join(PARTS)}")
    parser.add_argument("--repeats", type=int, help="rounds (default 14 for the loops, 5 for other parts)")
    parser.add_argument("--workloads", nargs="+", help="of the part loops: points vae gan unet (default all)")
    parser.add_argument("--tiny", action="store_true", help="a few steps, results beside those of real runs")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "speed.md", help="where to write the page")
    chosen = parser.parse_args(words)
    if chosen.tiny and chosen.page == ROOT / "docs" / "speed.md":
        parser.error("--tiny measures nothing worth keeping: give --page FILE as well.")
    return chosen


def measure(part: str, chosen: argparse.Namespace, results: dict) -> dict:
    """Measure one part; return its results."""
    from tests.bench import notebooks, parts, profiles, quality, workloads

    works, folder, repeats = workloads.workloads(), CACHE / "torchvision", 1 if chosen.tiny else chosen.repeats or 5
    if part == "loops":
        works = {name: work for name, work in works.items() if name in (chosen.workloads or works)}
        rounds = repeats if chosen.tiny or chosen.repeats else 14  # seven competitors: see timing.turns
        found = parts.loops_part(works, folder, rounds, steps=3 if chosen.tiny else None)
        before = results.get("loops", {}) if chosen.workloads else {}
        merged = before.get("workloads", {}) | found["workloads"]
        return found | {"others": before.get("others"), "workloads": {k: merged[k] for k in workloads.workloads()
                                                                      if k in merged}}  # fmt: skip
    if part == "reasons":
        return {"cells": notebooks.reasons_part(results["notebooks"]["lessons"])}
    makers = {
        "data": lambda: parts.data_part(works["vae"], folder, repeats, 3 if chosen.tiny else None),
        "start": lambda: parts.start_part(max(repeats, 1)),
        "pictures": lambda: parts.pictures_part(repeats),
        "profile": lambda: profiles.profile_part(works, 2 if chosen.tiny else 100),
        "quality": lambda: quality.quality_part(0.02 if chosen.tiny else 1.0),
        "notebooks": lambda: notebooks.notebooks_part(["A_toolbox"] if chosen.tiny else None),
        "tests": notebooks.tests_part,
    }
    return makers[part]()


def run(chosen: argparse.Namespace) -> None:
    """Measure what was asked for, keep it, and write the page."""
    import course_utils as cu
    from tests.bench import page, timing

    cu.setup()
    where = cu.runtime.device().type
    home = CACHE / ("tiny" if chosen.tiny else "results")
    wanted = PARTS if chosen.only is None else [part for part in PARTS if part in chosen.only]
    for part in wanted:
        began = time.perf_counter()
        print(f"{part} …", flush=True)
        with timing.Machine() as machine:
            found = measure(part, chosen, timing.load(home / where))
        described = cu.runtime.describe().replace(" · profile live", "")
        others = [share for share in (machine.others, found.pop("others", None)) if share is not None]
        found |= {"machine": described, "date": datetime.date.today().isoformat(), "others": max(others, default=None)}
        timing.save(home / where / f"{part}.json", found)
        print(f"{part}: {time.perf_counter() - began:.0f} s", flush=True)
    gpu = timing.load(home / "cuda") if where != "cuda" else None
    page.write(timing.load(home / where), chosen.page, gpu)


def main() -> int:
    """Go into the environment of the competitors, then measure there."""
    chosen = arguments(sys.argv[1:])
    if not os.environ.get(MARK):
        python = environment.ensure()
        variables = {**os.environ, MARK: "1", "COURSE_PROFILE": "live", "KINETO_LOG_LEVEL": "5"}
        command = [str(python), "-m", "tests.bench.speed", *sys.argv[1:]]
        return subprocess.run(command, cwd=ROOT, env=variables).returncode
    run(chosen)
    return 0


if __name__ == "__main__":
    sys.exit(main())
