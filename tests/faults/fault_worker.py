"""What the processes of test_faults_disk.py do: -m tests.faults.fault_worker KIND DIR prints its findings as
JSON.

`kill`: children are killed (SIGKILL) at every step that a save takes on the disk, and at several moments of a
large one. `kernels`: two processes save under one name while a third reads. `full`: the disk fills up, DIR
being a small file system or a limit being set on the size of files. `readonly`: the course itself cannot be
written.
"""

import contextlib
import itertools
import json
import os
import resource
import signal
import sys
import time
import traceback
import warnings
from pathlib import Path

import torch
from torch import nn

import course_utils as cu
from course_utils import runs
from course_utils.data import files
from course_utils.system import disk, folders
from course_utils.train import resume, saving, snapshot
from course_utils.train.history import History
from tests.train.training import mlp, noisy_loss, points

STEPS = {"open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.chmod", "shutil.rmtree", "os.scandir",
         "tempfile.mkstemp", "tempfile.mkdtemp"}  # fmt: skip
IDENTITY = {"what": "a test"}
EMPTY, STROKE = ["." * 14], ["....######...."]
DRAWINGS = {value: "\n".join(EMPTY * 4 + STROKE * value + EMPTY * (10 - value)) for value in (1, 2)}


def model(value: float, width: int = 4) -> nn.Linear:
    """A layer whose every weight is `value`."""
    layer = nn.Linear(width, width)
    for weight in layer.parameters():
        nn.init.constant_(weight, value)
    return layer


def write_run(value: int) -> None:
    samples = torch.full((3, 28, 28), value, dtype=torch.uint8)
    cu.save_run("mine", model(value), what=str(value), samples=samples)


def read_run() -> int:
    """The value of the run that is there, after comparing all its parts; 0 where there is none."""
    layer = model(0)
    try:
        run = cu.restore("mine", layer, own=True)
    except RuntimeError as error:
        if "There is no run of yours" in str(error):
            return 0
        raise
    values = {layer.weight.min().item(), layer.bias.max().item(), run.samples.min(), run.samples.max()}
    (value,) = {*values, int(run.card["what"])}
    return int(value)


def write_state(value: int, width: int = 4) -> None:
    kept = snapshot.Snapshot({"model": model(value, width)})
    kept.take(value)
    resume.write_resume(resume.resume_path("mine"), kept, IDENTITY, History().state_dict(0))


def read_state() -> int:
    saved = resume.read_resume(resume.resume_path("mine"), "mine", IDENTITY)
    (value,) = {saved["step"], *saved["state"]["model"]["weight"].unique().tolist()}
    return int(value)


def write_digit(value: int) -> None:
    cu.my_digit(DRAWINGS[value])


def read_digit() -> int:
    cu.my_digit()  # raises if the file is damaged
    return (folders.runs_dir() / "my_digit.txt").read_text().count("######")


PLACES = {
    "run": (write_run, read_run),
    "state": (write_state, read_state),
    "digit": (write_digit, read_digit),
}


def child(action, kill_at: int | None = None) -> bool:
    """Run `action` in a process of its own; return whether it was killed. It must not fail otherwise."""
    pid = os.fork()
    if pid == 0:
        try:
            if kill_at is not None:
                die_at(kill_at)
            action()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    status = os.waitpid(pid, 0)[1]
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return True
    if status:
        sys.exit(f"a child failed with status {status}")
    return False


def die_at(step: int) -> None:
    """From now on count what this process does in its folder, and kill it before number `step`."""
    done, folder = itertools.count(), str(folders.runs_dir())

    def hook(event, args):
        if event in STEPS and any(folder in str(arg) for arg in args) and next(done) == step:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def kill(folder: Path) -> dict:
    """What is read after a kill before step 0, 1, 2, … of each kind of save, and after kills at some
    moments."""
    found = {}
    for kind, (write, read) in PLACES.items():
        found[kind] = []
        for step in itertools.count():
            child(lambda: write(1))
            killed = child(lambda: write(2), kill_at=step)
            found[kind].append(read())
            if not killed:
                break
    disk.STALE_S = -1.0  # the next day
    for write, _ in PLACES.values():
        write(2)
    found["left"] = sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
    child(lambda: write_state(1, width=1000))
    found["moments"] = [midway(folder / "resume", tenths * 400_000) for tenths in range(1, 10)]
    return found


