# %% [markdown]
# # A Toolbox
#
# **Seven tools that every lesson leans on: one picture and one check a card.**
#
# A lesson says "see Card 4", you come here, run the first four code cells, and then that card alone: no card needs another.
# *Core* are the cards that the first lessons need; the *deeper* ones open folded.
#
# | card | after it you can | first needed in |
# |---|---|---|
# | 1 | predict the shape of a broadcast, and spot the silent one | 00 |
# | 2 | write a training loop, and say when it diverges | 03 |
# | 3 | compute with probabilities of $10^{-200}$ | 00, 01 |
# | 4 | sample a Gaussian, and complete a half-seen vector exactly | 00, 01, 02 |
# | 5 | say how far apart two distributions are, in which unit, and which KL covers and which seeks | 02, 04 |
# | 6 | size a convolution, and avoid its checkerboard | 05 |
# | 7 | put a number with an error bar beside a set of images, and say what it cannot see | 03, 07 |
#
# **Builds on** one machine-learning course and Python.
#
# **Notation, as in every lesson**: $x$ data · $z$ latent · $\varepsilon$ noise · $p_\theta$, $q$ distributions · $\mathcal N(\mu, \Sigma)$ a Gaussian with mean $\mu$ and covariance $\Sigma$ · $d$ dimensions · $n$ samples · $K$ classes or components · log is the natural logarithm, so information is in nats unless bits are named.

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

# %%
mnist = cu.mnist()
train = mnist.train.sample(cu.budget(50_000)).flat()  # (n, 784) in [0, 1]


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
    return ax.imshow(table.numpy(), cmap=plt.get_cmap("RdBu_r", 19), vmin=-limit, vmax=limit)


# %% [markdown]
# ## Card 1 · Shapes and broadcasting *(core)*
#
# Write the two shapes under each other, **aligned at the right**.
# In each column the sizes must be equal, or one of them is 1 or missing; a 1 (or a missing size) is stretched by repeating.
#
# ```
# a        (4, 1)        x[:, None]   (n, 1, d)        guess      (   64)
# b        (   3)        y[None]      (1, m, d)        y          (64, 1)
# a - b    (4, 3)        difference   (n, m, d)        guess - y  (64, 64)   <- silent
# ```
#
# The third case is the most expensive line in deep learning, because nothing fails.
# **Predict:** a network answers all 64 targets perfectly, `guess[i] == y[i]`.
# What is `((guess - y) ** 2).mean()` with these two shapes?

# %%
column = torch.tensor([[1], [3], [5], [7]])
row = torch.tensor([0, 2, 4])
guess = torch.tensor([1, 3, 6])
tables = {
    "a (4, 1), stretched": column.expand(4, 3),
    "b (3,), stretched": row.expand(4, 3),
    "a − b (4, 3)": column - row,
    "guess (3,) − y (3, 1)": guess - guess[:, None],
}

# %% tags=["figure", "slide"]
# @title Figure: two shapes stretched to a common one
fig, axes = plt.subplots(1, 4, figsize=(11, 3))
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
guess = y[:, 0].clone()  # a perfect prediction, (64,)
silent = ((guess - y) ** 2).mean()  # (64, 64), averaged
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
# The loss of a perfect answer is 2.172, and it is only 1.086 for a network that answers the mean to everything.
#
# Why twice the variance?
# All $n^2$ pairs are compared.
# With $y_i, y_j$ independent picks of the same list, $\frac{1}{n^2}\sum_{ij}(y_i - y_j)^2 = 2\overline{y^2} - 2\bar y^2 = 2\operatorname{Var}(y)$.
# The loss has also moved its minimum, to $\bar y$ for every answer.
# The loss curve falls as usual, and nothing warns you.
# Cure: assert the shapes of a loss's arguments.
#
# **The same stretching, used on purpose**, compares every row of one table with every row of another.
# Directly, `((a[:, None] - b[None]) ** 2).sum(-1)` builds a tensor of $n \times m \times d$ numbers: for 5,000 by 5,000 images of 784 pixels that is $5{,}000^2\cdot784\cdot4$ bytes, $78$ GB.
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


# %% [markdown] tags=["hint"]
# `a.square().sum(1)` is one number a row, shape (n,).
# Make it a column with `[:, None]` and that of `b` a row with `[None]`; their sum is then (n, m), like `a @ b.T`.

# %%
checked_distances = cu.check("A.pairwise_distances", pairwise_distances)

# %% [markdown]
# With it: 20 images of each digit, sorted by class, give 40,000 distances, averaged over each of the 100 blocks of class against class.

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
fig, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), width_ratios=(1, 1.25))
image = left.imshow(block.numpy(), cmap="viridis")
left.grid(False)
left.set(xticks=range(10), yticks=range(10), xlabel="digit", ylabel="digit")
left.set_title("1s lie closest together")
fig.colorbar(image, ax=left)
right.bar(range(10), within.numpy(), label="within the class")
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
# For the 1 the margin is widest, 48 against 101, since a 1 has little ink and two of them hardly differ; its block is the dark square.
# But two 6s are 100 apart, a 6 and another digit only 115: in pixel space "the same digit" is a weak notion of near.
# So Card 7 measures in *features*.

# %% [markdown]
# ## Card 2 · Autograd and the training loop *(deeper)*
#
# A tensor with `requires_grad=True` remembers which operation made it.
# `loss.backward()` walks that record from the loss to the parameters and multiplies the local derivatives (the chain rule); the product arrives in `.grad`, which has the parameter's shape.
# Three facts explain most surprises:
#
# 1. gradients **add up** in `.grad` until someone sets them to zero;
# 2. `.detach()` and `torch.no_grad()` cut the record: nothing behind the cut receives a gradient;
# 3. a gradient is exact (to rounding), not a finite difference.
#    For $L(w)=\frac1n\lVert Xw-y\rVert^2$ it must be $\nabla L=\frac2n X^\top(Xw-y)$.

