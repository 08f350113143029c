"""Reference answers, extracted from the lessons' solutions by `python tasks.py lessons`. Do not edit by hand.

Each `ref_NN.py` ends with `REFERENCES = {"NN.name": function, ...}`, which `course_utils.checks.reference` reads.
"""
