# %% [markdown]
# # 03 Autoencoders
#
# **Squeeze the data through a narrow door and what passes is what matters; but the room behind the door has holes.**
#
# Run the next two cells.
# Both rows come from the same network with the same weights, which turns eight numbers into a picture.
# **Predict:** what differs between the rows?

# %% tags=["setup"]
import io
import lzma
import math

import matplotlib.pyplot as plt
import numpy as np
import torch
from PIL import Image
from scipy import ndimage
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
    names = ["eight numbers\nof one kind", "eight numbers\nof another"]
    ax = cu.plots.image_grid(np.concatenate(frames), rows=2, row_titles=names)
    cu.show(
        ax.figure,
        "Two rows of sixteen images, all made by one decoder from eight random numbers each.",
    )

# %% [markdown]
# Only the random numbers differ.
# Above they are drawn from $N(0, I)$, below from a density that was *fitted* to the codes of real digits.
# The upper row falls into the holes of the room; the lower row is the first set of decent digits in this course, and you make it in section 9.
#
# In lesson 02 a picture was explained by *which* of a few dozen components made it, plus a few numbers.
# Here nobody chooses components: two networks are trained, one that writes a picture down in $k$ numbers, one that draws it again from them.
# Nothing is labelled; the target is the input.
#
# **After this lesson you can** *prove* when an autoencoder is PCA, and *measure* what a deep one gains; *read* a map of codes, and *say* where it is empty;
# *derive* why a denoiser knows the score of the data, the gradient of $\log p$; *decide* with a number whether a set of codes compresses, detects anomalies, or generates.
#
# **Builds on** 02 (mixtures), 01 (letters, AUROC), Appendix A Cards 2 (training), 4 (Gaussians) and 7 (Fréchet distance).
# **In class:** the sections marked *core*.
#
# | | |
# |---|---|
# | $x$ | data, here an image as a vector in $[0,1]^{784}$; $\Sigma$ its covariance |
# | $z = e(x)$ | code (latent), $k$ numbers, made by the encoder $e$ |
# | $\hat x = d(z)$ | reconstruction, made by the decoder $d$ |
# | $\varepsilon, \sigma$ | Gaussian noise and its standard deviation; $\tilde x = x + \sigma\varepsilon$ |
# | $p_\text{data}$, $p_\sigma$ | density of the data, and of the data with noise added |

# %%
mnist = cu.mnist()
train = mnist.train.flat()  # (55000, 784)
val = mnist.val.flat()  # (5000, 784)
test = mnist.test.flat()  # (10000, 784)
mine = cu.my_digit().float().div(255).view(1, 784)
batches = cu.Batches(mnist.train, 256)

# %% [markdown]
# ## 1 · The linear door is PCA *(core)*
#
# Take the simplest encoder and decoder: matrices.
# On centred data, $z = Ex$ with $E$ of shape $(k, 784)$ and $\hat x = Dz$ with $D$ of shape $(784, k)$.
# The loss is the mean squared error,
#
# $$L(E, D) = \mathbb E\,\lVert x - DEx\rVert^2 . \tag{1}$$
#
# Whatever $E$ does, $\hat x = DEx$ lies in the column space $U$ of $D$, a plane through the origin.
# The nearest point of $U$ to $x$ is its orthogonal projection, and for $D$ with independent columns there is an $E$ that hits it, $E = (D^\top D)^{-1}D^\top$.
# So at the optimum only $U$ matters.
# With an orthonormal basis $Q$ of $U$ the projection is $QQ^\top x$, and by Pythagoras
#
# $$L = \mathbb E\lVert x\rVert^2 - \mathbb E\lVert Q^\top x\rVert^2 = \operatorname{tr}\Sigma - \operatorname{tr} Q^\top\Sigma Q .$$
#
# The second term is the variance inside $U$.
# For $k=1$ it is $q^\top\Sigma q$ with $\lVert q\rVert=1$, which is largest for the eigenvector of the largest eigenvalue: the first principal component.
# For $k>1$, write $\operatorname{tr} Q^\top\Sigma Q=\sum_i\lambda_i\,w_i$ in the eigenbasis $v_i$ of $\Sigma$, with $w_i=\lVert Q^\top v_i\rVert^2$.
# Each $w_i$ lies between 0 and 1 (it is the squared length of a projected unit vector) and they sum to $\operatorname{tr}QQ^\top=k$.
# Spending a budget of $k$ on the $\lambda_i$, at most 1 each, is best done on the $k$ largest.
# Hence **a linear autoencoder finds the principal subspace, and its loss is the sum of the eigenvalues left out**.
#
# It need not find the principal *components*: for any invertible $A$ the pair $AE$, $DA^{-1}$ has the same product, so the same loss.
#
# **Exercise 1 (core).**
# The singular value decomposition of the centred data, $X = USV^\top$ with the images as rows, gives the components directly, because $X^\top X = VS^2V^\top$.


# %% tags=["exercise"]
def pca(x, k):
    """The k leading principal components of x (n, d), after centring.

    Returns the mean (d,), directions (k, d) as rows of length 1, and variances (k,),
    those of the data along the directions (divide by n, not n − 1).
    """
    ### BEGIN SOLUTION
    mean = x.mean(0)
    _, s, vt = torch.linalg.svd(x - mean, full_matrices=False)
    return mean, vt[:k], s[:k] ** 2 / len(x)
    ### END SOLUTION


# %%
checked_pca = cu.check("03.pca", pca)

# %% [markdown]
# For 55,000 images the SVD takes a quarter of a minute.
# The same identity offers a shorter way: the eigenvectors of the 784 × 784 covariance are the columns of $V$.
# The next cell compares the two on a part of the data, and the one after it takes the short way for all of it.


# %%
def covariance(x):
    """Mean (d,) and covariance (d, d) of the rows of x (n, d), in double precision."""
    x = x.double()
    centred = x - x.mean(0)
    return x.mean(0), centred.T @ centred / len(x)


n_few = cu.budget(5_000)
few = train[:n_few].double()
_, _, by_svd = checked_pca(few, 50)
_, few_sigma = covariance(few)
torch.testing.assert_close(by_svd, torch.linalg.eigvalsh(few_sigma).flip(0)[:50])
print("✓ SVD of the data and eigenvalues of the covariance agree")

# %%
n_all = cu.budget(55_000)
mean, sigma = covariance(train[:n_all])
eigenvalues, vectors = torch.linalg.eigh(sigma)  # ascending; eigenvectors are the columns
directions = vectors.flip(1).T[:64]
variances = eigenvalues.flip(0)[:64]
print(f"eigenvalue 6 over eigenvalue 7: {variances[5] / variances[6]:.2f},")
print("so 'the 6 leading directions' is a well-defined question")

# %% [markdown]
# Now forget that we know the answer, and train (1).
# Written out, the loss needs the data only through $\Sigma$:
#
# $$L = \operatorname{tr}\bigl[(I-DE)\,\Sigma\,(I-DE)^\top\bigr] = \operatorname{tr}\Sigma - 2\operatorname{tr}(E\Sigma D) + \operatorname{tr}(D^\top D\,E\Sigma E^\top). \tag{2}$$
#
# In this form a quasi-Newton method (L-BFGS, which estimates curvature from the last thirty gradients) can run in double precision on all of the data at once.
# Beside it runs what we will use for deep networks: Adam on minibatches.
# The ruler is the largest **principal angle** between the columns of $D$ and the principal subspace:
# take orthonormal bases $Q_1, Q_2$ of both; the cosines of the angles are the singular values of $Q_1^\top Q_2$.
#
# **Predict:** do both arrive?
# At how many degrees are they after 240 and after 1,000 steps?
# And will the six columns of $D$ look like the six principal components?


# %%
def largest_angle(decoder, components):
    """Largest principal angle, in degrees, between two subspaces.

    One is spanned by the columns of decoder (d, k), one by the rows of components (k, d).
    """
    q, _ = torch.linalg.qr(decoder)
    cosine = torch.linalg.svdvals(q.T @ components.T.to(q)).min().clamp(max=1)
    return torch.rad2deg(torch.acos(cosine))


def linear_loss(E, D):
    """Equation (2): E (k, d), D (d, k) → the mean squared error on data of covariance sigma."""
    cross = (E @ sigma @ D).trace()
    square = ((D.T @ D) * (E @ sigma @ E.T).T).sum()
    return sigma.trace() - 2 * cross + square


# %%
torch.manual_seed(0)
E = (0.1 * torch.randn(6, 784, dtype=torch.float64)).requires_grad_()
D = (0.1 * torch.randn(784, 6, dtype=torch.float64)).requires_grad_()
newton = torch.optim.LBFGS(
    [E, D], max_iter=20, history_size=30, tolerance_change=0, line_search_fn="strong_wolfe"
)


def closure():
    newton.zero_grad()
    loss = linear_loss(E, D)
    loss.backward()
    return loss


