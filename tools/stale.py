"""Which notebooks must be rebuilt, and why; and whether sources, notebooks and references agree."""

from pathlib import Path

from tools import exercises, notebook
from tools.execute import file_hash, run_hash
from tools.outputs import clean, execution_problems
from tools.source import Lesson, LessonError, Places, find, read


def reasons(lesson: Lesson, places: Places) -> list[str]:
    """Return why the notebook of `lesson` must be rebuilt; an empty list means that it is up to date."""
    path = places.notebook(lesson)
    if not path.is_file():
        return ["it has not been built yet"]
    built = notebook.load(path)
    course = built.metadata.get("course", {})
    found = []
    if notebook.edited_by_hand(path):
        found.append("it was edited by hand (move the edit to its source; --force overwrites it)")
    if course.get("source") != notebook.digest(lesson.text):
        found.append(f"lessons/{lesson.slug}.py changed")
    elif notebook.identity(notebook.assemble(lesson, places.root)) != notebook.identity(built):
        found.append("the builder, the version or the address in pyproject.toml changed")
    if "measured" not in course or execution_problems(built):
        found.append("it was not executed top to bottom without an error")
    found += changed(course.get("measured", {}), places)
    return found


def changed(measured: dict, places: Places) -> list[str]:
    """Return which of the package's files and of the runs that an execution used are no longer what they were."""
    found = []
    for name, old in measured.get("package", {}).items():
        file = places.root / name
        if not file.is_file() or file_hash(file) != old:
            found.append(f"{name} {'changed' if file.is_file() else 'is gone'}")
    for name, old in measured.get("runs", {}).items():
        folder = places.root / "data" / "runs" / name
        if not folder.is_dir() or run_hash(folder) != old:
            found.append(f"run {name} {'changed' if folder.is_dir() else 'is gone'}")
    return found


def keep_outputs(built, old, places: Places) -> bool:
    """Give `built` the outputs of the `old` notebook if nothing but prose has changed; return whether it did.

    All code cells must be the same in the same order, executed without an error, with the same package and runs.
    """
    measured = old.metadata.get("course", {}).get("measured")
    pairs = [[cell for cell in book.cells if cell.cell_type == "code"] for book in (built, old)]
    same = [[(cell.id, cell.source) for cell in cells] for cells in pairs]
    if not measured or same[0] != same[1] or execution_problems(old) or changed(measured, places):
        return False
    for cell, before in zip(*pairs, strict=True):
        cell.execution_count = before.execution_count
        cell.outputs = clean(before.outputs, "quiet" in cell.metadata.get("tags", ()))
    built.metadata.course["measured"] = measured
    return True


def disagreements(places: Places, names: list[str] | None = None) -> list[str]:
    """Return where notebooks or reference modules are not what the sources build; nothing is executed.

    Without `names` it also lists notebooks and references that no lesson builds.
    """
    found, expected = [], set()
    for path in find(places, names):
        try:
            lesson = read(path)
            wanted = notebook.assemble(lesson, places.root)
            reference = exercises.reference_module(lesson, exercises.find(lesson))
        except LessonError as error:
            found.append(str(error))
            expected |= {places.notebooks / f"{path.stem}.ipynb"}
            continue
        target = places.notebook(lesson)
        expected |= {target, *([places.reference(lesson)] if reference else [])}
        if not target.is_file():
            found.append(f"notebooks/{target.name} has not been built.")
        elif notebook.identity(notebook.load(target)) != notebook.identity(wanted):
            found.append(f"notebooks/{target.name} is not what lessons/{path.name} builds.")
        if reference is not None and _text(places.reference(lesson)) != reference:
            found.append(f"{places.reference(lesson).name} is not what lessons/{path.name} builds.")
    if not names:
        built = [*places.notebooks.glob("*.ipynb"), *places.references.glob("ref_*.py")]
        found += [f"{path.name} has no lesson: delete it." for path in sorted(set(built) - expected)]
    return found


def _text(path: Path) -> str | None:
    return path.read_text(encoding="utf-8").replace("\r\n", "\n") if path.is_file() else None
