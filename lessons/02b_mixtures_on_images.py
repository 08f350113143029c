# %% [markdown]
# # 02b Mixtures on images
#
# **Lesson 01's Gaussian, forty times, and a die that picks one: it draws digits, and draws exact completions of a half-hidden one.**
#
# Lesson 01 gave each class one Gaussian with a low-rank covariance.
# Lesson 02 found hidden components without labels.
# Put together they make a model of images with no network and no gradient that gives every image an exact probability density and fills in what is missing, by Bayes' rule alone.
#
# **After this lesson you can**
# - say what a mixture of low-rank Gaussians assumes about an image;
# - derive what the seen pixels say about the hidden causes, and turn it into a sampler;
# - run EM on images;
# - say why a perfect draw scores 3 dB below the mean, and use that as a test of honesty;
# - explain why the model is too sure, and what a little doubt repairs.
#
# **Builds on** 01 (low-rank Gaussians, hidden pixels), 02 (responsibilities, EM); [toolbox](A_toolbox.ipynb), Cards 4 (Gaussians) and 7 (Fréchet distance).
#
# | letter | meaning | letter | meaning |
# |---|---|---|---|
# | $x$, $x_s$ | image of $d=784$ pixels; its seen pixels | $k$ | latent: which of $K$ components |
# | $w_k, \mu_k$ | weight and mean image of component $k$ | $z$ | latent: where within it, $q$ numbers |
# | $W_k$ | directions of variation, $(d\times q)$ | $\sigma_k^2$ | variance of the pixel noise |
# | $r_{nk}$, $R_k$ | responsibility, and its sum over images | $m, C$ | mean and covariance of $z$ given $x_s$ |

# %% tags=["setup"]
import copy
import math
from collections import namedtuple
from functools import cache

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.distributions import LowRankMultivariateNormal

import course_utils as cu
from course_utils.lessons.lesson_02 import checked_resp, kmeans_step, start  # sections 2, 7, 4

device = cu.setup()

# %% [markdown]
# ### What you will have made
#
# The left half of a digit is hidden from the model (pale blue).
# **Predict:** cover all but the first picture below: which digits fit the half that is left?
# Write down two and your odds, then look.

# %% tags=["figure", "slide"]
# @title Figure: half a digit and eight completions
PALE = torch.tensor([0.72, 0.84, 0.95])  # hidden pixels: neither ink nor paper
right_half = torch.arange(784) % 28 >= 14  # what is seen; the left half is hidden


def in_ink(x, seen=None):
    """Rows (N, 784) in [0, 1] as colour images, dark ink on white; unseen pixels pale blue."""
    grey = (1 - x.clamp(0, 1))[:, None].repeat(1, 3, 1)  # (N, 3, 784)
    if seen is not None:
        grey[:, :, ~seen] = PALE[:, None]
    return grey.view(-1, 3, 28, 28)


for run in cu.runs.available("02_mixture"):  # section 3 makes it
    pictures = torch.as_tensor(run.replay[0][-1]).flatten(1) / 255
    pictures = torch.cat([in_ink(pictures[:1], right_half), in_ink(pictures[1:])])
    fig, ax = plt.subplots(figsize=(13, 2.0))
    cu.plots.image_grid(pictures, rows=1, titles=["seen", *"12345678"], ax=ax)
    cu.show(
        fig,
        "The visible right half of the course's digit, and eight completions drawn by the "
        "shipped mixture, with a doubt of 0.3 in the seen pixels (section 6) and without "
        "pixel noise.",
    )

# %% [markdown]
# 3s and 8s and something between; the seen half is copied, only the left one is drawn.
# (The model as it was fitted would show eight almost equal 3s: section 5 finds out why, and section 6 says what *doubt* means.)

# %% [markdown]
# ## 1 · Lesson 01's Gaussian, forty times *(core)*
#
# An image of component $k$ is its mean image, plus a few directions of variation in random amounts, plus a little noise on every pixel.

# %% tags=["figure", "slide"]
# @title Figure: two hidden causes of an image
d = cu.diagram()
k_node = d.node("$k$", (0, 1.5))
z_node = d.node("$z$", (1.5, 1.5))
x_node = d.node("$x$", (0.75, 0), observed=True)
d.arrow(d.dot("weights $w$", (-1.5, 1.5), side="above"), k_node)
d.arrow(d.dot(r"$\mu_k,\ W_k,\ \sigma_k$", (-1.5, 0), side="below"), x_node)
d.arrow(k_node, x_node)
d.arrow(z_node, x_node)
d.plate([k_node, z_node, x_node], "n = 1 … N", pad=0.4)
d.text("hidden: which component,", (2.45, 1.65), align="left")
d.text("and where within it", (2.45, 1.35), align="left")
d.text("seen: the image", (2.45, 0), align="left")
cu.show(
    d.figure,
    "The graphical model: each image has two hidden causes, a component k and a vector z of "
    "a few numbers; mean images, directions and noise are shared by all images.",
)

# %% [markdown]
# In a formula,
#
# $$\begin{gathered}
# x=\mu_k+W_kz+\sigma_k\varepsilon,\quad z\sim\mathcal N(0,I_q),\ \varepsilon\sim\mathcal N(0,I_d) \\
# \Longrightarrow\qquad p(x\mid k)=\mathcal N\bigl(x;\ \mu_k,\ W_kW_k^\top+\sigma_k^2I\bigr).
# \end{gathered} \tag{1}$$
#
# **This is equation (8) of lesson 01,** with a σ and directions of its own for each $k$.
# There $k$ was the label and known, with ten Gaussians; here it is hidden, with forty, and EM has to find it.
# (One such Gaussian is called *probabilistic PCA*; with a separate σ for every pixel it would be *factor analysis*.)
#
# The noise is lesson 02's covariance floor, built in and fitted: no variance can fall below $\sigma_k^2$, so no component can sit on a single image unless σ itself goes to zero.
#
# **Hidden pixels** work as in lesson 01: delete their rows of $\mu_k$ and $W_k$.
#
# For forty components and 55,000 images the density must be quick, and a 784 × 784 matrix is never needed.
# With $\Sigma=WW^\top+\sigma^2I$, the small matrix $M=I_q+W^\top W/\sigma^2$ and $e=x-\mu$,
#
# $$|\Sigma|=\sigma^{2d}\,|M|,\qquad e^\top\Sigma^{-1}e=\frac1{\sigma^2}\Bigl(\lVert e\rVert^2-\frac1{\sigma^2}\,(W^\top e)^\top M^{-1}(W^\top e)\Bigr). \tag{2}$$
#
# <details><summary>Why (2) holds</summary>
#
# *The determinant:* $|I+AA^\top|=|I+A^\top A|$, because $AA^\top$ and $A^\top A$ have the same nonzero eigenvalues; take $A=W/\sigma$.
#
# *The inverse* is $\Sigma^{-1}=\frac1{\sigma^2}\bigl(I-\frac1{\sigma^2}WM^{-1}W^\top\bigr)$ (the Woodbury identity).
# To verify it, multiply by $\Sigma=\sigma^2I+WW^\top$ and use $W^\top W=\sigma^2(M-I)$: the product is $I+\frac1{\sigma^2}WW^\top-\frac1{\sigma^2}WM^{-1}W^\top-\frac1{\sigma^2}W(I-M^{-1})W^\top$.
# The last three terms cancel, and $I$ is left.
#
# </details>


