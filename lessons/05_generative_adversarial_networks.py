# %% [markdown]
# # 05 Generative adversarial networks
#
# **Replace the likelihood by a critic that learns what "real" means, and play against it.**
#
# Lesson 04 wrote down a probability for every image and paid for it with blur; this lesson writes down none.
# Two networks play: one forges digits, the other tells forgeries from handwriting, and each is the other's teacher.

# %% tags=["setup"]
import copy
import math
from itertools import product

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.autograd.functional import jacobian
from torch.nn import functional as F

import course_utils as cu

device = cu.setup()
mnist = cu.mnist()
EPOCH = len(cu.Batches(mnist.train, 64))  # 859 minibatches

# %% tags=["figure", "slide"]
# @title Figure: four moments of one forger
for run in cu.runs.available("05_gan"):  # section 7 makes it
    frames, steps = run.replay
    shown = [0, 1, len(steps) // 2, len(steps) - 1]
    names = [f"epoch {round(steps[i] / EPOCH)}" for i in shown]
    ax = cu.plots.film_strip([frames[i][:16] for i in shown], names)
    cu.show(
        ax.figure,
        "The same 16 latents, decoded by the shipped generator at four moments of its "
        "training.",
    )

# %% [markdown]
# **After this lesson you can** write both losses of the game ·
# derive the best critic and what the game measures ·
# train a GAN in the plane and on digits ·
# say when the generator's loss matters ·
# make a GAN collapse, count its modes and repair it ·
# read eigenvalues of an update map ·
# judge a GAN beside real digits.
#
# **Builds on** 02 (covering and seeking), 04 (latents); Cards 2 (autograd), 3 (logits), 5 (KL) and 7 (Fréchet distance).
#
# | letter | meaning | letter | meaning |
# |---|---|---|---|
# | $x$, $p_\text{data}$ | data and their distribution | $a(x)$, $D(x)=\sigma(a(x))$ | logit of the discriminator, its probability of "real" |
# | $z$, $G(z)$ | latent, $\mathcal N(0,I)$; a forgery | $V(D,G)$ | value of the game; D wants it high, G low |
# | $p_\theta$ | distribution of $G(z)$ | $D^*$ | best discriminator against a fixed G |
# | JSD | Jensen–Shannon divergence, nats | $\gamma$, $\eta$, $\beta$ | weight of the slope penalty R1; step size; momentum |

# %% [markdown]
# ## 1 · The game *(core)*
#
# A **generator** G turns noise into an image.
# A **discriminator** D, the critic, gives the probability that an image is real.
# They take turns.

# %% tags=["figure", "slide"]
# @title Figure: one round of the game
real_image = mnist.val.x[3]
forged_image = cu.runs.load("05_gan").replay[0][-1][12]
LEARNS = {"D": cu.plots.PALETTE[0], "G": cu.plots.PALETTE[1]}


def one_turn(d, y, learner):
    """A row of the schematic: who learns is in colour, the gradient is dashed."""
    colours = {name: LEARNS[name] if name == learner else "#999999" for name in "GD"}
    z = d.node("z", (0, y))
    g = d.box("G", (1.5, y), 0.9, colour=colours["G"])
    fake = d.image(forged_image, (3.2, y), 0.8)
    critic = d.box("D", (5.4, y), 0.9, colour=colours["D"])
    loss = d.box(f"loss of {learner}", (7.4, y), colour=LEARNS[learner])
    d.arrow(z, g)
    d.arrow(g, fake)
    d.arrow(fake, critic, "detached" if learner == "D" else "")
    d.arrow(critic, loss)
    back = {"bend": 0.35, "dashed": True, "colour": LEARNS[learner]}
    d.arrow(loss.bottom, critic.bottom, "gradient", **back)
    if learner == "D":
        real = d.image(real_image, (3.2, y + 1.1), 0.8)
        d.arrow(real, critic)
        d.text("data x", (2.35, y + 1.1), fontsize=12)
    else:
        d.arrow((critic.x - 0.2, y - 0.3), g.bottom, "gradient", **back | {"bend": 0.25})
    d.text(f"{learner}'s turn", (-1.2, y), weight="bold", colour=LEARNS[learner])


d = cu.diagram()
one_turn(d, 0, "D")
one_turn(d, -2.0, "G")
cu.show(
    d.figure,
    "One round. D's turn: real and forged images, G fixed (grey), the gradient ends at D. "
    "G's turn: D fixed, the gradient passes through D into G.",
)

# %% [markdown]
# Both play for one number:
#
# $$V(D,G)=\mathbb E_{x\sim p_\text{data}}\log D(x)+\mathbb E_{z}\log\bigl(1-D(G(z))\bigr). \tag{1}$$
#
# **D maximises V, G minimises it.**
# Both logarithms are at most 0, so D's dream is $V=0$: sure of every real image and of every forgery.
# A D that shrugs and says ½ has $V=\log\tfrac12+\log\tfrac12=-\log4=-1.386$.
#
# D is an ordinary classifier, and $-V$ the cross-entropy of lesson 01; only its second class moves.
# In logits, where $1-\sigma(a)=\sigma(-a)$,
#
# $$\text{loss of D}=-\mathbb E\log\sigma(a(x))-\mathbb E\log\sigma(-a(G(z))). \tag{2}$$
#
# G's loss could be $+V$.
# In practice G *maximises* the log-probability that D takes its forgery for real (section 4 compares the two):
#
# $$\text{loss of G}=-\mathbb E\log\sigma(a(G(z))). \tag{3}$$
#
# The players **alternate by minibatch**: one step down (2) with G fixed, one step down (3) with D fixed, repeat.
# "G fixed" is one word of code: D's loss must not send a gradient through the forgeries, so they are *detached*.
#
# **Exercise 1 (core).**
# Write both losses.


# %% tags=["exercise"]
def player_loss(player, D, real, fake):
    """(2) for player "D", no gradient into `fake`; (3) for "G". D gives logits (B,)."""
    ### BEGIN SOLUTION
    if player == "D":
        return -F.logsigmoid(D(real)).mean() - F.logsigmoid(-D(fake.detach())).mean()
    return -F.logsigmoid(D(fake)).mean()
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# `F.logsigmoid(a)` is log σ(a), and stays finite where a sigmoid followed by a logarithm does not (Card 3).
# For D: two means, one over `D(real)`, one over minus the logits of `fake.detach()`.
# For G: one mean, and no `detach`.

# %%
checked_loss = cu.check("05.losses", player_loss)

# %% [markdown]
# Check: (2) is twice the mean cross-entropy of a classifier.

# %%
toy_D = nn.Sequential(nn.Linear(2, 1), nn.Flatten(0))
toy_real = torch.randn(64, 2) + 1
toy_fake = torch.randn(64, 2).requires_grad_(True)
loss_d = checked_loss("D", toy_D, toy_real, toy_fake)

logits = toy_D(torch.cat([toy_real, toy_fake]))
is_real = torch.cat([torch.ones(64), torch.zeros(64)])
cross_entropy = F.binary_cross_entropy_with_logits(logits, is_real)
torch.testing.assert_close(loss_d, 2 * cross_entropy)
loss_d.backward()
assert toy_fake.grad is None  # G feels nothing of it
print("loss of D = 2 × mean cross-entropy; its gradient in the forgeries: none")

# %% [markdown]
# ## 2 · The best critic *(core)*
#
# Fix G.
# What should D answer at one point $x$?
# It contributes $p\log D+q\log(1-D)$, with $p=p_\text{data}(x)$ and $q=p_\theta(x)$.
# The derivative with respect to $D$ is $p/D-q/(1-D)$, positive below and negative above the one place where it vanishes, $p(1-D)=qD$:
#
# $$D^*(x)=\frac{p_\text{data}(x)}{p_\text{data}(x)+p_\theta(x)}. \tag{4}$$
#
# The critic sees samples only, and estimates the *ratio* of two densities: its logit is $a^*=\log p_\text{data}-\log p_\theta$.
#
# Put (4) into (1), with $m=\tfrac12(p+q)$ and $\mathrm{JSD}(p,q)=\tfrac12\mathrm{KL}(p\,\|\,m)+\tfrac12\mathrm{KL}(q\,\|\,m)$, lesson 02's JS, which is 0 only for $p=q$:
#
# $$\begin{aligned}
# V(D^*,G)&=\int p\log\frac p{2m}+q\log\frac q{2m} \\
# &=\mathrm{KL}(p\,\|\,m)+\mathrm{KL}(q\,\|\,m)-2\log2 \\
# &=2\,\mathrm{JSD}(p_\text{data},p_\theta)-\log4.
# \end{aligned} \tag{5}$$
#
# So against a perfect critic, a G that minimises $V$ minimises a Jensen–Shannon divergence, and the equilibrium is $p_\theta=p_\text{data}$, $D=\tfrac12$, $V=-\log4$.
# (What our loss (3) minimises is in section 4b.)
#
# **Exercise 2 (core).**
# Write (4) from log-densities.
# Far from all data each density is 0 in floating point, and 0/0 is no probability.


# %% tags=["exercise"]
def best_critic(log_p_data, log_p_model):
    """Equation (4): D*(x) in [0, 1] from log p_data(x) and log p_θ(x), tensors of one shape."""
    ### BEGIN SOLUTION
    return torch.sigmoid(log_p_data - log_p_model)
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# Divide numerator and denominator of (4) by $p_\text{data}$.
# What remains is $1/(1+e^{-a})$ with $a$ the difference of the two logarithms.

# %%
checked_critic = cu.check("05.critic", best_critic)

# %% [markdown]
# The data are two bumps on a line, the forgeries one wide Gaussian.

# %%
grid = torch.linspace(-12, 12, 4_801, dtype=torch.float64)
dx = float(grid[1] - grid[0])


def log_bell(x, mean, std):
    """log N(x; mean, std²) in 1-D."""
    return -0.5 * ((x - mean) / std) ** 2 - math.log(std * math.sqrt(2 * math.pi))


def log_bumps(x):
    """Log-density of the data: 0.6 N(−1.5, 0.5²) + 0.4 N(1.5, 0.7²)."""
    left = math.log(0.6) + log_bell(x, -1.5, 0.5)
    right = math.log(0.4) + log_bell(x, 1.5, 0.7)
    return torch.logaddexp(left, right)


# %% [markdown]
# Now a critic that sees samples only, 20,000 real points and 20,000 forgeries.
# **Predict:** where will its curve leave D*?
# (Think of where it has seen no point.)

# %%
left = torch.rand(20_000) < 0.6
first_bump = -1.5 + 0.5 * torch.randn(20_000)
second_bump = 1.5 + 0.7 * torch.randn(20_000)
real = torch.where(left, first_bump, second_bump)[:, None]
fake = 0.3 + 1.4 * torch.randn(20_000, 1)


def critic_loss(D, real, fake):
    """Equation (2) for `cu.fit`."""
    return checked_loss("D", D, real, fake)


critic = nn.Sequential(cu.nets.mlp(1, 64, 64, 1), nn.Flatten(0))
batches = cu.Batches((real, fake), 512)
critic_history = cu.fit(critic, critic_loss, batches, steps=800, lr=5e-3, schedule="cosine")


# %% tags=["figure", "slide"]
# @title Figure: the best critic and a trained one
def value(log_D, log_not_D, p, q):
    """Equation (1) by quadrature on the grid."""
    return float((p * log_D + q * log_not_D).sum() * dx)


def jsd(p, q):
    """Jensen–Shannon divergence in nats by quadrature; densities on the grid, 0 · log 0 = 0."""
    m = (0.5 * (p + q)).clamp_min(1e-300)
    return float(0.5 * (torch.xlogy(p, p / m) + torch.xlogy(q, q / m)).sum() * dx)


p = log_bumps(grid).exp()
q = log_bell(grid, 0.3, 1.4).exp()
D_star = checked_critic(log_bumps(grid), log_bell(grid, 0.3, 1.4))
a_star = log_bumps(grid) - log_bell(grid, 0.3, 1.4)
with torch.no_grad():
    logit = critic(grid.float()[:, None].to(device)).cpu().double()
v_best = value(F.logsigmoid(a_star), F.logsigmoid(-a_star), p, q)
v_trained = value(F.logsigmoid(logit), F.logsigmoid(-logit), p, q)
assert abs(v_best - (2 * jsd(p, q) - math.log(4))) < 1e-6  # equation (5)
assert v_trained <= v_best + 1e-6  # D* is the best
gap = ((logit.sigmoid() - D_star).abs() * 0.5 * (p + q)).sum() * dx

fig, ax = plt.subplots(figsize=(7.8, 3.6))
ax.fill_between(grid, p, color="#cccccc", label="p_data")
ax.plot(grid, q, color="#888888", label="p_θ")
ax.plot(grid, D_star, color=cu.plots.PALETTE[0], label="D*, equation (4)")
trained = {"color": cu.plots.PALETTE[1], "label": "D, trained on samples"}
ax.plot(grid, logit.sigmoid(), "--", **trained)
ax.set(xlabel="x", ylabel="density, or probability of “real”", xlim=(-7, 7), ylim=(0, 1.05))
ax.set_title("A classifier has found the ratio of two densities")
ax.legend(loc="upper right", fontsize=11)
cu.show(
    fig,
    "Data density (grey), generator density (line), the best critic and a critic trained on "
    "samples.",
)
cu.facts(
    {
        "mean gap |D − D*| where points fall": f"{gap:.3f}",
        "V(D), nats": v_trained,
        "V(D*), nats": v_best,
        "2·JSD − log 4, nats": 2 * jsd(p, q) - math.log(4),
        "V(D*) − V(D), nats": f"{v_best - v_trained:.3f}",
    },
    digits=5,
)

# %% [markdown]
# Where points fall, the dashed curve lies on the other: the mean gap is 0.008.
# It leaves D* on the outer flanks, near −3 and 4, where few points are and the loss hardly notices.
#
# *A classifier that never saw a density has found the ratio of two: the rest of the game is built on that.*
#
# **You are G.**
# The data are one Gaussian; your two sliders are $p_\theta$, and at every move a fresh critic is trained against you.
# Flatten it to ½ everywhere.
# What does D look like when you are too narrow?

# %% tags=["figure", "slide"]
# @title Widget: you are G
levels = (torch.arange(256) + 0.5) / 256
quantiles = torch.special.ndtri(levels)[:, None]  # even draws of a standard Gaussian
critic_steps = cu.budget(150)


def critic_against(mean, width):
    """A critic of N(1, 0.8²) against N(mean, width²), trained from scratch."""
    torch.manual_seed(0)
    D = nn.Sequential(cu.nets.mlp(1, 16, 16, 1), nn.Flatten(0))
    opt = torch.optim.Adam(D.parameters(), lr=2e-2, fused=True)
    for _ in range(critic_steps):
        opt.zero_grad()
        checked_loss("D", D, 1 + 0.8 * quantiles, mean + width * quantiles).backward()
        opt.step()
    return D


def draw_against(ax, mean, width):
    """Both densities and a fresh critic of this position."""
    D = critic_against(mean, width)
    mine = log_bell(grid, mean, width).exp()
    data = log_bell(grid, 1, 0.8).exp()
    probability = D(grid.float()[:, None]).detach().sigmoid()
    ax.fill_between(grid, data, color="#cccccc", label="p_data")
    ax.plot(grid, mine, color=cu.plots.PALETTE[1], label="you")
    ax.plot(grid, probability, color=cu.plots.PALETTE[0], label="D")
    ax.axhline(0.5, color="black", lw=0.8, ls=":")
    ax.set(xlabel="x", xlim=(-4, 5), ylim=(0, 1.05))
    ax.set_title(f"2·JSD = {2 * jsd(data, mine):.3f} nats to go")


def against_me(mean, width):
    """The picture of one position."""
    fig, ax = plt.subplots(figsize=(7.5, 3.4))
    draw_against(ax, mean, width)
    ax.legend(loc="upper left", fontsize=11)
    return fig


def three_positions():
    """The picture without a kernel: beside the data, too narrow, and there."""
    fig, axes = plt.subplots(1, 3, figsize=(12, 3.6), sharey=True)
    for ax, position in zip(axes, [(-0.5, 0.5), (1.0, 0.3), (1.0, 0.8)]):
        draw_against(ax, *position)
    axes[0].legend(loc="upper left", fontsize=11)
    return fig


cu.explore(
    against_me,
    "You are G: a critic is trained anew against every position of your two sliders. "
    "Without a kernel: beside the data, too narrow, and there.",
    static=three_positions,
    mean={"min": -2.0, "max": 3.0, "step": 0.1, "value": -0.5},
    width={"min": 0.2, "max": 2.0, "step": 0.1, "value": 0.5},
)

# %% [markdown]
# Too narrow: D dips in your middle, where you put more than the data do, and its slope tells you to spread.
# At mean 1 and width 0.8 the curve is flat at ½: not a bad critic, but one with nothing left to find.

# %% [markdown]
# ## 3 · A GAN in the plane *(core)*
#
# Eight Gaussians on a circle; G must bend one Gaussian blob into eight.
# Here is the whole algorithm: **D's turn** with G fixed, **G's turn** with D fixed, repeat.


# %%
def two_players(seed, lr_g=2e-3, lr_d=2e-3, momentum=0.0, sgd=False):
    """Networks for the plane, (B, 2) → (B, 2) and (B, 2) → (B,), and their optimisers."""
    torch.manual_seed(seed)
    G = cu.nets.mlp(2, 64, 64, 2, activation=nn.ReLU)
    D = nn.Sequential(cu.nets.mlp(2, 64, 64, 1, activation=nn.ReLU), nn.Flatten(0))
    game = {"G": G, "D": D, "gamma": 0.0, "goal": checked_loss}  # section 4 swaps the loss
    for name, net, lr in (("opt_g", G, lr_g), ("opt_d", D, lr_d)):
        if sgd:
            game[name] = torch.optim.SGD(net.parameters(), lr)
        else:
            game[name] = torch.optim.Adam(net.parameters(), lr, (momentum, 0.99), fused=True)
    return game


def downhill(opt, loss):
    """One step of one player."""
    opt.zero_grad()
    loss.backward()
    opt.step()


# %% tags=["slide"]
points = cu.eight_gaussians(50_000, seed=7)


def play(game, players="DG", batch=256):
    """One round in place: a minibatch, D's turn, G's turn. `players` may leave one out."""
    G = game["G"]
    D = game["D"]
    real = points[torch.randint(len(points), (batch,))]
    fake = G(torch.randn(batch, 2))
    if "D" in players:
        penalty = game["gamma"] * checked_r1(D, real) if game["gamma"] else 0.0  # section 5
        downhill(game["opt_d"], checked_loss("D", D, real, fake) + penalty)
    if "G" in players:
        downhill(game["opt_g"], game["goal"]("G", D, real, fake))
    return game


def play_on(game, rounds, players="DG"):
    """Several rounds in place; returns a copy of the game as it then stands."""
    for _ in cu.each(range(rounds)):
        play(game, players)
    return copy.deepcopy(game)


# %% [markdown]
# The next figure stops four times.
# Its background is D: purple where D is sure of a forgery, green where it is sure of the real thing, white where it cannot tell.
# The arrows are what a forgery is told: $\nabla_x\log D(x)$, the direction in which it would look more real.
# That arrow, pulled back through G's weights, is all that G ever learns about the data.
#
# **Predict:** will the arrows point to the nearest Gaussian?

# %%
moments = cu.budget([0, 60, 300, 1_500], [0, 1, 2, 8])
game = two_players(seed=1)
stages = {}
for before, now in zip([0, *moments], moments):
    stages[now] = play_on(game, now - before)


# %% tags=["figure", "slide"]
# @title Figure: the game at four moments
def draw_game(game, ax, n=240):
    """D's probability, G's points, and where D says 40 of them would look more real."""
    z = torch.randn(n, 2, generator=torch.Generator().manual_seed(1))
    x = game["G"](z).detach().requires_grad_(True)
    (pull,) = torch.autograd.grad(F.logsigmoid(game["D"](x)).sum(), x)
    size = pull.norm(dim=1, keepdim=True)
    length = (size / size.quantile(0.9)).clamp(max=1)  # compare within a panel only
    arrow = 0.6 * F.normalize(pull) * length
    x = x.detach()

    def probability(y):
        return game["D"](y).sigmoid()

    levels = [i / 10 for i in range(11)]
    cu.plots.density(probability, (-3, 3), ax=ax, n=90, levels=levels, cmap="PRGn", alpha=0.8)
    ax.scatter(*cu.eight_gaussians(200, seed=1).T, s=5, color="black", label="data")
    ax.scatter(*x.T, s=10, color="#B34700", label="forgeries")
    units = {"angles": "xy", "scale_units": "xy", "scale": 1, "width": 0.008, "zorder": 3}
    ax.quiver(*x[::6].T, *arrow[::6].T, color="#B34700", **units)
    ax.set(xlim=(-3, 3), ylim=(-3, 3))
    ax.label_outer()
    return ax.figure


fig, axes = plt.subplots(2, 2, figsize=(7.3, 7.3), sharex=True, sharey=True)
for ax, (rounds, stage) in zip(axes.flat, stages.items()):
    draw_game(stage, ax)
    ax.set_title(f"after {rounds:,} rounds")
axes[0, 0].legend(loc="upper right", fontsize=11)
cu.show(
    fig,
    "Real points (black), G's points (brown), D's probability of real (purple: low, white: "
    "one half, green: high), and the direction in which 40 forgeries would look more real "
    "(lengths compare within a panel).",
)

# %% [markdown]
# At first D shrugs, and all its arrows point the same way.
# By round 300 the forgeries lie on a broken ring, by round 1,500 in eight heaps.
# A few stragglers stay between them: G is continuous and can stretch its blob but not tear it.
#
# The arrows do *not* point to the nearest Gaussian.
# They climb D's slope, and D is low where there are too many forgeries.
# Nor is D flat: both players still move (section 6).
#
# **A ruler, fixed before anything was run.**
# Draw 2,500 samples after the last step, no selection.
# A mode is *covered* if at least 20 samples lie within 3σ of its centre, where σ is the standard deviation of one Gaussian.
# (A perfect G has nearly all its samples within 3σ, about 300 at each centre.)
#
# **Exercise 3 (core).**
# Write the rule.


# %% tags=["exercise"]
def modes_covered(samples, centres, sigma):
    """How many centres (K, d) have at least 20 samples (N, d) within 3σ of them; an int."""
    ### BEGIN SOLUTION
    near = torch.cdist(samples, centres) <= 3 * sigma  # (N, K)
    return int((near.sum(0) >= 20).sum())
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# `torch.cdist(samples, centres)` holds all distances, (N, K).
# Sum over the samples first, then ask each centre whether it has enough, then count centres.

# %%
checked_modes = cu.check("05.modes", modes_covered)
centres = cu.points.eight_centres()
sigma = cu.points.EIGHT_SIGMA


def covered(game):
    """Modes covered by 2,500 samples, and the share of them within 3σ of any mode."""
    with torch.no_grad():
        samples = game["G"](torch.randn(2_500, 2))
    near = torch.cdist(samples, centres).min(1).values <= 3 * sigma
    return checked_modes(samples, centres, sigma), near.double().mean().item()


modes, share = covered(game)
cu.facts("modes covered after the last round", modes, "samples within 3σ", f"{share:.0%}")

# %% [markdown]
# ## 3b · A second sampler: let D choose *(deeper)*
#
# G makes a few stragglers; D knows it.
# By (4) its logit estimates $\log(p_\text{data}/p_\theta)$, so keep each forgery with a probability proportional to $e^{a(x)}$: the ones that are kept follow $p_\theta\cdot p_\text{data}/p_\theta=p_\text{data}$, if D is right.
#
# **Exercise 4 (deeper).**
# Write this *rejection sampler*.
# A probability is at most 1, so divide by the largest $e^{a}$ of the batch.


# %% tags=["exercise"]
def keep_by_critic(logits, u):
    """Which samples to keep, bool (N,): probability e^a / max e^a; u (N,) uniform in [0, 1)."""
    ### BEGIN SOLUTION
    return u < (logits - logits.max()).exp()
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# Subtract the largest logit *before* the exponential, which then cannot overflow.
# A number that is uniform between 0 and 1 lies below $P$ with probability $P$.

# %%
checked_keep = cu.check("05.keep", keep_by_critic)
with torch.no_grad():
    many = game["G"](torch.randn(20_000, 2))
    keep = checked_keep(game["D"](many), torch.rand(20_000))
for name, kept in {"all samples": many, "kept by D": many[keep]}.items():
    near = torch.cdist(kept, centres).min(1).values <= 3 * sigma
    cu.facts(f"{name}, within 3σ", f"{near.double().mean():.1%}", "how many", len(kept))

# %% [markdown]
# D throws out 30 % of the forgeries, and more than half of the stragglers are among them: 97 % of what is left lie within 3σ, in place of 94 %.
# No weight of G has changed.

# %% [markdown]
# ## 4 · Which loss for G? *(core)*
#
# Equation (1) suggests for G the loss $\mathbb E\log(1-D(G(z)))$, called *saturating*.
# Both that loss and (3), the *non-saturating* one, fall when D is fooled; they differ in how hard they pull.
# With respect to the logit $a$ of one forgery, using $\sigma'=\sigma(1-\sigma)$,
#
# $$\begin{aligned}
# \frac{\partial}{\partial a}\log(1-\sigma(a))&=-\sigma(a)=-D, \\
# \frac{\partial}{\partial a}\bigl(-\log\sigma(a)\bigr)&=-(1-\sigma(a))=-(1-D).
# \end{aligned} \tag{6}$$
#
# Everything behind the logit, D's weights and G's weights, multiplies both alike.
# First a measurement: only D is trained, against a G that has learned nothing, and we ask both losses for their gradient in G's weights.


# %%
def saturating(player, D, real, fake):
    """E log(1 − D(G(z))), the loss of G that (1) suggests."""
    return F.logsigmoid(-D(fake)).mean()


def pull_on(G, loss):
    """The norm of the gradient of a loss in G's weights."""
    slope = torch.autograd.grad(loss, G.parameters(), retain_graph=True)
    return torch.cat([part.flatten() for part in slope]).norm().item()


game = two_players(seed=0)
pulls = {"saturating": [], "non-saturating": []}
for _ in range(cu.budget(200)):
    fake = game["G"](torch.randn(256, 2))
    pulls["saturating"].append(pull_on(game["G"], saturating("G", game["D"], None, fake)))
    pulls["non-saturating"].append(pull_on(game["G"], checked_loss("G", game["D"], None, fake)))
    play(game, "D")
fooled = game["D"](fake).sigmoid().mean().item()

# %% tags=["figure", "slide"]
# @title Figure: how hard two losses of G pull
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.5))
d = torch.linspace(0, 1, 101)
left.plot(d, d, label="saturating, log(1 − D)")
left.plot(d, 1 - d, label="non-saturating, −log D")
left.set(xlabel="D(G(z))", ylabel="|∂ loss / ∂ logit|")
left.set_title("Pull on one forgery")
left.legend(loc="center", fontsize=11)
for name, sizes in pulls.items():
    right.semilogy(range(0, len(sizes), 5), sizes[::5], label=name)
