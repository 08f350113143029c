"""Assignments: their form, their reference, wrong answers, other years' answers, and the files handed out."""

import ast
import io
import itertools
import subprocess
import sys

import numpy as np
import pytest
import torch

import course_utils as cu
from course_utils.system.folders import ROOT
from tests.assessment import grading, wrong_answers
from tools import assignment as tool
from tools.assessment import book, sets, source
from tools.assessment.variant import VARIANTS, Variant, VariantError, filled
from tools.builder.names import free_names

EVERY = [("assignment_1", None), *(("assignment_2", lesson) for lesson in ("09", "10", "11"))]
"""Each assignment with each choice of its last problem."""
NAMED = pytest.mark.parametrize("name, choice", EVERY, ids=[f"{name}-{lesson}" for name, lesson in EVERY])


def choice_of(key: tuple) -> str | None:
    """The choice in which a wrong answer's part exists."""
    return key[2] if len(key) == 3 else {"assignment_1": None, "assignment_2": "10"}[key[0]]


# ------------------------------------------------------------------------------------------------ form


def test_all_sources_are_here():
    assert [path.stem for path in tool.sources()] == ["assignment_1", "assignment_2"]
    assert source.choices(tool.source_of("2")) == ["09", "10", "11"]
    assert source.choices(tool.source_of("1")) == []


@NAMED
def test_a_third_each_in_six_to_eight_problems_and_hours(name, choice):
    found = grading.read(name, 7, choice)
    assert 6 <= len(found.titles) <= 8
    parts = found.parts.values()
    assert sum(part.points for part in parts) == 100
    minutes = sum(part.minutes for part in parts)
    assert 360 <= minutes <= 480
    for kind in source.KINDS:
        assert 30 <= sum(part.points for part in parts if part.kind == kind) <= 37
        assert 0.28 <= sum(part.minutes for part in parts if part.kind == kind) / minutes <= 0.38


@NAMED
def test_every_program_has_visible_and_hidden_tests(name, choice):
    found = grading.read(name, 7, choice)
    assert len(found.programming) >= 6
    for part in found.programming:
        texts = [cell.source for cell in found.of(part, "tests")]
        hidden = [text for text in texts if "### BEGIN HIDDEN TESTS" in text]
        assert hidden and len(hidden) < len(texts), part
        for text in hidden:  # begin and end, and something between them
            inside = text.split("### BEGIN HIDDEN TESTS")[1].split("### END HIDDEN TESTS")[0]
            assert "assert" in inside


@NAMED
def test_a_student_gets_no_number_without_its_variant_and_no_long_line(name, choice):
    for cell in grading.read(name, 59, choice).cells:
        assert "⟦" not in cell.source and "v." not in set(cell.source.split())
        if cell.kind == "code" and not cell.tags:
            shown = grading.HIDDEN.sub("", grading.stub(cell.source))
            assert all(len(line) <= 100 for line in shown.split("\n")), cell.source


@NAMED
def test_no_problem_needs_the_answer_of_another(name, choice):
    found = grading.read(name, 7, choice)
    used = [(cell, free_names(cell.source)) for cell in found.cells if cell.kind == "code"]
    for part, code in grading.answers(found).items():
        defined = {node.name for node in ast.parse(code).body}
        elsewhere = [cell.source for cell, names in used if cell.part[:1] != part[0] and names & defined]
        assert not elsewhere, part


@NAMED
def test_names_of_graded_cells_are_nbgraders(name, choice):
    made = book.assemble(grading.read(name, 7, choice), ROOT)
    ids = [cell.metadata.nbgrader.grade_id for cell in made.cells if "nbgrader" in cell.metadata]
    assert len(ids) == len(set(ids)) and all(i.replace("_", "").isalnum() for i in ids)
    graded = [cell.metadata.nbgrader for cell in made.cells if "nbgrader" in cell.metadata]
    assert sum(found.get("points", 0) for found in graded) == 100
    assert all(cell.metadata.nbgrader.locked or cell.metadata.nbgrader.solution for cell in made.cells
               if cell.cell_type == "code")  # fmt: skip
    assert made == book.assemble(source.read(tool.source_of(name[-1]), 7, choice), ROOT)


# ---------------------------------------------------------------------------------------------- points


