# %% tags=["variant"]
"""Assignment 1 (lessons 01 to 04). This cell makes the variant's numbers; it is in no notebook."""

import math

from tools.assessment.variant import Variant

v = Variant("assignment_1")

# Problem 1: three shares in another country
v.first = v.grid("first", 0.41, 0.005)
v.seen = [v.first, round(0.6 * (1 - v.first), 4), round(0.4 * (1 - v.first), 4)]
v.shares_a = [0.5, 0.3, 0.2]
v.rare = v.grid("rare", 0.05, 0.005)
v.shares_b = [v.rare, 0.3, round(0.7 - v.rare, 4)]
moved = [p * b / a for p, a, b in zip(v.seen, v.shares_a, v.shares_b)]
v.in_b = [part / sum(moved) for part in moved]

# Problem 2: five of fourteen claims, each with its truth and the reason
CLAIMS = [
    (
        "EM may be stopped when the bound no longer rises: no other parameters have a higher likelihood.",
        False,
        "It may stand at a local maximum or a saddle; other starts end higher (lesson 02).",
    ),
    (
        "The likelihood of a mixture of two Gaussians with free covariances has no maximum: "
        "it grows without bound.",
        True,
        "A component that sits on one point and shrinks has a density there without limit, "
        "while the other looks after the rest.",
    ),
    (
        "Two VAEs with the same ELBO on the same test images have the same rate.",
        False,
        "Only the sum of rate and distortion is the same; one may write much into the code, "
        "the other nothing.",
    ),
    (
        "For images of zeros and ones the ELBO of a VAE with a Bernoulli decoder is never above 0.",
        True,
        "A probability of a discrete image is at most 1, and the bound lies below its logarithm.",
    ),
    (
        "At its global optimum a linear autoencoder with a code of k numbers has the k leading "
        "principal components as the rows of its encoder.",
        False,
        "It finds their subspace; any invertible matrix between encoder and decoder leaves the "
        "loss as it is.",
    ),
    (
        "Of two autoencoders the one with the smaller reconstruction error gives the better "
        "images when its decoder is fed with random codes.",
        False,
        "The error is measured at codes of data; random codes fall where the decoder was never "
        "trained.",
    ),
    (
        "After an E-step the bound equals the log-likelihood, wherever the parameters stand.",
        True,
        "The gap is the KL to the posterior, and the E-step sets q to the posterior of the "
        "current parameters.",
    ),
    (
        "A VAE whose rate is 0 can still be a good density model of the images.",
        True,
        "Its decoder ignores the code; if it is itself a good model of images, "
        "nothing is missing.",
    ),
    (
        "Of two encoders for the same decoder, the one with the higher ELBO of an image is nearer "
        "to the posterior of its code, in KL(q ‖ p).",
        True,
        "The ELBO is log p(x) minus that KL, and log p(x) is the decoder's: the same for both.",
    ),
    (
        "The product of two Gaussian densities is, up to a constant, a mixture of two Gaussians.",
        False,
        "The exponents add up to one parabola: one Gaussian. A mixture is a sum.",
    ),
    (
        "The denoiser with the least mean squared error always answers with a possible datum.",
        False,
        "It answers with the mean of all data that fit; between two data lies none.",
    ),
    (
        "In a Gaussian VAE a factor in front of the squared error is a statement about the noise "
        "of the pixels.",
        True,
        "The factor is 1/(2τ²); it fixes the price of the rate.",
    ),
    (
        "A model of p(x, y) can fill in hidden pixels; a classifier p(y | x) with the same "
        "accuracy cannot.",
        True,
        "Filling in needs p(hidden pixels | seen pixels), and the classifier says nothing "
        "about x.",
    ),
    (
        "Replacing the encoder of a trained VAE by a better one changes p(x) of the model.",
        False,
        "The model is prior and decoder; a better encoder makes the bound tighter.",
    ),
]
chosen = v.claims(CLAIMS)
v.truth = [truth for _, truth, _ in chosen]
v.claim_a, v.claim_b, v.claim_c, v.claim_d, v.claim_e = [claim for claim, _, _ in chosen]
v.why_a, v.why_b, v.why_c, v.why_d, v.why_e = [
    f"{'True' if truth else 'False'}. {why}" for _, truth, why in chosen
]

# Problem 3: one step by hand
v.p = v.grid("p", 0.6, 0.005)
v.q = v.grid("q", 0.5, 0.005)
v.heads = v.grid("heads", 1.55, 0.05)
likelihoods = [
    (v.p * 0.5 * 0.7, 0.2 * 0.5 * (1 - v.q)),  # image 1 1 0
    (v.p * 0.5 * 0.7, 0.2 * 0.5 * (1 - v.q)),  # image 1 0 0: the middle coins are fair
    ((1 - v.p) * 0.5 * 0.3, 0.8 * 0.5 * v.q),  # image 0 1 1
    ((1 - v.p) * 0.5 * 0.3, 0.8 * 0.5 * v.q),  # image 0 0 1
]
owned = [one / (one + two) for one, two in likelihoods]
v.r11 = owned[0]
v.w1 = sum(owned) / 4
v.theta11 = (owned[0] + owned[1] + v.heads - 1) / (sum(owned) + v.heads + 2 - 2)

# Problem 4: EM for scanned letters
v.flip = v.grid("flip", 0.021, 0.001)
v.a = v.grid("a", 1.21, 0.02)
v.b = v.grid("b", 1.31, 0.02)
v.word = "".join(sorted(v.choose("letters", list("ACEFHIKLMNOTUVXZ"), 6)))
v.seed = 100 + v.place("seed")
ink_9, ink_2 = (t * (1 - v.flip) + (1 - t) * v.flip for t in (0.9, 0.2))
v.one_scan = math.log(ink_9) + math.log(1 - ink_2)
v.one_coin = (v.a - v.flip) / (v.a + v.b - 1)
v.one_bound = -2 + (v.a - 1) * math.log(0.2) + (v.b - 1) * math.log(0.8)

# Problem 5: eigenvalues and noise
v.l1 = v.grid("l1", 5.0, 0.1)
v.s2 = v.grid("s2", 0.51, 0.02)
v.error5 = v.l1 * v.s2 / (v.l1 + v.s2) + 3 * v.s2 / (3 + v.s2) + 1.2 + 0.4
v.shrink5 = v.l1 / (v.l1 + v.s2)

# Problem 6: a share of the covariance
v.rho = v.grid("rho", 0.055, 0.005)
v.one_factor = (2 - 0.75 * v.rho) / (3 - 0.75 * v.rho)

# Problem 7: Student's t on paper
v.nu = v.grid("nu", 2.55, 0.1)
v.s = v.grid("s", 0.405, 0.01)
v.turn = v.s * math.sqrt(v.nu)
v.pull = (v.nu + 1) / (2 * v.s * math.sqrt(v.nu))
v.trust = (v.nu + 1) / (v.nu + 25)

