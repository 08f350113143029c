"""Which notebooks must be rebuilt, and why; and whether sources, notebooks and generated modules agree."""

from pathlib import Path

from tools.builder import exercises, notebook, shared
from tools.builder.execute import code_of
from tools.builder.hashes import cells_hash, file_hash, run_hash, shows_source
from tools.builder.lesson import Lesson, LessonError, Places
from tools.builder.outputs import execution_problems
from tools.builder.source import find, read


def reasons(lesson: Lesson, places: Places) -> list[str]:
    """Return why the notebook of `lesson` must be rebuilt; an empty list means that it is up to date."""
    path = places.notebook(lesson)
    if not path.is_file():
        return ["it has not been built yet"]
    built = notebook.load(path)
    found = []
    if notebook.edited_by_hand(built):
        found.append("it was edited by hand (move the edit to its source; --force overwrites it)")
    elif not agrees(lesson, built, places):
        found.append(f"lessons/{lesson.slug}.py, the builder, or the version in pyproject.toml changed")
    return found + outputs_may_differ(built, notebook.assemble(lesson, places.root), places)


def agrees(lesson: Lesson, built, places: Places) -> bool:
    """Return whether the notebook `built` has the inputs, ids and metadata that the source of `lesson`
    gives."""
    wanted = notebook.assemble(lesson, places.root, measured(built))
    return notebook.identity(wanted) == notebook.identity(built)


def measured(built) -> dict:
    """Return what the last execution of a built notebook measured, or {}."""
    return built.metadata.get("course", {}).get("measured", {})


def outputs_may_differ(built, wanted, places: Places) -> list[str]:
    """Return what changed since `built` was executed that could give the notebook `wanted` other outputs."""
    last = measured(built)
    if not last or execution_problems(built):
        return ["it was not executed top to bottom without an error"]
    found = []
    if last.get("code") != cells_hash(code_of(wanted)):
        found.append("the code of its cells changed")
    found += _changed_files(last.get("package", {}), wanted, places)
    for name, old in last.get("runs", {}).items():
        folder = places.root / "data" / "runs" / name
        if not folder.is_dir() or run_hash(folder) != old:
            found.append(f"run {name} {'changed' if folder.is_dir() else 'is gone'}")
    return found


def may_look_different(built, places: Places) -> list[str]:
    """Return what changed that draws outputs: they say the same, and may look different."""
    return _changed_files(measured(built).get("looks", {}), built, places)


def _changed_files(old: dict, book, places: Places) -> list[str]:
    """Return which files of the package are no longer what they were when their hashes `old` were taken."""
    exact = shows_source(code_of(book))
    found = []
    for name, before in old.items():
        file = places.root / name
        if not file.is_file() or file_hash(file, exact) != before:
            found.append(f"{name} {'changed' if file.is_file() else 'is gone'}")
    return found


def report(path: Path, places: Places) -> str:
    """Return what `tasks.py stale` says of the lesson at `path`."""
    lesson = read(path)
    why = reasons(lesson, places)
    target = places.notebook(lesson)
    looks = may_look_different(notebook.load(target), places) if target.is_file() else []
    text = f"{path.stem}: {'; '.join(why) or 'up to date'}"
    return text + (f" (may look different: {'; '.join(looks)})" if looks else "")


def disagreements(places: Places, names: list[str] | None = None) -> list[str]:
    """Return where notebooks or generated modules are not what the sources build; nothing is executed.

    Without `names` it also lists notebooks and modules that no lesson builds.
    """
    found, expected = [], set()
    for path in find(places, names):
        target = places.notebooks / f"{path.stem}.ipynb"
        expected.add(target)
        try:
            lesson = read(path)
        except LessonError as error:
            found.append(str(error))
            key = path.stem.split("_")[0]
            expected |= {places.references / f"ref_{key}.py", places.taught / f"lesson_{key}.py"}
            continue
        if not target.is_file():
            found.append(f"notebooks/{target.name} has not been built.")
        elif not agrees(lesson, notebook.load(target), places):
            found.append(f"notebooks/{target.name} is not what lessons/{path.name} builds.")
        for file, text in modules(lesson, places).items():
            if text is not None:
                expected.add(file)
                if _text(file) != text:
                    found.append(f"{file.name} is not what lessons/{path.name} builds.")
    if not names:
        built = {*places.notebooks.glob("*.ipynb"), *places.references.glob("ref_*.py")}
        built |= set(places.taught.glob("lesson_*.py"))
        found += [f"{path.name} has no lesson: delete it." for path in sorted(built - expected)]
    return found


def modules(lesson: Lesson, places: Places) -> dict[Path, str | None]:
    """Return the modules generated from `lesson`: path → text, or None where there is to be none."""
    return {
        places.reference(lesson): exercises.reference_module(lesson),
        places.shared(lesson): shared.module(lesson),
    }


def _text(path: Path) -> str | None:
    return path.read_text(encoding="utf-8").replace("\r\n", "\n") if path.is_file() else None
