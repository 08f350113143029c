"""What every test of a widget begins with, and a kernel to pretend to be in."""

import matplotlib.pyplot as plt
import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

from course_utils import widgets
from course_utils.system import machine


@pytest.fixture(autouse=True)
def _clean(monkeypatch):
    """No widget and no figure."""
    monkeypatch.setenv("COURSE_PROFILE", "live")
    monkeypatch.delenv("COURSE_FIGURES", raising=False)
    widgets.REGISTRY.clear()
    yield
    widgets.REGISTRY.clear()
    plt.close("all")


@pytest.fixture
def notebook(monkeypatch):
    """Pretend to run in a kernel, with a display system that keeps what is published."""
    InteractiveShell.instance()
    monkeypatch.setattr(machine, "in_notebook", lambda: True)
    yield lambda: capture_output(stdout=False, stderr=False)
    InteractiveShell.clear_instance()
