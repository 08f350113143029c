"""Lesson 01: its functions against brute force, torch.distributions and scikit-learn; its two claims about
form."""

import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy import stats
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.naive_bayes import BernoulliNB
from torch.distributions import MultivariateNormal

import course_utils as cu
from tests.lessons.lesson_functions import load

exercises = load(
    "01",
    *("posterior", "lda_line", "sample_class", "log_marginal", "hole_loss", "break_lda"),
    "naive_bayes_theta",
)
checked = {
    "checked_posterior": exercises.posterior,
    "checked_lda_line": exercises.lda_line,
    "checked_sample": exercises.sample_class,
    "checked_marginal": exercises.log_marginal,
    "checked_theta": exercises.naive_bayes_theta,
}
L = load(
    "01",
    *(
        "two_classes",
        "fit_gaussians",
        "class_log_lik",
        "bayes",
        "fit_digits",
        "draw",
        "log_lik",
    ),
    *(
        "bernoulli_log_lik",
        "naive_bayes",
        "witnesses",
        "hide",
        "lowest_rows",
        "paired_gap",
        "auroc",
        "squared_distance",
    ),
    *(
        "log_px",
        "whole",
        "tenth",
        "learning_curve",
        "right",
        "climb",
        "both_lines",
        "logistic_p1",
        "ask_told",
        "sureness",
    ),
    **checked,
)


def random_gaussian(d, seed):
    generator = torch.Generator().manual_seed(seed)
    mean = torch.randn(d, generator=generator, dtype=torch.float64)
    root = torch.randn(d, d, generator=generator, dtype=torch.float64)
    return mean, root @ root.T / d + 0.5 * torch.eye(d, dtype=torch.float64)


@pytest.fixture(scope="module")
def sample():
    return cu.mnist().train.sample(3_000, seed=1)


@pytest.fixture(scope="module")
def digits(sample):
    return L.fit_digits(sample.flat(), sample.y, q=20)


