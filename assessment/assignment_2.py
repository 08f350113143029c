# %% tags=["variant"]
"""Assignment 2 (lessons 05 to 07, and one later lesson). This cell makes the variant's numbers; it is in no
notebook."""

import itertools
import math

from tools.assessment.variant import Variant

v = Variant("assignment_2")

# Problem 1: which family drew which set; sixty ways to deal three of five
FAMILIES = ("mixture", "VAE", "GAN", "diffusion", "flow")
dealt = list(itertools.permutations(FAMILIES, 3))[v.place("families")]
v.families = dict(zip("ABC", dealt))
v.in_a, v.in_b, v.in_c = dealt

# Problem 2: a critic with a thumb on the scale, on paper
v.share = v.grid("share", 0.305, 0.005)
v.target = v.grid("target", 0.701, 0.004)
v.m = v.grid("m", 0.52, 0.02)
p_1 = math.exp(-0.5 * (1 - v.m) ** 2)
q_1 = math.exp(-0.5 / 1.5**2) / 1.5
v.ratio_1 = math.log(p_1 / q_1)
v.critic_1 = v.share * v.target * p_1 / (v.share * p_1 + (1 - v.share) * q_1)

# Problem 3: the same in code
v.share3 = v.grid("share3", 0.202, 0.004)
v.target3 = v.grid("target3", 0.801, 0.003)
v.cap = v.grid("cap", 2.05, 0.05)
v.at_zero = math.log((1 - v.share3) * 0.5 / (v.share3 * (v.target3 - 0.5)))

# Problem 4: guidance on paper
v.mu = v.grid("mu", 0.81, 0.02)
v.abar = v.grid("abar", 0.305, 0.01)
noised = 0.25 * v.abar + 1 - v.abar
slope = 2 * math.sqrt(v.abar) * v.mu / noised
v.pull = slope / (1 + math.exp(slope * 0.5))
v.told = math.sqrt(1 - v.abar) * (0.5 - math.sqrt(v.abar) * v.mu) / noised

# Problem 5: guidance in code
v.clip = v.grid("clip", 0.52, 0.03)
v.phi = v.grid("phi", 0.305, 0.01)

# Problem 6: five of fourteen claims, each with its truth and the reason
CLAIMS = [
    (
        "Against the best critic, E log(1 − D(G(z))) and −E log D(G(z)) pull G with equal strength.",
        False,
        "Where D is sure of a forgery the first is flat in the logit and the second has slope 1.",
    ),
    (
        "If a trained D says ½ to every image, G has found the distribution of the data.",
        False,
        "Only the best D proves that; a weak or lazy one says ½ to anything.",
    ),
    (
        "A falling loss of G shows that its images get better.",
        False,
        "The loss is measured by a D that changes, too; only a fixed judge compares two times.",
    ),
    (
        "If real images and forgeries are shown equally often, the logit of the best D is the "
        "logarithm of the ratio of their densities.",
        True,
        "D* = p/(p + q), and the logit of that is log p − log q.",
    ),
    (
        "Mode collapse lowers recall; precision may stay as it was.",
        True,
        "What is still drawn can be perfect; the real images of the lost modes are not covered.",
    ),
    (
        "In the training of a diffusion model each image of the batch is noised to one random "
        "time; the chain is never run.",
        True,
        "q(x_t | x_0) is a Gaussian with known mean and variance, drawn in one go.",
    ),
    (
        "Given x_t and t, a network that predicts the noise and one that predicts x_0 can be "
        "turned into each other without training.",
        True,
        "x_t = √ᾱ_t x_0 + √(1−ᾱ_t) ε is linear: one of the two gives the other.",
    ),
    (
        "DDIM with η = 0 gives the same image whenever it starts from the same noise.",
        True,
        "No noise is drawn on the way; the sampler is a function of its start.",
    ),
    (
        "Guidance with w > 1 draws from p(x | y) more exactly than w = 1.",
        False,
        "w = 1 is the conditional model; more exaggerates, costs variety, "
        "and draws from no density that one could name.",
    ),
    (
        "A Fréchet distance near 0 to the test set shows that a model has not copied its "
        "training set.",
        False,
        "Copies of training images are as near to the test set as real images can be.",
    ),
    (
        "Of two honest draws of real digits the one of 1,000 images has, on average, the larger "
        "Fréchet distance to the test set than the one of 5,000.",
        True,
        "The estimate is biased upwards, and the more so the fewer images there are.",
    ),
    (
        "The unbiased kernel distance of a good generator may be negative.",
        True,
        "It is unbiased around a small number, so it scatters to both sides of it.",
    ),
    (
        "Of two models the one with the higher likelihood of test digits draws the better digits.",
        False,
        "One may lose a few nats of hundreds by drawing rubbish now and then, or blur what it "
        "draws while its density is good.",
    ),
    (
        "R1 punishes D for steep slopes at real images.",
        True,
        "It adds the squared norm of D's gradient in its input, at real data.",
    ),
]
chosen = v.claims(CLAIMS)
v.truth = [truth for _, truth, _ in chosen]
v.claim_a, v.claim_b, v.claim_c, v.claim_d, v.claim_e = [claim for claim, _, _ in chosen]
v.why_a, v.why_b, v.why_c, v.why_d, v.why_e = [
    f"{'True' if truth else 'False'}. {why}" for _, truth, why in chosen
]

# Problem 7: a kernel and a floor
v.c = v.grid("c", 0.52, 0.02)
v.one_mmd = (v.c - 1) ** 3 - v.c**3
v.level = v.grid("level", 0.802, 0.003)

# Problem 8, lesson 09: a chain that looks two back
v.one_back = v.grid("one_back", 0.51, 0.02)
v.two_back = v.grid("two_back", -1.19, 0.01)


def sigmoid(a):
    return 1 / (1 + math.exp(-a))


first = sigmoid(-0.3)  # p(x_1 = 1)
second = [sigmoid(-0.3 + v.one_back * x1) for x1 in (0, 1)]  # p(x_2 = 1 | x_1)
v.log_1011 = math.log(first * (1 - second[1]) * sigmoid(v.two_back - 0.3))
v.log_1011 += math.log(sigmoid(v.one_back - 0.3))
v.third = 0.0
for x1, x2 in itertools.product((0, 1), repeat=2):
    both = (first if x1 else 1 - first) * (second[x1] if x2 else 1 - second[x1])
    v.third += both * sigmoid(v.one_back * x2 + v.two_back * x1 - 0.3)

# Problem 8, lesson 10: a layer with a bend
v.bend = v.grid("bend", 0.505, 0.01)
v.straight = v.grid("straight", 0.31, 0.01)
v.log_p0 = math.log(v.straight + v.bend) - 0.5 * math.log(2 * math.pi)
z_1 = v.straight + math.sinh(v.bend)
v.log_p1 = math.log(v.straight + v.bend * math.cosh(v.bend)) - 0.5 * z_1**2
v.log_p1 -= 0.5 * math.log(2 * math.pi)

# Problem 8, lesson 11: a ring of spins
v.J = v.grid("J", 0.21, 0.01)
v.h = v.grid("h", 0.105, 0.005)
root = math.sqrt(math.exp(2 * v.J) * math.sinh(v.h) ** 2 + math.exp(-2 * v.J))
large = math.exp(v.J) * math.cosh(v.h) + root
small = math.exp(v.J) * math.cosh(v.h) - root
v.log_z4 = math.log(large**4 + small**4)
v.up = sigmoid(2 * (2 * v.J + v.h))

# %% [markdown]
# # Assignment 2 · Critics, noise and rulers
#
# Lessons 05 to 07, and lesson ⟦lesson⟧ in the last problem.
#
# ⟪problems⟫
#
# **How it works.**
# Work in the course's folder `notebooks/`, with `sets.npz` beside this notebook.
# Write programs where a cell says `raise NotImplementedError`, and type over *Your answer* where text is asked for.
# A derivation may be a photograph of your handwriting, dropped into that cell.
# The numbers in the text belong to this assignment alone: your functions hold them as numbers.
# Where a number is asked for, give it to four decimals or better.
# Visible tests stand below a function; hidden ones run when your work is graded, and look at values that the visible ones leave out.
# Until then a cell of hidden tests is green whatever you wrote.
# A test that passes gives its points, one that fails gives none.
# No program needs a program of another problem.
# But 3a programs the formula of 2a: if you could not derive it, you may ask for it, and lose the points of the derivation alone.
#
# **Before you hand in** restart the kernel and run all cells.
# Do not rename functions, and do not copy or delete cells; you may add cells of your own.
# Send in this notebook alone, as `yourname_assignment_2.ipynb`.
# A number in a free answer needs the line of calculation, or the cell, that it comes from.

