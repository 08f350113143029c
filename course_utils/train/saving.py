"""When a training call keeps its state on disk, and how it takes it up again."""

import time
import warnings

import torch

from course_utils.system import disk, randomness, ranks
from course_utils.train import fingerprint, messages, plain, resume, snapshot

SAVE_SECONDS = 15.0
"""A training call that has a name saves its state at log points, but at most this often …"""
SAVE_SHARE = 30
"""… and only after this many times the duration of the last save: saving takes at most 1/30 of the time."""


class Saving:
    """The saved state of one training call. Without a `name` nothing is read or written.

    `identify`: a function without arguments that returns the call's fingerprint. `copied`: the Snapshot that
    is written. `start`: after which step an earlier call left off, 0 if there was none. `refusal`: what the
    disk said at the last save, "" if it took it.
    """

    def __init__(self, name: str | None, identify, copied: snapshot.Snapshot, history):
        self.name = name
        self.identify = identify
        self.identity = identify() if name else {}
        self.snapshot = copied
        self.history = history
        self.start = 0
        self.refusal = ""
        self._last_save = time.perf_counter()
        self._pause = SAVE_SECONDS

    def resume(self) -> None:
        """Take up the state that an earlier call with this name left, if any. RuntimeError if it does not
        fit, TypeError if a state holds what could not be saved."""
        if self.name is None:
            return
        plain.check({name: part.state_dict() for name, part in self.snapshot.state.items()})
        saved = resume.read_resume(resume.resume_path(self.name), self.name, self.identity)
        ranks.wait_for_all()  # nobody may write the file before everybody has read it
        if saved is None:
            return
        self.start = saved["step"]
        snapshot.load(self.snapshot.state, saved["state"])
        self.history.load_state_dict(saved["history"])
        randomness.restore(saved["random"][ranks.rank()])
        if ranks.rank() == 0 and self.start < self.history.total:
            kept = [
                name for name, part in self.snapshot.state.items() if not isinstance(part, torch.nn.Module)
            ]
            begins_anew = fingerprint.varying(saved["identity"], kept)
            print(messages.resumed(self.name, self.start, self.history.total, begins_anew))

    def due(self) -> bool:
        """Return whether the last save is long enough ago."""
        return time.perf_counter() - self._last_save > self._pause

    def save(self) -> None:
        """Write the last snapshot (rank 0); a disk that refuses ends no training."""
        began = time.perf_counter()
        if self.name and self.snapshot.complete and ranks.rank() == 0:
            refused_before = bool(self.refusal)
            try:
                self._write()
                self.refusal = ""
            except disk.CannotWrite as error:
                self.refusal = str(error)
                if not refused_before:
                    warnings.warn(
                        f"The training goes on, but its state cannot be kept. {error}", stacklevel=4
                    )
        self._last_save = time.perf_counter()
        self._pause = max(SAVE_SECONDS, SAVE_SHARE * (self._last_save - began))

    def _write(self) -> None:
        record = self.history.state_dict(self.snapshot.step)
        identity = fingerprint.steady(self.identity, self.identify())
        resume.write_resume(resume.resume_path(self.name), self.snapshot, identity, record)
