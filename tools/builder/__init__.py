"""The notebook builder: from lessons/NN_slug.py to notebooks/NN_slug.ipynb."""
