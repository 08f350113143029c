# %% [markdown]
# # 08b Graphs
#
# **Draw who depends on whom; the sums that looked hopeless follow the drawing.**
#
# Lesson 08 summed over all paths of a chain.
# Here the same chain is trained for one job only, the sum is carried from chains to networks of causes, and the best tree over 784 pixels is found in closed form.
# At the end chain and tree enter the arena.
#
# **After this lesson you can**
# - turn a hidden Markov model into a conditional random field, and say what changes when it is *fitted* so;
# - read a learning curve of a generative and a discriminative model, with paired differences;
# - see what counting a witness three times does to confidence;
# - compute posteriors in a network of causes exactly and by three kinds of sampling, and spot a sampler that is stuck;
# - find the tree that fits best, with a proof.
#
# **Builds on** 08 (forward pass, gradients as counts), 01 (discriminative and generative), 04b (nats); [toolbox](A_toolbox.ipynb), Card 5 (entropy, KL).
#
# | letter | meaning | letter | meaning |
# |---|---|---|---|
# | $x_t$, $y_t$ | word $t$ of a sentence, its tag | $K$ | number of tags |
# | $e_t(y)$ | score of tag $y$ at word $t$ | $\theta_{jk}$ | score of the move from tag $j$ to $k$ |
# | $Z(x)$ | sum of $e^{\text{score}}$ over all tag sequences | $\operatorname{pa}(i)$ | the parents of node $i$ |
# | $I_{ij}$ | mutual information of $x_i$ and $x_j$, nats | $g_i$ | grey value of pixel $i$, in [0, 1] |

# %% tags=["setup"]
import itertools
import math

import matplotlib.pyplot as plt
import torch
from torch import nn

import course_utils as cu
from course_utils.data.text import Tagged

# written in lesson 08, sections 1 and 7
from course_utils.lessons.lesson_08 import RowChain, checked_forward, draw_rows, log_digits

device = cu.setup()

# %% [markdown]
# ## 1 · The same chain, for one job only *(core)*
#
# The hidden states of this section have names: tags of words, noun or verb.
# An HMM tells a story of sentence *and* tags, $p(x,y)$, and reads tags off by Bayes' rule.
# A **conditional random field** (CRF) models $p(y\mid x)$ alone: it scores a tag sequence and divides by the sum of all scores.

# %% tags=["figure", "slide"]
# @title Figure: two graphs over the same words
d = cu.diagram()
for left, name in ((0, "HMM"), (6.6, "CRF")):
    tags = [d.node(f"$y_{t + 1}$", (left + 1.6 * t, 1.3)) for t in range(3)]
    words = [d.node(f"$x_{t + 1}$", (left + 1.6 * t, 0), observed=True) for t in range(3)]
    join = d.arrow if name == "HMM" else d.line
    for before, after in zip(tags, tags[1:]):
        join(before, after)
    for tag, word in zip(tags, words):
        join(tag, word)
    d.text(name, (left + 1.6, 2.15), fontsize=15)
d.text("arrows: probabilities,\neach sums to 1", (1.6, -0.95))
d.text("lines: scores of any size,\none Z(x) for the whole", (8.2, -0.95))
cu.show(d.figure, "Left: an HMM makes tags, then words. Right: a CRF scores tags, given words.")

# %% [markdown]
# $$\begin{aligned}
# p(y\mid x)&=\frac1{Z(x)}\exp\Bigl(\sum_{t=1}^Te_t(y_t)+\sum_{t=2}^T\theta_{y_{t-1}y_t}\Bigr), \\
# Z(x)&=\sum_{y'}\exp(\text{the same with }y').
# \end{aligned} \tag{1}$$
#
# $Z(x)$ is lesson 08's sum over all paths, and the same forward pass computes it: nothing there asked the rows to sum to 1.
#
# **The bridge.**
# By Bayes' rule $p(y\mid x)=p(x,y)/p(x)$, and $\log p(x,y)$ of an HMM is a sum of entries $\log\pi$, $\log A$, $\log b$.
# So the posterior of an HMM *is* a CRF with these entries as scores.
# Enumeration agrees:

# %%
g = torch.Generator().manual_seed(0)
pi = torch.rand(3, generator=g).double().softmax(0)
A = torch.rand(3, 3, generator=g).double().mul(3).softmax(1)
b = torch.rand(5, 3, generator=g).double()  # p(x_t | y_t) of five words
sequences = torch.tensor(list(itertools.product(range(3), repeat=5)))  # (243, 5)
joint = pi[sequences[:, 0]] * b[torch.arange(5), sequences].prod(1)
for t in range(1, 5):
    joint = joint * A[sequences[:, t - 1], sequences[:, t]]

e = torch.cat([b[:1] * pi, b[1:]]).log()
moves = A.log()[sequences[:, :-1], sequences[:, 1:]].sum(1)
score = e[torch.arange(5), sequences].sum(1) + moves
log_Z = checked_forward(torch.zeros(3).double(), A.log(), e)[-1].logsumexp(0)
crf = (score - log_Z).exp()
assert (crf - joint / joint.sum()).abs().max() < 1e-10

# %% [markdown]
# Every tag sequence of five words has the same probability in both, to $10^{-10}$.
# **The two differ in the fit, not in the form:** an HMM's numbers are counts that maximise $\log p(x,y)$, a CRF's are climbed to by gradients of $\log p(y\mid x)$.
# And a CRF's score $e_t$ may look at anything in the sentence, since no story has to be told about the words.
#
# **Exercise 1 (core).**
# Write the log of (1) for a batch of sentences of different lengths; $\log Z$ is given.


# %% tags=["exercise"]
def crf_log_likelihood(start, moves, e, y, mask, log_Z):
    """log p(y | x), equation (1), of N padded sentences: (N,).

    start (K,): added to the score of the first tag; moves (K, K): θ; e (T, N, K);
    tags y (T, N); mask (T, N): True where there is a word; log_Z (N,).
    """
    ### BEGIN SOLUTION
    picked = e.gather(2, y[:, :, None])[:, :, 0]  # (T, N)
    steps = moves[y[:-1], y[1:]]  # (T-1, N)
    score = start[y[0]] + (picked * mask).sum(0) + (steps * mask[1:]).sum(0)
    return score - log_Z
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# `e.gather(2, y[:, :, None])[:, :, 0]` picks the score of each word's tag, `moves[y[:-1], y[1:]]` that of each move.
# A move exists where its *second* word exists: multiply by `mask[1:]`.

# %%
checked_crf = cu.check("08b.crf", crf_log_likelihood)


def log_partition(start, moves, e, mask):
    """log Z (N,): lesson 08's rescaled forward pass; padding keeps what it has."""
    b = (e - e.detach().amax(2, keepdim=True)).exp()
    log_Z = (e.detach().amax(2) * mask).sum(0)
    alpha = torch.ones_like(b[0])
    for t in range(len(e)):
        step = b[t] * (alpha @ moves.exp() if t else start.exp())
        alpha = torch.where(mask[t, :, None], step, alpha)
        total = alpha.sum(1, keepdim=True)
        log_Z = log_Z + total[:, 0].log()
        alpha = alpha / total
    return log_Z


# %% [markdown]
# ### Tags of questions about flights
#
# 4,274 questions to a flight service, each word with one of 14 tags.

# %%
flights = Tagged()
K = len(flights.tags)

# %% tags=["figure"]
# @title Table: three questions
rows = []
for sentence in flights.sentences["train"][1:4]:
    rows.append([" ".join(f"{word}/{tag}" for word, tag in sentence[:9]) + " …"])
cu.table(rows, ["word/tag"], "The first nine words of three of the 4,274 training questions.")
words_in = {part: sum(map(len, sentences)) for part, sentences in flights.sentences.items()}
cu.facts(
    "training sentences", len(flights.sentences["train"]), "words in test", words_in["test"]
)

