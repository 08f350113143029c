# %% [markdown]
# # 08 Hidden chains
#
# **A sum over more hidden stories than there are atoms takes one pass over the data, if the story is a chain.**
#
# In lesson 02 every point had a hidden cause of its own.
# Here the causes follow each other: a die that is exchanged now and then, the kind of letter that comes next, the state of a pen as it goes down the page.
# Everything in this lesson is exact: no bound, no sampling error, no network.
# And it completes half a digit from above or from below.
#
# **After this lesson you can**
# - sum over all hidden paths in one pass, in log-space, and prove it by enumeration;
# - get the whole E-step from one gradient;
# - tell the most likely path from the most likely states, and say when they disagree;
# - let EM find vowels in a text, and tell a good run from a bad one without labels;
# - build a model of digits with an exact likelihood, and complete a digit with it.
#
# **Builds on** 02 (EM, responsibilities), 02b (completion), 04b (what a number in nats means); [toolbox](A_toolbox.ipynb), Card 3 (log-sum-exp).
#
# | letter | meaning | letter | meaning |
# |---|---|---|---|
# | $x_t$ | what is seen at time $t=1,\dots,T$ | $z_t$ | latent: the hidden state then, one of $K$ |
# | $\pi_k$ | $p(z_1=k)$ | $A_{jk}$ | $p(z_{t+1}=k\mid z_t=j)$: rows sum to 1 |
# | $b_k(x_t)$ | $p(x_t\mid z_t=k)$ | $\alpha_t(k)$ | $p(x_1,\dots,x_t,\ z_t=k)$: message from the past |
# | $\omega_t(k)$ | $p(x_{t+1},\dots,x_T\mid z_t=k)$: message from the future | $\gamma_t(k)$ | $p(z_t=k\mid x)$ |
# | $\xi_t(j,k)$ | $p(z_t=j,\ z_{t+1}=k\mid x)$ | $\mu_{r,k}$ | ink of the 28 pixels of row $r$ in state $k$ |

# %% tags=["setup"]
import math

import matplotlib.pyplot as plt
import torch
from torch import nn

import course_utils as cu
from course_utils.data.text import course_text

device = cu.setup()

# %% [markdown]
# ### What you will have made
#
# The lower half of a digit is hidden (pale blue), then the upper half.
# **Predict:** cover all but the first column: which half leaves more doubt about the digit?

# %% tags=["figure", "slide"]
# @title Figure: one digit, completed from above and from below
PALE = torch.tensor([0.72, 0.84, 0.95])  # hidden pixels: neither ink nor paper


def in_ink(x, seen=None):
    """Images (N, 28, 28) in [0, 1] as colours, dark ink on white; hidden rows pale blue."""
    grey = (1 - x.clamp(0, 1))[:, None].repeat(1, 3, 1, 1)
    if seen is not None:
        grey[:, :, ~seen] = PALE[:, None, None]
    return grey


upper_half = torch.arange(28) < 14
for run in cu.runs.available("08_hmm"):  # section 7 makes it
    frames = torch.as_tensor(run.replay[0]).float() / 255  # (2, 9, 28, 28)
    rows = []
    for pictures, seen in zip(frames, (upper_half, ~upper_half)):
        rows += [in_ink(pictures[:1], seen), in_ink(pictures[1:])]
    fig, ax = plt.subplots(figsize=(10.5, 2.9))
    names = ["from above", "from below"]
    titles = ["seen", *"12345678"]
    cu.plots.image_grid(torch.cat(rows), rows=2, titles=titles, row_titles=names, ax=ax)
    cu.show(
        fig,
        "The course's digit with its lower and with its upper half hidden, and eight exact "
        "completions of each, drawn by the shipped chain of 28 rows.",
    )

# %% [markdown]
# From above mostly 3s, a few 2s and 7s; from below 3s and 5s: section 8 counts the doubt of both halves in bits.
# Each is an exact draw from one model, by one function (section 8); and each row continues the one before it, while the whole is not always a digit.

# %% [markdown]
# ## 1 · The dishonest casino *(core)*
#
# A casino uses a fair die and, now and then, a loaded one that shows six half of the time.
# The exchange is hidden; only the rolls are seen.
# This is a **hidden Markov model** (HMM): a hidden state that depends only on the state before it, and an observation that depends only on the state.

# %% tags=["figure", "slide"]
# @title Figure: the hidden Markov model
d = cu.diagram()
states = []
for t in range(4):
    z = d.node(f"$z_{t + 1}$", (1.9 * t, 1.4))
    x = d.node(f"$x_{t + 1}$", (1.9 * t, 0), observed=True)
    d.arrow(z, x, "$b$" if t == 0 else "")
    if states:
        d.arrow(states[-1], z, "$A$")
    states.append(z)
d.arrow(d.dot(r"$\pi$", (-1.4, 1.4)), states[0])
d.arrow(states[-1], (7.2, 1.4))
d.text("…", (7.5, 1.4))
d.text("hidden: which die", (-3.2, 1.4))
d.text("seen (shaded): the roll", (-3.0, 0))
cu.show(
    d.figure,
    "Each hidden state z depends on the one before it, each roll x on its own state. π starts "
    "the chain, A moves it, b rolls the die.",
)

# %% [markdown]
# The story in a formula:
#
# $$p(x,z)=\pi_{z_1}\,b_{z_1}(x_1)\prod_{t=2}^TA_{z_{t-1}z_t}\,b_{z_t}(x_t),\qquad p(x)=\sum_{z_1}\cdots\sum_{z_T}p(x,z). \tag{1}$$
#
# The fair die is exchanged with probability 0.05 after a roll, the loaded one with 0.10.

# %%
A = torch.tensor([[0.95, 0.05], [0.10, 0.90]]).double()
pi = torch.tensor([2 / 3, 1 / 3]).double()  # its long-run shares: πA = π
torch.testing.assert_close(pi @ A, pi)
faces = torch.tensor([[1 / 6] * 6, [0.1] * 5 + [0.5]]).double()  # (K, 6): fair, loaded


def play(T, generator):
    """T rolls: the hidden dice z (T,) and the faces x (T,), 0 to 5."""
    z = torch.zeros(T, dtype=torch.long)
    x = torch.zeros(T, dtype=torch.long)
    for t in range(T):
        chances = A[z[t - 1]] if t else pi
        z[t] = torch.multinomial(chances, 1, generator=generator)
        x[t] = torch.multinomial(faces[z[t]], 1, generator=generator)
    return z, x


z, x = play(300, torch.Generator().manual_seed(3))
log_b = faces.log()[:, x].T  # (T, K): log b_k(x_t)


# %% tags=["figure", "slide"]
# @title Figure: 300 rolls
def draw_rolls(ax, x):
    """Rolls as dots, sixes in colour."""
    time = torch.arange(1, len(x) + 1)
    six = x == 5
    ax.scatter(time[~six], x[~six] + 1, s=9, color="#777777")
    ax.scatter(time[six], x[six] + 1, s=16, color=cu.plots.PALETTE[1])
    ax.set(ylabel="face", yticks=range(1, 7), xlim=(0, len(x) + 1), ylim=(0.4, 6.6))


fig, ax = plt.subplots(figsize=(11, 2.6))
draw_rolls(ax, x)
ax.set(xlabel="roll", xticks=range(0, 301, 20))
cu.show(fig, "300 rolls; sixes in colour.")
share = float((x == 5).double().mean())
cu.facts("sixes in 300 rolls", f"{share:.0%}", "expected of a fair die", f"{1 / 6:.0%}")