# Problem 8: Student's t in a VAE
v.nu8 = v.grid("nu8", 2.25, 0.05)
v.s8 = v.grid("s8", 0.151, 0.005)
v.width = v.grid("width", 0.61, 0.02)
v.peak = math.lgamma((v.nu8 + 1) / 2) - math.lgamma(v.nu8 / 2) - math.log(v.s8)
v.peak -= 0.5 * math.log(math.pi * v.nu8)
v.one_kl = sum(math.exp(lv) / v.width**2 - 1 - lv for lv in (-2, 0.5)) / 2
v.one_kl += 2 * math.log(v.width)

# %% [markdown]
# # Assignment 1 · Letters
#
# Lessons 01 to 04, on data that are not in the lessons: capital letters drawn with nineteen fonts.
#
# ⟪problems⟫
#
# **How it works.**
# Work in the course's folder `notebooks/`.
# Write programs where a cell says `raise NotImplementedError`, and type over *Your answer* where text is asked for.
# A derivation may be a photograph of your handwriting, dropped into that cell.
# The numbers in the text belong to this assignment alone: your functions hold them as numbers.
# Where a number is asked for, give it to four decimals or better.
# Visible tests stand below a function; hidden ones run when your work is graded, and look at values that the visible ones leave out.
# Until then a cell of hidden tests is green whatever you wrote.
# A test that passes gives its points, one that fails gives none.
# No program needs a program of another problem.
# But Problem 4 programs the formulas of Problem 3, and 6 that of 5: if you could not derive them, you may ask for them, and lose the points of the derivation alone.
#
# **Before you hand in** restart the kernel and run all cells.
# Do not rename functions, and do not copy or delete cells; you may add cells of your own.
# Send in this notebook alone, as `yourname_assignment_1.ipynb`.
# A number in a free answer needs the line of calculation that it comes from.

# %% tags=["setup"]
import math

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from torch import nn
from torch.distributions import Normal

import course_utils as cu
from course_utils.data.font_letters import font_letters

device = cu.setup()

# %% tags=["figure"]
# @title Figure: the letters of this variant
letters = font_letters(seed=v.seed)
chosen = letters.train.only(*("ABCDEFGHIJKLMNOPQRSTUVWXYZ".index(c) for c in v.word))
small = F.avg_pool2d(chosen.float(), 2)  # (N, 1, 14, 14)
x_letters = (small > 0.4).float().flatten(1)  # (N, 196), 0 or 1
grid = cu.plots.image_grid(torch.cat([chosen.float()[:26], letters.train.float()[:26]]), rows=4)
cu.show(
    grid.figure,
    "Above: the six letters of this variant. Below: any of the 26.",
)

# %% [markdown]
# ## Problem 1 · Another country's letters
#
# A machine reads scanned letters.
# It was trained in country A, where letter $y$ makes up the share $p_A(y)$ of all letters.
# Country B buys it.
# There people draw each letter as in A, $p_B(x\mid y)=p_A(x\mid y)$, but they use the letters at other rates, $p_B(y)\ne p_A(y)$, and these rates are known.
#
# **1a (conceptual, 5 points, 20 minutes).**
# Two machines are for sale: a generative one, which stores $p_A(x\mid y)$ and $p_A(y)$, and a network, which gives $p_A(y\mid x)$ and stores nothing else.
# For each: which of its numbers are wrong in B, and how is it repaired without one labelled image from B?
# Derive the repaired $p_B(y\mid x)$ for the network.

# %% [markdown] written="1a" points=5
# *Generative*: $p_A(x\mid y)$ stays right; $p_A(y)$ is wrong and is replaced by $p_B(y)$; Bayes' rule does the rest. (1 point)
#
# *Network*: every output is wrong, for by Bayes' rule $p_A(y\mid x)=p_A(x\mid y)\,p_A(y)/p_A(x)$ contains the rates of A. (1 point)
# Solve for the likelihood, $p_A(x\mid y)=p_A(y\mid x)\,p_A(x)/p_A(y)$, and put it into Bayes' rule for B. The factor $p_A(x)$ is the same for every $y$ and cancels:
#
# $$p_B(y\mid x)=\frac{p_A(y\mid x)\,p_B(y)/p_A(y)}{\sum_{y'}p_A(y'\mid x)\,p_B(y')/p_A(y')}.$$
#
# (2 points: one for the idea, one for the normalisation.)
# With a softmax at the end this adds $\log p_B(y)-\log p_A(y)$ to each logit: new biases, and no training. (1 point)

# %% [markdown]
# **1b (conceptual, 3 points, 10 minutes).**
# For one image the network says ⟦seen⟧ for three letters, whose shares in A are ⟦shares_a⟧ and in B ⟦shares_b⟧.
# Return the three probabilities in B.


# %% answer="1b"
def in_country_b():
    """The three probabilities p_B(y | x), a list of three numbers."""
    ### BEGIN SOLUTION
    weighted = [p * b / a for p, a, b in zip(v.seen, v.shares_a, v.shares_b)]
    return [part / sum(weighted) for part in weighted]
    ### END SOLUTION


# %% tests="1b" points=3
# Visible: three numbers that sum to one. Hidden: their values. 3 points.
three = [float(p) for p in in_country_b()]
assert len(three) == 3, "return three numbers"
assert abs(sum(three) - 1) < 2e-3, "probabilities sum to one"
### BEGIN HIDDEN TESTS
assert all(abs(p - want) < 1e-3 for p, want in zip(three, v.in_b))
### END HIDDEN TESTS

# %% [markdown]
# **1c (conceptual, 6 points, 20 minutes).**
# By mistake the machine gets letters of an alphabet that neither country uses.
# Which of the two machines can notice, and by which number?
# Give one kind of wrong input that even this number lets pass, and say why (lesson 01, section 10, has one).

# %% [markdown] written="1c" points=6
# The network cannot: its outputs sum to one for any $x$, and they may be sure of a letter where no letter is. (2 points)
# The generative machine has $p(x)=\sum_yp(y)\,p(x\mid y)$: a small $\log p(x)$, compared with that of known letters, says that no letter explains the image. (2 points)
#
# It lets pass what is *likelier than data*: a blank sheet, or a blurred image.
# Its density is highest near the means, where no real image lies, because a typical image differs a little from the mean in hundreds of pixels; the blank sheet differs in few. High density is not typicality. (2 points)

# %% [markdown]
# ## Problem 2 · Five claims
#
# - **A** ⟦claim_a⟧
# - **B** ⟦claim_b⟧
# - **C** ⟦claim_c⟧
# - **D** ⟦claim_d⟧
# - **E** ⟦claim_e⟧
#
# **2a (conceptual, 5 points, 15 minutes).**
# Which are true?


# %% answer="2a"
def claims():
    """{"A": True or False, …, "E": …}."""
    ### BEGIN SOLUTION
    return dict(zip("ABCDE", v.truth))
    ### END SOLUTION


# %% tests="2a" points=1
# Claim A. Visible: an answer to each claim. Hidden: whether it is right. 1 point a claim.
assert set(claims()) == set("ABCDE") and all(type(said) is bool for said in claims().values())
### BEGIN HIDDEN TESTS
assert claims()["A"] is v.truth[0]
### END HIDDEN TESTS

