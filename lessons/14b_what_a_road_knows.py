# %% [markdown]
# # 14b What a road knows
#
# **A road is more than its end: it can hide a class in the noise, it tells how likely a picture is, and every point on it knows where it leads.**
#
# Lesson 14 straightened the road from noise to data.
# Here are three things along it: a trap, a number and a shortcut.

# %% tags=["setup"]
import math
from functools import partial

import matplotlib.pyplot as plt
import torch
from scipy.optimize import linear_sum_assignment
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from torch import nn

import course_utils as cu
from course_utils.lessons.lesson_06 import draw_mixture, energy, log_p_and_score, real_vs_real
from course_utils.lessons.lesson_14 import (
    Flow,
    checked_loss,
    euler,
    even,
    spread_times,
    velocity,
)
from course_utils.nets import UNet

device = cu.setup()
mnist = cu.mnist()

# %% tags=["figure", "slide"]
# @title Figure: ten digits, asked by name
for run in cu.runs.available("14b_trap"):  # section 1 makes it
    drawn = torch.from_numpy(run.replay[0])  # (3, 20, 28, 28)
    titles = ["independent", "transport", "within the class"]
    ax = cu.plots.image_grid(drawn[:, :10].flatten(0, 1), rows=3, row_titles=titles, note=False)
    cu.show(
        ax.figure,
        "Three models of blurred digits, each asked for 0 to 9, with the same ten noises. "
        "They differ in which noise was paired with which digit in training, in nothing else.",
    )

# %% [markdown]
# **After this lesson you can** say when minibatch transport ruins a model that is told the class, and mend it ·
# compute $\log p(x)$ of a diffusion model by walking its road backwards ·
# estimate a trace of 784 numbers with one random probe ·
# train a network that jumps from any point of a road to its end ·
# say what ten, four and one evaluations cost in quality.
#
# **Builds on** 14 (velocity, transport, Heun), 10 and 10b (change of variables, bits a pixel, likelihood and quality), 12 (asking for a class), 07 (Fréchet distance, precision, recall).
#
# As in lesson 14, **noise is at $t=0$, data at $t=1$.**
#
# | letter | meaning | letter | meaning |
# |---|---|---|---|
# | $x_t$, $\varepsilon$ | a point on a road; its start, noise | $u$ | velocity, the slope of the road |
# | $y$ | the class a model is asked for | $\nabla\!\cdot u$ | divergence: the sum of all $\partial u_i/\partial x_i$ |
# | $z$ | a probe, random signs | $f(x_t,t)$ | guess at the end of the road through $x_t$ |

# %% [markdown]
# ## 1 · A noise that knows the answer *(core)*
#
# In lesson 14 *transport* paired each noise of a batch with a point nearby, and the roads hardly bent.
# Now tell the model the class: train $u(x_t,t,y)$, and ask it for a 3.
# When asking, the noise is drawn fresh; it cannot know what will be asked for.
#
# To see what happens in seconds, each digit is described by 32 numbers, its first principal components (lesson 00).

# %%
flat = mnist.train.x.flatten(1).float().to(device) / 127.5 - 1
torch.manual_seed(0)  # for svd_lowrank
middle = flat.mean(0)
axes_32 = torch.svd_lowrank(flat - middle, q=40)[2][:, :32]
codes = (flat - middle) @ axes_32
size = codes.std()
codes = codes / size  # (55,000, 32)
labels = mnist.train.y.to(device)


def as_image(x):
    """Codes (n, 32) → images (n, 1, 28, 28) in [0, 1]."""
    return ((x * size @ axes_32.T + middle) / 2 + 0.5).clamp(0, 1).view(-1, 1, 28, 28)


# %% [markdown]
# **Exercise 1 (core).**
# First the repair, whose use will show in a moment: assign *within each class*.
# Every class keeps the noises that stand in its own rows, and only their order among themselves may change.


# %% tags=["exercise"]
def assigned_within(eps, x, y):
    """Noises eps (B, D) in a new order: row i goes with x (B, D), of class y (B,), any int64.

    Each class keeps the noises of its own rows, assigned at least sum of squared distances
    (linear_sum_assignment(cost) → rows, columns; cost on the CPU).
    """
    ### BEGIN SOLUTION
    paired = eps.clone()
    for label in y.unique():
        rows = (y == label).nonzero()[:, 0]
        cost = torch.cdist(x[rows], eps[rows]).square().cpu()
        order = torch.from_numpy(linear_sum_assignment(cost)[1]).to(rows.device)
        paired[rows] = eps[rows[order]]
    return paired
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# `rows` of a class; the cost of each of its $x$ with each of its noises; `columns` says which noise each row gets.
# `eps[rows[columns]]` are these noises.

# %%
checked_within = cu.check("14b.assigned_within", assigned_within)


# %%
class Told(nn.Module):
    """Codes (B, 32), times (B,) and classes (B,) → velocities (B, 32)."""

    def __init__(self, width=256):
        super().__init__()
        sizes = [32 + 16 + 10, width, width, width]
        layers = []
        for a, b in zip(sizes, sizes[1:]):
            layers += [nn.Linear(a, b), nn.SiLU()]
        self.net = nn.Sequential(*layers, nn.Linear(width, 32))

    def forward(self, x, t, y):
        angle = t[:, None] * math.pi * torch.arange(1, 9, device=t.device)
        asked = nn.functional.one_hot(y, 10).to(x)
        return self.net(torch.cat([x, angle.sin(), angle.cos(), asked], 1))


def paired_noise(way, x, y):
    """Noises (B, D) for data x (B, D) of classes y (B,)."""
    eps = torch.randn_like(x)
    if way == "independent":
        return eps
    if way == "transport":  # one class for all: nobody looks at y
        y = torch.zeros_like(y)
    return checked_within(eps, x, y)


