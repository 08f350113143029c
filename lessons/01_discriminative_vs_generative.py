# %% [markdown]
# # 01 Discriminative vs generative
#
# **Two models can classify equally well while only one of them knows what the data look like.**
#
# Run the cells down to the first picture.
# Twelve handwritten digits appear with nine of every ten pixels hidden.
# Write down the twelve digits that you read.
# At the end of section 5 two models take the same test: a neural network, and ten Gaussians that classify whole digits about as well as it does.

# %% tags=["setup"]
import time
import warnings
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.svm import LinearSVC
from torch import nn
from torch.distributions import LowRankMultivariateNormal, MultivariateNormal

import course_utils as cu

device = cu.setup()
# Some fits below stop early on purpose.
warnings.filterwarnings("ignore", message="(?s).*converge")

# %%
data = cu.mnist()
twelve = data.test.sample(12, seed=4)


def hide(fraction, seed=0):
    """A mask (784,), True where a pixel is seen; `fraction` of them, at random, are hidden."""
    draws = torch.rand(784, generator=torch.Generator().manual_seed(seed))
    return draws >= fraction


# %% tags=["figure", "slide"]
# @title Figure: twelve digits, nine in ten pixels hidden
def veil(x, seen):
    """Images (N, 784) as (N, 3, 28, 28): dark ink on white, hidden pixels pale blue."""
    blue = torch.tensor([0.72, 0.84, 0.95])[:, None]
    return torch.where(seen, 1 - x[:, None], blue).reshape(-1, 3, 28, 28)


_, ax = plt.subplots(figsize=(9, 3.4))
cu.plots.image_grid(veil(twelve.flat(), hide(0.9)), rows=2, ax=ax)
cu.show(
    ax.figure,
    "Twelve test digits. Pale blue: hidden pixels, nine in ten. White is paper, black is ink.",
)

# %% [markdown]
# **When you have finished you can**
# - compute the posterior p(y | x) from class densities without underflow;
# - prove that two Gaussians with one covariance give logistic regression, and say what the proof does not give;
# - draw a digit of a chosen class, and classify a digit that is mostly hidden, with one and the same model;
# - measure which kind of model needs fewer examples, where its assumptions hold and where they fail;
# - say when log p(x) notices an input from elsewhere, and when it is fooled.
#
# **Builds on** lesson 00 (a Gaussian over pixels, sampled by its Cholesky factor) and on what you know of logistic regression.
# **In class:** sections 1, 3, 4, 5 and 9.
# Sections marked *deeper* are for the curious and the exam.
#
# | symbol | meaning |
# |---|---|
# | x, y | an input (a point, or an image of d = 784 pixels); its class, one of 0 … K−1 |
# | p(y given x) | posterior: what a discriminative model learns |
# | p(x given y), π_k | class density; prior p(y = k). Their product is p(x, y): what a generative model learns |
# | μ_k, Σ | mean of class k; covariance |
# | w, b | weights and offset of a linear classifier; σ(a) = 1/(1 + e^(−a)) |
# | W_k, σ² | d × q matrix of the directions in which class k varies (q = 50); variance of the pixel noise |
# | z, ε | latent and noise, both standard normal |

# %% [markdown]
# ## 1 · One picture *(core)*
#
# A **discriminative** model learns p(y | x) and nothing else: given this x, which label?
# A **generative** one describes how each class produces its x, and gets the label from Bayes' rule:
#
# $$p(y=k \mid x) \;=\; \frac{p(x \mid y=k)\,\pi_k}{\sum_j p(x \mid y=j)\,\pi_j} \tag{1}$$
#
# On a computer this formula fails as it stands.
# The density of an image of 784 pixels is easily e^(−1000) or e^(+1000) (this lesson meets both signs).
# In floating point these are 0 and ∞, and neither 0/0 nor ∞/∞ is a probability.
# So one stays with logarithms.
# With $a_k = \log p(x \mid y=k) + \log \pi_k$,
#
# $$\log p(y=k \mid x) \;=\; a_k - \log \textstyle\sum_j e^{a_j}, \qquad
#   \log \textstyle\sum_j e^{a_j} = m + \log \textstyle\sum_j e^{a_j - m}, \quad m = \max_j a_j . \tag{2}$$
#
# The second identity holds for any m.
# With the largest a_j as m the largest term is e⁰ = 1, and only terms that do not matter can underflow.
# It is `torch.logsumexp` ([toolbox](A_toolbox.ipynb), Card 3).
#
# **Exercise 1 (core).**
# Write the posterior.
# Every model in this lesson that has a density uses your function.


# %% tags=["exercise"]
def posterior(log_lik, prior):
    """Equation (2): p(y = k | x) as (N, K).

    log_lik (N, K) holds log p(x | y = k); prior is (K,).
    """
    ### BEGIN SOLUTION
    a = log_lik + prior.log()
    return (a - a.logsumexp(dim=1, keepdim=True)).exp()
    ### END SOLUTION


# %%
checked_posterior = cu.check("01.posterior", posterior)

# %% [markdown]
# Now two classes in the plane, 150 points each, drawn from two Gaussians with the same covariance.
# Logistic regression is fitted to p(y | x).
# The generative model estimates two means and one shared covariance, which is called linear discriminant analysis (LDA), and then uses your function.
#
# **Predict before you run.**
# Both models see the same 300 points.
# Will the generative model's boundary be straight or curved?
# And what will each of them say about the place marked "?", where no data ever were?


# %%
def two_classes(n, means, covs, seed=0):
    """n points of each class from two Gaussians: x (2n, 2) float64 and y (2n,)."""
    generator = torch.Generator().manual_seed(seed)
    eps = torch.randn(2, n, 2, generator=generator, dtype=torch.float64)
    roots = torch.linalg.cholesky(torch.tensor(covs, dtype=torch.float64))
    x = torch.tensor(means)[:, None] + eps @ roots.mT  # (2, n, 2)
    y = torch.arange(2).repeat_interleave(n)
    return x.flatten(0, 1), y


tilted = [[1.0, 0.7], [0.7, 1.0]]
x2, y2 = two_classes(150, [[-1.0, 0.0], [1.0, 0.0]], [tilted, tilted])
far = torch.tensor([[3.5, -3.5]], dtype=torch.float64)  # the place marked "?"


# %%
def fit_gaussians(x, y, shared=True):
    """Means (2, d), covariances (2, d, d) and prior (2,); `shared` pools the covariance."""
    means = torch.stack([x[y == k].mean(0) for k in (0, 1)])
    if shared:
        pooled = torch.cov((x - means[y]).T)
        covs = torch.stack([pooled, pooled])
    else:
        covs = torch.stack([torch.cov(x[y == k].T) for k in (0, 1)])
    prior = torch.bincount(y).to(x) / len(y)
    return means, covs, prior


def class_log_lik(x, means, covs):
    """log p(x | y = k) as (N, 2)."""
    gaussians = [MultivariateNormal(mean, cov) for mean, cov in zip(means, covs)]
    return torch.stack([gaussian.log_prob(x.to(means)) for gaussian in gaussians], 1)


def bayes(x, means, covs, prior):
    """p(y = 1 | x) as (N,), from two Gaussians."""
    return checked_posterior(class_log_lik(x, means, covs), prior)[:, 1]


# %%
lda = fit_gaussians(x2, y2)
lda_means, lda_covs, lda_prior = lda

logistic = LogisticRegression(C=1e4).fit(x2.numpy(), y2.numpy())


def logistic_p1(model, x):
    """p(y = 1 | x) as (N,), from a fitted scikit-learn model."""
    return torch.from_numpy(model.predict_proba(x.double().numpy())[:, 1])


# %% tags=["figure", "slide"]
# @title Figure: two models of the same 300 points
def boundary(p1, lims, ax, colour="black"):
    """The curve where p(y = 1 | x) is one half."""
    style = {"filled": False, "colors": colour, "linewidths": 2.5}
    cu.plots.density(p1, lims, ax=ax, levels=[0.5], **style)


square_lims = (-4.5, 4.5)
fig, axes = plt.subplots(1, 2, figsize=(10, 4.8), sharex=True, sharey=True)
panels = (
    (partial(logistic_p1, logistic), "Logistic regression: a line"),
    (lambda x: bayes(x, *lda), "Two Gaussians: hills, and a line"),
)
for ax, (p1, title) in zip(axes, panels):
    cu.plots.scatter(x2, y2, ax=ax, s=14)
    boundary(p1, square_lims, ax)
    ax.text(*far[0], "?", fontsize=24, ha="center", va="center")
    ax.set_title(title)
    ax.legend(loc="upper left")
for mean, cov, colour in zip(lda_means, lda_covs, cu.plots.PALETTE):
    hill = MultivariateNormal(mean, cov)
    cu.plots.density(
        lambda x, hill=hill: hill.log_prob(x.double()).exp(),
        square_lims,
        ax=axes[1],
        levels=5,
        filled=False,
        colors=colour,
        linewidths=1.2,
    )
cu.show(
    fig,
    "The same 300 points twice. Left: the line where logistic regression says one half. "
    "Right: contours of the two class densities, and the line where Bayes' rule says one half.",
)

# %% [markdown]
# How far are the two lines turned against each other, and what do the models say at the question mark?
# Only the Gaussians can add the two joint densities of (1) up to p(x).

# %%
w_lda = torch.linalg.solve(lda_covs[0], lda_means[1] - lda_means[0])
w_logistic = torch.from_numpy(logistic.coef_[0])
cosine = F.cosine_similarity(w_logistic, w_lda, dim=0)
log_joint = class_log_lik(torch.cat([x2, far]), lda_means, lda_covs) + lda_prior.log()
log_p = log_joint.logsumexp(1)  # log p(x); the last entry is "?"
cu.facts(
    {
        "angle between the two lines, degrees": torch.rad2deg(torch.acos(cosine)),
        "at “?”, logistic regression says class 1": f"{logistic_p1(logistic, far).item():.4f}",
        "at “?”, the Gaussians say class 1": f"{bayes(far, *lda).item():.4f}",
        "log p(x) at “?”": f"{log_p[-1]:.0f}",
        "log p(x), 300 data points": f"{log_p[:-1].min():.1f} to {log_p[:-1].max():.1f}",
    }
)

