# %% [markdown]
# # 06 Diffusion
#
# **Destroying structure is easy and known exactly; learn one small step of undoing it, and take many.**
#
# Below are digits that nobody wrote.
# Each began as an image of pure noise, and a network with 1.3 million weights removed a little of it, fifty times.
# **Predict:** at which of the fifty steps is it decided *which* digit comes out: early, in the middle, or at the end?

# %% tags=["setup"]
import functools
import math
import time

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from torch import nn
from torch.distributions import MultivariateNormal, Normal, kl_divergence

import course_utils as cu
from course_utils.nets import time_features

device = cu.setup()

# %% tags=["figure", "slide"]
# @title Figure: 24 digits that nobody wrote
for run in cu.runs.available("06_diffusion"):  # section 5 makes it
    ax = cu.plots.image_grid(run.samples[:24], rows=2)
    cu.show(ax.figure, "24 draws of the model of this lesson, as they come, none picked.")

# %% [markdown]
# Section 5 makes them and answers the question.
# The models so far wrote an image in one go: a decoder (04), a generator (05).
# One jump from noise to digit is hard to learn: lesson 04 paid for it with blur, lesson 05 with a game.
# Here the jump is cut into a thousand small steps, and each is a regression.
#
# **After this lesson you can** noise a picture to any level in one line, and prove that line · say why the way back is the score, and run it without a network where the score is known · derive the simple loss from the bound of lesson 04 and say what was dropped · write training and sampling as one function each, without an off-by-one · sample in a thousand steps or in fifty, and measure what that costs · steer with labels, and show how over-steering fails · repair a picture with a model that never saw a mask · explain why the network must *not* reach the best possible loss.
#
# **Builds on** 02 (mixtures, products of Gaussians), 03 (denoising and the score), 04 (the bound); Appendix A, Cards 4 (Gaussians), 5 (KL), 6 (convolutions) and 7 (Fréchet distance).
# Sections 1–5 and 7 are *core* except where marked and fill a class of 75 minutes; the others are *deeper*.
#
# | letter | meaning | letter | meaning |
# |---|---|---|---|
# | $x_0$, $x_t$ | data; the same after $t$ steps of noise | $\varepsilon$ | noise, $N(0,I)$ |
# | $t$ | time, **1 … T** with $T=1000$; entry 0 of every array is the clean end | $\beta_t$, $\alpha_t=1-\beta_t$ | how much noise step $t$ adds; what it keeps |
# | $q$ | the noising process, fixed | $\bar\alpha_t=\alpha_1\cdots\alpha_t$ | what is left of the signal's power; $\bar\alpha_0=1$ |
# | $p_\theta$, $\hat\varepsilon$, $\hat x_0$ | the learned way back; predicted noise, predicted data | $w$ | guidance scale |

# %% [markdown]
# ## 1 · Ink in water *(core)*
#
# A drop of ink in water needs no plan to spread (the picture is that of Sohl-Dickstein et al., 2015, who began this).
# One step of **forward noising** shrinks the data a little and adds a little noise,
#
# $$x_t=\sqrt{1-\beta_t}\;x_{t-1}+\sqrt{\beta_t}\;\varepsilon_t,\qquad \varepsilon_t\sim N(0,I), \tag{1}$$
#
# so that $q(x_t\mid x_{t-1})=N(\sqrt{\alpha_t}\,x_{t-1},\beta_tI)$.
# Why shrink?
# If $x_{t-1}$ has variance 1, so has $x_t$: $\alpha_t\cdot1+\beta_t=1$.
# Without the shrinking the variance would grow with every step.
#
# A thousand steps can be taken in one.
# Put (1) for $t-1$ into (1) for $t$: $x_t=\sqrt{\alpha_t\alpha_{t-1}}\,x_{t-2}+\sqrt{\alpha_t\beta_{t-1}}\,\varepsilon_{t-1}+\sqrt{\beta_t}\,\varepsilon_t$.
# The two noises are independent, so their sum is one Gaussian with variance $\alpha_t\beta_{t-1}+\beta_t=\alpha_t(1-\alpha_{t-1})+1-\alpha_t=1-\alpha_t\alpha_{t-1}$.
# The pattern has reproduced itself with $\alpha_t\alpha_{t-1}$ in the place of $\alpha_t$; repeat it down to $x_0$:
#
# $$x_t=\sqrt{\bar\alpha_t}\;x_0+\sqrt{1-\bar\alpha_t}\;\varepsilon,\qquad \bar\alpha_t=\prod_{s=1}^t\alpha_s,\quad \varepsilon\sim N(0,I). \tag{2}$$
#
# What remains is to choose the $\beta_t$.
# Ho et al. (2020) let them rise in a line from $10^{-4}$ to 0.02.
# Nichol and Dhariwal (2021) found that this drowns small images too early, and prescribe $\bar\alpha_t$ directly: $\bar\alpha_t=f(t)/f(0)$ with $f(t)=\cos^2\bigl(\frac\pi2\cdot\frac{t/T+s}{1+s}\bigr)$ and $s=0.008$.
#
# **Exercise 1 (core).**
# The cosine schedule.
# Mind the ends: the array has $T+1$ entries, and entry 0 is the clean picture.


# %% tags=["exercise"]
def cosine_alpha_bar(T, s=0.008):
    """ᾱ_0, ᾱ_1, …, ᾱ_T of the cosine schedule: float64 (T + 1,).

    ᾱ_t = f(t) / f(0) with f(t) = cos²(π/2 · (t/T + s) / (1 + s)).
    """
    ### BEGIN SOLUTION
    done = torch.arange(T + 1, dtype=torch.float64) / T
    f = torch.cos(math.pi / 2 * (done + s) / (1 + s)) ** 2
    return f / f[0]
    ### END SOLUTION


# %%
checked_cosine = cu.check("06.cosine", cosine_alpha_bar)

# %% [markdown]
# The last $\bar\alpha_T$ is 0, and later formulas divide by it.
# As in the paper no step may take more than $\beta_t=0.999$, which leaves $\bar\alpha_T$ at a few billionths.
#
# The **signal-to-noise ratio** of (2) is $\mathrm{SNR}(t)=\bar\alpha_t/(1-\bar\alpha_t)$.
# **Predict:** at which $t$ do signal and noise weigh the same under each schedule?
# From which $t$ on could *you* not read the digit any more?

# %%
T = 1000


def linear_alpha_bar(T):
    """ᾱ_0 … ᾱ_T, float64 (T + 1,), for β_t that rise in a line from 1e-4 to 0.02."""
    beta = torch.linspace(1e-4, 0.02, T, dtype=torch.float64)
    return torch.cat([beta.new_ones(1), (1 - beta).cumprod(0)])


def step_sizes(alpha_bar):
    """β_0 = 0, β_1, …, β_T with β_t = 1 − ᾱ_t / ᾱ_{t−1}, at most 0.999: (T + 1,) → (T + 1,)."""
    steps = (1 - alpha_bar[1:] / alpha_bar[:-1]).clamp(max=0.999)
    return F.pad(steps, (1, 0))


beta = step_sizes(checked_cosine(T))
abar = (1 - beta).cumprod(0)  # the schedule of this lesson: abar[0] is 1, abar[T] the noisiest
assert abar[0] == 1
assert len(abar) == T + 1
assert 0 < abar[T] < 1e-8

# %% [markdown]
# **Exercise 2 (core).**
# Equation (2) for a whole batch, in which every example has a time of its own.
# The same function must serve points $(B, 2)$ and images $(B, 1, 28, 28)$: give $\bar\alpha_t$ as many axes as $x_0$ has.


# %% tags=["exercise"]
def q_sample(x0, t, eps, alpha_bar):
    """Equation (2): x0, eps (B, …), t int64 (B,) in 0 … T, alpha_bar (T + 1,) → x_t (B, …)."""
    ### BEGIN SOLUTION
    a = alpha_bar.to(x0)[t].view(-1, *[1] * (x0.dim() - 1))  # (B, 1, …)
    return a.sqrt() * x0 + (1 - a).sqrt() * eps
    ### END SOLUTION


# %%
checked_q = cu.check("06.q_sample", q_sample)

# %%
mnist = cu.mnist()
mine = cu.my_digit().float().div(127.5).sub(1)[None]  # (1, 1, 28, 28), here in [−1, 1]

schedules = {"linear": linear_alpha_bar(T), "cosine": abar}
shown = torch.arange(0, T + 1, 125)
noise = torch.randn(1, 1, 28, 28, generator=torch.Generator().manual_seed(0))
same_noise = noise.expand(len(shown), -1, -1, -1)
noised_mine = {
    name: checked_q(mine.expand_as(same_noise), shown, same_noise, a)
    for name, a in schedules.items()
}
for name, a in schedules.items():
    equal = (a - 0.5).abs().argmin()
    drowned = (a < 0.01).nonzero()[0]
    cu.facts(
        {
            f"{name}: signal and noise weigh the same at t": equal,
            f"{name}: less than 1 % of the power is signal from t": drowned,
        }
    )

# %% tags=["figure", "slide"]
# @title Figure: your digit under two schedules
fig, (left, right) = plt.subplots(1, 2, figsize=(12, 3.3), width_ratios=(1, 1.9))
for name, a in schedules.items():
    left.semilogy(range(1, T + 1), a[1:] / (1 - a[1:]), label=name)
left.axhline(1, color="black", linewidth=1, linestyle=":")
left.set(xlabel="t", ylabel="SNR", ylim=(1e-5, 1e5), title="Two ways to forget")
left.legend()
grid = torch.cat(list(noised_mine.values())) / 2 + 0.5
cu.plots.image_grid(grid, rows=2, row_titles=list(schedules), ax=right, note=False)
right.set_xlabel("t = 0, 125, …, 1000", fontsize=11)
cu.show(
    fig,
    "Left: signal-to-noise ratio against t for the linear and the cosine schedule; "
    "dotted where signal and noise weigh the same. "
    "Right: your digit under both, with the same noise.",
)

# %% [markdown]
# The linear schedule reaches equal weights at $t=259$, the cosine at 496, just before half-time.
# The digit can still be read at $t=375$ under the linear one and not at 500; under the cosine up to about 625, and not at 750.
# Under the linear one, less than 1 % of the power is signal in the last third of the steps (from $t=674$ on, under the cosine from 936 on): by eye it is noise, and little is left to learn there.
# Nichol and Dhariwal could skip a fifth of the way back almost unnoticed.
# We use the cosine schedule throughout.
#
# Now the claim of (2): one jump is as good as $t$ small steps.
# Take one point, walk 20,000 independent chains by (1), and compare means and variances with (2).


# %%
def walk(x0, n, marks):
    """n chains of T small steps (1) from x0 (2,): {t: x_t (n, 2) float64} for t in marks."""
    x = x0.double().expand(n, 2)
    found = {}
    for t in range(1, T + 1):
        eps = torch.randn(n, 2, dtype=torch.float64)
        x = (1 - beta[t]).sqrt() * x + beta[t].sqrt() * eps
        if t in marks:
            found[t] = x
    return found


def standard_errors(x, mean, variance):
    """How many standard errors the means and variances of x (n, 2) miss theirs by: (4,)."""
    n = len(x)
    of_means = (x.mean(0) - mean) / (variance / n).sqrt()
    of_variances = (x.var(0) / variance - 1) * math.sqrt((n - 1) / 2)
    return torch.cat([of_means, of_variances])


# %%
start = torch.tensor([1.5, -0.5]).double()
n_walks = cu.budget(20_000)
comparisons = []
for t, x in walk(start, n_walks, (1, 10, 100, 300, 600, 1000)).items():
    mean = abar[t].sqrt() * start  # by (2)
    variance = 1 - abar[t]
    worst = standard_errors(x, mean, variance).abs().max()
    assert worst < 5
    comparisons.append([t, mean[0], x[:, 0].mean(), variance, x[:, 0].var(), worst])

# %% tags=["figure"]
# @title Table: many small steps against one jump
names = ["t", "mean by (2)", "mean of the walks", "variance by (2)", "variance of the walks"]
cu.table(
    [[t, *map(float, values)] for t, *values in comparisons],
    [*names, "largest error, in standard errors"],
    f"First coordinate of {n_walks:,} walks of t small steps from the point (1.5, −0.5); "
    "last column over both coordinates, means and variances.",
    digits=4,
)

# %% [markdown]
# Means and variances agree to within the error that 20,000 walks have: of 24 comparisons the largest is off by 1.6 standard errors.
# So training never needs to walk: it jumps.
#
# **Predict** before you slide: which goes first, the two moons or the fact that there are two of them?
# The fine strokes of the digit or its slant?

# %%
ink, ink_labels = cu.moons(1_000, seed=0, labels=True)
ink_noise = torch.randn(1_000, 2, generator=torch.Generator().manual_seed(1))


def noised(t):
    """1,000 points (1000, 2) and your digit (1, 1, 28, 28) after t steps of noise."""
    points = checked_q(ink, torch.full((1_000,), t), ink_noise, abar)
    digit = checked_q(mine, torch.tensor([t]), noise, abar)
    return points, digit


# %% tags=["figure", "slide"]
# @title Widget: two moons and your digit, drowned in noise
def draw_forward(t):
    """1,000 points and your digit after t steps of noise."""
    points, digit = noised(t)
    fig, axes = plt.subplots(1, 2, figsize=(7.6, 3.6))
    cu.plots.scatter(points, ink_labels, ax=axes[0], names=["upper", "lower"], s=5)
    axes[0].get_legend().remove()
    axes[0].set(xlim=(-3.5, 3.5), ylim=(-3.5, 3.5), title=f"t = {t}, ᾱ = {abar[t]:.3f}")
    cu.plots.image_grid(digit / 2 + 0.5, ax=axes[1], note=False)
    return fig


cu.explore(
    draw_forward,
    "Left: 1,000 points of two moons after t steps of noise, coloured by moon. "
    "Right: your digit after as many.",
    play=True,
    t={"min": 0, "max": T, "step": 25, "value": 250},
)

# %% [markdown]
# The gap between the arcs closes first, then the arcs dissolve; that one colour sits above the other survives longest.
# Coarse structure outlives fine structure.
# Backwards this becomes a plan: **first the layout, then the strokes, then the edges.**

# %% [markdown]
# ## 2 · The arrow back is the score *(core)*
#
# Which way back?
# Suppose for a moment that somebody tells us $x_0$.
# Then the step back from $x_t$ to an earlier $x_s$, $s<t$, follows from Bayes' rule:
#
# $$q(x_s\mid x_t,x_0)\propto q(x_t\mid x_s)\,q(x_s\mid x_0)=N\bigl(x_t;\sqrt{a}\,x_s,\,b\,I\bigr)\,N\bigl(x_s;\sqrt{\bar\alpha_s}\,x_0,\,(1-\bar\alpha_s)I\bigr),\qquad a=\frac{\bar\alpha_t}{\bar\alpha_s},\ b=1-a .$$
#
# For $s=t-1$ this is one step, $a=\alpha_t$ and $b=\beta_t$; nothing below needs that.
# As a function of $x_s$ both factors are Gaussian, and by lesson 02, equation (2), a product of Gaussians is one Gaussian: precisions (inverse variances) add, and means are averaged with the precisions as weights.
# The first factor, read in $x_s$, has mean $x_t/\sqrt a$ and precision $a/b$; the second has mean $\sqrt{\bar\alpha_s}x_0$ and precision $1/(1-\bar\alpha_s)$.
# The precisions add to
# $$\frac ab+\frac1{1-\bar\alpha_s}=\frac{a(1-\bar\alpha_s)+b}{b(1-\bar\alpha_s)}=\frac{1-\bar\alpha_t}{b\,(1-\bar\alpha_s)},\qquad\text{since } a+b=1,\ a\,\bar\alpha_s=\bar\alpha_t,$$
# and therefore
#
# $$q(x_s\mid x_t,x_0)=N(\tilde\mu,\tilde\beta I),\qquad \tilde\beta=\frac{1-\bar\alpha_s}{1-\bar\alpha_t}\,b,\qquad \tilde\mu=\tilde\beta\Bigl[\frac{\sqrt a}{b}\,x_t+\frac{\sqrt{\bar\alpha_s}}{1-\bar\alpha_s}\,x_0\Bigr]=\frac{\sqrt{a}\,(1-\bar\alpha_s)\,x_t+\sqrt{\bar\alpha_s}\;b\;x_0}{1-\bar\alpha_t}. \tag{3}$$
#
# **Exercise 3 (core).**
# Write (3).
# At $s=0$, where $\bar\alpha_s=1$, look at what it says: mean $x_0$, variance 0.
# The last step adds no noise.


