"""Right answers to the exercises of lesson 01, each in another style than the lesson's own."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from scipy import special, stats
from torch.distributions import MultivariateNormal


def posterior_by_softmax(log_lik, prior):
    return torch.softmax(log_lik + torch.log(prior), dim=-1)


def posterior_in_double(log_lik, prior):
    return F.log_softmax(log_lik.double() + prior.double().log(), 1).exp()


def posterior_by_a_loop(log_lik, prior):
    rows = []
    for row in log_lik:
        weight = prior * (row - row.max()).exp()
        rows.append(weight / weight.sum())
    return torch.stack(rows)


def posterior_with_numpy(log_lik, prior):
    return torch.from_numpy(special.softmax(log_lik.numpy() + np.log(prior.numpy()), axis=1))


def lda_by_inverse(mean0, mean1, cov, prior1):
    inverse = torch.linalg.inv(cov)
    w = inverse @ (mean1 - mean0)
    b = 0.5 * mean0 @ inverse @ mean0 - 0.5 * mean1 @ inverse @ mean1 + math.log(prior1) - math.log1p(-prior1)
    return [w, float(b)]


def lda_with_numpy(mean0, mean1, cov, prior1):
    mean0, mean1, cov = mean0.numpy(), mean1.numpy(), cov.numpy()
    w = np.linalg.solve(cov, mean1 - mean0)
    return torch.from_numpy(w), -0.5 * (mean0 + mean1) @ w + special.logit(prior1)


def lda_by_cholesky(mean0, mean1, cov, prior1):
    factor = torch.linalg.cholesky(cov)
    w = torch.cholesky_solve((mean1 - mean0)[:, None], factor)[:, 0]
    return w, (torch.logit(torch.tensor(prior1)) - ((mean0 + mean1) / 2).dot(w)).reshape(1)


def sample_in_one_draw(mean, W, sigma2, n, generator):
    d, q = W.shape
    both = torch.randn(n, d + q, generator=generator, dtype=W.dtype)
    return torch.einsum("nq,dq->nd", both[:, d:], W) + mean + both[:, :d] * sigma2**0.5


def sample_by_a_loop(mean, W, sigma2, n, generator):
    big = torch.cat([W, torch.sqrt(sigma2) * torch.eye(len(mean), dtype=W.dtype)], 1)  # (d, q + d)
    noise = torch.randn(big.shape[1], n, generator=generator).to(W.dtype)
    return (mean[:, None] + big @ noise).T


def sample_in_single_precision(mean, W, sigma2, n, generator):
    mean, W, sigma = mean.float(), W.float(), sigma2.float().sqrt()
    z = torch.randn((n, W.size(1)), generator=generator)
    return mean + z @ W.mT + sigma * torch.randn((n, len(mean)), generator=generator)


def marginal_by_the_block(x, seen, mean, W, sigma2):
    cov = W @ W.T + sigma2 * torch.eye(len(mean), dtype=W.dtype)
    return MultivariateNormal(mean[seen], cov[seen][:, seen]).log_prob(x[:, seen])


def marginal_by_formula(x, seen, mean, W, sigma2):
    keep = seen.nonzero().flatten()
    loadings = W.index_select(0, keep)
    factor = torch.linalg.cholesky(loadings @ loadings.T + sigma2 * torch.eye(len(keep), dtype=W.dtype))
    white = torch.linalg.solve_triangular(factor, (x - mean)[:, keep].T, upper=False)
    log_det = 2 * factor.diagonal().log().sum()
    return -0.5 * (white.square().sum(0) + log_det + len(keep) * math.log(2 * math.pi))


def marginal_with_scipy(x, seen, mean, W, sigma2):
    keep = seen.numpy()
    W = W.numpy()[keep]
    cov = W @ W.T + float(sigma2) * np.eye(len(W))
    rows = [stats.multivariate_normal.logpdf(one[keep], mean.numpy()[keep], cov) for one in x.numpy()]
    return torch.tensor(rows, dtype=torch.float64)


def holes_by_bernoulli(model, x, y):
    x = x.view(len(x), -1)
    keep = torch.rand(x.shape[0], 1, device=x.device).expand_as(x)
    seen = torch.bernoulli(keep)
    logits = model(torch.hstack((x * seen, seen)))
    return -logits.log_softmax(1).gather(1, y[:, None]).mean()


def holes_by_masking(model, x, y):
    share = torch.rand(len(x), 1, 1, 1, device=x.device)
    holes = torch.rand(x.shape, device=x.device) < share
    both = torch.cat([x.masked_fill(holes, 0.0), (~holes).to(x.dtype)], 1)  # (B, 2, 28, 28)
    return torch.nn.CrossEntropyLoss()(model(both.flatten(1)), y)


def holes_by_a_loop(model, x, y):
    inputs = []
    for image in x.flatten(1):
        seen = torch.where(torch.rand_like(image) < torch.rand(1, device=x.device), 0.0, 1.0)
        inputs.append(torch.cat([image * seen, seen]))
    return F.nll_loss(F.log_softmax(model(torch.stack(inputs)), -1), y)


def break_lda_with_lists():
    y = [0] * 60 + [1] * 40 + [1] * 20
    x = [[-1 + 0.2 * math.sin(i), math.cos(3 * i)] for i in range(60)]
    x += [[0.1 + 0.2 * math.sin(i), math.cos(3 * i)] for i in range(60, 100)]
    x += [[40.0, math.cos(i)] for i in range(20)]
    return [torch.tensor(x, dtype=torch.float64), torch.tensor(y)]


def break_lda_with_numpy():
    dice = np.random.default_rng(0)
    near = dice.uniform(-0.2, 0.2, (150, 2))
    near[:100, 1] -= 0.5
    near[100:, 1] += 0.5
    far = dice.uniform(-0.2, 0.2, (30, 2)) + [0, 25]
    return torch.from_numpy(np.concatenate([near, far])), (torch.arange(180) >= 100).int()


def naive_bayes_by_one_hot(x, y, alpha, classes):
    one_hot = F.one_hot(y, num_classes=classes).to(x.dtype)
    return (one_hot.T @ x + alpha) / (one_hot.sum(0).unsqueeze(1) + 2.0 * alpha)


def naive_bayes_by_loops(x, y, alpha, classes):
    theta = torch.zeros(classes, x.shape[1])
    for k in range(classes):
        images = [image for image, label in zip(x, y) if int(label) == k]
        for j in range(x.shape[1]):
            theta[k, j] = (sum(float(image[j]) for image in images) + alpha) / (len(images) + 2 * alpha)
    return theta


def naive_bayes_with_numpy(x, y, alpha, classes):
    members = np.arange(classes)[:, None] == y.numpy()
    theta = (members @ x.numpy() + alpha) / (members.sum(1, keepdims=True) + 2 * alpha)
    return torch.from_numpy(theta).float()


def naive_bayes_by_index_add(x, y, alpha, classes):
    counts = torch.zeros(classes, x.shape[1], dtype=x.dtype).index_add(0, y, x)
    return counts.add(alpha).div(torch.bincount(y, minlength=classes).unsqueeze(-1).add(2 * alpha))


def bets_in_a_tuple():
    return (1, 0, 0.5, 0.25, np.float32(0.75))


def bets_as_an_array():
    return np.array([0.9, 0.8, 1.0, 0.7, 0.2])


OTHER = {
    "01.posterior": [posterior_by_softmax, posterior_in_double, posterior_by_a_loop, posterior_with_numpy],
    "01.lda": [lda_by_inverse, lda_with_numpy, lda_by_cholesky],
    "01.sample": [sample_in_one_draw, sample_by_a_loop, sample_in_single_precision],
    "01.marginal": [marginal_by_the_block, marginal_by_formula, marginal_with_scipy],
    "01.hole_loss": [holes_by_bernoulli, holes_by_masking, holes_by_a_loop],
    "01.break_lda": [break_lda_with_lists, break_lda_with_numpy],
    "01.naive_bayes": [
        naive_bayes_by_one_hot,
        naive_bayes_by_loops,
        naive_bayes_with_numpy,
        naive_bayes_by_index_add,
    ],
    "01.bets": [bets_in_a_tuple, bets_as_an_array],
}
