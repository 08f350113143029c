# %% [markdown]
# # 03 Autoencoders
#
# **Squeeze the data through a narrow door and what passes is what matters; but the room behind the door has holes.**
#
# Run the next two cells. Both rows come from the same network with the same weights, which turns eight numbers into a picture. **Predict:** what differs between the rows?

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

# %% slideshow={"slide_type": "slide"}
for run in cu.runs.available("03_ae_mixture"):
    frames, _ = run.replay  # (2, 16, 28, 28)
    ax = cu.plots.image_grid(np.concatenate(frames), rows=2, row_titles=["eight numbers\nof one kind", "eight numbers\nof another"])
    cu.show(ax.figure, "Two rows of sixteen images, all made by one decoder from eight random numbers each.")

# %% [markdown]
# Only the random numbers differ. Above they are drawn from $N(0, I)$, below from a density that was *fitted* to the codes of real digits. The upper row falls into the holes of the room; the lower row is the first set of decent digits in this course, and you make it in section 9.
#
# In lesson 02 a picture was explained by *which* of a few dozen components made it, plus a few numbers. Here nobody chooses components: two networks are trained, one that writes a picture down in $k$ numbers, one that draws it again from them. Nothing is labelled; the target is the input.
#
# **After this lesson you can** *prove* when an autoencoder is PCA, and *measure* what a deep one gains; *read* a map of codes, and *say* where it is empty; *derive* why a denoiser knows the score of the data, the gradient of $\log p$; *decide* with a number whether a set of codes compresses, detects anomalies, or generates.
#
# **Builds on** 02 (mixtures), 01 (letters, AUROC), Appendix A Cards 2 (training), 4 (Gaussians) and 7 (Fréchet distance). **Takes** 75 minutes in class for the sections marked *core*. All cells run in about two minutes on two CPU cores, the core sections in one.
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
train, val, test = mnist.train.flat(), mnist.val.flat(), mnist.test.flat()  # (55000, 784), (5000, 784), (10000, 784)
mine = cu.my_digit().float().div(255).view(1, 784)
batches = cu.Batches(mnist.train, 256)

# %% [markdown]
# ## 1 · The linear door is PCA  *(core)*
#
# Take the simplest encoder and decoder: matrices. On centred data, $z = Ex$ with $E$ of shape $(k, 784)$ and $\hat x = Dz$ with $D$ of shape $(784, k)$. The loss is the mean squared error,
#
# $$L(E, D) = \mathbb E\,\lVert x - DEx\rVert^2 . \tag{1}$$
#
# Whatever $E$ does, $\hat x = DEx$ lies in the column space $U$ of $D$, a plane through the origin. The nearest point of $U$ to $x$ is its orthogonal projection, and for $D$ with independent columns there is an $E$ that hits it, $E = (D^\top D)^{-1}D^\top$. So at the optimum only $U$ matters. With an orthonormal basis $Q$ of $U$ the projection is $QQ^\top x$, and by Pythagoras
#
# $$L = \mathbb E\lVert x\rVert^2 - \mathbb E\lVert Q^\top x\rVert^2 = \operatorname{tr}\Sigma - \operatorname{tr} Q^\top\Sigma Q .$$
#
# The second term is the variance inside $U$. For $k=1$ it is $q^\top\Sigma q$ with $\lVert q\rVert=1$, which is largest for the eigenvector of the largest eigenvalue: the first principal component. For $k>1$, write $\operatorname{tr} Q^\top\Sigma Q=\sum_i\lambda_i\,w_i$ in the eigenbasis $v_i$ of $\Sigma$, with $w_i=\lVert Q^\top v_i\rVert^2$. Each $w_i$ lies between 0 and 1 (it is the squared length of a projected unit vector) and they sum to $\operatorname{tr}QQ^\top=k$. Spending a budget of $k$ on the $\lambda_i$, at most 1 each, is best done on the $k$ largest. Hence **a linear autoencoder finds the principal subspace, and its loss is the sum of the eigenvalues left out**.
#
# It need not find the principal *components*: for any invertible $A$ the pair $AE$, $DA^{-1}$ has the same product, so the same loss.
#
# **Exercise (core).** The singular value decomposition of the centred data, $X = USV^\top$ with the images as rows, gives the components directly, because $X^\top X = VS^2V^\top$.

# %% tags=["exercise"]
def pca(x, k):
    """The k leading principal components of x (n, d): mean (d,), directions (k, d) as rows, variances (k,).

    Centre first; directions have length 1; variances are those of the data along them (divide by n, not n − 1).
    """
    ### BEGIN SOLUTION
    mean = x.mean(0)
    _, s, vt = torch.linalg.svd(x - mean, full_matrices=False)
    return mean, vt[:k], s[:k] ** 2 / len(x)
    ### END SOLUTION


# %%
checked_pca = cu.check("03.pca", pca)

# %% [markdown]
# For 55,000 images the SVD takes a quarter of a minute. The same identity offers a shorter way: the eigenvectors of the 784 × 784 covariance are the columns of $V$. The next cell compares the two on a part of the data and then takes the short way for all of it.

# %%
def covariance(x):
    """Mean (d,) and covariance (d, d) of the rows of x (n, d), in double precision."""
    x = x.double()
    centred = x - x.mean(0)
    return x.mean(0), centred.T @ centred / len(x)


few = train[: cu.budget(5_000, 800)].double()
torch.testing.assert_close(checked_pca(few, 50)[2], torch.linalg.eigvalsh(covariance(few)[1]).flip(0)[:50])
mean, sigma = covariance(train[: cu.budget(55_000, 5_000)])
eigenvalues, vectors = torch.linalg.eigh(sigma)  # ascending; eigenvectors are the columns
directions, variances = vectors.flip(1).T[:64], eigenvalues.flip(0)[:64]
print("✓ SVD of the data and eigenvalues of the covariance agree")
print(f"eigenvalue 6 over eigenvalue 7: {variances[5] / variances[6]:.2f}, so 'the 6 leading directions' is a well-defined question")

# %% [markdown]
# Now forget that we know the answer, and train (1). Written out, the loss needs the data only through $\Sigma$:
#
# $$L = \operatorname{tr}\bigl[(I-DE)\,\Sigma\,(I-DE)^\top\bigr] = \operatorname{tr}\Sigma - 2\operatorname{tr}(E\Sigma D) + \operatorname{tr}(D^\top D\,E\Sigma E^\top). \tag{2}$$
#
# In this form a quasi-Newton method (L-BFGS, which estimates curvature from the last thirty gradients) can run in double precision on all of the data at once. Beside it runs what we will use for deep networks: Adam on minibatches. The ruler is the largest **principal angle** between the columns of $D$ and the principal subspace: take orthonormal bases $Q_1, Q_2$ of both; the cosines of the angles are the singular values of $Q_1^\top Q_2$.
#
# **Predict:** do both arrive? At how many degrees are they after 240 and after 1,000 steps? And will the six columns of $D$ look like the six principal components?

# %%
def largest_angle(decoder, components):
    """Largest principal angle in degrees between the columns of decoder (d, k) and the rows of components (k, d)."""
    q, _ = torch.linalg.qr(decoder)
    cosine = torch.linalg.svdvals(q.T @ components.T.to(q)).min().clamp(max=1)
    return torch.rad2deg(torch.acos(cosine))


def linear_loss(E, D):
    """Equation (2): E (k, d), D (d, k) → the mean squared error of the linear autoencoder on data of covariance sigma."""
    return sigma.trace() - 2 * (E @ sigma @ D).trace() + ((D.T @ D) * (E @ sigma @ E.T).T).sum()


# %%
torch.manual_seed(0)
E = (0.1 * torch.randn(6, 784, dtype=torch.float64)).requires_grad_()
D = (0.1 * torch.randn(784, 6, dtype=torch.float64)).requires_grad_()
newton = torch.optim.LBFGS([E, D], max_iter=20, history_size=30, tolerance_change=0, line_search_fn="strong_wolfe")
lbfgs_angles = []


