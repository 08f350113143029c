# %% [markdown]
# # 09b Order and attention
#
# **A model that writes from left to right answers one question, what comes next; whoever asks another needs Bayes' rule, or another order.**
#
# Lesson 09 folded a binary digit into 196 letters and let a convolution guess each letter from those before it.
# Here attention takes the convolution's place, the digit is completed from any side, other orders are tried, and the pixels become grey.
#
# **After this lesson you can**
# - write masked attention, and test that nothing leaks from the future;
# - keep keys and values, so that drawing costs one token a step;
# - complete a digit exactly where the order allows it, and say what a clamped draw ignores where it does not;
# - say what an order costs, and what nats say about pictures;
# - turn 256 grey values into an exact number of bits per dimension.
#
# **Builds on** 09 (letters, PixelCNN, drawing), 04b (nats, bits, importance weights), 08 (exact completion).
#
# | letter | meaning | letter | meaning |
# |---|---|---|---|
# | $x_i$ | letter $i$ in the order of writing | $q_t$, $k_s$, $v_s$ | query of step $t$, key and value of token $s$ |
# | $x_{<i}$ | the letters before it | $d$ | length of a query |
# | $G$, $H$ | places given, hidden | $m_{ts}$ | mask: 0 or a bias, $-\infty$ where step $t$ must not look |
# | $w_s$ | importance weight of draw $s$ | $S$ | number of draws |

# %% tags=["setup"]
import math

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from torch import nn

import course_utils as cu
from course_utils.lessons.lesson_08 import pick  # written in lesson 08, section 7

# written in lesson 09, sections 4 and 6
from course_utils.lessons.lesson_09 import (
    GatedLayer,
    PixelCNN,
    all_nats,
    draw,
    letter_loss,
    letters_of,
    log_letters,
    pixels_of,
)

device = cu.setup()
mnist = cu.mnist()

# %% [markdown]
# ## 1 · Look where it matters *(core)*
#
# A convolution looks at the same neighbours at every place.
# **Attention** decides where to look: each step sends out a question, a *query* $q_t$; each letter already written carries a label, its *key* $k_s$, and a message, its *value* $v_s$.
# What fits best is heard most.

# %% tags=["figure", "slide"]
# @title Figure: who may look at whom
d = cu.diagram()
names = ["start", "$x_1$", "$x_2$", "$x_3$"]
tokens = [d.node(name, (1.7 * s, 0), 0.42, observed=s > 0) for s, name in enumerate(names)]
steps = [d.node(f"$p(x_{t + 1})$", (1.7 * t, 1.7), 0.52) for t in range(4)]
for t, step in enumerate(steps):
    for s in range(t + 1):
        d.arrow(tokens[s], step, colour=cu.plots.PALETTE[0] if t == 2 else "#999999")
d.text("keys and values", (-1.75, 0), fontsize=12)
d.text("queries", (-1.75, 1.7), fontsize=12)
cu.show(
    d.figure,
    "Step t writes letter t and hears tokens up to its own, which holds the letter before. "
    "Blue: the third step.",
)

# %% [markdown]
# The tokens are shifted by one place: token $s$ holds letter $s-1$, so step $t$ may look at tokens $s\le t$ and never hears the letter that it writes.
# (The code counts from 0: token 0 is the start.)
#
# $$a_{ts}=\operatorname{softmax}_s\Bigl(\frac{q_t\cdot k_s}{\sqrt d}+m_{ts}\Bigr),\qquad \text{found}_t=\sum_s a_{ts}\,v_s. \tag{1}$$
#
# Why $\sqrt d$?
# A dot product of $d$ independent terms of variance 1 has variance $d$; undivided, the softmax would begin near one-hot and hardly learn.
#
# **Exercise 1 (core).**
# Write the weights $a_{ts}$ of (1), whatever axes stand before the last two.


# %% tags=["exercise"]
def look(q, k, mask):
    """The weights of (1): softmax over the keys of q·k / √d + mask.

    queries q (…, T, d), keys k (…, S, d); mask, added: −∞ where a query must not look,
    broadcastable to (…, T, S). Returns (…, T, S); each row sums to 1.
    """
    ### BEGIN SOLUTION
    scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
    return (scores + mask).softmax(-1)
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# `q @ k.transpose(-1, -2)` holds all dot products, one row a query.
# Divide by the root of `q.shape[-1]`, add the mask, then `softmax(-1)`.

# %%
checked_look = cu.check("09b.look", look)

g = torch.Generator().manual_seed(0)
q, k, v = torch.randn(3, 2, 4, 196, 16, generator=g).double()
later = torch.ones(196, 196).triu(1).bool()
found = checked_look(q, k, torch.zeros(196, 196).masked_fill(later, -torch.inf)) @ v
trusted = F.scaled_dot_product_attention(q, k, v, is_causal=True)
assert (found - trusted).abs().max() < 1e-6

# %% [markdown]
# A **transformer** is a stack of blocks: look with several *heads* (attentions side by side, each with queries, keys and values of its own), then think about what was found, each place for itself.


# %% tags=["shared"]
class Block(nn.Module):
    """Look at what was written, then think about it: a block of a transformer."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.mix = nn.Linear(width, width)
        parts = [nn.Linear(width, 4 * width), nn.ReLU(), nn.Linear(4 * width, width)]
        self.think = nn.Sequential(nn.LayerNorm(width), *parts)

    def ask(self, x):
        """Queries, keys and values of x (B, T, width), each (B, heads, T, d)."""
        parts = self.qkv(self.norm(x)).unflatten(2, (3, self.heads, -1))
        return parts.permute(2, 0, 3, 1, 4).unbind(0)

    def answer(self, x, found):
        x = x + self.mix(found.transpose(1, 2).flatten(2))  # heads side by side again
        return x + self.think(x)

    def forward(self, x, mask):
        q, k, v = self.ask(x)
        return self.answer(x, checked_look(q, k, mask) @ v)


# %% [markdown]
# **Where is a letter?**
# Attention sees a set of tokens: exchange two of those it looks at, and it finds the same.
# A convolution is built on the grid; here the grid must be told.
# Two ways: a learned vector for each place, and a learned bias $m_{ts}$ for each *offset* on the page ("one up, two to the left"), the same everywhere.
# The second says what a convolution knows: that neighbours are neighbours.


# %% tags=["shared"]
def offsets(order):
    """The way from the letter in token s to the place written at step t, numbered: (T, T)."""
    at = torch.stack([order // 14, order % 14], 1)  # row and column
    way = at[1:, None] - at[None, :-1] + 13  # (T-1, T-1, 2), entries 0 … 26
    number = torch.full((len(order), len(order)), 27 * 27)  # token 0 holds no letter
    number[1:, 1:] = 27 * way[..., 0] + way[..., 1]
    return number


# %% tags=["shared"]
class Page(nn.Module):
    """What a transformer knows of letters and places before it looks anywhere."""

    def __init__(self, width, heads, depth, order=None, place=True, nearby=True):
        super().__init__()
        order = torch.arange(196) if order is None else order
        late = torch.ones(196, 196).triu(1).bool()
        kept = {"order": order, "offset": offsets(order), "late": late}
        for name, tensor in kept.items():
            self.register_buffer(name, tensor, persistent=False)
        self.letter = nn.Embedding(17, width)  # the 17th begins
        self.place = nn.Parameter(0.02 * torch.randn(196, width) * place, requires_grad=place)
        self.usual = nn.Parameter(torch.zeros(196, 16), requires_grad=place)
        self.near = nn.Parameter(torch.zeros(depth, heads, 730), requires_grad=nearby)

    def tokens(self, letters):
        """Letters (B, 14, 14) in the order of writing, one step late: (B, 196, width)."""
        written = letters.flatten(1)[:, self.order]
        return self.letter(F.pad(written[:, :-1], (1, 0), value=16)) + self.place

    def masks(self):
        """Added to the scores: (depth, heads, 196, 196); × 20 lets Adam move it fast."""
        return (20 * self.near[:, :, self.offset]).masked_fill(self.late, -torch.inf)


# %% tags=["shared"]
class Transformer(Page):
    """Letters (B, 14, 14) → logits (B, 16, 14, 14) of each letter given those before it."""

    def __init__(self, width=64, heads=4, depth=3, **how):
        super().__init__(width, heads, depth, **how)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.read = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 16))

    def forward(self, letters):
        x = self.tokens(letters)
        for block, mask in zip(self.blocks, self.masks()):
            x = block(x, mask)
        logits = (self.read(x) + self.usual)[:, self.order.argsort()]  # back to the page
        return logits.mT.unflatten(2, letters.shape[1:])


# %% [markdown]
# **Nothing leaks.**
# Change the letter in row 7, column 5, place $7\cdot14+5=103$: the first output that may move is that of place 104.
# And by autograd: which tokens does step 104 hear?

# %%
torch.manual_seed(1)
fresh = Transformer().to(device)
page = letters_of(mnist.val.float()[:1] > 0.5).to(device)
other = page.clone()
other[:, 7, 5] = 15 - other[:, 7, 5]
with torch.no_grad():
    moved = (fresh(page) - fresh(other)).abs().amax((0, 1)).flatten()

x = fresh.tokens(page)  # (1, 196, width)
# x in place of the letters' vectors, to have the gradient by it
hook = fresh.letter.register_forward_hook(lambda layer, given, out: x)
logits = fresh(page).flatten(2)  # (1, 16, 196)
hook.remove()
heard = torch.autograd.grad(logits[0, :, 104].square().sum(), x)[0]
first_moved = int(moved.nonzero().min())
last_heard = int(heard[0].abs().sum(1).nonzero().max())
assert first_moved == 104 and last_heard == 104
cu.facts("first place that moves", first_moved, "last token that is heard", last_heard)

# %% [markdown]
# Token 104 holds letter 103, so both tests agree.
#
# **Train it** with lesson 09's loss.
# The learning rate rises during the first tenth: early gradients of attention point anywhere.


# %%
def warm_cosine(done):
    """The learning rate's factor: up within a tenth of the training, then down to 0."""
    return min(1.0, done / 0.1 + 0.02) * (1 + math.cos(math.pi * done)) / 2


