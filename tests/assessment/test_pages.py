"""The lecturer's pages: links, quoted numbers, named functions, parts that must be there, and what would drift.

A number that was measured in the course is a link to where it stands: to a card, with the figure's key as the
link's title, or to a notebook, with words of the line in whose output it occurs.
"""

import ast
import inspect
import json
import re
import sys
import types
from functools import cache
from pathlib import Path

import nbformat
import pytest

import course_utils as cu
import tasks
from course_utils.system.folders import ROOT
from tools import class_pages

ASSESSMENT = ROOT / "assessment"
PAPERS, PROJECT, TERM = (ASSESSMENT / name for name in ("papers.md", "project.md", "README.md"))
TEACHING = ROOT / "teaching" / "README.md"
RUBRICS = sorted((ASSESSMENT / "rubrics").glob("*.md"))
PAGES = [TERM, PAPERS, PROJECT, *RUBRICS, TEACHING]

LINK = re.compile(r'\[([^\]]+)\]\(([^)\s]+)(?: "([^"]*)")?\)')
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
DECIMAL = re.compile(r"\d+\.\d+|\d+ ?%")


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


# Links


def anchors(path: Path) -> set[str]:
    """The anchors that the repository's page gives to the headings of a Markdown file."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", text_of(path)), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", LINK.sub(r"\1", heading).lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in plain}


def broken_links(path: Path, text: str) -> list[str]:
    """Relative links of `text` whose file or anchor is missing."""
    found = []
    for _, target, _ in LINK.findall(FENCE.sub("", text)):
        place, _, anchor = target.partition("#")
        file = (path.parent / place).resolve() if place else path
        if not file.exists() or (anchor and anchor not in anchors(file)):
            found.append(target)
    return found


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_links_resolve(path):
    assert not broken_links(path, text_of(path))


def test_a_broken_link_is_seen():
    assert broken_links(TERM, "[a](papers.md) [b](paper.md)") == ["paper.md"]
    assert broken_links(TERM, "[a](#weights) [b](#wages)") == ["#wages"]


# Numbers


@cache
def shown(notebook: Path) -> tuple[str, ...]:
    """The lines of text in the outputs of an executed notebook, white space reduced."""
    book = nbformat.read(notebook, as_version=4)
    outputs = [output for cell in book.cells if cell.cell_type == "code" for output in cell.outputs]
    texts = [output.get("text") or output.get("data", {}).get("text/plain", "") for output in outputs]
    return tuple(plain(line) for text in texts for line in text.splitlines())


def plain(text: str) -> str:
    """White space reduced to single blanks, soft hyphens removed, one kind of minus."""
    return " ".join(text.replace("\u00ad", "").replace("−", "-").split())


def on_card(quoted: str, card: Path, keys: str) -> bool:
    """Whether the numbers of `quoted`, parted by ±, are the card's figures `keys`, parted by ;, rounded alike.

    A key may be one of the card's own entries, with `/ 60` behind it.
    """
    entries = json.loads(text_of(card))
    values = []
    for key in keys.split("; "):
        key, _, divisor = key.partition(" / ")
        value = entries["figures"][key]["value"] if key in entries["figures"] else entries.get(key)
        if not isinstance(value, int | float):
            return False
        values.append(value / float(divisor or 1))
    numbers = [number.replace(",", "") for number in quoted.split(" ± ")]
    digits = [len(number.partition(".")[2]) for number in numbers]
    alike = [f"{value:.{d}f}" for value, d in zip(values, digits, strict=False)]
    return len(numbers) == len(values) and numbers == alike


def in_lines(quoted: str, lines, words: str) -> bool:
    """Whether `quoted` stands, as a number of its own, in a line that holds `words`."""
    number = re.compile(rf"(?<![\d.,]){re.escape(plain(quoted))}(?!\d|[.,]\d)")
    return any(plain(words) in line and number.search(line) for line in lines)


def false_numbers(path: Path, text: str) -> list[str]:
    """Quoted numbers of `text` that do not stand where they link to."""
    found = []
    for quoted, target, title in LINK.findall(text):
        file = (path.parent / target.partition("#")[0]).resolve()
        if file.name == "card.json":
            right = on_card(quoted, file, title)
        elif file.suffix == ".ipynb":
            right = bool(title) and in_lines(quoted, shown(file), title)
        elif title:
            right = in_lines(quoted, [plain(line) for line in text_of(file).splitlines()], title)
        else:
            continue
        if not right:
            found.append(f"{quoted} ({title})")
    return found


@pytest.mark.parametrize("path", [PAPERS, PROJECT, TERM, TEACHING], ids=name_of)
def test_quoted_numbers_stand_where_they_link_to(path):
    assert not false_numbers(path, text_of(path))


def test_a_false_number_is_seen():
    card, book = "../data/runs/05_gan/card.json", "../notebooks/06_diffusion.ipynb"
    key = "Fréchet distance, test, n = 5,000; spread of the distance, test, n = 5,000"
    right = f'[0.87 ± 0.05]({card} "{key}") [12.7]({book} "strays among the draws")'
    assert not false_numbers(PAPERS, right)
    for wrong in (
        right.replace("0.87", "0.88"),
        right.replace(" ± 0.05", ""),
        right.replace("n = 5,000;", "n = 4,000;"),
        right.replace("12.7", "2.7"),
        right.replace("strays among", "energy distance of"),
        f"[12.7]({book})",
    ):
        assert len(false_numbers(PAPERS, wrong)) == 1, wrong


def test_every_measured_number_has_its_place():
    """In gaps, baselines and the tables for the opening lecture no decimal or percentage stands without a link."""
    lines = [line for line in text_of(PAPERS).splitlines() if line.startswith("- **The gap.**")]
    lines += [line for line in text_of(PROJECT).splitlines() if line.startswith("- **Baseline.**")]
    lines += [line for line in text_of(TEACHING).splitlines() if line.startswith("| ")]
    assert len(lines) > 60
    bare = [LINK.sub("", re.sub(r"arXiv:[\d.]+|w = [\d.]+", "", line)) for line in lines]
    assert not [(line[:60], DECIMAL.findall(line)) for line in bare if DECIMAL.search(line)]


def test_counts_in_words_are_those_of_the_notebook():
    """Five of the eight metrics of lesson 07 are led by the training set, as the opening lecture says."""
    lines = shown(ROOT / "notebooks" / "07_comparing_models.ipynb")
    champions = lines[lines.index("metric champion") + 2 :][:8]
    assert all(re.search(r"`\w+`$", line) for line in champions)
    assert sum(line.endswith("`mystery`") for line in champions) == 5
    assert "champion by five of eight metrics" in text_of(TEACHING)


# Functions


@cache
def defined_in(lesson: str) -> set[str]:
    """Functions and classes that a lesson defines or imports from an earlier one."""
    (source,) = (ROOT / "lessons").glob(f"{lesson}_*.py")
    names = set()
    for node in ast.walk(ast.parse(text_of(source))):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
    return names


def unknown_names(bullet: str) -> list[str]:
    """Names in `code` that no lesson of the bullet defines; runs, and names of the package, are known."""
    lessons = re.findall(r"[Ll]esson (\d\d?b?|A)\b", bullet)
    known = {name for lesson in lessons for name in defined_in(lesson)}
    known |= {path.name for path in (ROOT / "data" / "runs").iterdir()}
    return [name for name in re.findall(r"`([^`]+)`", bullet) if name not in known]


AFTERNOONS = [line for line in text_of(PAPERS).splitlines() if line.startswith("- **Afternoon.**")]
STARTS = [line for line in text_of(PROJECT).splitlines() if line.startswith("- **Start from.**")]


@pytest.mark.parametrize("bullet", AFTERNOONS + STARTS, ids=lambda bullet: bullet[3:50])
def test_lessons_and_functions_that_a_bullet_names_exist(bullet):
    assert re.search(r"[Ll]esson (\d\d|A)", bullet) and "`" in bullet
    assert not unknown_names(bullet)


def test_an_unknown_function_is_seen():
    assert unknown_names("Lesson 05, `play` and `plays`, run `05_gan`") == ["plays"]
    assert unknown_names("Lesson 04, `play`") == ["play"]


# Papers and projects


def entries(path: Path) -> list[tuple[int, str, str]]:
    """(number, title, body) of the numbered third-level headings of a page."""
    parts = re.findall(r"^### (\d+) · (.+)\n([\s\S]*?)(?=^##|\Z)", text_of(path), re.MULTILINE)
    return [(int(number), title, body) for number, title, body in parts]


def bullets(body: str) -> dict[str, str]:
    """Label → text of the bullets `- **Label.** text`."""
    return dict(re.findall(r"^- \*\*(.+?)\.\*\* (.+)$", body, re.MULTILINE))


def test_there_are_thirty_papers_by_theme():
    papers = entries(PAPERS)
    assert [number for number, _, _ in papers] == list(range(1, 31))
    assert len({title for _, title, _ in papers}) == 30
    themes = re.findall(r"^## (.+)$", text_of(PAPERS), re.MULTILINE)
    assert len(themes) == 7


@pytest.mark.parametrize("paper", entries(PAPERS), ids=lambda paper: paper[1][:40])
def test_a_paper_has_all_its_parts(paper):
    _, _, body = paper
    citation = body.splitlines()[0]
    year = re.search(r"\b(19|20)\d\d\b", citation)
    assert year and re.search(r" and |[A-Z]\. ", citation)
    for number in re.findall(r"arXiv:(\S+)", citation):
        assert re.fullmatch(r"\d{4}\.\d{4,5}[.,]?", number)
        assert 2000 + int(number[:2]) <= int(year[0]) + 1  # posted before, or in the year after, it appeared
    parts = bullets(body)
    assert list(parts) == ["Why", "Start", "Afternoon", "The gap"]
    first, second = re.fullmatch(r"\(a\) (.+?[.?]) \(b\) (.+?[.?])", parts["Start"]).groups()
    assert first != second
    assert len(parts["Why"]) < 160 and all(len(part) > 40 for part in parts.values())


LINES = ["Question", "Start from", "Baseline", "Metric and floor", "Stretch", "Fits", "Ethics"]


def test_there_are_twelve_briefs():
    briefs = entries(PROJECT)
    assert [number for number, _, _ in briefs] == list(range(1, 13))
    assert len({title for _, title, _ in briefs}) == 12


@pytest.mark.parametrize("brief", entries(PROJECT), ids=lambda brief: brief[1])
def test_a_brief_has_all_its_lines(brief):
    parts = bullets(brief[2])
    assert list(parts) == LINES and all(len(part) > 40 for part in parts.values())
    assert parts["Question"].endswith("?")
    assert [title for _, _, title in LINK.findall(parts["Baseline"]) if title], "no measured baseline"
    assert re.search(r"[Ff]loor|[Cc]eiling|marks to read it by", parts["Metric and floor"])
    assert re.search(r"CPU cores|GPU", parts["Fits"])


# Weights, rubrics and the review form


def table(text: str, first: str) -> list[list[str]]:
    """The rows of the Markdown table whose head begins with the cell `first`."""
    head = rf"^\| {re.escape(first)} \|.*\n\|[-| ]+\|\n((?:\|.*\n)+)"
    rows = re.search(head, text + "\n", re.MULTILINE)[1]
    return [[cell.strip() for cell in row.strip().strip("|").split("|")] for row in rows.splitlines()]


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_rows_of_a_table_have_as_many_cells_as_its_head(path):
    tables = re.findall(r"(?:^\|.*\|$\n?)+", text_of(path), re.MULTILINE)
    assert all(len({row.count("|") for row in rows.splitlines()}) == 1 for rows in tables)


def test_the_weights_sum_to_100():
    weights = {row[0]: float(row[1]) for row in table(text_of(TERM), "part")}
    assert sum(weights.values()) == pytest.approx(100)
    assert sum(w for part, w in weights.items() if part.startswith("Assignment")) == 30
    project = {part: w for part, w in weights.items() if part.startswith("Project")}
    shares = {"Project: proposal": 0.10, "Project: presentation": 0.45, "Project: report": 0.45}
    assert project == pytest.approx({part: 30 * share for part, share in shares.items()})


def judged(path: Path) -> dict[str, int]:
    """Criterion → points of a rubric."""
    return {row[0]: int(row[1]) for row in table(text_of(path), "criterion")}


@pytest.mark.parametrize("path", RUBRICS, ids=name_of)
def test_a_rubric_has_an_anchor_for_each_grade(path):
    head = re.search(r"^\| criterion \| points \| (.+) \|$", text_of(path), re.MULTILINE)[1].split(" | ")
    grades = [grade.split(" (")[0] for grade in head]
    assert grades == ["excellent", "good", "sufficient", "weak", "failing"]
    assert sum(judged(path).values()) == 100
    for row in table(text_of(path), "criterion"):
        anchors = row[2:]
        assert len(anchors) == 5 and len(set(anchors)) == 5 and all(len(anchor) > 4 for anchor in anchors)


def test_a_rubric_leaves_no_points_between_grades_that_overlap():
    for path in RUBRICS:
        head = re.search(r"^\| criterion \| points \| (.+) \|$", text_of(path), re.MULTILINE)[1]
        ranges = [tuple(map(int, pair)) for pair in re.findall(r"\((\d+)–(\d+)", head)]
        assert len(ranges) == 5 and ranges[-1][0] == 0
        assert all(high[0] > low[1] for high, low in zip(ranges, ranges[1:], strict=False))


def test_the_presentation_is_judged_by_the_five_criteria():
    criteria = " ".join(judged(ASSESSMENT / "rubrics" / "presentation.md")).lower()
    assert len(judged(ASSESSMENT / "rubrics" / "presentation.md")) == 5
    for word in ("importance", "conviction", "justice", "gaps and directions", "presentation"):
        assert word in criteria


def test_peers_use_the_rubric_of_the_presentation():
    form = re.findall(r"^ {5}(.+?) +__ of (\d+) ", text_of(PROJECT), re.MULTILINE)
    rubric = judged(ASSESSMENT / "rubrics" / "project_presentation.md")
    assert {criterion.lower(): int(points) for criterion, points in form} == {
        criterion.lower(): points for criterion, points in rubric.items()
    }


# The plans


def plan(name: str) -> list[list[str]]:
    """The rows of a plan: week, two sessions, what is handed out, what is due."""
    part = text_of(TERM).split(f"<!-- {name}:begin -->")[1].split(f"<!-- {name}:end -->")[0]
    return table(part, "week")


def weeks_of(rows, words: str, column: int) -> list[int]:
    """The weeks in which a column of the plan has an item that contains `words`, and is not handed *back*."""
    items = [(int(row[0]), item) for row in rows for item in re.split("[,;]", row[column].lower())]
    return [week for week, item in items if words in item and not item.endswith(" back")]


@pytest.mark.parametrize(("name", "weeks"), [("fifteen", 15), ("seven", 7)])
def test_a_plan_hands_out_before_it_collects(name, weeks):
    rows = plan(name)
    assert [int(row[0]) for row in rows] == list(range(1, weeks + 1))
    assert all(row[1] and row[2] for row in rows)
    for number in (1, 2):
        (out,), (due,) = (weeks_of(rows, f"assignment {number}", column) for column in (3, 4))
        assert out < due, f"assignment {number}"
    assert weeks_of(rows, "mid-term", 3)[0] <= weeks_of(rows, "mid-term", 4)[0]
    assert weeks_of(rows, "project briefs", 3)[0] < weeks_of(rows, "project proposal", 4)[0]
    assert weeks_of(rows, "list of papers", 3)[0] < weeks_of(rows, "bids", 4)[0]
    assert weeks_of(rows, "report", 4) == [weeks]


def taught(rows) -> dict[str, int]:
    """Lesson → the first week in which a plan teaches it."""
    weeks = {}
    for row in rows:
        for number in re.findall(r"^\[(\w+)\]\(\.\./teaching/", "\n".join(row[1:3]), re.MULTILINE):
            weeks.setdefault(number, int(row[0]))
    return weeks


@pytest.mark.parametrize(("name", "papers", "projects"), [("fifteen", 12, 12), ("seven", 6, 8)])
def test_a_plan_teaches_before_it_asks(name, papers, projects):
    rows = plan(name)
    week = taught(rows)
    (due,) = weeks_of(rows, "assignment 1", 4)
    assert all(week[f"0{n}"] < due for n in range(1, 5))  # assignment 1 is about lessons 01 to 04
    assert all(week[f"0{n}"] <= weeks_of(rows, "mid-term", 4)[0] for n in range(8))
    (due,) = weeks_of(rows, "assignment 2", 4)
    assert all(week[number] < due for number in ("05", "06", "07", "09"))
    for kind, count in (("papers", papers), ("projects", projects)):
        slots = re.findall(
            rf"{kind} (\d+) to (\d+)", text_of(TERM).split(f"{name}:begin")[1].split(f"{name}:end")[0]
        )
        held = [n for first, last in slots for n in range(int(first), int(last) + 1)]
        assert held == list(range(1, count + 1))


def test_plans_say_which_lessons_are_to_come():
    there = {sheet.number for sheet in class_pages.sheets()}
    linked = set(re.findall(r"^\| \d.*", text_of(TERM), re.MULTILINE))
    named = {number for row in linked for number in re.findall(r"\[(\d\d?b?|A)\]\(\.\./teaching", row)}
    waiting = {number for number, _ in class_pages.TO_COME.findall(text_of(TERM))}
    assert named <= there and named and waiting
    assert not waiting & there, "python tasks.py pages"
    assert not re.findall(r"\*\*\w+\*\* [^|]*\(to come", class_pages.TO_COME.sub("", text_of(TERM)))


# What is gathered


def test_the_gathered_questions_are_up_to_date():
    for path, wanted in class_pages.pages().items():
        assert text_of(path) == wanted, f"{name_of(path)} has fallen behind: python tasks.py pages"


FEWER_POLLS = {"03b", "06b"}  # two


def test_every_sheet_asks_and_polls():
    found = class_pages.sheets()
    assert not [sheet.number for sheet in found if len(sheet.questions) < 2]
    assert {sheet.number for sheet in found if len(sheet.polls) < 3} == FEWER_POLLS
    assert all(len(sheet.polls) >= 2 for sheet in found)


@pytest.fixture
def copied(tmp_path):
    """The teaching folder and the plans, to be changed."""
    for source in [*(ROOT / "teaching").glob("*.md"), TERM, PAPERS]:
        target = tmp_path / source.relative_to(ROOT)
        target.parent.mkdir(exist_ok=True)
        target.write_text(text_of(source), encoding="utf-8")
    return tmp_path


def test_a_changed_question_changes_the_page(copied):
    sheet = copied / "teaching" / "05_generative_adversarial_networks.md"
    sheet.write_text(text_of(sheet).replace("Publish a detector", "Sell a detector"), encoding="utf-8")
    page = class_pages.pages(copied)[copied / "teaching" / "README.md"]
    assert "Sell a detector" in page and "Publish a detector" not in page


def test_a_lesson_that_came_is_linked(copied):
    (copied / "teaching" / "12_conditional_generation.md").write_text(
        "# Run sheet: 12 Conditional generation\n"
    )
    plans = class_pages.pages(copied)[copied / "assessment" / "README.md"]
    row = "[12](../teaching/12_conditional_generation.md) Conditional generation |"
    assert plans.count(row) == 2 and "**22**" in plans and "**12**" not in plans
    (copied / "teaching" / "13_better_gans.md").write_text("# Run sheet: 13 Better GANs\n")
    teaching = class_pages.pages(copied)[copied / "teaching" / "README.md"]
    assert (
        "have [lesson 13](../teaching/13_better_gans.md); papers" in teaching
        and "lesson 22 (to come)" in teaching
    )


def test_a_page_that_cannot_be_gathered_says_what_to_do(copied):
    page = text_of(copied / "teaching" / "README.md")
    with pytest.raises(ValueError, match="keep the lines"):
        class_pages.between_marks(page.replace(class_pages.END, ""), "")
    (copied / "teaching" / "12_x.md").write_text("# Lesson 12\n")
    with pytest.raises(ValueError, match="12_x.md:1: begin with"):
        class_pages.pages(copied)


def test_students_get_the_papers_without_the_gaps(tmp_path, capsys):
    class_pages.main(["papers", "--to", str(tmp_path / "out")])
    students = text_of(tmp_path / "out" / "papers.md")
    page = text_of(tmp_path / "out" / "papers.html")
    assert page.count("<strong>Afternoon.</strong>") == 30 and "gap" not in page.split("<body>")[1].lower()
    assert "links to a card" not in students
    assert students.count("- **Afternoon.**") == 30 and "](" not in students
    assert "gap" not in students.lower().replace("`gaps`", "") and "For the lecturer" not in students
    with pytest.raises(SystemExit, match="is there already"):
        class_pages.main(["papers", "--to", str(tmp_path / "out")])
    with pytest.raises(SystemExit, match="needs a folder"):
        class_pages.main(["papers"])


# Commands


def test_commands_on_the_pages_exist():
    words = {word for path in PAGES for word in re.findall(r"python3? tasks\.py ([\w-]+)", text_of(path))}
    assert {"assignment", "marks", "midterm", "slides", "handout", "pages"} <= words
    assert words <= set(tasks.COMMANDS)


def test_the_word_pages_runs_the_tool(monkeypatch):
    asked = []
    monkeypatch.setattr(tasks, "ensure_environment", lambda: "python")
    monkeypatch.setattr(tasks, "run", lambda command: asked.extend(command) or 0)
    assert tasks.COMMANDS["pages"](["papers"]) == 0
    assert asked == ["python", "tools/class_pages.py", "papers"] and (ROOT / asked[1]).is_file()


# The reproducibility rule


def run_template(monkeypatch, draw) -> int | bool:
    """Execute the page's reproduce.py with `draw` as the project's model; return its exit status."""
    source = re.search(r'```python\n(""".*?)```', text_of(PROJECT), re.DOTALL)[1]
    monkeypatch.setitem(sys.modules, "model", types.SimpleNamespace(draw=draw))
    monkeypatch.setattr(cu, "setup", lambda seed=0: None, raising=False)
    with pytest.raises(SystemExit) as stopped:
        exec(compile(source, "reproduce.py", "exec"), {})
    return stopped.value.code


def test_the_template_reproduces_a_headline_number(monkeypatch, capsys):
    """Status 0 where the measured distance is near the claim, 1 where it is not; the call fits `cu.metrics`."""
    call = inspect.signature(cu.metrics.score)

    def measured(distance):
        def score(*sets, **options):
            asked = call.bind(*sets, **options).arguments
            assert asked == {"samples": [(1_000, seed) for seed in range(5)], "reference": "validation"}
            return cu.metrics.Score(1_000, 5, "validation", distance, 0.3, 0.2, 0.02)

        return score

    for distance, wrong in ((4.11, False), (4.9, False), (5.1, True), (3.1, True)):
        monkeypatch.setattr(cu.metrics, "score", measured(distance))
        assert run_template(monkeypatch, lambda n, seed: (n, seed)) == wrong
    assert "claimed 4.11 ± 0.93, measured Fréchet distance 4.90 ± 0.30" in capsys.readouterr().out


def test_the_templates_tolerance_is_three_spreads_of_the_card():
    card = json.loads(text_of(ROOT / "data" / "runs" / "06_steps" / "card.json"))["figures"]
    claim, tolerance = (
        float(x) for x in re.findall(r"^(?:CLAIM|TOLERANCE) = ([\d.]+)", text_of(PROJECT), re.M)
    )
    assert claim == round(card["η = 1.5, 50 steps: distance"]["value"], 2)
    assert tolerance == pytest.approx(3 * round(card["η = 1.5, 50 steps: distance spread"]["value"], 2))
