"""What a saved state may hold: tensors, and values that `torch.load(weights_only=True)` reads again.

NumPy's numbers become Python's; its arrays go to disk as tensors and come back as arrays.
"""

import io

import numpy as np
import torch

ARRAY = "a NumPy array"
"""The one key of the dict that stands for an array on disk."""
PLAIN = (bool, int, float, complex, str, bytes, type(None))


def packed(tree):
    """Return nested dicts, lists and tuples with every NumPy value in them as a plain number or a tensor."""
    if isinstance(tree, np.generic):
        return tree.item()
    if isinstance(tree, np.ndarray):
        return _packed_array(tree)
    if isinstance(tree, dict):
        return {packed(key): packed(branch) for key, branch in tree.items()}
    if isinstance(tree, list | tuple) and not isinstance(tree, torch.Size):
        return (list if isinstance(tree, list) else tuple)(packed(branch) for branch in tree)
    return tree


def unpacked(tree):
    """Return what `packed` was given, up to the kind of its numbers."""
    if isinstance(tree, dict):
        if list(tree) == [ARRAY]:
            return tree[ARRAY].numpy()
        return {key: unpacked(branch) for key, branch in tree.items()}
    if isinstance(tree, list | tuple) and not isinstance(tree, torch.Size):
        return type(tree)(unpacked(branch) for branch in tree)
    return tree


def _packed_array(array: np.ndarray):
    """An array in a dict, as a tensor; itself where torch has no such type (texts, objects)."""
    try:
        return {ARRAY: torch.from_numpy(array.astype(array.dtype.newbyteorder("="), order="C"))}
    except TypeError:
        return array


def unreadable(tree, place: str) -> str | None:
    """Return the first value in a packed tree that could be written but not read again, as text, or None.

    `place`: what the message calls the tree, "state['model']" say.
    """
    if isinstance(tree, torch.Tensor) or type(tree) in PLAIN:
        return None
    if isinstance(tree, dict):
        keys = (unreadable(key, f"a key of {place}") for key in tree)
        branches = (unreadable(branch, f"{place}[{key!r}]") for key, branch in tree.items())
        return next((found for found in (*keys, *branches) if found), None)
    if isinstance(tree, list | tuple):
        found = (unreadable(branch, f"{place}[{number}]") for number, branch in enumerate(tree))
        return next((one for one in found if one), None)
    file = io.BytesIO()
    try:
        torch.save(tree, file)
        file.seek(0)
        torch.load(file, weights_only=True)
    except Exception:  # whatever pickle or torch say of it, it cannot be kept
        return f"{place} is a {type(tree).__module__}.{type(tree).__qualname__}"
    return None


def check(state: dict) -> None:
    """Raise TypeError if the state dict of a part of `state` (name → state dict) holds what cannot be kept."""
    for name, part in state.items():
        found = unreadable(packed(part), f"the state of {name!r}")
        if found:
            raise TypeError(
                f"This training has a name, so its state is saved, but {found}, which could not be read again. "
                "Keep tensors, arrays, numbers, texts, lists and dicts in a state_dict."
            )
