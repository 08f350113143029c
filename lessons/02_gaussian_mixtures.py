# %% [markdown]
# # 02 Gaussian mixtures
#
# **Simple pieces and a hidden choice make a density that no single piece could.**
#
# A loaded die picks one of a few Gaussians, and the Gaussian draws the point: that is the whole model.
# Nobody records what the die showed.
# This lesson recovers it, with an algorithm that never takes a step down, and then shows how that promise can be worthless.
# Its sequel, 02b, does the same with images.
#
# **After this lesson you can**
# - write a mixture density and draw from it;
# - compute by Bayes' rule, in log-space, which component made a point;
# - say which distance maximum likelihood minimises, and what another distance would do;
# - derive EM from the bound, log-likelihood = ELBO + KL, and say why it never falls;
# - make it fail, in two ways, and repair it.
#
# **Builds on** 01 (Bayes' rule, log-sum-exp) and the [toolbox](A_toolbox.ipynb): Cards 3 (log-sum-exp), 4 (Gaussians), 5 (KL).
#
# | letter | meaning | letter | meaning |
# |---|---|---|---|
# | $x_n$ | point $n$ of $N$, in $d$ dimensions | $w_k$ | weight of component $k$ of $K$, $\sum_k w_k=1$ |
# | $k$ | latent: which component made the point | $\mu_k, \Sigma_k$ | mean and covariance of component $k$ |
# | $r_{nk}$ | responsibility $p(k\mid x_n)$ | $R_k$ | $\sum_n r_{nk}$: how many points component $k$ owns |
# | $p_\theta$ | the model, $\theta$ all its numbers | $q$ | any distribution that stands in for another |
# | $\mathcal N(x;\mu,\Sigma)$ | density of a Gaussian at $x$ | $\varepsilon$ | noise from $\mathcal N(0, I)$ |

# %% tags=["setup"]
import math
import warnings
from functools import cache

import matplotlib.colors
import matplotlib.pyplot as plt
import torch
from sklearn.mixture import GaussianMixture
from torch import nn
from torch.distributions import MultivariateNormal, kl_divergence

import course_utils as cu

device = cu.setup()

# %% [markdown]
# ### What you will have made
#
# The points on the left carry no labels.
# The middle shows what you will have found in them, the right what your model can then make.

# %% tags=["figure", "slide"]
# @title Figure: points, five hidden causes, and new points
ORDER = (0, 1, 2, 3, 5, 8, 9, 4, 6, 7)  # no two blues among the first five
SHADES = [cu.plots.CLASS_COLOURS[i] for i in ORDER]
RGB = torch.tensor(matplotlib.colors.to_rgba_array(SHADES)[:, :3])  # (10, 3)


def draw_mixture(ax, x, params, resp, title="", reach=3.6):
    """Points in the mixed colours of their responsibilities (N, K), and the 2-σ ellipses.

    Of more than 500 points every third one is drawn.
    """
    _, means, covs = params
    colours = (resp @ RGB[: resp.shape[1]]).clamp(0, 1)
    some = slice(None, None, 3 if len(x) > 500 else 1)
    cu.plots.scatter(x[some], ax=ax, c=colours[some].numpy(), s=12, alpha=1)
    for mean, cov, colour in zip(means, covs, SHADES):
        cu.plots.ellipse(mean, cov + 1e-6 * torch.eye(2), ax, edgecolor=colour)
    ax.set(xlim=(-reach, reach), ylim=(-reach, reach), title=title)


unlabelled = cu.pinwheel(1_000).double()
finder = GaussianMixture(5, random_state=0).fit(unlabelled.numpy())
found = (finder.weights_, finder.means_, finder.covariances_)
found = [torch.from_numpy(part) for part in found]
claims = torch.from_numpy(finder.predict_proba(unlabelled.numpy()))
made = torch.from_numpy(finder.sample(1_000)[0])
fig, axes = plt.subplots(1, 3, figsize=(13, 4.6), sharex=True, sharey=True)
cu.plots.scatter(unlabelled[::2], ax=axes[0], c="#888888", s=10).set_title(
    "Given: unlabelled points"
)
draw_mixture(axes[1], unlabelled, found, claims, "Found: five components")
cu.plots.scatter(made[::2], ax=axes[2], c="#333333", s=10).set_title("Made: new points")
axes[2].set(xlim=(-3.6, 3.6), ylim=(-3.6, 3.6))
cu.show(
    fig,
    "Unlabelled points; the five Gaussians that a mixture fits to 1,000, as 2-σ ellipses; "
    "new points drawn from it. Made with scikit-learn, until section 4 does it by hand.",
)

# %% [markdown]
# Five arms, five ellipses, and new points that could be taken for old ones, except where an arm bends.

# %% [markdown]
# ## 1 · A sum of simple pieces *(core)*
#
# A Gaussian has one peak.
# For data with several, add Gaussians up, each with a weight:
#
# $$p(x)=\sum_{k=1}^K w_k\,\mathcal N(x;\mu_k,\Sigma_k),\qquad w_k\ge0,\ \sum_k w_k=1. \tag{1}$$
#
# This is a **Gaussian mixture** with $K$ components.
# It integrates to one, because the integral of a sum is the sum of the integrals: $\sum_k w_k\cdot1=1$.
#
# One can also *multiply* densities, as Bayes' rule does with prior and likelihood; here are both, side by side.
# **Predict:** take pieces at $-2$ and $2$, with standard deviations 0.7 and 1.
# How many peaks has their sum with weights 0.6 and 0.4, how many has their product, and where?


# %%
grid = torch.linspace(-8, 8, 1601, dtype=torch.float64)
step = float(grid[1] - grid[0])


def bell(x, mean, std):
    """N(x; mean, std²) in 1-D, any shapes that broadcast."""
    return torch.exp(-0.5 * ((x - mean) / std) ** 2) / (std * math.sqrt(2 * math.pi))


first = bell(grid, -2, 0.7)
second = bell(grid, 2, 1)
mixture = 0.6 * first + 0.4 * second
product = first * second

# %% tags=["figure", "slide"]
# @title Figure: the sum and the product of two Gaussian pieces
fig, axes = plt.subplots(1, 2, figsize=(9.4, 3.6))
pictures = {"Sum: two peaks": mixture, "Product: one peak": product}
for ax, (title, y) in zip(axes, pictures.items()):
    ax.fill_between(grid, y, color="#cccccc", label=title.split(":")[0].lower())
    ax.set(xlabel="x", ylabel="value", xlim=(-5, 6), ylim=(0, None))
    ax.set_title(f"{title}, integral {y.sum() * step:.4f}")
for k, piece in enumerate((0.6 * first, 0.4 * second)):
    axes[0].plot(grid, piece, label=f"piece {k + 1}, weighted")
for k, piece in enumerate((first, second)):
    scaled = piece / piece.max() * product.max()
    axes[1].plot(grid, scaled, ":", alpha=0.8, label=f"piece {k + 1}, scaled to this height")
for ax, y in zip(axes, pictures.values()):
    ax.set_ylim(0, 1.5 * float(y.max()))
    ax.legend(fontsize=10.5, loc="upper right")
cu.show(
    fig,
    "Left: two weighted Gaussian pieces (lines) and their sum (grey). Right: the product of "
    "the two pieces (grey), on its own scale.",
)
peak = product.argmax()
cu.facts(
    {
        "integral of the sum": f"{mixture.sum() * step:.4f}",
        "integral of the product": product.sum() * step,
        "the product peaks at": grid[peak],
        "the mixture there": mixture[peak],
        "… divided by its highest value": mixture[peak] / mixture.max(),
    },
    digits=2,
)

# %% [markdown]
# The sum has both peaks.
# The product has one, at −0.68, where the mixture has less than a fifth of its highest value, and its integral is 0.0015.
# A product is small wherever *one* factor is small: **it says "both", the sum says "either".**
#
# The product is one Gaussian again, times a constant.
# In the exponent two parabolas add up to a parabola, and completing the square gives
#
# $$\begin{gathered}
# \mathcal N(x;\mu_1,\sigma_1^2)\,\mathcal N(x;\mu_2,\sigma_2^2)=\underbrace{\mathcal N(\mu_1;\mu_2,\sigma_1^2+\sigma_2^2)}_{\text{without }x}\,\mathcal N(x;m,s^2), \\
# \frac1{s^2}=\frac1{\sigma_1^2}+\frac1{\sigma_2^2},\qquad \frac m{s^2}=\frac{\mu_1}{\sigma_1^2}+\frac{\mu_2}{\sigma_2^2}.
# \end{gathered} \tag{2}$$
#
# Inverse variances (*precisions*) add, and the means are averaged with the precisions as weights.
# Lesson 06 will need it.

