# %% [markdown]
# # 14 Fast diffusion
#
# **If the road from noise to data were straight, one step would do: measure how crooked it is, and straighten it.**
#
# Lesson 06's network needs fifty evaluations a digit.
# Here are ten, four and one.

# %% tags=["setup"]
import math
import time

import matplotlib.pyplot as plt
import torch
from scipy.optimize import linear_sum_assignment
from torch import nn

import course_utils as cu
from course_utils.lessons.lesson_06 import abar, ddim, exact_eps, pictures, spaced, way_back
from course_utils.nets import UNet
from course_utils.widgets.live import sheet, wall

device = cu.setup()
mnist = cu.mnist()

# %% tags=["figure", "slide"]
# @title Figure: the same noise in fifty, ten, four and one evaluation
for run in cu.runs.available("14_steps"):  # section 6 makes it
    grids = torch.from_numpy(run.replay[0])  # (4, 36, 28, 28)
    titles = ["50", "10", "4", "1"]
    ax = cu.plots.image_grid(grids[:, :8].flatten(0, 1), rows=4, row_titles=titles)
    cu.show(
        ax.figure,
        "Eight noises drawn with 50, 10, 4 and 1 evaluations of a network. Rows 1 and 2: "
        "lesson 06's network, by DDIM and as in section 2. Rows 3 and 4: a smaller "
        "network, trained in this lesson.",
    )

# %% [markdown]
# **After this lesson you can** write DDIM as Euler's method, and replace Euler by something better ·
# train a network to point from noise to data, without a schedule ·
# say why a perfect model fails in one step ·
# measure how crooked a model's paths are, and straighten them ·
# turn a scribble into a digit while you scribble.
#
# **Builds on** 06 (its network, $\bar\alpha$, DDIM), 07 (Fréchet distance), 13 (the assignment problem).
#
# In lesson 06 time ran from 0, data, to 1000, noise.
# Here it runs the *other way*: **noise is at $t=0$, data at $t=1$.**
# To keep the two apart, lesson 06's time is called $k$.
#
# | letter | meaning | letter | meaning |
# |---|---|---|---|
# | $x$, $\varepsilon$ | data, noise | $\hat x$, $\hat\varepsilon$ | guesses at them; the best are $\mathbb E[x\mid x_t]$, $\mathbb E[\varepsilon\mid x_t]$ |
# | $y_k$ | lesson 06's state, $\alpha_kx+\sigma_k\varepsilon$ | $\alpha_k$, $\sigma_k$ | $\sqrt{\bar\alpha_k}$, $\sqrt{1-\bar\alpha_k}$ (not lesson 06's $\alpha_t$) |
# | $x_t$ | the state here, $t\,x+(1-t)\,\varepsilon$ | $t$, $h$ | time from 0 to 1, a step of it |
# | $u$ | velocity, the slope of a path | $S$ | crookedness |

# %% [markdown]
# ## 1 · DDIM was Euler all along *(core)*
#
# A step of DDIM guesses data and noise, then mixes the same two guesses anew, less noisy.
# From $k$ to $s<k$:
#
# $$y_k=\alpha_k\hat x+\sigma_k\hat\varepsilon,\qquad y_s=\alpha_s\hat x+\sigma_s\hat\varepsilon .$$
#
# Divide each by its $\alpha$, and subtract:
#
# $$\frac{y_s}{\alpha_s}=\frac{y_k}{\alpha_k}+\Bigl(\frac{\sigma_s}{\alpha_s}-\frac{\sigma_k}{\alpha_k}\Bigr)\,\hat\varepsilon. \tag{1}$$
#
# New place = old place + step × slope: **Euler's method**, for a curve on which $y/\alpha$ has the slope $\hat\varepsilon$ as $\sigma/\alpha$ falls.
#
# **Exercise 1 (core).**
# Solve (1) for $y_s$.


# %% tags=["exercise"]
def ddim_by_euler(y, eps, a_k, a_s):
    """Equation (1): from y (B, …) at ᾱ_k = a_k, with the guess eps (B, …), to y at ᾱ_s = a_s.

    a_k and a_s are tensors (). Take an Euler step of y / α in σ / α, then multiply by α_s.
    """
    ### BEGIN SOLUTION
    alpha_k = a_k.sqrt()
    alpha_s = a_s.sqrt()
    step = (1 - a_s).sqrt() / alpha_s - (1 - a_k).sqrt() / alpha_k
    return alpha_s * (y / alpha_k + step * eps)
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# $\alpha=\sqrt{\bar\alpha}$ and $\sigma=\sqrt{1-\bar\alpha}$.
# Four lines: two alphas, the step, and $\alpha_s$ times the new place.

# %%
checked_ddim = cu.check("14.ddim_by_euler", ddim_by_euler)
noise_2d = torch.randn(2_000, 2, generator=torch.Generator().manual_seed(0)).double()
ladder = spaced(50)
y = noise_2d[:200]
for k, s in zip(ladder, ladder[1:]):
    y = checked_ddim(y, exact_eps(y, k), abar[k], abar[s])
torch.testing.assert_close(y, ddim(exact_eps, noise_2d[:200], ladder), rtol=0, atol=1e-6)
print("✓ fifty Euler steps are fifty steps of lesson 06's DDIM, to 1e-6")

# %% [markdown]
# $\sigma/\alpha$ begins at some 20,000, which is an awkward clock.
# Divide by $\alpha+\sigma$ instead, and data and noise are mixed in shares that add up to 1:
#
# $$x_t=\frac{y}{\alpha+\sigma}=t\,\hat x+(1-t)\,\hat\varepsilon,\qquad t=\frac{\alpha}{\alpha+\sigma}. \tag{2}$$
#
# Now $t$ goes from 0, noise, to 1, data.
# Subtract two times as before:
#
# $$x_{t+h}=x_t+h\,u(x_t,t),\qquad u=\hat x-\hat\varepsilon. \tag{3}$$
#
# It is the same point as before, since both clocks keep $\hat x$ and $\hat\varepsilon$ fixed over a step.
# **DDIM walks from noise to data, and its slope is "data minus noise", as the network guesses them.**
# With ever smaller steps it follows the curves of $\mathrm dx/\mathrm dt=u(x,t)$, the **probability-flow ODE** (ordinary differential equation; Y. Song et al., 2021).


# %% tags=["shared"]
COSINE = math.cos(math.pi / 2 * 0.008 / 1.008)  # lesson 06's schedule; below it is solved for k


def lesson_06_time(t):
    """The k in 1 … 1000, with a fraction, at which α/(α+σ) is t."""
    alpha = t / math.hypot(t, 1 - t)
    return max(1.0, 1_000 * (2 / math.pi * 1.008 * math.acos(alpha * COSINE) - 0.008))


