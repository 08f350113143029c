"""What lesson 09 wrote for later ones, generated from lessons/09_autoregressive.py.

Do not edit: change the lesson and run `python tasks.py lessons`.
"""

import torch
import torch.nn.functional as F
from torch import nn

from course_utils.checks.references.ref_09 import conv_mask as checked_conv_mask
from course_utils.checks.references.ref_09 import draw_slowly as checked_drawing
from course_utils.checks.references.ref_09 import leaking_masks as checked_leak
from course_utils.checks.references.ref_09 import letter_nats as checked_nats
from course_utils.checks.references.ref_09 import made_masks as checked_masks
from course_utils.checks.references.ref_09 import my_bits as checked_bits
from course_utils.lessons.lesson_08 import pick


# Section 1 · The chain rule loses nothing

class FVSBN(nn.Module):
    """x (B, D) of zeros and ones → the logit of each pixel given those before it (B, D)."""

    def __init__(self, D):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(D, D))
        self.bias = nn.Parameter(torch.zeros(D))

    def forward(self, x):
        return F.linear(x, self.weight.tril(-1), self.bias)


def log_p_pixels(logits, x):
    """log p(x) (B,) by (1): logits (B, D) of each pixel given those before it."""
    return -F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(1)


# Section 2 · One network for all conditionals: MADE

