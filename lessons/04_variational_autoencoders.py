# %% [markdown]
# # 04 Variational autoencoders
#
# **Ask the encoder for a cloud instead of a point, and the latent space can be sampled.**
#
# Lesson 03 ended with a decoder that painted rubbish for most random codes.
# Here encoder and decoder are trained together so that a random code from $\mathcal N(0,I)$ means something, and so that the model has a likelihood: a number of nats that can be bounded, measured and compared.
#
# **After this lesson you can** derive the evidence lower bound and say what it loses · compute its KL by hand and its gradient by reparameterisation · train a VAE on digits, sample from it, and say where its blur comes from · trade rate against distortion, and notice when a mean has replaced a sum · turn one handwriting into ten labels.
#
# **Builds on** 02 (the bound, the KL between Gaussians), 03 (codes, holes), Appendix A Cards 2 (training), 4 (Gaussians), 5 (KL), 6 (convolutions) and 7 (Fréchet distance).
# [Lesson 04b](04b_a_real_number.ipynb) goes on: a real likelihood, collapse, and the model at work.
#
# | letter | meaning | letter | meaning |
# |---|---|---|---|
# | $x$ | data: a point in the plane, or a digit of 784 pixels | $q_\phi(z\mid x)=\mathcal N(\mu,\operatorname{diag}\sigma^2)$ | encoder: a cloud for each $x$ |
# | $z$ | latent (code) of $k$ numbers, prior $p(z)=\mathcal N(0,I)$ | $p_\theta(x\mid z)$ | decoder: a density of $x$ for each $z$ |
# | $\varepsilon$ | noise, $\mathcal N(0,I)$ | $q(z)$ | in (1) and (3) any density of $z$; from (8) on the aggregated posterior, the average of $q_\phi(z\mid x)$ over the data |
# | $R$, $D$ | rate: mean KL; distortion: mean $-\log p_\theta(x\mid z)$ | $\beta$ | price of the rate; 1 in the ELBO |
# | $\tau$ | noise of a Gaussian decoder | | |

# %% tags=["setup"]
import math

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from sklearn.linear_model import LogisticRegression
from sklearn.mixture import GaussianMixture
from torch import nn
from torch.distributions import MultivariateNormal, Normal, kl_divergence

import course_utils as cu

device = cu.setup()

# %% [markdown]
# ### What you will have made
# Two rows of digits, drawn by one model from the same fourteen random codes.
# **Predict** before section 8: in one of them every pixel was drawn as the model says it should be.
# Which row is what the model really claims a digit looks like?

# %% tags=["figure", "slide"]
# @title Figure: two rows of fourteen digits, from the same latents
two_ways = cu.runs.available("04_vae", "04_vae_means", samples=True)
if len(two_ways) == 2:  # not so only while section 10 makes these two runs
    rows = np.concatenate([run.samples[:14] for run in two_ways])
    ax = cu.plots.image_grid(rows, rows=2, row_titles=["row 1", "row 2"])
    caption = (
        "Two rows of fourteen digits from the shipped model: "
        "same latents, two ways to make pixels of them."
    )
    cu.show(ax.figure, caption)

# %%
mnist = cu.mnist()
batches = cu.Batches(mnist.train, 128)
test = mnist.test.float()  # (N, 1, 28, 28), grey values in [0, 1]
val = mnist.val.float()
mine = cu.my_digit().float().div(255)[None]  # your digit of lesson 00: (1, 1, 28, 28)

# %% [markdown]
# ## 1 · From lesson 03 to here *(core)*
#
# An autoencoder writes each digit down as a *point*.
# Nothing says where the points should be, and nothing says what the decoder should do between them.
# The change of this lesson is small: the encoder answers with a **cloud**, a Gaussian with a centre $\mu$ and a width $\sigma$ for each latent.
# The decoder must work for *any* draw from the cloud, and every cloud is pulled towards $\mathcal N(0,I)$.

# %% tags=["figure", "slide"]
# @title Figure: the autoencoder, the VAE, and the model behind it
d = cu.diagram()
digit = mnist.test.x[0, 0]
for row, height in (("autoencoder", 2.5), ("VAE", 0.2)):
    image = d.image(digit, (0, height), 0.9)
    d.text(f"{row}: x, (784,)", (0.25, height + 0.72))
    encoder = d.box("encoder", (1.55, height))
    decoder = d.box("decoder", (6.0, height), colour=cu.plots.PALETTE[1])
    d.arrow(image, encoder)
    z = d.node("z", (4.65, height))
    d.text("(k,)", (4.65, height + 0.5), fontsize=12)
    d.arrow(z, decoder)
    if row == "VAE":
        mean = d.box("μ, (k,)", (3.1, height + 0.5), colour=cu.plots.PALETTE[2])
        spread = d.box("log σ², (k,)", (3.1, height - 0.5), colour=cu.plots.PALETTE[2])
        noise = d.node("ε", (4.65, height - 1.05), 0.26)
        for part in (mean, spread):
            d.arrow(encoder, part)
            d.arrow(part, z)
        d.arrow(noise, z, dashed=True)
    else:
        d.arrow(encoder, z, "a point")
    d.arrow(decoder, (7.1, height))
    d.text("pixels", (7.5, height + 0.13))
    d.text("(784,)", (7.5, height - 0.13), fontsize=12)
latent = d.node("z", (9.0, 2.2))
data = d.node("x", (9.0, 0.3), observed=True)
d.arrow(latent, data)
d.arrow(data, latent, bend=-0.5, dashed=True)
d.plate([latent, data], "n = 1 … N", pad=0.5)
d.text("p(z) = N(0, I)", (10.75, 2.2))
d.text("p(x | z): decoder", (10.9, 1.35))
d.text("dashed: q(z | x)", (10.85, 0.9))
caption = (
    "Left: an autoencoder's code is a point; a VAE's encoder gives a centre and a "
    "log-variance, and noise picks a point of that cloud. Right: the model as a graph, "
    "one z behind each of N images, with the encoder as the guess of the way back."
)
cu.show(d.figure, caption)

# %% [markdown]
# Where two clouds overlap, the decoder gets the same $z$ for two images.
# That is cheap for similar digits and costly for different ones, so similar digits should end up side by side.

# %% tags=["author"]
# Section 9 makes the run 04_plane; until it has done so once, noise holds its place.
if not cu.runs.available("04_plane"):
    cu.ship("04_plane", {"codes": nn.Embedding(4_000, 2)}, what="a place kept for section 9")

# %% tags=["figure", "slide"]
# @title Figure: codes of the autoencoder, codes of the VAE, and the prior
encode_old = cu.nets.mlp(784, 160, 80, 2)  # lesson 03's autoencoder
decode_old = nn.Sequential(cu.nets.mlp(2, 80, 160, 784), nn.Sigmoid())
cu.restore("03_ae_2", nn.ModuleDict({"encode": encode_old, "decode": decode_old}))
kept = nn.Embedding(4_000, 2)
cu.restore("04_plane", {"codes": kept})  # one draw from the cloud of each of 4,000 test digits
with torch.no_grad():
    before = encode_old(test[:4000].flatten(1))  # (4000, 2)
after = kept.weight.detach()
prior = torch.randn(4_000, 2)
fig, axes = plt.subplots(1, 3, figsize=(12.5, 4.3))
titles = ("Lesson 03: points", "VAE: one draw per cloud", "The prior N(0, I)")
for ax, cloud, title in zip(axes, (before, after, prior), titles, strict=True):
    classes = None if cloud is prior else mnist.test.y[:1000]
    cu.plots.scatter(cloud[:1000], classes, ax=ax, names=list("0123456789"), s=7)
    limits = {} if cloud is before else {"xlim": (-5, 5), "ylim": (-5, 5)}
    ax.set(xlabel="z₁", ylabel="z₂", title=title, **limits)
    if cloud is not before:
        for radius in (1, 2, 3):
            circle = plt.Circle((0, 0), radius, fill=False, linewidth=1.2, color="#444444")
            ax.add_patch(circle)
axes[0].get_legend().remove()
caption = (
    "Codes of 1,000 test digits by lesson 03's autoencoder (left, scale of its own) and by "
    "a VAE with two latents (middle), coloured by class; 1,000 draws from the prior (right). "
    "Circles of radius 1, 2 and 3."
)
cu.show(fig, caption)
outside = (after.norm(dim=1) > 3).float().mean()
cu.facts(
    {
        "autoencoder, standard deviations of z₁ and z₂": "{:.1f} and {:.1f}".format(
            *before.std(0)
        ),
        "VAE, standard deviations of z₁ and z₂": "{:.2f} and {:.2f}".format(*after.std(0)),
        "VAE, share of codes beyond radius 3": f"{outside:.1%}",
        "prior, exactly e^(−9/2)": f"{math.exp(-4.5):.1%}",
    }
)

# %% [markdown]
# The autoencoder's codes lie in rays, on a scale that nobody chose.
# Those of the VAE are of the prior's size, dense, and sorted by class though no label was used.
#
# But the middle panel is *not* the right one.
# It is an upright ellipse, with standard deviations of 0.98 and 1.34, and 5.4 % of its codes lie beyond radius 3, where the prior has about 1.1 %.
# Section 7 measures what is missing, in a case that one can see, and says why it cannot vanish for free.

# %% [markdown]
# ## 2 · The ELBO *(core)*
#
# The model is a recipe: draw $z\sim \mathcal N(0,I)$, then $x\sim p_\theta(x\mid z)$.
# Its likelihood is an average over all codes, $p_\theta(x)=\int p(z)\,p_\theta(x\mid z)\,dz$: lesson 02's mixture with a continuum of components.
# For nearly every $z$ a given image has almost no density, so an average over random $z$ is hopeless.
# Ask an encoder which $z$ are worth looking at, and weigh what it proposes.
# For any density $q(z)$ that is positive wherever $p(z)\,p_\theta(x\mid z)$ is,
#
# $$\log p_\theta(x)=\log \mathbb E_{q}\!\left[\frac{p(z)\,p_\theta(x\mid z)}{q(z)}\right]\ \ge\ \mathbb E_{q}\!\left[\log\frac{p(z)\,p_\theta(x\mid z)}{q(z)}\right]. \tag{1}$$
#
# The inequality is **Jensen's**: the logarithm is concave, so the logarithm of an average is at least the average of logarithms.
#
# The right side is the **evidence lower bound**, ELBO.
# Take the encoder's cloud for $q$ and split the logarithm of the product:
#
# $$\text{ELBO}(x)=\underbrace{\mathbb E_{q_\phi(z\mid x)}\bigl[\log p_\theta(x\mid z)\bigr]}_{\text{how well the code's picture fits}}-\underbrace{\mathrm{KL}\bigl(q_\phi(z\mid x)\,\|\,p(z)\bigr)}_{\text{what the code costs}}. \tag{2}$$
#
# Training pushes it up, by the decoder's weights and by the encoder's alike.

