"""What an answer leaves behind: each setting of the process is put back and named, each mark on an argument
is a hint."""

import builtins
import gc
import math
import os
import random
import sys
import warnings

import matplotlib
import numpy as np
import pytest
import torch

from course_utils.checks import machinery, traces


def verdict(answer, *args):
    """The result of a check that only calls the answer with `args` and wants twice the first."""
    args = args or (torch.tensor([1.0, -2.0]),)

    def check(fn):
        out = machinery.call(fn, *args)
        machinery.expect_close(out, 2 * args[0], "double every entry")

    return machinery.judge(machinery.Exercise("zz.double", check, "twice"), answer)


def leaving(change):
    """A right answer, but for a setting that it changes."""

    def answer(x):
        change()
        return 2 * x

    return answer


def exchange(place, name):
    return lambda: setattr(place, name, lambda *args, **kwargs: True)


SETTINGS = {
    "default dtype": lambda: torch.set_default_dtype(torch.float64),
    "default device": lambda: torch.set_default_device("meta"),
    "gradients on or off": lambda: torch.set_grad_enabled(False),
    "anomaly": lambda: torch.autograd.set_detect_anomaly(True),
    "deterministic": lambda: torch.use_deterministic_algorithms(True),
    "deterministic algorithms": lambda: setattr(torch.backends.cudnn, "benchmark", True),
    "number of threads": lambda: torch.set_num_threads(torch.get_num_threads() + 1),
    "precision": lambda: torch.set_float32_matmul_precision("medium"),
    "print numbers": lambda: torch.set_printoptions(precision=2),
    "NumPy print": lambda: np.set_printoptions(precision=2),
    "NumPy's errors": lambda: np.seterr(all="raise"),
    "rcParams": lambda: matplotlib.rcParams.update({"lines.linewidth": 7}),
    "warnings": lambda: warnings.simplefilter("error"),
    "working directory": lambda: os.chdir("/"),
    "recursion limit": lambda: sys.setrecursionlimit(sys.getrecursionlimit() + 7),
    "environment": lambda: os.environ.update(COURSE_SECRET="1"),
    "sys.path": lambda: sys.path.append("/"),
    "sys.stdout": lambda: setattr(sys, "stdout", sys.stderr),
    "collector": gc.disable,
    "between threads": lambda: sys.setswitchinterval(0.5),
    "(torch.manual_seed)": lambda: torch.manual_seed(0),
    "(torch.manual": lambda: torch.random.manual_seed(3),
    "(np.random.seed)": lambda: np.random.seed(0),
    "(random.seed)": lambda: random.seed(0),
    "exchanges torch.allclose": exchange(torch, "allclose"),
    "exchanges torch.Tensor.sum": exchange(torch.Tensor, "sum"),
    "exchanges torch.nn.functional.softmax": exchange(torch.nn.functional, "softmax"),
    "exchanges numpy.exp": exchange(np, "exp"),
    "exchanges math.log": exchange(math, "log"),
    "exchanges builtins.sum": exchange(builtins, "sum"),
    "exchanges torch.mean": lambda: setattr(torch, "mean", torch.sum),
}


def everything():
    """All that an answer may have changed."""
    settings = traces.Settings(thorough=True)
    return settings.before, settings.functions, random.getstate(), torch.get_rng_state().tolist()


@pytest.mark.fault(
    fault="An answer that changes something for the whole notebook: seeds, default dtype or device, gradients, "
    "threads, deterministic algorithms, printing, rcParams, warnings, folder, recursion limit, environment, a "
    "function of torch, NumPy or Python exchanged (30 kinds)",
    sees="✗ “your function seeds the random numbers of the whole notebook (torch.manual_seed): …” and what to do "
    "instead",
    kept="it is put back; the next cells get the course's reference",
)
@pytest.mark.parametrize("said", SETTINGS)
def test_a_setting_is_put_back_and_named(said):
    verdict(leaving(SETTINGS[said]))  # what the change imports may change things, once
    before, numpy = everything(), np.random.get_state()[1]
    result = verdict(leaving(SETTINGS[said]))
    assert result.status == "failed"
    assert result.message.startswith("your function") and said.split(" print")[0] in result.message
    assert result.message.endswith("(It has been put back.)") and result.message.count("your function") == 1
    assert everything() == before and np.array_equal(numpy, np.random.get_state()[1])


