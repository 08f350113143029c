"""Choose a balanced paper from the bank, and deal out its hundred points. The same arguments, the same paper."""

import random
from collections import Counter

from tools.assessment.bank import KINDS, BankError, Question

TRIES = 40
TOTAL = 100
LEAST, MOST = 60, 300
"""Minutes of a paper: below, not every kind finds room; above, a question would get too few points for its steps."""


def choose(bank: list[Question], seed: int, minutes: int) -> list[Question]:
    """Return a paper of at most so many minutes, ordered by lesson.

    Kinds and lessons occur as equally often as possible, and every difficulty by its share in the bank. Raises
    BankError if the bank is too small for so many minutes.
    """
    have = sum(question.minutes for question in bank)
    if have < 1.25 * minutes:
        raise BankError(
            f"the questions to choose from take {have} minutes in all; ask for at most {int(have / 1.25)} "
            "with --minutes, or allow more lessons."
        )
    draw = random.Random(f"mid-term {seed} {minutes}")
    papers = [_grow(bank, minutes, draw) for _ in range(TRIES)]
    best = min(papers, key=lambda paper: unbalance(paper, bank, minutes))
    return sorted(best, key=lambda question: question.name)


def _grow(bank: list[Question], minutes: int, draw: random.Random) -> list[Question]:
    """Add, one at a time, a question that the paper lacks most, until none fits any more."""
    rest, paper, left = draw.sample(bank, len(bank)), [], minutes
    share = Counter(question.difficulty for question in bank)
    while True:
        taken = {name for question in paper for name in question.apart}
        fitting = [q for q in rest if q.minutes <= left and q.name not in taken]
        if not fitting:
            return paper
        kinds = Counter(question.kind for question in paper)
        lessons = Counter(question.lesson for question in paper)
        levels = Counter(question.difficulty for question in paper)

        def need(q, kinds=kinds, lessons=lessons, levels=levels):
            return (
                lessons[q.lesson] + kinds[q.kind] + len(bank) * levels[q.difficulty] / share[q.difficulty] / 8
            )

        chosen = min(fitting, key=need)  # of several, the first of the shuffled rest
        paper.append(chosen)
        rest.remove(chosen)
        left -= chosen.minutes


def unbalance(paper: list[Question], bank: list[Question], minutes: int) -> float:
    """Return how far a paper is from the ideal: 0 is perfect. Ten units are a kind too often."""
    kinds = spread(Counter(question.kind for question in paper), KINDS)
    lessons = spread(Counter(q.lesson for q in paper), sorted({q.lesson for q in bank}))
    share = Counter(question.difficulty for question in bank)
    levels = Counter(question.difficulty for question in paper)
    off = sum(abs(levels[d] - len(paper) * share[d] / len(bank)) for d in share)
    unused = minutes - sum(question.minutes for question in paper)
    return 10 * max(0, kinds - 1) + 10 * max(0, lessons - 1) + 3 * off + unused


def spread(counts: Counter, names) -> int:
    """The largest count minus the smallest, of all `names`."""
    return max(counts[name] for name in names) - min(counts[name] for name in names)


def points(paper: list[Question]) -> list[int]:
    """The points of each question, in proportion to its minutes; together 100."""
    return apportion(TOTAL, [question.minutes for question in paper])


def steps(question: Question, worth: int) -> list[tuple[float, str]]:
    """The marking scheme of a question that is worth so many points, in half points: (points, what for)."""
    halves = apportion(2 * worth, [share for share, _ in question.marks])
    return [(half / 2, what) for half, (_, what) in zip(halves, question.marks)]


def apportion(total: int, weights: list[int]) -> list[int]:
    """Whole numbers in proportion to the weights, at least 1 each, that add up to `total` (largest remainder).

    Raises ValueError where there are more weights than units.
    """
    if total < len(weights):
        raise ValueError(f"{total} units cannot be dealt out to {len(weights)}.")
    free = total - len(weights)
    exact = [free * weight / sum(weights) for weight in weights]
    dealt = [int(value) for value in exact]
    order = sorted(range(len(weights)), key=lambda i: (dealt[i] - exact[i], i))
    for i in order[: free - sum(dealt)]:
        dealt[i] += 1
    return [1 + value for value in dealt]
