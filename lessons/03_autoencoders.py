# %% [markdown]
# # 03 Autoencoders
#
# **Squeeze an image through a few numbers, and what survives is what matters; but most choices of those numbers give no digit.**
#
# Run the cells down to the first figure.
# Both of its rows come from one network with one set of weights, which turns eight numbers into a picture.
# **Predict:** what differs between the rows?

# %% tags=["setup"]
import io
import lzma

import matplotlib.pyplot as plt
import numpy as np
import torch
from PIL import Image
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score, roc_auc_score
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KNeighborsRegressor
from torch import nn

import course_utils as cu

device = cu.setup()

# %% tags=["figure", "slide"]
# @title Figure: two rows from one decoder
for run in cu.runs.available("03_ae_mixture"):
    frames, _ = run.replay  # (2, 16, 28, 28)
    names = ["upper row", "lower row"]
    ax = cu.plots.image_grid(np.concatenate([x[:10] for x in frames]), rows=2, row_titles=names)
    cu.show(
        ax.figure,
        "Two rows of ten images, all made by one decoder from eight random numbers each.",
    )

# %% [markdown]
# Only the random numbers differ.
# In the upper row they are drawn from a standard normal distribution, $\mathcal N(0, I)$.
# In the lower row they are drawn from a density that was *fitted* to the numbers that belong to real digits.
# You will make such a lower row in section 5.
#
# In lesson 02b an image was explained by *which* of forty Gaussians it came from.
# Here nobody chooses the pieces.
# One network, the **encoder**, writes an image down in $k$ numbers; another, the **decoder**, draws it again from them.
# Nothing is labelled: the target is the input.
#
# **After this lesson you can** *prove* when an autoencoder is PCA; *measure* what a deep one gains and what it loses first;
# *read* a map of codes and *say* where it is empty; *sample* digits by learning the density of the codes;
# *decide* with a number whether a set of codes compresses, detects anomalies, or generates.
#
# **Builds on** 02 (mixtures), 01 (AUROC), and the toolbox (Appendix A): Cards 2 (training), 4 (Gaussians) and 7 (Fréchet distance).
# **Goes on** in 03b (denoising), which lesson 06 needs.
#
# | | |
# |---|---|
# | $x$ | data, here an image as a vector in $[0,1]^{784}$; $\Sigma$ its covariance |
# | $z = e(x)$ | code (latent): $k$ numbers, made by the encoder $e$ |
# | $\hat x = d(z)$ | reconstruction, made by the decoder $d$ |
# | $E$, $D$ | encoder and decoder where they are matrices, $k\times784$ and $784\times k$ |

# %%
mnist = cu.mnist()
train = mnist.train.flat()  # (55000, 784)
val = mnist.val.flat()  # (5000, 784)
test = mnist.test.flat()  # (10000, 784)
mine = cu.my_digit().float().div(255).view(1, 784)
batches = cu.Batches(mnist.train, 256)

# %% [markdown]
# ## 1 · The linear autoencoder is PCA *(core)*
#
# An autoencoder has a **bottleneck**: between encoder and decoder only $k$ numbers pass.
# With $k=784$ it could copy its input and would learn nothing.

# %% tags=["figure", "slide"]
# @title Figure: an autoencoder as boxes
blue, orange, green = "#0072B2", "#D55E00", "#009E73"
d = cu.diagram()
seen = d.image(test[0].view(28, 28), (0, 0))
d.text("x, 784 pixels", (0, -0.65))
encoder = d.box("encoder e", (2.2, 0), 1.7, 1.1, colour=blue)
code = d.box("z", (4.3, 0), 0.5, 0.55, colour=orange)
d.text("k numbers", (4.3, -0.5))
decoder = d.box("decoder d", (6.4, 0), 1.7, 1.1, colour=green)
soft = nn.functional.avg_pool2d(test[:1].view(1, 1, 28, 28), 5, stride=1, padding=2)
made = d.image(soft[0, 0], (8.6, 0))
d.text("x̂, 784 pixels", (8.6, -0.65))
for start, end in ((seen, encoder), (encoder, code), (code, decoder), (decoder, made)):
    d.arrow(start, end)
d.brace((0, 0.7), (8.6, 0.7), "training makes ‖x − x̂‖² small")
rows = (
    ("linear:", "matrix E, k × 784", "matrix D, 784 × k", "no bounds"),
    ("deep:", "784 → 160 → 80 → k", "k → 80 → 160 → 784", "sigmoid"),
    ("", "SiLU between layers", "SiLU between layers", "into [0, 1]"),
)
for row, (name, left, right, last) in enumerate(rows):
    height = -1.1 - 0.32 * row
    d.text(name, (0, height), weight="bold")
    d.text(left, (2.2, height), colour=blue)
    d.text("no bounds" if row == 1 else "", (4.3, height), colour=orange)
    d.text(right, (6.4, height), colour=green)
    d.text(last, (8.6, height))
cu.show(
    d.figure,
    "An autoencoder: the encoder turns an image x into a code z of k numbers, the decoder "
    "turns the code into a reconstruction x̂. Below, what the boxes hold in the linear "
    "autoencoder of section 1 and in the deep one of section 2.",
)

# %% [markdown]
# Training makes the mean squared error small, summed over the pixels and averaged over the images:
#
# $$L = \mathbb E\,\lVert x - d(e(x))\rVert^2 . \tag{1}$$
#
# **Exercise 1 (core).**
# Write the loss (1), for any autoencoder in this lesson.


# %% tags=["exercise"]
def reconstruction_loss(model, x):
    """Equation (1): squared error summed over pixels, averaged over the batch.

    model: (B, d) → (B, d), encoder and decoder. x: (B, 1, 28, 28), or rows (B, d), d any.
    Returns a scalar.
    """
    ### BEGIN SOLUTION
    x = x.flatten(1)
    return (model(x) - x).square().sum(1).mean()
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# `x.flatten(1)` makes rows of 784 pixels of either shape.
# Then three things in this order: the square, the sum over the pixels (`dim=1`), the mean over the batch.

# %%
checked_loss = cu.check("03.reconstruction_loss", reconstruction_loss)

# %% [markdown]
# Take matrices first, on centred data: $z = Ex$ and $\hat x = Dz$.
# Whatever $E$ does, $\hat x = DEx$ lies in the column space $U$ of $D$, a plane of $k$ dimensions through the origin.
# The nearest point of $U$ to $x$ is its orthogonal projection.
# If the columns of $D$ are independent, an encoder exists that hits it: $E = (D^\top D)^{-1}D^\top$.
# So only the choice of $U$ matters.
#
# Let $Q$ hold an orthonormal basis of $U$ in its columns.
# The projection is $QQ^\top x$, and by Pythagoras the loss is all the variance minus the variance inside $U$:
#
# $$L = \mathbb E\lVert x\rVert^2 - \mathbb E\lVert Q^\top x\rVert^2 = \operatorname{tr}\Sigma - \operatorname{tr} Q^\top\Sigma Q . \tag{2}$$
#
# Let $\lambda_1\ge\lambda_2\ge\dots$ be the eigenvalues of $\Sigma$, with unit eigenvectors $v_i$.
# Writing $\Sigma$ in this basis turns the second term of (2) into $\sum_i\lambda_i\,w_i$ with $w_i=\lVert Q^\top v_i\rVert^2$, the share of $v_i$ that lies inside $U$.
#
# Each share is between 0 and 1, because a projection makes no vector longer.
# Together they are $\sum_iw_i=\operatorname{tr}QQ^\top=\operatorname{tr}Q^\top Q=k$.
# So there is a budget of $k$ to spend on the $\lambda_i$, at most 1 on each, and it is best spent on the $k$ largest.
#
# **A linear autoencoder finds the principal subspace, and its loss is the sum of the eigenvalues left out.**
#
# It need not find the principal *components*.
# For any invertible $A$ the pair $AE$, $DA^{-1}$ has the same product, hence the same loss.
#
# **Exercise 2 (core).**
# PCA by the singular value decomposition of the centred data, with the images as rows: $X = BSV^\top$, where $B^\top B=I$.
# Since $X^\top X = VS^2V^\top$, the columns of $V$ are the eigenvectors of the covariance.


