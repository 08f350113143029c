"""Load named functions of a lesson's source without running the lesson: semantic tests test what readers
read."""

import ast
from types import SimpleNamespace

from course_utils.system.folders import ROOT


def load(lesson: str, *names: str, **namespace) -> SimpleNamespace:
    """Return the named top-level functions, classes and assignments of lesson "03", solutions included.

    The lesson's imports are executed, nothing else of it. `namespace` stands in for globals that the
    functions read (another function under its checked name, say). Raises LookupError for a name that the
    lesson does not define.
    """
    (path,) = (ROOT / "lessons").glob(f"{lesson}_*.py")
    wanted, body = set(names), []
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            body.append(node)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name in wanted:
            body.append(node)
            wanted.discard(node.name)
        elif isinstance(node, ast.Assign):
            targets = {
                name.id for target in node.targets for name in ast.walk(target) if isinstance(name, ast.Name)
            }
            if targets & wanted:
                body.append(node)
                wanted -= targets
    if wanted:
        raise LookupError(f"{path.name} does not define {', '.join(sorted(wanted))} at top level.")
    scope = dict(namespace)
    exec(compile(ast.Module(body, type_ignores=[]), str(path), "exec"), scope)
    return SimpleNamespace(**{name: scope[name] for name in names})
