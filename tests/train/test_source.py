"""The fingerprint of a function's source: what counts, what does not, and that all Pythons agree."""

import functools
import importlib.util
import itertools
import json
import linecache
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from course_utils.system.folders import ROOT
from course_utils.train import fingerprint, source

numbers = itertools.count()


@pytest.fixture
def module(tmp_path):
    """A function that writes a source to a new file and returns it as a module of one and the same name."""

    def write(text):
        path = tmp_path / f"lesson_{next(numbers)}.py"
        path.write_text(text, encoding="utf-8")
        spec = importlib.util.spec_from_file_location("lesson", path)
        made = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(made)
        return made

    return write


def identity(function):
    return fingerprint.identify({"step": function}, {})


def test_comments_docstrings_and_layout_do_not_count_but_constants_do(module):
    plain = 'def f(x):\n    "old"\n    return [y + 1 for y in x if y in {"a", "b"}]\n'
    first = identity(module(plain).f)
    assert first == identity(module(plain.replace("old", "new").replace("return", "# why\n\n    return")).f)
    assert first == identity(module("# moved\n\n" + plain.replace("[y + 1", "[\n        (y + 1)")).f)
    assert fingerprint.differences(first, identity(module(plain.replace("y + 1", "y + 2")).f))
    for one, other in [
        ("def f(x, k=1): return k", "def f(x, k=2): return k"),
        ("k = 1\ndef f(x): return k", "k = 2\ndef f(x): return k"),
        ("def f(x): return x + 1", "def f(x): return x - 1"),
        ("def f(x): return 1", "def f(x): return 1.0"),
        ("def g(x): return x\ndef f(x): return g(x)", "def g(x): return -x\ndef f(x): return g(x)"),
    ]:
        assert fingerprint.differences(identity(module(one).f), identity(module(other).f)), (one, other)


def test_a_docstring_added_does_not_count(module):
    texts = [f"def f(x):\n    {doc}return x + 1 if x else 2" for doc in ("", '"why"\n    ')]
    bare, told = (identity(module(text).f) for text in texts)
    assert bare == told


def test_a_default_counts_by_its_value(module):
    text = "K = {}\ndef f(x, k=K): return k"
    assert fingerprint.differences(identity(module(text.format(1)).f), identity(module(text.format(2)).f))


def test_an_attribute_is_not_mistaken_for_a_global_of_its_name(module):
    one, two = (identity(module(f"mean = {value}\ndef f(x): return x.mean()").f) for value in (1, 2))
    assert one == two
    assert fingerprint.differences(one, identity(module("def f(x): return x.sum()").f))


def test_a_changed_way_through_the_same_steps_counts(module):
    text = "def f(x):\n    while x:\n        x -= 1\n        if x > 3: WORD\n        x -= 2\n    return x"
    ways = [identity(module(text.replace("WORD", word)).f) for word in ("break", "continue")]
    assert fingerprint.differences(*ways)


def test_a_changed_forward_counts_although_the_weights_are_alike(module):
    def net(forward, helper="x"):
        text = f"from torch import nn\ndef scaled(x):\n    return {helper}\n"
        text += f"class Net(nn.Linear):\n    def forward(self, x):\n        return {forward}\n"
        return fingerprint.identify({}, {"model": module(text).Net(2, 2)})

    plain = net("scaled(x) @ self.weight")
    assert plain == net("scaled(x)@self.weight")
    (change,) = fingerprint.differences(plain, net("-scaled(x) @ self.weight"))
    assert change == "the code of `Net.forward` changed"
    (change,) = fingerprint.differences(plain, net("scaled(x) @ self.weight", helper="2 * x"))
    assert change == "the code of `scaled` changed"


LAMBDAS = """
pair = (lambda x: x + 1), (lambda x: x * 2)
nested = lambda k: lambda x: k + x
spread = [
    lambda x:
        x - 1,  # over two lines
]
"""


def test_lambdas_are_told_apart_on_one_line_and_within_each_other(module):
    made = module(LAMBDAS)
    alone = [module(f"f = {text}").f for text in ("lambda x: x + 1", "lambda x: x * 2", "lambda x: x - 1")]
    assert [source.fingerprint(f) for f in (*made.pair, *made.spread)] == list(map(source.fingerprint, alone))
    outer, inner = made.nested, made.nested(3)
    assert source.fingerprint(outer) == source.fingerprint(module("f = lambda k: lambda x: k + x").f)
    assert source.fingerprint(inner) == source.fingerprint(module("f = lambda x: k + x").f)
    assert identity(inner)["k"] == "3"


