# %% [markdown]
# # 00 Start here
#
# **A generative model makes new members of a family it has only seen examples of.
# Everything else in this course is how.**
#
# Click on this text and press Shift and Enter together, four times: each time one cell runs.
# Then move the slider, before you read on.

# %% tags=["setup"]
import math

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import course_utils as cu

device = cu.setup()

# %% tags=["figure", "slide"]
# @title Widget: 36 images at every epoch of one training
runs = [run for run in cu.runs.available() if run.replay is not None or run.card["samples"]]
learning = [run for run in runs if run.replay is not None and len(run.replay[0]) > 2]
for run in learning[:1]:
    frames, epochs = run.replay

    def strip(frames=frames, epochs=epochs):
        """The static picture: nine of the images at five epochs."""
        shown = [i for i, epoch in enumerate(epochs) if epoch in (0, 1, 10, 100, 200)]
        labels = [f"epoch {epochs[i]}" for i in shown]
        return cu.plots.film_strip([frames[i][:9] for i in shown], labels).figure

    cu.scrub(
        frames,
        [f"epoch {epoch}" for epoch in epochs],
        "36 images made by one network while it learned from 55,000 handwritten digits. "
        "An epoch is one pass over all of them. "
        "The 36 random codes the network starts from are the same in every frame.",
        static=strip,
        label="training",
    )

# %% [markdown]
# ## 1 · What you will make *(core)*
#
# **At which epoch would you first have said "handwriting"?**
# At epoch 0 every image is grey noise.
# After one pass over the data there are soft strokes, after ten most images are some digit, and until about epoch 100 strokes get firmer.
# Later epochs still move strokes, and now and then a digit turns into another one, but to the eye the set gets no better (section 8 trains the network, and measures this).
# Nobody told it what a digit is: each image is a random code, turned into pixels.
#
# That network is one family among several.
# In the next figure each row comes from another source: one row is handwriting that no model has seen, the others are made by models of this course.
# **Predict: rank the rows from worst to best, and say which one is real.**

# %% tags=["figure", "slide"]
# @title Figure: rows of seven images, one source a row
LETTERS = "ABCDEFGHIJKL"
SHORT = {
    "00_gaussian": "one Gaussian over all pixels (this lesson)",
    "00_pixels": "independent pixels (this lesson)",
    "00_replay": "the small network of the slider above (this lesson)",
    "02_mixture": "a mixture of Gaussians (lesson 02)",
    "03_ae_mixture": "an autoencoder with a mixture on its codes (lesson 03)",
    "04_vae": "a variational autoencoder, pixels drawn (lesson 04)",
    "04_vae_means": "the same variational autoencoder, pixels averaged (lesson 04)",
    "05_gan": "a generative adversarial network (lesson 05)",
    "06_diffusion": "a diffusion model (lesson 06)",
}
rows = {"real digits that no model has seen": cu.mnist().test.sample(7, seed=1).x[:, 0].numpy()}
for run in runs:
    if run.name in SHORT:
        images = run.samples if run.card["samples"] else run.replay[0][-1]
        rows[SHORT[run.name]] = images[:7]
order = np.random.default_rng(4).permutation(list(rows))
tiles = np.concatenate([rows[what] for what in order])
ax = cu.plots.image_grid(tiles, rows=len(order), row_titles=LETTERS[: len(order)])
cu.show(
    ax.figure,
    f"{len(order)} rows of seven images. "
    "Each row has one source, and one of the sources is real.",
)

# %% [markdown]
# Write your ranking down before you look.

# %% tags=["figure"]
# @title Table: the key to the rows
cu.table([[letter, what] for letter, what in zip(LETTERS, order)], ["row", "source"])

# %% [markdown]
# Three rows are made in this lesson: **independent pixels** and **one Gaussian**, which fit into ten lines, and the small network of section 8.
# Lessons 02 to 06 add the others, and lesson 07 measures all with one ruler, because ranking by eye misses what matters in ways that we can prove.
#
# **After this lesson you can**
# - *say* what a generative model is and *decide* whether a system is one;
# - *fit, sample and score* the two simplest generative models of images, and *name* what separates them;
# - *explain* why a model that averages over right answers gives a blurred one;
# - *read off* how likely a model finds a digit you drew, and *say* why that number needs care.
#
# **Builds on** one course in machine learning, and Python.
#
# | letter | means | letter | means |
# |---|---|---|---|
# | $x$, $x_i$ | data: here one image as a vector of $d = 784$ pixels; pixel $i$ | $p_\theta$ | a model: a distribution with parameters $\theta$ |
# | $\varepsilon$ | noise: standard normal | $d$, $n$ | pixels of an image; images |
# | $\mu, \Sigma$ | mean vector and covariance matrix | $c$ | an input that is given; $m$: mean answer to it |
# | $L$ | Cholesky factor: lower triangular, $LL^\top = \Sigma$ | log | natural logarithm: information in nats (1 nat is $1/\log 2$ bits) |
#
# *Core* sections fill a class; *deeper* ones, which are folded at first, are for the curious.
# A question in bold comes before a figure: answer it, even wrongly, to read the figure well.

# %% tags=["figure"]
# @title Figure: the map of the course
HERE = (*(f"{number:02}" for number in range(16)), "A")
SPINE = {
    "00": ("start\nhere", (0, 0)),
    "01": ("classify or\ngenerate", (1.38, 0)),
    "02": ("Gaussian\nmixtures", (2.76, 0)),
    "03": ("auto-\nencoders", (4.14, 0)),
    "04": ("variational\nautoencoders", (5.52, 0)),
    "05": ("GANs", (7.0, 0.48)),
    "06": ("diffusion", (7.0, -0.48)),
    "07": ("comparing\nmodels", (8.4, 0)),
}
NEEDS = [("00", "01"), ("01", "02"), ("02", "03"), ("03", "04")]
NEEDS += [("04", "05"), ("04", "06"), ("05", "07"), ("06", "07")]
PARTS = {  # lesson / the lessons it builds on
    "II · the other families": "08 hidden chains / 02; 09 autoregressive / 01, 02; "
    "10 flows / 04, 09; 11 energy-based / 02, 06",
    "III · control and speed": "12 conditions / 04 to 06; 13 better GANs / 05; "
    "14 fast diffusion / 06; 15 text to image / 06, 09",
    "IV · at work": "16 inverse\nproblems / 02, 06; 17 translation,\nstyle / 05, 06; "
    "18 language / 09; 19 sound / 06, 09; 20 data\nscience / 02 to 04; "
    "21 molecules,\nactions / 04 to 06; 22 respon-\nsibility / 07",
}
d = cu.diagram(fontsize=11)


def stop(number, words, at, width=1.14, note=""):
    """One lesson on the map: blue if it is here, grey if it is to come."""
    colour = cu.plots.PALETTE[0] if number in HERE else "#999999"
    return d.box(f"{number}\n{words}", at, width=width, height=0.74, colour=colour, note=note)


d.text("I · the spine", (-0.57, 0.75), align="left", weight="bold")
spine = {number: stop(number, words, at) for number, (words, at) in SPINE.items()}
for before, after in NEEDS:
    d.arrow(spine[before], spine[after])
for row, (part, lessons) in enumerate(PARTS.items()):
    height = -1.85 - 1.45 * row
    d.text(part, (-0.57, height + 0.58), align="left", weight="bold")
    lessons = lessons.split("; ")
    step = 9.54 / len(lessons)
    for i, lesson in enumerate(lessons):
        name, needs = lesson.split(" / ")
        number, words = name.split(" ", 1)
        at = (-0.57 + step * (i + 0.5), height)
        stop(number, words, at, width=min(1.5, step - 0.14), note=f"after {needs}")
d.box(
    "A · toolbox: seven cards that every lesson leans on", (4.2, -5.85), width=9.54, height=0.45
)
cu.show(
    d.figure,
    "The map of the course. Arrows in Part I, and 'after …' below a box, name the lessons that "
    "it builds on. Blue: here; grey: to come.",
)

# %% [markdown]
# Part I is the spine: each of its lessons repairs a failure of an earlier one, and all others build on it.
# Part II adds the remaining families, Part III control and speed, Part IV applications.
#
# ### From a smear to a sentence in eight years
# **Predict** the year in which a program could first draw a face at the resolution of a screen.

# %% tags=["figure"]
# @title Figure: seven milestones by year and image size, and our own families
from matplotlib.offsetbox import AnnotationBbox, OffsetImage

