"""The ground of every widget: a live picture with controls, its error line, its own noise, and the registry.

`course_utils.widgets` builds on it. Only core ipywidgets, and of them only what versions 7.7 and 8 share.
"""

import contextlib
import html
import time
from collections.abc import Callable

import ipywidgets

from course_utils.plots.picture import Picture
from course_utils.plots.show import check_caption, publish, save_figure, show_caption, show_picture
from course_utils.system import machine, randomness, turns
from course_utils.system.profile import profile
from course_utils.widgets.controls import extremes

SLOW = 0.050
"""Seconds: a slider whose picture takes longer redraws when it is let go, not while it moves."""
REGISTRY: list = []
"""Every widget of this process, oldest first; each has `.name`, `.controls` and `.try_all()`."""
_ALERT = "margin:0.3em 0;padding-left:0.6em;border-left:4px solid #d55e00;line-height:1.4"
"""An error: a line of colour beside text in the theme's own colour, which can be read on white and on black."""
_VIEW = "application/vnd.jupyter.widget-view+json"


def register(panel) -> None:
    """Enter a widget in the registry (a cell that runs again replaces its own); in `quick`, try it.

    Trying calls every callback, and an error propagates: this is how a notebook test notices a broken
    widget.
    """
    for old in [old for old in REGISTRY if old.name == panel.name]:
        REGISTRY.remove(old)
        old.close()
    REGISTRY.append(panel)
    if profile() == "quick":
        panel.try_all()


def view(widget) -> dict:
    """Return the part of a display bundle that shows an ipywidget."""
    return {_VIEW: {"version_major": 2, "version_minor": 0, "model_id": widget.model_id}}


def picture_widget(picture: Picture):
    """Return an Image that shows a picture at its intended width and never wider than the page.

    An Image has no alternative text (a tooltip breaks its view in ipywidgets 8): the caption follows as text.
    """
    image = ipywidgets.Image(format="png", layout=ipywidgets.Layout(max_width="100%"))
    set_picture(image, picture)
    return image


def set_picture(image, picture: Picture) -> None:
    """Replace the picture in an Image widget, without a flicker."""
    with image.hold_sync():
        image.value = picture.png
        image.width = str(picture.width)


def close_all(*trees) -> None:
    """Close widgets with all that is in them, and forget their callbacks. ipywidgets has a list of all widgets
    that are open: one that is left there keeps everything alive that its callbacks hold."""
    waiting = [widget for widget in trees if widget is not None]
    while waiting:
        widget = waiting.pop()
        waiting += getattr(widget, "children", ())
        for part in (getattr(widget, "layout", None), getattr(widget, "style", None), widget):
            if isinstance(part, ipywidgets.Widget):
                part.unobserve_all()
                part.close()


class Noise:
    """The random state a widget's callbacks use, so that clicking never changes what later cells draw.

    `fixed`: every call starts from the state at construction, so that moving a slider does not change the
    noise; otherwise each call continues where the last one stopped.
    """

    def __init__(self, fixed: bool):
        self.fixed = fixed
        self.start = randomness.states()
        self.state = self.start

    def rewind(self) -> None:
        """Start again from the state at construction; to be called in a callback, that is, within the
        context."""
        randomness.restore(self.start)

    @contextlib.contextmanager
    def __call__(self):
        outside = randomness.states()
        randomness.restore(self.state)
        try:
            yield
        finally:
            if not self.fixed:
                self.state = randomness.states()
            randomness.restore(outside)


def rendered(draw: Callable) -> Picture:
    """Return what `draw()` shows: a Figure (closed afterwards, as is any other it opened) or a Picture."""
    import matplotlib.pyplot as plt

    before = set(plt.get_fignums())
    try:
        drawn = draw()
        return drawn if isinstance(drawn, Picture) else Picture.of(drawn)
    finally:
        for number in set(plt.get_fignums()) - before:
            plt.close(number)