# %%
s2 = 1 / (1 / 0.7**2 + 1 / 1**2)  # equation (2)
m = s2 * (-2 / 0.7**2 + 2 / 1**2)
constant = bell(torch.tensor(-2.0).double(), 2, math.sqrt(0.7**2 + 1**2))
torch.testing.assert_close(product, constant * bell(grid, m, math.sqrt(s2)))

# %% [markdown]
# ## 2 · The hidden cause *(core)*
#
# A mixture tells a story about each point: first a die chose a component, then that component drew the point.
# The choice $k$ was never recorded.

# %% tags=["figure", "slide"]
# @title Figure: the story of one point, told downwards and read upwards
d = cu.diagram()
k_node = d.node("$k$", (0, 1.7))
x_node = d.node("$x$", (0, 0), observed=True)
d.arrow(d.dot("weights $w$", (-2.5, 1.7), side="above"), k_node)
shared = d.dot(r"means $\mu$, covariances $\Sigma$", (-2.5, 0), side="below")
d.arrow(shared, x_node)
d.arrow(k_node, x_node, bend=-0.25)
d.arrow(x_node, k_node, bend=-0.25, dashed=True)
d.text("draw", (-0.6, 0.85), colour="#555555")
d.text("infer", (0.6, 0.85), colour="#555555")
d.plate([k_node, x_node], "n = 1 … N", pad=0.72)
d.text("hidden: which component?", (1.35, 1.7), align="left")
d.text("seen: the point (shaded)", (1.35, 0), align="left")
cu.show(
    d.figure,
    "The mixture as a graphical model. Each of the N points x has a hidden cause k of its own; "
    "the weights, means and covariances are shared. Sampling goes down, Bayes' rule up.",
)

# %% [markdown]
# The arrow down is $p(x\mid k)$; times $p(k)$ it is the joint density, and (1) is what is left of it when the hidden choice is summed out:
#
# $$p(x)=\sum_k p(k)\,p(x\mid k),\qquad p(k)=w_k,\quad p(x\mid k)=\mathcal N(x;\mu_k,\Sigma_k).$$
#
# **Drawing** follows the story: choose $k$ with probabilities $w$, draw $x=\mu_k+L_k\varepsilon$, forget $k$.
# This is **ancestral sampling**; $L_k$ is the Cholesky factor of $\Sigma_k$ (Card 4), with $L_kL_k^\top=\Sigma_k$, so that $L_k\varepsilon$ has that covariance.
#
# **Exercise 1 (core).**
# Write the sampler.


# %% tags=["exercise"]
def sample_mixture(weights, means, covs, n, generator):
    """n draws by ancestral sampling: the points x (n, d) and their causes k (n,).

    weights (K,), means (K, d), covs (K, d, d). All random numbers come from `generator`.
    """
    ### BEGIN SOLUTION
    k = torch.multinomial(weights, n, replacement=True, generator=generator)
    eps = torch.randn(n, means.shape[1], generator=generator, dtype=means.dtype)
    L = torch.linalg.cholesky(covs)[k]  # (n, d, d): each point has the factor of its cause
    return means[k] + torch.einsum("nij,nj->ni", L, eps), k
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# `torch.multinomial(weights, n, replacement=True, generator=generator)` rolls the die $n$ times.
# With `k` as an index, `means[k]` is one mean for each point.
# A batch of matrices times a batch of vectors: `torch.einsum("nij,nj->ni", L[k], eps)`.

# %%
checked_sampler = cu.check("02.sample", sample_mixture)

# %% [markdown]
# A toy mixture of three components, and 600 draws from it.

# %%
toy_weights = torch.tensor([0.5, 0.3, 0.2]).double()
toy_means = torch.tensor([[-1.5, 0.0], [1.0, 0.8], [1.0, -1.0]]).double()
toy_covs = torch.tensor(
    [
        [[0.8, 0.5], [0.5, 0.6]],
        [[0.7, -0.4], [-0.4, 0.5]],
        [[0.4, 0.0], [0.0, 0.4]],
    ]
).double()
toy = (toy_weights, toy_means, toy_covs)
x_toy, k_toy = checked_sampler(*toy, n=600, generator=torch.Generator().manual_seed(0))

# %% [markdown]
# The other direction needs the density of every component at every point.
# It is the formula of Card 4 with a Cholesky factor, for all components at once, and it agrees with PyTorch's.


# %% tags=["shared"]
def log_gaussians(x, means, covs):
    """log N(x_n; μ_k, Σ_k), (N, K): x (N, d), means (K, d), covs (K, d, d)."""
    L = torch.linalg.cholesky(covs)  # (K, d, d); fails if a Σ_k is singular
    centred = (x[None] - means[:, None]).mT  # (K, d, N)
    u = torch.linalg.solve_triangular(L, centred, upper=False)  # (K, d, N)
    log_det = L.diagonal(dim1=1, dim2=2).log().sum(1)  # (K,): half of log|Σ_k|
    constant = 0.5 * x.shape[1] * math.log(2 * math.pi)
    return (-0.5 * u.square().sum(1) - log_det[:, None] - constant).T


# %%
trusted = MultivariateNormal(toy_means, toy_covs).log_prob(x_toy[:, None])  # (N, K)
torch.testing.assert_close(log_gaussians(x_toy, toy_means, toy_covs), trusted)

# %% [markdown]
# **Reading the story backwards** is Bayes' rule.
# The **responsibility** of component $k$ for point $n$ is the posterior probability that it was the cause:
#
# $$\begin{aligned}
# r_{nk}&=p(k\mid x_n)=\frac{w_k\,p(x_n\mid k)}{\sum_j w_j\,p(x_n\mid j)}, \\
# \log r_{nk}&=\log w_k+\log p(x_n\mid k)-\underbrace{\log\textstyle\sum_j e^{\log w_j+\log p(x_n\mid j)}}_{\log p(x_n)}.
# \end{aligned} \tag{3}$$
#
# The denominator is the density (1) itself.
# So one log-sum-exp (Card 3) gives both: how probable the point is, and which component is to be credited with it.
# Stay in log-space: on images the log-densities are hundreds of nats apart, and outside log-space, in float32, every density is 0 or ∞.
#
# **Exercise 2 (core).**
# Write (3).


# %% tags=["exercise"]
def responsibilities(log_weights, log_probs):
    """Equation (3): log w (K,) and log p(x_n | k) (N, K) → log r (N, K) and log p(x) (N,)."""
    ### BEGIN SOLUTION
    log_joint = log_weights + log_probs  # (N, K): log p(x_n, k)
    log_px = log_joint.logsumexp(1)  # (N,)
    return log_joint - log_px[:, None], log_px
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# Add first: `log_weights + log_probs` is the log of the joint, one row a point.
# Then sum each row out with `.logsumexp(1)`, and subtract the result from the row.
# It has shape (N,); `[:, None]` makes it a column.

# %%
checked_resp = cu.check("02.responsibilities", responsibilities)

log_r, log_px = checked_resp(toy_weights.log(), log_gaussians(x_toy, toy_means, toy_covs))

# %% [markdown]
# **Predict:** colour each point by its responsibilities.
# Where are the colours mixed, and does the likeliest component always agree with the one that made the point?

# %%
likeliest = log_r.argmax(1)  # (N,)
claimed = log_r.exp().max(1).values  # (N,): the probability that the likeliest is the cause

# %% tags=["figure", "slide"]
# @title Figure: 600 points as they are seen, drawn and inferred
fig, axes = plt.subplots(1, 3, figsize=(13, 4.6), sharex=True, sharey=True)
cu.plots.scatter(x_toy, ax=axes[0], c="#888888", s=14).set_title("Seen: x")
one_hot = nn.functional.one_hot(k_toy).double()
draw_mixture(axes[1], x_toy, toy, one_hot, "Drawn: k, then x")
draw_mixture(axes[2], x_toy, toy, log_r.exp(), "Inferred: p(k | x)")
cu.show(
    fig,
    "600 draws from a mixture of three Gaussians: without colour; every third one coloured by "
    "the hidden choice, and by the responsibilities. With 2-σ ellipses.",
)
cu.facts(
    {
        "points with no responsibility above 90 %": f"{(claimed < 0.9).double().mean():.0%}",
        "the likeliest is the true cause": f"{(likeliest == k_toy).double().mean():.1%}",
        "the responsibilities promise": f"{claimed.mean():.1%}",
        "points whose likeliest component is another": int((likeliest != k_toy).sum()),
    }
)

