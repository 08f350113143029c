# %% [markdown]
# # 06 Diffusion
#
# **Destroying structure is easy and known exactly; learn one small step of undoing it, and take many.**
#
# Below are digits that nobody wrote. Each began as an image of pure noise, and a network with 1.3 million weights removed a little of it, fifty times. **Predict:** at which of the fifty steps is it decided *which* digit comes out: early, in the middle, or at the end?

# %% tags=["setup"]
import functools
import json
import math
import time

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from torch import nn
from torch.distributions import MultivariateNormal, Normal, kl_divergence

import course_utils as cu
from course_utils.unet import time_features

device = cu.setup()

# %% slideshow={"slide_type": "slide"}
for run in cu.runs.available("06_diffusion"):  # section 5 makes it
    ax = cu.plots.image_grid(run.samples[:24], rows=2)
    cu.show(ax.figure, "24 draws of the model of this lesson, as they come, none picked.")

# %% [markdown]
# Section 5 makes them and answers the question. The models so far wrote an image in one go: a decoder (04), a generator (05). One jump from noise to digit is hard to learn: lesson 04 paid for it with blur, lesson 05 with a game. Here the jump is cut into a thousand small steps, and each is a regression.
#
# **After this lesson you can** noise a picture to any level in one line, and prove that line · say why the way back is the score, and run it without a network where the score is known · derive the simple loss from the bound of lesson 04 and say what was dropped · write training and sampling as one function each, without an off-by-one · sample in a thousand steps or in fifty, and measure what that costs · steer with labels, and show how over-steering fails · repair a picture with a model that never saw a mask · explain why the network must *not* reach the best possible loss.
#
# **Builds on** 02 (mixtures, products of Gaussians), 03 (denoising and the score), 04 (the bound); Appendix A, Cards 4 (Gaussians), 5 (KL), 6 (convolutions) and 7 (Fréchet distance). **Runs** in about two and a half minutes on two CPU cores. Sections 1–5 and 7 are *core* except where marked and fill a class of 75 minutes; the others are *deeper*.
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
# A drop of ink in water needs no plan to spread (the picture is that of Sohl-Dickstein et al., 2015, who began this). One step of **forward noising** shrinks the data a little and adds a little noise,
#
# $$x_t=\sqrt{1-\beta_t}\;x_{t-1}+\sqrt{\beta_t}\;\varepsilon_t,\qquad \varepsilon_t\sim N(0,I), \tag{1}$$
#
# so that $q(x_t\mid x_{t-1})=N(\sqrt{\alpha_t}\,x_{t-1},\beta_tI)$. Why shrink? If $x_{t-1}$ has variance 1, so has $x_t$: $\alpha_t\cdot1+\beta_t=1$. Without the shrinking the variance would grow with every step.
#
# A thousand steps can be taken in one. Put (1) for $t-1$ into (1) for $t$: $x_t=\sqrt{\alpha_t\alpha_{t-1}}\,x_{t-2}+\sqrt{\alpha_t\beta_{t-1}}\,\varepsilon_{t-1}+\sqrt{\beta_t}\,\varepsilon_t$. The two noises are independent, so their sum is one Gaussian with variance $\alpha_t\beta_{t-1}+\beta_t=\alpha_t(1-\alpha_{t-1})+1-\alpha_t=1-\alpha_t\alpha_{t-1}$. The pattern has reproduced itself with $\alpha_t\alpha_{t-1}$ in the place of $\alpha_t$; repeat it down to $x_0$:
#
# $$x_t=\sqrt{\bar\alpha_t}\;x_0+\sqrt{1-\bar\alpha_t}\;\varepsilon,\qquad \bar\alpha_t=\prod_{s=1}^t\alpha_s,\quad \varepsilon\sim N(0,I). \tag{2}$$
#
# What remains is to choose the $\beta_t$. Ho et al. (2020) let them rise in a line from $10^{-4}$ to 0.02. Nichol and Dhariwal (2021) found that this drowns small images too early, and prescribe $\bar\alpha_t$ directly: $\bar\alpha_t=f(t)/f(0)$ with $f(t)=\cos^2\bigl(\frac\pi2\cdot\frac{t/T+s}{1+s}\bigr)$ and $s=0.008$.
#
# **Exercise 1 (core).** The cosine schedule. Mind the ends: the array has $T+1$ entries, and entry 0 is the clean picture.

# %% tags=["exercise"]
def cosine_alpha_bar(T, s=0.008):
    """ᾱ_0, ᾱ_1, …, ᾱ_T of the cosine schedule: float64 (T + 1,); ᾱ_t = f(t) / f(0), f(t) = cos²(π/2 · (t/T + s) / (1 + s))."""
    ### BEGIN SOLUTION
    done = torch.arange(T + 1, dtype=torch.float64) / T
    f = torch.cos(math.pi / 2 * (done + s) / (1 + s)) ** 2
    return f / f[0]
    ### END SOLUTION


# %%
checked_cosine = cu.check("06.cosine", cosine_alpha_bar)

# %% [markdown]
# The last $\bar\alpha_T$ is 0, and later formulas divide by it. As in the paper no step may take more than $\beta_t=0.999$, which leaves $\bar\alpha_T$ at a few billionths.
#
# The **signal-to-noise ratio** of (2) is $\mathrm{SNR}(t)=\bar\alpha_t/(1-\bar\alpha_t)$. **Predict:** at which $t$ do signal and noise weigh the same under each schedule? From which $t$ on could *you* not read the digit any more?

# %%
T = 1000


def linear_alpha_bar(T):
    """ᾱ_0 … ᾱ_T, float64 (T + 1,), for β_t that rise in a line from 1e-4 to 0.02."""
    beta = torch.linspace(1e-4, 0.02, T, dtype=torch.float64)
    return torch.cat([beta.new_ones(1), (1 - beta).cumprod(0)])


def step_sizes(alpha_bar):
    """β_0 = 0, β_1, …, β_T with β_t = 1 − ᾱ_t / ᾱ_{t−1}, at most 0.999: (T + 1,) → (T + 1,)."""
    return F.pad((1 - alpha_bar[1:] / alpha_bar[:-1]).clamp(max=0.999), (1, 0))


beta = step_sizes(checked_cosine(T))
abar = (1 - beta).cumprod(0)  # the schedule of this lesson: abar[0] is 1, abar[T] the noisiest
assert abar[0] == 1 and len(abar) == T + 1 and 0 < abar[T] < 1e-8
mnist = cu.mnist()
mine = cu.my_digit().float().div(127.5).sub(1)[None]  # (1, 1, 28, 28) in [−1, 1], the scale of this lesson

# %% [markdown]
# **Exercise 2 (core).** Equation (2) for a whole batch, in which every example has a time of its own. The same function must serve points $(B, 2)$ and images $(B, 1, 28, 28)$: give $\bar\alpha_t$ as many axes as $x_0$ has.

# %% tags=["exercise"]
def q_sample(x0, t, eps, alpha_bar):
    """Equation (2): x0, eps (B, …), t int64 (B,) in 0 … T, alpha_bar (T + 1,) → x_t (B, …)."""
    ### BEGIN SOLUTION
    a = alpha_bar.to(x0)[t].view(-1, *[1] * (x0.dim() - 1))  # (B, 1, …)
    return a.sqrt() * x0 + (1 - a).sqrt() * eps
    ### END SOLUTION


# %%
checked_q = cu.check("06.q_sample", q_sample)

# %% slideshow={"slide_type": "slide"}
schedules, shown = {"linear": linear_alpha_bar(T), "cosine": abar}, torch.arange(0, T + 1, 125)
fig, (left, right) = plt.subplots(1, 2, figsize=(12, 3.3), width_ratios=(1, 1.9))
for name, a in schedules.items():
    left.semilogy(range(1, T + 1), a[1:] / (1 - a[1:]), label=name)
    print(f"{name}: signal and noise weigh the same at t = {int((a - 0.5).abs().argmin())}, and less than 1 % of the power is signal from t = {int((a < 0.01).nonzero()[0])} on")
left.axhline(1, color="black", linewidth=1, linestyle=":")
left.set(xlabel="t", ylabel="SNR", ylim=(1e-5, 1e5), title="Two ways to forget")
left.legend()
noise = torch.randn(1, 1, 28, 28, generator=torch.Generator().manual_seed(0)).expand(len(shown), -1, -1, -1)
rows = torch.cat([checked_q(mine.expand_as(noise), shown, noise, a) for a in schedules.values()])
cu.plots.image_grid(rows / 2 + 0.5, rows=2, row_titles=list(schedules), ax=right, note=False)
right.set_xlabel("t = 0, 125, …, 1000", fontsize=11)
cu.show(fig, "Left: signal-to-noise ratio against t for the linear and the cosine schedule; dotted where signal and noise weigh the same. Right: your digit under both, with the same noise.")

# %% [markdown]
# The linear schedule reaches equal weights at $t=259$, the cosine at 496, just before half-time. The digit can still be read at $t=375$ under the linear one and not at 500; under the cosine up to about 625, and not at 750. Under the linear one, less than 1 % of the power is signal in the last third of the steps (from $t=674$ on, under the cosine from 936 on): by eye it is noise, and little is left to learn there. Nichol and Dhariwal could skip a fifth of the way back almost unnoticed. We use the cosine schedule throughout.
#
# Now the claim of (2): one jump is as good as $t$ small steps. Take one point, walk 20,000 independent chains by (1), and compare means and variances with (2).

# %%
def walk(x0, n, marks):
    """n chains of T small steps (1) from the point x0 (2,): {t: x_t (n, 2) float64} for t in marks."""
    x, found = x0.double().expand(n, 2), {}
    for t in range(1, T + 1):
        x = (1 - beta[t]).sqrt() * x + beta[t].sqrt() * torch.randn(n, 2, dtype=torch.float64)
        if t in marks:
            found[t] = x
    return found


start, n_walks, rows = torch.tensor([1.5, -0.5]).double(), cu.budget(20_000, 2_000), []
for t, x in walk(start, n_walks, (1, 10, 100, 300, 600, 1000)).items():
    expected, variance = abar[t].sqrt() * start, 1 - abar[t]
    errors = torch.cat([(x.mean(0) - expected) / (variance / n_walks).sqrt(), (x.var(0) / variance - 1) * math.sqrt((n_walks - 1) / 2)])
    assert errors.abs().max() < 5  # standard errors
    rows.append([t, float(expected[0]), float(x[:, 0].mean()), float(variance), float(x[:, 0].var()), float(errors.abs().max())])
cu.table(rows, ["t", "mean by (2)", "mean of the walks", "variance by (2)", "variance of the walks", "largest error, in standard errors"],
         f"First coordinate of {n_walks:,} walks of t small steps from the point (1.5, −0.5); last column over both coordinates, means and variances.", digits=4)  # fmt: skip

# %% [markdown]
# Means and variances agree to within the error that 20,000 walks have: of 24 comparisons the largest is off by 1.6 standard errors. So training never needs to walk: it jumps.
#
# **Predict** before you slide: which goes first, the two moons or the fact that there are two of them? The fine strokes of the digit or its slant?

# %% slideshow={"slide_type": "slide"}
ink, ink_labels = cu.moons(1_000, seed=0, labels=True)
ink_noise, digit_noise = torch.randn(1_000, 2, generator=torch.Generator().manual_seed(1)), noise[:1]


def draw_forward(t):
    """1,000 points and your digit after t steps of noise."""
    fig, axes = plt.subplots(1, 2, figsize=(7.6, 3.6))
    cu.plots.scatter(checked_q(ink, torch.full((1_000,), t), ink_noise, abar), ink_labels, ax=axes[0], names=["upper", "lower"], s=5)
    axes[0].get_legend().remove()
    axes[0].set(xlim=(-3.5, 3.5), ylim=(-3.5, 3.5), title=f"t = {t}, ᾱ = {abar[t]:.3f}")
    cu.plots.image_grid(checked_q(mine, torch.tensor([t]), digit_noise, abar) / 2 + 0.5, ax=axes[1], note=False)
    return fig


cu.explore(draw_forward, "Left: 1,000 points of two moons after t steps of noise, coloured by moon. Right: your digit after as many.", play=True,
           t={"min": 0, "max": T, "step": 25, "value": 250})  # fmt: skip

# %% [markdown]
# The gap between the arcs closes first, then the arcs dissolve; that one colour sits above the other survives longest. Coarse structure outlives fine structure. Backwards this becomes a plan: **first the layout, then the strokes, then the edges.**

# %% [markdown]
# ## 2 · The arrow back is the score *(core)*
#
# Which way back? Suppose for a moment that somebody tells us $x_0$. Then the step back from $x_t$ to an earlier $x_s$, $s<t$, follows from Bayes' rule:
#
# $$q(x_s\mid x_t,x_0)\propto q(x_t\mid x_s)\,q(x_s\mid x_0)=N\bigl(x_t;\sqrt{a}\,x_s,\,b\,I\bigr)\,N\bigl(x_s;\sqrt{\bar\alpha_s}\,x_0,\,(1-\bar\alpha_s)I\bigr),\qquad a=\frac{\bar\alpha_t}{\bar\alpha_s},\ b=1-a .$$
#
# For $s=t-1$ this is one step, $a=\alpha_t$ and $b=\beta_t$; nothing below needs that. As a function of $x_s$ both factors are Gaussian, and by lesson 02, equation (2), a product of Gaussians is one Gaussian: precisions (inverse variances) add, and means are averaged with the precisions as weights. The first factor, read in $x_s$, has mean $x_t/\sqrt a$ and precision $a/b$; the second has mean $\sqrt{\bar\alpha_s}x_0$ and precision $1/(1-\bar\alpha_s)$. The precisions add to
# $$\frac ab+\frac1{1-\bar\alpha_s}=\frac{a(1-\bar\alpha_s)+b}{b(1-\bar\alpha_s)}=\frac{1-\bar\alpha_t}{b\,(1-\bar\alpha_s)},\qquad\text{since } a+b=1,\ a\,\bar\alpha_s=\bar\alpha_t,$$
# and therefore
#
# $$q(x_s\mid x_t,x_0)=N(\tilde\mu,\tilde\beta I),\qquad \tilde\beta=\frac{1-\bar\alpha_s}{1-\bar\alpha_t}\,b,\qquad \tilde\mu=\tilde\beta\Bigl[\frac{\sqrt a}{b}\,x_t+\frac{\sqrt{\bar\alpha_s}}{1-\bar\alpha_s}\,x_0\Bigr]=\frac{\sqrt{a}\,(1-\bar\alpha_s)\,x_t+\sqrt{\bar\alpha_s}\;b\;x_0}{1-\bar\alpha_t}. \tag{3}$$
#
# **Exercise 3 (core).** Write (3). At $s=0$, where $\bar\alpha_s=1$, look at what it says: mean $x_0$, variance 0. The last step adds no noise.

