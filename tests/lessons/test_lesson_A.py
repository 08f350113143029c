"""Appendix A: each tool against a trusted implementation, brute force or its limiting case."""

import copy

import numpy as np
import pytest
import scipy.linalg
import torch
from torch import nn
from torch.distributions import Categorical, MultivariateNormal, kl_divergence

import course_utils as cu
from tests.lessons.lesson_functions import load

A = load(
    "A",
    *("independent_pixels", "one_gaussian", "pairwise_distances", "sgd_step", "train_by_hand", "log_sum_exp"),
    *(
        "conditional_gaussian",
        "kl",
        "output_size",
        "receptive_field",
        "doubled",
        "moments",
        "frechet_gaussians",
        "fool_the_ruler",
    ),
)
inf = torch.inf


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def covariance(d, seed):
    root = normal(d, d, seed=seed)
    return root @ root.T + 0.1 * torch.eye(d, dtype=torch.float64)


def test_pairwise_distances_agree_with_cdist():
    a, b = normal(30, 7), normal(20, 7, seed=1)
    assert torch.allclose(A.pairwise_distances(a, b), torch.cdist(a, b).square(), atol=1e-10)


def test_independent_pixels_keep_the_marginals_and_lose_the_covariances():
    x = normal(2_000, 1) + 0.01 * normal(2_000, 3, seed=1)  # three columns that are almost the same
    torch.manual_seed(0)
    drawn = A.independent_pixels(x, 20_000)
    assert set(drawn[:, 1].tolist()) <= set(x[:, 1].tolist())
    assert (drawn.mean(0) - x.mean(0)).abs().max() < 0.05
    assert torch.corrcoef(drawn.T)[0, 1].abs() < 0.05 < 0.99 < torch.corrcoef(x.T)[0, 1]


def test_one_gaussian_has_the_moments_of_the_data():
    x = (normal(5_000, 4) @ normal(4, 4, seed=1)).float() + 3
    torch.manual_seed(0)
    drawn = A.one_gaussian(x, 50_000)
    assert torch.allclose(drawn.mean(0), x.mean(0), atol=0.1)
    assert torch.allclose(drawn.T.cov(), x.T.cov(), atol=0.05 * float(x.T.cov().abs().max()))


def test_sgd_step_is_the_step_of_torch():
    start = normal(3, 2)
    theta = nn.Parameter(start.clone())
    optimiser = torch.optim.SGD([theta], lr=0.3)
    (theta.sin() * theta).sum().backward()
    optimiser.step()
    assert torch.allclose(A.sgd_step(start, lambda t: (t.sin() * t).sum(), 0.3), theta.detach())


def test_the_loop_by_hand_gives_the_weights_of_fit():
    torch.manual_seed(0)
    by_hand = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    by_fit, start = copy.deepcopy(by_hand), copy.deepcopy(by_hand)
    batches = cu.Batches(cu.mnist().train[:2_000], 64, labels=True, device="cpu")
    losses = A.train_by_hand(by_hand, batches, steps=8, lr=1e-2)
    loss_fn = lambda m, x, y: nn.functional.cross_entropy(m(x), y)  # noqa: E731
    history = cu.fit(by_fit, loss_fn, batches, steps=8, lr=1e-2, log_every=1)
    pairs = list(zip(by_hand.parameters(), by_fit.cpu().parameters(), start.parameters()))
    exact = cu.device().type == "cpu"
    assert all(torch.allclose(a, b, atol=1e-5 if exact else 1e-2) for a, b, _ in pairs)
    assert all(float((a - c).detach().abs().max()) > 0.02 for a, _, c in pairs)
    assert np.allclose(losses, history["loss"], atol=1e-4 if exact else 1e-1)


@pytest.mark.parametrize("dim", [0, 1, 2, -1])
def test_log_sum_exp_agrees_with_torch(dim):
    a = 300 * normal(4, 5, 6)
    assert torch.allclose(A.log_sum_exp(a, dim), a.logsumexp(dim))