# %% [markdown]
# Colours are mixed where ellipses overlap: for 26 % of the points no component gets more than 90 %.
# The likeliest component is the true cause of 92.2 % of the points; the other 47, of which a third are drawn, change colour from the middle panel to the right one.
#
# That is no failure: the responsibilities announce this rate of errors, since their own largest values average 92.8 %.
# **When the model is true, it is right as often as it claims, on average.**
# Remember this comparison of *claimed* and *right*; lesson 02b makes it with a model that is wrong.

# %% [markdown]
# ## 3 · What fitting means *(core)*
#
# To fit is to choose $\theta$ so that the data become likely.
# For many points the mean log-likelihood tends to an expectation over $p_\text{data}$, which splits in two:
#
# $$\begin{aligned}
# \frac1N\sum_n\log p_\theta(x_n)\ &\to\ \mathbb E_{p_\text{data}}[\log p_\theta(x)] \\
# &=-\mathrm{KL}(p_\text{data}\,\|\,p_\theta)+\mathbb E_{p_\text{data}}[\log p_\text{data}(x)].
# \end{aligned} \tag{4}$$
#
# The last term does not contain $\theta$.
# So **maximum likelihood is minimum KL**, with the data in front (KL: Card 5).
# Other distances are possible, and they fail differently when the model is too simple.
#
# Let $p$ be two bumps, 60 % at $-2$ and 40 % at $2$, and let $q$ be *one* Gaussian.
# - **Forward**, $\mathrm{KL}(p\,\|\,q)=\int p\log\frac pq$: an average over data, so $q$ must not be small where data are.
# - **Reverse**, $\mathrm{KL}(q\,\|\,p)=\int q\log\frac qp$: an average over what the model makes, so $q$ must not be where no data are.
# - **Jensen–Shannon**, $\mathrm{JS}=\frac12\mathrm{KL}(p\,\|\,h)+\frac12\mathrm{KL}(q\,\|\,h)$ with $h=\frac12(p+q)$, half of each: symmetric, and never above $\log2$.
#
# The last two have no closed form, so we try every mean and width on a grid.
# **Predict** the three winners: between the bumps, or on one?


# %%
def kl_on_grid(a, b):
    """∫ a log(a/b) for densities on the grid, (..., G) → (...)."""
    return (torch.xlogy(a, a) - torch.xlogy(a, b.clamp(min=1e-300))).sum(-1) * step


def closest_gaussians(p):
    """The Gaussian nearest to p (G,): {distance: (its density, mean, std, value)}."""
    means = torch.linspace(-4.5, 4.5, cu.budget(91, 31))
    stds = torch.linspace(0.5, 4, cu.budget(36, 15))
    q = bell(grid, means[:, None, None], stds[:, None])  # (means, stds, G)
    h = 0.5 * (p + q)
    tried = {  # each (means, stds)
        "forward KL(p ‖ q)": kl_on_grid(p, q),
        "reverse KL(q ‖ p)": kl_on_grid(q, p),
        "Jensen–Shannon": 0.5 * kl_on_grid(p, h) + 0.5 * kl_on_grid(q, h),
    }
    best = {}
    for name, value in tried.items():
        i, j = divmod(int(value.argmin()), len(stds))
        best[name] = (q[i, j], float(means[i]), float(stds[j]), float(value[i, j]))
    return best


# %%
two_bumps = {}
closest = {}
for place in (2, 3):
    two_bumps[place] = 0.6 * bell(grid, -place, 0.7) + 0.4 * bell(grid, place, 0.7)
    closest[place] = closest_gaussians(two_bumps[place])

# %% tags=["figure", "slide"]
# @title Figure: the one Gaussian closest to two bumps
fig, axes = plt.subplots(1, 2, figsize=(7.4, 3.1), sharey=True)
rows = []
for ax, (place, p) in zip(axes, two_bumps.items()):
    ax.fill_between(grid, p, color="#cccccc", label="p, two bumps")
    for (name, (q, *numbers)), dash in zip(closest[place].items(), ("-", "-", "--")):
        ax.plot(grid, q, dash, label=name)
        rows.append([f"±{place}", name, *numbers])
    ax.set(xlabel="x", ylabel="density", xlim=(-7, 7), ylim=(0, 0.85))
    ax.set_title(f"Bumps at ±{place}")
axes[1].legend(fontsize=11)
cu.show(
    fig,
    "The one Gaussian closest to two bumps in forward KL, reverse KL and Jensen–Shannon "
    "divergence; left with the bumps at ±2, right at ±3.",
)
columns = ["bumps at", "distance", "mean of best q", "std of best q", "distance, nats"]
cu.table(rows, columns, digits=2)

# %% [markdown]
# **Forward KL covers.**
# It takes the mean and the standard deviation of $p$ itself, −0.40 and 2.1 for bumps at ±2, and puts its peak where $p$ has a valley.
# That is what maximum likelihood does with too simple a model, and why lesson 04 will see blur.
#
# **Reverse KL seeks.**
# It takes the heavier bump, width 0.70, and pays $\log(1/0.6)=0.51$ nats for the other, wherever that is.
# Generators of lesson 05 sometimes do the same.
#
# **Jensen–Shannon** is the surprise: at ±2 it covers (its curve lies on the forward one), at ±3 it has changed sides and seeks.
# It is bounded: missing the smaller bump costs 0.16 nats however far away that lies, so from some distance on missing is cheaper than stretching.

# %% [markdown]
# ## 4 · EM *(core)*
#
# Fitting is a chicken-and-egg problem.
# If we knew which component made each point, the means and covariances would be averages over groups.
# If we knew the means and covariances, Bayes' rule (3) would say which component made each point.
# **EM** alternates: a soft guess of the causes (E-step), then averages weighted by that guess (M-step).
# One picture shows why this climbs the likelihood.

# %% tags=["figure", "slide"]
# @title Figure: E closes the gap, M lifts both
d = cu.diagram()
BLUE = cu.plots.PALETTE[0]
ORANGE = cu.plots.PALETTE[3]
STAGES = {"start": (0.9, 1.8), "after E": (1.8, 1.8)}
STAGES |= {"after M": (2.35, 2.8), "after E again": (2.8, 2.8)}
for i, (name, (elbo, total)) in enumerate(STAGES.items()):
    across = 2.7 * i
    d.box("ELBO", (across, elbo / 2), width=1.1, height=elbo, colour=BLUE)
    if total > elbo:
        d.box("KL", (across, (elbo + total) / 2), width=1.1, height=total - elbo, colour=ORANGE)
    d.line((across - 0.75, total), (across + 0.75, total))
    d.text(r"$\log p_\theta(x)$", (across, total + 0.22))
    d.text(name, (across, -0.3))
for i, label in enumerate(("E: change q", "M: change θ", "E: change q")):
    d.arrow((2.7 * i + 0.7, 0.55), (2.7 * i + 2.0, 0.55), label)
cu.show(
    d.figure,
    "A cartoon of EM. The log-likelihood (line) is the ELBO (blue) plus a KL (orange). The "
    "E-step turns the KL into ELBO; the M-step lifts the ELBO, and the line with it.",
)

# %% [markdown]
# The line is what we want to lift.
# It is a sum of two parts: a lower bound, the **ELBO** (evidence lower bound), and a gap that is a KL divergence.
# The E-step changes only our guess $q$ of the causes: the line stays, the gap closes.
# The M-step changes only the parameters $\theta$, so that the ELBO rises: the line rises at least as much, for a gap cannot be negative.
#
# **Now the algebra.**
# Take any distribution $q(k)$ over the cause of one point.
# Write $p(x)=p(x,k)/p(k\mid x)$, which holds for every $k$; multiply and divide by $q(k)$; average the logarithm over $q$:
#
# $$\log p_\theta(x)=\underbrace{\sum_kq(k)\log\frac{p_\theta(x,k)}{q(k)}}_{\text{ELBO}(q,\theta)}+\underbrace{\sum_kq(k)\log\frac{q(k)}{p_\theta(k\mid x)}}_{\mathrm{KL}(q\,\|\,\text{posterior})\ \ge\ 0}. \tag{5}$$
#
# It is an equality, for every $q$, and it holds for sums over points as well, each with a $q_n$ of its own.
# - **E-step**, $\theta$ fixed: set $q$ to the posterior $p_\theta(k\mid x)$, the responsibilities (3).
#   The KL is then 0.
# - **M-step**, $q$ fixed: choose the $\theta'$ that maximises the ELBO.
#
# **Why it never falls**, in one chain:
#
# $$\log p_{\theta'}(x)\ \ge\ \text{ELBO}(q,\theta')\ \ge\ \text{ELBO}(q,\theta)\ =\ \log p_\theta(x).$$
#
# First a bound, then the M-step, then the E-step before it.
# There is no step size to choose.

