"""A real browser on JupyterLab as `tasks.py lab` starts it."""
