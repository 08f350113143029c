# %% [markdown]
# # 05 Generative adversarial networks
#
# **Replace the likelihood by a critic that learns what "real" means, and play against it.**
#
# Lesson 04 wrote down a probability for every image and paid for it with blur.
# This lesson writes down no probability at all.
# Two networks play: one forges digits, the other tells forgeries from handwriting, and each is the other's teacher.
# The figure below is the forger's progress, at the same 16 latents.

# %% tags=["setup"]
import copy
import math

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
# **After this lesson you can** write the two losses of the game from logits and say who pulls which way ·
# derive the best critic and what the game then measures ·
# say why the generator does not minimise log(1 − D) ·
# train a GAN in the plane and on digits ·
# make one collapse on purpose, count its modes by a fixed rule and repair it ·
# read eigenvalues of an update map ·
# judge a GAN without looking at its losses.
#
# **Builds on** 02 (covering and seeking), 04 (latents, sampling); Appendix A, Cards 2 (autograd), 3 (logits), 5 (KL) and 7 (Fréchet distance).
# Sections 1–5, 7 to 9 and 11 (*core*) fill a class of 75 minutes; the others are *deeper*.
#
# | letter | meaning | letter | meaning |
# |---|---|---|---|
# | $x$, $p_\text{data}$ | data and their distribution | $a(x)$, $D(x)=\sigma(a(x))$ | logit of the discriminator, its probability of "real" |
# | $z$, $G(z)$ | latent, $N(0,I)$; a forgery | $V(D,G)$ | value of the game; D wants it high, G low |
# | $p_\theta$ | distribution of $G(z)$ | $D^*$ | best discriminator against a fixed G |
# | JSD | Jensen–Shannon divergence, nats | $\gamma$, $\eta$ | weight of the slope penalty R1; step size |

# %% [markdown]
# ## 1 · The game *(core)*
#
# A **generator** G turns noise into an image.
# A **discriminator** D, the critic, gives the probability that an image is real.
# They play for one number:
#
# $$V(D,G)=\mathbb E_{x\sim p_\text{data}}\log D(x)+\mathbb E_{z}\log\bigl(1-D(G(z))\bigr). \tag{1}$$
#
# **D maximises V, G minimises it.**
# Both logarithms are at most 0, so D's dream is $V=0$: sure of every real image and of every forgery.
# A D that shrugs and says ½ has $V=\log\tfrac12+\log\tfrac12=-\log4=-1.386$.
#
# Nothing is new about D.
# With labels 1 for real and 0 for fake, $-V$ is the binary cross-entropy of lesson 01, and D an ordinary classifier whose second class happens to move.
# In logits, where $1-\sigma(a)=\sigma(-a)$,
#
# $$\text{loss of D}=-\mathbb E\log\sigma(a(x))-\mathbb E\log\sigma(-a(G(z))). \tag{2}$$
#
# G's loss could be $+V$.
# It almost never is (section 3 measures why); in practice G *maximises* the log-probability that D takes its forgery for real,
#
# $$\text{loss of G}=-\mathbb E\log\sigma(a(G(z))). \tag{3}$$
#
# The players **alternate by minibatch**: one step down (2) with G fixed, one step down (3) with D fixed, repeat.
# "G fixed" is one word of code: D's loss must not send a gradient through the forgeries, so they are *detached*.
# **Exercise 1 (core).**
# Write both losses.
# A sigmoid followed by a logarithm is −∞ as soon as the critic is sure (Card 3); `F.logsigmoid` is not.


# %% tags=["exercise"]
def player_loss(player, D, real, fake):
    """(2) for player "D", no gradient into `fake`; (3) for "G". D gives logits (B,)."""
    ### BEGIN SOLUTION
    if player == "D":
        return -F.logsigmoid(D(real)).mean() - F.logsigmoid(-D(fake.detach())).mean()
    return -F.logsigmoid(D(fake)).mean()
    ### END SOLUTION


# %%
checked_loss = cu.check("05.losses", player_loss)

# %% [markdown]
# Two claims to check: (2) is twice the mean cross-entropy of a classifier of real and fake, and G feels nothing of it.

# %%
toy_D = nn.Sequential(nn.Linear(2, 1), nn.Flatten(0))
toy_real = torch.randn(64, 2) + 1
toy_fake = torch.randn(64, 2).requires_grad_(True)
loss_d = checked_loss("D", toy_D, toy_real, toy_fake)

logits = toy_D(torch.cat([toy_real, toy_fake]))
is_real = torch.cat([torch.ones(64), torch.zeros(64)])
cross_entropy = F.binary_cross_entropy_with_logits(logits, is_real)
torch.testing.assert_close(loss_d, 2 * cross_entropy)

(slope,) = torch.autograd.grad(loss_d, toy_fake, allow_unused=True)
assert slope is None
print("loss of D = 2 × mean cross-entropy; its gradient in the forgeries: none")

# %% [markdown]
# ## 2 · The best critic *(core)*
#
# Fix G.
# What should D answer at one point $x$?
# In (1) the point contributes $p_\text{data}(x)\log D+p_\theta(x)\log(1-D)$, for short $p\log D+q\log(1-D)$.
# Its derivative with respect to $D$ is $p/D-q/(1-D)$, positive below and negative above the one place where it vanishes, $p(1-D)=qD$:
#
# $$D^*(x)=\frac{p_\text{data}(x)}{p_\text{data}(x)+p_\theta(x)}. \tag{4}$$
#
# The critic need not know either density.
# It only sees samples, and estimates their *ratio*: its logit is $a^*=\log p_\text{data}-\log p_\theta$.
# This is the trick of the lesson, a density ratio from samples alone.
# Put (4) into (1), with $m=\tfrac12(p+q)$:
#
# $$V(D^*,G)=\int p\log\frac p{2m}+q\log\frac q{2m}=\mathrm{KL}(p\,\|\,m)+\mathrm{KL}(q\,\|\,m)-2\log2=2\,\mathrm{JSD}(p_\text{data},p_\theta)-\log4. \tag{5}$$
#
# So against a perfect critic G minimises a Jensen–Shannon divergence (lesson 02, section 3), and the game ends at $p_\theta=p_\text{data}$, $D=\tfrac12$, $V=-\log4$.
# **Exercise 2 (core).**
# Write (4) from log-densities.
# Far from both bumps each density is 0 in floating point, and 0/0 is no probability.


# %% tags=["exercise"]
def best_critic(log_p_data, log_p_model):
    """Equation (4): D*(x) in [0, 1] from log p_data(x) and log p_θ(x), tensors of one shape."""
    ### BEGIN SOLUTION
    return torch.sigmoid(log_p_data - log_p_model)
    ### END SOLUTION


# %%
checked_critic = cu.check("05.critic", best_critic)

# %% [markdown]
# The data are two bumps on a line; value (1) and Jensen–Shannon divergence are sums over a fine grid.

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


# %%
def value(log_D, log_not_D, p, q):
    """Equation (1) by quadrature on the grid."""
    return float((p * log_D + q * log_not_D).sum() * dx)


def jsd(p, q):
    """Jensen–Shannon divergence in nats by quadrature; densities on the grid, 0 · log 0 = 0."""
    m = 0.5 * (p + q)
    return float(0.5 * (torch.xlogy(p, p / m) + torch.xlogy(q, q / m)).sum() * dx)


# %% [markdown]
# Now a critic that sees samples only: a small network, 20,000 real points from two bumps, 20,000 forgeries from one wide Gaussian.
# **Predict:** where will its curve leave D*?
# (Think of where it has seen no point.)
# And will its value $V$ lie above or below that of D*?

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
cu.fit(critic, critic_loss, batches, steps=800, lr=5e-3, schedule="cosine")

# %%
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

# %% tags=["figure", "slide"]
# @title Figure: the best critic and a trained one
fig, ax = plt.subplots(figsize=(8.5, 3.9))
ax.fill_between(grid, p, color="#cccccc", label="p_data")
ax.plot(grid, q, color="#888888", label="p_θ")
ax.plot(grid, D_star, color=cu.plots.PALETTE[0], label="D*, equation (4)")
trained = {"color": cu.plots.PALETTE[1], "label": "D, trained on samples"}
ax.plot(grid, logit.sigmoid(), "--", **trained)
ax.set(xlabel="x", ylabel="density, or probability of “real”", xlim=(-7, 7), ylim=(0, 1.05))
ax.set_title("A classifier has found the ratio of two densities")
ax.legend(loc="upper right", fontsize=10)
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
# It leaves D* on the outer flanks, near −3 and 4, where few of the 40,000 points are and the loss hardly notices.
# Its value stays below that of D*, as it must, by 0.001 nats.
# The identity (5) holds to the accuracy of the quadrature.
# So a classifier that never saw a density has found the ratio of two; every number in this lesson rests on that.
#
# **You are G.**
# The data are one Gaussian; your two sliders are $p_\theta$.
# At every move a fresh critic is trained against you.
# Your aim is to flatten it to ½ everywhere.
# What does D look like when you are too narrow?
# Does a critic of ½ mean that D is bad?