rounds = cu.budget(12)  # of 20 iterations each
lbfgs_angles = []
for _ in range(rounds):
    newton.step(closure)
    lbfgs_angles.append(largest_angle(D.detach(), directions[:6]).item())

# %%
encoder = nn.Linear(784, 6, bias=False)
decoder = nn.Linear(6, 784, bias=False)
linear = nn.ModuleDict({"e": encoder, "d": decoder}).to(device)
adam = torch.optim.Adam(linear.parameters(), lr=2e-3)
offset = mean.float().to(device)
goal = directions[:6].to(device)


def adam_step(x):
    x = x.flatten(1) - offset
    loss = (linear["d"](linear["e"](x)) - x).square().sum(1).mean()
    adam.zero_grad()
    loss.backward()
    adam.step()
    angle = largest_angle(linear["d"].weight.detach(), goal)
    return {"loss": loss.detach(), "angle": angle}


state = {"linear": linear, "adam": adam}
by_adam = cu.loop(adam_step, batches, state=state, steps=1_000, log_every=50)

# %% tags=["figure", "slide"]
# @title Figure: angle to PCA, and twelve directions
fig, (left, right) = plt.subplots(1, 2, figsize=(11.5, 3.9), width_ratios=(1, 1.25))
iterations = 20 * np.arange(1, len(lbfgs_angles) + 1)
left.semilogy(iterations, lbfgs_angles, "o-", label="L-BFGS on the covariance")
left.semilogy(by_adam.steps, by_adam["angle"], "s-", label="Adam on minibatches")
left.axhline(2, color="black", linewidth=1, linestyle=":")
left.set(
    xlabel="iteration",
    ylabel="largest angle to PCA (degrees)",
    title="Both turn to the principal plane",
)
left.legend()

basis = torch.cat([directions[:6], D.detach().T]).view(12, 28, 28)
basis = basis / basis.abs().amax((1, 2), keepdim=True)
basis = nn.functional.pad(basis, (1, 1, 1, 1), value=float("nan"))
tiles = basis.view(2, 6, 30, 30).permute(0, 2, 1, 3).reshape(60, 180)
right.imshow(tiles, cmap="RdBu_r", vmin=-1, vmax=1)
right.set(
    xticks=[],
    yticks=[15, 45],
    yticklabels=["principal\ncomponents", "decoder's\ncolumns"],
    title="One plane, two bases",
)
right.grid(False)
cu.show(
    fig,
    "Left: largest angle between the decoder's column space and the six principal directions, "
    "for two optimisers; the dotted line is 2 degrees. Right: the six principal components and "
    "the six columns of the decoder, red positive, blue negative.",
)

# %%
cu.facts(
    {
        "L-BFGS, iterations": 20 * len(lbfgs_angles),
        "L-BFGS, largest angle, degrees": f"{lbfgs_angles[-1]:.3f}",
        "L-BFGS, loss": f"{linear_loss(E, D).item():.4f}",
        "eigenvalues left out, sum": f"{(sigma.trace() - variances[:6].sum()).item():.4f}",
        "Adam, steps": by_adam.steps[-1],
        "Adam, largest angle, degrees": f"{by_adam['angle'][-1]:.1f}",
        "Adam, loss": f"{by_adam['loss'][-1]:.1f}",
    }
)

# %% [markdown]
# L-BFGS passes 2 degrees after some 70 iterations and ends below a tenth of one; its loss agrees with the sum of the eigenvalues left out to 0.001.
# The derivation holds.
# Adam stays near 90 degrees for 300 steps, as long as one of its six columns still points at nothing, and has come down to about 5 after 1,000;
# its loss is by then within one per cent of the best one.
# Near the optimum the loss hardly depends on the angle, while the minibatch noise does not shrink.
#
# The right half shows the freedom $A$: none of the decoder's columns is a principal component, yet the two rows span the same plane, to 0.06 degrees.
# **Codes of an autoencoder have no natural axes.**
# Remember it; it comes back in section 4.

# %% [markdown]
# ## 2 · The deep door *(core)*
#
# Put layers with a nonlinearity on both sides and the door stays narrow, but the set of possible reconstructions may bend:
# instead of a $k$-dimensional plane, a curved $k$-dimensional sheet in the 784-dimensional space.
# The last layer is a sigmoid, since pixels live in $[0, 1]$.
# The code itself has no nonlinearity: why should it be bounded?


# %%
class Autoencoder(nn.Module):
    """784 → 160 → 80 → k → 80 → 160 → 784; code without nonlinearity, sigmoid output."""

    def __init__(self, k, d=784, hidden=(160, 80)):
        super().__init__()
        self.encode = cu.nets.mlp(d, *hidden, k)  # (B, d) → (B, k)
        back = cu.nets.mlp(k, *hidden[::-1], d)
        self.decode = nn.Sequential(back, nn.Sigmoid())  # (B, k) → (B, d)

    def forward(self, x):
        return self.decode(self.encode(x))


def reconstruction_loss(model, x):
    """Squared error summed over pixels, averaged over the batch: (1) with curved e and d."""
    x = x.flatten(1)
    return (model(x) - x).square().sum(1).mean()


# %% [markdown]
# Three codes, of 2, 8 and 32 numbers.
# **Predict** while it trains: by what factor does the error fall from 2 numbers to 32?

# %%
deep = {}
histories = {}
live_error = {}
for k in (2, 8, 32):
    torch.manual_seed(0)
    deep[k] = Autoencoder(k)
    histories[k] = cu.fit(
        deep[k],
        reconstruction_loss,
        batches,
        steps=1_000,
        full=16_000,
        lr=2e-3,
        schedule="cosine",
    )
    with torch.no_grad():
        live_error[k] = reconstruction_loss(deep[k], val.to(device)).item()

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
# From here on the lesson uses the shipped weights: the same cell with more steps.
shipped = {k: cu.restore(f"03_ae_{k}", deep[k]) for k in deep}

# %% tags=["figure"]
# @title Table: error of three code sizes
rows = []
for k, run in shipped.items():
    rows.append([k, live_error[k], run.figure("squared error, validation")])
long_run = f"shipped, {shipped[2].card['steps']:,} steps"
cu.table(
    rows,
    ["code size", "trained just now", long_run],
    "Squared error per validation image, summed over its 784 pixels.",
    digits=1,
)

# %% [markdown]
# From 2 numbers to 32 the shipped error falls nearly sevenfold; the short training gains much less from its wider door.
# The more the door lets through, the longer a network takes to make use of it.
# The shipped weights come from the same cell with more steps; they are loaded now and used from here on, so that the pictures below are the ones the text speaks of.

# %% [markdown]
# ## 3 · Deep against linear *(deeper)*
#
# **Predict:** with a code of 2 numbers, how much smaller is the deep error than that of PCA?
# And with 32, has the advantage grown or shrunk?


# %%
@torch.no_grad()
def reconstruct(k, x, kind):
    """Reconstructions (n, 784) in [0, 1] through k numbers: kind 'PCA' or 'deep'."""
    if kind == "deep":
        return deep[k](x.to(device)).cpu()
    basis = directions[:k].float()
    return ((x - mean.float()) @ basis.T @ basis + mean.float()).clamp(0, 1)


def squared_error(x_hat):
    """Squared error per test image, summed over its pixels."""
    return (x_hat - test).square().sum(1).mean().item()


pca_error = {k: squared_error(reconstruct(k, test, "PCA")) for k in deep}
deep_error = {k: squared_error(reconstruct(k, test, "deep")) for k in deep}
mean_image_error = squared_error(mean.float())

# %% tags=["figure"]
# @title Table: error of PCA and of the deep networks
rows = []
for k in deep:
    rows.append([k, pca_error[k], deep_error[k], pca_error[k] / deep_error[k]])
cu.table(
    rows,
    ["code size", "PCA", "deep", "PCA ÷ deep"],
    "Squared error per test image, summed over 784 pixels. To draw the mean image every time "
    f"would cost {mean_image_error:.1f}.",
    digits=2,
)

# %% [markdown]
# The curved sheet wins at every size, and the ratio grows with $k$: 1.5, 2.4, 3.0.
# Two numbers of PCA save less than a fifth of what the mean image costs, two deep ones nearly half, and eight deep numbers do as well as 32 linear ones.
#
# **Vote:** your digit passes through 32, then 8, then 2 numbers.
# What is lost first, your *style* (the slant, the thickness, the loop that nobody else makes) or the *class*?

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
# To settle the vote, two numbers.
# *Class*: how often the course's digit classifier reads the reconstruction as the true class.
# *Style*: the share of the squared deviations from the mean image of its own class that survives, $1-\sum\lVert x-\hat x\rVert^2/\sum\lVert x-\bar x_{\text{class}}\rVert^2$.

