"""Real or fake? A game of twenty paired trials, whose results travel as a short code and are pooled for a
class.

    game.play(real, {"04_vae": fakes, …}, "Which of the two is real?")     # buttons; at the end a code
    game.pool("7K2QX-M0VTA 91ZRC-44NNB", names)                             # a class: one interval a model

A code holds which game was dealt and which answers were right, so that a class can be pooled model by model
without a network. Its last characters are checks: one wrong character or two exchanged neighbours never go
unnoticed.
"""

import random
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import ipywidgets
import numpy as np
from scipy.stats import binomtest

from course_utils.data import pixels
from course_utils.plots import images
from course_utils.widgets.panel import Panel, register

TRIALS = 20
SEEDS = 2**15
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's: no I, L, O, U
_CODE = " Your code:\n"
_PRIME = 1021  # below 32²: the two check characters


@dataclass(frozen=True)
class Trial:
    """One pair: index of the model, side of the real image (0 is A, 1 is B), and two numbers in [0, 1) that
    choose the images."""

    model: int
    side: int
    real: float
    fake: float


def deal(seed: int, models: int, trials: int = TRIALS) -> list[Trial]:
    """Return the trials of game number `seed`: every model equally often or once more, sides balanced, in
    random order.

    The same on every machine and Python, since only `Random.random` is used. Raises ValueError for no models.
    """
    if models < 1:
        raise ValueError("The game needs at least one model.")
    dice = random.Random(seed)
    order = _shuffled(range(models), dice)
    turns = _shuffled([order[i % models] for i in range(trials)], dice)
    sides = _shuffled([i % 2 for i in range(trials)], dice)
    return [
        Trial(model, side, dice.random(), dice.random()) for model, side in zip(turns, sides, strict=True)
    ]


def _shuffled(items, dice: random.Random) -> list:
    items = list(items)
    for i in range(len(items) - 1, 0, -1):
        k = int(dice.random() * (i + 1))
        items[i], items[k] = items[k], items[i]
    return items


def _roster(names: Sequence[str]) -> int:
    return zlib.crc32("\n".join(names).encode()) % 32


def encode(seed: int, right: Sequence[bool], names: Sequence[str]) -> str:
    """Return the code "XXXXX-XXXXX" of a finished game: its seed, which answers were right, and who took
    part."""
    if not 0 <= seed < SEEDS or len(right) != TRIALS:
        raise ValueError(
            f"A code needs a seed below {SEEDS} and {TRIALS} answers, got {seed} and {len(right)}."
        )
    answers = sum(bool(answer) << i for i, answer in enumerate(right))
    number = (seed << TRIALS | answers) << 5 | _roster(names)
    text = _text(number, 8) + _text(number % _PRIME, 2)
    return f"{text[:5]}-{text[5:]}"


def _text(number: int, length: int) -> str:
    return "".join(_ALPHABET[number >> 5 * (length - 1 - i) & 31] for i in range(length))


def decode(code: str, names: Sequence[str]) -> tuple[int, list[bool]]:
    """Return (seed, which answers were right). Case, dashes and blanks do not matter; O is read as 0, I and L
    as 1.

    Raises ValueError that says what is wrong: the length, a character, a typing error, or a game with other
    models.
    """
    text = re.sub(r"[\s\-–]", "", code.upper()).replace("O", "0").replace("I", "1").replace("L", "1")
    strange = sorted(set(text) - set(_ALPHABET))
    if strange:
        raise ValueError(f"{code!r}: {', '.join(strange)} is in no code.")
    if len(text) != 10:
        raise ValueError(f"{code!r}: a code has 10 characters, this one has {len(text)}.")
    digits = [_ALPHABET.index(character) for character in text]
    number = sum(digit << 5 * (7 - i) for i, digit in enumerate(digits[:8]))
    if number % _PRIME != digits[8] << 5 | digits[9]:
        raise ValueError(f"{code!r}: a typing error (its check characters do not fit).")
    if number & 31 != _roster(names):
        raise ValueError(f"{code!r}: from a game with other models; compare the versions of the course.")
    number >>= 5
    return number >> TRIALS, [bool(number >> i & 1) for i in range(TRIALS)]