# %%
quantiles = torch.special.ndtri((torch.arange(256) + 0.5) / 256)[
    :, None
]  # even draws of N(0, 1)
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


# %% tags=["figure", "slide"]
# @title Widget: you are G
def against_me(mean, width):
    """Both densities and a fresh critic of your position."""
    D = critic_against(mean, width)
    mine = log_bell(grid, mean, width).exp()
    data = log_bell(grid, 1, 0.8).exp()
    probability = D(grid.float()[:, None]).detach().sigmoid()
    fig, ax = plt.subplots(figsize=(7.5, 3.4))
    ax.fill_between(grid, data, color="#cccccc", label="p_data")
    ax.plot(grid, mine, color=cu.plots.PALETTE[1], label="you")
    ax.plot(grid, probability, color=cu.plots.PALETTE[0], label="D")
    ax.axhline(0.5, color="black", lw=0.8, ls=":")
    ax.set(xlabel="x", xlim=(-4, 5), ylim=(0, 1.05))
    ax.set_title(f"2·JSD = {2 * jsd(data, mine):.3f} nats to go")
    ax.legend(loc="upper left", fontsize=10)
    return fig


cu.explore(
    against_me,
    "You are G: a critic is trained anew against every position of your two sliders.",
    mean={"min": -2.0, "max": 3.0, "step": 0.1, "value": -0.5},
    width={"min": 0.2, "max": 2.0, "step": 0.1, "value": 0.5},
)

# %% [markdown]
# Too narrow: D dips in your middle, because you put more there than the data do, and rises on both sides.
# Your gradient is D's slope, and it tells you to spread.
# At mean 1 and width 0.8 the curve is flat at ½: not a bad critic, but one with nothing left to find.

# %% [markdown]
# ## 3 · Why G does not minimise log(1 − D) *(core)*
#
# Equation (1) suggests for G the loss $\mathbb E\log(1-D(G(z)))$.
# Both that loss and (3) fall when D is fooled; they differ in how hard they pull.
# With respect to the logit $a$ of one forgery, using $\sigma'=\sigma(1-\sigma)$,
#
# $$\frac{\partial}{\partial a}\log(1-\sigma(a))=-\sigma(a)=-D,\qquad\qquad \frac{\partial}{\partial a}\bigl(-\log\sigma(a)\bigr)=-(1-\sigma(a))=-(1-D). \tag{6}$$
#
# Everything behind the logit, D's weights and G's weights, multiplies both alike.
# **Predict:** early in training, D recognises nearly every forgery.
# Which loss still teaches G?
# In the measurement on the right only D is trained, against a G that has learned nothing, and at each moment we ask both losses for their gradient in G's weights.


# %%
def two_players(seed, lr_g=2e-3, lr_d=2e-3, momentum=0.0):
    """Networks for the plane, (B, 2) → (B, 2) and (B, 2) → (B,), and their optimisers."""
    torch.manual_seed(seed)
    G = cu.nets.mlp(2, 64, 64, 2, activation=nn.ReLU)
    D = nn.Sequential(cu.nets.mlp(2, 64, 64, 1, activation=nn.ReLU), nn.Flatten(0))
    opt_g = torch.optim.Adam(G.parameters(), lr=lr_g, betas=(momentum, 0.99), fused=True)
    opt_d = torch.optim.Adam(D.parameters(), lr=lr_d, betas=(momentum, 0.99), fused=True)
    return {"G": G, "D": D, "opt_g": opt_g, "opt_d": opt_d, "gamma": 0.0}


def downhill(opt, loss):
    """One step of one player."""
    opt.zero_grad()
    loss.backward()
    opt.step()


# %%
points = cu.eight_gaussians(50_000, seed=7)
game = two_players(seed=0)
saturating = []  # gradient norms of log(1 − D)
non_saturating = []  # gradient norms of −log D
fooled = []  # D(G(z))


def pull(loss):
    """The norm of the gradient of a loss in G's weights."""
    slope = torch.autograd.grad(loss, game["G"].parameters(), retain_graph=True)
    return torch.cat([part.flatten() for part in slope]).norm().item()


for _ in range(cu.budget(200)):
    real = points[torch.randint(len(points), (256,))]
    fake = game["G"](torch.randn(256, 2))
    logits = game["D"](fake)
    saturating.append(pull(F.logsigmoid(-logits).mean()))
    non_saturating.append(pull(-F.logsigmoid(logits).mean()))
    fooled.append(logits.sigmoid().mean().item())
    downhill(game["opt_d"], checked_loss("D", game["D"], real, fake))

# %% tags=["figure", "slide"]
# @title Figure: how hard two losses of G pull
fig, (left, right) = plt.subplots(1, 2, figsize=(10.5, 3.8))
d = torch.linspace(0, 1, 101)
left.plot(d, d, label="saturating, log(1 − D)")
left.plot(d, 1 - d, label="non-saturating, −log D")
left.set(xlabel="D(G(z))", ylabel="|∂ loss / ∂ logit|")
left.set_title("How hard each loss pulls on one forgery")
left.legend(fontsize=10)
right.semilogy(saturating)
right.semilogy(non_saturating)
right.set(xlabel="steps of D alone", ylabel="‖∂ loss / ∂ weights of G‖")
right.set_title(f"Measured: D(G(z)) falls to {fooled[-1]:.4f}")
cu.show(
    fig,
    "Left: gradient with respect to the logit for both generator losses. Right: measured norm "
    "of the gradient in G's weights while only D is trained.",
)
cu.facts(
    {
        "steps of D": len(fooled),
        "D(G(z)) at the end": f"{fooled[-1]:.4f}",
        "non-saturating gradient / saturating gradient": non_saturating[-1] / saturating[-1],
    }
)

# %% [markdown]
# The saturating loss pulls hardest on forgeries that already fool D and lets go of the hopeless ones, which is backwards.
# Measured: when D(G(z)) has fallen to 0.0013, its gradient is 466 times smaller than the other one, and still falling, while the non-saturating gradient has *grown* with D's certainty.
# Both losses push one forgery in the same direction; they differ in which forgeries they listen to.
# The price: G's loss is no longer $V$, so the two players no longer play for one number.

# %% [markdown]
# ### What does the non-saturating loss minimise? *(deeper)*
#
# Let D be optimal and then hold it fixed, as G's step does.
# With $q=p_\theta$,
#
# $$-\log D^*=\log\frac{1-D^*}{D^*}-\log(1-D^*)=\log\frac{q}{p_\text{data}}-\log(1-D^*).$$
#
# Average over $x=G(z)$ and differentiate only through $x$.
# *First term.*
# $\mathrm{KL}(q\,\|\,p_\text{data})=\mathbb E_q\log(q/p_\text{data})$;
# its gradient has one part through $x$ and one through the $q$ inside the logarithm, and the latter is $\mathbb E_q\nabla_\theta\log q=\nabla_\theta\int q=0$.
# So the first term gives $\nabla_\theta\mathrm{KL}(q\,\|\,p_\text{data})$.
# *Second term.*
# By (5) $V(D^*_\theta,\theta)=2\,\mathrm{JSD}-\log4$, and because D* is a maximum of V, moving D* changes nothing to first order:
# the gradient of 2·JSD is that of $\mathbb E\log(1-D^*)$ with D* held fixed.
# Together
#
# $$\nabla_\theta\,\mathbb E_z\bigl[-\log D^*(G(z))\bigr]=\nabla_\theta\bigl[\mathrm{KL}(p_\theta\,\|\,p_\text{data})-2\,\mathrm{JSD}(p_\theta,p_\text{data})\bigr]. \tag{7}$$
#
# The first is the *reverse* KL of lesson 02, the one that seeks: a point invented where there are no data is expensive, a mode left out is cheap.
# The second even has the wrong sign: it rewards being different.
# That is one reason why GANs are sharp and drop modes.
# A check of (7) for a Gaussian $p_\theta$ against the two bumps, left side by D's slope, right side by autograd through the integrals:


