# %% [markdown]
# # 15 Pictures and sentences
#
# **In a world small enough to know every right answer, a machine that ties pictures to sentences can be graded, and is caught not reading the order of words.**
#
# This lesson ties pictures to sentences, and writes a sentence for a picture.
# Lesson 15b goes the other way: from a sentence to a picture.

# %% tags=["setup"]
import copy
import math
import random
from collections import Counter
from dataclasses import replace

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from torch import nn

import course_utils as cu
from course_utils import scenes
from course_utils.arena.game import interval
from course_utils.lessons.lesson_06 import warm_cosine
from course_utils.lessons.lesson_09b import Block

device = cu.setup()
mnist = cu.mnist()

# %% tags=["figure", "slide"]
# @title Figure: what a machine says to twelve pictures
for run in cu.runs.available("15_swaps"):  # section 3 makes it
    circle = scenes.Thing("big", "red", "circle")
    square = scenes.Thing("big", "blue", "square")
    asked = scenes.Scene((circle, square), "above")
    picture = scenes.render([asked], scenes.Glyphs(mnist.val, 1))[0]
    fig, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), width_ratios=[1, 2])
    left.imshow(picture.permute(1, 2, 0).numpy(), interpolation="nearest")
    left.set(xticks=[], yticks=[])
    questions = "a red circle above a blue square?\na blue circle above a red square?"
    left.set_title(questions, fontsize=11)
    names = {
        "sentence found": "its sentence first\namong a thousand",
        "colours": "the true one of two,\ncolours exchanged",
    }
    for at, (way, ink) in enumerate((("plain", 0), ("hard", 2))):
        shares = [run.figure(f"{way}, seed 0: {key}") for key in names]
        places = [k + 0.35 * at for k in range(len(names))]
        label = ("trained as usual", "trained on exchanged words, too")[at]
        bars = right.bar(places, shares, 0.32, color=cu.plots.PALETTE[ink], label=label)
        right.bar_label(bars, fmt="%.2f", fontsize=12)
    right.axhline(1 / 1000, xmax=0.5, color="black", ls=":")
    right.axhline(0.5, xmin=0.5, color="black", ls=":")
    right.set_xticks([k + 0.17 for k in range(len(names))], names.values(), fontsize=12)
    right.set(ylim=(0, 1.25), ylabel="share right")
    right.legend(fontsize=11, loc="upper left", ncol=2)
    cu.show(
        fig,
        "A machine finds the sentence of a picture among a thousand, and cannot choose between "
        "two of the same words. Dotted: chance.",
    )

# %% [markdown]
# **After this lesson you can** train two networks until a picture and its sentence meet in one space ·
# say how much such a training can know, and see it stick there ·
# test whether a machine reads the order of words, and repair it ·
# write a machine that tells a picture in a sentence, and grade it fairly.
#
# **Builds on** 09b (attention, masks), 09 (nats, teacher forcing), 07 (Wilson's interval), 08 (entropy).
#
# | letter | meaning | letter | meaning |
# |---|---|---|---|
# | $x$, $s$ | a picture, a sentence | $a$, $b$ | unit vectors: a picture's, a sentence's |
# | $B$ | size of a batch | $\tau$ | temperature |
# | $I$, $H$ | mutual information, entropy, in nats | $q,k,v$ | query, key, value (lesson 09b) |

# %% [markdown]
# ## 1 · A world by code *(core)*
#
# Pictures with captions from the web cannot be graded: nobody knows all that is right about them.
# So here is a world in which everything is known.
#
# A **scene** holds one thing, or two of which the first is *above* or *left of* the second.
# A thing has a *size* (2), a *colour* (7) and a *kind* (14): a handwritten digit or a shape.
# A grammar says it in four ways, and a parser reads all four back.

# %%
one = scenes.Thing("big", "red", "3")
other = scenes.Thing("small", "blue", "star")
scene = scenes.Scene((one, other), "above")
for pattern in range(4):
    print(scenes.say(scene, pattern))
    assert scenes.parse(scenes.say(scene, pattern)) == scene

# %% [markdown]
# Half of all scenes have one thing, half have two.
# Where the things stand, and whose handwriting a digit is in, is left to chance.

# %%
dice = torch.Generator().manual_seed(0)
glyphs = scenes.Glyphs(mnist.train, cu.budget(10_000, 500, 55_000))
scenes_told = scenes.draw_scenes(cu.budget(20_000, 600, 60_000), dice, held=False)
pictures = scenes.render(scenes_told, glyphs, dice)  # uint8 (n, 3, 32, 32)
unseen_glyphs = scenes.Glyphs(mnist.val, cu.budget(5_000, 500))
unseen = scenes.draw_scenes(cu.budget(2_000, 100), dice)
unseen_pictures = scenes.render(unseen, unseen_glyphs, dice)

# %% tags=["figure", "slide"]
# @title Figure: eight scenes, and how many there are

eight = [scenes.folded(scenes.say(scene, i % 4)) for i, scene in enumerate(scenes_told[:8])]
cu.show(scenes.draw_told(pictures[:8], eight), "Eight scenes, told in four ways.")
cu.facts(
    {
        "single things": f"{scenes.SINGLES}",
        "pairs": f"{scenes.PAIRS:,}",
        "entropy of a scene, nats": f"{scenes.entropy():.2f}",
        "the same where training leaves scenes out": f"{scenes.entropy(held=False):.2f}",
    }
)

# %% [markdown]
# There are $14\cdot7\cdot2=196$ things, so $2\cdot196^2=76{,}832$ pairs.
# "Below" and "right of" are the same scenes, told from the other thing.
# A scene is thus worth $\ln2+\frac12\ln196+\frac12\ln76{,}832=8.96$ nats.
#
# Training never sees a *green 7*, a *star above a circle*, or the fourth way of telling.
#
# ### A grader
#
# The pictures are black where nothing is, so they can be cut into things; place, extent and colour are measured.
# Only the kind needs a network, and it is a small one, trained on cut-out things.


