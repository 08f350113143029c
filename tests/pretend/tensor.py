"""A tensor that pretends to lie on an accelerator: it holds a CPU tensor, and every operation is checked.

Numbers are real: an operation unwraps, runs on the CPU and wraps again. What fails on a card for reasons of
placement fails here in the same way. torch itself believes that these tensors lie on the CPU, so autograd and
autocast work as always; Python is told otherwise by `.device`. (A device of its own, by
`_setup_privateuseone_for_python_backend`, was tried first: `create_empty_tensor` knows no strides and no shared
memory, so the gradient of an in-place change of a transposed view came out wrong without an error.)
"""

import torch
from torch.utils._pytree import tree_leaves, tree_map_only

CPU = torch.device("cpu")


class Host(list):
    """What made the host wait, in order: (kind, name of the operation); `reads` and `uploads` count them.

    A read takes numbers from the device (`.item()`, `.cpu()`, a boolean mask), an upload copies from ordinary
    memory to it. `device`: the device that is pretended, or None. `told`: is called with each (kind, name).
    """

    device: torch.device | None = None
    told = None

    def waits(self, kind: str, name: str) -> None:
        """Note a wait."""
        self.append((kind, name))
        if self.told is not None:
            self.told(kind, name)

    @property
    def reads(self) -> int:
        return sum(kind == "read" for kind, _ in self)

    @property
    def uploads(self) -> int:
        return sum(kind == "upload" for kind, _ in self)


host = Host()


def _no_numpy(self, *_, **__):
    raise TypeError(
        f"can't convert {self.device} device type tensor to numpy. "
        "Use Tensor.cpu() to copy the tensor to host memory first."
    )


def refuse_float64(dtype: torch.dtype) -> None:
    """Raise TypeError as MPS does, for a tensor of this type there, and for a copy from there to one."""
    if host.device.type == "mps" and dtype in (torch.float64, torch.complex128):
        raise TypeError(
            "Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't support float64. "
            "Please use float32 instead."
        )


class OnDevice(torch.Tensor):
    """A tensor on the pretended device; `held` is the CPU tensor with its numbers."""

    held: torch.Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl
    device = property(lambda self: host.device)
    is_cpu = property(lambda self: False)
    is_cuda = property(lambda self: host.device.type == "cuda")
    is_mps = property(lambda self: host.device.type == "mps")
    numpy = __array__ = __dlpack__ = _no_numpy

    @staticmethod
    def __new__(cls, held: torch.Tensor):
        refuse_float64(held.dtype)
        made = torch.Tensor._make_wrapper_subclass(
            cls, held.shape, strides=held.stride(), storage_offset=held.storage_offset(),
            dtype=held.dtype, device=CPU,
        )  # fmt: skip
        made.held = held
        return made

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return run(func, args, kwargs or {})

    @property
    def data(self):
        return OnDevice(self.held.detach())

    @data.setter
    def data(self, other):
        if not isinstance(other, OnDevice):
            raise RuntimeError(f"incompatible tensor type: device {other.device} assigned to {self.device}")
        self.held = other.held
        torch.Tensor.data.__set__(self, other)

    def get_device(self) -> int:
        return 0

    def tolist(self):
        host.waits("read", "tolist")
        return self.held.tolist()

    def untyped_storage(self):
        return self.held.untyped_storage()

    def data_ptr(self) -> int:
        return self.held.data_ptr()

    def __repr__(self, **_):
        host.waits("read", "repr")
        return f"{str(self.held)[:-1]}, device='{self.device}')"

    def __format__(self, spec: str) -> str:
        return self.item().__format__(spec) if self.dim() == 0 else object.__format__(self, spec)

    def __deepcopy__(self, memo):
        if id(self) not in memo:
            made = OnDevice(self.held.clone())
            made.requires_grad_(self.requires_grad)
            made.__dict__.update({key: value for key, value in self.__dict__.items() if key != "held"})
            memo[id(self)] = made
            if self.grad is not None:
                made.grad = self.grad.__deepcopy__(memo)
        return memo[id(self)]

    def __reduce_ex__(self, protocol):
        saved_from_device.add(self.held.untyped_storage()._cdata)
        return self.held.__reduce_ex__(protocol)


saved_from_device: set[int] = set()
"""The storages that `torch.save` marks with the device's name."""

COPIES = {"copy_", "_foreach_copy_"}
INDEXED = {"index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index", "_unsafe_index_put"}
READS = {
    "_local_scalar_dense", "nonzero", "nonzero_numpy", "masked_select", "equal", "_unique", "_unique2",
    "unique_dim", "unique_consecutive", "unique_dim_consecutive", "repeat_interleave", "bincount",
    "_linalg_check_errors",
}  # fmt: skip
"""Operations after which the host knows numbers, or a shape that depends on them."""


HALF = (torch.float16, torch.bfloat16)
HEAVY = {"convolution", "convolution_backward", "mm", "addmm", "bmm", "baddbmm"}


def mixed(name: str, devices: str = "") -> RuntimeError:
    """The error of a card where an operation meets tensors on two devices."""
    return RuntimeError(
        f"Expected all tensors to be on the same device, but found at least two devices, {host.device} and "
        f"cpu! (when checking {name}{devices})"
    )


