"""How many widgets are open."""

import ipywidgets


def count_open() -> int:
    """Return how many widgets ipywidgets knows to be open."""
    return len(getattr(ipywidgets.widgets.widget, "_instances", ()) or ipywidgets.Widget._active_widgets)