# %% [markdown]
# The boundary on the right is straight although nobody asked for a line: it falls out of Bayes' rule, and it is almost exactly the line on the left.
# Both models hand out a label at "?" with full confidence.
# The difference is what else they can say.
# The left model is three numbers, two weights and an offset: how sure it is depends on the distance from the line and on nothing else.
# The right model is two densities, so it can call "?" absurd (log p(x) is far below that of any data point), and it can make new points.
# The price: it had to say what a class looks like, and it may be wrong about that.

# %% [markdown]
# ## 2 · Two objectives *(core)*
#
# *To read at home.*
#
# <details><summary><b>The two kinds side by side</b> (click to unfold)</summary>
#
# | | discriminative | generative |
# |---|---|---|
# | objective | predict | create (and, by Bayes' rule, predict) |
# | what is learned | p(y given x), or only the boundary | p(x, y) = p(x given y) p(y) |
# | output | for an x, a label or a number | for an x, how probable it is; without an x, a new one |
# | typical use | classify, rank, forecast | draw, complete, denoise, flag the unusual |
# | from unlabelled data | nothing | p(x) |
# | typical algorithms | k-nearest neighbours, logistic regression, support vector machine, random forest, gradient boosting, conditional random field | naive Bayes, Gaussian mixture, hidden Markov model, Bayesian network, variational autoencoder, GAN, diffusion |
#
# </details>
#
# Two remarks keep the table honest.
# From **unlabelled** data one learns p(x), not p(x, y): without labels there is no y to be joint with, and most models of this course are of that kind.
# And a classifier that outputs p(y | x) is itself a very simple *conditional generative model of y*: for an ambiguous 4 you can sample "4" seven times in ten and "9" three times.
# What it cannot do is turn around and give an x for a y.
# "Generative" is a statement about **which variable the model has a distribution for**.

# %% [markdown]
# ## 3 · The bridge, exactly *(core)*
#
# Why was the boundary straight?
# Take two classes with Gaussian densities and **one** covariance Σ, and look at the log-odds, which by (1) are
#
# $$\log\frac{p(y=1\mid x)}{p(y=0\mid x)}
#   = \log \mathcal N(x;\mu_1,\Sigma) - \log \mathcal N(x;\mu_0,\Sigma) + \log\frac{\pi_1}{\pi_0}. \tag{3}$$
#
# Each log-density is $-\tfrac12\log|2\pi\Sigma| - \tfrac12 (x-\mu_k)^\top\Sigma^{-1}(x-\mu_k)$.
# The first part is the same for both classes and cancels:
#
# $$ = -\tfrac12 (x-\mu_1)^\top\Sigma^{-1}(x-\mu_1) + \tfrac12 (x-\mu_0)^\top\Sigma^{-1}(x-\mu_0)
#   + \log\frac{\pi_1}{\pi_0}. \tag{4}$$
#
# Multiply out.
# Because Σ⁻¹ is symmetric, $x^\top\Sigma^{-1}\mu_k = \mu_k^\top\Sigma^{-1}x$, so
#
# $$(x-\mu_k)^\top\Sigma^{-1}(x-\mu_k)
#   = x^\top\Sigma^{-1}x - 2\,\mu_k^\top\Sigma^{-1}x + \mu_k^\top\Sigma^{-1}\mu_k. \tag{5}$$
#
# The quadratic term $x^\top\Sigma^{-1}x$ appears once with −½ and once with +½ and cancels too.
# This is the step that needs the shared covariance.
# What is left is linear in x:
#
# $$\log\frac{p(y=1\mid x)}{p(y=0\mid x)} = w^\top x + b,\qquad
# w = \Sigma^{-1}(\mu_1-\mu_0),\qquad
# b = -\tfrac12\mu_1^\top\Sigma^{-1}\mu_1 + \tfrac12\mu_0^\top\Sigma^{-1}\mu_0 + \log\frac{\pi_1}{\pi_0}. \tag{6}$$
#
# Call the log-odds a and write p for p(y = 1 | x).
# Then p/(1 − p) = eᵃ, that is p = eᵃ(1 − p), hence p(1 + eᵃ) = eᵃ and p = eᵃ/(1 + eᵃ) = 1/(1 + e⁻ᵃ) = σ(a):
#
# $$p(y=1\mid x) = \sigma(w^\top x + b). \tag{7}$$
#
# This is the formula of logistic regression.
# Nothing was approximated.
#
# **Exercise 2 (core).**
# Write w and b of equation (6); the assertion below uses them.
# Prefer `torch.linalg.solve(cov, v)` to the inverse: it is cheaper and loses fewer digits.


# %% tags=["exercise"]
def lda_line(mean0, mean1, cov, prior1):
    """Equation (6): w (d,) and scalar b.

    Means are (d,), the shared cov (d, d), prior1 = p(y = 1) is a float.
    """
    ### BEGIN SOLUTION
    w = torch.linalg.solve(cov, mean1 - mean0)
    log_odds = torch.tensor(prior1 / (1 - prior1), dtype=w.dtype).log()
    b = -0.5 * (mean1 + mean0) @ w + log_odds
    return w, b
    ### END SOLUTION


# %% tags=["slide"]
checked_lda_line = cu.check("01.lda", lda_line)


def bridge_gap(d):
    """Largest |σ(wᵀx + b) − p(y = 1 | x)| over 1,000 points, two Gaussians in d dimensions."""
    generator = torch.Generator().manual_seed(d)
    eps = torch.randn(1_002 + d, d, generator=generator, dtype=torch.float64)
    means, x, root = eps.split([2, 1_000, d])
    cov = root @ root.T / d + 0.5 * torch.eye(d, dtype=torch.float64)
    w, b = checked_lda_line(means[0], means[1], cov, 0.3)
    prior = torch.tensor([0.7, 0.3], dtype=torch.float64)
    exact = bayes(x, means, torch.stack([cov, cov]), prior)
    return (torch.sigmoid(x @ w + b) - exact).abs().max().item()


worst = max(bridge_gap(d) for d in (1, 2, 10, 50))
assert worst < 1e-5
print("Bayes with two Gaussians against σ(wᵀx + b), 4,000 points in 1 to 50 dimensions:")
print(f"they differ by {worst:.0e} at most.")

# %% [markdown]
# (The solution uses (μ₁ + μ₀)ᵀw = μ₁ᵀΣ⁻¹μ₁ − μ₀ᵀΣ⁻¹μ₀; multiply it out to see that the mixed terms cancel.)
#
# **If each class keeps its own covariance**, the quadratic terms no longer cancel.
# What remains of the log-odds is $-\tfrac12 x^\top(\Sigma_1^{-1}-\Sigma_0^{-1})\,x + (\Sigma_1^{-1}\mu_1-\Sigma_0^{-1}\mu_0)^\top x$ plus a constant, which now includes $-\tfrac12\log(|\Sigma_1|/|\Sigma_0|)$.
# The boundary, where this is 0, is a conic: an ellipse, a parabola, a hyperbola.
# This is quadratic discriminant analysis (QDA).
#
# **The identity fixes the form, not the fit.**
# Equation (7) says that LDA and logistic regression search the same set of functions σ(wᵀx + b).
# It does not say that they choose the same one.
# LDA chooses means and a covariance, and w follows; logistic regression chooses w so that the labels become likely.
# And the converse of (7) is false: a logistic posterior does not make the classes Gaussian (independent binary pixels give one too; section 6).
#
# **Predict.**
# On the right below, a quarter of class 1 has moved far away, to the lower right, deep on its own side.
# Does this harmless group change the line of logistic regression?
# The line of LDA?

# %%
wide = [[2.2, 0.0], [0.0, 2.2]]
narrow = [[0.25, 0.0], [0.0, 0.25]]

xq, yq = two_classes(150, [[0.0, 0.0], [1.0, 0.6]], [wide, narrow], seed=2)
qda = fit_gaussians(xq, yq, shared=False)

xo, yo = two_classes(150, [[-1.0, 0.0], [1.0, 0.0]], [narrow, narrow], seed=3)
xo[262:] += torch.tensor([4.5, -4.0])  # a quarter of class 1 moves away
bent = fit_gaussians(xo, yo)
free = LogisticRegression(C=1e4).fit(xo.numpy(), yo.numpy())

# %% tags=["figure", "slide"]
# @title Figure: two covariances, and a group far away
fig, axes = plt.subplots(1, 2, figsize=(10, 4.8))
cu.plots.scatter(xq, yq, ax=axes[0], s=14)
boundary(lambda x: bayes(x, *qda), square_lims, axes[0])
axes[0].set_title("Two covariances: a closed curve")

cu.plots.scatter(xo, yo, ax=axes[1], s=14)
for name, p1, colour in (
    ("LDA", lambda x: bayes(x, *bent), "black"),
    ("logistic", partial(logistic_p1, free), cu.plots.PALETTE[2]),
):
    boundary(p1, (-3, 7.5, -6.5, 4), axes[1], colour)
    axes[1].plot([], [], color=colour, label=name)
axes[1].set_title("Same form, different fit")
axes[1].legend(loc="upper right")
cu.show(
    fig,
    "Left: a wide and a narrow class; the boundary of the two Gaussians is an ellipse. "
    "Right: a quarter of class 1 sits far away; LDA's line turns towards it and cuts into the "
    "near groups, logistic regression's does not.",
)

# %%
bent_means, bent_covs, _ = bent
w_bent, _ = checked_lda_line(bent_means[0], bent_means[1], bent_covs[0], 0.5)
w_free = free.coef_[0]
lda_wrong = ((bayes(xo, *bent) > 0.5) != yo).sum()
free_wrong = ((logistic_p1(free, xo) > 0.5) != yo).sum()
cu.facts(
    {
        "LDA, w": f"({w_bent[0]:.1f}, {w_bent[1]:.1f})",
        f"LDA, points of {len(xo)} on the wrong side of its line": lda_wrong,
        "logistic regression, w": f"({w_free[0]:.1f}, {w_free[1]:.1f})",
        f"logistic regression, points of {len(xo)} on the wrong side of its line": free_wrong,
    }
)