# %%
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


for mean, std in ((0.3, 1.4), (-1.5, 0.5), (1.0, 0.4)):
    torch.testing.assert_close(*sides_of_seven(mean, std), atol=1e-6, rtol=1e-5)
print("equation (7) holds for three positions of p_θ")

# %% [markdown]
# ## 4 · A GAN in the plane *(core)*
#
# Eight Gaussians on a circle; G must bend one Gaussian blob into eight.
# Here is the whole algorithm: **D's turn** with G fixed, **G's turn** with D fixed, repeat.
# The figure stops four times.
# Its background is D, from sure of a forgery (dark) to sure of the real thing (bright);
# the arrows are what each forgery is told: $\nabla_x\log D(x)$, the direction in which it would look more real.
# That arrow, pulled back through G's weights, is all that G ever learns about the data.
#
# **Predict:** will the arrows point to the nearest Gaussian?
# And what will D look like at the end, if G succeeds?


# %%
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
        downhill(game["opt_g"], checked_loss("G", D, real, fake))
    return game


def play_on(game, rounds, players="DG"):
    """Several rounds in place; returns a copy of the game as it then stands."""
    for _ in range(rounds):
        play(game, players)
    return copy.deepcopy(game)


# %%
moments = cu.budget([0, 60, 300, 1_500], [0, 1, 2, 8])
game = two_players(seed=1)
stages = {}
for before, now in zip([0, *moments], moments):
    stages[now] = play_on(game, now - before)


# %% tags=["figure", "slide"]
# @title Figure: the game at four moments
def draw_game(game, ax, n=250):
    """D's probability, G's points, and where D says each would look more real."""
    z = torch.randn(n, 2, generator=torch.Generator().manual_seed(1))
    x = game["G"](z).detach().requires_grad_(True)
    (pull,) = torch.autograd.grad(F.logsigmoid(game["D"](x)).sum(), x)
    size = pull.norm(dim=1, keepdim=True)
    length = (size / size.quantile(0.9)).clamp(max=1)  # compare within a panel only
    arrow = 0.5 * F.normalize(pull) * length
    x = x.detach()

    def probability(y):
        return game["D"](y).sigmoid()

    levels = [i / 10 for i in range(11)]
    cu.plots.density(probability, (-3, 3), ax=ax, n=70, levels=levels, alpha=0.75)
    ax.scatter(*cu.eight_gaussians(400, seed=1).T, s=3, color="white")
    ax.scatter(*x.T, s=7, color=cu.plots.PALETTE[1])
    units = {"angles": "xy", "scale_units": "xy", "scale": 1, "width": 0.005}
    ax.quiver(*x[::3].T, *arrow[::3].T, **units)
    ax.set(xlim=(-3, 3), ylim=(-3, 3))
    return ax.figure


fig, axes = plt.subplots(1, 4, figsize=(13, 3.6), sharey=True)
for ax, (rounds, stage) in zip(axes, stages.items()):
    draw_game(stage, ax)
    ax.set_title(f"after {rounds:,} rounds")
cu.show(
    fig,
    "Real points (white), G's points (orange), D's probability of real (dark: low, bright: "
    "high), and the direction in which each forgery would look more real (lengths compare "
    "within a panel).",
)

# %% [markdown]
# At first D shrugs and its arrows are noise.
# By round 60 G has thrown its points all over the plane, by round 300 they lie on a broken ring, by round 1,500 in eight heaps.
# A few stragglers stay between the heaps: G is continuous and can stretch its blob but not tear it.
# The arrows do *not* point to the nearest Gaussian.
# They climb D's slope, and D is low where there are too many forgeries:
# in the last panel all points at the top are told to move left, because the heap sits a little to the right of its mode.
# And D has not become flat: both players still move, and will for as long as we let them (section 6).
#
# **Step it yourself.**
# Train only D: its landscape becomes steep around wherever G happens to be, and the arrows grow or die.
# Train only G: all points run up the frozen landscape and pile up on its peaks, where no data need be.
# Only the alternation keeps both useful.
# Press *Reset* and try to starve one player.


# %% tags=["figure", "slide"]
# @title Widget: the game in slow motion
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


def starved():
    """The picture without a kernel: one player alone, then the other, then both."""
    game = two_players(seed=1)
    fig, axes = plt.subplots(1, 3, figsize=(10, 3.6), sharey=True)
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
# ## 5 · Mode collapse, on purpose *(core)*
#
# Nothing in (3) asks G for variety: a single perfect forgery, repeated, would be a fine answer to today's D.
# Tomorrow's D learns that exactly this point is suspicious, and G moves on.
# When D is slow compared with G, this chase is all that happens.
#
# **The rule, fixed before anything was run.**
# Draw 2,500 samples after the last step, no selection.
# A mode is *covered* if at least 20 samples lie within 3σ of its centre (a perfect G puts about 309 there: 2,500 / 8 · 0.989, the share of a 2-D Gaussian within 3σ).
# Seeds 0 to 4, all reported.
# **Exercise 3 (core).**
# Write the rule.


# %% tags=["exercise"]
def modes_covered(samples, centres, sigma):
    """How many centres (K, d) have at least 20 samples (N, d) within 3σ of them; an int."""
    ### BEGIN SOLUTION
    near = torch.cdist(samples, centres) <= 3 * sigma  # (N, K)
    return int((near.sum(0) >= 20).sum())
    ### END SOLUTION


# %%
checked_modes = cu.check("05.modes", modes_covered)

# %% [markdown]
# **Exercise 4 (core).**
# One candidate for a repair is a penalty on D's slope at the *real* points, called **R1**:
#
# $$R_1=\tfrac12\,\mathbb E_{x\sim p_\text{data}}\bigl\|\nabla_x a(x)\bigr\|^2,\qquad \text{loss of D}\leftarrow\text{(2)}+\gamma R_1. \tag{8}$$
#
# At the end of a won game D is flat, so R1 costs nothing there; before, it keeps D from building cliffs at the data.
# It is a loss that contains a gradient, and D's step needs *its* gradient: `create_graph=True` keeps the graph for a second pass (Card 2).


# %% tags=["exercise"]
def r1_penalty(D, real):
    """Equation (8): half the mean squared slope of D's logits at `real` (B, …)."""
    ### BEGIN SOLUTION
    real = real.detach().requires_grad_(True)
    (slope,) = torch.autograd.grad(D(real).sum(), real, create_graph=True)  # the shape of real
    return 0.5 * slope.square().flatten(1).sum(1).mean()
    ### END SOLUTION


# %%
checked_r1 = cu.check("05.r1", r1_penalty)

# %% [markdown]
# **Two configurations.**
# *Hasty*: G learns at 2·10⁻³, D ten times more slowly, both with momentum 0.9.
# *Repaired*: D learns at G's rate, no momentum (a game needs quick reactions; the average of yesterday's gradients points to where the opponent was), and R1 with γ = 0.1.
# Everything else is the same: networks, batch, number of rounds.
#
# **Predict:** how many of the eight modes has a hasty G at the last step?
# At the step before?

# %%
HASTY = {"lr_g": 2e-3, "lr_d": 2e-4, "momentum": 0.9}
PACE = {"lr_d": 2e-3}
CALM = {"momentum": 0.0}
SLOPE = {"gamma": 0.1}
centres = cu.points.eight_centres()
sigma = cu.points.EIGHT_SIGMA


def covered_after(seed, rounds, lr_g, lr_d, momentum, gamma=0.0):
    """Modes covered, and the share of samples within 3σ of any mode, after the last round."""
    game = two_players(seed, lr_g, lr_d, momentum) | {"gamma": gamma}
    for _ in range(rounds):
        play(game)
    with torch.no_grad():
        samples = game["G"](torch.randn(2_500, 2))
    near = torch.cdist(samples, centres).min(1).values <= 3 * sigma
    return checked_modes(samples, centres, sigma), near.double().mean().item()


# %%
rounds = cu.budget(1_000)
results = {}
for name, options in {"hasty": HASTY, "repaired": HASTY | PACE | CALM | SLOPE}.items():
    results[name] = [covered_after(seed, rounds, **options) for seed in range(5)]