# %%
def kind_loss(model, crops, kinds):
    """Cross-entropy, with every batch shifted by a pixel or none."""
    return F.cross_entropy(
        model(crops.roll(torch.randint(-1, 2, (2,)).tolist(), (2, 3))), kinds
    )


kinds_net = cu.prepare(scenes.Kinds())
crops, labels = scenes.labelled_crops(scenes_told, pictures)
batches = cu.Batches((crops, labels), 128)
history = cu.fit(kinds_net, kind_loss, batches, steps=200, full=8_000, schedule="cosine")

# %% tags=["author"]
cu.ship("15_kinds", {"kinds": kinds_net}, history, what="kinds of cut-out things")

# %%
print(cu.restore("15_kinds", {"kinds": kinds_net}).card["what"])  # the same, 8,000 steps

# %% [markdown]
# A grade lists which fields are right: the *number* of things, their *kinds*, *colours* and *sizes*, the *relation*, and *all* of them.
# Two things are compared in the order in which more of them is right: with colours exchanged only the colour is wrong, with places exchanged only the relation.
#
# **Exercise 1 (core).**
# Write the share of pictures that are right in one field, with Wilson's interval (lesson 07).


# %% tags=["exercise"]
def graded(asked, read, field):
    """Share of scenes right in a field, and Wilson's interval: (share, low, high).

    asked: scenes; read: what was read in their pictures, scenes or None, as many.
    `scenes.grade(asked[i], read[i])` → {"number": True, …, "all": False}; None is wrong in all
    fields. An asked thing alone has no "relation". `interval(successes, n)` → (low, high).
    Without a scene that has the field: (0, 0, 1).
    """
    ### BEGIN SOLUTION
    marks = [scenes.grade(scene, found) for scene, found in zip(asked, read)]
    right = [mark[field] for mark in marks if field in mark]
    if not right:
        return 0.0, 0.0, 1.0
    return sum(right) / len(right), *interval(sum(right), len(right))
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# Grade scene by scene, keep the marks of those scenes that *have* the field, and count.
# "All" is a field of its own: a picture with four fields right of five is a wrong picture.

# %%
checked_graded = cu.check("15.graded", graded)

# %% tags=["figure", "slide"]
# @title Table: the grader, graded
read = scenes.Reader(kinds_net)
found = read(unseen_pictures)
rows = []
for field in (*scenes.FIELDS, "all"):
    share, low, high = checked_graded(unseen, found, field)
    rows.append([field, f"{share:.1%}", f"{low:.1%} to {high:.1%}"])
cu.table(
    rows,
    ["field", "right", "95 % interval"],
    f"The grader on {len(unseen):,} pictures of unseen scenes in unseen handwriting.",
)

# %% [markdown]
# The grader is wrong in 1.1 % of the pictures, always in the kind: some digits of nine pixels are hard for anybody.
# Whatever it says of a machine below is good to about that much.

# %% [markdown]
# ## 2 · One space for both *(core)*
#
# Two networks, one for pictures and one for sentences, each end in a vector of length one.
# A picture's $a_i$ and its own sentence's $b_i$ shall point the same way, and differ from all others of the batch.
# That is a choice among $B$, and lesson 01 knows the loss for it: with the similarity $a_i\cdot b_j/\tau$ as logits,
#
# $$L=-\frac1{2B}\sum_{i=1}^B\left[\log\frac{e^{a_i\cdot b_i/\tau}}{\sum_je^{a_i\cdot b_j/\tau}}+\log\frac{e^{a_i\cdot b_i/\tau}}{\sum_je^{a_j\cdot b_i/\tau}}\right]. \tag{1}$$
#
# The first term asks: which sentence of the batch tells this picture?
# The second: which picture does this sentence tell?
# This is **contrastive** training; with four hundred million pairs from the web it made CLIP (Radford et al., 2021).
# The **temperature** $\tau$ is learned, too: similarities lie between −1 and 1, too close together to be logits.
#
# **Exercise 2 (core).**
# Write (1).
# Some more sentences may be given that belong to no picture: they are further wrong answers to the first question.


# %% tags=["exercise"]
def contrastive_loss(seen, heard, temperature, more=None):
    """Equation (1): vectors (B, d) of pictures and of their sentences → the loss, a tensor ().

    Row i of seen belongs to row i of heard. Vectors come in any length and are scaled to one
    here. temperature: a number or a tensor (). more (M, d), or None: vectors of sentences that
    belong to no picture, wrong answers to the first question only.
    """
    ### BEGIN SOLUTION
    seen = F.normalize(seen, dim=1)
    heard = F.normalize(heard, dim=1)
    scores = seen @ heard.T / temperature  # (B, B): row a picture, column a sentence
    choices = scores
    if more is not None:
        choices = torch.cat([scores, seen @ F.normalize(more, dim=1).T / temperature], 1)
    right = torch.arange(len(seen), device=seen.device)
    return (F.cross_entropy(choices, right) + F.cross_entropy(scores.T, right)) / 2
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# Rows of `seen @ heard.T` are pictures; the right answer of row $i$ is column $i$: `F.cross_entropy(scores, torch.arange(B))`.
# The second question reads the same table by columns.
# The additional sentences are additional columns, for the first question only.

# %%
checked_contrastive = cu.check("15.contrastive_loss", contrastive_loss)


# %% [markdown]
# The network for sentences is a transformer of lesson 09b without the mask against the future: only the empty places at the end are hidden.


# %% tags=["shared"]
class Hear(nn.Module):
    """Sentences as numbers (B, 16) → a vector for each word (B, 16, width)."""

    def __init__(self, width=64, depth=1, heads=4):
        super().__init__()
        self.embed = nn.Embedding(len(scenes.WORDS), width)
        self.place = nn.Parameter(0.02 * torch.randn(scenes.LENGTH, width))
        self.blocks = nn.ModuleList([Block(width, heads) for _ in range(depth)])
        self.norm = nn.LayerNorm(width)

    def forward(self, words):
        hidden = (words == scenes.PAD)[:, None, None]  # (B, 1, 1, 16): nobody looks there
        mask = torch.zeros(hidden.shape, device=words.device).masked_fill(hidden, -torch.inf)
        x = self.embed(words) + self.place
        for block in self.blocks:
            x = block(x, mask)
        return self.norm(x)