# %% tags=["exercise"]
def posterior(x0, xt, a_t, a_s):
    """Equation (3): mean (same shape as xt) and variance (a number) of q(x_s | x_t, x_0).

    a_t = ᾱ_t and a_s = ᾱ_s are tensors ().
    """
    ### BEGIN SOLUTION
    a = a_t / a_s
    b = 1 - a
    mean = (a.sqrt() * (1 - a_s) * xt + a_s.sqrt() * b * x0) / (1 - a_t)
    return mean, (1 - a_s) / (1 - a_t) * b
    ### END SOLUTION


# %%
checked_posterior = cu.check("06.posterior", posterior)

# %% [markdown]
# Nobody tells us $x_0$.
# But lesson 03 found the best guess at it: Tweedie's formula.
# Equation (2) adds noise of variance $1-\bar\alpha_t$ to $\sqrt{\bar\alpha_t}x_0$, so with $p_t$ for the density of $x_t$, lesson 03's equation (3) reads
#
# $$E[\sqrt{\bar\alpha_t}\,x_0\mid x_t]=x_t+(1-\bar\alpha_t)\,\nabla\log p_t(x_t),\qquad\text{equivalently}\qquad E[\varepsilon\mid x_t]=-\sqrt{1-\bar\alpha_t}\;\nabla\log p_t(x_t). \tag{4}$$
#
# (The second follows from the first and $x_t=\sqrt{\bar\alpha_t}E[x_0\mid x_t]+\sqrt{1-\bar\alpha_t}E[\varepsilon\mid x_t]$.)
# Put this guess in the place of $x_0$ in (3).
# For a single step, $s=t-1$, the mean becomes $\bigl(x_t+\beta_t\nabla\log p_t(x_t)\bigr)/\sqrt{\alpha_t}$: a move along the **score** $\nabla\log p_t$, with the shrinking undone.
# A mean in the place of the unknown $x_0$ is an approximation: the true $q(x_s\mid x_t)$ averages (3) over *all* $x_0$ that fit $x_t$, so its variance is $\tilde\beta I+\bigl(\sqrt{\bar\alpha_s}\,b/(1-\bar\alpha_t)\bigr)^2\operatorname{Cov}(x_0\mid x_t)$.
# The second term is of order $b^2$: with small steps it can be dropped, with large ones it is missed (section 6).
# So whoever knows the score at every noise level can go back (Y. Song and Ermon, 2019).
#
# There is a case where we know it exactly.
# Lesson 02's mixture, noised by (2), is again a mixture: each component $N(\mu_k,\Sigma_k)$ becomes $N(\sqrt{\bar\alpha_t}\mu_k,\ \bar\alpha_t\Sigma_k+(1-\bar\alpha_t)I)$, with the same weight.
# Its score is $\sum_kr_k(x)\,C_k^{-1}(m_k-x)$ with the responsibilities $r_k$.

# %%
toy = (
    torch.tensor([0.5, 0.3, 0.2]).double(),  # weights (K,)
    torch.tensor([[-1.5, 0.0], [1.0, 0.8], [1.0, -1.0]]).double(),  # means (K, 2)
    torch.tensor(
        [[[0.8, 0.5], [0.5, 0.6]], [[0.7, -0.4], [-0.4, 0.5]], [[0.4, 0.0], [0.0, 0.4]]]
    ).double(),  # covariances (K, 2, 2)
)


def log_p_and_score(x, a, mixture=toy):
    """log p_t(x) (n,) and its gradient (n, 2), mixture noised to ᾱ_t = a: x (n, 2) float64."""
    weights, means, covs = mixture
    precision = torch.linalg.inv(a * covs + (1 - a) * torch.eye(2).double())  # (K, 2, 2)
    away = a**0.5 * means - x[:, None]  # (n, K, 2): m_k − x
    pull = torch.einsum("kij,nkj->nki", precision, away)
    log_joint = weights.log() + 0.5 * torch.logdet(precision) - math.log(2 * math.pi)
    log_joint = log_joint - 0.5 * (away * pull).sum(2)  # (n, K)
    responsibility = log_joint.softmax(1)
    return log_joint.logsumexp(1), (responsibility[..., None] * pull).sum(1)


# %% [markdown]
# From it we need draws, and the noise that (4) expects at a point.


# %%
def draw_mixture(n, seed, mixture=toy):
    """n draws (n, 2) float64: choose k, then x = μ_k + L_k ε (lesson 02, section 2)."""
    weights, means, covs = mixture
    generator = torch.Generator().manual_seed(seed)
    k = torch.multinomial(weights, n, replacement=True, generator=generator)
    eps = torch.randn(n, 2, generator=generator, dtype=torch.float64)
    return means[k] + torch.einsum("nij,nj->ni", torch.linalg.cholesky(covs)[k], eps)


def exact_eps(x, t):
    """E[ε | x_t] of the mixture by (4): x (n, 2), one time t for all."""
    log_p, score = log_p_and_score(x, abar[t])
    return -(1 - abar[t]).sqrt() * score


probe = (2 * torch.randn(500, 2, dtype=torch.float64)).requires_grad_()
log_p, score = log_p_and_score(probe, abar[400])
gradient = torch.autograd.grad(log_p.sum(), probe)[0]
torch.testing.assert_close(score, gradient, rtol=1e-9, atol=1e-9)
print("✓ the written score is the gradient of log p at t = 400")

# %% [markdown]
# A last piece: from noise to data.
# **Exercise 4 (core).**
# Solve (2) for $x_0$, so that a guess at the noise is a guess at the picture.


# %% tags=["exercise"]
def x0_from_eps(xt, eps, a_t):
    """The x_0 that x_t came from by (2) if the noise was eps: xt, eps (B, …) → (B, …).

    a_t = ᾱ_t is a tensor ().
    """
    ### BEGIN SOLUTION
    return (xt - (1 - a_t).sqrt() * eps) / a_t.sqrt()
    ### END SOLUTION


# %%
checked_x0 = cu.check("06.x0_from_eps", x0_from_eps)

# %% [markdown]
# Now the way back is eight lines.
# In the literature it is *Algorithm 2*, or **ancestral sampling**.
# `times` may be $T, T-1,\dots,0$ or any coarser ladder.
# One practical line: at $t=T$ the guess at $x_0$ is divided by $\sqrt{\bar\alpha_T}\approx5\cdot10^{-5}$, so the least error of a network becomes hundreds.
# A guess outside the range of the data cannot be right: clip it.
# The exact field needs no clipping; every learned one below has it.


# %%
def ancestral(predict, x, times, *, clip=math.inf, generator=None, log=None):
    """Algorithm 2: from x (n, …) at times[0] down to times[-1], with predict(x, t) → ε̂.

    `log` collects (t, x_t, x̂_0).
    """
    for t, s in zip(times, times[1:]):
        x0 = checked_x0(x, predict(x, t), abar[t]).clamp(-clip, clip)  # the guess, equation (4)
        if log is not None:
            log.append((t, x, x0))
        mean, variance = checked_posterior(x0, x, abar[t], abar[s])  # (3) with the guess
        eps = torch.randn(x.shape, generator=generator, dtype=x.dtype).to(x)
        x = mean + variance.sqrt() * eps  # variance 0 at s = 0
    return x


def spaced(n, start=T, bend=1.0):
    """n steps from `start` to 0: n + 1 whole numbers, both ends included.

    They stand at equal distances, or with bend < 1 closer at the noisy end.
    """
    share = torch.linspace(1, 0, n + 1, dtype=torch.float64) ** bend
    return (start * share).round().int().tolist()


# %%
assert spaced(T) == list(range(T, -1, -1))
assert spaced(4) == [1000, 750, 500, 250, 0]

# %% [markdown]
# Is the result the mixture?
# The ruler is the **energy distance** $2E\lVert X-Y\rVert-E\lVert X-X'\rVert-E\lVert Y-Y'\rVert$, which is zero only for equal distributions (Székely and Rizzo).
# From finite samples it is never quite zero, so the yardstick is real against real:
# fixed beforehand, $n=2000$ points, and the claim "no difference found" if the distance lies below the 95th percentile of pairs of genuine sample sets.
# **Predict:** noise in, exact arrows, a thousand steps, no network.
# Does it pass?


# %%
def energy(x, y):
    """Energy distance between samples x (n, d) and y (m, d)."""
    x = x.float()
    y = y.float()
    across = torch.cdist(x, y).mean()
    return (2 * across - torch.cdist(x, x).mean() - torch.cdist(y, y).mean()).item()


def real_vs_real(draw, n, pairs):
    """95th percentile of `energy` over pairs of genuine sample sets; draw(n, seed) → (n, d)."""
    distances = [energy(draw(n, 1_000 + 2 * i), draw(n, 1_001 + 2 * i)) for i in range(pairs)]
    return torch.tensor(distances).quantile(0.95).item()


# %%
n_test = cu.budget(2_000)
ladder = spaced(cu.budget(T))
noise_2d = torch.randn(
    n_test, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64
)
generator = torch.Generator().manual_seed(1)
exact_log = []
back = ancestral(exact_eps, noise_2d, ladder, generator=generator, log=exact_log)
genuine = draw_mixture(n_test, 0)

# %% tags=["figure", "slide"]
# @title Figure: the way back from noise without a network
moments = [exact_log[int(f * len(exact_log))] for f in (0, 0.5, 0.75, 0.9)]
clouds = {f"t = {t}": x for t, x, _ in moments} | {"t = 0": back, "the mixture itself": genuine}
fig, axes = plt.subplots(1, 6, figsize=(13, 2.7), sharex=True, sharey=True)
for ax, (title, x) in zip(axes, clouds.items()):
    color = "#D55E00" if title == "the mixture itself" else "#0072B2"
    cu.plots.scatter(x[:600], ax=ax, s=3, color=color)
    ylabel = "x₂" if ax is axes[0] else ""
    ax.set(xlim=(-4, 4), ylim=(-4, 4), title=title, ylabel=ylabel)
cu.show(
    fig,
    "600 of the points on their way back from noise under the exact score (blue), "
    "and draws from the mixture itself (orange).",
)

# %%
limit = real_vs_real(draw_mixture, n_test, cu.budget(100))
cu.facts(
    {
        "points": n_test,
        "energy distance to the mixture, at the start": energy(noise_2d, genuine),
        "energy distance to the mixture, at the end": energy(back, genuine),
        "95 % of real-against-real pairs stay below": limit,
    }
)

# %% [markdown]
# It passes: 0.0014 against a limit of 0.0047; the noise it started from was at 0.115, 24 times the limit.
# No network was trained, nothing was fitted.
# **If the score is known at every noise level, generation is bookkeeping.**
# Everything that follows is about getting the score from data alone.
#
# Lesson 03 says how: train a denoiser.
# Noise a data point to a random level by (2) and regress the noise; the minimiser of the squared error is $E[\varepsilon\mid x_t]$, which by (4) is the score up to a factor.
# The network is told $t$.
# This is *Algorithm 1*.


# %%
def simple_loss(model, x0):
    """Algorithm 1: squared error of the predicted noise, each example at its own time.

    x0 (B, …) → ().
    """
    t = torch.randint(1, T + 1, (len(x0),), device=x0.device)  # line 3: 1 … T, both included
    eps = torch.randn_like(x0)  # line 4
    return (model(checked_q(x0, t, eps, abar), t) - eps).square().mean()  # line 5


class PointNet(nn.Module):
    """ε̂(x, t) in the plane: (B, 2), (B,) → (B, 2). The time enters as 32 sines and cosines."""

    def __init__(self):
        super().__init__()
        self.net = cu.nets.mlp(2 + 32, 128, 128, 128, 2)

    def forward(self, x, t):
        return self.net(torch.cat([x, time_features(t, 32)], 1))


# %% [markdown]
# The samplers ask for the noise at one time for all points; `asked` lets a network answer.


# %%
def asked(net):
    """A network as `predict(x, t)`, one time for all, for the samplers."""

    @torch.no_grad()
    def predict(x, t):
        times = torch.full((len(x),), t, device=device)
        return net(x.to(device).float(), times).to(x)

    return predict


torch.manual_seed(0)
learned = PointNet()
batches = cu.Batches(draw_mixture(20_000, 7).float(), 512)
learned_history = cu.fit(learned, simple_loss, batches, steps=3_000, lr=2e-3, schedule="cosine")

# %% [markdown]
# Compare the two fields where it matters, at points of $p_t$: the cosine of the angle between learned and exact arrow (1: same direction).
# **Predict:** at which end of time is the network worst?
# And does that end matter most?

# %%
marks = [1, 2, 5, 10, 20, *range(50, T + 1, 50)]
data = draw_mixture(cu.budget(2_000), 3)
cosines = []
lengths = []
for t in marks:
    xt = checked_q(data, torch.full((len(data),), t), torch.randn_like(data), abar)
    exact = exact_eps(xt, t)
    cosines.append(F.cosine_similarity(exact, asked(learned)(xt, t)))
    lengths.append(exact.square().mean().sqrt())
cosines = torch.stack(cosines)  # (marks, points)
mean_cosine = cosines.mean(1)

# %% tags=["figure", "slide"]
# @title Figure: learned against exact arrows, by time
fig, ax = plt.subplots(figsize=(7, 3.5))
ax.plot(marks, mean_cosine, "o-", label="mean cosine")
ax.plot(marks, cosines.quantile(0.05, 1), "s-", label="5 % of the arrows are below")
label = "length of the exact arrow, r.m.s. per coordinate"
ax.plot(marks, lengths, "--", color="#888888", label=label)
title = "Right direction, except where arrows are short"
ax.set(xscale="log", xlabel="t", ylabel="cosine; length", ylim=(-1, 1.05), title=title)
ax.legend(fontsize=9)
cu.show(
    fig,
    "Cosine similarity between the learned and the exact field at points of the noised data, "
    "by t, with the length of the exact arrow E[ε | x_t].",
)

# %%
generator = torch.Generator().manual_seed(1)
learned_log = []
from_learned = ancestral(
    asked(learned), noise_2d, ladder, clip=4.0, generator=generator, log=learned_log
)
for t in (1, 100, 500, 1000):
    cu.facts(f"mean cosine at t = {t:>4}", mean_cosine[marks.index(t)])
cu.facts(
    {
        "energy distance of the learned way back": energy(from_learned, genuine),
        "energy distance of the exact way back": energy(back, genuine),
        "95 % of real-against-real pairs stay below": limit,
    }
)

# %% [markdown]
# From $t=500$ on the learned arrows are right to a cosine of 0.997, at 1000 to 0.999.
# Near the data the angle is poor: 0.91 on average at $t=100$, 0.75 at 1, where one arrow in twenty is more than 90° off.
# For sampling this costs little.
# What is plotted is $E[\varepsilon\mid x_t]=-\sqrt{1-\bar\alpha_t}\,\nabla\log p_t$: the score stays finite and its factor goes to zero (dashed), so the moves there are tiny.
# (For the likelihood it is the dear end: section 3.)
# The way back under the learned field ends at an energy distance of 0.0012, below the limit as well.
#
# Toggle between the two fields below, with the same noise in the same steps.
# **Predict:** will single points end in the same place?

