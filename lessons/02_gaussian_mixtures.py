# %% [markdown]
# # 02 Gaussian mixtures
#
# **Simple pieces and a hidden choice make a density that no single piece could.**
#
# One Gaussian per digit shape, a loaded die that picks one of them, and nothing else:
# that is a model which draws digits, gives every image an exact probability, and completes an image of which half is missing.
# No network, no gradient, a minute of training.
#
# **After this lesson you can** write a mixture density and draw from it ·
# compute responsibilities by Bayes in log-space ·
# derive EM from the bound $\log p=\text{ELBO}+\mathrm{KL}$ and say why it never falls ·
# show how it breaks and repair it ·
# complete a half-hidden image exactly, and say why a perfect draw scores 3 dB below the mean.
#
# **Builds on** 01 (Bayes, log-sum-exp, marginals of a Gaussian); Appendix A, Cards 3 (log-sum-exp), 4 (Gaussians) and 5 (KL).
# Sections 1–4, 8 and 10 (*core*) fill a class of 75 minutes; the others are *deeper*.
#
# | letter | meaning | letter | meaning |
# |---|---|---|---|
# | $x$ | data, $N$ points in $d$ dimensions | $w_k$ | weight of component $k$ of $K$, $\sum_k w_k=1$ |
# | $k,\ z$ | latent: which component; place within it | $\mu_k, \Sigma_k$ | mean and covariance of component $k$ |
# | $r_{nk}$ | responsibility $p(k\mid x_n)$ | $W_k$ ($d\times r$), $\sigma_k^2$ | factors and pixel noise: $\Sigma_k=W_kW_k^\top+\sigma_k^2I$ |
# | $p_\theta$, $q$ | model, any distribution over the latent | $\varepsilon$ | noise, $N(0, I)$ |

# %% tags=["setup"]
import copy
import math
import warnings
from collections import namedtuple
from functools import cache

import matplotlib.colors
import matplotlib.pyplot as plt
import torch
from sklearn.mixture import GaussianMixture
from torch import nn
from torch.distributions import LowRankMultivariateNormal, MultivariateNormal, kl_divergence

import course_utils as cu

device = cu.setup()

# %% [markdown]
# ### What you will have made
#
# The left half of a digit is hidden from the model.
# **Predict:** which digits fit the half that is left?
# Write down two and your odds, then look.

# %% tags=["figure", "slide"]
# @title Figure: half a digit and eight completions
for run in cu.runs.available("02_mixture"):  # section 10 makes it
    fig, ax = plt.subplots(figsize=(10, 1.7))
    titles = ["seen", *"12345678"]
    cu.plots.image_grid(run.replay[0][-1], rows=1, titles=titles, ax=ax, note=False)
    cu.show(
        fig,
        "The visible right half of the course's digit, and eight completions that the shipped "
        "mixture draws.",
    )

# %% [markdown]
# Eight draws, 3s and 8s, no two alike, and every one agrees with the half that is seen.
# This is the first model of the course that completes an image.
# It is built here from a sum, a choice, and Bayes' rule.

# %% [markdown]
# ## 1 · A sum, not a product *(core)*
#
# A **Gaussian mixture** is a weighted *sum* of Gaussian densities,
#
# $$p(x)=\sum_{k=1}^K w_k\,N(x;\mu_k,\Sigma_k),\qquad w_k\ge0,\ \sum_k w_k=1. \tag{1}$$
#
# It integrates to one because the integral of a sum is the sum of the integrals: $\int p=\sum_k w_k\cdot1=1$.
# Many slides print a product sign here.
# What would the product be?
# For two pieces in 1-D the exponents add, $-\frac{(x-\mu_1)^2}{2\sigma_1^2}-\frac{(x-\mu_2)^2}{2\sigma_2^2}$, and a sum of two parabolas is a parabola.
# Collecting $x^2$ and $x$ and completing the square gives
#
# $$N(x;\mu_1,\sigma_1^2)\,N(x;\mu_2,\sigma_2^2)=\underbrace{N(\mu_1;\mu_2,\sigma_1^2+\sigma_2^2)}_{c,\ \text{without }x}\,N(x;m,s^2),\qquad
# \frac1{s^2}=\frac1{\sigma_1^2}+\frac1{\sigma_2^2},\quad \frac m{s^2}=\frac{\mu_1}{\sigma_1^2}+\frac{\mu_2}{\sigma_2^2}. \tag{2}$$
#
# The factor $c$ is what is left over.
# **Predict** before the figure: pieces at $-2$ and $2$ with standard deviations 0.7 and 1.
# Where does the product have its peak, how many peaks, and is its integral larger or smaller than one?

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

s2 = 1 / (1 / 0.49 + 1)  # equation (2)
m = s2 * (-2 / 0.49 + 2)
c = bell(torch.tensor(-2.0).double(), 2, math.sqrt(1.49))
torch.testing.assert_close(product, c * bell(grid, m, math.sqrt(s2)))

# %% tags=["figure", "slide"]
# @title Figure: the sum and the product of two Gaussian pieces
fig, axes = plt.subplots(1, 2, figsize=(10.5, 3.8))
pictures = {"Sum: two peaks": mixture, "Product: one peak": product}
for ax, (title, y) in zip(axes, pictures.items()):
    ax.fill_between(grid, y, color="#cccccc")
    ax.set(xlabel="x", ylabel="value", xlim=(-5, 6), ylim=(0, None))
    ax.set_title(f"{title}, integral {y.sum() * step:.4f}")
for k, piece in enumerate((0.6 * first, 0.4 * second)):
    axes[0].plot(grid, piece, label=f"piece {k + 1}, weighted")
axes[0].legend()
cu.show(
    fig,
    "Left: two weighted Gaussian pieces (lines) and their sum (grey). Right: the product of "
    "the same two pieces, on its own scale.",
)
peak = product.argmax()
cu.facts(
    {
        "integral of the product": product.sum() * step,
        "the product peaks at": grid[peak],
        "the mixture there": mixture[peak],
        "… divided by its highest value": mixture[peak] / mixture.max(),
    },
    digits=2,
)

# %% [markdown]
# The sum has both peaks and integrates to 1.0000.
# The product has a single peak at −0.68, between the pieces, where the mixture has 0.062, less than a fifth of its highest value, and its integral is 0.0015:
# not a density, and after division by 0.0015 just one more Gaussian.
# A product is small wherever *one* factor is small; it says "both", the sum says "either".
# (Products of densities have their place: Bayes' rule multiplies prior and likelihood, section 10.)
# The assertion in the cell above the figure compares the two sides of (2) at 1,601 points.

# %% [markdown]
# ## 2 · The hidden cause *(core)*
#
# Equation (1) is a marginal: it sums a joint distribution over something nobody recorded,
#
# $$p(x)=\sum_k p(k)\,p(x\mid k),\qquad p(k)=w_k,\quad p(x\mid k)=N(x;\mu_k,\Sigma_k).$$
#
# That reading is a recipe for **ancestral sampling**: draw the cause $k$ first, then $x$ given $k$, and forget $k$.
# Below are the two functions a mixture needs: one draws, the other evaluates every piece at every point.
# Both use the Cholesky factor $L_k$ of Card 4, $L_kL_k^\top=\Sigma_k$.


# %%
def sample_mixture(weights, means, covs, n, generator):
    """n draws by ancestral sampling: choose k, then x = μ_k + L_k ε; x (n, d) and k (n,)."""
    k = torch.multinomial(weights, n, replacement=True, generator=generator)
    eps = torch.randn(n, means.shape[1], generator=generator, dtype=means.dtype)
    L = torch.linalg.cholesky(covs)  # (K, d, d): L_k L_kᵀ = Σ_k
    x = means[k] + torch.einsum("nij,nj->ni", L[k], eps)
    return x, k


def log_gaussians(x, means, covs):
    """log N(x_n; μ_k, Σ_k), (N, K): x (N, d), means (K, d), covs (K, d, d)."""
    L = torch.linalg.cholesky(covs)  # (K, d, d); fails if a Σ_k is singular
    centred = (x[None] - means[:, None]).mT  # (K, d, N)
    u = torch.linalg.solve_triangular(L, centred, upper=False)  # (K, d, N)
    log_det = L.diagonal(dim1=1, dim2=2).log().sum(1)  # (K,): half of log|Σ_k|
    constant = 0.5 * x.shape[1] * math.log(2 * math.pi)
    return (-0.5 * u.square().sum(1) - log_det[:, None] - constant).T


# %% [markdown]
# A toy mixture of three pieces, 600 draws from it, and a check of the densities against PyTorch's own.

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
x_toy, k_toy = sample_mixture(*toy, n=600, generator=torch.Generator().manual_seed(0))
trusted = MultivariateNormal(toy_means, toy_covs).log_prob(x_toy[:, None])  # (N, K)
torch.testing.assert_close(log_gaussians(x_toy, toy_means, toy_covs), trusted)