# %% tags=["figure", "slide"]
# @title Table: modes covered by two configurations
def mode_table(results, heading, caption):
    """One row a configuration: the modes of each seed, and the mean share within 3σ."""
    rows = []
    for name, result in results.items():
        share = sum(share for _, share in result) / len(result)
        rows.append([name, *(modes for modes, _ in result), f"{share:.0%}"])
    seeds = [f"seed {seed}" for seed in range(5)]
    cu.table(rows, [heading, *seeds, "samples within 3σ"], caption)


mode_table(
    results,
    "configuration",
    "Modes covered, of eight: 2,500 samples after round 1,000, at least 20 within 3σ.",
)

# %% [markdown]
# After a thousand rounds the hasty G covers 0, 0, 1, 1 and 0 modes, and 6 % of its samples are near any mode at all.
# It is not stuck: it is somewhere else every hundred rounds.
# The repaired pair covers all eight with every seed, with 85 % of the samples within 3σ (a perfect G would have 99 %).
# Same networks, same data, same number of rounds.
#
# **Watch it hop, then repair it in mid-run.**
# The stepper starts with the hasty pair.
# Click *Train* with ×10 a few times and follow the orange heap: where it goes next is where D has not looked for a while.
# Then press *Repair*, which gives D its speed back, and train on.


# %%
def repair(game):
    """Give a running game the repaired configuration."""
    for opt in (game["opt_g"], game["opt_d"]):
        for group in opt.param_groups:
            group.update(lr=2e-3, betas=(0.0, 0.99))
    return game | {"gamma": 0.1}


# %% tags=["figure", "slide"]
# @title Widget: a hasty game, and its repair
def hopping():
    """The picture without a kernel: the hasty game at four moments, then repaired."""
    game = two_players(seed=2, **HASTY)
    fig, axes = plt.subplots(1, 5, figsize=(14, 3.2), sharey=True)
    for ax, title in zip(axes, ("250", "500", "750", "1,000")):
        draw_game(play_on(game, cu.budget(250)), ax)
        ax.set_title(f"round {title}")
    game = repair(game)
    draw_game(play_on(game, cu.budget(500)), axes[4])
    axes[4].set_title("repaired, 1,500")
    return fig


cu.stepper(
    two_players(seed=2, **HASTY),
    {"Train": rounds_of("DG", 25), "Repair": repair},
    one_game,
    static=hopping,
    caption="A collapsed game. Four moments of the hasty pair: the forgeries hop from place "
    "to place. Fifth: 500 rounds after the repair.",
)

# %% [markdown]
# ### Which part of the repair repairs? *(deeper)*
#
# The repair changed three things at once, which is a bad experiment.
# Now each alone, and the first two together.
# **Predict** which of the four rows reads 8 8 8 8 8.

# %%
alone = {
    "only D's pace": PACE,
    "only no momentum": CALM,
    "only R1": SLOPE,
    "pace and no momentum": PACE | CALM,
}
results = {}
for name, change in alone.items():
    results[name] = [covered_after(seed, rounds, **(HASTY | change)) for seed in range(5)]

# %% tags=["figure"]
# @title Table: modes covered with one change at a time
mode_table(results, "the hasty pair, changed", "The same rule, one change at a time.")

# %% [markdown]
# None of the three suffices alone: D's pace gives 1 to 4 modes, no momentum at most 1, R1 at most 1.
# Pace and no momentum *together* give 8 five times, with 89 % of the samples within 3σ, even a little more than with R1.
# So here R1 was along for the ride, and a repair that changes three things has taught us less than its table suggested.
# Whether R1 earns its place on digits is measured in section 10.

# %% [markdown]
# ## 6 · Games are not minimisations *(deeper)*
#
# Gradient descent on one loss goes down until it stops.
# Two players who each go downhill on their own loss need not stop anywhere.
# The smallest example (Mescheder, Geiger and Nowozin, 2018):
# the data are the single point 0, G's output is the single point θ, and the critic's logit is a line through the origin, $a(x)=\psi x$.
# Then (1) is $V=\log\tfrac12+\log\sigma(-\psi\theta)$, the equilibrium is θ = ψ = 0, and
#
# $$\frac{\partial V}{\partial\psi}=-\theta\,\sigma(\psi\theta)\ \text{(D climbs)},\qquad \frac{\partial V}{\partial\theta}=-\psi\,\sigma(\psi\theta)\ \text{(G descends)}. \tag{9}$$
#
# In continuous time $\dot\psi=-\theta\sigma$ and $\dot\theta=+\psi\sigma$, so $\tfrac{d}{dt}(\theta^2+\psi^2)=2\theta\psi\sigma-2\psi\theta\sigma=0$: the players **circle** for ever.
# Training takes steps of size η, and then the question is what one round does to a small displacement.
# Near the origin σ = ½ and a round is a matrix; its eigenvalues λ (Card 4) say whether displacements grow (|λ| > 1), keep their size (|λ| = 1) or shrink.
#
# - *Simultaneous* steps: $\begin{pmatrix}1&\eta/2\\-\eta/2&1\end{pmatrix}$, λ = 1 ± iη/2, |λ| = √(1 + η²/4) > 1 for every η.
# - *Alternating*, D first: $\theta'=\theta+\tfrac\eta2\psi'$ with $\psi'=\psi-\tfrac\eta2\theta$.
#   Determinant 1, trace 2 − η²/4: a complex pair with |λ| = 1 as long as η < 4.
# - *Alternating with R1*, whose gradient is γψ: $\psi'=(1-\eta\gamma)\psi-\tfrac\eta2\theta$.
#   Determinant 1 − ηγ, so |λ| = √(1 − ηγ) < 1 while the pair is complex.
#
# **Predict** the three pictures.


# %%
def dirac_round(state, eta=0.2, gamma=0.0, alternating=True):
    """One round of the game (9): state (θ, ψ) → (2,)."""
    theta, psi = state
    new_psi = psi - eta * (theta * torch.sigmoid(psi * theta) + gamma * psi)
    seen = new_psi if alternating else psi  # what G answers to
    return torch.stack([theta + eta * seen * torch.sigmoid(seen * theta), new_psi])


def eigenvalue_size(**options):
    """|λ| of the round's matrix at the origin, (2,)."""
    origin = torch.zeros(2, dtype=torch.float64)
    matrix = jacobian(lambda state: dirac_round(state, **options), origin)
    return torch.linalg.eigvals(matrix).abs()


def orbit(rounds, **options):
    """The states from (0.8, 0.8) on: (rounds + 1, 2)."""
    path = [torch.tensor([0.8, 0.8], dtype=torch.float64)]
    for _ in range(rounds):
        path.append(dirac_round(path[-1], **options))
    return torch.stack(path)


# %% [markdown]
# The measured sizes must be the three that were just derived.

# %%
cases = {
    "simultaneous": {"alternating": False},
    "alternating": {},
    "alternating, R1 with γ = 0.2": {"gamma": 0.2},
}
derived = [math.sqrt(1 + 0.2**2 / 4), 1.0, math.sqrt(1 - 0.2 * 0.2)]
sizes = {}
orbits = {}
for (name, options), expected in zip(cases.items(), derived):
    size = eigenvalue_size(**options)
    torch.testing.assert_close(size, torch.full_like(size, expected))
    sizes[name] = float(size[0])
    orbits[name] = orbit(250, **options)


# %% tags=["figure"]
# @title Figure: three ways to take turns
def drift(options):
    """The direction of one very small round at states (N, 2)."""
    return lambda states: torch.stack([dirac_round(s, 1e-3, **options) - s for s in states])


fig, axes = plt.subplots(1, 3, figsize=(12, 4.2), sharex=True, sharey=True)
facts = []
for ax, (name, path) in zip(axes, orbits.items()):
    cu.plots.field(drift(cases[name]), (-2.5, 2.5), ax=ax, n=13, color="#aaaaaa")
    ax.plot(*path.T, lw=1.2)
    ax.plot(*path[0], "o", color="black")
    radius = f"{path[0].norm():.2f} → {path[-1].norm():.2f}"
    ax.set(xlabel="θ (what G outputs)", ylabel="ψ (slope of D)")
    ax.set_title(f"{name}\n|λ| = {sizes[name]:.4f}\nradius {radius}")
    facts += [f"{name}: |λ|", f"{sizes[name]:.4f}", f"{name}: radius", radius]