# %% [markdown]
# 28 % of the rolls are sixes, more than the 17 % of a fair die: the loaded one was there.
# But when?
#
# **Exercise 1 (core, predict and measure).**
# Mark by eye where the loaded die was in play, as pairs (first roll, last roll), before you see what the model says.


# %% tags=["exercise"]
def my_marks():
    """Stretches of the loaded die: a list of pairs (first roll, last roll), 1 to 300."""
    ### BEGIN SOLUTION
    return [(1, 20), (120, 150)]
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# `return [(41, 60), (130, 155)]` marks two stretches.
# Look for places where sixes stand close together.

# %%
checked_marks = cu.check("08.marks", my_marks)

# %% [markdown]
# **The sum.**
# (1) adds up $2^{300}$ paths.
# But all paths that are in state $k$ at time $t$ share their future: they can be added up at once.
# Let $\alpha_t(k)=p(x_1,\dots,x_t,\,z_t=k)$ be the sum of all paths that end in $k$ at time $t$.
# Each of them came from some state $j$:
#
# $$\begin{gathered}
# \alpha_1(k)=\pi_kb_k(x_1),\qquad \alpha_t(k)=b_k(x_t)\sum_j\alpha_{t-1}(j)A_{jk}, \\
# p(x)=\sum_k\alpha_T(k).
# \end{gathered} \tag{2}$$
#
# In log-space a product is a sum and the sum is a log-sum-exp:
#
# $$\log\alpha_t(k)=\log b_k(x_t)+\operatorname*{logsumexp}_j\bigl(\log\alpha_{t-1}(j)+\log A_{jk}\bigr). \tag{3}$$
#
# This is the **forward pass**: $K^2$ products for each roll in place of $K^T$ paths.

# %% tags=["figure", "slide"]
# @title Widget: the trellis, one column a click
SIX = torch.tensor([5, 1, 5, 5, 2, 0])  # six rolls for the picture: 6 2 6 6 3 1


def column(state):
    """One click: the next column of α, equation (2) in plain probabilities."""
    done, now = state
    if len(done) == len(SIX):
        return begun  # begin again
    now = faces[:, SIX[len(done)]] * (now @ A)
    return [*done, now], now


def draw_trellis(state):
    """Discs whose area is α relative to its column; beside it the sum by enumeration."""
    done, _ = state
    fig, ax = plt.subplots(figsize=(9.4, 3.1))
    for t in range(len(SIX)):
        for k in range(2):
            ax.scatter(t, k, s=60, facecolors="none", edgecolors="#999999")
        if t < len(done):
            share = done[t] / done[t].sum()
            ax.scatter([t, t], [0, 1], s=2_200 * share, color=cu.plots.PALETTE[0], alpha=0.75)
            ax.text(t, -0.62, f"{done[t].sum():.2e}", ha="center", fontsize=11)
        if 0 < t < len(done):
            for j in range(2):
                for k in range(2):
                    ax.plot([t - 1, t], [j, k], color="#999999", lw=1, zorder=0)
    paths = torch.cartesian_prod(*[torch.arange(2)] * len(done)).view(-1, len(done))
    whole = pi[paths[:, 0]] * faces[paths[:, 0], SIX[0]]
    for t in range(1, len(done)):
        whole = whole * A[paths[:, t - 1], paths[:, t]] * faces[paths[:, t], SIX[t]]
    ax.set_title(f"{len(paths)} paths one by one: {whole.sum():.2e}", fontsize=13)
    ax.set(yticks=[0, 1], yticklabels=["fair", "loaded"], ylim=(-0.85, 1.45))
    ax.set(xticks=range(len(SIX)), xticklabels=[f"roll {int(face) + 1}" for face in SIX])
    ax.set(xlim=(-0.5, len(SIX) - 0.5))
    ax.grid(False)
    return fig


begun = ([pi * faces[:, SIX[0]]], pi * faces[:, SIX[0]])


def whole_trellis():
    """All six columns."""
    state = begun
    for _ in range(len(SIX) - 1):
        state = column(state)
    return draw_trellis(state)


cu.stepper(
    begun,
    {"Next column": column},
    draw_trellis,
    "The trellis of six rolls: a disc's area is its share of its column of α, the number below "
    "the column's sum. The title adds up all paths one by one. Without a kernel: all columns.",
    static=whole_trellis,
    repeats=(1,),
)

# %% [markdown]
# Each click adds one column; the number below the last one is always the sum in the title, which takes twice as many paths with every roll.
# After the fourth roll, the third six, the disc of the loaded die is the largest; two other faces, and the fair die has caught up.
#
# **Exercise 2 (core).**
# Write (3).


# %% tags=["exercise"]
def forward(log_pi, log_A, log_b):
    """Equation (3): log π (K,), log A (K, K), log b_k(x_t) (T, K) → log α (T, K)."""
    ### BEGIN SOLUTION
    log_alpha = [log_pi + log_b[0]]
    for t in range(1, len(log_b)):
        arrive = (log_alpha[-1][:, None] + log_A).logsumexp(0)  # (K,): summed over j
        log_alpha.append(log_b[t] + arrive)
    return torch.stack(log_alpha)
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# Keep a list, begin with `log_pi + log_b[0]`, and `torch.stack` it at the end: a gradient must pass through.
# `log_alpha[-1][:, None] + log_A` has the old state $j$ in its rows and the new one $k$ in its columns; sum the rows out.

# %%
checked_forward = cu.check("08.forward", forward)


def score_paths(paths, log_pi, log_A, log_b):
    """log p(x, z), equation (1), of each path z in paths (N, T)."""
    total = log_pi[paths[:, 0]] + log_b[0, paths[:, 0]]
    for t in range(1, paths.shape[1]):
        total = total + log_A[paths[:, t - 1], paths[:, t]] + log_b[t, paths[:, t]]
    return total


# %%
paths = torch.cartesian_prod(*[torch.arange(2)] * 12)  # (4096, 12)
one_by_one = score_paths(paths, pi.log(), A.log(), log_b[:12]).logsumexp(0)
at_once = checked_forward(pi.log(), A.log(), log_b[:12])[-1].logsumexp(0)
assert abs(one_by_one - at_once) < 1e-10
log_px = checked_forward(pi.log(), A.log(), log_b)[-1].logsumexp(0)

# %% tags=["figure"]
# @title Table: one by one, and at once
cu.facts(
    {
        "paths of twelve rolls, added one by one": len(paths),
        "log p of twelve rolls, one by one": f"{one_by_one:.12f}",
        "log p of twelve rolls, forward": f"{at_once:.12f}",
        "products for 300 rolls": 300 * 2 * 2,
        "paths of 300 rolls": f"10 to the {300 * math.log10(2):.0f}",
        "log p of 300 rolls, nats": log_px,
    }
)

# %% [markdown]
# 4,096 paths one by one and the forward pass agree to twelve digits.
# For 300 rolls the pass needs 1,200 products; the paths would number about 10 to the 90, more than there are atoms in the visible universe.
#
# **Exercise 3 (deeper, break it).**
# Now write (2) as it stands, in plain probabilities.
# The check verifies that it is right for a few rolls; the next cell finds where it dies.


# %% tags=["exercise"]
def plain_forward(pi, A, b):
    """Equation (2) without logarithms: π (K,), A (K, K), b_k(x_t) (T, K) → α (T, K)."""
    ### BEGIN SOLUTION
    alpha = [pi * b[0]]
    for t in range(1, len(b)):
        alpha.append(b[t] * (alpha[-1] @ A))
    return torch.stack(alpha)
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# $\sum_j\alpha_{t-1}(j)A_{jk}$ for all $k$ is a row vector times a matrix: `alpha[-1] @ A`.

# %%
checked_plain = cu.check("08.plain", plain_forward)

