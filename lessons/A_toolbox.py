# %% [markdown]
# # A Toolbox
#
# **Seven tools that every lesson leans on: one picture and one check a card.**
#
# Nobody reads this appendix from top to bottom.
# A lesson says "see Card 4", you come here, run the set-up and the two data cells, and then that card alone: no card needs another.
# Each is *core* for the lesson that sends you; what is marked *deeper* is for the curious.
#
# | card | the question it answers | first needed in |
# |---|---|---|
# | 1 | Which entry meets which when two tensors of different shape are combined? | 00 |
# | 2 | Where do gradients come from, and what does `cu.fit` do with them? | 03 |
# | 3 | Why does every lesson add logarithms instead of multiplying probabilities? | 00, 01 |
# | 4 | How is a Gaussian in many dimensions sampled, evaluated, and cut open? | 00, 01, 02 |
# | 5 | How far apart are two distributions, and in which unit? | 02, 04 |
# | 6 | What does a convolution see, and how does a network make an image larger? | 05 |
# | 7 | With which ruler are generated images measured, and how fine is its scale? | 03, 07 |
#
# **After a card you can** predict the shape of a broadcast and spot the silent one (1); write a training loop and say when it diverges (2); compute with probabilities of $10^{-200}$ (3); complete a half-seen vector exactly (4); say which KL covers and which seeks (5); size a convolution and avoid its checkerboard (6); put a number with a floor on a set of images (7).
#
# **Builds on** one machine-learning course and Python.
#
# **Notation, as in every lesson**: $x$ data · $z$ latent · $\varepsilon$ noise · $t$ time · $p_\text{data}$, $p_\theta$, $q$ distributions · $\mu, \Sigma$ mean and covariance · $d$ dimensions · $n$ samples · $K$ classes or components · log is the natural logarithm, so information is in nats unless bits are named.

# %% tags=["setup"]
import copy
import inspect
import math

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from torch import nn

import course_utils as cu

device = cu.setup()

# %% [markdown]
# MNIST, and a helper that draws a small table of numbers.
# The two "generators" below are the simplest ones that lesson 00 builds: the first breaks every link between pixels, the second keeps all pairwise links and nothing else.
# They are three lines together, and will be put under the ruler in Card 7.

# %%
n_train = cu.budget(50_000)
mnist = cu.mnist()
train = mnist.train.sample(n_train).flat()  # (n, 784) in [0, 1]


def independent_pixels(x, n):
    """n images whose every pixel comes from another, randomly chosen image of x (N, d)."""
    return x[torch.randint(len(x), (n, x.shape[1])), torch.arange(x.shape[1])]  # (n, d)


def one_gaussian(x, n):
    """n draws from the Gaussian with the mean and covariance of x (N, d) (Card 4)."""
    cov = x.T.cov() + 1e-4 * torch.eye(x.shape[1])
    return x.mean(0) + torch.randn(n, x.shape[1]) @ torch.linalg.cholesky(cov).T  # (n, d)


# %% tags=["figure"]
# @title Figure: how to draw a small table of numbers (for Cards 1 and 6)
def numbers(ax, table, title, limit=9):
    """Draw a 2-D tensor as coloured cells, its values written in."""
    for i, row in enumerate(table.tolist()):
        for j, value in enumerate(row):
            text = f"{value:g}".replace("-", "−")
            ax.text(j, i, text, ha="center", va="center", fontsize=12)
    signed(ax, table, title, limit)


def signed(ax, table, title, limit):
    """Draw a 2-D tensor in red (positive) and blue (negative); returns the image."""
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(True)  # a frame, since a flat image is white on white
    ax.set_title(title, fontsize=12)
    ax.grid(False)
    return ax.imshow(table, cmap=plt.get_cmap("RdBu_r", 19), vmin=-limit, vmax=limit)


# %% [markdown]
# ### What you will be able to measure
# Four sources of digits, eight draws each.
# **Predict:** rank the rows from most to least real, and write the ranking down.
# One row lacks something that no eight images can show.

# %%
torch.manual_seed(0)
seven = mnist.train.only(0, 1, 2, 3, 4, 5, 6).sample(8, seed=1).flat()
rows = [train[:8], one_gaussian(train, 8), independent_pixels(train, 8), seven]

# %% tags=["figure", "slide"]
# @title Figure: eight draws from each of four sources
tiles = torch.cat(rows).view(-1, 28, 28)
ax = cu.plots.image_grid(tiles, rows=4, row_titles="ABCD")
cu.show(
    ax.figure,
    "Eight draws from each of four sources, A to D. Two of them are hard to tell apart by eye.",
)

# %% [markdown]
# A holds training images.
# B is one Gaussian over all 784 pixels: strokes appear, since neighbouring pixels go together, but none of them is a digit.
# C has the right ink at every pixel and no structure at all.
# D looks as real as A, yet this source never draws a 7, 8 or 9: an eye that sees eight images cannot notice, a ruler that sees thousands can.
# Card 7 builds that ruler, and shows what *it* cannot see.

# %% [markdown]
# ## Card 1 · Shapes and broadcasting *(core)*
#
# Write the two shapes under each other, **aligned at the right**.
# In each column the sizes must be equal, or one of them is 1 or missing; a 1 (or a missing size) is stretched by repeating.
# That is the whole rule:
#
# ```
# a        (4, 1)        x[:, None]   (n, 1, d)        p      (   64)
# b        (   3)        y[None]      (1, m, d)        y      (64, 1)
# a - b    (4, 3)        difference   (n, m, d)        p - y  (64, 64)   <- silent
# ```
#
# The third case is the most expensive line in deep learning, because nothing fails.
# **Predict:** a network answers all 64 targets perfectly, `p[i] == y[i]`.
# What is `((p - y) ** 2).mean()` with these two shapes?

# %%
column = torch.tensor([[1], [3], [5], [7]])
row = torch.tensor([0, 2, 4])
p = torch.tensor([1, 3, 6])
tables = {
    "a (4, 1), stretched": column.expand(4, 3),
    "b (3,), stretched": row.expand(4, 3),
    "a − b (4, 3)": column - row,
    "p (3,) − y (3, 1), p = y": p - p[:, None],
}

# %% tags=["figure", "slide"]
# @title Figure: two shapes stretched to a common one
fig, axes = plt.subplots(1, 4, figsize=(9.2, 2.5))
for ax, (title, table) in zip(axes, tables.items(), strict=True):
    numbers(ax, table, title)
cu.show(
    fig,
    "A column and a row are stretched to the same 4 × 3 table and subtracted. "
    "Right: predictions (3,) minus equal targets (3, 1): only the diagonal is zero, "
    "although every prediction is right.",
)

# %%
torch.manual_seed(0)
y = torch.randn(64, 1)
p = y[:, 0].clone()  # a perfect prediction, (64,)
silent = ((p - y) ** 2).mean()  # (64, 64), averaged
torch.testing.assert_close(silent, 2 * y.var(correction=0))
same_for_all = y.mean().expand(64)  # (64,)
cu.facts(
    {
        "loss of a perfect prediction": silent,
        "variance of y, half of that": y.var(correction=0),
        "loss of predicting the mean for everyone": ((same_for_all - y) ** 2).mean(),
    },
    digits=4,
)

# %% [markdown]
# Why twice the variance: all $n^2$ pairs are compared, and with $y_i, y_j$ independent picks of the same list, $\frac{1}{n^2}\sum_{ij}(y_i - y_j)^2 = 2\overline{y^2} - 2\bar y^2 = 2\operatorname{Var}(y)$.
# Worse, the loss has moved its minimum: $\frac{1}{n^2}\sum_{ij}(p_i-y_j)^2=\frac1n\sum_i(p_i-\bar y)^2+\operatorname{Var}(y)$ is least when every $p_i$ is $\bar y$.
# The network dutifully learns to answer the mean, the curve goes down nicely, and nobody is told.
# Cure: assert the shapes of a loss's arguments, or read them aloud.
#
# **The same stretching, used on purpose**, compares every row of one table with every row of another.
# Directly, `((a[:, None] - b[None]) ** 2).sum(-1)` builds a tensor of $n \times m \times d$ numbers: for 5,000 by 5,000 images of 784 pixels that is 78 GB.
# Expanding the square,
#
# $$\lVert a_i-b_j\rVert^2=\lVert a_i\rVert^2+\lVert b_j\rVert^2-2\,a_i^\top b_j, \tag{A1}$$
#
# needs one matrix product and two vectors of norms, stretched in the two directions: 100 MB.
#
# **Exercise 1 (core).**
# Write (A1).


# %% tags=["exercise"]
def pairwise_distances(a, b):
    """Squared distances (n, m) between the rows of a (n, d) and of b (m, d): equation (A1).

    No loop. Rounding can leave a tiny negative number where a row meets itself: clamp it to 0.
    """
    ### BEGIN SOLUTION
    norms_a = a.square().sum(1)[:, None]  # (n, 1)
    norms_b = b.square().sum(1)[None]  # (1, m)
    return (norms_a + norms_b - 2 * a @ b.T).clamp(min=0)  # (n, m)
    ### END SOLUTION


# %%
checked_distances = cu.check("A.pairwise_distances", pairwise_distances)

# %% [markdown]
# **Predict:** 20 images of each digit, sorted by class: 40,000 distances, averaged over each of the 100 blocks of class against class.
# Will the ten blocks on the diagonal be darker than the rest?
# Which block is darkest?