# %% tags=["figure"]
# @title Figure: the record that backward walks
d = cu.diagram()
stops = [
    ("w", "(3,)"),
    ("X w", "(50,)"),
    ("X w − y", "(50,)"),
    ("mean of squares", "one number"),
]
boxes = []
for i, (words, shape) in enumerate(stops):
    boxes.append(d.box(words, (2.6 * i, 0), width=1.75, note=shape))
for before, after in zip(boxes, boxes[1:]):
    d.arrow(before, after)
for (x, y), (u, v), words in [
    (boxes[3].top, boxes[2].top, "2 (Xw − y) / n"),
    (boxes[2].top, boxes[1].top, "× 1"),
    (boxes[1].top, boxes[0].top, "Xᵀ ×"),
]:
    d.arrow(
        (x, y + 0.1), (u, v + 0.1), words, bend=-0.35, dashed=True, colour=cu.plots.PALETTE[1]
    )
cu.show(
    d.figure,
    "Forward (solid): each operation is recorded. Backward (dashed): the record is walked from "
    "the loss to the parameters, multiplying the local derivatives.",
)

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
# **Exercise 2 (deeper).**
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


# %% [markdown] tags=["hint"]
# `torch.autograd.grad(value, tensor)` returns a tuple of gradients and leaves `.grad` alone.
# It needs a tensor that requires a gradient: `theta.detach().requires_grad_()`.

# %%
checked_sgd_step = cu.check("A.sgd_step", sgd_step)

# %% [markdown]
# ### When does it diverge?
# In the bowl $L(\theta)=\frac12(h_1\theta_1^2+h_2\theta_2^2)$ the gradient is $(h_1\theta_1, h_2\theta_2)$, so a step multiplies the state by a matrix, the *update map*:
#
# $$\theta\leftarrow M\theta,\qquad M=\begin{pmatrix}1-\eta h_1&0\\0&1-\eta h_2\end{pmatrix}.$$
#
# A number $\lambda$ is an **eigenvalue of the update map** if along some direction the map only rescales by $\lambda$.
# After $k$ steps that direction has been multiplied by $\lambda^k$.
# So everything is decided by $|\lambda|$: below 1 it dies out, above 1 it explodes, and a negative $\lambda$ flips side at each step.
# Here $\lambda_i=1-\eta h_i$, hence gradient descent converges exactly when $|1-\eta h_i|<1$ for all $i$, that is $\eta<2/h_\text{max}$.
# The steepest direction sets the limit, the flattest sets the pace.
#
# The same question for two players: $u$ wants $uv$ small, $v$ wants it large, and both step at once: $u\leftarrow u-\eta v$ and $v\leftarrow v+\eta u$.
# Now $M=\begin{pmatrix}1&-\eta\\\eta&1\end{pmatrix}$ with the complex pair $\lambda=1\pm i\eta$: a rotation by about $\eta$ (radians), and $|\lambda|=\sqrt{1+\eta^2}$.
# (No real direction is kept, but complex vectors $a=(1,\mp i)^\top$ are: $Ma=(1\pm i\eta)\,a$.)
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


fig, axes = plt.subplots(1, 4, figsize=(12, 3.5))
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
axes[-1].set(xlabel="u", ylabel="v")
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
# At 0.05 the steep direction has $\lambda=0.5$ and is gone after a few steps; the flat one has 0.95 and creeps: after 40 steps $0.95^{40}=13\,\%$ of the way is left.
# At 0.19 the steep direction has −0.9: it jumps across the valley each time and still converges.
#
# At 0.21 it has −1.1 and explodes, although the flat direction converges happily; the last column shows that the largest $|\lambda|$ has taken over.
#
# The two players are worse: $|\lambda|=\sqrt{1+\eta^2}>1$ for *every* $\eta>0$ (1.02 at 0.2), no step is small enough.
# Nobody minimises a common function there; lesson 05 judges its repairs by such a $|\lambda|$.
#
# ### The loop
# Everything that is trained by gradients in this course is the five marked lines; `cu.fit` adds conveniences, not mathematics.
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
#
# (The losses differ because it prints the mean of the last 30 steps, and we that of the last batch alone.
# On a GPU it computes the forward pass in 16 bits where the card can, and the two drift apart a little more.)
#
# Here is its source, and beneath it that of `cu.loop`, which owns what has nothing to do with learning: the progress bar, saving, stopping on a loss that is not finite.
# Find the five lines.

# %%
print(inspect.getsource(cu.fit))
print(inspect.getsource(cu.loop))

# %% [markdown]
# ## Card 3 · Logits and log-sum-exp *(core)*
#
# A likelihood of an image is a product over pixels, and products of probabilities leave the range of floating-point numbers.
# Take the simplest model of a binarised digit: pixel $i$ is ink with probability $\theta_i$, independently of the others, so $p(x)=\prod_i \theta_i^{x_i}(1-\theta_i)^{1-x_i}$.
# **Predict:** multiply the factors of one image row by row, top to bottom, in float32.
# After how many of the 784 pixels is the product exactly zero?
#
# A second place: a network's last layer gives a **logit** $a$, any real number, and the probability is $\sigma(a)=1/(1+e^{-a})$; the logit is the log-odds, $a=\log\frac{p}{1-p}$.
# A discriminator (lesson 05) needs $\log(1-\sigma(a))$.
# For large $a$ the true value is about $-a$; float32 says $-\infty$ much too soon.

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
fig, (left, right) = plt.subplots(1, 2, figsize=(11, 4))
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
# The product is zero after 459 pixels, 325 before the end.
#
# On the right the naive curve first turns into stairs, because float32 has steps of $6\cdot10^{-8}$ just below 1, and at 16.6 it ends: a discriminator that is *sure* that a fake is real gets an infinite loss.
#
# **Sums of probabilities in log-space.**
# A mixture or a posterior needs $\log\sum_k e^{a_k}$ where all $e^{a_k}$ underflow.
# Pull out the largest, $m=\max_k a_k$:
#
# $$\log\sum_k e^{a_k}=\log\Bigl(e^{m}\sum_k e^{a_k-m}\Bigr)=m+\log\sum_k e^{a_k-m}. \tag{A3}$$
#
# Every exponent is now at most 0, so nothing overflows; one of them is exactly 0, so the sum is at least 1 and its logarithm is finite.
# The softmax is $\text{softmax}(a)_k=e^{a_k}/\sum_l e^{a_l}=e^{a_k-\text{LSE}(a)}$.
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


