"""Formulas set while a page is made: what comes out, what is refused, and that the page needs nothing from
elsewhere."""

import base64
import hashlib
import re

import pytest

from course_utils.system.folders import ROOT
from tools import offline_math, offline_page

VENDOR = ROOT / "tools" / "vendor"


def test_a_formula_becomes_html_for_the_eye_and_mathml_for_the_ear():
    found = offline_math.render(r"\frac{p}{q}")
    assert '<span class="katex">' in found and "<math" in found and "mfrac" in found
    assert found != offline_math.render(r"\frac{q}{p}")
    assert "katex-display" in offline_math.render("x", True) and "katex-display" not in found
    assert "script" not in found


@pytest.mark.parametrize(
    ("tex", "why"),
    [
        (r"\frac{1}{", "expected '}'"),
        (r"\nosuchword x", "Undefined control sequence"),
        (r"x_1_2", "Double subscript"),
        (r"\begin{aligned} x", r"Expected '&'|Expected.*end"),
        ("\\text{\N{CJK UNIFIED IDEOGRAPH-4E2D}} \N{SNOWMAN}", "Unrecognized|Unicode"),
    ],
)
def test_a_formula_that_cannot_be_set_is_named(tex, why):
    with pytest.raises(offline_math.MathError, match=why) as raised:
        offline_math.render(tex)
    assert repr(tex) in str(raised.value)
    assert "\n" not in str(raised.value)
    assert offline_math.render("x^2"), "the engine goes on after an error"


def test_the_style_holds_the_fonts_that_occur_and_no_address():
    plain = offline_math.style(offline_math.render("x"))
    fancy = offline_math.style(offline_math.render(r"\mathfrak{A}\mathcal{N}"))
    for style in (plain, fancy):
        assert not re.search(r"url\((?!data:font/woff2;base64,)", style)
        for data in re.findall(r"base64,([^)]*)\)", style):
            assert base64.b64decode(data)[:4] == b"wOF2"
    families = {
        name: set(re.findall(r'@font-face\{[^}]*?font-family:"?(\w+)', name)) for name in (plain, fancy)
    }
    assert {"KaTeX_Main", "KaTeX_Math", "KaTeX_AMS"} <= families[plain]
    assert families[fancy] - families[plain] == {"KaTeX_Fraktur", "KaTeX_Caligraphic"}
    assert offline_math.style("<p>no formula</p>") == ""


def test_a_page_is_one_file():
    body = offline_page.markdown(
        "Let $x\\in\\mathbb R$ be in [lesson 04](04_x.ipynb), see [a page](https://a.b)."
    )
    assert "katex" in body and "ipynb" not in body and 'href="https://a.b"' in body
    page = offline_page.page("a < b", body)
    assert "<title>a &lt; b</title>" in page and "KaTeX_Main" in page
    assert not re.search(r'(?:src|href)="(?!data:|https://a\.b|#)', page) and "@import" not in page
    assert "KaTeX" not in offline_page.page("t", "<p>no formula</p>")


def test_markdown_keeps_tables_code_and_what_folds():
    text = "| a | b |\n|---|---|\n| $x$ | 2 |\n\n```python\nx = 1\n```\n\n"
    text += "<details><summary>S</summary>\n\n*in*\n\n</details>"
    found = offline_page.markdown(text)
    assert "<table>" in found and "highlight" in found and "<em>in</em>" in found
    assert found.index("<details>") < found.index("<em>in</em>") < found.index("</details>")


def test_the_code_of_others_is_unchanged_and_has_its_licence():
    said = dict(
        reversed(line.split("  ", 1))
        for line in (VENDOR / "README.md").read_text().splitlines()
        if re.match(r"[0-9a-f]{64}  ", line)
    )
    files = {p.relative_to(VENDOR).as_posix(): p for p in VENDOR.rglob("*") if p.is_file()}
    del files["README.md"]
    assert said == {name: hashlib.sha256(p.read_bytes()).hexdigest() for name, p in files.items()}
    for name in ("katex", "reveal"):
        assert "Permission is hereby granted, free of charge" in files[f"{name}/LICENSE"].read_text()
