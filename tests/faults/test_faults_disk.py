"""What the disk may do to a reader's work: a kill in the middle of a save, no space, a read-only course, two
kernels.

fault_worker.py does the deeds in processes of their own.
"""

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch

import course_utils as cu
from course_utils import runs
from course_utils.runs import read
from course_utils.system import disk, folders
from course_utils.train import resume
from tests.train.training import mlp, noisy_loss, points, same

POSIX = pytest.mark.skipif(
    not hasattr(os, "fork"), reason="this system has no fork: processes cannot be killed midway"
)
ALONE = ["unshare", "--mount", "--map-root-user", "sh", "-c"]
"""Starts a shell that may mount, for itself alone, where the system lets users do that."""


def worker(kind, folder, mount=""):
    """Run the worker, after a command that mounts something; return what it found, or None if mounting
    failed."""
    command = [sys.executable, "-B", "-m", "tests.faults.fault_worker", kind, str(folder)]
    if mount:
        command = [*ALONE, f'{mount} || exit 77; cd "$0" && exec "$@"', str(folders.ROOT), *command]
    env = {**os.environ, "COURSE_PROFILE": "live", "OMP_NUM_THREADS": "1", "FOLDER": str(folder)}
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=env, cwd=folders.ROOT, timeout=300)
    except FileNotFoundError:  # no unshare here
        return None
    if mount and "FOUND" not in done.stdout and ("unshare:" in done.stderr or done.returncode == 77):
        return None
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.split("FOUND", 1)[1])


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    return worker("kill", tmp_path_factory.mktemp("kill"))


@pytest.mark.fault(
    fault="kill -9 at every step that a save takes on the disk: a run, the state of a training, the reader's digit",
    sees="nothing: the next call finds the old one or the new one",
    kept="the old one until the new one is whole (a run is gone if the kill comes in the instant between moving the "
    "old one away and the new one in); remains are removed the next day",
)
@POSIX
@pytest.mark.parametrize(("kind", "least"), [("run", 25), ("state", 6), ("digit", 5)])
def test_a_kill_at_any_step_of_a_save_leaves_the_old_or_the_new_one(killed, kind, least):
    found = killed[kind]
    assert len(found) > least and found[0] == 1 and found[-1] == 2
    assert found.count(0) == (kind == "run")  # the instant between two moves
    there = [value for value in found if value]
    assert there == sorted(there)  # once the new one is there it stays
    files = ["mine", "mine/card.json", "mine/samples.npz", "mine/weights.safetensors"]
    assert killed["left"] == [*files, "my_digit.txt", "resume", "resume/mine.live.pt"]


@pytest.mark.fault(
    fault="kill -9 while the 4 MB of a training's state are being written, at nine moments",
    sees="nothing: the training resumes from the state before",
    kept="the state saved before",
)
@POSIX
def test_a_kill_in_the_middle_of_a_large_file_leaves_the_old_one(killed):
    sizes, values = zip(*killed["moments"])
    assert len(values) == 9 and set(values) <= {1, 2}
    assert max(sizes) > 400_000  # there was half a file when the kill came


@pytest.mark.fault(
    fault="Two kernels save the same run or training, 40 times each, while a third reads it",
    sees="at most “Run 'mine' was saved anew since it was loaded here: load it once more.”",
    kept="every time one of the two, whole; never parts of both",
)
@POSIX
def test_two_kernels_that_save_under_one_name_never_mix(tmp_path):
    found = worker("kernels", tmp_path)
    assert set(found["run"]) <= {1, 2} and set(found["state"]) <= {1, 2}
    assert len(found["run"]) > 5 and found["left"] == ["mine", "resume"]


def test_a_file_that_vanishes_while_another_kernel_replaces_the_run_is_looked_for_again(monkeypatch):
    missed = []
    genuine = Path.read_bytes

    def vanishing(path):
        if path.name == read.WEIGHTS and not missed:
            missed.append(path)
            raise FileNotFoundError(path)
        return genuine(path)

    run = next(run for run in runs.available() if read.WEIGHTS in run.card["files"])
    monkeypatch.setattr(Path, "read_bytes", vanishing)
    assert run.read(read.WEIGHTS) == genuine(run.path / read.WEIGHTS) and missed


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """Findings on a file system of 256 KB, or under a limit on the size of files where mounting is not
    allowed."""
    folder = tmp_path_factory.mktemp("full")
    return worker("full", folder, 'mount -t tmpfs -o size=256k tmpfs "$FOLDER"') or worker("full", folder)