# %% tags=["exercise"]
def pca(x, k):
    """The k leading principal components of x (n, 784), after centring.

    Returns the mean (784,), directions (k, 784) as rows of length 1, and variances (k,),
    those of the data along the directions (divide by n, not n − 1).
    """
    ### BEGIN SOLUTION
    mean = x.mean(0)
    _, s, vt = torch.linalg.svd(x - mean, full_matrices=False)
    return mean, vt[:k], s[:k] ** 2 / len(x)
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# `torch.linalg.svd(x - mean, full_matrices=False)` returns three things, and the third is $V^\top$ already: its *rows* are the directions.
# The singular values are not yet variances.

# %%
checked_pca = cu.check("03.pca", pca)

# %% [markdown]
# For all training images the eigenvectors of the 784 × 784 covariance are the quicker way to the same components.
# The cell asserts, on a part of the data, that both ways agree.


# %%
def covariance(x):
    """Mean (784,) and covariance (784, 784) of the rows of x (n, 784), in double precision."""
    x = x.double()
    centred = x - x.mean(0)
    return x.mean(0), centred.T @ centred / len(x)


few = train[: cu.budget(2_000, 1_000)].double()
_, _, by_svd = checked_pca(few, 50)
by_covariance = torch.linalg.eigvalsh(covariance(few)[1]).flip(0)[:50]
torch.testing.assert_close(by_svd, by_covariance)

mean, sigma = covariance(train)
eigenvalues, vectors = torch.linalg.eigh(sigma)  # ascending; eigenvectors are the columns
directions = vectors.flip(1).T[:64]  # the 64 leading ones, as rows
print(f"eigenvalue 6 over eigenvalue 7: {eigenvalues[-6] / eigenvalues[-7]:.2f}")

# %% [markdown]
# The sixth eigenvalue is clearly larger than the seventh, so "the plane of the 6 leading components" is well defined.
#
# Now forget that we know the answer, and train a linear autoencoder with $k=6$ on the loss (1).
# Two planes are compared by their largest **principal angle**: the largest angle that a direction of the first plane can make with the second.
# With orthonormal bases $Q_1$, $Q_2$ its cosine is the smallest singular value of $Q_1^\top Q_2$.
#
# **Predict:** by section 1's freedom $A$ they need not be the principal components; how close, in degrees, will the nearest of the six columns of $D$ come to one?


# %%
class LinearAutoencoder(nn.Module):
    """x → mean + D E (x − mean), with E (k, 784) and D (784, k)."""

    def __init__(self, mean, k):
        super().__init__()
        self.register_buffer("mean", mean.float())
        self.encode = nn.Linear(784, k, bias=False)
        self.decode = nn.Linear(k, 784, bias=False)

    def forward(self, x):
        return self.mean + self.decode(self.encode(x - self.mean))


def largest_angle(columns, rows):
    """Largest principal angle, in degrees, of two planes: columns (784, k), rows (k, 784)."""
    q, _ = torch.linalg.qr(columns)
    cosine = torch.linalg.svdvals(q.T @ rows.T.to(q)).min().clamp(max=1)
    return torch.rad2deg(torch.acos(cosine)).item()


# %%
torch.manual_seed(0)
linear = LinearAutoencoder(mean, 6)
untrained_angle = largest_angle(linear.decode.weight.detach().cpu(), directions[:6])
history = cu.fit(linear, checked_loss, batches, steps=1_000, lr=5e-3, schedule="cosine")

# %%
with torch.no_grad():
    trained_loss = checked_loss(linear, train.to(device)).item()
D = linear.decode.weight.detach().cpu().double()
cosines = (directions[:6] @ nn.functional.normalize(D, dim=0)).abs()  # (6, 6)
angles = torch.rad2deg(cosines.acos())  # of each component with each column
cu.facts(
    {
        "loss of the trained autoencoder": f"{trained_loss:.3f}",
        "sum of the eigenvalues left out": f"{eigenvalues[:-6].sum():.3f}",
        "angle to the principal plane before training, degrees": f"{untrained_angle:.0f}",
        "the same after training": f"{largest_angle(D, directions[:6]):.1f}",
        "smallest angle of a column to a component, degrees": f"{angles.min():.0f}",
    }
)

# %% tags=["figure", "slide"]
# @title Figure: six principal components, and six columns of the decoder
basis = torch.cat([directions[:6], D.T]).view(12, 28, 28)
basis = basis / basis.abs().amax((1, 2), keepdim=True)
basis = nn.functional.pad(basis, (1, 1, 1, 1), value=float("nan"))
tiles = basis.view(2, 6, 30, 30).permute(0, 2, 1, 3).reshape(60, 180)
fig, ax = plt.subplots(figsize=(9.4, 3.4))
ax.imshow(tiles.numpy(), cmap="RdBu_r", vmin=-1, vmax=1)
names = ["principal\ncomponents", "decoder's\ncolumns"]
ax.set(xticks=[], yticks=[15, 45], yticklabels=names, title="One plane, two bases")
ax.grid(False)
cu.show(
    fig,
    "The six principal components and the six columns of the trained decoder, each scaled "
    "to its largest value; red positive, blue negative, white zero.",
)

# %% [markdown]
# The loss agrees with the derivation to three decimals, and the plane has turned from nearly a right angle to half a degree from the principal one.
# Its basis is another matter: every column is a mixture of components, and none comes closer than 31 degrees to any of them.
# That is the freedom $A$.
#
# **The codes of an autoencoder have no natural axes.**

# %% [markdown]
# ## 2 · The deep autoencoder *(core)*
#
# Put layers with a nonlinearity on both sides, and the set of possible reconstructions may bend.
# Instead of a flat plane it is a curved sheet of $k$ dimensions in the 784-dimensional space.
# The sketch shows it with one code number in a space of two pixels.

# %% tags=["figure", "slide"]
# @title Figure: what a linear and a curved decoder can draw
t = np.linspace(-1, 1, 9)
curve = np.linspace(-1.15, 1.15, 200)
noise = np.random.default_rng(3).normal(0, 0.09, (2, 9))
data = np.stack([t, 0.9 * t**2 - 0.35]) + noise
near = np.stack([curve, 0.9 * curve**2 - 0.35])  # the sheet: one dimension in two
closest = ((data[:, :, None] - near[:, None]) ** 2).sum(0).argmin(1)
fig, axes = plt.subplots(1, 2, figsize=(9.4, 3.6), sharey=True)
flat = np.stack([curve, 0 * curve])
feet = (np.stack([data[0], 0 * t]), near[:, closest])
for ax, sheet, foot, name in zip(axes, (flat, near), feet, ("linear: flat", "deep: curved")):
    ax.plot(*sheet, color=green, linewidth=2.5, label="all that the decoder can draw")
    for start, end in zip(data.T, foot.T):
        ax.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "color": "#777777"})
    ax.plot(*data, "o", color=blue, label="images x")
    ax.plot(*foot, "s", color=orange, markersize=5, label="reconstructions x̂")
    ax.set(xlabel="pixel 1", title=f"One number, {name}", xticks=[], yticks=[], aspect="equal")
axes[0].set_ylabel("pixel 2")
axes[1].legend(fontsize=9, loc="upper center")
cu.show(
    fig,
    "A sketch with two pixels and one code number. The decoder turns the code into a place "
    "on its sheet, a straight line (left) or a curve (right); the encoder chooses the place.",
)

# %% [markdown]
# Between layers stands SiLU, $a\cdot\mathrm{sigmoid}(a)$, a smooth ReLU; the last layer is a sigmoid, because pixels lie in $[0, 1]$.
# The code has no nonlinearity and no bounds: nothing tells it where to be.
# Section 5 shows the price.


# %% tags=["shared"]
class Autoencoder(nn.Module):
    """784 → 160 → 80 → k → 80 → 160 → 784, SiLU between layers, a sigmoid at the end."""

    def __init__(self, k, pixels=784, hidden=(160, 80)):
        super().__init__()
        self.encode = cu.nets.mlp(pixels, *hidden, k)  # (B, 784) → (B, k)
        back = cu.nets.mlp(k, *hidden[::-1], pixels)
        self.decode = nn.Sequential(back, nn.Sigmoid())  # (B, k) → (B, 784)

    def forward(self, x):
        return self.decode(self.encode(x))


