# %% [markdown]
# # 07 Comparing models
#
# **"Which model is best?" has as many answers as there are rulers, and a generator can live in the blind spot of each.**
#
# Six lessons have left samples behind. This one judges them, with the same code for all, and before that it judges the judges.
#
# **After this lesson you can** run a fair game of *real or fake* and give its result an interval · compute a Fréchet distance, precision and recall from features and say what each is blind to · read a distance beside its floor at the same $n$ · fool every metric of the lesson, and say which other metric would have noticed · say why a good likelihood does not imply good samples, nor the reverse · find a copier · put an interval on a score without a bootstrap · choose a model for a job, with numbers.
#
# **Builds on** 02 (densities, KL), 04 (the bound), Appendix A, Card 7 (Fréchet distance); it reads the runs of all lessons so far. **Runs** in about two minutes on two CPU cores. Sections 1, 3 and 5 and the first half of 2 are *core*, the rest *deeper*.
#
# | letter | meaning | letter | meaning |
# |---|---|---|---|
# | $x$, $p_\text{data}$, $p_\theta$ | an image; the data's and the model's distribution | $n$ | images on each side of a comparison |
# | $f(x)$ | 128 features: the last hidden layer of the course's digit classifier | $k$ | the neighbour that sets a radius (5) |
# | $\mu,\Sigma$ | mean and covariance of features | $\lambda$ | share of garbage |

# %% tags=["setup"]
import math

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from sklearn.neighbors import KNeighborsClassifier

import course_utils as cu
from course_utils import arena, game

device = cu.setup()

# %% [markdown]
# ### Seven generators
# One row below is handwriting that no model has seen. Each of the other six comes from a generator that nobody should use. **Which row is the handwriting?** And which of the six would you be ashamed to have let pass?

# %% slideshow={"slide_type": "slide"}
mnist, N = cu.mnist(), cu.budget(1_000, 60)  # N images a side, in every comparison of this lesson
train, val, test = (split.x[:, 0] for split in (mnist.train, mnist.val, mnist.test))  # uint8 (·, 28, 28)
dice = torch.Generator().manual_seed(0)
splits = [torch.randperm(cu.budget(len(test), 800), generator=dice).chunk(2) for _ in range(10)]  # ten times two halves of the test digits
judges, players = splits[0]  # digits of the second half play, those of the first judge


def blurred(x, width=0.8):
    """Images uint8 (n, 28, 28) through a round Gaussian filter of this width in pixels."""
    pen = torch.exp(-0.5 * (torch.arange(-3, 4) / width) ** 2)
    pen = torch.outer(pen, pen)[None, None] / pen.sum() ** 2
    return F.conv2d(x[:, None].float(), pen, padding=3)[:, 0].round().byte()


def garbage(n):
    """Uniform noise: uint8 (n, 28, 28)."""
    return torch.randint(256, (n, 28, 28), dtype=torch.uint8, generator=dice)


