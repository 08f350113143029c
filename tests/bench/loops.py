"""The competitors: each trains a workload for a number of steps and returns the trained model.

`hand`, `fit`, Lightning and Accelerate see the same batches in the same order, from memory, with the same
fused optimiser and memory layout: they end at the same weights. That is kind to the two frameworks, whose
users would also pay for a DataLoader; what a DataLoader costs is measured by `tutorial`, which is what
tutorials print.
"""

import contextlib
import hashlib
import io
import logging
import tempfile
import warnings
from pathlib import Path

import torch

import course_utils as cu
from tests.bench.workloads import Workload, tutorial_set


class Endless:
    """The first `steps` batches of a training as one epoch: what a framework's loop can iterate over."""

    def __init__(self, batches, steps: int):
        self.batches, self.steps = batches, steps

    def __len__(self) -> int:
        return self.steps

    def __iter__(self):
        return (self.batches.batch(t) for t in range(self.steps))


def order(n: int, seed: int, epoch: int) -> torch.Tensor:
    """The permutation that `cu.Batches` documents: it depends on (seed, epoch) only; int64 (n,)."""
    digest = hashlib.sha256(f"{seed}, {epoch}".encode()).digest()
    return torch.randperm(n, generator=torch.Generator().manual_seed(int.from_bytes(digest[:7], "big")))


def hand(work: Workload, steps: int, x: torch.Tensor, device: torch.device):
    """The hand-written minimal loop: floats in memory, gathered by a shuffled index, and the step. Nothing
    else.

    `x`: the whole data as float32 on the device.
    """
    model = cu.prepare(work.model())
    opts, per_epoch, losses = work.optimisers(model, fused=True), len(x) // work.batch, []
    torch.manual_seed(0)
    for t in range(steps):
        epoch, k = divmod(t, per_epoch)
        if k == 0:
            rows = order(len(x), 0, epoch).to(device)
        batch = x[rows[k * work.batch : (k + 1) * work.batch]]
        out = work.step(model, opts, batch, torch.Tensor.backward)
        if (t + 1) % work.log_every == 0:
            losses.append({name: value.item() for name, value in out.items()})
    return model


def ours(work: Workload, steps: int, batches):
    """`cu.fit`, or `cu.loop` where the lesson writes its own step."""
    model = work.model()
    kept = {"steps": steps, "log_every": work.log_every}
    with quiet():
        if work.loss is not None:
            cu.fit(model, work.loss, batches, lr=work.adam["lr"], **kept)
        else:
            cu.prepare(model)
            opts = work.optimisers(model, fused=True)
            state = {"model": model} | {f"opt{i}": opt for i, opt in enumerate(opts)}
            cu.loop(lambda x: work.step(model, opts, x, torch.Tensor.backward), batches, state=state, **kept)
    return model


def tutorial(work: Workload, steps: int, folder: Path, device: torch.device, workers: int = 0):
    """The usual loop of tutorials: a Dataset read item by item, a DataLoader, `.item()` at every step."""
    loader = torch.utils.data.DataLoader(tutorial_set(work, folder), batch_size=work.batch, shuffle=True,
                                         drop_last=True, num_workers=workers)  # fmt: skip
    model = work.model().to(device)
    opts, done, running = work.optimisers(model), 0, 0.0
    while done < steps:
        for x, *_ in loader:
            out = work.step(model, opts, x.to(device), torch.Tensor.backward)
            running += sum(value.item() for value in out.values())
            done += 1
            if done == steps:
                break
    return model


def lightning(work: Workload, steps: int, batches, *, defaults: bool):
    """Lightning's Trainer: everything switched off (`barebones`), or as it comes (logger, checkpoint, bar,
    summary)."""
    import lightning as L

    class Module(L.LightningModule):
        def __init__(self):
            super().__init__()
            self.model, self.automatic_optimization = cu.prepare(work.model()), work.loss is not None

        def configure_optimizers(self):
            return work.optimisers(self.model, fused=True)

        def training_step(self, x, _):
            if work.loss is None:
                out = work.step(self.model, self.optimizers(), x, self.manual_backward)
            else:
                out = work.loss(self.model, x)
            if defaults:
                self.log_dict({name: value.detach() for name, value in out.items()})
            return out.get("loss")

    with quiet(), tempfile.TemporaryDirectory() as folder:
        off = {} if defaults else {"barebones": True}
        kind = {"cuda": "gpu"}.get(batches.device.type, batches.device.type)
        trainer = L.Trainer(accelerator=kind, devices=1, max_epochs=1, default_root_dir=folder, **off)
        module = Module()
        torch.manual_seed(0)
        trainer.fit(module, Endless(batches, steps))
    return module.model


def accelerate(work: Workload, steps: int, batches):
    """The loop of Hugging Face Accelerate's introduction, on the same batches."""
    from accelerate import Accelerator

    accelerator = Accelerator(cpu=batches.device.type == "cpu")
    model = cu.prepare(work.model())
    opts = [accelerator.prepare(opt) for opt in work.optimisers(model, fused=True)]
    model, losses = accelerator.prepare(model), []
    torch.manual_seed(0)
    for t, x in enumerate(Endless(batches, steps)):
        out = work.step(model, opts, x, accelerator.backward)
        if (t + 1) % work.log_every == 0:
            losses.append({name: value.item() for name, value in out.items()})
    return model


@contextlib.contextmanager
def quiet():
    """Swallow what a training prints, and the advice that frameworks give."""
    for name in ("lightning", "lightning.pytorch", "lightning.fabric", "accelerate"):
        logging.getLogger(name).setLevel(logging.ERROR)
    out, err = contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO())
    with warnings.catch_warnings(), out, err:
        warnings.simplefilter("ignore")
        yield


def installed(name: str) -> str | None:
    """Return the version of a package, or None."""
    from importlib import metadata

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def competitors(work: Workload, folder: Path) -> dict:
    """Return the competitors for a workload, {name: function of the number of steps}; data are read here,
    once."""
    device = cu.device()
    batches = cu.Batches(work.data(), work.batch)
    x = work.data()
    x = (x.float() if hasattr(x, "y") else x).to(device)
    entries = {
        "hand": lambda n: hand(work, n, x, device),
        "ours": lambda n: ours(work, n, batches),
        "tutorial, 0 workers": lambda n: tutorial(work, n, folder, device),
        "tutorial, 2 workers": lambda n: tutorial(work, n, folder, device, workers=2),
    }
    if installed("lightning"):
        entries["Lightning, all off"] = lambda n: lightning(work, n, batches, defaults=False)
        entries["Lightning, defaults"] = lambda n: lightning(work, n, batches, defaults=True)
    if installed("accelerate"):
        entries["Accelerate"] = lambda n: accelerate(work, n, batches)
    return entries