# %% [markdown] tags=["hint"]
# Use `a.amax(dim, keepdim=True)` for $m$: one maximum a slice, of a shape that can be subtracted from `a`.
# The result has lost the dimension, so add `top.squeeze(dim)`.

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
cross_entropy = (checked_lse(a, 1) - a[torch.arange(5), labels]).mean()
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
# Rows two to four are where the direct formula fails; the right answers are $1000+\log 2$, $-1000+\log(1+e^{-1})$ and $-200$.
# The second check above the table is why PyTorch's losses ask for logits: the loss of class $y$ is $-\log\text{softmax}(a)_y=\text{LSE}(a)-a_y$, and its gradient $\text{softmax}(a)-\text{onehot}(y)$ never exceeds 1.
# **Rule:** keep logits and log-probabilities until the very last line; `sigmoid` or `softmax` followed by `log` is a bug waiting to happen.

# %% [markdown]
# ## Card 4 · Gaussians in d dimensions *(core)*
#
# A Gaussian is a mean $\mu$ and a **covariance** $\Sigma_{ij}=\mathbb E[(x_i-\mu_i)(x_j-\mu_j)]$: variances on the diagonal, and off it how two coordinates move together, $\Sigma_{ij}=\rho_{ij}\sigma_i\sigma_j$.
# Its level sets are ellipsoids: axes along the eigenvectors of $\Sigma$, half-lengths proportional to the square roots of the eigenvalues.
#
# **Sampling** needs a matrix $L$ with $LL^\top=\Sigma$.
# The **Cholesky factor** is the one that is lower triangular with a positive diagonal.
# Then $x=\mu+L\varepsilon$ with $\varepsilon\sim \mathcal N(0,I)$ has covariance $\mathbb E[L\varepsilon\varepsilon^\top L^\top]=LIL^\top=\Sigma$.
# **Evaluating** uses the same factor: $|\Sigma|=|L|^2=\prod_i L_{ii}^2$, and with $\varepsilon=L^{-1}(x-\mu)$
#
# $$\log\mathcal N(x;\mu,\Sigma)=-\tfrac12 \varepsilon^\top\varepsilon-\sum_i\log L_{ii}-\tfrac d2\log 2\pi. \tag{A4}$$
#
# **Score** is the name of $\nabla_x\log p(x)$: at each point the direction in which the density rises fastest, relative to its value.
# An unknown normalising constant drops out of it; diffusion (lesson 06) learns the score.
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
# Look for a linear map of $x_s$ to subtract from $x_u$ such that what remains has nothing to do with $x_s$:
#
# $$r=x_u-Gx_s,\qquad \operatorname{Cov}(r,x_s)=\Sigma_{us}-G\Sigma_{ss}=0\iff G=\Sigma_{us}\Sigma_{ss}^{-1}.$$
#
# $r$ and $x_s$ are jointly Gaussian and uncorrelated, hence **independent**.
# So learning that $x_s=v$ tells us nothing about $r$, and $x_u=r+Gv$ is $r$ shifted by a constant.
# The mean of $r$ is $\mu_u-G\mu_s$; its covariance is $\operatorname{Cov}(r,x_u-Gx_s)=\operatorname{Cov}(r,x_u)=\Sigma_{uu}-G\Sigma_{su}$.
# Together
#
# $$x_u\mid x_s=v\ \sim\ \mathcal N\bigl(\mu_u+G(v-\mu_s),\ \Sigma_{uu}-G\Sigma_{su}\bigr),\quad G=\Sigma_{us}\Sigma_{ss}^{-1}. \tag{A5}$$
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


# %% [markdown] tags=["hint"]
# `cov[~seen][:, seen]` is the block $\Sigma_{us}$.
# `torch.linalg.solve(A, B)` is $A^{-1}B$; here the inverse stands on the right, so solve with the transpose: $G^\top=\Sigma_{ss}^{-1}\Sigma_{su}$.

# %%
checked_conditional = cu.check("A.conditional_gaussian", conditional_gaussian)

# %% [markdown]
# Now $x_1$ is seen.
# **Predict:** with $\rho=0.8$ and $\sigma_2=1$, how wide is $x_2$ once $x_1$ is known?
# And where is its mean once $x_1$ has moved to the edge?


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
    right.set_title(f"x₂ given x₁ = {seen:g}: mean {mean_c:.2f}, std {std_c:.2f}", fontsize=12)
    right.legend(loc="upper left", fontsize=11)
    return fig


def three_cuts():
    """The static picture: x₂ before and after the cut, for three settings."""
    fig, axes = plt.subplots(1, 3, figsize=(11.5, 3.6), sharey=True)
    x = torch.linspace(-4.5, 4.5, 400)
    for ax, (rho, seen) in zip(axes, [(0.8, 1.5), (0.8, -2.5), (0.95, 1.5)], strict=True):
        mean_c = rho * seen
        std_c = math.sqrt(1 - rho**2)
        for m, s, label in [(0.0, 1.0, "before"), (mean_c, std_c, "after the cut")]:
            ax.plot(x, torch.distributions.Normal(m, s).log_prob(x).exp(), label=label)
        text = f"ρ = {rho}, x₁ = {seen}:\nmean {mean_c:.2f}, std {std_c:.2f}".replace("-", "−")
        ax.set_title(text, fontsize=13)
        ax.set(xlabel="x₂", ylim=(0, 1.7))
    axes[0].set_ylabel("density")
    axes[0].legend(loc="upper left")
    return fig


cu.explore(
    draw_gaussian,
    "A 2-D Gaussian with its score, cut at a seen value of x₁. Without a kernel: only x₂, "
    "before and after the cut, for three settings with σ₂ = 1.",
    static=three_cuts,
    rho={"min": -0.95, "max": 0.95, "step": 0.05, "value": 0.8, "label": "ρ"},
    sigma_2={"min": 0.3, "max": 2.0, "step": 0.1, "value": 1.0, "label": "σ₂"},
    seen={"min": -2.5, "max": 2.5, "step": 0.25, "value": 1.5, "label": "seen x₁"},
)

