"""Every number of the mid-term's model answers, computed anew: by other means than the answer's where there are any.

`NUMBERS["02.2"]()` returns what the answer prints (as text) and its value. Texts that stand for a reading or for a
measured count come with a tolerance: (value, tolerance).
"""

import contextlib
import io
import math
from functools import cache
from itertools import pairwise

import numpy as np
import torch
from scipy import integrate, optimize, stats
from torch.distributions import MultivariateNormal, Normal, kl_divergence

import course_utils as cu
from assessment.midterm import figures

NUMBERS = {}


def answers(name):
    """Register the numbers of one question."""

    def keep(function):
        NUMBERS[name] = cache(function)
        return function

    return keep


@cache
def ran(code: str) -> dict:
    """Run a program of the bank, once, without its words, and return its variables."""
    names = {}
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(code, "<program>", "exec"), names)
    return {**names, "printed": printed.getvalue()}


@answers("00.2")
def two_units(question):
    zero = torch.zeros(()).double()
    here, there = Normal(zero, 1.0), Normal(zero, 255.0)  # one model in two units
    x = zero + 0.3
    shift = 784 * float(there.log_prob(255 * x) - here.log_prob(x))
    return {"4{,}344.4": -shift, "-3{,}058.4": 1286 + shift, "58.4": -3000 - (1286 + shift)}


@answers("00.3")
def laplace(question):
    def mean(prior):
        top, _ = integrate.quad(lambda theta: theta * (1 - theta) ** 3 * prior(theta), 0, 1)
        return top / integrate.quad(lambda theta: (1 - theta) ** 3 * prior(theta), 0, 1)[0]

    flat, bent = mean(lambda theta: 1), mean(lambda theta: 6 * theta * (1 - theta))
    return {"0.2$": flat, "-1.609": math.log(flat), "0.286": bent, "-1.253": math.log(bent)}


@answers("00.4")
def shells(question):
    exact = stats.chi(784)
    by_density = stats.norm.logpdf(0.70) - stats.norm.logpdf(1.00)
    assert figures.shells_data()["B"].mean() == pytest_approx(1.0, 0.002)
    return {"0.025": exact.std() / 28, "199.9": 784 * by_density}


def pytest_approx(value, tolerance):
    """pytest.approx, imported late: this module is no test."""
    import pytest

    return pytest.approx(value, abs=tolerance)


@answers("01.2")
def three_classes(question):
    def gap(x, middle):
        outer = (1 - middle) / 2
        return (stats.norm.logpdf(x, -2) + math.log(outer)) - (stats.norm.logpdf(x) + math.log(middle))

    assert optimize.brentq(gap, -3, 0, (1 / 3,)) == pytest_approx(-1, 1e-9)
    edge = optimize.brentq(gap, -3, 0, (0.2,))
    vanishing = optimize.brentq(lambda middle: gap(0.0, middle), 1e-6, 0.5)
    return {"-0.653": edge, "0.063": vanishing}


@answers("01.3")
def useless_feature(question):
    cov = torch.tensor([[1.0, 0.8], [0.8, 1.0]]).double()
    zero = MultivariateNormal(torch.zeros(2).double(), cov)
    one = MultivariateNormal(torch.tensor([1.0, 0.0]).double(), cov)

    def odds(x):
        return one.log_prob(x) - zero.log_prob(x)

    x = torch.zeros(2).double().requires_grad_()
    b = odds(x)
    (w,) = torch.autograd.grad(b, x)
    b = b.detach()
    filled = odds(torch.tensor([1.0, 0.0]).double())
    seen = float(stats.norm.logpdf(1.0, 1.0) - stats.norm.logpdf(1.0, 0.0))
    line = torch.linspace(-30, 30, 60_001).double()
    plane = torch.stack([torch.ones_like(line), line], 1)  # x_1 = 1 and every x_2, to be summed out
    sums = [float(c.log_prob(plane).logsumexp(0)) for c in (zero, one)]
    assert sums[1] - sums[0] == pytest_approx(seen, 1e-5)
    return {
        "2.778": float(w[0]), "-2.222": float(w[1]), "-1.389": float(b), "a=2.778-1.389=1.389": float(filled),
        "0.36": float(cov.det()), "0.5$": seen, "0.622": 1 / (1 + math.exp(-seen)),
        "0.800": float(filled.sigmoid()),
    }  # fmt: skip