def run(func, args: tuple, kwargs: dict, implied: bool = False):
    """Run an operation of torch's dispatcher as a card would.

    `implied`: a tensor that is made out of nothing belongs on the device, for it is part of an operation on
    tensors there. Raises RuntimeError where devices are mixed, TypeError for float64 on MPS.
    """
    leaves = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor | torch.device)]
    mine = [leaf for leaf in leaves if type(leaf) is OnDevice]
    asked = kwargs.get("device")
    to_device = bool(mine)
    if asked is not None:
        to_device = asked.type == host.device.type or implied
        kwargs = {**kwargs, "device": CPU}
    elif not mine:
        to_device = implied and not any(isinstance(leaf, torch.Tensor) for leaf in leaves)
    name = func.overloadpacket.__name__
    if mine:
        check_placement(func, name, args, kwargs, leaves)
        if asked is not None and not to_device:
            host.waits("read", name)
    if not mine and not to_device:
        return func(*args, **kwargs)
    if to_device and torch.Tag.nondeterministic_seeded in func.tags and kwargs.get("generator") is None:
        with generator.used():
            out = func(*_held(args), **_held(kwargs))
    elif name in HEAVY and mine and mine[0].dtype in HALF:
        out = _in_float32(func, _held(args), _held(kwargs), mine[0].dtype)
    else:
        out = func(*_held(args), **_held(kwargs))
    if not to_device:
        return out
    if func._schema.is_mutable:
        _resized(mine)
    known = {id(leaf.held): leaf for leaf in mine}

    def wrapped(made):
        return known[id(made)] if id(made) in known else OnDevice(made)

    return tree_map_only(torch.Tensor, wrapped, out)


def _in_float32(func, args, kwargs, half: torch.dtype):
    """Run an operation on half precision as a card does, with sums in float32; a CPU takes minutes for it."""
    args, kwargs = tree_map_only(
        torch.Tensor, lambda leaf: leaf.float() if leaf.dtype is half else leaf, (args, kwargs)
    )
    return tree_map_only(torch.Tensor, lambda leaf: leaf.to(half), func(*args, **kwargs))


def _held(tree):
    return tree_map_only(OnDevice, lambda leaf: leaf.held, tree)


def _resized(mine: list[OnDevice]) -> None:
    """Tell torch where an operation gave a tensor another shape (`out=`, `resize_`, `t_`)."""
    for leaf in mine:
        if leaf.shape != leaf.held.shape or leaf.stride() != leaf.held.stride():
            torch.Tensor.data.__set__(leaf, OnDevice(leaf.held))


def check_placement(func, name: str, args: tuple, kwargs: dict, leaves: list) -> None:
    """Raise RuntimeError where CUDA would, for tensors of which at least one is on the device; note waits.

    A CPU tensor without dimensions may stand where it is only read, CPU indices may index, `copy_` copies.
    """
    theirs = [leaf for leaf in leaves if isinstance(leaf, torch.Tensor) and type(leaf) is not OnDevice]
    if name in READS and not (name == "repeat_interleave" and kwargs.get("output_size") is not None):
        host.waits("read", name)
    elif name in COPIES:
        if theirs and not kwargs.get("non_blocking", len(args) > 2 and args[2]):
            first = args[0][0] if isinstance(args[0], list | tuple) else args[0]
            host.waits("upload" if type(first) is OnDevice else "read", name)
            refuse_float64(first.dtype)  # on the way to the CPU it is MPS that converts
        return
    elif name in INDEXED:
        theirs = _indices(name, args, kwargs)
    if not theirs:
        return
    written = any(a.alias_info is not None and a.alias_info.is_write and type(given) is not OnDevice
                  and isinstance(given, torch.Tensor)
                  for a, given in zip(func._schema.arguments, args))  # fmt: skip
    if written or any(leaf.dim() for leaf in theirs):
        raise mixed(name)


def _indices(name: str, args: tuple, kwargs: dict) -> list:
    """Note what indexing makes the host wait for; return the CPU tensors that must be without dimensions."""
    indices = [index for index in args[1] if index is not None]
    if type(args[0]) is not OnDevice:
        raise RuntimeError(
            "indices should be either on cpu or on the same device as the indexed tensor (cpu)"
            if any(type(index) is OnDevice for index in indices)
            else mixed(name)
        )
    for index in indices:
        if index.dtype in (torch.bool, torch.uint8):
            host.waits("read", f"{name} by a mask")
        elif type(index) is not OnDevice:
            host.waits("upload", f"{name} by indices on the CPU")
    return [value for value in args[2:3] if isinstance(value, torch.Tensor) and type(value) is not OnDevice]


class DeviceGenerator(torch.Generator):
    """A random generator of the device: `torch.Generator(device)` makes one."""

    device = property(lambda self: host.device)


class Generator:
    """The device's own stream of random numbers, apart from that of the CPU."""

    def __init__(self):
        self.state = torch.Generator().manual_seed(0).get_state()

    def seed(self, seed: int) -> None:
        self.state = torch.Generator().manual_seed(seed + 1).get_state()

    class _Used:
        def __init__(self, owner):
            self.owner = owner

        def __enter__(self):
            self.outside = torch.default_generator.get_state()
            torch.default_generator.set_state(self.owner.state)

        def __exit__(self, *_):
            self.owner.state = torch.default_generator.get_state()
            torch.default_generator.set_state(self.outside)

    def used(self):
        """A context in which torch's generator is this one."""
        return self._Used(self)


generator = Generator()
