"""The house: which room may import which, no circle, and the public name is the folder."""

import ast
import importlib
from pathlib import Path

import course_utils as cu
from course_utils.system.folders import ROOT

PACKAGE = ROOT / "course_utils"
FLOORS = [
    {"system"},
    {"data", "nets"},
    {"plots", "scenes"},
    {"runs"},
    {"widgets"},
    {"train"},
    {"metrics"},
    {"arena", "checks", "lessons"},
    {"start"},
]
"""From the ground up. A room may import from itself and from every floor below."""
LEVEL = {room: level for level, rooms in enumerate(FLOORS) for room in rooms}


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(path: Path) -> set[str]:
    """The course's modules that a file imports, inside functions too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("course_utils"):
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                file = ROOT.joinpath(*name.split("."))
                found.add(name if file.with_suffix(".py").exists() or file.is_dir() else node.module)
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.startswith("course_utils")}
    return found


GENERATED = ("lessons/lesson_", "checks/references/ref_")
"""What the builder copies from lessons says `import course_utils as cu`, as lessons do."""
MODULES = {
    module_of(path): path
    for path in sorted(PACKAGE.rglob("*.py"))
    if not path.relative_to(PACKAGE).as_posix().startswith(GENERATED)
}
IMPORTS = {name: imported(path) for name, path in MODULES.items()}


def room_of(module: str) -> str:
    return module.split(".")[1]


def test_every_room_has_a_floor():
    rooms = {room_of(name) for name in MODULES if name != "course_utils"}
    assert rooms <= set(LEVEL)


def test_no_room_imports_from_a_floor_above():
    upward = [
        f"{name} imports {other}"
        for name, others in IMPORTS.items()
        if name != "course_utils"
        for other in others
        if other == "course_utils" or LEVEL[room_of(other)] > LEVEL[room_of(name)]
        if room_of(other) != room_of(name)
    ]
    assert not upward


def test_rooms_on_one_floor_do_not_import_each_other_in_a_circle():
    rooms = {room: set() for room in LEVEL}
    for name, others in IMPORTS.items():
        if name != "course_utils":
            rooms[room_of(name)] |= {room_of(other) for other in others} - {room_of(name)}
    circles = [f"{a} ⇄ {b}" for a in rooms for b in rooms[a] if a in rooms[b]]
    assert not circles


def test_no_module_imports_itself_through_others():
    state = {}

    def visit(name, path):
        if state.get(name) == "done":
            return
        assert state.get(name) != "open", " → ".join([*path, name])
        state[name] = "open"
        for other in sorted(IMPORTS.get(name, ())):
            if other != name and not is_package_of(other, name):
                visit(other, [*path, name])
        state[name] = "done"

    for name in IMPORTS:
        visit(name, [])


def is_package_of(package: str, module: str) -> bool:
    return module.startswith(f"{package}.")


def test_the_public_name_is_the_folder():
    for name, room in cu._ROOM.items():
        value = getattr(cu, name)
        home = getattr(value, "__module__", None)
        if home:  # POINTS is a dict
            assert home.split(".")[1] == room.split(".")[0], f"cu.{name} comes from {home}, not from {room}"


def test_old_names_of_rooms_still_work():
    assert cu.points.moons is cu.moons
    assert cu.runtime.device is cu.device and cu.runtime.runs_dir().name


def test_importing_the_package_loads_nothing_heavy():
    source = (PACKAGE / "__init__.py").read_text(encoding="utf-8")
    assert {n.names[0].name for n in ast.parse(source).body if isinstance(n, ast.Import)} == {"importlib"}


def test_every_module_can_be_imported_first():
    """No import works only because another one came before: each is resolved through its package alone."""
    for name in MODULES:
        assert importlib.import_module(name).__name__ == name
