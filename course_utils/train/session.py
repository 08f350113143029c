"""What happens at a log point and when training ends, wished for or not. `cu.loop` holds the loop itself."""

import contextlib
import math
import time
import traceback

import torch
from torch import nn

from course_utils.system import machine, ranks
from course_utils.train import messages, snapshot
from course_utils.train.feed import Feed
from course_utils.train.history import History, Pending
from course_utils.train.interrupts import Interrupts, OutOfMemory, is_out_of_memory
from course_utils.train.previews import Previews
from course_utils.train.progress import Progress
from course_utils.train.recipe import Recipe
from course_utils.train.saving import Saving


class Clock:
    """The seconds of a training call, those of earlier calls that it goes on from included, and its cap."""

    def __init__(self, earlier: float, minutes: float | None):
        self.minutes = minutes
        self._earlier = earlier
        self._began = time.perf_counter()
        self._deadline = self._began + 60 * minutes if minutes else math.inf

    def seconds(self) -> float:
        """Return the seconds of training so far."""
        return self._earlier + time.perf_counter() - self._began

    def struck(self) -> bool:
        """Return whether the cap on minutes is reached."""
        return time.perf_counter() > self._deadline


class Session:
    """One training call under way: a context manager around the loop over `session.steps()`.

    It decides at log points what becomes of the training, and puts an end to it. Everything that it needs is
    made by `cu.loop` and handed over.
    """

    def __init__(
        self,
        modules: list[nn.Module],
        history: History,
        *,
        recipe: Recipe,
        saving: Saving,
        feed: Feed,
        previews: Previews,
        clock: Clock,
    ):
        self.modules = modules
        self.history = history
        self.recipe = recipe
        self.saving = saving
        self.feed = feed
        self.previews = previews
        self.clock = clock
        self.pending = Pending()
        self.interrupts = Interrupts()
        self.progress = Progress(history, saving.start)
        self.diverged = False
        self.out_of_memory: str | None = None

    def steps(self) -> range:
        """Return the steps that are still to be done, counted from 0."""
        return range(self.saving.start, self.history.total)

    def __enter__(self):
        self.interrupts.__enter__()
        return self

    def begin(self) -> None:
        """Go to train mode, keep the first snapshot, show the first preview."""
        for module in self.modules:
            frozen = _frozen_parts(module)
            module.train()
            for part in frozen:
                part.eval()
        self.saving.snapshot.take(self.saving.start)
        self._preview(self.saving.start)

    def asked_to_stop(self) -> bool:
        """Return whether to stop right after this step (several processes decide it together, at log
        points)."""
        return (self.interrupts.asked or self.clock.struck()) and ranks.world_size() == 1

    def log_point(self, step: int) -> bool:
        """Read the losses, keep a snapshot, save, show; return whether to go on. The host waits here and only
        here."""
        names, means = self.pending.means(self.feed.device)
        self.history.seconds = self.clock.seconds()
        means, weights_finite, asked, late, save_due = self._agreed(means)
        losses = dict(zip(names, means))
        if not weights_finite or not all(map(math.isfinite, _that_count(losses).values())):
            self._go_back(losses, step)
            return False
        self.history.add(step, losses)
        self.saving.snapshot.take(step)
        total = self.history.total
        if asked:
            self.history.stopped = messages.interrupted(step, total)
        elif late and step < total:
            self.history.stopped = messages.out_of_time(self.clock.minutes, step, total)
        else:
            self._preview(step)
            with self.interrupts.allowed():
                self.progress.update(step)
        if save_due:
            self.saving.save()
        return self.history.stopped is None

    def _agreed(self, means: torch.Tensor) -> tuple[list[float], bool, bool, bool, bool]:
        """The means of all processes, whether all weights are finite, and what rank 0 wants: to stop as
        asked, to stop as it is late, to save. One reading from the device for all of it."""
        wants = [self.interrupts.asked, self.clock.struck(), self.saving.due()]
        of_rank_0 = [float(want and ranks.rank() == 0) for want in wants]
        finite = snapshot.finite(self.modules, self.feed.device)
        vector = torch.cat([means, finite.reshape(1), torch.tensor(of_rank_0, device=self.feed.device)])
        *values, finite, asked, late, save_due = ranks.mean_over_ranks(vector).tolist()
        return values, finite > 0.999, asked > 0, late > 0, save_due > 0

    def _go_back(self, losses: dict[str, float], step: int) -> None:
        """Restore the snapshot, for a loss or a weight is not finite."""
        good = self.saving.snapshot
        good.restore()
        bad = {key: value for key, value in _that_count(losses).items() if not math.isfinite(value)}
        self.diverged = True
        cause = ""
        if not self.feed.finite():
            cause = messages.BAD_DATA
        elif not snapshot.finite(self.modules, self.feed.device):
            cause = messages.BAD_WEIGHTS
        self.history.stopped = messages.diverged(bad, good.step, step, cause)

    def _preview(self, step: int) -> None:
        self.previews.show(step, self.history, self.progress, self.interrupts)

    def __exit__(self, kind, error, trace) -> bool:
        """Save, return to eval mode, show the end; turn an interrupt into a result and lack of memory into
        help."""
        try:
            if kind is None or (issubclass(kind, KeyboardInterrupt) and ranks.world_size() == 1):
                self._finish(interrupted=kind is not None)
                return True
            self.saving.save()
            self.saving.snapshot.drop()  # IPython keeps the traceback, and with it all that our frames hold
            if is_out_of_memory(error):
                size = getattr(self.feed.batches, "batch_size", None)
                self.out_of_memory = messages.out_of_memory(self.feed.device, self._last_step(), size, error)
                traceback.clear_frames(trace)
                self._release()
            return self.out_of_memory is not None
        finally:
            for module in self.modules:
                module.eval()
            self.interrupts.__exit__()

    def _last_step(self) -> int:
        """The step of the last log point."""
        return self.history.steps[-1] if self.history.steps else self.saving.start

    def _finish(self, interrupted: bool) -> None:
        """The end of a training call that returns its history."""
        step = self._last_step()
        if interrupted:
            step += self.pending.count
            self.history.stopped = messages.interrupted(step, self.history.total)
            if self.pending.count:
                names, means = self.pending.means(self.feed.device)
                self.history.add(step, dict(zip(names, means.tolist())))
        if self.previews.preview is not None:  # drawn on rank 0 only
            self.history.frames, self.history.frame_steps = ranks.shared(
                (self.history.frames, self.history.frame_steps)
            )
        if self.saving.start < self.history.total:
            self.saving.save()
            self.history.seconds = self.clock.seconds()
        with self.interrupts.allowed(), contextlib.suppress(KeyboardInterrupt):
            self.progress.finish(step, self._last_words())

    def _last_words(self) -> str | None:
        """What to tell the reader after the last line."""
        saving = self.saving
        if self.history.stopped:
            kept = saving.snapshot.step
            go_on_from = kept if kept < self.history.total and not self.diverged else None
            return messages.stopped(self.history.stopped, saving.name, saving.refusal, go_on_from)
        return messages.trained_before(saving.name) if saving.start >= self.history.total else None

    def _release(self) -> None:
        """Free what this call holds: gradients, and the moments of the optimiser that `fit` made for it."""
        for part in self.saving.snapshot.state.values():
            if isinstance(part, torch.optim.Optimizer):
                part.zero_grad(set_to_none=True)
        for module in self.modules:
            module.zero_grad(set_to_none=True)
        if self.recipe.optimiser is not None:
            self.recipe.optimiser.state.clear()
        machine.free_memory()

    def result(self) -> History:
        """Return the history, or raise OutOfMemory if that ended the training."""
        if self.out_of_memory:
            raise OutOfMemory(self.out_of_memory)
        return self.history


def _frozen_parts(module: nn.Module) -> list[nn.Module]:
    """The parts in eval mode whose weights are all frozen: their statistics (BatchNorm) are to stay as well.

    None in a module that is frozen as a whole: a step that freezes the critic in turn leaves one so behind.
    """
    if not any(weight.requires_grad for weight in module.parameters()):
        return []
    return [part for part in module.modules() if not part.training and _is_frozen(part)]


def _is_frozen(part: nn.Module) -> bool:
    weights = list(part.parameters())
    return bool(weights) and not any(weight.requires_grad for weight in weights)


def _that_count(values: dict[str, float]) -> dict[str, float]:
    """Those of the logged values that must be finite: the losses, or all if none is called so."""
    return {key: value for key, value in values.items() if "loss" in key.lower()} or values
