"""States in memory and on disk: random generators, finite snapshots, crash-safe files, resume states."""

import contextlib
import copy
import os
import random
import tempfile
from pathlib import Path

import numpy as np
import torch

from course_utils import distributed, fingerprint, runtime

FORMAT = 1


@contextlib.contextmanager
def atomic(path: Path):
    """Yield a temporary path beside `path` that replaces it when the block ends well, and vanishes otherwise.

    A reader, or a crash, at any moment meets the old file or the new one, never half of one.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    os.close(handle)
    try:
        yield Path(name)
        with open(name, "rb+") as file:
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    finally:
        Path(name).unlink(missing_ok=True)


def random_state() -> dict[str, torch.Tensor]:
    """Return the states of all global generators (torch, its device, NumPy, Python) as tensors."""
    version, words, gauss = random.getstate()
    kind, keys, position, has_gauss, cached = np.random.get_state()
    return {
        "torch": torch.get_rng_state(),
        "device": _device_state(),
        "python": torch.tensor([version, *words], dtype=torch.int64),
        "python_gauss": torch.tensor([float("nan") if gauss is None else gauss], dtype=torch.float64),
        "numpy": torch.tensor([*keys.tolist(), position, has_gauss], dtype=torch.int64),
        "numpy_gauss": torch.tensor([cached], dtype=torch.float64),
    }


def set_random_state(state: dict[str, torch.Tensor]) -> None:
    """Set all global generators to what `random_state` returned."""
    torch.set_rng_state(state["torch"])
    if torch.cuda.is_available() and len(state["device"]):
        torch.cuda.set_rng_state(state["device"])
    elif torch.backends.mps.is_available() and len(state["device"]):
        torch.mps.set_rng_state(state["device"])
    version, *words = state["python"].tolist()
    gauss = state["python_gauss"].item()
    random.setstate((version, tuple(words), None if gauss != gauss else gauss))
    *keys, position, has_gauss = state["numpy"].tolist()
    cached = state["numpy_gauss"].item()
    np.random.set_state(("MT19937", np.array(keys, dtype=np.uint32), position, has_gauss, cached))


def _device_state() -> torch.Tensor:
    if torch.cuda.is_available():
        return torch.cuda.get_rng_state()
    return torch.mps.get_rng_state() if torch.backends.mps.is_available() else torch.zeros(0, dtype=torch.uint8)


@contextlib.contextmanager
def forked_random_state():
    """Give all global generators their states back after the block."""
    state = random_state()
    try:
        yield
    finally:
        set_random_state(state)


def random_states_of_all_ranks() -> list[dict[str, torch.Tensor]]:
    """Return `random_state()` of every rank, in order (a collective: all ranks must call it)."""
    state = random_state()
    packed = distributed.gather(torch.cat([part.view(torch.uint8) for part in state.values()]))
    sizes = [part.nbytes for part in state.values()]
    parts = [flat.split(sizes) for flat in packed]
    return [{k: p.clone().view(v.dtype) for (k, v), p in zip(state.items(), row)} for row in parts]


class Snapshot:
    """A copy of the state of some objects, kept on their device.

    `state`: dict name → object with `state_dict` and `load_state_dict` (modules, optimisers, schedules, EMA).
    `step`: after how many steps the copy was taken. `whole` is false only if the taking was broken off.
    """

    def __init__(self, state: dict):
        self.state, self.step, self.whole = state, 0, False
        self.copy: dict = {}
        self.random: list[dict] = []

    @torch.no_grad()
    def take(self, step: int) -> None:
        """Copy the present state; tensors that are there already are reused, so this costs one pass over memory."""
        self.whole = False
        live = {name: part.state_dict() for name, part in self.state.items()}
        old, new = list(tensors(self.copy)), list(tensors(live))
        if old and len(old) == len(new) and all(a.shape == b.shape and a.dtype == b.dtype for a, b in zip(old, new)):
            torch._foreach_copy_(old, new)
            copies = iter(old)
        else:
            copies = iter([b.detach().clone() for b in new])
        self.copy = _rebuild(live, copies)
        self.random = random_states_of_all_ranks()
        self.step, self.whole = step, True

    def restore(self) -> None:
        """Give the objects the copied state back, and the generators theirs."""
        load(self.state, self.copy)
        set_random_state(self.random[runtime.rank()])

    def drop(self) -> None:
        """Free the memory of the copy."""
        self.copy, self.whole = {}, False


def load(state: dict, saved: dict) -> None:
    """Give each object of `state` its own copy of its saved state dict."""
    for name, part in state.items():
        part.load_state_dict(copy.deepcopy(saved[name]))


def tensors(tree):
    """Yield the tensors in nested dicts, lists and tuples, in order."""
    if isinstance(tree, torch.Tensor):
        yield tree
    elif isinstance(tree, dict | list | tuple):
        for branch in tree.values() if isinstance(tree, dict) else tree:
            yield from tensors(branch)


def _rebuild(tree, leaves):
    """The nested structure with each tensor replaced by the next of `leaves`; plain containers only."""
    if isinstance(tree, torch.Tensor):
        return next(leaves)
    if isinstance(tree, dict):
        return {key: _rebuild(branch, leaves) for key, branch in tree.items()}
    if isinstance(tree, list | tuple):
        return type(tree)(_rebuild(branch, leaves) for branch in tree)
    return copy.deepcopy(tree)


def finite(modules: list[torch.nn.Module], device: torch.device) -> torch.Tensor:
    """Return 1.0 if all weights are finite, 0.0 otherwise, as a tensor () on the device (not read by the host)."""
    weights = [w.detach() for module in modules for w in module.parameters() if w.is_floating_point()]
    if not weights:
        return torch.ones((), device=device)
    return torch.stack([n.to(device, torch.float32) for n in torch._foreach_norm(weights)]).isfinite().all().float()


def resume_path(name: str) -> Path:
    """Return the file that holds the resume state of a training call: never among the shipped runs."""
    folder = runtime.ROOT / "runs" if runtime.profile() == "full" else runtime.runs_dir()
    return folder / "resume" / f"{name}.{runtime.profile()}.pt"


def write_resume(path: Path, snapshot: Snapshot, identity: dict, record: dict) -> None:
    """Write a resume state atomically: the snapshot, what it belongs to (fingerprint) and the history so far."""
    content = {"format": FORMAT, "step": snapshot.step, "state": snapshot.copy, "random": snapshot.random}
    with atomic(path) as temporary:
        torch.save(content | {"identity": identity, "history": record}, temporary)


def read_resume(path: Path, name: str, identity: dict) -> dict | None:
    """Return a resume state, or None if there is none.

    Raises RuntimeError if the file cannot be read, and when it belongs to a training call that differs from this
    one (architecture, hyperparameters, source of the loss), naming each difference.
    """
    if not path.exists():
        return None
    start_over = f"To start over: cu.runs.forget({name!r}), or choose another name."
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
        if saved["format"] != FORMAT:
            raise ValueError(f"format {saved['format']}, not {FORMAT}")
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise RuntimeError(f"The resume state of {name!r} ({path}) cannot be read: {reason}. {start_over}") from None
    changes = fingerprint.differences(saved["identity"], identity)
    if changes:
        listed = "\n".join(f"  - {change}" for change in changes)
        raise RuntimeError(
            f"Training of {name!r} stopped after {saved['step']:,} steps and cannot be resumed, for this changed:\n"
            f"{listed}\nTo go on with the old training, undo the change. {start_over}"
        )
    return saved
