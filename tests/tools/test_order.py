"""Longest file first, nothing within a file moved, and an unknown file before all."""

from types import SimpleNamespace

import pytest

from tests.order import LongestFirst, durations
from tests.rotation import leave_to_other_turns, share


def items(*names):
    return [SimpleNamespace(nodeid=name) for name in names]


def test_files_come_by_what_they_took_and_stay_whole():
    some = items("a.py::1", "b.py::1", "a.py::2", "new.py::1", "b.py::2")
    LongestFirst({"a.py": 1.0, "b.py": 30.0}).pytest_collection_modifyitems(some)
    assert [item.nodeid for item in some] == ["new.py::1", "b.py::1", "b.py::2", "a.py::1", "a.py::2"]


def test_what_files_take_is_added_up():
    plugin = LongestFirst({})
    for nodeid, seconds in (("a.py::1", 1.0), ("a.py::2", 2.0), ("b.py::1", 4.0)):
        plugin.pytest_runtest_logreport(SimpleNamespace(nodeid=nodeid, duration=seconds))
    assert plugin.spent == {"a.py": 3.0, "b.py": 4.0}


def test_recorded_files_exist():
    from course_utils.system.folders import ROOT

    assert [name for name in durations() if not (ROOT / name).exists()] == []


def test_turns_reach_everything(monkeypatch):
    monkeypatch.setattr("tests.rotation.ALL", False)
    seen = set()
    for commit in range(7):
        monkeypatch.setenv("COURSE_TEST_TURN", str(commit))
        seen |= set(share(list("abcdefg"), 2))
        assert len(share(list("abcdefg"), 2)) == 2
    assert seen == set("abcdefg")
    monkeypatch.setattr("tests.rotation.ALL", True)
    assert share(list("abc")) == list("abc")


class Marked(SimpleNamespace):
    """A collected test, marked `turns(3)` itself or by its file, which notes why it is skipped."""

    def iter_markers_with_node(self, _):
        yield SimpleNamespace() if self.whole else self, pytest.mark.turns(3).mark

    def add_marker(self, mark):
        self.skipped = mark.kwargs["reason"]


def marked(whole=False):
    """Five tests of two files; the second has two cases."""
    names = [("a.py", "one"), ("a.py", "two"), ("a.py", "two"), ("a.py", "three"), ("b.py", "one")]
    return [Marked(path=path, originalname=name, whole=whole, skipped="") for path, name in names]


def test_a_slow_test_has_its_turn_in_one_of_three_runs_and_its_cases_stay_together(monkeypatch):
    monkeypatch.setattr("tests.rotation.ALL", False)
    runs = []
    for commit in range(3):
        monkeypatch.setenv("COURSE_TEST_TURN", str(commit))
        leave_to_other_turns(some := marked(), ["tests", "notebooks"])
        runs.append([not item.skipped for item in some])
    assert [sum(case) for case in zip(*runs, strict=True)] == [1] * 5
    assert all(run[1] == run[2] for run in runs)
    assert "--all" in next(item.skipped for item in some if item.skipped)


def test_a_file_that_is_marked_as_a_whole_stays_together(monkeypatch):
    monkeypatch.setattr("tests.rotation.ALL", False)
    seen = set()
    for commit in range(3):
        monkeypatch.setenv("COURSE_TEST_TURN", str(commit))
        leave_to_other_turns(some := marked(whole=True), ["tests"])
        seen.add(tuple(not item.skipped for item in some))
    assert seen == {(True,) * 4 + (False,), (False,) * 4 + (True,), (False,) * 5}


@pytest.mark.parametrize(("everything", "arguments"), [(True, ["tests"]), (False, ["tests/a.py"])])
def test_the_full_run_and_whoever_names_a_file_get_every_test(everything, arguments, monkeypatch):
    monkeypatch.setattr("tests.rotation.ALL", everything)
    leave_to_other_turns(some := marked(), arguments)
    assert not any(item.skipped for item in some)
