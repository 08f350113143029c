"""A copy of the stand-in course for each test, and one that has been built and executed once for all."""

import pytest

from tests.builder import course


@pytest.fixture
def places(tmp_path):
    """A fresh copy of the stand-in course."""
    return course.copy(tmp_path / "course")


@pytest.fixture(scope="session")
def executed(tmp_path_factory):
    """The stand-in course, built and executed: for tests that only look at it, or copy it."""
    places = course.copy(tmp_path_factory.mktemp("executed") / "course")
    for lesson in ("00", "00b"):
        assert course.build(places, lesson) == []
    return places
