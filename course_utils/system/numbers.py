"""Whole numbers as readers give them: Python's, NumPy's, a tensor of one."""

import operator


def whole(value, what: str, least: int | None = None) -> int:
    """Return `value` as an int: whatever Python takes for an index (int, NumPy's integers, integer tensors of
    one number), no bool.

    `what`: how the message calls it, `least`: the least number allowed. Raises ValueError otherwise.
    """
    try:
        number = None if _is_bool(value) else operator.index(value)
    except (TypeError, ValueError):  # a tensor of several numbers
        number = None
    if number is None or (least is not None and number < least):
        kind = "a whole number" if least is None else f"a whole number of at least {least}"
        hint = f": write {int(value)}" if isinstance(value, float) and value.is_integer() else ""
        raise ValueError(f"{what} must be {kind}, not {value!r}{hint}.")
    return number


def _is_bool(value) -> bool:
    """Whether a value is True or False, in whatever clothes (a bool tensor counts as an index in Python)."""
    return isinstance(value, bool) or "bool" in str(getattr(value, "dtype", ""))