# %% tests="2a" points=1
assert type(claims()["B"]) is bool  # Claim B
### BEGIN HIDDEN TESTS
assert claims()["B"] is v.truth[1]
### END HIDDEN TESTS

# %% tests="2a" points=1
assert type(claims()["C"]) is bool  # Claim C
### BEGIN HIDDEN TESTS
assert claims()["C"] is v.truth[2]
### END HIDDEN TESTS

# %% tests="2a" points=1
assert type(claims()["D"]) is bool  # Claim D
### BEGIN HIDDEN TESTS
assert claims()["D"] is v.truth[3]
### END HIDDEN TESTS

# %% tests="2a" points=1
assert type(claims()["E"]) is bool  # Claim E
### BEGIN HIDDEN TESTS
assert claims()["E"] is v.truth[4]
### END HIDDEN TESTS

# %% [markdown]
# **2b (conceptual, 5 points, 25 minutes).**
# One or two sentences for each: the reason if it is true, a correction or a counterexample if it is false.

# %% [markdown] written="2b" points=5
# One point each; none for "true" or "false" without a reason.
#
# - **A** ⟦why_a⟧
# - **B** ⟦why_b⟧
# - **C** ⟦why_c⟧
# - **D** ⟦why_d⟧
# - **E** ⟦why_e⟧

# %% [markdown]
# ## Problem 3 · Coins seen through a scanner
#
# An image $x$ has $D$ pixels, each 0 or 1.
# The model: choose a component $k$ with probability $w_k$; toss a coin for each pixel, $u_i\in\{0,1\}$ with $p(u_i=1)=\theta_{ki}$; a scanner shows $x_i$, which is $u_i$, or with probability $f$ the opposite.
# Component and coins $u$ are hidden; $f$ is known.
# Each $\theta_{ki}$ has the prior density $\propto\theta^{a-1}(1-\theta)^{b-1}$ with $a,b>1$; the weights have none.
#
# **3a (mathematical, 6 points, 30 minutes).**
# Derive EM for the maximum of $\sum_n\log p(x_n)+\log p(\theta)$.
# (i) Write $p(x_i\mid k)$.
# (ii) The E-step: the posterior $r_{nk}$ of the component, and $\hat u_{nki}=p(u_i=1\mid x_{ni},k)$ for $x_{ni}=1$ and for $x_{ni}=0$.
# (iii) From the bound, the M-step for $w$ and $\theta$.
# (iv) Why does the sum of log-likelihood and log-prior never fall?

# %% [markdown] written="3a" points=6
# (i) The scanner shows 1 if the coin fell 1 and was shown right, or fell 0 and was shown wrong: $p(x_i=1\mid k)=\theta_{ki}(1-f)+(1-\theta_{ki})f=:\pi_{ki}$. (1 point)
#
# (ii) $r_{nk}=w_k\prod_ip(x_{ni}\mid k)\big/\sum_jw_j\prod_ip(x_{ni}\mid j)$. By Bayes' rule $\hat u=\theta_{ki}(1-f)/\pi_{ki}$ if $x_{ni}=1$, and $\hat u=\theta_{ki}f/(1-\pi_{ki})$ if $x_{ni}=0$. (2 points)
#
# (iii) With $q$ the posterior, the part of bound plus log-prior that contains the parameters is
#
# $$\sum_{nk}r_{nk}\log w_k+\sum_{ki}\Bigl[\bigl(\textstyle\sum_nr_{nk}\hat u_{nki}+a-1\bigr)\log\theta_{ki}+\bigl(\sum_nr_{nk}(1-\hat u_{nki})+b-1\bigr)\log(1-\theta_{ki})\Bigr].$$
#
# $A\log\theta+B\log(1-\theta)$ has its maximum at $A/(A+B)$; with a Lagrange multiplier for $\sum_kw_k=1$ and $R_k=\sum_nr_{nk}$,
#
# $$w_k=\frac{R_k}N,\qquad\theta_{ki}=\frac{\sum_nr_{nk}\hat u_{nki}+a-1}{R_k+a+b-2}.$$
#
# (2 points)
#
# (iv) After the E-step the bound is equal to the log-likelihood; the M-step does not lower bound plus log-prior; the new log-likelihood is at least the new bound. So the sum does not fall. (1 point)

# %% [markdown]
# **3b (mathematical, 5 points, 20 minutes).**
# One step by hand, with a perfect scanner ($f=0$), $a=⟦heads⟧$, $b=2$, three pixels, and the images 110, 100, 011, 001.
# Now $w=(½,½)$, $\theta_1=(⟦p⟧,\ 0.5,\ 0.3)$ and $\theta_2=(0.2,\ 0.5,\ ⟦q⟧)$.
# Return $r_{11}$ for the image 110, the new $w_1$, and the new $\theta_{11}$ (first pixel of the first component).


# %% answer="3b"
def one_step():
    """(r_11, new w_1, new θ_11), three numbers."""
    ### BEGIN SOLUTION
    left = (v.p * 0.7) / (
        v.p * 0.7 + 0.2 * (1 - v.q)
    )  # images 110 and 100: the fair coin cancels
    right = ((1 - v.p) * 0.3) / ((1 - v.p) * 0.3 + 0.8 * v.q)  # images 011 and 001
    owns = 2 * left + 2 * right
    return left, owns / 4, (2 * left + v.heads - 1) / (owns + v.heads + 2 - 2)
    ### END SOLUTION


# %% tests="3b" points=1
# Visible: three numbers between 0 and 1. Hidden: r_11. 1 point, then 2 for each of the others.
assert len(one_step()) == 3 and all(0 < float(part) < 1 for part in one_step())
### BEGIN HIDDEN TESTS
assert abs(one_step()[0] - v.r11) < 1e-3
### END HIDDEN TESTS

# %% tests="3b" points=2
assert float(one_step()[1]) < 1  # the new w_1
### BEGIN HIDDEN TESTS
assert abs(one_step()[1] - v.w1) < 1e-3
### END HIDDEN TESTS

# %% tests="3b" points=2
assert float(one_step()[2]) < 1  # the new θ_11
### BEGIN HIDDEN TESTS
assert abs(one_step()[2] - v.theta11) < 1e-3
### END HIDDEN TESTS

# %% [markdown]
# ## Problem 4 · EM on scanned letters
#
# Now the model of Problem 3 as a program.
# The scanner turns each pixel over with probability $f=⟦flip⟧$; the prior of the coins has $a=⟦a⟧$ and $b=⟦b⟧$.
#
# **4a (programming, 5 points, 25 minutes).**
# The log-probability of every image under every component, $\log p(x_n\mid k)$, with the coins $u$ summed out.
# It must survive 784 pixels in single precision, and coins of exactly 0 and 1.


# %% answer="4a"
def log_scan(x, theta):
    """log p(x_n | k) through the scanner: x (N, D) of 0. and 1., theta (K, D) → (N, K)."""
    ### BEGIN SOLUTION
    ink = theta * (1 - v.flip) + (1 - theta) * v.flip  # (K, D): the scanner shows a 1
    return x @ ink.log().T + (1 - x) @ (1 - ink).log().T
    ### END SOLUTION