# %% tags=["shared"]
def convolutions(*widths):
    """Pictures (B, 3, 32, 32) → (B, 16 · widths[-1]), by two halvings after a folding."""
    layers = [nn.PixelUnshuffle(2)]
    for i, (inputs, outputs) in enumerate(zip((12, *widths), widths)):
        layers += [nn.Conv2d(inputs, outputs, 3, stride=min(i + 1, 2), padding=1), nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten())


# %% tags=["shared"]
class Pair(nn.Module):
    """Two networks that end in one space: `see` pictures in [0, 1], `hear` sentences."""

    def __init__(self, width=64):
        super().__init__()
        self.picture = nn.Sequential(convolutions(32, 48, 32), nn.Linear(32 * 16, width))
        self.words = Hear(width)
        self.out = nn.Linear(width, width)
        self.sharp = nn.Parameter(torch.tensor(math.log(10.0)))  # log 1/τ

    def see(self, x):
        return F.normalize(self.picture(2 * x - 1), dim=1)

    def hear(self, words):
        there = (words != scenes.PAD)[:, :, None]
        mean = (self.words(words) * there).sum(1) / there.sum(1)
        return F.normalize(self.out(mean), dim=1)

    @property
    def temperature(self):
        return (-self.sharp).exp().clamp(min=0.01)


# %% [markdown]
# Each picture has three sentences for training (the fourth is held out), and each step takes one of them.


# %% tags=["shared"]
def sayings(some):
    """Sentences of scenes in the three patterns of training, as numbers: (n, 3, 16)."""
    ways = []
    for pattern in range(3):
        ways.append(scenes.encode([scenes.say(scene, pattern) for scene in some]))
    return torch.stack(ways, 1)


def one_of(choices):
    """One row of each: (B, m, 16) → (B, 16)."""
    picked = torch.randint(choices.shape[1], (len(choices),), device=choices.device)
    return choices[torch.arange(len(choices), device=choices.device), picked]


# %%
def pair_loss(model, x, told):
    """Equation (1) for pictures and one sentence of each."""
    return checked_contrastive(model.see(x), model.hear(one_of(told)), model.temperature)


told = sayings(scenes_told)

# %%
pair = cu.prepare(Pair())
batches = cu.Batches((pictures, told), 256)
recipe = {"lr": 2e-3, "schedule": warm_cosine, "optimiser": "adamw", "weight_decay": 1e-4}
history = cu.fit(pair, pair_loss, batches, steps=300, **recipe)

# %% [markdown]
# ### What it can know
#
# Random vectors have a loss of $\log B$: every answer is as good as another.
# What training takes away from it, $\log B-L$, is an estimate of the **mutual information** $I$ of picture and sentence, how many nats one tells of the other, and on average no over-estimate (van den Oord et al., 2018).
# (It is called InfoNCE.)
#
# Here $I$ is known.
# Picture and sentence share the scene and nothing else: handwriting and place are not in the sentence, the way of telling is not in the picture.
# And each determines the scene.
# So $I=H(\text{scene})=8.92$ nats.
#
# **Predict:** how near does the estimate come, in batches of 64 and of 256?


# %% tags=["author"]
@torch.no_grad()
def estimated(model, some, pictures, size, batches=100):
    """log B − L in batches of pictures of `some`, with their first sentence."""
    numbers = scenes.encode([scenes.say(scene) for scene in some]).to(device)
    dice = torch.Generator().manual_seed(0)
    losses = []
    for _ in range(batches):
        rows = torch.randperm(len(some), generator=dice)[:size]
        a = model.see(pictures[rows].to(device).float() / 255)
        b = model.hear(numbers[rows.to(device)])
        losses.append(checked_contrastive(a, b, model.temperature).item())
    return math.log(size) - sum(losses) / batches


def watcher(model, size, some, pictures, figures):
    """A preview that keeps the estimate at its step."""

    def watch(step):
        value = estimated(model, some, pictures, size)
        figures[f"batches of {size}, step {step}"] = (value, 0.15)

    return watch


for _ in cu.budget([], [], [1]):
    at = [160, 320, 1_040, 2_000, 4_000]
    seen_scenes = scenes.draw_scenes(4_000, torch.Generator().manual_seed(8), held=False)
    seen_pictures = scenes.render(seen_scenes, unseen_glyphs, torch.Generator().manual_seed(9))
    figures = {}
    for size in (16, 64, 256):
        model = cu.prepare(Pair())
        watch = watcher(model, size, seen_scenes, seen_pictures, figures)
        options = recipe | {"preview": watch, "preview_at": at}
        cu.fit(model, pair_loss, cu.Batches((pictures, told), size), steps=4_000, **options)
    cu.ship("15_bound", what="log B − loss on unseen pictures, three sizes", figures=figures)

# %% tags=["figure", "slide"]
# @title Figure: an estimate that sticks
bound = cu.runs.load("15_bound").figure
fig, ax = plt.subplots(figsize=(9, 4.6))
for i, size in enumerate((16, 64, 256)):
    ink = cu.plots.PALETTE[i]
    at = [160, 320, 1_040, 2_000, 4_000]
    values = [bound(f"batches of {size}, step {step}") for step in at]
    ax.semilogx(at, values, "o-", color=ink, label=f"batches of {size}")
    ax.axhline(math.log(size), color=ink, ls=":")
    cu.facts(f"log {size}", f"{math.log(size):.2f}", "reached", f"{values[-1]:.2f}")
ax.axhline(scenes.entropy(held=False), color="black", label="what there is to know: H(scene)")
ax.set(xlabel="steps of training", ylabel="log B − loss, nats", ylim=(0, 9.6))
ax.set_xticks(at, [f"{step:,}" for step in at])
ax.minorticks_off()
ax.legend(fontsize=11, loc="upper left", bbox_to_anchor=(0, 0.9), ncol=2)
cu.show(
    fig,
    "The estimate of the mutual information on unseen pictures, and log B (dotted) for batches "
    "of 16, 64 and 256.",
)