# %% [markdown]
# ## 3 · What the bound loses *(deeper)*
#
# Bayes' rule says $p(z)\,p_\theta(x\mid z)=p_\theta(x)\,p_\theta(z\mid x)$ for every $z$.
# Put it into the right side of (1): $\text{ELBO}=\mathbb E_q\bigl[\log p_\theta(x)-\log\frac{q(z)}{p_\theta(z\mid x)}\bigr]$, that is
#
# $$\log p_\theta(x)=\text{ELBO}(x)+\mathrm{KL}\bigl(q(z)\,\|\,p_\theta(z\mid x)\bigr). \tag{3}$$
#
# It is lesson 02's equation (5) again: there the E-step set $q$ to the posterior and the gap was zero.
# A network that answers with a diagonal covariance cannot do that in general.
#
# A toy shows it, because in it everything is Gaussian: $x=Wz+\tau\varepsilon$ with two latents and three data coordinates.
# Then $\log p(x)$, the posterior $\mathcal N(m,C)$ (lesson 02b, equation 3) and (2) all have closed forms; for the first term of (2), $\mathbb E_q\lVert x-Wz\rVert^2=\lVert x-W\mu\rVert^2+\operatorname{tr}(W\Sigma W^\top)$ if $q=\mathcal N(\mu,\Sigma)$.
#
# **Predict:** the posterior is a slanted ellipse.
# How many nats does the best *axis-parallel* Gaussian lose?

# %% tags=["shared"]
W = torch.tensor([[1.2, 0.2], [0.8, 0.9], [0.1, 1.1]]).double()  # x = W z + τ ε
tau2 = 0.3  # τ²
x_toy = torch.tensor([1.0, 2.0, 0.5]).double()
eye = torch.eye(2).double()
toy_prior = MultivariateNormal(torch.zeros(2).double(), eye)
toy_density = MultivariateNormal(
    torch.zeros(3).double(), W @ W.T + torch.eye(3).double() * tau2
)
log_px = toy_density.log_prob(x_toy).item()
C = torch.linalg.inv(eye + W.T @ W / tau2)  # the posterior's covariance
posterior = MultivariateNormal(C @ W.T @ x_toy / tau2, C)


# %%
def toy_elbo(q):
    """Equation (2) for the toy in closed form; q is a Gaussian over z."""
    error = (x_toy - W @ q.mean).square().sum() + (W @ q.covariance_matrix @ W.T).trace()
    log_lik = -1.5 * math.log(2 * math.pi * tau2) - error / (2 * tau2)
    return (log_lik - kl_divergence(q, toy_prior)).item()


axis_parallel = torch.diag(1 / torch.linalg.inv(C).diagonal())
guesses = {
    "the prior": toy_prior,
    "right place, width 1": MultivariateNormal(posterior.mean, eye),
    "right shape, shifted": MultivariateNormal(posterior.mean + 0.4, C),
    "best axis-parallel": MultivariateNormal(posterior.mean, axis_parallel),
    "the posterior": posterior,
}
rows = []
for name, q in guesses.items():
    gap = log_px - toy_elbo(q)
    kl = kl_divergence(q, posterior).item()
    assert abs(gap - kl) < 1e-4, "the gap is the KL to the posterior, equation (3)"
    rows.append([name, toy_elbo(q), round(gap, 9), kl])

# %% tags=["figure", "slide"]
# @title Figure: five guesses for q, and what each one misses
columns = ["q", "ELBO", "log p − ELBO", "KL(q ‖ posterior)"]
cu.table(rows, columns, f"The Gaussian toy; log p(x) = {log_px:.4f}. Nats.", digits=4)
fig, (left, right) = plt.subplots(1, 2, figsize=(11.5, 4), width_ratios=(1, 1.3))
for (name, q), colour in zip(guesses.items(), cu.plots.PALETTE, strict=False):
    width = 3 if q is posterior else 1.8
    cu.plots.ellipse(q.mean, q.covariance_matrix, left, edgecolor=colour, linewidth=width)
    left.plot([], [], color=colour, linewidth=width, label=name)
left.set(xlabel="z₁", ylabel="z₂", title="Five guesses q (2-σ ellipses)", aspect="equal")
left.set(xlim=(-2.6, 6.6), ylim=(-2.6, 3.2))
left.legend(fontsize=9, loc="upper right")
gaps = [row[2] for row in rows]
right.barh(list(guesses), gaps, color=cu.plots.PALETTE[:5])
for i, gap in enumerate(gaps):
    right.text(gap + 0.15, i, f"{gap:.3f}", va="center")
right.set(xlabel="log p(x) − ELBO, nats", title="What each guess loses", xlim=(0, 14))
right.invert_yaxis()
caption = (
    "Left: five guesses for the posterior over two latents of the toy, the posterior bold. "
    "Right: how far the ELBO of each lies below log p(x)."
)
cu.show(fig, caption)

# %% [markdown]
# The column of gaps and the column of KLs agree in all digits shown.
# Drawing $z$ from the prior loses 12.1 nats, the right place with the wrong width 5.0, the posterior nothing.
# The best axis-parallel Gaussian loses 0.113 nats, however well it is trained.
#
# Why that number?
# Write $P=C^{-1}$ for the posterior's precision and $s_j$ for the variances of $q$.
# The KL between the two, with equal means, is $\frac12\bigl[\sum_js_jP_{jj}-k-\sum_j\log s_j-\log|P|\bigr]$.
# Its derivative with respect to $s_j$, $\frac12(P_{jj}-1/s_j)$, vanishes at $s_j=1/P_{jj}$.
# There the KL is $\frac12\log\bigl(\prod_jP_{jj}/|P|\bigr)$, zero only if $P$ is diagonal (Hadamard's inequality).
# Each variance of this $q$, $1/P_{jj}$, is smaller than the posterior's own, $C_{jj}$, though $q$ sticks out along the short axis.

# %% [markdown]
# ## 4 · A KL in closed form, and a sample with a gradient *(core)*
#
# **The KL.**
# A centre away from zero costs quadratically, and a *narrow* cloud costs, too: precision must be paid for.
# Both Gaussians in (2) factorise over the $k$ latents, so the KL is a sum over latents; take one.
# With $z\sim \mathcal N(\mu,\sigma^2)$,
#
# $$\mathbb E\Bigl[\log\frac{q(z\mid x)}{p(z)}\Bigr]=\mathbb E\Bigl[-\tfrac12\log\sigma^2-\tfrac{(z-\mu)^2}{2\sigma^2}+\tfrac{z^2}2\Bigr]=-\tfrac12\log\sigma^2-\tfrac12+\tfrac12(\mu^2+\sigma^2),$$
#
# because the two $\log2\pi$ cancel, $\mathbb E(z-\mu)^2=\sigma^2$ and $\mathbb E z^2=\mu^2+\sigma^2$.
# So
#
# $$\mathrm{KL}_j=\tfrac12\bigl(\mu_j^2+\sigma_j^2-1-\log\sigma_j^2\bigr). \tag{4}$$
#
# It is zero only for $\mu=0,\sigma=1$.
# The encoder's network gives $\log\sigma^2$, which may be any number.
#
# **Exercise 1 (core).**
# Write (4), one value for each latent: the sum over latents comes later, in the open.


# %% tags=["exercise"]
def kl_to_prior(mean, log_var):
    """Equation (4): KL(N(mean, σ²) ‖ N(0, 1)) with log_var = log σ², for each latent.

    (B, k), (B, k) → (B, k).
    """
    ### BEGIN SOLUTION
    return 0.5 * (mean.square() + log_var.exp() - 1 - log_var)
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# Four terms in one bracket, $\frac12$ in front.
# `log_var` *is* $\log\sigma^2$; the variance is its exponential.

# %%
checked_kl = cu.check("04.kl", kl_to_prior)
mean = 2 * torch.randn(500, 8).double()
log_var = torch.randn(500, 8).double()
q = Normal(mean, (0.5 * log_var).exp())
theirs = kl_divergence(q, Normal(torch.zeros_like(mean), 1.0))
difference = (checked_kl(mean, log_var) - theirs).abs().max().item()
assert difference < 1e-6
cu.facts("largest difference to torch.distributions, 4,000 cases", f"{difference:.1e}")

# %% [markdown]
# **The sample.**
# The first term of (2) is an average over $q_\phi$, and $\phi$ is in the *distribution*: a drawn number has no derivative.
# So move the randomness out of the way.
# If $\varepsilon\sim \mathcal N(0,I)$, then
#
# $$z=\mu+\sigma\odot\varepsilon,\qquad\sigma=e^{\frac12\log\sigma^2}, \tag{5}$$
#
# is a draw from $\mathcal N(\mu,\operatorname{diag}\sigma^2)$, and for fixed $\varepsilon$ a smooth function of $\mu$ and $\log\sigma^2$.
# Derivatives pass through it: $\nabla_\mu \mathbb E f(z)=\mathbb E\,\nabla f(\mu+\sigma\odot\varepsilon)$.
# This is the **reparameterised** gradient.
#
# **Exercise 2 (core).**
# Write (5); the noise comes from outside, so that it can be tested.


# %% tags=["exercise"]
def reparameterise(mean, log_var, eps):
    """Equation (5): a draw from N(mean, σ²), log_var = log σ², made of the noise eps ~ N(0, I).

    All (B, k).
    """
    ### BEGIN SOLUTION
    return mean + torch.exp(0.5 * log_var) * eps
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# $\sigma$, not $\sigma^2$, multiplies the noise; half of a logarithm is the logarithm of a root.

# %%
checked_sample = cu.check("04.reparameterise", reparameterise)