@pytest.mark.parametrize(
    "row",
    [
        [-inf, -inf],
        [-inf, 0.0],
        [inf, 0.0],
        [inf, -inf],
        [inf, inf],
        [3.0],
        [-inf],
        [1e38, 1e38],
        [-1e38, 0.0],
    ],
)
def test_log_sum_exp_at_the_edges(row):
    a = torch.tensor([row, [0.5] * len(row)])
    assert torch.equal(A.log_sum_exp(a, 1), a.logsumexp(1))


def test_the_gradient_of_log_sum_exp_is_the_softmax():
    a = (50 * normal(6, 4)).requires_grad_()
    (gradient,) = torch.autograd.grad(A.log_sum_exp(a, 1).sum(), a)
    assert torch.allclose(gradient, a.softmax(1))


def test_the_conditional_gaussian_agrees_with_the_inverse_of_the_precision():
    mean, cov, x = normal(6), covariance(6, 1), normal(6, seed=2)
    seen = torch.tensor([False, True, True, False, False, True])
    got_mean, got_cov = A.conditional_gaussian(mean, cov, seen, x[seen])
    precision = torch.linalg.inv(cov)
    block = torch.linalg.inv(precision[~seen][:, ~seen])
    assert torch.allclose(got_cov, block)
    assert torch.allclose(got_mean, mean[~seen] - block @ precision[~seen][:, seen] @ (x[seen] - mean[seen]))


def test_the_conditional_gaussian_agrees_with_draws_that_happen_to_match():
    mean, cov = torch.tensor([1.0, -1.0]).double(), torch.tensor([[1.0, -1.2], [-1.2, 4.0]]).double()
    x = mean + normal(400_000, 2) @ torch.linalg.cholesky(cov).T
    near = x[(x[:, 0] - 1.8).abs() < 0.02, 1]
    got_mean, got_cov = A.conditional_gaussian(
        mean, cov, torch.tensor([True, False]), torch.tensor([1.8]).double()
    )
    assert len(near) > 3_000
    assert abs(float(near.mean() - got_mean)) < 4 * float(near.std()) / len(near) ** 0.5
    assert abs(float(near.var() / got_cov) - 1) < 0.1


def test_kl_agrees_with_torch_distributions():
    p, q = normal(5, 8).softmax(1), normal(5, 8, seed=1).softmax(1)
    assert torch.allclose(A.kl(p, q), kl_divergence(Categorical(probs=p), Categorical(probs=q)))


def test_kl_of_finely_binned_gaussians_is_the_closed_form():
    x = torch.linspace(-12, 12, 4_001, dtype=torch.float64)
    p, q = (torch.softmax(-0.5 * ((x - m) / s) ** 2, 0) for m, s in ((0.5, 0.8), (-0.3, 1.5)))
    closed = np.log(1.5 / 0.8) + (0.8**2 + 0.8**2) / (2 * 1.5**2) - 0.5
    assert abs(float(A.kl(p, q)) - closed) < 1e-6


def test_receptive_fields_and_sizes_have_their_closed_forms():
    for depth in (1, 2, 3):
        assert A.receptive_field(depth, 1) == 2 * depth + 1
        assert A.receptive_field(depth, 2) == 2 ** (depth + 1) - 1
    assert A.output_size(A.output_size(28, 4, 2, 1), 4, 2, 1, transposed=True) == 28


