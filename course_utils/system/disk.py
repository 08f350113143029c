"""Files and folders that are old or new, never half: what a crash, a full disk or a second kernel may meet.

`atomic` replaces a file, `replace_folder` a folder, `sweep` removes what killed processes left behind, and
`explained` says what to do when the disk refuses.
"""

import contextlib
import os
import shutil
import tempfile
import time
from pathlib import Path

from safetensors import SafetensorError

STALE_S = 86_400.0
"""What a killed process left is removed when it is a day old: a younger one may still be written to."""

TRIES = 10
"""How often `replace_folder` tries: each time another process may have put its own folder there first."""


class CannotWrite(RuntimeError):
    """The disk is full or the folder cannot be written; the message says what to do and what is kept."""


@contextlib.contextmanager
def explained(path: Path, kept: str):
    """Turn what goes wrong on the disk within the block, which writes `path`, into a CannotWrite.

    `kept`: the sentence that says what is not lost.
    """
    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:  # torch.save raises RuntimeError
        reason = getattr(error, "strerror", None) or _reason(path, error)
        raise CannotWrite(
            f"Cannot write {path} ({reason}). {kept} Free some disk space or make its folder writable, then"
            " run the cell again."
        ) from None


def _reason(path: Path, error: Exception) -> str:
    """Why a library that hides the system's error could not write."""
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if shutil.disk_usage(folder).free < 2**20:
        return "the disk is full"
    return str(error).splitlines()[0] if str(error) else type(error).__name__


@contextlib.contextmanager
def atomic(path: Path):
    """Yield a temporary path beside `path` that replaces it when the block ends well, and vanishes otherwise.

    A reader, or a crash, at any moment meets the old file or the new one, never half of one.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    os.close(handle)
    try:
        yield Path(name)
        with open(name, "rb+") as file:
            os.fsync(file.fileno())
        opened_to_others(Path(name))
        os.replace(name, path)
    finally:
        Path(name).unlink(missing_ok=True)


def opened_to_others(path: Path) -> None:
    """Let others read a temporary file or folder, which is closed to them, where the disk knows of rights.

    Some mounts (network drives, a shared folder of a virtual machine) refuse chmod although they can be written.
    """
    with contextlib.suppress(OSError):
        path.chmod(0o755 if path.is_dir() else 0o644)


def temporary_folder(target: Path) -> Path:
    """Return a new, empty folder beside `target`, hidden, which `sweep` removes if it is left there."""
    target.parent.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent))


def replace_folder(new: Path, target: Path) -> None:
    """Put the folder `new` in the place of `target`; of several processes that do this the last one wins,
    whole.

    The older folder is moved aside, put back if the new one cannot take its place, and deleted at the end.
    Between the two moves there is no `target` for an instant. Raises OSError if the system refuses.
    """
    aside = temporary_folder(target)
    try:
        for attempt in range(TRIES):
            with contextlib.suppress(FileNotFoundError):
                os.rename(target, aside / str(attempt))
            try:
                os.rename(new, target)
                return
            except OSError:  # another process has just put its own there
                if attempt == TRIES - 1:
                    raise
    finally:
        for older in sorted(aside.iterdir(), reverse=True):
            if not target.exists():
                with contextlib.suppress(OSError):  # another process was faster
                    os.rename(older, target)
        shutil.rmtree(aside, ignore_errors=True)


def sweep(folder: Path) -> None:
    """Remove what processes that were killed while they wrote into `folder` left there a day ago or
    earlier."""
    for left in folder.glob(".*.????????.tmp"):
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > STALE_S:
                shutil.rmtree(left) if left.is_dir() else left.unlink()