cu.show(
    fig,
    "250 rounds of the one-parameter GAN with step 0.2 from the black dot; arrows: the "
    "gradient flow. Left: spiral outward. Middle: a closed orbit. Right: spiral inward.",
)
theta, psi = orbits["alternating"].mean(0)
cu.facts(*facts, "mean of the alternating orbit: θ", f"{theta:.3f}", "ψ", f"{psi:.3f}")

# %% [markdown]
# *Simultaneous* steps: |λ| = 1.0050, and after 250 rounds the radius has grown from 1.13 to 2.68.
# *Alternating* steps: |λ| = 1 to rounding, and the orbit closes, again and again; nobody wins and nobody gives up.
# The last iterate is no better than the first, but the **mean** of the orbit is the equilibrium: that is what averaging G's weights will buy in section 7.
# *With R1*: |λ| = 0.9798, and 0.9798²⁵⁰ = 0.006 is what is left of the displacement.
# R1 needs small steps: for simultaneous ones the determinant is 1 − ηγ + η²/4, below 1 only while η < 4γ.

# %% [markdown]
# ## 7 · Digits *(core)*
#
# Everything is in place: the losses, the alternation, R1.
# What is left is the networks.
# G grows a 64-vector into a 7 × 7 map and doubles it twice; D is its mirror.
# Three economies make this affordable without a GPU:
# D looks at the image as 14 × 14 pixels with four channels (*pixel unshuffle*, the last layer of G does the opposite), convolutions are `channels_last` (`cu.prepare` sees to it), and both turns share one pass through G.
#
# The other choices are about the game, not about speed; section 10 measures what each of them buys:
# - **momentum 0**: section 5;
# - **R1** (γ = 0.05, on 8 of the 64 images of each batch: the mean of a few is an unbiased estimate of the mean of all): sections 5 and 6;
# - **BatchNorm in G, none in D**: it keeps G's activations in range, but in D real and fake batches would be normalised differently, and R1 would see neighbours in place of one image;
# - **minibatch spread**: D sees, as one extra map, how much the images of a batch differ; a G that repeats itself gives itself away;
# - **a learning rate that falls** like $1/\sqrt{1+t/4000}$;
# - **EMA**: G circles around its goal (section 6), so we keep the running average of its weights, which is nearer to the centre than any single moment.

# %%
LATENT = 64


class Generator(nn.Module):
    """z (B, 64) → images (B, 1, 28, 28) in [0, 1]; two up-samplings, 7 → 14 → 28."""

    def __init__(self, width=32, norm=nn.BatchNorm2d):
        super().__init__()
        w = width
        wide = nn.Conv2d(2 * w, 2 * w, 3, 1, 1)
        grow = nn.ConvTranspose2d(2 * w, w, 4, 2, 1)  # (B, 2w, 7, 7) → (B, w, 14, 14)
        mend = nn.Conv2d(w, w, 3, 1, 1)
        first = [nn.Linear(LATENT, 98 * w), nn.Unflatten(1, (2 * w, 7, 7)), norm(2 * w)]
        self.start = nn.Sequential(*first, nn.LeakyReLU(0.2))
        blocks = []
        for layer in (wide, grow, mend):
            blocks.append(nn.Sequential(layer, norm(layer.out_channels), nn.LeakyReLU(0.2)))
        self.body = nn.Sequential(*blocks)
        # (B, 4, 14, 14) → (B, 1, 28, 28)
        self.ink = nn.Sequential(nn.Conv2d(w, 4, 3, 1, 1), nn.PixelShuffle(2), nn.Sigmoid())

    def forward(self, z):
        return self.ink(self.body(self.start(z)))


# %%
class Discriminator(nn.Module):
    """Images (B, 1, 28, 28) in [0, 1] → logits (B,); `spread`: it sees how a batch varies."""

    def __init__(self, width=32, norm=nn.Identity, spread=True):
        super().__init__()
        w = width
        self.spread = spread
        first = nn.Conv2d(4, w, 3, 1, 1)  # 14 wide
        second = nn.Conv2d(w, 2 * w, 4, 2, 1)  # 7 wide
        third = nn.Conv2d(2 * w, 4 * w, 3, 2, 1)  # 4 wide
        # no norm in the first layer: D would be blind to the grey of the paper
        norms = [nn.Identity(w), norm(2 * w), norm(4 * w)]
        blocks = []
        for layer, rescale in zip((first, second, third), norms):
            blocks.append(nn.Sequential(layer, rescale, nn.LeakyReLU(0.2)))
        self.body = nn.Sequential(*blocks)
        self.out = nn.Linear((4 * w + 1) * 16, 1)

    def forward(self, x):
        h = self.body(F.pixel_unshuffle(2 * x - 1, 2))  # (B, 4, 14, 14) → (B, 4w, 4, 4)
        spread = self.spread * (h.var(0) + 1e-8).sqrt().mean().expand(len(h), 1, 4, 4)
        return self.out(torch.cat([h, spread], 1).flatten(1)).squeeze(1)


# %% [markdown]
# Here is the game.
# Read `take_turns` aloud: it is section 4's `play`, with a penalty and an average.
# No line in it asks for a number (`.item()`, `print`, `if loss > …`):
# on a GPU that would make the host wait for the device at every step, so `cu.loop` reads the losses at its log points only.


# %% tags=["slide"]
def take_turns(x, game, gamma, goal):
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

    game["slow_g"].step()
    game["slow_d"].step()
    game["average"].update()
    return {"loss of D": loss_d, "loss of G": loss_g}


# %% [markdown]
# Around it stand the players with their optimisers, their falling learning rates and G's average.


# %%
def slowing(opt):
    """A learning rate that falls like 1/√(1 + t/4000)."""
    return torch.optim.lr_scheduler.LambdaLR(opt, lambda t: (1 + t / 4_000) ** -0.5)


def new_players(
    seed,
    lr_g=2e-3,
    lr_d=2e-3,
    momentum=0.0,
    norm_g=nn.BatchNorm2d,
    norm_d=nn.Identity,
    spread=True,
):
    """Both players and all that a resumed run needs."""
    torch.manual_seed(seed)
    G, D = cu.prepare(Generator(norm=norm_g), Discriminator(norm=norm_d, spread=spread))
    opt_g = torch.optim.Adam(G.parameters(), lr=lr_g, betas=(momentum, 0.99), fused=True)
    opt_d = torch.optim.Adam(D.parameters(), lr=lr_d, betas=(momentum, 0.99), fused=True)
    game = {"G": G, "D": D, "opt_g": opt_g, "opt_d": opt_d}
    slow = {"slow_g": slowing(opt_g), "slow_d": slowing(opt_d)}
    return game | slow | {"average": cu.train.EMA(G, 0.9995)}


# %%
def new_game(seed=0, *, gamma=0.05, goal=checked_loss, **choices):
    """G, D, G's average, the step on a batch x (B, 1, 28, 28), and the state of the game."""
    game = new_players(seed, **choices)

    def step(x):
        return take_turns(x, game, gamma, goal)

    return game["G"], game["D"], game["average"].module, step, game


# %% [markdown]
# Two helpers: one paints, the other asks the course's classifier what it sees.


# %%
def paint(net, z):
    """Images (N, 1, 28, 28) on the CPU from latents (N, 64), in evaluation mode."""
    net.eval()
    with torch.no_grad():
        return torch.cat([net(part).cpu() for part in z.to(device).split(500)])


def class_shares(images):
    """The share of each class in uint8 images, by the course's classifier: (10,)."""
    judge = cu.metrics.classifier()
    parts = torch.as_tensor(images).reshape(-1, 1, 28, 28).split(1_000)
    with torch.no_grad():
        seen = [judge(part.to(device).float() / 255).argmax(1) for part in parts]
    return torch.cat(seen).bincount(minlength=10).cpu().double() / len(images)


# %%
G, D, G_mean, gan_step, state = new_game()
parameters_g = cu.nets.count_parameters(G)
parameters_d = cu.nets.count_parameters(D)
cu.facts("parameters of G", parameters_g, "parameters of D", parameters_d)

n_still = cu.budget(1_000, full=5_000)
still = torch.randn(n_still, LATENT, generator=torch.Generator().manual_seed(1))
epochs = [EPOCH * epoch for epoch in (0, 1, 2, 3, 5, 8, 12, 16, 20, 25, 30)]
history = cu.loop(
    gan_step,
    cu.Batches(mnist.train, 64),
    state=state,
    steps=400,
    full=30 * EPOCH,
    preview=lambda step: paint(G_mean, still),
    preview_at=cu.budget([0, 100, 200, 400], [0, 4, 8], epochs),
)

