# %% [markdown]
# # 03 Autoencoders
#
# **Squeeze the data through a narrow door and what passes is what matters; but the room behind the door has holes.**
#
# In lesson 02 a picture was explained by *which* of a few dozen components made it, plus a few numbers. Here nobody chooses components: two networks are trained, one
# that writes a picture down in $k$ numbers, one that draws it again from them. Nothing is labelled; the target is the input.
#
# **After this lesson you can** show when an autoencoder is exactly PCA, and when it is not; read a map of codes, and say where it is
# empty; derive why a denoiser knows the score of the data; decide with a number whether a set of codes compresses, detects anomalies, or generates.
#
# **Builds on** 02 (mixtures), 01 (letters, AUROC), Appendix A Cards 2 (training), 4 (Gaussians, score) and 7 (Fréchet distance). **Runs** in about four minutes on
# two CPU cores, the core sections in two.
#
# | | |
# |---|---|
# | $x$ | data, here an image as a vector in $[0,1]^{784}$ |
# | $z = e(x)$ | code (latent), $k$ numbers, made by the encoder $e$ |
# | $\hat x = d(z)$ | reconstruction, made by the decoder $d$ |
# | $\varepsilon, \sigma$ | Gaussian noise and its standard deviation; $\tilde x = x + \sigma\varepsilon$ |
# | $p_\text{data}$, $p_\sigma$ | density of the data, and of the data with noise added |

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
# For any $D$ with linearly independent columns, the best code of $x$ is the one whose reconstruction is the orthogonal projection of $x$ onto the column space $U$ of $D$. So at the optimum only $U$ matters, and with an orthonormal basis $Q$ of $U$
#
# $$L = \mathbb E\lVert x\rVert^2 - \mathbb E\lVert Q^\top x\rVert^2 = \operatorname{tr}\Sigma - \operatorname{tr} Q^\top\Sigma Q ,$$
#
# with the covariance $\Sigma$. The second term is the variance inside $U$. It is largest when $U$ is spanned by the $k$ leading eigenvectors of $\Sigma$ (Ky Fan's theorem; for $k=1$ it is the definition of the first principal component). Hence **a linear autoencoder finds the
# principal subspace**, and its loss is the sum of the eigenvalues left out. It need not find the principal *components*: for any invertible $A$ the pair $AE$, $DA^{-1}$ has the same product, so the same loss.
#
# **Exercise (core).** The singular value decomposition of the centred data, $X = USV^\top$ with the images as rows, gives the components directly: $X^\top X = VS^2V^\top$.

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

# %%
few = cu.budget(55_000, 2_000)
mean, directions, variances = checked_pca(train[:few].double(), 64)
centred = train[:few].double() - mean
sigma = centred.T @ centred / few  # (784, 784)
print(f"eigenvalue 6 over eigenvalue 7: {variances[5] / variances[6]:.2f}, so 'the 6 leading directions' is a well-defined question")

# %% [markdown]
# Now forget that we know the answer, and train (1). Written out, the loss needs the data only through $\Sigma$:
#
# $$L = \operatorname{tr}\bigl[(I-DE)\,\Sigma\,(I-DE)^\top\bigr] = \operatorname{tr}\Sigma - 2\operatorname{tr}(E\Sigma D) + \operatorname{tr}(D^\top D\,E\Sigma E^\top). \tag{2}$$
#
# In this form a second-order method (L-BFGS) can be used in double precision. Beside it runs what we will use for deep networks: Adam on minibatches. The ruler is the largest **principal angle** between the columns of $D$
# and the principal subspace: take orthonormal bases $Q_1, Q_2$ of both; the cosines of the angles are the singular values of $Q_1^\top Q_2$.
#
# **Predict:** do both arrive? At how many degrees are they after a few hundred steps?

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
E, D = (0.1 * torch.randn(6, 784, dtype=torch.float64)).requires_grad_(), (0.1 * torch.randn(784, 6, dtype=torch.float64)).requires_grad_()
newton = torch.optim.LBFGS([E, D], lr=1, max_iter=20, history_size=30, line_search_fn="strong_wolfe")
lbfgs_angles = []


def closure():
    newton.zero_grad()
    loss = linear_loss(E, D)
    loss.backward()
    return loss


for _ in range(cu.budget(20, 3)):  # rounds of 20 iterations
    newton.step(closure)
    lbfgs_angles.append(largest_angle(D.detach(), directions[:6]).item())

# %%
linear = nn.ModuleDict({"e": nn.Linear(784, 6, bias=False), "d": nn.Linear(6, 784, bias=False)}).to(device)
adam = torch.optim.Adam(linear.parameters(), lr=2e-3)
offset = mean.float().to(device)


