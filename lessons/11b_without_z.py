# %% [markdown]
# # 11b Without Z
#
# **Three ways to learn and to draw without summing Z; each has its own blind spot.**
#
# Lesson 11 did everything to get at one number.
# Here the number is avoided: by walkers that follow the slope of $\log p$, by comparing slopes, and by telling data from noise.
# All of it happens in the plane, where quadrature (a sum over a fine grid) shows what each way does not see.
# A deep belief net closes the lesson, with a bound on what its second layer gained.
#
# **After this lesson you can**
# - draw from an energy by Langevin steps, and say at which *temperature* a step draws;
# - train an energy by its slope, and say what slopes cannot tell apart;
# - train it against noise, read $\log Z$ off the classifier, and say when it is wrong;
# - stack two Boltzmann machines, and bound the likelihood of the stack.
#
# **Builds on** 11 (energies, Boltzmann machines, annealing), 02 (the mixture), 03b (denoising, score), 05 (a classifier against fakes); 06 is what section 4 leads to.
#
# | letter | meaning | letter | meaning |
# |---|---|---|---|
# | $E$, $Z$ | energy; $p=e^{-E}/Z$ | $T$ | temperature: draws come from $p^{1/T}$, normalised |
# | $\eta$ | step of Langevin dynamics | $s$, $\sigma$ | factor of the slope, standard deviation of the noise |
# | $\psi$ | a model's score, $-\nabla E$ | $J$ | half the mean squared error of $\psi$ |
# | $\xi$ | standard normal noise | $p_t$, $r_t$ | two densities after noise of variance $t$ |
# | $q$, $\nu$ | density of the noise; noise points for one data point | $\zeta$ | the free number that learns $\log Z$ |
# | $v$, $h$, $u$ | layers of a stack, from below | $F_2$, $Z_2$ | free energy and Z of its top |

# %% tags=["setup"]
import math

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from sklearn.linear_model import LogisticRegression
from torch import nn

import course_utils as cu

# written in lesson 02, section 2
from course_utils.lessons.lesson_02 import checked_resp, checked_sampler, log_gaussians

device = cu.setup()

# %% [markdown]
# ### What you will have made
#
# Two crowds of walkers follow the exact slope of the density on the left, and differ only in how much noise is added to a step.

# %% tags=["figure", "slide"]
# @title Figure: the same walk, two recipes
for run in cu.runs.available("11b_ways"):  # section 2 makes it
    crowds = nn.Embedding(1_000, 6)
    cu.restore(run.name, crowds)
    names = ["points of the density", "one recipe", "the other recipe"]
    fig, axes = plt.subplots(1, 3, figsize=(12.5, 4.4), sharex=True, sharey=True)
    for number, (name, x) in enumerate(zip(names, crowds.weight.detach().split(2, 1))):
        size = 40 if number == 2 else 7
        cu.plots.scatter(x, ax=axes[number], c=cu.plots.PALETTE[number], s=size)
        axes[number].set(title=name, xlim=(-4.4, 4.4), ylim=(-4.4, 4.4))
    cu.show(
        fig,
        "1,000 points each: exact draws, and where walkers stand that began everywhere in the "
        "square; those of the second recipe share three points (drawn larger).",
    )

# %% [markdown]
# Both recipes are called *Langevin dynamics*; the second has a widespread tutorial's ratio of noise to step.
# Section 2 says what it draws from.

# %% [markdown]
# ## 1 · Langevin dynamics: a step uphill, and noise *(core)*
#
# Z is a constant: it does not depend on $x$.
# So whoever only asks how $\log p$ *changes* never meets it:
#
# $$\nabla\log p(x)=\nabla\bigl(-E(x)-\log Z\bigr)=-\nabla E(x). \tag{1}$$

# %% tags=["figure", "slide"]
# @title Figure: three ways around Z
d = cu.diagram()
top = d.box(r"$p=e^{-E}/Z$", (4, 2.6))
ways = {
    "Langevin: follow the slope, add noise": (
        0,
        r"$x+\frac{\eta}{2}\nabla\log p+\sqrt{\eta}\,\xi$",
    ),
    "score matching: compare slopes": (4, r"$-\nabla E$ and $\nabla\log p$"),
    "noise contrast: data or noise?": (8.2, r"$-E-\zeta-\log q$"),
}
for name, (x, formula) in ways.items():
    d.arrow(top, d.box(formula, (x, 0.9)))
    d.text(name.replace(": ", ":\n"), (x, 0.05), fontsize=12)
cu.show(
    d.figure,
    "Langevin dynamics (sections 1 and 2), score matching (3 and 4), noise contrast (6). In "
    "the first two Z drops out; in the third log Z is one more number to learn, ζ.",
)

# %% [markdown]
# **Langevin dynamics** takes a step uphill in $\log p$, and adds noise:
#
# $$x\leftarrow x+\frac{\eta}{2}\nabla\log p(x)+\sqrt{\eta}\,\xi,\qquad \xi\sim\mathcal N(0,I). \tag{2}$$
#
# The slope alone would end on a mode; the noise alone would wander off.
# Together, for small $\eta$ and after many steps, they visit every place as often as $p$ says.
#
# **Why these two factors?**
# In a crowd of walkers with density $p$ the slope carries the stream $\frac\eta2\,p\,\nabla\log p=\frac\eta2\nabla p$ uphill.
# Noise of variance $\eta$ levels differences out: a stream $-\frac\eta2\nabla p$ downhill (Fick's law of diffusion).
# The two cancel: to first order in $\eta$, $p$ stays as it is (the stationary solution of the *Fokker–Planck equation*).
#
# **Exercise 1 (core).**
# Write (2) for a crowd of walkers.


# %% tags=["exercise"]
def langevin_step(x, score, eta, xi):
    """One step of (2): walkers x (N, d), score a function (N, d) → (N, d), noise xi (N, d)."""
    ### BEGIN SOLUTION
    return x + 0.5 * eta * score(x) + math.sqrt(eta) * xi
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# The slope gets half of $\eta$, the noise its square root: the *variance* of what is added is $\eta$.

# %%
checked_langevin = cu.check("11b.langevin", langevin_step)


def walk(x, score, eta, steps, generator):
    """`steps` Langevin steps of the walkers x (N, d)."""
    for _ in range(steps):
        xi = torch.randn(x.shape, generator=generator).to(x)
        x = checked_langevin(x, score, eta, xi)
    return x


# %% [markdown]
# **How wrong is a step that is not small?**
# For $\mathcal N(0,1)$ the score is $-x$, and (2) reads $x\leftarrow(1-\eta/2)\,x+\sqrt\eta\,\xi$.
#
# **Predict 1.**
# At $\eta=3$ the noise has standard deviation $\sqrt3\approx1.7$: a step is longer than the bell is wide.
# Is the variance of the walkers 1, larger, or smaller?
# And is there an $\eta$ at which they have none?
#
# **A repair.**
# Reject some steps, so that as many walkers go from $x$ to $x'$ as from $x'$ to $x$.
# Take the step as a *proposal* $x'$, and accept it with probability
#
# $$\begin{gathered}
# \min\Bigl(1,\ \frac{p(x')\,k(x\mid x')}{p(x)\,k(x'\mid x)}\Bigr), \\
# k(x'\mid x)=\mathcal N\bigl(x';\,x+\tfrac\eta2\nabla\log p(x),\,\eta I\bigr);
# \end{gathered} \tag{3}$$
#
# otherwise stay (**Metropolis**).
# Of the two streams $p(x)\,k(x'\mid x)$ and $p(x')\,k(x\mid x')$ the larger is cut down to the smaller: they balance, and $p$ stays as it is.
# Z cancels once more.


# %%
def log_proposal(after, before, score, eta):
    """log k(after | before) of (3), up to a constant: (N,)."""
    return -(after - before - 0.5 * eta * score(before)).square().sum(1) / (2 * eta)


def metropolis_step(x, log_p, score, eta, generator):
    """A Langevin step, accepted by (3): the new walkers, and who moved (N,)."""
    xi = torch.randn(x.shape, generator=generator).to(x)
    new = checked_langevin(x, score, eta, xi)
    log_ratio = log_p(new) - log_p(x)
    log_ratio += log_proposal(x, new, score, eta) - log_proposal(new, x, score, eta)
    coin = torch.rand(len(x), generator=generator).to(x)
    moved = coin.log() < log_ratio
    return torch.where(moved[:, None], new, x), moved


# %%
def bell_score(x):
    """The score of N(0, I)."""
    return -x


def log_bell(x):
    """log N(x; 0, I), up to a constant."""
    return -0.5 * x.square().sum(1)


def settled(step, eta, walkers=20_000, warm=100, steps=200):
    """Variance of walkers that have forgotten their start, and how many move in a step."""
    x = torch.zeros(cu.budget(walkers, 500), 1, device=device)
    seen = []
    moved = []
    for t in range(warm + cu.budget(steps, 5)):
        new = step(x, eta)
        if t >= warm:
            seen.append(new.var())
            moved.append((new != x).float().mean())
        x = new
    return torch.stack(seen).mean().item(), torch.stack(moved).mean().item()


# %%
g = torch.Generator().manual_seed(0)


def plain(x, eta):
    return walk(x, bell_score, eta, 1, g)


def repaired(x, eta):
    return metropolis_step(x, log_bell, bell_score, eta, g)[0]


variance = {}
for eta in (0.1, 1.0, 3.0):
    raw, _ = settled(plain, eta)
    mended, accepted = settled(repaired, eta)
    variance[eta] = (raw, mended, accepted)

