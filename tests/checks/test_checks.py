"""The machinery of the exercises: verdicts, the stand-in, and that nothing a reader writes escapes."""

import sys
import time

import numpy as np
import pytest
import torch

from course_utils import checks
from course_utils.checks import machinery
from course_utils.checks.machinery import call, exercise, expect, expect_close, expect_shape


@pytest.fixture
def double(monkeypatch):
    """A throw-away exercise "zz.double" with a reference."""
    monkeypatch.setattr(machinery, "EXERCISES", machinery.EXERCISES)

    @exercise("zz.double", verified="twice the input")
    def _double(fn):
        x = torch.tensor([1.0, -2.0])
        out = call(fn, x)
        expect_shape(out, (2,))
        expect_close(out, 2 * x, "double every entry")

    monkeypatch.setattr(checks, "reference", lambda name: torch.add.__class__ and (lambda x: x + x))
    yield "zz.double"
    del machinery.EXERCISES["zz.double"]


def stub(x):
    raise NotImplementedError


def test_a_right_answer_comes_back_itself(double, capsys):
    def answer(x):
        return 2 * x

    assert checks.check(double, answer) is answer
    assert "✓ zz.double: twice the input" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("answer", "message"), [(stub, "not attempted"), (lambda x: 3 * x, "double every entry")]
)
def test_otherwise_the_reference_comes_back_and_the_message_says_so(double, capsys, answer, message):
    stand_in = checks.check(double, answer)
    assert stand_in is not answer and stand_in(2) == 4
    out = capsys.readouterr().out
    assert message in out and "the next cells use the course's reference" in out.replace("The", "the")


def in_place(x):
    return x.mul_(2)


def endless(x):
    while True:
        time.sleep(0.01)


def stubborn(x):
    while True:
        try:
            time.sleep(0.01)
        except Exception:
            continue


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (lambda x: None, "returns None"),
        (lambda x: [2.0, -4.0], "return a torch tensor"),
        (lambda x: np.array([2.0, -4.0]), "return a torch tensor"),
        (lambda x: torch.zeros(2, 1), "shape should be (2,), not (2, 1)"),
        (lambda x: torch.full((2,), float("nan")), "double every entry"),
        (lambda x: 1 / 0, "ZeroDivisionError"),
        (lambda x: sys.exit(3), "SystemExit"),
        (lambda: 1, "TypeError"),
        (in_place, "in place"),
        ("not a function", "not a function"),
    ],
)
def test_every_failure_is_a_hint(double, answer, hint):
    result = checks.evaluate(double, answer)
    assert result.status == "failed" and hint in result.message


@pytest.mark.skipif(not hasattr(machinery.signal, "SIGALRM"), reason="no alarms on this system")
@pytest.mark.parametrize("answer", [endless, stubborn])
def test_an_endless_loop_is_stopped(double, monkeypatch, answer):
    monkeypatch.setattr(machinery, "SECONDS", 1)
    assert "still running" in checks.evaluate(double, answer).message


def test_the_random_state_is_put_back(double):
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    checks.evaluate(double, lambda x: x * torch.rand(2))
    assert torch.equal(torch.rand(3), expected)


def test_unknown_and_ill_formed_names_say_what_there_is(double):
    with pytest.raises(KeyError, match="zz.double"):
        checks.check("zz.dubble", stub)
    with pytest.raises(ValueError, match="04.kl"):
        checks.check("nonsense", stub)


def test_expect_takes_tensors_and_bools():
    expect(torch.tensor(True), "")
    with pytest.raises(machinery.Wrong, match="because"):
        expect(False, "because")
