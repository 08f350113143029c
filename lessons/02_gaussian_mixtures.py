# %% [markdown]
# # 02 Gaussian mixtures
#
# **Simple pieces and a hidden choice make a density that no single piece could.**
#
# One Gaussian per digit shape, a loaded die that picks one of them, and nothing else: that is a model which draws digits, gives every image an exact
# probability, and completes an image of which half is missing. No network, no gradient, a minute of training.
#
# **After this lesson you can** write a mixture density and draw from it · compute responsibilities by Bayes in log-space · derive EM from the bound
# $\log p=\text{ELBO}+\mathrm{KL}$ and say why it never falls · show how it breaks and repair it · complete a half-hidden image exactly, and say why a perfect draw scores 3 dB below the mean.
#
# **Builds on** 01 (Bayes, log-sum-exp, marginals of a Gaussian); Appendix A, Cards 3 (log-sum-exp), 4 (Gaussians) and 5 (KL). **Runs** in about MINUTES minutes on two CPU cores. Sections 1–4, 8 and 10 are *core*, the others *deeper*.
#
# | letter | meaning | letter | meaning |
# |---|---|---|---|
# | $x$ | data, $N$ points in $d$ dimensions | $w_k$ | weight of component $k$ of $K$, $\sum_k w_k=1$ |
# | $k,\ z$ | latent: which component; place within it | $\mu_k, \Sigma_k$ | mean and covariance of component $k$ |
# | $r_{nk}$ | responsibility $p(k\mid x_n)$ | $W_k$ ($d\times r$), $\sigma_k^2$ | factors and pixel noise: $\Sigma_k=W_kW_k^\top+\sigma_k^2I$ |
# | $p_\theta$, $q$ | model, any distribution over the latent | $\varepsilon$ | noise, $N(0, I)$ |

# %% tags=["setup"]
import math
import warnings
from collections import namedtuple
from functools import cache

import matplotlib.colors
import matplotlib.pyplot as plt
import torch
from sklearn.mixture import GaussianMixture
from torch import nn
from torch.distributions import Categorical, LowRankMultivariateNormal, MultivariateNormal, kl_divergence

import course_utils as cu

device = cu.setup()

# %% [markdown]
# ### What you will have made
# The left half of a digit is hidden from the model. **Predict:** which digits fit the half that is left? Write down two and your odds, then look.

# %% slideshow={"slide_type": "slide"}
shipped = cu.runs.load("02_mixture")
frames, _ = shipped.replay  # (T, 9, 28, 28): the visible half and eight completions, at T moments of the training
ax = cu.plots.image_grid(frames[-1], rows=1, titles=["seen", *"12345678"])
cu.show(ax.figure, "The visible right half of the course's digit, and eight completions that the shipped mixture draws.")

# %% [markdown]
# Eight draws, eight different images, and every one agrees with the half that is seen: this is the first model of the course that says "either this or that". It is built here from a sum, a choice, and Bayes' rule.

# %% [markdown]
# ## 1 · A sum, not a product *(core)*
#
# A **Gaussian mixture** is a weighted *sum* of Gaussian densities,
#
# $$p(x)=\sum_{k=1}^K w_k\,N(x;\mu_k,\Sigma_k),\qquad w_k\ge0,\ \sum_k w_k=1. \tag{1}$$
#
# It integrates to one because the integral of a sum is the sum of the integrals: $\int p=\sum_k w_k\cdot1=1$. Many slides print a product sign here. What would the product be? For two pieces in 1-D the exponents add,
# $-\frac{(x-\mu_1)^2}{2\sigma_1^2}-\frac{(x-\mu_2)^2}{2\sigma_2^2}$, and a sum of two parabolas is a parabola. Collecting $x^2$ and $x$ and completing the square gives
#
# $$N(x;\mu_1,\sigma_1^2)\,N(x;\mu_2,\sigma_2^2)=\underbrace{N(\mu_1;\mu_2,\sigma_1^2+\sigma_2^2)}_{c,\ \text{without }x}\,N(x;m,s^2),\qquad
# \frac1{s^2}=\frac1{\sigma_1^2}+\frac1{\sigma_2^2},\quad \frac m{s^2}=\frac{\mu_1}{\sigma_1^2}+\frac{\mu_2}{\sigma_2^2}. \tag{2}$$
#
# The factor $c$ is what is left over. **Predict** before the figure: pieces at $-2$ and $2$ with standard deviations 0.7 and 1. Where does the product have its peak, how many peaks, and is its integral larger or smaller than one?

# %% slideshow={"slide_type": "slide"}
grid = torch.linspace(-8, 8, 1601, dtype=torch.float64)
step = float(grid[1] - grid[0])


def bell(x, mean, std):
    """N(x; mean, std²) in 1-D, any shapes that broadcast."""
    return torch.exp(-0.5 * ((x - mean) / std) ** 2) / (std * math.sqrt(2 * math.pi))