def adam_step(x):
    x = x.flatten(1) - offset
    loss = (linear["d"](linear["e"](x)) - x).square().sum(1).mean()
    adam.zero_grad()
    loss.backward()
    adam.step()
    return {"loss": loss.detach(), "angle": largest_angle(linear["d"].weight.detach(), directions[:6])}


by_adam = cu.loop(adam_step, batches, state={"linear": linear, "adam": adam}, steps=1_000, log_every=50)

# %% slideshow={"slide_type": "slide"}
fig, (left, right) = plt.subplots(1, 2, figsize=(11, 3.9), width_ratios=(1, 1.25))
left.semilogy(20 * np.arange(1, len(lbfgs_angles) + 1), lbfgs_angles, "o-", label="L-BFGS on the covariance")
left.semilogy(by_adam.steps, by_adam["angle"], "s-", label="Adam on minibatches")
left.axhline(2, color="black", linewidth=1, linestyle=":")
left.set(xlabel="iteration", ylabel="largest angle to PCA (degrees)", title="Both turn towards the principal subspace")
left.legend()
basis = torch.cat([directions[:6], D.detach().T / D.detach().norm(dim=0)[:, None]]).view(12, 28, 28)
tiles = cu.plots.mosaic((basis / basis.abs().amax((1, 2), keepdim=True) + 1) / 2, rows=2)
right.imshow(tiles, cmap="RdBu_r")
right.set(xticks=[], yticks=[14, 43], yticklabels=["principal\ncomponents", "decoder's\ncolumns"], title="One subspace, two bases")
right.grid(False)
cu.show(fig, "Left: largest angle between the decoder's column space and the six principal directions, against iterations, for two optimisers; "
        "the dotted line is 2 degrees. Right: the six principal components and the six columns of the trained decoder, red positive, blue negative.")  # fmt: skip
left_out = (sigma.trace() - variances[:6].sum()).item()
print(f"L-BFGS: {lbfgs_angles[-1]:.4f} degrees, loss {linear_loss(E, D).item():.4f}; the eigenvalues left out sum to {left_out:.4f}")
print(f"Adam after {by_adam.steps[-1]} steps: {by_adam['angle'][-1]:.1f} degrees")

# %% [markdown]
# The loss agrees with the sum of the left-out eigenvalues and the angle with zero, so the derivation holds; Adam on minibatches is on its way but slower, because near the optimum the loss hardly changes with the angle and
# the minibatch noise does. The right half shows the freedom $A$: the decoder's columns are none of the principal components, yet they span the same space. Codes of an autoencoder have no natural axes. Remember it; it comes back in section 4.
#
# ## 2 · The deep door  *(core)*
#
# Put layers with a nonlinearity on both sides and the door stays narrow but the surface of reconstructions may bend: instead of a $k$-dimensional plane, a curved $k$-dimensional sheet in the 784-dimensional space. The last layer is a sigmoid, since pixels live in $[0, 1]$.

# %%
class Autoencoder(nn.Module):
    """784 → 192 → 96 → k → 96 → 192 → 784; the code has no nonlinearity, the output a sigmoid."""

    def __init__(self, k, d=784, hidden=(192, 96)):
        super().__init__()
        self.encode = cu.nets.mlp(d, *hidden, k)  # (B, d) → (B, k)
        self.decode = nn.Sequential(cu.nets.mlp(k, *hidden[::-1], d), nn.Sigmoid())  # (B, k) → (B, d)

    def forward(self, x):
        return self.decode(self.encode(x))


def reconstruction_loss(model, x):
    """Squared error summed over pixels, averaged over the batch: equation (1) with curved e and d."""
    x = x.flatten(1)
    return (model(x) - x).square().sum(1).mean()


# %%
deep, live_error = {}, {}
for k in (2, 8, 32):
    torch.manual_seed(0)
    deep[k] = Autoencoder(k)
    history = cu.fit(deep[k], reconstruction_loss, batches, steps=1_500, full=16_000, lr=2e-3, schedule="cosine")
    with torch.no_grad():
        live_error[k] = reconstruction_loss(deep[k], val.to(device)).item()
    cu.save_run(f"03_ae_{k}", deep[k], what=f"autoencoder with a code of {k} numbers", history=history,
                figures={"squared error, validation": (live_error[k], 0.02 * live_error[k])}, lesson="03")  # fmt: skip

# %%
shipped = {k: cu.restore(f"03_ae_{k}", deep[k]) for k in deep}
for k, run in shipped.items():
    print(f"k = {k:2}: validation error {live_error[k]:.1f} after the live training, {run.figure('squared error, validation'):.1f} after the shipped {run.card['steps']:,} steps")

