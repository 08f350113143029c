"""The number audit: which numbers of prose and captions must occur in an output, and which need not."""

import nbformat
import pytest

from tests.builder.course import add, build, built, edit, source
from tools.builder import audit, old_places
from tools.builder.source import read


def lines(text):
    return [written for *_, written, _ in audit.numbers(text)]


@pytest.mark.parametrize(
    "text",
    [
        "Lesson 12, section 10 and Card 11 say more.",
        "Sections 12, 13 and 14; Exercise 12; Algorithm 21, line 33.",
        "By (12) and equation (14) it holds.",
        "In 1998, and again in 2014.",
        "$x = 12.5$ and $$y = 3.14$$",
        "`fit(steps=2500)` and\n```\nx = 12.5\n```",
        "[a paper](https://example.org/12.345), arXiv 1312.6114",
        "An image has 28 × 28 pixels.",
        "## 12 · A section of 12.5 *(core)*",
        "7 of 9, about 0.5, in 1,000 or 100 steps, 5 %",
        "<img width=600>",
        "- D. Kingma, M. Welling, *Auto-encoding* (2014), 12 pages.",
    ],
)
def test_names_formulas_code_and_round_numbers_are_no_claims(text):
    assert lines(text) == []


def test_everything_else_with_two_digits_is():
    text = "It falls from 83.95 to −12.5 in 2,512 steps:\n0.016, 92.2 %, 3.0 dB, **47** of 50, 5.4·10⁻⁴."
    assert lines(text) == ["83.95", "−12.5", "2,512", "0.016", "92.2 %", "3.0", "47", "5.4·10⁻⁴"]
    assert [row for *_, row in audit.numbers(text)] == [0, 0, 0, 1, 1, 1, 1, 1]


def test_rounding_and_per_cent_are_understood():
    seen = audit.Evidence([0.9221, 1287.0, 3.14159], [76.4])
    assert seen.holds(92.2, 0.05, True) and not seen.holds(92.2, 0.05, False)
    assert seen.holds(0.764, 0.0005, False) and not seen.holds(0.765, 0.0005, False)
    assert seen.holds(1300, 50, False) and not seen.holds(1200, 50, False)
    assert seen.holds(3.14, 0.005, False) and not seen.holds(3.15, 0.005, False)


def book(*outputs):
    cell = {"cell_type": "code", "source": "", "metadata": {}, "execution_count": 1, "outputs": list(outputs)}
    return nbformat.from_dict({"cells": [cell]})


def shown(text, mime="text/plain"):
    return {"output_type": "display_data", "metadata": {}, "data": {mime: text}}


@pytest.mark.parametrize(
    ("output", "found"),
    [
        ({"output_type": "stream", "text": "loss 83.951, 2 % of 1,234"}, True),
        (shown("83.95"), True),
        (shown("<td style='width: 83.95px'>83.9</td>", "text/html"), False),
        (shown("<td>83.95</td>", "text/html"), True),
        (shown("**Figure.** *The loss ends at 83.95.*", "text/markdown"), True),
        ({**shown("83.95"), "data": {"image/png": "x", "text/plain": "83.95"}}, False),
        (shown("8.395·10¹"), True),
        (shown("183.95"), False),
    ],
)
def test_where_a_number_may_stand(places, output, found):
    edit(places, "halved, is 4.5", "halved, is 83.95")
    found_now = audit.check(read(source(places)), book(output))
    assert ("83.95" not in str(found_now)) is found


def test_it_names_the_line_of_the_source(places, executed):
    assert audit.check(read(source(executed)), built(executed)) == []
    edit(places, "halved, is 4.5", "halved, is 4.57")
    (finding,) = audit.check(read(source(places)), built(executed))
    text = source(places).read_text(encoding="utf-8").split("\n")
    assert "4.57" in text[finding.line - 1] and "lessons/00_tiny.py" in str(finding)
    assert "4.57 occurs in no output" in str(finding)


def test_a_caption_written_by_hand_is_no_evidence_and_needs_some(places):
    edit(places, '"A grey pixel."', '"A grey pixel at 83.95."')
    edit(places, "halved, is 4.5", "halved, is 83.95")
    caption = shown("**Figure.** *A grey pixel at 83.95.*", "text/markdown")
    assert len(audit.check(read(source(places)), book(caption))) == 2
    assert audit.check(read(source(places)), book(caption, shown("83.95"))) == []


def test_numbers_that_the_code_sets_need_no_output(places):
    add(places, "# %%\nx = 2_512\n\n# %% [markdown]\n# After 2,512 steps.\n")
    assert "2,512" not in str(audit.check(read(source(places)), book(shown("4.5"))))


def test_a_build_fails_on_a_number_that_is_gone_unless_it_is_an_old_place(
    executed, places, monkeypatch, capsys
):
    monkeypatch.setattr(old_places, "allowed", dict)
    edit(places, "halved, is 4.5", "halved, is 4.57")
    (problem,) = build(places)
    assert "4.57 occurs in no output" in problem
    monkeypatch.setattr(old_places, "allowed", lambda: {"00": {"numbers": 1}})
    assert build(places) == [] and "4.57 occurs in no output" in capsys.readouterr().out
    edit(places, "halved, is 4.57", "halved, is 4.5")
    found = audit.check(read(source(places)), built(places))
    assert "lower the number" in old_places.too_high("00", found, ("numbers",))[0]