@pytest.mark.parametrize("setup_seed", [0, 1])
def test_the_seed_that_the_notebook_has_itself_is_noticed(setup_seed):
    torch.manual_seed(setup_seed)
    assert "manual_seed" in verdict(leaving(lambda: torch.manual_seed(setup_seed))).message
    assert torch.initial_seed() == setup_seed


def test_an_error_or_a_wrong_value_is_told_with_the_trace():
    def answer(x):
        torch.set_default_dtype(torch.float64)
        return 1 / 0

    message = verdict(answer).message
    assert "ZeroDivisionError" in message and "default dtype" in message
    assert torch.get_default_dtype() == torch.float32


@pytest.mark.parametrize(
    "draw",
    [
        lambda: torch.rand(1_000),
        lambda: np.random.rand(100_000),
        lambda: [random.random() for _ in range(10_000)],
        lambda: torch.Generator().manual_seed(0),
        lambda: np.random.default_rng(0),
    ],
)
def test_draws_and_generators_of_its_own_are_no_trace(draw):
    assert verdict(leaving(draw)).status == "passed"


def test_a_setting_for_a_block_is_no_trace():
    def answer(x):
        with torch.random.fork_rng(), torch.no_grad(), np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.manual_seed(0)
            return 2 * x

    assert verdict(answer).status == "passed"


def test_a_module_imported_by_an_answer_may_set_what_it_likes(tmp_path, monkeypatch):
    (tmp_path / "meddler.py").write_text(
        "import warnings, os\nwarnings.simplefilter('ignore')\nos.environ['MEDDLER'] = '1'\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("MEDDLER", "0")

    def answer(x):
        import meddler

        return 2 * x if meddler else x

    with warnings.catch_warnings():
        assert verdict(answer).status == "passed"


def returning(change):
    """A right answer that does something to its first argument before."""

    def answer(x, *rest):
        out = 2 * x.detach()
        change(x, *rest)
        return out

    return answer


def leaf():
    return torch.tensor([1.0, -2.0], requires_grad=True)


@pytest.mark.parametrize(
    ("arguments", "change", "hint"),
    [
        ((torch.ones(3),), lambda x: x.requires_grad_(), "requires_grad on"),
        ((leaf(),), lambda x: x.requires_grad_(False), "cuts its argument out of its graph"),
        ((leaf() * 3,), lambda x: x.detach_(), "cuts its argument out of its graph"),
        ((leaf(),), lambda x: x.square().sum().backward(), "leaves a gradient behind"),
        ((torch.ones(3),), lambda x: x.add_(1), "in place"),
        ((torch.ones(3),), lambda x: x.unsqueeze_(0), "in place"),
        ((torch.ones(3), np.ones(2)), lambda x, a: a.fill(3), "in place"),
        ((torch.ones(3), [torch.ones(2)]), lambda x, many: many[0].zero_(), "in place"),
        ((torch.ones(3), [1, 2]), lambda x, many: many.reverse(), "changes the list"),
        ((torch.ones(3), {"a": 1}), lambda x, named: named.update(b=2), "changes the dict"),
        ((torch.ones(3), torch.Generator()), lambda x, g: g.manual_seed(0), "seeds the generator"),
        ((torch.ones(3), torch.nn.Dropout()), lambda x, net: net.eval(), "train() and eval()"),
        (
            (torch.ones(3), torch.nn.Linear(3, 1)),
            lambda x, net: net(x).sum().backward(),
            "leaves a gradient behind",
        ),
        (
            (torch.ones(3), torch.nn.Linear(3, 1)),
            lambda x, net: net.requires_grad_(False),
            "cuts its argument out",
        ),
    ],
)
def test_a_mark_on_an_argument_is_a_hint(arguments, change, hint):
    assert hint in verdict(returning(change), *arguments).message
    tensors = [value for value in arguments if isinstance(value, torch.Tensor | np.ndarray)]
    again = verdict(
        returning(lambda *_: None), *arguments
    )  # what is left of it must not fail the next answer
    assert again.status == "passed" or len(tensors) < len(arguments), again.message


def test_what_an_answer_only_reads_is_no_mark():
    arguments = leaf(), torch.nn.Linear(2, 1), torch.Generator(), [torch.ones(2)], {"a": np.ones(2)}

    def answer(x, net, generator, many, named):
        torch.autograd.grad(net(x).sum(), (x, *net.parameters()))
        torch.rand(3, generator=generator)
        return 2 * x.detach()

    assert verdict(answer, *arguments).status == "passed"
