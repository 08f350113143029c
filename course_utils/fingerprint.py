"""What a training call is: architecture, hyperparameters and the source of its loss, so that a change is noticed."""

import bisect
import dis
import functools
import hashlib
import types

import torch
from torch import nn

SCALARS = (bool, int, float, str, bytes, type(None))
SILENT = ("CACHE", "EXTENDED_ARG", "NOP", "PRECALL", "PUSH_NULL", "RESUME")  # they prepare for the interpreter


def identify(step, state: dict, **settings) -> dict[str, str]:
    """Return the fingerprint of a training call as a dict from what it is to its value.

    `step`: the function called for each batch; its code counts, and that of the functions and simple values it
    uses: defaults, closures, globals of its own module. `state`: the modules, optimisers, … that are saved.
    `settings`: further values. Comments, docstrings and formatting do not count.
    """
    found = {key: repr(value) for key, value in settings.items()}
    for name, part in state.items():
        _describe_part(name, part, found)
    _describe_function(step, found, set())
    return found


def differences(old: dict[str, str], new: dict[str, str]) -> list[str]:
    """Return one line for each thing in which two fingerprints differ."""
    lines = []
    for key in sorted({*old, *new}):
        before, now = old.get(key), new.get(key)
        if before == now:
            continue
        if key.startswith("code of"):
            change = "changed" if before and now else "is new" if now else "is not used any more"
            lines.append(f"the {key} {change}")
        else:
            lines.append(f"{key}: {before or 'absent'} → {now or 'absent'}")
    return lines


def _describe_part(name: str, part, found: dict) -> None:
    """Add what one saved object is, without what training changes in it."""
    if isinstance(part, nn.Module):
        for key, value in part.state_dict().items():
            found[f"{name}.{key}"] = f"{tuple(value.shape)} {value.dtype}"
        found[f"{name}, its layers"] = _short(repr(part))
        for kind in {type(module) for module in part.modules()}:
            if not kind.__module__.startswith("torch."):
                found[f"code of {kind.__qualname__}"] = _class_code(kind)
    elif isinstance(part, torch.optim.Optimizer):
        found[f"{name}, its kind"] = type(part).__name__
        for i, group in enumerate(part.param_groups):
            options = {k: v for k, v in group.items() if k not in ("params", "initial_lr")}
            options["lr"] = group.get("initial_lr", group["lr"])
            for key, value in options.items():
                found[f"{name}, {key}" + (f" of group {i}" if i else "")] = str(value)
    elif isinstance(part, torch.optim.lr_scheduler.LRScheduler):
        found[f"{name}, its kind"] = type(part).__name__
        for function in getattr(part, "lr_lambdas", []):
            _describe_function(function, found, set())
    else:
        found[f"{name}, its kind"] = type(part).__name__
        if hasattr(part, "decay"):
            found[f"{name}, its decay"] = repr(part.decay)


def _describe_function(function, found: dict, seen: set) -> None:
    """Add the code of a function and, recursively, the functions and simple values that it uses."""
    if isinstance(function, functools.partial):
        for key, value in [*enumerate(function.args), *function.keywords.items()]:
            _describe_value(f"{key}", value, found, seen)
        function = function.func
    function = getattr(function, "__func__", function)
    if not isinstance(function, types.FunctionType) or function in seen:
        return
    seen.add(function)
    home = function.__module__ or ""
    if home.split(".")[0] in ("torch", "numpy"):
        found[f"code of {_name(function)}"] = home
        return
    closure = zip(function.__code__.co_freevars, function.__closure__ or ())
    values = {name: cell.cell_contents for name, cell in closure if _filled(cell)}
    if home != "course_utils.train":  # fit's own code may be improved at any time; what it was given counts
        found[f"code of {_name(function)}"] = _code(function.__code__)
        values |= function.__kwdefaults__ or {}
        values |= {f"default {i} of {_name(function)}": v for i, v in enumerate(function.__defaults__ or ())}
        for name in _names(function.__code__):
            value = function.__globals__.get(name)
            if isinstance(value, SCALARS) or getattr(value, "__module__", None) == home:
                values.setdefault(name, value)
    for name, value in values.items():
        _describe_value(name, value, found, seen)


def _describe_value(name: str, value, found: dict, seen: set) -> None:
    if callable(value) and not isinstance(value, nn.Module | type):
        _describe_function(value, found, seen)
        return
    entries = value if isinstance(value, tuple | list) else [value]
    if value is not None and all(isinstance(entry, SCALARS) for entry in entries):
        found[name] = repr(value)


def _name(function) -> str:
    return f"`{function.__qualname__.split('<locals>.')[-1]}`"


def _filled(cell) -> bool:
    try:
        cell.cell_contents  # noqa: B018 - raises for a name that is not bound yet
    except ValueError:
        return False
    return True


def _names(code: types.CodeType) -> set[str]:
    """The global names that code uses, nested functions and comprehensions included; attributes are not among them."""
    inner = [c for c in code.co_consts if isinstance(c, types.CodeType)]
    own = {i.argval for i in dis.get_instructions(code) if i.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    return own.union(*map(_names, inner))


def _code(code: types.CodeType) -> str:
    """A hash of what code does. It is the same for a cell of a notebook and for its place in a script.

    The compiler treats a call of an imported module's function in two ways, depending on whether the import stands in
    the same file or in another cell; both are written as LOAD_ATTR and CALL here. Docstrings are never loaded.
    """
    kept = [i for i in dis.get_instructions(code) if i.opname not in SILENT]
    starts = [i.offset for i in kept]
    jumps = {*dis.hasjrel, *dis.hasjabs}
    lines = []
    for i in kept:
        argument = bisect.bisect_left(starts, i.argval) if i.opcode in jumps else _constant(i.argval)
        lines.append(("LOAD_ATTR" if i.opname == "LOAD_METHOD" else i.opname, argument))
    return _short(repr((lines, code.co_varnames)))


def _constant(value) -> str:
    if isinstance(value, types.CodeType):
        return _code(value)
    return repr(sorted(map(repr, value)) if isinstance(value, frozenset) else value)  # a set has no fixed order


def _class_code(kind: type) -> str:
    functions = [f for f in vars(kind).values() if isinstance(f, types.FunctionType)]
    return _short(repr([(f.__name__, _code(f.__code__)) for f in functions]))


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
