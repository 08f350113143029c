# %% [markdown]
# # 10 Normalizing flows
#
# **A map that can be run backwards, plus a ledger of how much it stretches, turns a Gaussian into an exact density; what it cannot do is tear.**
#
# Lesson 09's likelihood was exact, but every letter of a digit took a pass of its own, and there was no latent to hold on to.
# Here one network bends a cloud of noise into digits in a single pass, runs backwards without loss, and says the exact density of every point.
#
# **After this lesson you can**
# - say what happens to a density when space is bent, and check it by its area;
# - build layers that are easy to invert and whose stretching is easy to add up;
# - say why such a map leaves bridges between islands, and measure them;
# - put a density on whole numbers without cheating;
# - train a multi-scale flow on digits, and draw from it.
#
# **Builds on** 02 (mixtures, the Gaussian in D dimensions), 02b (bits per dimension, dequantisation), 09 and 09b (exact likelihood); [toolbox](A_toolbox.ipynb), Cards 4 and 5.
#
# | letter | meaning | letter | meaning |
# |---|---|---|---|
# | $x$, $z$ | data, noise (the latent) | $s,\ t$ | log-stretch and shift of a coupling |
# | $f$, $g=f^{-1}$ | noise → data, data → noise | $y$ | what a layer makes of its input |
# | $p_z$ | density of the noise (the base) | $u$ | noise added to whole numbers |
# | $J$ | Jacobian, the matrix of derivatives | $D$ | number of dimensions, or pixels |
# | $x_a,\ x_b$ | the half that stays, the half that moves | $W$ | matrix that mixes channels |
# | $F,\ \Phi$ | distribution function of the data, of $\mathcal N(0,1)$ | $\alpha,\ \tau$ | margin of the logit, temperature |

# %% tags=["setup"]
import math

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from torch import nn

import course_utils as cu

device = cu.setup()
mnist = cu.mnist()

# %% [markdown]
# ### What you will have made
#
# Each column is one fixed cloud of noise, sent through the flow of section 7 at four moments of its training.
# **Predict:** the same noise, better and better weights: does the ink of a column stay where it is?

# %% tags=["figure", "slide"]
# @title Figure: the same noise, at four moments of the training
for run in cu.runs.available("10_flow"):  # section 7 makes it
    frames, moments = run.replay
    kept = torch.linspace(0, len(moments) - 1, 4).round().long().tolist()
    pages = torch.as_tensor(frames[kept])[:, :12].float() / 255
    names = [f"{int(moments[k]):,} steps" for k in kept]
    ax = cu.plots.image_grid(pages.flatten(0, 1), rows=4, row_titles=names)
    cu.show(
        ax.figure,
        "Twelve fixed clouds of noise, turned into digits by the flow as it was after "
        f"{', '.join(f'{int(moments[k]):,}' for k in kept)} steps of its long training.",
    )

# %% [markdown]
# From 3,200 steps on it mostly does; after a hundred there are only blots, some of them where strokes will be.
#
# **A flow is one long change of coordinates: noise on one side, digits on the other, and nothing lost between.**

# %% [markdown]
# ## 1 · The ledger in one dimension *(core)*
#
# Draw $z$ from a Gaussian and bend the line: $x=f(z)$, with $f$ increasing or decreasing.
# The mass $p_z(z)\,dz$ of a short interval goes to an interval of length $|f'(z)|\,dz$.
# So where $f$ stretches, the points get sparser, by exactly the factor of the stretch:
#
# $$\begin{gathered}
# p(x)=p_z\bigl(f^{-1}(x)\bigr)\,\Bigl|\frac{d f^{-1}}{dx}(x)\Bigr|, \\
# \log p(x)=\log p_z(z)-\log|f'(z)|,\quad z=f^{-1}(x).
# \end{gathered} \tag{1}$$
#
# The second term is the **ledger**.
# Two questions decide whether a map is of use: can it be undone, and is its stretch known?
#
# **Exercise 1 (core).**
# Write (1) for a batch of numbers.


# %% tags=["exercise"]
def log_density(x, to_noise, slope):
    """Equation (1): log p(x) (N,) of x = f(z), z ~ N(0, 1); x (N,).

    to_noise: the function x → z. slope: the function z → f′(z), of any sign.
    """
    ### BEGIN SOLUTION
    z = to_noise(x)
    return -0.5 * (z**2 + math.log(2 * math.pi)) - slope(z).abs().log()
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# First find the noise, `z = to_noise(x)`; the logarithm of the Gaussian is $-\frac12(z^2+\log2\pi)$, and the slope is asked for at $z$, not at $x$.

# %%
checked_density = cu.check("10.density", log_density)

# %% [markdown]
# A map with two knobs, which can be undone in closed form: $f(z)=\sinh\bigl((\operatorname{asinh}z+\text{lean})/\text{tails}\bigr)$.
# What is the area under the density with the ledger, and without it?


# %%
def bend(z, lean, tails):
    """f(z) = sinh((asinh z + lean) / tails): lean moves mass, tails < 1 widens."""
    return torch.sinh((torch.asinh(z) + lean) / tails)


def unbend(x, lean, tails):
    return torch.sinh(torch.asinh(x) * tails - lean)


def bend_slope(z, lean, tails):
    return torch.cosh((torch.asinh(z) + lean) / tails) / (tails * (1 + z**2).sqrt())


# %% tags=["figure", "slide"]
# @title Widget: bend the line
g = torch.Generator().manual_seed(0)
MILLION = torch.randn(cu.budget(1_000_000, 10_000), generator=g).double()
LINE = torch.linspace(-60, 60, 24_001, dtype=torch.double)


def with_ledger(*knobs):
    """p(x) on LINE, and what you get if you forget the ledger."""
    right = checked_density(LINE, lambda x: unbend(x, *knobs), lambda z: bend_slope(z, *knobs))
    z = unbend(LINE, *knobs)
    return right.exp(), (-0.5 * z**2).exp() / math.sqrt(2 * math.pi)


def areas_under(*curves):
    return [float(torch.trapezoid(curve, LINE)) for curve in curves]


def draw_bend(lean=0.6, tails=0.8, ax=None):
    """A million draws, the curve by (1), and the curve without its ledger."""
    fig, ax = (ax.figure, ax) if ax else plt.subplots(figsize=(7, 3.8))
    right, wrong = with_ledger(lean, tails)
    x = bend(MILLION, lean, tails)
    inside = x[(x > -6) & (x < 6)].numpy()
    look = {"color": "#cccccc", "label": "a million draws", "range": (-6, 6)}
    ax.hist(inside, 100, weights=[100 / 12 / len(x)] * len(inside), **look)  # area 1
    ax.plot(LINE, right, color=cu.plots.PALETTE[0], lw=2, label="with the ledger")
    ax.plot(LINE, wrong, color=cu.plots.PALETTE[1], lw=2, ls="--", label="without")
    areas = areas_under(right, wrong)
    mean = bend_slope(MILLION, lean, tails).mean()
    title = f"lean {lean:g}, tails {tails:g}: area {areas[0]:.3f},\n"
    title += f"without {areas[1]:.3f}, mean stretch {mean:.3f}"
    ax.set(xlim=(-6, 6), xlabel="x", ylabel="density", title=title)
    return fig


def three_bends():
    fig, axes = plt.subplots(1, 3, figsize=(13, 3.7), sharey=True)
    for ax, (lean, tails) in zip(axes, ((0.0, 1.0), (0.6, 0.8), (0.0, 1.6))):
        draw_bend(lean, tails, ax)
        ax.label_outer()
    axes[1].legend(fontsize=11)
    return fig


cu.explore(
    draw_bend,
    "A million Gaussian numbers after bending, the density by (1), and the same without its "
    "ledger. Without a kernel: no bending, a lean, and light tails.",
    static=three_bends,
    lean={"min": -1.0, "max": 1.0, "step": 0.1, "value": 0.6},
    tails={"min": 0.6, "max": 1.8, "step": 0.1, "value": 0.8},
)
for knobs in ((0.6, 0.8), (0.0, 1.6)):
    areas = areas_under(*with_ledger(*knobs))
    found = f"{areas[0]:.3f} and {areas[1]:.3f}"
    cu.facts(f"lean {knobs[0]}, tails {knobs[1]}: areas with and without the ledger", found)

# %% [markdown]
# With the ledger curve and draws agree, and the area is 1.
# Without it the areas are 1.840 and 0.542, the mean stretch, since $\int p_z(f^{-1}(x))\,dx=\int p_z(z)\,f'(z)\,dz$; such a curve is no density.
#
# **The best map.**
# If $F$, the distribution function of the data, is continuous and strictly increasing, and $\Phi$ is that of the Gaussian, $f(z)=F^{-1}(\Phi(z))$ turns noise into exactly these data.
# Below it is computed for two bumps.


# %% tags=["figure"]
# @title Figure: the map that makes two bumps
def two_bumps(x):
    """Density and distribution function of two equal bumps at ±2, of deviation 0.4."""
    left, right = ((x - c) / 0.4 for c in (-2, 2))
    p = sum((-0.5 * v**2).exp() for v in (left, right)) / (0.8 * math.sqrt(2 * math.pi))
    return p, 0.5 * sum(0.5 * torch.erfc(-v / math.sqrt(2)) for v in (left, right))


def best_map(z):
    """F⁻¹(Φ(z)) by bisection."""
    goal = 0.5 * torch.erfc(-z / math.sqrt(2))
    low, high = torch.full_like(z, -6), torch.full_like(z, 6)
    for _ in range(60):
        middle = (low + high) / 2
        below = two_bumps(middle)[1] < goal
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
    return (low + high) / 2


z = torch.linspace(-3, 3, 1_201, dtype=torch.double)
x = best_map(z)
steep = (-0.5 * z**2).exp() / math.sqrt(2 * math.pi) / two_bumps(x)[0]
ends = two_bumps(torch.tensor([-1.0, 1.0]).double())[1]
between = float(ends[1] - ends[0])
fig, (left, middle, right) = plt.subplots(1, 3, figsize=(13, 3.7))
left.plot(z, x, color=cu.plots.PALETTE[0], lw=2)
left.set(xlabel="z", ylabel="x", title="it jumps at z = 0")
middle.plot(z, steep, color=cu.plots.PALETTE[0], lw=2)
middle.set(xlabel="z", ylabel="f′(z)", yscale="log", title="the stretch there")
drawn = best_map(MILLION[: cu.budget(100_000, 2_000)])
right.hist(drawn.numpy(), 120, range=(-4, 4), density=True, color="#cccccc")
right.plot(LINE, two_bumps(LINE)[0], color=cu.plots.PALETTE[0], lw=2)
right.set(xlim=(-4, 4), xlabel="x", ylabel="density", title="its draws are the data")
cu.show(fig, "F⁻¹(Φ(z)) for two bumps, its slope, and 100,000 draws pushed through it.")
cu.facts(
    {
        "greatest stretch f′": f"{steep.max():,.0f}",
        "share of the data, and of its draws, between −1 and 1": f"{between:.4f}",
        "least share there if no stretch is over 38, about": f"{math.erf(1 / 38 / 2**0.5):.4f}",
    }
)

