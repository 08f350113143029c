"""The code of a lesson, read from its source: what lesson 07 times is what the lessons teach, written once."""

import ast
import symtable

from course_utils import runtime


class Source:
    """The top-level names of a lesson's source, each executed when it is first asked for, with all that it needs.

    `Source("04").VAE` is the class of lesson 04. `x = cu.check("…", f)` becomes `x = f`, the solution. Raises
    LookupError for a lesson that is not there, AttributeError for a name that the lesson does not define.
    """

    def __init__(self, lesson: str):
        found = sorted((runtime.ROOT / "lessons").glob(f"{lesson}_*.py"))
        if len(found) != 1:
            raise LookupError(f"There is no lesson {lesson} here.")
        self._nodes, self._scope = {}, {"device": runtime.device()}
        for node in ast.parse(found[0].read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Import | ast.ImportFrom):
                exec(_compiled(node), self._scope)
            for name in _names_defined(node):
                self._nodes.setdefault(name, node)

    def __getattr__(self, name: str):
        if name.startswith("__") or (name not in self._scope and name not in self._nodes):
            raise AttributeError(f"The lesson does not define {name!r}.")
        self._define(name)
        return self._scope[name]

    def _define(self, name: str) -> None:
        node = self._nodes.pop(name, None)
        if node is None or name in self._scope:
            return
        solution = _checked_function(node)
        if solution:
            self._define(solution)
            self._scope[name] = self._scope[solution]
            return
        for other in _globals_read(node):
            self._define(other)
        exec(_compiled(node), self._scope)


def _compiled(node):
    return compile(ast.Module([node], type_ignores=[]), "lesson", "exec")


def _names_defined(node) -> set[str]:
    """The names that a top-level statement binds, if it is a definition or an assignment."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.Assign):
        return {part.id for target in node.targets for part in ast.walk(target) if isinstance(part, ast.Name)}
    return set()


def _checked_function(node) -> str | None:
    """The name f in `x = cu.check("…", f)`."""
    call = getattr(node, "value", None)
    if isinstance(call, ast.Call) and ast.unparse(call.func) == "cu.check":
        return ast.unparse(call.args[1])
    return None


def _globals_read(node) -> set[str]:
    """The global names that a statement, or a function in it, reads."""
    found, tables = set(), [symtable.symtable(ast.unparse(node), "lesson", "exec")]
    while tables:
        table = tables.pop()
        tables += table.get_children()
        top = table.get_type() == "module"
        found |= {symbol.get_name() for symbol in table.get_symbols() if top or symbol.is_global()}
    return found
