"""`pretending("cuda")`: within the block this machine has an accelerator, whose tensors are those of tensor.py.

Two modes of torch see every call: one sees what was asked for (`x.to(device)`, `torch.tensor(…, device=…)`), the
other one each operation of the dispatcher below autograd. `course_utils` is told through one seam,
`machine.named`; questions to torch about the hardware (`torch.cuda.is_bf16_supported` …) are answered for a card.
"""

import contextlib
import functools
import sys
import types
from unittest import mock

import torch
import torch._dynamo  # optimisers import it at their first step, and it looks at the hardware: before it changes
import torch.nn.functional as F
from torch.optim import Optimizer
from torch.overrides import TorchFunctionMode
from torch.utils import _foreach_utils
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

from course_utils.system import machine, randomness
from tests.pretend import tensor
from tests.pretend.tensor import CPU, HALF, OnDevice, generator, host

CARDS = {"T4": ("Tesla T4", (7, 5), False), "A100": ("NVIDIA A100-SXM4-40GB", (8, 0), True)}
"""Name, compute capability, and whether the hardware has bfloat16."""

MOVES = {
    torch.Tensor.to: None, torch.Tensor.cpu: CPU, torch.Tensor.cuda: "device", torch.Tensor.type_as: None,
}  # fmt: skip
FROM_DATA = {torch.tensor, torch.as_tensor, torch.asarray}


IN_FLOAT32 = {
    "acos", "asin", "binary_cross_entropy_with_logits", "cdist", "cosh", "cosine_similarity",
    "cross_entropy", "cumprod", "cumsum", "dist", "erfinv", "exp", "expm1", "group_norm", "huber_loss",
    "kl_div", "l1_loss", "layer_norm", "log", "log10", "log1p", "log2", "log_softmax", "logsumexp",
    "mse_loss", "nll_loss", "norm", "normalize", "pow", "prod", "reciprocal", "renorm", "rsqrt", "sinh",
    "smooth_l1_loss", "softmax", "softmin", "softplus", "sum", "tan", "__pow__", "__rdiv__", "__rpow__",
    "__rtruediv__",
}  # fmt: skip
"""What CUDA's autocast does in float32, from torch's documentation; the CPU's has a shorter list."""


class ToDevice(torch.autograd.Function):
    """A copy to the device; the gradient comes back."""

    @staticmethod
    def forward(ctx, x):
        return OnDevice(x.detach().clone())

    @staticmethod
    def backward(ctx, gradient):
        return gradient.held.clone()


class ToHost(torch.autograd.Function):
    """A copy to the CPU; the gradient goes back to the device."""

    @staticmethod
    def forward(ctx, x):
        return x.held.detach().clone()

    @staticmethod
    def backward(ctx, gradient):
        return OnDevice(gradient.clone())


def to_device(x: torch.Tensor, non_blocking: bool = False) -> torch.Tensor:
    """Copy a CPU tensor to the device, differentiably."""
    if not non_blocking:
        host.waits("upload", "to")
    return ToDevice.apply(x) if x.requires_grad and torch.is_grad_enabled() else OnDevice(x.detach().clone())


def to_host(x: OnDevice) -> torch.Tensor:
    """Copy a tensor of the device to the CPU, differentiably."""
    host.waits("read", "to the CPU")
    return ToHost.apply(x) if x.requires_grad and torch.is_grad_enabled() else x.held.detach().clone()


def is_device(device) -> bool:
    """Whether this names the pretended device; RuntimeError for an accelerator that is not there."""
    if device is None:
        return False
    kind = torch.device(device).type
    if kind in ("cuda", "mps") and kind != host.device.type:
        raise RuntimeError(f"This machine pretends to have {host.device.type}, not {kind}.")
    return kind == host.device.type


def move(function, args: tuple, kwargs: dict):
    """What `x.to(…)`, `x.cpu()`, `x.cuda()` and `x.type_as(…)` return."""
    x, *rest = args
    layout = kwargs.get("memory_format")
    if function is torch.Tensor.to:
        other = rest[0] if rest and isinstance(rest[0], torch.Tensor) else kwargs.get("other")
        if other is not None:
            device, dtype, non_blocking = other.device, other.dtype, kwargs.get("non_blocking", False)
        else:
            given = {
                key: value for key, value in kwargs.items() if key in ("device", "dtype", "non_blocking")
            }
            given |= {"memory_format": layout} if layout is not None else {}
            device, dtype, non_blocking, layout = torch._C._nn._parse_to(*rest[:3], **given)
    else:
        device = {torch.Tensor.cpu: CPU, torch.Tensor.cuda: host.device}.get(function)
        device, dtype, non_blocking = device or rest[0].device, None, False
        dtype = rest[0].dtype if function is torch.Tensor.type_as else None
    here = type(x) is OnDevice
    there = here if device is None else is_device(device)
    options = {"memory_format": layout} if layout is not None else {}
    if here == there:
        return x if dtype is None and not options else torch.Tensor.to(x, dtype=dtype or x.dtype, **options)
    if there:
        x = torch.Tensor.to(x, dtype=dtype or x.dtype, **options)
        return to_device(x, non_blocking)
    tensor.refuse_float64(dtype or x.dtype)  # on the way to the CPU it is MPS that converts
    return torch.Tensor.to(to_host(x), dtype=dtype or x.dtype, **options)