# %% tags=["figure"]
# @title Table: where plain probabilities end
for kind in (torch.float32, torch.float64):
    b = faces[:, x.repeat(4)].T.to(kind)  # 1,200 rolls
    alpha = checked_plain(pi.to(kind), A.to(kind), b)
    dead = int((alpha.sum(1) > 0).sum()) + 1
    cu.facts(f"the first roll with α = 0, {kind}".replace("torch.", ""), dead)

# %% [markdown]
# In single precision every α is 0 from roll 58 on, in double precision from roll 426: a product of small numbers leaves the range, and its logarithm would be $-\infty$.
# Log-space has no such end.

# %% [markdown]
# ## 2 · Backward is backprop *(core)*
#
# How probable is the loaded die at roll $t$, given *all* rolls, later ones too?
# Write $\log p(x)=\log\sum_ze^{s(z)}$, where the score $s(z)$ of a path is a sum of entries $\log\pi$, $\log A$ and $\log b$.
# The derivative of a log-sum-exp is a softmax, the weight of each path given $x$.
# The entry $\log b_k(x_t)$ stands in the scores of exactly those paths that are in $k$ at time $t$.
# So its derivative adds up their weights:
#
# $$\frac{\partial\log p(x)}{\partial\log b_k(x_t)}=p(z_t=k\mid x)=\gamma_t(k),\qquad
# \frac{\partial\log p(x)}{\partial\log A_{jk}}=\sum_{t}\xi_t(j,k), \tag{4}$$
#
# where all entries count as free numbers.
# The second one is the expected number of moves from $j$ to $k$.
# **One gradient is the whole E-step.**
#
# The textbooks' way is a second pass, from the end: $\omega_T(k)=1$, $\omega_t(j)=\sum_kA_{jk}\,b_k(x_{t+1})\,\omega_{t+1}(k)$, and $\gamma_t(k)\propto\alpha_t(k)\,\omega_t(k)$.
# (Its usual letter is β, which is taken in this course.)
# It is what backpropagation does to the forward pass; here are both.


# %%
def backward(log_A, log_b):
    """The message from the future: log ω (T, K)."""
    log_omega = [torch.zeros_like(log_b[0])]
    for t in range(len(log_b) - 1, 0, -1):
        log_omega.insert(0, (log_A + log_b[t] + log_omega[0]).logsumexp(1))  # over k
    return torch.stack(log_omega)


free = [t.clone().requires_grad_() for t in (A.log(), log_b)]
log_alpha = checked_forward(pi.log(), *free)
moves, gamma = torch.autograd.grad(log_alpha[-1].logsumexp(0), free)

log_alpha = log_alpha.detach()
log_omega = backward(A.log(), log_b)
gamma_by_hand = (log_alpha + log_omega).softmax(1)
assert (gamma - gamma_by_hand).abs().max() < 1e-10
log_xi = log_alpha[:-1, :, None] + A.log() + (log_b + log_omega)[1:, None]  # (T-1, K, K)
xi = (log_xi - log_px).exp()
assert (moves / xi.sum(0) - 1).abs().max() < 1e-10

# %% [markdown]
# Autograd and the recursion agree to $10^{-10}$, for the states and for the moves.
# Now your marks, the posterior and the truth.

# %% tags=["figure", "slide"]
# @title Figure: where was the loaded die?
marked = torch.zeros(300, dtype=torch.bool)
for first, last in checked_marks():
    marked[int(first) - 1 : int(last)] = True
guesses = {
    "your marks": marked,
    "posterior above one half": gamma[:, 1] > 0.5,
    "always the fair die": torch.zeros(300, dtype=torch.bool),
}
fig, (upper, lower) = plt.subplots(2, 1, figsize=(11, 4.4), sharex=True)
draw_rolls(upper, x)
time = torch.arange(1, 301)
loaded = (z == 1).double()
lower.fill_between(time, loaded, step="mid", color="#cccccc", label="truly loaded")
lower.plot(time, gamma[:, 1], color=cu.plots.PALETTE[1], label="p(loaded | all rolls)")
bar = torch.where(marked, -0.12, math.nan)
lower.plot(time, bar, color=cu.plots.PALETTE[2], lw=5, label="your marks")
lower.set(xlabel="roll", ylabel="probability", ylim=(-0.22, 1.42), yticks=[0, 0.5, 1])
lower.legend(loc="upper center", ncol=3, fontsize=11)
cu.show(
    fig,
    "300 rolls; below, the true stretches of the loaded die (grey), the posterior probability "
    "that it was in play, and your marks.",
)
shares = {
    f"right: {name}": f"{((z == 1) == g).double().mean():.0%}" for name, g in guesses.items()
}
cu.facts({**shares, "the posterior promises": f"{gamma.max(1).values.mean():.0%}"})

# %% [markdown]
# The posterior is right on 79 % of the rolls and promises 79 %: where the model is true it is right as often as it claims (lesson 02).
# "Always fair" is right on 61 %, the marks of the solution on 50 %.
#
# It is no oracle.
# The first stretch, seven rolls, hardly moves it, and in the second the die happened to show few sixes.
# It changes its mind *late and in hindsight*: at the edges of a stretch later rolls decide.

# %% [markdown]
# **Quick enough for images.**
# Log-sum-exp over $(N,K,K)$ numbers is slow for thousands of sequences.
# A common repair (Rabiner 1989) stays in plain probabilities and divides each α by its sum; the logarithms of the divisors add up to $\log p(x)$.
# The sum over $j$ becomes a product of matrices.
# It takes a batch, moves of their own for each step, and gradients; from here on it does the work.


# %% tags=["shared"]
def log_evidence(log_pi, log_A, log_b):
    """log p(x) (..., N) of N sequences by (2), rescaled at each step.

    log_pi (..., 1, K), log_A (T-1, ..., K, K), log_b (T, ..., N, K).
    """
    top = log_b.detach().amax(-1, keepdim=True)
    b = (log_b - top).exp()
    A = log_A.exp()
    log_px = top.sum((0, -1))
    for t in range(len(b)):
        alpha = b[t] * (alpha @ A[t - 1] if t else log_pi.exp())
        total = alpha.sum(-1, keepdim=True)
        log_px = log_px + total[..., 0].log()
        alpha = alpha / total
    return log_px


# %%
every_move = A.log().expand(299, 2, 2)
quick = log_evidence(pi.log()[None], every_move, log_b[:, None])
assert abs(float(quick) - float(log_px)) < 1e-10

# %% [markdown]
# ## 3 · Most likely path, or most likely states? *(core)*
#
# Three states, two steps, nothing observed: the chain begins in 1, 2 or 3 with probabilities 0.4, 0.3, 0.3.
# From 1 it moves to 2 or 3, from 2 and 3 to 1.
# **Predict:** which state is the likeliest at time 1, which at time 2, and how probable is the path made of these two?

# %%
puzzle_pi = torch.tensor([0.4, 0.3, 0.3]).double()
puzzle_A = torch.tensor([[0, 0.5, 0.5], [1, 0, 0], [1, 0, 0]]).double()
second = puzzle_pi @ puzzle_A
joint = puzzle_pi[:, None] * puzzle_A  # p(z_1, z_2)

# %% tags=["figure"]
# @title Table: three states, two steps
cu.facts(
    {
        "time 1: states 1, 2, 3": ", ".join(f"{p:.1f}" for p in puzzle_pi),
        "time 2: states 1, 2, 3": ", ".join(f"{p:.1f}" for p in second),
        "path 1, 1": f"{joint[0, 0]:.1f}",
        "path 1, 2": f"{joint[0, 1]:.1f}",
        "path 2, 1": f"{joint[1, 0]:.1f}",
    }
)

