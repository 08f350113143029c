"""The figures of the mid-term's bank: one function a figure, named in the bank, which returns a matplotlib figure.

What a figure shows comes from a function of its own (`…_data`), so that the tests read the same numbers as the
students. Nothing is stored: `tools/midterm.py` draws a figure when a paper needs it.
"""

import math
from functools import cache

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch.distributions import Normal

import course_utils as cu

BLUE, VERMILION, GREEN, ORANGE, SKY, PURPLE, BLACK = cu.plots.PALETTE[:7]
NAMES = {}


def figure(function):
    """Register a figure under the name of its function."""
    NAMES[function.__name__] = function
    return function


def draw(name: str, caption: str = "") -> cu.plots.Picture:
    """Return the figure `name` as a picture with its caption. Raises KeyError for a name that no figure has."""
    cu.plots.use_style()
    fig = NAMES[name]()
    picture = cu.plots.Picture.of(fig, caption)
    plt.close(fig)
    return picture


# Lesson 00


def shells_data(n: int = 2_000, d: int = 784) -> dict[str, np.ndarray]:
    """Root mean squares of the noise behind n images of three kinds: name → (n,)."""
    rng = np.random.default_rng(0)
    draws = np.sqrt((rng.standard_normal((n, d)) ** 2).mean(1))
    plain = 0.70 + 0.06 * rng.standard_normal(n)
    strange = 1.25 + 0.07 * rng.standard_normal(n)
    return {"A": plain - plain.mean() + 0.70, "B": draws, "C": strange - strange.mean() + 1.25}


@figure
def shells():
    fig, ax = plt.subplots(figsize=(7.5, 3.4))
    for (name, values), colour in zip(shells_data().items(), (BLUE, BLACK, VERMILION)):
        ax.hist(
            values,
            bins=np.arange(0.45, 1.55, 0.01),
            color=colour,
            alpha=0.7,
            label=f"kind {name}",
        )
    ax.set(xlabel="root mean square of ε", ylabel="images", xlim=(0.45, 1.5))
    ax.legend()
    return fig


# Lesson 01


CLAIMS = np.array([0.55, 0.65, 0.75, 0.85, 0.95])
RIGHT = {
    "A": np.array([0.50, 0.56, 0.62, 0.70, 0.80]),
    "B": np.array([0.56, 0.64, 0.75, 0.84, 0.95]),
    "C": np.array([0.64, 0.77, 0.86, 0.94, 0.99]),
}
MEMBERS = np.array([100, 100, 200, 300, 300])
"""Digits of classifier A in each group."""


@figure
def reliability():
    fig, ax = plt.subplots(figsize=(6.6, 4.6))
    ax.plot([0.45, 1], [0.45, 1], "--", color="#888888", label="right as often as claimed")
    for (name, right), colour, mark in zip(RIGHT.items(), (BLUE, BLACK, VERMILION), "osD"):
        ax.plot(CLAIMS, right, marker=mark, color=colour, label=f"classifier {name}")
    for claim, right, members in zip(CLAIMS, RIGHT["A"], MEMBERS):
        ax.annotate(
            str(members),
            (claim, right),
            (0, -17),
            textcoords="offset points",
            ha="center",
            color=BLUE,
        )
    ax.set(xlabel="claimed probability (middle of the group)", ylabel="share that is right")
    ax.set(
        xlim=(0.5, 1.0), ylim=(0.42, 1.02), xticks=CLAIMS, yticks=np.arange(0.45, 1.01, 0.05)
    )
    ax.grid(True, alpha=0.4)
    ax.legend(loc="upper left", fontsize=10)
    return fig


# Lesson 02