# %% tags=["setup"]
import math

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import course_utils as cu

device = cu.setup()

# %% [markdown]
# ## Problem 1 · Who drew these?
#
# `sets.npz`, beside this notebook, holds three sets of digits, A, B and C.
# Each was drawn by another one of five models of the course, from its shipped weights, anew for this variant: a *mixture* of forty Gaussians (lesson 02b), the decoder means of a *VAE* (04), a *GAN* (05), a *diffusion* model (06), a *flow* (10).
# What each family's draws look like you may learn from the shipped samples, `cu.runs.load("05_gan").samples`, and likewise `"02_mixture"`, `"04_vae_means"`, `"06_diffusion"` and `"10_flow"`.

# %% tags=["figure"]
# @title Figure: ten of each set
with np.load("sets.npz") as file:
    unknown = {name: torch.from_numpy(file[name]) for name in "ABC"}  # uint8 (n, 28, 28)
ten = torch.cat([images[:10, None] for images in unknown.values()])
ax = cu.plots.image_grid(ten, rows=3, row_titles=list("ABC"))
cu.show(ax.figure, "Ten images of each of the three sets.")

# %% [markdown]
# **1a (conceptual, 6 points, 30 minutes).**
# Which family drew which set?


# %% answer="1a"
def families():
    """{"A": …, "B": …, "C": …}, each "mixture", "VAE", "GAN", "diffusion" or "flow"."""
    ### BEGIN SOLUTION
    return v.families
    ### END SOLUTION


# %% tests="1a" points=2
# Set A. Visible: three names. Hidden: whether it is right. 2 points for each set.
assert set(families()) == set("ABC") and len(set(families().values())) == 3
assert set(families().values()) <= {"mixture", "VAE", "GAN", "diffusion", "flow"}
### BEGIN HIDDEN TESTS
assert families()["A"] == v.in_a
### END HIDDEN TESTS

# %% tests="1a" points=2
assert len(set(families().values())) == 3  # Set B
### BEGIN HIDDEN TESTS
assert families()["B"] == v.in_b
### END HIDDEN TESTS

# %% tests="1a" points=2
assert len(set(families().values())) == 3  # Set C
### BEGIN HIDDEN TESTS
assert families()["C"] == v.in_c
### END HIDDEN TESTS

# %% [markdown]
# **1b (conceptual, 8 points, 40 minutes).**
# Prove it by measurements: a table of at least three numbers for A, B, C, for the shipped samples that you compare with, and for real digits, at equal numbers of images.
# Say for each number what in the *model* makes it so.
# Name one number that does *not* tell two of the five families apart, and one reason why looking would not have been enough.

# %% [markdown] written="1b" points=8
# Three measurements with real digits and shipped samples beside them, at equal n (3 points); for each set a reason in the model (3 points); a number that fails, and the limit of looking (2 points).
#
# Marks that do tell (measured on 300 shipped samples each; the tests of the course check them):
# - *mixture*: each pixel is drawn with noise of its own, so grains of ink stand alone (more than a tenth of an isolated pixel an image, where real digits have practically none) and more than a tenth of all pixels is half grey;
# - *diffusion*: noise never goes to exactly 0, so fewer than half of all pixels are exactly black, but unlike the mixture's they are nearly black: under 6 % are half grey;
# - *VAE*, means: the mean over all images that share a code is blurred; the change from pixel to pixel, divided by the mean ink, is the lowest of the five, and few pixels are white;
# - *GAN*: a Fréchet distance like the diffusion model's, but two thirds of all pixels and more are exactly black;
# - *flow*: pixels one by one look real (black, white and half grey in nearly the proportions of digits), and yet the Fréchet distance is tens, for what a flow gets wrong is far-reaching shape.
#
# The share of exact black alone does not tell mixture from diffusion; the Fréchet distance alone does not tell GAN from diffusion. Looking finds blur and grain, but not whether a faint grey is 0 or 3 of 255, and not how often a rare kind is missing.

# %% [markdown]
# ## Problem 2 · A critic with a thumb on the scale
#
# Among the images that D sees, the share $\rho$ is real, with density $p$; the others are forgeries, with density $q$.
# D is taught with *smoothed* labels: a real image has the target $s<1$, a forgery 0.
# It maximises
#
# $$V(D)=\rho\,\mathbb E_p\bigl[s\log D(x)+(1-s)\log(1-D(x))\bigr]+(1-\rho)\,\mathbb E_q\log(1-D(x)).$$
#
# **2a (mathematical, 7 points, 30 minutes).**
# (i) Find the best $D^*(x)$ and prove that it is a maximum.
# (ii) Solve for the ratio $p/q$.
# (iii) Show that for $s=1$ the logit of $D^*$ is the logarithm of the density ratio plus a constant, and say which.
# (iv) Which values does $D^*$ never take if $s<1$, and what would a trained D that takes them tell you?

# %% [markdown] written="2a" points=7
# (i) At one $x$ the integrand is $A\log D+B\log(1-D)$ with $A=\rho sp$ and $B=\rho(1-s)p+(1-\rho)q$. Its derivative $A/D-B/(1-D)$ vanishes at $D=A/(A+B)$ only, and is positive below and negative above: a maximum. So
#
# $$D^*=\frac{\rho\,s\,p}{\rho\,p+(1-\rho)\,q}.$$
#
# (3 points)
#
# (ii) $D^*\rho p+D^*(1-\rho)q=\rho sp$, so $\dfrac pq=\dfrac{(1-\rho)D^*}{\rho\,(s-D^*)}$. (2 points)
#
# (iii) For $s=1$: $\dfrac{D^*}{1-D^*}=\dfrac{\rho p}{(1-\rho)q}$; the logit is $\log\frac pq+\log\frac\rho{1-\rho}$. The constant is the logit of the share, 0 for equal shares. (1 point)
#
# (iv) $D^*\le s$, with equality only where $q=0$. A trained D above $s$ has not reached its optimum there: it saw few points, or forgot the smoothing. (1 point)

# %% [markdown]
# **2b (mathematical, 4 points, 15 minutes).**
# $p=\mathcal N(⟦m⟧,1)$, $q=\mathcal N(0,1.5^2)$, $\rho=⟦share⟧$, $s=⟦target⟧$.
# Return $\log\frac{p(1)}{q(1)}$ and $D^*(1)$.


# %% answer="2b"
def at_one():
    """(log p(1)/q(1), D*(1))."""
    ### BEGIN SOLUTION
    p = math.exp(-0.5 * (1 - v.m) ** 2)  # both without √2π
    q = math.exp(-0.5 / 1.5**2) / 1.5
    return math.log(p / q), v.share * v.target * p / (v.share * p + (1 - v.share) * q)
    ### END SOLUTION


# %% tests="2b" points=2
# Visible: two numbers. Hidden: the logarithm, 2 points, then D*, 2 points.
assert len(at_one()) == 2 and 0 < float(at_one()[1]) < 1
### BEGIN HIDDEN TESTS
assert abs(at_one()[0] - v.ratio_1) < 1e-3
### END HIDDEN TESTS

# %% tests="2b" points=2
assert 0 < float(at_one()[1]) < 1
### BEGIN HIDDEN TESTS
assert abs(at_one()[1] - v.critic_1) < 1e-3
### END HIDDEN TESTS

# %% [markdown]
# ## Problem 3 · Measure a ratio
#
# A critic was trained as in Problem 2 with $\rho=⟦share3⟧$ and $s=⟦target3⟧$.
# You get its logits $a$, with $D=1/(1+e^{-a})$.
#
# **3a (programming, 3 points, 15 minutes).**
# The log-density ratio that it has found: $+\infty$ where $D\ge s$, and finite however sure of a forgery D is.


