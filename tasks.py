#!/usr/bin/env python3
"""Every chore of the course, with nothing but Python's standard library: `python tasks.py WORD`.

lab              make .venv if needed, then open JupyterLab on lesson 00
test [ARGS]      make .venv if needed, then run every test and every notebook (profile quick);
                 --all: with what ordinary runs do by turns, once a week; ARGS go to pytest
doctor           pass, or one remedy, for each thing that goes wrong on students' machines
lessons [NN …]   build and execute the notebooks of the named lessons, or of those that are stale
stale            list the notebooks that must be rebuilt, and why
full NN          make the shipped runs of a lesson again (long; writes data/runs)
new NN slug      begin a lesson: source, checks, wrong and other answers, semantic test, run sheet
mutate [NN …]    change one thing at a time in the exercises' references; list what their checks do not notice
arena [NN …]     time the models that entered the arena, all in one go on this machine
bench [WORD …]   measure the lessons' times for the README's table, then everything in docs/speed.md;
                 `bench lessons` or `bench speed [--only PART …]` does one of the two
pages [papers --to DIR]  gather the run sheets' questions in teaching/README.md; or write the students' list of papers
slides NN […]    a lesson as a deck of slides, one file that needs no network: build/slides, or --to DIR
handout NN […]   a lesson as one page of HTML for people without Python: build/handouts, or --to DIR
assignment 1 --variant 7 --to DIR   hand out an assignment: DIR becomes (or is) a class folder of nbgrader
nbgrader DIR WORD …   nbgrader's own words in a class folder (zip_collect, autograde, …; `lab` marks by hand)
marks DIR 1      the mark sheet of an assignment
midterm --seed 3 --minutes 180 --to DIR   compose a mid-term and its solution, as notebooks and printable pages
setup [teach]    only make .venv; with `teach` also what a lecturer needs (nbgrader, live slides)
update           copy the notebooks you have run or edited to runs/notebooks, then pull the newest course
bundle DIR       gather the course and all its packages in DIR, for a room without a network
test-bundle [DIR]  install from a bundle with no index and run a lesson (it gathers one first, or tries DIR)
test-colab [NN …]  execute the notebooks with Colab's versions, as Colab does (long; makes .venv-colab)
"""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
WHEELS = ROOT / "wheels"  # in a folder made by `tasks.py bundle`: install from it, and ask no index
STAMP = VENV / "installed.sha256"
OWNER = "owner.txt"  # in .venv: the checkout whose course is installed there
NEEDED_PYTHON = (3, 11)
SETUP_TIME = "three to five minutes where it was measured"
NEEDED_GB = 9  # the install takes about 6 GB on Linux with CUDA libraries, and pip unpacks beside it


def fail(message: str) -> None:
    """End with one line that says what to do."""
    sys.exit(f"tasks.py: {message}")


def venv_python() -> Path:
    """Return the path of the environment's interpreter (on Windows it lies in Scripts)."""
    return VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def fingerprint() -> str:
    """Return a hash of all that decides what .venv must hold."""
    parts = [(ROOT / name).read_bytes() for name in ("pyproject.toml", "constraints.txt")]
    parts.append(f"{sys.version_info[:2]} {ROOT}".encode())
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def base_python() -> str:
    """Return the interpreter to build .venv with: never the one inside a .venv that is about to be
    replaced."""
    return getattr(sys, "_base_executable", None) or sys.executable


def explain_failed_install(log: str) -> str:
    """Return the one line that a failed pip run deserves."""
    text = log.lower()
    if "no space left" in text:
        return f"the disk is full; free about {NEEDED_GB} GB and run the same command again."
    signs = ("name resolution", "getaddrinfo", "connection", "timed out", "network is unreachable", "proxy")
    if any(sign in text for sign in signs):
        return (
            "the package index cannot be reached; check the network or proxy and run the same command again."
        )
    return f"pip failed; its last lines:\n{log[-2000:]}"


