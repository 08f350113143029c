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
import time

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
    cu.scrub(
        frames,
        [f"epoch {epoch}" for epoch in epochs],
        "36 images made by one network while it learned from 55,000 handwritten digits. "
        "An epoch is one pass over all of them. "
        "The 36 random codes the network starts from are the same in every frame.",
        label="training",
    )

# %% [markdown]
# ## 1 · What you will make *(core)*
#
# **At which epoch would you first have said "handwriting"?**
# At epoch 0 every image is the same grey noise.
# After one pass over the data there are soft strokes, after ten most images are some digit, and between epochs 100 and 200 one has to search for a change.
# Nobody told the network what a digit is, and nothing here was copied: each image is a random code, decoded.
# The last section trains the network before your eyes.
#
# That network is one family among several.
# In the next figure each row comes from another source: one row is handwriting that no model has seen, the others are made by models of this course.
# **Rank the rows from worst to best and say which one is real**, before you run the cell with the key.

# %% tags=["figure", "slide"]
# @title Figure: rows of seven images, one source a row
LETTERS = "ABCDEFGHIJKL"
rows = {"real digits from the test set": cu.mnist().test.sample(7, seed=1).x[:, 0].numpy()}
again = ("06_ancestral", "06_ddim")  # 06_diffusion's network again, by other samplers
once = [run for run in runs if run.name not in again]
entered = [run for run in once if run.card["samples"] or run.name == "00_replay"]
for run in entered[:11]:
    images = run.samples if run.card["samples"] else run.replay[0][-1]
    rows[run.card["what"]] = images[:7]
order = np.random.default_rng(4).permutation(list(rows))
tiles = np.concatenate([rows[what] for what in order])
ax = cu.plots.image_grid(tiles, rows=len(order), row_titles=LETTERS[: len(order)])
cu.show(
    ax.figure,
    f"{len(order)} rows of seven images. "
    "Each row has one source, and one of the sources is real.",
)

# %% tags=["figure"]
# @title Table: the key to the rows
cu.table([[letter, what] for letter, what in zip(LETTERS, order)], ["row", "source"])

# %% [markdown]
# Two rows are made in this lesson by models that fit into ten lines: **independent pixels** and **one Gaussian**.
# The **small network** is the one you scrubbed through.
# Lessons 02 to 06 add theirs (a mixture, an autoencoder, a variational autoencoder, a game between two networks, diffusion), and lesson 07 measures them all with the same ruler, because ranking by eye, as you just did, misses what matters in ways that we can prove.
#
# **After this lesson you can**
# - *say* what a generative model is and *decide* whether a system is one;
# - *fit, sample and score* the two simplest generative models of images, and *name* what separates them;
# - *explain* why a model that averages over right answers gives a blurred one;
# - *read off* how likely a model finds a digit you drew, and *say* why that number needs care;
# - *place* supervised, unsupervised, semi-supervised and reinforcement learning beside each other (deeper).
#
# **Builds on** one course in machine learning and Python.
#
# | letter | means | letter | means |
# |---|---|---|---|
# | $x$, $x_i$ | data: here one image as a vector of $d = 784$ pixels; pixel $i$ | $p_\text{data}$ | the distribution the data come from; unknown |
# | $\varepsilon$ | noise: standard normal, or uniform for coins | $p_\theta$ | a model of it with parameters $\theta$ |
# | $\mu, \Sigma$ | mean vector and covariance matrix | $z$ | latent: a hidden code behind $x$ (from lesson 02 on) |
# | $L$ | Cholesky factor: lower triangular, $LL^\top = \Sigma$ | log | natural logarithm: information in nats (1 nat = 1.44 bits) |

# %% [markdown]
# ### From a smear to a sentence in eight years
# What did machine-made faces and scenes look like over the years?
# **Before you look: in which year could a program first draw a face at the resolution of a screen?**

# %% tags=["figure"]
# @title Figure: seven milestones by year and image size
milestones = [
    (2014.45, 48, "GAN", "grey faces,\nsmeared like wet ink"),
    (2015.9, 64, "DCGAN", "bedrooms and faces,\nthumbnails that melt"),
    (
        2017.8,
        1024,
        "progressive growing",
        "celebrities who do not exist,\nsharp to the eyelash",
    ),
    (2018.95, 1024, "StyleGAN", "any face, with dials\nfor pose, hair, age"),
    (2020.45, 256, "diffusion (DDPM)", "churches, rooms and faces\ngrown out of noise"),
    (2021.35, 512, "guided diffusion", "dogs, shops, corals:\none model, 1,000 classes"),
    (2022.6, 512, "latent diffusion", "whatever scene\na sentence describes"),
]
fig, ax = plt.subplots(figsize=(10, 4.6))
for i, (year, side, name, words) in enumerate(milestones):
    colour = cu.plots.PALETTE["diffusion" in name]
    below = i not in (1, 2, 5)
    ax.plot(year, side, "o", color=colour, ms=9)
    ax.annotate(
        f"{name}\n{words}",
        (year, side),
        (0, -12 if below else 12),
        textcoords="offset points",
        ha="center",
        va="top" if below else "bottom",
        fontsize=10,
        color=colour,
    )
ax.set(xlabel="year", xlim=(2013.3, 2024), title="Sharp faces by 2017, any scene by 2022")
ax.set(ylabel="side of the image (pixels)", yscale="log", ylim=(10, 5000))
ax.set_yticks([28, 64, 256, 1024], ["28 (this course)", "64", "256", "1,024"])
ax.minorticks_off()
cu.show(
    fig,
    "Seven milestones by year and image size; blue: GANs, vermilion: diffusion. "
    "Papers: 2014 Goodfellow, 2015 Radford, 2017 and 2018 Karras, 2020 Ho, "
    "2021 Dhariwal and Nichol, 2022 Rombach, each with others.",
)

# %% [markdown]
# In 2017: from 48 pixels to 1,024 in three years, by one family, generative adversarial networks (lesson 05).
# Then the dots go *down*.
# Diffusion (lesson 06) started again at 256 pixels, and what grew was not the size but the range: first faces and churches, then a thousand classes in one model, then whatever a sentence says.
# We work at 28 pixels, where every method above trains in minutes to an hour and every one of its failures shows.

# %% [markdown]
# ## 2 · The first generative model *(core)*
#
# A generative model of images is a distribution $p_\theta(x)$ over images that we can draw from.
# The simplest one treats every pixel as a coin of its own.
# Count a pixel as ink ($x_i = 1$) if it is more than half dark, and let pixel $i$ be ink with probability $\theta_i$:
#
# $$p_\theta(x) = \prod_{i=1}^{784} \theta_i^{x_i} (1 - \theta_i)^{1 - x_i} \tag{1}$$
#
# What should $\theta_i$ be?
# If $n_i$ of $N$ images have ink at pixel $i$, the data have log-likelihood $n_i \log \theta_i + (N - n_i) \log(1 - \theta_i)$ in $\theta_i$.
# Its derivative $n_i/\theta_i - (N - n_i)/(1 - \theta_i)$ is zero at $\theta_i = n_i / N$: count, and divide.
# Some pixels have no ink in any training image, and $\theta_i = 0$ would call every image with ink there impossible.
# So we pretend to have seen two more images, one white and one black (Laplace's rule of succession):
#
# $$\theta_i = \frac{n_i + 1}{N + 2} \tag{2}$$
#
# To draw an image, toss the 784 coins.
# **Predict: what will these draws look like?**
# Every pixel will have ink exactly as often as in real digits.

# %%
n_train = cu.budget(55_000)
digits = cu.mnist()
x = digits.train[:n_train].flat()  # (N, 784) in [0, 1]
ink = (x > 0.5).float()  # (N, 784), 0 or 1
theta = (ink.sum(0) + 1) / (len(ink) + 2)  # (784,), equation (2)

