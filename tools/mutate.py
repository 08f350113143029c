"""Mutants of the references: does each exercise's check notice a single slip? `python tasks.py mutate NN`.

A mutant is a reference with one thing changed: an operator, a constant, a comparison, a call left out, two
arguments exchanged, a keyword such as dim= or keepdim= dropped. One that passes its check is a survivor: the
check has a gap, or the mutant means the same. The latter stand, with the reason, in
tests/checks/equivalent_mutants.py.
"""

import ast
import importlib
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from course_utils import checks
from course_utils.checks import machinery
from course_utils.system.folders import ROOT

REFERENCES = ROOT / "course_utils" / "checks" / "references"
SECONDS = 5  # for a check of a mutant, which may never end
OPERATORS = {
    ast.Add: [ast.Sub],
    ast.Sub: [ast.Add],
    ast.Mult: [ast.Div],
    ast.Div: [ast.Mult],
    ast.FloorDiv: [ast.Div],
    ast.Mod: [ast.FloorDiv],
    ast.Pow: [ast.Mult],
    ast.MatMult: [ast.Mult],
    ast.BitAnd: [ast.BitOr],
    ast.BitOr: [ast.BitAnd],
    ast.Lt: [ast.LtE, ast.Gt],
    ast.LtE: [ast.Lt, ast.GtE],
    ast.Gt: [ast.GtE, ast.Lt],
    ast.GtE: [ast.Gt, ast.LtE],
    ast.Eq: [ast.NotEq],
    ast.NotEq: [ast.Eq],
    ast.And: [ast.Or],
    ast.Or: [ast.And],
}
NAMES = {
    **{"sum": "mean", "mean": "sum", "min": "max", "max": "min", "amin": "amax", "amax": "amin"},
    **{"argmin": "argmax", "argmax": "argmin", "square": "abs", "abs": "square", "sqrt": "square"},
    **{"log": "log2", "log10": "log", "exp": "exp2", "log1p": "log", "floor": "ceil", "ceil": "floor"},
    **{"zeros": "ones", "ones": "zeros", "zeros_like": "ones_like", "ones_like": "zeros_like"},
    **{"randn": "rand", "rand": "randn", "randn_like": "rand_like", "rand_like": "randn_like"},
    **{"repeat": "repeat_interleave", "repeat_interleave": "repeat", "std": "var", "var": "std"},
    **{"softmax": "log_softmax", "log_softmax": "softmax", "sigmoid": "tanh", "sin": "cos", "cos": "sin"},
    **{"cumsum": "cumprod", "cumprod": "cumsum", "any": "all", "all": "any", "median": "mean"},
}
"""What is easily written for the other: attributes and functions."""


@dataclass(frozen=True)
class Mutant:
    """One mutant of an exercise's reference: the statement `before`, and what became of it."""

    exercise: str
    before: str
    after: str
    source: str

    def function(self):
        """Return the mutated function. Raises what its definition raises."""
        namespace: dict = {"__name__": "mutant"}
        exec(compile(self.source, f"<mutant of {self.exercise}>", "exec"), namespace)
        return namespace["REFERENCES"][self.exercise]


def _of_binary(node: ast.BinOp) -> Iterator[ast.AST]:
    for other in OPERATORS.get(type(node.op), []):
        yield ast.BinOp(node.left, other(), node.right)
    if isinstance(node.op, ast.Sub | ast.Div | ast.MatMult | ast.Pow):
        yield ast.BinOp(node.right, node.op, node.left)


def _of_compare(node: ast.Compare) -> Iterator[ast.AST]:
    for other in OPERATORS.get(type(node.ops[0]), []):
        yield ast.Compare(node.left, [other(), *node.ops[1:]], node.comparators)


def _of_constant(node: ast.Constant) -> Iterator[ast.AST]:
    if isinstance(node.value, bool):
        yield ast.Constant(not node.value)
    elif isinstance(node.value, int):
        yield from (ast.Constant(node.value + 1), ast.Constant(node.value - 1))
    elif isinstance(node.value, float):
        yield from (ast.Constant(2 * node.value or 1.0), ast.Constant(0.5 * node.value or -1.0))


def _of_call(node: ast.Call) -> Iterator[ast.AST]:
    of_object = isinstance(node.func, ast.Attribute) and not (
        isinstance(node.func.value, ast.Name) and node.func.value.id in ("torch", "F", "np", "math", "cu")
    )
    if of_object:
        yield node.func.value
    elif node.args:
        yield node.args[0]
    for k in range(len(node.args) - 1):
        turned = [*node.args[:k], node.args[k + 1], node.args[k], *node.args[k + 2 :]]
        yield ast.Call(node.func, turned, node.keywords)
    for word in node.keywords:
        yield ast.Call(node.func, node.args, [other for other in node.keywords if other is not word])


def _of_slice(node: ast.Slice) -> Iterator[ast.AST]:
    for part in ("lower", "upper", "step"):
        if getattr(node, part) is not None:
            yield ast.Slice(**{**dict(ast.iter_fields(node)), part: None})


