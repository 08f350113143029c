"""A lesson as a deck of one file: `python tasks.py slides 05 [06 …] [--to DIR]`. Nothing is loaded from elsewhere.

Each cell tagged `slide` is a slide: its pictures, tables and printed lines, and its code if the notebook shows it.
Before it comes what its section writes on the board: equations with the sentence before each, the questions to
predict, exercises, sentences that stand alone in bold or italics. The prose is in the speaker's notes (key S).
"""

import html
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from tools import handout, offline_page  # noqa: E402

REVEAL = Path(__file__).resolve().parent / "vendor" / "reveal"
HEIGHT = 580  # px of a slide of 1280 × 720 below its title
FEW, LARGE = 160, 38  # a board with less than so many px of text gets letters of so many
KINDS = re.compile(r"^(Figure|Table|Widget|Quiz): *")
FOLDED = re.compile(r"<details>.*?</details>", re.DOTALL)
ALONE = re.compile(r"(\*\*(?:[^*]|\*(?!\*))+\*\*|\*(?!\*)[^*]+\*)", re.DOTALL)
PROMISE = "**After this lesson you can**"
CSS = """
body { max-width: none; padding: 0; margin: 0; }
.reveal { font: 28px/1.4 system-ui, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif; color: #1a1a1a; }
.reveal .slides, .reveal .slides section { text-align: left; }
.reveal .slides section { width: 1280px; height: 720px; padding: 26px 56px 38px; }
.reveal .slides section { display: flex; flex-direction: column; }
.reveal .slides section[hidden] { display: none; }
.reveal h1 { font-size: 54px; margin: 0 0 24px; }
.reveal h2 { font-size: 34px; line-height: 1.2; margin: 0 0 14px; padding: 0; border: 0; padding-right: 200px; }
.reveal .where { position: absolute; right: 56px; top: 32px; font-size: 17px; color: #5f6b73; }
.reveal .content { flex: 1 1 0; min-height: 0; display: flex; flex-direction: column; gap: 12px; overflow: hidden; }
.reveal .board { justify-content: center; gap: 18px; font-size: var(--size, 28px); }
.reveal .board > * { margin: 0; }
.reveal .board p { margin: 0; }
.reveal .title { font-size: 36px; }
.reveal section:has(.title) { justify-content: center; }
.reveal section:has(.title) .content { flex: 0 1 auto; }
.reveal section:has(.title) h1 { color: #00466e; }
.reveal .ask { border-left: 6px solid #e69f00; padding-left: 18px; }
.reveal .content:not(.board) .remember { font-size: 24px; }
.reveal .remember p { margin: 0; }
.reveal .remember { border-left: 6px solid #0072b2; padding-left: 18px; }
.reveal figure { flex: 1 1 0; min-height: 0; margin: 0; display: flex; align-items: center; justify-content: center; }
.reveal figure img { width: 100%; height: 100%; max-width: none; max-height: none; object-fit: contain; margin: 0; }
.reveal .content > * { flex-shrink: 0; }
.reveal .content > figure { flex-shrink: 1; }
.reveal .caption { font-size: 19px; line-height: 1.35; color: #444; }
.reveal .caption p { margin: 0; }
.reveal pre { font-size: var(--size, 19px); line-height: 1.35; margin: 0; padding: 8px 16px; white-space: pre-wrap;
  width: 100%; box-shadow: none; }
.reveal pre code, .reveal code { font-size: inherit; }
.reveal .shown { font-size: var(--size, 21px); }
.reveal .shown table { margin: 0; font-size: inherit; }
.reveal .shown p, .reveal .shown ol, .reveal .shown ul { margin: 0 0 6px; }
.reveal .shown th, .reveal .shown td { padding: 3px 12px; border-bottom: 1px solid #d8d8d8; }
.reveal .katex-display { margin: 0; }
.reveal .katex { font-size: 1.1em; }
.reveal ul { margin: 0; padding-left: 32px; }
.reveal li { margin-bottom: 10px; }
.reveal .slides section .fragment { transition: none; }
.reveal aside.notes { display: none; }
"""
BODY = """<div class="reveal"><div class="slides">
{sections}
</div></div>
<script>{reveal}</script>
<script>{notes}</script>
<script>
Reveal.initialize({{width: 1280, height: 720, margin: 0, center: false, hash: true, transition: 'none',
  slideNumber: 'c/t', controlsTutorial: false, controlsLayout: 'edges',
  controlsBackArrows: 'visible', display: 'flex', plugins: [RevealNotes]}});
</script>"""


