"""`loop` repeats a step that the lesson writes."""

from collections.abc import Callable

from torch import nn

from course_utils.system import folders, machine, randomness, ranks, turns
from course_utils.system.numbers import whole
from course_utils.system.profile import budget, profile
from course_utils.train import fingerprint, resume
from course_utils.train.arguments import check_limits
from course_utils.train.ema import EMA
from course_utils.train.feed import Feed, summary
from course_utils.train.history import History
from course_utils.train.previews import Previews, preview_steps
from course_utils.train.recipe import Recipe, handing_over_step
from course_utils.train.saving import Saving
from course_utils.train.session import Clock, Session
from course_utils.train.snapshot import Snapshot, check_state

QUICK_STEPS = 8
"""A training call of the quick profile takes at most this many steps."""


def loop(
    step: Callable, batches, *, state: dict, steps: int, full: int | None = None, name: str | None = None,
    preview=None, preview_at: list[int] | None = None, minutes: float | None = None,
    log_every: int | None = None, seed: int = 0, recipe: Recipe | None = None,
) -> History:  # fmt: skip
    """Call `step(*batch)` for `steps` batches (profile full: `full`, quick: at most 8); returns the history.

    `step` returns a dict of scalars; a graphics card is asked for them every `log_every` steps only; a
    parameter `step` of its own is told the number of the step. `state` names what is trained and saved: modules,
    optimisers, schedules, an `EMA` (it becomes `history.ema`). `batches`: `cu.Batches`, a list of batches or a
    DataLoader (which of them cannot be resumed bit by bit: `help(cu.train.Feed)`). `seed` seeds the
    generators. A `name` makes the call resumable (see `cu.train.forget`): the same settings, code and data go
    on, others are refused. In the profile full a call that is given `full` is resumable without
    one: run again, a script skips the calls it has finished and goes on in the one it was killed in; after a
    change of a call, of its loss say, that call starts over. `preview(step)` returns a figure or images,
    drawn a dozen times, or at the first log points from each step in `preview_at` on; `minutes` caps the
    time. Ctrl-C ends training after the present step; a loss that is not finite restores the weights of the
    last log point: `history.stopped` says so. Modules are moved to the device, trained in train mode (frozen
    parts in eval mode stay so) and left in eval mode. `recipe` is for `fit`. Raises OutOfMemory, and
    RuntimeError where a resume does not fit.
    """
    total = planned(steps, full)
    check_limits(preview_at, minutes, log_every)
    seed = whole(seed, "seed")
    every = log_interval(total) if log_every is None else whole(log_every, "log_every", least=1)
    history = History(name, seed, total)
    unnamed = name is None and full is not None and profile() == "full"
    with turns.turn():  # the model and the generators are this training's until it ends
        session = _session(
            step, batches, state, history, recipe, resumable=unnamed or name is not None, preview=preview,
            preview_at=preview_at, minutes=minutes,
        )  # fmt: skip
        _repeat(handing_over_step(step), session, every)
        return session.result()


def _repeat(call: Callable, session: Session, every: int) -> None:
    """Take steps until the training is over, with a log point `every` so many steps."""
    feed = session.feed
    pending = session.pending
    total = session.history.total
    with session, feed:
        session.begin()
        for t in session.steps():
            pending.add(call(t, *feed(t)))
            due = (t + 1) % every == 0 or t + 1 == total or session.asked_to_stop()
            if due and not session.log_point(t + 1):
                break


def _session(
    step, batches, state, history, recipe, *, resumable: bool, preview, preview_at, minutes
) -> Session:
    """Make all that a training call needs, and take up an earlier state of it if it is resumable."""
    if history.name is not None:
        path = resume.resume_path(history.name)
        folders.check_run_name(history.name, path.parent, path.name.removeprefix(history.name))
    check_state(state)
    state = {key: part for key, part in state.items() if part is not None}
    modules = [part for part in state.values() if isinstance(part, nn.Module)]
    if recipe is None:
        ranks.prepare(*modules)
        recipe = Recipe({"step": step}, average=next((p for p in state.values() if isinstance(p, EMA)), None))
        shown = None  # a lesson's own preview sees the weights as they are
    else:
        shown = recipe.average
    device = next((w.device for module in modules for w in module.parameters()), machine.device())
    history.ema = recipe.average.module if recipe.average else None
    randomness.seed_everything(history.seed)
    saving = _saving(batches, state, history, recipe.identity, resumable)
    saving.resume()
    start = saving.start
    images_last = ranks.images_last(device) and any(map(ranks.has_convolutions, modules))
    feed = Feed(batches, device, seed=history.seed, start=start, images_last=images_last)
    previews = Previews(preview, preview_steps(history.total, start, preview_at), modules, shown)
    clock = Clock(history.seconds, minutes)
    return Session(modules, history, recipe=recipe, saving=saving, feed=feed, previews=previews, clock=clock)


def _saving(batches, state: dict, history: History, given: dict, resumable: bool) -> Saving:
    """Where the state of a call is kept: under its name, or under one made up for it, or nowhere."""
    snapshot = Snapshot(state)

    def identify() -> dict[str, str]:
        settings = {"batches": summary(batches), "seed": history.seed, "processes": ranks.world_size()}
        return fingerprint.identify(given, state, batches, **settings)

    if not resumable:
        return Saving(None, identify, snapshot, history)
    name = history.name or resume.automatic_name(identify(), state, batches)
    return Saving(name, identify, snapshot, history)


def planned(steps: int, full: int | None = None) -> int:
    """Return how many steps a training call takes in this profile. Raises ValueError unless they are whole
    numbers of at least 1."""
    steps = whole(steps, "steps", least=1)
    full = None if full is None else whole(full, "full", least=1)
    return budget(live=steps, quick=min(steps, QUICK_STEPS), full=full)


def log_interval(total: int) -> int:
    """Return the steps between log points, which cost something: 50 of them, but 20 to 100 steps apart if
    enough."""
    return min(100, max(1, total // 50, min(20, total // 10)))