# %%
some = mnist.test.sample(cu.budget(2_000))
some_x = some.flat()
class_means = torch.stack([train[mnist.train.y == c].mean(0) for c in range(10)])[some.y]
own_style = (class_means - some_x).square().sum()


@torch.no_grad()
def read(x):
    """The classes (n,) that the course's classifier reads in images x (n, 784)."""
    return cu.metrics.classifier()(x.reshape(-1, 1, 28, 28).to(device)).argmax(1).cpu()


class_kept = {}
style_kept = {}
for kind in ("deep", "PCA"):
    for k in (32, 8, 2):
        out = reconstruct(k, some_x, kind)
        class_kept[kind, k] = (read(out) == some.y).float().mean().item()
        style_kept[kind, k] = (1 - (out - some_x).square().sum() / own_style).item()

# %% tags=["figure"]
# @title Table: class and style that survive
rows = []
for (kind, k), kept in class_kept.items():
    rows.append([f"{kind}, {k}", f"{kept:.0%}", f"{style_kept[kind, k]:.0%}"])
cu.table(
    rows,
    ["code", "class kept", "style kept"],
    f"{len(some):,} test digits. Style below zero: the class's mean would have been nearer.",
)

# %% [markdown]
# Style goes first.
# Through 8 numbers 94 % of the digits keep their class but more than a quarter of their style is gone; through 2 it is 67 % against 32 %.
# At that point a digit is drawn as the nearest thing the sheet contains, and one in three comes out as *another* digit, often a clear one: in the figure both 4s have become 9s.
# PCA errs otherwise: it blurs.
# Of its pictures through two numbers the classifier reads fewer correctly than by guessing, since it sees nearly always the same smudge.

# %% [markdown]
# ## 4 · Does the code capture the factors? *(deeper)*
#
# With digits nobody knows the true factors of variation.
# So plant two: a bump on a line of 64 points, with a mean and a width drawn at random.
# A code of 2 numbers *can* hold everything.
# **Predict:** does it?
# And can a straight line read the factors off the code?


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
bump_model = Autoencoder(2, d=64, hidden=(128, 64))
cu.fit(bump_model, reconstruction_loss, bump_batches, steps=4_000, lr=2e-3, schedule="cosine")
with torch.no_grad():
    code_train = bump_model.encode(bump_train.to(device)).cpu()
    code_test = bump_model.encode(bump_test.to(device)).cpu()


# %%
def r2_of(reader):
    """R² (2,) on held-out bumps of a regression that reads both factors off the code."""
    reader.fit(code_train, factor_train)
    return r2_score(factor_test, reader.predict(code_test), multioutput="raw_values")


r2_neighbours = r2_of(KNeighborsRegressor(10))
r2_line = r2_of(LinearRegression())

# %% tags=["figure"]
# @title Figure: codes of bumps, coloured by the planted factors
fig, axes = plt.subplots(1, 2, figsize=(10.5, 4.1))
for ax, column, name in zip(axes, (0, 1), ("mean", "width")):
    colour = factor_test[:300, column]
    dots = ax.scatter(*code_test[:300].T, c=colour, s=8, cmap="viridis")
    fig.colorbar(dots, ax=ax, label=f"planted {name}")
    scores = f"k-NN {r2_neighbours[column]:.3f}, linear {r2_line[column]:.2f}"
    ax.set(xlabel="z₁", ylabel="z₂", title=f"R² of the {name}:\n{scores}")
cu.show(
    fig,
    "Codes of 300 held-out bumps, coloured by the planted mean (left) and by the planted "
    "width (right); in the titles, how well ten nearest neighbours and a straight line read "
    "the factor off the code of 2,000.",
)

# %% [markdown]
# Ten neighbours read both factors almost perfectly on held-out bumps ($R^2$ above 0.99): the code holds them, and bumps that are alike lie close together.
# A straight line reads the mean well, because it runs nearly straight from one end of the horseshoe to the other, and the width badly, because the width runs *across* the horseshoe, outward all around.
# Nothing in (1) asks for straight axes: any smooth, invertible warp of the code that the two networks can undo has the same loss.
# It is section 1's matrix $A$, now curved.
# **Codes are defined only up to a warp**; whoever reads meaning into "the first coordinate" reads tea leaves.

# %% [markdown]
# ## 5 · The map *(core)*
#
# With two numbers the whole code space fits on paper.
# **Predict:** which digits get a region of their own, which share one?
# Does any class get *two* regions?
# Is the paper full?


# %%
@torch.no_grad()
def codes(model, x):
    """Codes (n, k) on the CPU of images x (n, 784)."""
    return model.encode(x.to(device)).cpu()


@torch.no_grad()
def decode(model, z):
    """Images (n, 28, 28) on the CPU from codes z (n, k)."""
    return model.decode(z.to(device)).cpu().view(-1, 28, 28)


home = codes(deep[2], train)  # (55000, 2)
visitors = codes(deep[2], test)  # (10000, 2)

# %%
low = visitors.quantile(0.01, dim=0)  # the box we look at
high = visitors.quantile(0.99, dim=0)


def to_nearest(z, home):
    """Distance (n,) from codes z (n, k) to the nearest of the codes home (N, k)."""
    return torch.cdist(z, home).min(1).values


n_visitors = cu.budget(10_000)
spacing = to_nearest(visitors[:n_visitors], home).quantile(0.95)
print(f"95 % of the test digits have a training digit's code within {spacing:.2f}:")
print("call that distance 1 spacing, and a place further away from all codes a hole")


# %% tags=["figure", "slide"]
# @title Widget: the map, and what the decoder draws at a cross
def draw_map(x, y):
    """The map with a cross at (x, y), what is decoded there, a gauge: red over a hole."""
    point = torch.tensor([[x, y]], dtype=torch.float32)
    gap = (to_nearest(point, home) / spacing).item()
    fig = plt.figure(figsize=(10, 5.2))
    parts = fig.add_gridspec(2, 2, width_ratios=(1.6, 1), height_ratios=(8, 1), hspace=0.35)
    ax = fig.add_subplot(parts[:, 0])
    digits = list("0123456789")
    style = {"s": 7, "alpha": 1, "linewidths": 0}
    cu.plots.scatter(visitors[:2000], mnist.test.y[:2000], ax=ax, names=digits, **style)
    ax.plot(x, y, "k+", markersize=20, markeredgewidth=3)
    ax.set(xlabel="z₁", ylabel="z₂", title="The map: 2,000 test digits", aspect="auto")
    ax.grid(False)
    ax.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))
    ax.legend(
        ncols=10,
        fontsize=9,
        markerscale=2,
        columnspacing=0.5,
        handletextpad=0,
        loc="upper center",
        bbox_to_anchor=(0.5, -0.13),
    )
    picture = fig.add_subplot(parts[0, 1])
    cu.plots.image_grid(decode(deep[2], point), ax=picture, note=False)
    picture.set_title("decoded at +")
    gauge = fig.add_subplot(parts[1, 1])
    gauge.barh(0, min(gap, 4), color="#D55E00" if gap > 1 else "#0072B2")
    gauge.axvline(1, color="black", linestyle=":")
    gauge.set(xlim=(0, 4), yticks=[], xlabel="nearest code (spacings)")
    gauge.set_title("over a hole" if gap > 1 else "inhabited")
    return fig


cu.plane(
    draw_map,
    "Left: codes of 2,000 test digits in two dimensions, coloured by class, with a cross. "
    "Right: what the decoder draws at the cross, and a gauge of how far the nearest of 55,000 "
    "training codes is; it is red over a hole.",
    x=(low[0].item(), high[0].item()),
    y=(low[1].item(), high[1].item()),
    labels=("z₁", "z₂"),
    static=lambda: draw_map(3.0, -18.0),
)

# %% [markdown]
# 0 and 1 have the ends of the paper to themselves.
# 4, 7 and 9 run into each other in one wedge, 3, 5 and 8 in a knot in the middle: digits that share strokes are neighbours, though no label was used.
# But 2 has *two* provinces, far apart, and so has 6: nothing in the loss keeps a class together, it only asks that every digit can be redrawn.
# And the scale of the axes means nothing (section 1).
#
# Now fly over the map with the sliders, from class to class.
# **Predict:** what does the decoder draw between two classes, and what out in the white?

# %%
side = cu.budget(12)
across = torch.linspace(low[0], high[0], side).repeat(side)
down = torch.linspace(high[1], low[1], side).repeat_interleave(side)
places = torch.stack([across, down], 1)  # (side², 2), row by row from the top, as on the map
hole = to_nearest(places, home) > spacing  # (side²,)
decoded = decode(deep[2], places)  # (side², 28, 28)

