# %% [markdown]
# # 03b Denoising
#
# **A network that removes noise has to know where the data are: its best correction is the gradient of the log-density of the *noisy* data, times σ².**
#
# Run the cells down to the first figure.
# The middle row was restored by a small network that has never seen these digits.
# **Predict:** in which of them has it invented something?

# %% tags=["setup"]
import math

import matplotlib.pyplot as plt
import numpy as np
import torch
from scipy import ndimage
from torch import nn

import course_utils as cu
from course_utils.lessons.lesson_03 import Autoencoder  # written in section 2 there

device = cu.setup()


# %% tags=["shared"]
class Denoiser(nn.Module):
    """Noisy image (B, 1, 28, 28) → the same plus a learned residual.

    Blocks of 4 × 4 pixels become 16 channels of 7 × 7 places: the convolutions are cheap.
    """

    def __init__(self, width=64, depth=4):
        super().__init__()
        layers = [nn.PixelUnshuffle(4), nn.Conv2d(16, width, 3, padding=1), nn.SiLU()]
        for _ in range(depth):  # (B, width, 7, 7)
            layers += [nn.Conv2d(width, width, 3, padding=1), nn.SiLU()]
        layers += [nn.Conv2d(width, 16, 3, padding=1), nn.PixelShuffle(4)]
        self.residual = nn.Sequential(*layers)

    def forward(self, noisy):
        return noisy + self.residual(noisy)


# %%
mnist = cu.mnist()
mine = cu.my_digit().float().div(255).view(1, 1, 28, 28)
test = mnist.test.float()  # (10000, 1, 28, 28)
val = mnist.val.float()  # (5000, 1, 28, 28)
denoiser = Denoiser()
cu.restore("03_denoiser", denoiser)  # shipped weights; you train it in section 3
denoiser.to(device)


@torch.no_grad()
def restore(noisy):
    """The network's restoration of noisy images (n, 1, 28, 28), clipped to [0, 1]."""
    return denoiser(noisy.to(device)).cpu().clamp(0, 1)


# %% tags=["figure", "slide"]
# @title Figure: ten digits in noise, and restored
clean = torch.cat([mine, test[:9]])
noisy = clean + 0.7 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
pictures = torch.cat([noisy.clamp(0, 1), restore(noisy), clean])
ax = cu.plots.image_grid(pictures, rows=3, row_titles=["noisy", "restored", "truth"])
cu.show(
    ax.figure,
    "Your digit and nine test digits with Gaussian noise of standard deviation 0.7 on "
    "pixels in [0, 1], the network's restoration, and the truth.",
)

# %% [markdown]
# Most of them, a little: the 7 has a foggy bar, and the 5 has lost its shape.
# Where strokes are missing or soft, the network did not know.
#
# Lesson 03 forced the network to understand digits by a narrow code.
# Here nothing is narrow.
# The task itself asks for understanding: to remove noise one has to know what is not noise.
#
# **After this lesson you can** *write* the loss of a denoiser; *derive* what its best answer is, and why its correction is the score of the noisy data;
# *measure* a denoiser against classical filters; *say* where the learned score can be trusted and where not.
#
# **Builds on** 03 (autoencoders), 02 (mixtures, responsibilities) and the toolbox (Appendix A): Cards 2 (training) and 4 (Gaussians).
# Lesson 06 begins where this one ends.
#
# | | |
# |---|---|
# | $x$ | clean data |
# | $\tilde x = x + \sigma\varepsilon$ | noisy data; $\varepsilon\sim\mathcal N(0, I)$, and $\sigma$ is the noise level |
# | $p_\text{data}$, $p_\sigma$ | density of the clean data, and of the noisy data |
# | $\hat x(\tilde x)$ | the denoiser's answer |
# | $\nabla\log p$ | the **score** of a density $p$: the gradient of its logarithm; it points where $p$ grows fastest |

# %% [markdown]
# ## 1 · The best answer is a mean *(core)*
#
# A denoising autoencoder gets $\tilde x$ and is asked for $x$.

# %% tags=["figure", "slide"]
# @title Figure: a denoising autoencoder as boxes
blue, orange, green = "#0072B2", "#D55E00", "#009E73"
d = cu.diagram()
x = d.image(clean[1, 0], (0, 0))
d.text("x", (0, -0.65))
plus = d.node("+", (2, 0), 0.25)
noise = d.box("σ ε", (2, -1.1), 0.9, 0.5, colour=orange, note="fresh noise each time")
tilde = d.image(noisy[1, 0].clamp(0, 1), (4, 0))
d.text("x̃", (4, -0.65))
net = d.box("denoiser", (6.2, 0), 1.6, 0.9, colour=green)
answer = d.image(restore(noisy[1:2])[0, 0], (8.6, 0))
d.text("x̂(x̃)", (8.6, -0.65))
for start, end in ((x, plus), (noise, plus), (plus, tilde), (tilde, net), (net, answer)):
    d.arrow(start, end)