# %% [markdown]
# Both models see the same: the word, or the word and its three endings (*-s*, *-ts*, *-hts*).
# The CRF adds up a weight for each piece; a piece that training never met keeps the weight 0.
# The HMM counts; an unknown word gets its probability from the longest ending it shares with known ones, $p(y\mid\text{ending})/p(y)$.


# %%
def fit_crf(data, columns, l2, copies=1):
    """Weights that maximise log p(y | x) − l2/2 · |weights|²: start (K,), moves, pieces."""
    f, y, mask = data
    f = f[..., columns]
    start = torch.zeros(K, requires_grad=True)
    moves = torch.zeros(K, K, requires_grad=True)
    table = torch.zeros(len(flights.numbers), K, requires_grad=True)
    weights = (start, moves, table)
    climber = torch.optim.LBFGS(weights, max_iter=50, line_search_fn="strong_wolfe")

    def loss():
        climber.zero_grad()
        e = copies * table[f].sum(2)
        log_Z = log_partition(start, moves, e, mask)
        value = -checked_crf(start, moves, e, y, mask, log_Z).sum()
        value = value + l2 / 2 * sum(w.square().sum() for w in weights)
        value.backward()
        return value

    climber.step(loss)
    return [w.detach() for w in weights]


# %%
def fit_hmm(data, extra):
    """Counts, `extra` in every first tag and move: start (K,), moves (K, K), pieces (P, K)."""
    f, y, mask = data
    start = torch.full((K,), extra).index_add(0, y[0], torch.ones(y.shape[1]))
    both = mask[1:]
    moves = torch.full((K, K), extra)
    moves = moves.index_put((y[:-1][both], y[1:][both]), torch.ones(()), accumulate=True)
    tags = y[mask][:, None].expand(-1, 4)
    counts = torch.zeros(len(flights.numbers), K).index_put(
        (f[mask], tags), torch.ones(()), accumulate=True
    )
    return start, moves, counts


# %%
def hmm_scores(model, f, endings, extra, copies=1):
    """The HMM as scores: log π, log A, log b_k(x_t) (T, N, K); `extra` in every word count."""
    start, moves, counts = model
    words = counts[f[..., 0]]
    per_tag = counts[flights.words].sum(0)
    known = 1 + (counts[flights.words].sum(1) > 0).sum()
    log_b = ((words + extra) / (per_tag + extra * known)).log()
    if endings:
        unknown = words.sum(-1, keepdim=True) == 0
        log_b = torch.where(unknown, flights.by_endings(counts, f), log_b)
    return (
        (start / start.sum()).log(),
        (moves / moves.sum(1, keepdim=True)).log(),
        copies * log_b,
    )


# %%
def posterior(start, moves, e, mask):
    """p(y_t = k | x), (T, N, K): the gradient of log Z, lesson 08's equation (4)."""
    e = e.detach().clone().requires_grad_()
    return torch.autograd.grad(log_partition(start, moves, e, mask).sum(), e)[0]


# %% [markdown]
# **Exercise 2 (deeper, predict and measure).**
# Lesson 01 had a generative and a discriminative model of the same form: one was ahead with few examples, the other with many.
# How many sentences does the CRF need to be ahead of the HMM, with words only?


# %% tags=["exercise"]
def my_crossing():
    """Your guess: the number of training sentences from which on the CRF is ahead."""
    ### BEGIN SOLUTION
    return 20
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# `return 100`; any number from 1 to 4,274 will do.

# %%
checked_crossing = cu.check("08b.crossing", my_crossing)

dev = flights.encode(flights.sentences["dev"][: cu.budget(572, 40)])
test = flights.encode(flights.sentences["test"][: cu.budget(586, 40)])


# %%
def crf_scores(weights, f, columns, copies=1):
    """start, moves and e (T, N, K) of a trained CRF."""
    start, moves, table = weights
    return start, moves, copies * table[f[..., columns]].sum(2)


def hit_rate(q, y, mask):
    """The share of words whose likeliest tag is right."""
    return float(((q.argmax(2) == y) & mask).sum() / mask.sum())


# %% tags=["author"]
SIZES = (5, 10, 20, 40, 80, 160, 320)
PENALTIES = (0.03, 0.1, 0.3)
EXTRA = tuple(itertools.product((0.1, 0.3, 1.0, 3.0), (0.001, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)))
DRAWS = 10


def hits_of_hmm(data, setting, asked, columns):
    """Hit rate of an HMM with setting = (extra of the moves, extra of the words)."""
    scores = hmm_scores(fit_hmm(data, setting[0]), asked[0], len(columns) > 1, setting[1])
    return hit_rate(posterior(*scores, asked[2]), *asked[1:])


def hits_of_crf(data, l2, asked, columns):
    """Hit rate of a CRF with this penalty."""
    scores = crf_scores(fit_crf(data, columns, l2), asked[0], columns)
    return hit_rate(posterior(*scores, asked[2]), *asked[1:])


def learning_curves():
    """Error rates (endings, model, size, draw); settings are chosen on dev with other draws."""
    errors = torch.zeros(2, 3, len(SIZES), DRAWS)
    chosen = {}
    for i, columns in enumerate(([0], [0, 1, 2, 3])):
        for s, n in enumerate(SIZES):
            tune = [flights.some(n, 100 + draw) for draw in range(3)]

            def best(hits, settings, tune=tune, columns=columns):
                def mean_hits(setting):
                    return sum(hits(data, setting, dev, columns) for data in tune)

                return max(settings, key=mean_hits)

            hmm_setting = best(hits_of_hmm, EXTRA)
            l2 = best(hits_of_crf, PENALTIES)
            chosen[n, len(columns)] = (hmm_setting, l2)
            for draw in range(DRAWS):
                data = flights.some(n, draw)
                hits = [
                    hits_of_hmm(data, hmm_setting, test, columns),
                    hits_of_crf(data, l2, test, columns),
                    hits_of_crf(data, 1.0, test, columns),
                ]
                errors[i, :, s, draw] = 1 - torch.tensor(hits)
    return errors, chosen


# %% tags=["author"]
def all_sentences():
    """Hit rates after training on every sentence: {name: (value, tolerance)}."""
    data = flights.encode(flights.sentences["train"])
    found = {}
    for name, columns in {"words": [0], "endings": [0, 1, 2, 3]}.items():
        hmm_setting = max(EXTRA, key=lambda pair, c=columns: hits_of_hmm(data, pair, dev, c))
        found[f"HMM, {name}, all"] = (hits_of_hmm(data, hmm_setting, test, columns), 0.003)
        found[f"CRF, {name}, all"] = (hits_of_crf(data, 0.1, test, columns), 0.003)
    return found


if cu.system.profile() == "full":
    errors, chosen = learning_curves()
    figures = {f"l2, {n} sentences, {c} pieces": (l2, 0) for (n, c), (_, l2) in chosen.items()}
    figures |= all_sentences()
    what = "learning curves of taggers: error rates (endings, model, size, draw)"
    kept = nn.ParameterDict({"errors": nn.Parameter(errors, requires_grad=False)})
    details = {"what": what, "figures": figures, "lesson": "08b_graphs"}
    cu.ship("08b_curves", kept, **details)

# %% [markdown]
# Ten draws for each of seven sizes take some ten minutes, so the curves are shipped.
# The pseudo-counts of the HMM and the penalty of the CRF were chosen for each size on the development sentences, with other draws; a second CRF has the penalty 1 throughout.