# %%
def told_by(way, seed=0):
    """A trained Told; `way` says how the noises of a batch of 256 are paired."""

    def loss(model, x, y):
        eps = paired_noise(way, x, y)
        times = spread_times(len(x), x.device)
        return checked_loss(lambda x, t: model(x, t, y), x, eps, times)

    torch.manual_seed(seed)
    options = {"lr": 2e-3, "schedule": "cosine", "ema": 0.999}
    batches = cu.Batches((codes, labels), 256)
    return cu.fit(Told(), loss, batches, steps=cu.budget(2_000, 10), **options).ema.eval()


WAYS = ("independent", "transport", "within the class")
told = {way: told_by(way) for way in WAYS}


# %%
def asked_for(model, y, n, seed=1):
    """Codes of classes y (B,), from fresh noise in n even Euler steps."""
    eps = torch.randn(len(y), 32, generator=torch.Generator().manual_seed(seed)).to(device)
    with torch.no_grad():
        return euler(velocity(partial(model, y=y)), eps, even(n))


def read_in_noise(way, data, y, batch, n=6_144):
    """Share of classes that logistic regression reads in the noise, and the squared way."""
    torch.manual_seed(2)
    parts = [paired_noise(way, x, c) for x, c in zip(data[:n].split(batch), y[:n].split(batch))]
    eps = torch.cat(parts)
    squared = (eps - data[:n]).square().sum(1).mean().item()
    eps = eps.cpu()
    y = y[:n].cpu()
    part = 2 * n // 3
    reader = LogisticRegression(max_iter=200).fit(eps[:part], y[:part])
    return reader.score(eps[part:], y[part:]), squared


# %%
n = cu.budget(2_000, 200)
pages = mnist.val.x[:n].flatten(1).float().to(device) / 127.5 - 1
unseen = ((pages - middle) @ axes_32 / size).cpu()
truth = mnist.val.y[:n]
reader = KNeighborsClassifier(5).fit(codes[:20_000].cpu(), labels[:20_000].cpu())
wish = torch.arange(n, device=device) % 10


def share_right(model, steps):
    """Share of draws in which the nearest training digits are of the class that was asked."""
    read = reader.predict(asked_for(model, wish, steps).cpu())
    return (torch.from_numpy(read) == wish.cpu()).float().mean().item()


# %% tags=["author"]
for _ in cu.budget([], [], [1]):
    figures = {}
    for way in WAYS:
        for seed in (0, 1, 2):
            model = told[way] if seed == 0 else told_by(way, seed)
            figures[f"{way}, seed {seed}: right"] = (share_right(model, 50), 0.03)
    for batch in (64, 256):
        for way in ("independent", "transport"):
            known, squared = read_in_noise(way, flat, labels, batch)
            figures[f"pixels, {way}, {batch}: class in the noise"] = (known, 0.03)
            figures[f"pixels, {way}, {batch}: squared way"] = (squared, 20.0)
    asked = torch.arange(20, device=device) % 10
    drawn = torch.stack([as_image(asked_for(model, asked, 50)) for model in told.values()])
    cu.ship(
        "14b_trap",
        what="models of 32 numbers told the class, with three pairings of noise and digit",
        figures=figures,
        replay=(cu.to_uint8(drawn)[:, :, 0].cpu(), [1, 2, 3]),
    )

# %% [markdown]
# **Predict:** all three models are asked for each class, with fresh noise.
# How often does the one trained on transport draw the class that was asked?

# %% tags=["figure", "slide"]
# @title Table: three pairings
rows = []
for way, model in told.items():
    known, squared = read_in_noise(way, codes, labels, 256, cu.budget(6_144, 768))
    row = [way, f"{known:.3f}", f"{squared:.1f}"]
    for steps in (4, 50):
        drawn = asked_for(model, wish, steps).cpu().double()
        row += [f"{share_right(model, steps):.3f}", f"{energy(drawn, unseen.double()):.3f}"]
    rows.append(row)
rows.append(["unseen digits", None, None, f"{reader.score(unseen, truth):.3f}", *[None] * 3])
some = torch.randperm(len(codes), generator=torch.Generator().manual_seed(0))[:n]
floor = energy(codes.cpu()[some].double(), unseen.double())
cu.table(
    rows,
    ["pairs", "class in noise", "way²", "right, 4", "energy, 4", "right, 50", "energy, 50"],
    "Share of classes that logistic regression reads in the noise (chance: 0.1); mean squared "
    "way from noise to digit; for 4 and 50 steps the share of draws of the class asked, read "
    "by the five nearest training digits, and the energy distance of draws to unseen digits "
    f"(that of as many training digits: {floor:.3f}).",
)
trap = cu.runs.load("14b_trap")
rows = []
for way in WAYS:
    rows.append(
        [way, *(f"{trap.figure(f'{way}, seed {seed}: right'):.3f}" for seed in range(3))]
    )
cu.table(
    rows, ["right, 50 steps", "seed 0", "seed 1", "seed 2"], "Shipped: three trainings each."
)
rows = []
for way, batch in (("independent", 256), ("transport", 64), ("transport", 256)):
    key = f"pixels, {way}, {batch}"
    known = trap.figure(f"{key}: class in the noise")
    rows.append([way, batch, f"{known:.3f}", f"{trap.figure(f'{key}: squared way'):.0f}"])
cu.table(
    rows,
    ["784 pixels", "batch", "class in noise", "squared way"],
    "Shipped: the same for the pixels themselves, 6,144 pairs.",
)

# %% [markdown]
# Asked for a class, the model trained on transport draws it in seven cases of ten; with independent pairs in more than nine.
# (The reader itself knows 97 % of unseen digits.)
# In the figure at the top the middle row's 1 is half a 4.
#
# In its pairs **class and noise go together**: from the noise alone logistic regression reads the class in 41 % of cases.
# So the model has learned the road to a 3 only for noises near the 3s, and a fresh noise is mostly none of them.
# Lesson 14's argument was about the whole crowd, and holds; but the crowd of *one class* no longer starts as $\mathcal N(0,I)$, and that is where asking starts.
#
# Which noises stand in the rows of a class is chance; only their order is chosen.
# So assigned within the class, the noises of every class are still $\mathcal N(0,I)$, and the way is still shorter than with independent pairs (49.4 and 64.6).
# So it obeys, and four steps bring it nearer to digits than independent pairs do (0.055 and 0.097).
#
# With 784 pixels the tie is weaker: 20 % can be read instead of 11, and the way gets shorter by a twentieth.
# How well such a model would obey was not tried.
# Among so many coordinates everything is about equally far from everything, and a batch holds no neighbour.