# %% tests="4a" points=2
# Visible tests of 4a, 2 points: shape, one value, and all images together have probability one.
theta = torch.tensor([[0.9, 0.2, 0.5], [0.1, 0.6, 0.7]])
every = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 3)  # (8, 3)
out = log_scan(every, theta)
assert tuple(out.shape) == (8, 2), "one row an image, one column a component"
assert torch.allclose(out.exp().sum(0), torch.ones(2), atol=1e-5), "log-probabilities, please"
one = log_scan(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.9, 0.2]]))
assert abs(float(one) - v.one_scan) < 1e-4, "the image (1, 0) under coins 0.9 and 0.2"

# %% tests="4a" points=3
# Hidden tests of 4a, 3 points: values, coins of 0 and 1, many pixels.
assert callable(log_scan)
### BEGIN HIDDEN TESTS
g = torch.Generator().manual_seed(1)
theta = torch.rand(4, 6, generator=g, dtype=torch.float64)
x = (torch.rand(5, 6, generator=g, dtype=torch.float64) < 0.5).double()
want = torch.zeros(5, 4, dtype=torch.float64)
for n in range(5):
    for k in range(4):
        for i in range(6):
            t = float(theta[k, i])
            ink = t * (1 - v.flip) + (1 - t) * v.flip
            want[n, k] += math.log(ink if x[n, i] == 1 else 1 - ink)
assert torch.allclose(log_scan(x, theta).double(), want, atol=1e-5, rtol=1e-5)
sure = log_scan(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 0.0]]))
assert abs(float(sure[0, 0]) - math.log(v.flip) - math.log(1 - v.flip)) < 1e-4
many = log_scan(torch.ones(2, 784), torch.full((3, 784), 0.01))
ink = 0.01 * (1 - v.flip) + 0.99 * v.flip
assert abs(float(many[1, 2]) / (784 * math.log(ink)) - 1) < 1e-4
### END HIDDEN TESTS

# %% [markdown]
# **4b (programming, 6 points, 35 minutes).**
# The M-step of Problem 3, with $\hat u$ inside: it needs the current $\theta$, too.
# A component that owns no image must not become NaN.


# %% answer="4b"
def m_step(x, r, theta):
    """New weights (K,) and coins (K, D): x (N, D), responsibilities r (N, K), theta (K, D)."""
    ### BEGIN SOLUTION
    ink = theta * (1 - v.flip) + (1 - theta) * v.flip
    if_one = theta * (1 - v.flip) / ink  # (K, D): p(u = 1 | x = 1, k)
    if_zero = theta * v.flip / (1 - ink)
    ones = (r.T @ x) * if_one + (r.T @ (1 - x)) * if_zero  # (K, D): Σ_n r_nk û_nki
    owns = r.sum(0)  # (K,)
    return owns / len(x), (ones + v.a - 1) / (owns[:, None] + v.a + v.b - 2)
    ### END SOLUTION


# %% tests="4b" points=2
# Visible tests of 4b, 2 points: shapes, weights that sum to one, the coin of a single pixel.
g = torch.Generator().manual_seed(2)
x = (torch.rand(20, 5, generator=g) < 0.4).float()
r = torch.rand(20, 3, generator=g).softmax(1)
weights, coins = m_step(x, r, torch.rand(3, 5, generator=g))
assert tuple(weights.shape) == (3,) and tuple(coins.shape) == (3, 5)
assert abs(float(weights.sum()) - 1) < 1e-5, "each image is given away once"
one = torch.ones(1, 1)
_, coin = m_step(one, one, one / 2)
assert abs(float(coin) - v.one_coin) < 1e-5, "one image of one pixel, 1, and a coin of 0.5"

# %% tests="4b" points=4
# Hidden tests of 4b, 4 points: values, an empty component, and a step that never goes down.
assert callable(m_step)
### BEGIN HIDDEN TESTS
g = torch.Generator().manual_seed(3)
x = (torch.rand(7, 4, generator=g, dtype=torch.float64) < 0.4).double()
r = torch.rand(7, 3, generator=g, dtype=torch.float64)
r = r / r.sum(1, keepdim=True)
theta = 0.1 + 0.8 * torch.rand(3, 4, generator=g, dtype=torch.float64)
weights, coins = m_step(x, r, theta)
assert torch.allclose(weights.double(), r.mean(0), atol=1e-6)
for k in range(3):
    for i in range(4):
        t = float(theta[k, i])
        shown = t * (1 - v.flip) + (1 - t) * v.flip
        top = v.a - 1.0
        for n in range(7):
            u = t * (1 - v.flip) / shown if x[n, i] == 1 else t * v.flip / (1 - shown)
            top += float(r[n, k]) * u
        assert abs(float(coins[k, i]) - top / (float(r[:, k].sum()) + v.a + v.b - 2)) < 1e-5
empty = torch.zeros(7, 3, dtype=torch.float64)
empty[:, 0] = 1
_, coins = m_step(x, empty, theta)
assert coins.isfinite().all() and abs(float(coins[1, 0]) - (v.a - 1) / (v.a + v.b - 2)) < 1e-5
### END HIDDEN TESTS

# %% [markdown]
# **4c (programming, 5 points, 25 minutes).**
# The bound with the log-prior, without the prior's normalising constant:
#
# $$\mathcal F=\sum_{nk}r_{nk}\bigl(\log w_k+\log p(x_n\mid k)-\log r_{nk}\bigr)+\sum_{ki}\bigl[(a-1)\log\theta_{ki}+(b-1)\log(1-\theta_{ki})\bigr].$$
#
# A responsibility may be exactly 0, and so may the weight of a component that owns nothing.


# %% answer="4c"
def bound(log_lik, r, weights, theta):
    """F of the formula above, a scalar: log_lik and r (N, K), weights (K,), theta (K, D)."""
    ### BEGIN SOLUTION
    data = (torch.xlogy(r, weights) + r * log_lik - torch.xlogy(r, r)).sum()  # 0 · log 0 is 0
    return data + ((v.a - 1) * theta.log() + (v.b - 1) * (1 - theta).log()).sum()
    ### END SOLUTION


# %% tests="4c" points=2
# Visible tests of 4c, 2 points: one number, which falls when r leaves the posterior; one value.
g = torch.Generator().manual_seed(4)
log_lik = -5 * torch.rand(6, 3, generator=g)
weights = torch.tensor([0.5, 0.3, 0.2])
theta = 0.2 + 0.6 * torch.rand(3, 5, generator=g)
posterior = (weights.log() + log_lik).softmax(1)
best = bound(log_lik, posterior, weights, theta)
assert best.ndim == 0 and best.isfinite()
assert bound(log_lik, torch.full((6, 3), 1 / 3), weights, theta) < best
one = torch.ones(1, 1)
value = float(bound(-2 * one, one, torch.ones(1), one / 5))
assert abs(value - v.one_bound) < 1e-5, "one component, log p(x | k) = −2, one coin of 0.2"

