"""The game of lesson 07: fair deals, codes that survive a classroom, true intervals, a widget that keeps
score."""

import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course_utils.arena import game

NAMES = ["00_pixels", "04_vae", "05_gan"]
patient = settings(deadline=None, max_examples=60)  # a busy machine is no failure
seeds = st.integers(0, game.SEEDS - 1)
answers = st.lists(st.booleans(), min_size=game.TRIALS, max_size=game.TRIALS)


@pytest.fixture
def images():
    """Real images are 200, those of model i are i."""
    fakes = {name: np.full((5, 28, 28), i, np.uint8) for i, name in enumerate(NAMES)}
    return np.full((9, 28, 28), 200, np.uint8), fakes


@given(seeds, st.integers(1, 25))
@patient
def test_models_and_sides_are_balanced(seed, models):
    trials = game.deal(seed, models)
    counts = np.bincount([trial.model for trial in trials], minlength=models)
    assert len(trials) == 20 and counts.max() - counts.min() <= 1
    assert sum(trial.side for trial in trials) == 10
    assert all(0 <= trial.real < 1 and 0 <= trial.fake < 1 for trial in trials)


def test_a_deal_is_the_same_everywhere_and_differs_from_seed_to_seed():
    assert game.deal(5, 3) == game.deal(5, 3)
    assert len({tuple(game.deal(seed, 4)) for seed in range(200)}) == 200
    first = [(trial.model, trial.side) for trial in game.deal(1, 3)[:6]]
    dice = random.Random(1)  # the rule in full, so that a change that would break old codes is noticed
    order, shuffled = [0, 1, 2], []
    for items in (order, shuffled):
        if items is shuffled:
            items += [order[i % 3] for i in range(20)]
        for i in range(len(items) - 1, 0, -1):
            k = int(dice.random() * (i + 1))
            items[i], items[k] = items[k], items[i]
    assert [model for model, _ in first] == shuffled[:6]


def test_over_many_deals_no_model_is_dealt_more_often():
    counts = np.zeros(7)
    for seed in range(1_000):
        counts += np.bincount([trial.model for trial in game.deal(seed, 7)], minlength=7)
    assert np.abs(counts / counts.sum() - 1 / 7).max() < 0.003


@given(seeds, answers)
@patient
def test_a_code_survives_the_round_trip_however_it_is_typed(seed, right):
    code = game.encode(seed, right, NAMES)
    assert len(code) == 11 and not set("ILOU") & set(code)
    sloppy = code.lower().replace("-", " ").replace("0", "o").replace("1", "l")
    assert game.decode(code, NAMES) == game.decode(sloppy, NAMES) == (seed, right)


@given(seeds, answers, st.integers(0, 9), st.integers(1, 31))
@settings(max_examples=300, deadline=None)
def test_one_wrong_character_never_goes_unnoticed(seed, right, place, step):
    text = game.encode(seed, right, NAMES).replace("-", "")
    letters = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
    wrong = letters[(letters.index(text[place]) + step) % 32]
    with pytest.raises(ValueError, match="typing error"):
        game.decode(text[:place] + wrong + text[place + 1 :], NAMES)


@given(seeds, answers, st.integers(0, 8))
@settings(max_examples=300, deadline=None)
def test_exchanged_neighbours_never_go_unnoticed(seed, right, place):
    text = game.encode(seed, right, NAMES).replace("-", "")
    turned = text[:place] + text[place + 1] + text[place] + text[place + 2 :]
    if turned != text:
        with pytest.raises(ValueError, match="typing error"):
            game.decode(turned, NAMES)


def test_a_wrong_code_says_what_is_wrong():
    code = game.encode(7, [True] * 20, NAMES)
    for bad, reason in [("abc", "has 3"), (code + "A", "has 11"), (code[:-1] + "?", r"\? is in no code")]:
        with pytest.raises(ValueError, match=reason):
            game.decode(bad, NAMES)
    with pytest.raises(ValueError, match="other models"):
        game.decode(code, ["A", *NAMES])
    for seed, right in [(game.SEEDS, [True] * 20), (-1, [True] * 20), (1, [True] * 19)]:
        with pytest.raises(ValueError, match="A code needs"):
            game.encode(seed, right, NAMES)


