"""tasks.py: what the commands do on a machine where something is missing, and that they are idempotent."""

import ast
import collections
import json
import os
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

import tasks


@pytest.fixture
def fresh(monkeypatch, tmp_path):
    """A checkout without .venv; pip and venv are replaced by a recorder whose outcome a test may set."""
    calls = []
    outcome = {"returncode": 0, "stdout": ""}

    def run(command, **options):
        calls.append([str(part) for part in command])
        if "venv" in command:
            tasks.venv_python().parent.mkdir(parents=True)
            tasks.venv_python().touch()
        pip = "pip" in command
        return subprocess.CompletedProcess(
            command, outcome["returncode"] if pip else 0, outcome["stdout"], ""
        )

    monkeypatch.setattr(tasks, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(tasks, "STAMP", tmp_path / ".venv" / "installed.sha256")
    monkeypatch.setattr(tasks.subprocess, "run", run)
    return calls, outcome


def test_the_environment_is_made_once_and_not_again(fresh):
    calls, _ = fresh
    assert tasks.ensure_environment() == str(tasks.venv_python())
    made_by, installed_by = calls
    assert made_by == [tasks.base_python(), "-m", "venv", str(tasks.VENV)]
    assert installed_by[:4] == [str(tasks.venv_python()), "-m", "pip", "install"]
    assert installed_by[-2:] == ["-e", ".[dev]"]
    made = len(calls)
    tasks.ensure_environment()
    assert len(calls) == made


def test_what_a_lecturer_needs_comes_when_it_is_asked_for_and_stays(fresh, monkeypatch):
    calls, _ = fresh
    tasks.ensure_environment()
    made = len(calls)
    tasks.ensure_environment("teach")
    assert calls[-1][-2:] == ["-e", ".[dev,teach]"] and len(calls) == made + 1
    tasks.ensure_environment("teach")
    tasks.ensure_environment()
    assert len(calls) == made + 1
    monkeypatch.setattr(tasks, "fingerprint", lambda: "changed")
    tasks.ensure_environment()
    assert calls[-1][-2:] == ["-e", ".[dev,teach]"]


def test_an_environment_of_an_earlier_course_is_completed(fresh):
    """Before there was a choice, the stamp held the hash alone."""
    calls, _ = fresh
    tasks.ensure_environment()
    tasks.STAMP.write_text(tasks.fingerprint())
    made = len(calls)
    tasks.ensure_environment()
    assert len(calls) == made
    tasks.ensure_environment("teach")
    assert calls[-1][-2:] == ["-e", ".[dev,teach]"]


@pytest.mark.parametrize("words", [["teech"], ["teach", "now"]])
def test_setup_knows_one_word(fresh, words):
    with pytest.raises(SystemExit, match="takes nothing, or the word teach"):
        tasks.setup(words)


def test_changed_dependencies_install_again(fresh, monkeypatch):
    calls, _ = fresh
    tasks.ensure_environment()
    made = len(calls)
    monkeypatch.setattr(tasks, "fingerprint", lambda: "changed")
    tasks.ensure_environment()
    assert len(calls) == made + 1  # pip alone: the interpreter is kept


def test_an_environment_that_belongs_to_another_checkout_is_left_alone(fresh, tmp_path, monkeypatch):
    """A .venv that is a link: installing into it would point its owner's course at this one."""
    calls, _ = fresh
    other = tmp_path / "other"
    owned = other / ".venv"
    owned.mkdir(parents=True)
    tasks.VENV.symlink_to(owned)
    (owned / "owner.txt").write_text(str(other))
    with pytest.raises(SystemExit, match=f"belongs to {other}.*remove the link"):
        tasks.ensure_environment()
    assert calls == []
    (owned / "owner.txt").write_text(str(tasks.ROOT))  # a link to one's own environment on another disk
    tasks.ensure_environment()
    assert any("pip" in call for call in calls)


@pytest.mark.parametrize(
    ("log", "remedy"),
    [
        ("OSError: [Errno 28] No space left on device", "disk is full"),
        (
            "Failed to establish a new connection: [Errno -3] Temporary failure in name resolution",
            "check the network",
        ),
        ("ReadTimeoutError: Read timed out.", "check the network"),
        ("ERROR: ResolutionImpossible", "ResolutionImpossible"),
    ],
)
def test_a_failed_install_says_what_to_do_and_leaves_no_stamp(fresh, log, remedy):
    _, outcome = fresh
    outcome.update(returncode=1, stdout=log)
    with pytest.raises(SystemExit, match=remedy):
        tasks.ensure_environment()
    assert not tasks.STAMP.exists()
    outcome.update(returncode=0)
    tasks.ensure_environment()
    assert tasks.STAMP.exists()


@pytest.mark.parametrize(
    ("log", "remedy", "absent"),
    [
        ("Error: [Errno 30] Read-only file system: '/course/.venv'", "folder of your own", "python3-venv"),
        ("PermissionError: [Errno 13] Permission denied", "folder of your own", "python3-venv"),
        (
            "The virtual environment was not created because ensurepip is not available.",
            "python3-venv",
            "own",
        ),
        ("OSError: [Errno 28] No space left on device", "the disk is full", "python3-venv"),
        ("something else", "something else", "python3-venv"),
    ],
)
def test_a_failed_venv_gets_the_advice_that_helps(log, remedy, absent):
    assert remedy in tasks.explain_failed_venv(log) and absent not in tasks.explain_failed_venv(log)


def test_the_install_shows_signs_of_life(fresh, monkeypatch, capsys):
    plain = tasks.subprocess.run
    monkeypatch.setattr(tasks.SignOfLife.__init__, "__defaults__", (0.01,))

    def slow(command, **options):
        time.sleep(0.2 if "pip" in command else 0)
        return plain(command, **options)

    monkeypatch.setattr(tasks.subprocess, "run", slow)
    tasks.ensure_environment()
    assert capsys.readouterr().out.count("GB so far") >= 2
    assert not list(tasks.VENV.glob("tmp")), "what pip leaves in its temporary folder is removed"


@pytest.mark.parametrize("name", ["tasks.py", "tools/doctor.py"])
def test_an_old_python_can_read_the_file_and_so_say_that_it_is_old(name):
    ast.parse((tasks.ROOT / name).read_text(encoding="utf-8"), feature_version=(3, 6))


def test_an_old_python_is_refused_in_one_line(fresh, monkeypatch):
    Version = collections.namedtuple("Version", "major minor micro")
    monkeypatch.setattr(tasks.sys, "version_info", Version(3, 9, 2))
    with pytest.raises(SystemExit, match="this is Python 3.9; the course needs 3.11") as stop:
        tasks.ensure_environment()
    assert "\n" not in str(stop.value)


def test_a_full_disk_is_noticed_before_the_install(fresh, monkeypatch):
    Usage = collections.namedtuple("Usage", "total used free")
    monkeypatch.setattr(tasks.shutil, "disk_usage", lambda _: Usage(1, 1, 2 * 2**30))
    with pytest.raises(SystemExit, match="2.0 GB are free here and the install needs about 9"):
        tasks.ensure_environment()
    assert fresh[0] == []


def test_an_unknown_word_prints_the_help():
    done = subprocess.run(
        [sys.executable, "tasks.py", "labb"], cwd=tasks.ROOT, capture_output=True, text=True
    )
    assert done.returncode == 2 and "lab " in done.stdout and "doctor" in done.stdout


def test_doctor_names_a_remedy_for_a_broken_machine():
    env = {**os.environ, "COURSE_PROFILE": "full"}
    done = subprocess.run(
        [sys.executable, "tools/doctor.py"], cwd=tasks.ROOT, capture_output=True, text=True, env=env
    )
    assert done.returncode >= 1
    assert "REMEDY  profile: COURSE_PROFILE is 'full'" in done.stdout
    assert "ok      packages" in done.stdout


def test_doctor_goes_on_where_torch_is_broken(tmp_path):
    """A torch that cannot load its libraries: every later check is made, and no traceback is shown."""
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text("raise OSError('libcudart.so.13: cannot open ü')")
    env = {**os.environ, "PYTHONPATH": str(tmp_path), "COURSE_PROFILE": "live", "LC_ALL": "C"}
    env |= {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": ""}
    done = subprocess.run(
        [sys.executable, "tools/doctor.py"], cwd=tasks.ROOT, capture_output=True, text=True, env=env
    )
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert any(line.startswith("REMEDY  gpu: could not be checked (OSError: libcudart") for line in lines)
    for check in ("torch pair", "data", "kernel", "widgets", "port", "profile"):
        assert any(f" {check}: " in line for line in lines), check


def test_lab_opens_the_first_lesson_and_asks_nothing(fresh, monkeypatch):
    """The printed address itself leads to lesson 00, and JupyterLab's question about its newsletter is
    answered."""
    calls, _ = fresh
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert tasks.lab(["--port", "8899"]) == 0
    command = calls[-1]
    opened = next(part.partition("=")[2] for part in command if part.startswith("--LabApp.default_url"))
    assert (tasks.ROOT / opened.removeprefix("/lab/tree/")).is_file()
    assert command[-2:] == ["--port", "8899"] and ("--no-browser" in command) == sys.platform.startswith(
        "linux"
    )
    path = tasks.VENV / "share/jupyter/lab/settings/overrides.json"
    settings = json.loads(path.read_text())
    assert settings == tasks.LAB
    assert settings["@jupyterlab/apputils-extension:notification"] == {"fetchNews": "false"}
    # An older course wrote only the first of them; what somebody changed there stays.
    own = {"@jupyterlab/apputils-extension:notification": {"fetchNews": "true"}, "another": {"a": 1}}
    path.write_text(json.dumps(own))
    tasks.quiet_lab()
    assert json.loads(path.read_text()) == {**tasks.LAB, **own}


def test_the_settings_of_jupyterlab_exist():
    """What an update of JupyterLab renamed would be ignored without a word."""
    share = Path(sys.prefix) / "share" / "jupyter"
    for key, values in tasks.LAB.items():
        package, plugin = key.split(":")
        places = [
            share / "lab" / "schemas" / package / f"{plugin}.json",
            share / "labextensions" / package / "schemas" / package / f"{plugin}.json",
        ]
        schema = next((json.loads(path.read_text()) for path in places if path.is_file()), None)
        assert schema, key
        for name, value in values.items():
            options = [option["const"] for option in schema["properties"][name].get("oneOf", [])]
            assert value in options or schema["properties"][name]["type"] == "boolean", name


ASKS = """
import signal, sys
def ask(*_):
    print("Shut down? (y/n)", flush=True)
    if sys.stdin.readline().strip() == "y":
        sys.exit(7)
    print("GOES ON", flush=True)
signal.signal(signal.SIGINT, ask)
print("SERVES", flush=True)
while True:
    signal.pause()
"""


@pytest.mark.skipif(os.name == "nt", reason="pseudo-terminals are a thing of Unix")
@pytest.mark.fault(
    fault="Ctrl-C in the terminal of `make lab`, to copy the printed address, say",
    sees="JupyterLab asks: “Shut down this Jupyter server (y/[n])?”",
    kept="the server and its kernels, unless the answer is y",
)
@pytest.mark.parametrize("start", [["tasks"], ["make"]], ids=["tasks.py", "make"])
def test_ctrl_c_asks_and_the_command_lives_to_hear_the_answer(start, tmp_path):
    """The stand-in for JupyterLab asks at Ctrl-C as JupyterLab does."""
    (tmp_path / "asks.py").write_text(ASKS)
    lab = f"import sys, tasks; sys.exit(tasks.run([sys.executable, {str(tmp_path / 'asks.py')!r}]))"
    command = [sys.executable, "-c", lab]
    if start == ["make"]:
        if shutil.which("make") is None:
            pytest.skip("make is not installed")
        (tmp_path / "lab.py").write_text(lab)
        (tmp_path / "Makefile").write_text(f"lab:\n\t@{sys.executable} {tmp_path / 'lab.py'}\n")
        command = ["make", "-f", str(tmp_path / "Makefile"), "lab"]
    with Terminal(command) as terminal:
        terminal.wait_for("SERVES")
        terminal.type("\x03")
        terminal.wait_for("Shut down?")
        time.sleep(0.5)  # longer than subprocess.run leaves a child after Ctrl-C
        terminal.type("n\n")
        terminal.wait_for("GOES ON")
        terminal.type("\x03")
        terminal.wait_for("Shut down?", times=2)
        terminal.type("y\n")
        assert terminal.process.wait(30) != 0
        assert start == ["make"] or terminal.process.returncode == 7


class Terminal:
    """A command in a terminal of its own."""

    def __init__(self, command):
        import pty

        self.ours, theirs = pty.openpty()
        self.text = ""
        env = {**os.environ, "PYTHONPATH": str(tasks.ROOT)}
        self.process = subprocess.Popen(
            [sys.executable, "-c", LEADER, *command], stdin=theirs, stdout=theirs, stderr=theirs, env=env,
            cwd=tasks.ROOT, start_new_session=True,
        )  # fmt: skip
        os.close(theirs)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            os.killpg(self.process.pid, 9)
        self.process.wait()
        os.close(self.ours)

    def type(self, keys):
        os.write(self.ours, keys.encode())

    def wait_for(self, text, times=1):
        end = time.monotonic() + 30
        while self.text.count(text) < times:
            assert time.monotonic() < end, f"{text!r} was not printed, but {self.text!r}"
            if select.select([self.ours], [], [], 0.2)[0]:
                self.text += os.read(self.ours, 4096).decode()


LEADER = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execvp(sys.argv[1], sys.argv[1:])
"""