# %% [markdown]
# Train three of them, with codes of 2, 8 and 32 numbers.

# %% tags=["quiet"]
deep = {}
histories = {}
live_error = {}
for k in (2, 8, 32):
    torch.manual_seed(0)
    deep[k] = Autoencoder(k)
    recipe = {"steps": 1_000, "full": 16_000, "lr": 2e-3, "schedule": "cosine"}
    histories[k] = cu.fit(deep[k], checked_loss, batches, **recipe)
    with torch.no_grad():
        live_error[k] = checked_loss(deep[k], val.to(device)).item()

# %% tags=["author"]
for k in deep:
    cu.ship(
        f"03_ae_{k}",
        deep[k],
        histories[k],
        what=f"autoencoder with a code of {k} numbers",
        figures={"squared error, validation": (live_error[k], 0.02 * live_error[k])},
    )

# %%
# From here on the lesson uses the shipped weights: the same cell with 16,000 steps.
shipped = {k: cu.restore(f"03_ae_{k}", deep[k]) for k in deep}


@torch.no_grad()
def reconstruct(k, x, kind):
    """Reconstructions (n, 784) in [0, 1] through k numbers: kind 'PCA' or 'deep'."""
    if kind == "deep":
        return deep[k](x.to(device)).cpu()
    basis = directions[:k].float()
    return ((x - mean.float()) @ basis.T @ basis + mean.float()).clamp(0, 1)


def pca_error(k, x):
    """Squared error of PCA with k numbers, per image of x (n, 784)."""
    return (reconstruct(k, x, "PCA") - x).square().sum(1).mean().item()


# %% tags=["figure", "slide"]
# @title Figure: the loss while three code sizes train
fig, ax = plt.subplots(figsize=(9.4, 4))
for colour, (k, history) in zip((blue, orange, green), histories.items()):
    ax.plot(history.steps, history["loss"], color=colour, label=f"deep, {k} numbers")
    ax.axhline(pca_error(k, val), color=colour, linestyle=":", label=f"PCA, {k} numbers")
    ax.plot(history.steps[-1], live_error[k], "o", color=colour)
ax.set(
    xlabel="step",
    ylabel="squared error per image",
    ylim=(0, 60),
    title="Training loss with codes of 2, 8 and 32 numbers",
)
ax.legend(ncols=3, fontsize=10)
cu.show(
    fig,
    "Training loss of three autoencoders during the short training (one seed each); a dot "
    "is the error on validation digits at its end, a dotted line that of PCA with as many "
    "numbers.",
)
for k, run in shipped.items():
    long = run.figure("squared error, validation")
    print(
        f"{k} numbers: PCA {pca_error(k, val):.1f}, {live_error[k]:.1f} now, {long:.1f} shipped"
    )

# %% [markdown]
# With 2 and with 8 numbers even this short training beats PCA, here measured on validation digits; with 32 it is still behind.
# The curves are flat at the end because the learning rate has been lowered to zero, not because nothing is left to learn.
# After the shipped training, sixteen times as long, the deep networks win at every size, and eight numbers of the deep network do about as well as 32 of PCA.

# %% [markdown]
# ## 3 · What is lost first? *(core)*
#
# **Vote.**
# Your digit passes through 32 numbers, then 8, then 2.
# What is lost first: your *style* (the slant, the thickness, the loop that nobody else makes), or the *class*?

# %% tags=["figure", "slide"]
# @title Widget: ten digits through k numbers
ten = torch.cat([mine, test[:9]])


def draw_codes(k):
    """Your digit and nine test digits above their reconstructions through k numbers."""
    rows = torch.cat([ten, reconstruct(k, ten, "PCA"), reconstruct(k, ten, "deep")])
    names = ["original", f"PCA, {k}", f"deep, {k}"]
    return cu.plots.image_grid(rows.view(-1, 28, 28), rows=3, row_titles=names).figure


def all_codes_drawn():
    """The static picture: all code sizes below each other."""
    rows = [ten]
    names = ["original"]
    for kind in ("deep", "PCA"):
        for k in (32, 8, 2):
            rows.append(reconstruct(k, ten, kind))
            names.append(f"{kind}, {k}")
    pictures = torch.cat(rows).view(-1, 28, 28)
    return cu.plots.image_grid(pictures, rows=7, row_titles=names).figure


cu.explore(
    draw_codes,
    "Your digit (left) and nine test digits, and what is left of them after passing through k "
    "numbers, by the autoencoder and by PCA.",
    k={"options": [2, 8, 32], "value": 8},
    static=all_codes_drawn,
)

# %% [markdown]
# Two numbers settle the vote.
# *Class kept* is how often the course's digit classifier reads the reconstruction as the true class.
# *Style* is what an image has beyond its class: its deviation from the mean image $\bar x$ of its own class.
# *Style kept* is the share of the squared deviations that survives, $1-\sum\lVert x-\hat x\rVert^2/\sum\lVert x-\bar x\rVert^2$.

# %%
some = mnist.test.sample(cu.budget(2_000))
some_x = some.flat()
class_means = torch.stack([train[mnist.train.y == c].mean(0) for c in range(10)])
deviation = (class_means[some.y] - some_x).square().sum()


@torch.no_grad()
def read(x):
    """The classes (n,) that the course's classifier reads in images x (n, 784)."""
    return cu.metrics.classifier()(x.reshape(-1, 1, 28, 28).to(device)).argmax(1).cpu()


survival = []  # code, squared error per image, class kept, style kept
for kind in ("deep", "PCA"):
    for k in (32, 8, 2):
        out = reconstruct(k, some_x, kind)
        error = (out - some_x).square().sum()
        class_kept = (read(out) == some.y).float().mean()
        row = [f"{kind}, {k}", error / len(some), f"{class_kept:.0%}"]
        survival.append([*row, f"{1 - error / deviation:.0%}"])

# %% tags=["figure"]
# @title Table: error, class and style that survive
cu.table(
    [[name, error.item(), *kept] for name, error, *kept in survival],
    ["code", "squared error", "class kept", "style kept"],
    f"{len(some):,} test digits, the shipped networks (one training each). Style kept below "
    "zero: the mean image of the class would have been nearer.",
    digits=1,
)

# %% [markdown]
# Style goes first: from 32 numbers to 8 it falls further than the class does.
# Through 8 numbers 94 % of the digits keep their class and 72 % of the style is left; through 2 it is 67 % and 32 % (a wrong class counts as lost style, too).
# There a digit is drawn as the nearest thing that the sheet contains, and one in three is read as *another* digit, often a clear one: in the figure both 4s have become 9s.
#
# PCA errs otherwise: it blurs.
# Of its pictures through two numbers the classifier reads fewer correctly than by guessing: they look like no single digit.

# %% [markdown]
# ## 4 · The map *(core)*
#
# With two numbers the whole space of codes fits on paper: a map of the digits.
#
# Where on it are the digits?
# Take the code of each test digit and its distance to the nearest code of a training digit.
# For 95 % of the test digits this distance is below a certain value.
# Call that value one **spacing**, and a place that is further than one spacing from every training code a **hole**.
# By this definition 5 % of new digits lie in holes themselves.


# %% tags=["shared"]
@torch.no_grad()
def codes(model, x):
    """Codes (n, k) on the CPU of images x (n, 784)."""
    where = next(model.parameters()).device
    return model.encode(x.to(where)).cpu()


@torch.no_grad()
def decode(model, z):
    """Images (n, 28, 28) on the CPU from codes z (n, k)."""
    where = next(model.parameters()).device
    return model.decode(z.to(where)).cpu().view(-1, 28, 28)


def to_nearest(z, home):
    """Distance (n,) from codes z (n, k) to the nearest of the codes home (N, k)."""
    return torch.cat([torch.cdist(part, home).min(1).values for part in z.split(500)])


# %%
home = {}  # codes of the 55,000 training digits
spacing = {}
for k in (2, 8):
    home[k] = codes(deep[k], train)
    new = codes(deep[k], test[: cu.budget(10_000, 500)])
    spacing[k] = to_nearest(new, home[k]).quantile(0.95)