# %% [markdown]
# From here on the shipped weights are used: same cell, more steps.
#
# ## 3 · Deep against linear  *(deeper)*
#
# **Predict:** with a code of 2 numbers, how much smaller is the deep error? And with 32, does the advantage grow or shrink?

# %%
@torch.no_grad()
def reconstruct(k, x, kind):
    """Reconstructions (n, 784) through k numbers: kind 'PCA' or 'deep'."""
    if kind == "deep":
        return deep[k](x.to(device)).cpu()
    basis = directions[:k].float()
    return (x - mean.float()) @ basis.T @ basis + mean.float()


error = {(k, kind): (reconstruct(k, test, kind) - test).square().sum(1).mean().item() for k in deep for kind in ("PCA", "deep")}
cu.table([[k, error[k, "PCA"], error[k, "deep"], error[k, "PCA"] / error[k, "deep"]] for k in deep],
         ["code size", "PCA", "deep", "PCA ÷ deep"], "Squared error per test image, summed over 784 pixels. An image of the mean would cost "
         f"{(test - mean.float()).square().sum(1).mean():.1f}.", digits=3)  # fmt: skip

# %% slideshow={"slide_type": "slide"}
def draw_codes(k):
    """Your digit and nine test digits above their reconstructions through k numbers."""
    pictures = torch.cat([mine, test[:9]])
    rows = torch.cat([pictures, reconstruct(k, pictures, "PCA").clamp(0, 1), reconstruct(k, pictures, "deep")])
    return cu.plots.image_grid(rows.view(-1, 28, 28), rows=3, row_titles=["original", f"PCA, {k}", f"deep, {k}"]).figure


cu.explore(draw_codes, "Your digit (left) and nine test digits, and what is left of them after passing through k numbers, by PCA and by the autoencoder.",
           k={"options": [2, 8, 32], "value": 8})  # fmt: skip

# %% [markdown]
# Through 2 numbers PCA leaves blurs and the deep sheet already draws digits, if often the wrong ones. The ratio in the table says how the advantage depends on the size of the code: the curved sheet wins at every size. Look at your own
# digit from 32 down to 2: what is peculiar to your hand goes first, the class last. At 2 it is drawn as the nearest thing that the sheet contains.
#
# ## 4 · Does the code capture the factors?  *(deeper)*
#
# With digits nobody knows the true factors of variation. So plant two: a bump on a line of 64 points, with a mean and a width drawn at random. A code of 2 numbers *can* hold everything. Does it? And can a *straight line* read the factors off?

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
readers = {"k-NN (k = 10)": KNeighborsRegressor(10), "linear": LinearRegression()}
r2 = {name: r2_score(factor_test, reader.fit(code_train, factor_train).predict(code_test), multioutput="raw_values")
      for name, reader in readers.items()}  # fmt: skip
fig, axes = plt.subplots(1, 2, figsize=(10, 3.9))
for ax, column, name in zip(axes, (0, 1), ("mean", "width")):
    dots = ax.scatter(*code_test.T, c=factor_test[:, column], s=6, cmap="viridis")
    fig.colorbar(dots, ax=ax, label=f"planted {name}")
    ax.set(xlabel="z₁", ylabel="z₂", title=f"R² of the {name}: k-NN {r2['k-NN (k = 10)'][column]:.3f}, linear {r2['linear'][column]:.2f}")
cu.show(fig, "Codes of 2,000 held-out bumps, coloured by the planted mean (left) and by the planted width (right).")

# %% [markdown]
# The neighbours' R² on held-out bumps (in the titles) says that both factors are in the code: bumps that are alike lie close together. The linear R² is lower where the colour bands bend: nothing in (1) asks for straight axes, and any smooth, invertible warp of
# the code that the two networks can undo has the same loss. It is section 1's matrix $A$, now curved. **Codes are defined only up to a warp**; whoever reads meaning into "the first coordinate" reads tea leaves.
#
# ## 5 · The map  *(core)*
#
# With two numbers the whole code space fits on paper. **Predict:** which digits get a region of their own, which share one? Is the paper full?

# %%
@torch.no_grad()
def codes(model, x):
    """Codes (n, k) on the CPU of images x (n, 784)."""
    return model.encode(x.to(device)).cpu()


@torch.no_grad()
def decode(model, z):
    """Images (n, 28, 28) on the CPU from codes z (n, k)."""
    return model.decode(z.to(device)).cpu().view(-1, 28, 28)


map_codes, map_labels = codes(deep[2], test[:4000]), mnist.test.y[:4000]
spacing = torch.cdist(map_codes, map_codes).kthvalue(2, dim=1).values.quantile(0.99)  # 99 % of digits have a neighbour nearer than this
low, high = map_codes.quantile(0.005, dim=0), map_codes.quantile(0.995, dim=0)