# %% answer="3a"
def log_ratio(logits):
    """log p/q from the critic's logits, any shape."""
    ### BEGIN SOLUTION
    D = torch.sigmoid(logits)
    left = (v.target3 - D).clamp(min=0)  # 0 where D ≥ s: its logarithm is −∞
    prior = math.log((1 - v.share3) / v.share3)
    return F.logsigmoid(logits) - left.log() + prior
    ### END SOLUTION


# %% tests="3a" points=1
# Visible test of 3a, 1 point: shape, one value, and a critic above s.
out = log_ratio(torch.tensor([[0.0, -1.0], [9.0, 0.5]]))
assert tuple(out.shape) == (2, 2)
assert abs(float(out[0, 0]) - v.at_zero) < 1e-4, "the logit 0 says D = ½"
assert float(out[1, 0]) == math.inf

# %% tests="3a" points=2
# Hidden tests of 3a, 2 points: the best critic of two known densities; a very sure critic.
assert callable(log_ratio)
### BEGIN HIDDEN TESTS
g = torch.Generator().manual_seed(1)
p = torch.rand(50, generator=g, dtype=torch.float64) + 0.01
q = torch.rand(50, generator=g, dtype=torch.float64) + 0.01
D = v.share3 * v.target3 * p / (v.share3 * p + (1 - v.share3) * q)
assert torch.allclose(log_ratio(torch.logit(D)), p.log() - q.log(), atol=1e-8)
sure = log_ratio(torch.tensor([-120.0]))
assert abs(float(sure) + 120 - math.log((1 - v.share3) / (v.share3 * v.target3))) < 1e-2
### END HIDDEN TESTS

# %% [markdown]
# **3b (programming, 5 points, 30 minutes).**
# Forgeries can stand in for data if each is weighed by $w_n=p(x_n)/q(x_n)$.
# A few huge weights spoil that, so each weight is cut at ⟦cap⟧ times the mean weight.
# Return $\sum_nw_nf_n/\sum_nw_n$ with the weights after the cut, and their effective number $\bigl(\sum_nw_n\bigr)^2/\sum_nw_n^2$.
# The logarithms may be as large as 500: stay in log-space as long as you must.


# %% answer="3b"
def reweigh(values, log_ratios):
    """(weighted mean (d,), effective number): values f (N, d), log w (N,)."""
    ### BEGIN SOLUTION
    w = (log_ratios - log_ratios.max()).exp()  # a factor for all: it cancels
    w = w.minimum(v.cap * w.mean())
    return (w[:, None] * values).sum(0) / w.sum(), w.sum() ** 2 / w.square().sum()
    ### END SOLUTION


# %% tests="3b" points=2
# Visible tests of 3b, 2 points: equal weights change nothing; one huge weight is cut.
values = torch.arange(8.0).view(4, 2)
mean, number = reweigh(values, torch.full((4,), 3.0))
assert torch.allclose(mean, values.mean(0)) and abs(float(number) - 4) < 1e-4
rows = 2.0 * torch.eye(50)[:, :1]
mean, number = reweigh(rows, torch.tensor([60.0] + 49 * [0.0]))
assert torch.allclose(mean, torch.tensor([2.0])) and abs(float(number) - 1) < 1e-3
one_large = torch.tensor([math.log(951.0)] + 49 * [0.0])  # weights 951, 1, …, 1: the mean is 20
cut = 20 * v.cap
number = (cut + 49) ** 2 / (cut**2 + 49)
assert abs(float(reweigh(rows, one_large)[1]) - number) < 1e-3

# %% tests="3b" points=3
# Hidden tests of 3b, 3 points: values, and logarithms of hundreds.
assert callable(reweigh)
### BEGIN HIDDEN TESTS
g = torch.Generator().manual_seed(2)
values = torch.randn(30, 3, generator=g, dtype=torch.float64)
logs = 2 * torch.randn(30, generator=g, dtype=torch.float64)
w = logs.exp()
w = torch.minimum(w, v.cap * w.mean())
want = (w[:, None] * values).sum(0) / w.sum()
for shift in (0.0, 500.0, -500.0):
    mean, number = reweigh(values, logs + shift)
    assert torch.allclose(mean, want, atol=1e-8)
    assert abs(float(number) - float(w.sum() ** 2 / (w**2).sum())) < 1e-6
### END HIDDEN TESTS

# %% [markdown]
# Now a critic that is trained on samples: $p=\mathcal N(1,0.5^2)$, $q=\mathcal N(0,1)$.


# %% tags=["experiment"]
def critic_loss(D, real, fake):
    """−V(D) of Problem 2 on a batch: the shares ρ and 1 − ρ are weights."""
    told = torch.full((len(real),), v.target3, device=real.device)
    on_real = F.binary_cross_entropy_with_logits(D(real), told)
    on_fake = -F.logsigmoid(-D(fake)).mean()
    return v.share3 * on_real + (1 - v.share3) * on_fake


g = torch.Generator().manual_seed(v.number)
real = 1 + 0.5 * torch.randn(5_000, 1, generator=g)
fake = torch.randn(5_000, 1, generator=g)
torch.manual_seed(0)
critic = nn.Sequential(cu.nets.mlp(1, 32, 32, 1), nn.Flatten(0))
cu.fit(
    critic, critic_loss, cu.Batches((real, fake), 250), steps=800, lr=5e-3, schedule="cosine"
)
critic = critic.cpu().requires_grad_(False)

# %% tags=["figure"]
# @title Figure: the ratio that the critic has found
line = torch.linspace(-4, 4, 401)[:, None]
true = (-0.5 * ((line - 1) / 0.5) ** 2 + 0.5 * line**2 + math.log(2)).flatten()
found = log_ratio(critic(line))
fig, (left, right) = plt.subplots(1, 2, figsize=(11, 3.6))
left.plot(line, true, color="#888888", label="log p/q, exact")
left.plot(line, found, label="from the critic")
left.set(xlabel="x", ylabel="log p(x)/q(x)", ylim=(-12, 3), title="Where is it right?")
left.legend()
right.hist(real.flatten().numpy(), 60, range=(-4, 4), density=True, alpha=0.6, label="real")
right.hist(
    fake.flatten().numpy(), 60, range=(-4, 4), density=True, alpha=0.6, label="forgeries"
)
right.set(xlabel="x", ylabel="density", title="What the critic has seen")
right.legend()
cu.show(fig, "The critic's log-ratio and the exact one; the points that it was trained on.")
on_real = log_ratio(critic(real))
exact = math.log(1 / 0.5) - 0.5 + 0.5 * (0.25 + 1)  # KL(p ‖ q)
mean, number = reweigh(torch.cat([fake, fake**2], 1), log_ratio(critic(fake)).clamp(max=20))
cu.facts(
    {
        "KL(p ‖ q), exact": f"{exact:.3f}",
        "mean log-ratio on real points": f"{on_real[on_real.isfinite()].mean():.3f}",
        "real points where D ≥ s": f"{on_real.isinf().float().mean():.1%}",
        "mean of the weighted forgeries (exact: 1)": f"{mean[0]:.2f}",
        "mean square (exact: 1.25)": f"{mean[1]:.2f}",
        "effective number of the 5,000 forgeries": f"{number:,.0f}",
    }
)

# %% [markdown]
# **3c (conceptual, 4 points, 15 minutes).**
# Read figure and facts, with numbers.
# (i) Where does the critic's ratio leave the exact one, and why does its loss not mind?
# (ii) What do smoothing ($s<1$) and the cut of the weights each protect against, and what does each cost?

# %% [markdown] written="3c" points=4
# (i) On the far left, where p is practically 0, and beyond the last points on either side: there both densities are tiny, so few or no points contribute to the loss, and the curve is whatever the network continues. Where points fall, around 0 to 2, it lies on the exact curve. (2 points, with places from the figure)
#
# (ii) Smoothing keeps the logits finite where no forgery falls, for D need not go above s; it costs resolution there: a D at or above s says "infinite" although the ratio is finite. The cut keeps a few weights from ruling the mean (variance); it pulls the mean towards that of the forgeries (bias): the forgeries that are most like data count for less than they should. (2 points)