# %% [markdown]
# ## 2 · How likely is a picture? *(core)*
#
# A flow of lesson 10 knows $\log p(x)$; a diffusion model, it seemed, only a bound on it.
# But along the road it *can* be had.
#
# Think of a small cloud of points around $x_t$.
# Where $u$ pulls its points apart the cloud grows and gets thinner; where $u$ pulls them together, it gets denser.
# In a short time $h$ each axis $i$ is stretched by $1+h\,\partial u_i/\partial x_i$, and the volume by $1+h\sum_i\partial u_i/\partial x_i$, up to terms in $h^2$.
# (The other slopes, $\partial u_i/\partial x_j$, shear the cloud; up to $h^2$ that changes no volume.)
# That sum is the **divergence** $\nabla\!\cdot u$, so along a road
#
# $$\frac{\mathrm d}{\mathrm dt}\log p_t(x_t)=-\nabla\!\cdot u(x_t,t),\qquad \log p_1(x_1)=\log\mathcal N(\varepsilon;0,I)-\int_0^1\nabla\!\cdot u\;\mathrm dt. \tag{1}$$
#
# It is lesson 10's change of variables, in infinitely many small layers (Chen et al., 2018).
#
# For 784 pixels the divergence costs 784 differentiations.
# But it is the *trace* of the matrix $J=\partial u/\partial x$, and a trace can be estimated: for a **probe** $z$ of random signs
#
# $$\mathbb E\,z^\top Jz=\sum_{ij}J_{ij}\,\mathbb E[z_iz_j]=\sum_iJ_{ii}, \tag{2}$$
#
# since $\mathbb E[z_iz_j]$ is 1 for $i=j$ and 0 otherwise (Hutchinson, 1989).
# And $z^\top J$ is what one backward pass gives.
#
# **Exercise 2 (core).**
# Write $z^\top Jz$ for every row.


# %% tags=["exercise"]
def divergence(u, x, t, probe):
    """zᵀJz of each row: u(x, t) gives velocities, x and probe z (B, …), one time t → (B,).

    Inside, x must require gradients; what is returned must not.
    """
    ### BEGIN SOLUTION
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        (slope,) = torch.autograd.grad((u(x, t) * probe).sum(), x)
    return (slope * probe).flatten(1).sum(1)
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# `torch.autograd.grad(number, x)` gives the slopes of one number; take the sum of $u\cdot z$ over everything.
# Rows do not mix, so each gets its own $z^\top J$.

# %%
from course_utils.lessons.lesson_14 import checked_heun

checked_divergence = cu.check("14b.divergence", divergence)

# %% [markdown]
# Now walk *back*, from the picture at $t=1$ to its noise at $t=0$, by Heun, and sum the divergences on the way.
#
# **Exercise 3 (core).**
# Write (1): a step of length $h$ costs $h$ times the mean of the divergences at its two ends.


# %% tags=["exercise"]
def log_likelihood(u, x, times, probe, trace):
    """log p of x (B, …) at times[-1], walked back to the noise N(0, I) at times[0] = 0: (B,).

    u(x, t) gives velocities; times is a list, uneven maybe; trace(u, x, t, probe) is (2),
    with a probe (B, …) to be used as it is. `checked_heun` is at hand; with a negative h it
    walks back. The result carries no graph, if u's answers carry none.
    """
    ### BEGIN SOLUTION
    total = 0.0
    for later, t in zip(times[::-1], times[-2::-1]):
        h = later - t
        total = total - h / 2 * trace(u, x, later, probe)
        x = checked_heun(u, x, later, -h)
        total = total - h / 2 * trace(u, x, t, probe)
    D = x[0].numel()
    noise = -x.flatten(1).square().sum(1) / 2 - D / 2 * math.log(2 * math.pi)
    return noise + total
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# Three lines a step: half of $h$ times the divergence here, the step, half of $h$ times the divergence there.
# At the end add $-\lVert x\rVert^2/2-\frac D2\log2\pi$ at the place where the walk *ended*.

# %%
checked_log_likelihood = cu.check("14b.log_likelihood", log_likelihood)


def log_p(u, x, times, probe):
    """The same with the checked divergence."""
    return checked_log_likelihood(u, x, times, probe, checked_divergence)


# %% [markdown]
# In the plane everything is known: lesson 06's mixture, its exact $u$, and its exact $\log p$.
# There the two axes as probes give the exact trace: their results are added, and the density of the noise, then counted twice, is taken off once.
# Random signs give an estimate.
# **Predict:** the error with one probe, and with 16?


# %%
from course_utils.lessons.lesson_14 import exact_u


def plane_u(x, t):
    """Lesson 14's exact velocity, kept off t = 0, where it would divide by 0."""
    return exact_u(x, max(t, 1e-6))


# %%
def exact_log_p(x, times):
    """log p (B,) of points (B, 2) with the exact trace: the two axes are the probes."""
    probes = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]).to(x)
    found = [log_p(plane_u, x, times, probe.expand_as(x)) for probe in probes]
    one, other, neither = found
    return one + other - neither  # the last holds the density of the noise alone


def signs(x, seed):
    """A probe for x: +1 or −1 everywhere, by chance."""
    generator = torch.Generator().manual_seed(seed)
    return (2 * torch.randint(0, 2, x.shape, generator=generator) - 1).to(x)


# %%
some = draw_mixture(cu.budget(200, 20), 5)
truth = log_p_and_score(some, torch.tensor(1.0).double())[0]
off = {}
for n in cu.budget((50, 100, 200, 400), (50, 400)):
    off[f"exact trace, {n} steps: worst error"] = (
        (exact_log_p(some, even(n)) - truth).abs().max()
    )
