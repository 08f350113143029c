"""Gather the course and every package it needs in one folder, for a room without a network; and try that
folder.

python tasks.py bundle DIR            the course at its last commit, DIR/wheels, DIR/INSTALL.txt python
tasks.py test-bundle [DIR]     install from a bundle (default: a new one) with no index, then run one lesson

Standard library only; pip does the work. The wheels fit the system and the Python version of the machine that
gathers them: the same command on another kind of machine adds its wheels to the same folder.
"""

import argparse
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LEFT_OUT = ("assessment", "tests/assessment")  # a bundle goes to students, and these hold solutions
NOWHERE = "http://127.0.0.1:9"  # the discard port: whatever asks this proxy is refused at once
INSTALL = """\
{name} {version}, with all it needs

On a machine like the one this folder was made on ({system}, Python {python}), without a network:

    python tasks.py lab

It makes .venv from wheels/ (a few minutes, about 6 GB on Linux) and opens JupyterLab on lesson 00. Python itself must
be there. Copy the folder to the machine's own disk first. In an environment of your own, instead:

    python -m pip install --no-index --find-links wheels -c constraints.txt -e ".[dev]"

The assessments with their solutions are left out: a bundle is for students.

To add the wheels for another system or Python, run `python tasks.py bundle DIR` there with this folder as DIR.
"""


def requirements(root: Path = ROOT) -> list[str]:
    """Return what must be gathered: the dependencies, those of the extras `dev` and `teach`, and
    what builds the package."""
    table = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    project = table["project"]
    extras = project.get("optional-dependencies", {})
    needed = [*extras.get("dev", []), *extras.get("teach", [])]
    return [*project.get("dependencies", []), *needed, *table["build-system"]["requires"]]


def copy_course(folder: Path, root: Path = ROOT) -> None:
    """Write the files of the last commit of `root` into `folder`. Ends with one line where that is not
    possible."""
    changed = subprocess.run(["git", "status", "--porcelain"], cwd=root, capture_output=True, text=True)
    if changed.returncode:
        sys.exit("bundle: this is no git checkout, so nothing says which files belong to the course.")
    if changed.stdout:
        print(
            f"Note: {len(changed.stdout.splitlines())} changes that are not committed are left out.",
            flush=True,
        )
    kept = [".", *(f":(exclude){name}" for name in LEFT_OUT)]
    archive = subprocess.run(
        ["git", "archive", "--format=tar", "HEAD", "--", *kept], cwd=root, check=True, capture_output=True
    )
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
        tar.extractall(folder, filter="data")


def gather(folder: Path, root: Path = ROOT) -> int:
    """Fill `folder` with the course, its wheels and INSTALL.txt; return how many wheels there are.

    Ends with one line if `folder` holds something else, or if pip fails (its own words stand above).
    """
    if folder.exists() and any(folder.iterdir()) and not (folder / "INSTALL.txt").is_file():
        sys.exit(f"bundle: {folder} is not empty and is no bundle; name a new folder.")
    folder.mkdir(parents=True, exist_ok=True)
    copy_course(folder, root)
    # The versions last verified, whatever appeared since; wheels only, as a room may have no compiler.
    pip = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--disable-pip-version-check",
        "--prefer-binary",
    ]
    print("Gathering packages (about 3 GB with CUDA libraries) …", flush=True)
    command = [*pip, "-c", str(root / "constraints.txt"), "-d", str(folder / "wheels"), *requirements(root)]
    if subprocess.run(command).returncode:
        sys.exit("bundle: pip could not gather the packages; run the same command again to go on.")
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    python = ".".join(map(str, sys.version_info[:2]))
    words = {"name": project["name"], "version": project["version"], "system": sys.platform, "python": python}
    (folder / "INSTALL.txt").write_text(INSTALL.format(**words), encoding="utf-8")
    return len([path for path in (folder / "wheels").iterdir() if path.is_file()])


def offline() -> dict[str, str]:
    """Return this process's environment with every way of pip to an index, to a cache or to other wheels cut
    off."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PIP_", "PYTHON", "VIRTUAL_ENV"))
    }
    proxies = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), NOWHERE)
    return {
        **kept,
        **proxies,
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_CACHE_DIR": "1",
        "COURSE_PROFILE": "quick",
    }


def install_from(folder: Path) -> int:
    """Do what INSTALL.txt says, offline, and run the shortest lesson; return the exit status."""
    base = getattr(sys, "_base_executable", None) or sys.executable
    made = subprocess.run([base, "tasks.py", "setup"], cwd=folder, env=offline()).returncode
    if made:
        return made
    python = folder / ".venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    where = subprocess.run(
        [python, "-c", "import course_utils; print(course_utils.__file__)"],
        cwd=folder.parent, env=offline(), capture_output=True, text=True,
    )  # fmt: skip
    if not where.stdout.startswith(str(folder.resolve())):
        print(f"course_utils is not the bundle's own: {where.stdout}{where.stderr}")
        return 1
    lessons = sorted((folder / "lessons").glob("A_*.py"))[:1]
    return subprocess.run([python, *lessons], cwd=folder, env=offline()).returncode if lessons else 0


def main(words: list[str]) -> int:
    """Make a bundle, or try one."""
    parser = argparse.ArgumentParser(prog="tasks.py", description=__doc__.split("\n")[0])
    parser.add_argument("task", choices=["bundle", "test-bundle"])
    parser.add_argument("folder", nargs="?", type=Path)
    asked = parser.parse_args(words)
    if asked.task == "bundle":
        if asked.folder is None:
            sys.exit("bundle: say where, for example `python tasks.py bundle ../course-for-room-12`.")
        folder = asked.folder.expanduser().resolve()
        count = gather(folder)
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e9
        print(f"{folder}: {count} packages, {size:.1f} GB. INSTALL.txt says how to use it.")
        return 0
    with tempfile.TemporaryDirectory(prefix="course-bundle-") as scratch:
        folder = asked.folder.expanduser().resolve() if asked.folder else Path(scratch).resolve() / "course"
        if not (folder / "INSTALL.txt").is_file():
            gather(folder)
        shutil.rmtree(folder / ".venv", ignore_errors=True)
        status = install_from(folder)
    print("ok: installed with no index, and a lesson ran" if status == 0 else f"FAILED with status {status}")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