# %% tags=["shared"]
class PPCAMixture(nn.Module):
    """K Gaussians N(μ_k, W_k W_kᵀ + σ_k² I) with weights w_k, equation (1)."""

    def __init__(self, K, q, d=784):
        super().__init__()
        self.weights = nn.Parameter(torch.full((K,), 1 / K), requires_grad=False)
        self.means = nn.Parameter(torch.zeros(K, d), requires_grad=False)
        self.factors = nn.Parameter(torch.zeros(K, d, q), requires_grad=False)
        self.noise = nn.Parameter(torch.ones(K), requires_grad=False)  # σ_k²

    def log_joint(self, x, seen=slice(None), doubt=0.0):
        """log w_k + log p(x | k) by (2), (N, K), of seen pixels x (N, s); doubt: section 6."""
        mean = self.means[:, seen]  # (K, s): hidden rows deleted
        W = self.factors[:, seen]  # (K, s, q)
        noise = self.noise + doubt
        M = torch.eye(W.shape[2], dtype=W.dtype) + W.mT @ W / noise[:, None, None]
        L = torch.linalg.cholesky(M)  # (K, q, q)
        We = torch.einsum("ksq,ns->kqn", W, x) - W.mT @ mean[:, :, None]  # (K, q, N): Wᵀe
        u = torch.linalg.solve_triangular(L, We, upper=False)  # |u|² = (Wᵀe)ᵀ M⁻¹ (Wᵀe)
        e2 = x.square().sum(1, keepdim=True) - 2 * x @ mean.T + mean.square().sum(1)  # |e|²
        quadratic = (e2 - u.square().sum(1).T / noise) / noise  # (N, K)
        log_det = 2 * L.diagonal(dim1=1, dim2=2).log().sum(1)  # (K,)
        log_det += W.shape[1] * (2 * math.pi * noise).log()
        return self.weights.log() - 0.5 * (quadratic + log_det)


# %% [markdown]
# A small one agrees with the Gaussian of low rank that lesson 01 used:

# %%
tiny = PPCAMixture(K=3, q=2, d=6)
for parameter in (tiny.means, tiny.factors):
    parameter.copy_(torch.randn(parameter.shape))
pixel_noise = tiny.noise[:, None].expand(3, 6)
normal = LowRankMultivariateNormal(tiny.means, tiny.factors, pixel_noise)
truth = tiny.weights.log() + normal.log_prob(torch.ones(4, 1, 6))
torch.testing.assert_close(tiny.log_joint(torch.ones(4, 6)), truth, rtol=1e-4, atol=1e-4)

# %% [markdown]
# ## 2 · What half an image says *(core)*
#
# To complete an image is to tell its story again, given what is seen: which component could it be, where within it, and then paint.

# %% tags=["figure", "slide"]
# @title Figure: completing an image, in three steps
digit = cu.my_digit().flatten()[None] / 255
end = digit
for run in cu.runs.available("02_mixture"):
    end = torch.as_tensor(run.replay[0][-1][2:3]).flatten(1) / 255
d = cu.diagram(fontsize=12)
first = d.image(in_ink(digit, right_half)[0], (0, 0), side=1.2)
which = d.box("which $k$?", (2.6, 0), width=1.5, height=0.9, note="$p(k\\,|\\,x_s)$")
how = d.box("which $z$?", (5.2, 0), width=1.5, height=0.9, note=r"$\mathcal{N}(m, C)$")
paint_box = d.box("paint", (7.8, 0), width=1.3, height=0.9, note=r"$\mu_k+W_kz$")
last = d.image(end.view(28, 28), (10.2, 0), side=1.2)
d.arrow(first, which, "Bayes' rule")
d.arrow(which, how, "choose")
d.arrow(how, paint_box, "draw")
d.arrow(paint_box, last)
d.text("seen pixels $x_s$", (0, -0.85))
d.text("a completion", (10.2, -0.85))
cu.show(
    d.figure,
    "Completing as ancestral sampling given the seen pixels: choose a component by its "
    "posterior weight, draw z from its posterior, paint. Every step is exact.",
)

# %% [markdown]
# **Which component:** $p(k\mid x_s)$ is lesson 02's responsibility with the hidden rows deleted.
#
# **Where within it.**
# Given $k$, both $z$ and $x_s$ are Gaussian, so $p(z\mid x_s)$ is a Gaussian, too: we only need its mean $m$ and covariance $C$.
# Collect what contains $z$ in $\log p(z)+\log p(x_s\mid z)$, with $e_s=x_s-\mu_s$:
#
# $$-\tfrac12z^\top z-\tfrac1{2\sigma^2}\lVert e_s-W_sz\rVert^2
# =-\tfrac12\,z^\top\Bigl(I+\tfrac1{\sigma^2}W_s^\top W_s\Bigr)z+z^\top\,\tfrac1{\sigma^2}W_s^\top e_s+\dots$$
#
# The log of *any* Gaussian with mean $m$ and covariance $C$ reads $-\frac12z^\top C^{-1}z+z^\top C^{-1}m+\dots$
# So the matrix in the first term is $C^{-1}$, the vector in the second is $C^{-1}m$, and
#
# $$\begin{gathered}
# z\mid x_s\sim\mathcal N(m,C), \\
# C=\Bigl(I+\tfrac1{\sigma^2}W_s^\top W_s\Bigr)^{-1},\qquad m=\tfrac1{\sigma^2}\,C\,W_s^\top(x_s-\mu_s).
# \end{gathered} \tag{3}$$
#
# Read it: precisions add, the prior's $I$ and what each seen pixel contributes, as for the product of Gaussians in lesson 02.
#
# **Exercise 1 (core).**
# Write (3).


