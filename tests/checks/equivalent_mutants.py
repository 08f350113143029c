"""Mutants of the references that may pass their checks, and why: what `python tasks.py mutate` leaves out.

An entry that no mutant needs any longer fails tests/checks/test_mutants.py.
"""

FREE = {
    **dict.fromkeys(
        (
            *(
                "00.blank",
                "01.bets",
                "02.bet",
                "02b.decibels",
                "03.guess",
                "03b.gain",
                "04b.guess",
                "05.bets",
            ),
            *("06.percentage", "07.luck", "08.marks", "08b.crossing", "09.bits", "10.share", "A.fall"),
            *("11.dream", "11b.width", "12b.bet"),
        ),
        "a bet: any number in the range counts",
    ),
    "01.break_lda": "an invention: any data that defeat the straight line count",
    "03.hard_to_sample": "an invention: any cloud that one Gaussian cannot imitate counts",
    "05.too_much": "an invention: any strength that stops the training counts",
    "11b.blind": "an invention: any two far islands whose shares differ count",
}
"""Exercises whose answer is the reader's own, so that a changed number is another right answer."""

EQUIVALENT: dict[str, dict[str, tuple[str, ...]]] = {
    "00.cholesky": {
        "any L with L Lᵀ = Σ gives draws from N(μ, Σ), and −L is one": ("return mean - eps @ factor.T",),
    },
    "00.decisive": {
        "a tensor of one truth value stands in a condition like a bool": (
            "all_right = (distance <= tol).all()",
        ),
        "no measured distance is tol to the last digit": ("all_right = bool((distance < tol).all())",),
    },
    "01.lda": {
        "a scalar product is the same from both sides": (
            "b = w @ (-0.5 * (mean1 + mean0)) + np.log(prior1 / (1 - prior1))",
        ),
    },
    "01.sample": {
        "noise with the digits of float32, added to float64: N(0, 1) to 1e-7": (
            "eps = torch.randn(n, d, generator=generator)",
        ),
        "the noise is as likely with the other sign": (
            "return mean + z @ W.T - sigma2.sqrt() * eps",
            "return mean - z @ W.T + sigma2.sqrt() * eps",
        ),
    },
    "01.hole_loss": {
        "truth values become 0.0 and 1.0 where images are joined and multiplied": (
            "seen = torch.rand_like(x) > share",
        ),
        "no two draws are equal": ("seen = (torch.rand_like(x) >= share).float()",),
        "1 − share is uniform like share": ("seen = (torch.rand_like(x) < share).float()",),
    },
    "02.sample": {
        "the noise is as likely with the other sign": (
            "return (means[k] - torch.einsum('nij,nj->ni', L, eps), k)",
        ),
    },
    "02.spike": {
        "a spike on any datum does": (
            "means = torch.stack([x[1], x.mean(0)])",
            "means = torch.stack([x[-1], x.mean(0)])",
        ),
        "any covariance near 0 does": (
            "narrow = 2e-80 * torch.eye(2, dtype=x.dtype)",
            "narrow = 5e-81 * torch.eye(2, dtype=x.dtype)",
        ),
    },
    "02.kl_gaussians": {
        "the distance does not depend on the direction": ("gap = mean_a - mean_b",),
        "a scalar product is the same from both sides": ("distance = torch.linalg.solve(cov_b, gap) @ gap",),
    },
    "02b.conditional": {
        "0 and 1 are the same numbers in float32, and the sum has its partner's dtype": (
            "precision = torch.eye(W.shape[1]) + W.T @ W / noise",
        ),
    },
    "02b.paint": {
        "the noise is as likely with the other sign": ("z = m - eps @ torch.linalg.cholesky(C).T",),
    },
    "03.reconstruction_loss": {
        "a square does not depend on the sign": ("return (x - model(x)).square().sum(1).mean()",),
    },
    "03.pca": {
        "the first rows of Vᵀ are the same in the full decomposition": (
            "_, s, vt = torch.linalg.svd(x - mean)",
            "_, s, vt = torch.linalg.svd(x - mean, full_matrices=True)",
        ),
        "a direction has no sign": ("_, s, vt = torch.linalg.svd(mean - x, full_matrices=False)",),
    },
    "03.sample_mixture": {
        "only the first column of the noise is used": (
            "noise = torch.randn(n, means.shape[1], 2, dtype=means.dtype)",
        ),
        "the noise is as likely with the other sign": (
            "return means[which] - (chol[which] @ noise)[..., 0]",
        ),
        "the axis has one entry": ("return means[which] + (chol[which] @ noise)[..., -1]",),
    },
    "03b.denoising_loss": {
        "the noise is as likely with the other sign": ("noisy = x - sigma * torch.randn_like(x)",),
        "a square does not depend on the sign": ("return (x - model(noisy)).square().mean()",),
    },
    "03b.no_datum": {
        "any two points do whose middle is none of them": (
            "clean = torch.tensor([[-3.0, 1.0], [3.0, 0.0]])",
            "clean = torch.tensor([[-3.0, -1.0], [3.0, 0.0]])",
            "clean = torch.tensor([[-3.0, 0.0], [3.0, 1.0]])",
            "clean = torch.tensor([[-3.0, 0.0], [3.0, -1.0]])",
        ),
    },
    "03b.denoise_down": {
        "the noise is as likely with the other sign": ("x = model(x) - after * torch.randn_like(x)",),
    },
    "04.elbo": {
        "kl has two axes, by its docstring": (
            "return (kl.sum(1).mean(), -log_lik.flatten(1).sum(1).mean())",
        ),
    },
    "04.careless": {
        "kl has two axes, by its docstring": ("return kl.sum(1).mean() - log_lik.mean()",),
    },
    "05.modes": {
        "a tensor of one count compares and prints like an int": ("return (near.sum(0) >= 20).sum()",),
    },
    "05.keep": {
        "no draw is a probability to the last digit": ("return u <= (logits - logits.max()).exp()",),
    },
    "06.ancestral": {
        "noise with the digits of float32, in the dtype of x: N(0, 1) to 1e-7": (
            "eps = torch.randn(x.shape, generator=generator).to(x)",
        ),
        "the noise is as likely with the other sign": ("x = mean - variance.sqrt() * eps",),
    },
    "06.simple_loss": {
        "a square does not depend on the sign": (
            "return (eps - model(noise(x0, t, eps, alpha_bar), t)).square().mean()",
        ),
    },
    "06b.eta_step": {
        "the smaller of two does not depend on their order": ("variance = torch.minimum(1 - a_s, variance)",),
    },
    "06b.best_guess": {
        "a number without axes takes the dtype and device of its partner": (
            "squares = torch.cdist(xt, a_t.sqrt() * data).square()",
            "weights = (-squares / (2 * (1 - a_t))).softmax(1)",
        ),
    },
    "07.frechet": {
        "a square does not depend on the sign": ("gap = b.mean(0) - a.mean(0)",),
        "A B and B A have the same eigenvalues": (
            "roots = torch.linalg.eigvals(cov_b @ cov_a).real.clamp(min=0).sqrt()",
        ),
    },
    "07.neighbours": {
        "the last axis is the default": ("radii = gaps.kthvalue(k + 1).values",),
        "distances within a set are symmetric": ("radii = gaps.kthvalue(k + 1, dim=0).values",),
        "no candidate is on a sphere to the last digit": (
            "return (torch.cdist(points, centres) <= radii).any(1).double().mean()",
        ),
    },
    "07.difference": {
        "a tensor of one number prints and counts like a float": (
            "return (gaps.mean(), (gaps.std() / len(gaps) ** 0.5).item())",
            "return (gaps.mean().item(), gaps.std() / len(gaps) ** 0.5)",
        ),
    },
    "07.densest": {
        "the last axis is the default": ("radii = torch.cdist(real, real).kthvalue(k + 1).values",),
        "distances within a set are symmetric": (
            "radii = torch.cdist(real, real).kthvalue(k + 1, dim=0).values",
        ),
        "no candidate is on a sphere to the last digit": (
            "balls = (torch.cdist(candidates, real) <= radii).sum(1)",
        ),
        "one number repeated is the same both ways": ("return balls.argmax().repeat_interleave(n)",),
    },
    "08.moves": {
        "each row is divided by its sum, so a common factor does not count": ("counts = xi.mean(0)",),
    },
    "08b.crf": {
        "the axis has one entry": ("picked = e.gather(2, y[:, :, None])[:, :, -1]",),
    },
    "08b.weighting": {
        "every node is set before a child looks it up": (
            "states = torch.ones(n, len(parents), dtype=torch.long)",
        ),
        "all tables have one dtype": (
            "weights = torch.ones(n, dtype=tables[1].dtype)",
            "weights = torch.ones(n, dtype=tables[-1].dtype)",
        ),
        "one number broadcasts like n equal ones": ("yes = table[tuple((states[:, j] for j in above))]",),
        "a truth value put into whole numbers is 0 or 1": (
            "states[:, i] = torch.rand(n, generator=generator) < yes",
        ),
        "no random number is p to the last digit": (
            "states[:, i] = (torch.rand(n, generator=generator) <= yes).long()",
        ),
    },
    "08b.weights": {
        "a cell of probability 0 adds 0 either way": (
            "total = total + torch.where(p >= 0, torch.xlogy(p, p) - torch.xlogy(p, independent), 0.0)",
        ),
    },
    "09.leak": {
        "the direct connections let each pixel reach its own logit anyway": (
            "into = degrees[:, None] > rank",
            "out = rank[:, None] > degrees",
        ),
    },
    "09.conv": {
        "truth values multiply like 0.0 and 1.0": ("return place < centre + (kind == 'B')",),
    },
    "09.draw": {
        "what stands at places not yet written does not matter": (
            "letters = torch.ones(n, rows, columns, dtype=torch.long, device=u.device)",
        ),
    },
    "09b.look": {
        "the same two axes": ("scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])",),
    },
    "09b.weights": {
        "the sums have one axis": ("return (log_p * given).sum((1, 2)).softmax(-1)",),
    },
    "10.bits": {
        "all images of a batch have one size": ("D = levels[-1].numel()",),
    },
    "10b.sneak": {
        "an invention: smaller letters that leave out pixels keep the detector silent, too": (
            "small = F.interpolate(x, size=(16, 16))",
        ),
    },
    "10b.turn": {
        "what stands at places not yet written does not matter": ("x = torch.ones_like(z)",),
    },
    "11.annealing": {
        "a column of zeros, whichever it is": (
            "log_w = torch.zeros_like(v[:, 1])",
            "log_w = torch.zeros_like(v[:, -1])",
        ),
    },
    "11b.score_matching": {
        "torch.autograd.grad returns one entry for one input: its first is its last": (
            "d_psi = torch.autograd.grad(psi[:, i].sum(), x, create_graph=True)[-1]",
        ),
    },
    "12.slant": {
        "pages are 28 by 28, and whole numbers broadcast as floats do": (
            "rows = torch.arange(x.shape[1], device=x.device)[:, None]",
            "rows = torch.arange(x.shape[2], dtype=x.dtype, device=x.device)[:, None]",
            "columns = torch.arange(x.shape[2], device=x.device)",
            "columns = torch.arange(x.shape[1], dtype=x.dtype, device=x.device)",
        ),
        "any small number keeps a page without ink at 0": (
            "mass = x.sum((1, 2)).clamp(min=2e-06)",
            "mass = x.sum((1, 2)).clamp(min=5e-07)",
            "return (x * across * down).sum((1, 2)) / (x * down ** 2).sum((1, 2)).clamp(min=2e-06)",
            "return (x * across * down).sum((1, 2)) / (x * down ** 2).sum((1, 2)).clamp(min=5e-07)",
        ),
        "Σ x (r − r̄) is 0, so μ11 does not depend on where columns are measured from": (
            "across = columns + ((x * columns).sum((1, 2)) / mass)[:, None, None]",
            "across = columns - ((x * columns).sum((1, 2)) * mass)[:, None, None]",
            "across = columns - ((x * columns).mean((1, 2)) / mass)[:, None, None]",
        ),
    },
    "12.withhold": {
        "differ with probability 0": ("return torch.where(u <= share, torch.nan, order)",),
    },
    "12.coverage": {
        "distances among the same points are a symmetric matrix": (
            "radius = torch.cdist(mine, mine).kthvalue(k + 1).values",
            "radius = torch.cdist(mine, mine).kthvalue(k + 1, dim=0).values",
        ),
        "differ with probability 0": ("shares.append((nearest <= radius).double().mean())",),
    },
    "13.transport": {
        "a distance is symmetric": ("return (y.sort(0).values - x.sort(0).values).abs().mean(0)",),
    },
    "13.penalty": {
        "any tiny number keeps the root's slope finite": (
            "norm = (slope.flatten(1).square().sum(1) + 2e-12).sqrt()",
            "norm = (slope.flatten(1).square().sum(1) + 5e-13).sqrt()",
        ),
        "a square has no sign": ("return (1 - norm).square().mean()",),
    },
    "13.sliced": {
        "a distance is symmetric": ("apart = (y @ unit).sort(0).values - (x @ unit).sort(0).values",),
    },
    "13b.descend": {
        "the starts come without a graph": ("z = z.clone().requires_grad_()",),
        "Adam's steps do not depend on the loss's scale": (
            "return (made - x).square().flatten(2).mean(2)",
            "z.grad, = torch.autograd.grad(errors().mean(), z)",
        ),
        "a square has no sign": ("return (x - made).square().flatten(2).sum(2)",),
        "an index on the CPU picks from any device": ("return z[best, torch.arange(len(x))]",),
    },
    "13b.directions": {
        "once z is centred, a constant in a changes no slope": (
            "a = a + a.mean(0)",
            "a = a - a.sum(0)",
        ),
    },
    "13b.untangled": {
        "one column: its first is its last": ("return d - shadow[:, -1]",),
    },
    "14.flow_loss": {
        "a square has no sign": ("return (x - eps - model(state, t)).square().mean()",),
    },
    "14b.log_likelihood": {
        "all rows have one size": ("D = x[-1].numel()",),
    },
    "14b.assigned_within": {
        "a class may be assigned again and again": ("for label in y:",),
        "one column: its first is its last": ("rows = (y == label).nonzero()[:, -1]",),
        "an index on the CPU picks from any device": (
            "order = torch.from_numpy(linear_sum_assignment(cost)[1])",
        ),
    },
    "15.contrastive_loss": {
        "F.normalize scales along axis 1 unless told otherwise": (
            "seen = F.normalize(seen)",
            "heard = F.normalize(heard)",
            "choices = torch.cat([scores, seen @ F.normalize(more).T / temperature], 1)",
        ),
    },
    "15.cross_attention": {
        "the same two axes, named the other way round": (
            "q = query(x).unflatten(-1, (heads, -1)).transpose(2, 1)",
            "k = key(memory).unflatten(-1, (heads, -1)).transpose(2, 1)",
            "v = value(memory).unflatten(-1, (heads, -1)).transpose(2, 1)",
            "scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])",
            "return ((weights @ v).transpose(2, 1).flatten(2), weights)",
        ),
        "of four axes, number 2 is the last but one": (
            "scores = q @ k.transpose(-1, 2) / math.sqrt(q.shape[-1])",
        ),
    },
    "A.log_sum_exp": {
        "any finite number does where the maximum is infinite": (
            "top = torch.where(top.isfinite(), top, 1.0)",
            "top = torch.where(top.isfinite(), top, -1.0)",
        ),
    },
    "A.frechet": {
        "a square does not depend on the sign": (
            "return (mean_b - mean_a).square().sum() + cov_a.trace() + cov_b.trace() - 2 * cross",
        ),
    },
    "06.too_narrow": {
        "it is meant to be broken: whatever ends at the oracle's x_0 without the spread counts": (
            "x0 = (x - (2 - a_t).sqrt() * predict(x, t)) / a_t.sqrt()",
        ),
    },
    "A.fool": {
        "the covariance of more than 2d rows has no eigenvalue near 0; Cholesky needs that, too": (
            "columns = (vectors * values.sqrt()).T",
            "columns = (vectors * values.clamp(min=-1).sqrt()).T",
        ),
    },
}
"""Exercise → why the reference means the same → with one of these statements."""