# %% tags=["figure", "slide"]
# @title Figure: what the decoder draws, place by place
orange = torch.tensor([1.0, 0.78, 0.6])
paper = torch.where(hole[:, None], orange, torch.ones(3))[:, :, None, None]
_, ax = plt.subplots(figsize=(6, 6))
cu.plots.image_grid((1 - decoded[:, None]) * paper, rows=side, ax=ax)
cu.show(
    ax.figure,
    "What the decoder draws at a grid of places on the same map. Orange paper: a hole, no "
    "training code within one spacing.",
)

# %%
n_places = cu.budget(4_000)
dice = torch.Generator().manual_seed(0)
anywhere = low + (high - low) * torch.rand(n_places, 2, generator=dice)
empty = (to_nearest(anywhere, home) > spacing).float().mean().item()
inside = ((visitors > low) & (visitors < high)).all(1).float().mean().item()
cu.facts(
    {
        "test digits whose code is in the box": f"{inside:.0%}",
        "area of the box that is a hole": f"{empty:.0%}",
    }
)

# %% [markdown]
# A third of the paper is empty, although nearly all digits live on it.
# Over the holes the decoder draws *something*, because nothing ever told it not to:
# far out the strokes of the nearest class, only blacker, and in the gaps between classes a thing that dissolves from one digit into another and is neither.
# With only two numbers space is scarce and the holes are small.
# Section 9 asks what becomes of them with eight.

# %% [markdown]
# **Exercise 2 (core).**
# Interpolation: the straight line between two codes, decoded, against the straight line between two images.


# %% tags=["exercise"]
def interpolate(a, b, n):
    """n points on the straight line from a (k,) to b (k,), both ends included: (n, k)."""
    ### BEGIN SOLUTION
    weight = torch.linspace(0, 1, n).to(a)[:, None]  # (n, 1)
    return (1 - weight) * a + weight * b
    ### END SOLUTION


# %%
checked_interpolate = cu.check("03.interpolate", interpolate)

# %% [markdown]
# **Predict:** what is halfway between your digit and another one, in pixels, and in codes of 8 numbers?
# In class, put your neighbour's digit in the place of `other`.

# %%
other = test[4:5]
# Or your neighbour's:
# other = cu.my_digit("""14 lines of # and .""").float().div(255).view(1, 784)
z_path = checked_interpolate(codes(deep[8], mine)[0], codes(deep[8], other)[0], 9)
path = decode(deep[8], z_path)
fade = checked_interpolate(mine[0], other[0], 9).view(9, 28, 28)

# %% tags=["figure", "slide"]
# @title Figure: from your digit to another in nine steps
names = ["pixels", "codes, k = 8"]
ax = cu.plots.image_grid(torch.cat([fade, path]), rows=2, row_titles=names)
cu.show(
    ax.figure,
    "From your digit (left) to a test digit (right) in nine steps: above a mixture of the two "
    "images, below decoded points of the line between their codes.",
)

# %% [markdown]
# How grey are the pictures halfway?
# Count the pixels between 0.1 and 0.9 at the ends and in the middle of 500 such paths.

# %%
first = test[:500]
second = test[500:1000]
z_first = codes(deep[8], first)
z_second = codes(deep[8], second)


def grey_share(x):
    """The share of the pixels that are grey (0.1 to 0.9)."""
    return f"{((x > 0.1) & (x < 0.9)).float().mean():.1%}"


cu.facts(
    {
        "grey in pixels, ends": grey_share(first),
        "grey in pixels, middle": grey_share((first + second) / 2),
        "grey in codes, ends": grey_share(decode(deep[8], z_first)),
        "grey in codes, middle": grey_share(decode(deep[8], (z_first + z_second) / 2)),
    }
)

# %% [markdown]
# The fade shows both digits at once in grey ink, which no pen makes: in the middle of 500 pairs it has more than twice as many grey pixels as real digits.
# The code path bends and moves strokes; its middle is hardly greyer than its ends (reconstructions are a little soft everywhere).
# But it is a straight line in a space without natural straight lines, and it may cross a hole: the pictures halfway are strokes, not always a digit.

# %% [markdown]
# ## 6 · Denoising, and what a residual points at *(core)*
#
# Give the network a noisy $\tilde x = x + \sigma\varepsilon$ and ask for the clean $x$.
# Now the noise is the narrow door, so no code of few numbers is needed.
# A small convolutional network sees $\sigma$ from 0.1 to 0.8 and is not told which.
#
# **Exercise 3 (core).**
# Quality of a restored image in decibels: $\text{PSNR} = -10\log_{10}\overline{(x-\hat x)^2}$, for images in $[0,1]$, one number an image.


# %% tags=["exercise"]
def psnr(x_hat, x):
    """Peak signal-to-noise ratio in dB of each image: x_hat and x (n, d) in [0, 1] → (n,)."""
    ### BEGIN SOLUTION
    return -10 * (x_hat - x).square().mean(1).log10()
    ### END SOLUTION


# %%
checked_psnr = cu.check("03.psnr", psnr)