# %%
test = mnist.test
digits = torch.cat([test.only(k).sample(20, seed=k).flat() for k in range(10)])  # (200, 784)
distance = checked_distances(digits, digits)  # (200, 200)
block = distance.view(10, 20, 10, 20).mean((1, 3))  # (10, 10): class against class
block += block.diagonal().diag() / 19  # a digit is not its own neighbour: 19 others, not 20
within = block.diagonal()
others = (block.sum(1) - within) / 9

# %% tags=["figure"]
# @title Figure: distances between the ten classes
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.5), width_ratios=(1, 1.25))
image = left.imshow(block, cmap="viridis")
left.grid(False)
left.set(xticks=range(10), yticks=range(10), xlabel="digit", ylabel="digit")
left.set_title("1s lie closest together")
fig.colorbar(image, ax=left)
right.bar(range(10), within, label="within the class")
right.plot(range(10), others, "o", color=cu.plots.PALETTE[1], label="to the other nine")
right.set(xticks=range(10), xlabel="digit", ylabel="squared distance", ylim=(0, 180))
right.set_title("Nearer to its own kind")
right.legend(loc="upper center", ncols=2, fontsize=10)
cu.show(
    fig,
    "Squared pixel distances between 200 test digits, 20 a class. "
    "Left: mean for each pair of classes; dark is near. "
    "Right: within each class (bars) and to the others (dots).",
)
cu.table(
    [["within the class", *within], ["to the other nine", *others]],
    ["squared distance of digit", *range(10)],
    digits=0,
)

# %% [markdown]
# Each bar stays below its dot.
# For the 1 the margin is widest, 48 against 101, since a 1 has little ink and two of them hardly differ; its block is the dark square, then come 9 and 7.
# For the 2, 5, 6 and 8 the bar reaches more than four fifths of the dot (two 6s are 100 apart, a 6 and another digit 115): in pixel space "the same digit" is a weak notion of near.
# That is one reason why Card 7 measures in *features*, and why lesson 03 looks for a better space.

# %% [markdown]
# ## Card 2 · Autograd and the training loop *(core)*
#
# A tensor with `requires_grad=True` remembers which operation made it.
# `loss.backward()` walks that record from the loss to the parameters and multiplies the local derivatives (the chain rule); the product arrives in `.grad`, which has the parameter's shape.
# Three facts explain most surprises:
#
# 1. gradients **add up** in `.grad` until someone sets them to zero;
# 2. `.detach()` and `torch.no_grad()` cut the record: nothing behind the cut receives a gradient;
# 3. a gradient is exact (to rounding), not a finite difference.
#    For $L(w)=\frac1n\lVert Xw-y\rVert^2$ it must be $\nabla L=\frac2n X^\top(Xw-y)$.

# %%
torch.manual_seed(0)
X = torch.randn(50, 3).double()
y = torch.randn(50).double()
w = torch.randn(3).double().requires_grad_()
(X @ w - y).square().mean().backward()
by_hand = 2 / 50 * X.T @ (X @ w - y).detach()
torch.testing.assert_close(w.grad, by_hand)
(X @ w - y).square().mean().backward()  # a second call, nothing zeroed
ratio = (w.grad / by_hand).tolist()
print("after two backward calls, .grad / gradient:", [round(r, 6) for r in ratio])

# %% [markdown]
# **One step of gradient descent** moves against the gradient:
#
# $$\theta \leftarrow \theta-\eta\,\nabla_\theta L(\theta). \tag{A2}$$
#
# **Exercise 2 (core).**
# Write (A2).


# %% tags=["exercise"]
def sgd_step(theta, loss_fn, lr):
    """One gradient step of size lr, equation (A2): theta (any shape), loss_fn(theta) → scalar.

    Leave the argument as it is, and return the new theta as a tensor that belongs to no graph.
    """
    ### BEGIN SOLUTION
    theta = theta.detach().requires_grad_()  # same numbers, fresh record
    (gradient,) = torch.autograd.grad(loss_fn(theta), theta)
    return (theta - lr * gradient).detach()
    ### END SOLUTION


# %%
checked_sgd_step = cu.check("A.sgd_step", sgd_step)

# %% [markdown]
# **When does it diverge?**
# In the bowl $L(\theta)=\frac12(h_1\theta_1^2+h_2\theta_2^2)$ the gradient is $(h_1\theta_1, h_2\theta_2)$, so a step multiplies the state by a matrix, the *update map*:
#
# $$\theta\leftarrow M\theta,\qquad M=\begin{pmatrix}1-\eta h_1&0\\0&1-\eta h_2\end{pmatrix}.$$
#
# A number $\lambda$ is an **eigenvalue of the update map** if along some direction $v$ the map only rescales, $Mv=\lambda v$.
# After $k$ steps that direction has been multiplied by $\lambda^k$.
# So everything is decided by $|\lambda|$: below 1 it dies out, above 1 it explodes, and a negative $\lambda$ flips side at each step.
# Here $\lambda_i=1-\eta h_i$, hence gradient descent converges exactly when $|1-\eta h_i|<1$ for all $i$, that is $\eta<2/h_\text{max}$.
# The steepest direction sets the limit, the flattest sets the pace.
#
# The same question for two players: $x$ wants $xy$ small, $y$ wants it large, both step at once: $x\leftarrow x-\eta y,\ y\leftarrow y+\eta x$.
# Now $M=\begin{pmatrix}1&-\eta\\\eta&1\end{pmatrix}$ with the complex pair $\lambda=1\pm i\eta$: a rotation by about $\eta$ (radians), and $|\lambda|=\sqrt{1+\eta^2}$.
#
# **Predict** for $h=(1,10)$ which of $\eta=0.05,\ 0.19,\ 0.21$ converge, and where the two players go.

# %%
h = torch.tensor([1.0, 10.0]).double()
rates = (0.05, 0.19, 0.21)
maps = {f"η = {lr}": torch.eye(2) - lr * h.diag() for lr in rates}
maps["players, η = 0.2"] = torch.tensor([[1.0, -0.2], [0.2, 1.0]]).double()


def bowl(theta):
    """L(θ) = ½ (h₁ θ₁² + h₂ θ₂²)."""
    return 0.5 * (h * theta**2).sum()


def play(state):
    """Both players step at once: one application of their update map."""
    return maps["players, η = 0.2"] @ state


def iterate(update, *settings):
    """Apply an update 40 times, from (−4, 1): all states, (41, 2)."""
    states = [torch.tensor([-4.0, 1.0]).double()]
    for _ in range(40):
        states.append(update(states[-1], *settings))
    return torch.stack(states)


# %% [markdown]
# Forty steps of each, and what the eigenvalues say about them:

# %%
paths = {f"η = {lr}": iterate(checked_sgd_step, bowl, lr) for lr in rates}
paths["players, η = 0.2"] = iterate(play)

eigenvalues = {name: torch.linalg.eigvals(M) for name, M in maps.items()}
largest = {name: values.abs().max() for name, values in eigenvalues.items()}
growth = {name: path[40].norm() / path[39].norm() for name, path in paths.items()}
for name, path in paths.items():  # 40 steps are M⁴⁰
    torch.testing.assert_close(path[40], torch.linalg.matrix_power(maps[name], 40) @ path[0])


# %% tags=["figure", "slide"]
# @title Figure: forty steps of three descents and of two players
def height(x):
    """√(2L) of the bowl at points x (n, 2): evenly spaced contour lines."""
    return (h * x**2).sum(1).sqrt()


def written(values):
    """Complex eigenvalues as text, the imaginary part only where there is one."""
    texts = [f"{v.real:.2f}" + f" {v.imag:+.2f}i" * (v.imag != 0) for v in values.tolist()]
    return ", ".join(texts).replace("-", "−")


fig, axes = plt.subplots(1, 4, figsize=(9.4, 2.7))
for ax, (name, path) in zip(axes, paths.items(), strict=True):
    side = 5 if name.startswith("η") else 10
    if name.startswith("η"):
        style = {"colors": "#cccccc", "levels": 3, "linewidths": 0.9}
        cu.plots.density(height, (-5, 5), ax=ax, filled=False, **style)
    colour = cu.plots.PALETTE[1 if largest[name] > 1 else 0]
    ax.plot(*path.T, "o-", markersize=4, linewidth=1.3, color=colour)
    ax.plot(*path[0], "ks")
    ticks = (-side, 0, side)
    ax.set(xlim=(-side, side), ylim=(-side, side), xticks=ticks, yticks=ticks)
    ax.set(aspect="equal", xlabel="θ₁", ylabel="θ₂")
    ax.set_title(f"{name}\n|λ| up to {largest[name]:.2f}", fontsize=12)
axes[-1].set(xlabel="x", ylabel="y")
cu.show(
    fig,
    "40 update steps from the black square: creeping, zigzagging and exploding gradient "
    "descent in a bowl whose curvature is ten times larger upwards, and the outward spiral of "
    "two players who step at the same time. Orange: diverges.",
)
cu.table(
    [[name, written(eigenvalues[name]), largest[name], growth[name]] for name in paths],
    ["update", "eigenvalues of the map", "largest |λ|", "measured growth, last step"],
)

# %% [markdown]
# The limit is $2/h_\text{max}=0.2$.
# At 0.05 the steep direction has $\lambda=0.5$ and is gone after a few steps, the flat one has 0.95 and creeps: after 40 steps $0.95^{40}=13\,\%$ of the way are left.
# At 0.19 the steep direction has −0.9: it jumps across the valley each time and still converges.
# At 0.21 it has −1.1 and explodes, although the flat direction converges happily; the last column shows that the largest $|\lambda|$ has taken over.
# The two players are worse: $|\lambda|=\sqrt{1.04}=1.02>1$ for *every* $\eta>0$, no step is small enough.
# Nobody minimises a common function there; lesson 05 builds its repair on exactly this number.
#
# **The loop.**
# Everything that trains in this course is the five marked lines; `cu.fit` adds conveniences, not mathematics.
# The check: the same start and the same batches, once by hand and once with `cu.fit`.


