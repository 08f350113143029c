# %% [markdown]
# # 09 Autoregressive models
#
# **Guess each piece from the pieces before it: the product of small honest guesses is an exact likelihood, and a likelihood is a file size.**
#
# Lesson 08b gave every pixel one parent.
# Here each piece of an image has *all* earlier pieces as parents, and a network computes the table.
# The likelihood stays exact, the strokes hold together, and at the end the test digits are written into a file and read back, bit for bit.
#
# **After this lesson you can**
# - write any distribution as a product of conditionals, and test that a model is one;
# - mask a network so that no output sees what it has to guess, and recognise a leak by its numbers;
# - count the nats of a digit written in letters, and say what a blind spot costs;
# - draw letter by letter, and say what temperature changes;
# - turn a model into a file format, and a likelihood into a file size.
#
# **Builds on** 08 and 08b (exact nats, parents), 04b (nats and bits), 07 (Fréchet distance, precision and recall); [toolbox](A_toolbox.ipynb), Card 6 (convolution).
#
# | letter | meaning | letter | meaning |
# |---|---|---|---|
# | $x_d$ | pixel $d=1,\dots,D$, or letter at place $d$ | $x_{<d}$ | all pieces before $d$ |
# | $m(k)$ | degree of hidden unit $k$ | $r(d)$ | place of pixel $d$ in the order |
# | $v,\ h$ | vertical and horizontal stack | $\tau$ | temperature |

# %% tags=["setup"]
import math
from bisect import bisect_right

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from torch import nn

import course_utils as cu

# written in lesson 08, section 7
from course_utils.lessons.lesson_08 import RowChain, log_digits, pick

device = cu.setup()

# %% [markdown]
# ### What you will have made
#
# A digit is written in 14 rows of letters, each letter a block of 2 × 2 pixels.
# We stop the pen after some rows (the rest is pale blue) and let it go on eight times.
# **Predict:** after how many rows is it decided which digit it will be?

# %% tags=["figure", "slide"]
# @title Figure: stop the pen, and go on eight times
PALE = torch.tensor([0.72, 0.84, 0.95])  # not yet written: neither ink nor paper
FORKS = (4, 7, 10)  # rows of letters


def in_ink(x, rows=28):
    """Images (N, 28, 28) as colours, dark ink on white; pale blue below so many rows."""
    grey = (1 - x.clamp(0, 1))[:, None].repeat(1, 3, 1, 1)
    grey[:, :, rows:] = PALE[:, None, None]
    return grey


for run in cu.runs.available("09_pixelcnn"):  # section 4 makes it
    pages = []
    for frames, rows in zip(torch.as_tensor(run.replay[0]).float() / 255, FORKS):
        pages += [in_ink(frames[:1], 2 * rows), in_ink(frames[1:])]
    fig, ax = plt.subplots(figsize=(10.5, 4.1))
    names = [f"{rows} rows" for rows in FORKS]
    titles = ["written", *"12345678"]
    cu.plots.image_grid(torch.cat(pages), rows=3, titles=titles, row_titles=names, ax=ax)
    cu.show(
        fig,
        "The course's digit, stopped after 4, 7 and 10 of its 14 rows of letters, and eight "
        "continuations of each, drawn letter by letter by the shipped model.",
    )

# %% [markdown]
# After 4 rows everything is open: 3s, 8s, a 5, a 0.
# After 7 the upper arc stands, and still two become 2s and one looks like an 8.
# After 10 all eight are 3s, and differ only in the last curve.
#
# **A chain of guesses that never looks ahead can stop anywhere and go on.**

# %% [markdown]
# ## 1 · The chain rule loses nothing *(core)*
#
# Any joint distribution is a product of conditionals, in any order of the pieces:
#
# $$p(x)=\prod_{d=1}^Dp(x_d\mid x_{<d}). \tag{1}$$
#
# An **autoregressive** model puts a function in place of each conditional.
# The simplest one is a logistic regression for each pixel on the pixels before it (a *fully visible sigmoid belief network*, FVSBN).
# Images of 3 × 3 pixels are small enough to add up all $2^9$ of them: we try it on *bars and stripes* (every row, or every column, of one colour) and on *parity* (an even number of black pixels).


# %% tags=["shared"]
class FVSBN(nn.Module):
    """x (B, D) of zeros and ones → the logit of each pixel given those before it (B, D)."""

    def __init__(self, D):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(D, D))
        self.bias = nn.Parameter(torch.zeros(D))

    def forward(self, x):
        return F.linear(x, self.weight.tril(-1), self.bias)


def log_p_pixels(logits, x):
    """log p(x) (B,) by (1): logits (B, D) of each pixel given those before it."""
    return -F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(1)


# %%
every = torch.cartesian_prod(*[torch.arange(2)] * 9).double()  # (512, 9)
squares = every.view(-1, 3, 3)
bars = (squares == squares[:, :1]).flatten(1).all(1)
stripes = (squares == squares[:, :, :1]).flatten(1).all(1)
sets = {"bars and stripes": every[bars | stripes], "parity": every[every.sum(1) % 2 == 0]}


def fit_whole(model, x, steps=1_500):
    """Adam on all patterns at once; returns their mean −log p, in nats."""
    adam = torch.optim.Adam(model.parameters(), 0.02)
    for _ in range(cu.budget(steps, 30)):
        loss = -log_p_pixels(model(x), x).mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
    return float(loss.detach())


# %%
small = {}
for name, x in sets.items():
    torch.manual_seed(0)
    model = FVSBN(9).double()
    small["FVSBN", name] = (model, fit_whole(model, x))


# %% tags=["figure", "slide"]
# @title Table: nine pixels, nine logistic regressions
def small_row(kind, name):
    """A line of the table: nats, the best possible, the last pixel, Σ p over all 512."""
    model, nats = small[kind, name]
    x = sets[name]
    last = F.binary_cross_entropy_with_logits(model(x)[:, -1], x[:, -1])
    total = log_p_pixels(model(every), every).exp().sum().detach()
    best = math.log(len(x))
    return [kind, name, nats, f"{best:.3f}", float(last.detach()), f"{total:.9f}"]


def small_table(kinds):
    """Both sets for some kinds of model."""
    heads = ["model", "patterns", "nats", "best possible", "last pixel", "Σ p over all 512"]
    rows = [small_row(kind, name) for kind in kinds for name in sets]
    what = f"Mean −log p of the patterns, in nats, after training: {' and '.join(kinds)}."
    cu.table(rows, heads, what)


small_table(["FVSBN"])
cu.facts({"patterns": ", ".join(f"{len(x)} {name}" for name, x in sets.items())})

# %% [markdown]
# On bars and stripes nine logistic regressions do well: 2.673 nats, where the best possible is 2.639, the logarithm of 14.
# Parity is at 6.238: nine coins.
# The last pixel is determined by the other eight, and costs 0.693 nats, the logarithm of 2: a weighted sum cannot say whether a number is even.
#
# Yet all sums over 512 images are 1, to nine digits.
# **A product of conditionals is a distribution, however badly each of them guesses;** every model of this lesson has to pass this test.
#
# **Exercise 1 (deeper, on paper).**
# Show that (1) sums to 1 over all images, whatever the function computes, as long as the logit of $x_d$ does not depend on $x_d,\dots,x_D$.
#
# <details><summary>Answer</summary>
#
# Sum over $x_D$ first.
# It occurs in the last factor only, and $\sum_{x_D}p(x_D\mid x_{<D})=\sigma(a)+(1-\sigma(a))=1$ for any logit $a$.
# What is left is the same product with $D-1$ factors; go on to $x_1$.
# If some logit depended on its own or a later pixel, that pixel would occur in two factors, and the sum over it need not be 1.
#
# </details>

# %% [markdown]
# ## 2 · One network for all conditionals: MADE *(core)*
#
# 784 separate networks for 784 pixels would be wasteful.
# The **masked autoencoder** (MADE) computes all logits in one pass, and cuts connections so that none of them sees its own or a later pixel.
# Every hidden unit gets a **degree**: how many pixels, in the order, it may look at.

# %% tags=["figure", "slide"]
# @title Figure: degrees and masks
d = cu.diagram(fontsize=12)
DEGREES = (1, 1, 2, 3, 3)
inputs = [d.node(f"$x_{j + 1}$", (1.7 * j, 0), observed=True) for j in range(4)]
units = [d.node(f"${m}$", (1.35 * k + 0.0, 1.7)) for k, m in enumerate(DEGREES)]
outputs = [d.node(f"$a_{j + 1}$", (1.7 * j, 3.4)) for j in range(4)]
for m, unit in zip(DEGREES, units):
    for j in range(4):
        if m >= j + 1:
            d.arrow(inputs[j], unit)
        if j + 1 > m:
            d.arrow(unit, outputs[j])
d.text("logits, one a pixel:\nonly from degrees below", (7.6, 3.4))
d.text("hidden units\nwith their degrees", (7.6, 1.7))
d.text("pixels: only into\ndegrees at or above", (7.6, 0))
cu.show(
    d.figure,
    "A MADE of four pixels: a hidden unit of degree m sees pixels 1 to m, and the logit of "
    "pixel d hears of units of degree below d. The first logit hears of nothing.",
)

# %% [markdown]
# With $r(d)$ the place of pixel $d$ in the order, from 1 to $D$, and degrees from 1 to $D-1$:
#
# $$\begin{gathered}
# M^{\text{in}}_{kj}=[\,m(k)\ge r(j)\,],\qquad M^{\text{out}}_{dk}=[\,r(d)>m(k)\,], \\
# M^{\text{direct}}_{dj}=[\,r(d)>r(j)\,].
# \end{gathered} \tag{2}$$
#
# A path from pixel $j$ to logit $d$ through a hidden unit needs $r(d)>m(k)\ge r(j)$: only earlier pixels arrive.
# The direct connections are the FVSBN, kept beside the hidden units.
#
# **Exercise 2 (core).**
# Write the three masks.