assert off["exact trace, 400 steps: worst error"] < 1e-3
exact = exact_log_p(some, even(100))
guesses = []
for seed in range(cu.budget(16, 2)):
    guesses.append(log_p(plane_u, some, even(100), signs(some, seed)))
off["one probe: mean error"] = (guesses[0] - exact).abs().mean()
off["16 probes: mean error"] = (torch.stack(guesses).mean(0) - exact).abs().mean()
cu.facts({name: f"{value:.4f}" for name, value in off.items()})

# %% [markdown]
# With the exact trace the error falls by four when the steps double, as it should for Heun, to 0.0002.
# One probe is off by 0.44 on average, sixteen by 0.10: about a quarter, the root of a sixteenth.
# The estimate is right on average, so for the *mean* over many digits one probe each will do.
#
# ### 500 digits
#
# A grey level is a whole number, and a density of whole numbers means nothing; so noise is added, uniform over a level (lessons 02b and 10).
# Pixels then lie in $[-1,1]$, where a level is $1/128$ wide:
#
# $$\text{bits a pixel}=7-\frac{\log p(x)}{784\log2}. \tag{3}$$
#
# And the road is left shortly before its end.
# Most pixels are all black: near $t=1$ the density piles up there, and the network has hardly seen noises so small.
# A model that stops at $t_1$ and divides by it is a model, too (which adds $784\log t_1$ to $\log p$); for *it* (3), averaged over the added noise, is a bound from above (lesson 10), up to the error of the walk.
# $t_1=0.998$ is chosen on validation digits.


# %%
def odds_ladder(n, end=0.998, most=30.0):
    """0, then n times even in the logarithm of (1 − t)/t, from `most` down to t = `end`."""
    odds = torch.linspace(math.log(most), math.log((1 - end) / end), n).double().exp()
    return [0.0, *(1 / (1 + odds)).tolist()]


def bits_a_pixel(u, levels, times, seed=0, probes=1):
    """Equation (3), (B,), for grey levels 0 … 255 (B, 1, 28, 28); noise, probes by a seed."""
    noise = torch.rand(levels.shape, generator=torch.Generator().manual_seed(seed))
    x = ((levels + noise) / 128 - 1).to(device, memory_format=torch.channels_last)
    of_x = 784 * math.log(times[-1])  # log p of x, not of t₁ x
    found = torch.full((len(x),), of_x, device=device)
    for k in range(probes):
        found += log_p(u, times[-1] * x, times, signs(x, seed + k + 1)) / probes
    return (7 - found / (784 * math.log(2))).cpu()


# %%
from course_utils.lessons.lesson_14 import flow_of

flow = cu.prepare(Flow())
cu.restore("14_flow", {"flow": flow})
unet = cu.prepare(UNet())
cu.restore("06_diffusion", unet)
for net in (unet, flow):
    net.eval().requires_grad_(False)
roads = {"lesson 06": flow_of(unet), "lesson 14": velocity(flow)}
roads = {name: u.__wrapped__ for name, u in roads.items()}  # the same without no_grad
few = mnist.test.x[: cu.budget(8, 2)].view(-1, 1, 28, 28)
for name, u in roads.items():
    live = bits_a_pixel(u, few, odds_ladder(cu.budget(30, 3)))
    cu.facts(f"{name}: bits a pixel of {len(few)} test digits", live.mean().item())

# %% tags=["author"]
for _ in cu.budget([], [], [1]):
    figures = {}
    for name, u in roads.items():
        levels = mnist.val.x[:24].view(-1, 1, 28, 28)
        for end in (0.99, 0.998, 0.9995):
            bits = bits_a_pixel(u, levels, odds_ladder(60, end))
            figures[f"{name}: validation bits, end at {end}"] = (bits.mean().item(), 0.05)
        levels = mnist.test.x[:500].view(-1, 1, 28, 28)
        bits = torch.cat([bits_a_pixel(u, part, odds_ladder(60)) for part in levels.split(50)])
        figures[f"{name}: test bits"] = (bits.mean().item(), 0.05)
        figures[f"{name}: standard error"] = (bits.std().item() / 500**0.5, 0.005)
        first = bits[:50].mean().item()
        tried = {"150 steps": (150, 0, 1), "other noise": (60, 50, 1), "4 probes": (60, 0, 4)}
        for what, (n, seed, probes) in tried.items():
            bits = bits_a_pixel(u, levels[:50], odds_ladder(n), seed, probes)
            figures[f"{name}: {what}"] = (bits.mean().item() - first, 0.02)
    cu.ship("14b_bits", what="bits a pixel of 500 test digits along the road", figures=figures)

# %% tags=["figure", "slide"]
# @title Table: bits a pixel, and the distance of the draws
card = cu.runs.load("14b_bits")
steps_card = cu.runs.load("14_steps")
tried = ("150 steps", "other noise", "4 probes")
rows = []
for name, way in {"lesson 06": "06, Adams, 20", "lesson 14": "flow, Adams, 20"}.items():
    bits = f"{card.figure(f'{name}: test bits'):.3f}"
    error = f"{card.figure(f'{name}: standard error'):.3f}"
    moves = [f"{card.figure(f'{name}: {what}'):+.3f}" for what in tried]
    rows.append([name, bits, error, *moves, f"{steps_card.figure(f'{way}: test'):.1f}"])
older = cu.runs.load("10_flow")
bits = f"{older.figure('test bits per dimension'):.3f}"
error = f"{older.figure('standard error'):.3f}"
distance = f"{older.figure('Fréchet distance'):.1f}"
rows.append(["lesson 10's flow", bits, error, *[None] * 3, distance])
for name in ("lesson 06", "lesson 14"):
    for end in (0.99, 0.998, 0.9995):
        early = card.figure(f"{name}: validation bits, end at {end}")
        cu.facts(f"{name}: bits of 24 validation digits, road left at {end}", f"{early:.2f}")
