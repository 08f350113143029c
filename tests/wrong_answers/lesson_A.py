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


def _by_product(a, b, rows, columns):
    return (rows + columns - 2 * a @ b.T).clamp(min=0)


def distances_norms_in_rows(a, b):
    return _by_product(a, b, a.square().sum(1), b.square().sum(1))


def distances_norms_in_columns(a, b):
    return _by_product(a, b, a.square().sum(1)[:, None], b.square().sum(1)[:, None])


def distances_norms_exchanged(a, b):
    return _by_product(a, b, a.square().sum(1), b.square().sum(1)[:, None])


def distances_without_square(a, b):
    return _by_product(a, b, a.norm(dim=1)[:, None], b.norm(dim=1))


def distances_plus_product(a, b):
    return a.square().sum(1)[:, None] + b.square().sum(1) + 2 * a @ b.T


def distances_absolute(a, b):
    return (a[:, None] - b[None]).abs().sum(-1)


def distances_squeezed(a, b):
    return (a[:, None] - b[None]).square().sum(-1).squeeze()


def distances_clamped_high(a, b):
    return (a[:, None] - b[None]).square().sum(-1).clamp(min=1e-2)


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


def step_on_the_argument(theta, loss_fn, lr):
    theta.requires_grad_()
    (gradient,) = torch.autograd.grad(loss_fn(theta), theta)
    return (theta - lr * gradient).detach()


def step_without_gradient(theta, loss_fn, lr):
    return (theta - lr * loss_fn(theta)).detach()


def _gradient(theta, loss_fn):
    theta = theta.detach().requires_grad_()
    return torch.autograd.grad(loss_fn(theta), theta)[0]


def step_by_sign(theta, loss_fn, lr):
    return (theta - lr * _gradient(theta, loss_fn).sign()).detach()


def step_of_unit_length(theta, loss_fn, lr):
    gradient = _gradient(theta, loss_fn)
    return (theta - lr * gradient / gradient.norm()).detach()


def step_divided(theta, loss_fn, lr):
    return (theta - _gradient(theta, loss_fn) / lr).detach()


def step_is_the_gradient(theta, loss_fn, lr):
    return _gradient(theta, loss_fn)


def step_in_place(theta, loss_fn, lr):
    return theta.detach().sub_(lr * _gradient(theta, loss_fn))


def step_in_single_precision(theta, loss_fn, lr):
    return (theta - lr * _gradient(theta, loss_fn)).detach().float()


def step_in_the_graph_of_theta(theta, loss_fn, lr):
    return theta - lr * _gradient(theta, loss_fn)


def step_with_its_own_rate(theta, loss_fn, lr):
    return (theta - 0.05 * _gradient(theta, loss_fn)).detach()


def step_clamped(theta, loss_fn, lr):
    return (theta - lr * _gradient(theta, loss_fn).clamp(-1, 1)).detach()


def step_taken_twice(theta, loss_fn, lr):
    theta = (theta - lr * _gradient(theta, loss_fn)).detach()
    return (theta - lr * _gradient(theta, loss_fn)).detach()


def step_of_vectors_only(theta, loss_fn, lr):
    gradient = _gradient(theta, loss_fn)
    return torch.stack([(t - lr * g).detach() for t, g in zip(theta, gradient)])


def step_does_nothing(theta, loss_fn, lr):
    _gradient(theta, loss_fn)
    return theta.detach().clone()


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


def lse_transposed(a, dim):
    a = a if a.ndim > 2 else (a.t() if dim == 0 else a)
    top = a.amax(1, keepdim=True)
    return top.squeeze(1) + (a - top).exp().sum(1).log()


def lse_of_matrices(a, dim):
    if a.ndim == 1:
        return torch.logsumexp(a, 0)
    return torch.stack([torch.logsumexp(row, 0) for row in (a if dim == 1 else a.mT)])


def lse_of_positive_dims(a, dim):
    if dim < 0:
        raise IndexError("dim must not be negative")
    return torch.logsumexp(a, dim)