# %% [markdown]
# **The variance, derived.**
# The two terms of $(1-\eta/2)\,x+\sqrt\eta\,\xi$ are independent, so variances add; a variance $v$ that no longer changes satisfies
#
# $$v=\Bigl(1-\frac\eta2\Bigr)^2v+\eta\quad\Longrightarrow\quad v=\frac{\eta}{\eta-\eta^2/4}=\frac{1}{1-\eta/4}. \tag{4}$$

# %% tags=["figure", "slide"]
# @title Table: the variance of N(0, 1), drawn by Langevin steps
rows = []
for eta, (raw, mended, accepted) in variance.items():
    derived = 1 / (1 - eta / 4)
    rows.append([f"{eta}", f"{derived:.3f}", f"{raw:.3f}", f"{mended:.3f}", f"{accepted:.0%}"])
cu.table(
    rows,
    ["η", "1/(1 − η/4)", "measured", "with Metropolis", "accepted"],
    "Stationary variance (true: 1) of 20,000 walkers, mean over 200 steps.",
)

# %% [markdown]
# Measured and derived agree.
# At $\eta=3$ the variance is four times too large; at 4 the factor $(1-\eta/2)^2$ is 1, and every step adds 4 to it: no stationary state.
# Metropolis mends all three, and pays with rejected steps: at $\eta=3$ only 63% are accepted.

# %% [markdown]
# ## 2 · At which temperature? *(core)*
#
# On lesson 02's mixture nothing is Gaussian any more.
# Two crowds set out: one starts everywhere in a square, the other to the right of the mixture.


# %%
weights = torch.tensor([0.5, 0.3, 0.2], device=device)
means = torch.tensor([[-1.5, 0.0], [1.0, 0.8], [1.0, -1.0]], device=device)
flat_covs = [[0.8, 0.5, 0.5, 0.6], [0.7, -0.4, -0.4, 0.5], [0.4, 0.0, 0.0, 0.4]]
covs = torch.tensor(flat_covs, device=device).view(3, 2, 2)
mixture = (weights.cpu(), means.cpu(), covs.cpu())


def mixture_parts(x):
    """log responsibilities (N, 3) and log p(x) (N,) of lesson 02's mixture."""
    return checked_resp(weights.log(), log_gaussians(x, means, covs))


def mixture_score(x):
    """∇ log p of the mixture by autograd: (N, 2)."""
    x = x.detach().requires_grad_()
    return torch.autograd.grad(mixture_parts(x)[1].sum(), x)[0]


def shares(x):
    """How many of the points belong to each component, by their likeliest one: (3,)."""
    return mixture_parts(x)[0].argmax(1).bincount(minlength=3) / len(x)


# %%
n_walkers = cu.budget(2_000, 100)
n_steps = cu.budget(1_500, 10)
exact_draws, _ = checked_sampler(*mixture, n=20_000, generator=torch.Generator().manual_seed(1))
wide = (8 * torch.rand(n_walkers, 2, generator=g) - 4).to(device)  # everywhere
right = (torch.randn(n_walkers, 2, generator=g) + torch.tensor([2.5, 0.0])).to(device)
warm_wide = walk(wide, mixture_score, 0.05, n_steps, g)
warm_right = walk(right, mixture_score, 0.05, n_steps, g)

# %% tags=["figure"]
# @title Figure: where the walkers are, and where they should be
fig, ax = plt.subplots(figsize=(8.6, 3.4))
bins = torch.linspace(-4, 4, 33).tolist()
ax.hist(exact_draws[:, 0], bins, density=True, color="#cccccc", label="20,000 exact draws")
ended = {"from everywhere": warm_wide, "from the right": warm_right}
for number, (name, x) in enumerate(ended.items()):
    colour = cu.plots.PALETTE[number]
    ax.hist(x.cpu()[:, 0], bins, density=True, histtype="step", lw=2, color=colour, label=name)
ax.set(xlabel="x₁", ylabel="density", title="two starts, one distribution")
ax.legend(fontsize=11)
cu.show(
    fig, f"First coordinate of {n_walkers:,} walkers after {n_steps:,} steps with η = 0.05."
)

# %% [markdown]
# Both outlines follow the grey histogram: the start is forgotten.
#
# **Two factors.**
# Many programs choose the two factors of (2) apart: $x\leftarrow x+s\nabla\log p(x)+\sigma\xi$.
# Set $\eta=\sigma^2$ and compare with (2): the slope is that of another log-density,
#
# $$s\,\nabla\log p=\frac{\sigma^2}{2}\nabla\Bigl(\frac1T\log p\Bigr)\quad\text{with}\quad T=\frac{\sigma^2}{2s}. \tag{5}$$
#
# So small steps draw from $p^{1/T}$, normalised: the Boltzmann distribution at temperature $T$ (lesson 11's magnet).
# Only $s=\sigma^2/2$ draws from $p$.
#
# A widespread tutorial on deep energy models (University of Amsterdam, tutorial 8) trains and draws with $s=10$, $\sigma=0.005$ and slopes clipped to ±0.03.
#
# **Predict 2.**
# Which temperature is that: 1, 0.1, 0.001 or a millionth?


# %%
def temperature(s, sigma):
    """Equation (5)."""
    return sigma**2 / (2 * s)


def two_factor_walk(x, s, sigma, steps, generator, clip=math.inf):
    """x + s·∇log p + σ·ξ on the mixture, each slope clipped to ±clip."""
    for _ in range(steps):
        slope = mixture_score(x).clamp(-clip, clip)
        x = x + s * slope + sigma * torch.randn(x.shape, generator=generator).to(x)
    return x


T_tutorial = temperature(10, 0.005)
s = 0.025  # a step that is stable on this mixture; its σ at the same temperature:
sigma = math.sqrt(2 * s * T_tutorial)
cold_wide = two_factor_walk(wide, s, sigma, n_steps, g)
cold_right = two_factor_walk(right, s, sigma, n_steps, g)
as_printed = two_factor_walk(wide, 10, 0.005, n_steps, g, clip=0.03)
unclipped = two_factor_walk(wide, 10, 0.005, 50, g)

# %% tags=["figure", "slide"]
# @title Figure: the tutorials' temperature beside the right one
fig, axes = plt.subplots(2, 3, figsize=(12.5, 8), sharex=True, sharey=True)
panels = {
    "start": (wide, right),
    "T = 1, s = σ²/2": (warm_wide, warm_right),
    "T of a millionth": (cold_wide, cold_right),
}
for column, (name, pair) in enumerate(panels.items()):
    for row, x in enumerate(pair):
        ax = axes[row, column]
        cu.plots.density(
            lambda x: mixture_parts(x)[1].exp(),
            (-4, 4),
            ax=ax,
            filled=False,
            levels=6,
            colors="#999999",
            device=device,
        )
        size = 40 if column == 2 else 6
        shown = x.cpu()[:1_000]
        cu.plots.scatter(shown, ax=ax, c=cu.plots.PALETTE[column], s=size)
        if column == 2:  # many walkers in one point: say how many
            for share, top in zip(shares(x).tolist(), means.cpu().tolist()):
                text = f"{share:.0%}" if share > 0.01 or share == 0 else "under 1%"
                ax.annotate(text, top, (18, 12), textcoords="offset points", fontsize=12)
        where = ("from everywhere", "from the right")[row]
        ax.set_title(f"{name}, {where}" if column == 0 else name)
cu.show(
    fig,
    f"Walkers before and after {n_steps:,} steps on lesson 02's mixture (grey), from two "
    "starts; middle: the step of (2); right: the tutorials' ratio of noise to step. Cold "
    "walkers stand on three points (drawn larger, with their shares).",
)

# %% tags=["figure", "slide"]
# @title Table: which draws look better, and which have the right shares?
rows = []
named = {
    "exact draws": exact_draws.to(device),
    "T = 1, from everywhere": warm_wide,
    "T = 1, from the right": warm_right,
    "a millionth, from everywhere": cold_wide,
    "a millionth, from the right": cold_right,
    "as printed, clipped": as_printed,
}
for name, x in named.items():
    parts = ", ".join(f"{share:.1%}" for share in shares(x).tolist())
    rows.append([name, parts, f"{mixture_parts(x)[1].mean():.2f}"])
cu.table(
    rows,
    ["draws", "shares of the three", "mean log p"],
    "Each point counts for its likeliest component; exact draws show what that gives.",
)
clipped = (mixture_score(as_printed).abs() > 0.03).float().mean()
cu.facts(
    {
        "temperature of s = 10, σ = 0.005": T_tutorial,
        "standard error of a share of one half": f"{0.5 / n_walkers**0.5:.1%}",
        "as printed: slopes that are clipped": f"{clipped:.0%}",
        "the same step without the clip: walkers that stay finite": int(
            unclipped.isfinite().all(1).sum()
        ),
    }
)

# %% [markdown]
# A millionth: 1.25e-06.
# At that temperature the walk is gradient ascent.
# All draws sit on three tops, their log-density is higher than that of true draws, −2.15 against −2.88, and the shares only say where the walkers *started*: from everywhere 30, 45 and 25%, from the right under 1, 81 and 19%.
# **Cold draws look better than the data, and have forgotten the weights.**
# At $T=1$ both starts end near the shares of exact draws, 49, 32 and 19%: what is left is chance (a standard error is about one point) and the step, (4).
#
# Taken literally, $s=10$ overshoots: without the clip no walker stays finite.
# With it each coordinate moves by at most 0.3, and practically always by exactly that (100% of the slopes are clipped): the walkers jump about the tops.
#
# (In training a network may flatten its energy until the recipe works; then $E/T$, not $E$, is what was learned; in section 7 it does not.
# The authors of Nijkamp and colleagues' *Anatomy* say so when asked ([ebm-anatomy, issue 1](https://github.com/point0bar1/ebm-anatomy/issues/1)); Du and Mordatch's code takes $s=180$ with the same noise ([issue 2](https://github.com/openai/ebm_code_release/issues/2)).)
#
# **What a walk cannot see.**
# These modes overlap.
# Between distant ones even a correct walk almost never crosses, and the shares stay those of the start (section 5 has two such islands).