milestones = [
    (2014.45, 48, "GAN", "grey faces,\nsmeared like wet ink"),
    (2015.9, 64, "DCGAN", "bedrooms and faces,\nthumbnails that melt"),
    (2017.8, 1024, "progressive growing", "celebrities who do\nnot exist, sharp"),
    (2018.95, 1024, "StyleGAN", "any face, with dials\nfor pose, hair, age"),
    (2020.45, 256, "DDPM", "churches and faces\ngrown out of noise"),
    (2021.35, 512, "guided diffusion", "one model,\n1,000 classes"),
    (2021.95, 512, "latent diffusion", "whatever scene a\nsentence describes"),
]
fig, ax = plt.subplots(figsize=(11.5, 6))
sides = [
    "center top",
    "left top",
    "right bottom",
    "left bottom",
    "center top",
    "left bottom",
    "left top",
]
shifts = [(-20, 66), (12, 10), (14, 14), (-14, 14), (-26, -12), (6, 12), (12, 8)]
for (year, side, name, words), where, shift in zip(milestones, sides, shifts):
    colour = cu.plots.PALETTE["diffusion" in name or name == "DDPM"]
    ax.plot(year, side, "o", color=colour, ms=9)
    ha, va = where.split()
    style = {"xytext": shift, "textcoords": "offset points", "ha": ha, "va": va}
    ax.annotate(f"{name}\n{words}", (year, side), **style, fontsize=11, color=colour)
ours = [
    ("04_vae_means", 2012.75, "VAE (2013)", "#666666"),
    ("05_gan", 2014.9, "GAN (2014)", cu.plots.PALETTE[0]),
    ("06_diffusion", 2020.45, "diffusion (2020)", cu.plots.PALETTE[1]),
]
for name, year, words, colour in ours:
    if name in [run.name for run in runs]:
        strip = cu.plots.mosaic(cu.runs.load(name).samples[:6], rows=2)
        picture = OffsetImage(255 - strip, cmap="gray", zoom=1.25)
        style = {"edgecolor": colour}
        ax.add_artist(AnnotationBbox(picture, (year, 4), bboxprops=style, pad=0.15))
        ax.text(year, 15, words, ha="center", va="center", fontsize=11, color=colour)
ax.axhspan(1, 21, color="#f3f3f3", zorder=0)
ours = "28 pixels: lessons\n04, 05 and 06\nof this course"
ax.text(2017.6, 4, ours, ha="center", va="center", fontsize=12)
ax.set(xlabel="year", xlim=(2011.8, 2024), title="Sharp faces by 2017, any scene by 2022")
ax.set(ylabel="side of the image (pixels)", yscale="log", ylim=(1.4, 5000))
ax.set_yticks([64, 256, 1024], ["64", "256", "1,024"])
ax.minorticks_off()
cu.show(
    fig,
    "Seven milestones by year of the first paper and image size; blue: GANs, vermilion: "
    "diffusion. Below, at 28 pixels: samples of the shipped runs of this course.",
)

# %% [markdown]
# The answer is 2017.
# In little more than three years one family, generative adversarial networks (GANs), went from 48 pixels to 1,024.
# Then the dots go *down*: what grew with diffusion was the range, from faces to whatever a sentence says.
# We work at 28 pixels, where a model of each family trains in a few hours at most without a graphics card, and every one of its failures shows.

# %% [markdown]
# ## 2 · The first generative model *(core)*
#
# > **Definition:** a generative model is a distribution, learned from examples, that we can draw from.
#
# Here the examples are images, and the distribution is $p_\theta(x)$.
# The simplest one treats every pixel as a coin of its own.
# Count a pixel as ink ($x_i = 1$) if it is more than half dark, and let pixel $i$ be ink with probability $\theta_i$:
#
# $$p_\theta(x) = \prod_{i=1}^{784} \theta_i^{x_i} (1 - \theta_i)^{1 - x_i} \tag{1}$$
#
# What should $\theta_i$ be?
# Say $n_i$ of $n$ images have ink at pixel $i$.
# As a function of $\theta_i$, the log-likelihood of the data is $n_i \log \theta_i + (n - n_i) \log(1 - \theta_i)$.
# Its derivative $n_i/\theta_i - (n - n_i)/(1 - \theta_i)$ is zero at $\theta_i = n_i / n$: count, and divide.
#
# Some pixels have no ink in any training image, and $\theta_i = 0$ would call every image with ink there impossible.
# So we pretend to have seen two more images, one white and one black (Laplace's rule of succession):
#
# $$\theta_i = \frac{n_i + 1}{n + 2} \tag{2}$$
#
# To draw an image, toss the 784 coins.
# **Predict: what will these draws look like?**
# On average every pixel will have ink as often as in real digits.

# %%
n_train = cu.budget(55_000)  # all of them; fewer in a quick run
digits = cu.mnist()
x = digits.train[:n_train].flat()  # (n, 784) in [0, 1]
ink = (x > 0.5).float()  # (n, 784), 0 or 1
theta = (ink.sum(0) + 1) / (len(ink) + 2)  # (784,), equation (2)

coins = torch.rand(10_000, 784, generator=torch.Generator().manual_seed(0))
ghosts = (coins < theta).float()  # (10000, 784): pixel i is ink with probability θ_i


# %% tags=["figure", "slide"]
# @title Figure: the coins and what they draw
def heat(ax, values, title, label="", **style):
    """Draw 784 numbers as a map of the 28 × 28 pixels, with a colour bar if it has a label."""
    shown = ax.imshow(np.asarray(values).reshape(28, 28), **style)
    ax.set(xticks=[], yticks=[], title=title)
    ax.grid(False)
    ax.spines[:].set_visible(False)
    if label:
        ax.figure.colorbar(shown, ax=ax, label=label, shrink=0.8)
    return shown


fig, (left, right) = plt.subplots(
    1, 2, figsize=(11, 4.4), width_ratios=[1, 1.9], layout="constrained"
)
heat(left, theta, "all it knows: 784 coins", "probability of ink, θ", cmap="gray_r", vmin=0)
cu.plots.image_grid(ghosts[:32].view(-1, 28, 28), rows=4, ax=right)
right.set_title("what it draws: ghosts")
cu.show(
    fig,
    "Left: the fraction of training images with ink, pixel by pixel. "
    "Right: 32 draws from independent pixels.",
)

# %% [markdown]
# Ghosts: dust in the shape of the average digit, and not one stroke.
#
# We need the probability that the model gives to an image.
# Multiplying 784 probabilities is hopeless in floating point, as you will see, so we take the logarithm of (1):
#
# $$\log p_\theta(x) = \sum_{i=1}^{784} \big[\, x_i \log \theta_i + (1 - x_i) \log(1 - \theta_i) \,\big] \tag{3}$$
#
# **Exercise 1 (core).**
# Write equation (3) for a whole batch of images.
# (Why logarithms: Card 3 of the [toolbox](A_toolbox.ipynb).
# Shapes: Card 1.)


# %% tags=["exercise"]
def log_lik_pixels(x, theta):
    """Log-likelihood of images under independent pixels, equation (3).

    x: (N, D), each entry 0.0 or 1.0. theta: (D,), probability of ink, strictly between 0 and 1.
    Returns (N,): one number per image, in nats.
    """
    ### BEGIN SOLUTION
    return (x * theta.log() + (1 - x) * (1 - theta).log()).sum(dim=1)
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# `theta` has shape (D,) and `x` has shape (N, D): `x * theta.log()` multiplies every row by the same D numbers.
# Ink contributes the first term of (3) and paper the second; add over the pixels, `dim=1`, so that one number is left for each image.

# %%
checked_log_lik = cu.check("00.pixels", log_lik_pixels)

# %% [markdown]
# With it we can ask the model what it thinks of real digits and of its own ghosts.
# **Predict: which of the two does it find more likely, and by how much?**

# %%
test_ink = (digits.test.flat() > 0.5).float()
product = torch.where(test_ink > 0.5, theta, 1 - theta).prod(dim=1)  # (10000,), equation (1)
cu.facts(
    {
        "test digits whose product (1) is exactly 0 in float32, %": 100
        * (product == 0).float().mean(),
        "mean log p, nats: training digits": checked_log_lik(ink, theta).mean(),
        "test digits": checked_log_lik(test_ink, theta).mean(),
        "the model's own ghosts": checked_log_lik(ghosts, theta).mean(),
        "any image, under fair coins": -784 * math.log(2),
    },
    digits=4,
)

# %% [markdown]
# Nobody would confuse a ghost with a digit, except the model: it gives both the same −206 nats on average.
#
# This is no accident.
# Rewrite (3) as a part that does not depend on the image and a part that is linear in it:
#
# $$\log p_\theta(x) = \sum_i \log(1-\theta_i) + \sum_i x_i \log\frac{\theta_i}{1-\theta_i}$$
#
# So its mean over a set of images depends only on how often each pixel is ink in that set, and that is what we copied from the data.
# **A model can judge only what it represents, and this one represents pixels one at a time.**
#
# It did learn something: fair coins would score −543.
# But it did not learn what makes a stroke: that ink has ink beside it.
# That can be measured.
# Take one pixel, and correlate it with every other pixel, across images.
# **Predict** the map of correlations for a pixel in the middle, in real digits and in ghosts.


