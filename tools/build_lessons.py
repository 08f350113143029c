"""Build notebooks/ and the generated modules (reference functions, shared code) from lessons/.

    python tools/build_lessons.py              build and execute the lessons that are stale
    python tools/build_lessons.py --all [01]   execute again every lesson, or these, even if only prose changed
    python tools/build_lessons.py 01 A         build and execute these
    python tools/build_lessons.py stale        list what must be rebuilt, and why
    python tools/build_lessons.py --check      do sources, notebooks and modules agree? (executes nothing)

`tasks.py lessons` and `tasks.py stale` call this file.
"""

import argparse
import sys
from pathlib import Path

if not __package__:  # run as a script: make `tools` importable
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from nbclient.exceptions import CellControlSignal, CellExecutionError, DeadKernelError

from tools.builder import audit, carry, minutes, notebook, old_places, outputs, stale
from tools.builder.execute import execute
from tools.builder.source import Lesson, LessonError, Places, find, read


def build(
    path: Path,
    places: Places,
    *,
    force: bool = False,
    run: bool = True,
    afresh: bool = False,
    env: dict | None = None,
) -> list[str]:
    """Build the lesson at `path`: generated modules first (the lesson needs them), then the notebook.

    `run=False` builds inputs only; outputs of an identical older notebook are kept. Where only prose has
    changed, the outputs are kept as well, unless `afresh`. Returns the problems of the built notebook (it is
    written all the same, to be looked at). Raises LessonError for rules broken in the source or a notebook
    edited by hand, and nbclient's errors for a cell that fails; then the old notebook stays.
    """
    lesson = read(path)
    target = places.notebook(lesson)
    old = notebook.load(target) if target.is_file() else None
    if old and not force and notebook.edited_by_hand(old):
        raise LessonError(
            f"notebooks/{target.name} was edited by hand, and building it would lose that. Move the edit "
            f"to lessons/{path.name}, or say --force."
        )
    _write_modules(lesson, places)
    built = notebook.assemble(lesson, places.root)
    if old and not afresh and carry.only_prose_changed(built, old, places):
        built = _with_outputs_of(old, lesson, places)
        if run:
            print(
                f"{path.stem}: only prose has changed, its outputs are kept (--all executes it again)",
                flush=True,
            )
    elif run:
        built.metadata.course["measured"] = execute(built, places.notebooks, places.root, env)
        built = _with_outputs_of(built, lesson, places)
    text = notebook.dumps(built)
    notebook.write_atomically(target, text)
    print(_summary(lesson, built, text), flush=True)
    return _problems(lesson, built, text) if run else []


def _with_outputs_of(executed, lesson: Lesson, places: Places):
    """Return the notebook of `lesson` with the outputs of `executed` and the minutes that it took."""
    built = notebook.assemble(lesson, places.root, stale.measured(executed))
    carry.copy_outputs(built, executed)
    return built


def _problems(lesson: Lesson, built, text: str) -> list[str]:
    """Return what must not stay as it is in an executed notebook; print what should not."""
    for warning in minutes.warnings(lesson, stale.measured(built).get("cell_seconds")):
        print(f"  ! {warning}", flush=True)
    quoted = audit.check(lesson, built)
    refused = old_places.refused(lesson.key, quoted)
    for finding in quoted:
        if finding not in refused:
            print(f"  ! {finding} (an old place)", flush=True)
    found = (
        *outputs.execution_problems(built),
        *outputs.size_problems(built, text),
        *outputs.reader_problems(built),
        *outputs.picture_problems(built),
    )
    return [f"notebooks/{lesson.slug}.ipynb: {problem}" for problem in found] + [str(one) for one in refused]


def _write_modules(lesson: Lesson, places: Places) -> None:
    """Write, or remove, the modules that are generated from `lesson`."""
    for path, text in stale.modules(lesson, places).items():
        if text is None:
            path.unlink(missing_ok=True)
        elif not path.is_file() or path.read_text(encoding="utf-8") != text:
            notebook.write_atomically(path, text)


def _summary(lesson: Lesson, built, text: str) -> str:
    """One line: cells, visible lines of code, size, how long it takes, and where the waiting goes."""
    markdown = len(lesson.cells) - len(lesson.code)
    measured = stale.measured(built)
    seconds = measured.get("cell_seconds", [])
    lines = minutes.load(lesson).lines
    parts = [
        f"{lesson.slug}: {markdown} markdown and {len(lesson.built)} code cells, {lines} visible lines, "
        f"{len(text.encode()) / 1e3:.0f} KB",
        minutes.headline(lesson, seconds).strip("*."),
    ]
    if seconds:
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
            run = not arguments.no_execute
            problems = build(path, places, force=arguments.force, run=run, afresh=arguments.all)
        except LessonError as error:
            problems = str(error).split("\n")
        except (CellExecutionError, CellControlSignal, DeadKernelError) as error:
            problems = [str(error) or repr(error)]
        for problem in problems:
            print(f"  ✗ {problem}", flush=True)
        failed += bool(problems)
    return int(failed > 0)


def _list_stale(places: Places, names: list[str]) -> int:
    """Say of each lesson whether its notebook must be rebuilt, and why."""
    for path in find(places, names):
        try:
            print(stale.report(path, places))
        except LessonError as error:
            print(f"{path.stem}: its source breaks rules:\n{error}")
    return 0


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return the exit status: 0 for success."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("lessons", nargs="*", help="01, 01b, A, 01_slug or a path (default: stale ones)")
    parser.add_argument("--all", action="store_true", help="execute again: every lesson, or those named")
    parser.add_argument("--force", action="store_true", help="overwrite notebooks that were edited by hand")
    parser.add_argument("--no-execute", action="store_true", help="build inputs only")
    parser.add_argument(
        "--check", action="store_true", help="say where notebooks or generated modules are out of date"
    )
    arguments = parser.parse_args(argv)
    places = Places()
    try:
        if arguments.lessons[:1] == ["stale"]:
            return _list_stale(places, arguments.lessons[1:])
        if arguments.check:
            # pre-commit passes file names of all kinds; agreement is a property of the whole
            found = stale.disagreements(places)
            print(
                "\n".join(found + ["Run: python tasks.py lessons"])
                if found
                else "sources and notebooks agree"
            )
            return int(bool(found))
        return _build_all(places, arguments)
    except LessonError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
