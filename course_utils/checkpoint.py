"""States in memory and on disk: finite snapshots and resume states."""

import copy
import zipfile
from pathlib import Path

import torch

from course_utils import disk, fingerprint, randomness, runtime

FORMAT = 1


class Snapshot:
    """A copy of the state of some objects, kept on their device.

    `state`: dict name → object with `state_dict` and `load_state_dict` (modules, optimisers, schedules, EMA).
    `step`: after how many steps the copy was taken. `whole` is false only if the taking was broken off.
    """

    def __init__(self, state: dict):
        self.state, self.step, self.whole = state, 0, False
        self.copy: dict = {}
        self.random: tuple = ()
        self._ranks: list[dict] = []

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
        self.random = randomness.states()
        if runtime.world_size() > 1:
            self._ranks = randomness.of_all_ranks(self.random)
        self.step, self.whole = step, True

    def restore(self) -> None:
        """Give the objects the copied state back, and the generators theirs."""
        load(self.state, self.copy)
        randomness.restore(self.random)

    def random_of_ranks(self) -> list[dict]:
        """Return the random states at the time of the copy, one a rank, as tensors for a file."""
        return self._ranks or [randomness.to_tensors(self.random)]

    def drop(self) -> None:
        """Free the memory of the copy."""
        self.copy, self.whole = {}, False


def load(state: dict, saved: dict) -> None:
    """Give each object of `state` its own copy of its saved state dict.

    An empty one says nothing: a gradient scaler that was off (on a CPU, say) leaves one that is on as it is.
    """
    for name, part in state.items():
        if saved[name]:
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
    return tree if isinstance(tree, int | float | str | None) else copy.deepcopy(tree)


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
    """Write a resume state atomically: the snapshot, what it belongs to (fingerprint) and the history so far.

    Raises disk.CannotWrite if the disk refuses; an older state stays as it is.
    """
    content = {"format": FORMAT, "step": snapshot.step, "state": snapshot.copy, "random": snapshot.random_of_ranks()}
    with disk.explained(path, "What was trained is in the model, and an older state stays as it is."):
        disk.sweep(path.parent)
        with disk.atomic(path) as temporary:
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
        with zipfile.ZipFile(path) as archive:  # torch.load does not look at the checksums that torch.save wrote
            damaged = archive.testzip()
        if damaged:
            raise ValueError("it is damaged, a checksum differs")
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