@NAMED
@pytest.mark.parametrize("variant", [0, 7, 31, 59])
def test_the_reference_gets_all_points_and_an_empty_one_none(name, choice, variant):
    found = grading.read(name, variant, choice)
    assert grading.points(found, grading.answers(found)) == grading.most(found)
    assert set(grading.points(found, {}).values()) == {0}


@pytest.mark.parametrize("key", wrong_answers.LOST, ids="-".join)
def test_wrong_answers_lose_the_points_of_their_part_and_no_others(key):
    assert len(wrong_answers.LOST[key]) >= 3
    for variant in (7, 23):
        found = grading.read(key[0], variant, choice_of(key))
        most = grading.most(found)
        for code in wrong_answers.LOST[key]:
            answers = grading.answers(found) | {key[1]: filled(code, found.v, code=True)}
            assert grading.points(found, answers) == most | {key[1]: 0}, code


@pytest.mark.parametrize("key", wrong_answers.NEARLY, ids="-".join)
def test_hidden_tests_find_what_visible_ones_do_not(key):
    found = grading.read(key[0], 7, choice_of(key))
    code = filled(wrong_answers.NEARLY[key], found.v, code=True)
    got = grading.points(found, grading.answers(found) | {key[1]: code})
    assert 0 < got.pop(key[1]) < grading.most(found)[key[1]]
    assert all(points == grading.most(found)[part] for part, points in got.items())


def test_every_program_has_wrong_answers():
    for name, choice in EVERY:
        for part in grading.read(name, 7, choice).programming:
            key = (name, part, choice) if part == "8c" else (name, part)
            assert key in wrong_answers.LOST and key in wrong_answers.NEARLY


def others(variant: int) -> list[int]:
    """Variants whose answers are tried on `variant`: last year's, next year's, and a far one."""
    return [(variant - 1) % VARIANTS, (variant + 1) % VARIANTS, (variant + 19) % VARIANTS]


@NAMED
def test_answers_of_other_years_do_not_pass(name, choice):
    for variant in range(0, VARIANTS, 6):
        found = grading.read(name, variant, choice)
        most = grading.most(found)
        for other in others(variant):
            theirs = grading.answers(grading.read(name, other, choice))
            got = grading.points(found, theirs)
            assert not [part for part in got if got[part] == most[part]], (variant, other)
            assert not any(got[part] for part in found.programming), (variant, other)


@pytest.mark.turns(12)
def test_answers_of_any_other_year_do_not_pass():
    for (name, choice), variant in itertools.product(EVERY[:2], range(VARIANTS)):
        found = grading.read(name, variant, choice)
        most = grading.most(found)
        for other in range(variant % 5, VARIANTS, 5):
            if other == variant:
                continue
            got = grading.points(found, grading.answers(grading.read(name, other, choice)))
            same = {part for part in got if got[part] == most[part]}
            assert same <= {"2a", "6a"}, (variant, other, same)  # claims repeat after twenty years
            assert not same or (variant - other) % 20 == 0


# ------------------------------------------------------------------------------------------- variants


def test_no_two_variants_share_a_number(monkeypatch):
    def of(number):
        monkeypatch.setenv("COURSE_VARIANT", str(number))
        v = Variant("assignment_9")
        return v.grid("a", 1.0, 0.1), v.grid("b", 1.0, 0.1)

    pairs = [of(number) for number in range(VARIANTS)]
    assert len({a for a, _ in pairs}) == len({b for _, b in pairs}) == VARIANTS
    assert sum(a == b for a, b in pairs) < 10, "each number has an order of its own"
    assert pairs == [of(number) for number in range(VARIANTS)]


def test_five_claims_of_which_two_or_three_are_true(monkeypatch):
    bank = [(f"claim {i}", i % 2 == 0, "reason") for i in range(14)]
    patterns = []
    for number in range(VARIANTS):
        monkeypatch.setenv("COURSE_VARIANT", str(number))
        found = Variant("assignment_9").claims(bank)
        assert len({text for text, *_ in found}) == 5
        patterns.append(tuple(truth for _, truth, _ in found))
        assert sum(patterns[-1]) in (2, 3)
    assert all(len(set(patterns[i : i + 20])) == 20 for i in range(VARIANTS - 19))


@pytest.mark.parametrize("wrong", ["60", "-1", "seven", "7.5", ""])
def test_a_variant_that_does_not_exist_is_refused(wrong):
    with pytest.raises(VariantError, match="0 to 59"):
        source.read(tool.source_of("1"), wrong)