# %% tags=["figure", "slide"]
# @title Widget: points on their way back, under either field
logs = {
    "exact": (exact_eps, exact_log, back),
    "learned": (asked(learned), learned_log, from_learned),
}


def draw_reverse(t, field, ax=None):
    """300 points on their way back at time t, with the field that moves them (arrows: −ε̂)."""
    predict, log, end = logs[field]
    state = next((x for u, x, _ in log if u <= t), end)
    ax = ax or plt.subplots(figsize=(4.6, 4.4))[1]

    def arrows(p):
        return -predict(p.double(), max(t, 1))

    cu.plots.field(arrows, (-4, 4), ax=ax, n=9, color="#999999", scale=30)
    color = "#0072B2" if field == "exact" else "#D55E00"
    cu.plots.scatter(state[:300], ax=ax, s=6, color=color)
    ax.set(xlim=(-4, 4), ylim=(-4, 4), title=f"{field}, t = {t}")
    return ax.figure


def both_fields():
    """The static picture: both fields at two times."""
    fig, axes = plt.subplots(1, 4, figsize=(10, 2.7), sharex=True, sharey=True)
    draw_reverse(600, "exact", axes[0])
    draw_reverse(600, "learned", axes[1])
    draw_reverse(200, "exact", axes[2])
    draw_reverse(200, "learned", axes[3])
    return fig


cu.explore(
    draw_reverse,
    "300 points on their way from noise to the mixture, with the arrows that move them, "
    "under the exact or the learned field.",
    play=True,
    t={"options": list(range(1000, -1, -50)), "value": 400},
    field=["exact", "learned"],
    static=both_fields,
)

# %%
same_noise_apart = (from_learned - back).norm(dim=1)
strangers_apart = (genuine - genuine.roll(1, 0)).norm(dim=1)
cu.facts(
    {
        "median distance between the two ends of the same noise": same_noise_apart.median(),
        "median distance between two points of the mixture": strangers_apart.median(),
    },
    digits=2,
)

# %% [markdown]
# They nearly do: half of the points end within 0.05 of each other, where two random points of the mixture are 2.1 apart.
# At large $t$ all arrows point to the middle, whatever the data: nothing is decided.
# Later they begin to disagree, each component becomes a target of its own, and a point's journey is settled by where it happens to be at that moment.

# %% [markdown]
# ## 3 · From the bound to the simple loss *(core)*
#
# Regressing the noise looked like a trick.
# It is a likelihood bound.
# Read the way back as a model: draw $x_T\sim N(0,I)$, then $x_{T-1},\dots,x_0$ in turn from $p_\theta(x_{t-1}\mid x_t)=N(\mu_\theta(x_t,t),\sigma_t^2I)$.
# That is a **VAE with $T$ layers of latents**, each as large as the picture, whose encoder $q$ is fixed and has nothing to learn.
# Lesson 04's bound holds word for word, with $x_{1:T}$ in the place of $z$:
#
# $$-\log p_\theta(x_0)\ \le\ E_q\bigl[\log q(x_{1:T}\mid x_0)-\log p_\theta(x_{0:T})\bigr]=:L. \tag{5}$$
#
# Four moves turn it into Algorithm 1.
# **(a)** Turn each forward factor around by Bayes, given $x_0$; the marginals telescope.
# **(b)** What is left is one KL per step, between the true step back (3) and the model's:
#
# $$L=\underbrace{\mathrm{KL}\bigl(q(x_T\mid x_0)\,\|\,N(0,I)\bigr)}_{L_T:\ \text{nothing to learn}}+\sum_{t=2}^{T}\underbrace{E_q\,\mathrm{KL}\bigl(q(x_{t-1}\mid x_t,x_0)\,\|\,p_\theta(x_{t-1}\mid x_t)\bigr)}_{L_{t-1}}\underbrace{-\,E_q\log p_\theta(x_0\mid x_1)}_{L_0}. \tag{6}$$
#
# **(c)** Both are Gaussian; with equal variances $\sigma_t^2=\tilde\beta_t$ the KL is $\lVert\tilde\mu-\mu_\theta\rVert^2/2\tilde\beta_t$.
# Let the model use (3) with its guess $\hat x_0$; then the means differ only in their last term, and
#
# $$L_{t-1}=\frac{\bar\alpha_{t-1}\beta_t^2}{2\tilde\beta_t(1-\bar\alpha_t)^2}\,E\lVert x_0-\hat x_0\rVert^2=\tfrac12\bigl(\mathrm{SNR}(t-1)-\mathrm{SNR}(t)\bigr)\,E\lVert x_0-\hat x_0\rVert^2 . \tag{7}$$
#
# **(d)** By (2) an error in $\hat\varepsilon$ is an error in $\hat x_0$ times $-\sqrt{\bar\alpha_t/(1-\bar\alpha_t)}$, so $L_{t-1}=\lambda_t\,E\lVert\varepsilon-\hat\varepsilon\rVert^2$ with $\lambda_t=\frac12\bigl(\mathrm{SNR}(t-1)-\mathrm{SNR}(t)\bigr)/\mathrm{SNR}(t)$.
# **Drop $\lambda_t$**, choose $t$ at random instead of summing, and (6) has become the simple loss,
#
# $$L_\text{simple}=E_{t,x_0,\varepsilon}\bigl\lVert\varepsilon-\hat\varepsilon(\sqrt{\bar\alpha_t}x_0+\sqrt{1-\bar\alpha_t}\,\varepsilon,\ t)\bigr\rVert^2. \tag{8}$$
#
# ($t=1$ stands for $L_0$: with a Gaussian of variance $1/\mathrm{SNR}(1)$ around $\hat x_0$ it is $\frac12E\lVert\varepsilon-\hat\varepsilon\rVert^2$ plus a constant, so $\lambda_1=\frac12$. $L_T$ is a constant.)
#
# What does dropping $\lambda_t$ do?
# As a weight on errors in $\varepsilon$ it is large at both ends.
# At the noisy end a small error in $\hat\varepsilon$ is a huge one in $\hat x_0$; at the clean end the bound charges for fine grain that no eye sees.
# The simple loss treats all times alike, and so moves effort to the middle, where the layout is decided.
# On photographs (CIFAR-10) Ho et al. found better pictures and a worse bound: a Fréchet distance of 3.17 in place of 13.51, for 3.75 bits per dimension in place of 3.70.


# %%
def kl_of_a_step(x0, x0_guess, xt, t):
    """KL between the true step back (3) and the one that uses the guess: equation (6)."""
    mean, variance = checked_posterior(x0, xt, abar[t], abar[t - 1])
    mean_guess, _ = checked_posterior(x0_guess, xt, abar[t], abar[t - 1])
    std = variance.sqrt()
    return kl_divergence(Normal(mean, std), Normal(mean_guess, std)).sum()


def noise_between(x0, xt, t):
    """The ε that leads from x0 to xt by (2)."""
    return (xt - abar[t].sqrt() * x0) / (1 - abar[t]).sqrt()


# %%
snr = abar[1:] / (1 - abar[1:])  # snr[t − 1] is SNR(t)
x0, x0_guess, xt = torch.randn(3, 5, dtype=torch.float64)
for t in (2, 300, 999):
    kl = kl_of_a_step(x0, x0_guess, xt, t)
    difference = 0.5 * (snr[t - 2] - snr[t - 1])  # ½ (SNR(t − 1) − SNR(t))
    error_x0 = (x0 - x0_guess).square().sum()
    torch.testing.assert_close(kl, difference * error_x0, rtol=1e-8, atol=1e-12)  # (7)
    error_eps = (noise_between(x0, xt, t) - noise_between(x0_guess, xt, t)).square().sum()
    in_noise = difference / snr[t - 1] * error_eps
    torch.testing.assert_close(kl, in_noise, rtol=1e-8, atol=1e-12)  # (d)
print("✓ (7) and (d) hold")
dropped = 0.5 * (snr[:-1] - snr[1:]) / snr[1:]  # λ_2 … λ_T
for t in (2, 10, 100, 500, 900, 990, 999, 1000):
    cu.facts(f"λ at t = {t:>4}", dropped[t - 2])

# %% [markdown]
# ### Three names for one thing *(core)*
#
# Given $x_t$, a guess at $\varepsilon$, at $x_0$, or at the **velocity** $v=\sqrt{\bar\alpha_t}\,\varepsilon-\sqrt{1-\bar\alpha_t}\,x_0$ contain the same information, since (2) and the definition of $v$ are a rotation of $(x_0,\varepsilon)$ by an angle with cosine $\sqrt{\bar\alpha_t}$:
#
# $$x_0=\sqrt{\bar\alpha_t}\,x_t-\sqrt{1-\bar\alpha_t}\,v,\qquad \varepsilon=\sqrt{1-\bar\alpha_t}\,x_t+\sqrt{\bar\alpha_t}\,v . \tag{9}$$
#
# What differs is the weight of the times: by (d) and (9), $\lVert v-\hat v\rVert^2=\lVert\varepsilon-\hat\varepsilon\rVert^2/\bar\alpha_t=\lVert x_0-\hat x_0\rVert^2/(1-\bar\alpha_t)$.
# At the noisy end $\varepsilon$ is nearly $x_t$ itself: copying the input is almost right and teaches little, while the error reaches $\hat x_0$ multiplied by $\sqrt{(1-\bar\alpha_t)/\bar\alpha_t}$.
# At the clean end $x_0$ is nearly $x_t$, and its error reaches $\hat\varepsilon$ multiplied by the inverse.
# An error in $v$ reaches both multiplied by at most 1 (Salimans and Ho, 2022); $v$ is what our image network will predict.


# %%
def velocity(x0, eps, a_t):
    """v of equation (9): x0, eps (B, …), a_t broadcasts → (B, …)."""
    return a_t.sqrt() * eps - (1 - a_t).sqrt() * x0


def eps_from_v(xt, v, a_t):
    """ε of equation (9)."""
    return (1 - a_t).sqrt() * xt + a_t.sqrt() * v


x0, eps = torch.randn(2, 64, 1, 28, 28)
for t in (1, 250, 500, 750, 950):
    a = abar[t].float()
    xt = checked_q(x0, torch.full((64,), t), eps, abar)
    v = velocity(x0, eps, a)
    torch.testing.assert_close(eps_from_v(xt, v, a), eps, rtol=0, atol=1e-5)
    torch.testing.assert_close(a.sqrt() * xt - (1 - a).sqrt() * v, x0, rtol=0, atol=1e-5)
    again = checked_x0(xt.double(), eps.double(), abar[t]).float()
    torch.testing.assert_close(again, x0, rtol=0, atol=1e-5)
print("✓ x_0 ↔ ε ↔ v to 1e-5 in float32")

# %% [markdown]
# The paper prints line 4 of Algorithm 2 in units of $\varepsilon$; it is equation (3) with the guess.

# %%
for t in (1, 250, 500, 750, 950):
    xt = checked_q(x0, torch.full((64,), t), eps, abar)
    mean, _ = checked_posterior(x0, xt, abar[t], abar[t - 1])
    textbook = (xt - beta[t] / (1 - abar[t]).sqrt() * eps) / (1 - beta[t]).sqrt()
    torch.testing.assert_close(mean, textbook, rtol=0, atol=1e-5)
print("✓ equation (3) with the guess is line 4 of Algorithm 2 as printed in the paper")

# %% [markdown]
# ### The moves in full *(deeper)*
#
# **(a), (b)** Both joint densities are chains: $q(x_{1:T}\mid x_0)=\prod_{t=1}^Tq(x_t\mid x_{t-1})$ and $p_\theta(x_{0:T})=p(x_T)\prod_{t=1}^Tp_\theta(x_{t-1}\mid x_t)$.
# For $t\ge2$ the chain does not look further back than one step, $q(x_t\mid x_{t-1})=q(x_t\mid x_{t-1},x_0)$, and Bayes' rule given $x_0$ turns it around:
# $$q(x_t\mid x_{t-1},x_0)=q(x_{t-1}\mid x_t,x_0)\,\frac{q(x_t\mid x_0)}{q(x_{t-1}\mid x_0)}.$$
# In $\log q(x_{1:T}\mid x_0)=\log q(x_1\mid x_0)+\sum_{t\ge2}\log q(x_t\mid x_{t-1},x_0)$ the fractions telescope to $\log q(x_T\mid x_0)-\log q(x_1\mid x_0)$, and the second term cancels the first of the sum:
# $$\log q(x_{1:T}\mid x_0)=\log q(x_T\mid x_0)+\sum_{t=2}^T\log q(x_{t-1}\mid x_t,x_0).$$
# Subtract $\log p_\theta(x_{0:T})$ and pair the terms,
# $$L=E_q\Bigl[\log\frac{q(x_T\mid x_0)}{p(x_T)}+\sum_{t=2}^T\log\frac{q(x_{t-1}\mid x_t,x_0)}{p_\theta(x_{t-1}\mid x_t)}-\log p_\theta(x_0\mid x_1)\Bigr].$$
# The expectation of each fraction is taken over $x_{t-1}$ given $x_t$ and $x_0$ first, which makes it a KL: (6).
# Why the detour over $x_0$?
# Without it the terms would be $\log q(x_t\mid x_{t-1})/p_\theta(x_{t-1}\mid x_t)$, no KL, estimable only from samples of both, with a large variance.
# Given $x_0$ every term has a closed form.
#
# **(c)** For two Gaussians with the same covariance $\sigma^2I$ Card 5's formula leaves $\lVert\mu_1-\mu_2\rVert^2/2\sigma^2$.
# By (3) with $s=t-1$, $\tilde\mu-\mu_\theta=\frac{\sqrt{\bar\alpha_{t-1}}\,\beta_t}{1-\bar\alpha_t}(x_0-\hat x_0)$.
# Square it, divide by $2\tilde\beta_t=2\beta_t\frac{1-\bar\alpha_{t-1}}{1-\bar\alpha_t}$, and the factor is
# $$\frac{\bar\alpha_{t-1}\,\beta_t}{2(1-\bar\alpha_t)(1-\bar\alpha_{t-1})}.\qquad\text{On the other side}\quad \mathrm{SNR}(t-1)-\mathrm{SNR}(t)=\frac{\bar\alpha_{t-1}(1-\bar\alpha_t)-\bar\alpha_t(1-\bar\alpha_{t-1})}{(1-\bar\alpha_{t-1})(1-\bar\alpha_t)}=\frac{\bar\alpha_{t-1}-\bar\alpha_t}{(1-\bar\alpha_{t-1})(1-\bar\alpha_t)},$$
# and $\bar\alpha_{t-1}-\bar\alpha_t=\bar\alpha_{t-1}(1-\alpha_t)=\bar\alpha_{t-1}\beta_t$.
# So the factor is half the difference of the SNRs: (7).
#
# **(d)** $x_t=\sqrt{\bar\alpha_t}x_0+\sqrt{1-\bar\alpha_t}\varepsilon=\sqrt{\bar\alpha_t}\hat x_0+\sqrt{1-\bar\alpha_t}\hat\varepsilon$; subtract:
# $\sqrt{\bar\alpha_t}(x_0-\hat x_0)=-\sqrt{1-\bar\alpha_t}(\varepsilon-\hat\varepsilon)$, hence $\lVert x_0-\hat x_0\rVert^2=\lVert\varepsilon-\hat\varepsilon\rVert^2/\mathrm{SNR}(t)$.
#
# Was anything lost on the way?
# In the mixture $-\log p$ is known.
# **Predict:** with the *exact* score in (6), how far above it does the bound lie?


