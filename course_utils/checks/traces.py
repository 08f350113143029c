"""Traces that an answer leaves behind: on the settings of the process, and on the arguments it was given.

Settings and generators are read before and after each call of an answer, put back, and named to the reader:
left as they are, they would strike again in the next cell.
"""

import builtins
import contextlib
import gc
import math
import os
import random
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

MARK = 0x5EED_0F_7E57
"""Stands in for the seed of torch's generator during a check: whatever seeds it again replaces the mark."""
WATCHED = (
    *(torch, torch.Tensor, torch.nn, torch.nn.functional, torch.linalg, torch.autograd, torch.special),
    *(np, np.linalg, np.random, math, random, builtins, warnings),
)
"""Where a function may be exchanged for the whole notebook, by accident (`torch.sum = sum`) or on purpose."""


@dataclass(frozen=True)
class Setting:
    """One setting of the process: how to read it, how to put it back, and what to say to who changes it."""

    read: Callable[[], Any]
    write: Callable[[Any], Any]
    says: str
    by_import: bool = False  # whether importing a module may change it, which is nobody's fault
    slow: bool = False  # whether reading it takes long: it is then read once a check, not once a call


def _rc_params() -> dict:
    """Matplotlib's settings, without those that it decides itself; empty while it is not imported."""
    if "matplotlib" not in sys.modules:
        return {}
    kept = dict.copy(sys.modules["matplotlib"].rcParams)
    kept.pop("backend", None)
    return kept


def _put_rc_params(kept: dict) -> None:
    if kept:
        sys.modules["matplotlib"].rcParams.update(kept)


def _put_filters(kept: list) -> None:
    warnings.resetwarnings()  # forgets which warnings were shown under the filters that go
    warnings.filters[:] = kept


def _folder() -> str | None:
    try:
        return os.getcwd()
    except FileNotFoundError:
        return None


def _put_folder(kept: str | None) -> None:
    if kept is not None:
        os.chdir(kept)


def _put_environment(kept: dict) -> None:
    os.environ.clear()
    os.environ.update(kept)


def _deterministic() -> tuple:
    flags = torch.backends.cudnn
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    return torch.are_deterministic_algorithms_enabled(), warn_only, flags.deterministic, flags.benchmark


def _put_deterministic(kept: tuple) -> None:
    torch.use_deterministic_algorithms(kept[0], warn_only=kept[1])
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = kept[2:]


def _put_device(kept: torch.device) -> None:
    torch.set_default_device(None if kept.type == "cpu" else kept)


def _printing() -> tuple:
    return dict(vars(torch._tensor_str.PRINT_OPTS)), np.get_printoptions()


def _put_printing(kept: tuple) -> None:
    vars(torch._tensor_str.PRINT_OPTS).update(kept[0])
    np.set_printoptions(**kept[1])


def _streams() -> tuple:
    return sys.stdout, sys.stderr


def _put_streams(kept: tuple) -> None:
    sys.stdout, sys.stderr = kept


def _put_collector(kept: bool) -> None:
    (gc.enable if kept else gc.disable)()


def _put_path(kept: list) -> None:
    sys.path[:] = kept


def _functions() -> dict:
    """Every function of the modules and classes that answers use, by place and name, inherited ones too."""
    return {
        place: {name: value for base in reversed(_bases(place)) for name, value in vars(base).items()}
        for place in WATCHED
    }


def _bases(place: Any) -> tuple:
    return place.__mro__[:-1] if isinstance(place, type) else (place,)


def _exchanged(before: dict, after: dict, imported: bool) -> list[tuple]:
    """(module, name) of what was exchanged or deleted.

    Submodules and private names may come and go, and a library that imports more may exchange its own.
    """
    return [
        (place, name)
        for place, old in before.items()
        for name, value in old.items()
        if (now := after[place].get(name)) is not value and callable(value) and not name.startswith("_")
        if not (imported and _package(now) == _package(value))
    ]


def _package(function: Any) -> str:
    return (getattr(function, "__module__", None) or "").partition(".")[0]