coins = torch.rand(10_000, 784, generator=torch.Generator().manual_seed(0))
ghosts = (coins < theta).float()  # (10000, 784): pixel i is ink with probability θ_i


# %% tags=["figure", "slide"]
# @title Figure: the coins and what they draw
def heat(ax, values, title, label="", **style):
    """Draw 784 numbers as a map of the 28 × 28 pixels, with a colour bar if it has a label."""
    shown = ax.imshow(values.reshape(28, 28), **style)
    ax.set(xticks=[], yticks=[], title=title)
    ax.grid(False)
    ax.spines[:].set_visible(False)
    if label:
        ax.figure.colorbar(shown, ax=ax, label=label, shrink=0.8)
    return shown


fig, (left, right) = plt.subplots(
    1, 2, figsize=(10, 4), width_ratios=[1, 1.9], layout="constrained"
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
# Ghosts: dust in the shape of the average digit.
# There is the right amount of ink in the right region, and not one stroke.
# How bad is that, as a number?
# We need the probability that the model gives to an image.
# Multiplying 784 probabilities is hopeless in floating point, as you will see, so take the logarithm of (1):
#
# $$\log p_\theta(x) = \sum_{i=1}^{784} \big[\, x_i \log \theta_i + (1 - x_i) \log(1 - \theta_i) \,\big] \tag{3}$$
#
# **Exercise 1 (core).**
# Write equation (3) for a whole batch of images.
# (Why log-space: Card 3 of the [toolbox](A_toolbox.ipynb).
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


# %%
checked_log_lik = cu.check("00.pixels", log_lik_pixels)

# %% [markdown]
# With it we can ask the model what it thinks of real digits and of its own ghosts.
# **Predict: which of the two does it find more likely, and by how much?**

# %%
test_ink = (digits.test.flat() > 0.5).float()
of_train = checked_log_lik(ink, theta).mean()
of_test = checked_log_lik(test_ink, theta).mean()
of_ghosts = checked_log_lik(ghosts, theta).mean()
of_any = -784 * math.log(2)  # fair coins give every image the same

product = torch.where(test_ink > 0.5, theta, 1 - theta).prod(dim=1)  # (10000,), equation (1)
underflown = 100 * (product == 0).float().mean()
cu.facts("test digits whose product (1) is exactly 0 in float32, %", underflown, digits=4)

# %% tags=["figure", "slide"]
# @title Table: mean log-likelihood of four kinds of images
cu.table(
    [
        ["fair coins, any image", of_any],
        ["training digits", of_train],
        ["test digits", of_test],
        ["the model's own ghosts", of_ghosts],
    ],
    ["images", "mean log-likelihood (nats)"],
    digits=1,
)

# %% [markdown]
# Nobody would confuse a ghost with a digit, except the model: it gives both the same −206 nats.
# This is no accident.
# Equation (3) is a constant plus $\sum_i x_i \log\frac{\theta_i}{1-\theta_i}$, so its mean over a set of images depends only on how often each pixel is ink in that set, and that is what we copied from the data.
# **A model judges by what it looks at, and this one looks at pixels one at a time.**
# It did learn something: fair coins would score −543.
# But it did not learn what makes a stroke: that ink has ink beside it.
#
# That can be measured.
# Take one pixel, and correlate it with every other pixel, across images.
# **Predict the map** for a pixel in the middle, in real digits and in ghosts.


# %%
def correlation_map(images, row, column):
    """Correlation of one pixel with every pixel, across images (N, 784): (784,)."""
    centred = images - images.mean(0)
    pixel = centred[:, 28 * row + column]  # (N,)
    together = pixel @ centred / len(images)  # (784,): covariance with every pixel
    return together / (centred.std(0) * pixel.std()).clamp(min=1e-2)


pixels = [(14, 14), (8, 18), (20, 10)]
maps = {f"digits, pixel {pixel}": correlation_map(ink, *pixel) for pixel in pixels}
maps["ghosts, pixel (14, 14)"] = correlation_map(ghosts, 14, 14)

# %% tags=["figure", "slide"]
# @title Figure: correlation of one pixel with all others
crosses = [*pixels, (14, 14)]
fig, axes = plt.subplots(1, 4, figsize=(11, 3.3), layout="constrained")
for ax, (title, corr), (r, c) in zip(axes, maps.items(), crosses):
    shown = heat(ax, corr, title, cmap="RdBu_r", vmin=-1, vmax=1)
    ax.plot(c, r, "kx")
fig.colorbar(shown, ax=axes, label="correlation", shrink=0.8)
cu.show(
    fig,
    "Correlation of one pixel (cross) with all others. "
    "In digits it spreads along strokes; in ghosts there is none.",
)
neighbours = [corr[28 * r + c + 1] for corr, (r, c) in zip(maps.values(), crosses)]
cu.table(
    [[title, corr] for title, corr in zip(maps, neighbours)],
    ["images and pixel", "correlation with its right-hand neighbour"],
    digits=2,
)

# %% [markdown]
# In digits ink at the cross makes ink beside it likely (red, the shape of a stroke) and ink a stroke's width away unlikely (blue: where one line runs, the paper next to it stays white).
# In ghosts there is a single red dot: the pixel itself.
# **What is missing is the dependence between pixels.**
# Finding ways to express dependence among hundreds of variables is the reason for the rest of the course.

# %% [markdown]
# ## 3 · From ghosts to digits *(core)*
#
# The mildest way to add dependence: one Gaussian over all 784 pixels, with the mean $\mu$ and the covariance matrix $\Sigma$ of the data (grey values now, not ink or paper).
# Row $i$ of $\Sigma$ is a map like those above, before the division.
# To draw from it, find a matrix $L$ with $LL^\top = \Sigma$ and push white noise through it:
#
# $$x = \mu + L \varepsilon, \qquad \varepsilon \sim \mathcal N(0, I) \tag{4}$$
#
# This has the right mean, and the right covariance, since $\mathbb E[L\varepsilon(L\varepsilon)^\top] = L\, \mathbb E[\varepsilon\varepsilon^\top] L^\top = LL^\top = \Sigma$; and a linear map of a Gaussian is Gaussian.
# The usual choice is the **Cholesky factor**: the one lower-triangular $L$ with a positive diagonal.
# (Gaussians in $d$ dimensions: Card 4 of the [toolbox](A_toolbox.ipynb).)
# It exists if $\Sigma$ is positive definite, and here it does not exist yet:

# %%
mean = x.mean(0)  # (784,)
cov = torch.cov(x.T)  # (784, 784)
try:
    torch.linalg.cholesky(cov)
except torch.linalg.LinAlgError as error:
    print(f"Cholesky fails: {str(error).split(': ')[-1]}")
never_ink = (cov.diagonal() == 0).sum()
cu.facts("images", len(x), "pixels (of 784) white in all of them: variance 0", never_ink)
cov = cov + 1e-4 * torch.eye(784)  # a floor: each pixel gets noise of its own, std 0.01

# %% [markdown]
# A pixel that never varies makes $\Sigma$ singular.
# Adding $10^{-4} I$ gives each pixel noise of its own, a hundredth of the grey scale, too little to see.
#
# **Exercise 2 (core).**
# Write equation (4) for a batch.
# The noise comes in as an argument: with the same noise, other covariances can then be compared.


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


# %%
checked_sample = cu.check("00.cholesky", sample_gaussian)

# %% [markdown]
# Now a dial between the two models.
# Let $\Lambda_r$ hold the $r$ largest eigenvalues of $\Sigma$ and $U_r$ their eigenvectors: $U_r \Lambda_r U_r^\top$ is what principal component analysis with $r$ components keeps of the covariance.
# Put the variance that is left back on the diagonal:
#
# $$\Sigma_r = U_r \Lambda_r U_r^\top + \operatorname{diag}\!\big(\Sigma - U_r \Lambda_r U_r^\top\big) \tag{5}$$
#
# At $r = 0$ this is $\operatorname{diag}(\Sigma)$: independent pixels again, in grey.
# At $r = 784$ it is $\Sigma$.
# In between **every pixel keeps exactly its mean and its variance**; only the dependence is dialled in.
#
# A likelihood tells what the dial is worth.
# With $\varepsilon = L^{-1}(x - \mu)$, the noise that would have made $x$,
#
# $$\log p(x) = -\tfrac12 \sum_i \varepsilon_i^2 - \sum_i \log L_{ii} - \tfrac d2 \log 2\pi \tag{6}$$
#
# because $(x-\mu)^\top \Sigma^{-1} (x-\mu) = \|L^{-1}(x-\mu)\|^2$ and $\log\det\Sigma = 2 \sum_i \log L_{ii}$ for a triangular $L$.


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
score = {r: invert_gaussian(test, mean, covs[r])[1].mean().item() for r in ranks}

# the dial ends at independent pixels and at Σ, and no variance moves on the way
assert torch.equal(covs[0], torch.diag(cov.diagonal()))
assert torch.allclose(covs[784], cov, atol=1e-4)
assert all(torch.allclose(covs[r].diagonal(), cov.diagonal(), atol=1e-5) for r in ranks)

# equation (6) against PyTorch's own, in double precision
some = test[:50].double()
trusted = torch.distributions.MultivariateNormal(mean.double(), cov.double())
log_density = invert_gaussian(some, mean.double(), cov.double())[1]
assert torch.allclose(log_density, trusted.log_prob(some))

# %% [markdown]
# The same twenty-four ghosts, the same noise, and the slider turns up the dependence.
# **Predict: at which $r$ do you recognise the first digit?**
# In class, raise your hand when you do.


# %% tags=["figure", "slide"]
# @title Widget: the same noise, more and more dependence
def condense(r):
    """Draw the samples at rank r beside the likelihood that dependence has gained so far."""
    fig, (left, right) = plt.subplots(1, 2, figsize=(10.5, 4.1), width_ratios=[1.75, 1])
    cu.plots.image_grid(draws[r][:24].view(-1, 28, 28), rows=3, ax=left)
    left.set_title(f"Σ keeps r = {r} of 784 principal components")
    gains = [score[k] - score[0] for k in ranks]
    right.plot(range(len(ranks)), gains, "o-", color=cu.plots.PALETTE[0])
    right.plot(ranks.index(r), score[r] - score[0], "o", ms=14, color=cu.plots.PALETTE[1])
    right.set_xticks(range(len(ranks)), ranks)
    right.set(xlabel="r", ylabel="gain over r = 0 (nats per test digit)")
    return fig


def all_ranks():
    """The static picture: the same noise at every rank."""
    first = torch.cat([draws[r][:14] for r in ranks]).view(-1, 28, 28)
    names = [f"r = {r}" for r in ranks]
    return cu.plots.image_grid(first, rows=len(ranks), row_titles=names).figure


cu.explore(
    condense,
    "Draws from N(μ, Σ_r). Each column is one noise vector ε, at ranks 0 to 784: "
    "every pixel keeps its mean and its variance, only the dependence grows.",
    r=ranks,
    play=True,
    static=all_ranks,
)

# %% tags=["figure"]
# @title Table: log-likelihood at every rank
cu.table(
    [[r, score[r], score[r] - score[0]] for r in ranks],
    ["r", "mean log-likelihood of test digits (nats)", "gain over r = 0"],
    digits=0,
)

# %%
gain = score[784] - score[0]
drawn = draws[784]
outside = 100 * ((drawn < 0) | (drawn > 1)).float().mean()
own = invert_gaussian(drawn, mean, cov)[1].mean()
cu.facts(
    {
        "what dependence is worth, nats a digit": gain,
        "the same, bits a digit": gain / math.log(2),
        "pixels it draws outside the grey scale (shown clipped), %": outside,
        "mean log-likelihood of its own draws, nats": own,
        "mean log-likelihood of real test digits, nats": score[784],
    }
)

# %% [markdown]
# With one component a column or two turns into a ring: the first principal component says "0 or not".
# By $r = 20$ most columns hold strokes, some of them digits; from 100 to 784 the eye sees nothing new, yet the likelihood gains another 130 nats from fine grain.
# In all, telling the model how pixels go together in pairs is worth **about 445 nats a digit**: on average it finds a test digit $e^{445}$ times as probable (as a density) as the model with the same means and variances and no dependence.
# That number is what this lesson is about.
#
# And still: nobody would call the last row handwriting.
# A Gaussian knows *pairs* of pixels and nothing more.
# It has one mean, so it cannot hold ten separate shapes: each draw is a little of everything, a 3 dissolving into an 8.
# It cannot say "either ink or paper": four in ten of its pixel values fall outside the grey scale.
# And again the judge is blind to what we see at once: real digits score higher than its own draws, 1,286 against 1,182, yet only because their margins are truly white, while its own carry the noise of the floor.
# Lesson 02 repairs the first defect with several Gaussians and a hidden choice among them.


# %% tags=["author"]
def ship_draws(name, what, draws):
    """Ship a thousand draws, measured on five thousand with the ruler of lessons 03 to 07."""
    images = cu.to_uint8(draws[:5_000].clamp(0, 1).view(-1, 28, 28))

    def figures():
        distance = cu.metrics.quality(images).distance  # Card 7 of the toolbox
        return {"Fréchet distance": (distance, 0.02 * distance)}

    cu.ship(name, what=what, figures=figures, samples=images[:1_000], lesson="00_start_here")


ship_draws("00_pixels", "independent pixels (lesson 00)", ghosts)
ship_draws("00_gaussian", "one Gaussian (lesson 00)", draws[784])

# %% [markdown]
# Both models enter the **arena** of lesson 07, where all models of the course compete: how to draw from them, what one training step is (here a single pass over the digits), and how many numbers one must keep.


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
# It is kept, and travels with you: in lesson 02 half of it is hidden and completed, in lesson 04 it gets ten other labels in your handwriting, in lesson 06 a scribble of yours is turned into a digit.

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
# **Predict the order under the Gaussian: your digit, the typical real digit, the blank page, the average digit.**

# %%
yours = my_digit.flatten(1).float() / 255  # (1, 784)
pen = torch.tensor([[1.0, 2.0, 1.0]]) / 4
kernel = (pen.T @ pen)[None, None]  # (1, 1, 3, 3)
softened = F.conv2d(digits.test.float(), kernel, padding=1)  # as if drawn with a soft pen

by_coins = checked_log_lik(test_ink, theta)  # (10000,) each
by_gaussian = invert_gaussian(test, mean, cov)[1]
soft_by_gaussian = invert_gaussian(softened.flatten(1), mean, cov)[1]

# %% [markdown]
# Against these we hold your digit and the three images that nobody drew.

# %%
entries = {
    "your digit": yours,
    "a blank page": torch.zeros(1, 784),
    "the average digit": mean[None],
    "coin tosses": torch.bernoulli(torch.full((1, 784), 0.5)),
}
coin_scores = {"the typical test digit (median)": by_coins.median()}
gaussian_scores = {"the typical test digit (median)": by_gaussian.median()}
for name, image in entries.items():
    coin_scores[name] = checked_log_lik((image > 0.5).float(), theta)
    gaussian_scores[name] = invert_gaussian(image, mean, cov)[1]


def beaten(score, scores):
    """The percentage of `scores` (N,) that are below `score`."""
    return 100 * (scores < score).float().mean()


# %% tags=["figure", "slide"]
# @title Table: how likely the two models find each entry
beats = {}
for name, log_p in gaussian_scores.items():
    by_pixels = beaten(coin_scores[name], by_coins)
    beats[name] = [by_pixels, beaten(log_p, by_gaussian), beaten(log_p, soft_by_gaussian)]
cu.table(
    [[name, log_p.item(), *beats[name]] for name, log_p in gaussian_scores.items()],
    [
        "image",
        "Gaussian: log p (nats)",
        "pixels: beats % of test digits",
        "Gaussian: beats % of test digits",
        "of softened test digits",
    ],
    digits=1,
)
cu.facts(
    {
        "your digit beats, % of test digits: independent pixels": beats["your digit"][0],
        "the Gaussian": beats["your digit"][1],
        "the Gaussian, against test digits drawn with a soft pen": beats["your digit"][2],
    }
)

# %%
my_ink = (yours > 0.5).float()
as_drawn = torch.where(my_ink > 0.5, theta, 1 - theta)  # (1, 784): probability of each pixel
coin_cost = -as_drawn.log()  # (1, 784): minus the terms of equation (3)
my_eps = invert_gaussian(yours, mean, cov)[0]  # (1, 784)
gaussian_cost = my_eps**2 / 2  # (1, 784): minus the terms of equation (6) that depend on x

test_eps = invert_gaussian(test, mean, cov)[0]  # (10000, 784)
size = test_eps.square().mean(1).sqrt()  # (10000,): root mean square of the noise
peak = by_gaussian > 1480
cu.facts(
    {
        "noise behind your digit, root mean square": my_eps.square().mean().sqrt(),
        "noise behind a test digit, median": size.median(),
        "noise behind the Gaussian's own draws": 1,
        "noise behind the average digit": 0,
        "test digits above 1,480 nats": peak.sum(),
        "ones among them": (digits.test.y[peak] == 1).sum(),
    },
    digits=2,
)

# %% tags=["figure", "slide"]
# @title Figure: what each pixel of your digit costs
widths = [1, 1.2, 1.2, 1.5]
fig, axes = plt.subplots(1, 4, figsize=(12.5, 3.4), width_ratios=widths, layout="constrained")
cu.plots.image_grid(my_digit, ax=axes[0], note=False).set_title("your digit")
heat(axes[1], coin_cost, "cost of a pixel: coins", "nats", cmap="viridis", vmin=0)
heat(axes[2], gaussian_cost, "cost: Gaussian", "ε² / 2 (nats)", cmap="viridis", vmin=0)
axes[3].hist(by_gaussian.clamp(min=200).numpy(), bins=60, color=cu.plots.PALETTE[4])
for name, colour in zip(["your digit", "a blank page"], cu.plots.PALETTE[1:3]):
    axes[3].axvline(gaussian_scores[name].item(), color=colour, label=name)
axes[3].set(xlabel="log-likelihood (nats)", ylabel="test digits", title="under the Gaussian")
axes[3].legend(loc="upper left", fontsize=9)
cu.show(
    fig,
    "A drawn digit, what each of its pixels costs under independent pixels and under the "
    "Gaussian, and its log-likelihood beside those of the 10,000 test digits "
    "(values below 200 collected at 200).",
)
lines = []
for name, cost in [("coins", coin_cost), ("Gaussian", gaussian_cost)]:
    top = cost.view(-1).topk(4)
    places = [f"({i // 28}, {i % 28})" for i in top.indices.tolist()]
    lines.append([name, *(f"{at}: {c:.1f}" for at, c in zip(places, top.values))])
cu.table(
    lines,
    ["model", "dearest", "second", "third", "fourth"],
    "The dearest pixels (row, column) of your digit, and their cost in nats.",
)

# %% [markdown]
# Under coins the bill is clear: you pay where you put ink and few people do, here the start of the lower hook.
# Each pixel is billed alone.
# The Gaussian bills each pixel *given those above it and to its left*: since $L$ is lower triangular, $\varepsilon_i$ depends on $x_1, \dots, x_i$ only, and (6) is the chain rule $\log p(x) = \sum_i \log p(x_i \mid x_1, \dots, x_{i-1})$.
# (Lesson 09 builds a whole family on it.)
# There a stroke costs where it starts or turns, and little where it goes on.
#
# Now the table.
# If your drawing is like ours, the Gaussian ranks it above 99 % of real handwriting, in the company of the ones: they are the second peak on the right of the histogram, and the plainest digits.
# **Before you celebrate: the blank page beats you, and all 10,000 test digits.**
# The average digit beats everything, and no draw ever looks like it.
# Two lessons hide in that:
#
# - *A density peaks where the noise is zero, but draws are never there.*
#   In 784 dimensions $\|\varepsilon\|^2$ is $784 \pm 40$: typical is not most likely.
# - *A likelihood rewards what is easy to predict.*
#   Your strokes come from a smooth pen, real ones carry grain from ink and scanner, and grain costs nats.
#   Soften the test digits with a 3 × 3 pen and the comparison is fair: that is the last column, and the number to tell your neighbour.
#   Lesson 01 catches the same trap when a likelihood is asked to notice strangers.

# %% [markdown]
# ## 5 · How to spot a generative model *(core)*
#
# Two signs, from practice:
#
# 1. the output lives in the same space as the training samples (images in, images out);
# 2. the output has more dimensions than the input (a label in, a picture out).
#
# They are quick and often right.
# They fail on **denoising** (same space, but the usual denoiser computes one best guess), on **segmentation** (a label for every pixel: more numbers come out than went in, yet there is one right answer) and on **translation** (the output is no larger than the input, yet a sentence has many good translations and the program writes one of them).
# What decides is a pair of questions:
#
# > **Are there many right answers, and does the system draw one of them?**
#
# The second half matters.
# Suppose there are many right answers $x$ to a question $c$ and a network $f$ is trained to give the smallest squared error.
# For each $c$ it minimises $\mathbb E\big[\|f(c) - x\|^2 \mid c\big]$.
# Write $m = \mathbb E[x \mid c]$ and split $f - x = (f - m) + (m - x)$: the cross term vanishes, and $\mathbb E\|f-x\|^2 = \|f-m\|^2 + \mathbb E\|m-x\|^2$.
# The best $f$ is $m$, **the average of all right answers**, which need not be one of them.
#
# In miniature: a digit whose right half is hidden.
# The twenty training digits whose left halves fit best provide twenty plausible right halves.
# **Predict: what does their average look like, and which has the smaller squared error from the truth, the average or a single plausible answer?**

# %%
given = torch.arange(784) % 28 < 14  # (784,), True on the left half


def complete(query, k=20):
    """The k best completions (N, k, 784) of query (N, 784), whose left half counts, in x."""
    distance = torch.cdist(query[:, given], x[:, given])  # (N, number of training images)
    found = x[distance.topk(k, largest=False).indices]  # (N, k, 784)
    found[:, :, given] = query[:, None, given]  # keep what was given
    return found


query = test[[18, 61, 115]]
found = complete(query)  # (3, 20, 784)

# %% tags=["figure", "slide"]
# @title Figure: three half digits, draws and averages
seen = torch.where(given, query, 0.5)
average = found.mean(1, keepdim=True)
parts = [seen[:, None], found[:, :5], average, query[:, None]]
columns = torch.cat(parts, dim=1)  # (3, 8, 784)
titles = ["given", "draw 1", "2", "3", "4", "5", "average", "truth"]
ax = cu.plots.image_grid(columns.reshape(-1, 28, 28), rows=3, titles=titles, note=False)
cu.show(
    ax.figure,
    "Three test digits with the right half hidden (grey), five plausible completions each, "
    "the average of twenty, and the truth.",
)

# %%
n_queries = cu.budget(500)
query = test[:n_queries]
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
        "error of the average / error of a draw": error["average of 20"] / error["one draw"],
        "grey of the average / grey of the truth": grey["average of 20"] / grey["truth"],
    },
    digits=2,
)