# %% [markdown]
# **The M-step in closed form.**
# With the responsibilities fixed, the part of the ELBO that contains $\theta$ is $\sum_{nk}r_{nk}\bigl[\log w_k+\log\mathcal N(x_n;\mu_k,\Sigma_k)\bigr]$.
# The logarithm meets each Gaussian alone, so each has its own weighted maximum-likelihood problem.
# With $R_k=\sum_nr_{nk}$, the number of points that component $k$ owns,
#
# $$\begin{gathered}
# w_k=\frac{R_k}N,\qquad\mu_k=\frac1{R_k}\sum_nr_{nk}x_n, \\
# \Sigma_k=\frac1{R_k}\sum_nr_{nk}(x_n-\mu_k)(x_n-\mu_k)^\top:
# \end{gathered} \tag{6}$$
#
# a share, a mean and a covariance, as for labelled groups, except that a point may belong to a group by a fraction.
#
# <details><summary>The derivation of (6), line by line</summary>
#
# *Weights:* maximise $\sum_kR_k\log w_k$ subject to $\sum_kw_k=1$.
# With a Lagrange multiplier $\lambda$, the derivative is zero where $R_k/w_k=\lambda$ for all $k$; summing $R_k=\lambda w_k$ over $k$ gives $\lambda=N$.
#
# *Means:* the gradient in $\mu_k$ is $\Sigma_k^{-1}\sum_nr_{nk}(x_n-\mu_k)$, zero at the weighted mean.
#
# *Covariances:* call the weighted covariance on the right of (6) $S_k$.
# A number equals its own trace, and a trace does not change when its factors are permuted cyclically, so $\sum_nr_{nk}(x_n-\mu_k)^\top\Sigma_k^{-1}(x_n-\mu_k)=R_k\operatorname{tr}(\Sigma_k^{-1}S_k)$.
# What contains $\Sigma_k$ is therefore $-\frac{R_k}2\bigl[\log|\Sigma_k|+\operatorname{tr}(\Sigma_k^{-1}S_k)\bigr]$.
# Put $A=\Sigma_k^{-1}$; then $\log|\Sigma_k|=-\log|A|$.
# Two rules of matrix calculus, $\partial\log|A|/\partial A=A^{-1}$ and $\partial\operatorname{tr}(AS)/\partial A=S$ (symmetric $A$, $S$), give the derivative $\frac{R_k}2(A^{-1}-S_k)$, zero at $\Sigma_k=S_k$.
#
# </details>
#
# **Exercise 3 (core).**
# Write the first two of (6); the covariance follows in the cell after it.


# %% tags=["exercise"]
def weights_and_means(x, resp):
    """M-step, equation (6): x (N, d), responsibilities (N, K) → w (K,), μ (K, d)."""
    ### BEGIN SOLUTION
    owned = resp.sum(0)  # (K,): R_k
    return owned / len(x), resp.T @ x / owned[:, None]
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# $R_k$ is a sum over points: `resp.sum(0)`, shape (K,).
# The weighted sums of points are a matrix product, (K, N) times (N, d).

# %%
checked_wm = cu.check("02.m_step", weights_and_means)


# %% tags=["shared"]
def e_step(x, params):
    """Equation (3): log responsibilities (N, K) and log p(x) (N,); params = (w, μ, Σ)."""
    weights, means, covs = params
    return checked_resp(weights.log(), log_gaussians(x, means, covs))


def m_step(x, resp, floor=0.0):
    """Equation (6) → (w, μ, Σ); `floor` is added to the variances (0: maximum likelihood)."""
    weights, means = checked_wm(x, resp)
    centred = x[:, None] - means  # (N, K, d)
    owned = resp.sum(0)[:, None, None]  # (K, 1, 1)
    covs = torch.einsum("nk,nki,nkj->kij", resp, centred, centred) / owned
    return weights, means, covs + floor * torch.eye(x.shape[1], dtype=x.dtype)


# %% [markdown]
# **Exercise 4 (core, on paper).**
# Three points on a line, $x=0,\ 1,\ 3$, and two components, $\mathcal N(0,1)$ and $\mathcal N(2,1)$, each of weight ½.
# Do one E-step and one M-step for weights and means, with pencil and a pocket calculator.
#
# <details><summary>Step 1: a ratio</summary>
#
# Weights and normalising constants cancel: $r_{n1}/r_{n2}=\exp\bigl(-\tfrac12x_n^2+\tfrac12(x_n-2)^2\bigr)=e^{2-2x_n}$.
#
# </details>
# <details><summary>Step 2: the responsibilities</summary>
#
# Since $r_{n1}+r_{n2}=1$, $r_{n1}=1/(1+e^{2x_n-2})$: 0.881, 0.5 and 0.018.
#
# </details>
# <details><summary>Step 3: count and average</summary>
#
# $R_1=0.881+0.5+0.018$, which is 1.399, so $w_1=R_1/3$ is 0.466.
# $\mu_1=(0.881\cdot0+0.5\cdot1+0.018\cdot3)/R_1$ is 0.396; in the same way $\mu_2$ is 2.152.
#
# </details>
#
# The next cell does it with our two functions.

# %%
x_paper = torch.tensor([[0.0], [1.0], [3.0]]).double()
ones = torch.ones(2, 1, 1).double()
params = (torch.tensor([0.5, 0.5]).double(), torch.tensor([[0.0], [2.0]]).double(), ones)
resp = e_step(x_paper, params)[0].exp()
new_weights, new_means = checked_wm(x_paper, resp)
cu.facts(
    {
        "responsibilities of component 1": ", ".join(f"{r:.3f}" for r in resp[:, 0]),
        "points it owns": f"{resp[:, 0].sum():.3f}",
        "its new weight": f"{new_weights[0]:.3f}",
        "the new means": f"{new_means[0, 0]:.3f} and {new_means[1, 0]:.3f}",
    }
)

# %% [markdown]
# What is missing is a start, and the loop.


# %% tags=["shared"]
def start(x, K, seed):
    """Equal weights, K random data points as means, the covariance of all data for everyone."""
    pick = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))[:K]
    return torch.full((K,), 1 / K, dtype=x.dtype), x[pick], x.T.cov().repeat(K, 1, 1)


def em(x, params, steps, floor=0.0):
    """Run EM: the params after 0, 1, …, `steps` steps, and the mean log-likelihood of each."""
    path = []
    values = []
    for _ in range(steps + 1):
        try:
            log_r, log_px = e_step(x, params)
        except torch.linalg.LinAlgError:  # a covariance has become singular: see section 5
            break
        path.append(params)
        values.append(float(log_px.mean()))
        params = m_step(x, log_r.exp(), floor)
    return path, values


# %% [markdown]
# The data are the five twisted arms of `pinwheel`, in double precision, without labels.
# **Predict:** the five components start with one wide covariance and five different centres.
# What happens to five copies of one wide ellipse, and after how many of 60 steps is the picture settled?

# %%
x = cu.pinwheel(1_000).double()
path, values = em(x, start(x, 5, seed=0), steps=60)
gains = [after - before for before, after in zip(values, values[1:])]
assert min(gains) >= -1e-9, "EM without a floor never falls"

# %% tags=["figure", "slide"]
# @title Figure: one step of EM in halves, and where it leads
fig, axes = plt.subplots(1, 3, figsize=(13, 4.6), sharey=True)
first, last = [e_step(x, path[t])[0].exp() for t in (0, 60)]
draw_mixture(axes[0], x, path[0], first, "E: points take colours")
draw_mixture(axes[1], x, path[1], first, "M: ellipses move to their points")
draw_mixture(axes[2], x, path[60], last, "After step 60")
cu.show(
    fig,
    "EM with five components on the pinwheel, with 2-σ ellipses (every third point is drawn): "
    "the two halves of the first step, and where sixty steps lead.",
)
cu.facts(
    {
        "log p per point at the start, nats": values[0],
        "after 5 steps": values[5],
        "after 20 steps": values[20],
        "after 60 steps": values[60],
        "the smallest gain of a step": f"{min(gains):.0e}",
    },
    digits=4,
)