SETTINGS = (
    Setting(
        torch.get_default_dtype,
        torch.set_default_dtype,
        "switches the default dtype of the whole notebook; give each new tensor its dtype= instead",
    ),
    Setting(
        torch.get_default_device,
        _put_device,
        "switches the default device of the whole notebook; give each new tensor its device= instead",
    ),
    Setting(
        torch.is_grad_enabled,
        torch.set_grad_enabled,
        "switches gradients on or off for the whole notebook; write `with torch.no_grad():` around the lines "
        "that need it",
    ),
    Setting(
        torch.is_anomaly_enabled,
        torch.autograd.set_detect_anomaly,
        "switches torch's anomaly detection for the whole notebook",
    ),
    Setting(
        _deterministic,
        _put_deterministic,
        "switches torch's deterministic algorithms for the whole notebook; leave them as they are",
    ),
    Setting(
        torch.get_num_threads,
        torch.set_num_threads,
        "sets torch's number of threads for the whole notebook; leave it as it is",
    ),
    Setting(
        torch.get_float32_matmul_precision,
        torch.set_float32_matmul_precision,
        "sets the precision of torch's matrix products for the whole notebook; leave it as it is",
    ),
    Setting(
        _printing,
        _put_printing,
        "sets how torch or NumPy print numbers in the whole notebook; format what you print instead",
        slow=True,
    ),
    Setting(
        np.geterr,
        lambda kept: np.seterr(**kept),
        "silences NumPy's errors in the whole notebook; write `with np.errstate(…):` around the line",
    ),
    Setting(
        _rc_params,
        _put_rc_params,
        "sets Matplotlib's rcParams for the whole notebook; leave the style as it is",
        by_import=True,
        slow=True,
    ),
    Setting(
        lambda: list(warnings.filters),
        _put_filters,
        "changes which warnings the whole notebook shows; write `with warnings.catch_warnings():` instead",
        by_import=True,
    ),
    Setting(_folder, _put_folder, "changes the working directory of the whole notebook; give full paths"),
    Setting(
        sys.getrecursionlimit,
        sys.setrecursionlimit,
        "sets Python's recursion limit for the whole notebook; write a loop instead",
    ),
    Setting(
        os.environ.copy,
        _put_environment,
        "sets an environment variable of the whole notebook; leave the environment as it is",
        by_import=True,
        slow=True,
    ),
    Setting(
        lambda: list(sys.path),
        _put_path,
        "changes where the whole notebook looks for modules (sys.path); leave it as it is",
        by_import=True,
    ),
    Setting(_streams, _put_streams, "sends the notebook's output elsewhere (sys.stdout); leave it as it is"),
    Setting(gc.isenabled, _put_collector, "switches Python's garbage collector for the whole notebook"),
    Setting(
        sys.getswitchinterval,
        sys.setswitchinterval,
        "sets how often Python switches between threads; leave it as it is",
    ),
)


def mark_generators() -> None:
    """Make a later seeding of a global generator visible: to be called with their states kept elsewhere.

    torch's numbers stay the same; NumPy and Python begin at a fixed place.
    """
    mark_torch()
    np.random.seed(MARK % 2**32)
    random.seed(MARK)


def mark_torch() -> None:
    """Write the mark into torch's generator where its seed is noted; the numbers that it draws do not
    change."""
    if torch.initial_seed() != MARK:
        state = torch.get_rng_state()
        state[:8] = torch.from_numpy(np.frombuffer(MARK.to_bytes(8, sys.byteorder), np.uint8).copy())
        torch.set_rng_state(state)


def _follows(after: np.ndarray, before: np.ndarray, rounds: int = 2_000) -> bool:
    """Whether a Mersenne twister with the key `before` gets to the key `after` by drawing (624 words a
    round)."""
    if np.array_equal(after, before):
        return True
    twister = np.random.RandomState()
    twister.set_state(("MT19937", before, 624))
    for _ in range(rounds):
        twister.bytes(4 * 624)
        if np.array_equal(twister.get_state()[1], after):
            return True
    return False


class Settings:
    """A reading of the settings, to compare and put back; `thorough` includes those that take long to read."""

    def __init__(self, thorough: bool):
        self.modules = len(sys.modules)
        self.settings = [setting for setting in SETTINGS if thorough or not setting.slow]
        self.before = [setting.read() for setting in self.settings]
        self.functions = _functions() if thorough else {}

    def put_back(self) -> list[str]:
        """Put back what has changed since the reading; return what to say of each change."""
        said = []
        imported = len(sys.modules) != self.modules
        for place, name in _exchanged(self.functions, _functions() if self.functions else {}, imported):
            setattr(place, name, self.functions[place][name])
            where = f"torch.{place.__name__}" if isinstance(place, type) else place.__name__
            said.append(f"exchanges {where}.{name} for the whole notebook; give your own function a new name")
        for setting, before in zip(self.settings, self.before):
            if setting.read() != before and not (setting.by_import and imported):
                setting.write(before)
                said.append(setting.says)
        return said


def seeded_torch() -> list[str]:
    """What to say of who has seeded torch since `mark_torch`; draws are nobody's fault."""
    return [] if torch.initial_seed() == MARK else [SEEDS.format("torch.manual_seed")]