# %% [markdown]
# With batches of 16, 64 and 256 it ends at 2.65, 3.94 and 5.12 nats.
# The estimate sticks below $\log B$, and no training helps: a loss is not below 0, so $\log B-L$ is not above $\log B$.
# **To see 8.92 nats one would need batches of $e^{8.92}$, seven and a half thousand.**

# %% [markdown]
# ### Finding
#
# What is it good for?
# Of a thousand sentences, which one tells this picture; of fourteen sentences "a big red …", which one names this thing, with no classifier ever trained?


# %%
@torch.no_grad()
def meetings(model, some, pictures, pattern=0):
    """Similarities of pictures (rows) and sentences (columns) of some scenes: (n, n)."""
    numbers = scenes.encode([scenes.say(scene, pattern) for scene in some])
    a = torch.cat([model.see(part.to(device).float() / 255) for part in pictures.split(500)])
    return a @ model.hear(numbers.to(device)).T


def found_first(similar):
    """R@1: the share of rows whose own column is the largest."""
    own = torch.arange(len(similar), device=similar.device)
    return (similar.argmax(1) == own).float().mean().item()


different = {scene: i for i, scene in enumerate(unseen)}  # a scene is asked for once
thousand_scenes = list(different)[: cu.budget(1_000)]
thousand = unseen_pictures[[different[scene] for scene in thousand_scenes]]

# %% tags=["figure", "slide"]
# @title Table: found among a thousand
pair_live = copy.deepcopy(pair).eval()
similar = meetings(pair_live, thousand_scenes, thousand)
live = {"this training": (found_first(similar), found_first(similar.T))}
print(cu.restore("15_pair", {"pair": pair}).card["what"])
pair.eval()
similar = meetings(pair, thousand_scenes, thousand)
live["shipped, repaired in section 3"] = (found_first(similar), found_first(similar.T))
swaps = cu.runs.load("15_swaps").figure
rows = []
for name, (forth, back) in live.items():
    rows.append([name, f"{forth:.3f}", f"{back:.3f}"])
for way in ("plain", "repeats masked"):
    keys = [f"{way}, seed 0: {what}" for what in ("sentence found", "picture found")]
    rows.append([f"4,000 steps, {way}", *(f"{swaps(key):.3f}" for key in keys)])
cu.table(
    rows,
    ["", "its sentence first", "its picture first"],
    f"{len(thousand):,} unseen pictures of different scenes: share with their own first.",
)
singles = scenes.draw_scenes(cu.budget(1_000), torch.Generator().manual_seed(4), things=1)
single_pictures = scenes.render(singles, unseen_glyphs, torch.Generator().manual_seed(5))
prompts = [f"a big red {kind}" for kind in scenes.KINDS]
with torch.no_grad():
    a = pair.see(single_pictures.to(device).float() / 255)
    named = (a @ pair.hear(scenes.encode(prompts).to(device)).T).argmax(1).tolist()
right = [scenes.KINDS[k] == scene.things[0].kind for k, scene in zip(named, singles)]
repeats = sum(n * (n - 1) for n in Counter(scenes_told).values()) / len(scenes_told)
repeats *= 256 * 255 / 2 / (len(scenes_told) - 1)
cu.facts(
    "kinds named by “a big red …”",
    f"{sum(right) / len(right):.3f}",
    "pairs of one scene in a batch of 256",
    f"{repeats:.0f}",
)

# %% [markdown]
# Half a minute of training puts a third of the sentences first; chance is one in a thousand.
# The shipped networks find 0.907, and name 0.695 of the kinds by "a big red …", though most of these things are neither big nor red.
#
# A batch of 256 holds 42 pairs of pictures of one scene, and (1) counts the other's sentence as wrong, though it is right.
# Leaving these out of the sum gained little: 0.819 beside 0.809.

# %% [markdown]
# ## 3 · A bag of words *(core)*
#
# Find the sentence among a thousand: that looks like reading.
# Now ask an easier question, with two answers only: the true sentence, and one of *the same words*.
# The colours are exchanged, or the kinds, or the relation is reversed.


# %% tags=["shared"]
def swapped(scene, how):
    """The pair of things with their colours or kinds exchanged, or in the other order."""
    a, b = scene.things
    if how == "colours":
        things = (replace(a, colour=b.colour), replace(b, colour=a.colour))
    elif how == "kinds":
        things = (replace(a, kind=b.kind), replace(b, kind=a.kind))
    else:
        things = (b, a)
    return scenes.Scene(things, scene.relation)


SWAPS = ("colours", "kinds", "order")


# %% [markdown]
# **Predict:** how many of these does a machine get right that finds eight of ten sentences among a thousand?


# %%
@torch.no_grad()
def swap_test(model, some, pictures, how):
    """Share of pictures more like their sentence than like the exchanged one, of those where
    the two differ, and how many these are."""
    asked = [i for i, s in enumerate(some) if len(s.things) == 2 and swapped(s, how) != s]
    a = model.see(pictures[asked].to(device).float() / 255)
    true = [scenes.say(some[i]) for i in asked]
    false = [scenes.say(swapped(some[i], how)) for i in asked]
    right = model.hear(scenes.encode(true).to(device))
    wrong = model.hear(scenes.encode(false).to(device))
    return ((a * right).sum(1) > (a * wrong).sum(1)).float().mean().item(), len(asked)


# %% tags=["figure", "slide"]
# @title Table: the same words
rows = []
for how in SWAPS:
    share, n = swap_test(pair_live, unseen, unseen_pictures, how)
    shares = [swaps(f"plain, seed {seed}: {how}") for seed in range(3)]
    rows.append([how, n, f"{share:.3f}", " · ".join(f"{share:.3f}" for share in shares)])
cu.table(
    rows,
    ["exchanged", "pictures", "this training", "4,000 steps, three seeds"],
    "Share of unseen pictures for which the true sentence is preferred; a coin gets 0.5.",
)

# %% [markdown]
# A coin, or little better.
# Only one of the three trainings begins to notice order (0.751 and 0.735).
#
# Why?
# How often does training ask a question that needs the order of words?