class Asked(TorchFunctionMode):
    """Sees each call of a torch function: moves tensors, and knows whether a call is about the device."""

    def __init__(self):
        self.frames = []

    def __torch_function__(self, func, kinds, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func in MOVES:
            return move(func, args, kwargs)
        if func in FROM_DATA:
            return self.from_data(func, args, kwargs)
        on_device = any(map(_holds, args)) or any(map(_holds, kwargs.values()))
        if func is F.one_hot and on_device and (len(args) > 1 or kwargs.get("num_classes", -1) > 0):
            classes = args[1] if len(args) > 1 else kwargs["num_classes"]
            return OnDevice(F.one_hot(args[0].held, classes))  # only a CPU checks the labels
        if on_device and torch.is_autocast_enabled("cpu"):
            args = as_cuda_autocasts(func, args)
        named = kwargs.get("device")
        if kwargs.get("generator") is not None:
            check_generator(kwargs["generator"], on_device if named is None else is_device(named))
        self.frames.append(on_device and (named is None or is_device(named)))
        try:
            made = func(*args, **kwargs)
        finally:
            inside = self.frames.pop()
        if func is torch.Tensor.new_tensor and inside and type(made) is not OnDevice:
            return to_device(made)
        return made

    def from_data(self, func, args: tuple, kwargs: dict):
        """`torch.tensor`, `torch.as_tensor`: from lists, arrays or tensors, to where it is asked."""
        named = kwargs.get("device")
        data = args[0] if args else kwargs["data"]
        if type(data) is OnDevice:
            data = data.clone() if func is torch.tensor else data
            return data.to(named or data.device, kwargs.get("dtype") or data.dtype)
        made = func(*args, **{**kwargs, "device": CPU} if named is not None else kwargs)
        return to_device(made) if is_device(named) and type(made) is not OnDevice else made


def as_cuda_autocasts(func, args: tuple) -> tuple:
    """The arguments as CUDA's autocast passes them on, where the CPU's does not; RuntimeError as on CUDA."""
    if func is F.binary_cross_entropy:
        raise RuntimeError(
            "torch.nn.functional.binary_cross_entropy and torch.nn.BCELoss are unsafe to autocast. "
            "Use binary_cross_entropy_with_logits, which is safe."
        )
    if func.__name__ not in IN_FLOAT32:
        return args
    return tuple(a.float() if type(a) is OnDevice and a.dtype in HALF else a for a in args)


def check_generator(given: torch.Generator, on_device: bool) -> None:
    """Raise RuntimeError if a generator of one device is used on another."""
    on = host.device if on_device else CPU
    if given.device.type != on.type:
        raise RuntimeError(
            f"Expected a {on.type!r} device type for generator but found {given.device.type!r}"
        )


def _holds(argument) -> bool:
    """Whether an argument is a tensor of the device, or a list of such."""
    if type(argument) is OnDevice:
        return True
    return isinstance(argument, list | tuple) and any(type(part) is OnDevice for part in argument)


class Run(TorchDispatchMode):
    """Sees each operation of the dispatcher."""

    def __init__(self, asked: Asked):
        super().__init__()
        self.asked = asked

    def __torch_dispatch__(self, func, kinds, args=(), kwargs=None):
        frames = self.asked.frames
        return tensor.run(func, args, kwargs or {}, implied=bool(frames and frames[-1]))


class GeneratorOfDevice(type):
    """`torch.Generator(device)` makes a generator of the device, and `isinstance` knows both kinds."""

    def __call__(cls, device="cpu"):
        kind = tensor.DeviceGenerator if is_device(device) else _RealGenerator
        return kind()

    def __instancecheck__(cls, thing):
        return isinstance(thing, _RealGenerator)


_RealGenerator = torch.Generator
_apply, _load, _tag = torch.nn.Module._apply, torch.load, torch.serialization.location_tag
_grouped, _autocast = torch._C._group_tensors_by_device_and_dtype, torch.autocast


def apply(module, function, recurse=True):
    """nn.Module._apply: weights stay the same objects when they move, as on a card."""
    weights = [*module.parameters(), *module.buffers()]
    if all(function(weight) is weight for weight in weights):
        return module
    before = torch.__future__.get_swap_module_params_on_conversion()
    torch.__future__.set_swap_module_params_on_conversion(True)
    try:
        return _apply(module, function, recurse)
    finally:
        torch.__future__.set_swap_module_params_on_conversion(before)


def load(file, map_location=None, **kwargs):
    """torch.load: each tensor lands where it was, or where `map_location` says."""
    places = {}

    def note(storage, place):
        places[storage._cdata] = place
        return storage

    def placed(leaf):
        asked = map_location if map_location is not None else places.get(leaf.untyped_storage()._cdata, "cpu")
        return to_device(leaf) if is_device(asked) else leaf

    return tree_map_only(torch.Tensor, placed, _load(file, map_location=note, **kwargs))


def location_tag(storage):
    """Where torch.save says that a storage lies."""
    return str(host.device) if storage._cdata in tensor.saved_from_device else _tag(storage)


def grouped(lists, with_indices=False):
    """Tensors by device and dtype: torch's own looks below `.device`."""
    found = _grouped(lists, with_indices)
    return {(group[0][0].device, dtype): (group, indices) for (_, dtype), (group, indices) in found.items()}


class Autocast(_autocast):
    """torch.autocast for the device: the CPU's, whose lists of operations are about those of CUDA."""

    def __init__(self, device_type, dtype=None, enabled=True, cache_enabled=None):
        super().__init__("cpu" if is_device(device_type) else device_type, dtype, enabled, cache_enabled)


def _cuda(card: str) -> dict:
    """What torch.cuda answers, and does."""
    name, capability, bfloat16 = CARDS[card]
    properties = types.SimpleNamespace(name=name, total_memory=15 * 2**30, major=capability[0])
    answers = {
        "is_available": True, "device_count": 1, "current_device": 0, "is_initialized": True,
        "get_device_name": name, "get_device_properties": properties, "get_device_capability": capability,
        "memory_allocated": 0, "max_memory_allocated": 0, "memory_reserved": 0,
        **dict.fromkeys(("synchronize", "empty_cache", "set_device", "_lazy_init"), None),
    }  # fmt: skip
    found = {key: lambda *_, value=value, **__: value for key, value in answers.items()}
    found["is_bf16_supported"] = lambda including_emulation=True: bfloat16 or including_emulation
    return found | _random_numbers() | {"manual_seed_all": generator.seed}


def _random_numbers() -> dict:
    return {
        "manual_seed": generator.seed,
        "get_rng_state": lambda *_: generator.state.clone(),
        "set_rng_state": lambda state, *_: setattr(generator, "state", state.clone()),
    }


def _patches(kind: str, card: str) -> list:
    """All that is replaced while a device is pretended, as (owner, name, value)."""
    if kind == "cuda":
        hardware = [(torch.cuda, _cuda(card))]
    else:
        waits = {name: lambda: None for name in ("synchronize", "empty_cache")}
        hardware = [
            (torch.mps, waits | _random_numbers()),
            (torch.backends.mps, {"is_available": lambda: True}),
        ]
    optimisers = sys.modules[Optimizer.__module__]
    supported = {"_foreach_supported_types": [*optimisers._foreach_supported_types, OnDevice]}
    replaced = [
        *hardware,
        (torch, {"Generator": GeneratorOfDevice("Generator", (), {}), "load": load, "autocast": Autocast}),
        (torch._C, {"_group_tensors_by_device_and_dtype": grouped}),
        (torch.amp, {"autocast": Autocast}),
        (torch.serialization, {"location_tag": location_tag}),
        (torch.nn.Module, {"_apply": apply}),
        (torch.Tensor, {"pin_memory": lambda self, *_: self}),
        (optimisers, supported),
        (Optimizer, {name: lambda self: None for name in vars(Optimizer) if "graph_capture_health" in name}),
        (_foreach_utils, supported),
        (machine, {"named": torch.device(kind, 0)}),
        (host, {"device": torch.device(kind, 0)}),
    ]
    return [(owner, name, value) for owner, values in replaced for name, value in values.items()]


@contextlib.contextmanager
def pretending(kind: str = "cuda", card: str = "A100"):
    """Let this process have an accelerator, "cuda" or "mps"; gives the list of waits (`tensor.host`).

    `card`: a key of CARDS, for CUDA. Raises RuntimeError where there is a real one: it would be in the way.
    """
    if torch.cuda.is_available() or torch.backends.mps.is_available():
        raise RuntimeError("This machine has a device of its own: tests/test_gpu.py uses that.")
    host.clear()
    host.told = None
    generator.seed(0)
    asked = Asked()
    with contextlib.ExitStack() as stack:
        for owner, name, value in _patches(kind, card):
            stack.enter_context(mock.patch.object(owner, name, value))
        randomness._accelerator.cache_clear()
        stack.callback(randomness._accelerator.cache_clear)
        stack.enter_context(Run(asked))
        stack.enter_context(asked)
        yield host


@functools.cache
def reason_not_to_pretend() -> str | None:
    """Why the tests of this folder are left out here, or None."""
    real = torch.cuda.is_available() or torch.backends.mps.is_available()
    return "this machine has a real device: tests/test_gpu.py uses it" if real else None