# %% tags=["figure"]
# @title Widget: slope and noise, and the temperature they make
def draw_walk(slope, noise):
    """300 walkers after 200 steps with two factors, given as decimal logarithms."""
    s_now, sigma_now = 10**slope, 10**noise
    g = torch.Generator().manual_seed(0)
    x = two_factor_walk(wide[:300], s_now, sigma_now, cu.budget(200, 3), g).cpu()
    inside = x.isfinite().all(1) & (x.abs() < 6).all(1)
    fig, ax = plt.subplots(figsize=(5.6, 5.2))
    cu.plots.density(
        lambda x: mixture_parts(x)[1].exp(),
        (-4, 4),
        ax=ax,
        filled=False,
        levels=6,
        colors="#999999",
        device=device,
    )
    ax.scatter(*x[inside].T, s=8, color=cu.plots.PALETTE[0])
    T = temperature(s_now, sigma_now)
    ax.set_title(f"s = {s_now:.3g}, σ = {sigma_now:.3g}: T = {T:.2g}", fontsize=12)
    return fig


cu.explore(
    draw_walk,
    "Walkers on the mixture. Along s = σ²/2 (log10 s = 2·log10 σ − 0.3) T is 1; a smaller s is "
    "hotter, a larger one colder.",
    slope={"min": -3.0, "max": 0.5, "step": 0.5, "value": -1.5, "label": "log10 s"},
    noise={"min": -3.0, "max": 0.0, "step": 0.5, "value": -0.5, "label": "log10 σ"},
)

# %% [markdown]
# **Exercise 2 (deeper, on paper).**
# Walkers on $\mathcal N(0,1)$ take steps with two factors, $s$ and $\sigma$.
# Find the stationary variance, compare it with $T=\sigma^2/(2s)$, and say for which $s$ there is none.
#
# <details><summary>Answer</summary>
#
# $x\leftarrow(1-s)x+\sigma\xi$, so $v=(1-s)^2v+\sigma^2$ and $v=\sigma^2/(2s-s^2)=T/(1-s/2)$.
# At temperature $T$ the density $p^{1/T}$ has variance $T$: right for small $s$, too wide by the factor $1/(1-s/2)$ otherwise; with $s=\eta/2$ and $T=1$ this is (4).
# It needs $|1-s|<1$: none for $s\ge2$, and 10 is far above.
#
# </details>

# %% [markdown]
# ## 3 · Compare slopes: score matching *(core)*
#
# To *learn* an energy, make its slope $\psi=-\nabla E$ like that of the data:
#
# $$J=\tfrac12\,\mathbb E_{p}\bigl\|\psi(x)-\nabla\log p(x)\bigr\|^2. \tag{6}$$
#
# ($2J$ is the *Fisher divergence*; we quote $J$ throughout.)
# Z is gone, but who knows the slope of the data?
# Multiply out:
#
# $$\tfrac12\|\psi-\nabla\log p\|^2=\tfrac12\|\psi\|^2-\psi\cdot\nabla\log p+\tfrac12\|\nabla\log p\|^2.$$
#
# The last term does not depend on the model, and the mixed one integrates by parts.
# Since $p\,\partial_i\log p=\partial_ip$ (with $\partial_i=\partial/\partial x_i$), for each coordinate
#
# $$-\int p\,\psi_i\,\partial_i\log p\,dx=-\int\psi_i\,\partial_ip\,dx=\int p\,\partial_i\psi_i\,dx,$$
#
# if $p\,\psi_i$ vanishes far away.
# What remains needs data and the model only:
#
# $$J=\mathbb E_p\Bigl[\tfrac12\|\psi\|^2+\sum_i\partial_i\psi_i\Bigr]+\tfrac12\,\mathbb E_p\|\nabla\log p\|^2. \tag{7}$$
#
# In words: have small slopes at the data, and let them fall all around, so that each data point lies on a top.
# (With few points a large network could put a spike on each of them, and make (7) as small as it likes; 20,000 points and a small network prevent it here.)


# %%
def two_bells(x, share, gap, variance=0.25):
    """Two 1-D Gaussians at ±gap/2, `share` on the left: log p (N,) and its slope (N,)."""
    centres = x.new_tensor([-gap / 2, gap / 2])
    away = centres - x[:, None]  # (N, 2)
    log_share = x.new_tensor([share, 1 - share]).log()
    log_joint = log_share - away.square() / (2 * variance)
    slope = (log_joint.softmax(1) * away).sum(1) / variance
    return log_joint.logsumexp(1) - 0.5 * math.log(2 * math.pi * variance), slope


line = torch.linspace(-12, 12, 24_001, dtype=torch.float64)
dx = line[1] - line[0]
log_p, slope = two_bells(line, 0.2, 3.0)
psi = -line / 2 + torch.sin(line)  # any model will do
d_psi = -0.5 + torch.cos(line)
left_side = (log_p.exp() * (psi - slope).square()).sum() * dx / 2
by_parts = (log_p.exp() * (psi.square() / 2 + d_psi + slope.square() / 2)).sum() * dx
assert abs(left_side - by_parts) < 1e-9
cu.facts("J by (6), quadrature", left_side, "J by (7)", by_parts, digits=9)

# %% [markdown]
# **Exercise 3 (core).**
# Write the part of (7) that can be trained, a mean over the batch; autograd differentiates the score.


# %% tags=["exercise"]
def score_matching_loss(score, x):
    """Mean over x (N, d) of ½‖ψ‖² + Σ_i ∂ψ_i/∂x_i: score a function (N, d) → (N, d).

    A gradient must reach the parameters in `score`.
    """
    ### BEGIN SOLUTION
    x = x.detach().requires_grad_()
    psi = score(x)
    loss = 0.5 * psi.square().sum(1)
    for i in range(x.shape[1]):
        d_psi = torch.autograd.grad(psi[:, i].sum(), x, create_graph=True)[0]
        loss = loss + d_psi[:, i]
    return loss.mean()
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# `x` must ask for gradients before `score(x)`: `x = x.detach().requires_grad_()`.
# The rows of a batch do not influence each other, so the gradient of `psi[:, i].sum()` holds $\partial\psi_i/\partial x_j$ of every point at once; you need its column $i$, for each $i$ anew.
# `create_graph=True` keeps the graph, so that the loss can be differentiated by the parameters.

# %%
checked_sm = cu.check("11b.score_matching", score_matching_loss)


class Energy(nn.Module):
    """E(x) (N,) of x (N, d): a network plus a wide bowl, so that Z is finite; and log Z."""

    def __init__(self, d=2, bowl=3.0, width=64):
        super().__init__()
        self.net = cu.nets.layers.mlp(d, width, width, 1)
        self.bowl = bowl
        self.log_z = nn.Parameter(torch.zeros(()))  # ζ of section 6

    def forward(self, x):
        return self.net(x)[:, 0] + 0.5 * (x / self.bowl).square().sum(1)

    def score(self, x):
        """−∇E (N, d), with a graph, to be differentiated again."""
        x = x if x.requires_grad else x.detach().requires_grad_()
        return -torch.autograd.grad(self(x).sum(), x, create_graph=True)[0]


def slope_loss(energy, x):
    """Score matching, as cu.fit wants it."""
    return checked_sm(energy.score, x)


# %% [markdown]
# The judge is quadrature: it gives the $\log Z$ that no training asked for, and with it the exact $\mathrm{KL}(p\,\|\,p_E)$.
# First it is judged itself, on the bowl alone: there $e^{-E}$ is $2\pi\cdot9$ times a Gaussian.


# %%
side = torch.linspace(-60, 60, cu.budget(401, 161))  # wide: an energy may run away
grid = torch.cartesian_prod(side, side).to(device)
log_cell = 2 * math.log(float(side[1] - side[0]))


@torch.no_grad()
def judged(energy, T=1.0):
    """log Z and KL(p ‖ e^(−E/T)/Z) on lesson 02's mixture, by quadrature."""
    log_model = -energy(grid) / T
    log_z = log_model.logsumexp(0) + log_cell
    log_p = mixture_parts(grid)[1]
    gap = log_p - (log_model - log_z)
    return log_z.item(), (log_p.exp() * gap).sum().item() * math.exp(log_cell)


bowl = Energy().to(device)
nn.init.zeros_(bowl.net[-1].weight)
nn.init.zeros_(bowl.net[-1].bias)
cu.facts("log Z of the bowl", judged(bowl)[0], "exact", math.log(2 * math.pi * 9), digits=5)

# %% tags=["quiet"]


def learn(loss, steps=1_000, seed=0, make=Energy, points=exact_draws):
    """A model from make(), trained with a loss on points."""
    torch.manual_seed(seed)
    model = make().to(device)
    batches = cu.Batches(points, 512, seed=seed)
    cu.fit(model, loss, batches, steps=steps, lr=5e-3, schedule="cosine", seed=seed)
    return model


by_slope = learn(slope_loss, 600)
fresh, _ = checked_sampler(*mixture, n=2_000, generator=torch.Generator().manual_seed(5))
fresh = fresh.to(device)
learned = by_slope.score(fresh).detach()
true = mixture_score(fresh)
log_z, kl = judged(by_slope)

# %% tags=["figure", "slide"]
# @title Figure: learned slopes against true ones
fig, (left, right_ax) = plt.subplots(1, 2, figsize=(11.5, 5.2), sharex=True, sharey=True)
pictures = {
    "true slopes": (left, mixture_score, lambda x: mixture_parts(x)[1]),
    "learned from points": (
        right_ax,
        lambda x: by_slope.score(x).detach(),
        lambda x: -by_slope(x).detach() - log_z,
    ),
}


