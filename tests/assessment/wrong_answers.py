"""Wrong answers to the programming parts of the assignments: each is a usual mistake.

`LOST` fails every test of its part; `NEARLY` passes the visible tests and fails a hidden one. `v.name` is the
variant's number, as in the sources.
"""

LOST = {
    ("assignment_1", "4a"): [
        # forgets the scanner
        "def log_scan(x, theta):\n    t = theta.clamp(1e-6, 1 - 1e-6)\n"
        "    return x @ t.log().T + (1 - x) @ (1 - t).log().T\n",
        # probabilities, not logarithms
        "def log_scan(x, theta):\n    ink = theta * (1 - v.flip) + (1 - theta) * v.flip\n"
        "    return (ink ** x[:, None] * (1 - ink) ** (1 - x[:, None])).prod(2)\n",
        # a mean over the pixels
        "def log_scan(x, theta):\n    ink = theta * (1 - v.flip) + (1 - theta) * v.flip\n"
        "    return (x @ ink.log().T + (1 - x) @ (1 - ink).log().T) / x.shape[1]\n",
        # components in rows
        "def log_scan(x, theta):\n    ink = theta * (1 - v.flip) + (1 - theta) * v.flip\n"
        "    return (x @ ink.log().T + (1 - x) @ (1 - ink).log().T).T\n",
    ],
    ("assignment_1", "4b"): [
        # takes what the scanner shows for the coin
        "def m_step(x, r, theta):\n    owns = r.sum(0)\n"
        "    return owns / len(x), (r.T @ x + v.a - 1) / (owns[:, None] + v.a + v.b - 2)\n",
        # no prior
        "def m_step(x, r, theta):\n    ink = theta * (1 - v.flip) + (1 - theta) * v.flip\n"
        "    ones = (r.T @ x) * theta * (1 - v.flip) / ink + (r.T @ (1 - x)) * theta * v.flip / (1 - ink)\n"
        "    return r.mean(0), ones / r.sum(0)[:, None]\n",
        # a and b as counts, without the −1 of the density
        "def m_step(x, r, theta):\n    ink = theta * (1 - v.flip) + (1 - theta) * v.flip\n"
        "    ones = (r.T @ x) * theta * (1 - v.flip) / ink + (r.T @ (1 - x)) * theta * v.flip / (1 - ink)\n"
        "    return r.mean(0), (ones + v.a) / (r.sum(0)[:, None] + v.a + v.b)\n",
    ],
    ("assignment_1", "4c"): [
        # no entropy
        "def bound(log_lik, r, weights, theta):\n"
        "    prior = ((v.a - 1) * theta.log() + (v.b - 1) * (1 - theta).log()).sum()\n"
        "    return -(r * (weights.log() + log_lik)).sum() + prior\n",
        # a mean over the images
        "def bound(log_lik, r, weights, theta):\n"
        "    data = (r * (weights.log() + log_lik) - torch.xlogy(r, r)).sum(1).mean()\n"
        "    return data - ((v.a - 1) * theta.log() + (v.b - 1) * (1 - theta).log()).sum()\n",
        # no prior
        "def bound(log_lik, r, weights, theta):\n"
        "    return (r * (weights.log() + log_lik) - torch.xlogy(r, r)).sum()\n",
    ],
    ("assignment_1", "6a"): [
        # S in the place of Σ
        "def fit_denoiser(x, sigma, k):\n    mean = x.mean(0)\n    S = (x - mean).T @ (x - mean) / len(x)\n"
        "    lam, V = torch.linalg.eigh(S)\n    V = V[:, -k:]\n"
        "    A = (V * (lam[-k:] / (lam[-k:] + sigma**2))) @ V.T\n    return A, mean - A @ mean\n",
        # keeps the smallest eigenvalues
        "def fit_denoiser(x, sigma, k):\n    mean = x.mean(0)\n    S = (x - mean).T @ (x - mean) / len(x)\n"
        "    d = len(S)\n    S = (1 - v.rho) * S + v.rho * S.trace() / d * torch.eye(d, dtype=x.dtype)\n"
        "    lam, V = torch.linalg.eigh(S)\n    V = V[:, :k]\n"
        "    A = (V * (lam[:k] / (lam[:k] + sigma**2))) @ V.T\n    return A, mean - A @ mean\n",
        # projects, and does not shrink
        "def fit_denoiser(x, sigma, k):\n    mean = x.mean(0)\n    S = (x - mean).T @ (x - mean)\n"
        "    V = torch.linalg.eigh(S)[1][:, -k:]\n    return V @ V.T, mean - V @ V.T @ mean\n",
    ],
    ("assignment_1", "8a"): [
        # a Gaussian
        "def student_log_prob(x, mean):\n    return Normal(mean, v.s8).log_prob(x)\n",
        # the scale is not in the constant
        "def student_log_prob(x, mean):\n    c = math.lgamma((v.nu8 + 1) / 2) - math.lgamma(v.nu8 / 2)\n"
        "    c -= 0.5 * math.log(math.pi * v.nu8)\n"
        "    return c - (v.nu8 + 1) / 2 * torch.log1p(((x - mean) / v.s8) ** 2 / v.nu8)\n",
        # summed over the coordinates
        "def student_log_prob(x, mean):\n"
        "    return torch.distributions.StudentT(v.nu8, mean, v.s8).log_prob(x).sum(1)\n",
    ],
    ("assignment_1", "8b"): [
        # the prior N(0, I)
        "def elbo(model, x, eps, log_prob):\n    m, lv = model.encode(x)\n    z = m + (0.5 * lv).exp() * eps\n"
        "    kl = 0.5 * (m**2 + lv.exp() - 1 - lv).sum(1)\n    return log_prob(x, model.decode(z)).sum(1) - kl\n",
        # a loss: the sign
        "def elbo(model, x, eps, log_prob):\n    m, lv = model.encode(x)\n    z = m + (0.5 * lv).exp() * eps\n"
        "    kl = 0.5 * ((m**2 + lv.exp()) / v.width**2 - 1 - lv + 2 * math.log(v.width)).sum(1)\n"
        "    return kl - log_prob(x, model.decode(z)).sum(1)\n",
        # a mean over the latents
        "def elbo(model, x, eps, log_prob):\n    m, lv = model.encode(x)\n    z = m + (0.5 * lv).exp() * eps\n"
        "    kl = 0.5 * ((m**2 + lv.exp()) / v.width**2 - 1 - lv + 2 * math.log(v.width)).mean(1)\n"
        "    return log_prob(x, model.decode(z)).sum(1) - kl\n",
    ],
    ("assignment_2", "3a"): [
        # smoothing forgotten: logit minus the logit of the share
        "def log_ratio(logits):\n    return logits - math.log(v.share3 / (1 - v.share3))\n",
        # equal shares
        "def log_ratio(logits):\n    D = torch.sigmoid(logits)\n"
        "    return D.log() - (v.target3 - D).clamp(min=0).log()\n",
        # upside down
        "def log_ratio(logits):\n    D = torch.sigmoid(logits)\n    left = (v.target3 - D).clamp(min=0)\n"
        "    return left.log() - D.log() - math.log((1 - v.share3) / v.share3)\n",
    ],
    ("assignment_2", "3b"): [
        # no cut
        "def reweigh(values, log_ratios):\n    w = log_ratios.exp()\n"
        "    return (w[:, None] * values).sum(0) / w.sum(), w.sum() ** 2 / (w**2).sum()\n",
        # divides by N
        "def reweigh(values, log_ratios):\n    w = log_ratios.exp()\n    w = w.minimum(v.cap * w.mean())\n"
        "    return (w[:, None] * values).mean(0), w.sum() ** 2 / (w**2).sum()\n",
        # a share for the effective number
        "def reweigh(values, log_ratios):\n    w = (log_ratios - log_ratios.max()).exp()\n"
        "    w = w.minimum(v.cap * w.mean())\n"
        "    return (w[:, None] * values).sum(0) / w.sum(), w.sum() ** 2 / (w**2).sum() / len(w)\n",
    ],
    ("assignment_2", "5a"): [
        # a mean over the batch in the place of the sum
        "def guided_eps(predict, log_classifier, x, t, y, w, abar_t):\n    with torch.enable_grad():\n"
        "        at = x.detach().requires_grad_()\n"
        "        (g,) = torch.autograd.grad(log_classifier(at, t)[torch.arange(len(x)), y].mean(), at)\n"
        "    norm = g.flatten(1).norm(dim=1).view(-1, *[1] * (x.ndim - 1))\n"
        "    g = g * (v.clip / norm.clamp(min=1e-12)).clamp(max=1)\n"
        "    return predict(x, t) - w * (1 - abar_t) ** 0.5 * g\n",
        # away from the label
        "def guided_eps(predict, log_classifier, x, t, y, w, abar_t):\n    with torch.enable_grad():\n"
        "        at = x.detach().requires_grad_()\n"
        "        (g,) = torch.autograd.grad(log_classifier(at, t)[torch.arange(len(x)), y].sum(), at)\n"
        "    norm = g.flatten(1).norm(dim=1).view(-1, *[1] * (x.ndim - 1))\n"
        "    g = g * (v.clip / norm.clamp(min=1e-12)).clamp(max=1)\n"
        "    return predict(x, t) + w * (1 - abar_t) ** 0.5 * g\n",
        # the score's step, without √(1 − ᾱ)
        "def guided_eps(predict, log_classifier, x, t, y, w, abar_t):\n    with torch.enable_grad():\n"
        "        at = x.detach().requires_grad_()\n"
        "        (g,) = torch.autograd.grad(log_classifier(at, t)[torch.arange(len(x)), y].sum(), at)\n"
        "    norm = g.flatten(1).norm(dim=1).view(-1, *[1] * (x.ndim - 1))\n"
        "    return predict(x, t) - w * g * (v.clip / norm.clamp(min=1e-12)).clamp(max=1)\n",
        # no limit
        "def guided_eps(predict, log_classifier, x, t, y, w, abar_t):\n"
        "    at = x.detach().requires_grad_()\n"
        "    (g,) = torch.autograd.grad(log_classifier(at, t)[torch.arange(len(x)), y].sum(), at)\n"
        "    return predict(x, t) - w * (1 - abar_t) ** 0.5 * g\n",
    ],
    ("assignment_2", "5b"): [
        # φ on the wrong side
        "def rescale(guided, plain):\n    axes = tuple(range(1, plain.ndim))\n"
        "    f = plain.std(axes, keepdim=True) / guided.std(axes, keepdim=True)\n"
        "    return (1 - v.phi) * guided * f + v.phi * guided\n",
        # the factor upside down
        "def rescale(guided, plain):\n    axes = tuple(range(1, plain.ndim))\n"
        "    f = guided.std(axes, keepdim=True) / plain.std(axes, keepdim=True)\n"
        "    return v.phi * guided * f + (1 - v.phi) * guided\n",
        # the variance
        "def rescale(guided, plain):\n    axes = tuple(range(1, plain.ndim))\n"
        "    f = plain.var(axes, keepdim=True) / guided.var(axes, keepdim=True)\n"
        "    return v.phi * guided * f + (1 - v.phi) * guided\n",
    ],
    ("assignment_2", "7a"): [
        # with the pairs of an example with itself
        "def mmd2(x, y):\n    k = lambda a, b: ((a @ b.T / x.shape[1] + v.c) ** 3).mean()\n"
        "    return k(x, x) + k(y, y) - 2 * k(x, y)\n",
        # the diagonal left out of the mean across, too
        "def mmd2(x, y):\n    n = min(len(x), len(y))\n    x, y = x[:n], y[:n]\n"
        "    off = lambda a, b: (lambda K: (K.sum() - K.trace()) / (n * (n - 1)))((a @ b.T / x.shape[1]) ** 3)\n"
        "    return off(x, x) + off(y, y) - 2 * off(x, y)\n",
        # another kernel: the constant 1
        "def mmd2(x, y):\n    d, n, m = x.shape[1], len(x), len(y)\n"
        "    xx, yy, xy = ((a @ b.T / d + 1) ** 3 for a, b in ((x, x), (y, y), (x, y)))\n"
        "    return ((xx.sum() - xx.trace()) / (n * (n - 1)) + (yy.sum() - yy.trace()) / (m * (m - 1))\n"
        "            - 2 * xy.mean())\n",
    ],
    ("assignment_2", "7b"): [
        # the mean
        "def floor(real, n, statistic, pairs, generator):\n    found = []\n    for _ in range(pairs):\n"
        "        o = torch.randperm(len(real), generator=generator)\n"
        "        found.append(float(statistic(real[o[:n]], real[o[n : 2 * n]])))\n"
        "    return torch.tensor(found).mean()\n",
        # the largest
        "def floor(real, n, statistic, pairs, generator):\n    found = []\n    for _ in range(pairs):\n"
        "        o = torch.randperm(len(real), generator=generator)\n"
        "        found.append(float(statistic(real[o[:n]], real[o[n : 2 * n]])))\n"
        "    return torch.tensor(found).max()\n",
        # halves in the place of samples of n
        "def floor(real, n, statistic, pairs, generator):\n    found = []\n    for _ in range(pairs):\n"
        "        o = torch.randperm(len(real), generator=generator)\n"
        "        found.append(float(statistic(real[o[: len(o) // 2]], real[o[len(o) // 2 :]])))\n"
        "    return torch.tensor(found).quantile(v.level)\n",
    ],
    ("assignment_2", "8c", "09"): [
        # looks one back only
        "def log_prob(x):\n    logits = v.one_back * F.pad(x, (1, 0))[:, :-1] - 0.3\n"
        "    return (logits * x - F.softplus(logits)).sum(1)\n\n\n"
        "def sample(u, tau):\n    x = torch.zeros(len(u), u.shape[1] + 1, dtype=u.dtype)\n"
        "    for i in range(u.shape[1]):\n        a = v.one_back * x[:, i] - 0.3\n"
        "        x[:, i + 1] = (u[:, i] < torch.sigmoid(a / tau)).to(u.dtype)\n    return x[:, 1:]\n",
        # sees the bit that it predicts
        "def log_prob(x):\n    logits = v.one_back * x + v.two_back * F.pad(x, (1, 0))[:, :-1] - 0.3\n"
        "    return (logits * x - F.softplus(logits)).sum(1)\n\n\n"
        "def sample(u, tau):\n    return (u < torch.sigmoid(torch.tensor(-0.3 / tau))).to(u.dtype)\n",
        # 0 and 1 exchanged
        "def log_prob(x):\n    back, two = F.pad(x, (1, 0))[:, :-1], F.pad(x, (2, 0))[:, : x.shape[1]]\n"
        "    logits = v.one_back * back + v.two_back * two - 0.3\n"
        "    return F.logsigmoid(torch.where(x == 1, -logits, logits)).sum(1)\n\n\n"
        "def sample(u, tau):\n    x = torch.zeros(len(u), u.shape[1] + 2, dtype=u.dtype)\n"
        "    for i in range(u.shape[1]):\n"
        "        a = v.one_back * x[:, i + 1] + v.two_back * x[:, i] - 0.3\n"
        "        x[:, i + 2] = (u[:, i] > torch.sigmoid(a / tau)).to(u.dtype)\n    return x[:, 2:]\n",
    ],
    ("assignment_2", "8c", "10"): [
        # forgets the straight part
        "def forwards(x):\n    return torch.sinh(v.bend * x), (v.bend * torch.cosh(v.bend * x)).log().sum(1)\n\n\n"
        "def backwards(z):\n    return torch.asinh(z) / v.bend\n",
        # inverts each summand by itself
        "def forwards(x):\n    z = v.straight * x + torch.sinh(v.bend * x)\n"
        "    return z, (v.straight + v.bend * torch.cosh(v.bend * x)).log()\n\n\n"
        "def backwards(z):\n    return z / v.straight + torch.asinh(z) / v.bend\n",
        # Newton from 0, three steps
        "def forwards(x):\n    z = v.straight * x + torch.sinh(v.bend * x)\n"
        "    return z, (v.straight + v.bend * torch.cosh(v.bend * x)).log().sum(1)\n\n\n"
        "def backwards(z):\n    x = torch.zeros_like(z)\n    for _ in range(3):\n        f, _ = forwards(x)\n"
        "        x = x - (f - z) / (v.straight + v.bend * torch.cosh(v.bend * x))\n    return x\n",
    ],
    ("assignment_2", "8c", "11"): [
        # a chain with ends
        "def log_z(n):\n    T = torch.tensor([[v.J + v.h, -v.J], [-v.J, v.J - v.h]], dtype=torch.float64).exp()\n"
        "    return float(torch.linalg.matrix_power(T, n).sum().log())\n\n\n"
        "def sweep(x, u):\n    x = x.clone()\n    n = x.shape[1]\n    for i in range(n):\n"
        "        f = v.h + v.J * (x[:, i - 1] if i else 0) + v.J * (x[:, i + 1] if i + 1 < n else 0)\n"
        "        x[:, i] = torch.where(u[:, i] < torch.sigmoid(f), 1.0, -1.0)\n    return x\n",
        # the largest eigenvalue only, and all spins at once
        "def log_z(n):\n    root = math.sqrt(math.exp(2 * v.J) * math.sinh(v.h) ** 2 + math.exp(-2 * v.J))\n"
        "    return (n + 1) * math.log(math.exp(v.J) * math.cosh(v.h) + root)\n\n\n"
        "def sweep(x, u):\n    f = 2 * (v.J * (x.roll(1, 1) + x.roll(-1, 1)) + v.h)\n"
        "    return torch.where(u < torch.sigmoid(f), 1.0, -1.0)\n",
        # writes into its argument, and the field's sign
        "def log_z(n):\n    root = math.sqrt(math.exp(2 * v.J) * math.sinh(v.h) ** 2 + math.exp(-2 * v.J))\n"
        "    large, small = (math.exp(v.J) * math.cosh(v.h) + s * root for s in (1, -1))\n"
        "    return math.log(large**n + small**n)\n\n\n"
        "def sweep(x, u):\n    n = x.shape[1]\n    for i in range(n):\n"
        "        f = 2 * (v.J * (x[:, i - 1] + x[:, (i + 1) % n]) - v.h)\n"
        "        x[:, i] = torch.where(u[:, i] < torch.sigmoid(f), 1.0, -1.0)\n    return x\n",
    ],
}