# %%
def correlation_map(images, row, column):
    """Correlation of one pixel with every pixel, across images (N, 784): (784,)."""
    centred = images - images.mean(0)
    pixel = centred[:, 28 * row + column]  # (N,)
    together = pixel @ centred / len(images)  # (784,): covariance with every pixel
    return together / (centred.std(0) * pixel.std()).clamp(min=1e-2)  # no division by 0


pixels = [(14, 14), (8, 18), (20, 10)]
maps = {f"digits, pixel {pixel}": correlation_map(ink, *pixel) for pixel in pixels}
maps["ghosts, pixel (14, 14)"] = correlation_map(ghosts, 14, 14)

# %% tags=["figure", "slide"]
# @title Figure: correlation of one pixel with all others
crosses = [*pixels, (14, 14)]
fig, axes = plt.subplots(1, 4, figsize=(12, 3.5), layout="constrained")
for ax, (title, corr), (r, c) in zip(axes, maps.items(), crosses):
    right_hand = corr[28 * r + c + 1]
    shown = heat(ax, corr, "", cmap="RdBu_r", vmin=-0.5, vmax=0.5)
    text = f"{title}\nright neighbour: {right_hand:.2f}".replace("-", "−")
    ax.set_title(text, fontsize=12)
    ax.plot(c, r, "kx")
fig.colorbar(shown, ax=axes, label="correlation", shrink=0.8, extend="max")
cu.show(
    fig,
    "Correlation of one pixel (cross) with all others, cut at 0.5. "
    "In digits it spreads along strokes; in ghosts there is none.",
)

# %% [markdown]
# In digits, ink at the cross makes ink beside it likely: red, in the shape of a stroke.
# Some pixels further it makes ink unlikely: blue, because where one line runs, the paper next to it stays white.
# In ghosts there is a single red dot, the pixel itself.
#
# **What is missing is the dependence between pixels.**
# To express dependence among hundreds of variables is what the rest of the course is for.

# %% [markdown]
# ## 3 · From ghosts to digits *(core)*
#
# The mildest way to add dependence is one Gaussian over all 784 pixels, with the mean $\mu$ and the covariance matrix $\Sigma$ of the data (grey values now, not ink or paper).
#
# To draw from it, find a matrix $L$ with $LL^\top = \Sigma$ and push white noise through it:
#
# $$x = \mu + L \varepsilon, \qquad \varepsilon \sim \mathcal N(0, I) \tag{4}$$
#
# The mean is right, because the noise has mean zero.
# The covariance is right, since $\mathbb E[L\varepsilon(L\varepsilon)^\top] = L\, \mathbb E[\varepsilon\varepsilon^\top] L^\top = LL^\top = \Sigma$.
# And a linear map of a Gaussian is Gaussian.
#
# The usual choice is the **Cholesky factor**: the one lower-triangular $L$ with a positive diagonal (Card 4 of the [toolbox](A_toolbox.ipynb)).
# It exists if $\Sigma$ is positive definite, and here it does not exist yet:

# %%
mean = x.mean(0)  # (784,)
raw_cov = torch.cov(x.T)  # (784, 784)
try:
    torch.linalg.cholesky(raw_cov)
except torch.linalg.LinAlgError as error:
    print(f"Cholesky fails: {str(error).split(': ')[-1]}")
cu.facts("pixels (of 784) that are white in all images", (raw_cov.diagonal() == 0).sum())
cov = raw_cov + 1e-4 * torch.eye(784)  # each pixel gets noise of its own, std 0.01

# %% [markdown]
# A pixel that never varies makes $\Sigma$ singular.
# Adding $10^{-4} I$ gives each pixel noise of its own, a hundredth of the grey scale, too little to see.
#
# **Exercise 2 (core).**
# Write equation (4) for a batch.
# We pass the noise in, so that we can reuse the same noise with different covariances.


# %% tags=["exercise"]
def sample_gaussian(mean, cov, eps):
    """Turn standard normal noise into draws from N(mean, cov) by Cholesky, equation (4).

    mean: (D,). cov: (D, D), positive definite. eps: (N, D), one row of noise per sample.
    Returns (N, D).
    """
    ### BEGIN SOLUTION
    factor = torch.linalg.cholesky(cov)  # (D, D), lower triangular
    return mean + eps @ factor.T
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# `torch.linalg.cholesky(cov)` is $L$.
# In (4) the noise is a column; here each sample is a *row* of `eps`.
# The transpose of $L\varepsilon$ is $\varepsilon^\top L^\top$.
# (Any $L$ with $LL^\top=\Sigma$ passes the check, including the symmetric root.)

# %%
checked_sample = cu.check("00.cholesky", sample_gaussian)

# %% [markdown]
# ### A dial between the two models
# We would like to turn dependence on slowly, and change nothing else.
#
# Principal component analysis tells how.
# Let $\Lambda_r$ hold the $r$ largest eigenvalues of $\Sigma$ and $U_r$ their eigenvectors.
# Then $U_r \Lambda_r U_r^\top$ is the part of the covariance that $r$ components explain.
# Its diagonal is too small: each pixel has lost some variance.
# Give it back, to that pixel alone:
#
# $$\Sigma_r = U_r \Lambda_r U_r^\top + \operatorname{diag}\!\big(\Sigma - U_r \Lambda_r U_r^\top\big) \tag{5}$$
#
# At $r = 0$ this is $\operatorname{diag}(\Sigma)$: independent pixels again, in grey.
# At $r = 784$ it is $\Sigma$.
# In between **every pixel keeps exactly its mean and its variance**; only the dependence is dialled in.

# %% [markdown]
# ### What the dial is worth
# A likelihood tells how much.
# Equation (4) can be run backwards: $\varepsilon = L^{-1}(x - \mu)$ is the noise that would have made the image $x$.
# In terms of this noise the log-density of a Gaussian is short:
#
# $$\log p(x) = -\tfrac12 \sum_i \varepsilon_i^2 - \sum_i \log L_{ii} - \tfrac d2 \log 2\pi \tag{6}$$
#
# Two facts turn the usual formula, $-\frac12(x-\mu)^\top\Sigma^{-1}(x-\mu)-\frac12\log\det\Sigma-\frac d2\log2\pi$, into this one.
# The exponent is $(x-\mu)^\top \Sigma^{-1} (x-\mu) = \|L^{-1}(x-\mu)\|^2 = \|\varepsilon\|^2$.
# And the determinant of a triangular matrix is the product of its diagonal, so $\log\det\Sigma = 2 \sum_i \log L_{ii}$.


# %%
def covariance_of_rank(cov, r):
    """Σ_r = U_r Λ_r U_rᵀ + diag(Σ − U_r Λ_r U_rᵀ), equation (5); cov (D, D), r = 0 … D."""
    values, vectors = torch.linalg.eigh(cov)  # eigenvalues ascend
    top = vectors[:, len(cov) - r :]  # (D, r)
    low_rank = top * values[len(cov) - r :] @ top.T
    return low_rank + torch.diag((cov - low_rank).diagonal())


def invert_gaussian(x, mean, cov):
    """The noise ε = L⁻¹(x − μ) behind each row of x (N, D), and log p (N,), equation (6)."""
    factor = torch.linalg.cholesky(cov)
    eps = torch.linalg.solve_triangular(factor, (x - mean).T, upper=False).T  # (N, D)
    log_density = -0.5 * (eps**2).sum(1) - factor.diagonal().log().sum()
    return eps, log_density - len(mean) / 2 * math.log(2 * math.pi)


# %%
ranks = [0, 1, 5, 20, 100, 784]
test = digits.test.flat()
eps = torch.randn(5_000, 784, generator=torch.Generator().manual_seed(0))  # for every rank
covs = {r: covariance_of_rank(cov, r) for r in ranks}
draws = {r: checked_sample(mean, covs[r], eps) for r in ranks}  # (5000, 784) each
log_p = {r: invert_gaussian(test, mean, covs[r])[1].mean().item() for r in ranks}

# no variance moves on the way, and equation (6) agrees with PyTorch's own
assert all(torch.allclose(covs[r].diagonal(), cov.diagonal(), atol=1e-5) for r in ranks)
some = test[:50].double()
trusted = torch.distributions.MultivariateNormal(mean.double(), cov.double()).log_prob(some)
assert torch.allclose(invert_gaussian(some, mean.double(), cov.double())[1], trusted)

# %% [markdown]
# Each tile keeps its noise vector $\varepsilon$; only the dependence grows with $r$.
# **Predict: at which $r$ do you recognise the first digit?**