d.brace((0, 0.7), (8.6, 0.7), "training makes ‖x − x̂(x̃)‖² small")
cu.show(
    d.figure,
    "A denoising autoencoder: noise is added to a clean image, the network sees only the "
    "sum, and the clean image is its target.",
)

# %% [markdown]
# **Exercise 1 (core).**
# Write its loss: add noise of level $\sigma$, restore, compare with the clean data.
# The same function must serve points in the plane and images.


# %% tags=["exercise"]
def denoising_loss(model, x, sigma):
    """Mean squared error of the restored data, over all entries of the batch.

    model: noisy data → restored data. x: clean data (B, …). sigma: a number, or (B, 1, …).
    """
    ### BEGIN SOLUTION
    noisy = x + sigma * torch.randn_like(x)
    return (model(noisy) - x).square().mean()
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# `torch.randn_like(x)` has the shape of $x$, so each entry gets noise of its own.
# The target is the *clean* $x$, not the noise and not the noisy input.

# %%
checked_loss = cu.check("03b.denoising_loss", denoising_loss)

# %% [markdown]
# What is the best answer?
# For one $\tilde x$ many clean $x$ are possible, some more probable than others.
# The constant with the least mean squared distance to all of them is their mean (lesson 00, equation 7; each $\tilde x$ may have its own constant):
#
# $$\hat x(\tilde x) = \mathbb E[x\mid\tilde x] .$$
#
# This holds wherever the squared error is the loss, and it is the reason why reconstructions blur: **where several answers fit, the best one is their average.**
#
# **Exercise 2 (core, break it).**
# The perfect denoiser can answer with something that is no datum at all.
# Make it happen in the plane: place a few clean points, all equally probable, and one noisy point, such that $\mathbb E[x\mid\tilde x]$ at noise level $\sigma=1$ is at least 2 away from *every* clean point.


# %% tags=["exercise"]
def no_datum():
    """Clean points (m, 2) and one noisy point (2,): the best answer is far from all data."""
    ### BEGIN SOLUTION
    clean = torch.tensor([[-3.0, 0.0], [3.0, 0.0]])
    return clean, torch.zeros(2)
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# Each clean point counts with the weight $\exp(-\lVert\tilde x-x\rVert^2/2\sigma^2)$.
# When do two points get equal weights?

# %%
checked_points = cu.check("03b.no_datum", no_datum)


# %%
def best_answer(clean, noisy, sigma):
    """E[x | x̃] for equally probable clean points (m, 2) and noisy points (n, 2) → (n, 2)."""
    log_weight = -torch.cdist(noisy, clean).square() / (2 * sigma**2)  # (n, m)
    return torch.softmax(log_weight, 1) @ clean


few_clean, one_noisy = checked_points()
answer = best_answer(few_clean, one_noisy[None], 1.0)
nearest = torch.cdist(answer, few_clean).min().item()
print(f"the best answer is {nearest:.1f} away from the nearest clean point")

# %% [markdown]
# Both clean points explain the noisy one equally well, and the answer that costs least is neither.
# No better network can change that: it is the loss that asks for the mean.

# %% [markdown]
# ## 2 · The correction is the score *(core)*
#
# Now look at the *correction* $\hat x(\tilde x)-\tilde x$: an arrow from the noisy point to the best guess.
# Roughly, such an arrow points towards the clean data; it ends at their mean, which at a bend lies off the curve.
# The gradient of the log-density of the noisy data also points to where data are.
# The two turn out to be the same arrow, up to a factor.

# %% tags=["figure", "slide"]
# @title Figure: a denoiser points at the data
u = np.linspace(-2.3, 2.3, 200)
curve = np.stack([u, 0.6 * np.sin(1.6 * u)])
dice = np.random.default_rng(4)
spots = dice.uniform(-2, 2, 14)
clean_spots = np.stack([spots, 0.6 * np.sin(1.6 * spots)])
noisy_spots = clean_spots + dice.normal(0, 0.45, clean_spots.shape)
weights = np.exp(-((noisy_spots[:, :, None] - curve[:, None]) ** 2).sum(0) / (2 * 0.45**2))
guess = (weights[None] * curve[:, None]).sum(2) / weights.sum(1)
fig, ax = plt.subplots(figsize=(9.4, 3.6))
ax.plot(*curve, color=blue, linewidth=3, label="clean data")
ax.plot(*noisy_spots, "o", color=orange, label="noisy points x̃")
for start, end in zip(noisy_spots.T, guess.T):
    ax.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "color": "#333333", "lw": 1.6})
