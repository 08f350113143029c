# %% [markdown]
# # 06b Diffusion in depth
#
# **One trained network is many machines: fast or slow, deterministic or random, a painter, a restorer; and it generates because it is not perfect.**
#
# The same weights drew all three rows below.
# Only the way back differs.

# %% tags=["setup"]
import functools
import math
import time

import matplotlib.pyplot as plt
import torch
from torch.distributions import MultivariateNormal, Normal, kl_divergence

import course_utils as cu
from course_utils.nets import UNet

device = cu.setup()

# what lesson 06 wrote, in its sections 1 to 6
from course_utils.lessons.lesson_06 import abar, ddim, exact_eps, spaced, way_back, x0_from_eps

# %% tags=["figure", "slide"]
# @title Figure: one network, three ways back
entries = {
    "06_ddim": "50 steps, no new noise",
    "06_diffusion": "50 steps, much new noise",
    "06_ancestral": "1,000 steps",
}
rows = [torch.from_numpy(run.samples[:10]) for run in cu.runs.available(*entries)]
names = [entries[run.name] for run in cu.runs.available(*entries)]
ax = cu.plots.image_grid(torch.cat(rows), rows=len(rows), row_titles=names)
cu.show(ax.figure, "Ten draws a row, as they come, of lesson 06's network by three samplers.")

# %% [markdown]
# **After this lesson you can** place a sampler in one family by its $\eta$, and choose it on validation digits · say what the noise of a way back is good for · prove the weights of the bound, and say where it is loose · fill holes and mend strokes with a model that never saw either · show that the best possible loss is a copying machine, and how one notices.
#
# **Builds on** lesson 06 with its section 6 (DDIM); its letters are used again: $x_t$, $\varepsilon$, $\bar\alpha_t$, $\hat x_0$, $\hat\varepsilon$, and $s<t$ for an earlier time.
#
# | letter | meaning | letter | meaning |
# |---|---|---|---|
# | $\eta$ | how much new noise a step draws | $\sigma$ | its standard deviation |
# | $z$ | new noise, $\mathcal N(0,I)$ | $\rho_i$ | weight of training image $i$ |

# %% [markdown]
# ## 1 · One family of samplers *(core)*
#
# Ancestral sampling draws new noise in each step; DDIM draws none.
# Both may take any ladder of times.
# Why may they share a network?
#
# **Training only used the marginals** $q(x_t\mid x_0)$, one time at a time, and never the chain.
# Any process with the same marginals has the same loss and may use the same network.
# Here is a family of them.
# If $x_t=\sqrt{\bar\alpha_t}x_0+\sqrt{1-\bar\alpha_t}\,\varepsilon$, then
#
# $$x_s=\sqrt{\bar\alpha_s}\;x_0+\sqrt{1-\bar\alpha_s-\sigma^2}\;\varepsilon+\sigma z,\qquad z\sim\mathcal N(0,I), \tag{1}$$
#
# has the marginal of time $s$ for every $\sigma^2\le1-\bar\alpha_s$: the two noises are independent, and their variances add to $1-\bar\alpha_s$.
# J. Song et al. (2021, eq. 16) measure $\sigma$ in units of what Algorithm 2 draws,
#
# $$\sigma^2=\eta^2\,\frac{1-\bar\alpha_s}{1-\bar\alpha_t}\Bigl(1-\frac{\bar\alpha_t}{\bar\alpha_s}\Bigr). \tag{2}$$
#
# $\eta=0$ is DDIM, $\eta=1$ is Algorithm 2, and $\eta>1$ draws still more, as far as $\sigma^2\le1-\bar\alpha_s$ allows.


# %% tags=["figure", "slide"]
# @title Figure: one step of the family, for three values of η
def family():
    """The noise left in x_s, split into kept and new, for η = 0, 1 and more."""
    d = cu.diagram()
    for row, (name, new) in enumerate((("η = 0", 0.0), ("η = 1", 0.45), ("η > 1", 0.75))):
        y = -1.25 * row
        d.text(name, (-0.9, y))
        signal = d.box(r"$\sqrt{\bar\alpha_s}\,\hat x_0$", (1.0, y), 1.9, colour="#888888")
        width = 4.4
        kept = width * (1 - new)
        d.text("+", (signal.x + 1.25, y))
        left = signal.x + 1.55
        text = "the guessed noise, kept" if new < 0.3 else "kept"
        d.box(text, (left + kept / 2, y), kept, colour="#0072B2")
        if new:
            x = left + kept + width * new / 2
            d.box("new noise" if new > 0.5 else "new", (x, y), width * new, colour="#D55E00")
    d.brace((2.55, 0.45), (6.95, 0.45), r"noise of variance $1-\bar\alpha_s$ in all")
    return d.figure


cu.show(
    family(),
    "Every member of the family has the same amount of noise at time s; η says how much of it "
    "is new (widths not to scale).",
)

# %% [markdown]
# **Exercise 1 (core).**
# Write one step of (1) and (2), with the guess $\hat x_0$ in the place of $x_0$.
# The noise that belongs to the guess is $\hat\varepsilon=(x_t-\sqrt{\bar\alpha_t}\,\hat x_0)/\sqrt{1-\bar\alpha_t}$.


# %% tags=["exercise"]
def eta_step(xt, x0, a_t, a_s, eta, z):
    """Equations (1) and (2): from x_t (B, …) with the guess x0 (B, …) to x_s (B, …).

    a_t = ᾱ_t and a_s = ᾱ_s are tensors (). σ² is at most 1 − ᾱ_s. z (B, …) is the new noise.
    """
    ### BEGIN SOLUTION
    variance = eta**2 * (1 - a_s) / (1 - a_t) * (1 - a_t / a_s)
    variance = torch.minimum(variance, 1 - a_s)
    eps = (xt - a_t.sqrt() * x0) / (1 - a_t).sqrt()
    return a_s.sqrt() * x0 + (1 - a_s - variance).sqrt() * eps + variance.sqrt() * z
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# Four lines: $\sigma^2$ by (2), cut at $1-\bar\alpha_s$ (`torch.minimum`); $\hat\varepsilon$; the three terms of (1).

# %%
checked_step = cu.check("06b.eta_step", eta_step)


# %% tags=["shared"]
def sample(predict, x, times, eta=0.0, clip=math.inf, generator=None):
    """Sampling by (1) and (2) from x at times[0] down to times[-1]; predict(x, t) → ε̂."""
    for t, s in zip(times, times[1:]):
        x0 = x0_from_eps(x, predict(x, t), abar[t]).clamp(-clip, clip)
        z = torch.randn(x.shape, generator=generator, dtype=x.dtype).to(x)
        x = checked_step(x, x0, abar[t], abar[s], eta, z)
    return x