right.set(xlabel="steps of D alone", ylabel="‖∂ loss / ∂ weights of G‖")
right.set_title(f"Pull on G: D(G(z)) falls to {fooled:.4f}")
cu.show(
    fig,
    "Left: gradient with respect to the logit for both generator losses. Right: measured norm "
    "of the gradient in G's weights while only D is trained, every fifth step.",
)
cu.facts(
    {
        "steps of D": len(pulls["saturating"]),
        "D(G(z)) at the end": f"{fooled:.4f}",
        "non-saturating / saturating gradient": pulls["non-saturating"][-1]
        / pulls["saturating"][-1],
    }
)

# %% [markdown]
# When D(G(z)) has fallen to 0.0014, the saturating gradient is 371 times smaller than the other, and still falling.
# It pulls hardest on forgeries that already fool D, and lets go of the hopeless ones.
# So textbooks advise against it.
#
# A gradient norm is no training run, so let us train.
# D, by Adam, gets the same head start, 200 rounds alone; then 1,000 rounds of both.
# G descends either loss, by Adam or by plain SGD; three seeds.
# **Predict** which of the four pairs fail.

# %%
rounds = cu.budget(1_000)


def by_seed(found):
    """Modes of each seed, and the mean share of samples within 3σ."""
    share = sum(share for _, share in found) / len(found)
    return ", ".join(str(modes) for modes, _ in found) + f"; {share:.0%} within 3σ"