# %% [markdown]
# ## 5 · Another gradient *(deeper)*
#
# Is reparameterising the only way, and always the best?
# No and no.
# Differentiate the density instead of the sample: since $\nabla q=q\,\nabla\log q$,
#
# $$\begin{aligned}
# \nabla_\mu \mathbb E_q f(z)&=\int f(z)\,\nabla_\mu q(z)\,dz \\
# &=\mathbb E_q\bigl[f(z)\,\nabla_\mu\log q(z)\bigr]=\mathbb E\Bigl[f(z)\,\frac{z-\mu}{\sigma^2}\Bigr].
# \end{aligned} \tag{6}$$
#
# This **log-derivative** estimator (REINFORCE) needs no derivative of $f$ at all.
# Both are right on average; they differ in noise.
# Two tests, with $\sigma=1$: a bowl in $d$ dimensions, $f(z)=\lVert z-a\rVert^2$ with $\mu$ one unit away from $a$; and waves, $f(z)=\sin\omega z$ at $\mu=0$.
#
# **Predict** for both which one wins, and by how much at $d=100$ and at $\omega=8$.


# %%
def two_gradients(f, mean, n):
    """n one-draw estimates of ∇_μ E f(z), z ~ N(mean, I), by (5) and by (6), each (n, d)."""
    mu = mean.expand(n, -1).clone().requires_grad_()
    eps = torch.randn(n, len(mean), dtype=mean.dtype)
    value = f(checked_sample(mu, torch.zeros_like(mu), eps))  # (n,)
    (reparameterised,) = torch.autograd.grad(value.sum(), mu)
    log_derivative = value.detach()[:, None] * eps  # z − μ = ε
    return reparameterised, log_derivative


n_draws = cu.budget(20_000)
dims = [1, 2, 5, 10, 20, 50, 100]
omegas = [0.25, 0.5, 1.0, 2.0, 4.0, 8.0]
by_dim = []  # variances of both estimators, mean over coordinates, for each d
by_omega = []
for d in dims:
    offset = torch.full((d,), d**-0.5).double()  # μ − a, of length 1
    pair = two_gradients(lambda z: z.square().sum(1), offset, n_draws)
    by_dim.append([estimates.var(0).mean().item() for estimates in pair])
for omega in omegas:
    start = torch.zeros(1).double()
    pair = two_gradients(lambda z, omega=omega: torch.sin(omega * z[:, 0]), start, n_draws)
    by_omega.append([estimates.var().item() for estimates in pair])

# %% tags=["figure", "slide"]
# @title Figure: the noise of the two gradient estimators
fig, (left, right) = plt.subplots(1, 2, figsize=(11.5, 4))
measured = [score / through for through, score in by_dim]
left.plot(dims, measured, "o-", label=f"measured, {n_draws:,} draws")
left.set(xlabel="dimension d", ylabel="variance ratio", xscale="log", yscale="log")
left.set_title("Bowl: log-derivative ÷ reparameterised")
for k, name in enumerate(("reparameterised", "log-derivative")):
    right.plot(
        omegas, [pair[k] for pair in by_omega], "o-", color=cu.plots.PALETTE[k], label=name
    )
right.set(xlabel="frequency ω", ylabel="variance of one estimate", xscale="log", yscale="log")
right.set_title("Waves sin(ωz): both variances")
right.set_xticks(omegas, [f"{omega:g}" for omega in omegas])
right.set_xticks([], minor=True)
left.legend()
right.legend()
caption = (
    "Left: variance ratio of the two gradient estimators for a quadratic, against dimension. "
    "Right: both variances for sin(ωz) against ω. One-draw estimates."
)
cu.show(fig, caption)
cu.facts(
    {
        "d = 1: variance ratio": f"{measured[0]:.1f}",
        "d = 100: variance ratio": f"{measured[-1]:,.0f}",
        "ω = 8: variance, reparameterised": f"{by_omega[-1][0]:.1f}",
        "ω = 8: variance, log-derivative": f"{by_omega[-1][1]:.2f}",
    }
)

# %% [markdown]
# In the bowl reparameterisation wins everywhere, by a factor of about 7 in one dimension and 2,700 in a hundred.
# The other estimator multiplies noise by the *value* of $f$, about $d$, although a constant added to $f$ does not change the gradient.
# Subtracting a guess of that value, a **baseline**, keeps (6) right on average and takes much of the noise away.
#
# In the waves the roles change near $\omega=1$.
# At $\omega=8$ the true gradient is nearly zero; reparameterisation reports the slopes of the waves, with variance 32, the log-derivative stays at 0.5.
#
# Reparameterise where $f$ is smooth on the scale of the cloud: a decoder is.
# Where $z$ is discrete, (6) with a baseline is unbiased; summing over all values (lesson 02b did, with 40), Gumbel-softmax and straight-through gradients are the alternatives.

# %% [markdown]
# ## 6 · The loss *(core)*
#
# Training minimises minus the ELBO (2), averaged over a batch of $B$ points or images:
#
# $$-\text{ELBO}=\underbrace{\tfrac1B\sum_n\Bigl(-\sum_i\log p_\theta(x_{ni}\mid z_n)\Bigr)}_{\text{distortion }D}+\underbrace{\tfrac1B\sum_n\sum_j\mathrm{KL}_{nj}}_{\text{rate }R}. \tag{7}$$
#
# **Sums** over coordinates (or pixels) and over latents, because logarithms of products are sums; a **mean** over the batch, because it estimates an expectation.
# One draw of $z$ for each $x$ is enough: the batch averages.
#
# **Exercise 3 (core).**
# Write the two terms; the whole lesson trains with your function, so a misplaced mean will follow you.


# %% tags=["exercise"]
def rate_and_distortion(log_lik, kl):
    """The two terms of equation (7) in nats, R first, then D: two scalars.

    log_lik (B, …) = log p(x_i | z), kl (B, k).
    """
    ### BEGIN SOLUTION
    return kl.flatten(1).sum(1).mean(), -log_lik.flatten(1).sum(1).mean()
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# `flatten(1)` keeps the batch and lines up the rest.
# Then a sum over dimension 1, then a mean over what is left.

# %%
checked_elbo = cu.check("04.elbo", rate_and_distortion)

# %% [markdown]
# ## 7 · A VAE one can see *(deeper)*
#
# Before digits, the pinwheel of lesson 02: two latents, two small networks, and a Gaussian decoder $p_\theta(x\mid z)=\mathcal N(g_\theta(z),\tau^2I)$ whose single $\tau$ is learned.


# %% tags=["shared"]
class VectorVAE(nn.Module):
    """Encoder (B, d) → mean and log-variance (B, latent); decoder N(decode(z), τ² I)."""

    def __init__(self, d, latent, hidden=(64, 64), tau=0.3):
        super().__init__()
        self.encoder = cu.nets.mlp(d, *hidden, 2 * latent)
        self.decode = cu.nets.mlp(latent, *hidden[::-1], d)
        self.log_tau = nn.Parameter(torch.tensor(math.log(tau)))  # one τ, learned

    def encode(self, x):
        return self.encoder(x).chunk(2, dim=1)


def gaussian_loss(model, x, beta=1.0):
    """Distortion + β · rate of a batch of vectors x (B, d), equation (7)."""
    mean, log_var = model.encode(x)
    z = checked_sample(mean, log_var, torch.randn_like(mean))
    density = Normal(model.decode(z), model.log_tau.exp(), validate_args=False)
    rate, distortion = checked_elbo(density.log_prob(x), checked_kl(mean, log_var))
    return {"loss": distortion + beta * rate, "distortion": distortion, "rate": rate}


# %% tags=["quiet"]
points, arm = cu.pinwheel(4_000, labels=True)
torch.manual_seed(0)
toy = VectorVAE(2, 2)
point_batches = cu.Batches(points, 200)
cu.fit(toy, gaussian_loss, point_batches, steps=3_000, lr=3e-3, schedule="cosine")
toy = toy.cpu().requires_grad_(False)

# %% [markdown]
# New points come from the decoder, here its means without the noise τ; the encoder is not needed.
# **Predict:** which will look more like the pinwheel, decoded draws from $\mathcal N(0,I)$, or decoded draws from a Gaussian mixture (lesson 02) fitted to the codes?
# A *stray* is a decoded point that is farther from all data than 99 % of fresh data are.

# %%
codes = checked_sample(*toy.encode(points), torch.randn(4_000, 2))
n_components = cu.budget(30)
mixture = GaussianMixture(n_components, random_state=0).fit(codes.double().numpy())
by_component = torch.from_numpy(mixture.sample(4_000)[0]).float()
shuffled = by_component[torch.randperm(4_000)]  # scikit-learn sorts its draws by component
painted = {
    "prior": toy.decode(torch.randn(4_000, 2)),
    "mixture": toy.decode(shuffled),
}

# %% tags=["figure", "slide"]
# @title Figure: the pinwheel, its codes, and decoded draws
fresh = cu.pinwheel(4_000, seed=1)
near = torch.cdist(fresh, points).min(1).values.quantile(0.99)
strays = {}
for name, x in painted.items():
    strays[name] = (torch.cdist(x, points).min(1).values > near).float().mean().item()
fig, axes = plt.subplots(1, 4, figsize=(13.5, 3.7))
clouds = (points, codes, *painted.values())
for ax, cloud, labels in zip(axes, clouds, (arm[:1200], arm[:1200], None, None), strict=True):
    cu.plots.scatter(cloud[:1200], labels, ax=ax, s=4)
for ax in axes[:2]:
    ax.get_legend().remove()
for radius in (1, 2):
    axes[1].add_patch(plt.Circle((0, 0), radius, fill=False, linewidth=1.5))
titles = ["Data", "Codes, one draw each", "Decoded: prior", "Decoded: mixture"]
for ax, title in zip(axes, titles, strict=True):
    ax.set(xlim=(-3.8, 3.8), ylim=(-3.8, 3.8))
    ax.set_title(title, fontsize=13)
axes[1].set(xlabel="z₁", ylabel="z₂")
caption = (
    "The pinwheel; one draw from the cloud of each point, coloured alike, with circles of "
    "radius 1 and 2; the decoder's answer to draws from the prior; and to draws from a mixture "
    "fitted to the codes. One training."
)
cu.show(fig, caption)
shares = {f"strays from the {name}": f"{share:.1%}" for name, share in strays.items()}
cu.facts(shares | {"strays among fresh data, by definition": "1 %"})