ax.plot([], [], color="#333333", label="correction E[x | x̃] − x̃")
ax.set(
    xticks=[],
    yticks=[],
    aspect="equal",
    title="Corrections point to the mean of the data nearby",
)
ax.legend(fontsize=10, loc="lower left", ncols=3, bbox_to_anchor=(0, -0.2))
cu.show(
    fig,
    "A sketch: data on a curve, noisy points around it, and for each the arrow to the mean "
    "of the data that may have caused it (computed for this curve).",
)

# %% [markdown]
# The noisy data have the density $p_\sigma(\tilde x) = \int p_\text{data}(x)\, \mathcal N(\tilde x; x, \sigma^2 I)\,dx$: data, blurred by the noise.
# Differentiate the Gaussian:
#
# $$\nabla_{\tilde x}\, \mathcal N(\tilde x; x, \sigma^2 I) = \frac{x-\tilde x}{\sigma^2}\,\mathcal N(\tilde x; x, \sigma^2 I) .$$
#
# Since $\nabla\log p_\sigma = \nabla p_\sigma/p_\sigma$, put this under the integral and divide by $p_\sigma(\tilde x)$:
#
# $$\nabla\log p_\sigma(\tilde x) = \int \frac{x-\tilde x}{\sigma^2}\;\underbrace{\frac{p_\text{data}(x)\,\mathcal N(\tilde x; x, \sigma^2 I)}{p_\sigma(\tilde x)}}_{=\;p(x\mid\tilde x)\text{ by Bayes' rule}}\,dx = \frac{\mathbb E[x\mid\tilde x]-\tilde x}{\sigma^2} .$$
#
# Multiply by $\sigma^2$.
# This is **Tweedie's formula**, number (3) because it continues lesson 03:
#
# $$\boxed{\ \mathbb E[x\mid\tilde x]-\tilde x = \sigma^2\,\nabla\log p_\sigma(\tilde x)\ } \tag{3}$$
#
# **The correction of a perfect denoiser is the score of the noisy data, times $\sigma^2$.**
#
# **Exercise 3 (core).**
# Use (3) the other way round: write the score that a denoiser knows.


# %% tags=["exercise"]
def score_of(model, noisy, sigma):
    """Equation (3): the score of the noisy data at noisy (n, …), by a denoiser for sigma."""
    ### BEGIN SOLUTION
    return (model(noisy) - noisy) / sigma**2
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# Solve (3) for $\nabla\log p_\sigma$.
# The expectation is the model's answer.

# %%
checked_score = cu.check("03b.score_of", score_of)

# %% [markdown]
# Check (3) where both sides are known: for a mixture of eight Gaussians.
# The left side comes from Bayes' rule, as in lesson 02: each component's own answer $\mu+\frac{s^2}{s^2+\sigma^2}(\tilde x-\mu)$ (Card 4's conditional mean; Exercise 6), weighted by its responsibility.
# The right side comes from autograd on the log-density.

# %%
centres = cu.points.eight_centres().double()
spread = 0.2  # standard deviation of each Gaussian
level = 0.5  # the noise
variance = spread**2 + level**2  # of each Gaussian with noise


def log_density(x):
    """log p_σ of the mixture of eight Gaussians with noise: x (n, 2) → (n,)."""
    square = torch.cdist(x, centres).square()  # (n, 8)
    log_constant = math.log(len(centres) * 2 * math.pi * variance)
    return torch.logsumexp(-square / (2 * variance), 1) - log_constant


def posterior_mean(x):
    """E[x | x̃] of the mixture, x̃ (n, 2)."""
    weight = torch.softmax(-torch.cdist(x, centres).square() / (2 * variance), 1)  # (n, 8)
    shrunk = centres + spread**2 / variance * (x[:, None] - centres)  # (n, 8, 2)
    return (weight[..., None] * shrunk).sum(1)


points = (3 * torch.randn(1000, 2, dtype=torch.float64)).requires_grad_()
(by_autograd,) = torch.autograd.grad(log_density(points).sum(), points)
by_tweedie = checked_score(posterior_mean, points, level)
torch.testing.assert_close(by_tweedie, by_autograd, rtol=1e-7, atol=1e-7)
print("✓ equation (3) holds to 1e-7 at 1,000 points")