# %% tests="4c" points=3
# Hidden tests of 4c, 3 points: values, responsibilities and a weight of 0, equality.
assert callable(bound)
### BEGIN HIDDEN TESTS
g = torch.Generator().manual_seed(5)
log_lik = -4 * torch.rand(5, 3, generator=g, dtype=torch.float64)
weights = torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64)
theta = 0.1 + 0.8 * torch.rand(3, 4, generator=g, dtype=torch.float64)
prior = sum(
    (v.a - 1) * math.log(t) + (v.b - 1) * math.log(1 - t) for t in theta.flatten().tolist()
)
joint = weights.log() + log_lik
evidence = float(joint.logsumexp(1).sum())
assert abs(float(bound(log_lik, joint.softmax(1), weights, theta)) - evidence - prior) < 1e-5
hard = torch.zeros(5, 3, dtype=torch.float64)
hard[:, 1] = 1
want = float(joint[:, 1].sum()) + prior
assert abs(float(bound(log_lik, hard, weights, theta)) - want) < 1e-5
dead = torch.tensor([0.4, 0.6, 0.0], dtype=torch.float64)  # the third component owns nothing
joint = dead.log() + log_lik
want = float(joint.logsumexp(1).sum()) + prior
assert abs(float(bound(log_lik, joint.softmax(1), dead, theta)) - want) < 1e-5
### END HIDDEN TESTS

# %% [markdown]
# Your three functions on the six letters ⟦word⟧: six components, three starts.


# %% tags=["experiment"]
def fit_coins(x, K, steps, seed):
    """EM with your functions: bounds (steps,), the last weights, coins, responsibilities."""
    g = torch.Generator().manual_seed(seed)
    weights = torch.full((K,), 1 / K)
    theta = 0.25 + 0.5 * torch.rand(K, x.shape[1], generator=g)
    bounds = []
    for _ in range(steps):
        log_lik = log_scan(x, theta)
        r = (weights.log() + log_lik).softmax(1)
        bounds.append(float(bound(log_lik, r, weights, theta)))
        weights, theta = m_step(x, r, theta)
    return bounds, weights, theta, r


starts = [fit_coins(x_letters, 6, cu.budget(40, 8), seed) for seed in range(3)]

# %% tags=["figure"]
# @title Figure: the bound, the six coins of each start, and twelve draws
fig, (left, right) = plt.subplots(1, 2, figsize=(11, 3.6))
for seed, (bounds, weights, _, _) in enumerate(starts):
    left.plot(bounds, label=f"start {seed}")
    right.plot(weights.sort(descending=True).values, "o-", label=f"start {seed}")
left.set(xlabel="step", ylabel="bound with log-prior, nats", title="Does it fall?")
right.set(xlabel="component, by weight", ylabel="weight", title="Are all used?", ylim=(0, None))
left.legend()
cu.show(fig, "The bound over the steps, and the weights at the end, for three starts.")
coins = torch.cat([theta.view(6, 1, 14, 14) for _, _, theta, _ in starts])
generator = torch.Generator().manual_seed(0)
k = torch.multinomial(starts[0][1], 6, replacement=True, generator=generator)
drawn = torch.bernoulli(starts[0][2][k], generator=generator).view(6, 1, 14, 14)
names = ["start 0", "start 1", "start 2", "draws"]
ax = cu.plots.image_grid(torch.cat([coins, drawn]), rows=4, row_titles=names)
cu.show(ax.figure, "The coins of each start, one component a picture; six draws from start 0.")
owner = [resp.argmax(1) for *_, resp in starts]
for seed in range(3):
    table = [[int(((owner[seed] == j) & (chosen.y == y)).sum()) for j in range(6)]
             for y in chosen.y.unique()]  # fmt: skip
    rows = [[letter, *row] for letter, row in zip(v.word, table)]
    cu.table(rows, ["letter", *range(6)], f"Start {seed}: images of each letter by component.")

# %% [markdown]
# **4d (conceptual, 5 points, 25 minutes).**
# Read your figures, with numbers from them.
# (i) Is the bound monotone, and what would a fall tell you?
# (ii) Name two letters that share a component, and one letter that is split between components; say from the pixels why.
# (iii) What do the draws lack that the letters have, and which assumption of the model is to blame?

# %% [markdown] written="4d" points=5
# (i) It never falls, in any start; a fall would be a bug in the E-step, the M-step or the bound, never bad luck. (1 point)
#
# (ii) From the tables, with counts. Letters that share most of their ink share a component; a letter that comes upright and slanted, or bold and thin, is split, because a component stands for a set of pixels and knows no letter. Starts differ: the end is a local maximum, and a component that once owns nothing stays empty, for its responsibilities are 0 from then on. (2 points: a pair or split with its counts, and the reason in pixels.)
#
# (iii) The draws have a ragged edge and isolated dots: given the component, each pixel is tossed on its own, so neighbouring pixels of a stroke do not agree on where the edge is. To blame is the independence of the pixels given $k$, not the number of steps. (2 points)

# %% [markdown]
# ## Problem 5 · The best linear denoiser
#
# Data $x$ with mean 0 and covariance $\Sigma=V\Lambda V^\top$, eigenvalues $\lambda_1\ge\dots\ge\lambda_d>0$.
# We see $\tilde x=x+\sigma\varepsilon$ with $\varepsilon\sim\mathcal N(0,I)$ and answer with $\hat x=A\tilde x$.
#
# **5a (mathematical, 7 points, 35 minutes).**
# (i) Find the matrix $A$ of least $\mathbb E\lVert x-A\tilde x\rVert^2$, and what it does to each eigenvector.
# (ii) Now $A$ may have rank at most $k$. Show that the best one keeps the $k$ leading eigenvectors, each shrunk as in (i), and give its error.
# (Theorem of Eckart and Young: the matrix of rank $k$ nearest to $B$ in the Frobenius norm keeps the $k$ largest singular values of $B$.)

# %% [markdown] written="5a" points=7
# Write $M=\Sigma+\sigma^2I$, the covariance of $\tilde x$; that of $x$ and $\tilde x$ is $\Sigma$, for the noise is independent. Then
#
# $$\begin{aligned}\mathbb E\lVert x-A\tilde x\rVert^2&=\operatorname{tr}\Sigma-2\operatorname{tr}A\Sigma+\operatorname{tr}AMA^\top \\ &=\bigl\lVert AM^{1/2}-\Sigma M^{-1/2}\bigr\rVert_F^2+\operatorname{tr}\bigl(\Sigma-\Sigma M^{-1}\Sigma\bigr).\end{aligned}$$
#
# (2 points: the three traces, and the square completed.)
#
# (i) The last term does not contain $A$; the square is 0 for $A=\Sigma M^{-1}=V\operatorname{diag}\bigl(\tfrac{\lambda_i}{\lambda_i+\sigma^2}\bigr)V^\top$. Each eigenvector is shrunk, those of small variance most. (2 points)
#
# (ii) $AM^{1/2}$ is any matrix of rank at most $k$, for $M^{1/2}$ is invertible. By Eckart and Young it keeps the $k$ largest singular values of $\Sigma M^{-1/2}$, which are $\lambda_i/\sqrt{\lambda_i+\sigma^2}$. This grows with $\lambda$ (its square has the derivative $\lambda(\lambda+2\sigma^2)/(\lambda+\sigma^2)^2>0$), so the $k$ leading eigenvectors are kept, each with the factor of (i). (2 points)
# A direction that is kept costs $\lambda-\frac{\lambda^2}{\lambda+\sigma^2}=\frac{\lambda\sigma^2}{\lambda+\sigma^2}$, one that is dropped $\lambda$: the error is $\sum_{i\le k}\frac{\lambda_i\sigma^2}{\lambda_i+\sigma^2}+\sum_{i>k}\lambda_i$. (1 point)

