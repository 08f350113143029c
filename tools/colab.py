"""Execute notebooks as Colab does: its versions, an empty folder, and the clone that the set-up cell makes.

python tasks.py test-colab [NN …]

The environment .venv-colab holds the lower bounds of pyproject.toml on Python 3.11
(tests/colab/requirements.txt). Each notebook starts alone in an empty folder, with a stand-in for
google.colab and without course_utils; git takes a local repository, made from the working tree, for the
course's address. Every way to an installer is barred and logged, and site-packages must come out of it as it
went in. Standard library only.
"""

import hashlib
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "tests" / "colab" / "requirements.txt"
VENV = ROOT / ".venv-colab"
CELL_SECONDS, NOTEBOOK_SECONDS = 180, 900
INSTALLERS = ("pip", "pip3", "uv", "conda", "mamba", "easy_install")
NOWHERE = "http://127.0.0.1:9"  # the discard port: whatever asks this proxy is refused at once
BARRED_MODULE = """import sys
open({log!r}, "a").write("pip " + " ".join(sys.argv[1:]) + "\\n")
raise ImportError("pip was called: the course installs nothing")
"""
BARRED_PROGRAM = '#!/bin/sh\necho "{name} $*" >> "{log}"\nexit 1\n'


def venv_python() -> Path:
    """Return the path of the environment's interpreter."""
    return VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def python311() -> str:
    """Return a Python 3.11 to build the environment with. Ends with one line where there is none."""
    if sys.version_info[:2] == (3, 11):
        return getattr(sys, "_base_executable", None) or sys.executable
    return shutil.which("python3.11") or sys.exit("test-colab needs Python 3.11 (python3.11 was not found).")


def ensure_environment() -> str:
    """Make .venv-colab if it is missing or out of date (about 6 GB on Linux); return its interpreter."""
    stamp, wanted = VENV / "installed.sha256", hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()
    if not (stamp.exists() and stamp.read_text() == wanted and venv_python().exists()):
        print("Setting up .venv-colab (once; a few minutes, about 6 GB on Linux) …", flush=True)
        if not venv_python().exists():
            subprocess.run([python311(), "-m", "venv", VENV], check=True)
        pip = [venv_python(), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "-r", REQUIREMENTS], check=True)
        stamp.write_text(wanted)
    return str(venv_python())


def project(root: Path = ROOT) -> tuple[str, str]:
    """Return (repository address, version) from pyproject.toml."""
    table = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return table["urls"]["Repository"].removesuffix(".git").rstrip("/"), table["version"]


def publish(folder: Path, root: Path = ROOT) -> dict[str, str]:
    """Commit the working tree of `root` in a new repository at `folder`, tagged as the release.

    Returns the environment variables with which git takes that repository for the course's address.
    """
    address, version = project(root)
    names = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(names, cwd=root, check=True, capture_output=True, text=True).stdout
    for name in filter(None, listing.split("\0")):
        if (root / name).is_file():  # a file that was deleted but not committed is still listed
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, folder / name)
    git = [
        "git",
        "-c",
        "user.name=release",
        "-c",
        "user.email=release@example.org",
        "-c",
        "core.autocrlf=false",
    ]
    for words in (
        ["init", "-q"],
        ["add", "-A"],
        ["commit", "-q", "--no-verify", "-m", version],
        ["tag", version],
    ):
        subprocess.run([*git, *words], cwd=folder, check=True)
    return {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{folder.as_uri()}.insteadOf",
        "GIT_CONFIG_VALUE_0": address,
    }


def stand_in(folder: Path) -> dict[str, str]:
    """Write google.colab and barred installers below `folder`; return the variables that put them first.

    A call of an installer is refused and leaves a line in `folder`/installers.log. No host is reached.
    """
    log, modules, programs = folder / "installers.log", folder / "modules", folder / "programs"
    for name, text in {"google/colab": "", "pip": BARRED_MODULE.format(log=str(log))}.items():
        (modules / name).mkdir(parents=True)
        (modules / name / "__init__.py").write_text(text)
    programs.mkdir()
    for name in INSTALLERS:
        program = programs / name
        program.write_text(BARRED_PROGRAM.format(name=name, log=log))
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
    proxies = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), NOWHERE)
    path = os.pathsep.join([str(programs), os.environ.get("PATH", "")])
    return {"PYTHONPATH": str(modules), "PATH": path, "PIP_NO_INDEX": "1", **proxies}