visitors = codes(deep[2], test)  # (10000, 2)
low = visitors.quantile(0.01, dim=0)  # the box that the map shows
high = visitors.quantile(0.99, dim=0)

# %% [markdown]
# **Predict:** which digits get a region of their own, and which share one?
# Does any class get *two* regions?


# %% tags=["figure", "slide"]
# @title Widget: the map, and what the decoder draws at a cross
def draw_crosses(*places):
    """The map with crosses; beside it what is decoded there, and how far the next code is."""
    fig = plt.figure(figsize=(9.6, 5.6), layout="none")
    parts = fig.add_gridspec(
        1, 2, width_ratios=(2.6, 1), left=0.085, right=0.99, top=0.88, bottom=0.18, wspace=0.1
    )
    ax = fig.add_subplot(parts[0])
    style = {"s": 7, "alpha": 1, "linewidths": 0}
    digits = list("0123456789")
    cu.plots.scatter(visitors[:2000], mnist.test.y[:2000], ax=ax, names=digits, **style)
    ax.set(xlabel="z₁", ylabel="z₂", title="The map: 2,000 test digits", aspect="auto")
    ax.set(xlim=(low[0].item(), high[0].item()), ylim=(low[1].item(), high[1].item()))
    ax.grid(False)
    below = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.12), "handletextpad": 0}
    ax.legend(ncols=10, fontsize=11, markerscale=2.5, columnspacing=0.6, **below)
    right = parts[1].subgridspec(len(places), 1, hspace=0.55)
    for row, (letter, place) in enumerate(zip("ABC", places)):
        point = torch.tensor([place], dtype=torch.float32)
        gap = (to_nearest(point, home[2]) / spacing[2]).item()
        ax.plot(*place, "k+", markersize=20, markeredgewidth=3)
        ax.annotate(
            letter, place, xytext=(9, 7), textcoords="offset points", weight="bold", size=15
        )
        picture = fig.add_subplot(right[row])
        cu.plots.image_grid(decode(deep[2], point), ax=picture)
        where = "a hole" if gap > 1 else "inhabited"
        colour = orange if gap > 1 else blue
        picture.set_title(
            f"{letter}: {gap:.1f} spacings,\n{where}", color=colour, fontsize=11, loc="center"
        )
    return fig


cu.plane(
    lambda x, y: draw_crosses((x, y)),
    "Left: codes of 2,000 test digits in two dimensions, coloured by class, with crosses. "
    "Right: what the decoder draws there, and the distance to the nearest code of a training "
    "digit, in spacings.",
    x=(low[0].item(), high[0].item()),
    y=(low[1].item(), high[1].item()),
    labels=("z₁", "z₂"),
    static=lambda: draw_crosses((8.0, 3.0), (5.0, -4.0), (-9.0, 6.0)),
)

# %% [markdown]
# 0 (top right) and 1 (left edge) have regions almost to themselves.
# 4, 7 and 9 run into each other in one wedge, 3, 5 and 8 in a knot in the middle: digits that share strokes are neighbours, though no label was used.
# But 2 has *two* regions, far apart, and so has 6.
# Nothing in the loss keeps a class together; it only asks that every digit can be redrawn.
#
# At A, among the 0s, the decoder draws a clean 0.
# At B, between the classes, it draws a grey mixture of two digits that is neither.
# At C, far from every digit, it draws a black scrawl.
#
# Now fly over the map with the sliders, from class to class and out into the white.

# %%
side = cu.budget(12)
across = torch.linspace(low[0], high[0], side).repeat(side)
down = torch.linspace(high[1], low[1], side).repeat_interleave(side)
places = torch.stack([across, down], 1)  # (side², 2), row by row from the top, as on the map
hole = to_nearest(places, home[2]) > spacing[2]  # (side²,)
decoded = decode(deep[2], places)  # (side², 28, 28)

dice = torch.Generator().manual_seed(0)
anywhere = low + (high - low) * torch.rand(cu.budget(4_000), 2, generator=dice)
empty = (to_nearest(anywhere, home[2]) > spacing[2]).float().mean()
inside = ((visitors > low) & (visitors < high)).all(1).float().mean()
print(f"The box holds {inside:.0%} of the test digits; {empty:.0%} of its area is a hole.")

# %% tags=["figure", "slide"]
# @title Figure: what the decoder draws, place by place
pale = torch.tensor([1.0, 0.78, 0.6])
paper = torch.where(hole[:, None], pale, torch.ones(3))[:, :, None, None]
_, ax = plt.subplots(figsize=(9.2, 9.2))
cu.plots.image_grid((1 - decoded[:, None]) * paper, rows=side, ax=ax)
cu.show(
    ax.figure,
    "What the decoder draws at a grid of places on the same map. Orange paper: a hole, no "
    "training code within one spacing.",
)

# %% [markdown]
# A third of the area is holes, although nearly all digits live on this map.
# Over a hole the decoder draws *something*, because nothing ever told it not to: often still the digit of the nearest class, sometimes too black or too grey, sometimes a mixture of two classes.

# %% [markdown]
# ## 5 · Can we sample? *(core)*
#
# A decoder turns $k$ numbers into a picture.
# So draw $k$ random numbers!
# But from which density?
#
# **Exercise 3 (core, predict and measure).**
# Commit yourself: of draws from $\mathcal N(0, I)$, how many per cent fall into holes, with codes of 2 numbers and with codes of 8?


# %% tags=["exercise"]
def my_guess():
    """Your guess: two numbers between 0 and 100, in per cent.

    The share of draws from N(0, I) that fall into holes: (with 2 numbers, with 8 numbers).
    """
    ### BEGIN SOLUTION
    return 50.0, 50.0
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# Look at the scale of the map's axes, and ask how much of the map a standard normal covers.
# There is no wrong guess: write `return 10, 90`, say.

# %%
checked_guess = cu.check("03.guess", my_guess)

# %% [markdown]
# Three densities will be compared.
# The first is $\mathcal N(0, I)$, which has not seen the codes.
# The second is one Gaussian with the mean and covariance of the training codes.
# The third is lesson 02's mixture, here of 60 Gaussians, fitted to the training codes.
# All three are mixtures: the first two have one component.
#
# **Exercise 4 (core).**
# Write the sampler for a mixture: pick a component for each draw by the weights, then draw from that Gaussian.


# %% tags=["exercise"]
def sample_mixture(weights, means, covariances, n):
    """n draws (n, k) from a mixture of K Gaussians, in random order.

    weights: (K,), sum 1. means: (K, k). covariances: (K, k, k).
    """
    ### BEGIN SOLUTION
    which = torch.multinomial(weights, n, replacement=True)  # (n,)
    noise = torch.randn(n, means.shape[1], 1, dtype=means.dtype)  # (n, k, 1)
    chol = torch.linalg.cholesky(covariances)  # (K, k, k)
    return means[which] + (chol[which] @ noise)[..., 0]
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# `torch.multinomial(weights, n, replacement=True)` picks $n$ components.
# A Gaussian draw is mean $+\,L\varepsilon$, where $L$ comes from `torch.linalg.cholesky` (Card 4).
# Indexing with the picks, `means[which]`, gives each draw its own mean.

# %%
checked_sampler = cu.check("03.sample_mixture", sample_mixture)


# %%
def fitted_mixture(z, components):
    """Weights, means and covariances of a mixture fitted to the first 20,000 codes z (N, k)."""
    mixture = GaussianMixture(components, random_state=0, reg_covar=1e-4)
    mixture.fit(z[: cu.budget(20_000, 2_000)].double().numpy())
    parts = (mixture.weights_, mixture.means_, mixture.covariances_)
    return [torch.from_numpy(part) for part in parts]


n_set = cu.budget(1_000, 200)
names = ("N(0, I)", "one Gaussian", "mixture")
points = {}  # (k, name) → five independent sets of codes, (5 n_set, k)
for k in (2, 8):
    z = home[k].double()
    eye = torch.eye(k, dtype=torch.float64)
    density = {"N(0, I)": (torch.ones(1), torch.zeros_like(z[:1]), eye[None])}
    density["one Gaussian"] = (torch.ones(1), z.mean(0, keepdim=True), z.T.cov()[None])
    density["mixture"] = fitted_mixture(z, cu.budget(60, 10))
    torch.manual_seed(0)
    for name in names:
        points[k, name] = checked_sampler(*density[name], 5 * n_set).float()

