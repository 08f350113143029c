"""Texts that ship with the course: the letters of its own lessons, and questions about flights with their tags.

    cu.data.course_text()        # "start here a generative model …": 221,921 small letters and spaces
    cu.data.questions("train")   # [[("what", "PRON"), ("is", "AUX"), …], …]: 4,274 sentences

Both are verified on reading; data/README.md says where they come from.
"""

import zlib
from functools import cache

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
