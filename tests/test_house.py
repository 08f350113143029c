"""House rules that a machine can check: sizes, docstrings, dependencies, hygiene, and that the two commands exist."""

import ast
import re
import subprocess
import tomllib

import pytest

from course_utils.runtime import ROOT

PACKAGE = sorted(p for p in (ROOT / "course_utils").rglob("*.py") if "references" not in p.parts)
MAINTAINED = [*PACKAGE, *sorted((ROOT / "tools").glob("*.py")), ROOT / "tasks.py"]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def tracked():
    """Files under version control, or every file where there is no git."""
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True).stdout.split("\0")
    return [ROOT / name for name in listing if name and (ROOT / name).is_file()]


@pytest.mark.parametrize("path", MAINTAINED, ids=lambda p: str(p.relative_to(ROOT)))
def test_modules_and_functions_are_short(path):
    source = path.read_text()
    assert len(source.splitlines()) <= 300
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno - node.lineno < 40, f"{node.name} is {node.end_lineno - node.lineno + 1} lines long"
            assert len(node.args.posonlyargs + node.args.args) <= 7, node.name


@pytest.mark.parametrize("path", PACKAGE, ids=lambda p: str(p.relative_to(ROOT)))
def test_everything_public_is_documented(path):
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree), "the module has no docstring"
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            checks = path.name.startswith("lesson_")  # a check explains itself by its hints
            assert checks or ast.get_docstring(node), f"{node.name} has no docstring"


def test_there_is_one_list_of_dependencies():
    environment = (ROOT / "environment.yml").read_text()
    assert "-e ." in environment and "torch" not in environment


def test_constraints_cover_the_direct_dependencies_without_local_tags():
    pins = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line)
    pins = {name.lower().replace("_", "-"): version for name, version in pins.items()}
    project = PROJECT["project"]
    for requirement in [*project["dependencies"], *project["optional-dependencies"]["dev"]]:
        assert re.match(r"[\w-]+", requirement)[0].lower() in pins, requirement
    assert not [version for version in pins.values() if "+" in version]


def test_make_offers_every_task():
    import tasks

    makefile = (ROOT / "Makefile").read_text()
    assert all(re.search(rf"\b{word}\b", makefile) for word in tasks.COMMANDS)


def test_sizes_stay_within_the_budget():
    data = sum(path.stat().st_size for path in tracked() if "data" in path.relative_to(ROOT).parts[:1])
    assert data <= 45e6
    assert not [path for path in tracked() if path.suffix == ".ipynb" and path.stat().st_size > 600_000]


def test_no_absolute_paths_or_secrets():
    paths, hosts = r"/home/\w+|/Users/\w+|/work/\w+|/root/", r"pypi\.org|files\.pythonhosted"
    forbidden = re.compile(rf"({paths}|{hosts}|api[_-]?key\s*=)", re.I)
    mine = (ROOT / "tests" / "test_house.py").resolve()
    text = [p for p in tracked() if p.suffix in {".py", ".md", ".ipynb", ".toml", ".yml", ".txt", ".json", ".cff", ""}]
    hits = [(p.relative_to(ROOT), m[0]) for p in text if p.resolve() != mine for m in forbidden.finditer(p.read_text())]
    assert not hits
