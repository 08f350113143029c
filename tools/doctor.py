"""Check this machine for what goes wrong on students' machines: one line each, "ok" or the remedy.

Runs with the standard library alone where nothing is installed yet. Exit status: the number of problems.
"""

import importlib.metadata
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = (
    "torch",
    "torchvision",
    "numpy",
    "matplotlib",
    "ipywidgets",
    "jupyterlab",
    "sklearn",
    "safetensors",
)


class Remedy(Exception):
    """Something is wrong; the message says what to do."""


def python_version() -> str:
    """The interpreter is new enough."""
    if sys.version_info < (3, 11):
        raise Remedy(f"this is Python {sys.version.split()[0]}: install 3.11 or newer and run doctor with it")
    return f"Python {sys.version.split()[0]}"


def disk_space() -> str:
    """There is room for the environment and for runs."""
    free = shutil.disk_usage(ROOT).free / 2**30
    need = 1 if (ROOT / ".venv").exists() else 9
    if free < need:
        raise Remedy(f"only {free:.1f} GB are free: make room for {need} GB")
    return f"{free:.0f} GB free"


def memory() -> str:
    """There is memory for the largest lesson."""
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    except (AttributeError, ValueError, OSError):
        return "memory unknown on this system"
    if total < 3.5:
        raise Remedy(f"{total:.1f} GB of memory: close other programs, or use Colab")
    return f"{total:.0f} GB of memory"


def folder() -> str:
    """The course lies where it can be written to and where no sync program fights over it."""
    try:
        with tempfile.NamedTemporaryFile(dir=ROOT):
            pass
    except OSError:
        raise Remedy(f"{ROOT} cannot be written to: copy the course into a folder of your own") from None
    synced = [word for word in ("OneDrive", "Dropbox", "iCloud") if word.lower() in str(ROOT).lower()]
    if synced:
        raise Remedy(
            f"the course lies in a folder that {synced[0]} syncs: move it out, or installs break half-way"
        )
    return "folder can be written to"


def environment() -> str:
    """This interpreter belongs to .venv, or to an environment that has the course."""
    if importlib.util.find_spec("course_utils") is None and not (ROOT / "course_utils").is_dir():
        raise Remedy("course_utils is missing: the download is incomplete, clone or unpack it again")
    if sys.prefix == sys.base_prefix and not os.environ.get("CONDA_PREFIX"):
        raise Remedy("no .venv yet: run `python tasks.py lab`, which makes it")
    return f"environment {Path(sys.prefix).name}"


def packages() -> str:
    """Everything the course imports is there."""
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise Remedy(f"missing: {', '.join(missing)}: run `python tasks.py setup` and try again")
    return f"{len(PACKAGES)} packages found"


def renewal() -> str:
    """Return how to make the packages anew."""
    if (ROOT / ".venv").exists():
        return "mend what stands above; if nothing does, delete .venv and run `python tasks.py setup`"
    return "mend what stands above; if nothing does, run `python tasks.py setup`, which makes an environment"


def torch_pair() -> str:
    """torch and torchvision fit together (a mismatch fails only at import)."""
    code = "import torch, torchvision; torchvision.ops.nms; print(torch.__version__, torchvision.__version__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["?"])[-1]
        delete = "delete .venv and " if (ROOT / ".venv").exists() else ""
        raise Remedy(f"torch and torchvision do not fit ({last}): {delete}run `python tasks.py setup`")
    return "torch " + done.stdout.strip().replace(" ", " with torchvision ")


def gpu() -> str:
    """A card that is there is also used."""
    has_card = (
        shutil.which("nvidia-smi")
        and not subprocess.run(["nvidia-smi", "-L"], capture_output=True).returncode
    )
    if importlib.util.find_spec("torch") is None:
        return "not checked without torch"
    import torch

    if has_card and not torch.cuda.is_available():
        raise Remedy(
            "there is an NVIDIA card but torch cannot use it: update the driver; until then the CPU is used"
        )
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return "Apple GPU" if torch.backends.mps.is_available() else "no GPU: lessons run on the CPU, in minutes"


def data() -> str:
    """The shipped data set is complete: the course's own loader verifies its checksums."""
    if importlib.util.find_spec("torch") is None:
        return "not checked without torch"
    code = "import course_utils as cu; print(len(cu.mnist().train))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise Remedy((done.stderr.strip().splitlines() or ["the data cannot be read"])[-1])
    return "MNIST complete"


def kernel() -> str:
    """Notebooks run in this environment, not in another Python's kernel."""
    if importlib.util.find_spec("jupyter_client") is None:
        return "not checked without Jupyter"
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    try:
        command = KernelSpecManager().get_kernel_spec("python3").argv[0]
    except NoSuchKernel:
        raise Remedy("no Python kernel: run `python tasks.py setup` again") from None
    same = (
        Path(command).name == command
        or Path(command).absolute().parent == Path(sys.executable).absolute().parent
    )
    if not same:
        raise Remedy(
            f"the kernel 'python3' starts {command}: remove it with `jupyter kernelspec remove python3`"
        )
    return "the kernel is this environment's"


def widgets() -> str:
    """ipywidgets and its JupyterLab side are of one generation."""
    try:
        version = importlib.metadata.version("ipywidgets")
        front = importlib.metadata.version("jupyterlab_widgets")
    except importlib.metadata.PackageNotFoundError:
        raise Remedy("ipywidgets is incomplete: run `python tasks.py setup`") from None
    if int(version.split(".")[0]) < 8:
        raise Remedy(
            f"ipywidgets {version} does not show sliders in JupyterLab 4: `pip install -U ipywidgets`"
        )
    return f"ipywidgets {version}, front end {front}"


def port() -> str:
    """A port for JupyterLab is free (it tries the next ones by itself; a firewall that blocks all is the
    problem)."""
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", 0))
        except OSError:
            raise Remedy("no local port can be opened: allow Python in the firewall") from None
    return "local ports can be opened"


def profile() -> str:
    """No forgotten COURSE_PROFILE."""
    name = os.environ.get("COURSE_PROFILE", "")
    if name not in ("", "live"):
        raise Remedy(
            f"COURSE_PROFILE is {name!r} in this shell: unset it, or lessons train too little or for hours"
        )
    return "profile live"


CHECKS = (
    python_version,
    disk_space,
    memory,
    folder,
    environment,
    packages,
    torch_pair,
    gpu,
    data,
    kernel,
    widgets,
    port,
    profile,
)


def main() -> int:
    """Run every check and print a line for each."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a folder's name may hold what the terminal lacks
    problems = 0
    for check in CHECKS:
        name = check.__name__.replace("_", " ")
        try:
            print(f"ok      {name}: {check()}")
        except Remedy as remedy:
            problems += 1
            print(f"REMEDY  {name}: {remedy}")
        except Exception as error:  # a check that cannot be made must not hide those after it
            problems += 1
            reason = (str(error).splitlines() or [""])[0]
            print(f"REMEDY  {name}: could not be checked ({type(error).__name__}: {reason}): {renewal()}")
    print("All good." if not problems else f"{problems} to mend; start with the first.")
    return problems


if __name__ == "__main__":
    sys.exit(main())
