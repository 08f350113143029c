"""Longest file first, nothing within a file moved, and an unknown file before all."""

from types import SimpleNamespace

from tests.order import LongestFirst, durations
from tests.rotation import share


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