def explain_failed_venv(log: str) -> str:
    """Return the one line that a failed `python -m venv` deserves."""
    text = log.lower()
    if "read-only" in text or "permission denied" in text:
        return "this folder cannot be written to: copy the course into a folder of your own and run it there."
    if "no space left" in text:
        return explain_failed_install(log)
    advice = " (on Debian and Ubuntu: install the package python3-venv)" if "ensurepip" in text else ""
    return f"could not create .venv: {log.strip()[-500:]}{advice}"


class SignOfLife:
    """While the block runs, say every few seconds how long it has taken and how much was written so far."""

    def __init__(self, seconds=10.0):
        self.seconds = seconds
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._tell, daemon=True)

    def _tell(self):
        began = time.monotonic()
        free = shutil.disk_usage(ROOT).free
        while not self.over.wait(self.seconds):
            written = max(0, free - shutil.disk_usage(ROOT).free) / 2**30
            print(f"  … {time.monotonic() - began:.0f} s, {written:.1f} GB so far", flush=True)

    def __enter__(self):
        self.thread.start()

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


def install(extras: str = "dev") -> None:
    """Create .venv and install the course with these extras into it; afterwards .venv carries a stamp of what was
    installed."""
    free = shutil.disk_usage(ROOT).free / 2**30
    if free < NEEDED_GB and not venv_python().exists():
        fail(
            f"{free:.1f} GB are free here and the install needs about {NEEDED_GB}; "
            "free some space and try again."
        )
    print(f"Setting up .venv (once; {SETUP_TIME}, about 6 GB on Linux) …", flush=True)
    if not venv_python().exists():
        made = subprocess.run([base_python(), "-m", "venv", str(VENV)], capture_output=True, text=True)
        if made.returncode:
            shutil.rmtree(VENV, ignore_errors=True)
            fail(explain_failed_venv(f"{made.stdout}\n{made.stderr}"))
    pip = [str(venv_python()), "-m", "pip", "install", "--disable-pip-version-check", "--quiet"]
    source = ["--no-index", "--find-links", str(WHEELS)] if WHEELS.is_dir() else []
    command = [*pip, *source, "-c", "constraints.txt", "-e", f".[{extras}]"]
    scratch = VENV / "tmp"  # pip's own, so that what it leaves when it is killed is found and removed
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    with SignOfLife():
        done = subprocess.run(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={**os.environ, "TMPDIR": str(scratch)},
        )  # fmt: skip
    shutil.rmtree(scratch, ignore_errors=True)
    if done.returncode:
        fail(explain_failed_install(done.stdout))
    (VENV / OWNER).write_text(str(ROOT))
    STAMP.write_text(f"{fingerprint()}\n{extras}")


def refuse_foreign_environment() -> None:
    """End if .venv is a link to another checkout's: installing into it would point that course at this
    one."""
    owner = (VENV / OWNER).read_text().strip() if VENV.is_symlink() and (VENV / OWNER).exists() else str(ROOT)
    if owner != str(ROOT):
        fail(f"this .venv belongs to {owner}; remove the link .venv here, and run the same command again.")


def ensure_environment(extra: str = "") -> str:
    """Make .venv if it is missing, out of date or without `extra`; return its interpreter. Does nothing slow when
    nothing changed. An extra that was once installed stays."""
    refuse_foreign_environment()
    if sys.version_info < NEEDED_PYTHON:
        have, need = (".".join(map(str, v)) for v in (sys.version_info[:2], NEEDED_PYTHON))
        fail(f"this is Python {have}; the course needs {need} or newer: run it as `python{need} tasks.py …`.")
    current, _, have = (STAMP.read_text() if STAMP.exists() else "").partition("\n")
    extras = ",".join(sorted({"dev", *have.split(","), extra} - {""}))
    if current != fingerprint() or (extra and extra not in have.split(",")) or not venv_python().exists():
        install(extras)
    return str(venv_python())