# %% [markdown]
# **5b (mathematical, 4 points, 15 minutes).**
# $\Lambda=(⟦l1⟧,\ 3,\ 1.2,\ 0.4)$, $\sigma^2=⟦s2⟧$, $k=2$.
# Return the least error, and the factor by which the first eigenvector is shrunk.


# %% answer="5b"
def rank_two():
    """(least E‖x − Ax̃‖² of rank 2, factor of the first eigenvector)."""
    ### BEGIN SOLUTION
    kept = v.l1 * v.s2 / (v.l1 + v.s2) + 3 * v.s2 / (3 + v.s2)
    return kept + 1.2 + 0.4, v.l1 / (v.l1 + v.s2)
    ### END SOLUTION


# %% tests="5b" points=2
# Visible: two numbers. Hidden: the error, 2 points, then the factor, 2 points.
assert len(rank_two()) == 2 and float(rank_two()[0]) > 0
### BEGIN HIDDEN TESTS
assert abs(rank_two()[0] - v.error5) < 1e-3
### END HIDDEN TESTS

# %% tests="5b" points=2
assert 0 < float(rank_two()[1]) < 1
### BEGIN HIDDEN TESTS
assert abs(rank_two()[1] - v.shrink5) < 1e-3
### END HIDDEN TESTS

# %% [markdown]
# ## Problem 6 · Denoise letters without a network
#
# **6a (programming, 8 points, 30 minutes).**
# Fit the denoiser of Problem 5 to data: $\hat x=A\tilde x+c$, for data whose mean is not 0.
# With few images the covariance $S=\frac1N\sum_n(x_n-\bar x)(x_n-\bar x)^\top$ is unsure; use $\Sigma=(1-\rho)\,S+\rho\,\frac{\operatorname{tr}S}d\,I$ with $\rho=⟦rho⟧$ in its place.


# %% answer="6a"
def fit_denoiser(x, sigma, k):
    """A (d, d) of rank k and c (d,): best linear denoiser of rows x (N, d), noise sigma."""
    ### BEGIN SOLUTION
    mean = x.mean(0)
    centred = x - mean
    S = centred.T @ centred / len(x)
    d = x.shape[1]
    S = (1 - v.rho) * S + v.rho * S.trace() / d * torch.eye(d, dtype=x.dtype)
    eigenvalues, vectors = torch.linalg.eigh(S)  # ascending
    kept = eigenvalues[-k:]
    V = vectors[:, -k:]
    A = (V * (kept / (kept + sigma**2))) @ V.T
    return A, mean - A @ mean
    ### END SOLUTION


# %% tests="6a" points=3
# Visible tests of 6a, 3 points: shapes, a symmetric matrix, its rank, the mean, one value.
g = torch.Generator().manual_seed(6)
rows = torch.randn(40, 6, generator=g, dtype=torch.float64) * torch.arange(1.0, 7.0) + 2
A, c = fit_denoiser(rows, 0.8, 2)
assert tuple(A.shape) == (6, 6) and tuple(c.shape) == (6,)
assert torch.allclose(A, A.T, atol=1e-8), (
    "orthogonal directions, each shrunk, give a symmetric A"
)
assert int(torch.linalg.matrix_rank(A)) == 2
assert torch.allclose(A @ rows.mean(0) + c, rows.mean(0)), "no noise in the mean: it stays"
cross = torch.tensor([[2.0, 0.0], [-2.0, 0.0], [0.0, 1.0], [0.0, -1.0]])  # S = diag(2, 0.5)
A, c = fit_denoiser(cross, 1.0, 1)
assert abs(float(A[0, 0]) - v.one_factor) < 1e-5, "Σ is not S"

# %% tests="6a" points=5
# Hidden tests of 6a, 5 points: values for several k and σ.
assert callable(fit_denoiser)
### BEGIN HIDDEN TESTS
g = torch.Generator().manual_seed(7)
rows = torch.randn(30, 5, generator=g, dtype=torch.float64) @ torch.randn(
    5, 5, generator=g, dtype=torch.float64
)
rows = rows + 3
for k, sigma in ((5, 0.7), (3, 1.5), (1, 0.2)):
    A, c = fit_denoiser(rows, sigma, k)
    S = torch.cov(rows.T, correction=0)
    S = (1 - v.rho) * S + v.rho * S.diagonal().mean() * torch.eye(5, dtype=torch.float64)
    whole = S @ torch.linalg.inv(S + sigma**2 * torch.eye(5, dtype=torch.float64))
    top = torch.linalg.eigh(S)[1][:, -k:]
    assert torch.allclose(A, whole @ top @ top.T, atol=1e-7)
    assert torch.allclose(c, rows.mean(0) - A @ rows.mean(0), atol=1e-7)
### END HIDDEN TESTS

# %% [markdown]
# On letters of all kinds, 14 × 14 pixels: how many directions pay, and how much does noise take?

# %% tags=["figure"]
# @title Figure: denoised letters
rows = F.avg_pool2d(letters.train.float(), 2).flatten(1).double()
held_out = F.avg_pool2d(letters.test.float(), 2).flatten(1).double()[: cu.budget(500, 50)]
noisy = held_out + 0.4 * torch.randn(
    held_out.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64
)
sizes = [1, 2, 5, 10, 20, 40, 80, 196]
errors = []
for k in sizes:
    A, c = fit_denoiser(rows, 0.4, k)
    errors.append(float(((noisy @ A.T + c) - held_out).square().sum(1).mean()))
fig, ax = plt.subplots(figsize=(6, 3.4))
ax.plot(sizes, errors, "o-")
ax.axhline(196 * 0.16, color="#888888", ls=":", label="the noisy image itself")
ax.set(xlabel="rank k", ylabel="squared error, sum over pixels", xscale="log", ylim=(0, None))
ax.legend()
cu.show(fig, "Error on letters that the fit has not seen, noise 0.4, by rank.")
A, c = fit_denoiser(rows, 0.4, 40)
images = torch.cat([held_out[:12], noisy[:12].clamp(0, 1), (noisy[:12] @ A.T + c).clamp(0, 1)])
names = ["letter", "noisy", "k = 40"]
grid = cu.plots.image_grid(images.view(-1, 1, 14, 14).float(), rows=3, row_titles=names)
cu.show(grid.figure, "Letters, with noise, and denoised by a matrix of rank 40.")