# %% tags=["figure"]
# @title Table: squared error and grey of a draw and of the average
cu.table(
    [[name, error[name], grey[name]] for name in answers],
    ["answer", "mean squared error", "grey pixels (%)"],
    f"{len(query)} test digits, right halves.",
)

# %% [markdown]
# The average wins on squared error, nearly by half, and it is the only answer that no human wrote: blur where the plausible answers disagree.
# A draw is worse on average *because* it commits; a model that drew perfectly would have exactly twice the error of the perfect average.
# A super-resolver trained on squared error is this average machine, a regression however photographic its output.
# **Blur is what a mean over right answers looks like**; you will meet it again in every autoencoder.
#
# Now sort fourteen systems.
# In class: thumbs up for *generative*, before the feedback.

# %% tags=["figure", "slide"]
# @title Quiz: fourteen systems
YES, NO = "generative", "not generative"
systems = {
    "A spam filter": NO,
    "A super-resolver trained on squared error": NO,
    "Image captioning": YES,
    "Text-to-speech": YES,
    "A colouriser that gives a different plausible colouring at every run": YES,
    "Machine translation": YES,
    "Object detection": NO,
    "Code completion": YES,
    "Fraud detection": NO,
    "Inpainting, a hole in a photograph filled anew at every click": YES,
    "Protein design: sequences that fold into a wanted shape": YES,
    "A chess engine's move": NO,
    "Face unlock": NO,
    "A chatbot": YES,
}
reasons = [
    "One right answer for a mail. Both signs agree: a mail goes in, one bit comes out.",
    "Many sharp images fit, but it returns their average. Sign 1 and sign 2 are both fooled. "
    "Trained as in lessons 05 or 06 it would draw one, and be generative.",
    "Many captions are right and the system writes one. "
    "Sign 2 is fooled: a caption is smaller than its image.",
    "One text can be said in many voices, speeds and moods; the system utters one.",
    "A grey car may be red or blue, and it draws. "
    "With squared error all cars come out brown: regression.",
    "Many good translations; one is drawn, or searched for, from p(sentence given sentence). "
    "Sign 2 is fooled.",
    "Where the pedestrians are has one right answer, however many boxes come out.",
    "Many continuations are right; one is written, and a second click gives another.",
    "One decision a payment. "
    "A density p(x) may hide inside as a score, but nothing is drawn from it.",
    "Many fillings fit, and each click draws one.",
    "Many sequences fold alike; designers ask for a thousand different ones.",
    "It searches for the best move; between equally good ones it does not care. "
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
# Lessons 00 and 01 and the toolbox are here; the others follow in the order of their numbers.
#
# | input → output | example | lesson | part |
# |---|---|---|---|
# | low → high resolution | a satellite image, an old film | 16 inverse problems | IV |
# | image with a hole → completed image | a scratch, a tourist removed | 02 (exactly), 06, 16 | I, IV |
# | noisy → clean | a night photograph, a CT scan at low dose | 03, 16 | I, IV |
# | grey → colour | a film of 1930 | 17 image translation | IV |
# | image → caption | a photograph described to a blind person | 15 text to image, both ways | III |
# | image → animation | a portrait that nods | 21 shapes, motion, actions | IV |
# | text → image | an illustration | 15 | III |
# | text → speech | a navigation voice | 19 sound | IV |
# | past observations → actions | a robot arm that learned from watching | 21 | IV |
# | label → image | "draw me a 7" | [01](01_discriminative_vs_generative.ipynb), 04, 12 | I, III |
#
# Outputs are not the only reason.
# To draw from $p_\theta(x)$ one must have learned something about $x$, and that can be used without drawing anything.
# **Understanding data:** which hidden causes explain it (02, 03, 04)?
# **Imputation:** what stands in the missing cells of a survey (02, 20)?
# **Augmentation:** more examples of a rare class (20).
# **Design:** molecules with a property nobody has measured yet (21).
# And because what can draw faces can draw *yours*: **responsibility** (22).

# %% [markdown]
# ## 7 · Where we are *(deeper)*
#
# Two minutes of map.
# *Artificial intelligence* is any program that does what seems to need intelligence.
# *Machine learning* is the part that learns from examples.
# *Deep learning* is the part of that which learns through many layers of features.
# **Place these on the map before you look:** voice assistants, recommenders, knowledge graphs, rule engines, random forests, convolutional networks (CNN), recurrent networks (RNN), deep belief nets.

# %% tags=["figure"]
# @title Figure: a map of the field
fig, ax = plt.subplots(figsize=(10, 4.4))
rings = [
    ("artificial intelligence", (5.0, 2.5), 10, 4.9, "#f3f3f3"),
    ("machine learning", (5.9, 2.3), 7.7, 3.9, "#dbeaf4"),
    ("deep learning", (7.1, 2.05), 4.9, 2.7, "#b3d4ea"),
]
for name, centre, width, height, shade in rings:
    ellipse = plt.matplotlib.patches.Ellipse(centre, width, height, fc=shade, ec="#555555")
    ax.add_patch(ellipse)
    top = centre[1] + height / 2 - 0.25
    ax.text(centre[0], top, name, ha="center", va="top", weight="bold")
places = {
    "rule engines": (1.0, 2.9),
    "knowledge graphs": (1.1, 2.2),
    "random forests": (3.2, 3.0),
    "recommenders": (3.35, 1.5),
    "CNN, RNN,\ndeep belief nets": (7.1, 2.55),
    "voice assistants": (4.75, 0.75),
    "one Gaussian,\nGaussian mixtures": (3.35, 2.25),
    "VAE, GAN, diffusion,\nlanguage models": (7.1, 1.5),
}
for name, (a, b) in places.items():
    colour = cu.plots.PALETTE[1] if name.startswith(("one", "VAE")) else "black"
    ax.text(a, b, name, ha="center", va="center", fontsize=11, color=colour)
ax.set(xlim=(-0.1, 10.1), ylim=(0, 5))
ax.axis("off")
cu.show(
    fig,
    "Artificial intelligence contains machine learning contains deep learning. "
    "Generative models (vermilion) live in both inner rings.",
)

# %% [markdown]
# Rule engines and knowledge graphs are artificial intelligence without learning: people write every rule and every fact.
# Random forests learn, from features that people choose.
# A recommender may be as plain as a matrix factorisation or as deep as you like.
# A voice assistant is a product, not a method: deep networks hear and speak, rules and knowledge graphs answer.
# The generative models of this course lie on both sides of the inner line; those of section 2 and 3 have no layers at all.

# %% [markdown]
# ## 8 · Kinds of learning *(deeper)*
#
# Four kinds, told apart by **what the learner is given**: inputs with answers, inputs alone, inputs of which few have answers, or a world that pays rewards.
# A live example of each, on the 1,797 digits of 8 × 8 pixels that come with scikit-learn.
# First **supervised** learning: a class to name (*classification*), a number to estimate (*regression*: each digit is turned by a random angle, and the angle is to be read off).

# %%
from scipy.ndimage import rotate
from sklearn import datasets, linear_model, svm

small = datasets.load_digits()
features = small.data / 16  # (1797, 64) in [0, 1]
labels = small.target  # (1797,)
classifier = linear_model.LogisticRegression(max_iter=500).fit(features[:900], labels[:900])
guess = classifier.predict(features[900:])

angles = np.random.default_rng(0).uniform(-40, 40, len(features))
pairs = zip(small.images / 16, angles)
turned = np.stack([rotate(image, angle, reshape=False, order=1) for image, angle in pairs])
turned = turned.reshape(-1, 64)
regressor = svm.SVR(C=1000).fit(turned[:900], angles[:900])
read = regressor.predict(turned[900:])
cu.facts(
    {
        "classification: right, %": 100 * classifier.score(features[900:], labels[900:]),
        "regression: off on average, degrees": np.abs(read - angles[900:]).mean(),
        "regression: R²": regressor.score(turned[900:], angles[900:]),
    }
)

# %% tags=["figure"]
# @title Figure: errors of the classifier, answers of the regression
fig, (left, right) = plt.subplots(1, 2, figsize=(10.5, 3.8), width_ratios=[1.3, 1])
wrong = np.flatnonzero(guess != labels[900:])[:10]
tiles = features[900:][wrong].reshape(-1, 8, 8)
titles = [f"{labels[900:][i]} → {guess[i]}" for i in wrong]
cu.plots.image_grid(tiles, rows=2, ax=left, note=False, titles=titles)
left.set_title("ten digits it gets wrong: truth → answer", pad=22)
right.plot([-40, 40], [-40, 40], color="#999999")
cu.plots.scatter(np.c_[angles[900:], read], ax=right, s=8)
right.set(xlabel="true angle (degrees)", ylabel="estimate (degrees)", title="regression")
cu.show(
    fig,
    "Supervised learning on 897 unseen digits. Left: errors of logistic regression. "
    "Right: angle read off by a support vector machine.",
)

# %% [markdown]
# Both learn a function from input to answer, and each input has one right answer: by the test of section 5, neither is generative.
#
# **Unsupervised** learning gets the images alone.
# *Clustering* asks for groups.
# Four answers, in the space of 20 principal components; the adjusted Rand index compares the groups with the labels that the algorithms never saw (1: the same groups, 0: chance).
# k-means wants round groups of equal size, a Gaussian mixture lets each have its own shape, mean shift climbs the hills of the density, and spectral clustering cuts a graph of neighbours.
# **Which one finds the ten digits best?**

# %%
from sklearn import cluster, decomposition, metrics, mixture

space = decomposition.PCA(20, random_state=0).fit_transform(features)  # (1797, 20)
methods = {
    "k-means": lambda seed: cluster.KMeans(10, n_init=5, random_state=seed),
    "Gaussian mixture": lambda seed: mixture.GaussianMixture(
        10, reg_covar=1e-2, n_init=3, random_state=seed
    ),
    "spectral": lambda seed: cluster.SpectralClustering(
        10, affinity="nearest_neighbors", random_state=seed
    ),
    "mean shift": lambda seed: cluster.MeanShift(bandwidth=1.3, bin_seeding=True),
}
n_seeds = cu.budget(5)
groups = {}
rand_index = {}
for name, make in methods.items():
    seeds = range(1 if name == "mean shift" else n_seeds)  # mean shift draws nothing at random
    groups[name] = [make(seed).fit_predict(space) for seed in seeds]
    rand_index[name] = [metrics.adjusted_rand_score(labels, group) for group in groups[name]]

# %% tags=["figure"]
# @title Table: four ways to cluster ten digits
lines = []
for name, found in groups.items():
    index = rand_index[name]
    lines.append([name, len(set(found[0])), np.mean(index), np.std(index)])
cu.table(
    lines,
    ["method", "groups", "adjusted Rand index, mean", "standard deviation over seeds"],
)

# %% [markdown]
# The mixture beats k-means on every seed (0.75 to 0.88 against 0.65 to 0.67), although the seed decides which clusters it finds; spectral clustering is nearly as good, and steady.
# Mean shift settles the number of groups by its bandwidth: 25 here, six at 1.8, a single one at 2.0.
#
# *Dimension reduction* asks for few numbers instead of groups.
# PCA keeps the directions of largest variance, factor analysis keeps what pixels share and leaves each its own noise, t-SNE keeps neighbours together.
# **How many of ten digits can be named from just two numbers?**

# %%
from sklearn import manifold, neighbors

rounds = cu.budget(1_000, 250)  # t-SNE refuses fewer than 250
pca = decomposition.PCA(2, random_state=0)
factors = decomposition.FactorAnalysis(2, random_state=0, max_iter=rounds)
tsne = manifold.TSNE(2, random_state=0, max_iter=rounds)
codes = {
    "PCA": pca.fit_transform(features),
    "factor analysis": factors.fit_transform(features),
    "t-SNE": tsne.fit_transform(features),
}


def recognised(code):
    """The share of digits named by their five nearest neighbours, over five held-out fifths."""
    fold = np.arange(len(code)) % 5
    shares = []
    for k in range(5):
        model = neighbors.KNeighborsClassifier(5).fit(code[fold != k], labels[fold != k])
        shares.append(model.score(code[fold == k], labels[fold == k]))
    return np.mean(shares)


named = {name: recognised(code) for name, code in codes.items()}

# %% tags=["figure"]
# @title Figure: digits in two dimensions by three methods
fig, axes = plt.subplots(1, 3, figsize=(11.5, 4.1), layout="constrained")
box = {"fc": "white", "alpha": 0.7, "ec": "none", "pad": 1}
style = {"weight": "bold", "fontsize": 14, "ha": "center", "va": "center", "bbox": box}
for ax, (name, code) in zip(axes, codes.items()):
    colours = [cu.plots.CLASS_COLOURS[label] for label in labels[::3]]
    ax.scatter(*code[::3].T, c=colours, s=6)
    for digit in range(10):
        ax.text(*np.median(code[labels == digit], axis=0), str(digit), **style)
    ax.set(xticks=[], yticks=[], xlabel="first coordinate", ylabel="second coordinate")
    ax.set_title(f"{name}: {named[name]:.0%}")
cu.show(
    fig,
    "Digits in two dimensions by three methods, coloured by class "
    "(every third of 1,797 drawn). The percentage: digits recognised from these two numbers "
    "alone by their five nearest neighbours.",
)

# %% [markdown]
# Six in ten from two principal components, fewer than five from two factors, and nearly all from t-SNE.
# But t-SNE offers no way back from a point to an image, and no place for a new image.
# A generative model wants both ways: lesson 03.
#
# **Semi-supervised** learning: many images, few labels.
# A classifier learns from 50 labelled digits.
# Label spreading gets the same 50 and 1,150 images without labels, and lets labels flow to near neighbours.
# *Active* learning changes the rules: the learner sees only labelled images, but may choose which 50 get labels, five at a time, always those it is least sure of.
# **Which helps more: knowing what unlabelled digits look like, or choosing which ones to ask for?**

# %%
from sklearn import semi_supervised


def ask_for(n, pool):
    """Active learning: ten of the pool, then five at a time those whose class is least sure."""
    model = linear_model.LogisticRegression(max_iter=500)
    asked = list(pool[:10])
    while len(asked) < n:
        model.fit(features[asked], labels[asked])
        sorted_probs = np.sort(model.predict_proba(features[pool]), axis=1)
        margin = sorted_probs[:, -1] - sorted_probs[:, -2]  # first choice against second
        unsure = pool[np.argsort(margin)]
        asked += [i for i in unsure if i not in asked][:5]
    return asked


# %% [markdown]
# One comparison, on 597 digits that none of the three has seen, and its repetitions with other labels:


# %%
def fifty_labels(seed, n=50):
    """Test accuracy of a 50-label classifier, of label spreading, of active querying."""
    order = np.random.default_rng(seed).permutation(len(features))
    pool = order[:1200]
    test = order[1200:]
    model = linear_model.LogisticRegression(max_iter=500)
    plain = model.fit(features[pool[:n]], labels[pool[:n]]).score(features[test], labels[test])

    known = np.where(np.arange(len(pool)) < n, labels[pool], -1)  # −1: no label
    spreading = semi_supervised.LabelSpreading("knn", n_neighbors=10)
    spread = spreading.fit(features[pool], known).score(features[test], labels[test])

    asked = ask_for(n, pool)
    active = model.fit(features[asked], labels[asked]).score(features[test], labels[test])
    return plain, spread, active


n_draws = cu.budget(10)
accuracy = 100 * np.array([fifty_labels(seed) for seed in range(n_draws)])  # (draws, 3)

# %% [markdown]
# All three answer the same test digits in each draw, so we can also count the draws in which help helped:

# %%
mean_of = accuracy.mean(0)
std_of = accuracy.std(0, ddof=1)
wins = (accuracy[:, 1:] > accuracy[:, :1]).sum(0)
cu.facts(
    {
        "classifier: right, %": (mean_of[0], std_of[0]),
        "label spreading: right, %": (mean_of[1], std_of[1]),
        "active querying: right, %": (mean_of[2], std_of[2]),
        "draws": len(accuracy),
        "draws in which label spreading is better than the classifier": wins[0],
        "draws in which active querying is better": wins[1],
    }
)

# %% tags=["figure"]
# @title Figure: two kinds of help for fifty labels
fig, ax = plt.subplots(figsize=(7, 3))
names = ["50 labels", "50 labels + 1,150\nunlabelled images", "50 labels it asked for"]
style = {"fmt": "o", "ms": 10, "capsize": 6, "color": cu.plots.PALETTE[0]}
ax.errorbar(mean_of, range(3), xerr=std_of, **style)
for row in accuracy:
    ax.plot(row, np.arange(3) + 0.18, ".", color="#999999", ms=5)
ax.set_yticks(range(3), names)
ax.invert_yaxis()
ax.set(ylim=(2.5, -0.5), xlabel="test accuracy (%)")
ax.set_title("Both kinds of help beat fifty labels at random")
cu.show(
    fig,
    f"Mean and standard deviation over {len(accuracy)} draws of the labels; "
    "grey: the single draws.",
)

# %% [markdown]
# Knowing the shape of the data is worth eleven points here, choosing the questions seven; and choosing makes the result steadier.
# Unlabelled digits help because digits of one class lie together: they tell about $p(x)$, and this data set is kind enough to keep its classes apart.
# Lesson 20 asks when they are not.
#
# **Reinforcement** learning gets neither answers nor examples, but a world that now and then pays.
# A robot on a 5 × 5 grid starts at the lower left; the goal at the lower right pays +1, three pits between them pay −1, every other step pays nothing: a *sparse* reward.
# Either end closes the episode.
# A table $Q(s, a)$ estimates the discounted reward that follows action $a$ in cell $s$.
# After a step with reward $\rho$ to cell $s'$, where the next action is $a'$,
#
# $$Q(s, a) \leftarrow Q(s, a) + \alpha\,\big[\rho + \gamma\, Q(s', \cdot) - Q(s, a)\big], \qquad Q(s', \cdot) = \begin{cases} \max_b Q(s', b) & \text{Q-learning} \\ Q(s', a') & \text{SARSA} \end{cases} \tag{7}$$
#
# While it learns, the robot stumbles: three actions in ten are random.
# **Which way will each of the two walk to the goal?**

# %%
MOVES = [(-1, 0), (1, 0), (0, -1), (0, 1)]  # up, down, left, right


def step(state, action, goal=(4, 4), pits=((4, 1), (4, 2), (4, 3))):
    """One move on the 5 × 5 grid (walls stop it): next state, reward, is the episode over?"""
    new = tuple(min(max(place + move, 0), 4) for place, move in zip(state, MOVES[action]))
    reward = (new == goal) - (new in pits)
    return new, reward, new == goal or new in pits


def walk(Q, state=(4, 0), goal=(4, 4), step=step):
    """The cells on the greedy path from the start, at most 25 moves."""
    path = [state]
    while path[-1] != goal and len(path) < 26:
        path.append(step(path[-1], Q[path[-1]].argmax())[0])
    return path


# %% [markdown]
# That is the world. The learner, equation (7):


# %%
def learn(rule, seed, episodes=2000, rate=0.1, discount=0.95, stumble=0.3, step=step):
    """Tabular "Q-learning" or "SARSA": the table Q (5, 5, 4), the rewards of all episodes."""
    rng = np.random.default_rng(seed)
    Q = np.zeros((5, 5, 4))
    rewards = []

    def act(state):
        best = np.flatnonzero(Q[state] == Q[state].max())
        return rng.integers(4) if rng.random() < stumble else rng.choice(best)

    for _ in range(episodes):
        state = (4, 0)
        action = act(state)
        end = False
        while not end:
            new, reward, end = step(state, action)
            after = act(new)
            future = Q[new].max() if rule == "Q-learning" else Q[new][after]
            target = reward if end else reward + discount * future
            Q[state][action] += rate * (target - Q[state][action])
            state = new
            action = after
        rewards.append(reward)
    return Q, rewards


# %%
n_episodes = cu.budget(2_000)
n_seeds = cu.budget(5)
learned = {}
for rule in ("Q-learning", "SARSA"):
    learned[rule] = [learn(rule, seed, n_episodes) for seed in range(n_seeds)]


def share_at_goal(rewards):
    """The share of the last 500 episodes, stumbles included, that ended at the goal."""
    return np.mean([reward > 0 for reward in rewards[-500:]])


# %% tags=["figure"]
# @title Figure: the two paths, and what each cell is worth
fig, axes = plt.subplots(1, 2, figsize=(9.5, 4.2), layout="constrained")
lines = []
for ax, (rule, runs_of_rule) in zip(axes, learned.items()):
    lengths = [len(walk(table)) - 1 for table, _ in runs_of_rule]
    goals = [share_at_goal(rewards) for _, rewards in runs_of_rule]
    lines.append([rule, ", ".join(map(str, lengths)), 100 * np.mean(goals)])
    Q = runs_of_rule[0][0]
    best = Q.max(-1)
    best[4, 1:] = np.nan  # the episode ends there
    shown = ax.imshow(best, cmap="viridis", vmin=-0.2, vmax=1)
    for column, name in enumerate(["start", "pit\n−1", "pit\n−1", "pit\n−1", "goal +1"]):
        height = 4.25 if column in (0, 4) else 4.0
        colour = "white" if column == 0 else "black"
        ax.text(column, height, name, ha="center", va="center", color=colour)
    rows_of_path, columns_of_path = zip(*walk(Q))
    ax.plot(columns_of_path, rows_of_path, "o-", color=cu.plots.PALETTE[1], lw=3)
    ax.set(xticks=[], yticks=[], title=f"{rule}: {lengths[0]} steps")
    ax.grid(False)
fig.colorbar(shown, ax=axes, label="value of a cell, max Q", shrink=0.8)
cu.show(
    fig,
    "The paths that Q-learning and SARSA learned in 2,000 episodes, "
    "and what they think each cell is worth.",
)
cu.table(
    lines,
    ["rule", "steps of its path, one a seed", "at the goal in the last 500 episodes (%)"],
    "Both rules after learning; the last 500 episodes are walked with stumbles.",
    digits=0,
)

# %% [markdown]
# Q-learning walks along the edge: its maximum asks what the *best* next action would bring, so it learns the shortest path of a walker that never stumbles, and while stumbling it falls in more often.
# SARSA updates with the action it really takes next, stumbles included, and keeps a row away from the pits: longer, and more often at the goal.
# Neither is wrong; they answer different questions.
# Lesson 21 returns to actions, with models that draw them.
#
# Where do **generative models** stand among the four kinds?
# Beside them: "generative" says *what* is learned, a distribution to draw from, and the kinds say *from what*.
# A model of $p(x)$ learns unsupervised, a model of $p(x \mid \text{caption})$ from pairs, like a classifier.
# Some tables file generative models, or reinforcement learning, under semi-supervised learning.
# Neither is: the first may need no labels at all, the second has rewards and no examples.
#
# <details><summary>The classic algorithms and their places (unfold)</summary>
#
# | kind | task | algorithms |
# |---|---|---|
# | supervised | classification, regression | logistic and linear regression, decision trees, random forests, gradient boosting, support vector machines, Gaussian processes |
# | unsupervised | clustering | k-means, mean shift, spectral clustering, Gaussian mixtures (also a generative model) |
# | unsupervised | dimension reduction | PCA, factor analysis (also a generative model), autoencoder, t-SNE |
# | semi-supervised | classification from few labels | label spreading, self-training |
# | reinforcement | actions from rewards | Q-learning, SARSA, with networks: DQN, DDPG |
# | unsupervised, or supervised where a condition is given | drawing new data | Gaussian mixture, Boltzmann machine, VAE, GAN, autoregressive models, normalizing flows, diffusion |
#
# </details>

# %% [markdown]
# ## 9 · Your machine, and how the course works *(deeper)*
#
# How long will this course take on your machine?
# Train a small network for a few seconds and count.
# The reference is the two-core machine on which all times of this course were measured.


# %%
def steps_per_second(seconds, batch=128):
    """Training steps per second of a 784-256-784 network, measured for so many seconds."""
    net = nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 784)).to(device)
    optimiser = torch.optim.Adam(net.parameters())
    images = torch.rand(batch, 784, device=device)
    steps = 0
    start = time.perf_counter()
    while time.perf_counter() - start < seconds:
        optimiser.zero_grad()
        F.mse_loss(net(images), images).backward()
        optimiser.step()
        steps += 1
        if steps % 20 == 0 and device.type == "cuda":
            torch.cuda.synchronize()  # a GPU runs ahead; wait for it, or we count wishes
    return steps / (time.perf_counter() - start)