first, second = bell(grid, -2, 0.7), bell(grid, 2, 1.0)
mixture, product = 0.6 * first + 0.4 * second, first * second
s2 = 1 / (1 / 0.49 + 1)
claimed = bell(torch.tensor(-2.0), 2.0, math.sqrt(1.49)) * bell(grid, s2 * (-2 / 0.49 + 2), math.sqrt(s2))  # equation (2)
torch.testing.assert_close(product, claimed.double(), atol=1e-8, rtol=1e-5)
fig, (left, right) = plt.subplots(1, 2, figsize=(10.5, 3.8))
left.fill_between(grid, mixture, color="#cccccc", label="the sum, p(x)")
for k, (weight, piece) in enumerate([(0.6, first), (0.4, second)]):
    left.plot(grid, weight * piece, label=f"{weight} × piece {k + 1}")
right.plot(grid, product, color=cu.plots.PALETTE[2], label="the product")
left.set_title(f"Two peaks, integral {mixture.sum() * step:.4f}")
right.set_title(f"One peak, integral {product.sum() * step:.4f}")
for ax in (left, right):
    ax.set(xlabel="x", ylabel="density" if ax is left else "product of densities", xlim=(-5, 6), ylim=(0, None))
    ax.legend()
cu.show(fig, "Left: two weighted Gaussian pieces and their sum. Right: the product of the same two pieces, on its own scale.")
print(f"the product peaks at {grid[product.argmax()]:.2f}, where the mixture has only {mixture[product.argmax()]:.3f}")

# %% [markdown]
# READ1

# %% [markdown]
# ## 2 · The hidden cause *(core)*
#
# Equation (1) is a marginal: it sums a joint distribution over something nobody recorded,
#
# $$p(x)=\sum_k p(k)\,p(x\mid k),\qquad p(k)=w_k,\quad p(x\mid k)=N(x;\mu_k,\Sigma_k).$$
#
# That reading is a recipe for **ancestral sampling**: draw the cause $k$ first, then $x$ given $k$, and forget $k$. Below are the two densities a mixture needs: one that draws, one that evaluates every piece at every point (by the Cholesky factor, Card 4).

# %%
def sample_mixture(weights, means, covs, n, generator):
    """n draws by ancestral sampling: choose k, then x = μ_k + L_k ε with L_k L_kᵀ = Σ_k; returns x (n, d), k (n,)."""
    k = torch.multinomial(weights, n, replacement=True, generator=generator)
    eps = torch.randn(n, means.shape[1], generator=generator, dtype=means.dtype)
    return means[k] + torch.einsum("nij,nj->ni", torch.linalg.cholesky(covs)[k], eps), k


def log_gaussians(x, means, covs):
    """log N(x_n; μ_k, Σ_k) for every point and component: x (N, d), means (K, d), covs (K, d, d) → (N, K)."""
    L = torch.linalg.cholesky(covs)  # (K, d, d); fails if a Σ_k is singular
    u = torch.linalg.solve_triangular(L, (x[None] - means[:, None]).mT, upper=False)  # (K, d, N)
    log_det = L.diagonal(dim1=1, dim2=2).log().sum(1)  # (K,): half of log|Σ_k|
    return (-0.5 * u.square().sum(1) - log_det[:, None] - 0.5 * x.shape[1] * math.log(2 * math.pi)).T


toy = (torch.tensor([0.5, 0.3, 0.2]).double(), torch.tensor([[-1.5, 0.0], [1.0, 0.8], [1.0, -1.0]]).double(),
       torch.tensor([[[0.8, 0.5], [0.5, 0.6]], [[0.7, -0.4], [-0.4, 0.5]], [[0.4, 0.0], [0.0, 0.4]]]).double())  # fmt: skip
x_toy, k_toy = sample_mixture(*toy, n=600, generator=torch.Generator().manual_seed(0))
torch.testing.assert_close(log_gaussians(x_toy, *toy[1:]), MultivariateNormal(toy[1], toy[2]).log_prob(x_toy[:, None]))

# %% [markdown]
# Sampling runs from cause to data. Bayes' rule runs back: the **responsibility** of component $k$ for point $n$ is its posterior probability
#
# $$r_{nk}=p(k\mid x_n)=\frac{w_k\,N(x_n;\mu_k,\Sigma_k)}{\sum_j w_j\,N(x_n;\mu_j,\Sigma_j)},\qquad
# \log r_{nk}=\log w_k+\log N_{nk}-\underbrace{\log\textstyle\sum_j e^{\log w_j+\log N_{nj}}}_{\log p(x_n)}. \tag{3}$$
#
# The denominator is the density itself, so one log-sum-exp (Card 3) gives both: what the model thinks of the point, and whom it credits. On images the log-densities will be hundreds of nats apart; outside log-space every $N_{nk}$ would be 0 or ∞. Write (3).

# %% tags=["exercise"]
def responsibilities(log_weights, log_probs):
    """Equation (3) in log-space: log w (K,), log N (N, K) → log r (N, K) and log p(x) (N,)."""
    ### BEGIN SOLUTION
    log_joint = log_weights + log_probs  # (N, K): log p(x_n, k)
    log_px = log_joint.logsumexp(1)  # (N,)
    return log_joint - log_px[:, None], log_px
    ### END SOLUTION


# %% [markdown]
# **Predict:** in the figure below, which points will have mixed colours, and will the colour of a point always be that of the component which made it?

