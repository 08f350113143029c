"""Guards of a training call: Ctrl-C that leaves nothing half done, evaluation mode, running out of memory."""

import contextlib
import re
import signal

import torch

from course_utils import runtime


class OutOfMemory(RuntimeError):
    """Training needed more memory than there is; the message says what to lower."""


class Interrupts:
    """Turns Ctrl-C into a request that is met after the present step, so that no update is left half done.

    Where nothing can be torn (`allowed`) and at the second Ctrl-C, KeyboardInterrupt is raised at once.
    """

    def __init__(self):
        self.asked, self._open, self._before = False, False, None

    def __enter__(self):
        with contextlib.suppress(ValueError):  # only the main thread may set handlers
            self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, *_):
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def _note(self, *_):
        if self.asked or (self._open and runtime.world_size() == 1):
            raise KeyboardInterrupt
        self.asked = True

    @contextlib.contextmanager
    def allowed(self):
        """Within the block Ctrl-C acts at once."""
        self._open = True
        try:
            yield
        finally:
            self._open = False


@contextlib.contextmanager
def evaluation(modules):
    """Put modules into eval mode, and each of their parts back into its own mode after the block."""
    modes = [(part, part.training) for module in modules for part in module.modules()]
    for module in modules:
        module.eval()
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an exception means that memory ran out, on any device."""
    words = ("out of memory", "can't allocate memory", "not enough memory")
    text = str(error).lower()
    known = isinstance(error, torch.OutOfMemoryError | MemoryError)
    return known or (isinstance(error, RuntimeError) and any(word in text for word in words))


def check(name: str | None, state: dict) -> None:
    """Raise ValueError for a name that cannot be a file's, TypeError for a state that cannot be saved."""
    if name is not None and not re.fullmatch(r"[A-Za-z0-9][\w.-]*", name):
        raise ValueError(f"{name!r} cannot name a run: use letters, digits, '_', '-' and '.', and no sign in front.")
    if not isinstance(state, dict):
        raise TypeError("state must be a dict such as {'model': model, 'optimiser': optimiser}.")
    for key, part in state.items():
        if part is not None and not (hasattr(part, "state_dict") and hasattr(part, "load_state_dict")):
            raise TypeError(f"state[{key!r}] is a {type(part).__name__}, which has no state_dict: it cannot be saved.")
