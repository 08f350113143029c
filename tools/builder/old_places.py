"""Old places: rules that a lesson may still break as often as old_places.json says, and never more often.

The list can only shrink: where a lesson breaks a rule less often than listed, a test asks for the lower
number. `python -m tools.builder.old_places` prints the numbers as they are now.
"""

import json
from collections import Counter
from functools import cache
from pathlib import Path

from tools.builder.lesson import Finding, Places

FILE = Path(__file__).with_name("old_places.json")
RULES = ("parallel", "nested", "sentences", "numbers")


@cache
def allowed() -> dict[str, dict[str, int]]:
    """Return {key of the lesson: {rule: how many old places it may have}}."""
    return json.loads(FILE.read_text(encoding="utf-8"))


def refused(key: str, findings: list[Finding]) -> list[Finding]:
    """Return those of the `findings` of lesson `key` that no old place excuses.

    Of a rule that is broken more often than listed all places are returned: which is the new one, nobody
    knows.
    """
    counts = Counter(finding.rule for finding in findings)
    excused = allowed().get(key, {})
    over = {rule for rule, count in counts.items() if rule not in RULES or count > excused.get(rule, 0)}
    return [finding for finding in findings if finding.rule in over]


def too_high(key: str, findings: list[Finding], rules: tuple[str, ...]) -> list[str]:
    """Return a line for each of the `rules` that lesson `key` breaks less often than listed."""
    counts = Counter(finding.rule for finding in findings)
    return [
        f"lesson {key} has {counts[rule]} old places of the rule {rule!r}, not {number}: lower the number in "
        "tools/builder/old_places.json"
        for rule, number in allowed().get(key, {}).items()
        if rule in rules and counts[rule] < number
    ]


def main() -> None:
    """Print what old_places.json would have to hold today."""
    from tools.builder import audit, notebook
    from tools.builder.source import find, inspect, parse

    table = {}
    for path in find(places := Places()):
        findings = inspect(lesson := parse(path))
        target = places.notebook(lesson)
        if target.is_file() and not [finding for finding in findings if finding.rule == "python"]:
            findings = [*findings, *audit.check(lesson, notebook.load(target))]
        counts = Counter(finding.rule for finding in findings if finding.rule in RULES)
        if counts:
            table[lesson.key] = dict(sorted(counts.items()))
    print(json.dumps(table, indent=1))


if __name__ == "__main__":
    main()
