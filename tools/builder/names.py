"""Names in a cell of code: what it binds, what it reads at once, what its functions read later."""

import ast
import symtable

INNER = "_inner_"


def imports(tree: ast.Module) -> list[ast.alias]:
    """Return everything `tree` imports, with full dotted names ("torch.nn.functional")."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += node.names
        elif isinstance(node, ast.ImportFrom):
            found += [ast.alias(f"{node.module}.{alias.name}", alias.asname) for alias in node.names]
    return found


def import_statements(trees: list[ast.Module]) -> dict[str, str]:
    """Return {name: import statement} of everything that the cells `trees` import at top level."""
    found = {}
    for tree in trees:
        for node in tree.body:
            if isinstance(node, ast.Import):
                for alias in node.names:
                    found[alias.asname or alias.name.split(".")[0]] = ast.unparse(ast.Import([alias]))
            elif isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    one = ast.ImportFrom(node.module, [alias], node.level)
                    found[alias.asname or alias.name] = ast.unparse(one)
    return found


def free_names(source: str) -> set[str]:
    """Return the global names that `source` refers to anywhere: bodies, decorators, defaults, annotations."""
    return read_at_once(source) | read_later(source)


def read_at_once(source: str) -> set[str]:
    """Return the global names that are needed the moment `source` runs."""
    return _read(_table(source), later=False)


def read_later(source: str) -> set[str]:
    """Return the global names that are needed only when a function of `source` is called."""
    return _read(_table(source), later=True)


def _read(table: symtable.SymbolTable, later: bool, inside: bool = False) -> set[str]:
    """Walk the scopes. A class body and a comprehension run at once, a function's and a lambda's body
    later."""
    inside = inside or (table.get_type() == "function" and not table.get_name().endswith(("comp", "genexpr")))
    found = set()
    if inside == later:
        for symbol in table.get_symbols():
            if symbol.is_referenced() and (symbol.is_global() or table.get_type() == "module"):
                found.add(symbol.get_name())
    for child in table.get_children():
        found |= _read(child, later, inside)
    return found - {INNER}


def bound(source: str) -> set[str]:
    """Return the global names that `source` binds: assignments, definitions, imports, loops, `global`."""
    found = set()

    def visit(table: symtable.SymbolTable) -> None:
        for symbol in table.get_symbols():
            binds = symbol.is_assigned() or symbol.is_imported()
            if binds and (table.get_type() == "module" or symbol.is_declared_global()):
                found.add(symbol.get_name())
        for child in table.get_children():
            visit(child)

    visit(_table(source))
    return found - {INNER}


def _table(source: str) -> symtable.SymbolTable:
    """Return the scopes of a cell, with the variables of comprehensions renamed to INNER.

    From Python 3.12 on they would count as names of the scope around them.
    """
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
            targets = [part for loop in node.generators for part in ast.walk(loop.target)]
            own = {part.id for part in targets if isinstance(part, ast.Name)}
            outside = {
                id(part) for part in ast.walk(node.generators[0].iter)
            }  # evaluated in the scope around
            for part in ast.walk(node):
                if isinstance(part, ast.Name) and part.id in own and id(part) not in outside:
                    part.id = INNER
    return symtable.symtable(ast.unparse(tree), "<cell>", "exec")


def row_of(tree: ast.Module, name: str) -> int:
    """Return the row (from 0) where `name` is first mentioned in a cell."""
    rows = [node.lineno - 1 for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == name]
    return min(rows, default=0)