# %% tags=["exercise"]
def posterior(x0, xt, a_t, a_s):
    """Equation (3): mean (same shape as xt) and variance (a number) of q(x_s | x_t, x_0); a_t = ᾱ_t and a_s = ᾱ_s are tensors ()."""
    ### BEGIN SOLUTION
    a = a_t / a_s
    b = 1 - a
    mean = (a.sqrt() * (1 - a_s) * xt + a_s.sqrt() * b * x0) / (1 - a_t)
    return mean, (1 - a_s) / (1 - a_t) * b
    ### END SOLUTION


# %%
checked_posterior = cu.check("06.posterior", posterior)

# %% [markdown]
# Nobody tells us $x_0$. But lesson 03 found the best guess at it: Tweedie's formula. Equation (2) adds noise of variance $1-\bar\alpha_t$ to $\sqrt{\bar\alpha_t}x_0$, so with $p_t$ for the density of $x_t$, lesson 03's equation (3) reads
#
# $$E[\sqrt{\bar\alpha_t}\,x_0\mid x_t]=x_t+(1-\bar\alpha_t)\,\nabla\log p_t(x_t),\qquad\text{equivalently}\qquad E[\varepsilon\mid x_t]=-\sqrt{1-\bar\alpha_t}\;\nabla\log p_t(x_t). \tag{4}$$
#
# (The second follows from the first and $x_t=\sqrt{\bar\alpha_t}E[x_0\mid x_t]+\sqrt{1-\bar\alpha_t}E[\varepsilon\mid x_t]$.) Put this guess in the place of $x_0$ in (3). For a single step, $s=t-1$, the mean becomes $\bigl(x_t+\beta_t\nabla\log p_t(x_t)\bigr)/\sqrt{\alpha_t}$: a move along the **score** $\nabla\log p_t$, with the shrinking undone. A mean in the place of the unknown $x_0$ is an approximation: the true $q(x_s\mid x_t)$ averages (3) over *all* $x_0$ that fit $x_t$, so its variance is $\tilde\beta I+\bigl(\sqrt{\bar\alpha_s}\,b/(1-\bar\alpha_t)\bigr)^2\operatorname{Cov}(x_0\mid x_t)$. The second term is of order $b^2$: with small steps it can be dropped, with large ones it is missed (section 6). So whoever knows the score at every noise level can go back (Y. Song and Ermon, 2019).
#
# There is a case where we know it exactly. Lesson 02's mixture, noised by (2), is again a mixture: each component $N(\mu_k,\Sigma_k)$ becomes $N(\sqrt{\bar\alpha_t}\mu_k,\ \bar\alpha_t\Sigma_k+(1-\bar\alpha_t)I)$, with the same weight. Its score is $\sum_kr_k(x)\,C_k^{-1}(m_k-x)$ with the responsibilities $r_k$.

# %%
toy = (torch.tensor([0.5, 0.3, 0.2]).double(), torch.tensor([[-1.5, 0.0], [1.0, 0.8], [1.0, -1.0]]).double(),
       torch.tensor([[[0.8, 0.5], [0.5, 0.6]], [[0.7, -0.4], [-0.4, 0.5]], [[0.4, 0.0], [0.0, 0.4]]]).double())  # fmt: skip


def log_p_and_score(x, a, mixture=toy):
    """log p_t(x) (n,) and its gradient (n, 2) for a mixture noised to ᾱ_t = a: x (n, 2) float64."""
    weights, means, covs = mixture
    precision = torch.linalg.inv(a * covs + (1 - a) * torch.eye(2).double())  # (K, 2, 2)
    away = a**0.5 * means - x[:, None]  # (n, K, 2): m_k − x
    pull = torch.einsum("kij,nkj->nki", precision, away)
    log_joint = weights.log() + 0.5 * torch.logdet(precision) - math.log(2 * math.pi) - 0.5 * (away * pull).sum(2)  # (n, K)
    return log_joint.logsumexp(1), (log_joint.softmax(1)[..., None] * pull).sum(1)


def draw_mixture(n, seed, mixture=toy):
    """n draws (n, 2) float64 from a mixture: choose k, then x = μ_k + L_k ε (lesson 02, section 2)."""
    generator = torch.Generator().manual_seed(seed)
    k = torch.multinomial(mixture[0], n, replacement=True, generator=generator)
    eps = torch.randn(n, 2, generator=generator, dtype=torch.float64)
    return mixture[1][k] + torch.einsum("nij,nj->ni", torch.linalg.cholesky(mixture[2])[k], eps)


def exact_eps(x, t):
    """E[ε | x_t] of the mixture by (4): x (n, 2), one time t for all."""
    return -(1 - abar[t]).sqrt() * log_p_and_score(x, abar[t])[1]


probe = (2 * torch.randn(500, 2, dtype=torch.float64)).requires_grad_()
log_p, score = log_p_and_score(probe, abar[400])
torch.testing.assert_close(score, torch.autograd.grad(log_p.sum(), probe)[0], rtol=1e-9, atol=1e-9)
print("✓ the written score is the gradient of log p at t = 400")

# %% [markdown]
# A last piece: from noise to data. **Exercise 4.** Solve (2) for $x_0$, so that a guess at the noise is a guess at the picture.

# %% tags=["exercise"]
def x0_from_eps(xt, eps, a_t):
    """The x_0 that equation (2) says x_t came from, if the noise was eps: xt, eps (B, …), a_t = ᾱ_t a tensor () → (B, …)."""
    ### BEGIN SOLUTION
    return (xt - (1 - a_t).sqrt() * eps) / a_t.sqrt()
    ### END SOLUTION


# %%
checked_x0 = cu.check("06.x0_from_eps", x0_from_eps)

# %% [markdown]
# Now the way back is eight lines. In the literature it is *Algorithm 2*, or **ancestral sampling**. `times` may be $T, T-1,\dots,0$ or any coarser ladder. One practical line: at $t=T$ the guess at $x_0$ is divided by $\sqrt{\bar\alpha_T}\approx5\cdot10^{-5}$, so the least error of a network becomes hundreds. A guess outside the range of the data cannot be right: clip it. The exact field needs no clipping; every learned one below has it.

# %%
def ancestral(predict, x, times, *, clip=math.inf, generator=None, log=None):
    """Algorithm 2: from x (n, …) at times[0] down to times[-1]; predict(x, t) → ε̂. `log` collects (t, x_t, x̂_0)."""
    for t, s in zip(times, times[1:]):
        x0 = checked_x0(x, predict(x, t), abar[t]).clamp(-clip, clip)  # the guess at the data, equation (4)
        if log is not None:
            log.append((t, x, x0))
        mean, variance = checked_posterior(x0, x, abar[t], abar[s])  # equation (3) with the guess
        x = mean + variance.sqrt() * torch.randn(x.shape, generator=generator, dtype=x.dtype).to(x)  # variance 0 at s = 0
    return x


def spaced(n, start=T, bend=1.0):
    """n steps from `start` to 0: n + 1 whole numbers, both ends included; at equal distances, or with bend < 1 closer at the noisy end."""
    return (start * torch.linspace(1, 0, n + 1, dtype=torch.float64) ** bend).round().int().tolist()


assert spaced(T) == list(range(T, -1, -1)) and spaced(4) == [1000, 750, 500, 250, 0]

# %% [markdown]
# Is the result the mixture? The ruler is the **energy distance** $2E\lVert X-Y\rVert-E\lVert X-X'\rVert-E\lVert Y-Y'\rVert$, which is zero only for equal distributions (Székely and Rizzo). From finite samples it is never quite zero, so the yardstick is real against real: fixed beforehand, $n=2000$ points, and the claim "no difference found" if the distance lies below the 95th percentile of pairs of genuine sample sets. **Predict:** noise in, exact arrows, a thousand steps, no network. Does it pass?

# %% slideshow={"slide_type": "slide"}
def energy(x, y):
    """Energy distance between samples x (n, d) and y (m, d)."""
    x, y = x.float(), y.float()
    return (2 * torch.cdist(x, y).mean() - torch.cdist(x, x).mean() - torch.cdist(y, y).mean()).item()


def real_vs_real(draw, n, pairs):
    """95th percentile of the energy distance between pairs of genuine sample sets; draw(n, seed) → (n, d)."""
    return torch.tensor([energy(draw(n, 1_000 + 2 * i), draw(n, 1_001 + 2 * i)) for i in range(pairs)]).quantile(0.95).item()