# %% [markdown]
# Between the bumps the map must cross the nearly empty middle within a sliver of noise: in the centre it stretches by 107,335.
# Of its draws 0.6 % lie between −1 and 1, exactly as many as of the data.
# A map that nowhere stretches by more than 38, about as one in section 4, would leave at least about 2.1 % there.
#
# **Exercise 2 (deeper, on paper).**
# Show that $x=F^{-1}(\Phi(z))$ has density $F'$, once by probabilities and once by (1).
# Is it the only increasing map that does?
#
# <details><summary>Answer</summary>
#
# $P(x\le c)=P(\Phi(z)\le F(c))=P\bigl(z\le\Phi^{-1}(F(c))\bigr)=\Phi(\Phi^{-1}(F(c)))=F(c)$.
# By (1): $f^{-1}(x)=\Phi^{-1}(F(x))$ has the derivative $F'(x)/p_z(z)$, so $p(x)=p_z(z)\cdot F'(x)/p_z(z)=F'(x)$.
# It is the only one: an increasing $f$ keeps the order, so $\Phi(z)=P(x\le f(z))=F(f(z))$.
#
# </details>
# %% [markdown]
# ## 2 · One half decides for the other *(core)*
#
# In $D$ dimensions the slope becomes the Jacobian $J$, the matrix of all derivatives, and the absolute value of its determinant says by which factor a small volume grows.
# Through a chain of maps the factors multiply, so their logarithms add up.
# Let the way to the noise, $g=f^{-1}$, be made of layers: $h_0=x$, $h_k=g_k(h_{k-1})$, and $J_{g_k}$ be taken at $h_{k-1}$:
#
# $$\log p(x)=\log p_z\bigl(g(x)\bigr)+\sum_k\log\bigl|\det J_{g_k}\bigr|. \tag{2}$$
#
# Here is a plus, where (1) has a minus: $g$ leads to the noise, $f$ to the data.
#
# A determinant costs $D^3$, and most networks cannot be undone.
# A **coupling** avoids both: split $x$ in halves, let the first say how the second is stretched and moved, and leave the first as it is:
#
# $$y_a=x_a,\qquad y_b=x_b\odot e^{s(x_a)}+t(x_a),\qquad \log\bigl|\det J\bigr|=\sum_i s_i(x_a). \tag{3}$$
#
# The networks $s$ and $t$ may be anything; they are never inverted.
# Since $y_a$ does not depend on $x_b$, the Jacobian is triangular, and only its diagonal counts:
#
# $$J=\begin{pmatrix}I&0\\ \ast&\operatorname{diag}(e^{s})\end{pmatrix}.$$

# %% tags=["figure", "slide"]
# @title Figure: a coupling, there and back
d = cu.diagram(fontsize=12)
for shift, names, signs in (
    (0.0, ("x", "y"), ("× $e^{s}$", "+ $t$")),
    (8.2, ("y", "x"), ("− $t$", "× $e^{-s}$")),
):
    a = d.node(f"${names[0]}_a$", (shift, 1.7))
    b = d.node(f"${names[0]}_b$", (shift, 0))
    net = d.box("network:\n$s$, $t$", (shift + 2.3, 0.95))
    first = d.box(signs[0], (shift + 3.0, 0))
    second = d.box(signs[1], (shift + 4.5, 0))
    a2 = d.node(f"${names[1]}_a$", (shift + 6.2, 1.7))
    b2 = d.node(f"${names[1]}_b$", (shift + 6.2, 0))
    d.arrow(a, a2, "unchanged")
    d.arrow(a, net)
    d.arrow(b, first)
    d.arrow(first, second)
    d.arrow(second, b2)
    d.arrow(net, first)
    d.arrow(net, second)
cu.show(
    d.figure,
    "Left: data to noise. Right: the way back asks the same network the same question, since "
    "the half it looks at has not changed.",
)

# %% [markdown]
# **Exercise 3 (core).**
# Write the coupling, there and back.


# %% tags=["exercise"]
def couple(x, terms, back=False):
    """Equation (3): (B, C, …) → what the coupling makes of it, and log|det| (B,) of that step.

    terms: a → (s, t), each of the shape of b. back: undo the coupling instead.
    """
    ### BEGIN SOLUTION
    a, b = x.chunk(2, 1)
    s, t = terms(a)
    if back:
        return torch.cat([a, (b - t) * (-s).exp()], 1), -s.flatten(1).sum(1)
    return torch.cat([a, b * s.exp() + t], 1), s.flatten(1).sum(1)
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# `x.chunk(2, 1)` gives both halves, `torch.cat([a, …], 1)` joins them.
# On the way back subtract $t$ first, then multiply by $e^{-s}$; the log-determinant of that step is $-\sum s$.
# Sum over all axes but the first.

# %%
checked_couple = cu.check("10.couple", couple)


# %% tags=["shared"]
class Coupling(nn.Module):
    """Half of the channels are stretched and moved by what the other half says."""

    def __init__(self, net):
        super().__init__()
        self.net = net  # (B, C/2, …) → (B, C, …): log-stretch s and shift t

    def terms(self, a):
        s, t = self.net(a).chunk(2, 1)
        return 2 * torch.tanh(s / 2), t  # |s| < 2: no exponent runs away

    def forward(self, x):
        """x (B, C, …) → y, of its shape, and the ledger (B,)."""
        return checked_couple(x, self.terms)

    def back(self, z):
        """The x (B, C, …) of which `forward` makes z; without a ledger."""
        return checked_couple(z, self.terms, back=True)[0]


class Leave(Coupling):
    """A coupling after which the second half of the channels leaves (section 7)."""


# %% [markdown]
# One coupling moves one half; the next has to move the other.
# In the plane the two coordinates change places between couplings.
# A flow is a list of layers, each of which returns its result and its line in the ledger.
# `forward` leads to the noise, `back` to the data.
# (`Layers` keeps the ledger, `Flow` adds the way to the data and the base; in the plane nothing leaves early, so `Leave` waits for section 7.)


# %% tags=["shared"]
class Layers(nn.Module):
    """From data to noise: `flow(x)` → what arrives, a list, and the ledger (B,)."""

    def __init__(self, layers):
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, x):
        arrived = []
        ledger = torch.zeros(len(x), dtype=x.dtype, device=x.device)
        for layer in self.layers:
            x, log_det = layer(x)
            ledger = ledger + log_det
            if isinstance(layer, Leave):
                x, z = x.chunk(2, 1)
                arrived.append(z)
        return [*arrived, x], ledger


# %% tags=["shared"]
def normal_log_p(z):
    """log N(z; 0, I), summed over all but the batch: (B, …) → (B,)."""
    return -0.5 * (z.square() + math.log(2 * math.pi)).flatten(1).sum(1)


# %% tags=["shared"]
class Flow(Layers):
    """Layers with the way to the data, and the density of what arrives (the base)."""

    def __init__(self, layers, base=normal_log_p):
        super().__init__(layers)
        self.base = base

    def back(self, arrived):
        """What arrived, a list as of `forward` (first what left first) → x (B, …)."""
        *left, x = arrived
        for layer in reversed(self.layers):
            if isinstance(layer, Leave):
                x = torch.cat([x, left.pop()], 1)
            x = layer.back(x)
        return x

    def log_p(self, x):
        """Equation (2): what the base says of where x arrives, plus the ledger (B,)."""
        arrived, ledger = self(x)
        return ledger + sum(self.base(z) for z in arrived)


# %% tags=["shared"]
class Flip(nn.Module):
    """The coordinates in reverse order: the halves change places."""

    def forward(self, x):
        return x.flip(1), 0.0

    def back(self, z):
        return z.flip(1)


def still_net(inputs, outputs):
    """A small network that begins at zero: a coupling begins as the identity."""
    net = cu.nets.mlp(inputs, 64, 64, outputs)
    for part in net[-1].parameters():
        nn.init.zeros_(part)
    return net