def flow_of(net):
    """Lesson 06's network as u(x, t): images (B, 1, 28, 28) and one time → velocities."""

    @torch.no_grad()
    def u(x, t):
        size = math.hypot(t, 1 - t)  # 1 / (α + σ), since α² + σ² = 1
        alpha = t / size
        sigma = (1 - t) / size
        y = x / size
        v = net(y, torch.full((len(y),), lesson_06_time(t), device=y.device))
        guess = alpha * y - sigma * v  # lesson 06, section 3
        eps = sigma * y + alpha * v
        return guess - eps

    return u


# %% tags=["shared"]
from course_utils.lessons.lesson_06 import log_p_and_score


def euler(u, x, times):
    """Equation (3) from times[0] to times[-1]; u(x, t) takes one time for all."""
    for t, later in zip(times, times[1:]):
        x = x + (later - t) * u(x, t)
    return x


def even(n):
    """n equal steps from 0 to 1."""
    return [i / n for i in range(n + 1)]


def exact_u(x, t):
    """u of lesson 06's mixture by its exact score: points (n, 2) float64, a time in (0, 1)."""
    size = math.hypot(t, 1 - t)
    a = torch.tensor((t / size) ** 2, dtype=torch.float64)
    eps = -(1 - a).sqrt() * log_p_and_score(x / size, a)[1]  # lesson 06, equation (4)
    guess = (x / size - (1 - a).sqrt() * eps) / a.sqrt()
    return guess - eps


# %%
unet = UNet()
cu.restore("06_diffusion", unet)
u_06 = flow_of(cu.prepare(unet))
scale = abar.sqrt() + (1 - abar).sqrt()  # α + σ at every k
clock = abar.sqrt() / scale  # and t
assert all(abs(lesson_06_time(clock[k].item()) - k) < 1e-3 for k in (1, 100, 500, 999))
same = euler(exact_u, noise_2d[:200] / scale[ladder[0]], clock[ladder].tolist())
torch.testing.assert_close(same, y, rtol=0, atol=1e-6)
print("✓ and so are fifty Euler steps of (3)")

# %% [markdown]
# ### Two roads, the same crowds
#
# Lesson 06's Algorithm 2 draws new noise in every step; (3) draws none.
# Send the same 2,000 noises down both roads, with the exact score, in steps of one $k$.
# A single point travels quite differently.
# **Predict:** and the crowd, half-way?


# %%
from course_utils.lessons.lesson_06 import draw_mixture, energy, real_vs_real


def crowd(t, seed, n):
    """n genuine states at time t, (n, 2) float64."""
    noise = torch.randn(n, 2, generator=torch.Generator().manual_seed(10**6 + seed)).double()
    return t * draw_mixture(n, seed) + (1 - t) * noise


n = cu.budget(2_000)
stops = [1_000, 950, 800, 500, 200, 0]
random_road = [noise_2d[:n]]  # lesson 06's y
smooth_road = [noise_2d[:n] / scale[1_000]]
generator = torch.Generator().manual_seed(1)
for k, s in zip(stops, stops[1:]):
    ks = [s + i for i in spaced(cu.budget(k - s, 4), start=k - s)]
    random_road.append(way_back(exact_eps, random_road[-1], ks, generator=generator))
    smooth_road.append(euler(exact_u, smooth_road[-1], clock[ks].tolist()))

# %% tags=["figure", "slide"]
# @title Figure: two roads for the same three points; table: the crowds
fig, axes = plt.subplots(1, 2, figsize=(9.4, 4.7), sharex=True, sharey=True)
roads = {"with new noise": [noise_2d[:3]], "without: the ODE": [noise_2d[:3]]}
generator = torch.Generator().manual_seed(2)
ladder = spaced(cu.budget(250))
for k, s in zip(ladder, ladder[1:]):
    stagger, glide = roads.values()
    y = way_back(exact_eps, stagger[-1] * scale[k], [k, s], generator=generator)
    stagger.append(y / scale[s])
    glide.append(euler(exact_u, glide[-1], clock[[k, s]].tolist()))
for ax, (title, path) in zip(axes, roads.items()):
    cu.plots.scatter(draw_mixture(600, 3), ax=ax, s=4, color="#bbbbbb")
    for i, color in enumerate(("#D55E00", "#0072B2", "#009E73")):
        line = torch.stack(path)[:, i]
        ax.plot(*line.T, color=color, linewidth=1.6)
        ax.plot(*line[0], "o", color=color, mfc="white", ms=9)
        ax.plot(*line[-1], "o", color=color, ms=9)
    ax.set(xlim=(-3, 3), ylim=(-3, 3), title=title, xlabel="", ylabel="")
cu.show(
    fig,
    "Three noises (open) on their way to data (full) with the exact score, in 250 steps: by "
    "lesson 06's Algorithm 2 (its y / (α + σ)), and by the ODE. Grey: data.",
)
rows = []
for k, y, x in zip(stops[1:], random_road[1:], smooth_road[1:]):
    t = clock[k].item()
    genuine = crowd(t, 0, n)
    limit = real_vs_real(lambda m, seed, t=t: crowd(t, seed, m), n, cu.budget(20))
    found = (energy(y / scale[k], genuine), energy(x, genuine), limit)
    rows.append([f"{t:.2f}", *(f"{value:.4f}" for value in found)])
cu.table(
    rows,
    ["t", "with new noise", "without", "limit"],
    f"Energy distance of {n:,} points to genuine states of the same time. Limit: 95 % of pairs "
    "of genuine sets stay below.",
)

# %% [markdown]
# One road staggers, the other glides, and at all five times the crowds pass for genuine.
# **Two processes can share every marginal and no path.**
# Training never looks at a path, so one network serves both.
#
# Look at the green point on the right: it sets out for the middle, and turns.
# Section 4 says why.
# And a smooth road can be walked *back*, from a digit at $t=1$ to a noise at $t=0$; for that we need a better solver.

# %% [markdown]
# ## 2 · Better than Euler *(core)*
#
# Euler uses the slope at the start for the whole step.
# **Heun** (1900) goes to the end, asks for the slope there, and walks again with the mean of the two:
#
# $$x_{t+h}=x_t+\tfrac h2\bigl(u(x_t,t)+u\bigl(x_t+h\,u(x_t,t),\;t+h\bigr)\bigr). \tag{4}$$
#
# **Exercise 2 (core).**
# Write (4).


# %% tags=["exercise"]
def heun_step(u, x, t, h):
    """Equation (4): x (B, …) at time t → x at t + h, numbers; u(x, t) gives velocities."""
    ### BEGIN SOLUTION
    first = u(x, t)
    second = u(x + h * first, t + h)
    return x + h * (first + second) / 2
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# The second slope is asked for at the new place *and* at the new time.

# %%
checked_heun = cu.check("14.heun_step", heun_step)

# %% [markdown]
# Heun pays two evaluations a step.
# **Adams and Bashforth** (1883) pay one: they remember the last slope, draw a line through the two, and use its value at the middle of the step ahead.
# After a step of the same length that is $u+\frac12(u-u_\text{before})$; the first step is Euler's.


# %% tags=["shared"]
def heun(u, x, times):
    """Equation (4) from times[0] to times[-1]; a step into t = 1 is Euler's."""
    for t, later in zip(times, times[1:]):
        x = checked_heun(u, x, t, later - t) if later < 1 else euler(u, x, [t, later])
    return x