# %% tags=["exercise"]
def made_masks(rank, degrees):
    """Equation (2): r (D,) from 1 to D, m (H,) → in (H, D), out (D, H), direct (D, D)."""
    ### BEGIN SOLUTION
    into = degrees[:, None] >= rank
    out = rank[:, None] > degrees
    direct = rank[:, None] > rank
    return into, out, direct  # True and False count as 1 and 0
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# `degrees[:, None]` has shape (H, 1); comparing it with `rank` (D,) gives a table (H, D) of True and False.

# %%
checked_masks = cu.check("09.masks", made_masks)


# %% tags=["shared"]
class MADE(nn.Module):
    """An FVSBN with H hidden units: x (B, D) → logits of each pixel given those before it."""

    def __init__(self, D, H, masks=checked_masks):
        super().__init__()
        self.masks = masks
        self.into = nn.Linear(D, H)
        self.out = nn.Linear(H, D)
        self.direct = nn.Parameter(torch.zeros(D, D))  # the FVSBN
        self.register_buffer("degrees", torch.arange(H) * (D - 1) // H + 1)
        self.register_buffer("rows", torch.arange(1, D + 1))

    def forward(self, x, rank=None):
        """rank (D,): the place of each pixel in the order, from 1; by default row by row."""
        rank = self.rows if rank is None else rank
        into, out, direct = self.masks(rank, self.degrees)
        h = F.linear(x, self.into.weight * into, self.into.bias).relu()
        logits = F.linear(h, self.out.weight * out, self.out.bias)
        return logits + F.linear(x, self.direct * direct)


# %%
for name, x in sets.items():
    torch.manual_seed(0)
    model = MADE(9, 400).double()
    small["MADE", name] = (model, fit_whole(model, x))

slopes = torch.autograd.functional.jacobian(model, every[100:101])[0, :, 0]  # (logit, pixel)
assert slopes.triu().abs().max() == 0 and slopes.tril(-1).abs().max() > 0
small_table(["FVSBN", "MADE"])

# %% [markdown]
# With hidden units parity falls from 6.238 to 5.586 nats (best possible: 5.545), and the last pixel from a coin to 0.040.
# The sums are 1 as before, and the Jacobian, by autograd, has nothing on or above its diagonal.
#
# ### Digits
#
# 200 hidden units, 1,200 steps of 100 digits, binarised by chance at each pass (lesson 04).


# %% tags=["shared"]
def pixel_loss(model, x):
    """Mean nats of images x (B, 1, 28, 28) in [0, 1], binarised by chance, pixel by pixel."""
    pixels = torch.bernoulli(x).flatten(1)
    return -log_p_pixels(model(pixels), pixels).mean()


# %% tags=["quiet"]
mnist = cu.mnist()
coins = torch.Generator().manual_seed(4)  # the binarisation of lessons 04b and 08
test = torch.bernoulli(mnist.test.float(), generator=coins)[: cu.budget(10_000)]
torch.manual_seed(0)
made = MADE(784, 200)
batches = cu.Batches(mnist.train, 100)
made_history = cu.fit(made, pixel_loss, batches, steps=1_200, lr=1e-2, schedule="cosine")
with torch.no_grad():
    rows_of_pixels = test.flatten(1).to(device)
    made_nats = -log_p_pixels(made(rows_of_pixels), rows_of_pixels)

# %% [markdown]
# ### Too good to be true
#
# One sign in (2) separates this model from one with a record score.
#
# **Exercise 3 (deeper, break it).**
# Change one sign in your masks, or two, so that each logit also sees its own pixel, and nothing later.


# %% tags=["exercise"]
def leaking_masks(rank, degrees):
    """As (2), but each logit sees its own pixel, too: in (H, D), out (D, H), direct (D, D)."""
    ### BEGIN SOLUTION
    into = degrees[:, None] >= rank
    out = rank[:, None] >= degrees
    direct = rank[:, None] >= rank
    return into, out, direct
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# The diagonal of $M^{\text{direct}}$ would be enough; through the hidden units a path from pixel $d$ to its own logit needs $r(d)\ge m(k)\ge r(d)$.

# %%
checked_leak = cu.check("09.leak", leaking_masks)

torch.manual_seed(0)
model = MADE(9, 64, checked_leak).double()
small["leaking", "bars and stripes"] = (model, fit_whole(model, sets["bars and stripes"]))
torch.manual_seed(0)
leaky = MADE(784, 200, checked_leak)
leak = cu.fit(leaky, pixel_loss, batches, steps=400, lr=0.1, schedule="cosine")


# %% tags=["figure", "slide"]
# @title Figure: the loss of a leak, and what it draws
@torch.no_grad()
def draw_made(model, n, seed=None):
    """n images (n, 28, 28): each pixel is added to what the hidden units have so far."""
    into, out, _ = model.masks(model.rows, model.degrees)
    w_into = (model.into.weight * into).T  # (D, H)
    w_out = model.out.weight * out
    seed = int(torch.randint(2**31, ())) if seed is None else seed
    u = torch.rand(784, n, generator=torch.Generator().manual_seed(seed)).to(w_into.device)
    x = torch.zeros(n, 784, device=w_into.device)
    before = model.into.bias.expand(n, -1).clone()
    for d in range(784):
        logit = before.relu() @ w_out[d] + model.out.bias[d] + x[:, :d] @ model.direct[d, :d]
        x[:, d] = (u[d] < logit.sigmoid()).float()
        before += x[:, d, None] * w_into[d]
    return x.view(n, 28, 28)


@torch.no_grad()
def draw_leaking(model, n, seed=0):
    """The same by whole passes: a logit that sees its own pixel is asked while that is 0."""
    u = torch.rand(784, n, generator=torch.Generator().manual_seed(seed)).to(device)
    x = torch.zeros(n, 784, device=device)
    for d in range(cu.budget(784, 3)):
        x[:, d] = (u[d] < model(x)[:, d].sigmoid()).float()
    return x.view(n, 28, 28)


drawn = torch.cat([draw_made(made, 10, 0), draw_leaking(leaky, 10)])
names = ["honest", "leaking"]
fig, ax = plt.subplots(figsize=(11, 2.5))
cu.plots.image_grid(drawn, rows=2, row_titles=names, ax=ax)
cu.show(fig, "Ten drawings of the honest MADE and ten of the leaking one, pixel by pixel.")
with torch.no_grad():
    leak_nats = -log_p_pixels(leaky(rows_of_pixels), rows_of_pixels).mean()
cu.facts(
    {
        "honest MADE, 1,200 steps: test nats, exact": f"{made_nats.mean():.1f}",
        "leaking MADE, 400 steps: “test nats”": f"{leak_nats:.2f}",
        "bars and stripes, leaking: “nats”": small["leaking", "bars and stripes"][1],
        "Σ p over all 512 images, leaking": small_row("leaking", "bars and stripes")[-1],
    }
)

# %% [markdown]
# The leaking network is at 5.0 nats after a third of the steps, where the best model in section 4's table has 78.6.
# Nothing went wrong in the training, and the score holds on test digits.
#
# Two things betray it.
# On 3 × 3 its "probabilities" add up to 45, not to 1: each of the 14 patterns gets nearly 1, and others, too, because each pixel tells its own logit what it is.
# And when it has to draw, nobody has told it yet: the same two brackets at the margins ten times, and specks.
# The honest one draws strokes, at 94.7 nats.
#
# **A likelihood that is too good to be true is a bug report:** add up a small case, or change one pixel and see which logits move.

# %% [markdown]
# ## 3 · Eight orders, one distribution *(deeper)*
#
# (1) holds in any order, and the masks make a change of order free: only $r(d)$ changes.
# So one network can be trained on eight orders in turn, and asked eight times.
# How should the eight answers be joined?
#
# A tempting way: average the eight logits of each pixel, and score the image with the mean.
# The honest way: each order gives a distribution, and an average of distributions is one:
#
# $$\log p(x)=\log\frac18\sum_{o=1}^8p_o(x). \tag{3}$$
#
# **Predict:** one of the two does not sum to 1. Which, and is its sum too large or too small?


# %%
def some_orders(D, n=8):
    """n orders as ranks (n, D), from 1: row by row first, the others at random."""
    g = torch.Generator().manual_seed(0)
    others = [torch.randperm(D, generator=g) + 1 for _ in range(n - 1)]
    return torch.stack([torch.arange(1, D + 1), *others])


class AllOrders(nn.Module):
    """Each pass of the training takes the next order."""

    def __init__(self, made, orders):
        super().__init__()
        self.made = made
        self.register_buffer("orders", orders)
        self.turn = 0

    def forward(self, x):
        self.turn += 1
        return self.made(x, self.orders[self.turn % len(self.orders)])


# %%
def both_ways(made, orders, x):
    """log p(x) of each order (n, B), and what the averaged logits say (B,)."""
    logits = torch.stack([made(x, rank) for rank in orders])
    each = torch.stack([log_p_pixels(one, x) for one in logits])
    return each, log_p_pixels(logits.mean(0), x)


torch.manual_seed(0)
orders = some_orders(9)
nine = AllOrders(MADE(9, 64), orders).double()
fit_whole(nine, sets["bars and stripes"], steps=4_000)
with torch.no_grad():
    each, averaged = both_ways(nine.made, orders, every)
mixture = each.logsumexp(0) - math.log(8)
assert (each.exp().sum(1) - 1).abs().max() < 1e-6 and abs(mixture.exp().sum() - 1) < 1e-6


# %% tags=["author"]
def long_mades():
    """A MADE trained on rows alone, and one on eight orders, 9,000 steps: (model, orders)."""
    found = {}
    for name, n in {"one order": 1, "eight orders": 8}.items():
        torch.manual_seed(0)
        wrapped = AllOrders(MADE(784, 200), some_orders(784, n))
        cu.fit(
            wrapped,
            pixel_loss,
            cu.Batches(mnist.train, 100),
            steps=1,
            full=9_000,
            lr=1e-2,
            schedule="cosine",
            name=f"09_made_{n}",
        )
        found[name] = (wrapped.made, wrapped.orders)
    return found


# %% tags=["author"]
def made_figures(found):
    """What the card of the MADE says."""
    x = test.flatten(1).to(device)
    with torch.no_grad():
        single, rank = found["one order"]
        one = [-both_ways(single, rank, part)[0][0] for part in x.split(1_000)]
        eight, ranks = found["eight orders"]
        parts = [both_ways(eight, ranks, part) for part in x.split(1_000)]
    each = torch.cat([pair[0] for pair in parts], 1)  # (8, N)
    mixture = each.logsumexp(0) - math.log(8)
    drawn = [cu.to_uint8(draw_made(made, 1_000, seed)) for seed in range(5)]
    score = cu.metrics.score(drawn, 1_000)
    figures = {
        "test nats, exact": (made_nats.mean().item(), 0.1),
        "rows alone, 9,000 steps": (torch.cat(one).mean().item(), 0.1),
        "eight orders: row by row": (-each[0].mean().item(), 0.1),
        "eight orders: mean of the eight": (-each.mean().item(), 0.1),
        "eight orders: mixture": (-mixture.mean().item(), 0.1),
        "eight orders: averaged logits": (
            -torch.cat([pair[1] for pair in parts]).mean().item(),
            0.1,
        ),
        "Fréchet distance": (score.distance, 5 * score.distance_spread),
        "Fréchet distance, spread of sets": (score.distance_spread, 3.0),
    }
    return figures, drawn[0]


if cu.system.profile() == "full":
    found = long_mades()
    figures, pages = made_figures(found)
    cu.ship(
        "09_made",
        None,
        made_history,
        what="a MADE of 200 hidden units with direct connections, 1,200 steps of 100",
        figures=figures,
        samples=pages,
        lesson="09_autoregressive",
    )

# %% tags=["figure"]
# @title Table: eight orders joined in two ways
cu.facts(
    {
        "Σ p over 512 images, each order": f"{each.exp().sum(1).mean():.9f}",
        "Σ p over 512 images, mixture (3)": f"{mixture.exp().sum():.9f}",
        "Σ “p” over 512 images, averaged logits": f"{averaged.exp().sum():.3f}",
    }
)
for run in cu.runs.available("09_made"):
    keys = ["row by row", "mean of the eight", "mixture", "averaged logits"]
    rows = [[key, run.figure(f"eight orders: {key}")] for key in keys]
    rows.append(["a network for one order alone", run.figure("rows alone, 9,000 steps")])
    cu.table(
        rows,
        ["asked", "test nats"],
        "10,000 test digits; a MADE trained on eight orders in turn, and one trained on rows "
        "alone (9,000 steps each, one seed). Averaged logits are no likelihood.",
        digits=2,
    )

# %% [markdown]
# The mixture sums to 1.
# The averaged logits sum to 12.8: too large, and for the reason of the leak.
# Nearly every other pixel comes before $d$ in at least one of the orders, so the averaged logit of $d$ has heard of almost all of them, and theirs of it.
#
# On digits the averaged logits say 76.73: better than anything in the table of section 4, and no likelihood at all.
# The mixture is honest, and at 94.71 it gains 3.3 nats on the mean of its eight orders, 97.99.
# It is no bargain: a network trained for rows alone, with the same number of steps, is at 92.20.
# (Averaged logits were published for a well-known implementation of MADE; its first issue, open since 2018, asks about it.)

# %% [markdown]
# ## 4 · A digit is a word of 196 letters *(core)*
#
# Pixels are small pieces.
# Fold a binary digit 2 × 2: a page of 14 × 14 places, each holding one of 16 letters, and (1) has 196 factors instead of 784.
# Nothing is lost, since a softmax over 16 letters can be any distribution of four pixels; and everything costs a quarter.


# %% tags=["figure", "slide"]
# @title Figure: letters, and two stacks that see what came before
def draw_stacks(ax, r=7, c=5):
    """The page, its places coloured: seen by v, seen by h, being guessed, not yet written."""
    place = 14 * torch.arange(14)[:, None] + torch.arange(14)
    kind = torch.where(place < 14 * r + c, 1, 3)
    kind[:r] = 0
    kind[r, c] = 2
    colours = ["#9ecae1", "#fdae6b", "#d62728", "#f2f2f2"]
    shown = torch.tensor([[int(h[i : i + 2], 16) for i in (1, 3, 5)] for h in colours])[kind]
    ax.imshow(shown.numpy())
    ax.set_xticks([x - 0.5 for x in range(15)], [""] * 15)
    ax.set_yticks([x - 0.5 for x in range(15)], [""] * 15)
    ax.grid(True, color="white", lw=1.2)
    ax.tick_params(length=0)
    ax.text(6.5, 3, "rows above: vertical stack v", ha="center", va="center", fontsize=12)
    ax.text(2, 7, "left: h", ha="center", va="center", fontsize=12)
    ax.text(6.5, 10.5, "not yet written", ha="center", va="center", fontsize=12)
    ax.set_title("the red letter is guessed")


my_page = (cu.my_digit().float() / 255 > 0.5).float().view(1, 1, 28, 28)
fig, (left, middle, right) = plt.subplots(1, 3, figsize=(11.5, 4))
left.imshow(my_page[0, 0].numpy(), cmap="gray_r")
left.set_xticks([x - 0.5 for x in range(0, 29, 2)], [""] * 15)
left.set_yticks([x - 0.5 for x in range(0, 29, 2)], [""] * 15)
left.grid(True, color="#bbbbbb", lw=0.7)
left.tick_params(length=0)
left.set_title("28 × 28 pixels in blocks")
alphabet = torch.arange(16)[:, None] >> torch.arange(4) & 1  # (16, 4)
big = alphabet.view(16, 2, 2).float().repeat_interleave(6, 1).repeat_interleave(6, 2)
cu.plots.image_grid(F.pad(big, (2, 2, 2, 2), value=0.65), rows=4, ax=middle)
middle.set_title("the 16 letters")
draw_stacks(right)
cu.show(
    fig,
    "Left: the course's digit cut into 14 × 14 blocks. Middle: the alphabet. Right: what may "
    "be looked at when the red letter is guessed.",
)


# %% tags=["shared"]
def letters_of(x):
    """Binary images (B, 1, 28, 28) as letters 0 … 15, int64 (B, 14, 14): one a 2 × 2 block."""
    b = x.reshape(-1, 14, 2, 14, 2).long()
    return b[:, :, 0, :, 0] + 2 * b[:, :, 0, :, 1] + 4 * b[:, :, 1, :, 0] + 8 * b[:, :, 1, :, 1]


def pixels_of(letters):
    """The way back: letters (B, 14, 14) → binary images (B, 1, 28, 28)."""
    bits = letters[..., None] >> torch.arange(4, device=letters.device) & 1  # (B, 14, 14, 4)
    blocks = bits.view(-1, 14, 14, 2, 2).transpose(2, 3)  # rows, then columns
    return blocks.reshape(-1, 1, 28, 28).float()


# %% [markdown]
# **The PixelCNN.**
# Convolutions see a neighbourhood; masked ones see the part of it that came before.
# Two stacks share the work.
# The *vertical* one, $v$, sees the rows above; the *horizontal* one, $h$, sees the letters to the left, and is told at every layer what $v$ knows about this row.
# Padding at one side shifts both; only the first layers must leave out the letter itself, since later ones see only what these let through; every other layer skips a letter (*dilation* 2) and so reaches farther.
# A convolution does not know where it is, so each place also gets a learned bias.
# Each layer is **gated**: half of its channels, squashed into $(0,1)$, multiply the other half:
#
# $$h\leftarrow h+W\bigl[a\odot\sigma(b)\bigr],\qquad (a,b)=\text{right}(h)+\text{link}(v). \tag{4}$$
#
# ($W$ is the box *out* below; $v$ is updated likewise, from $v$ alone; the original gate is $\tanh(a)\,\sigma(b)$; the linear one learned faster in short trials.)

# %% tags=["figure"]
# @title Figure: one gated layer
d = cu.diagram(fontsize=12)
v0 = d.node("$v$", (0, 1.7))
h0 = d.node("$h$", (0, 0))
down = d.box("down: 2 × 3", (2.2, 1.7))
gate_v = d.box(r"$a\,\sigma(b)$", (4.8, 1.7))
v1 = d.node("$v$", (8.6, 1.7))
right = d.box("right: 1 × 2", (2.2, 0))
gate_h = d.box(r"$a\,\sigma(b)$", (4.8, 0))
out = d.box("out: 1 × 1", (6.8, 0))
h1 = d.node("$h$", (8.6, 0))
for start, end in ((v0, down), (down, gate_v), (h0, right), (right, gate_h)):
    d.arrow(start, end)
d.arrow(gate_v, v1, "+")
d.arrow(gate_h, out)
d.arrow(out, h1, "+")
d.arrow(v1, gate_h)
d.text("link: 1 × 1", (7.75, 0.72))
d.text("+ : added to what $v$ or $h$ was before", (4.4, -1.0))
cu.show(d.figure, "One layer: v is updated from the rows above, and told to h before its gate.")


# %% tags=["shared"]
class GatedLayer(nn.Module):
    """One layer of both stacks: v sees all rows above, h also the letters to the left."""

    def __init__(self, width, dilation):
        super().__init__()
        self.reach = dilation
        self.down = nn.Conv2d(width, 2 * width, (2, 3), dilation=dilation)
        self.right = nn.Conv2d(width, 2 * width, (1, 2), dilation=dilation)
        self.link = nn.Conv2d(width, 2 * width, 1)
        self.out = nn.Conv2d(width, width, 1)

    def forward(self, v, h):  # both (B, width, 14, 14)
        d = self.reach
        v = v + F.glu(self.down(F.pad(v, (d, d, d, 0))), 1)  # pads left, right, top, bottom
        both = self.right(F.pad(h, (d, 0, 0, 0))) + self.link(v)
        return v, h + self.out(F.glu(both, 1))


# %% tags=["shared"]
class PixelCNN(nn.Module):
    """Letters (B, 14, 14) → logits (B, 16, 14, 14) of each letter given those before it."""

    def __init__(self, width=48, dilations=(1, 2, 1, 2, 1, 2), alphabet=16):
        super().__init__()
        self.register_buffer("letters", torch.arange(alphabet), persistent=False)
        self.first_v = nn.Conv2d(alphabet, width, (3, 7))
        self.first_h = nn.Conv2d(alphabet, width, (1, 3))
        self.place = nn.Parameter(torch.zeros(2, width, 14, 14))  # what is usual here
        self.layers = nn.ModuleList(GatedLayer(width, d) for d in dilations)
        self.read = nn.Sequential(
            nn.ReLU(), nn.Conv2d(width, width, 1), nn.ReLU(), nn.Conv2d(width, alphabet, 1)
        )
        self.usual = nn.Parameter(torch.zeros(alphabet, 14, 14))

    def forward(self, letters):
        x = (letters[..., None] == self.letters).movedim(3, 1).float()  # (B, 16, 14, 14)
        v = self.first_v(F.pad(x, (3, 3, 3, -1))) + self.place[0]  # three rows above, not this
        h = self.first_h(F.pad(x, (3, -1, 0, 0))) + self.place[1]  # three to the left, not this
        for layer in self.layers:
            v, h = layer(v, h)
        return self.read(h) + self.usual


# %%
torch.manual_seed(0)
pixelcnn = PixelCNN().to(device)
words = letters_of(test).to(device)  # (10000, 14, 14)
changed = words[:1].clone()
changed[0, 7, 5] = (changed[0, 7, 5] + 1) % 16
with torch.no_grad():
    moved = (pixelcnn(changed) != pixelcnn(words[:1]))[0].any(0).flatten()  # (196,)
assert torch.equal(pixels_of(words), test.to(device))
assert int(moved.nonzero()[0]) == 14 * 7 + 6  # the letter after the one that was changed

# %% [markdown]
# Change the letter at row 7, column 5, counted from 0, and the first output that moves is the next one, place $14\cdot7+6=104$.
#
# **Exercise 4 (core).**
# The network returns 16 logits a place.
# Write the nats of a digit, $-\log p(x)=-\sum_d\log p(x_d\mid x_{<d})$.


# %% tags=["exercise"]
def letter_nats(logits, letters):
    """−log p(x) of each image in nats (B,): logits (B, 16, 14, 14), letters (B, 14, 14)."""
    ### BEGIN SOLUTION
    return F.cross_entropy(logits, letters, reduction="none").sum((1, 2))
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# `F.cross_entropy` takes the classes on axis 1; with `reduction="none"` it returns one number a place (B, 14, 14).

# %%
checked_nats = cu.check("09.nats", letter_nats)


# %% tags=["shared"]
def letter_loss(model, x):
    """Mean nats of images x (B, 1, 28, 28) in [0, 1], binarised by chance at each pass."""
    letters = letters_of(torch.bernoulli(x))
    return checked_nats(model(letters), letters).mean()


def all_nats(model, letters, size=500):
    """−log p of each image (N,) of letters (N, 14, 14), without gradients, `size` at a time."""
    with torch.no_grad():
        return torch.cat([checked_nats(model(part), part) for part in letters.split(size)])


# %% tags=["quiet"]
digits = cu.Batches(mnist.train, 32)
cu.fit(pixelcnn, letter_loss, digits, steps=200, lr=4e-3, schedule="cosine", clip=1.0)
live_nats = all_nats(pixelcnn, words[: cu.budget(1_000, 50)]).mean()

# %% [markdown]
# Six thousand digits seen, and already better than the MADE.
# The same cell with 12,000 steps, and with its weights averaged along the way (EMA), made the run that ships with the course.
# From here the lesson goes on with these weights.


# %% tags=["author"]
WATCH = [100, 200, 400, 800, 1600, 3200, 4800, 6400, 8000, 9600, 10800, 12000]
CURVE = cu.system.folders.ROOT / "runs" / "09_pixelcnn_curve.jsonl"


def long_run():
    """12,000 steps of 32, watched on 1,000 validation digits; may be interrupted."""
    import json
    import time

    watched = letters_of(
        torch.bernoulli(mnist.val.float(), generator=torch.Generator().manual_seed(4))
    )[:1_000]
    torch.manual_seed(0)
    net = PixelCNN()
    spent = json.loads(CURVE.read_text().splitlines()[-1])["seconds"] if CURVE.exists() else 0.0
    clock = [time.process_time() - spent]

    def watch(step):
        now = time.process_time()
        line = {"step": step, "seconds": now - clock[0]}
        line["nats"] = all_nats(net, watched, 250).mean().item()
        kept = CURVE.parent / "09_snapshots"  # lesson 09b draws from these weights
        kept.mkdir(parents=True, exist_ok=True)
        torch.save(net.state_dict(), kept / f"w_{step}.pt")
        with CURVE.open("a") as file:
            file.write(json.dumps(line) + "\n")
        clock[0] += time.process_time() - now

    history = cu.fit(
        net,
        letter_loss,
        cu.Batches(mnist.train, 32),
        steps=1,
        full=12_000,
        lr=4e-3,
        schedule="cosine",
        ema=0.999,
        clip=1.0,
        name="09_pixelcnn_train",
        preview=watch,
        preview_at=WATCH,
        minutes=600,
    )
    rounded = PixelCNN()  # as the weights are on disk, so that the card holds for them
    rounded.load_state_dict(history.ema.half().float().state_dict())
    return (
        rounded.eval(),
        history,
        [json.loads(line) for line in CURVE.read_text().splitlines()],
    )


if cu.system.profile() == "full":
    shipped_net, long_history, long_curve = long_run()


# %% tags=["author"]
def nats_figures():
    """What the card says of nats: the test digits, and the curve on validation digits."""
    nats = all_nats(shipped_net, letters_of(test))
    figures = {
        "test nats, exact": (nats.mean().item(), 0.05),
        "standard error": (nats.std().item() / 100, 0.02),
        "the first 1,000 test digits": (nats[:1_000].mean().item(), 0.05),
    }
    for line in long_curve:
        figures[f"validation nats, step {line['step']}"] = (line["nats"], 0.1)
        figures[f"CPU seconds, step {line['step']}"] = (line["seconds"], line["seconds"])
    return figures


if cu.system.profile() == "full":
    details = {
        "what": "a PixelCNN over 14 × 14 letters: two stacks, six gated layers of width 48",
        "figures": nats_figures(),
        "lesson": "09_autoregressive",
    }
    cu.ship("09_pixelcnn", shipped_net, long_history, **details)

# %%
net = PixelCNN().to(device)
shipped = cu.restore("09_pixelcnn", net)
some_nats = all_nats(net, words[: cu.budget(1_000, 50)])

# %% tags=["figure", "slide"]
# @title Table: exact nats of binarised digits, and yardsticks
n = len(some_nats)
all_of_them = shipped.figure("test nats, exact")
tiny = PixelCNN(16, (1, 2), alphabet=2)  # pages of 3 × 3, two letters
tiny.place = nn.Parameter(torch.randn(2, 16, 3, 3))
tiny.usual = nn.Parameter(torch.randn(2, 3, 3))
pages = every.view(512, 3, 3).long()
total = (-checked_nats(tiny(pages).double(), pages)).exp().sum().detach()
cu.facts(
    {
        "Σ p over 512 images, a small PixelCNN": f"{total:.9f}",
        "numbers in the PixelCNN": sum(part.numel() for part in net.parameters()),
        f"200 steps here: nats of {n:,} test digits": f"{live_nats:.1f}",
        f"shipped: nats of the same {n:,}": f"{some_nats.mean():.2f}",
        "shipped: nats of all 10,000 test digits, exact": f"{all_of_them:.2f}",
        "its standard error": f"{shipped.figure('standard error'):.2f}",
        "in bits": f"{all_of_them / math.log(2):.1f}",
    },
    digits=4,
)
others = {"MADE": 84.87, "gated PixelCNN": 81.50, "PixelSNAIL": 78.61}
rows = [[f"{name}, GPU", value, "exact, reported"] for name, value in others.items()]
for name, label, key, kind in (
    ("08_hmm", "chain of rows (08)", "test nats, exact", "exact"),
    ("04_vae", "VAE (04)", "IW-500, 10,000 test images", "bound"),
    ("09_pixelcnn", "PixelCNN, shipped", "test nats, exact", "exact"),
):
    rows += [[label, run.figure(key), kind] for run in cu.runs.available(name)]
rows.append(["MADE, 1,200 steps", made_nats.mean().item(), "exact, above"])
cu.table(
    rows,
    ["model", "test nats", "kind"],
    "Dynamically binarised MNIST. The first three are reported by pytorch-generative (Hotaj), "
    "trained on a graphics card, on another draw of the binarisation.",
    digits=2,
)

steps = [
    int(key.split()[-1]) for key in shipped.card["figures"] if key.startswith("validation")
]
seconds = [shipped.figure(f"CPU seconds, step {step}") for step in steps]
curve = [shipped.figure(f"validation nats, step {step}") for step in steps]
fig, ax = plt.subplots(figsize=(8.6, 4.2))
ax.plot([s / 60 for s in seconds], curve, "o-", color=cu.plots.PALETTE[0])
for name, value in others.items():
    ax.axhline(value, color="#777777", lw=1, ls="--")
    ax.text(seconds[0] / 60, value + 0.15, f"{name}, GPU", fontsize=11)
ax.set(xscale="log", xlabel="minutes of one CPU core", ylabel="validation nats")
ax.set_xticks([0.5, 1, 2, 5, 10, 20, 40], ["0.5", "1", "2", "5", "10", "20", "40"])
ax.set_xticks([], minor=True)
ax.set_title("The first minutes bring most")
cu.show(
    fig,
    "Nats of 1,000 validation digits during the long run (averaged weights), against the CPU "
    "time of one core; dashed, test values reported by others.",
)
cu.facts(
    {f"{step:,} steps, {t:,.0f} s": f"{y:.2f}" for step, t, y in zip(steps, seconds, curve)}
)

# %% [markdown]
# **79.69 nats, exact,** with a standard error of 0.20 over 10,000 test digits: 115 bits where the pixels have 784.
# That is 1.8 below the gated PixelCNN as reimplemented for graphics cards; PixelSNAIL, with attention (09b) and far more computing, is 1.1 ahead.
# It is 15 below the MADE above, at ten times the steps; but after 200 steps it was ahead already: a convolution knows that neighbours are neighbours, and that a stroke is the same everywhere.
#
# The curve says what time buys: 94.5 nats after 19 seconds, 84.2 after 158, 80.5 after 2,451.
# (The curve uses 1,000 validation digits, uncertain by 0.6; one seed, and others used another draw of the binarisation.)

# %% [markdown]
# ## 5 · What a blind spot costs *(core)*
#
# The first PixelCNN had one stack, and masked each kernel instead:
# **mask A**, in the first layer, leaves open what comes strictly before the centre in reading order, and **mask B**, in all later ones, also the centre, which by then holds only what came before.
#
# **Exercise 5 (core).**
# Write both masks.


# %% tags=["exercise"]
def conv_mask(kind, size):
    """The mask "A" or "B" of a square kernel of odd size: (size, size), 1 where it is open."""
    ### BEGIN SOLUTION
    place = torch.arange(size * size).view(size, size)
    centre = size * size // 2
    return (place < centre + (kind == "B")).float()
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# Number the places of the kernel in reading order, `torch.arange(size * size).view(size, size)`; the centre has number `size * size // 2`.

# %%
checked_conv_mask = cu.check("09.conv", conv_mask)


class MaskedConv(nn.Conv2d):
    """A convolution that does not see what comes later; the page keeps its size."""

    def __init__(self, kind, inputs, outputs, size, dilation=1):
        pad = dilation * (size // 2)
        super().__init__(inputs, outputs, size, padding=pad, dilation=dilation)
        self.register_buffer("mask", checked_conv_mask(kind, size))

    def forward(self, x):
        w = self.weight * self.mask
        return F.conv2d(x, w, self.bias, 1, self.padding, self.dilation)


# %%
class Stacked(nn.Module):
    """The PixelCNN with one stack of masked kernels, as wide as makes their numbers equal."""

    def __init__(self, width=63, dilations=(1, 2, 1, 2, 1, 2)):
        super().__init__()
        self.register_buffer("letters", torch.arange(16), persistent=False)
        self.first = MaskedConv("A", 16, width, 7)
        self.place = nn.Parameter(torch.zeros(width, 14, 14))
        self.layers = nn.ModuleList(MaskedConv("B", width, 2 * width, 3, d) for d in dilations)
        self.outs = nn.ModuleList(nn.Conv2d(width, width, 1) for _ in dilations)
        self.read = PixelCNN(width, ()).read
        self.usual = nn.Parameter(torch.zeros(16, 14, 14))

    def forward(self, letters):
        x = (letters[..., None] == self.letters).movedim(3, 1).float()
        h = self.first(x) + self.place
        for layer, out in zip(self.layers, self.outs):
            h = h + out(F.glu(layer(h), 1))
        return self.read(h) + self.usual


# %% tags=["figure", "slide"]
# @title Widget: what may the letter look at?
def field(model, r, c):
    """How strongly the logits at (r, c) depend on each letter: (14, 14), by autograd."""
    pages = []

    def catch(layer, given):
        pages.append(given[0].detach().requires_grad_())
        return (pages[-1],)

    for name, layer in model.named_children():
        if name.startswith("first"):
            layer.register_forward_pre_hook(catch)
    logits = model(torch.zeros(1, 14, 14, dtype=torch.long))[0, :, r, c]
    slopes = torch.autograd.grad(logits.square().sum(), pages)
    slopes = [slope[0].abs().sum(0) for slope in slopes]
    if len(slopes) == 1:
        return slopes[0]
    above, left = slopes  # the two first layers of the PixelCNN get padded pages
    return F.pad(above[3:, 3:-3], (0, 0, 0, 1)) + F.pad(left[:, 3:], (0, 1))


def draw_field(kind="one stack", layers=6, ax=None):
    """The places that the red letter depends on, with so many layers after the first."""
    torch.manual_seed(0)
    build = PixelCNN if kind == "two stacks" else Stacked
    seen = field(build(16, (1, 2, 1, 2, 1, 2)[:layers]), 7, 6) > 0
    fig, ax = (ax.figure, ax) if ax else plt.subplots(figsize=(4.4, 4.6))
    page = torch.full((14, 14, 3), 0.95)
    before = torch.arange(196).view(14, 14) < 7 * 14 + 6
    page[before] = torch.tensor([0.35, 0.35, 0.35])
    page[seen] = torch.tensor([0.62, 0.79, 0.88])
    page[7, 6] = torch.tensor([0.84, 0.15, 0.16])
    ax.imshow(page.numpy())
    ax.set(xticks=[], yticks=[])
    ax.grid(False)
    blind = int((before & ~seen).sum())
    name = f"{kind}, {layers} layer{'s' if layers != 1 else ''}"
    ax.set_title(f"{name}:\n{blind} of {int(before.sum())} unseen", fontsize=12)
    return fig


def both_fields():
    """Both networks with one layer and with all six."""
    fig, axes = plt.subplots(1, 4, figsize=(13, 3.9))
    for i, ax in enumerate(axes):
        draw_field("two stacks" if i > 1 else "one stack", (1, 6)[i % 2], ax)
    return fig


cu.explore(
    draw_field,
    "What the red letter depends on (light blue), found by autograd, and what came before and "
    "is never seen (dark). Without a kernel: one and six layers after the first.",
    static=both_fields,
    kind=["one stack", "two stacks"],
    layers={"min": 0, "max": 6, "value": 6},
)


# %% tags=["author"]
def open_numbers(model):
    """How many numbers of a network are not masked."""
    total = sum(part.numel() for part in model.parameters())
    for layer in model.modules():
        if isinstance(layer, MaskedConv):
            total -= layer.weight.numel() - int(
                layer.weight[:, :, 0, 0].numel() * layer.mask.sum()
            )
    return total


def blind_spot():
    """Three pairs of trainings, 400 steps of 32, on the same batches: figures of the card."""
    watched = letters_of(
        torch.bernoulli(mnist.val.float(), generator=torch.Generator().manual_seed(4))
    )[:2_000]
    figures = {}
    for kind, build in {"two stacks": PixelCNN, "one stack": Stacked}.items():
        figures[f"{kind}: open numbers"] = (open_numbers(build()), 0)
        for seed in range(3):
            torch.manual_seed(seed)
            model = build()
            cu.fit(
                model,
                letter_loss,
                cu.Batches(mnist.train, 32, seed=seed),
                steps=1,
                full=400,
                lr=4e-3,
                schedule="cosine",
                clip=1.0,
                seed=seed,
                name=f"09_blind_{kind.split()[0]}_{seed}",
            )
            nats = all_nats(model, watched).mean().item()
            figures[f"{kind}: validation nats, seed {seed}"] = (nats, 0.3)
    return figures


cu.ship(
    "09_blind",
    what="one stack of masked kernels against two stacks: 400 steps of 32, three seeds each",
    figures=blind_spot,
    lesson="09_autoregressive",
)


# %% tags=["figure"]
# @title Table: equal numbers, equal steps, three seeds
rows = []
for run in cu.runs.available("09_blind"):
    pairs = [
        [run.figure(f"{kind}: validation nats, seed {seed}") for seed in range(3)]
        for kind in ("one stack", "two stacks")
    ]
    gaps = torch.tensor(pairs[0]) - torch.tensor(pairs[1])
    for kind, found in zip(("one stack", "two stacks"), pairs):
        rows.append([kind, int(run.figure(f"{kind}: open numbers")), *found])
    rows.append(["difference", None, *gaps.tolist()])
    cu.table(
        rows,
        ["network", "open numbers", "seed 0", "seed 1", "seed 2"],
        "Nats of 2,000 validation digits after 400 steps of 32 digits, the same for each pair.",
        digits=2,
    )
    cu.facts(
        "cost of the blind spot, nats, mean ± standard error of three pairs",
        f"{gaps.mean():.2f} ± {gaps.std() / 3**0.5:.2f}",
    )

# %% [markdown]
# With one layer both miss much; layers reach farther.
# But of the letters before the red one ten stay dark for the single stack, however many layers follow: up and to the right.
# The first kernel reaches three to the right in the row above; later ones gain one step to the right for each row they go up.
# The two stacks miss none: $v$ sees only rows above, which are all written, so its kernels need no mask.
#
# **The price:** at equal numbers and equal steps the blind network is worse in each of three pairs, by 1.68 ± 0.23 nats.
# In the long run, the 800 steps from 800 to 1,600 gained 1.4.
# (The second stack also adds depth; this pair cannot tell the two effects apart.)

# %% [markdown]
# ## 6 · Drawing *(core)*
#
# Draw the first letter, feed it in, draw the second: 196 passes.
#
# **Exercise 6 (core).**
# Write the loop.
# `pick(p, u)` of lesson 08 turns probabilities (n, 16) and uniform numbers (n, 1) into n letters.


# %% tags=["exercise"]
def draw_slowly(model, u):
    """Letters (n, rows, columns), one after the other: u (rows, columns, n, 1) uniform.

    model: letters → logits (n, alphabet, rows, columns).
    """
    ### BEGIN SOLUTION
    rows, columns, n, _ = u.shape
    letters = torch.zeros(n, rows, columns, dtype=torch.long, device=u.device)
    for r in range(rows):
        for c in range(columns):
            p = model(letters)[:, :, r, c].softmax(1)
            letters[:, r, c] = pick(p, u[r, c])
    return letters
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# Begin with a page of zeros (`dtype=torch.long`): what stands at places not yet written does not matter, that is what causality means.
# Only the logits at the place that is being written are used.

# %%
checked_drawing = cu.check("09.draw", draw_slowly)

# %% [markdown]
# Each pass computes the logits of 196 places, and 195 of them are thrown away.
# `draw` writes the same letters and computes every logit once; section 7 shows how.

# %% [markdown]
# ## 7 · Each logit once *(deeper)*
#
# What $v$ knows of a row changes no more once the rows above are written, and what $h$ knows of a letter no more once it stands.
# So each layer keeps what it has, and computes one row of $v$, or one place of $h$, at a time.


# %% tags=["shared"]
def one_hot(model, letters):
    """Letters (n, rows, columns) → (n, 16, rows, columns), as the first layers take them.

    As `F.one_hot`, which reads the largest letter first, so that a card would have to wait.
    """
    return (letters[..., None] == model.letters).movedim(3, 1).float()


def begin_row(model, letters, r, kept):
    """The vertical stack of row r, once for its 14 letters: what its layers tell the other one.

    kept: for each layer the rows of v so far; row r is appended.
    """
    x = one_hot(model, letters[:, max(r - 3, 0) : r])
    v = model.first_v(F.pad(x, (3, 3, 3 - x.shape[2], 0))) + model.place[0][:, r : r + 1]
    links = []
    for layer, rows in zip(model.layers, kept):
        d = layer.reach
        rows.append(v)  # (n, width, 1, 14)
        pair = torch.cat([rows[r - d] if r >= d else torch.zeros_like(v), v], 2)
        down = layer.down
        v = v + F.glu(F.conv2d(pair, down.weight, down.bias, 1, (0, d), (1, d)), 1)
        links.append(layer.link(v))
    return links


# %% tags=["shared"]
def next_letter(model, letters, r, c, links, left):
    """The logits (n, 16) of the letter at (r, c); left: each layer's h so far in this row."""
    x = one_hot(model, letters[:, r : r + 1, max(c - 3, 0) : c])
    here = model.place[1][:, r : r + 1, c : c + 1]
    h = model.first_h(F.pad(x, (3 - x.shape[3], 0, 0, 0))) + here
    for layer, link, row in zip(model.layers, links, left):
        d = layer.reach
        row.append(h)  # (n, width, 1, 1)
        pair = torch.cat([row[c - d] if c >= d else torch.zeros_like(h), h], 3)
        both = F.conv2d(pair, layer.right.weight, layer.right.bias) + link[..., c : c + 1]
        h = h + layer.out(F.glu(both, 1))
    return model.read(h)[:, :, 0, 0] + model.usual[:, r, c]


# %% tags=["shared"]
@torch.no_grad()
def write(model, n):
    """Writes n words: yields the logits (n, 16) of each place in turn and is sent the letters.

    After the last letter it yields the words (n, 14, 14).
    """
    letters = torch.zeros(n, 14, 14, dtype=torch.long, device=model.usual.device)
    kept = [[] for _ in model.layers]
    for r in range(14):
        links = begin_row(model, letters, r, kept)
        left = [[] for _ in model.layers]
        for c in range(14):
            letters[:, r, c] = yield next_letter(model, letters, r, c, links, left)
    yield letters


# %% tags=["shared"]
def draw(model, n, generator, temperature=1.0, start=None, given=None):
    """n drawn words (n, 14, 14); temperature 0 takes the likeliest letter.

    start (n, 14, 14) with given (14, 14) bool: letters that stand there and are not drawn.
    """
    u = torch.rand(14, 14, n, 1, generator=generator).to(model.usual.device)
    pen = write(model, n)
    answer = next(pen)
    for r in range(14):
        for c in range(14):
            p = (answer / max(temperature, 1e-4)).softmax(1)
            fixed = given is not None and given[r, c]
            answer = pen.send(start[:, r, c].to(p.device) if fixed else pick(p, u[r, c]))
    return answer


# %% tags=["shared"]
def log_letters(model, letters):
    """log p(letter | those before it) at every place: (B, 14, 14)."""
    log_p = model(letters).log_softmax(1)
    return log_p.gather(1, letters[:, None])[:, 0]


# %%
writer = PixelCNN()  # on the CPU, where both loops round alike
writer.load_state_dict(net.state_dict())
u = torch.rand(14, 14, 3, 1, generator=torch.Generator().manual_seed(0))
with torch.no_grad():
    slow = checked_drawing(writer, u)
    whole_pass = writer(slow).flatten(2).movedim(2, 0)  # (196, 3, 16)
assert torch.equal(draw(writer, 3, torch.Generator().manual_seed(0)), slow)
pen = write(writer, 3)
logits = [next(pen)]
for place in range(195):
    logits.append(pen.send(slow.flatten(1)[:, place]))
gap = (torch.stack(logits) - whole_pass).abs().max()
assert gap < 1e-5 * whole_pass.abs().max()


# %% tags=["author"]
def forks(model):
    """The course's digit and eight continuations after 4, 7 and 10 rows: the opening figure."""
    mine = letters_of(my_page)
    frames = []
    for rows in FORKS:
        given = (torch.arange(14) < rows)[:, None].expand(14, 14)
        g = torch.Generator().manual_seed(1)
        done = draw(model, 8, g, start=mine.expand(8, -1, -1), given=given)
        frames.append(torch.cat([my_page[0], pixels_of(done)[:, 0]]))
    return cu.to_uint8(torch.stack(frames)), torch.tensor(FORKS)


def pages(model, seed, temperature=1.0):
    """A thousand drawings as uint8 (1000, 28, 28)."""
    g = torch.Generator().manual_seed(seed)
    return cu.to_uint8(pixels_of(draw(model, 1_000, g, temperature))[:, 0])


def by_temperature(model):
    """Fréchet, precision and recall of three sets against validation digits, as figures."""
    figures = {}
    real = cu.metrics.validation_features()
    coins = torch.Generator().manual_seed(9)
    binary = cu.to_uint8(torch.bernoulli(mnist.val.float(), generator=coins)[:, 0])
    for temperature in (0.6, 0.8, 0.9, 1.0, 1.1, 1.2):
        sets = [pages(model, seed, temperature) for seed in (10, 11, 12)]
        score = cu.metrics.score(sets, 1_000, "validation")
        found = [
            cu.metrics.precision_recall(real, cu.metrics.features(s[:, None])) for s in sets
        ]
        key = f"temperature {temperature}"
        figures[f"{key}: Fréchet"] = (score.distance, 5 * score.distance_spread)
        figures[f"{key}: Fréchet, spread"] = (score.distance_spread, 5.0)
        for what in ("precision", "recall"):
            values = torch.tensor([one[what] for one in found])
            figures[f"{key}: {what}"] = (values.mean().item(), 0.05)
    found = cu.metrics.precision_recall(real, cu.metrics.features(binary[:1_000, None]))
    for what in ("precision", "recall"):
        figures[f"real, binarised: {what}"] = (found[what], 0.05)
    score = cu.metrics.score(binary, 1_000, "validation")
    figures["real, binarised: Fréchet"] = (score.distance, 5 * score.distance_spread)
    return figures


# %% tags=["author"]
if cu.system.profile() == "full":
    drawn_sets = [pages(shipped_net, seed) for seed in range(5)]
    score = cu.metrics.score(drawn_sets, 1_000)
    details["figures"]["Fréchet distance"] = (score.distance, 5 * score.distance_spread)
    details["figures"]["Fréchet distance, spread of sets"] = (score.distance_spread, 3.0)
    details["figures"] |= by_temperature(shipped_net)
    details |= {"samples": drawn_sets[0], "replay": forks(shipped_net)}
    cu.ship("09_pixelcnn", shipped_net, long_history, **details)
    shipped = cu.runs.load("09_pixelcnn")  # with the figures that have just been added

# %% [markdown]
# Both loops write the same digits from the same uniform numbers, and the logits agree with those of a full pass.
# 1,000 digits take seconds instead of many minutes.

# %% [markdown]
# ## 8 · Temperature *(core)*
#
# **Temperature** divides the logits by $\tau$ before the softmax: below 1 the pen prefers what is likely, above 1 it dares more.
# **Predict:** at temperature 0 each letter is the likeliest one; what does the page show?


# %% tags=["figure", "slide"]
# @title Widget: stop the pen, turn the temperature
def draw_forks(rows=7, temperature=1.0):
    """Your digit stopped after some rows, and eight continuations at a temperature."""
    given = (torch.arange(14) < rows)[:, None].expand(14, 14)
    mine = letters_of(my_page).expand(8, -1, -1)
    done = draw(net, 8, torch.Generator().manual_seed(2), temperature, mine, given)
    page = in_ink(my_page[0], 2 * rows)
    fig, ax = plt.subplots(figsize=(10.5, 1.6))
    row = torch.cat([page, in_ink(pixels_of(done)[:, 0].cpu())])
    cu.plots.image_grid(row, rows=1, titles=["written", *"12345678"], ax=ax)
    return fig


def every_temperature():
    """Ten drawings from a blank page at each of four temperatures, with the same noise."""
    rows = []
    heats = cu.budget((0.0, 0.6, 1.0, 1.2), (0.0, 1.0))
    for heat in heats:
        words = draw(net, 10, torch.Generator().manual_seed(2), heat)
        rows.append(pixels_of(words)[:, 0].cpu())
    names = [f"τ = {heat}" for heat in heats]
    return cu.plots.image_grid(torch.cat(rows), rows=len(rows), row_titles=names).figure


cu.explore(
    draw_forks,
    "Your digit, stopped after so many rows of letters, and eight continuations. Without a "
    "kernel: ten drawings from an empty page at each temperature, all from the same noise.",
    static=every_temperature,
    rows={"min": 0, "max": 13, "value": 7},
    temperature={"min": 0.0, "max": 1.4, "step": 0.2, "value": 1.0},
)

heats = (0.6, 0.8, 0.9, 1.0, 1.1, 1.2)
kinds = ("precision", "recall", "Fréchet")
values = {
    kind: [shipped.figure(f"temperature {heat}: {kind}") for heat in heats] for kind in kinds
}
fig, (left, right) = plt.subplots(1, 2, figsize=(10.5, 3.8))
for kind, colour in zip(kinds[:2], cu.plots.PALETTE):
    left.plot(heats, values[kind], "o-", color=colour, label=kind)
    left.axhline(shipped.figure(f"real, binarised: {kind}"), color=colour, ls=":", lw=1.4)
left.set(xlabel="temperature", ylabel="share", title="dotted: real, binarised (both lines)")
left.legend()
right.plot(heats, values["Fréchet"], "o-", color=cu.plots.PALETTE[2])
right.axhline(shipped.figure("real, binarised: Fréchet"), color="#777777", ls=":", lw=1.4)
right.set(xlabel="temperature", ylabel="Fréchet distance", ylim=(0, None), yscale="linear")
cu.show(
    fig,
    "Precision, recall and Fréchet distance to validation digits, means of three sets of 1,000 "
    "drawings at each temperature; dotted, the validation digits themselves, binarised.",
)
rows = [[heat, *(values[kind][i] for kind in kinds)] for i, heat in enumerate(heats)]
rows.append(["real, binarised", *(shipped.figure(f"real, binarised: {k}") for k in kinds)])
cu.table(rows, ["temperature", *kinds], "The same in numbers.", digits=2)

# %% [markdown]
# At 0 the page is blank, for every seed: the likeliest first letter is white, then the next is, and so on.
# **The likeliest letters, one by one, make no typical image** (nor need they make the likeliest one); lesson 10b asks why.
#
# Cooling a little makes drawings more plausible: precision rises from 0.80 at 1 to 0.85 at 0.8.
# At 0.6 it falls again, with recall: strokes are smooth, and four of the ten digits are 9s.
# At 1.2 the pen trembles, and both are down.
# By the Fréchet distance the model's own temperature is best: 16.6 at 1, 31.2 at 0.8, 38.5 at 1.2.

# %% [markdown]
# ## 9 · The likelihood is a file *(core)*
#
# Shannon's theorem: an outcome of probability $p$ needs $-\log_2p$ bits, and no code does better on average.
# **Arithmetic coding** reaches it.
# Begin with the interval $[0,1)$.
# Cut it in proportion to the probabilities of the first letter, keep the piece of the letter that stands there, cut that, and so on.
# The last piece has width $p(x)$, and any number in it names the image: about $-\log_2p(x)$ bits.
# Who reads the file makes the same cuts with the same model, and looks which piece the number lies in.
# All digits share one file, first the first letters of all, then the second ones, so that the network runs on all at once.
# In the code `source` is a generator: it yields the probabilities of the next letter, and is sent the letter that stood there; writer and reader run the same one.

# %% tags=["figure", "slide"]
# @title Figure: three letters narrow the interval
CUTS = ((0.5, 0.3, 0.2), (0.2, 0.6, 0.2), (0.1, 0.3, 0.6))
TAKEN = (1, 1, 2)
fig, ax = plt.subplots(figsize=(10.5, 3.3))
ax.set(xlim=(-0.13, 1.02), ylim=(-0.15, 3.15))
ax.axis("off")
low, width = 0.0, 1.0
for depth, (cuts, taken) in enumerate(zip(CUTS, TAKEN)):
    y = 2.35 - 1.1 * depth
    edge = 0.0
    for s, share in enumerate(cuts):
        colour = cu.plots.PALETTE[1] if s == taken else "#dddddd"
        ax.add_patch(plt.Rectangle((edge, y), share, 0.5, fc=colour, ec="white"))
        ax.text(edge + share / 2, y + 0.25, f"{'abc'[s]}  {share}", ha="center", va="center")
        if s == taken:
            kept = (edge, edge + share)
        edge += share
    if depth < 2:
        for here, there in zip(kept, (0, 1)):
            ax.plot([here, there], [y, y - 0.6], color="#999999", lw=1)
    low, width = low + width * kept[0], width * (kept[1] - kept[0])
    ax.text(-0.02, y + 0.25, f"letter {depth + 1}", ha="right", va="center")
ax.text(
    0.5, -0.12, f"[{low:.3f}, {low + width:.3f}): width {width:.3f}", ha="center", fontsize=12
)
cu.show(
    fig,
    "The word b, b, c: each letter keeps its share of the piece before it. The shares may "
    "change from letter to letter: a model says them.",
)
cu.facts("width of the last piece", f"{width:.3f}", "bits", f"{-math.log2(width):.2f}")

# %% [markdown]
# Computers cut with whole numbers: shares are rounded to multiples of $2^{-24}$, none to zero, and the width is kept between $2^{48}$ and $2^{64}$ by appending 16 bits whenever it gets small.


# %%
TOTAL = 2**24


def edges(p):
    """Where each letter's piece begins, in whole numbers from 0 to TOTAL: p (n, A) → lists."""
    counts = 1 + (p.double() * (TOTAL - p.shape[1])).long()
    rest = TOTAL - counts.sum(1, keepdim=True)
    counts.scatter_add_(1, counts.argmax(1, keepdim=True), rest)
    return F.pad(counts.cumsum(1), (1, 0)).tolist()


# %%
def encode(source, words):
    """One file for all words (n, T), place by place, and its length in bits."""
    low = 0  # Python's whole numbers have no largest one: a carry needs no care
    width = 2**64
    bits = 64
    p = next(source)
    for column in words.T:
        for cuts, letter in zip(edges(p), column.tolist()):
            step = width // TOTAL
            low += step * cuts[letter]
            width = step * (cuts[letter + 1] - cuts[letter])
            while width < 2**48:
                low <<= 16
                width <<= 16
                bits += 16
        p = source.send(column)
    spare = width.bit_length() - 2  # so many last digits do not matter
    length = bits - spare
    number = (low >> spare) + 1 << -length % 8
    return number.to_bytes(math.ceil(length / 8), "big"), length


# %%
def decode(source, file, n, T):
    """The words (n, T) back from the file."""
    file = file + bytes(16)
    inside = int.from_bytes(file[:8], "big")  # the number, from the lower edge of its piece
    place = 8
    width = 2**64
    words = torch.zeros(n, T, dtype=torch.long)
    p = next(source)
    for t in range(T):
        for i, cuts in enumerate(edges(p)):
            step = width // TOTAL
            letter = bisect_right(cuts, inside // step) - 1
            words[i, t] = letter
            inside -= step * cuts[letter]
            width = step * (cuts[letter + 1] - cuts[letter])
            while width < 2**48:
                inside = inside << 16 | int.from_bytes(file[place : place + 2], "big")
                place += 2
                width <<= 16
        p = source.send(words[:, t])
    return words


# %%
def letter_source(model, n):
    """The probabilities of each letter in turn, for `encode` and `decode` alike."""
    pen = write(model, n)
    answer = next(pen)
    for _ in range(196):
        letters = yield answer.softmax(1).cpu()
        answer = pen.send(letters.to(answer.device))
    yield None


some = words[: cu.budget(100, 3)].flatten(1).cpu()
file, file_bits = encode(letter_source(net, len(some)), some)
back = decode(letter_source(net, len(some)), file, *some.shape)
assert torch.equal(back, some)  # bit for bit
ideal = all_nats(net, words[: len(some)]).sum().item() / math.log(2)
assert abs(file_bits - ideal) < 2 * len(some)


# %% tags=["figure", "slide"]
# @title Table: a hundred test digits as a file
def hmm_source(chain, n):
    """Lesson 08's chain, pixel by pixel: the forward filter."""
    log_pi, log_A, log_on, _ = chain.logs()
    state = log_pi.exp().expand(n, -1)
    for place in range(784):
        r, i = divmod(place, 28)
        if r and i == 0:
            state = state @ log_A[r - 1].exp()
        on = log_on[r, i].exp()
        p = (state * on).sum(1)
        x = yield torch.stack([1 - p, p], 1)
        state = state * torch.where(x[:, None] == 1, on, 1 - on)
        state = state / state.sum(1, keepdim=True)
    yield None


def tree_source(order, p_root, p_on, n):
    """Lesson 08b's tree, from the root to the leaves; order [(pixel, its parent), …]."""
    seen = torch.zeros(n, 784, dtype=torch.long)
    for k, (i, j) in enumerate(order):
        p = p_on[k][seen[:, j]] if k else p_root.expand(n)
        seen[:, i] = yield torch.stack([1 - p, p], 1)
    yield None


def best_tree(grey, root=14 * 28 + 14):
    """Lesson 08b's tree from greys (N, 784): order, p(root = 1), p(child = 1 | parent)."""
    from scipy.sparse.csgraph import breadth_first_order, minimum_spanning_tree

    from course_utils.lessons.lesson_08b import checked_weights

    single = (grey.sum(0) + 0.5) / (len(grey) + 1)
    both = ((grey.T @ grey + 0.25) / (len(grey) + 1)).fill_diagonal_(0) + single.diag()
    span = minimum_spanning_tree((-checked_weights(single, both) - 1).fill_diagonal_(0).numpy())
    order, parent = breadth_first_order(span + span.T, root, directed=False)
    pairs = [(int(i), int(parent[i])) for i in order]
    child, above = (torch.tensor(side[1:]) for side in zip(*pairs))
    joint = both[child, above]
    off = (single[child] - joint) / (1 - single[above])
    tables = torch.stack([off, joint / single[above]], 1).clamp(1e-6, 1 - 1e-6)
    return pairs, single[root], torch.cat([tables[:1], tables])  # the root's line is not used


def png_bits(page):
    """Bits of a page of pixels (H, W) as a PNG of one bit a pixel."""
    import io

    import PIL.Image

    held = io.BytesIO()
    picture = PIL.Image.fromarray(255 - 255 * page.numpy().astype("uint8")).convert("1")
    picture.save(held, "PNG", optimize=True)
    return 8 * len(held.getvalue())


# %% tags=["figure", "slide"]
# @title Table: 100 test digits, written and read back
import gzip

n = len(some)
binary = test[:n].flatten(1).long()  # (n, 784)
hmm = RowChain(128)
cu.restore("08_hmm", hmm)
tree, p_root, p_on = best_tree(mnist.train.float()[: cu.budget(55_000)].flatten(1).double())
in_order = binary[:, [i for i, _ in tree]]
coded = {}
for name, source, symbols in (
    ("best tree (08b)", lambda: tree_source(tree, p_root, p_on, n), in_order),
    ("chain of rows (08)", lambda: hmm_source(hmm, n), binary),
    ("PixelCNN", lambda: letter_source(net, n), some),
):
    data, length = encode(source(), symbols)
    assert torch.equal(decode(source(), data, *symbols.shape), symbols)
    coded[name] = (8 * len(data) / n, length)

packed = (binary.view(n, 98, 8) << torch.arange(8)).sum(2).to(torch.uint8)
sizes = {
    "raw, 784 pixels": 784.0,
    "PNG, one file a digit": sum(png_bits(page) for page in binary.view(n, 28, 28)) / n,
    "PNG, one file": png_bits(binary.view(-1, 28)) / n,
    "gzip, one file": 8 * len(gzip.compress(bytes(packed.flatten().tolist()), 9)) / n,
}
child, above = (torch.tensor(part[1:]) for part in zip(*tree))
p = p_on[torch.arange(1, 784), binary[:, above]]  # (n, 783)
tree_bits = -torch.where(binary[:, child] == 1, p, 1 - p).log2().sum()
tree_bits -= torch.where(binary[:, tree[0][0]] == 1, p_root, 1 - p_root).log2().sum()
hmm_bits = -log_digits(binary.view(n, 28, 28).float(), *hmm.logs()).sum().item() / math.log(2)
rows = [[name, bits, None, None] for name, bits in sizes.items()]
for name, (bits, length) in coded.items():
    best = {"best tree (08b)": float(tree_bits), "PixelCNN": ideal}.get(name, hmm_bits)
    rows.append([name, bits, best / n, (length - best) / n])
cu.table(
    rows,
    ["code", "bits a digit", "−log₂ p", "excess"],
    f"The first {n} binarised test digits. All but raw, PNG and gzip through our coder; each "
    "file was read back and compared. Excess: before rounding to whole bytes.",
    digits=2,
)
saved = sizes["gzip, one file"] - coded["PixelCNN"][0]
weights_bits = 8 * sum(part.stat().st_size for part in shipped.path.glob("weights*"))
cu.facts(
    {
        "bytes of the file": len(file),
        "bytes of the decoder's weights": weights_bits // 8,
        "digits until it pays, against gzip": round(weights_bits / saved),
    }
)

# %% [markdown]
# The files come back bit for bit, for all three models.
# A digit takes 111 bits, 0.01 more than $-\log_2p$: the coder wastes nothing, all that counts is the model.
# Gzip takes 277 bits, and PNG 347 on one page; as files of their own PNGs are larger than raw pixels.
# Lesson 08's chain takes 139 bits and 08b's tree 190: **a better likelihood is a smaller file, bit by bit.**
#
# The decoder needs the weights: 621,824 bytes, two a number.
# Against gzip they pay after some 30,000 digits.
# And both ends must compute exactly the same probabilities: one bit of rounding difference, from another batch size or another machine, and all that follows is noise.

# %% [markdown]
# ## 10 · Your digit, in bits *(deeper)*
#
# **Exercise 7 (deeper, predict and measure).**
# How many bits will *your* digit take?
# Look at the table, and at your digit.


# %% tags=["exercise"]
def my_bits():
    """Your guess: the size of your digit's file, in bits."""
    ### BEGIN SOLUTION
    return 100
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# `return 300`; any number from 1 to 784 will do.

# %%
checked_bits = cu.check("09.bits", my_bits)

mine = letters_of(my_page).to(device)
my_file, my_length = encode(letter_source(net, 1), mine.flatten(1).cpu())
with torch.no_grad():
    each_letter = -log_letters(net, mine)[0].cpu() / math.log(2)  # (14, 14)

# %% tags=["figure"]
# @title Figure: where the bits of your digit are
fig, (left, right) = plt.subplots(1, 2, figsize=(8.6, 4))
left.imshow(my_page[0, 0].numpy(), cmap="gray_r")
shown = right.imshow(each_letter.numpy(), cmap="viridis")
fig.colorbar(shown, ax=right, label="bits")
for ax in (left, right):
    ax.set(xticks=[], yticks=[])
    ax.grid(False)
left.set_title("your digit")
right.set_title(f"bits of each letter, {each_letter.sum():.0f} in all")
cu.show(fig, "Your digit, and what each of its 196 letters costs given those before it.")
cu.facts("your guess, bits", checked_bits(), "the file, bits", my_length)
cu.facts(
    "share of the bits in the ten most expensive letters",
    f"{each_letter.flatten().topk(10).values.sum() / each_letter.sum():.0%}",
)

# %% [markdown]
# The first ink of each stroke costs 3 to 5 bits, going on one or two, and white margins almost nothing.
# Ten letters of 196 hold a third of the file.

# %% [markdown]
# ## 11 · The arena *(core)*
#
# Two models enter, both with exact nats and drawings in zeros and ones.

# %% tags=["figure"]
# @title Table: both enter, nats and Fréchet distance
cu.enter(
    "09_made",
    lambda n: draw_made(made, n),
    step=cu.arena.training_step(made, pixel_loss, mnist.train.float()[:100].to(device)),
    steps=1_200,
    numbers=made,
)
cu.enter(
    "09_pixelcnn",
    lambda n: pixels_of(draw(net, n, None)),
    step=cu.arena.training_step(net, letter_loss, mnist.train.float()[:32].to(device)),
    steps=12_000,
    numbers=net,
)

n_sets = cu.budget(5, 1)
n_images = cu.budget(1_000, 200)
coins = torch.Generator().manual_seed(9)
real = torch.bernoulli(mnist.val.float()[:, 0], generator=coins)
real_sets = [cu.to_uint8(real[i * n_images :][:n_images]) for i in range(n_sets)]
floor = cu.metrics.score(real_sets, n_images)
rows = [
    [
        "validation digits, binarised",
        None,
        f"{floor.distance:.1f} ± {floor.distance_spread:.1f}",
    ]
]
pictures = [real[:12]]
names = ["real"]
labels = {
    "08_tree": "best tree (08b)",
    "08_hmm": "chain of rows (08)",
    "09_made": "MADE, 1,200 steps",
    "09_pixelcnn": "PixelCNN",
}
for run in sorted(cu.runs.available(*labels), key=lambda run: list(labels).index(run.name)):
    distance = run.figure("Fréchet distance")
    spread = run.figure("Fréchet distance, spread of sets")
    rows.append(
        [labels[run.name], run.figure("test nats, exact"), f"{distance:.1f} ± {spread:.1f}"]
    )
    pictures.append(torch.as_tensor(run.samples[:12]).float() / 255)
    names.append(labels[run.name].split(" (")[0].split(",")[0])
cu.table(
    rows,
    ["", "−log p, nats, exact", "Fréchet distance"],
    "10,000 test digits, dynamic binarisation (seed 4). Fréchet distance to test digits "
    "(section 8: validation), five sets of 1,000 draws.",
    digits=1,
)
ax = cu.plots.image_grid(torch.cat(pictures), rows=len(names), row_titles=names)
cu.show(
    ax.figure, "Twelve binarised validation digits, and the first twelve draws of each model."
)

# %% [markdown]
# The two rulers do not agree on everything.
# The MADE is 5 nats ahead of lesson 08's chain, 94.7 against 99.5, and its drawings are farther from real ones, 85 against 66: specks cost the eye more than the likelihood.
# The PixelCNN is first by both, at 79.7 nats and 13.9; binarised real digits are at 9.6.
# For the first time in this course an exact likelihood stands beside drawings with whole strokes.
#
# The price is time: 196 steps, one after the other, where lesson 04's decoder needs one pass.
# And there is no latent vector: nothing to interpolate, nothing to edit.
# Lesson 04b's latent died beside a decoder of this kind: whoever can guess each pixel from its neighbours needs no $z$.
#
# **Exercise 8 (deeper, open).**
# Make the PixelCNN better at equal CPU time: another alphabet (2 × 4 blocks, 256 letters), a condition on the class, another gate, more width and fewer layers.
# Say beforehand which number should improve, choose on validation digits, use three seeds, and report what did not help.

# %% [markdown]
# ## Recap *(core)*
#
# | you can | because you saw |
# |---|---|
# | write a joint as conditionals | sums over 512 images, 1 to nine digits, for good and bad models |
# | mask a network, spot a leak | 5.0 "nats", a sum of 45, and no digits |
# | count a digit's nats in letters | 79.69 exact, 115 bits |
# | price a blind spot | ten unseen letters, 1.7 nats, three pairs |
# | draw, and turn the temperature | a blank page at 0, trembling at 1.2 |
# | make a file format | 100 digits, bit for bit, 0.01 bits over the ideal |
#
# **What breaks, and why.**
# What looks ahead, through one sign or through an average, is no distribution, and its numbers are too good.
# What never looks ahead is exact, and slow to draw.
#
# **Next.**
# Lesson 09b writes attention out, asks whether the order of the letters matters, and completes digits, where feeding in what is given turns out to be a trap.

# %% [markdown]
# ## Where this stands *(deeper)*
#
# **Lineage.**
# Logistic conditionals go back to Frey, Hinton and Dayan (1996); NADE (Larochelle and Murray 2011) shared their hidden units; MADE (Germain et al. 2015) made all of them one masked pass.
# PixelRNN and PixelCNN (van den Oord et al. 2016) brought the two dimensions back, their gated sequel closed the blind spot and WaveNet carried the idea to sound.
# PixelCNN++ replaced the softmax by a mixture of logistics (09b); PixelSNAIL added attention.
#
# **Today** the same factorisation with attention over words is the language model (lesson 18, to come), and over codes of a learned alphabet it draws images.
# On pixels diffusion has taken over, because 196 steps grow with the page and thirty denoising steps do not.
#
# **Compression.**
# Arithmetic coding (Rissanen 1976; Witten, Neal and Cleary 1987) separates the model from the code for good: all lossless compressors with learned models use it or its cousin ANS.
# That the bytes of the decoder count, too, is the two-part code of minimum description length.
#
# **Parallel drawing.**
# Speculative decoding lets a small model guess several letters and the large one check them in one pass; the distribution stays exact.

# %% [markdown]
# ### References
#
# - Germain, Gregor, Murray, Larochelle (2015): *MADE: Masked Autoencoder for Distribution Estimation* (equation 2).
# - van den Oord, Kalchbrenner, Kavukcuoglu (2016): *Pixel Recurrent Neural Networks* (masks A and B).
# - van den Oord, Kalchbrenner, Vinyals, Espeholt, Graves, Kavukcuoglu (2016): *Conditional Image Generation with PixelCNN Decoders* (two stacks, gates).
# - Dauphin, Fan, Auli, Grangier (2017): *Language Modeling with Gated Convolutional Networks* (the linear gate).
# - Witten, Neal, Cleary (1987): *Arithmetic Coding for Data Compression*.
# - Hotaj: *pytorch-generative* (the reported nats of others), and issue 1 of Karpathy's *pytorch-made* (averaged logits).