def sampler(eta):
    """`sample` with a fixed η, for `generate`."""

    def fixed(predict, x, times, clip=math.inf, generator=None):
        return sample(predict, x, times, eta, clip, generator)

    return fixed


# %%
noise_2d = torch.randn(2_000, 2, generator=torch.Generator().manual_seed(0)).double()
for eta, other in ((0.0, ddim), (1.0, way_back)):  # the two that lesson 06 wrote
    ends = []
    for way in (sampler(eta), other):
        generator = torch.Generator().manual_seed(1)
        ends.append(way(exact_eps, noise_2d[:50], spaced(40), generator=generator))
    torch.testing.assert_close(*ends)
print("✓ η = 0 is lesson 06's DDIM, and η = 1 its Algorithm 2")

# %% [markdown]
# **Exercise 2 (core, on paper).**
# Prove what was just checked: for $\eta=1$ equation (1) is lesson 06's equation (3), the step of Algorithm 2.
#
# <details><summary>Step 1: the variance</summary>
#
# With $b=1-\bar\alpha_t/\bar\alpha_s$ and $\eta=1$, (2) is $\frac{1-\bar\alpha_s}{1-\bar\alpha_t}\,b=\tilde\beta$, the variance of (3).
#
# </details>
#
# <details><summary>Step 2: the coefficient of the noise</summary>
#
# $1-\bar\alpha_s-\sigma^2=(1-\bar\alpha_s)\bigl(1-\frac{b}{1-\bar\alpha_t}\bigr)=(1-\bar\alpha_s)\frac{1-b-\bar\alpha_t}{1-\bar\alpha_t}$, and $1-b-\bar\alpha_t=a-a\bar\alpha_s=a(1-\bar\alpha_s)$ with $a=\bar\alpha_t/\bar\alpha_s$.
# So its root is $\sqrt a\,(1-\bar\alpha_s)/\sqrt{1-\bar\alpha_t}$.
#
# </details>
#
# <details><summary>Step 3: the mean</summary>
#
# Put $\varepsilon=(x_t-\sqrt{\bar\alpha_t}x_0)/\sqrt{1-\bar\alpha_t}$ into (1).
# The coefficient of $x_t$ is $\sqrt a\,(1-\bar\alpha_s)/(1-\bar\alpha_t)$, as in (3).
# That of $x_0$ is $\sqrt{\bar\alpha_s}-\sqrt{\bar\alpha_t}\sqrt a\,\frac{1-\bar\alpha_s}{1-\bar\alpha_t}=\sqrt{\bar\alpha_s}\,\frac{1-\bar\alpha_t-a(1-\bar\alpha_s)}{1-\bar\alpha_t}=\sqrt{\bar\alpha_s}\,\frac{b}{1-\bar\alpha_t}$, since $a\bar\alpha_s=\bar\alpha_t$.
#
# </details>

# %% [markdown]
# Now the digits.
# Each sampler drew five independent sets of 1,000 with lesson 06's shipped weights, and is judged against *validation* digits, because here something is chosen.
# **Predict:** which $\eta$ is best with fifty steps?
# And with ten?

# %%
from course_utils.lessons.lesson_06 import generate, predictor

unet = UNet()
run = cu.restore("06_diffusion", unet)
cu.prepare(unet)
ETAS = (0.0, 1.0, 1.5)
COUNTS = (10, 20, 50)

# %% tags=["author"]
# Every sampler with every number of steps: about 40 minutes of one core.
HERE = "06b_diffusion_in_depth"
PARTS = ("distance", "distance spread", "KID", "KID spread", "CPU seconds per 1,000")


def judge_sampler(eta, count, reference="validation", sets=5):
    """Score and seconds of one sampler with one number of steps."""
    began = time.process_time()
    draws = [
        generate(predictor(unet), 1_000, spaced(count), sampler(eta), seed=100 + k)
        for k in range(sets)
    ]
    seconds = (time.process_time() - began) / sets
    score = cu.metrics.score(draws, 1_000, reference)
    values = (score.distance, score.distance_spread, score.kid, score.kid_spread, seconds)
    name = f"η = {eta:g}, {count} steps"
    tolerances = (1.0, 1.0, 1e-3, 1e-3, seconds)
    return draws, {
        f"{name}: {part}": (value, tolerance)
        for part, value, tolerance in zip(PARTS, values, tolerances)
    }


def size(net):
    """The sum of the absolute weights: tells one set of weights from another."""
    return sum(weight.detach().abs().sum().item() for weight in net.parameters())


def sampler_figures():
    """The table; ships DDIM's fifty steps as an entry of lesson 07's arena on the way."""
    figures = {"sum of absolute weights": (size(unet), 1.0)}
    for eta in ETAS:
        for count in COUNTS:
            draws, found = judge_sampler(eta, count)
            figures |= found
            if (eta, count) == (0.0, 50):
                ship_entry("06_ddim", "DDIM, 50 steps", torch.cat(draws))
    return figures


def ship_entry(name, what, draws):
    """Ship the draws of one sampler with their score against test digits."""
    score = cu.metrics.score(draws, 1_000, "test")
    figures = {"Fréchet distance to test digits, n = 1000": (score.distance, 0.1)}
    what = f"U-Net on MNIST digits; {what}"
    cu.ship(name, what=what, samples=draws, figures=figures, lesson=HERE)


if not cu.runs.available("06_steps"):  # made once: delete the run to measure again
    cu.ship(
        "06_steps",
        what="three samplers with 10 to 50 steps, five sets of n = 1000, validation digits",
        figures=sampler_figures,
        lesson=HERE,
    )


# %% tags=["author"]
@functools.cache
def thousand():
    """1,000 draws by Algorithm 2 in all its steps: half an hour of one core."""
    return generate(predictor(unet), 1_000, spaced(1_000), way_back)


def thousand_figures():
    """Their score: one set."""
    distance = cu.metrics.score(thousand(), 1_000).distance
    return {"Fréchet distance to test digits, n = 1000": (distance, 0.1)}


if not cu.runs.available("06_ancestral"):
    cu.ship(
        "06_ancestral",
        what="U-Net on MNIST digits; ancestral, 1000 steps",
        samples=thousand,
        figures=thousand_figures,
        lesson=HERE,
    )

# %% tags=["figure"]
# @title Table: three samplers, ten to fifty steps
steps_run = cu.runs.load("06_steps")


def with_spread(name, part, digits=2):
    """value ± spread of a figure on the card, or a dash."""
    if f"{name}: {part}" not in steps_run.card["figures"]:
        return None
    value = steps_run.figure(f"{name}: {part}")
    return f"{value:.{digits}f} ± {steps_run.figure(f'{name}: {part} spread'):.{digits}f}"