# %% [markdown]
# The mixture.
# Of the points decoded from the prior **every fifth is a stray**, part of a haze that data do not have; from a mixture of 30 Gaussians on the codes it is one in sixteen.
# The codes keep five arms, pulled towards the disc but not merged with it, and the haze lies between the arms.
#
# To fill the lanes, neighbouring arms would have to share codes, and the decoder would pay for each confusion.
# The model fills them as far as that is cheaper than the confusion, and no farther.

# %% [markdown]
# **What does the rate buy?**
# The pull towards the prior does two things at once: it fills the lanes, *and* it takes information away.
# Only the first is what we wanted.
# To see both, average the KL over the data ($\mathbb E$ without an index: over $x$ and $z\sim q_\phi(z\mid x)$) and insert the aggregated posterior $q(z)=\mathbb E_{x}\,q_\phi(z\mid x)$ between the two densities:
#
# $$\begin{aligned}
# \underbrace{\mathbb E_x\,\mathrm{KL}\bigl(q_\phi(z\mid x)\,\|\,p(z)\bigr)}_{R}&=\mathbb E\log\frac{q_\phi(z\mid x)}{q(z)}+\mathbb E\log\frac{q(z)}{p(z)} \\
# &=\underbrace{I(x;z)}_{\text{what }z\text{ tells about }x}+\underbrace{\mathrm{KL}\bigl(q(z)\,\|\,p(z)\bigr)}_{\text{mismatch: holes and crowds}}.
# \end{aligned} \tag{8}$$
#
# Both can be measured.
# For a finite set of $N$ points $q(z)$ is the average of $N$ known clouds: a mixture of $N$ Gaussians.


# %%
def split_of_rate(mean, log_var):
    """Equation (8) for N clouds (N, k), one draw each: tensors (N,) of means R, I, mismatch."""
    mean = mean.double()
    log_var = log_var.double()
    z = checked_sample(mean, log_var, torch.randn_like(mean))
    precision = (-log_var).exp()
    # (z_i − μ_j)² / σ_j² for all pairs i, j, as z_i² / σ_j² − 2 z_i μ_j / σ_j² + μ_j² / σ_j²
    squares = z.square() @ precision.T - 2 * z @ (mean * precision).T
    squares = squares + (mean.square() * precision).sum(1)
    pairs = -0.5 * (squares + log_var.sum(1))  # (N, N): log q(z_i | x_j) + ½ k log 2π
    own = pairs.diagonal()
    mixed = pairs.logsumexp(1) - math.log(len(z))  # log q(z_i), up to the same constant
    prior = -0.5 * z.square().sum(1)
    return own - prior, own - mixed, mixed - prior


def say(values, digits=3):
    """Mean of a tensor and its standard error, as text."""
    error = values.std() / len(values) ** 0.5
    return f"{values.mean():.{digits}f} (standard error {error:.{digits}f})"


# %%
n_points = cu.budget(4_000, 500)
clouds = toy.encode(points[:n_points])
rate, information, mismatch = split_of_rate(*clouds)
closed = checked_kl(*clouds).sum(1).double()
standard_error = (rate - closed).std() / len(closed) ** 0.5
assert abs((rate - closed).mean()) < 5 * standard_error, "the rate by draws is the rate by (4)"
cu.facts(
    {
        "rate by (4), nats": f"{closed.mean():.3f}",
        "rate by draws": say(rate),
        "= information": say(information),
        "+ mismatch": say(mismatch),
    }
)

# %% [markdown]
# Of the rate of 2.77 nats (by draws), 2.51 say where on the pinwheel a point lies and 0.26 are mismatch.
# The mismatch is small in nats, and yet it is every fifth point of the figure: a KL averages over where the codes *are*, a sampler goes where the prior is.

# %% [markdown]
# ## 8 · Digits *(core)*
#
# The decoder gives each pixel a coin: $p_\theta(x\mid z)=\prod_i\operatorname{Bernoulli}(x_i;\pi_i(z))$, and $-\log p(x_i\mid z)$ is the binary cross-entropy of the logit.
# The data must then be zeros and ones, which MNIST's grey edges are not.
# So at every step each grey value is turned into a 1 with a probability equal to it: **dynamic binarisation**.
# Every nat of digits in this lesson is for such images.
# The network is a small convolutional one (Card 6) with residual blocks, $x+\text{correction}(x)$, half of it encoder, half decoder.


# %% tags=["shared"]
class Residual(nn.Module):
    """x + correction(x), two 3×3 convolutions; the last starts at zero: nearly x at first."""

    def __init__(self, channels):
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.last = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.last.weight)

    def forward(self, x):
        return x + self.last(F.silu(self.first(F.silu(x))))


# %% tags=["shared"]
def shrink(w):
    """The encoder's body: (B, 1, 28, 28) → (B, w, 14, 14) → (B, 2w · 49)."""
    body = [
        nn.Conv2d(1, w, 4, 2, 1),
        Residual(w),
        nn.Conv2d(w, 2 * w, 4, 2, 1),
        Residual(2 * w),
    ]
    return nn.Sequential(*body, nn.SiLU(), nn.Flatten())


def grow(inputs, w):
    """The decoder: (B, inputs) → (B, 2w, 7, 7) → logits (B, 1, 28, 28)."""
    start = [nn.Linear(inputs, 98 * w), nn.Unflatten(1, (2 * w, 7, 7)), Residual(2 * w)]
    middle = [nn.ConvTranspose2d(2 * w, w, 4, 2, 1), Residual(w), nn.SiLU()]
    return nn.Sequential(*start, *middle, nn.ConvTranspose2d(w, 1, 4, 2, 1))


# %% tags=["shared"]
class VAE(nn.Module):
    """Encoder (B, 1, 28, 28) → mean, log-variance (B, latent); decoder → logits of pixels."""

    def __init__(self, latent, width=16, labels=0):
        super().__init__()
        self.labels = labels
        self.body = shrink(width)
        self.head = nn.Linear(98 * width + labels, 2 * latent)
        self.paint = grow(latent + labels, width)

    def with_label(self, h, y):
        """Append the one-hot label, if any (section 14): (B, n) → (B, n + labels)."""
        if not self.labels:
            return h
        one_hot = y[:, None] == torch.arange(self.labels, device=y.device)
        return torch.cat([h, one_hot.to(h)], 1)

    def encode(self, x, y=None):
        return self.head(self.with_label(self.body(x), y)).chunk(2, dim=1)

    def decode(self, z, y=None):
        return self.paint(self.with_label(z, y))


# %% tags=["shared"]
def vae_terms(model, x, y=None):
    """log p(x_i | z) and KL_j of grey images: binarise by chance, encode, draw z, decode."""
    x = torch.bernoulli(x)
    mean, log_var = model.encode(x, y)
    z = checked_sample(mean, log_var, torch.randn_like(mean))
    log_lik = -F.binary_cross_entropy_with_logits(model.decode(z, y), x, reduction="none")
    return log_lik, checked_kl(mean, log_var)


def vae_loss(model, x, y=None, beta=1.0):
    """Minus the ELBO (7) at β = 1; otherwise distortion + β · rate."""
    rate, distortion = checked_elbo(*vae_terms(model, x, y))
    return {"loss": distortion + beta * rate, "distortion": distortion, "rate": rate}


def validate(model, loss, *data):
    """What a loss reports on data (images, perhaps labels), always with the same noise."""
    where = next(model.parameters()).device
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        report = loss(model, *(part.to(where) for part in data))
    return {key: value.item() for key, value in report.items()}


# %% [markdown]
# The loss is the whole method: nothing is hidden.
# **Predict** from (7): which of the two curves will fall, and which will *rise*?

# %% tags=["slide"]
torch.manual_seed(0)
vae = VAE(latent=32)
still = torch.randn(25, 32, generator=torch.Generator().manual_seed(1)).to(device)
at = [429 * epoch for epoch in (1, 2, 3, 5, 8, 12, 18, 26, 36, 50, 70, 90, 111)]


def look(step):
    """What the decoder makes of the same 25 latents now."""
    return vae.decode(still).sigmoid()


recipe = {"lr": 2e-3, "schedule": "cosine", "ema": 0.999}  # of every model of digits
history = cu.fit(
    vae, vae_loss, batches, steps=350, full=48_000, **recipe, preview=look, preview_at=at
)
trained = history.ema  # the averaged weights


# %% tags=["author"]
def main_figures():
    return {"minus ELBO, validation": (validate(trained, vae_loss, val)["loss"], 0.3)}


what = "convolutional VAE with 32 latents"
cu.ship("04_vae", trained, history, what=what, figures=main_figures)

# %%
vae = VAE(latent=32).to(device)
shipped = cu.restore("04_vae", vae)  # from here on: the long run of the cell above
vae.requires_grad_(False)
some_val = val[: cu.budget(2_000, 200)]

# %% [markdown]
# The distortion falls and the rate, after a first wobble, *rises* to about 28 nats, as the model finds out what is worth writing down.
# The long run ends at nearly the same rate, but at a distortion of 60 nats instead of 94 (table below): the decoder has learned what all digits share.
# Minus ELBO of the shipped model is 89.1 nats on the 5,000 validation digits of its card.
#
# **Exercise 4 (core).**
# Write the sampler.
# The model is a recipe of two draws, $z$ and then $x$ given $z$; both use the generator.


# %% tags=["exercise"]
def ancestral(decode, n, k, generator):
    """n images from the model, and the latents behind them.

    Draws z ~ N(0, I), (n, k), then each pixel with the chance that the logits decode(z) say.
    Returns z and the pixels, 0.0 or 1.0, in the shape of decode(z).
    """
    ### BEGIN SOLUTION
    z = torch.randn(n, k, generator=generator)
    return z, torch.bernoulli(decode(z).sigmoid(), generator=generator)
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# `torch.randn(…, generator=generator)` for the latents.
# A logit becomes a chance by `sigmoid`, a chance becomes a pixel by `torch.bernoulli`.

# %%
checked_ancestral = cu.check("04.ancestral", ancestral)


# %% tags=["shared"]
@torch.no_grad()
def paint(model, z, y=None):
    """The decoder's means, (n, 28, 28) on the CPU, for latents z (n, k)."""
    where = next(model.parameters()).device
    return model.decode(z.to(where), y).sigmoid()[:, 0].cpu()


@torch.no_grad()
def encode(model, x, *labels):
    """Mean and log-variance (n, k) on the CPU of images x (n, 1, 28, 28) in {0, 1}."""
    where = next(model.parameters()).device
    return [part.cpu() for part in model.encode(x.to(where), *labels)]


