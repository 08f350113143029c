"""The stand-in course of tests/fixtures/course: a copy of it, and what the tests of the builder do to it."""

import shutil

from tools import build_lessons
from tools.builder import notebook
from tools.builder.source import ROOT, Places, find, read

FIXTURE = ROOT / "tests" / "fixtures" / "course"


def copy(folder):
    """Copy the stand-in course to `folder`; return its places."""
    shutil.copytree(FIXTURE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    return Places(folder)


def build(places, lesson="00", **options):
    """Build one lesson with the stand-in package; return its problems."""
    env = {"PYTHONPATH": str(places.root)}
    return build_lessons.build(find(places, [lesson])[0], places, env=env, **options)


def source(places, lesson="00"):
    """Return the path of a lesson's source."""
    return find(places, [lesson])[0]


def edit(places, old, new, lesson="00"):
    """Replace `old`, which must be there, in a lesson's source."""
    path = source(places, lesson)
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def add(places, text, lesson="00"):
    """Put cells at the end of a lesson's source."""
    path = source(places, lesson)
    path.write_text(path.read_text(encoding="utf-8") + "\n" + text, encoding="utf-8")


def built(places, lesson="00"):
    """Return the notebook on disk."""
    return notebook.load(places.notebook(read(source(places, lesson))))


def inputs(places, lesson="00"):
    """Return the notebook that the source builds, without outputs."""
    return notebook.assemble(read(source(places, lesson)), places.root)


def cell_with(book, text):
    """Return the index of the one cell of a notebook whose source holds `text`."""
    (index,) = (i for i, cell in enumerate(book.cells) if text in cell.source)
    return index