def lse_subtracts(a, dim):
    top = a.amax(dim, keepdim=True)
    return (a - top).exp().sum(dim).log() - top.squeeze(dim)


def lse_of_mean(a, dim):
    return torch.logsumexp(a, dim) - torch.tensor(float(a.shape[dim])).log()


def lse_base_two(a, dim):
    return torch.logsumexp(a, dim) / torch.tensor(2.0).log()


def lse_clamped(a, dim):
    return a.clamp(-80, 80).exp().sum(dim).log()


def lse_small_number(a, dim):
    return torch.where(a.amax(dim) > 80, torch.logsumexp(a, dim), (a.exp().sum(dim) + 1e-30).log())


def lse_maximum(a, dim):
    return a.amax(dim)


def lse_log1p(a, dim):
    return a.exp().sum(dim).log1p()


def lse_by_minimum(a, dim):
    low = a.amin(dim, keepdim=True)
    low = torch.where(low.isfinite(), low, 0.0)
    return (a - low).exp().sum(dim).log() + low.squeeze(dim)


def lse_zero_for_nothing(a, dim):
    return torch.logsumexp(a, dim).nan_to_num(neginf=-1e30)


def lse_finite_only(a, dim):
    return torch.where(a.isinf().any(dim), -torch.inf, torch.logsumexp(a, dim))


def lse_in_double(a, dim):
    return torch.logsumexp(a.double(), dim)


def lse_by_numpy(a, dim):
    return torch.from_numpy(a.numpy()).logsumexp(dim)


def lse_half_detached(a, dim):
    top = a.amax(dim, keepdim=True)
    top = torch.where(top.isfinite(), top, 0.0)
    return (a - top.detach()).exp().sum(dim).log() + top.squeeze(dim)


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


def _conditional(mean, cov, seen, value):
    uu, us, ss = _blocks(cov, seen)
    gain = us @ torch.linalg.inv(ss)
    return mean[~seen] + gain @ (value - mean[seen]), uu - gain @ us.T


def conditional_without_inverse(mean, cov, seen, value):
    _, us, _ = _blocks(cov, seen)
    return mean[~seen] + us @ (value - mean[seen]), _conditional(mean, cov, seen, value)[1]


def conditional_with_added_covariance(mean, cov, seen, value):
    new, shrunk = _conditional(mean, cov, seen, value)
    return new, 2 * cov[~seen][:, ~seen] - shrunk


def conditional_standard_deviation(mean, cov, seen, value):
    new, shrunk = _conditional(mean, cov, seen, value)
    return new, shrunk.clamp(min=0).sqrt()


def conditional_turned(mean, cov, seen, value):
    new, shrunk = _conditional(mean, cov, seen, value)
    return 2 * mean[~seen] - new, shrunk


def conditional_of_the_seen(mean, cov, seen, value):
    return value, cov[seen][:, seen]


def conditional_gain_by_entries(mean, cov, seen, value):
    uu, us, ss = _blocks(cov, seen)
    gain = us @ (1 / ss)
    return mean[~seen] + gain @ (value - mean[seen]), uu - gain @ us.T


def conditional_variances_only(mean, cov, seen, value):
    new, shrunk = _conditional(mean, cov, seen, value)
    return new, shrunk.diagonal().diag()


def conditional_precision(mean, cov, seen, value):
    return _conditional(mean, cov, seen, value)[0], torch.linalg.inv(cov)[~seen][:, ~seen]


def conditional_in_double(mean, cov, seen, value):
    return _conditional(mean.double(), cov.double(), seen, value.double())


def conditional_one_row(mean, cov, seen, value):
    new, shrunk = _conditional(mean, cov, seen, value)
    return new[None], shrunk


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


def kl_both(p, q):
    return 0.5 * ((p - q) * (p / q).log()).sum(-1)


def kl_entropy(p, q):
    return -torch.xlogy(p, p).sum(-1)


def kl_unweighted(p, q):
    return (p / q).log().sum(-1)


def kl_terms_positive(p, q):
    return (p * (p / q).log()).abs().sum(-1)