# %% [markdown]
# At $\rho=0.8$ and $x_1=1.5$ the mean of $x_2$ moves to $0.8\cdot1.5=1.2$, not to 1.5 (regression to the mean), and its standard deviation falls from 1 to $\sqrt{1-0.64}=0.6$.
# Move the cut to −2.5: the mean follows, the 0.6 stays.
# At $\rho=0.95$ it is still $\sqrt{1-0.95^2}=0.31$: a correlation of 0.95 removes two thirds of the standard deviation (and 90 % of the variance), not 95 %.
#
# **The same two lines in 784 dimensions.**
# Let $x_s$ be the upper half of a digit, 392 pixels, and (A5) completes the lower half exactly, under the model that digits are one Gaussian.

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
lower = [whole[:, ~seen], torch.full((8, 392), 0.5), torch.stack(means), torch.stack(draws)]
tiles = torch.cat([torch.cat([upper, half], dim=1) for half in lower])  # (32, 784)
titles = ["whole", "upper half", "mean", "one draw"]
ax = cu.plots.image_grid(tiles.clamp(0, 1).view(-1, 28, 28), rows=4, row_titles=titles)
cu.show(
    ax.figure,
    "Eight test digits; their upper halves (grey: hidden); completed by the conditional mean "
    "of one Gaussian; by one draw from it.",
)

# %% [markdown]
# The strokes continue where the upper half leaves off, and a third of the variance of the lower pixels is gone (0.072 to 0.048): two lines of linear algebra continue the stroke.
# But the mean is a smear and a draw is patchwork: a single Gaussian cannot say "either a 7 or a 9".
# Lesson 02 uses (A5) once for each component of a mixture, and the smear becomes a choice.

# %% [markdown]
# ## Card 5 · Entropy, cross-entropy and KL *(core)*
#
# An outcome of probability $p$ carries a surprise of $-\log p$.
# In **nats** with the natural logarithm, in **bits** with base 2; 1 nat is $1/\log 2$ bits.
# The mean surprise is the **entropy** $H(p)=-\sum_x p(x)\log p(x)$: the shortest mean code length per symbol that any code can reach (for long messages).
# Code with lengths meant for $q$ while the data come from $p$, and you pay the **cross-entropy** $H(p,q)=-\sum_x p(x)\log q(x)$.
# The surcharge is the **Kullback–Leibler divergence**
#
# $$\mathrm{KL}(p\,\|\,q)=H(p,q)-H(p)=\sum_x p(x)\log\frac{p(x)}{q(x)}\ \ge 0. \tag{A6}$$
#
# *Why it is never negative:* **Jensen.**
# The logarithm is concave: its graph lies above every chord, so for two points $\log(\alpha a+(1-\alpha)b)\ge\alpha\log a+(1-\alpha)\log b$, and by induction **the log of a mean is at least the mean of the log**.
# Hence $-\mathrm{KL}(p\,\|\,q)=\sum_{p>0} p\log\frac qp\le\log\sum_{p>0} p\,\frac qp=\log\sum_{p>0}q\le\log1=0$, with equality only for $q=p$.
# Lesson 04's bound rests on it.
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


# %% [markdown] tags=["hint"]
# `torch.xlogy(p, q)` is $p\log q$, with 0 where $p=0$.
# The sum in (A6) is $\sum p\log p-\sum p\log q$.

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
for name, value in nats.items():
    cu.facts(f"bits of a test pixel, {name}", value / math.log(2))

# %% [markdown]
# Four fifths of the pixels are white, which one histogram already knows: 1.96 instead of 8 bits.
# Knowing *where* a pixel is saves only another quarter of a bit, 1.69.
# The rest of what can be saved lies in the dependence **between** pixels; the likelihood models of the course are measured by how much of this they find, in nats an image or in *bits per dimension*.
#
# **KL is not symmetric**, and the direction chosen decides how a model fails.
# Fit one Gaussian $q$ to two bumps, $p=0.6\,\mathcal N(-2,0.7^2)+0.4\,\mathcal N(2,0.7^2)$.
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


def two_widths():
    """The static picture: both divergences against the mean of q, for a narrow and a wide q."""
    fig, axes = plt.subplots(1, 2, figsize=(11, 3.9))
    means = torch.linspace(-4, 4, 81)
    for ax, std in zip(axes, (0.7, 2.1), strict=True):
        many = torch.stack([bell(m, std) for m in means])  # (81, 901)
        ax.fill_between(grid, 20 * bumps / 0.02, color="#dddddd", label="p (not to scale)")
        for name, curve in zip(
            ("KL(p ‖ q), forward", "KL(q ‖ p), reverse"), both_kl(many), strict=True
        ):
            ax.plot(means, curve, label=name)
        ax.set(xlabel="mean of q", ylabel="divergence, nats", xlim=(-4, 4), ylim=(0, 28))
        ax.set_title(f"q with standard deviation {std}")
    axes[1].legend(loc="upper center", fontsize=11)
    return fig


cu.explore(
    draw_kl,
    "Two bumps p and one Gaussian q, and both divergences against the mean of q. "
    "Without a kernel: a narrow and a wide q.",
    static=two_widths,
    mean={"min": -4.0, "max": 4.0, "step": 0.1, "value": -2.0},
    std={"min": 0.4, "max": 3.0, "step": 0.1, "value": 0.7},
)

# %%
for name, fit in {"wide": (-0.4, 2.08), "left": (-2.0, 0.7), "right": (2.0, 0.7)}.items():
    forward, reverse = both_kl(bell(*fit))
    cu.facts(f"{name} q, mean and std {fit}: forward KL", forward, "reverse KL", reverse)