# %% [markdown]
# ## Problem 4 · A classifier at the wheel, on paper
#
# A diffusion model gives $\hat\varepsilon(x_t,t)$, the mean of the noise given $x_t$; $\nabla$ is the gradient in $x_t$, and $\nabla\log p_t(x_t)=-\hat\varepsilon/\sqrt{1-\bar\alpha_t}$.
# Beside it stands a classifier $p_t(y\mid x_t)$ of noisy images.
#
# **4a (mathematical, 7 points, 35 minutes).**
# (i) Derive the prediction $\hat\varepsilon_y$ that belongs to $p_t(x_t\mid y)$ from $\hat\varepsilon$ and the classifier.
# (ii) Derive the prediction $\hat\varepsilon_w$ whose score is that of $p_t(x_t)\,p_t(y\mid x_t)^w$ at this $t$, and write it as a step from $\hat\varepsilon$ towards $\hat\varepsilon_y$.
# (iii) Show that a classifier for clean images, used at $x_t$, gives the wrong $\hat\varepsilon_y$ even if it is perfect: write $p_t(y\mid x_t)$ as an average over $x_0$.

# %% [markdown] written="4a" points=7
# (i) Bayes' rule: $\log p_t(x_t\mid y)=\log p_t(x_t)+\log p_t(y\mid x_t)-\log p(y)$; the last term has no gradient. Multiply the gradients by $-\sqrt{1-\bar\alpha_t}$:
# $\hat\varepsilon_y=\hat\varepsilon-\sqrt{1-\bar\alpha_t}\,\nabla\log p_t(y\mid x_t)$. (3 points)
#
# (ii) The same with $w$ in front of the second term: $\hat\varepsilon_w=\hat\varepsilon-w\sqrt{1-\bar\alpha_t}\,\nabla\log p_t(y\mid x_t)=\hat\varepsilon+w(\hat\varepsilon_y-\hat\varepsilon)$, because by (i) the gradient is $(\hat\varepsilon-\hat\varepsilon_y)/\sqrt{1-\bar\alpha_t}$. (2 points)
#
# (iii) $p_t(y\mid x_t)=\int p(y\mid x_0)\,p(x_0\mid x_t)\,dx_0$, for given $x_0$ the noise says nothing about $y$. The clean classifier at $x_t$ is $p(y\mid x_0=x_t)$: it puts one image, and one that is not even a possible clean image, in the place of an average over all clean images that may stand behind $x_t$. (2 points)

# %% [markdown]
# **4b (mathematical, 4 points, 15 minutes).**
# One pixel: $x_0\mid y$ is $\mathcal N(\mu,0.5^2)$ for $y=1$ and $\mathcal N(-\mu,0.5^2)$ for $y=0$, equally often, $\mu=⟦mu⟧$; and $\bar\alpha_t=⟦abar⟧$, $x_t=0.5$.
# Return $\nabla\log p_t(y=1\mid x_t)$ and $\hat\varepsilon_{y=1}(x_t)$.


# %% answer="4b"
def one_pixel():
    """(gradient of log p_t(1 | x_t), exact noise prediction given y = 1), at x_t = 0.5."""
    ### BEGIN SOLUTION
    variance = 0.25 * v.abar + 1 - v.abar  # of x_t given y
    slope = 2 * math.sqrt(v.abar) * v.mu / variance  # the logit is slope · x_t
    gradient = slope / (1 + math.exp(slope * 0.5))  # slope · (1 − σ(logit))
    told = math.sqrt(1 - v.abar) * (0.5 - math.sqrt(v.abar) * v.mu) / variance
    return gradient, told
    ### END SOLUTION


# %% tests="4b" points=2
# Visible: two numbers. Hidden: the gradient, 2 points, then the prediction, 2 points.
assert len(one_pixel()) == 2 and float(one_pixel()[0]) > 0
### BEGIN HIDDEN TESTS
assert abs(one_pixel()[0] - v.pull) < 1e-3
### END HIDDEN TESTS

# %% tests="4b" points=2
assert abs(float(one_pixel()[1])) < 10
### BEGIN HIDDEN TESTS
assert abs(one_pixel()[1] - v.told) < 1e-3
### END HIDDEN TESTS

# %% [markdown]
# ## Problem 5 · A classifier at the wheel, in code
#
# **5a (programming, 6 points, 35 minutes).**
# Classifier guidance: $\hat\varepsilon_w=\hat\varepsilon-w\sqrt{1-\bar\alpha_t}\;g$ with $g=\nabla\log p_t(y\mid x_t)$.
# A classifier can be very sure of its gradient, so where the norm of an example's $g$ exceeds ⟦clip⟧, $g$ is shortened to that length.
# It must work for points $(B,2)$ and images $(B,1,28,28)$, inside `torch.no_grad()`, and each example for itself.


# %% answer="5a"
def guided_eps(predict, log_classifier, x, t, y, w, abar_t):
    """Guided noise prediction, shape of x (B, …).

    predict(x, t) → ε̂, log_classifier(x, t) → log p_t(y | x) (B, classes), y (B,) int64.
    """
    ### BEGIN SOLUTION
    with torch.enable_grad():
        at = x.detach().requires_grad_()
        chosen = log_classifier(at, t)[torch.arange(len(x)), y]
        (g,) = torch.autograd.grad(chosen.sum(), at)
    norm = g.flatten(1).norm(dim=1).view(-1, *[1] * (x.ndim - 1))
    g = g * (v.clip / norm.clamp(min=1e-12)).clamp(max=1)
    return predict(x, t) - w * (1 - abar_t) ** 0.5 * g
    ### END SOLUTION


# %% tests="5a" points=2
# Visible tests of 5a, 2 points: a classifier of one slope, under and over the limit.
nothing = lambda x, t: torch.zeros_like(x)


def slanted(slope):
    """log p(y | x) of the logits (0, slope · first coordinate)."""
    return lambda x, t: torch.stack([0 * x[:, 0], slope * x[:, 0]], 1).log_softmax(1)


x = torch.zeros(3, 2)
y = torch.ones(3, dtype=torch.int64)
out = guided_eps(nothing, slanted(0.2), x, 5, y, 2.0, 0.75)  # g = (0.1, 0)
assert tuple(out.shape) == (3, 2)
assert torch.allclose(out, torch.tensor([-0.1, 0.0]).expand(3, 2), atol=1e-6)
out = guided_eps(nothing, slanted(50.0), x, 5, y, 2.0, 0.75)  # g = (25, 0), too long
assert torch.allclose(out, torch.tensor([-v.clip, 0.0]).expand(3, 2), atol=1e-5)

# %% tests="5a" points=4
# Hidden tests of 5a, 4 points: two exact classes, images, no_grad, one example alone, w = 0.
assert callable(guided_eps)
### BEGIN HIDDEN TESTS
g = torch.Generator().manual_seed(3)
centres = torch.randn(3, 16, generator=g)


def near(x, t):
    return (-0.004 * torch.cdist(x.flatten(1), centres) ** 2).log_softmax(1)


shrink = lambda x, t: 0.3 * x
x = torch.randn(4, 1, 4, 4, generator=g)
y = torch.tensor([0, 2, 1, 2])
with torch.no_grad():
    out = guided_eps(shrink, near, x, 5, y, 3.0, 0.6)
share = near(x, 5).exp()
means = (share @ centres).view_as(x)
exact = 0.008 * (centres[y].view_as(x) - means)  # ∇ log of a softmax of squared distances
assert float(exact.flatten(1).norm(dim=1).max()) < 0.5
assert torch.allclose(out, 0.3 * x - 3 * math.sqrt(0.4) * exact, atol=1e-5)
assert not out.requires_grad and x.grad is None
alone = guided_eps(shrink, near, x[1:2], 5, y[1:2], 3.0, 0.6)
assert torch.allclose(out[1:2], alone, atol=1e-6)
assert torch.allclose(guided_eps(shrink, near, x, 5, y, 0.0, 0.6), 0.3 * x, atol=1e-6)
steep = lambda x, t: 500 * near(x, t)
g_long = (guided_eps(shrink, steep, x, 5, y, 1.0, 0.0) - 0.3 * x).flatten(1).norm(dim=1)
assert torch.allclose(g_long, torch.full((4,), v.clip), atol=1e-4)
### END HIDDEN TESTS

