# %% [markdown]
# # 07 Comparing models
#
# **"Which model is best?" has as many answers as there are rulers, and a generator can live in the blind spot of each.**
#
# Six lessons have left samples behind.
# This one judges them, with the same code for all, and before that it judges the judges.
#
# **After this lesson you can** run a fair game of *real or fake* · compute a Fréchet distance, precision and recall, and say what each is blind to · read a distance beside those of real digits · fool every metric, and name one that would have noticed · say why good likelihood and good samples are two things · change a judge's features and see who wins then · compare two models by paired differences · choose a model for a job, with numbers.
#
# **Builds on** 02, 04 and Appendix A, Card 7 (our ruler); it reads the runs of all lessons so far.
#
# | letter | meaning | letter | meaning |
# |---|---|---|---|
# | $x$ | an image | $n$ | images of a model in a comparison |
# | $f(x)$ | features: the numbers that a judge sees in place of pixels | $k$ | the neighbour that sets a radius |
# | $\mu,\Sigma$ | mean and covariance of features | $\lambda$ | share of garbage |
#
# **±** is the standard deviation from one independent set of images to the next, not the error of their mean, and means nothing else.

# %% tags=["setup"]
import itertools
import math

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load as read_tensors
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from torch import nn
from torch.distributions import LowRankMultivariateNormal, MultivariateNormal

import course_utils as cu
from course_utils.arena import clock, game

device = cu.setup()

# %% [markdown]
# ### Seven generators
# One row below is handwriting that no model has seen.
# Each of the other six comes from a generator that nobody should use.
# **Predict:** which row is the handwriting?

# %%
mnist = cu.mnist()
train = mnist.train.x[:, 0]  # uint8 (55000, 28, 28)
val = mnist.val.x[:, 0]
test = mnist.test.x[:, 0]
N = cu.budget(1_000)  # images of a model, in every comparison of this lesson
dice = torch.Generator().manual_seed(0)
splits = [torch.randperm(len(test), generator=dice).chunk(2) for _ in range(10)]
judges, players = splits[0]  # of ten times two halves of the test digits: one half judges
fresh = test[players]  # digits that neither a model nor a judge has seen
known = mnist.test.y[players]

# %% [markdown]
# The makers of the rows:


# %%
def blurred(x, width=0.8):
    """Images uint8 (n, 28, 28) through a round Gaussian filter of this width in pixels."""
    pen = torch.exp(-0.5 * (torch.arange(-3, 4) / width) ** 2)
    pen = torch.outer(pen, pen)[None, None] / pen.sum() ** 2
    return F.conv2d(x[:, None].float(), pen, padding=3)[:, 0].round().byte()


def garbage(n):
    """Uniform noise: uint8 (n, 28, 28)."""
    return torch.randint(256, (n, 28, 28), dtype=torch.uint8, generator=dice)


def stamps(i):
    """The training digit number i of each class: uint8 (10, 28, 28)."""
    firsts = [(mnist.train.y == digit).nonzero()[i, 0] for digit in range(10)]
    return train[torch.stack(firsts)]


def with_noise(x, sd):
    """Images uint8 (n, 28, 28) plus Gaussian noise of this many grey levels."""
    return (x + sd * torch.randn(x.shape, generator=dice)).clamp(0, 255).round().byte()