@pytest.mark.parametrize(
    ("way", "shape"),
    [
        ("transposed, kernel 3", (2, 1, 3, 3)),
        ("transposed, kernel 4", (2, 1, 4, 4)),
        ("pixel-shuffle", (4, 2, 3, 3)),
        ("resize + convolve", (1, 2, 3, 3)),
    ],
)
def test_every_way_of_doubling_doubles_and_only_resizing_keeps_flat_images_flat(way, shape):
    out = A.doubled(way, normal(*shape), torch.ones(1, 2, 8, 8).double())
    assert out.shape == (1, 1, 16, 16)
    assert (float(out[..., 4:-4, 4:-4].std()) < 1e-9) == way.startswith("resize")
    even = A.doubled(way, torch.ones(shape).double(), torch.ones(1, 2, 8, 8).double())[..., 4:-4, 4:-4]
    assert (float(even.std()) > 0.1) == way.endswith("kernel 3")


@pytest.mark.parametrize("rank", [3, 8])
def test_the_frechet_distance_agrees_with_scipy_and_with_the_package(rank):
    a, mean_a, mean_b = normal(8, rank, seed=1), normal(8, seed=2), normal(8, seed=3)
    a, b = a @ a.T, covariance(8, 4)  # a is singular for rank 3
    root = scipy.linalg.sqrtm((a @ b).numpy()).real
    expected = float((mean_a - mean_b).square().sum() + a.trace() + b.trace()) - 2 * np.trace(root)
    got = float(A.frechet_gaussians(mean_a, a, mean_b, b))
    assert abs(got - expected) < 1e-5 * expected
    assert abs(got - cu.metrics.gaussian_frechet(mean_a, a, mean_b, b)) < 1e-9


def test_the_frechet_distance_is_what_the_best_linear_map_moves():
    a, b, mean_b = covariance(3, 1), covariance(3, 2), normal(3, seed=3)
    root = torch.from_numpy(scipy.linalg.sqrtm(a.numpy()).real)
    back = torch.linalg.inv(root)
    move = (
        back @ torch.from_numpy(scipy.linalg.sqrtm((root @ b @ root).numpy()).real) @ back
    )  # y = mean_b + move x
    assert torch.allclose(move @ a @ move.T, b)
    x = MultivariateNormal(torch.zeros(3).double(), a).sample((200_000,))
    moved = (x - mean_b - x @ move.T).square().sum(1)
    distance = A.frechet_gaussians(torch.zeros(3).double(), a, mean_b, b)
    assert abs(float(moved.mean() / distance) - 1) < 0.02


def test_the_floor_of_gaussian_samples_is_the_lessons_formula():
    variances = torch.linspace(0.2, 3, 10, dtype=torch.float64)
    pairs = variances[:, None] * variances / (variances[:, None] + variances)
    constant = variances.sum() + 0.5 * (pairs.sum() + pairs.trace())
    measured = {}
    for n in (500, 2_000):
        clouds = [normal(n, 10, seed=s) * variances.sqrt() for s in range(80)]
        values = [
            A.frechet_gaussians(*A.moments(a), *A.moments(b)) for a, b in zip(clouds[::2], clouds[1::2])
        ]
        measured[n] = torch.stack(values).mean() / (constant * 2 / n)
    assert all(abs(float(ratio) - 1) < 0.1 for ratio in measured.values()), measured


def test_two_moments_are_fooled_by_points_that_are_no_data():
    x = normal(500, 6) @ normal(6, 6, seed=1)
    made = A.fool_the_ruler(x)
    assert float(A.frechet_gaussians(*A.moments(made), *A.moments(x))) < 1e-8
    assert torch.cdist(made, x).min() > 1e-3 and len(made) == 12


def test_the_rules_of_card_7_hold_in_the_package():
    board = cu.metrics.scoreboard(
        {"half black": 200 * torch.ones(200, 28, 28).byte()}, n=200, reference="validation"
    )
    assert list(board)[0] == "training digits" and board["training digits"].sets == 5
    real = {n: cu.metrics.real(n, "test") for n in (1_000, 5_000)}
    distance = {n: rows["training digits"].distance for n, rows in real.items()}
    assert distance[1_000] > 2 * distance[5_000]  # the bias in n
    assert real[5_000]["validation digits"].distance > 1.5 * distance[5_000]  # other writers