# %% slideshow={"slide_type": "slide"}
def draw_map(x, y):
    """The map with a cross at (x, y), and the picture the decoder draws there; the frame is red over a hole."""
    point = torch.tensor([[x, y]], dtype=torch.float32)
    gap = torch.cdist(point, map_codes).min() / spacing
    fig, (left, right) = plt.subplots(1, 2, figsize=(9.5, 4.6), width_ratios=(1.5, 1))
    cu.plots.scatter(map_codes, map_labels, ax=left, names=list("0123456789"), s=5)
    left.plot(x, y, "k+", markersize=18, markeredgewidth=3)
    left.set(xlabel="z₁", ylabel="z₂", title="The map: 4,000 test digits")
    left.legend(ncols=5, fontsize=8, markerscale=2, loc="upper center", bbox_to_anchor=(0.5, -0.16))
    cu.plots.image_grid(decode(deep[2], point), ax=right, note=False)
    over_hole = bool(gap > 1)
    right.set_title(f"nearest code: {gap:.1f} × spacing\n{'over a hole' if over_hole else 'inhabited'}", color="#D55E00" if over_hole else "black")
    return fig


cu.plane(draw_map, "Left: codes of 4,000 test digits in two dimensions, coloured by class, with a cross. Right: what the decoder draws at the cross, "
         "and how far the nearest code is.", x=(low[0].item(), high[0].item()), y=(low[1].item(), high[1].item()), labels=("z₁", "z₂"))  # fmt: skip

# %%
grid = torch.stack(torch.meshgrid(torch.linspace(low[0], high[0], 40), torch.linspace(low[1], high[1], 40), indexing="ij"), -1).view(-1, 2)
empty = (torch.cdist(grid, map_codes).min(1).values > spacing).float().mean().item()
print(f"{empty:.0%} of the box that holds 99 % of the codes is further from any code than 99 % of the digits are from their neighbour")

# %% [markdown]
# Digits that look alike are neighbours (4, 7 and 9 run into each other, 0 and 1 are far apart), though no label was used. The scale of the axes means nothing (section 1). And the paper is not full: the share printed above is empty, in wedges between the classes and around the
# outside. Fly over a hole with the sliders: the decoder draws *something*, because nothing ever told it not to, and the something dissolves from one digit into another.
#
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

# %% slideshow={"slide_type": "slide"}
other = test[4:5]
path = decode(deep[8], checked_interpolate(codes(deep[8], mine)[0], codes(deep[8], other)[0], 9))
fade = checked_interpolate(mine[0], other[0], 9).view(9, 28, 28)
ax = cu.plots.image_grid(torch.cat([fade, path]), rows=2, row_titles=["pixels", "codes (k = 8)"])
cu.show(ax.figure, "From your digit (left) to a test digit (right) in nine steps: upper row a mixture of the two images, lower row decoded points of the line between their codes.")
first, second = test[:500], test[500:1000]
middle = {"pixels": (first + second) / 2, "codes": decode(deep[8], (codes(deep[8], first) + codes(deep[8], second)) / 2).view(-1, 784)}
ends = {"pixels": first, "codes": decode(deep[8], codes(deep[8], first)).view(-1, 784)}
ink = {kind: ((x > 0.1) & (x < 0.9)).float().mean(1).mean().item() for kind, x in [*middle.items(), ("ends, pixels", ends["pixels"]), ("ends, codes", ends["codes"])]}
print(f"share of grey pixels (0.1 to 0.9) at the middle of 500 pairs: {ink['pixels']:.1%} in the pixel fade, {ink['codes']:.1%} on the code path; "
      f"at the ends {ink['ends, pixels']:.1%} and {ink['ends, codes']:.1%}")  # fmt: skip

# %% [markdown]
# The fade shows both digits at once in grey ink, which no pen makes: the share of grey pixels is far above that of either end. The code path bends strokes instead, and in its middle the share stays close to that of its ends. But it is a straight line in a space without natural
# straight lines, and it may cross a hole: some of the pictures on the way are no digit.
#
# ## 6 · Denoising, and what a residual points at  *(core)*
#
# Give the network a noisy $\tilde x = x + \sigma\varepsilon$ and ask for the clean $x$. The code is no longer the bottleneck, the noise is. A small convolutional network sees $\sigma$ from 0.1 to 0.8 and is not told which.
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
    """x̃ (B, 1, 28, 28) → x̃ plus a learned residual. Works on 2×2 blocks as four channels: a quarter of the cost."""

    def __init__(self, width=48, depth=5):
        super().__init__()
        layers = [nn.PixelUnshuffle(2), nn.Conv2d(4, width, 3, padding=1), nn.SiLU()]  # (B, width, 14, 14)
        for _ in range(depth):
            layers += [nn.Conv2d(width, width, 3, padding=1), nn.SiLU()]
        self.residual = nn.Sequential(*layers, nn.Conv2d(width, 4, 3, padding=1), nn.PixelShuffle(2))

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
cu.save_run("03_denoiser", history.ema, what="blind denoiser, noise from 0.1 to 0.8", history=history, lesson="03")
run = cu.restore("03_denoiser", denoiser)

