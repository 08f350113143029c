"""What a function does, read from its source: the same in a notebook, in a script and under every Python.

Comments, docstrings and layout do not count. Nothing here needs torch. Of a source the syntax tree is
compared and not the text that `ast.unparse` makes of it: Python 3.11 and 3.12 write one f-string with other
quotation marks.
"""

import ast
import dis
import functools
import hashlib
import linecache
import sys
import types

SCALARS = (bool, int, float, str, bytes, type(None))
LIBRARIES = ("torch", "numpy", "builtins")
"""What comes from these counts by its name: their source may change without changing what it does."""
FUNCTIONS = (types.FunctionType, types.MethodType, functools.partial)
COMPILED = "compiled by Python"
"""So begins what stands for a function without source; it can be compared under one version of Python
only."""
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


def describe(name: str, value, found: dict[str, str], seen: set) -> None:
    """Add to `found` what `value` is: a function, with all that it uses, or a simple value called `name`.

    What is neither (a module, an array) is left out. `seen`: the functions that are described already.
    """
    if isinstance(value, FUNCTIONS):
        _describe_function(value, found, seen)
        return
    entries = value if isinstance(value, tuple | list) else [value]
    if value is not None and all(isinstance(entry, SCALARS) for entry in entries):
        _add(found, name, repr(value))


def describe_class(kind: type, found: dict[str, str], seen: set) -> None:
    """Add to `found` the methods of a class and of the classes it inherits from, libraries excepted."""
    for part in kind.__mro__:
        if _is_library(part.__module__):
            continue
        for member in vars(part).values():
            function = getattr(member, "fget", None) or getattr(member, "__func__", member)
            if isinstance(function, types.FunctionType):
                _describe_function(function, found, seen)


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
    around = [node for node in here if places and all(_holds(node.body, place) for place in places)]
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
    if _is_library(home):
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
    values = {}
    for key, cell in zip(function.__code__.co_freevars, function.__closure__ or ()):
        if cell != types.CellType():  # a name that is not bound yet
            values[key] = cell.cell_contents
    values |= function.__kwdefaults__ or {}
    values |= {f"default {i} of {name}": value for i, value in enumerate(function.__defaults__ or ())}
    for key in sorted(_global_names(function.__code__)):
        value = function.__globals__.get(key)
        if isinstance(value, SCALARS) or getattr(value, "__module__", None) == home:
            values.setdefault(key, value)
    return values


def _global_names(code: types.CodeType) -> set[str]:
    """The global names that code uses, nested functions included; attributes are not among them."""
    names = {i.argval for i in dis.get_instructions(code) if i.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= _global_names(constant)
    return names


def _is_library(module: str) -> bool:
    return module.split(".")[0] in LIBRARIES


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