# %% tags=["exercise"]
def latent_given_seen(x, mean, W, noise):
    """p(z | x) of one component, equation (3): its means m (N, q) and covariance C (q, q).

    x (N, s) holds the s seen pixels (s may be 0), mean (s,), W (s, q), noise σ².
    """
    ### BEGIN SOLUTION
    precision = torch.eye(W.shape[1], dtype=W.dtype) + W.T @ W / noise
    cov = torch.linalg.inv(precision)
    return (x - mean) @ W @ cov / noise, cov  # cov is symmetric: C Wᵀ e as a row is eᵀ W C
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# Images are *rows* here, so $C\,W^\top e$ becomes `e @ W @ C` (C is symmetric).
# The identity is `torch.eye(W.shape[1], dtype=W.dtype)`, and `noise` is σ² already.

# %%
checked_latent = cu.check("02b.conditional", latent_given_seen)

# %% [markdown]
# **Exercise 2 (core).**
# Write the last two steps: draw $z=m+L\varepsilon$ with $LL^\top=C$, and paint $\mu+Wz$, for a batch.


# %% tags=["exercise"]
def paint(eps, m, C, mean, W):
    """Images (N, d) without pixel noise: z = m + L ε, then μ + W z.

    Noise eps (N, q), means of z m (N, q), their covariance C (q, q), mean (d,), W (d, q).
    """
    ### BEGIN SOLUTION
    z = m + eps @ torch.linalg.cholesky(C).T  # (N, q)
    return mean + z @ W.T
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# `torch.linalg.cholesky(C)` is $L$.
# Noise and codes are rows, so $L\varepsilon$ is `eps @ L.T` and $Wz$ is `z @ W.T`.

# %%
checked_paint = cu.check("02b.paint", paint)

# %% [markdown]
# The two exercises and Bayes' rule make the sampler.
# If *nothing* is seen it draws from the prior: **sampling is completing an empty page.**
# The mean of all completions is an average over components, weighted by $p(k\mid x_s)$.

# %% tags=["shared"]
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
        m, C = checked_latent(x[:, seen], mu[seen], W[seen], noise + doubt)  # (N, q), (q, q)
        mean += weights[:, k, None] * (mu + m @ W.T)
        mine = component == k
        eps = torch.randn(int(mine.sum()), W.shape[1], generator=generator, dtype=x.dtype)
        smooth[mine] = checked_paint(eps, m[mine], C, mu, W)
    eps = torch.randn(x.shape, generator=generator, dtype=x.dtype)
    draw = smooth + model.noise[component].sqrt()[:, None] * eps
    pictures = [torch.where(seen, x, picture) for picture in (draw, smooth, mean)]
    return Completion(*pictures, weights, component)


# %% tags=["shared"]
def sample_images(model, n, seed=0):
    """n images drawn from the model: nothing seen, everything completed."""
    nothing = torch.zeros(784, dtype=torch.bool)
    return complete(model, torch.zeros(n, 784), nothing, torch.Generator().manual_seed(seed))


# %% [markdown]
# ## 3 · EM on digits *(core)*
#
# The E-step now guesses two hidden causes: the component, by its responsibility $r_{nk}$, and for each component $k$ its $z$, by its mean $m_n$ and covariance $C$ from (3) with $k$'s own $\mu_k$, $W_k$ and everything seen (the index $k$ is left out).
#
# For the M-step, suppose $z$ were known.
# Then $x=W_kz+\mu_k+$ noise is a *linear regression* of images on $(z,1)$.
# It is solved by $[W_k\ \mu_k]=\bigl(\sum x\hat z^\top\bigr)\bigl(\sum\hat z\hat z^\top\bigr)^{-1}$ with $\hat z=(z,1)$, and $\sigma_k^2$ is its mean squared residual.
# Since $z$ is not known, each sum is replaced by its expectation under the E-step's guess: $\hat z$ by $\hat m=(m,1)$, and $\hat z\hat z^\top$ by $\hat m\hat m^\top$ plus the covariance $C$ in the block of $z$.
# Section 7 derives it:
#
# $$\begin{aligned}
# [W_k\ \mu_k]&=\Bigl(\sum_nr_{nk}\,x_n\hat m_n^\top\Bigr)\Bigl(\sum_nr_{nk}\bigl[\hat m_n\hat m_n^\top+\hat C\bigr]\Bigr)^{-1}, \\
# \sigma_k^2&=\frac1{d\,R_k}\sum_nr_{nk}\Bigl(\lVert x_n\rVert^2-x_n^\top[W_k\ \mu_k]\,\hat m_n\Bigr).
# \end{aligned} \tag{4}$$
#
# The bound of lesson 02 holds with $(k,z)$ as the latent, so this never falls either.


# %%
def em_on_images(model, x):
    """One EM step, equation (4), in place; returns the mean log-likelihood before it."""
    log_r, log_px = checked_resp(torch.zeros(()), model.log_joint(x))  # log w is in already
    q = model.factors.shape[2]
    for k in range(len(model.weights)):
        mine = log_r[:, k] > -14  # a responsibility under a millionth does not count
        resp = log_r[mine, k, None].exp()  # (n, 1)
        images = x[mine]  # (n, d)
        m, C = checked_latent(images, model.means[k], model.factors[k], model.noise[k])
        m1 = torch.cat([m, torch.ones_like(m[:, :1])], 1)  # (n, q + 1): (m, 1)
        zz = m1.T @ (resp * m1)  # (q + 1, q + 1)
        zz[:q, :q] += resp.sum() * C
        xz = images.T @ (resp * m1)  # (d, q + 1)
        both = torch.linalg.solve(zz, xz.T).T  # [W μ], (d, q + 1)
        squares = resp[:, 0] @ images.square().sum(1)
        model.noise[k] = (squares - (both * xz).sum()) / (x.shape[1] * resp.sum())
        model.factors[k] = both[:, :q]
        model.means[k] = both[:, q]
    model.weights.copy_(log_r.exp().mean(0))
    return float(log_px.mean())