def em_1d(x, means, stds, steps: int, broken: bool = False):
    """Exact EM on a line from K equal weights: x (N,), means and stds (K,). Yields (weights, means, stds), the
    start first, until a component has shrunk onto a point. `broken` does each step with sixty points at random.
    """
    generator = torch.Generator().manual_seed(0)
    every = x
    weights = torch.full((len(means),), 1 / len(means)).double()
    yield weights, means, stds
    for _ in range(steps):
        x = every[torch.randperm(len(every), generator=generator)[:60]] if broken else every
        resp = (weights.log() + Normal(means, stds).log_prob(x[:, None])).softmax(1)
        owned = resp.sum(0)
        weights, means = owned / len(x), resp.T @ x / owned
        stds = ((resp * (x[:, None] - means) ** 2).sum(0) / owned).sqrt()
        if float(stds.min()) < 1e-9:
            return
        yield weights, means, stds


def log_likelihood(x, params) -> float:
    """Mean log-likelihood, in nats, of points x (N,) under a mixture (weights, means, stds)."""
    weights, means, stds = params
    return float((weights.log() + Normal(means, stds).log_prob(x[:, None])).logsumexp(1).mean())


def bumps(n: int, seed: int):
    """Points (n,) float64 from three bumps on a line."""
    generator = torch.Generator().manual_seed(seed)
    which = torch.randint(3, (n,), generator=generator)
    centres = torch.tensor([-3.0, 0.5, 3.0]).double()
    widths = torch.tensor([0.6, 0.5, 0.6]).double()
    return centres[which] + widths[which] * torch.randn(n, generator=generator).double()


@cache
def em_runs_data() -> dict[str, tuple[list[float], list[float]]]:
    """Training and fresh log-likelihood per point of the four students: panel → two curves."""
    many, few, fresh = bumps(300, 1), bumps(18, 22), bumps(2_000, 5)
    setups = {
        "A": (many, [-2.0, 0.0, 2.0], [1.0, 1.0, 1.0], False),
        "B": (many, [-3.0, 1.8, 2.2], [0.6, 1.3, 1.3], False),
        "C": (many, [-2.0, 0.0, 2.0], [1.0, 1.0, 1.0], True),
        "D": (few, [-3.5, -2.0, 0.5, 2.4, 3.5], [0.6] * 5, False),
    }
    curves = {}
    for panel, (x, means, stds, broken) in setups.items():
        start = torch.tensor(means).double(), torch.tensor(stds).double()
        fits = list(em_1d(x, *start, 60, broken))
        curves[panel] = (
            [log_likelihood(x, fit) for fit in fits],
            [log_likelihood(fresh, fit) for fit in fits],
        )
    return curves


@figure
def em_runs():
    fig, axes = plt.subplots(2, 2, figsize=(9, 5.6), layout="constrained")
    for (panel, (train, fresh)), ax in zip(em_runs_data().items(), axes.flat):
        ax.plot(train, color=BLUE, label="training points")
        ax.plot(fresh, "--", color=VERMILION, label="fresh points")
        ax.set(title=f"Student {panel}", xlabel="EM steps", ylabel="nats per point")
        ax.set(xlim=(0, 60))
    axes[0, 0].legend(fontsize=10, loc="lower right")
    return fig


# Lesson 02b


@cache
def completions_data():
    """Eight test digits (8, 784) in [0, 1], the conditional means of their lower halves and draws of them."""
    digits = cu.mnist()
    train = digits.train.x[:10_000].flatten(1).double() / 255
    truth = digits.test.x[[7, 2, 1, 18, 4, 8, 11, 0]].flatten(1).double() / 255
    mean, cov = train.mean(0), train.T.cov() + 3e-3 * torch.eye(784).double()
    seen = torch.arange(784) < 392
    cross = torch.linalg.solve(cov[seen][:, seen], cov[seen][:, ~seen])  # (392, 392)
    guess = mean[~seen] + (truth[:, seen] - mean[seen]) @ cross
    spread = torch.linalg.cholesky(cov[~seen][:, ~seen] - cov[~seen][:, seen] @ cross)
    noise = torch.randn(8, 392, generator=torch.Generator().manual_seed(0)).double()
    means, draws = truth.clone(), truth.clone()
    means[:, ~seen], draws[:, ~seen] = guess, guess + noise @ spread.T
    return truth, means.clamp(0, 1), draws.clamp(0, 1)


