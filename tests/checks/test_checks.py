"""The machinery of the exercises: verdicts, the stand-in, and that nothing a reader writes escapes."""

import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from course_utils import checks
from course_utils.checks import machinery, patience
from course_utils.checks.machinery import (
    call,
    exercise,
    expect,
    expect_any_device,
    expect_close,
    expect_gradient,
    expect_like,
    expect_shape,
)


@pytest.fixture
def double(monkeypatch):
    """A throw-away exercise "zz.double" with a reference."""
    monkeypatch.setattr(machinery, "EXERCISES", machinery.EXERCISES)

    @exercise("zz.double", verified="twice the input")
    def _double(fn):
        x = torch.tensor([1.0, -2.0])
        out = call(fn, x)
        expect_shape(out, (2,))
        expect_close(out, 2 * x, "double every entry")

    monkeypatch.setattr(checks, "reference", lambda name: torch.add.__class__ and (lambda x: x + x))
    yield "zz.double"
    del machinery.EXERCISES["zz.double"]


def stub(x):
    raise NotImplementedError


def test_a_right_answer_comes_back_itself(double, capsys):
    def answer(x):
        return 2 * x

    assert checks.check(double, answer) is answer
    assert "✓ zz.double: twice the input" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("answer", "message"), [(stub, "not attempted"), (lambda x: 3 * x, "double every entry")]
)
def test_otherwise_the_reference_comes_back_and_the_message_says_so(double, capsys, answer, message):
    stand_in = checks.check(double, answer)
    assert stand_in is not answer and stand_in(2) == 4
    out = capsys.readouterr().out
    assert message in out and "the next cells use the course's reference" in out.replace("The", "the")


def in_place(x):
    return x.mul_(2)


def endless(x):
    while True:
        time.sleep(0.01)


def stubborn(x):
    while True:
        try:
            time.sleep(0.01)
        except Exception:
            continue


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (lambda x: None, "returns None"),
        (lambda x: [2.0, -4.0], "return a torch tensor"),
        (lambda x: np.array([2.0, -4.0]), "return a torch tensor"),
        (lambda x: torch.zeros(2, 1), "shape should be (2,), not (2, 1)"),
        (lambda x: torch.full((2,), float("nan")), "double every entry"),
        (lambda x: 1 / 0, "ZeroDivisionError"),
        (lambda x: sys.exit(3), "SystemExit"),
        (lambda: 1, "TypeError"),
        (in_place, "in place"),
        ("not a function", "not a function"),
    ],
)
def test_every_failure_is_a_hint(double, answer, hint):
    result = checks.evaluate(double, answer)
    assert result.status == "failed" and hint in result.message


def swallowing(x):
    while True:
        try:
            x.exp()
        except BaseException:
            continue


FINISHED = threading.Event()


def asleep(x):
    while not FINISHED.is_set():
        try:
            FINISHED.wait(60)
        except BaseException:
            continue


@pytest.mark.parametrize("answer", [endless, stubborn, swallowing])
def test_an_endless_loop_is_stopped(double, monkeypatch, answer):
    monkeypatch.setattr(machinery, "SECONDS", 0.3)
    before = threading.active_count()
    message = checks.evaluate(double, answer).message
    assert "still running" in message and "never ends" in message and "kernel" not in message
    assert threading.active_count() == before


@pytest.mark.fault(
    fault="An answer that never ends and catches every exception, too, or waits where none is heard",
    sees="✗ “it was still running after 20 s, and it cannot be stopped: … restart the kernel: it is still "
    "running.”",
    kept="the next cells get the course's reference; seeds and settings are as before",
)
def test_one_that_cannot_be_stopped_is_given_up_and_the_reader_is_told(double, monkeypatch):
    monkeypatch.setattr(machinery, "SECONDS", 0.1)
    monkeypatch.setattr(patience, "STORM", 0.1)
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    message = checks.evaluate(double, asleep).message
    assert "still running" in message and "restart the kernel" in message
    assert torch.equal(torch.rand(3), expected)
    FINISHED.set()  # it ends; what it leaves must not reach a reader who has gone on
    torch.set_default_dtype(torch.float64)
    try:
        for thread in threading.enumerate():
            if thread.daemon and thread is not threading.current_thread():
                thread.join(1)
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)


def test_an_error_quotes_the_readers_line_not_the_checks(double):
    def answer(x):
        return torch.linalg.cholesky(x)  # mine

    assert "in `return torch.linalg.cholesky(x)  # mine`" in checks.evaluate(double, answer).message
    message = checks.evaluate(double, lambda: 1).message
    assert "takes 0 positional arguments" in message and "fn(" not in message


def test_the_random_state_is_put_back(double):
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    checks.evaluate(double, lambda x: x * torch.rand(2))
    assert torch.equal(torch.rand(3), expected)