def midway(folder: Path, size: int) -> tuple[int, int]:
    """Kill a process that saves 4 MB again and again when its file has `size` bytes; what it left, what is
    read."""
    pid = os.fork()
    if pid == 0:
        for value in itertools.cycle((2, 1)):
            write_state(value, width=1000)
    left, began = 0, time.monotonic()
    while left < size and time.monotonic() - began < 20:
        with contextlib.suppress(FileNotFoundError, ValueError):
            left = max(path.stat().st_size for path in folder.glob(".*.tmp"))
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    left = [path.stat().st_size for path in folder.glob(".*.tmp")]
    return max(left, default=0), read_state()


def kernels(folder: Path) -> dict:
    """Two processes save under one name, a run and a resume state, 40 times each; this one reads both
    meanwhile."""
    write_run(1)
    write_state(1)
    writers = {fork_writer(value) for value in (1, 2)}
    found = {"run": [], "state": [], "anew": 0}
    while writers:
        try:
            found["run"].append(read_run())
        except RuntimeError as error:
            if "was saved anew since it was loaded here: load it once more" not in str(error):
                raise
            found["anew"] += 1
        found["state"].append(read_state())
        for pid in list(writers):
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                assert status == 0
                writers.discard(pid)
    return found | {"left": sorted(path.name for path in folder.iterdir())}


def fork_writer(value: int) -> int:
    """The number of a new process that saves `value` 40 times."""
    pid = os.fork()
    if pid:
        return pid
    for _ in range(40):
        write_run(value)
        write_state(value)
    os._exit(0)


def message(action) -> str:
    """The error that `action` raises, or "" if it raises none."""
    try:
        action()
    except (disk.CannotWrite, files.DataError) as error:
        return str(error)
    return ""


def train(steps: int):
    """A named training call and what it warns of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        network = mlp()
        history = cu.fit(network, noisy_loss, points(), steps=steps, name="mine", log_every=5)
    finite = all(weight.isfinite().all() for weight in network.parameters())
    return {"steps": history.steps[-1], "stopped": history.stopped, "finite": finite,
            "warnings": [str(w.message) for w in caught]}  # fmt: skip


def full(folder: Path) -> dict:
    """Save and train on a disk that is full; then with space again."""
    filler, free = folder / "filler", os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize
    small = free < 2**23
    write_run(1), write_digit(1)
    if small:
        with contextlib.suppress(OSError), open(filler, "wb", buffering=0) as file:
            while file.write(b"\0" * 4096):
                pass
    return fill_and_free(filler, small)


def fill_and_free(filler: Path, small: bool) -> dict:
    """What happens on the full disk (or under the limit), and afterwards."""
    if not small:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20, resource.RLIM_INFINITY))
    found = {"small": small, "run": message(lambda: write_run(2)), "digit": message(lambda: write_digit(2))}
    found |= {"training": train(20), "kept": [read_run(), read_digit()]}
    found["state"] = resume.resume_path("mine").exists()
    found["left"] = sorted(path.name for path in filler.parent.rglob(".*"))
    if small:
        filler.unlink()
    else:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    write_run(2), write_digit(2)
    return found | {"again": [read_run(), read_digit()], "resumed": train(20), "trained": read_state_step()}


def read_state_step() -> int:
    return torch.load(resume.resume_path("mine"), weights_only=True)["step"]


def readonly(folder: Path) -> dict:
    """What a lesson does, with a course that cannot be written."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        cu.setup()
        digits = cu.mnist().test
        write_digit(2), write_run(2)
        found = {"run": read_run(), "digit": read_digit(), "training": train(5), "images": len(digits)}
        found |= {"shipped": bool(runs.available()), "folder": str(folders.runs_dir())}
        try:
            (folders.ROOT / "written").touch()
        except OSError as error:
            found["refused"] = error.strerror
    return found | {"warnings": [str(w.message) for w in caught if issubclass(w.category, UserWarning)]}


if __name__ == "__main__":
    kind, place = sys.argv[1], Path(sys.argv[2])
    torch.set_num_threads(1)
    if kind != "readonly":
        folders.runs_dir = lambda: place
    saving.SAVE_SECONDS = saving.SAVE_SHARE = 0
    print(
        "FOUND",
        json.dumps({"kill": kill, "kernels": kernels, "full": full, "readonly": readonly}[kind](place)),
    )