def draw_slopes(ax, name, slopes, height):
    """Log-density as colour, its slopes as arrows, those longer than 4 cut."""

    def capped(x):
        arrows = slopes(x)
        return arrows / (arrows.norm(dim=1, keepdim=True) / 4).clamp(min=1)

    levels = torch.linspace(-9, -1.5, 16).tolist()
    cu.plots.density(height, (-4, 4), ax=ax, levels=levels, device=device, extend="both")
    cu.plots.field(capped, (-4, 4), ax=ax, n=18, device=device, color="white", scale=70)
    ax.set_title(name)


for name, (ax, slopes, height) in pictures.items():
    draw_slopes(ax, name, slopes, height)
cu.show(
    fig,
    "Score (white arrows, the longest ones cut) and log-density (colour) of the mixture, and "
    "of the learned energy: the arrows agree on the coloured ridge, not in the corners.",
)
cosine = F.cosine_similarity(learned, true)
cu.facts(
    {
        "median cosine of learned and true score": f"{cosine.median():.3f}",
        "mean cosine": f"{cosine.mean():.3f}",
        "J on fresh points": 0.5 * (learned - true).square().sum(1).mean(),
        "log Z by quadrature (never trained)": log_z,
        "KL(p ‖ p_E), nats": kl,
    }
)

# %% [markdown]
# Where data lie the arrows agree: median cosine 0.999, KL 0.003 nats (one seed; section 7 has three).
# In the corners they do not, and nothing asked them to: (6) is an average over the data.
# The $\log Z$ of 2.40 came about by chance: a constant added to $E$ changes no slope.

# %% [markdown]
# ## 4 · Two far islands *(core)*
#
# Take a mixture of two Gaussians far apart, two *islands*: once with weights .2 and .8, $p$, and once with .5 and .5, $r$.
# KL tells them apart: $0.2\log\frac{0.2}{0.5}+0.8\log\frac{0.8}{0.5}\approx0.19$ nats.
#
# **Predict 3.**
# What does $J$ say at a distance of 8?


# %%
def two_rulers(gap, variance=0.25, share_p=0.2, share_r=0.5):
    """KL and J between two weightings of two Gaussians, by quadrature (float64)."""
    reach = gap / 2 + 10 * math.sqrt(variance)
    x = torch.linspace(-reach, reach, 6_001, dtype=torch.float64)
    p, p_slope = two_bells(x, share_p, gap, variance)
    r, r_slope = two_bells(x, share_r, gap, variance)
    mass = p.exp() * (x[1] - x[0])
    kl = (mass * (p - r)).sum().item()
    return kl, (mass * (p_slope - r_slope).square()).sum().item() / 2


gaps = torch.linspace(0.25, 8, 32).tolist()
ruled = [two_rulers(gap) for gap in gaps]
far_kl, far_j = two_rulers(8.0)

# %% tags=["figure", "slide"]
# @title Figure: two distributions with one score
fig, axes = plt.subplots(2, 2, figsize=(11, 7.6))
(densities, scores), (near, rulers) = axes
x = torch.linspace(-6, 6, 6_001, dtype=torch.float64)
for number, share in enumerate((0.2, 0.5)):
    height, slope = two_bells(x, share, 8.0)
    style = {"color": cu.plots.PALETTE[number], "ls": "-" if number == 0 else "--"}
    densities.plot(x, height.exp(), label=f"weights {share}, {1 - share}", **style)
    scores.plot(x, slope, **style)
    near.plot(x, slope, **style)
densities.set(xlabel="x", ylabel="density", title="not alike")
densities.legend(fontsize=11)
scores.set(xlabel="x", ylabel="score", title="alike wherever there are data")
near.set(xlabel="x", ylabel="score", title="near 0, where there are none")
near.set(xlim=(-0.2, 0.2), xticks=[-0.2, -0.1, 0, 0.1, 0.2])
rulers.semilogy(gaps, [kl for kl, _ in ruled], label="KL, nats", color="#333333")
rulers.semilogy(gaps, [max(j, 1e-14) for _, j in ruled], "--", label="J", color="#D55E00")
rulers.set(xlabel="distance of the two centres", ylabel="KL in nats; J")
rulers.set_title("KL sees it, J does not")
rulers.legend(fontsize=11)
cu.show(
    fig,
    "Two mixtures of Gaussians (standard deviation 0.5) that differ only in weights, their "
    "centres 8 apart: the two scores lie on each other but for a strip near 0. Lower right: "
    "both rulers, by quadrature.",
)
cu.facts("KL at distance 8, nats", far_kl, "J at distance 8", far_j)
cu.facts("where the pull changes sides, weights .2 and .8", -0.25 / 8 * math.log(4))

# %% [markdown]
# KL is 0.193, $J$ is 5.06e-14: nothing.
# The two scores differ only near 0, where the pull changes from one island to the other: at −0.043 for $p$, at 0 for $r$.
# A data point falls there with a density of $10^{-14}$.
# **A slope compares neighbours; how two islands compare is written in the sea between them, and no data lie there.**
#
# Add noise to both, and the islands grow together.
# With $p_t$ and $r_t$ the densities after Gaussian noise of variance $t$, a theorem (*de Bruijn's identity*) says more than that this helps: $\frac{d}{dt}\mathrm{KL}(p_t\,\|\,r_t)=-J(p_t,r_t)$.
# Under ever more noise the two become one, $\mathrm{KL}(p_t\,\|\,r_t)\to0$, so integrating gives
#
# $$\mathrm{KL}(p\,\|\,r)=\int_0^\infty J(p_t,r_t)\,dt. \tag{8}$$

# %%
levels = torch.logspace(-3, 4, cu.budget(300, 100), dtype=torch.float64)  # noise variances
seen = torch.tensor([two_rulers(8.0, 0.25 + t)[1] for t in levels.tolist()]).double()
area = torch.trapezoid(seen, levels)
cu.facts("area under J over all noise levels", area, "KL", far_kl)

# %% [markdown]
# All levels together see everything, to three digits.
# **Lesson 06 was this repair**: a diffusion is score matching at every level of noise, and its way back decides between the islands while they are still one.

# %% [markdown]
# ## 5 · The repair, learned *(deeper)*
#
# Two models in 1-D, both from points with weights .2 and .8: one by (7), one by *denoising* at all levels.
# The second uses lesson 03b's result: the best guess of the noise $\xi$ in $x+\sigma\xi$ is $-\sigma$ times the score of the noisy data.
# So a network that guesses noise is a score, without second derivatives (Vincent 2011).
#
# *Training:* draw a level $\sigma$ for each point, add noise, guess the noise.
#
# *Drawing:* begin with noise of the widest level; at each level take 20 Langevin steps with $\eta=0.1\,\sigma^2$; go down to the next level.


# %%
class NoisyScore(nn.Module):
    """The score at noise level σ: x (N, 1), log σ (N, 1) → (N, 1)."""

    def __init__(self, spread=4.0):  # of the data: root mean square
        super().__init__()
        self.net = cu.nets.layers.mlp(2, 64, 64, 1)
        self.spread = spread

    def forward(self, x, log_sigma):
        sigma = log_sigma.exp()
        small = x / (sigma.square() + self.spread**2).sqrt()  # about 1, whatever the noise
        return self.net(torch.cat([small, log_sigma], 1)) / sigma  # noise of σ: scores of 1/σ

    def at(self, level):
        """The score at one level, as a function of x."""
        return lambda x: self(x, torch.full_like(x, level))


# %%
LOW = math.log(0.2)
HIGH = math.log(10.0)


def denoising_loss(net, x):
    """Guess the noise at a level that is drawn anew for each point."""
    log_sigma = LOW + (HIGH - LOW) * torch.rand_like(x)
    xi = torch.randn_like(x)
    guess = -log_sigma.exp() * net(x + log_sigma.exp() * xi, log_sigma)
    return (guess - xi).square().mean()


def two_islands(n, seed):
    """n points (n, 1): a fifth at −4, the others at 4, standard deviation 0.5."""
    g = torch.Generator().manual_seed(seed)
    left = torch.rand(n, 1, generator=g) < 0.2
    return torch.where(left, -4.0, 4.0) + 0.5 * torch.randn(n, 1, generator=g)


# %%
def share_by_slope(seed, steps=4_000):
    """Share of the left island: by quadrature of E, and where walkers from everywhere end."""
    points = two_islands(20_000, seed)
    energy = learn(slope_loss, steps, seed, lambda: Energy(1, 4.0), points)
    x = torch.linspace(-60, 60, 12_001).to(device)
    with torch.no_grad():
        mass = (-energy(x[:, None])).softmax(0)
    g = torch.Generator().manual_seed(seed)
    start = (5 * torch.randn(cu.budget(1_000, 50), 1, generator=g)).to(device)
    end = walk(start, lambda x: energy.score(x).detach(), 0.1, cu.budget(200, 3), g)
    return mass[x < 0].sum().item(), (end < 0).float().mean().item()


def share_by_levels(seed, steps=4_000):
    """Share of the left island among walkers led from wide noise to narrow."""
    net = learn(denoising_loss, steps, seed, NoisyScore, two_islands(20_000, seed))
    g = torch.Generator().manual_seed(seed)
    x = (10 * torch.randn(cu.budget(2_000, 50), 1, generator=g)).to(device)
    with torch.no_grad():
        for level in torch.linspace(HIGH, LOW, cu.budget(120, 3)).tolist():
            x = walk(x, net.at(level), 0.1 * math.exp(2 * level), 20, g)
    return (x < 0).float().mean().item()


# %% tags=["quiet"]
energy_share, walk_share = share_by_slope(0)
level_share = share_by_levels(0)


