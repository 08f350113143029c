"""Build notebooks/ and the reference functions from lessons/.

    python tools/build_lessons.py              build and execute the lessons that are stale
    python tools/build_lessons.py --all [01]   build and execute every lesson, or these, even where only prose changed
    python tools/build_lessons.py 01 A         build and execute these
    python tools/build_lessons.py stale        list what must be rebuilt, and why
    python tools/build_lessons.py --check      do sources, notebooks and references agree? (executes nothing)

`tasks.py lessons` and `tasks.py stale` call this file.
"""

import argparse
import sys
from pathlib import Path

if not __package__:  # run as a script: make `tools` importable
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from nbclient.exceptions import CellControlSignal, CellExecutionError, DeadKernelError

from tools import exercises, notebook, outputs, stale
from tools.execute import execute
from tools.source import Lesson, LessonError, Places, find, read


def build(
    path: Path, places: Places, *, force: bool = False, run: bool = True, afresh: bool = False, env: dict | None = None
) -> list[str]:
    """Build the lesson at `path`: reference module first (the lesson needs it), then the notebook.

    `run=False` builds inputs only; outputs of an identical older notebook are kept. Where only prose has changed, the
    outputs are kept as well, unless `afresh`. Returns the problems of the
    built notebook (it is written all the same, to be looked at). Raises LessonError for a rule broken in the source
    or a notebook edited by hand, and nbclient's errors for a cell that fails; then the old notebook stays.
    """
    lesson = read(path)
    built = notebook.assemble(lesson, places.root)
    target = places.notebook(lesson)
    if target.is_file() and not force and notebook.edited_by_hand(target):
        raise LessonError(
            f"notebooks/{target.name} was edited by hand, and building it would lose that. Move the edit "
            f"to lessons/{path.name}, or say --force."
        )
    _write_reference(lesson, places)
    old = notebook.load(target) if target.is_file() else None
    if run and not afresh and old and stale.keep_outputs(built, old, places):
        print(f"{path.stem}: only prose has changed, its outputs are kept (--all executes it again)", flush=True)
    elif run:
        built.metadata.course["measured"] = execute(built, places.notebooks, places.root, env)
    elif old and notebook.identity(old) == notebook.identity(built):
        built = old
    text = notebook.dumps(built)
    notebook.write_atomically(target, text)
    print(_summary(lesson, built, text), flush=True)
    if not run:
        return []
    return [
        f"notebooks/{target.name}: {problem}"
        for problem in (
            *outputs.execution_problems(built),
            *outputs.size_problems(built, text),
            *outputs.reader_problems(built),
            *outputs.picture_problems(built),
        )
    ]


def _write_reference(lesson: Lesson, places: Places) -> None:
    """Write, or remove, the module with the reference functions of `lesson`."""
    path = places.reference(lesson)
    text = exercises.reference_module(lesson, exercises.find(lesson))
    if text is None:
        path.unlink(missing_ok=True)
    elif not path.is_file() or path.read_text(encoding="utf-8") != text:
        notebook.write_atomically(path, text)


def _summary(lesson: Lesson, built, text: str) -> str:
    """One line: cells, lines of code, size, and where the time went."""
    markdown = len(lesson.cells) - len(lesson.code)
    lines = sum(cell.source.count("\n") + 1 for cell in lesson.code)
    parts = [
        f"{lesson.slug}: {markdown} markdown and {len(lesson.code)} code cells, {lines} lines of code, "
        f"{len(text.encode()) / 1e3:.0f} KB"
    ]
    if measured := built.metadata.course.get("measured"):
        seconds = measured["cell_seconds"]
        slowest = sorted(range(len(seconds)), key=seconds.__getitem__, reverse=True)[:3]
        parts.append(
            f"live {measured['live_seconds']:.0f} s (slowest: "
            + ", ".join(f"In [{index + 1}] {seconds[index]:.0f} s" for index in slowest)
            + ")"
        )
    return " · ".join(parts)


def _build_all(places: Places, arguments: argparse.Namespace) -> int:
    """Build what the command line names; return the exit status."""
    failed = 0
    for path in find(places, arguments.lessons):
        try:
            if not (arguments.lessons or arguments.all or arguments.no_execute):
                if not (why := stale.reasons(read(path), places)):
                    print(f"{path.stem} is up to date", flush=True)
                    continue
                print(f"{path.stem}: {'; '.join(why)} …", flush=True)
            problems = build(path, places, force=arguments.force, run=not arguments.no_execute,
                             afresh=arguments.all)  # fmt: skip
        except (LessonError, CellExecutionError, CellControlSignal, DeadKernelError) as error:
            problems = [str(error) or repr(error)]
        for problem in problems:
            print(f"  ✗ {problem}", flush=True)
        failed += bool(problems)
    return int(failed > 0)


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return the exit status: 0 for success."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lessons", nargs="*", help="01, A, 01_slug or a path (default: stale ones)")
    parser.add_argument("--all", action="store_true", help="execute again: every lesson, or those named")
    parser.add_argument("--force", action="store_true", help="overwrite notebooks that were edited by hand")
    parser.add_argument("--no-execute", action="store_true", help="build inputs only")
    parser.add_argument("--check", action="store_true", help="say where notebooks or references are out of date")
    arguments = parser.parse_args(argv)
    places = Places()
    try:
        if arguments.lessons[:1] == ["stale"]:
            for path in find(places, arguments.lessons[1:]):
                why = stale.reasons(read(path), places)
                print(f"{path.stem}: {'; '.join(why) or 'up to date'}")
            return 0
        if arguments.check:
            # pre-commit passes file names of all kinds; agreement is a property of the whole
            found = stale.disagreements(places)
            print("\n".join(found + ["Run: python tasks.py lessons"]) if found else "sources and notebooks agree")
            return int(bool(found))
        return _build_all(places, arguments)
    except LessonError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
