"""What a function does, read from its source: the same in a notebook, in a script and under every Python.

Comments, docstrings and layout do not count. Nothing here needs torch. Of a source the syntax tree is
compared and not the text that `ast.unparse` makes of it: Python 3.11 and 3.12 write one f-string with other
quotation marks.
"""

import argparse
import ast
import dataclasses
import dis
import enum
import functools
import hashlib
import inspect
import linecache
import pathlib
import sys
import types
from collections.abc import Mapping

SCALARS = (bool, int, float, complex, str, bytes, type(None))
SIMPLE = (*SCALARS, enum.Enum, range, slice, pathlib.PurePath)
"""What its repr says in full, the same in every process."""
BAGS = (types.SimpleNamespace, argparse.Namespace)
LIBRARIES = ("torch", "numpy", "builtins")
"""What comes from these counts by its name: their source may change without changing what it does."""
MOST = 32
"""A container of more values than these is named as a whole."""
LONG = 160
"""A longer text is cut, and a hash of all of it follows."""
FEW = 8
"""An array of at most so many numbers is written out."""
FUNCTIONS = (types.FunctionType, types.MethodType, functools.partial)
COMPILED = "compiled by Python"
"""So begins what stands for a function without source; it can be compared under one version of Python
only."""
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


def describe(name: str, value, found: dict[str, str], seen: set) -> None:
    """Add to `found` what `value` is: a function, with all that it uses, or a value called `name`.

    Containers, data classes and the reader's own objects are taken apart. What has weights (a module) counts
    by the code of its class, what comes from a library not at all. `seen`: what is described already.
    """
    if value is None:
        return
    if isinstance(value, FUNCTIONS):
        _describe_function(value, found, seen)
        if isinstance(value, types.MethodType):
            describe(f"{name}, its object", value.__self__, found, seen)
        return
    text = _text_of(value)
    if text is not None:
        _add(found, name, text if len(text) <= LONG else f"{text[: LONG // 2]} …, {short(text)}")
    elif ("at", id(value)) not in seen:
        seen.add(("at", id(value)))
        kind = value if isinstance(value, type) else type(value)
        if _own(kind):
            describe_class(kind, found, seen)
        _describe_parts(name, value, found, seen)


def _describe_parts(name: str, value, found: dict[str, str], seen: set) -> None:
    """Add what something holds, each part by its name; of many parts one hash.

    Functions in a container (a table of callbacks, say) count by the values that they hold, not by their code.
    """
    held = _parts(name, value) or []
    bag = isinstance(value, Mapping | list | tuple)
    inside: dict[str, str] = {}
    for key, part in held:
        describe(key, part, inside, set(seen) if bag else seen)
    code = {key: text for key, text in inside.items() if key.startswith("code of")}
    if bag:
        inside = {key: text for key, text in inside.items() if key not in code}
        code = {}
    if len(inside) - len(code) > MOST:
        inside = code | {name: f"{len(held):,} entries, {short(repr(sorted(inside.items())))}"}
    for key, text in inside.items():
        _add(found, key, text)


def describe_class(kind: type, found: dict[str, str], seen: set) -> None:
    """Add to `found` the methods and constants of a class and of those it inherits from, libraries excepted."""
    for part in kind.__mro__:
        if is_library(part.__module__) or part in seen:
            continue
        seen.add(part)
        for key, member in list(vars(part).items()):
            function = getattr(member, "fget", None) or getattr(member, "__func__", member)
            if isinstance(function, types.FunctionType):
                if not _is_generated(key, function, part):
                    _describe_function(function, found, seen)
            elif _own(part) and not key.startswith("_" if issubclass(part, enum.Enum) else "__"):
                describe(f"{part.__name__}.{key}", member, found, seen)


def _is_generated(key: str, function: types.FunctionType, kind: type) -> bool:
    """Whether a method was made by `dataclass`, `namedtuple` or Python itself, each version in its own way."""
    inner = inspect.unwrap(function)
    made = hasattr(kind, "__dataclass_fields__") or issubclass(kind, tuple | enum.Enum)
    theirs = is_library(inner.__globals__.get("__name__", ""))
    return key.startswith("__annotate") or (
        made and key.startswith("_") and (theirs or not definitions(inner))
    )


def fingerprint(function: types.FunctionType) -> str:
    """Return a short hash of a function's source, without comments and docstrings.

    Where there is no source (code made by `exec`), return "compiled by Python 3.11, HASH".
    """
    nodes = definitions(function)
    if nodes:
        return short(repr([_plain(node) for node in nodes]))
    version = ".".join(map(str, sys.version_info[:2]))
    return f"{COMPILED} {version}, {short(_compiled(function.__code__))}"