def closure():
    newton.zero_grad()
    loss = linear_loss(E, D)
    loss.backward()
    return loss


for _ in range(cu.budget(12, 2)):  # rounds of 20 iterations
    newton.step(closure)
    lbfgs_angles.append(largest_angle(D.detach(), directions[:6]).item())

# %%
linear = nn.ModuleDict({"e": nn.Linear(784, 6, bias=False), "d": nn.Linear(6, 784, bias=False)}).to(device)
adam = torch.optim.Adam(linear.parameters(), lr=2e-3)
offset, goal = mean.float().to(device), directions[:6].to(device)


def adam_step(x):
    x = x.flatten(1) - offset
    loss = (linear["d"](linear["e"](x)) - x).square().sum(1).mean()
    adam.zero_grad()
    loss.backward()
    adam.step()
    return {"loss": loss.detach(), "angle": largest_angle(linear["d"].weight.detach(), goal)}


by_adam = cu.loop(adam_step, batches, state={"linear": linear, "adam": adam}, steps=1_000, log_every=50)

# %% slideshow={"slide_type": "slide"}
fig, (left, right) = plt.subplots(1, 2, figsize=(11.5, 3.9), width_ratios=(1, 1.25))
left.semilogy(20 * np.arange(1, len(lbfgs_angles) + 1), lbfgs_angles, "o-", label="L-BFGS on the covariance")
left.semilogy(by_adam.steps, by_adam["angle"], "s-", label="Adam on minibatches")
left.axhline(2, color="black", linewidth=1, linestyle=":")
left.set(xlabel="iteration", ylabel="largest angle to PCA (degrees)", title="Both turn to the principal plane")
left.legend()
basis = torch.cat([directions[:6], D.detach().T]).view(12, 28, 28)
basis = nn.functional.pad(basis / basis.abs().amax((1, 2), keepdim=True), (1, 1, 1, 1), value=float("nan"))
tiles = basis.view(2, 6, 30, 30).permute(0, 2, 1, 3).reshape(60, 180)
right.imshow(tiles, cmap="RdBu_r", vmin=-1, vmax=1)
right.set(xticks=[], yticks=[15, 45], yticklabels=["principal\ncomponents", "decoder's\ncolumns"], title="One plane, two bases")
right.grid(False)
cu.show(fig, "Left: largest angle between the decoder's column space and the six principal directions, for two optimisers; the dotted "
        "line is 2 degrees. Right: the six principal components and the six columns of the decoder, red positive, blue negative.")  # fmt: skip
left_out = (sigma.trace() - variances[:6].sum()).item()
print(f"L-BFGS after {20 * len(lbfgs_angles)} iterations: {lbfgs_angles[-1]:.3f} degrees, loss {linear_loss(E, D).item():.4f}; the eigenvalues left out sum to {left_out:.4f}")
print(f"Adam after {by_adam.steps[-1]:,} steps: {by_adam['angle'][-1]:.1f} degrees, loss {by_adam['loss'][-1]:.1f}")

# %% [markdown]
# L-BFGS passes 2 degrees after some 70 iterations and ends below a tenth of one; its loss agrees with the sum of the eigenvalues left out to 0.001. The derivation holds. Adam stays near 90 degrees for 300 steps, as long as one of its six columns still points at nothing, and has come down to about 5 after 1,000; its loss is by then within one per cent of the best one. Near the optimum the loss hardly depends on the angle, while the minibatch noise does not shrink.
#
# The right half shows the freedom $A$: none of the decoder's columns is a principal component, yet the two rows span the same plane, to 0.06 degrees. **Codes of an autoencoder have no natural axes.** Remember it; it comes back in section 4.

# %% [markdown]
# ## 2 · The deep door  *(core)*
#
# Put layers with a nonlinearity on both sides and the door stays narrow, but the set of possible reconstructions may bend: instead of a $k$-dimensional plane, a curved $k$-dimensional sheet in the 784-dimensional space. The last layer is a sigmoid, since pixels live in $[0, 1]$. The code itself has no nonlinearity: why should it be bounded?

# %%
class Autoencoder(nn.Module):
    """784 → 160 → 80 → k → 80 → 160 → 784; the code has no nonlinearity, the output a sigmoid."""

    def __init__(self, k, d=784, hidden=(160, 80)):
        super().__init__()
        self.encode = cu.nets.mlp(d, *hidden, k)  # (B, d) → (B, k)
        self.decode = nn.Sequential(cu.nets.mlp(k, *hidden[::-1], d), nn.Sigmoid())  # (B, k) → (B, d)

    def forward(self, x):
        return self.decode(self.encode(x))


def reconstruction_loss(model, x):
    """Squared error summed over pixels, averaged over the batch: equation (1) with curved e and d."""
    x = x.flatten(1)
    return (model(x) - x).square().sum(1).mean()


# %% [markdown]
# Three codes, of 2, 8 and 32 numbers. **Predict** while it trains: by what factor does the error fall from 2 numbers to 32?

# %%
deep, live_error = {}, {}
for k in (2, 8, 32):
    torch.manual_seed(0)
    deep[k] = Autoencoder(k)
    history = cu.fit(deep[k], reconstruction_loss, batches, steps=1_000, full=16_000, lr=2e-3, schedule="cosine")
    with torch.no_grad():
        live_error[k] = reconstruction_loss(deep[k], val.to(device)).item()
    cu.save_run(f"03_ae_{k}", deep[k], what=f"autoencoder with a code of {k} numbers", history=history,
                figures={"squared error, validation": (live_error[k], 0.02 * live_error[k])})  # fmt: skip

# %%
shipped = {k: cu.restore(f"03_ae_{k}", deep[k]) for k in deep}
rows = [[k, live_error[k], run.figure("squared error, validation")] for k, run in shipped.items()]
cu.table(rows, ["code size", "trained just now", f"shipped, {shipped[2].card['steps']:,} steps"],
         "Squared error per validation image, summed over its 784 pixels.", digits=1)  # fmt: skip

# %% [markdown]
# From 2 numbers to 32 the shipped error falls nearly sevenfold; the short training gains much less from its wider door. The more the door lets through, the longer a network takes to make use of it. The shipped weights come from the same cell with more steps; they are loaded now and used from here on, so that the pictures below are the ones the text speaks of.

# %% [markdown]
# ## 3 · Deep against linear  *(deeper)*
#
# **Predict:** with a code of 2 numbers, how much smaller is the deep error than that of PCA? And with 32, has the advantage grown or shrunk?

# %%
@torch.no_grad()
def reconstruct(k, x, kind):
    """Reconstructions (n, 784) in [0, 1] through k numbers: kind 'PCA' or 'deep'."""
    if kind == "deep":
        return deep[k](x.to(device)).cpu()
    basis = directions[:k].float()
    return ((x - mean.float()) @ basis.T @ basis + mean.float()).clamp(0, 1)


error = {(k, kind): (reconstruct(k, test, kind) - test).square().sum(1).mean().item() for k in deep for kind in ("PCA", "deep")}
cu.table([[k, error[k, "PCA"], error[k, "deep"], error[k, "PCA"] / error[k, "deep"]] for k in deep],
         ["code size", "PCA", "deep", "PCA ÷ deep"], "Squared error per test image, summed over 784 pixels. To draw the mean image every time "
         f"would cost {(test - mean.float()).square().sum(1).mean():.1f}.", digits=2)  # fmt: skip

# %% [markdown]
# The curved sheet wins at every size, and the ratio grows with $k$: 1.5, 2.4, 3.0. Two numbers of PCA save less than a fifth of what the mean image costs, two deep ones nearly half, and eight deep numbers do as well as 32 linear ones.
#
# **Vote:** your digit passes through 32, then 8, then 2 numbers. What is lost first, your *style* (the slant, the thickness, the loop that nobody else makes) or the *class*?