rows = []
for name, score in cu.metrics.real(1_000, "validation").items():
    distance, kid, _ = score.row()
    rows.append([name, None, distance, kid, None])
for count in COUNTS:
    for eta in ETAS:
        name = f"η = {eta:g}, {count} steps"
        seconds = steps_run.card["figures"].get(f"{name}: CPU seconds per 1,000")
        seconds = seconds and f"{seconds['value']:.0f}"
        scores = [with_spread(name, "distance"), with_spread(name, "KID", 3)]
        if scores[0]:
            rows.append([f"η = {eta:g}", count, *scores, seconds])
cu.table(
    rows,
    ["images", "steps", *cu.metrics.Score.COLUMNS[:2], "CPU seconds per 1,000 images"],
    "n = 1,000 against validation digits; ±: standard deviation over five independent sets. "
    "One trained network, equal steps in t.",
)

# %% [markdown]
# With fifty steps new noise counts: 7.40 ± 0.38 without it, 5.22 ± 0.49 with as much as Algorithm 2 draws, and 4.11 ± 0.31 with half as much again.
# Each difference is more than twice the larger of its two spreads.
# With ten steps all are worse, and DDIM is still the last (11.21 ± 1.22); with twenty the spreads are too wide to tell from fifty.
# Between $\eta=1$ and 1.5 these sets do not decide there (8.59 ± 1.29 and 7.97 ± 0.82 with ten).
# With few steps a single guess is a poor stand-in for all the $x_0$ that are still possible (06, section 2).
# So the draws that lesson 06 shows are those of $\eta=1.5$, chosen here, on validation digits.
# All rows are farther away than training digits are: no $\eta$ tried here makes up for what the network lacks.
#
# Why does new noise help?
# With the exact score it is not needed: DDIM in 250 steps passes the test of lesson 06 (below).
# But a network errs, and DDIM carries each error to the end.
# New noise makes a state forget part of where it went wrong, and the steps that follow correct it.
# Karras et al. (2022) make the same use of it and call it churn.
# That is our reading of the table, not something it proves.

# %%
from course_utils.lessons.lesson_06 import draw_mixture, energy, real_vs_real

n = cu.budget(2_000)
noise_2d = noise_2d[:n]
genuine = draw_mixture(n, 0)
for eta in (0.0, 1.0, 1.5):
    generator = torch.Generator().manual_seed(1)
    ends = sample(exact_eps, noise_2d, spaced(cu.budget(250)), eta, generator=generator)
    cu.facts(f"exact score, η = {eta:g}, 250 steps: energy distance", energy(ends, genuine))
limit = real_vs_real(draw_mixture, n, cu.budget(30))
cu.facts("95 % of real-against-real pairs stay below", limit)

# %% [markdown]
# One network enters the arena of lesson 07 with three samplers, and only here, after the choice, are test digits read (lesson 06 showed this for one of them).

# %% tags=["author"]
from course_utils.lessons.lesson_06 import diffusion_loss

batch = cu.mnist().train.x[:64].to(device) / 255
step = cu.arena.training_step(unet, diffusion_loss, batch)
facts = {"step": step, "steps": run.card["steps"], "numbers": unet}


def drawer(way, steps):
    """How to draw n images with one of the samplers."""

    def draw(n):
        seed = torch.randint(2**31, ()).item()
        return generate(predictor(unet), n, spaced(steps), way, seed=seed)

    return draw


cu.enter("06_diffusion", drawer(sampler(1.5), 50), **facts)
cu.enter("06_ddim", drawer(sampler(0.0), 50), **facts)
# a thousand passes: 20 times 50
cu.enter("06_ancestral", drawer(way_back, 50), times=20, **facts)

# %% tags=["figure"]
# @title Table: the three entries against test digits
n_judged = cu.budget(1_000, 200)
models = {}
for entry in cu.runs.available(*entries):
    samples = torch.from_numpy(entry.samples)
    models[f"{entry.name}: {entries[entry.name]}"] = samples[: 5 * n_judged]
scores = cu.metrics.scoreboard(models, n=n_judged, reference="test")
cu.table(
    [[name, *score.row()] for name, score in scores.items()],
    ["images", *cu.metrics.Score.COLUMNS],
    f"n = {n_judged:,} images a set, against test digits; nothing is chosen on this table.",
)


# %% tags=["author"]
def large_figures():
    """Five sets of 5,000 draws, the first of them the shipped one: their distances."""
    sets = [torch.from_numpy(run.samples)]
    for k in range(1, 5):
        sets.append(generate(predictor(unet), 5_000, spaced(50), sampler(1.5), seed=200 + k))
    figures = {}
    for reference in ("test", "validation"):
        score = cu.metrics.score(sets, 5_000, reference)
        figures[f"Fréchet distance to {reference} digits, n = 5,000"] = (score.distance, 0.2)
        figures[f"{reference}: spread"] = (score.distance_spread, score.distance_spread)
    return figures


if cu.system.profile() == "full" and not cu.runs.available("06_large"):
    cu.ship(
        "06_large",
        what="06_diffusion, five sets of 5,000 draws, η = 1.5, 50 steps",
        figures=large_figures,
        lesson=HERE,
    )

# %% tags=["figure"]
# @title Table: five sets of 5,000 draws, and other people's digits
large = cu.runs.load("06_large")
distance = large.figure("Fréchet distance to test digits, n = 5,000")
others = cu.metrics.real(5_000)["validation digits"].distance
cu.facts("five sets of 5,000 draws", (distance, large.figure("test: spread")))
cu.facts("5,000 validation digits, other people's", others)

# %% [markdown]
# The two that stood in the first table keep their order.
# (All distances are smaller: the reference digits are others. Compare within a table only.)
# Is a thousand steps of Algorithm 2 worse than fifty with more noise?
# It has one set and so no error bar of its own; but 4.14 lies six spreads of the last row above 2.60, and with fifty steps no sampler's spread exceeds 0.5.
# At least with this network, a thousand evaluations buy nothing that fifty do not.
#
# With sets of 5,000, which lower every distance, the best sampler stands at 1.70 ± 0.37, and other people's digits at 0.81.

# %% [markdown]
# ## 2 · DDIM is a function *(deeper)*
#
# DDIM is a *function* of the noise, and with more steps it follows one fixed curve more closely (the ODE of *Where this stands*).
# Two things can be seen.
# **Predict:** the same noise with 10, 20, 50 and 100 steps: the same digit, or four digits?
# And half-way between two noises?


# %%
from course_utils.lessons.lesson_06 import pictures


def between(a, b, n):
    """n images on the great circle from noise a to noise b (1, 1, 28, 28).

    A straight line would leave the shell where noise lives.
    """
    angle = torch.acos((a * b).sum() / (a.norm() * b.norm()))
    f = torch.linspace(0, 1, n, device=a.device).view(-1, 1, 1, 1)
    return (torch.sin((1 - f) * angle) * a + torch.sin(f * angle) * b) / torch.sin(angle)