# %% slideshow={"slide_type": "slide"}
checked_resp = cu.check("02.responsibilities", responsibilities)
RGB = torch.tensor(matplotlib.colors.to_rgba_array(cu.plots.CLASS_COLOURS)[:, :3])  # (10, 3)


def draw_mixture(ax, x, params, resp=None):
    """Points coloured by their responsibilities (a mix of the components' colours) and the 2-σ ellipses."""
    colours = "#888888" if resp is None else (resp @ RGB[: resp.shape[1]]).clamp(0, 1).numpy()
    cu.plots.scatter(x, ax=ax, c=colours, s=9)
    for k, (mean, cov) in enumerate(zip(*params[1:], strict=True)):
        cu.plots.ellipse(mean, cov, ax, edgecolor=cu.plots.CLASS_COLOURS[k % 10])
    return ax


log_r, _ = checked_resp(toy[0].log(), log_gaussians(x_toy, *toy[1:]))
fig, axes = plt.subplots(1, 3, figsize=(12, 3.9), sharex=True, sharey=True)
titles = ["What we see: x", "What was drawn: k, then x", "What Bayes infers: p(k given x)"]
for ax, title, resp in zip(axes, titles, [None, nn.functional.one_hot(k_toy).double(), log_r.exp()], strict=True):
    draw_mixture(ax, x_toy, toy if resp is not None else (None, [], []), resp)
    ax.set_title(title)
cu.show(fig, "600 draws from a mixture of three Gaussians: without colour; coloured by the hidden choice; coloured by the responsibilities, with the 2-σ ellipses.")
unsure = (log_r.exp().max(1).values < 0.9).double().mean()
credited = (log_r.argmax(1) == k_toy).double().mean()
expected = log_r.exp().max(1).values.mean()
print(f"{unsure:.0%} of the points have no responsibility above 90 %; the likeliest component is the true cause for {credited:.1%}, where the responsibilities promise {expected:.1%}")

# %% [markdown]
# READ2

# %% [markdown]
# ## 3 · What fitting means *(core)*
#
# Choose $\theta$ to make the data likely. For many points the mean log-likelihood tends to an expectation under $p_\text{data}$, and adding a term that does not contain $\theta$ shows what is being minimised:
#
# $$\frac1N\sum_n\log p_\theta(x_n)\ \to\ E_{p_\text{data}}[\log p_\theta(x)]=-\mathrm{KL}(p_\text{data}\,\|\,p_\theta)+E_{p_\text{data}}[\log p_\text{data}(x)]. \tag{4}$$
#
# **Maximum likelihood is minimum KL**, in the *forward* direction (KL: Card 5). There are other distances one could minimise, and they fail differently when the model is too simple. Let $p$ be two bumps, 60 % at $-2$ and 40 % at $2$, and let $q$ be *one* Gaussian. Minimise over its mean and width
#
# - **forward** $\mathrm{KL}(p\,\|\,q)=\int p\log\frac pq$: the average is over data, so $q$ must not be small where data are;
# - **reverse** $\mathrm{KL}(q\,\|\,p)=\int q\log\frac qp$: the average is over the model's own samples, so $q$ must not be where no data are;
# - **Jensen–Shannon** $\mathrm{JS}=\frac12\mathrm{KL}(p\,\|\,m)+\frac12\mathrm{KL}(q\,\|\,m)$ with $m=\frac12(p+q)$: symmetric and never above $\log2$.
#
# There is no closed form for the last two, so we try every mean and width on a grid. **Predict** the three winners: between the bumps, or on one?

# %% slideshow={"slide_type": "slide"}
def kl_on_grid(a, b):
    """∫ a log(a/b) for densities on the grid, (..., G) → (...)."""
    return (torch.xlogy(a, a) - torch.xlogy(a, b.clamp(min=1e-300))).sum(-1) * step


n_means, n_stds = cu.budget((121, 56), (31, 15))
p = 0.6 * bell(grid, -2, 0.7) + 0.4 * bell(grid, 2, 0.7)
mean_q = torch.linspace(-3, 3, n_means, dtype=torch.float64)
std_q = torch.linspace(0.5, 3.25, n_stds, dtype=torch.float64)
q = bell(grid, mean_q[:, None, None], std_q[:, None])  # (means, stds, G)
m = 0.5 * (p + q)
distances = {"forward KL(p ‖ q)": kl_on_grid(p, q), "reverse KL(q ‖ p)": kl_on_grid(q, p),
             "Jensen–Shannon": 0.5 * kl_on_grid(p, m) + 0.5 * kl_on_grid(q, m)}  # each (means, stds)  # fmt: skip
fig, (left, right) = plt.subplots(1, 2, figsize=(11, 4.0))
left.fill_between(grid, p, color="#cccccc", label="p, two bumps")
rows = []
for name, value in distances.items():
    i, j = divmod(int(value.argmin()), n_stds)
    rows.append([name, float(mean_q[i]), float(std_q[j]), float(value.min())])
    left.plot(grid, q[i, j], label=name)
    right.plot(mean_q, value.min(1).values / value.min(1).values.max())