# %% slideshow={"slide_type": "slide"}
def draw_codes(k):
    """Your digit and nine test digits above their reconstructions through k numbers."""
    pictures = torch.cat([mine, test[:9]])
    rows = torch.cat([pictures, reconstruct(k, pictures, "PCA"), reconstruct(k, pictures, "deep")])
    return cu.plots.image_grid(rows.view(-1, 28, 28), rows=3, row_titles=["original", f"PCA, {k}", f"deep, {k}"]).figure


def all_codes_drawn():
    """The static picture: all code sizes below each other."""
    pictures = torch.cat([mine, test[:9]])
    pairs = [(kind, k) for kind in ("deep", "PCA") for k in (32, 8, 2)]
    rows = torch.cat([pictures, *(reconstruct(k, pictures, kind) for kind, k in pairs)])
    return cu.plots.image_grid(rows.view(-1, 28, 28), rows=7, row_titles=["original", *(f"{kind}, {k}" for kind, k in pairs)]).figure


cu.explore(draw_codes, "Your digit (left) and nine test digits, and what is left of them after passing through k numbers, by the "
           "autoencoder and by PCA.", k={"options": [2, 8, 32], "value": 8}, static=all_codes_drawn)  # fmt: skip

# %% [markdown]
# To settle the vote, two numbers. *Class*: how often the course's digit classifier reads the reconstruction as the true class. *Style*: the share of the squared deviations from the mean image of its own class that survives, $1-\sum\lVert x-\hat x\rVert^2/\sum\lVert x-\bar x_{\text{class}}\rVert^2$.

# %%
some = mnist.test.sample(cu.budget(2_000, 60))
class_means = torch.stack([train[mnist.train.y == c].mean(0) for c in range(10)])[some.y]  # (n, 784)


@torch.no_grad()
def read(x):
    """The classes (n,) that the course's classifier reads in images x (n, 784), or any shape of as many numbers."""
    return cu.metrics.classifier()(x.reshape(-1, 1, 28, 28).to(device)).argmax(1).cpu()


kept = []
for kind, k in [(kind, k) for kind in ("deep", "PCA") for k in (32, 8, 2)]:
    out = reconstruct(k, some.flat(), kind)
    style = 1 - (out - some.flat()).square().sum() / (class_means - some.flat()).square().sum()
    kept.append([f"{kind}, {k}", f"{(read(out) == some.y).float().mean():.0%}", f"{style:.0%}"])
cu.table(kept, ["code", "class kept", "style kept"], f"{len(some):,} test digits. Style below zero: the class's mean would have been nearer.")

# %% [markdown]
# Style goes first. Through 8 numbers 94 % of the digits keep their class but more than a quarter of their style is gone; through 2 it is 67 % against 32 %. At that point a digit is drawn as the nearest thing the sheet contains, and one in three comes out as *another* digit, often a clear one: in the figure both 4s have become 9s. PCA errs otherwise: it blurs. Of its pictures through two numbers the classifier reads fewer correctly than by guessing, since it sees nearly always the same smudge.

# %% [markdown]
# ## 4 · Does the code capture the factors?  *(deeper)*
#
# With digits nobody knows the true factors of variation. So plant two: a bump on a line of 64 points, with a mean and a width drawn at random. A code of 2 numbers *can* hold everything. **Predict:** does it? And can a straight line read the factors off the code?

# %%
def bumps(n, seed):
    """n bumps (n, 64) and their factors (n, 2): mean in [0.2, 0.8], width in [0.04, 0.15]."""
    generator = torch.Generator().manual_seed(seed)
    factors = torch.tensor([0.2, 0.04]) + torch.rand(n, 2, generator=generator) * torch.tensor([0.6, 0.11])
    u = torch.linspace(0, 1, 64)
    return torch.exp(-0.5 * ((u - factors[:, :1]) / factors[:, 1:]) ** 2), factors


(bump_train, factor_train), (bump_test, factor_test) = bumps(8_000, 0), bumps(2_000, 1)
torch.manual_seed(0)
bump_model = Autoencoder(2, d=64, hidden=(128, 64))
cu.fit(bump_model, reconstruction_loss, cu.Batches(bump_train, 128), steps=4_000, lr=2e-3, schedule="cosine")
with torch.no_grad():
    code_train, code_test = (bump_model.encode(x.to(device)).cpu() for x in (bump_train, bump_test))

# %%
readers = {"k-NN": KNeighborsRegressor(10), "linear": LinearRegression()}
r2 = {name: r2_score(factor_test, reader.fit(code_train, factor_train).predict(code_test), multioutput="raw_values")
      for name, reader in readers.items()}  # fmt: skip
fig, axes = plt.subplots(1, 2, figsize=(10.5, 4.1))
for ax, column, name in zip(axes, (0, 1), ("mean", "width")):
    dots = ax.scatter(*code_test[:1_000].T, c=factor_test[:1_000, column], s=8, cmap="viridis")
    fig.colorbar(dots, ax=ax, label=f"planted {name}")
    ax.set(xlabel="z₁", ylabel="z₂", title=f"R² of the {name}:\nk-NN {r2['k-NN'][column]:.3f}, linear {r2['linear'][column]:.2f}")
cu.show(fig, "Codes of 1,000 held-out bumps, coloured by the planted mean (left) and by the planted width (right); in the titles, how well ten "
        "nearest neighbours and a straight line read the factor off the code of 2,000.")  # fmt: skip

# %% [markdown]
# Ten neighbours read both factors almost perfectly on held-out bumps ($R^2$ above 0.99): the code holds them, and bumps that are alike lie close together. A straight line reads the mean well, because it runs nearly straight from one end of the horseshoe to the other, and the width badly, because the width runs *across* the horseshoe, outward all around. Nothing in (1) asks for straight axes: any smooth, invertible warp of the code that the two networks can undo has the same loss. It is section 1's matrix $A$, now curved. **Codes are defined only up to a warp**; whoever reads meaning into "the first coordinate" reads tea leaves.

# %% [markdown]
# ## 5 · The map  *(core)*
#
# With two numbers the whole code space fits on paper. **Predict:** which digits get a region of their own, which share one? Does any class get *two* regions? Is the paper full?

# %%
@torch.no_grad()
def codes(model, x):
    """Codes (n, k) on the CPU of images x (n, 784)."""
    return model.encode(x.to(device)).cpu()


@torch.no_grad()
def decode(model, z):
    """Images (n, 28, 28) on the CPU from codes z (n, k)."""
    return model.decode(z.to(device)).cpu().view(-1, 28, 28)


home, visitors = codes(deep[2], train), codes(deep[2], test)  # (55000, 2), (10000, 2)
low, high = visitors.quantile(0.01, dim=0), visitors.quantile(0.99, dim=0)  # the box we look at
spacing = torch.cdist(visitors[: cu.budget(10_000, 500)], home).min(1).values.quantile(0.95)
print(f"95 % of the test digits have a training digit's code within {spacing:.2f}: call that distance 1 spacing, and a place further away from all codes a hole")

# %% slideshow={"slide_type": "slide"}
def draw_map(x, y):
    """The map with a cross at (x, y), the picture the decoder draws there, and a gauge that is red over a hole."""
    point = torch.tensor([[x, y]], dtype=torch.float32)
    gap = (torch.cdist(point, home).min() / spacing).item()
    fig = plt.figure(figsize=(10, 5.2))
    parts = fig.add_gridspec(2, 2, width_ratios=(1.6, 1), height_ratios=(8, 1), hspace=0.35)
    ax, picture, gauge = fig.add_subplot(parts[:, 0]), fig.add_subplot(parts[0, 1]), fig.add_subplot(parts[1, 1])
    cu.plots.scatter(visitors[:2000], mnist.test.y[:2000], ax=ax, names=list("0123456789"), s=7, alpha=1,
                     linewidths=0, antialiased=False)
    ax.plot(x, y, "k+", markersize=20, markeredgewidth=3)
    ax.set(xlabel="z₁", ylabel="z₂", title="The map: 2,000 test digits", aspect="auto")
    ax.grid(False)
    ax.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))
    ax.legend(ncols=10, fontsize=9, markerscale=2, columnspacing=0.5, handletextpad=0, loc="upper center", bbox_to_anchor=(0.5, -0.13))
    cu.plots.image_grid((decode(deep[2], point) * 9).round() / 9, ax=picture, note=False)  # few greys: a figure holds 48 colours
    picture.set_title("decoded at +")
    gauge.barh(0, min(gap, 4), color="#D55E00" if gap > 1 else "#0072B2")
    gauge.axvline(1, color="black", linestyle=":")
    gauge.set(xlim=(0, 4), yticks=[], xlabel="nearest code (spacings)", title="over a hole" if gap > 1 else "inhabited")
    return fig