# %%
z, made = checked_ancestral(
    lambda z: vae.decode(z.to(device)).cpu(), cu.budget(1_000), 32, torch.manual_seed(0)
)
from_prior = paint(vae, z)  # the means for the same latents

# %% tags=["figure"]
# @title Widget: twenty-five latents while the decoder trains
rows = []
steps = f"shipped, {shipped.card['steps']:,} steps"
for name, model in {"yours": trained, steps: vae}.items():
    found = validate(model, vae_loss, some_val)
    rows.append([name, found["distortion"], found["rate"], found["loss"]])
rows.append(["its card, 5,000 digits", None, None, shipped.figure("minus ELBO, validation")])
columns = ["weights", "distortion", "rate", "minus ELBO"]
cu.table(rows, columns, f"{len(some_val):,} validation digits, nats.", digits=1)
frames, steps = shipped.replay
labels = [f"epoch {step / 429:.0f}" for step in steps]


def moments():
    """The static picture of the replay: ten of the latents at five moments."""
    at = [0, 1, 2, 5, len(frames) - 1]
    images = np.concatenate([frames[i][:10] for i in at])
    return cu.plots.image_grid(images, rows=5, row_titles=[labels[i] for i in at]).figure


caption = (
    "Twenty-five latents, drawn once before the training: "
    "what the decoder makes of them while it trains (means)."
)
cu.scrub(list(frames), labels, caption, static=moments)

# %% [markdown]
# After a single epoch the strokes are there, but not yet the class: the fifth latent is a 9, then a 7, then a 0.
# Later epochs close loops and sharpen edges; at the end one can name most of these ten, at the start about half.
# The others are no digit even at the end: probably these latents lie where the codes of digits are rare.
#
# **A mean or a draw?**
# Now the answer to the first question of this lesson.
# The figure shows your digit and nine test digits: grey, binarised (what the encoder sees), the decoder's mean $\pi(z)$, and a draw from $p_\theta(x\mid z)$.
# The last row is the straight line from your code to that of the last digit.

# %%
tosses = torch.Generator().manual_seed(4)
binary = torch.bernoulli(test, generator=tosses)  # the test digits in zeros and ones
ten = torch.cat([mine, test[:9]])
ten_binary = torch.cat([torch.bernoulli(mine, generator=tosses), binary[:9]])
mean, log_var = encode(vae, ten_binary)
again = paint(vae, checked_sample(mean, log_var, torch.randn_like(mean)))

# %% tags=["figure", "slide"]
# @title Figure: ten digits, their means and draws, and a line between two codes
along = torch.linspace(0, 1, 10)[:, None]
line = paint(vae, torch.lerp(mean[:1], mean[-1:], along))
grid = torch.cat([ten[:, 0], ten_binary[:, 0], again, torch.bernoulli(again), line])
row_titles = ["grey", "binarised", "mean", "draw", "first → last"]
ax = cu.plots.image_grid(grid, rows=5, row_titles=row_titles)
caption = (
    "Your digit (left) and nine test digits: grey, binarised, the decoder's mean for one z "
    "of the cloud, a draw from it; last row: decoded points of the line between the first "
    "and the last code."
)
cu.show(ax.figure, caption)


def grey(x):
    """Share of pixels neither ink nor paper (0.1 to 0.9) among those not white (above 0.1)."""
    between = (x > 0.1) & (x < 0.9)
    return (between.float().mean() / (x > 0.1).float().mean()).item()


means, log_vars = encode(vae, binary[:1000])
recon = paint(vae, checked_sample(means, log_vars, torch.randn_like(means)))
cu.facts(
    {
        "grey among the inked pixels: test digits": f"{grey(test[:1000]):.0%}",
        "means, z from the digit's cloud": f"{grey(recon):.0%}",
        "means, z from the prior": f"{grey(from_prior):.0%}",
        "draws": f"{grey(made):.0%}",
    }
)

# %% [markdown]
# Means are blurred.
# Of their inked pixels 59 % are grey, against 52 % in the originals, and 65 % when $z$ comes from the prior.
# The mean $\pi(z)$ averages all images that could share this $z$; where their edges differ by a pixel it must be grey, because $-\log p$ punishes a confident wrong pixel without limit.
#
# Draws are speckled: they toss a coin for each pixel *separately*, given $z$.
# That alone is no fault, as the binarised digits (second row of this figure) were made by separate coins, too.
# The fault is the extra grey: where an edge could be here or there, a draw tears it.
#
# So row 1 at the top of the lesson, the speckled one, is what the model claims.
# What papers show as "VAE samples" are nearly always means.
# The last row bends your digit into the other one without passing through rubbish.

# %% [markdown]
# ## 9 · A plane of digits *(deeper)*
#
# With only two latents the whole space fits on paper: a second VAE, the one of section 1.
# A grid of codes, decoded, is the *manifold* on which the model has laid out all digits.
# Fly over it: drag the cross over a border between two classes.

# %% tags=["quiet"]
torch.manual_seed(0)
plane = VAE(latent=2)
history_plane = cu.fit(plane, vae_loss, batches, steps=40, full=8_000, **recipe)

# %% tags=["author"]
mean, log_var = encode(history_plane.ema, binary[:4000])
noise = torch.randn(4_000, 2, generator=torch.Generator().manual_seed(0))
kept = nn.Embedding.from_pretrained(checked_sample(mean, log_var, noise))


def plane_figures():
    loss = validate(history_plane.ema, vae_loss, val)["loss"]
    return {"minus ELBO, validation": (loss, 0.5)}


what = "VAE with two latents, and the codes of 4,000 test digits"
modules = {"vae": history_plane.ema, "codes": kept}
cu.ship("04_plane", modules, history_plane, what=what, figures=plane_figures)

# %%
cu.restore("04_plane", {"vae": plane})  # the long run of the cell above, the model of section 1
n_split = cu.budget(4_000, 500)
rate, information, mismatch = split_of_rate(*encode(plane, binary[:n_split]))
cu.facts(
    {
        f"rate of {n_split:,} test digits, nats": say(rate),
        "= information": say(information),
        "+ mismatch": say(mismatch),
        f"most information that {n_split:,} digits can show: log {n_split:,}": math.log(
            n_split
        ),
    }
)


# %% tags=["figure", "slide"]
# @title Widget: the manifold of digits
axis = torch.linspace(-2.4, 2.4, 9)
lattice = torch.cartesian_prod(axis.flip(0), axis).flip(1)  # (81, 2), row by row from the top
sheet = cu.plots.mosaic(paint(plane, lattice), rows=9, gap=0)


def draw_plane(x, y):
    """The manifold with a cross at z = (x, y), and there the decoder's mean and a draw."""
    fig, (left, right) = plt.subplots(1, 2, figsize=(9.5, 5), width_ratios=(1.6, 1))
    left.imshow(sheet, cmap="gray_r", extent=(-2.7, 2.7, -2.7, 2.7))
    left.plot(x, y, "+", color="#D55E00", markersize=22, markeredgewidth=4)
    left.set(xlabel="z₁", ylabel="z₂", title="The manifold")
    left.grid(False)
    image = paint(plane, torch.tensor([[x, y]], dtype=torch.float32))
    both = torch.cat([image, torch.bernoulli(image)])
    cu.plots.image_grid(both, rows=2, row_titles=["mean", "draw"], ax=right, note=False)
    right.set_title(f"z = ({x:.1f}, {y:.1f})")
    return fig


caption = (
    "Left: decoder means on a 9 × 9 grid of two latents, with a cross. "
    "Right: mean and a draw at the cross."
)
cu.plane(draw_plane, caption, x=(-2.5, 2.5, 0.1), y=(-2.5, 2.5, 0.1), labels=("z₁", "z₂"))

# %% [markdown]
# Neighbours on the plane are alike, classes have regions, and between regions lie digits that are half one and half the other: the decoder's average again.
# On a border the mean blends and the draw dissolves.
#
# Equation (8) for this model: of 6.3 nats about 5.7 are information and 0.6 mismatch.
# With 32 latents the split cannot be measured in this way.
# A set of 4,000 can show at most $\log4{,}000=8.3$ nats of information, and whatever the codes say beyond that would be counted as mismatch.

# %% [markdown]
# ## 10 · Which prior? *(core)*
#
# New digits come from the decoder, and where $z$ comes from is our choice.
# Below: codes from $\mathcal N(0,I)$, and codes from a mixture of ten full Gaussians fitted to draws from 5,000 clouds, lesson 02's model in 32 dimensions.
# Both go through the same decoder; beside them stands lesson 03's autoencoder with a mixture on its codes.
# The ruler is the Fréchet distance of Card 7: how far the features of 1,000 samples lie from those of real digits.
# KID, a kernel distance in the same features, stands beside it.
#
# **Predict** the order: will the VAE's own prior beat the autoencoder that was patched up with a mixture?


# %%
def fit_codes():
    """The mixture on draws from the clouds of 5,000 training digits."""
    mean, log_var = encode(vae, torch.bernoulli(mnist.train.float()[: cu.budget(5_000)]))
    codes = checked_sample(mean, log_var, torch.randn_like(mean))
    rounds = cu.budget(100, 3)
    mixture = GaussianMixture(10, random_state=0, reg_covar=1e-3, max_iter=rounds)
    return mixture.fit(codes.double().numpy())


torch.manual_seed(0)
of_codes = fit_codes()


def draw_mixture(n):
    """n means whose codes come from the mixture, in random order."""
    z = torch.from_numpy(of_codes.sample(n)[0]).float()
    return paint(vae, z[torch.randperm(n)])


# %% tags=["author"]
def five_sets(name, draw):
    """For a card: the score of 5 sets of 1,000 images draw(seed) against validation digits."""
    sets = [cu.to_uint8(draw(seed)) for seed in range(5)]
    found = cu.metrics.score(sets, 1_000, "validation").figures()
    keys = {"distance": 3.0, "distance_spread": 2.0, "kid": 0.5, "kid_spread": 0.2}
    return {f"{name}, five sets: {key}": (found[key], near) for key, near in keys.items()}


def seeded_draw(seed):
    return torch.bernoulli(seeded_means(seed), generator=torch.Generator().manual_seed(seed))


def seeded_means(seed):
    return paint(vae, torch.randn(1_000, 32, generator=torch.Generator().manual_seed(seed)))


