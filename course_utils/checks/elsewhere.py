"""A pretended GPU for checks: numbers on the CPU, marked, that refuse company as tensors on a GPU do.

torch's own `meta` device would do for shapes; it has no numbers, lets a CPU table be looked up by indices on
a GPU, and loads torch's compiler (seconds) at its first sum.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

LABEL = torch.device("meta")
"""What a marked tensor gives as its `.device`."""
MOVES = (torch.Tensor.to, torch.Tensor.cpu, torch.Tensor.type_as, torch.Tensor.copy_)
MIXERS = (*MOVES, torch.autograd.grad, torch.tensor, torch.as_tensor)
"""What takes tensors of two devices on a GPU, too."""
LOOK_UPS = (torch.Tensor.__getitem__, torch.Tensor.__setitem__)


class MixedDevices(RuntimeError):
    """Tensors of two devices met, where a GPU would refuse."""


class Elsewhere(torch.Tensor):
    """A tensor that is said to lie on the pretended GPU."""

    __torch_function__ = torch._C._disabled_torch_function_impl


def _tensors(value: Any) -> list[torch.Tensor]:
    """All tensors in nested tuples, lists and dicts."""
    if isinstance(value, torch.Tensor):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, tuple | list) else ()
    return [tensor for part in parts for tensor in _tensors(part)]


def _each(value: Any, change: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    """`value` with `change` applied to the tensors in its tuples, lists and dicts."""
    if isinstance(value, torch.Tensor):
        return change(value)
    if isinstance(value, dict):
        return {key: _each(part, change) for key, part in value.items()}
    if isinstance(value, tuple | list) and _tensors(value):
        parts = [_each(part, change) for part in value]
        if hasattr(value, "_fields"):
            return type(value)(*parts)  # a named tuple
        return type(value)(parts)  # torch's (values, indices), too
    return value


def sent(value: Any) -> Any:
    """A copy of an argument, with each tensor in it on the pretended GPU."""
    return _each(value, lambda t: t.detach().clone().as_subclass(Elsewhere).requires_grad_(t.requires_grad))


def left_behind(value: Any) -> bool:
    """Whether a result holds a tensor, not a mere number, that is not on the pretended GPU."""
    return any(not isinstance(tensor, Elsewhere) for tensor in _tensors(value))


class PretendGpu(TorchFunctionMode):
    """Within it, tensors of type Elsewhere lie on a GPU, others on the CPU: a mixture raises MixedDevices.

    As on CUDA, a CPU tensor without axes, CPU indices into a tensor elsewhere, and copies are allowed; a CPU
    generator cannot draw there. `networks`: their parameters and buffers count as being on both. Within
    torch.func's transforms nothing can be told: NotImplementedError.
    """

    def __init__(self, *networks: torch.nn.Module):
        super().__init__()
        self.both = {id(t) for net in networks for t in (*net.parameters(), *net.buffers())}

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if torch._C._functorch.peek_interpreter_stack() is not None:
            raise NotImplementedError("the marks are lost within torch.func's vmap and grad")
        there = any(isinstance(t, Elsewhere) for t in _tensors([args, kwargs]))
        if func == torch.Tensor.device.__get__:
            return LABEL if there else func(*args)
        if there and getattr(func, "__name__", "") in ("numpy", "__array__"):
            raise TypeError("can't convert a tensor on the GPU to numpy; use Tensor.cpu() first.")
        marks = self._result_is_there(func, args, kwargs, there)
        if func not in MIXERS:
            self._refuse_company(func, args, kwargs, there)
        if marks and isinstance(kwargs.get("generator"), torch.Generator):
            raise MixedDevices("the generator is on the CPU and cannot draw on the GPU")
        out = func(*[_on_cpu(arg) for arg in args], **{key: _on_cpu(arg) for key, arg in kwargs.items()})
        return _each(out, _marked if marks else _unmarked)

    def _result_is_there(self, func, args, kwargs, there: bool) -> bool:
        places = [value for value in (*args[1:], *kwargs.values()) if _is_place(value)]
        if func == torch.Tensor.cpu or func in (torch.tensor, torch.as_tensor) and not places:
            return func != torch.Tensor.cpu and bool(args) and isinstance(args[0], Elsewhere)
        if func in (torch.Tensor.to, torch.Tensor.type_as):
            others = _tensors([args[1:], kwargs])
            if others:
                return isinstance(others[0], Elsewhere)
        return torch.device(places[0]) == LABEL if places else there

    def _refuse_company(self, func, args, kwargs, there: bool) -> None:
        """Raise MixedDevices where CUDA would."""
        if not there:
            return
        if func in LOOK_UPS:
            if not isinstance(args[0], Elsewhere) and _tensors(args[1]):
                raise MixedDevices("a tensor on the CPU is looked up by indices on the GPU")
            return
        for tensor in _tensors([args, kwargs]):
            if not isinstance(tensor, Elsewhere) and tensor.ndim and id(tensor) not in self.both:
                raise MixedDevices("a tensor on the CPU meets one on the GPU")


def _is_place(value: Any) -> bool:
    """Whether a value names a device."""
    return isinstance(value, torch.device) or value in ("cpu", "meta") if not _tensors(value) else False


def _on_cpu(value: Any) -> Any:
    """An argument with the pretended GPU's name exchanged for the CPU's, where the numbers are."""
    return torch.device("cpu") if _is_place(value) else value


def _marked(value: torch.Tensor) -> torch.Tensor:
    return value if isinstance(value, Elsewhere) else value.as_subclass(Elsewhere)


def _unmarked(value: torch.Tensor) -> torch.Tensor:
    return value.as_subclass(torch.Tensor) if isinstance(value, Elsewhere) else value