# %% [markdown]
# **5b (programming, 4 points, 15 minutes).**
# Guidance makes the prediction larger than any noise, and images too bright.
# In the manner of section 3.4 of *Common diffusion noise schedules and sample steps are flawed* (arXiv:2305.08891), bring its size back: with $\operatorname{std}$ over all coordinates of one example,
#
# $$\hat\varepsilon\leftarrow\phi\,\hat\varepsilon_w\frac{\operatorname{std}(\hat\varepsilon)}{\operatorname{std}(\hat\varepsilon_w)}+(1-\phi)\,\hat\varepsilon_w,\qquad\phi=⟦phi⟧.$$


# %% answer="5b"
def rescale(guided, plain):
    """The guided prediction brought back towards the size of the plain one, both (B, …)."""
    ### BEGIN SOLUTION
    axes = tuple(range(1, plain.ndim))
    factor = plain.std(axes, keepdim=True) / guided.std(axes, keepdim=True)
    return v.phi * guided * factor + (1 - v.phi) * guided
    ### END SOLUTION


# %% tests="5b" points=2
# Visible test of 5b, 2 points: a prediction twice as large.
plain = torch.randn(3, 1, 4, 4, generator=torch.Generator().manual_seed(4))
assert torch.allclose(rescale(2 * plain, plain), (2 - v.phi) * plain, atol=1e-5)

# %% tests="5b" points=2
# Hidden tests of 5b, 2 points: values, each example for itself, points and images.
assert callable(rescale)
### BEGIN HIDDEN TESTS
g = torch.Generator().manual_seed(5)
for shape in ((4, 6), (3, 1, 5, 5)):
    plain = torch.randn(shape, generator=g, dtype=torch.float64)
    scale = torch.arange(1.0, shape[0] + 1, dtype=torch.float64).view(
        -1, *[1] * (len(shape) - 1)
    )
    guided = scale * torch.randn(shape, generator=g, dtype=torch.float64) + 0.5
    out = rescale(guided, plain)
    for n in range(shape[0]):
        factor = float(plain[n].std() / guided[n].std())
        assert torch.allclose(out[n], (v.phi * factor + 1 - v.phi) * guided[n], atol=1e-8)
### END HIDDEN TESTS

# %% [markdown]
# Your guidance drives the exact predictor of lesson 06's three clouds.
# No question: see what $w$ and the limit on $g$ do.

# %% tags=["figure"]
# @title Figure: three clouds, one of them wanted
from course_utils.lessons import lesson_06 as six


def log_clouds(x, t):
    """log p_t(component | x_t) of lesson 06's mixture, exact: x (n, 2) → (n, 3)."""
    weights, means, width = six.toy
    variance = six.abar[t] * width**2 + 1 - six.abar[t]
    squares = (x[:, None] - six.abar[t] ** 0.5 * means).square().sum(2)
    return (weights.log() - squares / (2 * variance)).log_softmax(1)


def driven(w):
    """Ancestral sampling towards component 2."""

    def predict(x, t):
        wanted = torch.full((len(x),), 2)
        plain = six.exact_eps(x, t)
        return guided_eps(lambda x, t: plain, log_clouds, x, t, wanted, w, float(six.abar[t]))

    g = torch.Generator().manual_seed(0)
    start = torch.randn(400, 2, generator=g, dtype=torch.float64)
    return six.way_back(predict, start, six.spaced(cu.budget(100, 10)), generator=g)


fig, axes = plt.subplots(1, 3, figsize=(12, 4), sharex=True, sharey=True)
cloud = six.draw_mixture(600, 0)
for ax, w in zip(axes, (0.0, 1.0, 4.0)):
    cu.plots.scatter(cloud, ax=ax, s=4, color="#bbbbbb")
    cu.plots.scatter(driven(w), ax=ax, s=5, color="#D55E00").set_title(f"w = {w:g}")
cu.show(fig, "Draws without guidance, with w = 1 and w = 4 (orange), over the data (grey).")

# %% [markdown]
# ## Problem 6 · Five claims
#
# - **A** ⟦claim_a⟧
# - **B** ⟦claim_b⟧
# - **C** ⟦claim_c⟧
# - **D** ⟦claim_d⟧
# - **E** ⟦claim_e⟧
#
# **6a (conceptual, 5 points, 15 minutes).**
# Which are true?


# %% answer="6a"
def claims():
    """{"A": True or False, …, "E": …}."""
    ### BEGIN SOLUTION
    return dict(zip("ABCDE", v.truth))
    ### END SOLUTION


# %% tests="6a" points=1
# Claim A. Visible: an answer to each claim. Hidden: whether it is right. 1 point a claim.
assert set(claims()) == set("ABCDE") and all(type(said) is bool for said in claims().values())
### BEGIN HIDDEN TESTS
assert claims()["A"] is v.truth[0]
### END HIDDEN TESTS

# %% tests="6a" points=1
assert type(claims()["B"]) is bool  # Claim B
### BEGIN HIDDEN TESTS
assert claims()["B"] is v.truth[1]
### END HIDDEN TESTS

# %% tests="6a" points=1
assert type(claims()["C"]) is bool  # Claim C
### BEGIN HIDDEN TESTS
assert claims()["C"] is v.truth[2]
### END HIDDEN TESTS

# %% tests="6a" points=1
assert type(claims()["D"]) is bool  # Claim D
### BEGIN HIDDEN TESTS
assert claims()["D"] is v.truth[3]
### END HIDDEN TESTS

# %% tests="6a" points=1
assert type(claims()["E"]) is bool  # Claim E
### BEGIN HIDDEN TESTS
assert claims()["E"] is v.truth[4]
### END HIDDEN TESTS

# %% [markdown]
# **6b (conceptual, 5 points, 25 minutes).**
# One or two sentences for each: the reason if it is true, a correction or a counterexample if it is false.

# %% [markdown] written="6b" points=5
# One point each; none for "true" or "false" without a reason.
#
# - **A** ⟦why_a⟧
# - **B** ⟦why_b⟧
# - **C** ⟦why_c⟧
# - **D** ⟦why_d⟧
# - **E** ⟦why_e⟧

# %% [markdown]
# ## Problem 7 · A distance and its floor
#
# **7a (programming, 4 points, 20 minutes).**
# The squared maximum mean discrepancy of two samples, with the kernel $k(a,b)=\bigl(\tfrac1da\cdot b+⟦c⟧\bigr)^3$ and without bias: averages over pairs of *different* examples within a sample, over all pairs between the two.


# %% answer="7a"
def mmd2(x, y):
    """Unbiased MMD², a scalar: features x (n, d), y (m, d)."""
    ### BEGIN SOLUTION
    d = x.shape[1]
    n = len(x)
    m = len(y)
    xx = (x @ x.T / d + v.c) ** 3
    yy = (y @ y.T / d + v.c) ** 3
    xy = (x @ y.T / d + v.c) ** 3
    within = (xx.sum() - xx.trace()) / (n * (n - 1)) + (yy.sum() - yy.trace()) / (m * (m - 1))
    return within - 2 * xy.mean()
    ### END SOLUTION


# %% tests="7a" points=2
# Visible tests of 7a, 2 points: one number, symmetric; two points against two.
g = torch.Generator().manual_seed(6)
x = torch.randn(7, 3, generator=g)
y = torch.randn(5, 3, generator=g) + 1
assert mmd2(x, y).ndim == 0 and torch.allclose(mmd2(x, y), mmd2(y, x), atol=1e-5)
out = mmd2(torch.tensor([[1.0], [-1.0]]), torch.zeros(2, 1))
assert abs(float(out) - v.one_mmd) < 1e-4

# %% tests="7a" points=2
# Hidden tests of 7a, 2 points: values for samples of unequal size.
assert callable(mmd2)
### BEGIN HIDDEN TESTS
g = torch.Generator().manual_seed(7)
x = torch.randn(6, 4, generator=g, dtype=torch.float64)
y = torch.randn(9, 4, generator=g, dtype=torch.float64) + 0.5


def kernel(a, b):
    return (float(a @ b) / 4 + v.c) ** 3