# %% [markdown]
# Now train a denoiser that knows nothing but noisy points and their clean partners.
# **Predict:** where on the plane will its arrows be right, where wrong?

# %% tags=["quiet"]
torch.manual_seed(0)
which = torch.randint(8, (20_000,))
clean_points = (centres[which] + spread * torch.randn(20_000, 2)).float()
point_batches = cu.Batches(clean_points, 512)
point_model = cu.nets.mlp(2, 128, 128, 2)


def point_loss(model, x):
    """The denoising loss at the one noise level 0.5."""
    return checked_loss(model, x, level)


point_history = cu.fit(
    point_model, point_loss, point_batches, steps=2_500, lr=3e-3, schedule="cosine"
)


# %%
@torch.no_grad()
def learned(x):
    """The trained denoiser's correction at x (n, 2)."""
    return point_model(x.to(device)).cpu() - x


def exact(x):
    """The correction of the perfect denoiser at x (n, 2)."""
    return (posterior_mean(x.double()) - x).float()


def gap(x):
    """Distance (n,) of the learned arrow from the exact one at x (n, 2)."""
    return (learned(x) - exact(x)).norm(dim=1)


near = clean_points[:2000] + level * torch.randn(2000, 2)
far = 8 * torch.rand(4000, 2) - 4
far = far[far.norm(dim=1) > 4]
for name, x in (("where noisy points fall", near), ("beyond radius 4", far)):
    cosine = torch.cosine_similarity(exact(x), learned(x), dim=1).mean()
    sizes = f"length {exact(x).norm(dim=1).mean():.2f}, off by {gap(x).mean():.3f}"
    print(f"{name}: {sizes}, cosine {cosine:.3f}")


# %% tags=["figure", "slide"]
# @title Figure: exact and learned arrows, and their difference
def noisy_log_density(x):
    return log_density(x.double()).float()


def shortened(arrows):
    """A field with the same directions, whose long arrows have lengths below 1."""
    return lambda x: arrows(x) / (0.15 + arrows(x).norm(dim=1, keepdim=True))


plane = (-4, 4)
contours = [-8, -6, -5, -4, -3]
panels = ((exact, "Exact: σ² ∇ log p"), (learned, "Learned from noisy points"))
fig, axes = plt.subplots(1, 2, figsize=(9.6, 4.9))
for ax, (arrows, title) in zip(axes, panels):
    cu.plots.density(noisy_log_density, plane, ax=ax, levels=contours, filled=False)
    cu.plots.field(shortened(arrows), plane, ax=ax, n=13, scale=13, width=0.005)
    ax.set(title=title, xlim=plane, ylim=plane)
cu.show(
    fig,
    "Directions of the corrections of the perfect denoiser (left) and of a trained one "
    "(right) over contours of log p_σ, σ = 0.5. Long arrows are drawn shortened, so that "
    "short ones can be seen.",
)

# %% tags=["figure"]
# @title Figure: where the learned arrows err
fig, ax = plt.subplots(figsize=(6.4, 4.8))
cu.plots.density(
    lambda x: gap(x).clamp(max=0.5),
    (-5, 5),
    ax=ax,
    levels=np.linspace(0, 0.5, 11),
    label="length of the difference",
)
ax.plot(*near[:400].T, ".", color="white", markersize=3)
ax.set(title="Large errors only where no noisy point was", xlim=(-5, 5), ylim=(-5, 5))
cu.show(
    fig,
    "Length of the difference of exact and learned correction (0.5 and more in one colour); "
    "white dots are 400 noisy points.",
)

# %% [markdown]
# Where noisy points fell, the two fields look the same: on average the arrows differ by 0.04, a tenth of their length.
# For its arrow's length the difference is largest in a small disc in the middle, where hardly any point falls and the true arrow reverses within a short distance.
# In the corners the error is larger, but so are the arrows: the direction is right, and the length is off by about an eighth.
# That is extrapolation, lucky here because far out the truth is simple.
#
# **A trained denoiser knows the score where noisy points fell; elsewhere it extrapolates.**
# In the space of images nearly every place is like these corners: no noisy training point fell near it.

# %% [markdown]
# ## 3 · Digits *(core)*
#
# Now images.
# The network of the first figure is convolutional and adds its correction to the input, as (3) suggests: `noisy + residual(noisy)`.
# Blocks of 4 × 4 pixels are folded into channels first, which makes training on a laptop possible.
# In training each image gets a noise level of its own between 0.1 and 0.8, and the network is not told which.
# Strictly, (3) is about one known level; but with so many pixels the level can be read off the image to within a few per cent.

