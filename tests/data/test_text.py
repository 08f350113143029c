"""The texts that ship with the course: whole, verified, and shared without harm."""

import pytest

from course_utils.data import files, text


def test_the_text_is_letters_and_single_spaces():
    letters = text.course_text()
    assert letters.startswith("start here a generative model makes new members")
    assert set(letters) <= set("abcdefghijklmnopqrstuvwxyz ") and "  " not in letters


def test_the_questions_are_words_with_tags():
    train = text.questions("train")
    assert train[1][:3] == [("now", "ADV"), ("i", "PRON"), ("need", "VERB")]
    train[1].clear()  # the caller's own list
    assert text.questions("train")[1]


def test_a_damaged_text_is_refused_with_the_remedy(tmp_path, monkeypatch):
    folder = tmp_path / "course_text"
    folder.mkdir()
    (folder / text.LETTERS[0]).write_text("something else")
    monkeypatch.setattr(text.folders, "data_dir", lambda: tmp_path)
    text.course_text.cache_clear()
    try:
        with pytest.raises(files.DataError, match="git checkout -- data/course_text"):
            text.course_text()
    finally:
        text.course_text.cache_clear()