# %% [markdown]
# Sampling runs from cause to data.
# Bayes' rule runs back: the **responsibility** of component $k$ for point $n$ is its posterior probability
#
# $$r_{nk}=p(k\mid x_n)=\frac{w_k\,N(x_n;\mu_k,\Sigma_k)}{\sum_j w_j\,N(x_n;\mu_j,\Sigma_j)},\qquad
# \log r_{nk}=\log w_k+\log N_{nk}-\underbrace{\log\textstyle\sum_j e^{\log w_j+\log N_{nj}}}_{\log p(x_n)}. \tag{3}$$
#
# The denominator is the density itself, so one log-sum-exp (Card 3) gives both: what the model thinks of the point, and whom it credits.
# On images the log-densities will be hundreds of nats apart; outside log-space every $N_{nk}$ would be 0 or ∞.
# **Exercise 1 (core).**
# Write (3).


# %% tags=["exercise"]
def responsibilities(log_weights, log_probs):
    """Equation (3) in log-space: log w (K,), log N (N, K) → log r (N, K) and log p(x) (N,)."""
    ### BEGIN SOLUTION
    log_joint = log_weights + log_probs  # (N, K): log p(x_n, k)
    log_px = log_joint.logsumexp(1)  # (N,)
    return log_joint - log_px[:, None], log_px
    ### END SOLUTION


# %%
checked_resp = cu.check("02.responsibilities", responsibilities)

log_r, log_px = checked_resp(toy_weights.log(), log_gaussians(x_toy, toy_means, toy_covs))
likeliest = log_r.argmax(1)  # (N,)
claimed = log_r.exp().max(1).values  # (N,): the probability that the likeliest is the cause

# %% [markdown]
# **Predict:** in the figure below, which points will have mixed colours, and will the colour of a point always be that of the component which made it?

# %% tags=["figure", "slide"]
# @title Figure: 600 points as they are seen, drawn and inferred
RGB = torch.tensor(matplotlib.colors.to_rgba_array(cu.plots.CLASS_COLOURS)[:, :3])  # (10, 3)


def draw_mixture(ax, x, params, resp, title="", reach=3.6):
    """Points coloured by their responsibilities (N, K), and the 2-σ ellipses."""
    _, means, covs = params
    colours = (resp @ RGB[: resp.shape[1]]).clamp(0, 1)
    cu.plots.scatter(x, ax=ax, c=colours.numpy(), s=9, alpha=1)
    for mean, cov, colour in zip(means, covs, cu.plots.CLASS_COLOURS):
        cu.plots.ellipse(mean, cov + 1e-6 * torch.eye(2), ax, edgecolor=colour)
    ax.set(xlim=(-reach, reach), ylim=(-reach, reach), title=title)