xx = [kernel(x[i], x[j]) for i in range(6) for j in range(6) if i != j]
yy = [kernel(y[i], y[j]) for i in range(9) for j in range(9) if i != j]
xy = [kernel(a, b) for a in x for b in y]
want = sum(xx) / len(xx) + sum(yy) / len(yy) - 2 * sum(xy) / len(xy)
assert abs(float(mmd2(x, y)) - want) < 1e-8
### END HIDDEN TESTS

# %% [markdown]
# **7b (programming, 4 points, 20 minutes).**
# How large is the distance of real images from real images?
# Draw `pairs` times two disjoint samples of $n$ from the same real features: `torch.randperm(len(real), generator=generator)`, the first $n$ against the next $n$.
# Return the quantile of level ⟦level⟧ of these distances (`torch.quantile`): what is above it is rarely luck.


# %% answer="7b"
def floor(real, n, statistic, pairs, generator):
    """The quantile of statistic(a, b), disjoint samples a, b (n, d) of real (N, d)."""
    ### BEGIN SOLUTION
    found = []
    for _ in range(pairs):
        order = torch.randperm(len(real), generator=generator)
        found.append(float(statistic(real[order[:n]], real[order[n : 2 * n]])))
    return torch.tensor(found).quantile(v.level)
    ### END SOLUTION


# %% tests="7b" points=2
# Visible tests of 7b, 2 points: a statistic that counts its calls, 0 to 40.
calls = []
counted = lambda a, b: calls.append((len(a), len(b))) or torch.tensor(len(calls) - 1.0)
out = floor(torch.arange(30.0)[:, None], 10, counted, 41, torch.Generator().manual_seed(8))
assert calls == 41 * [(10, 10)], "pairs of samples of n"
assert abs(float(out) - 40 * v.level) < 1e-3, "the quantile of 0, 1, …, 40"

# %% tests="7b" points=2
# Hidden tests of 7b, 2 points: disjoint samples, the generator alone, values.
assert callable(floor)
### BEGIN HIDDEN TESTS
rows = torch.randn(40, 2, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
kept = []


def gap(a, b):
    kept.append(len({tuple(row) for row in torch.cat([a, b]).tolist()}))
    return (a.mean(0) - b.mean(0)).norm()


state = torch.get_rng_state()
out = floor(rows, 15, gap, 20, torch.Generator().manual_seed(10))
assert torch.equal(state, torch.get_rng_state()) and kept == 20 * [30]
g = torch.Generator().manual_seed(10)
want = []
for _ in range(20):
    order = torch.randperm(40, generator=g)
    want.append((rows[order[:15]].mean(0) - rows[order[15:30]].mean(0)).norm())
assert abs(float(out) - float(torch.stack(want).quantile(v.level))) < 1e-5
### END HIDDEN TESTS

# %% [markdown]
# Three shipped models, through the eyes of the course's classifier, against validation digits.

# %% tags=["figure"]
# @title Table: distances beside their floor
n = cu.budget(300, 40)
mnist = cu.mnist()
look = lambda images: cu.metrics.features(torch.as_tensor(images)).double()
real_val = look(mnist.val.sample(4 * n, seed=1).x)
floor_val = float(floor(real_val, n, mmd2, 40, torch.Generator().manual_seed(0)))
rows = [["real against real, the quantile of 7b", floor_val, "–"]]
for name in ("05_gan", "06_diffusion", "04_vae_means"):
    samples = cu.runs.load(name).samples
    values = [
        float(mmd2(look(samples[i * n : (i + 1) * n]), real_val[i * n : (i + 1) * n]))
        for i in range(3)
    ]
    rows.append([name, sum(values) / 3, ", ".join(f"{value:.4f}" for value in values)])
test = look(mnist.test.sample(n, seed=2).x)
rows.append(["test digits against validation", float(mmd2(test, real_val[:n])), "–"])
cu.table(
    rows, ["sample", "MMD², mean", "three sets"], f"Features of {n} images a sample.", digits=4
)

# %% [markdown]
# **7c (conceptual, 5 points, 20 minutes).**
# Read the table, with its numbers.
# (i) Which models differ from real digits by more than luck, and which pair of models can the table not rank?
# (ii) Why is a single distance without floor and without $n$ no result?
# (iii) The floor is a quantile. What goes wrong if forty models are each compared with it?

# %% [markdown] written="7c" points=5
# (i) Above the floor in all three sets: that model differs by more than luck; inside it, or on both sides of it: not shown to differ, which is not the same as equal. A pair whose three values overlap cannot be ranked by this table. (2 points, with numbers)
#
# (ii) The value depends on the features, the kernel and n; even two samples of real digits have one. Only its size beside real-against-real at the same n says something. (1 point)
#
# (iii) A share of about $1-⟦level⟧$ of perfect models lies above the floor by luck: of forty, several. Use fresh samples for the one that was picked, or a level that allows for forty looks. (2 points)

# %% [markdown] choice="09"
# ## Problem 8 · A chain that looks two back
#
# Bits $x_1,x_2,\dots$ with $p(x_i=1\mid x_{<i})=\sigma(⟦one_back⟧\,x_{i-1}+(⟦two_back⟧)\,x_{i-2}-0.3)$; what lies before the first bit counts as 0; $\sigma$ is the logistic function.
#
# **8a (mathematical, 7 points, 30 minutes).**
# (i) Prove that the product of the conditionals sums to one over all words of length $n$.
# (ii) *Cooling* with $\tau<1$ divides every logit by $\tau$ while drawing. Show that this is not the same as drawing from the cooled joint $\propto p(x)^{1/\tau}$: derive the first factor of the cooled joint of two bits.
# (iii) When are the two the same?

# %% [markdown] written="8a" points=7 choice="09"
# (i) Sum over the last bit first: it occurs in its own factor only, and $\sum_{x_n}p(x_n\mid x_{<n})=1$. What is left is the product for $n-1$ bits; repeat down to $\sum_{x_1}p(x_1)=1$. (2 points)
#
# (ii) The cooled joint is $p(x_1)^{1/\tau}p(x_2\mid x_1)^{1/\tau}/Z$. Its first factor is the sum over $x_2$: $\propto p(x_1)^{1/\tau}\,S(x_1)$ with $S(x_1)=\sum_{x_2}p(x_2\mid x_1)^{1/\tau}$. Dividing the logits by $\tau$ gives $\propto p(x_1)^{1/\tau}$ instead, without $S$. $S(x_1)$ is large where the next bit is nearly sure: the cooled joint looks ahead, cooled conditionals do not. (3 points)
#
# (iii) If $S$ does not depend on $x_1$: for $\tau=1$ (then $S=1$), or if $p(x_2\mid x_1)$ is the same up to an exchange of the two values, as with independent bits. (2 points)

# %% [markdown] choice="09"
# **8b (mathematical, 4 points, 15 minutes).**
# Return $\log p(1,0,1,1)$ and $p(x_3=1)$.


# %% answer="8b" choice="09"
def by_hand():
    """(log p(1, 0, 1, 1), p(x_3 = 1))."""
    ### BEGIN SOLUTION
    one = lambda back, two_back: (
        1 / (1 + math.exp(0.3 - v.one_back * back - v.two_back * two_back))
    )
    word = one(0, 0) * (1 - one(1, 0)) * one(0, 1) * one(1, 0)
    third = 0.0
    for x1 in (0, 1):
        for x2 in (0, 1):
            p1 = one(0, 0) if x1 else 1 - one(0, 0)
            p2 = one(x1, 0) if x2 else 1 - one(x1, 0)
            third += p1 * p2 * one(x2, x1)
    return math.log(word), third
    ### END SOLUTION


# %% tests="8b" points=2 choice="09"
# Visible: two numbers. Hidden: the logarithm, 2 points, then the probability, 2 points.
assert len(by_hand()) == 2 and float(by_hand()[0]) < 0
### BEGIN HIDDEN TESTS
assert abs(by_hand()[0] - v.log_1011) < 1e-3
### END HIDDEN TESTS

# %% tests="8b" points=2 choice="09"
assert 0 < float(by_hand()[1]) < 1
### BEGIN HIDDEN TESTS
assert abs(by_hand()[1] - v.third) < 1e-3
### END HIDDEN TESTS

# %% [markdown] choice="09"
# **8c (programming, 8 points, 35 minutes).**
# The log-probability of words, all places at once (no loop over places), and the sampler with temperature $\tau$.
# The sampler's randomness comes as uniform numbers $u$: the bit is 1 where $u$ is below its probability.


# %% answer="8c" choice="09"
def log_prob(x):
    """log p(x) of words x (B, n) of 0. and 1.: (B,)."""
    ### BEGIN SOLUTION
    back = F.pad(x, (1, 0))[:, :-1]
    two_back = F.pad(x, (2, 0))[:, : x.shape[1]]
    logits = v.one_back * back + v.two_back * two_back - 0.3
    return F.logsigmoid(torch.where(x == 1, logits, -logits)).sum(1)
    ### END SOLUTION


def sample(u, tau):
    """Words (B, n) of 0. and 1., drawn at temperature tau with the uniform numbers u (B, n)."""
    ### BEGIN SOLUTION
    x = torch.zeros(len(u), u.shape[1] + 2, dtype=u.dtype)  # two zeros before the first bit
    for i in range(u.shape[1]):
        logits = v.one_back * x[:, i + 1] + v.two_back * x[:, i] - 0.3
        x[:, i + 2] = (u[:, i] < torch.sigmoid(logits / tau)).to(u.dtype)
    return x[:, 2:]
    ### END SOLUTION


# %% tests="8c" points=3 choice="09"
# Visible tests of 8c, 3 points: all words of length 4 sum to one; one value; draws.
words = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 4)
assert tuple(log_prob(words).shape) == (16,)
assert abs(float(log_prob(words).exp().sum()) - 1) < 1e-5
pair = math.log(1 / (1 + math.exp(0.3))) - math.log(1 + math.exp(0.3 - v.one_back))
assert abs(float(log_prob(torch.ones(1, 2))) - pair) < 1e-5, "the word 1, 1"
assert sample(torch.zeros(2, 5), 1.0).tolist() == torch.ones(2, 5).tolist(), "u = 0: always 1"
want = 1 / (1 + math.exp(0.3 - v.one_back - v.two_back))  # after 1, 1
u = torch.tensor([[0.0, 0.0, want - 0.003], [0.0, 0.0, want + 0.003]])
assert sample(u, 1.0)[:, 2].tolist() == [1.0, 0.0]

