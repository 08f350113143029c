"""Several processes that train one model (torchrun): the same weights everywhere, averaged gradients, own noise.

Without a process group every function here does nothing, or what one process needs.
"""

import torch
import torch.distributed as dist
from torch import nn

from course_utils import runtime

CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)


def prepare(*modules: nn.Module, device: torch.device | None = None):
    """Move modules to the device, lay them out for speed and, under torchrun, keep them equal on all ranks.

    A module with 2-D convolutions becomes channels_last. In a process group the weights and buffers of rank 0 are
    sent to all ranks, and from then on every gradient is averaged over the ranks as soon as it is complete. That is
    exact for losses that are means over the batch; statistics of BatchNorm stay those of each rank. Modules keep
    their class, methods and state-dict keys, since nothing is wrapped. Calling it again is harmless.

    Returns the module, or a tuple of several. Raises TypeError for anything that is not an nn.Module.
    """
    for module in modules:
        if not isinstance(module, nn.Module):
            raise TypeError(f"prepare takes modules, got {type(module).__name__}: call it before making optimisers.")
        layout = {"memory_format": torch.channels_last} if has_convolutions(module) else {}
        module.to(device or runtime.device(), **layout)
        if runtime.world_size() > 1:
            _join(module)
    return modules[0] if len(modules) == 1 else modules


def has_convolutions(module: nn.Module) -> bool:
    """Return whether a module contains 2-D convolutions (plain or transposed)."""
    return any(isinstance(part, CONVOLUTIONS) for part in module.modules())


def _join(module: nn.Module) -> None:
    """Send rank 0's weights and buffers to all ranks; average gradients as they are accumulated."""
    with torch.no_grad():
        for tensor in [*module.parameters(), *module.buffers()]:
            shared = tensor.contiguous()  # collectives want one block of memory; channels_last is another order
            dist.broadcast(shared, src=0)
            tensor.copy_(shared)
    for weight in module.parameters():
        if weight.requires_grad and not hasattr(weight, "averaged_over_ranks"):
            weight.averaged_over_ranks = weight.register_post_accumulate_grad_hook(_average_gradient)


def _average_gradient(weight: torch.Tensor) -> None:
    """Replace a gradient by its mean over the ranks (a second backward adds to a mean: still the mean)."""
    mean = weight.grad.contiguous().div_(runtime.world_size())
    dist.all_reduce(mean)
    if mean is not weight.grad:
        weight.grad.copy_(mean)


def mean_over_ranks(vector: torch.Tensor) -> torch.Tensor:
    """Return the mean of a vector (n,) over the ranks: identical on all of them, NaN if any is NaN."""
    if runtime.world_size() > 1:
        vector = vector / runtime.world_size()
        dist.all_reduce(vector)
    return vector


def gather(vector: torch.Tensor) -> list[torch.Tensor]:
    """Return the vectors (n,) of all ranks, in the order of the ranks, on the CPU."""
    if runtime.world_size() == 1:
        return [vector]
    here = vector.to(runtime.device())
    parts = [torch.empty_like(here) for _ in range(runtime.world_size())]
    dist.all_gather(parts, here)
    return [part.cpu() for part in parts]


def shared(thing):
    """Return rank 0's `thing` (anything that can be pickled) on every rank."""
    if runtime.world_size() == 1:
        return thing
    held = [thing]
    dist.broadcast_object_list(held, src=0)
    return held[0]


def decided(flag: bool) -> bool:
    """Return rank 0's `flag` on every rank."""
    if runtime.world_size() == 1:
        return bool(flag)
    vote = torch.tensor([float(flag)], device=runtime.device())
    dist.broadcast(vote, src=0)
    return bool(vote.item())


def wait_for_all() -> None:
    """Wait until every rank is here."""
    if runtime.world_size() > 1:
        dist.barrier()