cu.plane(draw_map, "Left: codes of 2,000 test digits in two dimensions, coloured by class, with a cross. Right: what the decoder draws at the cross, and a "
         "gauge of how far the nearest of 55,000 training codes is; it is red over a hole.",
         x=(low[0].item(), high[0].item()), y=(low[1].item(), high[1].item()), labels=("z₁", "z₂"),
         static=lambda: draw_map(3.0, -18.0))  # fmt: skip

# %% [markdown]
# 0 and 1 have the ends of the paper to themselves. 4, 7 and 9 run into each other in one wedge, 3, 5 and 8 in a knot in the middle: digits that share strokes are neighbours, though no label was used. But 2 has *two* provinces, far apart, and so has 6: nothing in the loss keeps a class together, it only asks that every digit can be redrawn. And the scale of the axes means nothing (section 1).
#
# Now fly over the map with the sliders, from class to class. **Predict:** what does the decoder draw between two classes, and what out in the white?

# %% slideshow={"slide_type": "slide"}
side = cu.budget(12, 6)
across = torch.linspace(low[0], high[0], side).repeat(side)
down = torch.linspace(high[1], low[1], side).repeat_interleave(side)
places = torch.stack([across, down], 1)  # (side², 2), row by row from the top, as on the map
hole = torch.cdist(places, home).min(1).values > spacing
paper = torch.where(hole[:, None], torch.tensor([1.0, 0.78, 0.6]), torch.ones(3))[:, :, None, None]  # orange over a hole
_, ax = plt.subplots(figsize=(6.2, 6.2))
ink = (decode(deep[2], places)[:, None] * 4).round() / 4  # five greys: a figure holds few colours
cu.plots.image_grid((1 - ink) * paper, rows=side, ax=ax)
cu.show(ax.figure, "What the decoder draws at a grid of places on the same map. Orange paper: a hole, no training code within one spacing.")
grid = low + (high - low) * torch.rand(cu.budget(4_000, 200), 2, generator=torch.Generator().manual_seed(0))
empty = (torch.cdist(grid, home).min(1).values > spacing).float().mean().item()
inside = ((visitors > low) & (visitors < high)).all(1).float().mean().item()
print(f"the box holds {inside:.0%} of the test digits; of its area, {empty:.0%} is a hole")

# %% [markdown]
# A third of the paper is empty, although nearly all digits live on it. Over the holes the decoder draws *something*, because nothing ever told it not to: far out the strokes of the nearest class, only blacker, and in the gaps between classes a thing that dissolves from one digit into another and is neither. With only two numbers space is scarce and the holes are small. Section 9 asks what becomes of them with eight.

# %% [markdown]
# **Exercise (core).** Interpolation: the straight line between two codes, decoded, against the straight line between two images.

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
# **Predict:** what is halfway between your digit and another one, in pixels, and in codes of 8 numbers? In class, put your neighbour's digit in the place of `other`.

# %% slideshow={"slide_type": "slide"}
other = test[4:5]  # or your neighbour's: cu.my_digit("""14 lines of # and .""").float().div(255).view(1, 784)
path = decode(deep[8], checked_interpolate(codes(deep[8], mine)[0], codes(deep[8], other)[0], 9))
fade = checked_interpolate(mine[0], other[0], 9).view(9, 28, 28)
ax = cu.plots.image_grid(torch.cat([fade, path]), rows=2, row_titles=["pixels", "codes, k = 8"])
cu.show(ax.figure, "From your digit (left) to a test digit (right) in nine steps: above a mixture of the two images, below decoded points of "
        "the line between their codes.")  # fmt: skip
first, second = test[:500], test[500:1000]
z_first, z_second = codes(deep[8], first), codes(deep[8], second)
pictures = {"pixels, ends": first, "pixels, middle": (first + second) / 2,
            "codes, ends": decode(deep[8], z_first), "codes, middle": decode(deep[8], (z_first + z_second) / 2)}  # fmt: skip
for name, x in pictures.items():
    print(f"{name}: {((x > 0.1) & (x < 0.9)).float().mean():.1%} of the pixels are grey (0.1 to 0.9)")

# %% [markdown]
# The fade shows both digits at once in grey ink, which no pen makes: in the middle of 500 pairs it has more than twice as many grey pixels as real digits. The code path bends and moves strokes; its middle is hardly greyer than its ends (reconstructions are a little soft everywhere). But it is a straight line in a space without natural straight lines, and it may cross a hole: the pictures halfway are strokes, not always a digit.

# %% [markdown]
# ## 6 · Denoising, and what a residual points at  *(core)*
#
# Give the network a noisy $\tilde x = x + \sigma\varepsilon$ and ask for the clean $x$. Now the noise is the narrow door, so no code of few numbers is needed. A small convolutional network sees $\sigma$ from 0.1 to 0.8 and is not told which.
#
# **Exercise.** Quality of a restored image in decibels: $\text{PSNR} = -10\log_{10}\overline{(x-\hat x)^2}$, for images in $[0,1]$, one number an image.

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
    """x̃ (B, 1, 28, 28) → x̃ plus a learned residual. Blocks of 4×4 pixels become 16 channels: few places, so it is quick."""

    def __init__(self, width=64, depth=4):
        super().__init__()
        layers = [nn.PixelUnshuffle(4), nn.Conv2d(16, width, 3, padding=1), nn.SiLU()]  # (B, width, 7, 7)
        for _ in range(depth):
            layers += [nn.Conv2d(width, width, 3, padding=1), nn.SiLU()]
        self.residual = nn.Sequential(*layers, nn.Conv2d(width, 16, 3, padding=1), nn.PixelShuffle(4))

    def forward(self, noisy):
        return noisy + self.residual(noisy)


def denoising_loss(model, x):
    """Mean squared error of the clean image, at a noise level of its own for each image."""
    sigma = torch.empty(len(x), 1, 1, 1, device=x.device).uniform_(0.1, 0.8)
    return (model(x + sigma * torch.randn_like(x)) - x).square().mean()


# %%
torch.manual_seed(0)
denoiser = Denoiser()
history = cu.fit(denoiser, denoising_loss, cu.Batches(mnist.train, 128), steps=400, full=6_000, lr=2e-3, schedule="cosine", ema=0.999)
generator = torch.Generator().manual_seed(0)
clean_val = mnist.val.float()[:500]
noisy_val = clean_val + 0.5 * torch.randn(clean_val.shape, generator=generator)
with torch.no_grad():
    quality_val = checked_psnr(history.ema(noisy_val.to(device)).cpu().clamp(0, 1).flatten(1), clean_val.flatten(1)).mean().item()
cu.save_run("03_denoiser", history.ema, what="blind denoiser, noise from 0.1 to 0.8", history=history,
            figures={"PSNR at σ = 0.5, validation": (quality_val, 0.1)})  # fmt: skip
run = cu.restore("03_denoiser", denoiser)
print(f"PSNR at σ = 0.5: {quality_val:.1f} dB after this training, {run.figure('PSNR at σ = 0.5, validation'):.1f} dB for the shipped weights, used from here on")