# %% [markdown]
# The centres alone break the tie: the component that is a little nearer takes a little more responsibility, moves, and takes more.
# The log-likelihood rises from −3.249 to −2.678 nats in five steps, to −2.243 after 20 and −2.211 after 60: after 20 steps most is settled.
# No step lowers it; the cell asserts that, with a tolerance of $10^{-9}$ for rounding.

# %% [markdown]
# **The cartoon, computed.**
# Equation (5) can be checked number by number: start with a poor guess, $q$ uniform, then alternate.
# **Predict** without looking up: which of the two curves, $\log p$ and ELBO, moves in an E-step, and which in an M-step?


# %%
def bound(x, params, log_q):
    """Equation (5): log p, the ELBO and KL(q ‖ posterior), each on its own; means over x."""
    log_joint = params[0].log() + log_gaussians(x, *params[1:])  # (N, K)
    log_r, log_px = e_step(x, params)
    q = log_q.exp()
    elbo = (q * (log_joint - log_q)).sum(1)
    kl = (q * (log_q - log_r)).sum(1)
    torch.testing.assert_close(elbo + kl, log_px, atol=1e-10, rtol=0)  # for each point
    return float(log_px.mean()), float(elbo.mean()), float(kl.mean())


params = path[0]
log_q = torch.full((len(x), 5), -math.log(5), dtype=torch.float64)
staircase = [("start", *bound(x, params, log_q))]
for half in "EM" * 6 + "E":
    if half == "E":
        log_q, _ = e_step(x, params)
    else:
        params = m_step(x, log_q.exp())
    staircase.append((half, *bound(x, params, log_q)))

# %% tags=["figure", "slide"]
# @title Figure: log p and the ELBO after each half step
labels, log_p, elbo, gap = zip(*staircase)
fig, axes = plt.subplots(1, 2, figsize=(8.8, 3.6), width_ratios=(1.3, 1))
halves = range(len(staircase))
for ax in axes:
    between = {"color": "#E69F00", "alpha": 0.3, "label": "KL(q ‖ posterior)"}
    ax.fill_between(halves, elbo, log_p, **between)
    ax.plot(log_p, "o-", label="log p")
    ax.plot(elbo, "s--", label="ELBO(q, θ)")
    ax.set_xticks(halves, labels)
    ax.set(xlabel="half step", ylabel="nats per point")
axes[0].set_title("E closes the gap, M lifts both")
axes[1].set(xlim=(8.5, 13.3), ylim=(log_p[8] - 0.07, log_p[13] + 0.03))
axes[1].set_title("The last steps, enlarged")
axes[0].legend(loc="lower right", fontsize=11)
cu.show(
    fig,
    "log p and the ELBO after each half step of EM (right: enlarged): they touch after every "
    "E-step; an M-step lifts the ELBO, log p at least as much, and opens a gap.",
)
after_m = gap[2::2]
cu.facts(
    {
        "gap at the start, nats": gap[0],
        "largest gap after an E-step": max(gap[1::2]),
        "smallest gap after an M-step": min(after_m),
        "largest gap after an M-step": max(after_m),
    }
)

# %% [markdown]
# With $q$ uniform the ELBO starts 0.727 nats below $\log p$.
# An E-step moves only the ELBO, up to $\log p$, and the gap is zero to rounding.
# An M-step moves both, and here $\log p$ each time by more: a gap of 0.016 to 0.06 nats opens, because the old responsibilities are no longer the posterior of the new parameters.
#
# **Keep this picture.**
# In lesson 04 the E-step becomes a network that cannot reach the posterior, so the gap never closes, and both moves become gradient steps on one ELBO.


# %% tags=["figure"]
# @title Widget: step through EM
def narrowest(params):
    """The smallest standard deviation of any component in any direction."""
    return float(torch.linalg.eigvalsh(params[2]).min().clamp(min=0).sqrt())


def draw_state(points, params, values):
    """Responsibilities and ellipses of one moment of EM beside the log-likelihood up to it."""
    fig, (left, right) = plt.subplots(1, 2, figsize=(10, 4.4))
    resp = e_step(points, params)[0].exp()
    draw_mixture(left, points, params, resp, f"narrowest ellipse: σ = {narrowest(params):.2g}")
    right.plot(values, "o-", markersize=4)
    right.set(xlabel="EM step", ylabel="log p per point, nats")
    right.set_title(f"step {len(values) - 1}: {values[-1]:.3f} nats per point")
    return fig


@cache
def em_path(K, seed):
    """Forty EM steps on 400 points, remembered, so that the slider moves at once."""
    points = cu.pinwheel(400).double()
    return points, *em(points, start(points, K, seed), steps=40, floor=1e-3)


def draw_em(iteration=0, K=5, seed=0):
    """One moment of one run."""
    points, path, values = em_path(K, seed)
    return draw_state(points, path[iteration], values[: iteration + 1])


def draw_ends():
    """Where three runs end: the worst seed with K = 5, too few and too many components."""
    fig, axes = plt.subplots(1, 3, figsize=(8.2, 3.2), sharey=True)
    for ax, (K, seed) in zip(axes, ((5, lowest), (2, 0), (8, 0))):
        points, path, values = em_path(K, seed)
        resp = e_step(points, path[-1])[0].exp()
        draw_mixture(ax, points, path[-1], resp, f"K = {K}, seed {seed}: {values[-1]:.2f}")
        ax.tick_params(labelsize=9)
    return fig


ends = [em_path(5, seed)[2][-1] for seed in range(6)]
lowest = ends.index(min(ends))
cu.explore(
    draw_em,
    "EM on 400 points of the pinwheel, in the mixed colours of their responsibilities, with "
    "2-σ ellipses. Without a kernel: where three runs end, with nats per point.",
    play=True,
    static=draw_ends,
    iteration={"min": 0, "max": 40, "value": 8},
    K=(2, 8),
    seed=(0, 5),
)
cu.facts("six seeds with K = 5 end between, nats", f"{min(ends):.2f} and {max(ends):.2f}")

# %% [markdown]
# The same data, another seed, another ending: with $K=5$ six seeds stand between −2.32 and −2.22 nats per point after 40 steps.
# With $K=2$ one ellipse takes two arms and the other three; with $K=8$ (seed 0) the spare ellipses grow wide and collect stragglers.

# %% [markdown]
# ## 5 · How it breaks *(core)*
#
# **The likelihood has no maximum.**
# Put the mean of one component exactly on a data point and let its width $\sigma$ shrink, while another component covers everyone else.
# That one point gains without limit, like $-d\log\sigma$; the others lose at most a constant, since the second component still covers them.
# So "the" maximum-likelihood mixture does not exist.
# EM finds a local maximum, if it does not run into such a spike, where the likelihood is infinite.
#
# **Predict:** six components on 60 points, exact EM, which cannot fall.
# What will the log-likelihood do just before a covariance becomes singular, and what do 5,000 fresh points say about that model?

# %%
small = cu.pinwheel(60).double()
fresh = cu.pinwheel(5_000, seed=2).double()
begin = start(small, 6, seed=10)
pair = {
    "no floor": em(small, begin, steps=40),
    "floor 0.01": em(small, begin, steps=40, floor=0.01),
}
starts = range(cu.budget(20))
runs_of_em = [em(small, start(small, 6, seed), steps=150) for seed in starts]
broken = sum(len(values) <= 150 for _, values in runs_of_em)

# %% tags=["figure", "slide"]
# @title Figure: the same start without a floor and with one
fig, axes = plt.subplots(2, 2, figsize=(8, 6.6))
rows = []
_, means, covs = pair["no floor"][0][-1]
culprit = means[torch.linalg.eigvalsh(covs)[:, 0].argmin()]
for ax, (name, (fits, value)), colour in zip(axes[0], pair.items(), cu.plots.PALETTE):
    resp = e_step(small, fits[-1])[0].exp()
    draw_mixture(ax, small, fits[-1], resp, f"{name.capitalize()}, step {len(value) - 1}")
    widths = [narrowest(params) for params in fits]
    axes[1, 0].plot(value, "o-", color=colour, markersize=4, label=name)
    axes[1, 1].semilogy(widths, "o-", color=colour, markersize=4, label=name)
    unseen = float(e_step(fresh, fits[-1])[1].mean())
    smallest = [f"{width:.1g}" for width in widths[-2:]]
    rows.append([name, value[-2], value[-1], *smallest, unseen])
