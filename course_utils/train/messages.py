"""What a training call tells its reader: why it ended, and what to do next."""

import re

ESCAPES = re.compile(r"\x1b\[[0-9;]*m")
"""Colours of a terminal, with which torch writes some errors."""

BAD_DATA = "the data themselves hold NaN or infinite numbers: look at what made them"
BAD_WEIGHTS = "the weights were not finite before this training began: make the model anew"
REMEDIES = "a smaller lr, clip=1.0, no log or division of numbers that can be 0"


def interrupted(step: int, total: int) -> str:
    """Return why a training ended that the reader stopped."""
    return f"interrupted after {step:,} of {total:,} steps"


def out_of_time(minutes: float, step: int, total: int) -> str:
    """Return why a training ended that reached its cap on minutes."""
    return f"the cap minutes={minutes} struck after {step:,} of {total:,} steps"


def diverged(losses: dict[str, float], good: int, step: int, cause: str = "") -> str:
    """Return why a training ended at `step`: a loss of `losses`, or else a weight, is not finite.

    `good`: the step whose weights were put back. `cause`: BAD_DATA or BAD_WEIGHTS where it is known.
    """
    what = ", ".join(f"{key} is {value}" for key, value in losses.items()) or "weights became infinite or NaN"
    if cause:
        return f"{what} between steps {good:,} and {step:,}, for {cause}"
    return (
        f"{what} between steps {good:,} and {step:,}; the weights are again those of step {good:,}. "
        f"Usual remedies: {REMEDIES}"
    )


def resumed(name: str, step: int, total: int, begins_anew: list[str]) -> str:
    """Return the line that says that a training goes on.

    `begins_anew`: the names of the values that the training changes and that are not saved.
    """
    line = f"{name}: resumed after step {step:,} of {total:,}."
    if begins_anew:
        named = ", ".join(begins_anew[:5]) + (", …" if len(begins_anew) > 5 else "")
        line += (
            f"\nNot saved, and as this process has it: {named}. If the training depends on it, let the loss ask "
            "for the step (a parameter named `step`), or keep it in a buffer of the model."
        )
    return line


def trained_before(name: str) -> str:
    """Return what to say of a call that found all its steps done."""
    return f"It had been trained before: nothing to do. cu.train.forget({name!r}) makes it start over."


def stopped(why: str, name: str | None, refusal: str, go_on_from: int | None) -> str:
    """Return what to say of a training that ended early, and how to go on.

    `name`: that of its saved state, if it has any. `refusal`: what the disk said when it was to be saved.
    `go_on_from`: the step from which the same call would go on; None where it would end in the same way.
    """
    if not name or refusal:
        return f"Stopped: {why}. {refusal}".strip()
    if go_on_from is None:
        return f"Stopped: {why}. To start over: cu.train.forget({name!r})."
    return f"Stopped: {why}. Run the cell again to go on from step {go_on_from:,}."


def out_of_memory(device, steps: int, batch_size: int | None, error: BaseException) -> str:
    """Return what to lower after memory ran out on `device` when `steps` were done."""
    size = f"batch_size={batch_size} → {max(1, batch_size // 2)}" if batch_size else "the batch size"
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return (
        f"Out of memory on {device} after {steps:,} steps. Lower {size} first, then the width of the model; "
        "other notebooks that hold this device can be shut down. The memory of this call was freed, the "
        f"weights are kept. ({reason})"
    )


def cannot_be_read(name: str, path, error: Exception) -> str:
    """Return what to say of a resume state that is damaged."""
    reason = ESCAPES.sub("", str(error)).splitlines()[0] if str(error) else type(error).__name__
    return f"The resume state of {name!r} ({path}) cannot be read: {reason}. {_start_over(name)}"


def does_not_fit(name: str, step: int, changes: list[str]) -> str:
    """Return what to say of a resume state that belongs to another training call."""
    listed = "\n".join(f"  - {change}" for change in changes)
    return (
        f"Training of {name!r} stopped after {step:,} steps and cannot be resumed, for this changed:\n"
        f"{listed}\nTo go on with the old training, undo the change. {_start_over(name)}"
    )


def _start_over(name: str) -> str:
    return f"To start over: cu.train.forget({name!r}), or choose another name."