left.set(xlabel="x", ylabel="density", xlim=(-6, 6), ylim=(0, 0.85))
left.set_title("Forward covers, reverse seeks")
left.legend(fontsize=10.5)
right.set(xlabel="mean of q, its width chosen best", ylabel="distance / its largest value", ylim=(0, 1.05))
right.set_title("Where each distance has its minima")
cu.show(fig, "Left: two bumps and the one Gaussian that is closest in forward KL, reverse KL and Jensen–Shannon. Right: each distance against the mean of q, at the best width, scaled to its largest value.")
cu.table(rows, ["distance", "mean of best q", "std of best q", "distance, nats"])
print(f"mean and std of p itself: {(grid * p).sum() * step:.3f} and {((grid + 0.4) ** 2 * p).sum().mul(step).sqrt():.3f}; reverse on the left bump alone: log(1/0.6) = {math.log(1 / 0.6):.3f}")

# %% [markdown]
# READ3

# %% [markdown]
# ## 4 · EM *(core)*
#
# The log-likelihood $\sum_n\log\sum_k w_kN(x_n;\mu_k,\Sigma_k)$ has a sum *inside* the logarithm: setting its derivative to zero gives equations in which everything depends on everything. If we knew the hidden $k_n$, fitting would be a weekend exercise: one mean and one covariance per group. EM alternates between guessing the $k_n$ softly and fitting given the guess.
#
# **The bound.** Take any distribution $q(k)$ over the cause of one point. Multiply and divide, $p(x)=p(x,k)/p(k\mid x)$ for every $k$, then average over $q$:
#
# $$\log p(x)=\sum_kq(k)\log\frac{p(x,k)}{p(k\mid x)}=\underbrace{\sum_kq(k)\log\frac{p(x,k)}{q(k)}}_{\text{ELBO}(q,\theta)}+\underbrace{\sum_kq(k)\log\frac{q(k)}{p(k\mid x)}}_{\mathrm{KL}(q\,\|\,\text{posterior})\ \ge\ 0}. \tag{5}$$
#
# An equality, for every $q$. Since KL is never negative, the ELBO (*evidence lower bound*) lies below $\log p$; it touches exactly when $q$ is the posterior. Two moves follow.
# - **E-step**, $\theta$ fixed: set $q=p_\theta(k\mid x)$, the responsibilities (3). The KL is now 0, ELBO $=\log p_\theta$.
# - **M-step**, $q$ fixed: choose $\theta'$ that maximises the ELBO.
#
# **Why it never falls.** After the E-step $\log p_\theta(x)=\text{ELBO}(q,\theta)$. The M-step gives $\text{ELBO}(q,\theta')\ge\text{ELBO}(q,\theta)$. By (5) $\log p_{\theta'}(x)\ge\text{ELBO}(q,\theta')$. Chained: $\log p_{\theta'}(x)\ge\log p_\theta(x)$. No step size, no line search. All three lines hold for sums over points as well.

# %% [markdown]
# **The M-step in closed form.** With $q=r_{nk}$ fixed, $\sum_{nk} r_{nk}\log r_{nk}$ is a constant, and the ELBO is $\sum_{nk}r_{nk}\bigl[\log w_k+\log N(x_n;\mu_k,\Sigma_k)\bigr]$: the logarithm now meets each Gaussian alone. Write $N_k=\sum_nr_{nk}$ for the number of points a component owns.
#
# *Weights:* maximise $\sum_kN_k\log w_k$ subject to $\sum_kw_k=1$. With a Lagrange multiplier, $N_k/w_k=\lambda$ for all $k$; summing $N_k=\lambda w_k$ gives $\lambda=N$.
# *Means:* $\nabla_{\mu_k}=\Sigma_k^{-1}\sum_nr_{nk}(x_n-\mu_k)=0$.
# *Covariances:* write $S_k=\frac1{N_k}\sum_nr_{nk}(x_n-\mu_k)(x_n-\mu_k)^\top$. The terms with $\Sigma_k$ are $-\frac{N_k}2\bigl[\log|\Sigma_k|+\operatorname{tr}(\Sigma_k^{-1}S_k)\bigr]$; with $A=\Sigma_k^{-1}$ the derivative is $\frac{N_k}2(A^{-1}-S_k)$, zero at $\Sigma_k=S_k$. Together
#
# $$w_k=\frac{N_k}N,\qquad\mu_k=\frac1{N_k}\sum_nr_{nk}x_n,\qquad\Sigma_k=\frac1{N_k}\sum_nr_{nk}(x_n-\mu_k)(x_n-\mu_k)^\top. \tag{6}$$
#
# Counting, with fractions of points. Write the first two; the covariance follows in the next cell.

# %% tags=["exercise"]
def weights_and_means(x, resp):
    """M-step of weights and means, equation (6): x (N, d), responsibilities (N, K) → w (K,), μ (K, d)."""
    ### BEGIN SOLUTION
    owned = resp.sum(0)  # (K,): N_k
    return owned / len(x), resp.T @ x / owned[:, None]
    ### END SOLUTION


# %%
checked_wm = cu.check("02.m_step", weights_and_means)


def e_step(x, params):
    """Equation (3): log responsibilities (N, K) and log p(x) (N,) under params = (w, μ, Σ)."""
    return checked_resp(params[0].log(), log_gaussians(x, *params[1:]))