# %%
levels = [0.1, 0.2, 0.3, 0.5, 0.7]
clean = mnist.test.float()[: cu.budget(500, 50)]  # (n, 1, 28, 28)
generator = torch.Generator().manual_seed(0)
noise = torch.randn(clean.shape, generator=generator)


@torch.no_grad()
def restored(noisy, sigma):
    """The noisy images and three restorations, all clipped to [0, 1]. The two filters are tuned to sigma on these very images, which favours them."""
    grey = noisy.numpy()
    gauss = [torch.from_numpy(ndimage.gaussian_filter(grey, (0, 0, s, s))) for s in (0.4, 0.6, 0.8, 1.0, 1.3)]
    median = [torch.from_numpy(ndimage.median_filter(grey, (1, 1, s, s))) for s in (1, 2, 3, 5)]
    best = [max(options, key=lambda y: checked_psnr(y.flatten(1).clamp(0, 1), clean.flatten(1)).mean()) for options in (gauss, median)]
    outputs = {"noisy": noisy, "Gaussian filter": best[0], "median filter": best[1], "autoencoder": denoiser(noisy.to(device)).cpu()}
    return {name: y.clamp(0, 1) for name, y in outputs.items()}


results = {sigma: restored(clean + sigma * noise, sigma) for sigma in levels}

# %% slideshow={"slide_type": "slide"}
fig, axes = plt.subplots(1, 2, figsize=(10.5, 3.9))
for name in results[0.1]:
    for ax, measure in zip(axes, (lambda y: checked_psnr(y.flatten(1), clean.flatten(1)), lambda y: cu.metrics.ssim(y, clean))):
        ax.plot(levels, [measure(results[s][name]).mean() for s in levels], "o-", label=name)
axes[0].set(xlabel="noise level σ", ylabel="PSNR (dB)", title="The learned one wins at every level")
axes[1].set(xlabel="noise level σ", ylabel="SSIM", ylim=(0, 1), title="… also by structural similarity")
axes[0].legend()
cu.show(fig, "Mean PSNR (left) and structural similarity (right) of noisy test digits and of three restorations, against the noise level.")


def draw_noise(sigma):
    """Six digits, noisy and restored, at one noise level."""
    rows = results[sigma]
    return cu.plots.image_grid(torch.cat([rows[name][:8, 0] for name in rows]), rows=len(rows), row_titles=list(rows)).figure


cu.explore(draw_noise, "Eight test digits with noise, and restored by a Gaussian filter, a median filter and the autoencoder.", sigma={"options": levels, "value": 0.5})

# %%
gain = {s: {name: checked_psnr(y.flatten(1), clean.flatten(1)).mean().item() for name, y in results[s].items()} for s in levels}
cu.table([[s, *gain[s].values()] for s in levels], ["σ", *gain[0.1]], "Mean PSNR in dB.")

# %% [markdown]
# A filter averages neighbours whatever they are; the autoencoder has seen digits and removes what does not belong to one. Its error is not random, though: at $\sigma = 0.7$ the pictures are smooth and sometimes a *different* digit, drawn with confidence.
#
# **What does it learn?** The best answer under squared error is the conditional mean, $\hat x(\tilde x) = \mathbb E[x\mid\tilde x]$. Now differentiate the density of noisy data, $p_\sigma(\tilde x) = \int p_\text{data}(x)\, N(\tilde x; x, \sigma^2 I)\,dx$. Since $\nabla_{\tilde x} N(\tilde x; x, \sigma^2 I) = \frac{x-\tilde x}{\sigma^2}\,N(\tilde x; x, \sigma^2 I)$,
#
# $$\nabla\log p_\sigma(\tilde x) = \frac{\nabla p_\sigma(\tilde x)}{p_\sigma(\tilde x)} = \int \frac{x-\tilde x}{\sigma^2}\;\underbrace{\frac{p_\text{data}(x)\,N(\tilde x; x, \sigma^2 I)}{p_\sigma(\tilde x)}}_{=\;p(x\mid\tilde x)}\,dx = \frac{\mathbb E[x\mid\tilde x]-\tilde x}{\sigma^2},$$
#
# $$\boxed{\ \mathbb E[x\mid\tilde x]-\tilde x = \sigma^2\,\nabla\log p_\sigma(\tilde x)\ } \qquad\text{(Tweedie's formula)} \tag{3}$$
#
# **The residual of a denoiser is the score of the noisy data**, times $\sigma^2$: it points uphill, towards where data are dense. The check uses a mixture of eight Gaussians, where both sides are known.

