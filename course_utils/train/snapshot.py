"""A copy in memory of all that a training call changes: what a failed training goes back to and what is
saved."""

import copy

import torch

from course_utils.system import randomness, ranks


def check_state(state: dict) -> None:
    """Raise TypeError for a state that cannot be saved: no dict, or a part without a `state_dict`."""
    if not isinstance(state, dict):
        raise TypeError("state must be a dict such as {'model': model, 'optimiser': optimiser}.")
    for key, part in state.items():
        if part is not None and not (hasattr(part, "state_dict") and hasattr(part, "load_state_dict")):
            raise TypeError(
                f"state[{key!r}] is a {type(part).__name__}, which has no state_dict: it cannot be saved."
            )


class Snapshot:
    """A copy of the state of some objects, kept on their device, and the random states of that moment.

    `state`: dict name → object with `state_dict` and `load_state_dict` (modules, optimisers, schedules, EMA).
    `step`: after how many steps the copy was taken. `complete` is false before the first one, and if the
    taking was broken off.
    """

    def __init__(self, state: dict):
        self.state = state
        self.step = 0
        self.complete = False
        self.copy: dict = {}
        self.random_of_ranks: list[tuple] = []

    @torch.no_grad()
    def take(self, step: int) -> None:
        """Copy the present state; tensors that are there already are reused, so this costs one pass over
        memory."""
        self.complete = False
        live = {name: part.state_dict() for name, part in self.state.items()}
        old = list(tensors(self.copy))
        new = list(tensors(live))
        if old and _alike(old, new):
            torch._foreach_copy_(old, new)
            copies = iter(old)
        else:
            copies = iter([tensor.detach().clone() for tensor in new])
        self.copy = _rebuild(live, copies)
        self.random_of_ranks = ranks.gathered(randomness.states())
        self.step = step
        self.complete = True

    def restore(self) -> None:
        """Give the objects the copied state back, and the generators theirs."""
        load(self.state, self.copy)
        randomness.restore(self.random_of_ranks[ranks.rank()])

    def drop(self) -> None:
        """Free the memory of the copy."""
        self.copy = {}
        self.complete = False


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


def _alike(old: list[torch.Tensor], new: list[torch.Tensor]) -> bool:
    """Whether two lists of tensors agree in number, shapes and types."""
    same_number = len(old) == len(new)
    return same_number and all(a.shape == b.shape and a.dtype == b.dtype for a, b in zip(old, new))


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
    """Return 1.0 if all weights are finite, 0.0 otherwise, as a tensor () on the device (not read by the
    host)."""
    weights = [w.detach() for module in modules for w in module.parameters() if w.is_floating_point()]
    if not weights:
        return torch.ones((), device=device)
    norms = [norm.to(device, torch.float32) for norm in torch._foreach_norm(weights)]
    return torch.stack(norms).isfinite().all().float()