# %%
class Denoiser(nn.Module):
    """x̃ (B, 1, 28, 28) → x̃ plus a learned residual.

    Blocks of 4×4 pixels become 16 channels: few places, so it is quick.
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


def denoising_loss(model, x):
    """Mean squared error of the clean image, at a noise level of its own for each image."""
    sigma = torch.empty(len(x), 1, 1, 1, device=x.device).uniform_(0.1, 0.8)
    return (model(x + sigma * torch.randn_like(x)) - x).square().mean()


# %%
torch.manual_seed(0)
denoiser = Denoiser()
batches128 = cu.Batches(mnist.train, 128)
history = cu.fit(
    denoiser,
    denoising_loss,
    batches128,
    steps=400,
    full=6_000,
    lr=2e-3,
    schedule="cosine",
    ema=0.999,
)

# %%
clean_val = mnist.val.float()[:500]
eps = torch.randn(clean_val.shape, generator=torch.Generator().manual_seed(0))
noisy_val = clean_val + 0.5 * eps


@torch.no_grad()
def val_psnr(model):
    """Mean PSNR in dB of 500 validation digits, restored from noise of σ = 0.5."""
    x_hat = model(noisy_val.to(device)).cpu().clamp(0, 1)
    return checked_psnr(x_hat.flatten(1), clean_val.flatten(1)).mean().item()


live_psnr = val_psnr(history.ema)

# %% tags=["author"]
cu.ship(
    "03_denoiser",
    history.ema,
    history,
    what="blind denoiser, noise from 0.1 to 0.8",
    figures={"PSNR at σ = 0.5, validation": (live_psnr, 0.1)},
)

# %%
cu.restore("03_denoiser", denoiser)  # the long run of the same cell, used from here on
cu.facts(
    {
        "PSNR at σ = 0.5 after this training, dB": live_psnr,
        "PSNR at σ = 0.5 with the shipped weights, dB": val_psnr(denoiser),
    }
)

# %% [markdown]
# The opponents are two classics: blur (a Gaussian filter) and the median of a neighbourhood.
# Beside PSNR stands SSIM, structural similarity: how well means, contrasts and patterns agree in windows of 7 × 7 pixels, at most 1.
# **Predict:** at which noise level does the network gain most over them?
# And what happens at $\sigma = 1$, which it never saw in training?

# %%
levels = [0.1, 0.2, 0.3, 0.5, 0.7, 1.0]
n_others = cu.budget(499)
others = mnist.test.float()[:n_others]
clean = torch.cat([mine.view(1, 1, 28, 28), others])  # yours first; (n, 1, 28, 28)
noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))


def mean_psnr(x_hat, x):
    return checked_psnr(x_hat.flatten(1), x.flatten(1)).mean().item()


def best_of(filtered, x):
    """The best of several filtered versions of x: tuned on these very images, a favour."""
    options = [torch.from_numpy(y).clamp(0, 1) for y in filtered]
    return max(options, key=lambda y: mean_psnr(y, x))


# %%
@torch.no_grad()
def restored(sigma, n=None):
    """The first n images with noise, and three restorations, all clipped to [0, 1]."""
    x = clean[:n]
    noisy = x + sigma * noise[:n]
    y = noisy.numpy()
    gauss = [ndimage.gaussian_filter(y, (0, 0, s, s)) for s in (0.4, 0.6, 0.8, 1.0, 1.3)]
    median = [ndimage.median_filter(y, (1, 1, s, s)) for s in (1, 2, 3, 5)]
    return {
        "noisy": noisy.clamp(0, 1),
        "Gaussian filter": best_of(gauss, x),
        "median filter": best_of(median, x),
        "network": denoiser(noisy.to(device)).cpu().clamp(0, 1),
    }


results = {sigma: restored(sigma) for sigma in levels}
by_psnr = {}
by_ssim = {}
for name in results[0.1]:
    outputs = [results[sigma][name] for sigma in levels]
    by_psnr[name] = [mean_psnr(y, clean) for y in outputs]
    by_ssim[name] = [cu.metrics.ssim(y, clean).mean().item() for y in outputs]

# %% tags=["figure", "slide"]
# @title Figure: four pictures compared at six noise levels
fig, axes = plt.subplots(1, 2, figsize=(10.5, 3.9))
for name in by_psnr:
    axes[0].plot(levels, by_psnr[name], "o-", label=name)
    axes[1].plot(levels, by_ssim[name], "o-", label=name)
for ax in axes:
    ax.axvspan(0.8, 1.03, color="#dddddd", linewidth=0)
    ax.set(xlabel="noise level σ (grey: never trained)", xlim=(0.07, 1.03))
axes[0].set(ylabel="PSNR (dB)", title="The network wins at every level")
axes[1].set(ylabel="SSIM", ylim=(0, 1), title="… and by structural similarity")
axes[0].legend(fontsize=9)
cu.show(
    fig,
    "Mean PSNR (left) and structural similarity, SSIM (right), of noisy digits and of three "
    "restorations, against the noise level.",
)


# %% tags=["figure"]
# @title Widget: six digits restored at any noise level
def draw_noise(sigma):
    """Six digits, yours first, noisy and restored, at one noise level."""
    rows = restored(sigma, 6)
    pictures = torch.cat([y[:, 0] for y in rows.values()])
    ax = cu.plots.image_grid(pictures, rows=len(rows), row_titles=list(rows))
    ax.set_title(f"σ = {sigma:.1f}")
    return ax.figure


cu.explore(
    draw_noise,
    "Your digit and five test digits with noise, and restored by a Gaussian filter, a median "
    "filter and the network.",
    sigma={"min": 0.1, "max": 1.2, "step": 0.1, "value": 0.7, "label": "σ"},
)

# %% tags=["figure"]
# @title Table: gain of the network over the filters
rows = []
for sigma, *row in zip(levels, *by_psnr.values()):
    rows.append([sigma, *row, row[-1] - max(row[:-1])])
cu.table(
    rows,
    ["σ", *by_psnr, "gain over the best filter"],
    f"Mean PSNR in dB of {len(clean)} digits.",
    digits=1,
)

# %% [markdown]
# The gain is largest in the middle, about 3 dB at $\sigma$ = 0.2 to 0.5: there a filter must smear the strokes to be rid of the noise.
# At 0.1 there is little to remove, and at $\sigma = 1$, outside of what was trained, the network is still ahead but its lead has shrunk by half.
# A filter averages neighbours whatever they are; the network has seen digits and removes what does not belong to one.
# What is left of its error is no longer noise: at $\sigma = 0.7$ strokes have gaps and soft ends, placed with the confidence of ink.
# Move the slider beyond 0.8 and grain is left standing between the strokes: noise stronger than any it was trained on looks to it like ink.

# %% [markdown]
# **What does it learn?**
# The best answer under squared error is the conditional mean, $\hat x(\tilde x) = \mathbb E[x\mid\tilde x]$:
# for each $\tilde x$ the constant with the least mean square distance to the possible $x$ is their mean.
# Now differentiate the density of noisy data, $p_\sigma(\tilde x) = \int p_\text{data}(x)\, N(\tilde x; x, \sigma^2 I)\,dx$.
# Since $\nabla_{\tilde x} N(\tilde x; x, \sigma^2 I) = \frac{x-\tilde x}{\sigma^2}\,N(\tilde x; x, \sigma^2 I)$,
#
# $$\nabla\log p_\sigma(\tilde x) = \frac{\nabla p_\sigma(\tilde x)}{p_\sigma(\tilde x)} = \int \frac{x-\tilde x}{\sigma^2}\;\underbrace{\frac{p_\text{data}(x)\,N(\tilde x; x, \sigma^2 I)}{p_\sigma(\tilde x)}}_{=\;p(x\mid\tilde x)\text{ by Bayes}}\,dx = \frac{\mathbb E[x\mid\tilde x]-\tilde x}{\sigma^2},$$
#
# $$\boxed{\ \mathbb E[x\mid\tilde x]-\tilde x = \sigma^2\,\nabla\log p_\sigma(\tilde x)\ } \qquad\text{(Tweedie's formula)} \tag{3}$$
#
# **The residual of a denoiser is the score of the noisy data**, times $\sigma^2$; *score* is the name of $\nabla\log p$.
# It points uphill, towards where data are dense.
# The check uses a mixture of eight Gaussians, where both sides are known.

# %%
centres = cu.points.eight_centres().double()
spread = 0.2
level = 0.5  # the noise


def log_density(x, variance):
    """log of an equal mixture of isotropic Gaussians at the centres: x (n, 2) → (n,)."""
    square = torch.cdist(x, centres).square()  # (n, 8)
    log_constant = math.log(len(centres) * 2 * math.pi * variance)
    return torch.logsumexp(-square / (2 * variance), 1) - log_constant


def posterior_mean(x):
    """E[x | x̃] of the mixture, x̃ (n, 2).

    Each centre's own linear estimate, weighted by its responsibility.
    """
    variance = spread**2 + level**2
    weight = torch.softmax(-torch.cdist(x, centres).square() / (2 * variance), 1)  # (n, 8)
    shrunk = centres + spread**2 / variance * (x[:, None] - centres)  # (n, 8, 2)
    return (weight[..., None] * shrunk).sum(1)


# %%
noisy_variance = spread**2 + level**2
noisy_points = (3 * torch.randn(1000, 2, dtype=torch.float64)).requires_grad_()
log_p = log_density(noisy_points, noisy_variance)
(score,) = torch.autograd.grad(log_p.sum(), noisy_points)
residual = posterior_mean(noisy_points) - noisy_points
torch.testing.assert_close(residual, level**2 * score, rtol=1e-8, atol=1e-8)
print("✓ Tweedie's formula holds to 1e-8 at 1,000 points:")
print("residual of the exact denoiser = σ² × score")

# %% [markdown]
# The left side came from Bayes' rule (responsibilities, as in lesson 02), the right side from autograd.
# Now train a denoiser that knows nothing but noisy points and their clean partners.
# **Predict:** where on the plane will its arrows be right, where wrong?


# %%
def point_loss(model, x):
    """Denoising loss in the plane at the one noise level 0.5."""
    return (model(x + level * torch.randn_like(x)) - x).square().sum(1).mean()


torch.manual_seed(0)
which = torch.randint(8, (20_000,))
clean_points = (centres[which] + spread * torch.randn(20_000, 2)).float()
point_batches = cu.Batches(clean_points, 512)
point_model = cu.nets.mlp(2, 128, 128, 2)
cu.fit(point_model, point_loss, point_batches, steps=2_500, lr=3e-3, schedule="cosine")


# %%
@torch.no_grad()
def learned_residual(x):
    return point_model(x.to(device)).cpu() - x


def exact_residual(x):
    return (posterior_mean(x.double()) - x).float()


def gap(x):
    """Distance (n,) of the learned arrow from the exact one at points x (n, 2)."""
    return (learned_residual(x) - exact_residual(x)).norm(dim=1)


# %% tags=["figure", "slide"]
# @title Figure: exact and learned arrows, and their difference
def noisy_log_density(x):
    return log_density(x.double(), noisy_variance).float()


plane = (-5, 5)
contours = [-8, -6, -5, -4, -3]
panels = (
    (exact_residual, "Exact: σ² ∇ log p"),
    (learned_residual, "Learned from noisy points"),
)
fig, axes = plt.subplots(1, 3, figsize=(12.5, 3.6))
for ax, (arrows, title) in zip(axes, panels):
    cu.plots.density(noisy_log_density, plane, ax=ax, levels=contours, filled=False)
    cu.plots.field(arrows, plane, ax=ax, n=11)
    ax.set_title(title)
cu.plots.density(
    lambda x: gap(x).clamp(max=0.5),
    plane,
    ax=axes[2],
    levels=np.linspace(0, 0.5, 6),
    label="length of the difference",
)
axes[2].set_title("It errs where no point was")
cu.show(
    fig,
    "Residual arrows of the exact denoiser (left) and of a trained one (middle) over contours "
    "of log p_σ, σ = 0.5; right, the length of the difference of the two arrows.",
)

# %%
near = clean_points[:2000] + level * torch.randn(2000, 2)
far = 8 * torch.rand(4000, 2) - 4
far = far[far.norm(dim=1) > 4]


def mean_cosine(x):
    """Cosine of the exact and the learned arrow, on average over points x (n, 2)."""
    return torch.cosine_similarity(exact_residual(x), learned_residual(x), dim=1).mean()


cu.facts(
    {
        "at 2,000 noisy points, cosine of the two arrows": f"{mean_cosine(near):.3f}",
        "at 2,000 noisy points, length of their difference": f"{gap(near).mean():.3f}",
        f"at {len(far)} points beyond radius 4, cosine": f"{mean_cosine(far):.3f}",
        f"at {len(far)} points beyond radius 4, length": f"{gap(far).mean():.3f}",
    }
)

# %% [markdown]
# Where noisy points fell the two fields are the same to the eye: on average the arrows differ by about 0.04.
# The right picture shows where they do not: in the corners, and in a small disc in the middle, where hardly any point falls and the true arrow swings round within a short way.
# In the corners the direction is still right (cosine above 0.99) and the length is off by several times as much: that is extrapolation, lucky here because far out the truth is simple.
# With 784 pixels nearly everything is a corner.
#
# Keep two thoughts for lesson 06: *a network trained to remove noise knows the score*, and *one noise level shows the way only near the data*.

# %% [markdown]
# ## 7 · Compression *(deeper)*
#
# A code of a few numbers looks like compression.
# But numbers cost bits.
# Here every byte counts that is really written: codes are rounded to multiples of a step $\Delta$, each coordinate is stored as one stream, and the streams are packed by a general-purpose coder (LZMA).
# The opponents are JPEG and JPEG 2000, given one large picture of all digits, so that file headers do not decide.
# **Predict** the order at 0.15 bits per pixel, that is 118 bits a digit, and at 0.8.

# %%
n = cu.budget(2_000)
originals = test[:n]


def by_codes(k, kind, step):
    """Bits per pixel and mean PSNR of k code numbers, rounded to multiples of step.

    The step is in units of the spread of the codes.
    """
    basis = directions[:k].float()
    centre = mean.float()
    z = codes(deep[k], originals) if kind == "deep" else (originals - centre) @ basis.T
    width = step * z.std()
    symbols = (z / width).round().clamp(-127, 127)
    stream = symbols.to(torch.int8).T.contiguous().numpy().tobytes()
    size = len(lzma.compress(stream, preset=9))
    if kind == "deep":
        out = decode(deep[k], symbols * width).view(n, 784)
    else:
        out = symbols * width @ basis + centre
    return 8 * size / originals.numel(), checked_psnr(out.clamp(0, 1), originals).mean().item()


# %%
tiles = cu.to_uint8(originals).view(n // 50, 50, 28, 28).permute(0, 2, 1, 3)
sheet = Image.fromarray(tiles.reshape(n // 50 * 28, 1400).numpy())  # one large picture


def by_file(kind, **options):
    """The same of the sheet, saved as JPEG or JPEG 2000."""
    buffer = io.BytesIO()
    sheet.save(buffer, kind, **options)
    size = len(buffer.getvalue())
    pixels = np.asarray(Image.open(buffer).convert("L")).copy()
    rows = torch.from_numpy(pixels).view(n // 50, 28, 50, 28)
    back = rows.permute(0, 2, 1, 3).reshape(n, 784) / 255
    return 8 * size / originals.numel(), checked_psnr(back, originals).mean().item()


# %%
steps = [2.0, 1.0, 0.5, 0.25, 0.12, 0.06]
rates = {}  # coder → a list of (bits per pixel, PSNR)
for kind, k in (("deep", 8), ("deep", 32), ("PCA", 8), ("PCA", 32), ("PCA", 64)):
    rates[f"{kind}, k = {k}"] = [by_codes(k, kind, step) for step in steps]

rates["JPEG"] = [by_file("JPEG", quality=q) for q in (1, 5, 10, 20, 35, 50)]

rates["JPEG 2000"] = []
for ratio in (160, 80, 50, 30, 20, 12, 8):
    options = {"quality_mode": "rates", "quality_layers": [ratio], "irreversible": True}
    rates["JPEG 2000"].append(by_file("JPEG2000", **options))

# %% tags=["figure", "slide"]
# @title Figure: quality against size for seven coders
fig, ax = plt.subplots(figsize=(8.5, 4.8))
for name, curve in rates.items():
    ax.plot(*zip(*curve), "s--" if "JPEG" in name else "o-", label=name)
ax.set(
    xlabel="bits per pixel",
    ylabel="mean PSNR (dB)",
    xlim=(0, 1.05),
    title="Few bits: the autoencoder. Many bits: the standards",
)
ax.legend(ncols=2, fontsize=9, loc="lower right")
cu.show(
    fig,
    f"Quality against size for {n:,} test digits: autoencoder and PCA codes, rounded and "
    "packed, and the standards JPEG and JPEG 2000.",
)


# %%
def within(name, bits):
    """The best PSNR of a curve with at most so many bits per pixel, interpolated linearly.

    NaN where the coder cannot be that small.
    """
    x, y = zip(*sorted(rates[name]))
    return float(np.interp(bits, x, np.maximum.accumulate(y), left=np.nan))


allowed = (0.05, 0.1, 0.15, 0.2, 0.4, 0.8)
best_within = {}
for name in rates:
    best_within[name] = [within(name, bits) for bits in allowed]

# %% tags=["figure"]
# @title Table: the best quality within a budget of bits
cu.table(
    [[name, *row] for name, row in best_within.items()],
    ["coder", *(f"{bits} bpp" for bits in allowed)],
    "Best mean PSNR in dB with at most so many bits per pixel; – where the coder cannot be so "
    "small.",
    digits=1,
)
for bits in allowed:
    there = {name: within(name, bits) for name in rates}
    best = max(there, key=lambda name: np.nan_to_num(there[name]))
    print(f"{bits} bits per pixel: best is {best} with {there[best]:.1f} dB")

# %% [markdown]
# But the receiver needs the decoder.
# What does it cost in half precision, and from how many digits on does sending it pay?

# %%
deep_bits, best_psnr = max(rates["deep, k = 32"], key=lambda point: point[1])
jpeg_bits, jpeg_psnr = zip(*sorted(rates["JPEG 2000"]))
same_bits = np.interp(best_psnr, jpeg_psnr, jpeg_bits)  # what JPEG 2000 needs for as much
decoder_bits = 16 * cu.nets.count_parameters(deep[32].decode)
saved_bits = 784 * max(same_bits - deep_bits, 1e-3)  # for each digit
cu.facts(
    {
        "best PSNR of 32 deep numbers, dB": best_psnr,
        "bits per pixel, 32 deep numbers": f"{deep_bits:.2f}",
        "bits per pixel, JPEG 2000 for the same PSNR": f"{same_bits:.2f}",
        "size of the decoder, kB": f"{decoder_bits / 8e3:.0f}",
        f"bits per pixel on top for {n:,} digits": f"{decoder_bits / (n * 784):.2f}",
        "sending the decoder pays from so many digits on": round(decoder_bits / saved_bits),
    }
)

# %% [markdown]
# Each code curve rises and then goes flat: with finer rounding the bits grow, but the picture stays what $k$ numbers can hold.
# At 0.15 bits per pixel 32 deep numbers are 2.6 dB ahead of 64 linear ones and more than 5 dB ahead of JPEG 2000; JPEG cannot be that small at all.
# At 0.05 the 8 well-kept numbers beat the 32 roughly rounded ones by more than 5 dB.
# And at 0.8 the standards win: they know nothing of digits, so they pay for every stroke, and they have no ceiling.
#
# The honest footnote is the decoder.
# For the 2,000 digits of this contest sending it costs several times the codes themselves, and JPEG 2000 wins the whole contest;
# it pays only from some thousands of digits on (printed above), and is negligible for a million.

# %% [markdown]
# ## 8 · Anomalies *(deeper)*
#
# A picture that the autoencoder reconstructs badly is unlike what it was trained on.
# So the error can serve as an alarm.
# Train it *without* one class and see whether the held-out class sets it off; add inverted digits, rotated ones, letters and noise.
# AUROC: the chance that an anomaly scores higher than a normal digit.
#
# **Predict:** is a held-out 8 easier to notice, or a held-out 1?


# %%
def trained_without(digit):
    """An autoencoder with 8 numbers, and PCA of the same size, from the other nine classes."""
    rest = mnist.train.only(*(c for c in range(10) if c != digit))
    torch.manual_seed(0)
    model = Autoencoder(8)
    rest_batches = cu.Batches(rest, 256)
    cu.fit(model, reconstruction_loss, rest_batches, steps=1_000, lr=2e-3, schedule="cosine")
    n_pca = cu.budget(5_000)
    return model, checked_pca(rest.sample(n_pca).flat(), 8)


@torch.no_grad()
def alarms(x, model, basis):
    """Scores (n,) of images x (n, 784): deep error, PCA error, deep error per unit of ink."""
    centre, rows, _ = basis
    flat = (x - centre) @ rows.T @ rows + centre
    error = (model(x.to(device)).cpu() - x).square().sum(1)
    return {"deep": error, "PCA": (flat - x).square().sum(1), "deep ÷ ink": error / x.sum(1)}


without_8 = trained_without(8)
without_1 = trained_without(1)


# %%
def normal_digits(held_out):
    """The first 2,000 test digits of the nine other classes, (2000, 784)."""
    rest = (c for c in range(10) if c != held_out)
    return mnist.test.only(*rest).flat()[:2000]


def aurocs(usual, odd):
    """For each alarm the chance that an anomaly scores higher than a normal digit."""
    found = []
    for alarm in usual:
        is_odd = [0] * len(usual[alarm]) + [1] * len(odd[alarm])
        found.append(roc_auc_score(is_odd, torch.cat([usual[alarm], odd[alarm]])))
    return found


normal = normal_digits(8)
strange = {
    "held-out 8": mnist.test.only(8).flat(),
    "inverted digits": 1 - normal[:1000],
    "rotated by 90°": normal[:1000].view(-1, 28, 28).rot90(1, (1, 2)).reshape(-1, 784),
    "letters": cu.letters().flatten(1).float() / 255,
    "uniform noise": torch.rand(1000, 784),
}

# %%
usual_8 = alarms(normal, *without_8)
found = {name: aurocs(usual_8, alarms(x, *without_8)) for name, x in strange.items()}
mean_ink = {name: x.sum(1).mean() for name, x in strange.items()}

ones = mnist.test.only(1).flat()
not_ones = normal_digits(1)
usual_1 = alarms(not_ones, *without_1)
found["held-out 1"] = aurocs(usual_1, alarms(ones, *without_1))
mean_ink["held-out 1"] = ones.sum(1).mean()


def ink_correlation(usual, x):
    """Correlation of the deep error and the ink among normal digits x (n, 784)."""
    return torch.corrcoef(torch.stack([usual["deep"], x.sum(1)]))[0, 1]


# %% tags=["figure"]
# @title Table: three alarms and six anomalies
cu.table(
    [[name, *found[name], f"{mean_ink[name]:.0f}"] for name in found],
    ["anomaly", "deep, k = 8", "PCA, k = 8", "deep ÷ ink", "mean ink"],
    "AUROC of three alarms against 2,000 normal test digits. 0.5 is guessing; below 0.5 the "
    "anomaly looks more normal than the normal.",
)
cu.facts(
    {
        "mean ink of digits other than 1": f"{not_ones.sum(1).mean():.0f}",
        "normal digits, error and ink, without 8": f"{ink_correlation(usual_8, normal):.2f}",
        "normal digits, error and ink, without 1": f"{ink_correlation(usual_1, not_ones):.2f}",
    }
)

# %% [markdown]
# Noise and inverted digits are noticed always, rotated digits, letters and a held-out 8 in about nine cases of ten, and for all of these the deep error is at least as good an alarm as that of PCA.
# The held-out **1** is the failure: its AUROC is about 0.25, far *below* one half.
# The network has never seen a 1 and redraws it better than most digits it was trained on.
# A 1 has little ink, 60 where the others have 100, and little ink is cheap to redraw: among normal digits too error and ink are correlated.
# Dividing by the ink lifts the 1 above one half, still a poor alarm, and costs the 8 a tenth: no repair is free.
# The reconstruction error measures complexity as much as strangeness; lesson 01 met that trap in $\log p(x)$, and lesson 04 will meet it again.

# %% [markdown]
# **A cousin, and an exercise: the masked autoencoder.**
# Hide most of the picture and learn to draw what is hidden.
#
# **Exercise 4 (deeper).**
# Only the hidden pixels may count; otherwise copying the visible ones drowns the task.


# %% tags=["exercise"]
def masked_loss(x_hat, x, hidden):
    """Mean squared error over the hidden pixels alone.

    x_hat, x (B, d), hidden (B, d) bool → scalar.
    """
    ### BEGIN SOLUTION
    return ((x_hat - x).square() * hidden).sum() / hidden.sum()
    ### END SOLUTION


# %%
checked_masked_loss = cu.check("03.masked_loss", masked_loss)

# %% [markdown]
# Six of ten blocks are hidden below.
# **Predict:** where will the completions be sharp, where grey?


# %%
def hide_blocks(x, share=0.6):
    """Hide a random share of the 4×4 blocks of each image: x (B, 784) → bool (B, 784)."""
    blocks = (torch.rand(len(x), 1, 7, 7, device=x.device) < share).float()
    return nn.functional.interpolate(blocks, scale_factor=4).flatten(1).bool()


def masked_training_loss(model, x):
    x = x.flatten(1)
    hidden = hide_blocks(x)
    return checked_masked_loss(model(torch.where(hidden, 0.5, x)), x, hidden)


torch.manual_seed(0)
masked = Autoencoder(64)
cu.fit(masked, masked_training_loss, batches, steps=1_200, lr=2e-3, schedule="cosine")

x = torch.cat([mine, test[:9]])
hidden = hide_blocks(x)
seen = torch.where(hidden, 0.5, x)
with torch.no_grad():
    filled = torch.where(hidden, masked(seen.to(device)).cpu(), x)

# %% tags=["figure"]
# @title Figure: ten digits with blocks hidden, and completed
pictures = torch.cat([seen, filled, x]).view(-1, 28, 28)
ax = cu.plots.image_grid(pictures, rows=3, row_titles=["seen", "filled", "truth"])
cu.show(
    ax.figure,
    "Your digit and nine test digits with six of ten blocks hidden (grey), the masked "
    "autoencoder's completion, and the truth.",
)

# %% [markdown]
# It continues strokes across the gaps, and where the rest could be two things it paints their average in grey: squared error again answers with a mean.
# Lesson 02's mixture gave several sharp answers instead.

# %% [markdown]
# ## 9 · Can we sample? *(core)*
#
# A decoder turns $k$ numbers into a picture.
# So draw $k$ random numbers!
# **Predict** what comes out for $z \sim N(0, I)$ with $k = 8$: digits, garbage, or something between?
# Beside it stand two densities that look at the codes of the training digits first: one Gaussian with their mean and covariance, and lesson 02's mixture, here with 60 components.

# %%
home8 = codes(deep[8], train)  # (55000, 8)
n_samples = cu.budget(5_000)
n_components = cu.budget(60)
n_fitted = cu.budget(20_000)


def mixture_draws(z, n):
    """n draws (n, k) from a mixture of 60 Gaussians, fitted to the first 20,000 codes z."""
    mixture = GaussianMixture(n_components, random_state=0, reg_covar=1e-4)
    mixture.fit(z[:n_fitted].double().numpy())
    drawn, _ = mixture.sample(n)  # component by component, so shuffle
    order = torch.randperm(n, generator=torch.Generator().manual_seed(0))
    return torch.from_numpy(drawn).float()[order]


torch.manual_seed(0)
chol = torch.linalg.cholesky(home8.T.cov())
points = {"N(0, I)": torch.randn(n_samples, 8)}
points["one Gaussian"] = home8.mean(0) + torch.randn(n_samples, 8) @ chol.T
points["mixture"] = mixture_draws(home8, n_samples)
drawn = {name: decode(deep[8], z) for name, z in points.items()}

# %% tags=["figure", "slide"]
# @title Figure: one decoder, three ways to draw its code
sixteen_each = torch.cat([x[:16] for x in drawn.values()])
ax = cu.plots.image_grid(sixteen_each, rows=3, row_titles=list(drawn))
cu.show(
    ax.figure,
    "Sixteen decoded draws each of the code: from N(0, I), from one Gaussian fitted to the "
    "codes, and from a mixture fitted to them.",
)

# %% [markdown]
# Not even something between: from $N(0, I)$ comes grey texture, with a ghost of a digit here and there.
# One Gaussian in the right place already gives digits, among blots and broken strokes.
# In the last row one has to search for a failure.
# The decoder is the same in all three.
# **Predict** for the next figure: how far from the codes of real digits do the three land, and how far do *new* digits?

# %%
nearest = {name: to_nearest(z[:1000], home8) for name, z in points.items()}
nearest["new digits"] = to_nearest(codes(deep[8], test[:1000]), home8)
spacing8 = nearest["new digits"].quantile(0.95)  # as in section 5

# %% tags=["figure", "slide"]
# @title Figure: where the draws land
# the two coordinates whose mean is furthest from 0
shifted = (home8.mean(0) / home8.std(0)).abs().topk(2).indices
clouds = (
    ("codes of digits", home8, "#0072B2"),
    ("N(0, I)", points["N(0, I)"], "#D55E00"),
)
fig, axes = plt.subplots(1, 2, figsize=(11, 4.4))
for name, z, colour in clouds:
    dots = z[:1000, shifted].T
    axes[0].scatter(*dots, s=6, color=colour, linewidths=0, label=name)
axes[0].set(
    xlabel=f"z, coordinate {shifted[0] + 1}",
    ylabel=f"z, coordinate {shifted[1] + 1}",
    title="N(0, I) looks elsewhere",
)
axes[0].legend(markerscale=3)
axes[1].boxplot(nearest.values(), tick_labels=list(nearest), showfliers=False)
axes[1].set(
    ylabel="distance to the nearest code",
    ylim=(0, None),
    title="The mixture lands where new digits land",
)
cu.show(
    fig,
    "Left: two of the eight code coordinates, for 1,000 digits and for 1,000 draws of a "
    "standard normal. Right: distance to the nearest of 55,000 training codes, for three ways "
    "of drawing a code, and for new digits.",
)

# %%
for name, distance in nearest.items():
    print(f"{name}: {(distance > spacing8).float().mean():.0%} over holes")
cu.facts(
    {
        "smallest spread of the eight coordinates": home8.std(0).min(),
        "largest spread": home8.std(0).max(),
        "largest mean": home8.mean(0).abs().max(),
    },
    digits=2,
)

# %% [markdown]
# In two numbers a third of the map was empty; in eight, *every* draw of $N(0, I)$ is over a hole.
# It makes two mistakes.
# The first is place and size: nothing in (1) asked the codes to lie around zero, and they are spread three to five times as wide.
# One Gaussian with their mean and covariance repairs that, and still half of its draws are over holes: the cloud of codes has arms and gaps that no ellipse follows.
# That is the second mistake, the shape.
# The mixture's draws lie nearly as close to known codes as new digits do.
#
# Now the ruler.
# The Fréchet distance (Card 7) compares 5,000 samples with real digits in the features of a classifier.
# Beside the three ways of drawing a code stand the models of lessons 00 and 02, and the same recipe with the *linear* door: PCA with 8 numbers, and a mixture on them.
# One row is no generator: reconstructions of real digits.
# **Predict** the order, and where the reconstructions will stand.

# %%
basis8 = directions[:8].float()
few_codes = (train[:20_000] - mean.float()) @ basis8.T
linear_draws = mixture_draws(few_codes, n_samples) @ basis8 + mean.float()

entrants = {f"decoder on {name}": x for name, x in drawn.items()}
entrants["PCA (k = 8) on mixture"] = linear_draws
entrants["reconstructed real digits"] = decode(deep[8], codes(deep[8], val[:n_samples]))

quality = {}
for name, x in entrants.items():
    images = cu.to_uint8(x.clamp(0, 1)).view(-1, 28, 28)
    quality[name] = cu.metrics.quality(images)

# %% tags=["figure"]
# @title Table: how far from real digits
floor, _ = cu.metrics.floor(n_samples)
rows = [[name, q.distance, q.distance_std, q.ratio] for name, q in quality.items()]
pixel_mixture = cu.runs.load("02_mixture")
for name, figure in (
    ("pixel mixture (lesson 02's card)", "Fréchet distance"),
    ("pixel mixture before its noise (same card)", "Fréchet distance before pixel noise"),
):
    distance = pixel_mixture.figure(figure)
    rows.append([name, distance, None, distance / floor])
rows.sort(key=lambda row: row[1])
cu.table(
    rows,
    ["source", "Fréchet distance", "±", "ratio to the floor"],
    f"n = {n_samples:,}; real digits against real digits have {floor:.2f}, the floor.",
    digits=1,
)
ranking = [f"{name} ({distance:.1f})" for name, distance, *_ in rows if "real" not in name]
print(f"Of the {len(ranking)} generators the nearest to real digits is: {ranking[0]}.")
print(f"It is followed by {ranking[1]}; the farthest is {ranking[-1]}.")


# %% tags=["author"]
def shipped_samples():
    return cu.to_uint8(drawn["mixture"])[:1_000]


def shipped_replay():
    rows = [cu.to_uint8(drawn[name][:16]) for name in ("N(0, I)", "mixture")]
    return torch.stack(rows), [0, 1]


def shipped_figures():
    few = cu.metrics.quality(shipped_samples()).distance
    return {
        "Fréchet distance": (quality["decoder on mixture"].distance, 1.0),
        "Fréchet distance of the shipped samples": (few, 0.05),
    }


cu.ship(
    "03_ae_mixture",
    what="autoencoder (k = 8) with a mixture of 60 Gaussians on its codes",
    samples=shipped_samples,
    sample_kind="decoder means",
    replay=shipped_replay,
    figures=shipped_figures,
)

# %% [markdown]
# The pair of decoder and mixture enters the arena of lesson 07: how to draw from it, what a training step is, what must be fitted once, and how many numbers one must keep.

# %%
entrant = GaussianMixture(60, random_state=0, reg_covar=1e-4)


def fit_codes():
    """What has to be done once before drawing: the mixture on the codes."""
    entrant.fit(home8[:20_000].double().numpy())


def draw_digits(n):
    """n images: a code from the mixture, decoded."""
    entrant.random_state = torch.randint(2**31, ()).item()  # others each time
    z, _ = entrant.sample(n)
    return decode(deep[8], torch.from_numpy(z).float())


decoder = sum(weight.numel() for weight in deep[8].decode.parameters())
numbers = decoder + 60 * (1 + 8 + 36)  # and the mixture: weights, means, covariances
step = cu.arena.training_step(deep[8], reconstruction_loss, train[:256].to(device))
cu.enter("03_ae_mixture", draw_digits, step=step, steps=16_000, numbers=numbers, fit=fit_codes)

# %%
names = ["00_pixels", "00_gaussian", "02_mixture", "03_ae_mixture"]
arena = cu.runs.available(*names, samples=True)
n_arena = cu.budget(1_000, 100)
standing = {}
for run in arena:
    standing[run.name] = cu.metrics.quality(torch.from_numpy(run.samples[:n_arena]))

# %% tags=["figure", "slide"]
# @title Figure: ten samples of each entry in the arena
ten_each = np.concatenate([run.samples[:10] for run in arena])
names = [run.name for run in arena]
ax = cu.plots.image_grid(ten_each, rows=len(arena), row_titles=names)
cu.show(
    ax.figure,
    "The arena so far: ten samples of each run that ships with the course up to this lesson.",
)

# %% tags=["figure"]
# @title Table: the arena so far
rows = []
for run in arena:
    q = standing[run.name]
    rows.append([run.name, run.card["samples"]["kind"], q.distance, q.distance_std, q.ratio])
rows.sort(key=lambda row: row[2])
cu.table(
    rows,
    ["run", "samples are", "Fréchet distance", "±", "ratio to the floor"],
    f"All at the same n = {q.n:,}, where real digits against real digits have {q.floor:.2f}.",
    digits=1,
)

# %% [markdown]
# The decoder on a mixture stands just behind the reconstructions of real digits by the same decoder.
# So hardly any density on these codes could do better: what is left, nearly thirty times the floor, is the softness of the decoder.
# Each of the other rows makes one mistake: the right decoder fed from the wrong density (36, 288), the same recipe through a *linear* door (296: blurred), or no door at all.
# There the pixel mixture of lesson 02 has 327 with its honest speckle and about 60 without; since our entry is a decoder's mean, without any pixel noise, the second is the fair opponent.
#
# The last table is the **arena**: whatever ships samples is measured there by the same code and at the same $n$, in this lesson and in every later one.
# Independent pixels have 843, and ours 8.
# Surprising is the middle: the eye reads the draws of lesson 02's mixture at once, and the ruler puts them beside the blots of one Gaussian.
# It looks through a classifier that never saw noise, and to it the speckle drowns the shapes.
# So look at the pictures whenever you read the number, and read the second column too: the other entries are draws, with all the randomness that their model claims, ours are decoder's means.
#
# So this is the recipe of many generative models: *learn a code, then learn the density of the codes*.
# It took two separate trainings that know nothing of each other.
# **Can the code space be made normal by the training itself?**
# That is the question of lesson 04.

# %% [markdown]
# ## What to take home *(core)*
#
# - *When is it PCA?*
#   A linear autoencoder has the principal subspace as its optimum, in any basis (section 1).
#   Curved networks beat it at equal size, by 1.5 to 3 times in squared error; what they drop first is style (section 3).
# - *Reading a map.*
#   Neighbours look alike; axes and distances mean nothing, a class may have two provinces, and part of the map is empty (sections 4, 5).
# - *Denoising is the score.*
#   Equation (3), asserted to 1e-8, learned wherever noisy points fell (section 6).
# - *What is it good for?*
#   A table each: compression at few bits, once the decoder is paid for (7); anomalies, except simple ones (8); generation, once the density of the codes is learned (9).
#
# **What breaks, and why.**
# Averages: where several answers fit, squared error paints their mean.
# Simplicity: a 1 is never surprising.
# Holes: nothing in (1) speaks about codes that no image has.
#
# **References.**
# P. Baldi and K. Hornik, *Neural networks and principal component analysis: learning from examples without local minima*, 1989.
# G. Hinton and R. Salakhutdinov, *Reducing the dimensionality of data with neural networks*, 2006.
# P. Vincent, *A connection between score matching and denoising autoencoders*, 2011.
# B. Efron, *Tweedie's formula and selection bias*, 2011.
# K. He et al., *Masked autoencoders are scalable vision learners*, 2022.
#
# **The failure that the next lesson repairs:** decode `torch.randn(1, 8)` once more and look at it.