# %%
eight = cu.points.eight_centres()

centres, spread, level = eight.double(), 0.2, 0.5


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


# %% slideshow={"slide_type": "slide"}
fig, axes = plt.subplots(1, 2, figsize=(10.5, 5))
for ax, residual, title in zip(axes, (exact_residual, learned_residual), ("exact: σ² ∇ log p", "learned from noisy points")):
    cu.plots.density(lambda x: log_density(x.double(), spread**2 + level**2).clamp(min=-12).float(), (-4, 4), ax=ax, levels=14)
    cu.plots.field(residual, (-4, 4), ax=ax, n=18, color="white")
    ax.set_title(title)
cu.show(fig, "Residual arrows of the exact denoiser (left) and of a trained one (right) over the logarithm of the noisy density; σ = 0.5.")
where = clean_points[:2000] + level * torch.randn(2000, 2)
cosine = torch.cosine_similarity(exact_residual(where), learned_residual(where), dim=1)
print(f"cosine similarity of learned and exact arrows at 2,000 noisy points: mean {cosine.mean():.3f}, 5th percentile {cosine.quantile(0.05):.3f}")

# %% [markdown]
# The two fields agree where noisy data fall. In the corners the learned arrows are guesses: no training point was ever there. Keep two thoughts for lesson 06: *a network trained to remove noise knows the score*, and *one noise level shows the way only near the data*.
#
# ## 7 · Compression  *(deeper)*
#
# A code of a few numbers looks like compression. But numbers cost bits. Here every byte counts that is really written: codes are rounded to multiples of a step $\Delta$, each coordinate stored as one stream, and the streams packed by a general-purpose coder (LZMA). The opponents are JPEG and JPEG 2000,
# given one large picture of all digits, so that file headers do not decide. **Predict** the order at 0.3 bits per pixel.

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
steps = [2.0, 1.0, 0.5, 0.25, 0.12]
rates = {f"{kind}, k = {k}": [by_codes(k, kind, s) for s in steps] for k, kind in [(8, "deep"), (32, "deep"), (8, "PCA"), (32, "PCA"), (64, "PCA")]}
rates["JPEG"] = [by_file("JPEG", quality=q) for q in (5, 10, 20, 35, 50, 70)]
rates["JPEG 2000"] = [by_file("JPEG2000", quality_mode="rates", quality_layers=[r], irreversible=True) for r in (80, 50, 30, 20, 12, 8)]
fig, ax = plt.subplots(figsize=(8, 4.6))
for name, curve in rates.items():
    ax.plot(*zip(*curve), "s--" if "JPEG" in name else "o-", label=name)
ax.set(xlabel="bits per pixel", ylabel="mean PSNR (dB)", xlim=(0, 1.5), title="Few bits: the autoencoder. Many bits: the standards")
ax.legend(ncols=2, fontsize=9)
cu.show(fig, f"Quality against size for {n:,} test digits: autoencoder and PCA codes, rounded and packed, and the standards JPEG and JPEG 2000.")
decoder_bytes = 2 * cu.nets.count_parameters(deep[32].decode)
print(f"the decoder for k = 32 itself is {decoder_bytes / 1e3:.0f} kB in half precision: {8 * decoder_bytes / (n * 784):.2f} bits per pixel if sent along with these {n:,} digits, "
      f"{8 * decoder_bytes / (70_000 * 784):.3f} with all 70,000")  # fmt: skip

# %%
def at(name, bits):
    """PSNR of one curve at a given number of bits per pixel, by linear interpolation (NaN outside of what was tried)."""
    x, y = zip(*sorted(rates[name]))
    return float(np.interp(bits, x, y, left=np.nan, right=np.nan))


budgets = (0.1, 0.2, 0.4, 0.8)
cu.table([[name, *(at(name, b) for b in budgets)] for name in rates], ["coder", *(f"{b} bpp" for b in budgets)], "PSNR in dB at four sizes; – where the coder has no such size.")
for b in budgets:
    there = {name: at(name, b) for name in rates if not math.isnan(at(name, b))}
    if there:
        print(f"{b} bits per pixel: best is {max(there, key=there.get)} with {max(there.values()):.1f} dB")