mark = {"color": "black", "markersize": 14, "markeredgewidth": 3, "linestyle": "none"}
axes[0, 0].plot(*culprit, "x", **mark)
axes[1, 0].set(xlabel="EM step", ylabel="log p per point, nats", title="The race upward")
axes[1, 1].set(xlabel="EM step", ylabel="smallest σ of any ellipse")
axes[1, 1].set_title("The narrowest ellipse")
axes[1, 0].legend()
cu.show(
    fig,
    "The same start twice. Without a floor one component (cross) shrinks onto one point and "
    "the log-likelihood jumps; with 0.01 added to the variances nothing collapses.",
)
columns = ["", "log p before", "at the end", "smallest σ before", "at the end", "fresh points"]
cu.table(rows, columns, "Nats per point, one step before the end and at it.", digits=2)
cu.facts("starts that collapse within 150 steps", f"{broken} of {len(starts)}")

# %% [markdown]
# One component owns a single point (cross).
# Its σ falls from 0.009 to $5\cdot10^{-44}$ in one step, and the log-likelihood jumps from −1.98 to +0.97 nats *per point*.
# **EM kept its promise, it never fell; the promise was about the wrong thing.**
# Fresh points are not fooled: −2.62 without the floor, −2.53 with it.
#
# The **floor**, 0.01 added to every variance, caps the prize for sitting on a point.
# It does not free the component, which still owns one point at σ = 0.1.
# Seven of twenty starts collapse, and nobody set a trap: ten points a component are few.
# (scikit-learn's `reg_covar` is such a floor; with it the M-step is no exact maximum, so a tiny fall is possible.)


# %% tags=["figure"]
# @title Widget: the collapse, step by step, and the repair
def step_of(floor):
    """One EM step as a button: a collapsed state stays, unless there is a floor to lift it."""

    def action(state):
        (weights, means, covs), values = state
        lifted = covs + floor * torch.eye(2)
        fits, _ = em(small, (weights, means, lifted), 1, floor)
        if len(fits) < 2:
            return state
        return fits[1], [*values, float(e_step(small, fits[1])[1].mean())]

    return action


def draw_collapse(state):
    """The state of the stepper: parameters, and the log-likelihood so far."""
    return draw_state(small, *state)


earlier, climbed = [history[:-6] for history in pair["no floor"]]  # six steps before the end
begun = (earlier[-1], climbed)


def draw_clicks():
    """What the buttons do: five plain steps, a sixth, then one with the floor."""
    states = {"six steps before": begun}
    for i in range(6):
        last = list(states.values())[-1]
        states[f"after {i + 1}"] = step_of(0.0)(last)
    states["repaired"] = step_of(0.01)(states["after 6"])
    fig, axes = plt.subplots(1, 2, figsize=(7.8, 4), sharey=True)
    for ax, name in zip(axes, ("after 6", "repaired")):
        params, values = states[name]
        resp = e_step(small, params)[0].exp()
        draw_mixture(ax, small, params, resp, f"{name}: σ = {narrowest(params):.1g}")
        ax.set_xlabel(f"{values[-1]:.2f} nats per point")
    return fig


cu.stepper(
    begun,
    {"EM step, no floor": step_of(0.0), "Repair: EM step with floor": step_of(0.01)},
    draw_collapse,
    "Six components; the buttons make EM steps without and with a covariance floor. Without "
    "a kernel: after the sixth click, and after one repair.",
    static=draw_clicks,
)

# %% [markdown]
# The sixth click on *EM step, no floor* brings the jump; one click on *Repair* lifts σ back to 0.1, and the log-likelihood falls to where it was.

# %% [markdown]
# **Exercise 5 (deeper, break it).**
# Break maximum likelihood by hand.
# For a few dozen points $x$, return a mixture of two Gaussians whose log-likelihood on $x$ (summed over the points) beats that of the best single Gaussian by more than 100 nats, although fresh points prefer the single one.
# No EM is needed: say where a spike has to stand, how narrow it is, and who looks after the rest.


# %% tags=["exercise"]
def spike(x):
    """A mixture (w (2,), μ (2, 2), Σ (2, 2, 2)) that overfits the points x (N, 2)."""
    ### BEGIN SOLUTION
    half = torch.full((2,), 0.5, dtype=x.dtype)
    means = torch.stack([x[0], x.mean(0)])
    narrow = 1e-80 * torch.eye(2, dtype=x.dtype)
    return half, means, torch.stack([narrow, x.T.cov()])
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# The first component sits exactly on one of the points; the second is the single Gaussian, with the mean and the covariance of all points.
# In two dimensions a width σ brings that point about $-2\log\sigma$ nats, and half the weight costs every point $\log2$.

# %%
checked_spike = cu.check("02.spike", spike)

spiked = checked_spike(small)
single = MultivariateNormal(small.mean(0), small.T.cov())
cu.facts(
    {
        "60 points: gain over one Gaussian, nats": float(
            e_step(small, spiked)[1].sum() - single.log_prob(small).sum()
        ),
        "fresh points: one Gaussian, nats per point": single.log_prob(fresh).mean(),
        "fresh points: your mixture": e_step(fresh, spiked)[1].mean(),
    }
)

# %% [markdown]
# **The other trouble: where it starts.**
# EM climbs to the top of *its* hill.
# Six starts will race on eight equal bumps, where eight components could be perfect.
#
# **Exercise 6 (core, predict and measure).**
# How many of the six find all eight bumps?
# Commit yourself before the race is run.


# %% tags=["exercise"]
def my_bet():
    """How many of six starts find all eight bumps: a whole number from 0 to 6."""
    ### BEGIN SOLUTION
    return 4  # any whole number from 0 to 6 is an answer
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# Nothing can be wrong here but the kind of number.
# The starts are eight data points at random: what would have to happen for each bump to get one?

# %%
checked_bet = cu.check("02.bet", my_bet)

bumps = cu.eight_gaussians(600).double()
race_steps = cu.budget(100)
race = {}
for seed in range(6):
    race[seed] = em(bumps, start(bumps, 8, seed), race_steps, floor=1e-4)
ends = torch.tensor([values[-1] for _, values in race.values()])
worst = int(ends.argmin())
best = int(ends.argmax())

# %% tags=["figure", "slide"]
# @title Figure: six starts on eight bumps
fig, axes = plt.subplots(1, 3, figsize=(9.2, 3.3), width_ratios=(1.3, 1, 1))
for seed, (_, curve) in race.items():
    axes[0].plot(curve, label=f"seed {seed}: {curve[-1]:.3f}")
axes[0].set(xlabel="EM step", ylabel="log p per point, nats", title="Six starts, one data set")
axes[0].legend(fontsize=10)
for ax, name, seed in zip(axes[1:], ("Worst", "Best"), (worst, best)):
    params = race[seed][0][-1]
    resp = e_step(bumps, params)[0].exp()
    draw_mixture(ax, bumps, params, resp, f"{name}: seed {seed}", reach=3)
cu.show(
    fig,
    "Log-likelihood of six EM runs on eight Gaussians; the final ellipses of the worst and "
    "of the best.",
)
cu.facts(
    {
        "you bet on": f"{checked_bet()} of 6",
        "within 0.01 nats of the best": f"{int((ends > ends.max() - 0.01).sum())} of 6",
        "worst end value, nats per point": ends.min(),
        "best end value": ends.max(),
    },
    digits=4,
)

# %% [markdown]
# One of six.
# The end values lie between −1.531 and −1.061 nats per point, and only seed 1 has an ellipse for every bump.
# In the worst run one ellipse spans two bumps, two more share another pair, and a sliver lies across a bump that has its own ellipse already.
# To leave, a component would have to cross a region of low likelihood, and EM never goes down.
# Seed 1 itself sat on a long plateau before its last rise, so a flat curve is no proof of the end.
# The remedies are several starts, and better ones: k-means++ spreads the first means out.

# %% [markdown]
# ## 6 · The same answer as scikit-learn *(deeper)*
#
# A home-made algorithm needs a trusted witness.
# scikit-learn accepts our start (as inverse covariances) and the same number of steps, and must end in the same place.

# %%
weights, means, covs = start(x, 5, seed=0)
witness = GaussianMixture(
    n_components=5,
    weights_init=weights.numpy(),
    means_init=means.numpy(),
    precisions_init=torch.linalg.inv(covs).numpy(),
    reg_covar=0.0,
    tol=0.0,
    max_iter=60,
)
with warnings.catch_warnings():  # it would warn that 60 steps do not reach tol = 0
    warnings.simplefilter("ignore")
    witness.fit(x.numpy())