# %% tests="8c" points=5 choice="09"
# Hidden tests of 8c, 5 points: values, long words, cold and hot draws.
assert callable(log_prob) and callable(sample)
### BEGIN HIDDEN TESTS
g = torch.Generator().manual_seed(11)
x = (torch.rand(6, 9, generator=g, dtype=torch.float64) < 0.5).double()
for row, value in zip(x.tolist(), log_prob(x).tolist()):
    want, bits = 0.0, [0.0, 0.0, *row]
    for i in range(9):
        p = 1 / (1 + math.exp(0.3 - v.one_back * bits[i + 1] - v.two_back * bits[i]))
        want += math.log(p if row[i] else 1 - p)
    assert abs(value - want) < 1e-8
u = torch.rand(200, 7, generator=g, dtype=torch.float64)
for tau in (0.3, 1.0, 4.0):
    made = sample(u, tau)
    for n in range(200):
        bits = [0.0, 0.0]
        for i in range(7):
            a = (v.one_back * bits[-1] + v.two_back * bits[-2] - 0.3) / tau
            bits.append(float(u[n, i] < 1 / (1 + math.exp(-a))))
        assert made[n].tolist() == bits[2:]
### END HIDDEN TESTS

# %% [markdown] choice="10"
# ## Problem 8 · A layer with a bend
#
# A flow's layer acts on every coordinate by itself: $z=f(x)=⟦straight⟧\,x+\sinh(⟦bend⟧\,x)$, and $z\sim\mathcal N(0,1)$ in each coordinate.
# Write $c$ and $b$ for the two numbers.
#
# **8a (mathematical, 7 points, 30 minutes).**
# (i) Show that $f$ is one to one and onto, and derive $\log p(x)$ of $D$ coordinates.
# (ii) Compare the tails of $p(x)$ with a Gaussian's: what does $\log p(x)$ do for large $|x|$?
# (iii) However many such layers are stacked, the coordinates of $x$ stay independent. Prove it, and name the kind of layer that changes it.

# %% [markdown] written="8a" points=7 choice="10"
# (i) $f'(x)=c+b\cosh bx\ge c+b>0$: strictly increasing, so one to one; $f\to\pm\infty$ with $x\to\pm\infty$ and $f$ is continuous: onto. The Jacobian is diagonal, so $\log p(x)=\sum_i\bigl[-\tfrac12f(x_i)^2-\tfrac12\log2\pi+\log(c+b\cosh bx_i)\bigr]$. (3 points)
#
# (ii) $f(x)$ grows like $\tfrac12e^{b|x|}$, so $\log p\approx-\tfrac18e^{2b|x|}+b|x|$: it falls exponentially where a Gaussian's falls as $-x^2$. The tails are far lighter. (2 points)
#
# (iii) A composition of maps that act on each coordinate by itself acts on each coordinate by itself: $x_i=g_i(z_i)$. Functions of independent variables, one each, are independent. A coupling layer, or any matrix that mixes coordinates, changes it. (2 points)

# %% [markdown] choice="10"
# **8b (mathematical, 4 points, 15 minutes).**
# One coordinate.
# Return $\log p(0)$ and $\log p(1)$.


# %% answer="8b" choice="10"
def by_hand():
    """(log p(0), log p(1)) in one dimension."""
    ### BEGIN SOLUTION
    constant = -0.5 * math.log(2 * math.pi)
    z = v.straight + math.sinh(v.bend)
    at_one = constant - 0.5 * z**2 + math.log(v.straight + v.bend * math.cosh(v.bend))
    return constant + math.log(v.straight + v.bend), at_one
    ### END SOLUTION


# %% tests="8b" points=2 choice="10"
# Visible: two numbers. Hidden: log p(0), 2 points, then log p(1), 2 points.
assert len(by_hand()) == 2 and float(by_hand()[0]) < 1
### BEGIN HIDDEN TESTS
assert abs(by_hand()[0] - v.log_p0) < 1e-3
### END HIDDEN TESTS

# %% tests="8b" points=2 choice="10"
assert float(by_hand()[1]) < 1
### BEGIN HIDDEN TESTS
assert abs(by_hand()[1] - v.log_p1) < 1e-3
### END HIDDEN TESTS

# %% [markdown] choice="10"
# **8c (programming, 8 points, 35 minutes).**
# The layer forwards, with its log-determinant, and backwards.
# The inverse has no formula: use Newton's method or bisection, to $10^{-6}$ in $x$, for $|z|$ up to $10^6$.


# %% answer="8c" choice="10"
def forwards(x):
    """z (B, D) and log |det dz/dx| (B,): x (B, D) float64."""
    ### BEGIN SOLUTION
    z = v.straight * x + torch.sinh(v.bend * x)
    return z, (v.straight + v.bend * torch.cosh(v.bend * x)).log().sum(1)
    ### END SOLUTION


def backwards(z):
    """x (B, D) with forwards(x)[0] = z (B, D) float64."""
    ### BEGIN SOLUTION
    high = torch.asinh(z.abs()) / v.bend + 1e-9  # sinh(bx) alone reaches |z| there
    low = -high
    for _ in range(80):  # bisection: each step halves the interval
        middle = 0.5 * (low + high)
        below = v.straight * middle + torch.sinh(v.bend * middle) < z
        low = torch.where(below, middle, low)
        high = torch.where(below, high, middle)
    return 0.5 * (low + high)
    ### END SOLUTION


# %% tests="8c" points=3 choice="10"
# Visible tests of 8c, 3 points: shapes, one value, there and back.
x = torch.linspace(-4, 4, 12, dtype=torch.float64).view(3, 4)
z, log_det = forwards(x)
assert tuple(z.shape) == (3, 4) and tuple(log_det.shape) == (3,)
one = torch.ones(1, 1, dtype=torch.float64)
assert abs(float(forwards(one)[0]) - (v.straight + math.sinh(v.bend))) < 1e-6
assert torch.allclose(backwards(z), x, atol=1e-5)

