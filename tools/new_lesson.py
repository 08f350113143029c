"""Begin a lesson: `python tasks.py new NN slug` writes its source, checks, wrong and other answers, test, run sheet.

NN is two digits (08), a letter for an appendix (B), or two digits and a letter for a sequel (04b), which
needs its lesson. The templates in tools/templates hold a small lesson that builds and passes its tests;
replace it piece by piece. `missing` names the parts that a lesson lacks.
"""

import argparse
import sys
from pathlib import Path

if not __package__:  # run as a script: make `tools` importable
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools.builder.source import ROOT, SLUG

TEMPLATES = Path(__file__).resolve().parent / "templates"
WRITTEN = ("lesson.py", "checks.py", "wrong_answers.py", "other_answers.py", "test.py", "run_sheet.md")
MARKS = ("<!-- lessons:begin -->", "<!-- lessons:end -->")


def parts(stem: str) -> dict[str, Path]:
    """Return the files that the lesson 04_slug is made of, as paths from the repository's root."""
    key = stem.split("_")[0]
    return {
        "source": Path("lessons", f"{stem}.py"),
        "checks": Path("course_utils", "checks", f"lesson_{key}.py"),
        "wrong answers": Path("tests", "wrong_answers", f"lesson_{key}.py"),
        "other answers": Path("tests", "other_answers", f"lesson_{key}.py"),
        "semantic test": Path("tests", "lessons", f"test_lesson_{key}.py"),
        "run sheet": Path("teaching", f"{stem}.md"),
        "notebook": Path("notebooks", f"{stem}.ipynb"),
    }


def missing(stem: str, root: Path = ROOT) -> list[str]:
    """Return a line for each part that the lesson 04_slug lacks, with what makes it."""
    key = stem.split("_")[0]
    remedies = {"notebook": f" (python tasks.py lessons {key})"}
    found = [
        f"{stem} has no {name}: {path.as_posix()}{remedies.get(name, '')}"
        for name, path in parts(stem).items()
        if not (root / path).is_file()
    ]
    table = (root / "README.md").read_text(encoding="utf-8").split(MARKS[0])[-1].split(MARKS[1])[0]
    if f"(notebooks/{stem}.ipynb)" not in table:
        found.append(f"{stem} has no row in README's table (python tasks.py bench lessons)")
    return found


def write(key: str, slug: str, title: str | None = None, root: Path = ROOT) -> list[Path]:
    """Write the parts of a new lesson and return their paths.

    Raises ValueError, and writes nothing, where the name is no lesson's or taken, or a file is there already.
    """
    stem = f"{key}_{slug}"
    if not SLUG.fullmatch(stem):
        raise ValueError(f"{stem!r} is no lesson's name: NN slug, as in `08 hidden_chains` or `04b flows`.")
    have = [
        path.stem for path in (root / "lessons").glob("*.py") if path.stem.split("_")[0] in (key, key[:2])
    ]
    taken = [other for other in have if other.startswith(f"{key}_")]
    if taken:
        raise ValueError(f"lesson {key} is there already: lessons/{taken[0]}.py.")
    if len(key) == 3 and not have:
        raise ValueError(f"{key} is a sequel, and there is no lesson {key[:2]}.")
    targets = [root / path for path in list(parts(stem).values())[: len(WRITTEN)]]
    if there := [path for path in targets if path.exists()]:
        raise ValueError(f"{there[0].relative_to(root).as_posix()} is there already; nothing was written.")
    words = {"@KEY@": key, "@TITLE@": title or slug.replace("_", " ").capitalize()}
    for name, path in zip(WRITTEN, targets):
        text = (TEMPLATES / f"{name}.txt").read_text(encoding="utf-8")
        for word, value in words.items():
            text = text.replace(word, value)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
    return targets


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return the exit status: 0 for success."""
    parser = argparse.ArgumentParser(
        prog="tasks.py new", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("key", metavar="NN", help="08, B, or 04b for a sequel of 04")
    parser.add_argument("slug", help="hidden_chains: lower case, words joined by _")
    parser.add_argument("--title", help="by default made from the slug")
    arguments = parser.parse_args(argv)
    try:
        written = write(arguments.key, arguments.slug, arguments.title)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    for path in written:
        print(path.relative_to(ROOT).as_posix())
    print(f"Next: python tasks.py lessons {arguments.key}, and README's steps 2 to 5.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