def seeded_others() -> list[str]:
    """What to say of who has seeded NumPy's or Python's global generator since `mark_generators`."""
    begin = np.random.RandomState(MARK % 2**32).get_state()[1]
    if not _follows(np.random.get_state()[1], begin):
        return [SEEDS.format("np.random.seed")]
    begin, now = random.Random(MARK).getstate(), random.getstate()
    keys = (np.array(state[1][:-1], dtype=np.uint32) for state in (now, begin))
    return [] if _follows(*keys) else [SEEDS.format("random.seed")]


SEEDS = (
    "seeds the random numbers of the whole notebook ({}): from then on every call and the next cell draw the "
    "same ones again; draw from the generator that you are given, or do not seed"
)


def sentence(said: list[str], subject: str = "your function") -> str:
    """What is said of traces on the process, in one sentence; empty if there are none."""
    return f"{subject} {'; it also '.join(said)}. (It has been put back.)" if said else ""


def snapshot(value: Any) -> Any:
    """What an argument is before the call, to compare with later: numbers, and torch's notes about them."""
    if isinstance(value, torch.Tensor):
        grad = None if not value.is_leaf or value.grad is None else value.grad.detach().clone()
        return value.detach().clone(), value.requires_grad, value.grad_fn, grad
    if isinstance(value, np.ndarray):
        return value.copy()
    if isinstance(value, torch.Generator):
        return value.initial_seed()
    if isinstance(value, torch.nn.Module):
        parts = {name: snapshot(part) for name, part in value.named_parameters()}  # batch norm moves buffers
        return parts, [module.training for module in value.modules()]
    if isinstance(value, list | tuple):
        return [(part, snapshot(part)) for part in value]
    if isinstance(value, dict):
        return {key: (part, snapshot(part)) for key, part in value.items()}
    return None


IN_PLACE = "your function changes its argument in place (+=, mul_, …); make a new tensor instead."


def trace(value: Any, before: Any) -> str:
    """The first trace that a call left on one argument, as a hint; empty if there is none."""
    if isinstance(value, torch.Tensor):
        return _tensor_trace(value, before)
    if isinstance(value, np.ndarray):
        return "" if _same(value, before) else IN_PLACE
    if isinstance(value, torch.Generator):
        seeds = "your function seeds the generator that it is given: only draw from it."
        return "" if value.initial_seed() == before else seeds
    if isinstance(value, torch.nn.Module):
        if [m.training for m in value.modules()] != before[1]:
            return "your function switches its network between train() and eval(): leave the mode as it was."
        return next((hint for n, part in value.named_parameters() if (hint := trace(part, before[0][n]))), "")
    if isinstance(value, list | tuple | dict):
        now = value if isinstance(value, dict) else dict(enumerate(value))
        then = before if isinstance(before, dict) else dict(enumerate(before))
        if list(now) != list(then) or any(now[key] is not then[key][0] for key in now):
            return f"your function changes the {type(value).__name__} that it is given; make a new one."
        return next((hint for key, part in now.items() if (hint := trace(part, then[key][1]))), "")
    return ""


def undo(value: Any, before: Any) -> None:
    """Give a tensor or array back what it was: a check may be made of it, and be run again."""
    if isinstance(value, np.ndarray):
        with contextlib.suppress(ValueError):  # another shape, or read-only
            value[...] = before
    elif isinstance(value, torch.Tensor):
        numbers, required, _, grad = before
        if value.shape == numbers.shape:
            value.data.copy_(numbers)  # into the memory that it may share with others
        else:
            value.data = numbers
        if value.is_leaf:
            value.requires_grad_(required)
            value.grad = grad
    elif isinstance(value, torch.nn.Module):
        for name, part in value.named_parameters():
            undo(part, before[0][name])
    elif isinstance(value, list | tuple):
        for part, then in before:
            undo(part, then)


def _tensor_trace(value: torch.Tensor, before: tuple) -> str:
    numbers, required, graph, grad = before
    if not _same(value, numbers):
        return IN_PLACE
    if value.requires_grad and not required:
        return (
            "your function switches requires_grad on in its argument; work on a fresh one: "
            "x.detach().requires_grad_()."
        )
    if value.grad_fn is not graph or value.requires_grad != required:
        return "your function cuts its argument out of its graph (detach_, requires_grad_): use x.detach()."
    now = value.grad if value.is_leaf else None
    if (now is None) != (grad is None) or (now is not None and not _same(now, grad)):
        return (
            "your function leaves a gradient behind in an argument's .grad (.backward()): take "
            "torch.autograd.grad(…), which returns it."
        )
    return ""


def _same(a: Any, b: Any) -> bool:
    """Whether two tensors or arrays have the same shape, dtype and numbers, NaN being like NaN."""
    return a.shape == b.shape and a.dtype == b.dtype and bool(((a == b) | ((a != a) & (b != b))).all())
