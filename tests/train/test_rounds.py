"""A lesson's own loop: it shows how far it is, and ■ ends it without losing what was done."""

import os
import signal

import pytest

import course_utils as cu
from course_utils.train import rounds as module


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test moves, in a pretended notebook."""
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(module.machine, "in_notebook", lambda: True)
    return now


def test_a_short_loop_says_nothing_and_a_long_one_how_far_it_is(clock, capsys):
    assert list(cu.each("abc", "letters")) == ["a", "b", "c"]
    assert capsys.readouterr().out == ""
    for _ in cu.each(range(10), "games"):
        clock[0] += 1.0
    lines = capsys.readouterr().out.split("\r")
    assert lines[1].strip() == "2 of 10 games · 2 s" and lines[-1].rstrip() == "10 games · 10 s"
    assert len(lines) == 7


def test_a_loop_in_a_loop_leaves_the_line_to_the_outer_one(clock, capsys):
    for _ in cu.each(range(3), "games"):
        for _ in cu.each(range(100)):
            clock[0] += 0.1
    assert "rounds" not in capsys.readouterr().out


def test_an_interrupt_ends_the_loop_after_the_present_item(capsys):
    before = signal.getsignal(signal.SIGINT)
    found = []
    for item in cu.each(range(5), "seeds"):
        if item == 2:
            os.kill(os.getpid(), signal.SIGINT)
        found.append(item)
    assert found == [0, 1, 2]
    assert "Stopped after 3 of 5 seeds; what was done is kept." in capsys.readouterr().out
    assert signal.getsignal(signal.SIGINT) is before
    with pytest.raises(KeyboardInterrupt):
        for _ in cu.each(range(5)):
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)


def test_an_error_or_a_break_gives_the_signal_and_the_line_back(clock):
    before = signal.getsignal(signal.SIGINT)
    for _ in cu.each(range(5)):
        break
    with pytest.raises(ZeroDivisionError):
        for _ in cu.each(range(5)):
            1 / 0
    assert signal.getsignal(signal.SIGINT) is before and not module._under_way