# %%
def train_by_hand(model, batches, steps, lr):
    """Minimise the cross-entropy of a classifier with Adam; returns the losses."""
    optimiser = torch.optim.Adam(model.parameters(), lr=lr)
    losses = []
    for step in range(steps):
        images, labels = batches.batch(step)  # 1. a batch
        loss = F.cross_entropy(model(images), labels)  # 2. forward
        optimiser.zero_grad()  # 3. forget the last gradient
        loss.backward()  # 4. backward
        optimiser.step()  # 5. update
        losses.append(float(loss.detach()))
    return losses


# %%
def classifier_loss(model, images, labels):
    return F.cross_entropy(model(images), labels)


torch.manual_seed(0)
by_hand = nn.Sequential(nn.Flatten(), nn.Linear(784, 10)).to(device)
by_fit = copy.deepcopy(by_hand)
batches = cu.Batches(mnist.train, 128, labels=True)
history = cu.fit(by_fit, classifier_loss, batches, steps=300, lr=1e-2, log_every=30)
losses = train_by_hand(by_hand, batches, steps=history.steps[-1], lr=1e-2)

weights = zip(by_hand.parameters(), by_fit.parameters(), strict=True)
apart = max((a - b).detach().abs().max().item() for a, b in weights)
cu.facts(
    {
        "by hand: loss of the first batch": losses[0],
        "by hand: loss of the last batch": losses[-1],
        "largest difference of any weight to cu.fit": apart,
    }
)

# %% [markdown]
# The two models agree to rounding: there is no magic in `cu.fit`.
# (The losses differ because it prints the mean of the last 30 steps, and we that of the last batch alone.
# On a GPU it computes the forward pass in 16 bits where the card can, and the two drift apart a little more.)
# Here is its source, and beneath it that of `cu.loop`, which owns what has nothing to do with learning: the progress bar, saving, stopping on a loss that is not finite.
# Find the five lines.

# %%
print(inspect.getsource(cu.fit))
print(inspect.getsource(cu.loop))

# %% [markdown]
# ## Card 3 · Logits and log-sum-exp *(core)*
#
# A likelihood of an image is a product over pixels, and products of probabilities leave the range of floating-point numbers.
# Take the simplest model of a binarised digit: pixel $j$ is ink with probability $\pi_j$, independently of the others, so $p(x)=\prod_j \pi_j^{x_j}(1-\pi_j)^{1-x_j}$.
# **Predict:** multiply the factors of one image row by row, top to bottom, in float32.
# After how many of the 784 pixels is the product exactly zero?
#
# A second place: a network's last layer gives a **logit** $a$, any real number, and the probability is $\sigma(a)=1/(1+e^{-a})$; the logit is the log-odds, $a=\log\frac{p}{1-p}$.
# A discriminator (lesson 05) needs $\log(1-\sigma(a))$.
# **Predict:** from which $a$ on does float32 say that this is $-\infty$?
# The true value there is about $-a$.

# %%
ink = ((train > 0.5).sum(0) + 1) / (len(train) + 2)  # (784,); +1, +2: never exactly 0 or 1
digit = mnist.test[0].flat().view(-1) > 0.5
factor = torch.where(digit, ink, 1 - ink)  # (784,): probability of each pixel
product = factor.cumprod(0)
log_sum = factor.log().cumsum(0) / math.log(10)

a = torch.linspace(0, 24, 2_000)
naive = torch.log(1 - torch.sigmoid(a))
stable = F.logsigmoid(-a)

# %% tags=["figure", "slide"]
# @title Figure: where a product and a logarithm end
n_alive = int((product == 0).float().argmax()) + 1
a_end = a[naive.isinf()].min()
fig, (left, right) = plt.subplots(1, 2, figsize=(9.4, 3.5))
left.plot(log_sum, label="sum of logs")
left.plot(product.log10(), "--", label="float32 product")
left.set(xlabel="pixels multiplied, row by row", ylabel="log₁₀ of the product")
left.set_title(f"The product is 0 after {n_alive} pixels")
right.plot(a, stable, label="logsigmoid(−a)")
right.plot(a, naive, "--", label="log(1 − sigmoid(a))")
right.set(xlabel="logit a", ylabel="log(1 − σ(a))", title=f"−∞ from a = {a_end:.1f} on")
for ax in (left, right):
    ax.legend(loc="upper right", fontsize=11)
cu.show(
    fig,
    "Left: running likelihood of a test digit: the float32 product follows the sum of "
    "logarithms until it underflows to zero. Right: log(1 − σ(a)), computed naively, "
    "turns into stairs and ends; logsigmoid(−a) goes on.",
)
cu.facts(
    {
        "pixels after which the product is 0": n_alive,
        "pixels still to come": 784 - n_alive,
        "logit from which log(1 − sigmoid(a)) is −∞": a_end,
        "log p(x), nats": factor.log().sum(),
        "the same as a power of 10": log_sum[-1],
        "smallest positive float32, about, as a power of 10": -45,
    }
)

# %% [markdown]
# The upper rows cost nothing (their pixels are white in almost every digit), then the ink begins and the product falls through the smallest float32 in the middle of the image, 325 pixels before the end.
# On the right the naive curve first turns into stairs, because $1-\sigma(a)$ is a difference of two nearly equal numbers and float32 has steps of $6\cdot10^{-8}$ just below 1, and at 16.6 it ends: a discriminator that is *sure* gets an infinite loss and a gradient that is not a number.
# In log-space nothing happens at all.
#
# **Sums of probabilities in log-space.**
# A mixture or a posterior needs $\log\sum_k e^{a_k}$ where all $e^{a_k}$ underflow.
# Pull out the largest, $m=\max_k a_k$:
#
# $$\log\sum_k e^{a_k}=\log\Bigl(e^{m}\sum_k e^{a_k-m}\Bigr)=m+\log\sum_k e^{a_k-m}. \tag{A3}$$
#
# Every exponent is now at most 0, so nothing overflows; one of them is exactly 0, so the sum is at least 1 and its logarithm is finite.
# Terms that underflow were too small to count.
# As a by-product $m\le\text{LSE}\le m+\log K$: a soft maximum.
# The softmax is $\text{softmax}(a)_k=e^{a_k}/\sum_l e^{a_l}=e^{a_k-\text{LSE}(a)}$.
# Adding a constant to all logits changes nothing, and for two classes it is the sigmoid of the difference: $e^{a_1}/(e^{a_0}+e^{a_1})=\sigma(a_1-a_0)$.
#
# **Exercise 3 (core).**
# Write (A3).


# %% tags=["exercise"]
def log_sum_exp(a, dim):
    """log Σ exp(a) over dimension dim, which disappears: equation (A3).

    Each slice has its own maximum. A slice of only −inf gives −inf (a probability of zero),
    one with +inf gives +inf.
    """
    ### BEGIN SOLUTION
    top = a.amax(dim, keepdim=True)  # one maximum a slice, not one for the whole tensor
    top = torch.where(top.isfinite(), top, 0.0)  # −inf − (−inf) would be nan
    return (a - top).exp().sum(dim).log() + top.squeeze(dim)
    ### END SOLUTION


# %%
checked_lse = cu.check("A.log_sum_exp", log_sum_exp)

# %%
inf = torch.inf
pairs = [[0.0, 0.0], [1000.0, 1000.0], [-1000.0, -1001.0], [-200.0, -inf], [-inf, -inf]]
logits = torch.tensor(pairs)
direct = logits.exp().sum(1).log()
shifted = checked_lse(logits, 1)
trusted = logits.logsumexp(1)

a = torch.randn(5, 10, requires_grad=True)
labels = torch.arange(5)
torch.testing.assert_close(torch.autograd.grad(a.logsumexp(1).sum(), a)[0], a.softmax(1))
cross_entropy = (checked_lse(a, 1) - a[labels, labels]).mean()
torch.testing.assert_close(cross_entropy, F.cross_entropy(a, labels))
print("✓ the gradient of log-sum-exp is the softmax    ✓ cross-entropy = LSE(a) − a_y")

# %% tags=["figure"]
# @title Table: five pairs of logits, summed in three ways
cu.table(
    [[str(pairs[i]), direct[i], shifted[i], trusted[i]] for i in range(5)],
    ["a", "log(sum(exp(a)))", "equation (A3)", "torch.logsumexp"],
    "Five pairs of logits, summed in three ways.",
)

# %% [markdown]
# Rows two and three are where the direct formula gives $+\infty$ and $-\infty$; the right answers are $1000+\log 2$ and $-1000+\log(1+e^{-1})$.
# The last line is why PyTorch's losses ask for logits: the loss of class $y$ is $-\log\text{softmax}(a)_y=\text{LSE}(a)-a_y$, and its gradient $\text{softmax}(a)-\text{onehot}(y)$ never exceeds 1.
# **Rule:** keep logits and log-probabilities until the very last line; `sigmoid` or `softmax` followed by `log` is a bug that waits.

