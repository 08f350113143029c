"""House rules that a machine can check: docstrings, dependencies, hygiene, and that the commands exist."""

import ast
import re
import subprocess
import tomllib

from course_utils.system.folders import ROOT

GENERATED = re.compile(r"(references/ref|lessons/lesson)_\w+\.py$")
PACKAGE = sorted(p for p in (ROOT / "course_utils").rglob("*.py") if not GENERATED.search(p.as_posix()))
MAINTAINED = [*PACKAGE, *sorted((ROOT / "tools").rglob("*.py")), ROOT / "tasks.py"]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def tracked():
    """Files under version control, or every file where there is no git."""
    listing = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True
    ).stdout.split("\0")
    return [ROOT / name for name in listing if name and (ROOT / name).is_file()]


def test_nothing_is_long_out_of_habit():
    """Short modules and functions are a habit, not a quota: these limits only stop what nobody would read."""
    found = []
    for path in MAINTAINED:
        source = path.read_text()
        if len(source.splitlines()) > 450:
            found.append(f"{path.relative_to(ROOT)} has {len(source.splitlines())} lines")
        for node in ast.walk(ast.parse(source)):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            place = f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
            if node.end_lineno - node.lineno >= 60:
                found.append(f"{place} has {node.end_lineno - node.lineno + 1} lines")
            if len(node.args.posonlyargs + node.args.args) > 7:
                found.append(f"{place} takes more than seven parameters before the keyword-only ones")
    assert not found


def test_everything_public_is_documented():
    found = []
    for path in PACKAGE:
        tree = ast.parse(path.read_text())
        if not ast.get_docstring(tree):
            found.append(f"{path.relative_to(ROOT)}")
        checks = path.name.startswith("lesson_")  # a check explains itself by its hints
        for node in tree.body:
            public = isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
            if public and not checks and not ast.get_docstring(node):
                found.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name}")
    assert not found


def test_there_is_one_list_of_dependencies():
    environment = (ROOT / "environment.yml").read_text()
    assert "-e ." in environment and "torch" not in environment


def test_constraints_cover_the_direct_dependencies_without_local_tags():
    pins = dict(
        line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line
    )
    pins = {name.lower().replace("_", "-"): version for name, version in pins.items()}
    project = PROJECT["project"]
    for requirement in [*project["dependencies"], *project["optional-dependencies"]["dev"]]:
        assert re.match(r"[\w-]+", requirement)[0].lower() in pins, requirement
    assert not [version for version in pins.values() if "+" in version]


def test_make_offers_every_task():
    import tasks

    makefile = (ROOT / "Makefile").read_text()
    assert all(re.search(rf"\b{word}\b", makefile) for word in tasks.COMMANDS)


def test_no_absolute_paths_or_secrets():
    paths = r"/home/\w+|/Users/\w+|/work/\w+|/root/"
    hosts = r"pypi\.org|files\.pythonhosted"
    forbidden = re.compile(rf"({paths}|{hosts}|api[_-]?key\s*=)", re.I)
    mine = (ROOT / "tests" / "tools" / "test_house.py").resolve()
    text = [
        p
        for p in tracked()
        if p.suffix in {".py", ".md", ".ipynb", ".toml", ".yml", ".txt", ".json", ".cff", ""}
    ]
    hits = [
        (p.relative_to(ROOT), m[0])
        for p in text
        if p.resolve() != mine
        for m in forbidden.finditer(p.read_text())
    ]
    assert not hits
