"""The arena: models that entered, their clock, and the game that a reader plays against them."""

from course_utils.arena.clock import yardstick
from course_utils.arena.entry import Entry, enter, entries, training_step

__all__ = ["Entry", "enter", "entries", "training_step", "yardstick"]