# %% [markdown]
# On the left the boundary closes around the narrow class: inside, a point is more likely to come from it, and in every direction far outside the wide class wins.
# No line could do that.
#
# On the right the far group is easy: any sensible line has it on the correct side, and logistic regression, whose loss for such points is nearly zero, ignores it.
# LDA cannot.
# It has to describe class 1 by *one* Gaussian; the group drags the mean away and stretches the shared covariance, the line turns, and 13 points are misclassified instead of 3.
# The weights differ in direction and in length: (4.7, 4.1) and (14.5, 0.8).
# The generative model is punished in prediction for being wrong about something that prediction does not need.
# (Where the classes *are* Gaussian it is rewarded: LDA then reaches the same accuracy with fewer examples; Efron, 1975.)
# The next widget lets you make it right or wrong yourself.


# %% tags=["figure"]
# @title Widget: two Gaussian classes and their boundary
def hills(distance, turn, blue, vermilion, prior1):
    """The boundary and the hills of two Gaussians with unit variances, given correlations."""
    angle = np.deg2rad(turn)
    direction = torch.tensor([np.cos(angle), np.sin(angle)])
    means = 0.5 * distance * torch.stack([-direction, direction])
    covs = torch.tensor([[[1.0, r], [r, 1.0]] for r in (blue, vermilion)], dtype=torch.float64)
    prior = torch.tensor([1 - prior1, prior1], dtype=torch.float64)
    fig, ax = plt.subplots(figsize=(6.4, 4.6))
    cu.plots.density(
        lambda x: bayes(x, means, covs, prior),
        square_lims,
        ax=ax,
        n=80,
        levels=np.linspace(0, 1, 11),
        cmap="RdBu_r",
        alpha=0.45,
        label="p(class 1 given x)",
    )
    boundary(lambda x: bayes(x, means, covs, prior), square_lims, ax)
    for k, n_std in ((0, 1), (0, 2), (1, 1), (1, 2)):
        colour = cu.plots.PALETTE[k]
        cu.plots.ellipse(means[k], covs[k], ax, n_std=n_std, edgecolor=colour)
    same = blue == vermilion
    ax.set_title("One covariance: a line" if same else "Two covariances: a conic")
    return fig


cu.explore(
    hills,
    "Two Gaussian classes: ellipses at one and two standard deviations, the posterior as "
    "colour, the boundary in black. Make the two correlations equal, and the line is back.",
    distance={"min": 0.0, "max": 4.0, "step": 0.5, "value": 2.0},
    turn={"min": 0, "max": 180, "step": 15, "value": 30},
    blue={"min": -0.9, "max": 0.9, "step": 0.3, "value": 0.6},
    vermilion={"min": -0.9, "max": 0.9, "step": 0.3, "value": -0.3},
    prior1={"min": 0.1, "max": 0.9, "step": 0.1, "value": 0.5},
)

# %% [markdown]
# `blue` and `vermilion` are the correlations inside the two classes.
# Three things to try.
# (1) Equal correlations, then move `prior1`: the line shifts towards the *rarer* class and does not turn, because by (6) the prior enters b only.
# (2) Correlations 0.6 and −0.6 at distance 0: the means coincide, and still the classes can be told apart, by shape alone; the boundary is a pair of crossing lines.
# (3) Equal correlations of 0.9, and turn the means: with Σ⁻¹ in front, w does not point from mean to mean.

# %% [markdown]
# ## 4 · Ten Gaussians that draw *(core)*
#
# Now MNIST: 55,000 training images of 784 pixels.
# One Gaussian per class, with a covariance that has few enough numbers to be estimated and yet lives in pixel space.
# A digit of class k is made in two moves: a smooth part from q = 50 latent numbers z, and independent noise on every pixel,
#
# $$x = \mu_k + W_k z + \sigma\varepsilon,\quad z\sim\mathcal N(0, I_q),\ \varepsilon\sim\mathcal N(0, I_{784})
# \qquad\Longrightarrow\qquad p(x\mid y=k) = \mathcal N(\mu_k,\; W_k W_k^\top + \sigma^2 I). \tag{8}$$
#
# (Covariances of independent parts add, and Cov(W z) = W Cov(z) Wᵀ = W Wᵀ.)
# Fitting takes seconds and no gradient.
# The principal components of all training images give 50 common axes U.
# In these coordinates each class gets its mean and its covariance S_k; with the Cholesky factor S_k = L_k L_kᵀ ([toolbox](A_toolbox.ipynb), Card 4) we set W_k = U L_k.
# The average variance in the 734 directions left out becomes σ².
# If all classes share one S this is LDA in a PCA space, with a separate S_k it is QDA.
# The number 50 was chosen on the validation images, where 30, 50 and 80 axes give 97.0, 97.4 and 97.2 %.
# (Along the 50 axes S_k holds the pixel noise already, so σ² is counted twice there.
# Subtracting it is not possible: the smallest variance of the ones, 0.002, is below σ² = 0.013.
# The excess works as a little smoothing.)


# %%
def fit_digits(x, y, q=50, shared=False):
    """Equation (8) for every class, from x (N, 784) and y (N,).

    Returns a list of (mean (784,), W (784, q), sigma2 ()).
    """
    x = x.double()
    centre = x.mean(0)
    spectrum, axes = torch.linalg.eigh(torch.cov(x.T))  # ascending eigenvalues
    U = axes[:, -q:]
    sigma2 = spectrum[:-q].mean()
    z = (x - centre) @ U  # (N, q)
    class_means = torch.stack([z[y == k].mean(0) for k in range(10)])
    model = []
    for k in range(10):
        S = torch.cov((z - class_means[y]).T if shared else z[y == k].T)
        model.append((centre + U @ class_means[k], U @ torch.linalg.cholesky(S), sigma2))
    return model


# %%
train = data.train.sample(cu.budget(55_000))
started = time.perf_counter()
digits = fit_digits(train.flat(), train.y)
fit_seconds = time.perf_counter() - started
sigma = digits[0][2].sqrt()
cu.facts(
    {
        "training images": len(train),
        "seconds to fit ten Gaussians": fit_seconds,
        "σ, where paper is 0 and ink 1": sigma,
    },
    digits=2,
)

# %% [markdown]
# **Conditional generation** is now one line: "draw me a 7" means a sample from p(x | y = 7).
# **Predict.**
# A class holds slanted and upright digits, thin and thick ones.
# Can a single Gaussian per class draw clean digits?
# What goes wrong first?


# %%
def draw(model, k, n, seed=0, noise=True, clip=True):
    """n images (n, 784) of class k by equation (8), clipped to [0, 1]; noise=False: no σ ε."""
    mean, W, sigma2 = model[k]
    d, q = W.shape
    generator = torch.Generator().manual_seed(seed)
    z, eps = torch.randn(n, q + d, generator=generator, dtype=torch.float64).split([q, d], 1)
    x = mean + z @ W.T
    if noise:
        x = x + sigma2.sqrt() * eps
    return x.float().clamp(0, 1) if clip else x.float()


six_each = [draw(digits, k, 6, seed=k, noise=False) for k in range(10)]
smooth_sevens = draw(digits, 7, 10, seed=7, noise=False)
sevens = draw(digits, 7, 10, seed=7)  # the same z, and the pixel noise

# %% tags=["figure", "slide"]
# @title Figure: six draws of each digit
asked = torch.stack(six_each, 1)  # (6, 10, 784)
names = [f"“{k}”" for k in range(10)]
ax = cu.plots.image_grid(asked.reshape(-1, 28, 28), rows=6, titles=names)
cu.show(
    ax.figure,
    "Asked for each digit in turn: six draws from p(x given y) per class. The pixel noise is "
    "left out, to show the smooth part.",
)

# %% tags=["figure"]
# @title Figure: ten sevens, without and with the pixel noise
both = torch.cat([smooth_sevens, sevens]).reshape(-1, 28, 28)
ax = cu.plots.image_grid(both, rows=2, row_titles=["μ + W z", "+ σ ε"])
cu.show(
    ax.figure,
    "“Draw me a 7”, ten times. Top: the smooth part. Bottom: the same draws with the pixel "
    "noise, which is what the model in fact says about sevens.",
)

# %% [markdown]
# Most of the images can be read and no two are alike: this is generation, from a model that was never trained to generate, only to describe.
# The grain in the last row is part of the model; it is the honest sample.
# Two things are wrong in the smooth part.
# Edges are soft, and some digits have **two strokes superposed**: a ghost of a second 7, a 4 that is open and closed at once.
# A Gaussian has one hump, so halfway between two ways of writing is for it a highly probable place, while hardly anybody writes there.
# Section 9 comes back to this.
#
# What would **an image given a caption** need?
# The same p(x | y), with a sentence as y.
# A table with one Gaussian per caption is hopeless, since almost every caption is new.
# One needs many pairs of image and caption, a network that turns *any* caption into the parameters of a distribution over images, so that "a red boat" and "a red kite" share what they know about red;
# and a distribution with more than one hump, because one caption fits many pictures.
# Lessons 12 and 15 build this.
#
# Next comes the opponent: a neural network trained to give p(y | x) from the same images.


# %%
def mlp(inputs=784):
    return nn.Sequential(nn.Flatten(), nn.Linear(inputs, 256), nn.ReLU(), nn.Linear(256, 10))


def label_loss(model, x, y):
    """−log p(y | x), averaged over the batch: the discriminative objective."""
    return F.cross_entropy(model(x), y)


network = mlp()
cu.fit(network, label_loss, cu.Batches(train, 128, labels=True), steps=3_000)
network = network.cpu().requires_grad_(False)

# %% [markdown]
# The network has no sampler.
# One can still ask it for a 3: start from grey noise and climb the gradient of log p(y = 3 | x) *with respect to the pixels* until it is sure.
# This is "what it thinks a 3 is".
# **Predict.**
# Will it look like a 3?