def test_two_lambdas_in_one_call_both_count(module):
    def both(first, second):
        made = module(f"f = lambda x: {first}\ng = lambda x: {second}")
        return fingerprint.identify({"loss": made.f, "schedule": made.g}, {})

    plain = both("x", "1 - x")
    assert fingerprint.differences(plain, both("2 * x", "1 - x"))
    assert fingerprint.differences(plain, both("x", "1 - 2 * x"))


def test_without_columns_all_lambdas_of_a_line_stand_for_each():
    code = "import runpy, sys; s = runpy.run_path(sys.argv[1]); m = runpy.run_path(sys.argv[2])\n"
    code += "print(len(s['definitions'](m['pair'][0])), len(s['definitions'](m['spread'][0])))"
    for options, expected in (["-X", "no_debug_ranges"], "2 1"), ([], "1 1"):
        assert in_another(Path(sys.executable), code, LAMBDAS, options=options).split() == expected.split()


def test_partial_functions_and_decorators_of_a_library_are_looked_through(module):
    def made(body):
        text = "import torch\n@torch.no_grad()\ndef f(x, k):\n    return " + body
        return module(text).f

    one, two = identity(made("x + k")), identity(made("x - k"))
    assert fingerprint.differences(one, two) == ["the code of `f` changed"]
    parts = [identity(functools.partial(made("x + k"), k=k)) for k in (1, 2)]
    assert fingerprint.differences(*parts) == ["k: 1 → 2"]


def test_a_function_of_a_library_counts_by_its_name(module):
    def made(inner):
        return identity(module("def outer(g):\n    return lambda x: g(x)").outer(inner))

    assert made(F.silu) == made(F.silu)
    assert "torch" in made(F.silu)["code of `silu`"]
    assert fingerprint.differences(made(F.silu), made(F.softplus))


def executed(text):
    space = {"__name__": "lesson"}
    exec(text, space)
    return space["f"]


def test_what_exec_made_is_compared_as_this_python_compiled_it(monkeypatch):
    text = "def f(x): return x  # the text of `python -c`, which Python 3.13 knows as <string>, too\n"
    monkeypatch.setitem(linecache.cache, "<string>", (len(text), None, [text], "<string>"))
    one, again = (executed('def f(x):\n    return x in {"a", "b"} and g(lambda: x + 1)') for _ in range(2))
    other = executed('def f(x):\n    return x in {"a", "b"} and g(lambda: x + 2)')
    assert source.definitions(one) == [] and source.COMPILED in source.fingerprint(one)
    assert identity(one) == identity(again)
    assert fingerprint.differences(identity(one), identity(other)) == ["the code of `f` changed"]
    earlier = {key: value.replace(sys.version[:4], "3.9") for key, value in identity(one).items()}
    (change,) = fingerprint.differences(earlier, identity(one))
    assert "cannot be compared: it has no source (was it made by exec?)" in change and "3.9" in change


def test_weights_counts_and_simple_state_are_not_read_as_code():
    state = {"model": nn.Linear(2, 2), "opt": torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.5)}
    found = fingerprint.identify({}, state, seed=3)
    assert found["seed"] == "3" and found["opt, lr"] == "0.5" and not [k for k in found if "code of" in k]


# One fingerprint in a notebook and a script, and under all versions of Python

FUNCTIONS = '''
import abc
import dataclasses
import enum
import functools
import math as m
import typing

SCALE = 2
NAMES = ("a", "ä")


def helper(x, *, k: float = 1e-3):
    """A docstring: “quoted”."""
    return {n: x[n] for n in NAMES if n not in {"b", "c"}}, k


def loss(model, x, n=(1, 2), *rest, **more):
    words = f"{model!r:>{n}} {x['a']:.3f} {'b'} {x=}" "and" f"{n}" f\'\'\'{x["d"]}\'\'\' rf"\\\\d{n}"
    try:
        total = sum(m.exp(y) if y else m.log(y, SCALE) for y in x[1:, ..., None] if (z := y))
    except* ValueError:
        total = helper(x)[0]
    match x:
        case {"k": [first, *others]} if others:
            return first, words, total
        case _:
            pass
    with open("a") as a, open("b") as b:
        assert isinstance(a, str | None), "no"
    return lambda t: (t @ x, (not t, -t ** 2, 1_000, 0x10, 1j, b"\\x00", u"u", "\\u2028", -0.0))


async def later(x):
    async for y in x:
        yield await y


@functools.cache
def cached(x: "list[int]", /) -> int:
    class Inner:
        "told"
        width: int = 3

        def f(self):
            "told"

    return Inner


pair = (lambda x: x[0, 1], lambda x: f"{x!s}")
constant = (lambda x: (1, 2), lambda x: 1 + 2, lambda x: None)


@dataclasses.dataclass
class Config:
    beta: float = 4.0
    names: list = dataclasses.field(default_factory=list)

    def twice(self):
        return 2 * self.beta


class Pair(typing.NamedTuple):
    first: int = 3


class Kind(enum.Enum):
    ONE = 1


class Base(abc.ABC):
    k = 3

    @abc.abstractmethod
    def f(self): ...


config, two, kind = Config(), Pair(), Kind.ONE


def settings(x):
    return config.twice() + two.first + (kind is Kind.ONE), Base
'''