fig, axes = plt.subplots(1, 3, figsize=(12, 3.4), sharex=True, sharey=True)
cu.plots.scatter(x_toy, ax=axes[0], c="#888888", s=9).set_title("Seen: x")
one_hot = nn.functional.one_hot(k_toy).double()
draw_mixture(axes[1], x_toy, toy, one_hot, "Drawn: k, then x")
draw_mixture(axes[2], x_toy, toy, log_r.exp(), "Inferred: p(k given x)")
cu.show(
    fig,
    "600 draws from a mixture of three Gaussians: without colour; coloured by the hidden "
    "choice; coloured by the responsibilities. With 2-σ ellipses.",
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
# Mixed colours lie where ellipses overlap: for 26 % of the points no component is credited with more than 90 %.
# The likeliest component is the true cause for 92.2 % of the points; the other 47 of the 600 change their colour from the middle panel to the right one.
# That is no failure.
# The responsibilities announce it: their own largest values average 92.8 %, as they must when the model is the true one.
# Remember this comparison of *claimed* and *right*; section 10 makes it with a model that is wrong.

# %% [markdown]
# ## 3 · What fitting means *(core)*
#
# Choose $\theta$ to make the data likely.
# For many points the mean log-likelihood tends to an expectation under $p_\text{data}$, and adding a term that does not contain $\theta$ shows what is being minimised:
#
# $$\frac1N\sum_n\log p_\theta(x_n)\ \to\ E_{p_\text{data}}[\log p_\theta(x)]=-\mathrm{KL}(p_\text{data}\,\|\,p_\theta)+E_{p_\text{data}}[\log p_\text{data}(x)]. \tag{4}$$
#
# **Maximum likelihood is minimum KL**, in the *forward* direction (KL: Card 5).
# There are other distances one could minimise, and they fail differently when the model is too simple.
# Let $p$ be two bumps, 60 % at $-2$ and 40 % at $2$, and let $q$ be *one* Gaussian.
# Minimise over its mean and width
#
# - **forward** $\mathrm{KL}(p\,\|\,q)=\int p\log\frac pq$: the average is over data, so $q$ must not be small where data are;
# - **reverse** $\mathrm{KL}(q\,\|\,p)=\int q\log\frac qp$: the average is over the model's own samples, so $q$ must not be where no data are;
# - **Jensen–Shannon** $\mathrm{JS}=\frac12\mathrm{KL}(p\,\|\,m)+\frac12\mathrm{KL}(q\,\|\,m)$ with $m=\frac12(p+q)$: symmetric and never above $\log2$.
#
# There is no closed form for the last two, so we try every mean and width on a grid.
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
    m = 0.5 * (p + q)
    tried = {  # each (means, stds)
        "forward KL(p ‖ q)": kl_on_grid(p, q),
        "reverse KL(q ‖ p)": kl_on_grid(q, p),
        "Jensen–Shannon": 0.5 * kl_on_grid(p, m) + 0.5 * kl_on_grid(q, m),
    }
    best = {}
    for name, value in tried.items():
        i, j = divmod(int(value.argmin()), len(stds))
        best[name] = (q[i, j], float(means[i]), float(stds[j]), float(value[i, j]))
    return best


# %% [markdown]
# Two distances between the bumps: at ±2 and at ±3.

# %%
two_bumps = {}
closest = {}
for place in (2, 3):
    two_bumps[place] = 0.6 * bell(grid, -place, 0.7) + 0.4 * bell(grid, place, 0.7)
    closest[place] = closest_gaussians(two_bumps[place])

# %% tags=["figure", "slide"]
# @title Figure: the one Gaussian closest to two bumps
fig, axes = plt.subplots(1, 2, figsize=(11, 4.0), sharey=True)
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
# Forward KL takes the mean and the standard deviation of $p$: −0.40 and $\sqrt{0.49+4-0.16}=2.08$ for bumps at ±2, −0.60 and 3.02 at ±3, to the spacing of the grid, 0.1.
# It **covers**, and puts its peak where $p$ has a valley.
# That is what maximum likelihood does when a model is too simple, and why lesson 04 will see blur.
# Reverse KL **seeks**: the heavier bump, width 0.7, at a price of $\log(1/0.6)=0.51$ nats wherever the other bump is.
# It ignores 40 % of the data, as the generators of lesson 05 sometimes do.
# Jensen–Shannon is the surprise: at ±2 it covers like forward KL (the curves lie on each other), at ±3 it has changed sides and seeks.
# It is bounded: missing the smaller bump costs it 0.16 nats however far away that lies, so beyond some distance missing is cheaper than stretching.

# %% [markdown]
# ## 4 · EM *(core)*
#
# The log-likelihood $\sum_n\log\sum_k w_kN(x_n;\mu_k,\Sigma_k)$ has a sum *inside* the logarithm:
# setting its derivative to zero gives equations in which everything depends on everything.
# If we knew the hidden $k_n$, fitting would be a weekend exercise: one mean and one covariance per group.
# EM alternates between guessing the $k_n$ softly and fitting given the guess.
#
# **The bound.**
# Take any distribution $q(k)$ over the cause of one point.
# Multiply and divide, $p(x)=p(x,k)/p(k\mid x)$ for every $k$, then average over $q$:
#
# $$\log p(x)=\sum_kq(k)\log\frac{p(x,k)}{p(k\mid x)}=\underbrace{\sum_kq(k)\log\frac{p(x,k)}{q(k)}}_{\text{ELBO}(q,\theta)}+\underbrace{\sum_kq(k)\log\frac{q(k)}{p(k\mid x)}}_{\mathrm{KL}(q\,\|\,\text{posterior})\ \ge\ 0}. \tag{5}$$
#
# An equality, for every $q$.
# Since KL is never negative, the ELBO (*evidence lower bound*) lies below $\log p$; it touches exactly when $q$ is the posterior.
# Two moves follow.
# - **E-step**, $\theta$ fixed: set $q=p_\theta(k\mid x)$, the responsibilities (3).
#   The KL is now 0, ELBO $=\log p_\theta$.
# - **M-step**, $q$ fixed: choose $\theta'$ that maximises the ELBO.
#
# **Why it never falls.**
# After the E-step $\log p_\theta(x)=\text{ELBO}(q,\theta)$.
# The M-step gives $\text{ELBO}(q,\theta')\ge\text{ELBO}(q,\theta)$.
# By (5) $\log p_{\theta'}(x)\ge\text{ELBO}(q,\theta')$.
# Chained: $\log p_{\theta'}(x)\ge\log p_\theta(x)$.
# No step size, no line search.
# All three lines hold for sums over points as well.

# %% [markdown]
# **The M-step in closed form.**
# With $q=r_{nk}$ fixed, $\sum_{nk} r_{nk}\log r_{nk}$ is a constant, and the ELBO is $\sum_{nk}r_{nk}\bigl[\log w_k+\log N(x_n;\mu_k,\Sigma_k)\bigr]$:
# the logarithm now meets each Gaussian alone.
# Write $N_k=\sum_nr_{nk}$ for the number of points a component owns.
#
# *Weights:* maximise $\sum_kN_k\log w_k$ subject to $\sum_kw_k=1$.
# With a Lagrange multiplier, $N_k/w_k=\lambda$ for all $k$; summing $N_k=\lambda w_k$ gives $\lambda=N$.
# *Means:* $\nabla_{\mu_k}=\Sigma_k^{-1}\sum_nr_{nk}(x_n-\mu_k)=0$.
# *Covariances:* write $S_k=\frac1{N_k}\sum_nr_{nk}(x_n-\mu_k)(x_n-\mu_k)^\top$.
# The terms with $\Sigma_k$ are $-\frac{N_k}2\bigl[\log|\Sigma_k|+\operatorname{tr}(\Sigma_k^{-1}S_k)\bigr]$;
# with $A=\Sigma_k^{-1}$ the derivative is $\frac{N_k}2(A^{-1}-S_k)$, zero at $\Sigma_k=S_k$.
# Together
#
# $$w_k=\frac{N_k}N,\qquad\mu_k=\frac1{N_k}\sum_nr_{nk}x_n,\qquad\Sigma_k=\frac1{N_k}\sum_nr_{nk}(x_n-\mu_k)(x_n-\mu_k)^\top. \tag{6}$$
#
# Counting, with fractions of points.
# **Exercise 2 (core).**
# Write the first two; the covariance follows in the next cell.


# %% tags=["exercise"]
def weights_and_means(x, resp):
    """M-step, equation (6): x (N, d), responsibilities (N, K) → w (K,), μ (K, d)."""
    ### BEGIN SOLUTION
    owned = resp.sum(0)  # (K,): N_k
    return owned / len(x), resp.T @ x / owned[:, None]
    ### END SOLUTION


# %%
checked_wm = cu.check("02.m_step", weights_and_means)


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
# What is missing is a start, and the loop.


# %%
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
        except torch.linalg.LinAlgError:  # a covariance has become singular: see section 8
            break
        path.append(params)
        values.append(float(log_px.mean()))
        params = m_step(x, log_r.exp(), floor)
    return path, values


# %% [markdown]
# The data are the five twisted arms of `pinwheel`, in double precision, without labels.
# **Predict:** five components start as five copies of one wide ellipse with different centres.
# What breaks the tie, and after how many of 60 steps is the picture settled?

# %%
x = cu.pinwheel(1_000).double()
path, values = em(x, start(x, 5, seed=0), steps=60)
gains = [after - before for before, after in zip(values, values[1:])]
assert min(gains) >= -1e-9, "EM without a floor never falls"

# %% tags=["figure", "slide"]
# @title Figure: five components at three moments of EM
fig, axes = plt.subplots(1, 4, figsize=(13, 3.2), width_ratios=(1, 1, 1, 1.1))
for ax, t in zip(axes, (0, 5, 60)):
    draw_mixture(ax, x, path[t], e_step(x, path[t])[0].exp(), f"step {t}")
axes[3].plot(values, "o-", markersize=3)
axes[3].set(xlabel="EM step", ylabel="log p per point, nats", title="never falls")
cu.show(
    fig,
    "EM with five components on the pinwheel: points coloured by responsibility with 2-σ "
    "ellipses at steps 0, 5 and 60; the mean log-likelihood against the step.",
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
# The tie is broken by the centres alone: the component that is a little nearer takes a little more responsibility, moves, and takes more.
# The curve rises in bursts: from −3.249 to −2.678 in five steps, −2.243 after 20, and −2.211 after 60.
# Each burst is one ellipse finding an arm.
# No step lowers it; the smallest gain is $3\cdot10^{-7}$ nats, and the cell asserts that none is below $-10^{-9}$ (rounding in double precision).

# %% [markdown]
# **The bound, computed.**
# Equation (5) can be checked number by number.
# Start with a poor guess, $q$ uniform, then alternate.
# Two curves: $\log p_\theta$ and $\text{ELBO}(q,\theta)$; the gap between them is a KL that we also compute on its own.
# **Predict** the shape: which curve moves in an E-step, which in an M-step?


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
fig, axes = plt.subplots(1, 2, figsize=(11.5, 4.0), width_ratios=(1.3, 1))
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
# An E-step changes only $q$: $\log p$ stays, the ELBO jumps up to touch it, and the gap is zero to rounding.
# An M-step changes only $\theta$: the ELBO rises, $\log p$ rises by *more*, and a gap of 0.016 to 0.06 nats opens, because the old responsibilities are no longer the posterior of the new parameters.
# **Keep this picture.**
# In lesson 04 the E-step becomes a network that cannot reach the posterior, so the gap never closes, and both moves become gradient steps on the same ELBO.

# %% [markdown]
# The next picture, and section 8, also need the width of the narrowest ellipse.


# %%
def narrowest(params):
    """The smallest standard deviation of any component in any direction."""
    return float(torch.linalg.eigvalsh(params[2]).min().clamp(min=0).sqrt())


# %% tags=["figure"]
# @title Widget: step through EM
def draw_state(points, params, values):
    """Responsibilities and ellipses of one moment of EM beside the log-likelihood up to it."""
    fig, (left, right) = plt.subplots(1, 2, figsize=(8, 3.5))
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


cu.explore(
    draw_em,
    "Step through EM on the pinwheel: points in the mixed colours of their responsibilities, "
    "2-σ ellipses, and the log-likelihood.",
    play=True,
    iteration={"min": 0, "max": 40, "value": 8},
    K=(2, 8),
    seed=(0, 5),
)

# %% [markdown]
# Play once with $K=5$, then change the seed and play again: the same data, another ending.
# Flat stretches of the curve are moments when two components compete for one arm; a rise follows when one of them gives way.
# From the six seeds EM ends between −2.32 and −2.22 nats per point.
# With $K=2$ one ellipse takes two arms and the other three; with $K=8$ the spare ellipses grow wide and collect stragglers.

# %% [markdown]
# ## 5 · The same answer as scikit-learn *(deeper)*
#
# A home-made algorithm needs a trusted witness.
# scikit-learn accepts our start (it wants inverse covariances) and the same number of steps, and must land in the same place.

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
# Ten digits agree, far below the $10^{-4}$ that we ask for: the two programs do the same arithmetic.

# %% [markdown]
# ## 6 · k-means is the limit *(deeper)*
#
# Give all components the same weight and the same spherical covariance $\sigma^2I$.
# Then (3) becomes $r_{nk}\propto e^{-\lVert x_n-\mu_k\rVert^2/2\sigma^2}$: a softmax of squared distances with temperature $2\sigma^2$.
# As $\sigma\to0$ the nearest centre takes all, and the M-step's mean becomes the mean of the points assigned: one step of **k-means**.
# The bound agrees: $-2\sigma^2\,\text{ELBO}\to\sum_n\min_k\lVert x_n-\mu_k\rVert^2$ plus a constant, the inertia that k-means lowers.
# From the same five centres, make one step of each and measure how far apart the new centres are.
# **Predict:** the arms of the pinwheel are about 0.5 wide; at which $\sigma$ has EM become k-means?


# %%
def kmeans_step(x, centres):
    """One step of k-means: the nearest centre of each x (N,), and the moved centres (K, d)."""
    # ‖x − c‖² without its constant ‖x‖²
    nearest = (x @ centres.T - 0.5 * centres.square().sum(1)).argmax(1)
    counts = torch.bincount(nearest, minlength=len(centres)).clamp(min=1)[:, None]
    sums = torch.zeros_like(centres).index_add_(0, nearest, x)
    return nearest, sums / counts


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
# At σ = 1 the largest responsibility averages 0.50 and the two steps end 1.3 apart.
# At σ = 0.1 it is 0.976 and the distance 0.023; a tenfold smaller σ brings only 0.003.
# The last digits come slowly because of points almost halfway between two centres:
# their softmax stays soft until σ² is smaller than *their* difference of squared distances.
# k-means is EM for a model with the least to say: equal weights, equal round clusters, hard choices.

# %% [markdown]
# ## 7 · How many pieces? *(deeper)*
#
# The training likelihood cannot choose $K$: a larger mixture contains every smaller one.
# Two judges can.
# **Held-out log-likelihood** asks fresh data.
# **BIC** $=-2\sum_n\log p(x_n)+P\log N$ charges each of the $P=6K-1$ parameters ($K-1$ weights, $2K$ means, $3K$ covariances) half a $\log N$ nats and needs no fresh data; lower is better.
# 300 training points, five restarts for each $K$.
# **Predict:** the pinwheel has five arms.
# Will the judges say five?

# %%
few = cu.pinwheel(300, seed=1).double()
fresh = cu.pinwheel(5_000, seed=2).double()
sizes = cu.budget([1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 25], [1, 5, 12])
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
fig, (left, right) = plt.subplots(1, 2, figsize=(10, 3.4))
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
    "are means of five restarts, bands one standard deviation.",
)
five = fresh_scores[:, sizes.index(5)]
best = fresh_scores[:, sizes.index(by_fresh)]
cu.facts(
    {
        "held-out data choose K": by_fresh,
        "BIC chooses K": by_bic,
        f"training points at K = {sizes[-1]}, nats": train_scores[:, -1].mean(),
        f"fresh points at K = {sizes[-1]}": fresh_scores[:, -1].mean(),
        "fresh points at K = 5, five restarts": (five.mean(), five.std()),
        f"fresh points at K = {by_fresh}": (best.mean(), best.std()),
        "gain": f"{best.mean() - five.mean():.2f}",
    }
)

# %% [markdown]
# The training curve rises throughout, to −1.32 nats at $K=25$, where fresh data say −2.54: worse than with five components, −2.43.
# Fresh data choose 12 and BIC 8; neither says five.
# The arms are bent, and a bent arm is better served by two straight ellipses.
# **$K$ is the number of pieces a density needs, not the number of things in the world.**
# Nor is the choice sharp: from 5 to 12 components the fresh data gain 0.15 nats, and restarts with the same 12 differ by ± 0.04.

# %% [markdown]
# ## 8 · How it breaks *(core)*
#
# **The likelihood has no maximum.**
# Put the mean of one component exactly on a data point $x_1$ and let its width $\sigma$ shrink, while another component covers everyone else.
# The point itself contributes $\log\bigl(w_1(2\pi\sigma^2)^{-d/2}+\dots\bigr)\to+\infty$, and the other points lose at most a constant:
# their density stays above $w_2N(x;\mu_2,\Sigma_2)$.
# So "the" maximum likelihood estimate of a mixture does not exist; EM merely finds a *local* maximum, or falls into a hole of the other sign.
#
# **Predict:** six components, 60 points, exact EM, which cannot fall; `em` stops when a covariance has no Cholesky factor any more.
# What will the log-likelihood do just before, and what will 5,000 fresh points say about that model?

# %%
small = cu.pinwheel(60).double()
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
fig, axes = plt.subplots(1, 4, figsize=(13, 3.6), width_ratios=(1, 1, 1.15, 1.15))
rows = []
for ax, (name, (fits, value)), colour in zip(axes, pair.items(), cu.plots.PALETTE):
    resp = e_step(small, fits[-1])[0].exp()
    draw_mixture(ax, small, fits[-1], resp, f"{name}, step {len(value) - 1}")
    widths = [narrowest(params) for params in fits]
    axes[2].plot(value, "o-", color=colour, markersize=4, label=name)
    axes[3].semilogy(widths, "o-", color=colour, markersize=4)
    unseen = float(e_step(fresh, fits[-1])[1].mean())
    smallest = [f"{width:.1g}" for width in widths[-2:]]
    rows.append([name, value[-2], value[-1], *smallest, unseen])
_, means, covs = pair["no floor"][0][-1]
culprit = means[torch.linalg.eigvalsh(covs)[:, 0].argmin()]
axes[0].plot(*culprit, "x", color="black", markersize=14, markeredgewidth=3)
axes[2].set(xlabel="EM step", ylabel="log p per point, nats", title="The race upward")
axes[3].set(xlabel="EM step", ylabel="smallest σ of any ellipse", title="One point, no cluster")
axes[2].legend()
cu.show(
    fig,
    "The same start twice. Without a floor one component (cross) shrinks onto one point and "
    "the log-likelihood jumps; with 0.01 added to the variances nothing collapses.",
)
columns = ["", "log p before", "at the end", "smallest σ before", "at the end", "fresh points"]
cu.table(rows, columns, "Nats per point, one step before the end and at it.", digits=2)
cu.facts("starts that collapse within 150 steps", f"{broken} of {len(starts)}")

# %% [markdown]
# For 16 steps the two curves stay within about 0.1 nats.
# Then one component owns a single point (cross), its σ falls from 0.009 to $5\cdot10^{-44}$ in one step, and the log-likelihood jumps from −1.98 to +0.97 nats *per point*, although 59 of 60 points gained nothing;
# at the next step the Cholesky factorisation fails.
# EM kept its promise, it never fell; the promise was about the wrong thing.
# Fresh points are not fooled: −2.62 without the floor, −2.53 with.
# The floor of 0.01 on the variances caps the prize for sitting on a point.
# It stops the race, not the loner: the orange circle still owns one point, at σ = 0.1.
# Seven of twenty starts collapse here, and nobody set a trap: ten points a component are few enough.
# (With a floor that is *added*, the M-step is no longer an exact maximum, so a tiny fall is possible; scikit-learn's `reg_covar` does the same.)


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
cu.stepper(
    (earlier[-1], climbed),
    {"EM step, no floor": step_of(0.0), "Repair: EM step with floor": step_of(0.01)},
    draw_collapse,
    "Six components and the log-likelihood; the buttons make EM steps without and with a "
    "covariance floor.",
)

# %% [markdown]
# Click *EM step, no floor* six times: the title shows σ, and the sixth click brings the jump.
# Then click *Repair*: the floor lifts σ to 0.1, the curve falls back to where it was before the jump, and goes on from there.

# %% [markdown]
# **The other trouble: where it starts.**
# EM climbs to the top of *its* hill.
# Six starts race on eight equal bumps, where eight components could be perfect.
# **Bet:** how many of six find all eight bumps?

# %%
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
fig, axes = plt.subplots(1, 3, figsize=(12.5, 3.4), width_ratios=(1.3, 1, 1))
for seed, (_, curve) in race.items():
    axes[0].plot(curve, label=f"seed {seed}: {curve[-1]:.3f}")
axes[0].set(xlabel="EM step", ylabel="log p per point, nats", title="Six starts, one data set")
axes[0].legend(fontsize=10)
for ax, name, seed in zip(axes[1:], ("worst", "best"), (worst, best)):
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
        "worst end value, nats per point": ends.min(),
        "best end value": ends.max(),
        "runs of 6 within 0.01 of the best": (ends > ends.max() - 0.01).sum(),
    },
    digits=4,
)

