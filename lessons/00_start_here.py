# %% [markdown]
# # 00 Start here
#
# **A generative model makes new members of a family it has only seen examples of. Everything else in this course is how.**
#
# Run the next two cells (click into a cell, then press Shift and Enter together). Then move the slider, before you read on.

# %% tags=["setup"]

import numpy as np

import course_utils as cu

device = cu.setup()

# %% slideshow={"slide_type": "slide"}
runs = {run.name: run for run in cu.runs.available()}
replays = {name: run.replay for name, run in runs.items() if run.replay is not None}
if "00_replay" in replays:
    replay = replays["00_replay"]
    labels = [f"epoch {epoch}" for epoch in replay.steps]
    cu.scrub(replay.frames, labels, "36 images made by one network while it learned from 55,000 handwritten digits. An "
             "epoch is one pass over all of them; the network starts from the same 36 random codes every time.",
             label="training")  # fmt: skip

# %% [markdown]
# ## 1 What you will make · *core*
#
# **At which epoch would you first have said "handwriting"?** At epoch 0 every image is the same grey noise. After one pass over the data
# there are soft strokes, after ten most images are some digit, and between 100 and 200 you have to look hard to find a change. Nobody
# told the network what a digit is, and none of these 36 images is in its training set. The last section of this lesson trains it.
#
# The network is one family of several. Below, each row comes from a different source: one row is real handwriting that no model has
# seen, the others are models of this course. **Rank the rows from worst to best, and decide which one is real,** before you look at the key.

# %% slideshow={"slide_type": "slide"}
rows = {"real test digits": cu.mnist().test.sample(12, seed=1).x[:, 0]}
rows |= {run.card["what"]: run.replay.frames[-1][:12] for name, run in runs.items()
         if name.startswith("00_") and run.replay is not None}  # fmt: skip
rows |= {run.card["what"]: run.samples[:12] for run in cu.runs.available(samples=True)}
order = sorted(rows, key=lambda what: hash_of(what))
ax = cu.plots.image_grid(
    np.concatenate([rows[what] for what in order]), rows=len(order), row_titles="ABCDEFGHIJKL"[: len(order)]
)
cu.show(ax.figure, f"{len(order)} rows of twelve images, each row from one source. One of them is real.")