cu.table(
    rows,
    ["model", "bits a pixel", "standard error", *tried, "Fréchet distance"],
    "Bits a pixel of 500 test digits (lesson 10's flow: of 10,000); how the mean of 50 of them "
    "changes with 150 steps instead of 60, other noise, and 4 probes instead of one; and the "
    "distance of 1,000 draws to test digits.",
)

# %% [markdown]
# Both take 1.5 bits a pixel, 1.520 and 1.512, and cannot be told apart.
# The walk has 60 steps; 150 add 0.02, other noise and more probes less than 0.01: that is the tolerance of the two numbers.
#
# Lesson 10's flow takes only 1.171, and its draws are 56.9 from test digits, where these are at 4.
# **The better picture is not the likelier one** (lesson 10b).
# Lesson 10's flow was trained on bits and on nothing else.
# Here bits are decided near the end: a road left at 0.99 still carries noise of more than a grey level, and costs over 2 bits.
# Flow matching spends a hundredth of its training beyond, and lesson 06's last step lies there, too.
# That may be a reason; a model with more of these times was not trained.

# %% [markdown]
# ## 3 · Every point knows the end *(core)*
#
# All points of one road have one end.
# So let a network $f(x_t,t)$ guess the end from *any* point, and ask that neighbours on a road guess the same:
#
# $$f(x_t,t)=f(x_{t+h},t+h),\qquad f(x,1)=x. \tag{4}$$
#
# Such an $f$ is a **consistency model** (Y. Song et al., 2023), and $f(\varepsilon,0)$ draws in one evaluation.
# The second condition is the anchor: without it any constant would do.
# It is built in,
#
# $$f(x,t)=x+(1-t)\,F(x,t), \tag{5}$$
#
# so the network $F$ says the *mean* slope of the rest of the way, where $u$ says the slope just here.
#
# For data $\mathcal N(m,w^2)$ lesson 14 solved the road on paper: whoever starts $\varepsilon$ deviations above the mean stays there.
# So $f(x,t)=m+w\,(x-tm)/\sqrt{t^2w^2+(1-t)^2}$.

# %%
from course_utils.lessons.lesson_14 import heun, normal_u


def normal_end(x, t, m=0.5, w=0.2):
    """The end of the road through x at t, for data N(m, w²)."""
    return m + w * (x - t * m) / math.hypot(t * w, 1 - t)


line = torch.linspace(-2, 2, 41).double()
worst = 0.0
for t in (0.0, 0.3, 0.9):
    times = [t + (1 - t) * i / 2_000 for i in range(2_001)]
    worst = max(worst, (heun(normal_u, line, times) - normal_end(line, t)).abs().max().item())
later = heun(normal_u, line, [0.3 + 0.2 * i / 2_000 for i in range(2_001)])
gap = (normal_end(line, 0.3) - normal_end(later, 0.5)).abs().max().item()
assert (normal_end(line, 1.0) - line).abs().max() < 1e-12
assert gap < 1e-6
cu.facts("formula against Heun's walk", f"{worst:.0e}", "gap in (4)", f"{gap:.0e}")

# %% [markdown]
# How is it trained?
# The neighbour comes from a teacher: one step on its road.
# Time is cut into twenty pieces; data and noise are mixed at the beginning of one, and the teacher walks to its end.
# The guess made *later* is the easier one, so it is the target, and must not learn; on the last piece it is the end itself, by (5).
# A slow average of the network makes it (lesson 06's EMA), so that it moves calmly.
#
# **Exercise 4 (core).**
# Write the gap in (4).


# %% tags=["exercise"]
def consistency_gap(ends, average, step, x, t, later):
    """ends(x, t) minus the answer of `average` one step later: (B, …).

    x (B, …) at times t (B,); step(x, t, later) walks to times later (B,) along the road; ends
    and average take (x, times) and give ends of roads. Each is asked once, for the whole
    batch. Only `ends` may learn from the gap.
    """
    ### BEGIN SOLUTION
    with torch.no_grad():
        target = average(step(x, t, later), later)
    return ends(x, t) - target
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# First walk, then ask `average` at the place and the time reached, both without gradients.

# %%
checked_gap = cu.check("14b.consistency_gap", consistency_gap)


# %%
def for_rows(t, x):
    """Times (B,) in the shape (B, 1, …) of x."""
    return t.view(-1, *[1] * (x.dim() - 1))


def ends_of(model):
    """Equation (5)."""
    return lambda x, t: x + for_rows(1 - t, x) * model(x, t)


def step_of(teacher):
    """Heun's step with a time for each row; Euler's into t = 1."""

    def step(x, t, later):
        h = for_rows(later - t, x)
        slope = teacher(x, t)
        second = teacher(x + h * slope, later)
        return x + h * torch.where(for_rows(later, x) < 1, (slope + second) / 2, slope)

    return step


# %%
from course_utils.lessons.lesson_06 import warm_cosine


def endless(batches):
    """Batches, again and again."""
    while True:
        yield from batches


def neighbours(x, pieces=20):
    """States of data x (B, …) with fresh noise, their times (B,), and times one piece later."""
    i = torch.randint(pieces, (len(x),), device=x.device)
    t = i / pieces
    return for_rows(t, x) * x + for_rows(1 - t, x) * torch.randn_like(x), t, (i + 1) / pieces


def softened(gap):
    """Root of the mean squared gap (B, …) of each row, rounded off at 0, and their mean."""
    return (gap.square().flatten(1).mean(1) + 1e-3).sqrt().mean()


# %%
def consistent(teacher, model, batches, steps):
    """Train `model`, which begins as the teacher; returns its average as ends(x, t)."""
    average = cu.train.EMA(model, 0.995)
    optimizer = torch.optim.Adam(model.parameters(), 5e-4)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda k: warm_cosine(k / steps))
    functions = (ends_of(model), ends_of(average.module), step_of(teacher))
    for _, x in zip(range(steps), endless(batches)):
        loss = softened(checked_gap(*functions, *neighbours(x)))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        average.update()
    return ends_of(average.module)


