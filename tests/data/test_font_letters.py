"""The letters made from fonts: an image set like MNIST, the same for the same seed, and readable."""

import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier

from course_utils.data.font_letters import FACES, font_letters


def test_letters_are_an_image_set():
    data = font_letters(seed=3, per_letter=10)
    assert data.classes == tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    for split, n in ((data.train, 10), (data.val, 2), (data.test, 2)):
        assert split.x.shape == (26 * n, 1, 28, 28) and split.x.dtype == torch.uint8
        assert (split.y.bincount(minlength=26) == n).all()
    ink = data.train.x.float().mean((1, 2, 3))
    assert (ink > 10).all() and (ink < 140).all(), "neither blank nor full"
    assert float(data.train.x[:, :, 0].float().mean()) < 1, "not cut off at the edge"


def test_a_seed_repeats_its_letters_and_another_makes_others():
    one = font_letters(seed=3, per_letter=10)
    font_letters.cache_clear()
    again, other = font_letters(seed=3, per_letter=10), font_letters(seed=4, per_letter=10)
    assert torch.equal(one.train.x, again.train.x) and torch.equal(one.test.y, again.test.y)
    assert not torch.equal(one.train.x, other.train.x)
    known = {row.numpy().tobytes() for row in one.train.x}
    assert not known & {row.numpy().tobytes() for row in one.test.x}


def test_they_do_not_touch_the_global_generator():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    font_letters(seed=9, per_letter=5)
    assert torch.equal(before, torch.get_rng_state())


def test_the_labels_are_right():
    data = font_letters(seed=3, per_letter=30)
    reader = KNeighborsClassifier(1).fit(data.train.flat(), data.train.y)
    assert reader.score(data.test.flat(), data.test.y) > 0.5  # guessing: 0.04
    assert len(set(FACES)) == 19


def test_too_few_are_refused():
    with pytest.raises(ValueError, match="at least 5"):
        font_letters(per_letter=4)
