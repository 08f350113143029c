"""The controls of widgets, made from the values a lesson gives."""

import math
from collections.abc import Mapping
from numbers import Integral, Real

import ipywidgets

MOST_POSITIONS = 100_000
"""A slider with more of them could not be run through."""


def extremes(control) -> list:
    """Return the least, middle and greatest value of a control (of a choice: the first, middle and last
    option)."""
    if isinstance(control, ipywidgets.Checkbox):
        return [False, True]
    options = getattr(control, "_options_values", None)
    if options is not None:
        return [options[i] for i in sorted({0, len(options) // 2, len(options) - 1})]
    steps = int((control.max - control.min) / control.step + 1e-9)
    middle = control.min + steps // 2 * control.step
    return [control.min, middle, control.max]


_LABEL = {"description_width": "initial"}


def make_control(name: str, spec):
    """Return the ipywidget for one control specification (see `explore`)."""
    options = dict(spec) if isinstance(spec, Mapping) else {}
    label = str(options.pop("label", name.replace("_", " ")))
    if isinstance(spec, bool):
        return ipywidgets.Checkbox(value=spec, description=label, indent=False, layout=_narrow())
    if isinstance(spec, list) or "options" in options:
        return _choice(label, list(options.get("options", spec)), options.get("value"))
    if isinstance(spec, tuple) and len(spec) in (2, 3):
        options = dict(zip(("min", "max", "step"), spec, strict=False))
    if not {"min", "max"} <= set(options) or not _is_range(**options):
        raise ValueError(
            f"Control {name!r}: give (lo, hi), (lo, hi, step) with finite numbers, lo < hi and a step above 0 "
            f"(at most {MOST_POSITIONS:,} of them), a list, a bool or a dict; got {spec!r}."
        )
    return _slider(label, **options)


def _is_range(min, max, step=None, value=None) -> bool:
    """Whether these are finite numbers that a slider can run through."""
    given = [number for number in (min, max, step, value) if number is not None]
    if not all(isinstance(number, Real) and math.isfinite(number) for number in given):
        return False
    if step is None:
        step = 1 if all(isinstance(number, Integral) for number in given) else (max - min) / 50
    return min < max and step > 0 and (max - min) / step <= MOST_POSITIONS


def _slider(label: str, min, max, step=None, value=None):
    """An IntSlider if every number is whole, otherwise a FloatSlider; it starts in the middle."""
    whole = all(isinstance(v, Integral) for v in (min, max, step, value) if v is not None)
    min, max, step, value = (int(v) if whole and v is not None else v for v in (min, max, step, value))
    step = step or (1 if whole else (max - min) / 50)
    if value is None:
        value = min + int((max - min) / step / 2 + 1e-9) * step
    kind = ipywidgets.IntSlider if whole else ipywidgets.FloatSlider
    shape = {} if whole else {"readout_format": f".{_decimals(step)}f"}
    layout = ipywidgets.Layout(width="26em", max_width="100%")
    return kind(
        value=value, min=min, max=max, step=step, description=label, style=_LABEL, layout=layout, **shape
    )


def _decimals(step: float) -> int:
    """Decimals that tell neighbouring slider values apart."""
    return next(
        (d for d in range(1, 6) if abs(round(step, d) - step) < 1e-9),
        max(1, 1 - math.floor(math.log10(step))),
    )


def _choice(label: str, options: list, value=None):
    """Numbers as a slider, texts as buttons that wrap into rows.

    Never a list that drops down: in JupyterLab the arrow keys that would move in it select another cell
    instead.
    """
    if not options:
        raise ValueError(f"Control {label!r}: the list of options is empty.")
    pairs = [option if isinstance(option, tuple) else (_text(option), option) for option in options]
    all_numbers = len(pairs) > 2 and all(isinstance(v, Real) and not isinstance(v, bool) for _, v in pairs)
    value = pairs[0][1] if value is None else value
    common = {"options": pairs, "value": value, "description": label, "style": _LABEL}
    if all_numbers:
        return ipywidgets.SelectionSlider(layout=ipywidgets.Layout(width="26em", max_width="100%"), **common)
    common["style"] = _LABEL | {"button_width": "auto"}
    return ipywidgets.ToggleButtons(layout=_narrow(), **common)


def _narrow():
    """As wide as the content, with a little room to the next control."""
    return ipywidgets.Layout(width="max-content", max_width="100%", margin="2px 12px 2px 2px")


def _text(option) -> str:
    if isinstance(option, bool) or not isinstance(option, Real):
        return str(option)
    return f"{option:,}" if isinstance(option, Integral) else f"{option:g}"


def all_values(control) -> list:
    """Return the values a control can take, least first."""
    if isinstance(control, ipywidgets.Checkbox):
        return [False, True]
    if hasattr(control, "_options_values"):
        return list(control._options_values)
    steps = int((control.max - control.min) / control.step + 1e-9)
    return [min(control.min + k * control.step, control.max) for k in range(steps + 1)]


def _nearest(values: list, value) -> int:
    """Index of the entry equal to `value` or, for numbers off the grid, next to it."""
    if value in values:
        return values.index(value)
    return min(range(len(values)), key=lambda k: abs(values[k] - value))