# %% [markdown]
# Six measurements, after one to warm up:

# %%
REFERENCE = 280.0  # steps per second on the two-core reference machine
seconds = cu.budget(1.5, 0.05)
steps_per_second(0.5)  # warm up
speeds = np.array([steps_per_second(seconds) for _ in range(6)])
ratio = speeds.mean() / REFERENCE
cu.facts(
    {
        "training steps per second": (speeds.mean(), speeds.std(ddof=1)),
        "speed of the reference machine = 1": ratio,
    }
)

# %% tags=["figure"]
# @title Table: how long things take on this machine
cu.table(
    [
        ["this lesson, all cells", 1.2 / ratio],
        ["the longest lesson (at most 10 minutes on the reference)", 10 / ratio],
        ["the eight lessons of Part I, cells alone, at most", 80 / ratio],
        ["the 200 epochs of the replay at the top", 200 * 429 / speeds.mean() / 60],
    ],
    ["estimate for this machine", "minutes"],
    digits=1,
)

# %% [markdown]
# The spread of the six measurements is your machine's mood (other programs, heat); the estimates are good to a factor of about one and a half, and a GPU gains far more on the convolutional networks of lessons 05 and 06 than on this small one.
# **If it is slow:** close other notebooks (each holds memory and cores), plug in the charger, or open the notebook in Colab with the badge at its top, where a GPU is free.
# And you never *have* to train: after every training cell a lesson loads the weights of a long run of that same cell, and goes on from there.
#
# **How a lesson works.**
# It opens with one sentence and ends with a failure that the next lesson repairs.
# *Core* sections fit a class of 75 minutes, *deeper* ones are for the curious and the exam; core never needs deeper.
# Before a figure stands a question in bold: answer it, aloud if you can, since a wrong guess teaches more than a right figure.
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
# - **Time.**
#   Up to ten minutes of computing a lesson on two cores, 75 minutes of class, and as long again for the deeper half.