def called_installers(folder: Path) -> list[str]:
    """Return the calls of installers that the stand-ins below `folder` refused."""
    log = folder / "installers.log"
    return log.read_text().splitlines() if log.exists() else []


def installed(folder: Path) -> dict[str, tuple]:
    """Return {file: (size, time of change)} of all below `folder` but Python's caches."""
    files = (path for path in folder.rglob("*") if "__pycache__" not in path.parts and path.is_file())
    return {
        path.relative_to(folder).as_posix(): (path.stat().st_size, path.stat().st_mtime_ns) for path in files
    }


def changes(before: dict, after: dict) -> list[str]:
    """Return the files that were added, removed or changed between two answers of `installed`."""
    words = dict.fromkeys(after.keys() - before.keys(), "added")
    words |= dict.fromkeys(before.keys() - after.keys(), "removed")
    words |= {name: "changed" for name in before.keys() & after.keys() if before[name] != after[name]}
    return [f"{word}: {name}" for name, word in sorted(words.items())]


def execute(python: str, notebook: Path, session: Path, variables: dict[str, str]) -> list[str]:
    """Run `notebook` with `python` in an empty folder below `session`; return what is wrong, after pytest's
    own words.

    The folder above holds the course's conftest.py (its hooks around nbval), but no course_utils.
    """
    content = session / notebook.stem
    content.mkdir()
    shutil.copy2(ROOT / "conftest.py", session)
    shutil.copy2(notebook, content)
    probe = "import importlib.util as u, sys; sys.exit(u.find_spec('course_utils') is not None)"
    if subprocess.run([python, "-c", probe], cwd=content, env=variables).returncode:
        return ["course_utils can be imported without the set-up cell, so this would prove nothing"]
    nbval = [
        "--nbval-lax",
        "--nbval-current-env",
        f"--nbval-cell-timeout={CELL_SECONDS}",
        "-o",
        "xfail_strict=true",
    ]
    where = ["--rootdir", session, "--confcutdir", session, "-p", "no:cacheprovider", "--timeout", "600"]
    command = [python, "-m", "pytest", "-q", *nbval, *where, notebook.name]
    try:
        status = subprocess.run(command, cwd=content, env=variables, timeout=NOTEBOOK_SECONDS).returncode
    except subprocess.TimeoutExpired:
        return [f"not done after {NOTEBOOK_SECONDS} s"]
    problems = [f"pytest ended with status {status}"] if status else []
    if not (content / f"course-{project()[1]}" / "course_utils").is_dir():
        problems.append("the set-up cell did not clone the course")
    return problems


def main(names: list[str]) -> int:
    """Execute the notebooks called `names` ("01"; default: all); return 0 if all is as it should be."""
    notebooks = sorted((ROOT / "notebooks").glob("*.ipynb"))
    chosen = [path for path in notebooks if not names or path.stem.split("_")[0] in names]
    if not chosen:
        sys.exit(f"No such notebook; there are: {', '.join(path.stem for path in notebooks)}.")
    python = ensure_environment()
    before, problems = installed(VENV), {}
    with tempfile.TemporaryDirectory(prefix="course-colab-") as scratch:
        scratch = Path(scratch)
        places = {
            name: str(scratch / "home")
            for name in ("HOME", "USERPROFILE", "IPYTHONDIR", "JUPYTER_CONFIG_DIR")
        }
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PYTHON", "JUPYTER", "PIP"))
        }
        variables = {
            **kept,
            **places,
            "COURSE_PROFILE": "quick",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUTF8": "1",
        }
        variables |= publish(scratch / "upstream") | stand_in(scratch / "stand_in")
        (scratch / "session").mkdir()
        for path in chosen:
            print(f"\n{path.stem}, in Colab's versions", flush=True)
            problems[path.stem] = execute(python, path, scratch / "session", variables)
        problems["installers"] = called_installers(scratch / "stand_in")
        problems["home"] = [f"{path} was installed" for path in (scratch / "home").rglob("site-packages")]
    problems["site-packages"] = changes(before, installed(VENV))
    return report(problems)


def report(problems: dict[str, list[str]]) -> int:
    """Print one line for each thing looked at; return 0 if there was no problem."""
    print()
    for name, found in problems.items():
        print(f"{'FAILED' if found else 'ok    '}  {name}{': ' if found else ''}{'; '.join(found[:20])}")
    return int(any(problems.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