class MADE(nn.Module):
    """An FVSBN with H hidden units: x (B, D) → logits of each pixel given those before it."""

    def __init__(self, D, H, masks=checked_masks):
        super().__init__()
        self.masks = masks
        self.into = nn.Linear(D, H)
        self.out = nn.Linear(H, D)
        self.direct = nn.Parameter(torch.zeros(D, D))  # the FVSBN
        self.register_buffer("degrees", torch.arange(H) * (D - 1) // H + 1)
        self.register_buffer("rows", torch.arange(1, D + 1))

    def forward(self, x, rank=None):
        """rank (D,): the place of each pixel in the order, from 1; by default row by row."""
        rank = self.rows if rank is None else rank
        into, out, direct = self.masks(rank, self.degrees)
        h = F.linear(x, self.into.weight * into, self.into.bias).relu()
        logits = F.linear(h, self.out.weight * out, self.out.bias)
        return logits + F.linear(x, self.direct * direct)


def pixel_loss(model, x):
    """Mean nats of images x (B, 1, 28, 28) in [0, 1], binarised by chance, pixel by pixel."""
    pixels = torch.bernoulli(x).flatten(1)
    return -log_p_pixels(model(pixels), pixels).mean()


# Section 4 · A digit is a word of 196 letters

def letters_of(x):
    """Binary images (B, 1, 28, 28) as letters 0 … 15, int64 (B, 14, 14): one a 2 × 2 block."""
    b = x.reshape(-1, 14, 2, 14, 2).long()
    return b[:, :, 0, :, 0] + 2 * b[:, :, 0, :, 1] + 4 * b[:, :, 1, :, 0] + 8 * b[:, :, 1, :, 1]


def pixels_of(letters):
    """The way back: letters (B, 14, 14) → binary images (B, 1, 28, 28)."""
    bits = letters[..., None] >> torch.arange(4, device=letters.device) & 1  # (B, 14, 14, 4)
    blocks = bits.view(-1, 14, 14, 2, 2).transpose(2, 3)  # rows, then columns
    return blocks.reshape(-1, 1, 28, 28).float()


class GatedLayer(nn.Module):
    """One layer of both stacks: v sees all rows above, h also the letters to the left."""

    def __init__(self, width, dilation):
        super().__init__()
        self.reach = dilation
        self.down = nn.Conv2d(width, 2 * width, (2, 3), dilation=dilation)
        self.right = nn.Conv2d(width, 2 * width, (1, 2), dilation=dilation)
        self.link = nn.Conv2d(width, 2 * width, 1)
        self.out = nn.Conv2d(width, width, 1)

    def forward(self, v, h):  # both (B, width, 14, 14)
        d = self.reach
        v = v + F.glu(self.down(F.pad(v, (d, d, d, 0))), 1)  # pads left, right, top, bottom
        both = self.right(F.pad(h, (d, 0, 0, 0))) + self.link(v)
        return v, h + self.out(F.glu(both, 1))


class PixelCNN(nn.Module):
    """Letters (B, 14, 14) → logits (B, 16, 14, 14) of each letter given those before it."""

    def __init__(self, width=48, dilations=(1, 2, 1, 2, 1, 2), alphabet=16):
        super().__init__()
        self.register_buffer("letters", torch.arange(alphabet), persistent=False)
        self.first_v = nn.Conv2d(alphabet, width, (3, 7))
        self.first_h = nn.Conv2d(alphabet, width, (1, 3))
        self.place = nn.Parameter(torch.zeros(2, width, 14, 14))  # what is usual here
        self.layers = nn.ModuleList(GatedLayer(width, d) for d in dilations)
        self.read = nn.Sequential(
            nn.ReLU(), nn.Conv2d(width, width, 1), nn.ReLU(), nn.Conv2d(width, alphabet, 1)
        )
        self.usual = nn.Parameter(torch.zeros(alphabet, 14, 14))

    def forward(self, letters):
        x = (letters[..., None] == self.letters).movedim(3, 1).float()  # (B, 16, 14, 14)
        v = self.first_v(F.pad(x, (3, 3, 3, -1))) + self.place[0]  # three rows above, not this
        h = self.first_h(F.pad(x, (3, -1, 0, 0))) + self.place[1]  # three to the left, not this
        for layer in self.layers:
            v, h = layer(v, h)
        return self.read(h) + self.usual


def letter_loss(model, x):
    """Mean nats of images x (B, 1, 28, 28) in [0, 1], binarised by chance at each pass."""
    letters = letters_of(torch.bernoulli(x))
    return checked_nats(model(letters), letters).mean()


def all_nats(model, letters, size=500):
    """−log p of each image (N,) of letters (N, 14, 14), without gradients, `size` at a time."""
    with torch.no_grad():
        return torch.cat([checked_nats(model(part), part) for part in letters.split(size)])


# Section 7 · Each logit once

def one_hot(model, letters):
    """Letters (n, rows, columns) → (n, 16, rows, columns), as the first layers take them.

    As `F.one_hot`, which reads the largest letter first, so that a card would have to wait.
    """
    return (letters[..., None] == model.letters).movedim(3, 1).float()


def begin_row(model, letters, r, kept):
    """The vertical stack of row r, once for its 14 letters: what its layers tell the other one.

    kept: for each layer the rows of v so far; row r is appended.
    """
    x = one_hot(model, letters[:, max(r - 3, 0) : r])
    v = model.first_v(F.pad(x, (3, 3, 3 - x.shape[2], 0))) + model.place[0][:, r : r + 1]
    links = []
    for layer, rows in zip(model.layers, kept):
        d = layer.reach
        rows.append(v)  # (n, width, 1, 14)
        pair = torch.cat([rows[r - d] if r >= d else torch.zeros_like(v), v], 2)
        down = layer.down
        v = v + F.glu(F.conv2d(pair, down.weight, down.bias, 1, (0, d), (1, d)), 1)
        links.append(layer.link(v))
    return links


def next_letter(model, letters, r, c, links, left):
    """The logits (n, 16) of the letter at (r, c); left: each layer's h so far in this row."""
    x = one_hot(model, letters[:, r : r + 1, max(c - 3, 0) : c])
    here = model.place[1][:, r : r + 1, c : c + 1]
    h = model.first_h(F.pad(x, (3 - x.shape[3], 0, 0, 0))) + here
    for layer, link, row in zip(model.layers, links, left):
        d = layer.reach
        row.append(h)  # (n, width, 1, 1)
        pair = torch.cat([row[c - d] if c >= d else torch.zeros_like(h), h], 3)
        both = F.conv2d(pair, layer.right.weight, layer.right.bias) + link[..., c : c + 1]
        h = h + layer.out(F.glu(both, 1))
    return model.read(h)[:, :, 0, 0] + model.usual[:, r, c]


@torch.no_grad()
def write(model, n):
    """Writes n words: yields the logits (n, 16) of each place in turn and is sent the letters.

    After the last letter it yields the words (n, 14, 14).
    """
    letters = torch.zeros(n, 14, 14, dtype=torch.long, device=model.usual.device)
    kept = [[] for _ in model.layers]
    for r in range(14):
        links = begin_row(model, letters, r, kept)
        left = [[] for _ in model.layers]
        for c in range(14):
            letters[:, r, c] = yield next_letter(model, letters, r, c, links, left)
    yield letters


def draw(model, n, generator, temperature=1.0, start=None, given=None):
    """n drawn words (n, 14, 14); temperature 0 takes the likeliest letter.

    start (n, 14, 14) with given (14, 14) bool: letters that stand there and are not drawn.
    """
    u = torch.rand(14, 14, n, 1, generator=generator).to(model.usual.device)
    pen = write(model, n)
    answer = next(pen)
    for r in range(14):
        for c in range(14):
            p = (answer / max(temperature, 1e-4)).softmax(1)
            fixed = given is not None and given[r, c]
            answer = pen.send(start[:, r, c].to(p.device) if fixed else pick(p, u[r, c]))
    return answer


def log_letters(model, letters):
    """log p(letter | those before it) at every place: (B, 14, 14)."""
    log_p = model(letters).log_softmax(1)
    return log_p.gather(1, letters[:, None])[:, 0]


__all__ = [
    "FVSBN",
    "GatedLayer",
    "MADE",
    "PixelCNN",
    "all_nats",
    "begin_row",
    "checked_bits",
    "checked_conv_mask",
    "checked_drawing",
    "checked_leak",
    "checked_masks",
    "checked_nats",
    "draw",
    "letter_loss",
    "letters_of",
    "log_letters",
    "log_p_pixels",
    "next_letter",
    "one_hot",
    "pixel_loss",
    "pixels_of",
    "write",
]