# %% [markdown]
# The opponents are two classics: blur (a Gaussian filter) and the median of a neighbourhood. Beside PSNR stands SSIM, structural similarity: how well means, contrasts and patterns agree in windows of 7 × 7 pixels, at most 1. **Predict:** at which noise level does the network gain most over them? And what happens at $\sigma = 1$, which it never saw in training?

# %%
levels = [0.1, 0.2, 0.3, 0.5, 0.7, 1.0]
clean = torch.cat([mine.view(1, 1, 28, 28), mnist.test.float()[: cu.budget(499, 29)]])  # yours first; (n, 1, 28, 28)
noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def restored(sigma, n=None):
    """The first n images with noise, and three restorations, all clipped to [0, 1]. The filters are tuned on these very images, which favours them."""
    x = clean[:n]
    noisy = x + sigma * noise[:n]
    gauss = [ndimage.gaussian_filter(noisy.numpy(), (0, 0, s, s)) for s in (0.4, 0.6, 0.8, 1.0, 1.3)]
    median = [ndimage.median_filter(noisy.numpy(), (1, 1, s, s)) for s in (1, 2, 3, 5)]
    best = [max((torch.from_numpy(y).clamp(0, 1) for y in options), key=lambda y: checked_psnr(y.flatten(1), x.flatten(1)).mean())
            for options in (gauss, median)]  # fmt: skip
    outputs = {"noisy": noisy, "Gaussian filter": best[0], "median filter": best[1], "network": denoiser(noisy.to(device)).cpu()}
    return {name: y.clamp(0, 1) for name, y in outputs.items()}


results = {sigma: restored(sigma) for sigma in levels}

# %% slideshow={"slide_type": "slide"}
fig, axes = plt.subplots(1, 2, figsize=(10.5, 3.9))
for name in results[0.1]:
    for ax, measure in zip(axes, (lambda y: checked_psnr(y.flatten(1), clean.flatten(1)), lambda y: cu.metrics.ssim(y, clean))):
        ax.plot(levels, [measure(results[s][name]).mean() for s in levels], "o-", label=name)
for ax in axes:
    ax.axvspan(0.8, 1.03, color="#dddddd", linewidth=0)
    ax.set(xlabel="noise level σ (grey: never trained)", xlim=(0.07, 1.03))
axes[0].set(ylabel="PSNR (dB)", title="The network wins at every level")
axes[1].set(ylabel="SSIM", ylim=(0, 1), title="… and by structural similarity")
axes[0].legend(fontsize=9)
cu.show(fig, "Mean PSNR (left) and structural similarity, SSIM (right), of noisy digits and of three restorations, against the noise level.")


def draw_noise(sigma):
    """Six digits, yours first, noisy and restored, at one noise level."""
    rows = restored(sigma, 6)
    ax = cu.plots.image_grid(torch.cat([y[:, 0] for y in rows.values()]), rows=len(rows), row_titles=list(rows))
    ax.set_title(f"σ = {sigma:.1f}")
    return ax.figure


cu.explore(draw_noise, "Your digit and five test digits with noise, and restored by a Gaussian filter, a median filter and the network.",
           sigma={"min": 0.1, "max": 1.2, "step": 0.1, "value": 0.7, "label": "σ"})  # fmt: skip

# %%
gain = {s: [checked_psnr(y.flatten(1), clean.flatten(1)).mean().item() for y in results[s].values()] for s in levels}
cu.table([[s, *row, row[-1] - max(row[:-1])] for s, row in gain.items()], ["σ", *results[0.1], "gain over the best filter"],
         f"Mean PSNR in dB of {len(clean)} digits.", digits=1)  # fmt: skip

# %% [markdown]
# The gain is largest in the middle, about 3 dB at $\sigma$ = 0.2 to 0.5: there a filter must smear the strokes to be rid of the noise. At 0.1 there is little to remove, and at $\sigma = 1$, outside of what was trained, the network is still ahead but its lead has shrunk by half. A filter averages neighbours whatever they are; the network has seen digits and removes what does not belong to one. What is left of its error is no longer noise: at $\sigma = 0.7$ strokes have gaps and soft ends, placed with the confidence of ink. Move the slider beyond 0.8 and grain is left standing between the strokes: noise stronger than any it was trained on looks to it like ink.

# %% [markdown]
# **What does it learn?** The best answer under squared error is the conditional mean, $\hat x(\tilde x) = \mathbb E[x\mid\tilde x]$: for each $\tilde x$ the constant with the least mean square distance to the possible $x$ is their mean. Now differentiate the density of noisy data, $p_\sigma(\tilde x) = \int p_\text{data}(x)\, N(\tilde x; x, \sigma^2 I)\,dx$. Since $\nabla_{\tilde x} N(\tilde x; x, \sigma^2 I) = \frac{x-\tilde x}{\sigma^2}\,N(\tilde x; x, \sigma^2 I)$,
#
# $$\nabla\log p_\sigma(\tilde x) = \frac{\nabla p_\sigma(\tilde x)}{p_\sigma(\tilde x)} = \int \frac{x-\tilde x}{\sigma^2}\;\underbrace{\frac{p_\text{data}(x)\,N(\tilde x; x, \sigma^2 I)}{p_\sigma(\tilde x)}}_{=\;p(x\mid\tilde x)\text{ by Bayes}}\,dx = \frac{\mathbb E[x\mid\tilde x]-\tilde x}{\sigma^2},$$
#
# $$\boxed{\ \mathbb E[x\mid\tilde x]-\tilde x = \sigma^2\,\nabla\log p_\sigma(\tilde x)\ } \qquad\text{(Tweedie's formula)} \tag{3}$$
#
# **The residual of a denoiser is the score of the noisy data**, times $\sigma^2$; *score* is the name of $\nabla\log p$. It points uphill, towards where data are dense. The check uses a mixture of eight Gaussians, where both sides are known.

# %%
centres, spread, level = cu.points.eight_centres().double(), 0.2, 0.5


def log_density(x, variance):
    """log of an equal mixture of isotropic Gaussians at the centres: x (n, 2) → (n,)."""
    square = torch.cdist(x, centres).square()  # (n, 8)
    return torch.logsumexp(-square / (2 * variance), 1) - math.log(len(centres) * 2 * math.pi * variance)


def posterior_mean(x):
    """E[x | x̃] of the mixture, x̃ (n, 2): each centre's own linear estimate, weighted by its responsibility."""
    weight = torch.softmax(-torch.cdist(x, centres).square() / (2 * (spread**2 + level**2)), 1)  # (n, 8)
    shrunk = centres + spread**2 / (spread**2 + level**2) * (x[:, None] - centres)  # (n, 8, 2)
    return (weight[..., None] * shrunk).sum(1)


noisy_points = (3 * torch.randn(1000, 2, dtype=torch.float64)).requires_grad_()
(score,) = torch.autograd.grad(log_density(noisy_points, spread**2 + level**2).sum(), noisy_points)
torch.testing.assert_close(posterior_mean(noisy_points) - noisy_points, level**2 * score, rtol=1e-8, atol=1e-8)
print("✓ Tweedie's formula holds to 1e-8 at 1,000 points: residual of the exact denoiser = σ² × score")

# %% [markdown]
# The left side came from Bayes' rule (responsibilities, as in lesson 02), the right side from autograd. Now train a denoiser that knows nothing but noisy points and their clean partners. **Predict:** where on the plane will its arrows be right, where wrong?

# %%
def point_loss(model, x):
    """Denoising loss in the plane at the one noise level 0.5."""
    return (model(x + level * torch.randn_like(x)) - x).square().sum(1).mean()


torch.manual_seed(0)
clean_points = (centres[torch.randint(8, (20_000,))] + spread * torch.randn(20_000, 2)).float()
point_model = cu.nets.mlp(2, 128, 128, 2)
cu.fit(point_model, point_loss, cu.Batches(clean_points, 512), steps=2_500, lr=3e-3, schedule="cosine")