# %% [markdown]
# The start is k-means (each image joins the nearest mean, each mean moves to the average of its images; lesson 02, section 7), then a PCA of each group: $\sigma_k^2$ is the average variance in the directions left out, and the columns of $W_k$ carry what the kept directions have beyond it.
# Pixels are **dequantised**: grey level $v$ becomes $(v+u)/256$ with $u$ uniform in $[0,1)$, because a density on a few isolated values could be made infinite.


# %%
def dequantised(split, seed=0):
    """Images as rows in [0, 1) with uniform noise of one grey level: float32 (N, 784)."""
    u = torch.rand(len(split), 784, generator=torch.Generator().manual_seed(seed))
    return (split.x.flatten(1) + u) / 256


def kmeans_start(model, x, steps=10):
    """Fill the model with k-means groups and the leading principal directions of each."""
    torch.manual_seed(0)  # for svd_lowrank
    K, _, q = model.factors.shape
    centres = start(x, K, seed=0)[1]
    for _ in range(steps):
        nearest, centres = kmeans_step(x, centres)
    for k in range(K):
        group = x[nearest == k]
        centred = group - group.mean(0)
        _, scale, directions = torch.svd_lowrank(centred, q=q)
        variance = scale.square() / len(group)
        noise = (centred.square().sum() / len(group) - variance.sum()) / (x.shape[1] - q)
        model.weights[k] = len(group) / len(x)
        model.means[k] = group.mean(0)
        model.noise[k] = noise
        model.factors[k] = directions * (variance - noise).clamp(min=0).sqrt()


# %% [markdown]
# We take forty components with thirteen directions each.
# **Predict:** how many nats per image will the first EM step add, and how many the twelfth?

# %%
mnist = cu.mnist()
train_split = mnist.train.sample(cu.budget(55_000))
val_split = mnist.val.sample(cu.budget(5_000))
train = dequantised(train_split)
val = dequantised(val_split)
mine = cu.my_digit().flatten()[None] / 255  # (1, 784)

# %%
model = PPCAMixture(K=40, q=13)
kmeans_start(model, train)
values = [em_on_images(model, train) for _ in range(cu.budget(12, full=60))]
own_nats = float(model.log_joint(val).logsumexp(1).mean())

# %% tags=["author"]
SETS = 5


def as_images(x):
    """Rows in about [0, 1] as uint8 images (N, 28, 28)."""
    return cu.to_uint8(x.clamp(0, 1)).view(-1, 28, 28)


@cache
def whole(seed=0):
    """5,000 images drawn from the trained model."""
    return sample_images(model, 5_000, seed)


def measured():
    """The figures on the card, with tolerances: five sets of 5,000 against test digits."""
    found = {"EM steps": (len(values), 0), "validation nats": (own_nats, 1.0)}
    for kind, name in {"draw": "", "smooth": " before pixel noise"}.items():
        sets = [as_images(getattr(whole(seed), kind)) for seed in range(SETS)]
        row = cu.metrics.score(sets, 5_000)
        found[f"Fréchet distance{name}"] = (row.distance, max(5 * row.distance_spread, 1.0))
        found[f"Fréchet distance{name}, spread of sets"] = (row.distance_spread, 2.0)
        found[f"KID{name}"] = (row.kid, max(5 * row.kid_spread, 0.01))
    return found


def half_a_digit():
    """The visible half of the digit and eight completions: the opening figure."""
    generator = torch.Generator().manual_seed(0)
    eight = complete(model, mine.expand(8, -1), right_half, generator, doubt=0.3).smooth
    frame = as_images(torch.cat([mine * right_half, eight]))
    return frame[None], torch.tensor([len(values)])


cu.ship(
    "02_mixture",
    model,
    what="a mixture of 40 Gaussians of low rank (lesson 02b)",
    figures=measured,
    samples=lambda: as_images(whole().draw[:1000]),
    replay=half_a_digit,
)

# %% [markdown]
# Sixty steps of the same cells made the run that ships with the course.
# From here the lesson goes on with its weights, so that the numbers in the text are the ones you see.

# %%
shipped = cu.restore("02_mixture", model)
shipped_nats = float(model.log_joint(val).logsumexp(1).mean())
gains = [after - before for before, after in zip(values, values[1:])]
cu.facts(
    {
        "training nats per image at the k-means start": values[0],
        "gain of the first EM step": gains[0],
        "gain of the last EM step here": gains[-1],
        "validation nats, after your steps": own_nats,
        "validation nats, shipped": shipped_nats,
        "numbers in the model": sum(p.numel() for p in model.parameters()),
    },
    digits=4,
)

# %% [markdown]
# The k-means start gives 518.8 nats per image, the first EM step adds 18.5, the twelfth 0.3.
# k-means had found the groups; EM adjusts who shares what, and soon has little left to do.
# The whole model is 439,120 numbers.

# %% [markdown]
# ## 4 · What the components learned *(core)*
#
# Equation (1) in pictures, with the numbers of one component:

# %% tags=["figure", "slide"]
# @title Figure: what one image is made of
four = model.weights.argsort(descending=True)[10]
W = model.factors[four]
z = torch.randn(13, generator=torch.Generator().manual_seed(5))
speckle = torch.randn(784, generator=torch.Generator().manual_seed(6))
speckle *= model.noise[four].sqrt()
image = model.means[four] + W @ z + speckle
d = cu.diagram(fontsize=15)
pieces = {r"$\mu_k$": model.means[four]}
for j in range(2):
    pieces[f"column {j + 1} of $W_k$"] = 0.5 + 0.5 * W[:, j] / W[:, j].abs().max()
pieces[r"$\sigma_k\varepsilon$"] = 0.5 + speckle
pieces["$x$"] = image
amounts = [f"{amount:+.1f} ×".replace("-", "− ").replace("+", "+ ") for amount in z[:2]]
signs = ["", *amounts, "+ … +", "="]
for i, ((name, pixels), sign) in enumerate(zip(pieces.items(), signs)):
    d.image(pixels.view(28, 28), (2.3 * i, 0), side=1.3)
    d.text(name, (2.3 * i, -0.9))
    d.text(sign, (2.3 * i - 1.12, 0))