@pytest.mark.fault(
    fault="The disk is full during `cu.save_run` or `cu.my_digit` (a file system of 256 KB; where mounting is not "
    "allowed, a limit on the size of files)",
    sees="“Cannot write … (the disk is full). The weights are in the model still, and an older run stays as it is. "
    "Free some disk space …”",
    kept="the older run and digit; the same call works once there is space",
)
@POSIX
def test_a_full_disk_keeps_what_was_there_and_says_what_to_do(filled):
    for kind in ("run", "digit"):
        assert "Cannot write" in filled[kind] and "disk space" in filled[kind]
    assert "the disk is full" in filled["run"] or not filled["small"]
    assert filled["kept"] == [1, 1] and filled["left"] == [] and filled["again"] == [2, 2]


@pytest.mark.fault(
    fault="The disk is full when a training saves its state",
    sees="one warning: “The training goes on, but its state cannot be kept. Cannot write … Free some disk space …”",
    kept="the training, which ends as if nothing had happened; it is saved again as soon as there is space",
)
@POSIX
def test_a_full_disk_does_not_end_a_training(filled):
    full = filled["training"]
    assert full["steps"] == 20 and full["stopped"] is None and full["finite"] and not filled["state"]
    assert len(full["warnings"]) == 1 and "training goes on" in full["warnings"][0]
    assert filled["resumed"]["warnings"] == [] and filled["trained"] == 20


@pytest.mark.fault(
    fault="A read-only course (mounted read-only)",
    sees="one warning: “…/runs cannot be written. Your runs, trainings and digit are kept only until this kernel ends; "
    "to keep them for good, copy the course to a folder of your own …”",
    kept="everything works, data and shipped runs included; own results live in a temporary folder",
)
@POSIX
def test_a_read_only_course_works_and_warns_once(tmp_path):
    root = folders.ROOT
    found = worker(
        "readonly", tmp_path, f'mount --rbind "{root}" "{root}" && mount -o remount,ro,bind "{root}"'
    )
    if found is None:
        pytest.skip("this system lets no user mount; the test below covers the decision")
    assert "refused" in found, "the course could be written: the mount did not work"
    assert (found["run"], found["digit"], found["images"], found["shipped"]) == (2, 2, 10_000, True)
    assert found["training"] == {"steps": 5, "stopped": None, "finite": True, "warnings": []}
    assert len(found["warnings"]) == 1 and "copy the course to a folder of your own" in found["warnings"][0]
    assert not found["folder"].startswith(str(root))


def test_where_nothing_can_be_written_own_runs_go_to_a_temporary_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_PROFILE", "live")
    monkeypatch.setattr(folders, "ROOT", tmp_path)
    monkeypatch.setattr(os, "access", lambda path, mode: not str(path).startswith(str(tmp_path)))
    with pytest.warns(UserWarning, match="copy the course to a folder of your own"):
        folder = folders.runs_dir()
    assert tmp_path not in folder.parents and folder.is_dir()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert folders.runs_dir() == folder  # and it says so once
    monkeypatch.undo()


@pytest.fixture
def live(monkeypatch, tmp_path):
    """The live profile, writing to a folder of the test."""
    monkeypatch.setenv("COURSE_PROFILE", "live")
    monkeypatch.setattr(folders, "runs_dir", lambda: tmp_path)
    return tmp_path


