"""Reference functions of lesson 09, generated from lessons/09_autoregressive.py.

Do not edit: change the solution in the lesson and run `python tasks.py lessons`.
"""

import torch
import torch.nn.functional as F

from course_utils.lessons.lesson_08 import pick


def made_masks(rank, degrees):
    """Equation (2): r (D,) from 1 to D, m (H,) → in (H, D), out (D, H), direct (D, D)."""
    into = degrees[:, None] >= rank
    out = rank[:, None] > degrees
    direct = rank[:, None] > rank
    return into, out, direct  # True and False count as 1 and 0


def leaking_masks(rank, degrees):
    """As (2), but each logit sees its own pixel, too: in (H, D), out (D, H), direct (D, D)."""
    into = degrees[:, None] >= rank
    out = rank[:, None] >= degrees
    direct = rank[:, None] >= rank
    return into, out, direct


def letter_nats(logits, letters):
    """−log p(x) of each image in nats (B,): logits (B, 16, 14, 14), letters (B, 14, 14)."""
    return F.cross_entropy(logits, letters, reduction="none").sum((1, 2))


def conv_mask(kind, size):
    """The mask "A" or "B" of a square kernel of odd size: (size, size), 1 where it is open."""
    place = torch.arange(size * size).view(size, size)
    centre = size * size // 2
    return (place < centre + (kind == "B")).float()


def draw_slowly(model, u):
    """Letters (n, rows, columns), one after the other: u (rows, columns, n, 1) uniform.

    model: letters → logits (n, alphabet, rows, columns).
    """
    rows, columns, n, _ = u.shape
    letters = torch.zeros(n, rows, columns, dtype=torch.long, device=u.device)
    for r in range(rows):
        for c in range(columns):
            p = model(letters)[:, :, r, c].softmax(1)
            letters[:, r, c] = pick(p, u[r, c])
    return letters


def my_bits():
    """Your guess: the size of your digit's file, in bits."""
    return 100


REFERENCES = {
    "09.masks": made_masks,
    "09.leak": leaking_masks,
    "09.nats": letter_nats,
    "09.conv": conv_mask,
    "09.draw": draw_slowly,
    "09.bits": my_bits,
}