def test_a_name_without_a_number_is_refused(monkeypatch):
    monkeypatch.setenv("COURSE_VARIANT", "0")
    v = Variant("assignment_9")
    v.nu = 2.5
    assert filled("⟦nu⟧ and ⟦nu:.3f⟧, v.nu", v, code=False) == "2.5 and 2.500, v.nu"
    assert filled("x = v.nu  # ⟦nu⟧; conv.nu", v, code=True) == "x = 2.5  # 2.5; conv.nu"
    with pytest.raises(VariantError, match="mu"):
        filled("⟦mu⟧", v, code=False)


BROKEN = """# %% tags=["variant"]
from tools.assessment.variant import Variant
v = Variant("assignment_9")
# %% [markdown]
# **1a (programming, 5 points, 10 minutes).**
# %% answer="1a"
def f():
    ### BEGIN SOLUTION
    return 1
    ### END SOLUTION
# %% tests="1a" points=4
assert f() == 1
"""


def test_points_that_do_not_add_up_are_refused(tmp_path):
    path = tmp_path / "assignment_9.py"
    path.write_text(BROKEN)
    with pytest.raises(source.AssignmentError, match="5 points announced, 4 given"):
        source.read(path, 0)
    path.write_text(BROKEN.replace("5 points", "4 points").replace("programming", "prose"))
    with pytest.raises(source.AssignmentError, match="prose is none of"):
        source.read(path, 0)
    path.write_text(BROKEN.replace("5 points", "4 points").replace('tests="1a"', 'tests="1b"'))
    with pytest.raises(source.AssignmentError):
        source.read(path, 0)


# ------------------------------------------------------------------------------------ bad input, files


