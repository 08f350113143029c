"""Exercises: `cu.check` tells a reader how their function does and returns something the next cell can use.

The properties of one lesson's exercises stand in `lesson_NN.py`, the reference answers, which the notebook
builder extracts from the lesson's source, in `references/ref_NN.py`, and the machinery in `machinery.py`.
"""

import importlib
from collections.abc import Callable

from course_utils.checks.machinery import EXERCISES, Result, judge

__all__ = ["check", "exercises", "evaluate", "reference"]


def _lesson_of(name: str) -> str:
    lesson, dot, rest = name.partition(".")
    if not (dot and rest and lesson.isalnum()):
        raise ValueError(f"{name!r} is not an exercise's name: it should look like '04.kl', lesson first.")
    return lesson


def _load(lesson: str, folder: str) -> object | None:
    """Import checks or references of a lesson; None where the lesson has none."""
    module = f"{__name__}.{folder}"
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        return None


def exercises(lesson: str) -> list[str]:
    """Return the names of the exercises that lesson `lesson` ("04") has checks for."""
    _load(lesson, f"lesson_{lesson}")
    return [name for name in EXERCISES if _lesson_of(name) == lesson]


def reference(name: str) -> Callable | None:
    """Return the reference answer of exercise `name`, or None where the lesson has not been built yet."""
    lesson = _lesson_of(name)
    module = _load(lesson, f"references.ref_{lesson}")
    return getattr(module, "REFERENCES", {}).get(name)


def evaluate(name: str, fn: Callable) -> Result:
    """Judge `fn` as an answer to exercise `name` without printing. Raises KeyError for an unknown
    exercise."""
    known = exercises(_lesson_of(name))
    if name not in known:
        raise KeyError(f"There is no exercise {name!r}. This lesson has: {', '.join(known) or 'none'}.")
    return judge(EXERCISES[name], fn)


def check(name: str, fn: Callable) -> Callable:
    """Check `fn` as an answer to exercise `name`, print the verdict, and return a function that works.

    The reader's own function comes back if every property holds, otherwise the reference, so that the cells
    below run in any case; the message says which. Whatever `fn` does, this does not raise because of it.

    Raises KeyError for an unknown exercise and RuntimeError where a failing answer has no reference to stand
    in.
    """
    result = evaluate(name, fn)
    if result.status == "passed":
        print(f"✓ {name}: {result.message}. The next cells use your function.")
        return fn
    stand_in = reference(name)
    if stand_in is None:
        raise RuntimeError(
            f"Exercise {name}: {result.message} (no reference yet: run `python tasks.py lessons`)."
        )
    if result.status == "not attempted":
        print(f"○ {name}: not attempted yet. The next cells use the course's reference.")
    else:
        print(f"✗ {name}: {result.message}\n  Until it is fixed, the next cells use the course's reference.")
    return stand_in
