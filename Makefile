# For those who type make; every chore is in tasks.py. Arguments go in ARGS: make lessons ARGS=01
PYTHON ?= python3

lab test doctor lessons stale full new mutate arena bench pages slides handout assignment nbgrader marks midterm setup update bundle test-bundle test-colab:
	@$(PYTHON) tasks.py $@ $(ARGS)

.PHONY: lab test doctor lessons stale full new mutate arena bench pages slides handout assignment nbgrader marks midterm setup update bundle test-bundle test-colab
