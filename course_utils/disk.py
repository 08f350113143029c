"""Files and folders that are old or new, never half: what a crash, a full disk or a second kernel may meet.

`atomic` replaces a file, `swap` a folder. `rescue` puts back what a process killed within `swap` had moved aside,
`sweep` removes what killed processes left behind, and `explained` says what to do when the disk refuses.
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


class CannotWrite(RuntimeError):
    """The disk is full or the folder cannot be written; the message says what to do and what is kept."""


@contextlib.contextmanager
def explained(path: Path, kept: str):
    """Turn what goes wrong on the disk within the block, which writes `path`, into a CannotWrite.

    `kept`: the sentence that says what is not lost.
    """
    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:  # torch.save raises RuntimeError, safetensors its own
        reason = getattr(error, "strerror", None) or _reason(path, error)
        raise CannotWrite(
            f"Cannot write {path} ({reason}). {kept} Free some disk space or make its folder writable, then run the "
            "cell again."
        ) from None


def _reason(path: Path, error: Exception) -> str:
    """Why a library that hides the system's error could not write."""
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    full = shutil.disk_usage(folder).free < 2**20
    return "the disk is full" if full else str(error).splitlines()[0] if str(error) else type(error).__name__


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
        os.chmod(name, 0o644)
        os.replace(name, path)
    finally:
        Path(name).unlink(missing_ok=True)


def swap(new: Path, target: Path, tries: int = 100) -> None:
    """Put the folder `new` in the place of `target`; of several processes that do this the last one wins, whole.

    The older folder is moved aside and deleted only when the new one is in its place.
    """
    aside = []
    try:
        for _ in range(tries):
            try:
                os.rename(new, target)  # fails while there is a folder with something in it
                return
            except OSError:
                aside.append(Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".old", dir=target.parent)))
                with contextlib.suppress(OSError):  # another process has just moved it
                    os.rename(target, aside[-1] / "run")
    finally:
        rescue(target.parent)
        for old in aside:
            with contextlib.suppress(OSError):
                os.rename(old / "run", old / "gone")  # nobody must put back what is half deleted
            shutil.rmtree(old, ignore_errors=True)
    raise CannotWrite(f"Could not replace {target}: is it open in another program, or not writable?")


def rescue(folder: Path) -> None:
    """Put back the folders that a process moved aside in `swap` and then, being killed, did not replace."""
    for old in folder.glob(".*.????????.old/run"):
        target = folder / old.parent.name[1 : -len(".????????.old")]
        if not target.exists():
            with contextlib.suppress(OSError):  # another process was faster, or the disk is read-only
                os.rename(old, target)


def sweep(folder: Path) -> None:
    """Remove what processes that were killed while they wrote into `folder` left there a day ago or earlier."""
    rescue(folder)
    for left in [*folder.glob(".*.????????.tmp"), *folder.glob(".*.????????.old")]:
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > STALE_S:
                shutil.rmtree(left) if left.is_dir() else left.unlink()
