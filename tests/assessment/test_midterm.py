"""The mid-term: a bank that is complete and right, papers that are balanced, and pages that show everything."""

import base64
import contextlib
import io
import json
import re
import subprocess
import sys
from collections import Counter

import nbformat
import pytest

from assessment.midterm import figures
from course_utils.system.folders import ROOT
from tests.assessment.midterm_answers import NUMBERS, ran
from tests.assessment.midterm_programs import PROGRAMS
from tools import midterm, offline_page
from tools.assessment import bank, paper, sheets

BANK = bank.read(midterm.BANK)
BY_NAME = {question.name: question for question in BANK}
LESSONS = ["00", "01", "02", "02b", "03", "03b", "04", "04b", "05", "06", "06b", "07"]
DEBUGGING = [question.name for question in BANK if question.kind == "debugging code"]
NUMBER = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+\.\d+|\d+")
QUIET = re.compile(r"```.*?```|`[^`]*`|\\[td]?frac\d\d|10\\log_\{10\}|10\^", re.DOTALL)


# The bank


def test_the_bank_has_sixty_questions_of_every_kind_from_every_lesson():
    assert len(BANK) == 60
    assert Counter(question.lesson for question in BANK) == dict.fromkeys(LESSONS, 5)
    assert Counter(question.kind for question in BANK) == dict.fromkeys(bank.KINDS, 15)
    for lesson in LESSONS:
        assert {question.kind for question in BANK if question.lesson == lesson} == set(bank.KINDS)
    levels = Counter(question.difficulty for question in BANK)
    assert min(levels.values()) >= 12
    assert len({question.title for question in BANK}) == 60


@pytest.mark.parametrize("question", BANK, ids=lambda question: question.name)
def test_a_question_is_well_formed(question):
    total = sum(points for points, _ in question.marks)
    assert 3 <= len(question.marks) <= 7 and 5 <= total <= 12, "the scheme gives points for steps"
    parts = set(re.findall(r"^\(([a-z])\)", question.text, re.MULTILINE))
    assert set(re.findall(r"^\(([a-z])\)", question.answer, re.MULTILINE)) >= parts
    assert {part for _, what in question.marks for part in re.findall(r"\(([a-e])\)", what)} >= parts
    for other in question.apart:
        assert question.name in BY_NAME[other].apart
    assert 5 <= question.minutes <= 18 and question.minutes <= 2.2 * total
    spans = {1: (5, 8), 2: (8, 14), 3: (12, 18)}
    assert spans[question.difficulty][0] <= question.minutes <= spans[question.difficulty][1]
    assert bool(question.program) == (question.kind == "debugging code")
    assert len(question.figures) == (question.kind == "reading a figure")
    lines = question.program.splitlines()
    assert len(lines) <= 45 and max(map(len, lines), default=0) <= 105


def test_a_question_names_sections_that_exist():
    for question in BANK:
        for lesson, said in re.findall(r"lessons? (\d\d[a-z]?), sections? ([\d, and]+)", question.where):
            (source,) = (ROOT / "lessons").glob(f"{lesson}_*.py")
            headings = re.findall(r"^# ## (\d+)b? ·", source.read_text(encoding="utf-8"), re.MULTILINE)
            assert set(re.findall(r"\d+", said)) <= set(headings), (question.name, said)


def test_every_wrong_option_has_its_reason():
    for question in BANK:
        options = re.findall(r"^- \*\*([A-D])\.\*\*", question.text, re.MULTILINE)
        if not options:
            continue
        assert options == list("ABCD"), question.name
        (right,) = re.findall(r"\*\*([A-D])\.\*\*", question.answer)
        wrong = set(re.findall(r"^- ([A-D])\b", question.answer, re.MULTILINE))
        assert wrong == set("ABCD") - {right}, question.name
        assert question.answer.count("*Misconception:") >= 2, question.name


def test_the_right_options_are_spread():
    right = Counter(letter for q in BANK for letter in re.findall(r"\*\*([A-D])\.\*\*", q.answer))
    assert (
        sum(right.values()) >= 9 and max(right.values()) <= 3 and min(right[letter] for letter in "ABCD") >= 2
    )


# What the answers say