# %% tags=["figure"]
# @title Table: questions that need order
bags = {}
for scene in dict.fromkeys(scenes_told):
    words = tuple(sorted(scenes.say(scene).split()))
    bags.setdefault(words, set()).add(scene)
needed = 0
dice = torch.Generator().manual_seed(0)
batches_seen = cu.budget(50)
for _ in range(batches_seen):
    rows = torch.randperm(len(scenes_told), generator=dice)[:256].tolist()
    batch = {scenes_told[i] for i in rows}
    for scene in batch:
        words = tuple(sorted(scenes.say(scene).split()))
        needed += len(bags[words] & batch) > 1
cu.facts("questions of a batch of 256 that need order", f"{needed / batches_seen:.2f}")

# %% [markdown]
# Of 256 questions about sentences one, on average, needs it.
# Nearly nothing that training asks needs the order of words, so nearly nothing makes the network read it.
# The large models of the web fail such tests, too (Thrush et al., 2022), and this is the reason given: their training and their tests can be passed without order (Yuksekgonul et al., 2023).
#
# ### The repair
#
# Ask the question in training: each picture gets, as a further wrong answer, its own sentence with something exchanged, a **hard negative**.
# For one thing alone, its colour is replaced.
# The network, the steps and the pictures stay the same.


# %%
def hard_for(scene, dice):
    """A wrong sentence for a scene, as near to it as can be."""
    if len(scene.things) == 2:
        for how in dice.sample(["colours", "kinds", "order"], 3):
            if swapped(scene, how) != scene:
                return swapped(scene, how)
    thing = scene.things[0]
    colour = dice.choice([c for c in scenes.COLOURS if c != thing.colour])
    return scenes.Scene((replace(thing, colour=colour), *scene.things[1:]), scene.relation)


def hard_loss(model, x, told, hard):
    """Equation (1) with one hard negative for each picture."""
    more = model.hear(one_of(hard))
    return checked_contrastive(model.see(x), model.hear(one_of(told)), model.temperature, more)


# %% tags=["author"]
def masked_loss(model, x, told, number):
    """Equation (1), in which the other pictures of the same scene are no wrong answers."""
    scores = model.see(x) @ model.hear(one_of(told)).T / model.temperature
    right = torch.arange(len(x), device=x.device)
    repeated = (number[:, None] == number) & (right[:, None] != right)
    scores = scores.masked_fill(repeated, -torch.inf)
    return (F.cross_entropy(scores, right) + F.cross_entropy(scores.T, right)) / 2


# %% tags=["author"]
for _ in cu.budget([], [], [1]):
    numbers = {scene: i for i, scene in enumerate(dict.fromkeys(scenes_told))}
    number = torch.tensor([numbers[scene] for scene in scenes_told])
    dice = random.Random(0)
    near = torch.stack([sayings([hard_for(s, dice) for s in scenes_told]) for _ in range(3)], 1)
    near = near.flatten(1, 2)  # (n, 9, 16)
    ways = {
        "plain": (pair_loss, (pictures, told)),
        "hard": (hard_loss, (pictures, told, near)),
        "repeats masked": (masked_loss, (pictures, told, number)),
    }
    figures = {}
    for way, (loss, data) in ways.items():
        for seed in range(1 if way == "repeats masked" else 3):
            torch.manual_seed(seed)
            model = cu.prepare(Pair())
            batches = cu.Batches(data, 256, seed=seed)
            history = cu.fit(model, loss, batches, steps=4_000, seed=seed, **recipe)
            model.eval()
            key = f"{way}, seed {seed}"
            for pattern, end in ((0, ""), (3, ", fourth way")):
                similar = meetings(model, thousand_scenes, thousand, pattern)
                figures[f"{key}: sentence found{end}"] = (found_first(similar), 0.04)
                figures[f"{key}: picture found{end}"] = (found_first(similar.T), 0.04)
            for how in SWAPS:
                share, _ = swap_test(model, unseen, unseen_pictures, how)
                figures[f"{key}: {how}"] = (share, 0.05)
            if key == "hard, seed 0":
                what = "pictures and sentences in one space, with hard negatives"
                cu.ship("15_pair", {"pair": model}, history, what=what)
    cu.ship("15_swaps", what="found and exchanged, before and after", figures=figures)

# %% tags=["figure", "slide"]
# @title Table: the same words, before and after
rows = []
for how in SWAPS:
    row = [f"{how} exchanged" if how != "order" else "the other way round"]
    for way in ("plain", "hard"):
        shares = [swaps(f"{way}, seed {seed}: {how}") for seed in range(3)]
        row += [" · ".join(f"{share:.3f}" for share in shares)]
    rows.append(row)
for end in ("", ", fourth way"):
    row = [f"found among 1,000{end}"]
    for way in ("plain", "hard"):
        shares = [swaps(f"{way}, seed {seed}: sentence found{end}") for seed in range(3)]
        row += [" · ".join(f"{share:.3f}" for share in shares)]
    rows.append(row)
cu.table(
    rows,
    ["right sentence preferred", "before", "after"],
    "Three trainings each of 4,000 steps. Training never saw the fourth way of telling.",
)

# %% [markdown]
# Colours: from 0.570 to 0.998, and among a thousand, too, more are found.
# But it has a price, in the last row: of sentences told in a way that training never used *fewer* are found.
# Having to mind the places of words, the network presumably learned the places of three ways of telling.
#
# **A machine learns to tell apart what it is asked to tell apart, and no more.**

# %% [markdown]
# ## 4 · From picture to sentence *(core)*
#
# Choosing a sentence is not writing one.
# A writer goes word by word, as in lesson 09: each word is drawn given those before it, *and the picture*.
# For the picture it looks across: words ask, places of the picture answer.
# That is **cross-attention**: queries from one sequence, keys and values from another.
#
# $$\text{found}=\operatorname{softmax}\!\left(\frac{qk^\top}{\sqrt d}\right)v,\qquad q=W_q\,x,\quad k=W_k\,m,\quad v=W_v\,m. \tag{2}$$
#
# **Exercise 3 (core).**
# Write (2) with several heads: each has its own $d$ of the numbers of $q$, $k$ and $v$.