@torch.no_grad()
def learned_residual(x):
    return point_model(x.to(device)).cpu() - x


def exact_residual(x):
    return (posterior_mean(x.double()) - x).float()


def gap(x):
    """Distance (n,) of the learned arrow from the exact one at points x (n, 2)."""
    return (learned_residual(x) - exact_residual(x)).norm(dim=1)


# %% slideshow={"slide_type": "slide"}
fig, axes = plt.subplots(1, 3, figsize=(12.5, 4.0))
for ax, residual, title in zip(axes, (exact_residual, learned_residual), ("Exact: σ² ∇ log p", "Learned from noisy points")):
    cu.plots.density(lambda x: log_density(x.double(), spread**2 + level**2).float(), (-5, 5), ax=ax, levels=[-8, -6, -5, -4, -3], filled=False)
    cu.plots.field(residual, (-5, 5), ax=ax, n=13)
    ax.set_title(title)
cu.plots.density(lambda x: gap(x).clamp(max=0.5), (-5, 5), ax=axes[2], levels=np.linspace(0, 0.5, 6), label="length of the difference")
axes[2].set_title("It errs where no point was")
cu.show(fig, "Residual arrows of the exact denoiser (left) and of a trained one (middle) over contours of log p_σ, σ = 0.5; right, the "
        "length of the difference of the two arrows.")  # fmt: skip
near = clean_points[:2000] + level * torch.randn(2000, 2)
far = 8 * torch.rand(4000, 2) - 4
far = far[far.norm(dim=1) > 4]
for name, x in [("2,000 noisy points", near), (f"{len(far)} points further than 4 from the origin", far)]:
    cosine = torch.cosine_similarity(exact_residual(x), learned_residual(x), dim=1)
    print(f"at {name}: cosine of the two arrows {cosine.mean():.3f} on average, length of their difference {gap(x).mean():.3f}")

# %% [markdown]
# Where noisy points fell the two fields are the same to the eye: on average the arrows differ by about 0.04. The right picture shows where they do not: in the corners, and in a small disc in the middle, where hardly any point falls and the true arrow swings round within a short way. In the corners the direction is still right (cosine above 0.99) and the length is off by several times as much: that is extrapolation, lucky here because far out the truth is simple. With 784 pixels nearly everything is a corner.
#
# Keep two thoughts for lesson 06: *a network trained to remove noise knows the score*, and *one noise level shows the way only near the data*.

# %% [markdown]
# ## 7 · Compression  *(deeper)*
#
# A code of a few numbers looks like compression. But numbers cost bits. Here every byte counts that is really written: codes are rounded to multiples of a step $\Delta$, each coordinate is stored as one stream, and the streams are packed by a general-purpose coder (LZMA). The opponents are JPEG and JPEG 2000, given one large picture of all digits, so that file headers do not decide. **Predict** the order at 0.15 bits per pixel, that is 118 bits a digit, and at 0.8.