def value_of(text: str) -> tuple[float, float]:
    """The number that a text ends in or holds, and half a unit of its last digit."""
    plain = re.sub(r"(?<=\d)(?:\{,\}|,(?=\d{3}))(?=\d)", "", text).replace("\\", " ")
    found = re.findall(r"-?\d+(?:\.\d+)?", plain)[-1]
    return abs(float(found)), 0.5 * 10 ** -len(found.partition(".")[2])


@pytest.mark.parametrize("name", sorted(NUMBERS))
def test_every_number_is_what_it_is_said_to_be(name):
    question = BY_NAME[name]
    answer = question.answer
    said = NUMBERS[name](question)
    for text, value in said.items():
        assert text in answer, f"the answer of {name} does not say {text!r}"
        value, tolerance = value if isinstance(value, tuple) else (value, 0.0)
        number, half = value_of(text)
        if re.search(r"(?<![\w)}])-\d", text):
            assert value < 0, text
        assert abs(abs(float(value)) - number) <= max(half * 1.001, tolerance), (name, text, float(value))


def numbers_in(text: str) -> set[str]:
    """The numbers of a text that need a reason: decimals, and whole numbers from ten on."""
    plain = QUIET.sub(" ", text).replace("{,}", ",")
    return {n for n in NUMBER.findall(plain) if "." in n or int(n.replace(",", "")) >= 10}


@pytest.mark.parametrize("question", BANK, ids=lambda question: question.name)
def test_no_number_of_an_answer_is_left_unchecked(question):
    given = numbers_in(question.text) | set(NUMBER.findall(question.program))
    checked = set()
    if question.name in NUMBERS:
        checked = {
            n for text in NUMBERS[question.name](question) for n in NUMBER.findall(text.replace("{,}", ","))
        }
    assert numbers_in(question.answer) - given - checked == set()


def test_a_partial_e_step_can_lower_the_likelihood_but_never_the_bound():
    """Question 02.1, by a run: the ELBO rises at every round, the log-likelihood falls at some."""
    import torch
    from torch.distributions import Normal

    draws = torch.Generator().manual_seed(0)
    x = torch.cat([torch.randn(40, generator=draws) - 1, torch.randn(40, generator=draws) + 1]).double()
    q = torch.rand(80, generator=draws).double()
    q = torch.stack([q, 1 - q], 1)
    likelihoods, bounds = [], []
    params = None
    for _ in range(60):
        if params is not None:
            joint = params[0].log() + Normal(*params[1:]).log_prob(x[:, None])
            half = torch.randperm(80, generator=draws)[:40]
            q[half] = joint.softmax(1)[half]
        owned = q.sum(0)
        means = q.T @ x / owned
        params = owned / 80, means, ((q * (x[:, None] - means) ** 2).sum(0) / owned).sqrt()
        joint = params[0].log() + Normal(*params[1:]).log_prob(x[:, None])
        likelihoods.append(float(joint.logsumexp(1).sum()))
        bounds.append(float((q * (joint - q.clamp(min=1e-300).log())).sum()))
    assert all(after >= before - 1e-9 for before, after in zip(bounds, bounds[1:]))
    assert any(after < before - 1e-6 for before, after in zip(likelihoods, likelihoods[1:]))


def test_the_four_climbs_are_what_the_answer_says():
    """Question 02.3: only C falls; D leaps while fresh points fall; B lies still for thirty steps."""
    falls = {}
    for panel, (train, _) in figures.em_runs_data().items():
        falls[panel] = sum(after < before - 1e-9 for before, after in zip(train, train[1:]))
    assert falls["C"] > 5 and falls["A"] == falls["B"] == falls["D"] == 0
    train, fresh = figures.em_runs_data()["D"]
    assert len(train) < 60 and train[-1] > train[-3] + 0.5 and fresh[-1] < fresh[0] - 1
    train, _ = figures.em_runs_data()["B"]
    assert train[30] - train[5] < 0.01 and train[-1] - train[30] > 0.1


def test_the_completions_are_in_the_order_of_the_answer():
    """Question 02b.3: rows P, Q, R are draw, truth, mean; the seen halves agree; the mean errs less."""
    truth, means, draws = figures.completions_data()
    upper, lower = slice(0, 392), slice(392, 784)
    assert (truth[:, upper] == means[:, upper]).all() and (truth[:, upper] == draws[:, upper]).all()
    errors = [float((made - truth)[:, lower].square().mean()) for made in (means, draws)]
    assert errors[0] < 0.8 * errors[1]
    grey = [
        float(((rows > 0.2) & (rows < 0.8)).double().mean()) for rows in (truth[:, lower], means[:, lower])
    ]
    assert grey[1] > 2 * grey[0]