def m_step(x, resp, floor=0.0):
    """Equation (6); `floor` is added to the variances (0: exact maximum likelihood). Returns params (w, μ, Σ)."""
    weights, means = checked_wm(x, resp)
    centred = x[:, None] - means  # (N, K, d)
    covs = torch.einsum("nk,nki,nkj->kij", resp, centred, centred) / resp.sum(0)[:, None, None]
    return weights, means, covs + floor * torch.eye(x.shape[1], dtype=x.dtype)


def start(x, K, seed):
    """Equal weights, K random data points as means, the covariance of all data for everyone."""
    pick = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))[:K]
    return torch.full((K,), 1 / K, dtype=x.dtype), x[pick], x.T.cov().repeat(K, 1, 1)


def em(x, params, steps, floor=0.0):
    """Run EM; returns all parameters (steps + 1) and the mean log-likelihood of each."""
    path, values = [params], []
    for _ in range(steps):
        log_r, log_px = e_step(x, path[-1])
        values.append(float(log_px.mean()))
        path.append(m_step(x, log_r.exp(), floor))
    return path, [*values, float(e_step(x, path[-1])[1].mean())]


# %% [markdown]
# The data are the five twisted arms of `pinwheel`, in double precision, without labels. **Predict:** five components start as five copies of one wide ellipse with different centres. What breaks the tie, and after how many of 60 steps is the picture settled?

# %% slideshow={"slide_type": "slide"}
x = cu.pinwheel(1_000).double()
path, values = em(x, start(x, 5, seed=SEED), steps=60)
falls = min(after - before for before, after in zip(values, values[1:], strict=False))
assert falls >= -1e-9, "EM without a floor never falls"
fig, axes = plt.subplots(1, 4, figsize=(13, 3.5), width_ratios=(1, 1, 1, 1.1))
for ax, t in zip(axes, (0, 5, 60), strict=False):
    draw_mixture(ax, x, path[t], e_step(x, path[t])[0].exp())
    ax.set(xlim=(-3.6, 3.6), ylim=(-3.6, 3.6), title=f"step {t}")
axes[3].plot(values, "o-", markersize=3)
axes[3].set(xlabel="EM step", ylabel="log p per point, nats", title="never falls")
cu.show(fig, "EM with five components on the pinwheel: points coloured by responsibility with 2-σ ellipses at steps 0, 5 and 60; the mean log-likelihood against the step.")
print(f"log p per point: {values[0]:.3f} at the start, {values[5]:.3f} after 5 steps, {values[20]:.3f} after 20, {values[60]:.3f} after 60; the smallest change of any step is {falls:+.1e}")

# %% [markdown]
# READ4

# %% [markdown]
# **The bound, computed.** Equation (5) can be checked number by number. Start with a poor guess, $q$ uniform, then alternate. Two curves: $\log p_\theta$ and $\text{ELBO}(q,\theta)$; the gap between them is a KL that we also compute on its own. **Predict** the shape: which curve moves in an E-step, which in an M-step?

# %% slideshow={"slide_type": "slide"}
params, log_q = path[0], torch.full((len(x), 5), -math.log(5), dtype=torch.float64)
rows = []  # (label, log p, ELBO, KL) after each half step, means over the points
for t in range(7):
    for half in ("start" if t == 0 else "M", "E"):
        if half == "M":
            params = m_step(x, log_q.exp())
        log_joint = params[0].log() + log_gaussians(x, *params[1:])
        log_r, log_px = e_step(x, params)
        log_q = log_r if half == "E" else log_q
        elbo = (log_q.exp() * (log_joint - log_q)).sum(1)
        kl = (log_q.exp() * (log_q - log_r)).sum(1)
        torch.testing.assert_close(elbo + kl, log_px, atol=1e-10, rtol=0)  # equation (5), for each point
        rows.append((half, float(log_px.mean()), float(elbo.mean()), float(kl.mean())))
labels, log_p, elbo, gap = zip(*rows, strict=True)
fig, ax = plt.subplots(figsize=(9, 4.2))
ax.fill_between(range(len(rows)), elbo, log_p, color="#E69F00", alpha=0.3, label="KL(q ‖ posterior)")
ax.plot(log_p, "o-", label="log p")
ax.plot(elbo, "s--", label="ELBO(q, θ)")
ax.set_xticks(range(len(rows)), labels)
ax.set(xlabel="half step", ylabel="nats per point", title="E closes the gap, M lifts the floor")
ax.legend(loc="lower right")
cu.show(fig, "log p and the ELBO after each half step of EM: they touch after every E-step; after an M-step the ELBO has risen, log p at least as much, and a gap has opened.")
print(f"gap at the start {gap[0]:.3f}, after E {gap[1]:.1e}, after M {gap[2]:.4f}, and after the sixth M {gap[12]:.4f} nats")

# %% [markdown]
# READ5

# %%
@cache
def em_path(K, seed):
    """Forty EM steps on 400 points of the pinwheel, remembered, so that the slider moves at once."""
    points = cu.pinwheel(400).double()
    return points, *em(points, start(points, K, seed), steps=40, floor=1e-3)