def seeded_mixture(seed):
    of_codes.random_state = seed
    z = torch.from_numpy(of_codes.sample(1_000)[0]).float()
    return paint(vae, z[torch.randperm(1_000, generator=torch.Generator().manual_seed(seed))])


def coin_tossed_digits(seed):
    """A thousand training digits, binarised."""
    order = torch.randperm(55_000, generator=torch.Generator().manual_seed(1))
    part = mnist.train.x[order[1_000 * seed : 1_000 * seed + 1_000]].float() / 255
    return torch.bernoulli(part, generator=torch.Generator().manual_seed(seed))[:, 0]


def tight_bound(S, n_images):
    """Minus lesson 04b's bound with S draws inside the logarithm, mean over test digits."""
    total = 0.0
    for part in binary[:n_images].split(500):
        mean, log_var = vae.encode(part.to(device))
        q = Normal(mean, (0.5 * log_var).exp())
        weights = []
        for _ in range(S):
            z = q.sample()
            bce = F.binary_cross_entropy_with_logits(
                vae.decode(z), part.to(device), reduction="none"
            )
            log_prior = Normal(0.0, 1.0).log_prob(z).sum(1)
            weights.append(log_prior - bce.flatten(1).sum(1) - q.log_prob(z).sum(1))
        total -= (torch.stack(weights).logsumexp(0) - math.log(S)).sum().item()
    return total / n_images


# %% tags=["author"]
def vae_figures():
    figures = main_figures()
    for n_images in (10_000, 150):
        for S in (1, 5, 50, 500):
            torch.manual_seed(4)
            figures[f"IW-{S}, {n_images:,} test images"] = (tight_bound(S, n_images), 0.3)
    figures["Fréchet distance"] = (test_distance(seeded_draw), 5.0)
    return (
        figures | five_sets("draws", seeded_draw) | five_sets("binarised", coin_tossed_digits)
    )


def test_distance(draw):
    """The distance of 1,000 images to test digits, for the arena's table."""
    return cu.metrics.score(cu.to_uint8(draw(0)), 1_000).distance


def means_figures():
    figures = {"Fréchet distance": (test_distance(seeded_means), 3.0)}
    return figures | five_sets("means", seeded_means)


def mixture_figures():
    figures = {"Fréchet distance": (test_distance(seeded_mixture), 2.0)}
    return figures | five_sets("mixture, means", seeded_mixture)


what = "convolutional VAE with 32 latents; draws from p(x | z)"
draws = {"figures": vae_figures, "samples": lambda: cu.to_uint8(seeded_draw(0))}
cu.ship("04_vae", vae, history, what=what, **draws)
what = "the same VAE; decoder means instead of draws"
means = {"figures": means_figures, "samples": lambda: cu.to_uint8(seeded_means(0))}
cu.ship("04_vae_means", what=what, **means, sample_kind="decoder means")
what = "the same VAE; decoder means of codes from a mixture of ten Gaussians"
mixed = {"figures": mixture_figures, "samples": lambda: cu.to_uint8(seeded_mixture(0))}
cu.ship("04_vae_mixture", what=what, **mixed, sample_kind="decoder means")


# %%
def draw_means(n):
    """n images of pixel means from codes of the prior."""
    return paint(vae, torch.randn(n, 32))


def draw_digits(n):
    """n images: every pixel drawn as the means say."""
    return torch.bernoulli(draw_means(n))