def run(command: list, **variables: str) -> int:
    """Run a command at the root of the repository with extra environment variables; return its exit status.

    Ctrl-C is the command's own affair, which gets it from the terminal as well: JupyterLab then asks whether to
    stop, and must live to hear the answer.
    """
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.SIG_IGN:  # what is ignored stays so, here and in the command
        signal.signal(signal.SIGINT, lambda *_: None)
    try:
        return subprocess.run(
            [str(part) for part in command], cwd=ROOT, env={**os.environ, **variables}
        ).returncode
    finally:
        signal.signal(signal.SIGINT, before)


LAB = {
    # JupyterLab's question about its newsletter is answered: a class need not click it away sixty times.
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false"},
    # Messages of widgets wait for the cell that runs, and the status bar says "Busy" meanwhile.
    "@jupyterlab/apputils-extension:kernels-settings": {"commsOverSubshells": "disabled"},
    # A notebook keeps its widgets when it is saved, and shows them again without a kernel.
    "@jupyter-widgets/jupyterlab-manager:plugin": {"saveState": True},
    # A lesson's cells are taller than a slide: live slides (extra `teach`) scroll.
    "jupyterlab-rise:plugin": {"scroll": True, "center": False},
}


def quiet_lab() -> None:
    """Give .venv's JupyterLab the settings above; those that a reader has changed there stay."""
    path = VENV / "share" / "jupyter" / "lab" / "settings" / "overrides.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = {}
    wanted = {**LAB, **found}
    if wanted != found:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(wanted, indent=1), encoding="utf-8")


def lab(arguments: list) -> int:
    """Open JupyterLab on lesson 00; without a screen, or as root, it prints the address instead."""
    python = ensure_environment()
    quiet_lab()
    options = [
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        # Opens the lesson, from the printed address too.
        "--LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb",
    ]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        options.append("--allow-root")
    if sys.platform.startswith("linux") and not (
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    ):
        options.append("--no-browser")
    return run([python, "-m", "jupyterlab", *options, *arguments])


def test(arguments: list) -> int:
    """Run ruff, the tests and every notebook in the quick profile, on two workers.

    `--all` leaves out nothing of what ordinary runs do by turns (weekly; half an hour). `--record` notes how
    long each file took, by which later runs order them.
    """
    python = ensure_environment("teach")
    if run([python, "-m", "ruff", "check", "."]) or run(
        [python, "-m", "ruff", "format", "--check", "--quiet", "."]
    ):
        return 1
    variables = {
        f"COURSE_TEST_{word[2:].upper()}": "1" for word in ("--all", "--record") if word in arguments
    }
    arguments = [word for word in arguments if word not in ("--all", "--record")]
    paths = [] if any(not a.startswith("-") for a in arguments) else ["tests", "notebooks"]
    workers = ["-n", "2", "--dist", "loadfile", "--no-loadscope-reorder"]
    command = [python, "-m", "pytest", "-rs", *workers, *paths, *arguments]
    # One thread a worker: two workers with two threads each would only get in each other's way.
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        variables[name] = "1"
    return run(command, COURSE_PROFILE="quick", **variables)


def doctor(arguments: list) -> int:
    """Check this machine; with .venv if there is one, otherwise with the Python at hand."""
    python = venv_python() if venv_python().exists() else sys.executable
    return run([python, "tools/doctor.py", *arguments])


def lessons(arguments: list) -> int:
    """Build and execute notebooks from their sources."""
    return run([ensure_environment(), "tools/build_lessons.py", *arguments])


def stale(arguments: list) -> int:
    """List the notebooks that no longer match their source, the package or the shipped runs."""
    return run([ensure_environment(), "tools/build_lessons.py", "stale", *arguments])


def full(arguments: list) -> int:
    """Run one lesson in the full profile, which writes its shipped runs."""
    every = sorted((ROOT / "lessons").glob("*.py"))
    sources = [path for path in every if arguments and arguments[0] in (path.stem, path.stem.split("_")[0])]
    if len(sources) != 1:
        names = ", ".join(path.stem for path in every)
        fail(f"say which lesson, for example `python tasks.py full 00`; there are: {names}")
    return run([ensure_environment(), sources[0], *arguments[1:]], COURSE_PROFILE="full")