def test_the_noisiest_panel_has_the_flattest_weights():
    """Question 06b.3: V, W, U from the most to the least noise."""
    largest = {name: figures.posterior_weights_data(power).max() for name, power in figures.SEEN.items()}
    assert largest["V"] < 0.2 < largest["W"] < 0.9 < largest["U"]
    assert figures.SEEN["V"] < figures.SEEN["W"] < figures.SEEN["U"]


# The programs


def test_every_program_has_its_assertions():
    assert sorted(PROGRAMS) == sorted(DEBUGGING)


@pytest.mark.parametrize("name", DEBUGGING)
def test_a_program_has_exactly_the_fault_that_the_answer_names(name):
    question = BY_NAME[name]
    assert question.repaired != question.program
    broken, repaired = ran(question.program), ran(question.repaired)
    assert broken["printed"].strip() and broken["printed"] != repaired["printed"], (
        "the program shows its fault"
    )
    PROGRAMS[name](broken, repaired)


def test_a_repair_is_small():
    for name in DEBUGGING:
        diff = "".join(bank.REPAIR.findall(BY_NAME[name].answer))
        assert len(re.findall(r"^-", diff, re.MULTILINE)) <= 3, name
        assert len(re.findall(r"^\+", diff, re.MULTILINE)) <= 4, name


# The figures


def test_every_figure_is_asked_for_once_and_has_a_caption():
    asked = [name for question in BANK for name, _ in question.figures]
    assert sorted(asked) == sorted(figures.NAMES)
    assert all(len(caption) > 30 for question in BANK for _, caption in question.figures)


@pytest.mark.parametrize("name", sorted(figures.NAMES))
def test_a_figure_can_be_drawn(name):
    picture = figures.draw(name, "a caption")
    assert picture.png.startswith(b"\x89PNG") and 20_000 > len(picture.png) // 10 > 100
    assert picture.width >= 500 and picture.caption == "a caption"


# Papers


@pytest.mark.parametrize("minutes", [60, 90, 135, 180, 300])
def test_papers_are_balanced(minutes):
    for seed in range(8):
        chosen = paper.choose(BANK, seed, minutes)
        kinds = Counter(question.kind for question in chosen)
        lessons = Counter(question.lesson for question in chosen)
        levels = Counter(question.difficulty for question in chosen)
        used = sum(question.minutes for question in chosen)
        assert 0.96 * minutes <= used <= minutes
        assert paper.spread(kinds, bank.KINDS) <= 1
        assert paper.spread(lessons, LESSONS) <= 1
        assert all(abs(levels[d] / len(chosen) - {1: 19, 2: 26, 3: 15}[d] / 60) < 0.12 for d in (1, 2, 3))
        names = {question.name for question in chosen}
        assert len(names) == len(chosen) and not any(names & set(question.apart) for question in chosen)
        check_points(chosen)


def check_points(chosen):
    """A hundred points, in proportion to minutes, and each question's steps add up to its own."""
    worth = paper.points(chosen)
    assert sum(worth) == 100
    longest = max(range(len(chosen)), key=lambda i: chosen[i].minutes)
    assert worth[longest] == max(worth)
    for question, value in zip(chosen, worth):
        steps = paper.steps(question, value)
        assert sum(points for points, _ in steps) == value
        assert all(points >= 0.5 for points, _ in steps)