# %% [markdown]
# State 1 is the likeliest at both times, 0.4 and 0.6, and the path 1, 1 is impossible.
# The most probable *path* is 2, 1 or 3, 1, with 0.3 each.
# **The best states need not make a path; the best path need not visit the best states.**
#
# The most likely path needs one change in (3): a maximum for the sum, and a note of where it came from (Viterbi):
#
# $$\begin{aligned}
# \log\delta_t(k)&=\log b_k(x_t)+\max_j\bigl(\log\delta_{t-1}(j)+\log A_{jk}\bigr), \\
# \text{from}_t(k)&=\text{the }j\text{ that won}.
# \end{aligned} \tag{5}$$
#
# At the end take the best $k$ and follow the notes back.
#
# **Exercise 4 (core).**
# Write the Viterbi algorithm.


# %% tags=["exercise"]
def viterbi(log_pi, log_A, log_b):
    """log π (K,), log A (K, K), log b (T, K) → the most likely path z (T,), from 0 to K-1."""
    ### BEGIN SOLUTION
    log_delta = log_pi + log_b[0]
    came_from = []
    for t in range(1, len(log_b)):
        best = (log_delta[:, None] + log_A).max(0)  # over the old state j
        came_from.append(best.indices)
        log_delta = best.values + log_b[t]
    path = [log_delta.argmax()]
    for notes in reversed(came_from):
        path.insert(0, notes[path[0]])
    return torch.stack(path)
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# `(log_delta[:, None] + log_A).max(0)` gives values and indices at once; keep the indices in a list.
# Then walk the list from its end: the note at $k$ is the state before it.

# %%
checked_viterbi = cu.check("08.viterbi", viterbi)

best_path = checked_viterbi(pi.log(), A.log(), log_b[:12])
by_enumeration = score_paths(paths, pi.log(), A.log(), log_b[:12]).argmax()
assert torch.equal(best_path, paths[by_enumeration])

# %% [markdown]
# Which one is to be used?
# The best state at each time maximises the expected number of hits, the best path the chance that *all* are right.

# %% [markdown]
# ## 4 · Two hundred games *(deeper)*
#
# Path and states on 200 sequences of 100 rolls each:

# %%
generator = torch.Generator().manual_seed(0)
games = [play(100, generator) for _ in range(cu.budget(200, 10))]
truth = torch.stack([hidden for hidden, _ in games], 1)  # (T, N)
seen = torch.stack([rolls for _, rolls in games], 1)
each = faces.log().T[seen].requires_grad_()  # (T, N, K)
total = log_evidence(pi.log()[None], A.log().expand(99, 2, 2), each).sum()
posterior = torch.autograd.grad(total, each)[0]
states = posterior.argmax(2)
best_paths = [checked_viterbi(pi.log(), A.log(), faces.log()[:, rolls].T) for _, rolls in games]
path_hits = (torch.stack(best_paths, 1) == truth).double().mean(0)  # (N,)
state_hits = (states == truth).double().mean(0)
gap = state_hits - path_hits

# %% tags=["figure"]
# @title Table: hits by path and by states
rows = [
    [
        "best path (Viterbi)",
        f"{path_hits.mean():.1%}",
        f"{(path_hits == 1).double().mean():.1%}",
    ],
    ["best states", f"{state_hits.mean():.1%}", f"{(state_hits == 1).double().mean():.1%}"],
]
cu.table(
    rows, ["guess", "rolls right", "sequences all right"], "200 casino sequences of 100 rolls."
)
error = gap.std() / len(gap) ** 0.5
cu.facts(
    {
        "rolls: states − path, in points": f"{100 * gap.mean():.2f}",
        "standard error of that, paired": f"{100 * error:.2f}",
        "rolls, promised by the posterior": f"{posterior.max(2).values.mean():.1%}",
    }
)

# %% [markdown]
# The best states are right on 82.2 % of the rolls, the best path on 80.2 %: 1.97 points, with a standard error of 0.45 over 200 pairs.
# On average states cannot lose this comparison; the posterior had promised 81.9 %.
# The best path is right as a whole once in 200 games, the states never.
# Use the states if each mistake costs, the path if the answer has to be a possible story.
#
# **Exercise 5 (deeper, on paper).**
# Show that among all guesses $\hat z_1,\dots,\hat z_T$ the likeliest states have the greatest expected number of hits.
#
# <details><summary>Answer</summary>
#
# The number of hits is $\sum_t[\hat z_t=z_t]$.
# Its expectation given $x$ is $\sum_t p(z_t=\hat z_t\mid x)=\sum_t\gamma_t(\hat z_t)$: an expectation of a sum is a sum of expectations, whether the terms depend on each other or not.
# Each term contains one $\hat z_t$ only, so each can be made as large as possible by itself.
#
# </details>

# %% [markdown]
# ## 5 · EM learns the hidden alphabet *(core)*
#
# Now nobody tells the chain its numbers, and the "rolls" are letters: the prose of lessons 00 to 07, as letters and spaces.
# EM as in lesson 02: the E-step is the gradient (4), and the M-step divides the expected counts by their sums.
# For the moves:
#
# $$A_{jk}=\frac{\sum_t\xi_t(j,k)}{\sum_t\sum_l\xi_t(j,l)}. \tag{6}$$
#
# **Exercise 6 (core).**
# Write (6), for one chain or for a batch of chains.


# %% tags=["exercise"]
def new_moves(xi):
    """Equation (6): ξ_t(j, k) of T-1 steps (T-1, ..., K, K) → new A (..., K, K)."""
    ### BEGIN SOLUTION
    counts = xi.sum(0)
    return counts / counts.sum(-1, keepdim=True)
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# Sum over time first (`.sum(0)`), then divide each *row* by its sum: the last axis is the new state, and `keepdim=True` keeps the shapes together.

# %%
checked_moves = cu.check("08.moves", new_moves)


def emissions(x, log_B):
    """log b of each letter, (T, S, N, K): x (T, N, 27) one-hot, log b (S, 27, K)."""
    return torch.einsum("tnv,svk->tsnk", x, log_B)


def em_on_text(params, x):
    """One EM step of S chains on one text: new parameters, and log p(x) before it (S,).

    params: log π (S, 1, K), log A (T-1, S, K, K), log b (S, 27, K); x (T, N, 27) one-hot.
    """
    free = [t.detach().requires_grad_() for t in params]
    log_pi, log_A, log_B = free
    log_px = log_evidence(log_pi, log_A, emissions(x, log_B)).sum(-1)
    starts, xi, counts = torch.autograd.grad(log_px.sum(), free)
    A = checked_moves(xi)
    new = (
        starts / starts.sum(-1, keepdim=True),
        A.expand_as(xi),
        counts / counts.sum(1)[:, None],
    )
    return [(t + 1e-30).log() for t in new], log_px.detach()


# %%
def begin_text(K, seeds, T):
    """Random chains of K states on 27 symbols, one a seed, as `em_on_text` takes them."""
    chains = []
    for seed in seeds:
        g = torch.Generator().manual_seed(seed)
        chains.append([0.5 + torch.rand(n, K, generator=g).double() for n in (1, K, 27)])
    pi, A, B = (torch.stack(parts) for parts in zip(*chains))
    A = A / A.sum(-1, keepdim=True)
    log_B = (B / B.sum(1, keepdim=True)).log()
    return [(pi / pi.sum(-1, keepdim=True)).log(), A.log().expand(T - 1, *A.shape), log_B]


# %% [markdown]
# Two states, 27 symbols, 60,000 characters in lines of 40, 200 steps, five seeds at once.
# **Predict:** what will the two states stand for?