n_test, exact_log = cu.budget(2_000, 200), []
noise_2d = torch.randn(n_test, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
back = ancestral(exact_eps, noise_2d, spaced(cu.budget(T, 50)), generator=torch.Generator().manual_seed(1), log=exact_log)
genuine, limit = draw_mixture(n_test, 0), real_vs_real(draw_mixture, n_test, cu.budget(100, 10))
moments = [exact_log[int(f * len(exact_log))] for f in (0, 0.5, 0.75, 0.9)]
fig, axes = plt.subplots(1, 6, figsize=(13, 2.7), sharex=True, sharey=True)
for ax, x, title in zip(axes, [*(x for _, x, _ in moments), back, genuine], [*(f"t = {t}" for t, _, _ in moments), "t = 0", "the mixture itself"]):
    cu.plots.scatter(x[:600], ax=ax, s=3, color="#D55E00" if title == "the mixture itself" else "#0072B2")
    ax.set(xlim=(-4, 4), ylim=(-4, 4), title=title, ylabel="" if ax is not axes[0] else "x₂")
cu.show(fig, "600 of the points on their way back from noise under the exact score (blue), and draws from the mixture itself (orange).")
print(f"energy distance to the mixture {energy(back, genuine):.5f}; 95 % of real-against-real pairs (n = {n_test:,}) stay below {limit:.5f}; at the start it was {energy(noise_2d, genuine):.3f}")

# %% [markdown]
# It passes: 0.0014 against a limit of 0.0047; the noise it started from was at 0.115, 24 times the limit. No network was trained, nothing was fitted. **If the score is known at every noise level, generation is bookkeeping.** Everything that follows is about getting the score from data alone.
#
# Lesson 03 says how: train a denoiser. Noise a data point to a random level by (2) and regress the noise; the minimiser of the squared error is $E[\varepsilon\mid x_t]$, which by (4) is the score up to a factor. The network is told $t$. This is *Algorithm 1*.

# %%
def simple_loss(model, x0):
    """Algorithm 1: noise each example to a time of its own, and take the squared error of the predicted noise: x0 (B, …) → ()."""
    t = torch.randint(1, T + 1, (len(x0),), device=x0.device)  # line 3: 1 … T, both included
    eps = torch.randn_like(x0)  # line 4
    return (model(checked_q(x0, t, eps, abar), t) - eps).square().mean()  # line 5


class PointNet(nn.Module):
    """ε̂(x, t) in the plane: (B, 2) and (B,) → (B, 2). The time enters as 32 sines and cosines."""

    def __init__(self):
        super().__init__()
        self.net = cu.nets.mlp(2 + 32, 128, 128, 128, 2)

    def forward(self, x, t):
        return self.net(torch.cat([x, time_features(t, 32)], 1))


def asked(net):
    """A network as `predict(x, t)`, one time for all, for the samplers."""

    @torch.no_grad()
    def predict(x, t):
        return net(x.to(device).float(), torch.full((len(x),), t, device=device)).to(x)

    return predict


torch.manual_seed(0)
learned = PointNet()
cu.fit(learned, simple_loss, cu.Batches(draw_mixture(20_000, 7).float(), 512), steps=3_000, lr=2e-3, schedule="cosine")

# %% [markdown]
# Compare the two fields where it matters, at points of $p_t$: the cosine of the angle between learned and exact arrow (1: same direction). **Predict:** at which end of time is the network worst? And does that end matter most?

# %% slideshow={"slide_type": "slide"}
marks, rows = [1, 2, 5, 10, 20, *range(50, T + 1, 50)], []
data = draw_mixture(cu.budget(2_000, 200), 3)
for t in marks:
    xt = checked_q(data, torch.full((len(data),), t), torch.randn_like(data), abar)
    truth, guess = exact_eps(xt, t), asked(learned)(xt, t)
    angle = F.cosine_similarity(truth, guess)
    rows.append([angle.mean(), angle.quantile(0.05), truth.square().sum(1).mean().sqrt()])
cosine = torch.tensor(rows)  # (marks, 3)
fig, ax = plt.subplots(figsize=(7, 3.5))
ax.plot(marks, cosine[:, 0], "o-", label="mean cosine")
ax.plot(marks, cosine[:, 1], "s-", label="5 % of the arrows are below")
ax.plot(marks, cosine[:, 2] / math.sqrt(2), "--", color="#888888", label="length of the exact arrow, r.m.s. per coordinate")
ax.set(xscale="log", xlabel="t", ylabel="cosine; length", ylim=(-1, 1.05), title="Right direction, except where arrows are short")
ax.legend(fontsize=9)
cu.show(fig, "Cosine similarity between the learned and the exact field at points of the noised data, by t, with the length of the exact arrow E[ε | x_t].")
learned_log = []
from_learned = ancestral(asked(learned), noise_2d, spaced(cu.budget(T, 50)), clip=4.0, generator=torch.Generator().manual_seed(1), log=learned_log)
print(f"mean cosine at t = 1: {cosine[0, 0]:.2f}, at t = 100: {cosine[marks.index(100), 0]:.3f}, at t = 500: {cosine[marks.index(500), 0]:.4f}, at t = 1000: {cosine[-1, 0]:.4f}")
print(f"energy distance of the learned way back: {energy(from_learned, genuine):.5f} (exact {energy(back, genuine):.5f}, limit {limit:.5f})")

# %% [markdown]
# From $t=500$ on the learned arrows are right to a cosine of 0.997, at 1000 to 0.999. Near the data the angle is poor: 0.91 on average at $t=100$, 0.75 at 1, where one arrow in twenty is more than 90° off. For sampling this costs little. What is plotted is $E[\varepsilon\mid x_t]=-\sqrt{1-\bar\alpha_t}\,\nabla\log p_t$: the score stays finite and its factor goes to zero (dashed), so the moves there are tiny. (For the likelihood it is the dear end: section 3.) The way back under the learned field ends at an energy distance of 0.0012, below the limit as well.
#
# Toggle between the two fields below, with the same noise in the same steps. **Predict:** will single points end in the same place?

# %% slideshow={"slide_type": "slide"}
logs = {"exact": (exact_eps, exact_log, back), "learned": (asked(learned), learned_log, from_learned)}


def draw_reverse(t, field, ax=None):
    """300 points on their way back at time t, with the field that moves them (arrows: −ε̂)."""
    predict, log, end = logs[field]
    x = next((x for u, x, _ in log if u <= t), end) if t else end
    ax = ax or plt.subplots(figsize=(4.6, 4.4))[1]
    cu.plots.field(lambda p: -predict(p.double(), max(t, 1)), (-4, 4), ax=ax, n=9, color="#999999", scale=30)
    cu.plots.scatter(x[:300], ax=ax, s=6, color="#0072B2" if field == "exact" else "#D55E00")
    ax.set(xlim=(-4, 4), ylim=(-4, 4), title=f"{field}, t = {t}")
    return ax.figure


def both_fields():
    """The static picture: both fields at two times."""
    fig, axes = plt.subplots(1, 4, figsize=(10, 2.7), sharex=True, sharey=True)
    for ax, (t, field) in zip(axes, [(t, field) for t in (600, 200) for field in logs]):
        draw_reverse(t, field, ax)
    return fig


cu.explore(draw_reverse, "300 points on their way from noise to the mixture, with the arrows that move them, under the exact or the learned field.", play=True,
           t={"options": list(range(1000, -1, -50)), "value": 400}, field=["exact", "learned"], static=both_fields)  # fmt: skip
same_end = (from_learned - back).norm(dim=1)
print(f"the two fields lead the same noise to ends that are {same_end.median():.2f} apart (median); two random points of the mixture are {(genuine - genuine.roll(1, 0)).norm(dim=1).median():.2f} apart")

# %% [markdown]
# They nearly do: half of the points end within 0.05 of each other, where two random points of the mixture are 2.1 apart. At large $t$ all arrows point to the middle, whatever the data: nothing is decided. Later they begin to disagree, each component becomes a target of its own, and a point's journey is settled by where it happens to be at that moment.

# %% [markdown]
# ## 3 · From the bound to the simple loss *(core, one page)*
#
# Regressing the noise looked like a trick. It is a likelihood bound. Read the way back as a model: draw $x_T\sim N(0,I)$, then $x_{T-1},\dots,x_0$ in turn from $p_\theta(x_{t-1}\mid x_t)=N(\mu_\theta(x_t,t),\sigma_t^2I)$. That is a **VAE with $T$ layers of latents**, each as large as the picture, whose encoder $q$ is fixed and has nothing to learn. Lesson 04's bound holds word for word, with $x_{1:T}$ in the place of $z$:
#
# $$-\log p_\theta(x_0)\ \le\ E_q\bigl[\log q(x_{1:T}\mid x_0)-\log p_\theta(x_{0:T})\bigr]=:L. \tag{5}$$
#
# Four moves turn it into Algorithm 1. **(a)** Turn each forward factor around by Bayes, given $x_0$; the marginals telescope. **(b)** What is left is one KL per step, between the true step back (3) and the model's:
#
# $$L=\underbrace{\mathrm{KL}\bigl(q(x_T\mid x_0)\,\|\,N(0,I)\bigr)}_{L_T:\ \text{nothing to learn}}+\sum_{t=2}^{T}\underbrace{E_q\,\mathrm{KL}\bigl(q(x_{t-1}\mid x_t,x_0)\,\|\,p_\theta(x_{t-1}\mid x_t)\bigr)}_{L_{t-1}}\underbrace{-\,E_q\log p_\theta(x_0\mid x_1)}_{L_0}. \tag{6}$$
#
# **(c)** Both are Gaussian; with equal variances $\sigma_t^2=\tilde\beta_t$ the KL is $\lVert\tilde\mu-\mu_\theta\rVert^2/2\tilde\beta_t$. Let the model use (3) with its guess $\hat x_0$; then the means differ only in their last term, and
#
# $$L_{t-1}=\frac{\bar\alpha_{t-1}\beta_t^2}{2\tilde\beta_t(1-\bar\alpha_t)^2}\,E\lVert x_0-\hat x_0\rVert^2=\tfrac12\bigl(\mathrm{SNR}(t-1)-\mathrm{SNR}(t)\bigr)\,E\lVert x_0-\hat x_0\rVert^2 . \tag{7}$$
#
# **(d)** By (2) an error in $\hat\varepsilon$ is an error in $\hat x_0$ times $-\sqrt{\bar\alpha_t/(1-\bar\alpha_t)}$, so $L_{t-1}=\lambda_t\,E\lVert\varepsilon-\hat\varepsilon\rVert^2$ with $\lambda_t=\frac12\bigl(\mathrm{SNR}(t-1)-\mathrm{SNR}(t)\bigr)/\mathrm{SNR}(t)$. **Drop $\lambda_t$**, choose $t$ at random instead of summing, and (6) has become the simple loss,
#
# $$L_\text{simple}=E_{t,x_0,\varepsilon}\bigl\lVert\varepsilon-\hat\varepsilon(\sqrt{\bar\alpha_t}x_0+\sqrt{1-\bar\alpha_t}\,\varepsilon,\ t)\bigr\rVert^2. \tag{8}$$
#
# ($t=1$ stands for $L_0$: with a Gaussian of variance $1/\mathrm{SNR}(1)$ around $\hat x_0$ it is $\frac12E\lVert\varepsilon-\hat\varepsilon\rVert^2$ plus a constant, so $\lambda_1=\frac12$. $L_T$ is a constant.)
#
# What does dropping $\lambda_t$ do? As a weight on errors in $\varepsilon$ it is large at both ends. At the noisy end a small error in $\hat\varepsilon$ is a huge one in $\hat x_0$; at the clean end the bound charges for fine grain that no eye sees. The simple loss treats all times alike, and so moves effort to the middle, where the layout is decided. On photographs (CIFAR-10) Ho et al. found better pictures and a worse bound: a Fréchet distance of 3.17 in place of 13.51, for 3.75 bits per dimension in place of 3.70.

# %%
snr = abar[1:] / (1 - abar[1:])  # snr[t − 1] is SNR(t)
x0, x0_guess, xt = torch.randn(3, 5, dtype=torch.float64)
for t in (2, 300, 999):
    (mean, variance), (mean_guess, _) = (checked_posterior(x, xt, abar[t], abar[t - 1]) for x in (x0, x0_guess))
    kl = kl_divergence(Normal(mean, variance.sqrt()), Normal(mean_guess, variance.sqrt())).sum()
    difference = 0.5 * (snr[t - 2] - snr[t - 1])  # ½ (SNR(t − 1) − SNR(t))
    torch.testing.assert_close(kl, difference * (x0 - x0_guess).square().sum(), rtol=1e-8, atol=1e-12)  # equation (7)
    noises = [(xt - abar[t].sqrt() * x) / (1 - abar[t]).sqrt() for x in (x0, x0_guess)]
    torch.testing.assert_close(kl, difference / snr[t - 1] * (noises[0] - noises[1]).square().sum(), rtol=1e-8, atol=1e-12)  # (d)
dropped = 0.5 * (snr[:-1] - snr[1:]) / snr[1:]  # λ_2 … λ_T
print(f"✓ (7) and (d) hold. λ_t at t = 2, 10, 100, 500, 900, 990, 999, 1000: {', '.join(f'{dropped[t - 2]:.3g}' for t in (2, 10, 100, 500, 900, 990, 999, 1000))}")

# %% [markdown]
# ### Three names for one thing *(core)*
#
# Given $x_t$, a guess at $\varepsilon$, at $x_0$, or at the **velocity** $v=\sqrt{\bar\alpha_t}\,\varepsilon-\sqrt{1-\bar\alpha_t}\,x_0$ contain the same information, since (2) and the definition of $v$ are a rotation of $(x_0,\varepsilon)$ by an angle with cosine $\sqrt{\bar\alpha_t}$:
#
# $$x_0=\sqrt{\bar\alpha_t}\,x_t-\sqrt{1-\bar\alpha_t}\,v,\qquad \varepsilon=\sqrt{1-\bar\alpha_t}\,x_t+\sqrt{\bar\alpha_t}\,v . \tag{9}$$
#
# What differs is the weight of the times: by (d) and (9), $\lVert v-\hat v\rVert^2=\lVert\varepsilon-\hat\varepsilon\rVert^2/\bar\alpha_t=\lVert x_0-\hat x_0\rVert^2/(1-\bar\alpha_t)$. At the noisy end $\varepsilon$ is nearly $x_t$ itself: copying the input is almost right and teaches little, while the error reaches $\hat x_0$ multiplied by $\sqrt{(1-\bar\alpha_t)/\bar\alpha_t}$. At the clean end $x_0$ is nearly $x_t$, and its error reaches $\hat\varepsilon$ multiplied by the inverse. An error in $v$ reaches both multiplied by at most 1 (Salimans and Ho, 2022); $v$ is what our image network will predict.

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
    torch.testing.assert_close(checked_x0(xt.double(), eps.double(), abar[t]).float(), x0, rtol=0, atol=1e-5)
    textbook = (xt - beta[t] / (1 - abar[t]).sqrt() * eps) / (1 - beta[t]).sqrt()  # the mean in Alg. 2, line 4
    torch.testing.assert_close(checked_posterior(x0, xt, abar[t], abar[t - 1])[0], textbook, rtol=0, atol=1e-5)
print("✓ x_0 ↔ ε ↔ v to 1e-5 in float32, and equation (3) with the guess is line 4 of Algorithm 2 as printed in the paper")

# %% [markdown]
# ### The moves in full *(deeper)*
#
# **(a), (b)** Both joint densities are chains: $q(x_{1:T}\mid x_0)=\prod_{t=1}^Tq(x_t\mid x_{t-1})$ and $p_\theta(x_{0:T})=p(x_T)\prod_{t=1}^Tp_\theta(x_{t-1}\mid x_t)$. For $t\ge2$ the chain does not look further back than one step, $q(x_t\mid x_{t-1})=q(x_t\mid x_{t-1},x_0)$, and Bayes' rule given $x_0$ turns it around:
# $$q(x_t\mid x_{t-1},x_0)=q(x_{t-1}\mid x_t,x_0)\,\frac{q(x_t\mid x_0)}{q(x_{t-1}\mid x_0)}.$$
# In $\log q(x_{1:T}\mid x_0)=\log q(x_1\mid x_0)+\sum_{t\ge2}\log q(x_t\mid x_{t-1},x_0)$ the fractions telescope to $\log q(x_T\mid x_0)-\log q(x_1\mid x_0)$, and the second term cancels the first of the sum:
# $$\log q(x_{1:T}\mid x_0)=\log q(x_T\mid x_0)+\sum_{t=2}^T\log q(x_{t-1}\mid x_t,x_0).$$
# Subtract $\log p_\theta(x_{0:T})$ and pair the terms,
# $$L=E_q\Bigl[\log\frac{q(x_T\mid x_0)}{p(x_T)}+\sum_{t=2}^T\log\frac{q(x_{t-1}\mid x_t,x_0)}{p_\theta(x_{t-1}\mid x_t)}-\log p_\theta(x_0\mid x_1)\Bigr].$$
# The expectation of each fraction is taken over $x_{t-1}$ given $x_t$ and $x_0$ first, which makes it a KL: (6). Why the detour over $x_0$? Without it the terms would be $\log q(x_t\mid x_{t-1})/p_\theta(x_{t-1}\mid x_t)$, no KL, estimable only from samples of both, with a large variance. Given $x_0$ every term has a closed form.
#
# **(c)** For two Gaussians with the same covariance $\sigma^2I$ Card 5's formula leaves $\lVert\mu_1-\mu_2\rVert^2/2\sigma^2$. By (3) with $s=t-1$, $\tilde\mu-\mu_\theta=\frac{\sqrt{\bar\alpha_{t-1}}\,\beta_t}{1-\bar\alpha_t}(x_0-\hat x_0)$. Square it, divide by $2\tilde\beta_t=2\beta_t\frac{1-\bar\alpha_{t-1}}{1-\bar\alpha_t}$, and the factor is
# $$\frac{\bar\alpha_{t-1}\,\beta_t}{2(1-\bar\alpha_t)(1-\bar\alpha_{t-1})}.\qquad\text{On the other side}\quad \mathrm{SNR}(t-1)-\mathrm{SNR}(t)=\frac{\bar\alpha_{t-1}(1-\bar\alpha_t)-\bar\alpha_t(1-\bar\alpha_{t-1})}{(1-\bar\alpha_{t-1})(1-\bar\alpha_t)}=\frac{\bar\alpha_{t-1}-\bar\alpha_t}{(1-\bar\alpha_{t-1})(1-\bar\alpha_t)},$$
# and $\bar\alpha_{t-1}-\bar\alpha_t=\bar\alpha_{t-1}(1-\alpha_t)=\bar\alpha_{t-1}\beta_t$. So the factor is half the difference of the SNRs: (7).
#
# **(d)** $x_t=\sqrt{\bar\alpha_t}x_0+\sqrt{1-\bar\alpha_t}\varepsilon=\sqrt{\bar\alpha_t}\hat x_0+\sqrt{1-\bar\alpha_t}\hat\varepsilon$; subtract: $\sqrt{\bar\alpha_t}(x_0-\hat x_0)=-\sqrt{1-\bar\alpha_t}(\varepsilon-\hat\varepsilon)$, hence $\lVert x_0-\hat x_0\rVert^2=\lVert\varepsilon-\hat\varepsilon\rVert^2/\mathrm{SNR}(t)$.
#
# Was anything lost on the way? In the mixture $-\log p$ is known. **Predict:** with the *exact* score in (6), how far above it does the bound lie?

# %%
points = draw_mixture(cu.budget(1_000, 40), 11)
surprise = -log_p_and_score(points, abar[0])[0].mean().item()  # −E log p(x_0), exact up to the choice of points
terms = []
for t in range(1, T + 1):
    eps = torch.randn_like(points)
    xt = checked_q(points, torch.full((len(points),), t), eps, abar)
    error = (checked_x0(xt, exact_eps(xt, t), abar[t]) - points).square().sum(1).mean()
    if t == 1:  # L_0: a Gaussian around the guess, of the variance that one step of noise leaves open
        terms.append(error / 2 * snr[0] + math.log(2 * math.pi / snr[0]))
    else:
        terms.append(0.5 * (snr[t - 2] - snr[t - 1]) * error)  # equation (7)
last = MultivariateNormal(torch.zeros(2).double(), (1 - abar[T]) * torch.eye(2).double())  # q(x_T | x_0) but for its mean √ᾱ_T x_0 ≈ 0
L_T = kl_divergence(last, MultivariateNormal(torch.zeros(2).double(), torch.eye(2).double())) + 0.5 * abar[T] * points.square().sum(1).mean()
ratio = snr[:10] / snr[1:11]  # by which factor each of the ten steps next to the data raises the SNR
print(f"where the density is flat at the scale of a step, (7) says ratio − 1 and the truth is log ratio: {float((ratio - 1 - ratio.log()).sum()):.3f} nats too much in t = 2 … 11")
print(f"−log p: {surprise:.3f} nats per point; the bound (6): {float(L_T + sum(terms)):.3f} = L_0 {terms[0]:.3f} + the sum of L_(t−1) {sum(terms[1:]):.3f} + L_T {L_T:.1e}")

# %% [markdown]
# The bound lies 0.82 nats above $-\log p$, although every arrow is exact. The price is paid next to the data. There a single step changes the SNR by a factor (2.1 from $t=2$ to 1), and the model's step has the variance $\tilde\beta_t$, which is right only if $x_0$ is known. Where the density is flat at the scale of a step the arithmetic is short: $E\lVert x_0-\hat x_0\rVert^2=2/\mathrm{SNR}(t)$ in the plane, so (7) costs $r-1$ with $r=\mathrm{SNR}(t-1)/\mathrm{SNR}(t)$ where the change of the entropy is $\log r$. The ten steps next to the data lose 0.70 nats that way, nearly all of the 0.82. Finer steps help little: close to the data the step from $x_2$ to $x_1$ about doubles the SNR whatever their number, the one before multiplies it by about 3/2, and so on, and $\sum_n\bigl(\frac1n-\log\frac{n+1}n\bigr)$ is Euler's constant, 0.577 nats. A better variance does help: $\sigma_t^2=\beta_t$, the other choice of Ho et al., is right where the density is flat, and Nichol and Dhariwal learn it.

# %% [markdown]
# ## 4 · Two algorithms, thirty seconds *(core)*
#
# The whole method stands above: `simple_loss` is Algorithm 1 of Ho et al., `ancestral` is Algorithm 2. The commonest bug is the index: is the first entry of the array the clean image or the first noisy one? Our convention, the paper's: $t=1\dots T$, and entry 0 is clean. Test both ends before training anything.
#
# - *Clean end.* At $t=0$ nothing is noised; the last step back, from 1 to 0, adds no noise.
# - *Noisy end.* $x_T$ shares less than a ten-thousandth of its amplitude with $x_0$; training visits $T$, and 1, and not 0.
# - *Both.* An oracle that knows the one $x_0$ and answers with the exact noise must lead **every** start exactly to $x_0$.

# %%
points = cu.moons(4)
ends = torch.tensor([0, 0, T, T])
eps = torch.randn(4, 2)
noised = checked_q(points, ends, eps, abar)
assert torch.equal(noised[:2], points[:2]), "t = 0 must leave the data alone"
torch.testing.assert_close(noised[2:], eps[2:], rtol=0, atol=1e-3)  # t = T: noise
assert checked_posterior(points, eps, abar[1], abar[0])[1] == 0, "the last step adds no noise"
seen = []
simple_loss(lambda x, t: seen.append(t) or torch.zeros_like(x), torch.zeros(200_000, 2))
assert seen[0].min() == 1 and seen[0].max() == T, "training visits 1 … T"
target = torch.tensor([[1.0, -2.0]]).double()
arrived = ancestral(lambda x, t: (x - abar[t].sqrt() * target) / (1 - abar[t]).sqrt(), torch.randn(50, 2).double(), spaced(T))
torch.testing.assert_close(arrived, target.expand(50, 2), rtol=0, atol=1e-9)
print("✓ both ends: identity at 0, noise at T, no noise in the last step, and an oracle leads 50 starts to x_0 within 1e-9")

# %% [markdown]
# Now two moons, which no mixture of three Gaussians fits. **Predict:** when a point has to choose its moon, is it early or late on its way? Will some points end *between* the moons?

# %% slideshow={"slide_type": "slide"}
torch.manual_seed(0)
moon_net = PointNet()
moon_history = cu.fit(moon_net, simple_loss, cu.Batches(cu.moons(20_000, seed=1), 512), steps=5_000, lr=2e-3, schedule="cosine", ema=0.998)
moon_log = []
made = ancestral(asked(moon_history.ema), noise_2d.float(), spaced(cu.budget(T, 50)), clip=4.0, generator=torch.Generator().manual_seed(2), log=moon_log)
real_moons, moon_limit = cu.moons(n_test, seed=2), real_vs_real(cu.moons, n_test, cu.budget(40, 5))
fig, axes = plt.subplots(1, 3, figsize=(12.5, 3.8), sharex=True, sharey=True)
paths = torch.stack([*(x[:4] for _, x, _ in moon_log[:: cu.budget(25, 2)]), made[:4]])  # every 25th state: (41, 4, 2)
for path, colour in zip(paths.transpose(0, 1), cu.plots.PALETTE):
    axes[0].plot(*path.T, color=colour, linewidth=1, alpha=0.6)
    axes[0].plot(*path[0], "o", color=colour, mfc="white", label="t = 1000" if colour == cu.plots.PALETTE[0] else None)
    axes[0].plot(*path[-1], "o", color=colour, label="t = 0" if colour == cu.plots.PALETTE[0] else None)
axes[0].legend(fontsize=9)
cu.plots.scatter(made[:1000], ax=axes[1], s=3, color="#D55E00")
cu.plots.scatter(real_moons[:1000], ax=axes[2], s=3, color="#0072B2")
for ax, title in zip(axes, ("Four ways from noise to data", "draws of the model", "real points")):
    ax.set(xlim=(-3.6, 3.6), ylim=(-3.6, 3.6), title=title)
cu.show(fig, "Left: four paths of ancestral sampling, every 25th state, under a network trained on two moons. Middle: 1,000 of its draws. Right: as many real points.")
moon_data, moon_labels = cu.moons(20_000, seed=1, labels=True)
gaps = torch.cdist(made, moon_data).min(1).values
for t in (900, 700, 500, 300, 100):  # freeze 200 states at time t, and let each go on eight times
    frozen = next(x for u, x, _ in moon_log if u <= t)[:200].repeat_interleave(8, 0)
    ends = ancestral(asked(moon_history.ema), frozen, spaced(cu.budget(t // 5, 3), start=t), clip=4.0, generator=torch.Generator().manual_seed(3))
    which = moon_labels[torch.cdist(ends, moon_data).argmin(1)].view(-1, 8).float().mean(1)
    print(f"frozen at t = {t}: {torch.maximum(which, 1 - which).mean():.0%} of eight continuations end on the commoner moon of their eight (coin tosses: 64 %)")
print(f"energy distance {energy(made, real_moons):.5f}, the noise had {energy(noise_2d, real_moons):.3f}; 95 % of real-against-real pairs stay below {moon_limit:.5f}")
print(f"{(gaps > 0.3).float().mean():.2%} of the draws are farther than 0.3 from every training point; training took {moon_history.seconds:.0f} s")

# %% [markdown]
# Twelve seconds of training, and the moons are there: the energy distance is 0.0026, below the limit of 0.0036, and of 2,000 draws three are stragglers. Which moon a point ends on is settled little by little and mostly late: of eight continuations 65 % agree from $t=900$ on (coin tosses: 64 %), 72 % from 700, 80 % from 500, 88 % from 300 and 98 % from 100. The moons interlock, so a point near the middle can still go either way when the outline stands. What closed first in section 1, the gap between them, opens last.

# %% [markdown]
# ## 5 · Digits *(core)*
#
# For images only the network changes. It gets a noisy image and a time and gives an image of the same size. A network that shrinks the image to see it whole, grows it again, and hands fine detail across is called a **U-Net** (Ronneberger et al., 2015). Ours is built for a laptop: it first folds every 2 × 2 pixels into four channels, so that no convolution runs at full resolution, and lets places talk to each other by *attention* (each place averages over all others, with learned weights) only where there are 49 of them. Time enters as sines and cosines, the coordinates of the hands of 32 clocks, and scales and shifts the channels of every block.

# %% slideshow={"slide_type": "slide"}
stages = [("image", "fold", 28, 1), ("enter, 2 blocks", "down_half", 14, 48), ("shrink, block", "down_quarter", 7, 96), ("block, attention, block", "middle_out", 7, 96),
          ("join, block", "up_quarter", 7, 96), ("grow, join, 2 blocks", "up_half", 14, 48), ("image", "unfold", 28, 1)]  # fmt: skip
fig, (ax, clocks) = plt.subplots(1, 2, figsize=(12.5, 3.6), width_ratios=(2.6, 1))
for i, (label, _, side, channels) in enumerate(stages):
    low = {28: 3.2, 14: 1.6, 7: 0.0}[side]
    ax.add_patch(plt.Rectangle((i + 0.03, low), 0.94, 1.25, facecolor="#56B4E9" if 0 < i < 6 else "#dddddd", edgecolor="black"))
    ax.text(i + 0.5, low + 0.62, f"{channels} × {side} × {side}\n{label.replace(', ', chr(10))}", ha="center", va="center", fontsize=9)
for ends, bend in ((((1.97, 2.2), (5.03, 2.2)), 0.0), (((2.5, -0.03), (4.5, -0.03)), 0.25)):
    ax.annotate("", ends[1], ends[0], arrowprops={"arrowstyle": "->", "color": "#D55E00", "linestyle": "--", "connectionstyle": f"arc3,rad={bend}"})
ax.text(3.5, 2.28, "handed across", ha="center", color="#D55E00", fontsize=10)
ax.set(xlim=(0, 7), ylim=(-0.75, 4.5), title="Down to see the whole, up to draw the detail")
ax.axis("off")
clocks.imshow(time_features(torch.arange(0, T + 1, 5), 64).T, aspect="auto", cmap="RdBu_r", extent=(0, T, 64, 0))
clocks.set(xlabel="t", ylabel="feature", title="32 hands of clocks, two coordinates each")
clocks.grid(False)
cu.show(fig, "Left: the U-Net with the shape (channels × height × width) after each stage; dashed arrows hand detail across. Right: what it is told about the time t, 32 sines above 32 cosines.")

# %% [markdown]
# Drawn, then imported, then checked: hooks record what each stage really gives.

# %%
from course_utils.unet import UNet

torch.manual_seed(0)
unet = UNet()
shapes = {}
for _, part, _, _ in stages[1:]:
    module = getattr(unet, part)
    module = module[-1] if isinstance(module, nn.ModuleList) else module
    module.register_forward_hook(lambda _module, _inputs, out, part=part: shapes.update({part: tuple(out.shape[1:])}))
with torch.no_grad():
    out = unet(torch.randn(3, 1, 28, 28), torch.tensor([1, 500, T]))
assert shapes == {part: (channels, side, side) for _, part, side, channels in stages[1:]}
assert out.shape == (3, 1, 28, 28) and (out == 0).all()  # the last layer starts at zero: it first predicts v = 0
unet = UNet()
print(f"✓ shapes as drawn; {cu.nets.count_parameters(unet):,} weights")

# %% [markdown]
# The loss is Algorithm 1, with four changes that cost nothing: the target is $v$; the batch's times are *stratified*, one in each sixty-fourth of $1\dots T$, so that each is still uniform but the loss varies less from batch to batch; the learning rate falls to zero along half a cosine; and the weights that draw are an exponential moving average (EMA) over about the last two thousand steps. Section 10 measures what each is worth.

# %%
def draw_times(n):
    """n times in 1 … T, one in each n-th of the range: int64 (n,)."""
    return ((torch.arange(n) + torch.rand(n)) / n * T).long().clamp(max=T - 1) + 1


def diffusion_loss(model, x, y=None, target="v", stratified=True):
    """Algorithm 1 for images x (B, 1, 28, 28) in [0, 1], with labels y (B,) or None; target "v" or "eps"."""
    x0 = 2 * x - 1
    t = (draw_times(len(x)) if stratified else torch.randint(1, T + 1, (len(x),))).to(x.device)
    eps = torch.randn_like(x0)
    xt = checked_q(x0, t, eps, abar)
    goal = velocity(x0, eps, abar.to(x0)[t].view(-1, 1, 1, 1)) if target == "v" else eps
    return (model(xt, t, y) - goal).square().mean()


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
# A second way back, **DDIM**, will be compared with the first in section 6, and a relative of it draws our digits in fifty steps. Its idea in one sentence: keep the guessed noise instead of drawing fresh noise.
#
# **Exercise 5.** From $x_t$ and $\hat\varepsilon$, compute the guess $\hat x_0$ and noise it back to level $s$ *with the same* $\hat\varepsilon$:
#
# $$x_s=\sqrt{\bar\alpha_s}\,\hat x_0+\sqrt{1-\bar\alpha_s}\;\hat\varepsilon,\qquad \hat x_0=\bigl(x_t-\sqrt{1-\bar\alpha_t}\,\hat\varepsilon\bigr)/\sqrt{\bar\alpha_t}. \tag{10}$$

# %% tags=["exercise"]
def ddim_step(xt, eps, a_t, a_s):
    """Equation (10): from x_t to x_s without new noise: xt, eps (B, …), a_t = ᾱ_t and a_s = ᾱ_s tensors () → (B, …)."""
    ### BEGIN SOLUTION
    x0 = (xt - (1 - a_t).sqrt() * eps) / a_t.sqrt()
    return a_s.sqrt() * x0 + (1 - a_s).sqrt() * eps
    ### END SOLUTION


# %%
checked_ddim = cu.check("06.ddim", ddim_step)

# %% [markdown]
# A knob is added: `fresh`, the share of the noise in $x_s$ that is exchanged for new. With the true $\varepsilon$ the variance stays $1-\bar\alpha_s$, as (2) asks, whatever the share; and an error that the network has made on the way is partly forgotten. We renew a quarter in each step, and take shorter steps at the noisy end, where the layout is decided.

# %%
def ddim(predict, x, times, *, fresh=0.0, clip=math.inf, generator=None, log=None):
    """Sampling from x at times[0] down to times[-1] by (10), of whose noise a share `fresh` is drawn anew in each step; interface as `ancestral`."""
    for t, s in zip(times, times[1:]):
        x0 = checked_x0(x, predict(x, t), abar[t]).clamp(-clip, clip)
        if log is not None:
            log.append((t, x, x0))
        eps = (x - abar[t].sqrt() * x0) / (1 - abar[t]).sqrt()  # the noise that belongs to the clipped guess
        x = checked_ddim(x, eps, abar[t], abar[s])
        if fresh:  # part of the noise in x_s is exchanged for new: its variance stays 1 − ᾱ_s
            new = torch.randn(x.shape, generator=generator, dtype=x.dtype).to(x)
            x = x + (1 - abar[s]).sqrt() * (((1 - fresh) ** 0.5 - 1) * eps + fresh**0.5 * new)
    return x


refreshed = functools.partial(ddim, fresh=0.25)  # draws our digits, on ladders `spaced(n, bend=0.6)`; section 6 compares


def generate(net, n, times, sampler=refreshed, *, y=None, w=1.0, seed=0, target="v"):
    """n images, uint8 (n, 1, 28, 28) on the CPU, 250 at a time; y (n,) and the guidance scale w: section 7."""
    generator, images = torch.Generator().manual_seed(seed), []
    for i in range(0, n, 250):
        x = torch.randn(min(250, n - i), 1, 28, 28, generator=generator).to(device).contiguous(memory_format=torch.channels_last)
        predict = predictor(net, target=target) if y is None else guided(net, y[i : i + 250].to(device), w)
        images.append(sampler(predict, x, times, clip=1.0, generator=generator).cpu())
    return cu.to_uint8((torch.cat(images).contiguous() / 2 + 0.5).clamp(0, 1))


# %%
class Watch:
    """A preview for cu.fit: what the present weights draw from a fixed noise. With n > 0 it also measures the Fréchet ratio of n
    samples, and adds a line (step, CPU hours of training, ratio) to a file."""

    def __init__(self, net, path, n):
        self.net, self.path, self.n, self.began = net, path, n, time.process_time()

    def lines(self):
        return [json.loads(line) for line in self.path.read_text().splitlines()] if self.path.is_file() else []

    def __call__(self, step):
        spent = (time.process_time() - self.began) / 3600
        if self.n and step == 0:
            self.path.unlink(missing_ok=True)
        if self.n and step:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            hours, quality = (self.lines() or [{"hours": 0}])[-1]["hours"] + spent, cu.metrics.quality(generate(self.net, self.n, spaced(50), ddim))
            with self.path.open("a") as file:
                file.write(json.dumps({"step": step, "hours": hours, "ratio": quality.ratio, "distance": quality.distance}) + "\n")
        frame = generate(self.net, 36, spaced(cu.budget(20, 2, full=50), bend=0.6), seed=1)
        self.began = time.process_time()
        return frame


# %% [markdown]
# **Predict** while it trains: after 160 steps, will the draws be noise, blots, or strokes?

# %% slideshow={"slide_type": "slide"}
watch = Watch(unet, cu.runtime.ROOT / "runs" / "resume" / "06_diffusion.curve.jsonl", cu.budget(0, 0, full=1_000))
looks = cu.budget([0, 80, 160], [8], full=[0, 300, 1_000, 2_000, 3_500, 6_000, 8_500, 11_000, 14_000])
history = cu.fit(unet, diffusion_loss, cu.Batches(mnist.train, 64), steps=160, full=14_000, lr=2e-3, schedule=warm_cosine, ema=0.9995, clip=1.0,
                 name="06_diffusion", preview=watch, preview_at=looks)  # fmt: skip

# %%
def size(net):
    """The sum of the absolute weights: tells one set of weights from another (runs made from them carry it)."""
    return sum(weight.detach().abs().sum().item() for weight in net.parameters())


n_shipped, figures = cu.budget(36, 4, full=5_000), {}
ladder = spaced(cu.budget(20, 2, full=50), bend=0.6)
samples = generate(history.ema, n_shipped, ladder)
for name, net, n in (("EMA weights", history.ema, n_shipped), ("raw weights", unet, cu.budget(36, 4, full=1_000)), ("EMA weights", history.ema, cu.budget(36, 4, full=1_000))):
    quality = cu.metrics.quality(samples[:n] if net is history.ema else generate(net, n, ladder))
    figures |= {f"Fréchet ratio, {name}, n = {n}": (quality.ratio, 0.1 * quality.ratio), f"Fréchet distance, {name}, n = {n}": (quality.distance, 0.1 * quality.distance)}
figures |= {f"Fréchet ratio after {line['hours']:.2f} CPU hours": (line["ratio"], 0.1 * line["ratio"]) for line in watch.lines() if watch.n}
saved = cu.save_run("06_diffusion", history.ema, what="U-Net on MNIST digits, v-prediction, EMA weights; 50 steps, a quarter of the noise fresh", history=history, samples=samples,
                    figures=figures | {"sum of absolute weights": (size(history.ema), 1.0)})  # fmt: skip
run = cu.restore("06_diffusion", unet)
cu.prepare(unet)
print(f"{history.steps[-1]} steps just now; the shipped weights, used from here on, had {run.card['steps']:,}")

# %% slideshow={"slide_type": "slide"}
(now, _), (along, at) = saved.replay, run.replay
picks = [k for k in (1, len(at) - 1) if k < len(at)]
rows = torch.from_numpy(along)[picks, :9].flatten(0, 1)
ax = cu.plots.image_grid(torch.cat([torch.from_numpy(now[-1][:9]), rows]), rows=1 + len(picks), row_titles=[f"{history.steps[-1]} steps, just now", *(f"{at[k]:,} steps" for k in picks)])
cu.show(ax.figure, "Nine draws from the same noise: after the training above (averaged weights), and at two moments of the shipped one.")

# %% [markdown]
# Strokes, all over the middle, and few of them digits: after 160 steps the loss is down from 1 to 0.19, and the network knows what ink looks like but not yet how strokes go together. Compare column by column: the same noise leads to much the same places after 160 steps and after 14,000, so the layout is learned first. The shipped weights come from the same cell with 14,000 steps, an hour and twenty minutes of one core. Their 5,000 draws with fifty evaluations each have a Fréchet distance of **1.7**, where two halves of real digits are 0.30 apart: a ratio of 5.7. Lesson 04's VAE stands at 142, lesson 03's decoder with a mixture at 29, and lesson 05's GAN, with less than half of the hours (lesson 07 times both alike) and one evaluation an image, at 2.6. So this model is not the best of the course on this ruler. What it has that the GAN lacks is a loss that simply falls, no opponent, and everything in sections 6 to 8.
#
# Now the film. Upper row: the state $x_t$. Lower row: what the network believes at that moment, $\hat x_0$. **Predict** how the lower row looks at $t=1000$, when nothing but noise is given: a digit, a blur, or noise?

# %% slideshow={"slide_type": "slide"}
film = []
seeds = torch.randn(8, 1, 28, 28, generator=torch.Generator().manual_seed(3)).to(device)
final = refreshed(predictor(unet), seeds, spaced(cu.budget(100, 10), bend=0.6), clip=1.0, generator=torch.Generator().manual_seed(4), log=film)
frames = [torch.cat([x, x0]).cpu().squeeze(1) / 2 + 0.5 for _, x, x0 in film[:: cu.budget(5, 3)]] + [torch.cat([final, final]).cpu().squeeze(1) / 2 + 0.5]
labels = [f"t = {t}" for t, _, _ in film[:: cu.budget(5, 3)]] + ["t = 0"]
picked = [frames[round(k * (len(frames) - 1) / 7)] for k in range(8)]
names = [labels[round(k * (len(frames) - 1) / 7)].removeprefix("t = ") for k in range(8)]


def film_still():
    """Two of the eight digits at eight moments: their states and, below each, the guesses."""
    rows = torch.stack([torch.stack([frame[i] for frame in picked]) for i in (0, 8, 1, 9)])  # (4, 9, 28, 28)
    ax = cu.plots.image_grid(rows.flatten(0, 1), rows=4, titles=names, row_titles=["x_t", "guess x̂₀", "x_t", "guess x̂₀"], note=False)
    ax.set_xlabel("above: the time t")
    return ax.figure


cu.scrub(frames, labels, "Eight digits on their way from noise: the states x_t, and the network's guesses x̂₀ at the data at the same moments.", static=film_still)

# %% [markdown]
# At $t=1000$ the guess is the same grey blob for every noise: the mean digit, the best answer under squared error when nothing is known (lesson 03). At 907 the guesses have parted, but are still ghosts of several digits; at 807 one is an upright bar and the other something between a 9 and a 7; by 699 they are a 0 and a 7, and from there on only edges move. Layout, stroke, edge: the reverse of the order in which section 1 lost them. In the states above *your* eye finds the digit much later, at 619 or 486.
#
# So when is it decided? **Freeze** a trajectory at $t$, make eight copies, and let each go on with noise of its own. What all eight agree on was decided before $t$; where they differ, after. **Predict:** at $t=900$, do they agree on the digit? On the slant? At 300?

# %% slideshow={"slide_type": "slide"}
def fork(t, starts, seed=0):
    """States x_t (starts, 28, 28) of the film, and eight continuations (starts, 8, 28, 28) of each with new noise; both in [0, 1]."""
    frozen = min(film, key=lambda entry: abs(entry[0] - t))[1][:starts]
    x = refreshed(predictor(unet), frozen.repeat_interleave(8, 0), spaced(cu.budget(t // 20, 2), start=t, bend=0.6), clip=1.0, generator=torch.Generator().manual_seed(seed))
    return [(part.cpu() / 2 + 0.5).clamp(0, 1) for part in (frozen.squeeze(1), x.view(starts, 8, 28, 28))]


forks = {t: fork(t, cu.budget(8, 2)) for t in (900, 700, 500, 300)}
rows = torch.cat([torch.cat([frozen[:1], done[0]]) for frozen, done in forks.values()])
ax = cu.plots.image_grid(rows, rows=len(forks), titles=["frozen", *range(1, 9)], row_titles=[f"t = {t}" for t in forks])
cu.show(ax.figure, "One trajectory frozen at four times (left), and eight continuations from each.")


@torch.no_grad()
def classes(images):
    """What the course's classifier reads in images (n, 28, 28) in [0, 1]: int64 (n,)."""
    return cu.metrics.classifier()(images.reshape(-1, 1, 28, 28).to(device)).argmax(1).cpu()


shares = classes(torch.from_numpy(run.samples).float() / 255).bincount(minlength=10) / len(run.samples)
print(f"share of the digits 0 … 9 among the {len(run.samples):,} shipped draws: {', '.join(f'{share:.1%}' for share in shares)}")
for t, (_, done) in forks.items():
    read = classes(done.flatten(0, 1)).view(-1, 8)
    agree = (read == read.mode(1).values[:, None]).float().mean(1)  # (starts,)
    print(f"forked at t = {t}: {agree.mean():.0%} ± {agree.std() / len(agree) ** 0.5:.0%} of the eight read as the commonest class of their eight, over {len(read)} trajectories (eight unrelated digits: about 30 %)")

# %% [markdown]
# At $t=900$ eight continuations agree hardly more than strangers do (39 % against 30 %); at 700 it is 83 %, from 500 on 100 %. So the answer to the opening's question: the class is decided **between $t=900$ and $700$**, between the 8th and the 22nd of our fifty steps: early, while the state still looks like noise. What remains open at 700 is the slant and the hand (row two: wide, narrow, open rings), at 300 next to nothing.
#
# ## 6 · A thousand steps or fifty *(deeper)*
#
# Ancestral sampling draws fresh noise in each step; DDIM (10) draws none. Both may take any ladder of times. Why is DDIM allowed? Training only used the *marginals* $q(x_t\mid x_0)$, equation (2), one time at a time, never the chain (1). Any process with the same marginals has the same loss and may use the same network. Equation (10) is one of them: if $x_t=\sqrt{\bar\alpha_t}x_0+\sqrt{1-\bar\alpha_t}\varepsilon$ with the true $x_0$ and $\varepsilon$, then $x_s=\sqrt{\bar\alpha_s}x_0+\sqrt{1-\bar\alpha_s}\varepsilon$ has the marginal of time $s$, with the *same* $\varepsilon$. Nothing is left to chance: the map from $x_T$ to $x_0$ is a function. One gap remains, since we have guesses and not the true pair. For a small step DDIM moves $x_t$ with the *average* velocity of all pairs $(x_0,\varepsilon)$ that meet there, and average velocities carry a density just as the individual ones do (lesson 14).
#
# The same argument allows the knob `fresh` of section 5, and any ladder of times. Algorithm 2 itself is a member of the family: compare (10) and (3), and its share is $1-\mathrm{SNR}(t)/\mathrm{SNR}(s)$; with fifty even steps that is 0.12 half-way and more towards both ends. Our **quarter fresh** renews more than that in the middle and less at the ends. (The quarter and the bend of the ladder were chosen with the same judge, on other seeds, so its row is favoured a little; the other rows were not tuned.)
#
# **Predict** the table: with 10 steps, which sampler is best? And with 1,000?

# %%
COUNTS, SAMPLERS = (10, 20, 50, 100, 1000), {"ancestral": ancestral, "DDIM": ddim, "quarter fresh": refreshed}
BENDS = {"ancestral": 1.0, "DDIM": 1.0, "quarter fresh": 0.6}


def measure_samplers(names=tuple(SAMPLERS)):
    """Quality and seconds of the samplers with every number of steps, as the run 06_steps: over an hour in full, so made once (delete the run to measure again)."""
    n, found = cu.budget(20, 4, full=1_000), {"sum of absolute weights": (size(unet), 1.0)}
    jobs = [(f"{name}, {count} steps", SAMPLERS[name], count, BENDS[name]) for name in names for count in cu.budget(COUNTS[:3], (10,), full=COUNTS) if (name, count) != ("quarter fresh", 1000)]
    if "quarter fresh" in names:  # one change at a time
        jobs += [("ancestral, bent ladder", ancestral, cu.budget(20, 2, full=50), 0.6), ("DDIM, bent ladder", ddim, cu.budget(20, 2, full=50), 0.6), ("quarter fresh, even ladder", refreshed, cu.budget(20, 2, full=50), 1.0)]
    entries = {"ancestral, 1000 steps": ("06_ancestral", n), "DDIM, 50 steps": ("06_ddim", cu.budget(20, 4, full=5_000))}  # their draws enter lesson 07's arena
    for name, sampler, count, bend in jobs:
        entry, drawn = entries.get(name, (None, n))
        began, images = time.process_time(), generate(unet, drawn, spaced(count, bend=bend), sampler, seed=5)
        seconds, quality = (time.process_time() - began) / drawn * 1_000, cu.metrics.quality(images[:n])
        found |= {f"{name}: ratio": (quality.ratio, 0.1 * quality.ratio), f"{name}: ± of the ratio": (quality.distance_std / quality.floor, 1.0), f"{name}: CPU seconds per 1,000": (seconds, seconds)}
        if entry:
            cu.save_run(entry, what=f"U-Net on MNIST digits; {name}", samples=images, figures={"Fréchet ratio": (cu.metrics.quality(images).ratio, 0.1)})
    return cu.save_run("06_steps", what=f"three samplers with 10 to 1,000 steps, n = {n}", figures=found)


steps_run = (cu.runs.available("06_steps") or [measure_samplers()])[0]
card = {name: entry["value"] for name, entry in steps_run.card["figures"].items()}
columns = ("ratio", "± of the ratio", "CPU seconds per 1,000")
rows = [[name, c, *(card[f"{name}, {c} steps: {what}"] for what in columns)] for c in COUNTS for name in SAMPLERS if f"{name}, {c} steps: ratio" in card]
cu.table(rows, ["sampler", "steps", "Fréchet ratio", "±", "CPU seconds per 1,000 images"], "n = 1,000 samples of the shipped weights, against the floor of the same n; one network evaluation a step. ±: over 20 halves of the test digits, same samples; another seed of the samples varies in addition.", digits=1)
rows = [[name, *(f"{card[f'{case}: ratio']:.1f}" if f"{case}: ratio" in card else "" for case in cases)] for name, *cases in
        (("none (DDIM)", "DDIM, 50 steps", "DDIM, bent ladder"), ("as Algorithm 2 does", "ancestral, 50 steps", "ancestral, bent ladder"), ("a quarter in each step", "quarter fresh, even ladder", "quarter fresh, 50 steps"))]  # fmt: skip
cu.table(rows, ["noise drawn anew", "even ladder", "bent ladder"], "Fréchet ratio with 50 steps, n = 1,000: what the new noise and the ladder contribute.")
print(f"the exact score and DDIM in 250 steps: energy distance {energy(ddim(exact_eps, noise_2d, spaced(cu.budget(250, 25))), genuine):.5f}, limit {limit:.5f}")
n_live = cu.budget(100, 4)
for name, sampler in SAMPLERS.items():
    images = generate(unet, n_live, spaced(cu.budget(20, 2), bend=BENDS[name]), sampler, seed=6)
    print(f"just now, {name}, 20 steps: {cu.metrics.quality(images)}")

# %% [markdown]
# With ten steps nobody is good (8 to 12): each step is long, and a single Gaussian around one guess is a poor stand-in for all the $x_0$ that are still possible (section 2). With fifty, who draws new noise stands at 3 and DDIM at 7. Beyond that, patience is badly paid. Ancestral sampling gets *worse*, 3.2, 4.0 and 5.4, while the price rises from 97 to 1,944 seconds; DDIM creeps from 6.9 to 6.3. Only quarter fresh goes on falling, to 2.0 with a hundred steps: it renews a quarter in *every* step, where Algorithm 2 renews less and less as its steps get shorter. The second table takes our sampler apart, and is a lesson in tuning: new noise is what counts (7 or 6 becomes 3), but the bent ladder, which looked best on the seeds on which it was chosen, buys nothing on these; Algorithm 2 with fifty even steps does as well. (Ratios at n = 1,000 are not comparable with those at n = 5,000.)
#
# Why does new noise help? With the exact score it is not needed: the last printed line is section 2's mixture, by DDIM. But the network errs, and DDIM carries every error on to the end. New noise makes a state forget part of where it went wrong, and the steps that follow correct it (Karras et al., 2022, make the same use of it).
#
# That DDIM is a *function* of the noise has two visible consequences. **Predict:** the same noise with 10, 20, 50 and 100 steps: the same digit, or four digits? And halfway between two noises?

# %% slideshow={"slide_type": "slide"}
def between(a, b, n):
    """n images on the great circle from noise a to noise b (1, 1, 28, 28): a straight line would leave the shell where noise lives."""
    angle = torch.acos((a * b).sum() / (a.norm() * b.norm()))
    f = torch.linspace(0, 1, n, device=a.device).view(-1, 1, 1, 1)
    return (torch.sin((1 - f) * angle) * a + torch.sin(f * angle) * b) / torch.sin(angle)


few_or_many = cu.budget((10, 20, 50, 100), (4, 6))
same = [ddim(predictor(unet), seeds, spaced(count), clip=1.0).cpu() for count in few_or_many]
path = [ddim(predictor(unet), between(seeds[i : i + 1], seeds[j : j + 1], 8), spaced(few_or_many[-2]), clip=1.0).cpu() for i, j in ((0, 1), (2, 3))]
titles = [*(f"{count} steps" for count in few_or_many), "noise 1 → noise 2", "noise 3 → noise 4"]
ax = cu.plots.image_grid(torch.cat([*same, *path]) / 2 + 0.5, rows=len(titles), row_titles=titles)
cu.show(ax.figure, "Upper rows: the same eight noises, drawn by DDIM with different numbers of steps. Lower rows: DDIM from noises between two of them.")
change = (same[0] - same[-1]).square().mean().sqrt() / (same[-1] - same[-1].roll(1, 0)).square().mean().sqrt()
print(f"{few_or_many[0]} against {few_or_many[-1]} steps, same noise: root mean square difference {change:.0%} of that between different noises")

# %% [markdown]
# Same noise, nearly the same picture: ten steps and a hundred differ by 28 % of what two different noises differ by. Strokes are closed and edges moved, and only the sixth and the eighth column are read differently for it. So $x_T$ is a *code* of the image, 784 numbers long, and DDIM is its decoder. Halfway between two noises there is a digit too, mostly: from the 4 to the 3 the way leads through 5s, from the 1 to the 3 through something like a D. No grey average of two digits, as in pixel space, but no meaning between the two ends either.

# %% [markdown]
# ## 7 · Condition and guide *(core)*
#
# "Draw a 7" needs $p(x\mid y)$. The network gets one more input, a label, as a vector added to that of the time; those vectors start at zero, so the conditional network can start from the weights we have and begin as the very same function. In training the label is **withheld** one time in ten, replaced by an eleventh label "not told". So one network knows both scores, with and without the label.

# %%
conditional = UNet(labels=10)
missing = conditional.load_state_dict(unet.state_dict(), strict=False)
assert missing.missing_keys == ["embed_label.weight"] and not missing.unexpected_keys
cu.prepare(conditional)
probe = torch.randn(4, 1, 28, 28, device=device)
with torch.no_grad():
    torch.testing.assert_close(conditional(probe, torch.tensor([1, 300, 600, T], device=device), torch.tensor([0, 5, 9, 10], device=device)),
                               unet(probe, torch.tensor([1, 300, 600, T], device=device)))  # fmt: skip


def conditional_loss(model, x, y):
    """The loss with labels y (B,), of which one in ten is withheld (10 stands for "not told")."""
    withheld = torch.rand(len(y), device=y.device) < 0.1
    return diffusion_loss(model, x, torch.where(withheld, 10, y))


conditional_history = cu.fit(conditional, conditional_loss, cu.Batches(mnist.train, 64, labels=True), steps=40, full=3_000, lr=5e-4, schedule=warm_cosine, ema=0.9995,
                             clip=1.0, name="06_conditional")  # fmt: skip
cu.save_run("06_conditional", conditional_history.ema, what="class-conditional U-Net, started from 06_diffusion, labels withheld one time in ten", history=conditional_history,
            figures={"sum of absolute weights": (size(conditional_history.ema), 1.0)})  # fmt: skip
cu.restore("06_conditional", conditional)

# %% [markdown]
# By Bayes' rule $\nabla\log p_t(x\mid y)=\nabla\log p_t(x)+\nabla\log p_t(y\mid x)$, since $p(y)$ does not depend on $x$. So the *difference* of the two scores is the gradient of a classifier that nobody trained. **Classifier-free guidance** (Ho and Salimans, 2022) takes more of it,
#
# $$\hat\varepsilon_w=\hat\varepsilon_\text{not told}+w\,\bigl(\hat\varepsilon_{y}-\hat\varepsilon_\text{not told}\bigr). \tag{11}$$
#
# $w=0$ ignores the label, $w=1$ is the conditional model, $w>1$ exaggerates what distinguishes a 7 from other digits.
#
# **Exercise 6 (core).** Write (11).

# %% tags=["exercise"]
def combine(eps_free, eps_label, w):
    """Equation (11): the noise predicted without label and with it (B, …), guidance scale w → (B, …)."""
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
        both = predictor(net, torch.cat([torch.full_like(y, net.labels), y]))(torch.cat([x, x]), t)
        return checked_combine(both[:n], both[n:], w)

    return predict


SCALES = (0.0, 1.0, 1.5, 2.0, 3.0, 5.0, 8.0)


def measure_guidance():
    """Precision, recall, Fréchet ratio and label accuracy by scale, with grids of 100, as the run 06_guidance."""
    n, found, grids = cu.budget(100, 100, full=1_000), {"sum of absolute weights": (size(conditional), 1.0)}, []
    y, real = torch.arange(n) % 10, cu.metrics.features(mnist.test.sample(n, seed=1).x)
    for w in SCALES:
        images = generate(conditional, n, spaced(cu.budget(10, 1, full=50), bend=0.6), y=y, w=w, seed=7)
        spread = cu.metrics.precision_recall(real, cu.metrics.features(images))
        found |= {f"w = {w:g}: {name}": (spread[name], 0.05) for name in ("precision", "recall")}
        found |= {f"w = {w:g}: ratio": (cu.metrics.quality(images).ratio, 2.0), f"w = {w:g}: label read back": ((classes(images.float() / 255) == y).float().mean().item(), 0.05)}
        grids.append(images[:100, 0])
    return cu.save_run("06_guidance", what=f"guidance at seven scales, n = {n}, 50 steps", figures=found, replay=(torch.stack(grids), torch.tensor([int(10 * w) for w in SCALES])))


guidance_run = (cu.runs.available("06_guidance") or [measure_guidance()])[0]
by_scale = {what: [guidance_run.figure(f"w = {w:g}: {what}") for w in SCALES] for what in ("precision", "recall", "ratio", "label read back")}

# %% [markdown]
# Before the next figure, **predict**: as $w$ grows from 0 to 8, what happens to *precision* (share of samples that lie among real digits), to *recall* (share of real digits that lie among samples), and to the Fréchet distance? Which $w$ is best?

# %% slideshow={"slide_type": "slide"}
def draw_guidance(w):
    """A grid of 100 guided digits, one column a class, beside the curves with a mark at w."""
    i = SCALES.index(w)
    fig, (left, middle, right) = plt.subplots(1, 3, figsize=(11.5, 3.9), width_ratios=(1.1, 1, 1))
    cu.plots.image_grid(guidance_run.replay[0][i][:70], rows=7, ax=left, note=False)
    left.set_title(f"w = {w:g}")
    for what in ("precision", "recall", "label read back"):
        middle.plot(SCALES, by_scale[what], "o-", label=what)
    right.plot(SCALES, by_scale["ratio"], "o-", color="#D55E00")
    for ax, label in ((middle, "share"), (right, "Fréchet ratio")):
        ax.axvline(w, color="black", linestyle=":")
        ax.set(xlabel="guidance scale w", ylabel=label, ylim=(0, 1.03) if ax is middle else (0, None))
    middle.legend(fontsize=9)
    return fig


cu.explore(draw_guidance, "Left: 70 guided digits, one column a class. Middle: precision, recall and the share whose label is read back. Right: Fréchet ratio. All against the guidance scale, n = 1,000.",
           w={"options": list(SCALES), "value": 8.0})  # fmt: skip

# %%
cu.table([[w, *(by_scale[what][i] for what in by_scale)] for i, w in enumerate(SCALES)], ["w", *by_scale], "Shipped measurements, n = 1,000 a scale.", digits=2)
print(f"w = 0, the hundred draws of the grid by class 0 … 9: {classes(torch.from_numpy(guidance_run.replay[0][0]).float() / 255).bincount(minlength=10).tolist()}")
few = torch.arange(cu.budget(100, 20)) % 10
for w in (1.0, 8.0):
    drawn = generate(conditional, len(few), spaced(cu.budget(20, 2), bend=0.6), y=few, w=w, seed=8).float() / 255
    print(f"just now, w = {w:g}: label read back for {(classes(drawn) == few).float().mean():.0%} of {len(few)}; mean ink {drawn.mean():.3f} (real {mnist.test.x[:1000].float().mean() / 255:.3f}); "
          f"spread within a class {drawn.view(-1, 10, 784).std(0).mean():.3f}")  # fmt: skip

# %% [markdown]
# *With the label* ($w=1$) the ratio is 1.2, where the unconditional model has 2.4 at the same $n$: to be told what to draw is worth more than any sampler. But one label in ten is not read back. *Without it* ($w=0$) the same network has a ratio of 15, for a reason that the counts show: one 1 among a hundred draws. For 3,000 steps it was told the label nine times in ten, and what it draws when it is not told has drifted. That is the network which (11) subtracts. *With more of it* the labels come back (98 % at 1.5, all at 5), at a price that recall pays first: 0.93, 0.82, 0.40 at $w=1,2,8$, while the Fréchet ratio rises from 1.2 to 32. In the over-guided grid the strokes are a third fatter than at $w=1$ (mean ink 0.17 in place of 0.13) and the digits of a column are alike.
#
# Which $w$ is best? By Fréchet distance 1, by obedience 3. Guidance trades variety for obedience, and beyond 3 it loses precision as well (0.97, then 0.86): the samples leave the region of real digits.
#
# **What does guidance sample from?** *(deeper)* At $t=0$ the guided score is $\nabla\log p(x)+w\nabla\log p(y\mid x)$, the score of the sharpened density $p(x)\,p(y\mid x)^w$. It is tempting to conclude that guided samples have that density. But for $t>0$ the score needed is that of the sharpened density *after noising*, and noising does not commute with taking a power. In the exact mixture both sides are known, with the component as the label. The left-hand cloud is drawn without any diffusion: since $p(x)p(y\mid x)^w\propto p(x\mid y)\,p(y\mid x)^{w-1}$, draw from the component and keep a draw with probability $p(y\mid x)^{w-1}$. **Predict:** do the two clouds coincide? If not, which of them lies farther from the other components?

# %% slideshow={"slide_type": "slide"}
W, label = 4.0, 2
alone = tuple(part[label : label + 1] for part in toy)  # the component as a mixture of one
alone = (torch.ones(1).double(), *alone[1:])


def log_label(x, a):
    """log p_t(y | x) of the label in the noised mixture: (n,)."""
    return toy[0][label].log() + log_p_and_score(x, a, alone)[0] - log_p_and_score(x, a)[0]


def sharpened(n, seed, w=W):
    """n exact draws (n, 2) from p(x) p(y | x)^w up to its constant, by rejection."""
    x = draw_mixture(8 * n, seed, alone)
    keep = torch.rand(len(x), generator=torch.Generator().manual_seed(seed + 10**6)) < ((w - 1) * log_label(x, abar[0])).exp()
    assert keep.sum() >= n
    return x[keep][:n]


def guided_exact(x, t, w=W):
    """Equation (11) with both exact predictions."""
    return checked_combine(exact_eps(x, t), -(1 - abar[t]).sqrt() * log_p_and_score(x, abar[t], alone)[1], w)


torch.testing.assert_close(guided_exact(data[:5], 300, w=0.0), exact_eps(data[:5], 300))
steered = ancestral(guided_exact, noise_2d, spaced(cu.budget(T, 50)), generator=torch.Generator().manual_seed(1))
sharp, sharp_limit = sharpened(n_test, 0), real_vs_real(sharpened, n_test, cu.budget(40, 5))
fig, axes = plt.subplots(1, 3, figsize=(11.5, 3.9), sharex=True, sharey=True)
for ax, x, title in zip(axes, (draw_mixture(n_test, 5, alone), sharp, steered), ("p(x given y)", f"p(x) p(y given x)^{W:g}, exact", f"guided with w = {W:g}")):
    cu.plots.scatter(genuine[:400], ax=ax, s=3, color="#bbbbbb")
    cu.plots.scatter(x[:400], ax=ax, s=4, color="#D55E00")
    ax.set(xlim=(-4, 4), ylim=(-4, 4), title=title)
cu.show(fig, "One component of the mixture (left), the sharpened density sampled exactly (middle), and guided diffusion with exact scores (right); grey: the whole mixture.")
print(f"energy distance between guided and sharpened {energy(steered, sharp):.4f}; 95 % of pairs of sharpened clouds stay below {sharp_limit:.4f}")
far = toy[0] @ toy[1] + W * (toy[1][label] - toy[0] @ toy[1])
print(f"the guided guess at x_0 at t = T: ({far[0]:.1f}, {far[1]:.1f})")
for name, x in (("component", draw_mixture(n_test, 5, alone)), ("sharpened", sharp), ("guided", steered)):
    print(f"{name}: mean ({x[:, 0].mean():.2f}, {x[:, 1].mean():.2f}), standard deviations {x[:, 0].std():.2f} and {x[:, 1].std():.2f}, p(label given x) on average {log_label(x, abar[0]).exp().mean():.3f}")

# %% [markdown]
# With exact scores and a thousand steps the guided cloud is not the sharpened one: their energy distance is 0.149, nearly ninety times the limit. Both are about equally wide, but the guided one lies farther out. From the component's own mean at height −1.00, sharpening moves it to −1.21 and guidance to −1.58, away from the two other components, to where the label is surer still (0.993 against 0.971) and where few points of the mixture ever were. The reason is what happens early: at $t=T$ the guided guess at $x_0$ is the printed one, far outside the sharpened cloud, and every point sets out for it. Guidance works, but it is a heuristic, with no simple formula for what it draws.

# %% [markdown]
# ## 8 · Use it *(deeper)*
#
# A model of $p(x)$ can be asked for what fits. Nothing is retrained here, and the network never saw a mask or a scribble.
#
# **Inpainting.** Run the way back, and after each step overwrite the known pixels with the *known image noised to the same level*, by (2). The network sees a picture that is consistent where it is known, and completes the rest to match. One trip is not enough: the new part was drawn before it knew about the pasted one. So each step is repeated: noise it forward again by (1), denoise, paste (RePaint; Lugmayr et al., 2022). **Predict:** does the repetition show?

# %% slideshow={"slide_type": "slide"}
def inpaint(predict, known, mask, times, repeats, generator):
    """Fill images known (n, 1, 28, 28) in [−1, 1] where mask (n, 1, 28, 28) is False: the result before the last paste."""
    x = torch.randn(known.shape, generator=generator).to(known)
    for t, s in zip(times, times[1:]):
        for again in reversed(range(repeats if s else 1)):
            free = ancestral(predict, x, [t, s], clip=1.0, generator=generator)
            fresh = torch.randn(known.shape, generator=generator).to(known)
            x = torch.where(mask, checked_q(known, torch.full((len(known),), s, device=known.device), fresh, abar), free)
            if again:  # forward again from s to t
                a = abar[t] / abar[s]
                x = a.sqrt() * x + (1 - a).sqrt() * torch.randn(known.shape, generator=generator).to(known)
    return free


chosen = [1, 2, 3, 4, 7, 8, 9, *range(100, 100 + cu.budget(32, 1))]
victims = torch.cat([mine, 2 * mnist.test.float()[chosen] - 1]).to(device)  # yours, seven to look at, the others to count
mask = torch.ones_like(victims, dtype=torch.bool)
mask[:, :, 12:] = False  # the lower part is hidden
filled = {r: inpaint(predictor(unet), victims, mask, spaced(cu.budget(50, 4)), r, torch.Generator().manual_seed(0)) for r in (1, cu.budget(5, 2))}
pasted = [torch.where(mask, victims, image) for image in filled.values()]
hidden_shown = torch.where(mask, victims, torch.zeros(()).to(victims))
ax = cu.plots.image_grid(torch.cat([part[:8] for part in (hidden_shown, *pasted, victims)]).cpu() / 2 + 0.5, rows=4, row_titles=["given", *(f"each step {r}×" for r in filled), "truth"])
cu.show(ax.figure, "Your digit and seven test digits with their lower part hidden (grey), two completions with the unconditional model, and the truth.")


def seam(images):
    """Mean absolute difference between the last known row of pixels and the first hidden one, for images (n, 1, 28, 28) in [−1, 1]."""
    return ((images[:, :, 12] - images[:, :, 11]).abs().mean() / 2).item()


true = classes(victims / 2 + 0.5)
for (r, image), whole in zip(filled.items(), pasted):
    outside, inside = (cu.metrics.psnr((image[:, :, rows] / 2 + 0.5).clamp(0, 1), victims[:, :, rows] / 2 + 0.5) for rows in (slice(12), slice(12, 28)))
    print(f"each step {r}×, {len(image)} digits: PSNR {outside.mean():.1f} dB where pixels are known (as the last step drew them, before they are pasted), {inside.mean():.1f} ± {inside.std() / len(inside) ** 0.5:.1f} dB where hidden; "
          f"jump across the seam {seam(whole):.3f} (truth {seam(victims):.3f}); {(classes(whole / 2 + 0.5) == true).float().mean():.0%} read as what the whole digit is read as")  # fmt: skip

# %% [markdown]
# Repetition shows. Without it lower halves turn up that belong to another digit; with five repeats the jump across the seam falls from 0.115 to 0.095 (0.072 in real digits), and 65 % of the forty are read as what they were, in place of 52 % (forty digits leave either share eight points of doubt). The PSNR inside, 10.1 and 10.7 dB, hardly notices: another good lower half is as wrong, pixel by pixel, as a bad one. Where pixels are known the model's own last step gives them back at 42.6 dB, before anything is pasted: it drew around them, not over them. (Lesson 02 explains why, where pixels are hidden, the PSNR of a *perfect* draw is 3 dB below that of the mean.)
#
# **A stroke to a digit.** Start the way back not from noise but half-way, from a rough stroke noised to time $t$ by (2). What the noise has drowned is drawn anew, what has survived is kept (SDEdit; Meng et al., 2022). **Predict** for small, middle and large $t$: kept, repaired, ignored?

# %%
def stroke(*corners, thickness=1.4):
    """A rough stroke through corners (x, y) in pixels, drawn with a ruler: (1, 1, 28, 28) in [−1, 1]."""
    grid = torch.stack(torch.meshgrid(torch.arange(28.0), torch.arange(28.0), indexing="xy"), -1)  # (28, 28, 2)
    points = torch.tensor(corners, dtype=torch.float32)
    a, b = points[:-1, None, None], points[1:, None, None]  # (segments, 1, 1, 2)
    along = (((grid - a) * (b - a)).sum(-1) / (b - a).square().sum(-1)).clamp(0, 1)[..., None]
    distance = (grid - a - along * (b - a)).norm(dim=-1).min(0).values
    return ((thickness - distance).clamp(-0.5, 0.5) * 2)[None, None]


scribble = stroke((8, 7), (19, 6), (11, 14), (19, 20), (7, 22))  # five corners, meant as a 3


@functools.cache
def repaired(t):
    """Six digits (6, 28, 28) in [0, 1] from the scribble, noised to time t and brought back."""
    start = checked_q(scribble.expand(6, -1, -1, -1), torch.full((6,), t), torch.randn(6, 1, 28, 28, generator=torch.Generator().manual_seed(0)), abar)
    out = refreshed(predictor(unet), start.to(device), spaced(cu.budget(max(2, t // 20), 2), start=t, bend=0.6), clip=1.0, generator=torch.Generator().manual_seed(1))
    return (out.cpu().squeeze(1) / 2 + 0.5).clamp(0, 1)


def draw_repair(t):
    """The scribble and six digits that start from it at time t."""
    ax = cu.plots.image_grid(torch.cat([scribble[0] / 2 + 0.5, repaired(t)]), rows=1, titles=["stroke", *"123456"], note=False)
    ax.set_xlabel(f"from t = {t}")
    return ax.figure


# %% slideshow={"slide_type": "slide"}
STARTS = cu.budget([100, 200, 300, 400, 500, 600, 700, 800, 900], [200, 800])


def all_repairs():
    """The static picture: several starting times below each other."""
    shown = STARTS[1::2]
    rows = torch.cat([torch.cat([scribble[0] / 2 + 0.5, repaired(t)]) for t in shown])
    return cu.plots.image_grid(rows, rows=len(shown), row_titles=[f"from t = {t}" for t in shown], titles=["stroke", *"123456"] if len(shown) == 1 else None).figure


cu.explore(draw_repair, "A stroke drawn with a ruler (left), and six digits that the unconditional model makes of it when it starts from the stroke noised to time t.",
           t={"options": STARTS, "value": STARTS[len(STARTS) // 2]}, static=all_repairs)  # fmt: skip
for t in STARTS:
    kept = (repaired(t) - (scribble[0] / 2 + 0.5)).square().mean().sqrt()
    print(f"from t = {t}: read as {sorted(classes(repaired(t)).tolist())}, root mean square distance from the stroke {kept:.2f}")

# %% [markdown]
# Up to $t=400$ it is the same stroke with its corners rounded. From 600 it is handwriting, six different hands, and still six 3s. From 800 one of the six is an 8 and one a 2, and from 900 only one is a 3: the stroke is forgotten. The useful starting time lies where the fork of section 5 showed the class decided but the hand still open, between 500 and 700.

# %% [markdown]
# ## 9 · Why doesn't it copy? *(deeper)*
#
# The data are 55,000 images. Noised by (2), the *empirical* distribution is a mixture of 55,000 Gaussians, one around each $\sqrt{\bar\alpha_t}\,x^{(i)}$, all with variance $1-\bar\alpha_t$. Its score is known exactly, as in section 2:
#
# $$E[x_0\mid x_t]=\sum_i \rho_i\,x^{(i)},\qquad \rho=\operatorname{softmax}_i\Bigl(-\frac{\lVert x_t-\sqrt{\bar\alpha_t}x^{(i)}\rVert^2}{2(1-\bar\alpha_t)}\Bigr). \tag{12}$$
#
# And this, not the score of "digits in general", is what minimises the training loss (8) over all functions. **Predict:** run the way back with (12), no network. What comes out?

# %%
def empirical(data):
    """`predict(x, t)` → E[ε | x_t] for the empirical distribution of data (N, 784): equation (12)."""
    half_square = data.square().sum(1) / 2

    def predict(x, t):
        a, flat = abar[t], x.flatten(1)
        logits = (a.sqrt() * flat @ data.T - a * half_square) / (1 - a)  # ‖x_t‖² is the same for all i
        x0 = logits.softmax(1) @ data
        return ((flat - a.sqrt() * x0) / (1 - a).sqrt()).view_as(x)

    return predict


def nearest(x, data):
    """Distance (n,) of each image to its nearest neighbour, and which one that is: x (n, 784), data (N, 784)."""
    found = [torch.cdist(part, data).min(1) for part in x.split(500)]
    return torch.cat([f.values for f in found]), torch.cat([f.indices for f in found])


archive = 2 * mnist.train.flat()[: cu.budget(55_000, 2_000)] - 1
copies = ancestral(empirical(archive), torch.randn(12, 1, 28, 28, generator=torch.Generator().manual_seed(0)), spaced(cu.budget(100, 10)), generator=torch.Generator().manual_seed(1))
gap, which = nearest(copies.flatten(1), archive)
gap = gap / 2  # as distances between images in [0, 1]
print(f"{(gap < 0.05).sum()} of 12 images from the exact empirical score are a training image to within 0.05 (two real digits are {nearest(2 * mnist.test.flat()[:200] - 1, archive)[0].mean() / 2:.1f} apart at the nearest); largest distance {gap.max():.1e}")

# %% [markdown]
# Twelve training images, to within 0.008, where real digits are 4.1 from their nearest neighbour. **The best possible loss is a copying machine.** A network generates because it does *not* reach the minimum: it is too smooth, sees every image only sixteen times, and its errors are shared between images. So memorisation should begin where it *can* reach the minimum: few images, many visits.
#
# Train on 100 images. At each preview, take the distance of 36 draws to the nearest of the 100, and compare with that of fresh test digits to the same 100. **Predict** the curve.

# %%
hundred = mnist.train.sample(100, seed=0)
torch.manual_seed(0)
small = UNet(width=32)
hundred_history = cu.fit(small, diffusion_loss, cu.Batches(hundred, 50), steps=30, full=5_000, lr=2e-3, schedule=warm_cosine, ema=0.999, clip=1.0, name="06_hundred",
                         preview=lambda step: generate(small, 36, spaced(cu.budget(10, 2, full=50), bend=0.6), seed=1),
                         preview_at=cu.budget([30], [8], full=[0, 100, 250, 500, 1_000, 1_750, 2_500, 3_500, 5_000]))  # fmt: skip
cu.save_run("06_hundred", what="the same recipe on 100 training images, width 32: draws along the training", history=hundred_history)
frames, at_step = cu.runs.load("06_hundred").replay

# %% slideshow={"slide_type": "slide"}
hundred_flat, fresh = hundred.flat(), mnist.test.flat()[: cu.budget(2_000, 100)]
distance = [nearest(torch.from_numpy(frame).flatten(1).float() / 255, hundred_flat)[0].median().item() for frame in frames]
shipped_draws = torch.from_numpy(run.samples[: cu.budget(2_000, 100)]).flatten(1).float() / 255
home = mnist.train.flat()[: cu.budget(55_000, 2_000)]
of_model, of_test = nearest(shipped_draws, home)[0], nearest(fresh, home)[0]
fig, axes = plt.subplots(1, 3, figsize=(13, 3.7), width_ratios=(1, 1, 1.1))
cu.plots.image_grid(torch.cat([copies[:6], archive[which[:6]].view(-1, 1, 28, 28)]) / 2 + 0.5, rows=2, row_titles=["drawn", "nearest"], ax=axes[0], note=False)
axes[0].set_title("Exact empirical score: copies")
axes[1].plot(at_step, distance, "o-", label="draws")
axes[1].axhline(nearest(fresh, hundred_flat)[0].median(), color="black", linestyle=":", label="fresh test digits")
axes[1].set_xscale("symlog", linthresh=100)
axes[1].set(xlabel="training step", ylabel="median distance to nearest of 100", xlim=(0, None), ylim=(0, None), title="100 images: it learns them by heart")
axes[1].legend(fontsize=9)
bins = torch.linspace(0, 11, 45).tolist()
axes[2].hist(of_test.numpy(), bins=bins, alpha=0.6, label="test digits", density=True)
axes[2].hist(of_model.numpy(), bins=bins, alpha=0.6, label="shipped model's draws", density=True)
axes[2].set(xlabel="distance to the nearest of 55,000", ylabel="density", title="55,000 images: no copies")
axes[2].legend(fontsize=9)
cu.show(fig, "Left: draws with the exact empirical score above their nearest training image. Middle: a network trained on 100 images, median distance of its draws to the nearest of them. Right: distance to the nearest training image for the shipped model's draws and for test digits.")
print("100 images, median distance by step: " + ", ".join(f"{step:,}: {d:.2f}" for step, d in zip(at_step, distance)) + f"; fresh digits {nearest(fresh, hundred_flat)[0].median():.2f}")
print(f"shipped model: median {of_model.median():.2f}, 1 % below {of_model.quantile(0.01):.2f}; test digits: median {of_test.median():.2f}, 1 % below {of_test.quantile(0.01):.2f}; {(of_model < of_test.min()).sum()} of {len(of_model):,} draws are nearer than the nearest test digit ({of_test.min():.2f})")

# %% [markdown]
# With a hundred images memorisation needs no patience. After 100 steps the draws are about as far from the hundred as fresh digits are (7.4 and 6.9), after 1,000 half as far, and after 5,000 steps of 50, that is 2,500 visits to each image, the median distance is 0.24: copies, by a network with a smooth-running loss that never hinted at it. With 55,000 the histograms lie on each other: medians 4.41 for the shipped model's draws and 4.43 for test digits; one draw in a hundred is nearer than 1.38, one test digit in a hundred nearer than 1.25. A draw nearer to a training image than any test digit would be a suspect; the last line counts them: none of 2,000. With 55,000 images and sixteen visits each the network has neither the weights nor the time to learn its minimum.

# %% [markdown]
# ## 10 · What it costs *(deeper)*
#
# **Predict:** what do the ideas of section 5 buy: the velocity, the stratified times, the falling learning rate, the average of weights?

# %%
def measure_ideas():
    """Four recipes of 1,500 steps, each with one idea more, as the run 06_ideas."""
    n, found = cu.budget(20, 4, full=1_000), {}
    recipes = [("plain: ε, independent times, constant rate", "eps", False, None), ("v instead of ε", "v", False, None),
               ("+ stratified times", "v", True, None), ("+ falling learning rate", "v", True, warm_cosine)]  # fmt: skip
    for i, (name, target, stratified, schedule) in enumerate(recipes):
        torch.manual_seed(0)
        net, loss = UNet(), functools.partial(diffusion_loss, target=target, stratified=stratified)
        trained = cu.fit(net, loss, cu.Batches(mnist.train, 64), steps=4, full=1_500, lr=2e-3, schedule=schedule, ema=0.998, clip=1.0, name=f"06_idea_{i}")
        weights = [(name, net)] + ([(f"{name}, weights averaged", trained.ema)] if stratified else [])
        for label, version in weights:
            ratio = cu.metrics.quality(generate(version, n, spaced(cu.budget(10, 2, full=50)), ddim, target=target)).ratio
            found[f"{label}: ratio"] = (ratio, 0.2 * ratio)
    return cu.save_run("06_ideas", what="what each idea buys: 1,500 steps of 64, n = 1,000", figures=found)


ideas = (cu.runs.available("06_ideas") or [measure_ideas()])[0]
cu.table([[name.removesuffix(": ratio"), entry["value"]] for name, entry in ideas.card["figures"].items()], ["recipe", "Fréchet ratio"],
         "1,500 steps of 64 each (a ninth of the shipped run), n = 1,000, DDIM in 50 steps. Each recipe adds one idea to the recipe above.", digits=1)  # fmt: skip

# %%
curve = [(float(name.split()[3]), entry["value"]) for name, entry in run.card["figures"].items() if "CPU hours" in name]
if curve:
    fig, ax = plt.subplots(figsize=(6.5, 3.4))
    ax.loglog(*zip(*curve), "o-")
    ax.axhline(1, color="black", linestyle=":")
    ax.set(xlabel="hours of training on one CPU core", ylabel="Fréchet ratio, n = 1,000", title="Plain DDIM: the last 15 minutes buy nothing")
    cu.show(fig, "Fréchet ratio of 1,000 samples (DDIM, 50 steps, EMA weights) against hours of training on one CPU core; dotted: real digits against real digits.")
for name in run.card["figures"]:
    if "weights, n" in name:
        print(f"{name}: {run.figure(name):.1f}")
began, n_timed = time.process_time(), cu.budget(100, 4)
generate(unet, n_timed, spaced(cu.budget(10, 2)), ddim)
per_evaluation = (time.process_time() - began) / n_timed / cu.budget(10, 2)
cu.table([[f"{name}, {c} steps", c, per_evaluation * c * 1_000] for name, c in (("one jump", 1), ("DDIM, fresh or not", 10), ("DDIM, fresh or not", 50), ("ancestral", 1_000))],
         ["sampler", "network evaluations an image", "CPU seconds per 1,000 images"], "Measured just now with the shipped network: time of one evaluation, times their number.", digits=0)  # fmt: skip

# %% [markdown]
# *The ideas.* After 1,500 steps the velocity has bought most: the ratio falls from 123 to 65. Next comes the falling learning rate, 64 to 39. The average of the weights does nearly the same for a rate that does not fall (64 to 44), and nothing on top of one that does (39 and 40; the shipped run has 2.6 with the last weights, 2.4 with their average): both average the noise of the steps away, and once is enough. Stratified times show nothing. One seed each, so differences of a tenth mean nothing either.
#
# *The hours.* From 2 minutes to 20 the ratio falls from 117 to 18; in the last quarter of an hour it does not move (7.6, 7.7). Before you blame the network, look at section 6: the curve was drawn by plain DDIM, and with a quarter of the noise renewed the same last weights reach 2.4. The best idea of this lesson cost no training at all.
#
# *The price* stands in the last table: fifty evaluations where a GAN needs one. Lesson 14 brings the number down.

# %% [markdown]
# ## What to take home
#
# - *Forward is free.* One jump (2) equals $t$ steps (1), measured to within Monte Carlo error (section 1).
# - *Backward is the score.* With the exact score the way back returns the mixture, by a test fixed beforehand; and so does a learned one, by the same test (section 2).
# - *The simple loss is the bound* without its weights $\lambda_t$; $\varepsilon$, $x_0$ and $v$ are one guess in three units (section 3).
# - *Two functions are the method,* and the index has two ends (section 4). The layout comes first, the class is decided midway (section 5).
# - *Sampling is a choice made after training:* fifty steps or a thousand, noisy or not (6), with a label and more of it (7), around a mask or from a scribble (8).
# - *It generates because it does not reach its minimum* (section 9).
#
# **What breaks, and why.** Too few steps: each draws around one guess where many pictures were still possible. Too much guidance: all 7s alike. Too few images: copies. And the price: one image costs fifty evaluations of the network.
#
# **References.** O. Ronneberger, P. Fischer and T. Brox, *U-Net: convolutional networks for biomedical image segmentation*, 2015. Y. Song and S. Ermon, *Generative modeling by estimating gradients of the data distribution*, 2019. J. Sohl-Dickstein et al., *Deep unsupervised learning using nonequilibrium thermodynamics*, 2015. J. Ho, A. Jain and P. Abbeel, *Denoising diffusion probabilistic models*, 2020. A. Nichol and P. Dhariwal, *Improved denoising diffusion probabilistic models*, 2021. J. Song, C. Meng and S. Ermon, *Denoising diffusion implicit models*, 2021. J. Ho and T. Salimans, *Classifier-free diffusion guidance*, 2022. T. Salimans and J. Ho, *Progressive distillation for fast sampling of diffusion models*, 2022. T. Karras, M. Aittala, T. Aila and S. Laine, *Elucidating the design space of diffusion-based generative models*, 2022. A. Lugmayr et al., *RePaint: inpainting using denoising diffusion probabilistic models*, 2022. C. Meng et al., *SDEdit: guided image synthesis and editing with stochastic differential equations*, 2022. G. Székely and M. Rizzo, *Energy statistics: a class of statistics based on distances*, 2013.
#
# **The failure that the next lesson repairs:** on what grounds do we call these digits better, or worse, than those of lessons 04 and 05? We have looked at one number of one ruler. Lesson 07 puts all models on one bench.