# %%
def bound_terms(points):
    """L_0, L_1, …, L_(T−1) of (6) with the exact score, averaged over points (n, 2): (T,)."""
    terms = []
    for t in range(1, T + 1):
        eps = torch.randn_like(points)
        xt = checked_q(points, torch.full((len(points),), t), eps, abar)
        guess = checked_x0(xt, exact_eps(xt, t), abar[t])
        error = (guess - points).square().sum(1).mean()
        if t == 1:  # L_0: a Gaussian around the guess, as wide as one step of noise leaves open
            terms.append(error / 2 * snr[0] + math.log(2 * math.pi / snr[0]))
        else:
            terms.append(0.5 * (snr[t - 2] - snr[t - 1]) * error)  # equation (7)
    return torch.stack(terms)


def last_term(points):
    """L_T of (6): KL between q(x_T | x_0) and N(0, I), averaged over points (n, 2)."""
    prior = MultivariateNormal(torch.zeros(2).double(), torch.eye(2).double())
    centred = MultivariateNormal(prior.mean, (1 - abar[T]) * prior.covariance_matrix)
    mean_part = 0.5 * abar[T] * points.square().sum(1).mean()  # x_T has the mean √ᾱ_T x_0
    return kl_divergence(centred, prior) + mean_part


# %%
points = draw_mixture(cu.budget(1_000), 11)
surprise = -log_p_and_score(points, abar[0])[0].mean()  # exact up to the choice of points
terms = bound_terms(points)
bound = terms.sum() + last_term(points)
ratio = snr[:10] / snr[1:11]  # by which the ten steps next to the data raise the SNR
cu.facts(
    {
        "−log p, nats per point": f"{surprise:.3f}",
        "the bound (6), nats per point": f"{bound:.3f}",
        "the bound lies above −log p by, nats": bound - surprise,
        "in it: L_0": terms[0],
        "in it: the sum of L_(t−1)": terms[1:].sum(),
        "in it: L_T": last_term(points),
        "SNR(1) / SNR(2)": ratio[0],
        "t = 2 … 11: sum of r − 1 − log r, nats": (ratio - 1 - ratio.log()).sum(),
    }
)

# %% [markdown]
# The bound lies 0.81 nats above $-\log p$, although every arrow is exact.
# The price is paid next to the data.
# There a single step changes the SNR by a factor (2.1 from $t=2$ to 1), and the model's step has the variance $\tilde\beta_t$, which is right only if $x_0$ is known.
# Where the density is flat at the scale of a step the arithmetic is short:
# $E\lVert x_0-\hat x_0\rVert^2=2/\mathrm{SNR}(t)$ in the plane, so (7) costs $r-1$ with $r=\mathrm{SNR}(t-1)/\mathrm{SNR}(t)$ where the change of the entropy is $\log r$.
# The ten steps next to the data lose 0.70 nats that way, nearly all of the 0.81.
# Finer steps help little: close to the data the step from $x_2$ to $x_1$ about doubles the SNR whatever their number, the one before multiplies it by about 3/2, and so on, and $\sum_n\bigl(\frac1n-\log\frac{n+1}n\bigr)$ is Euler's constant, 0.577 nats.
# A better variance does help: $\sigma_t^2=\beta_t$, the other choice of Ho et al., is right where the density is flat, and Nichol and Dhariwal learn it.

# %% [markdown]
# ## 4 · Two algorithms, thirty seconds *(core)*
#
# The whole method stands above: `simple_loss` is Algorithm 1 of Ho et al., `ancestral` is Algorithm 2.
# The commonest bug is the index: is the first entry of the array the clean image or the first noisy one?
# Our convention, the paper's: $t=1\dots T$, and entry 0 is clean.
# Test both ends before training anything.
#
# - *Clean end.*
#   At $t=0$ nothing is noised; the last step back, from 1 to 0, adds no noise.
# - *Noisy end.*
#   $x_T$ shares less than a ten-thousandth of its amplitude with $x_0$; training visits $T$, and 1, and not 0.
# - *Both.*
#   An oracle that knows the one $x_0$ and answers with the exact noise must lead **every** start exactly to $x_0$.

# %%
points = cu.moons(4)
ends = torch.tensor([0, 0, T, T])
eps = torch.randn(4, 2)
noised_ends = checked_q(points, ends, eps, abar)
assert torch.equal(noised_ends[:2], points[:2]), "t = 0 must leave the data alone"
torch.testing.assert_close(noised_ends[2:], eps[2:], rtol=0, atol=1e-3)  # t = T: noise
_, variance = checked_posterior(points, eps, abar[1], abar[0])
assert variance == 0, "the last step adds no noise"

visited = []


def spy(x, t):
    """A model that only notes which times training asks for."""
    visited.append(t)
    return torch.zeros_like(x)


simple_loss(spy, torch.zeros(200_000, 2))
assert visited[0].min() == 1 and visited[0].max() == T, "training visits 1 … T"
print("✓ both ends: identity at 0, noise at T, no noise in the last step")

# %%
target = torch.tensor([[1.0, -2.0]]).double()


def oracle(x, t):
    """The exact noise for one who knows that x_0 is the target."""
    return (x - abar[t].sqrt() * target) / (1 - abar[t]).sqrt()


arrived = ancestral(oracle, torch.randn(50, 2).double(), spaced(T))
torch.testing.assert_close(arrived, target.expand(50, 2), rtol=0, atol=1e-9)
print("✓ an oracle leads 50 starts to x_0 within 1e-9")

# %% [markdown]
# Now two moons, which no mixture of three Gaussians fits.
# **Predict:** when a point has to choose its moon, is it early or late on its way?
# Will some points end *between* the moons?

# %% tags=["slide"]
torch.manual_seed(0)
moon_net = PointNet()
batches = cu.Batches(cu.moons(20_000, seed=1), 512)
moon_history = cu.fit(
    moon_net, simple_loss, batches, steps=5_000, lr=2e-3, schedule="cosine", ema=0.998
)
moon_predict = asked(moon_history.ema)
generator = torch.Generator().manual_seed(2)
moon_log = []
made = ancestral(
    moon_predict, noise_2d.float(), ladder, clip=4.0, generator=generator, log=moon_log
)
real_moons = cu.moons(n_test, seed=2)

# %% tags=["figure", "slide"]
# @title Figure: four ways from noise to data, and the draws
states = [x[:4] for _, x, _ in moon_log[:: cu.budget(25, 2)]]
paths = torch.stack([*states, made[:4]])  # every 25th state: (41, 4, 2)
fig, axes = plt.subplots(1, 3, figsize=(12.5, 3.8), sharex=True, sharey=True)
for path, color in zip(paths.transpose(0, 1), cu.plots.PALETTE):
    first = color == cu.plots.PALETTE[0]  # the legend names one path's ends
    axes[0].plot(*path.T, color=color, linewidth=1, alpha=0.6)
    label = "t = 1000" if first else None
    axes[0].plot(*path[0], "o", color=color, mfc="white", label=label)
    axes[0].plot(*path[-1], "o", color=color, label="t = 0" if first else None)
axes[0].legend(fontsize=9)
cu.plots.scatter(made[:1000], ax=axes[1], s=3, color="#D55E00")
cu.plots.scatter(real_moons[:1000], ax=axes[2], s=3, color="#0072B2")
titles = ("Four ways from noise to data", "draws of the model", "real points")
for ax, title in zip(axes, titles):
    ax.set(xlim=(-3.6, 3.6), ylim=(-3.6, 3.6), title=title)
cu.show(
    fig,
    "Left: four paths of ancestral sampling, every 25th state, under a network trained on two "
    "moons. Middle: 1,000 of its draws. Right: as many real points.",
)

# %%
moon_limit = real_vs_real(cu.moons, n_test, cu.budget(40))
moon_data, moon_labels = cu.moons(20_000, seed=1, labels=True)
gaps = torch.cdist(made, moon_data).min(1).values  # to the nearest training point
cu.facts(
    {
        "draws": len(made),
        "draws farther than 0.3 from every training point": (gaps > 0.3).sum(),
        "energy distance to real moons, of the noise": energy(noise_2d, real_moons),
        "energy distance to real moons, of the draws": energy(made, real_moons),
        "95 % of real-against-real pairs stay below": moon_limit,
        "seconds of training": f"{moon_history.seconds:.0f}",
    }
)

# %% [markdown]
# When does a point choose?
# Freeze 200 states at time $t$, let each go on eight times, and count how many of the eight end on their commoner moon.