def definitions(function: types.FunctionType) -> list[ast.AST]:
    """Return the syntax tree of a function's definition in a list, which is empty where there is no source.

    Several trees come back where one line holds several lambdas and Python was told to keep no columns.
    """
    code = function.__code__
    if code.co_filename == "<string>":  # exec; some versions know a text of that name, but not this one
        return []
    # Not inspect.getsource: it reads a file anew that was edited since, and gives whole lines for a lambda.
    text = "".join(linecache.getlines(code.co_filename, function.__globals__))
    here = [node for node in _all_definitions(text) if _begins(node) == (code.co_firstlineno, code.co_name)]
    if len(here) < 2:
        return here
    places = [place for place in code.co_positions() if None not in place and place[2] < place[3]]
    if places:
        around = [node for node in here if all(_holds(node.body, place) for place in places)]
    else:  # Python 3.12 has no places for a body that is a constant
        around = [node for node in here if _returns(node) == ascii(code.co_consts[-1:])]
    return around[-1:] or here  # the innermost of them: ast.walk finds what is outside first


@functools.lru_cache(maxsize=32)
def _all_definitions(text: str) -> list[ast.AST]:
    """The definitions of functions in a source; none if it is no Python."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return []
    return [node for node in ast.walk(tree) if isinstance(node, DEFINITIONS)]


def _begins(node: ast.AST) -> tuple[int, str]:
    """The line and the name that the code object of a definition has."""
    if isinstance(node, ast.Lambda):
        return node.lineno, "<lambda>"
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)]), node.name


def _holds(body, place: tuple[int, int, int, int]) -> bool:
    """Whether the body of a definition, an expression or statements, holds (line, last line, column, end)."""
    first, last = (body[0], body[-1]) if isinstance(body, list) else (body, body)
    line, last_line, column, end = place
    starts = (first.lineno, first.col_offset) <= (line, column)
    return starts and (last_line, end) <= (last.end_lineno, last.end_col_offset)


def _returns(node: ast.AST) -> str | None:
    """The constant that a lambda returns, as the interpreter keeps it; None for another definition."""
    if not isinstance(node, ast.Lambda) or any(isinstance(part, ast.Name) for part in ast.walk(node.body)):
        return None
    return ascii(compile(ast.Expression(node.body), "", "eval").co_consts[-1:])


def _plain(node):
    """A syntax tree in nested lists. What only some versions of Python write into a tree is left out."""
    if isinstance(node, list):
        return [_plain(part) for part in node]
    if isinstance(node, ast.Constant):
        return ascii(node.value)
    if not isinstance(node, ast.AST):
        return ascii(node)
    fields = {key: value for key, value in ast.iter_fields(node) if value not in (None, [])}
    may_have_docstring = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    if may_have_docstring and ast.get_docstring(node, clean=False) is not None:
        fields["body"] = node.body[1:]
    if isinstance(node, ast.JoinedStr):
        fields["values"] = [part for part in node.values if getattr(part, "value", None) != ""]
    return [type(node).__name__, *([key, _plain(value)] for key, value in fields.items())]


def _compiled(code: types.CodeType) -> str:
    """What a code object does, as the interpreter sees it; its docstring is one of the constants."""
    constants = []
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            constants.append(_compiled(constant))
        else:
            in_order = sorted(map(ascii, constant)) if isinstance(constant, frozenset) else constant
            constants.append(ascii(in_order))
    return repr((code.co_code.hex(), constants, code.co_names, code.co_varnames))


def _describe_function(function, found: dict[str, str], seen: set) -> None:
    """Add the source of a function and, recursively, the functions and simple values that it uses."""
    if isinstance(function, functools.partial):
        for key, value in [*enumerate(function.args), *function.keywords.items()]:
            describe(f"{key}", value, found, seen)
        function = function.func
    function = getattr(function, "__func__", function)
    if not isinstance(function, types.FunctionType) or function in seen:
        return
    seen.add(function)
    home = function.__globals__.get("__name__", "")
    name = f"`{function.__qualname__.split('<locals>.')[-1]}`"
    if is_library(home):
        inner = getattr(function, "__wrapped__", None)  # a decorator of the library, torch.no_grad() say
        if inner is None:
            _add(found, f"code of {name}", home)
        else:
            _describe_function(inner, found, seen)
        return
    _add(found, f"code of {name}", fingerprint(function))
    for key, value in _used(function, name, home).items():
        describe(key, value, found, seen)


def _used(function: types.FunctionType, name: str, home: str) -> dict:
    """What a function finds in its closure, its defaults and among the globals of its own module."""
    used = {}
    for key, cell in zip(function.__code__.co_freevars, function.__closure__ or ()):
        if cell != types.CellType():  # a name that is not bound yet
            used[key] = cell.cell_contents
    used |= function.__kwdefaults__ or {}
    used |= {f"default {i} of {name}": value for i, value in enumerate(function.__defaults__ or ())}
    for key in sorted(_global_names(function.__code__)):
        value = function.__globals__.get(key)
        if _may_be_a_setting(value) or getattr(value, "__module__", None) == home:
            used.setdefault(key, value)
    return used


def _may_be_a_setting(value) -> bool:
    """Whether a global is a value, and not a function or class of another module, or that module."""
    if isinstance(value, (type, types.ModuleType, *FUNCTIONS)):
        return False
    return _text_of(value) is not None or _parts("", value) is not None


def _global_names(code: types.CodeType) -> set[str]:
    """The global names that code uses, nested functions included; attributes are not among them."""
    names = {i.argval for i in dis.get_instructions(code) if i.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= _global_names(constant)
    return names


def _add(found: dict[str, str], key: str, value: str) -> None:
    """Add an entry; a second one of that name (two lambdas, say) stands beside the first."""
    unique = key
    number = 1
    while found.get(unique, value) != value:
        number += 1
        unique = f"{key} ({number})"
    found[unique] = value


def short(text: str) -> str:
    """Return the first 16 digits of the SHA-256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def is_library(module: str) -> bool:
    """Return whether a module belongs to those libraries, or to Python: its own source differs by version."""
    root = module.split(".")[0]
    return root in LIBRARIES or (root in sys.stdlib_module_names and root != "__main__")


