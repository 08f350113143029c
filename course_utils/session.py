"""What happens at a log point and when training ends, wished for or not. `cu.loop` holds the loop itself."""

import contextlib
import math
import time
import traceback
import warnings

import torch
from torch import nn

from course_utils import checkpoint, disk, distributed, fingerprint, randomness, runtime
from course_utils.ema import EMA
from course_utils.feed import Feed, describe
from course_utils.guards import Interrupts, OutOfMemory, check, evaluation, is_out_of_memory
from course_utils.history import History, Pending
from course_utils.progress import Progress, as_picture

SAVE_SECONDS = 15.0
"""A named training call saves its state at log points, but at most this often …"""
SAVE_SHARE = 30
"""… and only after this many times the duration of the last save: saving takes at most 1/30 of the time."""
PREVIEWS = 12


class Session:
    """One training call: a context manager around the loop over `range(session.start, total)`."""

    def __init__(self, step, batches, state: dict, total: int, *, name=None, preview=None, preview_at=None,
                 minutes=None, seed=0):  # fmt: skip
        check(name, state)
        state = {key: part for key, part in state.items() if part is not None}
        self.state, self.name, self.preview, self.minutes = state, name, preview, minutes
        self.modules = [part for part in state.values() if isinstance(part, nn.Module)]
        distributed.prepare(*self.modules)
        self.device = next((w.device for m in self.modules for w in m.parameters()), runtime.device())
        self.history, self.pending, self.interrupts = History(name, seed, total), Pending(), Interrupts()
        self.history.ema = next((part.module for part in state.values() if isinstance(part, EMA)), None)
        self.snapshot, self.start, self.problem, self.unsaved = checkpoint.Snapshot(state), 0, None, ""
        self.identity, self.batch_size = {}, getattr(batches, "batch_size", None)
        runtime.seed_everything(seed)
        if name:
            world = runtime.world_size()
            self.identity = fingerprint.identify(step, state, batches=describe(batches), seed=seed, processes=world)
            self._resume()
        convolutions = any(map(distributed.has_convolutions, self.modules))
        self.feed = Feed(batches, self.device, seed=seed, start=self.start, images_last=convolutions)
        self._due = preview_steps(total, self.start, preview_at)
        self.progress = Progress(self.history, self.start)
        self._before, self.began = self.history.seconds, time.perf_counter()
        self.saved, self.save_pause = self.began, SAVE_SECONDS
        self.deadline = self.began + 60 * minutes if minutes else math.inf

    def _resume(self) -> None:
        """Take up the state that an earlier call with this name left, if any."""
        saved = checkpoint.read_resume(checkpoint.resume_path(self.name), self.name, self.identity)
        distributed.wait_for_all()  # nobody may write the file before everybody has read it
        if saved is None:
            return
        self.start = saved["step"]
        checkpoint.load(self.state, saved["state"])
        self.history.load_state_dict(saved["history"])
        randomness.restore(randomness.from_tensors(saved["random"][runtime.rank()]))
        if runtime.rank() == 0 and self.start < self.history.total:
            print(f"{self.name}: resumed after step {self.start:,} of {self.history.total:,}.")

    def __enter__(self):
        self.interrupts.__enter__()
        return self

    def begin(self) -> None:
        """Go to train mode, keep the first snapshot, show the first preview."""
        for module in self.modules:
            module.train()
        self.snapshot.take(self.start)
        self._preview(self.start)

    def asked_to_stop(self) -> bool:
        """Return whether to stop right after this step (several processes decide it together, at log points)."""
        return (self.interrupts.asked or time.perf_counter() > self.deadline) and runtime.world_size() == 1

    def log_point(self, step: int) -> bool:
        """Read the losses, keep a snapshot, save, show; return whether to go on. The host waits here and only here."""
        (names, means), total = self.pending.means(self.device), self.history.total
        now = time.perf_counter()
        self.history.seconds = self._before + now - self.began
        wishes = [self.interrupts.asked, now > self.deadline, now - self.saved > self.save_pause]
        wishes = [float(wish and runtime.rank() == 0) for wish in wishes]
        whole = checkpoint.finite(self.modules, self.device)
        vector = torch.cat([means, whole.reshape(1), torch.tensor(wishes, device=self.device)])
        *values, whole, asked, late, save = distributed.mean_over_ranks(vector).tolist()
        if self._diverged(dict(zip(names, values)), whole, step):
            return False
        self.history.add(step, dict(zip(names, values)))
        self.snapshot.take(step)
        if asked:
            self._stopped_by_hand(step)
        elif late and step < total:
            self.history.stopped = f"the cap minutes={self.minutes} struck after {step:,} of {total:,} steps"
        else:
            self._preview(step)
            with self.interrupts.allowed():
                self.progress.update(step)
        if save:
            self.save()
        return self.history.stopped is None

    def _stopped_by_hand(self, step: int) -> None:
        self.history.stopped = f"interrupted after {step:,} of {self.history.total:,} steps"

    def _diverged(self, values: dict, whole: float, step: int) -> bool:
        """Restore the snapshot if a loss or a weight is not finite."""
        losses = {k: v for k, v in values.items() if "loss" in k.lower()} or values
        bad = [f"{key} is {value}" for key, value in losses.items() if not math.isfinite(value)]
        if not bad and whole > 0.999:
            return False
        self.snapshot.restore()
        self.history.stopped = (
            f"{bad[0] if bad else 'weights became infinite or NaN'} between steps {self.snapshot.step:,} and {step:,}; "
            f"the weights are again those of step {self.snapshot.step:,}. Usual remedies: a smaller lr, clip=1.0, "
            "no log or division of numbers that can be 0"
        )
        return True

    def _preview(self, step: int) -> None:
        """Call the reader's preview on rank 0 in eval mode, and make sure that it leaves no trace."""
        if self.preview is None or not self._due or step < self._due[0]:
            return
        self._due = [due for due in self._due if due > step]
        if runtime.rank() != 0:
            return
        tensors = [t for m in self.modules for t in (*m.parameters(), *m.buffers())]
        versions = [t._version for t in tensors]
        with self.interrupts.allowed(), randomness.forked(), evaluation(self.modules), torch.no_grad():
            shown = self.preview(step)
            if shown is not None and not hasattr(shown, "savefig"):
                self.history.add_frame(step, shown)
            if self.progress.pictures:
                self.progress.preview = as_picture(shown)
        if versions != [t._version for t in tensors]:
            raise RuntimeError(
                "preview changed weights or buffers of the model it was to look at. Inside preview, train nothing and "
                "leave the modules in eval mode (the loop sets it)."
            )

    def save(self) -> None:
        """Write the last snapshot to the resume file of this name (rank 0); a disk that refuses ends no training."""
        began = time.perf_counter()
        if self.name and self.snapshot.whole and runtime.rank() == 0:
            record, before = self.history.state_dict(self.snapshot.step), self.unsaved
            try:
                checkpoint.write_resume(checkpoint.resume_path(self.name), self.snapshot, self.identity, record)
                self.unsaved = ""
            except disk.CannotWrite as error:
                self.unsaved = str(error)
                if not before:
                    warnings.warn(f"The training goes on, but its state cannot be kept. {error}", stacklevel=4)
        self.saved = time.perf_counter()
        self.save_pause = max(SAVE_SECONDS, SAVE_SHARE * (self.saved - began))

    def __exit__(self, kind, error, trace) -> bool:
        """Save, return to eval mode, show the end; turn an interrupt into a result and lack of memory into help."""
        try:
            if kind is None or (issubclass(kind, KeyboardInterrupt) and runtime.world_size() == 1):
                self._end(interrupted=kind is not None)
                return True
            self.save()
            self.snapshot.drop()  # IPython keeps the traceback, and with it all that our frames hold
            if is_out_of_memory(error):
                self.problem = self._help(error)
                traceback.clear_frames(trace)
                self._release()
            return self.problem is not None
        finally:
            for module in self.modules:
                module.eval()
            self.interrupts.__exit__()

    def _end(self, interrupted: bool) -> None:
        """The end of a training call that returns its history."""
        step = (self.history.steps or [self.start])[-1]
        if interrupted:
            step += self.pending.count
            self._stopped_by_hand(step)
            if self.pending.count:
                names, means = self.pending.means(self.device)
                self.history.add(step, dict(zip(names, means.tolist())))
        if self.preview is not None:  # drawn on rank 0 only
            frames = distributed.shared((self.history.frames, self.history.frame_steps))
            self.history.frames, self.history.frame_steps = frames
        if self.start < self.history.total:
            self.save()
            self.history.seconds = self._before + time.perf_counter() - self.began
        with self.interrupts.allowed(), contextlib.suppress(KeyboardInterrupt):
            self.progress.finish(step, self._note())

    def _note(self) -> str | None:
        """What to tell the reader after the last line."""
        if self.start >= self.history.total and not self.history.stopped:
            return f"It had been trained before: nothing to do. cu.runs.forget({self.name!r}) makes it start over."
        if not self.history.stopped:
            return None
        if not self.name or self.unsaved:
            return f"Stopped: {self.history.stopped}. {self.unsaved}".strip()
        if self.snapshot.step < self.history.total and "again those of step" not in self.history.stopped:
            return f"Stopped: {self.history.stopped}. Run the cell again to go on from step {self.snapshot.step:,}."
        return f"Stopped: {self.history.stopped}. To start over: cu.runs.forget({self.name!r})."

    def _help(self, error: BaseException) -> str:
        size = f"batch_size={self.batch_size} → {max(1, self.batch_size // 2)}" if self.batch_size else "the batch size"
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        return (
            f"Out of memory on {self.device} after {(self.history.steps or [self.start])[-1]:,} steps. Lower {size} "
            "first, then the width of the model; other notebooks that hold this device can be shut down. The memory "
            f"of this call was freed, the weights are kept. ({reason})"
        )

    def _release(self) -> None:
        """Free what this call holds: gradients, and the moments of an optimiser that `fit` made."""
        for part in self.state.values():
            if isinstance(part, torch.optim.Optimizer):
                part.zero_grad(set_to_none=True)
                if getattr(part, "made_by_fit", False):
                    part.state.clear()
        for module in self.modules:
            module.zero_grad(set_to_none=True)
        runtime.free_memory()

    def result(self) -> History:
        """Return the history, or raise OutOfMemory if that ended the training."""
        if self.problem:
            raise OutOfMemory(self.problem)
        return self.history


def preview_steps(total: int, start: int = 0, wanted=None) -> list[int]:
    """Return after which steps a preview is due: those `wanted`, or a dozen, close to each other at first."""
    n = runtime.budget(live=PREVIEWS, quick=2)
    due = set(wanted) if wanted is not None else {round(total * (k / (n - 1)) ** 2) for k in range(n)}
    return sorted(step for step in due if step > start or start == 0)