# %% tags=["figure"]
# @title Table: the runs that ship with the course
lines = [[run.name, run.card["what"], run.card["lesson"]] for run in cu.runs.available()]
cu.table(lines, ["run", "what", "made by lesson"], "Runs that ship with the course.")

# %% [markdown]
# ## 10 · How the replay at the top was made *(deeper)*
#
# A variational autoencoder in fifteen lines.
# Lesson 04 derives every one of them; today only the roles.
# The *encoder* looks at an image and proposes a cloud of codes (mean and variance of 16 numbers); a code is drawn from the cloud; the *decoder* turns it into 784 pixel probabilities, coins as in equation (1), except that **the coins now depend on the code**, and through it on each other.
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
fig, axes = plt.subplots(1, 2, figsize=(10, 5.2), layout="constrained")
cu.plots.image_grid(yours36, ax=axes[0]).set_title(f"trained here: {history.steps[-1]:,} steps")
cu.plots.image_grid(shipped36, ax=axes[1]).set_title("shipped: 200 epochs, 85,800 steps")
cu.show(
    fig,
    "The same 36 codes decoded after the training above, and after the long run of the same "
    "cell that ships with the course.",
)

# %% [markdown]
# Two passes over the data give soft digits, a hundred times as many give firm ones.
# What is shown are the decoder's pixel probabilities, not coin tosses: averages again, hence the softness.
# Which of the two remedies for blur the later lessons choose, and at what price, is the story of Part I.
#
# **Bet on a replay.**
# Families differ in *how* they learn: one sharpens a blur, one plays a game and keeps changing its mind, one begins with noise and, once it writes, hardly changes a stroke.
# The cell below shows the replays of lessons 04, 05 and 06 without names.
# **Which is the variational autoencoder, which the GAN, which the diffusion model?**

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
lines = [[letter, run.card["what"], f"{run.card['steps']:,}"] for letter, run in bets.items()]
cu.table(lines, ["replay", "model", "training steps"])