# %%
def climb(model, label, stops, seed=0):
    """Gradient ascent on log p(label | x) over pixels in [0, 1].

    Returns the images (len(stops), 784) after so many steps.
    """
    x = 0.3 * torch.rand(1, 784, generator=torch.Generator().manual_seed(seed))
    x.requires_grad_(True)
    ascent = torch.optim.Adam([x], lr=0.02, maximize=True)
    frames = []
    for step in range(max(stops) + 1):
        if step in stops:
            frames.append(x.detach().clone())
        ascent.zero_grad()
        model(x).log_softmax(1)[0, label].backward()
        ascent.step()
        x.data.clamp_(0, 1)
    return torch.cat(frames)


# %% [markdown]
# Beside the climbed images stand threes drawn by the Gaussians and real ones, and both models judge all of them: the network by p(3 | x), the Gaussian of class 3 by log p(x | 3).


# %%
def log_density(model, x):
    """log p(x | y = k) of whole images x (N, 784), as (N, 10)."""
    gaussians = [LowRankMultivariateNormal(m, W, s.expand(784)) for m, W, s in model]
    return torch.stack([gaussian.log_prob(x.double()) for gaussian in gaussians], 1)


climbed = climb(network, 3, [0, 5, 20, 100, 300])
real = data.test.only(3)[:5].flat()
threes = torch.cat([climbed, draw(digits, 3, 5, seed=11), real])
sure3 = network(threes).softmax(1)[:, 3]
fit3 = log_density(digits, threes)[:, 3]