torch.manual_seed(0)
mine = Transformer().to(device)
batches = cu.Batches(mnist.train, 16)
recipe = {"lr": 3e-3, "schedule": warm_cosine, "ema": 0.999, "clip": 1.0}
history = cu.fit(mine, letter_loss, batches, steps=120, **recipe)

# %% tags=["author"]
import json
import time

OWN = cu.system.folders.ROOT / "runs"  # what long trainings leave behind
LOOKS = (100, 200, 400, 600, 800, 1_000, 1_600, 2_400, 3_200, 4_000, 4_800, 5_600, 6_400)


def val_letters():
    """The 1,000 binarised validation digits on which lesson 09 watches its long training."""
    coins = torch.Generator().manual_seed(4)
    return letters_of(torch.bernoulli(mnist.val.float(), generator=coins))[:1_000]


def watched_fit(name, net, loss, size, steps, measure, seed=0, **how):
    """A long training that writes down what `measure` says, with the CPU seconds so far."""
    earlier = [seconds for seconds, _ in curve_of(name).values()]
    clock = {"began": time.process_time() - max(earlier, default=0.0)}

    def watch(step):
        seconds = time.process_time() - clock["began"]
        line = {"name": name, "step": step, "seconds": seconds, "value": measure(net)}
        with (OWN / "09b_curves.jsonl").open("a") as f:
            f.write(json.dumps(line) + "\n")
        clock["began"] = time.process_time() - seconds

    return cu.fit(
        net,
        loss,
        cu.Batches(mnist.train, size, seed=seed),
        steps=1,
        full=steps,
        ema=0.999,
        clip=1.0,
        name=name,
        preview=watch,
        preview_at=[n for n in (*LOOKS, steps) if n <= steps],
        minutes=600,
        seed=seed,
        log_every=20,
        **how,
    )