# %% [markdown]
# With $q$ as narrow as a bump the forward curve has its minimum between the bumps, where $p$ is nearly zero, and the reverse curve has two, one on each bump.
# Widen $q$ to a standard deviation of 2.1: now both have one minimum, in the middle.
#
# Over means *and* widths, forward KL prefers the wide $q$ by far: on a single bump it costs 5.9 or 9.1 nats instead of 0.4, since $q$ is nearly zero where 40 or 60 % of the data are.
# Its best Gaussian has the mean and the variance of $p$.
# Reverse KL prefers the left bump, for $\log\frac1{0.6}=0.51$ nats: there $p\approx0.6\,q$, so $\log\frac qp\approx-\log0.6$, and the other bump, which $q$ never visits, costs nothing.
#
# Maximum likelihood minimises $-\mathbb E_p\log q=H(p,q)$, which is forward KL up to the fixed $H(p)$: it covers, also the empty valley between; the tendencies of GANs and of variational posteriors are reverse (seeks, hence lost modes).

# %% [markdown]
# ## Card 6 · Convolution and up-sampling *(deeper)*
#
# A kernel $w$ slides over the image; each output is the weighted sum of what lies under it,
#
# $$y_{ij}=\sum_{a,b}w_{ab}\,x_{i+a,\,j+b}, \tag{A7}$$
#
# (mathematicians call this correlation, and convolution its mirror image; networks learn $w$, so nobody minds).
# The same few weights serve every place: an edge detector is learnt once.
# Which of these kernels gives zero on a flat patch, and how do you see it from its weights?

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
    cu.plots.image_grid(image, ax=left)
    left.set_title("digit, 28 × 28", fontsize=12)
    numbers(middle, weight, f"sum of the weights: {weight.sum()}", limit=5)
    title = f"{kernel}: from {out.min():.1f} to {out.max():.1f}".replace("-", "−")
    shown = signed(right, out, title, limit=float(out.abs().max()))
    fig.colorbar(shown, ax=right)
    return fig


def five_kernels():
    """The static picture: the outputs of all kernels for one digit."""
    image = mnist.test.only(4)[:1].float()
    fig, axes = plt.subplots(1, 6, figsize=(12.5, 2.6))
    cu.plots.image_grid(image, ax=axes[0])
    axes[0].set_title("digit", fontsize=12)
    for ax, (name, kernel) in zip(axes[1:], KERNELS.items(), strict=True):
        out = convolve(image, torch.tensor(kernel))
        signed(ax, out, f"{name}\n{out.min():.1f} to {out.max():.1f}".replace("-", "−"), 9)
    return fig


cu.explore(
    draw_kernel,
    "A digit, a 3 × 3 kernel, and the output of the convolution: "
    "red positive, blue negative, white zero. Without a kernel: all five for one digit.",
    static=five_kernels,
    kernel=list(KERNELS),
    digit={"options": list(range(10)), "value": 4},
)

# %% [markdown]
# The vertical-edge kernel answers up to +4 at the left flank of an upright stroke, as much below 0 at the right one, and 0 inside flat ink or flat paper: its weights sum to 0.
# So do those of `horizontal edges` and `outline`.
# `blur` sums to 9: on flat ink it answers 9.
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
# **Exercise 6 (deeper).**
# Write (A8) and (A9).


# %% tags=["exercise"]
def output_size(n, kernel, stride=1, padding=0, transposed=False):
    """Cells per side, an int, that a convolution (A8) or a transposed one (A9) makes of n."""
    ### BEGIN SOLUTION
    if transposed:
        return (n - 1) * stride + kernel - 2 * padding
    return (n + 2 * padding - kernel) // stride + 1
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# Python's `//` rounds down, like the brackets in (A8).
# (A9) has no rounding, because the patches tile the output from the first to the last.

# %%
checked_size = cu.check("A.output_size", output_size)

# %% [markdown]
# Two checks.
# (1) Transposed means transposed: $\langle Cx,\,y\rangle=\langle x,\,C^\top y\rangle$ for any $x,y$.
# (2) How much of the image does one output of a **stack** of 3 × 3 convolutions see, its *receptive field*?
# Ask autograd: which inputs have a gradient?
# The table has the side of that square after 1, 2, 3 and 4 layers, with stride 1 and with stride 2.

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
fig, axes = plt.subplots(2, 4, figsize=(11, 6))
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
#
# The lower row is the surprise: the usual advice, "make the kernel a multiple of the stride", equalises how *many* weights meet at a cell, not their values.
# The four cells of a 2 × 2 block still meet four disjoint sets of weights; four independent numbers deviate from their mean by $\sqrt{3/4}=87\,\%$ of their size, and about that is measured for kernel 3, kernel 4 and pixel-shuffle alike.
#
# Training must remove it.
# Resizing first gives all four cells the same kernel, and a flat image stays flat with any weights; the price is a convolution over four times as many pixels.
# Lesson 05 chooses with this picture in mind.

# %% [markdown]
# ## Card 7 · Our ruler: distances between sets of images *(core)*
#
# Are generated images *near* real ones?
# Both are clouds of points of which only samples are known.
# The usual answer has three steps: turn each image into **features**, summarise each cloud by the mean and the covariance of its features, and measure how far apart two Gaussians with these moments are.

# %% tags=["figure", "slide"]
# @title Figure: from two sets of images to one number
d = cu.diagram()
side = []
for height, what, picks in [(0.8, "real", mnist.val[:3]), (-0.8, "generated", None)]:
    images = picks.x[:, 0].numpy() if picks else cu.runs.load("00_gaussian").samples[:3]
    for i, image in enumerate(images):
        last = d.image(image, (0.75 * i, height), side=0.68)
    d.text(f"n {what}", (0.75, height - 0.5), fontsize=11)
    features = d.box("features", (3.2, height), width=1.4, note="(n, 128)")
    moments_box = d.box("mean, covariance", (5.5, height), width=2.0, note="(128,), (128, 128)")
    d.arrow(last, features)
    d.arrow(features, moments_box)
    side.append(moments_box)
distance_box = d.box(
    "Fréchet\ndistance", (7.9, 0), width=1.3, height=0.9, colour=cu.plots.PALETTE[1]
)
for moments_box in side:
    d.arrow(moments_box, distance_box)
cu.show(
    d.figure,
    "The ruler. The features are the last hidden layer of a classifier of the ten digits, 128 "
    "numbers an image, fixed before any generator was trained.",
)