@answers("01.4")
def claims(question):
    members, right = figures.MEMBERS, figures.RIGHT["A"]
    said = {f"{claim:.2f}": claim for claim in figures.CLAIMS}
    said |= {str(round(n)): n for n in members} | {f"{share:.2f}": share for share in right}
    said |= {f"{n * claim:.0f}": n * claim for n, claim in zip(members, figures.CLAIMS)}
    said |= {f"{n * share:.0f}": n * share for n, share in zip(members, right)}
    mean, hits = (members * figures.CLAIMS).sum() / 1000, (members * right).sum() / 1000
    return said | {"0.81": mean, "0.68": hits, "13": 100 * (mean - hits), "68": 100 * hits, "0.1": 1 / 10}


@answers("01.5")
def tenth(question):
    return {"-1.609": math.log(1 - 0.8), "-0.083": math.log(1 - 0.8 / 10), "0.8": 0.8, "0.08": 0.8 / 10}


@answers("02.2")
def lamps(question):
    counts, rates = np.array([0, 1, 6]), np.array([1.0, 4.0])
    joint = 0.5 * stats.poisson.pmf(counts[:, None], rates)
    resp = joint / joint.sum(1, keepdims=True)
    ratio, owned = resp[:, 0] / resp[:, 1], resp.sum(0)
    weights, means = owned / 3, resp.T @ counts / owned
    return {
        "20.09": ratio[0], "5.02": ratio[1], "0.0049": ratio[2], "0.953": resp[0, 0], "0.834": resp[1, 0],
        "0.005": resp[2, 0], "1.791": owned[0], "0.597": weights[0], "0.403": weights[1], "0.482": means[0],
        "5.078": means[1],
    }  # fmt: skip


@answers("02.4")
def one_point_each(question):
    (weights, *_) = ran(question.program)["params"]
    assert float((weights[0] - weights[1]).abs()) < 1e-8
    return {"0.001": float(weights[0])}


@answers("02.5")
def order_of_lines(question):
    def needed(code):
        climb = ran(code)["climb"]
        assert min(after - before for before, after in pairwise(climb)) > -1e-12  # never falls
        return sum(value < climb[-1] - 1e-4 for value in climb), climb[-1]

    (swapped, end), (exact, same_end) = needed(question.program), needed(question.repaired)
    assert end == pytest_approx(same_end, 1e-4)
    return {"needs 4": exact, "program needs 43": swapped}


@answers("02b.1")
def three_db(question):
    ratio = {db: optimize.brentq(lambda r, db=db: 10 * math.log10(1 + r) - db, 0, 10) for db in (1.2, 4.5)}
    return {"0.12": 1.2 / 10, "0.318": ratio[1.2], "0.45": 4.5 / 10, "1.818": ratio[4.5]}


def witnesses(rho: float, doubt: float = 0.0, n: int = 20):
    """Weights (n,) and variance of the posterior mean of z ~ N(0, 1), given n pixels z + error."""
    cov = np.full((n, n), 1 + rho)  # of the pixels: z, and errors of variance 1 with correlation ρ
    np.fill_diagonal(cov, 2 + doubt)
    weights = np.linalg.solve(cov, np.ones(n))
    return weights, 1 - weights.sum()


@answers("02b.2")
def how_many(question):
    _, claimed = witnesses(0.0)
    true_weights, true = witnesses(0.48)
    right = optimize.brentq(lambda v: witnesses(0.0, v)[1] - true, 0, 100)
    assert np.allclose(witnesses(0.0, right)[0], true_weights)
    effective = 1 / true - 1
    return {
        "21": 1 / claimed, "0.048": claimed, "0.218": claimed**0.5, "1.976": effective, "10.12": 20 / effective,
        "2.976": 1 / true, "0.336": true, "0.580": true**0.5, "9.12": right,
    }  # fmt: skip