def curve_of(name, file="09b_curves.jsonl"):
    """What was written down of a training: {step: (CPU seconds, value)}."""
    path = OWN / file
    lines = (
        [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    )
    kept = {line["step"]: line for line in lines if line.get("name", name) == name}
    return {
        n: (line["seconds"], line["value" if "value" in line else "nats"])
        for n, line in sorted(kept.items())
    }


# %% tags=["author"]
def attention_runs():
    """Train the shipped transformer and two that know less; returns model, history, figures."""
    val = val_letters()

    def nats(net):
        return float(all_nats(net, val.to(device)).mean())

    how = {"lr": 3e-3, "schedule": warm_cosine}
    figures = {}
    for place, nearby in ((1, 1), (1, 0), (0, 1)):
        torch.manual_seed(0)
        net = Transformer(place=bool(place), nearby=bool(nearby)).to(device)
        name = f"09b_variant_{place}{nearby}"
        watched_fit(name, net, letter_loss, 16, 200, nats, **how)
        seconds, value = curve_of(name)[200]
        figures[f"200 steps, place {place}, offset {nearby}"] = (value, 1.0)
        figures[f"200 steps, place {place}, offset {nearby}, seconds"] = (seconds, 60.0)
    torch.manual_seed(0)
    net = Transformer().to(device)
    run = watched_fit("09b_attention_train", net, letter_loss, 16, 1_200, nats, **how)
    curves = {
        "attention": curve_of("09b_attention_train"),
        "PixelCNN": curve_of("", "09_pixelcnn_curve.jsonl"),
    }
    for name, curve in curves.items():
        for n, (seconds, value) in curve.items():
            figures[f"{name}, step {n}"] = (value, 1.0)
            figures[f"{name}, step {n}, seconds"] = (seconds, 1_000.0)
    return run, figures


if cu.system.profile() == "full":
    run, figures = attention_runs()
    coins = torch.Generator().manual_seed(4)
    everything = letters_of(torch.bernoulli(mnist.test.float(), generator=coins))
    nats = all_nats(run.ema, everything.to(device)).mean().item()
    figures["test nats, exact"] = (nats, 0.05)
    what = "a transformer of three blocks over the 196 letters of a binary digit"
    cu.ship("09b_attention", run.ema, run, what=what, figures=figures)

# %% [markdown]
# The lesson continues with shipped weights: the same call, 1,200 steps.

# %%
shipped = Transformer().to(device)
run = cu.restore("09b_attention", shipped)
pixelcnn = PixelCNN().to(device)
cu.restore("09_pixelcnn", pixelcnn)
coins = torch.Generator().manual_seed(4)  # lesson 04b's binarisation
test = letters_of(torch.bernoulli(mnist.test.float(), generator=coins)).to(device)
some = test[: cu.budget(500, 20)]

# %% tags=["figure", "slide"]
# @title Figure: attention against convolution at equal CPU time
fig, (left, right) = plt.subplots(1, 2, figsize=(11.5, 4.4), width_ratios=(1.5, 1))
names = {"attention": "o-", "PixelCNN": "s--"}
for number, (name, mark) in enumerate(names.items()):
    steps = sorted(
        int(key.split()[-1])
        for key in run.card["figures"]
        if key.startswith(f"{name}, step ") and key.split()[-1].isdigit()
    )
    seconds = [run.figure(f"{name}, step {n}, seconds") for n in steps]
    nats = [run.figure(f"{name}, step {n}") for n in steps]
    left.plot(seconds, nats, mark, label=name, color=cu.plots.PALETTE[number])
left.set(xscale="log", ylim=(79, 108), xlabel="seconds of one core", ylabel="−log p, nats")
left.set_title("convolution is ahead at every budget")
marks = [15, 30, 60, 120, 300, 1_000, 2_000]
left.set_xticks(marks, [str(n) for n in marks])
left.minorticks_off()
left.legend(fontsize=12)
kinds = {"place and offset": "1, offset 1", "offset only": "0, offset 1"}
kinds["place only"] = "1, offset 0"
values = [run.figure(f"200 steps, place {key}") for key in kinds.values()]
right.plot(values, range(3), "o", color=cu.plots.PALETTE[0], ms=11)
for row, (kind, value) in enumerate(zip(kinds, values)):
    right.text(value, row + 0.22, f"{kind}: {value:.1f}", ha="center", fontsize=12)
right.set(xlim=(84, 128), ylim=(-0.5, 2.7), yticks=[], xlabel="−log p, nats")
right.set_title("what the transformer is told")
cu.show(
    fig,
    "1,000 binarised validation digits, exact, averaged weights, one seed. Left: over the CPU "
    "time of one training each. Right: three transformers after 200 steps.",
)
cu.facts({f"{name}, 200 steps: nats": f"{v:.1f}" for name, v in zip(kinds, values)})
cu.facts(
    "offset only − both",
    f"{values[1] - values[0]:.1f}",
    "place only − both",
    f"{values[2] - values[0]:.0f}",
)
for name, n in (("attention", 100), ("PixelCNN", 100), ("attention", 1_200), ("PixelCNN", 800)):
    nats, seconds = run.figure(f"{name}, step {n}"), run.figure(f"{name}, step {n}, seconds")
    cu.facts(f"{name}, step {n:,}: seconds, nats", f"{seconds:.0f}, {nats:.1f}")
cu.facts(
    {
        "numbers in the transformer": sum(p.numel() for p in shipped.parameters()),
        "numbers in the PixelCNN": sum(p.numel() for p in pixelcnn.parameters()),
        "transformer, 10,000 test digits, nats": f"{run.figure('test nats, exact'):.2f}",
        "PixelCNN, the same": f"{cu.runs.load('09_pixelcnn').figure('test nats, exact'):.2f}",
        f"transformer, {len(some)} of them": f"{all_nats(shipped, some).mean():.1f}",
        "your own, 120 steps, the same": f"{all_nats(history.ema, some).mean():.1f}",
    }
)

# %% [markdown]
# Attention comes from far behind: 106.0 nats after 18 seconds, when the PixelCNN is at 94.5.
# At the end of its training it is at 87.2 after 203 seconds; the PixelCNN had 84.2 after 158.
# And that flatters attention: its last number comes from a learning rate that has fallen to 0, the PixelCNN's from the middle of a long training.
# **At this budget convolution wins**, although attention may look anywhere from its first layer on.
#
# The right panel says why.
# Told only places, the transformer must learn from digits which tokens are neighbours, and is at 120.2 nats after 200 steps.
# Told only offsets, it is at 97.8, and with both at 96.2.
# One seed each: a difference of 24 nats no seed would undo, one of 1.6 it might.
# What a network need not learn, it need not pay for.

# %% [markdown]
# ### What the pen looks at
#
# Every weight $a_{ts}$ can be drawn on the page: where did a head look when it wrote this letter?


# %%
@torch.no_grad()
def watched(model, letters):
    """All attention weights (depth, B, heads, step, token) while it reads these letters."""
    x = model.tokens(letters)
    maps = []
    for block, mask in zip(model.blocks, model.masks()):
        q, k, v = block.ask(x)
        maps.append(checked_look(q, k, mask))
        x = block.answer(x, maps[-1] @ v)
    return torch.stack(maps)


my_page = letters_of(cu.my_digit().float()[None] / 255 > 0.5)  # (1, 14, 14)
maps = watched(shipped, my_page.to(device))[:, 0].cpu()  # (3, 4, 196, 196)
assert (maps.sum(3) - 1).abs().max() < 1e-5 and maps.triu(1).max() == 0

# %% tags=["figure", "slide"]
# @title Widget: where each head looks
my_ink = pixels_of(my_page)[0, 0]


def draw_looks(row=7, column=6, layer=1):
    """Four heads of a layer at one place: my digit in grey, what they look at in blue."""
    t = 14 * row + column
    fig, axes = plt.subplots(1, 4, figsize=(12, 3.4))
    for head, ax in enumerate(axes):
        looked = torch.zeros(196)
        looked[:t] = maps[layer - 1, head, t, 1 : t + 1]  # token s holds letter s - 1
        coming = (torch.arange(196) >= t).view(14, 14)
        coming = coming.repeat_interleave(2, 0).repeat_interleave(2, 1)
        page_so_far = torch.where(coming, 0.12, 0.4 * my_ink).numpy()
        ax.imshow(page_so_far, cmap="gray_r", vmin=0, vmax=1)
        blue = looked.view(14, 14).repeat_interleave(2, 0).repeat_interleave(2, 1).numpy()
        top = max(float(blue.max()), 1e-6)
        ax.imshow(blue, cmap="Blues", alpha=(blue / top).clip(0, 1), vmin=0, vmax=top)
        box = plt.Rectangle((2 * column - 0.5, 2 * row - 0.5), 2, 2, fill=False, lw=2)
        box.set_edgecolor(cu.plots.PALETTE[1])
        ax.add_patch(box)
        start = float(maps[layer - 1, head, t, 0])
        ax.set_title(f"head {head + 1}: {start:.0%} at the start", fontsize=12)
        ax.set(xticks=[], yticks=[])
        ax.grid(False)
    return fig


cu.explore(
    draw_looks,
    "The place that is being written (red frame), what is not written yet (grey), and where "
    "the four heads look: darker is more, each head on its own scale. Without a kernel: row 7, "
    "column 6, layer 1.",
    row=(0, 13),
    column={"min": 0, "max": 13, "step": 1, "value": 6, "label": "column"},
    layer=[1, 2, 3],
)
near = torch.zeros(3, 4)
for t in range(15, 196):
    beside = [s for s in (t, t - 13) if s >= 1]  # tokens of the letters left of it and above
    near += maps[:, :, t, beside].sum(2) / 181
cu.facts(
    {f"layer {i + 1}, left and above": " ".join(f"{v:.0%}" for v in near[i]) for i in range(3)}
)

# %% [markdown]
# The second head of this layer has become one tap of a convolution: it looks at the letter just above the pen and at hardly anything else; the fourth spreads over the page above.
# Over all places, three heads spend half of their attention or more on two letters, the one to the left and the one above: 51% of the second head in layer 1, 69% of the first in layer 2, 69% of the fourth in layer 3.
# Others look elsewhere, some far: neighbours say how a stroke goes on, the page says which digit it is.
# A map shows where a head looks, not what it does with what it finds.

# %% [markdown]
# ## 2 · Keys and values, kept *(core)*
#
# To draw a digit, the full pass would be run 196 times, over 196 tokens each.
# But a token never changes once it is written, and in every layer it hears earlier tokens only: its keys and values stay.
# Keep them, and step $t$ asks one new query.
#
# **Exercise 2 (core).**
# Write one step with a cache.


# %% tags=["exercise"]
def attend_next(q, k, v, cache, bias, weigh):
    """Attention of one new place over all places so far: what it finds, and the longer cache.

    q, k, v (n, heads, 1, d) of the new place; cache: None at first, then (keys, values) of
    the t places before, (n, heads, t, d) each; bias, added to the scores, (heads, 1, t + 1);
    weigh: the function of exercise 1. Returns (found (n, heads, 1, d), cache).
    """
    ### BEGIN SOLUTION
    if cache is not None:
        k = torch.cat([cache[0], k], 2)
        v = torch.cat([cache[1], v], 2)
    return weigh(q, k, bias) @ v, (k, v)
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# `torch.cat([old, new], 2)` puts the new place behind the old ones.
# The new place looks at itself, too: its token holds the letter before.

# %%
checked_next = cu.check("09b.cache", attend_next)


@torch.no_grad()
def one_step(model, t, letter, caches, masks):
    """Logits (n, 16) at step t, given the letter (n,) of step t − 1; fills the caches."""
    x = model.letter(letter)[:, None] + model.place[t]  # (n, 1, width)
    for i, block in enumerate(model.blocks):
        q, k, v = block.ask(x)
        bias = masks[i, :, t : t + 1, : t + 1]
        found, caches[i] = checked_next(q, k, v, caches[i], bias, checked_look)
        x = block.answer(x, found)
    return (model.read(x) + model.usual[t])[:, 0]


# %%
def write(model, n, generator):
    """n drawn digits, letters (n, 14, 14) in the model's order, one token a step."""
    u = torch.rand(196, n, 1, generator=generator).to(device)
    letter = torch.full((n,), 16, device=device)
    caches = [None] * len(model.blocks)
    masks = model.masks().detach()
    written = []
    for t in range(196):
        p = one_step(model, t, letter, caches, masks).softmax(1)
        letter = pick(p, u[t])
        written.append(letter)
    return torch.stack(written, 1)[:, model.order.argsort()].unflatten(1, (14, 14))


# %%
made = write(shipped, cu.budget(40, 4), torch.Generator().manual_seed(1))
caches = [None] * 3
masks = shipped.masks().detach()
before = F.pad(made.flatten(1)[:, :-1], (1, 0), value=16)
steps = [one_step(shipped, t, before[:, t], caches, masks) for t in range(196)]
with torch.no_grad():
    whole = shipped(made).flatten(2).mT  # (n, 196, 16)
gap = (torch.stack(steps, 1) - whole).abs().max().item()
assert gap < 1e-5 * whole.abs().max()
cu.facts("largest difference of a logit", gap)
cu.facts("tokens for one digit, full passes", 196 * 196, "with the cache", 196)

# %% tags=["figure"]
# @title Figure: forty draws of the transformer
ax = cu.plots.image_grid(pixels_of(made).cpu(), rows=max(1, len(made) // 10))
cu.show(ax.figure, "Draws of the shipped transformer, one token a step.")

# %% [markdown]
# The cached pass gives the full pass's logits to a few millionths, for 196 tokens instead of 38,416.
# This is why a language model answers word by word at a bearable price, and why its memory fills up: a cache grows with the text.
# The draws are digits and near-digits: what 86.38 nats look like.

# %% [markdown]
# ## 3 · Completion, and its trap *(core)*
#
# **Where the order allows it.**
# The upper half of your digit is given.
# It stands before everything that is missing, so the chain rule itself is the answer: put the given letters in, draw the rest.
# Each completion is an exact draw from the model's $p(\text{rest}\mid\text{top})$.

# %%
upper = (torch.arange(14) < 7)[:, None].expand(14, 14)
left = upper.T
g = torch.Generator().manual_seed(1)
from_top = draw(pixelcnn, 8, g, start=my_page.expand(8, -1, -1), given=upper)
clamped = draw(pixelcnn, 64, g, start=my_page.expand(64, -1, -1), given=left)

# %% [markdown]
# **Where it does not.**
# Now the *left* half is given, and the same call runs without complaint: given letters are put in ("clamped"), the others drawn when their turn comes.
#
# **Predict 1.**
# In the upper rows, which given letters does the pen take into account?
#
# Those in the rows above and those to its left in its own row; nothing below.
# Two letters show what goes wrong.
# The first is hidden and is ink with probability 1/2; the second is given.

# %%
first = torch.tensor([0.5, 0.5]).double()  # p(x1 = paper), p(x1 = ink)
second = torch.tensor([0.1, 0.9]).double()  # p(x2 = ink | x1)
posterior = first * second / (first * second).sum()
cu.facts("clamped, p(x1 = ink)", first[1], "Bayes, p(x1 = ink | x2 = ink)", posterior[1])

# %% [markdown]
# Clamping draws $x_1$ before it reads $x_2$, and evidence that is read too late changes nothing.
# For the digit:
#
# $$\begin{gathered}
# q(x_H)=\prod_{i\in H}p(x_i\mid x_{<i}),\qquad p(x_H\mid x_G)\propto\prod_{i\in H\cup G}p(x_i\mid x_{<i}), \\
# w\propto\prod_{i\in G}p(x_i\mid x_{<i}).
# \end{gathered} \tag{2}$$
#
# The left is what clamping draws from, the middle is what was asked for, and their ratio is the importance weight $w$: how well does the draw explain the *given* letters that came later?
# Given letters before the first hidden one have the same factor in all draws and cancel.
# The **effective sample size** $1/\sum_s w_s^2$ says how many draws are left in effect.
#
# **Exercise 3 (core).**
# Write the weights of a set of clamped draws.


# %% tags=["exercise"]
def completion_weights(log_p, given):
    """Importance weights (S,) of S clamped draws by (2); they sum to 1.

    log_p (S, rows, columns): log p(letter | letters before it) at each place of each draw;
    given (rows, columns) bool: places that were given, not drawn.
    """
    ### BEGIN SOLUTION
    return (log_p * given).sum((1, 2)).softmax(0)
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# A logarithm of a product is a sum: over the given places, of each draw.
# Then `softmax(0)` over the draws: exponential and division in one, without underflow.

# %%
checked_weights = cu.check("09b.weights", completion_weights)

with torch.no_grad():
    log_p = log_letters(pixelcnn, clamped).cpu()
w = checked_weights(log_p, left)
log_w = (log_p * left).sum((1, 2))
cu.facts("effective sample size of 64 clamped draws", f"{1 / w.square().sum():.1f}")
cu.facts(
    "largest weight", f"{w.max():.2f}", "spread of the log-weights, nats", f"{log_w.std():.1f}"
)

# %% [markdown]
# **The other way out: another order.**
# A model that writes *columns* has the left half first.
# It is the same PixelCNN (narrower, 1,000 steps, shipped), trained on transposed digits.


# %%
def turned(letters):
    """The letters (B, 14, 14) of the transposed image."""
    return letters_of(pixels_of(letters).mT)


def turned_loss(model, x):
    """The loss of lesson 09 on transposed images."""
    return letter_loss(model, x.mT)


columns = PixelCNN(width=32).to(device)
columns_run = cu.restore("09b_columns", columns)
start = turned(my_page).expand(64, -1, -1)
# transposed: the left half is on top
by_columns = turned(draw(columns, 64, g, start=start, given=upper).cpu())

# %% tags=["author"]
if cu.system.profile() == "full":
    val = turned(val_letters()).to(device)
    torch.manual_seed(0)
    columns_run = watched_fit(
        "09b_columns_train",
        PixelCNN(width=32).to(device),
        turned_loss,
        32,
        1_000,
        lambda net: float(all_nats(net, val).mean()),
        lr=4e-3,
        schedule="cosine",
    )
    nats = all_nats(columns_run.ema, turned(test.cpu()).to(device)).mean().item()
    what = "a PixelCNN of width 32 that writes columns"
    cu.ship(
        "09b_columns",
        columns_run.ema,
        columns_run,
        what=what,
        figures={"test nats, exact": (nats, 0.05)},
    )


# %% tags=["figure", "slide"]
# @title Figure: your digit, completed four ways
def half_shown(given):
    """My digit with its hidden half in flat grey."""
    pixels = given.repeat_interleave(2, 0).repeat_interleave(2, 1)
    return torch.where(pixels, my_ink, 0.25)


again = torch.multinomial(w, 8, replacement=True, generator=torch.Generator().manual_seed(2))
ways = {
    "upper half given": (upper, from_top),
    "left: clamped": (left, clamped[:8]),
    "left: weighted": (left, clamped[again]),
    "left: columns": (left, by_columns[:8]),
}
pictures = []
for given, letters in ways.values():
    pictures += [half_shown(given)[None], pixels_of(letters.cpu())[:, 0]]
ax = cu.plots.image_grid(
    torch.cat(pictures), rows=4, titles=["given", *"12345678"], row_titles=list(ways)
)
cu.show(
    ax.figure,
    "Eight completions each. Third row: drawn anew from 64 clamped draws, by their weights.",
)

# %% [markdown]
# From the top: eight ways to go on: about half are threes, with a 2, an 8 and a failure among them.
# **Clamped, the pen does not know what is coming.**
# Where it writes the upper right, the left half below has not been read: seven draws happen to fit, but the second begins with the flag of a 5, and then patches the right side with crumbs.
# The weights see it: their logarithms have a standard deviation of 7.1 nats, and of 64 draws 5.7 are left in effect.
# So the third row repeats itself, and one of its survivors has a gap.
# The column model needs no weights: it reads the whole left half before it writes, and when it writes a 5, it means it.

# %% [markdown]
# ### Several digits, and a number without a judge
#
# Clamping is itself a distribution over completions, (2) on the left, and so has nats: how surprised is it by the *true* other half?
# Ask both models about both halves.


# %%
def hidden_nats(model, letters, given):
    """−Σ log p(x_i | x_<i) over the hidden places: exact where they come last, else clamped."""
    with torch.no_grad():
        log_p = torch.cat([log_letters(model, part) for part in letters.split(250)]).cpu()
    return -(log_p * ~given).sum((1, 2))


pen = {"rows": (pixelcnn, some), "columns": (columns, turned(some.cpu()).to(device))}
upper_given = {"rows": upper, "columns": left}  # as the model sees the page
left_given = {"rows": left, "columns": upper}
surprise = {}
for name, (model, letters) in pen.items():
    above = hidden_nats(model, letters, upper_given[name])
    beside = hidden_nats(model, letters, left_given[name])
    whole = all_nats(model, letters)
    surprise[name] = [part.mean().item() for part in (above, beside, whole)]


# %%
@torch.no_grad()
def classes(letters):
    """The course's classifier on binary digits: probabilities (n, 10)."""
    return cu.metrics.classifier()(pixels_of(letters).to(device)).softmax(1).cpu()


digits = cu.budget(12, 2)
labels = mnist.test.y[:digits]
copies = test[:digits].cpu().repeat_interleave(64, 0)
g = torch.Generator().manual_seed(3)
clamped_all = draw(pixelcnn, len(copies), g, start=copies, given=left)
column_all = turned(draw(columns, len(copies), g, start=turned(copies), given=upper).cpu())
right_class = torch.arange(digits), labels
with torch.no_grad():
    log_all = log_letters(pixelcnn, clamped_all).cpu().view(digits, 64, 14, 14)
weights = torch.stack([checked_weights(part, left) for part in log_all])  # (digits, 64)
by_clamp = classes(clamped_all).view(digits, 64, 10)
by_weight = (weights[:, :, None] * by_clamp).sum(1)
read = {"clamped": by_clamp.mean(1)[right_class]}
read["weighted"] = by_weight[right_class]
read["columns"] = classes(column_all).view(digits, 64, 10).mean(1)[right_class]
sizes = 1 / weights.square().sum(1)

# %% tags=["figure", "slide"]
# @title Table: what the trap costs
rows = []
for name, (above, beside, whole) in surprise.items():
    kinds = ("exact", "clamped") if name == "rows" else ("clamped", "exact")
    halves = [f"{above:.1f} ({kinds[0]})", f"{beside:.1f} ({kinds[1]})"]
    rows.append([name, *halves, f"{whole:.1f}"])
cu.table(
    rows,
    ["the pen writes", "upper half given", "left half given", "whole digit"],
    f"Nats of the true hidden half, and of all of it; {len(some)} binarised test digits.",
)
cu.facts(
    "columns − rows, upper half given", f"{surprise['columns'][0] - surprise['rows'][0]:.1f}"
)
cu.facts("columns − rows, whole digit", f"{surprise['columns'][2] - surprise['rows'][2]:.1f}")
rows = []
for i in range(digits):
    line = [f"{part[i]:.0%}" for part in read.values()]
    rows.append([str(int(labels[i])), *line, f"{sizes[i]:.1f}"])
mean = [f"{part.mean():.0%}" for part in read.values()]
rows.append(["mean", *mean, f"{sizes.mean():.1f}"])
cu.table(
    rows,
    ["digit", *read, "effective size"],
    f"Left half of {digits} test digits given: how much probability the classifier gives to "
    "the right class, over 64 completions.",
)

# %% [markdown]
# In the first table a gap closes.
# On whole digits the columns' model is the poorer one, by 4.9 nats.
# With the upper half given it loses 5.3 nats, clamped against exact; with the left half given it draws level, 41.6 exact against 41.5 clamped.
# **The question decides which order is right**, and here it is worth as much as a wider network and a much longer training.
#
# The second table asks the course's classifier about the completions of 12 digits: 55% for the right class by clamping, 89% after weighting, 80% by columns.
# The effective sizes, 5.6 of 64 on average, say how far to trust the weighted column.
# On the 6 columns do worse than clamping, 31% against 38%.
# No method gets the 5 from its left half, and that is no fault: it might have been another digit.
# Weights are right in the limit; an order is right at once, as far as its model is.

# %% [markdown]
# ## 4 · Does the order matter? *(deeper)*
#
# The chain rule holds in any order, so any order can represent $p$.
# Learning is another matter.
# Four orders, the same transformer (width 48, two blocks), the same few steps, three seeds.


# %%
def spiral():
    """From the middle outwards: an inward spiral, read backwards."""
    page = torch.arange(196).view(14, 14)
    walk = []
    while page.numel():
        walk.append(page[0])
        page = page[1:].T.flip(0)
    return torch.cat(walk).flip(0)


def orders():
    """Four orders of the 196 places."""
    rows = torch.arange(196)
    columns = rows.view(14, 14).T.flatten()
    chance = torch.randperm(196, generator=torch.Generator().manual_seed(0))
    return {"rows": rows, "columns": columns, "spiral": spiral(), "random": chance}


# %% [markdown]
# **Exercise 4 (deeper, predict and measure).**
# Which order is learned best?


# %% tags=["exercise"]
def my_order():
    """Your bet: "rows", "columns", "spiral" or "random"."""
    ### BEGIN SOLUTION
    return "columns"
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# `return "spiral"`, say; think of what the first letters tell about the others.

# %%
checked_order = cu.check("09b.order", my_order)


# %% tags=["author"]
def order_figures():
    """Twelve short trainings: {order, seed: (nats, tolerance)}."""
    val = val_letters().to(device)
    figures = {}
    for seed in range(3):
        how = recipe | {"steps": 1, "full": 150, "seed": seed}
        for name, order in orders().items():
            torch.manual_seed(seed)
            net = Transformer(48, 4, 2, order=order).to(device)
            part = cu.Batches(mnist.train, 16, seed=seed)
            trained = cu.fit(net, letter_loss, part, name=f"09b_order_{name}_{seed}", **how)
            nats = all_nats(trained.ema, val[: cu.budget(1_000)]).mean()
            figures[f"{name}, seed {seed}"] = (float(nats), 1.0)
            figures[f"{name}, seed {seed}, seconds"] = (trained.seconds, 60.0)
    return figures


cu.ship(
    "09b_orders",
    what="validation nats of four orders, three seeds each",
    figures=order_figures,
    lesson="09b_order_and_attention",
)

# %% tags=["figure"]
# @title Figure: four orders and their nats
order_card = cu.runs.load("09b_orders")
fig, axes = plt.subplots(1, 4, figsize=(12, 3.6))
for ax, (name, order) in zip(axes, orders().items()):
    nats = torch.tensor([order_card.figure(f"{name}, seed {seed}") for seed in range(3)])
    when = torch.empty(196).scatter(0, order, torch.arange(196.0)).view(14, 14)
    ax.imshow(when.numpy(), cmap="viridis")
    ax.set(xticks=[], yticks=[])
    ax.grid(False)
    ax.set_title(f"{name}: {nats.mean():.1f} ± {nats.std():.1f}", fontsize=13)
    cu.facts(f"{name}, 150 steps: nats, mean", f"{nats.mean():.1f}")
cu.show(
    fig,
    "Dark places are written first. Nats of 1,000 validation digits after 150 steps: mean and "
    "standard deviation over three seeds.",
)
rows_first = torch.tensor([order_card.figure(f"rows, seed {seed}") for seed in range(3)])
for name in ("columns", "spiral", "random"):
    other = torch.tensor([order_card.figure(f"{name}, seed {seed}") for seed in range(3)])
    each = " ".join(f"{value:+.1f}" for value in other - rows_first)
    cu.facts(f"{name} − rows, three seeds, nats", each)

# %% [markdown]
# Rows and columns are learned alike: 101.5 and 101.1 nats, and columns are ahead by 0.2 to 0.6 nats in all three seeds.
# The spiral is 10 to 15 nats behind, chance 23 to 27.
# A likely reason: in rows each place finds the same two neighbours written, the left one and the upper one.
# In a spiral they change sides at every corner, and one bias by offset has to serve all four.
# At random the first letters have no neighbours at all, the last have all; the same offset is sometimes there and sometimes not.
#
# These are numbers about learning, with this network and this budget.
# Any of the four orders can represent $p$, and for a question like section 3's the worse order may be the right one.

# %% [markdown]
# ## 5 · Grey *(deeper)*
#
# So far a pixel was ink or paper.
# A grey pixel has 256 values, and a patch of four has $256^4$: too many letters for one softmax.
# Chain rule again: the four pixels of a patch one after the other, each with 256 logits, given the output of the PixelCNN's layers (the *trunk*) and the pixels before it in the patch.


# %% tags=["shared"]
class GreyTrunk(nn.Module):
    """Both stacks of the PixelCNN, over patches of four grey values."""

    def __init__(self, width=48, dilations=(1, 2, 1, 2, 1, 2)):
        super().__init__()
        steps = torch.tensor([0, 32, 96, 160, 224, 252])
        self.register_buffer("steps", steps, persistent=False)
        self.seen = 1 + len(steps)
        self.first_v = nn.Conv2d(4 * self.seen, width, (3, 7))
        self.first_h = nn.Conv2d(4 * self.seen, width, (1, 3))
        self.place = nn.Parameter(torch.zeros(2, width, 14, 14))
        self.layers = nn.ModuleList(GatedLayer(width, d) for d in dilations)

    def see(self, patches):
        """A grey value as 7 numbers: itself in [−1, 1], and whether it is above each step."""
        above = patches[:, :, None] > self.steps[:, None, None]  # (B, 4, 6, 14, 14)
        return torch.cat([patches[:, :, None] / 127.5 - 1, above.float()], 2)

    def trunk(self, x):  # (B, 28, 14, 14)
        v = self.first_v(F.pad(x, (3, 3, 3, -1))) + self.place[0]
        h = self.first_h(F.pad(x, (3, -1, 0, 0))) + self.place[1]
        for layer in self.layers:
            v, h = layer(v, h)
        return h.relu()


# %% tags=["shared"]
class GreyCNN(GreyTrunk):
    """Grey patches (B, 4, 14, 14), 0 … 255 → `out` numbers a pixel, (B, 4, out, 14, 14)."""

    def __init__(self, width=48, out=256):
        super().__init__(width)
        self.heads = nn.ModuleList()
        for j in range(4):
            first = nn.Conv2d(width + j * self.seen, 2 * width, 1)
            last = nn.Conv2d(2 * width, out, 1)
            self.heads.append(nn.Sequential(first, nn.ReLU(), last))

    def forward(self, patches):
        pixels = self.see(patches)  # (B, 4, 7, 14, 14)
        h = self.trunk(pixels.flatten(1, 2))
        out = []
        for j, head in enumerate(self.heads):
            earlier = pixels[:, :j].flatten(1, 2)  # of the same patch
            out.append(head(torch.cat([h, earlier], 1)))
        return torch.stack(out, 1)


# %% tags=["shared"]
def patches_of(x):
    """Images (B, 1, 28, 28) in [0, 1] as patches of four grey values, int64 (B, 4, 14, 14)."""
    return F.pixel_unshuffle((255 * x).round(), 2).long()


def softmax_nats(out, patches):
    """−log p of each pixel, (B, 4, 14, 14): 256 logits a pixel."""
    return F.cross_entropy(out.transpose(1, 2), patches, reduction="none")


def grey_loss(model, x):
    """Mean nats a pixel of images x (B, 1, 28, 28) in [0, 1]."""
    patches = patches_of(x)
    return softmax_nats(model(patches), patches).mean()


# %% [markdown]
# **Bits per dimension** of these *discrete* greys are $-\log_2p(x)/784$.
# The course's other models are *densities* of dequantised digits, where each grey owns a cell of width 1/256.
# Where the density is flat in a cell, the cell's probability is density times volume, $256^{-784}$: 8 bits a pixel apart, and comparable once that is added (a density that is not flat has a bound only).
#
# **Exercise 5 (deeper).**
# Go back: from bits per dimension to minus the log-density, in nats.


# %% tags=["exercise"]
def density_nats(bits, D):
    """−log of the density on [0, 1]^D, in nats, of digits with `bits` bits per dimension.

    256 greys: the inverse of cu.metrics.bits_per_dimension(nats, D).
    """
    ### BEGIN SOLUTION
    return D * (bits - math.log2(256)) * math.log(2)
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# bits = nats / (D ln 2) + 8; solve for the nats.

# %%
checked_bits = cu.check("09b.bits", density_nats)

torch.manual_seed(0)
own_grey = GreyCNN().to(device)
grey_batches = cu.Batches(mnist.train, 16)
own_run = cu.fit(own_grey, grey_loss, grey_batches, steps=80, lr=4e-3, clip=1.0)

# %% [markdown]
# We continue with the shipped weights, 7,000 such steps.


# %% tags=["author"]
def grey_bits(net, images):
    """Exact bits per dimension of images (N, 1, 28, 28) in [0, 1]."""
    with torch.no_grad():
        parts = [grey_loss(net, part.to(device)) * len(part) for part in images.split(100)]
    return float(sum(parts)) / len(images) / math.log(2)


if cu.system.profile() == "full":
    grey_val = mnist.val.float()[:500]
    torch.manual_seed(0)
    net = GreyCNN().to(device)
    grey_run = watched_fit(
        "09_grey_train",
        net,
        grey_loss,
        16,
        7_000,
        lambda net: grey_bits(net, grey_val),
        lr=4e-3,
        schedule="cosine",
    )
    grey = grey_run.ema
    figures = {"validation bits/dim": (grey_bits(grey, mnist.val.float()), 0.005)}
    figures["test bits/dim, exact"] = (grey_bits(grey, mnist.test.float()), 0.005)
    for n, (seconds, bits) in curve_of("09_grey_train").items():
        figures[f"step {n}"] = (bits, 0.02)
        figures[f"step {n}, seconds"] = (seconds, 3_000.0)


# %%
@torch.no_grad()
def draw_grey(model, n, generator):
    """n grey digits (n, 1, 28, 28) in [0, 1]; the vertical stack runs once a row."""
    patches = torch.zeros(n, 4, 14, 14, dtype=torch.long, device=device)
    u = torch.rand(14, 14, 4, n, 1, generator=generator).to(device)
    for r in range(14):
        x = model.see(patches[:, :, : r + 1]).flatten(1, 2)
        v = model.first_v(F.pad(x, (3, 3, 3, -1))) + model.place[0][:, : r + 1]
        links = []
        for layer in model.layers:
            d = layer.reach
            v = v + F.glu(layer.down(F.pad(v, (d, d, d, 0))), 1)
            links.append(layer.link(v[:, :, r:]))
        for c in range(14):
            row = model.see(patches[:, :, r : r + 1]).flatten(1, 2)
            h = model.first_h(F.pad(row, (3, -1, 0, 0))) + model.place[1][:, r : r + 1]
            for layer, link in zip(model.layers, links):
                both = layer.right(F.pad(h, (layer.reach, 0, 0, 0))) + link
                h = h + layer.out(F.glu(both, 1))
            for j, head in enumerate(model.heads):
                earlier = model.see(patches[:, :j, r : r + 1, c : c + 1]).flatten(1, 2)
                logits = head(torch.cat([h[..., c : c + 1].relu(), earlier], 1))
                patches[:, j, r, c] = pick(logits[:, :, 0, 0].softmax(1), u[r, c, j])
    return F.pixel_shuffle(patches.float(), 2) / 255


# %% tags=["author"]
if cu.system.profile() == "full":
    drawn = draw_grey(grey_run.ema, 1_000, torch.Generator().manual_seed(0))
    drawn = cu.to_uint8(drawn)
    figures["Fréchet distance"] = (cu.metrics.score([drawn], 1_000).distance, 3.0)
    what = "grey digits, pixel by pixel, 256-way softmax over patches"
    details = {"figures": figures, "samples": drawn, "lesson": "09b_order_and_attention"}
    cu.ship("09_grey", grey_run.ema, grey_run, what=what, **details)

# %%
grey = GreyCNN().to(device)
grey_card = cu.restore("09_grey", grey)
five = patches_of(mnist.val.float()[:1]).to(device)

every = five.repeat(256, 1, 1, 1)
every[:, 2, 6, 7] = torch.arange(256, device=device)  # all values of one pixel
with torch.no_grad():
    nats = softmax_nats(grey(every), every)[:, 2, 6, 7].cpu().double()
    total = (-nats).exp().sum().item()
    other = five.clone()
    other[:, 1, 7, 5] = 255 - other[:, 1, 7, 5]  # the second pixel of patch 103
    moved = (grey(five) - grey(other)).abs().amax(2)[0]  # (4, 14, 14)
place = moved.flatten(1).T.flatten().nonzero().min().item()  # patch · 4 + pixel
assert abs(total - 1) < 1e-5 and divmod(place, 4) == (103, 2)
cu.facts("Σ p over 256 values", total, "first pixel that moves", str(divmod(place, 4)))

# %%
grey_made = draw_grey(grey, cu.budget(10, 2), torch.Generator().manual_seed(5)).cpu()


def seeded_grey(n):
    """n other grey digits at each call."""
    seed = int(torch.randint(2**31, ()))
    return draw_grey(grey, n, torch.Generator().manual_seed(seed))


grey_step = cu.arena.training_step(grey, grey_loss, grey_batches.batch(0))
cu.enter("09_grey", seeded_grey, step=grey_step, numbers=grey)

# %% tags=["figure"]
# @title Figure: grey digits, and bits over CPU time
fig, (ax, right) = plt.subplots(1, 2, figsize=(12, 4.2), width_ratios=(1.5, 1))
shown = torch.from_numpy(grey_card.samples[: 40 - len(grey_made)]).float() / 255
pictures = torch.cat([grey_made[:, 0], shown])
cu.plots.image_grid(pictures, rows=4, ax=ax)
ax.set_title("first row: drawn here", fontsize=13)
steps = sorted(
    int(key.split()[1])
    for key in grey_card.card["figures"]
    if key.startswith("step") and "seconds" not in key
)
seconds = [grey_card.figure(f"step {n}, seconds") for n in steps]
right.plot(seconds, [grey_card.figure(f"step {n}") for n in steps], "o-")
right.set(xscale="log", xlabel="seconds of one core", ylabel="bits per dimension")
marks = [25, 50, 100, 200, 400, 800, 1_600]
right.set_xticks(marks, [str(n) for n in marks])
right.minorticks_off()
right.set_title("500 validation digits", fontsize=13)
cu.show(
    fig, "Left: draws of the grey model. Right: its exact bits over the CPU time of training."
)
with torch.no_grad():
    few = mnist.test.float()[: cu.budget(300, 20)].to(device)
    mine_bits = grey_loss(grey, few).item() / math.log(2)
test_bits = grey_card.figure("test bits/dim, exact")
cu.facts(
    {
        "bits per dimension, 10,000 test digits, exact": f"{test_bits:.3f}",
        "validation": f"{grey_card.figure('validation bits/dim'):.3f}",
        f"on {len(few)} test digits": f"{mine_bits:.3f}",
        "−log density of a test digit, nats": f"{checked_bits(test_bits, 784):,.0f}",
        "Fréchet distance of 1,000 draws": f"{grey_card.figure('Fréchet distance'):.1f}",
        "numbers in the model": sum(p.numel() for p in grey.parameters()),
        "minutes of one core": f"{seconds[-1] / 60:.0f}",
        "UvA tutorial 12, on a GPU: bits per dimension": "0.809",
        "its numbers, more than": 850_000,
    }
)

# %% [markdown]
# **0.974 bits per dimension**, exact, on all 10,000 test digits; 0.994 on all validation digits (the curve shows 500 of them).
# For scale: a gated PixelCNN of the University of Amsterdam's tutorial reports 0.809 with more than 850,000 weights, trained on a GPU; ours has 438,016 and some 22 minutes of one core.
# The curve flattens only where the training ends: this is what 22 minutes buy, not what the model can do.
# As a density of dequantised digits it is −3,818 nats: minus log of a density may well be negative.
# Each pixel's 256 probabilities sum to 1, and the first output that hears of pixel 1 in patch 103 (all counted from 0) is pixel 2 of that patch.

# %% [markdown]
# ### 256 logits, or a curve?
#
# A softmax does not know that greys have an order: to it 7 and 8 are as foreign as 7 and 200.
# A **mixture of discretised logistics** (Salimans and colleagues 2017) does: ten bell-like curves over the greys, each cut at 0.5, 1.5, …; a grey gets the area of its cell, 0 and 255 also the tails.
#
# **Predict 2.**
# Equal steps, the same trunk: which has fewer bits, and which follows MNIST's histogram of greys?


# %%
def logistic_nats(out, patches):
    """−log p of each pixel: a mixture of ten logistics, each cut into 256 pieces."""
    weight, mean, scale = out.chunk(3, 2)  # (B, 4, 10, 14, 14)
    mean = 128 + 128 * mean
    scale = (3 + scale).exp()
    x = patches[:, :, None].float()
    above = torch.where(x < 255, torch.sigmoid((x + 0.5 - mean) / scale), 1.0)
    below = torch.where(x > 0, torch.sigmoid((x - 0.5 - mean) / scale), 0.0)
    p = (weight.softmax(2) * (above - below)).sum(2)
    return -p.clamp_min(1e-9).log()


def logistic_loss(model, x):
    """Mean nats a pixel under the mixture of logistics."""
    patches = patches_of(x)
    return logistic_nats(model(patches), patches).mean()


# %% tags=["author"]
@torch.no_grad()
def shares(net, nats_of, images):
    """The share of each grey value that a model expects in these images' pixels: (256,)."""
    patches = patches_of(images).to(device)
    out = net(patches)
    found = []
    for value in range(256):
        found.append((-nats_of(out, torch.full_like(patches, value)).double()).exp().mean())
    return torch.stack(found).cpu()


if cu.system.profile() == "full":
    images = mnist.val.float()[:500]
    kinds = {
        "softmax": (256, grey_loss, softmax_nats),
        "logistic": (30, logistic_loss, logistic_nats),
    }
    figures = {}
    rows = []
    for name, (out, loss, nats_of) in kinds.items():
        torch.manual_seed(0)
        short = watched_fit(
            f"09b_holes_{name}",
            GreyCNN(out=out).to(device),
            loss,
            16,
            160,
            lambda net, loss=loss: (
                sum(float(loss(net, part)) for part in images.split(100)) / 5 / math.log(2)
            ),
            lr=4e-3,
            schedule="cosine",
        )
        seconds, bits = curve_of(f"09b_holes_{name}")[160]
        figures |= {f"{name}, bits": (bits, 0.02), f"{name}, seconds": (seconds, 200.0)}
        parts = [shares(short.ema, nats_of, part) for part in images[:100].split(20)]
        rows.append(torch.stack(parts).mean(0))
    table = torch.stack([row.float() for row in rows])
    kept = nn.ParameterDict(
        {"shares": nn.Parameter((1e3 * table).log1p(), requires_grad=False)}
    )
    what = "softmax against ten logistics: bits, and the shares of 256 greys"
    cu.ship("09b_holes", kept, what=what, figures=figures, lesson="09b_order_and_attention")

# %% tags=["figure"]
# @title Figure: histograms of grey
kept = nn.ParameterDict({"shares": nn.Parameter(torch.zeros(2, 256), requires_grad=False)})
holes = cu.restore("09b_holes", kept)
softmax_share, logistic_share = kept["shares"].detach().float().expm1() / 1e3
counts = mnist.train.x.cpu().flatten().long().bincount(minlength=256)
shares = {"55,000 digits": counts / counts.sum(), "softmax": softmax_share}
shares["logistics"] = logistic_share
fig, ax = plt.subplots(figsize=(11.5, 4.4))
greys = range(1, 256)
percent = {name: (100 * share[1:]).numpy() for name, share in shares.items()}
ax.bar(greys, percent["55,000 digits"], width=1, color="#bbbbbb", label="55,000 digits")
for number, name in enumerate(("softmax", "logistics")):
    colour = cu.plots.PALETTE[number]
    ax.plot(greys, percent[name], color=colour, lw=1.4, label=name)
ax.set(xlabel="grey value (0 is left out)", ylabel="share of pixels, %", yscale="log")
ax.set(ylim=(0.01, 5), yticks=[0.01, 0.1, 1], yticklabels=["0.01", "0.1", "1"])
ax.legend(fontsize=12)
cu.show(
    fig,
    "How often each grey occurs in training digits, and how often two models expect it in 100 "
    "validation digits, given the pixels before.",
)
rows = []
for name, share in shares.items():
    peak = share[128] / (share[127] + share[129]) * 2
    apart = (share - shares["55,000 digits"]).abs().sum() / 2
    key = f"{name.removesuffix('s')}, bits"
    bits = holes.figure(key) if key in holes.card["figures"] else None
    rows.append([name, bits, f"{peak:.1f}", f"{share[253]:.1%}", f"{apart:.3f}"])
cu.table(
    rows,
    ["", "bits per dimension", "128 against its neighbours", "share of 253", "total variation"],
    "Bits of 500 validation digits after 160 steps, one seed; variation from the first row.",
)
real = shares["55,000 digits"]
outstanding = [v for v in range(2, 250) if real[v] > real[v - 1] + real[v + 1]]
cu.facts("greys twice as frequent as their neighbours", ", ".join(map(str, outstanding)))

# %% [markdown]
# One might expect a softmax to give a ragged histogram, and a curve to smooth it.
# **The ragged one is MNIST**: 128 is 4.6 times as frequent as its neighbours, 64 and 191 stand out likewise, and 253 is the commonest ink of all, presumably traces of how the digits were scaled and smoothed.
# A softmax has found these peaks after 160 steps.
# The logistics begin some 20 greys wide and after 160 steps have none of the peaks; the ink of 253 they put into their tail at 255.
# They pay: 1.302 bits against 1.229 (one seed).
# They were made for photographs with three colours, where neighbouring values really are alike, and where 256 logits a channel are dear; a prior helps where it is true.

# %% [markdown]
# ## 6 · Nats and pictures *(core)*
#
# The PixelCNN gets better at guessing for hours.
# Do its pictures?
# Five moments of its training: exact nats, and the Fréchet distance of 1,000 draws.


# %% tags=["author"]
def scatter_figures():
    """Nats and Fréchet distance of the PixelCNN's averaged weights along its training."""
    part = test[::10]  # every tenth: writers of all kinds
    figures = {}
    for step in (100, 400, 1_600, 4_800, 12_000):
        net = PixelCNN().to(device)
        net.load_state_dict(
            torch.load(OWN / "09_snapshots" / f"w_{step}.pt", weights_only=True)
        )
        n_sets = 5 if step == 12_000 else 1
        sets = []
        for seed in range(n_sets):
            letters = draw(net, 1_000, torch.Generator().manual_seed(seed))
            sets.append(cu.to_uint8(pixels_of(letters).cpu()))
        score = cu.metrics.score(sets, 1_000)
        figures[f"nats, step {step}"] = (float(all_nats(net, part).mean()), 0.2)
        figures[f"Fréchet, step {step}"] = (score.distance, 3.0)
        if n_sets > 1:
            figures["Fréchet, spread of sets"] = (score.distance_spread, 2.0)
    return figures


if cu.system.profile() == "full":  # from the weights that lesson 09's long run keeps
    what = "nats and Fréchet distance over the training of the PixelCNN"
    cu.ship("09b_scatter", what=what, figures=scatter_figures, lesson="09b_order_and_attention")

# %% [markdown]
# **Predict 3.**
# From step 100 to step 400 it gains eight nats, from step 1,600 to the end two.
# Which gain shows in the pictures?

# %% tags=["figure", "slide"]
# @title Figure: nats against Fréchet distance
scatter = cu.runs.load("09b_scatter")
moments = (100, 400, 1_600, 4_800, 12_000)
nats = [scatter.figure(f"nats, step {n}") for n in moments]
distance = [scatter.figure(f"Fréchet, step {n}") for n in moments]
entries = {entry.name: entry for entry in cu.arena.entries() if not entry.own}
others = {
    "chain (08)": ("08_hmm", "test nats, exact"),
    "VAE (04), bound": ("04_vae", "IW-500, 10,000 test images"),
}
fig, ax = plt.subplots(figsize=(9.5, 4.8))
ax.plot(nats, distance, "o-", color=cu.plots.PALETTE[0], label="PixelCNN, training")
for n, x, y in zip(moments, nats, distance):
    ax.annotate(f"{n:,}", (x, y), (-4, 8), textcoords="offset points", ha="right", fontsize=12)
for number, (name, (key, nats_of)) in enumerate(others.items(), 1):
    x = cu.runs.load(key).figure(nats_of)
    y = entries[key].sets["mean"]
    ax.plot(x, y, "D", color=cu.plots.PALETTE[number], label=name)
    cu.facts(f"{name}: nats, Fréchet distance", f"{x:.1f}, {y:.1f}")
coins = torch.Generator().manual_seed(9)  # as in lesson 09
real = cu.to_uint8(torch.bernoulli(mnist.val.float(), generator=coins))
floor = cu.metrics.score(real, cu.budget(1_000, 200)).distance
ax.axhline(floor, color="#777777", ls=":", label="validation digits, binarised")
ax.set(xlabel="−log p, nats (test)", ylabel="Fréchet distance (test, n = 1,000)")
ax.set(xlim=(77, 101), ylim=(0, 80))
ax.legend(fontsize=12)
cu.show(
    fig,
    "Each point a model; numbers are training steps, one set of draws each; five sets at the "
    "end and for the other models.",
)
for n, x, y in zip(moments, nats, distance):
    cu.facts(f"step {n:,}: nats, Fréchet distance", f"{x:.1f}, {y:.1f}")
cu.facts("validation digits, binarised", f"{floor:.1f}")
for i, j in ((0, 1), (2, 4)):
    gains = f"{nats[i] - nats[j]:.1f}, {distance[i] - distance[j]:.0f}"
    cu.facts(f"step {moments[i]:,} to {moments[j]:,}: nats, distance gained", gains)

# %% [markdown]
# **Within one training the rulers agree.**
# From 93.8 nats (of every tenth test digit) and 74.5 down to 79.7 and 13.9, close to the 9.6 of validation digits, binarised; the first 8.4 nats are worth 32 points of distance, the last 2.3 worth 12.
# To this ruler a nat late in the training is no less visible than an early one.
#
# **Between models they need not.**
# Lesson 08's chain has 99.5 nats and draws at 67.0, nearer to real digits than the PixelCNN's at 93.8.
# The VAE's bound of 84.0 would place it between steps 400 and 1,600; its draws, at 43.3, are no nearer than those of step 400. Its true nats, which nobody knows, can only be fewer.
# So the PixelCNN brings what no model before it had: an exact likelihood *and* sharp draws.

# %% [markdown]
# **Exercise 6 (deeper, open).**
# Find a question that neither rows nor columns answer exactly: a ring, every second row, one stroke.
# Answer it with an order of your own, or with weights, and report nats of the true hidden part beside clamped drawing, over several digits.
# (`Transformer(order=…)` takes any order; with weights, $p(x_G)$ is about the mean of the weights before they are normalised, and $-\log p(x_H\mid x_G)=\log p(x_G)-\log p(x)$.)

# %% [markdown]
# ## Recap *(core)*
#
# | you can | because you saw |
# |---|---|
# | write masked attention | equal to the library's, and nothing moves before place 104 |
# | keep keys and values | the same logits, 196 tokens instead of 38,416 |
# | complete a digit | exact from the top; clamped from the left, and what its weights say |
# | judge an order | four orders, three seeds |
# | count bits | 256 probabilities that sum to 1 |
# | read nats and pictures | five moments of one training |
#
# **What breaks, and why.**
# An order is a promise about which questions will be asked.
# Drawing takes 196 steps in a row, no code of the digit comes out, and there is nothing to interpolate: the model knows how digits continue, not what they are.
# It is also the decoder that lets lesson 04's latent die: one that guesses each pixel from its neighbours has no use for a code.
#
# **Next.**
# An exact likelihood with a latent code and one pass: normalizing flows, lesson 10.

# %% [markdown]
# ## Where this stands *(deeper)*
#
# **Attention and convolution.**
# Transformers win where data and machines abound: there they may learn what a convolution is told.
# Bias by offset is an old remedy (Shaw and colleagues 2018, with vectors in place of numbers); PixelSNAIL joins masked convolutions with attention, and is among the best exact models of small images.
# Whoever caches keys and values pays with memory; sharing them between heads, or compressing them, is how long texts are served.
#
# **Any order.**
# One network can be trained on many orders at once: a deep NADE and MADE did it with masks, locally masked convolutions do it for images (Jain, Abbeel and Pathak 2020), and choose the order to fit each completion.
# A diffusion over masks is the same idea with the order drawn anew each time.
# Fill-in-the-middle training of language models moves what stands behind a gap to the front: section 3's trap, repaired in the data.
#
# **Likelihood and pictures.**
# Theis, van den Oord and Bethge (2016) show that likelihood, samples and density estimates by kernels can disagree in every direction; a scatter of one training shows less: within it, nats and distance fall together.

# %% [markdown]
# ### References
#
# - Vaswani and colleagues (2017): *Attention Is All You Need* (equation 1).
# - Shaw, Uszkoreit, Vaswani (2018): *Self-Attention with Relative Position Representations*.
# - Jain, Abbeel, Pathak (2020): *Locally Masked Convolution for Autoregressive Models*.
# - Salimans, Karpathy, Chen, Kingma (2017): *PixelCNN++: Improving the PixelCNN with Discretized Logistic Mixture Likelihood and Other Modifications*.
# - Chen, Mishra, Rohaninejad, Abbeel (2017): *PixelSNAIL: An Improved Autoregressive Generative Model*.
# - Theis, van den Oord, Bethge (2016): *A note on the evaluation of generative models*.