class Panel:
    """A picture redrawn from controls and buttons.

    `draw`: no arguments, returns a Figure or a Picture. `inputs`: name → ipywidget whose change redraws.
    `buttons`: label → function without arguments, run before a redraw. `static`: draws the picture that
    stands for the widget where no kernel runs (default: the first one). Raises what the first drawing raises;
    later errors show below the picture. A callback that comes while a cell runs, in a thread of
    the kernel's, waits until the cell has ended; of several redraws that wait, one is done.
    """

    def __init__(
        self, kind: str, draw, caption: str, inputs: dict, buttons: dict, *, static=None, noise=None
    ):
        check_caption(caption)
        self.name = f"{kind}: {caption}"
        self.caption = caption
        self.draw = draw
        self.inputs = inputs
        self.controls = dict(inputs)
        self.actions = buttons
        self.noise = noise or Noise(fixed=True)
        self.error = None
        self.box = None  # of what is displayed in a notebook
        self.quiet = False
        self._home = turns.Home()
        self._waiting = False  # whether a redraw is already asked for
        start = time.perf_counter()
        first = self._render()
        self.seconds = time.perf_counter() - start
        self.static = first
        if static is not None:
            with self.noise():
                self.static = rendered(static).captioned(caption)
        self._shown = first
        self.image = picture_widget(first)
        self.message = ipywidgets.HTML()
        self.buttons = {label: self._button(label) for label in buttons}
        for control in inputs.values():
            if control.has_trait("continuous_update"):
                control.continuous_update = self.seconds <= SLOW
            control.observe(self._changed, names="value")

    def _button(self, label: str):
        layout = ipywidgets.Layout(width="auto", min_width="5em")
        button = ipywidgets.Button(description=label, layout=layout)
        button.on_click(lambda _: self.press(label))
        return button

    def _render(self) -> Picture:
        with self.noise():
            return rendered(self.draw).captioned(self.caption)

    def _changed(self, _=None) -> None:
        if not self.quiet and not self._waiting:
            self._waiting = True
            self._home.call(self._redraw)

    def _redraw(self) -> None:
        self._waiting = False  # before the controls are read: what changes from now on asks again
        self.attempt(lambda: None)

    def press(self, label: str) -> None:
        """Do what a click on the button `label` does."""
        self._home.call(lambda: self.attempt(self.actions[label]))

    def attempt(self, action: Callable) -> None:
        """Run a callback and redraw, now; an error is kept in `.error` and shown below the picture."""
        try:
            with self.noise():
                action()
            self._shown = self._render()
            set_picture(self.image, self._shown)
        except Exception as error:  # whatever a lesson's function raises, the reader must see it
            self.error = error
            text = html.escape(f"{type(error).__name__}: {error}")
            self.message.value = f'<p role="alert" style="{_ALERT}">{text}</p>'
        else:
            self.error = None
            self.message.value = ""

    def try_all(self) -> int:
        """Call every callback at its least, middle and greatest value, press every button; return how many
        calls.

        Afterwards the widget shows what it showed before. Raises the first error.
        """
        before = self._shown
        calls = 0
        initial = {name: control.value for name, control in self.controls.items()}
        for name, control in self.controls.items():
            for value in extremes(control):
                if control.value == value:
                    self._changed()
                control.value = value
                self._raise(f"{name} = {value!r}")
                calls += 1
            self.reset_control(control, initial[name])
        for label in self.actions:
            self.press(label)
            self._raise(f"button {label!r}")
            calls += 1
        for name, control in self.controls.items():  # a button may have moved them
            self.reset_control(control, initial[name])
        set_picture(self.image, before)
        return calls

    def reset_control(self, control, value) -> None:
        """Give a control a value without a redraw."""
        self.quiet = True
        try:
            control.value = value
        finally:
            self.quiet = False

    def _raise(self, where: str) -> None:
        if self.error is not None:
            self.error.add_note(f"in the widget {self.name!r}, {where}")
            raise self.error

    def show(self, *rows) -> None:
        """Display rows of controls above the picture, then the caption; a plain script shows the static
        picture."""
        if not machine.in_notebook():
            show_picture(self.static)
            return
        wrap = ipywidgets.Layout(flex_flow="row wrap", align_items="center")
        boxes = [ipywidgets.HBox(list(row), layout=wrap) for row in rows if row]
        self.box = ipywidgets.VBox([*boxes, self.image, self.message])
        save_figure(self.static)
        publish(self.static, view(self.box))
        show_caption(self.caption)

    def _ipython_display_(self) -> None:
        """Show nothing: it is displayed already, and a cell may end with the call that made it."""

    def close(self) -> None:
        """Forget the controls and the functions, so that what those hold can be freed.

        The panel itself may live on: IPython keeps it where a cell ended with the call that made it.
        """
        close_all(*self.controls.values(), *self.buttons.values(), self.image, self.message, self.box)
        self.draw = self.error = None
        self.actions = {}
