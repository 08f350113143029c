"""The exponential moving average (EMA) of a model's weights: smoother than the last step, and often
better."""

import contextlib
import copy

import torch
from torch import nn


class EMA:
    """A running average of a module: `average.module` is a copy that is never trained.

    At update t = 0, 1, 2, … the decay is d_t = min(decay, (1 + t) / (10 + t)), so that the first updates
    forget the initial weights, and average ← d_t · average + (1 − d_t) · weights. Floating-point buffers (the
    statistics of BatchNorm) are averaged like weights; integer buffers are copied. Source: Polyak & Juditsky
    (1992), with the warm-up that TensorFlow's ExponentialMovingAverage introduced.

    `module`: any nn.Module. `decay`: a number in [0, 1). Raises ValueError for another decay.
    """

    def __init__(self, module: nn.Module, decay: float = 0.999):
        if not 0 <= decay < 1:
            raise ValueError(
                f"ema is the decay of the average, a number in [0, 1) such as 0.999; got {decay}."
            )
        self.decay = float(decay)
        self.updates = 0
        self.module = copy.deepcopy(module).eval().requires_grad_(False)
        self._kept = _tensors(self.module)
        self._live = _tensors(module)
        self._copied = [(a, b) for a, b in zip(self._kept, self._live) if not a.is_floating_point()]
        self._averages = [a for a in self._kept if a.is_floating_point()]
        self._weights = [b for b in self._live if b.is_floating_point()]

    @torch.no_grad()
    def update(self) -> None:
        """Move the average one step towards the module's present weights."""
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        torch._foreach_lerp_(self._averages, self._weights, 1 - decay)  # as torch.optim.swa_utils does
        for average, weight in self._copied:
            average.copy_(weight)
        self.updates += 1

    @contextlib.contextmanager
    def applied(self):
        """Let the module carry the averaged weights inside a `with` block; the raw ones come back after
        it."""
        _swap(self._live, self._kept)
        try:
            yield
        finally:
            _swap(self._live, self._kept)

    def state_dict(self) -> dict:
        """Return {"module": state dict, "updates": int}; the tensors are the live ones."""
        return {"module": self.module.state_dict(), "updates": self.updates}

    def load_state_dict(self, state: dict) -> None:
        """Restore what `state_dict` returned."""
        self.module.load_state_dict(state["module"])
        self.updates = state["updates"]


def _tensors(module: nn.Module) -> list[torch.Tensor]:
    return [*module.parameters(), *module.buffers()]


def _swap(ours: list[torch.Tensor], theirs: list[torch.Tensor]) -> None:
    """Exchange the contents of tensors without copying them."""
    for a, b in zip(ours, theirs):
        a.data, b.data = b.data, a.data