# %% tags=["figure", "slide"]
# @title Widget: the same noise, more and more dependence
def condense(r):
    """Draw the samples at rank r beside the likelihood that dependence has gained so far."""
    fig, (left, right) = plt.subplots(1, 2, figsize=(11.5, 4.4), width_ratios=[1.75, 1])
    cu.plots.image_grid(draws[r][:24].view(-1, 28, 28), rows=3, ax=left)
    left.set_title(f"Σ keeps r = {r} of 784 principal components")
    gains = [log_p[k] - log_p[0] for k in ranks]
    right.plot(range(len(ranks)), gains, "o-", color=cu.plots.PALETTE[0])
    right.plot(ranks.index(r), log_p[r] - log_p[0], "o", ms=14, color=cu.plots.PALETTE[1])
    right.set_xticks(range(len(ranks)), ranks)
    right.set(xlabel="r", ylabel="gain over r = 0 (nats per test digit)")
    return fig


def all_ranks():
    """The static picture: the same noise at every rank, and what each rank has gained."""
    first = torch.cat([draws[r][:10] for r in ranks]).view(-1, 28, 28)
    names = [f"r = {r}\n+{log_p[r] - log_p[0]:.0f} nats" for r in ranks]
    return cu.plots.image_grid(first, rows=len(ranks), row_titles=names).figure


gains = ", ".join(f"{log_p[r] - log_p[0]:.0f}" for r in ranks[1:])
cu.explore(
    condense,
    "Draws from N(μ, Σ_r), the same noise in every row. Every pixel keeps its mean and its "
    f"variance; dependence gains {gains} nats a test digit at r = 1, 5, 20, 100, 784.",
    r=ranks,
    play=True,
    static=all_ranks,
)

# %%
drawn = draws[784]
own_eps, own_log_p = invert_gaussian(drawn, mean, cov)
test_eps, test_log_p = invert_gaussian(test, mean, cov)
cheaper = ((own_eps**2).mean(0) - (test_eps**2).mean(0)) / 2  # nats by pixel: real over drawn
margin = ink.mean(0) < 0.05  # inked in fewer than one digit of twenty
by_floor = {}
for floor in (1e-3, 1e-6):
    c = (raw_cov + floor * torch.eye(784)).double()
    ends = [
        invert_gaussian(test.double(), mean.double(), one)[1]
        for one in (c, c.diagonal().diag())
    ]
    by_floor[floor] = (ends[0] - ends[1]).mean()

# %%
cu.facts(
    {
        "what dependence is worth, nats a digit": log_p[784] - log_p[0],
        "the same with 1e-3 added to the diagonal": by_floor[1e-3],
        "the same with 1e-6": by_floor[1e-6],
        "pixels drawn outside the grey scale (shown clipped), %": 100
        * (drawn != drawn.clamp(0, 1)).float().mean(),
        "mean log p of its own draws, nats": own_log_p.mean(),
        "mean log p of real test digits, nats": test_log_p.mean(),
        "advantage of real digits on pixels that are rarely inked, nats": cheaper[margin].sum(),
        "on all other pixels": cheaper[~margin].sum(),
    },
    digits=4,
)

# %% [markdown]
# With one component an image or two turns into a ring: the first principal component says "0 or not".
# By $r = 20$ most images hold strokes, some of them digits.
# From 100 to 784 the eye sees little that is new, yet the likelihood gains more than a hundred nats from fine grain.
#
# **The number of this lesson: about 445 nats a digit.**
# That is what it is worth, to a Gaussian, to know how pixels go together in pairs.
# It finds, in geometric mean, a test digit $e^{445}$ times as probable (as a density) as the model with the same means and variances and no dependence.
#
# And still nobody would call the images at $r = 784$ handwriting, for two reasons.
# A Gaussian has one mean, so it cannot hold ten separate shapes: each draw is a little of everything, a 3 dissolving into an 8.
# And it cannot say "either ink or paper": four in ten of its pixel values fall outside the grey scale, most of them in the margins, by the small noise we added.
#
# By (6), pixel $i$ contributes $-\varepsilon_i^2/2$, so a difference can be added up pixel by pixel.
# Real digits score higher than its own draws, 1,286 against 1,182, but 101.9 nats of that come from pixels that are rarely inked, and 2.1 from all others.
# There real paper is truly white.


# %% tags=["author"]
def ship_draws(name, what, draws):
    """Ship a thousand draws, measured on five sets of a thousand (Card 7 of the toolbox)."""
    images = cu.to_uint8(draws[:5_000].clamp(0, 1).view(-1, 28, 28))

    def figures():
        found = cu.metrics.score(images, 1_000)
        return {
            "Fréchet distance": (found.distance, 3 * found.distance_spread),
            "spread over sets": (found.distance_spread, found.distance_spread),
            "KID": (found.kid, 3 * found.kid_spread),
            "n": (found.n, 0),
            "sets": (found.sets, 0),
        }

    cu.ship(name, what=what, figures=figures, samples=images[:1_000], lesson="00_start_here")


ship_draws("00_pixels", "independent pixels (lesson 00)", ghosts)
ship_draws("00_gaussian", "one Gaussian (lesson 00)", draws[784])

# %% [markdown]
# Both models enter the **arena** of lesson 07, where all models of the course compete.
# An entry says how to draw from the model, what one training step is (here a single pass over the digits), and how many numbers it must keep.


# %%
def draw_pixels(n):
    """n images of independent pixels."""
    return torch.bernoulli(theta.expand(n, 784)).view(n, 28, 28)


def draw_gaussian(n):
    """n images from the Gaussian with all its correlations."""
    return checked_sample(mean, cov, torch.randn(n, 784)).clamp(0, 1).view(n, 28, 28)


numbers = 784 + 784 * 785 // 2  # means, variances, covariances
cu.enter("00_pixels", draw_pixels, step=lambda: (x > 0.5).float().sum(0), steps=1, numbers=784)
cu.enter("00_gaussian", draw_gaussian, step=lambda: torch.cov(x.T), steps=1, numbers=numbers)

# %% [markdown]
# ## 4 · Your digit *(core)*
#
# Draw a digit: `#` is ink, `.` is paper, 14 lines of 14 characters.
# `cu.my_digit` smooths it with a round pen, scales it to a 20 × 20 box and centres it like the digits of MNIST.
# It is kept, and travels with you: in lesson 02b half of it is hidden and completed, in lesson 04 it gets ten other labels in your handwriting, in lessons 06b and 08 it is completed again.

# %% tags=["slide"]
my_digit = cu.my_digit("""
..............
......#####...
.....#....##..
...........#..
...........#..
..........##..
.........##...
......####....
.........##...
..........#...
..........#...
..#......##...
..##....##....
....####......
""")

# %% [markdown]
# How likely do our two models find it?
# For comparison, three images that nobody drew: a blank page, the average of all digits, and a page of fair coin tosses.
# A bare log-likelihood says little, so count: the percentage of test digits that are *less* likely.
#
# **Exercise 3 (core, predict and measure).**
# Commit a number.
# Under the Gaussian, how many per cent of the 10,000 test digits does the *blank page* beat?


# %% tags=["exercise"]
def blank_page_beats():
    """The percentage of test digits, 0 to 100, that you expect a blank page to beat."""
    ### BEGIN SOLUTION
    return 10.0  # a usual guess; the measurement comes in the table below
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# Any number from 0 to 100 passes.
# What speaks for a low one: nothing is written on the page.
# What speaks for a high one: equation (6) asks how large a noise would have made the image, pixel by pixel.

# %%
checked_bet = cu.check("00.blank", blank_page_beats)

# %%
yours = my_digit.flatten(1).float() / 255  # (1, 784)
entries = {
    "your digit": yours,
    "a blank page": torch.zeros(1, 784),
    "the average digit": mean[None],
    "coin tosses": torch.bernoulli(torch.full((1, 784), 0.5)),
}
coins_of_test = checked_log_lik(test_ink, theta)  # (10000,)
coin_scores = {"the typical test digit (median)": coins_of_test.median()}
gaussian_scores = {"the typical test digit (median)": test_log_p.median()}
for name, image in entries.items():
    coin_scores[name] = checked_log_lik((image > 0.5).float(), theta)
    gaussian_scores[name] = invert_gaussian(image, mean, cov)[1]

pen = torch.tensor([[1.0, 2.0, 1.0]]) / 4
kernel = (pen.T @ pen)[None, None]  # (1, 1, 3, 3)
softened = F.conv2d(digits.test.float(), kernel, padding=1)  # as if drawn with a soft pen
soft_log_p = invert_gaussian(softened.flatten(1), mean, cov)[1]


def beaten(score, scores):
    """The percentage of `scores` (N,) that are below `score`."""
    return 100 * (scores < score).float().mean()


# %% tags=["figure", "slide"]
# @title Table: how likely the two models find each entry
beats = {}
for name, of_gaussian in gaussian_scores.items():
    by_pixels = beaten(coin_scores[name], coins_of_test)
    beats[name] = [by_pixels, beaten(of_gaussian, test_log_p), beaten(of_gaussian, soft_log_p)]
