"""An environment of their own for the competitors, so that measuring them changes no package of the course.

`.venv-bench` holds what the extra `bench` names and what that needs, and sees everything else (torch above
all) through a .pth file in the environment that runs this. It is made once; a change of the extra makes it
anew.
"""

import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / ".venv-bench"
STAMP = HOME / "installed.txt"


def wanted() -> list[str]:
    """Return the requirements of the extra `bench`."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return project["optional-dependencies"]["bench"]


def interpreter(home: Path = HOME) -> Path:
    """Return the path of the environment's interpreter (on Windows it lies in Scripts)."""
    return home / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def ensure() -> Path:
    """Make the environment if it is missing or out of date; return its interpreter.

    Where the competitors cannot be installed (no network, say) it says so and returns the present
    interpreter: their rows are then missing from the page, nothing else.
    """
    content = "\n".join([sys.version, sysconfig.get_path("purelib"), *wanted()])
    if STAMP.is_file() and STAMP.read_text(encoding="utf-8") == content:
        return interpreter()
    print(f"Setting up .venv-bench for {' and '.join(map(name_of, wanted()))} (once) …", flush=True)
    shutil.rmtree(HOME, ignore_errors=True)
    try:
        subprocess.run([sys.executable, "-m", "venv", str(HOME)], check=True)
        see_through()
        pip = [str(interpreter()), "-m", "pip", "install", "--disable-pip-version-check", "--quiet"]
        subprocess.run([*pip, "-c", "constraints.txt", *wanted()], cwd=ROOT, check=True)
    except subprocess.CalledProcessError as error:
        shutil.rmtree(HOME, ignore_errors=True)
        print(f"The competitors cannot be installed ({error}): measuring without them.", flush=True)
        return Path(sys.executable)
    STAMP.write_text(content, encoding="utf-8")
    return interpreter()


def see_through() -> None:
    """Let the new environment see the packages of this one, its editable installs included."""
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    asked = subprocess.run([str(interpreter()), "-c", code], check=True, capture_output=True, text=True)
    line = f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n"
    Path(asked.stdout.strip(), "course.pth").write_text(line, encoding="utf-8")


def name_of(requirement: str) -> str:
    """Return the name in a requirement: "lightning>=2.5" → "lightning"."""
    return re.match(r"[\w.-]*\w", requirement)[0]
