"""Time everything that enters the arena, on this machine, one lesson after the other.

    python tasks.py arena [NN …] [--sets]

Each lesson whose source says `cu.enter` runs as a script in the profile `live`, with the shipped weights, and
its entries go to data/runs/arena. `--sets` also draws five independent sets of 1,000 images a model, where
that takes under ten minutes, and keeps how their Fréchet distances scatter; without it, what an older entry
says about that stays.
"""

import argparse
import dataclasses
import os
import runpy
import subprocess
import sys
import tempfile
from pathlib import Path

if not __package__:  # run as a script: make `tools` and `course_utils` importable
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch

import course_utils as cu
from course_utils.arena import entry
from course_utils.system import folders, randomness

SETS = 5
IMAGES = 1_000
MOST_SECONDS = 600.0
"""Independent sets are drawn where all of them take less."""


def entering(names: list[str], lessons: Path) -> list[Path]:
    """Return the sources that make entries, those that begin with one of `names` if there are any."""
    sources = [path for path in sorted(lessons.glob("*.py")) if "cu.enter(" in path.read_text("utf-8")]
    if not names:
        return sources
    return [path for path in sources if path.stem.startswith(tuple(names))]


def time_lesson(source: Path, sets: bool) -> None:
    """Run one lesson in this process; what it enters is written among the shipped entries."""
    older = {found.name: found for found in entry.entries() if not found.own}

    def enter(name, draw, **details):
        made = entry.enter(name, draw, **details)
        before = older.get(name)
        scatter = before.sets if before else None
        if sets:
            whole = details.get("times", 1) == 1  # otherwise `draw` does only a part of the work
            scatter = scatter_of_sets(draw, made.seconds) if whole else None
        entry.keep(dataclasses.replace(made, sets=scatter))
        return made

    entry.SHIPPING = True
    cu.enter = enter
    with tempfile.TemporaryDirectory(prefix="course-arena-") as own:
        folders.runs_dir = lambda: Path(own)  # neither the maintainer's trainings nor his entries
        runpy.run_path(str(source), run_name="__main__")


def scatter_of_sets(draw, seconds: float) -> dict | None:
    """Fréchet and kernel distances of independent sets: {"n", "mean", "spread", "kid", "kid_spread"}, or None
    where drawing takes too long."""
    if SETS * IMAGES / 1_000 * seconds > MOST_SECONDS:
        return None
    with randomness.forked(), torch.no_grad():
        found = cu.metrics.score([cu.to_uint8(draw(IMAGES)).cpu() for _ in range(SETS)])
    return {
        "n": SETS,
        "mean": round(found.distance, 2),
        "spread": round(found.distance_spread, 2),
        "kid": round(found.kid, 3),
        "kid_spread": round(found.kid_spread, 3),
    }


def main(argv: list[str]) -> int:
    """Time the lessons named in `argv`, or all; return 0, or 1 if one failed."""
    parser = argparse.ArgumentParser(prog="tasks.py arena", description=__doc__.splitlines()[0])
    parser.add_argument(
        "names", nargs="*", metavar="NN", help="lessons, by number; all that enter by default"
    )
    parser.add_argument("--sets", action="store_true", help="draw independent sets, too (minutes)")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args(argv)
    if given.one:
        time_lesson(given.one, given.sets)
        return 0
    sources = entering(given.names, folders.ROOT / "lessons")
    if not sources:
        print("No such lesson makes an entry (a lesson enters with cu.enter).")
        return 1
    failed = []
    for source in sources:
        print(f"{source.stem} …", flush=True)
        options = ["--sets"] if given.sets else []
        command = [sys.executable, __file__, "--one", str(source), *options]
        variables = {**os.environ, "COURSE_PROFILE": "live", "MPLBACKEND": "Agg"}
        done = subprocess.run(command, cwd=folders.ROOT, env=variables, capture_output=True, text=True)
        lines = [line for line in done.stdout.splitlines() if "enters the arena" in line]
        print("\n".join(f"  {line}" for line in lines))
        if done.returncode:
            print(done.stderr[-2_000:])
            failed.append(source.stem)
    if failed:
        print(f"Failed: {', '.join(failed)}.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