CODE = """
import json, runpy, sys
source = runpy.run_path(sys.argv[1])
lesson = runpy.run_path(sys.argv[2])
found = {}
functions = [lesson[name] for name in ("helper", "loss", "later", "settings")]
for function in [*functions, lesson["cached"].__wrapped__, *lesson["pair"], *lesson["constant"]]:
    source["describe"]("step", function, found, set())
assert not any(value.startswith(source["COMPILED"]) for value in found.values()), found
assert "torch" not in sys.modules
print(json.dumps([list(sys.version_info[:2]), found]))
"""


def in_another(python: Path, code: str, functions: str, options=()) -> str:
    """What a program prints that gets the paths of source.py and of a file with functions."""
    with tempfile.TemporaryDirectory() as place:
        lesson = Path(place) / "lesson.py"
        lesson.write_text(functions, encoding="utf-8")
        command = [python, "-I", *options, "-c", code, ROOT / "course_utils/train/source.py", lesson]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def pythons() -> dict[tuple[int, int], Path]:
    """The interpreters of this machine that the course supports, on the path or kept by pyenv."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = {}
    for minor in range(11, 20):
        places = [shutil.which(f"python3.{minor}"), *sorted(pyenv.glob(f"3.{minor}.*/bin/python"))]
        for place in filter(None, places):
            ask = [str(place), "-I", "-c", "import sys; print(*sys.version_info[:2])"]
            done = subprocess.run(ask, capture_output=True, text=True)
            # The names that pyenv puts on the path exist for versions that are switched off, too.
            if done.returncode == 0 and done.stdout.split() == ["3", str(minor)]:
                found.setdefault((3, minor), Path(place))
    return found


def test_one_function_has_one_fingerprint_under_all_versions_of_python():
    others = {version: path for version, path in pythons().items() if version != sys.version_info[:2]}
    if not others:
        pytest.skip("no other version of Python is installed here")
    version, here = json.loads(in_another(Path(sys.executable), CODE, FUNCTIONS))
    assert tuple(version) == sys.version_info[:2] and len(here) > 8
    for wanted, path in others.items():
        version, there = json.loads(in_another(path, CODE, FUNCTIONS))
        assert tuple(version) == wanted and there == here, wanted
    changed = FUNCTIONS.replace("x['a']:.3f", "x['a']:.4f")
    assert json.loads(in_another(Path(sys.executable), CODE, changed))[1] != here


CELLS = """
import json, sys
from IPython.core.interactiveshell import InteractiveShell
from course_utils.train import source

shell = InteractiveShell.instance()
for cell in json.loads(sys.argv[1]):
    assert shell.run_cell(cell).success
functions = [shell.user_ns["loss"], shell.user_ns["f"]]
print("FOUND", *map(source.fingerprint, functions))
"""


def test_a_cell_of_a_notebook_and_its_place_in_a_script_have_one_fingerprint(module):
    cells = [
        "import math as m",
        "def loss(x, n):\n    # in a cell\n    return [m.exp(y) if y else m.log(y, 2) for y in x]",
        "%config Application.verbose_crash = False\nf = lambda x: m.sin(x)",
    ]
    command = [sys.executable, "-c", CELLS, json.dumps(cells)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr + done.stdout
    script = module("\n\n".join(cells).replace("%config", "# "))
    expected = [source.fingerprint(script.loss), source.fingerprint(script.f)]
    assert done.stdout.split("FOUND", 1)[1].split() == expected