def test_a_class_is_pooled_model_by_model_and_bad_codes_are_named():
    rights = {1: [True] * 20, 2: [False] * 20, 3: [i % 2 == 0 for i in range(20)]}
    codes = [game.encode(seed, right, NAMES) for seed, right in rights.items()]
    pooled = game.pool(", ".join(codes) + f"\n{codes[0].lower()}\nnonsense", NAMES)
    assert pooled.players == 3 and pooled.right == 30 and len(pooled.problems) == 2
    assert "typed twice" in pooled.problems[0] and "nonsense" in pooled.problems[1]
    for k, row in enumerate(pooled.rows):
        mine = [
            (seed, i) for seed in rights for i, trial in enumerate(game.deal(seed, 3)) if trial.model == k
        ]
        assert row["trials"] == len(mine)
        assert row["fooled"] == sum(not rights[seed][i] for seed, i in mine)
        assert (row["low"], row["high"]) == game.interval(row["fooled"], row["trials"])
    assert game.pool("", NAMES).rows[0] == {
        "model": "00_pixels", "trials": 0, "fooled": 0, "share": None, "low": 0.0, "high": 1.0,
    }  # fmt: skip


@given(st.integers(1, 500), st.data())
@patient
def test_the_interval_solves_the_quadratic_of_the_lesson(n, data):
    successes = data.draw(st.integers(0, n))
    low, high = game.interval(successes, n)
    for root in (low, high):
        if 0 < root < 1:
            assert (successes / n - root) ** 2 == pytest.approx(
                1.96**2 * root * (1 - root) / n, rel=1e-4, abs=1e-12
            )
    assert 0 <= low <= successes / n + 1e-12 and successes / n - 1e-12 <= high <= 1


@pytest.mark.parametrize("share", [0.05, 0.3, 0.5])
def test_the_interval_covers_the_truth_nineteen_times_in_twenty(share):
    n = 60
    chance = [math.comb(n, s) * share**s * (1 - share) ** (n - s) for s in range(n + 1)]
    covered = sum(
        c for s, c in enumerate(chance) if game.interval(s, n)[0] <= share <= game.interval(s, n)[1]
    )
    assert 0.92 < covered < 0.98


def test_pairs_show_the_dealt_model_on_the_dealt_side(images):
    real, fakes = images
    for pair, trial in zip(game.pairs(11, real, fakes), game.deal(11, 3), strict=True):
        assert pair.shape == (2, 28, 28)
        assert (pair[trial.side] == 200).all() and (pair[1 - trial.side] == trial.model).all()


def test_a_player_who_sees_everything_wins_and_one_who_sees_nothing_gets_half(images):
    sees = game.pool(game.machine(lambda pairs: pairs[:, :, 0, 0].argmax(1), *images, games=4), NAMES)
    assert sees.right == 80 and sees.players == 4
    blind = game.pool(game.machine(lambda pairs: np.zeros(len(pairs)), *images, games=4), NAMES)
    assert blind.right == 40


def test_a_game_keeps_score_and_ends_with_its_code(images):
    g = game.Game(*images, seed=3)
    for i, trial in enumerate(g.trials):
        assert g.code is None and not g.done and f"{i + 1} of 20" in g.status()
        g.answer(trial.side if i else 1 - trial.side)
    assert g.done and sum(g.right) == 19 and "19 of 20 right" in g.status() and g.code in g.status()
    assert game.decode(g.code, NAMES) == (3, [False] + [True] * 19)
    assert g.status().startswith("Right: "), "the last answer is judged as well"
    title = g.figure().get_suptitle()
    assert "19 of 20 right" in title and g.code not in title, "the code stands beside the buttons"
    g.answer(0)
    assert len(g.right) == 20  # the twenty-first click does nothing
    assert "".join("AB"[trial.side] for trial in g.trials) == g.key()


def test_the_buttons_play_the_game_and_new_game_deals_another(images):
    from course_utils.widgets.panel import REGISTRY

    g = game.play(*images, "Which is real? A test of the buttons.")
    panel = REGISTRY[-1]
    assert set(panel.buttons) == {"A is real", "B is real", "New game"} and not panel.controls
    panel.press("New game")
    before, shown = g.seed, panel.image.value
    for trial in list(g.trials):
        panel.press("AB"[trial.side] + " is real")
        assert panel.error is None
    assert g.done and sum(g.right) == 20 and panel.image.value != shown
    dealt = set()
    for _ in range(5):
        panel.press("New game")
        dealt.add(g.seed)
        assert not g.right
    assert len(dealt | {before}) > 1


def test_a_game_without_models_is_refused(images):
    with pytest.raises(ValueError, match="at least one model"):
        game.Game(images[0], {}, 1)