cu.facts(
    {
        "expected (your number, or else ours): % of test digits": float(checked_bet()),
        "the blank page beats, %": beats["a blank page"][1],
    }
)
cu.table(
    [[name, value.item(), *beats[name]] for name, value in gaussian_scores.items()],
    [
        "image",
        "Gaussian: log p (nats)",
        "pixels: beats % of test digits",
        "Gaussian: beats % of test digits",
        "Gaussian: beats % of softened test digits",
    ],
    digits=1,
)

# %% [markdown]
# **The blank page beats all 10,000 test digits**, and the average digit beats even that.
# Your digit, if it is like ours, ranks above 99.8 % of real handwriting (the last column is explained at the end of this section).
# Neither number says that the image is good; the next figure shows each pixel's cost.
# Under coins each pixel is billed alone: minus one term of (3).
#
# Under the Gaussian a pixel is billed $\varepsilon_i^2/2$, the first sum in (6).
# Since $L$ is lower triangular, $\varepsilon_i$ depends on $x_1, \dots, x_i$ only: the pixel is judged *given those above it and to its left*.
# Given the earlier pixels, $x_i=\mu_i+\sum_{j<i}L_{ij}\varepsilon_j+L_{ii}\varepsilon_i$ is Gaussian with standard deviation $L_{ii}$.
# In other words, (6) is the chain rule $\log p(x) = \sum_i \log p(x_i \mid x_1, \dots, x_{i-1})$, on which lesson 09 builds a whole family.

# %%
my_ink = (yours > 0.5).float()
as_drawn = torch.where(my_ink > 0.5, theta, 1 - theta)  # (1, 784): probability of each pixel
coin_cost = -as_drawn.log()  # (1, 784): minus the terms of equation (3)
my_eps = invert_gaussian(yours, mean, cov)[0]  # (1, 784)
gaussian_cost = my_eps**2 / 2  # (1, 784): minus the terms of equation (6) that depend on x

# %% tags=["figure", "slide"]
# @title Figure: what each pixel of your digit costs
fig, axes = plt.subplots(
    1, 3, figsize=(11, 3.7), width_ratios=[1, 1.2, 1.2], layout="constrained"
)
cu.plots.image_grid(my_digit, ax=axes[0]).set_title("your digit")
heat(axes[1], coin_cost, "cost of a pixel: coins", "nats", cmap="viridis", vmin=0)
heat(axes[2], gaussian_cost, "cost: Gaussian", "ε² / 2 (nats)", cmap="viridis", vmin=0)
cu.show(
    fig,
    "A drawn digit, and what each of its pixels costs under independent pixels and under the "
    "Gaussian.",
)

# %% [markdown]
# Under coins you pay where you put ink and few people do, here at the left tip of the lower hook.
# Under the Gaussian, which reads row by row, a stroke costs where it first appears or turns, and little where it goes on.
# On a blank page nothing starts, so next to nothing is charged.
#
# ### Likely is not typical
# Why does no draw ever look like the average digit, the most likely image of all?
# Draw 784 noises $\varepsilon_i$ from $\mathcal N(0, 1)$.
# **Predict** their root mean square: is it near 0, where the density is highest, or elsewhere?

# %%
size = test_eps.square().mean(1).sqrt()  # (10000,): root mean square of the noise
own_size = own_eps.square().mean(1).sqrt()  # (5000,): of the Gaussian's own draws
peak = test_log_p > 1480
cu.facts(
    {
        "noise behind the average digit, root mean square": 0,
        "noise behind your digit": my_eps.square().mean().sqrt(),
        "noise behind a test digit, median": size.median(),
        "noise behind its own draws, mean": own_size.mean(),
        "the same, standard deviation": own_size.std(),
        "test digits above 1,480 nats": peak.sum(),
        "ones among them": (digits.test.y[peak] == 1).sum(),
    },
    digits=2,
)

# %% tags=["figure", "slide"]
# @title Figure: the peak and the shell
fig, axes = plt.subplots(
    1, 3, figsize=(12.5, 4.2), width_ratios=[1, 1.35, 1.25], layout="constrained"
)
BLUE, ORANGE, GREEN = cu.plots.PALETTE[:3]
radius = torch.linspace(0, 1.5, 400)
angles = 2 * math.pi * torch.rand(150, generator=torch.Generator().manual_seed(0))
at = own_size[:150]
side = torch.linspace(-1.35, 1.35, 200)
shade = (-1.5 * (side[:, None] ** 2 + side**2)).exp()
axes[0].imshow(shade.numpy(), cmap="Greys", extent=(-1.35, 1.35, -1.35, 1.35), vmax=1.6)
axes[0].plot(at * angles.cos(), at * angles.sin(), ".", color=BLUE, ms=7)
axes[0].plot(0, 0, "X", color=ORANGE, ms=13)
axes[0].annotate(
    "the peak: densest,\nand empty", (0, 0.05), (0, 0.38), ha="center", fontsize=12
)
axes[0].text(0, -1.25, "the shell: all draws", color=BLUE, ha="center", fontsize=12)
axes[0].set(xticks=[], yticks=[], title="a cartoon of 784 dimensions")
axes[0].grid(False)
density = -0.5 * 784 * radius**2
volume = 783 * radius.clamp(min=1e-9).log()
together = (density + volume) - (density + volume).max()
axes[1].plot(
    radius, 1 + density / 784 / 1.2, color=ORANGE, label="log-density of a point (falls)"
)
axes[1].plot(radius, 1 + volume / 784 / 1.2, color="#888888", label="log-volume there (rises)")
axes[1].fill_between(radius, together.exp(), color=BLUE, alpha=0.4, label="share of the draws")
axes[1].set(xlabel="distance: root mean square of ε", ylim=(0, 1.85), yticks=[], xlim=(0, 1.5))
axes[1].set_title("density × volume")
axes[1].legend(loc="upper left", fontsize=11)
style = {"bins": np.linspace(0, 1.5, 76), "density": True, "alpha": 0.6}
axes[2].hist(own_size.numpy(), color=BLUE, label="the Gaussian's draws", **style)
axes[2].hist(size.clamp(max=1.5).numpy(), color=GREEN, label="test digits", **style)
for where, name, colour in [
    (0, "average digit", ORANGE),
    (my_eps.square().mean().sqrt(), "your digit", "black"),
]:
    axes[2].axvline(float(where), color=colour, lw=2.5, label=name)
axes[2].set(xlabel="root mean square of ε", yticks=[], title="measured", xlim=(-0.04, 1.5))
axes[2].set_ylim(top=1.55 * axes[2].get_ylim()[1])
axes[2].legend(loc="upper left", fontsize=11)
cu.show(
    fig,
    "Left: draws of a Gaussian in many dimensions lie in a thin shell, far from its densest "
    "point. Middle: why. Right: the noise behind 5,000 draws, 10,000 test digits (larger "
    "values collected at 1.5), your digit and the average digit.",
)

# %% [markdown]
# The density of a single point falls with the distance from the mean, but the number of places at that distance grows like its 783rd power.
# The product is a thin shell: the draws have a root mean square of 1.00, with a standard deviation of 0.025, and nothing is near 0.
# **A density peaks where the noise is zero, but draws are never there.**
#
# Most real digits lie *inside* this Gaussian's shell, with a median of 0.75: they are plainer than its draws, above all in their white margins.
# Your digit lies further in, and so do the ones, the plainest digits: 623 of the 630 test digits above 1,480 nats.
# So here a high likelihood means "plain", not "real".
#
# *A likelihood rewards what is easy to predict.*
# Your strokes come from a smooth pen, real ones carry grain from ink and scanner, and grain costs nats.
# Soften the test digits with a 3 × 3 pen and the comparison is fair: that is the last column of the table.

# %% [markdown]
# ## 5 · How to spot a generative model *(core)*
#
# Two signs, from practice:
#
# 1. the output lives in the same space as the training samples (images in, images out);
# 2. the output has more dimensions than the input (a label in, a picture out).
#
# They fail on **denoising**: same space, but the usual denoiser computes one best guess.
# They fail on **segmentation**, a probability of every class at every pixel: more numbers come out than went in, yet there is one right answer.
# And they fail on **captioning**: a caption is smaller than its image, yet there are many good ones, and the program writes one of them.
#
# What decides follows from the definition in section 2.
# A distribution is needed where there are many right answers, and a system uses it generatively where it *draws*:
#
# > **Are there many right answers, and does the system draw one of them?**
#
# So a generative *system* is one that returns draws from a generative model.
# A system may hold such a model and never draw: a fraud detector that scores payments by a density, a translator that always returns the most probable sentence.