@answers("02b.4")
def honest_twice(question):
    def distance(doubt):
        error, of_draw = figures.doubt_data(doubt)
        return 10 * math.log10(of_draw / error)

    best = optimize.minimize_scalar(lambda v: figures.doubt_data(v)[0], (1, 9, 40)).x
    _, true = witnesses(0.48)
    assert figures.doubt_data(9.12)[0] == pytest_approx(true, 1e-9)
    assert distance(1e7) == pytest_approx(10 * math.log10(2), 1e-3)
    return {
        "about 0.5": distance(0.1), "it is 3 dB": distance(9.0), "3.7": distance(40.0), "9.12": best, "19": 20 - 1
    }  # fmt: skip


@answers("03.2")
def turned_round(question):
    return {"30": 100 * 0.30, "0.12": 1 - 0.88}


@answers("03.3")
def units(question):
    inches, centimetres = np.linalg.eigvalsh(np.diag([4.0, 1.0])), np.linalg.eigvalsh(np.diag([4.0, 2.54**2]))
    return {"loss is 1": inches[0], "6.45": centimetres[1], "loss is 4": centimetres[0]}


@answers("03.4")
def rate(question):
    short, long = (figures.rate_psnr_data(k, np.array([0.05, 0.25])) for k in (8, 32))
    steep = figures.rate_psnr_data(32, np.array([-0.3, -0.3 + 32 / 784]))
    images = optimize.brentq(lambda n: 400_000 * 2 + 22 * n - 62 * n, 1, 1e6)
    assert steep[1] - steep[0] == pytest_approx(20 * math.log10(2), 0.01)
    return {
        "about 16.0": short[0], "10.4": long[0], "21.9": long[1], "6.02": 20 * math.log10(2), "800{,}000": 400_000 * 2,
        "20{,}000": images, "40": 62 - 22, "\\Delta^2/12": 1 / stats.uniform(-0.5, 1).var(),
    }  # fmt: skip


def denoiser(noisy, sigma, clean):
    """E[x | noisy] for equally probable clean points on a line, by Bayes' rule."""
    weights = np.exp(-((noisy - clean) ** 2) / (2 * sigma**2))
    return (weights * clean).sum() / weights.sum()


@answers("03b.1")
def clean_input(question):
    clean = np.linspace(-8, 8, 40_001)
    weights = np.exp(-(clean**2) / 2 - (1 - clean) ** 2 / (2 * 0.5**2))  # N(0, 1) and the noise, at x̃ = 1
    return {"0.8": (weights * clean).sum() / weights.sum(), "0.25": 0.5**2}


@answers("03b.2")
def counts(question):
    rng = np.random.default_rng(0)
    light = rng.gamma(1.5, 0.8, 400_000)  # any density of brightness
    seen = rng.poisson(light)
    share = np.bincount(seen, minlength=6) / len(seen)
    for y in range(3):  # the formula itself, by Monte Carlo
        assert light[seen == y].mean() == pytest_approx((y + 1) * share[y + 1] / share[y], 0.03)
    table = [600, 250, 100, 35, 15]
    guess = [(y + 1) * table[y + 1] / table[y] for y in range(3)]
    return {"0.417": guess[0], "0.8": guess[1], "1.05": guess[2]}


@answers("03b.3")
def two_points(question):
    best = denoiser(0.25, 0.5, np.array([-1.0, 1.0]))
    x = torch.tensor(0.25).double().requires_grad_()
    density = Normal(torch.tensor([-1.0, 1.0]).double(), 0.5).log_prob(x).logsumexp(0)
    (score,) = torch.autograd.grad(density, x)
    assert best - 0.25 == pytest_approx(0.25 * float(score), 1e-9)  # Tweedie
    return {"0.762": best, "0.512": best - 0.25, "2.046": float(score)}