batch = mnist.train.x[:128].to(device) / 255
details = {"step": cu.arena.training_step(vae, vae_loss, batch), "steps": 48_000}
stored = sum(weight.numel() for weight in vae.paint.parameters())
with_mixture = stored + 10 * (1 + 32 + 32 * 33 // 2)
cu.enter("04_vae", draw_digits, **details, numbers=stored)
cu.enter("04_vae_means", draw_means, **details, numbers=stored)
entered = cu.enter(
    "04_vae_mixture", draw_mixture, **details, numbers=with_mixture, fit=fit_codes
)

# %% tags=["figure"]
# @title Table: Fréchet distances of six sets of pictures
CARDS = {
    "VAE, N(0, I), means": ("04_vae_means", "means"),
    "VAE, N(0, I), draws": ("04_vae", "draws"),
    "VAE, mixture, means": ("04_vae_mixture", "mixture, means"),
    "training digits, binarised": ("04_vae", "binarised"),
}


def from_card(run, name):
    """The score that a card keeps: five sets of 1,000 against validation digits."""
    keys = ("distance", "distance_spread", "kid", "kid_spread")
    numbers = {key: run.figure(f"{name}, five sets: {key}") for key in keys}
    return cu.metrics.Score(1_000, 5, "validation", **numbers)


models = {}
for name, (run, part) in CARDS.items():
    run = next(iter(cu.runs.available(run)), None)
    if run and f"{part}, five sets: kid" in run.card["figures"]:
        models[name] = from_card(run, part)
if cu.runs.available("03_ae_mixture", samples=True):
    old = torch.from_numpy(cu.runs.load("03_ae_mixture").samples[:1_000])
    models["lesson 03: autoencoder, mixture, means"] = old
board = cu.metrics.scoreboard(models, n=1_000, reference="validation")
rows = [[name, *score.row()] for name, score in board.items()]
caption = (
    "From the cards of the shipped runs: Fréchet distance and KID of 1,000 pictures against "
    "validation digits, mean ± standard deviation over the sets. One training each."
)
cu.table(rows, ["pictures", *cu.metrics.Score.COLUMNS], caption)
grid = torch.cat([draw_means(12), draw_mixture(12)])
ax = cu.plots.image_grid(grid, rows=2, row_titles=["N(0, I)", "mixture"])
cu.show(ax.figure, "Twelve means each: codes from the prior, and codes from the mixture.")

# %% [markdown]
# With its own prior the VAE **loses** to lesson 03's autoencoder with its mixture: means against means, 27.6 against 10.2.
# Give the VAE a mixture, too, and its means come out ahead of both, with a distance of 7.0 and a KID of 0.48.
# So the decoder is good and the prior is the weak spot.
# In the figure one can name most of the lower row, and about half of the upper one.
#
# Do not read more into it: that autoencoder has 8 latents, an MLP and a mixture of its own size, so several things differ at once.
# None of these models is near to training digits, whose distance is 1.46.
#
# Draws look worse to this ruler than means, although they are the model's true samples.
# But even *real* digits, binarised, are 11.7 away: the ruler learned its features on grey edges.
# The arena of lesson 07 gets all three under their own names.

# %% [markdown]
# ## 11 · Rate against distortion *(core)*
#
# Read the ELBO as a bill: $D$ nats to describe the image given the code, $R$ nats for the code.
# Put a price on the second, $D+\beta R$, and train once for each $\beta$.

# %% tags=["figure", "slide"]
# @title Figure: the trade, and the price as a slope
fig, ax = plt.subplots(figsize=(9.5, 4.6))
r = np.linspace(1.2, 60, 300)
curve = 55 + 150 * np.exp(-r / 14)
ax.plot(r, curve, color="black", linewidth=2.5)
ax.fill_between(r, curve, 40, color="#dddddd", label="out of reach")
for price, colour in ((4.0, cu.plots.PALETTE[1]), (1.0, cu.plots.PALETTE[0])):
    where = 14 * math.log(150 / 14 / price)
    level = 55 + 150 * math.exp(-where / 14)
    step = np.array([-8.0, 8.0])
    ax.plot(where + step, level - price * step, color=colour, label=f"slope −β, β = {price:g}")
    ax.plot(where, level, "o", color=colour, markersize=11)
ax.annotate("no code: every digit\nthe same picture", (1.5, 190), (9, 183), va="center")
ax.annotate(
    "an autoencoder: a point\nfor every digit, many nats", (46, 61), (42, 92), va="center"
)
ax.set(xlabel="rate R: nats for the code", ylabel="distortion D: nats for the pixels")
ax.set(xlim=(0, 60), ylim=(40, 210), title="A model is a point; the best ones lie on a curve")
ax.set_xticks([])
ax.set_yticks([])
ax.legend(loc="upper right")
caption = (
    "A sketch: the best compromises between rate and distortion form a falling, convex "
    "curve. At a price β the best point is where the curve has slope −β."
)
cu.show(fig, caption)


def at_price(i):
    """Six reconstructions of your digit by model i, and six draws from the prior."""
    model = by_beta[list(BETAS)[i]]
    torch.manual_seed(0)
    mean, log_var = encode(model, ten_binary[:1])
    spread = checked_sample(mean.repeat(6, 1), log_var.repeat(6, 1), torch.randn(6, 16))
    return torch.cat([paint(model, spread), paint(model, torch.randn(6, 16))])


def curve_of(ax, chosen):
    """The four points, and at those chosen a line of slope −β."""
    ax.plot(R, D, "o-", color="#888888")
    for i in chosen:
        step = np.array([-4, 4])
        ax.plot(R[i] + step, D[i] - prices[i] * step, color=cu.plots.PALETTE[i])
        ax.plot(R[i], D[i], "o", color=cu.plots.PALETTE[i], label=f"β = {prices[i]:g}", ms=11)
    ax.set(xlabel="rate R (nats)", ylabel="distortion D (nats)")
    ax.set(xlim=(0, max(R) + 6), ylim=(min(D) - 15, max(D) + 15))
    ax.legend()


# %% [markdown]
# Why the slope?
# At the best point for the price β no small step pays.
# A step that spends $\delta$ nats more on the code must save $\beta\,\delta$ of distortion, no more and no less, so along the curve $\frac{dD}{dR}=-\beta$.
# The four models, smaller than section 8's and trained for fewer steps, are trained side by side, by adding their losses: no weight is shared, so this is the same as four trainings.

# %% tags=["shared"]
BETAS = {"quarter": 0.25, "one": 1.0, "four": 4.0, "ten": 10.0}


def family(names, make):
    """One model a name, all with the same initial weights."""
    models = nn.ModuleDict()
    for name in names:
        torch.manual_seed(0)
        models[name] = make()
    return models


# %% tags=["quiet"]
def family_loss(models, x):
    """Sum over the family of distortion + β · rate; each member's own β."""
    return sum(vae_loss(models[name], x, beta=beta)["loss"] for name, beta in BETAS.items())


by_beta = family(BETAS, lambda: VAE(latent=16, width=8))
history_beta = cu.fit(by_beta, family_loss, batches, steps=20, full=6_000, **recipe)


# %% tags=["author"]
def sure(images):
    """Share of images of which the judge is sure: its best class above 0.9."""
    with torch.no_grad():
        best = cu.metrics.classifier()(images[:, None].to(device)).softmax(1).max(1).values
    return (best > 0.9).float().mean().item()


def family_figures():
    figures = {}
    for name, model in history_beta.ema.items():
        found = validate(model, vae_loss, val)
        for term in ("rate", "distortion"):
            figures[f"{term}, {name}"] = (found[term], 0.5)

        def seeded(seed, model=model):
            z = torch.randn(1_000, 16, generator=torch.Generator().manual_seed(seed))
            return paint(model, z)

        figures |= five_sets(name, seeded)
        figures[f"judge is sure, {name}"] = (sure(seeded(0)), 0.05)
    return figures


what = "four small VAEs, β = 0.25, 1, 4 and 10"
cu.ship("04_beta", history_beta.ema, history_beta, what=what, figures=family_figures)

# %%
run_beta = cu.restore("04_beta", by_beta)  # the long run of the cell above
R = []
D = []
for model in by_beta.values():
    found = validate(model, vae_loss, some_val)
    R.append(found["rate"])
    D.append(found["distortion"])
slopes = np.diff(D) / np.diff(R)
prices = list(BETAS.values())

# %% [markdown]
# **Predict** before you look on: at β = 10, what will be left of *your* digit?
# And which of the four would you call the best generative model?


# %% tags=["figure", "slide"]
# @title Widget: the rate–distortion curve, and your digit at each price
def draw_beta(beta):
    """The curve with this β's point and tangent, and what its model makes of your digit."""
    i = prices.index(beta)
    fig, (left, right) = plt.subplots(1, 2, figsize=(12, 4), width_ratios=(1, 1.5))
    curve_of(left, [i])
    row_titles = ["your digit", "N(0, I)"]
    cu.plots.image_grid(at_price(i), rows=2, row_titles=row_titles, ax=right, note=False)
    return fig


def draw_all():
    """All four prices at once, for the static page."""
    fig, (left, right) = plt.subplots(1, 2, figsize=(14, 4.6), width_ratios=(1, 2.6))
    curve_of(left, range(4))
    images = torch.cat([at_price(i) for i in range(4)])
    row_titles = [f"β = {beta:g}" for beta in prices]
    cu.plots.image_grid(images, rows=4, row_titles=row_titles, ax=right, note=False)
    right.set_title("six draws from your digit's cloud, then six from N(0, I)")
    return fig


caption = (
    "Left: rate against distortion for four β, with lines of slope −β. Right: for each β six "
    "reconstructions from draws of your digit's cloud, then six means from the prior."
)
control = {"options": prices, "value": 1.0, "label": "β"}
cu.explore(draw_beta, caption, static=draw_all, beta=control)
models = {}
if "one, five sets: kid" in run_beta.card["figures"]:
    models = {name: from_card(run_beta, name) for name in BETAS}
board = cu.metrics.scoreboard(models, n=1_000, reference="validation")
real = board.pop("training digits")
rows = [["real training digits", None, None, None, real.row()[0], None]]
for i, (name, score) in enumerate(board.items()):
    readable = f"{run_beta.figure(f'judge is sure, {name}'):.0%}"
    rows.append([f"β = {BETAS[name]:g}", R[i], D[i], R[i] + D[i], score.row()[0], readable])
columns = ["model", "rate R", "distortion D", "R + D = −ELBO"]
columns += ["Fréchet, means from N(0, I)", "judge is sure"]
caption = (
    f"{len(some_val):,} validation digits, nats. Last two columns from the card: five sets of "
    "1,000 against validation digits; share of 1,000 means that the judge gives a class with "
    "more than 90 %. One training for each β."
)
cu.table(rows, columns, caption, digits=1)
pairs = []
for low, high, slope in zip(prices[:-1], prices[1:], slopes, strict=True):
    pairs += [f"slope dD/dR, β from {low:g} to {high:g}", slope]
cu.facts(*pairs)

# %% [markdown]
# The four points lie on one falling, convex curve, and the printed slopes between neighbours lie between the β of their ends, as they must.
#
# Each step of the price changes what is kept.
# At β = 0.25 and at 1 six draws of your digit are the same digit; at 4 its slant and loops wander.
# At 10, with 3.6 nats, your digit has become *everyone's*: the course's 3 is as often an 8.
#
# Now the draws from the prior, on the right.
# At β = 0.25 many are torn: so much was written into the codes that $q(z)$ and $\mathcal N(0,I)$ hardly meet.
# At β = 4 and 10 more can be read, and all are blurred.
# The ELBO is best at β = 1 by construction; in these four trainings the Fréchet distance is best there, too; the judge, which is the digit classifier behind that distance, is most often sure of a class at β = 4.
# Say what you want before you tune β.

# %% [markdown]
# ## 12 · The mean that kills the code *(core)*
#
# Read this line as you would in somebody else's code: `loss = F.binary_cross_entropy_with_logits(logits, x) + kl.sum(1).mean()`.
# The function averages over pixels, too, which is what `reduction="mean"` does.
# So the loss is $\frac1{784}(D+784\,R)$: a hidden $\beta=784$.
# Averaging the KL over its $k$ latents as well gives $\frac1{784}(D+\frac{784}kR)$; averaging the KL alone, $\beta=\frac1k$.
# Every one of these losses can be minimised without complaint, and Adam does not care about the factor in front.
#
# **Exercise 5 (deeper, break it).**
# Make the slip yourself, in one function of the two arrays of (7): the pixels averaged, the KL right.
# The check verifies that the price of the rate is hidden, and as high as the number of pixels.


# %% tags=["exercise"]
def careless_loss(log_lik, kl):
    """A loss that looks like minus the ELBO, and hides β = number of pixels: one scalar.

    log_lik (B, …) = log p(x_i | z), kl (B, k), as in rate_and_distortion.
    """
    ### BEGIN SOLUTION
    return kl.flatten(1).sum(1).mean() - log_lik.mean()
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# One plain `.mean()` over all of `log_lik`; the KL as in exercise 3.
# No number such as 784 may appear: nobody writes it on purpose.

# %% tags=["quiet"]
checked_careless = cu.check("04.careless", careless_loss)


def pair_loss(models, x):
    """Two models that differ in one `.sum(1)`."""
    rate, distortion = checked_elbo(*vae_terms(models["sums"], x))
    return rate + distortion + checked_careless(*vae_terms(models["mean over pixels"], x))


pair = family(["sums", "mean over pixels"], lambda: VAE(latent=16, width=8))
history_pair = cu.fit(pair, pair_loss, batches, steps=150, lr=2e-3, schedule="cosine")

# %% tags=["figure", "slide"]
# @title Figure: what the two models reconstruct
rows = []
pictures = [ten[:, 0]]
for name, beta in (("sums", 1), ("mean over pixels", 784)):
    found = validate(pair[name], vae_loss, some_val[:1000])
    rows.append([name, beta, f"{found['rate']:.4f}", found["distortion"], found["loss"]])
    mean, log_var = encode(pair[name], ten_binary)
    pictures.append(paint(pair[name], checked_sample(mean, log_var, torch.randn(10, 16))))
columns = ["reduction", "hidden β", "rate R", "distortion D", "R + D"]
caption = "Two models after 150 steps, judged alike on validation digits, nats."
cu.table(rows, columns, caption, digits=1)
row_titles = ["digit", "sums", "mean over\npixels"]
ax = cu.plots.image_grid(torch.cat(pictures), rows=3, row_titles=row_titles)
caption = (
    "Ten digits and their reconstructions by two models that differ only in how the pixels' "
    "term of the loss was reduced."
)
cu.show(ax.figure, caption)

# %% [markdown]
# The rate of the careless model is practically zero, and ten digits give ten grey clouds that differ only by the noise in $z$; the code is dead.
# If your VAE paints one average digit, look for `reduction="mean"` before you look for anything deeper.
# A *chosen* β is written as a factor, where everyone can see it.

# %% [markdown]
# ## 13 · Mean squared error is a β in disguise *(deeper)*
#
# Many VAEs on the web minimise "squared error + KL" (summed over pixels here; with a mean, section 12 comes on top).
# They have chosen a β without saying so.
#
# **Exercise 6 (deeper, on paper).**
# The decoder is $\mathcal N(g_\theta(z),\tau^2I)$ over $n$ pixels.
# (a) Which β does the loss $\lVert x-g_\theta(z)\rVert^2+\mathrm{KL}$ hide if the noise is τ, and for which τ is it 1?
# (b) Learn τ: which value is best for fixed networks, and what has become of β?
#
# <details><summary>Step 1</summary>
#
# Write minus the ELBO out: $\frac1{2\tau^2}\mathbb E\lVert x-g_\theta(z)\rVert^2+R+\frac n2\log2\pi\tau^2$.
#
# </details>
# <details><summary>Step 2</summary>
#
# With τ fixed, $\mathbb E\lVert x-g_\theta(z)\rVert^2+R=2\tau^2\bigl(D+\frac1{2\tau^2}R\bigr)$ up to a constant: a hidden $\beta=\frac1{2\tau^2}$.
# It is 1 only for $\tau^2=\frac12$, for pixels that live in $[0,1]$; with a smaller noise the code costs more.
#
# </details>
# <details><summary>Step 3</summary>
#
# The derivative with respect to $\log\tau$ is $n-\frac1{\tau^2}\mathbb E\lVert x-g_\theta(z)\rVert^2$.
# It vanishes at $\tau^2=\frac1n\mathbb E\lVert x-g_\theta(z)\rVert^2$, the mean squared residual; nothing is left to choose.
#
# </details>
#
# The pinwheel's VAE learned its τ.
# Is it where step 3 puts it?

# %%
mean, log_var = toy.encode(points)
residuals = []
for _ in range(cu.budget(50)):
    z = checked_sample(mean, log_var, torch.randn_like(mean))
    residuals.append((toy.decode(z) - points).square().mean())
residual = torch.stack(residuals).mean().sqrt()
learned = toy.log_tau.exp().item()
loss_before = validate(toy, gaussian_loss, points)["loss"]
toy.log_tau.copy_(residual.log())  # step 3, by hand
loss_after = validate(toy, gaussian_loss, points)["loss"]
cu.facts(
    {
        "learned τ": f"{learned:.3f}",
        "root mean squared residual": f"{residual:.3f}",
        "minus ELBO with the learned τ, nats": f"{loss_before:.3f}",
        "minus ELBO with τ at the residual": f"{loss_after:.3f}",
    }
)

# %% [markdown]
# Nearly: the learned τ, 0.244, lies above the residual, 0.225, and moving it there wins a hundredth of a nat at once.
# Probably the learning rate fell to zero before τ had caught up with the falling residual.
# Step 3 is exact, an optimiser is not; where τ has a closed form, use it.

# %% [markdown]
# ## 14 · Tell it the label *(core)*
#
# A **conditional VAE** gives the label $y$ to both networks and leaves everything else alone: $\log p_\theta(x\mid y)\ge \mathbb E_q\log p_\theta(x\mid z,y)-\mathrm{KL}(q_\phi(z\mid x,y)\,\|\,p(z))$, the same two lines of derivation with $y$ behind every bar but the prior's.
# The prior of $z$ does *not* depend on $y$; so whatever $y$ already says, for free, would be paid for without need if $z$ said it again.
#
# **Predict** what is left for $z$: could you read the label from it?

# %% tags=["quiet"]
torch.manual_seed(0)
conditional = VAE(latent=16, labels=10)
labelled = cu.Batches(mnist.train, 128, labels=True)
history_c = cu.fit(conditional, vae_loss, labelled, steps=40, full=8_000, **recipe)


# %% tags=["author"]
def conditional_figures():
    loss = validate(history_c.ema, vae_loss, val, mnist.val.y)["loss"]
    return {"minus ELBO, validation": (loss, 0.5)}


what = "conditional VAE: 16 latents and a label"
cu.ship("04_conditional", history_c.ema, history_c, what=what, figures=conditional_figures)

# %%
run_c = cu.restore("04_conditional", conditional)  # the long run of the cell above

# %% tags=["figure"]
# @title Table: what is left for z
found = validate(conditional, vae_loss, some_val, mnist.val.y[: len(some_val)])
n_read = cu.budget(3_000)
train_binary = torch.bernoulli(mnist.train.float()[:n_read])


def read_label(draw_code):
    """Share of 1,000 test digits whose label logistic regression reads from a draw of z."""
    known = draw_code(train_binary, mnist.train.y[:n_read])
    reader = LogisticRegression(max_iter=300).fit(known, mnist.train.y[:n_read])
    unseen = draw_code(binary[:1000], mnist.test.y[:1000])
    return reader.score(unseen, mnist.test.y[:1000])


def told(x, y):
    """A draw of z from the conditional model's cloud."""
    mean, log_var = encode(conditional, x, y.to(device))
    return checked_sample(mean, log_var, torch.randn_like(mean))


def untold(x, y):
    """The same for the β = 1 model of section 11, which knows no label."""
    mean, log_var = encode(by_beta["one"], x)
    return checked_sample(mean, log_var, torch.randn_like(mean))


rows = [
    ["conditional VAE", found["rate"], found["distortion"], f"{read_label(told):.0%}"],
    ["section 11, β = 1, no label", R[1], D[1], f"{read_label(untold):.0%}"],
]
caption = (
    f"Rate and distortion of {len(some_val):,} validation digits, nats; the label of 1,000 "
    "test digits by logistic regression from a draw of z. One training each, unlike in size."
)
cu.table(rows, ["model", "rate R", "distortion D", "label read from z"], caption, digits=1)

# %% [markdown]
# What is left is mostly the handwriting.
# From a draw of $z$ the label is read in 21 % of the digits, where guessing gives a tenth; from the model without labels it is 86 %.
# Nobody told the model to separate the two.
# The price of the rate did, because repeating the label in $z$ costs nats and buys nothing.
# So $z$ can be combined with any label.
#
# **Exercise 7 (deeper).**
# One handwriting, ten digits.
# Decode each $z$ with every label.
# `repeat` and `repeat_interleave` differ in the order of the copies; the reshape at the end must match.


# %% tags=["exercise"]
def every_label(decode, z, n_labels):
    """Decode each latent z (B, k) with every label: (B, n_labels, …).

    decode takes (M, k) and labels (M,) int64, on the device of z.
    """
    ### BEGIN SOLUTION
    y = torch.arange(n_labels, device=z.device).repeat(len(z))  # 0 1 2 … 0 1 2 …
    out = decode(z.repeat_interleave(n_labels, 0), y)  # z₀ z₀ z₀ … z₁ z₁ z₁ …
    return out.view(len(z), n_labels, *out.shape[1:])
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# For two latents and three labels the decoder must get $z_0z_0z_0z_1z_1z_1$ with 0 1 2 0 1 2.

# %%
checked_labels = cu.check("04.relabel", every_label)
judge = cu.metrics.classifier()
others = [2, 7, 0, 15]  # test digits
hands = torch.cat([ten_binary[:1], binary[others]])
hand_labels = torch.cat([judge(mine.to(device)).argmax(1).cpu(), mnist.test.y[others]])


def paint_all_labels(z):
    """The decoder's means for each latent z (n, k) with every label: (n, 10, 28, 28)."""
    return checked_labels(lambda z, y: paint(conditional, z, y.to(device)), z, 10)


relabelled = paint_all_labels(encode(conditional, hands, hand_labels.to(device))[0])

# %% tags=["figure", "slide"]
# @title Figure: five hands, ten labels
sources = torch.cat([mine[0], test[others, 0]])[:, None]  # (5, 1, 28, 28)
images = torch.cat([sources, relabelled], 1).flatten(0, 1)
row_titles = ["yours", *(f"a test {y}" for y in hand_labels[1:].tolist())]
ax = cu.plots.image_grid(images, rows=5, titles=["", *"0123456789"], row_titles=row_titles)
caption = (
    "Left column: your digit and four test digits. "
    "The others: their latent, decoded with every label."
)
cu.show(ax.figure, caption)
z = torch.randn(cu.budget(100), 16, generator=torch.Generator().manual_seed(0))
all_labels = paint_all_labels(z)  # (n, 10, 28, 28)
with torch.no_grad():
    said = judge(all_labels.flatten(0, 1)[:, None].to(device)).argmax(1).cpu().view(-1, 10)
obeyed = (said == torch.arange(10)).float().mean()
ink = all_labels.mean((2, 3))  # (n, 10): how much ink
alike = torch.corrcoef(ink.T)[~torch.eye(10, dtype=torch.bool)].mean()
cu.facts(
    {
        f"classifier reads the wished label, of {said.numel():,}": f"{obeyed:.0%}",
        "correlation of the ink of one z under two labels, on average": f"{alike:.2f}",
    }
)

# %% [markdown]
# Same slant, same weight of the stroke, ten digits: the label says *what*, the latent says *how*.
# The classifier reads the wished label in 87 % of pictures made from random latents, and the ink of one $z$ under two labels correlates 0.98.
#
# Not every square can be read.
# Traits are carried over literally: a very slanted hand (third row) or a very broad one (last row) spoils half of the labels.
# Style is not quite *independent* of the class either; $q(z\mid y)$ differs a little for each $y$, so $q(z)$ does not quite fill the prior.

# %% [markdown]
# ## Where this stands *(deeper)*
#
# **Better priors.**
# Section 10 found the prior wanting.
# VampPrior (Tomczak and Welling, 2018) makes it a learned mixture of the encoder's own clouds; VQ-VAE (van den Oord et al., 2017) makes the codes discrete and learns an autoregressive prior over them.
# A diffusion model as the prior over codes is *latent diffusion* (lesson 15b, to come).
#
# **Better posteriors.**
# A diagonal Gaussian is the smallest family.
# Normalizing flows widen it (Rezende and Mohamed, 2015; Kingma et al., 2016); lesson 10 builds flows.
# Lesson 04b measures how much there is to win.
#
# **Depth.**
# One layer of latents is where VAEs began.
# Hierarchies of many layers, NVAE (Vahdat and Kautz, 2020) and VDVAE (Child, 2021), brought VAEs to sharp photographs; a diffusion model can be read as such a hierarchy with a fixed encoder (lesson 06).
#
# **β and meaning.**
# β-VAE (Higgins et al., 2017) was proposed to *disentangle*: one latent for one cause.
# Locatello et al. (2019) showed that without labels or assumptions nothing in the objective can single out the true causes; the axes that a VAE does find come from the diagonal encoder (Rolinek et al., 2019).
#
# **Labels.**
# The conditional VAE is from Sohn et al. (2015); lesson 12 compares it with other ways to tell a model what you want.

# %% [markdown]
# ## Recap *(core)*
#
# | you can | because you saw |
# |---|---|
# | derive the bound and say what it loses | (1) by Jensen, and the toy, where the gap is a KL |
# | compute its KL and its gradient | (4) agrees with `torch.distributions`; (5) moves the noise out of the way |
# | train and sample | the loss is two sums and a mean; the sampler is two draws |
# | say where blur and speckle come from | a mean over all images that share a code; a coin for each pixel |
# | choose a prior | the same decoder, $\mathcal N(0,I)$ against a mixture |
# | trade rate for distortion | β is minus the slope; a mean for a sum is a hidden β of 784 |
# | give one handwriting ten labels | what $y$ says, $z$ need not |
#
# **What breaks, and why.**
# The ELBO pays for information as it pays for holes, so $q(z)$ never quite fills the prior (sections 3 and 7).
# Given $z$ the pixels are independent, so wherever $z$ leaves an edge open, the mean is blurred and the draw is torn.
#
# **References.**
# D. Kingma and M. Welling, *Auto-encoding variational Bayes*, 2014;
# D. Rezende, S. Mohamed and D. Wierstra, *Stochastic backpropagation and approximate inference in deep generative models*, 2014 (both the same idea) ·
# M. Hoffman and M. Johnson, *ELBO surgery*, 2016 (equation 8) ·
# A. Alemi et al., *Fixing a broken ELBO*, 2018 (rate and distortion).
#
# **Two ways on.**
# [Lesson 04b](04b_a_real_number.ipynb) asks how good the bound is, kills the code on purpose, and puts the model to work.
# Lesson 05 repairs the failure of the two rows at the top: one is speckled, the other blurred, and no $z$ gives anything else.
# It throws the likelihood away to get rid of both.