# %% [markdown]
# The loss is the *root* of the squared gap, softened at 0: at early times nobody can guess well, and these large gaps shall not drown the small ones.
#
# In the plane, with a teacher trained on independent pairs, the most crooked of lesson 14:

# %%
from course_utils.lessons.lesson_14 import Field

points = draw_mixture(20_000, 7).float().to(device)


def plane_loss(model, x):
    """Lesson 14's (5) for points."""
    return checked_loss(model, x, torch.randn_like(x), spread_times(len(x), x.device))


torch.manual_seed(0)
batches = cu.Batches(points, 256)
options = {"lr": 2e-3, "schedule": "cosine", "ema": 0.999}
history = cu.fit(Field(), plane_loss, batches, steps=cu.budget(2_000, 10), **options)
teacher = history.ema.eval()
pupil = Field().to(device)
pupil.load_state_dict(teacher.state_dict())
jump = consistent(teacher, pupil, batches, cu.budget(3_000, 10))

# %% tags=["figure", "slide"]
# @title Figure: where one evaluation leads
n = cu.budget(2_000)
start = torch.randn(n, 2, generator=torch.Generator().manual_seed(3)).to(device)
u = velocity(teacher)
with torch.no_grad():
    jumped = jump(start, torch.zeros(n, device=device))
places = {
    "teacher, 1 evaluation": euler(u, start, even(1)).cpu(),
    "consistent, 1 evaluation": jumped.cpu(),
    "teacher, 100": euler(u, start, even(100)).cpu(),
}
fig, axes = plt.subplots(1, 3, figsize=(12, 4.4), sharex=True, sharey=True)
rows = []
genuine = draw_mixture(n, 0)
for ax, (name, ends) in zip(axes, places.items()):
    cu.plots.scatter(genuine[:600], ax=ax, s=4, color="#bbbbbb")
    cu.plots.scatter(ends[:600], ax=ax, s=5, color="#0072B2")
    ax.set(xlim=(-2.8, 2.8), ylim=(-2.8, 2.8), title=name, xlabel="", ylabel="")
    missed = (ends - places["teacher, 100"]).square().sum(1).mean().sqrt()
    rows.append([name, f"{energy(ends.double(), genuine):.4f}", f"{missed:.3f}"])
limit = real_vs_real(draw_mixture, n, cu.budget(20))
cu.show(fig, "Where 600 noises end (blue), and data (grey).")
cu.table(
    rows,
    ["", "energy distance", "off the road's end"],
    f"Energy distance of {n:,} draws to genuine points (limit {limit:.4f}), and the root mean "
    "square distance to where the same noise ends in 100 steps.",
)

# %% [markdown]
# One Euler step sends all noises nearly to the mean; one evaluation of the pupil sends them to the data.
# At 0.0034 it does not quite pass (the limit is 0.0024), which its teacher does in 100 steps.
# Reflow in lesson 14 did about as well, from pairs that had to be drawn first.
# Look closely: between the clusters lie more points than in the teacher's picture, and inside them points pile up on lines.
#
# ### Digits
#
# The same for digits, with lesson 14's flow as the teacher: 4,000 steps of 128.

# %% tags=["author"]
from course_utils.lessons.lesson_06 import pictures


def jumped_images(ends, n, seed):
    """Images of one evaluation each, uint8 (n, 1, 28, 28), from the noises of a seed."""
    generator = torch.Generator().manual_seed(seed)
    parts = []
    for i in range(0, n, 250):
        eps = torch.randn(min(250, n - i), 1, 28, 28, generator=generator)
        eps = eps.to(device, memory_format=torch.channels_last)
        with torch.no_grad():
            parts.append(pictures(ends(eps, torch.zeros(len(eps), device=device))).contiguous())
    return cu.to_uint8(torch.cat(parts))


# %% tags=["author"]
for _ in cu.budget([], [], [1]):
    pupil = cu.prepare(Flow())
    pupil.load_state_dict(flow.state_dict())
    scaled = (2 * x - 1 for x in endless(cu.Batches(mnist.train, 128)))
    ends = consistent(flow, pupil, scaled, 4_000)
    figures = {}
    for size, seed in ((1_000, 100), (5_000, 200)):
        sets = [jumped_images(ends, size, seed + k) for k in range(5)]
        for reference in ("validation", "test"):
            score = cu.metrics.score(sets, size, reference)
            key = f"{reference}, n = {size:,}"
            figures[key] = (score.distance, 0.1 * score.distance)
            figures[f"{key}, spread"] = (score.distance_spread, score.distance_spread)
        real = cu.metrics.features(mnist.val.sample(size, seed=1).x)
        found = cu.metrics.precision_recall(real, cu.metrics.features(sets[0]))
        for share, value in found.items():
            figures[f"{share}, n = {size:,}"] = (value, 0.05)
    cu.ship(
        "14b_consistent",
        what="a consistency model distilled from 14_flow; one evaluation",
        figures=figures,
        replay=(jumped_images(ends, 12, 100)[None, :, 0], [1]),
    )

# %% tags=["figure", "slide"]
# @title Figure: one evaluation
from course_utils.lessons.lesson_14 import adams, draw, ladder_of

one = cu.runs.load("14b_consistent")
images = [torch.from_numpy(one.replay[0]).view(-1, 1, 28, 28)]
table = steps_card.figure
lines = {"flow matching, Adams, 10 evaluations": "flow, Adams, 10"}
lines |= {"the same, 1 evaluation": "flow, Adams, 1"}
lines |= {"straightened, 1": "straightened, 1", "student, 1": "student, 1"}
rows = []
for name, key in lines.items():
    pair = (table(f"{key}: validation"), table(f"{key}: validation, spread"))
    shares = [f"{table(f'{key}: {share}'):.2f}" for share in ("precision", "recall")]
    rows.append([name, "{:.1f} ± {:.1f}".format(*pair), *shares])