def draw_em(iteration=0, K=5, seed=0):
    """The points with responsibilities and ellipses at one iteration, and the log-likelihood so far."""
    points, path, values = em_path(K, seed)
    fig, (left, right) = plt.subplots(1, 2, figsize=(9.5, 4.2))
    draw_mixture(left, points, path[iteration], e_step(points, path[iteration])[0].exp())
    left.set(xlim=(-3.6, 3.6), ylim=(-3.6, 3.6), title=f"step {iteration}: {values[iteration]:.3f} nats per point")
    right.plot(values, color="#bbbbbb")
    right.plot(values[: iteration + 1], "o-", markersize=4)
    right.set(xlabel="EM step", ylabel="log p per point, nats", title="log-likelihood so far")
    return fig


cu.explore(draw_em, "Step through EM on the pinwheel: points in the mixed colours of their responsibilities, 2-σ ellipses, and the log-likelihood.",
           play=True, iteration=dict(min=0, max=40, value=8), K=(2, 8), seed=(0, 5))  # fmt: skip

# %% [markdown]
# Play once with $K=5$, then change the seed and play again: the same data, another ending. Plateaus in the curve are moments when two components compete for one arm; a rise follows when one of them gives way. With $K=2$ the ellipses are wide and share everything; with $K=8$ some arms are cut in two.
#
# ## 5 · The same answer as scikit-learn *(deeper)*
#
# A home-made algorithm needs a trusted witness. scikit-learn accepts our start (it wants inverse covariances) and the same number of steps, and must land in the same place.

# %%
params, steps = start(x, 5, seed=SEED), 60
witness = GaussianMixture(5, weights_init=params[0].numpy(), means_init=params[1].numpy(), reg_covar=0.0, tol=0.0,
                          precisions_init=torch.linalg.inv(params[2]).numpy(), max_iter=steps)  # fmt: skip
with warnings.catch_warnings():  # it would warn that 60 steps do not reach tol = 0
    warnings.simplefilter("ignore")
    witness.fit(x.numpy())
print(f"ours {values[-1]:.10f}, scikit-learn {witness.score(x.numpy()):.10f} nats per point")
assert abs(values[-1] - witness.score(x.numpy())) < 1e-4

# %% [markdown]
# READ6
#
# ## 6 · k-means is the limit *(deeper)*
#
# Give all components the same weight and the same spherical covariance $\sigma^2I$. Then (3) becomes $r_{nk}\propto e^{-\lVert x_n-\mu_k\rVert^2/2\sigma^2}$: a softmax of squared distances with temperature $2\sigma^2$. As $\sigma\to0$ the nearest centre takes all, and the M-step's mean becomes the mean of the points assigned: one step of **k-means**. The bound agrees: $-2\sigma^2\,\text{ELBO}\to\sum_n\min_k\lVert x_n-\mu_k\rVert^2$ plus a constant, the inertia that k-means lowers. **Predict:** at which $\sigma$ does one EM step differ from one k-means step by less than 1 % of the data's spread (about 1)?

# %%
def kmeans_step(x, centres):
    """One step of k-means: assign (N,) to the nearest centre, move centres (K, d) to the means of their points."""
    nearest = (x @ centres.T - 0.5 * centres.square().sum(1)).argmax(1)  # ‖x − c‖² without its constant ‖x‖²
    counts = torch.bincount(nearest, minlength=len(centres)).clamp(min=1)[:, None]
    return nearest, torch.zeros_like(centres).index_add_(0, nearest, x) / counts


centres = start(x, 5, seed=2)[1]
_, hard = kmeans_step(x, centres)
sigmas = torch.logspace(0.5, -2, 26).double()
sure, apart = [], []
for sigma in sigmas:
    covs = (sigma**2 * torch.eye(2).double()).repeat(5, 1, 1)
    log_r, _ = e_step(x, (torch.full((5,), 0.2).double(), centres, covs))
    sure.append(log_r.exp().max(1).values.mean())
    apart.append((checked_wm(x, log_r.exp())[1] - hard).norm(dim=1).max())
fig, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6))
left.semilogx(sigmas, sure)
left.set(xlabel="σ of every component", ylabel="largest responsibility, mean", title="Soft becomes hard")
right.loglog(sigmas, apart)
right.set(xlabel="σ of every component", ylabel="farthest mean from k-means'", title="EM step becomes k-means step")
cu.show(fig, "Left: mean of the largest responsibility against σ, from shared to all-or-nothing. Right: largest distance between the means after one EM step and after one k-means step.")
at = {s: min(range(26), key=lambda i: abs(float(sigmas[i]) - s)) for s in (1.0, 0.1, 0.01)}
print("; ".join(f"σ = {s}: largest responsibility {sure[i]:.3f}, means {apart[i]:.1e} apart" for s, i in at.items()))

# %% [markdown]
# READ7
#
# ## 7 · How many pieces? *(deeper)*
#
# The training likelihood cannot choose $K$: a larger mixture contains every smaller one. Two judges can. **Held-out log-likelihood** asks fresh data. **BIC** $=-2\sum_n\log p(x_n)+P\log N$ charges each of the $P=6K-1$ parameters ($K-1$ weights, $2K$ means, $3K$ covariances) half a $\log N$ nats and needs no fresh data; lower is better. 300 training points, five restarts for each $K$. **Predict:** the pinwheel has five arms. Will the judges say five?