def new(arguments: list) -> int:
    """Begin a lesson from templates."""
    return run([ensure_environment(), "tools/new_lesson.py", *arguments])


def mutate(arguments: list) -> int:
    """Judge the mutants of a lesson's references by its checks."""
    return run([ensure_environment(), "tools/mutate.py", *arguments])


def arena(arguments: list) -> int:
    """Time the models that entered the arena."""
    return run([ensure_environment(), "tools/arena.py", *arguments])


def bench(arguments: list) -> int:
    """Measure what the README's table reports, then what docs/speed.md does; a first word names one of
    them."""
    python, (word, *rest) = ensure_environment(), arguments or ["both"]
    commands = {"lessons": [python, "tests/bench/lessons.py"], "speed": [python, "-m", "tests.bench.speed"]}
    if word not in (*commands, "both"):
        fail(f"`bench` takes lessons, speed or nothing, not {word!r}.")
    for command in commands.values() if word == "both" else [commands[word]]:
        code = run([*command, *rest])
        if code:
            return code
    return 0


def pages(arguments: list) -> int:
    """Bring the lecturer's pages up to date, or write the students' list of papers."""
    return run([ensure_environment(), "tools/class_pages.py", *arguments])


def slides(arguments: list) -> int:
    """Make decks of slides that need no network."""
    return run([ensure_environment("teach"), "tools/slides.py", *arguments])


def handout(arguments: list) -> int:
    """Make pages that need neither Python nor a network."""
    return run([ensure_environment("teach"), "tools/handout.py", *arguments])


def assignment(arguments: list) -> int:
    """Hand out an assignment."""
    return run([ensure_environment("teach"), "tools/assignment.py", "assignment", *arguments])


def nbgrader(arguments: list) -> int:
    """Run nbgrader in a class folder."""
    return run([ensure_environment("teach"), "tools/assignment.py", "nbgrader", *arguments])


def marks(arguments: list) -> int:
    """Print the mark sheet of an assignment."""
    return run([ensure_environment("teach"), "tools/assignment.py", "marks", *arguments])


def midterm(arguments: list) -> int:
    """Compose a mid-term and its solution."""
    return run([ensure_environment("teach"), "tools/midterm.py", *arguments])


def setup(arguments: list) -> int:
    """Make .venv and stop; `teach` asks for what a lecturer needs, too."""
    if arguments not in ([], ["teach"]):
        fail(f"`setup` takes nothing, or the word teach, not {' '.join(arguments)!r}.")
    print(f"Ready: {ensure_environment(*arguments)}")
    return 0


def update(_arguments: list) -> int:
    """Keep the reader's notebooks and pull."""
    return run([base_python(), "tools/update.py"])


def bundle(arguments: list) -> int:
    """Gather the course and its packages in one folder."""
    return run([ensure_environment(), "tools/bundle.py", "bundle", *arguments])


def test_bundle(arguments: list) -> int:
    """Install from a bundle with no index, and run a lesson there."""
    return run([ensure_environment(), "tools/bundle.py", "test-bundle", *arguments])


def test_colab(arguments: list) -> int:
    """Execute the notebooks in an environment with Colab's versions."""
    return run([base_python(), "tools/colab.py", *arguments])


WORDS = (
    lab,
    test,
    doctor,
    lessons,
    stale,
    full,
    new,
    mutate,
    arena,
    bench,
    pages,
    slides,
    handout,
    assignment,
    nbgrader,
    marks,
    midterm,
    setup,
    update,
    bundle,
    test_bundle,
    test_colab,
)
COMMANDS = {f.__name__.replace("_", "-"): f for f in WORDS}


def main() -> int:
    """Dispatch on the first word."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal that is not UTF-8 lacks some signs
    word, *arguments = sys.argv[1:] or ["help"]
    if word not in COMMANDS:
        print(__doc__)
        return 0 if word in ("help", "-h", "--help") else 2
    return COMMANDS[word](arguments)


if __name__ == "__main__":
    sys.exit(main())