# %% tags=["figure", "slide"]
# @title Figure: learning curves
curves = nn.ParameterDict(
    {"errors": nn.Parameter(torch.zeros(2, 3, 7, 10), requires_grad=False)}
)
card = cu.restore("08b_curves", curves)
hits = (
    1 - curves["errors"].double()
)  # (endings, model, size, draw); models: HMM, CRF, CRF with 1
lead = hits[:, 0] - hits[:, 1]  # HMM − CRF on the same draw
sizes = (5, 10, 20, 40, 80, 160, 320)
fig, axes = plt.subplots(2, 2, figsize=(11.5, 6.4), sharex=True, height_ratios=(1.5, 1))
for i, name in enumerate(("words only", "words and endings")):
    upper, lower = axes[:, i]
    for m, label in enumerate(("HMM", "CRF", "CRF, penalty 1")):
        mean = 100 * hits[i, m].mean(1)
        upper.plot(
            sizes, mean, "o:" if m == 2 else "o-", label=label, color=cu.plots.PALETTE[m]
        )
    upper.set(title=name, ylim=(54, 100), xscale="log")
    mean = 100 * lead[i].mean(1)
    error = 100 * lead[i].std(1) / 10**0.5
    lower.axhline(0, color="#777777", lw=1)
    lower.errorbar(sizes, mean, 2 * error, fmt="o-", color="#333333", capsize=4)
    lower.set(xlabel="training sentences", ylim=(-4.6, 3.4))
    lower.set_xticks(sizes, [str(n) for n in sizes])
    lower.set_xticks([], minor=True)
axes[0, 0].set_ylabel("test words right, %")
axes[1, 0].set_ylabel("HMM − CRF, points")
axes[0, 0].legend(loc="lower right", fontsize=11)
cu.show(
    fig,
    "Test words tagged right against training sentences, mean of ten draws; below, the paired "
    "difference HMM − CRF (settings chosen on development sentences) with two standard errors.",
)
rows = []
for s, n in enumerate(sizes):
    row = [n]
    for i in range(2):
        row += [f"{100 * hits[i, m, s].mean():.1f}" for m in range(3)]
        difference = 100 * lead[i, s]
        row.append(f"{difference.mean():+.1f} ({difference.std() / 10**0.5:.1f})")
    rows.append(row)
heads = ["HMM", "CRF", "CRF, penalty 1", "HMM − CRF"]
columns = [*(f"{h}, words" for h in heads), *(f"{h}, endings" for h in heads)]
columns = ["sen\u00adtences", *columns]
cu.table(
    rows,
    columns,
    "Per cent right, ten draws; in brackets the standard error of the paired difference.",
)
labels = [f"{model}, {seen}, all" for seen in ("words", "endings") for model in ("HMM", "CRF")]
cu.facts({f"{label} 4,274 sentences": f"{card.figure(label):.1%}" for label in labels})

# %% [markdown]
# **Words only.**
# With five sentences the HMM is ahead by 1.2 points, two standard errors; near ten the curves cross, and from twenty on the CRF is clearly ahead, by 2.4 points at first and 0.8 at 320 sentences.
# That is Ng and Jordan's figure, as sequences, with its crossing far to the left.
#
# **Words and endings.**
# No crossing: the CRF is ahead by 0.7 at five sentences and by 0.4 at 320, and in between neither can be told from the other.
# The CRF simply adds the endings to its scores, the HMM needs a story for unknown words, and both then know nearly the same.
# With all 4,274 sentences the HMM is right on 98.2 % and 98.5 % of the test words, the CRF on 98.6 % and 98.8 %.
#
# **The dotted line is a warning.**
# A CRF with the penalty 1, a common default, loses to the HMM with words only at every size, by 3 to 5 points up to forty sentences.
# Whoever stops there reports that generative models win.
# **A comparison of two models compares two models and two tunings;** here each was tuned on the same development sentences.

# %% [markdown]
# ## 2 · Observed minus expected *(deeper)*
#
# The gradient of (1) in $\theta_{jk}$: the score contributes the number of moves from $j$ to $k$ in the given tags, and $\log Z$ the expected number (lesson 08, equation 4).
# Observed minus expected, and learning ends where they agree.

# %%
scores = torch.randn(6, 1, 3, generator=g).double()
tags = torch.tensor([0, 2, 2, 1, 0, 2])[:, None]
theta = torch.randn(3, 3, generator=g).double().requires_grad_()
whole = torch.ones(6, 1, dtype=torch.bool)
none = torch.zeros(3).double()
log_Z = log_partition(none, theta, scores, whole)
by_autograd = torch.autograd.grad(checked_crf(none, theta, scores, tags, whole, log_Z), theta)[
    0
]

observed = torch.zeros(3, 3).double()
for before, after in zip(tags[:-1, 0], tags[1:, 0]):
    observed[before, after] += 1
sequences = torch.tensor(list(itertools.product(range(3), repeat=6)))
moved = theta.detach()[sequences[:, :-1], sequences[:, 1:]].sum(1)
weight = (scores[torch.arange(6), 0, sequences].sum(1) + moved).softmax(0)
expected = torch.zeros(3, 3).double()
for t in range(5):
    expected.index_put_((sequences[:, t], sequences[:, t + 1]), weight, accumulate=True)
assert (by_autograd - (observed - expected)).abs().max() < 1e-10

# %% [markdown]
# ## 3 · Every witness three times *(deeper)*
#
# An HMM assumes that a word depends on its tag alone.
# Break that on purpose: every word is read three times, $(x,x,x)$.
# To an HMM these are three independent witnesses, so $\log b$ counts three times; the CRF is trained anew on the tripled pieces.
# **Predict:** what happens to accuracy, and what to confidence?
#
# *Calibrated* means: of the words with confidence 80 %, 80 % are right.
# The **calibration error** is the mean distance of the two over ten bins of confidence.


# %%
def calibration(q, y, mask, bins=10):
    """Mean confidence, hit rate and count of each bin (bins,), and the calibration error."""
    top = q.max(2)
    sure = top.values[mask].double()
    right = (top.indices == y)[mask].double()
    place = (sure * bins).long().clamp(max=bins - 1)
    count = torch.zeros(bins).double().index_add(0, place, torch.ones_like(sure))
    mean_sure = torch.zeros(bins).double().index_add(0, place, sure) / count
    mean_right = torch.zeros(bins).double().index_add(0, place, right) / count
    error = ((mean_sure - mean_right).abs() * count).nansum() / count.sum()
    return mean_sure, mean_right, count, float(error)


# %%
all_four = [0, 1, 2, 3]
judged = {}  # (model, times read) → list over draws of (accuracy, calibration…)
for draw in range(cu.budget(5, 1)):
    data = flights.some(40, draw)
    for copies in (1, 3):
        answers = {"HMM": hmm_scores(fit_hmm(data, 1.0), test[0], True, 0.01, copies)}
        for penalty in sorted({0.1, 0.1 * copies**2}):
            weights = fit_crf(data, all_four, penalty, copies)
            answers[f"CRF, penalty {penalty:.1f}"] = crf_scores(
                weights, test[0], all_four, copies
            )
        for name, scores in answers.items():
            q = posterior(*scores, test[2])
            found = (hit_rate(q, *test[1:]), calibration(q, *test[1:]))
            judged.setdefault((name, copies), []).append(found)