# %% tags=["figure", "slide"]
# @title Figure: one distribution, three uses
d = cu.diagram()
given_box = d.box("input c\n(or nothing)", (0, 0), width=1.6, height=0.8, colour="#777777")
model_box = d.box("learned distribution\np(x | c)", (3.0, 0), width=2.4, height=0.8)
d.arrow(given_box, model_box)
uses = [
    ("draw x ~ p(x | c)", "another x at every run: generative", cu.plots.PALETTE[2], 1.1),
    ("average or best x", "the same x at every run: no draw", cu.plots.PALETTE[1], 0.0),
    ("score p(x | c)", "a number for a given x: no draw", cu.plots.PALETTE[1], -1.1),
]
for what, result, colour, height in uses:
    use = d.box(what, (6.1, height), width=2.2, colour=colour)
    d.arrow(model_box, use)
    d.text(result, (7.35, height), align="left", fontsize=12)
cu.show(
    d.figure,
    "One learned distribution, three uses. The model in the middle is generative; "
    "a system that uses it is generative in the first case only.",
)

# %% [markdown]
# ### Why the average is a blur
# Suppose there are many right answers $x$ to a question $c$, and a network $f$ is trained to give the smallest squared error.
# For each $c$ it minimises $\mathbb E\big[\|f(c) - x\|^2 \mid c\big]$.
# Write $m = \mathbb E[x \mid c]$ and split $f - x = (f - m) + (m - x)$.
# The cross term has mean zero, because $x - m$ has, and
#
# $$\mathbb E\|f-x\|^2 = \|f-m\|^2 + \mathbb E\|m-x\|^2. \tag{7}$$
#
# The best $f$ is $m$, **the average of all right answers**, which need not be one of them.
#
# In miniature: a digit whose right half is hidden.
# The twenty training digits whose left halves fit best provide twenty plausible right halves.
# **Predict: what does their average look like, and by which factor is its squared error from the truth smaller than that of a single plausible answer?**

# %%
given = torch.arange(784) % 28 < 14  # (784,), True on the left half


def complete(query, k=20):
    """The k best completions (N, k, 784) of query (N, 784), whose left half counts, in x."""
    distance = torch.cdist(query[:, given], x[:, given])  # (N, number of training images)
    found = x[distance.topk(k, largest=False).indices]  # (N, k, 784)
    found[:, :, given] = query[:, None, given]  # keep what was given
    return found[:, torch.randperm(k, generator=torch.Generator().manual_seed(0))]  # no order


query = test[[18, 61, 115]]
found = complete(query)  # (3, 20, 784)

# %% tags=["figure", "slide"]
# @title Figure: three half digits, draws and averages
seen = torch.where(given, query, 0.5)
average = found.mean(1, keepdim=True)
parts = [seen[:, None], found[:, :5], average, query[:, None]]
columns = torch.cat(parts, dim=1)  # (3, 8, 784)
titles = ["given", "draw 1", "2", "3", "4", "5", "average", "truth"]
ax = cu.plots.image_grid(columns.reshape(-1, 28, 28), rows=3, titles=titles)
cu.show(
    ax.figure,
    "Three test digits with the right half hidden (grey), five of twenty plausible completions "
    "each, the average of the twenty, and the truth.",
)

# %%
query = test[: cu.budget(500)]
found = complete(query)[:, :, ~given]  # right halves only: (N, 20, 392)
truth = query[:, ~given]  # (N, 392)
answers = {"one draw": found[:, 0], "average of 20": found.mean(1), "truth": truth}
error = {name: (answer - truth).square().mean() for name, answer in answers.items()}


def grey_share(images):
    """The percentage of pixels that are neither ink nor paper."""
    return 100 * ((images > 0.1) & (images < 0.9)).float().mean()


grey = {name: grey_share(answer) for name, answer in answers.items()}
cu.facts(
    {
        "mean squared error: one draw": error["one draw"],
        "average of 20": error["average of 20"],
        "error of the average / error of a draw": error["average of 20"] / error["one draw"],
        "grey pixels: truth, %": grey["truth"],
        "one draw, %": grey["one draw"],
        "average of 20, %": grey["average of 20"],
        "grey of the average / grey of the truth": grey["average of 20"] / grey["truth"],
    },
    digits=2,
)

# %% [markdown]
# The average wins on squared error: 0.037 against 0.071 for a draw.
# It is also the only answer that no human wrote: 26 % of its pixels are grey, where the truth has 9 %.
# A perfect draw would have exactly twice the error of the perfect average (exercise 6 proves it).
#
# A super-resolver trained on squared error is such an averaging machine: a regression, however photographic its output looks.
# **Blur is what a mean over right answers looks like**; you will meet it again in every autoencoder.
#
# Now sort fourteen systems.

# %% tags=["figure", "slide"]
# @title Quiz: fourteen systems
YES, NO = "generative", "not generative"
systems = {
    "A spam filter": NO,
    "A super-resolver trained on squared error": NO,
    "Image captioning that words the same photograph differently at each click": YES,
    "Text-to-speech, a little different at every reading": YES,
    "A colouriser that gives a different plausible colouring at every run": YES,
    "A translator that always returns its most probable sentence": NO,
    "Object detection": NO,
    "Code completion: a second click gives another continuation": YES,
    "Fraud detection by a learned density of payments": NO,
    "Inpainting, a hole in a photograph filled anew at every click": YES,
    "Protein design: a thousand sequences that fold into a wanted shape": YES,
    "A chess engine's best move": NO,
    "Face unlock": NO,
    "A chatbot": YES,
}
reasons = [
    "One right answer for a mail. Both signs agree: a mail goes in, one bit comes out.",
    "Many sharp images fit, but it returns their average. Sign 1 and sign 2 are both fooled. "
    "Trained as in lessons 05 or 06 it would draw one, and be generative.",
    "Many captions are right and the system draws one. "
    "Sign 2 is fooled: a caption is smaller than its image.",
    "One text can be said at many speeds and in many moods; the system draws one.",
    "A grey car may be red or blue, and it draws. "
    "With squared error all cars come out brown: regression.",
    "Many good translations, but this system searches for one and returns it every time. "
    "Inside it is a generative model, p(sentence given sentence); let it draw, and it is "
    "generative.",
    "Where the pedestrians are has one right answer, however many boxes come out.",
    "Many continuations are right, and it draws one.",
    "A number for each payment, and no draw. The density inside is a generative model, used "
    "for something else; lesson 01 does the same with digits.",
    "Many fillings fit, and each click draws one.",
    "Many sequences fold alike, and it draws a thousand.",
    "It searches for the best move and returns it: no draw, like the translator. "
    "A program that imitates *players* would be generative.",
    "The same person or not: one right answer.",
    "Many good replies, and it draws one, word by word.",
]
questions = []
for (name, answer), why in zip(systems.items(), reasons, strict=True):
    questions.append({"text": name, "options": [YES, NO], "answer": answer, "why": why})
cu.quiz(questions, "Fourteen systems. Are there many right answers, and does it draw one?")

# %% [markdown]
# ## 6 · What they are for *(core)*
#
# Read the arrow as "many right outputs, draw one".
# Lessons 00 to 15 and the toolbox are here; those from 16 on are to come.
#
# | input → output | example | lesson |
# |---|---|---|
# | label → image | "draw me a 7" | [01](01_discriminative_vs_generative.ipynb), [04](04_variational_autoencoders.ipynb), [06](06_diffusion.ipynb), 12 |
# | image with a hole → completed image | a scratch, a tourist removed | [02b](02b_mixtures_on_images.ipynb) and [08](08_hidden_chains.ipynb) (exactly), [06b](06b_diffusion_in_depth.ipynb), 16 |
# | noisy → clean | a night photograph, a CT scan at low dose | [03b](03b_denoising.ipynb) (its average only), 16 |
# | low → high resolution | a satellite image, an old film | 16 inverse problems |
# | grey → colour | a film of 1930 | 17 image translation |
# | image → caption, text → image | a photograph described; an illustration | 15 text to image |
# | text → speech | a navigation voice | lesson 19, sound |
# | image → animation | a portrait that nods | 21 shapes, motion, actions |
# | past observations → actions | a robot arm that learned from watching | 21 |
#
# To draw from $p_\theta(x)$ one must have learned something about $x$, and that has uses without any output: understanding data through its hidden causes (02 to 04), filling in the missing cells of a survey, more examples of a rare class (20).
# And what can draw faces can draw *yours*: lesson 22, responsibility.

# %% [markdown]
# ## 7 · Four more exercises *(deeper)*
#
# **Exercise 4 (deeper, break it).**
# Section 2 pretended to have seen a white and a black image.
# Break the model by leaving them out, in a way that its training data cannot reveal.
# Return coins that make the *training* digits more likely than (2) does, and yet call some images impossible.


# %% tags=["exercise"]
def overconfident_coins(ink):
    """Coins (D,) under which the training images are likelier than under equation (2).

    ink: (N, D), 0.0 or 1.0. At least one coin must call some image impossible (θ = 0 or 1),
    but no training image may be.
    """
    ### BEGIN SOLUTION
    return ink.mean(0)
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# Section 2 derived the coins that maximise the training likelihood, before the two pretended images came in.

# %%
checked_coins = cu.check("00.overconfident", overconfident_coins)