cu.show(
    d.figure,
    "One image of one component: the mean, plus thirteen directions in random amounts (two "
    "are shown; grey is no change, dark and light are opposite changes), plus pixel noise, "
    "stretched.",
)

# %% [markdown]
# Two of the thirteen terms are shown; where a direction is dark, a positive amount adds ink, and a negative one, as both are here, takes it away.
# Now eight of the forty components, one a row: its mean, then eight draws of $z$ painted without pixel noise, and the last of them with it.
# **Predict:** what do the directions $W_k$ change: the class of a digit, its slant, its thickness, its place?


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
fig, ax = plt.subplots(figsize=(10.5, 8.2))
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
cu.facts(
    {
        "smallest pixel noise σ": f"{model.noise.min().sqrt():.3f}",
        "largest pixel noise σ": f"{model.noise.max().sqrt():.3f}",
    }
)

# %% [markdown]
# The directions change slant, thickness and the length of strokes, in most rows not the class: a component is one way of writing one digit.
# The exceptions: the first row, the heaviest, is a catch-all for images that no other component wants; the second turns a 5 into a 3 now and then; the last wavers between 9 and 7.
#
# Along a direction ink *fades* from one place to another, since $\mu+Wz$ is linear.
# Where a real stroke would bend, ghosts appear.
# The last column shows what the model really claims: the same σ on every pixel, empty paper included.

# %% [markdown]
# **How near to real digits?**
# The course's ruler is the **Fréchet distance** (Card 7): describe images by features of a fixed digit classifier, and compare mean and covariance of the features with those of test digits.
# KID, a kernel distance in the same features, stands beside it; for both, less is nearer.
# "±" is the standard deviation over five independent sets of 1,000 images.
# Real digits come first, since no distance can be read without them.


# %%
drawn = [sample_images(model, 1_000, seed) for seed in range(cu.budget(5, 1))]
sets = {
    "draws of the mixture": [cu.to_uint8(made.draw.clamp(0, 1)) for made in drawn],
    "the same before pixel noise": [cu.to_uint8(made.smooth.clamp(0, 1)) for made in drawn],
}
for name, images in sets.items():
    sets[name] = [each.view(-1, 28, 28) for each in images]
board = cu.metrics.scoreboard(sets, n=1_000)

# %% tags=["figure"]
# @title Table: distance to test digits
cu.table(
    [[name, *row.row()] for name, row in board.items()],
    ["images", *cu.metrics.Score.COLUMNS],
    "Sets of 1,000 images against the test digits; one fit of the mixture, the shipped one.",
)

# %% [markdown]
# The draws are about 330 away from the test digits, and 60 before the pixel noise; other people's real digits, the validation set, are at 1.55.
# The eye forgives the speckle; the features do not.
# The draw with noise is the honest sample, and the arena keeps that one.
# The smooth image is a *mean given* $z$; lesson 04 meets the same pair as "draw" and "decoder mean".

# %%
learner = copy.deepcopy(model)


def draw_digits(n):
    """n images from the mixture, others each time."""
    seed = torch.randint(2**31, ()).item()
    return sample_images(model, n, seed).draw.clamp(0, 1).view(n, 28, 28)


cu.enter(
    "02_mixture",
    draw_digits,
    step=lambda: em_on_images(learner, train),
    steps=60,
    numbers=model,
)

# %% [markdown]
# ## 5 · Is it right as often as it claims? *(core)*
#
# Your digit, or the course's, with its left half hidden: eight exact completions, each with the posterior weight of the component it came from.
# The second row differs in one number, which section 6 explains.
# **Predict:** how much of the posterior has the heaviest component in each row?


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
    pictures = [in_ink(image), in_ink(image, seen), in_ink(done.mean[:1]), in_ink(done.smooth)]
    return torch.cat(pictures), titles


fig, axes = plt.subplots(2, 1, figsize=(13, 3.6))
for ax, done, name in zip(axes, (as_fitted, doubtful), ("as fitted", "doubt 0.3")):
    pictures, titles = strip(mine, right_half, done)
    cu.plots.image_grid(pictures, rows=1, titles=titles, row_titles=[name], ax=ax)