pair = [one.figure(f"validation, n = 1,000{end}") for end in ("", ", spread")]
shares = [f"{one.figure(f'{share}, n = 1,000'):.2f}" for share in ("precision", "recall")]
rows.append(["consistent, 1", "{:.1f} ± {:.1f}".format(*pair), *shares])
student = cu.prepare(Flow())
print(cu.restore("14_student", {"flow": student}).card["what"])
walks = {"student": velocity(student.eval()), "flow": velocity(flow)}
images.append(draw(walks["student"], 12, even(1), euler, seed=100))
images.append(draw(walks["flow"], 12, ladder_of(10), seed=100))
titles = ["consistent, 1", "student, 1", "flow, 10"]
ax = cu.plots.image_grid(torch.cat(images), rows=3, row_titles=titles)
cu.show(ax.figure, "Twelve noises, drawn by three networks with 1, 1 and 10 evaluations.")
cu.table(
    rows,
    ["", "Fréchet distance", "precision", "recall"],
    "Against validation digits, five sets of 1,000, ± their standard deviation; precision and "
    "recall of one set.",
)

# %% [markdown]
# The consistent network, 21.0 ± 1.0, and lesson 14's student, 20.4 ± 1.4, cannot be told apart by this distance.
# They came by different roads: the student was shown both ends of 24,000 roads of lesson 06's network, the consistent network only single steps of lesson 14's flow, and real digits.
# The consistent network draws less of the variety (recall 0.87 and 0.92), and in the larger sets of section 4 the student is a little ahead.
# One evaluation of the teacher itself is the smudge, at 1104.2.

# %% [markdown]
# ## 4 · The verdict, in sets of 5,000 *(core)*
#
# Five sets of 5,000 images each say the same with less noise, beside real digits.

# %% tags=["author"]
from course_utils.lessons.lesson_06 import abar, spaced

u_06 = flow_of(unet)
CELLS = {
    "06, DDIM, 50": (u_06, 50, euler),
    "06, Adams, 10": (u_06, 10, adams),
    "06, Adams, 4": (u_06, 4, adams),
    "flow, Adams, 10": (walks["flow"], 10, adams),
    "flow, Adams, 4": (walks["flow"], 4, adams),
    "student, 4": (walks["student"], 4, euler),
    "student, 1": (walks["student"], 1, euler),
}
for _ in cu.budget([], [], [1]):
    figures = {}
    for key, (u, n, solver) in CELLS.items():
        times = ladder_of(n) if solver is adams else even(n)
        if "DDIM" in key:
            times = (abar.sqrt() / (abar.sqrt() + (1 - abar).sqrt()))[spaced(n)].tolist()
        sets = [draw(u, 5_000, times, solver, seed=200 + k) for k in range(5)]
        for real in ("validation", "test"):
            score = cu.metrics.score(sets, 5_000, real)
            spread = score.distance_spread
            figures[f"{key}: {real}"] = (score.distance, 0.1 * score.distance)
            figures[f"{key}: {real}, spread"] = (spread, spread)
        real = cu.metrics.features(mnist.val.x)
        found = cu.metrics.precision_recall(real, cu.metrics.features(sets[0]))
        figures |= {f"{key}: {share}": (value, 0.05) for share, value in found.items()}
    cu.ship("14b_large", what="five sets of 5,000, the ways of lesson 14", figures=figures)
    ten = draw(u_06, 1_000, ladder_of(10), seed=100)
    cu.ship("14_ten", what="06_diffusion, Adams, ten evaluations", samples=ten)
    few = draw(walks["flow"], 1_000, ladder_of(4), seed=100)
    cu.ship("14_four", what="14_flow, Adams, four evaluations", samples=few)
    once = draw(walks["student"], 1_000, even(1), euler, seed=100)
    cu.ship("14_one", what="14_student, one evaluation", samples=once)

# %% tags=["figure", "slide"]
# @title Table: sets of 5,000
large = cu.runs.load("14b_large")
LARGE = {
    "06, DDIM, 50": "lesson 06, DDIM, 50",
    "06, Adams, 10": "lesson 06, Adams, 10",
    "flow, Adams, 10": "flow, Adams, 10",
    "06, Adams, 4": "lesson 06, Adams, 4",
    "flow, Adams, 4": "flow, Adams, 4",
    "student, 4": "student, 4",
    "student, 1": "student, 1",
}


def with_spread(run, key):
    """A distance of a card, ± its spread."""
    return f"{run.figure(key):.2f} ± {run.figure(f'{key}, spread'):.2f}"


rows = []
for key, name in LARGE.items():
    distances = [with_spread(large, f"{key}: {real}") for real in ("validation", "test")]
    shares = [f"{large.figure(f'{key}: {share}'):.2f}" for share in ("precision", "recall")]
    rows.append([name, *distances, *shares])
distances = [with_spread(one, f"{real}, n = 5,000") for real in ("validation", "test")]
shares = [f"{one.figure(f'{share}, n = 5,000'):.2f}" for share in ("precision", "recall")]
rows.append(["consistent, 1", *distances, *shares])
floor = [cu.metrics.real(5_000, real)["training digits"] for real in ("validation", "test")]
real = [f"{score.distance:.2f} ± {score.distance_spread:.2f}" for score in floor]
rows.append(["training digits", *real, None, None])
cu.table(
    rows,
    ["evaluations", "to validation digits", "to test digits", "precision", "recall"],
    "Fréchet distance of five sets of 5,000, ± their standard deviation; precision and recall "
    "of one set of 5,000.",
)

# %% [markdown]
# Ten evaluations of Adams are nearer to digits than fifty of DDIM (6.07 ± 0.20 and 6.79 ± 0.23), and four are well within twice that distance (9.49 ± 0.40).
# Half the weights cost little: the flow's four come to 10.87.
# One evaluation is another world, 20 or so, and all of them are far from real digits: 0.80.
# At four the solver beats the student (13.69), too.
# In lesson 14 more than ten evaluations of Adams gained nothing, so what limits ten is no longer the solver; it is the network.
# (Recall depends on the size of a set: compare it within one table only.)
#
# ### Beside all other models
#
# Lesson 07 set quality against the seconds that a thousand draws take.
# Four ways of these two lessons enter its arena: lesson 06's network in ten evaluations of Adams, the flow in ten and in four, and the student in one.