# %%
n = cu.budget(2_000, 200)
originals = test[:n]
sheet = Image.fromarray(cu.to_uint8(originals).view(n // 50, 50, 28, 28).permute(0, 2, 1, 3).reshape(n // 50 * 28, 1400).numpy())


def by_codes(k, kind, step):
    """Bits per pixel and mean PSNR of rounding k code numbers to multiples of step (in units of their spread)."""
    z = codes(deep[k], originals) if kind == "deep" else (originals - mean.float()) @ directions[:k].float().T
    width = step * z.std()
    symbols = (z / width).round().clamp(-127, 127)
    size = len(lzma.compress(symbols.to(torch.int8).T.contiguous().numpy().tobytes(), preset=9))
    out = decode(deep[k], symbols * width).view(n, 784) if kind == "deep" else symbols * width @ directions[:k].float() + mean.float()
    return 8 * size / originals.numel(), checked_psnr(out.clamp(0, 1), originals).mean().item()


def by_file(kind, **options):
    """The same of the sheet saved as JPEG or JPEG 2000."""
    buffer = io.BytesIO()
    sheet.save(buffer, kind, **options)
    back = torch.from_numpy(np.asarray(Image.open(buffer).convert("L")).copy()).view(n // 50, 28, 50, 28).permute(0, 2, 1, 3).reshape(n, 784) / 255
    return 8 * buffer.tell() / originals.numel(), checked_psnr(back, originals).mean().item()


# %% slideshow={"slide_type": "slide"}
steps = [2.0, 1.0, 0.5, 0.25, 0.12, 0.06]
rates = {f"{kind}, k = {k}": [by_codes(k, kind, s) for s in steps] for k, kind in [(8, "deep"), (32, "deep"), (8, "PCA"), (32, "PCA"), (64, "PCA")]}
rates["JPEG"] = [by_file("JPEG", quality=q) for q in (1, 5, 10, 20, 35, 50)]
rates["JPEG 2000"] = [by_file("JPEG2000", quality_mode="rates", quality_layers=[r], irreversible=True) for r in (160, 80, 50, 30, 20, 12, 8)]
fig, ax = plt.subplots(figsize=(8.5, 4.8))
for name, curve in rates.items():
    ax.plot(*zip(*curve), "s--" if "JPEG" in name else "o-", label=name)
ax.set(xlabel="bits per pixel", ylabel="mean PSNR (dB)", xlim=(0, 1.05), title="Few bits: the autoencoder. Many bits: the standards")
ax.legend(ncols=2, fontsize=9, loc="lower right")
cu.show(fig, f"Quality against size for {n:,} test digits: autoencoder and PCA codes, rounded and packed, and the standards JPEG and JPEG 2000.")

# %%
def within(name, bits):
    """The best PSNR of one curve with at most so many bits per pixel, interpolated linearly (NaN: not that small)."""
    x, y = zip(*sorted(rates[name]))
    return float(np.interp(bits, x, np.maximum.accumulate(y), left=np.nan))


budgets = (0.05, 0.1, 0.15, 0.2, 0.4, 0.8)
cu.table([[name, *(within(name, b) for b in budgets)] for name in rates], ["coder", *(f"{b} bpp" for b in budgets)],
         "Best mean PSNR in dB with at most so many bits per pixel; – where the coder cannot be so small.", digits=1)  # fmt: skip
for b in budgets:
    there = {name: within(name, b) for name in rates if not math.isnan(within(name, b))}
    print(f"{b} bits per pixel: best is {max(there, key=there.get)} with {max(there.values()):.1f} dB")
best = max(rates["deep, k = 32"], key=lambda point: point[1])
same = np.interp(best[1], *reversed(list(zip(*sorted(rates["JPEG 2000"])))))
decoder_bits = 16 * cu.nets.count_parameters(deep[32].decode)
print(f"JPEG 2000 needs {same:.2f} bits per pixel for the {best[1]:.1f} dB that 32 deep numbers give with {best[0]:.2f}.")
print(f"But the receiver needs the decoder, {decoder_bits / 8e3:.0f} kB in half precision: {decoder_bits / (n * 784):.2f} bits per pixel on top for {n:,} digits; "
      f"sending it pays from about {decoder_bits / (784 * max(same - best[0], 1e-3)):,.0f} digits on.")  # fmt: skip

# %% [markdown]
# Each code curve rises and then goes flat: with finer rounding the bits grow, but the picture stays what $k$ numbers can hold. At 0.15 bits per pixel 32 deep numbers are 2.6 dB ahead of 64 linear ones and more than 5 dB ahead of JPEG 2000; JPEG cannot be that small at all. At 0.05 the 8 well-kept numbers beat the 32 roughly rounded ones by more than 5 dB. And at 0.8 the standards win: they know nothing of digits, so they pay for every stroke, and they have no ceiling.
#
# The honest footnote is the decoder. For the 2,000 digits of this contest sending it costs several times the codes themselves, and JPEG 2000 wins the whole contest; it pays only from some thousands of digits on (printed above), and is negligible for a million.

# %% [markdown]
# ## 8 · Anomalies  *(deeper)*
#
# A picture that the autoencoder reconstructs badly is unlike what it was trained on. So the error can serve as an alarm. Train it *without* one class and see whether the held-out class sets it off; add inverted digits, rotated ones, letters and noise. AUROC: the chance that an anomaly scores higher than a normal digit.
#
# **Predict:** is a held-out 8 easier to notice, or a held-out 1?

# %%
def trained_without(digit):
    """An autoencoder with 8 numbers, and the PCA basis of the same size, from training images of the other nine classes."""
    rest = mnist.train.only(*(c for c in range(10) if c != digit))
    torch.manual_seed(0)
    model = Autoencoder(8)
    cu.fit(model, reconstruction_loss, cu.Batches(rest, 256), steps=1_000, lr=2e-3, schedule="cosine")
    return model, checked_pca(rest.sample(cu.budget(5_000, 800)).flat(), 8)


@torch.no_grad()
def alarms(x, model, basis):
    """Scores (n,) of images x (n, 784): deep error, PCA error, deep error per unit of ink."""
    centre, rows, _ = basis
    flat = (x - centre) @ rows.T @ rows + centre
    error = (model(x.to(device)).cpu() - x).square().sum(1)
    return {"deep": error, "PCA": (flat - x).square().sum(1), "deep ÷ ink": error / x.sum(1)}


detectors = {digit: trained_without(digit) for digit in (8, 1)}

# %%
table, correlation = [], {}
for digit, parts in detectors.items():
    normal = mnist.test.only(*(c for c in range(10) if c != digit)).flat()[:2000]
    strange = {f"held-out {digit}": mnist.test.only(digit).flat()}
    if digit == 8:
        strange |= {"inverted digits": 1 - normal[:1000], "rotated by 90°": normal[:1000].view(-1, 28, 28).rot90(1, (1, 2)).reshape(-1, 784),
                    "letters": cu.letters().flatten(1).float() / 255, "uniform noise": torch.rand(1000, 784)}  # fmt: skip
    usual = alarms(normal, *parts)
    correlation[digit] = torch.corrcoef(torch.stack([usual["deep"], normal.sum(1)]))[0, 1].item()
    for name, x in strange.items():
        odd = alarms(x, *parts)
        aurocs = [roc_auc_score([0] * len(usual[m]) + [1] * len(odd[m]), torch.cat([usual[m], odd[m]])) for m in usual]
        table.append([name, *aurocs, f"{x.sum(1).mean():.0f}"])
cu.table(table, ["anomaly", "deep, k = 8", "PCA, k = 8", "deep ÷ ink", "mean ink"], "AUROC of three alarms against 2,000 normal test digits. "
         "0.5 is guessing; below 0.5 the anomaly looks more normal than the normal.")  # fmt: skip
print(f"mean ink of digits other than 1: {normal.sum(1).mean():.0f}; among normal digits, the correlation of error and ink is {correlation[8]:.2f} (trained without 8) and {correlation[1]:.2f} (without 1)")

# %% [markdown]
# Noise and inverted digits are noticed always, rotated digits, letters and a held-out 8 in about nine cases of ten, and for all of these the deep error is at least as good an alarm as that of PCA. The held-out **1** is the failure: its AUROC is about 0.25, far *below* one half. The network has never seen a 1 and redraws it better than most digits it was trained on. A 1 has little ink, 60 where the others have 100, and little ink is cheap to redraw: among normal digits too error and ink are correlated. Dividing by the ink lifts the 1 above one half, still a poor alarm, and costs the 8 a tenth: no repair is free. The reconstruction error measures complexity as much as strangeness; lesson 01 met that trap in $\log p(x)$, and lesson 04 will meet it again.

# %% [markdown]
# **A cousin, and an exercise: the masked autoencoder.** Hide most of the picture and learn to draw what is hidden. Only the hidden pixels may count; otherwise copying the visible ones drowns the task.

# %% tags=["exercise"]
def masked_loss(x_hat, x, hidden):
    """Mean squared error over the hidden pixels alone: x_hat, x (B, d), hidden (B, d) bool → scalar."""
    ### BEGIN SOLUTION
    return ((x_hat - x).square() * hidden).sum() / hidden.sum()
    ### END SOLUTION


# %%
checked_masked_loss = cu.check("03.masked_loss", masked_loss)

# %% [markdown]
# Six of ten blocks are hidden below. **Predict:** where will the completions be sharp, where grey?

# %%
def hide_blocks(x, share=0.6):
    """Hide a random share of the 4×4 blocks of each image: x (B, 784) → bool (B, 784), True where hidden."""
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
with torch.no_grad():
    filled = torch.where(hidden, masked(torch.where(hidden, 0.5, x).to(device)).cpu(), x)
pictures = torch.cat([torch.where(hidden, 0.5, x), filled, x]).view(-1, 28, 28)
ax = cu.plots.image_grid(pictures, rows=3, row_titles=["seen", "filled", "truth"])
cu.show(ax.figure, "Your digit and nine test digits with six of ten blocks hidden (grey), the masked autoencoder's completion, and the truth.")

# %% [markdown]
# It continues strokes across the gaps, and where the rest could be two things it paints their average in grey: squared error again answers with a mean. Lesson 02's mixture gave several sharp answers instead.

# %% [markdown]
# ## 9 · Can we sample?  *(core)*
#
# A decoder turns $k$ numbers into a picture. So draw $k$ random numbers! **Predict** what comes out for $z \sim N(0, I)$ with $k = 8$: digits, garbage, or something between? Beside it stand two densities that look at the codes of the training digits first: one Gaussian with their mean and covariance, and lesson 02's mixture, here with 60 components.

# %% slideshow={"slide_type": "slide"}
home8 = codes(deep[8], train)  # (55000, 8)
n_samples = cu.budget(5_000, 300)


def mixture_draws(z, n):
    """n draws (n, k) from a mixture of 60 Gaussians, fitted by EM to the first 20,000 of the codes z (N, k)."""
    mixture = GaussianMixture(cu.budget(60, 4), random_state=0, reg_covar=1e-4)
    mixture.fit(z[: cu.budget(20_000, 500)].double().numpy())
    return torch.from_numpy(mixture.sample(n)[0]).float()[torch.randperm(n, generator=torch.Generator().manual_seed(0))]


torch.manual_seed(0)
chol = torch.linalg.cholesky(home8.T.cov())
points = {"N(0, I)": torch.randn(n_samples, 8), "one Gaussian": home8.mean(0) + torch.randn(n_samples, 8) @ chol.T,
          "mixture": mixture_draws(home8, n_samples)}  # fmt: skip
drawn = {name: decode(deep[8], z) for name, z in points.items()}
ax = cu.plots.image_grid(torch.cat([x[:16] for x in drawn.values()]), rows=3, row_titles=list(drawn))
cu.show(ax.figure, "Sixteen decoded draws each of the code: from N(0, I), from one Gaussian fitted to the codes, and from a mixture fitted to them.")

# %% [markdown]
# Not even something between: from $N(0, I)$ comes grey texture, with a ghost of a digit here and there. One Gaussian in the right place already gives digits, among blots and broken strokes. In the last row one has to search for a failure. The decoder is the same in all three. **Predict** for the next figure: how far from the codes of real digits do the three land, and how far do *new* digits?

# %% slideshow={"slide_type": "slide"}
new = codes(deep[8], test[:1000])
nearest = {name: torch.cdist(z[:1000], home8).min(1).values for name, z in [*points.items(), ("new digits", new)]}
shifted = (home8.mean(0) / home8.std(0)).abs().topk(2).indices  # the two coordinates whose mean is furthest from 0
fig, axes = plt.subplots(1, 2, figsize=(11, 4.4))
for (name, z), colour in zip([("codes of digits", home8), ("N(0, I)", points["N(0, I)"])], ("#0072B2", "#D55E00")):
    axes[0].scatter(*z[:1000, shifted].T, s=6, color=colour, linewidths=0, label=name)
axes[0].set(xlabel=f"z, coordinate {shifted[0] + 1}", ylabel=f"z, coordinate {shifted[1] + 1}", title="N(0, I) looks elsewhere")
axes[0].legend(markerscale=3)
axes[1].boxplot(nearest.values(), tick_labels=list(nearest), showfliers=False)
axes[1].set(ylabel="distance to the nearest code", ylim=(0, None), title="The mixture lands where new digits land")
cu.show(fig, "Left: two of the eight code coordinates, for 1,000 digits and for 1,000 draws of a standard normal. Right: distance to the nearest of "
        "55,000 training codes, for three ways of drawing a code, and for new digits.")  # fmt: skip
spacing8 = nearest["new digits"].quantile(0.95)  # as in section 5
for name, distance in nearest.items():
    print(f"{name}: {(distance > spacing8).float().mean():.0%} over holes")
print(f"spread of the eight coordinates: {home8.std(0).min():.1f} to {home8.std(0).max():.1f}; largest mean: {home8.mean(0).abs().max():.1f}")

# %% [markdown]
# In two numbers a third of the map was empty; in eight, *every* draw of $N(0, I)$ is over a hole. It makes two mistakes. The first is place and size: nothing in (1) asked the codes to lie around zero, and they are spread three to five times as wide. One Gaussian with their mean and covariance repairs that, and still half of its draws are over holes: the cloud of codes has arms and gaps that no ellipse follows. That is the second mistake, the shape. The mixture's draws lie nearly as close to known codes as new digits do.
#
# Now the ruler. The Fréchet distance (Card 7) compares 5,000 samples with real digits in the features of a classifier. Beside the three ways of drawing a code stand the models of lessons 00 and 02, and the same recipe with the *linear* door: PCA with 8 numbers, and a mixture on them. One row is no generator: reconstructions of real digits. **Predict** the order, and where the reconstructions will stand.

# %%
torch.manual_seed(0)
flat = mixture_draws((train[:20_000] - mean.float()) @ directions[:8].float().T, n_samples)
entrants = {f"decoder on {name}": x for name, x in drawn.items()} | {
    "PCA (k = 8) on mixture": (flat @ directions[:8].float() + mean.float()),
    "reconstructed real digits": decode(deep[8], codes(deep[8], val[:n_samples])),
}
quality = {name: cu.metrics.quality(cu.to_uint8(x.clamp(0, 1)).view(-1, 28, 28)) for name, x in entrants.items()}
card, floor = cu.runs.load("02_mixture"), cu.metrics.floor(n_samples)[0]
rows = [[name, q.distance, q.distance_std, q.ratio] for name, q in quality.items()]
for name, figure in [("pixel mixture (lesson 02's card)", "Fréchet distance"), ("pixel mixture before its noise (same card)", "Fréchet distance before pixel noise")]:
    rows.append([name, card.figure(figure), None, card.figure(figure) / floor])
cu.table(sorted(rows, key=lambda row: row[1]), ["source", "Fréchet distance", "±", "ratio to the floor"],
         f"n = {n_samples:,}; real digits against real digits have {floor:.2f}, the floor.", digits=1)  # fmt: skip
ranking = sorted((row for row in rows if "real" not in row[0]), key=lambda row: row[1])
print(f"Of the {len(ranking)} generators the nearest to real digits is: {ranking[0][0]}, with {ranking[0][1]:.1f}. "
      f"It is followed by {ranking[1][0]} ({ranking[1][1]:.1f}); the farthest is {ranking[-1][0]} ({ranking[-1][1]:.1f}).")  # fmt: skip

# %%
samples, score = cu.to_uint8(drawn["mixture"]), quality["decoder on mixture"].distance
few = samples[:1_000]  # what ships
saved = cu.save_run("03_ae_mixture", what="autoencoder (k = 8) with a mixture of 60 Gaussians on its codes", samples=few,
                    sample_kind="decoder means", replay=(torch.stack([cu.to_uint8(drawn[name][:16]) for name in ("N(0, I)", "mixture")]), [0, 1]),
                    figures={"Fréchet distance": (score, 1.0), "Fréchet distance of the shipped samples": (cu.metrics.quality(few).distance, 0.05)})  # fmt: skip
print(f"in the arena as {saved.name}: {quality['decoder on mixture']}")

# %% slideshow={"slide_type": "slide"}
arena = cu.runs.available("00_pixels", "00_gaussian", "02_mixture", "03_ae_mixture", samples=True)
ax = cu.plots.image_grid(np.concatenate([run.samples[:10] for run in arena]), rows=len(arena), row_titles=[run.name for run in arena])
cu.show(ax.figure, "The arena so far: ten samples of each run that ships with the course up to this lesson.")
rows = []
for run in arena:
    q = cu.metrics.quality(torch.from_numpy(run.samples[: cu.budget(1_000, 100)]))
    rows.append([run.name, run.card["samples"]["kind"], q.distance, q.distance_std, q.ratio])
cu.table(sorted(rows, key=lambda row: row[2]), ["run", "samples are", "Fréchet distance", "±", "ratio to the floor"],
         f"All at the same n = {q.n:,}, where real digits against real digits have {q.floor:.2f}.", digits=1)  # fmt: skip

# %% [markdown]
# The decoder on a mixture stands just behind the reconstructions of real digits by the same decoder. So hardly any density on these codes could do better: what is left, nearly thirty times the floor, is the softness of the decoder. Each of the other rows makes one mistake: the right decoder fed from the wrong density (36, 288), the same recipe through a *linear* door (296: blurred), or no door at all. There the pixel mixture of lesson 02 has 327 with its honest speckle and about 60 without; since our entry is a decoder's mean, without any pixel noise, the second is the fair opponent.
#
# The last table is the **arena**: whatever ships samples is measured there by the same code and at the same $n$, in this lesson and in every later one. Independent pixels have 843, and ours 8. Surprising is the middle: the eye reads the draws of lesson 02's mixture at once, and the ruler puts them beside the blots of one Gaussian. It looks through a classifier that never saw noise, and to it the speckle drowns the shapes. So look at the pictures whenever you read the number, and read the second column too: the other entries are draws, with all the randomness that their model claims, ours are decoder's means.
#
# So this is the recipe of many generative models: *learn a code, then learn the density of the codes*. It took two separate trainings that know nothing of each other. **Can the code space be made normal by the training itself?** That is the question of lesson 04.

# %% [markdown]
# ## What to take home
#
# - *When is it PCA?* A linear autoencoder has the principal subspace as its optimum, in any basis (section 1). Curved networks beat it at equal size, by 1.5 to 3 times in squared error; what they drop first is style (section 3).
# - *Reading a map.* Neighbours look alike; axes and distances mean nothing, a class may have two provinces, and part of the map is empty (sections 4, 5).
# - *Denoising is the score.* Equation (3), asserted to 1e-8, learned wherever noisy points fell (section 6).
# - *What is it good for?* A table each: compression at few bits, once the decoder is paid for (7); anomalies, except simple ones (8); generation, once the density of the codes is learned (9).
#
# **What breaks, and why.** Averages: where several answers fit, squared error paints their mean. Simplicity: a 1 is never surprising. Holes: nothing in (1) speaks about codes that no image has.
#
# **References.** P. Baldi and K. Hornik, *Neural networks and principal component analysis: learning from examples without local minima*, 1989. G. Hinton and R. Salakhutdinov, *Reducing the dimensionality of data with neural networks*, 2006. P. Vincent, *A connection between score matching and denoising autoencoders*, 2011. B. Efron, *Tweedie's formula and selection bias*, 2011. K. He et al., *Masked autoencoders are scalable vision learners*, 2022.
#
# **The failure that the next lesson repairs:** decode `torch.randn(1, 8)` once more and look at it.