# %% [markdown]
# Each code curve rises and then goes flat: with finer rounding the bits grow but the picture stays what $k$ numbers can hold. The standards know nothing of digits, so they need more bits for the same quality at the low end, and have no such ceiling. The honest
# footnote is the decoder: sending it along is ruinous for 2,000 digits and negligible for a million.
#
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
    cu.fit(model, reconstruction_loss, cu.Batches(rest, 256), steps=1_200, lr=2e-3, schedule="cosine")
    return model, checked_pca(rest.sample(cu.budget(5_000, 1_000)).flat(), 8)


@torch.no_grad()
def errors(x, model, basis):
    """Reconstruction errors (n,) of images x (n, 784): deep and PCA."""
    centre, rows, _ = basis
    flat = (x - centre) @ rows.T @ rows + centre
    return {"deep": (model(x.to(device)).cpu() - x).square().sum(1), "PCA": (flat - x).square().sum(1)}


detectors = {digit: trained_without(digit) for digit in (8, 1)}

# %%
table = []
for digit, parts in detectors.items():
    normal = mnist.test.only(*(c for c in range(10) if c != digit)).flat()[:2000]
    strange = {f"held-out {digit}": mnist.test.only(digit).flat()}
    if digit == 8:
        strange |= {"inverted digits": 1 - normal[:1000], "rotated by 90°": normal[:1000].view(-1, 28, 28).rot90(1, (1, 2)).reshape(-1, 784),
                    "letters": cu.letters().flatten(1).float() / 255, "uniform noise": torch.rand(1000, 784)}  # fmt: skip
    usual = errors(normal, *parts)
    for name, x in strange.items():
        odd = errors(x, *parts)
        aurocs = [roc_auc_score([0] * len(usual[m]) + [1] * len(odd[m]), torch.cat([usual[m], odd[m]])) for m in ("deep", "PCA")]
        table.append([name, *aurocs, x.mean().item() * 784])
cu.table(table, ["anomaly", "deep, k = 8", "PCA, k = 8", "mean ink"], "AUROC of the reconstruction error against 2,000 normal test digits. 0.5 is guessing; below 0.5 the anomaly looks more normal than the normal.")

# %% [markdown]
# Noise and inverted digits are noticed always, letters and rotated digits mostly, a held-out 8 usually. The held-out **1** is the failure: its AUROC is *below* one half. A 1 has little ink, and little ink is cheap to reconstruct, by a network that has never seen one. The reconstruction error
# measures complexity as much as strangeness; lesson 04 meets the same trap in likelihoods, and lesson 01 did in log p(x).
#
# **A cousin, and an exercise: the masked autoencoder.** Hide most of the picture and learn to draw what is hidden. Only the hidden pixels may count, otherwise copying the visible ones drowns the task.

# %% tags=["exercise"]
def masked_loss(x_hat, x, hidden):
    """Mean squared error over the hidden pixels alone: x_hat, x (B, d), hidden (B, d) bool → scalar."""
    ### BEGIN SOLUTION
    return ((x_hat - x).square() * hidden).sum() / hidden.sum()
    ### END SOLUTION


# %%
checked_masked_loss = cu.check("03.masked_loss", masked_loss)

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
cu.fit(masked, masked_training_loss, batches, steps=1_500, lr=2e-3, schedule="cosine")
x = torch.cat([mine, test[:9]])
hidden = hide_blocks(x)
seen = torch.where(hidden, 0.5, x)
with torch.no_grad():
    filled = torch.where(hidden, masked(seen.to(device)).cpu(), x)
ax = cu.plots.image_grid(torch.cat([seen, filled, x]).view(-1, 28, 28), rows=3, row_titles=["seen", "filled", "truth"])
cu.show(ax.figure, "Your digit and nine test digits with six of ten blocks hidden (grey), the masked autoencoder's completion, and the truth.")

# %% [markdown]
# It completes strokes, and where the rest could be two things it paints their average: squared error again answers with a mean. Lesson 02's mixture gave several sharp answers instead.
#
# ## 9 · Can we sample?  *(core)*
#
# A decoder turns $k$ numbers into a picture. So draw $k$ random numbers! **Predict** what comes out for $z \sim N(0, I)$ with $k = 8$: digits, garbage, or something between?

# %%
all_codes = codes(deep[8], train)
n_samples = cu.budget(5_000, 300)
mixture = GaussianMixture(cu.budget(60, 4), random_state=0, init_params="kmeans", max_iter=cu.budget(60, 5), reg_covar=1e-4)
mixture.fit(all_codes[: cu.budget(20_000, 1_000)].double().numpy())
torch.manual_seed(0)
centre, scale = all_codes.mean(0), torch.linalg.cholesky(all_codes.T.cov())
points = {"N(0, I)": torch.randn(n_samples, 8), "one Gaussian": centre + torch.randn(n_samples, 8) @ scale.T,
          "mixture": torch.from_numpy(mixture.sample(n_samples)[0]).float()[torch.randperm(n_samples)]}  # fmt: skip
