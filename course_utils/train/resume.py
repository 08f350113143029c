"""Resume states on disk: written at log points, taken up by the next call of the same name."""

import collections
import hashlib
import re
import shutil
import sys
import zipfile
from pathlib import Path

import torch

from course_utils.system import disk, folders, randomness, ranks
from course_utils.system.profile import profile
from course_utils.train import fingerprint, messages, plain
from course_utils.train.snapshot import Snapshot, tensors

FORMAT = 3
"""Of a resume state; a run's card has a format of its own. 3: the data and all settings are in the identity."""
AUTOMATIC = r"-[0-9a-f]{8}-\d+"
"""What `automatic_name` puts behind the name of the script."""

_calls: collections.Counter = collections.Counter()  # how often each automatic name was given out so far


def forget(name: str) -> bool:
    """Delete the resume state of a training call, so that it starts over; return whether there was one.

    `name`: that of the call, or that of a script ("06_diffusion"), which stands for all its calls that were
    kept without a name (see `cu.loop`). It prints what was forgotten. Raises ValueError for what cannot be a
    name.
    """
    folders.check_run_name(name)
    folder = resume_path(name).parent
    ending = f".{profile()}.pt"
    wanted = re.compile(re.escape(name) + f"({AUTOMATIC})?" + re.escape(ending))
    found = sorted(path for path in folder.glob(f"{name}*{ending}") if wanted.fullmatch(path.name))
    ranks.wait_for_all()  # nobody may delete a file before everybody has seen it
    if ranks.rank() == 0:
        for path in found:
            if path.is_dir():
                shutil.rmtree(path)
            path.unlink(missing_ok=True)
            kept = path.name.removesuffix(ending)
            print(f"{kept}: the state of this training is forgotten ({path}); the next call starts over.")
        if not found:
            print(f"{name}: nothing was kept in {folder}, nothing to forget.")
    ranks.wait_for_all()
    return bool(found)


def resume_path(name: str) -> Path:
    """Return the file that holds the resume state of a training call: never among the shipped runs."""
    folder = folders.ROOT / "runs" if profile() == "full" else folders.runs_dir()
    return folder / "resume" / f"{name}.{profile()}.pt"


def automatic_name(identity: dict[str, str], state: dict, batches) -> str:
    """Return the name under which a training call without a name is kept: "SCRIPT-HASH-NUMBER".

    The hash is that of the fingerprint, of the state the training begins with and of its first batch: after
    a change in what comes before it, in the same script, it is another training. NUMBER counts the calls of
    one hash in this process from 1, so that the script must make its calls in the same order each time.
    """
    digest = hashlib.sha256(repr(sorted(identity.items())).encode())
    beginning = [part.state_dict() for part in state.values()]
    for tensor in tensors([beginning, _first_batch(batches)]):
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    stem = f"{_script()}-{ranks.shared(digest.hexdigest()[:8])}"
    _calls[stem] += 1
    return f"{stem}-{_calls[stem]}"


def _script() -> str:
    """The name of the program that runs, in letters that a file's name may have."""
    path = getattr(sys.modules["__main__"], "__file__", None) or sys.argv[0]
    return re.sub(r"\W", "_", Path(path).stem).strip("_") or "unnamed"


def _first_batch(batches):
    """The first batch, where asking for it does not open an epoch."""
    if isinstance(batches, list | tuple):
        return batches[0] if batches else None
    if not hasattr(batches, "batch"):
        return None
    with randomness.forked():
        return batches.batch(0)


def write_resume(path: Path, snapshot: Snapshot, identity: dict, record: dict) -> None:
    """Write a resume state atomically: the snapshot, what it belongs to (fingerprint) and the history so far.

    Raises disk.CannotWrite if the disk refuses, or if the state holds what could not be read again; an older
    state stays as it is.
    """
    content = plain.packed(
        {
            "format": FORMAT,
            "step": snapshot.step,
            "state": snapshot.copy,
            "random": snapshot.random_of_ranks,
            "identity": identity,
            "history": record,
        }
    )
    found = plain.unreadable(content["state"], "the state")
    if found:
        raise disk.CannotWrite(f"{found[0].upper()}{found[1:]}, which could not be read again.")
    with disk.explained(path, "What was trained is in the model, and an older state stays as it is."):
        disk.sweep(path.parent)
        with disk.atomic(path) as temporary:
            torch.save(content, temporary)


def read_resume(path: Path, name: str, identity: dict) -> dict | None:
    """Return a resume state, or None if there is none.

    Raises RuntimeError if the file cannot be read, and when it belongs to a training call that differs from
    this one (architecture, hyperparameters, source of the loss), naming each difference.
    """
    if not path.exists():
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()  # torch.load does not look at the checksums that torch.save wrote
        if damaged:
            raise ValueError("it is damaged, a checksum differs")
        saved = torch.load(path, map_location="cpu", weights_only=True)
        if saved["format"] != FORMAT:
            raise ValueError(
                f"it was saved by another version of the course (format {saved['format']}, not {FORMAT})"
            )
        _check_content(saved)
    except Exception as error:
        raise RuntimeError(messages.cannot_be_read(name, path, error)) from None
    changes = fingerprint.differences(saved["identity"], identity)
    if changes:
        raise RuntimeError(messages.does_not_fit(name, saved["step"], changes))
    return plain.unpacked(saved)


def _check_content(saved: dict) -> None:
    """Raise ValueError unless a resume state has all its parts, each of its kind."""
    kinds = {"step": int, "state": dict, "random": list, "identity": dict, "history": dict}
    wrong = [key for key, kind in kinds.items() if not isinstance(saved.get(key), kind)]
    if not wrong:
        parts = {"steps": list, "values": dict, "seconds": float | int, "frames": list, "frame_steps": list}
        wrong = [
            f"history's {key}"
            for key, kind in parts.items()
            if not isinstance(saved["history"].get(key), kind)
        ]
    if wrong:
        raise ValueError(f"it lacks {', '.join(wrong)}")