theirs = witness.score(x.numpy())
assert abs(values[-1] - theirs) < 1e-4
cu.facts("ours, nats per point", values[-1], "scikit-learn's", theirs, digits=11)

# %% [markdown]
# The two agree to ten digits, far below the $10^{-4}$ that we ask for: they do the same arithmetic.

# %% [markdown]
# ## 7 · k-means is the limit *(deeper)*
#
# Give all components the same weight and the same round covariance $\sigma^2I$.
# Then (3) becomes $r_{nk}\propto e^{-\lVert x_n-\mu_k\rVert^2/2\sigma^2}$, a softmax of *negative* squared distances.
# As $\sigma\to0$ the nearest centre takes all, and the new mean is the mean of the points assigned to it: one step of **k-means**.
# The bound agrees: $-2\sigma^2\,\text{ELBO}\to\sum_n\min_k\lVert x_n-\mu_k\rVert^2$, the *inertia* that k-means lowers.
# The table makes one step of each from the same five centres; the arms of the pinwheel are about 0.5 wide.


# %% tags=["shared"]
def kmeans_step(x, centres):
    """One step of k-means: the nearest centre of each x (N,), and the moved centres (K, d)."""
    # ‖x − c‖² without its constant ‖x‖²
    nearest = (x @ centres.T - 0.5 * centres.square().sum(1)).argmax(1)
    counts = torch.bincount(nearest, minlength=len(centres)).clamp(min=1)[:, None]
    sums = torch.zeros_like(centres).index_add_(0, nearest, x)
    return nearest, sums / counts


# %%
centres = start(x, 5, seed=2)[1]
_, hard = kmeans_step(x, centres)
equal = torch.full((5,), 0.2).double()
rows = []
for sigma in (1.0, 0.3, 0.1, 0.03, 0.01):
    covs = (sigma**2 * torch.eye(2).double()).repeat(5, 1, 1)
    log_r, _ = e_step(x, (equal, centres, covs))
    _, moved = checked_wm(x, log_r.exp())
    largest = log_r.exp().max(1).values.mean()
    apart = (moved - hard).norm(dim=1).max()
    rows.append([sigma, float(largest), float(apart)])

# %% tags=["figure"]
# @title Table: one step of EM against one step of k-means
cu.table(
    rows,
    ["σ of every component", "largest responsibility, mean", "farthest mean from k-means'"],
    "One EM step and one k-means step from the same five centres.",
)

# %% [markdown]
# At σ = 1 the largest responsibility averages 0.50 and the two steps end 1.3 apart; at σ = 0.1 it is 0.976 and they are 0.023 apart.
# The rest comes slowly: a point almost halfway between two centres keeps a soft choice until σ² is smaller than *its* difference of squared distances.
# k-means is the limit of EM for the simplest mixture: equal weights, equal round clusters, hard choices.

# %% [markdown]
# ## 8 · How many pieces? *(deeper)*
#
# The training likelihood cannot choose $K$, since a larger mixture contains every smaller one.
# Two judges can.
# - **Held-out log-likelihood** asks fresh points.
# - **BIC** $=-2\sum_n\log p(x_n)+(6K-1)\log N$ charges each of the $6K-1$ parameters ($K-1$ weights, $2K$ means, $3K$ covariances) half a $\log N$ nats; lower is better.
#   The price comes from a Gaussian approximation of the integral over all parameters (Bishop 2006, section 4.4.1).
#
# We use 300 training points and five restarts for each $K$.
# **Predict:** the pinwheel has five arms.
# Will the judges say five?

# %%
few = cu.pinwheel(300, seed=1).double()
sizes = cu.budget([1, 2, 3, 5, 8, 12, 16, 25], [1, 5, 12])
em_steps = cu.budget(120)


def judge(K, seed):
    """Mean log p of the training points and of the fresh ones, and BIC, after EM."""
    fits, trained = em(few, start(few, K, seed), em_steps, floor=1e-3)
    held_out = float(e_step(fresh, fits[-1])[1].mean())
    n_parameters = 6 * K - 1
    bic = -2 * 300 * trained[-1] + n_parameters * math.log(300)
    return trained[-1], held_out, bic


scores = torch.zeros(3, 5, len(sizes))  # train, held out, BIC; restarts; sizes
for j, K in enumerate(sizes):
    for seed in range(5):
        scores[:, seed, j] = torch.tensor(judge(K, seed))
train_scores, fresh_scores, bics = scores
by_fresh = sizes[int(fresh_scores.mean(0).argmax())]
by_bic = sizes[int(bics.mean(0).argmin())]

# %% tags=["figure"]
# @title Figure: three judges of the number of components
fig, (left, right) = plt.subplots(1, 2, figsize=(7.4, 3.1))
cu.plots.band(sizes, train_scores, left, "300 training points")
cu.plots.band(sizes, fresh_scores, left, "5,000 fresh points")
cu.plots.band(sizes, bics, right)
left.set(xlabel="components K", ylabel="log p per point, nats", title="Training never objects")
right.set(
    xlabel="components K", ylabel="BIC (lower is better)", title="BIC, without fresh data"
)
cu.show(
    fig,
    "Left: log-likelihood of training and of held-out points against K; right: BIC. Lines "
    "are means, bands one standard deviation, of five restarts on one training set.",
)
five = fresh_scores[:, sizes.index(5)]
twelve = fresh_scores[:, sizes.index(12)]
cu.facts(
    {
        "held-out points choose K": by_fresh,
        "BIC chooses K": by_bic,
        f"training points at K = {sizes[-1]}, nats": train_scores[:, -1].mean(),
        f"fresh points at K = {sizes[-1]}": fresh_scores[:, -1].mean(),
        "fresh points at K = 5": five.mean(),
        "fresh points at K = 12": twelve.mean(),
        "gain": f"{twelve.mean() - five.mean():.2f}",
        "standard deviation of the restarts at K = 12": twelve.std(),
    }
)

# %% [markdown]
# The training curve rises throughout, to −1.32 nats at $K=25$, where fresh points say −2.54: worse than with five components, −2.43.
# Of the eight sizes tried, fresh points choose 12 and BIC 8; neither says five.
# The arms are bent, and a bent arm is better served by two straight ellipses.
# **$K$ is the number of pieces a density needs, not the number of things in the world.**
# Nor is the choice sharp: from 5 to 12 components fresh points gain 0.15 nats, and restarts with the same 12 scatter by 0.04 (one training set; another may choose another $K$).

# %% [markdown]
# ## 9 · Gradient descent on the same likelihood *(deeper)*
#
# Nothing forces us to use EM.
# Free parameters are enough to let autograd climb $\log p$: weights as a softmax of logits, and each covariance as $L_kL_k^\top$ with the diagonal of $L_k$ stored as its logarithm, so that every value is legal.
# **Predict:** will Adam need more or fewer steps than EM, and end higher or lower?


# %%
def climb(x, params, steps, lr):
    """Maximise the mean log-likelihood with Adam; returns its values."""
    weights, means, covs = params
    L = torch.linalg.cholesky(covs)
    free = [weights.log(), means.clone(), L.diagonal(dim1=1, dim2=2).log(), L.tril(-1)]
    optimiser = torch.optim.Adam([t.requires_grad_() for t in free], lr=lr)
    logits, means, log_diagonal, lower = free
    values = []
    for _ in range(steps + 1):
        L = torch.diag_embed(log_diagonal.exp()) + lower.tril(-1)
        log_joint = logits.log_softmax(0) + log_gaussians(x, means, L @ L.mT)
        log_px = log_joint.logsumexp(1).mean()
        values.append(float(log_px.detach()))
        optimiser.zero_grad()
        (-log_px).backward()
        optimiser.step()
    return values


# %%
n_steps = cu.budget(400)
climbs = {}  # start → name → log p after each pass
for seed in range(cu.budget(6)):
    begin = start(x, 5, seed)
    climbs[seed] = {"EM": em(x, begin, n_steps)[1]}
    for lr in (0.01, 0.2):
        climbs[seed][f"Adam, step size {lr}"] = climb(x, begin, n_steps, lr)


# %% tags=["figure"]
# @title Figure: EM and Adam on the same hill
def steps_down(curve):
    """How many steps lowered the log-likelihood."""
    return sum(after < before - 1e-9 for before, after in zip(curve, curve[1:]))