# %% tags=["exercise"]
def cross_attention(x, memory, query, key, value, heads, hidden=None):
    """Equation (2): x (B, N, …) asks memory (B, M, …); returns what it found (B, N, width)
    and the weights (B, heads, N, M).

    query, key, value: modules that end in width = heads · d numbers, the first d of them for
    head 0. hidden (B, M): True where memory must not be looked at, never a whole row.
    """
    ### BEGIN SOLUTION
    q = query(x).unflatten(-1, (heads, -1)).transpose(1, 2)  # (B, heads, N, d)
    k = key(memory).unflatten(-1, (heads, -1)).transpose(1, 2)
    v = value(memory).unflatten(-1, (heads, -1)).transpose(1, 2)
    scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
    if hidden is not None:
        scores = scores.masked_fill(hidden[:, None, None], -torch.inf)
    weights = scores.softmax(-1)
    return (weights @ v).transpose(1, 2).flatten(2), weights
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# `unflatten(-1, (heads, -1)).transpose(1, 2)` makes (B, heads, N, d) of (B, N, width); at the end `transpose(1, 2).flatten(2)` undoes it.
# Each of the $N$ words shares its weights among the $M$ places: the softmax runs over the last axis.

# %%
checked_cross = cu.check("15.cross_attention", cross_attention)

# %%
q = torch.randn(2, 5, 8)
k = torch.randn(2, 7, 8)
found, weights = checked_cross(q, k, nn.Identity(), nn.Identity(), nn.Identity(), 2)
by_heads = [t.unflatten(-1, (2, -1)).transpose(1, 2) for t in (q, k, k)]
trusted = F.scaled_dot_product_attention(*by_heads).transpose(1, 2).flatten(2)
assert (found - trusted).abs().max() < 1e-6


# %% tags=["shared"]
class Across(nn.Module):
    """x (B, N, width) looks at memory (B, M, told): a residual step."""

    def __init__(self, width, told, heads=4):
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(told, width)
        self.value = nn.Linear(told, width)
        self.mix = nn.Linear(width, width)

    def forward(self, x, memory, hidden=None):
        parts = (self.query, self.key, self.value)
        found, self.weights = checked_cross(self.norm(x), memory, *parts, self.heads, hidden)
        return x + self.mix(found)


# %% tags=["shared"]
class Places(nn.Module):
    """Pictures (B, 3, 32, 32) in [0, 1] → what is at their 8 · 8 places (B, 64, width)."""

    def __init__(self, width):
        super().__init__()
        self.look = nn.Sequential(
            nn.PixelUnshuffle(2),
            *(nn.Conv2d(12, 32, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(32, width, 3, stride=2, padding=1), nn.ReLU()),
            *(nn.Conv2d(width, width, 3, padding=1), nn.ReLU()),
        )
        self.where = nn.Parameter(0.02 * torch.randn(64, width))
        self.norm = nn.LayerNorm(width)

    def forward(self, x):
        return self.norm(self.look(2 * x - 1).flatten(2).transpose(1, 2) + self.where)


# %% tags=["shared"]
class Writer(nn.Module):
    """Pictures and the words so far → logits of each next word."""

    def __init__(self, width=48, depth=2, heads=4):
        super().__init__()
        self.see = Places(width)
        self.embed = nn.Embedding(len(scenes.WORDS), width)
        self.place = nn.Parameter(0.02 * torch.randn(scenes.LENGTH, width))
        self.blocks = nn.ModuleList([Block(width, heads) for _ in range(depth)])
        self.across = nn.ModuleList([Across(width, width, heads) for _ in range(depth)])
        self.leave = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, len(scenes.WORDS)))

    def forward(self, places, words):
        T = words.shape[1]
        late = torch.ones(T, T, dtype=torch.bool, device=words.device).triu(1)
        mask = torch.zeros(T, T, device=words.device).masked_fill(late, -torch.inf)
        x = self.embed(words) + self.place[:T]
        for block, across in zip(self.blocks, self.across):
            x = block(across(x, places), mask)
        return self.leave(x)


# %% [markdown]
# In training the true words so far are given (teacher forcing), all next words are guessed at once, and a mask hides the future.
# Sentences differ in length and are filled up with PAD, which nobody has to guess.
#
# **Exercise 4 (core).**
# Write the mean of $-\log p(\text{word}\mid\text{words before},x)$ over real words, START not guessed, END guessed.


# %% tags=["exercise"]
def sentence_nats(logits, words, pad):
    """Mean cross-entropy in nats a word: logits (B, T, K), words (B, T) → a tensor ().

    logits[:, t] guess the word at t + 1, having seen those up to t: START is not guessed, END
    is. pad: the number that only fills up, and does not count. The mean runs over all words of
    the batch that do.
    """
    ### BEGIN SOLUTION
    guesses = logits[:, :-1].flatten(0, 1)
    return F.cross_entropy(guesses, words[:, 1:].flatten(), ignore_index=pad)
    ### END SOLUTION


# %% [markdown] tags=["hint"]
# The last logits have nothing left to guess, and the first word is guessed by nobody: shift by one.
# `F.cross_entropy(…, ignore_index=…)` leaves rows out of sum *and* count.

# %%
checked_nats = cu.check("15.sentence_nats", sentence_nats)


# %%
def writer_loss(model, x, told):
    """Nats a word for one sentence of each picture."""
    words = one_of(told)
    return checked_nats(model(model.see(x), words), words, scenes.PAD)


writer = cu.prepare(Writer())
batches = cu.Batches((pictures, told), 128)
history = cu.fit(writer, writer_loss, batches, steps=100, full=8_000, **recipe)

# %% tags=["author"]
cu.ship("15_writer", {"writer": writer}, history, what="sentences for pictures, word by word")

# %%
print(cu.restore("15_writer", {"writer": writer}).card["what"])  # the same, 8,000 steps
writer = writer.eval()