# %% tags=["author"]
def island_figures(seed):
    """Both ways to learn two islands, one seed."""
    e_share, w_share = share_by_slope(seed)
    return {
        f"islands, slope, energy, seed {seed}": e_share,
        f"islands, slope, walkers, seed {seed}": w_share,
        f"islands, levels, seed {seed}": share_by_levels(seed),
    }


# %% tags=["figure", "slide"]
# @title Table: how much of the mass is on the left island?
rows = [["here, seed 0", energy_share, walk_share, level_share]]
for run in cu.runs.available("11b_ways"):
    for seed in range(3):
        slope_keys = [f"islands, slope, {what}, seed {seed}" for what in ("energy", "walkers")]
        keys = [*slope_keys, f"islands, levels, seed {seed}"]
        rows.append([f"shipped, seed {seed}", *[run.figure(key) for key in keys]])
cu.table(
    [[name, *[f"{value:.3f}" for value in values]] for name, *values in rows],
    ["", "score matching: the energy", "… its walkers", "noise at many levels"],
    "Share of the left island; in the data it is 0.2.",
)

# %% [markdown]
# With as many steps, 4,000, the energy puts shares of 0.000, 0.002 and 0.796 on the left (three seeds): no data point told it the height of one island against the other.
# Its walkers put about half of themselves there, because they started so.
# Led down from wide noise, 20, 19 and 20% end on the left.
# **The choice between the islands falls at a noise level where they are still one.**

# %% [markdown]
# **Exercise 4 (deeper, break it).**
# Find two mixtures of two Gaussians (standard deviation 0.5) that $J$ takes for equal although their KL is above 1 nat.


# %% tags=["exercise"]
def blind_pair():
    """(share_p, share_r, gap): weights on the left of p and r, and the distance of the centres.

    KL(p ‖ r) above 1 nat and J below a millionth; all weights between 0.001 and 0.999.
    """
    ### BEGIN SOLUTION
    return 0.9, 0.1, 8.0
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# Far apart, KL is $a\log\frac ab+(1-a)\log\frac{1-a}{1-b}$: make $a$ large where $b$ is small.

# %%
checked_blind = cu.check("11b.blind", blind_pair)
share_p, share_r, gap = checked_blind()
pair_kl, pair_j = two_rulers(gap, 0.25, share_p, share_r)
cu.facts("KL of the pair, nats", pair_kl, "J of the pair", pair_j)

# %% [markdown]
# ## 6 · Noise contrast: data or noise? *(core)*
#
# A classifier is shown data and points from a known density $q$, $\nu$ noise points for each data point, and says which is which.
# Of $1+\nu$ points one is a data point, so Bayes' rule gives the odds of *data* at $x$: $\frac{p(x)}{\nu\,q(x)}$.
# The log-odds of the best classifier are $\log p(x)-\log q(x)-\log\nu$.
#
# Now build the classifier from an energy, with one free number $\zeta$ where $\log Z$ belongs:
#
# $$a_\theta(x)=-E_\theta(x)-\zeta-\log q(x)-\log\nu. \tag{9}$$
#
# Train it by cross-entropy, whose minimum over all classifiers is Bayes' answer.
# There $-E_\theta-\zeta=\log p$ if $q>0$ everywhere (a Gaussian is, on paper): a density, already normalised, so $\zeta$ *is* $\log Z$, although nobody has summed anything.
# Slopes forget a constant; odds do not.
# This is **noise-contrastive estimation** (Gutmann and Hyvärinen 2010).
#
# (The network has a bias of its own, so a constant may move from $E$ to $\zeta$: only their sum is learned.
# Quadrature is asked for the $\log Z$ of this very $E$, so the comparison is fair.)
#
# **Exercise 5 (core).**
# Write the log-odds (9).


# %% tags=["exercise"]
def contrast_logit(energy, log_z, log_q, nu):
    """Log-odds of data against noise, (9): energy and log_q (N,), log_z (ζ) and nu numbers."""
    ### BEGIN SOLUTION
    return -energy - log_z - log_q - math.log(nu)
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# Everything is already a logarithm but $\nu$: `math.log(nu)`.

# %%
checked_logit = cu.check("11b.contrast", contrast_logit)
centre = exact_draws.mean(0).to(device)
spread = exact_draws.T.cov().to(device)


class Noise:
    """A Gaussian like the data, shifted to the right and scaled."""

    def __init__(self, shift=0.0, scale=1.0):
        moved = centre + torch.tensor([shift, 0.0], device=device)
        law = torch.distributions.MultivariateNormal
        self.law = law(moved, scale**2 * spread, validate_args=False)  # its checks would wait

    def loss(self, energy, x, nu=1):
        """Cross-entropy of data against noise, and how often the classifier is right."""
        noise = self.law.sample((nu * len(x),))
        both = []
        for points in (x, noise):
            log_q = self.law.log_prob(points)
            both.append(checked_logit(energy(points), energy.log_z, log_q, nu))
        loss = F.softplus(-both[0]).mean() + nu * F.softplus(both[1]).mean()
        right = (both[0] > 0).float().mean() + (both[1] < 0).float().mean()
        return {"loss": loss, "right": right / 2}


# %% tags=["quiet"]
by_contrast = learn(Noise().loss)
z, kl = judged(by_contrast)
cu.facts("log Z, learned", by_contrast.log_z, "by quadrature", z, "KL(p ‖ p_E), nats", kl)
for card in cu.runs.available("11b_ways"):
    for nu in (1, 5):
        found = [card.figure(f"log Z gap, nu {nu}, seed {seed}") for seed in range(3)]
        three = ", ".join(f"{gap:.3f}" for gap in found)
        cu.facts(f"learned − quadrature, three seeds, ν = {nu}", three)

# %% [markdown]
# Learned 0.107, by quadrature 0.110, with $\nu=1$; over three seeds the gap is at most 0.004 nats, with $\nu=5$ at most 0.002, from classification alone.
#
# **Exercise 6 (deeper, predict and measure).**
# The noise above has the data's mean and covariance.
# Scale it: narrower by 4 or 2, as it is, or wider by 2, 4, 8, 16.
# Which width gives the best density (smallest KL)?


# %% tags=["exercise"]
def my_width():
    """Your guess: 0.25, 0.5, 1, 2, 4, 8 or 16."""
    ### BEGIN SOLUTION
    return 1  # a guess: the figure below measures
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# `return 8`, say.
# Think of the two ways to lose: noise that never reaches the edge of the data, and noise that is told apart at a glance.

# %%
checked_width = cu.check("11b.width", my_width)


# %% tags=["author"]
WIDTHS = (0.25, 0.5, 1, 2, 4, 8, 16)
SHIFTS = (2, 4, 6, 8, 12)
NOISES = {
    **{f"scale {width:g}": (0.0, width, 400) for width in WIDTHS},
    **{f"shift {shift}": (float(shift), 1.0, 400) for shift in SHIFTS},
    "shift 8, 4,000 steps": (8.0, 1.0, 4_000),
}


def noise_figures(name, seed):
    """log Z's error, KL and the classifier's success for one noise and one seed."""
    shift, scale, steps = NOISES[name]
    noise = Noise(shift, scale)
    energy = learn(noise.loss, steps, seed)
    log_z, kl = judged(energy)
    torch.manual_seed(seed)
    with torch.no_grad():
        right = noise.loss(energy, fresh)["right"].item()
    found = {"log Z error": energy.log_z.item() - log_z, "KL": kl, "right": right}
    return {f"{name}, {what}, seed {seed}": value for what, value in found.items()}


# %% [markdown]
# **Predict 4.**
# Now shift the noise away from the data, by 2, 4, 6, 8.
# The classifier gets better and better.
# And $\log Z$?

# %% tags=["figure", "slide"]
# @title Figure: where noise contrast fails
fig, (left, right_ax) = plt.subplots(1, 2, figsize=(12, 4.6))
kinds = {"scale": (left, (0.25, 0.5, 1, 2, 4, 8, 16)), "shift": (right_ax, (2, 4, 6, 8, 12))}
colours = cu.plots.PALETTE
for run in cu.runs.available("11b_ways"):

    def three(name, what, run=run):
        """A figure of the three seeds."""
        return [run.figure(f"{name}, {what}, seed {seed}") for seed in range(3)]

    for kind, (ax, values) in kinds.items():
        rows = []
        for value in values:
            name = f"{kind} {value:g}"
            errors = three(name, "log Z error")
            kls = three(name, "KL")
            heights = sorted(kl + error for kl, error in zip(kls, errors))
            rights = three(name, "right")
            sizes = sorted(abs(error) for error in errors)
            medians = [sorted(seeds)[1] for seeds in (kls, rights)]
            rows.append([value, sizes[1], heights[1], *medians])
            ax.plot([value] * 3, sizes, ".", color=colours[0])
            ax.plot([value] * 3, kls, ".", color=colours[1])
        columns = list(zip(*rows))
        ax.plot(columns[0], columns[1], "-", color=colours[0], label="error of log Z")
        ax.plot(columns[0], columns[3], "--", color=colours[1], label="KL, nats")
        ax.axhline(0.05, color="#999999", lw=1)
        ax.set(yscale="log", ylim=(5e-4, 300), ylabel="absolute error; nats")
        ax.legend(loc="lower right", fontsize=11)
        cu.table(
            [
                [f"{v:g}", f"{e:.3f}", f"{h:.2f}", f"{k:.3f}", f"{a:.1%}"]
                for v, e, h, k, a in rows
            ],
            [
                kind,
                "error of log Z",
                "mean of log p + E + ζ at data",
                "KL, nats",
                "classifier right",
            ],
            f"Noise like the data but for its {kind}: median of three seeds, 400 steps.",
        )
    by_width = {
        width: sorted(three(f"scale {width:g}", "KL"))[1] for width in kinds["scale"][1]
    }
    best = min(by_width, key=by_width.get)
    yours = by_width[float(checked_width())]
    cu.facts("KL at your width, nats", yours, f"least, at width {best:g}", by_width[best])