seeds = torch.randn(8, 1, 28, 28, generator=torch.Generator().manual_seed(3)).to(device)
counts = cu.budget((10, 20, 50, 100), (4, 6))
same = [pictures(ddim(predictor(unet), seeds, spaced(n), clip=1.0)) for n in counts]
for i, j in ((0, 1), (2, 3)):
    noises = between(seeds[i : i + 1], seeds[j : j + 1], 8)
    same.append(pictures(ddim(predictor(unet), noises, spaced(counts[-2]), clip=1.0)))
change = (same[0] - same[-3]).square().mean().sqrt()
strangers = (same[-3] - same[-3].roll(1, 0)).square().mean().sqrt()
cu.facts(
    "fewest against most steps, percent of two strangers' difference",
    f"{change / strangers:.0%}",
)

# %% tags=["figure", "slide"]
# @title Figure: the same noise in fewer and more steps, and noises between two
row_titles = [f"{count} steps" for count in counts] + ["noise 1 → 2", "noise 3 → 4"]
ax = cu.plots.image_grid(torch.cat(same), rows=len(row_titles), row_titles=row_titles)
cu.show(
    ax.figure,
    "Upper rows: the same eight noises, drawn by DDIM with different numbers of steps. "
    "Lower rows: DDIM from noises on the great circle between two of them.",
)

# %% [markdown]
# Same noise, mostly the same picture (the sixth closes into a 0 between 20 and 50 steps): ten steps and a hundred differ by 28 % of what two different noises differ by.
# So $x_T$ is a *code* of the image, as long as the image has pixels, and DDIM is its decoder.
# Half-way between two noises there is often a digit, too, and no grey average of two as in pixel space.
# But the code has no meaning: between a 4 and a 3 lie 5s, and between a 1 and a 3 shapes that are no digit at all.

# %% [markdown]
# ## 3 · The bound in full *(deeper)*
#
# Lesson 06 turned the bound into one KL per step and said what comes out; here is the algebra.
# For two Gaussians with the same covariance $\varsigma^2I$ the KL is $\lVert\mu_1-\mu_2\rVert^2/2\varsigma^2$: the normalising constants cancel, and a difference of squares is left.
# By lesson 06's (3) with $s=t-1$, the two means differ by $\frac{\sqrt{\bar\alpha_{t-1}}\,\beta_t}{1-\bar\alpha_t}(x_0-\hat x_0)$.
# Square it and divide by $2\tilde\beta_t=2\beta_t\frac{1-\bar\alpha_{t-1}}{1-\bar\alpha_t}$:
#
# $$\begin{aligned}
# \frac{\bar\alpha_{t-1}\,\beta_t}{2(1-\bar\alpha_t)(1-\bar\alpha_{t-1})}&=\tfrac12\bigl(\mathrm{SNR}(t-1)-\mathrm{SNR}(t)\bigr),\qquad\text{since} \\
# \mathrm{SNR}(t-1)-\mathrm{SNR}(t)&=\frac{\bar\alpha_{t-1}-\bar\alpha_t}{(1-\bar\alpha_{t-1})(1-\bar\alpha_t)}
# \end{aligned} \tag{3}$$
#
# and $\bar\alpha_{t-1}-\bar\alpha_t=\bar\alpha_{t-1}(1-\alpha_t)=\bar\alpha_{t-1}\beta_t$.
#
# Was anything lost on the way from $-\log p$ to the bound?
# In the mixture $-\log p$ is known.
# **Predict:** with the *exact* score at every step, how many nats above it does the bound lie?

# %%
from course_utils.lessons.lesson_06 import T, checked_posterior, checked_q, log_p_and_score

snr = abar / (1 - abar)  # snr[t] is SNR(t)
x0, x0_guess, xt = torch.randn(3, 5, dtype=torch.float64)
for t in (2, 300, 999):
    mean, variance = checked_posterior(x0, xt, abar[t], abar[t - 1])
    mean_guess, _ = checked_posterior(x0_guess, xt, abar[t], abar[t - 1])
    std = variance.sqrt()
    kl = kl_divergence(Normal(mean, std), Normal(mean_guess, std)).sum()
    claimed = 0.5 * (snr[t - 1] - snr[t]) * (x0 - x0_guess).square().sum()
    torch.testing.assert_close(kl, claimed, rtol=1e-8, atol=1e-12)
print("✓ (3) is the KL of a step")


# %%
def bound_terms(points):
    """L_0, L_1, …, L_(T−1) with the exact score, averaged over points (n, 2): (T,)."""
    terms = []
    for t in range(1, T + 1):
        eps = torch.randn_like(points)
        xt = checked_q(points, torch.full((len(points),), t), eps, abar)
        guess = x0_from_eps(xt, exact_eps(xt, t), abar[t])
        error = (guess - points).square().sum(1).mean()
        if t == 1:  # L_0: a Gaussian around the guess, as wide as one step of noise leaves open
            terms.append(error / 2 * snr[1] + torch.log(2 * math.pi / snr[1]))
        else:
            terms.append(0.5 * (snr[t - 1] - snr[t]) * error)
    return torch.stack(terms)


# %%
points = draw_mixture(cu.budget(1_000), 11)
surprise = -log_p_and_score(points, abar[0])[0].mean()  # exact up to the choice of points
terms = bound_terms(points)
prior = MultivariateNormal(torch.zeros(2).double(), torch.eye(2).double())
start = MultivariateNormal(prior.mean, (1 - abar[T]) * torch.eye(2).double())
last = kl_divergence(start, prior) + 0.5 * abar[T] * points.square().sum(1).mean()
ratio = snr[1:11] / snr[2:12]  # by which the ten steps next to the data raise the SNR
cu.facts(
    {
        "−log p, nats per point": f"{surprise:.3f}",
        "the bound, nats per point": f"{terms.sum() + last:.3f}",
        "the bound lies above −log p by, nats": terms.sum() + last - surprise,
        "SNR(1) / SNR(2)": ratio[0],
        "ten steps next to the data: sum of r − 1 − log r": (ratio - 1 - ratio.log()).sum(),
    }
)

# %% [markdown]
# The bound lies about 0.75 nats above $-\log p$, although every score is exact.
# The price is paid next to the data, where a single step multiplies the SNR by a factor $r$ (2.1 from $t=2$ to 1).
# The model's step has the variance $\tilde\beta_t$, which is right only if $x_0$ is known.
# Where the density is flat at the scale of a step, $\mathbb E\lVert x_0-\hat x_0\rVert^2=2/\mathrm{SNR}(t)$ in the plane, and the bound charges $r-1$ for a step where the exact posterior of $x_0$ loses only $\log r$ of entropy.
# The excess $r-1-\log r$, summed over the ten steps next to the data, is 0.70 nats, most of the gap.
# A better variance helps: Nichol and Dhariwal (2021) learn it.