# %% [markdown]
# ## Card 4 · Gaussians in d dimensions *(core)*
#
# A Gaussian is a mean $\mu$ and a **covariance** $\Sigma_{ij}=E[(x_i-\mu_i)(x_j-\mu_j)]$: variances on the diagonal, and off it how two coordinates move together, $\Sigma_{ij}=\rho_{ij}\sigma_i\sigma_j$.
# Its level sets are ellipsoids: axes along the eigenvectors of $\Sigma$, half-lengths proportional to the square roots of the eigenvalues.
#
# **Sampling** needs a matrix $L$ with $LL^\top=\Sigma$.
# The **Cholesky factor** is the one that is lower triangular with a positive diagonal.
# Then $x=\mu+L\varepsilon$ with $\varepsilon\sim N(0,I)$ has covariance $E[L\varepsilon\varepsilon^\top L^\top]=LIL^\top=\Sigma$.
# **Evaluating** uses the same factor: $|\Sigma|=|L|^2=\prod_i L_{ii}^2$, and with $\varepsilon=L^{-1}(x-\mu)$
#
# $$\log N(x;\mu,\Sigma)=-\tfrac12 \varepsilon^\top\varepsilon-\sum_i\log L_{ii}-\tfrac d2\log 2\pi. \tag{A4}$$
#
# **Score** is the name of $\nabla_x\log p(x)$: at each point the direction in which the density rises fastest, relative to its value.
# The unknown normalising constant drops out, which is why diffusion (lesson 06) learns it.
# Here it is $-\Sigma^{-1}(x-\mu)$: an arrow towards the mean, longer the further out.

# %%
torch.manual_seed(0)
mean = torch.tensor([1.0, -1.0, 0.5])
cov = torch.tensor([[2.0, 1.2, 0.3], [1.2, 1.5, -0.4], [0.3, -0.4, 1.0]])
L = torch.linalg.cholesky(cov)
x = (mean + torch.randn(100_000, 3) @ L.T).requires_grad_()  # a row ε becomes (L ε)ᵀ = εᵀ Lᵀ
eps = torch.linalg.solve_triangular(L, (x - mean).T, upper=False)  # (3, n)
log_density = -0.5 * eps.square().sum(0) - L.diagonal().log().sum()  # (n,)
log_density = log_density - 1.5 * math.log(2 * math.pi)
trusted = torch.distributions.MultivariateNormal(mean, cov).log_prob(x)
torch.testing.assert_close(log_density, trusted, rtol=1e-4, atol=1e-4)

(score,) = torch.autograd.grad(log_density.sum(), x)
by_formula = -(x.detach() - mean) @ torch.linalg.inv(cov)
torch.testing.assert_close(score, by_formula, rtol=1e-3, atol=1e-3)
print("✓ (A4) agrees with torch.distributions    ✓ the score agrees with autograd")
off = (x.detach().T.cov() - cov).abs().max()
cu.facts("covariance of 100,000 draws: off by at most", off, digits=1)

# %% [markdown]
# **Conditionals.**
# Split $x$ into a seen part $s$ and an unseen part $u$.
# Look for a multiple of $x_s$ to subtract from $x_u$ such that what remains has nothing to do with $x_s$:
#
# $$r=x_u-Gx_s,\qquad \operatorname{Cov}(r,x_s)=\Sigma_{us}-G\Sigma_{ss}=0\iff G=\Sigma_{us}\Sigma_{ss}^{-1}.$$
#
# $r$ and $x_s$ are jointly Gaussian and uncorrelated, hence **independent**.
# So learning that $x_s=v$ tells us nothing about $r$, and $x_u=r+Gv$ is $r$ shifted by a constant.
# The mean of $r$ is $\mu_u-G\mu_s$; its covariance is $\operatorname{Cov}(r,x_u-Gx_s)=\operatorname{Cov}(r,x_u)=\Sigma_{uu}-G\Sigma_{su}$.
# Together
#
# $$x_u\mid x_s=v\ \sim\ N\bigl(\mu_u+G(v-\mu_s),\ \Sigma_{uu}-G\Sigma_{su}\bigr),\qquad G=\Sigma_{us}\Sigma_{ss}^{-1}. \tag{A5}$$
#
# The mean moves with what was seen; the covariance shrinks by an amount that does *not* depend on what was seen.
# In 2-D: $\mu_2+\rho\frac{\sigma_2}{\sigma_1}(v-\mu_1)$ and $\sigma_2^2(1-\rho^2)$.
#
# **Exercise 4 (core).**
# Write (A5).


# %% tags=["exercise"]
def conditional_gaussian(mean, cov, seen, value):
    """Mean and covariance of the unseen coordinates given the seen ones: equation (A5).

    mean (d,), cov (d, d), seen (d,) bool, value (number of seen,) → mean (u,), cov (u, u)
    with u unseen coordinates.
    """
    ### BEGIN SOLUTION
    cov_us = cov[~seen][:, seen]
    cov_ss = cov[seen][:, seen]
    gain = torch.linalg.solve(cov_ss, cov_us.T).T  # G (u, s), without an inverse
    half_mean = mean[~seen] + gain @ (value - mean[seen])
    return half_mean, cov[~seen][:, ~seen] - gain @ cov_us.T
    ### END SOLUTION


# %%
checked_conditional = cu.check("A.conditional_gaussian", conditional_gaussian)

# %% [markdown]
# **Explore.**
# $x_1$ is seen.
# **Predict** before you move anything: with $\rho=0.8$ and $\sigma_2=1$, how wide is $x_2$ once $x_1$ is known?
# Does the width change when you drag the seen value to the edge?


# %% tags=["figure", "slide"]
# @title Widget: a Gaussian in two dimensions, cut at a seen value
def draw_gaussian(rho=0.8, sigma_2=1.0, seen=1.5):
    """Joint density with score arrows and the cut at x₁ = seen; x₂ before and on that cut."""
    cov = torch.tensor([[1.0, rho * sigma_2], [rho * sigma_2, sigma_2**2]])
    first = torch.tensor([True, False])
    mean_c, cov_c = checked_conditional(torch.zeros(2), cov, first, torch.tensor([seen]))
    mean_c = float(mean_c)
    std_c = float(cov_c.sqrt())

    def score(x):
        return -x @ torch.linalg.inv(cov)

    fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6))
    cu.plots.field(score, (-3.5, 3.5), ax=left, n=9, color="#999999", width=0.005)
    for n_std in (1, 2):
        cu.plots.ellipse([0, 0], cov, left, n_std=n_std, edgecolor=cu.plots.PALETTE[0])
    left.axvline(seen, color=cu.plots.PALETTE[1])
    left.set_title("Joint, score, cut")
    x = torch.linspace(-4.5, 4.5, 400)
    for m, s, label in [(0.0, sigma_2, "before"), (mean_c, std_c, "after the cut")]:
        right.plot(x, torch.distributions.Normal(m, s).log_prob(x).exp(), label=label)
    right.set(xlabel="x₂", ylabel="density", ylim=(0, None))
    right.set_title(f"x₂ given x₁ = {seen:g}: {mean_c:.2f} ± {std_c:.2f}", fontsize=12)
    right.legend(loc="upper left", fontsize=11)
    return fig


cu.explore(
    draw_gaussian,
    "A 2-D Gaussian with its score, cut at a seen value of x₁ (left); "
    "x₂ before and after the cut (right).",
    rho={"min": -0.95, "max": 0.95, "step": 0.05, "value": 0.8, "label": "ρ"},
    sigma_2={"min": 0.3, "max": 2.0, "step": 0.1, "value": 1.0, "label": "σ₂"},
    seen={"min": -2.5, "max": 2.5, "step": 0.25, "value": 1.5, "label": "seen x₁"},
)

# %% [markdown]
# At $\rho=0.8$ and $x_1=1.5$ the mean of $x_2$ moves to $0.8\cdot1.5=1.2$, not to 1.5 (regression to the mean), and its standard deviation falls from 1 to $\sqrt{1-0.64}=0.6$.
# Drag the cut: the mean follows, the 0.6 stays.
# At $\rho=0$ the cut tells nothing.
# At $\rho=0.95$ the standard deviation is still 0.31: a correlation of 0.95 removes two thirds of the uncertainty, not 95 %.
# The arrows are the score.
# They do not point at the mean: they first cross the narrow side of the ellipse, along which the density changes fastest.
#
# **The same two lines in 784 dimensions.**
# Let $x_s$ be the upper half of a digit, 392 pixels, and (A5) completes the lower half exactly, under the model that digits are one Gaussian.
# **Predict:** will the completion be a digit?

# %%
torch.manual_seed(0)
mean = train.mean(0)
cov = train.T.cov() + 1e-3 * torch.eye(784)  # some pixels never vary: Σ alone is singular
seen = torch.arange(784) < 392  # the upper half
whole = mnist.test[torch.tensor([0, 3, 11, 17, 18, 4, 1, 2])].flat()  # (8, 784)
means = []
draws = []
for digit in whole:
    half_mean, half_cov = checked_conditional(mean, cov, seen, digit[seen])
    means.append(half_mean)
    draws.append(half_mean + torch.linalg.cholesky(half_cov) @ torch.randn(392))

cu.facts(
    {
        "mean variance of a lower pixel": cov.diagonal()[~seen].mean(),
        "the same after the upper half was seen": half_cov.diagonal().mean(),
    },
    digits=2,
)

