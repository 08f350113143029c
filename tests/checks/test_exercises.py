"""Every exercise three ways: the stub is "not attempted", the solution passes, each wrong answer gets its own
hint."""

import importlib
import math
import re

import nbformat
import pytest

from course_utils import checks
from course_utils.system.folders import ROOT

LESSONS = sorted(path.name.split("_")[0] for path in (ROOT / "lessons").glob("*.py"))
EXERCISES = [name for lesson in LESSONS for name in checks.exercises(lesson)]
CHECK_CALL = re.compile(r"cu\.check\(\s*[\"']([^\"']+)[\"']\s*,\s*(\w+)\s*\)")


def stubs(lesson):
    """Exercise name → the function that the stub in the built notebook defines."""
    path = next((ROOT / "notebooks").glob(f"{lesson}_*.ipynb"))
    code = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    found = {}
    for source, following in zip(code, code[1:]):
        call = CHECK_CALL.search(following)
        if call and "raise NotImplementedError" in source:
            namespace = {"math": math}
            exec(compile("from __future__ import annotations\n" + source, "stub", "exec"), namespace)
            found[call[1]] = namespace[call[2]]
    return found


def wrong_answers(lesson):
    return importlib.import_module(f"tests.wrong_answers.lesson_{lesson}").WRONG


@pytest.mark.parametrize("lesson", LESSONS)
def test_every_exercise_of_a_lesson_has_stub_solution_and_two_wrong_answers(lesson):
    names = set(checks.exercises(lesson))
    assert len(names) >= 3
    assert set(stubs(lesson)) == names
    assert set(wrong_answers(lesson)) == names
    assert all(checks.reference(name) for name in names)
    assert all(len(answers) >= 2 for answers in wrong_answers(lesson).values())


@pytest.mark.parametrize("name", EXERCISES)
def test_the_stub_is_not_attempted(name):
    assert checks.evaluate(name, stubs(name.split(".")[0])[name]).status == "not attempted"


@pytest.mark.parametrize("name", EXERCISES)
def test_the_solution_passes(name):
    result = checks.evaluate(name, checks.reference(name))
    assert result.status == "passed", result.message


@pytest.mark.parametrize("name", EXERCISES)
def test_each_wrong_answer_fails_with_its_own_hint(name):
    hints = []
    for answer, expected in wrong_answers(name.split(".")[0])[name]:
        result = checks.evaluate(name, answer)
        assert result.status == "failed", f"{answer} passes as an answer to {name}"
        assert expected in result.message, f"{answer}: {result.message}"
        hints.append(result.message)
    assert len(set(hints)) == len(hints), f"two wrong answers to {name} get the same hint"


@pytest.mark.parametrize("name", EXERCISES)
@pytest.mark.parametrize(
    "answer", [lambda *a, **k: None, lambda *a, **k: [1, "x"], lambda *a, **k: object(), 3]
)
def test_nonsense_fails_politely(name, answer):
    assert checks.evaluate(name, answer).status == "failed"