@figure
def completions():
    truth, means, draws = completions_data()
    rows = torch.cat([draws, truth, means]).reshape(-1, 28, 28).float()
    ax = cu.plots.image_grid(rows, rows=3, row_titles=["P", "Q", "R"])
    return ax.figure


WITNESSES, CORRELATION = 20, 0.48


def doubt_data(doubt):
    """Squared error of the posterior mean, and of a draw, for each doubt (an array or a number)."""
    gain = WITNESSES / (WITNESSES + 1 + doubt)
    mean_noise = (1 + (WITNESSES - 1) * CORRELATION) / WITNESSES
    error = (1 - gain) ** 2 + gain**2 * mean_noise
    claimed = 1 / (1 + WITNESSES / (1 + doubt))
    return error, error + claimed


@figure
def doubt():
    x = np.geomspace(0.1, 2_000, 400)
    error, of_draw = doubt_data(x)
    fig, ax = plt.subplots(figsize=(7.5, 4.2))
    ax.plot(x, -10 * np.log10(error), color=BLUE, label="posterior mean")
    ax.plot(x, -10 * np.log10(of_draw), color=VERMILION, label="one draw")
    ax.set(
        xscale="log", xlabel="doubt v", ylabel="PSNR, dB (z has variance 1)", xlim=(0.1, 2_000)
    )
    ax.set(yticks=np.arange(-3, 6), ylim=(-3.4, 5.6))
    ax.set_xticks([0.1, 1, 9, 40, 1000], ["0.1", "1", "9", "40", "1000"])
    ax.grid(True, alpha=0.5)
    ax.legend()
    return fig


# Lesson 03


def rate_psnr_data(k: int, bits_per_pixel):
    """PSNR of codes of k numbers (8 or 32) that may cost so many bits per pixel."""
    floor = {8: 10**-1.6, 32: 10**-2.2}[k]
    bits = np.asarray(bits_per_pixel) * 784 / k  # a code number
    step = (
        math.sqrt(2 * math.pi * math.e) / 2**bits
    )  # entropy of a finely rounded standard normal
    error = floor + 8 * k * step**2 / 12 / 784
    return -10 * np.log10(error)


@figure
def rate_psnr():
    fig, ax = plt.subplots(figsize=(7.5, 4.2))
    for k, colour, start in ((8, BLUE, 0.012), (32, VERMILION, 0.045)):
        x = np.linspace(start, 0.4, 300)
        ax.plot(x, rate_psnr_data(k, x), color=colour, label=f"codes of {k} numbers")
    ax.set(xlabel="bits per pixel", ylabel="PSNR, dB", xlim=(0, 0.4), ylim=(8, 23.5))
    ax.set(xticks=np.arange(0, 0.41, 0.05), yticks=np.arange(8, 24))
    ax.grid(True, alpha=0.5)
    ax.legend(loc="lower right")
    return fig


# Lesson 03b


GAINS = {"A": 1 / 1.25, "B": 1 / 2, "C": 1 / 4}


def tangents_data(gain: float, variance):
    """Mean squared error of x̂ = gain · x̃ for data N(0, 1) and noise of this variance."""
    return (1 - gain) ** 2 + gain**2 * np.asarray(variance)


@figure
def tangents():
    x = np.linspace(0, 4, 200)
    fig, ax = plt.subplots(figsize=(7.5, 4.2))
    for (name, gain), colour in zip(GAINS.items(), (BLUE, VERMILION, GREEN)):
        ax.plot(x, tangents_data(gain, x), color=colour, label=f"denoiser {name}")
    ax.plot(x, x / (1 + x), color=BLACK, linewidth=2.5, label="told the noise")
    ax.set(
        xlabel="variance of the noise, σ²",
        ylabel="mean squared error",
        xlim=(0, 4),
        ylim=(0, 1.3),
    )
    ax.set(xticks=np.arange(0, 4.1, 0.5), yticks=np.arange(0, 1.31, 0.1))
    ax.grid(True, alpha=0.4)
    ax.legend(loc="lower right")
    return fig