# %% tags=["figure", "slide"]
# @title Figure: threes climbed, drawn and real
def gallery(images, titles, cols, row_names=()):
    """Images (N, 784) or (N, 3, 28, 28), each below its own title of one or two lines."""
    rows = len(images) // cols
    size = (1.5 * cols, 1.75 * len(images) // cols)
    fig, axes = plt.subplots(rows, cols, figsize=size, squeeze=False)
    for ax, image, title in zip(axes.flat, images, titles):
        cu.plots.image_grid(image.reshape(1, -1, 28, 28), ax=ax, note=False)
        ax.set_title(title, fontsize=11, fontweight="normal", loc="center")
    for ax, name in zip(axes[:, 0], row_names):
        ax.set_ylabel(name)
    return fig


titles = [f"p(3 | x) = {p:.0%}\nlog p(x | 3) = {f:,.0f}" for p, f in zip(sure3, fit3)]
fig = gallery(threes, titles, 5, ["climbed", "drawn", "real"])
cu.show(
    fig,
    "Top: gradient ascent on the classifier after 0, 5, 20, 100 and 300 steps. Middle: draws "
    "from p(x given 3). Bottom: real threes. Above each: how sure the network is, and the "
    "Gaussian's log-density.",
)

# %% [markdown]
# The network is certain after a few steps, and the image is still grey noise with some structure in it.
# To separate a 3 from nine other digits one need not know that a 3 has a stroke, only what distinguishes digits from each other; and the network never saw anything that is no digit.
# **High p(y | x) does not mean that x looks like y.**
# The Gaussian's log-density (only differences matter) falls as the network grows surer, and ends below that of all five real threes.
# But note where it starts: the faint noise at the left scores 328, more than the first real three with its 152.
# High p(x | y) does not mean it either; section 8 asks why.

# %% [markdown]
# ## 5 · Hidden pixels *(core)*
#
# Now hide part of the image.
# What should p(y | x) be when only the visible pixels x_v are known and the hidden ones x_h are not?
# By the rules of probability, sum over all that they might be: $p(x_v \mid y) = \int p(x_v, x_h \mid y)\,dx_h$.
# For most models this integral over hundreds of pixels is out of reach.
# For a Gaussian it is no work at all.
# Write (8) for the visible rows only:
#
# $$x_v = \mu_{k,v} + W_{k,v}\,z + \sigma\varepsilon_v \qquad\Longrightarrow\qquad
# p(x_v\mid y=k) = \mathcal N\big(\mu_{k,v},\; W_{k,v}W_{k,v}^\top + \sigma^2 I\big). \tag{9}$$
#
# **Delete the rows of μ and W that belong to hidden pixels.**
# The marginal is exact.
# Nothing is filled in, nothing is retrained, and every mask works, all 2⁷⁸⁴ of them.
#
# **Exercise 3 (core).**
# Write log p(x_v | y = k).
# `LowRankMultivariateNormal(mean, W, diagonal)` is N(mean, W Wᵀ + diag(diagonal)); inside it works with a q × q matrix, which is why 784 dimensions are no trouble.


# %% tags=["exercise"]
def log_marginal(x, seen, mean, W, sigma2):
    """Equation (9): log p(x_v) as (N,).

    Images x (N, d), mask seen (d,), mean (d,), W (d, q), sigma2 a scalar tensor.
    """
    ### BEGIN SOLUTION
    mean_v = mean[seen]
    W_v = W[seen]
    gaussian = LowRankMultivariateNormal(mean_v, W_v, sigma2.expand(len(mean_v)))
    return gaussian.log_prob(x[:, seen])
    ### END SOLUTION


# %%
checked_marginal = cu.check("01.marginal", log_marginal)


def log_lik(model, x, seen):
    """log p(visible pixels | y = k) as (N, 10), for images x (N, 784), a mask seen (784,)."""
    x = x.double()
    return torch.stack([checked_marginal(x, seen, *part) for part in model], 1)


def right(labels, y):
    """The share of labels that are right."""
    return (labels == y).double().mean().item()


test = data.test.sample(cu.budget(10_000))
whole = hide(0)
gauss_reads = log_lik(digits, test.flat(), whole).argmax(1)
network_reads = network(test.flat()).argmax(1)
cu.facts(
    {
        "whole test digits, Gaussians right": f"{right(gauss_reads, test.y):.1%}",
        "whole test digits, network right": f"{right(network_reads, test.y):.1%}",
    }
)

# %% [markdown]
# Two classifiers of nearly the same quality, one trained to classify, one to describe.
# Now hide pixels.
# The network needs *some* value in every input, so we fill the holes, once with 0 (paper), once with the training mean of that pixel.
# We hide random pixels, and then whole rows from the bottom up.
#
# **Predict, and bet.**
# With half of the pixels hidden at random, how much does each lose?
# With three quarters, when you can hardly read the digit yourself?
# Where do the curves part?


# %%
def lowest_rows(fraction, seed=0):
    """A mask (784,) that hides the lowest `fraction` of the rows; the seed plays no part."""
    return torch.arange(784) < 28 * round(28 * (1 - fraction))


def three_ways(part, seen, mean):
    """Accuracy of the Gaussians marginalising, of the network with zeros and with means."""
    x = part.flat()
    by_class = (
        log_lik(digits, x, seen),
        network(x * seen),
        network(torch.where(seen, x, mean)),
    )
    return [right(scores.argmax(1), part.y) for scores in by_class]


# %%
hidden = cu.budget([0, 0.25, 0.5, 0.65, 0.75, 0.85, 0.9, 0.95], [0, 0.5, 0.9])
part = data.test.sample(cu.budget(2_000), seed=1)
mean_digit = train.flat().mean(0)


def accuracies(kind, seed):
    """The accuracies (len(hidden), 3) with one mask for each hidden share."""
    return np.array([three_ways(part, kind(share, seed), mean_digit) for share in hidden])


n_masks = cu.budget(3)
at_random = np.stack([accuracies(hide, seed) for seed in range(n_masks)])
from_below = accuracies(lowest_rows, 0)[None]

# %% tags=["figure", "slide"]
# @title Figure: accuracy against the hidden share
ways = ["Gaussians, marginalised", "network, zeros filled in", "network, mean filled in"]
percent_hidden = 100 * np.array(hidden)
fig, axes = plt.subplots(1, 2, figsize=(10, 4.3), sharey=True)
for ax, found, title in zip(
    axes, (at_random, from_below), ("Random pixels hidden", "Lowest rows hidden")
):
    for i, marker in enumerate("os^"):
        runs = 100 * found[:, :, i]
        cu.plots.band(percent_hidden, runs, ax=ax, label=ways[i], marker=marker)
    ax.axhline(10, color="#888888", linewidth=1, linestyle=":")
    ax.set(title=title, xlabel="hidden (% of the pixels)", ylim=(0, 101))
axes[0].set_ylabel("test accuracy (%)")
axes[1].get_legend().remove()
cu.show(
    fig,
    "Accuracy against the hidden share of the image. All start together. Left: random pixels, "
    "mean and spread over three masks. Right: rows from the bottom up. Dotted: guessing.",
)

# %% tags=["figure"]
# @title Table: accuracy with random pixels hidden
rows = []
for share, row in zip(hidden, at_random.mean(0)):
    rows.append([f"{share:.0%}", *(f"{value:.0%}" for value in row)])
cu.table(rows, ["hidden at random", *ways], f"Test accuracy, {len(part):,} images.")

# %% [markdown]
# This is the picture to take home, and the line "90 % hidden" is the number.
# On whole digits the two models are equals.
# The network's curve bends much earlier, because an image with holes is unlike any image that it was trained on: zeros mean "paper here", and that is evidence, only false.
# (Filling in the mean is worse for random holes, since it lays a grey fog over the sheet.
# For missing rows it is better until half of the image is gone.)
# The Gaussians lose little until three quarters are hidden: neighbouring pixels say nearly the same, and the model knows which ones it has not seen.
# On the right all curves meet in the end, as they must: when only the top rows are left, there is no ink to see.
#
# Now the test from the first cell.

# %%
seen = hide(0.9)
tenth = torch.full((10,), 0.1).double()  # the prior: every digit equally probable


def both_posteriors(x, seen):
    """p(y | visible pixels) as (N, 10), of the Gaussians and of the network with zeros."""
    by_gauss = checked_posterior(log_lik(digits, x, seen), tenth)
    by_network = network(x * seen).softmax(1)
    return by_gauss, by_network


p_gauss, p_network = both_posteriors(twelve.flat(), seen)

# %% tags=["figure", "slide"]
# @title Figure: the twelve digits revealed, and what both models read
says = []
for g, n in zip(p_gauss, p_network):
    says.append(f"G: {g.argmax()} ({g.max():.0%})\nN: {n.argmax()} ({n.max():.0%})")
pictures = []
for six in twelve.flat().split(6):
    pictures += [veil(six, seen), veil(six, whole)]
titles = [*says[:6], *[""] * 6, *says[6:], *[""] * 6]
fig = gallery(torch.cat(pictures), titles, 6)
cu.show(
    fig,
    "The twelve digits with nine in ten pixels hidden, and below each the whole image. G: what "
    "the Gaussians read and how sure they are. N: the network, with zeros in the holes.",
)

# %% [markdown]
# How many of the twelve does each read correctly?
# And you?
# And over many test digits with the same mask, how often is each right, and how sure is it on average of its answer?

# %%
many_gauss, many_network = both_posteriors(part.flat(), seen)
cu.facts(
    {
        "Gaussians, right of 12": (p_gauss.argmax(1) == twelve.y).sum(),
        "network, right of 12": (p_network.argmax(1) == twelve.y).sum(),
        f"Gaussians, right of {len(part):,}": f"{right(many_gauss.argmax(1), part.y):.0%}",
        "Gaussians, sure of the answer on average": f"{many_gauss.max(1).values.mean():.0%}",
        f"network, right of {len(part):,}": f"{right(many_network.argmax(1), part.y):.0%}",
        "network, sure of the answer on average": f"{many_network.max(1).values.mean():.0%}",
    }
)

# %% [markdown]
# The Gaussians win, and two of their three errors look forgivable.
# But they are 100 % sure of calling the 0 an 8.
# Over many digits they are surer than they are right: the marginal is exact *for the model*, and the model, one hump per class, is not the truth.
# The network is wrong far more often, with a modest opinion of itself.
# Exact inference does not make a wrong model right.
#
# Now move the slider from left to right and watch the bars: those of the Gaussians stay on one digit for long, those of the network wander from one to the next.
# *Yours* is the digit that you drew in lesson 00 (or the shipped one).


# %% tags=["figure"]
# @title Widget: hide more and more of one digit
def slide(percent, digit):
    """One digit with some of its pixels hidden: accuracies, and what both models say."""
    image = cu.my_digit() if digit == "yours" else data.test.x[int(digit)]
    x = image.reshape(1, 784).float() / 255
    seen = hide(percent / 100, seed=1)
    fig, axes = plt.subplots(1, 3, figsize=(10, 3.4), width_ratios=[1.3, 0.8, 1.2])
    for i, (name, p) in enumerate(zip(("Gaussians", "network"), both_posteriors(x, seen))):
        colour = cu.plots.PALETTE[i]
        curve = 100 * at_random[:, :, i].mean(0)
        here = np.interp(percent, percent_hidden, curve)
        axes[0].plot(percent_hidden, curve, color=colour)
        label = f"{name} {here:.0f} %"
        axes[0].plot(percent, here, "o", color=colour, markersize=11, label=label)
        axes[2].bar(np.arange(10) + 0.4 * i - 0.2, p[0], width=0.4, color=colour)
    axes[0].set(xlabel="hidden (%)", ylabel="test accuracy (%)", ylim=(0, 101))
    axes[0].legend(loc="lower left")
    cu.plots.image_grid(veil(x, seen), ax=axes[1], note=False)
    axes[2].set(xticks=range(10), ylim=(0, 1.02), xlabel="digit", ylabel="p(y given x)")
    return fig


test_images = ["0", "1", "2", "3", "4", "5", "yours"]
cu.explore(
    slide,
    "Left: accuracy on the test digits. Middle: one digit. Right: what each model makes of it. "
    "Blue: Gaussians, marginalised; vermilion: network, zeros filled in.",
    percent={"min": 0, "max": 95, "step": 5, "value": 75, "label": "hidden (%)"},
    digit={"options": test_images, "value": "0", "label": "test image"},
)

# %% [markdown]
# ### A fair objection *(deeper)*
#
# "The network was never told about holes."
# True; so tell it.
# A second network gets the masked image *and the mask* as 1,568 inputs, and in training every image loses a random share of its pixels, between 0 and 100 %.
# **Predict.**
# Does it catch up on random holes?
# And on missing halves, which it has never met?


# %%
def hole_loss(model, x, y):
    """Cross-entropy when each image of the batch loses its own random share of pixels."""
    x = x.flatten(1)
    keep = (torch.rand_like(x) > torch.rand(len(x), 1, device=x.device)).float()
    return F.cross_entropy(model(torch.cat([x * keep, keep], 1)), y)  # (B, 1568) → (B, 10)


hardened = mlp(1568)
cu.fit(hardened, hole_loss, cu.Batches(train, 128, labels=True), steps=3_000)
hardened = hardened.cpu().requires_grad_(False)

# %%
masks = {
    "nothing": whole,
    "50 % at random": hide(0.5),
    "75 % at random": hide(0.75),
    "90 % at random": hide(0.9),
    "lower half": lowest_rows(0.5),
    "upper half": lowest_rows(0.5).flip(0),
}
x = part.flat()
with_holes = {}
for name, seen in masks.items():
    image_and_mask = torch.cat([x * seen, seen.float().expand_as(x)], 1)
    by_class = (log_lik(digits, x, seen), network(x * seen), hardened(image_and_mask))
    with_holes[name] = [right(scores.argmax(1), part.y) for scores in by_class]

# %% tags=["figure"]
# @title Table: three models, six ways to hide pixels
cu.table(
    [[name, *(f"{share:.1%}" for share in found)] for name, found in with_holes.items()],
    ["hidden", "Gaussians", "network, zeros", "network trained with holes"],
    f"Test accuracy of three models, {len(part):,} images.",
)

# %% [markdown]
# Training with holes costs a point or two on whole digits and gains nothing yet at 50 %.
# Where zeros do real damage it makes up from nearly half (75 % at random) to four fifths (missing halves, which it never met) of what they lose against the Gaussians.
# It is data augmentation: the questions that will be asked are rehearsed.
# More steps and a better architecture would close the gap further, because a discriminative model can be made good at any *one* question.
# The generative model answers questions that nobody thought of when it was fitted.
# That generality, not a better accuracy, is what p(x, y) has over p(y | x).

# %% [markdown]
# ## 6 · Who needs fewer examples? *(deeper)*
#
# A. Ng and M. Jordan (2001) compared naive Bayes with logistic regression.
# Naive Bayes is the generative model in which, within a class, the pixels (here binary) are independent:
#
# $$p(x\mid y=k)=\prod_j \theta_{kj}^{x_j}(1-\theta_{kj})^{1-x_j}, \qquad
# \theta_{kj}=\frac{\text{images of class } k \text{ with ink at } j\;+\;\alpha}{n_k+2\alpha}. \tag{10}$$
#
# Its posterior is logistic too: the log-odds of two classes are $\sum_j x_j\big(\log\tfrac{\theta_{1j}}{1-\theta_{1j}}-\log\tfrac{\theta_{0j}}{1-\theta_{0j}}\big)$ plus a constant, linear in x.
# So again two models share a form and differ in the fit.
# Their result: with d features, naive Bayes comes close to *its own* best error with about log d examples, logistic regression needs about d, but ends at least as low.
# Hence they expect curves that cross.
# Mind the conditions: this is about rates as n and d grow, for logistic regression **without** a penalty.
#
# **Exercise 4 (deeper).**
# Estimate θ with Laplace smoothing.
# α in (10) acts like α extra images of class k with ink at j and α without.


# %% tags=["exercise"]
def naive_bayes_theta(x, y, alpha, classes):
    """Equation (10): θ as (classes, d).

    Binary images x (N, d) float, labels y (N,), the smoothing alpha ≥ 0.
    """
    ### BEGIN SOLUTION
    counts = torch.stack([x[y == k].sum(0) for k in range(classes)])  # (classes, d)
    n = torch.bincount(y, minlength=classes)[:, None]  # (classes, 1)
    return (counts + alpha) / (n + 2 * alpha)
    ### END SOLUTION


# %%
checked_theta = cu.check("01.naive_bayes", naive_bayes_theta)


def bernoulli_log_lik(x, theta):
    """log p(x | y = k) of equation (10) as (N, K), for binary x (N, d) and theta (K, d)."""
    off = (-theta).log1p()  # log(1 − θ)
    return x @ (theta.log() - off).T + off.sum(1)


def naive_bayes(x, y, alpha, classes):
    """Fit, and return a function from images to labels."""
    theta = checked_theta(x, y, alpha, classes)
    log_prior = (torch.bincount(y, minlength=classes) / len(y)).log()
    return lambda z: (bernoulli_log_lik(z, theta) + log_prior).argmax(1)


def penalised_logistic(x, y, C, classes, tol=1e-3):
    """Fit with the penalty |w|²/(2C), and return a function from images to labels."""
    model = LogisticRegression(C=C, tol=tol, max_iter=300).fit(x.numpy(), y.numpy())
    return lambda z: torch.from_numpy(model.predict(z.numpy()))


# %% [markdown]
# Both models get the same images, made binary at one half.
# Both choose their one knob (α, or C) on the validation images.
# The test accuracy is averaged over ten draws of the training set up to 1,000 images and over five above.
# **Predict.**
# Who is ahead with 20 images, two of each digit?
# Who with 20,000?


# %%
def learning_curve(fit, grid, draw_data, sizes, val, test, classes):
    """For each size, the test accuracies of several draws of the training set.

    The knob is chosen from `grid` on `val` at the first draw.
    """
    curve = []
    for n in sizes:
        draws = cu.budget(10 if n <= 1_000 else 5)
        tried = [fit(*draw_data(n, 0), knob, classes) for knob in grid]
        on_val = [right(predict(val[0]), val[1]) for predict in tried]
        best = int(np.argmax(on_val))
        fitted = [tried[best]]
        for seed in range(1, draws):
            fitted.append(fit(*draw_data(n, seed), grid[best], classes))
        curve.append(np.array([right(predict(test[0]), test[1]) for predict in fitted]))
    return curve


# %%
def binary(split):
    return (split.flat() > 0.5).float(), split.y


def binary_digits(n, seed):
    """A training set of n binary images and their labels."""
    return binary(data.train.sample(n, seed))


sizes = cu.budget([20, 50, 100, 200, 500, 1_000, 3_000, 20_000], [20, 100])
knobs = {
    "naive Bayes": (naive_bayes, [0.003, 0.01, 0.03, 0.1, 0.3, 1.0]),
    "logistic, tuned": (penalised_logistic, [0.03, 0.3, 3.0]),
}
val_bits = binary(data.val)
test_bits = binary(test)
curves = {}
for name, (fit, grid) in knobs.items():
    curves[name] = learning_curve(fit, grid, binary_digits, sizes, val_bits, test_bits, 10)


# %% tags=["figure"]
# @title Figure: test error against the number of training images
def plot_errors(curves, sizes, ax, title):
    """Test error against training examples, mean ± spread, both axes logarithmic."""
    for (name, runs), marker in zip(curves.items(), "os^"):
        error = [100 * (1 - r) for r in runs]
        mean = [e.mean() for e in error]
        spread = [e.std(ddof=1) for e in error]
        ax.errorbar(sizes, mean, spread, label=name, marker=marker, capsize=4)
    ax.set(xscale="log", yscale="log", xlabel="training examples", title=title, ylim=(1, 80))
    ax.set_yticks([1, 2, 5, 10, 20, 50], ["1", "2", "5", "10", "20", "50"])
    ax.tick_params(axis="y", which="minor", labelleft=False)


fig, ax = plt.subplots(figsize=(7.5, 4.4))
plot_errors(curves, sizes, ax, "Digits: level at first, then logistic wins")
ax.set(ylabel="test error (%)", ylim=(5, 80))
ax.legend()
cu.show(
    fig,
    "Binary MNIST: test error against the number of training images; mean and standard "
    "deviation over the draws.",
)

# %% [markdown]
# Both models were fitted to the same draws, so their accuracies can be compared pair by pair.


# %%
def verdict(sizes, nb, lr, least=0.005):
    """Who is ahead where: paired differences, ± 2 standard errors; below `least` is level."""
    lines = []
    signs = set()
    for n, nb_right, lr_right in zip(sizes, nb, lr):
        pairs = lr_right - nb_right  # the same draws
        gap = pairs.mean()
        error = 2 * pairs.std(ddof=1) / len(pairs) ** 0.5
        if abs(gap) <= max(error, least):
            say = "level"
        else:
            say = "logistic regression ahead" if gap > 0 else "naive Bayes ahead"
            signs.add(gap > 0)
        lines.append(f"  {n:>6,} examples: {100 * gap:+5.1f} ± {100 * error:.1f} points, {say}")
    cross = "cross" if len(signs) == 2 else "do not cross within this range of sizes"
    return "\n".join([*lines, f"  The curves {cross}."])


print("Accuracy of logistic regression minus naive Bayes:")
print(verdict(sizes, curves["naive Bayes"], curves["logistic, tuned"]))

# %% [markdown]
# There is no crossing here.
# Up to two hundred images the two are level or logistic regression leads by a point or two, hardly more than the draws can tell;
# from five hundred on it is clearly ahead, and naive Bayes is ahead nowhere.
# Naive Bayes stops improving near 16 % error: its estimates of θ are good with a thousand images already, but what it estimates is wrong, because the pixels of a digit are anything but independent.
# Logistic regression goes on to about 9 %.
# Choosing the penalty has taken away the handicap that it has in the theorem.
# (The 5,000 labelled validation images are a luxury nobody has beside 20 training images.
# They serve both models alike, and keep badly set knobs out of the comparison.)
#
# To see the theorem at work, take a world where the generative assumption is **true**: 80 binary features, each agreeing with the label with probability 0.62, independently.
# And a matched world where it is **badly wrong**: 40 of the 80 are copies of *one* such feature.
# Taken one at a time, the features of the two worlds are exactly alike; only the dependence differs.
# **Predict.**
# What does naive Bayes do with a witness who is quoted forty times?


# %%
def witnesses(n, seed, copies, features=80, honest=0.62):
    """x (n, features) binary, y (n,): a feature equals y with probability `honest`.

    With `copies` the last half of the features are one.
    """
    generator = torch.Generator().manual_seed(seed)
    y = torch.randint(2, (n,), generator=generator)
    tells_truth = torch.rand(n, features, generator=generator) < honest
    if copies:
        tells_truth[:, features // 2 :] = tells_truth[:, -1:]
    x = torch.where(tells_truth, y[:, None], 1 - y[:, None])
    return x.float(), y


# %% [markdown]
# A third model is logistic regression with hardly any penalty, as in the theorem.
# A loose tolerance stops early, which is a penalty of another kind: this fit runs to the end.


# %%
def nearly_free_logistic(x, y, C, classes):
    return penalised_logistic(x.double(), y, C, classes, tol=1e-8)


fits = {
    "naive Bayes": (naive_bayes, [0.1, 1.0, 3.0]),
    "logistic, tuned": (penalised_logistic, [0.001, 0.01, 0.1, 1.0]),
    "logistic, C = 10⁴": (nearly_free_logistic, [1e4]),
}
small = cu.budget([20, 50, 100, 200, 500, 1_000, 2_000, 5_000], [20, 100])
n_val = cu.budget(2_000)
n_test = cu.budget(10_000)


def world_curves(copies):
    """The learning curves of the three models in a world with or without copies."""
    world = partial(witnesses, copies=copies)
    sets = (world(n_val, 998), world(n_test, 999), 2)
    return {name: learning_curve(*how, world, small, *sets) for name, how in fits.items()}


independent = world_curves(copies=False)
copied = world_curves(copies=True)

# %% tags=["figure"]
# @title Figure: test error in the two worlds
fig, axes = plt.subplots(1, 2, figsize=(10, 4.4), sharey=True)
plot_errors(independent, small, axes[0], "Assumption true: naive Bayes leads")
plot_errors(copied, small, axes[1], "40 copies: naive Bayes is stuck")
axes[0].set_ylabel("test error (%)")
axes[0].legend()
cu.show(
    fig,
    "80 features that each agree with the label 62 times in 100; mean and standard deviation "
    "over the draws. Left: independent. Right: 40 of them are copies of one.",
)

# %%
print("Assumption true; accuracy of tuned logistic regression minus naive Bayes:")
print(verdict(small, independent["naive Bayes"], independent["logistic, tuned"]))
print("40 copies; accuracy of tuned logistic regression minus naive Bayes:")
print(verdict(small, copied["naive Bayes"], copied["logistic, tuned"]))

# %% [markdown]
# Left, where its assumption holds, naive Bayes is never behind, and it is at its floor with five hundred examples.
# Nearly without a penalty, logistic regression is not quite there with five thousand: this is the theorem, and here the generative model really does need fewer examples.
# The tuned penalty closes most of that gap, so in practice the advantage is smaller than the theorem sounds.
# Right, naive Bayes counts the one witness forty times.
# It hears nobody else, ends at an error near 38 %, that of a single feature, and more data only make it surer.
# Logistic regression gives the copies one vote between them and comes down to 6 %.
# **A generative model needs fewer examples if what it says about x is right, and pays for ever if it is wrong.**

# %% [markdown]
# ## 7 · The contest *(deeper)*
#
# Nine models, the same 10,000 training images, five questions:
# how accurate, how fast to fit, can it draw a 3, what is left when the lower half of the image is hidden, and does it notice letters?
# The letters come from matplotlib's own fonts, scaled and centred like MNIST; those that some hand writes like a digit (B, b, g, I, l, O, o, q, S, s, Z, z) are left out.

# %%
letters = cu.letters().flatten(1).float() / 255
pool = data.train.sample(cu.budget(10_000, 1_000), seed=2)  # what all nine models are fitted to
half = lowest_rows(0.5)

# %% tags=["figure"]
# @title Figure: some of the letters
_, ax = plt.subplots(figsize=(9, 1.9))
cu.plots.image_grid(letters[::19][:24].reshape(-1, 28, 28), rows=2, ax=ax)
cu.show(
    ax.figure,
    f"24 of {len(letters)} letters: 40 characters in twelve faces of DejaVu, at the size and "
    "position of MNIST.",
)

# %%
n_trees = cu.budget(25)
n_epochs = cu.budget(12)
boosting = HistGradientBoostingClassifier(
    max_iter=n_trees, learning_rate=0.3, max_leaf_nodes=15, max_bins=16, early_stopping=False
)
small_mlp = MLPClassifier((256,), batch_size=128, max_iter=n_epochs, random_state=0)
classifiers = {
    "logistic regression": LogisticRegression(C=0.1, tol=1e-3, max_iter=100),
    "k-nearest neighbours": KNeighborsClassifier(5),
    "linear SVM": LinearSVC(C=0.01),
    "random forest": RandomForestClassifier(100, random_state=0),
    "gradient boosting": boosting,
    "small MLP": small_mlp,
}
generative = {
    "naive Bayes": lambda x, y: checked_theta((x > 0.5).float(), y, 0.1, 10),
    "Gaussians, one covariance": partial(fit_digits, shared=True),
    "Gaussians, one per class": fit_digits,
}

# %%
fitted = {}
seconds = {}
for name, model in classifiers.items():
    started = time.perf_counter()
    fitted[name] = model.fit(pool.flat().numpy(), pool.y.numpy())
    seconds[name] = time.perf_counter() - started
for name, fit in generative.items():
    started = time.perf_counter()
    fitted[name] = fit(pool.flat(), pool.y)
    seconds[name] = time.perf_counter() - started


def scores(model, x, seen=whole):
    """One number per class (N, 10): log p(visible x | y), else probabilities or margins."""
    if isinstance(model, torch.Tensor):  # naive Bayes is its θ; the pixels are made binary
        return bernoulli_log_lik((x > 0.5).float()[:, seen], model[:, seen]).double()
    if isinstance(model, list):  # ten Gaussians
        return log_lik(model, x, seen)
    ask = model.predict_proba if hasattr(model, "predict_proba") else model.decision_function
    return torch.from_numpy(ask(x.numpy())).double()


# %% [markdown]
# **Can it draw a 3?**
# The generative three are asked for sixteen samples.
# The other six have no sampler, so they get the best that one can do from outside, the same for all, since a forest has no gradient:
# start with blank paper, paint a random grey rectangle, keep it if the model's score for "3" does not fall, 400 times over.
# The judges are the 5,000 validation images, which no model has seen:
# a drawing counts as a 3 if at least three of its five nearest neighbours among them are threes *and* the nearest is no farther away than for 95 % of the real threes of the test set.
# **Predict** the nine marks.


# %%
def paint(image, generator):
    """Paint one random grey rectangle on an image (28, 28)."""
    top, left = torch.randint(0, 26, (2,), generator=generator)
    height, width = torch.randint(2, 8, (2,), generator=generator)
    image[top : top + height, left : left + width] = torch.rand((), generator=generator)


def search(model, label, steps, n=16):
    """n images (n, 784) painted to raise the score of `label`; and their scores (n,)."""
    generator = torch.Generator().manual_seed(0)
    x = torch.zeros(n, 28, 28)
    best = torch.full((n,), -torch.inf).double()
    for _ in range(steps):
        trial = x.clone()
        for image in trial:
            paint(image, generator)
        score = scores(model, trial.flatten(1))[:, label]
        better = score >= best
        x[better] = trial[better]
        best = torch.maximum(score, best)
    return x.flatten(1), best


# %%
drawn = {}
sure = {}
n_rectangles = cu.budget(400)
for name in classifiers:
    drawn[name], sure[name] = search(fitted[name], 3, n_rectangles)
drawn["naive Bayes"] = torch.bernoulli(fitted["naive Bayes"][3].expand(16, -1))
for name in ("Gaussians, one covariance", "Gaussians, one per class"):
    drawn[name] = draw(fitted[name], 3, 16)


# %%
def vote(x, reference):
    """Whether three of the five nearest reference images are threes (N,); the distance (N,)."""
    near = torch.cdist(x, reference.flat()).topk(5, largest=False)
    threes = (reference.y[near.indices] == 3).sum(1)
    return threes >= 3, near.values[:, 0]


real_three, real_distance = vote(data.test.only(3).flat(), data.val)
limit = real_distance.quantile(0.95)


def accepted(x):
    """Which of the images x (N, 784) the judges take for a 3, as (N,)."""
    three, distance = vote(x, data.val)
    return three & (distance <= limit)


passed = {name: accepted(x).sum().item() for name, x in drawn.items()}
real_share = (real_three & (real_distance <= limit)).double().mean()
print(f"Of the real threes in the test set the judges accept {real_share:.0%}.")

# %% tags=["figure"]
# @title Figure: nine models asked for a 3
_, ax = plt.subplots(figsize=(9, 6.4))
eight_each = torch.cat([x[:8] for x in drawn.values()]).reshape(-1, 28, 28)
names = [f"{name}: {passed[name]}/16" for name in drawn]
cu.plots.image_grid(eight_each, rows=9, ax=ax, row_titles=names)
cu.show(
    ax.figure,
    "Nine models asked for a 3, eight attempts each, and how many of sixteen the judges "
    "accept. Upper six rows: search for a high score. Lower three: samples.",
)
opinions = []
for name, s in sure.items():
    opinions += [f"{name}{', a margin' if 'SVM' in name else ''}", f"{s.median():.2f}"]
print("How sure each classifier is of its own 3 (median):")
cu.facts(*opinions)

# %% [markdown]
# Two columns of the contest are left.
# With the lower half hidden a classifier needs a filling: zeros or means, whichever is better on validation images.
# And to notice letters every model gives each image one number, which should be higher for a digit than for a letter.

# %%
val = data.val.sample(cu.budget(2_000))
judged = data.test.sample(cu.budget(5_000), seed=2)
fills = {"zeros": torch.zeros(784), "means": pool.flat().mean(0)}


def half_hidden(name):
    """Accuracy of a model with the lower half hidden, and how it copes."""
    model = fitted[name]
    if name in generative:
        reads = scores(model, judged.flat(), half).argmax(1)
        return right(reads, judged.y), "marginalised"
    on_val = {}
    for fill, values in fills.items():
        reads = scores(model, torch.where(half, val.flat(), values)).argmax(1)
        on_val[fill] = right(reads, val.y)
    best = max(on_val, key=on_val.get)
    reads = scores(model, torch.where(half, judged.flat(), fills[best])).argmax(1)
    return right(reads, judged.y), best


# %%
def auroc(inside, outside):
    """Probability that a random inside score is higher than an outside one (ties: half)."""
    is_inside = np.r_[np.ones(len(inside)), np.zeros(len(outside))]
    return roc_auc_score(is_inside, torch.cat([inside, outside]).numpy())


def familiarity(name, by_class):
    """One number for each image (N,): log p(x), or the greatest probability or margin."""
    return by_class.logsumexp(1) if name in generative else by_class.max(1).values


accuracy = {}
cut = {}
notices = {}
for name, model in fitted.items():
    by_class = scores(model, judged.flat())
    accuracy[name] = right(by_class.argmax(1), judged.y)
    cut[name] = half_hidden(name)
    digit_scores = familiarity(name, by_class)[:2000]
    letter_scores = familiarity(name, scores(model, letters))
    notices[name] = auroc(digit_scores, letter_scores)


# %% tags=["figure"]
# @title Table: nine models, five questions
def measure_of(name):
    if name in generative:
        return "log p(x)"
    return "margin" if "SVM" in name else "confidence"


rows = []
for name in fitted:
    kept, how = cut[name]
    rows.append(
        [
            name,
            f"{accuracy[name]:.1%}",
            f"{seconds[name]:.1f}",
            f"{passed[name]}/16",
            f"{kept:.1%} ({how})",
            f"{notices[name]:.2f} ({measure_of(name)})",
        ]
    )
cu.table(
    rows,
    [
        "model",
        "test accuracy",
        "fit (s)",
        "draws a 3",
        "lower half hidden",
        "AUROC, digits against letters",
    ],
    f"Nine models, n = {len(pool):,} training images for each; {len(judged):,} test images. "
    "AUROC: the chance that a digit scores higher than a letter. Holes of a classifier are "
    "filled as was better on validation images.",
)

# %% [markdown]
# Read the table by columns.
# **Accuracy** does not separate the kinds: the best and the worst model are both generative, the one with a covariance per class and the one that believes pixels to be independent.
# **Fitting** is quickest where it is counting and averaging (k-NN only stores).
# **Drawing**: no classifier gets one attempt of ninety-six accepted.
# The upper six rows are abstract paintings, of which four of the models are all but certain; the forest, an average of a hundred opinions, is harder to convince.
# Only models of p(x, y) draw threes, but not all of them do: naive Bayes draws what it believes, every pixel alone, and its speckled threes lie too far from any real digit.
# With **half the image hidden** the Gaussians with a covariance each keep 88 %.
# But the exact marginals of a worse model (naive Bayes, one covariance) do not even reach k-NN with the mean filled in, the best of the classifiers at 80 %.
# (For a mask known beforehand, a classifier retrained on the upper half would be the right opponent.)
#
# The last column is a surprise.
# To **notice letters**, having a density is no advantage as such: the plain confidence of the forest and of the boosted trees beats the best density.
# Where a model has no density we used its greatest probability, for the SVM its greatest margin (signed distance from a boundary).
# The next section looks into this.

# %% [markdown]
# ## 8 · Something else? *(deeper)*
#
# A classifier must answer with one of its ten labels.
# A model of p(x) can say "this is nothing I know".
# (In lesson 00 a blank page had a higher log-likelihood than every test digit.
# Here we see how far that trouble goes, and why.
# Logarithms are natural, so log p(x) is in nats: [toolbox](A_toolbox.ipynb), Card 5.)
#
# $$\log p(x) = \log\textstyle\sum_k \pi_k\, p(x\mid y=k). \tag{11}$$
#
# **Predict.**
# Which of these will the ten Gaussians notice, and which not:
# letters, digits turned by 90° or 180°, digits in negative, noise, digits with shuffled pixels, blurred digits, faint digits, a blank sheet?


# %%
def log_px(model, x):
    """Equation (11) with equal priors, (N,)."""
    return (log_density(model, x) - np.log(10)).logsumexp(1)


base = data.test.sample(cu.budget(2_000), seed=3).flat()
square = base.reshape(-1, 28, 28)
dice = torch.Generator().manual_seed(0)
elsewhere = {
    "letters": letters,
    "turned by 90°": square.rot90(1, (1, 2)),
    "turned by 180°": square.rot90(2, (1, 2)),
    "negative": 1 - base,
    "noise": torch.rand(500, 784, generator=dice),
    "shuffled pixels": base[:, torch.randperm(784, generator=dice)],
    "blurred (5 × 5)": F.avg_pool2d(square[:, None], 5, 1, 2),
    "faint (half the ink)": base / 2,
    "blank sheet": torch.zeros(20, 784),
}
elsewhere = {name: x.reshape(-1, 784) for name, x in elsewhere.items()}


# %%
def network_sure(x):
    """The greatest of the network's ten probabilities, (N,)."""
    return network(x).softmax(1).max(1).values


usual = log_px(digits, data.val.sample(cu.budget(5_000)).flat()).median()
inside = log_px(digits, base)
density = {name: log_px(digits, x) for name, x in elsewhere.items()}
intruders = {}
for name, x in elsewhere.items():
    sure_here = network_sure(x)
    intruders[name] = [
        auroc(inside, density[name]),
        auroc(-(inside - usual).abs(), -(density[name] - usual).abs()),
        auroc(network_sure(base), sure_here),
        f"{(sure_here > 0.98).double().mean():.0%}",
    ]

# %% tags=["figure"]
# @title Table: how well nine intruders are noticed
cu.table(
    [[name, *found] for name, found in intruders.items()],
    [
        "test digits against",
        "log p(x)",
        "log p(x) near its usual value",
        "network's confidence",
        "network over 98 % sure",
    ],
    "AUROC, the chance that a digit looks more familiar than the intruder: 1 is perfect, 0.5 "
    "guessing, 0 always wrong.",
    digits=2,
)

# %%
lot = torch.randperm(len(letters), generator=torch.Generator().manual_seed(3))[:8]
some = letters[lot]
lower_share = [(inside < value).double().mean().item() for value in log_px(digits, some)]

# %% tags=["figure", "slide"]
# @title Figure: eight letters, and what both models make of them
titles = []
for p, share in zip(network(some).softmax(1), lower_share):
    titles.append(f"“{p.argmax()}”, {p.max():.0%}\nlog p: {share:.0%}")
fig = gallery(some, titles, 4)
cu.show(
    fig,
    "Eight letters drawn by lot. First line: what the network calls it and how sure it is. "
    "Second line: the share of test digits with a lower log p(x) under the Gaussians.",
)

# %% tags=["figure"]
# @title Figure: log p(x) of digits and of others
fig, ax = plt.subplots(figsize=(8.5, 4))
shown = {
    "test digits": inside,
    "letters": density["letters"],
    "blurred digits": density["blurred (5 × 5)"],
}
for name, values in shown.items():
    values = values.clamp(-600, 1000).numpy()
    ax.hist(values, bins=80, range=(-600, 1000), density=True, alpha=0.55, label=name)
ax.axvline(density["blank sheet"][0], color="black", label="blank sheet")
ax.set(
    xlabel="log p(x) in nats (lower values drawn at −600)",
    ylabel="share per nat",
    title="The blank sheet beats the digits",
)
ax.legend(loc="upper left")
cu.show(
    fig,
    "Histograms of log p(x): letters lie to the left of the digits with a wide overlap, "
    "blurred digits to the right of them, and a blank sheet (line) beyond.",
)
above = (inside > density["blank sheet"][0]).sum()
print(f"{above} of {len(inside):,} test digits have a higher log p(x) than a blank sheet.")

# %% [markdown]
# The density notices what is far from everything: negatives, noise, shuffled pixels.
# At letters it is no better than the network's confidence (which is no comfort: the network is over 98 % sure of 31 % of them), at digits upside down it is worse;
# and it is **wrong nearly every time** about blurred, faint and blank images: to this model they are more probable than real digits.
# Before you read on: is that a bug?
#
# Measure the squared distance $(x-\mu_k)^\top \Sigma_k^{-1}(x-\mu_k)$ with $\Sigma_k = W_kW_k^\top + \sigma^2 I$, which is what enters a Gaussian's log-density:
# log p(x | k) = log p(μ_k | k) − distance²/2.
# For a *sample* it is a sum of d squared standard normals, so it should be about d = 784.
# For the peak itself it is 0.


# %%
def squared_distance(model, x):
    """Squared distance to the nearest class (N,), in units of its covariance."""
    means = torch.stack([mean for mean, _, _ in model])  # (10, 784)
    peak = log_density(model, means).diagonal()  # log p(μ_k | k)
    return 2 * (peak - log_density(model, x)).min(1).values


own = torch.cat([draw(digits, k, 30, clip=False) for k in range(10)])
compared = {
    "the model's own draws": own,
    "test digits": base,
    "letters": letters,
    "a blank sheet": torch.zeros(1, 784),
    "blurred digits": elsewhere["blurred (5 × 5)"],
}
medians = {name: squared_distance(digits, x).median() for name, x in compared.items()}

# %% tags=["figure"]
# @title Table: squared distances to the nearest class
rows = [[name, median] for name, median in medians.items()]
cu.table(rows, ["images", "squared distance"], "Medians; d = 784.", digits=0)

# %% [markdown]
# And the digit that you drew in lesson 00 (or the shipped one)?

# %%
mine = cu.my_digit().reshape(1, 784).float() / 255
below_mine = (inside < log_px(digits, mine)).double().mean()
print(f"Its log p(x) is higher than that of {below_mine:.0%} of the test digits.")
for name, seen in (
    ("whole", whole),
    ("three quarters hidden", hide(0.75)),
    ("lower half hidden", half),
):
    by_gauss, by_network = both_posteriors(mine, seen)
    gauss_says = f"{by_gauss.argmax()} ({by_gauss.max():.0%})"
    network_says = f"{by_network.argmax()} ({by_network.max():.0%})"
    print(f"Your digit, {name}: the Gaussians say {gauss_says}, the network {network_says}.")

# %% [markdown]
# No bug.
# The model's own draws and the real digits live at a squared distance near 784, on a shell around the mean.
# The blank sheet sits near the peak, in a place of the highest density and of almost no volume, where no sample ever comes.
# **High density does not mean typical.**
# That also explains the repair in the table's third column: ask how far log p(x) is from its *usual* value, on either side.
# It catches blurred, faint and blank sheets, and costs something at letters and turned digits.
# (Nalisnick and others, 2019, found the same in deep models of photographs.)

# %% [markdown]
# ## 9 · What breaks, and what comes next *(core)*
#
# Look once more at what the best model of this lesson draws, now beside real handwriting.
# **Predict.**
# The ink of real digits is mostly fully black.
# And in the drawn ones?

# %%
real = {k: data.test.only(k) for k in (4, 7)}
few_drawn = {k: draw(digits, k, 10, seed=21, noise=False) for k in (4, 7)}


def dark_share(x):
    """Of the pixels with any ink (above 0.1), the share that is nearly black (above 0.7)."""
    return ((x > 0.7).sum() / (x > 0.1).sum()).item()


# %% tags=["figure", "slide"]
# @title Figure: drawn and real fours and sevens
pairs = []
for k in (4, 7):
    pairs += [few_drawn[k], real[k].sample(10, seed=5).flat()]
names = ["drawn 4", "real 4", "drawn 7", "real 7"]
ax = cu.plots.image_grid(torch.cat(pairs).reshape(-1, 28, 28), rows=4, row_titles=names)
cu.show(
    ax.figure,
    "Fours and sevens drawn by one Gaussian per class (smooth part), each above real ones.",
)

# %%
for k in (4, 7):
    in_real = dark_share(real[k].flat())
    in_drawn = dark_share(draw(digits, k, 500, noise=False))
    print(f"Class {k}: of the inked pixels {in_real:.0%} are nearly black in real digits,")
    print(f"         {in_drawn:.0%} in drawn ones.")

# %% [markdown]
# The drawn digits are grey where real ones are black or white.
# A 4 is open or closed at the top, a 7 has a bar or none, and both come at many slants.
# One Gaussian must cover all of these with one hump and a linear W z, and a stroke that is *either here or there* becomes a half-dark stroke in both places.
# Those are the two superposed strokes.
# The next lesson repairs this with a hidden choice: first pick *which kind* of 4, then draw it from that kind's own Gaussian.
# **Lesson 02, Gaussian mixtures.**
#
# ### Check yourself

# %% tags=["figure"]
# @title Quiz: three questions on lesson 01
cu.quiz(
    [
        {
            "text": "Two classes are Gaussian with the same covariance. What is true of "
            "logistic regression fitted to a sample?",
            "options": [
                "Its weights equal LDA's, because the posterior is logistic",
                "It searches the same functions as LDA but may choose another one",
                "It is worse than LDA, because it ignores p(x)",
                "It cannot fit: the classes overlap",
            ],
            "answer": 1,
            "why": "The identity fixes the form σ(wᵀx + b). The two fits use different "
            "criteria.",
        },
        {
            "text": "Half of the pixels are missing. What does the Gaussian model do with "
            "them?",
            "options": [
                "It fills in the class mean",
                "It fills in their most probable values",
                "It drops their rows from the mean and from W",
                "It sets them to zero",
            ],
            "answer": 2,
            "why": "Marginalising a Gaussian is deleting rows. Filling in any one value "
            "pretends to know it.",
        },
        {
            "text": "A blank sheet has a higher log p(x) than nearly every test digit. Why?",
            "options": [
                "The density is not normalised",
                "It is near the peak, where there is hardly any volume",
                "The training set holds blank images",
                "The covariance is singular",
            ],
            "answer": 1,
            "why": "Samples in 784 dimensions lie at a squared distance of about 784. The "
            "peak is denser, but nothing is there.",
        },
    ],
    "Three questions on lesson 01.",
)

# %% [markdown]
# ## Recap *(core)*
#
# - **Posterior from class densities.**
#   Add the log prior, subtract the log-sum-exp over the classes.
#   It survives log-likelihoods of −1,000 and served every generative model here.
# - **The bridge.**
#   One covariance makes the quadratic terms cancel: p(y = 1 | x) = σ(wᵀx + b) with w = Σ⁻¹(μ₁ − μ₀), to rounding error.
#   The form is shared, the fit is not: an easy far-away group turned LDA's line and left the other one alone.
# - **Draw and classify with one model.**
#   The same μ_k, W_k and σ drew sevens, came within about a point of a neural network on whole digits, and kept reading when pixels were hidden, by deleting rows.
#   Climbing the network's gradient gave a "3" that no one would call one.
# - **Fewer examples?**
#   On binary MNIST there was no crossing.
#   Where its assumption holds, naive Bayes is never behind; where one witness is copied forty times, it never recovers.
# - **Foreign inputs.** log p(x) notices negatives and noise, is no better than a classifier's confidence at letters, and is fooled by anything plain.
#
# **What breaks and why.**
# A generative model is only as good as what it says about x:
# LDA bends to an irrelevant group, naive Bayes counts copies as witnesses, a Gaussian has its greatest density where no sample is, and its single hump draws ghosts.
# A classifier says nothing about x and breaks when x changes: holes, letters, painted rectangles.
#
# **References**
# - A. Y. Ng, M. I. Jordan, *On discriminative vs. generative classifiers: a comparison of logistic regression and naive Bayes*, 2001
# - B. Efron, *The efficiency of logistic regression compared to normal discriminant analysis*, 1975
# - M. E. Tipping, C. M. Bishop, *Probabilistic principal component analysis*, 1999
# - J. A. Lasserre, C. M. Bishop, T. P. Minka, *Principled hybrids of generative and discriminative models*, 2006
# - A. Nguyen, J. Yosinski, J. Clune, *Deep neural networks are easily fooled: high confidence predictions for unrecognizable images*, 2015
# - E. Nalisnick and others, *Do deep generative models know what they don't know?*, 2019