# %% [markdown]
# ## 4 · Repair *(core)*
#
# A model of $p(x)$ can be asked for what fits.
# Nothing is retrained here, and the network never saw a mask.
#
# **Inpainting.**
# Run the way back, and after each step overwrite the known pixels with the *known image noised to the same level*.
# The network sees a picture that is consistent where it is known, and completes the rest to match.
# But the new part was drawn before it knew about the pasted one.
# RePaint (Lugmayr et al., 2022) therefore repeats each step: noise it forward again, denoise, paste.
#
# **Exercise 3 (core).**
# Write the first of the two new moves.
# The second, forward from $s$ to $t$, is in the loop below: lesson 06's (1) with $\bar\alpha_t/\bar\alpha_s$ in the place of $\alpha_t$.


# %% tags=["exercise"]
def paste(free, known, mask, a_s, z):
    """Known pixels, noised to level s with the noise z, over the sampler's x_s `free`.

    free, known, z (B, 1, H, W); mask, as large, is True where pixels are known; a_s = ᾱ_s.
    """
    ### BEGIN SOLUTION
    return torch.where(mask, a_s.sqrt() * known + (1 - a_s).sqrt() * z, free)
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# Noise `known` by lesson 06's equation (2), then `torch.where(mask, noised, free)`.

# %%
checked_paste = cu.check("06b.paste", paste)


# %%
def inpaint(predict, known, mask, times, repeats, generator):
    """Fill images known (n, 1, 28, 28) in [−1, 1] where mask (n, 1, 28, 28) is False."""

    def new_noise():
        return torch.randn(known.shape, generator=generator).to(known)

    x = new_noise()
    for t, s in zip(times, times[1:]):
        for again in reversed(range(repeats if s else 1)):
            free = way_back(predict, x, [t, s], clip=1.0, generator=generator)
            x = checked_paste(free, known, mask, abar[s], new_noise())
            if again:  # forward again from s to t
                a = abar[t] / abar[s]
                x = a.sqrt() * x + (1 - a).sqrt() * new_noise()
    return free  # before the last paste


# %% [markdown]
# Repeating costs: five repeats of fifty steps are 246 evaluations (the last step, to $s=0$, is taken once).
# So the fair opponent is *one* trip of 246 steps.
# **Predict:** does repetition show, and against which of the two?

# %% tags=["slide"]
mine = 2 * cu.my_digit().float()[None] / 255 - 1  # (1, 1, 28, 28) in [−1, 1]
seen = [1, 2, 3, 4, 7, 8, 9]  # seven to look at, the others to count
chosen = seen + list(range(100, 100 + cu.budget(32)))
victims = torch.cat([mine, 2 * cu.mnist().test.float()[chosen] - 1]).to(device)
mask = torch.ones_like(victims, dtype=torch.bool)
mask[:, :, 12:] = False  # the lower part is hidden
trips = {"50 steps": (50, 1), "246 steps": (246, 1), "50 steps, each 5×": (50, 5)}
filled = {}
for name, (steps, repeats) in trips.items():
    generator = torch.Generator().manual_seed(0)
    times = spaced(cu.budget(steps, 4))
    filled[name] = inpaint(predictor(unet), victims, mask, times, repeats, generator)
pasted = {name: torch.where(mask, victims, image) for name, image in filled.items()}

# %% tags=["figure", "slide"]
# @title Figure: your digit and seven others, their lower part hidden and filled
hidden = torch.where(mask, victims, torch.zeros(()).to(victims))
rows = [part[:8] for part in (hidden, *pasted.values(), victims)]
row_titles = ["given", *pasted, "truth"]
ax = cu.plots.image_grid(torch.cat(rows).cpu() / 2 + 0.5, rows=len(rows), row_titles=row_titles)
cu.show(
    ax.figure,
    "Your digit and seven test digits with their lower part hidden (grey), three completions "
    "with the unconditional model, and the truth.",
)

# %%
from course_utils.lessons.lesson_06 import classes

true = classes(pictures(victims))
right = {}
for name, images in filled.items():
    right[name] = (classes(pictures(pasted[name])) == true).float()
    seam = (pasted[name][:, :, 12] - pasted[name][:, :, 11]).abs().mean() / 2
    psnr = cu.metrics.psnr(pictures(images[:, :, :12]), pictures(victims[:, :, :12])).mean()
    share = f"{right[name].mean():.0%}"
    cu.facts(f"{name}: jump across the seam", seam, "read as the whole digit is", share)
    cu.facts("   PSNR where pixels are known, dB", psnr)
cu.facts(
    "jump across the seam in the true digits",
    (victims[:, :, 12] - victims[:, :, 11]).abs().mean() / 2,
)
for name in list(trips)[:2]:
    gain = right["50 steps, each 5×"] - right[name]  # paired, digit by digit
    error = gain.std() / len(gain) ** 0.5
    cu.facts(f"gain of the repeats over {name}, percent", (100 * gain.mean(), 100 * error))

# %% [markdown]
# The PSNR where pixels are known says little: the last step starts from known pixels that were pasted nearly clean, and it is shorter in 246 steps.
# The jump across the seam falls with the repeats, from 0.115 to 0.095 (true digits: 0.072); as many steps without repeats leave it at 0.117.
# Whether the digit is more often the right one is another matter: 65 % against 52 %, and the *paired* gain, digit by digit, is 12.5 ± 10.2 percentage points (± the standard error): forty digits leave much doubt.
# A good lower half may also be another digit's: pixel by pixel it is then as wrong as a bad one.
# (Lesson 02b explains why, where pixels are hidden, the PSNR of a *perfect* draw is 3 dB below that of the mean.)

# %% [markdown]
# ## 5 · A stroke to a digit *(core)*
#
# Start the way back not from noise but half-way, from a rough stroke noised to time $t$.
# What the noise has drowned is drawn anew, what has survived is kept (SDEdit; Meng et al., 2022).
# **Predict** for small, middle and large $t$: kept, repaired, ignored?