# Lesson 04


def distortion(rate):
    """The distortion of the best model at this rate, in nats: an exponential that falls to 70."""
    return 70 + 130 * np.exp(-np.asarray(rate) / 18)


def best_rate(beta: float) -> float:
    """The rate at which the curve has the slope -β."""
    return 18 * math.log(130 / 18 / beta)


def rate_distortion_data() -> dict[str, tuple[float, float]]:
    """Rate and distortion of the five models, by name."""
    at = {name: best_rate(beta) for name, beta in (("T", 4), ("P", 2), ("Q", 1), ("U", 0.25))}
    points = {name: (rate, float(distortion(rate))) for name, rate in at.items()}
    return {**points, "S": (37.0, 106.0)}


@figure
def rate_distortion():
    fig, ax = plt.subplots(figsize=(7.5, 4.8))
    for total in range(80, 201, 8):
        ax.plot([0, total], [total, 0], color="#cccccc", linewidth=1, zorder=0)
        if total <= 136:
            white = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
            ax.text(
                total - 68,
                68,
                str(total),
                fontsize=10,
                color="#666666",
                ha="center",
                va="center",
                bbox=white,
            )
    for name, (rate, height) in rate_distortion_data().items():
        ax.plot(rate, height, "o", color=BLUE, markersize=9)
        ax.annotate(name, (rate, height), (9, 7), textcoords="offset points", fontsize=14)
    ax.set(xlabel="rate R, nats", ylabel="distortion D, nats", xlim=(0, 75), ylim=(64, 160))
    ax.set(
        xticks=range(0, 76, 5),
        yticks=range(70, 161, 10),
        title="Grey: lines of equal R + D, 8 nats apart",
    )
    ax.grid(True, alpha=0.25)
    return fig


# Lesson 04b


KLS = {
    "M": [0.008, 0.006, 0.004, 0.003, 0.002, 0.001, 0.001, 0.001],
    "N": [0.51, 0.505, 0.50, 0.50, 0.50, 0.50, 0.50, 0.50],
    "O": [2.9, 2.4, 1.7, 1.1, 0.6, 0.006, 0.004, 0.003],
}


@figure
def kl_bars():
    fig, axes = plt.subplots(1, 3, figsize=(9, 3.2), layout="constrained")
    for (name, kls), ax in zip(KLS.items(), axes):
        ax.bar(range(1, 9), kls, color=BLUE)
        ax.axhline(0.01, color=VERMILION, linewidth=1)
        ax.set(title=f"Model {name}", xlabel="latent, sorted", xticks=range(1, 9))
        ax.set(ylim=(0, 1.0 if name == "N" else 3.2 if name == "O" else 0.02))
    axes[0].set_ylabel("mean KL, nats")
    axes[0].annotate(
        "0.01", (8.4, 0.01), (0, 3), textcoords="offset points", color=VERMILION, ha="right"
    )
    fig.suptitle("Mean KL of each latent (the scales differ)", fontsize=12)
    return fig


SCORES = {"normal digits": (90, 15), "held-out 1s": (62, 9), "letters": (115, 18)}
"""Mean and standard deviation of minus ELBO, nats."""


@figure
def scores():
    x = torch.linspace(20, 190, 500)
    fig, ax = plt.subplots(figsize=(7.5, 3.6))
    for (name, (mean, std)), colour in zip(SCORES.items(), (BLACK, VERMILION, BLUE)):
        y = Normal(float(mean), float(std)).log_prob(x).exp()
        ax.plot(x, y, color=colour, label=f"{name}: mean {mean}, standard deviation {std}")
        ax.fill_between(x, y, color=colour, alpha=0.15)
    ax.set(xlabel="minus ELBO, nats", ylabel="density", xlim=(20, 190), ylim=(0, 0.062))
    ax.legend(fontsize=10.5)
    return fig