# %%
ALPHABET = " abcdefghijklmnopqrstuvwxyz"
text = course_text()
codes = torch.tensor([ALPHABET.index(letter) for letter in text])


def lines(codes, T=40):
    """Whole lines of T characters, one-hot: (T, N, 27), float64."""
    kept = codes[: len(codes) // T * T].view(-1, T).T
    return nn.functional.one_hot(kept, 27).double()


train_text = lines(codes[: cu.budget(60_000)])
test_text = lines(codes[-cu.budget(60_000) :])
in_bits = -1 / math.log(2)


# %%
def run_text(K, seeds, steps):
    """Parameters after EM, and bits a character before each step (steps, seeds)."""
    params = begin_text(K, seeds, len(train_text))
    bits = []
    for _ in range(steps):
        params, log_px = em_on_text(params, train_text)
        bits.append(in_bits * log_px / train_text.sum())
    return params, torch.stack(bits)


race, race_bits = run_text(2, range(5), cu.budget(200))
assert race_bits.diff(dim=0).max() < 1e-9  # log p never falls: the bits never rise


# %% tags=["figure", "slide"]
# @title Table: five seeds of the two-state alphabet
def belongs(log_B, k):
    """The letters that state k prefers, beside the other state; _ is the space."""
    mine = log_B[:, k] > log_B[:, 1 - k]
    return "".join(letter for letter, yes in zip(ALPHABET, mine) if yes).replace(" ", "_")


rows = []
for seed in range(5):
    log_B = race[2][seed]
    vowel = int(log_B[1, 1] > log_B[1, 0])  # the state that prefers an a
    final = float(race_bits[-1, seed])
    rows.append([seed, final, f"`{belongs(log_B, vowel)}`", f"`{belongs(log_B, 1 - vowel)}`"])
cu.table(
    rows,
    ["seed", "bits a character", "the state of a", "the other state"],
    "Two states after 200 EM steps on 60,000 characters: the letters each prefers (_: space).",
)
gain = (race_bits[:-1] - race_bits[1:]).min()
cu.facts("smallest gain of a step, bits a character", f"{gain:.1e}")

# %% [markdown]
# Three of the five seeds put a, e, i, o, u and the space in one state (two of them with h) and all other letters in the other.
# **Nobody told them what a vowel is:** vowels and consonants take turns, and a chain can say so.
#
# **The failure stands in the same table.**
# Seeds 0 and 1 end with the letters of *this*, *it* and *with* in one state.
# No label is needed to see which is which: 4.030 bits a character against 3.930.
# Every step of all five went up, by at least $10^{-9}$ bits: EM never falls (lesson 02), and ends on the hill where it began.

# %% [markdown]
# ## 6 · More states *(deeper)*
#
# Held-out bits of the last 60,000 characters, beside two tables: how often each letter is (*unigram*), and how often it follows each other one (*bigram*).
# **Predict:** how many states does the chain need to beat the bigram?


# %%
def bigram_bits(train, test):
    """Held-out bits a character of unigram and bigram tables, with one added to every count."""
    counts = 1 + torch.einsum("tna,tnb->ab", train[:-1], train[1:])
    single = 1 + train.sum((0, 1))
    single = (single / single.sum()).log()
    double = (counts / counts.sum(1, keepdim=True)).log()
    first = (test[0] @ single).sum()
    unigram = (test @ single).mean()
    pairs = torch.einsum("tna,ab,tnb->", test[:-1], double, test[1:])
    return in_bits * unigram, in_bits * (first + pairs) / test.sum()


held_out = {}
for K in cu.budget([1, 2, 4, 8, 16, 32], [1, 2]):
    (log_pi, log_A, log_B), bits = run_text(K, [2], cu.budget(60))
    log_px = log_evidence(log_pi, log_A, emissions(test_text, log_B))
    held_out[K] = (float(in_bits * log_px.sum() / test_text.sum()), float(bits[-1]))
unigram, bigram = bigram_bits(train_text, test_text)

# %% tags=["figure"]
# @title Figure: held-out bits against the number of states
fig, ax = plt.subplots(figsize=(7.6, 3.9))
sizes = list(held_out)
ax.plot(sizes, [pair[0] for pair in held_out.values()], "o-", label="chain, held out")
ax.plot(sizes, [pair[1] for pair in held_out.values()], "o:", label="chain, training text")
ax.axhline(unigram, color="#555555", ls="--", lw=1.4)
ax.axhline(bigram, color="#555555", ls="-.", lw=1.4)
ax.text(sizes[-1], unigram + 0.01, "unigram", ha="right", va="bottom", fontsize=12)
ax.text(sizes[-1], bigram - 0.015, "bigram", ha="right", va="top", fontsize=12)
ax.set(xlabel="states K", ylabel="bits a character", xscale="log")
ax.set_xticks(sizes, [str(K) for K in sizes])
ax.set_xticks([], minor=True)
ax.legend(fontsize=11)
cu.show(
    fig, "Bits a character of chains with K states (seed 2, 60 EM steps), and of two tables."
)
rows = [[f"chain, K = {K}", *pair] for K, pair in held_out.items()]
rows += [["unigram", float(unigram), None], ["bigram", float(bigram), None]]
two = held_out[2][0]
cu.facts("two states gain on the unigram, bits", f"{unigram - two:.2f}")
cu.table(rows, ["model", "held out", "training text"], "Bits a character.")

# %% [markdown]
# One state is the unigram, 4.044 bits.
# Two states, vowels and consonants, gain 0.13; sixteen are level with the bigram (3.348 and 3.350), and 32 are ahead at 3.120.
# The bigram has $27^2$ numbers and remembers exactly one letter.
# A chain of eight states has to squeeze that letter into three bits, and forgets which one it was; with more states than letters it can remember the letter *and* something else.
# (One seed for each $K$: lesson 02's restarts would move these numbers a little.)

# %% [markdown]
# ## 7 · A digit is a chain of 28 rows *(core)*
#
# Read a binary image from top to bottom: time is the row, $x_r$ its 28 pixels.
# The hidden state says what the pen is doing there; row $r$ in state $k$ tosses 28 coins with probabilities $\mu_{r,k}$.
# Rows differ, so each has transitions $A_r$ and coins of its own.

# %% tags=["figure", "slide"]
# @title Figure: a digit as a chain of rows
digit = (cu.my_digit()[0].float() / 255 > 0.5).float()
d = cu.diagram(fontsize=12)
before = None
for place, row in enumerate((13, 14, 15, 16)):
    y = -1.15 * place
    z = d.node(f"$z_{{{row}}}$", (0, y), 0.36)
    strip = d.image(digit[row : row + 1].repeat(3, 1), (3.0, y), side=3.4)
    d.arrow(z, strip, r"$\mu_{r,k}$" if place == 0 else "")
    if before:
        d.arrow(before, z, "$A_r$" if place == 1 else "")
    before = z
d.image(digit, (7.2, -1.7), side=3.0)
d.text("four of its 28 rows", (3.0, -4.2))
d.text("an image", (7.2, -3.6))
cu.show(
    d.figure,
    "One hidden state a row, 28 coins a row; each row depends on the rows above through its "
    "state alone.",
)

# %% [markdown]
# The E-step is again one gradient: $\partial\log p/\partial\log\mu_{r,k,i}$ is the expected number of images that are in state $k$ at row $r$ with ink at pixel $i$, and the same for $\log(1-\mu)$.
# A small number is added to every count, so that nothing becomes impossible.
# As in lesson 04, greys are turned into zeros and ones by chance, anew at each pass (**dynamic binarisation**).


# %% tags=["shared"]
class RowChain(nn.Module):
    """A chain of 28 rows with K states each; all parameters are logits."""

    def __init__(self, K):
        super().__init__()
        self.start = nn.Parameter(torch.zeros(1, K), requires_grad=False)
        self.moves = nn.Parameter(torch.zeros(27, K, K), requires_grad=False)
        self.ink = nn.Parameter(
            torch.zeros(28, 28, K), requires_grad=False
        )  # row, pixel, state

    def logs(self):
        """log π (1, K), log A (27, K, K), log μ and log (1 − μ) (28, 28, K)."""
        log_on = nn.functional.logsigmoid(self.ink)
        log_off = nn.functional.logsigmoid(-self.ink)
        return self.start.log_softmax(1), self.moves.log_softmax(2), log_on, log_off


# %% tags=["shared"]
def log_rows(x, log_on, log_off):
    """log p(row r of image n | state k), (28, N, K), of binary images x (N, 28, 28)."""
    rows = x.transpose(0, 1)  # (28, N, 28)
    return torch.baddbmm(log_off.sum(1, keepdim=True), rows, log_on - log_off)


def log_digits(x, log_pi, log_A, log_on, log_off):
    """log p(x), exact, of binary images (N, 28, 28): (N,)."""
    return log_evidence(log_pi, log_A, log_rows(x, log_on, log_off))


# %%
def em_on_rows(chain, grey, seed, prior=0.02):
    """One EM step on images (N, 28, 28), binarised by chance; returns mean log p before it."""
    coins = torch.Generator().manual_seed(seed)
    counts = [torch.zeros_like(t) for t in chain.logs()]
    total = 0.0
    for part in grey.split(1_000):
        x = torch.bernoulli(part, generator=coins)
        free = [t.detach().requires_grad_() for t in chain.logs()]
        log_px = log_digits(x, *free).sum()
        for count, found in zip(counts, torch.autograd.grad(log_px, free)):
            count += found
        total += float(log_px.detach())
    starts, moves, on, off = (count + prior for count in counts)
    chain.start.copy_(starts.log())
    chain.moves.copy_(moves.log())
    chain.ink.copy_(on.log() - off.log())
    return total / len(grey)


# %%
def begin_rows(K, grey, seed=0):
    """A chain begun with K training images, half faded, each a path that prefers to stay."""
    chain = RowChain(K)
    chosen = torch.randint(len(grey), (K,), generator=torch.Generator().manual_seed(seed))
    faded = (0.5 * grey[chosen] + 0.5 * grey.mean(0)).clamp(0.01, 0.99)  # (K, 28, 28)
    chain.ink.copy_(torch.logit(faded).permute(1, 2, 0))
    stay = 0.5 / K + 0.5 * torch.eye(K)
    chain.moves.copy_(stay.log().expand(27, K, K))
    return chain


# %% [markdown]
# Live: 32 states, 10,000 images, ten steps.

# %%
mnist = cu.mnist()
train = mnist.train.float()[:, 0]  # (55000, 28, 28) in [0, 1]
test = torch.bernoulli(mnist.test.float()[:, 0], generator=torch.Generator().manual_seed(4))
some = train[: cu.budget(10_000)]
chain = begin_rows(32, some)
climb = [em_on_rows(chain, some, seed) for seed in range(cu.budget(10))]
own_nats = -log_digits(test, *chain.logs()).mean()

# %% tags=["author"]
LADDER = (2, 8, 32, 128)
STEPS = {K: 40 if K == 128 else 15 for K in LADDER}


def train_rows(K):
    """The shipped training, kept after each step in runs/, so that it may be interrupted."""
    kept = cu.system.folders.ROOT / "runs" / f"08_rows_{K}.pt"
    kept.parent.mkdir(exist_ok=True)
    model = begin_rows(K, train)
    values = []
    if kept.exists():
        saved = torch.load(kept)
        model.load_state_dict(saved["weights"])
        values = saved["values"]
    for seed in range(len(values), STEPS[K]):
        values.append(em_on_rows(model, train, seed))
        torch.save({"weights": model.state_dict(), "values": values}, kept)
    return model, values


def describe(model, values):
    """What the card says of a chain."""
    figures = {
        "test nats, exact": (-log_digits(test, *model.logs()).mean().item(), 0.1),
        "training nats at the last step": (-values[-1], 0.1),
        "EM steps": (len(values), 0),
    }
    what = f"a chain of 28 rows with {model.start.shape[1]} states each"
    return {"what": what, "figures": figures, "lesson": "08_hidden_chains"}


if cu.system.profile() == "full":
    trained = {K: train_rows(K) for K in LADDER}
    for K, (model, values) in trained.items():
        cu.ship("08_hmm" if K == 128 else f"08_rows_{K}", model, **describe(model, values))

# %% [markdown]
# All 55,000 images, 128 states and forty steps of the same cell made the run that ships with the course.
# From here the lesson goes on with its weights.

# %%
hmm = RowChain(128)
shipped = cu.restore("08_hmm", hmm)
nats = -log_digits(test, *hmm.logs())

# %% tags=["figure", "slide"]
# @title Table: nats of binarised digits
theta = train.mean(0).clamp(1e-4, 1 - 1e-4)
log_independent = (test * theta.log() + (1 - test) * (1 - theta).log()).sum((1, 2))
cu.facts(
    {
        "independent pixels, test nats": f"{-log_independent.mean():.1f}",
        "first step here, training nats": f"{-climb[0]:.1f}",
        "last step here, training nats": f"{-climb[-1]:.1f}",
        "32 states, ten steps, 10,000 images: test nats": f"{own_nats:.1f}",
        "128 states, shipped: test nats, exact": f"{nats.mean():.2f}",
        "its standard error over 10,000 test digits": f"{nats.std() / 100:.2f}",
        "128 states, training digits": shipped.figure("training nats at the last step"),
        "numbers in the model": sum(p.numel() for p in hmm.parameters()),
    },
    digits=4,
)
for run in cu.runs.available("04_vae"):
    bound = run.figure("IW-500, 10,000 test images")
    cu.facts("lesson 04's VAE: bound with 500 draws, nats", f"{bound:.2f}")

# %% [markdown]
# **99.51 nats, exact,** with a standard error of 0.27 over the test digits, where independent pixels have 205.7.
# The training digits have 99.69: 542,848 numbers and no overfitting in sight, since each pass tosses its pixels anew.
# Ten live steps of a smaller chain already reach 115.8.
#
# For scale: lesson 04's VAE, a trained network, has a bound of 83.95 on the same binarisation.
# Ours is no bound, and came from counting.
#
# **Draw.**
# Ancestral sampling goes down the page: a state, its row, the next state.
# With one uniform number for each choice (the first state whose cumulative probability exceeds it), chains of different size can be drawn with the same noise.


# %% tags=["shared"]
def pick(p, u):
    """One index a row of p (N, K): the first whose cumulative probability exceeds u (N, 1)."""
    return (p.cumsum(1) < u * p.sum(1, keepdim=True)).sum(1).clamp(max=p.shape[1] - 1)


def draw_rows(chain, u):
    """Coin probabilities (N, 28, 28) of N digits drawn from u (28, N, 1), uniform in [0, 1)."""
    log_pi, log_A, log_on, _ = chain.logs()
    A = log_A.exp()
    ink = log_on.exp().transpose(1, 2)  # (28, K, 28)
    state = pick(log_pi.exp().expand(u.shape[1], -1), u[0])
    rows = [ink[0, state]]
    for r in range(1, 28):
        state = pick(A[r - 1, state], u[r])
        rows.append(ink[r, state])
    return torch.stack(rows, 1)


# %%
u = torch.rand(28, 12, 1, generator=torch.Generator().manual_seed(5))
ladder = {}
ladder_nats = {}
for K in cu.budget([2, 8, 32], [2]):
    ladder[K] = RowChain(K)
    cu.restore(f"08_rows_{K}", ladder[K])
ladder[128] = hmm
for run in cu.runs.available("08_rows_2", "08_rows_8", "08_rows_32", "08_hmm"):
    states = int(run.card["what"].split()[-3])
    ladder_nats[states] = run.figure("test nats, exact")


# %% tags=["figure", "slide"]
# @title Widget: the same noise through more and more states
def draw_ladder(states=128, coins=False):
    """Twelve digits of the chain with this many states, the same uniform numbers for all."""
    ink = draw_rows(ladder[states], u)
    if coins:
        toss = torch.rand(ink.shape, generator=torch.Generator().manual_seed(6))
        ink = (toss < ink).float()
    fig, ax = plt.subplots(figsize=(11, 1.5))
    cu.plots.image_grid(ink, rows=1, ax=ax)
    ax.set_title(
        f"{states} states: {ladder_nats.get(states, math.nan):.1f} nats on test digits"
    )
    return fig


def every_ladder():
    """A row for each chain."""
    pictures = torch.cat([draw_rows(model, u) for model in ladder.values()])
    names = [f"{K} states" for K in ladder]
    return cu.plots.image_grid(pictures, rows=len(ladder), row_titles=names).figure


cu.explore(
    draw_ladder,
    "Twelve digits drawn row by row with the same uniform numbers; the coins' probabilities, "
    "or with a tick one toss of each. Without a kernel: one row a chain.",
    static=every_ladder,
    states={"options": list(ladder), "value": 128},
    coins=False,
)

# %% [markdown]
# With two states there is only a blur that leans left or right; with eight, strokes; with 128 most draws begin as a digit.
# Each stroke continues, because the next row is drawn given the state of this one.
# The whole forgets: several begin like one digit and end like another, because the lower rows no longer know what the upper ones were.
#
# **What a state can carry.**
# The rows above reach the rows below through one of $K$ states: at most $\log_2K$ bits, 7 for 128 states.
# **Predict:** how many nats do two more bits buy, and does the gain shrink?

# %% tags=["figure", "slide"]
# @title Figure: nats against the number of states
sizes = sorted(ladder_nats)
values = [ladder_nats[K] for K in sizes]
fig, ax = plt.subplots(figsize=(7.8, 4.2))
ax.plot(sizes, values, "o-", color=cu.plots.PALETTE[0])
for K, after, value in zip(sizes[1:], values[1:], values):
    ax.text(K, after + 3, f"−{value - after:.1f}", ha="center", fontsize=11.5)
ax.set(xscale="log", xlabel="states a row", ylabel="exact test nats", ylim=(90, None))
ax.set_xticks(sizes, [str(K) for K in sizes])
ax.set_xticks([], minor=True)
ax.set_title("Two more bits buy less and less")
cu.show(
    fig,
    "Exact −log p of 10,000 test digits (dynamic binarisation, seed 4) against the number of "
    "states, from the cards of the chains; above each point what two more bits brought.",
)
gains = [None, *(before - after for before, after in zip(values, values[1:]))]
rows = [[K, math.log2(K), value, gain] for K, value, gain in zip(sizes, values, gains)]
columns = ["states", "bits", "test nats", "gained"]
cu.table(rows, columns, "All 55,000 images, one training each.", digits=1)

# %% [markdown]
# From one bit to three: 42.3 nats.
# From three to five: 25.4, from five to seven: 14.8.
# Each two bits buy about three fifths of what the two before bought, and cost sixteen times the transitions.
# (The smaller chains took 15 steps, the largest 40.)

# %% [markdown]
# ## 8 · Exact completion *(core)*
#
# A hidden row says nothing about its state: its $b$ is 1 for every state.
# That is all: with $\log b=0$ in the hidden rows, (2) sums over everything that could stand there.
# To *draw* a completion, filter forward and sample backward:
#
# $$z_T\sim\alpha_T,\qquad p(z_t=j\mid z_{t+1}=k,\,x)\propto\alpha_t(j)\,A_{jk}. \tag{7}$$
#
# Given $z_{t+1}$, what comes later says nothing more about $z_t$.
# It does not matter which rows are hidden, the lower half, the upper half or the middle.


# %% tags=["shared"]
def complete_rows(chain, x, seen, u):
    """Coin probabilities (N, 28, 28) of exact completions by (7), with u (28, N, 1) uniform.

    x (N, 28, 28) binary; seen (28,) bool: rows that are hidden (False) are not looked at.
    """
    log_pi, log_A, log_on, log_off = chain.logs()
    A = log_A.exp()
    log_b = log_rows(x, log_on, log_off) * seen[:, None, None]
    b = (log_b - log_b.amax(2, keepdim=True)).exp()
    alpha = [log_pi.exp() * b[0]]
    for r in range(1, 28):
        now = (alpha[-1] @ A[r - 1]) * b[r]
        alpha.append(now / now.sum(1, keepdim=True))
    state = pick(alpha[27], u[27])
    ink = log_on.exp().transpose(1, 2)
    rows = [ink[27, state]]
    for r in range(26, -1, -1):
        state = pick(alpha[r] * A[r, :, state].T, u[r])
        rows.insert(0, ink[r, state])
    return torch.where(seen[:, None], x, torch.stack(rows, 1))


# %% [markdown]
# The *mean* of all completions needs no drawing: the posterior of each hidden row is a gradient (4), and its mean ink is $\sum_k\gamma_r(k)\,\mu_{r,k}$.


# %% tags=["shared"]
def mean_rows(chain, x, seen):
    """The mean of all completions of x (N, 28, 28) binary, from the rows seen (28,)."""
    log_pi, log_A, log_on, log_off = chain.logs()
    log_b = log_rows(x, log_on, log_off) * seen[:, None, None]
    log_b.requires_grad_()
    gamma = torch.autograd.grad(log_evidence(log_pi, log_A, log_b).sum(), log_b)[0]
    mean = (gamma @ log_on.exp().transpose(1, 2)).transpose(0, 1)  # (N, 28, 28)
    return torch.where(seen[:, None], x, mean)


# %% tags=["author"]
def half_digits(model):
    """The course's digit and eight completions, from above and below: the opening figure."""
    mine = (cu.my_digit().float() / 255 > 0.5).float().expand(8, -1, -1)
    frames = []
    for seen in (upper_half, ~upper_half):
        u = torch.rand(28, 8, 1, generator=torch.Generator().manual_seed(1))
        done = complete_rows(model, mine, seen, u)
        frames.append(torch.cat([mine[:1], done]))
    return cu.to_uint8(torch.stack(frames)), torch.tensor([0, 1])


def tossed(model, n=1_000, seed=0):
    """Binary draws as uint8 (n, 28, 28)."""
    u = torch.rand(28, n, 1, generator=torch.Generator().manual_seed(seed))
    coins = torch.rand(n, 28, 28, generator=torch.Generator().manual_seed(seed + 100))
    return cu.to_uint8((coins < draw_rows(model, u)).float())


if cu.system.profile() == "full":
    details = describe(*trained[128])
    sets = [tossed(trained[128][0], seed=seed) for seed in range(5)]
    score = cu.metrics.score(sets, 1_000)
    details["figures"]["Fréchet distance"] = (score.distance, 5 * score.distance_spread)
    details["figures"]["Fréchet distance, spread of sets"] = (score.distance_spread, 3.0)
    details |= {"samples": sets[0], "replay": half_digits(trained[128][0])}
    cu.ship("08_hmm", trained[128][0], **details)

# %%
mine = (cu.my_digit().float() / 255 > 0.5).float()  # (1, 28, 28)
halves = {"from above": upper_half, "from below": ~upper_half}
many = cu.budget(1_000, 50)
drawn = {}
read = {}
for name, seen in halves.items():
    u = torch.rand(28, many, 1, generator=torch.Generator().manual_seed(1))
    drawn[name] = complete_rows(hmm, mine.expand(many, -1, -1), seen, u)
    logits = cu.metrics.classifier()(drawn[name][:, None].to(device))
    read[name] = logits.argmax(1).cpu().bincount(minlength=10).double() / many

# %% tags=["figure", "slide"]
# @title Figure: your digit, completed from both sides
rows = []
for name, seen in halves.items():
    mean = mean_rows(hmm, mine, seen)
    rows += [in_ink(mine, seen), in_ink(mean), in_ink(drawn[name][:8])]
fig, ax = plt.subplots(figsize=(11, 2.7))
titles = ["seen", "mean", *"12345678"]
cu.plots.image_grid(torch.cat(rows), rows=2, titles=titles, row_titles=list(halves), ax=ax)
cu.show(
    fig,
    "Your digit with its lower and its upper half hidden: what is seen, the mean of all "
    "completions, eight draws (the coins' probabilities in the hidden rows).",
)
table = [[name, *(f"{share:.0%}" for share in shares)] for name, shares in read.items()]
cu.table(
    table,
    ["seen", *"0123456789"],
    f"What the course's classifier reads in {many:,} completions.",
)
for name, shares in read.items():
    doubt = -torch.xlogy(shares, shares).sum() / math.log(2)
    cu.facts(f"doubt about the class, bits, {name}", f"{doubt:.2f}")

# %% [markdown]
# From above the classifier reads 75 % threes and 19 % twos, from below 63 % threes and 37 % fives.
# In bits, 1.09 of doubt from above and 0.95 from below: nearly the same, but about other rivals.
# An arc at the top with a bar can end as a 2 or a 3; a bowl at the bottom can have begun as a 3 or a 5.
# The mean shows where the draws agree, and looks like none of them.

# %% [markdown]
# ## 9 · In decibels *(deeper)*
#
# Beside lesson 02b's mixture, which is given the *grey* half (with its doubt of 0.1) and its binary version; both must say the grey values of the hidden half.

# %%
from course_utils.lessons.lesson_02b import PPCAMixture, complete  # sections 1 and 2 there

mixture = PPCAMixture(K=40, q=13)
cu.restore("02_mixture", mixture)
grey = mnist.test.float()[: cu.budget(500), 0]
binary = test[: len(grey)]


def psnr_hidden(made, seen):
    """PSNR in dB over the hidden rows of all images together."""
    hidden = made.view(-1, 28, 28)[:, ~seen].clamp(0, 1)
    return float(cu.metrics.psnr(hidden.reshape(1, -1), grey[:, ~seen].reshape(1, -1)))


table = []
for name, seen in halves.items():
    u = torch.rand(28, len(grey), 1, generator=torch.Generator().manual_seed(2))
    ours = (mean_rows(hmm, binary, seen), complete_rows(hmm, binary, seen, u))
    table.append([f"{name}: chain, binary half", *(psnr_hidden(made, seen) for made in ours)])
    pixels = seen.repeat_interleave(28)
    for kind, given in {"grey": grey, "binary": binary}.items():
        g = torch.Generator().manual_seed(2)
        done = complete(mixture, given.flatten(1), pixels, g, doubt=0.1)
        both = [psnr_hidden(made, seen) for made in (done.mean, done.smooth)]
        table.append([f"{name}: mixture, {kind} half", *both])

# %% tags=["figure"]
# @title Table: completion in decibels
cu.table(
    table,
    ["seen, model", "mean, dB", "one draw, dB"],
    f"PSNR over the hidden half of {len(grey)} test digits; draws without pixel noise.",
    digits=1,
)
cu.facts({f"mean − draw, dB, {row[0]}": f"{row[1] - row[2]:.1f}" for row in table})
cu.facts("the same for a perfect model, dB", f"{10 * math.log10(2):.2f}")

# %% [markdown]
# The mixture wins by about a decibel in the mean, by three in a draw, and hardly cares whether it sees grey or binary: it knows forty whole shapes, the chain only how rows follow each other.
# But look at the difference between mean and draw.
# The chain's is 2.7 dB both ways, near the 3.01 of a model that knows how wrong it is (lesson 02b); the mixture's is 0.7 to 0.9.
# **Less accurate, and more honest.**
#
# **Exercise 7 (deeper, open).**
# A row remembers 7 bits of everything above it.
# Spend them better: rows of two lines, a second chain from left to right, a state that also remembers a class.
# Say beforehand which number should improve: nats, decibels, or the share of completions that stay a 3.
# Keep the likelihood exact, choose on validation digits, and report what did not improve.

# %% [markdown]
# ## Recap *(core)*
#
# | you can | because you saw |
# |---|---|
# | sum over all paths | two numbers a roll against all paths one by one, equal to ten digits |
# | get the E-step from a gradient | γ and ξ by autograd and by the message from the future |
# | tell path from states | an impossible path of best states |
# | let EM find vowels | three of five seeds; the likelihood tells them from the other two |
# | score digits exactly | 99.51 nats by counting; two more bits buy less each time |
# | complete exactly | one function for a hidden half above, below or in the middle |
#
# **What breaks, and why.**
# Each stroke continues, the whole forgets: what the lower rows know of the upper ones passes through one of 128 states.
# A likelihood may improve by a hundred nats while the draws still fall apart.
#
# **Next.**
# [Lesson 08b](08b_graphs.ipynb) trains the same chain for one job only (a CRF), gives every pixel a parent of its own (a tree), and lets loops in; there both models enter the arena.

# %% [markdown]
# ## Where this stands *(deeper)*
#
# **At work.**
# HMMs were for thirty years the core of speech recognition (Rabiner 1989 is still the tutorial), and they still align sound with text, find genes and protein families (profile HMMs), and call copy numbers.
# Where data abound, networks have replaced them; where the states must mean something, or data are few, they stay.
#
# **Fitting.**
# EM for HMMs is Baum and Welch's (1970), older than its general name.
# It ends on the hill where it began, as section 5 shows; spectral methods (Hsu, Kakade and Zhang 2012) have guarantees and are less accurate in practice.
# That derivatives of $\log p$ are expected counts is true of every exponential-family graph, and makes autograd an inference engine (Eisner 2016).
#
# **More states.**
# A transition matrix of $K^2$ numbers does not scale; low-rank and block-sparse ones reach tens of thousands of states and close much of the gap to early neural language models (Chiu and Rush 2020).
# The road on is to let the state be a vector (recurrent networks), to look back at everything that was seen (attention, [lesson 09b](09b_order_and_attention.ipynb)), or to make the transitions continuous (state-space models, Kalman filters).

# %% [markdown]
# ### References
#
# - Baum, Petrie, Soules, Weiss (1970): *A Maximization Technique Occurring in the Statistical Analysis of Probabilistic Functions of Markov Chains*.
# - Viterbi (1967): *Error Bounds for Convolutional Codes and an Asymptotically Optimum Decoding Algorithm* (equation 5).
# - Rabiner (1989): *A Tutorial on Hidden Markov Models and Selected Applications in Speech Recognition* (equations 2 to 6, rescaling).
# - Eisner (2016): *Inside-Outside and Forward-Backward Algorithms Are Just Backprop*.
# - Chiu, Rush (2020): *Scaling Hidden Markov Language Models*.
