"""docs/reliability.md is what the marked tests say, and nothing on it failed."""

import pytest

from tools import reliability

CURE = "docs/reliability.md is out of date: run `python tools/reliability.py`"


def test_the_page_is_current():
    text = reliability.PAGE.read_text(encoding="utf-8")
    listed, results = reliability.rows(), reliability.results_on(text)
    assert set(results) == {(row.path, row.name) for row in listed}, CURE
    assert reliability.page(listed, results) == text, CURE


def test_every_outcome_is_a_pass_or_a_reason():
    results = reliability.results_on(reliability.PAGE.read_text(encoding="utf-8"))
    gpu = {(row.path, row.name) for row in reliability.rows() if row.kind == "gpu"}
    assert len(results) - len(gpu) >= 25
    for test, outcome in results.items():
        assert outcome.startswith("passed") or (outcome.startswith("skipped: ") and len(outcome) > 20), test
        assert outcome.startswith("passed") or test in gpu, f"{test} was not run when the page was made"


def test_a_changed_mark_and_a_missing_row_are_noticed():
    text = reliability.PAGE.read_text(encoding="utf-8")
    listed, results = reliability.rows(), reliability.results_on(text)
    row = listed[0]
    changed = reliability.Row(row.path, row.name, row.kind, ("Another fault", *row.cells[1:]))
    assert reliability.page([changed, *listed[1:]], results) != text
    with pytest.raises(KeyError):
        reliability.page(
            [*listed, reliability.Row("tests/test_new.py", "test_new", "fault", ("a", "b", "c"))], results
        )


def test_the_cases_of_a_test_make_one_outcome(tmp_path):
    case = '<testcase classname="tests.test_a" name="test_b[{}]">{}</testcase>'
    skipped = '<skipped message="no CUDA"/>'
    for cases, outcome in (
        ([("1", ""), ("2", "")], "passed"),
        ([("1", skipped), ("2", skipped)], "skipped: no CUDA"),
        ([("1", ""), ("2", skipped)], "passed, in part skipped: no CUDA"),
    ):
        report = tmp_path / "report.xml"
        report.write_text(f"<r>{''.join(case.format(*one) for one in cases)}</r>")
        assert reliability.read_report(report) == {("tests/test_a.py", "test_b"): outcome}
