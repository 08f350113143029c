"""The reusable interactions: explore a function, a plane or a run, step through an algorithm, answer a quiz.

Each is first a plain drawing function. In a notebook it becomes one output that holds the live widget and,
for readers without a kernel, its static picture; in a plain script the static picture is shown. Callbacks run
on their own random state. All controls are reachable by keyboard.
"""

import copy
import random
from collections.abc import Callable, Sequence

import ipywidgets

from course_utils.plots import images
from course_utils.plots.picture import raster
from course_utils.widgets.controls import _LABEL, _narrow, _nearest, all_values, make_control
from course_utils.widgets.panel import Noise, Panel, register

_dice = random.Random(0)


def explore(draw: Callable, caption: str, *, surprise=False, play=False, static=None, **controls) -> Panel:
    """Redraw a figure from sliders and choices; returns the widget's Panel (nothing needs to be done with
    it).

    `draw(**values)` returns a Figure; each keyword names one of its arguments and says what it may be: `(lo,
    hi)` or `(lo, hi, step)` a slider (whole numbers if all are), starting in the middle; a list: one of these
    (numbers as a slider), starting at the first; True or False: a checkbox; or `dict(min=, max=, step=,
    value=, label=)` / `dict(options=, value=, label=)` to choose start and label too. `surprise` adds a
    button that draws random values, `play` one that runs through the first control. `static`: a function
    without arguments that draws the picture shown where no kernel runs (default: `draw` at the start). Raises
    ValueError for a control that cannot be understood, and whatever the first drawing raises.
    """
    if not controls:
        raise ValueError("explore needs a control, for instance k=(1, 10).")
    inputs = {name: make_control(name, spec) for name, spec in controls.items()}

    def redraw():
        return draw(**{name: control.value for name, control in inputs.items()})

    return _explore(redraw, caption, inputs, surprise=surprise, play=play, static=static)


def _explore(redraw, caption, inputs, *, surprise=False, play=False, static=None, kind="explore") -> Panel:
    """Build, show and register a Panel over ready-made controls."""
    buttons = {"Surprise me": lambda: _surprise(panel)} if surprise else {}
    panel = Panel(kind, redraw, caption, inputs, buttons, static=static)
    row = list(inputs.values())
    if play:
        panel.controls["play"] = _player(panel, row[0])
        row.insert(0, panel.controls["play"])
    panel.show([*row, *panel.buttons.values()])
    register(panel)
    return panel


def _surprise(panel: Panel) -> None:
    """Give every control a random value; the redraw follows."""
    for control in panel.inputs.values():
        panel.reset_control(control, _dice.choice(all_values(control)))


def _player(panel: Panel, control):
    """A Play button that runs a control through its values; it waits for slow drawings."""
    values = all_values(control)
    pause = max(300, int(2500 * panel.seconds))
    play = ipywidgets.Play(min=0, max=len(values) - 1, value=_nearest(values, control.value), interval=pause)
    busy = []

    def once(set_other):
        """Play moves the control and the control moves Play, but neither answers its own echo."""
        if not busy:
            busy.append(True)
            try:
                set_other()
            finally:
                busy.clear()

    def forward(change):
        once(lambda: setattr(control, "value", values[change["new"]]))

    def follow(change):
        once(lambda: setattr(play, "value", _nearest(values, change["new"])))

    play.observe(forward, names="value")
    control.observe(follow, names="value")
    return play


def plane(
    draw: Callable, caption: str, x=(-3.0, 3.0), y=(-3.0, 3.0), *, static=None, labels=("x", "y")
) -> Panel:
    """Explore a plane: two sliders and a "Surprise me" button; `draw(x, y)` returns a Figure.

    `x`, `y`: (lo, hi) or (lo, hi, step); `labels`: what the sliders are called. Errors as for `explore`.
    """
    inputs = {}
    for name, spec, label in zip("xy", (x, y), labels, strict=True):
        lo, hi, *step = map(float, spec)
        inputs[name] = make_control(
            name, {"min": lo, "max": hi, "step": step[0] if step else None, "label": label}
        )

    def redraw():
        return draw(inputs["x"].value, inputs["y"].value)

    return _explore(redraw, caption, inputs, surprise=True, static=static, kind="plane")


def scrub(
    frames: Sequence, labels: Sequence[str], caption: str, *, static=None, label: str = "frame"
) -> Panel:
    """Scrub through frames with a slider and a play button; returns the Panel.

    `frames`: images (H, W) or (1, H, W), stacks (N, H, W) shown as a grid, uint8 or float in [0, 1]; or
    functions without arguments that return a Figure. `labels`: one text a frame. The static picture is a film
    strip. Raises ValueError for no frames or a wrong number of labels.
    """
    frames, labels = list(frames), [str(text) for text in labels]
    if not frames or len(frames) != len(labels):
        raise ValueError(
            f"{len(frames)} frames but {len(labels)} labels: give at least one frame, one label each."
        )
    options = [(text, i) for i, text in enumerate(labels)]
    layout = ipywidgets.Layout(width="32em", max_width="100%")
    slider = ipywidgets.SelectionSlider(
        options=options, value=0, description=label, style=_LABEL, layout=layout
    )

    def frame(i):
        return frames[i]() if callable(frames[i]) else images.enlarged(frames[i])

    def strip():
        most = 2 if callable(frames[0]) else 6
        shown = sorted({round(k * (len(frames) - 1) / max(1, most - 1)) for k in range(most)})
        tiles = [raster(frames[i]()) if callable(frames[i]) else frames[i] for i in shown]
        return images.film_strip(tiles, [labels[i] for i in shown]).figure

    def redraw():
        return frame(slider.value)

    several = len(frames) > 1
    return _explore(redraw, caption, {"frame": slider}, play=several, static=static or strip, kind="scrub")


def stepper(state, actions: dict, draw: Callable, caption: str, *, static=None, repeats=(1, 10)) -> Panel:
    """Step through an algorithm: one button an action, "Reset", and how many times a click repeats the
    action.

    `actions`: label → function state → new state; `draw(state)` returns a Figure. `state` is copied, so that
    an action may change it in place and "Reset" still finds the first one. `static`: as for `explore`. `repeats`:
    how many times; with one number there is nothing to choose.
    """
    if not actions:
        raise ValueError("stepper needs an action, for instance {'E step': e_step}.")
    noise, current = Noise(fixed=False), {"state": copy.deepcopy(state)}
    times = ipywidgets.ToggleButtons(
        options=[(f"×{n}", n) for n in repeats],
        description="each click",
        style=_LABEL | {"button_width": "auto"},
        layout=_narrow(),
    )

    def do(action):
        for _ in range(times.value):
            current["state"] = action(current["state"])

    def reset():
        noise.rewind()
        current["state"] = copy.deepcopy(state)

    buttons = {label: (lambda action=action: do(action)) for label, action in actions.items()} | {
        "Reset": reset
    }
    panel = Panel("stepper", lambda: draw(current["state"]), caption, {}, buttons, static=static, noise=noise)
    several = {"times": times} if len(repeats) > 1 else {}
    panel.controls.update(several)
    panel.show([*panel.buttons.values(), *several.values()])
    register(panel)
    return panel