# %%
sure = checked_coins(ink)
wrong = (test_ink[:, sure == 0] == 1).any(1) | (test_ink[:, sure == 1] == 0).any(1)  # (10000,)
by_sure = (torch.xlogy(ink, sure) + torch.xlogy(1 - ink, 1 - sure)).sum(1).mean()
cu.facts(
    {
        "coins that are exactly 0": (sure == 0).sum(),
        "training digits gain, nats a digit": by_sure - checked_log_lik(ink, theta).mean(),
        "test digits with probability exactly 0": wrong.sum(),
    },
    digits=2,
)

# %% [markdown]
# The training digits gain 0.0022 nats each, next to nothing.
# But five of the 10,000 test digits have ink where a coin is exactly 0: their probability is 0, and the mean log-likelihood of the test set is $-\infty$.
# The likelihood of the training data gives no warning.

# %% [markdown]
# **Exercise 5 (deeper).**
# Now write the question of section 5 as a program.
# Suppose all right answers to one input are known, and the system has been run several times on this input.
# Return
#
# - `"one answer"` if there is only one right answer;
# - `"draws"` if every output is (within a distance `tol`) one of the right answers, and at least two different ones occur;
# - `"no draw"` otherwise.


# %% tags=["exercise"]
def decisive_test(answers, outputs, tol=1e-3):
    """Are there many right answers, and does the system draw one?

    answers: (M, D), all right answers to one input.
    outputs: (N, D), what the system returned in N runs on it.
    Returns "one answer", "draws" or "no draw".
    """
    ### BEGIN SOLUTION
    if len(answers) == 1:
        return "one answer"
    distance, nearest = torch.cdist(outputs, answers).min(dim=1)  # (N,) each
    all_right = bool((distance <= tol).all())
    return "draws" if all_right and len(nearest.unique()) > 1 else "no draw"
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# `torch.cdist(outputs, answers)` is a table of distances, one row an output.
# `.min(dim=1)` gives, for each output, the distance to its nearest right answer and which one that is.

# %%
checked_test = cu.check("00.decisive", decisive_test)

# %% [markdown]
# Four new systems, each in miniature: a *rain radar* that predicts where a storm will be in an hour, trained on squared error (the storm passes the hill on the left or on the right); a *typeface maker* that invents a letter in one of three styles; a *translator* that always returns the first of three good sentences; a *cheque reader* that returns the amount written.

# %%
storm = torch.tensor([[-1.0, 2.0], [1.0, 2.0]])  # it passes on the left, or on the right
styles = torch.eye(3)
amount = torch.tensor([[125.5]])
drawn = torch.randint(3, (10,), generator=torch.Generator().manual_seed(0))
trials = {
    "rain radar, squared error": (storm, storm.mean(0).expand(10, 2)),
    "typeface maker": (styles, styles[drawn]),
    "translator, most probable sentence": (styles, styles[0].expand(10, 3)),
    "cheque reader": (amount, amount.expand(10, 1)),
}
verdicts = {name: checked_test(*trial) for name, trial in trials.items()}

# %% tags=["figure"]
# @title Table: the verdict on each system
lines = [[name, len(answers), verdicts[name]] for name, (answers, outputs) in trials.items()]
cu.table(lines, ["system", "right answers", "verdict"])

# %% [markdown]
# The radar announces the storm on the hilltop, where it never goes.
# Forecasters noticed: some newer rain models draw (Ravuri et al., 2021).
# Outside a toy nobody can list all right answers; that is why lesson 07 needs a whole lesson to judge samples.

# %% [markdown]
# **Exercise 6 (deeper, on paper).**
# A truth $x$ and an answer $x'$ are drawn independently from the same $p(x\mid c)$, with mean $m$.
# Show that $\mathbb E\|x'-x\|^2 = 2\,\mathbb E\|m-x\|^2$: a perfect draw has twice the squared error of the perfect average.
# What does that cost in decibels?
#
# <details><summary>Step 1</summary>
#
# Write $x'-x=(x'-m)+(m-x)$ and expand the square.
#
# </details>
#
# <details><summary>Step 2</summary>
#
# The cross term is $2\,\mathbb E[(x'-m)^\top(m-x)]$.
# Independence turns it into $2\,\mathbb E[x'-m]^\top\,\mathbb E[m-x]=0$.
#
# </details>
#
# <details><summary>Step 3</summary>
#
# The two squares have the same mean, because $x'$ and $x$ have the same distribution.
# Twice the error is $10\log_{10}2\approx 3$ decibels.
# Lessons 02 and 16 meet these 3 decibels again.
#
# </details>
#
# **Exercise 7 (deeper, open).**
# Choose a system that you used today and that is *not* in the quiz.
# In half a page: what is the input, what counts as a right answer, and how many are there?
# Does the system draw, average, or search, and which experiment, without access to its code, would tell?
# Change one design decision so that your verdict flips.

# %% [markdown]
# ## 8 · How the replay at the top was made *(deeper)*
#
# A variational autoencoder in fifteen lines.
# Lesson 04 derives every one of them; today only the roles.
# The *encoder* looks at an image and proposes a cloud of codes: mean and variance of 16 numbers.
# A code is drawn from the cloud.
# The *decoder* turns it into 784 pixel probabilities, coins as in equation (1), except that **the coins now depend on the code**, and through it on each other.
#
# The loss asks for two things: rebuild the image, and keep the clouds close to $\mathcal N(0, I)$, so that afterwards codes drawn from $\mathcal N(0, I)$ decode to new digits.


# %%
class SmallVAE(nn.Module):
    def __init__(self, d_z=16):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 2 * d_z))
        self.decoder = nn.Sequential(nn.Linear(d_z, 256), nn.ReLU(), nn.Linear(256, 784))


def vae_loss(model, x):
    x = x.flatten(1)  # (B, 784)
    mean, log_var = model.encoder(x).chunk(2, dim=1)  # (B, 16) each
    z = mean + (log_var / 2).exp() * torch.randn_like(mean)  # equation (4) with a diagonal L
    recon = F.binary_cross_entropy_with_logits(model.decoder(z), x, reduction="sum") / len(x)
    kl = 0.5 * (mean**2 + log_var.exp() - 1 - log_var).sum(1).mean()
    return {"loss": recon + kl, "recon": recon, "kl": kl}


# %% tags=["quiet"]
vae = SmallVAE().to(device)
batches = cu.Batches(digits.train, 128)
epoch = len(batches)  # 429 steps
codes36 = torch.randn(36, 16, generator=torch.Generator().manual_seed(0)).to(device)


def show_codes(step=0):
    """What the decoder makes of the 36 frozen codes: pixel probabilities (36, 28, 28)."""
    return vae.decoder(codes36).sigmoid().view(36, 28, 28)


looks = [k * epoch for k in (0, 1, 2, 5, 10, 20, 50, 100, 200)]  # as far as training goes
history = cu.fit(
    vae,
    vae_loss,
    batches,
    steps=2 * epoch,
    full=200 * epoch,
    log_every=epoch // 3,
    preview=show_codes,
    preview_at=looks,
)

