"""A lesson as one file of HTML, for people without Python: `python tasks.py handout 05 [06 …] [--to DIR]`.

Text, mathematics, code, figures and tables are inside; nothing is loaded from elsewhere. It is made from the executed
notebook: what stands there is what is shown. Hints and solutions stay folded, and so does the code of figures.
"""

import argparse
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from tools import offline_page  # noqa: E402

TITLE = re.compile(r"^# @title (.*)\n", re.MULTILINE)
BADGE = re.compile(r"^\*\*\[▶ Open in Colab\]\([^)]*\)\*\*\n+", re.MULTILINE)
CAPTION = re.compile(r"^\*\*(Figure|Table|Widget|Quiz)\.\*\* ")
CSS = """
.lesson > summary { font-weight: 600; }
nav { background: #f3f7fa; padding: 12px 20px; border-radius: 6px; font-size: 15px; }
nav ul { columns: 2; margin: 6px 0; padding-left: 20px; }
nav p { margin: 0; }
details.code { font-size: 14px; }
"""
NOTE = (
    "<p class='caption'>This page was made from the course's notebook <code>{slug}.ipynb</code>, version {version}: "
    "text, code and figures are the same, sliders show their picture without a kernel.</p>"
)


def output(one: dict) -> str:
    """Return the HTML of one output of a cell."""
    if one["output_type"] == "stream":
        return offline_page.words(one["text"]) if one["name"] == "stdout" else ""
    data = one.get("data", {})
    if "image/png" in data:
        return f"<figure>{offline_page.picture(one)}</figure>"
    if "text/markdown" in data:
        kind = "caption" if CAPTION.match(data["text/markdown"]) else "shown"
        return f'<div class="{kind}">{offline_page.markdown(data["text/markdown"])}</div>'
    return offline_page.words(data["text/plain"]) if "text/plain" in data else ""


def code_cell(cell: dict) -> str:
    """Return the HTML of a code cell: its code, folded where the notebook folds it, and what it shows."""
    shown = "\n".join(output(one) for one in cell.outputs)
    source = offline_page.code(TITLE.sub("", cell.source, count=1))
    if cell.metadata.get("jupyter", {}).get("source_hidden"):
        name = TITLE.match(cell.source)
        summary = offline_page.html.escape(name[1]) if name else "Code"
        source = f'<details class="code"><summary>Code · {summary}</summary>{source}</details>'
        return f"{shown}\n{source}"
    return f"{source}\n{shown}"


def sections(cells: list) -> tuple[str, list[str]]:
    """Return the table of contents, and the HTML of each cell with the headings as its targets."""
    entries, parts = [], []
    for cell in cells:
        if "find-course" in cell.metadata.get("tags", []):
            continue
        if cell.cell_type != "markdown":
            parts.append(code_cell(cell))
            continue
        part = offline_page.markdown(BADGE.sub("", cell.source))
        for heading in re.findall(r"<h2[^>]*>.*?</h2>", part, re.DOTALL):
            name = f"s{len(entries) + 1}"
            words = re.sub(r"^<h2[^>]*>|</h2>$", "", heading)
            entries.append(f'<li><a href="#{name}">{words}</a></li>')
            part = part.replace(heading, f'<h2 id="{name}">{words}</h2>', 1)
        parts.append(part)
    return f"<nav><p>In this lesson</p><ul>{''.join(entries)}</ul></nav>", parts


def handout(root: Path, word: str) -> tuple[str, str]:
    """Return the slug of a lesson and its handout as HTML. Ends with one line for what is no lesson."""
    slug, book = offline_page.notebook(root, word)
    contents, (first, *parts) = sections(book.cells)
    version = book.metadata.get("course", {}).get("version", "unknown")
    body = "\n".join([first, contents, *parts, "<hr>", NOTE.format(slug=slug, version=version)])
    title = book.cells[0].source.partition("\n")[0].removeprefix("# ")
    return slug, offline_page.page(title, body, CSS)


def main(words: list[str], make=handout, folder: str = "handouts") -> int:
    """Write the pages of the named lessons; `slides` shares this."""
    name = folder.removesuffix("s") if folder == "handouts" else folder
    parser = argparse.ArgumentParser(prog=f"tasks.py {name}", description=__doc__.split("\n")[0])
    parser.add_argument("lessons", nargs="*", metavar="NN", help="numbers of lessons, or all")
    parser.add_argument("--to", type=Path, metavar="DIR", help=f"where to write (default: build/{folder})")
    asked = parser.parse_args(words)
    every = [path.stem for path in sorted((ROOT / "notebooks").glob("[0-9A]*.ipynb"))]
    if not asked.lessons:
        offline_page.sys_exit(
            f"say which lesson, for example `python tasks.py {name} 05`, or all of them: all"
        )
    generated = ROOT / "build" / folder
    for word in every if asked.lessons == ["all"] else asked.lessons:
        slug, text = make(ROOT, word)
        path = (asked.to.expanduser() if asked.to else generated) / f"{slug}_{name}.html"
        offline_page.write(path, text, generated)
        print(f"{path} ({len(text.encode()) / 1e6:.1f} MB)", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