# %% [markdown]
# ## 11 · The decisive test, as a program *(deeper)*
#
# **Exercise 3 (deeper).**
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


# %%
checked_test = cu.check("00.decisive", decisive_test)

# %% [markdown]
# Three new systems, each in miniature: a *rain radar* that predicts where a storm will be in an hour, trained on squared error (the storm passes the hill on the left or on the right); a *typeface maker* that invents a letter in one of three styles; a *cheque reader* that returns the amount written.
# **Sort them before you run the cell.**

# %%
storm = torch.tensor([[-1.0, 2.0], [1.0, 2.0]])  # it passes on the left, or on the right
styles = torch.eye(3)
amount = torch.tensor([[125.5]])
drawn = torch.randint(3, (10,), generator=torch.Generator().manual_seed(0))
trials = {
    "rain radar, squared error": (storm, storm.mean(0).expand(10, 2)),
    "typeface maker": (styles, styles[drawn]),
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
# ## What you have seen *(core)*
#
# | you can | because you saw |
# |---|---|
# | say what a generative model is | a distribution over images, drawn from with 784 coins, then with $\mu + L\varepsilon$ |
# | fit, sample and score one | −206 nats for digits and for ghosts alike; dependence between pairs of pixels worth about 445 nats a digit |
# | explain the blur | the mean over right answers has about half the squared error of a draw and nearly three times the grey |
# | read a likelihood with care | a blank page that beats all 10,000 test digits |
# | decide what is generative | fourteen systems, two questions |
#
# **What breaks, and why.**
# Independent pixels draw dust: they know no pairs.
# One Gaussian draws smears: it knows pairs, has a single centre, and bleeds outside the grey scale.
# Its likelihood prefers the plain to the real, so a high number is no proof of quality.
#
# **Next.**
# [Lesson 01](01_discriminative_vs_generative.ipynb) gives the Gaussian a label: one per class, and it starts to classify, and to notice what a classifier cannot.
# The failure that stays is in the last row of section 3: one hill for ten digits.
# Lesson 02 puts up several.
#
# **References**
#
# - I. Goodfellow et al., *Generative Adversarial Nets*, 2014.
# - T. Karras, S. Laine, T. Aila, *A Style-Based Generator Architecture for Generative Adversarial Networks*, 2019.
# - J. Ho, A. Jain, P. Abbeel, *Denoising Diffusion Probabilistic Models*, 2020.
# - R. Rombach et al., *High-Resolution Image Synthesis with Latent Diffusion Models*, 2022.
# - R. Sutton, A. Barto, *Reinforcement Learning: An Introduction*, 2018 (the cliff of section 8 is their example 6.6).
# - L. Theis, A. van den Oord, M. Bethge, *A note on the evaluation of generative models*, 2016.