# %%
drawn = {name: decode(deep[8], points[8, name]) for name in names}

# %% tags=["figure", "slide"]
# @title Figure: one decoder, three ways to draw its code
ten_each = torch.cat([x[:10] for x in drawn.values()])
ax = cu.plots.image_grid(ten_each, rows=3, row_titles=list(drawn))
cu.show(
    ax.figure,
    "Ten decoded draws each of eight code numbers: from N(0, I), from one Gaussian fitted "
    "to the codes, and from a mixture fitted to them.",
)

# %% [markdown]
# From $\mathcal N(0, I)$ comes grey texture, with a ghost of a digit here and there.
# One Gaussian in the right place already gives digits, among blots and broken strokes.
# In the last row most are digits.
# The decoder is the same in all three.
#
# Here is your guess beside the measurement.

# %%
nearest = {name: to_nearest(points[8, name][:1000], home[8]) for name in names}
nearest["new digits"] = to_nearest(codes(deep[8], val[:1000]), home[8])

guesses = dict(zip((2, 8), checked_guess()))
for k in (2, 8):
    print(f"{k} numbers: you guessed {guesses[k]:.0f} % for N(0, I)")
    for name in names:
        far = to_nearest(points[k, name][:1000], home[k]) > spacing[k]
        print(f"   {name}: {far.float().mean():.0%} of the draws in holes")
common = torch.bincount(read(decode(deep[2], points[2, "N(0, I)"][:1000])), minlength=10)
print(f"2 numbers, N(0, I): {common.max() / common.sum():.0%} are read as a {common.argmax()}")
for k in (2, 8):
    spread = home[k].std(0)
    sizes = f"{spread.min():.1f} to {spread.max():.1f}"
    print(f"{k} numbers: standard deviations of the codes {sizes},")
    print(f"   means at most {home[k].mean(0).abs().max():.1f} from 0")
validation = nearest["new digits"] > spacing[8]
print(f"   validation digits: {validation.float().mean():.0%} in holes")

# %% tags=["figure", "slide"]
# @title Figure: where the draws land
# the two coordinates whose mean is furthest from 0
shifted = (home[8].mean(0) / home[8].std(0)).abs().topk(2).indices
clouds = (("codes of digits", home[8], blue), ("N(0, I)", points[8, "N(0, I)"], orange))
fig, axes = plt.subplots(1, 2, figsize=(9.6, 4.2), width_ratios=(1, 1.1))
for name, z, colour in clouds:
    dots = z[:1000, shifted].T
    axes[0].scatter(*dots, s=6, color=colour, linewidths=0, label=name)
axes[0].set(
    xlabel=f"z, coordinate {shifted[0] + 1}",
    ylabel=f"z, coordinate {shifted[1] + 1}",
    title="N(0, I) looks elsewhere",
)
axes[0].legend(markerscale=3)
labels = [name.replace(" ", "\n", 1) if "," not in name else name for name in nearest]
axes[1].boxplot(nearest.values(), tick_labels=labels, showfliers=False)
axes[1].axhline(float(spacing[8]), color="black", linestyle=":", label="1 spacing")
axes[1].legend(loc="upper right", fontsize=11)
axes[1].set(
    ylabel="distance to the nearest code",
    ylim=(0, None),
    title="The mixture lands where digits land",
)
cu.show(
    fig,
    "Left: the two of the eight code coordinates whose means are furthest from 0, for 1,000 "
    "digits and 1,000 draws of a standard normal. Right (boxes: quartiles; no outliers): "
    "distance to the nearest training code, for three ways of drawing a code, and for "
    "validation digits; the dotted line is one spacing.",
)

# %% [markdown]
# With 8 numbers practically *every* draw of $\mathcal N(0, I)$ falls into a hole.
# Nothing in (1) asked the codes to lie around zero, and they do not: the standard normal looks elsewhere.
# One Gaussian with the right mean and covariance repairs place and size, and still about half of its draws fall into holes.
# What is left must be the shape: arms and gaps, as on the map of section 4, that no ellipse follows.
# The mixture's draws lie nearly as close to known codes as new digits do.
#
# With 2 numbers hardly any draw of $\mathcal N(0, I)$ falls into a hole, and it is no use either.
# The codes are spread six times as wide, so the draws fall on one crowded spot around the origin: 58 % are read as a 4.
#
# **A density on the codes has to be in the right place, of the right size, and of the right shape.**

# %% [markdown]
# Now put a number on the samples.
# The Fréchet distance (Card 7) compares two sets of images as the course's digit classifier sees them: it fits a Gaussian to the features of each set and measures how far the two Gaussians are apart.
# KID, the kernel distance beside it, has no bias from the number of images; Fréchet distances can be compared only at equal $n$.
# For both, less is better.
#
# Beside the three densities stand two controls.
# One is the same recipe through the *linear* bottleneck: PCA with 8 numbers, and a mixture fitted to them.
# The other is no generator: reconstructions of real digits.
# **Predict** the order.

# %%
basis8 = directions[:8].float()
linear_codes = (train[:20_000] - mean.float()) @ basis8.T
linear_draws = checked_sampler(*fitted_mixture(linear_codes, cu.budget(60, 10)), 5 * n_set)

entrants = {f"decoder on {name}": x for name, x in drawn.items()}
entrants["PCA on mixture"] = linear_draws.float() @ basis8 + mean.float()
entrants["reconstructed test digits"] = decode(deep[8], codes(deep[8], test[: 5 * n_set]))
images = {name: cu.to_uint8(x.clamp(0, 1)).view(-1, 28, 28) for name, x in entrants.items()}
board = cu.metrics.scoreboard(images, n=n_set, reference="validation")

# %% tags=["figure"]
# @title Table: how far from real digits
real = [name for name in board if name not in images]
models = sorted(images, key=lambda name: board[name].distance)
cu.table(
    [[name, *board[name].row(1)[:2]] for name in [*real, *models]],
    ["images", *board[real[0]].COLUMNS[:2]],
    f"Five sets of {n_set:,} images each against validation digits; ± is the standard "
    "deviation over the sets. One decoder, trained once, in all rows but the first and that "
    "of PCA.",
)

# %% [markdown]
# The decoder on the mixture is as near to the validation digits as reconstructions of real digits are (those are test digits, whose writers differ from those of the validation digits).
# So a better density on these codes would probably gain little.
# What still separates the reconstructions from real digits is lost between encoder and decoder; to the eye it is softness.
# Each of the other rows makes one mistake: the right decoder fed from the wrong density, or the right recipe through a *linear* bottleneck.
#
# So this is a recipe of many generative models: **learn a code, then learn the density of the codes.**

# %% [markdown]
# ## 6 · The arena so far *(deeper)*
#
# The pair of decoder and mixture enters the arena of lesson 07.
# An entry says how to draw from the model, what a training step is, what must be fitted once, and how many numbers one must keep.


# %% tags=["author"]
def shipped_samples():
    return cu.to_uint8(drawn["mixture"])[:1_000]


def shipped_replay():
    rows = [cu.to_uint8(drawn[name][:16]) for name in ("N(0, I)", "mixture")]
    return torch.stack(rows), [0, 1]


def shipped_figures():
    five = cu.metrics.score(images["decoder on mixture"], n_set, "test")
    few = cu.metrics.score(shipped_samples(), 1_000, "test")
    return {
        "Fréchet distance, five sets of 1,000": (five.distance, 3 * five.distance_spread),
        "its standard deviation over the sets": (five.distance_spread, five.distance_spread),
        "Fréchet distance of the shipped samples": (few.distance, 0.05),
        "KID of the shipped samples": (few.kid, 0.005),
    }


cu.ship(
    "03_ae_mixture",
    what="autoencoder (k = 8) with a mixture of 60 Gaussians on its codes",
    samples=shipped_samples,
    sample_kind="decoder means",
    replay=shipped_replay,
    figures=shipped_figures,
)

# %%
kept = []  # the mixture's weights, means and covariances