cu.show(
    fig,
    "The digit, its visible half, the conditional mean, and eight completions without pixel "
    "noise, with the posterior weight of each one's component: as fitted, and with doubt 0.3.",
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
# As fitted, the model is nearly certain: one component has 96 % of the posterior, and the eight completions are one 3 in eight almost equal copies.
# With the doubt four components have more than 1 %, the largest 72 %, the next 23 %, and 3s stand beside 8s.
# Both rows are exact answers to "what could be on the left?"
# Which certainty is *justified* can be measured.
#
# **How far off should a draw be?**
# Let $x$ be the true hidden half and $x'$ an exact draw: both from $p(\cdot\mid x_s)$, independent given $x_s$, with the same mean, here $\bar x$.
# Expand the square; the mixed term $2\,\mathbb E[(x-\bar x)^\top(\bar x-x')]$ is zero, so
#
# $$\mathbb E\lVert x-x'\rVert^2=\mathbb E\lVert x-\bar x\rVert^2+\mathbb E\lVert x'-\bar x\rVert^2=2\,\mathbb E\lVert x-\bar x\rVert^2. \tag{5}$$
#
# PSNR is $-10\log_{10}$ of the mean squared error, for pixels in [0, 1], so twice the error costs $10\log_{10}2=3.01$ dB.
# **A sampler of the true posterior scores 3 dB below the true posterior mean.**
# The mean is the one answer that minimises squared error, and usually no digit at all.
#
# So the difference is a measurement.
# If draws are *less* than 3 dB below their mean, the truth lies farther from the mean than the draws do: the model is too sure of itself.
#
# **Exercise 3 (core, predict and measure).**
# How many dB will the draws lie below the mean, on images that the model drew itself, and on test digits?


# %% tags=["exercise"]
def my_decibels():
    """Two predictions of PSNR(mean) − PSNR(draw) in dB: own images, test digits."""
    ### BEGIN SOLUTION
    return 3.0, 3.0  # two numbers in dB; these say: the model is right about everything
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# Only the kind of number is checked.
# For the first, ask whether (5) applies to the model's own images; for the second, look again at the row "as fitted".

# %%
checked_decibels = cu.check("02b.decibels", my_decibels)


def psnr(x, target, hidden):
    """PSNR in dB of the hidden pixels of all images together: x, target (N, 784)."""
    return float(cu.metrics.psnr(x[None, :, hidden], target[None, :, hidden]))


def honesty(model, images, seen, doubt=0.0):
    """PSNR of mean and of one draw, their difference; component: certainty claimed, right."""
    done = complete(model, images, seen, torch.Generator().manual_seed(4), doubt)
    mean = psnr(done.mean, images, ~seen)
    draw = psnr(done.draw, images, ~seen)
    claimed = done.weights.max(1).values.mean()
    whole_image = model.log_joint(images).argmax(1)  # the component that all pixels choose
    right = (done.weights.argmax(1) == whole_image).double().mean()
    return [mean, draw, mean - draw, f"{claimed:.1%}", f"{right:.1%}"]


# %%
test = dequantised(mnist.test.sample(cu.budget(2_000)))
dreams = sample_images(model, len(test), seed=3).draw
mean_image = train.mean(0)
rows = []
for name, images in {"the model's own images": dreams, "test digits": test}.items():
    baseline = psnr(mean_image.expand_as(images), images, ~right_half)
    rows.append([name, baseline, *honesty(model, images, right_half)])

# %% tags=["figure", "slide"]
# @title Table: a draw against the mean, and a claim against the truth
columns = ["conditional mean, dB", "one draw, dB", "mean − draw, dB"]
columns += ["component: claimed", "right"]
cu.table(
    rows,
    ["images", "mean image, dB", *columns],
    f"PSNR over the hidden left half of {len(test):,} images, one draw each; how sure the "
    "model is of the component, and how often it is the one that the whole image gets.",
    digits=2,
)
predicted = " and ".join(f"{value:.2f}" for value in checked_decibels())
cu.facts(
    {
        "you predicted, dB": predicted,
        "measured": f"{rows[0][4]:.2f} and {rows[1][4]:.2f}",
        "a perfect sampler": f"{10 * math.log10(2):.2f}",
        "test digits: conditional mean above mean image, dB": f"{rows[1][2] - rows[1][1]:.1f}",
    }
)

# %% [markdown]
# On its own images the model is right about everything: the difference is 3.03 dB, as (5) demands, and it knows the component as often as it claims.
#
# On test digits both checks fail.
# The draws lie only 1.37 dB below the mean, and the model is 99.3 % sure of the component but right for only 76.0 % of the images.
#
# **Why so sure?**
# By (1), given $k$ and $z$ the noise on the seen pixels is *independent*.
# If that is so, what is left of an image after its $\mu_k+W_km$ is taken away must not be correlated between neighbours.


# %%
def left_over(x):
    """Each image (N, 784) minus what its likeliest component makes of it."""
    out = torch.zeros_like(x)
    likeliest = model.log_joint(x).argmax(1)
    for k, (mu, W, noise) in enumerate(zip(model.means, model.factors, model.noise)):
        own = likeliest == k
        m, _ = checked_latent(x[own], mu, W, noise)
        out[own] = x[own] - mu - m @ W.T
    return out.view(-1, 28, 28)


for name, images in {"its own images": dreams, "test digits": test}.items():
    rest = left_over(images)
    pair = (rest[:, :, :-1] * rest[:, :, 1:]).mean()  # a pixel and its right neighbour
    cu.facts(f"correlation of neighbours, {name}", pair / rest.square().mean(), digits=2)

# %% [markdown]
# In the model's own images the correlation is −0.014, all but zero; in test digits it is 0.48.
# Where a stroke lies a little too far left, twenty neighbouring pixels disagree together, and the model counts twenty independent witnesses where there are few.
# The log-likelihoods differ by too many nats, and the softmax turns that into certainty.
#
# Even so the conditional mean is 1.2 dB better than the mean image.
# (Copying the missing half from the most similar training digit completes an image, too, and Card 4's single Gaussian did it with a smear.)

# %% [markdown]
# ## 6 · A little doubt *(core)*
#
# Trust each seen pixel less: add a variance, the **doubt**, to the noise of the *seen* pixels in (2) and (3).
# Everything stays exact, for a model in which the seen pixels carry extra noise.
# (It is not tempering, which raises the likelihood of the seen pixels to a power below one; but it serves the same end.)
# **Predict:** will a model that trusts its evidence less predict the hidden half better or worse?

# %%
doubts = cu.budget([0.0, 0.01, 0.03, 0.1, 0.3, 1.0], [0.0, 0.3])
by_doubt = {doubt: honesty(model, val[:2000], right_half, doubt) for doubt in doubts}
best = max(by_doubt, key=lambda doubt: by_doubt[doubt][0])  # the best conditional mean
mean, draw, apart, claimed, right = honesty(model, test, right_half, best)

# %% tags=["figure", "slide"]
# @title Table: six degrees of doubt
cu.table(
    [[doubt, *numbers] for doubt, numbers in by_doubt.items()],
    ["doubt", *columns],
    f"{len(val[:2000]):,} validation digits, left half hidden: the variance added to every "
    "seen pixel.",
    digits=2,
)
gained = by_doubt[best][0] - by_doubt[0.0][0]
cu.facts(
    {
        "doubt chosen on validation digits": str(best),
        "the conditional mean gains there, dB": f"{gained:.1f}",
        "test digits: conditional mean, dB": f"{mean:.2f}",
        "test digits: one draw, dB": f"{draw:.2f}",
        "test digits: mean − draw, dB": f"{apart:.2f}",
        "test digits: component claimed": claimed,
        "test digits: component right": right,
    }
)

# %% [markdown]
# Better: at a doubt of 0.3 the conditional mean has gained 1.7 dB, and mean and draw are 2.65 dB apart, nearer to the 3.01 of a model that knows how wrong it is.
# At 1.0 the difference is right, but the mean loses again: too much of what the seen half says is discounted.
#
# Its claim falls from 99.5 to 89 %, still twenty points too high, and it names the component that the model *as fitted* gives the whole image in 68.5 % of the cases instead of 77 %.
# What is missing is a model of how neighbouring pixels err *together*.


# %% tags=["figure"]
# @title Table: how sure it is as more is hidden
def seen_part(hide, share):
    """The mask of what is seen when a share of the page is hidden from one side."""
    row = torch.arange(784) // 28
    col = torch.arange(784) % 28
    distance = {"left": col, "right": 27 - col, "top": row, "bottom": 27 - row}[hide]
    return distance >= round(28 * share)


rows = []
for eighths in range(9):
    seen = seen_part("left", eighths / 8)
    weights = [completions(model, mine, seen, d, n=1).weights.max() for d in (0.0, 0.3)]
    rows.append([f"{eighths} of 8", *(f"{float(w):.1%}" for w in weights)])
cu.table(
    rows,
    ["hidden, from the left", "doubt 0", "doubt 0.3"],
    "The course's digit: the largest posterior weight among the forty components.",
)

# %% tags=["figure", "slide"]
# @title Widget: hide a part of a digit
reads = model.log_joint(train[:10_000]).argmax(1)  # the component of each image
votes = torch.zeros(40, 10)  # component, class
votes.index_put_((reads, train_split.y[: len(reads)]), torch.ones(len(reads)), accumulate=True)
spelled = votes.argmax(1)  # the digit that each component writes most
by_digit = spelled.argsort(stable=True)


def draw_inpainting(hide="left", share=0.5, digit="mine", doubt=0.3):
    """The digit, what is seen, the mean, six completions and the weights of all components."""
    seen = seen_part(hide, share)
    image = mine if digit == "mine" else mnist.test.only(int(digit))[:1].flat()
    done = completions(model, image, seen, doubt, n=6, seed=0)
    pictures, titles = strip(image, seen, done)
    fig, (upper, lower) = plt.subplots(2, 1, figsize=(11, 4.6), height_ratios=(1.5, 1))
    cu.plots.image_grid(pictures, rows=1, titles=titles, ax=upper)
    colours = [cu.plots.CLASS_COLOURS[int(spelled[k])] for k in by_digit]
    lower.bar(range(40), done.weights[0, by_digit].numpy(), color=colours)
    lower.set_xticks(range(40), [int(spelled[k]) for k in by_digit], fontsize=10)
    lower.set(
        xlabel="component, by the digit it writes most", ylabel="p(k | seen)", ylim=(0, 1)
    )
    return fig


def draw_shares():
    """Four hidden shares: seen, mean and three completions, with doubt 0.3 and without."""
    fig, axes = plt.subplots(1, 2, figsize=(13, 5.4))
    for ax, doubt in zip(axes, (0.3, 0.0)):
        pictures = []
        largest = []
        for share in (0.25, 0.5, 0.75, 1.0):
            seen = seen_part("left", share)
            done = completions(model, mine, seen, doubt, n=3, seed=0)
            pictures.append(strip(mine, seen, done)[0][1:])
            largest.append(f"{share:.0%}: {float(done.weights[0].max()):.0%}")
        titles = ["seen", "mean", "1", "2", "3"]
        labels = {"titles": titles, "row_titles": largest}
        cu.plots.image_grid(torch.cat(pictures), cols=5, ax=ax, **labels)
        ax.set_title(f"doubt {doubt}", pad=26)
    return fig


cu.explore(
    draw_inpainting,
    "A digit with a part hidden, the conditional mean, exact completions and the weights of "
    "all components. Without a kernel: four rows, labelled with the hidden share and the "
    "largest weight.",
    static=draw_shares,
    hide=["left", "right", "top", "bottom"],
    share={"min": 0.0, "max": 1.0, "step": 0.125, "value": 0.5, "label": "hidden share"},
    digit=["mine", *"0123456789"],
    doubt=[0.3, 0.0, 0.01, 0.03, 0.1, 1.0],
)

# %% [markdown]
# Hide more and more: the forty weights go from one spike to the prior weights, the mean from the digit itself to the grey average of all digits, and the draws from one image to forty kinds.
# With doubt 0 one weight is above 96 % even when seven eighths of the digit are hidden.

# %% [markdown]
# ## 7 · Where the M-step comes from *(deeper)*
#
# **Exercise 4 (deeper, on paper).**
# Derive (4) for one component, from the expected log-joint of lesson 02's M-step.
# Drop the index $k$ and write $B=[W\ \mu]$, $\hat z=(z,1)$, so that $x=B\hat z+\sigma\varepsilon$.
#
# <details><summary>Step 1: what has to be maximised</summary>
#
# Of the expected log-joint only $\log p(x\mid z)$ contains $B$ and $\sigma$:
# $-\frac d2R\log\sigma^2-\frac1{2\sigma^2}\sum_nr_n\,\mathbb E\lVert x_n-B\hat z_n\rVert^2$, with $\mathbb E$ over $z_n\mid x_n\sim\mathcal N(m_n,C)$.
#
# </details>
# <details><summary>Step 2: the expected square</summary>
#
# $\mathbb E\lVert x-B\hat z\rVert^2=\lVert x\rVert^2-2\,x^\top B\,\hat m+\operatorname{tr}\bigl(B^\top B\,\mathbb E[\hat z\hat z^\top]\bigr)$.
# A second moment is the square of the mean plus the covariance, and the entry 1 has none: $\mathbb E[\hat z\hat z^\top]=\hat m\hat m^\top+\hat C$, where $\hat C$ is $C$ with a row and a column of zeros.
#
# </details>
# <details><summary>Step 3: the derivative in B</summary>
#
# $\sum_nr_n\bigl(-2\,x_n\hat m_n^\top+2B\,[\hat m_n\hat m_n^\top+\hat C]\bigr)=0$.
# Solve for $B$: the first half of (4).
#
# </details>
# <details><summary>Step 4: the noise</summary>
#
# The derivative in $\sigma^2$ gives $\sigma^2=\frac1{dR}\sum_nr_n\,\mathbb E\lVert x_n-B\hat z_n\rVert^2$.
# Insert step 2, and use step 3 in the form $\sum_nr_nB[\hat m_n\hat m_n^\top+\hat C]=\sum_nr_nx_n\hat m_n^\top$: the trace cancels one of the two mixed terms, and the second half of (4) is left.
#
# </details>

# %% [markdown]
# ## 8 · An exact likelihood, and a classifier for free *(deeper)*
#
# The density of an image is **exact** here, as in few models of the course.
# Densities are compared in **bits per dimension**.
# The convention, for all lessons: pixels are $(v+u)/256$ in $[0,1)$, so an image of grey levels is a cube of side $1/256$ in 784 dimensions; $-\log_2$ of its probability is about $-\log_2p(x)+784\cdot8$ bits, and a pixel costs $-\log p(x)/(784\log2)+8$.
# The uniform density has 8.
#
# **Bayes' rule turns densities into a classifier**, as in lesson 01: fit one mixture to each class, $p(y\mid x)\propto p(y)\,p(x\mid y)$.
# Five components of rank 20 a class, ten EM steps, no gradient and no look at the other classes; a doubt is chosen on validation digits.
# **Predict** the test accuracy (one Gaussian a class, in lesson 01, was right for 97.7 % of the validation digits).


# %%
def class_joint(models, log_prior, x, doubt=0.0):
    """log p(x, y) for all classes, (N, 10): log prior (10,) plus each class's density."""
    log_px = [m.log_joint(x, doubt=doubt).logsumexp(1) for m in models]
    return log_prior + torch.stack(log_px, 1)


log_prior = train_split.y.bincount().div(len(train)).log()
em_steps = cu.budget(10)
by_class = []
for label in range(10):
    class_model = PPCAMixture(K=cu.budget(5), q=20)
    images = train[train_split.y == label]
    kmeans_start(class_model, images)
    for _ in range(em_steps):
        em_on_images(class_model, images)
    by_class.append(class_model)


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
single = PPCAMixture(K=1, q=13)
kmeans_start(single, train, steps=1)
log_densities = {
    "uniform": torch.zeros(1),
    "one Gaussian of rank 13": single.log_joint(test).logsumexp(1),
    "40 of rank 13 (shipped)": model.log_joint(test).logsumexp(1),
    "10 × 5 of rank 20": class_joint(by_class, log_prior, test).logsumexp(1),
}

# %% tags=["figure"]
# @title Table: bits per dimension, and accuracy
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
facts = []
for doubt, share in on_validation.items():
    facts += [f"validation digits, doubt {doubt}", f"{share:.2%}"]
cu.facts(*facts, f"{len(test):,} test digits, doubt {best}", f"{on_test:.1%}")
for name, noise in {"smallest": model.noise.min(), "largest": model.noise.max()}.items():
    cost = 8 + math.log2(float(noise.sqrt()) * math.sqrt(2 * math.pi))
    cu.facts(f"bits of a pixel whose mean is right, {name} σ", f"{cost:.1f}")

# %% [markdown]
# Ten densities that have never heard of each other classify 97.5 % of the test digits.
# On validation digits, five components with 20 directions are right on 98.0 %, lesson 01's single Gaussian with 50 on 97.7 % of fewer images: hardly more than chance (and the best of four doubts flatters it a little).
# The hidden choice *within* a class, a 7 with a bar or without, may be worth as much here as thirty further directions.
#
# As a compressor the model is poor: 7.0 bits a pixel with forty components, 6.8 with fifty of higher rank.
# A Gaussian cannot put a spike on "exactly white": even a pixel whose mean is exactly right costs $8+\log_2(\sigma\sqrt{2\pi})$ bits, 4.8 for the smallest σ of the forty and 6.9 for the largest, and one σ must serve the empty margin as well as the strokes.
# **A good likelihood, good samples and good classification are three different things;** lesson 07 returns to this.
#
# **Exercise 5 (deeper, open).**
# One σ for all pixels is this model's crudest assumption.
# Give each pixel a σ of its own (factor analysis): change (1), (2) and (4), or find another repair for the twenty witnesses.
# Decide beforehand which three numbers of this lesson should improve, choose on validation digits, and report what did not.

# %% [markdown]
# ## Recap *(core)*
#
# | you can | because you saw |
# |---|---|
# | say what the model assumes | a mean, thirteen directions, the same noise on every pixel, forty times |
# | complete an image exactly | which $k$, which $z$, paint; an empty page gives a sample |
# | run EM on images | the M-step is a regression with expected sums |
# | use 3 dB as a test | own images 3.0 dB, test digits 1.4: too sure |
# | repair it | a doubt of 0.3 brings them to 2.6 on test digits |
#
# **What breaks, and why.**
# Inside a component an image is a mean plus a *linear* mix of thirteen pictures, so strokes fade in and out instead of bending.
# What is left over is treated as noise that knows nothing of its neighbours.
# More components help slowly: each must learn by itself what a stroke is.
#
# **Next.**
# [Lesson 03](03_autoencoders.ipynb) looks for one *curved* set of directions for all digits, a code from which a network paints; and it will come back here for a mixture of codes.

# %% [markdown]
# ## Where this stands *(deeper)*
#
# **The model** is a mixture of probabilistic PCAs (Tipping and Bishop 1999), a mixture of factor analysers (Ghahramani and Hinton 1996) with equal pixel noise.
# Richardson and Weiss (2018) trained one on whole face images: less sharp than a GAN of the time, but it covered the distribution, and its inference is exact.
# On small patches such mixtures were for years a strong prior for denoising and deblurring (EPLL, Zoran and Weiss 2011); lesson 16, to come, uses priors in this way.
#
# **3 dB.**
# That a draw from the posterior has exactly twice the error of its mean is the corner of the *perception–distortion* trade-off: lower error must be paid for with less natural images (Blau and Michaeli 2018; for squared error and a Wasserstein distance the whole curve is known, Freirich et al. 2021).
#
# **Too sure.**
# A wrong model counts its evidence too often.
# The usual remedy is a *power posterior*, the likelihood to a power below one; our doubt is a cousin that keeps everything Gaussian.
#
# **Beyond.**
# A learned curve in place of the plane $\mu+Wz$ is the VAE (lesson 04), which gives up exact inference; probabilistic circuits keep it.

# %% [markdown]
# ### References
#
# - Ghahramani, Hinton (1996): *The EM Algorithm for Mixtures of Factor Analyzers* (equation 4).
# - Tipping, Bishop (1999): *Mixtures of Probabilistic Principal Component Analyzers*.
# - Zoran, Weiss (2011): *From Learning Models of Natural Image Patches to Whole Image Restoration*.
# - Richardson, Weiss (2018): *On GANs and GMMs*.
# - Blau, Michaeli (2018): *The Perception-Distortion Tradeoff*.
# - Freirich, Michaeli, Meir (2021): *A Theory of the Distortion-Perception Tradeoff in Wasserstein Space*.