def adams(u, x, times):
    """Two-step Adams–Bashforth: one evaluation a step, and the slope before."""
    bend = 0.0  # change of the slope in a unit of time
    before = None
    for t, later in zip(times, times[1:]):
        slope = u(x, t)
        if before is not None:
            bend = (slope - before[1]) / (t - before[0])
        before = (t, slope)
        h = later - t
        x = x + h * (slope + h / 2 * bend)
    return x


# %% [markdown]
# What is that worth?
# If the data are $\mathcal N(m,w^2)$, the ODE can be solved on paper.
# The crowd at time $t$ is normal with mean $tm$ and standard deviation $\sqrt{t^2w^2+(1-t)^2}$, and on a line paths cannot overtake each other.
# So whoever starts one deviation above the mean stays there, and $\varepsilon$ ends at exactly $m+w\,\varepsilon$.
# **Predict:** twice as many steps divide Euler's error by two.
# And Heun's?


# %% tags=["shared"]
def normal_u(x, t, m=0.5, w=0.2):
    """Exact velocity for data N(m, w²): the solution above, differentiated by t."""
    variance = (t * w) ** 2 + (1 - t) ** 2
    return m + (t * w**2 - (1 - t)) * (x - t * m) / variance


# %%
line = torch.linspace(-2, 2, 41, dtype=torch.float64)
counts = (16, 32, 64, 128, 256)
errors = {}
for solver in (euler, heun, adams):
    ends = [solver(normal_u, line, even(n)) for n in counts]
    errors[solver.__name__] = [(end - (0.5 + 0.2 * line)).abs().max().item() for end in ends]

# %% tags=["figure", "slide"]
# @title Figure: error against steps
fig, ax = plt.subplots(figsize=(8, 4.2))
for name, values in errors.items():
    ax.loglog(counts, values, "o-", label=name)
    order = math.log2(values[-2] / values[-1])
    cu.facts(f"{name}: twice as many steps divide the error by", f"{2**order:.1f}")
ax.set_xticks(counts, counts)
ax.minorticks_off()
ax.set(xlabel="steps", ylabel="largest error at t = 1", title="First and second order")
ax.legend()
cu.show(fig, "Largest error at t = 1 against the number of steps, for data N(0.5, 0.2²).")

# %% [markdown]
# Twice the steps divide Euler's error by 2 and that of the other two by 4: **first and second order.**
# Step by step Heun and Adams are about equal, and Heun's step costs twice as much.
#
# Now your digit (the course's 3, unless you have drawn one): down to $t=0$, and up again.
# **Predict:** with 200 Euler steps either way, is it your digit again?

# %% tags=["figure", "slide"]
# @title Figure: your digit, to noise and back
mine = (2 * cu.my_digit().float()[None] / 255 - 1).to(device)
rows = []
shown = {}
for n in cu.budget((10, 20, 50, 200), (2, 4)):
    row = [n]
    for name, solver in (("Euler", euler), ("Heun", heun)):
        down = solver(u_06, mine, even(n)[::-1])
        again = solver(u_06, down, even(n))
        error = (pictures(again) - pictures(mine)).square().mean()
        row.append(f"{-10 * error.log10():.1f}")
        shown[name, n] = (down, again)
    rows.append([*row, f"{down.std():.2f}"])