# %%
few, fresh = cu.pinwheel(300, seed=1).double(), cu.pinwheel(5_000, seed=2).double()
sizes = cu.budget([1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 25], [1, 5, 12])
scores = torch.zeros(3, 5, len(sizes))  # train, held out, BIC; restarts; sizes
for j, K in enumerate(sizes):
    for seed in range(5):
        fits, trained = em(few, start(few, K, seed), steps=cu.budget(120, 10), floor=1e-3)
        held_out = float(e_step(fresh, fits[-1])[1].mean())
        scores[:, seed, j] = torch.tensor([trained[-1], held_out, -2 * 300 * trained[-1] + (6 * K - 1) * math.log(300)])
fig, (left, right) = plt.subplots(1, 2, figsize=(10.5, 3.9))
cu.plots.band(sizes, scores[0], left, "300 training points")
cu.plots.band(sizes, scores[1], left, "5,000 fresh points")
cu.plots.band(sizes, scores[2], right, "BIC")
left.set(xlabel="components K", ylabel="log p per point, nats", title="Training never objects")
right.set(xlabel="components K", ylabel="BIC (lower is better)", title="BIC, without fresh data")
cu.show(fig, "Left: log-likelihood of training and of held-out points against K; right: BIC. Lines are means of five restarts, bands one standard deviation.")
by_fresh, by_bic = sizes[int(scores[1].mean(0).argmax())], sizes[int(scores[2].mean(0).argmin())]
print(f"held-out data choose K = {by_fresh}, BIC K = {by_bic}; at K = {sizes[-1]} training says {scores[0, :, -1].mean():.2f}, fresh data {scores[1, :, -1].mean():.2f} nats per point")
print(f"spread over restarts at K = {by_fresh}: ± {scores[1].std(0)[sizes.index(by_fresh)]:.3f} nats")

# %% [markdown]
# READ8
#
# ## 8 · How it breaks *(core)*
#
# **The likelihood has no maximum.** Put the mean of one component exactly on a data point $x_1$ and let its width $\sigma$ shrink, while another component covers everyone else. The point itself contributes
# $\log\bigl(w_1(2\pi\sigma^2)^{-d/2}+\dots\bigr)\to+\infty$, and the other points lose at most a constant: their density stays above $w_2N(x;\mu_2,\Sigma_2)$. So "the" maximum likelihood estimate of a mixture does not exist; EM merely finds a *local* maximum, or falls into a hole of the other sign.
#
# **Predict:** below, one of three components starts narrow (σ = 0.03) on an outlying point. Without a floor EM must not fall. What will the log-likelihood do in ten steps, and what will 5,000 fresh points say about it?

# %% slideshow={"slide_type": "slide"}
def trapped(x):
    """Three components; the first is narrow and sits on the outermost point."""
    weights, means, covs = (t.clone() for t in start(x, 3, seed=0))
    means[0], covs[0] = x[x.norm(dim=1).argmax()], 0.03**2 * torch.eye(2)
    return weights, means, covs


def em_until_it_breaks(x, params, steps, floor):
    """EM that stops when a covariance is singular; returns params, log-likelihoods and the smallest σ a step."""
    values, widths = [], []
    for _ in range(steps):
        try:
            log_r, log_px = e_step(x, params)
        except torch.linalg.LinAlgError as error:
            print(f"floor {floor:g}, step {len(values)}: {str(error).split('(')[0].strip()} …")
            break
        values.append(float(log_px.mean()))
        widths.append(float(torch.linalg.eigvalsh(params[2]).min().sqrt()))
        last, params = params, m_step(x, log_r.exp(), floor)
    return last, values, widths


small = cu.pinwheel(200).double()
bad, good = (em_until_it_breaks(small, trapped(small), 40, floor) for floor in (0.0, 0.01))
fig, axes = plt.subplots(1, 4, figsize=(13, 3.5), width_ratios=(1, 1, 1.1, 1.1))
for ax, (params, _, _), title in zip(axes, (bad, good), ("no floor", "floor 0.01"), strict=False):
    draw_mixture(ax, small, params, e_step(small, params)[0].exp())
    ax.plot(*params[1][0], "x", color="black", markersize=12)
    ax.set(xlim=(-4, 4), ylim=(-4, 4), title=title)
for (_, value, width), label in zip((bad, good), ("no floor", "floor 0.01"), strict=True):
    axes[2].plot(value, "o-", markersize=4, label=label)
    axes[3].semilogy(width, "o-", markersize=4, label=label)
axes[2].set(xlabel="EM step", ylabel="log p per point, nats", title="The race upward")
axes[3].set(xlabel="EM step", ylabel="smallest σ of any ellipse", title="A point, not a cluster")
axes[2].legend()
cu.show(fig, "The same start twice: without a floor the marked component shrinks onto one point and the log-likelihood jumps; with a floor of 0.01 on the variances it grows into a cluster.")
held = [float(e_step(fresh, params)[1].mean()) for params, _, _ in (bad, good)]
print(f"training log p per point: {bad[1][-1]:.3f} without floor (smallest σ {bad[2][-1]:.0e}), {good[1][-1]:.3f} with; fresh points: {held[0]:.3f} and {held[1]:.3f}")

# %% [markdown]
# READ9