left.set(xscale="log", xlabel="width of the noise (data: 1)")
left.set_xticks([0.25, 1, 4, 16], ["1/4", "1", "4", "16"])
left.set_title("wider is forgiven, narrower is not")
right_ax.set(xlabel="noise shifted by", title="far noise: a perfect classifier, a wrong log Z")
cu.show(
    fig,
    "Error of log Z and KL for twelve kinds of noise; dots: seeds; grey line: 0.05. Left: "
    "narrow noise fails by nats, wide noise by tenths. Right: from a shift of 4 on by nats.",
)

# %% tags=["figure"]
# @title Table: on which side log Z is wrong
far = ["shift 6", "shift 8", "shift 12", "shift 8, 4,000 steps"]
rows = []
for run in cu.runs.available("11b_ways"):
    missing = []  # how many nats log Z is too small, where noise is far
    for name in ["scale 0.25", "scale 0.5", *far]:
        errors = [run.figure(f"{name}, log Z error, seed {seed}") for seed in range(3)]
        rows.append([name, *[f"{error:.1f}" for error in errors]])
        missing += [-error for error in errors if name in far]
    small = f"{sum(value > 0 for value in missing)} of {len(missing)}"
    by = f"{min(missing):.1f} to {max(missing):.1f} nats"
    cu.table(
        rows,
        ["noise", "seed 0", "seed 1", "seed 2"],
        "Learned − true log Z in nats; 400 steps where no other number is given.",
    )
    cu.facts("shifted by 6 or more: log Z too small", small, "by", by)

# %% [markdown]
# With the data's own width the error of $\log Z$ is 0.005 and KL 0.025 after 400 steps, the least of all widths; but the seeds of twice the width overlap with it.
# Wider noise costs little at first: KL is 0.036 at 2 and 0.088 at 4; at 16 the classifier is right in 99.2% of its answers, $\log Z$ is 0.215 off and KL is 0.297.
#
# Narrower noise fails: at half the width the learned heights are on average still right to 0.4 nats *where the data lie*.
# Outside, where neither data nor noise fall, nobody asks and $E$ runs down: there the quadrature finds most of the mass, and its $\log Z$ is 6.9, 1.8 and 9.2 nats larger than the learned one (three seeds).
#
# Shifted by 8 the classifier is right in 99.9%; the learned $\log Z$ is 11.4, 4.5 and 6.5 nats too small, and the log-density at the data 2.2 nats too high (median).
# All 12 trainings with a shift of 6 or more (three seeds, four settings) err on this side, by 3.4 to 11.8 nats.
# Where nobody looks $E$ may run up or down, but only running down makes mass, and the quadrature finds it.
# The sign is no correction: another seed, another number.
#
# In the limit of many points and steps every noise that covers the data gives the right $Z$, but that limit is far away.
# A point pulls at $E$ with the probability that the classifier gives to the wrong answer.
# Only about one in a thousand is misjudged, and the others hardly pull: after ten times as many steps $\log Z$ is 11.8, 3.4 and 5.1 nats too small, much as before.
# **Where noise lies beside the data, classifying is easy, and little is learned about the density.**
#
# What noise contrast cannot see is every place that noise never visits, and a Gaussian never visits anything like an image.
# Two ways out: many steps from noise to data, each a hard comparison (as in annealing and in diffusion), or noise that moves towards the data.
# The second is a GAN: there the classifier is D, but $q$ has no formula, so D's odds hold no density.

# %% [markdown]
# ## 7 · The same energy, learned in four ways *(core)*
#
# One network, one set of points.
# The fourth way is lesson 11's: lower the energy of the data, raise that of what the model itself draws, here with persistent Langevin walkers at temperature 1 or at the tutorials' millionth:
#
# $$\nabla_\theta\,\mathbb E[-\log p_\theta]=\mathbb E_{\text{data}}\nabla_\theta E-\mathbb E_{\text{model}}\nabla_\theta E.$$


# %%
class Chains:
    """Lesson 11's gradient with persistent walkers at temperature T (1: maximum likelihood)."""

    def __init__(self, T, seed=0, walkers=512):
        self.T = T
        torch.manual_seed(1_000 + seed)
        self.x = Noise().law.sample((walkers,))

    def loss(self, energy, x, eta=0.1):
        for _ in range(2):
            slope = energy.score(self.x).detach()
            xi = torch.randn_like(self.x)
            self.x = self.x + eta / 2 * slope + math.sqrt(self.T * eta) * xi
        return energy(x).mean() - energy(self.x).mean()


# %% tags=["quiet"]
by_chains = learn(Chains(1.0).loss)
by_cold = learn(Chains(T_tutorial).loss)
_, cold_kl = judged(by_cold, T_tutorial)


# %% tags=["author"]
def way_figures(name, seed):
    """One of the four ways (or noise contrast with ν = 5), one seed."""
    losses = {
        "walkers, T = 1": (Chains(1.0, seed).loss, 1_000),
        "walkers, T of a millionth": (Chains(T_tutorial, seed).loss, 1_000),
        "score matching": (slope_loss, 600),
        "noise contrast": (Noise().loss, 1_000),
        "noise contrast, five": (five_to_one(), 1_000),
    }
    loss, steps = losses[name]
    energy = learn(loss, steps, seed)
    log_z, kl = judged(energy)
    values = {f"{name}, KL, seed {seed}": kl}
    for way, nu in (("noise contrast", 1), ("noise contrast, five", 5)):
        if name == way:
            values[f"log Z gap, nu {nu}, seed {seed}"] = energy.log_z.item() - log_z
    return values


def five_to_one():
    """The loss of noise contrast with five noise points for each data point."""
    noise = Noise()
    return lambda energy, x: noise.loss(energy, x, nu=5)


WAYS = (
    "walkers, T = 1",
    "walkers, T of a millionth",
    "score matching",
    "noise contrast",
    "noise contrast, five",
)
JOBS = [(way_figures, name) for name in WAYS] + [(noise_figures, name) for name in NOISES]


def three_crowds():
    """For the opening figure: 1,000 points of the mixture and of both walks, (1000, 6)."""
    n = min(1_000, n_walkers)
    table = nn.Embedding(n, 6)
    parts = [part[:n].cpu() for part in (exact_draws, warm_wide, cold_wide)]
    table.weight.data = torch.cat(parts, 1)
    return table


# %% tags=["author"]
def tolerance(key, value, n=2_000):
    """Five standard errors of a share of n points; of a seeded training on a CPU a tenth.

    First weights changed by a millionth move these figures by less than a thousandth of
    themselves, but for the cold walkers: theirs went from 0.76 to 1.41.
    """
    if ", right, " in key:
        p = (n * value + 1) / (n + 2)
        return 5 * math.sqrt(p * (1 - p) / n)
    share = 1.0 if "a millionth" in key else 0.1
    return share * abs(value) + 0.001


def ways_figures():
    """All small trainings, three seeds each: name → (value, tolerance)."""
    values = {}
    for seed in range(cu.budget(3, 1)):
        values |= island_figures(seed)
        for measured, name in JOBS:
            values |= measured(name, seed)
    return {key: (value, tolerance(key, value)) for key, value in values.items()}


cu.ship(
    "11b_ways",
    three_crowds(),
    what="small energies in the plane, learned in several ways: what each of them sees",
    figures=ways_figures,
    lesson="11b_without_z",
)

# %% tags=["figure", "slide"]
# @title Table: one energy, four ways to learn it
cards = cu.runs.available("11b_ways")
models = {
    "walkers, T = 1": (by_chains, "distant modes: their weights"),
    "walkers, T of a millionth": (by_cold, "the temperature: E is no log-density"),
    "score matching": (by_slope, "distant modes: their weights"),
    "noise contrast": (by_contrast, "where the noise never falls"),
}
rows = []
for name, (energy, closed) in models.items():
    z, kl = judged(energy)
    shipped = [card.figure(f"{name}, KL, seed {seed}") for card in cards for seed in range(3)]
    told = f"{energy.log_z.item():.3f}" if name == "noise contrast" else "not asked"
    three = ", ".join(f"{value:.3f}" for value in shipped)
    rows.append([name, f"{kl:.3f}", three, f"{z:.3f}", told, closed])
cu.table(
    rows,
    ["learned by", "KL, nats", "shipped, three seeds", "log Z", "log Z, learned", "cannot see"],
    "Lesson 02's mixture; KL and log Z by quadrature. Last column: from sections 2 to 6.",
)
cu.facts("walkers of a millionth: KL of exp(−E/T), million nats", cold_kl / 1e6, digits=2)

# %% [markdown]
# The modes of this mixture overlap, and every way at the right temperature succeeds: KL is 0.003 nats by score matching, 0.005 to 0.007 by noise contrast, 0.028 to 0.031 by walkers (three seeds each; the numbers of steps differ, and nothing was tuned).
#
# Walkers end four to ten times as far off as the others; that their step of 0.1 widens narrow modes, (4), is a likely cause, not tried.
#
# At a millionth the training asks only where the valleys of the energy lie, not how they compare.
# Read as $e^{-E}$ it is 0.758 to 1.048 nats from the data (three seeds; rounding moves it); read as its walkers read it, $e^{-E/T}$, 0.78 million (seed 0): neither is a density of these data.
# Such a model can make good pictures, if it is always drawn with the walk it was trained with; what it cannot give is a likelihood, an odds, an anomaly score.