# Lesson 05


def critic_data(x):
    """Density of the data and D* at x (a tensor), against a generator that stays hidden."""
    data = (
        0.6 * Normal(-2.0, 0.8 * 1.25).log_prob(x).exp()
        + 0.4 * Normal(2.0, 1.0).log_prob(x).exp()
    )
    model = Normal(0.3, 1.6).log_prob(x).exp()
    return data, data / (data + model)


@figure
def critic():
    x = torch.linspace(-6, 6, 400)
    fig, axes = plt.subplots(2, 1, figsize=(7.5, 5.4), sharex=True, layout="constrained")
    at = torch.tensor([-2.0, 0.0, 2.0])
    titles = ("density of the data", "best discriminator D*")
    offsets = ((9, 6), (2, -18), (9, 6)), ((9, 6), (2, -18), (2, -18))
    for ax, curve, dots, colour, title, places in zip(
        axes, critic_data(x), critic_data(at), (BLACK, PURPLE), titles, offsets
    ):
        ax.plot(x, curve, color=colour)
        ax.plot(at, dots, "o", color=colour)
        for place, value, offset in zip(at, dots, places):
            ax.annotate(
                f"{value:.3f}", (place, value), offset, textcoords="offset points", fontsize=11
            )
        ax.set(ylabel=title)
        ax.grid(True, alpha=0.4)
    axes[0].set(ylim=(0, 0.3))
    axes[1].axhline(0.5, color="#888888", linestyle="--", linewidth=1)
    axes[1].set(xlabel="x", ylim=(0, 1), xticks=range(-6, 7), xlim=(-6, 6))
    return fig


# Lesson 06


T = 1_000
ALPHA_BAR = torch.cos(torch.linspace(0, math.pi / 2, T + 1)).square().clamp(1e-6)
CENTRES, WIDTH = torch.tensor([-1.5, 1.5]), 0.2


def clean_guess(x, a):
    """E[x_0 | x_t] for x (N,) at signal power a, where the data are two narrow bumps."""
    variance = a * WIDTH**2 + 1 - a
    offsets = x[:, None] - a.sqrt() * CENTRES  # (N, 2)
    shares = (-0.5 * offsets**2 / variance).softmax(1)
    return (shares * (CENTRES + a.sqrt() * WIDTH**2 / variance * offsets)).sum(1)


@cache
def paths_data():
    """The states of twelve paths at each time from T to 0: ancestral and DDIM, (T + 1, 12) each."""
    start = Normal(0.0, 1.0).icdf((torch.arange(12) + 0.5) / 12)
    generator = torch.Generator().manual_seed(2)
    found = []
    for noisy in (True, False):
        x, states = start, [start]
        for a, b in zip(ALPHA_BAR.flip(0), ALPHA_BAR.flip(0)[1:]):
            x0 = clean_guess(x, a)
            variance = (1 - b) / (1 - a) * (1 - a / b) if noisy else torch.zeros(())
            eps = (x - a.sqrt() * x0) / (1 - a).sqrt()
            x = b.sqrt() * x0 + (1 - b - variance).clamp(min=0).sqrt() * eps
            x = x + variance.clamp(min=0).sqrt() * torch.randn(12, generator=generator)
            states.append(x)
        found.append(torch.stack(states))
    return found


@figure
def paths():
    fig, axes = plt.subplots(1, 2, figsize=(9.5, 3.8), sharey=True, layout="constrained")
    times = torch.arange(T, -1, -1)
    for ax, states, name in zip(axes, paths_data(), "XY"):
        for path in states.T:
            ax.plot(times, path, color=BLUE if path[-1] > 0 else VERMILION, linewidth=1)
        ax.set(title=f"Panel {name}", xlabel="t", xlim=(T, 0), xticks=range(0, T + 1, 200))
    axes[0].set_ylabel("state x_t")
    return fig


# Lesson 06b