# %%
def step_of(floor):
    """One EM step with this floor as a button: a collapsed state stays as it is unless there is a floor to lift it."""

    def action(state):
        params, values = state
        lifted = params[2] + floor * torch.eye(2, dtype=torch.float64)
        try:
            log_r, log_px = e_step(small, (*params[:2], lifted))
        except torch.linalg.LinAlgError:
            return state
        return m_step(small, log_r.exp(), floor), [*values, float(log_px.mean())]

    return action


def draw_race(state):
    """Ellipses, and the log-likelihood so far."""
    params, values = state
    fig, (left, right) = plt.subplots(1, 2, figsize=(9, 4))
    draw_mixture(left, small, params).set(xlim=(-4, 4), ylim=(-4, 4))
    left.set_title(f"smallest σ: {float(torch.linalg.eigvalsh(params[2]).min().clamp(min=0).sqrt()):.1e}")
    right.plot(values, "o-")
    right.set(xlabel="EM step", ylabel="log p per point, nats", title="log-likelihood")
    return fig


cu.stepper((trapped(small), []), {"EM step, no floor": step_of(0.0), "Repair: EM step with floor": step_of(0.01)}, draw_race,
           "Ellipses of three components and the log-likelihood; the buttons make EM steps without and with a covariance floor.")  # fmt: skip

# %% [markdown]
# READ10 **The other trouble: where it starts.** EM climbs to the top of *its* hill. Six starts race on eight equal bumps, where eight components could be perfect. **Bet:** how many of six find all eight bumps?

# %% slideshow={"slide_type": "slide"}
eight = cu.eight_gaussians(600).double()
race = {seed: em(eight, start(eight, 8, seed), steps=cu.budget(100, 20), floor=1e-4) for seed in range(6)}
order = sorted(race, key=lambda seed: race[seed][1][-1])
fig, axes = plt.subplots(1, 3, figsize=(12.5, 3.9), width_ratios=(1.3, 1, 1))
for seed, (_, values) in race.items():
    axes[0].plot(values, label=f"seed {seed}: {values[-1]:.3f}")
axes[0].set(xlabel="EM step", ylabel="log p per point, nats", title="Six starts, one data set")
axes[0].legend(fontsize=10)
for ax, seed in zip(axes[1:], (order[0], order[-1]), strict=True):
    draw_mixture(ax, eight, race[seed][0][-1], e_step(eight, race[seed][0][-1])[0].exp())
    ax.set(xlim=(-3, 3), ylim=(-3, 3), title=f"{'worst' if seed == order[0] else 'best'}: seed {seed}")
cu.show(fig, "Log-likelihood of six EM runs on eight Gaussians; the final ellipses of the worst and of the best.")
ends = torch.tensor([values[-1] for _, values in race.values()])
found = int((ends > ends.max() - 0.01).sum())
print(f"end values from {ends.min():.3f} to {ends.max():.3f} nats per point; {found} of 6 are within 0.01 of the best")

# %% [markdown]
# READ11
#
# ## 9 · Gradient descent on the same likelihood *(deeper)*
#
# Nothing forces us to use EM. Free parameters are enough to let autograd climb $\log p$: weights as a softmax of logits, and each covariance as $L_kL_k^\top$ with the diagonal of $L_k$ stored as its logarithm, so that every value is legal. **Predict:** more or fewer steps than EM, and a better or worse end?

# %%
def climb(x, params, steps, lr):
    """Maximise the mean log-likelihood with Adam over logits, means and Cholesky factors; returns its values."""
    weights, means, covs = params
    L = torch.linalg.cholesky(covs)
    free = [weights.log(), means.clone(), L.diagonal(dim1=1, dim2=2).log(), L.tril(-1)]
    optimiser = torch.optim.Adam([t.requires_grad_() for t in free], lr=lr)
    values = []
    for _ in range(steps + 1):
        L = torch.diag_embed(free[2].exp()) + free[3].tril(-1)
        log_px = (free[0].log_softmax(0) + log_gaussians(x, free[1], L @ L.mT)).logsumexp(1).mean()
        values.append(float(log_px.detach()))
        optimiser.zero_grad()
        (-log_px).backward()
        optimiser.step()
    return values


n_steps = cu.budget(400, 10)
curves = {"EM": em(x, start(x, 5, seed=SEED), n_steps)[1]}
curves |= {f"Adam, step size {lr}": climb(x, start(x, 5, seed=SEED), n_steps, lr) for lr in (0.01, 0.05, 0.2)}
ax = cu.plots.curves(curves)
ax.set(xlabel="step (one pass over the data)", ylabel="log p per point, nats", xscale="symlog", title="EM needs no step size")
cu.show(ax.figure, "Mean log-likelihood of EM and of Adam with three step sizes from the same start, against the number of passes over the data.")
top = max(curves["EM"])
cu.table([[name, next((t for t, v in enumerate(c) if v > top - 0.01), None), c[-1], sum(b < a - 1e-9 for a, b in zip(c, c[1:], strict=False))] for name, c in curves.items()],
         ["method", "steps to 0.01 below EM's end", "end value", "steps that went down"], "EM against gradient ascent.")  # fmt: skip

# %% [markdown]
# READ12