# %% tags=["quiet"]
torch.manual_seed(0)
learner = Denoiser()
batches = cu.Batches(mnist.train, 128)


def image_loss(model, x):
    """The denoising loss at a random noise level for each image."""
    sigma = torch.empty(len(x), 1, 1, 1, device=x.device).uniform_(0.1, 0.8)
    return checked_loss(model, x, sigma)


recipe = {"steps": 250, "full": 6_000, "lr": 2e-3, "schedule": "cosine", "ema": 0.999}
history = cu.fit(learner, image_loss, batches, **recipe)

# %%
eps = torch.randn(500, 1, 28, 28, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def val_psnr(model):
    """Mean PSNR in dB of 500 validation digits, restored from noise of σ = 0.5."""
    x_hat = model((val[:500] + 0.5 * eps).to(device)).cpu().clamp(0, 1)
    return cu.metrics.psnr(x_hat, val[:500]).mean().item()


live_psnr = val_psnr(history.ema)
print(
    f"trained just now: {live_psnr:.1f} dB; shipped, 6,000 steps: {val_psnr(denoiser):.1f} dB"
)

# %% tags=["author"]
cu.ship(
    "03_denoiser",
    history.ema,
    history,
    what="blind denoiser, noise from 0.1 to 0.8",
    figures={"PSNR at σ = 0.5, validation": (live_psnr, 0.1)},
)
cu.restore("03_denoiser", denoiser)

# %% [markdown]
# PSNR, the peak signal-to-noise ratio in decibels, is $-10\log_{10}$ of an image's mean squared error: half the error is 3 dB more.
# After so short a training the network is worse than a plain blur (15.7 dB, below); the lesson goes on with the shipped weights.
# Beside PSNR we measure SSIM, the structural similarity: how well means, contrasts and patterns agree in windows of 7 × 7 pixels, at most 1.
#
# The competitors are two classics, a Gaussian blur and the median of a neighbourhood, with their widths chosen on validation digits for each noise level.
# A control is lesson 03's autoencoder with 32 numbers, which was trained without noise: what does its bottleneck alone remove?
#
# **Exercise 4 (core, predict and measure).**
# Commit yourself: by how many dB does the network beat the best of its competitors at $\sigma=0.5$?


# %% tags=["exercise"]
def my_gain():
    """Your guess: the network's lead over the best competitor at σ = 0.5, in dB."""
    ### BEGIN SOLUTION
    return 1.0
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# 3 dB is half the squared error, 10 dB a tenth of it.
# There is no wrong guess, and it may be negative: `return 5`, say.

# %%
checked_gain = cu.check("03b.gain", my_gain)

# %%
levels = [0.1, 0.2, 0.3, 0.5, 0.7, 1.0]
n = cu.budget(500, 40)
clean = torch.cat([mine, test[: n - 1]])  # yours first
noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(1))
bottleneck = Autoencoder(32)
cu.restore("03_ae_32", bottleneck)
bottleneck.to(device)


def blur(noisy, width):
    """Gaussian filter of images (n, 1, 28, 28)."""
    return torch.from_numpy(ndimage.gaussian_filter(noisy.numpy(), (0, 0, width, width)))


def median(noisy, size):
    """Median over size × size pixels of images (n, 1, 28, 28)."""
    return torch.from_numpy(ndimage.median_filter(noisy.numpy(), (1, 1, size, size)))


def tuned(filtered, options, sigma):
    """The option with the best PSNR on validation digits at noise level sigma."""
    x = val[:n]
    noisy = x + sigma * eps[:n]
    quality = [cu.metrics.psnr(filtered(noisy, o).clamp(0, 1), x).mean() for o in options]
    return options[int(np.argmax(quality))]


# %%
@torch.no_grad()
def restored(sigma, n=None):
    """The first n images with noise, and four restorations, all clipped to [0, 1]."""
    noisy = clean[:n] + sigma * noise[:n]
    width = tuned(blur, (0.4, 0.6, 0.8, 1.0, 1.3), sigma)
    size = tuned(median, (1, 2, 3, 5), sigma)
    through_code = bottleneck(noisy.flatten(1).to(device)).cpu().view_as(noisy)
    all_four = {"noisy": noisy, "Gaussian filter": blur(noisy, width)}
    all_four |= {"median filter": median(noisy, size), "autoencoder, k = 32": through_code}
    all_four["denoiser"] = restore(noisy)
    return {name: y.clamp(0, 1) for name, y in all_four.items()}