# %% tests="8c" points=5 choice="10"
# Hidden tests of 8c, 5 points: the determinant against autograd, far tails, both signs.
assert callable(forwards) and callable(backwards)
### BEGIN HIDDEN TESTS
g = torch.Generator().manual_seed(12)
x = 2 * torch.randn(3, 4, generator=g, dtype=torch.float64)
z, log_det = forwards(x)
assert torch.allclose(z, v.straight * x + torch.sinh(v.bend * x))
for n in range(3):
    jacobian = torch.autograd.functional.jacobian(lambda row: forwards(row[None])[0][0], x[n])
    assert abs(float(torch.linalg.slogdet(jacobian)[1] - log_det[n])) < 1e-6
far = torch.tensor([[1e6, -1e6, 0.0, 37.0, -1e-4]], dtype=torch.float64)
back = backwards(far)
again = v.straight * back + torch.sinh(v.bend * back)
assert torch.allclose(again, far, rtol=1e-4, atol=1e-6)
### END HIDDEN TESTS

# %% [markdown] choice="11"
# ## Problem 8 · A ring of spins
#
# $n$ spins $x_i\in\{-1,1\}$ on a ring ($x_{n+1}=x_1$), $E(x)=-J\sum_ix_ix_{i+1}-h\sum_ix_i$, $p(x)=e^{-E(x)}/Z$, with $J=⟦J⟧$ and $h=⟦h⟧$.
#
# **8a (mathematical, 7 points, 30 minutes).**
# (i) Write $Z$ as the trace of the $n$-th power of a $2\times2$ matrix, and find its eigenvalues.
# (ii) Show $\frac\partial{\partial h}\log Z=\sum_i\mathbb E\,x_i$.
# (iii) Derive $p(x_i=1\mid\text{all others})$, and show that drawing $x_i$ from it leaves $p$ as it is.

# %% [markdown] written="8a" points=7 choice="11"
# (i) $e^{-E}=\prod_iT(x_i,x_{i+1})$ with $T(x,x')=e^{Jxx'+h(x+x')/2}$; summing over all spins multiplies the matrices round the ring: $Z=\operatorname{tr}T^n=\lambda_+^n+\lambda_-^n$. From trace $2e^J\cosh h$ and determinant $e^{2J}-e^{-2J}$: $\lambda_\pm=e^J\cosh h\pm\sqrt{e^{2J}\sinh^2h+e^{-2J}}$. (3 points)
#
# (ii) $\frac1Z\sum_x\frac{\partial}{\partial h}e^{-E}=\frac1Z\sum_xe^{-E}\sum_ix_i=\sum_i\mathbb E\,x_i$. (1 point)
#
# (iii) Only the terms with $x_i$ differ between $x_i=1$ and $-1$, so the log-odds are $2\bigl(J(x_{i-1}+x_{i+1})+h\bigr)$ and $p(x_i=1\mid\text{rest})=\sigma$ of that. (2 points) If $x\sim p$, the others have the right joint distribution and stay; a fresh $x_i$ from its conditional given them restores $p(\text{others})\,p(x_i\mid\text{others})=p(x)$. (1 point)

# %% [markdown] choice="11"
# **8b (mathematical, 4 points, 15 minutes).**
# Return $\log Z$ for $n=4$, and $p(x_i=1)$ given that both neighbours are $+1$.


# %% answer="8b" choice="11"
def by_hand():
    """(log Z of four spins, p(x_i = 1 | both neighbours +1))."""
    ### BEGIN SOLUTION
    root = math.sqrt(math.exp(2 * v.J) * math.sinh(v.h) ** 2 + math.exp(-2 * v.J))
    middle = math.exp(v.J) * math.cosh(v.h)
    Z = (middle + root) ** 4 + (middle - root) ** 4
    return math.log(Z), 1 / (1 + math.exp(-2 * (2 * v.J + v.h)))
    ### END SOLUTION


# %% tests="8b" points=2 choice="11"
# Visible: two numbers. Hidden: log Z, 2 points, then the probability, 2 points.
assert len(by_hand()) == 2 and float(by_hand()[0]) > 0
### BEGIN HIDDEN TESTS
assert abs(by_hand()[0] - v.log_z4) < 1e-3
### END HIDDEN TESTS

# %% tests="8b" points=2 choice="11"
assert 0 < float(by_hand()[1]) < 1
### BEGIN HIDDEN TESTS
assert abs(by_hand()[1] - v.up) < 1e-3
### END HIDDEN TESTS

# %% [markdown] choice="11"
# **8c (programming, 8 points, 35 minutes).**
# $\log Z$ for any $n$, also for 100,000 spins, and one Gibbs sweep of many rings at once: spins in the order $1,\dots,n$, each seeing the new values of those before it.
# The randomness comes as uniform numbers $u$: a spin becomes $+1$ where $u$ is below its probability.


# %% answer="8c" choice="11"
def log_z(n):
    """log Z of n ≥ 3 spins, a float."""
    ### BEGIN SOLUTION
    root = math.sqrt(math.exp(2 * v.J) * math.sinh(v.h) ** 2 + math.exp(-2 * v.J))
    large = math.exp(v.J) * math.cosh(v.h) + root
    small = math.exp(v.J) * math.cosh(v.h) - root
    return n * math.log(large) + math.log1p((small / large) ** n)
    ### END SOLUTION


def sweep(x, u):
    """A new tensor (B, n) after one sweep: spins x (B, n) of ±1., uniform numbers u (B, n)."""
    ### BEGIN SOLUTION
    x = x.clone()
    n = x.shape[1]
    for i in range(n):
        field = v.J * (x[:, i - 1] + x[:, (i + 1) % n]) + v.h
        x[:, i] = torch.where(u[:, i] < torch.sigmoid(2 * field), 1.0, -1.0).to(x.dtype)
    return x
    ### END SOLUTION


# %% tests="8c" points=3 choice="11"
# Visible tests of 8c, 3 points: a ring of three, summed by hand; u = 0 and u = 1; x stays.
total = 3 * math.exp(-v.J + v.h) + 3 * math.exp(-v.J - v.h)
total = total + math.exp(3 * v.J + 3 * v.h) + math.exp(3 * v.J - 3 * v.h)
assert abs(log_z(3) - math.log(total)) < 1e-6
x = torch.tensor([[1.0, -1.0, 1.0, -1.0]])
assert sweep(x, torch.zeros(1, 4)).tolist() == [[1.0] * 4], "u = 0: always up"
assert sweep(x, torch.ones(1, 4)).tolist() == [[-1.0] * 4], "u = 1: always down"
assert x.tolist() == [[1.0, -1.0, 1.0, -1.0]], "the old spins stay as they are"

# %% tests="8c" points=5 choice="11"
# Hidden tests of 8c, 5 points: long rings, sweeps against a loop, what a sweep leaves.
assert callable(log_z) and callable(sweep)
### BEGIN HIDDEN TESTS
root = math.sqrt(math.exp(2 * v.J) * math.sinh(v.h) ** 2 + math.exp(-2 * v.J))
rate = math.log(math.exp(v.J) * math.cosh(v.h) + root)
assert abs(log_z(100_000) / 100_000 - rate) < 1e-6
g = torch.Generator().manual_seed(13)
x = torch.randint(0, 2, (40, 6), generator=g).float() * 2 - 1
u = torch.rand(40, 6, generator=g)
made = sweep(x, u)
for n in range(40):
    spins = x[n].tolist()
    for i in range(6):
        field = v.J * (spins[i - 1] + spins[(i + 1) % 6]) + v.h
        spins[i] = 1.0 if float(u[n, i]) < 1 / (1 + math.exp(-2 * field)) else -1.0
    assert made[n].tolist() == spins
every = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * 4)
energy = -(v.J * (every * every.roll(-1, 1)).sum(1) + v.h * every.sum(1))
p = (-energy).softmax(0)
assert abs(log_z(4) - float(torch.logsumexp(-energy, 0))) < 1e-4
code = lambda s: ((s > 0).long() * torch.tensor([8, 4, 2, 1])).sum(1)
start = torch.multinomial(p, 40_000, replacement=True, generator=g)
after = code(sweep(every[start], torch.rand(40_000, 4, generator=g)))
assert float((after.bincount(minlength=16) / 40_000 - p).abs().max()) < 0.015
### END HIDDEN TESTS