# %%
shelf = {
    "fresh real digits": fresh[:N],
    "copies of training digits": train[torch.randperm(len(train), generator=dice)[:N]],
    "ten stamps, one a class": stamps(3).repeat(N // 10, 1, 1),
    "no 4 and no 9": fresh[(known != 4) & (known != 9)][:N],
    "blurred digits": blurred(fresh[:N]),
    "digits + faint noise": with_noise(fresh[:N], 10),
    "half garbage": torch.stack([fresh[: N // 2], garbage(N // 2)], 1).flatten(0, 1),
}
order = np.random.default_rng(2).permutation(list(shelf))
rows = [shelf[name][torch.randperm(N, generator=dice)[:14]] for name in order]
letter = dict(zip(order, "ABCDEFG"))

# %% tags=["figure", "slide"]
# @title Figure: seven rows of digits
ax = cu.plots.image_grid(torch.cat(rows), rows=7, row_titles="ABCDEFG")
caption = "Seven rows of fourteen digits. Six come from generators that nobody should use."
cu.show(ax.figure, caption)

# %% [markdown]
# Blur and garbage show at once, faint specks and stamps after a moment.
# Three rows remain.
# All three *are* handwriting; two are samples of the wrong thing.
# Keep your guess for section 4.

# %% [markdown]
# ## 1 · Real or fake? *(core)*
#
# The oldest metric is a person.
# Twenty pairs: in each, one image is a test digit and the other was made by a model of this course.
# Models and sides are balanced, so always pressing A scores ten.
# **Predict** your score before you start, and hand in the code that ends the game.

# %%
runs = {run.name: run for run in cu.runs.available(samples=True)}
samples = {name: torch.from_numpy(run.samples[:N]) for name, run in runs.items()}  # uint8

# %% tags=["figure", "slide"]
# @title Widget: real or fake?
played = game.play(
    test,
    samples,
    "Real or fake? Press A or B for the one that a person wrote. Without a kernel: twenty "
    "pairs, A above B, ten in each strip.",
)

# %% [markdown]
# Twenty trials say something about *you* and little about a model: each has had about two of them.
# The codes of a class can be pooled, model by model.
#
# Suppose that in $s$ of the $n$ trials with one model its image was taken for the real one.
# The share $\hat p=s/n$ is 0 where it is always caught and ½ where nobody can tell.
# For an interval, ask which true shares $p$ would make this $\hat p$ no surprise: $(\hat p-p)^2\le z^2\,p(1-p)/n$ with $z=1.96$.
# The roots of that quadratic in $p$ are **Wilson's interval**, which stays between 0 and 1:
#
# $$\frac{\hat p+\frac{z^2}{2n}\pm z\sqrt{\frac{\hat p(1-\hat p)}n+\frac{z^2}{4n^2}}}{1+\frac{z^2}n}. \tag{1}$$
#
# Type the codes of your class between the quotes.
# **Until you do, no person has played:** a machine calls real the image that lies nearer, pixel by pixel, to one of 3,000 training digits.

# %% tags=["slide"]
CODES = """
"""
album = train[: cu.budget(3_000)].flatten(1).float()


def nearer(pairs):
    """The machine's answers, 0 or 1 each (M,), to pairs uint8 (M, 2, 28, 28)."""
    pixels = torch.from_numpy(pairs).flatten(0, 1).flatten(1).float()
    return torch.cdist(pixels, album).min(1).values.view(-1, 2).argmin(1).tolist()


by_machine = not CODES.strip()
codes = game.machine(nearer, test, samples, games=cu.budget(60)) if by_machine else CODES
pooled = game.pool(codes, list(samples))
fooled = {row["model"]: row for row in pooled.rows if row["trials"]}

# %% tags=["figure", "slide"]
# @title Table: how often each model was taken for real
table = []
for name, row in sorted(fooled.items(), key=lambda item: -item[1]["share"]):
    interval = f"{row['low']:.0%} to {row['high']:.0%}"
    table.append([f"`{name}`", row["trials"], f"{row['share']:.0%}", interval])
right = pooled.right / 20 / max(1, pooled.players)
who = ", all played by a machine and none by a person" if by_machine else ""
cu.table(
    table,
    ["model", "trials", "taken for real", "95 % interval"],
    f"{pooled.players} games pooled{who}; {right:.0%} of all answers right.",
)
for problem in pooled.problems:
    print(problem)
print("Answers to the still picture above, 1 to 20:", game.Game(test, samples, 0).key())

# %% [markdown]
# The machine is rarely fooled by the speckled draws of `04_vae`, and takes `03_ae_mixture` for real *more* often than the real digit beside it.
# The autoencoder's digits are smooth and typical, and smooth and typical is near to *some* training digit.
# (08 to 11 are next; those of 08, 09 and 11 but `09_grey` draw black and white.)
#
# What no player of such a game can see is a model that knows ten images only: a player meets them one at a time.

# %% [markdown]
# ## 2 · The Fréchet distance *(core)*
#
# Compare *sets*, not images.
# Let a network turn each image into a list of numbers, its **features**; then a set of images is a cloud of points, and two clouds can be compared by their centres and their shapes.

# %% tags=["figure", "slide"]
# @title Figure: how a Fréchet distance is made
d = cu.diagram(fontsize=14)
ends = []
for y, name, images in ((1.0, "model", samples["05_gan"]), (-1.0, "real", fresh)):
    for i in range(3):
        d.image(images[i], (0.75 * i, y), side=0.7)
    d.text(f"n images: {name}", (0.75, y - 0.55), fontsize=12)
    network = d.box("network f", (3.3, y), note="128 features each")
    cloud = d.box("μ, Σ", (5.6, y), colour=cu.plots.PALETTE[2], note="centre and shape")
    d.arrow((1.95, y), network)
    d.arrow(network, cloud)
    ends.append(cloud)
distance = d.box("d², (2)", (7.6, 0), colour=cu.plots.PALETTE[1], note="one number")
for cloud in ends:
    d.arrow(cloud, distance)
cu.show(
    d.figure,
    "Two sets of images go through one network; each cloud of features is summed up by its "
    "mean and covariance; the Fréchet distance compares the two summaries.",
)

# %% [markdown]
# Card 7 of the toolbox derived the distance of two Gaussians $\mathcal N(\mu_a,\Sigma_a)$ and $\mathcal N(\mu_b,\Sigma_b)$; by custom its square bears the name:
#
# $$d^2=\lVert\mu_a-\mu_b\rVert^2+\operatorname{tr}\bigl(\Sigma_a+\Sigma_b-2(\Sigma_a\Sigma_b)^{1/2}\bigr). \tag{2}$$
#
# With features of Inception, a network for photographs, this is the **FID**.
# What those features respond to on 28 × 28 digits is hard to say, so our $f$ is the last hidden layer of a network that knows digits, the course's classifier; section 5 asks what that choice decides.
#
# **Exercise 1 (core).**
# Write (2) for features.
# The trace of $(\Sigma_a\Sigma_b)^{1/2}$ is the sum of the roots of the eigenvalues of $\Sigma_a\Sigma_b$.
# They are real and at least 0, up to rounding, because they are also those of the symmetric matrix $\Sigma_a^{1/2}\Sigma_b\Sigma_a^{1/2}$.


# %% tags=["exercise"]
def frechet(a, b):
    """Equation (2), d² itself: features a (n, d) and b (m, d), float64 → a scalar tensor.

    Covariances with n − 1; n may be smaller than d.
    """
    ### BEGIN SOLUTION
    gap = a.mean(0) - b.mean(0)
    cov_a = a.T.cov()
    cov_b = b.T.cov()
    roots = torch.linalg.eigvals(cov_a @ cov_b).real.clamp(min=0).sqrt()
    return gap.square().sum() + cov_a.trace() + cov_b.trace() - 2 * roots.sum()
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# `a.T.cov()` is the covariance (rows are variables there, hence `.T`).
# `torch.linalg.eigvals` returns complex numbers: take `.real`, then `.clamp(min=0)` against rounding, then the root, then the sum.

# %%
checked_frechet = cu.check("07.frechet", frechet)
real = cu.metrics.test_features()  # (10000, 128), of the test digits
f = {name: cu.metrics.features(x) for name, x in (shelf | samples).items()}  # (N, 128) each
ours = checked_frechet(f["blurred digits"], real).item()
theirs = cu.metrics.frechet(f["blurred digits"], real)
assert abs(ours - theirs) < 1e-3 * theirs, "two ways to the same trace of a root"

# %% [markdown]
# ### Where do real digits stand? *(core)*
# There are two kinds: *training* digits, a random draw of the 55,000, by many writers, and *validation* digits, 5,000 by fewer; none of them wrote a test digit.
#
# Beside the Fréchet distance stands the **kernel distance** (KID; M. Bińkowski et al., 2018).
# A kernel is an inner product $\kappa(u,v)=\langle\varphi(u),\varphi(v)\rangle$ of longer lists of features; here $\kappa(u,v)=(u^\top v/128+1)^3$, whose $\varphi$ holds all products of up to three features.
# The squared distance of two mean lists follows without writing $\varphi$ down, with $a,a'$ two independent images' features from one set and $b,b'$ from the other:
#
# $$\lVert\mathbb E\,\varphi(a)-\mathbb E\,\varphi(b)\rVert^2=\mathbb E\,\kappa(a,a')+\mathbb E\,\kappa(b,b')-2\,\mathbb E\,\kappa(a,b). \tag{3}$$
#
# If no point is paired with itself, its estimate has no bias in $n$; it can come out below 0.

# %%
for n in (1_000, 5_000):
    for name, found in cu.metrics.real(n).items():
        print(f"{name}: {found}")

# %% [markdown]
# Real digits are not at 0.
# At $n=5{,}000$ training digits stand at 0.36, and the *validation* digits, from fewer hands, at 0.81.
# So a distance also says whose handwriting it is.
#
# At $n=1{,}000$ the same digits have 1.09 and 1.55, with spreads of 0.40 and 0.33.
# Why more, for the same handwriting?
# **Predict:** somebody reports the distance of the GAN at $n=1{,}000$ and you report one for *real handwriting* at $n=50$: who wins?
# Turn the slider.


# %%
def distances(features, n, repeats=5):
    """Distances of random subsets of n features, each from another half of the test digits."""
    found = []
    for half, _ in splits[:repeats]:
        some = features[torch.randperm(len(features), generator=dice)[:n]]
        found.append(checked_frechet(some, real[half]).item())
    return found


sizes = cu.budget([50, 100, 200, 500, 1_000], [20, 50])
pools = {
    "training digits": f["copies of training digits"],
    "validation digits": cu.metrics.validation_features(),
}
for name in ("03_ae_mixture", "04_vae_means", "04_vae_mixture", "05_gan", "06_diffusion"):
    if name in samples:
        pools[name] = f[name]
by_n = {}  # name → mean distance at each of the sizes
for name, features in pools.items():
    by_n[name] = [np.mean(distances(features, n)) for n in sizes]

# %% tags=["figure", "slide"]
# @title Widget: the Fréchet distance at every n, and its extrapolation
INKS = [*cu.plots.PALETTE[:6], "#8844DD", "#661100", "#999933", "#44AA99", "#882255", "#117733"]
INKS += ["#8C510A", "#3B4CC0", "#C51B7D", "#5E8C31", "#B2182B", "#5D3A9B", "#B8860B", "#7F9C96"]
SHADES = {"training digits": "#444444", "validation digits": "#999999", "mystery": "#000000"}
near = {name: checked_frechet(f[name], real[splits[0][0]]).item() for name in samples}
nearest = sorted(samples, key=near.get)
SHADES |= dict(zip(nearest, itertools.cycle(INKS)))  # one entry, one colour, also below


def draw_curves(ax, n=None):
    """Distance against n, a line for each name; a dotted line marks this n."""
    for name, values in by_n.items():
        wide = 3.5 if "digits" in name else 2
        ax.plot(sizes, values, "o-", color=SHADES[name], lw=wide, label=name)
    if n:
        ax.axvline(n, color="black", ls=":")
    ax.set(xscale="log", yscale="log", xlabel="n, images", ylabel="Fréchet distance")
    ax.set_title("Every curve falls with n")


def draw_bars(ax, n):
    """The contenders at one n, sorted."""
    at = {name: values[sizes.index(n)] for name, values in by_n.items()}
    ranked = sorted(at, key=at.get)
    ax.barh(ranked, [at[name] for name in ranked], color=[SHADES[name] for name in ranked])
    ax.invert_yaxis()
    ax.set(xlabel="Fréchet distance", title=f"n = {n:,}")


def draw_n(n):
    """Left: distance against n. Right: the contenders at this n."""
    fig, (left, right) = plt.subplots(1, 2, figsize=(11, 4.4), layout="constrained")
    draw_curves(left, n)
    draw_bars(right, n)
    return fig


def both_ends():
    """The picture without a kernel: the curves, and bars at the least and greatest n."""
    fig, axes = plt.subplots(1, 3, figsize=(15, 4.6), layout="constrained")
    draw_curves(axes[0])
    draw_bars(axes[1], sizes[0])
    draw_bars(axes[2], sizes[-1])
    return fig


what = (
    "Fréchet distance against n, mean of five subsets; the bars name the colours. At n = 1,000 "
    "there is one set of each, except of validation digits."
)
cu.explore(
    draw_n, what, static=both_ends, n={"options": sizes, "value": sizes[0], "label": "n"}
)
table = []
for name, values in by_n.items():
    slope, limit = np.polyfit(1 / np.array(sizes[-4:]), values[-4:], 1)
    limit = f"{limit:.1f}".replace("-", "−")
    table.append([name, values[0], values[-1], limit, f"{slope:,.0f}"])
columns = ["", f"n = {sizes[0]}", f"n = {sizes[-1]:,}", "n → ∞", "slope c"]
cu.table(table, columns, "A straight line d∞ + c/n through the last four sizes.", digits=1)

# %% [markdown]
# You lose: real handwriting at $n=50$ has 15.3 (validation) or 19.5 (training digits), and the GAN at $n=1{,}000$ has 1.1.
# Means and covariances of few points are wrong, and (2) squares and adds what is wrong with them, so each distance is biased *upwards*, by about $c/n$.
# **Compare at equal $n$ only.**
#
# Even that is not quite fair, since $c$ comes from the spread of each model's own features.
# M. Chong and D. Forsyth (2020) therefore extrapolate to $n\to\infty$, as the last columns do.
# Five small subsets are too few for that: training digits land at −1.3 and validation digits at 0.5, so the correction is noisier than what it corrects.
#
# Ruler and player agree only roughly: the player's favourite, `03_ae_mixture`, is fourth of these five models.

# %% [markdown]
# ## 3 · Precision, recall and a jury *(core)*
#
# One number cannot say *what* is wrong.
# Two can: how much of what the model draws is plausible (**precision**), and how much of what is real the model could have drawn (**recall**).
# Put a ball (T. Kynkäänniemi et al., 2019) around each real point, its radius the distance to the point's $k$-th nearest *other* real point: together the balls sketch where data live.
#
# **Precision** is the share of fakes inside at least one ball of a real point.
# **Recall** turns the roles round: balls around the fakes, share of real points inside.
#
# **Exercise 2 (core).**
# Write both.


# %% tags=["exercise"]
def precision_recall(real, fake, k):
    """Precision and recall, two scalar tensors, of fake (M, d) against real (N, d).

    Balls reach to the k-th other neighbour.
    """

    ### BEGIN SOLUTION
    def inside(points, centres):
        gaps = torch.cdist(centres, centres)  # the nearest is the point itself
        radii = gaps.kthvalue(k + 1, dim=1).values
        return (torch.cdist(points, centres) < radii).any(1).double().mean()

    return inside(fake, real), inside(real, fake)
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# Write one inner function `inside(points, centres)` and call it twice.
# The nearest neighbour of a point among its own set is the point itself, so the radius is `kthvalue(k + 1)` of each row of `torch.cdist(centres, centres)`.

# %%
checked_pr = cu.check("07.neighbours", precision_recall)
moons = cu.moons(200, seed=1).double()
points, arm = cu.moons(500, seed=2, labels=True)
spread_out = cu.moons(200, seed=3).double() + 0.45 * torch.randn(200, 2, generator=dice)
tries = {
    "one arm only": points.double()[arm == 0][:200],
    "right place, too wide": spread_out,
    "the data's own law": cu.moons(200, seed=4).double(),
}
found = {name: checked_pr(moons, fake, 5) for name, fake in tries.items()}

# %% [markdown]
# **Predict:** which of three sets of fakes has the best recall: one arm of the moons only, the right place but too wide, or the data's own law?

# %% tags=["figure", "slide"]
# @title Figure: three sets of fakes, and the balls of the real points
fig, axes = plt.subplots(1, 3, figsize=(12, 3.9), sharey=True, layout="constrained")
radii = torch.cdist(moons, moons).kthvalue(6, dim=1).values
for ax, (name, fake) in zip(axes, tries.items()):
    for centre, radius in zip(moons.tolist(), radii.tolist()):
        ball = plt.Circle(centre, radius, color=cu.plots.PALETTE[0], alpha=0.06, lw=0)
        ax.add_patch(ball)
    cu.plots.scatter(moons, ax=ax, s=5)
    cu.plots.scatter(fake, ax=ax, s=9, color=cu.plots.PALETTE[1])
    precision, recall = found[name]
    ax.set(title=f"{name}\nprecision {precision:.2f}, recall {recall:.2f}")
    ax.set(xlim=(-3.3, 3.3), ylim=(-2.6, 2.6))
    ax.grid(False)
cu.show(
    fig,
    "Real points (blue) with the balls to their fifth neighbour, and three sets of fakes "
    "(orange), 200 points each.",
)
cu.table(
    [[name, *(value.item() for value in pair)] for name, pair in found.items()],
    ["fakes", "precision", "recall"],
    digits=2,
)

# %% [markdown]
# The one that is too wide, with 1.00 (the data's own law: 0.99, no real difference): it loses nothing, and fewer than six in ten of its points land in the sketch.
# Fakes that lie far apart have large balls, and large balls reach everything: **recall rewards spread**, and rubbish can buy it.
#
# ### Five more judges *(core)*
#
# - **Density:** in how many real balls a fake lies, divided by $k$; 1 for real data, and it can exceed 1.
# - **Coverage:** the share of real balls that hold a fake (both M. Naeem et al., 2020).
# - The **classifier score**, the Inception Score (T. Salimans et al., 2016) with our classifier: $\exp\mathbb E\,\mathrm{KL}(p(y\mid x)\,\|\,p(y))$ is high if each image is recognised surely and all classes occur; at most 10 here.
# - **Trained on it** (S. Ravuri and O. Vinyals, 2019): our classifier labels the samples, a pupil (three nearest neighbours among their pixels) learns from them and is tested on real digits.
# - **Too near:** the share of samples nearer to some training digit, pixel by pixel, than 99 % of unseen real digits are; real data have 1 %.

# %%
BETTER = dict.fromkeys(("Fréchet", "KID", "too near"), -1)  # less is better
BETTER |= dict.fromkeys(("precision", "recall", "density", "coverage"), 1)  # more is better
BETTER |= dict.fromkeys(("classifier score", "trained on it"), 1)
archive = train[: cu.budget(len(train))].flatten(1).float() / 255  # what a copier can copy


def nearest(x):
    """Pixel distance of images (n, 28, 28) to the nearest training digit, and its index."""
    return torch.cdist(x.flatten(1).float() / 255, archive).min(1)


unseen = nearest(test[: cu.budget(2_000)]).values  # of digits that no model has seen
alarm = unseen.quantile(0.01)


# %%
def classifier_score(p):
    """exp E KL(p(y | x) ‖ p(y)) of class probabilities (n, 10)."""
    return (p * (p / p.mean(0)).log()).sum(1).mean().exp().item()


def measure(x, features, near=None):
    """Nine metrics of images x (n, 28, 28) with their features (n, 128), against the judges."""
    if near is None:
        near = nearest(x[: len(x) // 4]).values  # pixel distances to the training set
    jury = judges[: len(x)]
    out = cu.metrics.precision_recall(real[jury], features)  # for density and coverage
    out["precision"], out["recall"] = (v.item() for v in checked_pr(real[jury], features, 5))
    out["Fréchet"] = checked_frechet(features, real[judges]).item()
    out["KID"] = cu.metrics.kid(features, real[jury])
    with torch.no_grad():
        logits = cu.metrics.classifier().out(features.float().to(device)).cpu().double()
    p = logits.softmax(1).clamp(min=1e-12)
    out["classifier score"] = classifier_score(p)
    pupil = KNeighborsClassifier(3).fit(x.flatten(1), p.argmax(1))
    out["trained on it"] = pupil.score(test[jury].flatten(1), mnist.test.y[jury])
    out["too near"] = (near < alarm).double().mean().item()
    return out


# %% [markdown]
# Real against real, ten times: 1,000 digits of one half of the test set, judged by the other half.
# That half also judges every single set below, so these numbers differ a little from the table of section 2.

# %%
control = []
for _ in range(10):
    some = players[torch.randperm(len(players), generator=dice)[:N]]
    near = unseen[torch.randperm(len(unseen), generator=dice)[: N // 4]]
    control.append(measure(test[some], real[some], near))


def column(rows, key):
    """One metric of several sets of scores."""
    return [scores[key] for scores in rows]


centre = {key: np.mean(column(control, key)) for key in BETTER}
scatter = {key: np.std(column(control, key), ddof=1) for key in BETTER}

# %% [markdown]
# ## 4 · Fooling them *(core)*
#
# Now the seven rows of the opening.
# **The rule, fixed beforehand:** the ten sets of unseen test digits give each metric a mean and a standard deviation for *real* data.
# A metric **notices** a generator if its value is more than three such deviations worse than the mean, **praises** it if it is more than three better, and **overlooks** it otherwise.
# (The ten sets overlap a little, and chance alone passes this line in about one cell of a hundred.)
#
# One row is added: validation digits, by other writers.
# **Predict:** is there a row that only one metric can expose, and which metrics will *praise* a useless generator?

# %%
pick = torch.randperm(len(val), generator=dice)[:N]
f["real, by other writers"] = cu.metrics.validation_features()[pick]
matrix = {"real, by other writers": measure(val[pick], f["real, by other writers"])}
for name, images in shelf.items():
    matrix[name] = measure(images, f[name])


# %%
def deviations(row):
    """Scores in standard deviations of real digits, > 0 is better than these."""
    out = {
        key: BETTER[key] * (row[key] - centre[key]) / (scatter[key] + 1e-9) for key in BETTER
    }
    out["too near"] = min(out["too near"], 0.0)  # an alarm that is silent is no praise
    return out


verdict = {name: deviations(row) for name, row in matrix.items()}
other_sheets = []
for i in range(cu.budget(10)):  # other stamps: the 1st of each class, the 2nd, …
    ten = cu.metrics.features(stamps(i))
    other_sheets.append(checked_frechet(ten.repeat(N // 10, 1), real[judges]).item())

# %% tags=["figure", "slide"]
# @title Figure: nine metrics, eight rows
TONES = {"noticed": "#F2B48C", "praised": "#9CCBE8", "overlooked": "#FFFFFF"}
LEGEND = "Vermilion: noticed. Blue: praised above real digits. White: overlooked"


def number(key, value):
    """A score as text."""
    if key == "too near":
        return f"{value:.1%}"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2f}".replace("-", "−")


def draw_matrix():
    """The matrix metric × generator, coloured by the rule."""
    fig, ax = plt.subplots(figsize=(12, 5), layout="constrained")
    for i, name in enumerate(["(real: mean)", *matrix]):
        scores = matrix.get(name, centre)
        for j, key in enumerate(BETTER):
            z = verdict[name][key] if name in verdict else 0
            kind = "noticed" if z < -3 else "praised" if z > 3 else "overlooked"
            ax.add_patch(plt.Rectangle((j, i), 1, 1, fc=TONES[kind], ec="#AAAAAA"))
            text = number(key, scores[key])
            ax.text(j + 0.5, i + 0.5, text, ha="center", va="center", fontsize=12)
    ax.set(xlim=(0, len(BETTER)), ylim=(len(matrix) + 1, 0))
    arrows = {-1: " ↓", 1: " ↑"}
    heads = [key.replace(" ", "\n") + arrows[BETTER[key]] for key in BETTER]
    ax.set_xticks(np.arange(len(BETTER)) + 0.5, heads, fontsize=12)
    ax.xaxis.tick_top()
    names = [f"{letter.get(name, '')}  {name}" for name in matrix]
    ax.set_yticks(np.arange(len(matrix) + 1) + 0.5, ["real digits (mean of ten)", *names])
    ax.set_xlabel(LEGEND)
    ax.grid(False)
    ax.tick_params(length=0)
    return fig


what = f"Nine metrics of the seven rows and of real digits by other writers, n = {N:,}. "
cu.show(draw_matrix(), what + "↓: less is better, ↑: more is better. " + LEGEND + ".")
table = []
for key in BETTER:  # a metric a row: as columns they do not fit half a screen
    table.append([key, *(number(key, row[key]) for row in (centre, *matrix.values()))])
short = {"copies of training digits": "copies", "ten stamps, one a class": "ten stamps"}
# \u00ad is a hyphen that shows only where the line breaks
short |= {"half garbage": "half gar\u00adbage", "blurred digits": "blur\u00adred digits"}
names = [short.get(name, name) for name in matrix]
cu.table(table, ["", "real digits (mean of ten)", *names], "The same numbers.")
signed = {key: f"{value:+.1f}" for key, value in verdict["copies of training digits"].items()}
signed = ", ".join(f"{key} {value}" for key, value in signed.items() if key != "too near")
cu.facts("copies, in standard deviations", signed.replace("-", "−"))
cu.facts("the first ten sheets of stamps, Fréchet", ", ".join(f"{x:.0f}" for x in other_sheets))

# %% [markdown]
# **Read the rows.**
# F was the handwriting, and G, which nobody can tell from it, is the training set; D lacks two digits.
#
# - *Real, by other writers:* one judge notices, the pupil, who reads these test digits a little worse (0.86).
# - *Copies:* density and coverage notice them (−4.6 and −5.3 deviations), precision stays inside the line (−2.8); that the judge's network was trained on these very digits may be a part of it.
#   Fréchet, recall, the classifier score and the pupil see nothing.
#   One column needs no such care: 100 % too near.
#   **A copier is exposed by one question: how near is it to the training set?**
# - *Ten stamps* are the scandal.
#   Ten images, a hundred times each, have a classifier score of 9.97 (within chance of real digits) and a precision of 1.00, the only praise in the picture, and a Fréchet distance of 36.
#   The draws of `04_vae`, tossed pixel by pixel, have 43.
#   (The first ten sheets of stamps, this one among them, have 27 to 49.)
#   Recall 0.00 and coverage 0.05 say what happened.
# - *No 4 and no 9:* every image is plausible, so precision and density see nothing; the Fréchet distance (28) sees two missing heaps.
# - *Blurred digits* and *faint noise* teach a pupil well (0.90 and 0.88): "trained on it" is no judge of looks.
# - *Half garbage* loses almost nothing in recall (0.94): the good half covers nearly everything.
#
# **Read the columns**, which name the blind spots.
# Each of them but coverage overlooks or praises at least one useless generator.
# Coverage notices all six here, the copies only just (0.94 against 0.97), and section 6 shows it fooled; no row hangs on one metric alone.
# A jury must be chosen so that its blind spots do not coincide: here Fréchet, precision with recall, and *too near* leave nothing unseen.

# %% [markdown]
# ### What a likelihood forgives *(core)*
#
# Is a likelihood a better judge?
# Take any model with density $p$ and spoil it: with probability $\lambda$ it draws from garbage with density $g$ instead.
# For *every* image $x$
#
# $$\log\bigl[(1-\lambda)\,p(x)+\lambda\,g(x)\bigr]\ \ge\ \log\bigl[(1-\lambda)\,p(x)\bigr]=\log p(x)-\log\tfrac1{1-\lambda}, \tag{4}$$
#
# because $g(x)\ge0$ and the logarithm rises.
# Half garbage costs **at most $\log2=0.69$ nats** of some hundreds (L. Theis, A. van den Oord and M. Bethge, 2016).
# And good samples can have a poor likelihood: section 7 measures both.

# %% [markdown]
# ## 5 · Other eyes *(core)*
#
# Every distance above looked through one network, trained to tell digits apart.
# Here are three other pairs of eyes: lesson 04's **encoder**, which reads an image as 32 numbers; **principal components**, 128 directions of most variance among pixels; and a convolutional network with **random** weights, which was never trained at all.
# Formula (2) stays; only $f$ changes.
# **Predict:** does the order of the models survive, and whom does the VAE's own encoder like best?

# %%
raw = read_tensors(cu.runs.load("04_vae").read("weights.safetensors"))
vae = {key.split("/")[-1]: value.float() for key, value in raw.items()}


def convolved(h, name, stride=1):
    """One convolution of lesson 04's encoder, with its shipped weights."""
    return F.conv2d(h, vae[f"{name}.weight"], vae[f"{name}.bias"], stride, padding=1)


def residual(h, name):
    """Lesson 04's residual block."""
    return h + convolved(F.silu(convolved(F.silu(h), f"{name}.first")), f"{name}.last")


def by_encoder(x):
    """Images (n, 1, 28, 28) in [0, 1] → the means of their codes (n, 32)."""
    h = residual(convolved(x, "body.0", 2), "body.1")
    h = residual(convolved(h, "body.2", 2), "body.3")
    return (F.silu(h).flatten(1) @ vae["head.weight"].T + vae["head.bias"]).chunk(2, dim=1)[0]


# %%
middle = archive.mean(0)
directions = torch.linalg.eigh((archive - middle).T @ (archive - middle)).eigenvectors
torch.manual_seed(0)
never_trained = nn.Sequential(
    nn.Conv2d(1, 32, 5, 2), nn.SiLU(), nn.Conv2d(32, 128, 5, 2), nn.SiLU(), nn.AvgPool2d(4)
)
eyes = {
    "encoder": by_encoder,
    "components": lambda x: (x.flatten(1) - middle) @ directions[:, -128:],
    "random": lambda x: never_trained(x).flatten(1),
}


@torch.no_grad()
def seen(x, look):
    """Features of uint8 images (n, 28, 28), a thousand at a time, float64."""
    return torch.cat([look(part[:, None].float() / 255) for part in x.split(1_000)]).double()


# %% tags=["figure", "slide"]
# @title Figure: the same arena through four pairs of eyes
references = test[judges[: 5 * N]]
sets = {
    "training digits": shelf["copies of training digits"],
    "validation digits": val[torch.randperm(len(val), generator=dice)[:N]],
} | samples
views = {"classifier": {}}  # eyes → name → distance, in % of the real features' variance
whole = real[judges].T.cov().trace()
of_real = {name: cu.metrics.features(sets[name]) for name in list(sets)[:2]}
for name in sets:
    distance = checked_frechet((f | of_real)[name], real[judges])
    views["classifier"][name] = 100 * (distance / whole).item()
for eye, look in eyes.items():
    reference = seen(references, look)
    whole = reference.T.cov().trace()
    views[eye] = {}
    for name, images in sets.items():
        distance = checked_frechet(seen(images, look), reference)
        views[eye][name] = 100 * (distance / whole).item()
placings = {eye: sorted(view, key=view.get) for eye, view in views.items()}


def draw_orders(orders, title):
    """One column a judge, best on top, a line for each name; real digits are thick and grey."""
    names = next(iter(orders.values()))
    last = len(orders) - 1
    fig, ax = plt.subplots(figsize=(10.5, 0.8 + 0.22 * len(names)), layout="constrained")
    for name in names:
        heights = [ranked.index(name) for ranked in orders.values()]
        wide = 5 if "digits" in name else 2.2
        ax.plot(range(last + 1), heights, "o-", color=SHADES[name], lw=wide)
        style = {"va": "center", "color": SHADES[name], "fontsize": 12}
        ax.text(-0.06, heights[0], name, ha="right", **style)
        ax.text(last + 0.06, heights[-1], name, ha="left", **style)
    ax.set_xticks(range(last + 1), orders, fontsize=13)
    ax.xaxis.tick_top()
    ax.set(xlim=(-0.3 * last, 1.3 * last), ylim=(len(names) - 0.5, -0.5), yticks=[])
    ax.set_title(title)
    ax.grid(False)
    return fig


top = placings["classifier"][:14]
few = {eye: [name for name in ranked if name in top] for eye, ranked in placings.items()}
cu.show(
    draw_orders(few, "Change the eyes, and the order changes"),
    f"The order by Fréchet distance in four kinds of features, n = {N:,}, one set each: real "
    "digits and the twelve best by the classifier's. The table has all.",
)
table = []
for name in placings["classifier"]:
    table.append([name, *(view[name] for view in views.values())])
cu.table(table, ["", *views], "Fréchet distance in % of the real features' variance.", digits=2)
winners = {eye: next(n for n in ranked if n in samples) for eye, ranked in placings.items()}
cu.facts({f"best model by {eye}": winner for eye, winner in winners.items()})

# %% [markdown]
# The order does not survive.
# Through the encoder's eyes the *VAE's own* means come second among the models, from eighteenth place by the classifier, and its speckled draws (2.55) stand beside the diffusion model (2.59).
# A judge likes what it was made with: the decoder was trained to draw what this encoder can read.
#
# Through principal components eleven models come out *nearer to the test digits than validation digits do*, and the speckle that the classifier punishes hardly shows.
# There, and through random weights, `06_ancestral` wins, eighth by the classifier.
#
# Two things hold through all eyes: training digits lead, and the entries of lessons 00, 02 and 08 and `11_rbm20` stand near the bottom.
# So a Fréchet distance without the name of its features is no number at all, and a ranking is safe where several pairs of eyes agree.
# One set of images stands behind each point: neighbouring places, such as 2.07 and 2.23 in the encoder's column or 2.36 and 2.39 in the components', and with them the winner there, may be luck.

# %% [markdown]
# ## 6 · The arena *(core)*
#
# All entries, one jury, one table.
#
# **Error bars** are the spread over *independent sets* of images from the same model.
# Five sets of 1,000 were drawn from each entry when it was timed, unless that takes over ten minutes; an entry without ± has one set.
# **Seconds** are those of one thread of the machine that made the course (`cu.enter`, section 12).
# **Who may look at the test digits?**


# %% tags=["figure", "slide"]
# @title Figure: who may look at what
def mystery(n):
    """The n images, uint8 (n, 28, 28), that an unknown hand entered."""
    return train[torch.randperm(len(train), generator=torch.Generator().manual_seed(7))[:n]]


d = cu.diagram(fontsize=14)
splits_of = [
    ("55,000 training digits", "fit weights", 0),
    ("5,000 validation digits", "choose: recipe, sampler, weights", 1),
    ("10,000 test digits", "one table, at the end", 2),
]
for digits, use, i in splits_of:
    colour = cu.plots.PALETTE[(0, 2, 1)[i]]
    left = d.box(digits, (0, -1.0 * i), width=2.9, colour=colour)
    d.arrow(left, d.box(use, (5.0, -1.0 * i), width=3.9, colour=colour))
d.arrow((5.0, -2.35), (5.0, -2.9), dashed=True)
d.text("choose here, and the test digits become validation digits", (3.6, -3.15))
cu.show(
    d.figure,
    "The three parts of MNIST, and what each may be used for. Whoever goes back from the last "
    "table to choose something has used the test digits up.",
)

# %% [markdown]
# This course is its own bad example.
# In its first edition the GAN's recipe and the diffusion sampler were chosen by Fréchet distance to the *test* digits, and of five sets of samples the luckiest was reported.
# Nobody meant to cheat: looking at a number *is* choosing, once something depends on it.
# Choices are now made with validation digits; what cannot be undone is that the whole field has looked at these 10,000 digits for decades.
# Section 9 measures what luck alone gives to whoever chooses.
#
# ### The table *(core)*
# A late entry first: somebody has handed in 1,000 images as `mystery`, without saying how they were made.
# **Bet** now: who is champion?

# %%
entries = {entry.name: entry for entry in cu.arena.entries() if not entry.own}


def cost(name, what):
    """An entry's `seconds`, `steps`, `numbers`, …, as timed for the course; None if unknown."""
    return getattr(entries.get(name), what, None)


def rated(name):
    """The Score of an entry against test digits: of its five sets, where they were drawn."""
    sets = (cost(name, "sets") if N == 1_000 else None) or {}
    one = (np.mean(distances(f[name], N)), cu.metrics.kid(f[name], real[judges]))
    of_distance = (sets.get("mean", one[0]), sets.get("spread", math.nan))
    of_kernel = (sets.get("kid", one[1]), sets.get("kid_spread", math.nan))
    return cu.metrics.Score(N, sets.get("n", 1), "test", *of_distance, *of_kernel)


# %%
late = {"mystery": mystery(N)}
f["mystery"] = cu.metrics.features(late["mystery"])
board = {name: measure(images, f[name]) for name, images in (samples | late).items()}
ratings = {name: rated(name) for name in board}
everyone = cu.metrics.scoreboard(ratings, N)  # real digits come first

# %% tags=["figure", "slide"]
# @title Table: the arena
twins = {
    "training digits": "copies of training digits",
    "validation digits": "real, by other writers",
}


def line(name):
    """One row of the arena."""
    kind = runs[name].card["samples"]["kind"] if name in runs else "–"
    kind = "handwriting" if name in twins else kind
    distance, kernel, _ = everyone[name].row()
    row = board[name] if name in board else matrix[twins[name]]
    both = f"{row['precision']:.2f}, {row['recall']:.2f}"
    seconds = cost(name, "seconds")
    time = f"{float(f'{seconds:.2g}'):,g}" if seconds else "–"
    shown = f"`{name}`" if name in board else f"**{name}**"
    return [shown, kind, distance, kernel, both, time]


ranked = sorted(ratings, key=lambda name: ratings[name].distance)
first, second = [name for name in ranked if name != "mystery"][:2]
gap = ratings[second].distance - ratings[first].distance
error = math.hypot(ratings[first].distance_spread, ratings[second].distance_spread) / 5**0.5
columns = ["entry", "images are", "Fréchet distance", "KID", "precision, recall", "s per 1,000"]
cu.table(
    [line(name) for name in [*twins, *ranked]],
    columns,
    f"n = {N:,} against the test digits. ±: standard deviation of one set, over five sets; "
    "without ±: one set (KID without ±: of the shipped set). One training run an entry, "
    "whatever its effort. Seconds of one CPU thread.",
)
cu.facts(f"{second} minus {first}, five sets each", gap, "its standard error", error)

# %% [markdown]
# `mystery` leads, among the real digits.
# Of the models three GANs come first: 0.83 ± 0.09, where training digits stand, and 1.64 ± 0.49 and 1.68 ± 0.36, where other people's do; then two diffusion models, 2.24 ± 0.57 and 2.53 ± 0.67.
# (The one set that lesson 05's ships has 1.1: a lucky one.)
# The three rows of lesson 06 are *one* network with three samplers, `04_vae` and `04_vae_means` differ by coin tosses in the pixels only, and `04_vae_mixture`, 5.08 ± 0.76, by where its codes are drawn.
# By recall `05_gan` (0.98) stands *above* both kinds of real digits and by precision (0.86) below: some of its range is misshapes.
#
# One seed each, other sizes, other efforts: no verdict on families.
#
# ### Is the difference real? *(core)*
# "Their intervals overlap, so they are equal" is no test, nor is its opposite.
# Ask about the *difference*: measure set $i$ of both entries against the *same* half of the test digits, so that what the half contributes cancels.
#
# $$\bar\delta=\frac1S\sum_{i=1}^S(a_i-b_i),\qquad \operatorname{se}=\frac{\operatorname{sd}(a_i-b_i)}{\sqrt S},\qquad t=\bar\delta/\operatorname{se}. \tag{5}$$
#
# With $S=5$, chance alone gives $|t|>2.8$ once in twenty.
#
# **Exercise 3 (core).**
# Write the mean difference and its standard error.


# %% tags=["exercise"]
def paired_difference(a, b):
    """Equation (5): mean of a − b and its standard error, floats, of distances a and b (S,)."""
    ### BEGIN SOLUTION
    gaps = a - b
    return gaps.mean().item(), (gaps.std() / len(gaps) ** 0.5).item()
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# Take the differences first and forget `a` and `b`: what is left is the mean of S numbers and its standard error.
# `torch.std` divides by S − 1 already.

# %%
checked_difference = cu.check("07.difference", paired_difference)
m = N // 5
leaders = [name for name in ranked if name != "mystery"][:6]
five_of = {}
for name in leaders:
    parts = f[name][: 5 * m].split(m)
    halves = [real[half] for half, _ in splits[:5]]
    scores = [checked_frechet(part, half) for part, half in zip(parts, halves)]
    five_of[name] = torch.stack(scores)
for better, worse in itertools.pairwise(leaders):
    gap, error = checked_difference(five_of[worse], five_of[better])
    print(f"{worse} minus {better}: {gap:.2f}, se {error:.2f}, t = {gap / error:.1f}")

# %% [markdown]
# No step of this ladder is beyond doubt, and its first goes backwards: in sets of 200, cut from one, `12_cgan` is *before* `13_best`, $t=-1.9$.
# Five sets of 1,000 put it behind, by 0.81 with a standard error of 0.22.
# Believe the larger sets.
#
# The more pairs are tried, the larger a $t$ should be asked for: one in twenty raises a false alarm.
#
# **Turn the metric selector.**
# Who is on top by Fréchet, who by precision, who by "trained on it"?
# Who falls the deepest?


# %% tags=["figure", "slide"]
# @title Widget: the entries by one metric
def order_by(metric):
    """The entries, best first."""
    return sorted(board, key=lambda name: -BETTER[metric] * board[name][metric])


def draw_ranking(metric):
    """Every entry by one metric, best on top; the grey line is real digits."""
    fig, ax = plt.subplots(figsize=(9, 0.9 + 0.42 * len(board)), layout="constrained")
    names = order_by(metric)
    for i, name in enumerate(names):
        value = board[name][metric]
        ax.plot(value, i, "o", ms=10, color=SHADES[name])
        style = {"textcoords": "offset points", "ha": "center", "fontsize": 11}
        ax.annotate(f"{value:.3g}", (value, i), (0, 9), **style)
    ax.axvline(centre[metric], color="#777777", lw=3)
    ax.set_yticks(range(len(names)), names)
    scale = {"Fréchet": "log", "KID": "symlog"}.get(metric, "linear")
    ax.set(ylim=(len(names) - 0.5, -0.7), xscale=scale)
    ax.set_xlabel(f"{metric} (grey: real digits, {centre[metric]:.3g})")
    return fig


keys = ["Fréchet", "KID", "precision", "recall", "coverage", "trained on it"]
places = {key: order_by(key) for key in keys}
shown = {key: [name for name in places[key] if name in places["Fréchet"][:12]] for key in keys}
alike = [a + " and " + b for a, b in itertools.combinations(keys, 2) if places[a] == places[b]]
title = (
    f"Only {' and '.join(alike)} give the same order" if alike else "Six metrics, six orders"
)
cu.explore(
    draw_ranking,
    "All entries by one metric, best on top (n = 1,000, one set). Without a kernel: the order "
    "of the twelve best by Fréchet distance by six metrics, a line for each.",
    metric=list(BETTER),
    static=lambda: draw_orders(shown, title),
)
champions = [[key, f"`{order_by(key)[0]}`"] for key in BETTER if key != "too near"]
cu.table(champions, ["metric", "champion"])
cu.facts("same order", "; ".join(alike) or "none", "by recall", ", ".join(order_by("recall")))

# %% [markdown]
# Fréchet distance and KID give nearly one order (of twelve drawn two move by two places); the others cross widely.
# `mystery` is first by most metrics, yet only tenth by recall (0.94; the copies of section 4 had 0.95, so places this close are chance).
# Of these `12_guided` falls deepest, from second by precision (0.94) to last by recall (0.93).
#
# Who is `mystery`?
# Put its images beside their nearest training digits.

# %% tags=["figure", "slide"]
# @title Figure: two entries, and the training digits nearest to them
rival = leaders[0]
rows = []
medians = []
for images in (late["mystery"][:14], samples[rival][:14]):
    gaps, index = nearest(images)
    rows += [images, (archive[index] * 255).byte().view(-1, 28, 28)]
    medians.append(f"{gaps.median():.2f}")
titles = ["mystery", "nearest", rival, "nearest"]
ax = cu.plots.image_grid(torch.cat(rows), rows=4, row_titles=titles)
cu.show(
    ax.figure,
    "Fourteen images of the mystery entry and of the best entry without a secret, each above "
    "its nearest training digit.",
)
cu.facts(
    "median distance, mystery",
    medians[0],
    f"median distance, {rival}",
    medians[1],
    "median distance, unseen digits",
    f"{unseen.median():.2f}",
)

# %% [markdown]
# It is the training set, in random order.
# It tops the board honestly: nothing in (2) asks where images come from.
#
# **One picture for a decision.**
# Quality against the time of drawing.
# An entry on the **Pareto front** is one that no other beats on both.


# %%
def pareto_front(placed):
    """The names whose (seconds, distance) no other beats on both counts, fastest first."""
    front = []
    for name, (seconds, distance) in placed.items():
        beaten = False
        for fast, good in placed.values():
            better = fast < seconds or good < distance
            beaten |= better and fast <= seconds and good <= distance
        if not beaten:
            front.append(name)
    return sorted(front, key=placed.get)


placed = {}  # name → (seconds per 1,000 images, Fréchet distance)
for name in samples:
    if cost(name, "seconds"):
        placed[name] = (cost(name, "seconds"), ratings[name].distance)
front = pareto_front(placed)

# %% tags=["figure", "slide"]
# @title Figure: quality against the time of drawing
from matplotlib.transforms import Bbox

fig, ax = plt.subplots(figsize=(10, 6), layout="constrained")
latest = 10 * max(seconds for seconds, _ in placed.values())
across = [placed[name][0] for name in front] + [latest]
down = [placed[name][1] for name in front]
down.append(down[-1])
ax.step(across, down, where="post", color="#999999", lw=2, label="Pareto front")
ax.fill_between(across, down, 1e5, step="post", color="#EEEEEE", lw=0, zorder=0)
for name, (seconds, distance) in placed.items():
    fill = SHADES[name] if name in front else "white"
    bar = np.nan_to_num(ratings[name].distance_spread)
    ax.errorbar(seconds, distance, bar, color="#777777", zorder=1)
    ax.plot(seconds, distance, "o", ms=12, color=SHADES[name], mfc=fill, mew=2)
for name in twins:
    ax.axhline(everyone[name].distance, color=SHADES[name], ls=":", lw=2, label=name)
ax.set(xscale="log", yscale="log", ylim=(0.6, 3e3), ylabel="Fréchet distance, n = 1,000")
ax.set_xlabel("seconds per 1,000 images, one CPU thread")
ax.set_title("Down is better, left is faster")
ax.legend(loc="upper right", fontsize=11)
fig.draw_without_rendering()  # so that the places in pixels are known
spots = [(11, 3, "left"), (-11, 3, "right"), (11, -13, "left"), (-11, -13, "right")]
spots += [(0, 11, "center"), (0, -20, "center"), (11, 14, "left"), (-11, 14, "right")]
spots += [(6, 22, "left"), (-6, 22, "right"), (6, -30, "left"), (-6, -30, "right")]
dots = ax.transData.transform(list(placed.values()))
taken = [Bbox.from_extents(*(dot - 8), *(dot + 8)) for dot in dots]
for name, at in sorted(placed.items(), key=lambda item: item[1]):
    for across, up, side in spots:  # the first that hides nothing
        style = {"textcoords": "offset points", "ha": side, "fontsize": 10}
        label = ax.annotate(name, at, (across, up), **style)
        box = label.get_window_extent()
        if not any(box.overlaps(other) for other in taken):
            break
        label.remove()
    else:
        ax.add_artist(label)
    taken.append(box)
    if abs(up) > 20:  # far away: a line tells whose label it is
        line = {"arrowstyle": "-", "color": "#777777"}
        ax.annotate("", at, (across, up), textcoords="offset points", arrowprops=line)
cu.show(
    fig,
    "Fréchet distance at n = 1,000 against seconds per 1,000 images; bars: ± one standard "
    "deviation. Filled: on the front. Shaded: beaten on both counts. One training run an "
    "entry, on one laptop; on ImageNet the order of GAN and diffusion was the reverse "
    "(Dhariwal and Nichol, 2021).",
)
table = []
for name in front:
    table.append([f"`{name}`", f"{placed[name][1]:,.1f}", f"{placed[name][0]:.2g}"])
cu.table(table, ["on the front", "Fréchet distance", "s per 1,000"])

# %% [markdown]
# Read it from the left for a deadline, from below for quality.
# On the front are independent pixels, the autoencoder's mixture (10.0, 0.0066 s a thousand), the VAE's (5.1, 0.15 s) and two GANs (1.6, 0.15 s; 0.8, 0.16 s).
# Diffusion, 16 and 86 s, is in the shade *here*, and so is one evaluation (1 s): on ImageNet, with larger networks and far more training than ours, P. Dhariwal and A. Nichol (2021) found it ahead of the GANs of its day.
#
# **The front lists the sensible choices; which of them is best depends on the job.**

# %% [markdown]
# ## 7 · Likelihood and samples *(deeper)*
#
# Lesson 02b's mixture, spoiled with uniform noise, puts numbers to (4).
# For the reverse, write the copier as a density: a narrow Gaussian on each training digit.


# %%
class Mixture(nn.Module):
    """Lesson 02b's K Gaussians, by PyTorch's own of low rank: its weights, no training."""

    def __init__(self, K=40, r=13, d=784):
        super().__init__()
        shapes = {"weights": (K,), "means": (K, d), "factors": (K, d, r), "noise": (K,)}
        for name, shape in shapes.items():
            self.register_parameter(name, nn.Parameter(torch.ones(shape), requires_grad=False))

    def log_prob(self, x):
        """log p(x) of rows x (N, d), float64 (N,)."""
        noise = self.noise[:, None].expand_as(self.means)  # σ² (K, d)
        parts = LowRankMultivariateNormal(self.means, self.factors, noise)
        joint = [self.weights.log() + parts.log_prob(rows[:, None]) for rows in x.split(100)]
        return torch.cat(joint).logsumexp(1).double()


# %%
spoiled = Mixture()
cu.restore("02_mixture", spoiled)  # the shipped weights of lesson 02b
dice = torch.Generator().manual_seed(1)  # so that no new entry above moves what follows
uniform = torch.rand(len(test), 784, generator=dice)
dequantised = (test.flatten(1) + uniform) / 256  # as in lesson 02b
x = dequantised[torch.randperm(len(test), generator=dice)[: cu.budget(1_000)]]
log_p = spoiled.log_prob(x)
log_g = torch.zeros_like(log_p)  # uniform on the unit cube: density 1 everywhere
shares = [0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99]
noise = cu.metrics.features(garbage(N))
lost = []  # nats per test digit
screams = []  # Fréchet distance of real digits with the same share of noise among them
for share in shares:
    log_mixed = torch.logaddexp(log_p + math.log1p(-share), log_g + math.log(share))
    assert (log_p - log_mixed <= -math.log1p(-share) + 1e-9).all(), "(4), image by image"
    lost.append((log_p - log_mixed).mean().item())
    n_noise = round(share * N)
    mixed = torch.cat([real[players][: N - n_noise], noise[:n_noise]])
    screams.append(checked_frechet(mixed, real[judges]).item())

# %% [markdown]
# The copier as a density, and lesson 00's single Gaussian, which is exact, too:

# %%
width = 0.02
squares = torch.cdist(x, archive * 255 / 256 + 0.5 / 256) ** 2  # (n, copies)
bells = (-squares / (2 * width**2)).double().logsumexp(1) - math.log(len(archive))
log_copier = bells - 784 * math.log(width * math.sqrt(2 * math.pi))
mean = archive.mean(0).double()
cov = torch.cov(archive.T).double() + 1e-4 * torch.eye(784)
log_gauss = MultivariateNormal(mean, cov).log_prob(x.double())
noisy_copies = with_noise(shelf["copies of training digits"], 256 * width)
of_copier = np.mean(distances(cu.metrics.features(noisy_copies), N))


def bits(log_density):
    """Bits per dimension from mean log-density in nats (lesson 02b)."""
    return cu.metrics.bits_per_dimension(-log_density.mean().item(), 784)


# %% tags=["figure", "slide"]
# @title Figure: two judges of a share of garbage, and densities beside draws
fig, (left, right) = plt.subplots(1, 2, figsize=(10.5, 3.7), layout="constrained")
t = np.linspace(0, 0.99, 200)
left.plot(t, -np.log1p(-t), color="#888888", label="bound (4): −log(1 − λ)")
left.plot(shares, lost, "o", ms=8, label="lesson 02's mixture, measured")
left.set(xlabel="share of garbage λ", ylabel="nats lost per test digit")
left.set_title(f"The likelihood shrugs (of {log_p.mean():.0f} nats) …")
left.legend(fontsize=11)
right.plot(shares, screams, "o-", color=cu.plots.PALETTE[1])
right.axhline(centre["Fréchet"], color="#777777", lw=3)
right.annotate("real digits", (0.6, 1.15 * centre["Fréchet"]), fontsize=11)
right.set(xlabel="share of garbage λ", ylabel="Fréchet distance", yscale="log")
right.set_title("… the Fréchet distance screams")
cu.show(
    fig,
    "Left: nats lost when a share of a model's draws is replaced by uniform noise. Right: "
    "Fréchet distance of real digits with the same share of noise among them.",
)
cu.facts(
    "half garbage, nats lost",
    f"{lost[3]:.2f} of {log_p.mean():.0f}",
    "1 % garbage among real digits, Fréchet distance",
    f"{screams[0]:.1f}, without it {centre['Fréchet']:.2f}",
)
named = {
    "uniform noise": (log_g, np.mean(distances(noise, N))),
    "lesson 00: one Gaussian": (log_gauss, ratings["00_gaussian"].distance),
    "lesson 02: mixture": (log_p, ratings["02_mixture"].distance),
    "copies with faint noise": (log_copier, of_copier),
}
table = []
for name, (log_density, distance) in named.items():
    nats = f"{log_density.mean():,.0f}".replace("-", "−")
    table.append([name, bits(log_density), nats, f"{distance:,.1f}"])
columns = ["density", "bits per dimension", "nats", "Fréchet distance of its draws"]
cu.table(table, columns, f"Exact densities of {len(x):,} dequantised test digits.", digits=2)

# %% [markdown]
# Half garbage costs 0.51 of 536 nats, less than the bound (at 1 % and 10 % the loss is negative: the few digits with $\log p(x)<0$ gain from the noise).
# One per cent of it, among real digits, moves the Fréchet distance from 0.77 to 14.4.
#
# Now the other direction.
# The copier's draws stand at 2.2, nearer than most models of this course, and its density on new digits is that of 49.6 bits per dimension, where pure noise has 8.
# And the single Gaussian of lesson 00, which never drew a digit, has 1,276 nats against the mixture's 536: with a full covariance it knows that the margin is white, and is paid for it pixel by pixel.
#
# **Good likelihood does not imply good samples, nor the reverse.**

# %% [markdown]
# ## 8 · Memorisation *(deeper)*
#
# How near is "too near"?
# The yardstick is always an unseen *real* digit: some people write alike.
# Three sly copiers: one copies every tenth image only, one blurs its copies, one shifts them by a pixel.
# **Predict** which of them the median distance notices, which the share below the alarm, and which neither.

# %%
copies = shelf["copies of training digits"]
tenth = torch.cat([copies[: N // 10], fresh[N // 10 : N]])
sly = {
    "copies": copies,
    "every tenth a copy": tenth[torch.randperm(N, generator=dice)],
    "blurred copies": blurred(copies),
    "copies, shifted by one pixel": copies.roll((1, 1), (1, 2)),
    "unseen test digits": test[-N:],
}


def nearest_of_four(x):
    """Distance to the nearest training digit, the best of four shifts: (n,)."""
    shifts = [(-1, -1), (-1, 0), (0, -1), (0, 0)]
    tried = [nearest(x.roll(shift, (1, 2))).values for shift in shifts]
    return torch.stack(tried).min(0).values


few = cu.budget(500)
near = {name: nearest(images[:few]).values for name, images in sly.items()}
near |= {name: nearest(images[: few // 2]).values for name, images in samples.items()}
shifted = {name: nearest_of_four(images[: few // 5]).median() for name, images in sly.items()}

# %% tags=["figure"]
# @title Table: distance to the nearest training digit
table = []
for name, gaps in near.items():
    alarms = 100 * (gaps < alarm).double().mean()
    best = f"{shifted[name]:.2f}" if name in shifted else "–"
    table.append([name, f"{gaps.median():.2f}", f"{alarms:.0f}", best])
cu.table(
    table,
    ["images", "median distance", f"nearer than {alarm:.2f}, %", "median, best of four shifts"],
    f"Pixel distance to the nearest of {len(archive):,} training digits; unseen digits have a "
    f"median of {unseen.median():.2f}. Medians of 500 images (models: 250), with four shifts "
    "of the first 100 of them.",
    digits=2,
)

# %% [markdown]
# The plain copier is at distance 0, up to rounding.
# The one who copies *every tenth* image hardly moves the median (4.1), but puts 10 % below the alarm, where 1 % is expected.
# *Blurred* copies stay above the alarm and give themselves away by the median (2.6).
# The copier who *shifts* by a pixel passes both tests (5.5, none below): as a vector, a shifted image is far from itself.
# Ask again with four shifts, and it is at 0, too.
# Each such question has its next evasion, so the last resort is to *look* at pairs.
#
# **Exercise 4 (deeper, open).**
# Invent a fourth copier that passes all three columns and stays readable, and the question that catches it.
# Half a page: the transformation, its row of the table, your question and its answer for unseen digits.

# %% [markdown]
# ## 9 · Luck, a bootstrap, and a tenth judge *(deeper)*
#
# ### What luck gives
# Twenty-five groups each hand in 200 real, unseen digits: all perfect; one of them is the champion.
#
# **Exercise 5 (deeper, predict and measure).**
# By how many per cent is the champion's distance below the average of the twenty-five?
# Commit a number.


# %% tags=["exercise"]
def luck_of_the_best():
    """Your guess, in per cent: how far the best of 25 equal models lies below their average."""
    ### BEGIN SOLUTION
    return 100 * 2 * 0.33 / 1.55  # two spreads of a set, in % of its mean
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# The table of section 2 has the spread of a single set of 1,000 real digits.
# Of 25 draws from a normal distribution the least lies about two standard deviations below the mean.

# %%
checked_luck = cu.check("07.luck", luck_of_the_best)
groups = real[players].split(200)  # 25 × (200, 128)
scores = [checked_frechet(group, real[judges]).item() for group in groups]
champion = int(np.argmin(scores))
average = np.mean(scores)
below = 100 * (1 - scores[champion] / average)
cu.facts("your number, or else ours, %", checked_luck(), "measured, %", below)
cu.facts("average of 25", average, "champion", scores[champion], "last", max(scores))

# %% [markdown]
# The champion reports 2.23 where the average is 4.22: 47 per cent gained by choosing among equals.
#
# ### Why not a bootstrap?
# With one set only, the reflex is a bootstrap: draw $n$ of your $n$ images *with replacement*, measure, repeat.
# Ten independent sets of 500 validation digits say how the distance really scatters.
# **Predict** where a bootstrap of one of them lies.

# %%
size = cu.budget(500)
mixed = torch.randperm(len(val), generator=dice)[: 10 * size]  # neighbours share a writer
ten = cu.metrics.validation_features()[mixed].split(size)
scores = [checked_frechet(part, real[judges]).item() for part in ten]
resampled = []
for _ in range(cu.budget(60)):
    pick = torch.randint(size, (size,), generator=dice)
    resampled.append(checked_frechet(ten[0][pick], real[judges]).item())

# %% tags=["figure"]
# @title Figure: ten sets, and a bootstrap of one
fig, ax = plt.subplots(figsize=(9, 2.6), layout="constrained")
ax.plot(scores, np.zeros(10), "o", ms=9, color="#777777")
ax.plot(resampled, np.ones(len(resampled)), "o", color=cu.plots.PALETTE[1], alpha=0.4)
ax.axvline(scores[0], color=cu.plots.PALETTE[0], ls=":")
ax.set_yticks([0, 1], ["ten independent sets", "bootstrap of the first"])
ax.set(ylim=(-0.6, 1.6), xlabel="Fréchet distance from half of the test digits")
cu.show(
    fig,
    f"Ten independent sets of {size} validation digits, and sixty bootstrap samples of the "
    "first (dotted: its own distance).",
)
cu.facts(
    {
        "ten sets": (np.mean(scores), np.std(scores, ddof=1)),
        "the first set": scores[0],
        "its bootstrap, mean": np.mean(resampled),
        "paid twice: tr Σ / n of the first set": ten[0].T.cov().trace() / size,
    }
)

# %% [markdown]
# The bootstrap lies around 4.7, and the set itself has 3.3: most of the sixty resamples land above it.
# So the course draws new sets.
#
# **Exercise 6 (deeper, on paper).**
# Show that a bootstrap pays the bias of the first term of (2) twice.
#
# <details><summary>Step 1: the first payment</summary>
#
# Let $\hat\mu$ be the mean of $n$ independent features with mean $\mu$ and covariance $\Sigma$.
# Write $\hat\mu-\mu$ as a sum of $n$ independent terms with mean 0: the products of different terms vanish in expectation, and $\mathbb E\lVert\hat\mu-\mu\rVert^2=\operatorname{tr}\Sigma/n$.
# So even with $\mu_b=\mu$ the first term of (2) is $\operatorname{tr}\Sigma/n$ on average, not 0.
#
# </details>
# <details><summary>Step 2: the second payment</summary>
#
# Given the sample, a bootstrap mean $\mu^*$ is the mean of $n$ independent draws with mean $\hat\mu$ and covariance about $\hat\Sigma$.
# By step 1, $\mathbb E\bigl[\lVert\mu^*-\hat\mu\rVert^2\mid\text{sample}\bigr]\approx\operatorname{tr}\hat\Sigma/n$.
#
# </details>
# <details><summary>Step 3: both together</summary>
#
# $\lVert\mu^*-\mu_b\rVert^2=\lVert\mu^*-\hat\mu\rVert^2+2(\mu^*-\hat\mu)^\top(\hat\mu-\mu_b)+\lVert\hat\mu-\mu_b\rVert^2$.
# Given the sample the middle term has expectation 0, so a bootstrap adds $\operatorname{tr}\hat\Sigma/n$ to what the sample has paid already.
# That is the last line printed above; the covariances in (2) add the rest.
#
# </details>
#
# ### A tenth judge: can a classifier tell?
# Lesson 05's discriminator, trained anew and with held-out images for the verdict, is a **classifier two-sample test** (D. Lopez-Paz and M. Oquab, 2017): if the two sets have one law, its accuracy is one half up to chance.
# Here it is a logistic regression on our 128 features, 500 images a side to train and 500 to test.


# %%
def told_apart(a, b):
    """Held-out accuracy of logistic regression that tells features a (n, d) from b (n, d)."""
    half = len(a) // 2
    scale = a[:half].std(0) + 1e-6
    labels = [0] * half + [1] * half
    judge = LogisticRegression(C=0.01, max_iter=500)
    judge.fit(torch.cat([a[:half], b[:half]]) / scale, labels)
    return judge.score(torch.cat([a[half : 2 * half], b[half : 2 * half]]) / scale, labels)


handwriting = real[judges[:N]]
rivals = {
    "other test digits": real[players[:N]],
    "training digits": f["copies of training digits"],
    "validation digits": cu.metrics.validation_features()[mixed[:N]],
}
rivals |= {name: f[name] for name in samples}
accuracy = {name: told_apart(handwriting, features) for name, features in rivals.items()}

# %% tags=["figure"]
# @title Table: how often a classifier tells them from test digits
table = [[name, f"{share:.0%}"] for name, share in sorted(accuracy.items(), key=lambda i: i[1])]
chance = 100 * 0.5 / N**0.5
caption = f"Held-out accuracy; chance alone scatters by {chance:.1f} percentage points."
cu.table(table, ["images", "told from test digits"], caption)

# %% [markdown]
# All real digits are at chance, and so is lesson 05's GAN, 51 %: this judge, linear, on these features, sees no difference.
# `06_diffusion`, 56 %, is nearly four chance deviations off, and the draws of `04_vae`, 85 %, hardly fool it.

# %% [markdown]
# ## 10 · VAE, GAN, diffusion *(deeper)*
#
# The three families side by side, as they stand in this course.
# **Sharpness** is measured here: the mean change from pixel to pixel, divided by the mean ink, over that of real digits; best at 1, since blur has too little and speckle too much.


# %%
def sharpness(x):
    """Mean difference between neighbouring pixels over mean ink, of images (n, 28, 28)."""
    x = x.float()
    change = x.diff(dim=1).abs().mean() + x.diff(dim=2).abs().mean()
    return (change / x.mean()).item()


sharp = {name: sharpness(images) / sharpness(test) for name, images in samples.items()}
coins = torch.Generator().manual_seed(4)  # lesson 04's binarisation
ink = torch.bernoulli(test.float() / 255, generator=coins).double().flatten(1)
theta = ((archive > 0.5).sum(0) + 1) / (len(archive) + 2)
log_ink = (ink * theta.log() + (1 - ink) * torch.log1p(-theta)).sum(1)

# %% tags=["figure"]
# @title Table: three families
every = {run.name: run for run in cu.runs.available()}
TRIO = [["04_vae", "04_vae_means", "04_vae_mixture"], ["05_gan"], ["06_diffusion"]]
NONE = "–"


def say(template, name, figure):
    """A template filled with a figure of a run's card, or a dash if it is not there."""
    card = every[name].card["figures"] if name in every else {}
    return template.format(card[figure]["value"]) if figure in card else NONE


def three(template, key):
    """One cell a family, filled with a measurement of each of its entries."""
    cells = []
    for names in TRIO:
        values = [key(name) for name in names if name in board]
        cells.append(", ".join(template.format(value) for value in values if value) or NONE)
    return cells


def minutes(name):
    """Minutes of training on one thread, None where it was not timed."""
    steps = cost(name, "steps")
    step = cost(name, "step_seconds")
    return (steps * step + cost(name, "fit_seconds")) / 60 if steps and step else None


bound = say("≤ {:.2f} nats (bound, S = 500)", "04_vae", "IW-500, 10,000 test images")
table = [
    ["a draw", "code → decoder", "noise → generator", "noise → fifty steps", "04, 05, 06"],
    ["loss", "minus the ELBO", "a game of two", "squared error", "04 §6, 05 §2, 06 §4"],
    ["minus log-likelihood", bound, "undefined", "a bound exists, not computed", "04, 06"],
    ["what goes wrong", "posterior collapse, blur", "cycles, collapse", "slow", "04b, 05, 06"],
    ["numbers to store", *three("{:,.0f}", lambda name: cost(name, "numbers")), "below"],
    ["training, minutes", *three("{:.0f}", minutes), "below"],
    ["s per 1,000 images", *three("{:.2g}", lambda name: cost(name, "seconds")), "§6"],
    ["Fréchet distance", *three("{:.1f}", lambda name: ratings[name].distance), "§6"],
    ["coverage", *three("{:.2f}", lambda name: board[name]["coverage"]), "§3"],
    ["sharpness", *three("{:.2f}", sharp.get), "here"],
]
real_line = (
    f"Real digits: Fréchet distance {everyone['training digits'].distance:.1f} (training) "
)
real_line += f"and {everyone['validation digits'].distance:.1f} (validation), coverage "
real_line += f"{centre['coverage']:.2f}. VAE: draws, means, means by a mixture."
cu.table(table, ["", "VAE", "GAN", "diffusion", "where"], real_line)

# %% tags=["figure"]
# @title Table: likelihoods and costs of all entries
NATS = {"00_pixels": f"{-log_ink.mean():.2f} (exact)", "04_vae": bound}
EXACT = ("08_hmm", "08_tree", "09_made", "09_pixelcnn", "11_rbm20")
NATS |= {name: say("{:.2f} (exact)", name, "test nats, exact") for name in EXACT}
NATS["11_rbm"] = say("{:.2f} (estimate)", "11_rbm", "test nats, AIS")
NATS["11_dbn"] = say("≤ {:.2f} (estimate of a bound)", "11_dbn", "test nats, bound")
BITS = {
    "00_gaussian": f"{bits(log_gauss):.2f} (exact)",
    "02_mixture": f"{bits(log_p):.2f} (exact)",
    "09_grey": say("{:.2f} (exact)", "09_grey", "test bits/dim, exact"),
    "10_flow": say("{:.2f} (bound)", "10_flow", "test bits per dimension"),
}
table = []
for name in samples:
    spent = minutes(name)
    spent = f"{spent:.1f}" if spent else NONE
    nats = NATS.get(name, NONE)
    table.append([f"`{name}`", nats, BITS.get(name, NONE), cost(name, "numbers"), spent])
columns = ["entry", "−log p, nats", "bits per dimension", "numbers to draw", "training, min"]
what = (
    "Nats on binarised, bits on dequantised test digits: never one column. –: no density, or "
)
what += "not computed."
cu.table(table, columns, what)

# %% [markdown]
# Sizes, minutes of training and the coin tosses in every pixel of `04_vae` are *our* choices: 31 % too rough, where its means are 6 % too smooth and GAN and diffusion within 3 % of real digits.
# One pass or many, a likelihood, a bound or none, an encoder or none belong to the *family*.

# %% [markdown]
# ## 11 · Choose for a job *(deeper)*
#
# For each brief name a model of this course, the metric that decides, and the one number that would change your mind.
# There are several right answers, and no right answer without a number.
#
# 1. **Anomaly detection in a plant.**
#    Ten thousand pictures of good welds, three of bad ones.
# 2. **Faces for a game.**
#    Ten thousand minor characters, drawn once, before release.
# 3. **Missing answers in a survey.**
#    A third of the cells are empty; afterwards somebody fits a regression.
# 4. **A keyboard on a phone.**
#    A picture in 10 ms, without a GPU.
# 5. **Compression.**
#    An archive of scanned forms, to be read in fifty years.
# 6. **A rare class.**
#    Forty examples of one defect, forty thousand of the others; a classifier is to be trained.
#
# <details><summary>Notes (argue first)</summary>
#
# 1. *A usable score, not the best picture:* a density, or a bound.
#    Decides: AUROC on bad welds; below 0.5 changes the mind.
# 2. *Variety:* diffusion or a GAN.
#    Decides: coverage and recall, then people; section 8 before release.
# 3. *Draws, not best guesses.*
#    Lesson 02b's mixture has exact conditionals, and on missing pixels it beat lesson 04's VAE.
#    Decides: are 90 % intervals right 90 % of the time on hidden cells?
# 4. *The budget decides first:* read the Pareto picture from the left.
# 5. *A likelihood is a code length*, exact or a bound that a coder can reach; samples do not matter.
# 6. *The metric is the purpose:* train on it, test on real.
#    That score overlooked copies, blur and noise in section 4: look at "too near", too.
#
# </details>

# %% [markdown]
# ## 12 · Enter your own model *(deeper)*
#
# Any function that returns $n$ images will do; here lesson 01's idea, one Gaussian a class, on 40 principal components.
# `cu.enter` times it on your machine.
# `cu.save_run("my_model", what="…", samples=images)` keeps it: every run of yours whose name begins with `my_` enters the table below.

# %%
axes40 = directions[:, -40:]
labels = mnist.train.y[: len(archive)]
z = (archive - middle) @ axes40  # (55000, 40)
means10 = torch.stack([z[labels == digit].mean(0) for digit in range(10)])  # (10, 40)
covs10 = torch.stack([z[labels == digit].T.cov() for digit in range(10)])
roots10 = torch.linalg.cholesky(covs10)  # (10, 40, 40)


def my_sampler(n):
    """n images uint8 (n, 28, 28) from ten Gaussians, one a class. Replace me."""
    k = torch.randint(10, (n,))
    drawn = means10[k] + torch.einsum("nij,nj->ni", roots10[k], torch.randn(n, 40))
    return cu.to_uint8((middle + drawn @ axes40.T).clamp(0, 1)).view(-1, 28, 28)


# %% tags=["slide"]
contest = {"mine": [my_sampler(N) for _ in range(5)]}  # 1: draw five sets
entry = cu.enter("mine", my_sampler, numbers=means10.numel() + roots10.numel())  # 2: time
for run in cu.runs.available(samples=True, own=True):
    if run.own and run.name.startswith("my_"):
        contest[run.name] = torch.from_numpy(run.samples)
best = leaders[0]
yours = cu.metrics.scoreboard(contest | {best: ratings[best]}, N)  # 3: judge

# %% tags=["figure", "slide"]
# @title Table: your entries beside real digits and the best model
table = [[name, *found.row()] for name, found in yours.items()]
cu.table(table, ["", *cu.metrics.Score.COLUMNS], f"n = {N:,} against the test digits.")
with clock.one_thread():
    yardstick = cu.arena.yardstick()
cu.facts("a fixed small workload on one thread here, ms", 1e3 * yardstick)

# %% [markdown]
# Ten Gaussians on 40 components have 163, one Gaussian on all pixels (`00_gaussian`) has 328; real digits are at 1.1 to 1.6.
#
# **Exercise 7 (deeper, break it).**
# Make *density* fail: win its column with a generator that is good for nothing.
# Density counts in how many balls of real points a fake lies, divided by $k$, and nothing keeps it below 1.
# Given the features of real digits and of candidates (training digits), return the indices of the $n$ images to hand in for the highest density that candidates can reach.


# %% tags=["exercise"]
def densest(real, candidates, k, n):
    """Indices int64 (n,) into candidates (M, d) with the highest density against real (N, d).

    Balls reach to the k-th other real point.
    """
    ### BEGIN SOLUTION
    radii = torch.cdist(real, real).kthvalue(k + 1, dim=1).values  # (N,)
    balls = (torch.cdist(candidates, real) < radii).sum(1)  # (M,): how many hold the candidate
    return balls.argmax().repeat(n)
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# For each candidate, count the balls of real points that hold it.
# Nothing forbids handing in the same image a thousand times.

# %%
checked_densest = cu.check("07.densest", densest)
candidates = train[: cu.budget(2_000)]
shelved = cu.metrics.features(candidates)
picked = checked_densest(cu.metrics.validation_features()[:N], shelved, 5, N)
trick = measure(candidates[picked], shelved[picked])
cu.facts("images that were picked", len(picked.unique()), "times", len(picked))

# %% tags=["figure"]
# @title Table: the scores of the picked image
table = []
for key in ["density", "precision", "Fréchet", "recall", "coverage", "classifier score"]:
    best = next(name for name in order_by(key) if name != "mystery")
    table.append([key, trick[key], centre[key], f"{board[best][key]:.2f} (`{best}`)"])
cu.table(table, ["metric", "picked image", "real digits", "best model"], digits=2)

# %% [markdown]
# One image, a thousand times, has three times the density of real digits and a precision of 1.00.
# It wins two columns of the arena and is good for nothing: recall 0, coverage 0.01, a classifier score of 1.00.

# %% [markdown]
# ## Where this stands *(deeper)*
#
# - **Features.**
#   That Inception's view decides rankings is the great topic since 2022.
#   T. Kynkäänniemi et al. (2023) lower FID by matching ImageNet class histograms, without better pictures.
#   G. Stein et al. (2023) ran a large human study: no metric tracked people well, FID was unfair to diffusion models, and DINOv2 features (**FD-DINOv2**) did better.
#   **CMMD** (S. Jayasumana et al., 2024) keeps our equation (3), with CLIP features and a Gaussian kernel.
# - **Copying.**
#   C. Meehan, K. Chaudhuri and S. Dasgupta (2020) compare, region by region, how near generated and unseen images lie to the training set; Stein et al. find that no metric in use separates memorising from other faults reliably.
# - **People.**
#   **HYPE** (S. Zhou et al., 2019) is section 1 done with care: how briefly may a picture be shown and still be told, or how often is it mistaken with no limit of time.
#
# **References.**
# L. Theis et al., *A note on the evaluation of generative models* (2016) · M. Heusel et al., *GANs trained by a two time-scale update rule* (2017), the FID · M. Bińkowski et al., *Demystifying MMD GANs* (2018) · G. Stein et al., *Exposing flaws of generative model evaluation metrics* (2023).

# %% [markdown]
# ## Recap *(core)*
#
# - *The human game:* pooled by codes; a person sees one image, never the set (1).
# - *Fréchet* falls with $n$ for everybody; other people's handwriting stands at 0.8 even at $n=5{,}000$ (2).
# - *Precision and recall* say which half is wrong; recall can be bought by spread, precision by repetition (3, 4).
# - *The matrix:* ten stamps beat a trained model's draws; a copier takes a question of its own (4, 8).
# - *Likelihood:* half garbage costs at most $\log2$ (4, 7).
# - *Features:* other eyes, other order (5).
# - *Comparing:* independent sets, paired differences, a test set that is looked at once (6, 9).
# - *Choosing:* name the job, then the metric, then the model (6, 11).
#
# **What breaks, and why.**
# Every metric compares a sketch of the data, two moments, some balls, a few labels, and whatever leaves the sketch alone passes.
# **A metric that becomes the goal is no longer a metric:** whoever is paid by the Fréchet distance will find the training set.
#
# **What is still missing.**
# All entries of the arena saw a digit as one thing.
# Part II asks for other handles: one pixel after the other (lesson 09), or a map that can be run backwards (lesson 10).
# The arena stays open.