def variants(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what may stand for `node` by a single slip."""
    kinds = {
        ast.BinOp: _of_binary,
        ast.Compare: _of_compare,
        ast.Constant: _of_constant,
        ast.Call: _of_call,
        ast.Slice: _of_slice,
    }
    yield from kinds.get(type(node), lambda _: ())(node)
    if isinstance(node, ast.UnaryOp):
        yield node.operand
    elif isinstance(node, ast.BoolOp):
        yield ast.BoolOp(OPERATORS[type(node.op)][0](), node.values)
    elif isinstance(node, ast.Attribute) and node.attr in ("T", "mT"):
        yield node.value
    elif isinstance(node, ast.Attribute) and node.attr in NAMES:
        yield ast.Attribute(node.value, NAMES[node.attr], node.ctx)
    elif isinstance(node, ast.IfExp):
        yield from (node.body, node.orelse)
    elif isinstance(node, ast.If):
        yield ast.If(ast.UnaryOp(ast.Not(), node.test), node.body, node.orelse)
    elif isinstance(node, ast.AugAssign):
        yield from (ast.Pass(), ast.Assign([node.target], node.value, lineno=node.lineno))
        for other in OPERATORS.get(type(node.op), []):
            yield ast.AugAssign(node.target, other(), node.value)
    elif isinstance(node, ast.Expr) and not isinstance(node.value, ast.Constant):
        yield ast.Pass()
    elif isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple):
        first, second, *rest = node.value.elts
        yield ast.Return(ast.Tuple([second, first, *rest], ast.Load()))


def _slots(node: ast.AST) -> Iterator[tuple[ast.AST, str, int | None]]:
    """Every place below `node` where a node stands: (parent, field, index in a list or None)."""
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "decorator_list"):
            continue
        for place, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if isinstance(child, ast.AST):
                yield node, field, place
                yield from _slots(child)


def _put(slot: tuple, node: ast.AST) -> ast.AST:
    """Set what stands in a slot; return what stood there."""
    parent, field, place = slot
    if place is None:
        before = getattr(parent, field)
        setattr(parent, field, node)
    else:
        before = getattr(parent, field)[place]
        getattr(parent, field)[place] = node
    return before


def _lines(text: str) -> list[str]:
    """Source as lines without their indentation."""
    return [line.strip() for line in text.splitlines() if line.strip()]


def _changed(before: list[str], after: list[str]) -> tuple[str, str]:
    """The first statement that differs, as it was and as it is; empty where there is none any more."""
    return next((pair for pair in zip_longest(before, after, fillvalue="") if pair[0] != pair[1]), ("", ""))


def mutants(module: ast.Module) -> list[Mutant]:
    """Return the mutants of all references of a module, each once; the module is left as it was."""
    functions = {node.name: node for node in module.body if isinstance(node, ast.FunctionDef)}
    (table,) = (node for node in module.body if isinstance(node, ast.Assign) and _name(node) == "REFERENCES")
    found: dict[tuple[str, str], Mutant] = {}
    for key, value in zip(table.value.keys, table.value.values):
        function = functions[value.id]
        before = ast.unparse(function)
        others = ast.unparse(ast.Module([n for n in module.body if n not in (function, table)], []))
        for slot in list(_slots(function)):
            standing = _put(slot, None)
            for other in variants(standing):
                _put(slot, other)
                after = ast.unparse(function)
                if after != before and (key.value, after) not in found:
                    change = _changed(_lines(before), _lines(after))
                    source = "\n".join([others, after, ast.unparse(table)])
                    found[key.value, after] = Mutant(key.value, *change, source)
            _put(slot, standing)
    return list(found.values())


def _name(node: ast.Assign) -> str:
    return getattr(node.targets[0], "id", "")


def of_lesson(lesson: str) -> list[Mutant]:
    """Return the mutants of a lesson's references. Raises FileNotFoundError for an unknown lesson."""
    path = REFERENCES / f"ref_{lesson}.py"
    return mutants(ast.parse(path.read_text(encoding="utf-8")))


def survives(mutant: Mutant) -> bool:
    """Whether a mutant passes the check of its exercise."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            function = mutant.function()
        except Exception:
            return False
        kept, machinery.SECONDS = machinery.SECONDS, SECONDS
        try:
            return checks.evaluate(mutant.exercise, function).status == "passed"
        finally:
            machinery.SECONDS = kept


def excused(mutant: Mutant) -> bool:
    """Whether tests/checks/equivalent_mutants.py says why this mutant may pass."""
    listed = importlib.import_module("tests.checks.equivalent_mutants")
    same = listed.EQUIVALENT.get(mutant.exercise, {}).values()
    return mutant.exercise in listed.FREE or any(mutant.after in statements for statements in same)


def unexplained(some: list[Mutant]) -> list[Mutant]:
    """Return the survivors among `some` that no one has shown to be equivalent."""
    return [mutant for mutant in some if not excused(mutant) and survives(mutant)]


def main(arguments: list[str]) -> int:
    """Judge the mutants of the lessons named, or of all; print the survivors."""
    lessons = arguments or sorted(path.stem.removeprefix("ref_") for path in REFERENCES.glob("ref_*.py"))
    left = 0
    for lesson in lessons:
        if not (REFERENCES / f"ref_{lesson}.py").exists():
            print(f"There is no lesson {lesson!r} with exercises.")
            return 2
        every = of_lesson(lesson)
        bad = unexplained(every)
        left += len(bad)
        print(f"{lesson}: {len(every)} mutants, {len(bad)} survive without a reason", flush=True)
        for mutant in bad:
            print(f"  {mutant.exercise}: {mutant.before}  →  {mutant.after}")
    if left:
        print("Make the check notice each, or say in tests/checks/equivalent_mutants.py why it is the same.")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