# %% tags=["author"]
cu.ship(
    "00_replay",
    vae,
    history,
    what="a small network after 200 epochs (lesson 00)",
    replay=lambda: (np.stack(history.frames), np.array(history.frame_steps) // epoch),
    lesson="00_start_here",
)

# %%
yours36 = show_codes().detach()
cu.restore("00_replay", vae)  # from here on the shipped weights: the same cell, 200 epochs
shipped36 = show_codes().detach()

# %% tags=["figure"]
# @title Figure: the same 36 codes after a short and after a long training
fig, axes = plt.subplots(1, 2, figsize=(11, 5.8), layout="constrained")
cu.plots.image_grid(yours36, ax=axes[0]).set_title(f"trained here: {history.steps[-1]:,} steps")
cu.plots.image_grid(shipped36, ax=axes[1]).set_title("shipped: 200 epochs, 85,800 steps")
cu.show(
    fig,
    "The same 36 codes decoded after the training above, and after the long run of the same "
    "cell that ships with the course.",
)
frames, epochs = cu.runs.load("00_replay").replay
judge = cu.metrics.classifier()
with torch.no_grad():
    read = [
        judge(torch.tensor(frame)[:, None].to(device) / 255).argmax(1).cpu() for frame in frames
    ]
lines = []
for i in range(1, len(frames)):
    moved = np.abs(frames[i] / 255 - frames[i - 1] / 255).mean()
    others = int((read[i] != read[i - 1]).sum())
    lines.append([f"{epochs[i - 1]} → {epochs[i]}", f"{moved:.3f}", others])
cu.table(
    lines,
    ["epochs", "mean change of a pixel", "images (of 36) read as another digit"],
    "What changes between the frames of the slider; read by the course's classifier.",
)

# %% [markdown]
# Two passes over the data give soft digits, a hundred times as many give firm ones.
# The two panels show *different* digits for the same code: the trainings started from different random weights, and which code means which digit is settled by chance.
#
# The table measures what section 1 said of the late epochs.
# The last hundred epochs move a pixel by 0.032 on average, more than those from 2 to 5 (0.027), and the classifier reads 9 of the 36 images as another digit than before.
# So the network goes on changing; to the eye it does not get better.
#
# What is shown are the decoder's pixel probabilities, not coin tosses: averages again, hence the softness.
# Two remedies follow in Part I.
# One is to let a second network reject whatever looks averaged (lesson 05).
# The other is to draw in many small steps, each of which has little left to average over (lesson 06).
#
# **Bet on a replay.**
# The cell below shows the replays of lessons 04, 05 and 06 without names.
# Look at the first moment: what does an untrained model of each kind draw?
# (The replay of the variational autoencoder begins after 500 steps.)
# **Which is which?**

# %% tags=["figure", "slide"]
# @title Widget: three replays without names
bets = [run for run in learning if run.name in ("04_vae", "05_gan", "06_diffusion")]
bets = bets or [cu.runs.load("00_replay")]
shuffled = np.random.default_rng(1).permutation(len(bets))
bets = dict(zip("ABC", [bets[i] for i in shuffled]))
films = {}  # six moments each: (6, n, 28, 28)
for letter, run in bets.items():
    moments = np.linspace(0, len(run.replay[0]) - 1, 6).round().astype(int)
    films[letter] = run.replay[0][moments]
shares = [f"{k / 5:.0%} of the replay" for k in range(6)]


def three_films():
    """The static picture: six moments of each replay, four images a moment."""
    size = (10, 2.1 * len(films))
    fig, axes = plt.subplots(len(films), 1, figsize=size, squeeze=False)
    for (letter, film), ax in zip(films.items(), axes[:, 0]):
        cu.plots.film_strip([moment[:4] for moment in film], shares, ax=ax).set_ylabel(letter)
    return fig


together = []
for k in range(6):
    tiles = np.concatenate([film[k][:9] for film in films.values()])
    together.append(cu.plots.mosaic(tiles, rows=len(films)))
cu.scrub(
    together,
    shares,
    f"{len(films)} replays ({', '.join(films)} from above), six moments each. "
    "Which family learns like this?",
    static=three_films,
    label="moment",
)

# %% tags=["figure"]
# @title Table: the key to the replays
kinds = {
    "04_vae": "a variational autoencoder, pixels averaged (lesson 04)",
    "05_gan": "a generative adversarial network (lesson 05)",
    "06_diffusion": "a diffusion model (lesson 06)",
}
lines = [
    [letter, kinds.get(run.name, "a small network"), f"{run.card['steps']:,}"]
    for letter, run in bets.items()
]
cu.table(lines, ["replay", "model", "training steps"])

# %% [markdown]
# An untrained diffusion model removes nothing from its noise, an untrained GAN paints the same for every code, and the variational autoencoder's first digits are blurred.
# After that they look alike: in all three some squares turn into another digit on the way.
# *That* they learn is easy to see, *how well* is not, and lesson 07 needs a ruler for it.

# %% [markdown]
# ## 9 · How a lesson works, and your machine *(deeper)*
#
# A lesson opens with one sentence and ends with a failure that a later lesson repairs.
#
# - **Checks.**
#   An exercise is a function to fill in.
#   `cu.check` tests what it *does* (does it add up to one? is the covariance right?) and says what to look at.
#   If it is not there yet, the next cells use the course's own, so that "Run all" always works.
# - **Profiles.**
#   `live` is what you run.
#   `full` is what we ran, for hours, to make the shipped runs; `quick` only proves that every cell works.
# - **Runs.**
#   A trained model is a folder with a card: what, how, how long, how good.
#   `cu.restore("name", model)` loads one.
#   Yours go to `runs/`.
# - **The arena.**
#   Every model you meet leaves samples behind.
#   In lesson 07 they compete under the same rules, and you may enter your own.
#
# **Your machine.**
# The README has the measured minutes of every lesson on a laptop with two cores; the set-up cell of a lesson prints what yours has.
# If it is slow, close other notebooks (each holds memory and cores), plug in the charger, or open the notebook in Colab with the badge at its top.
# And you never *have* to train: after every training cell a lesson loads the weights of a long run of that same cell, and goes on from there.

# %% tags=["figure"]
# @title Table: the runs that ship with the course
lines = []
for run in cu.runs.available():
    seconds = run.card["seconds"]
    minutes = f"{seconds / 60:.0f}" if seconds else ""
    lines.append([run.name, run.card["what"], run.card["lesson"], minutes])
cu.table(
    lines,
    ["run", "what", "made by lesson", "minutes of training on a CPU"],
    "Runs that ship with the course.",
)

# %% [markdown]
# ## What you have seen *(core)*
#
# | you can | because you saw |
# |---|---|
# | say what a generative model is | a learned distribution over images, drawn from with 784 coins, then with $\mu + L\varepsilon$ |
# | fit, sample and score one | −206 nats for digits and for ghosts alike; dependence between pairs of pixels worth about 445 nats a digit |
# | explain the blur | a mean over right answers has less squared error than a draw, and far more grey |
# | read a likelihood with care | a blank page that beats all 10,000 test digits, and a shell that holds every draw but not the peak |
# | decide what is generative | fourteen systems, one question |
#
# **What breaks, and why.**
# Independent pixels draw dust: they know no pairs.
# One Gaussian draws smears: it knows pairs, has a single centre, and bleeds outside the grey scale.
# Its likelihood prefers the plain to the real, so a high number is no proof of quality.
#
# **Next.**
# [Lesson 01](01_discriminative_vs_generative.ipynb) gives the Gaussian a label: one per class, and it starts to classify, and to notice what a classifier cannot.
# The failure that stays is in section 3's draws at $r = 784$: one hill for ten digits.
# Lesson 02 puts up several.

# %% [markdown]
# ## Where this stands *(deeper)*
#
# **One word, several meanings.**
# In statistics a *generative* classifier models $p(x, y)$ and a *discriminative* one $p(y\mid x)$ (lesson 01); there drawing is not the point.
# In this course a generative model is a learned distribution that can be drawn from, and both uses agree wherever $p(x)$ is modelled.
# Models that can be drawn from but not evaluated, such as GANs, are called *implicit*; those with a density are *explicit* or *prescribed*.
#
# **Kinds of learning.**
# Supervised, unsupervised, semi-supervised and reinforcement learning say *from what* one learns; "generative" says *what*: a distribution.
# So the two words do not exclude each other: $p(x)$ is learned without labels, $p(x\mid \text{caption})$ from pairs.
# Lesson 20 (to come) measures what unlabelled data add to few labels, lesson 21 (to come) draws actions.
#
# **Likelihood is not quality.**
# Good samples with a poor likelihood and the reverse are both easy to construct (Theis et al., 2016).
# The blank page of section 4 is known from large models: flows trained on CIFAR-10 find house numbers likelier than their own training images (Nalisnick et al., 2019), and *typicality* was proposed as a test in place of density (Nalisnick et al., 2019b).
# Lesson 10b takes this up.
#
# **The price of a draw.**
# The factor of two in exercise 6 is one point of a curve: less distortion must cost realism, for any measure of distortion (Blau and Michaeli, 2018).
# Lesson 16 (to come) draws that curve.
#
# **A survey** of all families in one notation: Bond-Taylor et al. (2022).

# %% [markdown]
# ### References
#
# - Y. Blau, T. Michaeli, *The Perception-Distortion Tradeoff*, 2018.
# - S. Bond-Taylor et al., *Deep Generative Modelling: A Comparative Review*, 2022.
# - P. Dhariwal, A. Nichol, *Diffusion Models Beat GANs on Image Synthesis*, 2021.
# - I. Goodfellow et al., *Generative Adversarial Nets*, 2014.
# - J. Ho, A. Jain, P. Abbeel, *Denoising Diffusion Probabilistic Models*, 2020.
# - T. Karras et al., *Progressive Growing of GANs for Improved Quality, Stability, and Variation*, 2017; T. Karras, S. Laine, T. Aila, *A Style-Based Generator Architecture for Generative Adversarial Networks*, 2018.
# - D. Kingma, M. Welling, *Auto-Encoding Variational Bayes*, 2013.
# - E. Nalisnick et al., *Do Deep Generative Models Know What They Don't Know?*, 2019; *Detecting Out-of-Distribution Inputs to Deep Generative Models Using Typicality*, 2019b.
# - A. Radford, L. Metz, S. Chintala, *Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks*, 2015.
# - S. Ravuri et al., *Skilful precipitation nowcasting using deep generative models of radar*, 2021.
# - R. Rombach et al., *High-Resolution Image Synthesis with Latent Diffusion Models*, first version 2021.
# - L. Theis, A. van den Oord, M. Bethge, *A note on the evaluation of generative models*, 2016.