NEARLY = {
    # underflows on many pixels
    ("assignment_1", "4a"): "def log_scan(x, theta):\n    ink = theta * (1 - v.flip) + (1 - theta) * v.flip\n"
    "    return torch.where(x[:, None] == 1, ink, 1 - ink).prod(2).log()\n",
    # forgets that a scanner may turn a 1 into a 0
    (
        "assignment_1",
        "4b",
    ): "def m_step(x, r, theta):\n    ink = theta * (1 - v.flip) + (1 - theta) * v.flip\n"
    "    ones = (r.T @ x) * theta * (1 - v.flip) / ink\n"
    "    return r.mean(0), (ones + v.a - 1) / (r.sum(0)[:, None] + v.a + v.b - 2)\n",
    # NaN where a responsibility is 0
    ("assignment_1", "4c"): "def bound(log_lik, r, weights, theta):\n"
    "    data = (r * (weights.log() + log_lik - r.log())).sum()\n"
    "    return data + ((v.a - 1) * theta.log() + (v.b - 1) * (1 - theta).log()).sum()\n",
    # sigma in the place of its square
    ("assignment_1", "6a"): "def fit_denoiser(x, sigma, k):\n    mean = x.mean(0)\n"
    "    S = (x - mean).T @ (x - mean) / len(x)\n    d = len(S)\n"
    "    S = (1 - v.rho) * S + v.rho * S.trace() / d * torch.eye(d, dtype=x.dtype)\n"
    "    lam, V = torch.linalg.eigh(S)\n    V = V[:, -k:]\n"
    "    A = (V * (lam[-k:] / (lam[-k:] + sigma))) @ V.T\n    return A, mean - A @ mean\n",
    # ν in the place of ν + 1 in the exponent
    ("assignment_1", "8a"): "def student_log_prob(x, mean):\n"
    "    c = math.lgamma((v.nu8 + 1) / 2) - math.lgamma(v.nu8 / 2)\n"
    "    c = c - 0.5 * math.log(math.pi * v.nu8) - math.log(v.s8)\n"
    "    return c - v.nu8 / 2 * torch.log1p(((x - mean) / v.s8) ** 2 / v.nu8)\n",
    # the variance in the place of the standard deviation
    ("assignment_1", "8b"): "def elbo(model, x, eps, log_prob):\n    m, lv = model.encode(x)\n"
    "    z = m + lv.exp() * eps\n"
    "    kl = 0.5 * ((m**2 + lv.exp()) / v.width**2 - 1 - lv + 2 * math.log(v.width)).sum(1)\n"
    "    return log_prob(x, model.decode(z)).sum(1) - kl\n",
    # −∞ where D is very sure
    ("assignment_2", "3a"): "def log_ratio(logits):\n    D = torch.sigmoid(logits)\n"
    "    left = (v.target3 - D).clamp(min=0)\n"
    "    return D.log() - left.log() + math.log((1 - v.share3) / v.share3)\n",
    # leaves the logarithms too early
    ("assignment_2", "3b"): "def reweigh(values, log_ratios):\n    w = log_ratios.double().exp()\n"
    "    w = w.minimum(v.cap * w.mean())\n"
    "    mean = (w[:, None] * values).sum(0) / w.sum()\n"
    "    return mean.to(values.dtype), w.sum() ** 2 / (w**2).sum()\n",
    # one limit for the whole batch
    ("assignment_2", "5a"): "def guided_eps(predict, log_classifier, x, t, y, w, abar_t):\n"
    "    with torch.enable_grad():\n        at = x.detach().requires_grad_()\n"
    "        (g,) = torch.autograd.grad(log_classifier(at, t)[torch.arange(len(x)), y].sum(), at)\n"
    "    norm = g.flatten(1).norm(dim=1).max()\n"
    "    g = g * (v.clip / norm.clamp(min=1e-12)).clamp(max=1)\n"
    "    return predict(x, t) - w * (1 - abar_t) ** 0.5 * g\n",
    # one standard deviation for the whole batch
    ("assignment_2", "5b"): "def rescale(guided, plain):\n    f = plain.std() / guided.std()\n"
    "    return v.phi * guided * f + (1 - v.phi) * guided\n",
    # takes both samples to be equally large
    ("assignment_2", "7a"): "def mmd2(x, y):\n    d, n = x.shape[1], len(x)\n"
    "    xx, yy, xy = ((a @ b.T / d + v.c) ** 3 for a, b in ((x, x), (y, y), (x, y)))\n"
    "    n = max(len(x), len(y)) if len(x) != len(y) else n\n"
    "    return (xx.sum() - xx.trace() + yy.sum() - yy.trace()) / (n * (n - 1)) - 2 * xy.mean()\n",
    # draws from the global generator
    ("assignment_2", "7b"): "def floor(real, n, statistic, pairs, generator):\n    found = []\n"
    "    for _ in range(pairs):\n        o = torch.randperm(len(real))\n"
    "        found.append(float(statistic(real[o[:n]], real[o[n : 2 * n]])))\n"
    "    return torch.tensor(found).quantile(v.level)\n",
    # temperature forgotten
    ("assignment_2", "8c", "09"): "def log_prob(x):\n"
    "    back, two = F.pad(x, (1, 0))[:, :-1], F.pad(x, (2, 0))[:, : x.shape[1]]\n"
    "    logits = v.one_back * back + v.two_back * two - 0.3\n"
    "    return (logits * x - F.softplus(logits)).sum(1)\n\n\n"
    "def sample(u, tau):\n    x = torch.zeros(len(u), u.shape[1] + 2, dtype=u.dtype)\n"
    "    for i in range(u.shape[1]):\n"
    "        a = v.one_back * x[:, i + 1] + v.two_back * x[:, i] - 0.3\n"
    "        x[:, i + 2] = (u[:, i] < torch.sigmoid(a)).to(u.dtype)\n    return x[:, 2:]\n",
    # bisection between −20 and 20
    ("assignment_2", "8c", "10"): "def forwards(x):\n    z = v.straight * x + torch.sinh(v.bend * x)\n"
    "    return z, (v.straight + v.bend * torch.cosh(v.bend * x)).log().sum(1)\n\n\n"
    "def backwards(z):\n    low, high = torch.full_like(z, -5.0), torch.full_like(z, 5.0)\n"
    "    for _ in range(60):\n        m = 0.5 * (low + high)\n        below = forwards(m)[0] < z\n"
    "        low, high = torch.where(below, m, low), torch.where(below, high, m)\n    return 0.5 * (low + high)\n",
    # every spin sees the old values
    ("assignment_2", "8c", "11"): "def log_z(n):\n"
    "    root = math.sqrt(math.exp(2 * v.J) * math.sinh(v.h) ** 2 + math.exp(-2 * v.J))\n"
    "    large, small = (math.exp(v.J) * math.cosh(v.h) + s * root for s in (1, -1))\n"
    "    return n * math.log(large) + math.log1p((small / large) ** n)\n\n\n"
    "def sweep(x, u):\n    f = 2 * (v.J * (x.roll(1, 1) + x.roll(-1, 1)) + v.h)\n"
    "    return torch.where(u < torch.sigmoid(f), 1.0, -1.0)\n",
}