# %% [markdown]
# **The distance** of two distributions is the least mean squared length by which points of one must be moved to become the other (Wasserstein-2; for Gaussians Fréchet's name stuck).
#
# In one dimension, pair each $x\sim\mathcal N(\mu_1,\sigma_1^2)$ with a $y\sim\mathcal N(\mu_2,\sigma_2^2)$.
# For any pairing $\mathbb E(x-y)^2=(\mu_1-\mu_2)^2+\sigma_1^2+\sigma_2^2-2\operatorname{Cov}(x,y)$.
# The covariance is at most $\sigma_1\sigma_2$ (Cauchy–Schwarz), and $y=\mu_2+\frac{\sigma_2}{\sigma_1}(x-\mu_1)$ reaches it.
# So the least is $(\mu_1-\mu_2)^2+(\sigma_1-\sigma_2)^2$.
#
# In $d$ dimensions the same idea gives (exercise 9 derives it)
#
# $$\begin{gathered}
# F=\lVert\mu_1-\mu_2\rVert^2+\operatorname{tr}\Sigma_1+\operatorname{tr}\Sigma_2-2\sum_i\sqrt{\lambda_i}, \\
# \lambda_i\text{ the eigenvalues of }\Sigma_1^{1/2}\Sigma_2\Sigma_1^{1/2}.
# \end{gathered} \tag{A10}$$
#
# $\Sigma_1^{1/2}$ is the symmetric root: the same eigenvectors, the roots of the eigenvalues.
# $F$ is a *squared* distance; so is the FID (Fréchet inception distance: (A10) in the features of a network trained on photographs) that papers quote, and nobody takes the root.
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


# %% [markdown] tags=["hint"]
# The root of a symmetric matrix is `(vectors * values.sqrt()) @ vectors.T`, not the root of each entry.
# The $\lambda_i$ come from `torch.linalg.eigvalsh`, and their roots are added.

# %%
checked_frechet = cu.check("A.frechet", frechet_gaussians)

# %% [markdown]
# ### What features decide
# Four sources are put under two rulers.
# Real training digits come first.
# *One Gaussian* over all pixels (lesson 00) has their mean and covariance and draws no digit.
# *Independent pixels* has the right ink at every place and no stroke; *no 7, 8, 9* is real handwriting of seven digits only.
#
# The first ruler has *linear* features, the 32 leading principal components of the pixels; the second has the classifier's.
#
# **Predict:** which source passes as real under the linear ruler, and will the classifier's agree?


# %%
def independent_pixels(x, n):
    """n images whose every pixel comes from another, randomly chosen image of x (N, d)."""
    return x[torch.randint(len(x), (n, x.shape[1])), torch.arange(x.shape[1])]  # (n, d)


def one_gaussian(x, n):
    """n draws from the Gaussian with the mean and covariance of x (N, d) (Card 4)."""
    cov = x.T.cov() + 1e-4 * torch.eye(x.shape[1])
    return x.mean(0) + torch.randn(n, x.shape[1]) @ torch.linalg.cholesky(cov).T  # (n, d)


torch.manual_seed(0)
size = cu.budget(1_000, 200)  # images in a set
n_sets = 5
order = torch.randperm(len(train))
fixed = train[order[: 5 * size]]  # the reference: 5,000 training digits
others = train[order[5 * size :]]  # never the same images as in the reference
sources = {
    "training digits": others[: n_sets * size],
    "no 7, 8, 9": mnist.train.only(*range(7)).sample(n_sets * size, seed=7).flat(),
    "one Gaussian": one_gaussian(train, n_sets * size),
    "independent pixels": independent_pixels(train, n_sets * size),
}


# %%
def moments(x):
    """Mean (d,) and covariance (d, d) of rows x (n, d), in float64."""
    return x.double().mean(0), x.double().T.cov()