# %% tags=["author"]
from course_utils.lessons.lesson_06 import diffusion_loss


def flow_loss(model, x):
    """Lesson 14's (5) for images x (B, 1, 28, 28) in [0, 1]."""
    return checked_loss(model, 2 * x - 1, torch.randn_like(x), spread_times(len(x), x.device))


ways_in = {
    "14_ten": (u_06, ladder_of(10), adams, unet, diffusion_loss, 14_000),
    "14_flow": (walks["flow"], ladder_of(10), adams, flow, flow_loss, 13_000),
    "14_four": (walks["flow"], ladder_of(4), adams, flow, flow_loss, 13_000),
    "14_one": (walks["student"], even(1), euler, student, flow_loss, 13_000 + 4_000),
}
batch = next(iter(cu.Batches(mnist.train, 128)))
for name, (u, times, solver, net, loss, steps) in ways_in.items():

    def drawer(n, u=u, times=times, solver=solver):
        """n images from new noises."""
        return draw(u, n, times, solver, seed=int(torch.randint(10**6, ())))

    size = 64 if net is unet else 128  # as in their trainings
    step = cu.arena.training_step(net, loss, batch[:size])
    cu.enter(name, drawer, step=step, steps=steps, numbers=net)

# %% tags=["figure", "slide"]
# @title Figure: seconds and distance
entered = {}
for entry in cu.arena.entries():
    if not entry.own and entry.sets and entry.seconds:
        entered[entry.name] = (entry.seconds, entry.sets["mean"])
best = math.inf
front = []
ways_named = [name for name in sorted(entered) if name.startswith("14")]
for name in sorted(entered, key=entered.get):
    if entered[name][1] < best:
        front.append(name)
        best = entered[name][1]
fig, ax = plt.subplots(figsize=(9, 5.4))
ax.plot(*zip(*(entered[name] for name in front)), color="#bbbbbb", zorder=0)
for name, (seconds, distance) in entered.items():
    new = name.startswith("14")
    ax.loglog(seconds, distance, "o", color="#D55E00" if new else "#888888", ms=9 if new else 6)
    if new or name in front or name.startswith("06"):
        place = (7, 5, "left") if seconds < 15 else (0, -18, "center")
        style = {"textcoords": "offset points", "ha": place[2], "fontsize": 11}
        ax.annotate(name, (seconds, distance), place[:2], **style)
ax.set(xlabel="seconds of one core for 1,000 draws", ylabel="Fréchet distance, test digits")
cu.show(
    fig,
    "Entries of the arena of which five sets of 1,000 were drawn: seconds and distance. "
    "Orange: lesson 14. Grey line: nobody is both faster and nearer.",
)
rows = []
for name in ("06_ddim", *ways_named, front[-1]):
    rows.append([name, *(f"{number:.2f}" for number in entered[name])])
cu.table(rows, ["", "seconds per 1,000 draws", "Fréchet distance, test digits"])

# %% [markdown]
# Ten evaluations of Adams bring lesson 06's network from 86.81 to 20.52 seconds, and nearer to digits (from 5.51 to 4.46).
# The flow, half as large, needs 9.76 seconds for 5.03, and a second buys one evaluation, at 17.80.
#
# But the grey line runs far to the left: a GAN's draws cost 0.16 seconds, and `13_best` is the nearest of all, 0.83.
# It makes a digit in one pass, through a generator of less than half the flow's size.
# So on these digits speed does not bring diffusion to the front; lesson 07 names the reservation: larger networks and larger data reversed that order.

# %% [markdown]
# ## Recap *(core)*
#
# | you can | because you saw |
# |---|---|
# | say when transport ruins a model that is told the class | asked for a class it obeys in 0.700 of its draws, with independent pairs in 0.925 |
# | mend it | assigned within the class, the noise knows nothing of it |
# | compute $\log p(x)$ along the road | the plane's $\log p$, to 1e-3 |
# | estimate a trace | one probe is off by 0.44, sixteen by 0.10 |
# | say what few evaluations cost | to validation digits: ten 6.07, four 9.49, one 20 |
# | jump to the end of a road | in the plane one evaluation comes to 0.0034, where a step of the teacher is at 0.8493 |
#
# **What breaks, and why.**
# A likelihood along the road needs hundreds of evaluations, and it depends on where the road is left.
# A consistency model learns from its own guesses: errors near the data travel back to the noise.
#
# **Next.**
# Lesson 15 ties pictures to sentences; 15b, to come, steers a flow by them.

# %% [markdown]
# ## Where this stands *(deeper)*
#
# **Transport in minibatches** for unconditional flows is due to Pooladian and colleagues and to Tong and colleagues (both 2023).
# Assigning within the class needs batches that hold several of each class.
#
# **Likelihood along a road** came with neural ODEs (Chen et al., 2018) and the estimate of the trace with FFJORD (Grathwohl et al., 2019); Y. Song and colleagues (2021) brought both to diffusion models.
#
# **Consistency models** were distilled first, and then trained without a teacher (Y. Song et al., 2023).
# Their authors report, for small photographs and one evaluation, a distance below four by distillation.

# %% [markdown]
# ### References
#
# - M. F. Hutchinson, *A stochastic estimator of the trace of the influence matrix for Laplacian smoothing splines*, 1989.
# - R. T. Q. Chen et al., *Neural ordinary differential equations*, 2018.
# - W. Grathwohl et al., *FFJORD: free-form continuous dynamics for scalable reversible generative models*, 2019.
# - Y. Song et al., *Score-based generative modeling through stochastic differential equations*, 2021.
# - A.-A. Pooladian et al., *Multisample flow matching: straightening flows with minibatch couplings*, 2023.
# - A. Tong et al., *Improving and generalizing flow-based generative models with minibatch optimal transport*, 2023.
# - Y. Song et al., *Consistency models*, 2023.