@answers("03b.4")
def lines(question):
    def average(gain):
        return integrate.quad(lambda v: figures.tangents_data(gain, v), 0, 4)[0] / 4

    best = optimize.minimize_scalar(average, bounds=(0, 1), method="bounded").x
    assert best == pytest_approx(1 / 3, 1e-4)
    touch = {  # where each line comes nearest to the error of the one that is told
        name: optimize.minimize_scalar(
            lambda v, gain=gain: figures.tangents_data(gain, v) - v / (1 + v), bounds=(0, 4), method="bounded"
        ).x
        for name, gain in figures.GAINS.items()
    }
    told = integrate.quad(lambda v: v / (1 + v), 0, 4)[0] / 4
    return {
        "A at 0.25": touch["A"], "B at 1": touch["B"], "C at 3": touch["C"],
        "About 0.25": figures.tangents_data(figures.GAINS["B"], 0.0), "0.667": average(best), "0.598": told,
        "0.069": average(best) - told,
    }  # fmt: skip


@answers("04.1")
def lower_loss(question):
    assert 66 + 0.5 * 34 == 83 and 70 + 25 == 95
    return {"34=100": 66 + 34}


def kl_to(width: float) -> float:
    """The average KL of the two clouds of 04.2 to N(0, width²)."""
    clouds = Normal(torch.tensor([1.5, -1.5]).double(), 0.5)
    return float(kl_divergence(clouds, Normal(torch.zeros(2).double(), width)).mean())


@answers("04.2")
def width(question):
    best = optimize.minimize_scalar(kl_to, bounds=(0.1, 10), method="bounded").x ** 2
    assert best == pytest_approx(2.5, 1e-3)
    narrow, right = kl_to(1.0), kl_to(best**0.5)
    return {
        "2.25+": 1.5**2, "0.25=": 0.5**2, "2.5$": best, "1.443": narrow, "1.151": right, "0.292": narrow - right,
        "\\frac12\\log10": best / 0.25,
    }  # fmt: skip


