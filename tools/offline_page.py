"""Pages of one file: Markdown with mathematics to HTML, and the document around it. Nothing is loaded from
elsewhere."""

import html
import re
from functools import cache
from pathlib import Path

import nbformat
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from tools import offline_math

CSS = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 880px; padding: 24px 32px 64px; color: #1a1a1a; background: #fff;
  font: 17px/1.55 system-ui, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif; }
h1, h2, h3 { line-height: 1.25; color: #00466e; }
h1 { font-size: 32px; }
h2 { font-size: 25px; margin-top: 48px; border-top: 2px solid #d5e3ec; padding-top: 16px; }
h3 { font-size: 20px; }
a { color: #0059a0; }
img { max-width: 100%; height: auto; }
table { border-collapse: collapse; margin: 16px 0; font-size: 15px; line-height: 1.4; }
th, td { padding: 4px 10px; border-bottom: 1px solid #d8d8d8; text-align: left; overflow-wrap: anywhere; }
th, td { word-break: normal; overflow-wrap: break-word; }
th { border-bottom: 2px solid #888; }
code, pre { font: 13.5px/1.45 ui-monospace, "SFMono-Regular", Consolas, "DejaVu Sans Mono", monospace; }
p code, li code, td code { background: #f1f3f5; padding: 1px 4px; border-radius: 3px; }
pre { background: #f6f8fa; padding: 10px 14px; border-radius: 5px; white-space: pre-wrap; overflow-wrap: anywhere;
  margin: 10px 0; }
pre.output { background: none; border-left: 3px solid #c9d6df; border-radius: 0; }
details { border-left: 3px solid #d5e3ec; padding: 2px 0 2px 14px; margin: 12px 0; }
summary { cursor: pointer; color: #00466e; }
figure { margin: 16px 0; }
figcaption, .caption { color: #444; font-size: 15px; }
.katex-display { margin: 14px 0; }
@media print {
  body { max-width: none; padding: 0; font-size: 11pt; }
  figure, table, pre, .katex-display { break-inside: avoid; }
  h1, h2, h3 { break-after: avoid; }
  a { color: inherit; text-decoration: none; }
}
"""
PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>{title}</title>
<style>{css}</style>
{mathematics}
</head>
<body>
{body}
</body>
</html>
"""
NOTEBOOK_LINK = re.compile(r'<a href="(?!https?://|#|mailto:)[^"]*">(.*?)</a>', re.DOTALL)


class _Renderer(IPythonRenderer):
    """Markdown as JupyterLab reads it, with the formulas set."""

    def inline_math(self, body: str) -> str:
        return offline_math.render(body)

    def block_math(self, body: str) -> str:
        return offline_math.render(body, True)

    def latex_environment(self, name: str, body: str) -> str:
        return offline_math.render(f"\\begin{{{name}}}{body}\\end{{{name}}}", True)


def markdown(text: str) -> str:
    """Return the HTML of Markdown with $…$, $$…$$, tables, code and HTML in it.

    A link to another file keeps its words only: a page of one file has no neighbours. Raises
    `offline_math.MathError` for a formula that cannot be set.
    """
    renderer = _Renderer(escape=False, exclude_anchor_links=True)
    return NOTEBOOK_LINK.sub(r"\1", MarkdownWithMath(renderer=renderer).render(text))


def code(source: str) -> str:
    """Return the HTML of Python code, coloured (`colours` has the rules)."""
    return highlight(source.rstrip("\n"), PythonLexer(), HtmlFormatter(nowrap=False))


@cache
def colours() -> str:
    """Return the CSS rules that colour code."""
    return HtmlFormatter(style="default").get_style_defs(".highlight pre")


def words(text: str) -> str:
    """Return what a program printed as HTML."""
    return f'<pre class="output">{html.escape(text.rstrip())}</pre>'


def picture(output: dict) -> str:
    """Return an output's PNG as <img>, with the size and the alternative text that the notebook gives it."""
    about = output.get("metadata", {}).get("image/png", {})
    data = "".join(output["data"]["image/png"]).replace("\n", "")
    alt = html.escape(about.get("alt") or "".join(output["data"].get("text/plain", "")), quote=True)
    width = f' width="{about["width"]}"' if "width" in about else ""
    return f'<img src="data:image/png;base64,{data}" alt="{alt}"{width}>'


def page(title: str, body: str, css: str = "") -> str:
    """Return a document of one file with the HTML `body`; `css` comes after the house's own rules."""
    rules = "\n".join([CSS, colours(), css])
    mathematics = offline_math.style(body)
    return PAGE.format(title=html.escape(title), css=rules, mathematics=mathematics, body=body)


def notebook(root: Path, word: str) -> tuple[str, nbformat.NotebookNode]:
    """Return the slug and the notebook of the lesson that `word` (05, or its whole name) means.

    Ends with one line that says what to do if there is no such lesson, or its notebook has no outputs.
    """
    every = sorted((root / "notebooks").glob("[0-9A]*.ipynb"))
    found = [path for path in every if word in (path.stem, path.stem.split("_")[0])]
    if len(found) != 1:
        sys_exit(f"there is no lesson {word!r}; there are: {', '.join(p.stem.split('_')[0] for p in every)}")
    book = nbformat.read(found[0], as_version=4)
    if not any(cell.get("outputs") for cell in book.cells):
        sys_exit(f"notebooks/{found[0].name} has no outputs: run it from top to bottom and save it first.")
    return found[0].stem, book


def sys_exit(message: str) -> None:
    """End with one line."""
    raise SystemExit(f"tasks.py: {message}")


def write(path: Path, text: str, generated: Path) -> None:
    """Write a page, except over a file outside the folder `generated`, where all files are the course's own."""
    if path.exists() and not path.resolve().is_relative_to(generated.resolve()):
        sys_exit(f"{path} is there already; move it away, or name another folder with --to.")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")
