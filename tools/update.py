"""Take up the newest version of the course and keep a reader's notebooks: `python tasks.py update`.

Running a notebook and saving it changes its file, and git refuses to pull over changed files. So each changed
notebook is first copied to runs/notebooks/, which git leaves alone, and then put back as it came with the course.
Nothing but Python's standard library and git is needed.
"""

import datetime
import json
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COPIES = "runs/notebooks"


def git(root: Path, *words: str) -> subprocess.CompletedProcess:
    """Run git in the course; its output is kept."""
    return subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, encoding="utf-8")


def changed(root: Path = ROOT) -> list[Path]:
    """Return the notebooks that differ from those of the course; none where git does not know the folder."""
    listed = git(root, "diff", "--name-only", "-z", "--diff-filter=M", "HEAD", "--", "notebooks")
    return [root / name for name in listed.stdout.split("\0") if name.endswith(".ipynb")]


def saved_by_hand(path: Path) -> bool:
    """Return whether a notebook program saved this file last: it notes more about its language than the builder."""
    try:
        return len(json.loads(path.read_text(encoding="utf-8"))["metadata"]["language_info"]) > 1
    except (ValueError, KeyError, TypeError):
        return True


def readers_own(root: Path = ROOT) -> list[Path]:
    """Return the notebooks that a reader ran or edited, and saved, in this copy of the course."""
    return [path for path in changed(root) if saved_by_hand(path)]


def keep(paths: list[Path], root: Path) -> Path:
    """Copy notebooks to a new folder below runs/notebooks/; return it."""
    now = datetime.datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    folder = root / COPIES / now
    folder.mkdir(parents=True)
    for path in paths:
        shutil.copy2(path, folder / path.name)
    return folder


def main(root: Path = ROOT) -> int:
    """Keep the reader's notebooks, put the course's in their place, pull; return git's exit status."""
    if git(root, "rev-parse", "--git-dir").returncode:
        print("This copy of the course was not made by git: download it again, and move your notebooks over.")
        return 1
    paths = changed(root)
    if paths:
        folder = keep(paths, root)
        put_back = git(root, "checkout", "HEAD", "--", *map(str, paths))
        if put_back.returncode:
            print(f"{put_back.stderr.strip()}\nYour notebooks are also in {folder}.")
            return put_back.returncode
        print(f"Your notebooks are in {folder.relative_to(root)}: {', '.join(path.stem for path in paths)}.")
    pulled = git(root, "pull", "--ff-only")
    print((pulled.stdout + pulled.stderr).strip())
    return pulled.returncode


if __name__ == "__main__":
    sys.exit(main())