def fit_codes():
    """What has to be done once before drawing: the mixture on the codes."""
    kept[:] = fitted_mixture(home[8], cu.budget(60, 10))


def draw_digits(n):
    """n images: a code from the mixture, decoded."""
    return decode(deep[8], checked_sampler(*kept, n).float())


numbers = cu.nets.count_parameters(deep[8].decode)
numbers += 60 * (1 + 8 + 36)  # and the mixture: weights, means, covariances
step = cu.arena.training_step(deep[8], checked_loss, train[:256].to(device))
cu.enter("03_ae_mixture", draw_digits, step=step, steps=16_000, numbers=numbers, fit=fit_codes)

# %%
names = ["00_pixels", "00_gaussian", "02_mixture", "03_ae_mixture"]
arena = cu.runs.available(*names, samples=True)
n_arena = cu.budget(1_000, 200)
standing = {run.name: torch.from_numpy(run.samples) for run in arena}
standing = cu.metrics.scoreboard(standing, n=n_arena, reference="test")

# %% tags=["figure"]
# @title Figure: ten samples of each entry in the arena
ten_each = np.concatenate([run.samples[:10] for run in arena])
ax = cu.plots.image_grid(ten_each, rows=len(arena), row_titles=[run.name for run in arena])
cu.show(
    ax.figure,
    "The arena so far: ten samples of each run that ships with the course up to this lesson.",
)

# %% tags=["figure"]
# @title Table: the arena so far
kinds = {run.name: run.card["samples"]["kind"] for run in arena}
order = sorted(kinds, key=lambda name: standing[name].distance)
real = [name for name in standing if name not in kinds]
cu.table(
    [[name, kinds.get(name, "real"), *standing[name].row(1)] for name in [*real, *order]],
    ["images", "they are", *standing[real[0]].COLUMNS],
    f"Sets of {n_arena:,} images against the test digits; ± is the standard deviation over the "
    "sets, and where a run ships one set only there is none. One training each.",
)

# %% [markdown]
# This is the **arena**: whatever ships samples is measured there by the same code and at the same $n$, in this lesson and in every later one.
# (8.3 here is one set against test digits; 12.3 in section 5 was against validation digits.)
# The middle of the table surprises.
# The eye reads the draws of lesson 02b's mixture at once, but to the classifier, which never saw noise, their speckle drowns the shapes.
# So look at the pictures whenever you read the number.
# And read the second column: the other entries are draws, with all the randomness that their model claims, ours are the decoder's means.

# %% [markdown]
# ## 7 · Between two codes *(deeper)*
#
# The straight line between two codes, decoded, against the straight line between two images.
# In class, put your neighbour's digit in the place of `other`.

# %%
other = test[4:5]
# Or your neighbour's:
# other = cu.my_digit("""14 lines of # and .""").float().div(255).view(1, 784)
weight = torch.linspace(0, 1, 9)[:, None]  # (9, 1)
z_mine = codes(deep[8], mine)
z_other = codes(deep[8], other)
path = decode(deep[8], (1 - weight) * z_mine + weight * z_other)
fade = ((1 - weight) * mine + weight * other).view(9, 28, 28)

first = test[:500]
second = test[500:1000]
z_first = codes(deep[8], first)
z_second = codes(deep[8], second)


def grey(x):
    """The share of the pixels that are grey (0.1 to 0.9), as text."""
    return f"{((x > 0.1) & (x < 0.9)).float().mean():.1%}"


halfway = decode(deep[8], (z_first + z_second) / 2)
print(f"pixels: {grey(first)} grey at the ends, {grey((first + second) / 2)} halfway")
print(f"codes:  {grey(decode(deep[8], z_first))} grey at the ends, {grey(halfway)} halfway")
far = to_nearest((z_first + z_second) / 2, home[8]) > spacing[8]
print(f"halfway codes in holes: {far.float().mean():.0%}")

# %% tags=["figure"]
# @title Figure: from your digit to another in nine steps
names = ["pixels", "codes, k = 8"]
ax = cu.plots.image_grid(torch.cat([fade, path]), rows=2, row_titles=names)
cu.show(
    ax.figure,
    "From your digit (left) to a test digit (right) in nine steps: above a mixture of the two "
    "images, below decoded points of the line between their codes.",
)

# %% [markdown]
# The fade shows both digits at once in grey ink, which no pen makes: halfway it has more than twice as many grey pixels as real digits.
# The code path bends and moves strokes, and halfway it is hardly greyer than at its ends (reconstructions are a little soft everywhere).
# A tenth of the halfway codes fall into holes, twice as many as of new digits.
# In the picture above the halfway image is no digit; section 4's B shows that a place near known codes need not draw one.

# %% [markdown]
# ## 8 · Does the code capture the factors? *(deeper)*
#
# With digits nobody knows the true factors of variation.
# So plant two: a bump on a line of 64 points, with a mean and a width drawn at random.
# A code of 2 numbers *can* hold everything.
# **Predict:** does it, and can a linear regression read the factors off the code?


# %%
def bumps(n, seed):
    """n bumps (n, 64) and their factors (n, 2): mean in [0.2, 0.8], width in [0.04, 0.15]."""
    generator = torch.Generator().manual_seed(seed)
    lowest = torch.tensor([0.2, 0.04])
    factors = lowest + torch.rand(n, 2, generator=generator) * torch.tensor([0.6, 0.11])
    u = torch.linspace(0, 1, 64)
    return torch.exp(-0.5 * ((u - factors[:, :1]) / factors[:, 1:]) ** 2), factors


bump_train, factor_train = bumps(8_000, 0)
bump_test, factor_test = bumps(2_000, 1)
bump_batches = cu.Batches(bump_train, 128)
torch.manual_seed(0)
bump_model = Autoencoder(2, pixels=64, hidden=(128, 64))
cu.fit(bump_model, checked_loss, bump_batches, steps=4_000, lr=2e-3, schedule="cosine")
code_train = codes(bump_model, bump_train)
code_test = codes(bump_model, bump_test)


# %%
def r2_of(reader):
    """R² (2,) on held-out bumps of a regression that reads both factors off the code."""
    reader.fit(code_train, factor_train)
    return r2_score(factor_test, reader.predict(code_test), multioutput="raw_values")


r2_neighbours = r2_of(KNeighborsRegressor(10))
r2_line = r2_of(LinearRegression())
for column, name in enumerate(("mean", "width")):
    scores = (r2_neighbours[column], r2_line[column])
    print("R² of the {}: ten neighbours {:.3f}, a straight line {:.2f}".format(name, *scores))

# %% tags=["figure"]
# @title Figure: codes of bumps, coloured by the planted factors
fig, axes = plt.subplots(1, 2, figsize=(9.6, 4))
for ax, column, name in zip(axes, (0, 1), ("mean", "width")):
    colour = factor_test[:, column]
    dots = ax.scatter(*code_test.T, c=colour, s=6, cmap="viridis", linewidths=0)
    fig.colorbar(dots, ax=ax, label=f"planted {name}")
    ax.set(xlabel="z₁", ylabel="z₂", title=f"coloured by the {name}")
cu.show(
    fig,
    "Codes of 2,000 held-out bumps, coloured by the planted mean (left) and by the planted "
    "width (right). One training.",
)

# %% [markdown]
# Ten neighbours read both factors almost perfectly: the code holds them, and bumps that are alike lie close together.
# The regression reads the mean well ($R^2$ = 0.97) and the width badly (0.35).
# In the figure the mean changes along the curved strip of codes and the width across it, in a direction that turns along the way.
#
# Nothing in (1) asks for straight axes: any smooth, invertible warp of the code that the encoder can apply and the decoder can undo has the same loss.
# It is section 1's matrix $A$, now curved.
# **Codes are defined only up to a warp.**

# %% [markdown]
# ## 9 · Compression *(deeper)*
#
# A code of a few numbers looks like compression, but numbers cost bits.
# Here every byte counts that is really written.
# Codes are rounded to multiples of a step, each coordinate is stored as one stream, and the streams are packed by a general-purpose coder (LZMA).
# The competitors are JPEG and JPEG 2000, given one large picture of all digits, so that file headers do not decide.
# Quality is measured in decibels: PSNR $=-10\log_{10}$ of the mean squared error per pixel, averaged over the images.
#
# **Predict** the order at 0.15 bits per pixel and at 0.8.

