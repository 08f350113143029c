"""Guards of a training call: Ctrl-C that leaves nothing half done, evaluation mode, running out of memory."""

import contextlib
import signal

import torch

from course_utils.system import ranks


class OutOfMemory(RuntimeError):
    """Training needed more memory than there is; the message says what to lower."""


class Interrupts:
    """Turns Ctrl-C into a request that is met after the present step, so that no update is left half done.

    Where nothing can be torn (`allowed`) and at the second Ctrl-C, KeyboardInterrupt is raised at once.
    """

    def __init__(self):
        self.asked = False
        self._open = False
        self._before = None

    def __enter__(self):
        # Who starts a training in the background (nohup, a batch queue, `&` in a script) has SIGINT ignored,
        # so that Ctrl-C for something else does not end it: that is respected. None: a handler not of Python.
        if signal.getsignal(signal.SIGINT) not in (signal.SIG_IGN, None):
            with contextlib.suppress(ValueError):  # only the main thread may set handlers
                self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, *_):
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def _note(self, *_):
        if self.asked or (self._open and ranks.world_size() == 1):
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