def test_unknown_and_ill_formed_names_say_what_there_is(double):
    with pytest.raises(KeyError, match="zz.double"):
        checks.check("zz.dubble", stub)
    with pytest.raises(ValueError, match="04.kl"):
        checks.check("nonsense", stub)


def test_expect_takes_tensors_and_bools():
    expect(torch.tensor(True), "")
    with pytest.raises(machinery.Wrong, match="because"):
        expect(False, "because")


def refused(expectation, *args, **kwargs):
    """What an expectation says; empty if it holds."""
    try:
        expectation(*args, **kwargs)
    except machinery.Wrong as wrong:
        return str(wrong)
    return ""


def test_expect_like_wants_dtype_and_device():
    x = torch.zeros(3)
    assert not refused(expect_like, torch.ones(2, 2), x)
    assert "float32 goes in and float64 comes out" in refused(expect_like, x.double(), x)
    assert "why" in refused(expect_like, x.double(), x, "why")
    assert "on meta, the argument on cpu" in refused(expect_like, x.to("meta"), x)
    assert "return a torch tensor" in refused(expect_like, 1.0, x)


def test_expect_gradient_wants_one_in_each_input():
    a, b = torch.ones(3, requires_grad=True), torch.ones(3, requires_grad=True)
    assert not refused(expect_gradient, (a * b, b), a, b, hint="h")
    assert not refused(expect_gradient, {"loss": (a * b).sum()}, a, b, hint="h")
    assert "second input: h" in refused(expect_gradient, a * b.detach(), a, b, hint="h")
    assert "no gradient passes" in refused(expect_gradient, (a * b).detach(), a, b, hint="h")
    assert "has no gradient" in refused(expect_gradient, 0 * a, a, hint="h")
    assert "not finite" in refused(expect_gradient, (a - 1).sqrt(), a, hint="h")
    assert a.grad is None


TABLE = torch.linspace(0, 1, 5)
NETWORK = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))


@pytest.mark.parametrize(
    "answer",
    [
        lambda x, t: x * 2 + torch.zeros(3, device=x.device),
        lambda x, t: TABLE.to(x)[t],
        lambda x, t: x[torch.tensor([0, 1])],
        lambda x, t: torch.cat([x, torch.zeros_like(x), x.new_ones(1, 3)]).max(0),
        lambda x, t: x[x > 0] * torch.tensor(2.0),
        lambda x, t: {"loss": F.cross_entropy(x, t), "n": int(x.sum() > 0)},
        lambda x, t: torch.randn(4, 3, generator=torch.Generator()).to(x.device) + x,
        lambda x, t: [torch.eye(3, dtype=x.dtype, device=x.device) + x[:3]],
        lambda x, t: torch.autograd.grad((y := x.detach().requires_grad_()).square().sum(), y),
        lambda x, t: torch.zeros(4, device=x.device).index_add_(0, t, x[:, 0]),
        lambda x, t: NETWORK(x),
        lambda x, t: np.asarray(x),  # where a check allows NumPy, it is no mixture
    ],
)
def test_an_answer_that_works_on_a_gpu_passes_on_the_pretended_one(answer):
    x, t = torch.randn(4, 3), torch.tensor([0, 2, 1, 1])
    if "NETWORK" in answer.__code__.co_names:
        assert not refused(expect_any_device, lambda net, x: net(x), NETWORK, x)
    else:
        assert not refused(expect_any_device, answer, x, t)


@pytest.mark.parametrize(
    "answer",
    [
        lambda x, t: x + torch.zeros(3),
        lambda x, t: TABLE[t],
        lambda x, t: TABLE.gather(0, t),
        lambda x, t: torch.arange(4) + t,
        lambda x, t: F.mse_loss(x, torch.zeros(4, 3)),
        lambda x, t: torch.where(torch.zeros(4, 3) > 0, x, x),
        lambda x, t: torch.randn(4, 3, generator=torch.Generator(), device=x.device),
        lambda x, t: torch.bernoulli(x.sigmoid(), generator=torch.Generator()),
        lambda x, t: x.cpu(),
        lambda x, t: torch.tensor([float(row.sum()) for row in x]),
        lambda x, t: (x, torch.ones(2)),
        lambda x, t: NETWORK(x),
    ],
)
def test_what_fails_on_a_gpu_fails_on_the_pretended_one(answer):
    message = refused(expect_any_device, answer, torch.randn(4, 3), torch.tensor([0, 2, 1, 1]), hint="here")
    assert "GPU: here" in message


def test_the_pretended_gpu_loads_no_compiler():
    code = (
        "import sys, torch; from course_utils.checks.machinery import expect_any_device as e;"
        "e(lambda x: (x @ x.T).exp().sum(), torch.ones(3, 3)); assert 'torch._dynamo' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