drawn = {name: decode(deep[8], z) for name, z in points.items()}

# %% slideshow={"slide_type": "slide"}
fig, axes = plt.subplots(1, 2, figsize=(11, 4.6))
cu.plots.scatter(all_codes[:2000, :2], ax=axes[0], s=6, label="codes of digits")
cu.plots.scatter(points["N(0, I)"][:2000, :2], ax=axes[0], s=6, color="#D55E00", label="N(0, I)")
axes[0].set(xlabel="z₁", ylabel="z₂", title="Where the codes are, and where the prior looks")
axes[0].legend()
nearest = {name: torch.cdist(z[:1000], all_codes[:10_000]).min(1).values for name, z in (*points.items(), ("new digits", codes(deep[8], test[:1000])))}
axes[1].boxplot(nearest.values(), tick_labels=list(nearest), showfliers=False)
axes[1].set(ylabel="distance to the nearest code", title="Most of N(0, I) falls where no digit is")
cu.show(fig, "Left: the first two of eight code coordinates, for 2,000 digits and for 2,000 draws of a standard normal. Right: distance to the nearest of 10,000 codes, for three ways of drawing a code and for new digits.")

ax = cu.plots.image_grid(torch.cat([x[:16] for x in drawn.values()]), rows=3, row_titles=list(drawn))
cu.show(ax.figure, "Sixteen decoded draws each of the code: from N(0, I), from one Gaussian fitted to the codes, and from a mixture fitted to them.")

# %%
quality = {f"decoder on {name}": cu.metrics.quality(cu.to_uint8(x)) for name, x in drawn.items()}
plain = 50.0
rows = [[name, q.distance, q.distance_std, q.ratio] for name, q in quality.items()]
rows.append(["plain mixture on pixels (lesson 02's card)", plain, None, plain / cu.metrics.floor(5000)[0]])
cu.table(sorted(rows, key=lambda row: row[1]), ["generator", "Fréchet distance", "±", "ratio to the floor"],
         f"n = {n_samples:,}; real digits against real digits have {cu.metrics.floor(n_samples)[0]:.2f}.")  # fmt: skip
best, worst = min(rows, key=lambda row: row[1]), max(rows, key=lambda row: row[1])
print(f"Nearest to real digits: {best[0]}, with {best[1]:.1f}; farthest: {worst[0]}, with {worst[1]:.1f}.")

# %%
generator = nn.ModuleDict({"decoder": deep[8].decode})
saved = cu.save_run("03_ae_mixture", what="autoencoder (k = 8) with a mixture of 60 Gaussians on its codes", lesson="03",
                    figures={"Fréchet distance": (quality["decoder on mixture"].distance, 0.1 * quality["decoder on mixture"].distance)},
                    samples=cu.to_uint8(drawn["mixture"]), sample_kind="decoder means")  # fmt: skip
print(f"in the arena as {saved.name}: {quality['decoder on mixture']}")

# %% [markdown]
# The standard normal knows nothing of where the encoder put the digits, so most of its draws land in holes, and the decoder does there what it likes. Matching mean and covariance brings them nearer; matching the *shape* of the cloud, with sixty Gaussians, gives digits. The table's distances say the same as the eye.
#
# So this is the recipe of many generative models: *learn a code, then learn the density of the codes*. It took two separate trainings that know nothing of each other. **Can the code space be made normal by the training itself?** That is the question of lesson 04.
#
# ## What to take home
#
# - *When is it PCA?* A linear autoencoder has the principal subspace as its optimum, in any basis (section 1); curved networks beat it at equal size (section 3).
# - *Reading a map:* neighbours look alike, axes and distances mean nothing, and much of the map is empty (sections 4, 5).
# - *Denoising is the score:* (3), asserted to 1e-8, learned to the printed cosine (section 6).
# - *What is it good for?* A table each: compression at few bits (7), anomalies except simple ones (8), generation once the density of codes is learned (9).
#
# **What breaks, and why.** Averages: where several answers fit, squared error paints their mean. Simplicity: a 1 is never surprising. Holes: nothing in (1) speaks about codes that no image has.
#
# **References.** P. Baldi and K. Hornik, *Neural networks and principal component analysis: learning from examples without local minima*, 1989. G. Hinton and R. Salakhutdinov, *Reducing the dimensionality of data with neural networks*, 2006. P. Vincent, *A connection between score
# matching and denoising autoencoders*, 2011. B. Efron, *Tweedie's formula and selection bias*, 2011. K. He et al., *Masked autoencoders are scalable vision learners*, 2022.
#
# **The failure that the next lesson repairs:** decode `torch.randn(1, 8)` once more and look at it.
