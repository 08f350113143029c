"""What students may write as an answer to an exercise: a right answer that goes wrong from some call on.

`FAULTS` maps a description to a function (right, args, kwargs) → what the answer returns, or it raises.
`right` is the reference. No exercise may accept one of `CAUGHT_AT_ANY_CALL` once it has struck, nor one of
`NEVER_RIGHT` that strikes at the first call; the others may be right by chance (a float64 tensor, say).
"""

import numpy as np
import torch


def leaves(value, change):
    """Apply `change` to the tensors in what a reference returns; a number becomes a tensor first."""
    if isinstance(value, tuple | list):
        return type(value)(leaves(part, change) for part in value)
    if isinstance(value, dict):
        return {key: leaves(part, change) for key, part in value.items()}
    if isinstance(value, torch.Tensor | float | int | np.ndarray):
        return change(torch.as_tensor(value))
    return value


def returning(change):
    """An answer that returns the right value, changed."""
    return lambda right, args, kwargs: leaves(right(*args, **kwargs), change)


def instead(value):
    """An answer that returns something else altogether."""
    return lambda right, args, kwargs: value


def raising(error):
    """An answer that raises."""

    def answer(right, args, kwargs):
        raise error

    return answer


def in_place(change):
    """An answer that is right but changes its first tensor of floats in place."""

    def answer(right, args, kwargs):
        out = right(*args, **kwargs)
        for value in [*args, *kwargs.values()]:
            if isinstance(value, torch.Tensor) and value.is_floating_point() and value.numel():
                with torch.no_grad():
                    change(value.data if value.requires_grad else value)
                return out
        return None

    return answer


def setting(change):
    """An answer that is right but changes a setting of the whole process."""

    def answer(right, args, kwargs):
        change()
        return right(*args, **kwargs)

    return answer


def recursing(right, args, kwargs):
    """An answer that calls itself for ever."""
    return recursing(right, args, kwargs)


class Cancelled(BaseException):
    """An error that no `except Exception` catches."""


class Odd:
    """An object that answers every question with an error."""

    def _refuse(self, *_, **__):
        raise RuntimeError("no")

    __bool__ = __len__ = __iter__ = __eq__ = __getitem__ = __float__ = __add__ = __mul__ = _refuse
    __hash__ = None


def narrowed(x):
    """One axis less."""
    return x[..., 0] if x.ndim else x


def wide(x):
    """A row too many."""
    return torch.cat([x, x[:1]]) if x.ndim else x


CAUGHT_AT_ANY_CALL = {
    "None": instead(None),
    "the argument changed in place (add)": in_place(lambda x: x.add_(1)),
    "the argument changed in place (zero)": in_place(lambda x: x.copy_(torch.where(x == 0, 1.0, 0.0))),
    "the argument changed in place (NaN)": in_place(lambda x: x.fill_(float("nan"))),
    "an infinite recursion": recursing,
    "gradients switched off": setting(lambda: torch.set_grad_enabled(False)),
    "another default dtype": setting(lambda: torch.set_default_dtype(torch.float64)),
    "seeds set": setting(lambda: (torch.manual_seed(0), np.random.seed(0))),
    "NumPy told to raise": setting(lambda: np.seterr(all="raise")),
    **{
        f"raises {type(error).__name__}": raising(error)
        for error in (
            ZeroDivisionError("division by zero"),
            IndexError("index 3 is out of bounds"),
            KeyError("x"),
            TypeError("takes 1 positional argument"),
            ValueError("x" * 10_000),
            RuntimeError(),
            StopIteration(),
            AssertionError(),
            MemoryError(),
            SystemExit(3),
            KeyboardInterrupt(),
            GeneratorExit(),
            Cancelled(),
            NotImplementedError("no kernel for this dtype"),
            UnicodeDecodeError("utf-8", b"", 0, 1, "invalid"),
            torch.OutOfMemoryError("CUDA out of memory"),
            np.linalg.LinAlgError("Singular matrix"),
        )
    },
}

NEVER_RIGHT = {
    **CAUGHT_AT_ANY_CALL,
    "text": instead("0.5"),
    "an empty text": instead(""),
    "bytes": instead(b"\x00"),
    "an empty list": instead([]),
    "a ragged list": instead([[1.0], [2.0, 3.0]]),
    "a dict": instead({"loss": 1.0}),
    "a set": instead({1, 2}),
    "NotImplemented": instead(NotImplemented),
    "a generator": lambda right, args, kwargs: (i for i in range(3)),
    "a function": instead(len),
    "a class": instead(torch.Tensor),
    "a module": instead(torch.nn.Linear(2, 2)),
    "a complex number": instead(1j),
    "an odd object": instead(Odd()),
    "an array of objects": lambda right, args, kwargs: np.array([None, "x"], dtype=object),
    "an empty tensor": lambda right, args, kwargs: torch.zeros(0),
    "NaN everywhere": returning(lambda x: torch.full(x.shape, float("nan"))),
    "a tensor without numbers (device meta)": returning(lambda x: x.to("meta")),
    "ten axes": returning(lambda x: x.reshape(*[1] * 7, *x.shape)),
}

FAULTS = {
    **NEVER_RIGHT,
    "a NumPy array": returning(lambda x: x.detach().numpy()),
    "a list": returning(lambda x: x.tolist()),
    "a number": instead(0.5),
    "a bool": instead(True),
    "infinity": returning(lambda x: torch.full(x.shape, float("inf"))),
    "zeros": returning(torch.zeros_like),
    "the sign turned": returning(lambda x: -x),
    "one axis more": returning(lambda x: x[..., None]),
    "one axis less": returning(narrowed),
    "the axes turned": returning(lambda x: x.permute(*reversed(range(x.ndim)))),
    "a sum": returning(lambda x: x.sum()),
    "a mean": returning(lambda x: x.double().mean()),
    "a row too many": returning(wide),
    "an integer tensor": returning(lambda x: x.nan_to_num().long()),
    "a bool tensor": returning(lambda x: x > 0),
    "float16": returning(lambda x: x.half()),
    "float64": returning(lambda x: x.double()),
    "a complex tensor": returning(lambda x: x + 0j),
    "a sparse tensor": returning(lambda x: x.to_sparse()),
    "a detached tensor": returning(lambda x: x.detach()),
    "a tensor that wants a gradient": returning(lambda x: x.detach().double().requires_grad_()),
    "a parameter": returning(lambda x: torch.nn.Parameter(x.detach().double())),
    "a quantised view": returning(lambda x: x.detach().expand(2, *x.shape)[0]),
    "two of it": lambda right, args, kwargs: (right(*args, **kwargs),) * 2,
    "a list of it": lambda right, args, kwargs: [right(*args, **kwargs)],
    "its first argument": lambda right, args, kwargs: args[0],
}


def answer(right, fault: str, after: int):
    """A function that is right for `after` calls and then commits the fault; `.struck` says whether it came
    to that."""

    def wrong(*args, **kwargs):
        wrong.calls += 1
        if wrong.calls <= after:
            return right(*args, **kwargs)
        wrong.struck = True
        return FAULTS[fault](right, args, kwargs)

    wrong.calls, wrong.struck = 0, False
    return wrong