by_psnr = {}
by_ssim = {}
for sigma in levels:
    for name, y in restored(sigma).items():
        by_psnr.setdefault(name, []).append(cu.metrics.psnr(y, clean).mean().item())
        by_ssim.setdefault(name, []).append(cu.metrics.ssim(y, clean).mean().item())
others = [name for name in by_psnr if name != "denoiser"]
best_other = np.max([by_psnr[name] for name in others], axis=0)
lead = dict(zip(levels, np.array(by_psnr["denoiser"]) - best_other))
print(f"you guessed a lead of {checked_gain():.1f} dB at σ = 0.5; it is {lead[0.5]:.1f} dB")

# %% tags=["figure", "slide"]
# @title Figure: five pictures compared at six noise levels
fig, axes = plt.subplots(1, 2, figsize=(9.8, 4.2))
for name in by_psnr:
    axes[0].plot(levels, by_psnr[name], "o-", label=name)
    axes[1].plot(levels, by_ssim[name], "o-", label=name)
for ax in axes:
    ax.axvspan(0.8, 1.03, color="#dddddd", linewidth=0)
    ax.set(xlabel="noise level σ (grey: never trained)", xlim=(0.07, 1.03))
axes[0].set(ylabel="mean PSNR (dB)", title="By squared error")
axes[1].set(ylabel="mean SSIM", ylim=(0, 1), title="By structural similarity")
axes[1].legend(fontsize=9)
cu.show(
    fig,
    "Mean PSNR (left) and structural similarity, SSIM (right), of noisy test digits and of "
    "four restorations, against the noise level. One trained denoiser.",
)

# %% tags=["figure"]
# @title Table: lead of the denoiser
rows = []
for i, sigma in enumerate(levels):
    rows.append([sigma, *(by_psnr[name][i] for name in by_psnr), lead[sigma]])
cu.table(
    rows,
    ["σ", *by_psnr, "lead over the best other"],
    f"Mean PSNR in dB of {len(clean)} test digits.",
    digits=1,
)


# %% tags=["figure", "slide"]
# @title Widget: six digits restored at any noise level
def draw_noise(sigma):
    """Six digits, yours first, noisy and restored, at one noise level."""
    rows = restored(sigma, 6)
    pictures = torch.cat([y[:, 0] for y in rows.values()])
    ax = cu.plots.image_grid(pictures, rows=len(rows), row_titles=list(rows))
    ax.set_title(f"σ = {sigma:.1f}")
    return ax.figure


def two_levels():
    """The static picture: the denoiser at 0.7, trained, and at 1.2, never trained."""
    rows = []
    for sigma in (0.7, 1.2):
        made = restored(sigma, 10)
        rows += [made["noisy"], made["denoiser"]]
    names = ["noisy, σ = 0.7", "denoiser", "noisy, σ = 1.2", "denoiser"]
    pictures = torch.cat([*rows, clean[:10]])
    return cu.plots.image_grid(pictures, rows=5, row_titles=[*names, "truth"]).figure


cu.explore(
    draw_noise,
    "Your digit and test digits with noise and restored. The slider shows all competitors; the "
    "still picture the denoiser at a trained level (0.7) and at one it never met (1.2).",
    sigma={"min": 0.1, "max": 1.2, "step": 0.1, "value": 0.7, "label": "σ"},
    static=two_levels,
)

# %% [markdown]
# The lead is about 3 dB, half the squared error, at $\sigma$ = 0.2 to 0.5, and 2.6 dB at 0.7: there a filter must smear the strokes to remove the noise.
# At 0.1 there is little to remove.
# A filter averages neighbours whatever they are; the network has seen digits and removes what does not belong to one.
# By squared error the narrow code alone does not help: lesson 03's autoencoder, which never saw noise, is at no level much better than doing nothing.
# By structural similarity it helps while the noise is weak, and from 0.5 on it does not.
#
# What is left of the denoiser's error is no longer noise.
# In the picture at 0.7, strokes have gaps and soft ends.
# At 1.2, beyond all training, grain is left standing between the strokes: noise stronger than any that it knows looks like ink.
# At 1.0 its lead over the filters has shrunk by half.

# %% [markdown]
# ## 4 · From noise alone? *(core)*
#
# A denoiser turns noise into digits.
# So can it make digits from *nothing but* noise?
# In one step it cannot: the best answer to "what is under this noise?" is a mean of all that may be.
# But one can go down in small steps: restore, add a little less noise than before, restore again.
#
# **Exercise 5 (core).**
# Write this sampler.