# %% [markdown]
# One of six.
# The end values lie between −1.531 and −1.061 nats per point, and only seed 1 has an ellipse for every bump.
# The worst run is stuck in a way one can see: one ellipse spans two bumps, two more share another pair, and a sliver lies across a bump that has its own ellipse already.
# To leave, a component would have to cross a region of low likelihood, and EM never goes down.
# Seed 1 itself sat on a plateau of 25 steps before its last rise: a flat curve is no proof of the end.
# The remedies are several starts, and better ones (k-means++ spreads the first means out).

# %% [markdown]
# ## 9 · Gradient descent on the same likelihood *(deeper)*
#
# Nothing forces us to use EM.
# Free parameters are enough to let autograd climb $\log p$:
# weights as a softmax of logits, and each covariance as $L_kL_k^\top$ with the diagonal of $L_k$ stored as its logarithm, so that every value is legal.
# **Predict:** more or fewer steps than EM, and a better or worse end?


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


# %% [markdown]
# EM and three step sizes of Adam, each from the same starts.

# %%
n_steps = cu.budget(400)
climbs = {}  # start → name → log p after each pass
for seed in range(cu.budget(6)):
    begin = start(x, 5, seed)
    climbs[seed] = {"EM": em(x, begin, n_steps)[1]}
    for lr in (0.01, 0.05, 0.2):
        climbs[seed][f"Adam, step size {lr}"] = climb(x, begin, n_steps, lr)


def steps_down(curve):
    """How many steps lowered the log-likelihood."""
    return sum(after < before - 1e-9 for before, after in zip(curve, curve[1:]))


def settled(curve):
    """The first pass within 0.01 nats of the end."""
    return next(t for t, value in enumerate(curve) if value > curve[-1] - 0.01)


passes = [settled(curves["EM"]) for curves in climbs.values()]

# %% tags=["figure"]
# @title Figure: EM and Adam on the same hill
fig, axes = plt.subplots(1, 2, figsize=(10, 3.2), sharey=True)
for ax, seed in zip(axes, (0, max(climbs) - 1)):
    cu.plots.curves(climbs[seed], ax=ax)
    ax.set(xlabel="passes over the data", ylabel="log p per point, nats")
    ax.set(ylim=(-3.3, -2.15), title=f"start {seed}")
    ax.legend(fontsize=10.5)