def variances(mu: float, sigma: float) -> list[float]:
    """Variances of the three estimators of 04.3, by Gauss–Hermite quadrature (exact for polynomials)."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(20)
    weights = weights / weights.sum()
    z = mu + sigma * nodes
    b = mu**2 + sigma**2
    found = []
    for g in (2 * z, z**2 * (z - mu) / sigma**2, (z**2 - b) * (z - mu) / sigma**2):
        mean = (weights * g).sum()
        assert mean == pytest_approx(2 * mu, 1e-9)
        found.append((weights * (g - mean) ** 2).sum())
    return found


@answers("04.3")
def two_gradients(question):
    for mu, sigma in ((1.0, 0.5), (0.3, 2.0)):
        formulas = 4 * sigma**2, mu**4 / sigma**2 + 14 * mu**2 + 15 * sigma**2, 8 * mu**2 + 10 * sigma**2
        assert np.allclose(variances(mu, sigma), formulas)
    one, two, three = variances(1.0, 0.5)
    return {
        "g_1=1": one, "21.75": two, "10.5": three, "3.75": 15 * 0.25, "2.5": 10 * 0.25, "4+14": 14,
        "+14\\mu": (variances(2.0, 1.0)[1] - 16 - 15) / 4, "=12\\mu": variances(1.0, 0.5)[2] + 4 - 2.5,
        "+10\\sigma": variances(0.0, 1.0)[2], "+15\\sigma": variances(0.0, 1.0)[1],
        "12\\mu^2\\sigma^2+15": variances(0.0, 1.0)[1],
    }  # fmt: skip


@answers("04.4")
def five_points(question):
    points = figures.rate_distortion_data()
    (rate_p, d_p), (rate_q, d_q) = points["P"], points["Q"]
    sums = {name: sum(point) for name, point in points.items()}
    assert points["S"][1] > figures.distortion(points["S"][0])  # above the curve
    return {
        "(23,": rate_p, "106)": d_p, "(36,": rate_q, " 88)": d_q, "R+D\\approx124": sums["Q"],
        "1.4": (d_p - d_q) / (rate_q - rate_p),
    }  # fmt: skip


@answers("04.5")
def grey_paper(question):
    found = ran(question.program)
    least = 684 * -math.log(0.5) + 100 * -math.log(torch.tensor(1.0).sigmoid())
    assert 0.5 <= float(found["chance"].min()) < 0.51 and 0.72 < float(found["chance"].max()) <= 0.7311
    assert least < float(found["distortion"].detach()) < least + 3
    sigmoids = torch.tensor([0.0, 1.0]).sigmoid()
    return {
        "0.5$": float(sigmoids[0]), "0.731": float(sigmoids[1]), "0.693": -math.log(0.5),
        "0.313": -math.log(float(sigmoids[1])), "505.4": least,
    }  # fmt: skip


@answers("04b.2")
def many_draws(question):
    spread = 2 * 4.7
    need = (math.exp(spread) - 1) / (2 * 0.1)
    return {
        "9.4$": spread, "12{,}088": math.exp(spread), "12.1": (math.exp(spread) - 1) / (2 * 500),
        "0.2": 2 * 0.1, "60{,}000": (need, 1_000),
    }  # fmt: skip


@answers("04b.3")
def bars(question):
    active = {name: sum(kl > 0.01 for kl in kls) for name, kls in figures.KLS.items()}
    return {"0.5": min(figures.KLS["N"]), "M: 0": active["M"], "N: 8": active["N"], "O: 5": active["O"]}


@answers("04b.4")
def threshold(question):
    normal, ones, letters = (
        stats.norm(*figures.SCORES[n]) for n in ("normal digits", "held-out 1s", "letters")
    )
    edge = normal.ppf(0.95)
    scores = np.linspace(-100, 300, 20_001)

    def auroc(strange):  # the chance that a strange score is above a normal one, by integration
        return integrate.trapezoid(strange.pdf(scores) * normal.cdf(scores), scores)

    assert round((ones.mean() - edge) / ones.std()) == -6
    return {
        "114.7": edge, "-115": -letters.mean(), "{18}": letters.std(), "mean, 62": ones.mean(), "90+": normal.mean(),
        "0.508": (letters.sf(edge), 0.001), "0.857": (auroc(letters), 0.0007), "0.055": auroc(ones),
        "\\sqrt{15": normal.std(), "25/": letters.mean() - normal.mean(), "-28": ones.mean() - normal.mean(),
        "=1.07": (stats.norm.ppf(auroc(letters)), 0.01), "-1.60": (stats.norm.ppf(auroc(ones)), 0.01),
    }  # fmt: skip


@answers("04b.5")
def same_draw(question):
    gap = float(kl_divergence(Normal(0.0, 1.0), Normal(0.0, math.sqrt(0.5))))
    broken = ran(question.program)
    exact = float(Normal(0.0, math.sqrt(2)).log_prob(broken["x"]).mean())
    assert exact - broken["bounds"][0] == pytest_approx(gap, 0.01)
    return {"0.153": gap}


@answers("05.1")
def one_half(question):
    return {"1.386": -2 * math.log(0.5)}


@answers("05.2")
def softened(question):
    def best(p, q, a, b):
        def loss(d):
            real, forged = (1 - a) * np.log(d) + a * np.log(1 - d), b * np.log(d) + (1 - b) * np.log(1 - d)
            return -(p * real + q * forged)

        return optimize.minimize_scalar(
            loss, bounds=(1e-9, 1 - 1e-9), method="bounded", options={"xatol": 1e-9}
        ).x

    assert best(0.0, 0.2, 0.1, 0.0) == pytest_approx(0, 1e-4)
    assert best(0.0, 0.2, 0.1, 0.1) == pytest_approx(0.1, 1e-4)
    return {
        "0.75": best(0.3, 0.1, 0, 0), "0.675": best(0.3, 0.1, 0.1, 0), "0.70": best(0.3, 0.1, 0.1, 0.1),
        "0.45": best(0.2, 0.2, 0.1, 0), "0.4=0.75": 0.75, "0.27/": 0.9 * 0.3, "0.01)": 0.1 * 0.1, "=0.9/2": 2,
        "0.3/0.4": 0.3 + 0.1, "D^*=0.9": 1 - 0.1,
    }  # fmt: skip


@answers("05.3")
def critic(question):
    x = torch.tensor([-2.0, 0.0, 2.0])
    data, best = figures.critic_data(x)
    hidden = Normal(0.3, 1.6).log_prob(x).exp()  # what the figure does not show
    line = torch.linspace(-6, 6, 120_001)
    _, curve = figures.critic_data(line)
    crossings = line[1:][(curve[1:] > 0.5) != (curve[:-1] > 0.5)]
    said = {"0.239": data[0], "0.054": data[1], "0.160": data[2], "0.24$": hidden[1]}
    seen, sure = round(float(data[0]), 3), round(float(best[0]), 3)  # as the figure prints them
    said |= {"0.088": seen * (1 - sure) / sure}
    said |= {"0.14$": hidden[2], "0.73": best[0], "0.181": best[1], "0.53": best[2]}
    said |= {"0.27": 1 - best[0], "0.819": 1 - best[1], "0.47": 1 - best[2]}
    said |= dict(zip(("$-5.8$", "$-1.1$", "1.8", "4.3"), crossings))
    said |= {
        "-3.5": (line[curve.argmax()], 0.06),
        "$-1.1$": (crossings[1], 0.06),
        "4.3": (crossings[3], 0.06),
    }
    return {text: value if isinstance(value, tuple) else float(value) for text, value in said.items()}


@answers("05.5")
def shrinking(question):
    ratio = float(ran(question.program)["G"].weight.detach().norm()) / ran(question.program)["before"]
    return {"0.368": ratio, "=0.9999\\,w": ratio**1e-4, "0.99\\,w": 0.99, "0.01$ times": 1 - 0.99}


@answers("06.2")
def loss_floor(question):
    def guess(s2, power):  # regression of the noise on x_t, from the covariances of (x_0, ε)
        x = np.array([power**0.5, (1 - power) ** 0.5])
        cov = np.diag([s2, 1.0])
        slope = cov[1] @ x / (x @ cov @ x)
        return slope, 1 - slope * (cov[1] @ x)

    times = np.arange(1, 1001) / 1000
    floor = np.mean([guess(1.0, np.cos(np.pi * t / 2) ** 2)[1] for t in times])
    assert floor == pytest_approx(0.5, 1e-3)
    slope, error = guess(0.25, 0.5)
    return {
        "1.131": slope,
        "=0.2$": error,
        "0.7071": 0.5**0.5,
        "0.125": 0.5 * 0.25,
        "0.625": 0.5 * 0.25 + 0.5,
    }


@answers("06.3")
def two_ways(question):
    noisy, smooth = figures.paths_data()
    for states in (noisy, smooth):
        assert int((states[-1] > 0).sum()) == 6
        assert float((states[-1].abs() - 1.5).abs().max()) < 1
    assert bool(((smooth > 0) == (smooth[-1] > 0)).all())  # the start decides, and no paths cross
    assert bool((smooth.sort(1).indices == torch.arange(12)).all())
    changes = ((noisy > 0) != (noisy[-1] > 0)).any(1).nonzero().max()
    return {"$t=400$": (figures.T - int(changes), 60)}


@answers("06.4")
def told_the_step(question):
    times = ran(question.program)["times"].tolist()  # of the run with fifty steps
    return {"i=49": len(times) - 2, "=951": 1000 - (len(times) - 2), "t=20": times[-2]}


@answers("06b.1")
def visits(question):
    return {"200=10{,}000": 40_000 * 50 / 200}


@answers("06b.2")
def lost_spread(question):
    def variance(n):  # DDIM on N(0, 1) with the exact guesses, as lesson 06 writes it
        x = torch.tensor(1.0).double()
        angles = torch.linspace(math.pi / 2, 0, n + 1).double()
        for now, then in pairwise(angles):
            x0, eps = now.cos() * x, now.sin() * x
            x = then.cos() * x0 + then.sin() * eps
        return float(x**2)

    assert variance(5_000) == pytest_approx(1, 1e-3)
    return {"0.25": variance(2), "0.781": variance(10), "0.952": variance(50)}


@answers("06b.3")
def remembers(question):
    weights = figures.posterior_weights_data(figures.SEEN["V"])
    printed = weights.round(2)
    parts = printed * figures.POINTS
    said = dict(zip(("-0.28", "0.192", "0.068", "0.051", "0.162", "0.494"), np.abs(parts)))
    said["-0.28"] = parts[0]
    exact = float((weights * figures.POINTS).sum())
    return said | {"0.167": parts.sum(), "0.154": exact, "0.03": figures.POINTS.mean()}


@answers("06b.4")
def every_tenth(question):
    medians = {name: np.median(d) for name, d in figures.nearest_data().items()}
    real = medians["fresh real points"]
    assert medians["E"] < real / 5 and medians["H"] > 1.5 * real and abs(medians["F"] - real) < 0.2 * real
    return {"10 %": 100 / 10}


@answers("06b.5")
def wrong_side(question):
    broken, right = (ran(code)["bound"] for code in (question.program, question.repaired))
    entropy = float(Normal(0.0, 1.0).entropy())
    for steps in (10, 100, 1_000):
        assert broken(steps) < entropy < right(steps)
    assert right(200_000) == pytest_approx(entropy, 1e-3) and broken(200_000) == pytest_approx(entropy, 1e-3)
    return {
        "1.419": entropy, "6.314": right(10), "-0.386": broken(10), "1.447": right(1_000), "1.391": broken(1_000),
        "10 steps": 10, "1,000 steps": 1_000,
    }  # fmt: skip


@answers("07.1")
def three_sizes(question):
    return {"0.6": 2.6 - 2.0}


@answers("07.2")
def overlap(question):
    x, y = np.array([3.1, 2.9, 3.3, 3.0, 3.2]), np.array([2.9, 2.8, 3.1, 2.8, 3.0])
    paired, unpaired = stats.ttest_rel(x, y), stats.ttest_ind(x, y)
    gaps = x - y
    return {
        "3.10": x.mean(), "0.158": x.std(ddof=1), "2.92": y.mean(), "0.130": y.std(ddof=1), "0.18,": gaps.mean(),
        "0.0447": gaps.std(ddof=1), "error $0.0447/\\sqrt5=0.02": stats.sem(gaps), "t=9": paired.statistic,
        "0.0917": gaps.mean() / unpaired.statistic, "1.96": (unpaired.statistic, 0.01), "0.025": x.var(ddof=1),
        "0.017": y.var(ddof=1), "are 0.2": gaps[0], "0.1, ": gaps[1],
    }  # fmt: skip


@answers("07.3")
def two_moments(question):
    def distance(a, b):
        moments = [(torch.tensor([m]).double(), torch.tensor([[v]]).double()) for m, v in (a, b)]
        return cu.metrics.gaussian_frechet(*moments[0], *moments[1])

    def moments(share):  # of a mixture of N(3, 1) and N(-3, 1), by integration
        x = np.linspace(-15, 15, 60_001)
        p = share * stats.norm.pdf(x, 3) + (1 - share) * stats.norm.pdf(x, -3)
        mean = integrate.trapezoid(p * x, x)
        return mean, integrate.trapezoid(p * (x - mean) ** 2, x)

    real, tilted = moments(0.5), moments(0.7)
    return {
        "13.68": (distance(real, (3.0, 1.0)), 0.006), "1.2$;": tilted[0], "8.56": tilted[1], "1.44+": tilted[0] ** 2,
        "3.162": real[1] ** 0.5, "2.926": tilted[1] ** 0.5, "1.496": distance(real, tilted),
    }  # fmt: skip


@answers("07.4")
def four_rows(question):
    real, fakes = figures.panels_data()
    rows = dict(zip("cdba", (cu.metrics.precision_recall(real, fake) for fake in fakes)))
    table = {}
    for line in question.text.splitlines():
        if line.startswith("| ") and line[2] in rows:
            name, *values = (part.strip() for part in line.strip("|").split("|"))
            table[name] = [float(value) for value in values]
    assert sorted(table) == list("abcd")
    for name, values in table.items():
        measured = [rows[name][metric] for metric in ("precision", "recall", "coverage")]
        assert np.abs(np.subtract(values, measured)).max() < 0.0055, (name, values, measured)
    return {"0.98 or above": sorted(values[0] for values in table.values())[1]}


@answers("07.5")
def own_exam(question):
    spread = math.sqrt(0.25 / 60)
    with_both = ran(question.program)
    images, features = len(with_both["real"]) + len(with_both["fake"]), with_both["real"].shape[1]
    low, high = 0.5 - 1.96 * spread, 0.5 + 1.96 * spread
    return {"120 images": images, "128": features, "0.065": spread, "0.37": low, "0.63": high}