# %% tags=["exercise"]
def denoise_down(model, start, levels):
    """Restore and add less noise, again and again.

    model: noisy → restored. start: (n, …), with noise of level levels[0]. levels: numbers,
    decreasing. After each restoration, noise of the next level is added; after the last, none.
    """
    ### BEGIN SOLUTION
    x = start
    for after in [*levels[1:], 0.0]:
        x = model(x) + after * torch.randn_like(x)
    return x
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# The model is called once for each entry of `levels`.
# The model is called once for each entry of `levels`.
# Pair each call with the *next* entry; what follows the last?

# %%
checked_down = cu.check("03b.denoise_down", denoise_down)

# %% [markdown]
# Start from the mean digit plus noise of level 0.8, the strongest that the network knows; the mean digit makes the start resemble the training images.
# **Predict:** which digits come out in forty steps?

# %%
mean_digit = mnist.train.flat().mean(0).view(1, 1, 28, 28)
made = {}
for count in (1, 10, 40):
    torch.manual_seed(0)
    start = mean_digit + 0.8 * torch.randn(10, 1, 28, 28)
    steps = [0.8, *torch.linspace(0.8, 0.1, count)[1:].tolist()]
    with torch.no_grad():
        made[f"{count} step{'s' * (count > 1)}"] = checked_down(
            denoiser, start.to(device), steps
        )

# %% tags=["figure", "slide"]
# @title Figure: from noise alone, in 1, 10 and 40 steps
rows = torch.cat([start, *(x.cpu() for x in made.values())])
ax = cu.plots.image_grid(rows.clamp(0, 1), rows=4, row_titles=["start", *made])
cu.show(
    ax.figure,
    "Ten starts (the mean digit with noise of level 0.8), and what the denoiser makes of "
    "them in 1, 10 and 40 steps with less and less noise.",
)

# %% [markdown]
# One step gives scribbles: at each place a mean of the strokes that may lie under *this* noise.
# Forty steps give ink and clean paper, and real strokes: the scores at many levels, one after the other, do lead from noise to something like data.
# But what they draw is mostly a 1, a stroke or two, or nothing; ten steps still hold more.
#
# Why no 8?
# Two likely reasons.
# Each step replaces the image by a *mean* and adds only fresh noise, so even a perfect denoiser would lose variety: of the variance of a Gaussian, many small steps keep half.
# And at level 0.8 most training images still showed their digit, so the network was hardly asked *which digit?*

# %% [markdown]
# ## 5 · The masked autoencoder *(deeper)*
#
# Noise is not the only way to spoil an image.
# Hide most of it, and learn to draw what is hidden.
# Only the hidden pixels count in the loss; otherwise copying the visible ones drowns the task.


# %%
def hide_blocks(x, share=0.6):
    """Hide a random share of the 4×4 blocks of each image: x (B, 784) → bool (B, 784)."""
    blocks = (torch.rand(len(x), 1, 7, 7, device=x.device) < share).float()
    return nn.functional.interpolate(blocks, scale_factor=4).flatten(1).bool()


def masked_loss(model, x):
    """Mean squared error over the hidden pixels alone."""
    x = x.flatten(1)
    hidden = hide_blocks(x)
    guess = model(torch.where(hidden, 0.5, x))
    return ((guess - x).square() * hidden).sum() / hidden.sum()


torch.manual_seed(0)
masked = Autoencoder(64)
masked_history = cu.fit(masked, masked_loss, batches, steps=800, lr=2e-3, schedule="cosine")

# %%
originals = clean.flatten(1)[: cu.budget(400, 40)]
hidden = hide_blocks(originals)
with torch.no_grad():
    guess = masked(torch.where(hidden, 0.5, originals).to(device)).cpu()
by_network = (guess - originals).square()[hidden].mean().item()
by_mean = (mean_digit.flatten(1) - originals).square()[hidden].mean().item()
cu.facts(
    {
        "squared error per hidden pixel, network": f"{by_network:.3f}",
        "the same, drawing the mean digit": f"{by_mean:.3f}",
    }
)

# %% tags=["figure"]
# @title Figure: ten digits with blocks hidden, and completed
shown = torch.where(hidden, 0.5, originals)[:10]
filled = torch.where(hidden, guess, originals)[:10]
pictures = torch.cat([shown, filled, originals[:10]]).view(-1, 28, 28)
ax = cu.plots.image_grid(pictures, rows=3, row_titles=["seen", "filled", "truth"])
cu.show(
    ax.figure,
    "Your digit and nine test digits with six of ten blocks hidden (grey), the masked "
    "autoencoder's completion, and the truth.",
)