# %% tags=["figure"]
# @title Figure: eight lower halves, completed
upper = whole[:, seen]
lower = [whole[:, ~seen], torch.zeros(8, 392), torch.stack(means), torch.stack(draws)]
tiles = torch.cat([torch.cat([upper, half], dim=1) for half in lower])  # (32, 784)
titles = ["whole", "upper half", "mean", "one draw"]
_, ax = plt.subplots(figsize=(9, 4.5))
cu.plots.image_grid(tiles.clamp(0, 1).view(-1, 28, 28), rows=4, row_titles=titles, ax=ax)
cu.show(
    ax.figure,
    "Eight test digits; their upper halves; completed by the conditional mean of one Gaussian; "
    "by one draw from it.",
)

# %% [markdown]
# The strokes continue where the upper half leaves off, and a third of the variance of the lower pixels is gone (0.072 to 0.048): two lines of linear algebra know that ink goes on.
# But the mean is a smear, the average of many continuations, and a draw is patchwork: a single Gaussian cannot say "either a 7 or a 9".
# Lesson 02 uses (A5) once for each component of a mixture, and the smear becomes a choice.

# %% [markdown]
# ## Card 5 · Entropy, cross-entropy and KL *(core)*
#
# An outcome of probability $p$ carries a surprise of $-\log p$.
# In **nats** with the natural logarithm, in **bits** with base 2; 1 nat = $1/\log 2$ = 1.443 bits.
# The mean surprise is the **entropy** $H(p)=-\sum_x p(x)\log p(x)$: the shortest mean code length per symbol that any code can reach (for long messages).
# Code with lengths meant for $q$ while the data come from $p$, and you pay the **cross-entropy** $H(p,q)=-\sum_x p(x)\log q(x)$.
# The surcharge is the **Kullback–Leibler divergence**
#
# $$\mathrm{KL}(p\,\|\,q)=H(p,q)-H(p)=\sum_x p(x)\log\frac{p(x)}{q(x)}\ \ge 0. \tag{A6}$$
#
# *Why it is never negative:* **Jensen.**
# The logarithm is concave: its graph lies above every chord, so for two points $\log(\alpha a+(1-\alpha)b)\ge\alpha\log a+(1-\alpha)\log b$, and by induction **the log of a mean is at least the mean of the log**.
# Hence $-\mathrm{KL}(p\,\|\,q)=\sum_{p>0} p\log\frac qp\le\log\sum_{p>0} p\,\frac qp=\log\sum_{p>0}q\le\log1=0$, with equality only for $q=p$.
# The same inequality makes the bound of the VAE (lesson 04).
#
# Two conventions follow from limits: $0\log\frac0q=0$ (what never happens costs nothing), and $p\log\frac p0=\infty$ (what the model calls impossible must not happen).
#
# **Exercise 5 (core).**
# Write (A6).


# %% tags=["exercise"]
def kl(p, q):
    """KL(p ‖ q) in nats over the last dimension: equation (A6).

    p, q (..., K), rows sum to 1 → (...). Where p = 0 the term is 0 (even if q = 0 too);
    where q = 0 < p the result is +inf. torch.xlogy may help.
    """
    ### BEGIN SOLUTION
    return (torch.xlogy(p, p) - torch.xlogy(p, q)).sum(-1)  # xlogy(0, anything) = 0
    ### END SOLUTION


# %%
checked_kl = cu.check("A.kl", kl)

# %% [markdown]
# **Bits on real data.**
# A pixel has 256 grey values, 8 bits uncompressed.
# Model the pixels of a digit by one histogram for all pixels, or by one for each of the 784 places, count on training images, and measure the cross-entropy on test images.
# **Predict:** how many bits does a pixel need then?

# %%
n_images = cu.budget(20_000)
n_test = cu.budget(5_000)
levels = mnist.train.sample(n_images).x.flatten(1).long()  # (n, 784) values 0 … 255
test = mnist.test.sample(n_test).x.flatten(1).long()
place = torch.arange(784)
cells = (levels + 256 * place).flatten()  # one cell for each grey at each place
counts = torch.bincount(cells, minlength=784 * 256).view(784, 256)
counts = counts + 0.05  # a grey not seen here in training is rare, not impossible
own = (counts / counts.sum(1, keepdim=True)).log()  # (784, 256)
shared = (counts.sum(0) / counts.sum()).log()  # (256,)
nats = {
    "uniform": math.log(256),
    "one histogram": -shared[test].mean().item(),
    "a histogram a place": -own[place, test].mean().item(),
}
cu.facts("white pixels among the test pixels, %", 100 * (test == 0).float().mean(), digits=2)

# %% tags=["figure"]
# @title Table: bits of a pixel under three models
lines = []
for name, value in nats.items():
    bits = value / math.log(2)
    lines.append([name, value, bits, 784 * bits / 8])
cu.table(
    lines,
    ["model of a pixel", "nats", "bits", "bytes an image"],
    "Cross-entropy of test pixels under three models.",
)

# %% [markdown]
# Four fifths of the pixels are white, which one histogram already knows: 1.96 instead of 8 bits.
# Knowing *where* a pixel is saves only another quarter of a bit, 1.69.
# The rest of what can be saved lies in the dependence **between** pixels; every likelihood model of the course is measured by how much of it it finds, in these *bits per dimension*.
#
# **KL is not symmetric**, and the direction chosen decides how a model fails.
# Fit one Gaussian $q$ to two bumps, $p=0.6\,N(-2,0.7^2)+0.4\,N(2,0.7^2)$.
# *Forward*, $\mathrm{KL}(p\,\|\,q)$, averages over data; *reverse*, $\mathrm{KL}(q\,\|\,p)$, averages over the model's own samples.
# **Predict** where each one wants $q$ to be: between the bumps, or on one of them?

# %%
grid = torch.linspace(-9, 9, 901, dtype=torch.float64)  # cells of width 0.02


def bell(mean, std):
    """Probabilities of the grid cells under a Gaussian, (901,)."""
    return torch.softmax(-0.5 * ((grid - mean) / std) ** 2, 0)


bumps = 0.6 * bell(-2, 0.7) + 0.4 * bell(2, 0.7)


def both_kl(q):
    """KL(p ‖ q) and KL(q ‖ p) of the two bumps p and of rows q (..., 901)."""
    p = bumps.expand_as(q)
    return checked_kl(p, q), checked_kl(q, p)


# %% tags=["figure", "slide"]
# @title Widget: one Gaussian on two bumps, and both divergences
def draw_kl(mean=-2.0, std=0.7):
    """p, q and the two divergences; on the right both against the mean of q, at this std."""
    q = bell(mean, std)
    means = torch.linspace(-4, 4, 81)
    many = torch.stack([bell(m, std) for m in means])  # (81, 901)
    fig, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.5))
    left.fill_between(grid, bumps / 0.02, color="#cccccc", label="p")
    left.plot(grid, q / 0.02, color="#000000", label="q")
    left.set(xlabel="x", ylabel="density", xlim=(-6, 6), ylim=(0, 0.7))
    left.set_title(f"q: mean {mean:.1f}, std {std:.1f}".replace("-", "−"))
    names = ("KL(p ‖ q), forward", "KL(q ‖ p), reverse")
    for name, curve, here in zip(names, both_kl(many), both_kl(q), strict=True):
        (line,) = right.plot(means, curve, label=f"{name}: {here:.2f} nats")
        right.plot(mean, here, "o", color=line.get_color(), markersize=10)
    right.set(xlabel="mean of q", ylabel="divergence, nats", ylim=(0, 28))
    right.set_title("Forward covers, reverse seeks")
    right.legend(loc="upper center", fontsize=11)
    left.legend(loc="upper right")
    return fig


cu.explore(
    draw_kl,
    "Two bumps p and one Gaussian q (left); "
    "both divergences against the mean of q, dots at the present one (right).",
    mean={"min": -4.0, "max": 4.0, "step": 0.1, "value": -2.0},
    std={"min": 0.4, "max": 3.0, "step": 0.1, "value": 0.7},
)

# %%
fits = {"between, wide": (-0.4, 2.08), "left bump": (-2.0, 0.7), "right bump": (2.0, 0.7)}
divergences = {name: both_kl(bell(*fit)) for name, fit in fits.items()}

# %% tags=["figure"]
# @title Table: three candidates for q
cu.table(
    [[name, *fit, *divergences[name]] for name, fit in fits.items()],
    ["q", "mean", "std", "forward KL(p ‖ q)", "reverse KL(q ‖ p)"],
    "Three candidates, divergences in nats.",
)

# %% [markdown]
# With $q$ as narrow as a bump the forward curve has its minimum between the bumps, where $p$ is nearly zero, and the reverse curve has two, one on each bump.
# Widen $q$ to a standard deviation of 2.1: now both have one minimum, in the middle.
# Over means *and* widths (the table), forward KL prefers the wide $q$ by far: on a single bump it costs 5.9 or 9.1 nats instead of 0.4, since $q$ is nearly zero where 40 or 60 % of the data are.
# Its best Gaussian has the mean and variance of $p$: $-0.4$ and $0.49+4-0.16=4.33=2.08^2$.
# Reverse KL prefers the left bump, for $\log\frac1{0.6}=0.51$ nats: there $p\approx0.6\,q$, so $\log\frac qp\approx-\log0.6$, and the other bump, which $q$ never visits, costs nothing.
# Maximum likelihood is forward KL (covers, hence blur); the tendencies of GANs and of variational posteriors are reverse (seeks, hence lost modes).

# %% [markdown]
# ## Card 6 · Convolution and up-sampling *(core)*
#
# A kernel $w$ slides over the image; each output is the sum of what lies under it,
#
# $$y_{ij}=\sum_{a,b}w_{ab}\,x_{i+a,\,j+b}, \tag{A7}$$
#
# (mathematicians call this correlation, and convolution its mirror image; networks learn $w$, so nobody minds).
# The same few weights serve every place: an edge detector is learnt once.
# **Predict** the output of each kernel: which of them gives zero on a flat patch, and how do you see it from its weights?