# %%
def same_moon(t):
    """Of eight continuations from time t, the share on their commoner moon, over 200 states."""
    states = next(x for u, x, _ in moon_log if u <= t)
    frozen = states[:200].repeat_interleave(8, 0)
    times = spaced(cu.budget(t // 5), start=t)
    generator = torch.Generator().manual_seed(3)
    ends = ancestral(moon_predict, frozen, times, clip=4.0, generator=generator)
    moon = moon_labels[torch.cdist(ends, moon_data).argmin(1)]
    lower = moon.view(-1, 8).float().mean(1)
    return torch.maximum(lower, 1 - lower).mean()


shares = {t: same_moon(t) for t in (900, 700, 500, 300, 100)}

# %%
cu.facts("by coin tosses, share on the commoner moon", "64%")
for t, share in shares.items():
    cu.facts(f"frozen at t = {t}, share on the commoner moon", f"{share:.0%}")

# %% [markdown]
# Twelve seconds of training, and the moons are there: the energy distance is 0.0026, below the limit of 0.0036, and of 2,000 draws three are stragglers.
# Which moon a point ends on is settled little by little and mostly late: of eight continuations 65 % agree from $t=900$ on (coin tosses: 64 %), 72 % from 700, 80 % from 500, 88 % from 300 and 98 % from 100.
# The moons interlock, so a point near the middle can still go either way when the outline stands.
# What closed first in section 1, the gap between them, opens last.

# %% [markdown]
# ## 5 · Digits *(core)*
#
# For images only the network changes.
# It gets a noisy image and a time and gives an image of the same size.
# A network that shrinks the image to see it whole, grows it again, and hands fine detail across is called a **U-Net** (Ronneberger et al., 2015).
# Ours is built for a laptop: it first folds every 2 × 2 pixels into four channels, so that no convolution runs at full resolution, and lets places talk to each other by *attention* (each place averages over all others, with learned weights) only where there are 49 of them.
# Time enters as sines and cosines, the coordinates of the hands of 32 clocks, and scales and shifts the channels of every block.

# %%
plan = {  # channels, height and width that leave each stage of our U-Net
    "down_half": (48, 14, 14),
    "down_quarter": (96, 7, 7),
    "middle_out": (96, 7, 7),
    "up_quarter": (96, 7, 7),
    "up_half": (48, 14, 14),
    "unfold": (1, 28, 28),
}

# %% tags=["figure", "slide"]
# @title Figure: the U-Net, and the clocks that tell it the time
what = ["enter\n2 blocks", "shrink\nblock", "block\nattention\nblock", "join\nblock"]
what = ["image", *what, "grow\njoin\n2 blocks", "image"]
fig, (ax, clocks) = plt.subplots(1, 2, figsize=(12.5, 3.6), width_ratios=(2.6, 1))
for i, (label, shape) in enumerate(zip(what, [(1, 28, 28), *plan.values()])):
    low = {28: 3.2, 14: 1.6, 7: 0.0}[shape[1]]
    color = "#56B4E9" if 0 < i < 6 else "#dddddd"
    box = plt.Rectangle((i + 0.03, low), 0.94, 1.25, facecolor=color, edgecolor="black")
    ax.add_patch(box)
    text = " × ".join(map(str, shape)) + f"\n{label}"
    ax.text(i + 0.5, low + 0.62, text, ha="center", va="center", fontsize=9)
arrow = {"arrowstyle": "->", "color": "#D55E00", "linestyle": "--"}
straight = arrow | {"connectionstyle": "arc3,rad=0.0"}
bent = arrow | {"connectionstyle": "arc3,rad=0.25"}
ax.annotate("", (5.03, 2.2), (1.97, 2.2), arrowprops=straight)
ax.annotate("", (4.5, -0.03), (2.5, -0.03), arrowprops=bent)
ax.text(3.5, 2.28, "handed across", ha="center", color="#D55E00", fontsize=10)
ax.set(xlim=(0, 7), ylim=(-0.75, 4.5), title="Down to see the whole, up to draw the detail")
ax.axis("off")
hands = time_features(torch.arange(0, T + 1, 5), 64).T
clocks.imshow(hands, aspect="auto", cmap="RdBu_r", extent=(0, T, 64, 0))
clocks.set(xlabel="t", ylabel="feature", title="The hands of 32 clocks")
clocks.grid(False)
cu.show(
    fig,
    "Left: the U-Net with the shape (channels × height × width) after each stage; dashed "
    "arrows hand detail across. "
    "Right: what it is told about the time t, 32 sines above 32 cosines.",
)

# %% [markdown]
# Drawn, then imported, then checked: hooks record what each stage really gives.

# %%
from course_utils.nets import UNet

torch.manual_seed(0)
unet = UNet()
found = {}


def record(part):
    """A hook that notes the shape of what the stage `part` gives."""

    def hook(module, inputs, out):
        found[part] = tuple(out.shape[1:])

    return hook


for part in plan:
    module = getattr(unet, part)
    last = module[-1] if isinstance(module, nn.ModuleList) else module
    last.register_forward_hook(record(part))
with torch.no_grad():
    out = unet(torch.randn(3, 1, 28, 28), torch.tensor([1, 500, T]))

# %%
assert found == plan
assert out.shape == (3, 1, 28, 28)
assert (out == 0).all()  # the last layer starts at zero: it first predicts v = 0
unet = UNet()
print("✓ shapes as drawn")
cu.facts("weights of the U-Net", cu.nets.count_parameters(unet))

# %% [markdown]
# The loss is Algorithm 1, with four changes that cost nothing: the target is $v$;
# the batch's times are *stratified*, one in each sixty-fourth of $1\dots T$, so that each is still uniform but the loss varies less from batch to batch;
# the learning rate falls to zero along half a cosine; and the weights that draw are an exponential moving average (EMA) over about the last two thousand steps.
# Section 10 measures what each is worth.


# %%
def draw_times(n):
    """n times in 1 … T, one in each n-th of the range: int64 (n,)."""
    return ((torch.arange(n) + torch.rand(n)) / n * T).long().clamp(max=T - 1) + 1


def diffusion_loss(model, x, y=None, target="v", stratified=True):
    """Algorithm 1 for images x (B, 1, 28, 28) in [0, 1], with labels y (B,) or None.

    `target` is "v" or "eps".
    """
    x0 = 2 * x - 1
    times = draw_times(len(x)) if stratified else torch.randint(1, T + 1, (len(x),))
    t = times.to(x.device)
    eps = torch.randn_like(x0)
    xt = checked_q(x0, t, eps, abar)
    a_t = abar.to(x0)[t].view(-1, 1, 1, 1)
    goal = velocity(x0, eps, a_t) if target == "v" else eps
    return (model(xt, t, y) - goal).square().mean()


# %%
def warm_cosine(done):
    """Learning-rate factor: a warm-up over the first fiftieth, then half a cosine down to 0."""
    return min(1.0, 50 * done) * (1 + math.cos(math.pi * done)) / 2


def predictor(net, y=None, target="v"):
    """An image network as `predict(x, t)` → ε̂ for the samplers; labels y (B,) or None."""

    @torch.no_grad()
    def predict(x, t):
        out = net(x, torch.full((len(x),), t, device=x.device), y)
        return eps_from_v(x, out, abar[t]) if target == "v" else out

    return predict


# %% [markdown]
# A second way back, **DDIM**, will be compared with the first in section 6, and a relative of it draws our digits in fifty steps.
# Its idea in one sentence: keep the guessed noise instead of drawing fresh noise.
#
# **Exercise 5 (deeper).**
# From $x_t$ and $\hat\varepsilon$, compute the guess $\hat x_0$ and noise it back to level $s$ *with the same* $\hat\varepsilon$:
#
# $$x_s=\sqrt{\bar\alpha_s}\,\hat x_0+\sqrt{1-\bar\alpha_s}\;\hat\varepsilon,\qquad \hat x_0=\bigl(x_t-\sqrt{1-\bar\alpha_t}\,\hat\varepsilon\bigr)/\sqrt{\bar\alpha_t}. \tag{10}$$


# %% tags=["exercise"]
def ddim_step(xt, eps, a_t, a_s):
    """Equation (10): from x_t to x_s without new noise: xt, eps (B, …) → (B, …).

    a_t = ᾱ_t and a_s = ᾱ_s are tensors ().
    """
    ### BEGIN SOLUTION
    x0 = (xt - (1 - a_t).sqrt() * eps) / a_t.sqrt()
    return a_s.sqrt() * x0 + (1 - a_s).sqrt() * eps
    ### END SOLUTION


# %%
checked_ddim = cu.check("06.ddim", ddim_step)

# %% [markdown]
# A knob is added: `fresh`, the share of the noise in $x_s$ that is exchanged for new.
# With the true $\varepsilon$ the variance stays $1-\bar\alpha_s$, as (2) asks, whatever the share; and an error that the network has made on the way is partly forgotten.
# We renew a quarter in each step, and take shorter steps at the noisy end, where the layout is decided.


# %%
def ddim(predict, x, times, *, fresh=0.0, clip=math.inf, generator=None, log=None):
    """Sampling by (10) from x at times[0] down to times[-1]; interface as `ancestral`.

    In each step a share `fresh` of the noise is drawn anew.
    """
    for t, s in zip(times, times[1:]):
        x0 = checked_x0(x, predict(x, t), abar[t]).clamp(-clip, clip)
        if log is not None:
            log.append((t, x, x0))
        eps = (x - abar[t].sqrt() * x0) / (1 - abar[t]).sqrt()  # belongs to the clipped guess
        x = checked_ddim(x, eps, abar[t], abar[s])
        if fresh:  # exchange part of the noise in x_s for new: its variance stays 1 − ᾱ_s
            new = torch.randn(x.shape, generator=generator, dtype=x.dtype).to(x)
            exchanged = ((1 - fresh) ** 0.5 - 1) * eps + fresh**0.5 * new
            x = x + (1 - abar[s]).sqrt() * exchanged
    return x


# draws our digits, on ladders `spaced(n, bend=0.6)`; section 6 compares
refreshed = functools.partial(ddim, fresh=0.25)


# %%
def generate(net, n, times, sampler=refreshed, *, y=None, w=1.0, seed=0, target="v"):
    """n images, uint8 (n, 1, 28, 28) on the CPU, 250 at a time.

    With labels y (n,) and the guidance scale w: section 7.
    """
    generator = torch.Generator().manual_seed(seed)
    images = []
    for i in range(0, n, 250):
        x = torch.randn(min(250, n - i), 1, 28, 28, generator=generator).to(device)
        x = x.contiguous(memory_format=torch.channels_last)
        if y is None:
            predict = predictor(net, target=target)
        else:
            predict = guided(net, y[i : i + 250].to(device), w)
        images.append(sampler(predict, x, times, clip=1.0, generator=generator).cpu())
    images = torch.cat(images).contiguous()
    return cu.to_uint8((images / 2 + 0.5).clamp(0, 1))


# %% [markdown]
# **Predict** while it trains: after 160 steps, will the draws be noise, blots, or strokes?

# %%
digit_ladder = spaced(cu.budget(20, full=50), bend=0.6)


def preview(step):
    """36 draws from the same noise each time, to look at while it trains."""
    return generate(unet, 36, digit_ladder, seed=1)


# %% tags=["author"]
import json


class Watch:
    """A preview for cu.fit that also measures the Fréchet ratio of n samples, if n > 0.

    Each time it adds a line (step, CPU hours of training, ratio, distance) to a file.
    """

    def __init__(self, draw, net, path, n):
        self.draw = draw
        self.net = net
        self.path = path
        self.n = n
        self.began = time.process_time()

    def lines(self):
        """The lines measured so far, by this training or the part of it before a break."""
        if not self.path.is_file():
            return []
        return [json.loads(line) for line in self.path.read_text().splitlines()]

    def measure(self, step):
        """Add a line; the hours go on from the last one."""
        spent = (time.process_time() - self.began) / 3600
        before = self.lines()[-1]["hours"] if self.lines() else 0
        quality = cu.metrics.quality(generate(self.net, self.n, spaced(50), ddim))
        line = {"step": step, "hours": before + spent}
        line |= {"ratio": quality.ratio, "distance": quality.distance}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")

    def __call__(self, step):
        if self.n and step == 0:
            self.path.unlink(missing_ok=True)
        elif self.n:
            self.measure(step)
        frame = self.draw(step)
        self.began = time.process_time()
        return frame


curve_file = cu.system.ROOT / "runs" / "resume" / "06_diffusion.curve.jsonl"
watch = Watch(preview, unet, curve_file, cu.budget(0, 0, full=1_000))
preview = watch

# %% tags=["slide"]
looks = cu.budget(
    [0, 80, 160], [8], full=[0, 300, 1_000, 2_000, 3_500, 6_000, 8_500, 11_000, 14_000]
)
history = cu.fit(
    unet,
    diffusion_loss,
    cu.Batches(mnist.train, 64),
    steps=160,
    full=14_000,
    lr=2e-3,
    schedule=warm_cosine,
    ema=0.9995,
    clip=1.0,
    preview=preview,
    preview_at=looks,
)


# %% tags=["author"]
def size(net):
    """The sum of the absolute weights: tells one set of weights from another."""
    return sum(weight.detach().abs().sum().item() for weight in net.parameters())


@functools.cache
def shipped_draws():
    """The 5,000 draws that ship, of the averaged weights."""
    return generate(history.ema, 5_000, digit_ladder)


def diffusion_figures():
    """Quality of averaged and of raw weights, and the curve along the training."""
    judged = {
        "EMA weights, n = 5000": shipped_draws(),
        "raw weights, n = 1000": generate(unet, 1_000, digit_ladder),
        "EMA weights, n = 1000": shipped_draws()[:1_000],
    }
    figures = {}
    for name, images in judged.items():
        quality = cu.metrics.quality(images)
        figures[f"Fréchet ratio, {name}"] = (quality.ratio, 0.1 * quality.ratio)
        figures[f"Fréchet distance, {name}"] = (quality.distance, 0.1 * quality.distance)
    for line in watch.lines():
        name = f"Fréchet ratio after {line['hours']:.2f} CPU hours"
        figures[name] = (line["ratio"], 0.1 * line["ratio"])
    return figures | {"sum of absolute weights": (size(history.ema), 1.0)}


cu.ship(
    "06_diffusion",
    history.ema,
    history,
    what="U-Net on MNIST digits, v-prediction, EMA weights; 50 steps, "
    "a quarter of the noise fresh",
    figures=diffusion_figures,
    samples=shipped_draws,
)

# %%
# From here on: the weights of the long run of the cell above.
run = cu.restore("06_diffusion", unet)
cu.prepare(unet)
drawn, at_step = run.replay
looked_at = [1, len(at_step) - 1]
cu.facts(
    {
        "steps just now": history.steps[-1],
        "steps of the shipped weights, used from here on": at_step[-1],
    }
)

# %% tags=["figure", "slide"]
# @title Figure: nine draws, just now and from the long training
now = torch.from_numpy(history.frames[-1][:9])
later = torch.from_numpy(drawn[looked_at, :9]).flatten(0, 1)
row_titles = [f"{history.steps[-1]} steps, just now"]
row_titles += [f"{at_step[k]:,} steps" for k in looked_at]
grid = torch.cat([now, later])
ax = cu.plots.image_grid(grid, rows=len(row_titles), row_titles=row_titles)
cu.show(
    ax.figure,
    "Nine draws from the same noise: after the training above (averaged weights), and at two "
    "moments of the shipped one.",
)

# %% [markdown]
# Strokes, all over the middle, and few of them digits: after 160 steps the loss is down from 1 to 0.19, and the network knows what ink looks like but not yet how strokes go together.
# Compare column by column: the same noise leads to much the same places after 160 steps and after 14,000, so the layout is learned first.
# The shipped weights come from the same cell with 14,000 steps, an hour and twenty minutes of one core.
# Their 5,000 draws with fifty evaluations each have a Fréchet distance of **1.7**, where two halves of real digits are 0.30 apart: a ratio of 5.7.
# Lesson 04's VAE stands at 142, lesson 03's decoder with a mixture at 29, and lesson 05's GAN, with less than half of the hours (lesson 07 times both alike) and one evaluation an image, at 2.6.
# So this model is not the best of the course on this ruler.
# What it has that the GAN lacks is a loss that simply falls, no opponent, and everything in sections 6 to 8.
#
# Now the film.
# Upper row: the state $x_t$.
# Lower row: what the network believes at that moment, $\hat x_0$.
# **Predict** how the lower row looks at $t=1000$, when nothing but noise is given: a digit, a blur, or noise?

# %% tags=["slide"]
film = []
seeds = torch.randn(8, 1, 28, 28, generator=torch.Generator().manual_seed(3)).to(device)
film_ladder = spaced(cu.budget(100), bend=0.6)
generator = torch.Generator().manual_seed(4)
final = refreshed(predictor(unet), seeds, film_ladder, clip=1.0, generator=generator, log=film)

# %% tags=["figure", "slide"]
# @title Widget: the film of eight digits, and what the network believes
kept = film[:: cu.budget(5)]
frames = [torch.cat([x, x0]).cpu().squeeze(1) / 2 + 0.5 for _, x, x0 in kept]
frames.append(torch.cat([final, final]).cpu().squeeze(1) / 2 + 0.5)  # (16, 28, 28) each
labels = [*(f"t = {t}" for t, _, _ in kept), "t = 0"]
picks = [round(k * (len(frames) - 1) / 7) for k in range(8)]


def film_still():
    """Two of the eight digits at eight moments: their states and, below each, the guesses."""
    rows = [frames[pick][i] for i in (0, 8, 1, 9) for pick in picks]
    titles = [labels[pick].removeprefix("t = ") for pick in picks]
    row_titles = ["x_t", "guess x̂₀", "x_t", "guess x̂₀"]
    rows = torch.stack(rows)  # (32, 28, 28)
    ax = cu.plots.image_grid(rows, rows=4, titles=titles, row_titles=row_titles, note=False)
    ax.set_xlabel("above: the time t")
    return ax.figure


cu.scrub(
    frames,
    labels,
    "Eight digits on their way from noise: the states x_t, and the network's guesses x̂₀ at "
    "the data at the same moments.",
    static=film_still,
)

# %% [markdown]
# At $t=1000$ the guess is the same grey blob for every noise: the mean digit, the best answer under squared error when nothing is known (lesson 03).
# At 907 the guesses have parted, but are still ghosts of several digits; at 807 one is an upright bar and the other something between a 9 and a 7; by 699 they are a 0 and a 7, and from there on only edges move.
# Layout, stroke, edge: the reverse of the order in which section 1 lost them.
# In the states above *your* eye finds the digit much later, at 619 or 486.
#
# So when is it decided?
# **Freeze** a trajectory at $t$, make eight copies, and let each go on with noise of its own.
# What all eight agree on was decided before $t$; where they differ, after.
# **Predict:** at $t=900$, do they agree on the digit?
# On the slant?
# At 300?


# %%
def fork(t, starts, seed=0):
    """States x_t of the film, and eight continuations of each with new noise, in [0, 1].

    (starts, 28, 28) and (starts, 8, 28, 28).
    """
    _, states, _ = min(film, key=lambda entry: abs(entry[0] - t))
    frozen = states[:starts]
    times = spaced(cu.budget(t // 20), start=t, bend=0.6)
    generator = torch.Generator().manual_seed(seed)
    copies = frozen.repeat_interleave(8, 0)
    ends = refreshed(predictor(unet), copies, times, clip=1.0, generator=generator)
    frozen = (frozen.squeeze(1).cpu() / 2 + 0.5).clamp(0, 1)
    ends = (ends.view(starts, 8, 28, 28).cpu() / 2 + 0.5).clamp(0, 1)
    return frozen, ends


forks = {t: fork(t, cu.budget(8)) for t in (900, 700, 500, 300)}

# %% tags=["figure", "slide"]
# @title Figure: one trajectory frozen at four times, eight continuations each
rows = [torch.cat([frozen[:1], ends[0]]) for frozen, ends in forks.values()]
titles = ["frozen", *range(1, 9)]
row_titles = [f"t = {t}" for t in forks]
ax = cu.plots.image_grid(torch.cat(rows), rows=len(forks), titles=titles, row_titles=row_titles)
cu.show(
    ax.figure,
    "One trajectory frozen at four times (left), and eight continuations from each.",
)

# %% [markdown]
# The course's classifier reads the continuations.
# Of eight unrelated digits about 30 % would be of their commonest class.


# %%
@torch.no_grad()
def classes(images):
    """What the course's classifier reads in images (n, 28, 28) in [0, 1]: int64 (n,)."""
    logits = cu.metrics.classifier()(images.reshape(-1, 1, 28, 28).to(device))
    return logits.argmax(1).cpu()


for t, (_, ends) in forks.items():
    read = classes(ends.flatten(0, 1)).view(-1, 8)
    commonest = read.mode(1).values[:, None]
    agree = (read == commonest).float().mean(1)  # (starts,)
    error = agree.std() / len(agree) ** 0.5
    cu.facts(
        {
            f"forked at t = {t}, read as the commonest": f"{agree.mean():.0%} ± {error:.0%}",
        }
    )
cu.facts("trajectories", len(agree), "eight unrelated digits", "about 30 %")

# %% [markdown]
# At $t=900$ eight continuations agree hardly more than strangers do (39 % against 30 %); at 700 it is 83 %, from 500 on 100 %.
# So the answer to the opening's question: the class is decided **between $t=900$ and $700$**, between the 8th and the 22nd of our fifty steps: early, while the state still looks like noise.
# What remains open at 700 is the slant and the hand (row two: wide, narrow, open rings), at 300 next to nothing.

# %% tags=["figure"]
# @title Table: how often each digit is drawn
drawn_classes = classes(torch.from_numpy(run.samples).float() / 255)
shares = drawn_classes.bincount(minlength=10) / len(run.samples)
cu.table(
    [[f"{share:.1%}" for share in shares]],
    [str(digit) for digit in range(10)],
    f"Share of the digits among the {len(run.samples):,} shipped draws.",
)

# %% [markdown]
# ## 6 · A thousand steps or fifty *(deeper)*
#
# Ancestral sampling draws fresh noise in each step; DDIM (10) draws none.
# Both may take any ladder of times.
# Why is DDIM allowed?
# Training only used the *marginals* $q(x_t\mid x_0)$, equation (2), one time at a time, never the chain (1).
# Any process with the same marginals has the same loss and may use the same network.
# Equation (10) is one of them: if $x_t=\sqrt{\bar\alpha_t}x_0+\sqrt{1-\bar\alpha_t}\varepsilon$ with the true $x_0$ and $\varepsilon$, then $x_s=\sqrt{\bar\alpha_s}x_0+\sqrt{1-\bar\alpha_s}\varepsilon$ has the marginal of time $s$, with the *same* $\varepsilon$.
# Nothing is left to chance: the map from $x_T$ to $x_0$ is a function.
# One gap remains, since we have guesses and not the true pair.
# For a small step DDIM moves $x_t$ with the *average* velocity of all pairs $(x_0,\varepsilon)$ that meet there, and average velocities carry a density just as the individual ones do (lesson 14).
#
# The same argument allows the knob `fresh` of section 5, and any ladder of times.
# Algorithm 2 itself is a member of the family: compare (10) and (3), and its share is $1-\mathrm{SNR}(t)/\mathrm{SNR}(s)$; with fifty even steps that is 0.12 half-way and more towards both ends.
# Our **quarter fresh** renews more than that in the middle and less at the ends.
# (The quarter and the bend of the ladder were chosen with the same judge, on other seeds, so its row is favoured a little; the other rows were not tuned.)
#
# **Predict** the table: with 10 steps, which sampler is best?
# And with 1,000?

# %%
SAMPLERS = {"ancestral": ancestral, "DDIM": ddim, "quarter fresh": refreshed}
COUNTS = (10, 20, 50, 100, 1000)
BENDS = {"ancestral": 1.0, "DDIM": 1.0, "quarter fresh": 0.6}  # of their ladders

# %% tags=["author"]
# Draws that enter lesson 07's arena: the name of the run, and how many.
ENTRIES = {
    "ancestral, 1000 steps": ("06_ancestral", 1_000),
    "DDIM, 50 steps": ("06_ddim", 5_000),
}


def judge_sampler(name, sampler, count, bend, n=1_000):
    """Quality and seconds of one sampler; ships its draws where they are an entry."""
    entry, drawn = ENTRIES.get(name, (None, n))
    began = time.process_time()
    images = generate(unet, drawn, spaced(count, bend=bend), sampler, seed=5)
    seconds = (time.process_time() - began) / drawn * 1_000
    quality = cu.metrics.quality(images[:n])
    if entry:
        ratio = cu.metrics.quality(images).ratio
        what = f"U-Net on MNIST digits; {name}"
        cu.ship(entry, what=what, samples=images, figures={"Fréchet ratio": (ratio, 0.1)})
    return {
        f"{name}: ratio": (quality.ratio, 0.1 * quality.ratio),
        f"{name}: ± of the ratio": (quality.distance_std / quality.floor, 1.0),
        f"{name}: CPU seconds per 1,000": (seconds, seconds),
    }


def sampler_figures():
    """Every sampler with every number of steps, and with the other's ladder: over an hour."""
    figures = {"sum of absolute weights": (size(unet), 1.0)}
    for name, sampler in SAMPLERS.items():
        for count in COUNTS:
            if (name, count) != ("quarter fresh", 1000):
                row = f"{name}, {count} steps"
                figures |= judge_sampler(row, sampler, count, BENDS[name])
    figures |= judge_sampler("ancestral, bent ladder", ancestral, 50, 0.6)
    figures |= judge_sampler("DDIM, bent ladder", ddim, 50, 0.6)
    figures |= judge_sampler("quarter fresh, even ladder", refreshed, 50, 1.0)
    return figures


if not cu.runs.available("06_steps"):  # made once: delete the run to measure again
    cu.ship(
        "06_steps",
        what="three samplers with 10 to 1,000 steps, n = 1000",
        figures=sampler_figures,
    )

# %% [markdown]
# One network enters the arena of lesson 07 with three samplers.
# The thousand passes of ancestral sampling are timed on fifty and counted twenty times.


# %%
def drawer(sampler, steps, bend=1.0):
    """How to draw n images with one of the samplers."""
    ladder = spaced(steps, bend=bend)

    def draw(n):
        return generate(unet, n, ladder, sampler, seed=torch.randint(2**31, ()).item())

    return draw


batch = mnist.train.x[:64].to(device) / 255
step = cu.arena.training_step(unet, diffusion_loss, batch)
facts = {"step": step, "steps": 14_000, "numbers": unet}
cu.enter("06_diffusion", drawer(refreshed, 50, bend=0.6), **facts)
cu.enter("06_ddim", drawer(ddim, 50), **facts)
cu.enter("06_ancestral", drawer(ancestral, 50), times=20, **facts)

# %% tags=["figure"]
# @title Table: three samplers, ten to a thousand steps
steps_run = cu.runs.load("06_steps")
columns = ("ratio", "± of the ratio", "CPU seconds per 1,000")
rows = []
for count in COUNTS:
    for name in SAMPLERS:
        row = f"{name}, {count} steps"
        if f"{row}: ratio" in steps_run.card["figures"]:
            rows.append(
                [name, count, *(steps_run.figure(f"{row}: {what}") for what in columns)]
            )
cu.table(
    rows,
    ["sampler", "steps", "Fréchet ratio", "±", "CPU seconds per 1,000 images"],
    "n = 1,000 samples of the shipped weights, against the floor of the same n; one network "
    "evaluation a step. ±: over 20 halves of the test digits, same samples; another seed of "
    "the samples varies in addition.",
    digits=1,
)

# %% tags=["figure"]
# @title Table: fresh noise and ladders taken apart
cases = {
    "none (DDIM)": ("DDIM, 50 steps", "DDIM, bent ladder"),
    "as Algorithm 2 does": ("ancestral, 50 steps", "ancestral, bent ladder"),
    "a quarter in each step": ("quarter fresh, even ladder", "quarter fresh, 50 steps"),
}
cu.table(
    [
        [name, steps_run.figure(f"{even}: ratio"), steps_run.figure(f"{bent}: ratio")]
        for name, (even, bent) in cases.items()
    ],
    ["noise drawn anew", "even ladder", "bent ladder"],
    "Fréchet ratio with 50 steps, n = 1,000: what the new noise and the ladder contribute.",
    digits=1,
)

# %%
n_live = cu.budget(100)
n_steps = cu.budget(20)
for name, sampler in SAMPLERS.items():
    images = generate(unet, n_live, spaced(n_steps, bend=BENDS[name]), sampler, seed=6)
    print(f"just now, {name}, 20 steps: {cu.metrics.quality(images)}")
exact_ddim = ddim(exact_eps, noise_2d, spaced(cu.budget(250)))
cu.facts(
    {
        "the exact score and DDIM in 250 steps: energy distance": energy(exact_ddim, genuine),
        "95 % of real-against-real pairs stay below": limit,
    }
)

# %% [markdown]
# With ten steps nobody is good (8 to 12): each step is long, and a single Gaussian around one guess is a poor stand-in for all the $x_0$ that are still possible (section 2).
# With fifty, who draws new noise stands at 3 and DDIM at 7.
# Beyond that, patience is badly paid.
# Ancestral sampling gets *worse*, 3.2, 4.0 and 5.4, while the price rises from 97 to 1,944 seconds; DDIM creeps from 6.9 to 6.3.
# Only quarter fresh goes on falling, to 2.0 with a hundred steps: it renews a quarter in *every* step, where Algorithm 2 renews less and less as its steps get shorter.
# The second table takes our sampler apart, and is a lesson in tuning: new noise is what counts (7 or 6 becomes 3), but the bent ladder, which looked best on the seeds on which it was chosen, buys nothing on these; Algorithm 2 with fifty even steps does as well.
# (Ratios at n = 1,000 are not comparable with those at n = 5,000.)
#
# Why does new noise help?
# With the exact score it is not needed: the last printed numbers are for section 2's mixture, by DDIM.
# But the network errs, and DDIM carries every error on to the end.
# New noise makes a state forget part of where it went wrong, and the steps that follow correct it (Karras et al., 2022, make the same use of it).
#
# That DDIM is a *function* of the noise has two visible consequences.
# **Predict:** the same noise with 10, 20, 50 and 100 steps: the same digit, or four digits?
# And halfway between two noises?


# %%
def between(a, b, n):
    """n images on the great circle from noise a to noise b (1, 1, 28, 28).

    A straight line would leave the shell where noise lives.
    """
    angle = torch.acos((a * b).sum() / (a.norm() * b.norm()))
    f = torch.linspace(0, 1, n, device=a.device).view(-1, 1, 1, 1)
    return (torch.sin((1 - f) * angle) * a + torch.sin(f * angle) * b) / torch.sin(angle)


few_or_many = cu.budget((10, 20, 50, 100), (4, 6))
same = [ddim(predictor(unet), seeds, spaced(n), clip=1.0).cpu() for n in few_or_many]
ddim_ladder = spaced(few_or_many[-2])
path = []
for i, j in ((0, 1), (2, 3)):
    noises = between(seeds[i : i + 1], seeds[j : j + 1], 8)
    path.append(ddim(predictor(unet), noises, ddim_ladder, clip=1.0).cpu())

# %% tags=["figure", "slide"]
# @title Figure: the same noise in fewer and more steps, and noises between two
row_titles = [f"{count} steps" for count in few_or_many]
row_titles += ["noise 1 → noise 2", "noise 3 → noise 4"]
grid = torch.cat([*same, *path]) / 2 + 0.5
ax = cu.plots.image_grid(grid, rows=len(row_titles), row_titles=row_titles)
cu.show(
    ax.figure,
    "Upper rows: the same eight noises, drawn by DDIM with different numbers of steps. "
    "Lower rows: DDIM from noises between two of them.",
)

# %%
change = (same[0] - same[-1]).square().mean().sqrt()
strangers = (same[-1] - same[-1].roll(1, 0)).square().mean().sqrt()
cu.facts(
    {
        f"{few_or_many[0]} against {few_or_many[-1]} steps: r.m.s. difference": change,
        f"{few_or_many[-1]} steps, different noises: r.m.s. difference": strangers,
        "the first in percent of the second": f"{change / strangers:.0%}",
    }
)

# %% [markdown]
# Same noise, nearly the same picture: ten steps and a hundred differ by 28 % of what two different noises differ by.
# Strokes are closed and edges moved, and only the sixth and the eighth column are read differently for it.
# So $x_T$ is a *code* of the image, 784 numbers long, and DDIM is its decoder.
# Halfway between two noises there is a digit too, mostly: from the 4 to the 3 the way leads through 5s, from the 1 to the 3 through something like a D.
# No grey average of two digits, as in pixel space, but no meaning between the two ends either.

# %% [markdown]
# ## 7 · Condition and guide *(core)*
#
# "Draw a 7" needs $p(x\mid y)$.
# The network gets one more input, a label, as a vector added to that of the time; those vectors start at zero, so the conditional network can start from the weights we have and begin as the very same function.
# In training the label is **withheld** one time in ten, replaced by an eleventh label "not told".
# So one network knows both scores, with and without the label.

# %%
conditional = UNet(labels=10)
missing = conditional.load_state_dict(unet.state_dict(), strict=False)
assert missing.missing_keys == ["embed_label.weight"]
assert not missing.unexpected_keys
cu.prepare(conditional)
probe = torch.randn(4, 1, 28, 28, device=device)
times = torch.tensor([1, 300, 600, T], device=device)
labels = torch.tensor([0, 5, 9, 10], device=device)
with torch.no_grad():  # it begins as the very same function
    torch.testing.assert_close(conditional(probe, times, labels), unet(probe, times))


# %%
def conditional_loss(model, x, y):
    """The loss with labels y (B,), one in ten of them withheld (10 stands for "not told")."""
    withheld = torch.rand(len(y), device=y.device) < 0.1
    return diffusion_loss(model, x, torch.where(withheld, 10, y))


conditional_history = cu.fit(
    conditional,
    conditional_loss,
    cu.Batches(mnist.train, 64, labels=True),
    steps=40,
    full=3_000,
    lr=5e-4,
    schedule=warm_cosine,
    ema=0.9995,
    clip=1.0,
)

# %% tags=["author"]
cu.ship(
    "06_conditional",
    conditional_history.ema,
    conditional_history,
    what="class-conditional U-Net, started from 06_diffusion, labels withheld one time in ten",
    figures={"sum of absolute weights": (size(conditional_history.ema), 1.0)},
)

# %%
# From here on: the weights of the long run of the cell above.
conditional_run = cu.restore("06_conditional", conditional)

# %% [markdown]
# By Bayes' rule $\nabla\log p_t(x\mid y)=\nabla\log p_t(x)+\nabla\log p_t(y\mid x)$, since $p(y)$ does not depend on $x$.
# So the *difference* of the two scores is the gradient of a classifier that nobody trained.
# **Classifier-free guidance** (Ho and Salimans, 2022) takes more of it,
#
# $$\hat\varepsilon_w=\hat\varepsilon_\text{not told}+w\,\bigl(\hat\varepsilon_{y}-\hat\varepsilon_\text{not told}\bigr). \tag{11}$$
#
# $w=0$ ignores the label, $w=1$ is the conditional model, $w>1$ exaggerates what distinguishes a 7 from other digits.
#
# **Exercise 6 (core).**
# Write (11).


# %% tags=["exercise"]
def combine(eps_free, eps_label, w):
    """Equation (11): noise predicted without and with the label (B, …), scale w → (B, …)."""
    ### BEGIN SOLUTION
    return eps_free + w * (eps_label - eps_free)
    ### END SOLUTION


# %%
checked_combine = cu.check("06.guidance", combine)


# %%
def guided(net, y, w):
    """`predict(x, t)` with labels y (B,) at guidance scale w; both predictions in one batch."""

    def predict(x, t):
        n = len(x)
        if w == 1:
            return predictor(net, y)(x, t)
        not_told = torch.full_like(y, net.labels)
        both = predictor(net, torch.cat([not_told, y]))(torch.cat([x, x]), t)
        return checked_combine(both[:n], both[n:], w)

    return predict


SCALES = (0.0, 1.0, 1.5, 2.0, 3.0, 5.0, 8.0)


# %% tags=["author"]
@functools.cache
def measure_guidance(n=1_000):
    """Precision, recall, Fréchet ratio and label accuracy by scale, and grids of 100 digits."""
    figures = {"sum of absolute weights": (size(conditional), 1.0)}
    grids = []
    y = torch.arange(n) % 10
    real = cu.metrics.features(mnist.test.sample(n, seed=1).x)
    for w in SCALES:
        images = generate(conditional, n, spaced(50, bend=0.6), y=y, w=w, seed=7)
        spread = cu.metrics.precision_recall(real, cu.metrics.features(images))
        read_back = (classes(images.float() / 255) == y).float().mean().item()
        figures[f"w = {w:g}: precision"] = (spread["precision"], 0.05)
        figures[f"w = {w:g}: recall"] = (spread["recall"], 0.05)
        figures[f"w = {w:g}: ratio"] = (cu.metrics.quality(images).ratio, 2.0)
        figures[f"w = {w:g}: label read back"] = (read_back, 0.05)
        grids.append(images[:100, 0])
    return figures, (torch.stack(grids), torch.tensor([int(10 * w) for w in SCALES]))


if not cu.runs.available("06_guidance"):  # made once: delete the run to measure again
    cu.ship(
        "06_guidance",
        what="guidance at seven scales, n = 1000, 50 steps",
        figures=lambda: measure_guidance()[0],
        replay=lambda: measure_guidance()[1],
    )

# %% [markdown]
# Before the next figure, **predict**: as $w$ grows from 0 to 8, what happens to *precision* (share of samples that lie among real digits), to *recall* (share of real digits that lie among samples), and to the Fréchet distance?
# Which $w$ is best?

# %% tags=["figure", "slide"]
# @title Widget: guided digits and their measures, by scale
guidance_run = cu.runs.load("06_guidance")
guided_grids, _ = guidance_run.replay  # (scales, 100, 28, 28)
by_scale = {}
for what in ("precision", "recall", "ratio", "label read back"):
    by_scale[what] = [guidance_run.figure(f"w = {w:g}: {what}") for w in SCALES]


def draw_guidance(w):
    """A grid of 70 guided digits, one column a class, beside the curves with a mark at w."""
    fig, (left, middle, right) = plt.subplots(
        1, 3, figsize=(11.5, 3.9), width_ratios=(1.1, 1, 1)
    )
    grid = guided_grids[SCALES.index(w)][:70]
    cu.plots.image_grid(grid, rows=7, ax=left, note=False)
    left.set_title(f"w = {w:g}")
    for what in ("precision", "recall", "label read back"):
        middle.plot(SCALES, by_scale[what], "o-", label=what)
    middle.set(ylabel="share", ylim=(0, 1.03))
    right.plot(SCALES, by_scale["ratio"], "o-", color="#D55E00")
    right.set(ylabel="Fréchet ratio", ylim=(0, None))
    for ax in (middle, right):
        ax.axvline(w, color="black", linestyle=":")
        ax.set_xlabel("guidance scale w")
    middle.legend(fontsize=9)
    return fig


cu.explore(
    draw_guidance,
    "Left: 70 guided digits, one column a class. Middle: precision, recall and the share whose "
    "label is read back. Right: Fréchet ratio. All against the guidance scale, n = 1,000.",
    w={"options": list(SCALES), "value": 8.0},
)

# %% tags=["figure"]
# @title Table: what each scale of guidance gives and costs
rows = [[w, *values] for w, *values in zip(SCALES, *by_scale.values())]
cu.table(rows, ["w", *by_scale], "Shipped measurements, n = 1,000 a scale.", digits=2)
read = classes(torch.from_numpy(guided_grids[0]).float() / 255).bincount(minlength=10)
cu.facts("w = 0: the hundred draws of the grid by class 0 … 9", str(read.tolist()))

# %%
few = torch.arange(cu.budget(100, 20)) % 10
few_steps = spaced(cu.budget(20), bend=0.6)
for w in (1.0, 8.0):
    images = generate(conditional, len(few), few_steps, y=few, w=w, seed=8).float() / 255
    read_back = (classes(images) == few).float().mean()
    by_class = images.view(-1, 10, 784)
    cu.facts(
        {
            f"just now, w = {w:g}: label read back": f"{read_back:.0%}",
            f"just now, w = {w:g}: mean ink": images.mean(),
            f"just now, w = {w:g}: spread within a class": by_class.std(0).mean(),
        }
    )
cu.facts("real digits: mean ink", mnist.test.x[:1000].float().mean() / 255)

# %% [markdown]
# *With the label* ($w=1$) the ratio is 1.2, where the unconditional model has 2.4 at the same $n$: to be told what to draw is worth more than any sampler.
# But one label in ten is not read back.
# *Without it* ($w=0$) the same network has a ratio of 15, for a reason that the counts show: one 1 among a hundred draws.
# For 3,000 steps it was told the label nine times in ten, and what it draws when it is not told has drifted.
# That is the network which (11) subtracts.
# *With more of it* the labels come back (98 % at 1.5, all at 5), at a price that recall pays first: 0.93, 0.82, 0.40 at $w=1,2,8$, while the Fréchet ratio rises from 1.2 to 32.
# In the over-guided grid the strokes are a third fatter than at $w=1$ (mean ink 0.17 in place of 0.13) and the digits of a column are alike.
#
# Which $w$ is best?
# By Fréchet distance 1, by obedience 3.
# Guidance trades variety for obedience, and beyond 3 it loses precision as well (0.97, then 0.86): the samples leave the region of real digits.
#
# ### What does guidance sample from? *(deeper)*
#
# At $t=0$ the guided score is $\nabla\log p(x)+w\nabla\log p(y\mid x)$, the score of the sharpened density $p(x)\,p(y\mid x)^w$.
# It is tempting to conclude that guided samples have that density.
# But for $t>0$ the score needed is that of the sharpened density *after noising*, and noising does not commute with taking a power.
# In the exact mixture both sides are known, with the component as the label.
# The left-hand cloud is drawn without any diffusion: since $p(x)p(y\mid x)^w\propto p(x\mid y)\,p(y\mid x)^{w-1}$, draw from the component and keep a draw with probability $p(y\mid x)^{w-1}$.
# **Predict:** do the two clouds coincide?
# If not, which of them lies farther from the other components?

# %%
W = 4.0
label = 2
_, means, covs = toy
alone = (torch.ones(1).double(), means[label : label + 1], covs[label : label + 1])


def log_label(x, a):
    """log p_t(y | x) of the label in the noised mixture: (n,)."""
    joint = toy[0][label].log() + log_p_and_score(x, a, alone)[0]
    return joint - log_p_and_score(x, a)[0]


def sharpened(n, seed, w=W):
    """n exact draws (n, 2) from p(x) p(y | x)^w up to its constant, by rejection."""
    x = draw_mixture(8 * n, seed, alone)
    coin = torch.rand(len(x), generator=torch.Generator().manual_seed(seed + 10**6))
    keep = coin < ((w - 1) * log_label(x, abar[0])).exp()
    assert keep.sum() >= n
    return x[keep][:n]


# %%
def guided_exact(x, t, w=W):
    """Equation (11) with both exact predictions."""
    _, score = log_p_and_score(x, abar[t], alone)
    eps_label = -(1 - abar[t]).sqrt() * score
    return checked_combine(exact_eps(x, t), eps_label, w)


torch.testing.assert_close(guided_exact(data[:5], 300, w=0.0), exact_eps(data[:5], 300))
generator = torch.Generator().manual_seed(1)
steered = ancestral(guided_exact, noise_2d, ladder, generator=generator)
component = draw_mixture(n_test, 5, alone)
sharp = sharpened(n_test, 0)

# %% tags=["figure", "slide"]
# @title Figure: one component, its sharpened density, and guided draws
fig, axes = plt.subplots(1, 3, figsize=(11.5, 3.9), sharex=True, sharey=True)
clouds = {
    "p(x given y)": component,
    f"p(x) p(y given x)^{W:g}, exact": sharp,
    f"guided with w = {W:g}": steered,
}
for ax, (title, x) in zip(axes, clouds.items()):
    cu.plots.scatter(genuine[:400], ax=ax, s=3, color="#bbbbbb")
    cu.plots.scatter(x[:400], ax=ax, s=4, color="#D55E00")
    ax.set(xlim=(-4, 4), ylim=(-4, 4), title=title)
cu.show(
    fig,
    "One component of the mixture (left), the sharpened density sampled exactly (middle), and "
    "guided diffusion with exact scores (right); grey: the whole mixture.",
)

# %%
sharp_limit = real_vs_real(sharpened, n_test, cu.budget(40))
centre = toy[0] @ toy[1]  # the mean of the whole mixture: the guess at t = T without a label
far = centre + W * (toy[1][label] - centre)
cu.facts(
    {
        "energy distance between guided and sharpened": energy(steered, sharp),
        "95 % of pairs of sharpened clouds stay below": f"{sharp_limit:.4f}",
        "the guided guess at x_0 at t = T": f"({far[0]:.1f}, {far[1]:.1f})",
    }
)

# %% tags=["figure"]
# @title Table: where the three clouds lie
rows = []
for name, x in (("component", component), ("sharpened", sharp), ("guided", steered)):
    sure = log_label(x, abar[0]).exp().mean()
    rows.append([name, *x.mean(0).tolist(), *x.std(0).tolist(), f"{sure:.3f}"])
columns = ["cloud", "mean x₁", "mean x₂", "standard deviation x₁", "standard deviation x₂"]
cu.table(
    rows,
    [*columns, "p(label given x)"],
    f"n = {n_test:,} points each; last column: average over the points.",
    digits=2,
)

# %% [markdown]
# With exact scores and a thousand steps the guided cloud is not the sharpened one: their energy distance is 0.149, nearly ninety times the limit.
# Both are about equally wide, but the guided one lies farther out.
# From the component's own mean at height −1.00, sharpening moves it to −1.21 and guidance to −1.58, away from the two other components, to where the label is surer still (0.993 against 0.971) and where few points of the mixture ever were.
# The reason is what happens early: at $t=T$ the guided guess at $x_0$ is the printed one, far outside the sharpened cloud, and every point sets out for it.
# Guidance works, but it is a heuristic, with no simple formula for what it draws.

# %% [markdown]
# ## 8 · Use it *(deeper)*
#
# A model of $p(x)$ can be asked for what fits.
# Nothing is retrained here, and the network never saw a mask or a scribble.
#
# **Inpainting.**
# Run the way back, and after each step overwrite the known pixels with the *known image noised to the same level*, by (2).
# The network sees a picture that is consistent where it is known, and completes the rest to match.
# One trip is not enough: the new part was drawn before it knew about the pasted one.
# So each step is repeated: noise it forward again by (1), denoise, paste (RePaint; Lugmayr et al., 2022).
# **Predict:** does the repetition show?


# %%
def inpaint(predict, known, mask, times, repeats, generator):
    """Fill images known (n, 1, 28, 28) in [−1, 1] where mask (n, 1, 28, 28) is False.

    Gives the result before the last paste.
    """

    def new_noise():
        return torch.randn(known.shape, generator=generator).to(known)

    x = new_noise()
    for t, s in zip(times, times[1:]):
        level = torch.full((len(known),), s, device=known.device)
        for again in reversed(range(repeats if s else 1)):
            free = ancestral(predict, x, [t, s], clip=1.0, generator=generator)
            x = torch.where(mask, checked_q(known, level, new_noise(), abar), free)  # paste
            if again:  # forward again from s to t
                a = abar[t] / abar[s]
                x = a.sqrt() * x + (1 - a).sqrt() * new_noise()
    return free


# %% tags=["slide"]
more = cu.budget(32)
chosen = [1, 2, 3, 4, 7, 8, 9, *range(100, 100 + more)]  # seven to look at, the others to count
victims = torch.cat([mine, 2 * mnist.test.float()[chosen] - 1]).to(device)
mask = torch.ones_like(victims, dtype=torch.bool)
mask[:, :, 12:] = False  # the lower part is hidden
times = spaced(cu.budget(50, 4))
filled = {}
for repeats in (1, cu.budget(5)):
    generator = torch.Generator().manual_seed(0)
    filled[repeats] = inpaint(predictor(unet), victims, mask, times, repeats, generator)
pasted = {r: torch.where(mask, victims, image) for r, image in filled.items()}

# %% tags=["figure", "slide"]
# @title Figure: your digit and seven others, their lower part hidden and filled
hidden_shown = torch.where(mask, victims, torch.zeros(()).to(victims))
rows = [part[:8] for part in (hidden_shown, *pasted.values(), victims)]
row_titles = ["given", *(f"each step {r}×" for r in pasted), "truth"]
ax = cu.plots.image_grid(torch.cat(rows).cpu() / 2 + 0.5, rows=4, row_titles=row_titles)
cu.show(
    ax.figure,
    "Your digit and seven test digits with their lower part hidden (grey), two completions "
    "with the unconditional model, and the truth.",
)


# %%
def seam(images):
    """Mean step from the last known row of pixels to the first hidden one: [−1, 1] images."""
    return (images[:, :, 12] - images[:, :, 11]).abs().mean() / 2


def psnr_in(rows, images):
    """PSNR (n,) in dB of some rows of the images against those of the true digits."""
    made = (images[:, :, rows] / 2 + 0.5).clamp(0, 1)
    return cu.metrics.psnr(made, victims[:, :, rows] / 2 + 0.5)


# %%
true = classes(victims / 2 + 0.5)
for r, images in filled.items():
    inside = psnr_in(slice(12, 28), images)
    error = inside.std() / len(inside) ** 0.5
    kept = (classes(pasted[r] / 2 + 0.5) == true).float().mean()
    cu.facts(
        {
            f"each step {r}×: PSNR where pixels are known, dB": psnr_in(
                slice(12), images
            ).mean(),
            f"each step {r}×: PSNR where they are hidden, dB": (inside.mean(), error),
            f"each step {r}×: jump across the seam": seam(pasted[r]),
            f"each step {r}×: read as what the whole digit is read as": f"{kept:.0%}",
        }
    )
cu.facts("digits", len(victims), "jump across the seam in the true digits", seam(victims))

# %% [markdown]
# Repetition shows.
# Without it lower halves turn up that belong to another digit; with five repeats the jump across the seam falls from 0.115 to 0.095 (0.072 in real digits), and 65 % of the forty are read as what they were, in place of 52 % (forty digits leave either share eight points of doubt).
# The PSNR inside, 10.1 and 10.7 dB, hardly notices: another good lower half is as wrong, pixel by pixel, as a bad one.
# Where pixels are known the model's own last step gives them back at 42.6 dB, before anything is pasted: it drew around them, not over them.
# (Lesson 02 explains why, where pixels are hidden, the PSNR of a *perfect* draw is 3 dB below that of the mean.)
#
# **A stroke to a digit.**
# Start the way back not from noise but half-way, from a rough stroke noised to time $t$ by (2).
# What the noise has drowned is drawn anew, what has survived is kept (SDEdit; Meng et al., 2022).
# **Predict** for small, middle and large $t$: kept, repaired, ignored?


# %%
def stroke(*corners, thickness=1.4):
    """A rough stroke through corners (x, y) in pixels: (1, 1, 28, 28) in [−1, 1]."""
    axis = torch.arange(28.0)
    grid = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), -1)  # (28, 28, 2)
    points = torch.tensor(corners, dtype=torch.float32)
    a = points[:-1, None, None]  # (segments, 1, 1, 2)
    b = points[1:, None, None]
    along = (((grid - a) * (b - a)).sum(-1) / (b - a).square().sum(-1)).clamp(0, 1)[..., None]
    distance = (grid - a - along * (b - a)).norm(dim=-1).min(0).values
    return ((thickness - distance).clamp(-0.5, 0.5) * 2)[None, None]


scribble = stroke((8, 7), (19, 6), (11, 14), (19, 20), (7, 22))  # five corners, meant as a 3


# %%
@functools.cache
def repaired(t):
    """Six digits (6, 28, 28) in [0, 1] from the scribble, noised to time t and brought back."""
    eps = torch.randn(6, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    copies = scribble.expand(6, -1, -1, -1)
    start = checked_q(copies, torch.full((6,), t), eps, abar).to(device)
    times = spaced(cu.budget(max(2, t // 20)), start=t, bend=0.6)
    generator = torch.Generator().manual_seed(1)
    ends = refreshed(predictor(unet), start, times, clip=1.0, generator=generator)
    return (ends.cpu().squeeze(1) / 2 + 0.5).clamp(0, 1)


STARTS = cu.budget([100, 200, 300, 400, 500, 600, 700, 800, 900], [200, 800])


# %% tags=["figure", "slide"]
# @title Widget: a stroke, and six digits made of it
def with_stroke(t):
    """The scribble and the six digits that start from it at time t: (7, 28, 28)."""
    return torch.cat([scribble[0] / 2 + 0.5, repaired(t)])


def draw_repair(t):
    """The scribble and six digits that start from it at time t."""
    titles = ["stroke", *"123456"]
    ax = cu.plots.image_grid(with_stroke(t), rows=1, titles=titles, note=False)
    ax.set_xlabel(f"from t = {t}")
    return ax.figure


def all_repairs():
    """The static picture: several starting times below each other."""
    shown = STARTS[1::2]
    rows = torch.cat([with_stroke(t) for t in shown])
    titles = ["stroke", *"123456"] if len(shown) == 1 else None
    row_titles = [f"from t = {t}" for t in shown]
    ax = cu.plots.image_grid(rows, rows=len(shown), row_titles=row_titles, titles=titles)
    return ax.figure


cu.explore(
    draw_repair,
    "A stroke drawn with a ruler (left), and six digits that the unconditional model makes of "
    "it when it starts from the stroke noised to time t.",
    t={"options": STARTS, "value": STARTS[len(STARTS) // 2]},
    static=all_repairs,
)

# %%
for t in STARTS:
    away = (repaired(t) - (scribble[0] / 2 + 0.5)).square().mean().sqrt()
    read = sorted(classes(repaired(t)).tolist())
    print(f"from t = {t}: read as {read}, r.m.s. distance from the stroke {away:.2f}")

# %% [markdown]
# Up to $t=400$ it is the same stroke with its corners rounded.
# From 600 it is handwriting, six different hands, and still six 3s.
# From 800 one of the six is an 8 and one a 2, and from 900 only one is a 3: the stroke is forgotten.
# The useful starting time lies where the fork of section 5 showed the class decided but the hand still open, between 500 and 700.

# %% [markdown]
# ## 9 · Why doesn't it copy? *(deeper)*
#
# The data are 55,000 images.
# Noised by (2), the *empirical* distribution is a mixture of 55,000 Gaussians, one around each $\sqrt{\bar\alpha_t}\,x^{(i)}$, all with variance $1-\bar\alpha_t$.
# Its score is known exactly, as in section 2:
#
# $$E[x_0\mid x_t]=\sum_i \rho_i\,x^{(i)},\qquad \rho=\operatorname{softmax}_i\Bigl(-\frac{\lVert x_t-\sqrt{\bar\alpha_t}x^{(i)}\rVert^2}{2(1-\bar\alpha_t)}\Bigr). \tag{12}$$
#
# And this, not the score of "digits in general", is what minimises the training loss (8) over all functions.
# **Predict:** run the way back with (12), no network.
# What comes out?


# %%
def empirical(data):
    """`predict(x, t)` → E[ε | x_t] for the empirical distribution of data (N, 784): (12)."""
    half_square = data.square().sum(1) / 2

    def predict(x, t):
        a = abar[t]
        flat = x.flatten(1)
        # ‖x_t‖² is the same for all i
        logits = (a.sqrt() * flat @ data.T - a * half_square) / (1 - a)
        x0 = logits.softmax(1) @ data
        return ((flat - a.sqrt() * x0) / (1 - a).sqrt()).view_as(x)

    return predict


def nearest(x, data):
    """Distance (n,) of images x (n, 784) to their nearest of data (N, 784), and which it is."""
    found = [torch.cdist(part, data).min(1) for part in x.split(500)]
    distance = torch.cat([part.values for part in found])
    which = torch.cat([part.indices for part in found])
    return distance, which


# %%
archive = 2 * mnist.train.flat()[: cu.budget(55_000)] - 1
noise_images = torch.randn(12, 1, 28, 28, generator=torch.Generator().manual_seed(0))
times = spaced(cu.budget(100))
generator = torch.Generator().manual_seed(1)
copies = ancestral(empirical(archive), noise_images, times, generator=generator)
gap, which = nearest(copies.flatten(1), archive)
gap = gap / 2  # as distances between images in [0, 1]
strangers, _ = nearest(2 * mnist.test.flat()[:200] - 1, archive)
cu.facts(
    {
        "images from the exact empirical score": len(copies),
        "of them a training image to within 0.05": (gap < 0.05).sum(),
        "largest distance to the nearest training image": f"{gap.max():.4f}",
        "test digits: distance to the nearest training image": strangers.mean() / 2,
    }
)

# %% [markdown]
# Twelve training images, to within 0.008, where real digits are 4.1 from their nearest neighbour.
# **The best possible loss is a copying machine.**
# A network generates because it does *not* reach the minimum: it is too smooth, sees every image only sixteen times, and its errors are shared between images.
# So memorisation should begin where it *can* reach the minimum: few images, many visits.
#
# Train on 100 images.
# At each preview, take the distance of 36 draws to the nearest of the 100, and compare with that of fresh test digits to the same 100.
# **Predict** the curve.

# %%
hundred = mnist.train.sample(100, seed=0)
torch.manual_seed(0)
small = UNet(width=32)
small_ladder = spaced(cu.budget(10, full=50), bend=0.6)


def preview_hundred(step):
    """36 draws from the same noise each time."""
    return generate(small, 36, small_ladder, seed=1)


looks = cu.budget([30], [8], full=[0, 100, 250, 500, 1_000, 1_750, 2_500, 3_500, 5_000])
hundred_history = cu.fit(
    small,
    diffusion_loss,
    cu.Batches(hundred, 50),
    steps=30,
    full=5_000,
    lr=2e-3,
    schedule=warm_cosine,
    ema=0.999,
    clip=1.0,
    preview=preview_hundred,
    preview_at=looks,
)

# %% tags=["author"]
cu.ship(
    "06_hundred",
    history=hundred_history,
    what="the same recipe on 100 training images, width 32: draws along the training",
)


# %%
def images_of(draws):
    """uint8 draws (n, 28, 28) as rows (n, 784) in [0, 1]."""
    return torch.from_numpy(draws).flatten(1).float() / 255


# From here on: the draws along the long run of the cell above.
frames, at_step = cu.runs.load("06_hundred").replay
hundred_flat = hundred.flat()
n_fresh = cu.budget(2_000)
fresh = mnist.test.flat()[:n_fresh]
of_frames = [nearest(images_of(frame), hundred_flat)[0].median() for frame in frames]
of_fresh, _ = nearest(fresh, hundred_flat)
home = mnist.train.flat()[: cu.budget(55_000)]
of_model, _ = nearest(images_of(run.samples[:n_fresh]), home)
of_test, _ = nearest(fresh, home)

# %% tags=["figure", "slide"]
# @title Figure: distances to the nearest training image
fig, axes = plt.subplots(1, 3, figsize=(13, 3.7), width_ratios=(1, 1, 1.1))
copied = archive[which[:6]].view(-1, 1, 28, 28)
grid = torch.cat([copies[:6], copied]) / 2 + 0.5
cu.plots.image_grid(grid, rows=2, row_titles=["drawn", "nearest"], ax=axes[0], note=False)
axes[0].set_title("Exact empirical score: copies")
axes[1].plot(at_step, of_frames, "o-", label="draws")
axes[1].axhline(of_fresh.median(), color="black", linestyle=":", label="fresh test digits")
axes[1].set_xscale("symlog", linthresh=100)
axes[1].set(xlim=(0, None), ylim=(0, None), title="100 images: it learns them by heart")
axes[1].set(xlabel="training step", ylabel="median distance to nearest of 100")
axes[1].legend(fontsize=9)
bins = torch.linspace(0, 11, 45).tolist()
for distances, label in ((of_test, "test digits"), (of_model, "shipped model's draws")):
    axes[2].hist(distances.numpy(), bins=bins, alpha=0.6, label=label, density=True)
axes[2].set(xlabel="distance to the nearest of 55,000", ylabel="density")
axes[2].set_title("55,000 images: no copies")
axes[2].legend(fontsize=9)
cu.show(
    fig,
    "Left: draws with the exact empirical score above their nearest training image. "
    "Middle: a network trained on 100 images, median distance of its draws to the nearest of "
    "them. "
    "Right: distance to the nearest training image for the shipped model's draws and for test "
    "digits.",
)

# %% tags=["figure"]
# @title Table: distances to the hundred, along the training
cu.table(
    [[step, distance.item()] for step, distance in zip(at_step.tolist(), of_frames)],
    ["training step", "median distance"],
    "From 36 draws to the nearest of the hundred; "
    f"of fresh test digits {of_fresh.median():.2f}.",
    digits=2,
)

# %%
suspects = (of_model < of_test.min()).sum()
cu.facts(
    {
        "shipped model's draws, median distance": of_model.median(),
        "test digits, median distance": of_test.median(),
        "shipped model's draws, 1 % are nearer than": of_model.quantile(0.01),
        "test digits, 1 % are nearer than": of_test.quantile(0.01),
        "the nearest test digit": of_test.min(),
        f"of {len(of_model):,} draws nearer than the nearest test digit": suspects,
    }
)

# %% [markdown]
# With a hundred images memorisation needs no patience.
# After 100 steps the draws are about as far from the hundred as fresh digits are (7.4 and 6.9), after 1,000 half as far, and after 5,000 steps of 50, that is 2,500 visits to each image, the median distance is 0.24:
# copies, by a network with a smooth-running loss that never hinted at it.
# With 55,000 the histograms lie on each other: medians 4.41 for the shipped model's draws and 4.43 for test digits; one draw in a hundred is nearer than 1.38, one test digit in a hundred nearer than 1.25.
# A draw nearer to a training image than any test digit would be a suspect; the last line counts them: none of 2,000.
# With 55,000 images and sixteen visits each the network has neither the weights nor the time to learn its minimum.

# %% [markdown]
# ## 10 · What it costs *(deeper)*
#
# **Predict:** what do the ideas of section 5 buy: the velocity, the stratified times, the falling learning rate, the average of weights?

# %% tags=["author"]
RECIPES = [  # what is predicted, are the times stratified, schedule of the learning rate
    ("plain: ε, independent times, constant rate", "eps", False, None),
    ("v instead of ε", "v", False, None),
    ("+ stratified times", "v", True, None),
    ("+ falling learning rate", "v", True, warm_cosine),
]


def train_recipe(target, stratified, schedule):
    """1,500 steps of one recipe: the network, and the average of its weights."""
    torch.manual_seed(0)
    net = UNet()
    loss = functools.partial(diffusion_loss, target=target, stratified=stratified)
    trained = cu.fit(
        net,
        loss,
        cu.Batches(mnist.train, 64),
        steps=4,
        full=1_500,
        lr=2e-3,
        schedule=schedule,
        ema=0.998,
        clip=1.0,
    )
    return net, trained.ema


def ratio_of(net, target, n=1_000):
    """Fréchet ratio of n draws by DDIM in fifty steps, with its tolerance."""
    ratio = cu.metrics.quality(generate(net, n, spaced(50), ddim, target=target)).ratio
    return ratio, 0.2 * ratio


def idea_figures():
    """Four recipes, each with one idea more."""
    figures = {}
    for name, target, stratified, schedule in RECIPES:
        net, average = train_recipe(target, stratified, schedule)
        figures[f"{name}: ratio"] = ratio_of(net, target)
        if stratified:
            figures[f"{name}, weights averaged: ratio"] = ratio_of(average, target)
    return figures


if not cu.runs.available("06_ideas"):  # made once: delete the run to measure again
    what = "what each idea buys: 1,500 steps of 64, n = 1,000"
    cu.ship("06_ideas", what=what, figures=idea_figures)

# %% tags=["figure"]
# @title Table: one idea more in each row
ideas = cu.runs.load("06_ideas")
cu.table(
    [[name.removesuffix(": ratio"), ideas.figure(name)] for name in ideas.card["figures"]],
    ["recipe", "Fréchet ratio"],
    "1,500 steps of 64 each (a ninth of the shipped run), n = 1,000, DDIM in 50 steps. "
    "Each recipe adds one idea to the recipe above.",
    digits=1,
)

# %% tags=["figure"]
# @title Figure: quality against hours of training
curve = {}
for name in run.card["figures"]:
    if "CPU hours" in name:
        curve[float(name.split()[3])] = run.figure(name)
if curve:
    fig, ax = plt.subplots(figsize=(6.5, 3.4))
    ax.loglog(list(curve), list(curve.values()), "o-")
    ax.axhline(1, color="black", linestyle=":")
    ax.set(xlabel="hours of training on one CPU core", ylabel="Fréchet ratio, n = 1,000")
    ax.set_title("Plain DDIM: the last 15 minutes buy nothing")
    cu.show(
        fig,
        "Fréchet ratio of 1,000 samples (DDIM, 50 steps, EMA weights) against hours of "
        "training on one CPU core; dotted: real digits against real digits.",
    )

# %% tags=["figure"]
# @title Table: the shipped model, its curve and its final draws
rows = [[f"DDIM after {hours:.2f} hours", ratio, ""] for hours, ratio in curve.items()]
for name in ("raw weights, n = 1000", "EMA weights, n = 1000", "EMA weights, n = 5000"):
    ratio = run.figure(f"Fréchet ratio, {name}")
    rows.append([f"final {name}", ratio, f"{run.figure(f'Fréchet distance, {name}'):.1f}"])
cu.table(
    rows,
    ["draws", "Fréchet ratio", "Fréchet distance"],
    "From the card of the shipped run; the final draws with a quarter of the noise renewed.",
    digits=1,
)

# %%
n_timed = cu.budget(100)
steps_timed = cu.budget(10)
began = time.process_time()
generate(unet, n_timed, spaced(steps_timed), ddim)
per_evaluation = (time.process_time() - began) / n_timed / steps_timed

# %% tags=["figure"]
# @title Table: the price of a thousand images
rows = []
for name, count in (("one jump", 1), ("DDIM, fresh or not", 10), ("DDIM, fresh or not", 50)):
    rows.append([f"{name}, {count} steps", count, per_evaluation * count * 1_000])
rows.append(["ancestral, 1000 steps", 1_000, per_evaluation * 1_000 * 1_000])
cu.table(
    rows,
    ["sampler", "network evaluations an image", "CPU seconds per 1,000 images"],
    "Measured just now with the shipped network: time of one evaluation, times their number.",
    digits=0,
)

# %% [markdown]
# *The ideas.*
# After 1,500 steps the velocity has bought most: the ratio falls from 123 to 65.
# Next comes the falling learning rate, 64 to 39.
# The average of the weights does nearly the same for a rate that does not fall (64 to 44), and nothing on top of one that does (39 and 40; the shipped run has 2.6 with the last weights, 2.4 with their average):
# both average the noise of the steps away, and once is enough.
# Stratified times show nothing.
# One seed each, so differences of a tenth mean nothing either.
#
# *The hours.*
# From 2 minutes to 20 the ratio falls from 117 to 18; in the last quarter of an hour it does not move (7.6, 7.7).
# Before you blame the network, look at section 6: the curve was drawn by plain DDIM, and with a quarter of the noise renewed the same last weights reach 2.4.
# The best idea of this lesson cost no training at all.
#
# *The price* stands in the last table: fifty evaluations where a GAN needs one.
# Lesson 14 brings the number down.

# %% [markdown]
# ## What to take home *(core)*
#
# - *Forward is free.*
#   One jump (2) equals $t$ steps (1), measured to within Monte Carlo error (section 1).
# - *Backward is the score.*
#   With the exact score the way back returns the mixture, by a test fixed beforehand; and so does a learned one, by the same test (section 2).
# - *The simple loss is the bound* without its weights $\lambda_t$; $\varepsilon$, $x_0$ and $v$ are one guess in three units (section 3).
# - *Two functions are the method,* and the index has two ends (section 4).
#   The layout comes first, the class is decided midway (section 5).
# - *Sampling is a choice made after training:* fifty steps or a thousand, noisy or not (6), with a label and more of it (7), around a mask or from a scribble (8).
# - *It generates because it does not reach its minimum* (section 9).
#
# **What breaks, and why.**
# Too few steps: each draws around one guess where many pictures were still possible.
# Too much guidance: all 7s alike.
# Too few images: copies.
# And the price: one image costs fifty evaluations of the network.
#
# **References.**
# O. Ronneberger, P. Fischer and T. Brox, *U-Net: convolutional networks for biomedical image segmentation*, 2015.
# Y. Song and S. Ermon, *Generative modeling by estimating gradients of the data distribution*, 2019.
# J. Sohl-Dickstein et al., *Deep unsupervised learning using nonequilibrium thermodynamics*, 2015.
# J. Ho, A. Jain and P. Abbeel, *Denoising diffusion probabilistic models*, 2020.
# A. Nichol and P. Dhariwal, *Improved denoising diffusion probabilistic models*, 2021.
# J. Song, C. Meng and S. Ermon, *Denoising diffusion implicit models*, 2021.
# J. Ho and T. Salimans, *Classifier-free diffusion guidance*, 2022.
# T. Salimans and J. Ho, *Progressive distillation for fast sampling of diffusion models*, 2022.
# T. Karras, M. Aittala, T. Aila and S. Laine, *Elucidating the design space of diffusion-based generative models*, 2022.
# A. Lugmayr et al., *RePaint: inpainting using denoising diffusion probabilistic models*, 2022.
# C. Meng et al., *SDEdit: guided image synthesis and editing with stochastic differential equations*, 2022.
# G. Székely and M. Rizzo, *Energy statistics: a class of statistics based on distances*, 2013.
#
# **The failure that the next lesson repairs:** on what grounds do we call these digits better, or worse, than those of lessons 04 and 05?
# We have looked at one number of one ruler.
# Lesson 07 puts all models on one bench.