# %% tags=["shared"]
@torch.no_grad()
def write(model, pictures, temperature=0.0, seed=0):
    """A sentence for each picture: the likeliest word each time, or drawn at a temperature."""
    where = next(model.parameters()).device
    places = model.see(pictures.to(where).float() / 255)
    words = torch.full((len(pictures), 1), scenes.START, device=where)
    dice = torch.Generator().manual_seed(seed)
    for _ in range(scenes.LENGTH - 1):
        logits = model(places, words)[:, -1]
        if temperature:
            chances = (logits / temperature).softmax(1).cpu()
            word = chances.multinomial(1, generator=dice).to(where)
        else:
            word = logits.argmax(1, keepdim=True)
        words = torch.cat([words, word], 1)
    return scenes.decode(words)


# %% [markdown]
# A picture has four right sentences.
# Comparing with *one* of them letter by letter marks the others wrong.
# The parser makes a fair judge: it reads the sentence back to a scene, and two scenes are equal or not.

# %% tags=["figure", "slide"]
# @title Table: the same sentences by two judges
n = cu.budget(400)
ways = {
    "likeliest word": write(writer, unseen_pictures[:n]),
    "drawn": write(writer, unseen_pictures[:n], temperature=1.0),
}
reference = [scenes.say(scene, i % 3) for i, scene in enumerate(unseen[:n])]
rows = []
for name, sentences in ways.items():
    same = sum(a == b for a, b in zip(sentences, reference)) / n
    understood = sum(scene is not None for scene in scenes.parse_all(sentences)) / n
    share, low, high = checked_graded(unseen[:n], scenes.parse_all(sentences), "all")
    shares = [f"{one:.3f}" for one in (same, understood, share)]
    rows.append([name, *shares, f"{low:.3f} to {high:.3f}"])
told_unseen = sayings(unseen[:n]).to(device)
with torch.no_grad():
    places = writer.see(unseen_pictures[:n].to(device).float() / 255)
    nats = checked_nats(writer(places, told_unseen[:, 0]), told_unseen[:, 0], scenes.PAD).item()
words = (told_unseen[:, 0] != scenes.PAD).sum().item() / n - 1
cu.table(
    rows,
    ["", "letter by letter", "parsed", "same scene", "95 % interval"],
    f"Sentences for {n:,} unseen pictures, judged by one reference each, and by the parser.",
)
cu.facts(
    "nats a word",
    f"{nats:.3f}",
    "words a sentence, END too",
    f"{words:.1f}",
    "nats a sentence",
    f"{nats * words:.2f}",
    "log 3, the way of telling",
    f"{math.log(3):.2f}",
    "the rest, doubt about the scene",
    f"{nats * words - math.log(3):.2f}",
)

# %% [markdown]
# One judge says 0.307, the other 0.953, of the same sentences.
# Letter by letter a right sentence in other words is a fault.
#
# A sentence takes 1.30 nats; 1.10 of them are $\log3$, the free choice among three ways of telling.
# What is left, 0.20 nats, is doubt about the scene.
# So the writer shows that a picture tells all but 0.20 nats of its scene, far beyond the ceiling of section 2: it need not choose within a batch.

# %% tags=["figure", "slide"]
# @title Widget: where each word looks


def attention_of(i):
    """The sentence written for picture i, and where each word looked: (words, (T, 8, 8))."""
    sentence = write(writer, unseen_pictures[i : i + 1])[0]
    words = scenes.encode([sentence]).to(device)
    with torch.no_grad():
        writer(writer.see(unseen_pictures[i : i + 1].to(device).float() / 255), words)
    maps = writer.across[-1].weights[0].mean(0).cpu()  # (16, 64): heads averaged
    return sentence.split(), maps[: len(sentence.split())].view(-1, 8, 8)


def draw_attention(picture):
    """A picture, word by word: bright where the last layer looks to find that word."""
    words, maps = attention_of(picture)
    columns = 6
    rows = math.ceil(len(words) / columns)
    size = (2.1 * columns, 2.5 * rows)
    fig, axes = plt.subplots(rows, columns, figsize=size, layout="constrained", squeeze=False)
    image = unseen_pictures[picture].permute(1, 2, 0).float() / 255
    for ax in axes.flat:
        ax.axis("off")
    for ax, word, one in zip(axes.flat, words, maps):
        shade = F.interpolate(one[None, None], scale_factor=4, mode="bilinear")[0, 0]
        ax.imshow((0.25 + 0.75 * image).numpy(), interpolation="nearest")
        ax.imshow(shade.numpy(), cmap="magma", alpha=0.6)
        ax.set_title(word, fontsize=13)
    return fig


two = [i for i, scene in enumerate(unseen[: cu.budget(200)]) if len(scene.things) == 2]
cu.explore(
    draw_attention,
    "Where each word of the sentence looks in the picture (last layer, heads averaged).",
    picture=two[:12],
)

# %% [markdown]
# Words of colour look at their thing, and kinds at its strokes.
# "Above" and "a" look aside, where the picture is empty: which word of a sentence comes next is seen from the words before.
# In the first picture the machine is wrong: that is a 3, and it says 2.

# %% [markdown]
# ## 5 · What was never seen *(core)*
#
# Training left out all green 7s and all stars above circles, but not green, nor 7s.

# %% tags=["figure", "slide"]
# @title Table: scenes that training left out
n = cu.budget(500)
dice = torch.Generator().manual_seed(6)
groups = {"as in training": scenes.draw_scenes(n, dice, held=False)}
groups |= {"with a green 7": [], "a star above a circle": []}
for scene in scenes.draw_scenes(cu.budget(1_000), dice, held=True):
    green = any((thing.colour, thing.kind) == ("green", "7") for thing in scene.things)
    groups["with a green 7" if green else "a star above a circle"].append(scene)
rows = []
for name, some in groups.items():
    images = scenes.render(some, unseen_glyphs, torch.Generator().manual_seed(8))
    sentences = write(writer, images)
    row = [name, len(some)]
    for field in (*scenes.FIELDS, "all"):
        row.append(f"{checked_graded(some, scenes.parse_all(sentences), field)[0]:.3f}")
    rows.append(row)
    if name == "with a green 7":
        alone = [i for i, scene in enumerate(some) if len(scene.things) == 1]
        read_alone = scenes.parse_all([sentences[i] for i in alone])
        called = Counter(scene.things[0].kind for scene in read_alone if scene)
