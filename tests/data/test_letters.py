"""Letters look like MNIST to a ruler: size, position, and all different."""

import torch

import course_utils as cu


def test_letters_have_the_size_and_place_of_mnist_digits():
    letters = cu.letters()
    assert letters.shape == (480, 1, 28, 28) and letters.dtype == torch.uint8
    ink = letters[:, 0].double()
    for axis in (1, 2):
        extent = (ink.amax(axis) > 0).sum(1)
        assert extent.max() <= 20
        where = (ink.sum(axis) * torch.arange(28)).sum(1) / ink.sum((1, 2))
        assert (where - 13.5).abs().median() < 0.5
    longest = torch.maximum((ink.amax(1) > 0).sum(1), (ink.amax(2) > 0).sum(1))
    assert (longest >= 18).all()
    assert len(letters.flatten(1).unique(dim=0)) > 400
