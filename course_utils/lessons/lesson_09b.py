"""What lesson 09b wrote for later ones, generated from lessons/09b_order_and_attention.py.

Do not edit: change the lesson and run `python tasks.py lessons`.
"""

import torch
import torch.nn.functional as F
from torch import nn

from course_utils.checks.references.ref_09b import attend_next as checked_next
from course_utils.checks.references.ref_09b import completion_weights as checked_weights
from course_utils.checks.references.ref_09b import density_nats as checked_bits
from course_utils.checks.references.ref_09b import look as checked_look
from course_utils.checks.references.ref_09b import my_order as checked_order
from course_utils.lessons.lesson_09 import GatedLayer


# Section 1 · Look where it matters

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


def offsets(order):
    """The way from the letter in token s to the place written at step t, numbered: (T, T)."""
    at = torch.stack([order // 14, order % 14], 1)  # row and column
    way = at[1:, None] - at[None, :-1] + 13  # (T-1, T-1, 2), entries 0 … 26
    number = torch.full((len(order), len(order)), 27 * 27)  # token 0 holds no letter
    number[1:, 1:] = 27 * way[..., 0] + way[..., 1]
    return number


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


# Section 5 · Grey

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


__all__ = [
    "Block",
    "GreyCNN",
    "GreyTrunk",
    "Page",
    "Transformer",
    "checked_bits",
    "checked_look",
    "checked_next",
    "checked_order",
    "checked_weights",
    "grey_loss",
    "offsets",
    "patches_of",
    "softmax_nats",
]
