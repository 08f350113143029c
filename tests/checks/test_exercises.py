"""Every exercise four ways: the stub is "not attempted", the solution passes, so do right answers in another
style, each wrong answer gets its own hint."""

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


ONLY_A_GUESS = {
    *("00.blank", "01.bets", "02.bet", "02b.decibels", "03.guess", "03b.gain", "04b.guess", "05.bets"),
    *("06.percentage", "07.luck", "08.marks", "08b.crossing", "A.fall"),
}
"""Exercises of the kind "predict and measure": one number or a few, which leave room for fewer mistakes."""


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


def other_answers(lesson):
    return importlib.import_module(f"tests.other_answers.lesson_{lesson}").OTHER


@pytest.mark.parametrize("lesson", LESSONS)
def test_every_exercise_of_a_lesson_has_stub_solution_another_one_and_six_wrong_answers(lesson):
    names = set(checks.exercises(lesson))
    assert len(names) >= 3
    assert set(stubs(lesson)) == names
    assert set(wrong_answers(lesson)) == names
    assert all(checks.reference(name) for name in names)
    assert set(other_answers(lesson)) == names and all(other_answers(lesson).values())
    few = {name: len(answers) for name, answers in wrong_answers(lesson).items() if len(answers) < 6}
    assert set(few) <= ONLY_A_GUESS and all(count >= 2 for count in few.values()), few


@pytest.mark.parametrize("name", EXERCISES)
def test_the_stub_is_not_attempted(name):
    assert checks.evaluate(name, stubs(name.split(".")[0])[name]).status == "not attempted"


@pytest.mark.parametrize("name", EXERCISES)
def test_the_solution_passes(name):
    result = checks.evaluate(name, checks.reference(name))
    assert result.status == "passed", result.message


@pytest.mark.parametrize("name", EXERCISES)
def test_a_right_answer_in_another_style_passes(name):
    for answer in other_answers(name.split(".")[0])[name]:
        assert body(answer) != body(checks.reference(name)), f"{answer} is the reference once more"
        result = checks.evaluate(name, answer)
        assert result.status == "passed", f"{answer}: {result.message}"


def body(function):
    """What a function does, as instructions: names and comments do not count."""
    code = getattr(function, "__code__", None)
    return (code.co_code, code.co_consts[1:], code.co_names) if code else function


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