def settled(curve):
    """The first pass within 0.01 nats of the end."""
    return next(t for t, value in enumerate(curve) if value > curve[-1] - 0.01)


fig, ax = plt.subplots(figsize=(6.8, 3.8))
cu.plots.curves(climbs[0], ax=ax)
ax.set(xlabel="passes over the data", ylabel="log p per point, nats", ylim=(-3.3, -2.15))
ax.legend(fontsize=10.5)
cu.show(
    fig,
    "Mean log-likelihood of EM and of Adam with two step sizes, from one start, against the "
    "number of passes over the data.",
)
rows = []
for name in climbs[0]:
    curves = [climbs[seed][name] for seed in climbs]
    down = sum(steps_down(curve) for curve in curves)
    rows.append([name, *(curve[-1] for curve in curves), down])
cu.table(
    rows,
    ["end value", *(f"start {seed}" for seed in climbs), "steps down"],
    f"Nats per point after {n_steps} passes from the same starts; how many of all steps "
    "lowered it.",
)
passes = [settled(curves["EM"]) for curves in climbs.values()]
cu.facts("passes until EM is within 0.01 nats of its end", f"{min(passes)} to {max(passes)}")

# %% [markdown]
# EM is within 0.01 nats of its end after 26 to 100 passes and needs no step size.
# Adam has one to choose: 0.01 is smooth and slow, 0.2 quick, and 932 of its steps go *down*.
# From four of the six starts EM ends more than 0.1 nats above both Adam runs, from start 3 one of them is 0.01 ahead, and from start 4 both pass EM.
# Neither is a global method; they leave the same start in different directions.
# What gradients buy is freedom: they need no closed-form M-step, and from lesson 04 on there is none.

# %% [markdown]
# ## 10 · KL between two Gaussians *(deeper)*
#
# Lesson 04 needs one more closed form: $\mathrm{KL}(a\,\|\,b)=\mathbb E_a[\log a-\log b]$ for $a=\mathcal N(\mu_a,\Sigma_a)$ and $b=\mathcal N(\mu_b,\Sigma_b)$ in $d$ dimensions.
# Each log-density is $-\frac12$ of three things: $d\log2\pi$, a log-determinant, and a quadratic form.
# Only the quadratic forms have to be averaged over $a$.
# - That of $a$ itself: $\mathbb E_a[(x-\mu_a)^\top\Sigma_a^{-1}(x-\mu_a)]=\operatorname{tr}(\Sigma_a^{-1}\Sigma_a)=d$.
# - That of $b$: write $x-\mu_b=(x-\mu_a)+(\mu_a-\mu_b)$.
#   The mixed term averages to zero; the first leaves $\operatorname{tr}(\Sigma_b^{-1}\Sigma_a)$, the second the squared distance of the means, measured by $\Sigma_b^{-1}$.
#
# **Exercise 7 (deeper).**
# Put the pieces together on paper, then in code.


# %% tags=["exercise"]
def kl_gaussians(mean_a, cov_a, mean_b, cov_b):
    """KL(N(mean_a, cov_a) ‖ N(mean_b, cov_b)) in nats: (d,), (d, d), (d,), (d, d) → scalar."""
    ### BEGIN SOLUTION
    gap = mean_b - mean_a
    spread = torch.linalg.solve(cov_b, cov_a).trace()  # tr(Σ_b⁻¹ Σ_a), without an inverse
    distance = gap @ torch.linalg.solve(cov_b, gap)
    return 0.5 * (spread + distance - len(gap) + cov_b.logdet() - cov_a.logdet())
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# Test yourself on $a=b$: the answer must be 0, which tells you what happens to $d$.
# `torch.linalg.solve(cov_b, y)` is $\Sigma_b^{-1}y$; `.logdet()` is the log-determinant.

# %%
checked_kl = cu.check("02.kl_gaussians", kl_gaussians)

weights, means, covs = path[-1]  # the five arms of the pinwheel, section 4
table = torch.zeros(5, 5)
for i in range(5):
    for j in range(5):
        table[i, j] = checked_kl(means[i], covs[i], means[j], covs[j])
rows_a = MultivariateNormal(means[:, None], covs[:, None])
against = kl_divergence(rows_a, MultivariateNormal(means, covs))
torch.testing.assert_close(table.double(), against, rtol=1e-4, atol=1e-4)
i, j = divmod(int((table - table.T).argmax()), 5)
cu.facts(f"KL({i} ‖ {j}) of two arms, nats", table[i, j], f"KL({j} ‖ {i})", table[j, i])

# %% [markdown]
# The formula, which lesson 04 uses with $b=\mathcal N(0,I)$ and a diagonal $\Sigma_a$:
#
# $$\begin{aligned}
# \mathrm{KL}(a\,\|\,b)=\tfrac12\Bigl[&\operatorname{tr}(\Sigma_b^{-1}\Sigma_a)+(\mu_b-\mu_a)^\top\Sigma_b^{-1}(\mu_b-\mu_a) \\
# &-d+\log\frac{|\Sigma_b|}{|\Sigma_a|}\Bigr].
# \end{aligned} \tag{7}$$
#
# It is far from symmetric, because distances are measured in standard deviations of $b$.
# The gap between these two arms runs across arm 0, where it is many standard deviations, and along arm 1, where it is fewer.
# Between whole *mixtures* there is no closed form, because the logarithm of a sum stays in the way; an average over draws is what is left.

# %% [markdown]
# ## Recap *(core)*
#
# | you can | because you saw |
# |---|---|
# | write a mixture and draw from it | a sum says "either"; choose $k$, then $x$ |
# | compute responsibilities in log-space | one log-sum-exp gives $\log r$ and $\log p$; right as often as claimed, if the model is true |
# | say what fitting minimises | forward KL covers, reverse KL seeks |
# | derive EM | $\log p=\text{ELBO}+\mathrm{KL}$; E closes the gap, M lifts both |
# | make it fail | a component on one point; five of six starts that miss a bump |
#
# **What breaks, and why.**
# The likelihood of a mixture grows without bound as a component shrinks onto one point, so maximum likelihood needs a floor; and EM ends on the hill where it began, so it needs several starts.
#
# **Next.**
# In the plane a covariance has three numbers.
# An image of 784 pixels has a covariance of 307,720, to be estimated from 1,375 images a component, and in the margin many pixels never vary: this lesson's first failure, for certain.
# [Lesson 02b](02b_mixtures_on_images.ipynb) gives each component a covariance that cannot collapse, and completes half-hidden digits with it.

# %%
in_covariance = 784 * 785 // 2
images_each = 55_000 // 40
cu.facts("numbers in a covariance", in_covariance, "images a component, of 40", images_each)

# %% [markdown]
# ## Where this stands *(deeper)*
#
# **Fitting.**
# With three or more components the likelihood has local maxima that are arbitrarily bad, even for well separated, equal, round clusters and infinitely many points, and EM from random starts meets them with a probability that tends to one as $K$ grows (Jin et al. 2016).
# Practice therefore starts from k-means++ and restarts.
# The view of EM as climbing one function of $(q,\theta)$ is Neal and Hinton's (1998); it also licenses partial and stochastic steps, which is the road to the VAE (lesson 04).
#
# **Choosing $K$.**
# Besides BIC there is the Bayesian way: a prior on weights and covariances removes the infinite spikes and lets unneeded components die out (`BayesianGaussianMixture` in scikit-learn; Bishop 2006, section 10.2).
#
# **Hidden causes beyond one die.**
# Causes that follow each other in time make a hidden Markov model ([lesson 08](08_hidden_chains.ipynb)); a continuum of causes makes factor analysis (02b) and the VAE (04); sums and products of simple densities in many layers make probabilistic circuits, which keep exact marginals (Liu, Ahmed and Van den Broeck 2024).

# %% [markdown]
# ### References
#
# - Dempster, Laird, Rubin (1977): *Maximum Likelihood from Incomplete Data via the EM Algorithm*.
# - Neal, Hinton (1998): *A View of the EM Algorithm that Justifies Incremental, Sparse, and Other Variants* (the bound).
# - Bishop (2006): *Pattern Recognition and Machine Learning*, chapters 9 and 10.
# - Jin, Zhang, Balakrishnan, Wainwright, Jordan (2016): *Local Maxima in the Likelihood of Gaussian Mixture Models*.
# - Liu, Ahmed, Van den Broeck (2024): *Scaling Tractable Probabilistic Circuits: A Systems Perspective*.
