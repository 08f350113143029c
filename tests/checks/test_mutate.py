"""A single slip in a reference is noticed by its check, and the tool that makes the slips makes all kinds."""

import ast

import pytest

from course_utils import checks
from course_utils.checks import machinery
from tests.checks.equivalent_mutants import EQUIVALENT, FREE
from tests.checks.test_exercises import LESSONS
from tests.rotation import ALL, share
from tools import mutate

WITH_REFERENCES = [lesson for lesson in LESSONS if (mutate.REFERENCES / f"ref_{lesson}.py").exists()]
SOURCE = '''
import torch

def f(x, y, dim=1):
    """A docstring, which is no constant."""
    if x.ndim > 2:
        x = x.flatten(dim)
    x += 1
    total = -(x @ y).sum(dim=dim, keepdim=True)
    return total[1:] - 0.5 * torch.where(x < 0, x, y).mean(), y.T

REFERENCES = {"zz.f": f}
'''


def made(source=SOURCE):
    return {mutant.after for mutant in mutate.mutants(ast.parse(source))}


def test_every_kind_of_slip_is_made():
    assert made() >= {
        "def f(x, y, dim=2):",
        "if x.ndim >= 2:",
        "if x.ndim > 3:",
        "if not x.ndim > 2:",
        "x = x",
        "pass",
        "x -= 1",
        "x += 0",
        "total = (x @ y).sum(dim=dim, keepdim=True)",
        "total = -(x * y).sum(dim=dim, keepdim=True)",
        "total = -(y @ x).sum(dim=dim, keepdim=True)",
        "total = -(x @ y).mean(dim=dim, keepdim=True)",
        "total = -(x @ y).sum(dim=dim)",
        "total = -(x @ y).sum(keepdim=True)",
        "total = -(x @ y).sum(dim=dim, keepdim=False)",
        "total = -(x @ y)",
        "return (total[:] - 0.5 * torch.where(x < 0, x, y).mean(), y.T)",
        "return (total[1:] + 0.5 * torch.where(x < 0, x, y).mean(), y.T)",
        "return (total[1:] - 1.0 * torch.where(x < 0, x, y).mean(), y.T)",
        "return (total[1:] - 0.5 * torch.where(x < 0, y, x).mean(), y.T)",
        "return (total[1:] - 0.5 * torch.where(x > 0, x, y).mean(), y.T)",
        "return (total[1:] - 0.5 * torch.where(x < 0, x, y).mean(), y)",
        "return (y.T, total[1:] - 0.5 * torch.where(x < 0, x, y).mean())",
    }


def test_each_mutant_differs_in_one_place_and_the_source_stays():
    module = ast.parse(SOURCE)
    mutants = mutate.mutants(module)
    assert ast.dump(module) == ast.dump(ast.parse(SOURCE))
    texts = [mutant.source for mutant in mutants]
    assert len(set(texts)) == len(texts)
    original = ast.unparse(module).splitlines()
    for mutant, text in zip(mutants, texts):
        changed = [line.strip() for line in text.splitlines() if line not in original]
        assert changed in ([mutant.after], [])  # [] where a line is gone or the same as another


@pytest.fixture
def loose(monkeypatch):
    """An exercise "zz.twice" whose check sees signs only."""
    monkeypatch.setattr(machinery, "EXERCISES", dict(machinery.EXERCISES))

    @machinery.exercise("zz.twice", verified="the sign")
    def _check(fn):
        machinery.expect(machinery.call(fn, 3.0) > 0 > machinery.call(fn, -3.0), "the sign is wrong")

    monkeypatch.setattr(checks, "EXERCISES", machinery.EXERCISES)
    module = 'def twice(x):\n    return 2 * x\n\nREFERENCES = {"zz.twice": twice}'
    return mutate.mutants(ast.parse(module))


def test_a_loose_check_leaves_survivors_and_a_listed_one_is_left_out(loose, monkeypatch):
    left = {mutant.after for mutant in mutate.unexplained(loose)}
    assert left == {"return 3 * x", "return 1 * x", "return 2 / x"}
    monkeypatch.setitem(EQUIVALENT, "zz.twice", {"the sign is the same": ("return 2 / x",)})
    assert {mutant.after for mutant in mutate.unexplained(loose)} == {"return 3 * x", "return 1 * x"}


def test_the_command_names_survivors_and_fails(loose, monkeypatch, capsys):
    monkeypatch.setattr(mutate, "of_lesson", lambda lesson: loose)
    assert mutate.main(["04"]) == 1
    out = capsys.readouterr().out
    assert "3 survive" in out and "zz.twice: return 2 * x  →  return 3 * x" in out
    assert mutate.main(["no such lesson"]) == 2


@pytest.mark.parametrize("lesson", share(WITH_REFERENCES, 2))
def test_no_mutant_of_a_lesson_survives_its_check(lesson):
    mutants = mutate.of_lesson(lesson)
    assert len(mutants) > 25
    left = [
        f"{mutant.exercise}: {mutant.before}  →  {mutant.after}" for mutant in mutate.unexplained(mutants)
    ]
    assert not left, "run `python tasks.py mutate`; accepted are:\n" + "\n".join(left)


@pytest.mark.parametrize("lesson", WITH_REFERENCES)
def test_what_is_listed_as_equivalent_is_a_mutant_of_today(lesson):
    mutants = mutate.of_lesson(lesson)
    for name in set(checks.exercises(lesson)) & set(EQUIVALENT):
        made_today = {mutant.after for mutant in mutants if mutant.exercise == name}
        listed = {statement for statements in EQUIVALENT[name].values() for statement in statements}
        assert listed <= made_today, f"{name}: strike out {listed - made_today}"
        noticed = [
            m.after
            for m in mutants
            if ALL and m.exercise == name and m.after in listed and not mutate.survives(m)
        ]
        assert not noticed, f"{name}: the check notices {noticed} by now, strike them out"


def test_every_listed_exercise_exists():
    names = {name for lesson in LESSONS for name in checks.exercises(lesson)}
    assert (set(FREE) | set(EQUIVALENT)) <= names
    assert not set(FREE) & set(EQUIVALENT)
