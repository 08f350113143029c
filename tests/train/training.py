"""Small models and losses that the training tests share."""

import contextlib
import random

import numpy as np
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

import course_utils as cu
from course_utils.train import feed, history


def mlp(seed=0, width=16):
    """A network 2 → width → 2 with every kind of state: weights, BatchNorm statistics, an integer buffer,
    dropout."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Linear(2, width), nn.BatchNorm1d(width), nn.SiLU(), nn.Dropout(0.2), nn.Linear(width, 2)
    )


def noisy_loss(model, x):
    """A denoising loss that draws from all three global generators."""
    scale = 0.1 + 0.1 * random.random() + 0.1 * float(np.random.rand())
    loss = (model(x + scale * torch.randn_like(x)) - x).square().mean()
    return {"loss": loss, "scale": scale}


def points(n=64, batch_size=16, seed=0):
    """Batches of moons on the CPU."""
    return cu.Batches(cu.moons(n), batch_size, seed=seed)


def weights(module):
    """A copy of everything in the state dict."""
    return {key: value.detach().clone() for key, value in module.state_dict().items()}


def same(a, b):
    """Whether two modules or state dicts are equal bit by bit."""
    a, b = (m if isinstance(m, dict) else m.state_dict() for m in (a, b))
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


class Crash(Exception):
    """Something that goes wrong in the middle of training."""


def failing_at(step, batches, error):
    """The same batches, but asking for that of `step` raises `error`."""

    class Failing(type(batches)):
        def batch(self, t):
            if t == step:
                raise error
            return super().batch(t)

    broken = object.__new__(Failing)
    broken.__dict__ = batches.__dict__
    return broken


class CountReads(TorchDispatchMode):
    """Counts the moments at which the host reads a number from a tensor."""

    reads = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.reads += func is torch.ops.aten._local_scalar_dense.default
        return func(*args, **(kwargs or {}))


@contextlib.contextmanager
def watched_steps(on, off):
    """Within the block call `on` before and `off` after each step of every training: what is between log
    points.

    Taking the step's values belongs to it, except for values on the CPU, which are read at once and for
    nothing.
    """
    give, take = feed.Feed.__call__, history.Pending.add

    def given(self, step):
        on()
        return give(self, step)

    def taken(self, values):
        at_once = isinstance(values, dict) and all(getattr(v, "is_cpu", False) for v in values.values())
        if at_once:
            off()
        take(self, values)
        if not at_once:
            off()

    feed.Feed.__call__, history.Pending.add = given, taken
    try:
        yield
    finally:
        feed.Feed.__call__, history.Pending.add = give, take
