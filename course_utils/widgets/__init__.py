"""Widgets: explore parameters, scrub a replay, look at a plane, step through an algorithm, answer a quiz."""

from course_utils.widgets.explore import explore, plane, scrub, stepper
from course_utils.widgets.panel import REGISTRY, Noise, Panel
from course_utils.widgets.quiz import quiz

__all__ = ["REGISTRY", "Noise", "Panel", "explore", "plane", "quiz", "scrub", "stepper"]