# %% [markdown]
# ## 8 · A deep belief net *(deeper)*
#
# Lesson 11's Boltzmann machine says $p(v)=\sum_hp(h)\,p(v\mid h)$, and its $p(h)$ is whatever its weights make it.
# Keep $p(v\mid h)$, and put a *better* $p(h)$ in its place: a second Boltzmann machine, trained on the hidden states that the first one finds in the data.
# That is a **deep belief net** (Hinton, Osindero, Teh 2006).
# It is drawn from the top: Gibbs steps between the upper two layers, then one pass down.

# %% tags=["figure"]
# @title Figure: two Boltzmann machines, one on the other
d = cu.diagram()
layers = {"$v$": 0.0, "$h$": 1.5, "$u$": 3.0}
nodes = {}
for name, y in layers.items():
    nodes[name] = [d.node(name, (1.3 * j, y), observed=name == "$v$") for j in range(4)]
for up in nodes["$u$"]:
    for low in nodes["$h$"]:
        d.line(up, low)
for up in nodes["$h$"]:
    for low in nodes["$v$"]:
        d.arrow(up, low)
d.text("no direction: Gibbs steps", (6.6, 2.25), fontsize=12)
d.text("only down: p(v | h)", (6.3, 0.75), fontsize=12)
cu.show(d.figure, "A deep belief net: an undirected top, a directed layer below it.")

# %% [markdown]
# **What is it worth?**
# Lesson 04's bound (Jensen) holds for any guess of $h$; here it is the first machine's own $p_1(h\mid v)$:
#
# $$\log p(v)\ge\mathbb E_{p_1(h\mid v)}\bigl[-F_2(h)-\log Z_2+\log p(v\mid h)-\log p_1(h\mid v)\bigr]. \tag{10}$$
#
# $e^{-F_2(h)}/Z_2$ is the new $p(h)$: $F_2$ is the top's free energy, and $\log Z_2$ comes from annealing (lesson 11), chains led from independent coins to the model.
# The gap is $\mathrm{KL}(p_1(h\mid v)\,\|\,p(h\mid v))$.
#
# **A start that loses nothing.**
# Let the top have 784 hidden units and the first machine's weights, transposed: then $e^{-F_2(h)}/Z_2$ is exactly the first machine's $p(h)$, $p_1(h\mid v)$ is the exact posterior, and the bracket in (10) is $\log p(v)$ for every single draw of $h$.
# From there, whatever raises the likelihood of the states $h$ that the data call up raises the bound by as much, and $\log p(v)$ by at least as much.
# (Afterwards $p_1(h\mid v)$ is no longer the exact posterior, and the gap opens.)


# %%
# written in lesson 11, sections 1 to 7
from course_utils.lessons.lesson_11 import RBM, Persistent, checked_pcd, checked_weights, gibbs


# %%
class DBN(nn.Module):
    """A first machine v–h, of which only p(v | h) and p₁(h | v) are used, and a top h–u."""

    def __init__(self, first, top):
        super().__init__()
        self.first = first
        self.top = top

    @torch.no_grad()
    def terms(self, v):
        """The bracket of (10) without log Z_2, at a draw of h: (B,) for v (B, D)."""
        on = self.first.p_h(v)
        h = torch.bernoulli(on)
        log_h = -F.binary_cross_entropy(on, h, reduction="none").sum(1)
        logits = self.first.b + h @ self.first.W.T
        log_v = -F.binary_cross_entropy_with_logits(logits, v, reduction="none").sum(1)
        return -self.top.free_energy(h) + log_v - log_h

    @torch.no_grad()
    def draw(self, h, steps):
        """Gibbs steps at the top from states h (n, H), then the pass down: states (n, D)."""
        return torch.bernoulli(self.first.p_v(gibbs(self.top, h, steps)))


# %%
def transposed(rbm):
    """A machine with both layers exchanged: the start of the top."""
    turned = RBM(rbm.W.T, rbm.c, rbm.b)
    return RBM(*[part.detach().clone() for part in turned.parameters()])


# %% [markdown]
# Small enough to add up: 9 pixels, 6 hidden units, weights at random.

# %%
from course_utils.lessons.lesson_11 import every_state, log_mean, new_rbm

torch.manual_seed(1)
tiny = new_rbm(9, 6, scale=1.0).double()
tiny_net = DBN(tiny, transposed(tiny))
every_v = every_state(9).double()
with torch.no_grad():
    log_z1 = (-tiny.free_energy(every_v)).logsumexp(0)
    log_z2 = (-tiny_net.top.free_energy(every_state(6).double())).logsumexp(0)
    exact = -tiny.free_energy(every_v) - log_z1  # log p(v) of the first machine: (512,)
by_draws = tiny_net.terms(every_v.repeat(20, 1)).view(20, 512) - log_z2  # 20 draws of h each
assert (by_draws - exact).abs().max() < 1e-10

# %% [markdown]
# At the start every single draw of $h$ gives the first machine's $\log p(v)$, to ten digits.
#
# **On digits:** lesson 11's shipped machine of 500 hidden units below, and 600 steps of persistent contrastive divergence (the chains go on from step to step) for the top.
# Of the transposed start only the 550 pixels that are most often inked are kept as units, to ship half a megabyte; the mean effect of the others goes into the biases of $h$.


# %%
mnist = cu.mnist()
first = new_rbm(784, 500).to(device)
cu.restore("11_rbm", first)
rates = mnist.train.float().mean(0).flatten()
order = rates.argsort(descending=True)
kept = order[:550].sort().values
rare = order[550:]


def start_of_top(rbm):
    """The transposed machine without rarely inked pixels; their mean effect goes into b."""
    whole = transposed(rbm)
    b = whole.b + whole.W[:, rare] @ rates[rare].to(whole.b)
    parts = (whole.W[:, kept], b, whole.c[kept])
    return RBM(*[part.detach() for part in parts])


# %%
@torch.no_grad()
def hidden_states(x):
    """Binarised images x (B, 1, 28, 28) as states (B, 500) that the first machine finds."""
    return torch.bernoulli(first.p_h(torch.bernoulli(x).flatten(1)))


def top_loss(model, x):
    """PCD on hidden states: lesson 11's step, one layer up."""
    loss, chains = checked_pcd(model.rbm, hidden_states(x), model.chains.to(x.dtype))
    model.chains.copy_(chains)
    return loss


# %% tags=["quiet"]
torch.manual_seed(0)
chains = hidden_states(mnist.train.float()[:100].to(device))
mine = Persistent(start_of_top(first).to(device), chains).to(device)
batches = cu.Batches(mnist.train, 100)
recipe = {"optimiser": "sgd", "ema": 0.999}
history = cu.fit(mine, top_loss, batches, steps=600, lr=0.01, **recipe)


# %% [markdown]
# What the top gains over the first machine needs only the *ratio* of two $Z$, and between two machines that are alike the ladder of annealing is short.
# (The units that were dropped come back as units that hear and say nothing.)


# %%
def with_silent_units(top):
    """The top as a machine of 784 hidden units, those that were dropped without weights."""
    W = torch.zeros_like(first.W.T)
    W[:, kept] = top.W.detach()
    c = first.b.detach().clone()
    c[kept] = top.c.detach()
    return RBM(W, top.b.detach(), c)


# %%
@torch.no_grad()
def gained(begin, end, v, n=100, temperatures=200):
    """Nats of (10) by which `end` beats `begin` on v, and log w of the chains between."""

    def at(share):
        pairs = zip(begin.parameters(), end.parameters())
        return RBM(*[torch.lerp(one, two, share) for one, two in pairs])

    h = gibbs(begin, hidden_states(mnist.train.float()[:n].to(v)), cu.budget(500, 2))
    shares = torch.linspace(0, 1, temperatures + 1).tolist()
    log_w = checked_weights(
        lambda h, share: -at(share).free_energy(h),
        lambda h, share: gibbs(at(share), h),
        h,
        shares,
    )
    h = torch.bernoulli(first.p_h(v))
    return (begin.free_energy(h) - end.free_energy(h)).mean() - log_mean(log_w), log_w


coins = torch.Generator().manual_seed(4)  # lesson 04b's binarisation
test = torch.bernoulli(mnist.test.float(), generator=coins).flatten(1)
some = test[: cu.budget(1_000, 50)].to(device)

# %% tags=["author"]
if cu.system.profile() == "full":
    torch.manual_seed(0)
    chains = hidden_states(mnist.train.float()[:500].to(device))
    long = Persistent(start_of_top(first).to(device), chains).to(device)
    long_run = cu.fit(
        long,
        top_loss,
        cu.Batches(mnist.train, 100),
        steps=1,
        full=20_000,
        lr=0.02,
        schedule="cosine",
        name="11_dbn_top",
        minutes=600,
        **recipe,
    )
    top = long_run.ema.rbm.half().float()  # as on disk
    every = test.to(device)
    old = transposed(first)
    figures = {}
    for name, machine in (("start", start_of_top(first).to(device)), ("top", top)):
        new = with_silent_units(machine)
        for way, ends, sign in (("forwards", (old, new), 1), ("backwards", (new, old), -1)):
            found = []
            spreads = []
            for seed in range(5):  # five annealing runs
                torch.manual_seed(seed)
                nats, log_w = gained(*ends, every, 200, 500)
                found.append(sign * float(nats))
                spreads.append(float(log_w.std()))
            found = torch.tensor(found)
            key = f"{name}: gained, nats, {way}"
            figures[key] = (float(found.mean()), 5 * float(found.std()))
            figures[f"{key}: spread of five runs"] = (float(found.std()), float(found.std()))
            figures[f"{name}: spread of log w, {way}"] = (sum(spreads) / 5, 0.3)
    alone = cu.runs.load("11_rbm").figure("test nats, AIS")
    both = [figures[f"top: gained, nats, {way}"][0] for way in ("forwards", "backwards")]
    figures["test nats, bound"] = (alone - sum(both) / 2, 0.5)
    shown = []
    for seed in range(5):
        torch.manual_seed(seed)
        noise = torch.bernoulli(rates.expand(1_000, -1)).view(-1, 1, 28, 28).to(device)
        drawn = DBN(first, top).draw(hidden_states(noise), 1_000)
        shown.append(cu.to_uint8(drawn.view(-1, 28, 28).cpu()))
    score = cu.metrics.score(shown, 1_000)
    figures["Fréchet distance"] = (score.distance, 5 * score.distance_spread)
    figures["Fréchet distance, spread of sets"] = (score.distance_spread, 3.0)
    cu.ship(
        "11_dbn",
        top,
        long_run,
        what="the top of a deep belief net on 11_rbm: 500–550",
        figures=figures,
        samples=shown[0],
        lesson="11b_without_z",
    )