@dataclass
class Slide:
    """One slide: its title, the HTML below it, how that is laid out, and the speaker's notes in Markdown."""

    title: str
    content: str
    layout: str = ""
    size: int = 0
    notes: list[str] = field(default_factory=list)
    where: str = ""
    room: float = 0.0  # px that are left below the content

    def html(self) -> str:
        """Return the slide as reveal.js wants it."""
        size = f' style="--size: {self.size}px"' if self.size else ""
        level = "h1" if self.layout == "title" else "h2"
        notes = offline_page.markdown("\n\n".join(self.notes)) if self.notes else ""
        return (
            f'<section><{level}>{self.title}</{level}><div class="where">{self.where}</div>'
            f'<div class="content {self.layout}"{size}>{self.content}</div>'
            f'<aside class="notes">{notes}</aside></section>'
        )

    def closes_with(self, item: tuple[str, str]) -> bool:
        """Put a sentence to remember below what is shown, where it appears with the next key; return whether it
        fits."""
        kind, text = item
        if kind != "remember" or len(text) > 170 or self.room < 80:
            return False
        self.room = 0.0
        self.content += f'<div class="remember fragment">{offline_page.markdown(text)}</div>'
        return True


def inline(text: str) -> str:
    """Return the HTML of one line of Markdown, without a paragraph around it."""
    return offline_page.markdown(text).strip().removeprefix("<p>").removesuffix("</p>")


def blocks(text: str) -> list[str]:
    """Return the paragraphs of a Markdown cell, without what is folded away."""
    return [block.strip() for block in FOLDED.sub("", text).split("\n\n") if block.strip()]


def board(text: str) -> list[tuple[str, str]]:
    """Return what a Markdown cell puts on the board, in order, as (kind, Markdown).

    Kinds: "equation" (with the sentence before it), "ask" (to predict, exercises), "remember" (a sentence or a
    paragraph alone in bold or italics).
    """
    found, before = [], ""
    for block in blocks(text):
        lines = block.split("\n")
        if block.startswith("$$"):
            lead = before if len(before) < 220 and not before.startswith("|") else ""
            found.append(("equation", f"{lead}\n\n{block}".strip()))
        elif block.startswith("**Exercise"):
            found.append(("ask", block if len(block) < 420 else "\n".join(lines[:2])))
        elif questions := _questions(lines):
            found += [("ask", question) for question in questions]
        else:
            alone = [block] if ALONE.fullmatch(block) else [x for x in lines[1:] if ALONE.fullmatch(x)]
            kinds = ["ask" if text.strip("*").endswith("?") else "remember" for text in alone]
            found += [pair for pair in zip(kinds, alone) if len(pair[1]) > 12]
        before = "" if block.startswith(("$$", "#", "```", "<")) else lines[-1]
    return found


def _questions(lines: list[str]) -> list[str]:
    """Return each question to predict in a paragraph, with the sentences that go on with it."""
    at = [i for i, line in enumerate(lines) if line.startswith("**Predict")]
    return ["\n".join(lines[i : min([i + 3, *(j for j in at if j > i)])]) for i in at]


