"""Wrong answers to the exercises of Appendix A, each with a part of the hint that it must get."""

import torch


def distances_transposed(a, b):
    return (b[:, None] - a[None]).square().sum(-1)


def distances_over_rows(a, b):
    return (a[:, None] - b[None]).square().sum((0, 1))


def distances_root(a, b):
    return torch.cdist(a, b)


def distances_mean(a, b):
    return (a[:, None] - b[None]).square().mean(-1)


def distances_product_once(a, b):
    return (a.square().sum(1)[:, None] + b.square().sum(1) - a @ b.T).clamp(min=0)


def distances_negative(a, b):
    return a.square().sum(1)[:, None] + b.square().sum(1) - 2 * a @ b.T


def step_uphill(theta, loss_fn, lr):
    theta = theta.detach().requires_grad_()
    return (theta + lr * torch.autograd.grad(loss_fn(theta), theta)[0]).detach()


def step_without_rate(theta, loss_fn, lr):
    theta = theta.detach().requires_grad_()
    return (theta - torch.autograd.grad(loss_fn(theta), theta)[0]).detach()


def step_alone(theta, loss_fn, lr):
    theta = theta.detach().requires_grad_()
    return (-lr * torch.autograd.grad(loss_fn(theta), theta)[0]).detach()


def step_in_graph(theta, loss_fn, lr):
    theta = theta.detach().requires_grad_()
    return theta - lr * torch.autograd.grad(loss_fn(theta), theta)[0]


def step_accumulates(theta, loss_fn, lr):
    theta = theta if theta.requires_grad else theta.detach().requires_grad_()
    loss_fn(theta).backward()
    return (theta - lr * theta.grad).detach()


def lse_naive(a, dim):
    return a.exp().sum(dim).log()


def lse_no_log(a, dim):
    return a.exp().sum(dim)


def lse_maximum_lost(a, dim):
    return (a - a.amax(dim, keepdim=True)).exp().sum(dim).log()


def lse_one_maximum(a, dim):
    top = a.max()
    return top + (a - top).exp().sum(dim).log()


def lse_other_dim(a, dim):
    return torch.logsumexp(a, -1)


def lse_keeps_dim(a, dim):
    return torch.logsumexp(a, dim, keepdim=True)


def lse_nan(a, dim):
    top = a.amax(dim, keepdim=True)
    return (a - top).exp().sum(dim).log() + top.squeeze(dim)


def _blocks(cov, seen):
    return cov[~seen][:, ~seen], cov[~seen][:, seen], cov[seen][:, seen]


def conditional_no_mean(mean, cov, seen, value):
    uu, us, ss = _blocks(cov, seen)
    return mean[~seen] + us @ torch.linalg.inv(ss) @ value, uu - us @ torch.linalg.inv(ss) @ us.T


def conditional_without_own_mean(mean, cov, seen, value):
    uu, us, ss = _blocks(cov, seen)
    return us @ torch.linalg.inv(ss) @ (value - mean[seen]), uu - us @ torch.linalg.inv(ss) @ us.T


def conditional_not_shrunk(mean, cov, seen, value):
    uu, us, ss = _blocks(cov, seen)
    return mean[~seen] + us @ torch.linalg.inv(ss) @ (value - mean[seen]), uu


def conditional_diagonal(mean, cov, seen, value):
    uu, us, ss = _blocks(cov, seen)
    gain = us / ss.diagonal()
    return mean[~seen] + gain @ (value - mean[seen]), 0.01 * torch.eye(len(uu), dtype=uu.dtype) + (
        uu - us @ torch.linalg.inv(ss) @ us.T if len(ss) > 1 else uu - gain @ us.T - 0.01
    )


def conditional_mean_only(mean, cov, seen, value):
    uu, us, ss = _blocks(cov, seen)
    return mean[~seen] + us @ torch.linalg.inv(ss) @ (value - mean[seen])


def kl_negative(p, q):
    return (p * (q / p).log()).sum(-1)


def kl_reverse(p, q):
    return (q * (q / p).log()).sum(-1)


def kl_bits(p, q):
    return (p * (p / q).log2()).sum(-1)


def kl_mean(p, q):
    return (p * (p / q).log()).mean(-1)


def kl_cross_entropy(p, q):
    return -(p * q.log()).sum(-1)


def kl_nan(p, q):
    return (p * (p / q).log()).sum(-1)


def kl_clamped(p, q):
    return torch.xlogy(p, p / q.clamp(min=1e-12)).sum(-1)


def size_no_one(n, kernel, stride=1, padding=0, transposed=False):
    return (n + 2 * padding - kernel) // stride


def size_padding_once(n, kernel, stride=1, padding=0, transposed=False):
    return (n + padding - kernel) // stride + 1


def size_float(n, kernel, stride=1, padding=0, transposed=False):
    return (n + 2 * padding - kernel) / stride + 1