# --- the bridge
# -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("d, prior1", list(itertools.product([1, 3, 40], [0.1, 0.5, 0.9])))
def test_two_gaussians_with_one_covariance_give_exactly_a_logistic_posterior(d, prior1):
    (mean0, cov), (mean1, _) = random_gaussian(d, d), random_gaussian(d, d + 1)
    x = 2 * torch.randn(500, d, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    prior = torch.tensor([1 - prior1, prior1], dtype=torch.float64)
    w, b = exercises.lda_line(mean0, mean1, cov, prior1)
    exact = L.bayes(x, torch.stack([mean0, mean1]), torch.stack([cov, cov]), prior)
    assert (torch.sigmoid(x @ w + b) - exact).abs().max() < 1e-5


def test_with_two_covariances_no_line_gives_the_posterior():
    means, covs = [[0.0, 0.0], [1.0, 0.6]], [[[2.2, 0.0], [0.0, 2.2]], [[0.25, 0.0], [0.0, 0.25]]]
    x = 3 * torch.randn(400, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    mus, sigmas = torch.tensor(means).double(), torch.tensor(covs).double()
    log_odds = L.class_log_lik(x, mus, sigmas) @ torch.tensor([-1.0, 1.0]).double()
    linear = torch.cat([x, torch.ones(400, 1)], 1)
    quadratic = torch.cat([linear, x**2, x[:, :1] * x[:, 1:]], 1)
    for design, fits in ((linear, False), (quadratic, True)):
        rest = log_odds - design @ torch.linalg.lstsq(design, log_odds[:, None]).solution[:, 0]
        assert (rest.abs().max() < 1e-6) == fits


def test_lda_agrees_with_scikit_learn():
    x, y = L.two_classes(400, [[-1.0, 0.0], [1.0, 0.5]], [[[1.0, 0.7], [0.7, 1.0]]] * 2)
    x, y = x[:650], y[:650]  # unequal classes: the prior matters
    means, covs, prior = L.fit_gaussians(x, y)
    trusted = LinearDiscriminantAnalysis(solver="lsqr").fit(x.numpy(), y.numpy())
    trusted_log_odds = trusted.decision_function(x.numpy())
    w, b = exercises.lda_line(*means, covs[0] * 649 / 650, prior[1].item())  # scikit-learn divides by N
    assert np.abs((x @ w + b).numpy() - trusted_log_odds).max() < 1e-6 * np.abs(trusted_log_odds).max()


def test_qda_agrees_with_scikit_learn():
    x, y = L.two_classes(
        300, [[0.0, 0.0], [1.0, 0.6]], [[[2.2, 0.0], [0.0, 2.2]], [[0.25, 0.1], [0.1, 0.25]]], seed=2
    )
    trusted = QuadraticDiscriminantAnalysis().fit(x.numpy(), y.numpy()).predict_proba(x.numpy())[:, 1]
    means, covs, prior = L.fit_gaussians(x, y, shared=False)
    covs = covs * 299 / 300  # scikit-learn divides by N
    assert np.abs(L.bayes(x, means, covs, prior).numpy() - trusted).max() < 1e-5


def test_a_far_group_on_its_own_side_turns_lda_more_than_logistic_regression():
    narrow = [[0.25, 0.0], [0.0, 0.25]]
    x, y = L.two_classes(150, [[-1.0, 0.0], [1.0, 0.0]], [narrow, narrow], seed=3)
    moved = x.clone()
    moved[262:] += torch.tensor([4.5, -4.0])
    turns, extra = [], []
    for (p1, w), (p1_moved, w_moved) in zip(L.both_lines(x, y), L.both_lines(moved, y)):
        w, w_moved = (torch.as_tensor(v) for v in (w, w_moved))
        turns.append(torch.rad2deg(torch.acos(F.cosine_similarity(w, w_moved, dim=0))).item())
        extra.append((((p1_moved(moved) > 0.5) != y).sum() - ((p1(x) > 0.5) != y).sum()).item())
    assert turns[0] > 30 > 10 > turns[1]
    assert extra[0] >= 5 > 2 >= extra[1]


def test_the_data_that_break_lda_leave_logistic_regression_whole():
    x, y = exercises.break_lda()
    (lda_p1, _), (logistic_p1, _) = L.both_lines(x, y)
    assert ((lda_p1(x) > 0.5) != y).double().mean() >= 0.1
    assert ((logistic_p1(x) > 0.5) != y).sum() == 0


# --- Gaussians in pixel space
# -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_marginalising_is_exact_for_any_mask(seed):
    generator = torch.Generator().manual_seed(seed)
    d, q, sigma2 = 30, 4, torch.tensor(0.2, dtype=torch.float64)
    mean, W = torch.randn(d, generator=generator).double(), torch.randn(d, q, generator=generator).double()
    x = torch.randn(7, d, generator=generator).double()
    seen = torch.rand(d, generator=generator) < 0.5
    dense = W @ W.T + sigma2 * torch.eye(d, dtype=torch.float64)
    exact = MultivariateNormal(mean[seen], dense[seen][:, seen]).log_prob(x[:, seen])
    assert (exercises.log_marginal(x, seen, mean, W, sigma2) - exact).abs().max() < 1e-9


def test_the_chain_rule_holds_between_masks():
    """log p(all) = log p(visible) + log p(hidden | visible), the conditional by the block formula."""
    generator = torch.Generator().manual_seed(5)
    d, sigma2 = 12, torch.tensor(0.3, dtype=torch.float64)
    mean, W = torch.randn(d, generator=generator).double(), torch.randn(d, 3, generator=generator).double()
    x, v = torch.randn(1, d, generator=generator).double(), torch.arange(d) < 7
    C = W @ W.T + sigma2 * torch.eye(d, dtype=torch.float64)
    gain = torch.linalg.solve(C[v][:, v], C[v][:, ~v]).T
    conditional = MultivariateNormal(mean[~v] + gain @ (x[0, v] - mean[v]), C[~v][:, ~v] - gain @ C[v][:, ~v])
    joint = exercises.log_marginal(x, torch.ones(d, dtype=torch.bool), mean, W, sigma2)
    visible = exercises.log_marginal(x, v, mean, W, sigma2)
    assert torch.allclose(joint, visible + conditional.log_prob(x[:, ~v]), atol=1e-9)


def test_digit_model_has_the_moments_of_its_class(sample, digits):
    x, (mean, W, sigma2) = sample.flat()[sample.y == 3].double(), digits[3]
    assert torch.linalg.norm(mean - x.mean(0)) < 0.35 * torch.linalg.norm(x.mean(0))  # projected on 20 axes
    U = torch.linalg.qr(W).Q
    along = torch.cov((x @ U).T).trace()
    assert torch.isclose((W.T @ W).trace(), along, rtol=1e-3)
    assert 0 < sigma2 < W.square().sum() / W.shape[1]


def test_draws_have_the_covariance_of_the_model(digits):
    x = L.draw(digits, 3, 20_000, clip=False).double()
    mean, W, sigma2 = digits[3]
    direction = torch.linalg.svd(W, full_matrices=False).U[:, :3]
    expected = (direction.T @ W).square().sum(1) + sigma2
    assert torch.allclose(((x - mean) @ direction).var(0), expected, rtol=0.05)
    noise = L.draw(digits, 3, 5, clip=False) - L.draw(digits, 3, 5, noise=False, clip=False)
    assert torch.allclose(noise.var(), sigma2.float(), rtol=0.1)  # the same z with and without the noise


def test_own_draws_lie_on_the_shell_and_the_mean_at_zero(digits):
    own = torch.cat([L.draw(digits, k, 20, seed=k, clip=False) for k in range(10)])
    assert 700 < L.squared_distance(digits, own).median() < 850
    peaks = torch.stack([mean for mean, _, _ in digits]).float()
    assert L.squared_distance(digits, peaks).max() < 1


def test_marginalising_beats_filling_in(sample, digits):
    """The identity behind the lesson's main figure: on the same model, removing rows beats zeros and
    means."""
    val, seen = cu.mnist().val.sample(600, seed=0), L.hide(0.8)
    x, mean = val.flat(), sample.flat().mean(0)
    everything = torch.ones(784, dtype=torch.bool)
    marginal = L.right(L.log_lik(digits, x, seen).argmax(1), val.y)
    filled = [L.right(L.log_lik(digits, torch.where(seen, x, fill), everything).argmax(1), val.y)
              for fill in (torch.zeros(784), mean)]  # fmt: skip
    assert marginal > max(filled) + 0.1


def test_the_loss_with_holes_shows_every_share_and_cuts_the_image():
    shown = []

    def model(inputs):
        shown.append(inputs)
        return torch.zeros(len(inputs), 10, requires_grad=True)

    torch.manual_seed(0)
    x, y = torch.rand(2_000, 1, 28, 28), torch.randint(10, (2_000,))
    loss = exercises.hole_loss(model, x, y)
    image, mask = shown[0].split(784, 1)
    assert loss.item() == pytest.approx(np.log(10), rel=1e-5) and loss.requires_grad
    assert torch.equal(image, x.flatten(1) * mask)
    assert stats.kstest((1 - mask.mean(1)).numpy(), "uniform").pvalue > 0.01
    assert abs(np.corrcoef(mask[:, 100], mask[:, 101])[0, 1] - 1 / 3) < 0.06  # var U / var Bernoulli(U)


def test_a_told_network_is_asked_as_it_was_trained():
    x, seen = torch.rand(3, 784), L.hide(0.5)
    asked = L.ask_told(lambda inputs: inputs, x, seen)
    assert torch.equal(asked[:, :784], x * seen) and torch.equal(asked[:, 784:], seen.float().expand(3, 784))


def test_masks_hide_what_they_say():
    assert abs((~L.hide(0.9)).float().mean() - 0.9) < 0.03 and L.hide(0).all()
    half = L.lowest_rows(0.5).reshape(28, 28)
    assert half[:14].all() and not half[14:].any()


# --- naive Bayes
# ------------------------------------------------------------------------------------------------------


def test_naive_bayes_agrees_with_scikit_learn(sample):
    x, y = (sample.flat() > 0.5).float(), sample.y
    trusted = BernoulliNB(alpha=0.3).fit(x.numpy(), y.numpy())
    theta = exercises.naive_bayes_theta(x, y, 0.3, 10)
    assert np.abs(theta.log().numpy() - trusted.feature_log_prob_).max() < 1e-4
    log_prior = (torch.bincount(y) / len(y)).log()
    ours = exercises.posterior(
        L.bernoulli_log_lik(x[:200].double(), theta.double()), log_prior.exp().double()
    )
    assert np.abs(ours.numpy() - trusted.predict_proba(x[:200].numpy())).max() < 1e-5
    assert (L.naive_bayes(x, y, 0.3, 10)(x).numpy() == trusted.predict(x.numpy())).mean() > 0.999


def test_naive_bayes_log_odds_are_linear_in_the_pixels():
    theta = torch.tensor([[0.2, 0.7, 0.4], [0.6, 0.1, 0.5]], dtype=torch.float64)
    x = torch.tensor(list(itertools.product([0.0, 1.0], repeat=3)), dtype=torch.float64)
    log_odds = L.bernoulli_log_lik(x, theta) @ torch.tensor([-1.0, 1.0], dtype=torch.float64)
    w = torch.logit(theta[1]) - torch.logit(theta[0])
    assert torch.allclose(log_odds - log_odds[0], x @ w, atol=1e-12)
    assert torch.allclose(L.bernoulli_log_lik(x, theta).exp().sum(0), torch.ones(2, dtype=torch.float64))


def test_the_two_worlds_differ_in_nothing_but_dependence():
    for copies in (False, True):
        x, y = L.witnesses(20_000, 0, copies)
        agree = (x == y[:, None]).float()
        assert (agree.mean(0) - 0.62).abs().max() < 0.015
        assert (agree[:, 40:] == agree[:, -1:]).all() == copies


# --- measuring
# --------------------------------------------------------------------------------------------------------


def test_posterior_survives_and_normalises():
    log_lik = torch.randn(50, 10, dtype=torch.float64) * 3_000
    p = exercises.posterior(log_lik, torch.full((10,), 0.1, dtype=torch.float64))
    assert torch.isfinite(p).all() and torch.allclose(p.sum(1), torch.ones(50, dtype=torch.float64))


def test_the_paired_gap_is_that_of_a_paired_t_test():
    one, other = np.random.default_rng(0).normal(0.8, 0.02, (2, 10))
    gap, margin = L.paired_gap(one, other)
    trusted = stats.ttest_rel(one, other)
    assert gap == pytest.approx(100 * (one - other).mean())
    assert 2 * gap / margin == pytest.approx(trusted.statistic)


def test_learning_curve_chooses_the_knob_on_validation_and_scores_on_test():
    def fit(x, y, knob, classes):
        return lambda z: (z[:, 0] > knob).long()

    z = torch.linspace(0, 1, 101)[:, None]
    val, test = (z, (z[:, 0] > 0.5).long()), (z, (z[:, 0] > 0.7).long())
    curve = L.learning_curve(
        fit, [0.7, 0.5, 0.1], lambda n, seed: (z[:n], z[:n, 0].long()), [20], val, test, 2
    )
    assert len(curve) == 1 and len(curve[0]) >= 2 and np.allclose(curve[0], 1 - 20 / 101)


def test_a_temperature_makes_less_sure_and_changes_no_answer():
    a = 5 * torch.randn(200, 10, generator=torch.Generator().manual_seed(0)).double()
    assert L.sureness(a) > L.sureness(a / 3) > 0.1
    assert (a.argmax(1) == (a / 3).softmax(1).argmax(1)).all()


def test_auroc_counts_pairs():
    inside, outside = torch.tensor([3.0, 1.0]), torch.tensor([0.0, 1.0, 2.0])
    assert L.auroc(inside, outside) == pytest.approx((3 + 1.5) / 6)


def test_a_blank_sheet_is_more_probable_than_most_digits(digits):
    base = cu.mnist().val.sample(300, seed=0).flat()
    assert (L.log_px(digits, base) > L.log_px(digits, torch.zeros(1, 784))).float().mean() < 0.05


def test_climbing_raises_the_score_and_stays_in_range():
    model = torch.nn.Linear(784, 10)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    x = L.climb(model, 3, [0, 20])
    score = model(x).log_softmax(1)[:, 3]
    assert score[1] > score[0] and x.min() >= 0 and x.max() <= 1