# %% tags=["figure", "slide"]
# @title Figure: confidence, once and three times
fig, axes = plt.subplots(1, 2, figsize=(10, 4.3), sharex=True, sharey=True)
rows = []
for (name, copies), found in judged.items():
    ax = axes[0 if name == "HMM" else 1]
    sure, right, count, _ = found[0][1]
    shown = count >= 10
    label = "read once" if copies == 1 else "read three times"
    colour = cu.plots.PALETTE[copies // 2 + name.endswith("0.9")]
    tail = "" if name == "HMM" else name.removeprefix("CRF")
    ax.plot(sure[shown], right[shown], "o-", label=label + tail, color=colour)
    ax.plot([0, 1], [0, 1], color="#999999", lw=1)
    ax.set(title=name[:3], xlabel="confidence", xlim=(0.2, 1.02), ylim=(0.05, 1.02))
    ax.legend(loc="upper left", fontsize=10.5)
    accuracy = torch.tensor([one[0] for one in found]).double()
    error = torch.tensor([one[1][3] for one in found]).double()
    mean_sure = [float((one[1][0] * one[1][2]).nansum() / one[1][2].sum()) for one in found]
    mean_sure = sum(mean_sure) / len(mean_sure)
    spread = f"{100 * error.mean():.1f} ± {100 * error.std():.1f}" if len(error) > 1 else None
    rows.append([name, label, f"{accuracy.mean():.1%}", f"{mean_sure:.1%}", spread])
axes[0].set_ylabel("share right")
cu.show(
    fig, "Share right against confidence (one draw of 40 sentences; bins of at least 10 words)."
)
columns = ["model", "words", "right", "mean confidence", "calibration error, points"]
cu.table(
    rows, columns, "Trained on 40 sentences, words and endings; five draws, ± their spread."
)

# %% [markdown]
# The HMM: 86.9 % right at a mean confidence of 89.7 %, a calibration error of 2.9 points.
# Read three times it is right on 84.6 %, a little less, and 95.9 % sure: the error is 11.2 points, four times as large.
# Of the words with a confidence of about three quarters fewer than half are right.
# It is lesson 02b's twenty witnesses again: copies counted as independent evidence.
#
# The CRF trained anew is right on 87.8 % as before, because its weights may shrink.
# But with the *same* penalty its calibration error grows, too, from 1.6 to 4.0 points: a weight of a third costs a ninth, so the penalty has become weak.
# With nine times the penalty it is 2.4.
# **Training for $p(y\mid x)$ repairs a wrong story about $x$, as far as its penalty lets it.**

# %% [markdown]
# ## 4 · A network of causes *(core)*
#
# A **Bayesian network** is a story with more than one thread: every node is drawn given its parents.
# The chest clinic of Lauritzen and Spiegelhalter (1988) has eight yes-or-no nodes.

# %%
CLINIC = {  # node: (parents, p(yes | parents), one axis a parent, no first)
    "asia": ((), 0.01),
    "smoke": ((), 0.5),
    "tub": (("asia",), [0.01, 0.05]),
    "cancer": (("smoke",), [0.01, 0.10]),
    "bronc": (("smoke",), [0.30, 0.60]),
    "either": (("tub", "cancer"), [[0.0, 1.0], [1.0, 1.0]]),
    "xray": (("either",), [0.05, 0.98]),
    "dysp": (("either", "bronc"), [[0.10, 0.80], [0.70, 0.90]]),
}
NODES = list(CLINIC)  # parents come before children
parents = []  # of each node, as numbers
for above, _ in CLINIC.values():
    parents.append(tuple(NODES.index(name) for name in above))
tables = [torch.tensor(p).double() for _, p in CLINIC.values()]

# %% tags=["figure", "slide"]
# @title Figure: the chest clinic
WHERE = {
    "asia": (0, 3.6),
    "smoke": (4.4, 3.6),
    "tub": (0, 2.4),
    "cancer": (2.9, 2.4),
    "bronc": (5.9, 2.4),
    "either": (1.45, 1.2),
    "xray": (0.4, 0),
    "dysp": (4.4, 0),
}
LABELS = {
    "asia": "visit to Asia",
    "smoke": "smoker",
    "tub": "tuberculosis",
    "cancer": "lung cancer",
    "bronc": "bronchitis",
    "either": "tuberculosis or cancer",
    "xray": "positive X-ray",
    "dysp": "dyspnoea",
}
d = cu.diagram(fontsize=12)
drawn = {name: d.box(LABELS[name], WHERE[name]) for name in NODES}
for name, (above, _) in CLINIC.items():
    for parent in above:
        d.arrow(drawn[parent], drawn[name])
cu.show(d.figure, "The chest clinic: causes above, symptoms below; one node is a plain OR.")

# %% [markdown]
# $$p(x)=\prod_ip\bigl(x_i\mid x_{\operatorname{pa}(i)}\bigr). \tag{2}$$
#
# With eight nodes all 256 states can be listed, which gives every posterior.
# With eighty they cannot, and the graph has to help: push each sum in as far as it goes, so that a node is summed out as soon as nothing else needs it (**variable elimination**).
# For a chain that is the forward pass.


# %%
everyone = torch.cartesian_prod(*[torch.arange(2)] * 8)  # (256, 8)


def joint_probability(states):
    """Equation (2) of states (n, 8): (n,)."""
    total = torch.ones(len(states)).double()
    for i, (above, table) in enumerate(zip(parents, tables)):
        yes = table[tuple(states[:, j] for j in above)]
        total = total * torch.where(states[:, i] == 1, yes, 1 - yes)
    return total


of_everyone = joint_probability(everyone)  # (256,)
PLACES = 2 ** torch.arange(7, -1, -1)  # state @ PLACES is its row in the list


def by_enumeration(query, evidence):
    """p(query = yes | evidence) from all 256 states; evidence {node: 0 or 1}."""
    fits = torch.ones(len(everyone), dtype=torch.bool)
    for name, value in evidence.items():
        fits &= everyone[:, NODES.index(name)] == value
    p = of_everyone * fits
    return float(p[everyone[:, NODES.index(query)] == 1].sum() / p.sum())


# %%
LEAVES_FIRST = ("xray", "dysp", "asia", "tub", "smoke", "cancer", "bronc", "either")


def eliminate(query, evidence):
    """p(query = yes | evidence), and the most numbers in a table on the way."""
    factors = []  # (nodes, table with one axis a node)
    for i, (above, table) in enumerate(zip(parents, tables)):
        factors.append(((*above, i), torch.stack([1 - table, table], -1)))
    for name, value in evidence.items():
        factors.append(((NODES.index(name),), torch.eye(2).double()[value]))
    largest = 0
    for gone in [NODES.index(name) for name in LEAVES_FIRST if name != query]:
        mine = [factor for factor in factors if gone in factor[0]]
        nodes = set()
        pairs = []  # table, its nodes, table, its nodes, … as einsum takes them
        for scope, table in mine:
            nodes |= set(scope)
            pairs += [table, list(scope)]
        nodes = sorted(nodes - {gone})
        largest = max(largest, 2 ** (len(nodes) + 1))
        factors = [factor for factor in factors if gone not in factor[0]]
        factors.append((tuple(nodes), torch.einsum(*pairs, nodes)))
    p = torch.stack([table for _, table in factors if table.ndim]).prod(0)
    return float(p[1] / p.sum()), largest


# %%
most = 0
for evidence in ({}, {"dysp": 1}, {"dysp": 1, "bronc": 1}, {"asia": 1, "xray": 1, "smoke": 0}):
    for query in NODES:
        if query not in evidence:
            answer, largest = eliminate(query, evidence)
            assert abs(answer - by_enumeration(query, evidence)) < 1e-12
            most = max(most, largest)
cu.facts("states to enumerate", len(everyone), "largest table in elimination", most)

# %% [markdown]
# For every query and all four sets of evidence both agree to $10^{-12}$.
# Enumeration needs 256 products of eight numbers, elimination never a table of more than 16.
# How large the largest table becomes depends on the order: leaves first is a good one, and the best possible order is hard to find in general.
#
# **Explaining away.**
# A patient is short of breath.
# Then bronchitis is confirmed.
# **Predict:** does the probability of cancer rise, fall or stay, although smoking causes both?

# %% tags=["figure", "slide"]
# @title Table: explaining away
known = {
    "nothing": {},
    "dyspnoea": {"dysp": 1},
    "dyspnoea and bronchitis": {"dysp": 1, "bronc": 1},
    "dyspnoea, no bronchitis": {"dysp": 1, "bronc": 0},
    "bronchitis alone": {"bronc": 1},
}
cu.facts({f"cancer, given {name}": by_enumeration("cancer", e) for name, e in known.items()})

# %% [markdown]
# It falls, from 0.103 to 0.078, although bronchitis alone raises it, from 0.055 to 0.070, because it points to a smoker.
# Dyspnoea wants a cause.
# Once bronchitis is there, cancer is no longer needed; if bronchitis is excluded, it jumps to 0.227.
# **Two causes become rivals as soon as their common effect is seen.**
#
# ### Three ways to sample a posterior
#
# **Rejection**: draw from (2) and throw away what contradicts the evidence.
# **Likelihood weighting**: never draw an evidence node, set it; and weigh the draw by how probable that value was, given its parents.
# **Gibbs**: begin anywhere and redraw one node after the other given all others.
#
# **Exercise 3 (core).**
# Write likelihood weighting.


# %% tags=["exercise"]
def likelihood_weighting(parents, tables, evidence, n, generator):
    """n weighted draws: states (n, nodes) of 0 and 1, and weights (n,).

    parents: for each node a tuple of earlier nodes; tables: p(yes | parents), one axis a
    parent, float64; evidence {node: 0 or 1}. All random numbers come from `generator`.
    """
    ### BEGIN SOLUTION
    states = torch.zeros(n, len(parents), dtype=torch.long)
    weights = torch.ones(n, dtype=tables[0].dtype)
    for i, (above, table) in enumerate(zip(parents, tables)):
        yes = table[tuple(states[:, j] for j in above)].expand(n)  # (n,)
        if i in evidence:
            states[:, i] = evidence[i]
            weights = weights * (yes if evidence[i] else 1 - yes)
        else:
            states[:, i] = (torch.rand(n, generator=generator) < yes).long()
    return states, weights
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# `table[tuple(states[:, j] for j in above)]` looks up p(yes) for all n draws at once; without parents it is one number, which `.expand(n)` repeats.
# Take the nodes in their order: parents come first.

# %%
checked_weighting = cu.check("08b.weighting", likelihood_weighting)


def weighted_answer(states, weights, query):
    """The share of weight in which the query node says yes; NaN where nothing is left."""
    return float((weights * states[:, NODES.index(query)]).sum() / weights.sum())


# %%
def redraw(states, nodes, generator):
    """Draw some nodes of states (n, 8) anew, together, given all others: one move of Gibbs."""
    options = torch.cartesian_prod(*[torch.arange(2)] * len(nodes)).view(-1, len(nodes))
    chances = []
    for option in options:
        states[:, nodes] = option
        chances.append(of_everyone[states @ PLACES])  # proportional to p(option | others)
    p = torch.stack(chances, 1)  # (n, options)
    chosen = torch.multinomial(p, 1, generator=generator)[:, 0]
    states[:, nodes] = options[chosen]


def gibbs(evidence, blocks, sweeps, start, generator, chains=1):
    """Run chains from the state `start` (8,): the visited states (sweeps, chains, 8)."""
    states = start.expand(chains, -1).clone()
    visited = []
    for _ in range(sweeps):
        for block in blocks:
            free = [NODES.index(name) for name in block if name not in evidence]
            if free:
                redraw(states, free, generator)
        visited.append(states.clone())
    return torch.stack(visited)


# %% [markdown]
# ### The trap
#
# "Tuberculosis or cancer" is a plain OR, without chance.
# **Exercise 4 (core, break it).**
# The usual Gibbs sampler redraws *one* node at a time.
# The X-ray is positive; find a start from which it says for ever that there is no cancer.


# %% tags=["exercise"]
def stuck_start():
    """A possible state {node name: 0 or 1} with xray = 1 from which cancer is never reached."""
    ### BEGIN SOLUTION
    names = ("asia", "smoke", "tub", "cancer", "bronc", "either", "xray", "dysp")
    return {name: int(name == "xray") for name in names}
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# To switch cancer on, "either" must be on already; to switch "either" on, cancer or tuberculosis must be on already.

# %%
checked_start = cu.check("08b.stuck", stuck_start)

block_sweep = [("tub", "cancer", "either")]
block_sweep += [(name,) for name in ("asia", "smoke", "bronc", "xray", "dysp")]
evidence = {"xray": 1}
starts = {
    "your start": torch.tensor([checked_start()[name] for name in NODES]),
    "started with the OR on": torch.tensor([0, 1, 0, 1, 0, 1, 1, 0]),
}
sweeps = {"one node at a time": [(name,) for name in NODES], "block of three": block_sweep}

# %% tags=["figure", "slide"]
# @title Table: the start decides for ever
rows = []
for name, begun in starts.items():
    row = [name]
    for blocks in sweeps.values():
        g = torch.Generator().manual_seed(1)
        visited = gibbs(evidence, blocks, cu.budget(1_000, 30), begun, g, chains=20)
        for node in ("cancer", "either"):
            row.append(float(visited[..., NODES.index(node)].double().mean()))
    rows.append(row)
truth = [by_enumeration(node, evidence) for node in ("cancer", "either")]
rows.append(["exact", *truth, *truth])
columns = ["", *(f"{node}, {kind}" for kind in sweeps for node in ("cancer", "OR"))]
cu.table(rows, columns, "Mean of 20 Gibbs chains of 1,000 sweeps, given a positive X-ray.")

# %% [markdown]
# One node at a time, the start decides for ever.
# Begun without tuberculosis and cancer, the chain says 0.000 for cancer; begun with the OR on, it says 0.836, and the OR is on in every state.
# The truth is 0.489.
# Twenty chains agree, a thousand sweeps agree, every diagnostic that compares chains *from one start* is content.
#
# The sampler is right in each step and still wrong, because a probability of exactly zero cuts the states in two: from off to on leads no path of single moves.
# **Repair:** draw the three nodes of the OR as one block.
# Then both starts give 0.48.


# %% tags=["figure", "slide"]
# @title Widget: eight switches
MAYBE = ["?", "no", "yes"]


def draw_clinic(**switches):
    """Exact posteriors of all nodes and the block Gibbs estimate beside them."""
    evidence = {name: MAYBE.index(s) - 1 for name, s in switches.items() if s != "?"}
    numbered = {NODES.index(name): value for name, value in evidence.items()}
    fig, ax = plt.subplots(figsize=(9.6, 3.6))
    fits = [bool((everyone[:, i] == v).any()) for i, v in numbered.items()]
    p = of_everyone.clone()
    for i, value in numbered.items():
        p = p * (everyone[:, i] == value)
    place = torch.arange(8).numpy()
    if not all(fits) or p.sum() == 0:
        ax.set_title("No patient can be like this")
    else:
        exact = ((p[:, None] * everyone).sum(0) / p.sum()).numpy()
        begun = everyone[torch.multinomial(p, 1, generator=torch.Generator().manual_seed(0))[0]]
        g = torch.Generator().manual_seed(1)
        chain = gibbs(evidence, block_sweep, 60, begun, g, chains=50)
        estimate = chain[10:].double().mean((0, 1)).numpy()
        ax.bar(place - 0.19, exact, 0.36, label="exact", color=cu.plots.PALETTE[0])
        ax.bar(place + 0.19, estimate, 0.36, label="Gibbs, block", color=cu.plots.PALETTE[1])
        for i in range(8):
            ax.text(
                i,
                max(exact[i], estimate[i]) + 0.02,
                f"{exact[i]:.2f}",
                ha="center",
                fontsize=11,
            )
        ax.legend(fontsize=11, loc="upper left", ncol=2)
    names = [f"{name}\n= {switches[name]}" if name in evidence else name for name in NODES]
    ax.set_xticks(place, names)
    ax.set(ylabel="p(yes | evidence)", ylim=(0, 1.24))
    return fig


def draw_three():
    """Short of breath; and bronchitis; and no smoker."""
    unknown = dict.fromkeys(NODES, "?")
    return draw_clinic(**unknown | {"dysp": "yes", "bronc": "yes"})


cu.explore(
    draw_clinic,
    "Set what is known of a patient: exact posteriors of all eight nodes, and a block Gibbs "
    "estimate. Without a kernel: dyspnoea and bronchitis.",
    static=draw_three,
    **{name: {"options": MAYBE, "value": "?", "label": name} for name in NODES},
)

# %% [markdown]
# Set dyspnoea, then bronchitis, and watch cancer and smoker; set the OR to no and tuberculosis to yes, and no patient is left.
# The Gibbs bars beside the exact ones tremble by a few hundredths, which is their sampling error.

# %% [markdown]
# ## 5 · At equal cost *(deeper)*
#
# A patient has been to Asia and the X-ray is positive; has she tuberculosis?
# Every sampler may draw 8,000 nodes, twenty times.

# %%
evidence = {"asia": 1, "xray": 1}
exact = by_enumeration("tub", evidence)
numbered = {NODES.index(name): value for name, value in evidence.items()}
NODE_DRAWS = cu.budget(8_000)
errors = {"rejection": [], "likelihood weighting": [], "Gibbs, block": []}
kept = []
generator = torch.Generator().manual_seed(0)
for _ in range(cu.budget(20, 3)):
    states, _ = checked_weighting(parents, tables, {}, NODE_DRAWS // 8, generator)
    fits = (states[:, 0] == 1) & (states[:, 6] == 1)
    kept.append(int(fits.sum()))
    errors["rejection"].append(weighted_answer(states, fits.double(), "tub") - exact)
    draws = checked_weighting(parents, tables, numbered, NODE_DRAWS // 6, generator)
    errors["likelihood weighting"].append(weighted_answer(*draws, "tub") - exact)

begun = torch.tensor([1, 0, 0, 1, 0, 1, 1, 0])  # cancer, so "either" is on
chain = gibbs(evidence, block_sweep, NODE_DRAWS // 6, begun, generator, chains=cu.budget(20, 3))
by_block = chain[len(chain) // 10 :, :, NODES.index("tub")].double().mean(0) - exact
errors["Gibbs, block"] = by_block.tolist()

# %% tags=["figure"]
# @title Table: three samplers at equal numbers of node draws
rows = []
for name, found in errors.items():
    found = torch.tensor(found).double()
    usable = found[found.isfinite()]
    size = usable.square().mean().sqrt() if len(usable) else None
    rows.append([name, len(found), len(usable), size])
cu.table(
    rows,
    ["sampler", "repeats", "with an answer", "root mean square error"],
    f"p(tuberculosis | Asia, X-ray) = {exact:.3f}; {NODE_DRAWS:,} node draws a repeat.",
)
cu.facts("draws that survive rejection, of 1,000, mean", sum(kept) / len(kept))

# %% [markdown]
# Rejection keeps 1.55 draws of 1,000: in seven of the twenty repeats nothing is left, and otherwise its error is 0.30, as large as the answer.
# Likelihood weighting uses every draw, with an error of 0.03, and Gibbs has 0.019 at the same number of node draws.
# (A node draw of Gibbs costs more arithmetic, since it asks all neighbours.)
# The rarer the evidence, the worse the first; weighting fails when the evidence lies at the leaves and is improbable under most draws.

# %% [markdown]
# ## 6 · The best tree, in closed form *(core)*
#
# Lesson 08's chain gave a *row* one hidden cause.
# Now nothing is hidden: each of the 784 pixels gets one other pixel as its parent.
# Which tree is best?
# Chow and Liu (1968) answered in closed form.
#
# For a given tree the best tables are the pairs' own frequencies, and then
#
# $$\begin{aligned}
# \mathbb E\log p(x)&=\sum_i\mathbb E\log p(x_i)+\sum_{i}\mathbb E\log\frac{p(x_i,x_{\operatorname{pa}(i)})}{p(x_i)\,p(x_{\operatorname{pa}(i)})} \\
# &=-\sum_iH_i+\sum_{\text{edges}}I_{ij}.
# \end{aligned} \tag{3}$$
#
# The entropies $H_i$ do not depend on the tree; the mutual informations $I_{ij}$ simply add up.
# **So the best tree is the spanning tree with the largest sum of mutual informations,** and a greedy algorithm finds it.
#
# **Exercise 5 (core).**
# Write the edge weights: $I_{ij}=\sum_{a,b\in\{0,1\}}p(x_i{=}a,x_j{=}b)\log\frac{p(x_i=a,\,x_j=b)}{p(x_i=a)\,p(x_j=b)}$, where $0\log0=0$.


# %% tags=["exercise"]
def edge_weights(single, both):
    """Mutual informations (D, D) in nats, from p(x_i = 1) (D,) and p(x_i = x_j = 1) (D, D)."""
    ### BEGIN SOLUTION
    on = single[:, None]
    other = single[None]
    cells = (  # p(a, b), p(a) p(b)
        (both, on * other),
        (on - both, on * (1 - other)),
        (other - both, (1 - on) * other),
        (1 - on - other + both, (1 - on) * (1 - other)),
    )
    total = torch.zeros_like(both)
    for p, independent in cells:  # rounding may leave a p of −1e-17
        total = total + torch.where(p > 0, torch.xlogy(p, p) - torch.xlogy(p, independent), 0.0)
    return total
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# The four cells are `both`, `on - both`, `other - both` and `1 - on - other + both`.
# `torch.xlogy(p, q)` is p·log q and 0 where p is 0.

# %%
checked_weights = cu.check("08b.weights", edge_weights)


def best_tree(weights, root):
    """Prim's algorithm: [(child, parent), …] in the order in which the tree grows."""
    inside = torch.zeros(len(weights), dtype=torch.bool)
    inside[root] = True
    gain = weights[root].clone()  # the best edge from the tree to each pixel
    nearest = torch.full((len(weights),), root)
    order = []
    for _ in range(len(weights) - 1):
        new = int(torch.where(inside, -math.inf, gain).argmax())
        order.append((new, int(nearest[new])))
        inside[new] = True
        better = weights[new] > gain
        gain = torch.where(better, weights[new], gain)
        nearest = torch.where(better, new, nearest)
    return order


# %% [markdown]
# Coins that turn greys into zeros and ones are independent, so for $i\ne j$ the chance of two ones is the mean of $g_ig_j$: no noise from binarisation enters at all.

# %%
mnist = cu.mnist()
grey = mnist.train.float()[: cu.budget(55_000)].flatten(1).double()  # (N, 784), in [0, 1]


def pair_table(x):
    """p(x_i = 1) (D,) and p(x_i = x_j = 1) (D, D) of coins with greys x (N, D), smoothed."""
    single = (x.sum(0) + 0.5) / (len(x) + 1)
    both = (x.T @ x + 0.25) / (len(x) + 1)
    return single, both.fill_diagonal_(0).add_(single.diag())


def tree_bonus(edges, weights):
    """Σ I over the edges of a tree: the part of (3) that depends on it."""
    return sum(float(weights[i, j]) for i, j in edges)


# %%
single, both = pair_table(grey)
weights = checked_weights(single, both)
ROOT = 14 * 28 + 14
tree = best_tree(weights, ROOT)
child = torch.tensor([i for i, _ in tree])
parent = torch.tensor([j for _, j in tree])
joint = both[child, parent]
given_on = joint / single[parent]
given_off = (single[child] - joint) / (1 - single[parent])
p_on = torch.stack([given_off, given_on], 1)  # (783, 2): p(child = 1 | parent)
p_on = p_on.clamp(1e-6, 1 - 1e-6)


# %%
def log_tree(x):
    """log p(x), exact, of binary images x (N, 784): (N,)."""
    p = torch.where(x[:, parent] == 1, p_on[:, 1], p_on[:, 0])  # (N, 783)
    terms = torch.where(x[:, child] == 1, p, 1 - p).log()
    first = torch.where(x[:, ROOT] == 1, single[ROOT], 1 - single[ROOT]).log()
    return first + terms.sum(1)


# %% tags=["figure"]
# @title Table: exact nats of the tree
coins = torch.Generator().manual_seed(4)  # lesson 04b's binarisation
binary = torch.bernoulli(mnist.test.float(), generator=coins).flatten(1)
binary = binary[: cu.budget(10_000)]
tree_nats = -log_tree(binary)
alone = torch.where(binary == 1, single, 1 - single).log().sum(1)
cu.facts(
    {
        "independent pixels, test nats": f"{-alone.mean():.1f}",
        "best tree, test nats, exact": f"{tree_nats.mean():.2f}",
        "its standard error over 10,000 test digits": f"{tree_nats.std() / 100:.2f}",
        "Σ I over the tree's edges": f"{tree_bonus(tree, weights):.1f}",
        "numbers in the tree": 2 * 783 + 1,
    }
)

# %% tags=["figure", "slide"]
# @title Figure: the best tree
fig, (left, right) = plt.subplots(1, 2, figsize=(11, 5.6), width_ratios=(1.25, 1))
strength = weights[child, parent]
mean = single.view(28, 28).numpy()
left.imshow(mean, cmap="gray_r", alpha=0.35)
for i, j, I in zip(child, parent, strength):
    if I < 1e-3:
        continue  # pixels of the empty margin
    columns = [int(i) % 28, int(j) % 28]
    rows = [int(i) // 28, int(j) // 28]
    left.plot(columns, rows, color=cu.plots.PALETTE[0], lw=0.4 + 6 * float(I))
left.set(xticks=[], yticks=[], title="each pixel and its parent")
left.grid(False)
told = strength >= 1e-3
steps = torch.stack([(child // 28 - parent // 28).abs(), (child % 28 - parent % 28).abs()])
steps = steps[:, told]
kinds = {"above or below": (steps[1] == 0) & (steps[0] == 1)}
kinds["left or right"] = (steps[0] == 0) & (steps[1] == 1)
kinds["diagonal"] = (steps[0] == 1) & (steps[1] == 1)
kinds["farther"] = steps.max(0).values > 1
right.barh(list(kinds), [int(kind.sum()) for kind in kinds.values()], color=cu.plots.PALETTE[0])
right.set(xlabel="edges", title="where the parent is")
cu.show(
    fig,
    "The best tree over 784 pixels, edges as wide as their mutual information; those under "
    "0.001 nats, in the empty margin, are left out.",
)
cu.facts("edges under 0.001 nats", int((~told).sum()))
cu.facts({f"edges: {name}": int(kind.sum()) for name, kind in kinds.items()})

# %% [markdown]
# The tree is at **134.95 nats**, exact, where independent pixels have 205.7: its edges carry 70.2 nats on the training digits, and the gain on test digits is almost the same.
# It follows the strokes: rows in the upper part, columns down the sides, spirals around the two loops of an 8.
# Of the edges that matter 341 go left or right, 248 up or down, 23 diagonally and none farther.
# Nobody told it that pixels have neighbours; 171 edges in the empty margin mean nothing.
#
# **Loops.**
# Join the parents of each node, drop the arrows, and (2) becomes a product of scores over groups of neighbours, as the CRF's: a **Markov network**.
# Elimination works on it as well; its cost is $2^{w+1}$, where the *treewidth* $w$ is 1 for a tree, 2 for the clinic, and 28 for a grid of 28 × 28 pixels.
# That is why lesson 11 has to sample.
#
# **Exercise 6 (deeper, on paper).**
# Complete the proof of (3): why are the pairs' own frequencies the best tables for a given tree?
#
# <details><summary>Answer</summary>
#
# For each child the expected log-probability is $-\sum_b p(b)\bigl[H(p(\cdot\mid b))+\mathrm{KL}(p(\cdot\mid b)\,\|\,q(\cdot\mid b))\bigr]$, where $p$ are the data's frequencies, $q$ the tables and $b$ the parent's values.
# Only the KL contains $q$, and it is 0 exactly at $q=p$.
# Insert: $\mathbb E\log p(x_i\mid x_j)=-H_i+I_{ij}$, and add up over the nodes.
#
# </details>

# %% [markdown]
# ## 7 · All sixteen trees, and any mask *(deeper)*
#
# On four pixels there are 16 trees; fit each and compare.


# %%
def all_trees():
    """The 16 trees on four nodes: three edges that reach every node."""
    pairs = list(itertools.combinations(range(4), 2))
    for edges in itertools.combinations(pairs, 3):
        reached = {0}
        for _ in range(3):
            for i, j in edges:
                if i in reached or j in reached:
                    reached |= {i, j}
        if len(reached) == 4:
            yield edges


four = [12 * 28 + 13, 12 * 28 + 14, 14 * 28 + 13, 18 * 28 + 10]
weights4 = checked_weights(*pair_table(grey[:, four]))
trees = {edges: tree_bonus(edges, weights4) for edges in all_trees()}
found = tree_bonus(best_tree(weights4, 0), weights4)
assert len(trees) == 16 and abs(found - max(trees.values())) < 1e-12
cu.facts("Σ I of our tree, nats", found, "worst of the 16 trees", min(trees.values()), digits=5)

# %% [markdown]
# **Exact completion of any mask** is a pass of messages from the leaves to the root and a draw on the way back: lesson 08's forward filter and backward sampling, on a tree.


# %% tags=["shared"]
def complete_tree(x, seen, tree, root, tables, generator):
    """Exact draws of the hidden pixels of x (N, 784) binary; seen (784,) bool.

    tree [(child, parent), …] from the root; tables: p(root = 1), p(child = 1 | parent).
    """
    p_root, p_on = tables
    step = torch.stack([1 - p_on, p_on], 2)  # (783, value of the parent, of the child)
    belief = torch.ones(784, len(x), 2, dtype=p_on.dtype)  # p(seen below | value)
    belief[seen] = nn.functional.one_hot(x[:, seen].T.long(), 2).to(p_on.dtype)
    for k in range(len(tree) - 1, -1, -1):
        i, j = tree[k]
        message = belief[i] @ step[k].T
        belief[j] = belief[j] * message / message.sum(1, keepdim=True)
    done = x.clone()
    root_on = belief[root] * torch.stack([1 - p_root, p_root])
    u = torch.rand(784, len(x), generator=generator)
    done[:, root] = (u[root] < root_on[:, 1] / root_on.sum(1)).to(x.dtype)
    for k, (i, j) in enumerate(tree):
        p = step[k][done[:, j].long()] * belief[i]  # (N, 2)
        done[:, i] = (u[i] < p[:, 1] / p.sum(1)).to(x.dtype)
    return done


# %%
upper_half = torch.arange(784) < 392
stripes = torch.arange(784) // 28 % 4 < 2
nothing = torch.zeros(784, dtype=torch.bool)
masks = {"upper half seen": upper_half, "stripes seen": stripes, "nothing seen": nothing}
mine = (cu.my_digit().flatten()[None].float() / 255 > 0.5).float()
tree_tables = (single[ROOT], p_on)
completed = {}
for name, seen in masks.items():
    g = torch.Generator().manual_seed(1)
    completed[name] = complete_tree(mine.expand(8, -1), seen, tree, ROOT, tree_tables, g)

# %% tags=["figure", "slide"]
# @title Figure: the tree completes your digit
pictures = []
for name, seen in masks.items():
    shown = torch.where(seen, mine[0], 0.25)
    pictures.append(torch.cat([shown[None], completed[name]]))
grid = torch.cat(pictures).view(-1, 28, 28)
ax = cu.plots.image_grid(grid, rows=3, titles=["seen", *"12345678"], row_titles=list(masks))
cu.show(
    ax.figure, "Your digit with three masks (hidden pixels grey) and eight exact draws each."
)

# %% [markdown]
# Between stripes the tree fills in a tidy 3; with half the page hidden it falls apart within a few rows.
# Each pixel hears of the others through one neighbour, and what passes through a chain of noisy copies fades.
# The last row is what the model can say without any help.

# %% [markdown]
# ## 8 · The arena *(core)*
#
# Two more models enter: the chain of rows and the tree, both with an exact number and draws in zeros and ones.

# %% tags=["figure"]
# @title Table: both enter
hmm = RowChain(128)
cu.restore("08_hmm", hmm)
hmm_nats = -log_digits(binary.view(-1, 28, 28), *hmm.logs())


def draw_hmm(n, seed=None):
    """n binary digits of lesson 08's chain, as images (n, 28, 28); others at each call."""
    seed = int(torch.randint(2**31, ())) if seed is None else seed
    g = torch.Generator().manual_seed(seed)
    ink = draw_rows(hmm, torch.rand(28, n, 1, generator=g))
    return torch.bernoulli(ink, generator=g)


def draw_tree(n, seed=None):
    """n binary digits of the tree, from the root to the leaves; others at each call."""
    seed = int(torch.randint(2**31, ())) if seed is None else seed
    u = torch.rand(784, n, generator=torch.Generator().manual_seed(seed))
    x = torch.zeros(n, 784)
    x[:, ROOT] = (u[ROOT] < single[ROOT]).float()
    for k, (i, j) in enumerate(tree):
        x[:, i] = (u[i] < p_on[k][x[:, j].long()]).float()
    return x.view(n, 28, 28)


def hmm_step():
    """The gradient of a thousand digits; 55 of them make an EM step of the shipped run."""
    free = [t.detach().requires_grad_() for t in hmm.logs()]
    x = torch.bernoulli(mnist.train.x[:1_000, 0].float() / 255)
    return torch.autograd.grad(log_digits(x, *free).sum(), free)


cu.enter("08_hmm", draw_hmm, step=hmm_step, steps=40 * 55, numbers=hmm)
cu.enter("08_tree", draw_tree, step=lambda: best_tree(weights, ROOT), steps=1, numbers=1_567)


# %% tags=["author"]
def tree_figures():
    """What the card of the tree says."""
    sets = [cu.to_uint8(draw_tree(1_000, seed)) for seed in range(5)]
    score = cu.metrics.score(sets, 1_000)
    return {
        "test nats, exact": (tree_nats.mean().item(), 0.05),
        "Fréchet distance": (score.distance, 5 * score.distance_spread),
        "Fréchet distance, spread of sets": (score.distance_spread, 3.0),
    }


cu.ship(
    "08_tree",
    what="the best tree over 784 binary pixels (Chow and Liu)",
    figures=tree_figures,
    samples=lambda: cu.to_uint8(draw_tree(1_000, seed=0)),
    lesson="08b_graphs",
)

# %% tags=["figure", "slide"]
# @title Table: nats and Fréchet distance
n_sets = cu.budget(5, 1)
n_images = cu.budget(1_000, 200)
coins = torch.Generator().manual_seed(9)
real = torch.bernoulli(mnist.val.float()[:, 0], generator=coins)
sets = {
    "validation digits, binarised": [real[i * n_images :][:n_images] for i in range(n_sets)],
    "chain of 28 rows, K = 128": [draw_hmm(n_images, seed) for seed in range(n_sets)],
    "best tree": [draw_tree(n_images, seed) for seed in range(n_sets)],
    "independent pixels": [
        torch.bernoulli(single.expand(n_images, -1)).view(-1, 28, 28) for _ in range(n_sets)
    ],
}
scores = {}
for name, images in sets.items():
    scores[name] = cu.metrics.score([cu.to_uint8(part.float()) for part in images], n_images)
exact_nats = {
    "independent pixels": (-alone.mean().item(), 784),
    "best tree": (tree_nats.mean().item(), 1_567),
    "chain of 28 rows, K = 128": (
        hmm_nats.mean().item(),
        sum(p.numel() for p in hmm.parameters()),
    ),
}
rows = []
for name, score in scores.items():
    nats, size = exact_nats.get(name, (None, None))
    rows.append([name, nats, f"{score.distance:.1f} ± {score.distance_spread:.1f}", size])
cu.table(
    rows,
    ["", "−log p, nats, exact", "Fréchet distance", "numbers"],
    f"10,000 test digits, dynamic binarisation (seed 4); {n_sets} sets of {n_images:,} draws.",
    digits=1,
)
pictures = torch.cat([images[0][:12].float() for images in sets.values()])
ax = cu.plots.image_grid(pictures, rows=4, row_titles=["real", "chain", "tree", "pixels"])
cu.show(ax.figure, "Twelve binarised validation digits, and twelve draws of each model.")

# %% [markdown]
# By both rulers the order is the same: pixels alone 205.7 nats and a Fréchet distance of 849, the tree 134.9 and 217, the chain 99.5 and 67; real digits, binarised alike, are at 9.6.
# The chain's draws have strokes, and some are digits.
# But 67 is far from 9.6: a hundred nats better than pixels alone, and still no page of handwriting.
# How much a likelihood says about draws is a question that lesson 10b asks again.
#
# **Exercise 7 (deeper, open).**
# A mixture of ten trees (one a class, or found by EM) has an exact likelihood, too.
# Build one, say beforehand how many nats it should gain on the single tree, and measure on test digits once.

# %% [markdown]
# ## Recap *(core)*
#
# | you can | because you saw |
# |---|---|
# | turn an HMM into a CRF | every tag sequence with the same probability |
# | read a learning curve | ten draws, paired: a crossing near ten sentences with words, none with endings |
# | see a witness counted three times | accuracy hardly moves, the calibration error grows from 2.9 to 11.2 points |
# | compute a posterior in a network | elimination, three samplers, and one that is stuck |
# | find the best tree | entropies stay, mutual informations add up |
#
# **What breaks, and why.**
# A tree is exact because it has no loops, and poor for the same reason.
# The likelihood says that the chain is a hundred nats better than independent pixels; the eye says that both write badly.
#
# **Next.**
# Give each pixel *all* pixels before it as parents, and let a network compute the table: [lesson 09](09_autoregressive.ipynb).

# %% [markdown]
# ## Where this stands *(deeper)*
#
# **CRFs** (Lafferty, McCallum and Pereira 2001) came to repair *label bias*: a model that normalises at each step, as a maximum-entropy Markov model does, must hand on all its probability even from a state into which the evidence does not fit.
# On top of a network's scores they were the standard tagger until large language models; in segmentation and gene finding they still are.
#
# **Generative against discriminative.**
# Ng and Jordan (2002) proved for naive Bayes and logistic regression that the generative one approaches its (worse) limit with fewer examples.
# It is a theorem about that pair, not a law; section 1 shows how much hangs on the penalty.
#
# **Networks.**
# Lauritzen and Spiegelhalter (1988) made exact inference practical on graphs with loops by gathering nodes into a tree of groups (the junction tree); the clinic is their example, and fictitious.
# Where that is too dear there are loopy belief propagation and variational inference.
#
# **Trees.**
# Mixtures of trees (Meilă and Jordan 2000) and, deeper, probabilistic circuits keep everything exact and come much closer to neural likelihoods.
# For scale: NADE, which gives each pixel all earlier ones as parents and lets a network share the tables (Larochelle and Murray 2011), is at 88.33 nats as compared by Uria et al. (2014).
# That is on one fixed binarisation, ours is dynamic: the numbers may not stand in one table (lesson 04b).

# %% [markdown]
# ### References
#
# - Lafferty, McCallum, Pereira (2001): *Conditional Random Fields: Probabilistic Models for Segmenting and Labeling Sequence Data*.
# - Ng, Jordan (2002): *On Discriminative vs. Generative Classifiers: A Comparison of Logistic Regression and Naive Bayes*.
# - Lauritzen, Spiegelhalter (1988): *Local Computations with Probabilities on Graphical Structures and Their Application to Expert Systems* (the clinic).
# - Chow, Liu (1968): *Approximating Discrete Probability Distributions with Dependence Trees* (equation 3).
# - Larochelle, Murray (2011): *The Neural Autoregressive Distribution Estimator*.
# - Meilă, Jordan (2000): *Learning with Mixtures of Trees*.