def distances(x, reference, n):
    """Distance (n_sets,) of each of n_sets disjoint sets of n rows of x from the reference."""
    sets = x.split(len(x) // n_sets)
    return torch.stack(
        [checked_frechet(*moments(one[:n]), *moments(reference)) for one in sets]
    )


directions = torch.linalg.eigh(train.T.cov()).eigenvectors[:, -32:]  # (784, 32): largest last
linear = {name: (x - train.mean(0)) @ directions for name, x in sources.items()}
linear_fixed = (fixed - train.mean(0)) @ directions
sizes = [n for n in (100, 300, 1_000) if n <= size]
by_n = {}
for name, x in linear.items():
    by_n[name] = torch.stack([distances(x, linear_fixed, n) for n in sizes], dim=1)

# %% [markdown]
# The classifier's ruler is the one of the course.
# `cu.metrics.scoreboard` takes uint8 images, cuts them into sets of `n`, and puts real digits in front.

# %%
images = {name: cu.to_uint8(x.clamp(0, 1).view(-1, 1, 28, 28)) for name, x in sources.items()}
del images["training digits"]  # they stand in every table anyway
board = cu.metrics.scoreboard(images, n=size, reference="validation")

# %% tags=["figure", "slide"]
# @title Figure: Fréchet distance in linear features against the number of samples
fig, ax = plt.subplots(figsize=(9.5, 4.6))
for name, colour in zip(sources, ["#000000", *cu.plots.PALETTE]):
    cu.plots.band(sizes, by_n[name], ax, label=name, color=colour)
ax.set(xscale="log", yscale="log", xlabel="n, samples in a set", ylabel="Fréchet distance")
ax.set_xticks(sizes, [f"{n:,}" for n in sizes])
ax.minorticks_off()
ax.set_title("32 linear features: one Gaussian passes as real")
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
cu.show(
    fig,
    "Fréchet distance from 5,000 training digits in 32 linear features; mean and standard "
    "deviation over five independent sets.",
)
lines = []
for name, values in by_n.items():
    cells = [f"{v.mean():.2f} ± {v.std():.2f}" for v in values.T]
    lines.append([name, *cells])
cu.table(lines, ["source", *(f"n = {n:,}" for n in sizes)], "Linear features, five sets.")

# %% tags=["figure", "slide"]
# @title Table: the scoreboard in the classifier's features, and real digits at two n
lines = [[name, *score.row()] for name, score in board.items()]
cu.table(
    lines,
    ["source", *cu.metrics.Score.COLUMNS],
    f"The classifier's features, sets of n = {size:,}, reference: validation digits. "
    "± is the standard deviation over independent sets. One seed.",
)
lines = []
for n in (1_000, 5_000):
    for name, score in cu.metrics.real(n, "test").items():
        lines.append([name, f"{n:,}", *score.row()])
cu.table(
    lines,
    ["real digits", "n", *cu.metrics.Score.COLUMNS],
    "Real digits against test digits: no generator should be expected to do better.",
)

# %% [markdown]
# **Under the linear ruler the Gaussian passes.**
# At $n=1{,}000$ it is 0.35 from the reference, and real training digits 0.36.
# It was *built* to have their mean and covariance, a linear map hands these through, and (A10) looks at nothing else.
# The missing classes are noticed, better with more samples: 2.23 against 0.36 at $n=1{,}000$.
#
# **Under the classifier's ruler it is found out**: 333.1 against 1.46 for real digits, and further away than digits of only seven kinds, 38.35.
# Non-linear features mix strokes, loops and corners into mean and covariance.
# *What a Fréchet distance means is decided by its features.*
# KID (rule 4) gives the same order.
#
# ### How this course reports quality
# 1. **Real digits stand in every table.**
#    Even they are not at 0: at $n=5{,}000$ another draw of training digits is 0.36 from the test digits, and the validation digits (one set) are at 0.81.
# 2. **Compare only at equal n.**
#    The moments of a small set are noisy, and noise adds to the distance on average: the same training digits are 1.09 away at $n=1{,}000$ and 0.36 at 5,000.
# 3. **An error bar is the spread over at least five independent sample sets**; beside a distance "±" means that, and where it means something else, the text says so.
#    Where there was one set only, there is none.
# 4. **KID stands beside it.**
#    The kernel inception distance compares the same features by a kernel (differences in mean, covariance and third moments) and has no bias in $n$; at small $n$ it is noisy, and may be negative.
# 5. **Choices are made against validation digits**; the test digits are the reference of the last table only, or one would choose what suits the test.
# 6. **A result of one training says so.**
#    A claim about a method needs three, compared in pairs.
#    Overlapping intervals are no test, and a difference that was not seen may still exist.

# %% [markdown]
# ## Card 7 · Behind the ruler *(deeper)*
#
# **Where does the bias come from?**
# Let $\hat\mu,\hat\Sigma$ be estimated from $n$ samples and compare with the truth.
# The mean contributes $\mathbb E\lVert\hat\mu-\mu\rVert^2=\operatorname{tr}\Sigma/n$.
# The covariance contributes more, because it has more entries.
# In the basis where $\Sigma=\operatorname{diag}(\lambda_i)$ write $\hat\Sigma=\Sigma+\Delta$ and expand the root in (A10) to second order in $\Delta$.
# The first-order terms cancel, and the second-order ones leave $\frac12\sum_{ij}\Delta_{ij}^2/(\lambda_i+\lambda_j)$.
# For Gaussian samples $\mathbb E[\Delta_{ij}^2]=\lambda_i\lambda_j(1+\delta_{ij})/n$, with $\delta_{ij}=1$ on the diagonal.
# A reference of $N$ samples adds the same with $1/N$:
#
# $$F_\text{real}(n)\approx\Bigl(\frac1n+\frac1N\Bigr)
# \Bigl[\sum_i\lambda_i+\frac12\sum_{ij}\frac{\lambda_i\lambda_j(1+\delta_{ij})}{\lambda_i+\lambda_j}\Bigr]. \tag{A11}$$
#
# **Exercise 8 (deeper, predict and measure).**
# Real digits at $n=100$ and at $n=1{,}000$, linear features.
# By which factor do you expect their distance to fall?
# Commit a number; (A11) has $N=5{,}000$.


# %% tags=["exercise"]
def expected_fall():
    """How many times smaller the distance of real digits is at n = 1,000 than at n = 100."""
    ### BEGIN SOLUTION
    return (1 / 100 + 1 / 5_000) / (1 / 1_000 + 1 / 5_000)  # of the first factors of (A11)
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# Any number of at least 1 passes.
# The square bracket of (A11) does not depend on $n$; only the factor before it does.

# %%
checked_fall = cu.check("A.fall", expected_fall)

# %%
values = torch.linalg.eigvalsh(moments(linear_fixed)[1])
pairs = values[:, None] * values / (values[:, None] + values)  # (32, 32), a broadcast (Card 1)
bracket = values.sum() + 0.5 * (pairs.sum() + pairs.trace())
real_by_n = by_n["training digits"].mean(0)
cu.facts(
    {
        "expected (your number, or else ours): a fall by": float(checked_fall()),
        "measured": real_by_n[0] / real_by_n[-1],
        **{f"(A11) at n = {n}": bracket * (1 / n + 1 / len(fixed)) for n in sizes},
        "share of the mean in it, %": 100 * values.sum() / bracket,
    }
)

# %% [markdown]
# (A11) predicts 2.83, 0.98 and 0.33 where 3.28, 1.07 and 0.36 were measured; the formula is for Gaussian samples, and at $n=300$ and 1,000 the difference is within the spread of the sets.
# Most of it comes from the covariance: $d(d+1)/2=528$ numbers are estimated from $n$ samples, and only 32 for the mean.
# With the $2{,}048$ features of the FID there are two million: that is why a FID is quoted for 50,000 samples.
#
# **Exercise 9 (deeper, on paper).**
# Derive (A10).
# For any pairing $\mathbb E\lVert x-y\rVert^2=\lVert\mu_1-\mu_2\rVert^2+\operatorname{tr}\Sigma_1+\operatorname{tr}\Sigma_2-2\operatorname{tr}C$ with $C=\operatorname{Cov}(x,y)$: make $\operatorname{tr}C$ as large as a joint distribution allows.
#
# <details><summary>Step 1</summary>
#
# Let $A=\Sigma_1^{1/2}$, $B=\Sigma_2^{1/2}$ and $x=\mu_1+Au$, $y=\mu_2+Bv$ with $u,v$ of covariance $I$.
# Then $C=AGB$ with $G=\mathbb E[uv^\top]$, and $a^\top Gb\le1$ for unit vectors $a,b$ (Cauchy–Schwarz).
#
# </details>
#
# <details><summary>Step 2</summary>
#
# $\operatorname{tr}C=\operatorname{tr}(GBA)$.
# With the singular value decomposition $BA=U\operatorname{diag}(s)V^\top$ this is $\sum_i s_i\,v_i^\top Gu_i\le\sum_i s_i$, with equality for the orthogonal $G=VU^\top$.
#
# </details>
#
# <details><summary>Step 3</summary>
#
# The $s_i$ are the roots of the eigenvalues of $(BA)^\top BA=\Sigma_1^{1/2}\Sigma_2\Sigma_1^{1/2}$.
#
# </details>
#
# **Exercise 10 (deeper, break it).**
# A ruler with two moments can be fooled by any cloud with the right two moments.
# From features $x$ make a set of only $2d$ different points that the Fréchet distance calls perfect.


# %% tags=["exercise"]
def fool_the_ruler(x):
    """A set (2d, d) with the mean and covariance of the rows x (n, d), n > 2d, both unbiased.

    One way: the mean, plus and minus a multiple of each column of L, L Lᵀ = covariance.
    """
    ### BEGIN SOLUTION
    mean = x.mean(0)
    values, vectors = torch.linalg.eigh(x.T.cov())
    columns = (vectors * values.clamp(min=0).sqrt()).T  # (d, d): row i is column i of L
    steps = math.sqrt((2 * x.shape[1] - 1) / 2) * columns  # x.T.cov() divides by 2d − 1
    return torch.cat([mean + steps, mean - steps])
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# Pairs $\mu\pm c\,L_i$ have mean $\mu$.
# Their squares add up to $2c^2LL^\top$, which `x.T.cov()` divides by $2d-1$: choose $c$ so that $\Sigma$ is left.

# %%
checked_fool = cu.check("A.fool", fool_the_ruler)

# %%
held = cu.metrics.validation_features()  # (5000, 128), float64
fooled = checked_fool(held)  # (256, 128)
some = cu.metrics.features(mnist.train.sample(len(fooled), seed=3).x)
cu.facts(
    {
        "Fréchet distance of 256 made-up points": cu.metrics.frechet(fooled, held),
        "of 256 real training digits": cu.metrics.frechet(some, held),
        "KID of the made-up points": cu.metrics.kid(fooled, held),
        "KID of the real training digits": cu.metrics.kid(some, held),
    },
    digits=2,
)

# %% [markdown]
# The made-up points have a Fréchet distance of zero (to rounding), where as many real digits have 6.7: no generator could do better, and there is no image behind any of them.
# KID objects, with −11: its estimate assumes independent samples, and a point and its mirror image are not.
# A value far below 0 is as suspicious as one far above.
#
# **Exercise 11 (deeper, open).**
# You are to rank programs that invent *melodies*.
# Which features would you take, what stands in the rows of your first table beside the programs, how many melodies do you draw, and which failure would your ruler never see?
# Half a page.

# %% [markdown]
# ## Seven questions *(core)*
#
# One a card; questions 2 and 6 belong to the deeper cards.

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
    "Not without the features, and the rows of real digits at the same n.",
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
# | 2 | the same weights by hand and with `cu.fit` | a step size above $2/h_\text{max}$: an eigenvalue of the update map leaves $[-1,1]$ |
# | 3 | a likelihood that float32 cannot hold, as a sum of logarithms | `sigmoid` then `log`: $-\infty$ from a logit of about 17 |
# | 4 | half a digit completed by two lines of algebra | one Gaussian cannot choose: its mean is a smear |
# | 5 | bits per pixel from 8 to below 2 by counting | forward KL covers, reverse KL seeks; zero probability costs infinity |
# | 6 | 31 pixels seen by four strided layers | checkerboards, and not only with kernels that the stride does not divide |
# | 7 | real digits, with an error bar, in every table | one Gaussian fools any ruler with linear features |
#
# **Back to your lesson.**
# What all cards leave open: hidden causes (lesson 02).

# %% [markdown]
# ## Where this stands *(deeper)*
#
# **The FID of papers** is (A10) in $2{,}048$ features of a network trained on photographs (Heusel et al., 2017), and so it inherits that network's view: it can be lowered by matching class statistics without better images (Kynkäänniemi et al., 2022), and it disagrees with human judges about diffusion models, where features of self-supervised networks agree better (Stein et al., 2023).
# Lesson 07 asks who wins when *our* judge is exchanged.
#
# **Equal n is not enough in principle.**
# The bias depends on the model, too, so one may extrapolate to infinite $n$ (Chong and Forsyth, 2020) or use a distance without bias, as KID is (Bińkowski et al., 2018).
#
# **The other cards.**
# Card 2 is reverse-mode differentiation (Baydin et al., 2018); the two players return in lesson 05.
# Card 5 is the beginning of Cover and Thomas.
# Card 6's checkerboards: Odena et al. (2016).

# %% [markdown]
# ### References
#
# - A. G. Baydin et al., *Automatic differentiation in machine learning: a survey*, 2018.
# - M. Bińkowski et al., *Demystifying MMD GANs*, 2018.
# - M. J. Chong, D. Forsyth, *Effectively Unbiased FID and Inception Score and where to find them*, 2020.
# - T. M. Cover, J. A. Thomas, *Elements of Information Theory*, 2nd ed., 2006.
# - D. C. Dowson, B. V. Landau, *The Fréchet distance between multivariate normal distributions*, 1982.
# - M. Heusel et al., *GANs trained by a two time-scale update rule converge to a local Nash equilibrium*, 2017.
# - T. Kynkäänniemi et al., *The Role of ImageNet Classes in Fréchet Inception Distance*, 2022.
# - A. Odena, V. Dumoulin, C. Olah, *Deconvolution and checkerboard artifacts*, 2016.
# - G. Stein et al., *Exposing flaws of generative model evaluation metrics and their unfair treatment of diffusion models*, 2023.
