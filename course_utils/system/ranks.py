"""Several processes that train one model (torchrun): the same weights everywhere, averaged gradients, own
noise.

Without a process group every function here does nothing, or what one process needs.
"""

import torch
import torch.distributed as dist
from torch import nn

from course_utils.system import machine


def rank() -> int:
    """Return the number of this process under torchrun, 0 otherwise."""
    return torch.distributed.get_rank() if torch.distributed.is_initialized() else 0


def world_size() -> int:
    """Return how many processes train together under torchrun, 1 otherwise."""
    return torch.distributed.get_world_size() if torch.distributed.is_initialized() else 1


CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)


def prepare(*modules: nn.Module, device: torch.device | None = None):
    """Move modules to the device, lay them out for speed and, under torchrun, keep them equal on all ranks.

    A module with 2-D convolutions becomes channels_last (not on MPS). In a process group the weights and
    buffers of rank 0 are sent to all ranks, and from then on every gradient is averaged over the ranks as soon as it is
    complete. That is exact for losses that are means over the batch; statistics of BatchNorm stay those of
    each rank. Modules keep their class, methods and state-dict keys, since nothing is wrapped. Calling it
    again is harmless.

    Returns the module, or a tuple of several. Raises TypeError for anything that is not an nn.Module.
    """
    for module in modules:
        if not isinstance(module, nn.Module):
            raise TypeError(
                f"prepare takes modules, got {type(module).__name__}: call it before making optimisers."
            )
        where = device or machine.device()
        last = has_convolutions(module) and images_last(where)
        module.to(where, **({"memory_format": torch.channels_last} if last else {}))
        if world_size() > 1:
            _join(module)
    return modules[0] if len(modules) == 1 else modules


def images_last(device: torch.device) -> bool:
    """Return whether images are laid out channels_last on a device: not on MPS, where torch 2.11 and 2.12 give
    wrong results for BatchNorm in that layout."""
    return torch.device(device).type != "mps"


def has_convolutions(module: nn.Module) -> bool:
    """Return whether a module contains 2-D convolutions (plain or transposed)."""
    return any(isinstance(part, CONVOLUTIONS) for part in module.modules())


def _join(module: nn.Module) -> None:
    """Send rank 0's weights and buffers to all ranks; average gradients as they are accumulated."""
    with torch.no_grad():
        for tensor in [*module.parameters(), *module.buffers()]:
            shared = tensor.contiguous()  # collectives want one block of memory, unlike channels_last
            dist.broadcast(shared, src=0)
            tensor.copy_(shared)
    for weight in module.parameters():
        if weight.requires_grad and not hasattr(weight, "averaged_over_ranks"):
            weight.averaged_over_ranks = weight.register_post_accumulate_grad_hook(_average_gradient)


def _average_gradient(weight: torch.Tensor) -> None:
    """Replace a gradient by its mean over the ranks (a second backward adds to a mean: still the mean)."""
    mean = weight.grad.contiguous().div_(world_size())
    dist.all_reduce(mean)
    if mean is not weight.grad:
        weight.grad.copy_(mean)


def mean_over_ranks(vector: torch.Tensor) -> torch.Tensor:
    """Return the mean of a vector (n,) over the ranks: identical on all of them, NaN if any is NaN."""
    if world_size() > 1:
        vector = vector / world_size()
        dist.all_reduce(vector)
    return vector


def gathered(thing) -> list:
    """Return the `thing` (anything that can be pickled) of every rank, in the order of the ranks."""
    if world_size() == 1:
        return [thing]
    held = [None] * world_size()
    dist.all_gather_object(held, thing)
    return held


def shared(thing):
    """Return rank 0's `thing` (anything that can be pickled) on every rank."""
    if world_size() == 1:
        return thing
    held = [thing]
    dist.broadcast_object_list(held, src=0)
    return held[0]


def wait_for_all() -> None:
    """Wait until every rank is here."""
    if world_size() > 1:
        dist.barrier()