# %% [markdown]
# ## Problem 7 · A density that forgives
#
# Student's $t$ with $\nu$ degrees of freedom, centre $m$ and scale $s$:
#
# $$t_\nu(x;m,s)=\frac{\Gamma(\frac{\nu+1}2)}{\Gamma(\frac\nu2)\sqrt{\pi\nu}\,s}\Bigl(1+\frac{(x-m)^2}{\nu s^2}\Bigr)^{-\frac{\nu+1}2}.$$
#
# **7a (mathematical, 7 points, 30 minutes).**
# It is a mixture of infinitely many Gaussians: draw a precision $g$ from the Gamma density $\propto g^{\nu/2-1}e^{-\nu g/2}$, then $x\sim\mathcal N(m,s^2/g)$.
# (i) Show that $x$ has the density above.
# (ii) Find $\mathbb E[g\mid x]$.
# (iii) Show $\frac\partial{\partial m}\log t_\nu=\mathbb E[g\mid x]\,\frac{x-m}{s^2}$, and say in a sentence what EM would do with an outlier.

# %% [markdown] written="7a" points=7
# Let $r=x-m$. (i) The Gamma density is $\frac{(\nu/2)^{\nu/2}}{\Gamma(\nu/2)}g^{\nu/2-1}e^{-\nu g/2}$, the Gaussian $\sqrt{\frac g{2\pi s^2}}\,e^{-gr^2/(2s^2)}$. In their product $g$ stands as $g^{(\nu+1)/2-1}e^{-hg}$ with $h=\frac12\bigl(\nu+r^2/s^2\bigr)$; its integral is $\Gamma(\frac{\nu+1}2)\,h^{-(\nu+1)/2}$. So
#
# $$p(x)=\frac{(\nu/2)^{\nu/2}}{\Gamma(\nu/2)}\frac1{\sqrt{2\pi}\,s}\,\Gamma\bigl(\tfrac{\nu+1}2\bigr)\Bigl(\frac\nu2\Bigr)^{-\frac{\nu+1}2}\Bigl(1+\frac{r^2}{\nu s^2}\Bigr)^{-\frac{\nu+1}2},$$
#
# and $(\nu/2)^{-1/2}/\sqrt{2\pi}=1/\sqrt{\pi\nu}$. (3 points)
#
# (ii) What we integrated is, up to a constant, the posterior of $g$: a Gamma density of shape $\frac{\nu+1}2$ and rate $h$. Its mean is $\mathbb E[g\mid x]=\frac{\nu+1}{\nu+r^2/s^2}$. (2 points)
#
# (iii) $\frac\partial{\partial m}\log t=\frac{\nu+1}2\cdot\frac{2r/(\nu s^2)}{1+r^2/(\nu s^2)}=\frac{\nu+1}{\nu+r^2/s^2}\cdot\frac r{s^2}$. EM weighs each point by $\mathbb E[g\mid x]$ in the mean: an outlier gets a weight near 0, and hardly moves the centre. (2 points)

# %% [markdown]
# **7b (mathematical, 4 points, 15 minutes).**
# $\nu=⟦nu⟧$ and $s=⟦s⟧$.
# Return: the distance $|x-m|$ at which $\bigl|\frac\partial{\partial m}\log t_\nu\bigr|$ is greatest; its value there; and $\mathbb E[g\mid x]$ at $|x-m|=5s$.


# %% answer="7b"
def forgiving():
    """(distance of the greatest pull, that pull, E[g | x] at 5 s)."""
    ### BEGIN SOLUTION
    # d/dr of (ν + 1) r / (ν s² + r²) vanishes where ν s² = r².
    turn = v.s * math.sqrt(v.nu)
    return turn, (v.nu + 1) * turn / (2 * v.nu * v.s**2), (v.nu + 1) / (v.nu + 25)
    ### END SOLUTION


# %% tests="7b" points=1
# Visible: three positive numbers. Hidden: the distance, 1 point, the pull, 2, the weight, 1.
assert len(forgiving()) == 3 and all(float(part) > 0 for part in forgiving())
### BEGIN HIDDEN TESTS
assert abs(forgiving()[0] - v.turn) < 1e-3
### END HIDDEN TESTS

# %% tests="7b" points=2
assert float(forgiving()[1]) > 0
### BEGIN HIDDEN TESTS
assert abs(forgiving()[1] - v.pull) < 2e-3
### END HIDDEN TESTS

# %% tests="7b" points=1
assert float(forgiving()[2]) > 0
### BEGIN HIDDEN TESTS
assert abs(forgiving()[2] - v.trust) < 1e-3
### END HIDDEN TESTS

# %% [markdown]
# ## Problem 8 · A VAE that forgives
#
# The decoder's density is now Student's $t$ with $\nu=⟦nu8⟧$ and $s=⟦s8⟧$ in each coordinate, and the prior of the code is $\mathcal N(0,\omega^2I)$ with $\omega=⟦width⟧$.
#
# **8a (programming, 4 points, 15 minutes).**
# Its log-density, one value a coordinate.


# %% answer="8a"
def student_log_prob(x, mean):
    """log t(x; mean, s), elementwise: x and mean (B, D) → (B, D)."""
    ### BEGIN SOLUTION
    constant = math.lgamma((v.nu8 + 1) / 2) - math.lgamma(v.nu8 / 2)
    constant = constant - 0.5 * math.log(math.pi * v.nu8) - math.log(v.s8)
    return constant - (v.nu8 + 1) / 2 * torch.log1p(((x - mean) / v.s8) ** 2 / v.nu8)
    ### END SOLUTION


# %% tests="8a" points=1
# Visible test of 8a, 1 point: one value a coordinate, greatest at the centre, symmetric.
x = torch.linspace(-3, 3, 7).view(1, 7)
out = student_log_prob(x, torch.zeros(1, 7))
assert tuple(out.shape) == (1, 7) and int(out.argmax()) == 3
assert torch.allclose(out, out.flip(1), atol=1e-5)
assert abs(float(out[0, 3]) - v.peak) < 1e-4, "the value at the centre"

# %% tests="8a" points=3
# Hidden tests of 8a, 3 points: values against PyTorch's own, near and far.
assert callable(student_log_prob)
### BEGIN HIDDEN TESTS
g = torch.Generator().manual_seed(8)
x = 3 * torch.randn(6, 4, generator=g, dtype=torch.float64)
mean = torch.randn(6, 4, generator=g, dtype=torch.float64)
trusted = torch.distributions.StudentT(torch.tensor(v.nu8).double(), mean, v.s8).log_prob(x)
assert torch.allclose(student_log_prob(x, mean), trusted, atol=1e-6)
far = torch.tensor([[1e4]], dtype=torch.float64)
trusted = torch.distributions.StudentT(torch.tensor(v.nu8).double(), 0.0, v.s8).log_prob(far)
assert torch.allclose(student_log_prob(far, torch.zeros_like(far)), trusted, atol=1e-6)
### END HIDDEN TESTS

# %% [markdown]
# **8b (programming, 6 points, 30 minutes).**
# The ELBO of each datum with one draw $z=\mu+\sigma\odot\varepsilon$ from the encoder's cloud, the noise given.
# `model.encode(x)` gives $\mu$ and $\log\sigma^2$, `model.decode(z)` the centres; `log_prob` is a log-density like that of 8a.
# Mind the prior.