POINTS = np.array([-2.0, -1.2, -0.4, 0.3, 0.9, 2.6])
SEEN = {"U": 0.999, "V": 0.02, "W": 0.7}
"""ᾱ_t of the three panels."""


def posterior_weights_data(power: float) -> np.ndarray:
    """Weights (6,) of the training points for the state that comes from the point at 0.9 with noise of 0.3."""
    state = math.sqrt(power) * 0.9 + 0.3 * math.sqrt(1 - power)
    logits = -((state - math.sqrt(power) * POINTS) ** 2) / (2 * (1 - power))
    weights = np.exp(logits - logits.max())
    return weights / weights.sum()


@figure
def posterior_weights():
    fig, axes = plt.subplots(1, 3, figsize=(9.5, 3.2), sharey=True, layout="constrained")
    for (name, power), ax in zip(SEEN.items(), axes):
        weights = posterior_weights_data(power)
        ax.bar(POINTS, weights, width=0.28, color=BLUE)
        for point, weight in zip(POINTS, weights):
            ax.text(point, weight + 0.02, f"{weight:.2f}", ha="center", fontsize=9.5)
        ax.set(title=f"Panel {name}", xlabel="training point", ylim=(0, 1.12))
        ax.set_xticks(POINTS, [f"{p:g}".replace("-", "−") for p in POINTS], fontsize=9.5)
    axes[0].set_ylabel("weight ρ")
    return fig


@cache
def nearest_data() -> dict[str, np.ndarray]:
    """Distances (300,) to the nearest training point: three models, and fresh real points."""
    train = cu.moons(300, seed=1)
    generator = torch.Generator().manual_seed(0)
    sets = {
        "E": train[torch.randperm(300, generator=generator)]
        + 0.008 * torch.randn(300, 2, generator=generator),
        "F": cu.moons(300, seed=2),
        "H": cu.moons(300, seed=3) + 0.35 * torch.randn(300, 2, generator=generator),
        "fresh real points": cu.moons(300, seed=4),
    }
    return {name: torch.cdist(x, train).min(1).values.numpy() for name, x in sets.items()}


@figure
def nearest():
    *distances, (_, real) = nearest_data().items()
    bins = np.arange(0, 0.52, 0.02)
    fig, axes = plt.subplots(1, 3, figsize=(9.5, 3.3), sharey=True, layout="constrained")
    for (name, values), ax in zip(distances, axes):
        ax.hist(np.minimum(values, 0.51), bins=bins, color=BLUE, alpha=0.6)
        ax.hist(real, bins=bins, histtype="step", color=BLACK, linewidth=1.8)
        ax.set(title=f"Model {name}", xlabel="distance to the nearest\ntraining point")
    axes[0].set_ylabel("draws")
    axes[2].text(
        0.98, 0.95, "last bar: 0.5 and more", transform=axes[2].transAxes, ha="right", va="top"
    )
    return fig


# Lesson 07


@cache
def panels_data():
    """The real points (400, 2) and the draws of the four generators, (400, 2) each."""
    real = cu.moons(400, seed=1)
    generator = torch.Generator().manual_seed(0)
    two, upper = cu.moons(900, seed=5, labels=True)
    ten = cu.moons(10, seed=9).repeat(40, 1)
    wide = cu.moons(400, seed=6) + 0.28 * torch.randn(400, 2, generator=generator)
    return real, [two[upper == 0][:400], wide, ten, cu.moons(400, seed=7)]


@figure
def panels():
    real, fakes = panels_data()
    fig, axes = plt.subplots(
        1, 4, figsize=(9.5, 2.2), sharex=True, sharey=True, layout="constrained"
    )
    for i, (fake, ax) in enumerate(zip(fakes, axes), 1):
        ax.scatter(*real.T, s=9, color="#c4c4c4")
        ax.scatter(*fake.T, s=9, color=BLUE, alpha=0.6)
        ax.set(title=f"Panel {i}", xticks=[], yticks=[])
        ax.set_aspect("equal")
    return fig
