"""What lesson 15 wrote for later ones, generated from lessons/15_pictures_and_sentences.py.

Do not edit: change the lesson and run `python tasks.py lessons`.
"""

import math
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import nn

from course_utils import scenes
from course_utils.checks.references.ref_15 import contrastive_loss as checked_contrastive
from course_utils.checks.references.ref_15 import cross_attention as checked_cross
from course_utils.checks.references.ref_15 import graded as checked_graded
from course_utils.checks.references.ref_15 import sentence_nats as checked_nats
from course_utils.lessons.lesson_09b import Block


# Section 2 · One space for both

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


def convolutions(*widths):
    """Pictures (B, 3, 32, 32) → (B, 16 · widths[-1]), by two halvings after a folding."""
    layers = [nn.PixelUnshuffle(2)]
    for i, (inputs, outputs) in enumerate(zip((12, *widths), widths)):
        layers += [nn.Conv2d(inputs, outputs, 3, stride=min(i + 1, 2), padding=1), nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten())


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


# Section 3 · A bag of words

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


# Section 4 · From picture to sentence

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


__all__ = [
    "Across",
    "Hear",
    "Pair",
    "Places",
    "SWAPS",
    "Writer",
    "checked_contrastive",
    "checked_cross",
    "checked_graded",
    "checked_nats",
    "convolutions",
    "one_of",
    "sayings",
    "swapped",
    "write",
]