# %% answer="8b"
def elbo(model, x, eps, log_prob):
    """ELBO of each datum, (B,): x (B, D), eps (B, k) ~ N(0, I), log_prob(x, mean) → (B, D)."""
    ### BEGIN SOLUTION
    mean, log_var = model.encode(x)
    z = mean + (0.5 * log_var).exp() * eps
    fit = log_prob(x, model.decode(z)).flatten(1).sum(1)
    ratio = (mean.square() + log_var.exp()) / v.width**2
    kl = 0.5 * (ratio - 1 - log_var + 2 * math.log(v.width)).sum(1)
    return fit - kl
    ### END SOLUTION


# %%
class Linear(nn.Module):
    """A VAE of two matrices, for tests: code (B, k), data (B, D)."""

    def __init__(self, d, k, seed=0):
        super().__init__()
        g = torch.Generator().manual_seed(seed)
        self.E = nn.Parameter(torch.randn(k, d, generator=g, dtype=torch.float64) / 2)
        self.G = nn.Parameter(torch.randn(d, k, generator=g, dtype=torch.float64))
        self.log_var = nn.Parameter(torch.linspace(-2, 0.5, k, dtype=torch.float64))

    def encode(self, x):
        return x @ self.E.T, self.log_var.expand(len(x), -1)

    def decode(self, z):
        return z @ self.G.T


# %% tests="8b" points=2
# Visible tests of 8b, 2 points: one value a datum, gradients, a code of no use.
g = torch.Generator().manual_seed(9)
toy = Linear(4, 2)
x = torch.randn(3, 4, generator=g, dtype=torch.float64)
eps = torch.randn(3, 2, generator=g, dtype=torch.float64)
out = elbo(toy, x, eps, lambda x, mean: -((x - mean) ** 2))
assert tuple(out.shape) == (3,), (
    "one ELBO a datum: sum over coordinates and latents, not over the batch"
)
grads = torch.autograd.grad(out.sum(), [toy.E, toy.G, toy.log_var])
assert all(float(grad.abs().sum()) > 0 for grad in grads)
still = elbo(toy, 0 * x, 0 * eps, lambda x, mean: 0 * x)  # nothing but the cloud's cost
assert torch.allclose(still, torch.full((3,), -v.one_kl, dtype=torch.float64), atol=1e-6)

# %% tests="8b" points=4
# Hidden tests of 8b, 4 points: values.
assert callable(elbo)
### BEGIN HIDDEN TESTS
g = torch.Generator().manual_seed(10)
toy = Linear(5, 3, seed=1)
x = torch.randn(4, 5, generator=g, dtype=torch.float64)
eps = torch.randn(4, 3, generator=g, dtype=torch.float64)
plain = lambda x, mean: Normal(mean, 0.7).log_prob(x)
q = Normal(x @ toy.E.T, (0.5 * toy.log_var).exp().expand(4, 3))
prior = Normal(torch.zeros(3, dtype=torch.float64), v.width)
fit = plain(x, (q.mean + q.stddev * eps) @ toy.G.T).sum(1)
want = fit - torch.distributions.kl_divergence(q, prior).sum(1)
assert torch.allclose(elbo(toy, x, eps, plain), want, atol=1e-6)
### END HIDDEN TESTS

# %% [markdown]
# The pinwheel with an outlier in every twentieth place, and two VAEs that differ in the decoder's density alone.


# %% tags=["experiment"]
class Pair(nn.Module):
    """Encoder and decoder for points in the plane, code of two numbers; log_tau is learned."""

    def __init__(self):
        super().__init__()
        self.encoder = cu.nets.mlp(2, 64, 64, 4)
        self.decode = cu.nets.mlp(2, 64, 64, 2)
        self.log_tau = nn.Parameter(torch.tensor(-1.0))

    def encode(self, x):
        return self.encoder(x).chunk(2, dim=1)


def gaussian_loss(model, x):
    """Minus the ELBO with N(mean, τ²), τ learned."""
    density = lambda x, mean: Normal(mean, model.log_tau.exp(), validate_args=False).log_prob(x)
    return -elbo(model, x, torch.randn_like(x), density).mean()


def student_loss(model, x):
    """Minus the ELBO with Student's t."""
    return -elbo(model, x, torch.randn_like(x), student_log_prob).mean()


clean = cu.pinwheel(4_000)
points = clean.clone()
points[::20] = 16 * torch.rand(len(points[::20]), 2) - 8  # every twentieth is anywhere
batches = cu.Batches(points, 200)
trained = {}
for name, loss in (("Gaussian", gaussian_loss), ("Student's t", student_loss)):
    torch.manual_seed(0)
    trained[name] = Pair()
    cu.fit(trained[name], loss, batches, steps=800, lr=3e-3, schedule="cosine")

# %% tags=["figure"]
# @title Figure: two decoders, the same outliers
fig, axes = plt.subplots(1, 3, figsize=(12, 4), sharex=True, sharey=True)
cu.plots.scatter(points[:1500], ax=axes[0], s=4).set_title("data, with outliers")
fresh = cu.pinwheel(2_000, seed=1)
rows = []
for ax, (name, model) in zip(axes[1:], trained.items()):
    model = model.cpu().requires_grad_(False)
    made = model.decode(v.width * torch.randn(1_500, 2))
    cu.plots.scatter(made, ax=ax, s=4).set_title(f"decoded, {name}")
    eps = torch.randn_like(fresh)
    density = student_log_prob
    if name == "Gaussian":
        density = lambda x, mean, model=model: Normal(mean, model.log_tau.exp()).log_prob(x)
    far = torch.cdist(made, fresh).min(1).values > 0.3
    bound_clean = elbo(model, fresh, eps, density).mean()
    bound_all = elbo(model, points, torch.randn_like(points), density).mean()
    rows.append([name, bound_clean, bound_all, f"{far.float().mean():.0%}"])
axes[0].set(xlim=(-6, 6), ylim=(-6, 6))
cu.show(fig, "Points with outliers, and what two VAEs decode from the prior.")
columns = ["decoder", "ELBO, clean points", "ELBO, with outliers", "decoded, 0.3 from all data"]
cu.table(rows, columns, "Nats a point; one training each.", digits=2)

# %% [markdown]
# **8c (conceptual, 4 points, 15 minutes).**
# Read figure and table, with numbers.
# (i) What did the outliers do to the Gaussian decoder, and why not to the other?
# (ii) Somebody objects that the ELBOs of the two rows must not be compared, since the densities differ. Right or wrong?

# %% [markdown] written="8c" points=4
# (i) The Gaussian pays for the square of each residual. It must either send points towards the outliers or widen τ for all points, and it does some of both: more decoded points lie far from the pinwheel, and clean points get a lower bound. Student's $t$ pays for the logarithm of a large residual, so an outlier has a bounded pull (Problem 7) and is left where it is. (2 points, with numbers from the table)
#
# (ii) Wrong. Both are bounds on the log-density of the *same* points in the same coordinates, in nats; that is what makes models comparable. One must not compare them across other data, other units, or pixels that one model sees binarised. What the table cannot say is how loose each bound is. (2 points)