# %% tags=["figure", "slide"]
# @title Widget: a stroke, and six digits made of it
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
STARTS = cu.budget([200, 400, 500, 600, 800, 900], [200, 800])
made_of_it = {}
for t in STARTS:
    eps = torch.randn(6, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    x = checked_q(scribble.expand(6, -1, -1, -1), torch.full((6,), t), eps, abar).to(device)
    generator = torch.Generator().manual_seed(1)
    times = spaced(cu.budget(max(2, t // 20)), start=t)
    made_of_it[t] = pictures(way_back(predictor(unet), x, times, 1.0, generator))


def draw_repair(t):
    """The scribble and six digits that start from it at time t."""
    row = torch.cat([scribble / 2 + 0.5, made_of_it[t]])
    return cu.plots.image_grid(row, rows=1, titles=["stroke", *"123456"], note=False).figure


def all_repairs():
    """The static picture: the starting times below each other."""
    rows = [torch.cat([scribble / 2 + 0.5, made_of_it[t]]) for t in STARTS]
    names = [f"from t = {t}" for t in STARTS]
    return cu.plots.image_grid(torch.cat(rows), rows=len(rows), row_titles=names).figure


cu.explore(
    draw_repair,
    "A stroke drawn with a ruler (left), and six digits that the unconditional model makes of "
    "it when it starts from the stroke noised to time t.",
    t={"options": STARTS, "value": STARTS[len(STARTS) // 2]},
    static=all_repairs,
)

# %%
for t, images in made_of_it.items():
    cu.facts(f"from t = {t}: read as", str(sorted(classes(images).tolist())))

# %% [markdown]
# Up to $t=500$ it is the same stroke, frayed a little at its ends.
# At 600 the corners begin to round, at 800 it is handwriting, and two of six are not 3s any more; from 900 only two of six still are: the stroke is nearly forgotten.
# The useful starting time lies between 600 and 800, where lesson 06's fork showed the class mostly decided and the hand still open.

# %% [markdown]
# ## 6 · Why doesn't it copy? *(core)*
#
# The data are 55,000 images.
# Noised, their *empirical* distribution is a mixture of 55,000 Gaussians, one around each $\sqrt{\bar\alpha_t}\,x^{(i)}$, all with variance $1-\bar\alpha_t$.
# The best guess at $x_0$ is therefore known exactly: a weighted mean of training images, with the posterior probability of each as its weight,
#
# $$\mathbb E[x_0\mid x_t]=\sum_i \rho_i\,x^{(i)},\qquad \rho=\operatorname{softmax}_i\Bigl(-\frac{\lVert x_t-\sqrt{\bar\alpha_t}x^{(i)}\rVert^2}{2(1-\bar\alpha_t)}\Bigr). \tag{4}$$
#
# And this, not the best guess for "digits in general", is what minimises the training loss over all functions.
#
# **Exercise 4 (core).**
# Write (4): the best denoiser there is, without a network.


# %% tags=["exercise"]
def best_guess(xt, data, a_t):
    """Equation (4): xt (B, D), data (N, D), a_t = ᾱ_t a tensor () → E[x_0 | x_t] (B, D)."""
    ### BEGIN SOLUTION
    squares = torch.cdist(xt, a_t.sqrt().to(xt) * data).square()  # (B, N)
    weights = (-squares / (2 * (1 - a_t)).to(xt)).softmax(1)
    return weights @ data
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# `torch.cdist(xt, a_t.sqrt() * data).square()` has the shape $(B, N)$; a softmax over `dim=1`, never `exp` by hand; then a matrix product with `data`.

# %%
checked_guess = cu.check("06b.best_guess", best_guess)


# %%
def empirical(data):
    """`predict(x, t)` → E[ε | x_t] for the empirical distribution of data (N, 784), by (4)."""

    def predict(x, t):
        flat = x.flatten(1)
        x0 = checked_guess(flat, data, abar[t])
        return ((flat - abar[t].sqrt() * x0) / (1 - abar[t]).sqrt()).to(x).view_as(x)

    return predict


def nearest(x, data):
    """Distance (n,) of images x (n, 784) to their nearest of data (N, 784), and which it is."""
    found = [torch.cdist(part, data).min(1) for part in x.split(500)]
    distance = torch.cat([part.values for part in found])
    return distance, torch.cat([part.indices for part in found])


# %% [markdown]
# **Predict:** run the way back with (4), no network.
# How far from the nearest training image will the draws lie, compared with test digits?

# %%
mnist = cu.mnist()
archive = 2 * mnist.train.flat()[: cu.budget(55_000)] - 1
noises = torch.randn(12, 1, 28, 28, generator=torch.Generator().manual_seed(0))
generator = torch.Generator().manual_seed(1)
copies = way_back(empirical(archive), noises, spaced(cu.budget(100)), generator=generator)
gap, which = nearest(copies.flatten(1), archive)
strangers, _ = nearest(2 * mnist.test.flat()[:200] - 1, archive)
cu.facts("images from the best guess of the training set", len(copies))
cu.facts("largest distance to the nearest training image", f"{gap.max() / 2:.4f}")
cu.facts("test digits: distance to the nearest training image", strangers.mean() / 2)

# %% tags=["figure", "slide"]
# @title Figure: what the best possible loss draws
copied = archive[which[:8]].view(-1, 1, 28, 28)
grid = torch.cat([copies[:8].cpu(), copied]).clamp(-1, 1) / 2 + 0.5
ax = cu.plots.image_grid(grid, rows=2, row_titles=["drawn", "nearest"])
cu.show(ax.figure, "Draws with the best guess (4), above the nearest training image of each.")

# %% [markdown]
# Twelve training images, to the last pixel, where real digits are far from their nearest neighbour.
# **The best possible loss is a copying machine.**
# A network generates because it does *not* reach the minimum.
# How would one notice a copying machine that hides behind a network?
# By the loss on data it has not seen.


# %%
from course_utils.lessons.lesson_06 import velocity


def loss_on(images, best, t, seed=0):
    """Mean squared error of v̂ at time t: images (n, 784) in [−1, 1], best(xt, t) → ε̂."""
    generator = torch.Generator().manual_seed(seed)
    eps = torch.randn(images.shape, generator=generator)
    xt = checked_q(images, torch.full((len(images),), t), eps, abar)
    x0 = x0_from_eps(xt, best(xt, t), abar[t])
    guess = (abar[t].sqrt() * xt - x0) / (1 - abar[t]).sqrt()  # lesson 06, equation (9)
    return (guess - velocity(images, eps, abar[t])).square().mean().item()


def network(xt, t):
    """The shipped network on flat images."""
    return predictor(unet)(xt.view(-1, 1, 28, 28).float().to(device), t).flatten(1).cpu()


# %%
n = cu.budget(300, 20)
held_out = 2 * mnist.test.flat()[:n] - 1
losses = []
for t in (200, 400, 600):
    for name, best in (("network", network), ("best guess (4)", empirical(archive))):
        losses.append([t, name, loss_on(archive[:n], best, t), loss_on(held_out, best, t)])

# %% tags=["figure"]
# @title Table: the loss on training and on test digits
cu.table(
    losses,
    ["t", "denoiser", "loss on training digits", "loss on test digits"],
    f"Mean squared error of v at three times, {n} digits each, one draw of the noise.",
)

# %% [markdown]
# On training digits the best guess has almost no loss at $t=200$ and 400; on test digits its loss is two to fifteen times the network's.
# The network's two columns are nearly equal: it has learned digits, not these digits.
# **A training loss far below the held-out loss is the warning**, and a training loss alone never gives it.
#
# ### When a network does copy
#
# Memorisation should begin where the minimum *can* be reached: few images, many visits.
# Train on 100 images, and at each preview take the median distance of 36 draws to the nearest of them.
# **Predict** the curve.

# %%
from course_utils.lessons.lesson_06 import diffusion_loss, warm_cosine

hundred = mnist.train.sample(100, seed=0)
torch.manual_seed(0)
small = UNet(width=32)
looks = cu.budget([30], [8], full=[0, 100, 300, 500, 1_000, 1_800, 2_500, 3_500, 5_000])
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
    preview=lambda step: generate(predictor(small), 36, spaced(cu.budget(10, full=50)), seed=1),
    preview_at=looks,
)

# %% tags=["author"]
cu.ship(
    "06_hundred",
    history=hundred_history,
    what="the same recipe on 100 training images, width 32: draws along the training",
    lesson=HERE,
)


# %%
def images_of(draws):
    """uint8 draws (n, 28, 28) as rows (n, 784) in [0, 1]."""
    return torch.from_numpy(draws).flatten(1).float() / 255


# From here on: the draws along the long run of the cell above.
frames, at_step = cu.runs.load("06_hundred").replay
hundred_flat = hundred.flat()
fresh = mnist.test.flat()[: cu.budget(2_000)]
of_frames = [nearest(images_of(frame), hundred_flat)[0].median() for frame in frames]
of_fresh = nearest(fresh, hundred_flat)[0].median()
home = mnist.train.flat()[: cu.budget(55_000)]
of_model = nearest(images_of(run.samples[: len(fresh)]), home)[0]
of_test = nearest(fresh, home)[0]
for step, distance in zip(at_step.tolist(), of_frames):
    cu.facts(f"100 images, step {step}: median distance to the nearest", distance, digits=2)
cu.facts("fresh test digits: median distance to the nearest of the 100", of_fresh, digits=2)
cu.facts("55,000 images: median distance of draws", of_model.median(), digits=3)
cu.facts("55,000 images: median distance of test digits", of_test.median(), digits=3)
suspects = (of_model < of_test.min()).sum()
cu.facts(f"of {len(of_model):,} draws nearer than the nearest test digit", suspects)

# %% tags=["figure", "slide"]
# @title Figure: distances to the nearest training image
fig, (left, right) = plt.subplots(1, 2, figsize=(12, 4.2))
left.plot(at_step, of_frames, "o-", label="draws")
left.axhline(of_fresh, color="black", linestyle=":", label="fresh test digits")
left.set_xscale("symlog", linthresh=100)
left.set(xlim=(0, None), ylim=(0, None), title="100 images: it learns them by heart")
left.set(xlabel="training step", ylabel="median distance to nearest of 100")
left.legend(fontsize=11)
bins = torch.linspace(0, 11, 45).tolist()
pairs = ((of_test, "test digits", "#0072B2"), (of_model, "draws", "#D55E00"))
for distances, label, color in pairs:
    style = {"histtype": "step", "lw": 2, "color": color, "density": True}
    right.hist(distances.numpy(), bins=bins, label=label, **style)
right.set(xlabel="distance to the nearest of 55,000", ylabel="density", title="55,000 images")
right.legend(fontsize=11)
cu.show(
    fig,
    "Left: a network trained on 100 images, median distance of its draws to the nearest of "
    "them. Right: distance to the nearest training image for the shipped model's draws and for "
    "test digits.",
)

# %% [markdown]
# With a hundred images memorisation needs no patience.
# After 100 steps the draws are about as far from the hundred as fresh digits are, after 1,000 half as far, and after 5,000 steps of 50, that is 2,500 visits to each image, the median distance is 0.24: copies.
# With 55,000 images the histograms of draws and of test digits lie on each other, and their medians are nearly equal.
# A draw nearer to a training image than any test digit would be a suspect; of 2,000 draws there is none.
#
# Several things changed at once between the panels: the number of images, the visits to each (2,500 and sixteen) and the width of the network; so this pair does not say which of them matters.

# %% [markdown]
# ## 7 · What it costs *(deeper)*
#
# What do the ideas of lesson 06 buy: the velocity, the stratified times, the falling learning rate, the average of weights?

# %% tags=["author"]
from course_utils.lessons.lesson_06 import abar_on

RECIPES = [  # what is predicted, are the times spread out, schedule of the learning rate
    ("plain: ε, independent times, constant rate", "eps", False, None),
    ("v instead of ε", "v", False, None),
    ("+ stratified times", "v", True, None),
    ("+ falling learning rate", "v", True, warm_cosine),
]


def recipe_loss(model, x, target, spread_out):
    """`diffusion_loss`, or the same with independent times."""
    if spread_out:
        return diffusion_loss(model, x)  # always for v
    x0 = 2 * x - 1
    t = torch.randint(1, T + 1, (len(x),), device=x.device)
    eps = torch.randn_like(x0)
    a_t = abar_on(x.device)[t].view(-1, 1, 1, 1)
    goal = velocity(x0, eps, a_t) if target == "v" else eps
    return (model(checked_q(x0, t, eps, abar_on(x.device)), t) - goal).square().mean()


def noise_of(net):
    """A network that was trained to give ε itself, as `predict(x, t)`."""
    return torch.no_grad()(lambda x, t: net(x, torch.full((len(x),), t, device=x.device)))


def train_recipe(target, spread_out, schedule):
    """1,500 steps of one recipe: the network, and the average of its weights."""
    torch.manual_seed(0)
    net = UNet()
    loss = functools.partial(recipe_loss, target=target, spread_out=spread_out)
    options = {"steps": 4, "full": 1_500, "lr": 2e-3, "ema": 0.998, "clip": 1.0}
    trained = cu.fit(net, loss, cu.Batches(mnist.train, 64), schedule=schedule, **options)
    return net, trained.ema


def idea_figures():
    """Four recipes, each with one idea more: Fréchet distance of 1,000 draws by DDIM."""
    figures = {}
    for name, target, spread_out, schedule in RECIPES:
        nets = dict(zip(("", ", weights averaged"), train_recipe(target, spread_out, schedule)))
        for suffix, net in nets.items():
            predict = predictor(net) if target == "v" else noise_of(net)
            images = generate(predict, 1_000, spaced(50), ddim)
            distance = cu.metrics.score(images, 1_000, "validation").distance
            figures[f"{name}{suffix}: Fréchet distance"] = (distance, 0.2 * distance)
    return figures


if not cu.runs.available("06_ideas"):  # made once: delete the run to measure again
    what = "what each idea buys: 1,500 steps of 64, n = 1,000"
    cu.ship("06_ideas", what=what, figures=idea_figures, lesson=HERE)

# %% tags=["figure"]
# @title Table: one idea more in each row
ideas = cu.runs.load("06_ideas")
cu.table(
    [
        [name.removesuffix(": Fréchet distance"), ideas.figure(name)]
        for name in ideas.card["figures"]
    ],
    ["recipe", "Fréchet distance"],
    "1,500 steps of 64 each (a ninth of the long run), one seed, one set of n = 1,000 draws by "
    "DDIM in 50 steps. Each recipe keeps the ideas of those above; weights averaged: the same "
    "training, drawn with its EMA.",
    digits=0,
)

# %% tags=["figure"]
# @title Figure: quality against hours of training
curve = {}
for name in run.card["figures"]:
    if "CPU hours" in name:
        curve[float(name.split()[3])] = run.figure(name)
if curve:
    fig, ax = plt.subplots(figsize=(8, 4))
    ax.loglog(list(curve), list(curve.values()), "o-")
    ax.set(xlabel="hours of training on one CPU core", ylabel="Fréchet distance, n = 1,000")
    ax.set_title("Each doubling of the hours divides the distance by about 1.7")
    cu.show(
        fig,
        "Fréchet distance of one set of 1,000 draws (DDIM, 50 steps, EMA weights) against "
        "hours of training; the learning rate falls to zero at the end.",
    )
    for hours, distance in curve.items():
        cu.facts(f"after {hours:.2f} hours: Fréchet distance", distance, digits=2)
    *_, last, _ = curve  # at the very end the learning rate is almost zero
    first = next(iter(curve))
    factor = (curve[first] / curve[last]) ** (1 / math.log2(last / first))
    cu.facts("until the last but one, each doubling divides it by", factor, digits=2)

# %%
began = time.process_time()
generate(predictor(unet), cu.budget(100), spaced(10), ddim)
one = (time.process_time() - began) / cu.budget(100) / 10
for name, count in (("one pass", 1), ("fifty", 50), ("a thousand", 1_000)):
    cu.facts(f"{name}: CPU seconds per 1,000 images, just now", f"{one * count * 1_000:,.0f}")

# %% [markdown]
# *The ideas.*
# After 1,500 steps the velocity has bought most: the distance falls from 95 to 51.
# The falling learning rate takes 50 to 30, the average of the weights nearly as much for a rate that does not fall (34), and nothing on top of one that does (30 and 31): both average the noise of the steps away.
# Stratified times (spread evenly over the batch): 51 and 50, no difference seen with one seed.
#
# *The hours.*
# From 2 minutes to 20 the distance falls from 91 to 14, in the next hour to 5.9: each doubling divides it by about 1.7, until the learning rate nears zero.
# The last quarter of an hour moves nothing, but there the learning rate is almost zero, by design.
#
# *The price:* fifty evaluations where a GAN needs one.
# Lesson 14 brings the number down.
#
# **Exercise 5 (deeper, open).**
# Beat the best ten-step row of section 1 (7.97 ± 0.82) with ten evaluations of the network.
# You may choose the times, $\eta$ for each step, or reuse an earlier $\hat\varepsilon$; choose on validation digits, with at least three sets, and report the test digits once.

# %% [markdown]
# ## Where this stands *(deeper)*
#
# - *The ODE.*
#   In $\bar x=x/\sqrt{\bar\alpha}$ and $\bar\sigma=\sqrt{1-\bar\alpha}/\sqrt{\bar\alpha}$ a DDIM step is $\bar x_s=\bar x_t+(\bar\sigma_s-\bar\sigma_t)\,\hat\varepsilon$: Euler's method for the probability-flow ODE (Y. Song et al., 2021).
#   Better solvers (Heun in Karras et al., 2022; DPM-Solver, Lu et al., 2022) need 10 to 20 evaluations; distillation needs one to four: lesson 14.
# - *Likelihood.*
#   The bound's weights make a good density model (Kingma et al., 2021), and the ODE gives an estimate without a bound.
# - *Inverse problems.*
#   RePaint pastes; other methods follow the gradient of a measurement: lesson 16, to come.
# - *Memorisation.*
#   Large image models give single training images back (Carlini et al., 2023; Somepalli et al., 2023).
#   Why networks miss the minimum in just the way that generalises is open: two networks trained on disjoint parts of a data set learn nearly the same score (Kadkhodaie et al., 2024), and locality and equivariance of convolutions go far as an explanation (Kamb and Ganguli, 2024).

# %% [markdown]
# ## What to take home *(core)*
#
# - *Sampling is a choice made after training:* one family, one number $\eta$, and it is chosen on validation digits (section 1).
# - *DDIM is a function:* the noise is a code (section 2).
# - *The bound is loose next to the data,* even with exact scores (section 3).
# - *One model repairs holes and strokes* that it never saw in training (sections 4, 5).
# - *It generates because it does not reach its minimum,* and a loss on held-out digits would expose a copier (section 6).
#
# **What breaks, and why.**
# Too few steps: each draws around one guess where many pictures were still possible.
# Too few images: copies.
#
# **References.**
# J. Song, C. Meng and S. Ermon, *Denoising diffusion implicit models*, 2021.
# Y. Song et al., *Score-based generative modeling through stochastic differential equations*, 2021.
# A. Nichol and P. Dhariwal, *Improved denoising diffusion probabilistic models*, 2021.
# D. Kingma et al., *Variational diffusion models*, 2021.
# T. Karras et al., *Elucidating the design space of diffusion-based generative models*, 2022.
# A. Lugmayr et al., *RePaint: inpainting using denoising diffusion probabilistic models*, 2022.
# C. Meng et al., *SDEdit: guided image synthesis and editing with stochastic differential equations*, 2022.
# C. Lu et al., *DPM-Solver: a fast ODE solver for diffusion probabilistic model sampling in around 10 steps*, 2022.
# N. Carlini et al., *Extracting training data from diffusion models*, 2023.
# G. Somepalli et al., *Diffusion art or digital forgery?*, 2023.
# Z. Kadkhodaie et al., *Generalization in diffusion models arises from geometry-adaptive harmonic representations*, 2024.
# M. Kamb and S. Ganguli, *An analytic theory of creativity in convolutional diffusion models*, 2024.
#
# **The failure that the next lesson repairs:** on what grounds do we call these digits better, or worse, than those of lessons 04 and 05?
# We have looked at two numbers of one ruler.
# Lesson 07 puts all models on one bench.