def size_rounds_up(n, kernel, stride=1, padding=0, transposed=False):
    return -(-(n + 2 * padding - kernel) // stride) + 1


def size_never_transposed(n, kernel, stride=1, padding=0, transposed=False):
    return (n + 2 * padding - kernel) // stride + 1


def size_transposed_like_this(n, kernel, stride=1, padding=0, transposed=False):
    return n * stride if transposed else (n + 2 * padding - kernel) // stride + 1


def _cross(cov_a, cov_b):
    return torch.linalg.eigvals(cov_a @ cov_b).real.clamp(min=0).sqrt().sum()


def frechet_root_of_all(mean_a, cov_a, mean_b, cov_b):
    return (mean_a - mean_b).norm() + cov_a.trace() + cov_b.trace() - 2 * _cross(cov_a, cov_b)


def frechet_cross_once(mean_a, cov_a, mean_b, cov_b):
    return (mean_a - mean_b).square().sum() + cov_a.trace() + cov_b.trace() - _cross(cov_a, cov_b)


def frechet_no_root(mean_a, cov_a, mean_b, cov_b):
    shift = (mean_a - mean_b).square().sum()
    return shift + (cov_a - cov_b).square().sum() if shift == 0 else shift


def frechet_entrywise(mean_a, cov_a, mean_b, cov_b):
    root = (cov_a @ cov_b).clamp(min=0).sqrt()
    return (mean_a - mean_b).square().sum() + (cov_a + cov_b - 2 * root).trace()


def frechet_commuting(mean_a, cov_a, mean_b, cov_b):
    roots = [v * w.clamp(min=0).sqrt() @ v.T for w, v in map(torch.linalg.eigh, (cov_a, cov_b))]
    return (mean_a - mean_b).square().sum() + (roots[0] - roots[1]).square().sum()


def fall_in_words():
    return "tenfold"


def fall_upside_down():
    return 0.1


def fool_without_scale(x):
    columns = torch.linalg.cholesky(x.T.cov()).T
    return torch.cat([x.mean(0) + columns, x.mean(0) - columns])


def fool_biased(x):
    columns = x.shape[1] ** 0.5 * torch.linalg.cholesky(x.T.cov()).T
    return torch.cat([x.mean(0) + columns, x.mean(0) - columns])


def fool_one_sided(x):
    columns = torch.linalg.cholesky(x.T.cov()).T
    return torch.cat([x.mean(0) + columns, x.mean(0) + 2 * columns])


def fool_diagonal(x):
    steps = ((2 * x.shape[1] - 1) / 2) ** 0.5 * x.std(0).diag()
    return torch.cat([x.mean(0) + steps, x.mean(0) - steps])


def fool_with_data(x):
    return x


WRONG = {
    "A.pairwise_distances": [
        (distances_transposed, "this is the transpose"),
        (distances_over_rows, "One number for each pair"),
        (distances_root, "without the root"),
        (distances_mean, "too small by the factor d"),
        (distances_product_once, "with the factor −2"),
        (distances_negative, "clamp(min=0)"),
    ],
    "A.sgd_step": [
        (step_uphill, "the loss went up"),
        (step_without_rate, "multiply it by lr"),
        (step_alone, "this is the step alone"),
        (step_in_graph, "still belongs to a graph"),
        (step_accumulates, "adds up over calls"),
    ],
    "A.log_sum_exp": [
        (lse_naive, "overflow"),
        (lse_no_log, "the logarithm of it"),
        (lse_maximum_lost, "must be added again"),
        (lse_one_maximum, "of each slice"),
        (lse_other_dim, "use the argument dim"),
        (lse_keeps_dim, "that dimension disappears"),
        (lse_nan, "−inf − (−inf) is nan"),
    ],
    "A.conditional_gaussian": [
        (conditional_no_mean, "v − μ_s"),
        (conditional_without_own_mean, "unconditional mean"),
        (conditional_not_shrunk, "the variance did not shrink"),
        (conditional_diagonal, "not of its diagonal"),
        (conditional_mean_only, "return two tensors"),
    ],
    "A.kl": [
        (kl_negative, "the sign is turned"),
        (kl_reverse, "this is KL(q ‖ p)"),
        (kl_bits, "this is in bits"),
        (kl_mean, "do not average"),
        (kl_cross_entropy, "subtract the entropy"),
        (kl_nan, "0 · log 0 counts as 0"),
        (kl_clamped, "do not clamp"),
    ],
    "A.output_size": [
        (size_no_one, "counts too"),
        (size_padding_once, "on both sides"),
        (size_float, "return a whole number"),
        (size_rounds_up, "are left out"),
        (size_never_transposed, "must use (A9)"),
        (size_transposed_like_this, "a transposed convolution with n=7"),
    ],
    "A.frechet": [
        (frechet_root_of_all, "square the shift"),
        (frechet_cross_once, "subtracted twice"),
        (frechet_no_root, "take the roots of the eigenvalues"),
        (frechet_entrywise, "the root of a matrix"),
        (frechet_commuting, "only if the covariances commute"),
    ],
    "A.fall": [
        (fall_in_words, "return one number"),
        (fall_upside_down, "at least 1"),
    ],
    "A.fool": [
        (fool_without_scale, "too small"),
        (fool_biased, "divides by 2d − 1"),
        (fool_one_sided, "the mean is off"),
        (fool_diagonal, "columns of a factor"),
        (fool_with_data, "a pair of points"),
    ],
}