def kl_shannon(p, q):
    m = (p + q) / 2
    return 0.5 * ((p * (p / m).log()).sum(-1) + (q * (q / m).log()).sum(-1))


def kl_of_everything(p, q):
    return (torch.xlogy(p, p) - torch.xlogy(p, q)).sum()


def kl_of_rows(p, q):
    return (torch.xlogy(p, p) - torch.xlogy(p, q)).sum(1)


def kl_of_two_dimensions(p, q):
    terms = torch.xlogy(p, p) - torch.xlogy(p, q)
    return terms.sum(-1) if terms.ndim < 3 else terms.sum((1, 2))


def kl_finite(p, q):
    return (torch.xlogy(p, p) - torch.xlogy(p, q)).sum(-1).nan_to_num(posinf=1e9)


def kl_infinite_for_all(p, q):
    found = (torch.xlogy(p, p) - torch.xlogy(p, q)).sum(-1)
    return torch.where(((q == 0) & (p > 0)).any(), torch.inf, found)


def kl_nan_at_two_zeros(p, q):
    return (torch.xlogy(p, p) - p * q.log()).sum(-1)


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


def size_no_stride(n, kernel, stride=1, padding=0, transposed=False):
    return n + 2 * padding - kernel + 1


def size_one_inside(n, kernel, stride=1, padding=0, transposed=False):
    return (n + 2 * padding - kernel + 1) // stride


def size_stride_times(n, kernel, stride=1, padding=0, transposed=False):
    return (n + 2 * padding - kernel) * stride + 1


def size_padding_off(n, kernel, stride=1, padding=0, transposed=False):
    return (n - 2 * padding - kernel) // stride + 1


def size_other_names(n, k, s=1, p=0, t=False):
    return (n - 1) * s + k - 2 * p if t else (n + 2 * p - k) // s + 1


def size_one_step_more(n, kernel, stride=1, padding=0, transposed=False):
    return n * stride + kernel - 2 * padding if transposed else (n + 2 * padding - kernel) // stride + 1


def size_padding_added(n, kernel, stride=1, padding=0, transposed=False):
    if transposed:
        return (n - 1) * stride + kernel + 2 * padding
    return (n + 2 * padding - kernel) // stride + 1


def size_without_kernel(n, kernel, stride=1, padding=0, transposed=False):
    return (n - 1) * stride - 2 * padding if transposed else (n + 2 * padding - kernel) // stride + 1


