"""Refuse what would make the repository heavy: `python tools/sizes.py` (a pre-commit hook and a test)."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DATA_MB = 80
NOTEBOOK_KB = 1500
OTHER_KB = 1000


def tracked(root: Path = ROOT) -> list[Path]:
    """Return the files that git tracks or is about to, as paths from `root`."""
    command = ["git", "ls-files", "-z", "--cached"]
    names = subprocess.run(command, cwd=root, capture_output=True, check=True).stdout.decode().split("\0")
    return [Path(name) for name in names if name and (root / name).is_file()]


def problems(root: Path = ROOT) -> list[str]:
    """Return a sentence for each tracked file, or folder, that is over its limit."""
    sizes = {path: (root / path).stat().st_size for path in tracked(root)}
    found = []
    for path, size in sizes.items():
        limit = NOTEBOOK_KB if path.suffix == ".ipynb" else OTHER_KB
        if path.parts[0] != "data" and size > limit * 1000:
            found.append(f"{path.as_posix()} has {size / 1000:.0f} KB; the limit is {limit} KB.")
    data = sum(size for path, size in sizes.items() if path.parts[0] == "data") / 1e6
    if data > DATA_MB:
        found.append(f"data/ has {data:.1f} MB; the limit is {DATA_MB} MB.")
    return found


if __name__ == "__main__":
    found = problems()
    print("\n".join(found))
    sys.exit(bool(found))