half = even(n)[: n // 2 + 1]
down = shown["Heun", n][0]
off = euler(u_06, down, half) - heun(u_06, down, half)
cu.facts(
    "going up, Euler is off Heun by (root mean square), at t = 0.5",
    off.square().mean().sqrt().item(),
)
off = euler(u_06, down, even(n)) - heun(u_06, down, even(n))
cu.facts("and at t = 1", off.square().mean().sqrt().item())
tiles = [pictures(mine)]
for name in ("Euler", "Heun"):
    tiles += [pictures(x) for x in shown[name, n]]
titles = ["yours", "Euler: noise", "Euler: back", "Heun: noise", "Heun: back"]
ax = cu.plots.image_grid(torch.cat(tiles), rows=1, titles=titles)
cu.show(ax.figure, f"Your digit, the noise it comes from, and back, {n} steps either way.")
cu.table(
    rows,
    ["steps", "Euler, dB", "Heun, dB", "spread of the noise"],
    "Peak signal-to-noise ratio of your digit after a round trip through lesson 06's network, "
    "and the standard deviation of the noise that Heun found (real noise: 1).",
)

# %% [markdown]
# Ten steps of Heun (24.9 dB) beat 200 of Euler (15.7 dB, a bolder 3).
# Going up, paths part: from Heun's noise Euler is off by 0.01 at half-time and by 0.27 in the end.
# From Heun's 200 your digit comes back at 74.0 dB, where no eye sees a difference.
#
# So your digit has an address in this model, computed, not searched for as in lesson 13b.
# The round trip is exact long before the address is: its spread still grows, 0.74, 0.79.
# Nor is it quite noise: the digit can be read in it.
# Part of that no model can avoid: a border pixel ends white from every noise ($w=0$ in $m+w\varepsilon$), so the way back cannot tell which it was.
#
# When drawing, it also matters where the steps lie.
# Karras and colleagues (2022) space them evenly in a root of the ratio of noise to signal, $(1-t)/t$.
# We take the cube root, chosen on validation digits: in $t$ that is many short steps near the noise, and few near the data.


# %% tags=["shared"]
def ladder_of(n, power=3, most=80.0, least=0.02):
    """n steps from 0 to 1, even in the cube root of (1 − t)/t from `most` to `least`."""
    ratio = torch.linspace(most ** (1 / power), least ** (1 / power), n + 1).double() ** power
    return [0.0, *(1 / (1 + ratio))[1:-1].tolist(), 1.0]


def draw(u, n, times, solver=adams, seed=0):
    """n images, uint8 (n, 1, 28, 28) on the CPU, 250 at a time, from the noises of a seed."""
    device = cu.system.machine.device()
    generator = torch.Generator().manual_seed(seed)
    images = []
    for i in range(0, n, 250):
        noise = torch.randn(min(250, n - i), 1, 28, 28, generator=generator)
        noise = noise.to(device, memory_format=torch.channels_last)
        images.append(pictures(solver(u, noise, times)).contiguous())
    return cu.to_uint8(torch.cat(images))


# %% [markdown]
# **Predict:** how many evaluations does the best of the three need to be as good as DDIM with fifty?

# %% tags=["figure", "slide"]
# @title Widget: one noise, three solvers
eight = torch.randn(8, 1, 28, 28, generator=torch.Generator().manual_seed(11)).to(device)
counts = cu.budget((1, 2, 4, 6, 10, 20, 50), (1, 2))
drawn = {}
for n in counts:
    rows = [euler(u_06, eight, clock[spaced(n)].tolist())]
    rows.append(heun(u_06, eight, even(max(1, n // 2))))
    rows.append(adams(u_06, eight, ladder_of(n)))
    drawn[n] = torch.cat([pictures(x) for x in rows])


def draw_solvers(evaluations):
    """Eight noises by three solvers with a number of evaluations."""
    titles = ["DDIM", "Heun", "Adams"]
    return cu.plots.image_grid(drawn[evaluations], rows=3, row_titles=titles, note=False).figure


cu.explore(
    draw_solvers,
    "The same eight noises through lesson 06's network: DDIM in even steps of k, Heun in even "
    "steps of t (one evaluation less, since its last step is Euler's), Adams on the ladder "
    "above. At first with four evaluations.",
    evaluations={"options": list(counts), "value": counts[min(2, len(counts) - 1)]},
)

# %% tags=["figure", "slide"]
# @title Table: Fréchet distance of the three
steps_card = cu.runs.load("14_steps")  # section 6 makes it
known = steps_card.card["figures"]
COUNTS = (1, 2, 4, 10, 20, 50)


def row_of(way, name):
    """A table's row: the distances of one way, with their spreads."""
    row = [name]
    for n in COUNTS:
        key = f"{way}, {n}: validation"
        if key not in known:
            row.append(None)
            continue
        spread = steps_card.figure(f"{key}, spread")
        row.append(f"{steps_card.figure(key):.1f} ± {spread:.1f}")
    return row


names = {"06, DDIM": "DDIM", "06, Heun": "Heun", "06, Adams": "Adams"}
cu.table(
    [row_of(way, name) for way, name in names.items()],
    ["evaluations", *(f"{n}" for n in COUNTS)],
    "Fréchet distance to validation digits with lesson 06's network: five sets of 1,000, ± "
    "their standard deviation.",
)

# %% [markdown]
# With one evaluation all three draw the same smudge, at 1138.8; section 4 says why.
# With four, many of DDIM's digits are misdrawn (33.5); Adams' are bold, but digits (9.6).
# **Ten evaluations of Adams, 6.0 ± 0.7, are as good as fifty of DDIM, 6.8 ± 0.9:** the same weights, a fifth of the time.
# Heun walks in even steps, two of them for four evaluations, and is worse than DDIM there (71.6); with two it is one step of Euler.
# (The ladder was chosen on validation digits; on test digits the order is the same, 14b.)
# Beyond ten Adams gains nothing more: what remains is the network's own error.

# %% [markdown]
# ## 3 · Flow matching in one line *(core)*
#
# So far we used lesson 06's network.
# But the slope of (3) can be learned directly.
# Take a digit $x$ and a noise $\varepsilon$, mix them to $x_t=t\,x+(1-t)\,\varepsilon$, and ask the network for the direction from the one to the other:
#
# $$L=\mathbb E\,\bigl\lVert u_\theta(x_t,t)-(x-\varepsilon)\bigr\rVert^2 . \tag{5}$$
#
# That is **flow matching** (Lipman et al., Liu et al., Albergo and Vanden-Eijnden, all 2023): no schedule, no $\bar\alpha$, no factor in front.


# %% tags=["figure"]
# @title Figure: what the network is asked
def asked():
    """Two crossing pairs; at the crossing the answer is the mean of two directions."""
    d = cu.diagram()
    d.text("noise, t = 0", (0, 2.1))
    d.text("data, t = 1", (6, 2.1))
    for top in (1.2, -1.2):
        noise = d.node(r"$\varepsilon$", (0, top), 0.35)
        d.arrow(noise, d.node("$x$", (6, -top), 0.35), colour="#888888")
    d.arrow((3, 0), (4.9, 0), colour="#D55E00")
    d.text("$u$: the mean", (4.4, -0.32), colour="#D55E00", align="left")
    d.text("$x_t$", (2.65, 0.0))
    return d.figure


cu.show(
    asked(),
    "Two pairs of noise and data whose lines cross. At the crossing the network cannot know "
    "which of the two it is on: squared error makes it answer the mean of the directions.",
)

# %% [markdown]
# **Why it works.**
# Under squared error the best answer is a mean: $u(x_t,t)=\mathbb E[x-\varepsilon\mid x_t]=\hat x-\hat\varepsilon$, which is the slope of (3).
# So (5) learns the ODE of section 1, and lesson 06's network, asked in the right units, was a flow all along; what differs is which errors and times count how much.
#
# And why is a *mean* enough to carry the crowd?
# How many points pass a place at time $t$ depends on their mean velocity there and on nothing else.
# So a crowd that follows the mean has at every $t$ the density of the mixtures $x_t$, whatever the pairs they were made from.
#
# **Exercise 3 (core).**
# Write (5).


# %% tags=["exercise"]
def flow_loss(model, x, eps, t):
    """Equation (5): data x, noise eps (B, …), times t (B,) → a scalar, the mean of all entries.

    model(x_t, t) → velocities (B, …), with t as (B,).
    """
    ### BEGIN SOLUTION
    time = t.view(-1, *[1] * (x.dim() - 1))  # (B, 1, …)
    state = time * x + (1 - time) * eps
    return (model(state, t) - (x - eps)).square().mean()
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# Every row has its own time: $t$ has the shape $(B,)$ and must become $(B,1)$ for points, $(B,1,1,1)$ for images.

# %%
checked_loss = cu.check("14.flow_loss", flow_loss)

# %% [markdown]
# Now digits.
# The U-Net has less than half of lesson 06's weights, and starts from nothing.


# %% tags=["shared"]
class Flow(nn.Module):
    """Images (B, 1, 28, 28) in [−1, 1] and times t (B,) → velocities, by a small U-Net."""

    def __init__(self):
        super().__init__()
        self.unet = UNet(width=32, embedding=128)

    def forward(self, x, t):
        return self.unet(x, 1_000 * (1 - t))  # its clocks read noise at 1000, as in lesson 06


def spread_times(n, device=None):
    """n times in 0 … 1, one in each n-th of the range: (n,)."""
    return (torch.arange(n, device=device) + torch.rand(n, device=device)) / n


def digit_loss(model, x):
    """Equation (5) for images x (B, 1, 28, 28) in [0, 1]."""
    return checked_loss(model, 2 * x - 1, torch.randn_like(x), spread_times(len(x), x.device))


# %% tags=["shared"]
def velocity(model):
    """A model as u(x, t) with one time t for all."""

    @torch.no_grad()
    def u(x, t):
        return model(x, torch.full((len(x),), t, dtype=x.dtype, device=x.device))

    return u


# %%
from course_utils.lessons.lesson_06 import warm_cosine

flow = cu.prepare(Flow())
batches = cu.Batches(mnist.train, 128)
recipe = {"schedule": warm_cosine, "ema": 0.999, "clip": 1.0}
history = cu.fit(flow, digit_loss, batches, steps=60, full=13_000, lr=2e-3, **recipe)

# %% tags=["author"]
cu.ship(
    "14_flow",
    {"flow": history.ema},
    history,
    what="flow matching from scratch, a U-Net of width 32",
    samples=lambda: draw(velocity(history.ema), 1_000, ladder_of(10), seed=100),
)

# %%
run = cu.restore("14_flow", {"flow": flow})  # the same cell, 13,000 steps
u_flow = velocity(flow.eval())
cu.facts("steps shipped", run.card["steps"], "loss just now", history["loss"][-1])
for name, net in {"this network's weights": flow, "lesson 06's": unet}.items():
    cu.facts(name, sum(weight.numel() for weight in net.parameters()))

# %% [markdown]
# ## 3b · Without a network *(deeper)*
#
# Is the mean direction really the velocity?
# For data $\mathcal N(m,w^2)$ the velocity is `normal_u` of section 2.
# And the mean can be *counted*: draw pairs, keep those whose $x_t$ falls into a narrow bin, and average $x-\varepsilon$.


# %%
million = cu.budget(4_000_000, 1_000_000)
generator = torch.Generator().manual_seed(0)
noise, other = torch.randn(2, million, generator=generator)
point = 0.5 + 0.2 * other  # data N(0.5, 0.2²)
state = 0.6 * point + 0.4 * noise
for at in (-0.2, 0.3, 0.8):
    inside = (state - at).abs() < 0.01
    counted = (point - noise)[inside].mean()
    exact = normal_u(torch.tensor(at), 0.6)
    assert abs(counted - exact) < 1e-2
    cu.facts(f"u at x = {at:g}, t = 0.6: counted", counted, "by formula", exact)

# %% [markdown]
# Velocity, guess and score are one thing in three units, as in lesson 06.
# From $x_t=t\hat x+(1-t)\hat\varepsilon$ and $u=\hat x-\hat\varepsilon$ follows $\hat\varepsilon=x_t-t\,u$.
# With $p_t$ for the density of $x_t$, and noise that is Gaussian and independent of the data, lesson 06's (4) reads
#
# $$\nabla\log p_t(x_t)=-\frac{\hat\varepsilon}{1-t}. \tag{6}$$
#
# **Exercise 4 (deeper).**
# Write the score as a function of the velocity.


# %% tags=["exercise"]
def score_from_velocity(u, x, t):
    """Equation (6): velocities u (B, …) at x (B, …) and one time 0 ≤ t < 1 → scores (B, …)."""
    ### BEGIN SOLUTION
    return (t * u - x) / (1 - t)
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# Put $\hat\varepsilon$ into (6).
# At $t=0$ there is only noise, and the score of $\mathcal N(0,I)$ is $-x$.

# %%
checked_score = cu.check("14.score_from_velocity", score_from_velocity)
variance = (0.7 * 0.2) ** 2 + 0.3**2
gap = checked_score(normal_u(line, 0.7), line, 0.7) + (line - 0.7 * 0.5) / variance
assert gap.abs().max() < 1e-5
x = crowd(0.7, 1, 500)
size = math.hypot(0.7, 0.3)
score = log_p_and_score(x / size, torch.tensor((0.7 / size) ** 2).double())[1] / size
torch.testing.assert_close(checked_score(exact_u(x, 0.7), x, 0.7), score, rtol=0, atol=1e-5)
print("✓ (6) gives the score of a Gaussian and of lesson 06's mixture, to 1e-5")

# %% [markdown]
# ## 4 · A thousand identical smudges *(core)*
#
# **Predict:** a perfect model, a thousand noises, *one* Euler step from $t=0$ to 1.
# What do the thousand pictures look like?
#
# At $t=0$ the state is $\varepsilon$, and noise says nothing about which digit it was paired with: $\mathbb E[x\mid\varepsilon]=\mathbb E[x]$.
# So $u(\varepsilon,0)=\mathbb E[x]-\varepsilon$, and one step leads to
#
# $$\varepsilon+1\cdot\bigl(\mathbb E[x]-\varepsilon\bigr)=\mathbb E[x], \tag{7}$$
#
# whatever the noise.
#
# A perfect model can be had, for a world of a thousand digits $x_i$ and no others.
# There $\hat x=\sum_iw_ix_i$ with weights that add up to 1, and, putting $\hat\varepsilon=(x_t-t\hat x)/(1-t)$ into $\hat x-\hat\varepsilon$, $u=(\hat x-x_t)/(1-t)$:
#
# $$w_i\propto\exp\Bigl(-\frac{\lVert x_t-t\,x_i\rVert^2}{2(1-t)^2}\Bigr). \tag{8}$$


# %%
def stored_u(x, t, data):
    """Exact velocity if the data are these N images and no others: x (B, 1, 28, 28) → same."""
    distance = torch.cdist(x.flatten(1), t * data.flatten(1)).square()
    weights = (-distance / (2 * (1 - t) ** 2)).softmax(1)  # (8): (B, N)
    guess = (weights @ data.flatten(1)).view_as(x)
    return (guess - x) / (1 - t)


data = (2 * mnist.train.float()[:1_000] - 1).view(-1, 1, 28, 28)
thousand = torch.randn(cu.budget(1_000), 1, 28, 28, generator=torch.Generator().manual_seed(2))
perfect = euler(lambda x, t: stored_u(x, t, data), thousand, even(1))
trained = euler(u_flow, thousand.to(device), even(1)).cpu()
smudge = data.mean(0).expand_as(perfect)
torch.testing.assert_close(perfect, smudge, atol=1e-4, rtol=0)
cu.facts(
    {
        "perfect model: largest spread of a pixel": f"{perfect.std(0).max():.1e}",
        "trained model: the same": trained.std(0).max(),
        "real digits: the same": data.std(0).max(),
    }
)

# %% tags=["figure", "slide"]
# @title Figure: one step of a perfect model
tiles = torch.cat([perfect[:8], trained[:8]])
ax = cu.plots.image_grid(pictures(tiles), rows=2, row_titles=["perfect", "trained"])
cu.show(
    ax.figure,
    "One Euler step from eight noises: above with the exact velocity of a thousand digits, "
    "below with the trained network.",
)

# %% [markdown]
# From a perfect model come a thousand copies of *one* smudge, the mean of the data; they differ by 6e-08, which is rounding.
# The trained model does the same, roughly.
# As long as noise and data are paired at random, no training and no larger network will mend it.
#
# The noise *does* decide the digit, as lesson 06 saw; but **the first arrow does not show it**: it points at the mean of everything.
# So every path must bend, and many steps are there to follow the bend.
# To need few, the first arrow must already point at the end.

# %% [markdown]
# ## 5 · Crooked, measured *(core)*
#
# How much does a path bend?
# Let $x_0$ and $x_1$ be the ends of a noise's path through the model, and $x_t$ a point of it.
# If the path were straight and even, its velocity would be $x_1-x_0$ all the way.
# The **crookedness** is the mean squared difference between the two,
#
# $$S=\int_0^1\mathbb E\,\bigl\lVert u(x_t,t)-(x_1-x_0)\bigr\rVert^2\,\mathrm dt, \tag{9}$$
#
# to be compared with the mean squared way, $\mathbb E\lVert x_1-x_0\rVert^2$.
# $S=0$ says that one Euler step is exact.
#
# Paths bend because training pairs cross: where two lines meet, the answer is the mean of two directions.
# So choose pairs that do not cross.
#
# - **Transport** (Pooladian et al., Tong et al., 2023): in groups of 64 or 256, assign noises to data so that the sum of squared distances is least (lesson 13's assignment).
# - **Reflow** (Liu et al., 2023): train a first model; pair each noise with *what that model draws from it*; train a second on these pairs.
#   In these pairs the noise fixes its draw, so the mean in (7) is over one draw only.
#   And paths of an ODE never meet; the straight lines between their ends may, but far more seldom.
#
# **Exercise 5 (core).**
# Make pairs for reflow.


# %% tags=["exercise"]
def reflow_pairs(u, eps, times, solve):
    """Pairs (noise, draw) of a model: noise eps (B, …), u(x, t), ladder `times` from 0 to 1.

    solve(u, x, times) walks from x along u. Returns (eps, draws), without gradients.
    """
    ### BEGIN SOLUTION
    with torch.no_grad():
        return eps, solve(u, eps, times)
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# The noise of a pair is the one that the walk began with, not a new one.

# %%
checked_pairs = cu.check("14.reflow_pairs", reflow_pairs)


# %% tags=["shared"]
class Field(nn.Module):
    """Points (B, 2) and times (B,) → velocities (B, 2)."""

    def __init__(self, width=128):
        super().__init__()
        sizes = [2 + 16, width, width, width]
        layers = []
        for a, b in zip(sizes, sizes[1:]):
            layers += [nn.Linear(a, b), nn.SiLU()]
        self.net = nn.Sequential(*layers, nn.Linear(width, 2))

    def forward(self, x, t):
        angle = t[:, None] * math.pi * torch.arange(1, 9, device=t.device)
        return self.net(torch.cat([x, angle.sin(), angle.cos()], 1))


# %%
def assigned(eps, x, size):
    """x (B, 2) in a new order: by groups of `size`, assigned to the noises at least cost."""
    order = []
    for first, (a, b) in enumerate(zip(eps.split(size), x.split(size))):
        cost = torch.cdist(a, b).square().cpu()
        order.append(first * size + torch.from_numpy(linear_sum_assignment(cost)[1]))
    return x[torch.cat(order)]


# %%
points = draw_mixture(20_000, 7).float()
steps_2d = cu.budget(2_000, 20)


def trained_on(match=None, pairs=None):
    """A Field on pairs: fresh noise, matched within the batch or not, or pairs made before."""

    def loss(model, *batch):
        x = batch[-1]
        eps = batch[0] if pairs else torch.randn_like(x)
        x = assigned(eps, x, match) if match else x
        return checked_loss(model, x, eps, spread_times(len(x), x.device))

    torch.manual_seed(0)
    field = Field()
    batches = cu.Batches(pairs or points, 256)
    options = {"lr": 2e-3, "schedule": "cosine", "ema": 0.999}
    return velocity(cu.fit(field, loss, batches, steps=steps_2d, **options).ema.eval())


# %%
fields = {"independent": trained_on()}
fields["transport, 64"] = trained_on(match=64)
fields["transport, 256"] = trained_on(match=256)
before = "independent"
for name in ("reflow", "reflow twice"):
    eps = torch.randn(20_000, 2, generator=torch.Generator().manual_seed(len(fields)))
    pairs = checked_pairs(fields[before], eps.to(device), even(cu.budget(50)), euler)
    fields[name] = trained_on(pairs=pairs)
    before = name


# %%
def walked(u, eps, n=100):
    """The n + 1 states of a walk in even steps: eps (B, …) → (n + 1, B, …)."""
    path = [eps]
    for t, later in zip(even(n), even(n)[1:]):
        path.append(euler(u, path[-1], [t, later]))
    return torch.stack(path)


def crookedness(u, eps):
    """Equation (9) from noises eps (B, …), and the mean squared way from noise to draw."""
    path = walked(u, eps)
    slopes = (len(path) - 1) * path.diff(dim=0)
    way = path[-1] - path[0]
    bend = (slopes - way).square().flatten(2).sum(2).mean()
    return bend.item(), way.square().flatten(1).sum(1).mean().item()


# %% tags=["figure", "slide"]
# @title Figure: the pairs, the paths, and what a few steps reach
n = cu.budget(2_000)
start = torch.randn(n, 2, generator=torch.Generator().manual_seed(3)).to(device)
genuine = draw_mixture(n, 0)
limit = real_vs_real(draw_mixture, n, cu.budget(20))


def draw_paths(pairs):
    """Forty paths of the model trained on these pairs."""
    fig, ax = plt.subplots(figsize=(6, 5.4))
    paint_paths(ax, pairs)
    return fig


def paint_paths(ax, name):
    """Forty paths from noise (open) to data (full)."""
    lines = walked(fields[name], start[:40], 50).cpu()
    ax.plot(*lines.permute(2, 0, 1), color="#0072B2", linewidth=0.9)
    ax.plot(*lines[0].T, "o", color="#888888", mfc="white", ms=5)
    ax.plot(*lines[-1].T, "o", color="#D55E00", ms=4)
    ax.set(xlim=(-2.8, 2.8), ylim=(-2.8, 2.8), title=name)


def three_couplings():
    """The static picture: independent pairs, transport, reflow."""
    fig, axes = plt.subplots(1, 3, figsize=(12, 4.2), sharex=True, sharey=True)
    for ax, name in zip(axes, ("independent", "transport, 64", "reflow")):
        paint_paths(ax, name)
    return fig


cu.explore(
    draw_paths,
    "Paths of forty noises (open) to draws (full), by models trained on different pairs.",
    pairs=list(fields),
    static=three_couplings,
)
rows = []
for name, u in fields.items():
    bend, way = crookedness(u, start)
    few = [energy(euler(u, start, even(k)).cpu(), genuine) for k in (1, 2, 4, 8)]
    rows.append([name, f"{bend:.4f}", f"{way:.3f}", *(f"{value:.4f}" for value in few)])
cu.table(
    rows,
    ["pairs", "S", "squared way", "1 step", "2", "4", "8"],
    "Crookedness, mean squared way from noise to draw, and energy distance to genuine points "
    f"(limit {limit:.4f}).",
)

# %% [markdown]
# Independent pairs: $S=0.86$, twice the squared way, and after one step the energy distance is hundreds of times its limit, for (7) sends all points to the mean.
# Transport ties each noise to a point nearby: lines hardly cross, and four steps pass for genuine.
# Reflow ends at $S=0.0007$, although it chose no pairs itself: it only took what the first model drew.
# A second round gains nothing more, and one step never quite passes: below some $S$ it is the network's own error that remains.
# Straight is not cheapest: reflow's way is 0.445, transport's 0.416.
#
# **Quality in one step is crookedness, and crookedness is a matter of pairs.**
# With eight steps transport is the nearest, and reflow twice, 0.0025, stays outside the limit: each round learns from draws, not from data.

# %% [markdown]
# ## 6 · Straighten and shorten *(core)*
#
# Digits, in two moves, by reflow: among so many pixels a batch holds no neighbour for transport (14b).
#
# - **Straighten:** 24,000 noises through lesson 06's network, fifteen evaluations of Adams each; a new, smaller network learns from these pairs by (5).
# - **Shorten:** go on with the same pairs, but set half of the times to 0.
#   There (5) asks for the whole way at once, since the noise fixes its draw; that is called **distillation**: a student learns a teacher's answers.
#
# One network comes out, and may be asked once, twice or four times.

# %% tags=["author"]
PAIRS = 24_000


def noise_of(n, seed):
    """n noises of images."""
    return torch.randn(n, 1, 28, 28, generator=torch.Generator().manual_seed(seed))


def pair_loss(model, eps, x):
    """Equation (5) on pairs, x in [0, 1]."""
    return checked_loss(model, 2 * x - 1, eps, spread_times(len(x), x.device))


def short_loss(model, eps, x):
    """The same, with every second time at 0."""
    t = spread_times(len(x), x.device)
    t[::2] = 0.0
    return checked_loss(model, 2 * x - 1, eps, t)


def straightened_and_shortened():
    """The student's averaged weights after both moves."""
    parts = []
    for eps in noise_of(PAIRS, 5).split(250):
        parts.append(checked_pairs(u_06, eps.to(device), ladder_of(15), adams)[1].cpu())
    drawn = cu.to_uint8(pictures(torch.cat(parts)))
    batches = cu.Batches((noise_of(PAIRS, 5), drawn), 128)
    torch.manual_seed(0)
    first = cu.fit(Flow(), pair_loss, batches, steps=1, full=8_000, lr=2e-3, **recipe)
    torch.manual_seed(0)
    model = Flow()
    model.load_state_dict(first.ema.state_dict())
    return cu.fit(model, short_loss, batches, steps=1, full=5_000, lr=1e-3, **recipe), first.ema


# %% tags=["author"]
for _ in cu.budget([], [], [1]):
    history, first = straightened_and_shortened()
    cu.ship(
        "14_student",
        {"flow": history.ema},
        history,
        what="one network for 1, 2 and 4 evaluations, from 24,000 pairs drawn by 06_diffusion",
    )

# %%
student = cu.prepare(Flow())
print(cu.restore("14_student", {"flow": student}).card["what"])
u_student = velocity(student.eval())


# %% tags=["author"]
def by_heun(n):
    """A ladder for at most n evaluations of Heun."""
    return even(max(1, n // 2))


def ways(first):
    """Way → (velocity, solver, ladder of n evaluations)."""
    return {
        "06, DDIM": (u_06, euler, lambda n: clock[spaced(n)].tolist()),
        "06, Heun": (u_06, heun, by_heun),
        "06, Adams": (u_06, adams, ladder_of),
        "flow, Euler": (u_flow, euler, even),
        "flow, Adams": (u_flow, adams, ladder_of),
        "straightened": (first, euler, even),
        "student": (u_student, euler, even),
    }


def judged(u, solver, times):
    """Distances of five sets to validation and test digits, precision and recall."""
    drawn = [draw(u, 1_000, times, solver, seed=100 + k) for k in range(5)]
    figures = {}
    for reference in ("validation", "test"):
        score = cu.metrics.score(drawn, 1_000, reference)
        figures[reference] = (score.distance, 0.1 * score.distance)
        figures[f"{reference}, spread"] = (score.distance_spread, score.distance_spread)
    features = cu.metrics.features(drawn[0])
    real = cu.metrics.features(mnist.val.sample(1_000, seed=1).x)
    for key, value in cu.metrics.precision_recall(real, features).items():
        figures[key] = (value, 0.05)
    return figures


# %% tags=["author"]
for _ in cu.budget([], [], [1]):
    figures = {}
    known_ways = ways(velocity(first.eval()))
    for way, (u, solver, ladder) in known_ways.items():
        for n in (1, 2, 4, 10) if way == "student" else (1, 2, 4, 10, 20, 50):
            for key, value in judged(u, solver, ladder(n)).items():
                figures[f"{way}, {n}: {key}"] = value
    rows = [(u_06, 50, euler, clock[spaced(50)].tolist()), (u_06, 10, adams, ladder_of(10))]
    rows += [(u_student, n, euler, even(n)) for n in (4, 1)]
    grids = [draw(u, 36, times, solver, seed=7)[:, 0] for u, n, solver, times in rows]
    cu.ship(
        "14_steps",
        what="every solver and network with 1 to 50 evaluations, five sets of 1,000",
        figures=figures,
        replay=(torch.stack(grids), [n for _, n, _, _ in rows]),
    )

# %% tags=["figure", "slide"]
# @title Figure: Fréchet distance against evaluations
WAYS = {
    "06, DDIM": "lesson 06, DDIM",
    "06, Adams": "lesson 06, Adams",
    "flow, Adams": "flow matching, Adams",
    "straightened": "straightened, Euler",
    "student": "and shortened, Euler",
}
floor = cu.metrics.real(1_000, "validation")["training digits"]
fig, ax = plt.subplots(figsize=(9, 5))
for way, name in WAYS.items():
    keys = {n: f"{way}, {n}: validation" for n in COUNTS}
    shown = [(n, known[key]["value"]) for n, key in keys.items() if key in known]
    ax.loglog(*zip(*shown), "o-", label=name)
ax.axhline(floor.distance, color="black", linestyle=":", linewidth=1.5)
ax.set_xticks(COUNTS, COUNTS)
ax.minorticks_off()
ax.set(xlabel="evaluations of a network", ylabel="Fréchet distance")
ax.legend()
cu.show(
    fig,
    "Fréchet distance to validation digits against the number of evaluations; dotted: training "
    "digits.",
)
rows = [row_of(way, name) for way, name in WAYS.items()]
rows.append(["training digits", *[None] * (len(COUNTS) - 1), floor.row()[0]])
cu.table(
    rows,
    ["evaluations", *(f"{n}" for n in COUNTS)],
    "The same, five sets of 1,000, ± their standard deviation.",
)
for key, name in {"06, Adams, 10": "lesson 06, Adams, 10", "student, 1": "student, 1"}.items():
    for share in ("precision", "recall"):
        cu.facts(f"{share}: {name}", f"{steps_card.figure(f'{key}: {share}'):.2f}")

# %% [markdown]
# **One evaluation: from 1138.8 to 20.4.**
# Straightening does most of it, 27.8; a part of the rest may be longer training, since the shortened network is better at ten, too.
#
# But do not distil before you have tried a better solver.
# With four evaluations Adams draws better with lesson 06's network (9.6) and with the flow of the student's size (10.8) than the student does (13.8).
# The curves cross between two and four: on the left the student, on the right the solver.
#
# With fifty evaluations the straightened network is at 11.5, the same network trained on real digits at 6.4.
# So what is lost is mostly its own: it saw 24,000 pairs and no more. (Whether more pairs would mend it was not tried.)
#
# At one evaluation precision falls from 0.84 to 0.79 and recall from 0.96 to 0.92 (lesson 07): some digits are misdrawn, and a little variety is lost.

# %% [markdown]
# ## 7 · Real time *(core)*
#
# One evaluation for one digit takes a few milliseconds: fast enough to answer while you type.
#
# Lesson 06b turned a stroke into a digit: drown it in noise to some $t$, and walk on from there.
# Do it with the student, who was never trained for that.
# Type `#` signs into the sheet; each is ink.


# %%
def finish(image, t, n=4):
    """Your scribble, uint8 (1, 28, 28), mixed with noise to time t and walked on in n steps."""
    x = (image.float() / 127.5 - 1)[None].to(device)
    noise = still_noise.to(device)
    state = t * x + (1 - t) * noise
    ends = euler(u_student, state, [t + (1 - t) * i / n for i in range(n + 1)])
    return pictures(torch.cat([x.expand(1, -1, -1, -1), ends]))


still_noise = torch.randn(5, 1, 28, 28, generator=torch.Generator().manual_seed(21))

# %% tags=["figure", "slide"]
# @title Widget: the sheet
sheet(
    finish,
    "Your scribble, and five digits that the student makes of it from five noises.",
    t={"min": 0.1, "max": 0.9, "step": 0.05, "value": 0.5, "label": "start at t"},
)

# %% [markdown]
# Half-way, five noises make five 3s of the course's 3, alike but not the same; now type something cruder.
#
# And a wall: sixteen noises, each walking on a great circle of its own, redrawn with one evaluation a frame.

# %%
generator = torch.Generator().manual_seed(22)
one, other = torch.randn(2, 16, 1, 28, 28, generator=generator).to(device)


def wall_frame(frame, turn=1.0, evaluations=1):
    """Sixteen digits of noises that have turned by `turn` degrees a frame."""
    angle = math.radians(turn * frame)
    noise = math.cos(angle) * one + math.sin(angle) * other
    return pictures(euler(u_student, noise, even(evaluations)))


# %% tags=["figure", "slide"]
# @title Widget: the wall
wall(
    wall_frame,
    "Sixteen digits whose noises turn on great circles, drawn anew for every frame.",
    frames=360,
    turn={"min": 0.5, "max": 5.0, "step": 0.5, "value": 1.0, "label": "degrees a frame"},
    evaluations=[1, 2, 4],
)

# %% tags=["figure"]
# @title Table: how fast the wall is, and its cracks
from course_utils.lessons.lesson_12 import read_class

frames = cu.budget(360, 4)
begin = time.perf_counter()
films = torch.stack([wall_frame(frame) for frame in range(frames)])  # (frames, 16, 1, 28, 28)
cu.facts("frames a second", frames / (time.perf_counter() - begin))
change = films.diff(dim=0).abs().flatten(2).mean(2).flatten()
read = read_class(films.flatten(0, 1)).view(frames, 16)
cracks = (read.diff(dim=0) != 0).flatten()
cu.facts(
    {
        "mean change of a pixel in a degree": f"{change.mean():.4f}",
        "where the class changes": f"{change[cracks].mean():.4f}",
        "largest": f"{change.max():.4f}",
        "degrees from class to class": round(frames * 16 / max(1, cracks.sum().item())),
    }
)

# %% [markdown]
# The first line says how many frames of sixteen digits your machine draws in a second.
#
# Neighbouring noises draw nearly one digit: in a degree a pixel (0 to 1) changes by 0.0029 on average.
# Every 32 degrees or so lesson 07's classifier reads another class; there it changes by 0.0048, so mostly one digit melts into the next.
# But now and then it tears (0.0249): such a **crack** is where two roads part that were neighbours at the start.

# %% [markdown]
# ## Recap *(core)*
#
# | you can | because you saw |
# |---|---|
# | write DDIM as Euler's method | fifty steps of (1) and of (3) are DDIM's, to 1e-6 |
# | replace Euler | ten evaluations of Adams draw as well as fifty of DDIM |
# | train a velocity without a schedule | (5), and the three checks of 3b |
# | say why a perfect model fails in one step | a thousand noises, one smudge |
# | measure crookedness and remove it | $S$ from 0.86 to 0.0007 by reflow |
# | answer while somebody types | the sheet and the wall |
#
# **What breaks, and why.**
# A student adds its own errors to its teacher's: 6.0 becomes 12.2 at ten evaluations.
#
# **Next.**
# 14b: minibatch transport with labels, which ties the noise to the class; likelihoods along the road; consistency models.
# Lesson 15 ties pictures to sentences; 15b, to come, steers a flow by them.

# %% [markdown]
# ## Where this stands *(deeper)*
#
# **The ODE of a diffusion** is due to Y. Song and colleagues (2021); DDIM (J. Song et al., 2021) came first, and was seen to be its Euler method in $\sigma/\alpha$ by several.
# Karras and colleagues (2022) made solver and spacing a design of their own; Lu and colleagues (2022) solve the linear part exactly (DPM-Solver).
#
# **Flow matching** was found three times in one year: by Lipman and colleagues, as *rectified flow* by Liu and colleagues, and as *stochastic interpolants* by Albergo and Vanden-Eijnden (all 2023).
# With Gaussian noise it is diffusion with other weights and another clock, as section 3 shows; large image models are trained with it since (Esser et al., 2024).
#
# **Fewer steps.**
# Progressive distillation (Salimans and Ho, 2022) halves the steps again and again; consistency models (Y. Song et al., 2023) ask that all points of a path have one end.
# On small photographs Liu and colleagues report for one Euler step a thirtieth of the distance after reflow, and less than half of that distilled.
# Our student learns by squared error alone; others add the error in a network's features or a critic's verdict.

# %% [markdown]
# ### References
#
# - J. Song, C. Meng, S. Ermon, *Denoising diffusion implicit models*, 2021.
# - Y. Song et al., *Score-based generative modeling through stochastic differential equations*, 2021.
# - T. Karras et al., *Elucidating the design space of diffusion-based generative models*, 2022.
# - C. Lu et al., *DPM-Solver: a fast ODE solver for diffusion probabilistic model sampling in around 10 steps*, 2022.
# - T. Salimans, J. Ho, *Progressive distillation for fast sampling of diffusion models*, 2022.
# - Y. Lipman et al., *Flow matching for generative modeling*, 2023.
# - X. Liu, C. Gong, Q. Liu, *Flow straight and fast: learning to generate and transfer data with rectified flow*, 2023.
# - M. Albergo, E. Vanden-Eijnden, *Building normalizing flows with stochastic interpolants*, 2023.
# - A.-A. Pooladian et al., *Multisample flow matching: straightening flows with minibatch couplings*, 2023.
# - A. Tong et al., *Improving and generalizing flow-based generative models with minibatch optimal transport*, 2023.
# - Y. Song et al., *Consistency models*, 2023.
# - P. Esser et al., *Scaling rectified flow transformers for high-resolution image synthesis*, 2024.