# %% [markdown]
# After this short training the network's error on hidden pixels is only a little below that of drawing the mean digit, and the picture is poor.
# It continues a stroke across a small gap; where most of a digit is hidden it paints grey, the average of what may be there.
# Squared error again answers with a mean, while lesson 02b's mixture gave several sharp answers instead.

# %% [markdown]
# ## 6 · More exercises *(deeper)*
#
# **Exercise 6 (deeper, on paper).**
# Let the clean data be $\mathcal N(\mu, s^2)$ on a line.
# Compute $\mathbb E[x\mid\tilde x]$ by Bayes' rule, $p_\sigma$ and its score, and confirm (3).
# What happens for $\sigma\to0$ and for $\sigma\to\infty$?
#
# <details><summary>Step 1</summary>
#
# The pair $(x,\tilde x)$ is Gaussian with variances $s^2$ and $s^2+\sigma^2$ and covariance $s^2$.
# The conditional mean of Card 4 gives $\mathbb E[x\mid\tilde x]=\mu+\frac{s^2}{s^2+\sigma^2}(\tilde x-\mu)$.
#
# </details>
# <details><summary>Step 2</summary>
#
# $p_\sigma=\mathcal N(\mu, s^2+\sigma^2)$, so its score is $-(\tilde x-\mu)/(s^2+\sigma^2)$.
#
# </details>
# <details><summary>Step 3</summary>
#
# $\mathbb E[x\mid\tilde x]-\tilde x=-\frac{\sigma^2}{s^2+\sigma^2}(\tilde x-\mu)$, which is $\sigma^2$ times the score.
# For $\sigma\to0$ the denoiser returns its input; for $\sigma\to\infty$ it returns $\mu$, whatever it sees.
#
# </details>
#
# **Exercise 7 (deeper, open).**
# The denoiser is not told the noise level.
# Does it help to tell it?
# Build one that is told, train both for as long with three seeds each, and compare at every level, also at levels that neither has met.

# %% [markdown]
# ## Where this stands *(deeper)*
#
# *The score.*
# Vincent (2011) showed that the denoising loss trains the score; Efron (2011) named Tweedie's formula and traced it to Robbins (1956).
# Lesson 06 learns the score at *all* noise levels with one network that is told the level; lesson 11b meets it in energy-based models.
#
# *Training without clean data.*
# If two independent noisy versions of each image exist, one can serve as the target of the other, because its noise averages out (Noise2Noise, Lehtinen et al., 2018).
# Noise2Score (Kim and Ye, 2021) uses Tweedie's formula for one noisy version.
#
# *Denoisers as priors.*
# A denoiser can stand in for a prior when an image must be deblurred or completed (regularisation by denoising; Romano, Elad and Milanfar, 2017).
# Reehorst and Schniter (2019) explain such methods by the score, as here; lesson 16 (to come) uses them.
#
# *Is a network's correction the gradient of a function?*
# The exact one is; that of an unconstrained network in general is not, since nothing makes its Jacobian symmetric.
#
# *Masking* is the training task of masked autoencoders (He et al., 2022), whose aim is features, not images.

# %% [markdown]
# ## What to take home *(core)*
#
# - *What is the best answer?*
#   The mean of all clean data that may be under the noise; it need not be a datum itself (section 1).
# - *What does a denoiser know?*
#   A perfect denoiser's correction is $\sigma^2$ times the score of the noisy data, equation (3), checked to 1e-7 for a mixture (section 2).
# - *Where can it be trusted?*
#   Where noisy points fell in training, and at noise levels that it met (sections 2 and 3).
#
# **What breaks, and why.**
# Means: what is ambiguous becomes soft, or a stroke with a gap.
# Extrapolation: beyond the trained levels grain is taken for ink.
# Noise alone: a chain of means loses variety, and at level 0.8 and below the digit can mostly be seen already.
#
# **References.**
# P. Vincent, *A connection between score matching and denoising autoencoders*, 2011.
# B. Efron, *Tweedie's formula and selection bias*, 2011.
# J. Lehtinen et al., *Noise2Noise: learning image restoration without clean data*, 2018.
# E. Reehorst and P. Schniter, *Regularization by denoising: clarifications and new interpretations*, 2019.
# K. He et al., *Masked autoencoders are scalable vision learners*, 2022.
#
# **The failure that lesson 06 repairs:** the last row of section 4.
# A walk from noise to data needs the score at *every* noise level, from noise in which no digit is left down to none, and steps that put back the variety that a mean takes away.
