"""Whatever a student returns: every exercise answers with a hint and hands back a working function.

The exercises are those of tests/checks/test_exercises.py, so a new lesson joins by itself. What may come back
stands in answers.py; hypothesis chooses which of it, and from which call of the function on: 200 times in the
full run of the suite, 50 times, other ones with each commit, in an ordinary run.
"""

import contextlib
import io
import random
import signal
import time
import warnings

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from course_utils import checks
from course_utils.checks import machinery
from tests.checks.test_exercises import EXERCISES
from tests.faults.answers import CAUGHT_AT_ANY_CALL, FAULTS, NEVER_RIGHT, answer
from tests.rotation import ALL, turn

BUILT = [name for name in EXERCISES if checks.reference(name)]
NUMBERS = torch.Tensor | float | int | np.ndarray
CHOICES = st.tuples(st.sampled_from(sorted(FAULTS)), st.sampled_from([0, 0, 0, 0, 1, 2, 3]))


def holds_numbers(out):
    """Whether a tuple or list holds something that a fault can change: text it cannot."""
    return isinstance(out, tuple | list) and any(isinstance(v, NUMBERS) or holds_numbers(v) for v in out)


def settings_of_the_process():
    """What a check must leave as it found it."""
    state = random.getstate(), torch.get_rng_state().numpy().tobytes(), np.random.get_state()[1].tobytes()
    return state, torch.is_grad_enabled(), torch.get_default_dtype(), np.geterr()


def checked(name, fn):
    """What `cu.check` prints and hands back."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        function = checks.check(name, fn)
    return printed.getvalue(), function


@pytest.mark.fault(
    fault="An answer to an exercise that returns None, a list, a NumPy array, text, another rank, dtype or "
    "device, that changes its argument or a setting of torch, or raises anything (every exercise, 50 answers "
    "each, 200 in the full run)",
    sees="✗ and a hint: what came back, what was expected; never a traceback",
    kept="the next cells get the course's reference; seeds, gradients and dtype are as before",
)
@pytest.mark.parametrize("name", BUILT)
def test_whatever_a_student_returns_gets_a_hint_and_a_function_that_works(name):
    right = checks.reference(name)
    returns_tensors = []

    def watched(*args, **kwargs):
        out = right(*args, **kwargs)
        returns_tensors.append(isinstance(out, torch.Tensor) or holds_numbers(out))
        return out

    @seed(0 if ALL else turn())
    @settings(
        max_examples=200 if ALL else 50,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(CHOICES)
    def judge(choice):
        fault, after = choice
        wrong, before = answer(watched, fault, after), settings_of_the_process()
        printed, function = checked(name, wrong)
        assert settings_of_the_process() == before, "a setting of the whole process was changed"
        assert function is (wrong if printed.startswith("✓") else right)
        verdict, told, hint = printed.partition(f"{name}: ")
        assert verdict in ("✓ ", "✗ ") and told and 20 < len(hint) < 900
        surely = fault in CAUGHT_AT_ANY_CALL or (after == 0 and fault in NEVER_RIGHT and returns_tensors[0])
        assert verdict == "✗ " or not (wrong.struck and surely), f"{fault} from call {after} on passes"

    judge()
    assert checks.evaluate(name, right).status == "passed"  # nothing that the check is made of was changed


def test_the_faults_themselves_strike():
    wrong = answer(lambda x: 2 * x, "one axis more", 1)
    x = torch.ones(3)
    assert wrong(x).shape == (3,) and not wrong.struck and wrong(x).shape == (3, 1) and wrong.struck
    assert set(CAUGHT_AT_ANY_CALL) < set(NEVER_RIGHT) < set(FAULTS) and len(FAULTS) > 60


@pytest.mark.fault(
    fault="An answer that never ends (every exercise)",
    sees="✗ “it was still running after 20 s; is there a loop that never ends?” (or press ■)",
    kept="the next cells get the course's reference",
)
@pytest.mark.parametrize("name", BUILT)
def test_an_endless_answer_is_stopped(name, monkeypatch):
    assert machinery.SECONDS == 20  # as the mark says
    monkeypatch.setattr(machinery, "SECONDS", 0.03)

    def endless(*args, **kwargs):
        while True:
            time.sleep(0.001)

    printed, function = checked(name, endless)
    assert "still running" in printed and function is checks.reference(name)


@pytest.mark.fault(
    fault="■ (Ctrl-C) while an answer is being checked",
    sees="✗ “it was interrupted in `time.sleep(1)`; is there a loop that never ends?”",
    kept="the next cells get the course's reference",
)
def test_the_reader_can_interrupt_an_endless_answer():
    def endless(*args, **kwargs):
        signal.raise_signal(signal.SIGINT)
        while True:
            time.sleep(0.001)

    printed, function = checked(BUILT[0], endless)
    assert "it was interrupted in `time.sleep(0.001)`" in printed and "loop that never ends" in printed
    assert function is checks.reference(BUILT[0])


@pytest.mark.fault(
    fault="An answer that calls an operation which torch does not have (NotImplementedError)",
    sees="✗ with the operation's name, not “not attempted yet”",
    kept="the next cells get the course's reference",
)
def test_only_the_stub_counts_as_not_attempted():
    printed, _ = checked(BUILT[0], lambda *args: torch.nn.Module()(1))
    assert printed.startswith("✗") and "forward" in printed
    assert checks.evaluate(BUILT[0], answer(None, "raises NotImplementedError", 0)).status == "failed"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (lambda x: x.long(), "it returns a int64 tensor of shape (16,)"),
        (lambda x: x.to("meta"), "on the device meta"),
        (lambda x: x.to_sparse(), "a sparse float32 tensor"),
    ],
)
def test_what_a_check_cannot_use_is_described_with_what_it_was_given(value, words):
    @machinery.exercise("zz.kind", verified="a probability")
    def kind(fn):
        out = machinery.call(fn, torch.rand(16))
        machinery.expect(
            torch.allclose(out, torch.ones(16)) if out.is_floating_point() else out @ torch.ones(16), "no"
        )
        machinery.expect(out.numpy().sum() == 0, "no")

    try:
        message = machinery.judge(machinery.EXERCISES["zz.kind"], value).message
    finally:
        del machinery.EXERCISES["zz.kind"]
    assert words in message and "it was given a float32 tensor" in message
