"""Texts that ship with the course: the letters of its own lessons, and questions about flights with their tags.

    from course_utils.data.text import Tagged, course_text, questions

    course_text()        # "start here a generative model …": 221,921 small letters and spaces
    Tagged().some(20)    # twenty training questions as numbers: pieces of words, tags, mask
    questions("train")   # [[("what", "PRON"), ("is", "AUX"), …], …]: 4,274 sentences

Both are verified on reading; data/README.md says where they come from.
"""

import zlib
from functools import cache

import torch

from course_utils.data.files import read_verified
from course_utils.system import folders

LETTERS = ("lessons_00_to_07.txt", "87134f22aca2295ccf8bc07a1f708ef2b97afe815f8f45ef4c1d0019887099cd")
QUESTIONS = {
    "train": "55d1f1fe19c6712a802a47a1ac393a54d19001a716c502e254ec3427e04b823b",
    "dev": "3c7a68f428bed16ff8c0510ca393b55db42428e3e22af3a2870e6e8d25f96d2f",
    "test": "ae8ab3809d43b9ec0dd53c565db6d74865b4e92b5c3973b0e5960661443fa4ff",
}
REMEDY = "Bring it back with: git checkout -- data/{}"


@cache
def course_text() -> str:
    """Return the prose of lessons 00 to 07 as it was when lesson 08 was written: letters a to z and single spaces.

    Formulas, code and links are left out. Raises DataError if the file is missing or damaged.
    """
    name, digest = LETTERS
    path = folders.data_dir() / "course_text" / name
    text = read_verified(path, digest, REMEDY.format("course_text")).decode("ascii")
    return " ".join(text.split())


@cache
def _questions(part: str) -> tuple:
    path = folders.data_dir() / "atis_pos" / f"{part}.txt.gz"
    packed = read_verified(path, QUESTIONS[part], REMEDY.format("atis_pos"))
    lines = zlib.decompress(packed, wbits=31).decode("utf-8").splitlines()
    return tuple(tuple(tuple(word.rsplit("/", 1)) for word in line.split()) for line in lines)


def questions(part: str) -> list[list[tuple[str, str]]]:
    """Return the sentences of a part ("train", "dev" or "test") of ATIS as lists of (word, tag).

    Raises ValueError for another part, DataError if the file is missing or damaged.
    """
    if part not in QUESTIONS:
        raise ValueError(f"{part!r} is no part of the questions: {', '.join(QUESTIONS)}.")
    return [list(sentence) for sentence in _questions(part)]


def pieces(word: str) -> list[str]:
    """Return a word and its endings of one, two and three letters: ["rates", "-s", "-es", "-tes"]."""
    return [word, *("-" + word[-n:] for n in (1, 2, 3))]


class Tagged:
    """The questions as numbers.

    `sentences`: part → list of sentences; `tags`: the names of the K tags; `numbers`: piece → number, of every
    word and ending that occurs anywhere; `words`: the numbers of whole words (W,).
    """

    def __init__(self):
        self.sentences = {part: questions(part) for part in QUESTIONS}
        pairs = [pair for part in self.sentences.values() for sentence in part for pair in sentence]
        self.tags = sorted({tag for _, tag in pairs})
        self.numbers: dict[str, int] = {}
        for word, _ in pairs:
            for piece in pieces(word):
                self.numbers.setdefault(piece, len(self.numbers))
        self.words = torch.tensor([number for piece, number in self.numbers.items() if piece[0] != "-"])

    def encode(self, sentences) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return pieces (T, N, 4), tags (T, N) and mask (T, N; True at words) of N sentences, padded to T words."""
        T, N = max(map(len, sentences)), len(sentences)
        f, y = torch.zeros(T, N, 4, dtype=torch.long), torch.zeros(T, N, dtype=torch.long)
        mask = torch.zeros(T, N, dtype=torch.bool)
        for n, sentence in enumerate(sentences):
            known = [[self.numbers[piece] for piece in pieces(word)] for word, _ in sentence]
            f[: len(sentence), n] = torch.tensor(known)
            y[: len(sentence), n] = torch.tensor([self.tags.index(tag) for _, tag in sentence])
            mask[: len(sentence), n] = True
        return f, y, mask

    def some(self, n: int, draw: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return n training sentences, encoded; each `draw` chooses others."""
        train = self.sentences["train"]
        order = torch.randperm(len(train), generator=torch.Generator().manual_seed(draw))[:n]
        return self.encode([train[i] for i in order])

    def by_endings(self, counts: torch.Tensor, f: torch.Tensor) -> torch.Tensor:
        """Return log p(tag | ending) / p(tag) of words f (T, N, 4), for words that training did not meet: (T, N, K).

        counts (P, K): how often each piece had each tag. From the shortest ending to the longest, each estimate
        counts as one observation for the next.
        """
        base = counts[self.words].sum(0) + 1
        base = base / base.sum()
        p = base
        for column in (1, 2, 3):
            seen = counts[f[..., column]]
            p = (seen + p) / (seen.sum(-1, keepdim=True) + 1)
        return (p / base).log()
