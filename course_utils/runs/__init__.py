"""Runs: a trained model, and what came of it, as one folder with one card.

cu.save_run("my_model", model, what="…", history=history)
run = cu.restore("06_diffusion", model)          # the shipped weights; own=True: those of this reader
"""

from course_utils.runs.read import USED, Run, available, load, restore
from course_utils.runs.save import save_run, ship

__all__ = ["USED", "Run", "available", "load", "restore", "save_run", "ship"]