def height(kind: str, text: str, size: int = 28) -> float:
    """Return about how many px of a slide something for the board takes, letters of `size` px."""
    prose, *equations = text.split("$$")
    plain = re.sub(r"\$[^$]*\$", "xxxxxx", prose)
    lines = sum(-(-len(line) // (2100 // size)) for line in plain.split("\n") if line.strip())
    rows = sum(1 + part.count("\\\\") for part in equations[:1])
    tall = sum(part.count("frac") > 0 or "sum" in part or "int" in part for part in equations[:1])
    return size * (1.4 * lines + 1.9 * rows + 0.9 * tall * rows) + 18


def board_slides(items: list[tuple[str, str]], title: str) -> list[Slide]:
    """Return the slides that the items for the board fill, each as full as it may be."""
    pages = [([], [])]  # the parts of each, and their heights
    for kind, text in items:
        need = height(kind, text)
        if pages[-1][0] and sum(pages[-1][1]) + need > HEIGHT:
            pages.append(([], []))
        pages[-1][0].append(f'<div class="{kind}">{offline_page.markdown(text)}</div>')
        pages[-1][1].append(need)
    return [
        Slide(title, "\n".join(page), "board", LARGE * _sparse(page, used)) for page, used in pages if page
    ]


def _sparse(page: list[str], used: list[float]) -> bool:
    """Whether a board has so little on it, and no equation, that larger letters fit."""
    return sum(used) < FEW and not any("katex-display" in part for part in page)


def printed(text: str) -> tuple[str, int, float]:
    """Return what a cell printed as HTML, the size of its letters, and its height in px."""
    lines = text.rstrip().split("\n")
    longest = max(map(len, lines), default=1)
    size = max(17, min(19, int(1150 / (0.62 * max(longest, 1)))))
    rows = sum(-(-len(line) // int(1150 / (0.62 * size))) for line in lines)
    return offline_page.words(text), size, rows * size * 1.35 + 28


def tables(text: str) -> list[str]:
    """Return a Markdown output in parts that fit a slide: a table cut between rows, its head repeated; a list
    between its entries."""
    text = FOLDED.sub("", text).strip()
    lines = [line for line in text.split("\n") if line.strip()]
    first = next((i for i, line in enumerate(lines) if re.match(r"\|[:\-| ]+\|$", line)), None)
    if first is not None:
        head, rows = lines[: first + 1], lines[first + 1 :]
        rows, below = [r for r in rows if r.startswith("|")], [r for r in rows if not r.startswith("|")]
        parts = ["\n".join(head + rows[i : i + 15]) for i in range(0, len(rows), 15)]
        return parts[:-1] + ["\n\n".join([*parts[-1:], *below])]
    entries = re.split(r"\n(?=\d+\. )", text)
    if len(entries) > 1:
        return ["\n".join(entries[i : i + 4]) for i in range(0, len(entries), 4)]
    return [text]


def shown(text: str) -> tuple[str, int, float]:
    """Return one part of a Markdown output as HTML, the size of its letters, and its height in px."""
    lines = [line for line in text.split("\n") if line.strip()]
    wide = max((len(line) for line in lines if line.startswith("|")), default=0)
    size = 21 if wide < 105 and len(lines) < 16 else 18 if wide < 150 else 16
    return offline_page.markdown(text), size, len(lines) * (size * 1.4 + 8) + 20


def _pieces(cell) -> list[tuple[str, str, int, float]]:
    """Return what a cell shows as (kind, HTML, size of letters, height), captions after what they describe."""
    found = []
    for one in cell.outputs:
        data = one.get("data", {})
        text = data.get("text/markdown", "")
        if one["output_type"] == "stream" and one["name"] == "stdout":
            found.append(("words", *printed(one["text"])))
        elif "image/png" in data:
            found.append(("picture", f"<figure>{offline_page.picture(one)}</figure>", 0, 300.0))
        elif handout.CAPTION.match(text):
            rest = handout.CAPTION.sub("", text)
            found.append(("caption", offline_page.markdown(rest), 0, 27.0 * -(-len(rest) // 125)))
        elif text:
            table, _, caption = text.partition("\n\n**Table.** ")
            found += [("table", *shown(part)) for part in tables(table)]
            if caption:
                found.append(("caption", offline_page.markdown(caption), 0, 27.0 * -(-len(caption) // 125)))
        elif "text/plain" in data:
            found.append(("words", *printed(data["text/plain"])))
    return found


def output_slides(cell, title: str, code: list[Slide]) -> list[Slide]:
    """Return `code`, the slide of a tagged cell's code if it has one, and the slides of what the cell shows.

    There is one picture a slide, with its caption and the lines that leave it room; what is too tall goes on, on
    the next slide.
    """
    slides, full = list(code), False
    used = HEIGHT - code[0].room if code else HEIGHT + 1.0
    for kind, text, size, need in _pieces(cell):
        wraps = {"words": f'<div class="printed" style="--size: {size}px">{text}</div>', "picture": text}
        part = wraps.get(kind, f'<div class="{"caption" if kind == "caption" else "shown"}"'
                         f'{f" style={chr(34)}--size: {size}px{chr(34)}" if size else ""}>{text}</div>')  # fmt: skip
        fits = used + need <= HEIGHT or (kind == "caption" and len(slides) > len(code))
        if not fits or (kind == "picture" and full):
            slides.append(Slide(title, ""))
            used, full = 0.0, False
        slides[-1].content += part
        used += need + 12
        full = full or kind == "picture"
        slides[-1].room = HEIGHT - used
    return slides


def code_slide(cell, title: str) -> Slide:
    """Return the slide of a cell's code, its letters as large as its lines allow."""
    lines = cell.source.rstrip().split("\n")
    longest, count = max(map(len, lines)), len(lines)
    size = max(14, min(22, int(1130 / (0.62 * longest)), int((HEIGHT - 30) / (1.36 * count))))
    room = HEIGHT - 1.36 * count * size - 30
    return Slide(title, offline_page.code(cell.source), "code", size, room=room)


def cell_slides(cell, section: str) -> list[Slide]:
    """Return the slides of a cell tagged `slide`."""
    if cell.cell_type == "markdown":
        return board_slides([("shown", FOLDED.sub("", cell.source))], section)
    name = handout.TITLE.match(cell.source)
    title, kind = section, ""
    if name:
        kind = (KINDS.match(name[1]) or [""])[0].strip(": ")
        words = KINDS.sub("", name[1]).strip()
        title = html.escape(words[:1].upper() + words[1:] if re.match("[a-z][a-z ]", words) else words)
    code = [] if cell.metadata.get("jupyter", {}).get("source_hidden") else [code_slide(cell, title)]
    slides = output_slides(cell, title, code)
    if kind in ("Widget", "Quiz") and slides:
        slides[0].where = f"{kind}, live in the notebook"
    return slides


def opening(cells: list) -> list[Slide]:
    """Return the title slide, and one with what the lesson promises, if it does."""
    first = handout.BADGE.sub("", cells[0].source)
    name, *rest = blocks(first)
    idea = next((block for block in rest if ALONE.fullmatch(block) and block.startswith("**")), "")
    slides = [Slide(inline(name.removeprefix("# ")), f"<p>{inline(idea.strip('*'))}</p>", "title")]
    texts = [block for cell in cells[:8] if cell.cell_type == "markdown" for block in blocks(cell.source)]
    for block in texts:
        if block.startswith(PROMISE):
            goals = re.split(r" ·|\n- ", "\n".join([block, *texts[texts.index(block) + 1 :][:1]])
                             if block == PROMISE else block)  # fmt: skip
            goals = [goal.strip(" .;\n") for goal in goals]
            goals[0] = goals[0].removeprefix(PROMISE).strip()
            items = "".join(f"<li>{inline(goal)}</li>" for goal in goals if goal)
            slides.append(Slide("After this lesson you can", f"<ul>{items}</ul>", "board"))
    return slides


def deck(cells: list) -> list[Slide]:
    """Return the slides of a lesson: the opening, and each section that has a cell tagged `slide`."""
    slides, section, waiting, prose, tagged = opening(cells), "", [], [], False
    first = len(slides)
    for index, cell in enumerate(cells):
        if cell.cell_type == "markdown" and cell.source.startswith("## "):
            slides += board_slides(waiting, section) if tagged else []
            heading = cell.source.partition("\n")[0].removeprefix("## ")
            section = inline(re.sub(r" *\*\((core|deeper)\)\* *$", "", heading))
            waiting, tagged = [], False
        kind = cell.metadata.get("slideshow", {}).get("slide_type", "")
        if kind == "slide":
            made = board_slides(waiting, section) if section else []
            made += cell_slides(cell, section or slides[0].title)
            if made:
                made[0].notes += prose
                slides += made
            waiting, prose, tagged = [], [], True
        elif kind != "skip" and cell.cell_type == "markdown" and index > 0:
            for item in board(cell.source) if section else []:
                if waiting or not (tagged and slides[-1].closes_with(item)):
                    waiting.append(item)
            read = "\n\n".join(block for block in blocks(cell.source) if not block.startswith("#"))
            (slides[-1].notes if tagged and not (waiting or prose) else prose).append(read)
    slides += board_slides(waiting, section) if tagged else []
    return slides[:first] + [slide for slide in slides[first:] if slide.content]


def page(title: str, made: list[Slide]) -> str:
    """Return slides as one HTML document with reveal.js in it."""
    sections = "\n".join(slide.html() for slide in made)
    parts = {name: (REVEAL / f"{name}.js").read_text(encoding="utf-8") for name in ("reveal", "notes")}
    scripts = {name: text.replace("</script", "<\\/script") for name, text in parts.items()}
    style = (REVEAL / "reveal.css").read_text(encoding="utf-8")
    return offline_page.page(title, BODY.format(sections=sections, **scripts), style + CSS)


def make(root: Path, word: str) -> tuple[str, str]:
    """Return the slug of a lesson and its deck as HTML. Ends with one line for what is no lesson."""
    slug, book = offline_page.notebook(root, word)
    title = book.cells[0].source.partition("\n")[0].removeprefix("# ")
    return slug, page(title, deck(book.cells))


if __name__ == "__main__":
    sys.exit(handout.main(sys.argv[1:], make, "slides"))