def test_the_same_seed_gives_the_same_paper_in_another_process():
    code = (
        "from pathlib import Path; from tools.assessment import bank, paper;"
        "print([q.name for q in paper.choose(bank.read(Path('assessment/midterm/bank')), 3, 180)])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    here = [question.name for question in paper.choose(BANK, 3, 180)]
    assert done.stdout.strip() == str(here)
    assert len({tuple(q.name for q in paper.choose(BANK, seed, 180)) for seed in range(6)}) == 6


def test_points_are_dealt_out_whole():
    assert paper.apportion(100, [1, 1, 1]) == [34, 33, 33]
    assert paper.apportion(7, [5, 1]) == [5, 2]
    assert sum(paper.apportion(100, list(range(1, 30)))) == 100
    with pytest.raises(ValueError, match="cannot be dealt out"):
        paper.apportion(2, [1, 1, 1])


def test_lessons_can_be_chosen_and_questions_left_out():
    half = midterm.select(BANK, ["00-03", "05"], ["02.4"])
    assert {question.lesson for question in half} == {"00", "01", "02", "02b", "03", "03b", "05"}
    assert len(half) == 34 and "02.4" not in {question.name for question in half}
    chosen = paper.choose(half, 1, 120)
    assert paper.spread(Counter(q.lesson for q in chosen), sorted({q.lesson for q in half})) <= 1
    with pytest.raises(bank.BankError, match="no lesson '08'"):
        midterm.select(BANK, ["08"], [])
    with pytest.raises(bank.BankError, match="no question '02.9'"):
        midterm.select(BANK, [], ["02.9"])
    with pytest.raises(bank.BankError, match="ask for at most"):
        paper.choose(midterm.select(BANK, ["00"], []), 1, 120)


# What is written


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The folder that the command of the lecturer's page writes."""
    folder = tmp_path_factory.mktemp("class") / "midterm"
    with contextlib.redirect_stdout(io.StringIO()) as said:
        assert midterm.main(["--seed", "3", "--minutes", "180", "--to", str(folder)]) == 0
    assert "100 points" in said.getvalue()
    return folder


def test_the_command_writes_paper_and_solution(written):
    names = ["paper.html", "paper.ipynb", "solution.html", "solution.ipynb"]
    assert sorted(path.name for path in written.iterdir()) == names
    assert all(path.stat().st_size < 1.5 * 2**20 for path in written.iterdir())


def test_the_paper_gives_nothing_away_and_the_solution_has_it_all(written):
    exam, solved = ((written / f"{name}.ipynb").read_text(encoding="utf-8") for name in ("paper", "solution"))
    pages = [(written / f"{name}.html").read_text(encoding="utf-8") for name in ("paper", "solution")]
    chosen = paper.choose(BANK, 3, 171)  # nine minutes are for reading
    assert (
        "3" not in re.findall(r"[Ss]eed.{0,3}(\d)", exam + pages[0])
        and "Seed 3." in solved
        and "Seed 3." in pages[1]
    )
    cells = ["\n".join(cell.source for cell in nbformat.reads(text, 4).cells) for text in (exam, solved)]
    for number, question in enumerate(chosen, 1):
        first = question.answer.splitlines()[0]
        assert f"## Question {number} · {question.title}" in cells[0] and first in cells[1]
        secret = [question.answer.strip(), *(what for _, what in question.marks if len(what) > 25)]
        assert not [text for text in secret if text in cells[0]]
        assert question.name not in re.findall(r"bank (\S+)\*", cells[0])
        assert f"Question {number} ·" in pages[0] and "Model answer" not in pages[0]
        if question.program:
            assert question.program.rstrip() in cells[0] and question.repaired.rstrip() not in cells[0]
    assert pages[1].count("<h3>Model answer</h3>") == pages[1].count("<h3>Marking</h3>") == len(chosen)


def test_a_notebook_is_valid_and_its_figures_go_with_it(written):
    for name in ("paper", "solution"):
        book = nbformat.read(written / f"{name}.ipynb", 4)
        nbformat.validate(book)
        assert len({cell["id"] for cell in book.cells}) == len(book.cells)
        shown = [n for cell in book.cells for n in re.findall(r"\(attachment:(\w+\.png)\)", cell.source)]
        kept = {n: data for cell in book.cells for n, data in cell.get("attachments", {}).items()}
        assert len(shown) >= 3 and sorted(shown) == sorted(kept)
        for data in kept.values():
            assert base64.b64decode(data["image/png"]).startswith(b"\x89PNG")
        assert "Figure `" not in json.dumps(book.cells)


def test_the_marks_on_the_solution_add_up_to_a_hundred(written):
    page = (written / "solution.html").read_text(encoding="utf-8")
    total = 0.0
    for table in re.findall(r'<table class="marks">.*?</table>', page, re.DOTALL):
        for value in re.findall(r"<td[^>]*>(\d*½?)</td>\s*<td", table):
            total += 0.5 * value.endswith("½") + float(value.rstrip("½") or 0)
    assert total == 100
    points = [int(n) for n in re.findall(r'class="about">(\d+) points', page)]
    assert sum(points) == 100


def test_the_pages_are_of_one_file(written):
    for name in ("paper", "solution"):
        page = (written / f"{name}.html").read_text(encoding="utf-8")
        links = re.findall(r'(?:src|href)="([^"]*)"', page)
        assert links and all(link.startswith("data:") for link in links)
        assert "<script" not in page


@pytest.mark.turns(3)
def test_every_formula_of_the_bank_can_be_set():
    for question in BANK:
        for part in (question.text, question.answer, *(what for _, what in question.marks)):
            shown = offline_page.markdown(part)  # raises for a formula that cannot be set
            formulas = len(re.findall(r"\$\$.+?\$\$|\$[^$]+\$", QUIET.sub("", part), re.DOTALL))
            assert shown.count('class="katex"') >= min(formulas, 1), question.name


@pytest.mark.turns(3)
def test_a_browser_without_a_network_shows_the_pages(written):
    from tests.browser.lab import missing

    if reason := missing():
        pytest.skip(reason)
    from tests.browser.offline import Offline

    with Offline() as browser:
        assert browser.faults(written / "paper.html") == []
        assert browser.faults(written / "solution.html") == []


# What is refused


def refused(arguments, capsys) -> str:
    """Run the command, which must end with one line; return it."""
    with pytest.raises(SystemExit) as ended:
        midterm.main([str(word) for word in arguments])
    message = str(ended.value.code)
    assert message.startswith("tasks.py: ") and "\n" not in message
    return message


def test_what_cannot_be_is_refused_with_one_line(tmp_path, capsys):
    folder = tmp_path / "new"
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine.txt").write_text("mine")
    command = ["--to", folder, "--seed", 1]
    assert "not empty; name a new folder" in refused(["--to", full, "--seed", 1], capsys)
    assert "is a file" in refused(["--to", full / "mine.txt", "--seed", 1], capsys)
    assert "between 60 and 300" in refused([*command, "--minutes", 20], capsys)
    assert "from 0, not -1" in refused(["--to", folder, "--seed", "-1"], capsys)
    assert "no lesson '42'" in refused([*command, "--lessons", "42"], capsys)
    assert "no question '99.1'" in refused([*command, "--without", "99.1"], capsys)
    assert "ask for at most" in refused([*command, "--lessons", "00", "--minutes", 120], capsys)
    assert not folder.exists() and [path.name for path in full.iterdir()] == ["mine.txt"]


BROKEN = {
    "## 02.1 T\n\n*concept · difficulty 1 · 5 minutes · lesson 02*": "a title reads",
    "## 02.1 · T\n\n*riddle · difficulty 1 · 5 minutes · lesson 02*": "below the title",
    "## 02.1 · T\n\n*concept · difficulty 1 · 5 minutes · lesson 02*\n\nText\n": "needs ### Answer",
    "## 02.1 · T\n\n*concept · difficulty 1 · 5 minutes · lesson 02*\n\nT\n\n### Answer\n\nA\n\n### Marking\n\n- x\n": (
        "each line of the marking scheme"
    ),
    "## 02.1 · T\n\n*concept · difficulty 1 · 5 minutes · lesson 02 · not with 02.7*\n\nT\n\n### Answer\n\nA\n\n"
    "### Marking\n\n- 2 · x\n": "kept apart from 02.7",
}


@pytest.mark.parametrize("text", BROKEN)
def test_a_broken_bank_is_refused(text, tmp_path):
    (tmp_path / "02.md").write_text(f"# Lesson 02\n\n{text}", encoding="utf-8")
    with pytest.raises(bank.BankError, match=BROKEN[text]):
        bank.read(tmp_path)


def test_a_repair_that_does_not_fit_is_refused():
    question = BY_NAME["02.4"]
    worse = bank.Question(**{**vars(question), "answer": question.answer.replace("softmax(0)", "softmax(7)")})
    with pytest.raises(bank.BankError, match="not in the program once"):
        _ = worse.repaired


def test_sheets_write_half_points():
    assert [sheets._half(value) for value in (0.5, 1.0, 2.5)] == ["½", "1", "2½"]
