"""The numbers and formulas in the assignments' model answers, computed another way."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from tests.assessment import grading

VARIANTS = pytest.mark.parametrize("variant", [0, 7, 42])


def one(variant: int):
    return grading.read("assignment_1", variant).v


def two(variant: int):
    return grading.read("assignment_2", variant, "10").v


def functions(name: str, variant: int, choice: str | None = None) -> dict:
    """What the reference answers define."""
    found = grading.read(name, variant, choice)
    scope = {}
    for cell in found.cells:
        if cell.role == "answer" or "setup" in cell.tags:
            assert grading.runs(cell.source, scope)
    return scope


# -------------------------------------------------------------------------------------- assignment 1


@VARIANTS
def test_1b_another_country(variant):
    v = one(variant)
    likelihood = np.array(v.seen) / v.shares_a  # up to a factor
    joint = likelihood * v.shares_b
    assert np.allclose(v.in_b, joint / joint.sum())
    assert abs(sum(v.seen) - 1) < 1e-9 and abs(sum(v.shares_b) - 1) < 1e-9


@VARIANTS
def test_3b_one_step_by_hand(variant):
    v = one(variant)
    x = torch.tensor([[1, 1, 0], [1, 0, 0], [0, 1, 1], [0, 0, 1]]).double()
    theta = torch.tensor([[v.p, 0.5, 0.3], [0.2, 0.5, v.q]]).double()
    r = torch.distributions.Bernoulli(theta).log_prob(x[:, None]).sum(2).softmax(1)  # equal weights
    owns = r.sum(0)
    new = (r.T @ x + v.heads - 1) / (owns[:, None] + v.heads + 2 - 2)
    assert np.allclose([v.r11, v.w1, v.theta11], [r[0, 0], owns[0] / 4, new[0, 0]])


@VARIANTS
def test_3a_the_m_step_is_the_maximum_and_the_objective_never_falls(variant):
    v, f = one(variant), functions("assignment_1", variant)
    g = torch.Generator().manual_seed(variant)
    x = (torch.rand(40, 6, generator=g) < 0.5).double()
    weights, theta = torch.full((3,), 1 / 3).double(), 0.2 + 0.6 * torch.rand(3, 6, generator=g).double()

    def prior(t):
        return ((v.a - 1) * t.log() + (v.b - 1) * (1 - t).log()).sum()

    before = -math.inf
    for _ in range(15):
        log_lik = f["log_scan"](x, theta)
        joint = weights.log() + log_lik
        objective = float(joint.logsumexp(1).sum() + prior(theta))
        r = joint.softmax(1)
        assert abs(float(f["bound"](log_lik, r, weights, theta)) - objective) < 1e-8
        assert objective >= before - 1e-9
        before, old = objective, theta
        weights, theta = f["m_step"](x, r, theta)
    shown = old * (1 - v.flip) + (1 - old) * v.flip  # (iii): its gradient vanishes at the new coins
    u = torch.where(x[:, None] == 1, old * (1 - v.flip) / shown, old * v.flip / (1 - shown))  # (N, K, D)
    at = theta.clone().requires_grad_()
    expected = (r[..., None] * (u * at.log() + (1 - u) * (1 - at).log())).sum() + prior(at)
    (gradient,) = torch.autograd.grad(expected, at)
    assert float(gradient.abs().max()) < 1e-8


@VARIANTS
def test_5_no_matrix_of_rank_two_is_better(variant):
    v = one(variant)
    lam = np.array([v.l1, 3, 1.2, 0.4])

    def error(A):
        return (
            lam.sum() - 2 * np.trace(A @ np.diag(lam)) + np.trace(A @ (np.diag(lam) + v.s2 * np.eye(4)) @ A.T)
        )

    best = np.diag([v.shrink5, 3 / (3 + v.s2), 0, 0])
    assert abs(error(best) - v.error5) < 1e-9
    rng = np.random.default_rng(0)
    for _ in range(300):
        near = best + 0.1 * rng.normal(size=(4, 4))
        b, s, c = np.linalg.svd(near)
        assert error(b[:, :2] * s[:2] @ c[:2]) >= v.error5
    whole = list(itertools.combinations(range(4), 2))  # any other pair of directions costs more
    costs = {k: sum(lam[i] * v.s2 / (lam[i] + v.s2) if i in k else lam[i] for i in range(4)) for k in whole}
    assert min(costs, key=costs.get) == (0, 1)


@VARIANTS
def test_6_the_numbers_of_the_visible_test(variant):
    v = one(variant)
    sigma = (1 - v.rho) * np.diag([2, 0.5]) + v.rho * 1.25 * np.eye(2)
    assert abs(v.one_factor - sigma[0, 0] / (sigma[0, 0] + 1)) < 1e-9


@VARIANTS
def test_7_students_t_is_a_mixture_of_gaussians(variant):
    v = one(variant)
    gamma = stats.gamma(v.nu / 2, scale=2 / v.nu)
    for r in (0.0, 0.7, 3.0):

        def joint(g, r=r):
            return gamma.pdf(g) * stats.norm(0, v.s / math.sqrt(g)).pdf(r)

        density = integrate.quad(joint, 0, np.inf)[0]
        assert abs(density - stats.t(v.nu, 0, v.s).pdf(r)) < 1e-6
        mean = integrate.quad(lambda g, joint=joint: g * joint(g), 0, np.inf)[0] / density
        assert abs(mean - (v.nu + 1) / (v.nu + (r / v.s) ** 2)) < 1e-5
        slope = (stats.t(v.nu, 1e-5, v.s).logpdf(r) - stats.t(v.nu, -1e-5, v.s).logpdf(r)) / 2e-5
        assert abs(slope - mean * r / v.s**2) < 1e-4
    line = np.linspace(1e-3, 20 * v.s, 200_001)
    pull = (v.nu + 1) / (v.nu + (line / v.s) ** 2) * line / v.s**2
    assert abs(line[pull.argmax()] - v.turn) < 1e-3 and abs(pull.max() - v.pull) < 1e-4
    assert abs(v.trust - (v.nu + 1) / (v.nu + 25)) < 1e-9


@VARIANTS
def test_8_the_numbers_of_the_visible_tests(variant):
    v = one(variant)
    assert abs(v.peak - stats.t(v.nu8, 0, v.s8).logpdf(0)) < 1e-9
    q = torch.distributions.Normal(torch.zeros(2), torch.tensor([-2.0, 0.5]).div(2).exp())
    kl = torch.distributions.kl_divergence(q, torch.distributions.Normal(0.0, v.width)).sum()
    assert abs(v.one_kl - float(kl)) < 1e-5


# -------------------------------------------------------------------------------------- assignment 2


@VARIANTS
def test_2_the_best_critic(variant):
    v = two(variant)
    p, q = stats.norm(v.m, 1).pdf(1), stats.norm(0, 1.5).pdf(1)
    D = np.linspace(1e-4, 1 - 1e-4, 200_001)
    value = v.share * p * (v.target * np.log(D) + (1 - v.target) * np.log(1 - D))
    value += (1 - v.share) * q * np.log(1 - D)
    assert abs(D[value.argmax()] - v.critic_1) < 1e-4
    assert abs(math.log(p / q) - v.ratio_1) < 1e-9
    back = (1 - v.share) * v.critic_1 / (v.share * (v.target - v.critic_1))
    assert abs(math.log(back) - v.ratio_1) < 1e-9
    plain = v.share * p / (v.share * p + (1 - v.share) * q)  # (iii): s = 1
    logit = math.log(plain / (1 - plain))
    assert abs(logit - v.ratio_1 - math.log(v.share / (1 - v.share))) < 1e-9
    assert v.critic_1 < v.target


@VARIANTS
def test_4_a_classifier_at_the_wheel(variant):
    v = two(variant)
    a = v.abar
    sd = math.sqrt(0.25 * a + 1 - a)
    x = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    classes = [torch.distributions.Normal(sign * math.sqrt(a) * v.mu, sd) for sign in (-1.0, 1.0)]
    log_p = torch.stack([c.log_prob(x) for c in classes]) + math.log(0.5)
    (pull,) = torch.autograd.grad(log_p[1] - log_p.logsumexp(0), x, retain_graph=True)
    (told,) = torch.autograd.grad(classes[1].log_prob(x), x, retain_graph=True)
    (free,) = torch.autograd.grad(log_p.logsumexp(0), x)
    scale = -math.sqrt(1 - a)
    assert abs(float(pull) - v.pull) < 1e-6 and abs(float(scale * told) - v.told) < 1e-6
    assert abs(float(scale * told - (scale * free + scale * pull))) < 1e-6  # (i)
    z = np.random.default_rng(0).normal(size=2_000_000)  # told is the mean of the noise given x_t and y
    x0 = v.mu + 0.5 * np.random.default_rng(1).normal(size=len(z))
    near = np.abs(math.sqrt(a) * x0 + math.sqrt(1 - a) * z - 0.5) < 0.01
    assert abs(z[near].mean() - v.told) < 5 * z[near].std() / math.sqrt(near.sum())


def test_4a_a_perfect_classifier_of_clean_images_is_wrong_at_noisy_ones():
    v = two(7)
    slope_clean = 2 * v.mu / 0.25  # the logit of p(y | x_0)
    assert abs(slope_clean / (1 + math.exp(slope_clean * 0.5)) - v.pull) > 0.1


@VARIANTS
def test_7_the_number_of_the_visible_test(variant):
    v = two(variant)

    def k(a, b):
        return (a * b + v.c) ** 3

    assert abs(v.one_mmd - (k(1, -1) + k(0, 0) - 2 * (k(1, 0) + k(-1, 0)) / 2)) < 1e-9


def test_7c_of_forty_perfect_models_several_lie_above_the_floor():
    for variant in range(60):
        v = two(variant)
        assert 40 * (1 - v.level) > 0.75, "more than one or two at most levels"


def chain(v, x, tau=1.0):
    """p of a word, each conditional cooled by tau."""
    p, bits = 1.0, [0, 0, *x]
    for i in range(len(x)):
        a = (v.one_back * bits[i + 1] + v.two_back * bits[i] - 0.3) / tau
        p *= 1 / (1 + math.exp(-a if bits[i + 2] else a))
    return p


@VARIANTS
def test_8_lesson_09_a_chain_that_looks_two_back(variant):
    v = two(variant)
    words = list(itertools.product((0, 1), repeat=4))
    assert abs(sum(chain(v, x) for x in words) - 1) < 1e-12
    assert abs(math.log(chain(v, (1, 0, 1, 1))) - v.log_1011) < 1e-9
    assert abs(sum(chain(v, x) for x in words if x[2]) - v.third) < 1e-9
    tau = 0.5
    pairs = list(itertools.product((0, 1), repeat=2))
    cooled = {x: chain(v, x) ** (1 / tau) for x in pairs}
    joint = sum(c for x, c in cooled.items() if x[0]) / sum(cooled.values())
    S = [sum((chain(v, (x1, x2)) / chain(v, (x1,))) ** (1 / tau) for x2 in (0, 1)) for x1 in (0, 1)]
    w = [chain(v, (x1,)) ** (1 / tau) for x1 in (0, 1)]
    assert abs(joint - w[1] * S[1] / (w[0] * S[0] + w[1] * S[1])) < 1e-12  # (ii)
    assert abs(chain(v, (1,), tau) - w[1] / (w[0] + w[1])) < 1e-12
    assert (abs(joint - chain(v, (1,), tau)) > 1e-3) == (abs(S[0] - S[1]) > 1e-2)


@VARIANTS
def test_8_lesson_10_a_layer_with_a_bend(variant):
    v = two(variant)

    def log_p(x):
        z = v.straight * x + math.sinh(v.bend * x)
        return math.log(v.straight + v.bend * math.cosh(v.bend * x)) - z**2 / 2 - math.log(2 * math.pi) / 2

    assert abs(integrate.quad(lambda x: math.exp(log_p(x)), -30, 30, points=[-1, 0, 1])[0] - 1) < 1e-6
    assert abs(log_p(0) - v.log_p0) < 1e-9 and abs(log_p(1) - v.log_p1) < 1e-9
    far = 12 / v.bend  # (ii): −⅛ e^{2b|x|} + b|x|, up to what is small beside it
    assert abs(log_p(far) / (-math.exp(2 * v.bend * far) / 8) - 1) < 0.01


@VARIANTS
def test_8_lesson_11_a_ring_of_spins(variant):
    v = two(variant)

    def weight(x, h):
        return math.exp(sum(v.J * x[i] * x[i - 1] + h * x[i] for i in range(4)))

    states = list(itertools.product((-1, 1), repeat=4))

    def Z(h):
        return sum(weight(x, h) for x in states)

    assert abs(math.log(Z(v.h)) - v.log_z4) < 1e-9
    up, down = weight((1, 1, 1, -1), v.h), weight((1, -1, 1, -1), v.h)
    assert abs(up / (up + down) - v.up) < 1e-9
    slope = (math.log(Z(v.h + 1e-5)) - math.log(Z(v.h - 1e-5))) / 2e-5
    assert abs(slope - sum(weight(x, v.h) * sum(x) for x in states) / Z(v.h)) < 1e-6  # (ii)