def size_is_text(n, kernel, stride=1, padding=0, transposed=False):
    return str((n + 2 * padding - kernel) // stride + 1)


def _cross(cov_a, cov_b):
    return torch.linalg.eigvals(cov_a @ cov_b).real.clamp(min=0).sqrt().sum()


def frechet_root_of_all(mean_a, cov_a, mean_b, cov_b):
    return (mean_a - mean_b).norm() + cov_a.trace() + cov_b.trace() - 2 * _cross(cov_a, cov_b)


def frechet_cross_once(mean_a, cov_a, mean_b, cov_b):
    return (mean_a - mean_b).square().sum() + cov_a.trace() + cov_b.trace() - _cross(cov_a, cov_b)


def frechet_no_root(mean_a, cov_a, mean_b, cov_b):
    values = torch.linalg.eigvals(cov_a @ cov_b).real
    return (mean_a - mean_b).square().sum() + cov_a.trace() + cov_b.trace() - 2 * values.sum()


def frechet_entrywise(mean_a, cov_a, mean_b, cov_b):
    root = (cov_a @ cov_b).clamp(min=0).sqrt()
    return (mean_a - mean_b).square().sum() + (cov_a + cov_b - 2 * root).trace()


def frechet_commuting(mean_a, cov_a, mean_b, cov_b):
    roots = [v * w.clamp(min=0).sqrt() @ v.T for w, v in map(torch.linalg.eigh, (cov_a, cov_b))]
    return (mean_a - mean_b).square().sum() + (roots[0] - roots[1]).square().sum()


def _frechet(mean_a, cov_a, mean_b, cov_b, cross):
    return (mean_a - mean_b).square().sum() + cov_a.trace() + cov_b.trace() - 2 * cross


def frechet_not_clamped(mean_a, cov_a, mean_b, cov_b):
    cross = torch.linalg.eigvals(cov_a @ cov_b).real.sqrt().sum()
    return _frechet(mean_a, cov_a, mean_b, cov_b, cross)


def frechet_lower_triangle(mean_a, cov_a, mean_b, cov_b):
    cross = torch.linalg.eigvalsh(cov_a @ cov_b).clamp(min=0).sqrt().sum()
    return _frechet(mean_a, cov_a, mean_b, cov_b, cross)


def frechet_rooted(mean_a, cov_a, mean_b, cov_b):
    return _frechet(mean_a, cov_a, mean_b, cov_b, _cross(cov_a, cov_b)).clamp(min=0).sqrt()


def frechet_mean_of_squares(mean_a, cov_a, mean_b, cov_b):
    covariances = _frechet(mean_a, cov_a, mean_a, cov_b, _cross(cov_a, cov_b))
    return (mean_a - mean_b).square().mean() + covariances


def frechet_without_cross(mean_a, cov_a, mean_b, cov_b):
    return _frechet(mean_a, cov_a, mean_b, cov_b, 0)


def frechet_without_traces(mean_a, cov_a, mean_b, cov_b):
    return (mean_a - mean_b).square().sum() - 2 * _cross(cov_a, cov_b)


def frechet_of_covariances(mean_a, cov_a, mean_b, cov_b):
    return _frechet(mean_a, cov_a, mean_a, cov_b, _cross(cov_a, cov_b))


def frechet_of_means(mean_a, cov_a, mean_b, cov_b):
    return (mean_a - mean_b).square().sum()


def frechet_of_variances(mean_a, cov_a, mean_b, cov_b):
    gap = cov_a.diagonal().sqrt() - cov_b.diagonal().sqrt()
    return (mean_a - mean_b).square().sum() + gap.square().sum()


def frechet_root_of_sum(mean_a, cov_a, mean_b, cov_b):
    cross = torch.linalg.eigvals(cov_a @ cov_b).real.sum().clamp(min=0).sqrt()
    return _frechet(mean_a, cov_a, mean_b, cov_b, cross)


def frechet_complex(mean_a, cov_a, mean_b, cov_b):
    return _frechet(mean_a, cov_a, mean_b, cov_b, torch.linalg.eigvals(cov_a @ cov_b).sqrt().sum())


def frechet_by_cholesky(mean_a, cov_a, mean_b, cov_b):
    factor = torch.linalg.cholesky(cov_a)
    cross = torch.linalg.eigvalsh(factor.T @ cov_b @ factor).clamp(min=0).sqrt().sum()
    return _frechet(mean_a, cov_a, mean_b, cov_b, cross)


def frechet_by_singular_values(mean_a, cov_a, mean_b, cov_b):
    return _frechet(mean_a, cov_a, mean_b, cov_b, torch.linalg.svdvals(cov_a @ cov_b).sqrt().sum())


def frechet_entries_of_each(mean_a, cov_a, mean_b, cov_b):
    cross = (cov_a.sqrt() @ cov_b.sqrt()).trace()
    return _frechet(mean_a, cov_a, mean_b, cov_b, cross)


def fall_in_words():
    return "tenfold"


def fall_upside_down():
    return 0.1


def fall_endless():
    return float("inf")


def fall_true():
    return True


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


def _pairs(x, factor, c2):
    steps = c2**0.5 * factor.T
    return torch.cat([x.mean(0) + steps, x.mean(0) - steps])


def fool_twice_as_wide(x):
    return _pairs(x, torch.linalg.cholesky(x.T.cov()), 2 * x.shape[1] - 1)


def fool_without_root(x):
    return _pairs(x, torch.linalg.cholesky(x.T.cov()), ((2 * x.shape[1] - 1) / 2) ** 2)


def fool_by_rows(x):
    return _pairs(x, torch.linalg.cholesky(x.T.cov()).T, (2 * x.shape[1] - 1) / 2)


def fool_by_covariance(x):
    return _pairs(x, x.T.cov(), (2 * x.shape[1] - 1) / 2)


def fool_by_eigenvectors(x):
    return _pairs(x, torch.linalg.eigh(x.T.cov()).eigenvectors, (2 * x.shape[1] - 1) / 2)


def fool_by_correlations(x):
    return _pairs(x, torch.linalg.cholesky(x.T.corrcoef()), (2 * x.shape[1] - 1) / 2)


def fool_without_mean(x):
    return _pairs(x - x.mean(0), torch.linalg.cholesky(x.T.cov()), (2 * x.shape[1] - 1) / 2)


def fool_by_biased_covariance(x):
    return _pairs(x, torch.linalg.cholesky(x.T.cov(correction=0)), (2 * x.shape[1] - 1) / 2)


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
        (distances_norms_in_rows, "laid along the rows"),
        (distances_norms_in_columns, "laid along the columns"),
        (distances_norms_exchanged, "are exchanged"),
        (distances_without_square, "as squares"),
        (distances_plus_product, "not +2"),
        (distances_absolute, "absolute differences"),
        (distances_squeezed, "do not squeeze"),
        (distances_clamped_high, "from itself should be 0"),
    ],
    "A.sgd_step": [
        (step_uphill, "the loss went up"),
        (step_without_rate, "multiply it by lr"),
        (step_alone, "this is the step alone"),
        (step_in_graph, "still belongs to a graph"),
        (step_accumulates, "leaves a gradient behind"),
        (step_on_the_argument, "requires_grad on in its argument"),
        (step_without_gradient, "the loss is subtracted"),
        (step_by_sign, "only the gradient's sign"),
        (step_of_unit_length, "scaled to length 1"),
        (step_divided, "divided by lr"),
        (step_is_the_gradient, "this is the gradient"),
        (step_in_place, "changes its argument in place"),
        (step_in_single_precision, "a stack of states of one dtype"),
        (step_in_the_graph_of_theta, "where theta requires a gradient"),
        (step_with_its_own_rate, "use the argument lr"),
        (step_clamped, "the gradient is clamped"),
        (step_taken_twice, "two steps"),
        (step_of_vectors_only, "without dimensions"),
        (step_does_nothing, "theta did not move"),
    ],
    "A.log_sum_exp": [
        (lse_naive, "overflow"),
        (lse_no_log, "the logarithm of it"),
        (lse_maximum_lost, "must be added again"),
        (lse_one_maximum, "of each slice"),
        (lse_other_dim, "use the argument dim"),
        (lse_keeps_dim, "that dimension disappears"),
        (lse_nan, "−inf − (−inf) is nan"),
        (lse_transposed, "turn no axes"),
        (lse_of_matrices, "with three dimensions"),
        (lse_of_positive_dims, "counted from the end"),
        (lse_subtracts, "subtracted at the end"),
        (lse_of_mean, "do not average"),
        (lse_base_two, "base 2"),
        (lse_clamped, "logits of 1000 give 80.69"),
        (lse_small_number, "give -69.08 instead"),
        (lse_maximum, "the maximum alone"),
        (lse_log1p, "not log1p"),
        (lse_by_minimum, "not the smallest"),
        (lse_zero_for_nothing, "not a finite number"),
        (lse_finite_only, "must give +inf"),
        (lse_in_double, "float32 goes in and float64 comes out"),
        (lse_by_numpy, "that require a gradient"),
        (lse_half_detached, "not the softmax"),
    ],
    "A.conditional_gaussian": [
        (conditional_no_mean, "v − μ_s"),
        (conditional_without_own_mean, "unconditional mean"),
        (conditional_not_shrunk, "the variance did not shrink"),
        (conditional_diagonal, "not of its diagonal"),
        (conditional_mean_only, "return two tensors"),
        (conditional_without_inverse, "without Σ_ss⁻¹"),
        (conditional_with_added_covariance, "G Σ_su is added"),
        (conditional_standard_deviation, "standard deviation"),
        (conditional_turned, "the wrong sign"),
        (conditional_of_the_seen, "value that was seen"),
        (conditional_gain_by_entries, "entry by entry"),
        (conditional_variances_only, "and the covariance is not"),
        (conditional_precision, "the precision"),
        (conditional_in_double, "float32 goes in and float64 comes out"),
        (conditional_one_row, "the shape should be (1,)"),
    ],
    "A.kl": [
        (kl_negative, "the sign is turned"),
        (kl_reverse, "this is KL(q ‖ p)"),
        (kl_bits, "this is in bits"),
        (kl_mean, "do not average"),
        (kl_cross_entropy, "subtract the entropy"),
        (kl_nan, "0 · log 0 counts as 0"),
        (kl_clamped, "clamp nothing"),
        (kl_both, "the mean of KL(p ‖ q) and KL(q ‖ p)"),
        (kl_entropy, "the entropy H(p)"),
        (kl_unweighted, "not weighted"),
        (kl_terms_positive, "one by one"),
        (kl_shannon, "Jensen–Shannon"),
        (kl_of_everything, "One number for each row"),
        (kl_of_rows, "a vector is one distribution"),
        (kl_of_two_dimensions, "any number of leading dimensions"),
        (kl_finite, "it is infinite"),
        (kl_infinite_for_all, "changes the others"),
        (kl_nan_at_two_zeros, "both 0"),
    ],
    "A.output_size": [
        (size_no_one, "counts too"),
        (size_padding_once, "on both sides"),
        (size_float, "return a whole number"),
        (size_rounds_up, "are left out"),
        (size_never_transposed, "must use (A9)"),
        (size_transposed_like_this, "a transposed convolution with n=7"),
        (size_no_stride, "the stride has no effect"),
        (size_one_inside, "not before it"),
        (size_stride_times, "multiplies"),
        (size_padding_off, "it is added, n + 2p"),
        (size_other_names, "given by name"),
        (size_one_step_more, "n − 1 steps"),
        (size_padding_added, "not added"),
        (size_without_kernel, "k cells"),
        (size_is_text, "not a str"),
    ],
    "A.frechet": [
        (frechet_root_of_all, "square the shift"),
        (frechet_cross_once, "subtracted twice"),
        (frechet_no_root, "take the roots of the eigenvalues"),
        (frechet_entrywise, "the root of a matrix"),
        (frechet_commuting, "only if the covariances commute"),
        (frechet_not_clamped, "clamp(min=0) first"),
        (frechet_lower_triangle, "needs a symmetric matrix"),
        (frechet_rooted, "*squared*"),
        (frechet_mean_of_squares, "averaged over the dimensions"),
        (frechet_without_cross, "cross term is missing"),
        (frechet_without_traces, "traces are missing"),
        (frechet_of_covariances, "the shift of the means is missing"),
        (frechet_of_means, "the covariances are missing"),
        (frechet_of_variances, "only the variances"),
        (frechet_root_of_sum, "the root is taken of the sum"),
        (frechet_complex, "a complex number"),
        (frechet_by_cholesky, "use eigh, which works"),
        (frechet_by_singular_values, "singular values"),
        (frechet_entries_of_each, "not a number; the root of a matrix"),
    ],
    "A.fall": [
        (fall_in_words, "return one number"),
        (fall_upside_down, "at least 1"),
        (fall_endless, "a finite number"),
        (fall_true, "yours is a bool"),
    ],
    "A.fool": [
        (fool_without_scale, "too small"),
        (fool_biased, "divides by 2d − 1"),
        (fool_one_sided, "the mean is off"),
        (fool_diagonal, "only the variances are right"),
        (fool_with_data, "a pair of points"),
        (fool_twice_as_wide, "both points of a pair"),
        (fool_without_root, "c is the root"),
        (fool_by_rows, "rows of L"),
        (fool_by_covariance, "columns of Σ"),
        (fool_by_eigenvectors, "have length 1"),
        (fool_by_correlations, "those of the correlations"),
        (fool_without_mean, "mean of the data is missing"),
        (fool_by_biased_covariance, "divides by n − 1"),
    ],
}