# %% tags=["shared"]
def plain_flow(depth, D=2, first=(), base=normal_log_p):
    """Couplings on vectors (B, D), the halves changing places after each."""
    layers = [*first]
    for _ in range(depth):
        layers += [Coupling(still_net(D // 2, D)), Flip()]
    return Flow(layers, base)


# %% [markdown]
# Three checks: is the way back exact; is the ledger that of the Jacobian, which autograd computes; and, in the plane, is the area 1?
# First `moons`, with 30,000 points.


# %% tags=["quiet"]
def plane_loss(model, x):
    """Mean nats of points x (B, 2)."""
    return -model.log_p(x).mean()


def learn(flow, points, steps=1_500):
    """Fit a flow to points (N, 2), and return the averaged copy."""
    recipe = {"lr": 2e-3, "schedule": "cosine", "clip": 5.0, "ema": 0.99}
    return cu.fit(flow, plane_loss, cu.Batches(points, 512), steps=steps, **recipe).ema


torch.manual_seed(0)
moon_flow = learn(plain_flow(8), cu.moons(30_000, seed=1))


# %% tags=["figure", "slide"]
# @title Figure: a flow of eight couplings on two moons
@torch.no_grad()
def gaps(flow, x):
    """Worst errors of the way back and (by autograd) of the ledger: x float64, on the CPU."""

    def whole(one):
        return torch.cat([z.flatten() for z in flow(one[None])[0]])

    arrived, ledger = flow(x)
    worst = [float((flow.back(arrived) - x).abs().max())]
    for one, line in zip(x, ledger):
        jac = torch.autograd.functional.jacobian(whole, one).view(one.numel(), -1)
        worst.append(float((torch.linalg.slogdet(jac)[1] - line).abs()))
    return worst[0], max(worst[1:])


def area(log_p, reach=5.0, n=400):
    """∫ exp(log p) over [−reach, reach]², by the midpoints of n × n squares."""
    edge = (torch.arange(n) + 0.5) * 2 * reach / n - reach
    parts = torch.cartesian_prod(edge, edge).split(20_000)
    with torch.no_grad():
        total = sum(log_p(part).exp().sum() for part in parts)
    return float(total) * (2 * reach / n) ** 2


fresh, moon = cu.moons(20_000, seed=2, labels=True)
moon_flow.cpu()
exact = plain_flow(8).double()
exact.load_state_dict(moon_flow.state_dict())
worst = gaps(exact, cu.moons(50, seed=3).double())
assert max(worst) < 1e-10
with torch.no_grad():
    moon_nats = -moon_flow.log_p(fresh)
    noise = torch.randn(4_000, 2, generator=torch.Generator().manual_seed(0))
    made = moon_flow.back([noise])
fig, (left, middle, right) = plt.subplots(1, 3, figsize=(13, 4.2))
cu.plots.density(lambda x: moon_flow.log_p(x).detach().exp(), (-3.4, 3.4), ax=left)
left.set_title("the density, exact")
cu.plots.scatter(made, ax=middle, s=4, rasterized=True)
middle.set(xlim=(-3.4, 3.4), ylim=(-3.4, 3.4), title="4,000 draws, one pass each")
with torch.no_grad():
    there = moon_flow(fresh[:4_000])[0][0]
cu.plots.scatter(there, moon[:4_000], ax=right, s=4, rasterized=True)
right.get_legend().remove()
right.set(xlim=(-4, 4), ylim=(-4, 4), xlabel="z₁", ylabel="z₂")
right.set_title("4,000 points, to the noise")
cu.show(
    fig,
    "Density, draws, and where fresh data arrive, coloured by moon: side by side in one cloud.",
)
error = moon_nats.std() / len(fresh) ** 0.5
cu.facts(
    {
        "worst error of the way back, float64": f"{worst[0]:.0e}",
        "worst error of the ledger against autograd": f"{worst[1]:.0e}",
        "∫ p over the plane": f"{area(moon_flow.log_p):.4f}",
        "nats of 20,000 fresh points": f"{moon_nats.mean():.3f} ± {error:.3f} (standard error)",
    }
)

# %% [markdown]
# The way back is good to 15 digits, the ledger to 14, and the area is 1.
# On the noise side the moons lie together in one round cloud, with a seam between them; on the data side a thin thread of draws joins them.
#
# ### How far from the truth?
#
# Held-out nats say which of two models is better: for `moons` the flow, at 1.429, is ahead of lesson 02's mixture of 8 Gaussians, 1.502, and behind one of 30, 1.415 (the mixtures fitted to 3,000 points, the flow to 30,000).
# They do not say how good one is.
# The set `eight_gaussians` has a known density: eight round islands of deviation $\sigma=0.15$ on a circle of radius 2.
# So its distance from a model with weights $\theta$, the Kullback-Leibler divergence, is a plain average over fresh points:
#
# $$\mathrm{KL}(p_{\text{data}}\,\|\,p_\theta)=\mathbb E_{p_{\text{data}}}\bigl[\log p_{\text{data}}(x)-\log p_\theta(x)\bigr]. \tag{4}$$


# %% tags=["shared"]
def islands_log_p(x, centres, sigma):
    """log-density (B,) of equally likely round Gaussians: x (B, 2), centres (K, 2)."""
    far = (x[:, None] - centres.to(x)).square().sum(2)
    constant = math.log(len(centres) * 2 * math.pi * sigma**2)
    return (-far / (2 * sigma**2)).logsumexp(1) - constant


# %% tags=["quiet"]
eight = cu.eight_gaussians(50_000, seed=1)
torch.manual_seed(0)
eight_flow = learn(plain_flow(8), eight, steps=2_000)


# %% tags=["figure", "slide"]
# @title Table: how far from the truth
from course_utils.data.points import EIGHT_SIGMA, eight_centres


def excess(flow, n=100_000, seed=9):
    """Equation (4) on n fresh points: its mean and standard error."""
    x = cu.eight_gaussians(n, seed=seed)
    with torch.no_grad():
        gap = islands_log_p(x, eight_centres(), EIGHT_SIGMA) - flow.log_p(x)
    return gap.mean().item(), gap.std().item() / n**0.5


def mixture_nats(train, test, K, floor=1e-4):
    """Nats of fresh points under lesson 02's mixture of K Gaussians, 60 steps of EM."""
    from course_utils.lessons.lesson_02 import e_step, em, start  # written in its section 4

    path, _ = em(train.double(), start(train.double(), K, 0), cu.budget(60, 2), floor)
    return -float(e_step(test.double(), path[-1])[1].mean())


few = cu.moons(3_000, seed=1)
for K in (8, 30):
    name = f"moons, nats of lesson 02's mixture of {K}, from 3,000 points"
    cu.facts(name, f"{mixture_nats(few, fresh, K):.3f}")
shown_flow = eight_flow.cpu()
affine_kl = excess(shown_flow, cu.budget(100_000, 1_000))
some = cu.eight_gaussians(cu.budget(100_000, 1_000), seed=9)
one = torch.distributions.MultivariateNormal(some.mean(0), torch.cov(some.T))
one_kl = (islands_log_p(some, eight_centres(), EIGHT_SIGMA) - one.log_prob(some)).mean()
cu.facts(
    {
        "KL of one fitted Gaussian, 100,000 fresh points, nats": f"{one_kl:.2f}",
        "of eight affine couplings (± standard error)": "{:.3f} ± {:.3f}".format(*affine_kl),
    }
)

# %% tags=["figure", "slide"]
# @title Widget: the layers at work
SIDE = torch.linspace(-2.6, 2.6, cu.budget(171, 41))
DISC = torch.cartesian_prod(SIDE, SIDE)
DISC = DISC[DISC.norm(dim=1) < 2.6]
ALONG = torch.linspace(-2.6, 2.6, cu.budget(2_000, 50))


def carried(flow, z, layers):
    """z (B, 2) carried towards the data by so many layers, and log|det| of what was done."""
    ledger = torch.zeros(len(z))
    with torch.no_grad():
        for layer in list(reversed(flow.layers))[:layers]:
            z = layer.back(z)
            ledger = ledger - layer(z)[1]
    return z, ledger


def draw_film(couplings=8, ax=None):
    """A sheet of noise after some couplings, coloured by its stretch."""
    alone = ax is None
    fig, ax = plt.subplots(figsize=(5.6, 4.6)) if alone else (ax.figure, ax)
    turn = (lambda x: x.flip(1)) if couplings % 2 else (lambda x: x)  # undo the last flip
    x, ledger = carried(shown_flow, DISC, 2 * couplings)
    look = {"s": 3.2, "lw": 0, "cmap": "RdBu_r", "vmin": -2.5, "vmax": 2.5}
    sheet = ax.scatter(*turn(x).T, c=ledger, rasterized=True, **look)
    for at in torch.linspace(-2.25, 2.25, 10):
        level = torch.stack([ALONG, at + 0 * ALONG], 1)
        for line in (level, level.flip(1)):
            line, _ = carried(shown_flow, line[line.norm(dim=1) < 2.6], 2 * couplings)
            ax.plot(*turn(line).T, color="#222222", lw=0.5, rasterized=True)
    if couplings == 8:
        ax.plot(*eight_centres().T, "o", ms=20, mfc="none", mec="#009E73", mew=1.8)
    ax.set_facecolor("#dddddd")
    ax.set(xlim=(-5.3, 5.3), ylim=(-4.9, 5.7), aspect="equal")
    ax.grid(False)
    ax.set_title(f"{couplings} coupling{'s' if couplings != 1 else ''}", fontsize=12)
    if alone:
        fig.colorbar(sheet, ax=ax, label="log-stretch of the area")
    return fig


def film_strip():
    """After 0, 2, 5 and 8 couplings."""
    fig, axes = plt.subplots(1, 4, figsize=(13.5, 3.7))
    for ax, k in zip(axes, (0, 2, 5, 8)):
        draw_film(k, ax)
    bar = plt.cm.ScalarMappable(plt.Normalize(-2.5, 2.5), "RdBu_r")
    beside = axes[-1].inset_axes([1.05, 0, 0.06, 1])
    fig.colorbar(bar, cax=beside, label="log-stretch of the area")
    return fig


cu.explore(
    draw_film,
    "A disc of noise, carried to the eight islands coupling by coupling; colour is the ledger: "
    "red where the area was stretched, blue where it was pressed together. "
    "Green rings: the islands.",
    static=film_strip,
    couplings={"min": 0, "max": 8, "value": 8},
)
# %% [markdown]
# The disc is bent, drawn out (red) and pressed into islands (blue), and at the end it is still one piece: follow the lines from island to island.
#
# The divergence says how far from the truth this is: 0.49 nats, by an estimate good to 0.002, where one fitted Gaussian is 2.42 away.
# An affine coupling stretches and shifts all points of the same $x_a$ as a whole, so the islands come out as parts of a bent band.
# %% [markdown]
# ## 3 · Splines: a better bend *(deeper)*
#
# An affine coupling moves its half by one stretch and one shift, whatever $x_b$ is.
# A **spline coupling** bends it: between $-4$ and $4$ lie eight bins, and in each of them runs a rational quadratic, whose corners and slopes the network chooses.
# For each moved number it gives 23: eight widths, eight heights, and the slopes at the seven inner corners; those at the two ends are 1.
# With $\xi$ from 0 to 1 within a bin, $\Delta x,\Delta y$ its width and height, $m=\Delta y/\Delta x$, and $d_0,d_1>0$ the slopes at its ends:
#
# $$y=y_0+\Delta y\,\frac{m\xi^2+d_0\,\xi(1-\xi)}{m+(d_0+d_1-2m)\,\xi(1-\xi)}. \tag{5}$$
#
# It increases, so it can be undone, by a quadratic equation in $\xi$; outside of $[-4,4]$ nothing changes.
# The quotient rule gives the ledger:
#
# $$\frac{dy}{dx}=\frac{m^2\bigl(d_1\xi^2+2m\,\xi(1-\xi)+d_0(1-\xi)^2\bigr)}{\bigl(m+(d_0+d_1-2m)\,\xi(1-\xi)\bigr)^2}.$$


# %%
def corners(raw, reach):
    """Shares of the bins (…, K), any numbers → their edges from −reach to reach (…, K + 1)."""
    share = 1e-3 + (1 - 1e-3 * raw.shape[-1]) * raw.softmax(-1)
    return F.pad(2 * reach * share.cumsum(-1), (1, 0)) - reach


def bin_of(v, edges, *tables):
    """Which bin v lies in, and both ends of that bin from each table: (…,) each."""
    k = (v[..., None] >= edges[..., 1:-1]).sum(-1, keepdim=True)
    ends = []
    for table in tables:
        ends += [table.gather(-1, k)[..., 0], table.gather(-1, k + 1)[..., 0]]
    return ends


# %%
def bent(v, xs, ys, slopes, back=False):
    """Equation (5) or its inverse, and log dy/dx: v (B, n), tables (B, n, K + 1)."""
    x0, x1, y0, y1, d0, d1 = bin_of(v, ys if back else xs, xs, ys, slopes)
    m = (y1 - y0) / (x1 - x0)
    curve = d0 + d1 - 2 * m
    if back:
        up = v - y0
        a = (y1 - y0) * (m - d0) + up * curve
        b = (y1 - y0) * d0 - up * curve
        root = (b**2 + 4 * a * m * up).clamp(min=0).sqrt()
        xi = 2 * m * up / (b + root)
        out = x0 + xi * (x1 - x0)
    else:
        xi = (v - x0) / (x1 - x0)
    mixed = xi * (1 - xi)
    below = m + curve * mixed
    if not back:
        out = y0 + (y1 - y0) * (m * xi**2 + d0 * mixed) / below
    above = d1 * xi**2 + 2 * m * mixed + d0 * (1 - xi) ** 2
    log_slope = 2 * m.log() + above.log() - 2 * below.log()
    inside = (v > xs[..., 0]) & (v < xs[..., -1])
    return torch.where(inside, out, v), torch.where(inside, log_slope, 0)


# %%
class SplineCoupling(nn.Module):
    """One half bends the other; net: (B, n) → (B, n · 23), for eight bins."""

    def __init__(self, net, reach=4.0):
        super().__init__()
        self.net = net
        self.reach = reach

    def tables(self, a):
        raw = self.net(a).view(*a.shape, 23)
        slopes = 1e-3 + F.softplus(raw[..., 16:] + math.log(math.e - 1))  # 1 at the beginning
        bins = (corners(raw[..., part], self.reach) for part in (slice(8), slice(8, 16)))
        return *bins, F.pad(slopes, (1, 1), value=1.0)

    def forward(self, x):
        a, b = x.chunk(2, 1)
        b, log_slope = bent(b, *self.tables(a))
        return torch.cat([a, b], 1), log_slope.sum(1)

    def back(self, z):
        a, b = z.chunk(2, 1)
        return torch.cat([a, bent(b, *self.tables(a), back=True)[0]], 1)


# %% tags=["quiet"]
def spline_flow(depth):
    """As plain_flow in the plane, with splines."""
    layers = []
    for _ in range(depth):
        layers += [SplineCoupling(still_net(1, 23)), Flip()]
    return Flow(layers)


torch.manual_seed(0)
bent_flow = learn(spline_flow(4), eight, steps=800).cpu()  # where float64 is
exact = spline_flow(4).double()
exact.load_state_dict(bent_flow.state_dict())
spline_worst = gaps(exact, cu.eight_gaussians(50, seed=3).double())
assert max(spline_worst) < 1e-10


# %% tags=["author"]
def stray_share(flow, noise, within):
    """Share of draws from this noise farther than so many σ from every island."""
    with torch.no_grad():
        x = flow.back([noise])
    far = torch.cdist(x, eight_centres()).amin(1) > within * EIGHT_SIGMA
    return far.float().mean().item()


def plane_figures():
    """KL, strays and stretch of every depth, base and kind, three seeds: for the card."""
    figures = {}
    kinds = {
        f"affine, {depth} layers": (lambda d=depth: plain_flow(d)) for depth in (2, 4, 8, 16)
    }
    kinds["spline, 8 layers"] = lambda: spline_flow(8)
    kinds["eight islands as base, 8 layers"] = lambda: plain_flow(8, base=ring_log_p)
    for kind, build in kinds.items():
        for seed in range(3):
            torch.manual_seed(seed)
            flow = cu.fit(
                build(),
                plane_loss,
                cu.Batches(eight, 512, seed=seed),
                steps=1,
                full=2_000,
                lr=2e-3,
                schedule="cosine",
                clip=5.0,
                ema=0.99,
                seed=seed,
                name=f"10_plane_{kind.replace(',', '').replace(' ', '_')}_{seed}",
            ).ema
            g = torch.Generator().manual_seed(50 + seed)
            noise = torch.randn(100_000, 2, generator=g)
            if "base" in kind:
                noise = ring_noise(100_000, 50 + seed)
            kl, error = excess(flow)
            figures[f"{kind}: KL, seed {seed}"] = (kl, 0.1)
            figures[f"{kind}: KL, standard error, seed {seed}"] = (error, 0.01)
            for within in (4, 5):
                key = f"{kind}: strays beyond {within} σ, seed {seed}"
                figures[key] = (stray_share(flow, noise, within), 0.02)
            found = stretch(flow, noise[:20_000])
            figures[f"{kind}: stretch, seed {seed}"] = (found.max().item(), found.max().item())
    return figures


# %% tags=["figure"]
# @title Table: distance from the truth, affine and spline
def three_seeds(run, kind, what):
    """The figures of three seeds, as a list."""
    return [run.figure(f"{kind}: {what}, seed {seed}") for seed in range(3)]


for run in cu.runs.available("10_plane"):
    rows = []
    for kind in ("affine, 8 layers", "spline, 8 layers"):
        values = torch.tensor(three_seeds(run, kind, "KL"))
        error = max(three_seeds(run, kind, "KL, standard error"))
        mean = f"{values.mean():.4f} ± {values.std() / 3**0.5:.4f}"
        rows.append([kind, *values.tolist(), mean, f"{error:.4f}"])
    cu.table(
        rows,
        ["couplings", "seed 0", "seed 1", "seed 2", "mean ± its standard error", "of one KL"],
        "KL(data ‖ model) on eight Gaussians, nats, from the exact density of 100,000 fresh "
        "points; 2,000 steps of 512 each. Last column: standard error of one estimate.",
        digits=4,
    )
spline_kl = excess(bent_flow, cu.budget(100_000, 1_000))
cu.facts(
    {
        "four splines, 800 steps, here: KL, nats": f"{spline_kl[0]:.4f} ± {spline_kl[1]:.4f}",
        "eight affine couplings, 2,000 steps, above": f"{affine_kl[0]:.4f}",
        "∫ p over the plane, splines": f"{area(bent_flow.log_p):.4f}",
        "worst error of the way back, float64": f"{spline_worst[0]:.0e}",
        "worst error of the ledger against autograd": f"{spline_worst[1]:.0e}",
    }
)

# %% [markdown]
# With splines the divergence falls from 0.490 nats to 0.013 (0.012 to 0.014 in three seeds); four couplings trained here for 800 steps are at 0.041.
# The steps are equal, the work is not: a spline takes 23 numbers for each that it moves, an affine coupling 2.
# All three checks hold as before.

# %% [markdown]
# ## 4 · What cannot be torn *(core)*
#
# A continuous map that can be undone takes one piece to one piece.
# Were there nothing between the eight islands, no such map could make them from one Gaussian.
# Here there is next to nothing: a map exists, but somewhere it must stretch by some $10^5$, as between the two bumps of section 1.
# A network that stretches less leaves a **bridge**: draws that belong to no island.
# The greatest singular value of the Jacobian says how strongly a map stretches at a point.
#
# We count draws farther than $5\sigma$ from every island as **strays**.
# The ruler is strict: neighbouring islands are $10.2\sigma$ apart, so it sees the middle 2 % of a gap; $4\sigma$ sees 22 %.


# %% tags=["figure", "slide"]
# @title Figure: the bridges
def stretch(flow, z):
    """Greatest singular value (B,) of the Jacobian noise → data at z (B, 2)."""
    z = z.clone().requires_grad_()
    x = flow.back([z])
    rows = [torch.autograd.grad(x[:, i].sum(), z, retain_graph=True)[0] for i in range(2)]
    return torch.linalg.matrix_norm(torch.stack(rows, 1), 2)


def strays(x, within=5):
    """Which points (B, 2) lie farther than so many σ from every island: (B,) bool."""
    return torch.cdist(x, eight_centres()).amin(1) > within * EIGHT_SIGMA


def draw_bridges(flow, noise, ax, title):
    """Draws, those that belong to no island in orange."""
    with torch.no_grad():
        x = flow.back([noise])
    lost = strays(x)
    cu.plots.scatter(x[:4_000], ax=ax, s=4, alpha=0.4, rasterized=True)  # more shows no more
    cu.plots.scatter(x[lost], ax=ax, s=8, color=cu.plots.PALETTE[1], alpha=1, rasterized=True)
    ax.set(xlim=(-3, 3), ylim=(-3, 3))
    ax.set_title(f"{title}: {lost.float().mean():.2%} stray", fontsize=12)


noise = torch.randn(cu.budget(20_000, 500), 2, generator=torch.Generator().manual_seed(5))
pulled = stretch(eight_flow, noise)
fig, (left, right) = plt.subplots(1, 2, figsize=(9.8, 4.3))
draw_bridges(eight_flow, noise, left, "eight affine couplings")
with torch.no_grad():
    x = eight_flow.back([noise])
lost = strays(x)
order = pulled[:4_000].argsort()
look = {"s": 5, "cmap": "viridis", "rasterized": True}
dots = right.scatter(*noise[order].T, c=pulled[order].log10(), **look)
some = noise[lost][::3]  # every third, or they would hide what they ring
right.scatter(*some.T, s=20, fc="none", ec=cu.plots.PALETTE[1], lw=0.7, rasterized=True)
fig.colorbar(dots, ax=right, label="log₁₀ of the greatest stretch")
right.set(xlim=(-3.4, 3.4), ylim=(-3.4, 3.4), aspect="equal", xlabel="z₁", ylabel="z₂")
right.set_title("the noise they come from", fontsize=12)
cu.show(
    fig,
    "Left: 4,000 of 20,000 draws in blue, and in orange all those farther than 5 σ from every "
    "island. Right: the noise, coloured by how strongly the map stretches there; orange rings: "
    "where the strays come from (every third).",
)
apart = (eight_centres()[0] - eight_centres()[1]).norm() / EIGHT_SIGMA
facts = {"distance of neighbouring islands": f"{apart:.1f} σ"}
for within in (5, 4):
    share, own = strays(x, within).float().mean(), math.exp(-(within**2) / 2)
    facts[f"draws beyond {within} σ; of the data, at most"] = f"{share:.2%}; {own:.5%}"
    facts[f"part of a gap beyond {within} σ"] = f"{1 - 2 * within / apart:.0%}"
for name, those in {"where strays come from": lost, "elsewhere": ~lost}.items():
    found = pulled[those]
    middle, most = found.median() if len(found) else math.nan, max(found, default=math.nan)
    facts[f"stretch {name}: median, greatest"] = f"{middle:.1f}, {most:.0f}"
cu.facts(facts)

# %% [markdown]
# A chain of blue and orange runs through all eight islands: 2.2 % of the draws are farther than $5\sigma$ from every one of them, where of the data fewer than one in 200,000 are; beyond $4\sigma$ it is 13 %, against 0.03 %.
# Seven of the eight gaps are bridged, and the ends of the chain stay apart.
# The strays come from threads of the noise (rings), where the map stretches by 3.9 in the median, elsewhere by 2.6.
# Nowhere is it more than 42, thousands of times too little, so the threads are thick.
# **What is one piece stays one piece.**
#
# **Exercise 4 (deeper, predict and measure).**
# Two couplings leave about six draws in a hundred on bridges.
# What will sixteen leave, after as many steps?


# %% tags=["exercise"]
def my_share():
    """Your guess: the share of strays of sixteen couplings, in per cent."""
    ### BEGIN SOLUTION
    return 2.0
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# `return 40`; any number from 0 to 100 will do.

# %%
checked_share = cu.check("10.share", my_share)

# %% [markdown]
# ### The repair
#
# Deeper flows stretch more; none of them tears.
# So begin with eight islands of noise: the same network, the same steps, another base.
# That tells the flow how many islands there are, and nearly where: those of the noise lie farther out, are wider and turned by a 32nd of a circle.

# %% tags=["quiet"]
TURN = (torch.arange(8) + 0.25) * math.pi / 4
RING = 3 * torch.stack([TURN.cos(), TURN.sin()], 1).to(device)  # (8, 2)


def ring_log_p(z):
    """The base of eight Gaussians of deviation 0.3: (B, 2) → (B,)."""
    return islands_log_p(z, RING, 0.3)


def ring_noise(n, seed):
    g = torch.Generator().manual_seed(seed)
    island = torch.randint(8, (n,), generator=g)
    return RING.cpu()[island] + 0.3 * torch.randn(n, 2, generator=g)


torch.manual_seed(0)
island_flow = learn(plain_flow(8, base=ring_log_p), eight, steps=2_000).cpu()


# %% tags=["author"]
cu.ship(
    "10_plane",
    what="flows on eight Gaussians: depths, splines, a base of eight islands, three seeds",
    figures=plane_figures,
    lesson="10_normalizing_flows",
)

# %% tags=["figure", "slide"]
# @title Figure: depth, stretch, and a base with eight islands
fig, (left, right) = plt.subplots(1, 2, figsize=(12.5, 4.4), width_ratios=(1, 1.15))
draw_bridges(island_flow, ring_noise(len(noise), 5), left, "eight islands of noise")
rows = []
for run in cu.runs.available("10_plane"):
    kinds = [f"affine, {depth} layers" for depth in (2, 4, 8, 16)]
    kinds += ["spline, 8 layers", "eight islands as base, 8 layers"]
    for kind, colour in zip(kinds, cu.plots.PALETTE):
        most = three_seeds(run, kind, "stretch")
        row = [kind]
        for within in (5, 4):
            lost = 100 * torch.tensor(three_seeds(run, kind, f"strays beyond {within} σ"))
            row.append(f"{lost.mean():.2f} ± {lost.std() / 3**0.5:.2f}")
            if within == 5:
                right.plot(most, lost.tolist(), "o", color=colour, label=kind)
        row.append(", ".join(f"{value:,.1f}" for value in sorted(most)))
        kl = torch.tensor(three_seeds(run, kind, "KL"))
        rows.append([*row, f"{kl.mean():.3f} ± {kl.std() / 3**0.5:.3f}"])
    right.legend(fontsize=11, loc="center left", bbox_to_anchor=(1.02, 0.5))
right.set(xscale="log", yscale="log", xlabel="greatest stretch", ylabel="strays (5 σ), %")
right.set_title("stronger stretch, thinner bridges", fontsize=12)
cu.show(
    fig,
    "Left: 4,000 draws of eight affine couplings on a base of eight Gaussians. Right: strays "
    "against the greatest stretch, three seeds each.",
)
if rows:
    cu.table(
        rows,
        ["flow", "beyond 5 σ, %", "beyond 4 σ, %", "greatest stretch, each seed", "KL, nats"],
        "2,000 steps of 512. Strays of 100,000 draws, KL from 100,000 points: mean ± standard "
        "error of three seeds. Greatest stretch at 20,000 draws.",
    )
cu.facts("your guess for sixteen couplings, per cent", checked_share())

# %% [markdown]
# From 2 to 16 couplings the strays fall from 6.05 to 1.80 per cent, and the greatest stretch grows, with much scatter, from 14 … 17 to 138 … 925: thinner threads, drawn out farther.
# (Three seeds cannot tell 4 from 2, nor 16 from 8; all had the same 2,000 steps.)
# Splines (section 3: couplings that bend by a curve, where ours have one stretch and shift) go farther on the same road, to 0.17 per cent at stretches of about a thousand.
# None reaches zero.
#
# With eight islands of noise the same affine network leaves 0.03 per cent, and its divergence falls from 0.490 to 0.065 nats.
# That is still far above the data's 0.0004 per cent; in nats the splines on one Gaussian are better (0.013); and we told the base the answer.
# (The small stretch is no merit: the islands begin wider and farther apart.)
#
# **What has pieces is easier with a base that has pieces**: a mixture is no beginner's model.
# %% [markdown]
# ## 5 · Pixels are whole numbers *(core)*
#
# A density prices points of a continuum; grey levels are whole numbers.
# Forget this, and you get a result that is too good to be true (lesson 02b, section 8, added noise).
# We take digits of 8 × 8 pixels with 256 levels, give a flow the bare numbers, and count bits a pixel.
# **Predict:** can the bits fall below zero?
#
# First the pixels, here scaled to $x\in[0,1]$, are put on the whole line, since the noise lives there: $v=\alpha+(1-2\alpha)x$, then $\log\frac{v}{1-v}$, and back.


# %% tags=["shared"]
class ToReals(nn.Module):
    """[0, 1] to the real line: logit of a + (1 − 2a)x."""

    def __init__(self, a=1e-5):
        super().__init__()
        self.a = a

    def forward(self, x):
        v = self.a + (1 - 2 * self.a) * x
        ledger = math.log(1 - 2 * self.a) - v.log() - (1 - v).log()
        return v.logit(), ledger.flatten(1).sum(1)

    def back(self, z):
        return (z.sigmoid() - self.a) / (1 - 2 * self.a)


# %% [markdown]
# **The repair is noise.**
# Let the level $x\in\{0,\dots,255\}$ own the whole cell from $x$ to $x+1$: its probability is the mass that a density $p$ on $[0,256)^D$ puts there.
# By Jensen's inequality
#
# $$\begin{gathered}
# \log P(x)=\log\int_{[0,1)^D}p(x+u)\,du\;\ge\;\mathbb E_u\log p(x+u), \\
# u\sim\mathcal U[0,1)^D.
# \end{gathered} \tag{6}$$
#
# So noise $u$, fresh at each pass, turns a density into an honest bound on a probability: **uniform dequantisation**.
# The flow's own density $p_\theta$ is one on $[0,1)^D$, where all is denser by a factor of 256 per pixel: $p(x+u)=p_\theta\bigl((x+u)/256\bigr)/256^D$.
#
# $$\text{bits a pixel}=8-\frac{\log p_\theta\bigl((x+u)/256\bigr)}{D\log2}. \tag{7}$$
#
# **Exercise 5 (core).**
# Write (7).


# %% tags=["exercise"]
def dequantised_bits(log_p, levels, u):
    """Equation (7): bits a pixel (B,) of images of 256 grey levels, with the noise u in [0, 1).

    log_p: x in [0, 1) → (B,), in nats. levels (B, …): 0.0, 1.0, …, 255.0. u: as levels.
    """
    ### BEGIN SOLUTION
    D = levels[0].numel()
    return 8 - log_p((levels + u) / 256) / (D * math.log(2))
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# $D$ is the number of pixels of one image, `levels[0].numel()`.
# Call `log_p` once, on the noisy levels divided by 256; nats become bits when divided by `math.log(2)`.

# %%
checked_bits = cu.check("10.bits", dequantised_bits)


# %% tags=["quiet"]
WIDTHS = {"no noise": 0.0, "half a cell": 0.5, "the whole cell": 1.0}
page = F.avg_pool2d(F.pad(mnist.train.float(), (2, 2, 2, 2)), 4)  # (55000, 1, 8, 8)
batches = cu.Batches((255 * page).round().flatten(1), 256)
racers = {}
races = {}
for name, width in WIDTHS.items():
    torch.manual_seed(0)
    racers[name] = plain_flow(8, 64, [ToReals()])

    def loss(model, levels, width=width):
        return checked_bits(model.log_p, levels, width * torch.rand_like(levels)).mean()

    races[name] = cu.fit(racers[name], loss, batches, steps=400, lr=1e-3, clip=1.0)

# %% tags=["figure", "slide"]
# @title Figure: a file smaller than nothing
digits_8 = F.avg_pool2d(F.pad(mnist.val.float(), (2, 2, 2, 2)), 4)
digits_8 = (255 * digits_8).round().flatten(1).to(device)[: cu.budget(5_000, 200)]
torch.manual_seed(3)
u_8 = torch.rand_like(digits_8)
final = {}
with torch.no_grad():
    for name, width in WIDTHS.items():
        final[name] = checked_bits(racers[name].log_p, digits_8, width * u_8).mean().item()
fig, (left, right) = plt.subplots(1, 2, figsize=(12, 4.2), width_ratios=(1.5, 1))
for (name, race), colour in zip(races.items(), (1, 2, 0)):
    left.plot(
        race.steps[2:], race["loss"][2:], color=cu.plots.PALETTE[colour], lw=2, label=name
    )
left.axhline(0, color="#777777", ls="--", lw=1)
left.text(races["no noise"].steps[-1], 0.1, "an empty file", ha="right", fontsize=11)
left.set(xlabel="steps", ylabel="bits a pixel", title="Too good to be true", ylim=(-6, 6))
left.legend()
cu.plots.image_grid(digits_8[:15].view(-1, 8, 8).cpu() / 255, rows=3, ax=right)
right.set_title("8 × 8 pixels, 256 levels")
cu.show(
    fig,
    "Three flows with the same beginning, on 8 × 8 digits: with the bare whole numbers, with "
    "noise on the lower half of each cell, and with noise on the whole cell. One seed.",
)
gain = final["the whole cell"] - final["half a cell"]
cu.facts(
    {
        **{f"{name}: bits a pixel, validation": f"{bits:.2f}" for name, bits in final.items()},
        "half a cell gains, bits a pixel": f"{gain:.3f}",
        "the same in nats a digit": f"{gain * 64 * math.log(2):.1f}",
        "D log 2 for 64 pixels, nats": f"{64 * math.log(2):.2f}",
        "share of blank pixels": f"{(digits_8 == 0).float().mean():.0%}",
    }
)

# %% [markdown]
# Without noise the flow ends below zero, at −2.58 bits a pixel, and the curve still falls: it piles up density on points, and nothing in the loss limits a density on a point.
# No code does this.
#
# Noise on half of each cell is worse, for it looks sound: 2.22 bits against 2.87.
# The gain is nothing but the half: a density may be twice as high on half the room, one bit a pixel, $D\log2=44.4$ nats a digit.
# These flows found 29.1 nats of it in 400 steps, probably most of it at blank pixels, 71 % of all, whose only cell is easily halved; section 6 takes the whole of it.
#
# **A score that no code could reach is a bug, even when training and test agree.**

# %% [markdown]
# ## 6 · The cheat, and a law that is known *(deeper)*
#
# **Exercise 6 (deeper, break it).**
# Choose the noise, on the lower end of each cell, so that every flow can look `gain` bits a pixel better than it is.


# %% tags=["exercise"]
def narrow_noise(u, gain):
    """Noise of u's shape, uniform from 0 to the width that gains `gain` bits a pixel.

    u: uniform on [0, 1), float. gain: a number, 0 or more.
    """
    ### BEGIN SOLUTION
    return u / 2**gain
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# A density on a part of width $w$ may be $1/w$ times as high: $\log_2(1/w)$ bits.

# %%
checked_noise = cu.check("10.noise", narrow_noise)


class Narrow(nn.Module):
    """Knows that only the first 2^−gain of each cell is used, and spreads it over the cell."""

    def __init__(self, gain):
        super().__init__()
        self.gain = gain

    def forward(self, x):
        whole = (256 * x).floor()
        spread = whole + 2**self.gain * (256 * x - whole)
        return spread / 256, x[0].numel() * self.gain * math.log(2)


# %% tags=["figure"]
# @title Table: the honest flow, with one layer that cheats
rows = []
with torch.no_grad():
    for gain in (0, 1, 2, 6):
        cheat = Flow([Narrow(gain), *racers["the whole cell"].layers])
        bits = checked_bits(cheat.log_p, digits_8, checked_noise(u_8, gain)).mean().item()
        rows.append([f"2^−{gain} of the cell", bits, rows[0][1] - bits if rows else 0.0])
cu.table(
    rows,
    ["noise on", "bits a pixel", "“gain”"],
    "The same trained flow behind a layer without parameters.",
    digits=3,
)
cheat = Flow([Narrow(1), *moon_flow.layers])
cu.facts("∫ of the “density” of the moons behind a gain of 1 bit", f"{area(cheat.log_p):.3f}")

# %% [markdown]
# Each bit of “gain” is bought exactly, by a layer that learned nothing.
# Its ledger is right on the part of each cell that is used, so comparing it there with autograd shows nothing wrong.
# But it has no way back, for the rest of a cell lands on its neighbours; and the check of the area catches it: before the flow of the moons, in two dimensions, a gain of one bit makes an area of 4.
#
# ### A law that is known
#
# Eight values with known probabilities, on 4 × 2 cells: here the entropy, the bound (6), and the probability that the flow really gives to each cell, its mass, can all be computed.


# %% tags=["quiet"]
law = torch.tensor([0.30, 0.20, 0.15, 0.12, 0.10, 0.07, 0.05, 0.01])
cells = torch.cartesian_prod(torch.arange(4.0), torch.arange(2.0))  # (8, 2)
sides = torch.tensor([4.0, 2.0], device=device)


def law_nats(flow, cell, u):
    """Minus the bound (6) for cells (B, 2) with noise u (B, 2), in nats (B,)."""
    return math.log(8) - flow.log_p((cell + u) / sides.to(cell))


def law_loss(width):
    def loss(model, cell):
        return law_nats(model, cell, width * torch.rand_like(cell)).mean()

    return loss


# %% tags=["quiet"]
coins = torch.Generator().manual_seed(0)
tossed = cells[torch.multinomial(law, 50_000, True, generator=coins)]
scorers = {}
for name, width in WIDTHS.items():
    torch.manual_seed(0)
    scorer = plain_flow(6, first=[ToReals()])
    recipe = {"lr": 2e-3, "schedule": "cosine", "clip": 5.0}
    cu.fit(scorer, law_loss(width), cu.Batches(tossed, 512), steps=600, **recipe)
    scorers[name] = scorer.cpu()


# %% tags=["figure", "slide"]
# @title Table: entropy, bound and truth for a law of eight values
def law_row(name, n=200):
    """Bound, by quadrature over each cell, and the cross-entropy of the cells' masses."""
    width = WIDTHS[name]
    edge = (torch.arange(n) + 0.5) / n
    u = torch.cartesian_prod(edge, edge)  # (n², 2)
    bounds, masses = [], []
    with torch.no_grad():
        for cell in cells:
            inside = -law_nats(scorers[name], cell + 0 * u, u)  # log p over the cell
            masses.append(inside.exp().mean())
            bounds.append(law_nats(scorers[name], cell + 0 * u, width * u).mean())
    bound = float((law * torch.stack(bounds)).sum())
    total = float(sum(masses))
    if abs(total - 1) > 0.02:
        return [name, bound, None, None]  # in spikes, between the points of the grid
    return [name, bound, -float((law * torch.stack(masses).log()).sum()), total]


entropy = float(-(law * law.log()).sum())
rows = [law_row(name, cu.budget(200, 20)) for name in WIDTHS]
for _, _, truth, total in rows:
    assert truth is None or truth + math.log(total) > entropy - 1e-5
assert rows[-1][2] is None or rows[-1][1] > rows[-1][2] - 1e-3
sums = [f"{total:.4f}" if total else "in spikes" for *_, total in rows]
cu.table(
    [[*row[:3], text] for row, text in zip(rows, sums)],
    ["noise", "“nats” by (6)", "nats of the cells’ masses", "sum of the masses"],
    f"Eight values, entropy {entropy:.4f} nats. Third column: −Σ P log(mass of cell), which "
    "no model can bring below the entropy.",
    digits=4,
)
cu.facts(
    "the entropy, nats",
    f"{entropy:.4f}",
    "whole cell: bound above entropy",
    f"{rows[-1][1] - entropy:.4f}",
)

# %% [markdown]
# With the whole cell the bound is 1.856 nats, above what its cells really cost, 1.841, and that is above the entropy, 1.834: both inequalities, in their order.
# With half a cell the “nats” are 0.94, far below the entropy, which no code can beat; the masses of its cells are nearly as good as before, 0.020 above the entropy instead of 0.006.
# Without noise they are at −9.7, and the flow is spikes at the corners of the cells.
#
# The gap of 0.015 between bound and mass is what Jensen's inequality costs here.
# Lesson 10b measures it for digits, and narrows it.
# %% [markdown]
# ## 7 · A flow for images *(core)*
#
# On images the halves are channels, and $s$ and $t$ come from a small convolutional network.
# Four more kinds of layers:
#
# - **Fold**: 2 × 2 pixels become four channels, as letters in lesson 09; only names change, the ledger gets 0.
# - **ActNorm**: each channel shifted and scaled, so that a first batch arrives standardised.
# - **Mix**: a learned matrix $W$ mixes the channels at each place, in place of flipping halves; it is a 1 × 1 convolution.
# - **Leave**: after the second eight steps one more coupling stretches and shifts half of the channels by what the other half says; what then remains of them goes straight to the noise.
#
# Leaving early saves work, and the half that leaves is priced given the half that stays.
#
# **Exercise 7 (deeper).**
# $W$ acts once at each of $h\times w$ places.
# Write its line in the ledger, the logarithm of the absolute determinant of the whole map.


# %% tags=["exercise"]
def mix_log_det(weight, height, width):
    """log|det| of multiplying C channels by weight (C, C), at height × width places."""
    ### BEGIN SOLUTION
    return height * width * torch.linalg.slogdet(weight)[1]
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# `torch.linalg.slogdet` returns the sign and the logarithm of the absolute value.
# The Jacobian of the whole map has one block $W$ for each place.

# %%
checked_log_det = cu.check("10.mix", mix_log_det)


# %% tags=["shared"]
class Fold(nn.Module):
    """2 × 2 pixels become four channels: (B, C, H, W) → (B, 4C, H/2, W/2)."""

    def forward(self, x):
        return F.pixel_unshuffle(x, 2), 0.0

    def back(self, z):
        return F.pixel_shuffle(z, 2)


# %% tags=["shared"]
class ActNorm(nn.Module):
    """Each channel shifted and scaled; `begin` makes a first batch standard."""

    def __init__(self, channels):
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(channels, 1, 1))
        self.log_scale = nn.Parameter(torch.zeros(channels, 1, 1))

    @torch.no_grad()
    def begin(self, x):
        self.shift.copy_(-x.mean((0, 2, 3))[:, None, None])
        self.log_scale.copy_(-x.std((0, 2, 3)).log()[:, None, None])

    def forward(self, x):
        log_det = self.log_scale.sum() * x[0, 0].numel()
        return (x + self.shift) * self.log_scale.exp(), log_det

    def back(self, z):
        return z * (-self.log_scale).exp() - self.shift


# %% tags=["shared"]
class Mix(nn.Module):
    """An invertible 1 × 1 convolution: one matrix W for the channels of every place."""

    def __init__(self, channels):
        super().__init__()
        self.weight = nn.Parameter(torch.linalg.qr(torch.randn(channels, channels))[0])

    def forward(self, x):
        log_det = checked_log_det(self.weight, *x.shape[2:])
        return F.conv2d(x, self.weight[:, :, None, None]), log_det

    def back(self, z):
        return F.conv2d(z, torch.linalg.inv(self.weight)[:, :, None, None])


# %% tags=["shared"]
class Convs(nn.Module):
    """Three convolutions, (B, C, H, W) → (B, 2C, H, W); the last one begins at zero."""

    def __init__(self, channels, width):
        super().__init__()
        self.look = nn.Conv2d(channels, width, 3, padding=1)
        self.think = nn.Conv2d(width, width, 3, padding=1)
        self.say = nn.Conv2d(width, 2 * channels, 3, padding=1)
        nn.init.zeros_(self.say.weight)
        nn.init.zeros_(self.say.bias)

    def forward(self, x):
        h = self.look(x)
        h = h + self.think(F.silu(h))
        return self.say(F.silu(h))


# %% tags=["figure", "slide"]
# @title Figure: the multi-scale flow
d = cu.diagram(fontsize=13)
x = d.node("$x$", (0, 0), observed=True)
first = d.box("ToReals\nFold", (1.55, 0))
one = d.box("8 × ActNorm,\nMix, Coupling", (3.55, 0))
second = d.box("Fold", (5.3, 0))
two = d.box("8 × ActNorm,\nMix, Coupling", (7.0, 0))
leave = d.box("Leave", (8.75, 0))
three = d.box("6 × ActNorm,\nMix, Coupling", (10.5, 0))
early = d.node("$z_1$", (8.75, -1.45))
late = d.node("$z_2$", (12.4, 0))
chain = [x, first, one, second, two, leave, three, late]
for before, after in zip(chain, chain[1:]):
    d.arrow(before, after)
d.arrow(leave, early)
shapes = {0: "1 × 28 × 28", 3.55: "4 × 14 × 14", 7.0: "16 × 7 × 7", 10.5: "8 × 7 × 7"}
for at, text in shapes.items():
    d.text(text, (at, 0.75))
d.text("8 × 7 × 7", (9.75, -1.45))
d.text("8 × 7 × 7", (12.4, 0.75))
cu.show(
    d.figure,
    "784 pixels become twice 8 × 7 × 7 Gaussian numbers. One half leaves early; what stays "
    "is worked on by six more steps.",
)


# %% tags=["shared"]
def image_flow(steps=(8, 8, 6), width=32):
    """28 × 28 → 4 × 14 × 14 → 16 × 7 × 7, of which half leave → 8 × 7 × 7."""

    def stage(n, channels):
        layers = []
        for _ in range(n):
            layers += [ActNorm(channels), Mix(channels)]
            layers += [Coupling(Convs(channels // 2, width))]
        return layers

    first, second, third = steps
    layers = [ToReals(), Fold(), *stage(first, 4), Fold(), *stage(second, 16)]
    layers += [Leave(Convs(8, width)), *stage(third, 8)]
    return Flow(layers)


@torch.no_grad()
def begin(flow, x):
    """Let every actnorm make x (B, 1, 28, 28), images with noise, standard where it stands."""
    for layer in flow.layers:
        if isinstance(layer, ActNorm):
            layer.begin(x)
        x, _ = layer(x)
        if isinstance(layer, Leave):
            x, _ = x.chunk(2, 1)


# %% tags=["shared"]
def with_noise(x):
    """Images (B, 1, 28, 28) of 256 grey levels, in [0, 1] → cells of width 1/256."""
    return ((255 * x).round() + torch.rand_like(x)) / 256


def bits_per_dim(log_p, D=784):
    """−log p(x) in nats, x in [0, 1), as bits a pixel of 256 levels."""
    return 8 - log_p / (D * math.log(2))


def flow_loss(model, x):
    """Bits per dimension with one draw of noise; x (B, 1, 28, 28) in [0, 1]."""
    levels = (255 * x).round()
    return checked_bits(model.log_p, levels, torch.rand_like(x)).mean()


def warm_cosine(done):
    """Learning-rate factor: a warm-up over the first fiftieth, then half a cosine down to 0."""
    return min(1.0, 50 * done) * (1 + math.cos(math.pi * done)) / 2


# %% tags=["figure"]
# @title Table: every layer against autograd
def shaken(module, by=0.1):
    """The module in float64, its weights moved at random: what begins at zero must not stay."""
    for part in module.double().parameters():
        part.data += by * torch.randn_like(part)
    return module


torch.manual_seed(0)
tiles = torch.rand(3, 4, 4, 4).double()  # 4 channels on 4 × 4
kinds = (ToReals(), Fold(), ActNorm(4), Mix(4), Coupling(Convs(2, 8)), Leave(Convs(2, 8)))
layer_gaps = {type(layer).__name__: gaps(Flow([shaken(layer)]), tiles) for layer in kinds}
whole_gaps = gaps(shaken(image_flow((2, 2, 2), 12)), torch.rand(1, 1, 8, 8).double())
assert max(max(pair) for pair in layer_gaps.values()) < 1e-10
assert max(whole_gaps) < 1e-9

rows = [[name, *(f"{gap:.0e}" for gap in pair)] for name, pair in layer_gaps.items()]
rows.append(["the whole flow, one 8 × 8 image", *(f"{gap:.0e}" for gap in whole_gaps)])
cu.table(
    rows,
    ["layer", "way back", "ledger against autograd"],
    "Largest errors in float64, weights at random; layers on three images of 4 × 4.",
)

# %% [markdown]
# Every layer can be undone, and its ledger agrees with the determinant: the largest error is 3e-14.
# Now the digits, for 400 steps.

# %% tags=["quiet"]
torch.manual_seed(0)
flow = image_flow().to(device)
begin(flow, with_noise(mnist.train.float()[:256].to(device)))
recipe = {"lr": 3e-3, "schedule": warm_cosine, "ema": 0.999, "clip": 1.0}
live = cu.fit(flow, flow_loss, cu.Batches(mnist.train, 32), steps=400, full=24_000, **recipe)


def all_bits(flow, x, seed=2, size=250):
    """Bits a pixel (N,) of images (N, 1, 28, 28), one draw of noise each."""
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(seed)
        noisy = [with_noise(part).to(device) for part in x.split(size)]
        return torch.cat([bits_per_dim(flow.log_p(part)).cpu() for part in noisy])


# %% [markdown]
# 400 batches of 32 digits, in one to two minutes.
# The same cell with 24,000 steps made the run that ships with the course; from here the lesson goes on with those weights.


# %% tags=["author"]
FIRST = (100, 200, 400, 800, 1600, 2400, 3200, 4800, 6400, 8000, 9600, 11200)
WATCH = (*FIRST, 12800, 14400, 16000, 18000, 20000, 22000, 24000)
FOLDER = cu.system.folders.ROOT / "runs"
CURVE = FOLDER / "10_snapshots" / "curve.jsonl"


def watcher(box):
    """A preview that notes validation bits and CPU seconds, and keeps weights."""
    import json
    import time

    spent = json.loads(CURVE.read_text().splitlines()[-1])["seconds"] if CURVE.exists() else 0.0
    clock = [time.process_time() - spent]

    def watch(step):
        now = time.process_time()
        line = {"step": step, "seconds": now - clock[0]}
        line["bits"] = all_bits(box["flow"], mnist.val.float()[:1_000]).mean().item()
        (FOLDER / "10_snapshots").mkdir(parents=True, exist_ok=True)
        torch.save(box["flow"].state_dict(), FOLDER / "10_snapshots" / f"e_{step}.pt")
        with CURVE.open("a") as file:
            file.write(json.dumps(line) + "\n")
        clock[0] += time.process_time() - now

    return watch


def long_run():
    """24,000 steps of 32, watched on 1,000 validation digits; may be interrupted."""
    import json

    torch.manual_seed(0)
    net = image_flow().to(device)
    begin(net, with_noise(mnist.train.float()[:256].to(device)))
    history = cu.fit(
        net,
        flow_loss,
        cu.Batches(mnist.train, 32),
        steps=1,
        full=24_000,
        name="10_flow_train",
        preview=watcher({"flow": net}),
        preview_at=list(WATCH),
        minutes=900,
        **recipe,
    )
    rounded = image_flow()  # as the weights are on disk, so that the card holds for them
    rounded.load_state_dict(history.ema.half().float().state_dict())
    curve = [json.loads(line) for line in CURVE.read_text().splitlines()]
    return rounded.to(device).eval(), history, curve


if cu.system.profile() == "full":
    shipped_flow, long_history, long_curve = long_run()


# %% tags=["author"]
def alpha_figures():
    """Validation bits after 240 steps of 64 with two values of α."""
    figures = {}
    for a in (1e-5, 0.05):
        torch.manual_seed(0)
        net = image_flow().to(device)
        net.layers[0] = ToReals(a)
        begin(net, with_noise(mnist.train.float()[:256].to(device)))
        cu.fit(net, flow_loss, cu.Batches(mnist.train, 64), steps=1, full=240, **recipe)
        bits = all_bits(net, mnist.val.float()[:1_000]).mean().item()
        figures[f"alpha {a}: validation bits, 240 steps"] = (bits, 0.1)
    return figures


def bits_figures():
    """What the card says of bits: the test digits, and the curve on validation digits."""
    bits = all_bits(shipped_flow, mnist.test.float())
    figures = {
        "test bits per dimension": (bits.mean().item(), 0.005),
        "standard error": (bits.std().item() / 100, 0.002),
        "first 1,000 test digits": (bits[:1_000].mean().item(), 0.005),
    }
    for line in long_curve:
        figures[f"validation bits, step {line['step']}"] = (line["bits"], 0.02)
        figures[f"CPU seconds, step {line['step']}"] = (line["seconds"], line["seconds"])
    return figures


if cu.system.profile() == "full":
    details = {
        "what": "a multi-scale flow: 8 + 8 + 6 steps of actnorm, mix and coupling, width 32",
        "figures": bits_figures() | alpha_figures(),
        "lesson": "10_normalizing_flows",
    }
    cu.ship("10_flow", shipped_flow, long_history, **details)

# %%
flow = image_flow().to(device)
shipped = cu.restore("10_flow", flow)

# %% tags=["figure", "slide"]
# @title Table: bits a pixel of grey digits, and yardsticks
some = mnist.test.float()[: cu.budget(1_000, 20)]
live_bits = all_bits(live.ema, some)
some_bits = all_bits(flow, some)
n = len(some)
everything = shipped.figure("test bits per dimension")
key = "alpha {}: validation bits, 240 steps"
cu.facts(
    {
        "weights of the flow": sum(part.numel() for part in flow.parameters()),
        f"400 steps here: bits a pixel of {n:,} test digits": f"{live_bits.mean():.3f}",
        f"shipped: the same {n:,}": f"{some_bits.mean():.3f}",
        "shipped: all 10,000 test digits": f"{everything:.4f}",
        "its standard error": f"{shipped.figure('standard error'):.4f}",
        "in nats a digit": f"{everything * 784 * math.log(2):.0f}",
    }
    | {
        f"α = {a}, 240 steps: validation bits": f"{shipped.figure(key.format(a)):.3f}"
        for a in (1e-5, 0.05)
    }
)
others = {"Real NVP": 1.06, "Glow": 1.05, "FFJORD": 0.99, "Residual Flow": 0.97}
rows = [[name, value, "bound", "GPU, reported"] for name, value in others.items()]
rows.append(["this flow, shipped", everything, "bound", "CPU"])
reference = {"Glow, GPU (test)": 1.05}
for run in cu.runs.available("10b_scatter"):
    rows.append(["one Gaussian (00)", run.figure("Gaussian, bits"), "bound", "CPU"])
for run in cu.runs.available("09_grey"):
    bits = run.figure("test bits/dim, exact")
    rows.append(["grey letters, autoregressive (09b)", bits, "exact", "CPU"])
    reference["lesson 09b, exact (validation)"] = run.figure("validation bits/dim")
cu.table(
    sorted(rows, key=lambda row: -row[1]),
    ["model", "bits a pixel", "kind", "made on"],
    "8-bit MNIST test digits; bound: from one draw of noise a digit. Reported values: of the "
    "papers under References, as collected in issue 144 of fashion-mnist.",
    digits=3,
)

found = [key for key in shipped.card["figures"] if key.startswith("validation bits")]
moments = sorted(int(key.split()[-1]) for key in found)
minutes = [shipped.figure(f"CPU seconds, step {step}") / 60 for step in moments]
curve = [shipped.figure(f"validation bits, step {step}") for step in moments]
fig, ax = plt.subplots(figsize=(8.6, 4.2))
ax.plot(minutes, curve, "o-", color=cu.plots.PALETTE[0])
for name, value in reference.items():
    ax.axhline(value, color="#777777", lw=1, ls="--")
    ax.text(minutes[0], value + 0.01, name, fontsize=11)
ax.set(xscale="log", xlabel="minutes of one CPU core", ylabel="validation bits a pixel")
ticks = [t for t in (0.5, 1, 2, 5, 10, 20, 50, 100, 200) if minutes[0] < t < minutes[-1]]
ax.set_xticks(ticks, [f"{t:g}" for t in ticks])
ax.set_xticks([], minor=True)
ax.set_title("The first minutes bring most")
cu.show(
    fig,
    "Bits a pixel of 1,000 validation digits during the long run, against CPU time.",
)
for k in torch.linspace(0, len(moments) - 1, 5).long().tolist():
    cu.facts(f"{moments[k]:,} steps, {minutes[k]:.1f} min", f"{curve[k]:.3f}")

# %% [markdown]
# **1.171 bits a pixel on all test digits,** with a standard error of 0.0027: 636 nats a digit; one Gaussian takes 5.65 bits.
# It is a bound, from one draw of noise per digit; published flows, with far more computing, report between 0.97 and 1.06, and lesson 09b's grey model is at 0.974, exactly.
#
# The curve says what time buys on validation digits: 1.311 bits after four minutes, 1.223 after 23, 1.197 after 40 and 1.183 after 67.
#
# One choice that matters, made on validation digits, by one seed and 240 steps: $\alpha=10^{-5}$ in the logit gives 1.49 bits, 0.05, as some use it, 2.01.

# %% [markdown]
# ## 8 · Drawing, and which latents hold what *(core)*
#
# Draw Gaussian numbers and carry them to the data: one pass, however many pixels.


# %% tags=["shared"]
@torch.no_grad()
def draw_flow(flow, z):
    """Grey levels in [0, 1], (n, 1, 28, 28), from the noise z (n, 2, 8, 7, 7), one pass."""
    x = flow.back([*z.to(flow.layers[2].shift).unbind(1)])  # on the flow's device
    return (256 * x).floor().clamp(0, 255) / 255


# %% tags=["shared"]
def clouds(n, seed, temperature=1.0):
    """n clouds of noise: what leaves early, z[:, 0], and late, z[:, 1]; section 10 cools."""
    g = torch.Generator().manual_seed(seed)
    return temperature * torch.randn(n, 2, 8, 7, 7, generator=g)


# %% [markdown]
# **Predict:** half of the numbers left early, half stayed to the end.
# Redraw one half and keep the other: which half decides which digit it is?


# %% tags=["author"]
HEATS = (0.6, 0.7, 0.8, 0.9, 1.0)


def quality_figures(model):
    """Fréchet of five sets of 1,000 draws, and of three at each temperature; the first set."""
    sets = [cu.to_uint8(draw_flow(model, clouds(1_000, seed))[:, 0]) for seed in range(5)]
    score = cu.metrics.score(sets, 1_000)
    figures = {
        "Fréchet distance": (score.distance, 5 * score.distance_spread),
        "Fréchet distance, spread of sets": (score.distance_spread, 3.0),
    }
    for heat in HEATS:
        drawn = [
            cu.to_uint8(draw_flow(model, clouds(1_000, 10 + k, heat))[:, 0]) for k in range(3)
        ]
        score = cu.metrics.score(drawn, 1_000, "validation")
        figures[f"temperature {heat}: Fréchet"] = (score.distance, 5 * score.distance_spread)
        figures[f"temperature {heat}: Fréchet, spread"] = (score.distance_spread, 5.0)
    return figures, sets[0]


def replay_of(model):
    """Forty draws from the same clouds at each snapshot."""
    frames = []
    for step in WATCH:
        model.load_state_dict(
            torch.load(FOLDER / "10_snapshots" / f"e_{step}.pt", weights_only=True)
        )
        frames.append(cu.to_uint8(draw_flow(model, clouds(40, 0))[:, 0]))
    return torch.stack(frames), torch.tensor(WATCH)


if cu.system.profile() == "full":
    found, pages = quality_figures(shipped_flow)
    details["figures"] |= found
    details |= {"samples": pages, "replay": replay_of(image_flow().to(device))}
    cu.ship("10_flow", shipped_flow, long_history, **details)
    shipped = cu.runs.load("10_flow")

# %% tags=["figure", "slide"]
# @title Figure: redraw one half
z = clouds(10, seed=1)
other = clouds(10, seed=2)
early_new = torch.stack([other[:, 0], z[:, 1]], 1)
late_new = torch.stack([z[:, 0], other[:, 1]], 1)
rows = [draw_flow(flow, part)[:, 0].cpu() for part in (z, early_new, late_new)]
names = ["drawn", "early half new", "late half new"]
ax = cu.plots.image_grid(torch.cat(rows), rows=3, row_titles=names)
cu.show(
    ax.figure,
    "Ten draws; the same with a new half of those numbers that leave early; and of those that "
    "stay to the end.",
)


def gone(x):
    """Mean absolute change of a pixel against the first row, in grey levels of 255."""
    return 255 * (x - rows[0]).abs().mean().item()


cu.facts(
    {
        "change by a new early half, grey levels": f"{gone(rows[1]):.0f}",
        "by a new late half": f"{gone(rows[2]):.0f}",
    }
)


# %% [markdown]
# The late half decides.
# Redraw what left early, and the pictures hardly change, 4 grey levels a pixel: what left is what remained to be said, given the rest: edges and shades.
# Redraw what stayed, and every picture becomes another one, 39 levels.

# %% [markdown]
# ## 9 · The arena *(core)*

# %% tags=["figure"]
# @title Table: the flow enters the arena
cu.enter(
    "10_flow",
    lambda n: draw_flow(flow, clouds(n, int(torch.randint(2**31, ())))),
    step=cu.arena.training_step(flow, flow_loss, mnist.train.float()[:32].to(device)),
    steps=24_000,
    numbers=flow,
)
cards = {"04_vae": "VAE (04)", "06_diffusion": "diffusion (06)"}
cards |= {"09_grey": "grey letters (09b)", "10_flow": "flow (10)"}
sets = {entry.name: entry.sets for entry in cu.arena.entries() if not entry.own}
rows = []
pictures = [mnist.val.float()[:12, 0]]
names = ["real"]
for key, name in cards.items():
    for run in cu.runs.available(key, samples=True):
        if key == "10_flow":
            spread = run.figure("Fréchet distance, spread of sets")
            rows.append([name, f"{run.figure('Fréchet distance'):.1f} ± {spread:.1f}"])
        elif sets.get(key):
            rows.append([name, f"{sets[key]['mean']:.1f} ± {sets[key]['spread']:.1f}"])
        else:  # one set
            rows.append([name, f"{run.figure('Fréchet distance'):.1f}"])
        pictures.append(torch.as_tensor(run.samples[:12]).float() / 255)
        names.append(name.split(" (")[0])
for run in cu.runs.available("04_vae"):
    key = "binarised, five sets: distance"
    both = [f"{run.figure(key + end):.1f}" for end in ("", "_spread")]
    rows.append(["training digits, binarised (04)", " ± ".join(both)])
cu.table(
    rows,
    ["model", "Fréchet distance"],
    "1,000 draws against test digits, binarised digits against validation digits; ± is the "
    "spread of five sets, where there are five.",
)
ax = cu.plots.image_grid(torch.cat(pictures), rows=len(names), row_titles=names)
cu.show(ax.figure, "Twelve validation digits, and the first twelve draws of each run.")

# %% [markdown]
# At 56.9 the flow is last of this table.
# Its strokes are sharp, and many drawings are no digits: local structure is right, the whole is not.
# By bits a pixel the flow is 0.2 behind lesson 09b's model; by the Fréchet distance they are far apart, and diffusion is ahead of both.
# (The VAE draws binary pixels, and binarised training digits are themselves 11.7 away.)
# Lesson 10b is about this gap.
#
# In exchange a thousand draws take one pass, about two seconds on one core, and every picture owns a region of latents from which it comes back (10b).
#
# **Exercise 8 (deeper, open).**
# Make the flow better at equal CPU time (`time.process_time()`): splines in the couplings, other numbers of steps, more width and fewer steps, another split than halves of channels, learned noise (10b).
# Say beforehand which number should improve, choose on validation digits, use three seeds, and report what did not help.

# %% [markdown]
# ## 10 · Temperature *(deeper)*

# %% [markdown]
# A **temperature** $\tau$ below 1 makes the draws more careful: here it shrinks the noise (lesson 09's temperature changed $p$ itself).


# %% tags=["figure"]
# @title Widget: temperature
def draw_heat(temperature=0.8):
    """Forty draws from the same clouds at a temperature."""
    made = draw_flow(flow, clouds(40, 3, temperature))[:, 0].cpu()
    return cu.plots.image_grid(made, rows=4).figure


def all_heats():
    """The same twelve clouds at five temperatures."""
    heats = cu.budget((0.0, 0.6, 0.8, 1.0, 1.2), (0.0, 1.0))
    made = [draw_flow(flow, clouds(12, 3, heat))[:, 0].cpu() for heat in heats]
    names = [f"τ = {heat}" for heat in heats]
    return cu.plots.image_grid(torch.cat(made), rows=len(heats), row_titles=names).figure


cu.explore(
    draw_heat,
    "Forty draws from fixed clouds, which the temperature shrinks or swells. Without a kernel: "
    "twelve clouds at five temperatures.",
    static=all_heats,
    temperature={"min": 0.0, "max": 1.4, "step": 0.1, "value": 0.8},
)
rows = []
for heat in (0.6, 0.7, 0.8, 0.9, 1.0):
    pair = [shipped.figure(f"temperature {heat}: Fréchet{end}") for end in ("", ", spread")]
    rows.append([heat, f"{pair[0]:.1f} ± {pair[1]:.1f}"])
cu.table(
    rows,
    ["temperature", "Fréchet distance"],
    "To validation digits, three sets of 1,000 draws each.",
)

# %% [markdown]
# At temperature 0 all clouds are the origin, and all pictures are one, halfway between an 8 and a 9.
# Lesson 10b works out why the likeliest is not typical.
# Cooling tidies single strokes, but the Fréchet distance does not reward it: 0.8, 0.9 and 1 cannot be told apart, and 0.6 is worse (± is the spread of three sets).

# %% [markdown]
# ## Recap *(core)*
#
# | you can | because you saw |
# |---|---|
# | keep the ledger | areas 1 with it, and the mean stretch without |
# | build invertible layers | way back and ledger, every layer to 3e-14 |
# | say what cannot be torn | bridges at every depth, and hardly any (0.03 %) with eight islands of noise |
# | put a density on whole numbers | −2.58 bits without noise, and 0.66 bits too good with half a cell |
# | train a multi-scale flow | 1.171 bits a pixel |
# | draw in one pass | which half of the noise holds the digit |
#
# **What breaks, and why.**
# A map that can be undone cannot tear: a nearly empty gap takes a stretch that our networks do not reach.
# And a density on whole numbers without noise, or with too little of it, is a number that means nothing.
#
# **Next.**
# Lesson 10b asks what the exact price is worth: how loose the bound was, and why a likely picture need be neither well drawn nor a digit.

# %% [markdown]
# ## Where this stands *(deeper)*
#
# **Lineage.**
# Change of variables for learning goes back to independent components and Gaussianization (Chen and Gopinath 2000).
# NICE (Dinh et al. 2015) brought couplings, Real NVP (2017) the stretch and the scales, Glow (Kingma and Dhariwal 2018) actnorm and the 1 × 1 convolution, neural spline flows (Durkan et al. 2019) the rational quadratics.
# Masked autoregressive flows (Papamakarios et al. 2017) let every coordinate depend on all earlier ones: a better density, drawn in D passes (lesson 09's trade).
#
# **Topology.**
# That invertible maps keep the number of pieces, and that the price shows up as a growing Lipschitz constant, is worked out by Cornish et al. (2020); their way out, and that of others, adds discrete or extra dimensions.
# Where the gap is only nearly empty, the Gaussian isoperimetric inequality bounds the stretch from below: a cut through the gaps carries next to no density, and its preimage, if it halves the Gaussian, at least $1/\sqrt{2\pi}$.
#
# **Dequantisation.**
# Theis et al. (2016) gave the bound with uniform noise; Flow++ (Ho et al. 2019) learns the noise (10b).
# Reference code is not always careful: the inverse of a well-known tutorial forgets the scaling by α (*uvadlc_notebooks*, issue `57`), and noise on half a cell, `(1. - torch.rand(…)) / 2.`, stands in several repositories.
#
# **Today** flows of this kind serve where an exact density or a cheap inverse counts: posteriors in physics, lattice field theory, lossless coding.
# For pictures, continuous-time flows trained by matching (lesson 14) have replaced stacks of couplings.

# %% [markdown]
# ### References
#
# - Chen, Gopinath (2000): *Gaussianization*.
# - Dinh, Krueger, Bengio (2015): *NICE: Non-linear Independent Components Estimation*.
# - Dinh, Sohl-Dickstein, Bengio (2017): *Density Estimation using Real NVP* (coupling, multi-scale).
# - Kingma, Dhariwal (2018): *Glow: Generative Flow with Invertible 1×1 Convolutions* (actnorm, mix).
# - Durkan, Bekasov, Murray, Papamakarios (2019): *Neural Spline Flows* (equation 5).
# - Papamakarios, Pavlakou, Murray (2017): *Masked Autoregressive Flow for Density Estimation*.
# - Grathwohl, Chen, Bettencourt, Sutskever, Duvenaud (2019): *FFJORD*; Chen, Behrmann, Duvenaud, Jacobsen (2019): *Residual Flows for Invertible Generative Modeling*.
# - Theis, van den Oord, Bethge (2016): *A Note on the Evaluation of Generative Models* (equation 6).
# - Cornish, Caterini, Deligiannidis, Doucet (2020): *Relaxing Bijectivity Constraints with Continuously Indexed Normalising Flows* (what cannot be torn).
# - Ho, Chen, Srinivas, Duan, Abbeel (2019): *Flow++: Improving Flow-Based Generative Models with Variational Dequantization and Architecture Design*.
# - Papamakarios, Nalisnick, Rezende, Mohamed, Lakshminarayanan (2021): *Normalizing Flows for Probabilistic Modeling and Inference* (the survey).