cu.show(
    fig,
    "Mean log-likelihood of EM and of Adam with three step sizes, from two starts, against "
    "the number of passes over the data.",
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
cu.facts("passes until EM is within 0.01 nats of its end", f"{min(passes)} to {max(passes)}")

# %% [markdown]
# EM is within 0.01 nats of its end after 26 to 100 passes and needs no step size.
# Adam has a choice to make: 0.01 is smooth and slow, 0.2 quick, and 930 of its 2,400 steps go *down*.
# The ends differ too: from four of six starts EM ends 0.13 to 0.14 nats above every Adam run, from start 3 one Adam run is 0.01 ahead, and from start 4 all three pass EM.
# Neither is a global method; they leave the same start in different directions.
# What gradients buy is freedom: they need no closed-form M-step.
# From lesson 04 on there is none, and the bound of section 4 is climbed by gradient.

# %% [markdown]
# ## 10 · Images: a mixture that completes digits *(core)*
#
# A digit has $d=784$ pixels.
# A full covariance would need 307,720 numbers for each component, and with 1,400 images a component it would be singular: section 8 again.
# **Probabilistic PCA** is the middle way: an image of component $k$ is its mean, plus $r$ directions of variation, plus the same little noise on every pixel,
#
# $$x=\mu_k+W_kz+\sigma_k\varepsilon,\quad z\sim N(0,I_r),\ \varepsilon\sim N(0,I_d)\qquad\Longrightarrow\qquad\Sigma_k=W_kW_k^\top+\sigma_k^2I. \tag{7}$$
#
# Low rank plus a floor: the repair is built in.
# Two hidden causes now, *which* ($k$) and *how* ($z$).
# A 784 × 784 matrix is never needed.
# With $M=I_r+W^\top W/\sigma^2$ (only $r\times r$) and $e=x-\mu$,
#
# $$|\Sigma|=\sigma^{2d}|M|,\qquad\Sigma^{-1}=\frac1{\sigma^2}\Bigl(I-\frac1{\sigma^2}WM^{-1}W^\top\Bigr). \tag{8}$$
#
# *Second:* multiply by $\Sigma=\sigma^2I+WW^\top$.
# Since $W^\top W=\sigma^2(M-I)$, the product is $I+\frac1{\sigma^2}WW^\top-\frac1{\sigma^2}WM^{-1}W^\top-\frac1{\sigma^2}W(I-M^{-1})W^\top=I$.
# *First:* $|I+AA^\top|=|I+A^\top A|$ (the same nonzero eigenvalues) with $A=W/\sigma$.
# A marginal over some pixels keeps the corresponding rows of $\mu$ and $W$ and nothing else, because $x_\text{seen}=\mu_\text{seen}+W_\text{seen}z+\sigma\varepsilon$: hence the argument `seen`.


# %%
class PPCAMixture(nn.Module):
    """K Gaussians N(μ_k, W_k W_kᵀ + σ_k² I); `noise` holds the σ² (K,)."""

    def __init__(self, K, r, d=784):
        super().__init__()
        shapes = {"weights": (K,), "means": (K, d), "factors": (K, d, r), "noise": (K,)}
        for name, shape in shapes.items():
            flat = torch.full(shape, 1 / K)
            self.register_parameter(name, nn.Parameter(flat, requires_grad=False))

    def log_joint(self, x, seen=slice(None), doubt=0.0):
        """log w_k N(x_seen; …) by (8): x (N, s) → (N, K); `doubt` is added to σ²."""
        mean = self.means[:, seen]  # (K, s)
        W = self.factors[:, seen]  # (K, s, r)
        noise = self.noise + doubt
        M = torch.eye(W.shape[2], dtype=W.dtype) + W.mT @ W / noise[:, None, None]  # (K, r, r)
        L = torch.linalg.cholesky(M)
        P = torch.linalg.solve_triangular(L, W.mT, upper=False)  # |P e|² = eᵀ W M⁻¹ Wᵀ e
        low = torch.einsum("krs,ns->nkr", P, x) - torch.einsum("krs,ks->kr", P, mean)
        e2 = x.square().sum(1, keepdim=True) - 2 * x @ mean.T + mean.square().sum(1)  # |e|²
        quadratic = (e2 - low.square().sum(2) / noise) / noise  # (N, K)
        log_det = W.shape[1] * noise.log() + 2 * L.diagonal(dim1=1, dim2=2).log().sum(1)
        log_det += W.shape[1] * math.log(2 * math.pi)
        return self.weights.log() - 0.5 * (quadratic + log_det)


# %% [markdown]
# A small one, checked against PyTorch's Gaussian of low rank:

# %%
tiny = PPCAMixture(K=3, r=2, d=6)
for parameter in (tiny.means, tiny.factors):
    parameter.copy_(torch.randn(parameter.shape))
pixel_noise = tiny.noise[:, None].expand(3, 6)
normal = LowRankMultivariateNormal(tiny.means, tiny.factors, pixel_noise)
truth = tiny.weights.log() + normal.log_prob(torch.ones(4, 1, 6))
torch.testing.assert_close(tiny.log_joint(torch.ones(4, 6)), truth, rtol=1e-4, atol=1e-4)

# %% [markdown]
# **What half an image says about $z$.**
# Given $k$, $z$ and the seen pixels are jointly Gaussian, so $p(z\mid x_s)$ is a **conditional Gaussian**.
# Card 4 cuts a joint covariance open; here the other road is shorter.
# As a function of $z$,
#
# $$\log p(z)+\log p(x_s\mid z)=-\tfrac12z^\top z-\tfrac1{2\sigma^2}\lVert e_s-W_sz\rVert^2+\dots
# =-\tfrac12z^\top\underbrace{\Bigl(I+\tfrac1{\sigma^2}W_s^\top W_s\Bigr)}_{\text{precision}}z+z^\top\tfrac1{\sigma^2}W_s^\top e_s+\dots$$
#
# with $e_s=x_s-\mu_s$.
# A Gaussian with precision $C^{-1}$ and mean $m$ has $-\frac12z^\top C^{-1}z+z^\top C^{-1}m$.
# Comparing,
#
# $$z\mid x_s\sim N(m,C),\qquad C=\Bigl(I+\tfrac1{\sigma^2}W_s^\top W_s\Bigr)^{-1},\qquad m=\tfrac1{\sigma^2}\,C\,W_s^\top(x_s-\mu_s). \tag{9}$$
#
# An $r\times r$ inverse instead of one over 392 pixels, for the same answer: the check compares with the long way.
# **Exercise 3 (core).**
# Write (9).


# %% tags=["exercise"]
def latent_given_seen(x, mean, W, noise):
    """p(z | x) of one component, equation (9): its means m (N, r) and covariance C (r, r).

    x (N, s) holds the s seen pixels (s may be 0), mean (s,), W (s, r), noise σ².
    """
    ### BEGIN SOLUTION
    precision = torch.eye(W.shape[1], dtype=W.dtype) + W.T @ W / noise
    cov = torch.linalg.inv(precision)
    return (x - mean) @ W @ cov / noise, cov  # cov is symmetric: C Wᵀ e as a row is eᵀ W C
    ### END SOLUTION


# %%
checked_latent = cu.check("02.conditional", latent_given_seen)

# %% [markdown]
# **Completing is drawing.**
# Three steps, each exact: which component, given what is seen, $p(k\mid x_s)\propto w_kN(x_s;\mu_{k,s},\Sigma_{k,ss})$; how, by (9); then paint by (7).
# The mean of the unseen part is the average over components of $\mu_k+W_km_k$, weighted by $p(k\mid x_s)$.
# If *nothing* is seen the same function draws from the prior: sampling is completing an empty page.

# %%
Completion = namedtuple("Completion", "draw smooth mean weights component")


def complete(model, x, seen, generator, doubt=0.0):
    """One exact completion of each row of x (N, d) from its pixels seen (d,) bool.

    `smooth` is the draw before pixel noise, `weights` (N, K) are p(k | seen).
    """
    weights = model.log_joint(x[:, seen], seen, doubt).softmax(1)
    component = torch.multinomial(weights, 1, generator=generator)[:, 0]  # (N,)
    smooth = torch.zeros_like(x)
    mean = torch.zeros_like(x)
    for k, (mu, W, noise) in enumerate(zip(model.means, model.factors, model.noise)):
        m, C = checked_latent(x[:, seen], mu[seen], W[seen], noise + doubt)  # (N, r), (r, r)
        mean += weights[:, k, None] * (mu + m @ W.T)
        mine = component == k
        eps = torch.randn(int(mine.sum()), W.shape[1], generator=generator, dtype=x.dtype)
        z = m[mine] + eps @ torch.linalg.cholesky(C).T
        smooth[mine] = mu + z @ W.T
    eps = torch.randn(x.shape, generator=generator, dtype=x.dtype)
    draw = smooth + model.noise[component].sqrt()[:, None] * eps
    pictures = [torch.where(seen, x, picture) for picture in (draw, smooth, mean)]
    return Completion(*pictures, weights, component)


# %% [markdown]
# **EM again.**
# E-step: responsibilities from (8), and for each image and component the moments of $z$ from (9) with everything seen.
# M-step: with $z$ known, $x=[W\ \mu]\binom z1+\text{noise}$ is *linear regression*; EM does it with expected sums in place of sums.
# Let $\hat z=\binom m1$ and $\langle\hat z\hat z^\top\rangle=\hat z\hat z^\top+\binom{C\ 0}{0\ 0}$.
# Setting the derivative of the expected squared error to zero,
#
# $$[W_k\ \mu_k]=\Bigl(\sum_nr_{nk}\,x_n\hat z_n^\top\Bigr)\Bigl(\sum_nr_{nk}\langle\hat z_n\hat z_n^\top\rangle\Bigr)^{-1},\qquad
# \sigma_k^2=\frac1{d\,N_k}\Bigl(\sum_nr_{nk}\lVert x_n\rVert^2-\operatorname{tr}\bigl([W_k\ \mu_k]\textstyle\sum_nr_{nk}\hat z_nx_n^\top\bigr)\Bigr). \tag{10}$$
#
# The bound (5) holds with $(k,z)$ as the latent, so this never falls either.
# The start is k-means (section 6) and a PCA of each group.
# Pixels are *dequantised*, $(v+u)/256$ with grey level $v$ and $u$ uniform in $[0,1)$, so that a density makes sense.


# %%
def dequantised(split, seed=0):
    """Images as rows in [0, 1) with uniform noise of one grey level: float32 (N, 784)."""
    u = torch.rand(len(split), 784, generator=torch.Generator().manual_seed(seed))
    return (split.x.flatten(1) + u) / 256


# %%
def kmeans_start(model, x, steps=10):
    """Fill the model with k-means groups and the leading principal directions of each."""
    torch.manual_seed(0)  # for svd_lowrank
    K, _, r = model.factors.shape
    centres = start(x, K, seed=0)[1]
    for _ in range(steps):
        nearest, centres = kmeans_step(x, centres)
    for k in range(K):
        group = x[nearest == k]
        centred = group - group.mean(0)
        _, scale, directions = torch.svd_lowrank(centred, q=r)
        variance = scale.square() / len(group)
        left_over = centred.square().sum() / len(group) - variance.sum()
        noise = left_over / (x.shape[1] - r)
        model.weights[k] = len(group) / len(x)
        model.means[k] = group.mean(0)
        model.noise[k] = noise
        model.factors[k] = directions * (variance - noise).clamp(min=0).sqrt()


# %%
def em_on_images(model, x):
    """One EM step, equation (10), in place; returns the mean log-likelihood before it."""
    log_r, log_px = checked_resp(torch.zeros(()), model.log_joint(x))
    r = model.factors.shape[2]
    for k in range(len(model.weights)):
        mine = log_r[:, k] > -14  # a responsibility under a millionth does not count
        resp = log_r[mine, k, None].exp()  # (n, 1)
        images = x[mine]  # (n, d)
        m, C = checked_latent(images, model.means[k], model.factors[k], model.noise[k])
        z = torch.cat([m, torch.ones_like(m[:, :1])], 1)  # (n, r + 1)
        zz = z.T @ (resp * z)
        zz[:r, :r] += resp.sum() * C
        xz = images.T @ (resp * z)  # (d, r + 1)
        both = torch.linalg.solve(zz, xz.T).T  # [W μ], (d, r + 1)
        squares = resp[:, 0] @ images.square().sum(1)
        model.noise[k] = (squares - (both * xz).sum()) / (x.shape[1] * resp.sum())
        model.factors[k] = both[:, :r]
        model.means[k] = both[:, r]
    model.weights.copy_(log_r.exp().mean(0))
    return float(log_px.mean())


# %% [markdown]
# Forty components of rank 13: 440 thousand numbers, about as many as the small network of lesson 00 has.
# **Predict:** how many EM steps until the curve is flat?
# The half-hidden digit of the opening figure is completed when they are done.

# %%
mnist = cu.mnist()
train_split = mnist.train.sample(cu.budget(55_000))
val_split = mnist.val.sample(cu.budget(5_000))
train = dequantised(train_split)
val = dequantised(val_split)
right_half = torch.arange(784) % 28 >= 14  # what is seen; the left half is hidden
mine = cu.my_digit().flatten()[None] / 255  # (1, 784)

# %%
model = PPCAMixture(K=40, r=13)
kmeans_start(model, train)
values = [em_on_images(model, train) for _ in range(cu.budget(12, full=60))]
print("training nats per image before each EM step:", *[f"{value:.1f}" for value in values])
own_nats = float(model.log_joint(val).logsumexp(1).mean())

# %% [markdown]
# The k-means start has 518.8 nats, the first EM step brings 18.5 more, the eleventh 0.3: k-means had found the groups, EM adjusts who shares what.
# Sixty steps made the run that ships with the course; the lesson goes on with its weights, so that the numbers in the text are the ones you see.


# %%
def sample_images(model, n, seed=0):
    """n images drawn from the model: nothing seen, everything completed."""
    nothing = torch.zeros(784, dtype=torch.bool)
    return complete(model, torch.zeros(n, 784), nothing, torch.Generator().manual_seed(seed))


# %% tags=["author"]
def as_images(x):
    """Rows in about [0, 1] as uint8 images (N, 28, 28)."""
    return cu.to_uint8(x.clamp(0, 1)).view(-1, 28, 28)


@cache
def whole():
    """5,000 images drawn from the trained model."""
    return sample_images(model, 5_000)


def measured():
    """The figures on the card, with tolerances."""
    return {
        "EM steps": (len(values), 0),
        "validation nats": (own_nats, 1.0),
        "Fréchet distance": (cu.metrics.quality(as_images(whole().draw)).distance, 15.0),
        "Fréchet distance before pixel noise": (
            cu.metrics.quality(as_images(whole().smooth)).distance,
            6.0,
        ),
    }


def half_a_digit():
    """The visible half of the digit and eight completions: the opening figure."""
    generator = torch.Generator().manual_seed(0)
    eight = complete(model, mine.expand(8, -1), right_half, generator, doubt=0.3).smooth
    frame = as_images(torch.cat([mine * right_half, eight]))
    return frame[None], torch.tensor([len(values)])


cu.ship(
    "02_mixture",
    model,
    what="a mixture of 40 Gaussians of low rank (lesson 02)",
    figures=measured,
    samples=lambda: as_images(whole().draw[:1000]),
    replay=half_a_digit,
)

# %%
shipped = cu.restore("02_mixture", model)  # sixty EM steps of the same cells
shipped_nats = float(model.log_joint(val).logsumexp(1).mean())
cu.facts("validation nats, yours", own_nats, "shipped", shipped_nats, digits=4)

# %% [markdown]
# The mixture enters the arena of lesson 07: how to draw from it, what a training step is (one EM step), and how many numbers one must keep.


# %%
def draw_digits(n):
    """n images from the mixture, others each time."""
    seed = torch.randint(2**31, ()).item()
    return sample_images(model, n, seed).draw.clamp(0, 1).view(n, 28, 28)


learner = copy.deepcopy(model)
cu.enter(
    "02_mixture",
    draw_digits,
    step=lambda: em_on_images(learner, train),
    steps=60,
    numbers=model,
)

# %% [markdown]
# **Component by component.**
# Left the mean of a component, then draws of $z$ painted without pixel noise, and last one full draw with it.
# **Predict:** what do the directions $W_k$ do to a digit: change its class, its slant, its thickness, or move it?


# %%
def tour(k, generator):
    """Mean of component k, eight draws without pixel noise, the last one with it: (10, 784)."""
    z = torch.randn(8, 13, generator=generator)
    images = model.means[k] + z @ model.factors[k].T
    eps = torch.randn(1, 784, generator=generator)
    noisy = images[-1:] + model.noise[k].sqrt() * eps
    return torch.cat([model.means[k, None], images, noisy])


generator = torch.Generator().manual_seed(1)
shown = model.weights.argsort(descending=True)[::5]  # 8 of the 40, from heaviest to lightest
panels = torch.cat([tour(k, generator) for k in shown])

# %% tags=["figure", "slide"]
# @title Figure: eight of forty components
fig, ax = plt.subplots(figsize=(9, 6.6))
names = []
for k in shown:
    names.append(f"{float(model.weights[k]):.1%}, σ {float(model.noise[k].sqrt()):.2f}")
cu.plots.image_grid(
    panels.clamp(0, 1).view(-1, 28, 28),
    cols=10,
    titles=["mean", *["z"] * 8, "+ noise"],
    row_titles=names,
    ax=ax,
)
cu.show(
    fig,
    "Eight of forty components, one a row with its weight and pixel noise: mean, eight draws "
    "without pixel noise, and the last of them with it.",
)
floor, _ = cu.metrics.floor(cu.budget(5_000))
cu.facts(
    {
        "Fréchet distance of 5,000 draws": f"{shipped.figure('Fréchet distance'):.0f}",
        "before pixel noise": f"{shipped.figure('Fréchet distance before pixel noise'):.0f}",
        "real against real": f"{floor:.2f}",
        "smallest pixel noise σ": f"{model.noise.min().sqrt():.3f}",
        "largest pixel noise σ": model.noise.max().sqrt(),
    }
)

# %% [markdown]
# The directions change slant, thickness and the length of strokes, and in most rows not the class: a component is one way of writing one digit.
# The exceptions: the first row, the heaviest, is a catch-all for images that no other component wants, with a blot for a mean and the largest σ;
# the second turns a 5 into a 3 now and then; the last wavers between 9 and 7.
# Along a direction ink *fades* from one place to another, since $\mu+Wz$ is linear: where a real stroke would bend, these grow ghosts.
# The last column shows what the model really claims: the same σ on every pixel, paper included.
# The eye forgives the speckle, the ruler (Card 7) does not: the Fréchet distance is 327 for draws and 60 before the pixel noise, where real digits have 0.30.
# The draw with noise is the honest sample, and it is what the arena stores; the smooth one is a *mean given $z$*.
# Lesson 04 meets the same pair again as "draw" and "decoder mean".

# %% [markdown]
# **Half a digit.**
# Your digit, or the course's, with its left half hidden; eight exact completions, each labelled with the posterior weight of the component that was drawn.
# The two rows differ in one number, which the next paragraphs explain.
# **Bet:** how many different digits will each row show?


# %%
def completions(model, image, seen, doubt, n=8, seed=2):
    """n exact completions of one image (1, 784)."""
    generator = torch.Generator().manual_seed(seed)
    return complete(model, image.expand(n, -1), seen, generator, doubt)


as_fitted = completions(model, mine, right_half, doubt=0.0)
doubtful = completions(model, mine, right_half, doubt=0.3)


# %% tags=["figure", "slide"]
# @title Figure: eight completions, with two degrees of trust
def strip(image, seen, done):
    """Digit, seen pixels, mean and completions; titles with each component's weight."""
    titles = ["digit", "seen", "mean"]
    titles += [f"{float(done.weights[i, k]):.0%}" for i, k in enumerate(done.component)]
    pictures = torch.cat([image, image * seen, done.mean[:1], done.smooth]).clamp(0, 1)
    return pictures.view(-1, 28, 28), titles


upper, upper_titles = strip(mine, right_half, as_fitted)
lower, lower_titles = strip(mine, right_half, doubtful)
fig, ax = plt.subplots(figsize=(12, 2.7))
cu.plots.image_grid(
    torch.cat([upper, lower]),
    rows=2,
    titles=upper_titles + lower_titles,
    row_titles=["as fitted", "doubt 0.3"],
    ax=ax,
)
cu.show(
    fig,
    "The digit, its visible half, the conditional mean, and eight completions with the "
    "posterior weight of the component each was drawn from; as fitted, and with doubt 0.3.",
)
sure = as_fitted.weights[0].sort(descending=True).values
unsure = doubtful.weights[0].sort(descending=True).values
cu.facts(
    {
        "as fitted: components above 1 %": int((sure > 0.01).sum()),
        "as fitted: the largest has": f"{sure[0]:.0%}",
        "doubt 0.3: components above 1 %": int((unsure > 0.01).sum()),
        "doubt 0.3: the largest has": f"{unsure[0]:.0%}",
        "doubt 0.3: the next has": f"{unsure[1]:.0%}",
    }
)

# %% [markdown]
# As fitted, the model is all but certain: one component has 96 % of the posterior, and the eight completions are one 3 in eight almost equal copies.
# With the doubt four components have more than 1 %, the largest 72 %, the next 23 %, and 3s stand beside 8s.
# Both rows are exact answers of a Gaussian mixture to "what could be on the left?"; they differ in how much the visible pixels are trusted.
# Which of the two certainties is *justified* can be measured.
#
# **How far off, and is a draw worse than the mean?**
# Let $x$ be the true hidden half and $x'$ an exact draw, both from $p(\cdot\mid x_s)$ and independent given $x_s$, with the common mean $m$.
# Expanding the square, the mixed term $2E[(x-m)^\top(m-x')]$ is zero, hence
#
# $$E\lVert x-x'\rVert^2=E\lVert x-m\rVert^2+E\lVert x'-m\rVert^2=2\,E\lVert x-m\rVert^2. \tag{11}$$
#
# Twice the squared error is $10\log_{10}2=3.01$ dB of PSNR (PSNR $=-10\log_{10}$ of the mean squared error for pixels in [0, 1]).
# **A perfect sampler scores 3 dB below the mean**, because the mean is the one answer that minimises squared error and is usually no digit at all.
# So the difference is a measurement: if a model's draws are *less* than 3 dB below its mean, the truth lies farther from the mean than its draws do, and the model is too sure of itself.
# **Predict:** on images that the model drew itself, and on test digits?


# %%
def psnr(x, target, hidden):
    """PSNR in dB of the hidden pixels of all images together: x, target (N, 784)."""
    return float(cu.metrics.psnr(x[None, :, hidden], target[None, :, hidden]))


def score(model, images, seen, doubt=0.0):
    """PSNR of mean and of one draw, their difference; component: certainty claimed, right."""
    done = complete(model, images, seen, torch.Generator().manual_seed(4), doubt)
    mean = psnr(done.mean, images, ~seen)
    draw = psnr(done.draw, images, ~seen)
    claimed = done.weights.max(1).values.mean()
    whole_image = model.log_joint(images).argmax(1)  # the component that all pixels choose
    right = (done.weights.argmax(1) == whole_image).double().mean()
    return [mean, draw, mean - draw, f"{claimed:.1%}", f"{right:.1%}"]


# %% [markdown]
# The same five numbers on two sets of images, and for comparison the PSNR of the mean image of all digits.

# %%
test = dequantised(mnist.test.sample(cu.budget(2_000)))
dreams = sample_images(model, len(test), seed=3).draw
mean_image = train.mean(0)
rows = []
for name, images in {"the model's own images": dreams, "test digits": test}.items():
    baseline = psnr(mean_image.expand_as(images), images, ~right_half)
    rows.append([name, baseline, *score(model, images, right_half)])

# %% tags=["figure", "slide"]
# @title Table: a draw against the mean, and a claim against the truth
columns = ["conditional mean, dB", "one draw, dB", "mean − draw, dB"]
columns += ["component: claimed", "right"]
cu.table(
    rows,
    ["images", "mean image, dB", *columns],
    "PSNR over the hidden left half; how sure the model is of the component, and how often "
    "it is the one that the whole image gets.",
    digits=2,
)

# %% [markdown]
# On its own images the model is right about everything: the difference is 3.03 dB, as (11) demands, and it is right about the component as often as it claims.
# On test digits both checks fail.
# The draws lie only 1.37 dB below the mean: the truth is farther from the mean than the model's own draws are.
# And of the component it is 99.3 % sure, but in only 76.0 % of the images is it the one that the whole image gets.
# **Why so sure?**
# Equation (7) says that, given $k$ and $z$, the residuals of the 392 seen pixels are *independent*.
# They are not: where a stroke is a little too far left, twenty neighbouring pixels disagree together, and the model counts twenty independent witnesses where there is one.
# The log-likelihoods differ by too many nats, and the softmax turns that into certainty.
# Even so the conditional mean is 1.2 dB better than the mean image: it is the first completion of the course that looks at the seen half.
#
# **A repair that fits into one number.**
# Trust each seen pixel less: add a variance, the *doubt*, to the noise of the seen pixels in (8) and (9).
# Everything stays exact, for a model in which the seen pixels carry extra noise.
# **Predict:** will a model that trusts its evidence less predict the hidden half better or worse?

# %%
doubts = cu.budget([0.0, 0.01, 0.03, 0.1, 0.3, 1.0], [0.0, 0.3])
by_doubt = {doubt: score(model, val[:2000], right_half, doubt) for doubt in doubts}
best = max(by_doubt, key=lambda doubt: by_doubt[doubt][0])  # the best conditional mean
mean, draw, apart, claimed, right = score(model, test, right_half, best)

# %% tags=["figure"]
# @title Table: six degrees of doubt
cu.table(
    [[doubt, *numbers] for doubt, numbers in by_doubt.items()],
    ["doubt", *columns],
    f"{len(val[:2000]):,} validation digits, left half hidden: the variance added to every "
    "seen pixel.",
    digits=2,
)
cu.facts(
    {
        "doubt chosen on validation digits": str(best),
        "test digits: conditional mean, dB": f"{mean:.2f}",
        "test digits: one draw, dB": f"{draw:.2f}",
        "test digits: mean − draw, dB": f"{apart:.2f}",
        "test digits: component claimed": claimed,
        "test digits: component right": right,
    }
)

# %% [markdown]
# Better: at a doubt of 0.3 the conditional mean has gained 1.7 dB, and mean and draw are 2.65 dB apart, not far from the 3.01 of a model that knows how wrong it is (on test digits 14.88 and 12.24 dB).
# At 1.0 the difference is right, but the mean loses again: what the seen half says is thrown away.
# Doubt makes the model more modest, not cleverer.
# Its claim falls from 99.5 to 89 %, yet it names the component of the whole image in 68.5 % of the cases instead of 77 %.
# A cure would be a model of how neighbouring pixels err *together* (lessons 03 and 04).
# The same trick is called tempering elsewhere.


# %% tags=["figure", "slide"]
# @title Widget: hide a part of a digit
def draw_inpainting(hide="left", share=0.5, digit="mine", doubt=0.3):
    """The digit, what is seen, the mean, six completions and the weights of all components."""
    row = torch.arange(784) // 28
    col = torch.arange(784) % 28
    distance = {"left": col, "right": 27 - col, "top": row, "bottom": 27 - row}[hide]
    seen = distance >= round(28 * share)
    image = mine if digit == "mine" else mnist.test.only(int(digit))[:1].flat()
    done = completions(model, image, seen, doubt, n=6, seed=0)
    pictures, titles = strip(image, seen, done)
    fig, (upper, lower) = plt.subplots(2, 1, figsize=(9, 3.6), height_ratios=(1.5, 1))
    cu.plots.image_grid(pictures, rows=1, titles=titles, ax=upper, note=False)
    lower.bar(range(1, 41), done.weights[0])
    lower.set(xlabel="component", ylabel="p(k given seen)", ylim=(0, 1))
    return fig


cu.explore(
    draw_inpainting,
    "A digit with a part hidden, the conditional mean, six exact completions with the "
    "posterior weight of their component, and all forty weights.",
    hide=["left", "right", "top", "bottom"],
    share={"min": 0.0, "max": 1.0, "step": 0.125, "value": 0.5, "label": "hidden share"},
    digit=["mine", *"0123456789"],
    doubt=[0.3, 0.0, 0.01, 0.03, 0.1, 1.0],
)

# %% [markdown]
# Slide the hidden share from 0 to 1: the forty bars go from one spike to the prior weights, the mean from the digit itself to the grey average of all digits, and the draws from one image to forty kinds.
# That path is a curve of *what is left to decide*.
# Choose doubt 0 and go the same way: one bar stays above 95 % until seven eighths of the digit are hidden.

# %% [markdown]
# ## 11 · An exact likelihood, and a classifier for free *(deeper)*
#
# The mixture is one of the few models of the course whose density of an image is **exact**.
# Convention, for all lessons: pixels $(v+u)/256$ in $[0,1)$, so the density of grey levels is $256^{-784}$ times the density here, and **bits per dimension** $=-\log p(x)/(784\log2)+8$; the uniform density has 8.
# **And Bayes' rule turns densities into a classifier** (lesson 01): fit one mixture to each class, $p(y\mid x)\propto p(y)\,p(x\mid y)$.
# Five components of rank 20 a class, ten EM steps, no gradient and no look at the other classes.
# A doubt is added to the noise, chosen on validation.
# **Predict** the test accuracy (one Gaussian a class, in lesson 01, had 97.4 % on validation digits) and the bits per dimension.


# %%
def class_joint(models, log_prior, x, doubt=0.0):
    """log p(x, y) for all classes, (N, 10): log prior (10,) plus each class's density."""
    log_px = [m.log_joint(x, doubt=doubt).logsumexp(1) for m in models]
    return log_prior + torch.stack(log_px, 1)


log_prior = train_split.y.bincount().div(len(train)).log()
n_components = cu.budget(5)
em_steps = cu.budget(10)
by_class = []
for label in range(10):
    class_model = PPCAMixture(K=n_components, r=20)
    images = train[train_split.y == label]
    kmeans_start(class_model, images)
    for _ in range(em_steps):
        em_on_images(class_model, images)
    by_class.append(class_model)

# %% [markdown]
# The doubt is chosen on validation digits, the accuracy read once on the test set.


# %%
def accuracy(x, y, doubt):
    """The share of images whose most probable class is y."""
    said = class_joint(by_class, log_prior, x, doubt).argmax(1)
    return float((said == y).double().mean())


test_split = mnist.test.sample(cu.budget(10_000))
test = dequantised(test_split)
on_validation = {d: accuracy(val, val_split.y, d) for d in (0.0, 0.003, 0.01, 0.03)}
best = max(on_validation, key=on_validation.get)
on_test = accuracy(test, test_split.y, best)
facts = []
for doubt, share in on_validation.items():
    facts += [f"validation digits, doubt {doubt}", f"{share:.2%}"]
cu.facts(*facts, f"{len(test):,} test digits, doubt {best}", f"{on_test:.2%}")

# %%
single = PPCAMixture(K=1, r=13)
kmeans_start(single, train, steps=1)
log_densities = {
    "uniform": torch.zeros(1),
    "one PPCA, rank 13": single.log_joint(test).logsumexp(1),
    "40 PPCAs, rank 13 (shipped)": model.log_joint(test).logsumexp(1),
    "10 × 5 PPCAs, rank 20": class_joint(by_class, log_prior, test).logsumexp(1),
}

# %% tags=["figure"]
# @title Table: bits per dimension
rows = []
for name, log_px in log_densities.items():
    nats = float(log_px.mean())
    rows.append([name, nats, cu.metrics.bits_per_dimension(-nats, 784)])
cu.table(
    rows,
    ["model", "log p(x), nats", "bits per dimension"],
    f"Exact log-densities of {len(test):,} dequantised test digits.",
    digits=2,
)

# %% [markdown]
# Ten densities that have never heard of each other classify 97.5 % of the test digits, where the network behind the ruler of Card 7, trained to do nothing else, has 99.7 %.
# On validation digits, five components with 20 directions each gain half a point over lesson 01's single Gaussian with 50:
# the hidden choice *within* a class (a 7 with a bar, a 7 without) does more than thirty further directions.
# As a compressor the model is poor: 7.0 bits for a pixel with forty components, 6.8 with fifty of higher rank, where the per-place histograms of Card 5 need 1.69.
# The reason is the pixel noise.
# A Gaussian cannot put a spike on "exactly white":
# even a pixel whose mean is exactly right costs $8+\log_2(\sigma\sqrt{2\pi})$ bits, 4.8 for the smallest σ of the forty components, 0.043, and 6.9 for the largest, 0.187, and one σ must serve the empty margin as well as the strokes.
# **A good likelihood, good samples and good classification are three different things;** lesson 07 returns to this.

# %% [markdown]
# ## 12 · KL between two Gaussians *(deeper)*
#
# Lesson 04 needs one more closed form.
# With $a=N(\mu_a,\Sigma_a)$, $b=N(\mu_b,\Sigma_b)$ in $d$ dimensions, average $\log a-\log b$ over $a$.
# The quadratic form of $a$ itself averages to $E_a[(x-\mu_a)^\top\Sigma_a^{-1}(x-\mu_a)]=\operatorname{tr}(\Sigma_a^{-1}\Sigma_a)=d$.
# For that of $b$ write $x-\mu_b=(x-\mu_a)+(\mu_a-\mu_b)$;
# the mixed term averages to zero, which leaves $\operatorname{tr}(\Sigma_b^{-1}\Sigma_a)$ and the distance of the means:
#
# $$\mathrm{KL}(a\,\|\,b)=\tfrac12\Bigl[\operatorname{tr}(\Sigma_b^{-1}\Sigma_a)+(\mu_b-\mu_a)^\top\Sigma_b^{-1}(\mu_b-\mu_a)-d+\log\frac{|\Sigma_b|}{|\Sigma_a|}\Bigr]. \tag{12}$$
#
# **Exercise 4 (deeper).**
# Write (12).


# %% tags=["exercise"]
def kl_gaussians(mean_a, cov_a, mean_b, cov_b):
    """KL(N(mean_a, cov_a) ‖ N(mean_b, cov_b)) in nats, (12): (d,), (d, d), … → scalar."""
    ### BEGIN SOLUTION
    gap = mean_b - mean_a
    spread = torch.linalg.solve(cov_b, cov_a).trace()  # tr(Σ_b⁻¹ Σ_a), without an inverse
    distance = gap @ torch.linalg.solve(cov_b, gap)
    return 0.5 * (spread + distance - len(gap) + cov_b.logdet() - cov_a.logdet())
    ### END SOLUTION


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

# %% [markdown]
# Between the whole mixture and one Gaussian only an average over draws is left.

# %%
draws = cu.budget(100_000)
x_new, _ = sample_mixture(weights, means, covs, draws, torch.Generator().manual_seed(0))
one_gaussian = MultivariateNormal(x.mean(0), x.T.cov())
gap = e_step(x_new, path[-1])[1] - one_gaussian.log_prob(x_new)
error = gap.std() / len(gap) ** 0.5
i, j = divmod(int((table - table.T).argmax()), 5)
cu.facts(
    {
        f"arms {i} and {j} of the pinwheel: KL({i} ‖ {j}), nats": table[i, j],
        f"KL({j} ‖ {i}), nats": table[j, i],
        "KL(mixture ‖ one Gaussian) by Monte Carlo, nats": (gap.mean(), error),
    }
)

# %% [markdown]
# Asymmetry is large where one ellipse is thin: the thin Gaussian finds the wide one plausible, the wide one finds the thin one absurd.
# Between whole mixtures the logarithm of a sum stays in the way, and only sampling helps.
# In lesson 04 $b$ is $N(0,I)$ and $a$ has a diagonal covariance, for which (12) is one line.

# %% [markdown]
# ## Recap *(core)*
#
# - *Write a mixture and draw from it:* a sum with weights, never a product; choose $k$, then $x$.
#   Completing an image is the same program with the die loaded by what is seen.
# - *Responsibilities in log-space:* one log-sum-exp gives $\log r$ and $\log p$; on images the terms are hundreds of nats apart.
# - *EM from the bound:* $\log p=\text{ELBO}+\mathrm{KL}$; E closes the gap, M lifts the ELBO, so $\log p$ never falls (asserted, and equal to scikit-learn's to ten digits).
# - *How it breaks:* a component alone on a point makes the likelihood infinite; a floor caps it.
#   Bad starts stick: one of six found all eight bumps.
#   The likelihood cannot choose $K$.
# - *Exact completion, and 3 dB:* a perfect draw has twice the squared error of the mean.
#   Ours are 1.4 dB apart on test digits, hence too sure; doubting the seen pixels brings them to 2.6.
#
# **What breaks, and why.**
# The pieces are flat.
# Inside a component an image is a mean plus a *linear* mix of thirteen pictures, so strokes fade in and out instead of bending, and what is left over is treated as noise that knows nothing of its neighbours.
# More components help slowly: each must learn by itself what a stroke is.
# **Next:** lesson 03 looks for one *curved* set of directions for all digits, a code from which a network paints;
# and it will come back here to sample the codes, with a Gaussian mixture.
#
# **References.**
# Dempster, Laird, Rubin: *Maximum Likelihood from Incomplete Data via the EM Algorithm*, 1977 ·
# Neal, Hinton: *A View of the EM Algorithm that Justifies Incremental, Sparse, and Other Variants*, 1998 (the bound) ·
# Tipping, Bishop: *Mixtures of Probabilistic Principal Component Analyzers*, 1999 ·
# Ghahramani, Hinton: *The EM Algorithm for Mixtures of Factor Analyzers*, 1996 (equation 10) ·
# Bishop: *Pattern Recognition and Machine Learning*, chapter 9, 2006 ·
# Richardson, Weiss: *On GANs and GMMs*, 2018 (mixtures of factor analysers on faces).