fresh, known = test[players], mnist.test.y[players]  # digits that neither a model nor a judge has seen
stamps = torch.stack([(mnist.train.y == digit).nonzero()[3, 0] for digit in range(10)])  # the fourth 0, the fourth 1, …
shelf = {
    "fresh real digits": fresh[:N],
    "copies of training digits": train[torch.randperm(len(train), generator=dice)[:N]],
    "ten stamps, one a class": train[stamps].repeat(N // 10, 1, 1),
    "no 4 and no 9": fresh[(known != 4) & (known != 9)][:N],
    "blurred digits": blurred(fresh[:N]),
    "digits + faint noise": (fresh[:N] + 10 * torch.randn((N, 28, 28), generator=dice)).clamp(0, 255).round().byte(),
    "half garbage": torch.stack([fresh[: N // 2], garbage(N // 2)], 1).flatten(0, 1),
}
order = np.random.default_rng(2).permutation(list(shelf))
rows = [shelf[name][torch.randperm(N, generator=dice)[:14]] for name in order]
ax = cu.plots.image_grid(torch.cat(rows), rows=7, row_titles="ABCDEFG")
letter = dict(zip(order, "ABCDEFG"))
cu.show(ax.figure, "Seven rows of fourteen digits. Six come from generators that nobody should use.")

# %% [markdown]
# Blur and garbage show, faint specks and repeated stamps show after a moment. Three rows you cannot tell from handwriting by looking: they *are* handwriting, and the fault lies in what they are a sample of. Keep your guess for section 3, where the letters are told and nine metrics look at the same seven rows.
#
# ## 1 · Real or fake? *(core)*
#
# The oldest metric is a person. Twenty pairs; in each one image is a test digit, the other was made by one of the models of this course. All models are dealt equally often, sides are balanced, so pressing always A scores ten. **Predict** your score before you start. At the end there is a code: hand it in.

# %% slideshow={"slide_type": "slide"}
runs = {run.name: run for run in cu.runs.available(samples=True)}
samples = {name: torch.from_numpy(run.samples[:N]) for name, run in runs.items()}  # uint8 (N, 28, 28) each
played = game.play(test, samples, "Real or fake? Press A or B for the one that a person wrote. Without a kernel: twenty pairs, A above B, numbered by column (upper | lower half).")

# %% [markdown]
# Twenty trials say something about *you*, and nothing about a model: each has had two of them. The code holds which game you were dealt and which answers were right, so a class can be pooled model by model. **What to report?** Of $n$ trials with one model, $s$ went wrong: its share $\hat p=s/n$ of *fooled* players has 0 as "always caught" and ½ as "cannot be told from real". For the interval, ask which true shares $p$ would have made $\hat p$ no surprise: $(\hat p-p)^2\le z^2\,p(1-p)/n$ with $z=1.96$. This is a quadratic in $p$; its two roots are **Wilson's interval**,
#
# $$\frac{\hat p+\frac{z^2}{2n}\pm z\sqrt{\frac{\hat p(1-\hat p)}n+\frac{z^2}{4n^2}}}{1+\frac{z^2}n}. \tag{1}$$
#
# Unlike $\hat p\pm1.96\sqrt{\hat p(1-\hat p)/n}$ it stays between 0 and 1, and at $s=0$ it is not a point. Type the codes of your class between the quotes. Until you do, a machine has played: it calls that image real whose features lie nearer to some training digit.

# %% slideshow={"slide_type": "slide"}
CODES = """
"""
shelved = cu.metrics.features(train[: cu.budget(3_000, 100)])


def nearer(pairs):
    """The machine's answers, 0 or 1 each (M,), to pairs uint8 (M, 2, 28, 28)."""
    f = cu.metrics.features(torch.from_numpy(pairs).flatten(0, 1))
    return torch.cdist(f, shelved).min(1).values.view(-1, 2).argmin(1).tolist()


codes = CODES if CODES.strip() else game.machine(nearer, test, samples, games=cu.budget(60, 2))
pooled = game.pool(codes, list(samples))
fooled = {row["model"]: row for row in pooled.rows}
cu.table([[f"`{row['model']}`", row["trials"], f"{row['share']:.0%}", f"{row['low']:.0%} to {row['high']:.0%}"] for row in pooled.rows if row["trials"]],
         ["model", "trials", "taken for real", "95 % interval"], f"{pooled.players} games pooled{'' if CODES.strip() else ', all played by the machine'}; {pooled.right / 20 / max(1, pooled.players):.0%} of all answers right.")  # fmt: skip
print(*pooled.problems, f"Answers to the still picture above, 1 to 20: {game.Game(test, samples, 0).key()}", sep="\n")

# %% [markdown]
# A wrong code is named and left out, a code typed twice counts once; ten players give a model twenty trials and an interval of ± 20 points (a little too narrow: the two trials of one player are not quite independent). The machine is strict with speckle (`04_vae` 8 %, `02_mixture` 1 %) and takes the autoencoder's smooth digits for real as often as the GAN's (45 %). What no player of such a game can see: a model that knows ten images only, for a player meets them one at a time.
#
# ## 2 · Metrics, built up
#
# ### The Fréchet distance *(core)*
#
# Compare *sets*. Card 7 of the toolbox derived the Fréchet distance of two Gaussians (by custom its square, $d^2$, bears the name). Put the features $f(x)$ of two sets of images in their place:
#
# $$d^2=\lVert\mu_a-\mu_b\rVert^2+\operatorname{tr}\bigl(\Sigma_a+\Sigma_b-2(\Sigma_a\Sigma_b)^{1/2}\bigr). \tag{2}$$
#
# With features of a network for photographs (Inception) this is the FID. The **Inception Score**, older, asks the same network for class probabilities: $\exp\mathbb E\,\mathrm{KL}(p(y\mid x)\,\|\,p(y))$ is high if each image is recognised surely and all classes occur. Both were made for pictures of a thousand classes of things, dogs and teapots; on 28 × 28 digits what those features respond to is hard to say, and a score computed with them harder. So here is a network that knows digits, for both formulas.
#
# **Exercise 1.** Write (2) for features. The trace of $(\Sigma_a\Sigma_b)^{1/2}$ is the sum of the roots of the eigenvalues of $\Sigma_a\Sigma_b$. That product is not symmetric, but its eigenvalues are those of $\Sigma_a^{1/2}\Sigma_b\Sigma_a^{1/2}$, which is: they are real and at least 0, up to rounding.

# %% tags=["exercise"]
def frechet(a, b):
    """Equation (2), d² itself: features a (n, d) and b (m, d), float64 → a scalar tensor. Covariances with n − 1; n may be smaller than d."""
    ### BEGIN SOLUTION
    gap, cov_a, cov_b = a.mean(0) - b.mean(0), a.T.cov(), b.T.cov()
    roots = torch.linalg.eigvals(cov_a @ cov_b).real.clamp(min=0).sqrt()
    return gap.square().sum() + cov_a.trace() + cov_b.trace() - 2 * roots.sum()
    ### END SOLUTION


# %%
checked_frechet = cu.check("07.frechet", frechet)
real = cu.metrics.features(test[: sum(map(len, splits[0]))])  # (10000, 128)
f = {name: cu.metrics.features(x) for name, x in (shelf | samples).items()}  # (N, 128) each
ours, theirs = checked_frechet(f["blurred digits"], real).item(), cu.metrics.frechet(f["blurred digits"], real)
assert abs(ours - theirs) < 1e-3 * theirs, "two ways to the same trace of a root"


def distances(features, n, repeats=5):
    """Distances of random subsets of n features (drawn without replacement) from `repeats` halves of the test set."""
    return [checked_frechet(features[torch.randperm(len(features))[:n]], real[a]).item() for a, _ in splits[:repeats]]


def floor(n):
    """Real against real: distances of n digits of one half from the other half, one for each split."""
    return [checked_frechet(real[b][:n], real[a]).item() for a, b in splits]


# %% [markdown]
# **The floor and the bias.** $\mu$ and $\Sigma$ come from $n$ images, so even real digits have a distance from real digits: the **floor**. It is biased *upwards*, and the bias shrinks about like $1/n$ (Card 7 derives the factor). **Predict:** somebody reports a distance for his model at $n=1{,}000$ and you report one for *real handwriting* at $n=50$. Who wins? Turn the slider.

# %% slideshow={"slide_type": "slide"}
sizes = cu.budget([50, 100, 200, 500, 1_000], [20, 60])
contenders = ["copies of training digits", *list(samples)[3:]]  # without the three that are far off
by_n = {name: np.array([distances(f[name], n) for n in sizes]).T for name in contenders} | {"real digits: the floor": np.array([floor(n) for n in sizes]).T}


def draw_n(n):
    """Left: distance against n. Right: the contenders at this n, the floor's part in grey."""
    fig, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), width_ratios=(1.1, 1), layout="constrained")
    j, colours = sizes.index(n), dict(zip(by_n, [*cu.plots.PALETTE[:6], "#8844DD", "#661100"] * 2))
    colours["real digits: the floor"] = "#777777"
    for name, values in by_n.items():
        cu.plots.band(sizes, values, left, color=colours[name], lw=3 if "floor" in name else 1.8)
    left.axvline(n, color="black", ls=":")
    left.set(xscale="log", yscale="log", xlabel="n, images a side", ylabel="Fréchet distance", title="Every curve falls with n")
    ranked = sorted(by_n, key=lambda name: by_n[name][:, j].mean())
    base = by_n["real digits: the floor"][:, j].mean()
    right.barh(ranked, [by_n[name][:, j].mean() for name in ranked], color=[colours[name] for name in ranked])
    right.axvline(base, color="#777777", lw=3)
    right.set(xlabel=f"distance at n = {n:,} (grey line: the floor, {base:.1f})")
    right.tick_params(axis="y", labelsize=10)
    right.invert_yaxis()
    return fig


cu.explore(draw_n, "Left: Fréchet distance against n, mean ± standard deviation over halves of the test set (at n = 1,000 all images of a model are used: the band is the judges' scatter only). Right: the same at one n, sorted.",
           n={"options": sizes, "value": sizes[1], "label": "n"})  # fmt: skip
means = {name: values.mean(0) for name, values in by_n.items()}
real_few, rivals = means["real digits: the floor"][0], [name for name in samples if name in means and means[name][-1] < means["real digits: the floor"][0]]
print(f"real digits at n = {sizes[0]}: {real_few:.1f}; better than that at n = {sizes[-1]:,}: {', '.join(rivals) or 'no model'}")
print("floor × n:", ", ".join(f"{n * v:.0f} at {n:,}" for n, v in zip(sizes, means["real digits: the floor"])))
for name in contenders:
    print(f"{name}: excess over the floor {means[name][0] - real_few:.1f} at n = {sizes[0]}, {means[name][-1] - means['real digits: the floor'][-1]:.1f} at {sizes[-1]:,}; ratio {means[name][0] / real_few:.1f} and {means[name][-1] / means['real digits: the floor'][-1]:.1f}")

# %% [markdown]
# Real handwriting, measured with fifty images, loses to a model measured with a thousand: the first printed line names who passes for "better than real". The product floor × $n$ is nearly constant (700 to 970 here): the bias is about $c/n$ with $c\approx800$. For a model far from real digits the *excess* over the floor hardly depends on $n$ (04_vae: 41 and 42), its *ratio* does (3.5 floors at $n=50$, 49 at 1,000). But do not subtract floors: the bias comes from the spread of the model's *own* features, and that of `03_ae_mixture` has an excess of 1.7 at 50 and 7.5 at 1,000. For a good model the two curves run together, and no ruler of this $n$ can tell them apart: the ratios in the last lines say who that is. Resolution is bought with samples. So: equal $n$, floor beside it, and no comparison of two papers with two $n$.
#
# **Does the ruler agree with the player?** Each point is a model: its Fréchet ratio (distance over floor at the same $n$) against the share of trials in which it was taken for real, with (1). With your class's codes in the cell above this is the class's figure. **Predict** where a model lies that fools people and not the ruler.

# %% slideshow={"slide_type": "slide"}
base = np.mean(floor(N))
ratio = {name: np.mean(distances(f[name], N)) / base for name in samples}
INKS = [c for c in cu.plots.CLASS_COLOURS if c != "#F0E442"] + ["#777777", "#117733", "#AA4499", "#DDAA33"] * 4  # letters, too: no yellow
fig, ax = plt.subplots(figsize=(8, 4.2))
for i, name in enumerate(sorted(samples, key=ratio.get)):
    row, colour = fooled[name], INKS[i]
    if row["trials"]:
        low, middle, high = (100 * row[key] for key in ("low", "share", "high"))
        ax.errorbar(ratio[name], middle, [[middle - low], [high - middle]], fmt="o", ms=9, capsize=5, color=colour)
        ax.annotate(name, (ratio[name], low if i % 2 else high), (0, (3, -13, 15, -13)[i % 4]), textcoords="offset points", ha="center", fontsize=10, color=colour)
ax.axhline(50, color="#777777", ls="--")
ax.set(xscale="log", xlabel="Fréchet distance ÷ floor", ylabel="taken for real, %", xlim=(0.8, 4_000), ylim=(-12, 75), title="Two judges agree on the whole, not on the autoencoder")
cu.show(ax.figure, f"Share of trials in which a model's image was taken for real, with Wilson's interval, against its Fréchet ratio at n = {N:,}. Dashed: cannot be told apart.")
by_ruler, by_player = (sorted(samples, key=key) for key in (ratio.get, lambda name: -fooled[name]["share"] if fooled[name]["trials"] else 1))
swapped = sum(by_player.index(a) > by_player.index(b) for i, a in enumerate(by_ruler) for b in by_ruler[i + 1 :])
print(f"best to worst by Fréchet: {', '.join(by_ruler)}\nbest to worst by the players: {', '.join(by_player)}\n{swapped} of {math.comb(len(samples), 2)} pairs stand in another order")

# %% [markdown]
# On the whole the two judges agree, and they disagree where it is instructive. The machine's player takes the autoencoder's mixture (`03_ae_mixture`) for real in 45 % of its trials, as often as the GAN and hardly less often than a coin would; the Fréchet distance puts the GAN at one floor and the mixture at ten. The player sees one smooth, typical digit at a time, and smooth and typical is near to *some* training digit. The distance sees a thousand at once, and they are all a little too smooth. Neither is wrong. (This machine looks with the ruler's own features, so that the two agree proves less than when your class plays.) (The intervals are those of 120 trials a model; a class of ten has 20, and intervals two and a half times as wide.)
#
# ### Precision and recall *(core)*
#
# One number cannot say *what* is wrong. Two can: how much of what the model draws is plausible (**precision**), and how much of what is real the model could have drawn (**recall**). Densities in 128 dimensions are out of reach, but neighbourhoods are not (T. Kynkäänniemi et al., 2019): put a ball around each real point, its radius the distance to the point's $k$-th nearest *other* real point. Together the balls are a sketch of where data live. **Precision** is the share of fakes inside at least one ball of a real point. **Recall** turns the roles round: balls around the fakes, share of real points inside.
#
# **Exercise 2.** Write both. The nearest neighbour of a point among its own set is the point itself.

# %% tags=["exercise"]
def precision_recall(real, fake, k):
    """Precision and recall, two scalars, of fake (M, d) against real (N, d), by balls to the k-th other neighbour."""
    ### BEGIN SOLUTION
    def inside(points, centres):
        radii = torch.cdist(centres, centres).kthvalue(k + 1, dim=1).values  # the nearest is the point itself
        return (torch.cdist(points, centres) < radii).any(1).double().mean()

    return inside(fake, real), inside(real, fake)
    ### END SOLUTION


# %% slideshow={"slide_type": "slide"}
checked_pr = cu.check("07.neighbours", precision_recall)
moons = cu.moons(200, seed=1).double()
tries = {"one arm only": cu.moons(500, seed=2).double()[cu.moons(500, seed=2, labels=True)[1] == 0][:200], "right place, too wide": cu.moons(200, seed=3).double() + 0.45 * torch.randn(200, 2, generator=dice),
         "the data's own law": cu.moons(200, seed=4).double()}  # fmt: skip
fig, axes = plt.subplots(1, 3, figsize=(12, 3.9), sharey=True, layout="constrained")
for ax, (name, fake) in zip(axes, tries.items()):
    for centre, radius in zip(moons, torch.cdist(moons, moons).kthvalue(6, dim=1).values):
        ax.add_patch(plt.Circle(centre.tolist(), radius.item(), color=cu.plots.PALETTE[0], alpha=0.06, lw=0))
    cu.plots.scatter(moons, ax=ax, s=5)
    cu.plots.scatter(fake, ax=ax, s=9, color=cu.plots.PALETTE[1])
    precision, recall = checked_pr(moons, fake, 5)
    ax.set(title=f"{name}\nprecision {precision:.2f}, recall {recall:.2f}", xlim=(-3.3, 3.3), ylim=(-2.6, 2.6))
cu.show(fig, "Real points (blue) with the balls to their fifth neighbour, and three sets of fakes (orange), 200 points each.")
packaged = cu.metrics.precision_recall(real[:N], f["blurred digits"])
assert np.allclose([p.item() for p in checked_pr(real[:N], f["blurred digits"], 5)], [packaged["precision"], packaged["recall"]])

# %% [markdown]
# One arm only: whatever is drawn is plausible, and half of the data is out of reach. Too wide: only six in ten land in the sketch. But look at its recall: 1.00, the best of the three! Fakes that lie far apart have large balls, and large balls reach everything. Recall rewards spread, and a generator of rubbish can buy it. The data's own law scores 0.99 twice, not 1: both are estimates.
#
# ### Six more judges *(core: one line each; the formulas are deeper)*
#
# - **KID:** another distance between two sets of features, *unbiased*, so that real digits have 0 at any $n$. (M. Bińkowski et al., 2018: mean kernel similarity within each set minus twice the one between, $\mathbb E\,k(a,a')+\mathbb E\,k(b,b')-2\,\mathbb E\,k(a,b)$ with $k(u,v)=(u^\top v/d+1)^3$. Leaving out the pairs of a point with itself removes the bias; it may be negative.)
# - **Density:** in how many real balls a fake lies, divided by $k$; 1 for real data, and it can exceed 1. **Coverage:** the share of real balls with at least one fake in them. (M. Naeem et al., 2020, as repairs of the two above: one outlier with a huge ball spoils precision; and coverage uses no balls of fakes, so a stray fake cannot inflate it.)
# - The **classifier score**, the formula of the Inception Score with our classifier: at most 10 here.
# - **Trained on it** (classification accuracy score, S. Ravuri and O. Vinyals, 2019): train on samples, test on real digits. Our models draw no labels, so the course's classifier labels the samples, and the pupil is simple: three nearest neighbours among the pixels of $N$ samples. Its accuracy says whether the samples would do as *data*.
# - **Too near**: the share of samples nearer to some training digit, pixel by pixel, than 99 % of unseen real digits are. Real data has 1 %. Section 4 takes it apart.
#
# The function `measure` is the whole jury, for pathologies and models alike. **Likelihood** is the tenth judge, for the models that have one (sections 3 and 5).

# %%
BETTER = {"Fréchet": -1, "KID": -1, "precision": 1, "recall": 1, "density": 1, "coverage": 1, "classifier score": 1, "trained on it": 1, "too near": -1}
archive = train[: cu.budget(len(train), 2_000)].flatten(1).float() / 255  # what a copier can copy


def nearest(x):
    """Distance of images uint8 (n, 28, 28) to the nearest training digit, pixel by pixel, and its index: (n,) each."""
    return torch.cdist(x.flatten(1).float() / 255, archive).min(1)


unseen = nearest(test[: cu.budget(2_000, 100)]).values  # the same for digits that no model has seen
alarm = unseen.quantile(0.01)


def measure(x, features=None, near=None):
    """Nine metrics of images x (n, 28, 28) against the judges; near: distances as from `nearest`, else those of half of x."""
    features, near = cu.metrics.features(x) if features is None else features, nearest(x[: len(x) // 2]).values if near is None else near
    jury = judges[: len(x)]
    out = cu.metrics.precision_recall(real[jury], features)
    out["precision"], out["recall"] = (value.item() for value in checked_pr(real[jury], features, 5))
    with torch.no_grad():
        p = cu.metrics.classifier().out(features.float().to(device)).cpu().double().softmax(1).clamp(min=1e-12)  # (n, 10)
    pupil = KNeighborsClassifier(3).fit(x.flatten(1), p.argmax(1))
    return {"Fréchet": checked_frechet(features, real[judges]).item(), "KID": cu.metrics.kid(features, real[jury]), **out,
            "classifier score": (p * (p / p.mean(0)).log()).sum(1).mean().exp().item(),
            "trained on it": pupil.score(test[jury].flatten(1), mnist.test.y[jury]), "too near": (near < alarm).double().mean().item()}  # fmt: skip


control = []  # real against real, ten times
for _ in range(10):
    some = players[torch.randperm(len(players), generator=dice)[:N]]
    control.append(measure(test[some], real[some], unseen[torch.randperm(len(unseen), generator=dice)[: N // 2]]))
centre, spread = ({key: fn([scores[key] for scores in control]) for key in BETTER} for fn in (np.mean, lambda v: np.std(v, ddof=1)))

# %% [markdown]
# ## 3 · Fooling them *(core)*
#
# Now the seven rows of the opening. **The rule, fixed beforehand.** Ten sets of unseen test digits (they overlap a little) are judged like any other; they give each metric a mean and a standard deviation for *real* data. A metric **notices** a generator if its value is more than three standard deviations worse than that mean, **praises** it if it is more than three better, and **overlooks** it otherwise. With a deviation from ten values, chance alone passes this line in about one cell of a hundred; rows that depend on a draw are therefore the mean of five.
#
# One row is added: *validation* digits. They are as real as the test digits, and other people wrote them. **Predict** before you look: is there a row that only one metric can expose? Which metrics will *praise* a useless generator?

# %% slideshow={"slide_type": "slide"}
others = {"real, by other writers": val[torch.randperm(len(val), generator=dice)[:N]]}
again = {"real, by other writers": val, "copies of training digits": train}  # what one draw of these says is partly luck: mean of five
matrix = {name: measure(x, f.get(name)) for name, x in (others | shelf).items()}
for name, source in again.items():
    five = [matrix[name], *(measure(source[torch.randperm(len(source), generator=dice)[:N]]) for _ in range(cu.budget(4, 1)))]
    matrix[name] = {key: float(np.mean([row[key] for row in five])) for key in BETTER}
verdict = {name: {key: BETTER[key] * (value - centre[key]) / (spread[key] + 1e-9) for key, value in row.items()} for name, row in matrix.items()}  # in standard deviations
for row in verdict.values():
    row["too near"] = min(row["too near"], 0.0)  # an alarm that is silent is no praise


def draw_matrix():
    """The matrix metric × generator, coloured by the rule."""
    fig, ax = plt.subplots(figsize=(12, 5), layout="constrained")
    shades = {"noticed": "#F2B48C", "praised": "#9CCBE8", "overlooked": "#FFFFFF"}
    for i, name in enumerate(["(real: mean)", *matrix]):
        for j, key in enumerate(BETTER):
            z = verdict[name][key] if name in verdict else 0
            ax.add_patch(plt.Rectangle((j, i), 1, 1, fc=shades["noticed" if z < -3 else "praised" if z > 3 else "overlooked"], ec="#AAAAAA"))
            value = matrix[name][key] if name in matrix else centre[key]
            text = f"{value:.1%}" if key == "too near" else f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2f}".replace("-", "−")
            ax.text(j + 0.5, i + 0.5, text, ha="center", va="center", fontsize=12)
    ax.set(xlim=(0, len(BETTER)), ylim=(len(matrix) + 1, 0), title="Vermilion: noticed. Blue: praised above real digits. White: overlooked")
    ax.set_xticks(np.arange(len(BETTER)) + 0.5, [key.replace(" ", "\n") + (" ↓" if BETTER[key] < 0 else " ↑") for key in BETTER], fontsize=11)
    ax.set_yticks(np.arange(len(matrix) + 1) + 0.5, ["real digits (mean of ten)", *(f"{letter.get(name, '')}  {name}" for name in matrix)])
    ax.grid(False)
    ax.tick_params(length=0)
    return fig


cu.show(draw_matrix(), f"Nine metrics of the seven rows and of real digits by other writers, n = {N:,}. ↓: less is better, ↑: more is better.")

# %%
sheets = [train[torch.stack([(mnist.train.y == digit).nonzero()[i, 0] for digit in range(10)])].repeat(N // 10, 1, 1) for i in range(cu.budget(10, 2))]
sheets = [measure(sheet) for sheet in sheets]  # other stamps: the first 0, the first 1, …; the second of each; and so on
print("other ten stamps: Fréchet " + ", ".join(f"{row['Fréchet']:.0f}" for row in sheets) + f"; precision praises {sum((row['precision'] - centre['precision']) / spread['precision'] > 3 for row in sheets)} of {len(sheets)}, density notices {sum((row['density'] - centre['density']) / spread['density'] < -3 for row in sheets)}")
bad = list(shelf)[1:]
for key in BETTER:
    blind = [name for name in bad if abs(verdict[name][key]) <= 3]
    fond = [name for name in bad if verdict[name][key] > 3]
    print(f"{key:17s} overlooks: {'; '.join(blind) or 'none'}" + (f". PRAISES: {'; '.join(fond)}" if fond else ""))
noticed = {name: {key for key in BETTER if verdict[name][key] < -3} for name in matrix}
for name, keys in noticed.items():
    print(f"{name}: noticed by {', '.join(key for key in BETTER if key in keys) or 'nobody'}")
print("copies, in standard deviations of real digits: " + ", ".join(f"{key} {verdict['copies of training digits'][key]:+.1f}" for key in BETTER))
print(f"Fréchet distance: ten stamps {matrix['ten stamps, one a class']['Fréchet']:.1f}; " + ", ".join(f"{name} {ratio[name] * base:.1f}" for name in by_ruler))

# %% [markdown]
# **Read the rows.** F was the handwriting, and G, which nobody can tell from it, is the training set; D lacks two digits. Fresh digits raise no alarm. *Real digits by other writers* raise one, of recall: the jury can tell one group of people from another, so "noticed" does not mean "fake".
#
# - *Copies:* precision, density and coverage notice them by 3.6 to 4.6 standard deviations, of which the line itself is uncertain by a quarter (ten values). Part of that may be that the judge's network was trained on these very digits. Fréchet, KID, recall, the classifier score and the pupil see nothing. One column needs no such care: 100 % too near, where real digits have 1. **A copier is exposed by one question: how near is it to the training set?**
# - *Ten stamps* are the scandal. Precision 1.00 and a classifier score of 9.97 of 10, both *above* real digits; density sees nothing amiss; and a Fréchet distance of 36, **less than that of the trained VAE's draws (43)**. Ten images, a hundred times each. That is no lucky choice: of ten other sheets of stamps (printed above) nine beat the VAE, and precision praises six. Recall 0.00 and coverage 0.05 say what happened.
# - *No 4 and no 9:* every image is plausible, so precision and density see nothing. The Fréchet distance (28) sees two missing heaps.
# - *Blurred digits* are perfectly good food for a pupil (0.90): "trained on it" is no judge of looks. The same holds for *faint noise*, which the eye forgives, too; to the Fréchet distance it costs as much (7) as being an autoencoder (8).
# - *Half garbage* loses almost nothing in recall (0.94): the good half covers nearly everything.
#
# **Read the columns**, which name the blind spots. *Fréchet, KID, recall:* the copier. *Precision, density:* missing classes; and precision praises stamps. *Classifier score:* the copier and faint noise; and it praises stamps. *Trained on it:* the copier, blur and noise. *Too near:* everything but copies and stamps. *Coverage* has no white cell, but the copier only by a hair. No row hangs on one metric alone. A jury must be chosen so that its blind spots do not coincide; here Fréchet, precision with recall, and *too near* leave nothing unseen.

# %% [markdown]
# ### What a likelihood forgives *(core)*
#
# Is a likelihood a better judge? Take any model with density $p$ and spoil it: with probability $\lambda$ it draws from garbage with density $g$ instead. For *every* image $x$
#
# $$\log\bigl[(1-\lambda)\,p(x)+\lambda\,g(x)\bigr]\ \ge\ \log\bigl[(1-\lambda)\,p(x)\bigr]=\log p(x)-\log\tfrac1{1-\lambda}, \tag{3}$$
#
# because $g(x)\ge0$ and the logarithm rises. Half garbage costs **at most $\log2=0.69$ nats** of some hundreds (L. Theis, A. van den Oord and M. Bethge, 2016). Nine tenths garbage cost 2.3. The reverse holds, too: the copier, written as a density (a bell of width 0.02 on each training digit), draws digits that are perfect but for a touch of noise, and has hardly any density where new ones lie. Lesson 02's mixture has an exact density for digits; so has lesson 00's Gaussian. **Predict** the copier's bits per dimension; pure noise has 8.

# %%
spoiled = arena.Source("02").PPCAMixture(K=40, r=13)  # the model of lesson 02, from its source
cu.restore("02_mixture", spoiled)
uniform = torch.rand(len(test), 784, generator=dice)
x = ((test.flatten(1) + uniform) / 256)[torch.randperm(len(test), generator=dice)[: cu.budget(2_000, 50)]]  # dequantised, as in lesson 02
log_p = spoiled.log_joint(x).logsumexp(1).double()
log_g = torch.zeros_like(log_p)  # uniform on the unit cube: density 1 everywhere
shares, lost = [0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99], []
for share in shares:
    log_mixed = torch.logaddexp(log_p + math.log1p(-share), log_g + math.log(share))
    assert (log_p - log_mixed <= -math.log1p(-share) + 1e-9).all(), "equation (3), image by image"
    lost.append((log_p - log_mixed).mean().item())
noise = cu.metrics.features(garbage(N))
spoiled_ratio = [checked_frechet(torch.cat([real[players][: N - round(share * N)], noise[: round(share * N)]]), real[judges]).item() / centre["Fréchet"] for share in shares]

# %% slideshow={"slide_type": "slide"}
fig, (left, right) = plt.subplots(1, 2, figsize=(10.5, 3.7), layout="constrained")
t = np.linspace(0, 0.99, 200)
left.plot(t, -np.log1p(-t), color="#888888", label="bound (3): −log(1 − λ)")
left.plot(shares, lost, "o", label="lesson 02's mixture, measured")
left.axhline(log_p.mean().item() / 100, color="black", ls=":", label="1 % of its log-likelihood")
left.set(xlabel="share of garbage λ", ylabel="nats lost per test digit", title="The likelihood shrugs …")
left.legend(fontsize=10)
right.plot(shares, spoiled_ratio, "o-", color=cu.plots.PALETTE[1])
right.set(xlabel="share of garbage λ", ylabel="Fréchet distance ÷ floor", yscale="log", title="… the Fréchet distance screams")
cu.show(fig, "Left: nats lost when a share of a model's draws is replaced by uniform noise. Right: Fréchet ratio of real digits with the same share of noise among them.")


def bits(log_density):
    """Bits per dimension from mean log-density in nats (lesson 02)."""
    return cu.metrics.bits_per_dimension(-log_density.mean().item(), 784)


width, copies = 0.02, shelf["copies of training digits"]
noisy_copies = (copies.float() + 256 * width * torch.randn(copies.shape, generator=dice)).clamp(0, 255).round().byte()  # draws from this density
log_copier = (-(torch.cdist(x, archive * 255 / 256 + 0.5 / 256) ** 2) / (2 * width**2)).double().logsumexp(1) - math.log(len(archive)) - 784 * math.log(width * math.sqrt(2 * math.pi))
gauss_mean, gauss_cov = archive.mean(0).double(), torch.cov(archive.T).double() + 1e-4 * torch.eye(784)
log_gauss = torch.distributions.MultivariateNormal(gauss_mean, gauss_cov).log_prob(x.double())
wider = torch.distributions.MultivariateNormal(gauss_mean, gauss_cov + 0.0099 * torch.eye(784)).log_prob(x.double()).mean()
print(f"1 % garbage: the likelihood changes by {-lost[0]:+.2f} nats, real digits with as much stand at {spoiled_ratio[0]:.0f} floors; half garbage costs {lost[3]:.2f} of {log_p.mean():.0f} nats")
print(f"the Gaussian with 0.01 in place of 0.0001 added to each variance: {wider:.0f} nats")
cu.table([["uniform noise", bits(log_g), 0.0, np.mean(distances(noise, N)) / base], ["lesson 00: one Gaussian", bits(log_gauss), log_gauss.mean(), ratio["00_gaussian"]],
          ["lesson 02: mixture", bits(log_p), log_p.mean(), ratio["02_mixture"]], ["lesson 02: mixture, half garbage", bits(log_p - lost[3]), log_p.mean() - lost[3], None],
          ["copies with faint noise", bits(log_copier), log_copier.mean(), np.mean(distances(cu.metrics.features(noisy_copies), N)) / base]],
         ["density", "bits per dimension", "nats", "Fréchet ÷ floor of its draws"], f"Exact log-densities of {len(x):,} dequantised test digits.", digits=2)  # fmt: skip

# %% [markdown]
# The likelihood shrugs. Half garbage costs 0.65 nats of 555, *less* than the bound, and nobody could see it in 6.98 bits per dimension. One per cent of garbage costs nothing at all (+0.03): some test digits are so odd that the mixture gives them a density below 1, uniform noise explains them better, and that pays for the rest. The same one per cent puts real digits 17 floors away. Now the other direction. The copier's draws stand at 2.5 floors, better than most models of this course, and its density on new digits is that of 48 bits per dimension: far worse than noise with 8. And the *single* Gaussian of lesson 00, which never drew a digit, beats the mixture by 730 nats: with a full covariance it knows that the margin is white, pixel by pixel, and is paid for each of those pixels. How much is decided by whoever sets the smallest variance: with 0.01 in place of 0.0001 on the diagonal the lead is 112 nats. Good likelihood does not imply good samples, nor the reverse; each is a judge of something else.
#
# ## 4 · Memorisation *(deeper)*
#
# How near is "too near"? The ruler is always an unseen *real* digit: some people write alike. Three copiers who are not stupid: one copies every tenth image only, one blurs its copies, one shifts them by a pixel. **Predict** which of them the median distance notices, which the share below the alarm, and which neither.

# %%
sly = {"copies": copies, "every tenth a copy": torch.cat([copies[: N // 10], fresh[N // 10 : N]])[torch.randperm(N, generator=dice)], "blurred copies": blurred(copies),
       "copies, shifted by one pixel": copies.roll((1, 1), (1, 2)), "unseen test digits": test[-N:]}  # fmt: skip
few, rows = cu.budget(500, 30), []
for name, images in (sly | samples).items():
    near = nearest(images[:few]).values
    around = [nearest(images[: few // 5].roll(shift, (1, 2))).values for shift in ((-1, -1), (-1, 0), (0, -1), (0, 0))] if name in sly else None
    rows.append([name, near.median(), (near < alarm).double().mean() * 100, torch.stack(around).min(0).values.median() if around else None])
cu.table(rows, ["images", "median distance", f"nearer than {alarm:.2f}, %", "median, best of four shifts"], f"Pixel distance to the nearest of {len(archive):,} training digits, {few} images each; unseen digits have a median of {unseen.median():.2f}.", digits=2)

# %% [markdown]
# The plain copier is at distance 0. Who copies *every tenth* image leaves the median almost where it was (4.2) but puts eleven per cent below the alarm, where one per cent is expected. *Blurred* copies stay above the alarm and give themselves away by the median (2.6). The copier who *shifts* by a pixel passes both (5.5, none below): as a vector a shifted image is far from itself. Ask again with four shifts, and it is at 0.00. Each repair of the question has its next evasion (turn, thicken, mirror), so the last resort is to *look* at pairs. And nearness alone is no proof: `03_ae_mixture` lies nearer to the training set (3.7) than unseen digits do (4.4), without having copied one. Smooth images are near to everything.

# %% [markdown]
# ## 5 · The arena *(core)*
#
# All entries of the course, one jury, one table. First a question of honesty: what is the **error bar** of a Fréchet distance? The reflex is a bootstrap: draw $n$ of your $n$ samples *with replacement*, measure, repeat. Here this goes wrong, and one can see how: given the sample, a bootstrap mean has variance $\operatorname{tr}\hat\Sigma/n$ around $\hat\mu$, which the first term of (2) squares and *adds*. The estimate has paid this bias once already; the bootstrap pays twice. For neighbour metrics it is worse: a copy of a point is its own nearest neighbour, at distance 0.
#
# **Halves** do better. Draw $m=n/2$ samples *without* replacement. For a mean of $n$ values with variance $s^2$ that of such half-means, given the sample, is $\frac{s^2}m\bigl(1-\frac mn\bigr)=\frac{s^2}n$: exactly what the mean of all $n$ has, and no point occurs twice. For any statistic that is nearly a mean over images the same holds nearly. So: the spread over halves, around the value for all. **Exercise 3.** Write it.

# %% tags=["exercise"]
def spread_of_halves(statistic, x, repeats, generator):
    """Standard deviation of statistic(half of x) over random halves of x (n, …), drawn without replacement; a float."""
    ### BEGIN SOLUTION
    picks = [torch.randperm(len(x), generator=generator)[: len(x) // 2] for _ in range(repeats)]
    return torch.tensor([float(statistic(x[pick])) for pick in picks]).std().item()
    ### END SOLUTION


# %% [markdown]
# A trial with a known answer: 5,000 validation digits are cut into ten independent sets of 500. From *one* of them, bootstrap and halves must say how the ten scatter. **Predict** where the bootstrap's cloud lies.

# %% slideshow={"slide_type": "slide"}
checked_halves = cu.check("07.halves", spread_of_halves)
m, judge_half = cu.budget(500, 30), real[judges]
ten = cu.metrics.features(val[torch.randperm(len(val), generator=dice)[: 10 * m]]).split(m)  # shuffled: neighbours in the file share a writer
statistics = {"Fréchet distance": lambda x: checked_frechet(x, judge_half).item(), "recall": lambda x: checked_pr(judge_half[:m], x, 5)[1].item()}
fig, axes = plt.subplots(1, 2, figsize=(11, 3.6), layout="constrained")
for ax, (name, statistic) in zip(axes, statistics.items()):
    truth, one = [statistic(x) for x in ten], statistic(ten[0])
    boot = [statistic(ten[0][torch.randint(m, (m,), generator=dice)]) for _ in range(cu.budget(60, 4))]
    width = checked_halves(statistic, ten[0], cu.budget(30, 4), dice)
    ax.plot(truth, np.zeros(10), "o", color="#777777")
    ax.plot(boot, np.ones(len(boot)), "o", color=cu.plots.PALETTE[1], alpha=0.4)
    ax.errorbar(one, 2, xerr=1.96 * width, fmt="o", capsize=6, color=cu.plots.PALETTE[0])
    ax.axvline(one, color=cu.plots.PALETTE[0], ls=":")
    ax.set_yticks([0, 1, 2], ["ten independent sets", "bootstrap of one set", "that set ± 1.96 spreads"])
    ax.set(ylim=(-0.5, 2.5), xlabel=name)
    widths = [checked_halves(statistic, part, cu.budget(10, 2), dice) for part in ten]
    missed = min(np.mean(np.array(boot) > one), np.mean(np.array(boot) < one))
    print(f"{name}: the set has {one:.3f}; ten sets scatter by {np.std(truth, ddof=1):.3f}, halves of the one set by {width:.3f} (of each of the ten: {min(widths):.3f} to {max(widths):.3f}, mean {np.mean(widths):.3f}); bootstrap {np.mean(boot):.3f} ± {np.std(boot, ddof=1):.3f}, {missed:.0%} of it on the other side of the estimate")
cu.show(fig, f"Real validation digits in sets of {m}: the scores of ten independent sets, sixty bootstrap samples of one set, and that set with the interval from its halves.")

# %% [markdown]
# The bootstrap of the distance lies around 3.5 where the set itself has 2.1: biased away from its own estimate, as announced, and by about as much: the second payment is $c/n\approx800/500=1.6$. One resample of sixty is on the other side; of recall's, none. The halves are centred by construction. Their width is right for recall (0.011 on average, where ten sets scatter by 0.008) and *too wide* for the distance (0.95 for 0.35): so near to the floor the distance is not nearly a mean but mostly squared noise, of which halves have twice as much. Too wide is the side on which an error bar should err. Below the table stand the scatter of independent sets and that of halves, side by side, for nine entries: within a factor of two, except for one.
#
# **Time.** Steps times seconds per step is the training cost, seconds per 1,000 samples the price of use. Times from different machines or days mean nothing side by side, so all were measured in *one* run, in CPU seconds of one core, with the lessons' own code, and stand on the card `07_arena`, together with the distances of independent sets of samples. Here we only repeat two of them, to see what your machine makes of it.

# %%
def time_all(names):
    """Seconds per 1,000 samples and per training step, numbers to store, and distances of fresh, independent sets."""
    figures = {}
    for name in names:
        entrant = arena.rebuild(name)
        if entrant is None:
            continue
        with arena.one_thread():
            fit = arena.seconds(entrant.fit) if entrant.fit else 0.0
            draw, step = arena.per_unit(entrant.sample, cu.budget(2_000, 1)), arena.per_unit(entrant.train, cu.budget(20, 1, 100))
        stock = torch.from_numpy(runs[name].samples).split(N) if len(runs[name].samples) >= 5 * N else []  # slow samplers: the thousands that were shipped
        sets = [entrant.sample(N) for _ in range(5)] if cu.budget(False, False, draw < 0.03) else cu.budget([], [], stock[:5])
        fresh_sets = [np.mean(distances(cu.metrics.features(x), N, 10)) for x in sets]
        found = {"seconds per 1,000": 1_000 * draw, "seconds per step": step, "steps": entrant.steps, "fit": fit, "parameters": entrant.parameters}
        if fresh_sets:
            found |= {"distance of independent sets": np.mean(fresh_sets), "their standard deviation": np.std(fresh_sets, ddof=1), "independent sets": len(fresh_sets)}
        figures |= {f"{name}: {key}": (float(value), 0.5 * float(value)) for key, value in found.items()}
    return figures


timed = time_all(cu.budget(["00_pixels", "04_vae"], ["00_pixels"], list(runs)))
own = cu.save_run("07_arena", what="seconds per step and per 1,000 samples of every entry, one core, one run", figures=timed)
card = (cu.runs.available("07_arena") or [own])[0]


def cost(name, key):
    """A figure on the card of the arena, or None where it has not been measured."""
    return card.card["figures"].get(f"{name}: {key}", {}).get("value")


machine = card.card["device"].replace(" 1 threads", " 1 thread")
for name in ("00_pixels", "04_vae"):
    if f"{name}: seconds per step" in timed and cost(name, "seconds per step"):
        print(f"{name}: {1e3 * timed[f'{name}: seconds per step'][0]:.0f} ms a step here, {1e3 * cost(name, 'seconds per step'):.0f} on the card ({machine})")

# %% [markdown]
# Likelihoods stand in two columns that are never merged: **nats** on dynamically binarised test digits, **bits per dimension** on dequantised ones. Each is *exact*, a *bound* (the truth is lower), *undefined* (means of a decoder and outputs of a GAN have no density) or *not measured* (a diffusion model has a bound, lesson 06). A dash: the model has a density for the other kind of data only, or nobody told us.
#
# A late entry, too: somebody has handed in 1,000 images as `mystery`, without saying how they were made. **Bet** now: who is champion?

# %% slideshow={"slide_type": "slide"}
ink = (torch.bernoulli(test.float() / 255, generator=torch.Generator().manual_seed(4)) > 0).double().flatten(1)  # lesson 04's binarisation
theta = ((archive > 0.5).sum(0) + 1) / (len(archive) + 2)
log_ink = (ink * theta.log() + (1 - ink) * torch.log1p(-theta)).sum(1)
NATS = {"00_pixels": (-log_ink.mean().item(), "exact")}
NATS |= {name: (runs[name].figure("IW-500, 10,000 test images"), "bound") for name in ("04_vae",) if name in runs}
UNKNOWN = dict.fromkeys(("05_gan", "03_ae_mixture", "04_vae_means"), "undefined") | dict.fromkeys(("06_diffusion", "06_ddim", "06_ancestral"), "not measured")
BITS = {"00_gaussian": (bits(log_gauss), "exact"), "02_mixture": (bits(log_p), "exact")}


def enter(images, features=None, seconds=None, device=None):
    """Judge images uint8 (n, 28, 28): the jury's scores, the Fréchet ratio, and their spreads over halves."""
    if len(images) < N:
        raise ValueError(f"The arena compares at n = {N:,}; these are {len(images):,} images.")
    images, features = images[:N], cu.metrics.features(images[:N]) if features is None else features[:N]
    row = measure(images, features) | {"Fréchet": np.mean(distances(features, N))}
    some, repeats = real[judges[:N]], cu.budget(20, 3)
    covered = torch.cdist(some, features) < torch.cdist(some, some).kthvalue(6, dim=1).values[:, None]  # (real, fake)
    wide = {"Fréchet": checked_halves(lambda x: checked_frechet(x, real[judges]), features, repeats, dice),
            "coverage": checked_halves(lambda x: x.any(0).double().mean(), covered.T, repeats, dice)}  # fmt: skip
    return row | {"ratio": row["Fréchet"] / base, "spread": wide, "seconds per 1,000": seconds, "device": device if seconds else None}


board = {name: enter(images, f[name], cost(name, "seconds per 1,000"), machine) for name, images in samples.items()}
board["mystery"] = enter(arena.mystery(N))

# %% slideshow={"slide_type": "slide"}
def told(name, numbers):
    """A likelihood with its kind, or why there is none."""
    return f"{numbers[name][0]:.2f} ({numbers[name][1]})" if name in numbers else UNKNOWN.get(name, "–")


def table_by(metric):
    """The whole board, sorted by one of its metrics (best first)."""
    rows = []
    for name in sorted(board, key=lambda name: -BETTER[metric] * board[name][metric]):
        row, steps, step = board[name], cost(name, "steps"), cost(name, "seconds per step")
        kind = runs[name].card["samples"]["kind"] if name in runs else "–"
        rows.append([f"`{name}`", kind, f"{row['Fréchet']:.2f} ± {1.96 * row['spread']['Fréchet']:.2f}", row["ratio"], f"{row['coverage']:.2f} ± {1.96 * row['spread']['coverage']:.2f}", f"{row['precision']:.2f}", f"{row['recall']:.2f}",
                     told(name, NATS), told(name, BITS), int(cost(name, "parameters") or 0) or None, f"{steps:,.0f} × {step:.3g} s = {(steps * step + cost(name, 'fit')) / 60:.1f} min" if steps else "–",
                     f"{row['seconds per 1,000']:.3g}" if row["seconds per 1,000"] else "–", row["device"] or "–"])  # fmt: skip
    cu.table(rows, ["entry", "samples are", "Fréchet", "÷ floor", "coverage", "precision", "recall", "nats, binarised", "bits/dim", "numbers to draw", "training", "s per 1,000", "device"],
             f"n = {N:,}; ±: 95 % interval from halves; floor {base:.2f}. Sorted by {metric}.", digits=2)  # fmt: skip


table_by("Fréchet")
for name in samples:
    if cost(name, "independent sets"):
        print(f"{name}: {cost(name, 'independent sets'):.0f} independent sets {cost(name, 'distance of independent sets'):.2f} ± {cost(name, 'their standard deviation'):.2f}; shipped set {board[name]['Fréchet']:.2f} ± {board[name]['spread']['Fréchet']:.2f} by halves")

# %% [markdown]
# Read it before you sort it. The GAN and the diffusion model lead, 1.07 ± 0.60 and 1.85 ± 0.75: their intervals overlap, so a thousand images do not say which is better. Five times a thousand say a little (1.68 ± 0.36 and 2.53 ± 0.67, printed), and 5,000 at once decide it: on their cards the two have ratios of 2.6 and 5.7. By recall the GAN leads (0.98 and 0.97), by precision and coverage diffusion (0.91 against 0.86, 0.95 against 0.91): the GAN has more range and more misshapes. The three diffusion rows are *one* network: what separates 1.85 from 5.31 is the sampler, and a thousand ancestral steps, 1,910 seconds, end behind fifty. The VAE's two rows differ by coin tosses only. And the entries of lessons 00 and 02, which the likelihood columns call exact, stand at the bottom.
#
# **Turn the metric selector** (`table_by("recall")` sorts the table). Who is on top by Fréchet, who by precision, who by "trained on it"? Who falls the deepest?

# %% slideshow={"slide_type": "slide"}
def draw_ranking(metric):
    """Every entry by one metric, best on top; the grey line is real digits."""
    fig, ax = plt.subplots(figsize=(8.5, 0.9 + 0.42 * len(board)), layout="constrained")
    ranked = sorted(board, key=lambda name: -BETTER[metric] * board[name][metric])
    for i, name in enumerate(ranked):
        wide = 1.96 * board[name]["spread"].get(metric, 0)
        colour = cu.plots.PALETTE[1] if name not in samples else cu.plots.PALETTE[0]
        ax.errorbar(board[name][metric], i, xerr=wide or None, fmt="o", ms=10, capsize=5, color=colour)
        ax.annotate(f"{board[name][metric]:.3g}", (board[name][metric], i), (0, 9), textcoords="offset points", ha="center", fontsize=9)
    ax.axvline(centre[metric], color="#777777", lw=2)
    ax.set_yticks(range(len(ranked)), ranked)
    ax.set(ylim=(len(ranked) - 0.5, -0.7), xlabel=f"{metric} (grey: real digits, {centre[metric]:.3g})", xscale="log" if metric == "Fréchet" else "symlog" if metric == "KID" else "linear")
    return fig


def five_rankings():
    """The picture without a kernel: the order of all entries by five metrics."""
    keys, (fig, ax) = ("Fréchet", "precision", "recall", "coverage", "trained on it"), plt.subplots(figsize=(11, 0.6 + 0.36 * len(board)), layout="constrained")
    places = {key: sorted(board, key=lambda name, key=key: -BETTER[key] * board[name][key]) for key in keys}
    for name, colour in zip(board, INKS):
        ax.plot(range(5), [places[key].index(name) for key in keys], "o-", color=colour, lw=2)
        ax.text(-0.06, places["Fréchet"].index(name), name, ha="right", va="center", color=colour, fontsize=11)
        ax.text(4.06, places["trained on it"].index(name), name, ha="left", va="center", color=colour, fontsize=11)
    ax.set_xticks(range(5), keys)
    ax.set(xlim=(-1.0, 5.0), ylim=(len(board) - 0.5, -0.5), yticks=[], title="No two metrics give the same order")
    ax.grid(False)
    return fig


cu.explore(draw_ranking, "All entries by one metric, best on top. Without a kernel: their order by five metrics, best on top, a line for each entry.", metric=list(BETTER), static=five_rankings)
champions = {key: max(board, key=lambda name, key=key: BETTER[key] * board[name][key]) for key in BETTER}
print("; ".join(f"{key}: {name}" for key, name in champions.items() if key != "too near"))

# %% [markdown]
# `mystery` leads by Fréchet, precision, coverage and as food for a pupil; by recall it is sixth with 0.94, behind the GAN (0.98) and even the VAE's means (0.95), which are 26 floors away: recall rewards spread (section 2). Among the models `03_ae_mixture` falls the deepest, from first by precision (0.91) to last but three by recall (0.71). The champion by one column may be sixth by the next; only the lower end holds still.
#
# Who is `mystery`? Put its images beside their nearest training digits.

# %% slideshow={"slide_type": "slide"}
suspects = ["mystery", sorted(samples, key=lambda name: board[name]["Fréchet"])[0]]
pictures = [(arena.mystery(N) if name == "mystery" else samples[name])[:14] for name in suspects]
found = [nearest(images) for images in pictures]
neighbours = [(archive[index] * 255).byte().view(-1, 28, 28) for _, index in found]
ax = cu.plots.image_grid(torch.cat([pictures[0], neighbours[0], pictures[1], neighbours[1]]), rows=4, row_titles=["mystery", "nearest", suspects[1], "nearest"])
cu.show(ax.figure, "Fourteen images of the mystery entry and of the best entry without a secret, each above its nearest training digit.")
print(f"median distance: {found[0].values.median():.2f} and {found[1].values.median():.2f}; unseen digits {unseen.median():.2f}")
board.pop("mystery", None)

# %% [markdown]
# It is the training set, in random order. It tops the board of the Fréchet distance, honestly: nothing in (2) asks where images come from.
#
# **One picture for a decision.** Quality against the time of drawing. An entry on the **Pareto front** is one that no other beats on both. **Predict** who is on it.

# %% slideshow={"slide_type": "slide"}
def pareto(board):
    """Fréchet ratio against seconds per 1,000 samples, with the front of entries that nobody beats on both."""
    placed = {name: (row["seconds per 1,000"], row["ratio"]) for name, row in board.items() if row["seconds per 1,000"]}  # those that were timed
    front = [name for name, (s, r) in placed.items() if not any(a <= s and b <= r and (a, b) != (s, r) for a, b in placed.values())]
    front.sort(key=placed.get)
    fig, ax = plt.subplots(figsize=(9, 4.6), layout="constrained")
    steps = np.array([placed[name] for name in front])
    ax.step([*steps[:, 0], 10 * max(s for s, _ in placed.values())], [*steps[:, 1], steps[-1, 1]], where="post", color="#999999", lw=2, label="Pareto front")
    ax.fill_between([*steps[:, 0], 10 * max(s for s, _ in placed.values())], [*steps[:, 1], steps[-1, 1]], 1e5, step="post", color="#E8E8E8", lw=0, zorder=0)
    for name, (s, r) in placed.items():
        ax.plot(s, r, "o", ms=12, color=cu.plots.PALETTE[0] if name in samples else cu.plots.PALETTE[1], mfc=None if name in front else "white", mew=2)
        wide = 1.96 * board[name]["spread"]["Fréchet"] / base
        ax.errorbar(s, r, [[min(wide, 0.9 * r)], [wide]], color="#777777", zorder=0)
        ax.annotate(name, (s, r), {"00_gaussian": (0, 13), "02_mixture": (11, -14)}.get(name, (11, 5)), textcoords="offset points", fontsize=12)
    ax.axhline(1, color="black", ls=":")
    ax.annotate("real digits", (min(s for s, _ in placed.values()), 1), (0, 4), textcoords="offset points")
    ax.set(xscale="log", yscale="log", xlabel=f"seconds per 1,000 samples ({machine})", ylabel="Fréchet distance ÷ floor", ylim=(0.7, 3e3), title="Down is better, left is faster: one pass beats fifty")
    ax.legend(loc="upper right")
    return fig, front


fig, front = pareto(board)
cu.show(fig, f"Fréchet ratio at n = {N:,} against CPU seconds per 1,000 samples. Lines: 95 % intervals. Filled: on the front. Shaded: beaten on both counts by an entry of the front.")
print("on the front:", ", ".join(f"{name} (ratio {board[name]['ratio']:.1f}, {board[name]['seconds per 1,000']:.3g} s)" for name in front))

# %% [markdown]
# Read it from the left for a deadline, from below for quality. Three entries are on the front: independent pixels (the fastest, 968 floors), the autoencoder's mixture (9.6 floors, 7 ms a thousand) and the GAN (1.2 floors, 0.19 s). Diffusion is in the shade: 86 seconds for 2.1 floors, 450 times the GAN's time. What it is bought for is not in this picture (lesson 06, sections 7 and 8). Everything in the shade is beaten on both counts by somebody. A front is a list of honest choices; which point of it is "best" is not a question about models.
#
# ## 6 · VAE, GAN, diffusion *(deeper)*
#
# The three families side by side. Every entry is a number from a card or from this notebook, with its place; a dash is a run that this copy of the course does not have yet. **Sharpness** is measured here: mean change from pixel to pixel, divided by mean ink. It is not "the more the better": blur has too little, speckle too much, and the entry is the ratio to real digits, best at 1. For the VAE it stands twice, for draws and for the decoder's means.

# %%
def sharpness(x):
    """Mean absolute difference between neighbouring pixels over mean ink, for images uint8 (n, 28, 28)."""
    x = x.float()
    return ((x.diff(dim=1).abs().mean() + x.diff(dim=2).abs().mean()) / x.mean()).item()


every = {run.name: run for run in cu.runs.available()}


def say(template, name, *figures):
    """Fill a template with figures of a run's card, or return a dash if the run or a figure is not there."""
    values = [every[name].card["figures"].get(key, {}).get("value") for key in figures] if name in every else [None]
    return "–" if None in values else template.format(*values, card=every[name].card)


def final(name, key):
    """The last of a run's figures "key after STEP", or a dash."""
    found = {int(entry.rsplit(" ", 1)[1]): each["value"] for entry, each in (every[name].card["figures"] if name in every else {}).items() if entry.startswith(f"{key} after")}
    return f"{found[max(found)]:.2f}" if found else "–"


def here(template, names, key):
    """Fill a template with this lesson's measurements of several entries."""
    values = [key(name) for name in names if name in board]
    return template.format(*values) if len(values) == len(names) and None not in values else "–"


# %%
SHARP = sharpness(test)
TRIO = [["04_vae", "04_vae_means"], ["05_gan"], ["06_diffusion"]]
both = lambda template: [here(template[i], names, template[3]) for i, names in enumerate(TRIO)]  # noqa: E731
variants = {name: run for name, run in every.items() if name.startswith("05_") and "ratio" in run.card["figures"] and run.card["steps"] == 1_000}
table = [
    ["structure: numbers stored to draw", *(here("{:,.0f}", names[:1], lambda name: cost(name, "parameters")) for names in TRIO), "07_arena"],
    ["operation: network passes an image", "1", "1" if "05_gan" in every else "–", "50 (or 1,000: ancestral)" if "06_diffusion" in every else "–", "§5; 04, 05, 06"],
    ["loss", say("−ELBO, {:.1f} nats", "04_vae", "minus ELBO, validation"), "D {} and G {} nats; a shrug is 1.39 and 0.69".format(final("05_gan", "loss of D"), final("05_gan", "loss of G")), "mean squared error of v" if "06_diffusion" in every else "–", "cards; 05 §8"],
    ["likelihood", say("≤ {:.2f} nats (bound, S = 500)", "04_vae", "IW-500, 10,000 test images"), "undefined", "a bound exists; not measured here", "04 §8"],
    ["stability", say("code dies at a bad price: {:.2f} nats of rate", "04_collapse", "rate, collapsed"),
     f"after 1,000 steps a ratio (n = 5,000) from {min(v.figure('ratio') for v in variants.values()):.0f} to {max(v.figure('ratio') for v in variants.values()):,.0f}, by recipe ({len(variants)} tried)" if variants else "–",
     say("ratio (n = 1,000) of raw weights {:.1f}, averaged {:.1f}", "06_diffusion", "Fréchet ratio, raw weights, n = 1000", "Fréchet ratio, EMA weights, n = 1000"), "04_collapse, 05_*, 06_diffusion"],
    ["latent space", "32 numbers, with an encoder", "64 numbers, no encoder" if "05_gan" in every else "–", "784 numbers; DDIM is the decoder" if "06_diffusion" in every else "–", "04 §5, 05 §7, 06 §6"],
    ["quality: Fréchet ÷ floor", *both(["{:.1f} (draws), {:.1f} (means)", "{:.1f}", "{:.1f}", lambda name: board[name]["ratio"]]), "§5"],
    ["coverage (real digits " + f"{centre['coverage']:.2f})", *both(["{:.2f}, {:.2f}", "{:.2f}", "{:.2f}", lambda name: board[name]["coverage"]]), "§5"],
    ["sharpness ÷ real digits'", *both(["{:.2f}, {:.2f}", "{:.2f}", "{:.2f}", lambda name: sharpness(samples[name]) / SHARP]), "§6"],
    ["speed: s per 1,000 samples", *both(["{:.2g}, {:.2g}", "{:.2g}", "{:.3g}", lambda name: cost(name, "seconds per 1,000")]), "07_arena"],
    ["training: minutes of one core", *(here("{:.0f}", names[:1], lambda name: cost(name, "steps") and cost(name, "steps") * cost(name, "seconds per step") / 60) for names in TRIO), "07_arena"],
    ["use: first choice for", "missing pixels and likelihoods, with one model", here("a thousand pictures in {:.2g} s", ["05_gan"], lambda name: cost(name, "seconds per 1,000")),
     "repairing and steering given pictures" if "06_diffusion" in every else "–", "04 §8 and §10, 05 §11, 06 §8"],
]  # fmt: skip
cu.table(table, ["", "VAE", "GAN", "diffusion", "where"], "Every entry is a measurement of this course, or a dash until its run ships.")

# %% [markdown]
# Read along the rows and ask which differences are those of the *family* and which those of *our* effort. Of our effort: the sizes (83 thousand numbers, 284 thousand, 1.3 million), the minutes of training (41, 31, 78), and that the VAE's draws are judged with coin tosses in every pixel: 31 % too rough, where its means are 6 % too smooth and GAN and diffusion within 3 % of real digits. Of the family: one pass or many; a likelihood, a bound or none; an encoder or none; a loss that says when to stop, or one that does not.
#
# ## 7 · Choose for a job *(homework)*
#
# For each brief name a model of this course, the metric that decides, and the one number that would change your mind. Half a page each; there are several right answers, and no right answer without a number.
#
# 1. **Anomaly detection in a plant.** Ten thousand pictures of good welds, three of bad ones.
# 2. **Faces for a game.** Ten thousand minor characters, drawn once, before release.
# 3. **Missing answers in a survey.** A third of the cells are empty; afterwards somebody fits a regression.
# 4. **A keyboard on a phone.** A picture in 10 ms, without a GPU.
# 5. **Compression.** An archive of scanned forms, to be read in fifty years.
# 6. **A rare class.** Forty examples of one defect, forty thousand of the others; a classifier is to be trained.
#
# <details><summary>Notes (argue first)</summary>
#
# 1. *Not the best picture, a usable score.* A density, or a bound (mixture, VAE); but lesson 04 saw a held-out 1 score as *more* normal than normal. Decides: AUROC on the three bad welds and on made-up defects. Changes the mind: AUROC below 0.5 for simple defects; then a likelihood ratio or a reconstruction.
# 2. *Time hardly counts, variety does.* Diffusion or a GAN; decides: coverage and recall, then people (section 1). Too near a training face is a legal matter: section 4 before release.
# 3. *Draws, not best guesses*, or the regression becomes too sure (lesson 00, section 5). Exact conditionals of a mixture (lesson 02), or the VAE with Metropolis. Decides: are 90 % intervals right 90 % of the time on hidden cells? Not Fréchet.
# 4. *The budget decides first:* read the Pareto picture from the left. GAN or the decoder of a VAE; a diffusion model in fifty passes is out, until lesson 14.
# 5. *A likelihood is a code length*: bits per dimension, exact or a bound that a coder can reach. Samples do not matter at all. And a format that still has a reader in fifty years: a published standard may beat all of us.
# 6. *The metric is the purpose:* train on it, test on real (section 2). A conditional VAE or diffusion, started from the large classes. Blind spot in the matrix: that score praised or overlooked several faulty generators, so look at "too near", too: forty examples are easily learned by heart.
#
# </details>
#
# ## 8 · Enter your own model
#
# Five lines. Any function that returns $n$ images will do; here lesson 01's idea, one Gaussian a class, on 40 principal components. To keep an entry, `cu.save_run("my_model", what="…", samples=images, figures={"seconds per 1,000": (seconds, seconds)})`: every run of yours whose name begins with `my_` competes when the notebook is run again. Its time is your machine's; compare it with the two entries that were timed again above, not with the card.

# %%
labels, middle = mnist.train.y[: len(archive)], archive.mean(0)
axes40 = torch.linalg.eigh((archive - middle).T @ (archive - middle)).eigenvectors[:, -40:]  # (784, 40)
z = (archive - middle) @ axes40
means = torch.stack([z[labels == digit].mean(0) for digit in range(10)])  # (10, 40)
roots = torch.stack([torch.linalg.cholesky(z[labels == digit].T.cov()) for digit in range(10)])  # (10, 40, 40)


def my_sampler(n, means=means, roots=roots):
    """n images uint8 (n, 28, 28) from ten Gaussians, one a class. Replace me."""
    k = torch.randint(len(means), (n,), generator=dice)
    drawn = means[k] + torch.einsum("nij,nj->ni", roots[k], torch.randn(n, 40, generator=dice))
    return cu.to_uint8((middle + drawn @ axes40.T).clamp(0, 1)).view(-1, 28, 28)


only_one = my_sampler(N, z.mean(0)[None], torch.linalg.cholesky(z.T.cov())[None])
print(f"one Gaussian on these 40 components: Fréchet distance {np.mean(distances(cu.metrics.features(only_one), N)):.0f}, ratio {np.mean(distances(cu.metrics.features(only_one), N)) / base:.0f}")

# %% slideshow={"slide_type": "slide"}
for run in cu.runs.available(samples=True, own=True):  # entries that you have kept
    if run.own and run.name.startswith("my_"):
        kept_time = run.card["figures"].get("seconds per 1,000", {}).get("value")
        board[run.name] = enter(torch.from_numpy(run.samples), seconds=kept_time, device=run.card["device"])
images = my_sampler(N)  # 1
with arena.one_thread():
    seconds = 1_000 * arena.per_unit(my_sampler, cu.budget(2_000, 1))  # 2
board["mine"] = enter(images, seconds=seconds, device=own.card["device"])  # 3
table_by("Fréchet")  # 4
cu.show(pareto(board)[0], "The Pareto picture again, with the new entry in vermilion.")  # 5
print(f"mine: ratio {board['mine']['ratio']:.1f}, place {sorted(board, key=lambda name: board[name]['ratio']).index('mine') + 1} of {len(board)}; coverage {board['mine']['coverage']:.2f}; too near {board['mine']['too near']:.1%}")

# %% [markdown]
# Two changes, told apart by the printed control: forty components in place of 784 pixels bring `00_gaussian` from 322 to 251, and ten Gaussians in place of one to 162, a ratio of 186. One centre a class is not enough, which is where lesson 02 began.
#
# ### Beat the arena, uselessly
#
# **Exercise 4.** Win one column with a generator that is good for nothing. *Density* counts in how many balls of real points a fake lies, divided by $k$, and nothing keeps it below 1. Given the features of real digits and of candidates (training digits), return the indices of the $n$ images to hand in for the highest density that candidates can reach.

# %% tags=["exercise"]
def densest(real, candidates, k, n):
    """Indices int64 (n,) into candidates (M, d) with the highest density against real (N, d), balls to the k-th other."""
    ### BEGIN SOLUTION
    radii = torch.cdist(real, real).kthvalue(k + 1, dim=1).values  # (N,)
    balls = (torch.cdist(candidates, real) < radii).sum(1)  # (M,): in how many balls each candidate lies
    return balls.argmax().repeat(n)
    ### END SOLUTION


# %%
checked_densest = cu.check("07.densest", densest)
picked = checked_densest(cu.metrics.features(val[:N]), shelved, 5, N)
trick = measure(train[picked], shelved[picked])
best = {key: max(row[key] for row in board.values()) for key in ("density", "precision")}
print(f"{len(picked.unique())} image, {N:,} times: density {trick['density']:.2f} (real digits {centre['density']:.2f}, best model {best['density']:.2f}), precision {trick['precision']:.2f} (best model {best['precision']:.2f})")
print(f"its other scores: Fréchet {trick['Fréchet']:.0f}, recall {trick['recall']:.2f}, coverage {trick['coverage']:.2f}, classifier score {trick['classifier score']:.2f}")

# %% [markdown]
# One image, a thousand times, has three times the density of real digits and a precision of 1.00. It wins two columns of the arena outright and is good for nothing: recall 0, coverage 0.01, a classifier score of 1.00, the least there is.
#
# ## Recap
#
# - *The human game:* pooled by codes, with Wilson's interval; a person sees one image, never the set (1).
# - *Fréchet:* falls with $n$ for everybody; real digits at $n=50$ lose to models at 1,000 (2).
# - *Precision and recall* say which half is wrong; recall can be bought by spread, precision by repetition (2, 3).
# - *The matrix:* ten stamps beat a trained model by Fréchet distance; a silent copier takes a question of its own (3, 4).
# - *Likelihood:* half garbage costs at most $\log2$, and cost 0.65 of 555 nats; a copier has nearly perfect draws and 48 bits per dimension (3).
# - *Error bars:* a bootstrap pays the bias twice; halves without replacement do not (5).
# - *Choosing:* name the job, then the metric, then the model (5 to 7).
#
# **What breaks, and why.** Every metric compares a sketch of the data, two moments, some balls, a few labels, and whatever leaves the sketch alone passes. And a metric that becomes the goal is no longer a metric: whoever is paid by the Fréchet distance will find the training set.
#
# **References.** L. Theis, A. van den Oord and M. Bethge, *A note on the evaluation of generative models*, 2016 · M. Heusel et al., *GANs trained by a two time-scale update rule*, 2017 (the FID) · T. Salimans et al., *Improved techniques for training GANs*, 2016 (the Inception Score) · T. Kynkäänniemi et al., *Improved precision and recall metric*, 2019 · M. Naeem et al., *Reliable fidelity and diversity metrics*, 2020 · M. Bińkowski et al., *Demystifying MMD GANs*, 2018 (KID, and the bias of FID) · S. Ravuri and O. Vinyals, *Classification accuracy score*, 2019 · E. Wilson, *Probable inference*, 1927.
#
# **What is still missing.** All entries of the arena saw a digit as one thing, drawn at once or in steps over the whole page. Part II asks for other handles: one pixel after the other, with an exact likelihood *and* sharp draws (lesson 09), or a map that can be run backwards (lesson 10). The arena stays open.