# %% [markdown]
# Half an epoch is enough to see strokes.
# The long run of the same cell ships with the course; its card holds the figures, measured during the run on 5,000 samples each.
# The rest of the notebook uses the shipped weights.


# %% tags=["author"]
def measured():
    """Figures for the card: last frame, losses and ratios at every frame, rarest class."""
    frames = [cu.metrics.quality(torch.from_numpy(frame)) for frame in history.frames]
    figures = {}
    for key, value in frames[-1].figures().items():
        if key in ("distance", "excess", "ratio", "n"):
            figures[key] = (value, 0.05 * abs(value))
    figures["Fréchet distance"] = figures.pop("distance")
    few = cu.metrics.quality(torch.from_numpy(history.frames[-1][:1_000])).distance
    figures["Fréchet distance, first 1,000"] = (few, 0.03 * few)  # quick to measure again
    for step, frame in zip(history.frame_steps, frames):
        figures[f"ratio after {step}"] = (frame.ratio, 0.1 * frame.ratio)
    for step in history.frame_steps[1:]:
        at = history.steps.index(step)
        for key in ("loss of D", "loss of G"):
            figures[f"{key} after {step}"] = (history[key][at], 0.2)
    figures["rarest class, share"] = (class_shares(history.frames[-1]).min().item(), 0.01)
    raw = cu.metrics.quality(cu.to_uint8(paint(G, still))).distance
    figures["Fréchet distance without averaging"] = (raw, 0.1 * raw)
    return figures


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
yours = paint(G_mean, still[:36])
shipped = cu.restore("05_gan", {"G": G_mean, "D": D})  # from here on, the long run's weights
theirs = paint(G_mean, still[:36])

# %% [markdown]
# The GAN enters the arena of lesson 07: how to draw from it, what a training step is (both players' turns, in a game of its own), and how many numbers one must keep.

# %%
with torch.random.fork_rng():
    *_, another_step, _ = new_game()
batch = mnist.train.x[:64].to(device) / 255


def draw_digits(n):
    """n images of the averaged generator."""
    return paint(G_mean, torch.randn(n, LATENT))


cu.enter("05_gan", draw_digits, step=lambda: another_step(batch), numbers=G_mean)

# %% tags=["figure"]
# @title Figure: 36 samples after the short run and after the long one
fig, axes = plt.subplots(1, 2, figsize=(10, 5.2), layout="constrained")
cu.plots.image_grid(yours, ax=axes[0])
axes[0].set_title(f"trained here: {history.steps[-1]:,} steps")
cu.plots.image_grid(theirs, ax=axes[1])
axes[1].set_title(f"shipped: {shipped.card['steps']:,} steps, the same cell")
cu.show(
    fig,
    "36 samples of the averaged generator, after the short training here and after the long "
    "run. The same latents.",
)
cu.facts(
    {
        "Fréchet distance, 5,000, shipped": f"{shipped.figure('Fréchet distance'):.2f}",
        "divided by that of real digits": f"{shipped.figure('ratio'):.1f}",
        "of the first 1,000": f"{shipped.figure('Fréchet distance, first 1,000'):.1f}",
        "of 5,000, not averaged": f"{shipped.figure('Fréchet distance without averaging'):.2f}",
    }
)

# %% [markdown]
# Left, after half an epoch: strokes, many of them digits, some still smoke.
# Right, after 30 epochs of the same cell: the Fréchet distance of 5,000 samples is **0.77**, where two halves of real digits are 0.30 apart: a ratio of 2.6.
# On 1,000 samples it is 1.1 (real: 0.8), where lesson 03's autoencoder with a mixture over its codes has 8.3 and lesson 04's VAE 22.7 for its means, about 5 with a mixture of its own.
# Averaging halves the distance: the last weights themselves, on 5,000, score 1.45.
# And no square is blurred as in lesson 04: a blur would be an easy sign for D.
# (The judge here is the course's classifier, which has no part in the game. With fresh latents, section 9 finds 0.88 ± 0.08.)
#
# **Replay.**
# Scrub through the long run.
# Which comes first, strokes or digits?
# Follow one square: does it stay the same digit?

# %% tags=["figure", "slide"]
# @title Widget: scrub through the long run
frames, steps = shipped.replay
names = [f"epoch {step / EPOCH:.0f}" for step in steps]
cu.scrub(list(frames), names, "36 fixed latents over the shipped training.")

# %% [markdown]
# The step from grey to digits is the first one: by epoch 2 most squares can be read, and later epochs mend hooks and gaps.
# A square need not keep its digit.
# The second of the first row is a 7 at epoch 2, then a 2, at epoch 20 a 3, at epoch 30 a 2 again:
# no loss ties a latent to a digit (in lesson 04 the encoder did), so G may rearrange its plane as long as the crowd of forgeries stays the same.
#
# **Latent walk.**
# Between two latents lies a path; every point of it is a latent like any other.
# (For Gaussian latents the path is an arc: on the straight line the middle would be too short, and G never saw short latents.)
# **Predict** what lies between a 1 and an 8.


# %%
def arc(a, b, n=11):
    """n latents on the arc from a to b (64,): (n, 64)."""
    t = torch.linspace(0, math.pi / 2, n)[:, None]
    return a * torch.cos(t) + b * torch.sin(t)


# %% tags=["figure", "slide"]
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
# Halfway between two *images* would be both on one sheet, a double exposure; halfway between two latents G draws one sharp stroke that closes its loops step by step.
# Only where it must change its mind, from 2 to 8, is one image neither.
# Move the sliders and look for such borders: G is continuous and handwriting is not.

# %% [markdown]
# ## 8 · Loss curves say little *(core)*
#
# In lessons 03 and 04 a falling loss meant a better model.
# **Predict** from the two losses below: at which epoch would you have stopped?

# %% tags=["figure", "slide"]
# @title Figure: the losses of the long run, and the quality of its samples
LOSSES = ("loss of D", "loss of G")


def after(run, key):
    """Steps and values of a figure "key after step" on a run's card."""
    found = {}
    for name, entry in run.card["figures"].items():
        if name.startswith(f"{key} after"):
            found[int(name.rsplit(" ", 1)[1])] = entry["value"]
    return sorted(found), [found[step] for step in sorted(found)]


fig, (left, right) = plt.subplots(1, 2, figsize=(10.5, 3.9))
facts = []
for key in LOSSES:
    s, y = after(shipped, key)
    left.plot([step / EPOCH for step in s], y, "o-", label=key)
    facts += [f"{key} after one epoch, nats", y[0], f"{key} at the end", y[-1]]
left.axhline(math.log(4), color="black", ls=":", lw=1)
left.text(0.5, math.log(4) + 0.01, "log 4: D has no idea", fontsize=10)
left.set(xlabel="epochs", ylabel="nats", title="The losses hardly move …")
left.legend(fontsize=10, loc="center right")
s, ratio = after(shipped, "ratio")
right.semilogy([step / EPOCH for step in s[1:]], ratio[1:], "o-", color=cu.plots.PALETTE[2])
right.set_yticks([2, 5, 10, 20, 50], ["2", "5", "10", "20", "50"])
right.set_yticks([], minor=True)
right.set(xlabel="epochs", ylabel="Fréchet distance / floor")
right.set_title(f"… while the images get {ratio[1] / ratio[-1]:.0f} times better")
cu.show(
    fig,
    "Left: both losses of the shipped run at the measured epochs. Right: the Fréchet ratio of "
    "5,000 samples at the same moments; 1 would be real digits.",
)
pace = history.seconds / history.steps[-1]  # seconds a step, as measured on this machine
floor = cu.metrics.floor(5_000)[0]
rows = []
for step, value_then in zip(s[1:], ratio[1:]):
    hours = f"{step * pace / 3600:.2f}"
    excess = (value_then - 1) * floor
    rows.append([f"{step / EPOCH:.0f}", f"{step:,}", hours, value_then, excess])
columns = ["epoch", "steps", "hours at the pace just measured"]
columns += ["ratio, n = 5,000", "excess over the floor"]
cu.table(rows, columns, "Quality against training time, averaged G, one seed.", digits=1)
cu.facts(*facts)

# %% [markdown]
# D's loss is 1.30 after one epoch and 1.30 after thirty, a little under the log 4 of a critic that has no idea; G's creeps from 0.95 to 0.83.
# Meanwhile the ratio falls from 46 to 2.6.
# From the left picture you might have stopped anywhere.
# This is not bad luck but the game: both players improve, and the loss measures only by how much one is *ahead*.
# Only an outside ruler sees progress: here it says that 20 epochs were nearly as good as 30 (2.7 and 2.6, and two sets of real digits differ by as much).