cu.table(rows, ["scenes", "n", *scenes.FIELDS, "all"], "Fields right in the written sentences.")
for kind, times in called.most_common(3):
    cu.facts(f"a green 7 alone is called {kind}", f"{times / len(alone):.2f}")

# %% [markdown]
# A star above a circle was never seen, and is told as well as any scene: places and kinds are put together freely.
# A green 7 is not: 0.388 are told right.
# Its colour is seen, its kind is not: alone it is called a 9 in 0.30 of the cases, a 2 in 0.14.
# Training had twelve thousand green things, and none of them was a 7: the loss gave every reason to learn that what is green is no 7.

# %% [markdown]
# ## 6 · Beams *(deeper)*
#
# The likeliest word each time need not give the likeliest sentence.
# A **beam search** keeps several beginnings, lengthens each by its likeliest words, and keeps the best again.


# %%
@torch.no_grad()
def beam_search(model, picture, width):
    """The likeliest whole sentence found by keeping the `width` likeliest beginnings."""
    where = next(model.parameters()).device
    places = model.see(picture[None].to(where).float() / 255)
    kept = [(0.0, [scenes.START])]
    whole = []
    for _ in range(scenes.LENGTH - 1):
        words = torch.tensor([words for _, words in kept], device=where)
        logits = model(places.expand(len(kept), -1, -1), words)[:, -1]
        best, word = logits.log_softmax(1).topk(width)
        longer = []
        for (total, words), gains, nexts in zip(kept, best.tolist(), word.tolist()):
            longer += [(total + gain, [*words, k]) for gain, k in zip(gains, nexts)]
        longer.sort(reverse=True)
        whole += [one for one in longer[:width] if one[1][-1] == scenes.END]
        kept = [one for one in longer[:width] if one[1][-1] != scenes.END]
        if not kept or (whole and max(whole)[0] > kept[0][0]):
            break
    return scenes.decode(torch.tensor([max(whole or kept)[1]]))[0]


# %% tags=["figure"]
# @title Table: beams
n = cu.budget(200)
rows = []
for width in (1, 2, 4):
    sentences = [beam_search(writer, picture, width) for picture in unseen_pictures[:n]]
    words = scenes.encode(sentences).to(device)
    with torch.no_grad():
        logits = writer(writer.see(unseen_pictures[:n].to(device).float() / 255), words)
    gains = logits[:, :-1].log_softmax(2).gather(2, words[:, 1:, None])[:, :, 0]
    total = (gains * (words[:, 1:] != scenes.PAD)).sum(1).mean().item()
    share, low, high = checked_graded(unseen[:n], scenes.parse_all(sentences), "all")
    rows.append([width, f"{total:.3f}", f"{share:.3f}", f"{low:.3f} to {high:.3f}"])
cu.table(
    rows,
    ["beam", "log p of the sentence", "same scene", "95 % interval"],
    f"{n} unseen pictures.",
)

# %% [markdown]
# Nothing is gained, and the second column says why.
# The likeliest sentence has a log-probability of −1.10, which is $-\log3$: three ways of telling, all equally likely, and hardly a doubt otherwise.
# Beams matter where early words close the way to better later ones, as in translation.

# %% [markdown]
# ## Recap *(core)*
#
# | you can | because you saw |
# |---|---|
# | tie pictures to sentences | of a thousand sentences the right one comes first in 0.907 of cases |
# | say how much such a training can know | batches of 256 stick at 5.12 nats; there are 8.92 |
# | test whether the order of words is read | colours exchanged: 0.570, 0.605, 0.751, beside a coin's 0.5 |
# | repair it | one hard negative a picture: 0.998, and a price elsewhere |
# | write a sentence for a picture, and grade it | 0.953 tell the scene; letter by letter it is 0.307 |
#
# **What breaks, and why.**
# A machine that was never asked to tell two things apart may not be able to, and a high score elsewhere does not show it.
# A repair helps where it was asked, and can cost elsewhere.
# A writer knows what words follow each other, and believes that more than its eyes: hence the green 9.
#
# **Next.**
# Lesson 15b, to come, turns round: a sentence asks, and a picture is drawn.

# %% [markdown]
# ## Where this stands *(deeper)*
#
# **CLIP** learned from four hundred million pairs, in batches of thirty-two thousand, and named the classes of ImageNet without having been trained on them (Radford et al., 2021).
# Its temperature is learned and kept from growing too sharp, as here.
# With batches of that size the ceiling is about ten nats.
#
# **The bound.**
# $\log B-L$ is a lower bound on $I$ for *any* scores (Poole et al., 2019, with the proof), of low variance, and biased as soon as $I$ exceeds $\log B$; bounds that can exceed it scatter widely.
#
# **Order of words.**
# Yuksekgonul and colleagues (2023) measured it on photographs: the large models are near chance when attributes or relations are exchanged, and retrieval can be passed without order.
# Their repair is the one of section 3.
# Thrush and colleagues (2022) had people write pairs of captions of the same words, for pairs of pictures: no model did much better than chance.
# Later work finds that both networks often know which colour goes with which thing, and that what is lost is lost where they meet.
#
# **Writers.**
# From a recurrent network told one vector of a picture (Vinyals et al., 2015) to cross-attention over places; today a language model reads the places as if they were words.
# Inventing what usually goes with what is seen, as with the green 9, is called *hallucination* of objects, and is measured as here: by reading sentences back.

# %% [markdown]
# ### References
#
# - A. van den Oord, Y. Li, O. Vinyals, *Representation learning with contrastive predictive coding*, 2018.
# - A. Radford et al., *Learning transferable visual models from natural language supervision*, 2021.
# - M. Yuksekgonul et al., *When and why vision-language models behave like bags-of-words, and what to do about it?*, 2023.
# - T. Thrush et al., *Winoground: probing vision and language models for visio-linguistic compositionality*, 2022.
# - O. Vinyals et al., *Show and tell: a neural image caption generator*, 2015.
# - B. Poole et al., *On variational bounds of mutual information*, 2019.
