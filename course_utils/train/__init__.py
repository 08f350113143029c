"""Training: `loop` repeats a step that the lesson writes, `fit` writes the usual step for one model and one
loss."""

from course_utils.train.ema import EMA
from course_utils.train.feed import Feed
from course_utils.train.fit import fit
from course_utils.train.history import History
from course_utils.train.interrupts import OutOfMemory
from course_utils.train.loop import loop
from course_utils.train.resume import forget
from course_utils.train.rounds import each

__all__ = ["EMA", "Feed", "History", "OutOfMemory", "each", "fit", "forget", "loop"]