# %%
KERNELS = {
    "vertical edges": [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]],
    "horizontal edges": [[-1, -2, -1], [0, 0, 0], [1, 2, 1]],
    "outline": [[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]],
    "blur": [[1, 1, 1], [1, 1, 1], [1, 1, 1]],
    "shift": [[0, 0, 0], [1, 0, 0], [0, 0, 0]],
}


def convolve(image, weight):
    """Equation (A7) for an image (1, 1, 28, 28) and a 3 × 3 kernel: (28, 28)."""
    return F.conv2d(image, weight.view(1, 1, 3, 3).float(), padding=1)[0, 0]


# %% tags=["figure", "slide"]
# @title Widget: a digit, a kernel, and what comes out
def draw_kernel(kernel="vertical edges", digit=4):
    """A test digit, a 3 × 3 kernel and what comes out."""
    image = mnist.test.only(digit)[:1].float()  # (1, 1, 28, 28)
    weight = torch.tensor(KERNELS[kernel])
    out = convolve(image, weight)
    fig, axes = plt.subplots(1, 3, figsize=(9.5, 3.3), width_ratios=(1, 0.6, 1.2))
    left, middle, right = axes
    cu.plots.image_grid(image, ax=left, note=False)
    left.set_title("digit, 28 × 28", fontsize=12)
    numbers(middle, weight, f"sum of the weights: {weight.sum()}", limit=5)
    title = f"{kernel}: from {out.min():.1f} to {out.max():.1f}".replace("-", "−")
    shown = signed(right, out, title, limit=float(out.abs().max()))
    fig.colorbar(shown, ax=right)
    return fig


cu.explore(
    draw_kernel,
    "A digit, a 3 × 3 kernel, and the output of the convolution: "
    "red positive, blue negative, white zero.",
    kernel=list(KERNELS),
    digit={"options": list(range(10)), "value": 4},
)

# %% [markdown]
# The vertical-edge kernel answers up to +4 at the left flank of an upright stroke, as much below 0 at the right one, and 0 inside flat ink or flat paper: its weights sum to 0.
# So do those of `horizontal edges` and `outline`.
# `blur` sums to 9 and brightens.
# `shift` moves the digit one pixel to the *right*: $y_{ij}=x_{i,j-1}$ takes its value from the left neighbour.
#
# **Sizes.**
# Pad $p$ zeros on both sides of $n$ inputs: $n+2p$ cells.
# A kernel of size $k$ has $n+2p-k+1$ places to stand; with stride $s$ only every $s$-th is used, starting with the first:
#
# $$n_\text{out}=\Bigl\lfloor\frac{n+2p-k}{s}\Bigr\rfloor+1. \tag{A8}$$
#
# A **transposed convolution** goes the other way: each input paints the whole kernel onto the output, $s$ cells further for the next, and where patches overlap they add; at the end $p$ cells are cut from both sides.
# The first of $n$ patches ends at cell $k$, the last one $(n-1)s$ later:
#
# $$n_\text{out}=(n-1)s+k-2p. \tag{A9}$$
#
# As a matrix it is exactly the transpose of the convolution with the same weights, hence the name; it is no inverse.
#
# **Exercise 6 (core).**
# Write (A8) and (A9).


# %% tags=["exercise"]
def output_size(n, kernel, stride=1, padding=0, transposed=False):
    """Cells per side, an int, that a convolution (A8) or a transposed one (A9) makes of n."""
    ### BEGIN SOLUTION
    if transposed:
        return (n - 1) * stride + kernel - 2 * padding
    return (n + 2 * padding - kernel) // stride + 1
    ### END SOLUTION


# %%
checked_size = cu.check("A.output_size", output_size)

# %% [markdown]
# Two checks.
# (1) Transposed means transposed: $\langle Cx,\,y\rangle=\langle x,\,C^\top y\rangle$ for any $x,y$.
# (2) How much of the image does one output of a **stack** of 3 × 3 convolutions see, its *receptive field*?
# Ask autograd: which inputs have a gradient?
# **Predict** the side of that square after 1, 2, 3 and 4 layers, with stride 1 and with stride 2.

# %%
torch.manual_seed(0)
weight = torch.randn(1, 1, 4, 4).double()
x = torch.randn(1, 1, 28, 28).double()
n_out = checked_size(28, kernel=4, stride=2, padding=1)
assert n_out == 14
assert checked_size(n_out, kernel=4, stride=2, padding=1, transposed=True) == 28

y = torch.randn(1, 1, n_out, n_out).double()
forward = (F.conv2d(x, weight, stride=2, padding=1) * y).sum()
backward = (x * F.conv_transpose2d(y, weight, stride=2, padding=1)).sum()
torch.testing.assert_close(forward, backward)

# %% [markdown]
# And the receptive field:


# %%
def receptive_field(layers, stride):
    """Side of the input square that one central output of a stack of 3 × 3 layers sees."""
    x = torch.zeros(1, 1, 127, 127, requires_grad=True)
    h = x
    for _ in range(layers):
        h = F.conv2d(h, torch.ones(1, 1, 3, 3), stride=stride, padding=1)
    h[0, 0, h.shape[2] // 2, h.shape[3] // 2].backward()
    return int((x.grad[0, 0].sum(0) > 0).sum())


depths = (1, 2, 3, 4)
sides_1 = [receptive_field(depth, stride=1) for depth in depths]
sides_2 = [receptive_field(depth, stride=2) for depth in depths]

# %% tags=["figure"]
# @title Table: receptive field of one output
cu.table(
    [["stride 1", *sides_1], ["stride 2", *sides_2]],
    ["side of the square", "1 layer", "2 layers", "3 layers", "4 layers"],
    "Receptive field of one output.",
)

# %% [markdown]
# With stride 1 each layer adds 2: 3, 5, 7, 9; it would take 14 layers to see a whole digit.
# With stride 2 every layer doubles the step of all later ones, $2^{\ell+1}-1$: 3, 7, 15, 31, and four layers see everything.
# That is why encoders halve the image, and why decoders must double it again.
#
# **Doubling.**
# Four ways: a transposed convolution with kernel 3 or with kernel 4, *pixel-shuffle* (an ordinary convolution makes four channels, which are interleaved as the four pixels of each 2 × 2 block), and *resizing* by copying pixels followed by an ordinary convolution.
# Give each a perfectly flat input.
# **Predict** which outputs are not flat when all weights are equal, and when they are random as at the start of training.


# %%
def doubled(way, weight, x):
    """Double x (1, C, n, n) with a kernel of the shape this way needs: (1, 1, 2n, 2n)."""
    if way.startswith("transposed"):
        extra = 4 - weight.shape[-1]
        return F.conv_transpose2d(x, weight, stride=2, padding=1, output_padding=extra)
    if way == "pixel-shuffle":
        return F.pixel_shuffle(F.conv2d(x, weight, padding=1), 2)
    return F.conv2d(F.interpolate(x, scale_factor=2), weight, padding=1)


def grid_share(way, weight):
    """A flat image, doubled, without its padded border: deviation from the mean, share of grid.

    Both are divided by the root mean square; the share of grid is the standard deviation.
    """
    out = doubled(way, weight, torch.ones(1, 8, 10, 10))[0, 0, 4:-4, 4:-4]  # (12, 12)
    size = out.square().mean().sqrt()
    return (out - out.mean()) / size, float(out.std(correction=0) / size)


# %% [markdown]
# Equal weights once, random weights many times:

# %%
shapes = {
    "transposed, kernel 3": (8, 1, 3, 3),
    "transposed, kernel 4": (8, 1, 4, 4),
    "pixel-shuffle": (4, 8, 3, 3),
    "resize + convolve": (1, 8, 3, 3),
}
n_draws = cu.budget(200)
equal = {}
random = {}
for way, shape in shapes.items():
    torch.manual_seed(4)
    equal[way] = grid_share(way, torch.ones(shape))
    random[way] = [grid_share(way, torch.randn(shape)) for _ in range(n_draws)]

# %% tags=["figure", "slide"]
# @title Figure: a flat image, doubled in four ways
fig, axes = plt.subplots(2, 4, figsize=(9.2, 5.0))
for way, (top, bottom) in zip(shapes, axes.T, strict=True):
    picture, share = equal[way]
    signed(top, picture, f"{way}\nequal: {share:.0%} grid", limit=1.5)
    mean_share = sum(share for _, share in random[way]) / len(random[way])
    signed(bottom, random[way][0][0], f"random: {mean_share:.0%} grid", limit=1.5)
cu.show(
    fig,
    "A flat image doubled in four ways with equal weights (top) and random weights (bottom: "
    "one draw; the percentage is the mean of 200), borders cut off. "
    "Colour: deviation from the mean over the root mean square.",
)

# %% [markdown]
# With equal weights only kernel 3 shows the famous **checkerboard**: 3 is not a multiple of the stride 2, so along each axis an output cell lies under one patch or under two, and in the plane under 1, 2 or 4.
# Kernel 4 covers each cell by exactly four.
# The lower row is the surprise: the usual advice, "make the kernel a multiple of the stride", equalises how *many* weights meet at a cell, not their values.
# The four cells of a 2 × 2 block still meet four disjoint sets of weights; four independent numbers deviate from their mean by $\sqrt{3/4}=87\,\%$ of their size, and about that is measured for kernel 3, kernel 4 and pixel-shuffle alike.
# Training must remove it.
# Resizing first gives all four cells the same kernel, and a flat image stays flat with any weights; the price is a convolution over four times as many pixels.
# Lesson 05 chooses with this picture in mind.

# %% [markdown]
# ## Card 7 · Our ruler: the Fréchet distance *(core)*
#
# To say that generated images are *near* real ones we need a distance between two clouds of points of which only samples are known.
# The field's answer: compute **features** of both clouds, summarise each by its mean and covariance, and measure the distance between the two Gaussians with these moments.
# The distance: the least mean squared length by which points of one must be moved to become the other (Wasserstein-2; for Gaussians Fréchet's name stuck).
#
# **In one dimension.**
# Pair each $x\sim N(\mu_1,\sigma_1^2)$ with a $y\sim N(\mu_2,\sigma_2^2)$.
# For any pairing $E(x-y)^2=(\mu_1-\mu_2)^2+\sigma_1^2+\sigma_2^2-2\operatorname{Cov}(x,y)$, and $\operatorname{Cov}(x,y)\le\sigma_1\sigma_2$ (Cauchy–Schwarz), reached by $y=\mu_2+\frac{\sigma_2}{\sigma_1}(x-\mu_1)$.
# The minimum is $(\mu_1-\mu_2)^2+(\sigma_1-\sigma_2)^2$.
#
# **In $d$ dimensions** $E\lVert x-y\rVert^2=\lVert\mu_1-\mu_2\rVert^2+\operatorname{tr}\Sigma_1+\operatorname{tr}\Sigma_2-2\operatorname{tr}C$ with $C=\operatorname{Cov}(x,y)$: make $\operatorname{tr}C$ as large as a joint distribution allows.
#
# 1. Let $A=\Sigma_1^{1/2}$, $B=\Sigma_2^{1/2}$ be the symmetric square roots (same eigenvectors, square roots of the eigenvalues) and $x=\mu_1+Au$, $y=\mu_2+Bv$ with $u,v$ of covariance $I$.
#    Then $C=AKB$ with $K=E[uv^\top]$.
# 2. For unit vectors $a,b$: $a^\top Kb=E[(a^\top u)(b^\top v)]\le1$, by Cauchy–Schwarz again.
# 3. $\operatorname{tr}C=\operatorname{tr}(AKB)=\operatorname{tr}(KBA)$.
#    With the singular value decomposition $BA=USV^\top$ this is $\operatorname{tr}(KUSV^\top)=\sum_i s_i\,v_i^\top Ku_i\le\sum_i s_i$ by step 2.
# 4. Equality for $K=VU^\top$, which $v=UV^\top u$ achieves: an orthogonal map, so $v$ is standard normal if $u$ is.
# 5. The $s_i$ are the square roots of the eigenvalues of $(BA)^\top BA=AB^2A=\Sigma_1^{1/2}\Sigma_2\Sigma_1^{1/2}$.
#
# $$F=\lVert\mu_1-\mu_2\rVert^2+\operatorname{tr}\Sigma_1+\operatorname{tr}\Sigma_2-2\sum_i\sqrt{\lambda_i},\qquad \lambda_i\text{ the eigenvalues of }\Sigma_1^{1/2}\Sigma_2\Sigma_1^{1/2}. \tag{A10}$$
#
# $F$ is a *squared* distance, in squared feature units; so is the FID that papers quote, and nobody takes the root.
# If the covariances commute, the last three terms are $\sum_i(\sqrt{\lambda_{1i}}-\sqrt{\lambda_{2i}})^2$: the one-dimensional case along each shared axis.
#
# **Exercise 7 (core).**
# Write (A10).


# %% tags=["exercise"]
def frechet_gaussians(mean_a, cov_a, mean_b, cov_b):
    """Squared Fréchet distance of two Gaussians, equation (A10).

    Means (d,), covariances (d, d) → scalar tensor.
    torch.linalg.eigh gives eigenvalues and eigenvectors (columns) of a symmetric matrix;
    rounding can make one that should be 0 slightly negative, so clamp before the root.
    """
    ### BEGIN SOLUTION
    values, vectors = torch.linalg.eigh(cov_a)
    root = (vectors * values.clamp(min=0).sqrt()) @ vectors.T  # symmetric square root of cov_a
    cross = torch.linalg.eigvalsh(root @ cov_b @ root).clamp(min=0).sqrt().sum()
    return (mean_a - mean_b).square().sum() + cov_a.trace() + cov_b.trace() - 2 * cross
    ### END SOLUTION


# %%
checked_frechet = cu.check("A.frechet", frechet_gaussians)

# %% [markdown]
# **The floor.**
# Moments estimated from samples are off, so even *real against real* has a distance above 0.
# We split MNIST's test set at random into halves of 5,000: one half is the reference, $n$ images of the other half play the generator.
# Their mean distance over several splits is the **floor** at this $n$, the zero of the scale.
#
# **The features.**
# Two kinds: the first 32 principal components of the pixels, a *linear* map computed below, and the last hidden layer of a small convolutional network that was trained to tell the ten digits apart, 128 non-linear numbers an image.
# The second is the ruler of this course, shipped with it and fixed before any generator was trained; lessons use it from 03 on.
# The candidates are the rows of the opening picture, and the Gaussian once more with its values clipped to $[0,1]$, as any image file would do.
#
# **Predict** three things: how the floor changes when $n$ grows tenfold; which candidate is worst; and whether the source without 7, 8 and 9, which your eye could not tell from A, is noticed.

# %%
torch.manual_seed(0)
directions = torch.linalg.eigh(train.T.cov()).eigenvectors[:, -32:]  # (784, 32): largest last
net = cu.metrics.classifier()


def component_features(x):
    """The first 32 principal components of pixels x (N, 784): (N, 32)."""
    return (x - train.mean(0)) @ directions


@torch.no_grad()
def classifier_features(x):
    """The classifier's last hidden layer for pixels x (N, 784): (N, 128), 500 at a time."""
    parts = [part.view(-1, 1, 28, 28).to(device) for part in x.split(500)]
    return torch.cat([net.features(part).cpu() for part in parts])


# %% [markdown]
# The five candidates:

# %%
n_drawn = cu.budget(2_000)
gaussian = one_gaussian(train, n_drawn)
seven = mnist.train.only(0, 1, 2, 3, 4, 5, 6)
sources = {
    "training images": mnist.train.sample(n_drawn, seed=7).flat(),
    "no 7, 8, 9": seven.sample(n_drawn, seed=7).flat(),
    "one Gaussian": gaussian,
    "one Gaussian, clipped": gaussian.clamp(0, 1),
    "independent pixels": independent_pixels(train, n_drawn),
}


# %%
def moments(x):
    """Mean (d,) and covariance (d, d) of rows x (n, d), in float64."""
    return x.double().mean(0), x.double().T.cov()


def measure(real, drawn, sizes, repeats):
    """Distances (repeats, len(sizes)) of each source in `drawn` and of real halves, "floor".

    real (N, d) and the values of drawn (n, d) are features.
    """
    half = len(real) // 2
    result = {name: torch.zeros(repeats, len(sizes)) for name in ["floor", *drawn]}
    for r in range(repeats):
        order = torch.randperm(len(real))
        reference = moments(real[order[half:]])
        pools = {name: x[torch.randperm(len(x))] for name, x in drawn.items()}
        pools["floor"] = real[order[:half]]
        for name, pool in pools.items():
            for j, n in enumerate(sizes):
                result[name][r, j] = checked_frechet(*moments(pool[:n]), *reference)
    return result


# %% [markdown]
# Once in each kind of features:

# %%
n_real = cu.budget(10_000)
repeats = cu.budget(6)
sizes = [n for n in (100, 300, 1000, 2000) if n <= n_drawn]
real = mnist.test.sample(n_real).flat()
measured = {}
for kind, feature in [("components", component_features), ("classifier", classifier_features)]:
    drawn = {name: feature(images) for name, images in sources.items()}
    measured[kind] = measure(feature(real), drawn, sizes, repeats)

# %% tags=["figure", "slide"]
# @title Figure: Fréchet distance against the number of samples
titles = [
    "32 linear features:\nthe Gaussian passes",
    "128 classifier features:\nit is found out",
]
colours = dict(zip(["floor", *sources], ["#000000", *cu.plots.PALETTE], strict=False))
fig, axes = plt.subplots(1, 2, figsize=(10, 3.8))
for ax, result, title in zip(axes, measured.values(), titles, strict=True):
    for name, colour in colours.items():
        label = "real halves: the floor" if name == "floor" else name
        cu.plots.band(sizes, result[name], ax, label=label, color=colour)
    ax.get_legend().remove()
    ax.set(xscale="log", yscale="log", xlabel="n, number of samples")
    ax.set_title(title, fontsize=13)
axes[0].set_ylabel("Fréchet distance (units²)")
fig.legend(*axes[0].get_legend_handles_labels(), loc="outside right upper")
cu.show(
    fig,
    "Fréchet distance against the number of samples in two kinds of features, mean ± std over "
    "random halves of the test set. The floor falls like 1/n. One Gaussian lies on the "
    "training images in the left panel, far above in the right.",
)

# %% tags=["figure"]
# @title Table: Fréchet distance, and divided by the floor
lines = []
for name in ["floor", *sources]:
    line = [name]
    for result in measured.values():
        distance = result[name].mean(0)
        floor = result["floor"].mean(0)
        line += [distance[-1], distance[0] / floor[0], distance[-1] / floor[-1]]
    lines.append(line)
ratios = [f"÷ floor, n = {sizes[0]}", f"÷ floor, n = {sizes[-1]:,}"]
cu.table(
    lines,
    ["source", "components", *ratios, "classifier", *ratios],
    f"Fréchet distance at n = {sizes[-1]:,} in both kinds of features, "
    "and divided by the floor at two n.",
    digits=2,
)

# %% [markdown]
# **The floor** falls ninefold from $n=100$ to 1,000 (3.0 to 0.32 in linear features), until the reference half's own 5,000 begin to count.
# So a distance alone means nothing: 3.0 is perfect at $n=100$ and 16 floors high at $n=2{,}000$.
# Hence the rule of this course: a distance always stands beside the floor *at the same $n$*.
#
# **The missing classes**, invisible to the eye, are noticed by both rulers, and the better the more samples there are: 1.6 floors at $n=100$ and 11 at 2,000 in linear features, 5 and about 60 in the classifier's.
# A ruler's resolution is bought with samples.
# **Training images** pass in the classifier's features, but in linear ones they are 1.6 floors high at $n=2{,}000$.
# They are perfectly real; MNIST's training and test digits were written by different people, and this ruler is fine enough to show it.
# No generator trained on them should be expected to do better.
#
# **The Gaussian** is the lesson.
# In linear features it is as good as real training images (1.7 floors against 1.6), although row B holds no digit at all: it was *built* to have their mean and covariance, a linear feature hands these through, and (A10) looks at nothing else.
# The ruler is fooled completely.
# (Clipped to $[0,1]$, as any image file must be, the same draws have other moments: almost 20 floors.
# The ruler has noticed the missing negative ink, not the missing digits.)
# Non-linear features mix the higher moments, strokes and loops and corners, into mean and covariance: there the same samples are more than 200 floors high, and further away than digits of only seven kinds.
# The numbers of the two panels cannot be compared with each other (their units differ), but the *order* of the candidates has changed: what a Fréchet distance means is decided by its features.
#
# **In the lessons** `cu.metrics.quality(samples)` prints distance, floor and ratio in the classifier's features.
# It is still a ruler with two moments and one set of features; lesson 07 fools it on purpose.

# %% [markdown]
# ## Card 7 · The height of the floor, computed *(deeper)*
#
# Where does the floor come from?
# Let $\hat\mu,\hat\Sigma$ be estimated from $n$ samples and compare with the truth.
# The mean contributes $E\lVert\hat\mu-\mu\rVert^2=\operatorname{tr}\Sigma/n$.
# For the covariance write $\hat\Sigma=\Sigma+E$ in the basis where $\Sigma=\operatorname{diag}(\lambda_i)$, and expand the root in (A10), $(\Sigma^{1/2}(\Sigma+E)\Sigma^{1/2})^{1/2}=\Sigma+X_1+X_2+\dots$
# Its square must be $\Sigma^2+\Sigma^{1/2}E\,\Sigma^{1/2}$.
#
# First order: $\Sigma X_1+X_1\Sigma=\Sigma^{1/2}E\,\Sigma^{1/2}$, so $(X_1)_{ij}=\frac{\sqrt{\lambda_i\lambda_j}}{\lambda_i+\lambda_j}E_{ij}$, and $\operatorname{tr}X_1=\frac12\operatorname{tr}E$ cancels in (A10).
#
# Second order: $\Sigma X_2+X_2\Sigma=-X_1^2$, so $(X_2)_{ii}=-\frac1{2\lambda_i}\sum_j(X_1)_{ij}^2$.
# Averaging the sum over $(i,j)$ with that over $(j,i)$,
#
# $$-2\operatorname{tr}X_2=\sum_{ij}\frac12\Bigl(\frac1{\lambda_i}+\frac1{\lambda_j}\Bigr)
# \frac{\lambda_i\lambda_jE_{ij}^2}{(\lambda_i+\lambda_j)^2}=\frac12\sum_{ij}\frac{E_{ij}^2}{\lambda_i+\lambda_j}.$$
#
# For Gaussian samples $E[E_{ij}^2]=\lambda_i\lambda_j(1+\delta_{ij})/n$.
# The reference half, $N$ samples, adds the same with $1/N$:
#
# $$\text{floor}(n)\approx\Bigl(\frac1n+\frac1N\Bigr)
# \Bigl[\sum_i\lambda_i+\frac12\sum_{ij}\frac{\lambda_i\lambda_j(1+\delta_{ij})}{\lambda_i+\lambda_j}\Bigr]. \tag{A11}$$

# %%
values = torch.linalg.eigvalsh(moments(component_features(real))[1])
pairs = values[:, None] * values / (values[:, None] + values)  # (32, 32), a broadcast (Card 1)
of_mean = values.sum()
of_covariance = 0.5 * (pairs.sum() + pairs.trace())
floors = measured["components"]["floor"].mean(0)

# %% tags=["figure"]
# @title Table: the floor, measured and computed
lines = []
for n, floor in zip(sizes, floors, strict=True):
    per_sample = 1 / n + 2 / len(real)
    lines.append([n, floor, (of_mean + of_covariance) * per_sample, of_mean * per_sample])
cu.table(
    lines,
    ["n", "measured floor", "equation (A11)", "of which the mean"],
    "Floor in 32 principal components.",
)

# %% [markdown]
# A formula for Gaussian samples predicts the floor of real digits to about 5 %.
# Most of it comes from the covariance: $d(d+1)/2=528$ numbers are estimated from $n$ samples, and only 32 for the mean.
# With 2,048 features, as in the FID of papers, there are two million: that is why a FID is quoted for 50,000 samples.

# %% [markdown]
# ## Seven questions *(core)*
#
# One a card.
# Answer before you look.

# %% tags=["figure"]
# @title Quiz: seven questions
questions = [
    "x is (32, 10), y is (32,). What is x - y?",
    "Gradient descent on 4·θ² with step size 0.3",
    "The log-sum-exp of K equal logits a is",
    "ρ = 0.6, unit variances. Once x₁ is seen, x₂ has a standard deviation of",
    "Data sometimes show what the model gives probability 0. KL(data ‖ model) is",
    "A transposed convolution, kernel 4, stride 2, padding 1, turns 7 × 7 cells into",
    "A generator has a Fréchet distance of 2.1 at n = 1,000. Is that good?",
]
options = [
    ["(32, 10)", "(10, 32)", "an error", "(32, 32)"],
    ["converges", "diverges", "keeps |θ| constant"],
    ["a", "K·a", "a + log K"],
    ["0.8", "0.6", "0.64", "0.4"],
    ["0", "large", "infinite"],
    ["13 × 13", "14 × 14", "16 × 16"],
    ["yes", "no", "one cannot say"],
]
answers = [2, 1, 2, 0, 2, 1, 2]
reasons = [
    "Aligned at the right, 10 meets 32. y[:, None] was meant.",
    "The gradient is 8θ: a step multiplies by 1 − 0.3·8 = −1.4.",
    "log(K·exp(a)) = a + log K.",
    "√(1 − 0.36) = 0.8, wherever x₁ is.",
    "p·log(p/0): an impossible event has happened.",
    "(7 − 1)·2 + 4 − 2 = 14.",
    "Not without the features and the real-against-real value at the same n.",
]
keys = ("text", "options", "answer", "why")
quiz = zip(questions, options, answers, reasons, strict=True)
cu.quiz(
    [dict(zip(keys, question, strict=True)) for question in quiz],
    "Seven questions, one for each card.",
)

# %% [markdown]
# ## Recap *(core)*
#
# | card | what you saw | what breaks, and why |
# |---|---|---|
# | 1 | 40,000 distances from one matrix product and two stretched vectors | (64,) − (64, 1) is a 64 × 64 table: the loss of a perfect answer is twice the variance |
# | 2 | the same weights by hand and with `cu.fit` | a step size above $2/h_\text{max}$: an eigenvalue of the update map leaves $[-1,1]$; two players leave it at any step size |
# | 3 | a likelihood that float32 cannot hold, as a sum of logarithms | `sigmoid` then `log`: $-\infty$ from a logit of about 17 |
# | 4 | half a digit completed by two lines of algebra | one Gaussian cannot choose: its mean is a smear |
# | 5 | bits per pixel from 8 to below 2 by counting | forward KL covers, reverse KL seeks; zero probability costs infinity |
# | 6 | 31 pixels seen by four strided layers | checkerboards, and not only with kernels that the stride does not divide |
# | 7 | a floor that falls like $1/n$, predicted by (A11) | one Gaussian fools any ruler with linear features |
#
# **References.**
# T. M. Cover and J. A. Thomas, *Elements of Information Theory*, 2nd ed., 2006 (Card 5).
# A. G. Baydin et al., *Automatic differentiation in machine learning: a survey*, 2018 (Card 2).
# A. Odena, V. Dumoulin and C. Olah, *Deconvolution and checkerboard artifacts*, 2016, and W. Shi et al., *Real-time single image and video super-resolution using an efficient sub-pixel convolutional neural network*, 2016 (Card 6).
# D. C. Dowson and B. V. Landau, *The Fréchet distance between multivariate normal distributions*, 1982, and M. Heusel et al., *GANs trained by a two time-scale update rule converge to a local Nash equilibrium*, 2017 (Card 7).
#
# **Back to your lesson.**
# What all seven cards leave open is row B: a model that has every pairwise dependence right and still draws no digit.
# Lesson 02 gives it hidden causes.
