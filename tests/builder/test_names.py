"""Which names a cell binds, reads at once, and reads when its functions are called."""

import builtins

import pytest

from tools.builder import names

CASES = {
    "import torch\nfrom a import b as c": ("", "", "torch c"),
    "x = [y for y in z]": ("z", "", "x"),
    "x = [y for y in y]": ("y", "", "x"),
    "x = {k: [v + w for v in k] for k in z}": ("w z", "", "x"),
    "x = sum(f(i) for i in z)": ("f z", "", "x"),
    "def f(a=d):\n    return [g(i) for i in h]": ("d", "g h", "f"),
    "class K(Base):\n    m = n\n\n    def q(self):\n        return r": ("Base n", "r", "K"),
    "f = lambda t: u + t": ("", "u", "f"),
    "for i, (j, k) in w:\n    pass": ("w", "", "i j k"),
    "with o as p:\n    pass": ("o", "", "p"),
    "def f():\n    global G\n    G = 1": ("", "", "f G"),
    "@deco\ndef f(e: A = 1) -> F:\n    x = 2\n    return x": ("deco A F", "", "f"),
    "v: int = 3\nv += u": ("u", "", "v"),
}


@pytest.mark.parametrize(("source", "expected"), CASES.items())
def test_names_of_a_cell(source, expected):
    at_once, later, bound = (set(text.split()) for text in expected)
    known = set(dir(builtins))
    assert names.read_at_once(source) - known - (bound - at_once) == at_once
    assert names.read_later(source) - known == later
    assert names.bound(source) == bound
    assert names.free_names(source) - known >= at_once | later