goals = {"non-saturating": checked_loss, "saturating": saturating}
found = {}
games = list(product(("Adam", "SGD"), goals, range(3)))
for name, kind, seed in cu.each(games, "games"):
    game = two_players(seed) | {"goal": goals[kind]}
    if name == "SGD":
        game["opt_g"] = torch.optim.SGD(game["G"].parameters(), 0.02)
    play_on(game, rounds // 5, "D")
    play_on(game, rounds)
    found.setdefault(f"{name}, {kind}", []).append(covered(game))
for case, of_seeds in found.items():
    cu.facts(f"{case}: modes of three seeds", by_seed(of_seeds))


# %% [markdown]
# With Adam both losses cover all eight modes with every seed: Adam divides each gradient by its own recent size, and a factor of 371 is divided out.
# With SGD (rate 0.02) the warning is true: within 1,000 rounds the non-saturating loss still gets G going, the saturating one leaves it where it was, with no mode at all.
#
# *The saturating loss is not wrong; it needs an optimiser that does not care about the size of a gradient.*
#
# We keep (3), the common choice.
# Its price: the two players no longer play for one number.

# %% [markdown]
# ## 4b · What does the non-saturating loss minimise? *(deeper)*
#
# Let D be optimal and then hold it fixed, as G's step does.
# With $q=p_\theta$,
#
# $$-\log D^*=\log\frac{1-D^*}{D^*}-\log(1-D^*)=\log\frac{q}{p_\text{data}}-\log(1-D^*).$$
#
# Average over $x=G(z)$ and differentiate only through $x$.
#
# *First term.*
# $\mathrm{KL}(q\,\|\,p_\text{data})=\mathbb E_q\log(q/p_\text{data})$;
# its gradient has one part through $x$ and one through the $q$ inside the logarithm, and the latter is $\mathbb E_q\nabla_\theta\log q=\nabla_\theta\int q=0$.
# So the first term gives $\nabla_\theta\mathrm{KL}(q\,\|\,p_\text{data})$.
#
# *Second term.*
# Let $V^*(\theta)=\max_DV(D,\theta)$.
# The chain rule gives $\frac{dV^*}{d\theta}=\frac{\partial V}{\partial\theta}+\frac{\partial V}{\partial D}\frac{dD^*}{d\theta}$, and $\frac{\partial V}{\partial D}=0$ at a maximum: how D* moves with θ does not matter (the *envelope theorem*).
# By (5) $V^*=2\,\mathrm{JSD}-\log4$, so the gradient of 2·JSD is that of $\mathbb E\log(1-D^*)$ with D* held fixed.
# Together
#
# $$\nabla_\theta\,\mathbb E_z\bigl[-\log D^*(G(z))\bigr]=\nabla_\theta\bigl[\mathrm{KL}(p_\theta\,\|\,p_\text{data})-2\,\mathrm{JSD}(p_\theta,p_\text{data})\bigr]. \tag{7}$$
#
# The first is the *reverse* KL of lesson 02, the one that seeks: a point invented where there are no data is expensive, a mode left out is cheap.
# The second even has the wrong sign.
# That may be one reason why GANs are sharp and drop modes; a real D is never optimal, and GANs built on other divergences are sharp, too.
# A check of (7) for a Gaussian $p_\theta$ against the two bumps:


# %% tags=["figure"]
# @title Table: both sides of (7), and two pairs that do not overlap
def sides_of_seven(mean, std):
    """Both sides of (7) for p_θ = N(mean, std²): gradients in (mean, std), by quadrature."""
    x = grid.clone().requires_grad_(True)
    minus_log_D = -F.logsigmoid(log_bumps(x) - log_bell(x, mean, std))
    (slope,) = torch.autograd.grad(minus_log_D.sum(), x)  # of −log D*, in x
    q = log_bell(grid, mean, std).exp()
    eps = (grid - mean) / std  # x = mean + std · ε
    left = torch.stack([(q * slope).sum(), (q * slope * eps).sum()]) * dx

    theta = torch.tensor([mean, std], dtype=torch.float64, requires_grad=True)
    log_q = -0.5 * ((grid - theta[0]) / theta[1]) ** 2
    log_q = log_q - theta[1].log() - 0.5 * math.log(2 * math.pi)
    log_m = torch.logaddexp(log_q, log_bumps(grid)) - math.log(2)
    kl = (log_q.exp() * (log_q - log_bumps(grid))).sum() * dx
    two_jsd = (log_q.exp() * (log_q - log_m) + p * (log_bumps(grid) - log_m)).sum() * dx
    (right,) = torch.autograd.grad(kl - two_jsd, theta)
    return left, right


rows = []
for mean, std in ((0.3, 1.4), (-1.5, 0.5), (1.0, 0.4)):
    left, right = sides_of_seven(mean, std)
    torch.testing.assert_close(left, right, atol=1e-6, rtol=1e-5)
    for which, by_slope, by_integral in zip(("mean", "width"), left, right):
        rows.append([f"N({mean}, {std}²), in its {which}", by_slope.item(), by_integral.item()])
cu.table(rows, ["p_θ", "left side of (7)", "right side"], "Gradients in nats.", digits=4)
for mean in (4.0, 8.0):  # two narrow bells that do not overlap
    apart = jsd(log_bell(grid, 0.0, 0.1).exp(), log_bell(grid, mean, 0.1).exp())
    cu.facts(f"JSD of two narrow bells {mean:.0f} apart, nats", apart)

# %% [markdown]
# The two sides agree.
# The last two numbers are $\log2=0.693$: where two distributions do not overlap, the divergence does not say how far apart they are, and the best critic is perfect and flat (see *Where this stands*).

# %% [markdown]
# ## 5 · Mode collapse, on purpose *(core)*
#
# Nothing in (3) asks G for variety: a single perfect forgery, repeated, would be a fine answer to today's D.
# Tomorrow's D learns that exactly this point is suspicious, and G moves on.
# When D is slow, this chase is all that happens.
#
# One candidate for a repair is a penalty on D's slope at the *real* points, called **R1**:
#
# $$R_1=\tfrac12\,\mathbb E_{x\sim p_\text{data}}\bigl\|\nabla_x a(x)\bigr\|^2,\qquad \text{loss of D}\leftarrow\text{(2)}+\gamma R_1. \tag{8}$$
#
# It keeps D from building cliffs at the data.
#
# **Exercise 5 (core).**
# Write R1.
# It is a loss that contains a gradient, and D's step needs *its* gradient (Card 2).


# %% tags=["exercise"]
def r1_penalty(D, real):
    """Equation (8): half the mean squared slope of D's logits at `real` (B, …)."""
    ### BEGIN SOLUTION
    real = real.detach().requires_grad_(True)
    (slope,) = torch.autograd.grad(D(real).sum(), real, create_graph=True)  # the shape of real
    return 0.5 * slope.square().flatten(1).sum(1).mean()
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# Ask for gradients at `real.detach().requires_grad_(True)`.
# The *sum* of the logits has each image's own slope as its gradient.
# `create_graph=True` keeps the graph for a second pass.
# Then: square, sum over everything but the batch, mean over the batch, half.

# %%
checked_r1 = cu.check("05.r1", r1_penalty)

# %% [markdown]
# **Two configurations.**
# *Hasty*: G learns at 2·10⁻³, D ten times more slowly, both with momentum 0.9 (Adam's first β: a step follows a running average of the gradients).
# *Repaired*: D learns at G's rate, no momentum, and R1 with γ = 0.1.
# Everything else is the same; seeds 0 to 4, section 3's rule.
#
# **Predict:** how many of the eight modes has a hasty G at the last step?
# Is it stuck there?

# %%
HASTY = {"lr_g": 2e-3, "lr_d": 2e-4, "momentum": 0.9}
PACE = {"lr_d": 2e-3}
CALM = {"momentum": 0.0}
SLOPE = {"gamma": 0.1}


def covered_after(seed, rounds, gamma=0.0, **options):
    """Modes covered, and the share of samples within 3σ of any mode, after the last round."""
    game = two_players(seed, **options) | {"gamma": gamma}
    return covered(play_on(game, rounds))


pairs = {"hasty": HASTY, "repaired": HASTY | PACE | CALM | SLOPE}
found = {}
for name, seed in cu.each(list(product(pairs, range(5))), "games"):
    found.setdefault(name, []).append(covered_after(seed, rounds, **pairs[name]))
for name, of_seeds in found.items():
    cu.facts(f"{name}: modes of seeds 0 to 4, share within 3σ", by_seed(of_seeds))


# %% [markdown]
# **Watch it hop, then repair it in mid-run.**
# Click *Train* with ×10 a few times and follow the brown heap; then press *Repair* and train on.


# %%
def repair(game):
    """Give a running game the repaired configuration."""
    for opt in (game["opt_g"], game["opt_d"]):
        for group in opt.param_groups:
            group.update(lr=2e-3, betas=(0.0, 0.99))
    return game | {"gamma": 0.1}


# %% tags=["figure", "slide"]
# @title Widget: a hasty game, and its repair
def one_game(game):
    """A figure of one game."""
    fig, ax = plt.subplots(figsize=(4.6, 4.6))
    draw_game(game, ax).suptitle("")
    return fig


def rounds_of(players, n=10):
    """An action for the stepper: n rounds with these players."""
    rounds = cu.budget(n)

    def action(game):
        for _ in range(rounds):
            play(game, players)
        return game

    return action


def hopping():
    """The picture without a kernel: the hasty game at five moments, then repaired."""
    game = two_players(seed=2, **HASTY)
    fig, axes = plt.subplots(2, 3, figsize=(8.8, 6.2), sharex=True, sharey=True)
    for ax, title in zip(axes.flat, ("200", "400", "600", "800", "1,000")):
        draw_game(play_on(game, cu.budget(200)), ax)
        ax.set_title(f"hasty, round {title}")
    game = repair(game)
    draw_game(play_on(game, cu.budget(500)), axes[1, 2])
    axes[1, 2].set_title("repaired, round 1,500")
    return fig


cu.stepper(
    two_players(seed=2, **HASTY),
    {"Train": rounds_of("DG", 25), "Repair": repair},
    one_game,
    static=hopping,
    caption="A collapsed game: data black, forgeries brown. Five moments of the hasty pair: "
    "the forgeries hop from place to place (at 600 and 800 they are outside the picture). "
    "Sixth: 500 rounds after the repair.",
)

# %% [markdown]
# After a thousand rounds the hasty G covers 0, 0, 1, 1 and 0 modes, and 5 % of its samples are near any mode at all.
# It is not stuck: it is somewhere else every few hundred rounds, where D has not looked for a while.
# The repaired pair covers all eight with every seed, with 85 % of the samples within 3σ.

# %% [markdown]
# ## 5b · Step it yourself *(deeper)*
#
# Train only D, then only G, then both.


# %% tags=["figure"]
# @title Widget: the game in slow motion
def starved():
    """The picture without a kernel: one player alone, then the other, then both."""
    game = two_players(seed=1)
    fig, axes = plt.subplots(1, 3, figsize=(9, 3.4), sharey=True)
    turns = [
        ("D", cu.budget(100), "100 rounds of D alone"),
        ("G", cu.budget(100), "then 100 of G alone"),
        ("DG", cu.budget(300), "then 300 of both"),
    ]
    for ax, (players, rounds, title) in zip(axes, turns):
        draw_game(play_on(game, rounds, players), ax)
        ax.set_title(title)
    return fig


cu.stepper(
    two_players(seed=1),
    {"Only D": rounds_of("D"), "Only G": rounds_of("G"), "Both": rounds_of("DG")},
    one_game,
    static=starved,
    caption="The game in slow motion, 10 rounds a click. Without a kernel: D alone, then G "
    "alone, then both.",
)

# %% [markdown]
# First D is right wherever there are points; the empty corners are green, too.
# Then G's points run up the frozen slope and off the map: no D tells them that nothing real is there.
# When both play again, the points come back.

# %% [markdown]
# ## 5c · Which part of the repair repairs? *(deeper)*
#
# The repair changed three things at once, which is a bad experiment.
# Now each alone, and the first two together.
#
# **Exercise 6 (deeper, predict and measure).**
# Commit to four numbers: the modes, averaged over the seeds, of the hasty pair with D's pace only, no momentum only, R1 only, and pace with no momentum.


# %% tags=["exercise"]
def my_bets():
    """Four numbers from 0 to 8: pace only, no momentum only, R1 only, pace and no momentum."""
    ### BEGIN SOLUTION
    return 4, 4, 4, 6
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# There is no wrong answer.
# Ask of each change: does it help D to see where G is *now*?

# %%
checked_bets = cu.check("05.bets", my_bets)

# %%
alone = [PACE, CALM, SLOPE, PACE | CALM]
names = ["only D's pace", "only no momentum", "only R1", "pace and no momentum"]
rows = []
for name, change, bet in cu.each(list(zip(names, alone, checked_bets())), "changes"):
    found = [covered_after(seed, rounds, **(HASTY | change)) for seed in range(5)]
    mean = sum(modes for modes, _ in found) / len(found)
    rows.append([name, by_seed(found), mean, bet])

# %% tags=["figure"]
# @title Table: modes covered with one change at a time
columns = ["the hasty pair, changed", "modes, seeds 0 to 4", "mean modes"]
cu.table(rows, [*columns, "your bet"], "Section 3's rule, one change at a time.", digits=1)

# %% [markdown]
# None of the three suffices alone: D's pace gives 1 to 4 modes, no momentum at most 3, R1 at most 1.
# Pace and no momentum *together* give 8 five times, with 88 % of the samples within 3σ.
# R1 added nothing here, and a repair that changes three things has taught us less than its numbers suggested.
# Section 6 says what momentum does.
#
# **Exercise 7 (deeper, open).**
# Find a second repair of the hasty pair that leaves D's learning rate alone.
# (Several steps of D a round? A slower G? Noise on what D sees?)
# Fix your rule first, then report seeds 0 to 4, failures included.

# %% [markdown]
# ## 6 · Games are not minimisations *(deeper)*
#
# Gradient descent on one loss goes down until it stops; two players who each go downhill need not stop anywhere.
#
# The smallest example (Mescheder, Geiger and Nowozin, 2018):
# the data are the single point 0, G's output is the single point θ, and the critic's logit is a line through the origin, $a(x)=\psi x$.
# Then (1) is $V=\log\tfrac12+\log\sigma(-\psi\theta)$, the equilibrium is θ = ψ = 0, and
#
# $$\frac{\partial V}{\partial\psi}=-\theta\,\sigma(\psi\theta)\ \text{(D climbs)},\qquad \frac{\partial V}{\partial\theta}=-\psi\,\sigma(\psi\theta)\ \text{(G descends)}. \tag{9}$$
#
# In continuous time $\dot\psi=-\theta\sigma$ and $\dot\theta=+\psi\sigma$, so $\tfrac{d}{dt}(\theta^2+\psi^2)=0$: the players **circle** for ever.
# Training takes steps of size η.
# Near the origin σ = ½, and a round multiplies the pair (θ, ψ) by a matrix; its eigenvalues λ (Card 2) say whether displacements grow (|λ| > 1), keep their size or shrink.
#
# - *Simultaneous* steps: $\theta'=\theta+\tfrac\eta2\psi$ and $\psi'=\psi-\tfrac\eta2\theta$, so λ = 1 ± iη/2 and |λ| = √(1 + η²/4) > 1.
# - *Alternating*, D first, G answers the new ψ′: $\theta'=\theta+\tfrac\eta2\psi'$.
#   Determinant 1, trace 2 − η²/4: |λ| = 1 while η < 4.
# - *Alternating with R1*, whose gradient is γψ: $\psi'=(1-\eta\gamma)\psi-\tfrac\eta2\theta$.
#   Determinant 1 − ηγ, so |λ| = √(1 − ηγ) < 1 while the pair is complex.
# - *Alternating with momentum* β: a step is β times the last step plus the new gradient step.
#   To second order in η (Exercise 8)
#
# $$|\lambda|\approx1+\frac{\beta}{1-\beta}\,s^2,\qquad s=\frac{\eta}{2(1-\beta)}. \tag{10}$$
#
# (For small $s$: at β = 0.9 and η = 0.2, where $s=1$, only its sign is right.)
#
# **Predict** from (10): which momentum spirals inward?


# %%
def dirac_round(state, eta=0.2, gamma=0.0, momentum=0.0, alternating=True):
    """One round of the game (9): (θ, ψ, last step of θ, last step of ψ) → the same, (4,)."""
    theta, psi, step_g, step_d = state
    slope_d = theta * torch.sigmoid(psi * theta) + gamma * psi
    step_d = momentum * step_d - eta * slope_d
    seen = psi + step_d if alternating else psi  # what G answers to
    step_g = momentum * step_g + eta * seen * torch.sigmoid(seen * theta)
    return torch.stack([theta + step_g, psi + step_d, step_g, step_d])


def eigenvalue_size(**options):
    """The largest |λ| of the round's matrix at the origin."""
    origin = torch.zeros(4, dtype=torch.float64)
    matrix = jacobian(lambda state: dirac_round(state, **options), origin)
    return torch.linalg.eigvals(matrix).abs().max().item()


def orbit(rounds, **options):
    """θ and ψ from (0.8, 0.8) on: (rounds + 1, 2)."""
    path = [torch.tensor([0.8, 0.8, 0.0, 0.0], dtype=torch.float64)]
    for _ in range(rounds):
        path.append(dirac_round(path[-1], **options))
    return torch.stack(path)[:, :2]


# %%
cases = {
    "simultaneous": {"alternating": False},
    "alternating": {},
    "R1, γ = 0.2": {"gamma": 0.2},
    "momentum 0.9": {"momentum": 0.9},
    "momentum 0.5": {"momentum": 0.5},
    "momentum −0.5": {"momentum": -0.5},
    "momentum 0.9, R1": {"momentum": 0.9, "gamma": 0.2},
}
sizes = {name: eigenvalue_size(**options) for name, options in cases.items()}
derived = [math.sqrt(1 + 0.2**2 / 4), 1.0, math.sqrt(1 - 0.2 * 0.2)]
for size, expected in zip(sizes.values(), derived):
    assert abs(size - expected) < 1e-9  # what was derived above
mean_orbit = orbit(250).mean(0)
cu.facts({f"|λ|, {name}": size for name, size in sizes.items()}, digits=4)
averaging = {"eta": 0.2 * (1 - 0.9), "momentum": 0.9}  # steps that do not grow with momentum
cu.facts("|λ|, momentum 0.9 as an average", eigenvalue_size(**averaging), digits=4)
cu.facts("the same with R1", eigenvalue_size(gamma=0.2, **averaging), digits=4)
cu.facts("mean of the alternating orbit: θ", mean_orbit[0], "ψ", mean_orbit[1], digits=2)


# %% tags=["figure"]
# @title Figure: six ways to take turns
fig, axes = plt.subplots(2, 3, figsize=(8.2, 6.2), sharex=True, sharey=True)
for ax, name in zip(axes.flat, [name for name in cases if name != "momentum 0.5"]):
    path = orbit(250, **cases[name])
    inside = path.abs().amax(1) < 2.5
    path = path if inside.all() else path[: int((~inside).nonzero()[0]) + 1]
    ax.plot(*path.T, lw=1.2)
    ax.plot(*path[0], "o", color="black")
    ax.set(xlabel="θ (what G outputs)", ylabel="ψ (slope of D)", xlim=(-2.5, 2.5))
    ax.set_title(f"{name}\n|λ| = {sizes[name]:.4f}, {len(path) - 1} rounds", fontsize=12)
    ax.label_outer()
cu.show(
    fig,
    "The one-parameter GAN with step 0.2 from the black dot, until it leaves the picture or "
    "for 250 rounds; all but the first take turns.",
)

# %% [markdown]
# *Simultaneous* steps spiral outward, |λ| = 1.005.
# *Alternating* ones stay on a closed orbit: nobody wins and nobody gives up.
# The last iterate is no better than the first, but the **mean** of the orbit is near the equilibrium: that is what averaging G's weights will buy in section 7.
# *R1* pulls inward, 0.9798.
#
# *Momentum* helps in minimisation; here 0.9 throws the players out within a few rounds (|λ| = 1.192), 0.5 more slowly (1.032).
# The average of yesterday's gradients points to where the opponent was.
# A negative momentum, −0.5, spirals inward (0.9985), as (10) says and Gidel and others (2019) found.
# R1 does not save momentum 0.9: 1.163 is left.
# Nor is this a matter of larger steps: with momentum as an *average*, as in Adam, |λ| is still 1.030, with R1 1.021.
#
# So the eigenvalues explain a part of 5c's table: all eight modes appear only where momentum is gone, and R1 does not make up for momentum 0.9.
# They do not explain D's *pace*: without momentum two rates leave the determinant at 1.
#
# **Exercise 8 (deeper, on paper).**
# Derive (10).
#
# <details><summary>Step 1</summary>
#
# Let every quantity be multiplied by λ a round.
# D's step $v$ obeys $\lambda v=\beta v-\tfrac\eta2\theta$, and $\lambda\psi=\psi+\lambda v$, so $\psi=-\frac\eta2\,\frac{\lambda\theta}{(\lambda-1)(\lambda-\beta)}$.
#
# </details>
# <details><summary>Step 2</summary>
#
# G answers the new ψ: likewise $\theta=\frac\eta2\,\frac{\lambda^2\psi}{(\lambda-1)(\lambda-\beta)}$.
# Together $(\lambda-1)^2(\lambda-\beta)^2=-\frac{\eta^2}4\lambda^3$.
#
# </details>
# <details><summary>Step 3</summary>
#
# Take the root, put $\lambda=1+\delta$ and expand: $\delta(1-\beta)+\delta^2=i\frac\eta2(1+\frac32\delta)$.
# To first order $\delta=is$; to second order its real part is $r=s^2\bigl(\frac1{1-\beta}-\frac32\bigr)$.
# Then $|\lambda|\approx1+r+\frac{s^2}2$, which is (10).
#
# </details>
#
# **Exercise 9 (deeper, break it).**
# R1 needs small steps.
# Find a γ for which R1 throws the alternating players out, at η = 0.2, by overshooting: D jumps over 0 and back, farther each time.


# %% tags=["exercise"]
def too_much():
    """A positive γ with which R1 makes an eigenvalue of the alternating round less than −1."""
    ### BEGIN SOLUTION
    return 12.0
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# Without the game, a step on R1 alone multiplies ψ by $1-\eta\gamma$.
# When is that below −1?

# %%
checked_gamma = cu.check("05.too_much", too_much)
cu.facts("γ", checked_gamma(), "|λ|", eigenvalue_size(gamma=checked_gamma()))

# %% [markdown]
# ## 7 · Digits *(core)*
#
# G grows a 64-vector into a 7 × 7 map and doubles it twice; D is its mirror, and gives one logit.

# %% tags=["figure"]
# @title Figure: the two networks
d = cu.diagram()
stages_g = [("z", "64"), ("linear", "64 × 7 × 7"), ("grow", "32 × 14 × 14"), ("ink", "28 × 28")]
stages_d = [("conv", "32 × 14 × 14"), ("conv", "64 × 7 × 7"), ("conv", "128 × 4 × 4")]
shapes = []
for i, (name, note) in enumerate(stages_g):
    shapes.append(d.box(name, (1.55 * i, 0), 1.0, colour=LEARNS["G"], note=note))
for i, (name, note) in enumerate(stages_d):
    shapes.append(d.box(name, (1.55 * i, -1.6), 1.0, colour=LEARNS["D"], note=note))
extra = d.box("batch std", (3.1, -2.9), colour=LEARNS["D"], note="one extra map")
out = d.box("linear", (4.65, -1.6), 1.0, colour=LEARNS["D"], note="logit a(x)")
for a, b in [(0, 1), (1, 2), (2, 3), (4, 5), (5, 6)]:
    d.arrow(shapes[a], shapes[b])
d.arrow(shapes[6], out)
d.arrow((3.1, -2.15), extra)
d.arrow(extra, out)
d.text("G", (-0.9, 0), weight="bold", colour=LEARNS["G"], fontsize=16)
d.text("D", (-0.9, -1.6), weight="bold", colour=LEARNS["D"], fontsize=16)
cu.show(
    d.figure, "G above, D below, with the shape (channels × height × width) of each result."
)

# %% [markdown]
# The choices that concern the game:
# - **no momentum**: section 5c;
# - **R1** (γ = 0.05, on 8 of the 64 images of a batch, to save time);
# - **BatchNorm** (each channel minus its mean over the batch, divided by its standard deviation) **in G, none in D**: there it would normalise real and forged batches by different numbers;
# - **minibatch standard deviation**: D sees, as one extra map, how much the images of a batch differ, so a G that repeats itself gives itself away;
# - **a learning rate that falls** like $1/\sqrt{1+t/4000}$;
# - **EMA**: the players circle (section 6), so we keep the running average of G's weights.

# %% tags=["shared"]
LATENT = 64


def block(layer, norm):
    """A layer, its normalisation, a leaky ReLU."""
    return nn.Sequential(layer, norm(layer.out_channels), nn.LeakyReLU(0.2))


class Generator(nn.Module):
    """z (B, 64) → images (B, 1, 28, 28) in [0, 1]; two up-samplings, 7 → 14 → 28."""

    def __init__(self, norm=nn.BatchNorm2d, w=32):
        super().__init__()
        self.body = nn.Sequential(
            block(nn.Conv2d(2 * w, 2 * w, 3, 1, 1), norm),
            block(nn.ConvTranspose2d(2 * w, w, 4, 2, 1), norm),  # 7 → 14 wide
            block(nn.Conv2d(w, w, 3, 1, 1), norm),
        )
        first = [nn.Linear(LATENT, 98 * w), nn.Unflatten(1, (2 * w, 7, 7)), norm(2 * w)]
        self.start = nn.Sequential(*first, nn.LeakyReLU(0.2))
        self.ink = nn.Sequential(nn.Conv2d(w, 4, 3, 1, 1), nn.PixelShuffle(2), nn.Sigmoid())

    def forward(self, z):
        return self.ink(self.body(self.start(z)))


# %% tags=["shared"]
class Discriminator(nn.Module):
    """Images (B, 1, 28, 28) in [0, 1] → logits (B,); it also sees how a batch varies."""

    def __init__(self, norm=nn.Identity, batch_std=True, w=32):
        super().__init__()
        self.batch_std = batch_std
        self.body = nn.Sequential(
            block(nn.Conv2d(4, w, 3, 1, 1), nn.Identity),  # 14 wide; never a norm here
            block(nn.Conv2d(w, 2 * w, 4, 2, 1), norm),  # 7 wide
            block(nn.Conv2d(2 * w, 4 * w, 3, 2, 1), norm),  # 4 wide
        )
        self.out = nn.Linear((4 * w + 1) * 16, 1)

    def forward(self, x):
        h = self.body(F.pixel_unshuffle(2 * x - 1, 2))  # (B, 4, 14, 14) → (B, 4w, 4, 4)
        spread = h.var(0, correction=min(1, len(h) - 1))  # 0 for an image alone
        std = self.batch_std * (spread + 1e-8).sqrt().mean().expand(len(h), 1, 4, 4)
        return self.out(torch.cat([h, std], 1).flatten(1)).squeeze(1)


# %% [markdown]
# Here is the game.
# Read `take_turns` aloud: it is section 3's `play`, with an average of G's weights.


# %% tags=["slide"]
def take_turns(x, game, gamma=0.05, goal=checked_loss):
    """One round on a batch x (B, 1, 28, 28): D's turn, G's turn, and the bookkeeping."""
    G = game["G"]
    D = game["D"]
    fake = G(torch.randn(len(x), LATENT, device=x.device))

    loss_d = checked_loss("D", D, x, fake)  # D's turn. G is fixed: this loss stops at `fake`
    penalty = gamma * checked_r1(D, x[:8]) if gamma else 0.0
    downhill(game["opt_d"], loss_d + penalty)

    D.requires_grad_(False)  # G's turn. D is fixed: it only hands the gradient on
    loss_g = goal("G", D, x, fake)
    downhill(game["opt_g"], loss_g)
    D.requires_grad_(True)

    for slow in ("slow_g", "slow_d"):
        game[slow].step()
    game["average"].update()
    return {"loss of D": loss_d, "loss of G": loss_g}


# %%
def new_game(seed=0, lr_g=2e-3, lr_d=2e-3, momentum=0.0, norm_g=nn.BatchNorm2d, **options_of_D):
    """Players, optimisers, falling rates, G's average: all that a resumed run needs."""
    torch.manual_seed(seed)
    G, D = cu.prepare(Generator(norm_g), Discriminator(**options_of_D))
    game = {"G": G, "D": D}
    for name, net, lr in (("g", G, lr_g), ("d", D, lr_d)):
        opt = torch.optim.Adam(net.parameters(), lr, (momentum, 0.99), fused=True)
        slowing = torch.optim.lr_scheduler.LambdaLR(opt, lambda t: (1 + t / 4_000) ** -0.5)
        game |= {f"opt_{name}": opt, f"slow_{name}": slowing}
    return game | {"average": cu.train.EMA(G, 0.9995)}


def latents(n, seed):
    """n latents (n, 64), the same for every model."""
    return torch.randn(n, LATENT, generator=torch.Generator().manual_seed(seed))


def paint(net, z):
    """Images (N, 1, 28, 28) on the CPU from latents (N, 64), in evaluation mode."""
    net.eval()
    with torch.no_grad():
        return torch.cat([net(part).cpu() for part in z.to(device).split(500)])


# %% tags=["quiet"]
game = new_game()
G = game["G"]
D = game["D"]
G_mean = game["average"].module
still = latents(cu.budget(1_000, full=5_000), seed=1)
epochs = [EPOCH * epoch for epoch in (0, 1, 2, 3, 5, 8, 12, 16, 20, 25, 30)]
history = cu.loop(
    lambda x: take_turns(x, game),
    cu.Batches(mnist.train, 64),
    state=game,
    steps=400,
    full=30 * EPOCH,
    preview=lambda step: paint(G_mean, still),
    preview_at=cu.budget([0, 100, 200, 400], [0, 4, 8], epochs),
)

# %% [markdown]
# Half an epoch is enough to see strokes; the long run of the same cell ships with the course.
# The rest of the notebook uses its weights.


# %% tags=["author"]
def class_shares(images):
    """The share of each class in uint8 images, by the course's classifier: (10,)."""
    judge = cu.metrics.classifier()
    parts = torch.as_tensor(images).reshape(-1, 1, 28, 28).split(1_000)
    with torch.no_grad():
        seen = [judge(part.to(device).float() / 255).argmax(1) for part in parts]
    return torch.cat(seen).bincount(minlength=10).cpu().double() / len(images)


def scores_on_card(found):
    """A Score as figures for a card: mean and spread over five sets."""
    where = f"{found.reference}, n = {found.n:,}"
    return {
        f"Fréchet distance, {where}": (found.distance, 3 * found.distance_spread),
        f"spread of the distance, {where}": (found.distance_spread, found.distance_spread),
        f"KID, {where}": (found.kid, 3 * found.kid_spread),
        f"spread of KID, {where}": (found.kid_spread, found.kid_spread),
    }


def one_set(images):
    """The Fréchet distance of one set of images to the test digits."""
    return cu.metrics.score([torch.as_tensor(images)], reference="test").distance


def measured():
    """Figures for the card: five sets of 5,000, losses and distances at every frame."""
    fresh = cu.to_uint8(paint(G_mean, latents(25_000, seed=2)))
    figures = {}
    for reference in ("validation", "test"):
        figures |= scores_on_card(cu.metrics.score(fresh, 5_000, reference))
    figures["n"] = (len(still), 0)
    for step, frame in zip(history.frame_steps, history.frames):
        distance = one_set(frame)
        figures[f"Fréchet distance after {step}"] = (distance, 0.1 * distance)
    few = one_set(history.frames[-1][:1_000])
    figures["Fréchet distance, first 1,000"] = (few, 0.03 * few)  # quick to measure again
    for step in history.frame_steps[1:]:
        at = history.steps.index(step)
        for key in ("loss of D", "loss of G"):
            figures[f"{key} after {step}"] = (history[key][at], 0.2)
    figures["rarest class, share"] = (class_shares(history.frames[-1]).min().item(), 0.01)
    raw = one_set(cu.to_uint8(paint(G, still)))
    figures["Fréchet distance without averaging"] = (raw, 0.1 * raw)
    return figures


# %% tags=["author"]
def first_36():
    """The replay: 36 of the latents at every frame."""
    frames = torch.stack([torch.from_numpy(frame[:36]) for frame in history.frames])
    return frames, torch.tensor(history.frame_steps)


cu.ship(
    "05_gan",
    {"G": G_mean, "D": D},
    history,
    what="a convolutional GAN with R1 and an averaged generator",
    figures=measured,
    samples=lambda: history.frames[-1][:1_000],
    replay=first_36,
)

# %%
yours = paint(G_mean, still[:40])
shipped = cu.restore("05_gan", {"G": G_mean, "D": D})  # from here on, the long run's weights
theirs = paint(G_mean, still[:40])

# %% tags=["figure", "slide"]
# @title Figure: 40 samples after the short run and after the long one
fig, axes = plt.subplots(2, 1, figsize=(9.4, 8.2), layout="constrained")
cu.plots.image_grid(yours, rows=4, ax=axes[0])
axes[0].set_title(f"trained here: {history.steps[-1]:,} steps")
cu.plots.image_grid(theirs, rows=4, ax=axes[1])
axes[1].set_title(f"shipped: {shipped.card['steps']:,} steps, the same cell")
cu.show(
    fig,
    "40 samples of the averaged generator, after the short training here and after the long "
    "run (one seed). The same latents.",
)

# %% [markdown]
# Above, after half an epoch: strokes, some still smoke.
# Below, after 30 epochs: digits, most of them legible, and none is blurred as in lesson 04, because a blur would be an easy sign for D.
#
# **Replay.**
# Scrub through the long run.

# %% tags=["figure", "slide"]
# @title Widget: scrub through the long run
frames, steps = shipped.replay
names = [f"epoch {step / EPOCH:.0f}" for step in steps]
FOLLOWED = [1, 2, 7, 11, 14, 20, 26, 33]


def followed():
    """The picture without a kernel: eight squares at six moments."""
    moments = [0, 1, 2, 5, 8, 10]
    images = torch.from_numpy(frames[moments][:, FOLLOWED]).flatten(0, 1)
    return cu.plots.image_grid(images, rows=6, row_titles=[names[i] for i in moments]).figure


cu.scrub(
    list(frames),
    names,
    "36 fixed latents over the shipped training. Without a kernel: eight of them, each a "
    "column, at six moments.",
    static=followed,
)

# %% [markdown]
# The step from grey to digits is the first one: by epoch 2 most squares can be read, and later epochs straighten hooks and close gaps.
# A square need not keep its digit.
# The first column is a 7 at epoch 2, then a 2, a 3, and a 2 again:
# no loss ties a latent to a digit (in lesson 04 the encoder did), so G may rearrange its latent space as long as the crowd of forgeries stays the same.

# %% [markdown]
# ## 7b · A walk between two latents *(deeper)*
#
# Every point of a path between two latents is a latent like any other.
# (The path is an arc: on the straight line the middle would be too short, and G never saw short latents.)


# %%
def arc(a, b, n=11):
    """n latents on the arc from a to b (64,): (n, 64)."""
    t = torch.linspace(0, math.pi / 2, n)[:, None]
    return a * torch.cos(t) + b * torch.sin(t)


# %% tags=["figure"]
# @title Widget: a walk from one latent to another
def walk(start, end):
    """Eleven images on the arc between two latents of the grid above."""
    images = paint(G_mean, arc(still[start], still[end]))
    return cu.plots.image_grid(images, rows=1, note=False).figure


cu.explore(
    walk,
    "Eleven steps from one latent to another.",
    surprise=True,
    start={"min": 0, "max": 35, "step": 1, "value": 11},
    end={"min": 0, "max": 35, "step": 1, "value": 7},
)

# %% [markdown]
# Between the 1 and the 8 lies a 2.
# Halfway between two *images* would be both on one sheet, a double exposure; on the way from one latent to the other G draws one sharp stroke that closes its loops step by step.
# Only the middle image, where the 2 turns into an 8, is neither.

# %% [markdown]
# Last, the GAN enters the arena of lesson 07: how to draw from it, and what a training step is.

# %%
with torch.random.fork_rng():
    another_game = new_game()
batch = mnist.train.x[:64].to(device) / 255


def draw_digits(n):
    """n images of the averaged generator."""
    return paint(G_mean, torch.randn(n, LATENT))


def another_step():
    """A training step for the clock: both players' turns."""
    return take_turns(batch, another_game)


cu.enter("05_gan", draw_digits, step=another_step, numbers=G_mean)

# %% [markdown]
# ## 8 · What the losses say *(core)*
#
# In lessons 03 and 04 a falling loss meant a better model.
# **Predict:** the images get better all the time.
# What does G's loss do in the first thousand steps, and in the thirty epochs after?

# %% tags=["figure", "slide"]
# @title Figure: losses early and late, and the quality of the samples
LOSSES = ("loss of D", "loss of G")


def after(run, key):
    """Steps and values of a figure "key after step" on a run's card."""
    found = {}
    for name, entry in run.card["figures"].items():
        if name.startswith(f"{key} after"):
            found[int(name.rsplit(" ", 1)[1])] = entry["value"]
    return torch.tensor(sorted(found)), torch.tensor([found[step] for step in sorted(found)])


def rank_correlation(a, b):
    """Spearman's: the correlation of the ranks of a and b."""
    ranks = torch.stack([a.argsort().argsort(), b.argsort().argsort()]).double()
    return torch.corrcoef(ranks)[0, 1].item()


early = cu.runs.load("05_ours")  # section 10: the same recipe, 1,000 steps
old = cu.runs.load("05_dcgan")
fig, axes = plt.subplots(1, 3, figsize=(12.5, 3.9), layout="constrained")
for ax, run in zip(axes, (early, shipped)):
    for name, colour in zip(LOSSES, LEARNS.values()):
        s, y = after(run, name)
        ax.plot(s if run is early else s / EPOCH, y, color=colour, label=name)
    ax.set(ylim=(0.6, 1.5), ylabel="nats", xlabel="steps" if run is early else "epochs")
axes[0].set_title("First 1,000 steps: G's loss rises")
axes[1].set_title("30 epochs: it falls")
axes[1].legend(fontsize=11, loc="center right")
s, curve = after(shipped, "Fréchet distance")
axes[2].loglog(s[1:] / EPOCH, curve[1:], "o-", color="black")
axes[2].set(xlabel="epochs", ylabel="Fréchet distance", title="The distance only falls")
axes[2].set_yticks([1, 2, 5, 10], ["1", "2", "5", "10"])
axes[2].set_xticks([1, 3, 10, 30], ["1", "3", "10", "30"])
axes[2].minorticks_off()
cu.show(
    fig,
    "Both losses over the first 1,000 steps and over the shipped run, and the distance of "
    "5,000 samples to the test digits (one set; one seed).",
)
d_losses, g_losses = (after(shipped, name)[1] for name in LOSSES)
first = after(early, "loss of G")[1]
cu.facts(
    {
        "distance before, after 1 epoch": f"{curve[0]:,.0f}, {curve[1]:.1f}",
        "distance after 20 epochs, 30": f"{curve[-3]:.2f}, {curve[-1]:.2f}",
        "loss of G after 50 steps, 1,000": f"{first[0]:.2f}, {first[-1]:.2f}",
        "loss of G after 1 epoch, 30": f"{g_losses[0]:.2f}, {g_losses[-1]:.2f}",
        "loss of D after 1 epoch, 30": f"{d_losses[0]:.2f}, {d_losses[-1]:.2f}",
        "rank correlation of G's loss and distance": rank_correlation(g_losses, curve[1:]),
        "1,000 steps of ours: distance": early.figure("Fréchet distance"),
        "of the recipe of 2016: loss of G": after(old, "loss of G")[1][-1],
        "its distance": old.figure("Fréchet distance"),
    }
)

# %% [markdown]
# From epoch 1 to 30 G's loss falls from 0.95 to 0.83, and over the ten marks its rank correlation (the correlation of the two orders) with the distance is 0.99: in this run G's loss ranks the epochs almost perfectly.
#
# But in the first thousand steps, where the distance falls from thousands to 13, it *rises*, from 0.76 to 0.94.
# So a level alone says nothing: the lowest loss of all, 0.76, belongs to step 50, where the distance is in the thousands.
# (Recipes that share loss (3) do stand in the order of their G losses after 1,000 steps, section 10's of 2016 with 1.51 at distance 66; nothing guarantees that.)
#
# The reason is the game: a loss says how far one player is *ahead*, not how well both play.
# D's loss is 1.30 after one epoch and 1.30 after thirty.
#
# *Late in one run the loss may be a hint; to compare runs, use an outside ruler.*

# %% [markdown]
# ## 9 · How good is it, and did it learn all digits? *(core)*
#
# A collapsed GAN can have beautiful samples.
# So count classes, and measure distances: five sets of 1,000 fresh samples, with real digits beside them.
# The *validation digits* are handwriting of other people than the test digits.
# **Predict:** is the forger nearer to the test digits, or are they?


# %%
samples = cu.to_uint8(paint(G_mean, latents(cu.budget(5_000), seed=2)))
board = cu.metrics.scoreboard({"GAN": samples}, cu.budget(1_000), "test")

with torch.no_grad():
    parts = [part.to(device).float() / 255 for part in samples.split(1_000)]
    seen = torch.cat([cu.metrics.classifier()(part).argmax(1) for part in parts])
shares = seen.cpu().bincount(minlength=10) / len(samples)
test_shares = mnist.test.y.bincount(minlength=10) / len(mnist.test)

n = cu.budget(2_000)
real_features = cu.metrics.test_features()[:n]
measures = {}
for name, images in {"validation digits": mnist.val.x, "GAN": samples}.items():
    measures[name] = cu.metrics.precision_recall(real_features, cu.metrics.features(images[:n]))

# %% tags=["figure", "slide"]
# @title Figure: ten classes, and the GAN among real digits
fig, ax = plt.subplots(figsize=(9.2, 3.2))
at = torch.arange(10).numpy()
ax.bar(at - 0.2, 100 * test_shares.numpy(), 0.4, color="#bbbbbb", label="test digits")
ax.bar(at + 0.2, 100 * shares.numpy(), 0.4, color=LEARNS["G"], label="generated")
ax.set(xlabel="class", ylabel="share, %", xticks=range(10), ylim=(0, 15))
ax.set_title("All ten classes are there")
ax.legend(loc="upper right", ncols=2)
cu.show(fig, "Class shares of 5,000 generated digits and of the test digits.")

large = cu.metrics.real(5_000, "test")
card = []
for what in ("Fréchet distance", "spread of the distance", "KID", "spread of KID"):
    card.append(shipped.figure(f"{what}, test, n = 5,000"))
large["GAN"] = cu.metrics.Score(5_000, 5, "test", *card)
COLUMNS = ("precision", "recall", "density", "coverage")
rows = []
for name, found in board.items():
    few, many = found.row(), large[name].row()
    neighbours = measures.get(name, dict.fromkeys(COLUMNS))
    rows.append([name, few[0], many[0], few[1], many[1], *(neighbours[c] for c in COLUMNS)])
kid = cu.metrics.Score.COLUMNS[1]
heads = ["Fréchet, n = 1,000", "n = 5,000", f"{kid}, n = 1,000", "n = 5,000", *COLUMNS]
cu.table(
    rows,
    ["against test digits", *heads],
    "± is the standard deviation over five sets of n (validation digits at 5,000: the only "
    "set). n = 1,000 of the GAN was measured here, n = 5,000 is on the card; nearest-neighbour "
    "measures: n = 2,000, k = 5. One training seed.",
    digits=2,
)
rarest = int(shares.argmin())
short = int((shares - test_shares).argmin())
raw = shipped.figure("Fréchet distance without averaging")
other = shipped.figure("Fréchet distance, validation, n = 5,000")
training = cu.metrics.real(5_000, "validation")["training digits"].distance
cu.facts(
    {
        f"class {rarest}, generated, test": f"{shares[rarest]:.1%}, {test_shares[rarest]:.1%}",
        f"class {short}, generated, test": f"{shares[short]:.1%}, {test_shares[short]:.1%}",
        "one set of 5,000, averaged weights and last weights": f"{curve[-1]:.2f}, {raw:.2f}",
        "against validation digits, GAN and training digits": f"{other:.2f}, {training:.2f}",
    }
)

# %% [markdown]
# No class is missing, and none is rare.
#
# With 5,000 images the forger stands at 0.87 ± 0.05 from the test digits, and other people's real handwriting at 0.81; its KID, the kernel distance of Card 7, is half of theirs.
#
# *The GAN is about as near to the test digits as real handwriting of other people.*
#
# A random draw of training digits, from many writers, is at 0.36: the ruler tells forgeries from real digits, but the digits of a few other writers stand out just as much.
# Seen from the validation digits the GAN is farther: 1.39, where training digits have 0.80.
#
# Precision, the share of forgeries that lie among real digits, is 0.89 against 0.94 of validation digits.
# Recall, the share of real digits that lie among forgeries, is 0.97 against 0.93: a warning rather than praise, since it rises with any scatter.
# Coverage, the share of real digits with a forgery nearby, says the opposite: 0.87 against 0.92 (all three: lesson 07).
#
# Averaging G's weights halves the distance: 0.77 against 1.45 on the same latents (one other set of 5,000).


# %% [markdown]
# ## 9b · Or did it copy? *(deeper)*
#
# The nearest training image of each sample, by pixels, among all 55,000.
# As a ruler: how near is the nearest training image of a *real* digit that the model never saw?


# %%
def nearest(x, pool):
    """Distance to, and index of, the nearest image of the pool for images (N, 784)."""
    return torch.cdist(x, pool).min(1)


pool = mnist.train.flat()[: cu.budget(55_000)]
n = cu.budget(500)
ours = samples[:n].reshape(n, 784).float() / 255
test = mnist.test.x[:n].reshape(n, 784).float() / 255
near_ours, index = nearest(ours, pool)
near_test, _ = nearest(test, pool)

# %% tags=["figure"]
# @title Figure: ten samples above their nearest training images
pairs = torch.cat([ours[:10], pool[index[:10]]]).reshape(-1, 28, 28)
ax = cu.plots.image_grid(pairs, rows=2, row_titles=["sample", "nearest"])
cu.show(
    ax.figure,
    "Ten samples (first come, no selection) above their nearest training images.",
)
for name, near in {"samples": near_ours, "real test digits": near_test}.items():
    cu.facts(
        {
            f"distance to the nearest training image, {name}: median": near.median(),
            "the smallest 1 % lie below": near.quantile(0.01),
        }
    )

# %% [markdown]
# The nearest neighbours are cousins, not copies: other slants, other hooks.
# The median distance is 4.56 for forgeries and 4.40 for real test digits, and the nearest hundredth lie below 1.30 and 1.23: no tail that is nearer than that of real digits.
# (Pixels would miss a copy shifted by two pixels; lesson 07 looks in features.)

# %% [markdown]
# ## 9c · Your digit before the judge *(deeper)*
#
# D is trained to tell handwriting from forgeries.
# Does it take yours for handwriting?
# D sees a batch, so it judges as in training: 64 real images together, 64 forgeries together, your digit among 63 real ones.


# %%
def judge(x):
    """D's logits (N,) for images (N, 784), in batches of 64."""
    D.eval()
    batches = x.reshape(-1, 1, 28, 28).to(device).split(64)
    with torch.no_grad():
        return torch.cat([D(batch) for batch in batches if len(batch) == 64]).cpu()


many = cu.budget(4_992)
on_test = judge(mnist.test.x[:many].float() / 255)
on_forgeries = judge(samples[:many].float() / 255)
mine = cu.my_digit().reshape(1, 784).float() / 255
verdict = judge(torch.cat([mine, mnist.val.float()[:63].reshape(63, 784)]))[0].item()
more_real = (on_forgeries > verdict).double().mean()
beats = (on_test[:, None] > on_forgeries[None]).double().mean()

# %% tags=["figure"]
# @title Figure: what the judge thinks
fig, ax = plt.subplots(figsize=(9.2, 3.3))
bins = {"bins": 40, "range": (-1.5, 1.5), "alpha": 0.6}
ax.hist(on_test.numpy(), color="#999999", label="test digits", **bins)
ax.hist(on_forgeries.numpy(), color=LEARNS["G"], label="forgeries", **bins)
ax.axvline(verdict, color="black", label="your digit")
ax.set(xlabel="logit of D (0: cannot tell)", ylabel="images", title="What the judge thinks")
ax.legend(fontsize=11)
cu.show(fig, "D's logits for real test digits, for forgeries, and for your digit.")
cu.facts(
    {
        "median logit of test digits": f"{on_test.median():.2f}",
        "of forgeries": f"{on_forgeries.median():.2f}",
        "of your digit": f"{verdict:.2f}",
        "a test digit beats a forgery in": f"{beats:.0%} of all pairs",
        "forgeries that look more real to D than your digit": f"{more_real:.0%}",
    }
)

# %% [markdown]
# Of a test digit and a forgery, D gives the test digit the higher logit in 68 % of all pairs, where a coin has 50.
# The median logits are 0.04 and −0.14; the default digit, drawn with characters on a 14 × 14 grid, gets −0.41, below 83 % of the forgeries.
# D has not learned what is *human*, only what is *like MNIST*; that is one digit, and yours may do better.

# %% [markdown]
# ## 10 · Instability laboratory *(deeper)*
#
# Three ways to ruin a game.
# Two are paired with our recipe: **D too strong** (learning rate 5 times G's, no R1, the saturating loss) and **learning rate too high** (ten times ours).
# The third is paired with the recipe of 2016 (DCGAN: learning rate 2·10⁻⁴, momentum 0.5, BatchNorm in both, no penalty): **no normalisation**.
# Five smaller variants change one or two things in ours.
# Each ships as a run of 1,000 steps, one seed; the cell after the list trains one briefly here: change `choice`.

# %%
OLD = {"lr_g": 2e-4, "lr_d": 2e-4, "momentum": 0.5, "batch_std": False}  # DCGAN, 2016
BARE_G = {"norm_g": nn.Identity}
NO_R1 = {"gamma": 0.0}
VARIANTS = {  # key: (name, what new_game is told, what take_turns is told)
    "ours": ("our recipe", {}, {}),
    "dcgan": ("the recipe of 2016", OLD | {"norm": nn.BatchNorm2d}, NO_R1),
    "no_r1": ("without R1", {}, NO_R1),
    "no_spread": ("without batch std", {"batch_std": False}, {}),
    "momentum": ("momentum 0.5", {"momentum": 0.5}, {}),
    "strong": ("D too strong", {"lr_d": 1e-2}, NO_R1 | {"goal": saturating}),
    "fast": ("learning rate too high", {"lr_g": 2e-2, "lr_d": 2e-2}, {}),
    "no_norm": ("without BatchNorm in G", BARE_G, {}),
    "bare": ("no normalisation, no R1", BARE_G, NO_R1),
    "dcgan_bare": ("2016, no BatchNorm", OLD | BARE_G, NO_R1),
}


# %% tags=["quiet"]
def train_variant(key, steps, log_every=None):
    """Train one variant: its game, and the history."""
    _, choices, rules = VARIANTS[key]
    game = new_game(**choices)
    history = cu.loop(
        lambda x: take_turns(x, game, **rules),
        cu.Batches(mnist.train, 64),
        state=game,
        steps=steps,
        log_every=log_every,
        preview=lambda step: paint(game["average"].module, still[:36]),
        preview_at=[k * steps // 6 for k in range(7)],
    )
    return game, history


choice = "fast"  # or another key of VARIANTS
ruin, history = train_variant(choice, steps=150, log_every=25)
drawn = cu.to_uint8(paint(ruin["G"], still))
cu.facts(VARIANTS[choice][0], str(cu.metrics.score(drawn, reference="validation")))


# %% tags=["author"]
def ship_variant(key):
    """Train one variant for 1,000 steps and ship it as 05_KEY with replay, losses, figures."""
    game, history = train_variant(key, steps=1_000, log_every=50)
    raw = one_set(cu.to_uint8(paint(game["G"], still)))
    last = one_set(cu.to_uint8(paint(game["average"].module, still)))
    figures = {
        "Fréchet distance": (last, 0.1 * last),
        "Fréchet distance without averaging": (raw, 0.1 * raw),
        "n": (len(still), 0),
    }
    for loss in LOSSES:
        for step, value_then in zip(history.steps, history[loss]):
            figures[f"{loss} after {step}"] = (value_then, 0.5)
    what = f"{VARIANTS[key][0]}, {history.steps[-1]:,} steps"
    cu.ship(f"05_{key}", history=history, what=what, figures=figures)


for key in cu.budget([], [], list(VARIANTS)):
    ship_variant(key)

# %% [markdown]
# **Predict** from the names alone: which failure gives noise, which the same picture again and again, which nothing at all?

# %% tags=["figure"]
# @title Figure: five of the recipes after 1,000 steps
lab = {key: cu.runs.load(f"05_{key}") for key in VARIANTS}
fig, axes = plt.subplots(
    2, 5, figsize=(12.5, 4.6), height_ratios=(3, 1.8), layout="constrained"
)
for (top, bottom), key in zip(axes.T, ("ours", "strong", "fast", "dcgan", "dcgan_bare")):
    run = lab[key]
    cu.plots.image_grid(run.replay[0][-1][:9], ax=top, note=False)
    distance = run.figure("Fréchet distance")
    top.set_title(f"{VARIANTS[key][0]}\ndistance {distance:,.0f}", fontsize=12)
    for name, colour in zip(LOSSES, LEARNS.values()):
        s, y = after(run, name)
        bottom.plot(s, y, color=colour, label=name)
    bottom.set(xlabel="steps", yscale="log" if key == "fast" else "linear")
axes[1, 0].set_ylabel("nats")
axes[1, 0].legend(fontsize=10)
cu.show(
    fig,
    "Nine samples after 1,000 steps (top) and both losses (bottom; the middle one on a "
    "logarithmic axis): our recipe, two ways to ruin it, the recipe of 2016, and one way to "
    "ruin that.",
)
rows = []
for key, run in lab.items():
    losses = torch.cat([after(run, name)[1] for name in LOSSES])
    distances = [run.figure(f"Fréchet distance{end}") for end in ("", " without averaging")]
    rows.append([VARIANTS[key][0], *distances, losses.max()])
columns = ["after 1,000 steps", "averaged G", "last G", "highest loss, nats"]
caption = "Fréchet distance to test digits of one set of 5,000; one training seed each."
cu.table(rows, columns, caption, digits=1)
cu.facts("before the first step", curve[0], digits=4)

# %% [markdown]
# **Two ruins of our recipe.**
# *D too strong:* its loss reaches 0 within 100 steps; the samples are the weave of an untrained network, and their distance, 3,886, is worse than before the first step (2,841).
# *Learning rate too high:* the losses jump to 45,000 nats, and all latents give nearly the same pattern.
#
# **One of the recipe of 2016.**
# With it, digits appear after 1,000 steps (distance 66); without its *BatchNorm* D wins at once, and G's pixels saturate at white: blank paper, sheet after sheet.
# Every one of these failures shows in its loss.
#
# **What bought what?**
# From the recipe of 2016 to ours the distance falls from 66 to 13.
# We have not isolated how much of that is *pace*: no run here has the old recipe at our rate or ours at the old one.
# Without R1, without batch std or without BatchNorm our recipe scores 14.4, 13.7 and 16.2: with one seed each, differences of that size are not findings.

# %% [markdown]
# ## 11 · Where GANs are used, and where not *(deeper)*
#
# | use | what plays the game | lesson |
# |---|---|---|
# | faces and scenes at high resolution | progressive growing, style layers | 13 |
# | class on demand | G and D both see the label | 12 |
# | super-resolution, inpainting | a pixel loss says *what*, D says *how sharp* | 16 |
# | one kind of image into another | D judges the target domain | lesson 17 |
# | latent diffusion, fast diffusion | D sharpens a decoder, or a few-step copy | 14, 15 |
#
# (Those from 14 on are to come.)
#
# **Not GANs**, though often called so: *neural style transfer* as first published (2015) optimises the pixels of one image against fixed features;
# *DALL·E* was an autoregressive transformer (2021), then a diffusion model (2022).
#
# **Misuse.**
# A forger is good at forging: invented faces, swapped faces, cloned voices.
# And the detector is D: publish it, and it teaches the next forger (lesson 22).
#
# ### Check yourself

# %% tags=["figure"]
# @title Quiz: three questions on lesson 05
cu.quiz(
    [
        {
            "text": "D's loss is 1.386 = log 4 and stays there. What do you know?",
            "options": [
                "G is perfect",
                "D does no better than a constant ½: G is perfect, or D has learned nothing",
                "D has collapsed",
                "G has collapsed",
            ],
            "answer": 1,
            "why": "log 4 is the value of a shrug. Whether there is something to see takes "
            "another look: samples, a distance.",
        },
        {
            "text": "In code, where does `detach` belong?",
            "options": [
                "On the real batch in D's loss",
                "On the forgeries in G's loss",
                "On the forgeries in D's loss",
                "On the logits of both",
            ],
            "answer": 2,
            "why": "D's step must not send a gradient into G. In G's loss the gradient has to "
            "pass through the forgeries, or G learns nothing.",
        },
        {
            "text": "The saturating loss gives G a gradient hundreds of times smaller early in "
            "training. With Adam, G",
            "options": [
                "learns nothing",
                "learns hundreds of times more slowly",
                "learns about as well",
                "diverges",
            ],
            "answer": 2,
            "why": "Adam divides a gradient by its recent size. With SGD our G had learned "
            "nothing after 1,000 rounds.",
        },
    ],
    "Three questions on lesson 05.",
)

# %% [markdown]
# ## Where this stands *(deeper)*
#
# **Disjoint supports.**
# Images fill a thin sheet of pixel space, and so do forgeries; early on the two hardly meet.
# Then JSD is log 2 wherever they lie, the best D is perfect, and its slope vanishes (Arjovsky and Bottou, 2017).
#
# **How far.**
# The Wasserstein GAN (2017) lets D be any function that rises by at most 1 per unit of distance (1-Lipschitz), and takes the difference of its means.
# WGAN-GP (2017) enforces that by a penalty on slopes between real and fake; lesson 13 builds it.
#
# **Smooth.**
# Spectral normalisation (2018) divides each layer of D by its largest singular value; with the hinge loss, $\mathbb E\max(0,1-a(x))+\mathbb E\max(0,1+a(G(z)))$ for D, it was the standard of large GANs.
# R1 penalises slopes at the data.
#
# **Two paces.**
# The two-time-scale rule (TTUR, 2017) gives the players different rates, D usually the larger, and proves local convergence under assumptions; our *hasty* pair has the reverse.
# Optimism and extragradient steps are other cures for circling.
#
# **More.**
# f-GANs (2016) play for any f-divergence.
# Section 3's filter is discriminator rejection sampling (Azadi and others, 2019).
#
# **Today.**
# Diffusion has taken the lead in images, but a D still sharpens its decoders and its few-step copies (lessons 14 and 15).
# R3GAN (2024) drops most tricks: a relativistic loss, slope penalties on real *and* fake, modern networks; its authors report results that surpass StyleGAN2's.
#
# **References**
# - I. Goodfellow and others, *Generative adversarial nets*, 2014
# - A. Radford, L. Metz, S. Chintala, *Unsupervised representation learning with deep convolutional generative adversarial networks*, 2016 (DCGAN)
# - M. Arjovsky, L. Bottou, *Towards principled methods for training generative adversarial networks*, 2017 (equation 7, disjoint supports)
# - L. Mescheder, A. Geiger, S. Nowozin, *Which training methods for GANs do actually converge?*, 2018 (section 6, R1)
# - G. Gidel and others, *Negative momentum for improved game dynamics*, 2019
# - Y. Huang and others, *The GAN is dead; long live the GAN! A modern GAN baseline*, 2024 (R3GAN)

# %% [markdown]
# ## Recap *(core)*
#
# - *Two losses, one detach:* D classifies, G climbs D's opinion; they alternate by minibatch (section 1).
# - *A good critic is a density ratio:* it came within 0.008 of D*, and the game is worth 2·JSD − log 4 (section 2).
# - *The saturating loss pulls hundreds of times less:* fatal with SGD, not with Adam (section 4).
# - *A collapsed G keeps moving; it is not stuck:* 0, 0, 1, 1, 0 modes for the hasty pair, eight with every seed once it is repaired (section 5); momentum is one cause, and eigenvalues say why (section 6).
# - *A loss says who is ahead, not how good both are* (section 8).
# - *The forger is about as near to the test digits as other people's handwriting:* 0.87 ± 0.05 and 0.81 (section 9).
#
# **What breaks, and why.**
# There is no likelihood: a GAN cannot say how probable an image is, whether it has forgotten something, or when it is done.
#
# **What the next lesson repairs.**
# A GAN must make a digit out of noise in one leap, and needs an opponent to learn how.
# Lesson 06, diffusion, takes the leap in a thousand small steps, each an ordinary regression with one loss that goes down: no opponent, no collapse.
# The price is a thousand steps.
