"""What one lesson wrote and later ones use: `from course_utils.lessons.lesson_04 import VAE`, written once.

Each module here is copied by the notebook builder out of the cells that its lesson tags `shared`, so it is
the very code that stood on the page; a comment beside such an import says in which lesson and section. Where
a piece was an exercise, the module holds the course's reference answer, because it cannot know what you wrote
in your own notebook.
"""