def interval(successes: int, n: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval for a share (1927): (low, high), (0, 1) for n = 0."""
    if n == 0:
        return 0.0, 1.0
    found = binomtest(successes, n).proportion_ci(method="wilson")
    return float(found.low), float(found.high)


@dataclass(frozen=True)
class Pool:
    """A class: `rows`, one dict a model (model, trials, fooled, share, low, high); `players`; `problems`, a
    sentence for each code that could not be used."""

    rows: list[dict]
    players: int
    problems: list[str]

    @property
    def right(self) -> int:
        """Right answers of all players together."""
        return sum(row["trials"] - row["fooled"] for row in self.rows)


def pool(codes: str | Sequence[str], names: Sequence[str]) -> Pool:
    """Pool the codes of a class (a text with one code a line or between commas, or a list of codes).

    `fooled` counts trials in which the model's image was taken for the real one; `low`, `high`: Wilson's
    interval of its share. A code typed twice counts once; a code that cannot be read is reported and left
    out.
    """
    if isinstance(codes, str):
        codes = [code for code in re.split(r"[\n,;]+", codes) if code.strip()]
    trials = [0] * len(names)
    fooled = [0] * len(names)
    seen = set()
    problems = []
    for code in codes:
        try:
            seed, right = decode(code, names)
        except ValueError as error:
            problems.append(str(error))
            continue
        if (seed, *right) in seen:
            problems.append(f"{code.strip()!r}: typed twice, counted once.")
            continue
        seen.add((seed, *right))
        for trial, answer in zip(deal(seed, len(names)), right, strict=True):
            trials[trial.model] += 1
            fooled[trial.model] += not answer
    rows = []
    for name, n, count in zip(names, trials, fooled, strict=True):
        low, high = interval(count, n)
        share = count / n if n else None
        rows.append({"model": name, "trials": n, "fooled": count, "share": share, "low": low, "high": high})
    return Pool(rows, len(seen), problems)


def pairs(seed: int, real, fakes: Mapping) -> list[np.ndarray]:
    """Return the pairs of game `seed`, uint8 (2, 28, 28) each, A first.

    `real`: images (N, 28, 28) or (N, 1, 28, 28); `fakes`: name → images.
    """
    real = pixels.as_images(real)
    found = []
    fakes = [pixels.as_images(x) for x in fakes.values()]
    for trial in deal(seed, len(fakes)):
        fake = fakes[trial.model]
        both = [real[int(trial.real * len(real))], fake[int(trial.fake * len(fake))]]
        found.append(np.stack(both if trial.side == 0 else both[::-1]))
    return found


def machine(choose: Callable, real, fakes: Mapping, games: int, first: int = 0) -> list[str]:
    """Let a machine play `games` games; returns its codes. `choose(pairs (M, 2, 28, 28))` → 0 or 1 each,
    (M,)."""
    codes = []
    for seed in range(first, first + games):
        answers = choose(np.stack(pairs(seed, real, fakes)))
        right = [int(a) == trial.side for a, trial in zip(answers, deal(seed, len(fakes)), strict=True)]
        codes.append(encode(seed % SEEDS, right, list(fakes)))
    return codes


class Game:
    """The state of one player's game: `.seed`, `.right` (so far), `.done`, `.code` (None before the end)."""

    def __init__(self, real, fakes: Mapping, seed: int | None = None):
        self.real = real
        self.fakes = fakes
        self.names = list(fakes)
        self.start(seed)

    def start(self, seed: int | None = None) -> None:
        """Deal a game; without a seed one that no other cell's random numbers depend on."""
        self.seed = random.SystemRandom().randrange(SEEDS) if seed is None else seed
        self.trials = deal(self.seed, len(self.names))
        self.pairs = pairs(self.seed, self.real, self.fakes)
        self.right: list[bool] = []

    @property
    def done(self) -> bool:
        """Whether all trials are answered."""
        return len(self.right) == TRIALS

    @property
    def code(self) -> str | None:
        """The code to hand in, once the game is over."""
        return encode(self.seed, self.right, self.names) if self.done else None

    def answer(self, side: int) -> None:
        """Say that A (0) or B (1) is real; nothing happens after the last trial."""
        if not self.done:
            self.right.append(side == self.trials[len(self.right)].side)

    def status(self) -> str:
        """What to say above the pair."""
        if not self.right:
            return f"Trial 1 of {TRIALS}. Which one is real?"
        last = "Right" if self.right[-1] else "Wrong"
        truth = "AB"[self.trials[len(self.right) - 1].side]
        if self.done:
            return f"{last}: {truth} was real. {sum(self.right)} of {TRIALS} right.{_CODE}{self.code}"
        score = f"{last}: {truth} was real. {sum(self.right)} of {len(self.right)} so far."
        return f"{score}\nTrial {len(self.right) + 1} of {TRIALS}"

    def key(self) -> str:
        """The right answers of all trials, "ABBA…"."""
        return "".join("AB"[trial.side] for trial in self.trials)

    def figure(self):
        """The present pair, large enough for a projector, under its status."""
        import matplotlib.pyplot as plt

        fig, axes = plt.subplots(1, 2, figsize=(7.5, 4.6), layout="constrained")
        for ax, image, letter in zip(axes, self.pairs[min(len(self.right), TRIALS - 1)], "AB", strict=True):
            ax.imshow(image, cmap="gray_r", vmin=0, vmax=255)
            ax.set(xticks=[], yticks=[])
            ax.grid(False)
            ax.set_xlabel(letter, fontsize=26, weight="bold")
        fig.suptitle(self.status().partition(_CODE)[0], fontsize=18)  # the code stands beside the buttons
        return fig

    def sheet(self):
        """All pairs on one page, numbered, A above B: the game on paper."""
        import matplotlib.pyplot as plt

        both = np.stack(self.pairs)
        fig = plt.figure(figsize=(9.2, 4.4), layout="constrained")
        for first, ax in zip((0, TRIALS // 2), fig.subplots(2, 1), strict=True):
            block = both[first : first + TRIALS // 2].transpose(1, 0, 2, 3).reshape(-1, 28, 28)
            titles = [str(first + i + 1) for i in range(TRIALS // 2)]
            images.image_grid(block, rows=2, titles=titles, row_titles=["A", "B"], ax=ax, note=False)
        return fig


def play(real, fakes: Mapping, caption: str, still: int = 0) -> Game:
    """Show the game; returns the Game (a later cell can ask for `.code`).

    `real`: images (N, 28, 28); `fakes`: name → images. Where no kernel runs the reader sees game number
    `still` on one page, and `deal`'s key can be printed elsewhere. Errors as for `deal`.
    """
    game = Game(real, fakes)
    code = ipywidgets.HTML()

    def press(side: int):
        game.answer(side)
        code.value = f'<code style="font-size:1.6em">{game.code}</code>' if game.done else ""

    def again():
        game.start()
        code.value = ""

    buttons = {"A is real": lambda: press(0), "B is real": lambda: press(1), "New game": again}
    panel = Panel("game", game.figure, caption, {}, buttons, static=lambda: Game(real, fakes, still).sheet())
    panel.controls["code"] = code
    panel.show([*panel.buttons.values(), code])
    del panel.controls["code"]  # text, not a control: nothing to try out
    register(panel)
    return game