def words(*arguments):
    """Run tools/assignment.py as tasks.py does."""
    command = [sys.executable, "tools/assignment.py", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def refusal(capsys, *arguments) -> str:
    """The one line with which a word refuses."""
    assert tool.main([str(argument) for argument in arguments]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_bad_input_gets_one_line_that_says_what_to_do(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(tool, "need_nbgrader", lambda: None)
    new = tmp_path / "class"
    assert "there are 1 and 2" in refusal(capsys, "assignment", "3", "--variant", "7", "--to", new)
    assert "0 to 59" in refusal(capsys, "assignment", "1", "--variant", "99", "--to", new)
    wrong = ("assignment", "1", "--variant", "7", "--lesson", "10", "--to", new)
    assert "leave --lesson out" in refusal(capsys, *wrong)
    wrong = ("assignment", "2", "--variant", "7", "--lesson", "04", "--to", new)
    assert "--lesson 09" in refusal(capsys, *wrong)
    assert not new.exists(), "nothing half done is left"
    full = tmp_path / "full"
    full.mkdir()
    (full / "thesis.tex").write_text("mine")
    assert "not empty" in refusal(capsys, "assignment", "1", "--variant", "7", "--to", full)
    assert "is a file" in refusal(capsys, "assignment", "1", "--variant", "7", "--to", full / "thesis.tex")
    assert "no class folder" in refusal(capsys, "nbgrader", full, "autograde", "assignment_1")
    assert "say where" in refusal(capsys, "nbgrader")
    assert "say where" in refusal(capsys, "marks", full)
    assert "no gradebook.db" in refusal(capsys, "marks", full, "1")
    assert [path.name for path in full.iterdir()] == ["thesis.tex"]


def test_without_nbgrader_one_line_says_what_to_install(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(tool, "find_spec", lambda name: None)
    line = refusal(capsys, "assignment", "1", "--variant", "7", "--to", tmp_path / "class")
    assert "teach" in line and not (tmp_path / "class").exists()


def test_an_assignment_that_is_there_is_never_overwritten(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(tool, "need_nbgrader", lambda: None)
    monkeypatch.setattr(tool, "release", lambda folder, name: (folder / "release" / name).mkdir(parents=True))
    given = ("assignment", "1", "--variant", "7", "--to", str(tmp_path / "class"))
    assert tool.main(list(given)) == 0
    mine = tmp_path / "class" / "source" / "assignment_1" / "assignment_1.ipynb"
    before = mine.read_bytes()
    assert "move it away" in refusal(capsys, *given[:3], "8", *given[4:])
    assert mine.read_bytes() == before


def test_a_failed_release_leaves_nothing_behind(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(tool, "need_nbgrader", lambda: None)

    def broken(folder, name):
        raise tool.Refused("nbgrader could not.")

    monkeypatch.setattr(tool, "release", broken)
    refusal(capsys, "assignment", "1", "--variant", "7", "--to", tmp_path / "class")
    assert not (tmp_path / "class").exists()


# ------------------------------------------------------------------------------------- anonymous sets


@pytest.mark.parametrize("family", sets.DRAWN)
def test_sets_are_fresh_draws_that_their_seed_repeats(family):
    torch.manual_seed(3)
    state = torch.get_rng_state()
    one, same, another = (sets.draw(family, 3, seed) for seed in (5, 5, 6))
    assert one.shape == (3, 28, 28) and one.dtype == np.uint8
    assert (one == same).all() and (one != another).any()
    shipped = {"mixture": "02_mixture", "VAE": "04_vae_means", "GAN": "05_gan", "diffusion": "06_diffusion",
               "flow": "10_flow"}[family]  # fmt: skip
    known = cu.runs.load(shipped).samples.reshape(-1, 784).astype(int)
    nearest = np.abs(known[:, None] - one.reshape(1, 3, 784)).sum(2).min(0)
    assert (nearest > 784).all(), "one of the shipped samples"
    torch.set_rng_state(state)


def test_the_files_of_a_variant(tmp_path, monkeypatch):
    monkeypatch.setattr(sets, "draw", lambda family, n, seed: np.full((n, 28, 28), seed % 251, np.uint8))
    v = grading.read("assignment_2", 7, "10").v
    with pytest.MonkeyPatch.context() as patch, io.StringIO() as said:
        patch.setattr("sys.stdout", said)
        sets.write(v, tmp_path)
    with np.load(tmp_path / sets.FILE) as found:
        assert sorted(found) == ["A", "B", "C"]
        assert len({int(found[letter][0, 0, 0]) for letter in "ABC"}) == 3
    assert list(v.families) == ["A", "B", "C"] and len(set(v.families.values())) == 3
    dealt = {tuple(grading.read("assignment_2", n, "10").v.families.values()) for n in range(VARIANTS)}
    assert len(dealt) == VARIANTS


def marks_of(images) -> dict[str, float]:
    """What assignment 2's model answer measures: uint8 (n, 28, 28) → shares, roughness, lonely pixels."""
    x = torch.as_tensor(images).float()
    ink = (x > 127).float()
    around = torch.nn.functional.conv2d(ink[:, None], torch.ones(1, 1, 3, 3), padding=1)[:, 0] - ink
    steps = (x[:, 1:] - x[:, :-1]).abs().mean() + (x[:, :, 1:] - x[:, :, :-1]).abs().mean()
    return {
        "black": float((x == 0).float().mean()),
        "half grey": float(((x >= 64) & (x < 192)).float().mean()),
        "white": float((x >= 250).float().mean()),
        "rough": float(steps / 2 / x.mean()),
        "lonely": float(((ink == 1) & (around == 0)).float().sum((1, 2)).mean()),
    }


@pytest.mark.turns(4)
def test_the_marks_of_the_families_are_as_the_model_answer_says():
    names = {"mixture": "02_mixture", "VAE": "04_vae_means", "GAN": "05_gan", "diffusion": "06_diffusion",
             "flow": "10_flow"}  # fmt: skip
    images = {family: cu.runs.load(name).samples[:300] for family, name in names.items()}
    images["real"] = cu.mnist().test.x[:300, 0].numpy()
    m = {family: marks_of(x) for family, x in images.items()}
    distance = {family: cu.metrics.score(x, 300).distance for family, x in images.items() if family != "real"}
    assert m["mixture"]["lonely"] > 0.1 > 0.01 > m["real"]["lonely"]
    assert m["mixture"]["half grey"] > 0.1 and m["diffusion"]["half grey"] < 0.06
    assert m["diffusion"]["black"] < 0.5 and m["mixture"]["black"] < 0.5
    assert min(m, key=lambda family: m[family]["rough"]) == "VAE"
    assert m["VAE"]["white"] < 0.5 * m["real"]["white"]
    assert m["GAN"]["black"] > 2 / 3 and 0.5 < distance["GAN"] / distance["diffusion"] < 2
    assert all(abs(m["flow"][k] - m["real"][k]) < 0.05 for k in ("black", "half grey", "white"))
    assert distance["flow"] > 10