# %% [markdown]
# ## 9 · Did it learn all digits? *(core)*
#
# A collapsed GAN can have beautiful samples.
# So count: 5,000 samples through the course's classifier, beside the test digits.
# **Predict** which class is the rarest: the one that is hard to draw, or the one that is easy to draw in one way only?

# %%
fresh = torch.Generator().manual_seed(2)
samples = cu.to_uint8(paint(G_mean, torch.randn(cu.budget(5_000), LATENT, generator=fresh)))
shares = class_shares(samples)
test_shares = mnist.test.y.bincount(minlength=10) / len(mnist.test)
quality = cu.metrics.quality(samples)

n = cu.budget(2_000)
real_features = cu.metrics.test_features()[:n]
measures = {}
for name, images in {"generated": samples, "real validation digits": mnist.val.x}.items():
    features = cu.metrics.features(images[:n])
    measures[name] = cu.metrics.precision_recall(real_features, features)

# %% tags=["figure", "slide"]
# @title Figure: the ten classes among forgeries and among test digits
fig, ax = plt.subplots(figsize=(8.5, 3.3))
ax.bar(torch.arange(10) - 0.2, test_shares * 100, 0.4, color="#bbbbbb", label="test digits")
colour = cu.plots.PALETTE[1]
ax.bar(torch.arange(10) + 0.2, shares * 100, 0.4, color=colour, label="generated")
top = 1.25 * 100 * max(shares.max(), test_shares.max())
ax.set(xlabel="class", ylabel="share, %", xticks=range(10), ylim=(0, top))
rarest = int(shares.argmin())
ax.set_title(f"All ten are there; the rarest, {rarest}, with {shares.min():.1%}")
ax.legend(loc="upper right", ncols=2)
cu.show(fig, "Class shares of generated digits and of test digits.")
columns = ["precision", "recall", "density", "coverage"]
cu.table(
    [[name, *(found[key] for key in columns)] for name, found in measures.items()],
    ["against test digits", *columns],
    f"k-nearest-neighbour measures in classifier features, n = {n:,}, k = 5.",
    digits=2,
)
print(quality)
short = int((shares - test_shares).argmin())
cu.facts(
    {
        "excess over the floor": f"{quality.excess:.2f}",
        f"the rarest class, {rarest}": f"{shares[rarest]:.1%}",
        f"class {rarest} among test digits": f"{test_shares[rarest]:.1%}",
        f"the largest shortfall, {short}": f"{shares[short]:.1%}",
        f"class {short} among test digits": f"{test_shares[short]:.1%}",
    }
)

# %% [markdown]
# No class is missing, and none is rare: the scarcest, 5, has 9.0 %, and it is the scarcest among real digits too (8.9 %).
# The largest shortfall has the 1, with 10.1 % in place of 11.4.
# Recall is 0.97 (real validation digits: 0.93), so little of handwriting is left out;
# precision is 0.89 against 0.94, so one forgery in nine lies where no test digit is near, and one real digit in seventeen.
# Density (0.72 against 0.91) and coverage (0.87 against 0.92) are lower, too: the forgeries lie a little farther out.
# The collapse of section 5 has not happened here.
#
# **Or did it copy?**
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

# %% tags=["figure", "slide"]
# @title Figure: twelve samples above their nearest training images
pairs = torch.cat([ours[:12], pool[index[:12]]]).reshape(-1, 28, 28)
ax = cu.plots.image_grid(pairs, rows=2, row_titles=["sample", "nearest"])
cu.show(
    ax.figure,
    "Twelve samples (first come, no selection) above their nearest training images.",
)
cu.facts(
    {
        "median distance to the nearest training image: samples": near_ours.median(),
        "real test digits": near_test.median(),
    }
)

# %% [markdown]
# The nearest neighbours are cousins, not copies: other slants, other hooks, and for the second sample, an 8 with a blot, even another digit.
# The median distance is 4.56 for forgeries and 4.40 for real test digits.
# G has never touched a training image anyway: all it knows of them came through D's slope.
# (That is no proof; a D that knows images by heart can teach them. Hence the measurement.)
#
# **Your digit before the judge.**
# D is trained to tell handwriting from forgeries.
# Does it take yours for handwriting?
# **Predict** the order of three medians: real test digits, forgeries, your digit.


# %%
def judge(x):
    """D's logits for images (N, 784), each beside 63 real ones: D sees a batch's spread."""
    company = mnist.val.float()[:63].to(device)
    D.eval()
    logits = []
    with torch.no_grad():
        for image in x:
            image = image.reshape(1, 1, 28, 28).to(device)
            logits.append(D(torch.cat([image, company]))[0])
    return torch.stack(logits).cpu()


few = cu.budget(300)
on_test = judge(test[:few])
on_forgeries = judge(ours[:few])
mine = cu.my_digit().reshape(1, 784).float() / 255
verdict = judge(mine).item()
right = 0.5 * ((on_test > 0).double().mean() + (on_forgeries < 0).double().mean())
more_real = (on_forgeries > verdict).double().mean()

# %% tags=["figure", "slide"]
# @title Figure: what the judge thinks
fig, ax = plt.subplots(figsize=(8.5, 3.2))
bins = {"bins": 30, "range": (-2, 2), "alpha": 0.6}
ax.hist(on_test.numpy(), color="#999999", label="test digits", **bins)
ax.hist(on_forgeries.numpy(), color=cu.plots.PALETTE[1], label="forgeries", **bins)
ax.axvline(verdict, color="black", label="your digit")
ax.set(xlabel="logit of D (0: cannot tell)", ylabel="images", title="What the judge thinks")
ax.legend(fontsize=10)
cu.show(fig, "D's logits for real test digits, for forgeries, and for your digit.")
cu.facts(
    {
        "median logit of test digits": f"{on_test.median():.2f}",
        "of forgeries": f"{on_forgeries.median():.2f}",
        "of your digit": f"{verdict:.2f}",
        "D is right": f"{right:.0%}",
        "forgeries that look more real to D than your digit": f"{more_real:.0%}",
    }
)

# %% [markdown]
# D is right in 64 % of all cases, where a coin has 50: after 30 epochs the judge is nearly as helpless as it should be.
# The median logits are 0.11 for handwriting and −0.05 for forgeries, and the two heaps lie on each other.
# The default digit, drawn with characters on a 14 × 14 grid, gets −0.41: nine forgeries of ten look more real to D than an honest digit in an unusual hand.
# The forger has beaten the human, because D has learned not what is *human* but what is *like MNIST*.
# If you have drawn a digit of your own, the line is yours: report whichever happens.

# %% [markdown]
# ## 10 · Instability laboratory *(deeper)*
#
# Three ways to ruin a game.
# Two are paired with our recipe: **D too strong** (learning rate 5 times G's, no R1, and G on the losing loss of section 3) and **learning rate too high** (ten times ours).
# The third is paired with the recipe of 2016 (DCGAN: learning rate 2·10⁻⁴, momentum 0.5, BatchNorm in both, no penalty, no spread): **no normalisation**.
# And five smaller changes, which leave one thing out of ours.
# Each is 1,000 steps of 64, 1.2 epochs, one seed; they ship as runs.
# The cell after the list trains one of them briefly here; change `choice`.


# %%
def surrender(player, D, real, fake):
    """The loss that section 3 warns of: E log(1 − D(G(z)))."""
    return F.logsigmoid(-D(fake)).mean()


DCGAN = {"lr_g": 2e-4, "lr_d": 2e-4, "momentum": 0.5, "gamma": 0.0, "spread": False}
VARIANTS = {
    "ours": ("our recipe", {}),
    "dcgan": ("the recipe of 2016", DCGAN | {"norm_d": nn.BatchNorm2d}),
    "no_r1": ("without R1", {"gamma": 0.0}),
    "no_spread": ("without minibatch spread", {"spread": False}),
    "momentum": ("momentum 0.5", {"momentum": 0.5}),
    "strong": ("D too strong", {"goal": surrender, "gamma": 0.0, "lr_d": 1e-2}),
    "fast": ("learning rate too high", {"lr_g": 2e-2, "lr_d": 2e-2}),
    "no_norm": ("without BatchNorm in G", {"norm_g": nn.Identity}),
    "bare": ("no normalisation, no R1", {"norm_g": nn.Identity, "gamma": 0.0}),
    "dcgan_bare": ("2016, no BatchNorm", DCGAN | {"norm_g": nn.Identity}),
}