# %%
n = cu.budget(2_000)
originals = test[:n]


def quality(x):
    """Mean PSNR in dB of reconstructions x (n, 784)."""
    return cu.metrics.psnr(x.clamp(0, 1), originals).mean().item()


def by_codes(k, kind, step):
    """Bits per pixel and PSNR of k code numbers, rounded to multiples of step.

    The step is in units of the standard deviation of all codes.
    """
    basis = directions[:k].float()
    centre = mean.float()
    z = codes(deep[k], originals) if kind == "deep" else (originals - centre) @ basis.T
    width = step * z.std()
    symbols = (z / width).round().clamp(-127, 127)
    stream = symbols.to(torch.int8).T.contiguous().numpy().tobytes()
    bits = 8 * len(lzma.compress(stream, preset=9)) / originals.numel()
    if kind == "deep":
        return bits, quality(decode(deep[k], symbols * width).view(n, 784))
    return bits, quality(symbols * width @ basis + centre)


# %%
tiles = cu.to_uint8(originals).view(n // 50, 50, 28, 28).permute(0, 2, 1, 3)
sheet = Image.fromarray(tiles.reshape(n // 50 * 28, 1400).numpy())  # one large picture


def by_file(kind, **options):
    """The same of the sheet, saved as JPEG or JPEG 2000."""
    buffer = io.BytesIO()
    sheet.save(buffer, kind, **options)
    pixels = np.asarray(Image.open(buffer).convert("L")).copy()
    rows = torch.from_numpy(pixels).view(n // 50, 28, 50, 28)
    back = rows.permute(0, 2, 1, 3).reshape(n, 784) / 255
    return 8 * buffer.getbuffer().nbytes / originals.numel(), quality(back)


rates = {}  # coder → a list of (bits per pixel, PSNR)
for kind, k in (("deep", 8), ("deep", 32), ("PCA", 8), ("PCA", 32), ("PCA", 64)):
    steps = (2.0, 1.0, 0.5, 0.25, 0.12, 0.06)
    rates[f"{kind}, k = {k}"] = [by_codes(k, kind, step) for step in steps]
rates["JPEG"] = [by_file("JPEG", quality=q) for q in (1, 5, 10, 20, 35, 50)]
rates["JPEG 2000"] = []
for ratio in (160, 80, 50, 30, 20, 12, 8):
    options = {"quality_mode": "rates", "quality_layers": [ratio], "irreversible": True}
    rates["JPEG 2000"].append(by_file("JPEG2000", **options))

# %% tags=["figure"]
# @title Figure: quality against size for seven coders
fig, ax = plt.subplots(figsize=(9.4, 4.8))
for name, curve in rates.items():
    ax.plot(*zip(*curve), "s--" if "JPEG" in name else "o-", label=name)
ax.set(
    xlabel="bits per pixel",
    ylabel="mean PSNR (dB)",
    xlim=(0, 1.05),
    title="Few bits: the autoencoder. Many bits: the standards",
)
ax.legend(ncols=2, fontsize=10, loc="lower right")
cu.show(
    fig,
    f"Quality against size for {n:,} test digits: autoencoder and PCA codes, rounded and "
    "packed, and the standards JPEG and JPEG 2000.",
)


# %%
def within(name, bits):
    """The best PSNR of a curve with at most so many bits per pixel, interpolated; else NaN."""
    x, y = zip(*sorted(rates[name]))
    return float(np.interp(bits, x, np.maximum.accumulate(y), left=np.nan))


deep_bits, best_psnr = max(rates["deep, k = 32"], key=lambda point: point[1])
jpeg_bits, jpeg_psnr = zip(*sorted(rates["JPEG 2000"]))
same_bits = np.interp(best_psnr, jpeg_psnr, jpeg_bits)  # what JPEG 2000 needs for as much
decoder_bits = 16 * cu.nets.count_parameters(deep[32].decode)  # in half precision
saved_bits = 784 * max(same_bits - deep_bits, 1e-3)  # for each digit
cu.facts(
    {
        "best PSNR of 32 deep numbers, dB": best_psnr,
        "bits per pixel for it": f"{deep_bits:.2f}",
        "bits per pixel, JPEG 2000 for the same PSNR": f"{same_bits:.2f}",
        f"decoder, bits per pixel on top for {n:,} digits": f"{decoder_bits / (n * 784):.2f}",
        "sending the decoder pays from so many digits on": round(decoder_bits / saved_bits),
    }
)

# %% tags=["figure"]
# @title Table: the best quality within a budget of bits
allowed = (0.05, 0.1, 0.15, 0.2, 0.4, 0.8)
cu.table(
    [[name, *(within(name, bits) for bits in allowed)] for name in rates],
    ["coder", *(f"{bits} bpp" for bits in allowed)],
    "Best mean PSNR in dB with at most so many bits per pixel; – where the coder cannot be so "
    "small.",
    digits=1,
)

# %% [markdown]
# Each code curve rises and then goes flat: with finer rounding the bits grow, but the picture stays what $k$ numbers can hold.
# At 0.15 bits per pixel 32 deep numbers are 2.6 dB ahead of 64 linear ones and more than 5 dB ahead of JPEG 2000; JPEG cannot be that small at all.
# At 0.05 the 8 well-kept numbers beat the 32 roughly rounded ones by more than 5 dB.
# At 0.8 the standards win: they know nothing of digits, so they pay for every stroke, and they have no ceiling.
#
# But the receiver needs the decoder.
# For the 2,000 digits of this contest, sending it costs several times the codes themselves, and JPEG 2000 wins the whole contest.
# It pays only from some thousands of digits on, and is negligible for a million.

# %% [markdown]
# ## 10 · Anomalies *(deeper)*
#
# A picture that the autoencoder reconstructs badly is unlike what it was trained on.
# So the error can serve as an alarm.
# Train *without* one class, and see whether the held-out class sets the alarm off; add inverted digits, rotated ones, letters and noise.
# AUROC is the chance that a random anomaly scores higher than a random normal digit: 0.5 is guessing.
#
# **Predict:** is a held-out 8 easier to notice, or a held-out 1?


# %%
def trained_without(digit, seed):
    """An autoencoder with 8 numbers that has seen the other nine classes only."""
    rest = mnist.train.only(*(c for c in range(10) if c != digit))
    torch.manual_seed(seed)
    model = Autoencoder(8)
    recipe = {"steps": 500, "lr": 2e-3, "schedule": "cosine", "seed": seed}
    cu.fit(model, checked_loss, cu.Batches(rest, 256, seed=seed), **recipe)
    return model


@torch.no_grad()
def alarms(x, model):
    """Scores (n,) of images x (n, 784): the error, and the error per unit of ink."""
    error = (model(x.to(device)).cpu() - x).square().sum(1)
    return {"error": error, "error ÷ ink": error / x.sum(1)}


def auroc(usual, odd):
    """The chance that an anomaly scores higher than a normal digit."""
    return roc_auc_score([0] * len(usual) + [1] * len(odd), torch.cat([usual, odd]))


# %%
flip = mnist.test.only(*range(8), 9).flat()[:1000]
strange = {
    "held-out 8": (8, mnist.test.only(8).flat()),
    "held-out 1": (1, mnist.test.only(1).flat()),
    "inverted digits": (8, 1 - flip),
    "rotated by 90°": (8, flip.view(-1, 28, 28).rot90(1, (1, 2)).reshape(-1, 784)),
    "letters": (8, cu.letters().flatten(1).float() / 255),
    "uniform noise": (8, torch.rand(1000, 784)),
}
found = {name: [] for name in strange}  # for each of three seeds: AUROC of the two alarms
for seed in range(3):
    models = {digit: trained_without(digit, seed) for digit in (8, 1)}
    for name, (held_out, x) in strange.items():
        normal = mnist.test.only(*(c for c in range(10) if c != held_out)).flat()[:2000]
        usual = alarms(normal, models[held_out])
        odd = alarms(x, models[held_out])
        found[name].append([auroc(usual[alarm], odd[alarm]) for alarm in usual])
ink = normal.sum(1)
together = torch.corrcoef(torch.stack([usual["error"], ink]))[0, 1]
print(f"normal digits, error and ink: correlation {together:.2f}")

# %% tags=["figure"]
# @title Table: two alarms and six anomalies
rows = []
for name, scores in found.items():
    by_alarm = np.array(scores).T  # (2, 3)
    cells = [f"{np.median(a):.2f} ({a.min():.2f}–{a.max():.2f})" for a in by_alarm]
    rows.append([name, *cells, f"{strange[name][1].sum(1).mean():.0f}"])
cu.table(
    rows,
    ["anomaly", "error", "error ÷ ink", "mean ink"],
    "AUROC against 2,000 normal test digits: the median of three trainings, and the lowest and "
    f"the highest. Normal digits have a mean ink of {flip.sum(1).mean():.0f}.",
)

# %% [markdown]
# Noise and inverted digits are always noticed.
# For rotated digits, letters and a held-out 8, eight or nine of ten *pairs* of an anomaly and a normal digit are in the right order.
#
# The held-out **1** is the failure: in all three trainings its AUROC is *below* one half.
# The network has never seen a 1, and redraws it better than most digits that it was trained on.
# A 1 has little ink, and little ink is cheap to redraw: among normal digits, too, error and ink are correlated (0.58).
# Dividing by the ink lifts the 1, and costs the 8: this repair is not free.
#
# **The reconstruction error measures complexity as much as strangeness.**
# Lesson 01 met that trap in $\log p(x)$, and lesson 04 will meet it again.

# %% [markdown]
# ## 11 · More exercises *(deeper)*
#
# **Exercise 5 (deeper, break it).**
# One Gaussian with the right mean and covariance puts part of its draws into holes.
# Make it fail badly: invent codes in the plane for which more than half of the draws of their own fitted Gaussian land in holes.
# The check fits the Gaussian and counts.


# %% tags=["exercise"]
def hard_to_sample(n):
    """n different codes (n, 2), random, that one Gaussian describes as badly as you can."""
    ### BEGIN SOLUTION
    angle = 2 * torch.pi * torch.rand(n)
    radius = 1 + 0.02 * torch.randn(n)
    return radius[:, None] * torch.stack([angle.cos(), angle.sin()], 1)
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# Moving or stretching the cloud does not help, since the Gaussian follows it.
# Where does a Gaussian put most of its draws?
# Leave just that place empty.

# %%
checked_cloud = cu.check("03.hard_to_sample", hard_to_sample)
cloud = checked_cloud(2_000).float()
normal_draws = cloud.mean(0) + torch.randn(2_000, 2) @ torch.linalg.cholesky(cloud.T.cov()).T
one_spacing = to_nearest(cloud[1_000:], cloud[:1_000]).quantile(0.95)
share = (to_nearest(normal_draws, cloud[:1_000]) > one_spacing).float().mean()
print(f"{share:.0%} of the draws of the fitted Gaussian land in holes of your cloud")

# %% [markdown]
# **Exercise 6 (deeper, on paper).**
# Tie the weights of a linear autoencoder: the decoder is the transposed encoder, $\hat x = E^\top E\,x$.
# Let $\Sigma$ have full rank and $\lambda_k>\lambda_{k+1}$.
# Show that at the optimum the rows of $E$ are orthonormal, and say which freedom of section 1 is left.
#
# <details><summary>Step 1</summary>
#
# Section 1 holds for every pair of matrices, so also for this one: no product $DE$ has a smaller loss than the projection $P$ onto the principal subspace.
# Can $E^\top E$ be equal to $P$?
# Take the $k$ principal directions as rows of $E$.
#
# </details>
# <details><summary>Step 2</summary>
#
# So the optimum is reached, and only where $E^\top E = P$: full rank of $\Sigma$ forces $DE$ to be the orthogonal projection onto its column space, and $\lambda_k>\lambda_{k+1}$ forces that space.
# Multiply by $E^\top$ from the right, and use that the rows of $E$ lie in the principal subspace: $E^\top EE^\top = E^\top$.
#
# </details>
# <details><summary>Step 3</summary>
#
# The $k$ columns of $E^\top$ are independent, since $P$ has rank $k$.
# So it can be cancelled on the left: $EE^\top = I$.
# Two solutions differ by an orthogonal $A$, a rotation or reflection within the plane; the general $A$ of section 1 is gone.
#
# </details>
#
# **Exercise 7 (deeper, open).**
# The networks of this lesson do not know that neighbouring pixels belong together.
# Build a convolutional autoencoder with a code of 8 numbers and at most as many parameters, train it for as many steps, and find out whether it is better.
# Say what "better" means before you look, and use three seeds.

# %% [markdown]
# ## Where this stands *(deeper)*
#
# *Linear autoencoders.*
# Baldi and Hornik (1989) showed that the loss of section 1 has no bad local minimum.
# With an L2 penalty on both matrices, the components themselves come back, as singular vectors of the decoder (Kunin et al., 2019).
#
# *Codes and meaning.*
# Section 8 has a theorem behind it: without assumptions about the model and the data, no unsupervised method can find the true factors (Locatello et al., 2019).
#
# *Learning the density of the codes afterwards* is a method of its own.
# Ghosh et al. (2020) regularise the decoder and fit a mixture to the codes, as in section 5, and report samples as good as those of VAEs.
# VQ-VAE makes the codes discrete and learns their density with an autoregressive model (van den Oord et al., 2017; such models are [lesson 09](09_autoregressive.ipynb)'s).
# Latent diffusion learns it by diffusion (Rombach et al., 2022; lesson 15b, to come).
#
# *Compression.*
# Learned image compression trains encoder, decoder and the entropy coder's density together, with bits plus distortion as the loss (Ballé et al., 2017).
# Rounding after the training, as in section 9, leaves bits on the table.
#
# *Anomalies.*
# Lessons 01, 04 and 20 (to come) meet the failure of section 10 again.
#
# *Denoising*, and why a residual is a score, is the subject of 03b.
# Its main result is Tweedie's formula, for the score $\nabla\log p_\sigma$ of data with noise of standard deviation $\sigma$, which lesson 06 needs:
#
# $$\mathbb E[x\mid\tilde x]-\tilde x = \sigma^2\,\nabla\log p_\sigma(\tilde x),\qquad \tilde x = x+\sigma\varepsilon . \tag{3}$$

# %% [markdown]
# ## What to take home *(core)*
#
# - *When is it PCA?*
#   A linear autoencoder has the principal subspace as its optimum, in any basis (section 1).
# - *What does a deep one gain, and what does it lose first?*
#   A curved sheet fits the digits more closely than a plane; style goes before class (sections 2 and 3).
# - *Reading a map.*
#   Neighbours look alike; axes mean nothing, nor do distances between far regions; a class may have two regions, and part of the map is empty (section 4).
# - *Sampling.*
#   The decoder draws digits *reliably* only where codes were; so learn the density of the codes and draw from that (section 5).
# - *What is it good for?*
#   Compression at few bits, once the decoder is paid for (9); anomalies, except simple ones (10).
#
# **What breaks, and why.**
# Averages: where several answers fit, squared error paints their mean (lesson 00, equation 7).
# Simplicity: a simple image, such as a 1, is redrawn well even if no 1 was seen in training.
# Holes: nothing in (1) speaks about codes that no image has.
#
# **References.**
# P. Baldi and K. Hornik, *Neural networks and principal component analysis: learning from examples without local minima*, 1989.
# G. Hinton and R. Salakhutdinov, *Reducing the dimensionality of data with neural networks*, 2006.
# D. Kunin et al., *Loss landscapes of regularized linear autoencoders*, 2019.
# F. Locatello et al., *Challenging common assumptions in the unsupervised learning of disentangled representations*, 2019.
# P. Ghosh et al., *From variational to deterministic autoencoders*, 2020.
# J. Ballé, V. Laparra and E. Simoncelli, *End-to-end optimized image compression*, 2017.
#
# **The failure that lesson 04 repairs:** decode `torch.randn(1, 8)` once more and look at it.
# The recipe of section 5 took two trainings that know nothing of each other.
# Can the training itself make the codes normal?
