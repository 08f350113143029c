"""Assignments: from one source to the instructor's and the student's notebook, graded with nbgrader."""