# %% tags=["quiet"]
def train_variant(key, steps, log_every=None):
    """Train one variant: its last G, its averaged G, and the history."""
    G, _, G_mean, step, state = new_game(**VARIANTS[key][1])
    history = cu.loop(
        step,
        cu.Batches(mnist.train, 64),
        state=state,
        steps=steps,
        log_every=log_every,
        preview=lambda step: paint(G_mean, still[:36]),
        preview_at=[k * steps // 6 for k in range(7)],
    )
    return G, G_mean, history


choice = "fast"  # or another key of VARIANTS
_, G_variant, history = train_variant(choice, steps=150, log_every=25)
ruin = cu.metrics.quality(cu.to_uint8(paint(G_variant, still)))
cu.facts(f"{VARIANTS[choice][0]}: Fréchet ratio", ruin.ratio, "steps", history.steps[-1])


# %% tags=["author"]
def ship_variant(key):
    """Train one variant for 1,000 steps and ship it as 05_KEY with replay, losses, figures."""
    G, G_mean, history = train_variant(key, steps=1_000, log_every=50)
    raw = cu.metrics.quality(cu.to_uint8(paint(G, still)))
    last = cu.metrics.quality(cu.to_uint8(paint(G_mean, still)))
    figures = {
        "ratio": (last.ratio, 0.1 * last.ratio),
        "ratio without averaging": (raw.ratio, 0.1 * raw.ratio),
        "n": (last.n, 0),
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
# And which of them would you notice in the losses?

# %% tags=["figure", "slide"]
# @title Figure: five of the variants after 1,000 steps
shown = {key: cu.runs.load(f"05_{key}") for key in VARIANTS}
fig, axes = plt.subplots(
    2, 5, figsize=(12.5, 4.9), height_ratios=(3, 1.8), layout="constrained"
)
for (top, bottom), key in zip(axes.T, ("ours", "strong", "fast", "dcgan", "dcgan_bare")):
    run = shown[key]
    cu.plots.image_grid(run.replay[0][-1][:16], ax=top, note=False)
    top.set_title(f"{VARIANTS[key][0]}\nratio {run.figure('ratio'):,.0f}", fontsize=11)
    for name in LOSSES:
        s, y = after(run, name)
        bottom.plot(s, y, label=name)
    bottom.set(xlabel="steps", yscale="log" if key == "fast" else "linear")
axes[1, 0].set_ylabel("nats")
axes[1, 0].legend(fontsize=9)
cu.show(
    fig,
    "16 samples after 1,000 steps (top) and both losses (bottom; the middle one on a "
    "logarithmic axis): our recipe, two ways to ruin it, the recipe of 2016, and one way to "
    "ruin that.",
)
rows = []
for key, run in shown.items():
    rows.append([VARIANTS[key][0], run.figure("ratio"), run.figure("ratio without averaging")])
columns = ["after 1,000 steps", "Fréchet ratio, averaged G", "ratio, last G"]
cu.table(rows, columns, "n = 5,000 samples; one seed.", digits=1)

# %% [markdown]
# **Two ruins of our recipe.**
# *D too strong:* its loss reaches 0 within 100 steps, and so does G's gradient (section 3);
# the samples are the weave of an untrained network, and their ratio, 12,845, is worse than before the first step (9,389).
# *Learning rate too high:* the losses jump to 45,000 nats, and all latents give nearly the same pattern.
# **One of the recipe of 2016.**
# With it, digits appear after 1,000 steps (ratio 218); without its *BatchNorm* D wins at once, and G's pixels saturate at white: blank paper, sheet after sheet.
# Every one of these failures can be told from its loss: D at zero, or leaps.
# That does not contradict section 8: losses show disasters, not quality.
#
# **What bought what?**
# From the recipe of 2016 to ours the ratio falls from 218 to 43, and most of that is pace:
# ten times the learning rate with less momentum (momentum 0.5 alone costs 76 against 43).
# Our recipe without R1, without spread, or without BatchNorm still works (48, 45, 54):
# with one seed each, differences of that size are not findings, and any single one of these three could be dropped here.
# Without R1 *and* BatchNorm it is 77.
# Averaging is worth little early (51 to 43) and half of the distance late (1.45 to 0.77).
# One more thing we learned by mistake: with BatchNorm also in D's *first* layer the digits come on grey paper.
# That layer sees real and forged batches apart and subtracts the mean of each, so that D is blind to a shade that all pixels share, and G never hears of it.

# %% [markdown]
# ## 11 · Where GANs are used, and where not *(core)*
#
# | use | what plays the game | lesson |
# |---|---|---|
# | faces and scenes at high resolution | progressive growing, style layers | 13 |
# | class on demand | G and D both see the label | 12 |
# | super-resolution, inpainting | a pixel loss says *what*, D says *how sharp* | 16 |
# | one kind of image into another (horse to zebra, sketch to photo) | D judges the target domain | 17 |
# | more training data for a rare class | samples join the training set; check that they add something | 20 |
# | the decoder of latent diffusion | a small D sharpens an autoencoder's output | lesson 15 |
# | one-step copies of slow diffusion models | D compares the copy with the original | 14 |
#
# **Not GANs**, though often called so: *neural style transfer* as first published (Gatys, Ecker and Bethge, 2015) optimises the pixels of one image against fixed features, no generator, no game;
# *DALL·E* was an autoregressive transformer (2021) and then a diffusion model (2022).
# **Misuse.**
# A network trained to be mistaken for the real thing is good at exactly that: faces of people who do not exist behind fake profiles, swapped faces in film, cloned voices.
# And the detector is D: publish it, and it becomes the next forger's teacher.
# Lesson 22 is about that.
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
                "D outputs one half, because G is perfect or because D learns nothing",
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
            "text": "Alternating gradient steps near the equilibrium of the one-parameter GAN, "
            "small step size: the players",
            "options": [
                "converge, slowly",
                "diverge",
                "stay on closed orbits",
                "jump at random",
            ],
            "answer": 2,
            "why": "|λ| = 1. A slope penalty on D makes |λ| < 1; answering at the same time "
            "makes it > 1.",
        },
    ],
    "Three questions on lesson 05.",
)

# %% [markdown]
# ## Recap *(core)*
#
# - *Two losses, one detach.*
#   D classifies real against fake, G climbs D's opinion; they alternate by minibatch (section 1).
# - *A good critic is a density ratio:* a network that saw samples only came within 0.008 of D*, and the game is worth 2·JSD − log 4 (section 2).
# - *The saturating loss lets go when it is needed:* 466 times less gradient after 200 steps of D (section 3).
# - *Collapse is a pursuit, not a valley:* 0, 0, 1, 1, 0 modes for the hasty pair, eight with every seed once D keeps pace and nobody has momentum (section 5).
#   Eigenvalues say why: |λ| = 1.005, 1, 0.98 (section 6).
# - *A GAN of 0.39 million weights has a Fréchet ratio of 2.6* (n = 5,000, real digits: 1), all ten classes, no copies (sections 7 and 9), and its losses told nobody (section 8).
#
# **What breaks, and why.**
# There is no likelihood: a GAN cannot say how probable an image is, whether it has forgotten something, or when it is done.
# Balance is everything and no single number shows it.
# The reverse KL inside the non-saturating loss forgives what is missing.
#
# **What the next lesson repairs.**
# A GAN must make a digit out of noise in one leap, and needs an opponent to learn how.
# Lesson 06 takes the leap in a thousand small steps, each an ordinary regression with one loss that goes down: no opponent, no collapse.
# The price is a thousand steps.
# **Lesson 06, diffusion.**
#
# **References**
# - I. Goodfellow and others, *Generative adversarial nets*, 2014
# - A. Radford, L. Metz, S. Chintala, *Unsupervised representation learning with deep convolutional generative adversarial networks*, 2016 (DCGAN)
# - M. Arjovsky, L. Bottou, *Towards principled methods for training generative adversarial networks*, 2017 (equation 7)
# - L. Mescheder, A. Geiger, S. Nowozin, *Which training methods for GANs do actually converge?*, 2018 (section 6, R1)
# - T. Karras and others, *Progressive growing of GANs for improved quality, stability, and variation*, 2018 (minibatch spread, averaged generator)