@pytest.mark.fault(
    fault="A flipped bit anywhere in the saved state of a training",
    sees="“The resume state of 'mine' (…) cannot be read: it is damaged, a checksum differs. To start over: "
    "cu.train.forget('mine') …”",
    kept="the model as it was; never weights that are silently wrong",
)
def test_a_flipped_bit_in_a_resume_state_is_never_taken_for_weights(live):
    trained = mlp()
    cu.fit(trained, noisy_loss, points(), steps=4, name="mine")
    path = resume.resume_path("mine")
    whole, refused = path.read_bytes(), 0
    for place in range(7, len(whole), len(whole) // 60):
        content = bytearray(whole)
        content[place] ^= 0x10
        path.write_bytes(content)
        model = mlp(seed=1)
        before = {key: value.clone() for key, value in model.state_dict().items()}
        try:
            cu.fit(model, noisy_loss, points(), steps=4, name="mine")
            assert same(model, trained), f"byte {place}: other weights, and no word about it"
        except RuntimeError as error:
            assert "cannot be read" in str(error) and "cu.train.forget('mine')" in str(error)
            assert same(model, before)
            refused += 1
    assert refused > 40  # the others are in padding, which holds nothing


@pytest.mark.fault(
    fault="A kernel holds a run that was saved again since (its training cell was run once more)",
    sees="“Run 'mine' was saved anew since it was loaded here: load it once more.”",
    kept="the new run",
)
def test_a_run_that_was_replaced_is_not_called_damaged(live):
    old = cu.save_run("mine", mlp(), samples=torch.zeros(2, 28, 28, dtype=torch.uint8))
    cu.save_run("mine", mlp(seed=1), samples=torch.ones(2, 28, 28, dtype=torch.uint8))
    with pytest.raises(RuntimeError, match="saved anew since it was loaded here: load it once more"):
        old.samples
    assert runs.load("mine", own=True).samples.max() == 1


def test_a_run_that_was_replaced_and_came_back_is_not_called_damaged(live, monkeypatch):
    """At each look at the samples they are the other kernel's, at each look at the card one's own came
    back."""
    blank = torch.zeros(2, 28, 28, dtype=torch.uint8)
    old = cu.save_run("mine", mlp(), samples=blank)
    genuine = Path.read_bytes

    def saved_in_turn(path):
        cu.save_run("mine", mlp(), samples=blank + (path.name == read.SAMPLES))
        return genuine(path)

    monkeypatch.setattr(Path, "read_bytes", saved_in_turn)
    with pytest.raises(RuntimeError, match="saved anew since it was loaded here: load it once more"):
        old.samples


def folder_with(path: Path, text: str) -> Path:
    path.mkdir()
    (path / "card").write_text(text)
    return path


def test_only_old_remains_are_swept(tmp_path, monkeypatch):
    folder_with(tmp_path / ".mine.abcd1234.tmp", "half")
    (tmp_path / ".other.abcd1234.tmp").write_text("half")
    folder_with(tmp_path / "mine", "kept")
    disk.sweep(tmp_path)
    assert len(list(tmp_path.iterdir())) == 3
    monkeypatch.setattr(disk, "STALE_S", -1.0)
    disk.sweep(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_an_interrupt_between_the_two_moves_puts_the_old_folder_back(tmp_path, monkeypatch):
    new = folder_with(tmp_path / "new", "new")
    target = folder_with(tmp_path / "mine", "old")
    rename = os.rename

    def interrupted(a, b):
        rename(a, b)
        if a == target:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", interrupted)
        with pytest.raises(KeyboardInterrupt):
            disk.replace_folder(new, target)
    assert (target / "card").read_text() == "old"
    disk.replace_folder(new, target)
    assert (target / "card").read_text() == "new" and sorted(tmp_path.iterdir()) == [target]


def test_a_folder_that_another_process_puts_there_first_is_replaced_too(tmp_path, monkeypatch):
    new = folder_with(tmp_path / "new", "new")
    target = folder_with(tmp_path / "mine", "old")
    rename = os.rename
    others = []

    def overtaken(a, b):
        if a == new and len(others) < 2:
            others.append(folder_with(target, "another's"))
        rename(a, b)

    monkeypatch.setattr(os, "rename", overtaken)
    disk.replace_folder(new, target)
    assert len(others) == 2 and (target / "card").read_text() == "new"
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_that_cannot_be_replaced_stays(tmp_path, monkeypatch):
    new = folder_with(tmp_path / "new", "new")
    target = folder_with(tmp_path / "mine", "old")
    rename = os.rename

    def refused(a, b):
        if a == new:
            raise PermissionError(13, "Permission denied")
        rename(a, b)

    monkeypatch.setattr(os, "rename", refused)
    with pytest.raises(PermissionError):
        disk.replace_folder(new, target)
    assert (target / "card").read_text() == "old" and sorted(tmp_path.iterdir()) == [target, new]
