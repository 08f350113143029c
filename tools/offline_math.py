"""Mathematics for pages that show it without a network: TeX becomes HTML while the page is made.

KaTeX does the work; it lies in tools/vendor, and dukpy (in the extra `teach`) runs it. What comes out needs no
script: HTML and CSS for the eye, and the same formula as MathML for a screen reader.
"""

import base64
import re
from functools import cache
from pathlib import Path

KATEX = Path(__file__).resolve().parent / "vendor" / "katex"
LOAD = "var module = {{exports: {{}}}}, exports = module.exports;\n{katex}\nvar katex = module.exports; 0"
CALL = "katex.renderToString(dukpy['tex'], {displayMode: dukpy['display'], strict: 'error'})"
ROW = re.compile(r"\\\\(?!\[) *\n")
FACE = re.compile(
    r"""@font-face\{[^}]*?font-family:"?(\w+)"?;[^}]*?src:url\(fonts/([\w-]+\.woff2)\)[^}]*\}"""
)
RULE = re.compile(r"([^{}]+)\{[^{}]*?(?:font-family|font):[^;}]*?(KaTeX_\w+)")
ALWAYS = {"KaTeX_Main", "KaTeX_Math", "KaTeX_Size1", "KaTeX_Size2", "KaTeX_Size3", "KaTeX_Size4", "KaTeX_AMS"}


class MathError(ValueError):
    """A formula that KaTeX cannot set; the message names it."""


@cache
def _katex():
    """Start KaTeX, once a process. Ends with one line where dukpy is missing."""
    try:
        import dukpy
    except ImportError:
        raise SystemExit(
            'dukpy is missing, which sets the formulas: pip install -c constraints.txt -e ".[dev,teach]"'
        ) from None
    engine = dukpy.JSInterpreter()
    engine.evaljs(LOAD.format(katex=(KATEX / "katex.min.js").read_text(encoding="utf-8")))
    return engine


@cache
def render(tex: str, display: bool = False) -> str:
    """Return the HTML of one formula, given without its dollar signs; `display` gives it a line of its own.

    Raises MathError, with the formula and KaTeX's complaint, for what KaTeX does not know. Its strict mode is on:
    a sign that it has no glyph for is an error, too.
    """
    from dukpy import JSRuntimeError

    engine = _katex()
    if "frac" in tex:  # rows of fractions would touch
        tex = ROW.sub(r"\\\\[0.5em]\n", tex)
    try:
        return engine.evaljs(CALL, tex=tex.strip(), display=display)
    except JSRuntimeError as error:
        (why, *_) = str(error).strip().splitlines()
        raise MathError(
            f"this formula cannot be set: {tex.strip()!r}: {why.partition(': ')[2] or why}"
        ) from None


def style(html: str) -> str:
    """Return the <style> that the formulas in `html` need: KaTeX's rules, and as data the fonts that occur.

    It is empty where `html` has no formula.
    """
    if 'class="katex' not in html:
        return ""
    css = (KATEX / "katex.min.css").read_text(encoding="utf-8")
    used = set(re.findall(r"[\w-]+", " ".join(re.findall(r'class="([^"]*)"', html))))
    needed = set(ALWAYS)
    for names, family in RULE.findall(FACE.sub("", css)):
        if used & set(re.findall(r"\.([\w-]+)", names)) - {"katex"}:
            needed.add(family)
    return f"<style>\n{FACE.sub(lambda face: _embedded(face, needed), css)}\n</style>"


def _embedded(face: re.Match, needed: set[str]) -> str:
    """Return the rule of one font with the font itself in it, or nothing for a family that is not needed."""
    family, name = face.groups()
    if family not in needed:
        return ""
    data = base64.b64encode((KATEX / "fonts" / name).read_bytes()).decode()
    return re.sub(r"src:[^}]*", f'src:url(data:font/woff2;base64,{data}) format("woff2")', face[0])