# %% [markdown]
# **Predict 5.**
# How many nats does the stack gain over the first machine alone?
#
# From here the lesson goes on with the shipped top: 20,000 steps, 500 chains and a falling rate.

# %%
top = new_rbm(500, 550).to(device)
dbn_card = cu.restore("11_dbn", top)
tops = {"start": start_of_top(first).to(device), "600 steps": history.ema.rbm, "top": top}
old = transposed(first)
gains = {}
for name, machine in tops.items():
    new = with_silent_units(machine)
    gains[name] = [float(gained(old, new, some)[0]), -float(gained(new, old, some)[0])]


# %%
def accuracy(codes, known, labels):
    """A linear classifier trained on the first digits: its accuracy on the others."""
    linear = LogisticRegression(max_iter=500).fit(codes[:known], labels[:known])
    return float(linear.score(codes[known:], labels[known:]))


@torch.no_grad()
def layers_of(x):
    """Three descriptions of images x (N, 784): pixels, and both layers' P(on)."""
    lower = first.p_h(x)
    return {"pixels": x.cpu(), "first layer": lower.cpu(), "second": top.p_h(lower).cpu()}


accuracies = {"pixels": [], "first layer": [], "second": []}
for number in range(cu.budget(5, 1)):  # each time another hundred labels
    mixed = torch.randperm(5_000, generator=torch.Generator().manual_seed(number))
    mixed = mixed[: cu.budget(5_000, 400)]
    for name, codes in layers_of(mnist.val.float().flatten(1)[mixed].to(device)).items():
        accuracies[name].append(accuracy(codes, 100, mnist.val.y[mixed]))

# %% tags=["figure"]
# @title Table: what the second layer gained
rows = []
for name, both in gains.items():
    shown = ["–", "–"]
    if name != "600 steps":
        shown = []
        for way in ("forwards", "backwards"):
            key = f"{name}: gained, nats, {way}"
            scatter = dbn_card.figure(f"{key}: spread of five runs")
            shown.append(f"{dbn_card.figure(key):.3f} ± {scatter:.3f}")
    rows.append([name, *[f"{nats:.3f}" for nats in both], *shown])
cu.table(
    rows,
    ["", "here, forwards", "backwards", "card, forwards", "backwards"],
    f"Nats by which (10) beats the first machine alone: here on {len(some)} test digits, on "
    "the card on all; ± over five annealing runs; one seed of training.",
)
spread = dbn_card.figure("top: spread of log w, forwards")
cu.facts("spread of log w between the machines", spread)
distance = dbn_card.figure("Fréchet distance")
scatter = dbn_card.figure("Fréchet distance, spread of sets")
cu.facts("Fréchet distance of the stack", (distance, scatter))
rows = []
for name, values in accuracies.items():
    values = torch.tensor(values)
    scatter = f" ± {values.std():.1%}" if len(values) > 1 else ""
    rows.append([name, f"{values.mean():.1%}{scatter}"])
caption = "Logistic regression on 100 labelled validation digits, tested on the others."
cu.table(rows, ["codes", "accuracy"], f"{caption} ± over five draws of the hundred.")

# %% [markdown]
# On the bound the shipped stack gains 0.041 ± 0.015 nats over the first machine alone, annealed backwards 0.051 ± 0.012; the start was 0.015 behind, for the pixels that it dropped.
# (Forwards errs towards more gain on average, backwards towards less, if the chains begin with exact draws; where the two are crossed and far apart, after 600 steps, they do not.)
# The gain is tiny, positive in both directions (one training), and could only be seen because the ladder between the two machines is short: its $\log w$ has a spread of 0.191.
# Two separate estimates of $\log Z$ would drown it.
# (600 steps with fewer chains, at a constant rate, lose more than a nat.)
# With 100 labels a linear classifier is right in 77.3% from pixels, in 83.8% from the first layer's codes, and in 79.4% from the second's, which started from pixels (transposed).
#
# Why it mattered in 2006: networks of many layers could not be trained from random weights, and this stack gave them a start.
# What replaced it: better activations, better initial weights, more data and machines; and where unlabelled data are to help, training on guessing the hidden part (lesson 09).
# A **deep Boltzmann machine** leaves all edges undirected; then $h$ depends on the layer below and on the one above, $p(h\mid v)$ no longer factorises, and mean-field iterations replace it (Salakhutdinov and Hinton 2009).

# %% tags=["figure"]
# @title Figure: dreams of the stack
torch.manual_seed(0)
h = hidden_states(mnist.val.float()[: cu.budget(100, 10)].to(device))
judge = cu.metrics.classifier()
names = ["0 (one pass down)", "10 steps", "100", "1,000"]
frames = []
kinds = []
for moves in (0, 10, 90, 900):
    h = gibbs(top, h, min(moves, cu.budget(900, 2)))
    with torch.no_grad():
        v = torch.bernoulli(first.p_v(h)).view(-1, 1, 28, 28)
        kinds.append(judge(v).argmax(1))
    frames.append(v[:10, 0].cpu())
fig, ax = plt.subplots(figsize=(11, 4.6))
cu.plots.image_grid(torch.cat(frames), rows=4, row_titles=names, ax=ax)
cu.show(
    fig,
    "States after Gibbs steps at the top, begun at ten validation digits: compare each column "
    "with its first row.",
)
same = {name: (kind == kinds[0]).float().mean() for name, kind in zip(names, kinds)}
cu.facts({f"read as in the first row, {name}": f"{same[name]:.0%}" for name in names[1:]})


def draw_stack(n):
    """n chains at the top after 1,000 Gibbs steps, begun at noise, and their pass down."""
    noise = torch.bernoulli(rates.expand(n, -1)).view(-1, 1, 28, 28).to(device)
    states = DBN(first, top).draw(hidden_states(noise), cu.budget(1_000, 2))
    return states.view(-1, 28, 28)


cu.enter(
    "11_dbn",
    draw_stack,
    step=cu.arena.training_step(mine, top_loss, mnist.train.float()[:100].to(device)),
    steps=20_000,
    numbers=DBN(first, top),
)

# %% [markdown]
# The dreams begin at real digits and leave them slowly: of 100 digits the course's classifier reads the same as in the first row in 90% after 10 steps, 68% after 100 and 25% after 1,000.

# %% [markdown]
# **Exercise 7 (deeper, open).**
# Find data in the plane on which two of the ways of section 7 disagree by more than a nat, say beforehand which will fail and why, and mend the failing one without exchanging it for the other.

# %% [markdown]
# ## Recap *(core)*
#
# | you can | because you saw |
# |---|---|
# | draw by Langevin steps, at a known temperature | $1/(1-\eta/4)$ measured; a millionth beside 1 |
# | learn from slopes | (7) by quadrature; the arrows of the mixture |
# | name the blind spot of slopes | $J$ near 0 where KL is 0.19; all noise levels together see it |
# | learn $\log Z$ by classifying | learned and quadrature side by side; where noise is too easy |
# | bound a stack | equality at the start, then the gain |
#
# **What breaks, and why.**
# Whoever looks at neighbours only, by walking or by slopes, cannot compare what lies far apart; whoever tells data from noise learns only where telling is hard.
# Z is the number that compares everything with everything, and each way around it leaves something uncompared.
#
# **Next.**
# Lesson 12 adds a condition: *draw a 7*.

# %% [markdown]
# ## Where this stands *(deeper)*
#
# A Langevin step without the Metropolis test is one of the two moves of score-based samplers (the *corrector*, lesson 06); many noise levels take care of distant modes.
#
# Energies learned with short, cold walks make fine pictures (Du and Mordatch 2019; Nijkamp and colleagues 2019 study the short walk as a generator of its own, and say that its energy need not be one).
# Such energies on images are left out here: without a Z to compare with, we could say nothing about them that a picture does not.
# A classifier's log-sum-exp is an energy, too (Grathwohl and colleagues 2020).
#
# Score matching (Hyvärinen 2005) is used where the trace is cheap; sliced and denoising versions avoid it.
# Word vectors (*negative sampling*) and many image representations (*InfoNCE*) are trained by relatives of noise contrast that keep the comparison and give up the density.
# As an estimator of a density it lives on in steps (*telescoping*, Rhodes and colleagues 2020).

# %% [markdown]
# ### References
#
# - Hyvärinen (2005): *Estimation of Non-Normalized Statistical Models by Score Matching*.
# - Hinton, Osindero, Teh (2006): *A Fast Learning Algorithm for Deep Belief Nets*.
# - Gutmann, Hyvärinen (2010): *Noise-Contrastive Estimation: A New Estimation Principle for Unnormalized Statistical Models*.
# - Vincent (2011): *A Connection Between Score Matching and Denoising Autoencoders*.
# - Nijkamp, Hill, Han, Zhu, Wu (2020): *On the Anatomy of MCMC-Based Maximum Likelihood Learning of Energy-Based Models*.
# - Lippe: *UvA Deep Learning Tutorials*, tutorial 8 (the recipe of section 2).