def _text_of(value) -> str | None:
    """Return what a simple value, an array or a tensor is, as text; None for anything else, and for weights,
    which training changes."""
    if isinstance(value, type):
        return None
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return None if getattr(value, "requires_grad", False) else _text_of_array(value)
    if isinstance(value, SIMPLE):
        return repr(value)
    if isinstance(value, set | frozenset):
        texts = [_text_of(entry) for entry in value]
        return None if None in texts else repr(sorted(texts))
    if isinstance(value, tuple | list) and all(isinstance(entry, SCALARS) for entry in value):
        return repr(type(value)([_bare(entry) for entry in value]) if type(value) in (list, tuple) else value)
    return repr(value) if type(value).__name__ in ("dtype", "device") else None


def _parts(name: str, value) -> list[tuple[str, object]] | None:
    """Return what a container or an object holds as [(name, value)]; None for what is not taken apart."""
    if isinstance(value, Mapping):
        return [(f"{name}[{_bare(key)!r}]", part) for key, part in value.items()]
    if isinstance(value, tuple | list):
        return [(f"{name}[{number}]", part) for number, part in enumerate(value)]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [(f"{name}.{field.name}", getattr(value, field.name)) for field in dataclasses.fields(value)]
    if isinstance(value, BAGS) or (_own(type(value)) and not hasattr(value, "state_dict")):
        return attributes(name, value)
    return None


def attributes(name: str, value, leaving_out: tuple = ()) -> list[tuple[str, object]]:
    """Return the attributes of an object as [(name, value)]."""
    held = getattr(value, "__dict__", {})
    return [(f"{name}.{key}", part) for key, part in held.items() if key not in leaving_out]


def _own(kind: type) -> bool:
    """Return whether a class was written by the reader: in a notebook, a script, a file beside them."""
    if is_library(kind.__module__) or kind.__module__.split(".")[0] == "course_utils":
        return False
    file = getattr(sys.modules.get(kind.__module__), "__file__", None) or ""
    return "site-packages" not in file and "dist-packages" not in file


def _bare(value):
    """A number of NumPy's as one of Python's."""
    return value.item() if hasattr(value, "dtype") and getattr(value, "shape", None) == () else value


def _text_of_array(value) -> str:
    """A number as it is, a small array with its numbers, a large one by its shape, type and a hash."""
    if tuple(value.shape) == ():
        return repr(value.item())
    dtype = str(value.dtype).removeprefix("torch.")
    if (
        all(isinstance(side, int) for side in value.shape)
        and 0 < value.shape[0] <= FEW
        and len(value.shape) == 1
    ):
        return f"{value.tolist()} {dtype}"
    return f"{tuple(value.shape)} {dtype}, {_hash(value)}"


def _hash(array) -> str:
    import numpy as np
    import torch

    if isinstance(array, torch.Tensor):
        if array.layout is not torch.strided or array.device.type == "meta":
            return "of a kind that is not compared"
        array = array.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
    array = np.asarray(array)
    if array.dtype.hasobject:
        return hashlib.sha256(repr(array.tolist()).encode()).hexdigest()[:8]
    return hashlib.sha256(np.ascontiguousarray(array)).hexdigest()[:8]
